"""What comes in over a bridge from RabbitMQ: once over a broker that is killed around its commit, in order past a
full queue, and known again by a later broker."""

import asyncio
import json
import signal

import peers
import rabbit
from api import Api
from cluster import eventually, metric
from mqtt import Client

N = 20
BEFORE = 3  # of what comes in well before
BROKER = {"engine": "embedded", "session": {"grace": "60s", "recovery-time": "0s"},
          "acl": [{"allow": ["manage", "consume"], "identity": "token:local"}]}


class Arrivals:
    """A stack with a bridge that takes queue "in" of a RabbitMQ, and a subscriber to what comes."""

    async def start(self, env, **broker):
        self.env = env
        self.rabbit = rabbit.Rabbit(env.folder)
        await asyncio.to_thread(self.rabbit.start)
        self.channel = self.rabbit.channel()
        self.channel.queue_declare("in", durable=True)
        folder = env.folder / "bridges"
        folder.mkdir()
        for name, text in {"user": rabbit.USER, "password": rabbit.PASSWORD}.items():
            (env.folder / name).write_text(text)
            (env.folder / name).chmod(0o600)
        (folder / "in.yaml").write_text(json.dumps({"bridges": {"jobs": {
            "space": "default", "kind": "amqp", "url": self.rabbit.urls,
            "credentials": {"user-file": str(env.folder / "user"), "password-file": str(env.folder / "password")},
            "dedup": {"by": "message-id"},
            "in": [{"queue": "in", "to": "jobs/{key:/}", "prefetch": 100}]}}}))
        self.stack = await env.stack(start=False, sidecars=1, broker=BROKER | broker | {"bridges": {"dir": str(folder)}})
        return self

    def arm(self, point, hit):
        self.fault = f"{point}:{hit}"
        self.stack.broker.environment["SQMQOS_FAULT"] = self.fault

    async def subscribe(self):
        self.sub = Client("jobs")
        self.env.clients.append(self.sub)
        await self.sub.connect(self.stack.ports[0], clean=False, props={"session_expiry": 300})
        assert await self.sub.subscribe("jobs/#", qos=2) == [2]

    def put(self, *numbers, key="a"):
        pika = peers.imported("pika")
        for n in numbers:
            self.channel.basic_publish("", "in", str(n).encode(), pika.BasicProperties(
                message_id=f"id-{n}", delivery_mode=2, headers={"key": key}))

    async def got(self, n):
        return [int(m.payload) for m in await self.sub.receive_all(n)]

    async def taken(self):
        """The peer has nothing more, also nothing that is out."""
        def empty():
            listed = self.rabbit.ctl("-q", "list_queues", "messages").split()
            return listed[-1] == "0"
        await eventually(lambda: asyncio.to_thread(empty), "RabbitMQ has nothing more")

    async def again(self):
        """The broker has ended where it was to, and starts without a fault."""
        broker = self.stack.broker
        await eventually(lambda: not broker.running(), "the broker ends")
        assert broker.process.returncode == -signal.SIGKILL, broker.process.returncode
        assert self.stack.log(broker).splitlines()[-1] == f"fault point {self.fault}"
        del broker.environment["SQMQOS_FAULT"]
        broker.start()
        await self.stack.ready()

    async def begin(self):
        await self.stack.start()
        self.stack.descriptors[self.stack.broker.name] += 2  # of the bridge's thread, and its connection

    async def count(self, outcome):
        return await metric(
            self.stack.broker,
            f'sqmqos_bridge_messages_total{{bridge="jobs",direction="in",outcome="{outcome}"}}')

    def end(self):
        self.rabbit.close()


async def killed(env, point):
    a = await Arrivals().start(env)
    try:
        a.arm(point, BEFORE + 1)
        await a.begin()
        await a.subscribe()
        for n in range(1, BEFORE + 1):  # each is a batch
            a.put(n)
            assert await a.got(1) == [n]
        await a.taken()
        a.put(*range(BEFORE + 1, N + 1))
        await a.again()
        assert await a.got(N - BEFORE) == list(range(BEFORE + 1, N + 1))
        await a.taken()
        a.put(*range(1, N + 1))  # copies, which the broker before knew
        a.put(N + 1)
        assert await a.got(1) == [N + 1]
        await a.taken()
        assert await a.count("duplicate") >= N, await a.count("duplicate")
    finally:
        a.end()


async def test_killed_before_the_commit(env):
    await killed(env, "broker-bridge-admitted")


async def test_killed_after_the_commit(env):
    await killed(env, "broker-bridge-committed")


async def test_a_full_queue_holds_messages_at_the_peer_and_goes_on(env):
    a = await Arrivals().start(env)
    try:
        await a.begin()
        api, most = Api(a.stack), 5
        answer = await api.ask("PUT", "/v1/queues/q", json.dumps({
            "bindings": [{"filter": "jobs/#", "qos": 1}], "maxMessages": most, "order": "strict"}).encode())
        assert answer.status == 201, answer
        a.put(*range(1, N + 1))

        async def handed_back():
            return await a.count("later") > 0
        await eventually(handed_back, "some find no room")
        got = []
        while len(got) < N:
            answer = await api.ask("POST", "/v1/queues/q/receive?max=1&wait=10s")
            assert answer.status == 200, (got, answer)
            for m in answer.json["messages"]:
                got.append(int(m["text"]))
                settled = await api.ask("POST", "/v1/queues/q/settle", json.dumps({"ack": [m["lease"]]}).encode(),
                                        {"content-type": "application/json"})
                assert settled.status == 200, settled
        assert got == list(range(1, N + 1)), got
        await a.taken()
        assert await a.count("ok") == N
    finally:
        a.end()

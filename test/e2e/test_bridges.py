"""What goes out over a bridge to RabbitMQ: all of it, in order, over a peer that is away and a broker that is
killed at its fault points; and who looks at bridges, and pauses them."""

import asyncio
import json
import signal

import rabbit
from api import Api
from cluster import eventually, metric
from command import Command
from mqtt import Client

N = 20
BEFORE = 3  # of what goes out well before
BROKER = {"engine": "embedded", "session": {"grace": "60s", "recovery-time": "0s"},
          "acl": [{"allow": ["manage", "consume"], "identity": "token:local"}]}


class Departures:
    """A stack with a bridge that sends what is below "jobs" to queue "out" of a RabbitMQ."""

    async def start(self, env):
        self.env = env
        self.rabbit = rabbit.Rabbit(env.folder)
        await asyncio.to_thread(self.rabbit.start)
        self.channel = self.rabbit.channel()
        self.channel.queue_declare("out", durable=True)
        self.folder = env.folder / "bridges"
        self.folder.mkdir()
        for name, text in {"user": rabbit.USER, "password": rabbit.PASSWORD}.items():
            (env.folder / name).write_text(text)
            (env.folder / name).chmod(0o600)
        self.declare()
        self.stack = await env.stack(start=False, sidecars=1, broker=BROKER | {"bridges": {"dir": str(self.folder)}})
        return self

    def declare(self, **more):
        files = {"user-file": str(self.env.folder / "user"), "password-file": str(self.env.folder / "password")}
        (self.folder / "out.yaml").write_text(json.dumps({"bridges": {"jobs": {
            "space": "default", "kind": "amqp", "url": self.rabbit.urls, "credentials": files,
            "out": [{"filter": "jobs/#", "to": {"key": "out"}}]} | more}}))

    async def begin(self):
        await self.stack.start()
        self.stack.descriptors[self.stack.broker.name] += 2  # of the bridge's thread, and its connection
        self.api = Api(self.stack)
        self.pub = Client("pub")
        self.env.clients.append(self.pub)
        await self.pub.connect(self.stack.ports[0])

    async def publish(self, *numbers):
        for n in numbers:
            assert await self.pub.publish("jobs/a", str(n).encode(), qos=1) == 0

    async def got(self, n):
        """The numbers that the peer has, of each its first copy, when these are n."""
        seen = self.__dict__.setdefault("seen", {})

        def look():
            while True:
                method, properties, body = self.channel.basic_get("out", auto_ack=True)
                if method is None:
                    return len(seen) >= n
                seen.setdefault(int(body), properties.headers["sqmqos-origin"])
                assert seen[int(body)] == properties.headers["sqmqos-origin"], "copies have one origin"
        await eventually(lambda: asyncio.to_thread(look), f"{n} come, of {len(seen)}", 60)
        return list(seen)

    async def told(self):
        answer = await self.api.ask("GET", "/v1/bridges/jobs")
        assert answer.status == 200, answer
        return answer.json

    async def settled(self):
        async def empty():
            answer = await self.api.ask("GET", "/v1/queues/bridge.jobs", None, {"sqmqos-space": "default"})
            counts = answer.json["counts"]
            return counts["ready"] + counts["leased"] + counts["parked"] == 0
        await eventually(empty, "the queue is empty")

    async def again(self, fault):
        broker = self.stack.broker
        await eventually(lambda: not broker.running(), "the broker ends", 60)
        assert broker.process.returncode == -signal.SIGKILL, broker.process.returncode
        assert self.stack.log(broker).splitlines()[-1] == f"fault point {fault}"
        del broker.environment["SQMQOS_FAULT"]
        broker.start()
        await self.stack.ready()

    def end(self):
        self.rabbit.close()


async def killed(env, point):
    d = await Departures().start(env)
    try:
        fault = f"{point}:{BEFORE + 1}"
        d.stack.broker.environment["SQMQOS_FAULT"] = fault
        await d.begin()
        for n in range(1, BEFORE + 1):
            await d.publish(n)
            assert (await d.got(n))[-1] == n
            await d.settled()
        for n in range(BEFORE + 1, N + 1):  # the sidecar keeps what the broker that ends has not
            d.env.spawn(d.publish(n))
        await d.again(fault)
        assert sorted(await d.got(N)) == list(range(1, N + 1))
        await d.settled()
    finally:
        d.end()


async def test_killed_when_messages_were_handed_over(env):
    await killed(env, "broker-bridge-offered")


async def test_killed_when_the_peer_has_accepted(env):
    await killed(env, "broker-bridge-accepted")


async def test_a_peer_that_is_away_gets_all_in_order_when_it_is_back(env):
    d = await Departures().start(env)
    try:
        await d.begin()
        await d.publish(1)
        assert await d.got(1) == [1]
        node = d.rabbit.nodes[0]
        await asyncio.to_thread(node.kill)

        async def down():
            return (await d.told())["out"]["up"] is False
        await eventually(down, "the broker notices")
        assert (await d.told())["out"]["why"], await d.told()
        await d.publish(*range(2, N + 1))
        await asyncio.to_thread(node.start)
        d.channel = d.rabbit.channel()
        assert await d.got(N) == list(range(1, N + 1))
        await d.settled()
        log = d.stack.log(d.stack.broker)
        assert log.count("out: the peer is away") == 1 and log.count("out: the peer is there") == 2, log
        assert await metric(d.stack.broker, 'sqmqos_bridge_up{bridge="jobs",direction="out"}') == 1
    finally:
        d.end()


async def test_a_pause_and_a_change_of_the_file(env):
    d = await Departures().start(env)
    try:
        await d.begin()
        command = Command(env, "--url", d.api.url, "--token-file", d.stack.folder / "token",
                          "--ca", d.stack.folder / "ca.pem")
        assert (await command.run("bridges", "pause", "jobs"))[0] == "paused bridge jobs\n"
        await d.publish(1, 2)
        await d.stack.kill(d.stack.broker)
        await d.stack.restart(d.stack.broker)
        told = await d.told()
        assert told["paused"] is True and told["out"]["messages"]["ok"] == 0, told
        row, = json.loads((await command.run("bridges", "ls", "--json"))[0])
        assert row["name"] == "jobs" and row["out"]["queue"] == "bridge.jobs", row
        assert (await command.run("bridges", "resume", "jobs"))[0] == "resumed bridge jobs\n"
        assert await d.got(2) == [1, 2]
        d.declare(window=5)
        await eventually(lambda: "it is another one" in d.stack.log(d.stack.broker), "the file is read")
        await d.publish(*range(3, N + 1))
        assert await d.got(N) == list(range(1, N + 1))
        await d.settled()
        (d.folder / "out.yaml").unlink()

        async def gone():
            return (await d.api.ask("GET", "/v1/bridges/jobs")).status == 404
        await eventually(gone, "it is gone")

        async def ended():
            answer = await d.api.ask("GET", "/v1/queues/bridge.jobs", None, {"sqmqos-space": "default"})
            return answer.status == 404
        await eventually(ended, "its queue ends")
        assert (await d.api.ask("POST", "/v1/bridges/jobs/pause")).problem == "not-found"
        assert (await d.api.ask("GET", "/v1/bridges")).json == {"bridges": []}
    finally:
        d.end()

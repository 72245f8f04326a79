"""A bridge of several brokers: the owner of the log has it, and who owns next goes on with what waits and with what
it knows to have come in."""

import asyncio
import json

import brokers
import peers
from cluster import eventually
from mqtt import Client
from rabbit import Rabbit
from scenario import scenario

N, LANES = 200, 4  # messages each way, and between two ends of an owner


def prepare(env, rabbit):
    """Queues 'go' and 'come' at the peer, and a folder of bridges: its path."""
    channel = rabbit.channel()
    for queue in ("go", "come"):
        channel.queue_declare(queue, durable=True)
    user, password = rabbit.credentials()
    folder = env.folder / "bridges"
    folder.mkdir()
    (folder / "b.yaml").write_text(json.dumps({"bridges": {"shop": {
        "space": "default", "kind": "amqp", "url": rabbit.urls, "dedup": {"by": "message-id"},
        "credentials": {"user-file": str(user), "password-file": str(password)},
        "out": [{"filter": "go/#", "to": {"key": "go"}}],
        "in": [{"queue": "come", "to": "come/{header:lane}", "qos": 2}]}}}))
    return str(folder)


class Both:
    """What goes out of a stack over its bridge, and what comes in."""

    def __init__(self, env, rabbit, stack):
        self.env, self.rabbit, self.stack, self.began = env, rabbit, stack, 0

    async def client(self, name, port):
        made = Client(name)
        self.env.clients.append(made)
        await made.connect(port, clean=False, props={"session_expiry": 600})
        return made

    async def start(self):
        self.app = await self.client("app", self.stack.ports[0])
        self.sub = await self.client("sub", self.stack.ports[1])
        assert await self.sub.subscribe("come/#", qos=2) == [2]
        self.channel = self.rabbit.channel()
        return self

    def more(self):
        """N more each way, of which none is awaited: the futures of those that were published."""
        numbers = range(self.began, self.began + N)
        self.began += N
        pika = peers.imported("pika")
        for n in numbers:
            self.channel.basic_publish("", "come", str(n).encode(), pika.BasicProperties(
                message_id=f"id-{n}", delivery_mode=2, headers={"lane": str(n % LANES)}))
        return [self.app.publish_nowait(f"go/{n % LANES}", str(n).encode(), 2) for n in numbers]

    async def over(self, ends):
        """N go and N come while the owner ends; all that was published is acknowledged then."""
        published = self.more()
        was = await self.stack.owner()
        await ends(was)
        assert all(code < 0x80 for code in await asyncio.gather(*published))
        await self.stack.owner(was)
        was.start()
        await self.stack.ready()

    async def went(self):
        """What has gone out, in order of their lanes; copies may follow the first of each."""
        await eventually(lambda: asyncio.to_thread(lambda: self.rabbit.messages("go") >= self.began), "all went out", 60)
        got = []
        while (taken := self.channel.basic_get("go", auto_ack=True))[0] is not None:
            got.append(int(taken[2]))
        check(list(dict.fromkeys(got)), self.began)

    async def came(self):
        """What has come in, each once."""
        check([int(m.payload) for m in await self.sub.receive_all(self.began)], self.began)
        await eventually(lambda: asyncio.to_thread(lambda: self.rabbit.messages("come") == 0), "the peer was told")
        await self.sub.ping()
        assert not self.sub.inbox, "something came twice"


def check(got, n):
    assert sorted(got) == list(range(n)), (len(got), sorted(set(range(n)) - set(got))[:5])
    for lane in range(LANES):
        assert [k for k in got if k % LANES == lane] == list(range(lane, n, LANES)), lane


@scenario(timeout_s=120)
async def test_the_next_owner_goes_on_with_a_bridge(env):
    rabbit = Rabbit(env.folder)
    try:
        await asyncio.to_thread(rabbit.start)
        stack = await brokers.on_postgres(env, brokers=2, tls=False, broker={
            "bridges": {"dir": prepare(env, rabbit)}})
        both = await Both(env, rabbit, stack).start()
        for ends in (stack.kill, stack.yields):
            await both.over(ends)
        await both.went()
        await both.came()
    finally:
        rabbit.close()

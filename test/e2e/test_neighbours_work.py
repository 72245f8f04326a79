"""Neighbours' work: whatever a client subscribes, publishes or leaves behind, others go on
(docs/security.md, "Work"); and what one space may read of another."""

import asyncio
import time

from scenario import scenario

TOPICS = 20000       # retained, of the greedy client's space
STALL_S = 1.5        # no publish of a good client takes longer, in a build with sanitizers
SLICE = 500          # publishes in flight
LEVELS = 13          # of a topic that two to the power of so many filters match


async def two_spaces(env, first="one", second="two", **options):
    """A stack whose sidecars are of two spaces."""
    stack = await env.stack(start=False, **options)
    for sidecar, space in zip(stack.sidecars, (first, second)):
        sidecar.tree["identity"]["space"] = space
    return await stack.start()


async def retain(client, payload):
    for at in range(0, TOPICS, SLICE):
        await asyncio.gather(*(client.publish(f"t/{i}", payload, 1, retain=True)
                               for i in range(at, at + SLICE)))


class Good:
    """A client that publishes to itself all the time; 'worst' is its longest wait in s."""

    def __init__(self, env, client, topic):
        self.client = client
        self.topic = topic
        self.worst = 0
        self.count = 0
        self.over = False
        self.task = env.spawn(self.run())

    async def run(self):
        while not self.over:
            start = time.monotonic()
            await self.client.publish(self.topic, "good", 1, timeout_s=60)
            await self.client.receive(timeout_s=60)
            self.worst = max(self.worst, time.monotonic() - start)
            self.count += 1

    async def end(self):
        self.over = True
        await self.task
        assert self.count >= 3, f"{self.count} publishes of the good client"
        assert self.worst < STALL_S, f"a publish took {self.worst:.2f} s of {self.count}"


async def good(env, port, name):
    client = await env.connect(port, name)
    await client.subscribe(f"good/{name}")
    return Good(env, client, f"good/{name}")


@scenario(timeout_s=300, alone=True)
async def test_filters_over_many_retained_messages_let_others_publish(env):
    stack = await two_spaces(env)
    greedy = await env.connect(stack.ports[0], "greedy")
    await retain(greedy, "x")
    watched = [await good(env, stack.ports[0], "of-the-same-space"),
               await good(env, stack.ports[1], "of-another")]
    await greedy.subscribe("#", qos=0, timeout_s=60)
    # Each looks at every topic, and selects none.
    codes = await greedy.subscribe(*(f"+/+/{i}" for i in range(1500)), timeout_s=120)
    assert codes == [1] * 1500
    await greedy.unsubscribe("#", timeout_s=120)
    for one in watched:
        await one.end()
    last = await env.connect(stack.ports[0], "last")
    await retain(last, "")


@scenario(timeout_s=300, alone=True)
async def test_ten_thousand_subscriptions_and_their_end_let_others_publish(env):
    stack = await two_spaces(env)
    greedy = await env.connect(stack.ports[0], "greedy")
    watched = [await good(env, stack.ports[0], "of-the-same-space"),
               await good(env, stack.ports[1], "of-another")]
    for at in range(0, 9000, 1000):
        codes = await greedy.subscribe(*(f"f/{i}/+" for i in range(at, at + 1000)), timeout_s=60)
        assert codes == [1] * 1000
    codes = await greedy.subscribe(*(f"$share/g{i}/s/{i}" for i in range(500)), timeout_s=60)
    assert codes == [1] * 500
    codes = await greedy.unsubscribe(*(f"f/{i}/+" for i in range(1000)), timeout_s=60)
    assert codes == [0] * 1000
    await greedy.disconnect()
    for one in watched:
        await one.end()


@scenario(timeout_s=300, alone=True)
async def test_messages_for_thousands_of_filters_let_others_publish(env):
    stack = await two_spaces(env)
    greedy = await env.connect(stack.ports[0], "greedy")
    filters = ["/".join("t+"[i >> level & 1] for level in range(LEVELS)) for i in range(2 ** LEVELS)]
    for at in range(0, len(filters), 1024):
        codes = await greedy.subscribe(*filters[at:at + 1024], timeout_s=60)
        assert codes == [1] * 1024
    watched = [await good(env, stack.ports[0], "of-the-same-space"),
               await good(env, stack.ports[1], "of-another")]
    pub = await env.connect(stack.ports[0], "pub")
    topic = "/".join("t" * LEVELS)
    codes = await asyncio.gather(*(pub.publish(topic, str(i), 1, timeout_s=200)
                                   for i in range(SLICE)))
    assert codes == [0] * SLICE
    got = await greedy.receive_all(SLICE, timeout_s=60)
    assert [m.payload for m in got] == [b"%d" % i for i in range(SLICE)]
    for one in watched:
        await one.end()


def tags(*values):
    return {"user": [("tag", value) for value in values]}


@scenario(timeout_s=180)
async def test_a_tag_bomb_is_one_message_or_none(env):
    stack = await env.stack()
    sub = await env.connect(stack.ports[0], "sub", clean=False, props={"session_expiry": 600})
    for at in range(0, 1000, 250):
        await sub.subscribe(*(f"$tag/x/{'+/' * (i % 3)}t{i}/#" for i in range(at, at + 250)))
    await sub.subscribe("$tag/x/#")
    pub = await env.connect(stack.ports[1], "pub")
    start = time.monotonic()
    assert await pub.publish("t1/a", "bomb", 1, props=tags(*["x"] * 8000)) == 0
    assert (await sub.receive()).payload == b"bomb"
    assert time.monotonic() - start < 5, "it was 9 s, without sanitizers"
    many = tags(*(f"x{i}" for i in range(33)))
    assert await pub.publish("t1/a", "many", 1, props=many) == 0x97
    assert pub.words[-1] == "the message has more than 32 different tags"
    await pub.publish("t1/a", "many, and nobody is told", 0, props=many)
    assert await pub.publish("t1/a", "few", 1, props=tags(*(f"x{i}" for i in range(31)), "x")) == 0
    assert (await sub.receive()).payload == b"few"
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert await pub.publish("t1/a", "after a restart", 1, props=tags("x"), timeout_s=60) == 0
    assert (await sub.receive(60)).payload == b"after a restart"


READS = {"spaces": {"shop": {"reads": [{"space": "bank", "filter": "eu/#"}]}}}


@scenario(timeout_s=120)
async def test_a_space_reads_what_is_granted_of_another_and_nothing_else(env):
    stack = await two_spaces(env, "shop", "bank", broker=READS)
    shop = await env.connect(stack.ports[0], "shop")
    bank = await env.connect(stack.ports[1], "bank")
    await bank.publish("eu/kept", "kept", 1, retain=True)
    await bank.publish("us/kept", "hidden", 1, retain=True)
    await shop.subscribe("#")
    m = await shop.receive()
    assert (m.topic, m.payload, m.retain) == ("eu/kept", b"kept", True)
    await bank.subscribe("#")
    assert len(await bank.receive_all(2)) == 2
    await shop.publish("eu/own", "of the reader", 1, retain=True)
    await bank.publish("us/x", "hidden", 1)
    await bank.publish("eu/x", "live", 1)
    assert [m.payload for m in await shop.receive_all(2)] == [b"of the reader", b"live"]
    assert [m.payload for m in await bank.receive_all(2)] == [b"hidden", b"live"]
    await shop.ping()
    await bank.ping()
    assert not shop.inbox and not bank.inbox
    for client, topic in ((shop, "eu/own"), (bank, "eu/kept"), (bank, "us/kept")):
        await client.publish(topic, "", 1, retain=True)

"""The order that a connection keeps between what it publishes and what it subscribes to, as
users of mosquitto know it. Each case many times, by several clients at a time, at each QoS."""

import asyncio

from cluster import eventually, metric
from line import PAD, Line, messages, payloads
from mqtt import PUBLISH, SUBACK, UNSUBACK, V5, V311
from scenario import scenario

ROUNDS = 60  # of a case, at each QoS
LINES = 6    # clients at a time
LARGE = 150000
MANY = 500   # filters of a SUBSCRIBE that a small message may overtake
EMBEDDED = {"engine": "embedded"}


class Case:
    """A client, and topics that no round before has had. In every other round a message is so
    large that it comes in many pieces, between which a small request may overtake it."""

    def __init__(self, line, number, qos):
        self.line = line
        self.qos = qos
        self.name = f"{line.client_id}/{qos}/{number}"
        self.x, self.y = f"{self.name}/x", f"{self.name}/y"
        self.pad = PAD * (LARGE if number % 2 else 0)
        self.many = number % 5 == 4

    def publish(self, topic, payload, retain=False):
        return self.line.publish(topic, payload, self.qos, retain)

    def large(self, topic, payload):
        return self.publish(topic, payload + self.pad)

    async def end(self, topic=None):
        """All that a topic has is there; what came until then."""
        self.line.send(self.publish(topic or self.x, b"end"))
        return await self.line.until_message(b"end")


async def published_then_subscribed(c):
    """What was published before is not a new message."""
    c.line.send(c.large(c.x, b"early"), c.line.subscribe(c.x))
    came = await c.line.until_kind(SUBACK)
    assert not messages(came), came
    assert payloads(await c.end()) == [b"end"], c.line.came[-8:]


async def published_while_subscribed(c):
    """What is published between SUBSCRIBE and UNSUBSCRIBE arrives, and nothing else."""
    c.line.send(c.publish(c.x, b"before"), c.line.subscribe(c.x), c.large(c.x, b"in"),
                c.line.unsubscribe(c.x), c.publish(c.x, b"behind"), c.line.subscribe(c.y),
                c.publish(c.y, b"end"))
    came = await c.line.until_message(b"end")
    kinds = [k.kind for k in came if k.kind in (SUBACK, PUBLISH, UNSUBACK)]
    assert payloads(came) == [b"in", b"end"], came
    assert kinds[0] == SUBACK and kinds.count(SUBACK) == 2, came
    if UNSUBACK not in kinds:
        await c.line.until_kind(UNSUBACK)


async def subscribed_twice_then_published(c):
    """A SUBSCRIBE is on its way when the next one comes with a message, which does not overtake
    even one of many filters."""
    filters = [c.y] if not c.many else [f"{c.name}/{n:0100}" for n in range(MANY)] + [c.y]
    c.line.send(c.line.subscribe(c.x))
    await asyncio.sleep(0.0002)
    c.line.send(c.line.subscribe(*filters), c.publish(c.y, b"in"))
    came = await c.line.until_message(b"in")
    assert payloads(came) == [b"in"], came
    assert [k.kind for k in came].count(SUBACK) == 2, came
    c.line.send(c.line.unsubscribe(c.x, *filters))
    await c.line.until_kind(UNSUBACK)


async def cleared_then_subscribed(c):
    """A retained message that was cleared before does not come."""
    c.line.send(c.line.publish(c.x, b"kept", 1, True))
    await c.line.until(lambda k: k.kind not in (SUBACK, UNSUBACK, PUBLISH))
    c.line.send(c.large(c.y, b"large"), c.publish(c.x, b"", True), c.line.subscribe(c.x))
    came = await c.line.until_kind(SUBACK)
    assert not messages(came), came
    assert payloads(await c.end()) == [b"end"], c.line.came[-8:]


async def subscribed_to_what_is_retained(c):
    """SUBACK comes before the messages that its subscription gets."""
    c.line.send(c.line.publish(c.x, b"kept", 1, True), c.line.publish(c.y, b"kept too", 1, True),
                c.line.subscribe(f"{c.name}/#"))
    came = await c.line.until_kind(SUBACK)
    assert not messages(came), came
    kept = []
    while len(kept) < 2:
        kept += messages([await c.line.next()])
    assert sorted(k.payload for k in kept) == [b"kept", b"kept too"] and all(k.retain for k in kept)
    c.line.send(c.line.unsubscribe(f"{c.name}/#"), c.line.publish(c.x, b"", 1, True),
                c.line.publish(c.y, b"", 1, True))
    await c.line.until_kind(UNSUBACK)


CASES = [published_then_subscribed, published_while_subscribed, subscribed_twice_then_published,
         cleared_then_subscribed, subscribed_to_what_is_retained]


async def client_does(port, client_id, version, durable, case, qos):
    line = Line(client_id, version, durable)
    await line.open(port)
    try:
        for number in range(ROUNDS // LINES):
            await case(Case(line, number, qos))
    except Exception as e:
        raise AssertionError(f"{client_id}, round {number}: {e!r}") from e
    await line.end()
    if durable:  # its session ends, too
        line.durable = False
        await line.open(port)
        await line.end()


async def check(env, stack, version, durable):
    kind = f"v{version}-{'durable' if durable else 'transient'}"
    for case in CASES:
        for qos in (0, 1, 2):
            await asyncio.gather(*[
                client_does(stack.ports[n % len(stack.ports)], f"{kind}-{case.__name__}-{n}",
                            version, durable, case, qos) for n in range(LINES)])


def embedded(env):
    return EMBEDDED | {"store": {"dir": str(env.folder / "store")}}


@scenario(timeout_s=240)
async def test_a_transient_client_over_tls(env):
    stack = await env.stack(sidecars=1, broker=embedded(env))
    for version in (V311, V5):
        await check(env, stack, version, False)


@scenario(timeout_s=240)
async def test_a_durable_client_over_tls(env):
    stack = await env.stack(sidecars=1, broker=embedded(env))
    for version in (V311, V5):
        await check(env, stack, version, True)


@scenario(timeout_s=240)
async def test_in_the_clear_over_two_links(env):
    stack = await env.stack(sidecars=1, tls=False, sidecar={"pool": {"links-per-broker": 2}})
    await check(env, stack, V5, False)
    await check(env, stack, V311, True)


async def test_a_durable_client_that_leaves_at_once(env):
    """SUBSCRIBE, PUBLISH and DISCONNECT in one segment: the message waits for it."""
    stack = await env.stack(sidecars=1, broker=embedded(env))
    for version in (V311, V5):
        for qos in (1, 2):
            for number in range(20):
                line = Line(f"brief-{version}-{qos}-{number}", version, True)
                c = Case(line, number, qos)
                await line.open(stack.ports[0])
                line.send(line.subscribe(c.x), c.publish(c.x, b"in"), line.disconnect())
                await line.raw.ended()
                line.close()
                assert await line.open(stack.ports[0], clean=False), "the session is there"
                assert payloads(await line.until_message(b"in")) == [b"in"]
                line.send(line.unsubscribe(c.x))
                await line.until_kind(UNSUBACK)
                await line.end()
                line.durable = False
                await line.open(stack.ports[0])
                await line.end()


async def test_a_transient_client_that_leaves_at_once(env):
    """What it published counts, and its subscriptions are in nobody's way."""
    stack = await env.stack(sidecars=1)
    other = await env.connect(stack.ports[0], "other")
    await other.subscribe("gone/#", qos=2)
    for qos in (0, 1, 2):
        for number in range(20):
            line = Line(f"gone-{qos}-{number}")
            await line.open(stack.ports[0])
            topic = f"gone/{qos}/{number}"
            line.send(line.publish(topic, b"1", qos), line.subscribe("gone/#"), line.publish(topic, b"2", qos),
                      line.unsubscribe("gone/#"), line.publish(topic, b"3", qos), line.disconnect())
            await line.raw.ended()
            line.close()
            assert [(await other.receive()).payload for _ in range(3)] == [b"1", b"2", b"3"]


@scenario(timeout_s=180)
async def test_ten_thousand_filters_one_by_one(env):
    """Pipelined, with a publish now and then: as many SUBACKs, in their order."""
    stack = await env.stack(sidecars=1, broker={"engine": "memory"})
    line = Line("many")
    await line.open(stack.ports[0])
    ids = []

    async def read():
        got = []
        while len(got) < 10000:
            came = await line.next(60)
            if came.kind == SUBACK:
                assert came.code == 1, came
                got.append(came.packet_id)
        return got

    reader = env.spawn(read())
    for n in range(10000):
        packets = [line.subscribe(f"many/{n}", qos=1)]
        ids.append(line.last_id)
        if n % 100 == 0:
            packets.append(line.publish(f"many/{n}", b"x", n // 100 % 3))
        line.send(*packets)
        if n % 500 == 0:
            await line.raw.writer.drain()
    assert await reader == ids
    await line.end()


async def test_requests_are_as_few_as_before(env):
    """SUBSCRIBEs that follow each other share a request; a client that only publishes posts
    nothing more."""
    stack = await env.stack(sidecars=1)
    line = Line("few")
    await line.open(stack.ports[0])
    line.send(line.subscribe("few/0"))
    await line.until_kind(SUBACK)
    before = await metric(stack.sidecars[0], "sqmqos_link_requests_total")
    line.send(*[line.subscribe(f"few/{n}") for n in range(1, 1000)])
    for _ in range(999):
        await line.until_kind(SUBACK)

    async def few():
        return await metric(stack.sidecars[0], "sqmqos_link_requests_total") - before <= 10
    await eventually(few, "a thousand SUBSCRIBEs go by a few requests")
    await line.end()

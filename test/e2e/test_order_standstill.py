"""What could wait for each other for ever, where subscriptions keep their place among the
publishes of a connection: nothing does. Each waits for an end, with a time limit."""

import asyncio
import contextlib
import pathlib
import random
import sys

from cluster import eventually, metric
from line import Line, messages, payloads
from mqtt import PUBACK, PUBLISH, SUBACK, UNSUBACK, V5, V311
from scenario import Skip, scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import disk as disks  # noqa: E402

LIMIT_S = 20  # of what must not stand still
SMALL = {"queue": {"max-messages": 3}}
FEW = {"receive-max": 2}  # deliveries that a client has in hand
CLOSED = 'sqmqos_clients_closed_total{reason="refused-max"}'


async def fill(env, port, topic):
    """Publishes until the queue that it goes to takes no more; the publisher."""
    pub = await env.connect(port, f"filler-{topic}")
    for _ in range(1000):
        if await pub.publish(topic, "filler", 1) == 0x97:
            return pub
    raise AssertionError("the queue never fills")


async def open_line(port, client_id, version=V311):
    line = Line(client_id, version)
    await line.open(port)
    return line


async def kinds(line, *wanted):
    """Reads until all of these have come, in whatever order."""
    left = list(wanted)
    while left:
        came = (await line.until(lambda c: c.kind in left, LIMIT_S))[-1]
        left.remove(came.kind)


# ---- a full queue

@scenario(timeout_s=60)
async def test_a_refused_publish_then_the_unsubscribe_that_frees_it(env):
    """The group's last member goes: so does the full queue, and the message is taken."""
    stack = await env.stack(broker=SMALL, sidecar={"session": FEW})
    for number, apart in enumerate((False, True)):
        topic = f"full/{number}"
        line = await open_line(stack.ports[0], f"last-{number}")
        line.acknowledges = False
        line.send(line.subscribe(f"$share/crew-{number}/{topic}", qos=1))
        await line.until_kind(SUBACK)
        await fill(env, stack.ports[1], topic)
        packets = [line.publish(topic, b"mine", 1), line.unsubscribe(f"$share/crew-{number}/{topic}")]
        line.send(*packets[:1 if apart else 2])
        if apart:
            await eventually(lambda: "it waits, and every" in stack.log(stack.sidecars[0]), "it is refused")
            line.send(packets[1])
        await kinds(line, UNSUBACK, PUBACK)
        line.close()


@scenario(timeout_s=60)
async def test_a_refused_publish_then_the_subscribe_that_drains_the_queue(env):
    """Nobody else takes from the queue: the SUBSCRIBE behind the publish does."""
    stack = await env.stack(broker=SMALL)
    stuck = await env.connect(stack.ports[1], "stuck", ack="none", props={"receive_maximum": 1})
    await stuck.subscribe("$share/crew/full")
    await fill(env, stack.ports[1], "full")
    line = await open_line(stack.ports[0], "only")
    line.send(line.publish("full", b"mine", 1), line.subscribe("$share/crew/full", qos=1))
    came = await line.until_kind(SUBACK, LIMIT_S)
    assert not messages(came), came
    await line.until_kind(PUBACK, LIMIT_S)
    if b"mine" not in payloads(line.came):
        await line.until_message(b"mine", LIMIT_S)
    line.close()
    stuck.abort()
    env.check_leftovers = False  # what 'stuck' had waits for a member


def beyond_the_lane(line, topic, size):
    """As many publishes as fill a lane, and its acknowledgements behind them."""
    return b"".join(line.publish(topic, b"%04d" % n + bytes(size), 1) for n in range(200))


@scenario(timeout_s=90)
async def test_a_consumer_that_publishes_into_its_own_full_queue_is_closed(env):
    """Its PUBACKs stand behind its PUBLISHes in a socket that is not read. Its connection is
    closed after a while, logged and counted, and it may come back."""
    stack = await env.stack(sidecars=1, broker=SMALL, sidecar={
        "limits": {"lane": "16Ki"}, "session": FEW | {"refused-max": "2s"}})
    sidecar = stack.sidecars[0]
    line = await open_line(stack.ports[0], "own")
    line.acknowledges = False  # they come behind what is not read
    line.send(line.subscribe("$share/own/own", qos=1))
    await line.until_kind(SUBACK)
    line.send(beyond_the_lane(line, "own", 1000))
    with contextlib.suppress(ConnectionError):
        await line.until(lambda c: False, LIMIT_S + 10)
    assert await metric(sidecar, CLOSED) == 1
    said = [s for s in stack.log(sidecar).splitlines() if "session.refused-max" in s]
    assert len(said) == 1 and "own: closed" in said[0] and "is full" in said[0], said
    line = await open_line(stack.ports[0], "own")
    line.send(line.subscribe("$share/own/own", qos=1), line.publish("own", b"again", 1))
    await line.until_message(b"again", LIMIT_S)
    await line.end()


@scenario(timeout_s=60)
async def test_who_makes_progress_is_not_closed(env):
    """Its publish is refused all the time, and others of its own go on; when nothing does
    any more, it is closed."""
    stack = await env.stack(broker=SMALL, sidecar={"session": {"refused-max": "1s"}})
    stuck = await env.connect(stack.ports[1], "stuck", ack="none",
                              props={"receive_maximum": 1, "session_expiry": 60})
    await stuck.subscribe("full")
    await fill(env, stack.ports[1], "full")
    for what in ("publishes", "settles"):
        line = await open_line(stack.ports[0], what)
        line.send(line.subscribe("own/" + what, qos=1))
        await line.until_kind(SUBACK)
        line.send(line.publish("full", b"held", 1))
        other = await env.connect(stack.ports[1], f"other-{what}")
        before = await metric(stack.sidecars[0], CLOSED)
        ends = asyncio.get_running_loop().time() + 4
        while asyncio.get_running_loop().time() < ends:
            if what == "publishes":
                line.send(line.publish("free", b"x", 1))
            else:
                await other.publish("own/settles", b"x", 1)
                await line.until_kind(PUBLISH)
            await asyncio.sleep(0.05)
        assert await metric(stack.sidecars[0], CLOSED) == before, what
        with contextlib.suppress(ConnectionError):
            await line.until(lambda c: False, LIMIT_S)
        assert await metric(stack.sidecars[0], CLOSED) == before + 1, what
    stuck.abort()
    env.check_leftovers = False  # its session waits for it


# ---- a broker that is started again

class Worker:
    """Subscribes, publishes and unsubscribes without end, several packets at a time; counts
    what it was answered."""

    def __init__(self, line):
        self.line = line
        self.rounds = 0

    def segment(self, qos):
        x = f"{self.line.client_id}/{self.rounds}"
        line = self.line
        return [line.publish(x, b"early", qos), line.subscribe(x), line.publish(x, b"in", qos),
                line.unsubscribe(x)]

    async def round(self, timeout_s=LIMIT_S):
        """At QoS 1 all that was published is acknowledged, and all that was asked answered."""
        self.rounds += 1
        self.line.send(*self.segment(1))
        left = [SUBACK, UNSUBACK, PUBACK, PUBACK]
        while left:
            came = (await self.line.until(lambda c: c.kind in left, timeout_s))[-1]
            left.remove(came.kind)


@scenario(timeout_s=180)
async def test_a_broker_is_started_again_and_waits_for_subscribers(env):
    """While it does, publishes are refused for a moment; subscriptions behind them wait, those
    from before do not."""
    for engine in ("memory", "embedded"):
        stack = await env.stack(sidecars=1, broker={
            "engine": engine, "session": {"recovery-time": "3s"},
            "store": {"dir": str(env.folder / f"store-{engine}")}} if engine == "embedded" else {
                "engine": engine, "session": {"recovery-time": "3s"}})
        steady = await open_line(stack.ports[0], "steady", V5)
        steady.send(steady.subscribe("steady/#"))
        await steady.until_kind(SUBACK)
        workers = [Worker(await open_line(stack.ports[0], f"worker-{v}-{n}", v))
                   for v in (V311, V5) for n in range(4)]
        await asyncio.gather(*[w.round() for w in workers])
        for _ in range(3):
            running = [asyncio.ensure_future(w.round(40)) for w in workers]
            await stack.kill(stack.broker)
            running += [asyncio.ensure_future(asyncio.sleep(0.2))]
            stack.broker.start()
            await asyncio.gather(*running)
            workers[0].line.send(workers[0].line.publish("steady/x", b"back", 1))
            await steady.until_message(b"back", LIMIT_S)
        await stack.ready()
        for line in [steady, *[w.line for w in workers]]:
            await line.end()
        await stack.nothing_left()
        await stack.stop()
        env.stacks.remove(stack)


# ---- a store that stalls

@contextlib.contextmanager
def small_disk(env):
    try:
        disk = disks.Small(env.folder / "disk", 128)
    except OSError as e:
        raise Skip(f"no small disk here: {e}") from None
    try:
        yield disk
    finally:
        disk.close()


def ask_five(line):
    """Five times: a SUBSCRIBE and a publish that it matches. {payload: their packet ids}"""
    asked = {}
    for number in range(5):
        topic = f"{line.client_id}/{number}"
        packets = [line.publish(f"{topic}/x", b"1", 1), line.subscribe(topic)]
        subscribed = line.last_id
        packets.append(line.publish(topic, b"in %d" % number, 1))
        asked[b"in %d" % number] = (subscribed, line.last_id)
        line.send(*packets)
    return asked


async def five_were_done(line, asked):
    """All were answered, and what was not refused has come, each behind its SUBACK."""
    def place(kind, packet_id):
        return next((i for i, c in enumerate(line.came) if (c.kind, c.packet_id) == (kind, packet_id)), None)

    def missing():
        for payload, (subscribed, published) in asked.items():
            answer = place(PUBACK, published)
            if place(SUBACK, subscribed) is None or answer is None:
                yield payload
            elif line.came[answer].code < 0x80 and payload not in payloads(line.came):
                yield payload
    while any(missing()):
        await line.next(LIMIT_S)
    for payload, (subscribed, _) in asked.items():
        came = [i for i, c in enumerate(line.came) if c.payload == payload]
        assert not came or place(SUBACK, subscribed) < came[0], line.came
    if line.version == V311:
        assert set(asked) <= set(payloads(line.came)), "none is refused, but some come late"


@scenario(timeout_s=120)
async def test_a_store_stalls_between_subscriptions(env):
    """What a transient client does with QoS 0 goes on; what a durable one asked for is answered
    when there is room, in its place."""
    with small_disk(env) as disk:
        stack = await env.stack(sidecars=1, broker={
            "engine": "embedded", "store": {"dir": str(disk.folder / "store"), "journal-size": "8Mi",
                                            "max-size": "256Mi"}})
        durable = [Line(f"durable-{v}", v, True) for v in (V311, V5)]
        for line in durable:
            await line.open(stack.ports[0])
            line.send(line.subscribe("before"))
            await line.until_kind(SUBACK)
        transient = await open_line(stack.ports[0], "transient", V5)
        await asyncio.to_thread(disk.fill, random.Random(0), 0)
        pub = await env.connect(stack.ports[0], "pub", clean=False, props={"session_expiry": 3600})
        answers = []

        async def stalled():
            if sum(not a.done() for a in answers) < 8:
                answers.append(pub.publish_nowait("before", bytes(65000), 1))
            return await metric(stack.broker, "sqmqos_store_stalled") == 1
        await eventually(stalled, "the store stalls", 60, 0.005)
        asked = [ask_five(line) for line in durable]
        transient.send(transient.subscribe("t"), transient.publish("t", b"flows"))
        came = await transient.until_message(b"flows", LIMIT_S)
        assert [c.kind for c in came] == [SUBACK, PUBLISH], came
        disk.empty()
        await stack.ready()
        for line, what in zip(durable, asked):
            await five_were_done(line, what)
        await asyncio.wait_for(asyncio.gather(*answers), LIMIT_S)
        await pub.disconnect()
        await transient.end()
        for line in durable:
            await line.end()
        await stack.stop()  # before its disk goes
        env.stacks.remove(stack)

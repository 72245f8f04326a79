"""Queues that outlive their members, and queues that end with messages in them: every
message that was acknowledged is delivered, a dead letter, or counted."""

import asyncio
import signal

from annotations import AnnotationsFile
from cluster import eventually, metric

DELETED = 'sqmqos_queue_deleted_messages_total{reason="%s"}'
BROKER = {"engine": "embedded", "session": {"grace": "1s", "recovery-time": "0s"}}
ASSURED = {"user": [("sqmqos-qos", "3")]}
SHORT = "- filter: short\n  group: short\n  qos: 2\n  expiry: 1s\n"


async def begin(env, subscribe, broker=None, sidecars=2):
    """A stack whose first sidecar has the annotation, and a publisher on the second."""
    file = AnnotationsFile(env.folder / "pod").write(subscribe)
    stack = await env.stack(annotations=[file.path, None], tls=False,
                            broker=BROKER | (broker or {}))
    return stack, await env.connect(stack.ports[1], "publisher")


async def groups(stack, n):
    async def look():
        return await metric(stack.broker, "sqmqos_groups") == n
    await eventually(look, f"{n} groups are left")


async def nothing_queued(env, stack):
    """The pod with the annotation does not come back, so the usual check can't be made."""
    env.check_leftovers = False

    async def look():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(look, "nothing is queued")


async def ended(stack):
    async def look():
        return await metric(stack.broker, "sqmqos_queues_ending") == 0
    await eventually(look, "nothing is ending")


async def test_a_declared_queue_survives_a_rollout(env):
    """The old pod is gone for longer than a queue without an expiry was kept before: until one
    that ends at once has done so."""
    stack, publisher = await begin(env, "- filter: orders/#\n" + SHORT)
    old = await env.connect(stack.ports[0], "app")
    await publisher.publish("orders/0", b"0", 1)
    assert (await old.receive()).payload == b"0"
    await old.disconnect()

    async def settled():  # its acknowledgement is not in a socket any more
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(settled, "what it got is settled")
    await stack.end(stack.sidecars[0])
    for i in range(1, 4):
        assert await publisher.publish("orders/1", b"%d" % i, 1) == 0
    await groups(stack, 1)
    await stack.restart(stack.sidecars[0])
    new = await env.connect(stack.ports[0], "app")
    for i in range(1, 4):
        got = await new.receive()
        assert got.payload == b"%d" % i, (i, got)


async def test_a_queue_that_ends_counts_what_it_has(env):
    stack, publisher = await begin(env, SHORT)
    await stack.end(stack.sidecars[0])
    for i in range(5):
        assert await publisher.publish("short", b"%d" % i, 1) == 0
    for i in range(2):
        assert await publisher.publish("short", b"%d" % i, 2, props=ASSURED) == 0
    await groups(stack, 0)
    await ended(stack)
    assert await metric(stack.broker, DELETED % "queue-expired") == 7
    lines = [line for line in stack.log(stack.broker).splitlines() if "is deleted" in line]
    assert len(lines) == 1 and "(queue-expired) with 7 messages: 2 are dead letters" in lines[0], \
        lines
    taker = await env.connect(stack.ports[1], "undertaker")
    assert await taker.subscribe("$dead/#", qos=2) == [2]
    assert sorted(m.payload for m in await taker.receive_all(2)) == [b"0", b"1"]
    await taker.ping()
    await nothing_queued(env, stack)


N = 300
POINTS = [("broker-ending-slice", 1), ("broker-ending-slice", 3),
          ("broker-ending-slice-committed", 2), ("broker-ending-delete", 1)]


def killed_at(point, hit):
    async def run(env):
        stack, publisher = await begin(env, SHORT)
        stack.broker.environment["SQMQOS_FAULT"] = f"{point}:{hit}"
        await stack.end(stack.broker)
        await stack.restart(stack.broker)
        for i in range(N):
            assert await publisher.publish("short", b"%d" % i, 2, props=ASSURED) == 0
        await stack.end(stack.sidecars[0])
        assert await asyncio.to_thread(stack.broker.process.wait, 30) == -signal.SIGKILL
        last = stack.log(stack.broker).splitlines()[-1]
        assert last == f"fault point {point}:{hit}", last
        del stack.broker.environment["SQMQOS_FAULT"]
        stack.broker.start()
        await stack.ready(stack.broker)
        await groups(stack, 0)
        await ended(stack)
        assert f"(queue-expired) with {N} messages: {N} are dead letters" in \
            stack.log(stack.broker)
        taker = await env.connect(stack.ports[1], "undertaker")
        assert await taker.subscribe("$dead/#", qos=2) == [2]
        letters = [int(m.payload) for m in await taker.receive_all(N)]
        assert sorted(letters) == list(range(N)), "each has one letter"
        await taker.ping()
        await nothing_queued(env, stack)
    return run


for _point, _hit in POINTS:
    globals()[f"test_killed_at_{_point.replace('-', '_')}_{_hit}"] = killed_at(_point, _hit)

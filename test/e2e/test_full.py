"""A broker that has as many sessions as it may."""

import asyncio
import signal

import mqtt
from annotations import AnnotationsFile
from cluster import eventually, metric

WHY = "the broker has no room for one more session: it has as many as its limits.max-sessions"
LINE = WHY + "; new clients are refused with 0x97"


def limited(n):
    return {"limits": {"max-sessions": n, "spaces": 1}}  # none is kept for others


async def sessions(stack, n):
    async def there_are():
        return await metric(stack.broker, "sqmqos_sessions") == n
    await eventually(there_are, f"the broker has {n} sessions")


async def fill(env, stack, n, port=-1):
    """As many clients as there is room for."""
    clients = [await env.connect(stack.ports[port], f"there-{i}") for i in range(n)]
    for client in clients:
        await client.subscribe("t")
    await sessions(stack, n)
    return clients


async def readyz(sidecar):
    return await asyncio.to_thread(sidecar.get, "/readyz")


async def test_a_new_client_is_sent_away_with_a_reason(env):
    stack = await env.stack(sidecars=1, broker=limited(2))
    sidecar, port = stack.sidecars[0], stack.ports[0]
    there = await fill(env, stack, 2)

    transient = await env.connect(port, "transient")  # which is answered at once
    assert await transient.wait_closed() == 0x97
    assert transient.disconnect_props["reason_string"] == WHY
    durable = env.client("durable")
    connack = await durable.connect(port, clean=False, props={"session_expiry": 60})
    assert connack.code == 0x97 and connack.props["reason_string"] == WHY
    await durable.wait_closed()
    old = await env.connect(port, "old", mqtt.V311)
    await old.wait_closed()
    old = env.client("old-durable", mqtt.V311)
    assert (await old.connect(port, clean=False)).code == 3
    await old.wait_closed()
    for name in ("transient: closed, no room for its session: " + WHY, "durable: CONNECT refused with 0x97",
                 "old: closed, no room for its session: " + WHY, "old-durable: CONNECT refused with 0x97"):
        assert name in stack.log(sidecar), name
    assert await metric(sidecar, 'sqmqos_clients_refused_total{reason="sessions-full"}') == 4
    assert await metric(stack.broker, 'sqmqos_sessions_refused_total{reason="sessions-full"}') >= 4

    async def says():
        status, body = await readyz(sidecar)
        return status == 200 and LINE in body
    await eventually(says, "/readyz says why")
    # who is there stays, and comes back to what it has
    assert await there[0].publish("t", b"1", 1) == 0
    assert (await there[1].receive()).payload == b"1"
    await there[0].disconnect()
    await sessions(stack, 1)
    late = await env.connect(port, "transient")
    await late.subscribe("t")

    async def is_well():
        return await readyz(sidecar) == (200, "ok\n")
    await eventually(is_well, "/readyz has nothing to say any more")
    await late.publish("t", b"2", 1)
    assert (await late.receive()).payload == b"2"


async def test_a_client_that_comes_again_and_again_is_told_each_time(env):
    """Also where what the one before has left still waits for room."""
    stack = await env.stack(sidecars=1, broker=limited(1))
    there = await fill(env, stack, 1)
    for n in range(4):
        client = env.client("again")
        will = mqtt.Will("t", b"will %d" % n, 1) if n % 2 == 0 else None
        await client.connect(stack.ports[0], will=will)
        client.publish_nowait("t", b"%d" % n, 1)
        assert await client.wait_closed() == 0x97
    watcher = there[0]
    watcher.inbox.clear()
    await watcher.disconnect()

    async def gone():
        return await metric(stack.sidecars[0], "sqmqos_sessions") == 0
    await eventually(gone, "what had waited was sent, and nothing waits any more")


async def test_a_durable_session_is_found_and_replaced_on_a_full_broker(env):
    stack = await env.stack(sidecars=1, broker=limited(1))
    client = env.client("one")
    await client.connect(stack.ports[0], clean=False, props={"session_expiry": 60})
    await client.subscribe("t", qos=1)
    await client.disconnect()
    connack = await client.connect(stack.ports[0], clean=False, props={"session_expiry": 60})
    assert connack.code == 0 and connack.session_present
    await client.disconnect()
    again = await env.connect(stack.ports[0], "one")  # transient: it ends the durable one
    await again.subscribe("t")
    await again.publish("t", b"x", 1)
    assert (await again.receive()).payload == b"x"


async def test_who_was_there_before_waits_for_room(env):
    """The limit is lowered, and others are faster: keeper, outbox and clients wait."""
    file = AnnotationsFile(env.folder / "pod").write("work")
    stack = await env.stack(annotations=[file.path, None], sidecar={
        "outbox": {"mode": "disk", "dir": str(env.folder / "outbox")}, "declared": {"settle": 0}},
        broker={"engine": "memory"}, start=False)
    stack.sidecars[1].tree.pop("outbox")
    await stack.start()
    sidecar = stack.sidecars[0]
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("own")
    await eventually(lambda: "consumed" in stack.log(sidecar), "it consumes")
    await stack.end(stack.broker)
    for n in range(5):
        assert await app.publish("work", b"%d" % n, 1) == 0  # into the outbox
    sidecar.signal(signal.SIGSTOP)
    stack.broker.tree |= limited(4)
    stack.broker.start()
    await stack.ready(stack.broker)
    others = await fill(env, stack, 4)
    sidecar.signal(signal.SIGCONT)

    async def waits():
        status, body = await readyz(sidecar)
        return status == 200 and LINE in body
    await eventually(waits, "/readyz says that it waits")
    assert await metric(sidecar, "sqmqos_sessions_attached") == 0
    assert app.connected and not app.inbox
    for other in others:
        await other.disconnect()
    assert [int(m.payload) for m in await app.receive_all(5)] == list(range(5))
    await app.publish("own", b"own", 1)
    assert (await app.receive()).payload == b"own"
    assert app.connected
    assert await metric(sidecar, 'sqmqos_clients_refused_total{reason="sessions-full"}') == 0


async def test_a_new_pod_is_not_ready_and_says_why(env):
    file = AnnotationsFile(env.folder / "pod").write("work")
    stack = await env.stack(annotations=[file.path, None], broker=limited(1), start=False)
    for program in (stack.broker, stack.sidecars[1]):
        program.start()
    await stack.ready(stack.broker, stack.sidecars[1])
    there = await fill(env, stack, 1)
    sidecar = stack.sidecars[0].start()

    async def says():
        status, body = await readyz(sidecar)
        return status == 503 and LINE in body and "'work'" in body
    await eventually(says, "/readyz says why")
    await there[0].disconnect()
    await stack.ready(sidecar)
    env.check_leftovers = False


async def test_who_has_its_share_hears_that_it_is_the_share(env):
    """By its own space's name, and of nobody else."""
    stack = await env.stack(sidecars=2, start=False, broker={
        "limits": {"max-sessions": 100, "spaces": 4}, "spaces": {"shop": {"limits": {"sessions": 2}}}})
    for sidecar, space in zip(stack.sidecars, ("shop", "bank")):
        sidecar.tree["identity"]["space"] = space
    await stack.start()
    other = await env.connect(stack.ports[1], "other")
    await other.subscribe("t")
    there = [await env.connect(stack.ports[0], f"there-{i}") for i in range(2)]
    for client in there:
        await client.subscribe("t")
    await sessions(stack, 3)
    why = "the broker has no room for one more session: space shop has its share of sessions"
    connack = await env.client("durable").connect(stack.ports[0], clean=False,
                                                  props={"session_expiry": 60})
    assert connack.code == 0x97 and connack.props["reason_string"] == why, connack
    passing = await env.connect(stack.ports[0], "passing")
    assert await passing.wait_closed() == 0x97
    assert passing.disconnect_props["reason_string"] == why

    async def says():
        status, body = await readyz(stack.sidecars[0])
        return status == 200 and why in body
    await eventually(says, "/readyz says it, too")
    assert "bank" not in stack.log(stack.sidecars[0])

"""A queue's bounds hold over all that waits in it, also for a client that
acknowledges nothing and for one that is away, in the memory of the broker, too."""

from cluster import eventually, metric

KIB = 1 << 10
LIMIT = 4 << 20          # queue.max-bytes
SIZE = 250 * KIB         # of a payload; with its topic and header a message is below 256 KiB
FIT = LIMIT // SIZE      # so many fit
WINDOW = 2               # the stuck client's receive maximum
DURABLE = {"session_expiry": 1000}


async def fill(pub, topic, qos):
    """Publishes until nothing more is taken; how many were."""
    taken = 0
    for _ in range(4 * FIT):
        code = await pub.publish(topic, bytes(SIZE), qos)
        assert code in (0, 0x97), hex(code)
        taken += code == 0
    return taken


async def nothing_waits(stack):
    return [await metric(stack.broker, name) for name in
            ("sqmqos_queued_messages", "sqmqos_queued_bytes")] == [0, 0]


async def check(env, filters, qos):
    stack = await env.stack(broker={"queue": {"max-bytes": LIMIT}})
    a, b = stack.ports
    props = DURABLE | {"receive_maximum": WINDOW}
    sub = await env.connect(b, "sub", clean=False, ack="none", props=props)
    await sub.subscribe(filters, qos=qos)
    pub = await env.connect(a, "pub")
    taken = await fill(pub, "t", qos)
    assert taken == FIT + WINDOW, taken
    queued = await metric(stack.broker, "sqmqos_queued_bytes")
    assert queued <= LIMIT + WINDOW * 256 * KIB, queued
    sub.abort()
    sub.ack = "auto"
    await sub.connect(b, clean=False, props=DURABLE)
    await sub.receive_all(taken)
    assert await pub.publish("t", b"x", qos) == 0
    await sub.receive()
    await eventually(lambda: nothing_waits(stack), "nothing is left")


async def test_a_durable_client_that_acknowledges_nothing(env):
    await check(env, "t", 1)


async def test_a_durable_client_that_acknowledges_nothing_at_qos_2(env):
    await check(env, "t", 2)


async def test_a_durable_client_that_is_away(env):
    """The oldest are found also where the client had them within reach: they become
    dead letters, and the rest is within the bound."""
    stack = await env.stack(broker={"queue": {"max-bytes": LIMIT}})
    a, b = stack.ports
    letters = await env.connect(a, "letters")
    await letters.subscribe("$dead/#")
    sub = await env.connect(b, "sub", clean=False, ack="none",
                            props=DURABLE | {"receive_maximum": WINDOW})
    await sub.subscribe("t")
    pub = await env.connect(a, "pub")
    for _ in range(FIT):
        assert await pub.publish("t", bytes(SIZE), 1) == 0
    await sub.disconnect()
    taken = FIT + await fill(pub, "t", 1)
    assert taken == 5 * FIT
    await letters.receive_all(taken - FIT - WINDOW)

    async def bounded():  # the last letters count until the broker has their PUBACK
        return await metric(stack.broker, "sqmqos_queued_bytes") <= LIMIT + WINDOW * 256 * KIB
    await eventually(bounded, "what waits is within the bound")
    sub.ack = "auto"
    await sub.connect(b, clean=False, props=DURABLE)
    await sub.receive_all(FIT + WINDOW)
    await eventually(lambda: nothing_waits(stack), "nothing is left")


async def test_a_shared_subscription_whose_member_acknowledges_nothing(env):
    await check(env, "$share/group/t", 1)


async def test_a_message_above_the_packets_that_its_sidecar_takes(env):
    """limits.max-packet of a sidecar is of what its clients send; what others sent comes."""
    stack = await env.stack(start=False)
    stack.sidecars[0].tree["limits"] = {"max-packet": "64Ki"}
    await stack.start()
    subscriber = await env.connect(stack.ports[0], "subscriber")
    await subscriber.subscribe("large", qos=1)
    publisher = await env.connect(stack.ports[1], "publisher")
    for size in (300_000, 1):
        assert await publisher.publish("large", bytes(size), 1) == 0
        assert len((await subscriber.receive()).payload) == size
    assert "protocol" not in stack.log(stack.sidecars[0])

"""QoS 3 and what goes with it: keys, receipts, dead letters, delayed messages."""

import asyncio
import re

import clients
import mqtt
from cluster import eventually, metric


def user(m, name):
    """The first user property of that name, or None."""
    found = m.props.get("user") or []
    pairs = [found] if isinstance(found, tuple) else found
    return next((value for n, value in pairs if n == name), None)


def asks(**properties):
    """The user properties sqmqos-..., for a publish."""
    return {"user": [(f"sqmqos-{name}", str(value)) for name, value in properties.items()]}


async def dead_letters(env, stack, n):
    """Takes and acknowledges that many."""
    taker = await env.connect(stack.ports[1], "undertaker")
    assert await taker.subscribe("$dead/#", qos=2) == [2]
    letters = await taker.receive_all(n)
    await taker.ping()
    return letters


async def test_the_same_key_is_stored_once_whoever_sends_it(env):
    stack = await env.stack()
    sub = await env.connect(stack.ports[1], "sub", props={"session_expiry": 60})
    assert await sub.subscribe("orders/#", qos=2) == [2]
    first = await env.connect(stack.ports[0], "first")
    second = await env.connect(stack.ports[1], "second")
    key = asks(qos=3, key="order 17")
    assert await first.publish("orders/1", "one", 2, props=key) == 0
    assert await first.publish("orders/1", "again", 2, props=key) == 0
    assert await second.publish("orders/1", "from elsewhere", 2, props=key) == 0
    assert await first.publish("orders/1", "two", 2, props=asks(qos=3, key="order 18")) == 0
    assert [m.payload for m in await sub.receive_all(2)] == [b"one", b"two"]
    assert await metric(stack.broker, "sqmqos_messages_duplicate_total") == 2
    await sub.disconnect(0, {"session_expiry": 0})


async def test_a_key_of_mosquitto_pub(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await clients.mosquitto_sub(env, b, "t", qos=2)
    ask = ["-D", "publish", "user-property", "sqmqos-qos", "3",
           "-D", "publish", "user-property", "sqmqos-key", "k"]
    await clients.mosquitto_pub(env, a, "t", b"one", *ask, qos=2)
    await clients.mosquitto_pub(env, b, "t", b"copy", *ask, qos=2)
    await clients.mosquitto_pub(env, a, "t", b"plain", qos=2)
    assert [(await sub.next())[1] for _ in range(2)] == [b"one", b"plain"]
    await sub.end()


async def test_nobody_is_there(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    key = asks(qos=3, key="k")
    assert await pub.publish("t", "x", 2, props=key) == 0x10
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("t", qos=2)
    assert await pub.publish("t", "x", 2, props=key) == 0, "it was not stored before"
    assert (await sub.receive()).payload == b"x"


async def test_what_can_not_be_had_is_refused(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    for qos, ask in ((1, asks(qos=3)), (2, asks(qos=9)), (1, asks(delay="soon")),
                     (2, asks(qos=3, key="k" * 257)), (2, asks(qos=3, receipt="a/+")),
                     (1, asks(key="k")), (2, asks(kye="k")), (1, asks(ttl=60))):
        assert await pub.publish("t", "x", qos, props=ask) == 0x83, ask
    assert await pub.publish("$dead/t", "x", 1) == 0x90
    assert await pub.subscribe("$dead/t") == [0x8F]


async def test_a_key_alone_means_qos_3(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t", "x", 2, props=asks(key="k")) == 0x10, "nobody is there"
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("t", qos=2)
    for payload in ("one", "copy"):
        assert await pub.publish("t", payload, 2, props=asks(key="k")) == 0
    assert await pub.publish("t", "two", 2, props=asks(key="l")) == 0
    assert [m.payload for m in await sub.receive_all(2)] == [b"one", b"two"]
    assert await metric(stack.broker, "sqmqos_messages_duplicate_total") == 1


async def test_an_unknown_name_may_be_taken(env):
    stack = await env.stack(broker={"message": {"unknown-properties": "warn"}})
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("t", qos=1)
    pub = await env.connect(stack.ports[0], "pub")
    for _ in range(30):
        assert await pub.publish("t", "x", 1, props=asks(dealy=5)) == 0
    assert user((await sub.receive_all(30))[0], "sqmqos-dealy") == "5"
    assert await metric(stack.broker, "sqmqos_unknown_properties_total") == 30
    said = stack.log(stack.broker).count("sqmqos-dealy, did you mean sqmqos-delay?")
    assert 1 <= said <= 20, f"{said} lines for 30 messages"


async def test_each_target_gives_a_receipt(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    await pub.subscribe("receipts/mine", qos=1)
    one = await env.connect(stack.ports[1], "one", props={"session_expiry": 60})
    two = await env.connect(stack.ports[0], "two", ack="none")
    for sub in (one, two):
        await sub.subscribe("t", qos=2)
    ask = asks(qos=3, key="k", receipt="receipts/mine")
    assert await pub.publish("t", "x", 2, props=ask) == 0
    await one.receive()
    m = await pub.receive()
    assert (m.topic, m.qos, m.payload) == ("receipts/mine", 1, b"")
    assert user(m, "sqmqos-key") == "k"
    assert user(m, "sqmqos-outcome") == "acknowledged"
    assert "one" in user(m, "sqmqos-target")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user(m, "sqmqos-time"))
    assert not pub.inbox, "the other one has not acknowledged"
    held = await two.receive()
    two.ack = "auto"
    two.send_ack(mqtt.PUBREC, held.packet_id)
    assert "two" in user(await pub.receive(), "sqmqos-target")
    await one.disconnect(0, {"session_expiry": 0})


async def test_what_a_client_refuses_is_a_dead_letter(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    await pub.subscribe("receipts", qos=1)
    sub = await env.connect(stack.ports[1], "sub", ack="none", props={"session_expiry": 60})
    await sub.subscribe("orders/1", qos=2)
    ask = asks(qos=3, key="k", receipt="receipts")
    ask["content_type"] = "text/plain"
    assert await pub.publish("orders/1", "x", 2, props=ask) == 0
    sub.send_ack(mqtt.PUBREC, (await sub.receive()).packet_id, 0x83)
    sub.held.clear()
    assert user(await pub.receive(), "sqmqos-outcome") == "dead-lettered"
    letter, = await dead_letters(env, stack, 1)
    assert (letter.topic, letter.payload, letter.qos) == ("$dead/orders/1", b"x", 2)
    assert letter.props["content_type"] == "text/plain"
    assert user(letter, "sqmqos-key") == "k"
    assert user(letter, "sqmqos-dead-reason") == "rejected"
    assert "sub" in user(letter, "sqmqos-dead-queue")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user(letter, "sqmqos-dead-time"))
    await sub.disconnect(0, {"session_expiry": 0})


async def test_what_expires_is_a_dead_letter_at_qos_3_only(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    await pub.subscribe("receipts", qos=1)
    sub = await env.connect(stack.ports[1], "sub", props={"session_expiry": 60})
    await sub.subscribe("t", qos=2)
    await sub.disconnect()

    async def gone():
        return await metric(stack.broker, "sqmqos_sessions_attached") == 1
    await eventually(gone, "the subscriber is away")
    ask = asks(qos=3, receipt="receipts") | {"message_expiry": 1}
    assert await pub.publish("t", "plain", 2, props={"message_expiry": 1}) == 0
    assert await pub.publish("t", "assured", 2, props=ask) == 0
    await asyncio.sleep(1.2)
    await sub.connect(stack.ports[1], clean=False, props={"session_expiry": 60})
    assert user(await pub.receive(), "sqmqos-outcome") == "expired"
    letter, = await dead_letters(env, stack, 1)
    assert letter.payload == b"assured"
    assert "message_expiry" not in letter.props
    assert user(letter, "sqmqos-dead-reason") == "expired"
    assert await metric(stack.broker, 'sqmqos_messages_dropped_total{reason="expired"}') == 2
    assert not sub.inbox
    await sub.disconnect(0, {"session_expiry": 0})


async def test_a_delayed_message_comes_later_and_in_order(env):
    stack = await env.stack()
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("t", qos=1)
    pub = await env.connect(stack.ports[0], "pub")
    began = asyncio.get_running_loop().time()
    for n in range(20):
        assert await pub.publish("t", f"late {n}", 1, props=asks(delay=2)) == 0
    assert await pub.publish("t", "now", 1) == 0
    assert (await sub.receive()).payload == b"now"
    assert await metric(stack.broker, "sqmqos_delayed_messages") == 20
    assert [m.payload for m in await sub.receive_all(20)] == [b"late %d" % n for n in range(20)]
    assert asyncio.get_running_loop().time() - began >= 2, "it came before its time"
    assert await metric(stack.broker, "sqmqos_delayed_messages") == 0


async def test_it_all_outlives_the_broker(env):
    stack = await env.stack(
        broker={"engine": "embedded", "store": {"dir": str(env.folder / "store")}})
    pub = await env.connect(stack.ports[0], "pub")
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("t", qos=2)
    key = asks(qos=3, key="k")
    assert await pub.publish("t", "one", 2, props=key) == 0
    assert (await sub.receive()).payload == b"one"
    assert await pub.publish("kept", "retained", 1, retain=True) in (0, 0x10)
    assert await pub.publish("later", "delayed", 1, props=asks(delay=3)) == 0
    assert await pub.publish("nobody", "unmatched", 2, props=asks(qos=3, delay=1)) == 0

    async def dead():
        return await metric(stack.broker, "sqmqos_dead_letters_total") == 1
    await eventually(dead, "the one without a target is a dead letter")
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await sub.subscribe("later", "kept", qos=1)
    m = await sub.receive()
    assert (m.payload, m.retain) == (b"retained", True)
    assert await pub.publish("t", "copy", 2, props=key) == 0
    assert (await sub.receive()).payload == b"delayed"
    letter, = await dead_letters(env, stack, 1)
    assert letter.payload == b"unmatched"
    assert user(letter, "sqmqos-dead-reason") == "unmatched"
    assert not sub.inbox, "the copy was not stored"
    await pub.publish("kept", "", 1, retain=True)

"""MQTT in flows of several packets, as suites for both versions try them: what comes in
one segment, in another order, again, or through another sidecar."""

import asyncio
import struct

from conformance import case, cases, check, connect_packet
from mqtt import CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Will, packet, publish_packet
from scenario import scenario

DURABLE = {"session_expiry": 300}
BOTH = ((V311, None), (V5, DURABLE))


@scenario(timeout_s=120)
async def test_flows(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))


def pubrel(packet_id):
    return packet(PUBREL, struct.pack(">H", packet_id), 2)


async def forget(w, c):
    """Ends the session of 'c'."""
    c.abort()
    if c.connection is not None:
        await c.wait_closed()
    await c.connect(w.a, clean=True, props=None, resend=False)
    await c.disconnect()


@case
async def one_packet_id_for_all_in_one_segment(w):
    """Each exchange ends before the next one begins, as the client sends them."""
    for version in (V311, V5):
        topic = w.topic(str(version))
        sub = await w.subscriber(topic, suffix=f"sub{version}")
        raw = await w.raw_connected(version=version)

        def publish(payload, qos, topic=topic, version=version):
            return publish_packet(topic, payload, qos, False, False, 5, version, None)
        raw.send(publish(b"a", 2), pubrel(5), publish(b"b", 2), pubrel(5), publish(b"c", 1),
                 publish(b"d", 2), pubrel(5))
        kinds = [(await raw.packet())[0] for _ in range(7)]
        assert [k for k in kinds if k != PUBACK] == [PUBREC, PUBCOMP] * 3, kinds
        got = await sub.receive_all(4)
        assert sorted(m.payload for m in got) == [b"a", b"b", b"c", b"d"]
        assert [m.payload for m in got if m.qos == 2] == [b"a", b"b", b"d"]
        await w.nothing_comes(sub, topic)


@case
async def pubrels_in_any_order(w):
    for version in (V311, V5):
        topic = w.topic(str(version))
        sub = await w.subscriber(topic, suffix=f"sub{version}")
        raw = await w.raw_connected(version=version)
        for n in range(1, 6):
            raw.send(publish_packet(topic, b"%d" % n, 2, False, False, n, version, None))
            assert (await raw.expect(PUBREC)).u16() == n
        for n in (5, 3, 1, 2, 4):
            raw.send(pubrel(n))
            assert (await raw.expect(PUBCOMP)).data == struct.pack(">H", n)
        assert [m.payload for m in await sub.receive_all(5)] == [b"%d" % n for n in range(1, 6)]


@case
async def pubrel_is_the_first_after_the_return(w):
    """The id is known, at the other sidecar too; after a clean start it is not."""
    for version, props in BOTH:
        topic = w.topic(str(version))
        sub = await w.subscriber(topic, suffix=f"sub{version}")
        raw = await w.raw_connected(f"c{version}", version, w.a, flags=0, props=props)
        raw.send(publish_packet(topic, b"once", 2, False, False, 77, version, None))
        await raw.expect(PUBREC)
        raw.abort()
        raw = await w.raw(w.b)
        raw.send(connect_packet(w.id(f"c{version}"), version, 0, props=props), pubrel(77))
        assert (await raw.expect(CONNACK)).data[0] == 1
        assert (await raw.expect(PUBCOMP)).data == b"\0\x4d"
        assert (await sub.receive()).payload == b"once"
        raw.send(publish_packet(topic, b"two", 2, False, False, 78, version, None))
        await raw.expect(PUBREC)
        raw.abort()
        raw = await w.raw(w.a)
        raw.send(connect_packet(w.id(f"c{version}"), version), pubrel(78))
        assert (await raw.expect(CONNACK)).data[0] == 0
        assert (await raw.expect(PUBCOMP)).data == b"\0\x4e" + (b"\x92" if version == V5 else b"")


@case
async def two_connects_in_one_segment(w):
    for props in (None, DURABLE):
        raw = await w.raw()
        raw.send(connect_packet(w.id("x"), props=props), connect_packet(w.id("x"), props=props))
        assert (await raw.expect(CONNACK)).data[1] == 0
        assert await raw.ended() == 0x82
    await forget(w, w.client("x"))


@case
async def a_qos_2_message_again_and_again_takes_one_place(w):
    """Copies of it don't use up the server's Receive Maximum."""
    raw = await w.raw_connected()
    for n in range(30):
        raw.send(publish_packet(w.topic(), b"x", 2, False, n > 0, 7, V5, None))
        assert (await raw.expect(PUBREC)).u16() == 7
    raw.send(pubrel(7))
    assert (await raw.expect(PUBCOMP)).u16() == 7


@case
async def many_retained_messages_for_a_slow_client(w):
    pub = await w.connect("pub")
    sent = [pub.publish_nowait(w.topic(f"r/{n}"), b"%d" % n, 1, retain=True) for n in range(200)]
    await asyncio.gather(*sent)
    sub = await w.connect("sub", port=w.b, props={"receive_maximum": 3, "topic_alias_maximum": 2})
    await sub.subscribe((w.topic("r/+"), 2))
    got = await sub.receive_all(200)
    assert sorted(int(m.payload) for m in got) == list(range(200))
    assert all(m.retain for m in got)
    await asyncio.gather(*(pub.publish_nowait(w.topic(f"r/{n}"), b"", 1, retain=True)
                           for n in range(200)))


@case
async def a_retained_message_comes_for_each_subscription(w):
    """While the one before is being acknowledged, too, under the same packet identifier."""
    for version, props in BOTH:
        for qos in (0, 1, 2):
            for n in range(12):
                topic = w.topic(f"{version}/{qos}/{n}")
                c = w.client(f"c{version}{qos}{n}", version)
                await c.connect(w.b, clean=False, props=props)
                await c.publish(topic, b"kept", 2, retain=True)
                await asyncio.gather(*(c.subscribe((f, qos)) for f in (
                    topic, topic + "/#", w.topic(f"{version}/{qos}/+"))))
                await c.publish(topic, b"end", qos)
                got = []
                while (m := await c.receive()).payload != b"end":
                    got.append((m.topic, m.payload, m.retain))
                assert got == [(topic, b"kept", True)] * 3, got
                await c.publish(topic, b"", 1, retain=True)
                await forget(w, c)


@case
async def a_session_that_goes_on_gets_no_retained_messages(w):
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"kept", 1, retain=True)
    c = w.client("c")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic(), 1))
    assert (await c.receive()).payload == b"kept"
    for port in (w.b, w.a):
        await c.disconnect()
        await c.connect(port, clean=False, props=DURABLE)
    await w.nothing_comes(c, w.topic())
    await forget(w, c)
    await pub.publish(w.topic(), b"", 1, retain=True)


@case
async def a_will_that_is_asked_for_at_disconnect(w):
    """By 0x04, after its delay, or with the session."""
    sub = await w.subscriber(w.topic("#"))
    will = Will(w.topic("a"), b"a", 1, props={"will_delay": 200})
    c = await w.connect("c", props=DURABLE, will=will)
    await c.disconnect(4, {"session_expiry": 0})
    assert (await sub.receive()).topic == w.topic("a")
    will = Will(w.topic("b"), b"b", 1, True, props={"will_delay": 1})
    c = await w.connect("c", props=DURABLE, will=will)
    await c.disconnect(4)
    await sub.ping()
    assert not sub.inbox, "before its delay is over"
    assert (await sub.receive()).topic == w.topic("b")
    late = await w.subscriber(w.topic("b"), suffix="late")
    assert (await late.receive()).retain
    await late.publish(w.topic("b"), b"", 1, retain=True)
    await forget(w, c)


@case
async def a_shared_subscription_is_another_one(w):
    """It is neither replaced nor ended by the plain one of the same filter."""
    shared = f"$share/g/{w.topic()}"
    c = await w.connect("c", port=w.b)
    pub = await w.connect("pub")
    assert await c.subscribe((w.topic(), 1)) == [1]
    assert await c.unsubscribe(shared) == [0x11]
    await pub.publish(w.topic(), b"1", 1)
    assert (await c.receive()).payload == b"1"
    assert await c.subscribe((shared, 1)) == [1]
    assert await c.unsubscribe(w.topic()) == [0]
    assert await c.subscribe((shared, 0)) == [0]
    await pub.publish(w.topic(), b"2", 1)
    m = await c.receive()
    assert (m.payload, m.qos) == (b"2", 0)
    assert await c.unsubscribe(shared) == [0]
    assert await pub.publish(w.topic(), b"3", 1) == 0x10


@case
async def clean_start_while_the_old_connection_is_there(w):
    first = await w.connect("c", props=DURABLE)
    await first.subscribe((w.topic(), 1))
    second = w.client("c")
    assert not (await second.connect(w.a, clean=True, props=DURABLE)).session_present
    assert await first.wait_closed() == 0x8E
    assert await second.publish(w.topic(), b"x", 1) == 0x10
    await forget(w, second)

"""MQTT 3.1.1, statement by statement: what docs/conformance.md names that no other
test proves."""

import asyncio

from conformance import case, cases, check, connect_packet, will_payload
from mqtt import CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, \
    SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, V311, Will, binary, packet, publish_packet, text
from scenario import scenario


@scenario(timeout_s=120)
async def test_conformance_311(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))


@case(one_sidecar=True)
async def what_is_no_connect_has_no_connack(w):
    bad = {
        "reserved flag": connect_packet(w.id(), V311, flags=3),
        "no client id": packet(CONNECT, text("MQTT") + b"\4\2\0\0"),
        "id cut off": packet(CONNECT, text("MQTT") + b"\4\2\0\0\0\7abc"),
        "id not UTF-8": connect_packet(b"\xff", V311),
        "id with U+0000": connect_packet(b"a\0", V311),
        "user name not UTF-8": connect_packet(w.id(), V311, flags=0x82, payload=text(b"\xc3")),
        "user name missing": connect_packet(w.id(), V311, flags=0x82),
        "password missing": connect_packet(w.id(), V311, flags=0xC2, payload=text("u")),
        "password alone": connect_packet(w.id(), V311, flags=0x42, payload=binary(b"p")),
        "will missing": connect_packet(w.id(), V311, flags=6),
        "will cut off": connect_packet(w.id(), V311, flags=6, payload=text("t")),
        "will not announced": connect_packet(w.id(), V311, payload=will_payload("t", b"", V311)),
        "will topic not UTF-8": connect_packet(w.id(), V311, flags=6,
                                               payload=will_payload(b"\xed\xa0\x80", b"", V311)),
        "will topic with U+0000": connect_packet(w.id(), V311, flags=6,
                                                 payload=will_payload(b"a\0", b"", V311)),
        "will QoS 3": connect_packet(w.id(), V311, flags=0x1E, payload=will_payload("t", b"", V311)),
        "will QoS alone": connect_packet(w.id(), V311, flags=0x0A),
        "will retain alone": connect_packet(w.id(), V311, flags=0x22),
        "fixed header flags": connect_packet(w.id(), V311, first=0x11),
    }
    for what, data in bad.items():
        raw = await w.raw()
        raw.send(data)
        got = await raw.packet()
        assert got is None, (what, got)


@case
async def a_refused_connect_is_the_end(w):
    sub = await w.subscriber(w.topic(), version=V311)
    for data, code in ((connect_packet("", V311, flags=0), 2), (connect_packet(w.id(), 3), 1),
                       (connect_packet("x" * 65535, V311), 2)):
        raw = await w.raw()
        raw.send(data, publish_packet(w.topic(), b"x", 0, False, False, 0, V311, None), packet(PINGREQ))
        assert (await raw.expect(CONNACK)).data == bytes([0, code])
        assert await raw.packet() is None
    await w.nothing_comes(sub, w.topic())


@case
async def a_violation_ends_the_connection_and_the_will_is_published(w):
    """Nothing is sent before the end: this version has no words for it."""
    sub = await w.subscriber(w.topic())
    bad = [packet(DISCONNECT, b"", 1), packet(DISCONNECT, b"\0"), packet(PINGREQ, b"", 2),
           packet(SUBSCRIBE, b"\0\1" + text("t") + b"\0"), packet(PUBREL, b"\0\1"), packet(15),
           packet(CONNACK, b"\0\0"), packet(SUBACK, b"\0\1\0"), packet(PUBLISH, text("t"), 6),
           packet(PUBLISH, text("+")), packet(PUBLISH, text("")), connect_packet(w.id(), V311),
           packet(SUBSCRIBE, b"\0\1" + text("") + b"\0", 2), packet(UNSUBSCRIBE, b"\0\1" + text(""), 2),
           packet(PUBACK, b"\0\1\0"), packet(PUBREC, b"\0\1\0\0")]
    for n, data in enumerate(bad):
        raw = await w.raw_connected(version=V311, flags=6,
                                    payload=will_payload(w.topic(), b"%d" % n, V311))
        raw.send(data)
        got = await raw.packet()
        assert got is None, (data, got)
        assert (await sub.receive()).payload == b"%d" % n


@case
async def retained_messages_outlive_the_session(w):
    c = w.client("c", V311)
    await c.connect(w.a, clean=False)
    await c.subscribe((w.topic(), 1))
    await c.publish(w.topic(), b"kept", 1, retain=True)
    await c.receive()
    await c.disconnect()
    await c.connect(w.a, clean=True)
    await c.disconnect()
    late = await w.subscriber(w.topic(), version=V311)
    m = await late.receive()
    assert (m.payload, m.retain) == (b"kept", True)
    await late.publish(w.topic(), b"", 1, retain=True)


@case
async def qos_0_replaces_what_was_retained(w):
    pub = await w.connect("pub", V311)
    live = await w.subscriber(w.topic(), version=V311)
    await pub.publish(w.topic(), b"old", 2, retain=True)
    await pub.publish(w.topic(), b"new", 0, retain=True)
    await live.receive_all(2)
    late = await w.subscriber(w.topic(), suffix="late", version=V311)
    m = await late.receive()
    assert (m.payload, m.qos, m.retain) == (b"new", 0, True)
    await pub.publish(w.topic(), b"", 0, retain=True)
    assert (await live.receive()).payload == b""
    none = await w.subscriber(w.topic(), suffix="none", version=V311)
    await w.nothing_comes(none, w.topic())


@case
async def what_suback_has(w):
    raw = await w.raw_connected(version=V311)
    for qos in (0, 1, 2):
        raw.send(packet(SUBSCRIBE, b"\1\0" + text(w.topic(str(qos))) + bytes([qos]), 2))
        assert (await raw.expect(SUBACK)).data == b"\1\0" + bytes([qos])
    raw.send(packet(UNSUBSCRIBE, b"\2\0" + text(w.topic("0")) + text("never"), 2))
    assert (await raw.expect(UNSUBACK)).data == b"\2\0"
    for options in (3, 4, 8, 0x10, 0x40, 0x80):
        raw = await w.raw_connected(version=V311)
        raw.send(packet(SUBSCRIBE, b"\0\1" + text(w.topic()) + bytes([options]), 2))
        assert await raw.packet() is None, options


@case
async def qos_2_of_one_id_again_and_again(w):
    sub = await w.subscriber(w.topic(), version=V311)
    raw = await w.raw_connected(version=V311)
    for n in range(3):
        for dup in (False, True):
            raw.send(publish_packet(w.topic(), b"%d" % n, 2, False, dup, 9, V311, None))
            assert (await raw.expect(PUBREC)).data == b"\0\x09"
        for _ in range(2):
            raw.send(packet(PUBREL, b"\0\x09", 2))
            assert (await raw.expect(PUBCOMP)).data == b"\0\x09"
    got = await sub.receive_all(3)
    assert [(m.payload, m.qos, m.dup) for m in got] == [(b"%d" % n, 2, False) for n in range(3)]
    await w.nothing_comes(sub, w.topic())


@case
async def unsubscribe_finishes_what_was_sent(w):
    raw = await w.raw_connected(version=V311, port=w.b)
    raw.send(packet(SUBSCRIBE, b"\0\1" + text(w.topic()) + b"\2", 2))
    await raw.expect(SUBACK)
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"x", 2)
    r = await raw.expect(PUBLISH)
    r.str()
    packet_id = r.take(2)
    raw.send(packet(UNSUBSCRIBE, b"\0\2" + text(w.topic()), 2))
    await raw.expect(UNSUBACK)
    raw.send(packet(PUBREC, packet_id))
    assert (await raw.expect(PUBREL)).data == packet_id
    raw.send(packet(PUBCOMP, packet_id), packet(PINGREQ))
    await raw.expect(PINGRESP)


@case
async def unsuback_does_not_say_what_is_not_so(w):
    """A packet of more filters than are taken: the connection ends, and the session stays as it was."""
    c = w.client("c", V311)
    await c.connect(w.b, clean=False)
    await c.subscribe((w.topic(), 1))
    c.send(packet(UNSUBSCRIBE, b"\0\7" + text(w.topic()) * 3000, 2))
    await c.wait_closed()
    assert not c.errors, "no UNSUBACK"
    assert (await c.connect(w.b, clean=False)).session_present
    await c.publish(w.topic(), b"still there", 1)
    assert (await c.receive()).payload == b"still there"
    await c.disconnect()
    await c.connect(w.a, clean=True)
    await c.disconnect()


@case
async def pubrel_follows_the_order_of_pubrec(w):
    raw = await w.raw_connected(version=V311, port=w.b)
    raw.send(packet(SUBSCRIBE, b"\0\1" + text(w.topic()) + b"\2", 2))
    await raw.expect(SUBACK)
    pub = await w.connect("pub")
    ids = []
    for n in range(10):
        await pub.publish(w.topic(), b"%d" % n, 2)
        r = await raw.expect(PUBLISH)
        r.str()
        ids.append(r.take(2))
    order = ids[5:] + ids[:5]
    raw.send(*(packet(PUBREC, packet_id) for packet_id in order))
    assert [(await raw.expect(PUBREL)).data for _ in ids] == order
    raw.send(*(packet(PUBCOMP, packet_id) for packet_id in ids))


@case(one_sidecar=True)
async def a_silent_client_leaves_its_will(w):
    sub = await w.subscriber(w.topic())
    silent = await w.connect("silent", V311, keep_alive=1, will=Will(w.topic(), b"w", 1))
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await sub.receive()).payload == b"w"
    assert loop.time() - start > 1.4, "before one and a half times the keep alive"
    assert await silent.wait_closed() is None

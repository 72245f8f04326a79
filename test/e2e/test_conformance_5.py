"""MQTT 5.0, statement by statement: what docs/conformance.md names that no other test
proves, and what a suite for one packet after another would try."""

import asyncio
import struct

from cluster import eventually, metric
from conformance import case, cases, check, connect_packet, will_payload
from mqtt import AUTH, CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, \
    PUBREC, PUBREL, REASONS, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, V5, V311, Reader, Will, \
    binary, packet, properties, publish_packet, text
from scenario import scenario

DURABLE = {"session_expiry": 300}
NO_LOCAL, IF_NEW = 4, 0x10
ID_1 = b"\0\1"


@scenario(timeout_s=120)
async def test_conformance_5(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))
    # what clients refused are dead letters now, which nobody else may see
    letters = await env.connect(stack.ports[0], "letters")
    await letters.subscribe(("$dead/#", 2))

    async def taken():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(taken, "all letters are taken")


def packet_size(body):
    return 2 + len(body) + (len(body) > 127)


async def last_packets(raw):
    """What comes until the end of the connection, as (type, body)."""
    got = []
    while (p := await raw.packet()) is not None:
        got.append((p[0], p[2].data))
    return got


async def forget(w, c):
    """Ends the session of 'c'."""
    c.abort()
    if c.connection is not None:
        await c.wait_closed()
    await c.connect(w.a, clean=True, props=None, resend=False)
    await c.disconnect()


# ---- CONNECT and CONNACK

@case(one_sidecar=True)
async def a_refusing_connack_fits_the_client(w):
    """Its words are left out where the client has no room for them."""
    for most in (8, 16, 40, 200):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), props={"maximum_packet_size": most, "auth_method": "x"}))
        got = await last_packets(raw)
        assert [kind for kind, _ in got] == [CONNACK] and got[0][1][1] == 0x8C, got
        assert packet_size(got[0][1]) <= most, (most, got)


@case
async def a_refused_connect_is_the_end(w):
    """One CONNACK, no DISCONNECT, and what follows it is not looked at."""
    sub = await w.subscriber(w.topic())
    refused = {
        "method": connect_packet(w.id(), props={"auth_method": "x"}),
        "level": connect_packet(w.id(), 6),
        "flag": connect_packet(w.id(), flags=3),
        "id": connect_packet("x" * 60000),
        "property": connect_packet(w.id(), props={"topic_alias": 1}),
    }
    for what, data in refused.items():
        raw = await w.raw()
        raw.send(data, publish_packet(w.topic(), what.encode(), 0, False, False, 0, V5, None),
                 packet(PINGREQ))
        got = await last_packets(raw)
        assert [kind for kind, _ in got] in ([], [CONNACK]), (what, got)
        for _, body in got:
            assert body[0] == 0 and body[1] >= 0x80, (what, body)
    await w.nothing_comes(sub, w.topic())


@case(one_sidecar=True)
async def what_the_connect_flags_announce_is_there(w):
    for flags, payload in ((6, b""), (6, b"\0"), (6, properties(None) + text("t")),
                           (0x86, will_payload("t")), (0xC6, will_payload("t") + text("user")),
                           (2, will_payload("t")), (0x42, b"")):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), flags=flags, payload=payload))
        assert await raw.ended() in (None, 0x81, 0x82), (flags, payload)
    raw = await w.raw()
    raw.send(connect_packet(w.id("all"), flags=0xC6, payload=will_payload("t", b"w") + text("user") +
                            binary(b"password")))
    assert (await raw.expect(CONNACK)).data[1] == 0


@case(one_sidecar=True)
async def strings_of_connect_are_utf_8(w):
    for flags, payload, props in (
            (0x82, text(b"\xff\xfe"), None), (0x82, text(b"a\0"), None),
            (0x82, text(b"\xed\xa0\x80"), None), (2, b"", {"user": (b"\xff", "v")}),
            (2, b"", {"user": ("k", b"\xc0\xaf")}), (2, b"", {"user": ("k\0", "v")}),
            (2, b"", {"auth_method": b"\xff"}),
            (6, will_payload("t", props={"content_type": b"\xff"}), None),
            (6, will_payload("t", props={"user": ("k", b"\xff")}), None)):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), flags=flags, payload=payload, props=props))
        assert await raw.ended() in (None, 0x81, 0x82), (flags, payload, props)


@case(one_sidecar=True)
async def what_connack_says(w):
    allowed = {"maximum_packet_size", "topic_alias_maximum", "receive_maximum", "server_keep_alive",
               "session_expiry", "user"}
    for props in (None, {"request_response": 0}, {"request_response": 1}, {"request_problem": 0}):
        c = await w.connect("c", props=props)
        assert set(c.connack.props) <= allowed, c.connack.props
        await c.disconnect()


@case(one_sidecar=True)
async def bad_properties_of_a_will(w):
    twice = {"will_delay": 1, "payload_format": 1, "message_expiry": 1, "content_type": "a",
             "response_topic": "a", "correlation_data": b"a"}
    for name, value in twice.items():
        encoded = properties({name: value})[1:]
        raw = await w.raw()
        raw.send(connect_packet(w.id(), flags=6, payload=bytes([2 * len(encoded)]) + 2 * encoded +
                                text("t") + binary(b"")))
        assert await raw.ended() == 0x82, name
    raw = await w.raw()
    raw.send(connect_packet(w.id(), flags=0x1E, payload=will_payload("t")))  # QoS 3
    assert await raw.ended() in (0x81, 0x82)


@case
async def a_session_may_end_with_its_last_connection(w):
    c = w.client("c")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic(), 1))
    await c.disconnect()
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"waits", 1)
    assert (await c.connect(w.a, clean=False)).session_present  # without an expiry
    assert (await c.receive()).payload == b"waits"
    await c.disconnect()
    assert not (await c.connect(w.b, clean=False)).session_present
    await c.disconnect()


@case
async def a_will_is_published_once(w):
    sub = await w.subscriber(w.topic())
    c = w.client("c")
    await c.connect(w.a, will=Will(w.topic(), b"w", 1), props=DURABLE)
    c.abort()
    assert (await sub.receive()).payload == b"w"
    await c.wait_closed()
    await c.connect(w.b, clean=False, props=DURABLE)  # without a will now
    c.abort()
    await c.wait_closed()
    await c.connect(w.b, clean=False)
    await c.disconnect(4)  # with will, and there is none
    await w.nothing_comes(sub, w.topic())


@case(one_sidecar=True)
async def a_disconnect_of_the_server_is_the_last_packet(w):
    raw = await w.raw_connected()
    raw.send(packet(SUBSCRIBE, ID_1 + properties(None) + text(w.topic()) + b"\0", 2))
    await raw.expect(SUBACK)
    raw.send(packet(PUBLISH, text("a/#") + b"\0x"), packet(PINGREQ),
             publish_packet(w.topic(), b"x", 0, False, False, 0, V5, None))
    got = await last_packets(raw)
    assert [kind for kind, _ in got] == [DISCONNECT], got
    assert got[0][1][0] in (0x81, 0x82, 0x90)


@case
async def every_reason_of_disconnect(w):
    """But for normal ones, the will is published; codes of a server are errors."""
    sub = await w.subscriber(w.topic())
    for code in (4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
        c = await w.connect("c", will=Will(w.topic(), b"%d" % code, 1))
        await c.disconnect(code, {"reason_string": "why", "user": [("a", "b"), ("a", "c")]})
        assert (await sub.receive()).payload == b"%d" % code
    for code in (1, 2, 0x18, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x9A, 0x9C, 0xA2, 0xFF):
        raw = await w.raw_connected(flags=6, payload=will_payload(w.topic(), b"bad%d" % code))
        raw.send(packet(DISCONNECT, bytes([code])))
        assert await raw.ended() in (0x81, 0x82), hex(code)
        assert (await sub.receive()).payload == b"bad%d" % code


@case(one_sidecar=True)
async def auth_without_a_method(w):
    for data in (packet(AUTH), packet(AUTH, b"\x19"), packet(AUTH, b"\x19\0"), packet(AUTH, b"\0\0"),
                 packet(AUTH, b"\x19" + properties({"auth_method": "x"})),
                 packet(AUTH, b"\x18" + properties({"auth_method": "x"}), 1),
                 packet(AUTH, b"\x77" + properties({"auth_method": "x"}))):
        raw = await w.raw_connected()
        raw.send(data)
        assert await raw.ended() in (0x81, 0x82, 0x8C), data
    raw = await w.raw()
    raw.send(packet(AUTH, b"\x18" + properties({"auth_method": "x"})))  # before CONNECT
    assert await raw.packet() is None


# ---- properties

@case(one_sidecar=True)
async def user_properties_may_be_anywhere(w):
    p = properties({"user": [("a", "b"), ("a", "b"), ("", "")]})
    words = properties({"reason_string": "ok", "user": ("a", "b")})
    raw = await w.raw()
    raw.send(connect_packet(w.id(), props={"user": [("a", "b"), ("a", "b")]}))
    assert (await raw.expect(CONNACK)).data[1] == 0
    raw.send(packet(SUBSCRIBE, ID_1 + p + text(w.topic()) + b"\2", 2))
    assert (await raw.expect(SUBACK)).data == b"\0\1\0\2"
    for n, qos in enumerate((1, 2)):
        raw.send(publish_packet(w.topic(), b"x", qos, False, False, 7 + n, V5, None))
    seen = set()
    while seen != {PUBACK, PUBREC, PUBREL, PUBCOMP}:
        kind, flags, r = await raw.packet()
        seen.add(kind if kind != PUBLISH else 0)
        seen.discard(0)
        if kind == PUBLISH:
            r.str()
            raw.send(packet(PUBACK if flags & 2 else PUBREC, struct.pack(">H", r.u16()) + b"\0" + words))
        elif kind == PUBREC:
            raw.send(packet(PUBREL, struct.pack(">H", r.u16()) + b"\0" + words, 2))
        elif kind == PUBREL:
            raw.send(packet(PUBCOMP, struct.pack(">H", r.u16()) + b"\0" + words))
    raw.send(packet(UNSUBSCRIBE, ID_1 + p + text(w.topic()), 2))
    assert (await raw.expect(UNSUBACK)).data == b"\0\1\0\0"
    raw.send(packet(DISCONNECT, b"\0" + words))
    assert await raw.ended() is None


@case(one_sidecar=True)
async def properties_that_must_not_repeat(w):
    word = properties({"reason_string": "x"})[1:]
    expiry = properties({"session_expiry": 1})[1:]
    sub_id = properties({"subscription_id": 5})[1:]

    def block(one):
        return bytes([2 * len(one)]) + 2 * one
    for data in (packet(PUBACK, ID_1 + b"\0" + block(word)), packet(PUBREC, ID_1 + b"\0" + block(word)),
                 packet(PUBREL, ID_1 + b"\0" + block(word), 2), packet(PUBCOMP, ID_1 + b"\0" + block(word)),
                 packet(DISCONNECT, b"\0" + block(word)), packet(DISCONNECT, b"\0" + block(expiry)),
                 packet(SUBSCRIBE, ID_1 + block(sub_id) + text("t") + b"\0", 2)):
        raw = await w.raw_connected(props=DURABLE)
        raw.send(data)
        assert await raw.ended() == 0x82, data
        await forget(w, w.client("raw"))
    misplaced = properties({"session_expiry": 1})
    for data in (packet(PUBACK, ID_1 + b"\0" + misplaced), packet(SUBSCRIBE, ID_1 + misplaced + text("t") + b"\0", 2),
                 packet(UNSUBSCRIBE, ID_1 + misplaced + text("t"), 2),
                 packet(DISCONNECT, b"\0" + properties({"topic_alias": 1}))):
        raw = await w.raw_connected()
        raw.send(data)
        assert await raw.ended() in (0x81, 0x82), data


# ---- expiry

@case
async def messages_expire_while_they_wait(w):
    c = w.client("c")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic(), 2))
    await c.disconnect()
    pub = await w.connect("pub")
    for qos in (1, 2):
        await pub.publish(w.topic(), b"short", qos, props={"message_expiry": 1})
        await pub.publish(w.topic(), b"%d" % qos, qos, props={"message_expiry": 100})
    await pub.publish(w.topic(), b"ever", 1)
    await asyncio.sleep(1.3)
    await c.connect(w.a, clean=False, props=DURABLE)
    got = await c.receive_all(3)
    assert [m.payload for m in got] == [b"1", b"2", b"ever"]
    assert all(90 <= m.props["message_expiry"] <= 99 for m in got[:2]), got
    assert "message_expiry" not in got[2].props
    for qos in (0, 1, 2):  # it has passed at once, also for who is there
        await pub.publish(w.topic(), b"never", qos, props={"message_expiry": 0})
    await pub.publish(w.topic(), b"after", 1)
    assert (await c.receive()).payload == b"after"
    await forget(w, c)


@case
async def what_was_sent_at_qos_2_does_not_expire(w):
    c = w.client("c", ack="none")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic(), 2))
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"started", 2, props={"message_expiry": 1})
    first = await c.receive()
    c.abort()
    await c.wait_closed()
    await asyncio.sleep(1.3)
    c.held.clear()
    c.ack = "auto"
    assert (await c.connect(w.a, clean=False, props=DURABLE)).session_present
    again = await c.receive()
    assert (again.payload, again.packet_id, again.dup) == (b"started", first.packet_id, True)
    await c.ping()
    await forget(w, c)


@case
async def an_exchange_goes_on_after_the_message_expired(w):
    sub = await w.raw_connected("sub", port=w.b)
    sub.send(packet(SUBSCRIBE, ID_1 + properties(None) + text(w.topic()) + b"\2", 2))
    await sub.expect(SUBACK)
    raw = await w.raw_connected()
    raw.send(publish_packet(w.topic(), b"x", 2, False, False, 9, V5, {"message_expiry": 1}))
    await raw.expect(PUBREC)
    r = await sub.expect(PUBLISH)
    r.str()
    packet_id = struct.pack(">H", r.u16())
    await asyncio.sleep(1.3)
    raw.send(packet(PUBREL, b"\0\x09", 2))
    assert (await raw.expect(PUBCOMP)).data == b"\0\x09"
    sub.send(packet(PUBREC, packet_id))
    assert (await sub.expect(PUBREL)).data == packet_id
    sub.send(packet(PUBCOMP, packet_id), packet(PINGREQ))
    await sub.expect(PINGRESP)


# ---- flow control

@case
async def an_exhausted_quota_holds_nothing_else(w):
    c = w.client("c", ack="none")
    await c.connect(w.b, props={"receive_maximum": 1})
    await c.subscribe((w.topic(), 2))
    pub = await w.connect("pub")
    for n in range(3):
        await pub.publish(w.topic(), b"%d" % n, 1)
    first = await c.receive()
    await c.ping()
    assert await c.subscribe((w.topic("other"), 0)) == [0]
    assert await c.unsubscribe(w.topic("nothing")) == [0x11]
    assert await c.publish(w.topic("other"), b"own", 1) == 0
    assert await c.publish(w.topic("other"), b"own", 2) == 0
    await c.ping()
    assert all(m.qos == 0 for m in c.inbox), list(c.inbox)  # which may be held, too
    c.ack = "auto"
    c.send_ack(PUBACK, first.packet_id)
    got = sorted(m.payload for m in await c.receive_all(4))
    assert got == [b"1", b"2", b"own", b"own"]


@case
async def a_refusing_acknowledgement_ends_the_delivery(w):
    """PUBACK or PUBREC of 0x80 or above makes room, and the message does not come again."""
    for code in (0x80, 0x83, 0x97, 0x99):
        c = w.client(f"c{code}", ack="none")
        topic = w.topic(str(code))
        props = DURABLE | {"receive_maximum": 1}
        await c.connect(w.b, props=props)
        await c.subscribe((topic, 2))
        pub = await w.connect(f"pub{code}")
        for n, qos in enumerate((1, 2, 1)):
            await pub.publish(topic, b"%d" % n, qos)
        for n, kind in enumerate((PUBACK, PUBREC)):
            m = await c.receive()
            assert m.payload == b"%d" % n
            c.send_ack(kind, m.packet_id, code)
        assert (await c.receive()).payload == b"2"
        c.abort()
        await c.wait_closed()
        c.held.clear()
        c.ack = "auto"
        await c.connect(w.a, clean=False, props=props)
        m = await c.receive()
        assert (m.payload, m.dup) == (b"2", True)
        await c.ping()
        assert not c.inbox
        await forget(w, c)


@case
async def what_is_too_large_is_as_good_as_sent(w):
    """It takes no room, at any QoS, and what comes next is delivered."""
    c = w.client("c")
    await c.connect(w.b, props=DURABLE | {"receive_maximum": 1, "maximum_packet_size": 200})
    await c.subscribe((w.topic(), 2))
    pub = await w.connect("pub")
    for qos in (0, 1, 2, 2, 1, 0):
        await pub.publish(w.topic(), b"x" * 300, qos)
        await pub.publish(w.topic(), b"%d" % qos, qos)
        m = await c.receive()
        assert (m.payload, m.qos) == (b"%d" % qos, qos)
    await c.disconnect()
    await pub.publish(w.topic(), b"y" * 300, 1)
    await pub.publish(w.topic(), b"end", 1)
    await c.connect(w.a, clean=False, props=DURABLE | {"maximum_packet_size": 200})
    assert (await c.receive()).payload == b"end"
    await forget(w, c)


@case(one_sidecar=True)
async def the_largest_packet_is_taken(w):
    c = await w.connect("c")
    sub = await w.subscriber(w.topic())
    limit = c.connack.props["maximum_packet_size"]
    room = limit - len(publish_packet(w.topic(), b"", 1, False, False, 1, V5, None)) - 3
    assert await c.publish(w.topic(), b"x" * room, 1) == 0
    assert len((await sub.receive()).payload) == room


# ---- QoS and acknowledgements

@case
async def a_packet_id_is_free_after_its_acknowledgement(w):
    for version in (V311, V5):
        sub = await w.subscriber(w.topic(str(version)), suffix=f"sub{version}")
        raw = await w.raw_connected(version=version)
        for n, dup in enumerate((False, True, False, True)):
            raw.send(publish_packet(w.topic(str(version)), b"%d" % n, 1, False, dup, 5, version, None))
            assert (await raw.expect(PUBACK)).data[:2] == b"\0\5"
        got = await sub.receive_all(4)
        assert [(m.payload, m.dup) for m in got] == [(b"%d" % n, False) for n in range(4)]


@case
async def packet_ids_in_flight_differ(w):
    for version in (V311, V5):
        c = w.client(f"c{version}", version, ack="none")
        await c.connect(w.b)
        await c.subscribe((w.topic(), 2))
        pub = await w.connect(f"pub{version}")
        for n in range(200):
            pub.publish_nowait(w.topic(), b"", 1 + n % 2)
        got = await c.receive_all(200)
        ids = [m.packet_id for m in got]
        assert len(set(ids)) == 200 and 0 not in ids
        assert not any(m.dup for m in got)
        await forget(w, c)


@case
async def a_refused_packet_id_is_free(w):
    sub = await w.subscriber(w.topic())
    raw = await w.raw_connected()
    raw.send(publish_packet("$SYS/no", b"refused", 2, False, False, 9, V5, None))
    assert (await raw.expect(PUBREC)).data[:3] == b"\0\x09\x90"
    raw.send(publish_packet(w.topic(), b"new", 2, False, False, 9, V5, None))
    assert (await raw.expect(PUBREC)).data[:3] in (b"\0\x09", b"\0\x09\0")
    raw.send(packet(PUBREL, b"\0\x09", 2))
    assert (await raw.expect(PUBCOMP)).data == b"\0\x09"
    m = await sub.receive()
    assert (m.payload, m.qos) == (b"new", 2)


async def answers(w, **options):
    """What the server answers to everything that it refuses: (type, body) of each. An
    UNSUBACK that refuses has thousands of codes; a small client's has no room for it."""
    raw = await w.raw_connected("answers", **options)
    empty = properties(None)
    got = []
    for kind, data in (
            (PUBACK, publish_packet("$SYS/no", b"", 1, False, False, 1, V5, None)),
            (PUBREC, publish_packet("$SYS/no", b"", 2, False, False, 2, V5, None)),
            (PUBREL, packet(PUBREC, b"\0\3")), (PUBCOMP, packet(PUBREL, b"\0\4", 2)),
            (SUBACK, packet(SUBSCRIBE, b"\0\5" + empty + text("$dead/no") + b"\0", 2)),
            (UNSUBACK, packet(UNSUBSCRIBE, b"\0\6" + empty + text("t") * 3000, 2)),
            (DISCONNECT, packet(PINGRESP))):
        if kind == UNSUBACK and "maximum_packet_size" in options.get("props", {}):
            continue
        raw.send(data)
        got.append((kind, (await raw.expect(kind)).data))
    assert await raw.packet() is None
    return got


def taken_apart(kind, body):
    """(reason codes, properties) of a packet from the server."""
    r = Reader(body)
    if kind == DISCONNECT:
        return [r.u8()], r.properties() if r.left() else {}
    r.u16()
    if kind in (SUBACK, UNSUBACK):
        props = r.properties()
        return list(r.take(r.left())), props
    return [r.u8() if r.left() else 0], r.properties() if r.left() else {}


@case(one_sidecar=True)
async def every_answer_has_a_code_of_its_own(w):
    """The clients of all tests check the same of what they get."""
    for kind, body in await answers(w):
        codes, props = taken_apart(kind, body)
        assert set(codes) <= REASONS[kind], (kind, body)
        assert codes[0] >= 0x80, (kind, body)
        assert set(props) <= {"reason_string"}
        if kind in (PUBREL, PUBCOMP):
            assert not props
    with_words = [k for k, body in await answers(w) if "reason_string" in taken_apart(k, body)[1]]
    assert with_words == [PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT]


@case(one_sidecar=True)
async def words_have_room_and_are_wanted(w):
    plain = [(kind, taken_apart(kind, body)[0]) for kind, body in await answers(w)
             if kind != UNSUBACK]
    for kind, body in await answers(w, props={"request_problem": 0}):
        assert kind == DISCONNECT or not taken_apart(kind, body)[1], (kind, body)
    for most in (25, 30, 50, 100):
        got = []
        for kind, body in await answers(w, props={"maximum_packet_size": most}):
            assert packet_size(body) <= most, (most, kind, body)
            got.append((kind, taken_apart(kind, body)[0]))
        assert got == plain


@case
async def aliases_end_with_the_connection(w):
    props = DURABLE | {"topic_alias_maximum": 5}
    c = w.client("c")
    await c.connect(w.b, props=props)
    await c.subscribe((w.topic(), 1))
    pub = await w.connect("pub")
    for n in range(2):
        await pub.publish(w.topic(), b"%d" % n, 1)
    got = await c.receive_all(2)
    assert got[1].topic == "" and got[1].props["topic_alias"] == got[0].props["topic_alias"]
    for port, again in ((w.a, props), (w.b, DURABLE)):
        await c.disconnect()
        await c.connect(port, clean=False, props=again)
        await pub.publish(w.topic(), b"new", 1)
        m = await c.receive()  # which may be an older one again, at the other sidecar
        assert m.topic == w.topic(), "an alias of another connection"
        assert ("topic_alias" in m.props) == (again is props)
        while m.payload != b"new":
            m = await c.receive()
    await forget(w, c)


# ---- subscriptions

@case
async def no_local_concerns_its_own_subscription(w):
    """A copy for the overlapping one without it, and only its identifier."""
    c = await w.connect("c")
    await c.subscribe((w.topic("a/#"), 2 | NO_LOCAL), props={"subscription_id": 1})
    await c.subscribe((w.topic("a/b"), 1), props={"subscription_id": 2})
    await c.publish(w.topic("a/b"), b"own", 2)
    m = await c.receive()
    assert (m.payload, m.qos, m.props["subscription_id"]) == (b"own", 1, [2])
    other = await w.connect("other", port=w.b)
    await other.publish(w.topic("a/b"), b"other", 2)
    ids = []
    while len(ids) < 2:
        m = await c.receive()
        assert m.payload == b"other"
        ids += m.props["subscription_id"]
    assert sorted(ids) == [1, 2]


@case(one_sidecar=True)
async def thousands_of_filters_in_one_packet(w):
    c = await w.connect("c")
    names = [w.topic(str(n)) for n in range(2000)]
    assert await c.subscribe(*[(name, n % 3) for n, name in enumerate(names)]) == \
        [n % 3 for n in range(2000)]
    await c.publish(names[1999], b"x", 1)
    assert (await c.receive()).topic == names[1999]
    codes = await c.unsubscribe(*names, w.topic("none"))
    assert codes == [0] * 2000 + [0x11]


@case
async def retain_handling_of_a_session_that_goes_on(w):
    """A subscription that is still there is not a new one."""
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"kept", 1, retain=True)
    c = w.client("c")
    await c.connect(w.b, props=DURABLE)
    assert await c.subscribe((w.topic(), 1 | IF_NEW)) == [1]
    assert (await c.receive()).payload == b"kept"
    for port in (w.b, w.a):  # at the same sidecar first: then what it acknowledged is settled
        await c.disconnect()
        await c.connect(port, clean=False, props=DURABLE)
    assert await c.subscribe((w.topic(), 1 | IF_NEW)) == [1]
    await pub.publish(w.topic(), b"live", 1)
    assert (await c.receive()).payload == b"live"
    assert await c.subscribe((w.topic(), 1)) == [1]
    m = await c.receive()
    assert (m.payload, m.retain) == (b"kept", True)
    await forget(w, c)
    await pub.publish(w.topic(), b"", 1, retain=True)


@case(one_sidecar=True)
async def malformed_unsubscribes(w):
    for version, p in ((V311, b""), (V5, b"\0")):
        for bad in (b"", b"\xff", b"a\0", b"\xed\xa0\x80", b"\xc0\xaf"):
            for entries in (text(bad), text("t") + text(bad)):
                raw = await w.raw_connected(version=version)
                raw.send(packet(UNSUBSCRIBE, ID_1 + p + entries, 2))
                assert await raw.ended() in ((0x81, 0x82) if version == V5 else (None,)), entries


@case
async def nothing_after_unsuback(w):
    for version in (V311, V5):
        c = await w.connect(f"c{version}", version, w.b)
        pub = await w.connect(f"pub{version}")
        await c.subscribe((w.topic("t"), 1), (w.topic("end"), 1))
        await c.unsubscribe(w.topic("t"))
        for n in range(20):
            await pub.publish(w.topic("t"), b"%d" % n, n % 3)
        await pub.publish(w.topic("end"), b"end", 1)
        assert (await c.receive()).payload == b"end"


# ---- shared subscriptions

@case
async def a_refused_shared_message_goes_to_nobody_else(w):
    first = w.client("first", ack="none")
    await first.connect(w.b)
    await first.subscribe((f"$share/g/{w.topic()}", 2))
    pub = await w.connect("pub")
    for qos in (1, 2):
        await pub.publish(w.topic(), b"refused", qos)
    for m in await first.receive_all(2):
        first.send_ack(PUBACK if m.qos == 1 else PUBREC, m.packet_id, 0x83)
    await first.ping()
    other = await w.connect("other", port=w.a)
    await other.subscribe((f"$share/g/{w.topic()}", 2))
    await first.disconnect()
    await eventually_only(w, pub, other)


async def eventually_only(w, pub, member):
    """Proves that nothing waits in the group but what is published now."""
    async def comes():
        await pub.publish(w.topic(), b"new", 1)
        await member.ping()
        return any(m.payload == b"new" for m in member.inbox)
    await eventually(comes, "the other member gets messages")
    assert all(m.payload == b"new" for m in member.inbox), list(member.inbox)


@case
async def shared_qos_2_of_a_session_that_ended_goes_to_nobody_else(w):
    first = w.client("first", ack="none")
    await first.connect(w.b)
    await first.subscribe((f"$share/g/{w.topic()}", 2))
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"started", 2)
    m = await first.receive()
    assert (m.payload, m.qos) == (b"started", 2)
    other = await w.connect("other", port=w.a)
    assert await other.subscribe((f"$share/g/{w.topic()}", 2)) == [2]
    first.abort()
    await first.wait_closed()
    await eventually_only(w, pub, other)


@case
async def wildcards(w):
    topics = ["", "a", "a/", "/a", "a/b", "a/b/c", "/", "//", "a//b", "b/a", "finance"]
    matches = {
        "#": topics, "+": ["a", "finance", ""], "/+": ["/a", "/"], "+/+": ["a/", "/a", "a/b", "b/a", "/"],
        "a/#": ["a", "a/", "a/b", "a/b/c", "a//b"], "a/+": ["a/", "a/b"], "+/b": ["a/b"],
        "a/+/b": ["a//b"], "+/+/+": ["a/b/c", "//", "a//b"], "/#": ["/a", "/", "//", ""],
        "a/+/#": ["a/", "a/b", "a/b/c", "a//b"],
    }
    pub = await w.connect("pub")
    for n, (f, expected) in enumerate(matches.items()):
        sub = await w.subscriber(w.topic(f), suffix=f"sub{n}")
        for topic in topics:
            await pub.publish(w.topic(topic) if topic else w.name + "/", b"", 1)
        end = await w.connect(f"end{n}")
        await sub.subscribe(w.name + "-end")
        await end.publish(w.name + "-end", b"", 1)
        got = []
        while (m := await sub.receive()).topic != w.name + "-end":
            got.append(m.topic)
        expected = {w.topic(t) if t else w.name + "/" for t in expected}
        assert set(got) == expected, (f, got)
        await sub.disconnect()


async def test_a_full_session_may_replace_its_subscriptions(env):
    """MQTT-3.8.4-3 at the limit, the sidecar's and the broker's."""
    for place in ("sidecar", "broker"):
        key = "subscriptions" if place == "sidecar" else "max-subscriptions"
        stack = await env.stack(**{place: {"limits": {key: 3}}})
        c = await env.connect(stack.ports[0], place)
        assert await c.subscribe("a", "b", "c", qos=0) == [0, 0, 0]
        assert await c.subscribe("c", "a", "d", "b", qos=1) == [1, 1, 0x97, 1]
        assert await c.publish("b", "x", 1) == 0
        assert (await c.receive()).qos == 1
        await c.disconnect()


async def test_the_limit_of_subscriptions_counts_what_is_not_answered_yet(env):
    """Packets that don't wait for their SUBACK, some of which make room for others."""
    for place in ("sidecar", "broker"):
        key = "subscriptions" if place == "sidecar" else "max-subscriptions"
        stack = await env.stack(**{place: {"limits": {key: 3}}})
        c = await env.connect(stack.ports[0], place)
        got = await asyncio.gather(*[c.subscribe(f, qos=0) for f in "abacdbe"])
        assert got == [[0], [0], [0], [0], [0x97], [0], [0x97]], (place, got)
        got = await asyncio.gather(c.unsubscribe("a"), c.subscribe("d", qos=0), c.unsubscribe("b", "c"),
                                   c.subscribe("e", "f", "g", qos=0))
        assert got == [[0], [0], [0, 0], [0, 0, 0x97]], (place, got)
        await c.disconnect()

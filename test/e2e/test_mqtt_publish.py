"""MQTT conformance of PUBLISH and its acknowledgements: QoS, retain, properties,
topics, aliases, flow control, order."""

import asyncio
import struct

import mqtt
from conformance import case, cases, check, connect_packet
from mqtt import CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, \
    V5, V311, packet, properties, publish_packet, text
from scenario import scenario

PUBLISH_MAX = 20


@scenario(timeout_s=120)
async def test_publish(env):
    stack = await env.stack(sidecar={"session": {"publish-max": PUBLISH_MAX,
                                                 "keep-alive-max": "60s"}})
    await check(env, stack, cases(globals()))


# ---- malformed

@case(one_sidecar=True)
async def malformed_publishes(w):
    for version, p in ((V311, b""), (V5, b"\0")):
        bad = {
            "DUP at QoS 0": (packet(PUBLISH, text("t") + p, 8), (0x81, 0x82)),
            "QoS 3": (packet(PUBLISH, text("t") + b"\0\1" + p, 6), (0x81, 0x82)),
            "packet id 0": (packet(PUBLISH, text("t") + b"\0\0" + p, 2), (0x81, 0x82)),
            "no packet id": (packet(PUBLISH, text("t"), 2), (0x81,)),
            "wildcard +": (packet(PUBLISH, text("a/+") + p), (0x81,)),
            "wildcard #": (packet(PUBLISH, text("#") + p), (0x81,)),
            "no topic": (packet(PUBLISH, text("") + p), (0x81, 0x82)),
            "topic cut off": (packet(PUBLISH, b"\0\7abc"), (0x81,)),
            "empty packet": (packet(PUBLISH), (0x81,)),
            "U+0000": (packet(PUBLISH, text(b"a\0b") + p), (0x81, 0x82, 0x90)),
            "not UTF-8": (packet(PUBLISH, text(b"a\xc3") + p), (0x81, 0x82, 0x90)),
            "surrogate": (packet(PUBLISH, text(b"\xed\xb0\x80") + p), (0x81, 0x82, 0x90)),
        }
        for what, (data, codes) in bad.items():
            raw = await w.raw_connected(version=version)
            raw.send(data)
            reason = await raw.ended()
            assert reason in codes if version == V5 else reason is None, (version, what, reason)


@case(one_sidecar=True)
async def malformed_properties(w):
    def encoded(*props):
        body = b"".join(properties(p)[1:] for p in props)
        return mqtt.varint(len(body)) + body
    bad = {
        "alias 0": (encoded({"topic_alias": 0}), (0x94, 0x82)),
        "alias above the maximum": (encoded({"topic_alias": 65535}), (0x94,)),
        "payload format 2": (encoded({"payload_format": 2}), (0x81, 0x82, 0x99)),
        "subscription identifier": (encoded({"subscription_id": 1}), (0x81, 0x82)),
        "wildcard in response topic": (encoded({"response_topic": "a/#"}), (0x82,)),
        "response topic not UTF-8": (encoded({"response_topic": b"\xff"}), (0x81, 0x82)),
        "content type not UTF-8": (encoded({"content_type": b"\xc0\x80"}), (0x81, 0x82)),
        "user property not UTF-8": (encoded({"user": ("a", b"\xff")}), (0x81, 0x82)),
        "expiry twice": (encoded({"message_expiry": 1}, {"message_expiry": 1}), (0x82,)),
        "format twice": (encoded({"payload_format": 1}, {"payload_format": 1}), (0x82,)),
        "alias twice": (encoded({"topic_alias": 1}, {"topic_alias": 1}), (0x82,)),
        "correlation twice": (encoded({"correlation_data": b""}, {"correlation_data": b""}), (0x82,)),
        "session expiry": (encoded({"session_expiry": 1}), (0x81, 0x82)),
        "unknown": (b"\2\x7f\0", (0x81, 0x82)),
        "length beyond the packet": (b"\x7f\1", (0x81,)),
        "length in five bytes": (b"\x80\x80\x80\x80\1", (0x81,)),
        "value cut off": (b"\2\2\0", (0x81,)),
    }
    for what, (block, codes) in bad.items():
        raw = await w.raw_connected()
        raw.send(packet(PUBLISH, text("t") + b"\0\1" + block, 2))
        reason = await raw.ended()
        assert reason in codes, (what, reason)


@case(one_sidecar=True)
async def malformed_acknowledgements(w):
    for version in (V311, V5):
        for data in (packet(PUBACK, b"\0\1", 2), packet(PUBREC, b"\0\1", 1), packet(PUBREL, b"\0\1", 0),
                     packet(PUBCOMP, b"\0\1", 8), packet(PUBACK, b"\0"), packet(PUBREL, b"", 2),
                     packet(PUBACK, b"\0\0")):
            raw = await w.raw_connected(version=version)
            raw.send(data)
            assert await raw.ended() in ((0x81, 0x82) if version == V5 else (None,)), data
    for data in (packet(PUBACK, b"\0\1\1"), packet(PUBREL, b"\0\1\x10", 2), packet(PUBCOMP, b"\0\1\x80"),
                 packet(PUBACK, b"\0\1\0" + properties({"topic_alias": 1}))):
        raw = await w.raw_connected()
        raw.send(data)
        assert await raw.ended() in (0x81, 0x82), data


# ---- QoS

@case
async def qos_is_the_lower_of_both(w):
    for version in (V311, V5):
        for granted in (0, 1, 2):
            topic = w.topic(f"{version}/{granted}")
            sub = await w.connect(f"sub{version}{granted}", version, w.b)
            assert await sub.subscribe((topic, granted)) == [granted]
            pub = await w.connect(f"pub{version}{granted}", 9 - version)
            for qos in (0, 1, 2):
                assert await pub.publish(topic, b"%d" % qos, qos) in (None, 0)
                m = await sub.receive()
                assert (m.payload, m.qos, m.dup, m.retain) == (
                    b"%d" % qos, min(qos, granted), False, False)


@case(one_sidecar=True)
async def acknowledgements_have_the_packet_id(w):
    for version in (V311, V5):
        raw = await w.raw_connected(version=version)
        for packet_id in (1, 255, 256, 65535):
            raw.send(publish_packet(w.topic(), b"", 1, False, False, packet_id, version, None))
            assert (await raw.expect(PUBACK)).u16() == packet_id
            raw.send(publish_packet(w.topic(), b"", 2, False, False, packet_id, version, None))
            assert (await raw.expect(PUBREC)).u16() == packet_id
            raw.send(packet(PUBREL, struct.pack(">H", packet_id), 2))
            assert (await raw.expect(PUBCOMP)).data == struct.pack(">H", packet_id)


@case
async def qos_2_is_delivered_once(w):
    for version in (V311, V5):
        sub = await w.subscriber(w.topic(f"{version}"), suffix=f"sub{version}")
        raw = await w.raw_connected(version=version)

        def again(dup, topic=w.topic(f"{version}"), version=version, raw=raw):
            raw.send(publish_packet(topic, b"once", 2, False, dup, 7, version, None))
        for dup in (False, True, True, False):
            again(dup)
            assert (await raw.expect(PUBREC)).u16() == 7
        raw.send(packet(PUBREL, b"\0\7", 2))
        assert (await raw.expect(PUBCOMP)).u16() == 7
        again(True)  # a new message now, whatever DUP says
        r = await raw.expect(PUBREC)
        assert r.u16() == 7
        raw.send(packet(PUBREL, b"\0\7", 2))
        await raw.expect(PUBCOMP)
        got = await sub.receive_all(2)
        assert [m.dup for m in got] == [False, False]
        await w.nothing_comes(sub, w.topic(f"{version}"))


@case
async def clients_of_all_kinds_get_the_same_message(w):
    subs = []
    for granted in (0, 1, 2):
        for version, props in ((V311, None), (V5, None), (V5, {"topic_alias_maximum": 1})):
            for n in range(2):
                sub = await w.subscriber((w.topic(), granted), version=version, props=props,
                                         suffix=f"sub{len(subs)}")
                subs.append((sub, granted, version))
    pub = await w.connect("pub")
    sent = [(qos, b"%d" % qos + b"x" * size, retain) for size in (0, 50, 9000)
            for qos in (0, 1, 2) for retain in (False, True)]
    for qos, payload, retain in sent:
        await pub.publish(w.topic(), payload, qos, retain, props={"content_type": "t"})
    for sub, granted, version in subs:
        got = await sub.receive_all(len(sent))
        assert sorted((m.qos, m.payload) for m in got) == sorted(
            (min(qos, granted), payload) for qos, payload, _ in sent), (granted, version)
        assert not any(m.dup or m.retain for m in got)
        if version == V5:
            assert all(m.props["content_type"] == "t" for m in got)
            assert {m.topic for m in got} <= {w.topic(), ""}
    await pub.publish(w.topic(), b"", 1, True)


@case
async def dup_is_not_passed_on(w):
    sub = await w.subscriber(w.topic())
    raw = await w.raw_connected()
    for qos in (1, 2):
        raw.send(publish_packet(w.topic(), b"x", qos, False, True, qos, V5, None))
        assert not (await sub.receive()).dup


@case(one_sidecar=True)
async def pubrel_of_an_unknown_id(w):
    raw = await w.raw_connected(version=V311)
    raw.send(packet(PUBREL, b"\0\5", 2))
    assert (await raw.expect(PUBCOMP)).data == b"\0\5"
    raw = await w.raw_connected()
    raw.send(packet(PUBREL, b"\0\5", 2))
    assert (await raw.expect(PUBCOMP)).data[:3] == b"\0\5\x92"


@case
async def qos_2_to_a_client(w):
    """PUBREC is answered with PUBREL; one with an error ends the exchange."""
    for version in (V311, V5):
        raw = await w.raw_connected(f"sub{version}", version, w.b)
        p = properties(None) if version == V5 else b""
        topic = w.topic(str(version))
        raw.send(packet(SUBSCRIBE, b"\0\1" + p + text(topic) + b"\2", 2))
        await raw.expect(SUBACK)
        pub = await w.connect(f"pub{version}")
        await pub.publish(topic, b"1", 2)
        r = await raw.expect(PUBLISH)
        assert r.str() == topic
        packet_id = r.u16()
        raw.send(packet(PUBREC, struct.pack(">H", packet_id)))
        r = await raw.expect(PUBREL)
        assert r.u16() == packet_id
        raw.send(packet(PUBREC, struct.pack(">H", packet_id)))  # again: PUBREL again
        assert (await raw.expect(PUBREL)).u16() == packet_id
        raw.send(packet(PUBCOMP, struct.pack(">H", packet_id)))
        await pub.publish(topic, b"2", 2)
        r = await raw.expect(PUBLISH)
        if version == V5:
            r.str()
            packet_id = r.u16()
            raw.send(packet(PUBREC, struct.pack(">H", packet_id) + b"\x97"))
            raw.send(packet(mqtt.PINGREQ))
            assert (await raw.packet())[0] == mqtt.PINGRESP  # and no PUBREL
            await pub.publish(topic, b"3", 1)
            await raw.expect(PUBLISH)


@case(one_sidecar=True)
async def pubrec_of_an_unknown_id(w):
    raw = await w.raw_connected()
    raw.send(packet(PUBREC, b"\0\x63"))
    r = await raw.expect(PUBREL)
    assert r.u16() == 0x63 and (r.left() == 0 or r.u8() == 0x92)
    raw.send(packet(PUBACK, b"\0\x63"), packet(PUBCOMP, b"\0\x63"), packet(mqtt.PINGREQ))
    await raw.expect(mqtt.PINGRESP)


@case
async def without_subscribers(w):
    pub = await w.connect("pub")
    assert await pub.publish(w.topic(), b"", 1) == 0x10
    # the whole QoS 2 exchange
    assert await pub.publish(w.topic(), b"", 2) in (0, 0x10)
    old = await w.connect("old", V311)
    assert await old.publish(w.topic(), b"", 1) == 0
    assert await old.publish(w.topic(), b"", 2) == 0


# ---- retain

@case
async def retained_messages(w):
    for version in (V311, V5):
        topic = w.topic(f"{version}")
        pub = await w.connect(f"pub{version}", version)
        live = await w.subscriber(topic, suffix=f"live{version}", version=version)
        for n, qos in enumerate((0, 1, 2)):
            await pub.publish(topic, b"%d" % n, qos, retain=True)
            assert not (await live.receive()).retain
        await pub.publish(topic, b"not kept", 2)
        await live.receive()
        late = await w.subscriber(topic, suffix=f"late{version}", version=version)
        m = await late.receive()
        assert (m.payload, m.qos, m.retain, m.dup) == (b"2", 2, True, False)
        low = await w.connect(f"low{version}", version, w.b)
        assert await low.subscribe((topic, 0)) == [0]
        m = await low.receive()
        assert (m.payload, m.qos, m.retain) == (b"2", 0, True)
        await pub.publish(topic, b"", 1, retain=True)  # removed, and delivered as any other
        m = await live.receive()
        assert (m.payload, m.retain) == (b"", False)
        none = await w.subscriber(topic, suffix=f"none{version}", version=version)
        await w.nothing_comes(none, topic)


@case
async def retained_messages_by_wildcard(w):
    pub = await w.connect("pub")
    topics = [w.topic(t) for t in ("a", "a/b", "a/b/c", "a//c", "ü/€")]
    for topic in topics:
        await pub.publish(topic, topic, 1, retain=True)
    for f, expected in (("#", topics), ("a/#", topics[:4]), ("a/+", topics[1:2]), ("+", topics[:1]),
                        ("a/+/c", topics[2:4]), ("+/+", [topics[1], topics[4]]), ("a/b/c/#", topics[2:3])):
        sub = await w.subscriber(w.topic(f), suffix=f)
        got = await sub.receive_all(len(expected))
        assert sorted(m.topic for m in got) == sorted(expected), f
        assert all(m.retain for m in got)
        await sub.ping()
        assert not sub.inbox
        await sub.disconnect()
    for topic in topics:
        await pub.publish(topic, b"", 1, retain=True)


@case
async def retained_messages_expire(w):
    pub = await w.connect("pub")
    await pub.publish(w.topic("short"), b"s", 1, retain=True, props={"message_expiry": 1})
    await pub.publish(w.topic("long"), b"l", 1, retain=True, props={"message_expiry": 60})
    await asyncio.sleep(1.3)
    sub = await w.subscriber(w.topic("#"))
    m = await sub.receive()
    assert m.payload == b"l" and 50 < m.props["message_expiry"] < 60
    await pub.publish(w.topic("long"), b"", 1, retain=True)
    assert (await sub.receive()).payload == b""


# ---- topics

@case
async def topics_and_filters(w):
    # nothing is normalised, and case counts
    topics = ["a", "A", "a/", "/a", "a//b", "a b/c d", "\u00e9", "e\u0301", "\ufeffx", "𝄞/♫", "a/b", "  ", "#x"[1:],
              "a\tb", "\u0001", "%20", "a%2Fb"]
    pub = await w.connect("pub")
    subs = {}
    for i, topic in enumerate(topics):
        subs[topic] = await w.subscriber(w.topic(topic), suffix=f"sub{i}")
    for topic in topics:
        assert await pub.publish(w.topic(topic), topic, 1) == 0
    for topic, sub in subs.items():
        m = await sub.receive()
        assert (m.topic, m.payload) == (w.topic(topic), topic.encode())
    for sub in subs.values():
        await sub.ping()
        assert not sub.inbox


@case
async def long_topics(w):
    pub = await w.connect("pub")
    for topic in (w.name + "/" + "x" * (65535 - 1 - len(w.name)), w.name + "/" * 127):
        sub = await w.subscriber(topic, suffix=f"sub{len(topic)}")
        for qos in (0, 1, 2):
            await pub.publish(topic, b"long", qos)
            m = await sub.receive()
            assert m.topic == topic and m.payload == b"long"
        await sub.disconnect()


@case
async def dollar_topics(w):
    topic = f"$conf/{w.name}"
    names = {"#": False, "+/" + w.name: False, topic: True, "$conf/#": True, "$conf/+": True,
             "+/#": False, "/#": False}
    subs = {f: await w.subscriber(f, suffix=f) for f in names}
    pub = await w.connect("pub")
    assert await pub.publish(topic, b"dollar", 1) == 0
    for f, matches in names.items():
        if matches:
            while (m := await subs[f].receive()).topic != topic:
                pass
            continue
        await subs[f].subscribe(w.topic("end"))
        await pub.publish(w.topic("end"), b"", 1)
        while (m := await subs[f].receive()).topic != w.topic("end"):
            assert m.topic != topic, f


# ---- properties

@case
async def properties_are_forwarded(w):
    sub = await w.subscriber(w.topic())
    old = await w.subscriber(w.topic(), suffix="old", version=V311)
    pub = await w.connect("pub")
    for props in (
            {"payload_format": 0}, {"payload_format": 1}, {"content_type": ""},
            {"content_type": "x" * 1000}, {"response_topic": "a/b/é"}, {"correlation_data": b""},
            {"correlation_data": bytes(range(256)) * 200}, {"user": [("", "")]},
            {"user": [(f"k{n % 3}", str(n)) for n in range(200)]},
            {"payload_format": 1, "content_type": "t", "response_topic": "r", "correlation_data": b"c",
             "user": [("z", "1"), ("a", "2"), ("z", "3"), ("z", "1")]}):
        for qos in (0, 1, 2):
            await pub.publish(w.topic(), b"p", qos, props=props)
            assert (await sub.receive()).props == props
            assert (await old.receive()).payload == b"p"


@case
async def message_expiry(w):
    sub = await w.subscriber(w.topic())
    pub = await w.connect("pub")
    for value in (2, 100, 0xFFFFFFFE):
        await pub.publish(w.topic(), b"", 1, props={"message_expiry": value})
        assert value - 1 <= (await sub.receive()).props["message_expiry"] <= value
    await pub.publish(w.topic(), b"", 1)
    assert "message_expiry" not in (await sub.receive()).props


# ---- topic aliases

@case
async def aliases_from_a_client(w):
    sub = await w.subscriber(w.topic("#"))
    pub = await w.connect("pub")
    most = pub.connack.props.get("topic_alias_maximum", 0)
    assert most > 0
    for qos, alias, topic in ((0, 1, "a"), (1, most, "b"), (2, 1, ""), (1, most, ""), (1, 1, "b"), (0, 1, ""),
                              (2, most, "a"), (1, 1, ""), (2, most, "")):
        pub.publish_nowait(w.topic(topic) if topic else "", b"x", qos, props={"topic_alias": alias})
    got = [m.topic for m in await sub.receive_all(9)]
    assert sorted(got) == sorted(w.topic(t) for t in "ababbbaba"), got
    # all of them, with the longest topics
    for alias in range(1, most + 1):
        topic = w.topic(f"{alias}/" + "x" * (65000 + alias))
        await pub.publish(topic, b"long", 1, props={"topic_alias": alias})
        pub.publish_nowait("", b"again", 1, props={"topic_alias": alias})
        assert [m.topic for m in await sub.receive_all(2)] == [topic, topic]
    # aliases end with their connection
    await pub.disconnect()
    again = await w.connect("pub")
    again.publish_nowait("", b"", 1, props={"topic_alias": 1})
    assert await again.wait_closed() in (0x82, 0x94)


@case
async def aliases_to_a_client(w):
    sub = await w.subscriber(w.topic("#"), props={"topic_alias_maximum": 3})
    pub = await w.connect("pub")
    names = {}
    for n in range(60):
        topic = w.topic(f"topic-{(n * 7) % 5}")
        await pub.publish(topic, topic, n % 3)
    for _ in range(60):
        m = await sub.receive()
        alias = m.props.get("topic_alias")
        if alias is not None:
            assert 1 <= alias <= 3
            if m.topic:
                names[alias] = m.topic
        assert (m.topic or names[alias]) == m.payload.decode()


# ---- flow control

@case(one_sidecar=True)
async def receive_maximum_of_the_server(w):
    raw = await w.raw()
    raw.send(connect_packet(w.id()))
    r = await raw.expect(CONNACK)
    r.at = 2
    assert r.properties()["receive_maximum"] == PUBLISH_MAX
    for n in range(PUBLISH_MAX):  # unfinished: PUBREL is withheld
        raw.send(publish_packet(w.topic(), b"", 2, False, False, n + 1, V5, None))
    for n in range(PUBLISH_MAX):
        assert (await raw.expect(PUBREC)).u16() == n + 1
    raw.send(publish_packet(w.topic(), b"", 0, False, False, 0, V5, None), packet(mqtt.PINGREQ))
    await raw.expect(mqtt.PINGRESP)  # QoS 0 doesn't count
    raw.send(packet(PUBREL, b"\0\1", 2))
    await raw.expect(PUBCOMP)
    raw.send(publish_packet(w.topic(), b"", 1, False, False, 100, V5, None))
    assert (await raw.expect(PUBACK)).u16() == 100
    raw.send(publish_packet(w.topic(), b"", 2, False, False, 101, V5, None))
    await raw.expect(PUBREC)
    raw.send(publish_packet(w.topic(), b"", 1, False, False, 102, V5, None))
    assert await raw.ended() == 0x93


@case
async def receive_maximum_of_the_client(w):
    for most in (1, 5):
        topic = w.topic(str(most))
        sub = await w.subscriber(topic, suffix=f"sub{most}", ack="none",
                                 props={"receive_maximum": most})
        pub = await w.connect(f"pub{most}")
        for n in range(3 * most):
            await pub.publish(topic, b"%d" % n, 1 + n % 2)
        first = await sub.receive_all(most)
        await pub.publish(topic, b"zero", 0)
        await sub.ping()
        assert all(m.qos == 0 for m in sub.inbox), list(sub.inbox)
        # PUBREC doesn't make room, PUBCOMP does
        sub.ack = "auto"
        for m in first:
            if m.qos == 1:
                sub.send_ack(PUBACK, m.packet_id)
            else:
                sub.send_ack(PUBREC, m.packet_id)
        got = first + await sub.receive_all(2 * most + 1 - len(sub.inbox)) + list(sub.inbox)
        assert sorted(m.payload for m in got if m.qos) == sorted(b"%d" % n for n in range(3 * most))
        await sub.disconnect()


@case(one_sidecar=True)
async def server_keep_alive(w):
    for asked, granted in ((120, 60), (0, 60), (60, None), (30, None)):
        c = await w.connect("c", keep_alive=asked)
        assert c.connack.props.get("server_keep_alive") == granted, asked
    await w.connect("old", V311, keep_alive=120)


# ---- order

@case
async def order(w):
    sub = await w.subscriber(w.topic("+"))
    raw = await w.raw_connected(version=V311)
    count = 200
    for n in range(count):
        for qos in (0, 1, 2):
            raw.send(publish_packet(w.topic(str(qos)), b"%d" % n, qos, False, False, 1 + 3 * n + qos,
                                    V311, None))
    acks = {PUBACK: [], PUBREC: [], PUBCOMP: []}
    while len(acks[PUBCOMP]) < count or len(acks[PUBACK]) < count:
        kind, _, r = await raw.packet()
        acks[kind].append(r.u16())
        if kind == PUBREC:
            raw.send(packet(PUBREL, struct.pack(">H", acks[kind][-1]), 2))
    assert acks[PUBACK] == [2 + 3 * n for n in range(count)]
    assert acks[PUBREC] == acks[PUBCOMP] == [3 + 3 * n for n in range(count)]
    got = await sub.receive_all(3 * count)
    for qos in (0, 1, 2):
        assert [int(m.payload) for m in got if m.topic == w.topic(str(qos))] == list(range(count))


@case
async def order_of_retained_and_others(w):
    """They are one topic: none may overtake the other."""
    for qos in (0, 1):
        sub = await w.subscriber(w.topic(str(qos)), suffix=f"sub{qos}")
        raw = await w.raw_connected(version=V311)
        for n in range(200):
            raw.send(publish_packet(w.topic(str(qos)), b"%d" % n, qos, n % 3 == 1, False, n + 1, V311, None))
        got = [int(m.payload) for m in await sub.receive_all(200)]
        assert got == list(range(200)), got
        last = await w.subscriber(w.topic(str(qos)), suffix=f"last{qos}")
        assert (await last.receive()).payload == b"199"
        raw.send(publish_packet(w.topic(str(qos)), b"", 0, True, False, 0, V311, None))
        assert (await last.receive()).payload == b""


@case
async def published_right_before_disconnect(w):
    sub = await w.subscriber(w.topic())
    for version in (V311, V5):
        for qos in (0, 1, 2):
            raw = await w.raw_connected(version=version)
            raw.send(*[publish_packet(w.topic(), b"%d" % n, qos, False, False, n + 1, version, None)
                       for n in range(20)], packet(DISCONNECT))
            got = [int(m.payload) for m in await sub.receive_all(20)]
            assert got == list(range(20))

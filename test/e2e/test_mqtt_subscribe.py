"""MQTT conformance of SUBSCRIBE, UNSUBSCRIBE, their options, overlapping and shared
subscriptions."""

import asyncio
import struct

import mqtt
from cluster import eventually
from conformance import case, cases, check
from mqtt import DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, PUBREC, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, V5, \
    V311, packet, properties, text
from scenario import scenario

NO_LOCAL, AS_PUBLISHED, IF_NEW, NEVER = 4, 8, 0x10, 0x20
# No filters of any version; none of MQTT 5 because of their share; well-formed and refused.
BAD_FILTERS = ("a#", "a/#/b", "#/a", "+a", "a+", "a/b+/c", "##", "a/#b", "$share/g+/a",
               "$share/a#/x", "$share/g/a#", "$share/g/+b", "$tag/red/a+", "$tag/r#", "$dead/a#")
BAD_SHARES = ("$share/", "$share/p", "$share//x", "$share/g/", "$share/+/x", "$share/#")
REFUSED_FILTERS = ("$tag", "$tag/", "$tag//a", "$tag/+/a", "$tag/#", "$share/g/$tag", "$dead/x",
                   "$share/g/$share/h/x", "/" * 128)


@scenario(timeout_s=120)
async def test_subscribe(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))


# ---- malformed

@case(one_sidecar=True)
async def malformed_subscribes(w):
    for version, p in ((V311, b""), (V5, b"\0")):
        bad = {
            "flags 0": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\0", 0),
            "flags 3": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\0", 3),
            "no filter": packet(SUBSCRIBE, b"\0\1" + p, 2),
            "packet id 0": packet(SUBSCRIBE, b"\0\0" + p + text("t") + b"\0", 2),
            "QoS 3": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\3", 2),
            "reserved bits": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\x40", 2),
            "more reserved bits": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\x80", 2),
            "options left out": packet(SUBSCRIBE, b"\0\1" + p + text("t"), 2),
            "second entry cut off": packet(SUBSCRIBE, b"\0\1" + p + text("t") + b"\0\0\5a", 2),
            "filter not UTF-8": packet(SUBSCRIBE, b"\0\1" + p + text(b"\xff") + b"\0", 2),
            "U+0000": packet(SUBSCRIBE, b"\0\1" + p + text(b"a\0") + b"\0", 2),
            "unsubscribe: flags": packet(UNSUBSCRIBE, b"\0\1" + p + text("t"), 0),
            "unsubscribe: no filter": packet(UNSUBSCRIBE, b"\0\1" + p, 2),
            "unsubscribe: packet id 0": packet(UNSUBSCRIBE, b"\0\0" + p + text("t"), 2),
            "unsubscribe: cut off": packet(UNSUBSCRIBE, b"\0\1" + p + b"\0\5t", 2),
        }
        if version == V311:
            bad["options of MQTT 5"] = packet(SUBSCRIBE, b"\0\1" + text("t") + b"\4", 2)
        else:
            bad["retain handling 3"] = packet(SUBSCRIBE, b"\0\1\0" + text("t") + b"\x30", 2)
            bad["no local, shared"] = packet(SUBSCRIBE, b"\0\1\0" + text("$share/g/t") + b"\4", 2)
            bad["identifier 0"] = packet(SUBSCRIBE, b"\0\1" + properties({"subscription_id": 0}) +
                                         text("t") + b"\0", 2)
            bad["two identifiers"] = packet(
                SUBSCRIBE, b"\0\1" + properties({"subscription_id": [1, 2]}) + text("t") + b"\0", 2)
            bad["property of PUBLISH"] = packet(
                SUBSCRIBE, b"\0\1" + properties({"topic_alias": 1}) + text("t") + b"\0", 2)
            bad["unsubscribe: identifier"] = packet(
                UNSUBSCRIBE, b"\0\1" + properties({"subscription_id": 1}) + text("t"), 2)
        for what, data in bad.items():
            raw = await w.raw_connected(version=version)
            raw.send(data)
            reason = await raw.ended()
            assert reason in (0x81, 0x82) if version == V5 else reason is None, (version, what, reason)


def subscribe_packet(version, filters, packet_id=1):
    p = properties(None) if version == V5 else b""
    return packet(SUBSCRIBE, struct.pack(">H", packet_id) + p +
                  b"".join(text(f) + b"\1" for f in filters), 2)


def unsubscribe_packet(version, filters, packet_id=1):
    p = properties(None) if version == V5 else b""
    return packet(UNSUBSCRIBE, struct.pack(">H", packet_id) + p + b"".join(map(text, filters)), 2)


@case(one_sidecar=True)
async def malformed_filters(w):
    """One makes its packet malformed, alone as behind good ones."""
    for version in (V311, V5):
        for bad in BAD_FILTERS + (BAD_SHARES if version == V5 else ()):
            for filters in ([bad], [w.topic("good"), bad]):
                for encode in (subscribe_packet, unsubscribe_packet):
                    raw = await w.raw_connected(version=version)
                    raw.send(encode(version, filters))
                    got = await raw.packet()
                    if version == V311:
                        assert got is None, (bad, got)
                        continue
                    assert got[0] == DISCONNECT and got[2].u8() == 0x81, (bad, got)
                    words = got[2].properties()["reason_string"]
                    assert bad in words and "must" in words, words
                    assert await raw.packet() is None


@case(one_sidecar=True)
async def malformed_packets_have_no_effect(w):
    for version, props in ((V311, None), (V5, {"session_expiry": 300})):
        c = w.client(f"e{version}", version)
        await c.connect(w.a, clean=False, props=props)
        assert await c.subscribe((w.topic(f"kept{version}"), 1)) == [1]
        for data in (subscribe_packet(version, [w.topic(f"new{version}"), "a+"]),
                     unsubscribe_packet(version, [w.topic(f"kept{version}"), "a+"])):
            c.send(data)
            assert await c.wait_closed() == (0x81 if version == V5 else None)
            assert (await c.connect(w.a, clean=False, props=props)).session_present
        pub = await w.connect(f"pub{version}")
        assert await pub.publish(w.topic(f"new{version}"), b"no", 1) == 0x10
        await pub.publish(w.topic(f"kept{version}"), b"yes", 1)
        assert (await c.receive()).payload == b"yes"
        await c.disconnect()
        await c.connect(w.a, clean=True, props={"session_expiry": 0})
        await c.disconnect()


@case(one_sidecar=True)
async def refused_filters(w):
    """Well-formed and not served: an answer each, and the others are made."""
    for version, code in ((V311, 0x80), (V5, 0x8F)):
        c = await w.connect(f"c{version}", version)
        refused = REFUSED_FILTERS + (BAD_SHARES if version == V311 else ())
        codes = await c.subscribe(w.topic("good"), *refused, w.topic("fine"), qos=1)
        assert codes == [1] + [code] * len(refused) + [1], codes
        for topic in ("good", "fine"):
            await c.publish(w.topic(topic), topic, 1)
            assert (await c.receive()).topic == w.topic(topic)
        codes = await c.unsubscribe(*refused)
        assert all(code in (0x8F, 0x11) for code in codes), codes
        await c.ping()


# ---- SUBACK

@case
async def many_filters(w):
    for version in (V311, V5):
        raw = await w.raw_connected(version=version)
        p = properties(None) if version == V5 else b""
        for packet_id, n in ((1, 1), (65535, 2), (300, 500)):
            body = b"".join(text(w.topic(f"{n}/{i}")) + bytes([i % 3]) for i in range(n))
            raw.send(packet(SUBSCRIBE, struct.pack(">H", packet_id) + p + body, 2))
            r = await raw.expect(SUBACK)
            assert r.data == struct.pack(">H", packet_id) + p + bytes(i % 3 for i in range(n))
        # one packet with the same filter several times: as several packets
        raw.send(packet(SUBSCRIBE, b"\0\7" + p + (text(w.topic("same")) + b"\0") * 2 +
                        text(w.topic("same")) + b"\1", 2))
        assert (await raw.expect(SUBACK)).data == b"\0\7" + p + b"\0\0\1"
        pub = await w.connect(f"pub{version}")
        await pub.publish(w.topic("same"), b"", 2)
        kind, flags, _ = await raw.packet()
        assert (kind, flags) == (PUBLISH, 2)
        raw.send(packet(PINGREQ))
        assert (await raw.packet())[0] == PINGRESP  # once


@case
async def more_filters_than_a_packet_may_have(w):
    """2,048 are taken; of more each gets 0x97, none is made, and the client stays."""
    pub = await w.connect("pub")
    for version in (V311, V5):
        client = await w.connect(f"c{version}", version)
        filters = [(w.topic(f"{version}/{i}"), 1) for i in range(2049)]
        codes = await client.subscribe(*filters)
        assert codes == [0x97 if version == V5 else 0x80] * 2049
        if version == V5:
            assert await client.unsubscribe(*[f for f, _ in filters]) == [0x83] * 2049
        assert await client.subscribe(*filters[1:]) == [1] * 2048
        for topic in (w.topic(f"{version}/0"), w.topic(f"{version}/1")):
            await pub.publish(topic, topic.encode(), 1)
        assert (await client.receive()).topic == w.topic(f"{version}/1")


@case
async def replacing_a_subscription(w):
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"kept", 1, retain=True)
    for version in (V311, V5):
        sub = await w.connect(f"sub{version}", version, w.b)
        for qos in (0, 2, 1):
            assert await sub.subscribe((w.topic(), qos)) == [qos]
            m = await sub.receive()  # retained messages come again
            assert (m.payload, m.qos, m.retain) == (b"kept", min(qos, 1), True)
            await pub.publish(w.topic(), b"%d" % qos, 2)
            m = await sub.receive()
            assert (m.payload, m.qos) == (b"%d" % qos, qos)
        await w.nothing_comes(sub, w.topic())
    await pub.publish(w.topic(), b"", 1, retain=True)


# ---- options of MQTT 5

@case
async def retain_handling(w):
    pub = await w.connect("pub")
    await pub.publish(w.topic("t"), b"kept", 1, retain=True)
    sub = await w.connect("sub", port=w.b)
    for options, first, again in ((0, True, True), (IF_NEW, True, False), (NEVER, False, False)):
        for expected in (first, again):
            assert await sub.subscribe((w.topic("t"), 1 | options), (w.topic("end"), 1)) == [1, 1]
            await pub.publish(w.topic("end"), b"end", 1)
            m = await sub.receive()
            assert (m.payload == b"kept" and m.retain) == expected, (options, m)
            if expected:
                assert (await sub.receive()).payload == b"end"
        assert await sub.unsubscribe(w.topic("t")) == [0]
    await pub.publish(w.topic("t"), b"", 1, retain=True)


@case
async def retain_as_published(w):
    plain = await w.connect("plain", port=w.b)
    await plain.subscribe((w.topic(), 1))
    kept = await w.connect("kept", port=w.b)
    await kept.subscribe((w.topic(), 1 | AS_PUBLISHED))
    pub = await w.connect("pub")
    for retain in (True, False, True):
        for qos in (0, 1, 2):
            await pub.publish(w.topic(), b"x", qos, retain=retain)
            assert not (await plain.receive()).retain
            assert (await kept.receive()).retain == retain
    await pub.publish(w.topic(), b"", 1, retain=True)
    assert (await kept.receive()).retain


@case
async def no_local(w):
    c = await w.connect("c")
    other = await w.connect("other", port=w.b)
    await c.subscribe((w.topic("t"), 1 | NO_LOCAL), (w.topic("end"), 1))
    await other.subscribe((w.topic("t"), 1 | NO_LOCAL))
    for qos in (0, 1, 2):
        await c.publish(w.topic("t"), b"own", qos)
        assert (await other.receive()).payload == b"own"
    await other.publish(w.topic("t"), b"other's", 1)
    assert (await c.receive()).payload == b"other's"
    await c.publish(w.topic("end"), b"", 1)
    assert (await c.receive()).topic == w.topic("end")
    # without the option again
    await c.subscribe((w.topic("t"), 1))
    await c.publish(w.topic("t"), b"back", 1)
    assert (await c.receive()).payload == b"back"


@case
async def subscription_identifiers(w):
    sub = await w.connect("sub", port=w.b)
    for f, number in (("a/#", 1), ("a/+", 268435455), ("+/b", 128), ("other", 5)):
        await sub.subscribe((w.topic(f), 1), props={"subscription_id": number})
    await sub.subscribe((w.topic("a/b"), 1))  # without
    pub = await w.connect("pub")
    for topic, expected in (("a/b", [1, 128, 268435455]), ("a/c", [1, 268435455]), ("a/c/d", [1]),
                            ("other", [5])):
        await pub.publish(w.topic(topic), topic, 1)
        got = []
        while len(got) < len(expected):
            got += (await sub.receive()).props.get("subscription_id", [])
        assert sorted(got) == expected
    # replaced with another, then with none; retained ones have it too
    await sub.subscribe((w.topic("other"), 1), props={"subscription_id": 6})
    await pub.publish(w.topic("other"), b"", 0)
    assert (await sub.receive()).props["subscription_id"] == [6]
    await sub.subscribe((w.topic("other"), 1))
    await pub.publish(w.topic("other"), b"r", 1, retain=True)
    assert "subscription_id" not in (await sub.receive()).props
    late = await w.connect("late", port=w.b)
    await late.subscribe((w.topic("other"), 1), props={"subscription_id": 9})
    m = await late.receive()
    assert m.retain and m.props["subscription_id"] == [9]
    await pub.publish(w.topic("other"), b"", 1, retain=True)


@case
async def overlapping_subscriptions(w):
    """One copy, at the highest QoS of those that match."""
    for version in (V311, V5):
        sub = await w.connect(f"sub{version}", version, w.b)
        await sub.subscribe((w.topic("a/#"), 0), (w.topic("a/b"), 2), (w.topic("+/b"), 1))
        pub = await w.connect(f"pub{version}", version)
        await pub.publish(w.topic("a/b"), b"x", 2)
        assert (await sub.receive()).qos == 2
        await pub.publish(w.topic("a/c"), b"y", 2)
        m = await sub.receive()
        assert (m.payload, m.qos) == (b"y", 0)
        await sub.disconnect()


# ---- UNSUBSCRIBE

@case
async def unsubscribe(w):
    for version in (V311, V5):
        raw = await w.raw_connected(version=version, port=w.b)
        p = properties(None) if version == V5 else b""
        filters = [w.topic("a"), w.topic("a/+"), w.topic("a/#"), w.topic("end")]
        raw.send(packet(SUBSCRIBE, b"\0\1" + p + b"".join(text(f) + b"\0" for f in filters), 2))
        await raw.expect(SUBACK)
        # compared character by character: this one doesn't match any
        names = [w.topic("a"), w.topic("a/x"), w.topic("A"), w.topic("a/+"), w.topic("a")]
        raw.send(packet(UNSUBSCRIBE, b"\1\2" + p + b"".join(map(text, names)), 2))
        codes = b"\0\x11\x11\0\x11" if version == V5 else b""
        assert (await raw.expect(UNSUBACK)).data == b"\1\2" + p + codes
        pub = await w.connect(f"pub{version}")
        await pub.publish(w.topic("a/x"), b"still", 1)
        assert (await raw.expect(PUBLISH)).str() == w.topic("a/x")
        raw.send(packet(UNSUBSCRIBE, b"\1\3" + p + text(w.topic("a/#")), 2))
        await raw.expect(UNSUBACK)
        for topic in ("a", "a/x"):
            await pub.publish(w.topic(topic), b"gone", 1)
        await pub.publish(w.topic("end"), b"", 1)
        assert (await raw.expect(PUBLISH)).str() == w.topic("end")


@case
async def unsubscribe_finishes_what_was_sent(w):
    raw = await w.raw_connected(port=w.b)
    raw.send(packet(SUBSCRIBE, b"\0\1\0" + text(w.topic()) + b"\2", 2))
    await raw.expect(SUBACK)
    pub = await w.connect("pub")
    for qos in (1, 2):
        await pub.publish(w.topic(), b"%d" % qos, qos)
    got = [await raw.expect(PUBLISH) for _ in range(2)]
    ids = [r.str() and r.u16() for r in got]
    raw.send(packet(UNSUBSCRIBE, b"\0\2\0" + text(w.topic()), 2))
    await raw.expect(UNSUBACK)
    raw.send(packet(PUBACK, struct.pack(">H", ids[0])), packet(PUBREC, struct.pack(">H", ids[1])))
    assert (await raw.expect(mqtt.PUBREL)).u16() == ids[1]
    raw.send(packet(mqtt.PUBCOMP, struct.pack(">H", ids[1])), packet(PINGREQ))
    await raw.expect(PINGRESP)


# ---- shared subscriptions

@case
async def shared_distribution(w):
    """Each message to one member, whatever their versions and QoS."""
    members = []
    for n, (port, version, qos) in enumerate(((w.a, V5, 2), (w.b, V5, 0), (w.b, V311, 1), (w.a, V5, 1))):
        member = await w.connect(f"m{n}", version, port)
        assert await member.subscribe((f"$share/g/{w.topic('+')}", qos)) == [qos]
        members.append((member, qos))
    second = await w.connect("second", port=w.b)  # another group: all of it
    await second.subscribe((f"$share/h/{w.topic('#')}", 1))
    plain = await w.subscriber(w.topic("#"), suffix="plain")
    pub = await w.connect("pub")
    count = 90
    for n in range(count):
        assert await pub.publish(w.topic(f"{n % 4}"), b"%d" % n, n % 3) in (None, 0)
    assert sorted(int(m.payload) for m in await second.receive_all(count)) == list(range(count))
    assert len(await plain.receive_all(count)) == count
    await eventually(lambda: sum(len(m.inbox) for m, _ in members) >= count, "all have arrived")
    got = []
    for member, qos in members:
        for m in member.inbox:
            n = int(m.payload)
            assert m.qos == min(qos, n % 3)
            got.append(n)
    assert sorted(got) == list(range(count))
    assert all(len(member.inbox) > 0 for member, _ in members), [len(m.inbox) for m, _ in members]


@case
async def shared_work_of_a_member_that_leaves(w):
    """QoS 1 without PUBACK goes to another member, as a first delivery of it."""
    lazy = await w.connect("lazy", ack="none")
    await lazy.subscribe((f"$share/g/{w.topic()}", 2))
    pub = await w.connect("pub", port=w.b)
    for n in range(10):
        await pub.publish(w.topic(), b"%d" % n, 1)
    await lazy.receive_all(10)
    other = await w.connect("other", port=w.b)
    await other.subscribe((f"$share/g/{w.topic()}", 2))
    lazy.abort()
    got = await other.receive_all(10)
    assert sorted(int(m.payload) for m in got) == list(range(10))
    assert not any(m.dup for m in got), "DUP is for the same client's session"


@case
async def shared_qos_2_stays_with_its_session(w):
    """In the handshake it waits for its client, here with a durable session."""
    props = {"session_expiry": 60}
    lazy = await w.connect("lazy", ack="none", props=props)
    await lazy.subscribe((f"$share/g/{w.topic()}", 2))
    pub = await w.connect("pub", port=w.b)
    await pub.publish(w.topic(), b"q2", 2)
    m = await lazy.receive()
    other = await w.connect("other", port=w.b)
    await other.subscribe((f"$share/g/{w.topic()}", 2), (w.topic("end"), 1))
    lazy.abort()
    await lazy.wait_closed()
    await pub.publish(w.topic("end"), b"", 1)
    assert (await other.receive()).topic == w.topic("end")
    await other.ping()
    assert not other.inbox
    lazy.ack = "auto"
    lazy.held.clear()  # it has not answered with PUBREC
    assert (await lazy.connect(w.b, clean=False, props=props)).session_present
    again = await lazy.receive()
    assert (again.payload, again.packet_id, again.dup) == (b"q2", m.packet_id, True)
    await lazy.disconnect(props={"session_expiry": 0})


@case
async def shared_and_retained(w):
    """No retained messages for a shared subscription, but live ones."""
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"kept", 1, retain=True)
    sub = await w.connect("sub", port=w.b)
    assert await sub.subscribe((f"$share/g/{w.topic()}", 1)) == [1]
    await pub.publish(w.topic(), b"live", 1)
    m = await sub.receive()
    assert (m.payload, m.retain) == (b"live", False)
    assert await sub.unsubscribe(f"$share/g/{w.topic()}", f"$share/h/{w.topic()}") == [0, 0x11]
    assert await pub.publish(w.topic(), b"nobody", 1) == 0x10
    await pub.publish(w.topic(), b"", 1, retain=True)


@case
async def shared_beside_a_plain_one(w):
    """They are two subscriptions: a copy for each."""
    sub = await w.connect("sub", port=w.b)
    await sub.subscribe((w.topic(), 1), props={"subscription_id": 1})
    await sub.subscribe((f"$share/g/{w.topic()}", 1), props={"subscription_id": 2})
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"x", 1)
    ids = []
    while len(ids) < 2:
        ids += (await sub.receive()).props["subscription_id"]
    assert sorted(ids) == [1, 2]


@case
async def share_without_a_slash_is_a_topic(w):
    sub = await w.connect("sub", port=w.b)
    assert await sub.subscribe(("$share", 1), ("$shared/" + w.name, 1)) == [1, 1]
    pub = await w.connect("pub")
    await pub.publish("$shared/" + w.name, b"x", 1)
    assert (await sub.receive()).topic == "$shared/" + w.name


@case
async def subscribing_while_messages_flow(w):
    """What is acknowledged after SUBACK is received, and once."""
    pub = await w.connect("pub")
    stop = False

    async def flow():
        n = 0
        while not stop:
            await pub.publish(w.topic(), b"%d" % n, 1)
            n += 1
        return n
    task = asyncio.create_task(flow())
    for n in range(10):
        sub = await w.subscriber(w.topic(), suffix=f"s{n}", version=V311 if n % 2 else V5)
        got = [int(m.payload) for m in await sub.receive_all(5)]
        assert got == list(range(got[0], got[0] + 5))
        await sub.unsubscribe(w.topic())
        await sub.disconnect()
    stop = True
    assert await task > 0

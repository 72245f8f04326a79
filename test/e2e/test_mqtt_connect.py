"""MQTT conformance of CONNECT, CONNACK, DISCONNECT, keep alive and wills."""

import asyncio
import time

from conformance import case, cases, check, connect_packet, will_payload
from mqtt import CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, V5, \
    V311, Reader, Will, binary, packet, properties, publish_packet, text
from scenario import scenario

DURABLE = {"session_expiry": 300}


@scenario(timeout_s=120)
async def test_connect(env):
    stack = await env.stack(broker={"limits": {"will": "1Mi"}})  # MQTT has none
    await check(env, stack, cases(globals()))


# ---- the first packet

@case(one_sidecar=True)
async def first_packet_must_be_connect(w):
    for data in (packet(PINGREQ), packet(SUBSCRIBE, b"\0\1\0" + text("t") + b"\0", 2),
                 packet(PUBLISH, text("t") + b"x"), packet(DISCONNECT), packet(CONNACK, b"\0\0")):
        raw = await w.raw()
        raw.send(data)
        got = await raw.packet()
        assert got is None, f"an answer to {data.hex()}: {got}"


@case(one_sidecar=True)
async def second_connect_is_a_protocol_error(w):
    raw = await w.raw_connected(version=V5)
    raw.send(connect_packet(w.id()))
    assert await raw.ended() == 0x82
    raw = await w.raw_connected(version=V311)
    raw.send(connect_packet(w.id(), V311))
    assert await raw.ended() is None


@case(one_sidecar=True)
async def protocol_name(w):
    for name in ("MQTX", "mqtt", "MQTTT", "", "MQIsdp"):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), V5, name=name))
        assert await raw.ended() in (None, 1, 0x84)


@case(one_sidecar=True)
async def unsupported_protocol_level(w):
    for level, code in ((0, 1), (1, 1), (3, 1), (6, 0x84), (7, 0x84), (127, 0x84)):
        raw = await w.raw()
        raw.send(packet(1, text("MQTT") + bytes([level, 2, 0, 0]) +
                        (b"\0" if level > 4 else b"") + text(w.id())))
        assert await raw.ended() == code, level


@case
async def mqtt_3_1(w):
    """The protocol name of MQTT 3.1 is served as MQTT 3.1.1."""
    sub = await w.raw(w.b)
    sub.send(connect_packet(w.id("old"), 3, name="MQIsdp"))
    assert (await sub.expect(CONNACK)).data == b"\0\0"
    sub.send(packet(SUBSCRIBE, b"\0\7" + text(w.topic()) + b"\1", 2))
    assert (await sub.expect(SUBACK)).data == b"\0\7\1"
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"hi", 1)
    r = await sub.expect(PUBLISH)
    assert r.str() == w.topic()


@case
async def mqtt_3_1_sessions(w):
    """A session is there again, but CONNACK's first byte stays 0, as the byte is reserved."""
    topic = w.topic()
    raw = await w.raw()
    raw.send(connect_packet(w.id("old"), 3, flags=0, name="MQIsdp"))
    assert (await raw.expect(CONNACK)).data == b"\0\0"
    raw.send(packet(SUBSCRIBE, b"\0\7" + text(topic) + b"\1", 2))
    assert (await raw.expect(SUBACK)).data == b"\0\7\1"
    raw.send(packet(DISCONNECT))
    assert await raw.packet() is None
    pub = await w.connect("pub")
    assert await pub.publish(topic, b"kept", 1) == 0
    raw = await w.raw(w.b)
    raw.send(connect_packet(w.id("old"), 3, flags=0, name="MQIsdp"))
    assert (await raw.expect(CONNACK)).data == b"\0\0"
    r = await raw.expect(PUBLISH)
    assert r.str() == topic
    packet_id = r.take(2)
    assert r.take(r.left()) == b"kept"
    raw.send(packet(PUBACK, packet_id), packet(DISCONNECT))
    assert await raw.packet() is None
    raw = await w.raw(w.b)
    raw.send(connect_packet(w.id("old"), 3, flags=2, name="MQIsdp"))  # ends the session
    await raw.expect(CONNACK)


@case(one_sidecar=True)
async def mqtt_3_1_client_ids(w):
    """Its 23 characters are no bound here; an empty one it does not have at all."""
    for client_id, code in ((w.id("x" * 30), 0), ("", 2)):
        raw = await w.raw()
        raw.send(connect_packet(client_id, 3, name="MQIsdp"))
        assert (await raw.expect(CONNACK)).data == bytes([0, code]), client_id


@case(one_sidecar=True)
async def reserved_connect_flag(w):
    for version in (V311, V5):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), version, flags=3))
        assert await raw.ended() in (None, 0x81, 0x82)


@case(one_sidecar=True)
async def will_flags(w):
    for version in (V311, V5):
        bad = [0x0A, 0x12, 0x22]  # QoS 1, QoS 2, retain without a will
        for flags in bad:
            raw = await w.raw()
            raw.send(connect_packet(w.id(), version, flags=flags))
            assert await raw.ended() in (None, 0x81, 0x82), hex(flags)
        raw = await w.raw()  # will QoS 3
        raw.send(connect_packet(w.id(), version, flags=0x1E,
                                payload=will_payload("w", b"", version)))
        assert await raw.ended() in (None, 0x81, 0x82)


@case(one_sidecar=True)
async def user_name_and_password(w):
    """They may be there, and are not looked at; MQTT 3.1.1 has no password alone."""
    for version in (V311, V5):
        raw = await w.raw()
        raw.send(connect_packet(w.id(f"u{version}"), version, flags=0xC2,
                                payload=text("user") + binary(b"\0\xff")))
        assert (await raw.expect(CONNACK)).data[1] == 0
        raw = await w.raw()
        raw.send(connect_packet(w.id(f"n{version}"), version, flags=0x82, payload=text("user")))
        assert (await raw.expect(CONNACK)).data[1] == 0
        raw = await w.raw()
        raw.send(connect_packet(w.id(f"p{version}"), version, flags=0x42, payload=binary(b"p")))
        if version == V5:
            assert (await raw.expect(CONNACK)).data[1] == 0
        else:
            assert await raw.ended() in (None, 4)
        for flags, payload in ((0x82, b""), (0xC2, text("user")), (2, text("user"))):
            raw = await w.raw()  # what is announced is missing, or the other way round
            raw.send(connect_packet(w.id(), version, flags=flags, payload=payload))
            assert await raw.ended() in (None, 0x81, 0x82), (flags, payload)


# ---- client identifiers

@case(one_sidecar=True)
async def client_ids(w):
    ids = ["0123456789abcdefghijklm", "NOPQRSTUVWXYZ", "a", "with space", "a/b+c#d", "%2F~", "ü€𝄞",
           "x" * 256, "'\"<>&\\", "$SYS", "."]
    for version in (V311, V5):
        for client_id in ids:
            raw = await w.raw()
            raw.send(connect_packet(client_id, version),
                     packet(SUBSCRIBE, b"\0\1" + (b"\0" if version == V5 else b"") + text("i/" + w.name)
                            + b"\1", 2))
            assert (await raw.expect(CONNACK)).data[1] == 0, client_id
            assert (await raw.expect(SUBACK)).data[-1] == 1, client_id
            raw.send(packet(DISCONNECT))
            assert await raw.ended() is None


@case(one_sidecar=True)
async def client_ids_that_are_not_strings(w):
    for client_id in (b"a\0b", b"\xc0\x80", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        for version in (V311, V5):
            raw = await w.raw()
            raw.send(connect_packet(client_id, version))
            assert await raw.ended() in (None, 2, 0x81, 0x82, 0x85), client_id


@case(one_sidecar=True)
async def client_id_above_the_limit(w):
    for version, code in ((V311, 2), (V5, 0x85)):
        raw = await w.raw()
        raw.send(connect_packet("x" * 65535, version))
        assert await raw.ended() == code


@case(one_sidecar=True)
async def empty_client_id_3_1_1(w):
    for _ in range(2):
        raw = await w.raw()
        raw.send(connect_packet("", V311))
        assert (await raw.expect(CONNACK)).data == b"\0\0"
    raw = await w.raw()
    raw.send(connect_packet("", V311, flags=0))
    assert await raw.ended() == 2


@case
async def empty_client_id_5(w):
    names = set()
    for flags in (2, 0):
        raw = await w.raw()
        raw.send(connect_packet("", V5, flags=flags, props=DURABLE))
        r = await raw.expect(CONNACK)
        assert r.data[:2] == b"\0\0"
        r.at = 2
        names.add(r.properties()["assigned_client_id"])
        raw.send(packet(SUBSCRIBE, b"\0\1\0" + text(w.topic()) + b"\0", 2))
        await raw.expect(SUBACK)
        raw.send(packet(DISCONNECT))
        await raw.ended()
    assert len(names) == 2
    for name in names:  # the session is there under that name
        again = w.env.client(name)
        w.clients.append(again)
        assert (await again.connect(w.b, clean=False)).session_present
        assert "assigned_client_id" not in again.connack.props
        await again.disconnect()


# ---- CONNACK

@case
async def packets_may_follow_connect_at_once(w):
    """The client needn't wait for CONNACK, which comes first and once."""
    for version, flags, props in ((V311, 2, None), (V311, 0, None), (V5, 2, None), (V5, 0, DURABLE)):
        raw = await w.raw()
        p = properties(None) if version == V5 else b""
        topic = w.topic(f"{version}{flags}")
        raw.send(connect_packet(w.id(f"{version}{flags}"), version, flags, props=props),
                 packet(SUBSCRIBE, b"\0\1" + p + text(topic) + b"\1", 2),
                 packet(PINGREQ))
        assert (await raw.expect(CONNACK)).data[1] == 0
        kinds = {(await raw.packet())[0] for _ in range(2)}
        assert kinds == {SUBACK, PINGRESP}
        raw.send(publish_packet(topic, b"x", 1, False, False, 9, version, None))
        kinds = {(await raw.packet())[0] for _ in range(2)}
        assert kinds == {PUBLISH, PUBACK}
        raw.send(packet(PUBACK, b"\0\1"), packet(DISCONNECT))
        await raw.ended()


@case
async def session_present(w):
    for version, props in ((V311, None), (V5, DURABLE)):
        c = w.client(f"c{version}", version)
        for port, clean, present in ((w.a, True, False), (w.a, False, False if version == V311 else True),
                                     (w.b, False, True), (w.a, False, True), (w.b, True, False)):
            connack = await c.connect(port, clean=clean, props=props)
            assert connack.code == 0 and connack.session_present == present, (version, clean)
            assert await c.subscribe(w.topic()) == [1]
            await c.disconnect()
    # without an expiry the session ends with the connection (3.1.2-23)
    c = w.client("short")
    await c.connect(w.a, clean=False, props=None)
    await c.disconnect()
    assert not (await c.connect(w.b, clean=False)).session_present


@case
async def clean_start_holds_however_short_it_is(w):
    for version, props in ((V311, None), (V5, DURABLE)):
        c = w.client(f"c{version}", version)
        await c.connect(w.a, clean=False, props=props)
        assert await c.subscribe(w.topic()) == [1]
        await c.disconnect()
        raw = await w.raw(w.b)
        raw.send(connect_packet(c.client_id, version), packet(DISCONNECT))
        await raw.expect(CONNACK)
        assert await raw.packet() is None
        # the wiping is asynchronous towards the other sidecar: through the same one it isn't
        assert not (await c.connect(w.b, clean=False, props=props)).session_present
        assert await c.subscribe(w.topic()) == [1]
        await c.disconnect()
        assert (await c.connect(w.a, clean=False, props=props)).session_present
        await c.disconnect()
        await c.connect(w.b, clean=True)
        await c.disconnect()


@case
async def expiry_changes_at_disconnect(w):
    c = w.client("c")
    await c.connect(w.a, props=DURABLE)
    await c.disconnect(props={"session_expiry": 0})
    assert not (await c.connect(w.a, clean=False, props={"session_expiry": 1})).session_present
    await c.disconnect(props={"session_expiry": 300})
    await asyncio.sleep(1.2)
    assert (await c.connect(w.b, clean=False, props={"session_expiry": 1})).session_present
    await c.disconnect()
    await asyncio.sleep(1.5)  # the time it has
    assert not (await c.connect(w.b, clean=False)).session_present
    c.send(packet(DISCONNECT, b"\0" + properties({"session_expiry": 5})))
    assert await c.wait_closed() == 0x82  # it was 0


@case(one_sidecar=True)
async def session_expiry_that_is_granted(w):
    """CONNACK says it where it is another than the one asked for."""
    c = w.client("c")
    connack = await c.connect(w.a, props={"session_expiry": 0xFFFFFFFF})
    assert 0 < connack.props["session_expiry"] < 0xFFFFFFFF
    connack = await c.connect(w.a, clean=False, props=DURABLE)
    assert connack.session_present and "session_expiry" not in connack.props
    assert "session_expiry" not in (await c.connect(w.a, clean=True)).props


@case(one_sidecar=True)
async def fixed_headers(w):
    bad = [b"\x00\0", b"\xf1\0", b"\x20\2\0\0", b"\x90\3\0\1\0", b"\xb0\2\0\1", b"\xd0\0",
           b"\xc1\0", b"\xc0\1x", b"\xe1\0", b"\x30\xff\xff\xff\xff\x01", b"\x30\x80\x80\x80\x80\0",
           b"\xa0\3\0\1t", b"\x10\0"]
    for version in (V311, V5):
        for data in bad:
            raw = await w.raw_connected(version=version)
            raw.send(data)
            reason = await raw.ended()
            assert reason in (0x81, 0x82, 0x95) if version == V5 else reason is None, (version, data)
    raw = await w.raw_connected(version=V311)
    raw.send(b"\xf0\0")  # AUTH is of MQTT 5
    assert await raw.ended() is None
    raw = await w.raw_connected(version=V311)
    raw.send(b"\xe0\1\0")  # DISCONNECT with a reason, too
    assert await raw.ended() is None


@case
async def maximum_packet_size_of_the_client(w):
    raw = await w.raw()
    raw.send(connect_packet("", V5, props={"maximum_packet_size": 12}))
    got = await raw.packet()
    assert got is None or len(got[2].data) <= 10, got
    sub = await w.subscriber(w.topic(), props={"maximum_packet_size": 100})
    pub = await w.connect("pub")
    exact = 100 - len(publish_packet(w.topic(), b"", 1, False, False, 1, V5, None))
    await pub.publish(w.topic(), b"x" * (exact + 1), 1)
    await pub.publish(w.topic(), b"y" * exact, 1)
    assert (await sub.receive()).payload == b"y" * exact
    # the same with an alias in the way
    sub = await w.subscriber(w.topic(), suffix="alias",
                             props={"maximum_packet_size": 100, "topic_alias_maximum": 10})
    await pub.publish(w.topic(), b"z" * exact, 1)
    assert (await sub.receive()).payload == b"z" * exact


@case(one_sidecar=True)
async def maximum_packet_size_of_the_server(w):
    c = await w.connect("c")
    limit = c.connack.props["maximum_packet_size"]
    c.publish_nowait(w.topic(), b"x" * limit, 0)
    assert await c.wait_closed() == 0x95


@case
async def request_problem_information(w):
    raw = await w.raw()
    raw.send(connect_packet(w.id(), props={"request_problem": 0}))
    await raw.expect(CONNACK)
    raw.send(packet(SUBSCRIBE, b"\0\1\0" + text("$tag") + b"\0", 2))
    assert (await raw.expect(SUBACK)).data == b"\0\1\0\x8f"
    raw.send(publish_packet(w.topic(), b"", 1, False, False, 3, V5, None))
    r = await raw.expect(PUBACK)
    assert len(r.data) <= 3 or r.data[3] == 0


@case
async def topic_alias_maximum_zero(w):
    sub = await w.subscriber(w.topic())
    pub = await w.connect("pub")
    for n in range(3):
        await pub.publish(w.topic(), b"%d" % n, 1)
        m = await sub.receive()
        assert m.topic == w.topic() and "topic_alias" not in m.props


@case(one_sidecar=True)
async def bad_connect_properties(w):
    protocol_error = [{"receive_maximum": 0}, {"maximum_packet_size": 0}, {"request_problem": 2},
                      {"request_response": 2}, {"auth_data": b"x"}]
    for props in protocol_error:
        raw = await w.raw()
        raw.send(connect_packet(w.id(), props=props))
        assert await raw.ended() in (0x81, 0x82), props
    for twice in ({"session_expiry": 1}, {"receive_maximum": 1}, {"maximum_packet_size": 100},
                  {"topic_alias_maximum": 1}, {"request_problem": 1}, {"request_response": 1}):
        encoded = properties(twice)[1:]
        raw = await w.raw()
        raw.send(packet(1, text("MQTT") + b"\5\2\0\0" + bytes([2 * len(encoded)]) + encoded * 2 +
                        text(w.id())))
        assert await raw.ended() == 0x82, twice
    for misplaced in ({"topic_alias": 1}, {"message_expiry": 1}, {"subscription_id": 1},
                      {"assigned_client_id": "x"}, {"will_delay": 1}, {"maximum_qos": 1}):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), props=misplaced))
        assert await raw.ended() in (0x81, 0x82), misplaced
    raw = await w.raw()  # an unknown property
    raw.send(packet(1, text("MQTT") + b"\5\2\0\0\2\x7f\0" + text(w.id())))
    assert await raw.ended() == 0x81


@case(one_sidecar=True)
async def enhanced_authentication_is_refused(w):
    raw = await w.raw()
    raw.send(connect_packet(w.id(), props={"auth_method": "SCRAM-SHA-1", "auth_data": b"x"}))
    assert await raw.ended() in (0x8C, 0x87)
    raw = await w.raw_connected()
    raw.send(packet(15, b"\x18" + properties({"auth_method": "x"})))
    assert await raw.ended() == 0x82


@case(one_sidecar=True)
async def connect_may_come_byte_by_byte(w):
    raw = await w.raw()
    for byte in connect_packet(w.id(), V5, props={"user": [("a", "b"), ("a", "c")]}):
        raw.send(bytes([byte]))
        await raw.writer.drain()
        await asyncio.sleep(0)
    assert (await raw.expect(CONNACK)).data[1] == 0


# ---- taking over

@case
async def takeover(w):
    for version in (V311, V5):
        for props, clean in ((None, True), (DURABLE if version == V5 else None, False)):
            first = await w.connect(f"c{version}{clean}", version, w.a, clean=clean, props=props)
            if not clean:
                assert await first.subscribe(w.topic(f"t{version}")) == [1]
            port = w.a if clean else w.b  # a transient session belongs to its pod
            second = await w.connect(f"c{version}{clean}", version, port, clean=clean, props=props)
            assert await first.wait_closed() == (0x8E if version == V5 else None)
            assert second.connack.session_present == (not clean)
            if not clean:  # the subscription is there
                await second.publish(w.topic(f"t{version}"), b"x", 1)
                assert (await second.receive()).payload == b"x"
            await second.disconnect()


@case
async def a_transient_connection_ends_the_durable_session(w):
    for version in (V311, V5):
        durable = await w.connect(f"c{version}", version, w.b, clean=False,
                                  props=DURABLE if version == V5 else None)
        assert await durable.subscribe((w.topic(), 1)) == [1]
        transient = await w.connect(f"c{version}", version, w.a, clean=True)
        assert await durable.wait_closed() == (0x8E if version == V5 else None)
        assert await transient.subscribe((w.topic("other"), 1)) == [1]
        assert await transient.publish(w.topic(), b"", 1) in (0, 0x10)
        await transient.ping()
        assert not transient.inbox
        await transient.disconnect()
        assert not (await durable.connect(w.a, clean=False)).session_present
        await durable.disconnect()
        await durable.connect(w.a, clean=True)
        await durable.disconnect()


@case
async def takeover_many_times(w):
    clients = [w.client("same") for _ in range(12)]
    for n, c in enumerate(clients):
        connack = await c.connect(w.a if n % 2 else w.b, clean=False, props=DURABLE)
        assert connack.code == 0 and connack.session_present == (n > 0)
        if n == 0:
            assert await c.subscribe(w.topic()) == [1]
    for c in clients[:-1]:
        assert await c.wait_closed() == 0x8E
    await clients[-1].ping()
    assert clients[-1].connected


# ---- keep alive

@case(one_sidecar=True)
async def keep_alive(w):
    for version in (V311, V5):
        silent = await w.connect(f"silent{version}", version, keep_alive=1)
        lively = await w.connect(f"lively{version}", version, keep_alive=1)
        none = await w.connect(f"none{version}", version, keep_alive=0)
        start = time.monotonic()
        while silent.connected and time.monotonic() - start < 5:
            await lively.ping()
            await asyncio.sleep(0.1)
        assert 1 < time.monotonic() - start < 4
        assert silent.disconnect_reason == (0x8D if version == V5 else None)
        assert lively.connected and none.connected


# ---- DISCONNECT and wills

@case(one_sidecar=True)
async def disconnect(w):
    for version in (V311, V5):
        raw = await w.raw_connected(version=version)
        raw.send(packet(DISCONNECT), packet(PINGREQ))
        assert await raw.packet() is None  # the connection ends, and nothing is answered
        raw = await w.raw_connected(version=version)
        raw.send(packet(DISCONNECT, b"", 1))
        assert await raw.ended() == (0x81 if version == V5 else None)
    raw = await w.raw_connected()
    raw.send(packet(DISCONNECT, b"\x01"))  # a code that it can't have
    assert await raw.ended() in (0x81, 0x82)
    raw = await w.raw_connected()
    raw.send(packet(DISCONNECT, b"\0" + properties({"server_reference": "x"})))
    assert await raw.ended() in (0x81, 0x82)


@case
async def will_is_published_when_the_connection_breaks(w):
    for version in (V311, V5):
        sub = await w.subscriber(w.topic(f"{version}/#"), suffix=f"sub{version}", version=version)
        for qos in (0, 1, 2):
            topic = w.topic(f"{version}/{qos}")
            c = await w.connect(f"c{version}{qos}", version, will=Will(topic, b"w%d" % qos, qos))
            c.abort()
            m = await sub.receive()
            assert (m.topic, m.payload, m.qos, m.retain) == (topic, b"w%d" % qos, qos, False)


@case
async def will_follows_a_protocol_error(w):
    sub = await w.subscriber(w.topic())
    for version in (V311, V5):
        c = await w.connect("c", version, will=Will(w.topic(), b"%d" % version, 1))
        c.send(packet(0))
        await c.wait_closed()
        assert (await sub.receive()).payload == b"%d" % version


@case
async def will_goes_with_disconnect(w):
    sub = await w.subscriber(w.topic("#"))
    for version in (V311, V5):
        c = await w.connect("c", version, will=Will(w.topic("no"), b"", 1))
        await c.disconnect()
    c = await w.connect("c", will=Will(w.topic("yes"), b"", 1))
    await c.disconnect(4)
    m = await sub.receive()
    assert m.topic == w.topic("yes"), m
    await w.nothing_comes(sub, w.topic("end"))


@case
async def disconnect_counts_also_while_messages_flow(w):
    """The client closes right behind DISCONNECT and reads no more, and connects again."""
    sub = await w.subscriber(w.topic("#"))
    pub = await w.connect("pub")
    for n in range(10):
        raw = await w.raw()
        raw.send(connect_packet(w.id("c"), flags=6, payload=will_payload(w.topic("no"), b"w")))
        await raw.expect(CONNACK)
        raw.send(packet(SUBSCRIBE, b"\0\1\0" + text(w.topic("t")) + b"\0", 2))
        await raw.expect(SUBACK)
        for _ in range(50):
            pub.publish_nowait(w.topic("t"), b"x" * 100, 0)
        await raw.expect(PUBLISH)
        raw.send(packet(DISCONNECT))
        if n % 2:
            raw.writer.close()
        else:
            raw.abort()
    got = await sub.receive_all(500)
    assert all(m.topic == w.topic("t") for m in got)
    await w.nothing_comes(sub, w.topic("end"))


@case
async def will_is_published_at_takeover(w):
    sub = await w.subscriber(w.topic("#"))
    for props, clean in ((None, True), (DURABLE, False), (DURABLE, True)):
        first = await w.connect("c", clean=clean, props=props, will=Will(w.topic("w"), b"1", 1))
        second = await w.connect("c", port=w.b if not clean else w.a, clean=clean, props=props)
        assert await first.wait_closed() == 0x8E
        assert (await sub.receive()).payload == b"1"
        await second.disconnect(props={"session_expiry": 0} if props else None)


@case
async def retained_will(w):
    for retain in (False, True):
        topic = w.topic(str(retain))
        live = await w.subscriber(topic, suffix=f"live{retain}")
        c = await w.connect("c", will=Will(topic, b"w", 1, retain))
        c.abort()
        assert not (await live.receive()).retain
        late = await w.subscriber(topic, suffix=f"late{retain}")
        if retain:
            m = await late.receive()
            assert m.retain and m.payload == b"w"
            await late.publish(topic, b"", 1, retain=True)
            await late.receive()
        else:
            await w.nothing_comes(late, topic)


@case
async def will_delay(w):
    sub = await w.subscriber(w.topic("#"))
    # back in time: none
    will = Will(w.topic("back"), b"", 1, props={"will_delay": 2})
    c = w.client("back")
    await c.connect(w.a, will=will, props=DURABLE)
    c.abort()
    await c.wait_closed()
    await c.connect(w.b, clean=False, props=DURABLE)
    # the session ends first: then
    c2 = await w.connect("ends", will=Will(w.topic("ends"), b"", 1, props={"will_delay": 100}),
                         props={"session_expiry": 1})
    start = time.monotonic()
    c2.abort()
    assert (await sub.receive()).topic == w.topic("ends")
    assert time.monotonic() - start > 0.8
    # no session at all: at once
    c3 = await w.connect("none", will=Will(w.topic("none"), b"", 1, props={"will_delay": 100}))
    c3.abort()
    assert (await sub.receive()).topic == w.topic("none")
    # a new session in its place: at once
    will = Will(w.topic("clean"), b"", 1, props={"will_delay": 100})
    c4 = await w.connect("clean", will=will, props=DURABLE)
    c4.abort()
    await c4.wait_closed()
    await c4.connect(w.b, clean=True, props={"session_expiry": 0})
    assert (await sub.receive()).topic == w.topic("clean")
    # its time is over
    c5 = await w.connect("over", will=Will(w.topic("over"), b"", 1, props={"will_delay": 1}),
                         props=DURABLE)
    start = time.monotonic()
    c5.abort()
    assert (await sub.receive()).topic == w.topic("over")
    assert time.monotonic() - start > 0.8
    await w.nothing_comes(sub, w.topic("end"))
    await c5.wait_closed()
    await c5.connect(w.a, clean=True)
    await c.disconnect(props={"session_expiry": 0})


@case
async def will_properties(w):
    sub = await w.subscriber(w.topic())
    props = {"payload_format": 1, "content_type": "text/plain", "response_topic": "r/t",
             "correlation_data": b"\0\1", "user": [("b", "1"), ("a", "2"), ("b", "3")]}
    c = await w.connect("c", will=Will(w.topic(), b"w", 1, props=props |
                                       {"message_expiry": 100, "will_delay": 0}))
    c.abort()
    m = await sub.receive()
    assert 98 <= m.props.pop("message_expiry") <= 100
    assert m.props == props
    # sizes at the edges
    for payload in (b"", bytes(range(256)) * 255 + b"x" * 255):
        c = await w.connect("c", will=Will(w.topic(), payload, 2))
        c.abort()
        assert (await sub.receive()).payload == payload


@case(one_sidecar=True)
async def bad_wills(w):
    for version in (V311, V5):
        for topic in ("a/#", "+", "", b"\xff", b"a\0"):
            raw = await w.raw()
            raw.send(connect_packet(w.id(), version, flags=6,
                                    payload=will_payload(topic, b"", version)))
            assert await raw.ended() == (0x81 if version == V5 else None), topic
    for props in ({"topic_alias": 1}, {"payload_format": 2}, {"response_topic": "a/#"},
                  {"session_expiry": 1}, {"subscription_id": 1}):
        raw = await w.raw()
        raw.send(connect_packet(w.id(), flags=6, payload=will_payload("t", b"", props=props)))
        assert await raw.ended() in (0x81, 0x82), props


@case
async def no_will_for_a_refused_connect(w):
    sub = await w.subscriber(w.topic())
    raw = await w.raw()
    raw.send(connect_packet(w.id("c"), flags=6, props={"auth_method": "x"},
                            payload=will_payload(w.topic(), b"w")))
    assert await raw.ended() == 0x8C
    await w.nothing_comes(sub, w.topic())


@case(one_sidecar=True)
async def connack_of_version_3_has_its_codes(w):
    raw = await w.raw()
    raw.send(connect_packet(w.id(), V311))
    assert (await raw.packet())[2].data == b"\0\0"
    assert Reader(b"").left() == 0

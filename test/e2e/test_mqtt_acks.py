"""MQTT conformance of what a client answers its deliveries with: an acknowledgement of
the wrong kind is a protocol error, one of an unknown packet identifier is not."""

import struct

from cluster import eventually, metric
from conformance import World, case, cases, check, connect_packet
from mqtt import CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, \
    SUBACK, SUBSCRIBE, V5, V311, packet, properties, text
from scenario import scenario

KINDS = {"PUBACK": (PUBACK, 0), "PUBREC": (PUBREC, 0), "PUBCOMP": (PUBCOMP, 0)}
BOTH = (V311, V5)


@scenario(timeout_s=120)
async def test_acks(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))


def ack(kind, packet_id, reason=b""):
    number, flags = KINDS[kind]
    return packet(number, struct.pack(">H", packet_id) + reason, flags)


async def durable(w, suffix, version, clean, port=None):
    """A raw connection with a session that stays; (it, whether the session was present)."""
    raw = await w.raw(port)
    props = {"session_expiry": 300} if version == V5 else None
    raw.send(connect_packet(w.id(suffix), version, clean << 1, props=props))
    r = await raw.expect(CONNACK)
    assert r.data[1] == 0
    return raw, r.data[0] == 1


async def subscribed(w, suffix, version, topic, qos):
    raw, present = await durable(w, suffix, version, clean=version == V5)
    assert not present
    p = properties(None) if version == V5 else b""
    raw.send(packet(SUBSCRIBE, b"\0\1" + p + text(topic) + bytes([qos]), 2))
    assert (await raw.expect(SUBACK)).data[-1] == qos
    return raw


async def delivery(raw, qos, version):
    """The next PUBLISH's packet identifier and payload."""
    got = await raw.packet()
    assert got is not None and got[0] == PUBLISH and got[1] >> 1 & 3 == qos, got
    r = got[2]
    r.str()
    packet_id = r.u16()
    if version == V5:
        r.properties()
    return packet_id, bytes(r.take(r.left()))


async def protocol_error(raw, version, what):
    """The connection ends as after a protocol error, with words in MQTT 5.0."""
    while (got := await raw.packet()) is not None and got[0] != DISCONNECT:
        assert got[0] == PUBREL, (what, got)
    if version == V311:
        assert got is None, (what, got)
        return
    assert got is not None, f"{what}: closed without DISCONNECT"
    assert got[2].u8() == 0x82, what
    words = got[2].properties().get("reason_string", "")
    assert what.split()[-1] in words, (what, words)
    assert await raw.packet() is None


async def alive(raw):
    raw.send(packet(PINGREQ))
    assert (await raw.packet())[0] == PINGRESP


# ---- of the wrong kind

@case
async def wrong_for_what_was_sent(w):
    pub = await w.connect("pub", port=w.b)
    for version in BOTH:
        for qos, right in ((1, "PUBACK"), (2, "PUBREC")):
            for kind in KINDS:
                if kind == right:
                    continue
                name = f"{version}-{qos}-{kind}"
                raw = await subscribed(w, name, version, w.topic(name), qos)
                await pub.publish(w.topic(name), b"m", qos)
                packet_id, _ = await delivery(raw, qos, version)
                raw.send(ack(kind, packet_id))
                await protocol_error(raw, version, f"QoS {qos}, {kind}")
                # it comes again: the wrong packet has not settled it
                raw, present = await durable(w, name, version, clean=False)
                assert present and await delivery(raw, qos, version) == (packet_id, b"m")
                raw.send(ack(right, packet_id))
                if qos == 2:
                    assert (await raw.expect(PUBREL)).data == struct.pack(">H", packet_id)
                    raw.send(ack("PUBCOMP", packet_id))
                await alive(raw)


@case
async def wrong_for_what_was_released(w):
    pub = await w.connect("pub", port=w.b)
    for version in BOTH:
        name = f"r{version}"
        raw = await subscribed(w, name, version, w.topic(name), 2)
        await pub.publish(w.topic(name), b"m", 2)
        packet_id, _ = await delivery(raw, 2, version)
        raw.send(ack("PUBREC", packet_id))
        await raw.expect(PUBREL)
        raw.send(ack("PUBREC", packet_id))  # may be said again
        await raw.expect(PUBREL)
        raw.send(ack("PUBACK", packet_id))
        await protocol_error(raw, version, "released, PUBACK")
        raw, present = await durable(w, name, version, clean=False)
        assert present
        assert (await raw.expect(PUBREL)).data == struct.pack(">H", packet_id)
        raw.send(ack("PUBACK", packet_id))
        await protocol_error(raw, version, "released before, PUBACK")
        raw, _ = await durable(w, name, version, clean=False, port=w.b)
        assert (await raw.expect(PUBREL)).data == struct.pack(">H", packet_id)
        raw.send(ack("PUBCOMP", packet_id))
        await alive(raw)


@case
async def several_and_a_small_maximum(w):
    """Only the wrong one ends it, and its words are left out where there is no room."""
    pub = await w.connect("pub", port=w.b)
    raw = await w.raw_connected(props={"maximum_packet_size": 60})
    raw.send(packet(SUBSCRIBE, b"\0\1\0" + text(w.topic()) + b"\1", 2))
    await raw.expect(SUBACK)
    for n in range(3):
        await pub.publish(w.topic(), b"%d" % n, 1)
    ids = [(await delivery(raw, 1, V5))[0] for _ in range(3)]
    raw.send(ack("PUBACK", ids[0]), ack("PUBREC", ids[1], b"\x80"), ack("PUBACK", ids[2]))
    got = await raw.packet()
    assert got[0] == DISCONNECT and got[2].data in (b"\x82", b"\x82\0"), got[2].data
    assert await raw.packet() is None


# ---- of ids under which nothing is open

@case
async def unknown_ids(w):
    for version in BOTH:
        raw = await w.raw_connected(f"u{version}", version)
        raw.send(ack("PUBACK", 7), ack("PUBCOMP", 8))
        if version == V5:
            raw.send(ack("PUBREC", 9, b"\x80"))
        await alive(raw)
        raw.send(ack("PUBREC", 9))
        want = b"\0\x09\x92" if version == V5 else b"\0\x09"
        assert (await raw.expect(PUBREL)).data == want
        raw.send(ack("PUBCOMP", 9))
        await alive(raw)


@case
async def said_once_more(w):
    """What is finished may be acknowledged again, and by a client that came back."""
    pub = await w.connect("pub", port=w.b)
    for version in BOTH:
        name = f"o{version}"
        raw = await subscribed(w, name, version, w.topic(name), 1)
        await pub.publish(w.topic(name), b"m", 1)
        packet_id, _ = await delivery(raw, 1, version)
        raw.send(ack("PUBACK", packet_id) * 2, ack("PUBCOMP", packet_id))
        await alive(raw)
        raw.abort()
        raw, present = await durable(w, name, version, clean=False)
        assert present
        raw.send(ack("PUBACK", packet_id), ack("PUBCOMP", packet_id))
        await alive(raw)


# ---- the slot

@scenario()
async def test_a_wrong_answer_frees_its_slot(env):
    """With a Receive Maximum of 1 the next message needs the slot: it comes on the next
    connection, behind the one that was not settled."""
    stack = await env.stack(sidecars=1)
    w = World(env, stack, (stack.ports[0], stack.ports[0]), "slot")
    pub = await w.connect("pub")
    raw = await w.raw()
    props = {"session_expiry": 300, "receive_maximum": 1}
    raw.send(connect_packet("slot", V5, 2, props=props))
    await raw.expect(CONNACK)
    raw.send(packet(SUBSCRIBE, b"\0\1\0" + text("slot") + b"\1", 2))
    await raw.expect(SUBACK)
    await pub.publish("slot", b"1", 1)
    await pub.publish("slot", b"2", 1)
    packet_id, payload = await delivery(raw, 1, V5)
    assert payload == b"1"
    raw.send(ack("PUBREC", packet_id))
    await protocol_error(raw, V5, "QoS 1, PUBREC")
    raw = await w.raw()
    raw.send(connect_packet("slot", V5, 0, props=props))
    assert (await raw.expect(CONNACK)).data[0] == 1
    for want in (b"1", b"2"):
        packet_id, payload = await delivery(raw, 1, V5)
        assert payload == want
        raw.send(ack("PUBACK", packet_id))
    await alive(raw)
    sidecar = stack.sidecars[0]

    async def one_client():
        return await metric(sidecar, "sqmqos_clients") == 2
    await eventually(one_client, "the closed connection to go")
    await w.end()

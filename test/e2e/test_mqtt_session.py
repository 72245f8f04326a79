"""MQTT conformance of sessions: what waits, what is sent again, in which order, and
through which sidecar the client comes back."""

import asyncio
import struct

from cluster import eventually
from conformance import case, cases, check, connect_packet
from mqtt import CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, \
    SUBACK, SUBSCRIBE, V5, V311, Will, packet, properties, publish_packet, text
from scenario import scenario

DURABLE = {"session_expiry": 300}
BOTH = ((V311, None), (V5, DURABLE))


@scenario(timeout_s=120)
async def test_session(env):
    stack = await env.stack()
    await check(env, stack, cases(globals()))


async def leave(w, c, abort=False):
    if abort:
        c.abort()
        await c.wait_closed()
    else:
        await c.disconnect()


async def move(c, port, to, props):
    """Comes back through the other sidecar once all is settled at the first: what a
    client acknowledges right before it appears elsewhere may come again."""
    if port != to:
        assert (await c.connect(port, clean=False, props=props)).session_present
        await c.disconnect()
    assert (await c.connect(to, clean=False, props=props)).session_present


async def wipe(c, port):
    await c.connect(port, clean=True, props={"session_expiry": 0}, resend=False)
    assert not c.connack.session_present
    await c.disconnect()


# ---- what waits for the client

@case
async def messages_wait(w):
    for version, props in BOTH:
        for abort in (False, True):
            topic = w.topic(f"{version}{abort}")
            c = w.client(f"c{version}{abort}", version)
            await c.connect(w.b, clean=False, props=props)
            await c.subscribe((topic, 2))
            await leave(w, c, abort)
            pub = await w.connect(f"pub{version}{abort}", version)
            for n in range(30):
                assert await pub.publish(topic, b"%d" % n, 1 + n % 2, props=None) == 0
            assert (await c.connect(w.a, clean=False, props=props)).session_present
            got = await c.receive_all(30)
            assert [int(m.payload) for m in got] == list(range(30))
            assert [m.qos for m in got] == [1 + n % 2 for n in range(30)]
            assert not any(m.retain for m in got)
            # nothing is left, and it goes on
            await c.disconnect()
            await move(c, w.a, w.b, props)
            await pub.publish(topic, b"live", 1)
            m = await c.receive()
            assert m.payload == b"live", m
            await c.disconnect()
            await wipe(c, w.a)


@case
async def clean_start_wipes(w):
    for version, props in BOTH:
        c = w.client(f"c{version}", version)
        await c.connect(w.b, clean=False, props=props)
        await c.subscribe((w.topic(), 1), (w.topic("end"), 1))
        await c.disconnect()
        pub = await w.connect(f"pub{version}")
        await pub.publish(w.topic(), b"waits", 1)
        assert not (await c.connect(w.a, clean=True, props=props)).session_present
        assert await c.subscribe((w.topic("end"), 1)) == [1]
        assert await pub.publish(w.topic(), b"nobody", 1) == 0x10
        await pub.publish(w.topic("end"), b"end", 1)
        assert (await c.receive()).payload == b"end"
        await c.disconnect()
        await wipe(c, w.a)


@case
async def a_transient_session_keeps_nothing(w):
    for version in (V311, V5):
        c = w.client(f"c{version}", version)
        await c.connect(w.b, clean=True)
        await c.subscribe((w.topic(), 2))
        await leave(w, c, version == V5)
        pub = await w.connect(f"pub{version}")

        async def gone(pub=pub):
            return await pub.publish(w.topic(), b"", 1) == 0x10
        await eventually(gone, "the subscription has ended")
        assert not (await c.connect(w.b, clean=False)).session_present
        await c.disconnect()
        await wipe(c, w.b)


# ---- what is sent again

@case
async def unfinished_messages_come_again(w):
    """With DUP, under their packet ids, in their order; through either sidecar."""
    for version, props in BOTH:
        topic = w.topic(str(version))
        c = w.client(f"c{version}", version, ack="none")
        await c.connect(w.b, clean=False, props=props)
        await c.subscribe((topic, 2))
        pub = await w.connect(f"pub{version}")
        for n in range(10):
            await pub.publish(topic, b"%d" % n, 1 + n % 2)
        first = [(m.packet_id, m.payload, m.qos) for m in await c.receive_all(10)]
        for port in (w.b, w.a):
            await leave(w, c, True)
            c.held.clear()
            assert (await c.connect(port, clean=False, props=props)).session_present
            again = await c.receive_all(10)
            assert [(m.packet_id, m.payload, m.qos) for m in again] == first
            assert all(m.dup for m in again)
        await c.ping()
        assert not c.inbox
        # finished now: not again
        c.ack = "auto"
        c.held.clear()
        await leave(w, c, True)
        await c.connect(w.b, clean=False, props=props)
        await c.receive_all(10)
        await c.disconnect()
        await move(c, w.b, w.a, props)
        await pub.publish(topic, b"new", 1)
        m = await c.receive()
        assert m.payload == b"new" and not m.dup, m
        await c.disconnect()
        await wipe(c, w.a)


@case
async def pubrel_comes_again(w):
    for version, props in BOTH:
        flags = 0
        raw = await w.raw_connected(f"c{version}", version, w.b, flags=flags, props=props)
        p = properties(None) if version == V5 else b""
        raw.send(packet(SUBSCRIBE, b"\0\1" + p + text(w.topic()) + b"\2", 2))
        await raw.expect(SUBACK)
        pub = await w.connect(f"pub{version}")
        ids = []
        for n in range(3):
            await pub.publish(w.topic(), b"%d" % n, 2)
            r = await raw.expect(PUBLISH)
            r.str()
            ids.append(r.u16())
        for packet_id in ids[:2]:
            raw.send(packet(PUBREC, struct.pack(">H", packet_id)))
            assert (await raw.expect(PUBREL)).u16() == packet_id
        raw.abort()
        for port in (w.b, w.a):
            raw = await w.raw(port)
            raw.send(connect_packet(w.id(f"c{version}"), version, flags, props=props))
            assert (await raw.expect(CONNACK)).data[0] == 1
            got = [await raw.packet() for _ in range(3)]
            assert sorted(kind for kind, _, _ in got) == [PUBLISH, PUBREL, PUBREL]
            assert [r.u16() for kind, _, r in got if kind == PUBREL] == ids[:2]
            (flags_again, r), = [(f, r) for kind, f, r in got if kind == PUBLISH]
            assert flags_again == 0x0C and r.str() == w.topic() and r.u16() == ids[2]
            if port == w.b and w.a != w.b:
                raw.abort()
        for packet_id in ids[:2]:
            raw.send(packet(PUBCOMP, struct.pack(">H", packet_id)))
        raw.send(packet(PUBREC, struct.pack(">H", ids[2])))
        assert (await raw.expect(PUBREL)).u16() == ids[2]
        raw.send(packet(PUBCOMP, struct.pack(">H", ids[2])), packet(DISCONNECT))
        assert await raw.packet() is None
        c = w.client(f"c{version}", version)
        await c.connect(w.a, clean=False, props=props)
        await pub.publish(w.topic(), b"new", 1)
        assert (await c.receive()).payload == b"new"
        await c.disconnect()
        await wipe(c, w.a)


@case
async def a_publisher_goes_on_with_qos_2(w):
    """The id of a PUBLISH that was answered is known when the client comes back,
    through either sidecar."""
    for version, props in BOTH:
        sub = await w.subscriber(w.topic(str(version)), suffix=f"sub{version}")
        raw = await w.raw_connected(f"c{version}", version, w.a, flags=0, props=props)
        raw.send(publish_packet(w.topic(str(version)), b"once", 2, False, False, 77, version, None))
        await raw.expect(PUBREC)
        for port in (w.a, w.b):
            raw.abort()
            raw = await w.raw(port)
            raw.send(connect_packet(w.id(f"c{version}"), version, 0, props=props))
            assert (await raw.expect(CONNACK)).data[0] == 1
            raw.send(publish_packet(w.topic(str(version)), b"once", 2, False, True, 77, version, None))
            assert (await raw.expect(PUBREC)).u16() == 77
        raw.send(packet(PUBREL, b"\0\x4d", 2))
        r = await raw.expect(PUBCOMP)
        assert r.u16() == 77 and (r.left() == 0 or r.u8() == 0)
        raw.send(packet(PUBREL, b"\0\x4d", 2))
        r = await raw.expect(PUBCOMP)
        assert r.u16() == 77
        assert (await sub.receive()).payload == b"once"
        await w.nothing_comes(sub, w.topic(str(version)))
        raw.send(packet(DISCONNECT))
        await raw.ended()
        await wipe(w.client(f"c{version}", version), w.a)


@case
async def receive_maximum_holds_over_reconnects(w):
    props = DURABLE | {"receive_maximum": 4}
    c = w.client("c", ack="none")
    await c.connect(w.b, clean=False, props=props)
    await c.subscribe((w.topic(), 1))
    pub = await w.connect("pub")
    for n in range(12):
        await pub.publish(w.topic(), b"%d" % n, 1)
    first = await c.receive_all(4)
    await leave(w, c, True)
    await c.connect(w.a, clean=False, props=props)
    again = await c.receive_all(4)
    assert [m.packet_id for m in again] == [m.packet_id for m in first]
    await c.ping()
    assert not c.inbox
    # a smaller one: no more than that are sent again at a time
    await leave(w, c, True)
    await c.connect(w.b, clean=False, props=DURABLE | {"receive_maximum": 2})
    await c.receive_all(2)
    await c.ping()
    assert not c.inbox
    c.ack = "auto"
    for m in first[:2]:
        c.send_ack(PUBACK, m.packet_id)
    rest = await c.receive_all(10)
    assert [int(m.payload) for m in rest] == list(range(2, 12))
    await c.disconnect()
    await wipe(c, w.a)


@case
async def a_session_may_change_its_version(w):
    c = w.client("c", V311)
    await c.connect(w.b, clean=False)
    await c.subscribe((w.topic(), 1))
    await c.disconnect()
    five = w.client("c", V5)
    assert (await five.connect(w.a, clean=False, props=DURABLE)).session_present
    pub = await w.connect("pub")
    await pub.publish(w.topic(), b"x", 1, props={"user": ("a", "b")})
    assert (await five.receive()).props == {"user": [("a", "b")]}
    await five.disconnect()
    await pub.publish(w.topic(), b"y", 1, props={"user": ("a", "b")})
    assert (await c.connect(w.b, clean=False)).session_present
    assert (await c.receive()).payload == b"y"
    await c.disconnect()
    await wipe(c, w.a)


@case
async def options_stay_with_the_session(w):
    c = w.client("c")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic("t"), 1 | 4 | 8), props={"subscription_id": 9})  # no local, as published
    await c.subscribe((w.topic("end"), 0))
    await c.disconnect()
    assert (await c.connect(w.a, clean=False, props=DURABLE)).session_present
    await c.publish(w.topic("t"), b"own", 1)
    pub = await w.connect("pub")
    await pub.publish(w.topic("t"), b"x", 2, retain=True)
    m = await c.receive()
    assert (m.payload, m.qos, m.retain, m.props["subscription_id"]) == (b"x", 1, True, [9])
    await pub.publish(w.topic("end"), b"", 1)
    m = await c.receive()
    assert m.qos == 0 and "subscription_id" not in m.props
    await pub.publish(w.topic("t"), b"", 1, retain=True)
    await c.disconnect()
    await wipe(c, w.a)


@case
async def takeover_between_sidecars_loses_nothing(w):
    """The client moves while messages flow, without saying so."""
    c = [w.client("c") for _ in range(6)]
    got = []
    for one in c:
        one.on_message = lambda m: got.append(int(m.payload))
    await c[0].connect(w.b, clean=False, props=DURABLE)
    await c[0].subscribe((w.topic(), 2))
    pub = await w.connect("pub")
    sent = 0
    for n in range(1, len(c)):
        flight = [pub.publish_nowait(w.topic(), b"%d" % (sent + i), 2) for i in range(40)]
        sent += 40
        old, c[n].held = c[n - 1], c[n - 1].held
        old.stall()  # it reads no more, as nobody would on the old connection
        old.on_message, old.held, old.ack = (lambda m: None), set(), "none"
        await c[n].connect(w.a if n % 2 else w.b, clean=False, props=DURABLE)
        assert c[n].connack.session_present
        old.unstall()
        assert await c[n - 1].wait_closed() == 0x8E
        await asyncio.gather(*flight)
    await eventually(lambda: len(set(got)) == sent, "all have come")
    await c[-1].ping()
    assert sorted(got) == list(range(sent)), "twice or lost"
    await c[-1].disconnect()
    await wipe(c[-1], w.a)


@case
async def session_of_a_client_that_never_returns_ends(w):
    c = w.client("c")
    await c.connect(w.b, props={"session_expiry": 1}, will=Will(w.topic("will"), b"w", 1))
    await c.subscribe((w.topic(), 1))
    watcher = await w.subscriber(w.topic("will"), suffix="watcher")
    c.abort()
    assert (await watcher.receive()).payload == b"w"
    pub = await w.connect("pub")

    async def gone():
        return await pub.publish(w.topic(), b"", 1) == 0x10
    assert not await gone()
    await eventually(gone, "the session has expired", 10)
    assert not (await c.connect(w.a, clean=False)).session_present


@case
async def acknowledgements_out_of_order(w):
    """Any order of PUBACK finishes what it names."""
    c = w.client("c", ack="none")
    await c.connect(w.b, props=DURABLE)
    await c.subscribe((w.topic(), 1))
    pub = await w.connect("pub")
    for n in range(9):
        await pub.publish(w.topic(), b"%d" % n, 1)
    got = await c.receive_all(9)
    for m in reversed(got):
        if int(m.payload) % 3:
            c.send_ack(PUBACK, m.packet_id)
    await c.ping()
    await c.disconnect()
    await c.connect(w.b, clean=False, props=DURABLE)
    assert [int(m.payload) for m in await c.receive_all(3)] == [0, 3, 6]
    await leave(w, c, True)
    await c.connect(w.a, clean=False, props=DURABLE)
    assert [int(m.payload) for m in await c.receive_all(3)] == [0, 3, 6]
    await c.disconnect()
    await wipe(c, w.b)

"""What the configuration limits and switches off, and what clients are told of it: MQTT 5.0
§3.2.2.3 (properties of CONNACK), §3.3.2.3.3 (message expiry), §1.5.4 (characters)."""

from cluster import POOL, eventually, metric
from conformance import Raw, connect_packet, will_payload
from mqtt import CONNACK, SUBACK, SUBSCRIBE, V5, V311, Will, \
    packet, properties, publish_packet, text

DURABLE = {"session_expiry": 300}
OFF = {"mqtt": {"max-qos": 1, "retain": False, "wildcard-subscriptions": False,
                "shared-subscriptions": False, "subscription-ids": False}}
TOLD = {"maximum_qos": 1, "retain_available": 0, "wildcard_available": 0, "shared_available": 0,
        "subscription_ids_available": 0}


async def links_are_whole(stack, bad_requests=0):
    """No client has cost its pod a link."""
    for s in stack.sidecars:
        log = stack.log(s)
        assert "calls a" not in log, f"{s.name}: a request was called malformed"
        assert log.count("link up") == POOL, log
    found = await metric(stack.broker, "sqmqos_link_bad_requests_total")
    assert found <= bad_requests, found


async def refused(port, data):
    """Sends 'data' as the first packet; the code of the refusal, or None."""
    raw = await Raw.open(port)
    raw.send(data)
    return await raw.ended()


async def ended(env, port, version, data, name="c"):
    """A client of 'version' sends 'data'; DISCONNECT's reason, or None."""
    raw = await Raw.open(port)
    raw.send(connect_packet(name, version))
    assert (await raw.expect(CONNACK)).data[1] == 0
    raw.send(data)
    return await raw.ended()


def subscribe_packet(filters, version, props=None):
    body = b"\0\1" + (properties(props) if version == V5 else b"")
    return packet(SUBSCRIBE, body + b"".join(text(f) + b"\2" for f in filters), 2)


async def suback(port, version, *filters, name="s"):
    """The codes of one SUBSCRIBE at QoS 2."""
    raw = await Raw.open(port)
    raw.send(connect_packet(name, version), subscribe_packet(filters, version))
    assert (await raw.expect(CONNACK)).data[1] == 0
    r = await raw.expect(SUBACK)
    r.take(2)
    if version == V5:
        r.properties()
    codes = list(r.take(r.left()))
    raw.abort()
    return codes


# ---- client ids

async def client_id_limits(port, limit):
    for version, code in ((V5, 0x85), (V311, 2)):
        # each byte of 'ü', and a '%', takes three in the path of a request
        for piece in ("x", "ü", "%", "~", "/"):
            most = piece * (limit // len(piece.encode()))
            assert await suback(port, version, "t/u", name=most) == [2], piece
            over = most + piece
            assert await refused(port, connect_packet(over, version)) == code, piece


async def test_client_id_limit_of_the_sidecar(env):
    stack = await env.stack(sidecar={"limits": {"client-id": 40}})
    await client_id_limits(stack.ports[0], 40)
    await links_are_whole(stack)


async def test_longest_client_ids(env):
    """As long as can be configured, durable and transient, and of another sidecar's session."""
    limits = {"limits": {"client-id": 1024}}
    stack = await env.stack(sidecar=limits, broker=limits)
    a, b = stack.ports
    await client_id_limits(a, 1024)
    for version in (V5, V311):
        name = "ü" * 511 + str(version)
        c = await env.connect(a, name, version, clean=False,
                              props=DURABLE if version == V5 else None)
        await c.subscribe("long", qos=1)
        await c.disconnect(0, None)
        pub = await env.connect(a, f"pub-{version}")
        assert await pub.publish("long", b"kept", 1) == 0
        connack = await c.connect(b, clean=False, props=DURABLE if version == V5 else None)
        assert connack.session_present
        assert (await c.receive()).payload == b"kept"
        await c.disconnect()
        await c.connect(b)
        await c.disconnect()
    await links_are_whole(stack)


async def test_client_id_limit_of_the_broker(env):
    """The first client of a sidecar is refused by the broker's limit, too, which no attach
    has told yet, and nobody's link suffers."""
    for version, code in ((V5, 0x85), (V311, 2)):
        stack = await env.stack(broker={"limits": {"client-id": 32}})
        a, b = stack.ports
        assert await refused(a, connect_packet("x" * 33, version)) == code
        await client_id_limits(a, 32)
        props = DURABLE if version == V5 else None
        first = env.client("y" * 200, version)
        connack = await first.connect(b, clean=False, props=props)
        assert connack.code == code
        assert (await env.connect(b, "z" * 32, version, clean=False, props=props)).connected
        await links_are_whole(stack)


# ---- levels

def levels(n):
    return "/".join(["l"] * n)


async def level_limits(env, stack, most):
    a, b = stack.ports
    deep, deeper = levels(most), levels(most + 1)
    sub = await env.connect(b, "deep-sub")
    codes = await sub.subscribe(deep, deeper, "$share/g/" + levels(most - 1) + "/+",
                                "$share/g/" + deeper, "end")
    assert codes == [1, 0x8F, 1, 0x8F, 1], codes
    assert await suback(b, V311, deep, deeper) == [2, 0x80]
    assert await sub.unsubscribe(deeper) == [0x11 if most < 1024 else 0x8F]
    pub = await env.connect(a, "deep-pub")
    for qos in (1, 2):
        assert await pub.publish(deep, b"x", qos) == 0
        assert await pub.publish(deeper, b"x", qos) == 0x90
    await pub.publish(deeper, b"x", 0)
    assert await pub.publish("end", b"x", 1) == 0
    topics = [(await sub.receive()).topic for _ in range(5)]
    assert topics.count(deep) == 4 and topics[-1] == "end", topics
    old = await env.connect(a, "deep-old", V311)
    await old.publish(deeper, b"x", 0)
    assert await old.publish(deep, b"x", 1) is not None
    old.publish_nowait(deeper, b"x", 1)
    assert await old.wait_closed() is None
    for version, code in ((V5, 0x90), (V311, None)):
        data = connect_packet("w", version, flags=6,
                              payload=will_payload(deeper, b"", version))
        assert await refused(a, data) == code
    await links_are_whole(stack)


async def test_level_limits_of_the_sidecar(env):
    stack = await env.stack(sidecar={"limits": {"topic-levels": 4}})
    await level_limits(env, stack, 4)


async def test_level_limits_of_the_broker(env):
    stack = await env.stack(broker={"limits": {"topic-levels": 5}})
    await level_limits(env, stack, 5)


async def test_as_many_levels_as_can_be(env):
    limits = {"limits": {"topic-levels": 1024}}
    stack = await env.stack(sidecar=limits, broker=limits)
    await level_limits(env, stack, 1024)


async def test_default_level_limit(env):
    stack = await env.stack()
    await level_limits(env, stack, 128)


# ---- topic aliases

async def alias_publish(raw, alias, topic, packet_id=1):
    raw.send(publish_packet(topic, b"x", 1, False, False, packet_id, V5, {"topic_alias": alias}))


async def test_topic_alias_maximum(env):
    stack = await env.stack(start=False)
    stack.sidecars[0].tree["session"] = {"topic-alias-max": 0}
    stack.sidecars[1].tree["session"] = {"topic-alias-max": 1000}
    await stack.start()
    a, b = stack.ports
    none = await env.connect(a, "none")
    assert "topic_alias_maximum" not in none.connack.props
    many = await env.connect(b, "many")
    assert many.connack.props["topic_alias_maximum"] == 1000
    data = publish_packet("t", b"x", 1, False, False, 1, V5, {"topic_alias": 1})
    assert await ended(env, a, V5, data) == 0x94
    data = publish_packet("t", b"x", 1, False, False, 1, V5, {"topic_alias": 1001})
    assert await ended(env, b, V5, data) == 0x94
    sub = await env.connect(a, "sub", props={"topic_alias_maximum": 10})
    await sub.subscribe("alias/+")
    for alias in (1000, 1, 17, 999):
        await many.publish(f"alias/{alias}", b"x", 1, props={"topic_alias": alias})
    for alias in (17, 999, 1, 1000):
        await many.publish("", b"x", 1, props={"topic_alias": alias})
    got = [await sub.receive() for _ in range(8)]
    assert [m.topic or m.props["topic_alias"] for m in got[:4]] == \
        [f"alias/{n}" for n in (1000, 1, 17, 999)]
    assert all(m.payload == b"x" for m in got)
    big = await env.connect(b, "big")
    for alias in range(1, 17):
        await big.publish("b" * 65000, b"", 1, props={"topic_alias": alias})
    big.publish_nowait("b" * 65000, b"", 1, props={"topic_alias": 17})
    assert await big.wait_closed() == 0x97


# ---- what is switched off

async def switched_off(env, stack):
    a, b = stack.ports
    first = await env.connect(a, "first")
    assert {k: first.connack.props.get(k) for k in TOLD} == TOLD, first.connack.props
    # publish
    for version, code in ((V5, 0x9B), (V311, None)):
        data = publish_packet("t", b"", 2, False, False, 1, version, None)
        assert await ended(env, a, version, data) == code
        data = connect_packet("w", version, flags=2 | 4 | 2 << 3,
                              payload=will_payload("w", b"", version))
        assert await refused(a, data) == (0x9B if version == V5 else 5)
    for version, code in ((V5, 0x9A), (V311, None)):
        for qos in (0, 1):
            data = publish_packet("t", b"", qos, True, False, 1, version, None)
            assert await ended(env, a, version, data) == code
        data = connect_packet("w", version, flags=2 | 4 | 32,
                              payload=will_payload("w", b"", version))
        assert await refused(a, data) == (0x9A if version == V5 else 5)
    # subscribe
    for filters, props, code in ((["x", "a/+"], None, 0xA2), (["#"], None, 0xA2),
                                 (["$share/g/a"], None, 0x9E), (["a"], {"subscription_id": 7}, 0xA1)):
        assert await ended(env, a, V5, subscribe_packet(filters, V5, props)) == code, filters
    codes = await suback(a, V311, "a/+", "b", "#", "$share/g/a")
    assert codes == [0x80, 1, 0x80, 0x80], codes
    assert await suback(a, V5, "b", "b/c") == [1, 1]
    # the rest is as ever
    sub = await env.connect(b, "sub")
    assert await sub.subscribe("t", qos=2) == [1]
    for qos in (0, 1):
        await first.publish("t", b"x", qos)
        assert (await sub.receive()).qos == qos
    assert await metric(stack.sidecars[0], 'sqmqos_refused_total{reason="denied"}') > 0
    await links_are_whole(stack)


async def test_switches_of_the_sidecar(env):
    stack = await env.stack(sidecar=OFF)
    await switched_off(env, stack)


async def test_switches_of_the_broker(env):
    """The broker's count as well, and also for the first client of each sidecar."""
    stack = await env.stack(broker=OFF)
    await switched_off(env, stack)


async def test_the_stricter_counts(env):
    stack = await env.stack(broker={"mqtt": {"max-qos": 0}, "limits": {"max-packet": "64Ki"}},
                            sidecar={"mqtt": {"max-qos": 1, "retain": False}})
    c = await env.connect(stack.ports[0], "c")
    assert c.connack.props["maximum_qos"] == 0
    assert c.connack.props["retain_available"] == 0
    assert "wildcard_available" not in c.connack.props
    for name in ("c", "d"):  # the first, and one whose CONNACK waits for nothing
        c = await env.connect(stack.ports[0], name)
        assert c.connack.props["maximum_packet_size"] == 65536


async def test_nothing_is_said_of_what_is_on(env):
    stack = await env.stack()
    c = await env.connect(stack.ports[0], "c")
    assert not set(TOLD) & set(c.connack.props), c.connack.props
    assert c.connack.props["topic_alias_maximum"] == 16


async def test_limits_change_with_a_new_broker(env):
    """What a broker that is started again says counts, also for who is connected."""
    stack = await env.stack()
    a = stack.ports[0]
    c = await env.connect(a, "c")
    await c.publish("t", b"x", 2)
    await stack.end(stack.broker)
    stack.broker.tree["mqtt"] = {"max-qos": 1}
    await stack.restart(stack.broker)

    async def told():
        d = env.client("d")
        await d.connect(a)
        await d.disconnect()
        return d.connack.props.get("maximum_qos") == 1
    await eventually(told, "CONNACK says it")
    c.publish_nowait("t", b"x", 2)
    assert await c.wait_closed() == 0x9B


async def test_a_first_transient_client_waits_no_longer_than_a_second_or_two(env):
    """A broker that does not answer its attach holds its CONNACK no longer."""
    stack = await env.stack(proxy=True)
    stack.proxy.freeze()
    c = await env.connect(stack.ports[0], "c", timeout_s=8)
    assert c.connected
    stack.proxy.thaw()


# ---- bodies that are too large for the broker

async def test_a_will_above_what_the_broker_takes(env):
    """It costs no link, and the client is told, also the first one of all."""
    will = will_payload("w", bytes(65000), V5, {"user": ("k", "v" * 60000)})
    stack = await env.stack(broker={"limits": {"max-packet": 1024}})
    a, b = stack.ports
    for port in (a, b):
        assert await refused(port, connect_packet("first", V5, flags=6, payload=will)) == 0x95
        assert await refused(port, connect_packet("next", V5, flags=6, payload=will)) == 0x95
        c = await env.connect(port, f"c{port}")
        await c.subscribe("t")
    await links_are_whole(stack, 4)  # 413


async def test_a_subscribe_above_what_the_broker_takes(env):
    stack = await env.stack(broker={"limits": {"max-packet": 1024}})
    c = await env.connect(stack.ports[0], "c")
    filters = [f"{i}/" + "x" * 200 for i in range(1000)]
    assert await c.subscribe(*filters) == [0x97] * 1000
    assert await c.subscribe(*filters[:100]) == [1] * 100
    await links_are_whole(stack)


async def test_the_largest_subscribe_that_a_packet_holds(env):
    stack = await env.stack(broker={"limits": {"subscription-bytes": "2Mi"}})
    c = await env.connect(stack.ports[0], "c")
    filters = [f"{i}/" + "x" * 520 for i in range(2048)]
    assert await c.subscribe(*filters) == [1] * 2048
    await links_are_whole(stack)


async def test_a_large_subscribe_before_a_broker_was_heard_of(env):
    """Nobody knows what a broker takes: the packet waits for one."""
    stack = await env.stack(sidecars=1)
    await stack.end(stack.broker)
    await stack.end(stack.sidecars[0])
    stack.sidecars[0].start()
    c = env.client("c")

    async def connected():
        try:
            await c.connect(stack.ports[0], timeout_s=2)
        except OSError:
            return False
        return True
    await eventually(connected, "the sidecar listens")
    filters = [f"{i}/" + "x" * 100 for i in range(1000)]
    answer = env.spawn(c.subscribe(*filters, timeout_s=60))
    await stack.restart(stack.broker)
    assert await answer == [1] * 1000


async def test_all_at_its_largest(env):
    """What a client can make large, it makes as large as MQTT and the limits let it."""
    stack = await env.stack(broker={"limits": {"will": "1Mi"}})
    a, b = stack.ports
    long = "l" * 65535
    most = {"session_expiry": 0xFFFFFFFF, "receive_maximum": 1, "maximum_packet_size": 0xFFFFFFFF,
            "topic_alias_maximum": 65535, "user": [("k" * 65535, "v" * 65535)] * 2}
    will = Will("w" * 65535, bytes(65535), 2, props={
        "will_delay": 0xFFFFFFFF, "message_expiry": 0xFFFFFFFF, "content_type": long,
        "response_topic": long, "correlation_data": bytes(65535),
        "user": [("k" * 65535, "v" * 65535)]})
    sub = await env.connect(b, "ü" * 128, clean=False, props=most, will=will)
    codes = await sub.subscribe(long, "$share/" + "g" * 65000 + "/" + "f" * 500, "a/" * 127 + "#",
                                "$share/g/" + "+/" * 127 + "#", qos=2,
                                props={"subscription_id": 268435455, "user": [("k" * 65535, "")]})
    assert len(codes) == 4 and codes[0] == codes[2] == codes[3] == 2, codes
    assert codes[1] in (2, 0x8F), codes
    pub = await env.connect(a, "pub")
    props = {"message_expiry": 0xFFFFFFFE, "content_type": long, "response_topic": long,
             "correlation_data": bytes(65535), "payload_format": 0,
             "user": [("k" * 65535, "v" * 65535), ("", "")]}
    assert await pub.publish(long, bytes(500000), 2, props=props) == 0
    m = await sub.receive()
    assert m.topic == long and len(m.payload) == 500000 and m.props["content_type"] == long
    # an alias takes the topic out of the packet: what is left may be of the largest size
    await pub.publish(long, b"", 1, props={"topic_alias": 1})
    await sub.receive()
    limit = pub.connack.props["maximum_packet_size"]
    for qos in (1, 2):
        head = 1 + 4 + 2 + 2 + 1 + 3
        code = await pub.publish("", bytes(limit - head), qos, props={"topic_alias": 1})
        assert code in (0, 0x83), hex(code)
        if code == 0:
            await sub.receive()
    await pub.publish("", bytes(limit - head), 0, props={"topic_alias": 1})
    pub.next_id = 65535
    assert await pub.publish("a/" * 127 + "a", b"end", 2) == 0
    while (await sub.receive()).payload != b"end":
        pass
    assert await sub.unsubscribe(long, "x" * 65535) == [0, 0x11]
    await sub.disconnect(0, {"session_expiry": 0})
    await links_are_whole(stack, 3)  # 413 for what an alias made larger


async def test_configurations_that_cant_be(env):
    stack = await env.stack(start=False)
    for kind, program in (("broker", stack.broker), ("sidecar", stack.sidecars[0])):
        for group, key, values in (("limits", "client-id", (31, 1025)),
                                   ("limits", "topic-levels", (0, 1025)),
                                   ("mqtt", "max-qos", (3,)), ("mqtt", "retain", ("no",)),
                                   ("mqtt", "control-characters", ("drop",)),
                                   ("session", "topic-alias-max", (65536,))):
            for value in values:
                if (kind, group) == ("broker", "session"):
                    continue
                before = dict(program.tree.get(group, {}))
                program.tree[group] = before | {key: value}
                assert f"{group}.{key}" in program.check(), (kind, group, key, value)
                program.tree[group] = before
                if not before:
                    del program.tree[group]
    for expiry, why in (({"expiry-default": "2s", "expiry-max": "1s"}, "above message.expiry-max"),
                        ({"expiry-default": "10ms"}, "message.expiry-default: below 1s"),
                        ({"expiry-max": "999ms"}, "message.expiry-max: below 1s")):
        stack.broker.tree["message"] = expiry
        assert why in stack.broker.check(), expiry
    stack.broker.tree["message"] = {"expiry-default": "1s", "expiry-max": "1s"}
    await stack.start()


# ---- characters

CONTROL = ["\x01", "\x1f", "\x7f", "\x80", "\x9f", "\ufdd0", "\ufffe", "\U0001ffff", "a\u0085b"]


async def test_control_characters_are_taken_by_default(env):
    stack = await env.stack()
    c = await env.connect(stack.ports[0], "c\x07\ufffe")
    await c.subscribe("s/#")
    for char in CONTROL:
        assert await c.publish("s/" + char, b"x", 1) == 0
        assert (await c.receive()).topic == "s/" + char


async def control_refused(env, stack):
    port = stack.ports[0]
    c = await env.connect(port, "plain")
    await c.subscribe("s/#")
    for good in (" ", "~", "\u00a0", "ü", "\ufdcf", "\ufdf0", "\ufffd", "\U0001fffd", "€"):
        assert await c.publish("s/" + good, b"\x01", 1, props={"user": [("k\x01", "v\x7f")]}) == 0
        assert (await c.receive()).topic == "s/" + good
    for version, code in ((V5, 0x81), (V311, None)):
        for char in CONTROL:
            data = publish_packet("s/" + char, b"", 0, False, False, 1, version, None)
            assert await ended(env, port, version, data) == code, repr(char)
            assert await ended(env, port, version, subscribe_packet(["f/" + char], version)) == code
            assert await refused(port, connect_packet("id" + char, version)) == code
            user = connect_packet("u", version, flags=0x82, payload=text("user" + char))
            assert await refused(port, user) == code
            will = connect_packet("w", version, flags=6,
                                  payload=will_payload("w" + char, b"", version))
            assert await refused(port, will) == code
    data = publish_packet("s", b"", 0, False, False, 1, V5, {"response_topic": "r\x01"})
    assert await ended(env, port, V5, data) == 0x81


async def test_control_characters_refused_by_the_sidecar(env):
    stack = await env.stack(sidecar={"mqtt": {"control-characters": "refuse"}})
    await control_refused(env, stack)


async def test_control_characters_refused_by_the_broker(env):
    stack = await env.stack(broker={"mqtt": {"control-characters": "refuse"}})
    await control_refused(env, stack)


# ---- message expiry

async def test_message_expiry(env):
    """The default and the longest of the broker, as MQTT 5 subscribers see them."""
    stack = await env.stack(broker={"message": {"expiry-default": "100s", "expiry-max": "200s"}})
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe("live", "will", qos=1)
    old = await env.connect(a, "old", V311)
    new = await env.connect(a, "new", V5)

    async def arrives():
        return (await sub.receive()).props.get("message_expiry")

    async def near(expected):
        left = await arrives()
        assert expected - 30 <= left <= expected, (left, expected)

    await old.publish("live", b"x", 1)
    await near(100)
    await new.publish("live", b"x", 0)
    await near(100)
    await new.publish("live", b"x", 2, props={"message_expiry": 150})
    await near(150)
    await new.publish("live", b"x", 1, props={"message_expiry": 100000})
    await near(200)
    await old.publish("kept", b"x", 1, retain=True)
    await sub.subscribe("kept")
    await near(100)
    for version, props, expected in ((V311, None, 100), (V5, {"message_expiry": 999}, 200)):
        dying = env.client(f"dying-{version}", version)
        await dying.connect(a, will=Will("will", b"gone", 1, props=props))
        dying.abort()
        await near(expected)
    await old.publish("kept", b"", 1, retain=True)

"""Ordinary clients through two sidecars and one broker: app → sidecar 1 →
broker → sidecar 2 → app."""

import asyncio
import os

import clients
import mqtt
from cluster import eventually, metric
from mqtt import Will


async def test_mosquitto_at_every_qos_in_both_versions(env):
    stack = await env.stack()
    a, b = stack.ports
    for version in (4, 5):
        sub = await clients.mosquitto_sub(env, b, f"v{version}/#", qos=2, version=version)
        for qos in (0, 1, 2):
            await clients.mosquitto_pub(env, a, f"v{version}/t", b"hello %d" % qos, qos=qos,
                                        version=9 - version)
            assert await sub.next() == (f"v{version}/t", b"hello %d" % qos, qos, False)
        await sub.end()
        # what it prints while a signal interrupts it may come twice; what it gets may not
        assert len([line for line in sub.output if "received PUBLISH" in line]) == 3, sub.output


async def test_mosquitto_in_the_clear(env):
    stack = await env.stack(tls=False)
    a, b = stack.ports
    sub = await clients.mosquitto_sub(env, b, "t", qos=2)
    await clients.mosquitto_pub(env, a, "t", b"clear", qos=2)
    assert await sub.next() == ("t", b"clear", 2, False)
    await sub.end()


async def test_payloads_from_nothing_to_one_mebibyte(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe(("big/#", 2))
    pub = await env.connect(a, "pub")
    for size in (0, 1, 2, 127, 128, 16383, 32768, 65535, 65536, 300000, 1 << 20):
        for qos in (0, 1, 2):
            payload = bytes([size % 251, qos]) * (size // 2) + b"." * (size % 2)
            assert await pub.publish("big/t", payload, qos) in (None, 0)
            m = await sub.receive()
            assert (m.qos, len(m.payload)) == (qos, size)
            assert m.payload == payload
    await clients.mosquitto_pub(env, a, "big/m", b"m" * (1 << 20), qos=2)
    assert len((await sub.receive()).payload) == 1 << 20


async def test_mqttjs_3_1_1(env):
    stack = await env.stack()
    await clients.mqttjs(env, *stack.ports, 4)


async def test_mqttjs_5(env):
    stack = await env.stack()
    await clients.mqttjs(env, *stack.ports, 5)


async def test_libpaho_3_1_1(env):
    stack = await env.stack()
    await clients.paho(env, *stack.ports, 4)


async def test_libpaho_5(env):
    stack = await env.stack()
    await clients.paho(env, *stack.ports, 5)


async def test_ipv6_localhost(env):
    stack = await env.stack(sidecars=1)
    sub = await env.connect(stack.ports[0], "six", host="::1")
    await sub.subscribe("t")
    await sub.publish("t", b"6", 1)
    assert (await sub.receive()).payload == b"6"


async def test_unix_socket(env):
    path = f"/tmp/sqmqos-test-{os.getpid()}.sock"  # a path in the folder may be too long
    stack = await env.stack(sidecars=1, sidecar={"listen": {"unix": path}})
    local = env.client("local")
    await local.connect(None, path=path)
    remote = await env.connect(stack.ports[0], "remote")
    await local.subscribe("t")
    await remote.publish("t", b"x", 1)
    assert (await local.receive()).payload == b"x"
    await local.disconnect()
    await stack.end(stack.sidecars[0])
    assert not os.path.exists(path), "the socket's file is left behind"
    await stack.restart(stack.sidecars[0])


async def test_retained(env):
    stack = await env.stack()
    a, b = stack.ports
    live = await env.connect(b, "live")
    await live.subscribe(("r/#", 2))
    for qos in (0, 1, 2):
        await clients.mosquitto_pub(env, a, f"r/{qos}", b"kept", "-r", qos=qos)
        m = await live.receive()
        assert (m.topic, m.payload, m.retain) == (f"r/{qos}", b"kept", False)
    late = await clients.mosquitto_sub(env, a, "r/+", qos=1)
    got = sorted([await late.next() for _ in range(3)])
    assert got == [("r/0", b"kept", 0, True), ("r/1", b"kept", 1, True), ("r/2", b"kept", 1, True)]
    await late.end()

    # MQTT 5.0 §3.8.3.1: retain as published, and retain handling
    options = await env.connect(b, "options")
    await options.subscribe(("r/0", 0x08))  # retain as published
    assert (await options.receive()).retain
    await options.subscribe(("r/1", 1 | 0x20))  # send none
    await options.subscribe(("r/2", 1 | 0x10))  # only if new: it is
    assert (await options.receive()).topic == "r/2"
    await options.subscribe(("r/2", 1 | 0x10))  # now it is not
    pub = await env.connect(a, "pub")
    await pub.publish("r/0", b"again", 1, retain=True)
    m = await options.receive()
    assert (m.topic, m.payload, m.retain) == ("r/0", b"again", True)

    for qos in (0, 1, 2):
        await pub.publish(f"r/{qos}", b"", 1, retain=True)
    await eventually(lambda: is_zero(stack.broker, "sqmqos_retained_messages"), "cleared")
    none = await env.connect(a, "none")
    await none.subscribe("r/#", "end")
    await pub.publish("end", b"", 1)
    assert (await none.receive()).topic == "end"


async def is_zero(program, name):
    return await metric(program, name) == 0


async def test_wills(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe(("will/#", 2))
    # killed: published
    dying = await clients.mosquitto_sub(
        env, a, "x", "--will-topic", "will/killed", "--will-payload", "gone", "--will-qos", "2")
    dying.process.kill()
    m = await sub.receive()
    assert (m.topic, m.payload, m.qos) == ("will/killed", b"gone", 2)
    # DISCONNECT: not published; with reason 4 (MQTT 5.0 §3.14.2.1): published
    for reason in (0, 4):
        c = await env.connect(a, "leaving", will=Will(f"will/reason{reason}", b"w", 1))
        await c.disconnect(reason)
    assert (await sub.receive()).topic == "will/reason4"
    # keep-alive over: published
    silent = await env.connect(a, "silent", keep_alive=1, will=Will("will/silent", b"", 0))
    assert (await sub.receive()).topic == "will/silent"
    assert await silent.wait_closed() == 0x8D
    # delayed, and back in time: not published (§3.1.3.2.2)
    delayed = env.client("delayed")
    will = Will("will/delayed", b"", 1, props={"will_delay": 2})
    await delayed.connect(a, will=will, props={"session_expiry": 60})
    delayed.abort()
    await delayed.wait_closed()
    await delayed.connect(a, clean=False, will=will, props={"session_expiry": 60})
    await asyncio.sleep(2.5)  # what must not come has no other sign than time
    assert not sub.inbox
    delayed.abort()
    assert (await sub.receive()).topic == "will/delayed"
    await delayed.wait_closed()
    await delayed.connect(a, clean=True)


async def test_retained_will(env):
    stack = await env.stack()
    a, b = stack.ports
    c = await env.connect(a, "c", will=Will("state/c", b"offline", 1, retain=True))
    await c.publish("state/c", b"online", 1, retain=True)
    sub = await env.connect(b, "sub", 4)
    await sub.subscribe("state/+")
    assert (await sub.receive()).payload == b"online"
    c.abort()
    assert (await sub.receive()).payload == b"offline"
    late = await env.connect(b, "late")
    await late.subscribe("state/+")
    m = await late.receive()
    assert (m.payload, m.retain) == (b"offline", True)
    await late.publish("state/c", b"", 1, retain=True)


async def test_shared_subscriptions(env):
    stack = await env.stack()
    a, b = stack.ports
    everything = await env.connect(b, "everything")
    await everything.subscribe(("work/#", 1))
    members = [await clients.mosquitto_sub(env, port, "$share/crew/work/#", qos=1, version=version)
               for port, version in ((a, 5), (b, 5), (b, 4))]
    pub = await env.connect(a, "pub")
    for n in range(300):
        assert await pub.publish(f"work/{n % 3}", b"%d" % n, 1) == 0
    await eventually(lambda: sum(m.messages.qsize() for m in members) >= 300, "all have arrived")
    everything = await everything.receive_all(300)
    assert [int(m.payload) for m in everything if m.topic == "work/0"] == list(range(0, 300, 3))
    assert sorted(int(m.payload) for m in everything) == list(range(300))
    got = [int((await m.next())[1]) for m in members for _ in range(m.messages.qsize())]
    assert sorted(got) == list(range(300))
    for m in members:
        await m.end()


async def test_shared_work_of_a_lost_member_goes_to_another(env):
    stack = await env.stack()
    a, b = stack.ports
    lazy = await env.connect(a, "lazy", ack="none")
    await lazy.subscribe(("$share/g/t", 1))
    pub = await env.connect(b, "pub")
    for n in range(10):
        await pub.publish("t", b"%d" % n, 1)
    await lazy.receive_all(10)
    diligent = await env.connect(b, "diligent")
    await diligent.subscribe(("$share/g/t", 1))
    await lazy.disconnect()
    got = await diligent.receive_all(10)
    assert sorted(int(m.payload) for m in got) == list(range(10))


async def test_wildcards(env):
    stack = await env.stack()
    a, b = stack.ports
    pub = await env.connect(a, "pub")
    topics = ["a", "a/b", "a/b/c", "/a", "a/", "$internal/a", "b"]
    matches = {
        "#": ["a", "a/b", "a/b/c", "/a", "a/", "b"], "+": ["a", "b"], "a/#": ["a", "a/b", "a/b/c", "a/"],
        "a/+": ["a/b", "a/"], "+/b/#": ["a/b", "a/b/c"], "+/+": ["a/b", "/a", "a/"],
        "$internal/#": ["$internal/a"],
    }
    subs = {}
    for i, f in enumerate(matches):
        subs[f] = await env.connect(b, f"sub{i}")
        await subs[f].subscribe((f, 1), ("end/" + str(i), 1))
    for topic in topics:
        assert await pub.publish(topic, topic, 1) in (0, 0x10)
    for i, (f, expected) in enumerate(matches.items()):
        await pub.publish(f"end/{i}", b"", 1)
        got = []
        while not (m := await subs[f].receive()).topic == f"end/{i}":
            if not m.topic.startswith("end/"):
                got.append(m.topic)
        assert got == expected, (f, got)


async def test_unsubscribe_ends_delivery(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe("one", "two")
    assert await sub.unsubscribe("one", "three") == [0, 0x11]
    pub = await env.connect(a, "pub")
    await pub.publish("one", b"", 1)
    await pub.publish("two", b"", 1)
    assert (await sub.receive()).topic == "two"


async def test_publish_without_subscribers_says_so(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("nobody", b"", 1) in (0, 0x10)
    assert await pub.publish("nobody", b"", 2) in (0, 0x10)


async def test_mqtt5_properties_travel(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe(("p/#", 1), props={"subscription_id": 300})
    pub = await env.connect(a, "pub")
    sent = {"payload_format": 1, "content_type": "text/plain", "response_topic": "reply/here",
            "correlation_data": b"\x00\x01", "user": [("k", "v"), ("k", "w"), ("a", "")]}
    await pub.publish("p/t", "häh", 1, props=sent | {"message_expiry": 100})
    m = await sub.receive()
    assert m.props.pop("subscription_id") == [300]
    assert 90 <= m.props.pop("message_expiry") <= 100
    assert m.props == sent
    # the same to an older client: without
    old = await env.connect(b, "old", 4)
    await old.subscribe("p/#")
    await pub.publish("p/t", b"x", 1, props=sent)
    assert (await old.receive()).payload == b"x"


async def test_no_local_and_overlapping_subscriptions(env):
    stack = await env.stack(sidecars=1)
    port = stack.ports[0]
    c = await env.connect(port, "c")
    await c.subscribe(("mine", 1 | 4))  # no local
    await c.subscribe(("t/#", 1), props={"subscription_id": 1})
    await c.subscribe(("t/+", 2), props={"subscription_id": 2})
    await c.publish("mine", b"", 1)
    await c.publish("t/x", b"", 2)
    got = [await c.receive()]
    # one copy or two are both allowed (MQTT 5.0 §3.3.4); each id comes once
    while sum(len(m.props["subscription_id"]) for m in got) < 2:
        got.append(await c.receive())
    assert sorted(i for m in got for i in m.props["subscription_id"]) == [1, 2]
    assert all(m.topic == "t/x" for m in got)


async def test_topic_aliases(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub", props={"topic_alias_maximum": 5})
    await sub.subscribe("long/#")
    pub = await env.connect(a, "pub")
    if pub.connack.props.get("topic_alias_maximum", 0) == 0:
        return
    pub.publish_nowait("long/topic", b"1", 1, props={"topic_alias": 1})
    pub.publish_nowait("", b"2", 1, props={"topic_alias": 1})
    payloads, names = [], {}
    for m in await sub.receive_all(2):
        alias = m.props.get("topic_alias")
        if alias and m.topic:
            names[alias] = m.topic
        assert (m.topic or names[alias]) == "long/topic"
        payloads.append(m.payload)
    assert payloads == [b"1", b"2"]
    # an alias that was never given is an error of the client: 0x94
    pub.publish_nowait("", b"", 1, props={"topic_alias": 2})
    assert await pub.wait_closed() in (0x82, 0x94)


async def test_receive_maximum_is_kept(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub", ack="none", props={"receive_maximum": 3})
    await sub.subscribe("t", "done", qos=1)
    pub = await env.connect(a, "pub")
    for n in range(10):
        await pub.publish("t", b"%d" % n, 1)
    first = await sub.receive_all(3)
    await sub.ping()  # answered after what was already on its way
    assert not sub.inbox
    sub.ack = "auto"
    for m in first:
        sub.send_ack(mqtt.PUBACK, m.packet_id)
    rest = await sub.receive_all(7)
    assert [int(m.payload) for m in first + rest] == list(range(10))


async def test_messages_above_the_maximum_packet_size_are_left_out(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub", props={"maximum_packet_size": 1000})
    await sub.subscribe("t")
    pub = await env.connect(a, "pub")
    await pub.publish("t", b"x" * 2000, 1)
    await pub.publish("t", b"small", 1)
    assert (await sub.receive()).payload == b"small"
    # and the sidecar's own limit: 0x95
    limit = pub.connack.props.get("maximum_packet_size")
    if limit is not None:
        pub.publish_nowait("t", b"x" * (limit + 1), 1)
        assert await pub.wait_closed() == 0x95


async def test_expired_messages_are_not_delivered(env):
    stack = await env.stack()
    a, b = stack.ports
    durable = {"session_expiry": 100}
    sub = env.client("sleeper")
    await sub.connect(b, props=durable)
    await sub.subscribe("t")
    sub.abort()
    await eventually(lambda: is_zero(stack.broker, "sqmqos_sessions_attached"), "it is gone")
    pub = await env.connect(a, "pub")
    await pub.publish("t", b"short", 1, props={"message_expiry": 1})
    await pub.publish("t", b"long", 1, props={"message_expiry": 100})
    await asyncio.sleep(1.5)  # the time that the message has
    assert (await sub.connect(b, clean=False, props=durable)).session_present
    m = await sub.receive()
    assert m.payload == b"long" and m.props["message_expiry"] < 100, m
    await sub.disconnect(props={"session_expiry": 0})


async def test_a_session_goes_on_where_it_stopped(env):
    stack = await env.stack()
    a, b = stack.ports
    for version in (4, 5):
        durable = {"session_expiry": 300} if version == 5 else None
        sub = env.client(f"durable{version}", version)
        assert not (await sub.connect(b, clean=True)).session_present
        await sub.disconnect()
        await sub.connect(b, clean=False, props=durable)
        await sub.subscribe((f"d{version}", 2))
        await sub.disconnect()
        pub = await env.connect(a, f"pub{version}")
        for n in range(20):
            await pub.publish(f"d{version}", b"%d" % n, 1 + n % 2)
        # in the next pod of the workload: through the other sidecar
        assert (await sub.connect(a, clean=False, props=durable)).session_present
        assert [int(m.payload) for m in await sub.receive_all(20)] == list(range(20))
        await sub.disconnect()
        assert not (await sub.connect(b, clean=True)).session_present
        await sub.disconnect()


async def test_takeover_at_one_sidecar_and_not_between_replicas(env):
    stack = await env.stack()
    a, b = stack.ports
    first = await env.connect(a, "same")
    replica = await env.connect(b, "same")
    await replica.subscribe("t")
    second = await env.connect(a, "same")
    assert await first.wait_closed() == 0x8E
    await second.subscribe("t")
    await second.publish("t", b"", 1)
    await second.receive()
    await replica.receive()
    assert replica.connected
    # a durable session is one for all replicas: there the other one goes
    kept = await env.connect(a, "kept", props={"session_expiry": 60})
    await kept.subscribe("kept")  # a session that was never used is not present
    moved = await env.connect(b, "kept", clean=False, props={"session_expiry": 60})
    assert moved.connack.session_present
    assert await kept.wait_closed() == 0x8E
    await moved.disconnect(props={"session_expiry": 0})


async def test_keep_alive(env):
    stack = await env.stack(sidecars=1)
    loop = asyncio.get_running_loop()
    silent = await env.connect(stack.ports[0], "silent", 4, keep_alive=1)
    lively = await env.connect(stack.ports[0], "lively", 4, keep_alive=1)
    started = loop.time()
    while not silent.connection.closed.done():
        await lively.ping()
        await asyncio.sleep(0.2)
        assert loop.time() - started < 10
    assert loop.time() - started >= 1
    assert lively.connected


async def test_an_empty_client_id_gets_a_name(env):
    stack = await env.stack(sidecars=1)
    five = await env.connect(stack.ports[0], "", 5)
    assert five.connack.props.get("assigned_client_id")
    four = await env.connect(stack.ports[0], "", 4)
    await four.ping()
    refused = env.client("", 4)
    assert (await refused.connect(stack.ports[0], clean=False)).code == 2


async def test_order_holds_per_topic_and_qos(env):
    stack = await env.stack()
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe(("o/#", 2))
    pub = await env.connect(a, "pub")
    answers = []
    for n in range(600):
        answers.append(pub.publish_nowait(f"o/{n % 3}", b"%d" % n, n % 3))
        if n % 20 == 19:
            await asyncio.gather(*[f for f in answers if f is not None])
            answers = []
    got = {0: [], 1: [], 2: []}
    for m in await sub.receive_all(600):
        got[int(m.topic[-1])].append(int(m.payload))
    for rest, numbers in got.items():
        assert numbers == list(range(rest, 600, 3)), rest

"""Traces of messages: the traceparent that a sidecar gives, its way through queues and letters, and
spans at a collector."""

import re

import mqtt
from cluster import eventually, metric

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]")
DURABLE = {"session_expiry": 600}


def sampled(share, **more):
    return {"tracing": {"sample": str(share)}} | more


def pairs(m):
    return m.props.get("user") or []


def traceparent(m):
    """The one that the message has; it is well-formed."""
    found = [value for name, value in pairs(m) if name == "traceparent"]
    assert len(found) == 1 and FORM.fullmatch(found[0]), pairs(m)
    return found[0]


def user(*given, **asks):
    return {"user": [*given, *((f"sqmqos-{name}", str(value)) for name, value in asks.items())]}


async def subscriber(env, stack, topics="t/#", **options):
    sub = await env.connect(stack.ports[1], "sub", **options)
    assert await sub.subscribe(topics, qos=2) == [2]
    return sub


async def test_a_publish_without_a_trace_gets_one(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack)
    old = await env.connect(stack.ports[1], "old", version=mqtt.V311)
    await old.subscribe("t/#", qos=1)
    seen = set()
    for version in (mqtt.V311, mqtt.V5):
        pub = await env.connect(stack.ports[0], f"pub-{version}", version=version)
        for qos in (0, 1, 2):
            assert await pub.publish("t/x", f"{version} {qos}", qos) in (0, None)
            m = await sub.receive()
            assert (m.payload, m.qos) == (f"{version} {qos}".encode(), qos)
            assert [name for name, _ in pairs(m)] == ["traceparent"]
            assert traceparent(m).endswith("-01")
            seen.add(traceparent(m)[3:35])
            assert (await old.receive()).payload == m.payload, "3.1.1 has no properties"
    assert len(seen) == 6, "each has a trace of its own"


async def test_nothing_is_added_unless_asked_for(env):
    stack = await env.stack()
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0
    assert (await sub.receive()).props == {}
    assert await pub.publish("t/x", "x", 1, props=user(("traceparent", GIVEN))) == 0
    assert pairs(await sub.receive()) == [("traceparent", GIVEN)], "the app's own passes"


async def test_the_share_that_is_sampled(env):
    stack = await env.stack(sidecar=sampled(0))
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    for _ in range(20):
        assert await pub.publish("t/x", "x", 1) == 0
        assert traceparent(await sub.receive()).endswith("-00"), "it has a trace all the same"
    given = user(("traceparent", GIVEN))
    assert await pub.publish("t/x", "x", 1, props=given) == 0
    assert traceparent(await sub.receive()) == GIVEN, "the parent's decision counts"


async def test_a_trace_of_the_app_goes_on(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    own = [("a", "b"), ("traceparent", GIVEN), ("tracestate", "v=1"), ("baggage", "k=v"),
           ("a", "b")]
    assert await pub.publish("t/x", "x", 2, props=user(*own)) == 0
    assert pairs(await sub.receive()) == own, "nothing is changed, and its place is the same"
    later = f"cc-{TRACE}-{SPAN}-01-more"
    assert await pub.publish("t/x", "x", 1, props=user(("traceparent", later))) == 0
    assert pairs(await sub.receive()) == [("traceparent", later)]


async def test_a_malformed_trace_is_replaced(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    for bad in ([GIVEN + "-"], [GIVEN.upper()], ["ff" + GIVEN[2:]], [""], [GIVEN, GIVEN],
                [f"00-{'0' * 32}-{SPAN}-01"]):
        own = [("a", "1"), *(("traceparent", b) for b in bad), ("tracestate", "v=1"),
               ("baggage", "k=v")]
        props = user(*own) | {"content_type": "x", "message_expiry": 60, "response_topic": "r"}
        assert await pub.publish("t/x", "x", 1, props=props) == 0
        m = await sub.receive()
        assert traceparent(m)[3:35] != TRACE
        assert [p for p in pairs(m) if p[0] != "traceparent"] == [("a", "1"), ("baggage", "k=v")]
        assert (m.props["content_type"], m.props["response_topic"]) == ("x", "r")


async def test_it_stays_with_what_waits_over_a_restart(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack, props=DURABLE)
    sub.abort()
    pub = await env.connect(stack.ports[0], "pub", version=mqtt.V311)
    for n in range(5):
        await pub.publish("t/x", f"{n}", 1 + n % 2)
    await pub.publish("t/kept", "kept", 1, retain=True)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert (await sub.connect(stack.ports[1], clean=False, props=DURABLE)).session_present
    waited = await sub.receive_all(6)
    assert len({traceparent(m) for m in waited}) == 6
    late = await env.connect(stack.ports[1], "late")
    await late.subscribe("t/kept", qos=1)
    assert traceparent(await late.receive()) == traceparent(waited[5])
    await pub.publish("t/kept", "", 1, retain=True)
    await sub.disconnect(0, {"session_expiry": 0})


async def test_letters_and_receipts_have_it(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack, ack="none", props=DURABLE)
    pub = await env.connect(stack.ports[0], "pub")
    await pub.subscribe("receipts", qos=1)
    state = ("tracestate", "v=1")
    asks = user(("traceparent", GIVEN), state, qos=3, key="k", receipt="receipts")
    assert await pub.publish("t/x", "x", 2, props=asks) == 0
    m = await sub.receive()
    assert traceparent(m) == GIVEN
    sub.send_ack(mqtt.PUBREC, m.packet_id, 0x83)
    sub.held.clear()
    receipt = await pub.receive()
    assert traceparent(receipt) == GIVEN and state in pairs(receipt)
    taker = await env.connect(stack.ports[1], "undertaker")
    await taker.subscribe("$dead/#", qos=2)
    letter = await taker.receive()
    assert letter.topic == "$dead/t/x" and traceparent(letter) == GIVEN
    await sub.disconnect(0, {"session_expiry": 0})


async def test_delayed_messages_and_wills_have_it(env):
    stack = await env.stack(sidecar=sampled(1))
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/later", "x", 1, props=user(delay=1)) == 0
    traceparent(await sub.receive(20))
    for version in (mqtt.V311, mqtt.V5):
        will = mqtt.Will("t/will", b"gone", 1)
        mortal = await env.connect(stack.ports[0], f"mortal-{version}", version=version, will=will)
        mortal.abort()
        m = await sub.receive(20)
        assert m.topic == "t/will"
        traceparent(m)


async def test_a_message_as_large_as_can_be_passes_without(env):
    largest = 2048
    stack = await env.stack(sidecar=sampled(1), broker={"limits": {"max-packet": largest}})
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    # A PUBLISH of QoS 1: fixed header 3, topic 5, packet id 2, no properties 1.
    room = largest - 11
    assert await pub.publish("t/x", b"x" * room, 1) == 0
    m = await sub.receive()
    assert (len(m.payload), m.props) == (room, {})
    assert await pub.publish("t/x", b"x" * (room - 200), 1) == 0
    traceparent(await sub.receive())


async def test_the_disk_outbox_keeps_it(env):
    stack = await env.stack(start=False, sidecar=sampled(1))
    publisher = stack.sidecars[0]
    publisher.tree["outbox"] = {"mode": "disk", "size": "64Mi", "dir": str(stack.folder / "outbox")}
    await stack.start()
    stack.descriptors["sidecar-1"] += 40
    sub = await subscriber(env, stack, props=DURABLE)
    await stack.kill(stack.broker)
    pub = await env.connect(stack.ports[0], "pub", version=mqtt.V311)
    for qos in (1, 2):
        await pub.publish("t/x", f"{qos}", qos)
    await stack.kill(publisher)
    publisher.start()
    await stack.restart(stack.broker)
    found = await sub.receive_all(2)
    assert len({traceparent(m) for m in found}) == 2

    async def empty():
        return await metric(publisher, "sqmqos_outbox_bytes") == 0
    await eventually(empty, "the outbox is empty", 30)
    await sub.disconnect(0, {"session_expiry": 0})

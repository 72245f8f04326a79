"""Topics that no application publishes to (MQTT 5.0 §4.7.2): below $SYS, $share, $tag and
$queue."""

import asyncio

import mqtt
from cluster import metric
from mqtt import V5, V311, Will
from scenario import scenario

RESERVED = ["$SYS", "$SYS/x", "$SYS/broker/uptime", "$share/g/t", "$tag/red", "$queue/t"]
FREE = ["$aws/things/1", "$SYSTEM/x", "$", "a/$SYS/x", "$shared/t"]
COUNTED = 'sqmqos_refused_total{reason="topic"}'
APART = 'sqmqos_publishes_refused_total{reason="reserved"}'


async def listener(env, stack):
    """Who would get what is published there, and at a free $ topic."""
    client = await env.connect(stack.ports[1], "listener", props={"topic_alias_maximum": 0})
    assert await client.subscribe("$SYS/x", "$SYS", "$share", "$aws/#", "$SYSTEM/#",
                                  "$", "a/#", "$shared/t", "end", qos=2) == [2] * 9
    return client


async def nothing_but(client, topics):
    got = await client.receive_all(len(topics))
    await client.ping()
    assert [m.topic for m in got] == topics
    assert not client.inbox, list(client.inbox)


async def test_mqtt_5_is_told_and_the_order_stays(env):
    stack = await env.stack()
    sub = await listener(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    answers = []

    async def publish(topic, qos):
        answers.append((topic, qos, await pub.publish(topic, "x", qos)))

    wanted = [(t, qos) for t in RESERVED for qos in (1, 2)]
    mixed = [pair for w in wanted for pair in (("end", 1), w)]
    await asyncio.gather(*[publish(*pair) for pair in mixed])
    acked = [t for t, qos, _ in answers if qos == 1]
    assert acked == [t for t, qos in mixed if qos == 1], "MQTT-4.6.0-2"
    assert {(t, c) for t, _, c in answers} == {("end", 0)} | {(t, 0x90) for t in RESERVED}
    assert pub.words and all("$SYS" in w for w in pub.words), pub.words
    for topic in RESERVED:
        assert await pub.publish(topic, "x", 0) is None
    assert await pub.publish("$SYS/x", "kept", 1, retain=True) == 0x90
    for topic in FREE:
        assert await pub.publish(topic, "x", 1) == 0, topic
    await nothing_but(sub, ["end"] * len(wanted) + FREE)
    n = 3 * len(RESERVED) + 1
    assert await metric(stack.sidecars[0], COUNTED) == n
    assert await metric(stack.sidecars[0], APART) == n
    assert await metric(stack.broker, COUNTED) == 0, "it does not come so far"
    assert "pub: publish to '$SYS' refused" in stack.log(stack.sidecars[0])


async def test_an_alias_is_no_way_round(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("$SYS/x", "x", 1, props={"topic_alias": 1}) == 0x90
    assert await pub.publish("", "x", 1, props={"topic_alias": 1}) == 0x90
    assert await pub.publish("free", "x", 1, props={"topic_alias": 1}) == 0x10


async def test_mqtt_3_hears_that_it_was_taken(env):
    stack = await env.stack()
    sub = await listener(env, stack)
    pub = await env.connect(stack.ports[0], "pub", V311)
    for topic in RESERVED:
        for qos in (0, 1, 2):
            assert await pub.publish(topic, "x", qos) == (0 if qos else None)
    many = [pub.publish_nowait(t, "x", qos) for t in RESERVED for qos in (1, 2)]
    assert set(await asyncio.gather(*many)) == {0}
    assert await pub.publish("end", "x", 2) == 0
    await nothing_but(sub, ["end"])
    assert await metric(stack.sidecars[0], COUNTED) == 5 * len(RESERVED)


async def test_the_log_has_the_reason_whatever_the_topic(env):
    """A line of the log has an end: of a long topic it has the first 256 bytes, and of
    characters whole ones."""
    stack = await env.stack()
    topic = "$SYS/" + "\u20ac" * 700
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish(topic, "x", 1) == 0x90
    client = mqtt.Client("willed", V5)
    assert (await client.connect(stack.ports[0], will=Will(topic, b"x", 1))).code == 0x90
    await client.wait_closed()
    shown = "$SYS/" + "\u20ac" * 83
    for what in ("publish", "will"):
        line = f"{what} to '{shown}' refused, nobody publishes to topics below"
        assert line in stack.log(stack.sidecars[0]), what


@scenario(timeout_s=180)
async def test_a_copy_after_a_lost_link_is_answered(env):
    """What was refused here keeps its place, and its answer, when the link goes."""
    stack = await env.stack(proxy=True)
    for version, code in ((V5, 0x90), (V311, 0)):
        pub = await env.connect(stack.ports[0], f"pub-{version}", version)
        done = []
        for n in range(60):
            done.append(pub.publish_nowait("$SYS/x" if n % 3 else "end", "x", 1 + n % 2))
            if n % 20 == 10:
                await pub.ping()
                stack.proxy.cut_all()
        got = await asyncio.wait_for(asyncio.gather(*done), 60)
        assert [c for n, c in enumerate(got) if n % 3] == [code] * 40
        assert {c for n, c in enumerate(got) if not n % 3} <= {0, 0x10}
    await stack.linked()


async def test_a_will_that_can_never_be_published(env):
    stack = await env.stack()
    sub = await listener(env, stack)
    never = [*RESERVED, "$dead", "$dead/x"]
    for topic in never:
        client = mqtt.Client("v5", V5)
        connack = await client.connect(stack.ports[0], will=Will(topic, b"x", 1))
        assert connack.code == 0x90, topic
        await client.wait_closed()
    old = await env.connect(stack.ports[0], "old", V311, will=Will("$SYS/x", b"x", 1))
    assert await old.publish("end", "x", 1) == 0
    old.abort()
    dead = await env.connect(stack.ports[0], "dead", V311, will=Will("$dead/x", b"x", 1))
    dead.abort()
    good = await env.connect(stack.ports[0], "good", will=Will("$aws/will", b"x", 1))
    good.abort()
    await nothing_but(sub, ["end", "$aws/will"])
    assert await metric(stack.sidecars[0], APART) == len(never) + 2

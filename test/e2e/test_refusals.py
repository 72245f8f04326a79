"""A refusal is seen: in the words of the acknowledgement, in metrics and in the log of
both sides."""

import asyncio
import re

import mqtt
from annotations import AnnotationsFile
from cluster import eventually, metric
from scenario import scenario

V311 = mqtt.V311
SMALL = {"queue": {"max-messages": 3}}
FULL = re.compile(r"queue default~demo~stuck is full: \d+ messages of \d+ bytes wait "
                  r"\(queue\.max-messages: 3\), 1 client takes from it, more slowly than it fills$")


def refused(reason):
    return f'sqmqos_refused_total{{reason="{reason}"}}'


def lines(stack, program, *parts):
    """How many lines of its log have all of these."""
    return sum(all(p in line for p in parts) for line in stack.log(program).splitlines())


async def stuck(env, stack, filter_="full"):
    """A subscriber that takes one message and finishes none; its queue is full when this
    returns.  Returns it and the publisher."""
    sub = await env.connect(stack.ports[1], "stuck", ack="none",
                            props={"receive_maximum": 1, "session_expiry": 60})
    await sub.subscribe(filter_, qos=2)
    pub = await env.connect(stack.ports[0], "pub")
    for _ in range(1000):
        if await pub.publish("full", "x", 1) == 0x97:
            return sub, pub
    raise AssertionError("the queue never fills")


async def test_a_full_queue_is_named(env):
    stack = await env.stack(broker=SMALL)
    _, pub = await stuck(env, stack)
    assert FULL.match(pub.words[-1]), pub.words
    assert await pub.publish("full", "x", 2) == 0x97
    assert FULL.match(pub.words[-1]), pub.words
    assert len(pub.words) == 2
    assert await pub.publish("free", "x", 1) == 0x10
    assert len(pub.words) == 2, "no words where nothing is refused"
    sidecar = stack.sidecars[0]
    assert await metric(stack.broker, refused("queue-full")) == 2
    assert await metric(sidecar, refused("queue-full")) == 2
    assert await metric(sidecar, 'sqmqos_publishes_refused_total{reason="broker"}') == 2
    assert lines(stack, stack.broker, "default~demo~pub~pod-1: publish refused with 0x97", "queue "
                 "default~demo~stuck is full") == 1
    assert lines(stack, sidecar, "pub: publish refused with 0x97", "demo~stuck is full") == 1
    env.check_leftovers = False


async def test_what_is_on_its_way_into_a_queue_is_part_of_the_words(env):
    stack = await env.stack(broker=SMALL)
    sub = await env.connect(stack.ports[1], "stuck", ack="none",
                            props={"receive_maximum": 1, "session_expiry": 60})
    await sub.subscribe("full", qos=2)
    pub = await env.connect(stack.ports[0], "pub")
    codes = await asyncio.gather(*[pub.publish_nowait("full", "x", 1) for _ in range(50)])
    assert codes.count(0x97) == len(pub.words) > 0
    for words in pub.words:
        assert FULL.match(words), words
        assert int(re.search(r"is full: (\d+) messages", words)[1]) >= 3, words
    env.check_leftovers = False


async def test_a_queue_that_nobody_takes_from_says_since_when(env):
    stack = await env.stack(broker=SMALL)
    sub, pub = await stuck(env, stack)
    await sub.disconnect()

    async def lonely():
        assert await pub.publish("full", "x", 2, props={"user": [("sqmqos-key", "k")]}) == 0x97
        return re.search(r"is full: .*, nobody takes from it since 20\d\d-\d\d-\d\dT[\d:]{8}Z$",
                         pub.words[-1])
    await eventually(lonely, "it says since when")
    env.check_leftovers = False


async def test_the_log_has_a_line_now_and_then(env):
    stack = await env.stack(broker=SMALL)
    _, pub = await stuck(env, stack)
    codes = await asyncio.gather(*[pub.publish_nowait("full", "x", 1 + n % 2) for n in range(600)])
    assert codes == [0x97] * 600
    assert len(pub.words) == 601 and all(FULL.match(w) for w in pub.words)
    for program in (stack.broker, stack.sidecars[0]):
        assert await metric(program, refused("queue-full")) == 601
        assert 1 <= lines(stack, program, "refused with 0x97") <= 5, program.name
    env.check_leftovers = False


async def test_words_are_for_clients_that_want_them(env):
    stack = await env.stack(broker=SMALL)
    _, pub = await stuck(env, stack)
    quiet = await env.connect(stack.ports[0], "quiet", props={"request_problem": 0})
    short = await env.connect(stack.ports[0], "short", props={"maximum_packet_size": 64})
    old = await env.connect(stack.ports[0], "old", V311)
    for client in (quiet, short):
        for qos in (1, 2):
            assert await client.publish("full", "x", qos) == 0x97
        assert await client.subscribe("$dead/not/whole/" + 60 * "x") == [0x8F]
        assert client.words == [], f"{client.client_id}: {client.words}"
    assert await old.subscribe("$dead/x") == [0x80]
    quiet.send(mqtt.packet(mqtt.PUBLISH, b"\0\1#\0x", 0))  # a topic that is none
    assert await quiet.wait_closed() == 0x81
    assert quiet.disconnect_props == {}
    env.check_leftovers = False


async def test_a_subscription_is_told_why(env):
    stack = await env.stack(broker={"limits": {"max-subscriptions": 3}})
    c = await env.connect(stack.ports[0], "c")
    assert await c.subscribe("a", "$dead/x", "b") == [1, 0x8F, 1]
    assert c.words == ["filter $dead/x: dead letters are taken whole, by $dead/#"]
    assert await c.subscribe("c", "d", "e") == [1, 0x97, 0x97]
    assert c.words[1] == ("filter d: the session has as many as it may (limits.max-subscriptions)"
                          "; filter e: the session has as many as it may "
                          "(limits.max-subscriptions)")
    assert await c.subscribe("$tag//y") == [0x8F]
    assert c.words[2].startswith("filter $tag//y: ")
    assert await c.unsubscribe("$tag//y", "a") == [0x8F, 0]
    assert c.words[3].startswith("filter $tag//y: ")
    for reason, broker, sidecar in (("topic", 1, 3), ("quota", 2, 2)):
        assert await metric(stack.broker, refused(reason)) == broker
        assert await metric(stack.sidecars[0], refused(reason)) == sidecar
    assert lines(stack, stack.broker, "default~demo~c~pod-1: subscription refused", "$dead/x") == 1
    assert lines(stack, stack.sidecars[0], "c: subscribe refused with 0x8f", "$dead/x") == 1
    c.send(mqtt.packet(mqtt.SUBSCRIBE, b"\0\x09\0" + mqtt.text("x/#/y") + b"\0", 2))
    assert await c.wait_closed() == 0x81
    assert c.disconnect_props["reason_string"] == "# must be the last character: filter x/#/y"
    assert await metric(stack.sidecars[0], refused("topic")) == 4
    assert lines(stack, stack.sidecars[0], "c: closed, malformed packet", "filter x/#/y") == 1


async def test_a_property_is_told_why(env):
    stack = await env.stack()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-dealy", "5")]}) == 0x83
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-key", "k")]}) == 0x83
    assert await pub.publish("t", "x", 2, props={"user": [("sqmqos-delay", "soon")]}) == 0x83
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-delay", "999999999")]}) == 0x83
    assert await pub.publish("$dead/t", "x", 1) == 0x90
    assert pub.words == [
        "unknown user property sqmqos-dealy, did you mean sqmqos-delay?",
        "sqmqos-key is for QoS 3 and needs a publish of QoS 2",
        "sqmqos-delay must be a number of seconds, at most 999999999",
        "sqmqos-delay is too long (delayed.max-delay in seconds: 604800)",
        "$dead is for dead letters, which the broker alone publishes"]
    assert await pub.publish("t", "x", 2, props={"user": [("sqmqos-key", "k")]}) == 0x10
    assert await pub.publish("t", "x", 2) == 0x10
    pub.publish_nowait("t", "x", 0, props={"user": [("sqmqos-dealy", "5")]})
    await pub.ping()
    for program in (stack.broker, stack.sidecars[0]):
        async def counted(program=program):
            return await metric(program, refused("property")) == 5
        await eventually(counted, f"{program.name} counts QoS 0, too")
        assert await metric(program, refused("topic")) == 1
        assert await metric(program, refused("unmatched")) == 1


async def test_a_rule_that_forbids_says_so(env):
    rules = AnnotationsFile(env.folder / "pod").write(
        **{"sqmqos.io/publish": "{strict: true, rules: [allowed]}"})
    stack = await env.stack(annotations=[rules.path, None])
    pub = await env.connect(stack.ports[0], "pub")
    for qos in (1, 2):
        assert await pub.publish("other/x", "x", qos) == 0x87
    assert pub.words == 2 * ["no rule of sqmqos.io/publish allows the topic other/x"]
    pub.publish_nowait("other/x", "x", 0)
    await pub.ping()
    assert await metric(stack.sidecars[0], refused("denied")) == 3
    assert await metric(stack.broker, refused("denied")) == 0


async def test_an_end_is_told_why(env):
    stack = await env.stack()
    durable = {"session_expiry": 60}
    first = await env.connect(stack.ports[0], "c", props=durable)
    second = await env.connect(stack.ports[1], "c", clean=False, props=durable)
    assert await first.wait_closed() == 0x8E
    assert first.disconnect_props["reason_string"] == "another connection has the session"
    second.send(mqtt.packet(mqtt.PUBLISH, b"\0\1#\0x", 0))
    assert await second.wait_closed() == 0x81
    assert "wildcard" in second.disconnect_props["reason_string"]
    await second.connect(stack.ports[1], clean=True)


@scenario(timeout_s=120)
async def test_an_old_publisher_of_a_full_queue_is_spoken_for(env):
    """MQTT 3.1.1 can't refuse, and has its PUBACKs in the order of the PUBLISHes: the log
    says what holds them."""
    stack = await env.stack(broker=SMALL)
    sub, _ = await stuck(env, stack)
    old = await env.connect(stack.ports[0], "old", V311)
    order = []
    for name in ("full", "free"):
        done = old.publish_nowait(name, "x", 1)
        done.add_done_callback(lambda _, name=name: order.append(name))
    sidecar = stack.sidecars[0]
    await eventually(lambda: lines(stack, sidecar, "old: publish", "it waits",
                                   "default~demo~stuck is full") == 1,
                     "the log says what holds")
    await old.ping()
    assert order == []
    before = await metric(sidecar, refused("queue-full"))
    assert before >= 2
    sub.ack = "auto"
    for m in list(sub.inbox):
        sub.send_ack(mqtt.PUBACK, m.packet_id)
    await eventually(lambda: order == ["full", "free"], "both are acknowledged, in order")
    assert lines(stack, sidecar, "old: publish", "it waits") <= 5
    await sub.disconnect(0, {"session_expiry": 0})


@scenario(timeout_s=120)
async def test_a_disk_outbox_does_not_hide_a_refusal(env):
    stack = await env.stack(start=False)
    stack.sidecars[0].tree["outbox"] = {"mode": "disk", "size": "64Mi",
                                        "dir": str(stack.folder / "outbox")}
    await stack.start()
    stack.descriptors["sidecar-1"] += 40  # segments of the journal, as it grows
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-dealy", "5")]}) == 0x83
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-key", "k")]}) == 0x83
    assert len(pub.words) == 2
    # On disk, as it may pass: what the broker refuses of it holds nothing up.
    sidecar = stack.sidecars[0]
    assert await pub.publish("t", "x", 1, props={"user": [("sqmqos-delay", "999999999")]}) == 0
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe("behind", qos=1)
    assert await pub.publish("behind", "x", 1) == 0
    assert (await sub.receive()).topic == "behind"

    async def dropped():
        return await metric(sidecar, 'sqmqos_outbox_dropped_total{reason="refused"}') == 1
    await eventually(dropped, "the sidecar has heard of it")
    assert await metric(sidecar, refused("property")) == 3
    assert lines(stack, sidecar, "publish from the outbox refused", "and dropped", "too long") == 1

"""Publish rules (sqmqos.io/publish), and what becomes of tags behind them."""

import asyncio
import json

import clients
from annotations import AnnotationsFile
from cluster import eventually, metric
from mqtt import Closed, V5, V311, Will

ANNOTATION = "sqmqos.io/publish"
STRICT = 'sqmqos_publishes_refused_total{reason="strict"}'


async def ruled_stack(env, rules, subscribe=None, **more):
    """A stack whose first sidecar has the rules; subscribers go to the second one."""
    file = AnnotationsFile(env.folder / "pod").write(subscribe, **{ANNOTATION: rules})
    stack = await env.stack(annotations=[file.path, None], **more)
    return stack, file


def user(message, name):
    return [v for k, v in message.props.get("user", []) if k == name]


async def subscribed(env, stack, *filters, client_id="subscriber"):
    client = await env.connect(stack.ports[1], client_id)
    assert await client.subscribe(*filters, qos=2) == [2] * len(filters)
    return client


async def test_qos_is_raised_and_the_app_gets_the_handshake_that_it_asked_for(env):
    stack, _ = await ruled_stack(
        env, "[{filter: r0, qos: 0}, {filter: r1, qos: 1}, {filter: r2, qos: 2}]")
    subscriber = await subscribed(env, stack, "#")
    for version in (V311, V5):
        app = await env.connect(stack.ports[0], f"app-{version}", version)
        for rule in range(3):
            for qos in range(3):
                # the client itself takes offence at a PUBACK where a PUBREC is due
                code = await app.publish(f"r{rule}", f"{qos}", qos)
                assert code == (0 if qos else None)
                m = await subscriber.receive()
                assert (m.topic, m.payload, m.qos) == (f"r{rule}", b"%d" % qos, max(rule, qos))
        assert await app.publish("other", b"", 1) == 0
        assert (await subscriber.receive()).qos == 1
        await app.disconnect()


async def test_raised_messages_keep_their_order_over_lost_links(env):
    stack, _ = await ruled_stack(
        env, "[{filter: zero, qos: 2}, {filter: one, qos: 2}]", proxy=True)
    subscriber = await subscribed(env, stack, "#")
    app = await env.connect(stack.ports[0], "app", V311)
    done = []
    for n in range(300):
        app.publish_nowait("zero", b"%d" % n, 0)
        done.append(app.publish_nowait("one", b"%d" % n, 1))
        if n in (100, 200):
            await app.ping()
            stack.proxy.cut_all()
    assert set(await asyncio.wait_for(asyncio.gather(*done), 30)) == {0}
    got = {"zero": [], "one": []}
    for m in await subscriber.receive_all(600):
        assert m.qos == 2
        got[m.topic].append(int(m.payload))
    assert got["zero"] == got["one"] == list(range(300))
    await subscriber.ping()
    assert not subscriber.inbox
    await stack.linked()


async def test_a_message_gets_its_order_key_from_a_property(env):
    stack, _ = await ruled_stack(env, "[{filter: orders/#, order-key: {property: customer}}]")
    subscriber = await subscribed(env, stack, "#")
    app = await env.connect(stack.ports[0], "app")
    sent = [("orders/1", [("customer", "7")], ["7"]), ("orders/2", [], []), ("other", [("customer", "7")], []),
            ("orders/3", [("customer", "7"), ("sqmqos-order-key", "own")], ["own"])]
    for qos in range(3):
        for topic, props, key in sent:
            code = await app.publish(topic, b"", qos, props={"user": props})
            assert code == (0 if qos else None), (topic, code)
            m = await subscriber.receive()
            assert m.topic == topic and user(m, "sqmqos-order-key") == key, m
    assert await app.publish("orders/4", b"", 1, props={"user": [("customer", "x" * 257)]}) == 0x83
    assert await app.publish("orders/4", b"", 1, props={"user": [("customer", "x" * 256)]}) == 0
    assert user(await subscriber.receive(), "sqmqos-order-key") == ["x" * 256]


async def test_a_raised_qos_0_message_waits_for_room(env):
    file = AnnotationsFile(env.folder / "pod").write(
        "- {filter: jobs, group: crew, max-length: 3, overflow: reject-publish}",
        **{ANNOTATION: "- {filter: jobs, qos: 1}", "sqmqos.io/client-id": "consumer"})
    stack = await env.stack(annotations=[file.path, None])
    publishers = [await env.connect(stack.ports[0], f"publisher-{v}", v) for v in (V311, V5)]
    for publisher in publishers:
        for n in range(5):
            await publisher.publish("jobs", f"{publisher.version} {n}", 0)

    async def full():
        return await metric(stack.broker, "sqmqos_queued_messages") == 3
    await eventually(full, "the queue is full")
    other = await env.connect(stack.ports[1], "other")
    assert await other.publish("jobs", b"", 1) == 0x97
    consumer = await env.connect(stack.ports[0], "consumer")
    got = [m.payload.decode() for m in await consumer.receive_all(10)]
    for version in (V311, V5):
        assert [p for p in got if p[0] == str(version)] == [f"{version} {n}" for n in range(5)]
    await consumer.ping()
    assert not consumer.inbox


async def mosquitto_pub(env, port, *args):
    process = await clients.start(env, "mosquitto_pub", "-h", "localhost", "-p", port, *args)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, out.decode()


async def test_tags_by_rule_for_an_app_that_cannot_write_any(env):
    declared = AnnotationsFile(env.folder / "consumer").write("- {tag: red, filter: 'a/#'}")
    rules = AnnotationsFile(env.folder / "pod").write(
        **{ANNOTATION: "- {filter: a/#, tags: [red, blue]}\n- {filter: +/x, tags: blue}\n"})
    stack = await env.stack(sidecars=3, annotations=[rules.path, None, declared.path])
    red = await subscribed(env, stack, "$tag/red", client_id="red")
    blue_a = await subscribed(env, stack, "$tag/blue/a/+", client_id="blue-a")
    both = await subscribed(env, stack, "$tag/red", "$tag/blue", "a/#", client_id="both")
    green = await subscribed(env, stack, "$tag/green", "end", client_id="green")
    by_annotation = await env.connect(stack.ports[2], "app")
    for version in ("mqttv31", "mqttv311"):
        for topic in ("a/x", "b/x", "a/x/y", "end"):
            await mosquitto_pub(env, stack.ports[0], "-V", version, "-q", "1", "-t", topic,
                                "-m", topic)
        assert [m.topic for m in await red.receive_all(2)] == ["a/x", "a/x/y"]
        assert [m.topic for m in await blue_a.receive_all(1)] == ["a/x"]
        got = await both.receive_all(3)
        assert [m.topic for m in got] == ["a/x", "b/x", "a/x/y"]
        assert [user(m, "tag") for m in got] == [["red", "blue"], ["blue"], ["red", "blue"]]
        assert [m.topic for m in await by_annotation.receive_all(2)] == ["a/x", "a/x/y"]
        assert [m.topic for m in await green.receive_all(1)] == ["end"]
    for client in (red, blue_a, both, green, by_annotation):
        await client.ping()
        assert not client.inbox, client.client_id


async def test_a_tag_that_comes_twice_delivers_once(env):
    stack, _ = await ruled_stack(env, "- {filter: t, tags: [red, red, blue]}")
    subscriber = await subscribed(env, stack, "$tag/red", "$tag/red/t", "$tag/blue/+")
    app = await env.connect(stack.ports[0], "app")
    own = {"user": [("tag", "red"), ("note", "1"), ("tag", "red")]}
    assert await app.publish("t", b"ruled", 2, props=own) == 0
    assert await app.publish("u", b"own", 2, props=own) == 0
    first, second = await subscriber.receive_all(2)
    assert (first.payload, user(first, "tag")) == (b"ruled", ["red", "red", "blue"])
    assert (second.payload, user(second, "tag")) == (b"own", ["red", "red"])
    assert user(first, "note") == ["1"], "what the app says stays"
    await subscriber.ping()
    assert not subscriber.inbox


async def test_a_shared_subscription_by_tag(env):
    stack, _ = await ruled_stack(env, "- {filter: jobs/+, tags: red}")
    app = await env.connect(stack.ports[0], "app", V311)
    crew = [await subscribed(env, stack, "$share/crew/$tag/red/jobs/+", client_id=f"crew-{n}")
            for n in range(2)]
    for n in range(20):
        await app.publish("jobs/1", b"%d" % n, 2)
        await app.publish("other/1", b"", 2)
    await eventually(lambda: sum(len(c.inbox) for c in crew) >= 20, "all jobs are done")
    for client in crew:
        await client.ping()
    assert sorted(int(m.payload) for c in crew for m in c.inbox) == list(range(20))


async def test_ttl_and_retain(env):
    stack, _ = await ruled_stack(env, "- {filter: state/#, retain: true, ttl: 10m}\n"
                                      "- {filter: events/#, retain: false, ttl: 60}")
    plain = await env.connect(stack.ports[0], "plain", V311)
    app = await env.connect(stack.ports[0], "app")
    await plain.publish("state/a", b"a", 1)
    await app.publish("state/b", b"b", 0, props={"message_expiry": 30})
    await app.publish("state/b", b"b", 1, props={"message_expiry": 30})
    await app.publish("events/c", b"c", 1, retain=True, props={"message_expiry": 3600})
    late = await subscribed(env, stack, "state/#", "events/#")
    got = {m.topic: m for m in await late.receive_all(2)}
    assert set(got) == {"state/a", "state/b"} and all(m.retain for m in got.values())
    assert 540 < got["state/a"].props["message_expiry"] <= 600
    assert 0 < got["state/b"].props["message_expiry"] <= 30
    await app.publish("events/c", b"c", 1, retain=True, props={"message_expiry": 3600})
    assert (await late.receive()).props["message_expiry"] <= 60
    for topic in ("state/a", "state/b"):  # an empty one takes it away
        await app.publish(topic, b"", 1)
    await late.receive_all(2)


async def test_qos_3_has_a_key_always(env):
    stack, _ = await ruled_stack(
        env, "- {filter: drawn, qos: 3}\n"
             "- {filter: named, qos: 3, key: {property: order}, receipt: receipts/x}\n")
    subscriber = await subscribed(env, stack, "drawn", "named", "own")
    plain = await env.connect(stack.ports[0], "plain", V311)
    app = await env.connect(stack.ports[0], "app")
    keys = set()
    for qos in (0, 1, 2):
        await plain.publish("drawn", b"", qos)
        m = await subscriber.receive()
        assert m.qos == 2 and user(m, "sqmqos-qos") == ["3"]
        keys.update(user(m, "sqmqos-key"))
    assert len(keys) == 3 and all(len(k) == 32 and int(k, 16) for k in keys)
    await app.publish("named", b"", 1, props={"user": ("order", "o-17")})
    m = await subscriber.receive()
    assert user(m, "sqmqos-key") == ["o-17"] and user(m, "sqmqos-receipt") == ["receipts/x"]
    await app.publish("own", b"", 2, props={"user": ("sqmqos-qos", "3")})
    m = await subscriber.receive()
    assert user(m, "sqmqos-qos") == ["3"] and len(user(m, "sqmqos-key")[0]) == 32
    await app.publish("own", b"", 2, props={"user": [("sqmqos-qos", "3"), ("sqmqos-key", "k")]})
    assert user(await subscriber.receive(), "sqmqos-key") == ["k"]


async def test_a_retransmission_is_no_second_message(env):
    stack, _ = await ruled_stack(env, "- {filter: t, qos: 3}")
    subscriber = await subscribed(env, stack, "t")
    for version in (V311, V5):
        app = await env.connect(stack.ports[0], f"app-{version}", version, clean=False,
                                props={"session_expiry": 60})
        for n in range(15):
            done = app.publish_nowait("t", b"%d" % n, 2)
            for _ in range(n % 4):  # the connection ends at another point of the handshake
                await app.ping()
            app.abort()
            await app.wait_closed()
            await app.connect(stack.ports[0], clean=False, props={"session_expiry": 60})
            await asyncio.wait_for(done, 30)
            await app.publish("t", b"", 2)
        got = await subscriber.receive_all(30)
        assert [m.payload for m in got[::2]] == [b"%d" % n for n in range(15)]
        assert len({user(m, "sqmqos-key")[0] for m in got}) == 30
        await app.disconnect()
        end = await env.connect(stack.ports[0], f"app-{version}", version)
        await end.disconnect()
    await subscriber.ping()
    assert not subscriber.inbox


async def test_mosquitto_sees_what_a_rule_adds(env):
    stack, _ = await ruled_stack(env, "- {filter: m, tags: [a, b], delay: 1, ttl: 50}")
    sub = await clients.start(env, "stdbuf", "-oL", "mosquitto_sub", "-h", "localhost", "-p",
                              stack.ports[1], "-V", "mqttv5", "-t", "$tag/b", "-C", "1", "-W", "30",
                              "-F", "%j", "-d")
    while not (await sub.stdout.readline()).startswith(b"Subscribed"):
        pass
    await mosquitto_pub(env, stack.ports[0], "-V", "mqttv311", "-t", "m", "-m", "x", "-q", "1")
    text = [line for line in (await sub.stdout.read()).decode().splitlines()
            if line.startswith("{")][0]
    m = dict(json.loads(text, object_pairs_hook=list))
    pairs = dict(m["properties"])["user-properties"]
    values = [v for pair in pairs for v in ([pair] if isinstance(pair, (list, tuple)) else [])]
    flat = json.dumps(values)
    assert all(word in flat for word in ('"a"', '"b"', "sqmqos-delay")), text


async def test_strict_refuses_what_no_rule_allows(env):
    stack, _ = await ruled_stack(env, "strict: true\nrules: [ok/#, {filter: will, tags: w}]")
    sidecar = stack.sidecars[0]
    subscriber = await subscribed(env, stack, "#")
    app = await env.connect(stack.ports[0], "app")
    order = []
    for topic, qos in (("ok/1", 1), ("no/secret-topic", 1), ("ok/2", 1), ("no", 1), ("ok/3", 1)):
        done = app.publish_nowait(topic, b"payload-that-no-log-has", qos)
        done.add_done_callback(lambda f, topic=topic: order.append((topic, f.result())))
    for topic, qos, code in (("no", 2, 0x87), ("ok/4", 2, 0), ("no", 0, None), ("no", 2, 0x87),
                             ("ok/5", 2, 0)):
        assert await app.publish(topic, b"payload-that-no-log-has", qos) == code
    # MQTT-4.6.0-2: acknowledgements in the order of what they are for
    assert order == [("ok/1", 0), ("no/secret-topic", 0x87), ("ok/2", 0), ("no", 0x87),
                     ("ok/3", 0)]
    assert [m.topic for m in await subscriber.receive_all(5)] == [f"ok/{n}" for n in range(1, 6)]
    assert await metric(sidecar, STRICT) == 5
    log = stack.log(sidecar)
    assert "app: publish to 'no/secret-topic' refused" in log
    assert "payload-that-no-log-has" not in log
    assert app.connected
    await subscriber.ping()
    assert not subscriber.inbox


async def test_strict_with_an_app_that_cannot_be_told(env):
    stack, _ = await ruled_stack(env, "strict: true\nrules: [ok]")
    subscriber = await subscribed(env, stack, "#")
    app = await env.connect(stack.ports[0], "app", V311)
    await app.publish("no", b"", 0)  # dropped and counted
    assert await app.publish("ok", b"1", 1) == 0
    assert await metric(stack.sidecars[0], STRICT) == 1
    for qos in (1, 2):
        app = await env.connect(stack.ports[0], "app", V311)
        done = app.publish_nowait("no", b"", qos)
        await app.wait_closed()
        assert not done.done(), "it is not acknowledged"
        app.outgoing.clear()
    assert (await subscriber.receive()).payload == b"1"
    app = await env.connect(stack.ports[0], "app", V311)
    await app.publish("ok", b"2", 2)
    assert (await subscriber.receive()).payload == b"2"
    assert not subscriber.inbox


async def test_wills_go_by_the_rules_too(env):
    stack, _ = await ruled_stack(env, "strict: true\nrules: [{filter: will, tags: w, qos: 1}]")
    subscriber = await subscribed(env, stack, "$tag/w")
    for version, code in ((V5, 0x87), (V311, 5)):
        refused = env.client(f"refused-{version}", version)
        try:
            connack = await refused.connect(stack.ports[0], will=Will("other", b"x"))
            assert connack.code == code
        except Closed:
            raise AssertionError("no CONNACK") from None
        app = await env.connect(stack.ports[0], f"app-{version}", version,
                                will=Will("will", b"bye"))
        await app.ping()
        app.abort()
        m = await subscriber.receive()
        assert (m.topic, m.payload, m.qos) == ("will", b"bye", 1)


async def test_editing_the_rules_of_a_running_pod(env):
    stack, file = await ruled_stack(env, "- {filter: t, tags: first}")
    sidecar = stack.sidecars[0]
    subscriber = await subscribed(env, stack, "t")
    app = await env.connect(stack.ports[0], "app", V311)

    async def tags():
        await app.publish("t", b"", 1)
        return user(await subscriber.receive(), "tag")
    assert await tags() == ["first"]

    async def becomes(want):
        async def is_so():
            return await tags() == want
        await eventually(is_so, f"tags are {want}", 5)
    file.write(**{ANNOTATION: "- {filter: t, tags: second}"})
    await becomes(["second"])
    errors = await metric(sidecar, "sqmqos_annotation_errors_total")
    for value, line, word in (("- {filter: t, tags: third}\n- {filter: t, qos: 4}", 2, "qos"),
                              ("strict: true\nrule: [t]", 2, "rules"),
                              ("- filter: t/#/u", 1, "filter")):
        at = len(stack.log(sidecar))
        file.write(**{ANNOTATION: value})
        report = await eventually(
            lambda: [row for row in stack.log(sidecar)[at:].splitlines() if ANNOTATION in row],
            "a line in the log")
        assert len(report) == 1 and f"line {line}, column " in report[0] and word in report[0], report
        assert await tags() == ["second"], "the old rules stay"
    assert await metric(sidecar, "sqmqos_annotation_errors_total") == errors + 3
    file.write()
    await becomes([])
    assert app.connected


async def test_a_subscription_by_tag_gets_retained_messages(env):
    stack, _ = await ruled_stack(env, "- {filter: state/a, retain: true, tags: red}\n"
                                      "- {filter: state/+, retain: true}\n")
    app = await env.connect(stack.ports[0], "app", V311)
    for topic in ("state/a", "state/b"):
        await app.publish(topic, topic, 1)
    late = await subscribed(env, stack, "$tag/red/state/#", client_id="late")
    m = await late.receive()
    assert (m.topic, m.retain) == ("state/a", True)
    for topic in ("state/a", "state/b"):
        await app.publish(topic, b"", 1)
    assert (await late.receive()).payload == b""
    assert not late.inbox

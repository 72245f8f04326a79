"""Traces of messages: the traceparent that a sidecar gives, its way through queues and letters, and
spans at a collector."""

import asyncio
import json
import os
import re
import ssl
import time

import mqtt
from annotations import AnnotationsFile
from api import Api
from cluster import eventually, metric
from collector import Collector, spans_of
from scenario import Skip, scenario

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


async def test_what_is_not_sampled_passes_as_it_is(env):
    """Where there is none, that is the decision not to: no one on the way makes another."""
    stack = await env.stack(start=False, sidecar=sampled(1))
    stack.sidecars[0].tree["tracing"] = {"sample": "0"}
    await stack.start()
    sub = await subscriber(env, stack)
    old = await env.connect(stack.ports[0], "old", version=mqtt.V311)
    pub = await env.connect(stack.ports[0], "pub")
    for qos in (0, 1, 2):
        for client in (old, pub):
            assert await client.publish("t/x", "x", qos) in (0, None)
            assert (await sub.receive()).props == {}, "also the subscriber's sidecar adds none"
    for given in (GIVEN, GIVEN[:-1] + "0"):
        own = [("a", "1"), ("traceparent", given), ("tracestate", "v=1")]
        assert await pub.publish("t/x", "x", 1, props=user(*own)) == 0
        assert pairs(await sub.receive()) == own, "the parent's decision counts"
    bad = user(("a", "1"), ("traceparent", GIVEN + "-"), ("tracestate", "v=1"), ("b", "2"))
    assert await pub.publish("t/x", "x", 1, props=bad | {"content_type": "x"}) == 0
    m = await sub.receive()
    assert (pairs(m), m.props["content_type"]) == ([("a", "1"), ("b", "2")], "x")
    mortal = await env.connect(stack.ports[0], "mortal", will=mqtt.Will("t/will", b"gone", 1))
    mortal.abort()
    m = await sub.receive(20)
    assert (m.topic, pairs(m)) == ("t/will", [])


async def test_all_get_a_traceparent_where_that_is_asked_for(env):
    stack = await env.stack(start=False, sidecar=sampled(1))
    stack.sidecars[0].tree["tracing"] = {"sample": "0", "traceparent": "all"}
    await stack.start()
    sub = await subscriber(env, stack)
    old = await env.connect(stack.ports[0], "old", version=mqtt.V311)
    pub = await env.connect(stack.ports[0], "pub")
    seen = set()
    for client in (old, pub, pub):
        assert await client.publish("t/x", "x", 1) == 0
        (name, value), = pairs(await sub.receive())
        assert name == "traceparent" and re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", value), value
        seen.add(value)
    assert len(seen) == 3
    own = [("traceparent", GIVEN)]
    assert await pub.publish("t/x", "x", 1, props=user(*own)) == 0
    assert pairs(await sub.receive()) == own


async def test_the_share_that_is_sampled(env):
    stack = await env.stack(sidecar=sampled(0.5))
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    seen = set()
    for _ in range(60):  # one of the two is missing in one run of 10^17
        assert await pub.publish("t/x", "x", 1) == 0
        m = await sub.receive()
        seen.add(traceparent(m)[-3:] if pairs(m) else "none")
    assert seen == {"-01", "none"}


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
    for program in (publisher, stack.broker):
        program.start()
    await stack.ready()
    await stack.linked()
    found = await sub.receive_all(2)
    assert len({traceparent(m) for m in found}) == 2

    async def empty():
        return await metric(publisher, "sqmqos_outbox_bytes") == 0
    await eventually(empty, "the outbox is empty", 30)
    await sub.disconnect(0, {"session_expiry": 0})


async def test_lines_about_a_message_have_its_trace(env):
    """Also of one that is not sampled, and where the sidecar gives none."""
    annotations = AnnotationsFile(env.folder / "pod").write(
        "", **{"sqmqos.io/publish": "{strict: true, rules: [{filter: t/#}]}"})
    stack = await env.stack(annotations=[annotations.path, None])
    given = ("traceparent", GIVEN[:-1] + "0")
    strict, free = [await env.connect(port, "pub") for port in stack.ports]
    assert await strict.publish("no/x", "x", 1, props=user(given)) == 0x87
    assert await free.publish("t/x", "x", 1, props=user(given, kye="k")) == 0x83
    for program in (stack.sidecars[0], stack.broker):
        await eventually(lambda program=program: re.search(
            rf"refused.* trace_id={TRACE}$", stack.log(program), re.M), f"{program.name} says it")
    quiet = await env.connect(stack.ports[0], "quiet")
    assert await quiet.publish("no/y", "x", 1) == 0x87
    await eventually(lambda: re.search(r"no/y' refused, .* allows it$", stack.log(
        stack.sidecars[0]), re.M), "and no trace where there is none")


# ---- spans

EXPORTED = "sqmqos_spans_exported_total"


def exporting(collector, share=1, **more):
    tracing = {"endpoint": collector.endpoint}
    return {"sidecar": {"tracing": tracing | more | {"sample": str(share)}},
            "broker": {"tracing": tracing | more}}


async def collecting(env, share=1):
    collector = await Collector().start()
    env.spawn(until_the_end(collector))
    stack = await env.stack(**exporting(collector, share))
    room_for(stack)
    return stack, collector


def room_for(stack):
    """Connections to the collector are none that is left over."""
    for name in stack.descriptors:
        stack.descriptors[name] += 3


def server_context(stack):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stack.folder / "broker.pem", stack.folder / "broker.key")
    return context


async def until_the_end(collector):
    try:
        await asyncio.Event().wait()
    finally:
        await collector.stop()


async def told(collector, trace, *names):
    """The spans of a trace, once all that are named have come."""
    def found():
        return [s for s in collector.spans if s.trace == trace]

    await eventually(lambda: sorted(s.name for s in found()) == sorted(names),
                     f"spans {names}, there are {found()}")
    return {s.name: s for s in found()}


def workload(stack):
    return stack.sidecars[0].tree["identity"]["workload"]


MS = 1_000_000


async def test_the_spans_of_a_message_are_one_tree(env):
    stack, collector = await collecting(env)
    sub = await subscriber(env, stack, props=DURABLE)
    pub = await env.connect(stack.ports[0], "pub", version=mqtt.V311)
    for qos in (1, 2):
        assert await pub.publish("t/x", b"x" * 10, qos) == 0
        parent = traceparent(await sub.receive())
        trace, root = parent[3:35], parent[36:52]
        spans = await told(collector, trace, "publish", "receive", "queue", "deliver")
        publish = spans.pop("publish")
        assert (publish.id, publish.parent) == (root, None)
        assert {s.parent for s in spans.values()} == {root}
        assert len({publish.id, *(s.id for s in spans.values())}) == 4
        assert publish.service == workload(stack)
        assert {s.service for s in spans.values()} == {"sqmqos-broker"}
        assert all(s.start <= s.end for s in (publish, *spans.values()))
        assert publish.start <= spans["receive"].start <= spans["receive"].end <= publish.end
        assert spans["receive"].start <= spans["deliver"].start <= spans["deliver"].end
        # The time of a put has milliseconds, and those of the worker's turn.
        assert abs(spans["queue"].end - spans["deliver"].start) < 50 * MS
        for s in (publish, *spans.values()):
            a = s.attributes
            assert (a["messaging.system"], a["messaging.destination.name"]) == ("mqtt", "t/x")
            assert (a["messaging.message.body.size"], a["sqmqos.qos"]) == ("10", str(qos))
            assert a["messaging.operation.name"] == s.name and not s.failed
        assert publish.attributes["messaging.client.id"] == "pub"
        assert spans["deliver"].attributes["messaging.client.id"] == "sub"
        assert len({s.attributes["messaging.message.id"] for s in spans.values()}) == 1
        assert [s.raw["kind"] for s in (publish, spans["receive"], spans["queue"],
                                        spans["deliver"])] == [4, 5, 1, 4]
    await sub.disconnect(0, {"session_expiry": 0})


def has_libcurl(program):
    with open(f"/proc/{program.pid}/maps", encoding="ascii") as maps:
        return "/libcurl.so" in maps.read()


async def test_libcurl_is_in_memory_for_an_endpoint_alone(env):
    """It would cost each idle sidecar pages of its own."""
    collector = await Collector().start()
    env.spawn(until_the_end(collector))
    stack = await env.stack(sidecar=sampled(1), broker=exporting(collector)["broker"])
    room_for(stack)
    assert [p.name for p in stack.programs if has_libcurl(p)] == [stack.broker.name]


async def test_spans_go_on_with_the_trace_of_the_app(env):
    stack, collector = await collecting(env, share=0)
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0
    assert pairs(await sub.receive()) == []
    assert await pub.publish("t/x", "x", 1, props=user(("traceparent", GIVEN))) == 0
    assert traceparent(await sub.receive()) == GIVEN
    spans = await told(collector, TRACE, "publish", "receive", "queue", "deliver")
    assert {s.parent for s in spans.values()} == {SPAN}
    assert len({s.id for s in spans.values()} | {SPAN}) == 5
    assert {s.trace for s in collector.spans} == {TRACE}, "the other is not sampled"
    assert await pub.publish("t/x", "0", 0, props=user(("traceparent", GIVEN[:-1] + "0"))) is None
    assert traceparent(await sub.receive()).endswith("-00")


async def test_a_publish_over_http_goes_on_with_its_trace(env):
    """The broker begins none: what comes without is not sampled."""
    stack, collector = await collecting(env)
    sub = await subscriber(env, stack)
    api = Api(stack)
    await api.publish("t/x", b"without")
    assert pairs(await sub.receive()) == []
    await api.publish("t/x", b"with", {"traceparent": GIVEN})
    assert traceparent(await sub.receive()) == GIVEN
    spans = await told(collector, TRACE, "receive", "queue", "deliver")
    assert {s.parent for s in spans.values()} == {SPAN}
    assert spans["receive"].attributes["messaging.client.id"] == "token:local"
    assert {s.trace for s in collector.spans} == {TRACE}


async def test_what_a_settlement_publishes_goes_on_with_its_trace(env):
    collector = await Collector().start()
    env.spawn(until_the_end(collector))
    parts = exporting(collector)
    parts["broker"]["acl"] = [{"allow": ["manage"]}]
    stack = await env.stack(**parts)
    room_for(stack)
    sub = await subscriber(env, stack)
    api = Api(stack)

    async def ask(method, path, status, body=None):
        answer = await api.ask(method, path, json.dumps(body).encode(), {"sqmqos-space": "default"})
        assert answer.status == status, answer
        return answer
    await ask("PUT", "/v1/queues/jobs", 201, {"bindings": [{"filter": "jobs/#"}]})
    await api.publish("jobs/1", b"x")
    message, = (await ask("POST", "/v1/queues/jobs/receive", 200, {"wait": "10s"})).json["messages"]
    await ask("POST", "/v1/queues/jobs/settle", 200, {"ack": [message["lease"]], "publish": [
        {"topic": "t/x", "text": "with", "properties": [["traceparent", GIVEN]]}, {"topic": "t/y", "text": "without"}]})
    assert traceparent(await sub.receive()) == GIVEN
    assert pairs(await sub.receive()) == []
    spans = await told(collector, TRACE, "receive", "queue", "deliver")
    assert {s.parent for s in spans.values()} == {SPAN}
    assert spans["receive"].attributes["messaging.client.id"] == "token:local"
    assert {s.trace for s in collector.spans} == {TRACE}


async def test_attempts_and_a_dead_letter(env):
    stack, collector = await collecting(env)
    sub = await subscriber(env, stack, ack="none", props=DURABLE)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 2, props=user(qos=3)) == 0
    trace = traceparent(await sub.receive())[3:35]
    sub.abort()
    sub.held.clear()
    assert (await sub.connect(stack.ports[1], clean=False, props=DURABLE)).session_present
    again = await sub.receive()
    assert again.dup
    sub.send_ack(mqtt.PUBREC, again.packet_id, 0x83)
    spans = await told(collector, trace, "publish", "receive", "queue", "deliver", "attempt",
                       "dead-letter")
    assert spans["deliver"].failed and spans["deliver"].end <= spans["attempt"].end
    assert spans["attempt"].failed
    letter = spans["dead-letter"]
    assert letter.failed and letter.attributes["error.type"] == "rejected"
    assert letter.raw["events"][0]["name"] == "dead-lettered"
    assert len({s.parent for s in spans.values() if s.name != "publish"}) == 1
    taker = await env.connect(stack.ports[1], "undertaker")
    await taker.subscribe("$dead/#", qos=2)
    assert traceparent(await taker.receive())[3:35] == trace
    await taker.ping()
    await sub.disconnect(0, {"session_expiry": 0})


async def test_a_refused_publish_is_a_failed_span(env):
    stack, collector = await collecting(env)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1, props=user(("traceparent", GIVEN), kye="k")) == 0x83
    spans = await told(collector, TRACE, "publish", "receive")
    assert all(s.failed and s.attributes["error.type"] == "0x83" for s in spans.values())


async def test_spans_over_a_restart_of_the_broker(env):
    """How long the message waited is not known then: there is no span of the queue."""
    stack, collector = await collecting(env)
    sub = await subscriber(env, stack, props=DURABLE)
    sub.abort()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0
    await eventually(lambda: len(collector.spans) == 2, "publish and receive")
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert (await sub.connect(stack.ports[1], clean=False, props=DURABLE)).session_present
    trace = traceparent(await sub.receive())[3:35]
    await told(collector, trace, "publish", "receive", "deliver")
    await sub.disconnect(0, {"session_expiry": 0})


async def flood(pub, n):
    for i in range(n):
        assert await pub.publish("t/x", b"%d" % i, 1) == 0


@scenario(timeout_s=180)
async def test_messages_do_not_suffer_from_the_collector(env):
    stack, collector = await collecting(env)
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    sidecar = stack.sidecars[0]

    async def passes(n):
        await flood(pub, n)
        assert [int(m.payload) for m in await sub.receive_all(n)] == list(range(n))

    async def grows(name, since):
        async def grown():
            return (await metric(sidecar, name) or 0) > since
        await eventually(grown, f"{name} is above {since}", 60)

    await collector.stop()  # it is gone
    await passes(20)
    await grows("sqmqos_spans_export_failures_total", 0)
    await collector.start()
    await grows(EXPORTED, 0)
    collector.stalled = True  # it is slow: the ring gets full
    await passes(1200)
    await grows('sqmqos_spans_dropped_total{reason="full"}', 0)
    collector.stalled = False
    collector.status = 500  # it does not want them
    await grows('sqmqos_spans_dropped_total{reason="refused"}', 0)
    collector.status, collector.answer_headers = 503, ["Retry-After: 1"]
    since = await metric(sidecar, "sqmqos_spans_export_failures_total")
    await passes(20)
    await grows("sqmqos_spans_export_failures_total", since)
    collector.status = 200
    await grows(EXPORTED, await metric(sidecar, EXPORTED))
    assert "takes no spans, messages go on without" in stack.log(sidecar)


async def real_collector(env, port):
    """The OpenTelemetry Collector's own receiver; the file that has what it took."""
    program = os.environ.get("TEST_COLLECTOR")
    if not program:
        raise Skip("TEST_COLLECTOR is not set: ./dev test builds it by test/collector/setup.sh")
    out = env.folder / "taken"
    process = await asyncio.create_subprocess_exec(
        program, f"127.0.0.1:{port}", str(out), stdout=asyncio.subprocess.PIPE)
    env.processes.append(process)
    assert await process.stdout.readline() == b"ready\n"
    return out


@scenario(timeout_s=60)
async def test_the_opentelemetry_collector_takes_them(env):
    collector = Collector()  # its port alone
    out = await real_collector(env, collector.port)
    stack = await env.stack(**exporting(collector))
    room_for(stack)
    sub = await subscriber(env, stack)
    pub = await env.connect(stack.ports[0], "pub", version=mqtt.V311)
    assert await pub.publish("t/x", b"x" * 10, 2) == 0
    trace = traceparent(await sub.receive())[3:35]

    def taken():
        return {s.name: s for line in out.read_text().splitlines() for s in spans_of(json.loads(line))
                if s.trace == trace}
    await eventually(lambda: len(taken()) == 4, "all spans have come")
    spans = taken()
    assert set(spans) == {"publish", "receive", "queue", "deliver"}
    assert {s.parent for s in spans.values()} - {spans["publish"].id} <= {None, ""}
    assert {s.raw["kind"] for s in spans.values()} == {1, 4, 5}
    for s in spans.values():
        assert s.attributes["messaging.destination.name"] == "t/x"
        assert s.attributes["messaging.message.body.size"] == "10"
        assert s.start <= s.end
    for program in (stack.broker, stack.sidecars[0]):
        assert await metric(program, EXPORTED) > 0
        assert await metric(program, "sqmqos_spans_export_failures_total") == 0


async def test_an_answer_without_an_end_counts_by_its_status(env):
    """It is read up to a bound, not for the time that a request may take."""
    stack, collector = await collecting(env)
    collector.endless = True
    pub = await env.connect(stack.ports[0], "pub")
    for i in range(3):
        assert await pub.publish("t/x", b"%d" % i, 1) == 0x10
        await eventually(lambda: collector.ended > i, "the connection ends", 5)

    async def exported():
        return await metric(stack.sidecars[0], EXPORTED) == 3
    await eventually(exported, "its spans are taken")
    for program in (stack.broker, stack.sidecars[0]):
        assert await metric(program, "sqmqos_spans_export_failures_total") == 0


async def test_spans_that_an_answer_rejects_are_counted(env):
    stack, collector = await collecting(env)
    collector.answer = json.dumps({"partialSuccess": {
        "errorMessage": "no {spans}, \"please\"", "rejectedSpans": "1"}}).encode()
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", b"x", 1) == 0x10

    async def counted():
        return await metric(stack.sidecars[0], 'sqmqos_spans_dropped_total{reason="refused"}') == 1
    await eventually(counted, "the span is refused")
    assert await metric(stack.sidecars[0], EXPORTED) == 0


async def test_the_end_of_a_program_is_the_last_flush(env):
    stack, collector = await collecting(env)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0x10
    await pub.disconnect()
    await stack.end(stack.sidecars[0])
    assert [s.name for s in collector.spans if s.service == workload(stack)] == ["publish"]
    collector.stalled = True
    pub = await env.connect(stack.ports[1], "pub")
    assert await pub.publish("t/x", "x", 1) == 0x10
    await pub.disconnect()
    began = time.monotonic()
    await stack.end(stack.sidecars[1])
    assert time.monotonic() - began < 15, "a collector that does not answer is not waited for"
    assert "did not get to" in stack.log(stack.sidecars[1])
    collector.stalled = False
    env.check_leftovers = False


async def test_headers_and_tls(env):
    collector = Collector()
    stack = await env.stack(start=False, **exporting(
        collector, **{"headers-file": str(env.folder / "headers"),
                      "ca": str(env.folder / "stack" / "ca.pem")}))
    (env.folder / "headers").write_text("# a comment\nauthorization: Bearer secret-1\nx-a:  b c\n")
    for program in stack.programs:
        program.tree["tracing"]["endpoint"] = f"https://localhost:{collector.port}/"
    await collector.start(ssl=server_context(stack))
    env.spawn(until_the_end(collector))
    await stack.start()
    room_for(stack)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0x10
    await eventually(lambda: len(collector.requests) >= 2, "both programs export")
    for headers, _, _ in collector.requests:
        assert (headers["authorization"], headers["x-a"]) == ("Bearer secret-1", "b c")
    (env.folder / "headers").write_text("authorization: Bearer secret-2\n")
    assert await pub.publish("t/x", "x", 1) == 0x10
    await eventually(lambda: collector.requests[-1][0]["authorization"] == "Bearer secret-2",
                     "the file is read again")
    for program in stack.programs:
        assert "secret" not in stack.log(program)


async def test_a_collector_whose_name_is_not_found(env):
    """What asking for it needs is allowed: the end of the scenario looks at security.seccomp."""
    endpoint = {"tracing": {"endpoint": "http://collector.invalid:4318", "sample": "1"}}
    stack = await env.stack(sidecar=endpoint)
    room_for(stack)
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("t/x", "x", 1) == 0x10

    async def failed():
        return await metric(stack.sidecars[0], "sqmqos_spans_export_failures_total") > 0
    await eventually(failed, "the request fails", 60)
    assert "collector.invalid" in stack.log(stack.sidecars[0])


async def test_a_wrong_configuration_is_refused(env):
    stack = await env.stack(start=False)
    bad = env.folder / "bad"
    bad.write_text("authorization: secret\nno header\n")
    env.check_leftovers = False  # nothing runs
    cases = [({"endpoint": "collector:4318"}, "tracing.endpoint: 'collector:4318' is not"),
             ({"endpoint": "http://"}, "tracing.endpoint: 'http://' is not the address"),
             ({"endpoint": "http://h:1", "headers-file": str(bad)},
              "tracing.headers-file: " + f"{bad}: line 2: not a header"),
             ({"endpoint": "http://h:1", "ca": "/none.pem"}, "tracing.ca: /none.pem: ")]
    for program, more in ((stack.broker, []), (stack.sidecars[0], [
            ({"sample": "1.5"}, "tracing.sample: '1.5' is not a number from 0 to 1")])):
        for tracing, said in cases + more:
            program.tree["tracing"] = tracing
            found = program.check()
            assert said in found and "secret" not in found, found
        program.tree["tracing"] = {"endpoint": "http://h:1"}
        assert program.check() == ""

"""Pushes to programs of others: a function on Flask that reads events by the CloudEvents SDK, one on Node, a
server of HTTP/2 alone, and one that takes what the library of Standard Webhooks verifies."""

import asyncio
import base64
import os
import random
import types

import pushing
import stack as parts
from cloud_events import drawn, sdk
from cluster import eventually, serves
from functions import flask_function, node_function

EVENTS = 60


def key(n):
    return "whsec_" + base64.b64encode(bytes([n]) * 32).decode()


def texts(attributes):
    return {name: v if isinstance(v, str) else getattr(v, "isoformat", lambda v=v: str(v))()
            for name, v in attributes.items() if v is not None}


def coded(data):
    data = data.encode() if isinstance(data, str) else data
    return {"base64": base64.b64encode(data).decode()} if isinstance(data, bytes) else data


async def publish_event(client, topic, http, form, event):
    """As the MQTT binding has it."""
    attributes = texts(event.get_attributes())
    props = {"user": [(name, v) for name, v in attributes.items() if name != "datacontenttype"]}
    if "datacontenttype" in attributes:
        props["content_type"] = attributes["datacontenttype"]
    assert await client.publish(topic, http.to_binary(event, form).body, qos=1, props=props) == 0


async def test_the_sdk_reads_events_in_each_form(env):
    http, form, make = sdk()
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    r = random.Random(seed)
    target = await flask_function(env)
    stack, client = await pushing.begin(
        env, b=pushing.pushed(target, "/event/binary", "ev/#", format="binary"),
        s=pushing.pushed(target, "/event/structured", "ev/#", format="structured"),
        n=pushing.pushed(target, "/batch", "ev/#", batch={"max": 10, "linger": "10ms"}))
    events = {}
    for n in range(EVENTS):
        attributes, data = drawn(r)
        attributes["id"] = f"{n} {attributes['id']}"
        events[attributes["id"]] = event = make(attributes, data)
        await publish_event(client, f"ev/{n}", http, form, event)
    for path in ("binary", "structured", "batch"):
        await eventually(lambda path=path: len(target.of(path)) >= EVENTS, f"seed {seed}: {path} has all events")
        assert len(target.of(path)) == EVENTS, f"seed {seed}: {path}"
        for told in target.of(path):
            event = events[told["attributes"]["id"]]
            expected = texts(event.get_attributes())
            if path == "batch":  # its topic is nowhere else
                assert told["attributes"].pop("sqmqostopic").startswith("ev/"), f"seed {seed}: {told}"
            if "datacontenttype" not in expected:  # where there is no data
                told["attributes"].pop("datacontenttype", None)
            assert told["attributes"] == expected, f"seed {seed}: {path}: {told} is {expected}"
            assert told["data"] == coded(event.get_data()), f"seed {seed}: {path}: {told}"
    assert {told["type"] for told in target.of("structured")} == {"application/cloudevents+json"}
    await pushing.settled(stack)


async def test_messages_that_are_no_events_are_told_of_as_events(env):
    target = await flask_function(env)
    stack, client = await pushing.begin(
        env, b=pushing.pushed(target, "/event/binary", "jobs/#"),
        s=pushing.pushed(target, "/event/structured", "jobs/#", format="structured"))
    bodies = [(b'{"n": 1}', None, {"n": 1}), (b"hi", "text/plain", coded("hi")), (b"\xff", None, coded(b"\xff")), (b"", None, None)]
    for n, (body, content_type, _) in enumerate(bodies):
        props = {"content_type": content_type} if content_type else None
        assert await client.publish(f"jobs/é {n}", body, qos=1, props=props) == 0
    for path in ("binary", "structured"):
        await eventually(lambda path=path: len(target.of(path)) == len(bodies), f"{path} has all")
        for told in target.of(path):
            said = told["attributes"]
            n = int(said["subject"][-1])
            assert said["subject"] == f"jobs/é {n}" and told["data"] == bodies[n][2], told
            assert (said["type"], said["source"]) == ("org.sqmqos.message", "/sqmqos/default") and said["time"], told
            assert said["id"] == told["id"], told
    assert {t["id"] for t in target.of("binary")} == {t["id"] for t in target.of("structured")}
    await pushing.settled(stack)


async def test_a_batch_fails_in_part(env):
    target = await flask_function(env)
    stack, client = await pushing.begin(
        env, q=pushing.pushed(target, "/batch", batch={"max": 50, "linger": "100ms"}, concurrency=1))
    for n in range(20):
        body = b'{"fail": "once"}' if n % 4 == 0 else b"{}"
        assert await client.publish(f"jobs/{n}", body, qos=1, props={"content_type": "application/json"}) == 0
    await pushing.settled(stack)
    times = {}
    for told in target.of("batch"):
        times.setdefault(told["attributes"]["sqmqostopic"], []).append(told["attributes"]["id"])
    assert {topic: len(ids) for topic, ids in times.items()} == {f"jobs/{n}": 2 if n % 4 == 0 else 1 for n in range(20)}
    assert all(len(set(ids)) == 1 for ids in times.values()), times


async def test_replies_are_events(env):
    target = await flask_function(env)
    stack, client = await pushing.begin(
        env, b=pushing.pushed(target, "/reply/binary", "ask/binary", reply={"topic": "done/{topic.2}"}),
        s=pushing.pushed(target, "/reply/structured", "ask/structured", reply={"topic": "done/{topic.2}"}))
    await client.subscribe("done/#", "elsewhere")
    for form in ("binary", "structured"):
        assert await client.publish(f"ask/{form}", b'{"n": 7}', qos=1, props={
            "content_type": "application/json", "correlation_data": b"c1"}) == 0
        reply = await client.receive()
        users = dict(reply.props["user"])
        assert (reply.topic, reply.qos) == (f"done/{form}", 1), reply
        assert reply.payload.replace(b" ", b"") == b'{"re":{"n":7}}' and reply.props["content_type"] == "application/json", reply
        assert reply.props["correlation_data"] == b"c1" and users["type"] == "org.example.reply", reply
        assert "sqmqostopic" not in users and users["id"].endswith("-reply"), reply
    assert not client.inbox


async def test_a_function_on_node_checks_and_replies(env):
    target = await node_function(env, key(1))
    secret = write_secret(env, key(1))
    stack, client = await pushing.begin(env, q=pushing.pushed(
        target, "/{topic.2}?x=1", sign={"secret-file": secret}, reply={"topic": "done"}, headers={"x-tenant": "{space}"}))
    await client.subscribe("done")
    assert await client.publish("jobs/a b", b"hi", qos=2, props={"content_type": "text/plain"}) == 0
    reply = await client.receive()
    assert (reply.payload, reply.props["content_type"]) == (b"jobs/a%20b: HI", "text/plain; charset=utf-8"), reply
    told, = target.told
    assert told["good"] and told["path"] == "/a%20b?x=1" and told["headers"]["x-tenant"] == "default", told
    await pushing.settled(stack)


def write_secret(env, *keys, name="whsec"):
    path = env.folder / name
    path.write_text("\n".join(keys) + "\n")
    path.chmod(0o600)
    return str(path)


async def test_signatures_verify_by_the_library(env):
    """One of its two keys is enough; by another one it takes nothing."""
    first, second, other = await flask_function(env, key(1)), await flask_function(env, key(2)), await flask_function(env, key(3))
    sign = {"secret-file": write_secret(env, key(1), key(2))}
    stack, client = await pushing.begin(
        env, a=pushing.pushed(first, "/verified", sign=sign), b=pushing.pushed(second, "/verified", sign=sign),
        c=pushing.pushed(other, "/verified", sign=sign), n=pushing.pushed(second, "/verified", sign=sign, batch={"max": 10}))
    undertaker = await pushing.letters_of(env, stack)
    assert await client.publish("jobs/é", "héllo".encode(), qos=1, props={"content_type": "text/plain"}) == 0
    await pushing.settled(stack)
    one, = first.told
    assert one["data"] == coded("héllo") and one["id"], one
    assert len(second.told) == 2 and not other.told
    letter = await undertaker.receive()
    said = dict(letter.props["user"])
    assert said["sqmqos-dead-reason"] == "refused" and said["sqmqos-dead-detail"] == "status 401", said


async def test_http2_by_tls_alone(env):
    """nghttpd speaks nothing else, and gives back what it got."""
    parts.write_certificates(env.folder)
    (env.folder / "htdocs").mkdir()
    port = parts.free_port()
    log = open(env.folder / "nghttpd.log", "wb")
    server = await asyncio.create_subprocess_exec(
        "nghttpd", "-v", "--echo-upload", "-a", "127.0.0.1", "-d", env.folder / "htdocs", str(port),
        env.folder / "broker.key", env.folder / "broker.pem", stdout=log, stderr=log)
    env.processes.append(server)
    await eventually(lambda: serves(port), "nghttpd listens")
    queue = pushing.pushed(types.SimpleNamespace(url=f"https://127.0.0.1:{port}"), "/events", http2=True, concurrency=8,
                           reply={"topic": "done"}, **{"ca-file": str(env.folder / "ca.pem")})
    stack, client = await pushing.begin(env, q=queue)
    await client.subscribe("done")
    bodies = {f"body {n}".encode() * 100 for n in range(40)}
    await asyncio.gather(*(client.publish(f"jobs/{n}", body, qos=1) for n, body in enumerate(sorted(bodies))))
    assert {(await client.receive()).payload for _ in bodies} == bodies
    await pushing.settled(stack)

    def logged():
        shown = (env.folder / "nghttpd.log").read_text(errors="replace")
        return shown.count(":path: /events") == shown.count("ce-type: org.sqmqos.message") == len(bodies)
    await eventually(logged, "nghttpd has got each once")

"""Request and reply in one: a request over HTTP is answered by an MQTT client behind a sidecar."""

import asyncio
import base64
import json
import sys
import time

from api import VERSIONS, Api, api_stack, leave, users
from cluster import SPACES, eventually, metric, metrics
from mqtt import V311, Client

REPLY = "$reply/"
OTHER = next(space for space in SPACES if space != "default")
WAITING = "sqmqos_http_waiting"


async def responder(stack, topic="svc/#", client_id="svc", version=5, port=0):
    client = Client(client_id, version)
    await client.connect(stack.ports[port])
    await client.subscribe(topic, qos=2)
    return client


def where(message):
    """Where a reply to the request goes, and what goes with it."""
    topic = message.props["response_topic"]
    assert topic.startswith(REPLY) and "+" not in topic and "#" not in topic, topic
    return topic, {"correlation_data": message.props["correlation_data"]}


async def serve(client, n, qos=1, body=lambda m: b"re:" + m.payload):
    """Answers so many requests; the reason codes of the replies."""
    codes = []
    for _ in range(n):
        got = await client.receive()
        topic, props = where(got)
        codes.append(await client.publish(topic, body(got), qos, props=props))
    return codes


async def ask(api, topic="svc/a", body=b"x", status=200, query="", headers=None):
    answer = await api.ask("POST", f"/v1/request/{topic}{query}", body, headers)
    assert answer.status == status, answer
    return answer


async def waiting(stack, n):
    async def are():
        return await metric(stack.broker, WAITING) == n
    await eventually(are, f"{n} requests that wait")


async def test_a_client_behind_a_sidecar_answers(env):
    stack, _ = await api_stack(env)
    svc = await responder(stack)
    for version in VERSIONS:
        api = Api(stack, version)
        for qos in (0, 1, 2):
            asked = asyncio.create_task(ask(api, "svc/add", b"[1,2]", headers={
                "content-type": "application/json", "sqmqos-tag": "t", "sqmqos-ttl": "60",
                "sqmqos-property": "a=b", "sqmqos-qos": str(qos)}))
            got = await svc.receive()
            assert (got.topic, got.payload, got.qos) == ("svc/add", b"[1,2]", qos), got
            assert got.props["content_type"] == "application/json", got
            assert users(got) == [("tag", "t"), ("a", "b")], got
            topic, props = where(got)
            props |= {"content_type": "text/plain", "user": [("Took", "3 ms"), ("tag", "done")]}
            assert await svc.publish(topic, b"\x003\xff", qos, props=props) in (0, None)
            answer = await asked
            assert answer.version == version and answer.body == b"\x003\xff", answer
            assert answer.headers["content-type"] == "text/plain", answer
            assert answer.headers["sqmqos-property"] == "Took=3%20ms", answer
            assert answer.headers["sqmqos-tag"] == "done", answer
            assert answer.headers["sqmqos-qos"] == str(qos), answer
            assert answer.headers["sqmqos-correlation"] == \
                ":" + base64.b64encode(props["correlation_data"]).decode() + ":", answer
            # a second reply, and one that is late, has no receiver
            if qos > 0:
                assert await svc.publish(topic, b"again", qos, props=props) == 0x10
    asked = asyncio.create_task(ask(api, headers={"sqmqos-correlation": "mine"}))
    got = await svc.receive()
    assert got.qos == 1 and got.props["correlation_data"] == b"mine", got
    await svc.publish(got.props["response_topic"], b"", 1)
    answer = await asked
    assert answer.body == b"" and answer.headers["content-type"] == "application/octet-stream", answer
    assert "sqmqos-correlation" not in answer.headers
    await waiting(stack, 0)
    await leave(svc)


async def test_nobody_answers(env):
    stack, api = await api_stack(env)
    answer = await ask(api, status=409)
    assert answer.problem == "no-subscribers", answer
    svc = await responder(stack)
    began = time.monotonic()
    answer = await ask(api, status=504, query="?timeout=300ms")
    assert answer.problem == "no-reply" and "300 ms" in answer.json["detail"], answer
    assert 0.3 <= time.monotonic() - began, answer
    topic, props = where(await svc.receive())
    assert await svc.publish(topic, b"late", 1, props=props) == 0x10
    assert await svc.publish(topic, b"late", 2, props=props) == 0x10
    assert await svc.publish(topic, b"late", 1, retain=True, props=props) == 0x10
    assert await metric(stack.broker, "sqmqos_retained_messages") == 0
    await waiting(stack, 0)
    await leave(svc)


async def test_what_can_not_be_asked_for(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    for query, status, problem in (
            ("?timeout=0", 422, "invalid-property"), ("?timeout=61s", 422, "invalid-property"),
            ("?timeout=soon", 400, "malformed"), ("?wait=1s", 400, "malformed")):
        assert (await ask(api, status=status, query=query)).problem == problem, query
    for name, value in (("sqmqos-retain", "true"), ("sqmqos-delay", "5s"),
                        ("sqmqos-response-topic", "a")):
        answer = await ask(api, status=422, headers={name: value})
        assert answer.problem == "invalid-property" and "request" in answer.json["detail"], answer
    answer = await ask(api, status=415, headers={
        "content-type": "application/cloudevents-batch+json"}, body=b"[]")
    assert answer.problem == "media-type", answer
    assert (await ask(api, "svc/%2B", status=422)).problem == "invalid-topic"
    assert (await ask(api, "$reply/0.0.00000000000000000000000000000000", status=409)).problem == \
        "no-subscribers"
    answer = await api.ask("GET", "/v1/request/svc/a")
    assert (answer.status, answer.headers["allow"]) == (405, "HEAD, OPTIONS, POST"), answer
    # a key is published once, and so answered once
    key = {"idempotency-key": "k"}
    asked = asyncio.create_task(ask(api, headers=key))
    assert await serve(svc, 1, 2) == [0]
    assert (await asked).body == b"re:x"
    assert (await ask(api, status=409, headers=key)).problem == "conflict"
    await leave(svc)


async def test_an_event_is_asked_and_answered(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "ask", "data": {"a": 1}}
    asked = asyncio.create_task(ask(api, body=json.dumps(event).encode(), headers={
        "content-type": "application/cloudevents+json"}))
    got = await svc.receive()
    assert got.payload == b'{"a": 1}' and ("type", "ask") in users(got), got
    await svc.publish(where(got)[0], b"{}", 1, props={"content_type": "application/json"})
    assert (await asked).json == {}
    await leave(svc)


async def test_nobody_listens_in(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    spy = await env.connect(stack.ports[0], "spy")
    for topic in ("$reply/#", "$reply/+", "$reply", "$share/g/$reply/#"):
        assert await spy.subscribe(topic) == [0x8F], topic
    old = await env.connect(stack.ports[0], "old", version=V311)
    assert await old.subscribe("$reply/#") == [0x80]
    await spy.subscribe("#", "+/#", "$tag/t", qos=1)
    answer = await api.ask("PUT", "/v1/queues/spy", b'{"bindings":[{"filter":"$reply/#"}]}')
    assert answer.status == 422, answer
    asked = asyncio.create_task(ask(api, "svc/a"))
    got = await svc.receive()
    topic, props = where(got)
    await svc.publish(topic, b"for one", 1, props=props | {"user": [("tag", "t")]})
    assert (await asked).body == b"for one"
    await svc.publish(topic, b"late", 1, props=props | {"user": [("tag", "t")]})
    await svc.publish("end", b"end", 1)
    heard = []
    while not heard or heard[-1].topic != "end":
        heard.append(await spy.receive())
    assert {m.topic for m in heard} == {"svc/a", "end"}, heard
    await leave(svc)


async def test_replies_stay_in_their_space(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    asked = asyncio.create_task(ask(api, query="?timeout=20s"))
    topic, props = where(await svc.receive())
    other = Api(stack, space=OTHER)
    answer = await other.publish(topic, b"foreign", {"sqmqos-require-match": "true"}, 409)
    assert answer.problem == "no-subscribers", answer
    wrong = topic[:-1] + ("0" if topic[-1] != "0" else "1")
    assert await svc.publish(wrong, b"guessed", 1, props=props) == 0x10
    assert not asked.done()
    # another client of the space may, also over HTTP
    answer = await api.publish(topic, b"ours")
    assert answer.json["outcome"] == "stored" and answer.json["matched"] == 1, answer
    assert (await asked).body == b"ours"
    await leave(svc)


async def test_who_leaves_waits_no_more(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    for version in VERSIONS:
        process = await asyncio.create_subprocess_exec(*Api(stack, version).argv(
            "POST", "/v1/request/svc/a?timeout=60s", {}, []))
        topic, props = where(await svc.receive())
        assert await metric(stack.broker, WAITING) == 1
        process.terminate()
        await process.wait()
        await waiting(stack, 0)
        assert await svc.publish(topic, b"late", 1, props=props) == 0x10
    await leave(svc)


async def test_a_broker_that_ends_says_so(env):
    stack, api = await api_stack(env)
    svc = await responder(stack)
    asked = asyncio.create_task(ask(api, status=503, query="?timeout=60s"))
    await svc.receive()
    await stack.end(stack.broker)
    answer = await asked
    assert answer.problem == "draining" and "was published" in answer.json["detail"], answer
    await stack.restart(stack.broker)
    svc.abort()


# 64 at a time by threads of a script, which keep their connections.
CROWD = r"""
import http.client, ssl, sys, threading
port, token, ca, rounds = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
wrong = []
def work(k):
    c = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    for i in range(rounds):
        body = f"{k}.{i}"
        c.request("POST", f"/v1/request/svc/{k}?timeout=30s", body.encode(), {
            "authorization": "bearer " + token, "sqmqos-space": "default"})
        answer = c.getresponse()
        got = answer.read()
        if answer.status != 200 or got != b"re:" + body.encode():
            wrong.append((answer.status, body, got))
    c.close()
threads = [threading.Thread(target=work, args=(k,)) for k in range(64)]
[t.start() for t in threads]
[t.join() for t in threads]
print(wrong[:3])
sys.exit(len(wrong) > 0)
"""


async def test_each_of_many_gets_its_own_reply(env):
    stack = await env.stack(sidecars=2, broker={"workers": 2})
    svc = [await responder(stack, "$share/g/svc/#", f"svc-{i}", port=i) for i in range(2)]

    async def answer(client):
        while True:
            got = await client.receive(timeout_s=120)
            topic, props = where(got)
            client.publish_nowait(topic, b"re:" + got.payload, 1, props=props)
    for client in svc:
        env.spawn(answer(client))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CROWD, str(stack.broker_port),
        (stack.folder / "token").read_text().strip(), str(stack.folder / "ca.pem"), "20",
        stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    answered = [line for line in (await metrics(stack.broker)).items() if "request" in line[0]]
    assert any('resource="request",status="200"' in k and v == 1280 for k, v in answered), answered
    await waiting(stack, 0)
    for task in env.tasks:
        task.cancel()
    for client in svc:
        await leave(client)

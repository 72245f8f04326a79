"""The HTTP API: apps and scripts that publish without an MQTT client, asked by curl over HTTP/1.1 and
HTTP/2, with MQTT clients on the other end."""

import asyncio
import base64
import datetime
import http.client
import json
import os
import re
import signal
import ssl
import struct
import sys
import time

import stack as parts
from api import DURABLE, VERSIONS, Api, api_stack, leave, subscriber, users
from cluster import eventually, metric, metrics
from link import HEADERS, PREFACE, SETTINGS, frame, literal
from mqtt import Client
from scenario import scenario

ID = re.compile(r"[a-z2-7]{26}")


async def test_each_quality_of_service_arrives(env):
    stack, _ = await api_stack(env)
    sub = await subscriber(stack, "orders/#")
    for version in VERSIONS:
        api = Api(stack, version)
        seen = set()
        for qos, status, outcome in ((0, 202, "accepted"), (1, 200, "stored"), (2, 200, "stored"),
                                     (3, 200, "stored")):
            answer = await api.publish("orders/17", b"{\"id\":17}", {"sqmqos-qos": qos}, status)
            assert answer.version == version, answer
            told = answer.json
            assert (told["outcome"], told["qos"]) == (outcome, qos), told
            assert qos == 0 or told["matched"] == 1, told
            assert ID.fullmatch(told["id"]), told
            seen.add(told["id"])
            got = await sub.receive()
            assert (got.topic, got.payload, got.qos) == ("orders/17", b"{\"id\":17}", min(qos, 2)), got
            assert users(got) == ([("sqmqos-qos", "3")] if qos == 3 else []), got
        assert len(seen) == 4
        answer = await api.publish("orders/1", b"x", method="PUT")
        assert answer.json["qos"] == 1
        assert (await sub.receive()).payload == b"x"
    await leave(sub)


async def test_headers_become_properties(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "a b/ä/#", "$tag/eu/#")
    await api.publish("a%20b/%C3%A4/", b"{}", {
        "content-type": "application/json", "sqmqos-tag": ["shop, eu", "x"], "sqmqos-ttl": "90s",
        "sqmqos-response-topic": "re/ply", "sqmqos-correlation": ":AAEC/w==:",
        "sqmqos-property": ["Na%20me=v%2C1, x=", "y=a=b"],
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "tracestate": "a=b", "baggage": "k=v"})
    got = await sub.receive()
    assert (got.topic, got.payload) == ("a b/ä/", b"{}"), got
    assert got.props["content_type"] == "application/json" and got.props["payload_format"] == 1
    assert got.props["response_topic"] == "re/ply", got
    assert got.props["correlation_data"] == b"\0\1\2\xff", got
    assert 85 <= got.props["message_expiry"] <= 90, got
    assert users(got) == [
        ("tag", "shop"), ("tag", "eu"), ("tag", "x"), ("Na me", "v,1"), ("x", ""), ("y", "a=b"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        ("tracestate", "a=b"), ("baggage", "k=v")], got
    # the topic as ?topic=, and bytes that are no text
    answer = await api.ask("POST", "/v1/publish?topic=a%20b/%C3%A4/q", b"\xff\0",
                           {"content-type": "text/plain"})
    assert answer.status == 200, answer
    got = await sub.receive()
    assert got.payload == b"\xff\0" and "payload_format" not in got.props, got
    await leave(sub)


async def test_nobody_has_subscribed(env):
    _, api = await api_stack(env)
    answer = await api.publish("nobody/here")
    assert answer.json["outcome"] == "no-subscribers" and answer.json["matched"] == 0, answer
    answer = await api.publish("nobody/here", headers={"sqmqos-require-match": "true"}, status=409)
    assert answer.problem == "no-subscribers"
    answer = await api.publish("nobody/here", headers={"sqmqos-require-match": "true",
                                                       "idempotency-key": "k"}, status=409)
    assert answer.problem == "no-subscribers"


async def test_a_key_is_stored_once_also_after_a_restart(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "orders/#")
    key = {"idempotency-key": '"order-17"'}
    first = await api.publish("orders/17", b"one", key)
    assert first.json["qos"] == 3 and first.json["outcome"] == "stored", first
    assert "idempotency-replayed" not in first.headers
    assert users(await sub.receive()) == [("sqmqos-key", "order-17")]
    again = await Api(stack, "1.1").publish("orders/17", b"one", key)
    assert again.json["outcome"] == "replayed" and again.json["id"] == first.json["id"], again
    assert again.headers["idempotency-replayed"] == "true"
    for topic, body in (("orders/17", b"two"), ("orders/18", b"one")):
        answer = await api.publish(topic, body, key, 422)
        assert answer.problem == "key-reused" and "order-17" not in answer.json["detail"], answer
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    again = await api.publish("orders/17", b"one", {"idempotency-key": "order-17"})
    assert again.json["outcome"] == "replayed" and again.json["id"] == first.json["id"], again
    assert (await api.publish("orders/17", b"two", key, 422)).problem == "key-reused"
    # over MQTT the same key is the same, and a copy's body is not compared
    assert await sub.publish("orders/17", b"three", 2, props={
        "user": [("sqmqos-key", "order-17")]}) in (0, 0x10)
    assert await sub.publish("orders/9", b"nine", 2, props={
        "user": [("sqmqos-key", "order-9")]}) == 0
    assert (await sub.receive()).payload == b"nine"
    again = await api.publish("orders/9", b"other", {"idempotency-key": "order-9"})
    assert again.json["outcome"] == "replayed", again
    await api.publish("orders/last", b"last")
    assert (await sub.receive()).payload == b"last"
    await leave(sub)


async def test_two_with_one_key_at_a_time_are_one(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "orders/#")
    for round in range(5):
        answers = await asyncio.gather(*(api.publish("orders/1", b"x", {"idempotency-key": f"k{round}"})
                                         for _ in range(4)))
        assert sorted(a.json["outcome"] for a in answers) == ["replayed"] * 3 + ["stored"], answers
        assert len({a.json["id"] for a in answers}) == 1, answers
        await sub.receive()
    assert not sub.inbox
    await leave(sub)


async def test_retained_delayed_and_expired(env):
    stack, api = await api_stack(env)
    await api.publish("state/lamp", b"on", {"sqmqos-retain": "true"})
    sub = await subscriber(stack, "state/#", "later/#", "gone/#")
    got = await sub.receive()
    assert (got.topic, got.payload, got.retain) == ("state/lamp", b"on", True), got
    await api.publish("state/lamp", b"", {"sqmqos-retain": "true"})
    assert (await sub.receive()).payload == b""
    began = time.monotonic()
    answer = await api.publish("later/1", b"delayed", {"sqmqos-delay": "1s"}, 202)
    assert answer.json["outcome"] == "scheduled", answer
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    answer = await api.publish("later/2", b"instant", {
        "sqmqos-deliver-at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}, 202)
    assert answer.json["outcome"] == "scheduled", answer
    got = sorted([m.payload for m in await sub.receive_all(2)])
    assert got == [b"delayed", b"instant"] and time.monotonic() - began >= 0.9, got
    answer = await api.publish("later/3", b"past", {"sqmqos-deliver-at": "2020-01-01T00:00:00Z"})
    assert answer.json["outcome"] == "stored"
    assert (await sub.receive()).payload == b"past"
    await leave(sub)


async def test_a_receipt_comes(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "orders/#")
    accounts = await subscriber(stack, "receipts/#", client_id="accounts", qos=1)
    await api.publish("orders/1", b"x", {"idempotency-key": "k", "sqmqos-receipt": "receipts/a"})
    await sub.receive()
    got = await accounts.receive()
    assert got.topic == "receipts/a" and ("sqmqos-outcome", "acknowledged") in users(got), got
    await leave(sub)
    await leave(accounts)


# path, headers, status, problem, what the detail has; of POST with a body
WRONG = [
    ("/v1/publish/a?topic=b", {}, 400, "malformed", "twice"),
    ("/v1/publish/a?tpoic=b", {}, 400, "malformed", "did you mean topic?"),
    ("/v1/publish", {}, 415, "media-type", "?topic="),
    ("/v1/publish/%zz", {}, 400, "malformed", "percent"),
    ("/v1/publish/a%00b", {}, 400, "malformed", "NUL"),
    ("/v1/publish/a", {"sqmqos-qoss": "1"}, 400, "malformed", "did you mean sqmqos-qos?"),
    ("/v1/publish/a", {"sqmqos-key": "k"}, 400, "malformed", "did you mean idempotency-key?"),
    ("/v1/publish/a", {"sqmqos-qos": "4"}, 400, "malformed", "0, 1, 2 or 3"),
    ("/v1/publish/a", {"sqmqos-qos": ["1", "2"]}, 400, "malformed", "twice"),
    ("/v1/publish/a", {"sqmqos-ttl": "soon"}, 400, "malformed", "duration"),
    ("/v1/publish/a", {"sqmqos-deliver-at": "tomorrow"}, 400, "malformed", "instant"),
    ("/v1/publish/a", {"sqmqos-retain": "1"}, 400, "malformed", "true or false"),
    ("/v1/publish/a", {"idempotency-key": '"half'}, 400, "malformed", "RFC 8941"),
    ("/v1/publish/a", {"idempotency-key": "k" * 257}, 400, "malformed", "256 bytes"),
    ("/v1/publish/a", {"idempotency-key": "k", "sqmqos-qos": "1"}, 400, "malformed", "sqmqos-qos: 3"),
    ("/v1/publish/a", {"sqmqos-receipt": "r"}, 400, "malformed", "needs sqmqos-qos: 3"),
    ("/v1/publish/a", {"sqmqos-property": "no-value"}, 400, "malformed", "Name=value"),
    ("/v1/publish/a", {"sqmqos-correlation": ":?:"}, 400, "malformed", "base64"),
    ("/v1/nothing", {}, 404, "not-found", "GET /v1"),
    ("/", {}, 404, "not-found", ""),
    ("/v1", {}, 405, "method", "/v1 takes GET"),
    ("/v1/publish/a", {"accept": "text/html"}, 406, "media-type", "application/json"),
    ("/v1/publish/a", {"content-encoding": "gzip"}, 415, "media-type", "content-encoding"),
    ("/v1/publish/", {}, 422, "invalid-topic", ""),
    ("/v1/publish/a/+/b", {}, 422, "invalid-topic", ""),
    ("/v1/publish/a/%23", {}, 422, "invalid-topic", ""),
    ("/v1/publish/$SYS/a", {}, 422, "invalid-topic", "$SYS"),
    ("/v1/publish/$dead/a", {}, 422, "invalid-topic", "$dead"),
    ("/v1/publish/" + "a/" * 200, {}, 422, "invalid-topic", "levels"),
    ("/v1/publish/a", {"sqmqos-response-topic": "a/#"}, 422, "invalid-topic", "sqmqos-response-topic"),
    ("/v1/publish/a", {"sqmqos-tag": "a/b"}, 422, "invalid-property", "sqmqos-tag"),
    ("/v1/publish/a", {"sqmqos-tag": ",".join(f"t{i}" for i in range(33))}, 422, "invalid-property",
     "32 different tags"),
    ("/v1/publish/a", {"sqmqos-property": "sqmqos-key=k"}, 422, "invalid-property", "sqmqos-"),
    ("/v1/publish/a", {"sqmqos-delay": "9000h"}, 422, "invalid-property", "delay"),
    ("/v1/publish/a", {"idempotency-key": "k", "sqmqos-receipt": "$SYS/r"}, 422, "invalid-property",
     "receipt"),
    ("/v1/publish/a", {f"x-{i}": "v" * 4500 for i in range(8)}, 431, "headers-too-large", "32768"),
]


async def test_what_is_wrong_is_said_as_a_problem(env):
    stack, _ = await api_stack(env)
    secret = b"payload-that-nobody-repeats"
    for version in VERSIONS:
        api = Api(stack, version)
        for path, headers, status, problem, detail in WRONG:
            answer = await api.ask("POST", path, secret, headers)
            assert (answer.status, answer.problem) == (status, problem), (path, headers, answer)
            assert detail in answer.json["detail"], (path, headers, answer)
            assert secret not in answer.body
        answer = await api.ask("DELETE", "/v1/publish/a")
        assert (answer.status, answer.problem) == (405, "method"), answer
        assert answer.headers["allow"] == "HEAD, OPTIONS, POST, PUT", answer
    log = stack.log(stack.broker)
    assert secret.decode() not in log and api.token not in log


async def untaken(stack, context, asked, n):
    """A connection that takes no byte of its 'n' answers; they have begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.broker_port, ssl=context)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)) + asked)
    while n > 0:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        n -= head[3] == HEADERS
    return writer


async def test_answers_that_nobody_takes_are_not_copied(env):
    stack, api = await api_stack(env, limits={"memory": "128Mi"})
    context = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    context.set_alpn_protocols(["h2"])
    head = b"".join(literal(*field) for field in (
        (":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/v1/openapi.json"),
        ("authorization", f"bearer {api.token}")))
    asked = b"".join(frame(HEADERS, 5, 1 + 2 * i, head) for i in range(100))
    writers = [await untaken(stack, context, asked, 100) for _ in range(80)]
    await api.publish("a", b"x" * 1000)  # 503 where memory is short
    for writer in writers:
        writer.transport.abort()


async def test_large_bodies(env):
    stack, _ = await api_stack(env, limits={"max-packet": "1088Ki"}, http={"max-body": "1200Ki"})
    sub = await subscriber(stack, "big/#")
    for version in VERSIONS:
        api = Api(stack, version)
        body = os.urandom(1 << 20)
        assert (await api.publish("big/1", body)).json["outcome"] == "stored"
        assert (await sub.receive()).payload == body
        await api.publish("big/0", b"")
        assert (await sub.receive()).payload == b""
        answer = await api.publish("big/2", bytes(1150 << 10), status=413)
        assert answer.problem == "too-large" and "limits.max-packet" in answer.json["detail"], answer
        answer = await api.publish("big/3", bytes(1210 << 10), status=413)
        assert answer.problem == "too-large", answer
        assert "http.max-body is 1228800" in answer.json["detail"], answer
        assert str(1210 << 10) in answer.json["detail"], answer
    await leave(sub)


async def test_headers_far_above_the_limit(env):
    stack, _ = await api_stack(env)
    for token in (None, ""):
        api = Api(stack, "1.1", token)
        for headers in ({f"x-{i}": "v" * 4500 for i in range(20)}, {f"x-{i}": "v" for i in range(120)}):
            answer = await api.ask("POST", "/v1/publish/a", b"x" * 3000, headers)
            assert (answer.status, answer.problem) == (431, "headers-too-large"), answer
    for version in VERSIONS:
        answer = await Api(stack, version).publish("a", b"x", {f"x-{i}": "v" * 4500 for i in range(7)})
        assert answer.json["outcome"] == "no-subscribers", answer


async def upload(api, *more):
    """A body of 64 MiB, from a file: the status, the bytes that were sent, and the answer."""
    body = api.folder / "large"
    if not body.exists():
        with body.open("wb") as f:
            f.truncate(64 << 20)
    argv = api.argv("POST", "/v1/publish/big/1", {"content-type": ""}, [
        *more, "-w", "\\n%{http_code} %{http_version} %{size_upload} %{content_type}"])
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, error = await process.communicate()
    assert process.returncode == 0, (more, error.decode(), out[-300:])
    text, _, tail = out.rpartition(b"\n")
    status, version, sent, kind = tail.decode().split()
    assert version == api.version and kind == "application/problem+json", (tail, text)
    return int(status), int(sent), json.loads(text)


async def test_bodies_far_above_the_limit_are_not_read(env):
    stack, _ = await api_stack(env, http={"max-body": "1Mi"})
    for version in VERSIONS:
        for token in (None, "wrong", ""):
            api = Api(stack, version, token)
            source = ["--data-binary", f"@{stack.folder / 'large'}"]
            for more in (source, [*source, "-H", "expect:"]):
                status, sent, told = await upload(api, *more)
                assert (status, told["title"]) == (413, "The request is too large"), told
                assert "http.max-body, 1048576" in told["detail"], told
                assert sent < 16 << 20, (version, token, more, sent)
        assert (await Api(stack, version).publish("big/2", b"x")).status == 200


async def test_who_asks(env):
    stack, api = await api_stack(env)
    for version in VERSIONS:
        for token, more in (("", []), ("wrong-token", []), ("", ["-u", "anybody:wrong-token"])):
            answer = await Api(stack, version, token).publish("a", b"x", status=401, more=more)
            assert answer.problem == "unauthorized", answer
            assert answer.headers["www-authenticate"], answer
        answer = await Api(stack, version, "").publish("a", b"x", more=["-u", f"anybody:{api.token}"])
        assert answer.json["outcome"] == "no-subscribers"
        # never in the query
        answer = await api.ask("POST", f"/v1/publish/a?access_token={api.token}", b"x")
        assert answer.problem == "malformed" and api.token not in answer.json["detail"], answer
    assert api.token not in stack.log(stack.broker)


async def test_spaces_and_rules(env):
    stack, _ = await api_stack(env, acl=[{"deny": ["publish"], "topics": ["secret/#"]}])
    api = Api(stack, space=None)
    sub = await subscriber(stack, "#")
    answer = await api.publish("a", b"x", status=400)
    assert answer.problem == "malformed" and "sqmqos-space" in answer.json["detail"], answer
    answer = await api.publish("a", b"x", {"sqmqos-space": "default"})
    assert answer.json["outcome"] == "stored"
    assert (await sub.receive()).topic == "a"
    answer = await api.publish("a", b"x", {"sqmqos-space": "shop"})
    assert answer.json["outcome"] == "no-subscribers"
    answer = await api.publish("a", b"x", {"sqmqos-space": "foreign"}, 403)
    assert answer.problem == "forbidden" and "it may name " in answer.json["detail"], answer
    answer = await api.publish("secret/a", b"x", {"sqmqos-space": "default"}, 403)
    assert answer.problem == "forbidden" and "secret/a" in answer.json["detail"], answer
    parts.add_token(stack.folder / "one", ["default"], "one")
    one = Api(stack, token=(stack.folder / "one").read_text().strip(), space=None)

    async def known():
        return (await one.ask("GET", "/v1")).status == 200
    await eventually(known, "the broker has read the tokens again")
    assert not sub.inbox
    answer = await one.publish("a", b"y")
    assert answer.json["outcome"] == "stored" and (await sub.receive()).payload == b"y", answer
    await leave(sub)


async def test_a_preflight_and_the_methods_of_a_path(env):
    page = "https://app.example"
    stack, api = await api_stack(env, http={"cors-origins": [page, "https://b.example"]})
    for version in VERSIONS:
        nobody = Api(stack, version, "")
        answer = await nobody.ask("OPTIONS", "/v1/publish/a", headers={
            "origin": page, "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,idempotency-key"})
        assert answer.status == 200 and answer.body == b"", answer
        assert answer.headers["allow"] == "HEAD, OPTIONS, POST, PUT", answer
        assert answer.headers["access-control-allow-origin"] == page, answer
        assert "POST" in answer.headers["access-control-allow-methods"], answer
        assert answer.headers["access-control-allow-headers"] == "authorization,idempotency-key"
        assert answer.headers["vary"] == "origin", answer
        answer = await nobody.ask("OPTIONS", "/v1/publish/a", headers={
            "origin": "https://evil.example", "access-control-request-method": "POST"})
        assert answer.status == 200, answer
        assert not [n for n in answer.headers if n.startswith("access-control")], answer
        assert (await nobody.ask("OPTIONS", "/nowhere")).problem == "not-found"
        api = Api(stack, version)
        answer = await api.publish("a", b"x", {"origin": page, "sqmqos-space": "default"})
        assert answer.headers["access-control-allow-origin"] == page, answer
        assert "sqmqos-request-id" in answer.headers["access-control-expose-headers"], answer
        for path, allow in (("/v1", "GET, HEAD, OPTIONS"), ("/v1/openapi.json", "GET, HEAD, OPTIONS"),
                            ("/v1/publish/a", "HEAD, OPTIONS, POST, PUT")):
            answer = await nobody.ask("OPTIONS", path)
            assert (answer.status, answer.headers["allow"]) == (200, allow), answer
            answer = await api.ask("HEAD", path)
            assert answer.status == 200, answer
            if "GET" in allow:
                whole = await api.ask("GET", path)
                assert answer.headers["content-length"] == whole.headers["content-length"], answer
            else:
                assert answer.headers["allow"] == allow, answer


async def test_the_api_says_what_it_has(env):
    stack, api = await api_stack(env, http={"rate": 500})
    about = (await api.ask("GET", "/v1")).json
    described = (await api.ask("GET", "/v1/openapi.json")).json
    assert {r["path"]: set(r["methods"].split(", ")) - {"HEAD", "OPTIONS"} for r in about["resources"]} == \
        {path: {m.upper() for m in row if m != "parameters"} for path, row in described["paths"].items()}
    assert about["limits"]["rate"] == 500 and about["limits"]["body"] == (1088 + 64) << 10, about
    source = parts.ROOT / "broker" / "front" / "http"
    named = set(re.findall(r'^    \{"(sqmqos-[a-z-]+)"', (source / "fields.c").read_text(), re.M)) | \
        {"sqmqos-delay", "sqmqos-order-key", "sqmqos-qos", "sqmqos-receipt", "idempotency-key"}
    shared = described["components"]

    def headers(row):
        rows = [shared["parameters"][p["$ref"].rpartition("/")[2]] if "$ref" in p else p
                for p in row["parameters"]]
        return {p["name"] for p in rows if p["in"] == "header" and not p["name"].startswith("ce-")}
    assert headers(described["paths"]["/v1/publish/{topic}"]) == named
    assert headers(described["paths"]["/v1/events"]["post"]) == named
    page = (parts.ROOT / "docs" / "http.md").read_text()
    slugs = re.findall(r'^\tP\(\w+, "([a-z-]+)"', (source / "problem.h").read_text(), re.M)
    assert {t.rpartition("/")[2] for t in shared["schemas"]["Problem"]["properties"]["type"]["examples"]} == \
        set(slugs)
    outcomes = re.findall(r'^    \[SQ_PUBLISHED_\w+\] = \{"([a-z-]+)"', (source / "mapping.c").read_text(), re.M)
    assert shared["schemas"]["Published"]["properties"]["outcome"]["enum"] == outcomes
    for slug in slugs + outcomes:
        assert f"`{slug}`" in page, slug
    for name in named | {r["path"] for r in about["resources"]}:
        assert f"`{name}`" in page, name


async def test_publishes_above_the_rate_are_refused(env):
    stack, api = await api_stack(env, http={"rate": 3})
    answers = await asyncio.gather(*(api.ask("POST", "/v1/publish/a", b"x")
                                     for _ in range(12)))
    refused = [a for a in answers if a.status != 200]
    assert refused and len(refused) < 12, answers
    for answer in refused:
        assert answer.status == 429 and answer.problem == "rate", answer
        assert "http.rate" in answer.json["detail"], answer

    async def again():
        answer = await api.ask("POST", "/v1/publish/a", b"x")
        return answer.status == 200
    await eventually(again, "the bucket fills again")


async def test_a_full_queue_is_named(env):
    stack, api = await api_stack(env, queue={"max-messages": 2})
    sub = await subscriber(stack, "full/#")
    await sub.disconnect()
    for _ in range(2):
        await api.publish("full/1", b"x", {"sqmqos-qos": "3"})
    answer = await api.publish("full/1", b"x", {"sqmqos-qos": "3"}, 429)
    assert answer.problem == "queue-full" and "sub" in answer.json["queue"], answer
    sub = Client("sub")
    await sub.connect(stack.ports[0], clean=False, props=DURABLE)
    await sub.receive_all(2)
    await leave(sub)


async def test_requests_are_counted(env):
    stack, api = await api_stack(env)
    await api.publish("a", b"x")
    await api.publish("a", b"x", {"sqmqos-qos": "9"}, 400)
    await api.ask("GET", "/nowhere")
    found = await metrics(stack.broker)
    name = "sqmqos_http_requests_total"
    assert found[f'{name}{{resource="publish",status="200"}}'] == 1, found
    assert found[f'{name}{{resource="publish",status="400"}}'] == 1
    assert found[f'{name}{{resource="none",status="404"}}'] == 1
    assert found["sqmqos_http_seconds_count"] == 3


async def test_an_error_of_the_broker_is_in_the_log_with_its_request(env):
    """Every refusal is at debug, where the answer's id finds it again."""
    stack, api = await api_stack(env, log={"level": "debug"})
    answer = await api.publish("a", b"secret-payload", {"idempotency-key": "secret-key", "sqmqos-ttl": "x"},
                               400)
    log = stack.log(stack.broker)
    assert f"request {answer.headers['sqmqos-request-id']} of token:local: 400 malformed" in log
    assert "secret-" not in log


async def test_without_the_api(env):
    stack = await env.stack(sidecars=0, broker={"http": {"enabled": False}})
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--cacert", str(stack.folder / "ca.pem"), "-o", "/dev/null", "-w", "%{http_code}",
        "-H", f"authorization: bearer {Api(stack).token}",
        f"https://127.0.0.1:{stack.broker_port}/v1", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out == b"404", out


# Independent clients.

REQUESTS = """
import sys, requests
url, token, ca = sys.argv[1:]
with requests.Session() as s:
    s.trust_env = False
    s.verify, s.headers["authorization"] = ca, "bearer " + token
    for i in range(3):
        r = s.post(url + "/v1/publish/py/" + str(i), json={"n": i},
                   headers={"idempotency-key": f'"py-{i}"', "sqmqos-space": "default"})
        assert r.status_code == 200 and r.json()["outcome"] == "stored", r.text
    r = s.post(url + "/v1/publish/py/1", json={"n": 1},
               headers={"idempotency-key": '"py-1"', "sqmqos-space": "default"})
    assert r.json()["outcome"] == "replayed" and r.headers["idempotency-replayed"] == "true", r.text
    r = s.post(url + "/v1/publish", params={"topic": "py/4"}, data=b"\\xff", auth=("any", token), headers={"sqmqos-space": "default"})
    assert r.ok, r.text
    r = s.put(url + "/v1/publish/py/%23", data="x")
    assert r.status_code == 422 and r.json()["type"].endswith("/invalid-topic"), r.text
"""

FETCH = """
const [url, token] = process.argv.slice(2);
const headers = {authorization: `bearer ${token}`, "sqmqos-space": "default"};
const check = (ok, what) => { if (!ok) { console.error(what); process.exit(1); } };
for (let i = 0; i < 3; i++) {
	const r = await fetch(`${url}/v1/publish/js/${i}`, {method: "POST", body: JSON.stringify({n: i}),
		headers: {...headers, "content-type": "application/json", "idempotency-key": `"js-${i}"`}});
	const told = await r.json();
	check(r.status === 200 && told.outcome === "stored", told);
}
const more = new Headers(headers);
more.append("sqmqos-tag", "shop");
more.append("sqmqos-tag", "eu");
let r = await fetch(`${url}/v1/publish/js/${encodeURIComponent("a/b c")}`, {method: "PUT", body: "x", headers: more});
check(r.ok, await r.text());
r = await fetch(`${url}/v1/publish/js/x`, {method: "POST", body: "x", headers: {...headers, "sqmqos-qos": "9"}});
check(r.status === 400 && (await r.json()).type.endsWith("/malformed"), r.status);
"""


async def run(env, *argv, **environment):
    process = await asyncio.create_subprocess_exec(
        *map(str, argv), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | environment)
    env.processes.append(process)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()


async def test_requests_of_python_publish(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "py/#")
    (env.folder / "client.py").write_text(REQUESTS)
    await run(env, sys.executable, env.folder / "client.py", api.url, api.token, stack.folder / "ca.pem")
    got = await sub.receive_all(4)
    assert [json.loads(m.payload) for m in got[:3]] == [{"n": 0}, {"n": 1}, {"n": 2}], got
    assert got[0].props["content_type"] == "application/json", got[0]
    assert (got[3].topic, got[3].payload) == ("py/4", b"\xff"), got[3]
    await leave(sub)


async def test_fetch_of_node_publishes(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "js/#")
    (env.folder / "client.mjs").write_text(FETCH)
    await run(env, "node", env.folder / "client.mjs", api.url, api.token,
              NODE_EXTRA_CA_CERTS=str(stack.folder / "ca.pem"))
    got = await sub.receive_all(4)
    assert [json.loads(m.payload) for m in got[:3]] == [{"n": 0}, {"n": 1}, {"n": 2}], got
    assert got[3].topic == "js/a/b c" and ("tag", "eu") in users(got[3]), got[3]
    await leave(sub)


# What the broker can't take.

async def test_a_space_that_has_no_room_for_more(env):
    _, api = await api_stack(env, delayed={"max-messages": 1})
    await api.publish("later/1", b"x", {"sqmqos-delay": "1h"}, 202)
    answer = await api.publish("later/2", b"x", {"sqmqos-delay": "1h"}, 429)
    assert answer.problem == "quota" and "delayed" in answer.json["detail"], answer


async def test_a_full_store_says_so(env):
    env.check_leftovers = False
    stack, api = await api_stack(env, store={"max-size": "16Mi"}, queue={"max-bytes": "256Mi"})
    sub = await subscriber(stack, "full/#")
    await sub.disconnect()
    body = os.urandom(1 << 20)

    async def full():
        answer = await api.ask("POST", "/v1/publish/full/1", body)
        assert answer.status in (200, 503), answer
        return answer if answer.status == 503 else None
    answer = await eventually(full, "the store is full", 60)
    assert answer.problem == "store-stalled", answer


async def test_a_broker_that_ends_says_so(env):
    """Over a connection from before: to others it does not listen any more."""
    env.check_leftovers = False
    stack, api = await api_stack(env, **{"drain-timeout": "5s"})
    sub = await subscriber(stack, "wait/#")
    await sub.disconnect()
    await api.publish("wait/1", b"x")
    connection = http.client.HTTPSConnection(
        "127.0.0.1", stack.broker_port, timeout=20,
        context=ssl.create_default_context(cafile=stack.folder / "ca.pem"))

    def post():
        connection.request("POST", "/v1/publish/a", b"x", {
            "authorization": f"bearer {api.token}", "sqmqos-space": "default"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    assert (await asyncio.to_thread(post))[0] == 200
    stack.broker.signal(signal.SIGTERM)
    await eventually(lambda: "draining" in stack.log(stack.broker), "the broker drains")
    status, told = await asyncio.to_thread(post)
    assert status == 503 and told["type"].endswith("/draining") and told["retry-after"] >= 1, told
    connection.close()
    assert await asyncio.to_thread(stack.broker.process.wait, 30) == 0

"""Every type of problem of the HTTP API, provoked; those for which the broker must be in a state that
takes a scenario of its own say which one has it."""

import asyncio
import json
import re

import stack as parts
from api import Api, api_stack
from cluster import eventually
from pages import assert_named

LINES = {"content-type": "application/x-ndjson"}
EVENTS = {"content-type": "application/cloudevents+json"}
BIG = b"x" * (1 << 20)

# Method, path, headers, body, status, type; in this order.  {lease} is one that is good.
TABLE = [
    ("POST", "/v1/publish/a?topci=b", {}, b"", 400, "malformed"),
    ("POST", "/v1/queues/jobs/receive", {}, b"{", 400, "malformed"),
    ("POST", "/v1/queues/jobs/settle", {}, b'{"ack":[1]}', 400, "malformed"),
    ("PUT", "/v1/queues/a%20b", {}, b"{}", 400, "malformed"),
    ("POST", "/v1/queues/jobs/receive", {"sqmqos-ttl": "1s"}, b"", 400, "malformed"),
    ("POST", "/v1/publish/a", {"authorization": "bearer nonsense"}, b"", 401, "unauthorized"),
    ("POST", "/v1/publish/secret/a", {}, b"", 403, "forbidden"),
    ("PUT", "/v1/queues/closed", {}, b"{}", 403, "forbidden"),
    ("POST", "/v1/queues/deaf/receive", {}, b"", 403, "forbidden"),
    ("GET", "/v1/queues", {"sqmqos-space": "foreign"}, None, 403, "forbidden"),
    ("GET", "/v1/dead-letters/foreign/messages", {"sqmqos-space": "foreign"}, None, 403, "forbidden"),
    ("GET", "/v1/dead-letters/default/messages", {"sqmqos-space": "shop"}, None, 400, "malformed"),
    ("GET", "/v1/dead-letters/default/messages?peek=101", {}, None, 400, "malformed"),
    ("GET", "/v1/dead-letters/default/messages?after=x", {}, None, 400, "malformed"),
    ("POST", "/v1/dead-letters/foreign/redrive", {"sqmqos-space": "foreign"}, b"", 403, "forbidden"),
    ("GET", "/v2", {}, None, 404, "not-found"),
    ("GET", "/v1/queues/none", {}, None, 404, "not-found"),
    ("POST", "/v1/queues/none/receive", {}, b"", 404, "not-found"),
    ("DELETE", "/v1/queues/jobs/bindings/none", {}, None, 404, "not-found"),
    ("DELETE", "/v1/publish/a", {}, None, 405, "method"),
    ("GET", "/v1/queues/jobs/receive", {}, None, 405, "method"),
    ("POST", "/v1/publish/a", {"accept": "text/html"}, b"", 406, "media-type"),
    ("POST", "/v1/queues/jobs/receive", {"accept": "text/html"}, b"", 406, "media-type"),
    ("POST", "/v1/publish/a", {"content-encoding": "gzip"}, b"", 415, "media-type"),
    ("POST", "/v1/publish", {"content-type": "text/plain"}, b"", 415, "media-type"),
    ("PUT", "/v1/queues/jobs", {}, b'{"bindings":[{"filter":"jobs/#"}],"maxMessages":1}', 409, "conflict"),
    ("POST", "/v1/publish?atomic=true", LINES, b'{"topic":"a"}\n{"topic":"#"}', 409, "conflict"),
    ("PUT", "/v1/queues/filed", {}, b"{}", 409, "declared-in-file"),
    ("POST", "/v1/queues/jobs/settle", {}, b'{"ack":["x"],"publish":[{"topic":"a"}]}', 409, "lease-lost"),
    ("POST", "/v1/leases/x/ack", {}, b"", 410, "lease-lost"),
    ("POST", "/v1/publish/nobody", {"sqmqos-require-match": "true"}, b"", 409, "no-subscribers"),
    ("DELETE", "/v1/queues/jobs", {}, None, 409, "not-empty"),
    ("PUT", "/v1/queues/jobs", {"if-match": '"0000000000000001"'}, b"{}", 412, "changed"),
    ("PUT", "/v1/queues/jobs", {"if-none-match": "*"}, b"{}", 412, "changed"),
    ("POST", "/v1/publish/a", {}, BIG, 413, "too-large"),
    ("POST", "/v1/publish", LINES, b'{"topic":"a"}\n' * 4, 413, "too-large"),
    ("POST", "/v1/publish/a/%23", {}, b"", 422, "invalid-topic"),
    ("POST", "/v1/publish/a", {"sqmqos-tag": "a+b"}, b"", 422, "invalid-property"),
    ("PUT", "/v1/queues/jobs", {}, b'{"lease":"1ms"}', 422, "invalid-property"),
    ("POST", "/v1/queues/jobs/receive?wait=1h", {}, b"", 422, "invalid-property"),
    ("POST", "/v1/events", EVENTS, b'{"id":"1"}', 422, "cloudevent-invalid"),
    ("POST", "/v1/publish/jobs/keyed", {"idempotency-key": "k"}, b"other", 422, "key-reused"),
    ("POST", "/v1/publish/full/1", {}, b"x", 429, "queue-full"),
    ("POST", "/v1/subscribers/jobs/test", {}, None, 409, "conflict"),
    ("POST", "/v1/subscribers/none/test", {}, None, 404, "not-found"),
    ("PATCH", "/v1/queues/none", {}, b"{}", 404, "not-found"),
    ("PATCH", "/v1/queues/jobs", {}, b"", 400, "malformed"),
    ("PATCH", "/v1/queues/jobs", {}, b'{"leese":"9s"}', 422, "invalid-property"),
    ("POST", "/v1/request/nobody", {}, b"", 409, "no-subscribers"),
    ("POST", "/v1/publish/a", {"baggage": "x" * 33000}, b"", 431, "headers-too-large"),
]

ELSEWHERE = {
    "elsewhere": ("contract/test_service.c", "a_broker_that_stands_by"),
    "no-reply": ("e2e/test_http_request.py", "nobody_answers"),
    "quota": ("e2e/test_http.py", "a_space_that_has_no_room_for_more"),
    "rate": ("e2e/test_http_batch.py", "the_worst_of_none_is_the_status"),
    "store-stalled": ("e2e/test_http.py", "a_full_store_says_so"),
    "draining": ("e2e/test_http.py", "a_broker_that_ends_says_so"),
}
ELSEWHERE |= {
    "busy": ("e2e/test_http_problems.py", "memory_that_is_short_says_busy"),
    "recovering": ("e2e/test_http_problems.py", "the_first_moments_after_a_start_say_recovering"),
}
# A commit that fails while the broker lives: no disk does that, as one that fails stalls the store.
NOT_PROVOKED = {"failed"}


async def waits(api, n):
    """So many requests of one connection of HTTP/2 that wait, and one more."""
    path = api.folder / "config"
    row = f'url = "{api.url}/v1/queues/idle/receive?wait=5s"\noutput = "/dev/null"\nrequest = "POST"\n'
    path.write_text(row * (n + 1))
    argv = ["curl", "-s", "--http2", "--parallel", "--parallel-max", "100", "--cacert", str(api.folder / "ca.pem"),
            "-H", f"authorization: bearer {api.token}", "-H", "sqmqos-space: default", "-w", "%{http_code}\n",
            "-K", str(path)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return sorted(out.decode().split())


async def test_every_type_is_provoked(env):
    queues = env.folder / "queues"
    queues.mkdir()
    (queues / "filed.yaml").write_text("default:\n  filed:\n    bindings:\n      - filter: filed/#\n")
    stack, api = await api_stack(
        env, subscribers={"dir": str(queues)}, http={"max-batch": 3, "max-body": "512Ki"}, acl=[
            {"allow": ["consume", "manage", "push"], "queues": ["*"]}, {"deny": ["manage"], "queues": ["closed"]},
            {"deny": ["consume"], "queues": ["deaf"]}, {"deny": ["publish"], "topics": ["secret/#"]}])
    space = {"sqmqos-space": "default"}

    async def filed():
        return (await api.ask("GET", "/v1/queues/filed", None, space)).status == 200
    await eventually(filed, "the file is read")
    for name, settings in (("jobs", {"bindings": [{"filter": "jobs/#"}]}), ("idle", {}), ("deaf", {}),
                           ("full", {"bindings": [{"filter": "full/#"}], "maxMessages": 1})):
        answer = await api.ask("PUT", f"/v1/queues/{name}", json.dumps(settings).encode(), space)
        assert answer.status == 201, answer
    await api.publish("jobs/keyed", b"one", {"idempotency-key": "k"})
    for topic in ("jobs/1", "jobs/2", "full/0"):
        await api.publish(topic, b"x")
    seen = set()
    for version in ("1.1", "2"):
        for method, path, headers, body, status, problem in TABLE:
            answer = await Api(stack, version, "" if "authorization" in headers else None).ask(
                method, path, body, space | headers)
            assert (answer.status, answer.problem) == (status, problem), (method, path, answer)
            seen.add(problem)
    codes = await waits(api, 64)
    assert codes == ["204"] * 64 + ["429"], codes
    seen.add("too-many-waiting")
    table = (parts.ROOT / "broker" / "front" / "http" / "problem.h").read_text()
    slugs = set(re.findall(r'^\tP\(\w+, "([a-z-]+)"', table, re.M))
    assert slugs == seen | set(ELSEWHERE) | NOT_PROVOKED, slugs ^ (seen | set(ELSEWHERE) | NOT_PROVOKED)
    assert_named(ELSEWHERE.values())
    await api.ask("POST", "/v1/queues/jobs/receive?ack=receive", None, space)  # or one of QoS 3 is a dead letter
    for name in ("jobs", "full"):
        await api.ask("DELETE", f"/v1/queues/{name}?with-messages=true", None, space)


async def test_memory_that_is_short_says_busy(env):
    stack, api = await api_stack(env, limits={"memory": "24Mi"}, engine="memory")
    slow = await env.connect(stack.ports[0], "slow", ack="none",
                             props={"session_expiry": 600, "receive_maximum": 1})
    await slow.subscribe("t", qos=1)
    for _ in range(400):
        answer = await api.ask("POST", "/v1/publish/t", bytes(64 << 10))
        if answer.status != 200:
            break
    assert (answer.status, answer.problem) == (503, "busy"), answer
    assert "limits.memory" in answer.json["detail"], answer
    await slow.disconnect(0, {"session_expiry": 0})


async def test_the_first_moments_after_a_start_say_recovering(env):
    """A store in memory has lost the session of a client that is on its way back."""
    stack, api = await api_stack(env, engine="memory", session={"recovery-time": "2s"})
    app = await env.connect(stack.ports[0], "app", props={"session_expiry": 600})
    await app.subscribe("t", qos=1)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await stack.linked()
    answer = await api.ask("POST", "/v1/publish/t", b"x")
    assert (answer.status, answer.problem) == (503, "recovering"), answer

    async def taken():
        return (await api.ask("POST", "/v1/publish/t", b"x")).status == 200
    await eventually(taken, "the time is over")
    assert (await app.receive()).payload == b"x"

"""Batches: many messages of one request to the HTTP API, as lines, a list or CloudEvents."""

import json

from api import VERSIONS, Api, api_stack, leave, subscriber, users
from cluster import eventually

NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "application/cloudevents-batch+json"}


def lines(*entries):
    return b"\n".join(json.dumps(e).encode() for e in entries)


def event(id, **more):
    return {"specversion": "1.0", "id": id, "source": "/shop", "type": "order.paid", "data": {"n": 1}} | more


async def post(api, body, headers, status, path="/v1/publish"):
    answer = await api.ask("POST", path, body, headers)
    assert answer.status == status, answer
    return answer


async def test_each_form_arrives_in_its_order(env):
    stack, _ = await api_stack(env)
    sub = await subscriber(stack, "orders/#", "events/#")
    for version in VERSIONS:
        api = Api(stack, version)
        entries = [{"topic": f"orders/{i}", "json": {"id": i}} for i in range(300)]
        for body, headers in ((lines(*entries), NDJSON), (json.dumps(entries).encode(), JSON)):
            told = (await post(api, body, headers, 200)).json
            assert (told["taken"], told["refused"]) == (300, 0), told
            assert all(o["outcome"] == "stored" and o["matched"] == 1 for o in told["outcomes"]), told
            for i in range(300):
                got = await sub.receive()
                assert got.topic == f"orders/{i}" and json.loads(got.payload) == {"id": i}, got
                assert got.props["content_type"] == "application/json"
        body = json.dumps([event("1"), event("2", sqmqostopic="orders/x"), event("3")]).encode()
        for path, topics in (("/v1/events", ("events/order.paid", "orders/x", "events/order.paid")),
                             ("/v1/publish", ("events/order.paid", "orders/x", "events/order.paid")),
                             ("/v1/publish/orders/9", ("orders/9",) * 3)):
            told = (await post(api, body, EVENTS, 200, path)).json
            assert told["taken"] == 3, told
            got = [await sub.receive() for _ in range(3)]
            assert tuple(g.topic for g in got) == topics, got
            assert [dict(users(g))["id"] for g in got] == ["1", "2", "3"], got
    await leave(sub)


async def test_members_are_what_headers_are(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "a/#")
    await post(api, lines(
        {"topic": "a/1", "text": "hi", "type": "text/plain", "ttl": "90s", "tags": ["x", "y z"],
         "properties": [["N", "v"]], "responseTopic": "re", "correlation": ":AAH/:", "orderKey": "o", "qos": 2},
        {"topic": "a/2", "base64": "/wA=", "key": "k1"}), NDJSON, 200)
    got = await sub.receive()
    assert (got.topic, got.payload, got.qos) == ("a/1", b"hi", 2), got
    assert users(got) == [("tag", "x"), ("tag", "y z"), ("N", "v"), ("sqmqos-order-key", "o")], got
    assert got.props["content_type"] == "text/plain" and got.props["response_topic"] == "re", got
    assert got.props["correlation_data"] == b"\0\1\xff" and 85 <= got.props["message_expiry"] <= 90, got
    got = await sub.receive()
    assert (got.topic, got.payload) == ("a/2", b"\xff\0") and users(got) == [("sqmqos-key", "k1")], got
    # the same key again is replayed, and another body refused; the others of the batch are taken
    told = (await post(api, lines({"topic": "a/2", "base64": "/wA=", "key": "k1"},
                                  {"topic": "a/2", "text": "other", "key": "k1"},
                                  {"topic": "a/3", "delay": 1}), NDJSON, 207)).json
    assert [o["outcome"] for o in told["outcomes"]] == ["replayed", "refused", "scheduled"], told
    assert (told["outcomes"][1]["type"], told["outcomes"][1]["pointer"]) == ("key-reused", "/1"), told
    assert (await sub.receive()).topic == "a/3"
    await leave(sub)


async def test_the_worst_of_none_is_the_status(env):
    stack, api = await api_stack(env, acl=[{"deny": ["publish"], "topics": ["secret/#"]}],
                                 http={"rate": 6, "max-batch": 5})
    answer = await post(api, lines({"topic": "a/#"}, {"topic": "secret/a"}, {}), NDJSON, 422)
    assert answer.problem == "invalid-topic" and answer.json["pointer"] == "/0", answer
    assert [o["type"] for o in answer.json["outcomes"]] == ["invalid-topic", "forbidden", "malformed"], answer
    answer = await post(api, lines(*[{"topic": "a"}] * 6), NDJSON, 413)
    assert answer.problem == "too-large" and "http.max-batch" in answer.json["detail"], answer

    async def limited():  # entries count, one by one
        answer = await api.ask("POST", "/v1/publish", lines(*[{"topic": "a"}] * 5), NDJSON)
        return answer.status == 429 and answer.problem == "rate"
    await eventually(limited, "more than http.rate")
    for body, headers, status, problem in (
            (b"[]", JSON, 400, "malformed"), (b"{", JSON, 400, "malformed"), (b"", NDJSON, 400, "malformed"),
            (b"x", {"content-type": "text/plain"}, 415, "media-type"),
            (b"[]", JSON | {"sqmqos-qos": "1"}, 400, "malformed"),
            (b"[]", EVENTS | {"idempotency-key": "k"}, 400, "malformed")):
        answer = await post(api, body, headers, status)
        assert answer.problem == problem, answer


async def test_an_atomic_batch_is_all_or_nothing(env):
    stack, api = await api_stack(env, acl=[{"deny": ["publish"], "topics": ["secret/#"]}])
    sub = await subscriber(stack, "#")
    path = "/v1/publish?atomic=true"
    told = (await post(api, lines({"topic": "a", "qos": 1}, {"topic": "b", "key": "k"}), NDJSON, 200, path)).json
    assert [o["outcome"] for o in told["outcomes"]] == ["stored", "stored"], told
    assert [(await sub.receive()).topic for _ in range(2)] == ["a", "b"]
    for entry, cause in (({"topic": "secret/a"}, "forbidden"), ({"topic": "#"}, "invalid-topic"),
                         ({"topic": "b", "key": "k", "text": "other"}, "key-reused")):
        answer = await post(api, lines({"topic": "a/1"}, {"topic": "a/2", "key": cause}, entry, {"topic": "a/3"}),
                            NDJSON, 409, path)
        assert answer.problem == "conflict" and answer.json["pointer"] == "/2", answer
        assert answer.json["cause"]["type"] == cause, answer
    # nothing of them came, and their keys are free
    told = (await post(api, lines({"topic": "a/2", "key": "forbidden"}), NDJSON, 200, path)).json
    assert told["outcomes"][0]["outcome"] == "stored", told
    assert (await sub.receive()).topic == "a/2" and not sub.inbox
    await leave(sub)


async def test_a_queue_too_small_for_an_atomic_batch(env):
    """The limit that is named is the one that the batch meets."""
    _, api = await api_stack(env, acl=[{"allow": ["consume", "manage"], "queues": ["*"]}])
    settings = b'{"bindings":[{"filter":"small/#"}],"maxMessages":3}'
    assert (await api.ask("PUT", "/v1/queues/small", settings)).status == 201
    batch = lines(*({"topic": "small/a"} for _ in range(4)))
    answer = await post(api, batch, NDJSON, 409, "/v1/publish?atomic=true")
    assert answer.json["pointer"] == "/3" and answer.json["cause"]["type"] == "queue-full", answer
    assert "and 3 come with this one (max-length, or max-messages of a named queue: 3)" in answer.json["detail"], answer
    answer = await api.ask("DELETE", "/v1/queues/small", headers={"sqmqos-space": "default"})
    assert answer.status == 204, answer

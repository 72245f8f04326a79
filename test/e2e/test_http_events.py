"""CloudEvents to the HTTP API: what is sent in either form arrives over MQTT as the standard's
binding has it, the data byte for byte."""

import json

from api import Api, api_stack, leave, subscriber, users

NEEDED = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
DATA = b'{"id":9007199254740993, "price":19.90,"big":123456789012345678901234567890}'


def structured(**more):
    return json.dumps(NEEDED | more).encode()


def binary(**more):
    return {f"ce-{name}": value for name, value in (NEEDED | more).items()}


async def test_both_forms_arrive_as_one(env):
    stack, _ = await api_stack(env)
    sub = await subscriber(stack, "events/#", "p/q")
    for version in ("1.1", "2"):
        api = Api(stack, version)
        body = structured()[:-1] + b', "time":"2018-04-05T17:31:00Z","n":5,"data": ' + DATA + b"}"
        for path, topic in (("/v1/events", "events/order.paid"), ("/v1/publish/p/q", "p/q")):
            for headers, sent in ((STRUCTURED, body),
                                  (binary(time="2018-04-05T17:31:00Z", n="5") | {"content-type": "application/json"}, DATA)):
                answer = await api.ask("POST", path, sent, headers)
                assert answer.status == 200 and answer.json["outcome"] == "stored", answer
                got = await sub.receive()
                assert (got.topic, got.payload) == (topic, DATA), got
                assert got.props["content_type"] == "application/json" and got.props["payload_format"] == 1, got
                assert users(got) == [*NEEDED.items(), ("time", "2018-04-05T17:31:00Z"), ("n", "5")], got
    await leave(sub)


async def test_data_that_is_no_json_is_itself(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "events/#")
    for event, kind, payload in (({"datacontenttype": "image/png", "data_base64": "AP/+"}, "image/png", b"\0\xff\xfe"),
                                 ({"datacontenttype": "text/plain", "data": "é\n"}, "text/plain", "é\n".encode()),
                                 ({"data": "text"}, "application/json", b'"text"'), ({}, None, b"")):
        answer = await api.ask("POST", "/v1/events", structured(**event), STRUCTURED)
        assert answer.status == 200, answer
        got = await sub.receive()
        assert (got.props.get("content_type"), got.payload) == (kind, payload), got
    await leave(sub)


async def test_an_event_says_where_it_goes_and_how(env):
    stack, api = await api_stack(env, http={"events-topic": "ce/{ce.source}/{ce.subject}/x"})
    sub = await subscriber(stack, "ce/#", "own/topic", "$tag/eu/#")
    await api.ask("POST", "/v1/events", b"a", binary(subject="a%2Fb"))
    assert (await sub.receive()).topic == "ce/_shop/a_b/x"
    answer = await api.ask("POST", "/v1/events", structured(
        sqmqostopic="own/topic", sqmqosttl="90s", sqmqostags="shop, eu", sqmqosorderkey="k"), STRUCTURED)
    assert answer.status == 200, answer
    got = await sub.receive()
    assert got.topic == "own/topic" and 85 <= got.props["message_expiry"] <= 90, got
    assert users(got) == [*NEEDED.items(), ("sqmqosorderkey", "k"), ("tag", "shop"), ("tag", "eu"),
                          ("sqmqos-order-key", "k")], got
    answer = await api.ask("POST", "/v1/events", structured(sqmqosdelay=1, sqmqostopic="own/topic"), STRUCTURED)
    assert answer.status == 202 and answer.json["outcome"] == "scheduled", answer
    assert (await sub.receive()).topic == "own/topic"
    await leave(sub)


async def test_an_event_that_is_sent_twice_is_stored_once(env):
    stack, api = await api_stack(env)
    sub = await subscriber(stack, "events/#")
    assured = STRUCTURED | {"sqmqos-qos": "3"}
    first = await api.ask("POST", "/v1/events", structured(data=1), assured)
    assert first.json["outcome"] == "stored" and first.json["qos"] == 3, first
    again = await api.ask("POST", "/v1/events", b"1", binary() | {
        "content-type": "application/json", "sqmqos-qos": "3"})
    assert again.json["outcome"] == "replayed" and again.json["id"] == first.json["id"], again
    answer = await api.ask("POST", "/v1/events", structured(data=2), assured)
    assert answer.status == 422 and answer.problem == "key-reused", answer
    other = await api.ask("POST", "/v1/events", structured(data=1).replace(b'"1"', b'"2"'), assured)
    assert other.json["outcome"] == "stored", other
    assert [users(m)[2] for m in await sub.receive_all(2)] == [("id", "1"), ("id", "2")]
    await leave(sub)


async def test_what_is_no_event_is_named(env):
    stack, api = await api_stack(env)
    for headers, body, status, problem, detail in (
            (STRUCTURED, b"{", 400, "malformed", "byte 1"),
            (STRUCTURED, b"[]", 422, "cloudevent-invalid", "object"),
            (STRUCTURED, structured(id=""), 422, "cloudevent-invalid", '"id"'),
            (STRUCTURED, structured(time="now"), 422, "cloudevent-invalid", '"time"'),
            (STRUCTURED, structured(sqmqosttl="soon"), 422, "cloudevent-invalid", "sqmqosttl"),
            (STRUCTURED, structured(expirytime="2018-04-05T17:31:00Z"), 422, "cloudevent-invalid", "expirytime"),
            (STRUCTURED, structured(sqmqostopic="a/#"), 422, "invalid-topic", ""),
            (STRUCTURED, structured(sqmqostopic="$SYS/a"), 422, "invalid-topic", ""),
            (binary() | {"ce-x": "%zz"}, b"", 422, "cloudevent-invalid", '"x"'),
            ({"ce-id": "1"}, b"", 422, "cloudevent-invalid", '"specversion"'),
            ({"content-type": "application/json"}, b"{}", 422, "cloudevent-invalid", "no event"),
            ({"content-type": "application/cloudevents-batch+json"}, b"[]", 400, "malformed", "empty"),
            ({"content-type": "application/cloudevents+avro"}, b"", 415, "media-type", "cloudevents+json")):
        answer = await api.ask("POST", "/v1/events", body, headers)
        assert (answer.status, answer.problem) == (status, problem), (headers, body, answer)
        assert detail in answer.json["detail"], (headers, body, answer)
    answer = await api.ask("PUT", "/v1/events", structured(), STRUCTURED)
    assert answer.status == 405 and answer.headers["allow"] == "HEAD, OPTIONS, POST", answer


async def test_a_template_that_is_none_is_refused_at_the_start(env):
    stack = await env.stack(start=False, broker={"http": {"events-topic": "events/{ce.id}"}})
    assert "http.events-topic: events/{ce.id}: in braces stands ce.type" in stack.broker.check()
    stack.broker.tree["http"]["events-topic"] = "events/#"
    assert "http.events-topic: events/#" in stack.broker.check()
    stack.broker.tree["http"]["events-topic"] = "events"
    await stack.start()
    assert (await Api(stack).ask("POST", "/v1/events", b"x", binary())).status == 200

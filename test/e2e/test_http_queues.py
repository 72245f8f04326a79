"""Named queues over HTTP: declared, fed by MQTT clients and by HTTP, pulled, settled, with curl,
requests and Node on one side and MQTT clients on the other."""

import asyncio
import json
import shutil
import subprocess
import sys


from api import DURABLE, VERSIONS, api_stack, subscriber, users
from cluster import eventually, metric
from mqtt import Client
from scenario import Skip

RULES = [{"allow": ["consume", "manage"], "queues": ["*"]}]


async def queue_stack(env, *declared, **broker):
    stack, api = await api_stack(env, acl=broker.pop("acl", RULES), **broker)
    for name, settings in declared:
        await call(api, "PUT", f"/v1/queues/{name}", settings, 201)
    return stack, api


async def call(api, method, path, body=None, status=200, headers=None):
    body = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    answer = await api.ask(method, path, body, {"sqmqos-space": "default"} | (headers or {}))
    assert answer.status == status, answer
    return answer


async def receive(api, name="jobs", status=200, headers=None, **query):
    keys = "&".join(f"{k.replace('_', '-')}={v}" if v is not None else k for k, v in query.items())
    answer = await call(api, "POST", f"/v1/queues/{name}/receive?{keys}", None, status, headers)
    return answer if status != 200 or headers or "raw" in query else answer.json["messages"]


async def settle(api, body, status=200, name="jobs"):
    return await call(api, "POST", f"/v1/queues/{name}/settle", body, status)


JOBS = ("jobs", {"bindings": [{"filter": "jobs/#", "qos": 2}], "retry": {"first": "0s", "jitter": False}})


async def test_a_queue_is_declared_shown_changed_and_deleted(env):
    _, api = await queue_stack(env)
    for version in VERSIONS:
        api.version = version
        answer = await call(api, "PUT", "/v1/queues/jobs", JOBS[1], 201)
        tag = answer.headers["etag"]
        told = answer.json
        assert told["name"] == "jobs" and told["etag"] == tag and told["declaredIn"] == "api", told
        assert told["settings"]["bindings"][0]["filter"] == "jobs/#", told
        assert told["settings"]["maxAttempts"] and told["counts"]["ready"] == 0, told
        answer = await call(api, "PUT", "/v1/queues/jobs", JOBS[1], 200)
        assert answer.headers["etag"] == tag, answer
        # what GET shows is what PUT takes
        answer = await call(api, "PUT", "/v1/queues/jobs", told["settings"], 200)
        assert answer.headers["etag"] == tag, answer
        changed = JOBS[1] | {"maxAttempts": 3}
        answer = await call(api, "PUT", "/v1/queues/jobs", changed, 200, {"if-match": tag})
        assert answer.headers["etag"] != tag and answer.json["settings"]["maxAttempts"] == 3, answer
        answer = await call(api, "PUT", "/v1/queues/jobs", changed, 412, {"if-match": tag})
        assert answer.problem == "changed", answer
        await call(api, "PUT", "/v1/queues/jobs", changed, 200, {"if-match": "*"})
        await call(api, "PUT", "/v1/queues/none", changed, 412, {"if-match": "*"})
        answer = await call(api, "PUT", "/v1/queues/jobs", changed, 412, {"if-none-match": "*"})
        assert answer.problem == "changed", answer
        await call(api, "PUT", "/v1/queues/other", {}, 201, {"if-none-match": "*"})
        listed = (await call(api, "GET", "/v1/queues")).json
        assert [q["name"] for q in listed["queues"]] == ["jobs", "other"] and listed["next"] is None, listed
        listed = (await call(api, "GET", "/v1/queues?after=jobs")).json
        assert [q["name"] for q in listed["queues"]] == ["other"], listed
        answer = await call(api, "PUT", "/v1/queues/jobs/bindings/more", {"filter": "more/#"}, 201)
        assert len(answer.json["settings"]["bindings"]) == 2, answer
        await call(api, "PUT", "/v1/queues/jobs/bindings/more", {"filter": "more/#"}, 200)
        await call(api, "DELETE", "/v1/queues/jobs/bindings/more", None, 204)
        answer = await call(api, "DELETE", "/v1/queues/jobs/bindings/more", None, 404)
        assert answer.problem == "not-found", answer
        for name in ("jobs", "other"):
            await call(api, "DELETE", f"/v1/queues/{name}", None, 204)
            answer = await call(api, "GET", f"/v1/queues/{name}", None, 404)
            assert answer.problem == "not-found", answer


async def test_a_patch_changes_what_it_names(env):
    _, api = await queue_stack(env, JOBS)
    for version in VERSIONS:
        api.version = version
        before = (await call(api, "GET", "/v1/queues/jobs")).json["settings"]
        answer = await call(api, "PATCH", "/v1/queues/jobs", {"maxAttempts": 3, "retry": {"max": "5m"}})
        assert answer.json["settings"] == before | {
            "maxAttempts": 3, "retry": before["retry"] | {"max": "5m"}}, answer
        tag = answer.headers["etag"]
        answer = await call(api, "PATCH", "/v1/queues/jobs", {"maxAttempts": None, "retry": None}, 200,
                            {"if-match": tag})
        assert answer.json["settings"]["maxAttempts"] == 20, answer
        assert answer.json["settings"]["retry"]["first"] == "1s", answer
        assert answer.json["settings"]["bindings"] == before["bindings"], answer
        answer = await call(api, "PATCH", "/v1/queues/jobs", {}, 412, {"if-match": tag})
        assert answer.problem == "changed", answer
        answer = await call(api, "PATCH", "/v1/queues/jobs", {"bindings": [{"filter": "x"}, {"filter": "y"}]})
        assert [b["filter"] for b in answer.json["settings"]["bindings"]] == ["x", "y"], answer
        answer = await call(api, "PATCH", "/v1/queues/jobs", {"order": "topic", "onGiveUp": "block"})
        assert (await call(api, "PATCH", "/v1/queues/jobs", {"order": "none"}, 422)).problem == "invalid-property"
        await call(api, "PUT", "/v1/queues/jobs", JOBS[1])


HOOK = {"url": "https://hooks.example.com/T0/{topic.1}", "format": "raw", "validate": "off"}


async def test_a_queue_is_a_subscriber(env):
    _, api = await queue_stack(env, JOBS, acl=[*RULES, {"allow": ["push"], "queues": ["jobs"]}])
    answer = await call(api, "PATCH", "/v1/subscribers/jobs", {"push": HOOK})
    told = (await call(api, "GET", "/v1/queues/jobs")).json
    assert told["settings"]["push"].items() >= HOOK.items(), told
    assert told == (await call(api, "GET", "/v1/subscribers/jobs")).json, told
    assert [q["name"] for q in (await call(api, "GET", "/v1/subscribers")).json["queues"]] == ["jobs"]
    # what GET shows is what PUT takes
    answer = await call(api, "PUT", "/v1/subscribers/jobs", told["settings"])
    assert answer.headers["etag"] == told["etag"], answer
    answer = await call(api, "PATCH", "/v1/queues/jobs", {"push": {"sign": {"secretFile": "/etc/passwd"}}}, 422)
    assert answer.problem == "invalid-property" and "secret" in answer.json["detail"], answer
    await call(api, "PUT", "/v1/subscribers/seen", {}, 201)
    answer = await call(api, "PUT", "/v1/subscribers/seen", {"push": HOOK}, 403)
    assert "not authorized to push seen" in answer.json["detail"], answer
    answer = await call(api, "POST", "/v1/subscribers/seen/test", None, 403)
    await call(api, "POST", "/v1/subscribers/jobs/pause", None, 204)
    assert (await call(api, "GET", "/v1/queues/jobs")).json["paused"]
    await call(api, "POST", "/v1/subscribers/jobs/resume", None, 204)
    await call(api, "PATCH", "/v1/subscribers/jobs", {"push": None})
    answer = await call(api, "POST", "/v1/subscribers/jobs/test", None, 409)
    assert answer.problem == "conflict", answer
    for name in ("jobs", "seen"):
        await call(api, "DELETE", f"/v1/subscribers/{name}", None, 204)


async def test_messages_of_mqtt_and_http_are_pulled_and_settled(env):
    stack, api = await queue_stack(env, JOBS)
    client = Client("pub")
    await client.connect(stack.ports[0])
    for version in VERSIONS:
        api.version = version
        await client.publish("jobs/1", b'{"n": 19.90}', qos=2,
                             props={"content_type": "application/json", "user": [("tag", "eu"), ("a", "b")]})
        await api.publish("jobs/2", b"two", {"idempotency-key": f"k{version}", "content-type": "text/plain"})
        await api.publish("jobs/3", b"\xff\0")
        got = []
        while len(got) < 3:
            got += await receive(api, max=5, wait="10s")
        assert [m["topic"] for m in got] == ["jobs/1", "jobs/2", "jobs/3"], got
        assert got[0]["json"] == {"n": 19.9} and got[0]["tags"] == ["eu"], got
        assert got[0]["properties"] == [["a", "b"]] and got[0]["type"] == "application/json", got
        assert got[1]["text"] == "two" and got[1]["key"] == f"k{version}" and got[1]["qos"] == 3, got
        assert got[2]["base64"] == "/wA=" and got[2]["attempt"] == 1 and got[2]["enqueued"], got
        assert len({m["id"] for m in got}) == len({m["lease"] for m in got}) == 3, got
        told = (await settle(api, {"ack": [got[0]["lease"]], "nack": [got[1]["lease"]],
                                   "extend": [{"lease": got[2]["lease"], "by": "60s"}]})).json
        assert told == {"settled": 3}, told
        again, = await receive(api, wait="10s")
        assert again["id"] == got[1]["id"] and again["attempt"] == 2, again
        told = (await settle(api, {"ack": [again["lease"], got[1]["lease"], got[2]["lease"]]}, 207)).json
        assert told["failed"] == [{"lease": got[1]["lease"], "type": "lease-lost"}], told
        assert told["settled"] == 2, told
        await receive(api, status=204)
    await client.disconnect()


async def test_the_short_forms_of_a_lease(env):
    stack, api = await queue_stack(env, JOBS)
    undertaker = await subscriber(stack, "$dead/#", client_id="undertaker")
    for version in VERSIONS:
        api.version = version
        await api.publish("jobs/1", b"x")
        message, = await receive(api, wait="10s")
        lease = message["lease"]
        await call(api, "POST", f"/v1/leases/{lease}/extend?by=60s", None, 204)
        await call(api, "POST", f"/v1/leases/{lease}/extend", {"by": 60}, 204)
        answer = await call(api, "POST", f"/v1/leases/{lease}/extend", None, 400)
        assert answer.problem == "malformed" and "by is missing" in answer.json["detail"], answer
        await call(api, "POST", f"/v1/leases/{lease}/nack?untried=true&delay=0", None, 204)
        message, = await receive(api, wait="10s")
        assert message["attempt"] == 1, message
        answer = await call(api, "POST", f"/v1/leases/{lease}/ack", None, 410)
        assert answer.problem == "lease-lost", answer
        await call(api, "POST", f"/v1/leases/{message['lease']}/ack", None, 204)
        answer = await call(api, "POST", "/v1/leases/nonsense/ack", None, 410)
        assert answer.problem == "lease-lost", answer
        await api.publish("jobs/1", b"x")
        message, = await receive(api, wait="10s")
        await call(api, "POST", f"/v1/leases/{message['lease']}/reject", None, 204)
        await receive(api, status=204)
        letter = await undertaker.receive()
        assert dict(users(letter))["sqmqos-dead-reason"] == "rejected", letter
    await undertaker.disconnect(props={"session_expiry": 0})


async def test_a_message_as_headers_and_a_body(env):
    _, api = await queue_stack(env, JOBS)
    for version in VERSIONS:
        api.version = version
        await api.publish("jobs/a%20b", b"\xff\0hi", {
            "content-type": "image/png", "sqmqos-tag": "x, y", "sqmqos-property": "N%20m=v%2C1",
            "idempotency-key": f'"k {version}"', "sqmqos-order-key": "o", "sqmqos-response-topic": "re",
            "sqmqos-correlation": ":/w==:"})
        answer = await receive(api, raw=None, max=1, wait="10s", headers={"accept": "*/*"})
        told = answer.headers
        assert answer.body == b"\xff\0hi" and told["content-type"] == "image/png", answer
        assert told["sqmqos-topic"] == "jobs%2Fa%20b" and told["sqmqos-attempt"] == "1", told
        assert told["sqmqos-property"] == "N%20m=v%2C1" and told["sqmqos-order-key"] == "o", told
        assert told["idempotency-key"] == f'"k {version}"' and told["sqmqos-qos"] == "3", told
        assert told["sqmqos-correlation"] == ":/w==:" and told["sqmqos-response-topic"] == "re", told
        await call(api, "POST", f"/v1/leases/{told['sqmqos-lease']}/ack", None, 204)
        answer = await receive(api, status=204, raw=None)
        assert answer.body == b"", answer
    answer = await receive(api, status=400, raw=None, max=2)
    assert answer.problem == "malformed" and "max=1" in answer.json["detail"], answer


async def test_messages_as_cloud_events(env):
    _, api = await queue_stack(env, ("jobs", {"bindings": [{"filter": "#"}]}))
    sent = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "paid", "subject": "s", "data": {"n": 1}}
    for version in VERSIONS:
        api.version = version
        await api.ask("POST", "/v1/events", json.dumps(sent).encode(),
                      {"content-type": "application/cloudevents+json"})
        await api.publish("plain/a", b"hi", {"content-type": "text/plain"})
        answer = await receive(api, wait="10s", headers={"accept": "application/cloudevents-batch+json"})
        assert answer.headers["content-type"] == "application/cloudevents-batch+json", answer
        event, plain = answer.json
        assert {k: v for k, v in event.items() if not k.startswith("sqmqos")} == \
            sent | {"datacontenttype": "application/json"}, event
        assert event["sqmqostopic"] == "events/paid" and event["sqmqosattempt"] == 1, event
        assert plain["type"] == "io.sqmqos.message" and plain["subject"] == plain["sqmqostopic"] == "plain/a"
        assert plain["data"] == "hi" and plain["source"] == "/topics/plain%2Fa", plain
        await settle(api, {"ack": [event["sqmqoslease"], plain["sqmqoslease"]]})
    answer = await receive(api, status=406, headers={"accept": "text/html"})
    assert answer.problem == "media-type", answer


async def test_a_poll_waits_and_its_caller_may_leave(env):
    stack, api = await queue_stack(env, JOBS, http={"write-timeout": "1s", "max-wait": "30s"})
    answer = await receive(api, status=422, wait="31s")
    assert answer.problem == "invalid-property" and "http.max-wait" in answer.json["detail"], answer

    async def waiting(n):
        return await metric(stack.broker, "sqmqos_http_waiting") == n
    for version in VERSIONS:
        api.version = version
        # longer than http.write-timeout: that is for answers
        poll = asyncio.create_task(receive(api, wait="25s"))
        await eventually(lambda: waiting(1), "the poll waits")
        await asyncio.sleep(2.5)
        assert not poll.done()
        await api.publish("jobs/1", b"x")
        message, = await poll
        await settle(api, {"ack": [message["lease"]]})
        await receive(api, status=204, wait="300ms")
        # one that has left gets nothing: the next one does, at the first attempt
        gone = await asyncio.create_subprocess_exec(*api.argv(
            "POST", "/v1/queues/jobs/receive?wait=25s", {"sqmqos-space": "default"}, []))
        await eventually(lambda: waiting(1), "the poll waits")
        gone.kill()
        await gone.wait()
        await api.publish("jobs/1", b"y")
        message, = await receive(api, wait="10s")
        assert message["text"] == "y" and message["attempt"] == 1, message
        await settle(api, {"ack": [message["lease"]]})
        await eventually(lambda: waiting(0), "nobody waits")


async def test_a_settle_publishes_in_the_same_transaction(env):
    stack, api = await queue_stack(env, JOBS, ("done", {"bindings": [{"filter": "done/#", "qos": 2}]}),
                                   acl=[*RULES, {"deny": ["publish"], "topics": ["secret/#"]}])
    for version in VERSIONS:
        api.version = version
        await api.publish("jobs/1", b"1")
        await api.publish("jobs/2", b"2")
        one, two = await receive(api, wait="10s")
        body = {"ack": [one["lease"]], "publish": [{"topic": "done/1", "json": {"of": 1}, "key": f"{version}-1"}]}
        told = (await settle(api, body)).json
        assert told["settled"] == 1 and told["published"][0]["outcome"] == "stored", told
        # the same again is answered as the first time
        answer = await settle(api, body)
        assert answer.headers["idempotency-replayed"] == "true" and answer.json == told, answer
        answer = await settle(api, body | {"publish": [{"topic": "done/other"}]}, 422)
        assert answer.problem == "key-reused", answer
        # with a lease that is lost, or a message that is refused, nothing happens
        answer = await settle(api, {"ack": [two["lease"], "nonsense"], "publish": [{"topic": "done/2"}]}, 409)
        assert answer.problem == "lease-lost" and answer.json["pointer"] == "/ack/1", answer
        answer = await settle(api, {"ack": [two["lease"]], "publish": [{"topic": "done/2"}, {"topic": "secret/2"}]}, 403)
        assert answer.problem == "forbidden" and answer.json["pointer"] == "/publish/1", answer
        got = await receive(api, "done", wait="10s")
        assert [(m["topic"], m["json"]) for m in got] == [("done/1", {"of": 1})], got
        await settle(api, {"ack": [two["lease"]]})
        await settle(api, {"ack": [got[0]["lease"]]}, name="done")


async def test_dead_letters_are_published_again(env):
    stack, api = await queue_stack(env, JOBS, acl=[*RULES, {"deny": ["publish"], "topics": ["secret/#"]}])
    for version in VERSIONS:
        api.version = version
        for topic in ("jobs/1", "jobs/2", "jobs/3"):
            await api.publish(topic, b"x", {"idempotency-key": f"{version}-{topic}"})
        got = await receive(api, wait="10s")
        while len(got) < 3:
            got += await receive(api, wait="10s")
        await settle(api, {"reject": [m["lease"] for m in got]})

        async def redrive(body, status=200):
            """Answers of 429 are those of the one rate: again."""
            answers = []

            async def done():
                answers.append(await api.ask("POST", "/v1/dead-letters/default/redrive", json.dumps(body).encode()))
                return answers[-1].status != 429
            await eventually(done, "it is this one's turn")
            assert answers[-1].status == status, answers[-1]
            return answers[-1]
        assert (await redrive({"filter": "other/#"})).json["done"] == 0
        assert (await redrive({"reason": "expired"})).json["done"] == 0
        told = (await redrive({"filter": "jobs/1", "reason": "rejected"})).json
        assert (told["done"], told["stayed"], told["more"]) == (1, 0, False), told
        place = (await letters(api, peek=1)).json["next"]
        assert (await redrive({"after": place, "filter": "jobs/2"})).json["done"] == 0, "it is before that"
        told = (await redrive({"max": 1})).json
        assert told["done"] == 1 and told["more"] and told["next"], told
        assert [m["topic"] for m in (await letters(api, after=told["next"])).json["messages"]] == ["jobs/3"]
        told = (await redrive({"to": "jobs/elsewhere", "after": told["next"]})).json
        assert told["done"] == 1, told
        got = []
        while len(got) < 3:
            got += await receive(api, wait="10s")
        assert [m["topic"] for m in got] == ["jobs/1", "jobs/2", "jobs/elsewhere"], got
        assert all(m["attempt"] == 1 and m["text"] == "x" for m in got), got
        await settle(api, {"ack": [m["lease"] for m in got]})
        for body, status, problem in (({"to": "secret/a"}, 403, "forbidden"), ({"to": "#"}, 422, "invalid-topic"),
                                      ({"filter": "a#"}, 422, "invalid-topic"), ({"after": "x"}, 400, "malformed"),
                                      ({"maxx": 1}, 400, "malformed"), ({"max": 1001}, 400, "malformed")):
            answer = await redrive(body, status)
            assert answer.problem == problem, answer
    answer = await api.ask("POST", "/v1/dead-letters/foreign/redrive", b"{}", {"sqmqos-space": "foreign"})
    assert answer.status == 403 and answer.problem == "forbidden", answer


async def test_times_and_names_have_bounds(env):
    _, api = await queue_stack(env, JOBS)
    for lease in ("0", "999ms", "43201s", "1000h"):
        answer = await receive(api, status=422, lease=lease)
        assert answer.problem == "invalid-property" and "1s to 12h" in answer.json["detail"], answer
    await call(api, "POST", "/v1/queues/jobs/receive", {"lease": 43201}, 422)
    await receive(api, status=204, lease="12h")
    await api.publish("jobs/1", b"x")
    message, = await receive(api, wait="10s", lease="60s")
    lease = message["lease"]
    for body in ({"extend": [{"lease": lease, "by": "13h"}]}, {"nack": [{"lease": lease, "delay": "13h"}]}):
        answer = await settle(api, body, 422)
        assert answer.problem == "invalid-property" and "12h" in answer.json["detail"], answer
    await call(api, "POST", f"/v1/leases/{lease}/nack?delay=13h", None, 422)
    await call(api, "POST", f"/v1/leases/{lease}/extend?by=13h", None, 422)
    await settle(api, {"ack": [lease]})
    for name in (".", "%2e%2e"):
        answer = await call(api, "PUT", f"/v1/queues/{name}", {}, 400)
        assert answer.problem == "malformed", answer


async def letters(api, status=200, space="default", **query):
    keys = "&".join(f"{k}={v}" for k, v in query.items())
    answer = await api.ask("GET", f"/v1/dead-letters/{space}/messages?{keys}")
    assert answer.status == status, answer
    return answer


async def all_letters(api, **query):
    """Page after page; how many pages there were."""
    got, after, pages = [], "", 0
    while after is not None:
        told = (await letters(api, **query, after=after)).json
        got += told["messages"]
        after, pages = told["next"], pages + 1
    return got, pages


async def test_dead_letters_are_looked_at(env):
    """In memory, and those that only the store has: nobody takes one by it."""
    n, size = 30, 200_000
    stack, api = await queue_stack(env, JOBS, store={"journal-size": "8Mi", "cache-size": "2Mi"})
    assert (await letters(api)).json == {"messages": [], "next": None}
    for i in range(n):
        await api.publish(f"jobs/{i}", b"x" * size, {"idempotency-key": str(i), "sqmqos-property": "a=b"})
        await api.publish(f"jobs/{i}", b'{"n":1}', {"content-type": "application/json"})
    got = []
    while len(got) < 2 * n:
        some = await receive(api, wait="10s", max=20)
        await settle(api, {"reject": [m["lease"] for m in some]})
        got += some
    of_key = {m["key"]: m["id"] for m in got if "key" in m}
    for version, again in zip((*VERSIONS, VERSIONS[0]), (False, False, True)):
        api.version = version
        if again:
            await stack.kill(stack.broker)
            await stack.restart(stack.broker)
        for query, least in (({"peek": 7}, 2 * n // 7), ({"peek": 100}, 2), ({}, 2 * n // 20)):
            got, pages = await all_letters(api, **query)
            assert pages >= least, (query, pages)
            assert [(m["queue"], m["topic"]) for m in got] == [
                *(("dead~default", f"jobs/{i}") for i in range(n)),
                *(("dead-others~default", f"jobs/{i}") for i in range(n))], got
            assert {m["reason"] for m in got} == {"rejected"} and {m["from"] for m in got} == {"queue~default~jobs"}
            for of in (got[:n], got[n:]):
                assert [m["seq"] for m in of] == sorted({m["seq"] for m in of})
            first, other = got[0], got[n]
            assert first["text"] == "x" * size and first["qos"] == 3
            assert first["properties"] == [["a", "b"]], first["properties"]
            assert {m["key"]: m["id"] for m in got[:n]} == of_key and first["died"].endswith("Z")
            assert other["json"] == {"n": 1} and other["qos"] == 1 and "lease" not in other, other
    undertaker = await subscriber(stack, "$dead/#", client_id="undertaker")
    for _ in range(2 * n):
        await undertaker.receive()
    await undertaker.disconnect(props={"session_expiry": 0})
    assert (await letters(api)).json == {"messages": [], "next": None}


async def test_dead_letters_are_shown_to_who_may_subscribe_to_them(env):
    for rule, said in (({"deny": ["subscribe"], "topics": ["secret/#"]}, "not authorized to subscribe to $dead/#"),
                       ({"deny": ["consume"], "queues": ["$dead"]}, "not authorized to consume $dead")):
        _, api = await queue_stack(env, acl=[*RULES, rule])
        answer = await letters(api, 403)
        assert answer.problem == "forbidden" and said in answer.json["detail"], answer
        answer = await letters(api, 403, "foreign")
        assert answer.problem == "forbidden", answer


async def test_looked_at_paused_and_purged(env):
    _, api = await queue_stack(env, JOBS)
    for i in range(3):
        await api.publish(f"jobs/{i}", b"x")
    await call(api, "POST", "/v1/queues/jobs/pause", None, 204)
    assert (await call(api, "GET", "/v1/queues/jobs")).json["paused"] is True
    await receive(api, status=204, wait="300ms")
    await call(api, "POST", "/v1/queues/jobs/resume", None, 204)
    told = (await call(api, "GET", "/v1/queues/jobs/messages?peek=2")).json
    assert [m["topic"] for m in told["messages"]] == ["jobs/0", "jobs/1"] and told["next"], told
    assert all("lease" not in m and m["seq"] and m["text"] == "x" for m in told["messages"]), told
    told = (await call(api, "GET", f"/v1/queues/jobs/messages?after={told['next']}")).json
    assert [m["topic"] for m in told["messages"]] == ["jobs/2"] and told["next"] is None, told
    first, = await receive(api, max=1, wait="10s")
    assert first["topic"] == "jobs/0", first
    answer = await call(api, "DELETE", "/v1/queues/jobs", None, 409)
    assert answer.problem == "not-empty", answer
    told = (await call(api, "POST", "/v1/queues/jobs/purge")).json
    assert told == {"purged": 2}, told
    await settle(api, {"ack": [first["lease"]]})
    await receive(api, status=204)
    await api.publish("jobs/9", b"x")
    await call(api, "DELETE", "/v1/queues/jobs?with-messages=true", None, 204)


async def test_pullers_and_mqtt_clients_share(env):
    stack, api = await queue_stack(env, JOBS)
    client = Client("member")
    await client.connect(stack.ports[0], clean=False, props=DURABLE)
    await client.subscribe("$queue/jobs", qos=2)
    n = 40
    for i in range(n):
        await api.publish(f"jobs/{i}", str(i).encode())
    pulled = []

    async def all_there():
        got = await api.ask("POST", "/v1/queues/jobs/receive?max=5", None, {"sqmqos-space": "default"})
        if got.status == 200:
            messages = got.json["messages"]
            pulled.extend(int(m["text"]) for m in messages)
            await settle(api, {"ack": [m["lease"] for m in messages]})
        while client.inbox:
            pulled.append(int((await client.receive()).payload))
        return len(pulled) >= n
    await eventually(all_there, "each message comes to one of them")
    assert sorted(pulled) == list(range(n)), sorted(pulled)
    await client.disconnect(props={"session_expiry": 0})


PYTHON = """
import requests
url, token, ca = {url!r}, {token!r}, {ca!r}
s = requests.Session()
s.trust_env = False
s.verify, s.headers["Authorization"] = ca, "Bearer " + token
s.headers["sqmqos-space"] = "default"
r = s.post(url + "/v1/queues/jobs/receive", json=dict(max=10, wait="10s"), timeout=30)
assert r.status_code == 200, r.text
m = r.json()["messages"]
r = s.post(url + "/v1/queues/jobs/settle", json=dict(ack=[m[0]["lease"]]))
assert r.status_code == 200 and r.json() == dict(settled=1), r.text
assert s.post(url + "/v1/queues/jobs/receive").status_code == 204
print("done")
"""

NODE = """
const url = {url!r}, headers = {{authorization: "Bearer " + {token!r}, "sqmqos-space": "default"}};
const ask = (path, body) => fetch(url + path, {{method: "POST", headers, body: JSON.stringify(body)}});
const got = await ask("/v1/queues/jobs/receive", {{max: 10, wait: "10s"}});
if (got.status !== 200) throw new Error(await got.text());
const [m] = (await got.json()).messages;
const done = await ask(`/v1/leases/${{m.lease}}/ack`, {{}});
if (done.status !== 204) throw new Error(await done.text());
if ((await ask("/v1/queues/jobs/receive", {{}})).status !== 204) throw new Error("not empty");
console.log("done");
"""


async def runs(argv, env=None):
    process = await asyncio.create_subprocess_exec(*argv, env=env, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    assert process.returncode == 0 and b"done" in out, out.decode()


async def test_requests_of_python_and_fetch_of_node(env):
    stack, api = await queue_stack(env, JOBS)
    names = {"url": api.url, "token": api.token, "ca": str(stack.folder / "ca.pem")}
    await api.publish("jobs/1", b'{"n":1}', {"content-type": "application/json"})
    await runs([sys.executable, "-c", PYTHON.format(**names)])
    if shutil.which("node") is None:
        raise Skip("there is no node")
    await api.publish("jobs/1", b"x")
    script = stack.folder / "pull.mjs"
    script.write_text(NODE.format(**names))
    await runs(["node", str(script)], {"NODE_EXTRA_CA_CERTS": names["ca"], "PATH": "/usr/bin:/usr/local/bin:/bin"})

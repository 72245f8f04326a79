"""Push: messages of a named queue are posted to a URL, and what its answers mean."""

import asyncio
import json

from api import Api, users
from cluster import eventually, metric, metrics
from pushing import LOCAL, QUICK, RULES, SPACE, begin, declare, letters_of, pushed, settled
from sink import Sink


def sink(env, answer=lambda got: 200):
    made = Sink(answer)

    async def end():
        try:
            await asyncio.Event().wait()
        finally:
            made.close()
    env.spawn(end())
    return made


async def told(stack, name="q"):
    answer = await Api(stack, tls=False).ask("GET", f"/v1/queues/{name}", None, {"sqmqos-space": SPACE})
    assert answer.status == 200, answer
    return answer.json


async def publish(client, *bodies, topic="jobs/a", **props):
    for body in bodies:
        assert await client.publish(topic, body, qos=1, props=props or None) == 0


async def got(target, n, timeout_s=15):
    await eventually(lambda: len(target.got) >= n, f"{n} requests came, of {len(target.got)}", timeout_s)
    return target.got


async def test_a_message_is_posted_as_a_cloudevent(env):
    target = sink(env)
    stack, client = await begin(env, q=pushed(target, "/events"))
    await publish(client, b'{"n":1}', topic="jobs/a b", content_type="application/json", user=[("colour", "red")])
    request, = await got(target, 1)
    h = request.headers
    assert (request.method, request.path, request.body) == ("POST", "/events", b'{"n":1}')
    assert h["content-type"] == "application/json" and h["ce-specversion"] == "1.0", h
    assert h["ce-id"] == h["webhook-id"] and h["ce-type"] == "org.sqmqos.message", h
    assert h["ce-source"] == f"/sqmqos/{SPACE}", h
    assert h["sqmqos-queue"] == "q" and h["sqmqos-attempt"] == "1" and h["sqmqos-topic"], h
    assert h["user-agent"].startswith("sqmqos/"), h
    await settled(stack)
    assert len(target.got) == 1
    values = await metrics(stack.broker)
    assert values['sqmqos_push_requests_total{subscriber="default/q",outcome="ok"}'] == 1
    assert values["sqmqos_out_connections"] == 1 and values["sqmqos_push_seconds_count"] == 1


async def test_what_was_published_before_is_posted_behind_a_restart(env):
    target = sink(env, lambda got: 500)
    stack, client = await begin(env, q=pushed(target))
    await publish(client, b"1")
    first, *_ = await got(target, 2)
    await stack.kill(stack.broker)
    target.answer = lambda got: 200
    n = len(target.got)
    await stack.restart(stack.broker)
    await settled(stack)
    last = target.got[-1]
    assert len(target.got) == n + 1 and last.id == first.id and last.attempt > first.attempt


async def test_a_failure_is_tried_again_with_the_same_id(env):
    target = sink(env, lambda got: 500 if got.attempt < 3 else 204)
    stack, client = await begin(env, q=pushed(target))
    await publish(client, b"1")
    requests = await got(target, 3)
    await settled(stack)
    assert [r.attempt for r in requests] == [1, 2, 3] and len(set(target.ids)) == 1


async def test_attempts_have_an_end(env):
    target = sink(env, lambda got: 500)
    stack, client = await begin(env, q=pushed(target, retry=QUICK | {"attempts": 2}))
    letters = await letters_of(env, stack)
    await publish(client, b"1")
    letter = await letters.receive()
    assert letter.topic == "$dead/jobs/a" and letter.payload == b"1"
    assert dict(users(letter))["sqmqos-dead-reason"] == "attempts", letter
    assert [r.attempt for r in target.got] == [1, 2]


async def test_what_the_target_refuses_is_a_dead_letter(env):
    target = sink(env, lambda got: 422)
    stack, client = await begin(env, q=pushed(target))
    letters = await letters_of(env, stack)
    await publish(client, b"1")
    letter = await letters.receive()
    said = dict(users(letter))
    assert said["sqmqos-dead-reason"] == "refused" and "422" in said["sqmqos-dead-detail"], said
    assert len(target.got) == 1


async def test_gone_pauses(env):
    target = sink(env, lambda got: 410)
    stack, client = await begin(env, q=pushed(target))
    await publish(client, b"1", b"2")

    async def paused():
        return (await told(stack))["paused"]
    await eventually(paused, "it is paused")
    assert await metric(stack.broker, 'sqmqos_push_paused{subscriber="default/q"}') == 1
    n = len(target.got)
    await publish(client, b"3")
    await asyncio.sleep(0.3)  # that nothing comes
    assert len(target.got) == n
    target.answer = lambda got: 200
    answer = await Api(stack, tls=False).ask("POST", "/v1/queues/q/resume")
    assert answer.status in (200, 204), answer
    await settled(stack)
    assert set(target.bodies[n:]) == {b"1", b"2", b"3"}
    assert {r.attempt for r in target.got} == {1}


async def test_a_failing_message_holds_up_its_lane_alone(env):
    bad = {"first"}
    target = sink(env, lambda got: 500 if got.body.decode() in bad else 200)
    stack, client = await begin(env, q=pushed(target, queue={"order": "key"}, concurrency=8))
    await publish(client, "first", "second", user=[("sqmqos-order-key", "a")])
    await publish(client, *(f"b{i}" for i in range(5)), user=[("sqmqos-order-key", "b")])
    await eventually(lambda: b"b4" in target.bodies and target.bodies.count(b"first") > 1, "others go by")
    assert b"second" not in target.bodies
    bad.clear()
    await settled(stack)
    done = [b for b in target.bodies if b != b"first"]
    assert [b for b in done if b.startswith(b"b")] == [b"b%d" % i for i in range(5)]
    assert done[-1] == b"second"


async def test_requests_are_as_many_as_the_concurrency(env):
    target = sink(env, lambda got: target.hang(got) if got.body != b"go" else 200)
    stack, client = await begin(env, q=pushed(target, concurrency=3))
    await publish(client, *(b"%d" % i for i in range(9)))
    await eventually(lambda: target.busy == 3, "three are out")
    assert (await told(stack))["counts"]["leased"] == 3
    await asyncio.sleep(0.3)  # that no more come
    assert target.busiest == 3
    env.check_leftovers = False  # what hangs


async def test_a_batch_and_its_partial_failure(env):
    failed = []

    def answer(got):
        events = got.json
        if not failed and len(events) > 2:
            failed.append(events[1]["id"])
            body = json.dumps({"batchItemFailures": [{"itemIdentifier": events[1]["id"]}]}).encode()
            return 200, {"content-type": "application/json"}, body
        return 200
    target = sink(env, answer)
    stack, client = await begin(env, q=pushed(target, format="structured", batch={"max": 10, "linger": "500ms"}))
    await publish(client, *(b'{"n":%d}' % i for i in range(10)), content_type="application/json")
    await settled(stack)
    events = [e for r in target.got for e in r.json]
    assert target.got[0].headers["content-type"].startswith("application/cloudevents-batch+json")
    assert {e["data"]["n"] for e in events} == set(range(10)) and len(events) == 11
    assert [e["id"] for e in events].count(failed[0]) == 2


async def test_a_busy_target_is_left_alone_as_long_as_it_says(env):
    target = sink(env, lambda got: 200 if len(target.got) > 1 else (503, {"retry-after": "1"}, b""))
    stack, client = await begin(env, q=pushed(target, concurrency=1))
    await publish(client, b"1", b"2")
    requests = await got(target, 3)
    await settled(stack)
    assert requests[1].at - requests[0].at >= 0.9
    assert {r.attempt for r in requests} == {1}, "no attempt"


async def test_a_target_that_is_busy_for_long_pauses(env):
    target = sink(env, lambda got: (429, {"retry-after": "7200"}, b""))
    stack, client = await begin(env, q=pushed(target))
    await publish(client, b"1")

    async def paused():
        return (await told(stack))["paused"]
    await eventually(paused, "it is paused")
    assert "retry-after 7200 s" in stack.log(stack.broker)
    env.check_leftovers = False  # what waits


async def test_the_breaker_opens_and_closes(env):
    target = sink(env, lambda got: 500)
    stack, client = await begin(
        env, q=pushed(target, breaker={"failures": 3, "probe": "1s", "max": "1s"}, concurrency=1,
                      retry=QUICK | {"attempts": 100}),
        other=pushed(target, binding="other/#"))
    await publish(client, b"1")
    state = 'sqmqos_push_breaker{subscriber="default/q"}'

    async def is_open():
        return await metric(stack.broker, state) == 2
    await eventually(is_open, "it is open")
    n = len(target.got)
    await publish(client, b"x", topic="other/1")  # it is of the origin
    await asyncio.sleep(0.3)  # that nothing comes
    assert len(target.got) == n
    target.answer = lambda got: 200
    await settled(stack)
    assert await metric(stack.broker, state) == 0
    x, = (r for r in target.got if r.body == b"x")
    assert x.attempt == 1
    log = stack.log(stack.broker)
    assert log.count("works again") == 1 and log.count("nothing is pushed there") == 1, "a line for each change"


async def lags(stack, name="q"):
    values = await metrics(stack.broker)
    return [values[f'sqmqos_subscriber_lag_{what}{{subscriber="default/{name}"}}'] for what in ("messages", "seconds")]


async def test_what_is_tried_again_or_hangs_is_behind(env):
    failing, stuck = sink(env, lambda got: 500), sink(env)
    stuck.answer = stuck.hang
    stack, client = await begin(env, q=pushed(failing, retry=QUICK | {"attempts": 1000}),
                                stuck=pushed(stuck, binding="stuck/#"))
    assert await lags(stack) == await lags(stack, "stuck") == [0, 0]
    await publish(client, b"1")
    await publish(client, b"1", topic="stuck/1")

    async def behind():
        for name in "q", "stuck":
            messages, seconds = await lags(stack, name)
            if messages != 1 or seconds < 1:
                return False
        return True
    await eventually(behind, "both are behind", 10)
    failing.answer = lambda got: 200

    async def done():
        return await lags(stack) == [0, 0]
    await eventually(done, "one is done", 20)
    assert (await lags(stack, "stuck"))[0] == 1
    env.check_leftovers = False  # what hangs


async def test_a_reply_is_published(env):
    target = sink(env, lambda got: (200, {"content-type": "text/plain"}, b"re: " + got.body))
    stack, client = await begin(env, q=pushed(target, reply={"topic": "done/{topic.2}"}),
                                asked=pushed(target, binding="ask/#", reply="from-request"))
    await client.subscribe("done/#", qos=1)
    await client.subscribe("back/#", qos=1)
    await publish(client, b"1", topic="jobs/7")
    reply = await client.receive()
    assert (reply.topic, reply.payload) == ("done/7", b"re: 1")
    await publish(client, b"2", topic="ask/x", response_topic="back/here")
    reply = await client.receive()
    assert (reply.topic, reply.payload) == ("back/here", b"re: 2")
    await settled(stack)


async def test_a_target_that_hangs_disturbs_nobody(env):
    stuck, good = sink(env), sink(env)
    stuck.answer = stuck.hang
    stack, client = await begin(env, q=pushed(stuck), good=pushed(good, binding="good/#"))
    await publish(client, *(b"%d" % i for i in range(50)))
    await eventually(lambda: stuck.busy > 0, "it hangs")
    await publish(client, *(b"%d" % i for i in range(50)), topic="good/1")
    await got(good, 50)
    env.check_leftovers = False  # what hangs


async def test_a_queue_ends_while_requests_are_out(env):
    target = sink(env)
    target.answer = target.hang
    stack, client = await begin(env)
    api = Api(stack, tls=False)
    settings = pushed(target) | {"bindings": [{"filter": "jobs/#", "qos": 1}]}
    settings["push"]["retry"] = {"first": "1s"}
    answer = await api.ask("PUT", "/v1/queues/q", json.dumps(settings).encode(), {"content-type": "application/json"})
    assert answer.status == 201, answer
    await publish(client, b"1", b"2")
    await eventually(lambda: target.busy == 2, "both are out")
    answer = await api.ask("DELETE", "/v1/queues/q?with-messages=true", None, {"sqmqos-space": SPACE})
    assert answer.status == 204, answer
    await eventually(lambda: api_missing(stack), "the queue is gone")


async def api_missing(stack):
    return (await Api(stack, tls=False).ask("GET", "/v1/queues/q", None, {"sqmqos-space": SPACE})).status == 404


async def test_another_url_counts_from_the_next_request_on(env):
    old, new = sink(env, lambda got: 500), sink(env)
    stack, client = await begin(env, q=pushed(old))
    await publish(client, b"1")
    await got(old, 2)
    declare(env, q=pushed(new))
    await settled(stack)
    assert new.bodies == [b"1"] and new.got[0].id == old.got[0].id
    declare(env, q={"bindings": [{"filter": "jobs/#", "qos": 2}]})

    async def no_push():
        return not (await told(stack))["settings"].get("push")
    await eventually(no_push, "nothing is pushed any more")
    await publish(client, b"2")
    await asyncio.sleep(0.3)  # that nothing comes
    assert new.bodies == [b"1"]
    env.check_leftovers = False  # what waits


async def test_a_rate_is_kept(env):
    target = sink(env)
    stack, client = await begin(env, q=pushed(target, rate="10/s"))
    await publish(client, *(b"%d" % i for i in range(15)))
    await settled(stack)
    took = target.got[-1].at - target.got[0].at
    assert took >= 1.0, took


async def test_a_queue_without_messages_has_no_thread(env):
    stack, _ = await begin(env)
    assert await metric(stack.broker, "sqmqos_out_connections") == 0
    with open(f"/proc/{stack.broker.pid}/maps", encoding="ascii") as f:
        assert "libcurl" not in f.read()


async def test_pushes_are_of_all_workers(env):
    target = sink(env)
    stack, client = await begin(env, **{f"q{i}": pushed(target, binding=f"jobs/{i}") for i in range(6)})
    for i in range(6):
        await publish(client, b"%d" % i, topic=f"jobs/{i}")
    await got(target, 6)
    assert sorted(target.bodies) == [b"%d" % i for i in range(6)]


async def test_a_target_is_asked_for_its_consent(env):
    """OPTIONS first; pushes wait for the header, whatever the status; a rate comes with it."""
    target = sink(env, lambda got: 200)
    stack, client = await begin(env, broker={"push": LOCAL | {"origin": "shop.example"}},
                                q=pushed(target, "/in", validate="required", rate="100/s"))
    await publish(client, b"1")
    await eventually(lambda: target.asked, "it is asked")
    asked = target.asked[0]
    assert (asked.method, asked.path) == ("OPTIONS", "/in"), asked
    assert asked.headers["webhook-request-origin"] == "shop.example", asked
    assert asked.headers["webhook-request-rate"] == "6000", asked
    await asyncio.sleep(0.3)  # that nothing comes
    assert not target.got
    assert stack.log(stack.broker).count("does not consent") == 1
    why = "OPTIONS: status 200 without webhook-allowed-origin: shop.example"
    assert why in stack.log(stack.broker)
    api = Api(stack, tls=False)
    push = (await told(stack))["push"]
    assert push["state"] == "consent" and push["lastError"] == why and "waitsUntil" in push, push
    target.answer = lambda got: (200, {"webhook-allowed-origin": "*"}, b"")
    for verb in ("pause", "resume"):  # it is asked at once, and not in 10 seconds
        answer = await api.ask("POST", f"/v1/queues/q/{verb}", None, {"sqmqos-space": SPACE})
        assert answer.status == 204, answer
    await settled(stack)
    assert len(target.asked) == 2 and target.bodies == [b"1"], (target.asked, target.bodies)


async def consenting(env, headers, **push):
    target = sink(env, lambda got: (405, headers, b"") if got.method == "OPTIONS" else 200)
    stack, client = await begin(env, broker={"push": LOCAL | {"origin": "shop.example"}}, q=pushed(target, **push))
    await publish(client, b"1", b"2")
    return stack, target


async def test_consent_is_kept_over_a_kill(env):
    stack, target = await consenting(env, {"webhook-allowed-origin": "shop.example", "webhook-allowed-rate": "*"},
                                     validate="required")
    await settled(stack)
    assert len(target.got) == 2 and len(target.asked) == 1
    assert target.got[0].headers["webhook-request-origin"] == "shop.example"
    await stack.kill(stack.broker)
    target.answer = lambda got: 200  # consent no more, but it is not asked for a day
    await stack.restart(stack.broker)
    again = await env.connect(stack.ports[0], "again")
    await publish(again, b"3")
    await settled(stack)
    assert len(target.asked) == 1 and target.bodies[-1] == b"3", (target.asked, target.bodies)


async def test_the_rate_of_the_consent_counts(env):
    stack, target = await consenting(env, {"webhook-allowed-origin": "*", "webhook-allowed-rate": "30"},
                                     validate="required")
    await settled(stack)
    assert target.got[1].at - target.got[0].at >= 1.8


async def test_pushes_go_on_without_an_optional_consent(env):
    stack, target = await consenting(env, {}, validate="optional")
    await settled(stack)
    assert len(target.got) == 2 and "they go on without" in stack.log(stack.broker)


async def test_what_the_api_declares_needs_consent_where_the_host_is_not_trusted(env):
    target = sink(env, lambda got: 200)
    stack, client = await begin(env, broker={"push": LOCAL | {"trusted": []}})
    answer = await Api(stack, tls=False).ask("PUT", "/v1/queues/q", json.dumps(
        {"bindings": [{"filter": "jobs/#"}], "push": {"url": target.url, "validate": "off"}}).encode(),
        {"content-type": "application/json"})
    assert answer.status == 201, answer
    await publish(client, b"1")
    await eventually(lambda: target.asked, "it is asked")
    answer = (await Api(stack, tls=False).ask("POST", "/v1/queues/q/test")).json
    assert answer["taken"] is False and "has not consented" in answer["why"], answer
    await asyncio.sleep(0.3)  # that nothing comes
    assert not target.got
    target.answer = lambda got: (200, {"webhook-allowed-origin": "*"}, b"")
    env.check_leftovers = False  # what waits


async def test_secrets_are_read_again(env):
    target = sink(env)
    secret = env.folder / "token"
    stack, client = await begin(env, q=pushed(target, auth={"bearer-file": str(secret)}))
    await publish(client, b"1")
    await eventually(lambda: "waits for a secret" in stack.log(stack.broker), "it waits")
    assert not target.got
    secret.write_text("first\n")
    secret.chmod(0o600)
    await settled(stack)
    assert target.got[0].headers["authorization"] == "Bearer first" and target.got[0].attempt == 1
    fresh = env.folder / "fresh"
    fresh.write_text("second\n")
    fresh.chmod(0o600)
    fresh.rename(secret)

    async def second():
        await publish(client, b"x")
        await settled(stack)
        return target.got[-1].headers["authorization"] == "Bearer second"
    await eventually(second, "the new one is sent")
    log = stack.log(stack.broker)
    assert log.count("waits for a secret") == 1 and log.count("the secret is there") == 1
    assert "first" not in log and "second" not in log.replace("seconds", "")


async def test_a_signature_of_two_keys(env):
    target = sink(env)
    secret = env.folder / "whsec"
    secret.write_text("whsec_" + "a" * 43 + "=\nwhsec_" + "b" * 43 + "=\n")
    secret.chmod(0o600)
    stack, client = await begin(env, q=pushed(target, sign={"secret-file": str(secret)}))
    await publish(client, b"1")
    request, = await got(target, 1)
    signatures = request.headers["webhook-signature"].split()
    assert len(signatures) == 2 and all(s.startswith("v1,") for s in signatures)
    await settled(stack)


async def test_a_test_is_posted_and_told(env):
    target = sink(env, lambda got: (202, {"content-type": "text/plain"}, b"secret words"))
    stack, client = await begin(env, q=pushed(target))
    api = Api(stack, tls=False)
    answer = await api.ask("POST", "/v1/queues/q/test")
    assert answer.status == 200 and b"secret" not in answer.body, answer
    told_so = answer.json
    assert told_so["status"] == 202 and told_so["taken"] is True, told_so
    assert len(target.got) == 1 and target.got[0].headers["ce-type"], target.got
    target.answer = lambda got: 404
    answer = (await api.ask("POST", "/v1/queues/q/test")).json
    assert answer["status"] == 404 and answer["taken"] is False, answer
    values = await metrics(stack.broker)
    assert values['sqmqos_push_requests_total{subscriber="default/q",outcome="ok"}'] == 0


async def test_few_tests_are_out_at_a_time(env):
    target = sink(env)
    target.answer = target.hang
    stack, client = await begin(env, q=pushed(target))
    for _ in range(4):
        env.spawn(Api(stack, tls=False).ask("POST", "/v1/queues/q/test"))
    await eventually(lambda: target.busy == 4, "four are out")
    answer = (await Api(stack, tls=False).ask("POST", "/v1/queues/q/test")).json
    assert answer["taken"] is False and "4 tests are out" in answer["why"], answer
    assert target.busy == 4
    target.ended.set()

    async def again():
        return (await Api(stack, tls=False).ask("POST", "/v1/queues/q/test")).json["status"] == 503
    await eventually(again, "one that has ended leaves its place")


async def test_a_template_that_can_not_be_filled_is_a_dead_letter(env):
    target = sink(env)
    stack, client = await begin(env, q=pushed(target, "/{prop:shop}/in"))
    letters = await letters_of(env, stack)
    await publish(client, b"1")
    letter = await letters.receive()
    assert dict(users(letter))["sqmqos-dead-reason"] == "unmappable", letter
    await publish(client, b"2", user=[("shop", "a/b")])
    request, = await got(target, 1)
    assert request.path == "/a%2Fb/in"
    await settled(stack)


async def test_a_reply_that_is_refused_is_a_dead_letter_and_the_message_is_delivered(env):
    target = sink(env, lambda got: (200, {"content-type": "text/plain"}, b"re"))
    stack, client = await begin(
        env, broker={"acl": [*RULES, {"deny": ["publish"], "topics": ["secret/#"]}]},
        q=pushed(target, reply={"topic": "secret/{topic.2}"}))
    letters = await letters_of(env, stack)
    await publish(client, b"1")
    letter = await letters.receive()
    assert dict(users(letter))["sqmqos-dead-reason"] == "reply-refused", letter
    await settled(stack)
    assert len(target.got) == 1


async def test_a_reply_without_room_waits_and_the_target_is_not_asked_again(env):
    target = sink(env, lambda got: (200, {"content-type": "text/plain"}, b"re"))
    stack, client = await begin(
        env, q=pushed(target, reply={"topic": "full/x"}),
        full={"bindings": [{"filter": "full/#"}], "max-messages": 1, "overflow": "reject-publish"})
    await publish(client, b"1")
    await got(target, 1)
    await publish(client, b"2")
    await got(target, 2)
    await asyncio.sleep(0.7)  # some times that it is tried again
    assert len(target.got) == 2
    api = Api(stack, tls=False)
    for _ in range(2):
        async def one():
            answer = await api.ask("POST", "/v1/queues/full/receive?ack=receive&max=1&wait=1s")
            return answer.status == 200
        await eventually(one, "a reply is there")
    await settled(stack)
    assert len(target.got) == 2 and {r.attempt for r in target.got} == {1}


async def test_a_broker_ends_while_requests_are_out(env):
    target = sink(env)
    target.answer = target.hang
    stack, client = await begin(env, q=pushed(target))
    await publish(client, *(b"%d" % i for i in range(5)))
    await eventually(lambda: target.busy == 5, "five are out")
    await stack.end(stack.broker)
    target.answer = lambda got: 200
    await stack.restart(stack.broker)
    await settled(stack)
    assert sorted(target.bodies[5:]) == [b"%d" % i for i in range(5)]
    assert sorted(target.ids[5:]) == sorted(target.ids[:5])


async def test_metrics_have_some_by_name_and_the_others_together(env):
    target = sink(env)
    stack, client = await begin(env, broker={"metrics": {"queues": 2}},
                                **{f"q{i}": pushed(target, binding=f"jobs/{i}") for i in range(5)})
    for i in range(5):
        await publish(client, b"1", topic=f"jobs/{i}")
    await settled(stack)
    values = {k: v for k, v in (await metrics(stack.broker)).items()
              if k.startswith("sqmqos_push_requests_total") and 'outcome="ok"' in k}
    assert len(values) == 3 and sum(values.values()) == 5, values
    assert values['sqmqos_push_requests_total{subscriber="other",outcome="ok"}'] == 3


async def test_a_queue_says_how_its_push_is(env):
    target = sink(env, lambda got: 500)
    stack, client = await begin(env, q=pushed(target, breaker={"failures": 2, "probe": "1m", "max": "1m"}))
    assert (await told(stack))["push"]["state"] == "ok"
    await publish(client, b"payload")

    async def is_open():
        now = (await told(stack))["push"]
        return now["state"] == "open" and now
    now = await eventually(is_open, "it waits for the breaker")
    assert now["breaker"] == "open" and now["lastStatus"] == 500 and "500" in now["lastError"], now
    assert now["waitsUntil"] > now["lastErrorAt"] and "lastOkAt" not in now and now["inFlight"] == 0, now
    assert "payload" not in json.dumps(await told(stack)) + stack.log(stack.broker)
    api = Api(stack, tls=False)
    assert (await api.ask("POST", "/v1/queues/q/pause")).status in (200, 204)

    async def paused():
        return (await told(stack))["push"]["state"] == "paused"
    await eventually(paused, "it is paused")
    env.check_leftovers = False  # what waits


async def test_a_hold_of_one_queue_is_none_of_another(env):
    """Retry-After is of the queue; the breaker, which counts it as no failure, stays closed."""
    busy = sink(env, lambda got: (429, {"retry-after": "30"}, b"") if got.headers["sqmqos-queue"] == "q" else 200)
    stack, client = await begin(env, q=pushed(busy), other=pushed(busy, binding="other/#"))
    await publish(client, b"1")

    async def held():
        return (await told(stack))["push"]["state"] == "held"
    await eventually(held, "it is held")
    await publish(client, b"2", topic="other/1")
    await eventually(lambda: b"2" in busy.bodies, "the other is pushed")
    assert busy.bodies.count(b"1") == 1
    env.check_leftovers = False  # what waits


async def test_a_pull_takes_what_a_push_does_not(env):
    """They share the queue; what a push has, nobody else gets."""
    target = sink(env)
    target.answer = target.hang
    stack, client = await begin(env, q=pushed(target, concurrency=1))
    await publish(client, b"1")
    await eventually(lambda: target.busy == 1, "the first is out")
    await publish(client, b"2")
    answer = await Api(stack, tls=False).ask("POST", "/v1/queues/q/receive?ack=receive&max=10&wait=5s")
    assert [m["text"] if "text" in m else str(m["json"]) for m in answer.json["messages"]] == ["2"], answer
    env.check_leftovers = False  # what hangs


async def test_attempts_of_the_push_stand_in_place_of_the_queues(env):
    target = sink(env, lambda got: 500)
    stack, client = await begin(env, q=pushed(target, queue={"max-attempts": 2}, retry=QUICK | {"attempts": 4}),
                                old=pushed(target, binding="old/#", retry=QUICK | {"for": "1s", "attempts": 1000},
                                           breaker={"failures": 1000}))
    letters = await letters_of(env, stack)
    await publish(client, b"1")
    letter = await letters.receive()
    said = dict(users(letter))
    assert said["sqmqos-dead-reason"] == "attempts" and "500" in said["sqmqos-dead-detail"], said
    assert [r.attempt for r in target.got] == [1, 2, 3, 4]
    await publish(client, b"2", topic="old/1")
    letter = await letters.receive()
    assert letter.topic == "$dead/old/1" and dict(users(letter))["sqmqos-dead-reason"] == "attempts"
    assert len(target.got) > 7, "by its age, and not by the queue's attempts"

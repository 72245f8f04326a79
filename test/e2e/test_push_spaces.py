"""Push: what a queue has its target do is at the cost of its own space, and of no message that was not sent."""

import json
import threading

from api import Api
import stack as parts
from cluster import eventually, metric, metrics
from pushing import BROKER, LOCAL, QUICK, RULES, begin, pushed, settled
from sink import Sink

BAD, GOOD = "shop", "bank"


async def two(env, bad, good):
    """A broker with a queue in each of two spaces."""
    folder = env.folder / "subscribers"
    folder.mkdir()
    (folder / "both.yaml").write_text(parts.yaml({BAD: {"bad": bad}, GOOD: {"good": good}}))
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=BROKER | {"push": LOCAL, "acl": RULES})
    stack.broker.tree["subscribers"] = {"dir": str(folder)}
    await stack.start()
    return stack, Api(stack, tls=False)


async def publish(api, space):
    answer = await api.ask("POST", "/v1/publish/jobs/a", b"1", {"sqmqos-space": space})
    assert answer.status == 200, answer


def posted(target, path):
    return sum(got.path == path for got in target.got)


async def test_the_breaker_of_a_space_is_not_that_of_another(env):
    target = Sink(lambda got: 500 if got.path == "/bad" else 200)
    stack, api = await two(env, pushed(target, "/bad", breaker={"failures": 1, "probe": "1h", "max": "1d"}),
                           pushed(target, "/good"))
    await publish(api, BAD)

    async def opened():
        answer = await api.ask("GET", "/v1/queues/bad", None, {"sqmqos-space": BAD})
        return answer.json["push"]["state"] == "open"
    await eventually(opened, "one failure opens it for an hour")
    await publish(api, GOOD)
    await eventually(lambda: posted(target, "/good") == 1, "the other space goes on")
    assert await opened() and posted(target, "/bad") == 1
    answer = await api.ask("POST", "/v1/queues/bad/purge", b"", {"sqmqos-space": BAD})
    assert answer.status == 200, answer
    await settled(stack)
    target.close()


async def test_requests_that_hang_leave_other_spaces_their_connections(env):
    go = threading.Event()

    def answer(got):
        if got.path == "/bad":
            go.wait()
        return 200
    target = Sink(answer)
    stack, api = await two(env, pushed(target, "/bad", concurrency=1000, timeout="10m"), pushed(target, "/good"))
    for _ in range(70):
        await publish(api, BAD)
    await eventually(lambda: posted(target, "/bad") == 64, "all of its connections hang")
    await publish(api, GOOD)
    await eventually(lambda: posted(target, "/good") == 1, "the other space has its own")
    assert posted(target, "/bad") == 64
    go.set()
    await settled(stack)
    assert posted(target, "/bad") == 70
    target.close()


async def test_what_waits_for_a_connection_is_no_attempt(env):
    go = threading.Event()

    def answer(got):
        if got.body == b"slow":
            go.wait()
        return 200
    target = Sink(answer)
    stack, client = await begin(
        env, {"push": LOCAL | {"connections-per-origin": 1}},
        slow=pushed(target, binding="slow/#", timeout="10m"),
        q=pushed(target, timeout="1s", breaker={"failures": 1, "probe": "1h", "max": "1d"},
                 retry=QUICK | {"attempts": 1}))
    await client.publish("slow/a", b"slow", qos=1)
    await eventually(lambda: target.busy == 1, "it has the one connection")
    await client.publish("jobs/a", b"1", qos=1)

    async def waited():
        answer = await Api(stack, tls=False).ask("GET", "/v1/queues/q", None, {"sqmqos-space": "default"})
        push = json.loads(answer.body)["push"]
        return "no connection has been free" in push.get("lastError", "") and push["state"] in ("closed", "ok")
    await eventually(waited, "it has waited for its time")
    assert len(target.got) == 1
    go.set()
    await settled(stack)
    assert [(got.body, got.attempt) for got in target.got] == [(b"slow", 1), (b"1", 1)]
    target.close()


async def test_replies_that_have_no_room_fill_no_memory(env):
    target = Sink(lambda got: (200, {"content-type": "text/plain"}, b"r" * 900_000))
    stack, client = await begin(
        env, {"limits": {"memory": "256Mi"}},
        q=pushed(target, concurrency=200, reply={"topic": "replies/a"}),
        full={"bindings": [{"filter": "replies/#", "qos": 1}], "max-messages": 1})
    for i in range(400):
        assert await client.publish("jobs/a", b"%d" % i, qos=1) == 0

    api = Api(stack, tls=False)

    async def stands():
        told = await api.ask("GET", "/v1/queues/q", None, {"sqmqos-space": "default"})
        return len(target.got) > 1 and told.json["push"]["inFlight"] == 0 and \
            await metric(stack.broker, "sqmqos_queued_messages") == 400
    await eventually(stands, "each answer but one waits for room")
    values = await metrics(stack.broker)
    assert values["sqmqos_memory_level"] == 0 and len(target.got) < 100, (values, len(target.got))

    async def drained():
        answer = await api.ask("POST", "/v1/queues/full/purge", b"", {"sqmqos-space": "default"})
        assert answer.status == 200, answer
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    target.answer = lambda got: 204
    await eventually(drained, "all of it goes on", 30)
    assert sorted(target.bodies) == sorted(b"%d" % i for i in range(400))
    target.close()


async def test_replies_that_go_around_end(env):
    target = Sink(lambda got: (200, {"content-type": "text/plain"}, b"r"))
    stack, client = await begin(env, there=pushed(target, "/there", binding="a/#", reply={"topic": "b/x"}),
                                back=pushed(target, "/back", binding="b/#", reply={"topic": "a/x"}))
    await client.publish("a/x", b"1", qos=1)
    await eventually(lambda: len(target.got) == 17, "one, and sixteen replies")
    await settled(stack)
    assert len(target.got) == 17 and "a reply to a reply, 16 times" in stack.log(stack.broker)
    target.close()

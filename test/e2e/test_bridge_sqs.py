"""Bridges to SQS: ElasticMQ behind a proxy that verifies each signature, with boto3 at the other end."""

import asyncio
import base64
import collections
import json
import subprocess
import threading
import time

import pushing
import stack as parts
from cluster import eventually, metric
from moto_server import Moto
from signed_proxy import Control, error
from sqs_bridge import attribute, bridged, declare, into, is_up, out, properties, sqs

BATCH = "SendMessageBatch"
HELD = 400


async def publish(client, *bodies, topic="orders/1", qos=1, **props):
    for body in bodies:
        assert await client.publish(topic, body, qos=qos, props=props or None) == 0


def bodies(messages):
    return sorted(m["Body"] for m in messages)


async def came(client, n):
    """The next n messages, none of them twice."""
    got = await client.receive_all(n)
    assert len({m.payload for m in got}) == n, got
    return got


async def nothing_more(client):
    await client.ping()
    assert not client.inbox, client.inbox


async def test_the_kind_does_what_bridges_ask_of_it(env):
    s = await sqs(env)
    control = Control(s.proxy)
    try:
        done = await asyncio.to_thread(
            subprocess.run, [parts.ROOT / "build" / env.settings.build / "test" / "test_bridge", "-j1"],
            env=parts.clean_environment() | {"SQMQOS_TEST_SQS": f"{s.proxy.url} {s.server.url} {control.url}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    finally:
        control.stop()
    assert done.returncode == 0 and "with sqs fifo" in done.stdout, done.stdout[-4000:]
    assert s.proxy.refused == [] and s.proxy.count(BATCH) > 0


async def test_messages_go_out_signed_and_in_batches(env):
    s = await sqs(env)
    url = await s.create("orders")
    stack, client = await bridged(env, s, b=out("orders"))
    await publish(client, *[b"%d" % i for i in range(98)], content_type="text/plain", user=[("colour", "red"), ("tag", "new")],
                  response_topic="re/1", correlation_data=b"\0\1")
    await publish(client, b"\0\xff", topic="orders/binary")
    await publish(client, b"", topic="orders/empty")
    got = await s.receive(url, 100)
    assert len(got) == 100 and len({attribute(m, "sqmqos-origin") for m in got}) == 100
    one = next(m for m in got if m["Body"] == "7")
    assert attribute(one, "sqmqos-topic") == "orders/1" and attribute(one, "content-type") == "text/plain", one
    assert attribute(one, "sqmqos-response") == "re/1" and attribute(one, "sqmqos-correlation") == b"\0\1", one
    assert properties(one) == {"colour": "red"} and json.loads(attribute(one, "sqmqos-tags")) == ["new"], one
    assert attribute(one, "sqmqos-hops").endswith("/b"), one
    coded = next(m for m in got if attribute(m, "sqmqos-topic") == "orders/binary")
    assert base64.b64decode(coded["Body"]) == b"\0\xff" and attribute(coded, "sqmqos-encoding") == "base64"
    empty = next(m for m in got if attribute(m, "sqmqos-topic") == "orders/empty")
    assert attribute(empty, "sqmqos-encoding") == "empty"
    assert s.proxy.refused == []
    await is_up(stack, "b", "out")
    assert await metric(stack.broker, "sqmqos_queued_messages") == 0


async def test_groups_of_a_fifo_queue_stay_in_order(env):
    s = await sqs(env)
    url = await s.create("orders.fifo")
    stack, client = await bridged(env, s, b=out("orders.fifo"))
    for i in range(60):
        await publish(client, b"%d" % i, topic=f"orders/{i % 3}")
    order = collections.defaultdict(list)
    for m in await s.receive(url, 60):
        order[m["Attributes"]["MessageGroupId"]].append(int(m["Body"]))
    assert dict(order) == {f"orders/{k}": list(range(k, 60, 3)) for k in range(3)}
    for action, request in s.proxy.calls:
        if action == BATCH:
            assert len({e["MessageDeduplicationId"] for e in request["Entries"]}) == len(request["Entries"])


async def test_messages_come_in_and_are_deleted(env):
    s = await sqs(env)
    url = await s.create("replies")
    stack, client = await bridged(env, s, b=into("replies", "in/{header:kind|none}"))
    await client.subscribe(("in/#", 1))
    for i in range(30):
        await s.call("send_message", QueueUrl=url, MessageBody=str(i),
                     MessageAttributes={"kind": {"DataType": "String", "StringValue": "a/b"}})
    got = await came(client, 30)
    assert {m.payload for m in got} == {b"%d" % i for i in range(30)}
    assert {m.topic for m in got} == {"in/a_b"}
    user = dict(got[0].props["user"])
    assert user["kind"] == "a/b" and user["sqs-message-id"] and user["sqs-sent-timestamp"], user
    await s.empty(url)
    await nothing_more(client)
    assert s.proxy.refused == []


async def test_what_comes_twice_is_published_once(env):
    s = await sqs(env)
    url = await s.create("replies")
    deletes = []

    def fault(action, request):
        if action == "ReceiveMessage":  # a copy beside each message
            return lambda answer: {"Messages": [m for m in answer.get("Messages", [])[:5] for _ in range(2)]}
        if action == "DeleteMessageBatch" and len(deletes) < 2:  # and each once more, when its time is over
            deletes.append(request)
            return 200, {"Successful": [{"Id": e["Id"]} for e in request["Entries"]], "Failed": []}
        return None
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=into("replies") | {"visibility": "2s"})
    await client.subscribe(("in/#", 1))
    for i in range(5):
        await s.call("send_message", QueueUrl=url, MessageBody=str(i))
    await came(client, 5)
    await s.empty(url)
    assert len(deletes) == 2
    await nothing_more(client)


async def test_a_message_stays_hidden_while_there_is_no_room_for_it(env):
    s = await sqs(env)
    url = await s.create("replies")
    # Its own queue is full until somebody takes from it.
    full = {"q": {"bindings": [{"filter": "in/#", "qos": 1}], "max-messages": 3}}
    stack, client = await bridged(env, s, broker={"subscribers": {"dir": str(pushing.declare(env, **full))}},
                                  b=into("replies", "in/a") | {"visibility": "2s"})
    for i in range(6):
        await s.call("send_message", QueueUrl=url, MessageBody=str(i))
    longer = "ChangeMessageVisibilityBatch"
    await eventually(lambda: s.proxy.count(longer) >= 4, "what waits is kept hidden", 30)
    assert all(e["VisibilityTimeout"] == 2 for a, r in s.proxy.calls if a == longer for e in r["Entries"])
    await client.subscribe(("$queue/q", 1))
    got = await came(client, 6)
    # None was handed back: each has been received once.
    assert {dict(m.props["user"])["sqmqos-peer-attempts"] for m in got} == {"1"}, got
    await s.empty(url)
    await nothing_more(client)


async def test_throttled_calls_come_again(env):
    s = await sqs(env)
    url = await s.create("orders")
    throttled = []

    def fault(action, request):
        if action == BATCH and len(throttled) < 6:
            throttled.append(request)
            return (400, error("RequestThrottled")) if len(throttled) % 2 else (503, b"busy")
        return None
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=out("orders") | {"limits": {"max-attempts": 1}})
    dead = await env.connect(stack.ports[0], "dead")
    await dead.subscribe(("$dead/#", 1))
    await publish(client, *[b"%d" % i for i in range(40)])
    assert bodies(await s.receive(url, 40)) == sorted(str(i) for i in range(40))
    assert len(throttled) == 6 and await s.left(url) == 0
    await nothing_more(dead)


async def test_entries_that_fail_end_by_themselves(env):
    s = await sqs(env)
    url = await s.create("orders")
    tried = collections.Counter()

    def fault(action, request):
        """Refuses "bad" for good, and fails "shaky" once."""
        if action != BATCH:
            return None
        names = {e["Id"]: e["MessageBody"] for e in request["Entries"]}
        tried.update(names.values())
        failed = [{"Id": i, "SenderFault": b == "bad", "Code": "InvalidThing" if b == "bad" else "InternalError"}
                  for i, b in names.items() if b == "bad" or (b == "shaky" and tried[b] == 1)]
        if not failed:
            return None
        good = [e for e in request["Entries"] if e["Id"] not in {f["Id"] for f in failed}]
        if good:
            s.boto.send_message_batch(QueueUrl=request["QueueUrl"], Entries=good)
        return 200, {"Successful": [{"Id": e["Id"]} for e in good], "Failed": failed}
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=out("orders"))
    dead = await env.connect(stack.ports[0], "dead")
    await dead.subscribe(("$dead/#", 1))
    await publish(client, b"1", b"bad", b"shaky", b"2")
    assert bodies(await s.receive(url, 3)) == ["1", "2", "shaky"]
    letter = await dead.receive()
    assert letter.payload == b"bad" and dict(letter.props["user"])["sqmqos-dead-reason"] == "refused", letter
    assert tried["bad"] == 1 and tried["shaky"] == 2, tried


async def test_what_is_too_large_is_a_dead_letter(env):
    s = await sqs(env)
    url = await s.create("orders")
    stack, client = await bridged(env, s, b=out("orders") | {"max-size": "64Ki"})
    dead = await env.connect(stack.ports[0], "dead")
    await dead.subscribe(("$dead/#", 1))
    await publish(client, b"x" * 65536, b"small")
    assert bodies(await s.receive(url, 1)) == ["small"]
    letter = await dead.receive()
    assert dict(letter.props["user"])["sqmqos-dead-reason"] == "too-large", letter.props


async def test_a_batch_that_the_server_takes_not_is_sent_one_by_one(env):
    """The queue takes less than max-size says: of the batch nobody knows which one is too large."""
    s = await sqs(env)
    url = await s.create("orders")
    stack, client = await bridged(env, s, b=out("orders"))
    dead = await env.connect(stack.ports[0], "dead")
    await dead.subscribe(("$dead/#", 1))
    s.proxy.away(True)
    await publish(client, b"1")
    await is_up(stack, "b", "out", False)  # which it has found out by that one
    await publish(client, b"x" * (300 << 10), b"2")
    s.proxy.away(False)
    assert bodies(await s.receive(url, 2)) == ["1", "2"]
    letter = await dead.receive()
    assert dict(letter.props["user"])["sqmqos-dead-reason"] in ("refused", "too-large"), letter.props


async def test_who_may_only_send_sends(env):
    s = await sqs(env)
    url = await s.create("orders")
    s.proxy.fault = lambda action, request: (403, error("AccessDenied")) if action == "GetQueueUrl" else None
    stack, client = await bridged(env, s, b=out(url))
    await is_up(stack, "b", "out")
    await publish(client, b"1")
    assert bodies(await s.receive(url, 1)) == ["1"]
    assert "away" not in stack.log(stack.broker)


async def test_who_is_denied_waits_until_he_is_let_in(env):
    s = await sqs(env)
    url = await s.create("orders")
    s.proxy.fault = lambda action, request: (403, error("AccessDeniedException")) if action == BATCH else None
    stack, client = await bridged(env, s, b=out("orders"))
    await publish(client, *[b"%d" % i for i in range(20)])
    await is_up(stack, "b", "out", False)
    # That the queue is there does not mean that he may send: one line says it, however often it is tried.
    tried = s.proxy.count(BATCH)
    await eventually(lambda: s.proxy.count(BATCH) >= tried + 3, "it is tried again", 60)
    assert all(len(r["Entries"]) <= 10 for a, r in s.proxy.calls if a == BATCH)
    assert stack.log(stack.broker).count("is away") == 1
    s.proxy.fault = lambda action, request: None
    assert bodies(await s.receive(url, 20)) == sorted(str(i) for i in range(20))
    await is_up(stack, "b", "out")


async def test_a_call_that_fails_while_the_queue_is_asked_for(env):
    """One question at a time: its call is not sent again while it is under way."""
    s = await sqs(env)
    url = await s.create("orders")
    stack, client = await bridged(env, s, b=out("orders"))
    await is_up(stack, "b", "out")
    first, asked, answer = (threading.Event() for _ in range(3))

    def fault(action, request):
        if action == BATCH and not asked.is_set():
            if request["Entries"][0]["MessageBody"] == "1":
                first.wait(60)
            return 500, b""  # not a cut, for which libcurl tries again
        if action == "GetQueueUrl":
            asked.set()
            answer.wait(60)
        return None
    s.proxy.fault = fault
    await publish(client, b"1")
    await publish(client, b"2", topic="orders/2")
    await eventually(asked.is_set, "the queue is asked for")
    first.set()
    await asyncio.sleep(3)  # nothing more happens, which nothing tells
    assert stack.broker.running(), stack.log(stack.broker)[-1000:]
    answer.set()
    assert set(bodies(await s.receive(url, 2))) == {"1", "2"}


async def test_keys_that_change_are_taken_up(env):
    s = await sqs(env)
    url = await s.create("orders")
    stack, client = await bridged(env, s, b=out("orders"))
    await publish(client, b"1")
    await s.receive(url, 1)
    s.proxy.keys = {"AKIANEXT": "next/+secret"}
    await publish(client, b"2")
    await is_up(stack, "b", "out", False)
    declare(env, s, keys=("AKIANEXT", "next/+secret"), b=out("orders"))
    assert bodies(await s.receive(url, 1)) == ["2"]
    await is_up(stack, "b", "out")
    log = stack.log(stack.broker)
    assert "next/+secret" not in log and "secret" not in log.replace("secret-key-file", ""), "a secret is in the log"


async def test_a_queue_that_is_missing_is_waited_for(env):
    s = await sqs(env)
    other = await s.create("other")
    both = {"out": [{"filter": "orders/#", "to": {"queue": "orders"}}, {"filter": "others/#", "to": {"queue": "other"}}]}
    stack, client = await bridged(env, s, b=both)
    await is_up(stack, "b", "out", False)
    await publish(client, *[b"%d" % i for i in range(20)])
    await publish(client, b"x", topic="others/1")
    assert bodies(await s.receive(other, 1)) == ["x"], "one queue does not hold up another"
    url = await s.create("orders")
    assert bodies(await s.receive(url, 20)) == sorted(str(i) for i in range(20))
    await is_up(stack, "b", "out")


async def test_a_server_that_was_killed_gets_what_waits(env):
    s = await sqs(env)
    url = await s.create("orders")
    back = await s.create("replies")
    stack, client = await bridged(env, s, b=out("orders") | into("replies", "in/a"))
    await client.subscribe(("in/#", 1))
    await is_up(stack, "b", "out")
    await is_up(stack, "b", "in")
    s.server.kill()
    await publish(client, *[b"%d" % i for i in range(50)])
    await is_up(stack, "b", "out", False)
    await is_up(stack, "b", "in", False)
    await asyncio.to_thread(s.server.start)
    await s.create("orders")
    await s.create("replies")
    assert set(bodies(await s.receive(url, 50))) == {str(i) for i in range(50)}
    await s.call("send_message", QueueUrl=back, MessageBody="hello")
    assert (await client.receive()).payload == b"hello"
    assert len([line for line in stack.log(stack.broker).splitlines() if "bridge/b" in line and "down" in line]) <= 4


async def test_answers_that_are_none_harm_nobody(env):
    s = await sqs(env)
    url = await s.create("orders")
    back = await s.create("replies")
    seen = collections.Counter()
    bad = {BATCH: [(200, b"<html>"), (500, b""), "cut", (200, {"Successful": 17}), "endless", (200, {})],
           "ReceiveMessage": [(200, b"[]"), "endless", (200, {"Messages": [{"Body": "x"}]}), "cut", (302, b"")],
           "DeleteMessageBatch": [(200, b"{"), (500, b"")],
           "GetQueueUrl": [(200, b"nonsense"), (200, {"QueueUrl": 3})]}

    def fault(action, request):
        seen[action] += 1
        of = bad.get(action, [])
        return of[seen[action] - 1] if seen[action] <= len(of) else None
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=out("orders") | into("replies", "in/a") | {"visibility": "2s"})
    await client.subscribe(("in/#", 1))
    await s.call("send_message", QueueUrl=back, MessageBody="hello")
    await publish(client, *[b"%d" % i for i in range(20)])
    assert set(bodies(await s.receive(url, 20, 60))) == {str(i) for i in range(20)}
    assert (await client.receive(30)).payload == b"hello"
    await s.empty(back)
    await eventually(lambda: all(seen[a] >= len(of) for a, of in bad.items()), "all of it was met", 60)
    await nothing_more(client)


async def test_a_server_that_answers_in_vain_is_asked_less_and_less(env):
    """One that does not wait, sends what is damaged, or more than there can be."""
    s = await sqs(env)
    back = await s.create("replies")
    damaged = {"MessageId": "m", "ReceiptHandle": "h", "Body": "b", "MD5OfBody": "0" * 32}
    asked, answer = [], (200, {})

    def fault(action, request):
        if action == "ReceiveMessage" and answer:
            asked.append(time.monotonic())
            return answer
        return None
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=into("replies", "in/a"))
    await client.subscribe(("in/#", 1))
    for answer in (200, {}), (200, {"Messages": [damaged]}):
        asked.clear()
        await eventually(lambda: len(asked) >= 6, "it is asked again", 60)
        assert asked[5] - asked[0] >= 1.5, asked
    assert stack.log(stack.broker).count("came damaged") <= 1, stack.log(stack.broker)
    await is_up(stack, "b", "in")
    answer = "endless"
    await is_up(stack, "b", "in", False)
    answer = None
    await s.call("send_message", QueueUrl=back, MessageBody="hello")
    assert (await client.receive(60)).payload == b"hello"
    await is_up(stack, "b", "in")
    await s.empty(back)


async def test_after_an_answer_that_was_too_large_it_asks_for_more_again_bit_by_bit(env):
    s = await sqs(env)
    back = await s.create("replies")
    asked = []

    def fault(action, request):
        if action != "ReceiveMessage":
            return None
        asked.append(request["MaxNumberOfMessages"])
        return "endless" if len(asked) == 1 else None
    s.proxy.fault = fault
    stack, client = await bridged(env, s, b=into("replies", "in/a"))
    await is_up(stack, "b", "in", False)
    await is_up(stack, "b", "in")

    async def more():
        await s.call("send_message_batch", QueueUrl=back, Entries=[{"Id": str(i), "MessageBody": str(i)} for i in range(10)])
        return 7 in asked[1:]
    await eventually(more, "it asks for more", 120)
    assert asked[:2] == [10, 5] and asked.index(6) >= 32 and asked.index(7) - asked.index(6) >= 20, asked
    await s.empty(back)


async def test_a_server_that_hangs_does_not_hold_up_the_end(env):
    """What the inlet holds would be handed back by more calls than there may be at a time."""
    s = await sqs(env)
    back = await s.create("replies")
    full = {"q": {"bindings": [{"filter": "in/#", "qos": 1}], "max-messages": 1}}
    stack, client = await bridged(env, s, broker={"subscribers": {"dir": str(pushing.declare(env, **full))}},
                                  b=into("replies", "in/a"))
    for n in range(0, HELD, 10):
        await s.call("send_message_batch", QueueUrl=back, Entries=[
            {"Id": str(i), "MessageBody": str(n + i)} for i in range(10)])
    await eventually(lambda: s.proxy.count("ReceiveMessage") > HELD / 10, "all were received", 60)
    s.proxy.fault = lambda action, request: "hang" if action != "ReceiveMessage" else None
    stack.broker.process.terminate()
    await eventually(lambda: not stack.broker.running(), "it ends", 25)
    s.proxy.released.set()
    env.check_leftovers = False


async def test_through_sqs_into_another_broker_once(env):
    s = await sqs(env)
    url = await s.create("between")
    cut = []

    def fault(action, request):
        if action == BATCH and len(cut) < 3:  # it is done, and nobody knows
            cut.append(request)
            return "cut-after"
        return None
    s.proxy.fault = fault
    one, sender = await bridged(env, s, folder="one", to=out("between"))
    two, reader = await bridged(env, s, folder="two", of=into("between", "{topic}"))
    await reader.subscribe(("orders/#", 1))
    await publish(sender, *[b"%d" % i for i in range(50)], content_type="a/b", user=[("k", "v"), ("k", "w")])
    got = await came(reader, 50)
    assert got[0].topic == "orders/1" and got[0].props["content_type"] == "a/b", got[0]
    assert [v for n, v in got[0].props["user"] if n == "k"] == ["v", "w"], got[0]
    await s.empty(url)
    await nothing_more(reader)
    assert len(cut) == 3


async def test_moto_is_of_one_mind(env):
    s = await sqs(env, Moto)
    url = await s.create("orders")
    back = await s.create("replies.fifo")
    stack, client = await bridged(env, s, b=out("orders") | into("replies.fifo", "in/a"))
    await client.subscribe(("in/#", 1))
    await publish(client, *[b"%d" % i for i in range(20)])
    assert bodies(await s.receive(url, 20)) == sorted(str(i) for i in range(20))
    for i in range(5):
        await s.call("send_message", QueueUrl=back, MessageBody=str(i), MessageGroupId="g", MessageDeduplicationId=str(i))
    assert [m.payload for m in await came(client, 5)] == [b"%d" % i for i in range(5)]
    assert s.proxy.refused == []

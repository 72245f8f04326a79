"""A broker that is killed as it pushes: unless the settlement was durable the message comes again, with the
same id and the attempt that is due, and its reply is published once."""

import asyncio
import json
import signal

from cluster import eventually
from mqtt import Client
from pushing import begin, pushed, settled
from scenario import scenario
from sink import Sink

BEFORE = [b"m0", b"m1"]  # which are done well before
BROKER = {"session": {"grace": "60s", "recovery-time": "0s"}, "workers": 1}
REPLY = {"reply": {"topic": "made/{topic.2}"}}
BATCH = {"batch": {"max": 3, "linger": "1s"}}


def taken(got):
    return 200, {"content-type": "text/plain"}, b"of " + got.body


def failed(_got):
    return 500


class Crash:
    """A broker that ends at a point of the first request that is answered after its start."""

    async def start(self, env, point, **push):
        self.env, self.point = env, point
        self.sink = Sink(taken)
        env.spawn(self.close())
        self.stack, self.client = await begin(env, BROKER, q=pushed(self.sink, concurrency=1, **push))
        self.sub = Client("made")
        env.clients.append(self.sub)
        await self.sub.connect(self.stack.ports[0], clean=False, props={"session_expiry": 300})
        assert await self.sub.subscribe("made/#", qos=2) == [2]
        return self

    async def close(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.sink.close()

    async def publish(self, *texts):
        for text in texts:
            assert await self.client.publish("jobs/a", text, qos=2) == 0

    async def die(self, answer, *texts):
        """These wait as it starts; it ends at the point, with this answer."""
        broker = self.stack.broker
        self.sink.answer = self.sink.hang
        await self.publish(*texts)
        await eventually(lambda: self.sink.busy, "one is out")
        await self.stack.kill(broker)
        self.begun = len(self.sink.got)
        self.first_id = self.sink.got[-1].id
        self.sink.answer = answer
        broker.environment["SQMQOS_FAULT"] = f"{self.point}:1"
        broker.start()
        await eventually(lambda: not broker.running(), "the broker ends")
        assert broker.process.returncode == -signal.SIGKILL, broker.process.returncode
        assert self.stack.log(broker).splitlines()[-1] == f"fault point {self.point}:1"
        del broker.environment["SQMQOS_FAULT"]

    async def again(self):
        """It starts without a fault, and its target takes everything."""
        self.sink.answer = taken
        await self.stack.restart(self.stack.broker)
        await settled(self.stack)

    def requests(self):
        """Since the broker was to end."""
        return self.sink.got[self.begun:]

    async def end(self, *made):
        """These replies came, once, in order."""
        got = [m.payload for m in await self.sub.receive_all(len(made))]
        assert got == list(made), got
        await settled(self.stack)
        assert not self.sub.inbox, self.sub.inbox
        await self.sub.disconnect(props={"session_expiry": 0})


async def single(env, point, answer, attempts):
    """'attempts': of the request at which the broker ends, where that is sure, and of those that follow."""
    crash = await Crash().start(env, point, **REPLY)
    await crash.publish(*BEFORE)
    await settled(crash.stack)
    await crash.die(answer, b"m2")
    await crash.again()
    found = [r.attempt for r in crash.requests()]
    assert found in attempts, found
    assert {(r.id, r.body) for r in crash.requests()} == {(crash.first_id, b"m2")}
    await crash.end(*(b"of " + text for text in [*BEFORE, b"m2"]))


@scenario(timeout_s=90)
async def test_when_a_request_was_sent(env):
    """The broker ends as it leaves, or before that."""
    await single(env, "broker-push-sent", taken, ([1], [1, 1]))


@scenario(timeout_s=90)
async def test_when_its_answer_was_read(env):
    await single(env, "broker-push-answered", taken, ([1, 1],))


@scenario(timeout_s=90)
async def test_before_its_settlement_commits(env):
    await single(env, "broker-pull-settle", taken, ([1, 1],))


@scenario(timeout_s=90)
async def test_after_its_settlement_has_committed(env):
    await single(env, "broker-pull-settle-committed", taken, ([1],))


@scenario(timeout_s=90)
async def test_when_a_failure_was_read(env):
    await single(env, "broker-push-answered", failed, ([1, 1],))


@scenario(timeout_s=90)
async def test_before_a_failed_attempt_commits(env):
    await single(env, "broker-pull-settle", failed, ([1, 1],))


@scenario(timeout_s=90)
async def test_after_a_failed_attempt_has_committed(env):
    await single(env, "broker-pull-settle-committed", failed, ([1, 2],))


def bodies(request):
    return [event["data"] for event in request.json]


def second_failed(got):
    return 200, {"content-type": "application/json"}, json.dumps(
        {"batchItemFailures": [{"itemIdentifier": got.json[1]["id"]}]}).encode()


async def partly(env, point, again, attempt):
    """A batch of three, of which one fails, as the broker ends."""
    crash = await Crash().start(env, point, **BATCH)
    texts = [b"[2]", b"[3]", b"[4]"]
    await crash.die(second_failed, *texts)
    await crash.again()
    first, second = crash.requests()
    assert (bodies(first), first.attempt) == ([[2], [3], [4]], 1), bodies(first)
    assert (bodies(second), second.attempt) == (again, attempt), (bodies(second), second.attempt)
    ids = {str(event["data"]): event["id"] for event in first.json}
    assert all(ids[str(event["data"])] == event["id"] for event in second.json)
    await crash.end()


@scenario(timeout_s=90)
async def test_before_a_batch_that_has_failed_in_part_commits(env):
    await partly(env, "broker-pull-settle", [[2], [3], [4]], 1)


@scenario(timeout_s=90)
async def test_after_a_batch_that_has_failed_in_part_has_committed(env):
    await partly(env, "broker-pull-settle-committed", [[3]], 2)

"""A broker that is killed around the commit of leases and of settlements: the request that got no
answer is sent again, and what it asks for is done once."""

import asyncio
import json
import signal

from api import Api
from cluster import eventually, metric
from mqtt import Client
from scenario import scenario

BEFORE = 2  # of what is done well before
BROKER = {"engine": "embedded", "session": {"grace": "60s", "recovery-time": "0s"},
          "acl": [{"allow": ["manage"], "identity": "token:local"}]}
SHORT_S = 2


class Crash:
    """A stack whose broker ends at a point, and a session that gets what is made."""

    async def start(self, env, point, once, lease="30s"):
        self.env, self.point = env, point
        self.stack = await env.stack(start=False, sidecars=1, broker=BROKER)
        self.arm(BEFORE + 1)
        await self.stack.start()
        self.api = Api(self.stack)
        self.sub = Client("made")
        env.clients.append(self.sub)
        await self.sub.connect(self.stack.ports[0], clean=False, props={"session_expiry": 300})
        assert await self.sub.subscribe("made/#", qos=2) == [2]
        answer = await self.api.ask("PUT", "/v1/queues/q", json.dumps({
            "bindings": [{"filter": "in", "qos": 2}], "exactlyOnce": once, "lease": lease,
            "maxAttempts": 65535}).encode())
        assert answer.status == 201, answer
        return self

    def arm(self, hit):
        self.hit = hit
        self.stack.broker.environment["SQMQOS_FAULT"] = f"{self.point}:{hit}"

    async def again(self):
        """The broker has ended where it was to, and starts without a fault."""
        broker = self.stack.broker
        await eventually(lambda: not broker.running(), "the broker ends")
        assert broker.process.returncode == -signal.SIGKILL, broker.process.returncode
        assert self.stack.log(broker).splitlines()[-1] == f"fault point {self.point}:{self.hit}"
        del broker.environment["SQMQOS_FAULT"]
        broker.start()
        await self.stack.ready()

    async def put(self, *texts):
        for text in texts:
            await self.api.publish("in", text.encode(), {"content-type": "text/plain"})

    async def unanswered(self, action, what):
        argv = self.api.argv("POST", f"/v1/queues/q/{action}", {"content-type": "application/json"},
                             ["-d", json.dumps(what), "-o", "/dev/null"])
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() != 0, "it was answered"

    async def receive(self, wait="5s", status=200):
        """Of one message, (text, attempt, lease)."""
        answer = await self.api.ask("POST", f"/v1/queues/q/receive?max=1&wait={wait}")
        assert answer.status == status, answer
        for m in answer.json["messages"] if status == 200 else ():
            return m["text"], m["attempt"], m["lease"]

    async def settle(self, what):
        return await self.api.ask("POST", "/v1/queues/q/settle", json.dumps(what).encode())

    async def nothing_left(self, made):
        """What was made came once, in order, and the queue is empty."""
        got = [m.payload.decode() for m in await self.sub.receive_all(len(made))]
        assert got == made, got
        assert await self.receive(wait="0s", status=204) is None

        async def empty():
            return await metric(self.stack.broker, "sqmqos_queued_messages") == 0
        await eventually(empty, "nothing is left")
        assert not self.sub.inbox, self.sub.inbox
        await self.sub.disconnect(props={"session_expiry": 0})


def transformed(text, lease):
    return {"ack": [lease], "publish": [{"topic": "made/a", "qos": 2, "text": f"of {text}"}]}


async def settlement(env, point, once, committed):
    crash = await Crash().start(env, point, once)
    texts = [f"m{n}" for n in range(BEFORE + 1)]
    await crash.put(*texts)
    for text in texts[:BEFORE]:
        got, _, lease = await crash.receive()
        assert got == text
        answer = await crash.settle(transformed(text, lease))
        assert answer.status == 200 and "idempotency-replayed" not in answer.headers, answer
    got, attempt, lease = await crash.receive()
    assert (got, attempt) == (texts[BEFORE], 1)
    request = transformed(got, lease)
    await crash.unanswered("settle", request)
    await crash.again()
    answer = await crash.settle(request)
    if committed:
        assert answer.status == 200 and answer.headers["idempotency-replayed"] == "true", answer
    elif once:
        assert answer.status == 200 and "idempotency-replayed" not in answer.headers, answer
    else:
        assert (answer.status, answer.problem) == (409, "lease-lost"), answer
        got, _, lease = await crash.receive()
        assert got == texts[BEFORE]
        request = transformed(got, lease)
        assert (await crash.settle(request)).status == 200
    answer = await crash.settle(request)
    assert answer.status == 200 and answer.headers["idempotency-replayed"] == "true", answer
    other = request | {"publish": [{"topic": "made/a", "text": "another"}]}
    answer = await crash.settle(other)
    assert (answer.status, answer.problem) == (422, "key-reused"), answer
    await crash.nothing_left([f"of {text}" for text in texts])


@scenario(timeout_s=90)
async def test_before_a_settlement_commits(env):
    await settlement(env, "broker-pull-settle", once=False, committed=False)


@scenario(timeout_s=90)
async def test_after_a_settlement_has_committed(env):
    await settlement(env, "broker-pull-settle-committed", once=False, committed=True)


@scenario(timeout_s=90)
async def test_before_a_settlement_of_a_lease_that_lasts(env):
    await settlement(env, "broker-pull-settle", once=True, committed=False)


@scenario(timeout_s=90)
async def test_after_a_settlement_of_a_lease_that_lasts(env):
    await settlement(env, "broker-pull-settle-committed", once=True, committed=True)


async def acknowledgement(env, point):
    """Without a publish: one that lasts is final, and said to be so when it is asked again."""
    crash = await Crash().start(env, point, once=True)
    await crash.put(*(f"m{n}" for n in range(BEFORE + 1)))
    for _ in range(BEFORE):
        _, _, lease = await crash.receive()
        assert (await crash.settle({"ack": [lease]})).status == 200
    _, _, lease = await crash.receive()
    await crash.unanswered("settle", {"ack": [lease]})
    await crash.again()
    assert (await crash.settle({"ack": [lease]})).status == 200
    assert (await crash.settle({"ack": [lease]})).status == 200
    await crash.nothing_left([])


@scenario(timeout_s=90)
async def test_before_an_acknowledgement_commits(env):
    await acknowledgement(env, "broker-pull-settle")


@scenario(timeout_s=90)
async def test_after_an_acknowledgement_has_committed(env):
    await acknowledgement(env, "broker-pull-settle-committed")


async def lease(env, point, attempt):
    """Nobody has heard of it: the message comes again, at once or when it ends."""
    crash = await Crash().start(env, point, once=True, lease=f"{SHORT_S}s")
    await crash.put(*(f"m{n}" for n in range(BEFORE + 1)))
    for _ in range(BEFORE):
        _, _, lease_text = await crash.receive()
        assert (await crash.settle({"ack": [lease_text]})).status == 200
    await crash.unanswered("receive", {"max": 1})
    await crash.again()
    got, found, lease_text = await crash.receive(wait="20s")
    assert (got, found) == (f"m{BEFORE}", attempt), (got, found)
    assert (await crash.settle({"ack": [lease_text]})).status == 200
    await crash.nothing_left([])


@scenario(timeout_s=90)
async def test_before_a_lease_commits(env):
    await lease(env, "broker-pull-lease", 1)


@scenario(timeout_s=90)
async def test_after_a_lease_has_committed(env):
    await lease(env, "broker-pull-lease-committed", 2)

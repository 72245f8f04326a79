"""A publish over HTTP whose broker is killed between the two sides of its commit: its sender, who got
no answer, sends it again with its key, and it is stored once."""

import asyncio
import signal

from api import Api
from cluster import eventually, metric
from mqtt import Client
from scenario import scenario

BEFORE, AFTER = 3, 3
DURABLE = {"session_expiry": 300}
BROKER = {"engine": "embedded", "session": {"grace": "60s", "recovery-time": "0s"}}


def keyed(n):
    return b"message %d" % n, {"idempotency-key": f"key {n}"}


async def runs(argv):
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def unanswered(stack, api, n, point, hit):
    """Sends it to a broker that ends at the point, which it has been armed with."""
    body, headers = keyed(n)
    argv = api.argv("POST", "/v1/publish/t", headers, ["--data-binary", body.decode(), "-o", "/dev/null"])
    assert await runs(argv) != 0, "it was answered"
    await eventually(lambda: not stack.broker.running(), "the broker ends")
    assert stack.broker.process.returncode == -signal.SIGKILL, stack.broker.process.returncode
    assert stack.log(stack.broker).splitlines()[-1] == f"fault point {point}:{hit}"


async def stored_once(env, point, again):
    """'again': the outcome of the repeated request."""
    stack = await env.stack(start=False, sidecars=1, broker=BROKER)
    broker = stack.broker
    broker.environment["SQMQOS_FAULT"] = f"{point}:{BEFORE + 1}"
    await stack.start()
    api = Api(stack)
    sub = Client("sub")
    env.clients.append(sub)
    await sub.connect(stack.ports[0], clean=False, props=DURABLE)
    assert await sub.subscribe("t", qos=2) == [2]
    ids = {}
    for n in range(BEFORE):
        body, headers = keyed(n)
        ids[n] = (await api.publish("t", body, headers)).json["id"]
    await unanswered(stack, api, BEFORE, point, BEFORE + 1)
    broker.environment["SQMQOS_FAULT"] = f"{point}:1"  # once more while it is repeated
    broker.start()
    await stack.ready()
    await unanswered(stack, api, BEFORE, point, 1)
    del broker.environment["SQMQOS_FAULT"]
    broker.start()
    await stack.ready()
    body, headers = keyed(BEFORE)
    answer = await api.publish("t", body, headers)
    assert answer.json["outcome"] == again, answer
    ids[BEFORE] = answer.json["id"]
    assert (await api.publish("t", b"another", headers, 422)).problem == "key-reused"
    for n in range(BEFORE + 1):
        body, headers = keyed(n)
        answer = await api.publish("t", body, headers)
        assert answer.json["outcome"] == "replayed" and answer.json["id"] == ids[n], answer
    for n in range(BEFORE + 1, BEFORE + 1 + AFTER):
        body, headers = keyed(n)
        assert (await api.publish("t", body, headers)).json["outcome"] == "stored"
    got = [m.payload for m in await sub.receive_all(BEFORE + 1 + AFTER)]
    assert got == [keyed(n)[0] for n in range(BEFORE + 1 + AFTER)], got

    async def empty():
        return await metric(broker, "sqmqos_queued_messages") == 0
    await eventually(empty, "nothing is left")
    await sub.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=90)
async def test_before_the_commit(env):
    await stored_once(env, "broker-intake-admitted", "stored")


@scenario(timeout_s=90)
async def test_after_the_commit(env):
    await stored_once(env, "broker-intake-committed", "replayed")

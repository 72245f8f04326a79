"""Push: what a subscriber takes of the broker's memory that has nothing to do, and what requests take."""

import asyncio
import pathlib
import re
import threading

from cluster import eventually, metric
from libcurl import Curl
from pushing import LOCAL, SPACE, begin, pushed, settled
from scenario import scenario
from sink import Sink

KIB, MIB = 1 << 10, 1 << 20
WARM, MANY = 100, 4000
PUSH, WHOLE = 4 * KIB, 9 * KIB  # of a queue's push with its dispatcher, and of all with the queue itself
AT_A_TIME = 100
OUT = 12 * MIB  # libcurl with the libraries that it wants, its thread, and its connections


def memory(program, what):
    text = pathlib.Path(f"/proc/{program.pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB", text, re.M)[1]) * 1024


def declared(stack, first, n, more):
    """So many queues, by one client."""
    client = Curl(f"http://127.0.0.1:{stack.broker_port}", "1.1", (stack.folder / "token").read_text().strip(), SPACE)
    for i in range(first, first + n):
        queue = {"bindings": [{"filter": f"jobs/{i}", "qos": 1}]} | more
        answer = client.ask("PUT", f"/v1/queues/q-{i}", queue, 30)
        assert answer.status == 201, answer
    client.close()


@scenario(build="release", timeout_s=180)
async def test_a_subscriber_with_nothing_to_do(env):
    each = []
    for more in ({}, {"push": {"url": "http://127.0.0.1:1/in/{topic.2}", "timeout": "10s", "format": "structured"}}):
        stack, _ = await begin(env)
        await asyncio.to_thread(declared, stack, 0, WARM, more)
        before = memory(stack.broker, "RssAnon")
        await asyncio.to_thread(declared, stack, WARM, MANY, more)
        each.append((memory(stack.broker, "RssAnon") - before) / MANY)
    queue, whole = each
    print(f"{queue / KIB:.2f} KiB a queue, {whole / KIB:.2f} KiB one that is pushed")
    assert whole - queue <= PUSH and whole <= WHOLE, (queue, whole)


@scenario(build="release", timeout_s=120)
async def test_the_thread_of_requests_with_100_connections(env):
    go = threading.Event()
    target = Sink(lambda got: 200 if go.wait() else 0)
    stack, client = await begin(env, {"push": LOCAL | {"connections-per-origin": 2 * AT_A_TIME}},
                                q=pushed(target, timeout="10m", concurrency=AT_A_TIME))
    before = memory(stack.broker, "VmRSS")
    for i in range(AT_A_TIME):
        assert await client.publish("jobs/1", b"%d" % i, qos=1) == 0
    await eventually(lambda: target.busy == AT_A_TIME, "all are out", 30)
    assert await metric(stack.broker, "sqmqos_out_connections") == AT_A_TIME
    grown = memory(stack.broker, "VmRSS") - before
    print(f"{grown / MIB:.2f} MiB")
    assert grown <= OUT, f"{grown / MIB:.2f} MiB"
    go.set()
    await settled(stack)
    target.close()

"""A large backlog in a durable session over restarts of the broker: nothing is
lost, doubled or reordered, and memory has a bound that the backlog does not move."""

import asyncio
import json

import clients
from cluster import anonymous, eventually, metric
from scenario import scenario

MIB = 1 << 20
# Small, so that a backlog is many times what memory may hold of it.
STORE = {"engine": "embedded",
         "store": {"journal-size": "8Mi", "cache-size": "2Mi"},
         "queue": {"max-messages": 1000000, "max-bytes": "4Gi"}}


async def generate(env, stack, *flags):
    """A run of the load generator that must be in order; its JSON object."""
    program = clients.ROOT / "build" / env.settings.build / "sqmqos-bench"
    process = await asyncio.create_subprocess_exec(
        str(program), "--json", "--pub", f"127.0.0.1:{stack.ports[0]}", "--sub",
        f"127.0.0.1:{stack.ports[1]}", "--prefix", "backlog", "--durable", "--keep", "--qos", "1",
        "--size", "1024", *map(str, flags),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    env.processes.append(process)
    out, err = await asyncio.wait_for(process.communicate(), 200)
    assert process.returncode == 0, (out.decode(), err.decode())
    return json.loads(out)


async def publish(env, stack, first, count):
    """Messages first to first + count - 1, all acknowledged, to nobody who is there."""
    result = await generate(env, stack, "--subscribers", 0, "--first", first, "--count", count,
                            "--window", 1000)
    assert result["acked"] == count


async def take(env, stack, first, count):
    """Those messages, complete and in order; the generator fails where they are not."""
    result = await generate(env, stack, "--resume", "--expect", first, "--take", count,
                            "--drain", 150)
    assert result["received_total"] == count
    assert result["lost"] == result["reordered"] == result["duplicates"] == 0
    assert result["foreign"] == 0


async def waiting(stack, count):
    async def all_there():
        return await metric(stack.broker, "sqmqos_queued_messages") == count
    await eventually(all_there, f"{count} messages wait")


async def forget(env, stack):
    """Ends the durable session."""
    client = await env.connect(stack.ports[1], "backlog-s0", clean=True)
    await client.disconnect()


@scenario(timeout_s=300, alone=True, build="release")
async def test_a_backlog_survives_restarts_in_bounded_memory(env):
    """100,000 messages of 1 KiB: memory is not more than 10,000 need, and a fixed part."""
    stack = await env.stack(broker=STORE)
    broker = stack.broker
    small, count = 10000, 100000
    await generate(env, stack, "--count", 1)  # makes the session
    await publish(env, stack, 1, small)
    await waiting(stack, small)
    before = anonymous(broker)
    await publish(env, stack, 1 + small, count - small)
    await waiting(stack, count)
    bound = before + 16 * MIB
    assert anonymous(broker) < bound, (anonymous(broker), before)
    await stack.kill(broker)
    await stack.restart(broker)
    await waiting(stack, count)
    assert anonymous(broker) < bound, (anonymous(broker), before)
    await stack.end(broker)
    await stack.restart(broker)
    await waiting(stack, count)
    assert anonymous(broker) < bound, (anonymous(broker), before)
    await take(env, stack, 1, count)
    assert anonymous(broker) < bound, (anonymous(broker), before)
    await forget(env, stack)


@scenario(timeout_s=300, alone=True, build="release")
async def test_many_backlogs_share_the_memory_for_them(env):
    """100 sessions with 2,000 messages each come back at once, with small receive
    windows, to a broker that has just started."""
    # What is on its way to a client is in memory, too: few of each, by its credit.
    stack = await env.stack(broker=STORE | {"store": {"journal-size": "8Mi", "cache-size": "16Mi"}},
                            sidecar={"session": {"credit-bytes": "8Ki"}})
    sessions, each = 100, 2000
    shape = ("--publishers", sessions)
    await generate(env, stack, *shape, "--subscribers", sessions, "--count", 1)
    await generate(env, stack, *shape, "--subscribers", 0, "--first", 1, "--count", each,
                   "--window", 10)
    await waiting(stack, sessions * each)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    fresh = anonymous(stack.broker)
    # As many wait all along: acknowledged is only what was published meanwhile.
    await generate(env, stack, *shape, "--subscribers", sessions, "--resume", "--pace",
                   "--receive-max", 2, "--expect", 1, "--first", 1 + each, "--window", 1,
                   "--count", 20)
    await waiting(stack, sessions * each)
    grown = anonymous(stack.broker) - fresh
    # The cache, and what stands ready for each client: at most 256 messages.
    assert grown < 80 * MIB, f"memory grew by {grown >> 20} MiB"
    await generate(env, stack, *shape, "--subscribers", sessions, "--resume", "--expect", 21,
                   "--take", each, "--drain", 150)
    for n in range(sessions):
        client = await env.connect(stack.ports[1], f"backlog-s{n}", clean=True)
        await client.disconnect()

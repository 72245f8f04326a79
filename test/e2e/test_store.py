"""The broker's store in trouble: full, damaged, foreign, taken; and what each
durability keeps when the broker is killed."""

import asyncio
import os
import pathlib
import random
import re
import struct
import subprocess
import sys

import mqtt
from cluster import eventually, metric
from flow import Ledger, Publisher, number
from scenario import ROOT, Skip, scenario

sys.path.insert(0, str(ROOT / "test" / "torture"))
import disk  # noqa: E402

V311 = mqtt.V311
DURABLE = {"session_expiry": 3600}
SMALL = {"journal-size": "8Mi", "max-size": "64Mi"}
QUOTA = 0x97
UNAVAILABLE = 0x88
KIB = 1024


# ---- what scenarios share

async def stack_with(env, store=None, **options):
    """A stack that is not started yet; of its broker's store these keys."""
    broker = {"engine": "embedded", "store": store or SMALL} | options.pop("broker", {})
    return await env.stack(start=False, broker=broker, **options)


def folder(stack):
    return pathlib.Path(stack.broker.tree["store"]["dir"])


def lines(stack):
    """Of the broker's log."""
    return stack.log(stack.broker).splitlines()


async def absent(env, stack, client_id="absent", version=V311):
    """A durable session with a subscription, whose client has left."""
    client = await env.connect(stack.ports[1], client_id, version, clean=False,
                               props=DURABLE if version == mqtt.V5 else None)
    await client.subscribe(("flow/#", 2))
    await client.disconnect()
    return client


def flood(env, client, ledger, size=KIB):
    """Publishes until stopped: (publisher, task)."""
    publisher = Publisher(client, f"flow/{client.client_id}", 1, ledger, 100, size)
    return publisher, env.spawn(publisher.run())


async def take_all(client, ledger, port, version=V311):
    client.on_message = ledger.take
    await client.connect(port, clean=False, props=DURABLE if version == mqtt.V5 else None)
    await eventually(ledger.complete, "all that was acknowledged arrives", 120)
    assert ledger.problems(duplicates_allowed=True) == []


async def not_ready(program, pattern, timeout_s=20):
    async def says():
        ok, why = await asyncio.to_thread(program.ready)
        return not ok and re.search(pattern, why)
    await eventually(says, f"not ready, with {pattern}", timeout_s)


# ---- full

@scenario(timeout_s=300)
async def test_a_full_disk_stops_what_is_durable_and_goes_on_by_itself(env):
    """Publishers get 0x97 (MQTT 5) or wait (3.1.1), a durable CONNECT is refused in time,
    what needs no disk goes on, and when there is room so does everything."""
    stack = await stack_with(env, sidecar={"session": {"attach-timeout": "2s"}})
    try:
        small = disk.Small(folder(stack), 48)
    except OSError as e:
        raise Skip(f"no small disk: {e}") from None
    try:
        await stack.start()
        a, b = stack.ports
        ledger = Ledger()
        away = await absent(env, stack)
        await absent(env, stack, "other")
        five = await env.connect(a, "five")
        old = await env.connect(a, "old", V311)
        live = await env.connect(b, "live")
        await live.subscribe(("live/#", 1))

        small.fill(random.Random(0))
        caught, task = flood(env, await env.connect(a, "caught"), ledger)
        await not_ready(stack.broker, "journal: .*No space left")
        assert await metric(stack.broker, "sqmqos_store_stalled") == 1

        waits = old.publish_nowait("flow/old", number("old", 0), 1)
        assert await five.publish("flow/five", b"refused 0 ", 1) == QUOTA
        late = env.client("late")
        assert (await late.connect(b, clean=False, props=DURABLE)).code == UNAVAILABLE
        other = await env.connect(a, "other")  # to end a durable session it has to wait
        ended = asyncio.create_task(other.subscribe(("other/#", 1)))
        await five.publish("live/a", b"needs no disk", 1)
        assert (await live.receive()).payload == b"needs no disk"
        assert not waits.done() and not ended.done()

        small.empty()
        await stack.ready(stack.broker)
        assert await asyncio.wait_for(waits, 30) == 0
        ledger.acked["old"].add(0)
        assert await metric(stack.broker, "sqmqos_store_stalled") == 0
        caught.stop()
        await asyncio.wait_for(task, 60)
        assert await asyncio.wait_for(ended, 30)
        await take_all(away, ledger, b)
        env.check_leftovers = False
    finally:
        small.close()

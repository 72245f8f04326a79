"""Brokers on one log whose segments are dropped as snapshots of the store come: whoever has an empty
directory begins with the newest of them."""

import asyncio
import os
import re

import brokers
from cluster import eventually
from flow import DURABLE, Traffic
from scenario import scenario

BROKER = {"log": {"segment-size": "1Mi", "snapshot-size": "1Mi"}, "store": {"journal-size": "8Mi"}}
RUNS = {"tls": False, "broker": BROKER,
        "sidecar": {"pool": {"backoff-min": "20ms", "backoff-max": "200ms"}}}
SIZE = 30000  # of a retained message; all but the last of each topic are soon gone


class Load:
    """Fills the log: retained messages, again and again."""

    def __init__(self, client, kept):
        self.client = client
        self.kept = kept
        self.payloads = {}
        self.sent = 0

    async def some(self, n):
        for _ in range(n):
            topic = f"kept/{self.sent % self.kept}"
            self.sent += 1
            payload = os.urandom(SIZE)
            assert await self.client.publish(topic, payload, 1, retain=True, timeout_s=60) < 0x80
            self.payloads[topic] = payload

    async def until(self, condition, what, timeout_s=60):
        """Goes on until that is so."""
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await self.some(8)

    async def is_there(self, env, port):
        """At the end: all that is retained comes to a new subscriber."""
        subscriber = env.client("reader")
        await subscriber.connect(port)
        await subscriber.subscribe(("kept/#", 1))
        got = {m.topic: m.payload for m in await subscriber.receive_all(len(self.payloads), 60)}
        assert got == self.payloads
        await subscriber.disconnect()
        for topic in self.payloads:  # nothing is left over
            assert await self.client.publish(topic, b"", 1, retain=True) < 0x80


class Log:
    """What the database has."""

    def __init__(self, stack):
        self.stack = stack

    async def ask(self, sql):
        return await asyncio.to_thread(self.stack.database.primary.sql, sql)

    async def first(self):
        return int((await self.ask("SELECT min(first) FROM sqmqos.segment"))[0][0])

    async def snapshots(self, done="done"):
        """Their (number, lsn, bytes), the oldest first."""
        return [tuple(map(int, row)) for row in await self.ask(
            f"SELECT n, lsn, bytes FROM sqmqos.snapshot WHERE {done} ORDER BY n")]

    async def dropped(self):
        return await self.first() > 1

    async def has_newer(self, than):
        found = await self.snapshots()
        return bool(found) and found[-1][0] > than

    async def two(self):
        return len(await self.snapshots()) == 2


async def loaded(env, late=0, kept=24, **options):
    """Brokers under load; 'late' of them are not started."""
    stack = await brokers.on_postgres(env, start=False, **RUNS | options)
    rest = [stack.brokers.pop() for _ in range(late)]
    await stack.start()
    stack.brokers += rest
    stack.descriptors |= {b.name: stack.descriptors[stack.brokers[0].name] for b in rest}
    client = env.client("loader")
    await client.connect(stack.ports[0], clean=True, props=DURABLE)
    return stack, Load(client, kept), Log(stack)


async def remove_all(stack):
    for b in stack.brokers:
        await stack.kill(b)
        b.remove_store()


async def seeded(stack, broker, at_least=1):
    """Awaits that a broker, which had an empty directory, has begun with a snapshot; its number."""
    def number():
        said = re.findall(r" snapshot (\d+) of record \d+, \d+ bytes, is in ", stack.log(broker))
        return int(said[-1]) if said else 0
    await eventually(lambda: number() >= at_least, f"{broker.id} begins with a snapshot", 30)
    return number()


@scenario(timeout_s=150)
async def test_a_new_broker_joins_after_the_begin_of_the_log_is_gone(env):
    stack, load, log = await loaded(env, late=1)
    new = stack.brokers[2]
    await load.until(log.dropped, "segments are dropped")
    await eventually(log.two, "and two snapshots are kept")
    new.start()
    await seeded(stack, new)
    await stack.ready()
    await stack.role(new, brokers.FOLLOWER)
    assert new.restarts == 0
    for other in stack.brokers[:2]:  # the new one is all that is left
        await stack.kill(other)
    await stack.owner()
    await stack.linked()
    await load.is_there(env, stack.ports[1])
    for other in stack.brokers[:2]:
        other.start()
    await stack.ready()


@scenario(timeout_s=150)
async def test_all_directories_are_gone_at_once(env):
    stack, load, log = await loaded(env)
    traffic = await Traffic().start(env, stack)
    await load.until(log.two, "there are two snapshots")
    await traffic.more(20)
    await remove_all(stack)
    for b in stack.brokers:
        b.start()
    await stack.owner()
    await stack.ready()
    for b in stack.brokers:
        await seeded(stack, b)
    await traffic.more(20)
    await load.until(log.dropped, "the log goes on, and its begin is dropped")
    await traffic.finish()
    await load.is_there(env, stack.ports[1])


@scenario(timeout_s=150)
async def test_an_owner_alone_writes_snapshots_too(env):
    stack, load, log = await loaded(env, brokers=1)
    await load.until(log.dropped, "segments are dropped")
    await remove_all(stack)
    stack.brokers[0].start()
    await stack.owner()
    await seeded(stack, stack.brokers[0])
    await stack.ready()
    await load.is_there(env, stack.ports[1])


@scenario(timeout_s=240)
async def test_a_writer_that_dies_at_any_row_leaves_the_older_snapshot(env):
    """Whoever reads takes that one."""
    stack, load, log = await loaded(env, brokers=1, kept=40)  # of three rows
    only = stack.brokers[0]
    await load.until(log.two, "there are two snapshots")
    newest = 0
    for row in (1, 2, 3):
        newest = (await log.snapshots())[-1][0]
        await stack.kill(only)
        only.environment["SQMQOS_FAULT"] = f"snapshot-row:{row}"
        only.start()
        await stack.owner()
        await stack.linked()
        over = asyncio.Event()
        filling = env.spawn(load.until(lambda: asyncio.sleep(0, over.is_set()), "it is over"))
        await eventually(lambda: not only.running(), "the writer dies", 60)
        over.set()
        del only.environment["SQMQOS_FAULT"]
        torn = await log.snapshots("NOT done")
        assert len(torn) == 1 and torn[0][0] > newest, torn
        assert (await log.ask(f"SELECT count(*) FROM sqmqos.snap_0_{torn[0][0]}"))[0][0] == str(row)
        assert (await log.snapshots())[-1][0] == newest
        only.remove_store()
        only.start()
        await stack.owner()
        await stack.ready()
        assert await seeded(stack, only) == newest
        await filling
    await load.until(lambda: log.has_newer(newest), "one that is whole comes")
    assert await log.snapshots("NOT done") == [], "what was torn is removed"
    await load.is_there(env, stack.ports[1])


@scenario(timeout_s=150)
async def test_a_snapshot_that_is_damaged_is_not_taken(env):
    """Nor one without a row; the one before is, and without that the directory stays empty."""
    stack, load, log = await loaded(env)
    await load.until(log.two, "there are two snapshots")
    was = await stack.owner()
    victim = (await stack.followers())[0]
    older, newest = await log.snapshots()
    for damage in (f"UPDATE sqmqos.snap_0_{newest[0]} SET data = set_byte(data, 5000,"
                   " 255 - get_byte(data, 5000)) WHERE i = 1",
                   f"DELETE FROM sqmqos.snap_0_{newest[0]} WHERE i = 1"):
        await log.ask(damage)
        await stack.kill(victim)
        victim.remove_store()
        victim.start()
        assert await seeded(stack, victim) == older[0]
        await stack.ready()
        assert "does not verify" in stack.log(victim)
    assert await stack.owner() is was
    await load.is_there(env, stack.ports[1])

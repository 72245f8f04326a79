"""A broker whose disk is full: publishers are refused or wait, it is not ready, and
all goes on when there is room again. On a small disk of its own, so as root only."""

import asyncio
import contextlib
import pathlib
import random
import signal
import sys

from cluster import eventually, metric
from scenario import Skip, scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import disk as disks  # noqa: E402

QUOTA = 0x97
KEPT = {"session_expiry": 3600}
PAYLOAD = b"x" * 65000
WINDOW = 8
SMALL_MIB = 128
CUT = 3  # the exit code of a program that was ended at once


@contextlib.contextmanager
def small_disk(env):
    try:
        disk = disks.Small(env.folder / "disk", SMALL_MIB)
    except OSError as e:
        raise Skip(f"no small disk here: {e}") from None
    try:
        yield disk
    finally:
        disk.close()


class Publisher:
    """Publishes numbers at QoS 2, and keeps what became of each."""

    def __init__(self, client):
        self.client = client
        self.answers = []

    def publish(self):
        number = len(self.answers)
        self.answers.append(self.client.publish_nowait(
            "full/x", b"%d " % number + PAYLOAD, 2))

    async def until(self, done):
        """Publishes, a few at a time, until done()."""
        while not done():
            if sum(not a.done() for a in self.answers) < WINDOW:
                self.publish()
            await asyncio.sleep(0.002)

    async def accepted(self):
        codes = await asyncio.wait_for(asyncio.gather(*self.answers), 30)
        assert set(codes) <= {0, QUOTA}, set(codes)
        return [n for n, code in enumerate(codes) if code == 0]


async def begin(env, disk, journal="8Mi", drain="10s"):
    """A stack, a publisher, and a durable session that is away."""
    stack = await env.stack(sidecars=1, broker={
        "engine": "embedded", "drain-timeout": drain,
        "store": {"dir": str(disk.folder / "store"), "journal-size": journal, "max-size": "256Mi"}})
    sub = await env.connect(stack.ports[0], "sub", clean=False, props=KEPT)
    await sub.subscribe("full/#", qos=2)
    await sub.disconnect()
    publisher = Publisher(await env.connect(stack.ports[0], "pub", clean=False, props=KEPT))
    await publisher.until(lambda: len(publisher.answers) == 20)
    return stack, publisher


async def not_ready(stack, part):
    ready, why = await asyncio.to_thread(stack.broker.ready)
    return not ready and f"store: {part}" in why


async def fill_up(stack, publisher, disk, part="tables", leave=0):
    """Publishes on a full disk until the broker says so."""
    await asyncio.to_thread(disk.fill, random.Random(0), leave)
    complains = asyncio.ensure_future(
        eventually(lambda: not_ready(stack, part), "the broker is not ready", 30))
    await publisher.until(complains.done)
    await complains
    assert await metric(stack.broker, "sqmqos_store_stalled") == 1


async def end(env, stack, publisher):
    """All that was accepted comes once, in order, and nothing that was refused."""
    publisher.publish()
    accepted = await publisher.accepted()
    assert accepted[-1] == len(publisher.answers) - 1, "the last one is refused"
    sub = await env.connect(stack.ports[0], "sub", clean=False, props=KEPT)
    got = [int(m.payload.split()[0]) for m in await sub.receive_all(len(accepted))]
    assert got == accepted, (got, accepted)
    assert not sub.inbox
    await sub.disconnect()
    for client in ("sub", "pub"):
        await publisher.client.disconnect()
        await (await env.connect(stack.ports[0], client, clean=True)).disconnect()
    await stack.nothing_left()
    await stack.stop()  # before its disk goes
    env.stacks.remove(stack)


@scenario(timeout_s=120)
async def test_a_full_disk_and_room_again(env):
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk)
        await fill_up(stack, publisher, disk)
        publisher.publish()  # waits, or is refused
        disk.empty()
        await stack.ready()
        await end(env, stack, publisher)


@scenario(timeout_s=120)
async def test_a_disk_with_hardly_any_room(env):
    """Enough for the small checkpoint that is tried next, which is not the end of it."""
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk)
        await fill_up(stack, publisher, disk, leave=512 << 10)
        disk.empty()
        await stack.ready()
        await end(env, stack, publisher)


@scenario(timeout_s=120)
async def test_no_room_for_the_journal(env):
    """Its segments are so large that no checkpoint comes first."""
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk, "128Mi")
        await fill_up(stack, publisher, disk, "journal")
        publisher.publish()
        disk.empty()
        await stack.ready()
        await end(env, stack, publisher)


@scenario(timeout_s=120)
async def test_a_broker_starts_on_a_full_disk(env):
    """It was killed there, and has room only later. Without a single page it can't
    even count its start, and says so; started again it is there when there is room."""
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk)
        await fill_up(stack, publisher, disk)
        await stack.kill(stack.broker)
        stack.broker.start()
        publisher.publish()
        await eventually(lambda: stack.broker.get("/livez")[0] == 200 or
                         not stack.broker.running(), "the broker is there, or has ended")
        disk.empty()
        while not stack.broker.ready()[0]:
            if not stack.broker.running():
                assert stack.broker.process.returncode == 1
                assert "No space left" in stack.log(stack.broker).splitlines()[-1]
                stack.broker.start()
            await asyncio.sleep(0.05)
        await stack.ready()
        await end(env, stack, publisher)


async def ended(stack, within_s, why):
    """The broker is ended in time, and says why that was no orderly end."""
    assert await asyncio.to_thread(stack.broker.process.wait, within_s) == CUT
    assert f"{why}: ended at once" in stack.broker.last_words(), stack.broker.last_words()


async def test_a_broker_that_has_no_page_for_its_readers_says_so(env):
    """LMDB's file of readers is written through a mapping, and may be gone after a power loss."""
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk)
        await stack.kill(stack.broker)
        next(disk.folder.rglob("lock.mdb")).unlink()
        disk.fill(None, 0)
        stack.broker.start()
        assert await asyncio.to_thread(stack.broker.process.wait, 20) == 1
        assert "No space left" in stack.broker.last_words()
        disk.empty()
        stack.broker.start()
        await stack.ready()
        await end(env, stack, publisher)


@scenario(timeout_s=120)
async def test_sigterm_on_a_full_disk(env):
    """What waits for the journal keeps the broker for drain-timeout, and 5 s at most."""
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk, "128Mi", drain="500ms")
        await fill_up(stack, publisher, disk, "journal")
        publisher.publish()
        stack.broker.signal(signal.SIGTERM)
        await ended(stack, 0.5 + 5, "the time for an orderly end is over")
        disk.empty()
        stack.broker.start()
        await stack.ready()
        await end(env, stack, publisher)


@scenario(timeout_s=120)
async def test_a_second_signal_on_a_full_disk(env):
    with small_disk(env) as disk:
        stack, publisher = await begin(env, disk, "128Mi", drain="1h")
        await fill_up(stack, publisher, disk, "journal")
        publisher.publish()
        stack.broker.signal(signal.SIGTERM)
        await eventually(lambda: "draining" in stack.broker.last_words(), "it drains")
        stack.broker.signal(signal.SIGTERM)
        await ended(stack, 5, "a second signal")
        disk.empty()
        stack.broker.start()
        await stack.ready()
        await end(env, stack, publisher)

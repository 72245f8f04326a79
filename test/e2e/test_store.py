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
import time

import mqtt
from cluster import anonymous, eventually, metric, metrics
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
MIB = 1 << 20


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


# ---- hung

@scenario(timeout_s=120)
async def test_a_disk_that_never_answers_is_a_stall(env):
    """A call that does not return says nothing: the time of the commit does, once in the log. Restarting
    would not help, so the broker lives on, and what needs no disk goes on."""
    stack = await stack_with(env, store={"stall-timeout": "1s"})
    stack.broker.environment["SQMQOS_FAULT"] = "journal-before-write:20:hang"
    await stack.start()
    env.check_leftovers = False  # of what waits there will be no end
    a, b = stack.ports
    await absent(env, stack)
    app = await env.connect(a, "app")
    waiting = []
    while "fault point" not in stack.log(stack.broker):  # where the journal's writer stays
        waiting.append(app.publish_nowait("flow/app", number("app", len(waiting)), 1))
        await asyncio.sleep(0.01)
    waits = app.publish_nowait("flow/app", b"waits 0 ", 1)
    await not_ready(stack.broker, r"journal: the disk has not done a commit for \d+ s")
    assert await metric(stack.broker, "sqmqos_store_stalled") == 1
    assert stack.broker.get("/livez")[0] == 200
    five = await env.connect(a, "five")
    assert await five.publish("flow/five", b"refused 0 ", 1) == QUOTA
    live = await env.connect(b, "live")
    await live.subscribe(("live/#", 1))
    await five.publish("live/a", b"needs no disk", 1)
    assert (await live.receive()).payload == b"needs no disk"
    assert not waits.done()
    assert stack.log(stack.broker).count("has not done a commit") == 1
    await stack.kill(stack.broker)


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


@scenario(timeout_s=300)
async def test_full_tables_refuse_and_room_comes_with_consumption(env):
    stack = await stack_with(env, SMALL | {"max-size": "16Mi"})
    stack.broker.tree["limits"] = {"spaces": 1}  # one may fill them
    await stack.start()
    a, b = stack.ports
    ledger = Ledger()
    away = await absent(env, stack)
    publisher, task = flood(env, await env.connect(a, "full"), ledger)

    async def full():
        found = await metrics(stack.broker)
        return found["sqmqos_store_stalled"] and found["sqmqos_store_table_bytes"] > 12 * MIB
    await eventually(full, "the tables are full", 120)
    publisher.stop()
    await task
    assert {reason for _, reason in publisher.refused} == {QUOTA}
    assert await metric(stack.broker, "sqmqos_store_stalled") == 1
    assert any(re.search("warn store tables: .* full", line) for line in lines(stack))
    old = await env.connect(a, "old", V311)
    waits = old.publish_nowait("flow/old", number("old", 0), 1)
    # It is ready: consumers come, and make room.
    assert await asyncio.to_thread(stack.broker.ready) == (True, "ok")
    await stack.kill(stack.broker)  # nor does that change anything
    await stack.restart(stack.broker)
    assert not waits.done()
    away.on_message = ledger.take
    await away.connect(b, clean=False)
    assert await asyncio.wait_for(waits, 60) == 0
    ledger.acked["old"].add(0)
    await eventually(ledger.complete, "all that was acknowledged arrives", 120)
    assert ledger.problems(duplicates_allowed=True) == []

    async def room():
        return await metric(stack.broker, "sqmqos_store_stalled") == 0
    await eventually(room, "the tables have room", 30)
    again, task = flood(env, await env.connect(a, "again"), ledger)
    await eventually(lambda: len(ledger.acked["again"]) > 5000, "it takes as before", 60)
    again.stop()
    await task
    await eventually(ledger.complete, "all that was acknowledged arrives", 60)


TINY = SMALL | {"max-size": "16Mi"}
MANY = [n for n in range(4000)]


async def stalled(stack, value):
    async def says():
        return await metric(stack.broker, "sqmqos_store_stalled") == value
    await eventually(says, f"sqmqos_store_stalled is {value}", 120)


async def stays_full(stack):
    """Whether the tables are; what is in the journal may need less than was feared."""
    result = []

    async def known():
        found = await metrics(stack.broker)
        full = found["sqmqos_store_table_bytes"] > 12 * MIB
        if full or not found["sqmqos_store_stalled"]:
            result.append(full and found["sqmqos_store_stalled"] == 1)
        return result
    await eventually(known, "it is known whether it is full", 60)
    return result[-1]


async def fill_by(kind, env, stack, port):
    """Until that is refused; returns what ends it all."""
    clients = []

    async def by_retained():
        client = await env.connect(port, "filler")
        clients.append(client)
        for n in MANY:
            code = await client.publish(f"kept/{n}", b"r" * 8 * KIB, 1, retain=True)
            if code == QUOTA and await stays_full(stack):
                return n
        return 0

    async def by_sessions():
        for n in MANY:
            client = env.client(f"filler-{n}")
            will = mqtt.Will("t", b"w" * 50 * KIB, 1)
            connack = await client.connect(port, clean=False, props=DURABLE, will=will)
            if connack.code == QUOTA:
                assert "no room for one more" in connack.props["reason_string"]
                await client.wait_closed()
                if await stays_full(stack):
                    return n
                continue
            assert connack.code == 0
            clients.append(client)
        return 0

    async def by_subscriptions():
        for n in MANY:
            client = env.client(f"filler-{n}")
            connack = await client.connect(port, clean=False, props=DURABLE)
            if connack.code == QUOTA:
                if await stays_full(stack):
                    return n
                continue
            clients.append(client)
            filters = [(f"{i}/" + "s" * 900, 1) for i in range(800)]
            for i in range(0, 800, 100):
                if QUOTA in await client.subscribe(*filters[i:i + 100]):
                    if await stays_full(stack):
                        return n + 1
        return 0

    assert await {"retained": by_retained, "sessions": by_sessions,
                  "subscriptions": by_subscriptions}[kind]() > 0

    async def ends():
        if kind == "retained":
            for n in MANY:
                if await clients[0].publish(f"kept/{n}", b"", 1, retain=True) >= 0x80:
                    raise AssertionError("what ends something is refused")
                if await metric(stack.broker, "sqmqos_retained_messages") == 0:
                    return
        for client in clients:
            await client.disconnect(props={"session_expiry": 0})
    return ends


async def full_by(kind, env):
    """The store fills, others keep what they have, and all goes on without a restart."""
    stack = await stack_with(env, TINY)
    await stack.start()
    a, b = stack.ports
    there = env.client("there")
    await there.connect(a, clean=False, props=DURABLE)
    await there.subscribe(("mine", 1))
    pub = await env.connect(b, "pub")
    assert await pub.publish("mine", b"before", 1) == 0
    assert (await there.receive()).payload == b"before"
    ends = await fill_by(kind, env, stack, b)
    await stalled(stack, 1)

    assert await pub.publish("mine", b"full", 1) == QUOTA
    assert await pub.publish("kept/new", b"full", 1, retain=True) == QUOTA
    assert await there.subscribe(("more", 1)) == [QUOTA]
    new = env.client("new")
    assert (await new.connect(a, clean=False, props=DURABLE)).code == QUOTA
    await new.wait_closed()
    live = await env.connect(a, "live")  # who needs no store is not concerned
    assert await live.subscribe(("live", 1)) == [1]
    assert await pub.publish("live", b"on", 1) == 0
    assert (await live.receive()).payload == b"on"
    assert await asyncio.to_thread(stack.broker.ready) == (True, "ok")

    await ends()
    await stalled(stack, 0)
    assert await pub.publish("mine", b"after", 1) == 0
    assert (await there.receive()).payload == b"after"
    assert await there.subscribe(("more", 1)) == [1]
    assert (await new.connect(a, clean=False, props=DURABLE)).code == 0
    for client in (there, new):
        await client.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=300)
async def test_a_store_full_of_retained_messages_goes_on_by_itself(env):
    await full_by("retained", env)


@scenario(timeout_s=300)
async def test_a_store_full_of_sessions_goes_on_by_itself(env):
    await full_by("sessions", env)


@scenario(timeout_s=300)
async def test_a_store_full_of_subscriptions_goes_on_by_itself(env):
    await full_by("subscriptions", env)


# ---- damaged, foreign, taken

CRC_TABLE = [0] * 256
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    CRC_TABLE[i] = c


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Kept:
    """The store of a killed broker with messages in its journal and its tables."""

    def __init__(self, env, stack):
        self.env = env
        self.stack = stack
        self.folder = folder(stack)
        self.original = env.folder / "original"
        subprocess.run(["cp", "-a", "--sparse=always", self.folder, self.original], check=True)

    @staticmethod
    async def made(env):
        stack = await stack_with(env)
        await stack.start()
        await absent(env, stack)
        ledger = Ledger()
        publisher, task = flood(env, await env.connect(stack.ports[0], "p"), ledger)

        async def both():
            return await metric(stack.broker, "sqmqos_store_checkpoints_total") >= 2
        await eventually(both, "checkpoints", 60)
        publisher.stop()
        await task
        await absent(env, stack, "last")
        await stack.kill(stack.broker)
        for sidecar in stack.sidecars:
            await stack.kill(sidecar)
        stack.broker.log_path.unlink()
        env.check_leftovers = False
        return Kept(env, stack)

    def restore(self):
        subprocess.run(["rm", "-rf", self.folder], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", self.original, self.folder], check=True)
        self.stack.broker.log_path.unlink(missing_ok=True)

    def journal(self):
        """The segment with the newest records."""
        return max(p for p in self.folder.glob("journal-*") if holds_records(p))

    def check(self):
        done = subprocess.run([*self.stack.broker.argv, "--check-store"], capture_output=True,
                              text=True, timeout=120, env=self.stack.broker.environment)
        return done.returncode, done.stdout + done.stderr

    async def refused(self, *said, checked=True):
        """The broker does not serve: code 1, and one line that says all of 'said'."""
        code, found = await asyncio.to_thread(self.check)
        assert code == checked, found
        broker = self.stack.broker
        broker.start()
        while broker.running():
            status, why = await asyncio.to_thread(broker.get, "/readyz", 0.5)
            assert status != 200, f"ready with {said}: {why}"
            await asyncio.sleep(0.01)
        assert broker.process.returncode == 1, broker.process.returncode
        broker.process = None  # it need not end well
        log = lines(self.stack)
        assert len(log) == 1 or not checked, log
        assert all(str(s) in log[-1] for s in said), (log, said)
        assert not any("serves" in line for line in log)


def records(image):
    """(offset, lsn, length) of a segment's records."""
    at, lsn = 4096, struct.unpack_from(">Q", image, 32)[0]
    tag = image[at:at + 8]
    while image[at:at + 8] == tag and struct.unpack_from(">Q", image, at + 8)[0] == lsn:
        length = struct.unpack_from(">I", image, at + 24)[0]
        yield at, lsn, length
        at += (length + 7) & ~7
        lsn += 1


def holds_records(path):
    """Not a spare, which is zeros or has the number of its life before."""
    image = path.read_bytes()
    number = struct.unpack_from(">Q", image, 24)[0]
    return path.name == f"journal-{number:016x}" and \
        any(length > 64 for _, _, length in records(image))


def patch(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


@scenario(timeout_s=300)
async def test_a_damaged_journal_is_not_opened(env):
    kept = await Kept.made(env)
    code, found = kept.check()
    assert code == 0 and "sound" in found, found

    segment = kept.journal()
    image = segment.read_bytes()
    rows = [r for r in records(image) if r[2] > 64]
    at, _, length = rows[len(rows) // 2]
    patch(segment, at + length // 2, bytes([image[at + length // 2] ^ 4]))
    await kept.refused(segment.name, at)

    kept.restore()  # a hole: zeros where a record was
    patch(segment, at, bytes(length))
    await kept.refused(segment.name, at)

    kept.restore()  # the format of a version to come
    head = bytearray(image[:60])
    struct.pack_into(">I", head, 8, 9)
    struct.pack_into(">I", head, 56, crc32c(head[:56]))
    patch(segment, 0, bytes(head))
    await kept.refused(segment.name, "version 9")

    kept.restore()  # something else under its name, and nothing beside it
    for path in kept.folder.glob("journal-*"):
        path.unlink()
    segment.write_bytes(b"not a journal\n" * 100)
    await kept.refused(segment.name)

    kept.restore()  # of another broker: the id is not that of the tables
    for path in kept.folder.glob("journal-*"):
        path.unlink()
    other = await stack_with(env)
    await other.start()
    await absent(env, other)
    await other.kill(other.broker)
    for sidecar in other.sidecars:
        await other.kill(sidecar)
    for path in folder(other).glob("journal-*"):
        subprocess.run(["cp", path, kept.folder], check=True)
    await kept.refused("another store")


@scenario(timeout_s=300)
async def test_damaged_tables_are_not_opened(env):
    kept = await Kept.made(env)
    data = kept.folder / "tables" / "data.mdb"
    image = data.read_bytes()

    branch = next(at for at in range(8192, len(image), 4096)
                  if struct.unpack_from("<H", image, at + 10)[0] & 1 and image[at + 16])
    patch(data, branch + 12, b"\xff\xff")  # where its entries end
    await kept.refused("data.mdb", branch // 4096)

    kept.restore()  # a bit of a record: of each copy of the absent client's subscription
    for at in (m.start() for m in re.finditer(rb"flow/#", image)):
        patch(data, at, b"g")
    await kept.refused("data.mdb", "'records' does not verify")

    kept.restore()  # the format of a version to come, well sealed
    for at in (m.start() for m in re.finditer(b"format", image)):
        value = at + 6
        if struct.unpack_from(">II", image, value + 4) != (4, 1):
            continue
        body = struct.pack(">II", 4, 9)
        patch(data, value, struct.pack(">I", crc32c(b"\0format" + body)) + body)
    await kept.refused("data.mdb", "format 9", "newer")

    kept.restore()
    data.write_bytes(b"not LMDB\n" * 10000)
    await kept.refused("data.mdb")

    kept.restore()
    data.unlink()
    await kept.refused("data.mdb", "No such file")


@scenario(timeout_s=300)
async def test_a_record_of_a_version_to_come_is_not_guessed_at(env):
    """Its checksum is good: --check-store can't know, but the broker does."""
    kept = await Kept.made(env)
    segment = kept.journal()
    image = bytearray(segment.read_bytes())
    key = b"default~demo~last"
    patched = 0
    for at, _, length in list(records(image)):
        place = image.find(struct.pack(">H", len(key)) + key, at, at + length)
        while place >= 0 and image[place - 2] == 1:  # a session's: version, flags, key
            image[place - 2] = 99
            patched += 1
            place = image.find(struct.pack(">H", len(key)) + key, place + 1, at + length)
        crc = crc32c(image[at:at + 28] + image[at + 32:at + length])
        struct.pack_into(">I", image, at + 28, crc)
    assert patched > 0
    segment.write_bytes(image)
    assert kept.check()[0] == 0
    await kept.refused(folder(kept.stack), "does not read", checked=False)


@scenario(timeout_s=120)
async def test_a_store_has_one_broker(env):
    stack = await stack_with(env)
    await stack.start()
    await absent(env, stack)
    second = await stack_with(env, SMALL | {"dir": str(folder(stack))}, sidecars=0)
    env.check_leftovers = False
    second.broker.start()
    await eventually(lambda: not second.broker.running(), "the second broker ends")
    assert second.broker.process.returncode == 1
    second.broker.process = None
    assert str(folder(stack)) in second.broker.last_words()
    assert "another process has this store" in second.broker.last_words()
    done = subprocess.run([*stack.broker.argv, "--check-store"], capture_output=True, text=True,
                          timeout=60, env=stack.broker.environment)
    assert done.returncode == 1 and "another process" in done.stdout, done.stdout
    ledger = Ledger()
    publisher, task = flood(env, await env.connect(stack.ports[0], "p"), ledger)
    await eventually(lambda: len(ledger.acked["p"]) > 500, "the first one lives on", 30)
    publisher.stop()
    await task
    client = env.client("absent", V311)
    await take_all(client, ledger, stack.ports[1])


# ---- durability

async def survives_a_kill(env, durability):
    stack = await stack_with(env, SMALL | {"durability": durability})
    await stack.start()
    a, b = stack.ports
    await absent(env, stack)
    ledger = Ledger()
    publisher, task = flood(env, await env.connect(a, "p"), ledger, 200)
    for _ in range(3):
        n = len(ledger.acked["p"])
        await eventually(lambda n=n: len(ledger.acked["p"]) > n + 500, "it flows", 60)
        await stack.kill(stack.broker)
        await stack.restart(stack.broker)
    publisher.stop()
    await asyncio.wait_for(task, 60)
    assert publisher.refused == []
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await take_all(env.client("absent", V311), ledger, b)


@scenario(timeout_s=180)
async def test_durability_interval_survives_a_kill(env):
    await survives_a_kill(env, "interval")


@scenario(timeout_s=180)
async def test_durability_none_survives_a_kill(env):
    await survives_a_kill(env, "none")


# ---- many sessions

SESSION_BYTES = 4096  # of the broker's anonymous memory


async def make_session(port, n):
    """A durable session with a subscription of its own; the client leaves."""
    client = mqtt.Client(f"session-{n}", V311)
    await client.connect(port, clean=False)
    await client.subscribe((f"device/{n}/command", 1))
    await client.disconnect()


async def make_sessions(port, count, at_a_time=100):
    numbers = iter(range(count))

    async def some():
        for n in numbers:
            await make_session(port, n)
    await asyncio.gather(*(some() for _ in range(at_a_time)))


@scenario(timeout_s=600, alone=True, build="release")
async def test_durable_sessions_that_wait_take_little_memory(env):
    count = int(os.environ.get("SESSIONS", 10000))
    stack = await stack_with(env, SMALL | {"max-size": "1Gi"}, sidecars=1)
    await stack.start()
    broker = stack.broker
    empty = anonymous(broker)
    await make_sessions(stack.ports[0], count)
    assert await metric(broker, "sqmqos_sessions") == count
    made = anonymous(broker) - empty
    await stack.kill(broker)
    began = time.monotonic()
    await stack.restart(broker)
    took = time.monotonic() - began
    assert await metric(broker, "sqmqos_sessions") == count
    back = anonymous(broker) - empty
    print(f"{count} sessions: {made / count:.0f} bytes each, {back / count:.0f} after a restart, "
          f"which took {took:.2f} s")
    assert max(made, back) < count * SESSION_BYTES
    client = await env.connect(stack.ports[0], "session-7", V311, clean=False)
    assert client.connack.session_present
    assert await client.publish("device/7/command", b"go", 1) == 0
    assert (await client.receive()).payload == b"go"
    env.check_leftovers = False

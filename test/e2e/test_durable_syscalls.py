"""One write and one sync before each acknowledgement, seen from outside: strace on
the broker, and the times at which PUBACKs reach the publisher."""

import asyncio
import collections
import dataclasses
import os
import re
import shutil
import signal
import time

from cluster import eventually, metric
from scenario import Skip, scenario

CALLS = "pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,msync,openat"
WRITES = ("pwrite64", "pwritev", "pwritev2", "write", "writev")
SYNCS = ("fdatasync", "fsync", "msync")
LINE = re.compile(r"(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)")
MARK = re.compile(r"mark-(\d+)-")
SYNC_FLAGS = os.O_SYNC | os.O_DSYNC


@dataclasses.dataclass
class Call:
    thread: int
    name: str
    began: float
    ended: float
    text: str

    @property
    def path(self):
        found = re.match(r"\d+<([^>]*)>", self.text)
        return found[1] if found else ""

    @property
    def ok(self):
        return int(self.text.rsplit(" = ", 1)[1].split()[0]) >= 0


def parse(text):
    """The calls of an strace -f -ttt -T -y, in the order of their ends."""
    calls, open_calls = [], {}
    for line in text.splitlines():
        m = LINE.match(line)
        if not m:
            continue
        thread, at, name, rest = int(m[1]), float(m[2]), m[3], m[4]
        if rest.endswith("<unfinished ...>"):
            open_calls[thread] = (at, rest.removesuffix("<unfinished ...>"))
        elif " resumed>" in line:
            began, head = open_calls.pop(thread, (at, ""))
            calls.append(Call(thread, name, began, at, head + rest))
        elif took := re.search(r"<([\d.]+)>$", rest):
            calls.append(Call(thread, name, at, at + float(took[1]), rest))
    return sorted(calls, key=lambda c: c.ended)


class Trace:
    """strace on a broker, from attached to detached."""

    def __init__(self, env, broker):
        self.env = env
        self.broker = broker
        self.path = env.folder / f"strace-{len(env.processes)}"

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            "strace", "-f", "-ttt", "-T", "-y", "-s", "65536", "-e", "signal=none",
            "-e", f"trace={CALLS}", "-o", str(self.path), "-p", str(self.broker.pid),
            stderr=asyncio.subprocess.PIPE)
        self.env.processes.append(self.process)
        threads = set(os.listdir(f"/proc/{self.broker.pid}/task"))

        def attached():
            if self.process.returncode is not None:
                raise Skip("strace may not attach here")
            return all(tracer(self.broker.pid, t) == self.process.pid for t in threads)
        await eventually(attached, "strace has every thread")
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await self.process.communicate()

    def calls(self):
        return parse(self.path.read_text(errors="replace"))


def tracer(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("TracerPid:"))


def synchronous_files(pid):
    """Paths of what a process has open with O_SYNC or O_DSYNC: a write there is a sync."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                flags = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
            if flags & SYNC_FLAGS:
                found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return found


@dataclasses.dataclass
class Commit:
    marks: list  # of the messages in its write; none: a seal
    write: Call
    sync: Call


def commits(calls, store):
    """What the journal's thread did; AssertionError unless it is write, sync, write,
    sync…, all of it in the journal's segments and nothing synchronous by itself."""
    writers = {c.thread for c in calls if c.name in WRITES and c.path.startswith(store) and
               MARK.search(c.text)}
    assert len(writers) == 1, f"{len(writers)} threads write messages to the store"
    mine = [c for c in calls if c.thread in writers]
    out = []
    for c in mine:
        assert c.ok, f"{c.name}({c.text}"
        if c.name == "openat":
            assert not re.search(r"O_D?SYNC", c.text), c.text
            continue
        if not c.path.startswith("/"):
            continue  # a worker is woken through a pipe
        assert c.path.startswith(store) and "/journal-" in c.path, f"{c.name} of {c.path}"
        if c.name in WRITES:
            assert not out or out[-1].sync, "two writes without a sync between them"
            out.append(Commit([int(n) for n in MARK.findall(c.text)], c, None))
        elif out:
            assert not out[-1].sync, "two syncs after one write"
            assert c.began >= out[-1].write.ended and c.path == out[-1].write.path
            out[-1].sync = c
    assert out[-1].sync, "the last write was not synced"
    return out


async def traced_stack(env):
    """A stack with a durable session that is not there: nothing is settled."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    stack = await env.stack(broker={"engine": "embedded"})
    away = await env.connect(stack.ports[1], "away", clean=False, props={"session_expiry": 600})
    await away.subscribe(("mark/#", 1))
    await away.disconnect()
    return stack


async def take_back(env, stack, n):
    """The durable session's messages, all of them; then it ends."""
    back = env.client("away")
    got = []
    back.on_message = lambda m: got.append(int(MARK.match(m.payload.decode())[1]))
    await back.connect(stack.ports[1], clean=False, props={"session_expiry": 0})
    await eventually(lambda: len(got) >= n, "all that was acknowledged arrives", 60)
    assert got == list(range(n))


def payload(n):
    return f"mark-{n}-".encode() + b"." * 50


@scenario(timeout_s=180, alone=True)
async def test_one_write_and_one_sync_before_each_acknowledgement(env):
    stack = await traced_stack(env)
    client = await env.connect(stack.ports[0], "p")
    times = []
    async with Trace(env, stack.broker) as trace:
        assert not [p for p in synchronous_files(stack.broker.pid) if "/journal" in p]
        for n in range(200):
            began = time.time()
            assert await client.publish("mark/x", payload(n), 1) == 0
            times.append((began, time.time()))
    found = commits(trace.calls(), str(stack.folder / "store"))
    with_messages = [c for c in found if c.marks]
    assert [c.marks for c in with_messages] == [[n] for n in range(200)]
    for commit, (sent, acked) in zip(with_messages, times):
        assert sent < commit.write.began, "written before it was sent"
        assert commit.sync.ended < acked, "acknowledged before the sync had ended"
    # All others are seals of a journal that had nothing to do, at most one after a commit.
    for before, after in zip(found, found[1:]):
        assert before.marks or after.marks, "two commits without a message in a row"
    await take_back(env, stack, 200)


@scenario(timeout_s=180, alone=True)
async def test_one_write_and_one_sync_for_each_commit(env):
    stack = await traced_stack(env)
    client = await env.connect(stack.ports[0], "p")
    count, window = 4000, asyncio.Semaphore(100)
    before = await metric(stack.broker, "sqmqos_store_commits_total")
    acked = {}

    async with Trace(env, stack.broker) as trace:
        for n in range(count):
            await window.acquire()
            future = client.publish_nowait("mark/x", payload(n), 1)

            def done(f, n=n):
                acked[n] = (time.time(), f.result())
                window.release()
            future.add_done_callback(done)
        await eventually(lambda: len(acked) == count, "all is acknowledged", 60)
        after = await metric(stack.broker, "sqmqos_store_commits_total")
    assert {reason for _, reason in acked.values()} == {0}
    found = commits(trace.calls(), str(stack.folder / "store"))
    assert [n for c in found for n in c.marks] == list(range(count))
    for c in found:
        for n in c.marks:
            assert c.sync.ended < acked[n][0], f"{n} was acknowledged before its sync had ended"
    seals = collections.Counter(bool(c.marks) for c in found)[False]
    assert len(found) - seals <= after - before <= len(found)
    assert len(found) * 4 < count, f"{len(found)} commits for {count} messages"
    await take_back(env, stack, count)

"""Backups that are taken while things go wrong, and a broker on each.

What had been acknowledged when a backup began, and what its target had not received when it ended,
is in it: the restored broker delivers it. What a target had completed at QoS 2 before it began is
not delivered again. What came between may be there or not; nothing comes twice from one copy."""

import asyncio
import dataclasses
import pathlib
import re
import time

import checker
import ledger
import stack as parts
import world as worlds

# Why a backup may fail: the broker went first, or there is no room.
ALLOWED = re.compile(r"has not waited for the backup|the broker: ended|does not answer|"
                     r"No space left|there is room for|checkpoints follow each other|"
                     r"a backup of this store is being made")


@dataclasses.dataclass
class Backup:
    folder: pathlib.Path
    begun_ms: float
    ended_ms: float


class Backups:
    def __init__(self, world, folder):
        self.world = world
        self.folder = pathlib.Path(folder)
        self.made = []
        self.running = set()
        self.problems = []
        self.n = 0

    def environment(self):
        """Its own writes are none of the broker's."""
        return {k: v for k, v in self.world.broker.environment.items()
                if k != "LD_PRELOAD" and not k.startswith("POWERFAIL")}

    async def take(self, kill_after_s=None):
        """Makes one; what became of it."""
        self.folder.mkdir(exist_ok=True)
        self.n += 1
        target = self.folder / f"backup-{self.n}"
        begun_ms = time.monotonic() * 1000
        process = await asyncio.create_subprocess_exec(
            *self.world.broker.argv, "--backup", str(target), env=self.environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            preexec_fn=parts.in_child)
        self.running.add(process)
        said = asyncio.create_task(process.communicate())
        if kill_after_s is not None:
            await asyncio.wait([said], timeout=kill_after_s)
            self.kill(process)
        text = (await said)[0].decode("utf-8", "replace").strip()
        self.running.discard(process)
        # A kill may come when all is done, and only the process is left to end.
        if process.returncode == 0 or (process.returncode < 0 and target.exists()):
            self.made.append(Backup(target, begun_ms, time.monotonic() * 1000))
            return "made"
        if target.exists():
            self.problems.append(f"{target.name} is there after a failure: {text}")
        if process.returncode < 0:
            return "killed"
        if not ALLOWED.search(text):
            self.problems.append(f"{target.name} failed with {process.returncode}: {text}")
        return f"failed: {text[-200:]}"

    @staticmethod
    def kill(process):
        if process.returncode is None:
            process.kill()

    def kill_all(self):
        """The machine goes, and they with it."""
        for process in list(self.running):
            self.kill(process)


def completed(path, before_ms):
    """{(publisher, stream, n)} whose QoS 2 delivery was complete before then."""
    held, done = {}, set()
    for w in ledger.lines(path):
        if w[0] == "M" and w[3] == "2":
            held[w[2]] = (int(w[4]), int(w[6]), int(w[7]))
        elif w[0] == "L" and w[2] in held:
            message = held.pop(w[2])
            if int(w[1]) <= before_ms:
                done.add(message)
    return done


class Restored:
    """A broker on a backup, and what its subscribers get of it."""

    def __init__(self, world, backup, folder, args):
        self.original, self.backup = world, backup
        self.world = worlds.World(folder, args.build, engine=args.engine, tls=False,
                                  rate=args.rate, small_disk=world.small_disk)
        backup.folder.rename(self.world.store)
        self.violations = []

    def owed(self):
        """(publishers, targets): what was acknowledged before, and where it has come."""
        publishers, targets = self.original.ledgers()
        _, restored = self.world.ledgers()
        publishers.pop(worlds.OUTBOX)
        publishers.pop(worlds.WILLED, None)
        if worlds.TWINS in publishers:  # either may have said it first, and both have no times
            publishers.pop(worlds.TWINS)
        for published in publishers.values():
            for stream in range(4):
                published.acked[stream] = {
                    n: code for n, code in published.acked[stream].items()
                    if published.finished[stream].get(n, 1 << 62) < self.backup.begun_ms}
        targets = [t for t in targets if not t.transient]
        now = {t.name: t for t in restored}
        for target in targets:
            for m in target.members:
                for key, numbers in m.got.items():
                    m.got[key] = [n for n, at in zip(numbers, m.at[key])
                                  if at <= self.backup.ended_ms]
            target.members = [*target.members, *now[target.name].members]
        return publishers, targets

    def judge(self):
        publishers, targets = self.owed()
        where = self.backup.folder.name
        for target in targets:
            for (p, stream), lost in checker.missing(publishers, target).items():
                self.add("lost", f"{where}, {target.name}", f"publisher {p} stream {stream}: "
                         f"{checker.some(lost)} acknowledged before it, not in it")
        for name, members, _ in self.world.groups:
            if members[0].transient:
                continue
            before = set().union(*(completed(app.ledger, self.backup.begun_ms)
                                   for _, apps, _ in self.original.groups for app in apps
                                   if any(app.name == m.name for m in members)))
            got = [(*key, n) for app in members for key, numbers in app.read().got.items()
                   for n in numbers]
            if again := before & set(got):
                self.add("duplicate", f"{where}, {name}",
                         f"{len(again)} were complete before it, such as {min(again)}")
            twice = [m for m in set(got) if got.count(m) > 1] if len(got) != len(set(got)) else []
            if twice := [m for m in twice if m[1] != 1]:
                self.add("duplicate", f"{where}, {name}", f"{len(twice)} came twice from it")

    def add(self, kind, who, text):
        self.violations.append(checker.Violation(kind, who, text))

    def complete(self):
        return checker.complete(*self.owed())

    async def run(self):
        """How many messages came of it; fills violations."""
        w = self.world
        try:
            w.broker.start()
            for proxy in w.proxies:
                await proxy.start()
            for sidecar in w.sidecars:
                sidecar.start()
            await w.ready()
            for app in w.subscribers:
                app.start()
            await w.quiet(8, 90, self.complete)
            await w.quiet(1, 10, lambda: False)  # and nothing too much
            self.judge()
        except AssertionError as e:
            self.add("restore", self.backup.folder.name, str(e))
        finally:
            for p in [*w.apps, *w.sidecars, w.broker]:
                if p.running():
                    await w.kill(p)
            for proxy in w.proxies:
                if proxy.server:
                    await proxy.stop()
        return sum(len(g) for app in w.subscribers for g in app.read().got.values())

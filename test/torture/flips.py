"""Bit flips in what a store has on disk: they are reported, never served.

A snapshot of a store with messages waiting is taken in the middle of a run;
afterwards each copy of it gets one flipped bit, and a broker."""

import asyncio
import os
import pathlib
import shutil
import signal
import subprocess

import checker
import stack as parts
import world as worlds

READY_S = 20
SECTOR = 512
BACKLOG_S = 1.5  # how long messages gather before the snapshot


def copy_store(source, target):
    """The tables are a file with large holes."""
    subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True)


class Snapshot:
    def __init__(self, world, folder):
        self.world = world
        self.folder = pathlib.Path(folder)

    async def take(self):
        """Stops everything for a moment, with messages waiting."""
        w = self.world
        for app in w.subscribers:
            app.signal(signal.SIGSTOP)
        await asyncio.sleep(BACKLOG_S)
        for victim in [*w.apps, w.broker]:
            if victim.running():
                await w.kill(victim)
        w.broker_died()
        self.folder.mkdir()
        copy_store(w.store, self.folder / "store")
        for app in w.apps:
            shutil.copy(app.ledger, self.folder)
        for victim in [w.broker, *w.apps]:
            victim.start()
        w.broker_woke()


def flip(store, rng):
    """Flips one bit that is not in a sector of zeros. Returns (file, offset)."""
    for _ in range(2000):
        files = sorted(p for p in store.rglob("*") if p.is_file() and p.stat().st_size and
                       "lock" not in p.name)
        path = rng.choices(files, [p.stat().st_blocks + 1 for p in files])[0]
        at = rng.randrange(path.stat().st_size)
        fd = os.open(path, os.O_RDWR)
        try:
            sector = os.pread(fd, SECTOR, at // SECTOR * SECTOR)
            if any(sector):
                os.pwrite(fd, bytes([sector[at % SECTOR] ^ 1 << rng.randrange(8)]), at)
                return path, at
        finally:
            os.close(fd)
    raise AssertionError("the store holds nothing but zeros")


class Flip:
    """One flipped bit, and what came of it."""

    def __init__(self, snapshot, folder, rng, args):
        self.world = worlds.World(folder, args.build, engine=args.engine, tls=False,
                                  rate=args.rate, small_disk=snapshot.world.small_disk)
        copy_store(snapshot.folder / "store", self.world.store)
        for app in self.world.apps:
            shutil.copy(snapshot.folder / app.ledger.name, app.ledger)
        self.path, self.at = flip(self.world.store, rng)
        self.violations = []
        self.deaths_ms = snapshot.world.broker_deaths_ms

    def check_store(self):
        """Whether --check-store finds damage."""
        w = self.world
        parts.write_private(w.broker.config_path, parts.yaml(w.broker.tree))
        done = subprocess.run([*w.broker.argv, "--check-store"], capture_output=True, text=True,
                              timeout=120, env=w.broker.environment)
        (w.folder / "check-store.log").write_text(
            f"exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode != 0

    def reported(self):
        """Whether the broker's log names the file, or a message that is damaged."""
        log = self.world.broker.log_path
        text = log.read_text(errors="replace") if log.exists() else ""
        return self.path.name in text or " is damaged" in text

    async def serves(self):
        """Whether the broker gets ready."""
        broker = self.world.broker
        broker.start()
        for _ in range(READY_S * 20):
            if not broker.running():
                return False
            if (await asyncio.to_thread(broker.ready))[0]:
                return True
            if self.reported():
                return False
            await asyncio.sleep(0.05)
        return False

    def ledgers(self):
        """Without what may still have been in the outbox."""
        publishers, targets = self.world.ledgers()
        publishers.pop(worlds.OUTBOX)
        for member in (m for t in targets for m in t.members):
            for key in [key for key in member.got if key[0] == worlds.OUTBOX]:
                del member.got[key]
        return publishers, targets

    async def drain(self):
        """Lets the subscribers have what the store holds; what is wrong with it."""
        w = self.world
        for proxy in w.proxies:
            await proxy.start()
        for sidecar in w.sidecars:
            sidecar.start()
        for app in w.subscribers:
            app.start()
        all_came = await w.quiet(8, 90, lambda: checker.complete(*self.ledgers()))
        publishers, targets = self.ledgers()
        wrong = [v for v in checker.check(
            publishers, targets, self.deaths_ms, False, w.unordered, w.small_disk)
                 if v.kind in ("damaged", "invented", "duplicate", "order", "protocol")]
        return wrong, all_came

    async def run(self):
        """'harmless', 'refused' or 'reported'; fills violations."""
        where = f"bit flip in {self.path.name} at {self.at}"
        found = await asyncio.to_thread(self.check_store)
        outcome = "refused"
        try:
            if not await self.serves():
                if not self.reported():
                    self.add("flip", where, "the broker is not ready, but its log does not name "
                             "the file")
            else:
                wrong, all_came = await self.drain()
                self.violations += wrong
                outcome = "reported" if self.reported() else "harmless"
                if not all_came and outcome == "harmless":
                    self.add("lost", where, "messages are gone, and the log does not say so")
            if outcome != "harmless" and not found:
                self.add("flip", where, f"{outcome} by the broker, not found by --check-store")
        finally:
            await self.end()
        return outcome

    def add(self, kind, who, text):
        self.violations.append(checker.Violation(kind, who, text))

    async def end(self):
        for p in [*self.world.apps, *self.world.sidecars, self.world.broker]:
            if p.running():
                await self.world.kill(p)
        for proxy in self.world.proxies:
            if proxy.server:
                await proxy.stop()

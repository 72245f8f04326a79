"""Torture of the shared log alone: several log_scratch on one log, without engine, links and apps, so
that there are many more fail-overs in the same time."""

import asyncio
import collections
import pathlib
import random
import re
import signal
import subprocess
import time

import brokers
import faults
import history
import postgres
import postgres_pair as databases
import scenario
import shared
import stack as parts
from checker import Violation, some
from proxy import Proxy

NAMES = ("one", "two", "three")
ENOUGH = 500  # bytes of acknowledgements between two faults of the database
ENTRY = re.compile(rb"(\w+) (\d+) (\d+)\n")
KINDS = (("kill", 4), ("stop", 3), ("end", 3), ("cut", 4), ("cut-in-frame", 3), ("freeze", 2))


class Program:
    """A log_scratch, started again whenever it has ended."""

    def __init__(self, name, folder, build, servers, broken):
        self.name, self.folder = name, folder
        self.build = pathlib.Path(build)
        self.acks, self.history = folder / f"{name}.acks", folder / f"{name}.history"
        ports = []
        self.sql = []
        for server in servers:
            ports.append(parts.free_port(ports))
            self.sql.append(Proxy(ports[-1], server.port))
        self.hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.environment = parts.clean_environment() | {"SQMQOS_HISTORY": str(self.history)}
        if broken:
            self.environment["SQMQOS_BROKEN"] = broken
        self.process, self.life = None, 0
        self.ends = collections.Counter()  # exit codes

    def start(self):
        self.life += 1
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.build / "test" / "log-scratch", self.build / "sqmqos-log-postgres.so", self.hosts,
                 postgres.DATABASE, postgres.USER, self.name, str(self.life), self.acks],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                preexec_fn=parts.in_child)

    def supervise(self):
        if self.process.poll() is not None:
            self.ends[self.process.returncode] += 1
            self.start()


class Logs:
    def __init__(self, seed, folder, build, broken=None):
        self.rng = random.Random(f"logs {seed}")
        self.base = databases.Database(folder / "database")
        self.folder, self.build, self.broken = folder, build, broken
        self.counts = collections.Counter()
        self.programs = []

    async def run(self, seconds):
        """Returns violations."""
        try:
            await asyncio.to_thread(self.base.start)
            self.programs = [Program(name, self.folder, self.build, self.base.pg.servers, self.broken)
                             for name in NAMES]
            for p in self.programs:
                for proxy in p.sql:
                    await proxy.start()
                p.start()
            await self.goes_on()
            await self.torment(seconds)
            await self.settle()
            return await asyncio.to_thread(self.check)
        finally:
            for p in self.programs:
                if p.process and p.process.poll() is None:
                    p.process.kill()
                    p.process.wait()
                for proxy in p.sql:
                    if proxy.server:
                        await proxy.stop()
            await asyncio.to_thread(self.base.close)

    async def torment(self, seconds):
        supervisor = asyncio.create_task(self.supervise())
        database = asyncio.create_task(self.torment_database(time.monotonic() + seconds))
        while not database.done():
            kind = self.rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
            await getattr(self, kind.replace("-", "_"))(self.victim())
            self.counts[kind] += 1
            await asyncio.sleep(self.rng.expovariate(1 / 1.2))
        supervisor.cancel()
        await database

    async def torment_database(self, end):
        kinds = [k for k in shared.DATABASE_KINDS
                 if (k.name == "lose-tail" if self.broken else k.name != "full")]
        while time.monotonic() < end:
            kind = self.rng.choices(kinds, [k.weight for k in kinds])[0]
            span = kind.least_s + (kind.most_s - kind.least_s) * self.rng.random() ** 3
            await self.goes_on()
            await asyncio.to_thread(self.base.do, kind.name, span, self.rng.randrange(1 << 32))
            self.counts[kind.name] += 1

    async def goes_on(self, timeout_s=30):
        """Awaits some acknowledgements."""
        def acks():
            return sum(p.acks.stat().st_size for p in self.programs if p.acks.exists())
        goal, end = acks() + ENOUGH, time.monotonic() + timeout_s
        while acks() < goal:
            assert time.monotonic() < end, "nothing is acknowledged any more"
            await asyncio.sleep(0.05)

    async def supervise(self):
        while True:
            for p in self.programs:
                p.supervise()
            await asyncio.sleep(0.05)

    def victim(self):
        """As often as not the owner: who was acknowledged last."""
        if self.rng.random() < 0.5:
            return self.rng.choice(self.programs)
        return max(self.programs, key=lambda p: p.acks.stat().st_mtime if p.acks.exists() else 0)

    async def kill(self, program):
        program.process.kill()

    async def end(self, program):
        program.process.send_signal(signal.SIGTERM)

    async def stop(self, program):
        process = program.process
        process.send_signal(signal.SIGSTOP)
        asyncio.get_running_loop().call_later(self.rng.random() ** 2 * 6, process.send_signal,
                                              signal.SIGCONT)

    async def cut(self, program):
        for proxy in program.sql:
            proxy.cut_all()

    async def cut_in_frame(self, program):
        f = faults.cut_soon(self.rng.random())
        for proxy in program.sql:
            proxy.filters.append(f)
        await asyncio.sleep(0.5)
        for proxy in program.sql:
            proxy.filters.remove(f)

    async def freeze(self, program):
        for proxy in program.sql:
            proxy.freeze()
        await asyncio.sleep(self.rng.random() * 3)
        for proxy in program.sql:
            proxy.thaw()

    async def settle(self):
        """Something is acknowledged again, and all end well, the owner last."""
        await asyncio.sleep(7)  # who was stopped goes on
        for p in self.programs:
            p.supervise()
        await self.goes_on()
        for p in self.programs:
            p.process.send_signal(signal.SIGTERM)
        for p in self.programs:
            code = await asyncio.to_thread(p.process.wait, 20)
            assert code in (0, brokers.FENCED), f"{p.name} ended with {code}"
            p.ends[code] += 1

    # -- the check

    def read_acks(self):
        """{program's name: [(lsn, name, life, n)]}"""
        out = {}
        for p in self.programs:
            lines = p.acks.read_text().split("\n")[:-1] if p.acks.exists() else []
            out[p.name] = [(int(a), b, int(c), int(d)) for a, b, c, d in map(str.split, lines)]
        return out

    def read_log(self):
        """{lsn: [(name, life, n)]}"""
        out, server = {}, self.base.primary
        for (name,) in server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'sqmqos' AND "
                                  "tablename ~ '^log_0_[0-9]+$'"):
            for lsn, text in server.sql(f"SELECT lsn, encode(substring(data FROM 33), 'hex') FROM sqmqos.{name}",
                                        timeout_s=120):
                out[int(lsn)] = [(a.decode(), int(b), int(c))
                                 for a, b, c in ENTRY.findall(bytes.fromhex(text))]
        return out

    def check(self):
        out, log, n = [], self.read_log(), 0
        for name, acked in self.read_acks().items():
            lost = [lsn for lsn, *entry in acked if tuple(entry) not in log.get(lsn, ())]
            n += len(acked)
            if lost:
                out.append(Violation("lost", name, f"{some(lost)} acknowledged, and not there"))
        entries = [e for lsn in sorted(log) for e in log[lsn]]
        twice = [e for e, times in collections.Counter(entries).items() if times > 1]
        if twice:
            out.append(Violation("duplicate", "log", f"{twice[:5]} are there twice"))
        lives = collections.defaultdict(list)
        for name, life, number in entries:
            lives[name, life].append(number)
        out += [Violation("order", f"{name} {life}", "not in the order of its appends")
                for (name, life), numbers in lives.items() if numbers != sorted(numbers)]
        self.counts["acknowledged"] = n
        self.counts["records"] = len(log)
        self.counts["fenced"] = sum(p.ends[brokers.FENCED] for p in self.programs)
        self.counts["owners"] = len(lives)
        out += history.check({p.name: history.read(p.history) for p in self.programs},
                             history.from_database(self.base.primary))
        return out


class Seed:
    """One run, as shared.Seed is one."""

    def __init__(self, seed, folder, args, summary):
        self.seed, self.folder, self.args, self.summary = seed, folder, args, summary

    async def run(self, seconds):
        self.folder.mkdir(parents=True, exist_ok=True)
        run, s = Logs(self.seed, self.folder, self.args.build, self.args.broken_rule), self.summary
        try:
            s.violations += await run.run(seconds)
        except AssertionError as e:
            s.problems.append(str(e))
        s.counts += run.counts
        s.problems += scenario.sanitizer_reports(self.folder)

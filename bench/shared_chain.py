"""What ./dev bench --shared loads: brokers and sidecars on one log in PostgreSQL, a primary and a
synchronous standby; and how it is looked at."""

import bisect
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

import durable_chains
from chains import ChainError, stack as parts

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "support"))
import brokers  # noqa: E402
import postgres  # noqa: E402

SCHEMA = "sqmqos"
LSN = re.compile(r"^sqmqos_log_lsn (\d+)$", re.M)
COMMITS = re.compile(r"^sqmqos_store_commit_seconds_(sum|count) ([0-9.e+-]+)$", re.M)
LAG_EVERY_S = 0.01
LATE_S = 60


class Chain:
    """links: sidecars, of which the first half is the publishers'."""

    title, raw = "brokers on one log", False

    def __init__(self, folder, build, count, links=2, segment_size=None, copies=2):
        self.build, self.folder = pathlib.Path(build), folder
        folder.mkdir(mode=0o755)
        self.servers = postgres.Postgres(folder / "database", copies=copies, disk=True)
        self.stack = None
        log = {"level": "warn"} | ({"segment-size": segment_size} if segment_size else {})
        self.made = {"brokers": count, "sidecars": links, "tls": False,
                     "broker": durable_chains.LIMITS | {"log": log},
                     "sidecar": {"log": {"level": "error"}}}
        self.pubs = self.subs = []

    def start(self):
        self.servers.start()
        self.stack = brokers.Brokers(self.folder / "stack", self.build, self.servers, **self.made)
        for program in self.stack.programs:
            program.start()
        late = parts.wait_ready(self.stack.sidecars, LATE_S)
        if late:
            raise ChainError("; ".join(f"{name} is not ready: {why}" for name, why in late.items()))
        self.whole()
        at = [f"127.0.0.1:{s.tree['listen']['port']}" for s in self.stack.sidecars]
        self.pubs, self.subs = at[:len(at) // 2], at[len(at) // 2:]
        return self

    @property
    def pub(self):
        return self.pubs[0]

    @property
    def sub(self):
        return self.subs[0]

    def pids(self):
        return {"owner": self.owner().pid}

    def owner(self):
        found = brokers.owner_of(self.stack.brokers)
        if not found:
            raise ChainError("nobody owns the log")
        return found

    def whole(self, timeout_s=LATE_S):
        """Starts what is not there, and waits until all is as it was."""
        until = time.monotonic() + timeout_s
        while True:
            for b in self.stack.brokers:
                if not b.running():
                    b.start()
            if not parts.wait_ready(self.stack.brokers, 1) and brokers.owner_of(self.stack.brokers):
                return
            if time.monotonic() > until:
                raise ChainError("brokers are not ready again")

    def lsn(self, broker):
        found = LSN.search(broker.get("/metrics")[1])
        return int(found[1]) if found else 0

    def commits(self):
        """{"sum", "count"} of the owner's commits so far, in seconds."""
        return {k: float(v) for k, v in COMMITS.findall(self.owner().get("/metrics")[1])}

    # ---- its log, as it lies there

    def segments(self):
        """(number, first record) of each, the oldest first."""
        return [(int(n), int(first)) for n, first in self.servers.primary.sql(
            f"SELECT n, first FROM {SCHEMA}.segment ORDER BY n")]

    def share_above(self, size, lsn):
        """The share that records of at least 'size' bytes have in the bytes of records behind 'lsn'."""
        large = total = 0
        for n, _ in self.segments():
            found = self.servers.primary.sql(
                f"SELECT coalesce(sum(octet_length(data)) FILTER (WHERE octet_length(data) >= {size}), 0), "
                f"coalesce(sum(octet_length(data)), 0) FROM {SCHEMA}.log_0_{n} WHERE lsn > {lsn}")[0]
            large, total = large + int(found[0]), total + int(found[1])
        return large / total if total else None

    def bare(self, schema, what, *words):
        """What bench_bare_log says, a line each."""
        done = subprocess.run(
            [self.build / "bench" / "bench_bare_log", self.build / "sqmqos-log-postgres.so",
             self.servers.hosts, postgres.DATABASE, postgres.USER, schema, str(what), *map(str, words)],
            capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise ChainError(done.stderr.strip())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def drop(self, lsn):
        """Drops the segments up to that record, as an owner has it done; seconds."""
        return self.bare(SCHEMA, "drop", lsn)[0]["seconds"]

    def stop(self):
        if self.stack:
            for p in [*self.stack.sidecars, *self.stack.brokers]:
                if p.running():
                    p.process.terminate()
            for p in [*self.stack.sidecars, *self.stack.brokers]:
                p.stop()
        self.servers.close()


class Lag:
    """How far followers are behind: from the moment at which the owner has a record to that at which
    they have it. What lies between two looks at the owner is taken as even, so that each lag is known as
    well as these are close to each other."""

    def __init__(self, chain):
        self.chain, self.owner = chain, chain.owner()
        self.seen = {b.id: [] for b in chain.stack.brokers}  # (when, lsn)
        self.ends = threading.Event()
        self.lookers = [threading.Thread(target=self.look, args=(b,), daemon=True) for b in chain.stack.brokers]

    def start(self):
        for looker in self.lookers:
            looker.start()

    def look(self, broker):
        while not self.ends.wait(LAG_EVERY_S):
            began = time.monotonic()
            lsn = self.chain.lsn(broker)
            self.seen[broker.id].append(((began + time.monotonic()) / 2, lsn))

    def lags(self):
        """Ends it; seconds, one for each look at a follower."""
        self.ends.set()
        for looker in self.lookers:
            looker.join()
        own, found = self.seen.pop(self.owner.id), []
        for looks in self.seen.values():
            found += [when - had for when, lsn in looks if (had := owned_at(own, lsn + 1)) and had < when]
        return found


def owned_at(own, lsn):
    """When the owner had record 'lsn', between two looks at it; None: it is not known."""
    i = bisect.bisect_left(own, lsn, key=lambda look: look[1])
    if i == 0 or i == len(own):
        return None
    (t0, lsn0), (t1, lsn1) = own[i - 1], own[i]
    return t0 + (t1 - t0) * (lsn - lsn0) / (lsn1 - lsn0)

"""./dev bench --durable: our chain with the embedded engine beside RabbitMQ, a
million messages waiting, and restarts with them; as tables."""

import argparse
import os
import pathlib
import signal
import tempfile
import time

import durable_chains
import durable_runs
import generator
import table
from chains import ChainError
from durable_runs import Failed, MIB
from measures import median
from report import command_line, interrupt, say

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("pairs", "queues", "engine", "restarts")


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --durable", description="Measures durable sessions at QoS 1: our chain "
        "(publisher, sidecar, broker with the embedded engine, sidecar, subscriber) beside one "
        "RabbitMQ node with its MQTT plugin, in turns; 1,000 queues with a million messages; "
        "restarts with as many.")
    p.add_argument("--durable", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--parts", default=",".join(PARTS), metavar="PARTS",
                   help=f"comma list of {', '.join(PARTS)} (all)")
    p.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds of pairs (5)")
    p.add_argument("--minutes", type=float, default=6, metavar="M",
                   help="time for those rounds, as many as it allows (6)")
    p.add_argument("--seconds", type=float, default=2, metavar="S", help="measured per run (2)")
    p.add_argument("--waiting", type=int, default=1000000, metavar="N",
                   help="messages that wait over restarts (1000000)")
    p.add_argument("--markdown", metavar="FILE",
                   help="write the tables there, as docs/benchmarks-durable.md")
    p.add_argument("--dir", metavar="DIR",
                   help="where stores lie: a disk, not tmpfs (below build/)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    args = p.parse_args(argv)
    args.parts = parts_of(p, args.parts, PARTS)
    return args


def parts_of(p, words, known):
    """The parts of a comma list, by the parser 'p'; one that is not known ends the program."""
    parts = words.split(",")
    for part in parts:
        if part not in known:
            p.error(f"--parts: there is no part '{part}', only {', '.join(known)}")
    return parts


def filesystem(folder):
    """The type of the file system that holds 'folder'."""
    best = ("", "?")
    with open("/proc/mounts") as f:
        for line in f:
            _, at, kind = line.split()[:3]
            inside = at == "/" or f"{folder}/".startswith(at.rstrip("/") + "/")
            if inside and len(at) > len(best[0]):
                best = (at, kind)
    return best[1]


class Bench:
    def __init__(self, args, folder):
        self.args = args
        self.folder = pathlib.Path(folder)
        self.generator = generator.Generator(pathlib.Path(args.build) / "sqmqos-bench")
        self.chains = []
        self.results = {}   # (window, size) -> chain name -> list of results
        self.trips = {}     # (chain name, size) -> list of round trips in the memory engine
        self.syncs = {}     # chain name -> syncs for each acknowledgement
        self.fdatasync = []
        self.rounds = 0
        self.queues = self.engine = None
        self.restarts = []
        self.failures = []
        self.load = os.getloadavg()[0]

    def chain(self, kind):
        made = kind(self.folder / str(len(self.chains)), self.args.build)
        why = made.missing()
        if why:
            raise ChainError(why)
        self.chains.append(made)
        return made

    def stop(self):
        self.generator.stop()
        for chain in self.chains:
            chain.stop()

    def guarded(self, what, part, *words):
        """What a part returns, or None where it failed, which is noted."""
        try:
            return part(*words)
        except Failed as e:
            say(f"{what}: {e}")
            self.failures.append(f"{what}: {e}")
            return None

    # ---- the parts

    def pair(self, chain, window, size):
        return self.guarded(f"window {window}, {size} B", durable_runs.pair, self.generator, chain,
                            window, size, self.args.seconds)

    def round(self, disk, memory):
        for window, size in durable_runs.SHAPES:
            for chain in disk:
                if window == 1:  # right beside: other programs' writes come in bursts
                    self.fdatasync += durable_runs.fdatasync_us(self.folder)
                result = self.pair(chain, window, size)
                if result:
                    self.results.setdefault((window, size), {}).setdefault(
                        chain.name, []).append(result)
            if window > 1:
                continue
            for name, chain in memory.items():
                result = self.pair(chain, window, size)
                if result:
                    self.trips.setdefault((name, size), []).append(result["ack_us"]["p50"])

    def pairs(self):
        disk = [self.chain(kind) for kind in durable_chains.DISK]
        memory = {name: self.chain(kind) for name, kind in durable_chains.MEMORY.items()}
        for chain in [*disk, *memory.values()]:
            durable_runs.start(self.generator, chain)
        began, longest = time.monotonic(), 0
        while self.rounds < self.args.repeat and (
                not self.rounds or
                time.monotonic() + longest < began + self.args.minutes * 60):
            say(f"round {self.rounds + 1} of {self.args.repeat}")
            start = time.monotonic()
            self.round(disk, memory)
            longest = max(longest, time.monotonic() - start)
            self.rounds += 1
        for chain in disk:
            self.syncs[chain.name] = self.guarded(
                "syncs", durable_runs.syncs_per_ack, self.generator, chain)
        for chain in [*disk, *memory.values()]:
            chain.stop()

    def run(self):
        if "pairs" in self.args.parts:
            self.pairs()
        if "queues" in self.args.parts:
            say("a million messages in 1,000 queues")
            self.queues = self.guarded("1,000 queues", durable_runs.queues, self.generator,
                                       self.chain(durable_chains.TLS), 20)
        if "engine" in self.args.parts:
            say("the engine alone")
            store = self.folder / "engine"
            store.mkdir()
            self.engine = self.guarded(
                "engine", durable_runs.engine,
                pathlib.Path(self.args.build) / "bench" / "bench_engine", store, 20)
        if "restarts" in self.args.parts:
            for n in (self.args.waiting // 10, self.args.waiting):
                say(f"restarts with {n:,} messages")
                figures = self.guarded(f"{n:,} messages", durable_runs.restarts, self.generator,
                                       self.chain(durable_chains.TLS), n)
                if figures:
                    self.restarts.append(figures)


# ---- tables

def of(results, *path):
    """The median over runs of one figure, as in path ("ack_us", "p50")."""
    values = []
    for r in results:
        for key in path:
            r = r[key] if r else None
        values.append(r)
    return median(values)


def markdown_table(head, rows):
    return ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1),
            *("| " + " | ".join(row) + " |" for row in rows), ""]


PAIR_ROWS = (("acknowledged, k msg/s (more is better)", ("acked_per_s",), 1e-3),
             ("until acknowledged, p50, µs", ("ack_us", "p50"), 1),
             ("until acknowledged, p99, µs", ("ack_us", "p99"), 1),
             ("until delivered, p50, µs", ("latency_us", "p50"), 1),
             ("until delivered, p99, µs", ("latency_us", "p99"), 1))


def pair_lines(bench):
    titles = {c.name: c.title for c in durable_chains.DISK}
    rows = []
    for window, size in sorted(bench.results):
        found = bench.results[window, size]
        for title, path, scale in PAIR_ROWS:
            v = {n: of(found.get(n, []), *path) for n in titles}
            v = {n: x * scale if x is not None else None for n, x in v.items()}
            rows.append([f"window {window}, {'1 KiB' if size == 1024 else f'{size} B'}: {title}",
                         *[table.number(v[n]) for n in titles],
                         table.ratio(v["clear"], v["rabbitmq"]),
                         table.ratio(v["tls"], v["rabbitmq"])])
    rows.append(["syncs for each acknowledgement, window 1",
                 *[table.number(bench.syncs.get(n)) for n in titles], "", ""])
    return markdown_table(["measure", *titles.values(), "clear / RabbitMQ", "TLS / RabbitMQ"],
                          rows)


def verdict(met):
    return "yes" if met else "no"


def goal_lines(bench):
    """The goals of this part beside what was measured."""
    disk, rows = median(bench.fdatasync), []
    rows.append(["fdatasync of 4 KiB, p50, µs", table.number(disk), "", ""])
    for name, title in (("clear", "clear"), ("tls", "TLS")):
        for size in (64, 1024):
            trip = median(bench.trips.get((name, size), []))
            p50 = of(bench.results.get((1, size), {}).get(name, []), "ack_us", "p50")
            if trip is None or p50 is None:
                continue
            rows.append([f"{title}, {size} B: a chain round trip (memory engine), p50, µs",
                         table.number(trip), "", ""])
            rows.append([f"{title}, {size} B: window 1, p50 / (fdatasync + round trip)",
                         f"{p50 / (disk + trip):.2f} ×", "≤ 1.5 ×",
                         verdict(p50 <= 1.5 * (disk + trip))])
        for size in (64, 1024):
            found = bench.results.get((100, size), {})
            ours = of(found.get(name, []), "acked_per_s")
            theirs = of(found.get("rabbitmq", []), "acked_per_s")
            p99 = of(found.get(name, []), "ack_us", "p99")
            if ours is None or theirs is None:
                continue
            rows.append([f"{title}, {size} B: window 100, acknowledged / RabbitMQ",
                         table.ratio(ours, theirs), "≥ 10 ×", verdict(ours >= 10 * theirs)])
            rows.append([f"{title}, {size} B: window 100, p99, ms", table.number(p99 / 1e3),
                         "≤ 5", verdict(p99 <= 5000)])
    return markdown_table(["measure", "figure", "goal", "met"], rows)


def queue_lines(bench):
    f = bench.queues
    return markdown_table(["measure", "figure", "goal"], [
        ["acknowledged, k msg/s", table.number(f["acked"] / 1e3), "≥ 60"],
        ["taken by subscribers, k msg/s", table.number(f["taken"] / 1e3), ""],
        ["until acknowledged, p50, ms", table.number(f["p50"] / 1e3), ""],
        ["until acknowledged, p99, ms", table.number(f["p99"] / 1e3), "≤ 50"],
        ["longest time without an acknowledgement, ms", table.number(f["gap"] / 1e3), "≤ 200"],
        ["messages waiting, before and after", f"{f['waiting']:,.0f} – {f['waiting_after']:,.0f}",
         ""],
        ["filling it, k msg/s", table.number(f["fill"] / 1e3), ""],
        ["anonymous memory of the broker, MiB", table.number(f["anon"] / 1024), ""]])


def engine_lines(bench):
    return markdown_table(
        ["phase", "msg/s", "p50, ms", "p99, ms", "longest gap, ms", "anonymous, MiB"],
        [[w if w is not None else "" for w in row] for row in bench.engine])


def restart_lines(bench):
    titles = (("idle", "anonymous memory of the broker before, MiB", 1 / 1024),
              ("backlog", "with the backlog", 1 / 1024),
              ("ready_kill", "SIGKILL: seconds from exec to ready", 1),
              ("anon_kill", "anonymous memory then, MiB", 1 / 1024),
              ("ready_term", "SIGTERM: seconds from exec to ready", 1),
              ("anon_term", "anonymous memory then, MiB", 1 / 1024),
              ("fill", "filling it, k msg/s", 1e-3), ("drain", "draining it, k msg/s", 1e-3),
              ("live", "the live rate beside, k msg/s", 1e-3))
    return markdown_table(
        ["messages of 1 KiB in one queue", *[f"{f['n']:,}" for f in bench.restarts]],
        [[title, *[table.number(f[key] * scale) for f in bench.restarts]]
         for key, title, scale in titles])


def about_lines(bench, command):
    kind = filesystem(bench.folder)
    return [
        "# Durable benchmarks", "", "Written by the benchmark itself:", "", f"    {command}", "",
        f"Machine: {table.machine()}; stores on {kind}. The load average was {bench.load:.1f} when "
        "it began: other programs ran beside, so ratios say more than absolute figures. "
        f"RabbitMQ {durable_chains.RabbitMQ.version()}.", "",
        "All publishers and subscribers have durable sessions (clean session 0) and QoS 1. Ours is "
        "publisher → sidecar → broker (embedded engine, `store.durability: always`) → sidecar → "
        "subscriber; RabbitMQ is one node that both connect to, in the clear, with durable queues, "
        "which confirms after its own sync.", ""]


PAIRS_TEXT = "{} rounds in turns, medians, {:g} s a run. One publisher, one subscriber."
QUEUES_TEXT = (
    "1,000 durable sessions with 1,000 messages of 1 KiB each, all through two sidecars with TLS. "
    "Then 1,000 publishers, one message in flight each, and the subscribers, each of which "
    "acknowledges one message for each that its publisher had acknowledged.")
ENGINE_TEXT = ("The same without a network (`bench_engine`): 1,000 queues, a million messages of "
               "1 KiB, 1,000 commits in flight.")
RESTART_TEXT = (
    "One durable session with a backlog, over a broker that is killed and one that is ended. The "
    "drain proves that all came, in order, none twice; the live rate is one publisher and one "
    "subscriber at 1 KiB, window 1,000.")


def page(bench, command):
    out = about_lines(bench, command)
    if bench.results:
        out += ["## One publisher, one subscriber", "",
                PAIRS_TEXT.format(bench.rounds, bench.args.seconds), "", *pair_lines(bench),
                *goal_lines(bench)]
    if bench.queues:
        out += ["## A million messages waiting in 1,000 queues", "", QUEUES_TEXT, "",
                *queue_lines(bench)]
    if bench.engine:
        out += ["## The engine alone", "", ENGINE_TEXT, "", *engine_lines(bench)]
    if bench.restarts:
        out += ["## Restarts", "", RESTART_TEXT, "", *restart_lines(bench)]
    if bench.failures:
        out += ["## Not in order", "", *[f"- {f}" for f in bench.failures], ""]
    return "\n".join(out)


def check_memory(bench):
    """The broker's memory must not grow with the backlog."""
    if len(bench.restarts) < 2:
        return
    small, large = bench.restarts
    for key in ("backlog", "anon_kill", "anon_term"):
        # The journal's size, and the cache's: what it may hold at any backlog.
        if large[key] > max(small[key] * 1.5, (256 + 64 + 64) * MIB // 1024):
            bench.failures.append(f"memory grows with the backlog: {key} is {small[key]} KiB with "
                                  f"{small['n']:,} messages, {large[key]} with {large['n']:,}")


def main(argv):
    args = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    base = pathlib.Path(args.dir or ROOT / "build").resolve()
    base.mkdir(parents=True, exist_ok=True)
    if filesystem(base) in ("tmpfs", "ramfs"):
        say(f"{base} is in memory; --dir names a folder on a disk")
        return 2
    umask = os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="bench-durable-", dir=base) as folder:
        bench = Bench(args, folder)
        try:
            bench.run()
        except ChainError as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            bench.stop()
        check_memory(bench)
        text = page(bench, command_line(argv))
    print(text)
    if args.markdown:
        os.umask(umask)
        pathlib.Path(args.markdown).write_text(text)
        say(f"wrote {args.markdown}")
    return 1 if bench.failures else 0

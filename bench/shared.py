"""./dev bench --shared: several brokers on one log in PostgreSQL, a primary and a synchronous standby;
the bare log of the same minutes beside; and what a fail-over costs."""

import argparse
import os
import pathlib
import signal
import tempfile
import time

import durable_runs
import generator
import pairs
import shared_fail
import shared_runs
import table
from chains import ROOT, ChainError
from durable import filesystem, markdown_table, parts_of
from durable_runs import Failed, flags
from measures import median
from report import command_line, interrupt, say
from shared_chain import LAG_EVERY_S, Chain

PARTS = ("commits", "rolls", "fail-overs")
EMBEDDED_S = 1.0


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --shared", description="Measures durable sessions at QoS 1 through several "
        "brokers on one log (publisher, sidecar, broker, sidecar, subscriber), beside the bare log; "
        "segments of the log that begin and are dropped; and fail-overs.")
    p.add_argument("--shared", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--parts", default=",".join(PARTS), metavar="PARTS",
                   help=f"comma list of {', '.join(PARTS)} (all)")
    p.add_argument("--failover", action="store_true", help="fail-overs alone")
    p.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds of commits (5)")
    p.add_argument("--seconds", type=float, default=2, metavar="S", help="measured per run (2)")
    p.add_argument("--brokers", type=int, default=3, metavar="N", help="that share the log (3)")
    p.add_argument("--segments", type=int, default=3, metavar="N",
                   help="that begin, and that are dropped (3)")
    p.add_argument("--fail-overs", type=int, default=5, metavar="N", help="of each kind (5)")
    p.add_argument("--sessions", type=int, default=10000, metavar="N",
                   help="in a fail-over; half of them publish (10000)")
    p.add_argument("--links", type=int, default=100, metavar="M", help="sidecars that they have (100)")
    p.add_argument("--rate", type=int, metavar="R",
                   help="messages a second then (one of each publisher in 2.5 s)")
    p.add_argument("--against", metavar="DIR",
                   help="CPU of the embedded engine, too: these programs beside those of DIR")
    p.add_argument("--pairs", type=int, default=9, metavar="N", help="pairs of runs of that (9)")
    p.add_argument("--markdown", metavar="FILE",
                   help="write the tables there, as docs/benchmarks-shared.md")
    p.add_argument("--dir", metavar="DIR", help="where all lies: a disk, not tmpfs (below build/)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    args = p.parse_args(argv)
    args.rate = args.rate or args.sessions // 5
    args.parts = ["fail-overs"] if args.failover else parts_of(p, args.parts, PARTS)
    return args


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.program = pathlib.Path(args.build) / "sqmqos-bench"
        self.generator = generator.Generator(self.program)
        self.chain = None
        self.commits = self.rolls = self.embedded = None
        self.times = {}
        self.failures = []
        self.load = os.getloadavg()[0]
        self.began = time.monotonic()

    def start(self, **options):
        self.chain = Chain(self.folder / f"chain-{time.monotonic_ns()}", self.args.build,
                           self.args.brokers, **options)
        self.chain.start()
        durable_runs.run(self.generator, self.chain, *flags(count=1, drain=5, mqtt=3))

    def run(self):
        for part in self.args.parts:
            say(part)
            try:
                getattr(self, "run_" + part.replace("-", "_"))()
            except Failed as e:
                self.failures.append(f"{part}: {e}")
            self.stop_chain()
        if self.args.against:
            say("the embedded engine")
            self.run_embedded()

    def stop_chain(self):
        if self.chain:
            self.chain.stop()
        self.chain = None

    def stop(self):
        self.generator.stop()
        self.stop_chain()

    # ---- the parts

    def run_commits(self):
        self.start()
        self.commits = shared_runs.Commits(self.generator, self.chain, self.args.seconds)
        for i in range(self.args.repeat):
            say(f"round {i + 1} of {self.args.repeat}")
            self.commits.round()

    def run_rolls(self):
        self.start(segment_size=shared_runs.SEGMENT)
        rolls = shared_runs.Rolls(self.generator, self.chain)
        rolls.run(self.args.segments)
        self.rolls = rolls

    def run_fail_overs(self):
        self.start(links=self.args.links, copies=3)
        self.times, failures = shared_fail.run(self.program, self.chain, self.args)
        self.failures += failures

    def run_embedded(self):
        args = pairs.parse([f"--against={self.args.against}", "--embedded", f"--pairs={self.args.pairs}",
                            f"--seconds={EMBEDDED_S}", f"--build={self.args.build}"])
        self.embedded = pairs.Pairs(args, self.folder / "pairs")
        try:
            self.embedded.run()
        finally:
            self.embedded.stop()
        self.failures += self.embedded.failures


# ---- tables

def of(results, *path):
    values = []
    for r in results:
        for key in path:
            r = r[key]
        values.append(r)
    return median(values)


def verdict(value, most):
    return "–" if value is None else "yes" if value <= most else "no"


def bare_rows(found):
    return [[f"bare log, {size:,} B: p50 / p99, ms; records/s",
             f"{of(r, 'p50') / 1e3:.2f} / {of(r, 'p99') / 1e3:.2f}; {of(r, 'per_s'):,.0f}", "", ""]
            for size, r in sorted(found.items())]


def window_1_rows(commits):
    found = commits.pairs[1, 64]
    p50, p99 = (of(found, "ack_us", key) / 1e3 for key in ("p50", "p99"))
    most = min(of(commits.bare[min(commits.bare)], "p50") / 1e3 + 0.7, 1.5)
    return [["window 1, 64 B: a commit in the broker, mean, ms", f"{median(commits.means) * 1e3:.2f}", "", ""],
            ["window 1, 64 B: until acknowledged, p50, ms", f"{p50:.2f}", f"≤ {most:.2f} (bare + 0.7, 1.5)",
             verdict(p50, most)],
            ["window 1, 64 B: until acknowledged, p99, ms", f"{p99:.2f}", "≤ 6", verdict(p99, 6)]]


def window_100_rows(commits, size):
    found, judged = commits.pairs[100, size], size == 64
    rate, p99 = of(found, "acked_per_s"), of(found, "ack_us", "p99") / 1e3
    what = f"window 100, {'1 KiB' if size == 1024 else f'{size} B'}"
    return [[f"{what}: acknowledged, msg/s", f"{rate:,.0f}",
             *(("≥ 40,000", verdict(-rate, -40000)) if judged else ("", ""))],
            [f"{what}: until acknowledged, p50, ms", f"{of(found, 'ack_us', 'p50') / 1e3:.1f}", "", ""],
            [f"{what}: until acknowledged, p99, ms", f"{p99:.1f}",
             *(("≤ 15", verdict(p99, 15)) if judged else ("", ""))]]


def commit_lines(commits):
    share, lag = median(commits.shares), commits.lag(0.99)
    rows = [*bare_rows(commits.bare), *window_1_rows(commits), *window_100_rows(commits, 64),
            ["window 100, 64 B: bytes that are in records of 8 KiB and more", f"{share * 100:.0f} %", "≥ 80 %",
             verdict(-share, -0.8)],
            ["window 100, 64 B: followers behind the owner, p50, ms", f"{commits.lag(0.5) * 1e3:.0f}", "", ""],
            ["window 100, 64 B: followers behind the owner, p99, ms", f"{lag * 1e3:.0f}", "≤ 100",
             verdict(lag, 0.1)],
            *window_100_rows(commits, 1024)]
    return markdown_table(["measure", "figure", "goal", "met"], rows)


def roll_lines(rolls):
    quiet = rolls.middle(rolls.p99, shared_runs.QUIET)
    rows = []
    for kind, what in ((shared_runs.QUIET, "neither"), (shared_runs.ROLLS, "a segment begins"),
                       (shared_runs.DROPS, "a segment is dropped")):
        p99, judged = rolls.middle(rolls.p99, kind), kind != shared_runs.QUIET
        rows.append([what, str(len(rolls.p99[kind])), f"{p99 / 1e3:.1f}",
                     f"{rolls.middle(rolls.gaps, kind) / 1e3:.0f}",
                     *((f"{p99 / quiet:.2f} ×", "≤ 3 ×", verdict(p99, 3 * quiet)) if judged else ("", "", ""))])
    return markdown_table(["a run in which", "runs", "p99, ms", "longest without an acknowledgement, ms",
                           "of neither", "goal", "met"], rows)


def fail_over_lines(times):
    goals = {name: goal for name, goal, _ in shared_fail.KINDS}
    rows = [[name, str(len(found)), f"{median(found):.2f}", f"{max(found):.2f}", f"≤ {goals[name]:g}",
             verdict(max(found), goals[name])] for name, found in times.items()]
    return markdown_table(["what", "times", "median, s", "worst, s", "goal", "met"], rows)


def embedded_lines(found):
    verdicts = found.verdicts()
    rows = [[figure.title, str(len(ratios)), f"{median(ratios):.3f}", f"{pairs.spread(ratios):.1f} %",
             f"± {figure.percent:g} %", verdicts[figure.title]] for figure, ratios in found.ratios.values()]
    return markdown_table(["measure", "pairs", "after / before", "spread", "judged at", "verdict"], rows)


COMMITS_TEXT = (
    "{} rounds, medians, {:g} s a run. The bare log is the driver's own statements, one record in flight, "
    "without a broker, in the same round. Followers are looked at {:g} times a second: behind is the time "
    "from the moment at which the owner has a record to that at which they have it.")
ROLLS_TEXT = (
    "Window 100, 64 B, runs of {:g} s, with segments of {}; instead of the minute before, runs of the same "
    "minute in which no segment begins or is dropped. Medians. A DROP took {:.0f} ms at most.")
FAIL_OVERS_TEXT = (
    "{:,} durable sessions on {} sidecars, half of them publishers with one message in flight, "
    "{:,} messages a second in all; the database has two standbys, of which one confirms. From the event until every publisher was acknowledged again; no client "
    "was disconnected in any of them, and every message arrived, in order.")
EMBEDDED_TEXT = (
    "The embedded engine with its journal on this disk, one publisher and one subscriber: programs of the "
    "commit before several brokers ({}) and these in pairs, medians of their ratios; {:g} s a run.")


def page(bench, command):
    args = bench.args
    out = ["# Benchmarks of several brokers", "", "Written by the benchmark itself:", "",
           f"    {command}", "",
           f"Machine: {table.machine()}, all of it on this one: databases, brokers, sidecars and the "
           f"generator; stores and databases on {filesystem(bench.folder)}. The load average was "
           f"{bench.load:.1f} when it began. PostgreSQL: a primary and a synchronous standby. {args.brokers} "
           "brokers, of which one owns the log and the others follow; sidecars in the clear; all sessions are "
           "durable, QoS 1.", ""]
    if bench.commits and bench.commits.pairs:
        out += ["## Commits", "", COMMITS_TEXT.format(args.repeat, args.seconds, 1 / LAG_EVERY_S), "",
                *commit_lines(bench.commits)]
    if bench.rolls:
        out += ["## Segments", "", ROLLS_TEXT.format(
            shared_runs.ROLL_S, shared_runs.SEGMENT.replace("Mi", " MiB"), max(bench.rolls.dropped) * 1e3), "",
            *roll_lines(bench.rolls)]
    if bench.times:
        out += ["## Fail-overs", "", FAIL_OVERS_TEXT.format(args.sessions, args.links, args.rate), "",
                *fail_over_lines(bench.times)]
    if bench.embedded:
        out += ["## The embedded engine", "", EMBEDDED_TEXT.format("2a1baf3a", EMBEDDED_S), "",
                *embedded_lines(bench.embedded)]
    if bench.failures:
        out += ["## Not in order", "", *[f"- {f}" for f in bench.failures], ""]
    return "\n".join(out)


def main(argv):
    args = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    base = pathlib.Path(args.dir or ROOT / "build").resolve()
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-shared-", dir=base) as folder:
        os.chmod(folder, 0o755)  # the servers' user comes there
        bench = Bench(args, pathlib.Path(folder))
        try:
            bench.run()
        except (ChainError, AssertionError) as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            bench.stop()
        text = page(bench, command_line(argv))
    print(text)
    say(f"{(time.monotonic() - bench.began) / 60:.1f} minutes")
    if args.markdown:
        pathlib.Path(args.markdown).write_text(text)
        say(f"wrote {args.markdown}")
    return 1 if bench.failures else 0

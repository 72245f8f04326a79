"""./dev bench --against DIR: the programs of this tree beside those in DIR, in pairs
A-B-A-B of the same run, in one go (every other pair starts with B, so that neither is
always the first): what has a change cost?

Each figure is the median of the pairs' ratios, with its spread: half of the interval in
which the median is with 95 % confidence (by order statistics), in percent. CPU per message,
of all three processes, is judged at 3 %, the rest at 15 %; a figure whose spread is above
what it is judged at is not decided. The status is 1 where a figure is worse."""

import argparse
import dataclasses
import math
import pathlib
import signal
import sys
import tempfile
import time

import chains as chain_kinds
import collector
import durable_chains
import durable_runs
import generator
import measures
import table
from report import interrupt

CPU_PERCENT, OTHER_PERCENT = 3.0, 15.0
WORSE, NOT_DECIDED = "worse", "not decided"
CONFIDENCE = 0.95
RUNS = ("1-1-q0", "1-1-q1", "1-1-q2", "10-10-q1", "1-100-q1", "latency-q0", "latency-q1",
        "subscribe-1", "subscribe-100")
EMBEDDED_RUNS = ("1-1-q1", "10-10-q1")


@dataclasses.dataclass
class Figure:
    title: str
    percent: float         # at which it is judged
    lower_is_better: bool
    value: object          # of a result


def figures(run):
    """What is read off a result of this run."""
    if run.latency:
        def percentile(name):
            return lambda r: r["latency_us"] and r["latency_us"][name]
        return [Figure(f"{run.title}, {p}", OTHER_PERCENT, True, percentile(p))
                for p in ("p50", "p99")] + [
            Figure(f"{run.title}: CPU per message", CPU_PERCENT, True, measures.cpu_per_million)]
    if run.subscribes:
        return [Figure(run.title, OTHER_PERCENT, True, lambda r: r["seconds"])]
    return [Figure(f"{run.title}: CPU per message", CPU_PERCENT, True, measures.cpu_per_million),
            Figure(f"{run.title}", OTHER_PERCENT, False, lambda r: r["delivered_per_s"])]


def rank(n):
    """The rank, from either end, between which and the other the median of 'n' values is
    with that confidence; 0: there are too few."""
    found, outside = 0, 0
    while found < n // 2:
        outside += 2 * math.comb(n, found)
        if outside > (1 - CONFIDENCE) * 2 ** n:
            break
        found += 1
    return found


def spread(ratios):
    """Half of the median's interval, in percent of it."""
    values, mid = sorted(ratios), measures.median(ratios)
    at = rank(len(values)) or 1
    return 50 * (values[-at] - values[at - 1]) / mid


def verdict(figure, ratios):
    change = 100 * (measures.median(ratios) - 1) * (1 if figure.lower_is_better else -1)
    if rank(len(ratios)) == 0 or spread(ratios) > figure.percent:
        return NOT_DECIDED
    return WORSE if change > figure.percent else \
        "better" if change < -figure.percent else f"within {figure.percent:g} %"


def summary(verdicts):
    """One line of all: {title: verdict}."""
    def named(which):
        return ", ".join(t for t, v in verdicts.items() if v == which)

    parts = [f"{v}: {named(v)}" for v in (WORSE, NOT_DECIDED) if named(v)]
    return ". ".join(parts) if parts else f"None of the {len(verdicts)} figures is worse"


def parse(argv):
    p = argparse.ArgumentParser(prog="./dev bench --against DIR")
    p.add_argument("--against", metavar="DIR", required=True,
                   help="where the other sqmqos-broker and sqmqos-sidecar are")
    p.add_argument("--pairs", type=int, metavar="N", default=9, help="pairs of each run (9)")
    p.add_argument("--seconds", type=float, metavar="S", default=2.0, help="measured per run (2)")
    p.add_argument("--embedded", action="store_true",
                   help="durable sessions in the embedded engine, at QoS 1 and 2")
    p.add_argument("--runs", metavar="NAMES", default="",
                   help=f"comma list of kinds of runs ({','.join(RUNS)}; embedded: "
                   f"{','.join(EMBEDDED_RUNS)})")
    p.add_argument("--tls", action="store_true", help="with TLS between sidecars and broker")
    p.add_argument("--tracing", metavar="SHARE",
                   help="trace in this tree's chain alone, with that share sampled, as 0.01")
    p.add_argument("--build", metavar="DIR", default=str(chain_kinds.ROOT / "build" / "release"),
                   help="where our programs are (build/release)")
    args = p.parse_args(argv)
    known = {r.key: r for r in measures.runs()}
    args.runs = args.runs or ",".join(EMBEDDED_RUNS if args.embedded else RUNS)
    for key in args.runs.split(","):
        if key not in known:
            p.error(f"--runs: there is no run '{key}'")
    args.runs = [known[key] for key in args.runs.split(",")]
    return args


class Pairs:
    def __init__(self, args, folder):
        kinds = (durable_chains.Clear, durable_chains.TLS) if args.embedded else (
            chain_kinds.OursClear, chain_kinds.OursTLS)
        kind = kinds[args.tls]
        self.more = durable_runs.DURABLE[:-2] if args.embedded else ()
        self.args = args
        self.generator = generator.Generator(pathlib.Path(args.build) / "sqmqos-bench")
        self.before = kind(pathlib.Path(folder) / "before", args.against)
        self.after = kind(pathlib.Path(folder) / "after", args.build)
        self.collector = collector.Collector() if args.tracing else None
        if self.collector:
            self.after.tracing = {"sample": args.tracing, "endpoint": self.collector.endpoint}
        self.ratios = {}    # figure title -> (Figure, list of ratios after / before)
        self.failures = []

    def one(self, run, chain, label):
        result, words = self.generator.run(
            chain, *self.more, *run.args, *run.timing(self.args.seconds, 0.3))
        if result is None or not result["ok"]:
            self.failures.append(f"{label}: {run.title}: "
                                 f"{generator.describe(result) if result else words}")
            return None
        return result

    def pair(self, run, swap):
        order = [(self.before, "before"), (self.after, "after")]
        results = {label: self.one(run, chain, label)
                   for chain, label in (reversed(order) if swap else order)}
        if None in results.values():
            return
        for figure in figures(run):
            values = [figure.value(results[label]) for label in ("before", "after")]
            if all(values):
                self.ratios.setdefault(figure.title, (figure, []))[1].append(
                    values[1] / values[0])

    def run(self):
        for chain in (self.before, self.after):
            why = chain.missing()
            if why:
                raise chain_kinds.ChainError(why)
            chain.start()
        for n in range(self.args.pairs):
            print(f"bench: pair {n + 1} of {self.args.pairs}", file=sys.stderr, flush=True)
            for run in self.args.runs:
                self.pair(run, n % 2 == 1)

    def stop(self):
        self.generator.stop()
        self.before.stop()
        self.after.stop()
        if self.collector:
            self.collector.stop()
            if not self.collector.taken:
                self.failures.append("the collector got no spans")

    def verdicts(self):
        return {figure.title: verdict(figure, ratios) for figure, ratios in self.ratios.values()}

    def text(self, seconds):
        lines = [f"{'measure':<58} {'after / before':>14} {'spread':>8} {'pairs':>6}  verdict"]
        verdicts = self.verdicts()
        for figure, ratios in self.ratios.values():
            lines.append(f"{figure.title:<58} {measures.median(ratios):>14.3f} "
                         f"{spread(ratios):>6.1f} % {len(ratios):>6}  {verdicts[figure.title]}")
        lines += ["", summary(verdicts) + ".", f"Pairs in turns, medians of their ratios; {self.args.seconds:g} s a "
                  f"throughput run; {seconds / 60:.1f} minutes. Machine: {table.machine()}."]
        return "\n".join(lines + [f"failed: {f}" for f in self.failures])


def main(argv):
    args = parse(argv)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, interrupt)
    with tempfile.TemporaryDirectory(prefix="sqmqos-bench-") as folder:
        pairs = Pairs(args, folder)
        try:
            pairs.run()
        except chain_kinds.ChainError as e:
            print(f"bench: {e}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            pairs.stop()
    print(pairs.text(time.monotonic() - began))
    return 1 if pairs.failures or WORSE in pairs.verdicts().values() else 0

"""./dev bench --scale: how much one broker, and one sidecar, carry: many sessions on many links, by a
generator that speaks the link itself; many subscriptions in the router; many clients of a sidecar. What
each costs in memory and CPU, and how all come back when the broker is killed."""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import generator
import scale_clients
import scale_sessions
import table
from chains import ROOT, ChainError, stack
from durable import filesystem, markdown_table, parts_of
from durable_runs import Failed
from report import command_line, interrupt, say
from scale_chain import TLS, Clear

PARTS = ("transient", "durable", "router", "clients")
ROUTER_LINE = re.compile(r"^ *(\d+) +(\d+)  (.{13}) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +(\d+)$")


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --scale", description="Measures many sessions on many links to one broker, many "
        "subscriptions in its router, and many clients of one sidecar; and kills the broker under them.")
    p.add_argument("--scale", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--parts", default=",".join(PARTS), metavar="PARTS",
                   help=f"comma list of {', '.join(PARTS)} (all)")
    p.add_argument("--sessions", type=int, default=100000, metavar="N", help="on all links (100000)")
    p.add_argument("--links", type=int, default=1000, metavar="N", help="(1000)")
    p.add_argument("--rate", type=int, default=10000, metavar="R", help="messages a second over them (10000)")
    p.add_argument("--seconds", type=float, default=10, metavar="S", help="measured at that rate (10)")
    p.add_argument("--subscriptions", type=int, default=1000000, metavar="N", help="in the router (1000000)")
    p.add_argument("--clients", type=int, default=10000, metavar="N", help="of one sidecar (10000)")
    p.add_argument("--client-rate", type=int, default=1000, metavar="R",
                   help="messages a second of half of them to the other half (1000)")
    p.add_argument("--settle", type=float, default=3, metavar="S", help="before memory is looked at (3)")
    p.add_argument("--tls", action="store_true", help="TLS on the links")
    p.add_argument("--markdown", metavar="FILE", help="write the tables there, as docs/benchmarks-scale.md")
    p.add_argument("--json", metavar="FILE", help="write all figures there")
    p.add_argument("--dir", metavar="DIR", help="where stores lie: a disk, not tmpfs (below build/)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    args = p.parse_args(argv)
    args.parts = parts_of(p, args.parts, PARTS)
    return args


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.build = pathlib.Path(args.build).resolve()
        self.generator = generator.Generator(self.build / "sqmqos-bench")
        self.chain = self.links = None
        self.found = {}  # part -> figures
        self.failures = []
        self.load = os.getloadavg()[0]
        self.began = time.monotonic()

    def start(self, part):
        self.chain = (TLS if self.args.tls else Clear)(self.folder / part, self.build)
        self.chain.start()
        return self.chain

    def run(self):
        for part in self.args.parts:
            say(part)
            try:
                self.found[part] = getattr(self, "run_" + part)()
            except (ChainError, Failed) as e:
                say(str(e))
                self.failures.append(f"{part}: {e}")
            self.stop()

    def stop(self):
        self.generator.stop()
        if self.links:
            self.links.stop()
        if self.chain:
            self.chain.stop()
        self.chain = self.links = None

    def run_transient(self):
        return scale_sessions.run(self, "transient")

    def run_durable(self):
        return scale_sessions.run(self, "durable")

    def run_clients(self):
        return scale_clients.run(self)

    def run_router(self):
        done = subprocess.run([self.build / "bench" / "bench_router", str(self.args.subscriptions)],
                              capture_output=True, text=True, timeout=600, preexec_fn=stack.in_child)
        rows = [m.groups() for m in map(ROUTER_LINE.match, done.stdout.splitlines()) if m]
        if done.returncode != 0 or not rows:
            raise ChainError(f"bench_router {stack.describe_exit(done.returncode)}")
        names = ("subscriptions", "levels", "kind", "match_ns", "matched", "bytes", "insert_ns", "remove_ns",
                 "slice_us")
        return [{n: v.strip() if n == "kind" else float(v) for n, v in zip(names, row)} for row in rows]


# ---- tables

def router_lines(rows):
    return markdown_table(
        ["subscriptions", "levels of a topic", "filters", "match, ns", "subscriptions that match",
         "memory each, bytes", "subscribe, ns", "unsubscribe, ns"],
        [[f"{r['subscriptions']:,.0f}", f"{r['levels']:.0f}", r["kind"], f"{r['match_ns']:,.0f}",
          f"{r['matched']:.2f}", f"{r['bytes']:.0f}", f"{r['insert_ns']:,.0f}", f"{r['remove_ns']:,.0f}"]
         for r in rows])


ROUTER_TEXT = (
    "The index alone (`bench_router`), without sessions: a match of a topic that is subscribed, as many "
    "of them as the most subscriptions, in random order, so most of the time is that of cache misses. *exact*: each filter is a topic; "
    "*one + each*: with a `+` in it; *# at the end*; *mix*: 80, 15 and 5 %. First topics of six levels "
    "(`building/7/room/12/sensor/3`) with more and more subscriptions, then as many topics with more and more levels.")


def page(bench, command):
    args, found = bench.args, bench.found
    out = ["# Benchmarks of scale", "", "Written by the benchmark itself:", "", f"    {command}", "",
           f"Machine: {table.machine()}; stores on {filesystem(bench.folder)}. The load average was "
           f"{bench.load:.1f} when it began. Links are {'TLS 1.3' if args.tls else 'in the clear'}; the broker has "
           "its defaults. What the figures mean for a cluster: [scaling.md](scaling.md).", ""]
    if sessions := [part for part in ("transient", "durable") if part in found]:
        out += ["## Sessions", "", scale_sessions.TEXT.format(args), "",
                *scale_sessions.lines(args, {p: found[p] for p in sessions})]
    if "router" in found:
        out += ["## Subscriptions", "", ROUTER_TEXT, "", *router_lines(found["router"])]
    if "clients" in found:
        out += ["## Clients of one sidecar", "", scale_clients.TEXT.format(args), "",
                *scale_clients.lines(args, found["clients"])]
    if bench.failures:
        out += ["## Not in order", "", *[f"- {f}" for f in bench.failures], ""]
    return "\n".join(out).rstrip("\n") + "\n"


def main(argv):
    args = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    base = pathlib.Path(args.dir or ROOT / "build").resolve()
    base.mkdir(parents=True, exist_ok=True)
    mask = os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=base) as folder:
        bench = Bench(args, pathlib.Path(folder))
        try:
            bench.run()
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            bench.stop()
        text = page(bench, command_line(argv))
    os.umask(mask)
    print(text, end="")
    say(f"{(time.monotonic() - bench.began) / 60:.1f} minutes")
    if args.markdown:
        pathlib.Path(args.markdown).write_text(text)
        say(f"wrote {args.markdown}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(
            {"failures": bench.failures, **bench.found}, indent=1) + "\n")
    return 1 if bench.failures else 0

#!/usr/bin/env python3
"""./dev bench: our chain and mosquitto's side by side, and the floor below.

Every kind of run goes round all chains before the next one starts, and all of
that is repeated: A-B-A-B. The table shows medians and their ratios."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chains as chain_kinds  # noqa: E402
import durable  # noqa: E402
import generator  # noqa: E402
import http_api  # noqa: E402
import measures  # noqa: E402
import pairs  # noqa: E402
import table  # noqa: E402
import view  # noqa: E402
from report import command_line, interrupt, say  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
IDLE_CLIENTS = 2000
REST_S = 10  # from a load to what remains of it


def fail(text):
    say(text)
    sys.exit(1)


def parse(argv):
    names = [c.name for c in chain_kinds.ALL]
    p = argparse.ArgumentParser(
        prog="./dev bench", description="Measures our chain (publisher, sidecar, broker, sidecar, "
        "subscriber) in the clear and with TLS beside a chain of mosquittos and beside bare TCP "
        "proxies, in turns, and prints a table of medians and ratios.")
    p.add_argument("--durable", action="store_true",
                   help="the durable engine beside RabbitMQ instead, with options of its own: "
                   "--durable --help")
    p.add_argument("--against", metavar="DIR",
                   help="the programs in DIR beside ours instead, in pairs: --against DIR --help")
    p.add_argument("--view", action="store_true",
                   help="the broker's view with many sessions instead: --view --help")
    p.add_argument("--http", action="store_true",
                   help="the HTTP API beside a bare h2o instead: --http --help")
    p.add_argument("--bridges", action="store_true",
                   help="bridges to RabbitMQ and SQS beside bare loops instead: --bridges --help")
    p.add_argument("--shared", action="store_true",
                   help="three brokers on one log in PostgreSQL instead: --shared --help")
    p.add_argument("--scale", action="store_true",
                   help="many sessions, links, subscriptions and clients instead: --scale --help")
    p.add_argument("--k8s", action="store_true",
                   help="sidecars on the machine's Kubernetes cluster instead, with options of "
                   "its own: --k8s --help")
    p.add_argument("--quick", action="store_true",
                   help="short and few runs, under 2 minutes: figures only to look at")
    p.add_argument("--only", metavar="CHAINS", default=",".join(names),
                   help=f"comma list of {', '.join(names)} (all)")
    p.add_argument("--runs", metavar="REGEX", default="",
                   help="only kinds of runs whose name matches; 'memory' is one, too (--list)")
    p.add_argument("--list", action="store_true", help="print the names of the kinds of runs")
    p.add_argument("--repeat", type=int, metavar="N", help="rounds (5; 2 with --quick)")
    p.add_argument("--seconds", type=float, metavar="S", help="measured per run (0.8; 0.3)")
    p.add_argument("--minutes", type=float, metavar="M",
                   help="time for the rounds, as many as it allows (8.5; 1.5)")
    p.add_argument("--syscalls", action="store_true",
                   help="count system calls per message, too, with perf or strace")
    p.add_argument("--markdown", metavar="FILE", help="write the table there, as docs/benchmarks.md")
    p.add_argument("--json", metavar="FILE", help="write every single result there")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    args = p.parse_args(argv)
    args.only = args.only.split(",")
    for name in args.only:
        if name not in names:
            p.error(f"--only: there is no chain '{name}', only {', '.join(names)}")
    args.repeat = args.repeat or (2 if args.quick else 5)
    args.seconds = args.seconds or (0.3 if args.quick else 0.8)
    args.minutes = args.minutes or (1.5 if args.quick else 8.5)
    args.warmup = 0.2 if args.quick else 0.3
    try:
        args.runs = re.compile(args.runs)
    except re.error as e:
        p.error(f"--runs: {e}")
    return args


class Bench:
    """The chains under test and what came out so far."""

    def __init__(self, args, folder):
        self.args = args
        self.generator = generator.Generator(pathlib.Path(args.build) / "sqmqos-bench")
        self.started = time.monotonic()
        self.results = {}  # run key -> chain name -> list of JSON objects or None
        self.memory = {}
        self.syscalls = {}
        self.failures = []  # "chain: what: why"
        self.broken = set()  # chains that don't start any more
        self.runs = [r for r in measures.runs() if args.runs.search(r.key)]
        self.chains = [c(folder, args.build) for c in chain_kinds.ALL if c.name in args.only]

    # ---- the generator

    def generate(self, chain, *flags):
        return self.generator.run(chain, *flags)

    def start(self, chain):
        """Starts 'chain' and waits until a message comes through."""
        chain.start()
        deadline = time.monotonic() + 15
        why = ""
        while time.monotonic() < deadline:
            result, why = self.generate(
                chain, "--count", 1, "--qos", 0 if chain.raw else 1, "--drain", 0.5)
            if result and result["ok"] and result["delivered"] == 1:
                return
            chain.check()
            time.sleep(0.1)
        raise chain_kinds.ChainError(f"{chain.name}: no message comes through: {why}")

    # ---- the rounds

    def one(self, run, chain):
        result, words = self.generate(
            chain, *run.args, *run.timing(self.args.seconds, self.args.warmup))
        self.results.setdefault(run.key, {}).setdefault(chain.name, []).append(result)
        if result is None:
            self.failures.append(f"{chain.title}: {run.title}: {words}")
        elif not result["ok"]:
            self.failures.append(f"{chain.title}: {run.title}: {generator.describe(result)}")
        if result is None or not result["drained"]:
            # What is stuck inside must not reach the next run.
            try:
                self.start(chain)
            except chain_kinds.ChainError as e:
                self.failures.append(f"{chain.title}: starting again: {e}")
                self.broken.add(chain.name)

    def round(self):
        for run in self.runs:
            for chain in self.chains:
                if (run.floor or not chain.raw) and chain.name not in self.broken:
                    self.one(run, chain)

    def rounds(self):
        done, longest, end = 0, 0, self.started + self.args.minutes * 60
        for chain in self.chains:
            self.start(chain)
        while done < self.args.repeat and (done == 0 or time.monotonic() + longest < end):
            say(f"round {done + 1} of {self.args.repeat}, {len(self.runs)} kinds of runs")
            began = time.monotonic()
            self.round()
            longest = max(longest, time.monotonic() - began)
            done += 1
        if done < self.args.repeat:
            say(f"no time for more than {done} of {self.args.repeat} rounds")
        if self.args.syscalls:
            self.count_syscalls()
        for chain in self.chains:
            chain.stop()
        return done

    # ---- memory

    def memory_pass(self):
        """Each chain alone and fresh: what it needs idle, per client, after load."""
        for chain in self.chains:
            if chain.raw:
                continue
            say(f"memory of {chain.title}")
            figures = self.memory[chain.name] = {}
            try:
                self.memory_idle(chain, figures)
                self.start(chain)
                self.memory_clients(chain, figures)
                self.start(chain)
                self.memory_load(chain, figures)
            except chain_kinds.ChainError as e:
                self.failures.append(f"{chain.title}: memory: {e}")
            chain.stop()

    @staticmethod
    def memory_idle(chain, figures):
        chain.start()
        time.sleep(1)
        chain.check()
        local, central = (procstat(chain.pids()[r]) for r in ("local-1", "central"))
        figures["idle_local_anon"], figures["idle_local_pss"] = local
        figures["idle_central_anon"] = central[0]

    def memory_clients(self, chain, figures):
        result, words = self.generate(chain, "--idle", IDLE_CLIENTS, "--hold", 0)
        if not result:
            self.failures.append(f"{chain.title}: {IDLE_CLIENTS} idle clients: {words}")
            return
        for p in result["pids"]:
            if p["name"] != "local-2":
                figures["client_" + p["name"].split("-")[0]] = (
                    p["anon_kib_after"] - p["anon_kib_before"]) / result["ready"]

    def memory_load(self, chain, figures):
        roles = {"local": "local-1", "central": "central"}
        before = {k: procstat(chain.pids()[r])[0] for k, r in roles.items()}
        for run in measures.runs():
            if run.key in ("1-1-q1", "10-10-q1", "10-10-q0"):
                self.generate(chain, *run.args, "--duration", self.args.seconds, "--warmup", 0)
        time.sleep(REST_S)
        chain.check()
        for k, r in roles.items():
            figures["after_" + k] = procstat(chain.pids()[r])[0] / before[k]

    # ---- system calls

    def count_syscalls(self):
        counter = syscall_counter()
        if counter is None:
            say("no system calls counted: neither perf's tracepoints nor strace work here")
            return
        for q in (0, 1, 2):
            run = next(r for r in measures.runs() if r.key == f"1-1-q{q}")
            for chain in self.chains:
                if chain.raw or chain.name in self.broken:
                    continue
                # Once more with the right window at QoS 0, beside a counter.
                with SyscallCount(counter, list(chain.pids().values()), 1.0, delay_s=1.0) as count:
                    result, _ = self.generate(chain, *run.args, "--window", measures.WINDOW,
                                              "--duration", 2.5, "--warmup", 0.3)
                if result and result["ok"] and result["delivered"] and count.per_s is not None:
                    self.syscalls.setdefault(q, {})[chain.name] = (
                        count.per_s / result["delivered_per_s"])

    def rows(self):
        names = [c.name for c in self.chains]
        out = []
        for run in self.runs:
            out += measures.run_rows(run, self.results.get(run.key, {}), names)
        out += measures.cpu_rows(self.results, [c.name for c in self.chains if not c.raw])
        out += measures.syscall_rows(self.syscalls, names)
        if self.memory:
            out += measures.memory_rows(self.memory, names)
        return out


def procstat(pid):
    """(anonymous, PSS) of a process in KiB."""
    figures = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            parts = line.split()
            if parts[0] in ("Anonymous:", "Pss:"):
                figures[parts[0]] = int(parts[1])
    return figures["Anonymous:"], figures["Pss:"]


def syscall_counter():
    """'perf' where its tracepoints work (it costs little), else 'strace'."""
    if shutil.which("perf"):
        probe = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "-x,", "true"],
                               capture_output=True, text=True)
        if probe.returncode == 0 and ",raw_syscalls:sys_enter," in probe.stderr:
            return "perf"
    return "strace" if shutil.which("strace") else None


class SyscallCount:
    """Counts the system calls of some processes for a while, beside a run."""

    def __init__(self, counter, pids, seconds, delay_s):
        pids = list(map(str, pids))
        if counter == "perf":
            self.argv = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "-x,", "-p",
                         ",".join(pids), "--", "sleep", str(seconds)]
        else:
            self.argv = ["timeout", "-s", "INT", str(seconds), "strace", "-f", "-c"]
            for pid in pids:
                self.argv += ["-p", pid]
        self.counter, self.seconds, self.delay_s = counter, seconds, delay_s
        self.per_s = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ["sh", "-c", 'sleep "$0"; exec "$@"', str(self.delay_s), *self.argv],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=chain_kinds.stack.in_child)
        return self

    def __exit__(self, *_):
        try:
            out = self.process.communicate(timeout=10)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return
        for line in out.splitlines():
            if self.counter == "perf" and ",raw_syscalls:sys_enter," in line:
                count = line.split(",")[0]
                self.per_s = int(count) / self.seconds if count.isdigit() else None
            elif self.counter == "strace" and line.split()[-1:] == ["total"]:
                numbers = [w for w in line.split() if w.isdigit()]
                self.per_s = int(numbers[0] if len(numbers) < 3 else numbers[1]) / self.seconds


def measure(args, folder):
    bench = Bench(args, folder)
    for chain in bench.chains:
        why = chain.missing()
        if why:
            fail(f"{why}; --only takes the chains to measure")
    if not bench.generator.program.exists():
        fail(f"{bench.generator.program} is not built: ./dev build")
    rounds = 0
    try:
        if bench.runs or args.syscalls:
            rounds = bench.rounds()
        if args.runs.search("memory"):
            bench.memory_pass()
    except chain_kinds.ChainError as e:
        fail(str(e))
    finally:
        bench.generator.stop()
        for chain in bench.chains:
            chain.stop()
    return bench, rounds


def main(argv):
    if "--durable" in argv:
        return durable.main(argv)
    if "--k8s" in argv:
        import k8s  # wants what the cluster's cases want
        return k8s.main(argv)
    if "--http" in argv:
        return http_api.main(argv)
    if "--shared" in argv:
        import shared  # wants what the tests want
        return shared.main(argv)
    if "--bridges" in argv:
        import bridges
        return bridges.main(argv)
    if "--scale" in argv:
        import scale
        return scale.main(argv)
    if "--view" in argv:
        return view.main(argv)
    if any(a.split("=")[0] == "--against" for a in argv):
        return pairs.main(argv)
    args = parse(argv)
    if args.list:
        print("\n".join([r.key for r in measures.runs()] + ["memory"]))
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="sqmqos-bench-") as folder:
        try:
            bench, rounds = measure(args, folder)
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
    rows = bench.rows()
    about = table.About(
        command=command_line(argv), rounds=rounds, seconds=args.seconds,
        minutes=(time.monotonic() - bench.started) / 60,
        mosquitto=chain_kinds.Mosquitto.version(), failures=bench.failures)
    titles = {c.name: c.title for c in bench.chains}
    print(table.text(rows, titles, about))
    if args.markdown:
        os.umask(0o022)
        table.write_head(pathlib.Path(args.markdown), table.markdown(rows, titles, about))
        say(f"wrote {args.markdown}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(
            {"about": vars(about), "results": bench.results, "memory": bench.memory,
             "syscalls": bench.syscalls}, indent=1) + "\n")
    ours = [f for f in bench.failures if f.startswith("SQMQOS")]
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

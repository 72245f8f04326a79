"""./dev bench --http: the HTTP API beside its floors, in turns: a publish through the chain of
sidecars at QoS 1, and a bare h2o that stores nothing."""

import argparse
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import durable
import durable_chains
import durable_runs
import generator
import packets
import pulls
import pushes
import table
from chains import ROOT, Chain, ChainError, stack
from measures import median
from report import command_line, interrupt, say

TOPIC = "bench/http"
FIGURES = ("rate", "p50", "p99", "cpu")
BODY = b'{"order":17,"what":"' + b"x" * 41 + b'"}'  # 64 bytes


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --http", description="Measures POST /v1/publish, each synced in a durable "
        "queue before its answer, by h2load; in the same rounds a publish at QoS 1 through the "
        "chain (publisher, sidecar, broker, durable queue), and the same POSTs to a bare h2o. "
        "Then pulls: by 100, by a poll that waits, and 10,000 polls; and pushes, beside bare libcurl.")
    p.add_argument("--http", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (5)")
    p.add_argument("--seconds", type=int, default=2, metavar="S", help="measured per run (2)")
    p.add_argument("--markdown", metavar="FILE", help="write the table there, as docs/benchmarks-http.md")
    p.add_argument("--dir", metavar="DIR", help="where the store lies: a disk, not tmpfs (below build/)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    return p.parse_args(argv)


class Bare(Chain):
    """An h2o that answers."""

    name, title = "bare", "bare h2o"
    token = "a-token-that-nobody-reads"

    def missing(self):
        path = self.build / "bench" / "bench_bare_http"
        return None if path.exists() else f"{path} is not built"

    def launch(self):
        self.http, self.https = self.port(), self.port()
        stack.write_certificates(self.folder)
        self.spawn("bare", [self.build / "bench" / "bench_bare_http", self.http, self.https,
                            self.folder / "broker.pem", self.folder / "broker.key"])
        self.listening("bare", self.http)
        self.listening("bare", self.https)


class Ours(durable_chains.Clear):
    def configs(self):
        trees = super().configs()
        kind, tree = trees["central"]
        trees["central"] = kind, stack.merge(tree | {"acl": pulls.RULES}, pushes.config(self.folder))
        self.environment = {"central": pushes.environment(self.build)}
        return trees

    def launch(self):
        super().launch()
        listen = self.programs["central"].tree["listen"]
        self.http = int(listen["address"].rsplit(":", 1)[1])
        self.token = (self.folder / "token").read_text().strip()


def absent(chain, topic):
    """A durable session whose client has left, so that each publish is synced."""
    host, port = chain.sub.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as s:
        for sent, kind in ((packets.connect("bench-absent"), 0x20), (packets.subscribe(topic), 0x90)):
            s.sendall(sent)
            answer = s.recv(256)
            if not answer or answer[0] != kind:
                raise ChainError(f"the durable session: {answer.hex()}")
        s.sendall(packets.DISCONNECT)


def cpu_s(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """Runs of h2load."""

    def __init__(self, folder):
        self.body = folder / "body"
        self.body.write_bytes(BODY)
        self.log = folder / "h2load.log"

    def run(self, chain, seconds, clients, streams, *flags, path=f"publish/{TOPIC}", body=None,
            kind="application/json"):
        """{"rate", "p50", "p99" (µs), "cpu" (µs of the server a request)}"""
        self.log.unlink(missing_ok=True)
        pid = chain.pids()["central" if "central" in chain.pids() else "bare"]
        before = cpu_s(pid)
        argv = ["h2load", "-c", clients, "-m", streams, "-t", 1, "-D", seconds, "--warm-up-time", 1,
                "--log-file", self.log, "-d", body or self.body, "-H", f"content-type: {kind}",
                "-H", f"authorization: Bearer {chain.token}",
                *flags, f"http://127.0.0.1:{chain.http}/v1/{path}"]
        done = subprocess.run([*map(str, argv)], capture_output=True, text=True,
                              timeout=seconds + 30, check=False)
        if done.returncode != 0 or not self.log.exists():
            raise ChainError(f"{chain.title}: h2load: {(done.stdout + done.stderr)[-500:]}")
        took = []
        with open(self.log) as f:
            for line in f:
                _, status, us = line.split()
                if status != "200":
                    raise ChainError(f"{chain.title}: an answer of {status}")
                took.append(int(us))
        if not took:
            raise ChainError(f"{chain.title}: no answers: {done.stdout[-500:]}")
        took.sort()
        return {"rate": len(took) / seconds, "p50": took[len(took) // 2],
                "p99": took[len(took) * 99 // 100],
                "cpu": (cpu_s(pid) - before) / len(took) * 1e6 * seconds / (seconds + 1)}


KINDS = (
    # key, title, connections, streams of each, flags
    ("one-1.1", "one at a time, HTTP/1.1", 1, 1, ("--h1",)),
    ("one-2", "one at a time, HTTP/2", 1, 1, ()),
    ("64-1.1", "64 connections, HTTP/1.1", 64, 1, ("--h1",)),
    ("64-2", "one connection of 64 streams, HTTP/2", 1, 64, ()),
)


def rounds(args, folder, chains):
    """What was found of publishes, of pulls, and of pushes."""
    ours, bare, secret = chains
    load, g = Load(folder), generator.Generator(pathlib.Path(args.build) / "sqmqos-bench")
    found, build = {}, pathlib.Path(args.build)
    pulled = pulls.Rounds(ours, bare, load, cpu_s, build)
    pushed = pushes.Rounds(ours, bare, cpu_s, build, args.seconds)
    for i in range(args.repeat):
        say(f"round {i + 1} of {args.repeat}")
        result = durable_runs.pair(g, ours, 1, 64, args.seconds)
        pulled.one(args.seconds, (result, durable_runs.pair(g, ours, 1000, 64, args.seconds)))
        found.setdefault("chain", []).append({"rate": result["acked_per_s"], "p50": result["ack_us"]["p50"],
                                              "p99": result["ack_us"]["p99"]})
        for key, _, clients, streams, flags in KINDS:
            for chain in (ours, bare):
                found.setdefault((chain.name, key), []).append(
                    load.run(chain, args.seconds, clients, streams, *flags))
        pushed.one(g)
    pulled.polls(secret)
    return found, pulled, pushed


def middle(results, figure):
    return median([r[figure] for r in results])


PAGE = (
    "# HTTP benchmarks", "", "Written by the benchmark itself:", "", "    {command}", "",
    "Machine: {machine}; the store on {kind}, the load generators (h2load, `sqmqos-bench`) on the same cores. The load average was {load:.1f} when it began.",
    "", "## Publish", "",
    "`POST /v1/publish/…` of 64 bytes in the clear; each is synced in a durable queue before its answer. Beside it the same POSTs to a bare h2o, which stores nothing. {rounds} rounds in turns, medians, {seconds} s a run.",
    "")


def rows(found):
    for key, title, *_ in KINDS:
        ours, bare = found["clear", key], found["bare", key]
        yield [title, *(table.number(middle(ours, f)) for f in FIGURES),
               *(table.number(middle(bare, f)) for f in FIGURES)]


def goals(found):
    chain = found["chain"]
    p50 = [o["p50"] / c["p50"] for o, c in zip(found["clear", "one-1.1"], chain)]
    rate = middle(found["clear", "64-1.1"], "rate")
    return [
        "| measure | figure | goal | met |", "|---|---:|---:|---|",
        f"| one at a time over HTTP/1.1, p50, of a QoS 1 publish through the chain ({middle(chain, 'p50'):.0f} µs, "
        f"p99 {middle(chain, 'p99'):.0f}) | {median(p50):.2f} × | ≤ 1.2 × | {durable.verdict(median(p50) <= 1.2)} |",
        f"| 64 connections of HTTP/1.1, synced, one worker | {rate:,.0f}/s | ≥ 20,000/s | {durable.verdict(rate >= 20000)} |"]


def page(args, found, pulled, pushed, command, load, kind):
    out = [line.format(command=command, machine=table.machine(), kind=kind, load=load, rounds=args.repeat,
                       seconds=args.seconds) for line in PAGE]
    out += ["| | a second | p50 µs | p99 µs | CPU µs | bare h2o: a second | p50 µs | p99 µs | CPU µs |",
            "|---|" + "---:|" * 8]
    out += ["| " + " | ".join(row) + " |" for row in rows(found)]
    return "\n".join([*out, "", *goals(found), pulls.page(pulled).rstrip("\n"), pushes.page(pushed)])


def main(argv):
    args = parse(argv)
    if not shutil.which("h2load"):
        say("h2load is not installed (Debian: nghttp2-client)")
        return 1
    signal.signal(signal.SIGTERM, interrupt)
    base, load = pathlib.Path(args.dir or ROOT / "build").resolve(), os.getloadavg()[0]
    base.mkdir(parents=True, exist_ok=True)
    umask = os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="bench-http-", dir=base) as name:
        chains = Ours(name, args.build), Bare(name, args.build), pulls.Ours(name, args.build)
        try:
            for chain in chains:
                why = chain.missing()
                if why:
                    raise ChainError(why)
            for chain in chains[:2]:
                chain.start()
            absent(chains[0], TOPIC)
            found, pulled, pushed = rounds(args, pathlib.Path(name), chains)
        except (ChainError, durable_runs.Failed) as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            for chain in chains:
                chain.stop()
    text = page(args, found, pulled, pushed, command_line(argv), load, durable.filesystem(base))
    print(text)
    if args.markdown:
        os.umask(umask)
        pathlib.Path(args.markdown).write_text(text)
        say(f"wrote {args.markdown}")
    return 0

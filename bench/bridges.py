"""./dev bench --bridges: bridges to RabbitMQ and to SQS beside bare loops of librabbitmq and libcurl, on the
same node of RabbitMQ and the same ElasticMQ, in turns."""

import argparse
import json
import os
import pathlib
import signal
import tempfile
import time

import durable
import durable_chains
import durable_runs
import pulls
import pushes
import rabbitmq
import sqs_server
import table
from chains import ROOT, ChainError, stack
from http_api import cpu_s
from measures import median
from pulls import asked, curl, line
from report import command_line, interrupt, say

SIZE, WINDOW, PREFETCH, CALLS, REGION = 256, 1000, 500, 8, "elasticmq"
TYPES = {"quorum": 20000, "classic": 10000}  # of RabbitMQ's queues: messages of a run
SQS_MESSAGES, SQS_WAITING = 8000, 2000  # those that are sent, and those that wait to come in
SQS_POLLS = 4
BARE = ("plain", "said")  # what a bare loop sends: the payload, and what a bridge says of it, too
TOPIC, SPACE, LEAST_IN, PART = "bench", "default", 25000, 0.8
PAYLOAD = "x" * SIZE


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --bridges", description="Measures what bridges carry: to RabbitMQ and from it, beside "
        "librabbitmq alone, and to SQS (ElasticMQ) and from it, beside libcurl alone with 8 calls at a time.")
    p.add_argument("--bridges", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--kinds", default="amqp,sqs", metavar="NAMES", help="which peers (amqp,sqs)")
    p.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (5)")
    p.add_argument("--minutes", type=float, default=3.2, metavar="M",
                   help="time for the rounds, as many as it allows, at least one (3.2)")
    p.add_argument("--markdown", metavar="FILE", help="write the tables there, as docs/benchmarks-bridges.md")
    p.add_argument("--dir", metavar="DIR", help="where stores lie: a disk, not tmpfs (below build/)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    return p.parse_args(argv)


class Ours(durable_chains.Clear):
    """With a folder of bridges, each of which is paused until it is measured."""

    def configs(self):
        trees = super().configs()
        kind, tree = trees["central"]
        (self.folder / "bridges").mkdir()
        trees["central"] = kind, stack.merge(tree, {
            "acl": pulls.RULES, "bridges": {"dir": str(self.folder / "bridges")}})
        return trees

    def launch(self):
        super().launch()
        listen = self.programs["central"].tree["listen"]
        self.http = int(listen["address"].rsplit(":", 1)[1])
        self.token = (self.folder / "token").read_text().strip()

    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def bridge(self, bridges):
        """Has these bridges: {name: settings}; each is connected, and paused."""
        (self.folder / "bridges" / f"{next(iter(bridges))}.yaml").write_text(json.dumps({"bridges": {
            name: {"space": SPACE} | settings for name, settings in bridges.items()}}))  # which is YAML
        c = curl(self)
        for name in bridges:
            until(self, f"bridge {name} is not there",
                  lambda name=name: c.ask("GET", f"/v1/bridges/{name}", None, timeout_s=10).status == 200)
            asked(c, "POST", f"/v1/bridges/{name}/pause", status=(200, 204))


def until(chain, what, holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise ChainError(f"{chain.title}: {what}: {chain.last_words('central')}")
        chain.check()
        time.sleep(0.025)  # each look costs the broker something, too


def carried(ours, bridge, n, done):
    """{"rate", "cpu" µs of the broker each} of so many messages, from the bridge's resume until done()."""
    c, pid = curl(ours), ours.pids()["central"]
    began, cpu = time.monotonic(), cpu_s(pid)
    asked(c, "POST", f"/v1/bridges/{bridge}/resume", status=(200, 204))
    until(ours, f"bridge {bridge} stays behind", done, 180)
    took = time.monotonic() - began
    used = cpu_s(pid) - cpu
    asked(c, "POST", f"/v1/bridges/{bridge}/pause", status=(200, 204))
    return {"rate": n / took, "cpu": used / n * 1e6}


def out(ours, bridge, n):
    """Of messages that wait in the bridge's queue, until the peer has confirmed all."""
    c, queue = curl(ours), f"bridge.{bridge}"
    pulls.fill(ours, f"{TOPIC}/{bridge}", n, PAYLOAD)
    until(ours, f"not all {n} messages wait for {bridge}", lambda: pushes.waiting(c, queue) == n)
    return carried(ours, bridge, n, lambda: pushes.waiting(c, queue) == 0)


def into(ours, bridge, n):
    """Of messages that wait at the peer, until a durable queue here has all."""
    c, queue = curl(ours), f"landed-{bridge}"
    pulls.declare(ours, queue, [f"{TOPIC}/{bridge}"])
    figures = carried(ours, bridge, n, lambda: pushes.waiting(c, queue) >= n)
    if pushes.waiting(c, queue) != n:
        raise ChainError(f"{ours.title}: {pushes.waiting(c, queue)} of {n} messages of {bridge}")
    asked(c, "DELETE", f"/v1/queues/{queue}?with-messages=true", status=(200, 202, 204))
    until(ours, f"{queue} does not end", lambda: c.ask("GET", f"/v1/queues/{queue}", None, timeout_s=10).status == 404)
    return figures


class Rounds:
    """Figures of all rounds: {name: [dictionary]}."""

    def __init__(self, ours, peer, build):
        self.ours, self.peer, self.build, self.found = ours, peer, pathlib.Path(build), {}

    def add(self, name, figures):
        self.found.setdefault(name, []).append(figures)

    def bare(self, program, *words):
        return pushes.run([self.build / "bench" / f"bench_bare_{program}", *words], f"bare {program}")

    def of(self, name, figure):
        return median([r[figure] for r in self.found[name]])

    def ratio(self, a, b):
        return median([x["rate"] / y["rate"] for x, y in zip(self.found[a], self.found[b])])

    def row(self, title, ours, bare, part=None, least=None):
        """A row of the table; without a goal where there is neither."""
        beside = f"{self.of(bare, 'rate'):,.0f} msg/s, {self.of(bare, 'cpu'):.1f} µs of CPU each" if bare else ""
        goal, met = "", ""
        if bare and not least:
            beside += f"; {self.ratio(ours, bare):.2f} × of it"
        if part:
            goal, met = f"≥ {part} ×", self.ratio(ours, bare) >= part
        elif least:
            goal, met = f"≥ {least:,}/s", self.of(ours, "rate") >= least
        figure = f"{self.of(ours, 'rate'):,.0f} msg/s, {self.of(ours, 'cpu'):.1f} µs of CPU each"
        return line(title, figure, beside, goal, met) if goal else f"| {title} | {figure} | {beside} | | |"


class Amqp(Rounds):
    """Beside librabbitmq: queues of both types, one connection of each direction."""

    def prepare(self):
        user, password = (self.ours.secret(f"rabbitmq-{what}", "guest") for what in ("user", "password"))
        common = {"kind": "amqp", "url": [f"amqp://127.0.0.1:{self.peer.serving}/"], "window": WINDOW,
                  "credentials": {"user-file": user, "password-file": password}}
        bridges = {}
        for kind in TYPES:
            for way in ("out", "in"):
                self.declare(f"{way}-{kind}", kind)
            bridges[f"out-{kind}"] = common | {"out": [
                {"filter": f"{TOPIC}/out-{kind}", "to": {"exchange": "", "key": f"out-{kind}"}}]}
            bridges[f"in-{kind}"] = common | {"in": [
                {"queue": f"in-{kind}", "to": f"{TOPIC}/in-{kind}", "prefetch": PREFETCH}]}
        self.ours.bridge(bridges)

    def declare(self, queue, kind):
        self.bare_run("declare", queue, kind)

    def bare_run(self, verb, queue, *words):
        return self.bare("amqp", verb, self.peer.serving, queue, *words)

    def one(self):
        for kind, n in TYPES.items():
            self.declare("bare", kind)
            for what in BARE:
                self.add(f"bare-{what}-{kind}", self.bare_run("publish", "bare", n, WINDOW, SIZE, what))
                self.add(f"bare-in-{kind}", self.bare_run("consume", "bare", n, PREFETCH))
            self.add(f"out-{kind}", out(self.ours, f"out-{kind}", n))
            self.bare_run("consume", f"out-{kind}", n, PREFETCH)
            self.bare_run("publish", f"in-{kind}", n, WINDOW, SIZE, "plain")
            self.add(f"in-{kind}", into(self.ours, f"in-{kind}", n))

    def rows(self):
        for kind in TYPES:
            yield self.row(f"out, {kind} queue, window {WINDOW:,}", f"out-{kind}", f"bare-plain-{kind}", part=PART)
            yield self.row("the same, beside a loop that says as much", f"out-{kind}", f"bare-said-{kind}")
        for kind in TYPES:
            yield self.row(f"in, {kind} queue, prefetch {PREFETCH}", f"in-{kind}", f"bare-in-{kind}",
                           least=LEAST_IN if kind == "quorum" else None)

    def title(self):
        return (f"RabbitMQ {rabbitmq.RabbitMQ.version()}, one node on this machine, in the clear; one connection of "
                "each direction, as the bare loop has. Out: durable messages that wait in the bridge's queue, until "
                "all are confirmed and settled here. In: from RabbitMQ's queue, published and synced in a durable "
                "queue here before they are acknowledged; the bare loop keeps nothing.")


class Sqs(Rounds):
    """Beside libcurl: a standard queue, signed calls."""

    def prepare(self):
        keys = {"access-key-file": self.ours.secret("sqs-id", "AKIDEXAMPLE"),
                "secret-key-file": self.ours.secret("sqs-secret", "secret")}
        common = {"kind": "sqs", "endpoint": self.peer.url, "region": REGION, "credentials": keys}
        self.queues = {name: self.peer.create(name) for name in ("bare", "out-sqs", "in-sqs")}
        self.ours.bridge({
            "out-sqs": common | {"parallel": CALLS, "out": [
                {"filter": f"{TOPIC}/out-sqs", "to": {"queue": self.queues["out-sqs"]}}]},
            "in-sqs": common | {"in": [
                {"queue": self.queues["in-sqs"], "to": f"{TOPIC}/in-sqs", "parallel": SQS_POLLS}]}})
        for _ in range(3):  # which warms ElasticMQ's JVM
            self.run("bare", "said")
            self.peer.purge(self.queues["bare"])
            self.run("bare", "plain", SQS_WAITING)
            self.run("bare", "consume", SQS_WAITING, SQS_POLLS)

    def run(self, queue, what, n=SQS_MESSAGES, calls=CALLS):
        return self.bare("sqs", self.peer.url, self.queues[queue], REGION, calls, n, SIZE, what)

    def one(self):
        for what in BARE:
            self.add(f"bare-{what}", self.run("bare", what))
            self.peer.purge(self.queues["bare"])
        self.add("out-sqs", out(self.ours, "out-sqs", SQS_MESSAGES))
        self.peer.purge(self.queues["out-sqs"])
        self.run("bare", "plain", SQS_WAITING)
        self.add("bare-in", self.run("bare", "consume", SQS_WAITING, SQS_POLLS))
        self.run("in-sqs", "plain", SQS_WAITING)  # those that say the same origin would be one message
        self.add("in-sqs", into(self.ours, "in-sqs", SQS_WAITING))

    def rows(self):
        yield self.row(f"out, standard queue, {CALLS} calls of 10 at a time", "out-sqs", "bare-plain", part=PART)
        yield self.row("the same, beside a loop that says as much", "out-sqs", "bare-said")
        yield self.row(f"in, standard queue of {SQS_WAITING:,} messages, {SQS_POLLS} calls of 10 at a time", "in-sqs",
                       "bare-in")

    def title(self):
        return (f"ElasticMQ {sqs_server.version()} on this machine, its JVM warm, in the clear, every call signed. "
                f"Beside libcurl alone, on one thread. Out: {CALLS} calls of SendMessageBatch at a time, of 10 messages "
                f"each. In: {SQS_POLLS} calls at a time that receive, then delete, and keep nothing.")


KINDS = {"amqp": ("RabbitMQ", Amqp, rabbitmq.Broker), "sqs": ("SQS", Sqs, sqs_server.ElasticMQ)}

PAGE = (
    "# Benchmarks of bridges", "", "Written by the benchmark itself:", "", "    {command}", "",
    "Machine: {machine}, as RabbitMQ and ElasticMQ are; stores on {kind}. The load average was {load:.1f} when it "
    "began. Messages of {size} bytes; one broker with one bridge at a time; {rounds} rounds in turns, medians, and of "
    "ratios those of each round. The bare loop sends the payload alone: goals are about that one. One that says as "
    "much gives each message the properties, headers or attributes that a bridge gives it: origin, hops, topic.")


def page(parts, rounds, command, load, kind):
    text = "\n".join(PAGE).format(command=command, machine=table.machine(), kind=kind, load=load, size=SIZE,
                                  rounds=rounds)
    lines = [text]
    for name, part in parts.items():
        lines += ["", f"## {KINDS[name][0]}", "", part.title(), "", "| measure | figure | beside it | goal | met |",
                  "|---|---:|---:|---:|---|", *part.rows()]
    return "\n".join([*lines, ""])


def measure(args, kinds, chains):
    ours = chains["ours"]
    for chain in chains.values():
        why = chain.missing()
        if why:
            raise ChainError(why)
    for chain in chains.values():
        chain.start()
    parts = {name: KINDS[name][1](ours, chains[name], args.build) for name in kinds}
    for part in parts.values():
        part.prepare()
    return parts, repeat(args, parts)


def repeat(args, parts):
    """As many rounds as time allows; returns how many."""
    began, n = time.monotonic(), 0
    while n < args.repeat:
        spent = time.monotonic() - began
        if n > 0 and spent + spent / n > args.minutes * 60:
            break
        n += 1
        say(f"round {n} of {args.repeat}")
        for part in parts.values():
            part.one()
    return n


def main(argv):
    args = parse(argv)
    kinds = args.kinds.split(",")
    if not set(kinds) <= set(KINDS):
        say(f"--kinds is of {', '.join(KINDS)}")
        return 2
    signal.signal(signal.SIGTERM, interrupt)
    base, load = pathlib.Path(args.dir or ROOT / "build").resolve(), os.getloadavg()[0]
    base.mkdir(parents=True, exist_ok=True)
    umask = os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="bench-bridges-", dir=base) as name:
        chains = {kind: KINDS[kind][2](name, args.build) for kind in kinds} | {"ours": Ours(name, args.build)}
        try:
            parts, rounds = measure(args, kinds, chains)
        except (ChainError, durable_runs.Failed) as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            for chain in chains.values():
                chain.stop()
    text = page(parts, rounds, command_line(argv), load, durable.filesystem(base))
    print(text)
    if args.markdown:
        os.umask(umask)
        pathlib.Path(args.markdown).write_text(text)
        say(f"wrote {args.markdown}")
    return 0

"""Named queues, and clients that pull from them over HTTP through a proxy that cuts: most consume,
transform and produce in one settlement, whose products a durable session has to get once."""

import asyncio
import collections
import dataclasses
import pathlib
import signal
import subprocess
import sys

import checker
import ledger
import world as worlds
from cluster import eventually
from libcurl import Curl, Unanswered
from proxy import Proxy

HERE = pathlib.Path(__file__).resolve().parent
ROOT = "pull"
PUBLISHERS = (41, 42)
LEASE_MS = 3000


@dataclasses.dataclass
class Queue:
    name: str
    order: str
    once: bool             # exactlyOnce
    versions: tuple        # of HTTP, of its pullers
    produces: bool = True
    member: bool = False   # an MQTT client takes from it, too

    @property
    def declaration(self):
        return {"bindings": [{"filter": f"{ROOT}/#", "qos": 2}], "order": self.order,
                "lease": f"{LEASE_MS}ms", "exactlyOnce": self.once, "maxAttempts": 65535,
                "retry": {"first": "100ms", "max": "1s"}}


QUEUES = (
    Queue("plain", "none", False, ("1.1", "2"), member=True),
    Queue("once", "none", True, ("2", "1.1"), produces=False),
    Queue("topic", "topic", False, ("1.1", "2")),
    Queue("key", "key", True, ("2", "1.1")),
)


class Puller:
    """A process of puller.py that is started again with the same ledger."""

    def __init__(self, world, queue, version, port, tls, to=None):
        self.name = f"puller-{queue.name}-{version}"
        self.world = world
        self.ledger = world.folder / f"{self.name}.ledger"
        self.log = world.folder / f"{self.name}.log"
        self.argv = [sys.executable, str(HERE / "puller.py"), "--name", self.name, "--url",
                     f"{'https' if tls else 'http'}://127.0.0.1:{port}", "--version", version,
                     "--token", str(world.folder / "token"), "--queue", queue.name,
                     "--ledger", str(self.ledger), "--root", ROOT]
        if tls:
            self.argv += ["--ca", str(world.folder / "ca.pem")]
        if to:
            self.argv += ["--to", to]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def read(self):
        return read_puller(self.name, self.ledger)


def produced(queue):
    return f"made/{queue.name}"


# ---- ledgers of pullers

@dataclasses.dataclass
class Taken:
    """A message that came with a lease."""
    who: str
    begun_ms: int     # of the request
    came_ms: int
    asked_ms: int = 0     # for its acknowledgement, first; 0: never
    acked_ms: int = 0     # answered; 0: not, or lost
    over_ms: int = 0      # about to be given back, or said to be lost


@dataclasses.dataclass
class Pulled:
    name: str
    taken: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    wrong: list = dataclasses.field(default_factory=list)
    ended: bool = False

    def count(self):
        return sum(len(v) for v in self.taken.values())


def read_puller(name, path):
    """Its messages: {(publisher, stream, number): [Taken]}."""
    out, leases = Pulled(name), {}
    for w in ledger.lines(path):
        kind, at = w[0], int(w[1])
        if kind == "T":
            leases[w[3]] = Taken(name, int(w[2]), at)
            out.taken[tuple(map(int, w[5:8]))].append(leases[w[3]])
        elif kind == "W":
            leases[w[2]].asked_ms = leases[w[2]].asked_ms or at
        elif kind == "K":
            leases[w[2]].acked_ms = at
        elif kind in "VN":
            leases[w[2]].over_ms = at
        elif kind == "X":
            out.wrong.append(("http", " ".join(w[2:])))
        out.ended = kind == "E"
    return out


def all_taken(pullers):
    out = collections.defaultdict(list)
    for puller in pullers:
        for message, taken in puller.taken.items():
            out[message] += taken
    return out


def missing(publishers, pullers):
    """Messages that were acknowledged to their publisher, and for which nobody has asked to
    acknowledge them."""
    taken = all_taken(pullers)
    for p, published in publishers.items():
        for s in (1, 2, 3):
            for n in published.accepted(s):
                if not any(t.asked_ms for t in taken.get((p, s, n), ())):
                    yield p, s, n


def check_once(queue, publishers, pullers, finished):
    """gateway.md, section 12: once while its lease lives; an acked one never again. What a
    publisher of QoS 1 has sent twice are two messages."""
    if finished and (lost := list(missing(publishers, pullers))):
        yield checker.Violation("lost", queue, f"{len(lost)} acknowledged, never came, as {lost[:6]}")
    for message, taken in all_taken(pullers).items():
        if message[1] not in (2, 3):
            continue
        for i, a in enumerate(taken):
            for b in taken[i + 1:]:
                if not may_follow(a, b) and not may_follow(b, a):
                    yield checker.Violation("duplicate", queue, f"{message} came to {a.who} at {a.came_ms} and "
                                            f"to {b.who} at {b.came_ms}, while a lease lived or for ever")


def may_follow(a, b):
    """Whether b's lease may have begun when a's had ended: one that is acknowledged never does. It
    began between its request and the answer."""
    ends = [a.begun_ms + LEASE_MS] + ([a.over_ms] if a.over_ms else [])
    return not a.acked_ms and min(ends) <= b.came_ms


# ---- the part of the world

class Product(checker.Target):
    """What is made of a queue without an order comes in any order."""

    def __init__(self, queue, members):
        super().__init__(f"made-{queue.name}", members)
        self.disordered = queue.order == "none"

    def delivered_qos(self, stream):
        """A named queue has what was published at QoS 0 at QoS 1."""
        return max(super().delivered_qos(stream), 1)


class Pulls:
    sidecars = ()

    def __init__(self, world, ports, tls):
        self.world = world
        self.tls = tls
        self.proxy = Proxy(ports[0], world.broker_port)

        def app(name, kind, at, *options, **more):
            return worlds.App(world, name, kind, at, *options, "--max-size", world.max_size, **more)
        self.publishers = {n: app(f"pull-pub-{n}", "pub", i, "--number", n, "--root", ROOT, "--keyed",
                                  "--rate", max(world.rate // 5, 1))
                           for i, n in enumerate(PUBLISHERS)}
        self.pullers = {q.name: [Puller(world, q, v, ports[0], tls, produced(q) if q.produces else None)
                                 for v in q.versions]
                        for q in QUEUES}
        self.sinks = {q.name: app(f"made-{q.name}", "sub", i % 2, "--root", produced(q), "--filter",
                                  f"{produced(q)}/#", "--qos", 2)
                      for i, q in enumerate(QUEUES) if q.produces}
        self.members = {q.name: app(f"member-{q.name}", "sub", 1, "--root", ROOT, "--filter",
                                    f"$queue/{q.name}", "--qos", 2)
                        for q in QUEUES if q.member}

    @property
    def all_publishers(self):
        return [*self.publishers.values()]

    @property
    def all_pullers(self):
        return [p for pullers in self.pullers.values() for p in pullers]

    @property
    def subscribers(self):
        return [*self.sinks.values(), *self.members.values()]

    @property
    def victims(self):
        return [*self.all_publishers, *self.subscribers]

    # -- start and end

    async def start(self):
        await self.proxy.start()
        for queue in QUEUES:
            async def declared(queue=queue):
                return await asyncio.to_thread(self.declare, queue)
            await eventually(declared, f"queue {queue.name} is declared", 20, 0.05)

    def declare(self, queue):
        curl = Curl(f"{'https' if self.tls else 'http'}://127.0.0.1:{self.world.broker_port}", "1.1",
                    (self.world.folder / "token").read_text().strip(), "default",
                    self.world.folder / "ca.pem" if self.tls else None)
        try:
            answer = curl.ask("PUT", f"/v1/queues/{queue.name}", queue.declaration)
        except Unanswered:
            return False
        assert answer.status in (201, 503), answer
        return answer.status == 201

    def start_apps(self):
        for app in self.subscribers:
            app.start()

    def started(self):
        return all(app.read().subscribed for app in self.subscribers)

    def start_publishers(self):
        for puller in self.all_pullers:
            puller.start()

    def start_taking(self):
        """They have taken all the time."""

    async def end_apps(self):
        for app in [*self.all_pullers, *self.subscribers]:
            app.signal(signal.SIGUSR1)

    def running(self):
        return [a for a in [*self.victims, *self.all_pullers] if a.running()]

    async def stop(self):
        for app in self.running():
            await self.world.kill(app)
        if self.proxy.server:
            await self.proxy.stop()

    # -- what it came to

    def published(self):
        return {n: app.read() for n, app in self.publishers.items()}

    def targets(self):
        """A message is made by who pulls, or goes to the member beside: to one of them."""
        out = []
        for queue in QUEUES:
            if queue.produces:
                members = [apps[queue.name].read() for apps in (self.sinks, self.members)
                           if queue.name in apps]
                out.append(Product(queue, members))
        return out

    def unproductive(self):
        return {q.name: [p.read() for p in self.pullers[q.name]] for q in QUEUES if not q.produces}

    def figures(self):
        return {"pulled": sum(p.read().count() for p in self.all_pullers)}

    def complete(self, _publishers):
        published = self.published()
        return checker.complete(published, self.targets()) and not any(
            next(missing(published, pullers), None) for pullers in self.unproductive().values())

    def check(self, _publishers, finished):
        published, small = self.published(), self.world.small_disk
        out = [v for t in self.targets() for v in checker.check(
            published, [t], self.world.broker_deaths_ms, finished,
            unordered=PUBLISHERS if t.disordered else (), refuses=small)]
        for queue, pullers in self.unproductive().items():
            out += check_once(queue, published, pullers, finished)
        for puller in self.all_pullers:
            out += check_puller(puller.read(), finished)
        return unique(out)


def check_puller(read, finished):
    out = [checker.Violation(kind, read.name, text) for kind, text in read.wrong]
    if finished and not read.ended:
        out.append(checker.Violation("unended", read.name, "it has not ended by itself"))
    return out


def unique(violations):
    """Publishers are looked at with each target."""
    return [*{str(v): v for v in violations}.values()]

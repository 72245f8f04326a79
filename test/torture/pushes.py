"""Named queues that are pushed to sinks, which misbehave, through proxies that cut. Of two of them the
answers are replies, which a durable session has to get once."""

import asyncio
import collections
import dataclasses
import pathlib
import random
import re
import signal
import subprocess
import sys

import checker
import ledger
import pulls
import stack as parts
import world as worlds
from cluster import eventually
from libcurl import Curl, Unanswered
from proxy import Proxy

HERE = pathlib.Path(__file__).resolve().parent
ROOT = "pushed"
STALE_MS = 12000  # a request may lie that long in front of a sink that was stopped


@dataclasses.dataclass(frozen=True)
class Queue:
    name: str
    order: str
    batch: int = 1
    format: str = "binary"
    replies: bool = False
    shared: bool = False   # with an MQTT client, and one who pulls
    api: bool = False      # who declares it, else a file
    direct: bool = False   # without a proxy: a sink that is killed refuses connections
    secure: bool = False   # by https, where the broker speaks TLS

    @property
    def to(self):
        return f"{ROOT}/{self.name}"

    def declaration(self, url, ca=None, rng=None):
        """As a file says it; what changes nothing of the promises is drawn."""
        push = {"url": f"{url}/{self.name}", "timeout": "2s", "format": self.format,
                "concurrency": rng.randint(1, 12) if rng else 8,
                "retry": {"first": "100ms", "max": "1s", "attempts": "65535"},
                "breaker": {"probe": "200ms", "max": "1s"}, "on": {"retry": ["4xx"]}}
        if ca:
            push["ca-file"] = str(ca)
        if self.batch > 1:
            linger = rng.choice(("0ms", "20ms", "200ms")) if rng else "20ms"
            push["batch"] = {"max": self.batch, "linger": linger}
        if self.replies:
            push["reply"] = {"topic": f"{self.to}/{{topic.2}}/{{topic.3}}"}
        return {"bindings": [{"filter": f"{pulls.ROOT}/#", "qos": 2}], "order": self.order,
                "lease": f"{pulls.LEASE_MS}ms", "max-attempts": 65535, "push": push}


QUEUES = (
    Queue("push-plain", "none", replies=True, shared=True),
    Queue("push-topic", "topic", format="raw", replies=True, secure=True),
    Queue("push-key", "key", batch=20, api=True),
    Queue("push-bulk", "none", batch=50, direct=True, secure=True),
)


def in_json(declaration):
    """The same for the API, whose names are in camel case."""
    if not isinstance(declaration, dict):
        return declaration
    return {re.sub("-(.)", lambda m: m[1].upper(), name): in_json(value) for name, value in declaration.items()}


# ---- ledgers of sinks

@dataclasses.dataclass
class Came:
    """A message with a request; 'well': it was answered that it was taken."""
    at_ms: int
    request: tuple    # (life, number)
    id: str
    attempt: int
    message: tuple    # (publisher, stream, number)


@dataclasses.dataclass
class Pushed:
    name: str
    events: list = dataclasses.field(default_factory=list)  # Came, or (request, verdicts), as they were
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    wrong: list = dataclasses.field(default_factory=list)
    ended: bool = False

    @property
    def came(self):
        return [e for e in self.events if isinstance(e, Came)]

    def well(self):
        """(messages, ids) that were answered well at least once."""
        of_request, messages, ids = collections.defaultdict(list), set(), set()
        for e in self.events:
            if isinstance(e, Came):
                of_request[e.request].append(e)
                continue
            for c, verdict in zip(of_request[e[0]], e[1], strict=True):
                if verdict == "+":
                    messages.add(c.message)
                    ids.add(c.id)
        return messages, ids


def read_sink(name, path):
    out, life = Pushed(name), 0
    for w in ledger.lines(path):
        kind = w[0]
        life += kind == "B"
        if kind == "T":
            out.events.append(Came(int(w[1]), (life, int(w[2])), w[3], int(w[4]), tuple(map(int, w[5:8]))))
        elif kind == "A":
            out.events.append(((life, int(w[2])), w[4]))
            out.kinds[w[3]] += 1
        elif kind == "X":
            out.wrong.append(("http", " ".join(w[2:])))
        out.ended = kind == "E"
    return out


# ---- what gateway.md, section 12, promises of pushes

def check_ids(sinks):
    """A message has the same id each time, and no other message has it, in any queue. What a publisher of
    QoS 1 has sent twice are two messages."""
    owners, ids = {}, collections.defaultdict(set)
    for sink in sinks:
        for c in sink.came:
            if owners.setdefault(c.id, c.message) != c.message:
                yield checker.Violation("id", sink.name, f"{c.id} is of {owners[c.id]} and of {c.message}")
            ids[sink.name, c.message].add(c.id)
    for (name, message), found in ids.items():
        if message[1] in (2, 3) and len(found) > 1:
            yield checker.Violation("id", name, f"{message} came as {sorted(found)}")


def check_attempts(sink):
    """They grow, but for what has lain in front of a sink that stood still."""
    best = {}
    for c in sink.came:
        most, at_ms = best.get(c.id, (0, 0))
        if c.attempt < 1 or c.attempt < most and c.at_ms - at_ms > STALE_MS:
            yield checker.Violation("attempt", sink.name, f"{c.message} came with attempt {c.attempt} at "
                                    f"{c.at_ms}, with {most} at {at_ms}")
        if c.attempt > most:
            best[c.id] = c.attempt, c.at_ms


def check_lanes(sink, again):
    """A message comes when all before it in its lane was answered well, or comes before it in the same
    request. 'again': {(publisher, stream): numbers} that have no certain place."""
    lanes = collections.defaultdict(lambda: ({}, set()))  # seen, and not well: its last request; well
    last, of_request = {}, collections.defaultdict(list)
    for e in sink.events:
        if not isinstance(e, Came):
            for c, verdict in zip(of_request[e[0]], e[1], strict=True):
                if verdict == "+":
                    lane, n = c.message[:2], c.message[2]
                    lanes[lane][0].pop(n, None)
                    lanes[lane][1].add(n)
            continue
        lane, n = e.message[:2], e.message[2]
        of_request[e.request].append(e)
        if n in again.get(lane, ()):
            continue
        waiting, well = lanes[lane]
        if n not in well and n not in waiting and n < last.get(lane, 0):
            yield checker.Violation("order", sink.name, f"publisher {lane[0]} stream {lane[1]}: {n} came "
                                    f"after {last[lane]}, at {e.at_ms}")
        last[lane] = max(last.get(lane, 0), n)
        if early := [m for m, request in waiting.items() if m < n and request != e.request]:
            yield checker.Violation("order", sink.name, f"publisher {lane[0]} stream {lane[1]}: {n} came at "
                                    f"{e.at_ms}, while {checker.some(early)} had not ended well")
        if n not in well:
            waiting[n] = e.request


def missing(publishers, sink):
    """Messages that were acknowledged to their publisher, and that no answer of the sink has taken."""
    well, _ = sink.well()
    for p, published in publishers.items():
        for s in (1, 2, 3):
            yield from ((p, s, n) for n in published.accepted(s) if (p, s, n) not in well)


def check_lost(publishers, sink, silent):
    """'silent': each has to be in the sink's ledger; else it may have gone to somebody else, or is known by
    its reply. What came must have been taken by an answer, if by nobody else."""
    if silent and (lost := list(missing(publishers, sink))):
        yield checker.Violation("lost", sink.name, f"{len(lost)} acknowledged, never taken, as {lost[:6]}")
    _, well = sink.well()
    if left := {c.id: c.message for c in sink.came if c.id not in well}:
        yield checker.Violation("lost", sink.name, f"{len(left)} came, and were never answered well, as "
                                f"{list(left.items())[:4]}")


def check_sink(queue, publishers, sink, finished, again):
    out = [checker.Violation(kind, sink.name, text) for kind, text in sink.wrong]
    out += check_attempts(sink)
    if queue.order != "none":
        out += check_lanes(sink, again)
    if finished and not queue.shared:
        out += check_lost(publishers, sink, not queue.replies)
    if finished and not sink.ended:
        out.append(checker.Violation("unended", sink.name, "it has not ended by itself"))
    return out


# ---- the part of the world

class Sink:
    """A process of sink.py that is started again with the same ledger."""

    def __init__(self, world, queue, port, seed, tls):
        self.name = f"sink-{queue.name}"
        self.port = port
        self.ledger = world.folder / f"{self.name}.ledger"
        self.log = world.folder / f"{self.name}.log"
        self.argv = [sys.executable, str(HERE / "sink.py"), "--name", queue.name, "--seed", str(seed),
                     "--ledger", str(self.ledger), "--order", queue.order, "--port", str(port),
                     "--batch", str(queue.batch)]
        if queue.replies:
            self.argv.append("--reply")
        if tls:
            self.argv += ["--cert", str(world.folder / "broker.pem"), "--key", str(world.folder / "broker.key")]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def read(self):
        return read_sink(self.name, self.ledger)


class Pushes:
    """'pulls': whose publishers it has; n_ports() of them."""
    sidecars = ()
    all_publishers = ()

    def __init__(self, world, seed, ports, tls):
        self.world, self.pulls, self.tls = world, world.pulls, tls
        self.proxies, self.sinks, self.urls = [], {}, {}
        for i, queue in enumerate(QUEUES):
            port, before = ports[2 * i:][:2]
            secure = tls and queue.secure
            self.sinks[queue.name] = Sink(world, queue, port, seed, secure)
            if not queue.direct:
                self.proxies.append(Proxy(before, port))
            self.urls[queue.name] = (f"{'https' if secure else 'http'}://127.0.0.1:{port if queue.direct else before}",
                                     world.folder / "ca.pem" if secure else None)
        self.folder = world.folder / "subscribers"
        self.folder.mkdir(exist_ok=True)
        self.declare(None)
        world.broker.tree |= {"subscribers": {"dir": str(self.folder)}, "push": {
            "allow": [{"host": "127.0.0.1", "cidr": "127.0.0.1/32"}], "trusted": ["127.0.0.1"]}}
        self.make_apps(world)

    @staticmethod
    def n_ports():
        return 2 * len(QUEUES)

    def make_apps(self, world):
        def sub(name, i, root, filter_):
            return worlds.App(world, name, "sub", i % 2, "--max-size", world.max_size, "--root", root, "--filter",
                              filter_, "--qos", 2)
        self.replies = {q.name: sub(f"replies-{q.name}", i, q.to, f"{q.to}/#")
                        for i, q in enumerate(QUEUES) if q.replies}
        self.members = {q.name: sub(f"member-{q.name}", 1, pulls.ROOT, f"$queue/{q.name}")
                        for q in QUEUES if q.shared}
        self.pullers = [pulls.Puller(world, q, "1.1", self.pulls.proxy.port, self.tls, q.to) for q in QUEUES if q.shared]

    @property
    def proxy(self):
        return self.proxies[0]

    @property
    def subscribers(self):
        return [*self.replies.values(), *self.members.values()]

    @property
    def victims(self):
        return self.subscribers

    @property
    def takers(self):
        return [*self.sinks.values(), *self.pullers]

    # -- declarations

    def told(self, queue, rng):
        return queue.declaration(*self.urls[queue.name], rng)

    def declare(self, rng):
        """Writes the file, as a whole."""
        queues = {q.name: self.told(q, rng) for q in QUEUES if not q.api}
        fresh = self.world.folder / "fresh.yaml"
        fresh.write_text(parts.yaml({"default": queues}))
        fresh.rename(self.folder / "pushes.yaml")

    def ask(self, method, path, what=None):
        """Of the API; whether it has done that. It is not there now and then."""
        curl = Curl(f"{'https' if self.tls else 'http'}://127.0.0.1:{self.world.broker_port}", "1.1",
                    (self.world.folder / "token").read_text().strip(), "default",
                    self.world.folder / "ca.pem" if self.tls else None)
        try:
            answer = curl.ask(method, f"/v1/queues/{path}", what, 5)
        except Unanswered:
            return False
        if answer.status not in (200, 201, 204, 503):
            self.world.problems.append(f"{method} {path}: {answer}")
        return answer.status in (200, 201, 204)

    def declare_by_api(self, queue, rng):
        return self.ask("PUT", queue.name, in_json(self.told(queue, rng)))

    def declare_again(self, seed):
        """With other settings."""
        rng = random.Random(seed)
        self.declare(rng)
        for queue in QUEUES:
            if queue.api:
                self.declare_by_api(queue, rng)

    async def pause(self, at, seconds):
        """One queue, for a while, though its broker dies meanwhile."""
        name = QUEUES[at % len(QUEUES)].name
        for verb in ("pause", "resume"):
            while not await asyncio.to_thread(self.ask, "POST", f"{name}/{verb}"):
                await asyncio.sleep(0.1)
            if verb == "pause":
                await asyncio.sleep(seconds)

    # -- start and end

    async def start(self):
        for proxy in self.proxies:
            await proxy.start()
        for queue in QUEUES:
            if queue.api:
                await eventually(lambda queue=queue: self.declare_by_api(queue, None),
                                 f"queue {queue.name} is declared", 20, 0.05)

    def start_apps(self):
        for app in self.subscribers:
            app.start()

    def started(self):
        return all(app.read().subscribed for app in self.subscribers)

    def start_publishers(self):
        for taker in self.takers:
            taker.start()

    def calm(self):
        """Sinks answer well from now on."""
        for sink in self.sinks.values():
            sink.ledger.with_suffix(".calm").touch()

    def start_taking(self):
        """They have taken all the time."""

    async def end_apps(self):
        for app in [*self.takers, *self.subscribers]:
            app.signal(signal.SIGUSR1)

    def running(self):
        return [a for a in [*self.subscribers, *self.takers] if a.running()]

    async def stop(self):
        for app in self.running():
            await self.world.kill(app)
        for proxy in self.proxies:
            if proxy.server:
                await proxy.stop()

    # -- what it came to

    def read(self):
        return {q: self.sinks[q.name].read() for q in QUEUES}

    def targets(self):
        """A message goes to the sink, to the member beside it, or to the puller, and is answered once."""
        return [pulls.Product(q, [apps[q.name].read() for apps in (self.replies, self.members) if q.name in apps])
                for q in QUEUES if q.replies]

    def figures(self):
        out = collections.Counter()
        for sink in self.read().values():
            out["pushed"] += len(sink.came)
            out.update({f"answer-{kind}": n for kind, n in sink.kinds.items()})
        return out

    def complete(self, _publishers):
        published = self.pulls.published()
        return checker.complete(published, self.targets()) and not any(
            next(missing(published, sink), None) for q, sink in self.read().items() if not q.replies)

    def check(self, _publishers, finished):
        published, small, sinks = self.pulls.published(), self.world.small_disk, self.read()
        again = checker.published_again(published) if small else {}
        names = {p.name for p in published.values()}
        out = [v for t in self.targets() for v in checker.check(
            published, [t], self.world.broker_deaths_ms, finished,
            unordered=pulls.PUBLISHERS if t.disordered else (), refuses=small) if v.who not in names]
        for queue, sink in sinks.items():
            out += check_sink(queue, published, sink, finished, again)
        out += check_ids(sinks.values())
        for puller in self.pullers:
            out += pulls.check_puller(puller.read(), finished)
        return out

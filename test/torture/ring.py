"""Three installations in a ring of bridges: ./dev torture --bridges.

    A ── quorum, classic, standard, fifo ──▶ B ──▶ C ──▶ A

Each has a broker, a sidecar, a publisher for each of the four ways, and a subscriber to everything. A way is
a queue of the next one's at the peer. So each message comes to each installation once, and is dropped where it
comes from when it has been around."""

import asyncio
import collections
import json
import pathlib
import random
import signal
import time

import checker
import disk as disks
import faults as common
import ring_peers
import scenario
import schedule
import stack as parts
import world as worlds
from checker import Violation, some
from cluster import eventually, metrics
from proxy import Proxy
from schedule import Kind

NAMES = ("a", "b", "c")
WAYS = ("quorum", "classic", "standard", "fifo")
OF_RABBIT = WAYS[:2]
RATE = 24         # publishes per second of each publisher; a third of it over SQS
CALM_S = 1.5      # that publishers go on when the faults are over
BROKER = {"engine": "embedded", "session": {"grace": "12s", "recovery-time": "1s"}, "drain-timeout": "3s"}
LOOPS = "sqmqos_bridge_loops_total"

APP_KINDS = (
    Kind("kill-app", 4, 0, 0.2),
    Kind("kill-sidecar", 2, 0, 0.3),
    Kind("stop-sidecar", 1, 0.02, 3),
)
BROKER_KINDS = (
    Kind("kill-broker", 6, 0, 0.5),
    Kind("stop-broker", 3, 0.1, 4),
    Kind("disk-full", 2, 0.5, 3, disk=True),
)
CUT_KINDS = (
    Kind("cut", 4, 0, 0),
    Kind("cut-in-frame", 4, 0.5, 2),
    Kind("freeze", 2, 0.05, 4),
    Kind("delay", 1, 0.2, 2),
)
RABBIT_KINDS = (
    Kind("rabbit-kill", 5, 0, 1),
    Kind("rabbit-stop", 4, 0.1, 4),
    Kind("rabbit-kill-all", 1.5, 0, 1),
    Kind("rabbit-alarm", 1, 0.5, 3),
)
SQS_KINDS = (
    Kind("sqs-kill", 3, 0, 1),
    Kind("sqs-stop", 3, 0.1, 4),
    Kind("sqs-away", 3, 0.1, 3),
    Kind("sqs-throttle", 2, 0.5, 3),
    Kind("sqs-unavailable", 1, 0.5, 3),
    Kind("sqs-cut", 2, 0.5, 3),
    Kind("sqs-cut-after", 4, 0.5, 3),
    Kind("sqs-some-fail", 2, 0.5, 3),
    Kind("sqs-twice", 4, 0.5, 3),
)
ALL = {"apps": (APP_KINDS, 2), "brokers": (BROKER_KINDS, 4), "cuts": (CUT_KINDS, 2), "rabbit": (RABBIT_KINDS, 4),
       "sqs": (SQS_KINDS, 4)}


def draw(seed, seconds, gap_s, disk, short):
    """Of each sort one at least, in the first half. What takes rabbitmqctl is nothing for a short run."""
    out = []
    for name, (kinds, slower) in ALL.items():
        kinds = [k for k in kinds if (disk or not k.disk) and (not short or k.name != "rabbit-alarm")]
        rng = random.Random(f"first of {name} {seed}")
        first = rng.choice(kinds)
        out.append(schedule.Action(seconds * rng.uniform(0.1, 0.5), first.name, rng.randrange(1000),
                                   (first.least_s + first.most_s) / 2, rng.randrange(1 << 32)))
        out += schedule.draw_apart(f"ring {name}", kinds, seed, seconds, slower * gap_s)
    return sorted(out, key=lambda action: action.at_s)


class Installation:
    """One of the ring; next: the name of that which its bridges lead to."""

    def __init__(self, world, number, small):
        self.world, self.name, self.number = world, NAMES[number], number
        self.next = NAMES[(number + 1) % len(NAMES)]
        self.folder = world.folder / self.name
        self.folder.mkdir()
        parts.write_token(self.folder / "token")
        self.disk = disks.Small(self.folder / "disk", 96) if small else None
        listen, admin, link, port, side = world.take_ports(5)
        self.link = Proxy(link, listen)
        tree = parts.config("broker", self.folder, listen=listen, admin=admin, tls=False)
        tree = parts.merge(tree, BROKER | {"bridges": {"dir": str(self.folder / "bridges")}})
        if self.disk:
            tree["store"]["dir"] = str(self.disk.folder / "store")
        self.broker = parts.Program("broker", f"broker-{self.name}", self.folder, world.build, tree)
        tree = parts.config("sidecar", self.folder, listen=port, admin=side, tls=False, broker=link)
        self.sidecar = parts.Program("sidecar", f"sidecar-{self.name}", self.folder, world.build,
                                     parts.merge(tree, worlds.SIDECAR))
        self.peers = [Proxy(world.take_ports(1)[0], node.amqp) for node in world.rabbits.nodes]
        self.make_apps(port)

    def make_apps(self, port):
        self.publishers = {}
        for way in range(len(WAYS)):
            n = 10 * (self.number + 1) + way
            self.publishers[n] = worlds.App(
                self.world, f"pub-{n}", "pub", 0, "--number", n, "--rate", self.rate(way), "--max-size", 1024,
                "--keyed", ports=[port])
        self.subscriber = worlds.App(self.world, f"sub-{self.name}", "sub", 0, "--filter", worlds.EVERYTHING,
                                     "--qos", 2, "--max-size", 1024, ports=[port])

    def rate(self, way):
        """What stands for SQS is slow."""
        return self.world.rate if WAYS[way] in OF_RABBIT else max(self.world.rate // 3, 1)

    @property
    def proxies(self):
        return [self.link, *self.peers]

    def queue(self, way, name):
        return f"{way}-{name}" + (".fifo" if way == "fifo" else "")

    def declare(self):
        """The bridges, whose addresses are known now."""
        (self.folder / "bridges").mkdir()
        urls = [f"amqp://127.0.0.1:{p.port}" for p in self.peers]
        rules = {way: [{"filter": f"torture/{10 * (i + 1) + WAYS.index(way)}/#", "qos": 2} for i in range(len(NAMES))]
                 for way in WAYS}
        files = {}
        for name, text in {"user": ring_peers.rabbit.USER, "password": ring_peers.rabbit.PASSWORD,
                           "id": ring_peers.KEY[0], "key": ring_peers.KEY[1]}.items():
            files[name] = str(self.folder / name)
            parts.write_private(files[name], text)
        of_rabbit = {"space": "default", "kind": "amqp", "heartbeat": "2s",
                     "credentials": {"user-file": files["user"], "password-file": files["password"]}}
        bridges = {way: of_rabbit | {
            "url": urls[:3] if way == "quorum" else urls[3:],
            "out": [r | {"to": {"key": self.queue(way, self.next)}} for r in rules[way]],
            "in": [{"queue": self.queue(way, self.name), "to": "{topic}", "qos": 2, "prefetch": 50}],
        } for way in OF_RABBIT}
        bridges["sqs"] = {
            "space": "default", "kind": "sqs", "endpoint": self.world.sqs.proxy.url, "region": "eu-central-1",
            "credentials": {"access-key-file": files["id"], "secret-key-file": files["key"]}, "wait": "1s",
            "visibility": f"{ring_peers.HIDDEN_S}s",
            "out": [r | {"to": {"queue": self.queue(way, self.next)}} for way in WAYS[2:] for r in rules[way]],
            "in": [{"queue": self.queue(way, self.name), "to": "{topic}", "qos": 2} for way in WAYS[2:]]}
        (self.folder / "bridges" / "ring.yaml").write_text(json.dumps({"bridges": bridges}))

    @property
    def apps(self):
        return [*self.publishers.values(), self.subscriber]


class World:
    """The installations, and what is between them."""

    rollout = None  # of faults.Faults

    def __init__(self, folder, build, rate, small, full):
        self.folder, self.build, self.rate, self.full = folder, pathlib.Path(build), rate, full
        self.problems, self.ports, self.broker_deaths_ms = [], [], []
        self.rabbits = ring_peers.Rabbits(folder / "rabbits")
        self.sqs = ring_peers.Sqs(folder / "sqs")
        self.all = []
        for i in range(len(NAMES)):
            self.all.append(Installation(self, i, small))
        self.loops = collections.Counter()

    def take_ports(self, n):
        for _ in range(n):
            self.ports.append(parts.free_port(self.ports))
        return self.ports[-n:]

    @property
    def brokers(self):
        return [i.broker for i in self.all]

    @property
    def proxies(self):
        return [p for i in self.all for p in i.proxies]

    @property
    def apps(self):
        return [a for i in self.all for a in i.apps]

    @property
    def programs(self):
        return [p for i in self.all for p in (i.sidecar, i.broker)]

    def broker_woke(self):
        pass

    def broker_died(self):
        self.broker_deaths_ms.append(time.monotonic() * 1000)

    async def kill(self, what):
        what.process.kill()
        await asyncio.to_thread(what.process.wait)

    # -- start and end

    async def start(self):
        both = await asyncio.gather(asyncio.to_thread(self.rabbits.start, NAMES, self.full),
                                    asyncio.to_thread(self.sqs.start, NAMES), return_exceptions=True)
        for failed in filter(None, both):
            raise failed
        for p in self.proxies:
            await p.start()
        for i in self.all:
            i.declare()
        for p in self.programs:
            p.start()
        await self.ready()
        for i in self.all:
            i.subscriber.start()
        await eventually(lambda: all(i.subscriber.ledger.exists() and i.subscriber.read().subscribed for i in self.all),
                         "all have subscribed", 30, 0.1)
        for i in self.all:
            for p in i.publishers.values():
                p.start()

    async def ready(self, timeout_s=60):
        """All programs are, and all bridges are up."""
        for p in self.programs:
            async def is_ready(p=p):
                assert p.running(), f"{p.name} has ended: {p.last_words()}"
                return (await asyncio.to_thread(p.ready))[0]
            await eventually(is_ready, f"{p.name} is ready", timeout_s, 0.1)
        for b in self.brokers:
            async def up(b=b):
                said = [v for k, v in (await metrics(b)).items() if k.startswith("sqmqos_bridge_up{")]
                return len(said) == 6 and all(said)
            await eventually(up, f"the bridges of {b.name} are up", timeout_s, 0.2)

    async def settle(self, note):
        """Whether all publishers have ended, and all has come."""
        await self.ready()
        note("all are ready")
        await asyncio.sleep(CALM_S)
        publishers = [p for i in self.all for p in i.publishers.values()]
        for p in publishers:
            p.signal(signal.SIGUSR1)
        finished = await self.quiet(lambda: not any(p.running() for p in publishers))
        note(f"publishers have {'' if finished else 'NOT '}ended")
        empty = await self.quiet(self.empty)
        note(f"queues are {'' if empty else 'NOT '}empty")
        if not empty:
            self.problems.append(f"left: {await self.left()}")
        await self.count()
        subscribers = [i.subscriber for i in self.all]
        for s in subscribers:
            s.signal(signal.SIGUSR1)
        if not await self.quiet(lambda: not any(s.running() for s in subscribers), 20):
            self.problems.append("subscribers do not end")
        return finished

    async def quiet(self, done, still_s=25):
        return await worlds.quiet(self.folder, still_s, 150, done)

    async def left(self):
        """What waits anywhere."""
        out = {}
        for b in self.brokers:
            said = await metrics(b)
            if n := sum(v for k, v in said.items()
                        if k == "sqmqos_queued_messages" or k.startswith("sqmqos_bridge_in_flight")):
                out[b.name] = n
        if not out:
            out |= await asyncio.to_thread(self.sqs.left)
        if not out:
            out |= await asyncio.to_thread(self.rabbits.left, NAMES)
        return out

    async def empty(self):
        return not await self.left()

    async def count(self):
        for i in self.all:
            said = await metrics(i.broker)
            self.loops[i.name] = sum(v for k, v in said.items() if k.startswith(LOOPS))
            if not self.loops[i.name]:
                self.problems.append(f"nothing came back to {i.name}: there is no ring")
            if letters := said.get("sqmqos_dead_letters_total"):
                self.problems.append(f"{i.name} has {letters:g} dead letters")

    async def stop(self):
        """What a bridge has taken and not acknowledged is at its peer again."""
        started = all(p.process for p in self.programs)
        for app in self.apps:
            if app.running():
                await self.kill(app)
        for p in self.programs:
            if p.process is None:
                continue
            if not p.running():
                self.problems.append(f"{p.name} had {parts.describe_exit(p.process.returncode)}")
            elif (code := await asyncio.to_thread(p.stop, 30)) != 0:
                self.problems.append(f"{p.name} {parts.describe_exit(code)} after SIGTERM")
        if started and not self.problems and (left := await asyncio.to_thread(self.rabbits.left, NAMES)):
            self.problems.append(f"never acknowledged at RabbitMQ: {left}")
        for p in self.proxies:
            if p.server:
                await p.stop()

    def close(self):
        """Also what an interrupted run has left."""
        for p in [*self.apps, *self.programs]:
            if p.running():
                p.process.kill()
                p.process.wait()
        for i in self.all:
            if i.disk:
                i.disk.close()
        self.sqs.close()
        self.rabbits.close()

    def ledgers(self):
        """(publishers, targets): each installation is one."""
        return ({n: p.read() for i in self.all for n, p in i.publishers.items()},
                [checker.Target(i.name, [i.subscriber.read()]) for i in self.all])


def origin_of(publisher):
    return NAMES[publisher // 10 - 1]


def way_of(publisher):
    return WAYS[publisher % 10]


def gone_before(gone, publisher, target):
    """What a kill of ElasticMQ has taken on the way from who published it to the target."""
    at, out = NAMES.index(origin_of(publisher)), set()
    while NAMES[at] != target:
        at = (at + 1) % len(NAMES)
        queue = f"{way_of(publisher)}-{NAMES[at]}" + (".fifo" if way_of(publisher) == "fifo" else "")
        out |= gone.get(queue, set())
    return out


def check_lost(publishers, target, gone):
    for (p, stream), lost in checker.missing(publishers, target).items():
        taken = {n for a, b, n in gone_before(gone, p, target.name) if (a, b) == (p, stream)}
        if left := lost - taken:
            yield Violation("lost", target.name, f"publisher {p} ({way_of(p)}) stream {stream}: {some(left)} "
                            f"acknowledged at {origin_of(p)}, never came")


def check_qos(target):
    """What came over a bridge has the QoS of its rule."""
    for (p, stream), seen in target.members[0].qos.items():
        wanted = {2} if origin_of(p) != target.name else {target.delivered_qos(stream)}
        if seen != wanted:
            yield Violation("qos", target.name, f"publisher {p} stream {stream} came with {sorted(seen)}")


def check(publishers, targets, gone, finished, *, refuses=False, full=False):
    """All violations. gone: {queue of SQS: messages that were killed with it}; the others as checker.check()
    has them. A message that was sent once and came twice is a double wherever it is, also at its origin, where
    it has come back. A standard queue of SQS has no order, and of a lane a full queue of RabbitMQ refuses some
    and takes what was sent behind them."""
    again = checker.published_again(publishers) if refuses else {}
    out = []
    for published in publishers.values():
        out += checker.check_publisher(published, finished)
    for target in targets:
        out += [Violation(kind, target.name, text) for kind, text in target.members[0].wrong]
        if finished:
            out += check_lost(publishers, target, gone)
        out += checker.check_copies(publishers, target)
        unordered = ("standard", *OF_RABBIT) if full else ("standard",)
        loose = [p for p in publishers if way_of(p) in unordered and origin_of(p) != target.name]
        out += checker.check_order(target, (), loose, again)
        out += check_qos(target)
    return out


class Faults(common.Faults):
    async def run(self, actions):
        for action in actions:
            await asyncio.sleep(self.started + action.at_s - time.monotonic())
            self.perform(action)
        await asyncio.gather(*self.undoing)
        for b in self.world.brokers:
            if not b.running() and self.had_no_room(b):
                b.start()

    def perform(self, action):
        verb, _, kind = action.kind.partition("-")
        if verb in ("kill", "stop"):
            self.one(action, kind, self.kill if verb == "kill" else self.pause)
        elif verb in ("rabbit", "sqs"):
            self.spawn(self.peer(action, self.world.rabbits if verb == "rabbit" else self.world.sqs))
        elif action.kind == "disk-full":
            self.spawn(self.full(action))
        else:
            used = [p for p in self.world.proxies if p.pairs] or self.world.proxies
            proxy = used[action.target % len(used)]
            getattr(self, action.kind.replace("-", "_"))(action, proxy)

    def among(self, kind):
        return {"app": self.world.apps, "broker": self.world.brokers,
                "sidecar": [i.sidecar for i in self.world.all]}[kind]

    def had_no_room(self, victim):
        return any(i.broker is victim and i.disk for i in self.world.all) and victim.process.poll() == 1 and \
            "No space left" in victim.last_words()

    async def peer(self, action, peer):
        self.note(str(action))
        done = await asyncio.to_thread(peer.do, action.kind, action.seconds, action.seed)
        self.note(f"{action.kind}: {'is over' if done else 'another one is under way'}")
        self.counts[action.kind] += done

    async def full(self, action):
        i = self.world.all[action.target % len(NAMES)]
        if f"disk of {i.name}" in self.busy:
            return
        self.note(f"{action}: {i.name}")
        self.busy.add(f"disk of {i.name}")
        await asyncio.to_thread(i.disk.fill, random.Random(action.seed))
        await asyncio.sleep(action.seconds)
        i.disk.empty()
        self.busy.discard(f"disk of {i.name}")
        self.note(f"the disk of {i.name} has room again")
        self.counts["disk-full"] += 1


class Seed:
    """One run; as run.Seed, of which it is a small sister."""

    finished = True

    def __init__(self, seed, folder, args, summary):
        self.seed, self.folder, self.args, self.summary = seed, folder, args, summary
        rng = random.Random(f"world {seed}")
        self.small = rng.random() < 0.4 and not args.short
        self.full = rng.random() < 0.3 and not args.short

    async def run(self, seconds):
        self.folder.mkdir(parents=True, exist_ok=True)
        ring_peers.are_there()
        try:
            world = World(self.folder, self.args.build, self.args.rate, self.small, self.full)
        except PermissionError as e:
            raise scenario.Skip(f"no disk can be mounted here: {e}") from e
        actions = draw(self.seed, seconds, self.args.gap, self.small, self.args.short)
        try:
            with open(self.folder / "faults.log", "w") as log:
                faults = Faults(world, log)
                faults.note(f"seed {self.seed}, {seconds:.1f} s, {len(actions)} actions, small disks {self.small}, "
                            f"small queues of RabbitMQ {self.full}")
                await self.torment(world, faults, actions)
                self.check(world, faults)
        finally:
            world.close()

    async def torment(self, world, faults, actions):
        try:
            await world.start()
            faults.started = time.monotonic()
            await faults.run(actions)
            faults.note("the faults are over")
            self.finished = await world.settle(faults.note)
        except AssertionError as e:
            world.problems.append(str(e))
            self.finished = False
        finally:
            await world.stop()

    def check(self, world, faults):
        publishers, targets = world.ledgers()
        s = self.summary
        s.counts += faults.counts
        s.counts += collections.Counter({f"met-{k}": n for k, n in world.sqs.met.items()})
        s.counts["looped"] += int(sum(world.loops.values()))
        s.counts["gone-with-sqs"] += sum(map(len, world.sqs.gone.values()))
        s.take_ledgers(publishers, targets)
        s.violations += check(publishers, targets, world.sqs.gone, self.finished,
                              refuses=self.small, full=self.full)
        s.problems += [f"the proxy refused: {why}" for why in world.sqs.proxy.refused[:3]]
        for name, (kinds, _) in ALL.items():
            if not any(faults.counts[k.name] for k in kinds):
                s.problems.append(f"nothing has happened to {name}")
        if not any(publishers[p].accepted(2) for p in publishers):
            s.problems.append("nothing was published")
        s.problems += world.problems + scenario.sanitizer_reports(self.folder)
        if not self.finished:
            s.problems.append("publishers do not end")
        with open(self.folder / "result", "w") as f:
            print(s.line(), *s.violations, *s.problems, sep="\n", file=f)

"""A declared queue of a small bound that nobody takes from, in a space of its own, whose
dead letters get full; and QoS 3 messages beside it, which that must not stop."""

import asyncio
import re
import signal
import time

import checker
import letters
import stack as parts
import world as worlds
from annotations import AnnotationsFile
from proxy import Proxy

SPACE = "spill"
QUEUE = f"declared~{SPACE}~{SPACE}~{SPACE}"
BOUND = 50          # of the queue
PUBLISHERS = {11: 1, 12: 2}  # number: its only stream
KEYED = 13
TAKER = "spill-taker"
READ_EVERY_S = 0.1
# After a start of the broker, until it knows who is back to take from the queue: its
# session.recovery-time, and what passes before that begins and before its end is seen.
AWAITED_MS = 5000
READ_TIMEOUT_S = 1
DROPPED = re.compile(r"^sqmqos_dead_letters_dropped_total (\d+)$", re.M)


class Counters:
    """Reads a counter of the broker all the time, for it starts anew with each broker."""

    def __init__(self, world):
        self.world = world
        self.lives = {}  # pid: (value, ms when it was asked for), in their order
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self.run())

    async def stop(self):
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])
            self.task = None

    async def run(self):
        while True:
            await self.read()
            await asyncio.sleep(READ_EVERY_S)

    async def read(self):
        pid, at_ms = self.world.broker.pid, time.monotonic() * 1000
        status, text = await asyncio.to_thread(self.world.broker.get, "/metrics", READ_TIMEOUT_S)
        found = DROPPED.search(text)
        if status != 200 or not found or pid != self.world.broker.pid:
            return False
        self.lives[pid] = int(found[1]), at_ms
        return True

    def result(self, deaths_ms):
        """Deaths without a reading before them have all of that life unseen."""
        out, since = letters.Counted(sum(v for v, _ in self.lives.values())), 0
        for death in deaths_ms:
            seen = [at for _, at in self.lives.values() if since <= at <= death]
            out.blind.append((max(seen, default=since), death))
            since = death
        return out


class Spill:
    def __init__(self, world, rng, ports, tls):
        self.world = world
        self.taking = rng.random() < 0.5  # letters are taken now and then
        self.takes = 0
        self.counters = Counters(world)
        self.proxy = Proxy(ports[0], world.broker_port)
        file = AnnotationsFile(world.folder / "pod-spill").write(
            "".join(f'- filter: "torture/{n}/#"\n  qos: 2\n  group: {SPACE}\n'
                    f"  max-length: {BOUND}\n" for n in PUBLISHERS),
            **{"sqmqos.io/client-id": TAKER})
        tree = parts.config("sidecar", world.folder, listen=ports[1], admin=ports[2], tls=tls,
                            broker=ports[0], annotations=file.path)
        tree = parts.merge(tree, worlds.SIDECAR)
        tree["identity"] = {"space": SPACE, "workload": SPACE, "pod": SPACE}
        self.sidecar = parts.Program("sidecar", "sidecar-spill", world.folder, world.build, tree)
        self.make_apps(ports[1])

    def make_apps(self, port):
        def app(name, kind, *more):
            return worlds.App(self.world, name, kind, 0, *more, "--max-size", self.world.max_size,
                              ports=[port])

        def pub(number, stream):
            return app(f"spill-pub-{number}", "pub", "--number", number, "--only", stream,
                       "--rate", max(self.world.rate // 2, 1), "--keyed")
        self.publishers = {number: pub(number, stream) for number, stream in PUBLISHERS.items()}
        self.keyed = pub(KEYED, 3)
        self.subscriber = app("spill-keyed", "sub", "--filter", f"torture/{KEYED}/#", "--qos", 2)
        self.taker = app(TAKER, "sub")
        self.reader = app("spill-letters", "sub", "--filter", "$dead/#", "--qos", 2)

    @property
    def sidecars(self):
        return [self.sidecar]

    @property
    def all_publishers(self):
        return [*self.publishers.values(), self.keyed]

    @property
    def apps(self):
        return [*self.all_publishers, self.subscriber, self.taker, self.reader]

    @property
    def victims(self):
        return [*self.all_publishers, self.subscriber]

    # -- start and end

    async def start(self):
        await self.proxy.start()
        self.sidecar.start()

    def start_apps(self):
        self.subscriber.start()

    def started(self):
        return self.subscriber.read().subscribed

    def start_publishers(self):
        self.counters.start()

    async def take(self, seconds):
        """Takes letters for a while."""
        self.takes += 1
        self.reader.start()
        await asyncio.sleep(seconds)
        self.reader.signal(signal.SIGTERM)
        await asyncio.to_thread(self.reader.process.wait, 10)

    def start_taking(self):
        """The publishers have ended: what is left in the queue, and what letters there are."""
        self.taker.start()
        self.reader.start()

    async def end_apps(self):
        if not await self.counters.read():
            self.world.problems.append("the counter of dropped letters can't be read")
        await self.counters.stop()
        for app in (self.subscriber, self.taker, self.reader):
            app.signal(signal.SIGUSR1)

    def running(self):
        return [a for a in self.apps if a.running()]

    async def stop(self):
        await self.counters.stop()
        for app in self.running():
            await self.world.kill(app)
        if self.sidecar.running() and (code := await asyncio.to_thread(
                self.sidecar.stop, 30)) != 0:
            self.world.problems.append(
                f"{self.sidecar.name} {parts.describe_exit(code)} after SIGTERM")
        if self.proxy.server:
            await self.proxy.stop()

    # -- what it came to

    def published(self):
        return {n: app.read() for n, app in self.publishers.items()}

    def keyed_ledgers(self):
        return {KEYED: self.keyed.read()}, [checker.Target(
            "spill-keyed", [self.subscriber.read()])]

    def ledgers(self):
        """All publishers, and all that was received, for the figures."""
        keyed, targets = self.keyed_ledgers()
        return self.published() | keyed, targets + [
            checker.Target(app.name, [app.read()]) for app in (self.taker, self.reader)]

    def figures(self):
        return {"letters": len(self.reader.read().letters),
                "letters-dropped": self.counters.result(()).sum}

    def result(self):
        return letters.Spill(QUEUE, self.taker.read(), self.reader.read(),
                             self.counters.result(self.world.broker_deaths_ms), self.takes > 0,
                             BOUND, self.world.dead_letters // 2)

    def complete(self, _publishers):
        return checker.complete(*self.keyed_ledgers())

    def refusals(self):
        starts = [(t, t + AWAITED_MS) for t in self.world.broker_starts_ms]
        yield from letters.check_refusals(self.published().values(), starts)
        yield from letters.check_refusals([self.keyed.read()])

    def check(self, _publishers, finished):
        published = self.published()
        out = [] if self.world.small_disk else list(self.refusals())
        for p in published.values():
            out += checker.check_publisher(p, finished)
        out += checker.check(*self.keyed_ledgers(), self.world.broker_deaths_ms, finished,
                             refuses=self.world.small_disk)
        if finished:
            out += letters.check_spill(published, self.result())
        return out

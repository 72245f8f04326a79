"""One broker, two sidecars and the apps of a torture run: starting, killing
and stopping them."""

import asyncio
import os
import pathlib
import signal
import subprocess
import time

import checker
import ledger
import stack as parts
import turns
from annotations import AnnotationsFile
from cluster import eventually, metrics, outbound
from kept import Kept
from proxy import Proxy

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EVERYTHING = "torture/#"
DECLARED = '- filter: "torture/#"\n  qos: 2\n  durable: true\n'
DECLARING = 2  # sidecars; the last one has an outbox on disk, and a publisher that stays there
SIDECARS = 3
TWINS = 5      # publishers that say the same
OUTBOX = 7     # publisher at the outbox
WILLED = 8     # who dies at the end
# For whom what was refused for now is published again: by the outbox, by the sidecar (a
# client of MQTT 3.1.1 can't be told), or by the other twin.
REPUBLISHED = (OUTBOX, 2, TWINS)
SIDECAR = {
    "pool": {"backoff-min": "20ms", "backoff-max": "300ms", "silence": "2s", "dial-timeout": "2s"},
    "session": {"attach-timeout": "10s"},
}
BROKER = {"session": {"grace": "5s", "recovery-time": "1s"}, "drain-timeout": "3s"}


class App:
    """A process of torture-app that is started again with the same ledger."""

    def __init__(self, world, name, kind, sidecar, *options, version=5, transient=False,
                 ports=None):
        self.name = name
        self.world = world
        self.kind = kind
        self.transient = transient
        self.ledger = world.folder / f"{name}.ledger"
        self.log = world.folder / f"{name}.log"
        self.ports = ports or [s.tree["listen"]["port"] for s in world.sidecars]
        self.at = sidecar
        # An annotation names a declared client. What a transient publisher has given up
        # may still come from the old sidecar, behind what it publishes at the new one.
        self.movable = ports is None and sidecar < DECLARING and (
            "--filter" in options or kind == "pub" and not transient)
        self.argv = [str(world.build / "test" / "torture-app"), kind, "--id", name, "--ledger",
                     str(self.ledger), "--version", str(version), *map(str, options)]
        if transient:
            self.argv.append("--transient")
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.argv, "--port", str(self.ports[self.at])], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)

    def move(self):
        """It starts at another sidecar the next time."""
        if self.movable:
            self.at = (self.at + 1) % DECLARING

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def read(self):
        reader = ledger.read_publisher if self.kind == "pub" else ledger.read_subscriber
        return reader(self.name, self.ledger, self.transient)


def broker_knows(build, key):
    """Whether the broker of this build has a configuration key."""
    shown = subprocess.run([str(build / "sqmqos-broker"), "--help-markdown"], capture_output=True,
                           text=True, check=True).stdout
    return f"`{key}`" in shown


async def quiet(folder, still_s, timeout_s, done):
    """Awaits done(); gives up when no ledger of the folder has grown for 'still_s'."""
    end = time.monotonic() + timeout_s
    size, since = None, time.monotonic()
    while time.monotonic() < end:
        result = done()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return True
        now = sum(f.stat().st_size for f in folder.glob("*.ledger"))
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > still_s:
            return False
        await asyncio.sleep(0.2)
    return False


class World:
    """options: engine ("memory" or "embedded"), tls, rate (of each publisher per second),
    store (a folder for the store), layer (a powerfail.Layer or None), small_disk (which large
    payloads fill soon), dead_letters (that a space may have)."""

    def __init__(self, folder, build, *, engine, tls, rate, store=None, layer=None,
                 small_disk=False, dead_letters=600):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.build = pathlib.Path(build)
        self.engine = engine
        self.layer = layer
        self.problems = []
        self.small_disk = small_disk
        self.unordered = REPUBLISHED if small_disk else ()
        self.rate = rate
        self.max_size = 65536 if small_disk else 4096  # of a payload
        self.dead_letters = dead_letters
        self.pods, self.pulls, self.pushes = [], None, None  # what add_pods() adds
        self.rollout = None
        self.will_is_due = False
        self.kept = None
        self.backups = None  # backups.Backups, of a run that takes some
        self.base = {}
        self.broker_deaths_ms = []
        self.broker_starts_ms = []  # again, and when it goes on after a stop
        self.ports = []
        ports = self.take_ports(2 + 3 * SIDECARS)
        self.broker_port = ports[0]
        parts.write_token(self.folder / "token", ("default", "spill"))
        if tls:
            parts.write_certificates(self.folder)
        self.store = store or self.folder / "store"
        self.make_broker(ports, tls)
        self.make_sidecars(ports, tls)
        self.make_apps()

    def take_ports(self, n):
        for _ in range(n):
            self.ports.append(parts.free_port(self.ports))
        return self.ports[-n:]

    def add_pods(self, rollout, spill):
        """What the broker serves besides, for a run that is to find no bit flips."""
        self.rollout, self.spill = rollout, spill
        self.pods = [rollout, spill]

    def add_pulls(self, pulls):
        self.pulls = pulls
        self.pods.append(pulls)

    def add_pushes(self, pushes):
        """Whose messages are those of the pulls."""
        self.pushes = pushes
        self.pods.append(pushes)

    def make_broker(self, ports, tls):
        tree = parts.merge(parts.config("broker", self.folder, listen=ports[0], admin=ports[1],
                                        tls=tls), BROKER)
        pushes = broker_knows(self.build, "push.trusted")
        tree["acl"] = [{"allow": ["manage", "push"] if pushes else ["manage"], "identity": "token:local"}]
        tree["dead-letters"] = {"max-messages": self.dead_letters}
        if broker_knows(self.build, "store.dir"):
            tree |= {"engine": self.engine}
            if self.engine == "embedded":
                tree["store"] = {"dir": str(self.store), "max-size": "256Mi",
                                 "journal-size": "8Mi", "cache-size": "1Mi"}
        self.broker = parts.Program("broker", "broker", self.folder, self.build, tree)
        if self.layer:
            self.broker.environment |= self.layer.environment(self.broker.argv[0])

    def make_sidecars(self, ports, tls):
        self.sidecars, self.proxies = [], []
        for i in range(SIDECARS):
            listen, admin = ports[2 + SIDECARS + 2 * i:][:2]
            self.proxies.append(Proxy(ports[2 + i], ports[0]))
            annotations = None
            if i < DECLARING:
                annotations = AnnotationsFile(self.folder / f"pod-{i}").write(
                    DECLARED, **{"sqmqos.io/client-id": f"declared-{i}"}).path
            tree = parts.config("sidecar", self.folder, listen=listen, admin=admin, tls=tls,
                                broker=ports[2 + i], pod=i + 1, annotations=annotations)
            tree = parts.merge(tree, SIDECAR)
            if i >= DECLARING:
                tree["outbox"] = {"mode": "disk", "dir": str(self.folder / "outbox"),
                                  "size": "16Mi", "order-wait": "60s"}
            self.sidecars.append(parts.Program("sidecar", f"sidecar-{i}", self.folder, self.build,
                                               tree))

    def make_apps(self):
        rate, max_size = self.rate, self.max_size

        def pub(number, sidecar, *options, name=None, **more):
            if "--rate" not in options:
                options += ("--rate", rate)
            return App(self, name or f"pub-{number}", "pub", sidecar, "--number", number,
                       "--linger", 7 * (number % 3), "--max-size", max_size, "--keyed", *options,
                       **more)

        def sub(name, sidecar, filter_=EVERYTHING, qos=2, linger=0, **more):
            asked = ("--filter", filter_, "--qos", qos) if filter_ else ()
            return App(self, name, "sub", sidecar, *asked, "--linger", linger,
                       "--max-size", max_size, **more)

        shared = f"$share/crew/{EVERYTHING}"
        self.publishers = {1: pub(1, 0), 2: pub(2, 0, version=4), 3: pub(3, 1),
                           4: pub(4, 1, transient=True),
                           OUTBOX: pub(OUTBOX, DECLARING)}
        half = ("--only", 3, "--rate", max(rate // 4, 1))
        self.twins = [pub(TWINS, i, *half, name=f"twin-{i}") for i in range(2)]
        self.willed = pub(WILLED, 0, "--willed", "--rate", 0, name="willed")
        # name, members, qos
        self.groups = (
            ("durable-5", [sub("durable-5", 1, linger=15)], 2),
            ("durable-4", [sub("durable-4", 0, version=4)], 2),
            ("durable-qos-1", [sub("durable-qos-1", 0, qos=1)], 1),
            ("share", [sub("share-0", 0, shared, linger=10), sub("share-1", 1, shared)], 2),
            ("declared", [sub(f"declared-{i}", i, None, linger=20 * i) for i in (0, 1)], 2),
            ("transient", [sub("transient", 1, transient=True)], 2),
        )
        self.subscribers = [m for _, members, _ in self.groups for m in members]
        self.turns = turns.Turns(self)

    @property
    def apps(self):
        return [*self.all_publishers, *self.subscribers]

    @property
    def all_publishers(self):
        return [*self.publishers.values(), *self.twins]

    @property
    def pods_publishers(self):
        return [p for pod in self.pods for p in pod.all_publishers]

    @property
    def brokers(self):
        return [self.broker]

    @property
    def programs(self):
        return [*self.brokers, *self.sidecars]

    @property
    def all_sidecars(self):
        return [*self.sidecars, *(s for pod in self.pods for s in pod.sidecars)]

    # -- start and end

    async def start(self):
        for proxy in self.proxies:
            await proxy.start()
        for program in self.programs:
            program.start()
        for pod in self.pods:
            await pod.start()
        await self.ready()
        await asyncio.sleep(0.2)
        self.base = {p.name: self.descriptors(p) for p in self.programs}
        for app in self.subscribers:
            app.start()
        for pod in self.pods:
            pod.start_apps()
        await eventually(self.all_subscribed, "every app has subscribed", 30, 0.1)
        for pod in self.pods:
            pod.start_publishers()
        for app in [*self.all_publishers, *self.pods_publishers]:
            app.start()
        self.turns.start()
        self.kept = Kept(self.sidecars[0].tree["listen"]["port"])
        self.kept.start()

    def all_subscribed(self):
        """The declared ones never send SUBSCRIBE: for them to be connected is all."""
        states = [app.read() for app in self.subscribers if app.ledger.exists()]
        return len(states) == len(self.subscribers) and all(
            s.subscribed or s.name.startswith("declared") and s.connections for s in states
        ) and all(pod.started() for pod in self.pods)

    links_of_each = 2  # sidecar, at least

    async def ready(self, timeout_s=40):
        """Awaits that all programs are ready, and all links up."""
        for program in [*self.brokers, *self.all_sidecars]:
            def check(program=program):
                for p in [*self.brokers, *self.all_sidecars]:
                    assert self.lives(p), f"{p.name} has ended: {p.last_words()}"
                return asyncio.to_thread(program.ready)

            async def is_ready(check=check):
                return (await check())[0]
            await eventually(is_ready, f"{program.name} is ready", timeout_s, 0.05)

        async def linked():
            up = [(await metrics(s)).get("sqmqos_links", 0) for s in self.all_sidecars]
            return min(up) >= self.links_of_each
        await eventually(linked, "all links are up", timeout_s, 0.05)

    def lives(self, program):
        return program.running()

    def descriptors(self, program):
        """Open descriptors but those of the store, whose files come and go."""
        n = 0
        for fd in pathlib.Path(f"/proc/{program.pid}/fd").iterdir():
            try:
                n += not os.readlink(fd).startswith(str(self.store))
            except OSError:
                pass
        return n

    def broker_woke(self):
        self.broker_starts_ms.append(time.monotonic() * 1000)

    def broker_died(self):
        self.broker_deaths_ms.append(time.monotonic() * 1000)

    async def kill(self, what):
        if self.rollout and what is self.broker:
            await self.spill.counters.read()  # the last one: what follows is unseen
        what.process.kill()
        await asyncio.to_thread(what.process.wait)

    async def quiet(self, still_s, timeout_s, done):
        return await quiet(self.folder, still_s, timeout_s, done)

    async def finish_publishers(self):
        """Whether every publisher ended with all answered, and who turns has come to rest."""
        publishers = [*self.all_publishers, *self.pods_publishers]
        for app in publishers:
            app.signal(signal.SIGUSR1)
        self.turns.signal(signal.SIGUSR2)
        return await self.quiet(30, 180, lambda: not any(a.running() for a in publishers) and
                                self.turns.rest())

    def ledgers(self):
        """(publishers, targets) for the checker."""
        targets = []
        for name, members, qos in self.groups:
            targets.append(checker.Target(name, [m.read() for m in members], qos,
                                          members[0].transient))
        publishers = {n: app.read() for n, app in self.publishers.items()}
        publishers[TWINS] = ledger.together(*(app.read() for app in self.twins))
        if self.will_is_due:
            publishers[WILLED] = ledger.Published(
                "willed", [0, 0, 1, 0], [{}, {}, {1: 0}, {}], ended=True)
        return publishers, targets

    async def check_kept(self):
        """Before the last will, and behind it: what was retained is stored."""
        await self.kept.acknowledged()
        await self.kept.stop()
        self.problems += await self.kept.check(self.sidecars[1].tree["listen"]["port"])

    async def settle(self, note, last_will):
        """No more faults: everything comes to its end. last_will: what 'note' says of it; None: there
        is none. Whether the publishers have ended."""
        note("the faults are over")
        await self.ready()
        note("all are ready")
        await self.check_kept()
        if last_will:
            await self.last_will()
            await self.check_kept()
            note(last_will)
        finished = await self.finish_publishers()
        note(f"publishers have {'' if finished else 'NOT '}ended")
        drained = await self.drained()
        note(f"queues are {'' if drained else 'NOT '}empty")
        await self.end_subscribers()
        note("subscribers have ended")
        await self.nothing_left()
        return finished

    async def last_will(self):
        """A client dies, and at the same moment its sidecar and its broker."""
        app, sidecar = self.willed, self.sidecars[self.willed.at]
        app.start()

        def connected():
            return any(w[0] == "C" for w in ledger.lines(app.ledger))
        await eventually(connected, "the client with a will is connected", 30, 0.05)
        self.will_is_due = True
        broker = self.broker
        for victim in (app, sidecar, broker):
            victim.process.kill()
        self.broker_died()
        for victim in (app, sidecar, broker):
            await asyncio.to_thread(victim.process.wait)
        broker.start()
        self.broker_woke()
        sidecar.start()
        await self.ready()

    async def drained(self):
        """Whether all has arrived."""
        async def empty():
            found = await metrics(self.broker)
            return not found.get("sqmqos_queued_messages") and \
                await asyncio.to_thread(self.complete)
        for pod in self.pods:
            pod.start_taking()
        return await self.quiet(25, 180, empty)

    def complete(self):
        publishers, targets = self.ledgers()
        return checker.complete(publishers, targets) and self.turns.complete() and all(
            pod.complete(publishers) for pod in self.pods)

    async def end_subscribers(self):
        """Their sessions end, and that of the client that has died."""
        ending = [*self.subscribers, *self.turns.apps]
        for app in ending:
            app.signal(signal.SIGUSR1)
        if self.will_is_due:
            self.willed.argv.append("--end")
            self.willed.start()
            ending.append(self.willed)
        for pod in self.pods:
            await pod.end_apps()
            ending += pod.running()
        if not await self.quiet(20, 60, lambda: not any(a.running() for a in ending)):
            self.problems.append("subscribers do not end: " + ", ".join(
                a.name for a in ending if a.running()))

    async def leftovers(self):
        out = []
        found = found_of_broker = await metrics(self.broker)
        # a sidecar's keeper of its declared subscriptions stays, and the outbox's session
        bound = {"sqmqos_queued_messages": 0, "sqmqos_queued_bytes": 0,
                 "sqmqos_sessions": SIDECARS + len(self.pods),
                 "sqmqos_groups_disagreeing": 0, "sqmqos_groups_durable_waiting": 0}
        for name in bound:
            if name not in found:
                out.append(f"broker: there is no metric {name}")
        out += [f"broker: {name} is {found[name]:g}" for name, most in bound.items()
                if found.get(name, 0) > most]
        for s in self.all_sidecars:
            found = await metrics(s)
            out += [f"{s.name}: {name} is {found[name]:g}"
                    for name in ("sqmqos_clients", "sqmqos_publish_backlog_bytes",
                                 "sqmqos_outbox_bytes")
                    if found.get(name)]
            if found.get("sqmqos_sessions", 0) > 1:
                out.append(f"{s.name}: sqmqos_sessions is {found['sqmqos_sessions']:g}")
        for p in self.programs:
            if p.name in self.base and self.descriptors(p) > self.base[p.name] + outbound(p, found_of_broker):
                out.append(f"{p.name}: {self.descriptors(p)} descriptors, {self.base[p.name]} "
                           "at the start")
        return out

    async def nothing_left(self, timeout_s=30):
        left = []

        async def none():
            left[:] = await self.leftovers()
            return not left
        try:
            await eventually(none, "nothing is left over", timeout_s, 0.2)
        except AssertionError:
            self.problems += [f"left over: {line}" for line in left]

    async def stop(self):
        """SIGTERM to the programs, SIGKILL to what is left of the apps."""
        if self.kept:
            await self.kept.stop()
        for app in [*self.apps, *self.turns.apps, self.willed]:
            if app.running():
                await self.kill(app)
        for pod in self.pods:
            await pod.stop()
        for program in [*self.sidecars, *self.brokers]:
            if program.process is None:
                continue
            if not program.running():
                self.problems.append(f"{program.name} had "
                                     f"{parts.describe_exit(program.process.returncode)}")
                continue
            code = await asyncio.to_thread(program.stop, 30)
            if code != 0:
                self.problems.append(f"{program.name} {parts.describe_exit(code)} after SIGTERM")
        for proxy in self.proxies:
            if proxy.server:
                await proxy.stop()

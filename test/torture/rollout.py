"""A declared queue whose pod is replaced again and again, by one with another annotation:
a sidecar and its app, in one of two slots, each with the ports of its own."""

import asyncio
import dataclasses
import random
import signal
import subprocess
import time

import letters
import stack as parts
import world as worlds
from annotations import AnnotationsFile
from proxy import Proxy

GROUP = "rollout"
QUEUE = f"declared~default~demo~{GROUP}"
RECEIVE_MAX = 64
END_S = 20
SETTLE_S = 5  # how long an old pod stays for a new one that does not get ready


@dataclasses.dataclass
class Pod:
    name: str
    sidecar: parts.Program
    app: worlds.App


def options(rng, rough):
    """A revision. What bounds the queue is never reached; an attempt that nobody made is
    found where none is allowed."""
    out = {"max-attempts": rng.choice((1, 2, None)) if rough else 1,
           "max-length": rng.randrange(60000, 90000),
           "expiry": rng.choice((None, "1h", "2h", "24h")),
           "overflow": rng.choice((None, None, "reject-publish", "drop-oldest"))}
    return "".join(f"  {key}: {value}\n" for key, value in out.items() if value is not None)


class Rollout:
    def __init__(self, world, rng, ports, tls):
        self.world = world
        self.rng = rng
        self.rough = rng.random() < 0.5  # its apps are killed, too
        self.qos = rng.choice((1, 2))
        self.hold_ms = rng.choice((5, 10, 20))
        self.kills = 0
        self.revision = 0
        self.pods = []  # that are there
        self.apps = []  # that ever were
        self.proxy = Proxy(ports[0], world.broker_port)
        self.slots = [self.make_slot(i, ports, tls) for i in range(2)]
        self.reader = worlds.App(world, "letters", "sub", 1, "--filter", "$dead/#", "--qos", 2,
                                 "--max-size", world.max_size)

    def make_slot(self, i, ports, tls):
        tree = parts.config("sidecar", self.world.folder, listen=ports[1 + 2 * i],
                            admin=ports[2 + 2 * i], tls=tls, broker=ports[0])
        return parts.Program("sidecar", f"sidecar-roll-{i}", self.world.folder, self.world.build,
                             parts.merge(tree, worlds.SIDECAR))

    all_publishers = ()

    @property
    def sidecars(self):
        return [pod.sidecar for pod in self.pods]

    @property
    def victims(self):
        """Apps that may be killed."""
        return [self.reader] + [pod.app for pod in self.pods if self.rough]

    # -- pods

    def make_pod(self):
        """The next revision, in the slot that is free."""
        self.revision += 1
        name = f"roll-{self.revision}"
        sidecar = next(s for s in self.slots if s not in self.sidecars)
        file = AnnotationsFile(self.world.folder / f"pod-{name}").write(
            f'- filter: "{worlds.EVERYTHING}"\n  qos: {self.qos}\n  group: {GROUP}\n'
            f"{options(self.rng, self.rough)}", **{"sqmqos.io/client-id": "roll-*"})
        sidecar.tree["identity"]["pod"] = name
        sidecar.tree["annotations"] = {"file": str(file.path)}
        app = worlds.App(self.world, name, "sub", 0, "--receive-max", RECEIVE_MAX, "--hold",
                         self.hold_ms, "--linger", 5, "--max-size", self.world.max_size,
                         transient=True, ports=[sidecar.tree["listen"]["port"]])
        self.apps.append(app)
        return Pod(name, sidecar, app)

    async def start_pod(self, app=True):
        pod = self.make_pod()
        self.pods.append(pod)
        pod.sidecar.start()
        if app:
            pod.app.start()
        return pod

    async def end_pod(self, pod, rng):
        """As the kubelet does, or with the sidecar first, or with the sidecar killed."""
        await self.settles(pod, self.lives)
        how = rng.choice(("app first", "app first", "both", "sidecar first", "sidecar killed"))
        if how == "sidecar killed":
            await self.world.kill(pod.sidecar)
        elif how != "app first":
            pod.sidecar.signal(signal.SIGTERM)
        if how == "sidecar first":
            await asyncio.to_thread(pod.sidecar.process.wait)
        pod.app.signal(signal.SIGTERM)
        await self.ends(pod.app)
        if how == "app first":
            pod.sidecar.signal(signal.SIGTERM)
        if how != "sidecar killed":
            await self.ends(pod.sidecar)
        self.pods.remove(pod)
        return how

    async def ends(self, what):
        """It was told to, and does so well."""
        try:
            code = await asyncio.to_thread(what.process.wait, END_S)
            if code != 0:
                self.world.problems.append(f"{what.name} {parts.describe_exit(code)} after SIGTERM")
        except subprocess.TimeoutExpired:
            self.world.problems.append(f"{what.name} does not end")
            await self.world.kill(what)

    async def settles(self, pod, how):
        """Awaits that a pod is so, or that it takes too long."""
        end = time.monotonic() + SETTLE_S
        while not await how(pod) and time.monotonic() < end:
            await asyncio.sleep(0.05)

    async def lives(self, pod):
        """A program that has not come so far yet ends at SIGTERM without further ado."""
        return (await asyncio.to_thread(pod.sidecar.get, "/livez"))[0] == 200

    async def serves(self, pod):
        return (await asyncio.to_thread(pod.sidecar.ready))[0] and pod.app.read().connections

    async def roll(self, action):
        """Replaces the pod; says how."""
        rng = random.Random(action.seed)
        old = self.pods[0]
        if rng.random() < 0.5:
            pod = await self.start_pod()
            await self.settles(pod, self.serves)
            return f"{pod.name} beside {old.name}, {await self.end_pod(old, rng)}"
        how = await self.end_pod(old, rng)
        await asyncio.sleep(action.seconds)
        return f"{(await self.start_pod()).name} after {old.name}, {how}"

    # -- start and end

    async def start(self):
        await self.proxy.start()
        self.reader.start()
        await self.start_pod(app=False)

    def start_apps(self):
        self.pods[0].app.start()

    def start_publishers(self):
        """Everybody's publishers are its own."""

    def started(self):
        return self.reader.read().subscribed and self.pods[0].app.read().connections

    def start_taking(self):
        """It has taken all the time."""

    async def end_apps(self):
        for pod in self.pods:
            pod.app.signal(signal.SIGTERM)
        self.reader.signal(signal.SIGUSR1)

    def running(self):
        return [a for a in [self.reader, *self.apps] if a.running()]

    async def stop(self):
        for app in self.running():
            await self.world.kill(app)
        for pod in self.pods:
            if pod.sidecar.running() and (code := await asyncio.to_thread(
                    pod.sidecar.stop, 30)) != 0:
                self.world.problems.append(
                    f"{pod.sidecar.name} {parts.describe_exit(code)} after SIGTERM")
        if self.proxy.server:
            await self.proxy.stop()

    # -- what it came to

    def result(self):
        dead = self.reader.read()
        return letters.Rollout(QUEUE, [a.read() for a in self.apps],
                               [x for x in dead.letters if x.queue == QUEUE], self.qos,
                               self.kills, RECEIVE_MAX)

    def figures(self):
        return {"letters": len(self.result().letters)}

    def complete(self, publishers):
        return not self.result().missing(publishers)

    def check(self, publishers, finished):
        dead = self.reader.read()
        out = [letters.Violation(kind, dead.name, text) for kind, text in dead.wrong]
        return out + list(letters.check_rollout(publishers, self.result(), finished))

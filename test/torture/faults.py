"""Does what the schedule says to a world, and undoes it."""

import asyncio
import collections
import random
import signal
import time

from proxy import DOWN, UP, Cut


def cut_soon(seed):
    """A filter: cuts a connection after a random number of further bytes."""
    rng = random.Random(seed)

    def cut(pair, direction, data):
        limit = pair.state.setdefault("cut", {UP: pair.passed[UP] + rng.randint(1, 20000),
                                              DOWN: pair.passed[DOWN] + rng.randint(1, 40000)})
        room = limit[direction] - pair.passed[direction]
        if len(data) >= room:
            raise Cut(data[:max(room, 0)])
        return data
    return cut


class Faults:
    def __init__(self, world, log, disk=None):
        self.world = world
        self.log = log
        self.disk = disk      # a disk.Small, or None
        self.counts = collections.Counter()
        self.undoing = set()
        self.busy = set()     # what is dead or stopped now
        self.started = time.monotonic()

    def note(self, text):
        print(f"{time.monotonic() * 1000:.0f} {time.monotonic() - self.started:8.3f} {text}",
              file=self.log, flush=True)

    async def run(self, actions):
        for action in actions:
            await asyncio.sleep(self.started + action.at_s - time.monotonic())
            verb, _, kind = action.kind.partition("-")
            name = {"kill": "kill", "stop": "pause", "move": "move"}.get(verb)
            if name and kind in ("app", "turner", "puller", "sink", "sidecar", "broker",
                                 "pod-app", "pod-sidecar"):
                self.one(action, kind, getattr(self, name))
            elif action.kind == "power-cut":
                self.one(action, "broker", self.power_cut)
            elif kind == "backup" or verb == "backup":
                self.spawn(self.backup(action))
            else:
                proxy = self.world.proxies[action.target % len(self.world.proxies)]
                getattr(self, action.kind.replace("-", "_"))(action, proxy)
        await asyncio.gather(*self.undoing)
        broker = self.world.broker
        if not broker.running() and self.had_no_room(broker):
            broker.start()

    def spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.undoing.add(task)
        task.add_done_callback(lambda t: self.undoing.discard(t) if not t.exception() else None)

    def one(self, action, kind, do):
        """Something to one program or app, unless something is being done to it."""
        among = self.among(kind)
        victim = among[action.target % len(among)]
        if victim.name in self.busy:
            self.note(f"{action}: {victim.name} is not there")
            return
        self.note(f"{action}: {victim.name}")
        self.busy.add(victim.name)
        self.spawn(self.guarded(victim, do, action))

    def among(self, kind):
        world = self.world
        return {"app": world.apps, "turner": world.turns.apps, "sidecar": world.sidecars,
                "broker": world.brokers,
                "puller": world.pulls.all_pullers if world.pulls else [],
                "sink": world.pushes.takers if world.pushes else [],
                "pod-app": [a for pod in world.pods for a in pod.victims],
                "pod-sidecar": [s for pod in world.pods for s in pod.sidecars]}[kind]

    async def guarded(self, victim, do, action):
        try:
            if not victim.running():
                if not self.had_no_room(victim):
                    self.world.problems.append(
                        f"{victim.name} ended by itself with {victim.process.poll()}")
                victim.start()
                return
            await do(victim, action)
            self.counts[action.kind] += 1
        finally:
            self.busy.discard(victim.name)

    def had_no_room(self, victim):
        """Whether it is the broker, which could not start on a disk without a page: the
        one end by itself that is right (docs/reliability.md)."""
        return (self.disk is not None and victim is self.world.broker and
                victim.process.poll() == 1 and "No space left" in victim.last_words())

    def start_again(self, victim):
        victim.start()
        if victim in self.world.brokers:
            self.world.broker_woke()
        self.note(f"{victim.name} starts again, pid {victim.process.pid}")

    async def kill(self, victim, action):
        if self.world.rollout:
            self.world.rollout.kills += victim in self.world.rollout.apps
        await self.world.kill(victim)
        if victim in self.world.brokers:
            self.world.broker_died()
        await asyncio.sleep(action.seconds)
        self.start_again(victim)

    async def move(self, victim, action):
        victim.move()
        await self.kill(victim, action)

    async def backup(self, action):
        """Of a store in which messages wait for one app, which stands still."""
        killed = action.kind == "kill-backup"
        app = self.world.subscribers[0]
        free = app.name not in self.busy and app.running()
        if free:
            self.busy.add(app.name)
            app.signal(signal.SIGSTOP)
            await asyncio.sleep(action.seconds)
        try:
            outcome = await self.world.backups.take(action.seconds if killed else None)
        finally:
            if free:
                app.signal(signal.SIGCONT)
                self.busy.discard(app.name)
        self.note(f"{action}: {outcome}")
        self.counts[f"backup-{outcome.partition(':')[0]}"] += 1

    async def power_cut(self, victim, action):
        self.world.backups.kill_all()
        await self.world.kill(victim)
        self.world.broker_died()
        if self.disk:
            self.disk.empty()
        done = await asyncio.to_thread(self.world.layer.cut, random.Random(action.seed))
        if "disk" in self.busy:
            await asyncio.to_thread(self.disk.fill, random.Random(action.seed))
        self.note(f"power cut: {done}")
        await asyncio.sleep(action.seconds)
        self.start_again(victim)

    async def pause(self, victim, action):
        victim.signal(signal.SIGSTOP)
        await asyncio.sleep(action.seconds)
        victim.signal(signal.SIGCONT)
        if victim in self.world.brokers:
            self.world.broker_woke()
        self.note(f"{victim.name} goes on")

    def cut(self, action, proxy):
        self.note(f"{action}: {len(proxy.pairs)} connections")
        self.counts["cut"] += len(proxy.pairs)
        proxy.cut_all()

    def cut_pulls(self, action, _proxy):
        self.cut(action, self.world.pulls.proxy)

    def cut_pulls_in_frame(self, action, _proxy):
        self.cut_in_frame(action, self.world.pulls.proxy)

    def pushed(self, action):
        proxies = self.world.pushes.proxies
        return proxies[action.target % len(proxies)]

    def cut_pushes(self, action, _proxy):
        self.cut(action, self.pushed(action))

    def cut_pushes_in_frame(self, action, _proxy):
        self.cut_in_frame(action, self.pushed(action))

    def declare_pushes(self, action, _proxy):
        self.note(str(action))

        async def later():
            await asyncio.to_thread(self.world.pushes.declare_again, action.seed)
            self.counts[action.kind] += 1
        self.spawn(later())

    def pause_pushes(self, action, _proxy):
        self.note(str(action))

        async def later():
            await self.world.pushes.pause(action.target, action.seconds)
            self.counts[action.kind] += 1
        self.spawn(later())

    def cut_in_frame(self, action, proxy):
        self.note(str(action))
        before, f = proxy.cuts, cut_soon(action.seed)

        async def later():
            proxy.filters.append(f)
            await asyncio.sleep(action.seconds)
            proxy.filters.remove(f)
            for pair in proxy.pairs:
                pair.state.pop("cut", None)
            self.counts["cut"] += proxy.cuts - before
        self.spawn(later())

    def freeze(self, action, proxy):
        self.note(str(action))

        async def later():
            proxy.freeze()
            await asyncio.sleep(action.seconds)
            proxy.thaw()
            self.counts["freeze"] += 1
        self.spawn(later())

    def delay(self, action, proxy):
        self.note(str(action))

        async def later():
            proxy.delay_s = random.Random(action.seed).choice((0.002, 0.02, 0.1))
            await asyncio.sleep(action.seconds)
            proxy.delay_s = 0
            self.counts["delay"] += 1
        self.spawn(later())

    def fail_sync(self, action, _proxy):
        self.note(str(action))
        if self.world.layer.sync_has_failed():
            self.counts["fail-sync"] += 1
            self.world.layer.fail_sync()

    def disk_full(self, action, _proxy):
        self.note(str(action))
        if "disk" in self.busy:
            return
        self.busy.add("disk")

        async def later():
            await asyncio.to_thread(self.disk.fill, random.Random(action.seed))
            end = time.monotonic() + action.seconds
            felt = False
            while time.monotonic() < end:
                await asyncio.sleep(0.1)
                felt = felt or await self.broker_complains()
            self.disk.empty()
            self.busy.discard("disk")
            self.note(f"the disk has room again; felt: {felt}")
            self.counts["disk-full"] += 1
            self.counts["disk-full-felt"] += felt
        self.spawn(later())

    async def broker_complains(self):
        ready, why = await asyncio.to_thread(self.world.broker.ready)
        return not ready and "store:" in why

    # -- the pods

    def cut_pods(self, action, _proxy):
        proxy = self.world.pods[action.target % len(self.world.pods)].proxy
        self.cut(action, proxy)

    def rollout(self, action, _proxy):
        self.note(str(action))
        rollout = self.world.rollout

        async def later():
            names = {rollout.pods[0].name, rollout.pods[0].sidecar.name}
            while names & self.busy:
                await asyncio.sleep(0.02)
            self.busy |= names
            self.note(await rollout.roll(action))
            self.busy -= names | {"rollout"}
            self.counts["rollout"] += 1
        if "rollout" in self.busy:
            self.note("another one is under way")
        else:
            self.busy.add("rollout")
            self.spawn(later())

    def take_letters(self, action, _proxy):
        spill = self.world.spill
        if not spill.taking or spill.reader.name in self.busy:
            self.note(f"{action}: not now")
            return
        self.note(str(action))
        self.busy.add(spill.reader.name)

        async def later():
            await spill.take(action.seconds)
            self.busy.discard(spill.reader.name)
            self.counts["take-letters"] += 1
        self.spawn(later())

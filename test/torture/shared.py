"""A torture run of several brokers on one log: ./dev torture --shared."""

import asyncio
import json
import random
import time

import brokers as support
import checker
import faults as common
import history
import postgres_pair as databases
import pulls
import schedule
import scenario
import stack as parts
import world as worlds
from proxy import Proxy
from schedule import Kind

BROKERS = 3
WATCH_S = 0.2
LOG = {"isolated-for": "20s"}
# A broker stands still for longer than that of a world of one: no session may end of it.
SESSIONS = {"session": {"recovery-time": None, "grace": "12s"}}
CUT = 3         # exit code: the time for an orderly end is over
RATE = 100      # publishes per second of each publisher, unless asked for
# What brokers of a build with SQ_RULE_BROKEN can break (store/shared/rule.h).
BROKEN = ("no_barrier", "no_sure", "tell_early")

# Of brokers, apart from what befalls apps, sidecars and links.
BROKER_KINDS = (
    Kind("kill-owner", 4, 0, 0.5),
    Kind("kill-broker", 2, 0, 0.5),
    Kind("stop-owner", 4, 0.5, 8),    # longest: behind another's claim
    Kind("stop-broker", 1, 0.02, 4),
    Kind("yield", 4, 0, 0.3),
    Kind("wipe-broker", 3, 0, 0.3),   # its directory is gone
    Kind("part-owner", 2, 0.5, 6),    # from sidecars and database
    Kind("part-broker", 1, 0.5, 4),
    Kind("kill-all", 0.7, 0, 0.3),
    Kind("wipe-all", 0.7, 0, 0.3),
)

# Of the connections to the database.
SQL_KINDS = (
    Kind("sql-cut", 4, 0, 0),
    Kind("sql-cut-in-frame", 4, 0.5, 2),
    Kind("sql-freeze", 3, 0.05, 4),
    Kind("sql-delay", 1, 0.2, 2),
)

# Of the database, one after the other.
DATABASE_KINDS = (
    Kind("fail-over", 5, 0, 2),
    Kind("switch", 1, 0, 0),
    Kind("split", 4, 0.2, 6),
    Kind("restart", 2, 0, 1),
    Kind("lose-tail", 6, 0.05, 1.5),
    Kind("cancel-waits", 4, 0.05, 1),
    Kind("stop-primary", 2, 0.05, 4),
    Kind("stop-standby", 2, 0.05, 4),
    Kind("kill-standby", 1, 0, 1),
    Kind("away", 1, 0.2, 6),
    Kind("end-sessions", 2, 0, 0),
    Kind("full", 2, 0.5, 4),
)
DATABASE = {kind.name for kind in DATABASE_KINDS}


def draw(seed, seconds, gap_s=0.25, broken=None, pulled=True):
    """The actions: of apps, sidecars and links every 2 'gap_s' on average, and the others. Where a
    rule is broken nothing happens to the database but what needs that rule."""
    own = schedule.draw(seed, seconds, durable=False, layer=False, disk=False, gap_s=2 * gap_s)
    out = [a for a in own if a.kind != "stop-broker"]
    out += schedule.draw_turners(seed, seconds, gap_s=2 * gap_s)
    if pulled:
        out += schedule.draw_pullers(seed, seconds, gap_s=2 * gap_s)
    out += schedule.draw_apart("brokers", BROKER_KINDS, seed, seconds, 4 * gap_s)
    out += schedule.draw_apart("sql", SQL_KINDS, seed, seconds, 2 * gap_s)
    of_database = [k for k in DATABASE_KINDS if not broken or k.name == "lose-tail"]
    out += schedule.draw_apart("database", of_database, seed, seconds, 4 * gap_s)
    return sorted(out, key=lambda action: action.at_s)


class World(worlds.World):
    """The apps and sidecars of each run, at three brokers. broken: what the brokers break, a name
    of SQMQOS_BROKEN."""

    def __init__(self, folder, build, *, tls, rate, small_disk=False, broken=None, pulled=True):
        folder.mkdir(parents=True, exist_ok=True)
        self.database = databases.Database(folder / "database", small_disk)
        self.broken = broken
        self.tasks = []
        self.last_owner = None
        try:
            self.database.start()
        except BaseException:
            self.database.close()
            raise
        super().__init__(folder, build, engine="embedded", tls=tls, rate=rate)
        if pulled:
            self.add_pulls(pulls.Pulls(self, self.take_ports(1), tls))
        # A log that stalls refuses as a full disk does.
        self.small_disk, self.unordered = True, worlds.REPUBLISHED

    # -- what it is made of

    def make_broker(self, ports, tls):
        self.all = [self.one_broker(i, tls) for i in range(BROKERS)]

    def one_broker(self, i, tls):
        listen, admin, advertised, *sql = self.take_ports(3 + databases.SERVERS)
        tree = parts.merge(parts.config("broker", self.folder, listen=listen, admin=admin, tls=tls),
                           parts.merge(worlds.BROKER, SESSIONS))
        tree["listen"]["advertise"] = f"127.0.0.1:{advertised}"
        tree["acl"] = [{"allow": ["manage"], "identity": "token:local"}]
        tree["store"] = {"dir": str(self.folder / f"store-{i}"), "max-size": "256Mi",
                         "journal-size": "64Mi", "cache-size": "1Mi"}
        log = parts.merge(support.log_config(support.POSTGRES, sql), LOG)
        made = support.Broker(i, self.folder, self.build, tree, log)
        made.link = Proxy(advertised, listen)
        made.sql = [Proxy(a, b) for a, b in zip(sql, self.database.ports)]
        made.said, made.asked_ms = ("", 0), 0
        made.history = self.folder / f"{made.id}.history"
        made.environment["SQMQOS_HISTORY"] = str(made.history)
        if self.broken:
            made.environment["SQMQOS_BROKEN"] = self.broken
        return made

    def make_sidecars(self, ports, tls):
        super().make_sidecars(ports, tls)
        for s in self.sidecars:
            s.tree["pool"] = s.tree["pool"] | {"silence": "6s"}  # idle links stay
            s.tree["brokers"] = [b.tree["listen"]["advertise"] for b in self.all]
        self.proxies = []  # those before the brokers are there instead

    def make_apps(self):
        """And one who takes dead letters: those of QoS 2 that an ended session has left unfinished."""
        super().make_apps()
        self.subscribers.append(worlds.App(self, "letters", "sub", 1, "--filter", "$dead/#", "--qos", 2,
                                           "--max-size", self.max_size))

    @property
    def brokers(self):
        return self.all

    @property
    def links(self):
        return [b.link for b in self.all]

    @property
    def broker(self):
        """The owner that was seen last."""
        return self.last_owner or self.all[0]

    # -- its life

    async def start(self):
        for b in self.all:
            for proxy in [b.link, *b.sql]:
                await proxy.start()
        self.tasks = [asyncio.create_task(support.supervise(self.all)),
                      *[asyncio.create_task(self.watch(b)) for b in self.all]]
        await super().start()
        self.base = {}  # links and connections to the database differ by role

    def look(self):
        """Who owns, as far as is known. A change is a death of the broker: of its transient
        sessions."""
        owners = [b for b in self.all if b.said[0] == support.OWNER]
        owner = max(owners, key=lambda b: b.said[1], default=None)
        if owner and owner is not self.last_owner:
            if self.last_owner:
                self.broker_deaths_ms.append(owner.asked_ms)
                self.broker_died()
                self.owners += 1
            self.last_owner = owner
            if self.pulls:
                self.lead_pulls(owner)
        return owner

    def lead_pulls(self, owner):
        """Who pulls is led to the owner by what stands before the brokers."""
        self.broker_port = self.pulls.proxy.upstream = owner.link.upstream
        self.pulls.proxy.cut_all()

    owners = 0  # changes
    links_of_each = 4  # those of both seats are at the owner

    async def watch(self, broker):
        while True:
            now_ms = time.monotonic() * 1000
            said = await asyncio.to_thread(broker.says)
            if said[0] or not broker.running():
                broker.said = said
                self.look()
            broker.asked_ms = now_ms
            await asyncio.sleep(WATCH_S)

    async def ready(self, timeout_s=60):
        await super().ready(timeout_s)
        await worlds.eventually(self.look, "one owns the log", timeout_s, 0.05)

    def lives(self, program):
        """A broker that has just ended since another one owns is about to be started again."""
        return super().lives(program) or program.process.poll() == support.FENCED

    async def stop(self):
        for task in self.tasks[1:]:
            task.cancel()
        await asyncio.gather(*self.tasks[1:], return_exceptions=True)
        for b in self.all:
            b.down = True
        self.all.sort(key=lambda b: b is self.last_owner)  # it ends last
        try:
            await super().stop()
        finally:
            for task in self.tasks:
                task.cancel()
            for b in self.all:
                for proxy in [b.link, *b.sql]:
                    if proxy.server:
                        await proxy.stop()

    async def nothing_left(self, timeout_s=30):
        before = len(self.problems)
        await super().nothing_left(timeout_s)
        if len(self.problems) > before:
            self.problems += await asyncio.to_thread(self.waiting)

    def waiting(self):
        """What the owner's view has of queues and sessions, a line each."""
        lines = []
        for table in ("queues", "sessions"):
            status, body = self.broker.get(f"/v1/view/{table}?limit=1000", 10)
            rows = json.loads(body)["rows"] if status == 200 else []
            lines += [f"left over: {table}: {json.dumps(row)}" for row in rows]
        return lines

    def check_history(self):
        """Behind the brokers' end."""
        log = history.from_database(self.database.primary)
        histories = {b.name: history.read(b.history) for b in self.all}
        return histories, history.check(histories, log, snapshots=True)


class Faults(common.Faults):
    def __init__(self, world, log):
        super().__init__(world, log)
        self.one_at_a_time = asyncio.Lock()

    def among(self, kind):
        return [self.world.broker] if kind == "owner" else super().among(kind)

    def perform(self, action):
        kind = action.kind
        if kind in DATABASE:
            self.spawn(self.database(action))
        elif kind.startswith("sql-"):
            broker = self.broker_of(action)
            proxy = broker.sql[action.target % len(broker.sql)]
            getattr(self, kind[4:].replace("-", "_"))(action, proxy)
        elif kind in ("kill-all", "wipe-all"):
            self.spawn(self.all_at_once(action))
        elif kind == "yield":
            self.one(action, "owner", self.yields)
        elif kind.startswith("wipe-"):
            self.one(action, kind[5:], self.wipe)
        elif kind.startswith("part-"):
            self.one(action, kind[5:], self.part)
        else:
            links = [self.world.broker.link, *self.world.links]
            self.usual(action, links[action.target % len(links)])

    def usual(self, action, proxy):
        verb, _, kind = action.kind.partition("-")
        name = {"kill": "kill", "stop": "pause", "move": "move"}.get(verb)
        if name:
            self.one(action, kind, getattr(self, name))
        else:
            getattr(self, action.kind.replace("-", "_"))(action, proxy)

    async def run(self, actions):
        for action in actions:
            await asyncio.sleep(self.started + action.at_s - time.monotonic())
            self.perform(action)
        await asyncio.gather(*self.undoing)

    def broker_of(self, action):
        """The owner, or as often another one."""
        return random.Random(action.seed).choice((self.world.broker, *self.world.brokers))

    async def guarded(self, victim, do, action):
        if victim in self.world.brokers and not victim.running():
            await asyncio.sleep(0.2)  # it is started again if it was fenced
        await super().guarded(victim, do, action)

    async def database(self, action):
        if self.one_at_a_time.locked():
            self.note(f"{action}: another one is under way")
            return
        async with self.one_at_a_time:
            self.note(str(action))
            await asyncio.to_thread(self.world.database.do, action.kind, action.seconds, action.seed)
            self.note(f"{action.kind} is over; {self.world.database.primary.name} is the primary")
            self.counts[action.kind] += 1

    async def yields(self, victim, action):
        """As a rollout does. It is cut short where the log does not answer."""
        self.world.broker_died()
        code = await asyncio.to_thread(victim.stop, 30)
        self.counts["yield-cut"] += code == CUT
        if code not in (0, CUT, support.FENCED):
            self.world.problems.append(f"{victim.name} {parts.describe_exit(code)} after SIGTERM")
        await asyncio.sleep(action.seconds)
        self.start_again(victim)

    async def wipe(self, victim, action):
        await self.world.kill(victim)
        self.world.broker_died()
        victim.remove_store()
        await asyncio.sleep(action.seconds)
        self.start_again(victim)

    async def part(self, victim, action):
        """Cut off from everything."""
        await victim.cut()
        await asyncio.sleep(action.seconds)
        await victim.mend()
        self.note(f"{victim.name} is there again")

    async def all_at_once(self, action):
        free = [b for b in self.world.brokers if b.name not in self.busy]
        self.note(f"{action}: {', '.join(b.name for b in free)}")
        self.busy |= {b.name for b in free}
        for b in free:
            await self.world.kill(b)
        self.world.broker_died()
        for b in free:
            if action.kind == "wipe-all":
                b.remove_store()
        await asyncio.sleep(action.seconds)
        for b in free:
            self.start_again(b)
        self.busy -= {b.name for b in free}
        self.counts[action.kind] += 1


class Seed:
    """One run; as run.Seed, of which it is a small sister."""

    finished = True

    def __init__(self, seed, folder, args, summary):
        self.seed, self.folder, self.args, self.summary = seed, folder, args, summary
        rng = random.Random(f"world {seed}")
        self.tls = rng.random() < 0.5
        self.small = rng.random() < 0.5 and not args.short
        self.pulled = not args.short  # who pulls are many processes

    async def run(self, seconds):
        self.folder.mkdir(parents=True, exist_ok=True)
        actions = draw(self.seed, seconds, self.args.gap, self.args.broken_rule, self.pulled)
        world = World(self.folder, self.args.build, tls=self.tls, rate=self.args.rate,
                      small_disk=self.small, broken=self.args.broken_rule,
                      pulled=self.pulled)
        try:
            with open(self.folder / "faults.log", "w") as log:
                faults = Faults(world, log)
                faults.note(f"seed {self.seed}, {seconds:.1f} s, {len(actions)} actions, "
                            f"TLS {self.tls}, small disks {self.small}")
                await self.torment(world, faults, actions)
                self.check(world, faults)
        finally:
            world.database.close()

    async def torment(self, world, faults, actions):
        try:
            await world.start()
            faults.started = time.monotonic()
            await faults.run(actions)
            self.finished = await world.settle(faults.note, "a client has died with its sidecar and the owner")
        except AssertionError as e:
            world.problems.append(str(e))
            self.finished = False
        finally:
            await world.stop()

    def check(self, world, faults):
        publishers, targets = world.ledgers()
        s = self.summary
        s.counts += faults.counts
        s.counts["owner"] += world.owners
        s.counts["fenced"] += sum(b.restarts for b in world.all)
        s.counts["cancelled"] += world.database.cancelled
        s.take_ledgers(publishers, targets)
        s.violations += checker.check(publishers, targets, world.broker_deaths_ms, self.finished,
                                      world.unordered, world.small_disk)
        turners = world.turns.read()
        s.violations += world.turns.check(turners, self.finished)
        s.counts["turn"] += sum(t.turns for t in turners)
        s.take_ledgers({t.number: t.published for t in turners}, [])
        if world.pulls:
            s.violations += world.pulls.check(publishers, self.finished)
            s.counts.update(world.pulls.figures())
            s.take_ledgers(world.pulls.published(), [])
        histories, wrong = world.check_history()
        s.violations += wrong
        for name, lines in histories.items():
            if not lines:
                s.problems.append(f"{name} has no history: is it built with fault points?")
        s.counts["applied"] += sum(map(len, histories.values()))
        s.problems += world.problems + scenario.sanitizer_reports(self.folder)
        if not self.finished:
            s.problems.append("publishers do not end")
        with open(self.folder / "result", "w") as f:
            print(s.line(), *s.violations, *s.problems, sep="\n", file=f)



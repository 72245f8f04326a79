"""./dev torture: seeds of faults against a broker, its sidecars and their apps."""

import argparse
import asyncio
import collections
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tools"), str(HERE.parent / "support")]

import backups  # noqa: E402
import checker  # noqa: E402
import disk as disks  # noqa: E402
import flips  # noqa: E402
import letters  # noqa: E402
import logs  # noqa: E402
import powerfail  # noqa: E402
import pulls  # noqa: E402
import pushes  # noqa: E402
import ring  # noqa: E402
import rollout  # noqa: E402
import schedule  # noqa: E402
import scenario  # noqa: E402
import shared  # noqa: E402
import spill  # noqa: E402
import world as worlds  # noqa: E402
from faults import Faults  # noqa: E402

END_S = 10       # of a seed, that its end takes about
SHORT_MINUTES = 0.5
LEAST_S = 5.0    # of faults
KILLS = ("kill-app", "move-app", "kill-sidecar", "kill-broker", "power-cut")


@dataclasses.dataclass
class Summary:
    """What one seed, or all, came to."""
    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    sent: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    received: int = 0
    refused: int = 0
    violations: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)

    @property
    def lost_live(self):
        """Whether anything was lost but by flipped bits."""
        return any(v.kind == "lost" and not v.who.startswith("bit flip") for v in self.violations)

    @property
    def failed(self):
        return bool(self.violations or self.problems)

    def add(self, other):
        self.counts += other.counts
        self.sent += other.sent
        self.received += other.received
        self.refused += other.refused
        self.violations += other.violations
        self.problems += other.problems

    def take_ledgers(self, publishers, targets):
        for p in publishers.values():
            for stream in range(4):
                self.sent[stream] += len(p.acked[stream]) if stream else p.sent[0]
                self.refused += sum(c >= 0x80 for c in p.acked[stream].values())
        self.received += sum(len(g) for t in targets for m in t.members for g in m.got.values())

    def line(self):
        kinds = collections.Counter(v.kind for v in self.violations)
        wrong = [f"{name} {kinds[kind]}" for name, kind in (
            ("lost", "lost"), ("duplicated", "duplicate"), ("reordered", "order"))]
        other = len(self.violations) - kinds["lost"] - kinds["duplicate"] - kinds["order"]
        wrong.append(f"otherwise wrong {other + len(self.problems)}")
        kills = ", ".join(f"{k.replace('kill-', '')} {self.counts[k]}" for k in KILLS)
        rest = ", ".join(f"{k} {n}" for k, n in sorted(self.counts.items()) if k not in KILLS)
        sent = ", ".join(f"QoS {s} {self.sent[s]}" for s in range(4))
        return (f"kills: {kills}; {rest or 'no other faults'}; published: {sent} (refused "
                f"{self.refused}), received {self.received}; {', '.join(wrong)}")


class Seed:
    """One run. What the world is like is drawn from the seed, too."""

    finished = True
    disk = None
    layer = None

    def __init__(self, seed, folder, args):
        self.seed = seed
        self.folder = folder
        self.args = args
        self.summary = Summary()
        rng = random.Random(f"world {seed}")
        self.tls = rng.random() < 0.5
        self.small = rng.random() < 0.3
        self.recorded = rng.random() < 0.8
        self.durable = args.engine == "embedded"
        self.pulled = self.durable and all(worlds.broker_knows(args.build, key) for key in
                                           ("pull.max-leases", "http.max-wait"))
        self.pushed = self.pulled and worlds.broker_knows(args.build, "push.trusted")

    def prepare(self):
        """The disk and the layer, where this seed has them. Returns the store's folder.

        A short run fills no disk: e2e/test_disk_full.py does."""
        self.folder.mkdir(parents=True, exist_ok=True)  # a sanitizer makes it for its log, too
        store = self.folder / "store"
        if self.durable and self.small and not self.args.short:
            try:
                self.disk = disks.Small(self.folder / "disk")
                store = self.folder / "disk" / "store"
            except OSError as e:
                print(f"seed {self.seed}: the disk is never full here: {e}", flush=True)
        if self.durable and self.recorded:
            self.layer = powerfail.Layer(self.args.build / "test" / "powerfail.so", store)
        return store

    async def run(self, seconds):
        store = self.prepare()
        actions = schedule.draw(self.seed, seconds, durable=self.durable, layer=self.recorded,
                                disk=self.disk is not None, gap_s=self.args.gap)
        actions += schedule.draw_pods(self.seed, seconds, gap_s=self.args.gap)
        actions += schedule.draw_turners(self.seed, seconds, gap_s=self.args.gap)
        if self.pulled:
            actions += schedule.draw_pullers(self.seed, seconds, gap_s=self.args.gap)
        if self.pushed:
            actions += schedule.draw_sinks(self.seed, seconds, gap_s=self.args.gap)
        if self.durable:
            actions += schedule.draw_backups(self.seed, seconds)
        actions.sort(key=lambda action: action.at_s)
        try:
            world = worlds.World(self.folder, self.args.build, engine=self.args.engine,
                                 tls=self.tls, rate=self.args.rate, store=store, layer=self.layer,
                                 small_disk=self.disk is not None,
                                 dead_letters=300 if self.args.short else 600)
            self.add_pods(world)
            world.backups = backups.Backups(world, self.folder / "backups")
            with open(self.folder / "faults.log", "w") as log:
                faults = Faults(world, log, self.disk)
                faults.note(f"seed {self.seed}, {seconds:.1f} s, {len(actions)} actions, "
                            f"TLS {self.tls}, small disk {self.disk is not None}, "
                            f"power cuts {self.layer is not None}, rollouts at QoS "
                            f"{world.rollout.qos} of apps that are "
                            f"{'killed' if world.rollout.rough else 'never killed'}, letters taken "
                            f"{'now and then' if world.spill.taking else 'at the end'}")
                await self.torment(world, faults, actions)
                self.check(world, faults)
        finally:
            if self.layer:
                self.layer.close()
            if self.disk:
                self.disk.close()

    def add_pods(self, world):
        """A short run lets the dead letters of the space get full, which are few there."""
        rng = random.Random(f"pods of the world {self.seed}")
        world.add_pods(rollout.Rollout(world, rng, world.take_ports(5), self.tls),
                       spill.Spill(world, rng, world.take_ports(3), self.tls))
        if self.pulled:
            world.add_pulls(pulls.Pulls(world, world.take_ports(1), self.tls))
        if self.pushed:
            ports = world.take_ports(pushes.Pushes.n_ports())
            world.add_pushes(pushes.Pushes(world, self.seed, ports, self.tls))
        world.spill.taking &= not self.args.short

    async def torment(self, world, faults, actions):
        snapshot = flips.Snapshot(world, self.folder / "snapshot")
        try:
            await world.start()
            faults.started = time.monotonic()
            await faults.run(actions)
            if self.durable:
                await world.ready()
                await snapshot.take()
            await self.settle(world, faults)
        except AssertionError as e:
            world.problems.append(str(e))
            self.finished = False
        finally:
            await world.stop()
        if self.layer and self.layer.mapped():
            world.problems.append(f"written through a mapping: {self.layer.mapped()}")
        if self.durable and snapshot.folder.exists():
            await self.flip(snapshot, faults)
            await self.restore(world, faults)

    async def flip(self, snapshot, faults):
        for i in range(self.args.flips):
            rng = random.Random(f"flip {self.seed} {i}")
            one_flip = flips.Flip(snapshot, self.folder / f"flip-{i}", rng, self.args)
            outcome = await one_flip.run()
            faults.note(f"flip {i} in {one_flip.path.name} at {one_flip.at}: {outcome}")
            faults.counts[f"flip-{outcome}"] += 1
            self.summary.violations += one_flip.violations

    async def restore(self, world, faults):
        """A broker on the newest backups."""
        for backup in world.backups.made[::-1][:self.args.restores]:
            one = backups.Restored(world, backup, self.folder / f"of-{backup.folder.name}",
                                   self.args)
            n = await one.run()
            faults.note(f"{backup.folder.name}: {n} messages came of it")
            faults.counts["restored"] += 1
            self.summary.violations += one.violations

    async def settle(self, world, faults):
        if world.pushes:
            world.pushes.calm()
        self.finished = await world.settle(
            faults.note, "a client has died with its sidecar and its broker" if self.durable else None)

    def check(self, world, faults):
        publishers, targets = world.ledgers()
        s = self.summary
        s.counts += faults.counts
        s.take_ledgers(publishers, targets)
        s.violations += checker.check(publishers, targets, world.broker_deaths_ms, self.finished,
                                      world.unordered, world.small_disk)
        if not world.small_disk:
            s.violations += letters.check_refusals(publishers.values())
        turners = world.turns.read()
        s.violations += world.turns.check(turners, self.finished)
        s.counts["turn"] += sum(t.turns for t in turners)
        s.take_ledgers({t.number: t.published for t in turners}, [])
        for pod in world.pods:
            s.violations += pod.check(publishers, self.finished)
            s.counts.update(pod.figures())
        s.take_ledgers(*world.spill.ledgers())
        s.take_ledgers({}, [world.rollout.result().target()])
        s.problems += world.problems + world.backups.problems + scenario.sanitizer_reports(self.folder)
        if not self.finished:
            s.problems.append("publishers do not end")
        with open(self.folder / "result", "w") as f:
            print(s.line(), *s.violations, *s.problems, sep="\n", file=f)


def arguments():
    parser = argparse.ArgumentParser(
        prog="./dev torture", allow_abbrev=False,
        description="Kills, stops, cuts and starves a broker, its sidecars and their apps by a "
        "schedule that is drawn from the seed, and proves from the apps' ledgers that nothing "
        "acknowledged was lost, nothing of QoS 2 and 3 doubled, and the order kept. Fails with "
        "the seed and the folder of its logs.")
    parser.add_argument("seed", nargs="?", help="a number, or a range as 1-20 (default: drawn)")
    parser.add_argument("minutes", nargs="?", type=float, default=1,
                        help="of all seeds together (1)")
    parser.add_argument("--keep", action="store_true", help="keep the logs of seeds that pass, too")
    parser.add_argument("--preset", help="which build to torture (release; shared with --shared)")
    parser.add_argument("--engine", choices=("embedded", "memory"), default=None,
                        help="memory: only apps and sidecars are killed")
    parser.add_argument("--shared", action="store_true",
                        help="three brokers on one log, a database of two servers below it, which are "
                        "tortured, too")
    parser.add_argument("--bridges", action="store_true",
                        help="three installations in a ring of bridges over RabbitMQ and SQS, which are tortured, too")
    parser.add_argument("--log", action="store_true",
                        help="with --shared: the log alone, without engine, links and apps")
    parser.add_argument("--rate", type=int,
                        help="publishes per second of each of the four publishers "
                        f"(200; of several brokers {shared.RATE}, of bridges {ring.RATE})")
    parser.add_argument("--gap", type=float, default=0.25,
                        help="seconds between faults, on average (0.25)")
    parser.add_argument("--flips", type=int, default=4,
                        help="flipped bits in copies of the store after each seed (4)")
    parser.add_argument("--restores", type=int, default=2,
                        help="backups of each seed that a broker is started on (2)")
    parser.add_argument("--broken", action="store_true",
                        help="torture a build that acknowledges before it commits, and fail "
                        "unless that is found; with --shared: a log of which a rule is broken, "
                        f"each of {', '.join(shared.BROKEN)}")
    parser.add_argument("--rule", choices=shared.BROKEN,
                        help="with --shared: break this rule of the log, below the whole chain")
    parser.add_argument("--short", action="store_true", help="one short seed, for ./dev test")
    parser.add_argument("--build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "torture",
                        help="for logs (build/torture)")
    args = parser.parse_args()
    preset = args.preset or ("shared" if args.shared else "release")
    if args.broken:
        preset = "shared" if args.shared else "broken"
    args.build = args.build or ROOT / "build" / preset
    args.rate = args.rate or (shared.RATE if args.shared else ring.RATE if args.bridges else 200)
    args.log |= args.shared and args.broken
    args.broken_rule = args.rule
    if args.short:
        args.minutes, args.flips, args.restores = SHORT_MINUTES * (0.6 if args.log else 1), 1, 1
    try:
        first, _, last = (args.seed or str(random.SystemRandom().randrange(1, 1 << 31))
                          ).partition("-")
        args.seeds = range(int(first), int(last or first) + 1)
    except ValueError:
        parser.error(f"'{args.seed}' is neither a number nor a range as 1-20")
    if not args.seeds or args.minutes <= 0:
        parser.error("there is nothing to run")
    if args.shared or args.bridges:
        args.engine = "embedded"
    if args.bridges and (args.shared or args.broken):
        parser.error("--bridges goes with neither --shared nor --broken")
    if args.engine is None:
        args.engine = "embedded" if worlds.broker_knows(args.build, "store.dir") else "memory"
    return args


def one(seed, seconds, args):
    folder = args.folder.resolve() / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.update(scenario.sanitizer_environment(folder))
    if args.log:
        run = logs.Seed(seed, folder, args, Summary())
    elif args.bridges:
        run = ring.Seed(seed, folder, args, Summary())
    elif args.shared:
        run = shared.Seed(seed, folder, args, Summary())
    else:
        run = Seed(seed, folder, args)
    try:
        asyncio.run(run.run(seconds))
    except scenario.Skip as why:
        print(f"skipped: {why}")
        sys.exit(77)
    s = run.summary
    print(f"seed {seed}: {seconds:.0f} s of faults; {s.line()}", flush=True)
    if s.failed:
        for wrong in [*s.violations, *s.problems][:30]:
            print(f"  {str(wrong)[:2000]}")
        print(f"  again: ./dev torture {seed} {args.minutes / len(args.seeds):g}; logs: {folder}",
              flush=True)
    elif not args.keep:
        shutil.rmtree(folder)
    return s


def interrupted(_number, _frame):
    raise KeyboardInterrupt  # so that mounts and logs in memory are given back


def run_seeds(args, seconds, found=None):
    """Of all seeds, or until found(summary): (total, seeds that failed, the seed that found)."""
    total, failed = Summary(), []
    for seed in args.seeds:
        s = one(seed, seconds, args)
        total.add(s)
        if s.failed:
            failed.append(seed)
        if found and found(s):
            return total, failed, seed
    return total, failed, None


def break_rules(args, seconds):
    """Each rule of several brokers in turn; exit code."""
    missed = []
    for rule in shared.BROKEN:
        args.broken_rule = rule
        seed = run_seeds(args, seconds, lambda s: bool(s.violations))[2]
        if seed is None:
            missed.append(rule)
        else:
            print(f"seed {seed} has found {rule}", flush=True)
    if missed:
        print(f"FAILED: not found: {', '.join(missed)}")
    return 1 if missed else 0


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    seconds = max(LEAST_S, args.minutes * 60 / len(args.seeds) - END_S)
    print(f"{args.engine} engine, {args.build.name} build, seeds {args.seeds[0]} to "
          f"{args.seeds[-1]}", flush=True)
    if args.broken and args.engine != "embedded":
        print("--broken needs the embedded engine: it is its acknowledgement that is broken")
        return 2
    if args.broken and args.shared:
        return break_rules(args, seconds)
    total, failed, seed = run_seeds(args, seconds, (lambda s: s.lost_live) if args.broken else None)
    if seed is not None:
        print(f"seed {seed} has found that this build acknowledges before it commits")
        return 0
    print(f"{len(args.seeds)} seeds; {total.line()}")
    if args.broken:
        print("FAILED: the broken build was not found out")
        return 1
    if failed:
        print("FAILED: seed " + ", ".join(map(str, failed)))
    return 1 if failed else 0


sys.exit(main())

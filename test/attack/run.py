"""./dev attack: each attack beside a good client, and what that kept of its service."""

import argparse
import asyncio
import dataclasses
import math
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for place in (HERE, HERE.parent / "support", ROOT / "tools"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from attacker import ATTACKS  # noqa: E402
from world import RATE, World  # noqa: E402

MIB = 1 << 20
KEPT = 0.9            # of the good client's rate
P99_MS, P99_TIMES = 50, 3  # whichever is more
GROWS = 64 * MIB      # of the broker's memory, meanwhile
RETURNS = 16 * MIB    # above what it was, half a minute later


@dataclasses.dataclass
class Result:
    """What one attack did to the good client and to the broker."""
    name: str
    kept: float      # of RATE
    p99_ms: float
    quiet_p99_ms: float  # without the attack; None: latency is not judged
    grew: int
    returned: bool
    live: bool       # /livez answered all the time
    newcomers: float # of the sidecars that came meanwhile, those that got a link
    lost: int
    said: str

    def problems(self):
        """What was not held; one text each."""
        allowed = max(P99_MS, P99_TIMES * self.quiet_p99_ms) if self.quiet_p99_ms else math.inf
        checks = ((self.kept >= KEPT, f"the good client kept {self.kept:.0%} of its rate"),
                  (self.p99_ms <= allowed,
                   f"p99 is {self.p99_ms:.1f} ms, above {allowed:.1f}"),
                  (self.grew <= GROWS, f"the broker grew by {self.grew / MIB:.0f} MiB"),
                  (self.returned, "the broker's memory did not return"),
                  (self.live, "/livez was not answered"),
                  (self.newcomers >= KEPT, f"of new sidecars {self.newcomers:.0%} got a link"),
                  (self.lost == 0, f"{self.lost} messages of the good client lost or refused"),
                  (self.said.isdigit(), f"the attacker got in, or did not attack: {self.said}"))
        return [text for good, text in checks if not good]


async def watch(world, seen):
    """The most memory that the broker has, whether it lives, and whether new sidecars find
    their way in, until cancelled."""
    while True:
        seen["memory"] = max(seen["memory"], world.memory())
        status, _ = await asyncio.to_thread(world.stack.broker.get, "/livez", 5)
        seen["live"] &= status == 200
        seen["newcomers"].append(await world.newcomer())
        await asyncio.sleep(0.1)


async def judge(world, name, seconds, quiet=None):
    """Runs the attack for about 'seconds', beside the good client; 'quiet': its run without."""
    before = world.memory()
    seen = {"memory": before, "live": True, "newcomers": []}
    watching = asyncio.create_task(watch(world, seen))
    await world.begin(name)
    good = await world.good(seconds)
    said = await world.end()
    watching.cancel()
    return Result(name, good["delivered_per_s"] / RATE, good["latency_us"]["p99"] / 1000,
                  quiet["latency_us"]["p99"] / 1000 if quiet else None, seen["memory"] - before,
                  await world.rested(before + RETURNS), seen["live"],
                  sum(seen["newcomers"]) / max(1, len(seen["newcomers"])),
                  good["lost"] + good["refused"], said)


async def attacked(name, folder, build, seconds):
    world = World(folder, build)
    try:
        await world.start()
        return await judge(world, name, seconds, await world.good(seconds))
    finally:
        await world.stop()


def row(cells):
    return f"{cells[0]:<18} {cells[1]:>6} {cells[2]:>16} {cells[3]:>9} {cells[4]:>9}  {cells[5]}"


async def run(names, build, seconds, keep):
    print(row(("attack", "kept", "p99 ms (quiet)", "grew MiB", "returned", "")))
    failed = 0
    for name in names:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sqmqos-attack-{name}-"))
        r = await attacked(name, folder, build, seconds)
        problems = r.problems()
        failed += bool(problems)
        print(row((r.name, f"{r.kept:.0%}", f"{r.p99_ms:.1f} ({r.quiet_p99_ms:.1f})",
                   f"{r.grew / MIB:.1f}", "yes" if r.returned else "no",
                   "; ".join(problems) or "held")), flush=True)
        if keep or problems:
            print(f"  logs: {folder}")
        else:
            shutil.rmtree(folder)
    return failed


def main():
    parser = argparse.ArgumentParser(
        prog="./dev attack", description="Attacks a broker of this machine, beside a good client "
        f"of {RATE} msg/s at QoS 1, and says what that kept.",
        epilog="attacks:\n" + "\n".join(f"  {a.name:<18} {a.who}: {a.text}" for a in ATTACKS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them, when none is named")
    parser.add_argument("--seconds", type=int, default=15, help="of each (15)")
    parser.add_argument("--build", default="release", help="which programs (release)")
    parser.add_argument("--keep", action="store_true", help="keep all logs")
    args = parser.parse_args()
    for name in args.names:
        if name not in ATTACKS:
            parser.error(f"there is no attack '{name}'; see ./dev attack --help")
    failed = asyncio.run(run(args.names or list(ATTACKS), ROOT / "build" / args.build,
                             args.seconds, args.keep))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

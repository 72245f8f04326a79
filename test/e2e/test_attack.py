"""The attacks of ./dev attack, for some seconds each: the good client keeps its rate and loses
nothing, the broker's memory grows by little and returns, and /livez is answered. Latency is
judged by ./dev attack, on a machine that does nothing else."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "attack"))

from run import judge
from attacker import ATTACKS
from scenario import ROOT, scenario
from world import World

SECONDS = 4


def attacked(name):
    @scenario(build="release", timeout_s=180)
    async def run(env):
        world = World(env.folder, ROOT / "build" / env.settings.build)
        try:
            await world.start()
            result = await judge(world, name, SECONDS)
        finally:
            await world.stop()
        assert result.problems() == [], f"{ATTACKS[name].text}: {'; '.join(result.problems())}"
    return run


for each in ATTACKS:
    globals()[f"test_{each.replace('-', '_')}"] = attacked(each)

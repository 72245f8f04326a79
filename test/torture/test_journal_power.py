"""The journal alone through kills and losses of power: what it said to be
committed is replayed, in order and unharmed. Runs alone:
TORTURE_LIVES=600 TORTURE_SEED=7
python3 test/torture/test_journal_power.py"""

import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import powerfail  # noqa: E402

BUILD = pathlib.Path(os.environ.get("TORTURE_BUILD", HERE.parent.parent / "build" / "debug"))
LIVES = int(os.environ.get("TORTURE_LIVES", 60))
SEED = int(os.environ.get("TORTURE_SEED", random.SystemRandom().randrange(1 << 31)))


class JournalPower(unittest.TestCase):
    def run_lives(self, *more):
        rng = random.Random(SEED)
        with tempfile.TemporaryDirectory() as folder:
            store = pathlib.Path(folder).resolve() / "journal"
            store.mkdir()
            layer = powerfail.Layer(BUILD / "test" / "powerfail.so", store)
            try:
                self.live(rng, store, layer, *more)
            finally:
                layer.close()

    def test_what_is_committed_is_replayed(self):
        print(f"seed {SEED}", flush=True)
        self.run_lives()

    def test_a_journal_that_does_not_sync_is_found_out(self):
        with self.assertRaises(AssertionError):
            self.run_lives("unsynced")

    def live(self, rng, store, layer, *more):
        committed = released = 0
        program = BUILD / "test" / "journal-scratch"
        for life in range(LIVES):
            child = subprocess.Popen(
                [program, store, str(released), *more], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=os.environ | layer.environment(program))
            deadline = time.monotonic() + 0.005 + rng.random() ** 2 * 0.4
            out = bytearray()
            os.set_blocking(child.stdout.fileno(), False)
            sync_fails = rng.random() * 0.4
            begun = time.monotonic()
            while time.monotonic() < deadline and child.poll() is None:
                if sync_fails and time.monotonic() - begun > sync_fails:
                    layer.fail_sync()
                    sync_fails = 0
                out += child.stdout.read(1 << 20) or b""
                time.sleep(0.001)
            child.kill()
            child.wait()
            os.set_blocking(child.stdout.fileno(), True)
            out += child.stdout.read()
            child.stdout.close()
            lines = out.decode().split("\n")[:-1]  # the last one may be torn
            where = f"seed {SEED}, life {life}"
            self.assertFalse([line for line in lines if line.startswith("bad")], where)
            self.assertEqual(child.returncode, -9, f"{where}: it ended by itself")
            replayed = [int(line[2:]) for line in lines if line.startswith("r ")]
            if replayed:
                self.assertEqual(replayed, list(range(replayed[0], replayed[-1] + 1)), where)
            if any(line.startswith("open") for line in lines):
                self.assertGreaterEqual(replayed[-1] if replayed else 0, committed,
                                        f"{where}: entry {committed} was committed")
                committed = replayed[-1] if replayed else 0  # its users build on what it replayed
            for line in lines:
                if line.startswith("c "):
                    committed = int(line[2:])
                elif line.startswith("f "):
                    released = int(line[2:])
            if rng.random() < 0.8:
                done = layer.cut(rng)
                if os.environ.get("TORTURE_SHOW"):
                    print(f"life {life}: committed {committed}, released {released}; {done}")
        self.assertGreater(committed, LIVES, "next to nothing was committed")
        self.assertEqual(layer.mapped(), [])


if __name__ == "__main__":
    unittest.main()

"""The write-recording layer: what was synced is never undone, what was not may
be. Runs alone: python3 test/torture/test_powerfail.py [BUILD]"""

import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import powerfail  # noqa: E402

BUILD = pathlib.Path(os.environ.get("TORTURE_BUILD", HERE.parent.parent / "build" / "debug"))
SECTOR = powerfail.SECTOR


class Store(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.store = pathlib.Path(self.folder.name).resolve() / "store"
        self.store.mkdir()
        self.layer = powerfail.Layer(BUILD / "test" / "powerfail.so", self.store)
        self.addCleanup(self.layer.close)
        self.program = None

    def start(self):
        self.program = subprocess.Popen(
            [BUILD / "test" / "powerfail-scratch"], cwd=self.store, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=os.environ | self.layer.environment())

    def do(self, *commands):
        if self.program is None:
            self.start()
        for command in commands:
            self.program.stdin.write(command + "\n")
            self.program.stdin.flush()
            self.assertEqual(self.program.stdout.readline(), "done\n", command)

    def kill(self):
        if self.program:
            self.program.kill()
            self.program.wait()
            self.program.stdin.close()
            self.program.stdout.close()
            self.program = None

    def tearDown(self):
        self.kill()

    def cut(self, mood="drop", seed=1):
        self.kill()
        self.layer.cut(random.Random(seed), mood)

    def read(self, name):
        return (self.store / name).read_bytes()

    def made(self, name="a"):
        self.do(f"open {name}", "write 0 2048 s", "sync", "syncdir")

    def test_synced_stays(self):
        self.made()
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_unsynced_goes(self):
        self.made()
        self.do("write 512 512 u", "writev 1024 100 v", "append 700 w")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_unsynced_may_stay(self):
        self.made()
        self.do("write 512 512 u", "append 700 w")
        self.cut("keep")
        self.assertEqual(self.read("a"), b"s" * 512 + b"u" * 512 + b"s" * 1024 + b"w" * 700)

    def test_a_write_is_torn_at_sectors(self):
        self.made()
        self.do("write 0 2048 u")
        self.kill()
        entries = [e for logs in self.layer.log_files("f").values() for log in logs
                   for e in powerfail.read_log(log)]
        seen, before = set(), self.read("a")
        for seed in range(200):
            (self.store / "a").write_bytes(before)
            powerfail.cut_file(self.store / "a", entries, random.Random(seed), "torn")
            found = self.read("a")
            sectors = [found[i:i + SECTOR] for i in range(0, 2048, SECTOR)]
            self.assertTrue(all(s in (b"s" * SECTOR, b"u" * SECTOR) for s in sectors))
            seen.add(tuple(s[0] for s in sectors))
        self.assertGreater(len(seen), 8)

    def test_the_older_of_two_writes_may_be_what_stays(self):
        self.made()
        self.do("write 0 512 u", "write 0 512 v")
        self.kill()
        seen = set()
        entries = [e for logs in self.layer.log_files("f").values() for log in logs
                   for e in powerfail.read_log(log)]
        for seed in range(40):
            (self.store / "a").write_bytes(b"v" * 512 + b"s" * 1536)
            powerfail.cut_file(self.store / "a", entries, random.Random(seed), "some")
            seen.add(self.read("a")[:1])
        self.assertEqual(seen, {b"s", b"u", b"v"})

    def test_the_logs_outlive_a_life(self):
        self.made()
        self.do("write 0 512 u")
        self.kill()
        self.do("open a", "write 512 512 v")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_a_sync_of_a_later_life_counts(self):
        self.made()
        self.do("write 0 512 u")
        self.kill()
        self.do("open a", "sync")
        self.cut()
        self.assertEqual(self.read("a"), b"u" * 512 + b"s" * 1536)

    def test_a_sync_of_a_journal_that_fails(self):
        self.made()
        self.made("journal-1")
        self.layer.fail_sync()
        self.do("open a", "write 0 512 u", "sync", "open journal-1", "write 0 512 v")
        self.assertFalse(self.layer.sync_has_failed(), "another file took it")
        self.program.stdin.write("sync\n")
        self.program.stdin.flush()
        self.assertEqual(self.program.stdout.readline(), "", "it ends with the error")
        self.assertTrue(self.layer.sync_has_failed())
        self.cut()
        self.assertEqual(self.read("a"), b"u" * 512 + b"s" * 1536)
        self.assertEqual(self.read("journal-1"), b"s" * 2048)

    def test_a_synchronous_descriptor_syncs_its_own_write_only(self):
        self.made()
        self.do("write 0 512 u", "write 1024 512 u", "open a dsync", "write 512 512 d",
                "write 1024 512 d")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 512 + b"d" * 1024 + b"s" * 512)

    def test_a_shorter_size_may_be_undone(self):
        self.made()
        self.do("size 100")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_a_shorter_size_may_hold(self):
        self.made()
        self.do("size 100")
        self.cut("keep")
        self.assertEqual(self.read("a"), b"s" * 100)

    def test_an_allocation_may_be_undone(self):
        self.made()
        self.do("allocate 8192")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_a_name_without_a_sync_of_its_folder_goes(self):
        self.made()
        self.do("open b", "write 0 512 b", "sync")
        self.cut()
        self.assertFalse((self.store / "b").exists())
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_a_rename_may_be_undone(self):
        self.made()
        self.do("open b", "write 0 512 b", "sync", "syncdir", "rename b a")
        self.cut()
        self.assertEqual((self.read("a"), self.read("b")), (b"s" * 2048, b"b" * 512))

    def test_an_unlink_may_be_undone(self):
        self.made()
        self.do("unlink a")
        self.cut()
        self.assertEqual(self.read("a"), b"s" * 2048)

    def test_synced_names_stay(self):
        self.made()
        self.do("open b", "write 0 512 b", "sync", "rename b a", "open c", "unlink c", "syncdir")
        self.cut()
        self.assertEqual([p.name for p in self.store.iterdir()], ["a"])
        self.assertEqual(self.read("a"), b"b" * 512)

    def test_a_mapping_is_told(self):
        self.made()
        self.assertEqual(self.layer.mapped(), [])
        self.do("map")
        self.assertIn(str(self.store / "a"), self.layer.mapped())

    def test_random_writes_keep_what_was_synced(self):
        """Each sector has one of the values written since its last sync, or that one."""
        for seed in range(25):
            rng = random.Random(seed)
            self.do("open a", "size 0", "write 0 16384 .", "sync", "syncdir")
            may = [["."] for _ in range(32)]  # the newest last
            for _ in range(rng.randint(1, 60)):
                if rng.random() < 0.15:
                    self.do("sync")
                    may = [values[-1:] for values in may]
                    continue
                first = rng.randrange(32)
                n = rng.randint(1, 32 - first)
                mark = chr(rng.randrange(97, 123))
                self.do(f"{rng.choice(('write', 'writev'))} {first * SECTOR} {n * SECTOR} {mark}")
                for s in range(first, first + n):
                    may[s].append(mark)
            self.kill()
            self.layer.cut(rng)
            found = self.read("a")
            for s in range(32):
                piece = found[s * SECTOR:(s + 1) * SECTOR].decode()
                self.assertEqual(len(set(piece)), 1, f"seed {seed} sector {s}")
                self.assertIn(piece[0], may[s], f"seed {seed} sector {s}")


if __name__ == "__main__":
    unittest.main()

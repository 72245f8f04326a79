"""Faults of the database lose nothing that it has confirmed, and do show what it has not."""

import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent.parent / "tools")]

import postgres_pair as database  # noqa: E402
from scenario import Skip  # noqa: E402

PATIENCE_S = 2


class Writer:
    """Inserts numbers, one after the other, wherever that is possible."""

    def __init__(self, servers):
        self.servers = servers
        self.confirmed, self.doubtful = [], []  # numbers: answered well; with a warning
        self.ends = False
        self.n = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ends:
            for server in list(self.servers):
                self.insert(server)

    def insert(self, server):
        self.n += 1
        try:
            done = subprocess.run([*server.psql(database.postgres.DATABASE), "-c",
                                   f"INSERT INTO t VALUES ({self.n})"], capture_output=True, text=True,
                                  timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            return
        if done.returncode == 0:
            (self.doubtful if "WARNING" in done.stderr else self.confirmed).append(self.n)


class Database(unittest.TestCase):
    def test_faults(self):
        with tempfile.TemporaryDirectory() as folder:
            try:
                base = database.Database(pathlib.Path(folder))
                base.start()
            except Skip as e:
                print(e)
                sys.exit(77)
            try:
                self.torment(base)
            finally:
                base.close()

    def torment(self, base):
        base.primary.sql("CREATE TABLE t (i int)")
        writer = Writer(base.pg.servers)
        writer.thread.start()
        try:
            for name, seconds in (("fail-over", 0.1), ("split", 0.5), ("cancel-waits", 0.3),
                                  ("away", 0.2), ("restart", 0.1), ("stop-standby", 0.2)):
                before = len(writer.confirmed)
                base.do(name, seconds, 1)
                while len(writer.confirmed) == before:
                    self.assertTrue(writer.thread.is_alive())
            while not base.cancelled:  # the writer may not have waited in that time
                base.do("cancel-waits", 0.3, 1)
                self.assertTrue(writer.thread.is_alive())
            kept = set(writer.doubtful)
            base.lose_tail(0.3, Cancels())
        finally:
            writer.ends = True
            writer.thread.join()
        rows = {int(row[0]) for row in base.primary.sql("SELECT i FROM t")}
        self.assertEqual(sorted(set(writer.confirmed) - rows), [])
        # what was answered with a warning was nowhere else
        self.assertTrue(set(writer.doubtful) - kept - rows)


class Cancels:
    """Chance that takes the first."""

    def choice(self, among):
        return among[0]


if __name__ == "__main__":
    unittest.main()

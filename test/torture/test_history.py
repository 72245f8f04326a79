"""The history check finds what it is to find."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent.parent / "tools")]

import history  # noqa: E402

LOG = {n: n * 11 for n in range(1, 11)}


def lines(first, last):
    return [(n, LOG[n]) for n in range(first, last + 1)]


def kinds(histories, log=LOG, **more):
    return sorted({v.kind for v in history.check(histories, log, **more)})


class History(unittest.TestCase):
    def test_brokers_that_agree(self):
        self.assertEqual(kinds({"a": lines(1, 10), "b": lines(1, 8)}), [])
        # killed, and started again with tables that have 3
        self.assertEqual(kinds({"a": lines(1, 6) + lines(4, 10)}), [])
        # its directory was removed
        self.assertEqual(kinds({"a": lines(1, 6) + lines(1, 10)}), [])

    def test_other_bytes(self):
        self.assertEqual(kinds({"a": lines(1, 5), "b": [*lines(1, 4), (5, 1)]}), ["history"])
        self.assertEqual(kinds({"a": [*lines(1, 5), *lines(1, 4), (5, 1)]}), ["history"])
        self.assertEqual(kinds({"a": [*lines(1, 4), (5, 1)]}), ["history"])

    def test_what_the_log_does_not_have(self):
        log = {n: LOG[n] for n in range(1, 6)}
        self.assertEqual(kinds({"a": lines(1, 6)}, log), ["history"])
        # its beginning was dropped
        self.assertEqual(kinds({"a": lines(1, 10)}, {n: LOG[n] for n in range(4, 11)}), [])

    def test_gaps(self):
        self.assertEqual(kinds({"a": [*lines(1, 3), *lines(5, 6)]}), ["gap"])
        self.assertEqual(kinds({"a": [*lines(1, 3), *lines(5, 6)]}, snapshots=True), [])
        self.assertEqual(kinds({}, {n: LOG[n] for n in (1, 2, 4)}), ["gap"])

    def test_a_torn_line_does_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "h"
            path.write_text("1 b o\n2 16 f\n3 2")
            self.assertEqual(history.read(path), [(1, 11), (2, 22)])
            self.assertEqual(history.read(path.with_name("none")), [])

    def test_headers_of_the_log(self):
        text = history.HEADER.pack(1, 3, 100, 7, 1700000000, 11, 0).hex()
        self.assertEqual(history.of_log([["1", text]]), {1: 11})


if __name__ == "__main__":
    unittest.main()

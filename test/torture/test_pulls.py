"""What is wrong in ledgers of pullers is found. Runs alone: python3 test/torture/test_pulls.py"""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools"), str(HERE.parent / "support")]

import ledger  # noqa: E402
import pulls  # noqa: E402

SENT = "B 1 7\nC 2 0\n" + "".join(f"P 3 {n} 2 {n}\nA 9 {n} 2 {n} 0 0\n" for n in (1, 2))


class Once(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def kinds(self, *texts, finished=True):
        folder = pathlib.Path(self.folder.name)
        (folder / "pub").write_text(SENT)
        publishers = {41: ledger.read_publisher("pub", folder / "pub")}
        pullers = []
        for i, text in enumerate(texts):
            (folder / f"p{i}").write_text(text)
            pullers.append(pulls.read_puller(f"p{i}", folder / f"p{i}"))
        return [v.kind for v in pulls.check_once("q", publishers, pullers, finished)]

    BOTH = ("T 20 10 L1 1 41 2 1\nT 20 10 L2 1 41 2 2\nW 21 L1 41 2 1\nW 21 L2 41 2 2\n"
            "K 30 L1 41 2 1\nK 30 L2 41 2 2\nE 40\n")

    def test_clean(self):
        self.assertEqual(self.kinds(self.BOTH), [])

    def test_lost(self):
        text = "T 20 10 L1 1 41 2 1\nW 21 L1 41 2 1\nK 30 L1 41 2 1\nE 40\n"
        self.assertEqual(self.kinds(text), ["lost"])
        self.assertEqual(self.kinds(text, finished=False), [])

    def test_one_whose_answer_was_never_heard_is_not_lost(self):
        self.assertEqual(self.kinds(self.BOTH.replace("K 30 L2 41 2 2\n", "")), [])

    def test_again_after_it_was_acknowledged(self):
        self.assertEqual(self.kinds(self.BOTH, "T 9999 9000 L3 2 41 2 1\n"), ["duplicate"])

    def test_the_lease_had_ended_and_its_acknowledgement_was_lost(self):
        held = "T 20 10 L1 1 41 2 1\nT 20 10 L2 1 41 2 2\nW 21 L2 41 2 2\nK 22 L2 41 2 2\nW 3900 L1 41 2 1\nV 4000 L1 41 2 1\n"
        other = "T 3500 3400 L3 2 41 2 1\nW 3501 L3 41 2 1\nK 3502 L3 41 2 1\n"
        self.assertEqual(self.kinds(held, other), [])
        self.assertEqual(self.kinds(held.replace("V 4000", "K 4000"), other), ["duplicate"])

    def test_who_has_asked_first_may_get_it_second(self):
        first = "T 30 20 L1 1 41 2 1\nN 40 L1 41 2 1\nT 20 10 L2 1 41 2 2\nW 21 L2 41 2 2\nK 22 L2 41 2 2\n"
        second = "T 41 10 L3 1 41 2 1\nW 42 L3 41 2 1\nK 43 L3 41 2 1\n"
        self.assertEqual(self.kinds(first, second), [])

    def test_while_a_lease_lives(self):
        held = "T 20 10 L1 1 41 2 1\nT 20 10 L2 1 41 2 2\nW 21 L2 41 2 2\nK 22 L2 41 2 2\n"
        other = "T 50 30 L3 2 41 2 1\nW 51 L3 41 2 1\nK 60 L3 41 2 1\n"
        self.assertEqual(self.kinds(held, other), ["duplicate"])
        self.assertEqual(self.kinds(held + "N 40 L1 41 2 1\n", other), [])
        self.assertEqual(self.kinds(held, other.replace(" 50 30 ", f" {pulls.LEASE_MS + 10} 30 ")), [])

    def test_what_may_never_come(self):
        path = pathlib.Path(self.folder.name) / "x"
        path.write_text("B 1 2\nX 3 settle: 500\nE 4\n")
        read = pulls.read_puller("x", path)
        self.assertEqual((read.wrong, read.ended), ([("http", "settle: 500")], True))


if __name__ == "__main__":
    unittest.main()

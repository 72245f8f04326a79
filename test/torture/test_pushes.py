"""What is wrong in ledgers of sinks is found. Runs alone: python3 test/torture/test_pushes.py"""

import pathlib
import random
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools"), str(HERE.parent / "support")]

import checker  # noqa: E402
import ledger  # noqa: E402
import pulls  # noqa: E402
import pushes  # noqa: E402

SENT = "B 1 7\nC 2 0\n" + "".join(f"P 3 {n} 2 {n}\nA 9 {n} 2 {n} 0 0\n" for n in (1, 2, 3))
LANES = pushes.Queue("q", "topic")
NONE = pushes.Queue("q", "none")


def came(request, number, *, id=None, attempt=1, stream=2, at=20):
    return f"T {at} {request} {id or f'ID{number}'} {attempt} 41 {stream} {number}\n"


def answered(request, verdicts="+", kind="well"):
    return f"A 21 {request} {kind} {verdicts}\n"


def each(*numbers):
    """Each in a request of its own, and taken."""
    return "".join(came(i + 1, n) + answered(i + 1) for i, n in enumerate(numbers))


class Ledgers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def read(self, text, name="sink", begun="B 1 2\n", end="E 90\n"):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(begun + text + end)
        return pushes.read_sink(name, path)

    def publishers(self):
        path = pathlib.Path(self.folder.name) / "pub"
        path.write_text(SENT)
        return {41: ledger.read_publisher("pub", path)}

    def kinds(self, text, queue=LANES, finished=True, again=None, **more):
        sink = self.read(text, **more)
        return sorted({v.kind for v in [*pushes.check_sink(queue, self.publishers(), sink, finished, again or {}),
                                        *pushes.check_ids([sink])]})


class Lost(Ledgers):
    def test_clean(self):
        self.assertEqual(self.kinds(each(1, 2, 3)), [])

    def test_never_came(self):
        self.assertEqual(self.kinds(each(1, 2)), ["lost"])
        self.assertEqual(self.kinds(each(1, 2), finished=False), [])
        self.assertEqual(self.kinds(each(1, 2), pushes.Queue("q", "none", shared=True)), [])

    def test_given_up_behind_an_answer_that_did_not_take_it(self):
        text = each(1, 2) + came(9, 3) + answered(9, "-", "e500")
        self.assertEqual(self.kinds(text), ["lost"])
        self.assertEqual(self.kinds(text + came(10, 3, attempt=2) + answered(10)), [])

    def test_a_request_without_an_answer_takes_nothing(self):
        self.assertEqual(self.kinds(each(1, 2) + came(9, 3)), ["lost"])

    def test_of_replies_what_came_has_to_be_taken(self):
        replies = pushes.Queue("q", "topic", replies=True)
        self.assertEqual(self.kinds(each(1, 2), replies), [])
        self.assertEqual(self.kinds(each(1, 2) + came(9, 3), replies), ["lost"])

    def test_each_message_is_taken_though_another_one_says_the_same(self):
        text = each(1, 2, 3) + came(9, 4, id="A", stream=1) + came(10, 4, id="B", stream=1) + answered(10)
        self.assertEqual(self.kinds(text, NONE), ["lost"])

    def test_requests_of_another_life_are_others(self):
        text = each(1, 2) + came(3, 3) + "B 30 9\n" + came(3, 9) + answered(3)
        self.assertEqual(self.kinds(text, NONE), ["lost"])


class Ids(Ledgers):
    def test_another_one_at_another_attempt(self):
        text = each(1, 2) + came(8, 3) + came(9, 3, id="OTHER", attempt=2) + answered(9)
        self.assertIn("id", self.kinds(text))

    def test_of_two_messages(self):
        self.assertEqual(self.kinds(each(1, 2, 3) + came(9, 4, id="ID1") + answered(9)), ["id"])

    def test_of_two_queues(self):
        one, other = self.read(each(1, 2), "one"), self.read(came(1, 1) + came(2, 3, id="ID2"), "other")
        self.assertEqual([v.kind for v in pushes.check_ids([one, other])], ["id"])

    def test_what_was_published_twice_are_two(self):
        text = came(1, 1, id="A", stream=1) + came(2, 1, id="B", stream=1) + answered(1) + answered(2)
        self.assertEqual(self.kinds(text, NONE, finished=False), [])


class Attempts(Ledgers):
    def test_that_go_back(self):
        late = 30 + pushes.STALE_MS
        text = each(1, 2, 3) + came(9, 4, attempt=3) + came(10, 4, attempt=2, at=late) + answered(10)
        self.assertEqual(self.kinds(text), ["attempt"])
        self.assertEqual(self.kinds(text.replace(f"T {late}", "T 25")), [])

    def test_none(self):
        self.assertEqual(self.kinds(each(1, 2, 3) + came(9, 4, attempt=0) + answered(9)), ["attempt"])


class Order(Ledgers):
    def test_before_the_one_before_was_taken(self):
        text = came(1, 1) + answered(1, "-", "e500") + came(2, 2) + answered(2) + came(3, 1) + answered(3) + \
            came(4, 3) + answered(4)
        self.assertEqual(self.kinds(text), ["order"])
        self.assertEqual(self.kinds(text, NONE), [])

    def test_a_repeat_of_one_that_was_never_taken_before_it(self):
        text = came(1, 1) + came(2, 2) + answered(1) + answered(2) + came(4, 3) + answered(4)
        self.assertEqual(self.kinds(text), ["order"])

    def test_first_seen_late(self):
        self.assertEqual(self.kinds(each(2, 1, 3)), ["order"])
        self.assertEqual(self.kinds(each(2, 1, 3), again={(41, 2): {1}}), [])

    def test_again_behind_a_later_one(self):
        """As after a crash between the answer and its settlement."""
        self.assertEqual(self.kinds(each(1, 2, 1, 2, 3)), [])

    def test_lanes_do_not_wait_for_each_other(self):
        text = came(1, 5, stream=3) + each(1, 2, 3).replace("T 20 1 ", "T 20 9 ").replace("A 21 1 ", "A 21 9 ")
        self.assertEqual(self.kinds(text, finished=False), [])

    def test_in_a_batch(self):
        text = came(1, 1) + came(1, 2) + came(1, 3)
        self.assertEqual(self.kinds(text + answered(1, "+++")), [])
        self.assertEqual(self.kinds(came(1, 2) + came(1, 1) + came(1, 3) + answered(1, "+++")), ["order"])

    def test_behind_a_partial_failure(self):
        text = came(1, 1) + came(1, 2) + answered(1, "+-", "partly")
        good = came(3, 2, attempt=2) + answered(3) + came(4, 3) + answered(4)
        self.assertEqual(self.kinds(text + good), [])
        self.assertEqual(self.kinds(text + came(2, 3) + answered(2) + good), ["order"])


class Others(Ledgers):
    def test_what_may_never_come(self):
        self.assertEqual(self.kinds(each(1, 2, 3) + "X 50 a request GET\n"), ["http"])

    def test_one_that_does_not_end(self):
        self.assertEqual(self.kinds(each(1, 2, 3), end=""), ["unended"])

    def test_figures(self):
        sink = self.read(each(1, 2) + came(9, 3) + answered(9, "-", "e500"))
        self.assertEqual((len(sink.came), sink.kinds), (3, {"well": 2, "e500": 1}))

    def test_replies(self):
        """What a durable session got of a queue: doubled, lost, or out of order."""
        def found(order, *numbers):
            got = ledger.Received("replies")
            got.got[41, 2] = list(numbers)
            got.at[41, 2] = [1] * len(numbers)
            got.qos[41, 2] = {2}
            target = pulls.Product(pushes.Queue("q", order, replies=True), [got])
            return [v.kind for v in checker.check(self.publishers(), [target], (), True,
                                                  pulls.PUBLISHERS if target.disordered else ())]
        self.assertEqual(found("topic", 1, 2, 3), [])
        self.assertEqual(found("topic", 1, 2), ["lost"])
        self.assertEqual(found("none", 3, 1, 2, 1), ["duplicate"])
        self.assertEqual(found("topic", 1, 3, 2), ["order"])

    def test_declarations(self):
        for queue in pushes.QUEUES:
            said = pushes.in_json(queue.declaration("https://x", "/ca.pem", random.Random(1)))
            self.assertEqual((said["maxAttempts"], said["push"]["caFile"]), (65535, "/ca.pem"))


if __name__ == "__main__":
    unittest.main()

"""What is wrong in ledgers of a ring is found. Runs alone: python3 test/torture/test_ring.py"""

import base64
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools"), str(HERE.parent / "support")]

import checker  # noqa: E402
import ledger  # noqa: E402
import ring  # noqa: E402
import ring_peers  # noqa: E402

QUORUM, STANDARD = 10, 12  # publishers of installation a


def published(*numbers):
    out = ledger.Published("pub", [0, 0, max(numbers), 0], ended=True)
    out.acked[2] = {n: 0 for n in numbers}
    return out


def came(name, *numbers, publisher=QUORUM, qos=2):
    got = ledger.Received(name)
    got.got[publisher, 2] += numbers
    got.qos[publisher, 2].add(qos)
    return checker.Target(name, [got])


class Ring(unittest.TestCase):
    def kinds(self, *targets, publisher=QUORUM, gone=None, **more):
        found = ring.check({publisher: published(1, 2, 3)}, targets, gone or {}, True, **more)
        return sorted((v.kind, v.who) for v in found)

    def test_clean(self):
        self.assertEqual(self.kinds(*(came(name, 1, 2, 3) for name in ring.NAMES)), [])

    def test_lost_at_one_of_them(self):
        self.assertEqual(self.kinds(came("a", 1, 2, 3), came("c", 1, 3)), [("lost", "c")])

    def test_back_at_its_origin(self):
        self.assertEqual(self.kinds(came("a", 1, 2, 3, 1)), [("duplicate", "a")])

    def test_twice_over_a_bridge(self):
        self.assertEqual(self.kinds(came("b", 1, 2, 2, 3)), [("duplicate", "b")])

    def test_out_of_order_but_of_standard_queues(self):
        self.assertEqual(self.kinds(came("b", 2, 1, 3)), [("order", "b")])
        self.assertEqual(self.kinds(came("b", 2, 1, 3), full=True), [])
        self.assertEqual(self.kinds(came("b", 2, 1, 3, publisher=STANDARD), publisher=STANDARD), [])
        self.assertEqual(self.kinds(came("a", 2, 1, 3, publisher=STANDARD), publisher=STANDARD), [("order", "a")])

    def test_with_another_qos(self):
        self.assertEqual(self.kinds(came("b", 1, 2, 3, qos=1)), [("qos", "b")])

    def test_what_was_killed_with_elasticmq_is_owed_by_nobody_behind_it(self):
        gone = {"standard-c": {(STANDARD, 2, 2)}}
        self.assertEqual(self.kinds(came("c", 1, 3, publisher=STANDARD), publisher=STANDARD, gone=gone), [])
        self.assertEqual(self.kinds(came("b", 1, 3, publisher=STANDARD), publisher=STANDARD, gone=gone), [("lost", "b")])
        self.assertEqual(self.kinds(came("c", 1, 2, publisher=STANDARD), publisher=STANDARD, gone=gone), [("lost", "c")])


class WhatSqsHolds(unittest.TestCase):
    def setUp(self):
        self.sqs = ring_peers.Sqs(HERE)
        self.body = base64.b64encode(b"12 2 7 40 \x00\xff").decode()
        self.sqs.fault("SendMessageBatch", {"QueueUrl": "http://x/0/standard-b",
                                            "Entries": [{"Id": "0", "MessageBody": self.body}]})

    def delete(self, successful):
        self.sqs.note("ReceiveMessage", {}, {"Messages": [{"ReceiptHandle": "r", "Body": self.body}]})
        self.sqs.note("DeleteMessageBatch", {"QueueUrl": "http://x/0/standard-b",
                                             "Entries": [{"Id": "1", "ReceiptHandle": "r"}]},
                      {"Successful": [{"Id": "1"}] if successful else []})

    def test_what_was_sent(self):
        self.assertEqual(dict(self.sqs.held["standard-b"]), {(12, 2, 7): 1})

    def test_what_was_deleted_is_held_no_more(self):
        self.delete(True)
        self.assertEqual(dict(self.sqs.held["standard-b"]), {})

    def test_what_was_not_deleted_is(self):
        self.delete(False)
        self.assertEqual(dict(self.sqs.held["standard-b"]), {(12, 2, 7): 1})


class Schedule(unittest.TestCase):
    def test_each_sort_of_fault_is_in_it(self):
        for seed in range(50):
            kinds = {a.kind for a in ring.draw(seed, 20, 0.25, False, True)}
            for name, (of_it, _) in ring.ALL.items():
                self.assertTrue(kinds & {k.name for k in of_it}, (seed, name))
            self.assertFalse(kinds & {"disk-full", "rabbit-alarm"})

    def test_it_is_the_seeds(self):
        self.assertEqual(ring.draw(3, 65, 0.25, True, False), ring.draw(3, 65, 0.25, True, False))


if __name__ == "__main__":
    unittest.main()

"""The checker finds each kind of violation where one is planted, and none in a
clean run. Runs alone: python3 test/torture/test_checker.py"""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import checker  # noqa: E402
import ledger  # noqa: E402
import letters  # noqa: E402

# Three messages of streams 1 and 2, acknowledged.
SENT = """B 1 77
C 2 0
P 3 1 1 1
P 3 2 1 2
P 3 3 2 1
P 3 4 2 2
P 3 0 0 1
A 5 1 1 1 0 0
A 5 2 1 2 0 0
R 5 3 0
A 5 3 2 1 0 0
R 5 4 0
A 5 4 2 2 0 0
E 9
"""
GOT = """B 1 78
C 2 0
S 3 2
M 4 1 1 7 0 1 1
M 4 2 1 7 0 1 2
M 4 3 2 7 0 2 1
M 4 4 2 7 0 2 2
M 4 0 0 7 0 0 1
L 5 3
L 5 4
E 9
"""


class Planted(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.files = 0

    def file(self, text):
        self.files += 1
        path = pathlib.Path(self.folder.name) / str(self.files)
        path.write_text(text)
        return path

    def kinds(self, sent=SENT, *got, qos=2, transient=False, deaths=(), finished=True,
              unordered=(), durable=None, refuses=False):
        publisher = ledger.read_publisher("p", self.file(sent))
        members = [ledger.read_subscriber(f"s{i}", self.file(text), transient)
                   for i, text in enumerate(got or (GOT,))]
        targets = [checker.Target("t", members, qos, transient)]
        if durable:
            other = ledger.read_subscriber("d", self.file(durable))
            targets.append(checker.Target("d", [other], qos))
        found = checker.check({7: publisher}, targets, deaths, finished, unordered, refuses)
        return sorted({v.kind for v in found})

    def test_a_clean_run(self):
        self.assertEqual(self.kinds(), [])

    def test_lost(self):
        for line in ("M 4 2 1 7 0 1 2\n", "M 4 4 2 7 0 2 2\n"):
            self.assertEqual(self.kinds(SENT, GOT.replace(line, "")), ["lost"])

    def test_what_was_not_acknowledged_may_be_lost(self):
        sent = SENT.replace("A 5 2 1 2 0 0\n", "A 5 2 1 2 151 0\n")
        self.assertEqual(self.kinds(sent, GOT.replace("M 4 2 1 7 0 1 2\n", "")), [])

    def test_a_message_of_qos_0_may_be_lost(self):
        self.assertEqual(self.kinds(SENT, GOT.replace("M 4 0 0 7 0 0 1\n", "")), [])

    def test_duplicate_of_qos_2(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 5 2 7 0 2 2\n"), ["duplicate"])

    def test_a_transient_session_ends_with_its_broker(self):
        got = GOT + "M 9 5 2 7 0 2 2\n"
        self.assertEqual(self.kinds(SENT, got, transient=True), ["duplicate"])
        self.assertEqual(self.kinds(SENT, got, transient=True, deaths=[1]), ["duplicate"])
        self.assertEqual(self.kinds(SENT, got, transient=True, deaths=[10]), ["duplicate"])
        self.assertEqual(self.kinds(SENT, got, transient=True, deaths=[3]), [])
        self.assertEqual(self.kinds(SENT, got, transient=True, deaths=[7]), [])
        self.assertEqual(self.kinds(SENT, got, deaths=[7]), ["duplicate"])

    def test_order_of_qos_2_in_a_transient_session(self):
        late = GOT.replace("M 4 3 2 7 0 2 1\n", "").replace("L 5 3\n", "M 9 3 2 7 0 2 1\n")
        self.assertEqual(self.kinds(SENT, late, transient=True), ["order"])
        self.assertEqual(self.kinds(SENT, late, transient=True, deaths=[7]), ["order"])

    def test_duplicate_of_qos_0(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 0 0 7 0 0 1\n"), ["duplicate"])

    def test_qos_1_may_come_twice(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 5 1 7 1 1 2\n"), [])

    def test_a_repeated_packet_id_is_no_duplicate(self):
        got = GOT.replace("L 5 4\n", "D 5 end\nB 6 79\nC 7 1\nI 8 4 7 2 2\nL 8 4\n")
        self.assertEqual(self.kinds(SENT, got), [])

    def test_a_packet_id_for_another_message(self):
        got = GOT.replace("L 5 4\n", "I 8 4 7 2 1\nL 8 4\n")
        self.assertEqual(self.kinds(SENT, got), ["packet id"])

    def test_order(self):
        for a, b in (("M 4 1 1 7 0 1 1\n", "M 4 2 1 7 0 1 2\n"),
                     ("M 4 3 2 7 0 2 1\n", "M 4 4 2 7 0 2 2\n")):
            self.assertEqual(self.kinds(SENT, GOT.replace(a + b, b + a)), ["order"])

    def test_order_of_first_copies_only(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 5 1 7 1 1 1\n"), [])

    def test_order_in_a_transient_session(self):
        sent = SENT.replace("E 9\n", "P 6 5 1 3\nA 7 5 1 3 0 0\n")
        start = "B 1 78\nC 2 0\nS 3 2\n"
        late = start + "M 4 1 1 7 0 1 1\nM 4 2 1 7 0 1 3\nM 4 3 1 7 0 1 2\n"
        self.assertEqual(self.kinds(sent, late, transient=True), ["order"])
        again = start + "M 4 1 1 7 0 1 2\nM 4 2 1 7 0 1 3\nM 5 3 1 7 0 1 1\nM 5 4 1 7 0 1 2\n"
        self.assertEqual(self.kinds(sent, again, transient=True), [])
        self.assertEqual(self.kinds(sent, again), ["lost", "order"])

    def test_a_group_shares(self):
        one = GOT.replace("M 4 3 2 7 0 2 1\n", "").replace("M 4 2 1 7 0 1 2\n", "")
        two = "B 1 1\nC 2 0\nS 3 2\nM 4 2 1 7 0 1 2\nM 4 3 2 7 0 2 1\n"
        self.assertEqual(self.kinds(SENT, one, two), [])
        self.assertEqual(self.kinds(SENT, GOT, two), ["duplicate"])
        self.assertEqual(self.kinds(SENT, one, "B 1 1\nC 2 0\nS 3 2\n"), ["lost"])

    def test_invented(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 5 2 7 0 2 3\n"), ["invented"])

    def test_damaged(self):
        self.assertEqual(self.kinds(SENT, GOT + "X 9 2 5\n"), ["damaged"])

    def test_a_lost_session(self):
        self.assertEqual(self.kinds(SENT, GOT + "D 9 end\nC 10 0\n"), ["session"])
        self.assertEqual(self.kinds(SENT + "D 9 end\nC 10 0\n"), ["session"])

    def test_a_session_that_was_not_used_may_be_gone(self):
        self.assertEqual(self.kinds(SENT, GOT.replace("C 2 0\n", "C 2 0\nD 2 end\nC 2 0\n")), [])

    def test_wrong_qos(self):
        self.assertEqual(self.kinds(SENT, GOT, qos=1), ["qos"])

    def test_unmatched(self):
        self.assertEqual(self.kinds(SENT.replace("A 5 2 1 2 0", "A 5 2 1 2 16")), ["unmatched"])

    def test_refused(self):
        sent = SENT.replace("A 5 2 1 2 0", "A 5 2 1 2 131")
        self.assertEqual(self.kinds(sent), ["refused"])

    def test_unanswered(self):
        sent = SENT.replace("A 5 2 1 2 0 0\n", "")
        self.assertEqual(self.kinds(sent), ["unanswered"])
        self.assertEqual(self.kinds(sent, finished=False), [])

    def test_protocol(self):
        self.assertEqual(self.kinds(SENT + "Z 10 packet type 3\n"), ["protocol"])
        self.assertEqual(self.kinds(SENT, GOT + "Z 10 packet type 3\n"), ["protocol"])

    def test_a_refused_subscription(self):
        self.assertEqual(self.kinds(SENT, GOT.replace("S 3 2", "S 3 135")), ["subscribe"])

    def test_a_torn_line_does_not_count(self):
        self.assertEqual(self.kinds(SENT, GOT + "M 9 5 2 7 0 2 2 torn\n"), [])

    def test_a_transient_session_has_no_gaps(self):
        sent = SENT.replace("E 9\n", "P 6 5 1 3\nA 7 5 1 3 0 0\n")
        got = GOT.replace("M 4 2 1 7 0 1 2\n", "") + "M 8 6 1 7 0 1 3\n"
        self.assertEqual(self.kinds(sent, got, transient=True), ["lost"])
        self.assertEqual(self.kinds(sent, got, transient=True, deaths=[5]), [])
        self.assertEqual(self.kinds(sent, got, transient=True, deaths=[1]), ["lost"])
        apart = got.replace("M 8 6", "D 7 end\nC 7 0\nS 7 2\nM 8 6")
        self.assertEqual(self.kinds(sent, apart, transient=True), [])

    def test_what_a_publisher_sends_again_where_a_disk_may_be_full(self):
        """1 was refused, unheard; 2 was taken; the publisher came again and sent both."""
        sent = SENT.replace("A 5 1 1 1 0 0\n", "").replace("E 9\n", "C 7 1\nA 8 1 1 1 0 0\nE 9\n")
        self.assertIn("C 7 1\nA 8 1", sent)
        one, two = (f"M 4 {n} 1 7 0 1 {n}\n" for n in (1, 2))
        late = GOT.replace(one + two, two + one)
        self.assertNotEqual(late, GOT)
        self.assertEqual(self.kinds(sent, late, qos=2), ["order"])
        self.assertEqual(self.kinds(sent, late, qos=2, refuses=True), [])
        self.assertEqual(self.kinds(SENT, late, qos=2, refuses=True), ["order"])
        self.assertEqual(self.kinds(sent, GOT.replace(one, ""), refuses=True), ["lost"])

    def test_what_was_refused_and_comes_later_is_no_gap(self):
        """2 was refused, and sent again when the transient session's connection had ended."""
        sent = SENT.replace("E 9\n", "P 6 5 1 3\nA 7 5 1 3 0 0\nE 9\n")
        one, two, three = (f"M 4 {n} 1 7 0 1 {n}\n" for n in (1, 2, 3))
        rest = GOT.replace(one + two, "").replace("E 9\n", "")
        transient = rest + one + three + "D 7 end\nC 8 0\nS 8 2\n" + two
        durable = rest + one + three + two
        arguments = {"transient": True, "durable": durable}
        self.assertEqual(self.kinds(sent, transient, **arguments, unordered=[7]), [])
        self.assertEqual(self.kinds(sent, transient, **arguments), ["lost", "order"])
        # what the broker took between two others is missing, in whatever order that was
        arguments["unordered"] = [7]
        self.assertEqual(self.kinds(sent, rest + one + two, **arguments), ["lost"])
        self.assertEqual(self.kinds(sent, rest + one + three, **arguments), [])
        arguments["durable"] = rest + one + two + three
        self.assertEqual(self.kinds(sent, rest + one + three, **arguments), ["lost"])
        self.assertEqual(self.kinds(sent, transient, **arguments), ["lost"])
        del arguments["durable"]
        self.assertEqual(self.kinds(sent, transient, **arguments), ["lost"])


class Gaps(unittest.TestCase):
    def test_what_was_taken_in_another_order(self):
        order = [1, 2, 5, 6, 3, 4, 7]
        self.assertEqual(checker.gaps(order, order, [1, 2, 5, 6, 3, 4]), 0)
        self.assertEqual(checker.gaps(order, order, [1, 2, 6, 3, 7]), 2)

    def test_copies_of_what_came_before(self):
        order = [1, 2, 5, 6, 3, 4, 7]
        self.assertEqual(checker.gaps(order, order, [3, 4, 5, 6]), 0)
        self.assertEqual(checker.gaps(order, order, [3, 5, 6, 7]), 1)


def published(stream, *numbers, refused=(), connections=1):
    """A publisher of one stream: number n was sent at n s and acknowledged half a second later."""
    out = ledger.Published("p", ended=True, connections=connections)
    out.sent[stream] = max(numbers, default=0)
    for n in numbers:
        out.acked[stream][n] = 0x97 if n in refused else 0
        out.begun[stream][n], out.finished[stream][n] = n * 1000, n * 1000 + 500
    return out


def received(name, stream, *numbers, qos=None):
    out = ledger.Received(name)
    for n in numbers:
        out.got[7, stream].append(n)
        out.at[7, stream].append(0)
        out.qos[7, stream].add(checker.STREAM_QOS[stream] if qos is None else qos)
    return out


def letters_of(stream, *numbers, reason="abandoned", queue="q"):
    out = received("letters", stream, *numbers)
    out.letters = [ledger.Letter(7, stream, n, reason, queue) for n in numbers]
    return out


class Replaced(unittest.TestCase):
    """Twelve messages to a queue whose pods are replaced."""

    def kinds(self, *got, stream=2, dead=(), reason="attempts", qos=2, kills=0, finished=True,
              sent=range(1, 13)):
        members = [received(f"pod-{i}", stream, *numbers,
                            qos=min(qos, checker.STREAM_QOS[stream]))
                   for i, numbers in enumerate(got)]
        rollout = letters.Rollout("q", members, letters_of(
            stream, *dead, reason=reason).letters, qos, kills, 2)
        return sorted({v.kind for v in letters.check_rollout(
            {7: published(stream, *sent)}, rollout, finished)})

    def test_a_clean_run(self):
        for stream in (1, 2, 3):
            self.assertEqual(self.kinds(range(1, 7), range(7, 13), stream=stream), [])

    def test_what_is_nowhere_is_lost(self):
        for stream in (1, 2, 3):
            self.assertEqual(self.kinds(range(1, 6), range(7, 13), stream=stream), ["lost"])

    def test_what_may_still_come_is_not(self):
        self.assertEqual(self.kinds(range(1, 6), finished=False), [])

    def test_a_letter_is_a_place(self):
        self.assertEqual(self.kinds(range(1, 6), range(7, 13), dead=[6], kills=1), [])
        self.assertEqual(self.kinds(range(1, 6), range(7, 13), dead=[6], reason="unfinished"), [])

    def test_an_attempt_without_a_connection_that_broke(self):
        self.assertEqual(self.kinds(range(1, 6), range(7, 13), dead=[6]), ["attempt"])

    def test_more_attempts_than_an_app_may_have_in_its_hands(self):
        self.assertEqual(self.kinds(range(1, 6), range(8, 13), dead=[6, 7], kills=1), [])
        self.assertEqual(self.kinds(range(1, 6), range(9, 13), dead=[6, 7, 8], kills=1),
                         ["attempt"])

    def test_a_reason_that_there_is_not(self):
        for reason in ("abandoned", "expired", "overflow", "-"):
            self.assertEqual(self.kinds(range(1, 12), dead=[12], reason=reason, kills=9),
                             ["letter"])

    def test_unfinished_is_of_qos_2_alone(self):
        self.assertEqual(self.kinds(range(1, 12), dead=[12], reason="unfinished", qos=1),
                         ["letter"])
        self.assertEqual(self.kinds(range(1, 12), dead=[12], reason="unfinished", stream=1),
                         ["letter"])

    def test_twice(self):
        self.assertEqual(self.kinds(range(1, 8), range(7, 13)), ["duplicate"])
        self.assertEqual(self.kinds(range(1, 8), range(7, 13), qos=1), [])
        self.assertEqual(self.kinds(range(1, 8), range(7, 13), stream=1), [])

    def test_two_letters(self):
        self.assertEqual(self.kinds(range(1, 12), dead=[12, 12], kills=1), ["duplicate"])
        self.assertEqual(self.kinds(range(1, 12), dead=[12, 12], kills=1, stream=1), [])

    def test_invented(self):
        self.assertEqual(self.kinds(range(1, 14)), ["invented"])


class Abandoned(unittest.TestCase):
    """Twelve messages to a queue of two that nobody takes from, with room for four letters."""

    def kinds(self, queue=(11, 12), dead=(7, 8, 9, 10), *, stream=2, dropped=6, blind=(),
              taken=False, sent=range(1, 13), refused=(), reason="abandoned", connections=1,
              again=()):
        spill = letters.Spill("q", received("taker", stream, *queue),
                              letters_of(stream, *dead, reason=reason),
                              letters.Counted(dropped, list(blind)), taken, 2, 4)
        publisher = published(stream, *sent, refused=refused, connections=connections)
        publisher.again[stream].update(again)
        return sorted({v.kind for v in letters.check_spill({7: publisher}, spill)})

    def test_a_clean_run(self):
        for stream in (1, 2):
            self.assertEqual(self.kinds(stream=stream), [])

    def test_a_gap_in_the_queue_or_the_letters(self):
        for stream in (1, 2):
            self.assertEqual(self.kinds((10, 12), (6, 7, 8, 9), stream=stream), ["lost"])
            self.assertEqual(self.kinds(dead=(6, 7, 8, 10), stream=stream), ["lost"])

    def test_what_was_refused_is_nowhere(self):
        self.assertEqual(self.kinds(dead=(6, 7, 8, 10), refused=[9], dropped=5), [])

    def test_letters_left_that_had_room(self):
        self.assertEqual(self.kinds(dead=(8, 9, 10), dropped=7), ["lost"])

    def test_letters_of_a_queue_that_had_room(self):
        self.assertEqual(self.kinds((12,), (8, 9, 10, 11), dropped=7), ["letter"])

    def test_a_counter_that_counts_too_little(self):
        for taken in (False, True):
            self.assertEqual(self.kinds(dropped=5, taken=taken), ["lost"])

    def test_what_a_broker_counted_before_it_died(self):
        self.assertEqual(self.kinds(dropped=5, blind=[(3600, 4200)]), [])
        self.assertEqual(self.kinds(dropped=3, blind=[(3600, 4200)]), ["lost"])

    def test_a_counter_that_counts_too_much(self):
        self.assertEqual(self.kinds(dropped=7), ["counter"])
        self.assertEqual(self.kinds(dropped=7, connections=2), [])
        self.assertEqual(self.kinds(dropped=60, connections=2), ["counter"])

    def test_letters_that_were_taken(self):
        self.assertEqual(self.kinds(dead=(2, 3, 7, 8, 9, 10), dropped=4, taken=True), [])
        self.assertEqual(self.kinds(dead=(2, 3, 7, 8, 9, 10), dropped=4), ["lost"])
        self.assertEqual(self.kinds(dead=(2, 3, 7, 8, 9, 10), dropped=3, taken=True), ["lost"])

    def test_twice(self):
        for queue, dead in (((11, 12, 12), (7, 8, 9, 10)), ((11, 12), (7, 8, 9, 10, 10)),
                            ((10, 11, 12), (7, 8, 9, 10))):
            self.assertEqual(self.kinds(queue, dead), ["duplicate"])
            self.assertEqual(self.kinds(queue, dead, stream=1), [])

    def test_order(self):
        self.assertEqual(self.kinds((12, 11)), ["order"])
        self.assertEqual(self.kinds(dead=(7, 9, 8, 10)), ["order"])
        self.assertEqual(self.kinds((9, 12), (7, 8, 10, 11)), ["order"])

    def test_an_order_of_messages_that_were_published_again(self):
        self.assertEqual(self.kinds(dead=(7, 10, 8, 9), again=[8, 9, 10]), [])
        self.assertEqual(self.kinds(dead=(7, 9, 8, 10), again=[10, 11]), ["order"])
        self.assertEqual(self.kinds((11, 12), (7, 8, 9, 6), again=[6, 10]), [])

    def test_a_copy_of_qos_1_whose_first_one_has_left(self):
        self.assertEqual(self.kinds(dead=(8, 9, 7, 8, 9, 10), stream=1), [])

    def test_invented(self):
        self.assertEqual(self.kinds((11, 12, 13)), ["invented"])

    def test_a_refusal(self):
        def kinds(excused):
            return [v.kind for v in letters.check_refusals(
                [published(2, *range(1, 13), refused=[3])], excused)]
        self.assertEqual(kinds([]), ["refused"])
        self.assertEqual(kinds([(3400, 3600)]), [])
        self.assertEqual(kinds([(2000, 2900)]), ["refused"])
        self.assertEqual(kinds([(3600, 4000)]), ["refused"])

    def test_a_wrong_reason(self):
        self.assertEqual(self.kinds(reason="expired"), ["letter"])


class Letters(Planted):
    def test_what_is_published_again(self):
        out = ledger.read_publisher("p", self.file(
            "B 1 1\nC 2 0\nP 3 1 2 1\nP 3 2 2 2\nA 4 1 2 1 0 0\nP 4 3 2 3\nC 5 1\n"
            "A 6 2 2 2 0 0\nP 6 4 2 4\n"))
        self.assertEqual(out.again, [set(), set(), {2, 3}, set()])
        self.assertEqual(out.connections, 2)

    def test_a_letter_is_read(self):
        out = ledger.read_subscriber("l", self.file(
            "B 1 1\nC 2 0\nM 3 1 2 7 0 2 5 attempts declared~a~b~c\nM 3 2 2 7 0 2 6\n"))
        self.assertEqual(out.letters, [ledger.Letter(7, 2, 5, "attempts", "declared~a~b~c")])
        self.assertEqual(out.got[7, 2], [5, 6])


if __name__ == "__main__":
    unittest.main()

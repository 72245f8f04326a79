"""The checker of who subscribes and unsubscribes finds each kind of violation where one is
planted, and none in a clean run. Runs alone: python3 test/torture/test_intervals.py"""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import intervals  # noqa: E402

# Number 7 subscribes to its own messages (1) and those of number 8 (2), and unsubscribes.
# Its own: 1 before SUBSCRIBE, 2 before SUBACK, 3 between, 4 before UNSUBACK, 5 behind it.
START = "B 1 77\nC 2 0\n"
END = "F 90\n"
RUN = (
    "P 10 1 1 1\n"
    "T 10 65100 1 3\n"
    "P 10 2 1 2\n"
    "A 11 1 1 1 0 0\n"
    "K 12 65100 2\n"
    "P 20 3 1 3\n"
    "A 21 2 1 2 0 0\n"
    "M 22 1 1 7 0 1 2\n"
    "M 22 2 1 7 0 1 3\n"
    "A 23 3 1 3 0 0\n"
    "T 40 65101 0 3\n"
    "P 40 4 1 4\n"
    "K 42 65101 0\n"
    "A 43 4 1 4 0 0\n"
    "P 50 5 1 5\n"
    "A 51 5 1 5 0 0\n")
GOT = START + RUN + END
# Number 8's: answered before SUBSCRIBE, sent before SUBACK, between, not answered before
# UNSUBSCRIBE, sent after UNSUBACK.
OTHER = (
    "B 1 78\nC 2 0\n"
    "P 5 1 1 1\nA 6 1 1 1 0 0\n"
    "P 11 2 1 2\nA 14 2 1 2 0 0\n"
    "P 20 3 1 3\nA 25 3 1 3 0 0\n"
    "P 39 4 1 4\nA 41 4 1 4 0 0\n"
    "P 60 5 1 5\nA 61 5 1 5 0 0\n"
    "F 90\n")

QUIET = "B 1 78\nC 2 0\nF 90\n"


def came(number, at, by=7, stream=1, packet=9):
    return f"M {at} {packet} {stream} {by} 0 {stream} {number}\n"


class Turners(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def turner(self, number, text, **more):
        path = pathlib.Path(self.folder.name) / str(number)
        path.write_text(text)
        filters = [7, 8] if number == 7 else []
        return intervals.read(intervals.Turner(f"t{number}", number, filters, **more), path)

    def kinds(self, got=GOT, other=OTHER, deaths=(), finished=True, **more):
        turners = [self.turner(7, got, **more), self.turner(8, other)]
        return sorted({v.kind for v in intervals.check(turners, deaths, finished)})

    def put(self, line, behind, text=GOT):
        """The ledger with a line more."""
        self.assertEqual(text.count(behind), 1, behind)
        return text.replace(behind, behind + line)

    def without(self, line, text=GOT):
        self.assertEqual(text.count(line), 1, line)
        return text.replace(line, "")


class Own(Turners):
    """What the app itself publishes."""

    def kinds(self, got=GOT, **more):
        return super().kinds(got, QUIET, **more)

    def test_a_clean_run(self):
        self.assertEqual(self.kinds(), [])

    def test_between_suback_and_unsubscribe_it_must_come(self):
        self.assertEqual(self.kinds(self.without("M 22 2 1 7 0 1 3\n")), ["lost"])

    def test_what_has_no_end_must_come(self):
        at = GOT.index("T 40")
        text = GOT[:at] + END
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(text.replace("M 22 2 1 7 0 1 3\n", "")), ["lost"])

    def test_what_was_not_accepted_need_not_come(self):
        text = self.without("M 22 2 1 7 0 1 3\n").replace("A 23 3 1 3 0", "A 23 3 1 3 151")
        self.assertEqual(self.kinds(text), [])

    def test_while_the_run_has_not_ended_it_may_still_come(self):
        self.assertEqual(self.kinds(self.without("M 22 2 1 7 0 1 3\n"), finished=False), [])

    def test_behind_subscribe_on_its_connection_it_must_come_too(self):
        self.assertEqual(self.kinds(self.without("M 22 1 1 7 0 1 2\n")), ["lost"])

    def test_answered_before_subscribe_it_must_not_come(self):
        text = self.put("A 10 1 1 1 0 0\n", "P 10 1 1 1\n", self.without("A 11 1 1 1 0 0\n"))
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.put(came(1, 22), "A 21 2 1 2 0 0\n", text)), ["stray"])

    def test_before_subscribe_on_its_connection_it_must_not_come(self):
        self.assertEqual(self.kinds(self.put(came(1, 22), "A 21 2 1 2 0 0\n")), ["stray"])

    def test_before_subscribe_at_qos_0(self):
        text = GOT.replace("P 10 1 1 1\n", "P 10 1 1 1\nP 10 0 0 1\n")
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.put(came(1, 22, stream=0, packet=0), "A 21 2 1 2 0 0\n",
                                             text)), ["stray"])

    def test_behind_unsubscribe_on_its_connection_it_must_not_come(self):
        self.assertEqual(self.kinds(self.put(came(4, 44), "A 43 4 1 4 0 0\n")), ["stray"])

    def test_behind_unsuback_it_must_not_come(self):
        self.assertEqual(self.kinds(self.put(came(5, 52), "A 51 5 1 5 0 0\n")), ["stray"])
        moved = self.put("D 45 end\nC 46 1\n", "A 43 4 1 4 0 0\n")
        self.assertEqual(self.kinds(moved), [])
        self.assertEqual(self.kinds(self.put(came(5, 52), "A 51 5 1 5 0 0\n", moved)), ["stray"])

    def test_it_may_come_late(self):
        late = self.put("M 60 2 1 7 0 1 3\n", "A 51 5 1 5 0 0\n",
                        self.without("M 22 2 1 7 0 1 3\n"))
        self.assertEqual(self.kinds(late), [])

    def test_in_no_case_before_the_suback(self):
        text = self.put("M 12 1 1 7 0 1 2\n", "A 11 1 1 1 0 0\n",
                        self.without("M 22 1 1 7 0 1 2\n"))
        self.assertEqual(self.kinds(text), ["early"])

    def test_before_the_suback_of_a_second_subscribe_it_may(self):
        text = self.put("T 24 65111 1 3\n" + came(3, 25) + "K 26 65111 2\n", "A 23 3 1 3 0 0\n",
                        self.without("M 22 2 1 7 0 1 3\n"))
        self.assertEqual(self.kinds(text), [])

    def test_what_was_sent_again_over_another_connection_may(self):
        """It was not answered when SUBSCRIBE was written, and is sent anew."""
        text = self.put("D 12 end\nC 12 1\nT 12 65110 1 3\n", "P 10 2 1 2\n",
                        GOT.replace("K 12 65100 2", "K 13 65110 2"))
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.put(came(1, 22), "A 21 2 1 2 0 0\n", text)), [])
        # it need not come either, as nobody has told it that it was subscribed
        self.assertEqual(self.kinds(self.without("M 22 1 1 7 0 1 2\n", text)), [])

    def test_an_unsubscribe_without_an_answer_may_have_done_it(self):
        text = self.put("D 41 end\nC 41 1\nT 41 65110 0 3\n", "P 40 4 1 4\n",
                        GOT.replace("K 42 65101", "K 42 65110"))
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.put(came(4, 44), "A 43 4 1 4 0 0\n", text)), [])
        self.assertEqual(self.kinds(self.without("M 22 2 1 7 0 1 3\n", text)), ["lost"])

    def test_another_connection_than_that_of_an_unanswered_unsubscribe(self):
        text = self.put("D 41 end\nC 41 1\nP 41 5 1 5\nA 42 5 1 5 0 0\n" + came(5, 42),
                        "P 40 4 1 4\n")
        text = text.replace("P 50 5 1 5\nA 51 5 1 5 0 0\n", "").replace("K 42", "K 44")
        self.assertEqual(self.kinds(text), [])

    def test_between_suback_and_unsubscribe_whenever_it_was_answered(self):
        late = self.put("A 41 3 1 3 0 0\n", "P 40 4 1 4\n", self.without("A 23 3 1 3 0 0\n"))
        self.assertEqual(self.kinds(late), [])
        self.assertEqual(self.kinds(self.without("M 22 2 1 7 0 1 3\n", late)), ["lost"])

    def test_on_a_new_connection_before_the_suback_it_may(self):
        """The SUBSCRIBE of the older one may have been carried out."""
        text = self.put("D 12 end\nC 12 1\nT 12 65110 1 3\n" + came(2, 12), "A 11 1 1 1 0 0\n",
                        GOT.replace("K 12 65100 2", "K 13 65110 2"))
        self.assertEqual(self.kinds(text), [])

    def test_what_is_held_for_a_client_of_3_1_1_has_the_place_of_its_last_copy(self):
        for text in (self.put(came(1, 22), "A 21 2 1 2 0 0\n"),
                     self.without("M 22 2 1 7 0 1 3\n")):
            self.assertEqual(self.kinds(text, held=True), [])
        self.assertEqual(self.kinds(self.put(came(5, 52), "A 51 5 1 5 0 0\n"), held=True),
                         ["stray"])

    def test_an_outbox_on_disk_keeps_the_order_of_a_connection(self):
        """What it has answered may leave when its client has come again."""
        answered = self.put("A 10 1 1 1 0 0\n", "P 10 1 1 1\n", self.without("A 11 1 1 1 0 0\n"))
        answered = self.put(came(1, 22), "A 21 2 1 2 0 0\n", answered)
        again = self.put("D 10 end\nC 10 1\n", "A 10 1 1 1 0 0\n", answered)
        for text, kinds in ((answered, ["stray"]), (again, [])):
            self.assertEqual(self.kinds(text, outbox=True), kinds)
            self.assertEqual(self.kinds(text), ["stray"])
        unanswered = self.without("K 12 65100 2\n", answered)
        unanswered = self.put("D 13 end\nC 13 1\nT 13 65110 1 3\nK 14 65110 2\n",
                              "P 10 2 1 2\n", unanswered)
        self.assertEqual(self.kinds(unanswered, outbox=True), [])
        self.assertEqual(self.kinds(unanswered), ["stray"])
        behind = self.put(came(4, 44), "A 43 4 1 4 0 0\n")
        unanswered = self.put("D 45 end\nC 45 1\nT 45 65111 0 3\nK 46 65111 0\n", came(4, 44),
                              self.without("K 42 65101 0\n", behind))
        self.assertEqual(self.kinds(behind, outbox=True), ["stray"])
        self.assertEqual(self.kinds(unanswered, outbox=True), [])
        self.assertEqual(self.kinds(unanswered), ["stray"])
        lost = self.without("M 22 2 1 7 0 1 3\n")
        again = self.put("D 24 end\nC 24 1\n", "A 23 3 1 3 0 0\n", lost)
        for text, kinds in ((lost, ["lost"]), (again, [])):
            self.assertEqual(self.kinds(text, outbox=True), kinds)
            self.assertEqual(self.kinds(text), ["lost"])

    def test_a_subscribe_that_is_refused(self):
        self.assertEqual(self.kinds(GOT.replace("K 12 65100 2", "K 12 65100 135")), ["subscribe"])

    def test_a_packet_without_an_answer(self):
        self.assertEqual(self.kinds(self.without(END)), ["unanswered"])

    def test_what_a_checker_of_all_finds(self):
        for line, kind in ((came(2, 24, stream=2), "invented"), ("X 24 1 9\n", "damaged"),
                           ("Z 24 packet type 3\n", "protocol"), ("D 24 end\nC 24 0\n", "session"),
                           ("M 24 9 2 7 0 1 3\n", "qos")):
            self.assertIn(kind, self.kinds(self.put(line, "A 23 3 1 3 0 0\n")))

    def test_twice_at_qos_2(self):
        text = self.put("P 24 6 2 1\nA 25 6 2 1 0 0\n" + came(1, 25, stream=2), "A 23 3 1 3 0 0\n")
        self.assertEqual(self.kinds(text), [])
        twice = self.put("L 26 9\n" + came(1, 27, stream=2), came(1, 25, stream=2), text)
        self.assertEqual(self.kinds(twice), ["duplicate"])

    def test_order(self):
        text = GOT.replace("M 22 1 1 7 0 1 2\nM 22 2 1 7 0 1 3\n",
                           "M 22 2 1 7 0 1 3\nM 22 1 1 7 0 1 2\n")
        self.assertEqual(self.kinds(text), ["order"])

    def test_order_of_what_was_sent_again(self):
        """The first copy of 2 found no subscription, so far as anybody knows."""
        text = self.put("D 24 end\nC 24 1\n", "A 23 3 1 3 0 0\n", GOT.replace(
            "A 21 2 1 2 0 0\nM 22 1 1 7 0 1 2\nM 22 2 1 7 0 1 3\n", "M 22 2 1 7 0 1 3\n"))
        text = self.put("A 25 2 1 2 0 0\n" + came(2, 26), "C 24 1\n", text)
        self.assertEqual(self.kinds(text), [])


class Others(Turners):
    """What another one publishes."""

    def got(self, *numbers):
        return self.put("".join(came(n, 30, by=8) for n in numbers), "A 23 3 1 3 0 0\n")

    def test_what_must_and_what_may_come(self):
        for numbers in ((3,), (2, 3), (3, 4), (2, 3, 4)):
            self.assertEqual(self.kinds(self.got(*numbers)), [])

    def test_what_was_sent_after_suback_must_come(self):
        self.assertEqual(self.kinds(self.got(2)), ["lost"])
        self.assertEqual(self.kinds(self.got()), ["lost"])

    def test_what_was_not_answered_before_unsubscribe_need_not(self):
        late = OTHER.replace("A 25 3 1 3", "A 40 3 1 3")
        self.assertEqual(self.kinds(self.got(), late), [])

    def test_what_was_sent_in_the_same_ms_as_suback_need_not(self):
        self.assertEqual(self.kinds(self.got(), OTHER.replace("P 20 3", "P 12 3")), [])

    def test_what_was_answered_before_subscribe_must_not_come(self):
        self.assertEqual(self.kinds(self.got(1, 3)), ["stray"])
        self.assertEqual(self.kinds(self.got(1, 3), OTHER.replace("A 6 1 1 1", "A 10 1 1 1")), [])

    def test_what_was_sent_after_unsuback_must_not_come(self):
        self.assertEqual(self.kinds(self.put(came(5, 62, by=8), "A 51 5 1 5 0 0\n",
                                             self.got(3))), ["stray"])

    def test_the_time_of_the_other_counts_not_the_place_in_a_ledger(self):
        late = OTHER.replace("P 11 2 1 2\nA 14 2 1 2 0 0\n", "P 13 2 1 2\nA 14 2 1 2 0 0\n")
        self.assertEqual(self.kinds(self.got(3), late), ["lost"])
        self.assertEqual(self.kinds(self.got(2, 3), late), [])

    def test_before_the_suback(self):
        text = self.put(came(2, 12, by=8), "A 11 1 1 1 0 0\n", self.got(3))
        self.assertEqual(self.kinds(text), ["early"])

    def test_before_the_subscribe(self):
        text = self.put(came(2, 12, by=8), "P 10 1 1 1\n", self.got(3))
        self.assertEqual(self.kinds(text), ["stray"])

    def test_complete(self):
        for more, whole in (({}, False), ({"transient": True}, True)):
            turners = [self.turner(7, self.got(), **more), self.turner(8, OTHER)]
            self.assertEqual(intervals.complete(turners), whole)
        turners = [self.turner(7, self.got(3)), self.turner(8, OTHER)]
        self.assertTrue(intervals.complete(turners))

    def test_another_filter_is_no_window(self):
        text = self.got(3).replace("T 10 65100 1 3", "T 10 65100 1 1")
        self.assertEqual(self.kinds(text), ["stray"])

    def test_a_second_window(self):
        again = "T 70 65102 1 2\nK 71 65102 2\n"
        text = self.put(again, "A 51 5 1 5 0 0\n", self.got(3))
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.put(came(5, 72, by=8), again, text)), ["stray"])
        more = OTHER.replace("F 90\n", "P 80 6 1 6\nA 81 6 1 6 0 0\nF 90\n")
        self.assertEqual(self.kinds(text, more), ["lost"])
        self.assertEqual(self.kinds(self.put(came(6, 82, by=8), again, text), more), [])


class Transient(Turners):
    """Sessions that end with their connections, and with their broker."""

    def kinds(self, got, deaths=(), **more):
        return super().kinds(got, QUIET, deaths, transient=True, **more)

    def test_a_clean_run(self):
        self.assertEqual(self.kinds(GOT), [])

    def test_a_gap(self):
        """There is one where the broker has died, and else none; what has not come at the end
        of the connection is none."""
        text = GOT.replace("A 23 3 1 3 0 0\n", "A 23 3 1 3 0 0\nP 24 4 1 4\nA 25 4 1 4 0 0\n" +
                           came(4, 26))
        text = text.replace("P 40 4 1 4\n", "").replace("A 43 4 1 4 0 0\n", "")
        self.assertEqual(self.kinds(text), [])
        self.assertEqual(self.kinds(self.without(came(4, 26), text)), [])
        gap = self.without("M 22 2 1 7 0 1 3\n", text)
        self.assertEqual(self.kinds(gap), ["lost"])
        self.assertEqual(self.kinds(gap, deaths=[22]), [])
        self.assertEqual(self.kinds(gap, deaths=[1]), ["lost"])

    def test_a_connection_without_a_session_is_a_new_interval(self):
        """What was sent after SUBACK does not come any more, nor must it."""
        text = START + RUN[:RUN.index("T 40")].replace("M 22 2 1 7 0 1 3\n", "") + \
            "D 30 end\nC 31 0\nT 32 65101 1 3\nK 33 65101 2\n"
        sent = "P 34 8 1 4\nA 35 8 1 4 0 0\n"
        self.assertEqual(self.kinds(text + sent + came(4, 36) + END), [])
        self.assertEqual(self.kinds(text + came(3, 34) + END), ["stray"])
        self.assertEqual(self.kinds(
            text.replace("C 31 0\nT 32", "C 31 0\nP 31 8 1 4\nA 31 8 1 4 0 0\nT 32") +
            came(4, 34) + END), ["stray"])

    def test_what_had_no_answer_when_the_broker_died_has_no_place(self):
        text = self.put(came(1, 22), "A 21 2 1 2 0 0\n")
        self.assertEqual(self.kinds(text), ["stray"])
        self.assertEqual(self.kinds(text, deaths=[10]), [])
        self.assertEqual(self.kinds(text, deaths=[30]), ["stray"])
        # a durable session is as it was
        self.assertEqual(Turners.kinds(self, text, QUIET, [10]), ["stray"])


if __name__ == "__main__":
    unittest.main()

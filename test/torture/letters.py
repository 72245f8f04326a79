"""The checker of what may end as a dead letter: every acknowledged message is in a queue,
a letter, an app's ledger or a counter."""

import collections
import dataclasses

import checker
from checker import Violation, some

WINDOW = 20  # unfinished publishes of a stream, as app.c has it


def twice(messages):
    return [m for m, n in collections.Counter(messages).items() if n > 1]


def exactly_once(stream, qos=2):
    return min(checker.STREAM_QOS[stream], qos) == 2


def by_stream(messages):
    """{(publisher, stream): [number]} of (publisher, stream, number)."""
    out = collections.defaultdict(list)
    for p, stream, n in messages:
        out[p, stream].append(n)
    return out


def shown(found):
    return "; ".join(f"publisher {p} stream {s}: {some(numbers)}"
                     for (p, s), numbers in sorted(by_stream(found).items()))


# ---- a queue whose pods are replaced

@dataclasses.dataclass
class Rollout:
    """members: ledger.Received of every app of its pods; letters: of that queue."""
    name: str
    members: list
    letters: list
    qos: int          # of its declaration
    kills: int        # of its apps: connections that broke
    receive_max: int  # of its apps

    def target(self):
        return checker.Target(self.name, self.members, self.qos)

    def missing(self, publishers):
        """What was acknowledged and is neither in a ledger nor a letter."""
        dead = {letter.message for letter in self.letters}
        lost = checker.missing(publishers, self.target())
        return [(p, s, n) for (p, s), numbers in lost.items() for n in numbers
                if (p, s, n) not in dead]


def rollout_reasons(r):
    """An attempt counts where an app's connection broke, and nowhere else; what QoS 2 has not
    finished when its session ends may go to nobody else."""
    tried = [x.message for x in r.letters if x.reason == "attempts"]
    if len(tried) > r.kills * r.receive_max:
        yield Violation("attempt", r.name, f"{len(tried)} letters of messages tried too often, "
                        f"with {r.kills} connections that broke: {shown(tried)}")
    other = [x for x in r.letters if x.reason != "attempts" and not (
        x.reason == "unfinished" and exactly_once(x.stream, r.qos))]
    for reason in sorted({x.reason for x in other}):
        yield Violation("letter", r.name, f"reason {reason}: " + shown(
            x.message for x in other if x.reason == reason))


def check_rollout(publishers, r, finished=True):
    if finished and (lost := r.missing(publishers)):
        yield Violation("lost", r.name, f"acknowledged, in no ledger and no letter: {shown(lost)}")
    yield from checker.check_copies(publishers, r.target())
    yield from checker.check_qos(r.target())
    if again := twice(x.message for x in r.letters if exactly_once(x.stream)):
        yield Violation("duplicate", r.name, f"two letters each: {shown(again)}")
    yield from rollout_reasons(r)
    for m in r.members:
        yield from (Violation(kind, m.name, text) for kind, text in m.wrong)


def check_refusals(publishers, excused=()):
    """With room on the disk nobody is refused: queues that are taken from don't get full, one that
    is not makes room, and full letters stop no QoS 3. 'excused' are times, (from ms, to ms), in
    which a refusal is right."""
    for p in publishers:
        for stream in (1, 2, 3):
            refused = [n for n, code in p.acked[stream].items() if code >= 0x80 and not any(
                p.begun[stream][n] <= to and p.finished[stream][n] >= since
                for since, to in excused)]
            if refused:
                yield Violation("refused", p.name, f"stream {stream}: {some(refused)}")


# ---- a queue that nobody takes from

@dataclasses.dataclass
class Counted:
    """A counter of the broker, read again and again: what the last reading of each of its
    lives came to, and the times, from the last reading of a life to its end, of which nobody
    knows what was counted."""
    sum: int = 0
    blind: list = dataclasses.field(default_factory=list)  # (from ms, to ms)


@dataclasses.dataclass
class Spill:
    """queue: ledger.Received of who took from it at the end; letters: of all dead letters of
    its space, some of them taken before the end or not."""
    name: str
    queue: object
    letters: object
    dropped: Counted
    taken: bool          # letters were taken while more came
    queue_bound: int
    letters_bound: int

    def left(self):
        """What is there, the letters first."""
        return [x.message for x in self.letters.letters] + [
            (p, s, n) for (p, s), numbers in self.queue.got.items() for n in numbers]

    def missing(self, publishers):
        left = set(self.left())
        return [(p, s, n) for p, published in publishers.items() for s in (1, 2, 3)
                for n in published.accepted(s) if (p, s, n) not in left]


def spill_places(publishers, s):
    """Each message is in one place."""
    left = s.left()
    if again := twice(m for m in left if exactly_once(m[1])):
        yield Violation("duplicate", s.name, f"in two places, or twice in one: {shown(again)}")
    if invented := [(p, st, n) for p, st, n in set(left)
                    if p not in publishers or not 1 <= n <= publishers[p].sent[st]]:
        yield Violation("invented", s.name, shown(invented))
    for x in s.letters.letters:
        if (x.reason, x.queue) != ("abandoned", s.name):
            yield Violation("letter", s.name, f"{x}")


def spill_order(publishers, s):
    """Letters are older than what is in the queue, and each has its order, but for messages that
    were published again: the queue refuses, so their order may be another. Of QoS 1 a copy that
    was published again may be all that is left of a message."""
    again = checker.published_again(publishers)
    for (p, stream), numbers in checker.ordered(by_stream(s.left()), (), again).items():
        if stream == 1 and s.taken:
            continue
        first = [n for n in dict.fromkeys(numbers) if stream != 1 or n >= numbers[0]]
        late = [(a, b) for a, b in zip(first, first[1:]) if b < a]
        if late:
            yield Violation("order", s.name, f"publisher {p} stream {stream}: {late[0][1]} "
                            f"came after {late[0][0]}, and {len(late) - 1} more")


def spill_suffix(publishers, s, missing):
    """Only the oldest letters leave, and only where there are as many as may be."""
    left, gone = by_stream(s.left()), by_stream(missing)
    again = checker.published_again(publishers)
    for key, numbers in checker.ordered(gone, (), again).items():
        if key in left and (late := [n for n in numbers if n > min(left[key])]):
            yield Violation("lost", s.name, f"publisher {key[0]} stream {key[1]}: {some(late)} "
                            f"acknowledged, in no queue and no letter, and older ones are")
    if missing and len(s.letters.letters) < s.letters_bound:
        yield Violation("lost", s.name, f"{len(missing)} left the letters, of which there are "
                        f"{len(s.letters.letters)}, with room for {s.letters_bound}")
    in_queue = sum(map(len, s.queue.got.values()))
    if s.letters.letters and in_queue < s.queue_bound:
        yield Violation("letter", s.name, f"letters were made of a queue that has {in_queue} "
                        f"messages, with room for {s.queue_bound}")


def spill_unseen(published, blind):
    """How many messages a broker may have put, each in place of an older one, while nobody
    saw what it counted: of QoS 1 a copy in each life."""
    out = 0
    for stream in (1, 2, 3):
        for n, begun in published.begun[stream].items():
            times = sum(begun <= to and published.finished[stream].get(n, to) >= since
                        for since, to in blind)
            out += times if stream == 1 else min(times, 1)
    return out


def spill_counter(publishers, s, missing):
    """What is nowhere was counted, and not more was counted than that."""
    unseen = sum(spill_unseen(published, s.dropped.blind) for published in publishers.values())
    if len(missing) > s.dropped.sum + unseen:
        yield Violation("lost", s.name, f"{len(missing)} are nowhere, {s.dropped.sum} were counted "
                        f"as dropped, at most {unseen} more where nobody could read the counter")
    # published again: copies of QoS 1, and what a dead broker counted and did not commit
    again = 2 * WINDOW * (len(s.dropped.blind) * len(publishers) +
                          sum(p.connections - 1 for p in publishers.values()))
    if s.dropped.sum > len(missing) + again:
        yield Violation("counter", s.name, f"{s.dropped.sum} were counted as dropped, "
                        f"{len(missing)} are nowhere, at most {again} were published again")


def check_spill(publishers, s):
    missing = s.missing(publishers)
    yield from spill_places(publishers, s)
    yield from spill_order(publishers, s)
    if not s.taken:
        yield from spill_suffix(publishers, s, missing)
    yield from spill_counter(publishers, s, missing)
    for m in (s.queue, s.letters):
        yield from (Violation(kind, m.name, text) for kind, text in m.wrong)

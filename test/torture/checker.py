"""Finds what was lost, doubled, reordered or damaged, from ledgers alone."""

import collections
import dataclasses

from ledger import STREAM_QOS

NO_MATCH = 0x10
QUOTA = 0x97
LATE_MS = 5000  # schedule.LONGEST_S, and some


@dataclasses.dataclass
class Target:
    """Where every message goes once: a session, or the members of a group."""
    name: str
    members: list        # ledger.Received
    qos: int = 2         # of its subscription
    transient: bool = False

    def delivered_qos(self, stream):
        return min(self.qos, STREAM_QOS[stream])

    def got(self, key):
        return [n for m in self.members for n in m.got.get(key, ())]


@dataclasses.dataclass
class Violation:
    kind: str
    who: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.who}: {self.text}"


def some(numbers, most=6):
    numbers = sorted(numbers)
    shown = ", ".join(map(str, numbers[:most]))
    return f"{len(numbers)} ({shown}{', …' if len(numbers) > most else ''})"


def missing(publishers, target):
    """{(publisher, stream): numbers} that were acknowledged and did not come."""
    out = {}
    for p, published in publishers.items():
        for stream in (1, 2, 3):
            if target.delivered_qos(stream) == 0:
                continue
            lost = set(published.accepted(stream)) - set(target.got((p, stream)))
            if lost:
                out[p, stream] = lost
    return out


def complete(publishers, targets):
    """Whether all has arrived where it is owed."""
    return not any(missing(publishers, t) for t in targets if not t.transient)


def check_lost(publishers, target):
    for (p, stream), lost in missing(publishers, target).items():
        yield Violation("lost", target.name,
                        f"publisher {p} stream {stream}: {some(lost)} acknowledged, never came")


def earliest(member, at):
    """When what an app has written down at 'at' may have left the broker: while the app or its
    sidecar is stopped it is on its way, but not for longer than its connection is there."""
    return max([start for start, _, _ in member.connections if start <= at][-1:] + [at - LATE_MS])


def died_between(member, key, n, deaths_ms):
    """Whether the broker died between any two copies of a message."""
    at = [t for t, number in zip(member.at[key], member.got[key]) if number == n]
    return all(any(earliest(member, a) <= t <= b for t in deaths_ms) for a, b in zip(at, at[1:]))


def check_copies(publishers, target, broker_deaths_ms=()):
    """A transient session ends with its broker. What that had not committed yet, or
    not told anybody of, is published again into the next one."""
    for p, published in publishers.items():
        for stream in range(4):
            got = target.got((p, stream))
            where = f"publisher {p} stream {stream}"
            if invented := [n for n in set(got) if not 1 <= n <= published.sent[stream]]:
                yield Violation("invented", target.name, f"{where}: {some(invented)}")
            if target.delivered_qos(stream) == 1:
                continue
            twice = [n for n, c in collections.Counter(got).items() if c > 1]
            if target.transient:
                twice = [n for n in twice if not died_between(
                    target.members[0], (p, stream), n, broker_deaths_ms)]
            if twice:
                yield Violation("duplicate", target.name, f"{where}: {some(twice)} came twice")


def out_of_order(target, got):
    for (p, stream), numbers in got.items():
        first = list(dict.fromkeys(numbers))
        if target.transient and stream == 1:
            # what was published before its session may be published to it again
            first = [n for n in first if n >= first[0]]
        late = [(a, b) for a, b in zip(first, first[1:]) if b < a]
        if late:
            yield Violation("order", target.name, f"publisher {p} stream {stream}: {late[0][1]} "
                            f"came after {late[0][0]}, and {len(late) - 1} more")


def ordered(got, unordered, again):
    """What has a certain order of what came."""
    return {key: [n for n in numbers if n not in again.get(key, ())]
            for key, numbers in got.items() if key[0] not in unordered}


def check_order(target, broker_deaths_ms, unordered=(), again={}):
    """First copies come in order; among members of a group nobody can tell. A
    transient session starts anew with each connection, and has a gap where its
    broker died: what is published to it again later is no first copy."""
    if len(target.members) != 1:
        return
    if not target.transient:
        yield from out_of_order(target, ordered(target.members[0].got, unordered, again))
        return
    for start, end, got in target.members[0].connections:
        if any(start <= t <= (end or t) for t in broker_deaths_ms):
            got = {key: numbers for key, numbers in got.items() if key[1] != 1}
        yield from out_of_order(target, ordered(got, unordered, again))


def check_qos(target):
    for m in target.members:
        for (_, stream), seen in m.qos.items():
            if seen != {target.delivered_qos(stream)}:
                yield Violation("qos", m.name, f"stream {stream} came with QoS {sorted(seen)}, "
                                f"not {target.delivered_qos(stream)}")


def gaps(order, owed, got):
    """How many runs of 'owed' between the first and the last of 'got' are not in it, where
    'order' says what lies between which. What lies before the first that came is a copy of
    what was published before the session began."""
    have, owed, runs, inside = set(got), set(owed), 0, False
    place = {n: i for i, n in enumerate(order)}
    at = [place[n] for n in got if n in place]
    for n in order[at[0]:max(at)] if at else ():
        if n not in owed:
            continue
        if n not in have and not inside:
            runs += 1
        inside = n not in have
    return runs


def orders_of_acceptance(targets, unordered):
    """{(publisher, stream): [n]} of publishers for whom somebody publishes again: the order
    in which the broker took what they sent, as the durable session saw it that got most.
    What was refused at first is among those that the broker took when it was sent again."""
    out = {}
    for t in targets:
        if t.transient or len(t.members) != 1:
            continue
        for key, numbers in t.members[0].got.items():
            first = list(dict.fromkeys(numbers))
            if key[0] in unordered and len(first) > len(out.get(key, ())):
                out[key] = first
    return out


def check_transient(publishers, target, broker_deaths_ms, orders, again={}):
    """While it is connected a transient session gets everything, but for one gap
    for each death of its broker."""
    for m in target.members:
        for start, end, got in m.connections:
            deaths = sum(start <= t <= (end or t) for t in broker_deaths_ms)
            for (p, stream), numbers in got.items():
                if target.delivered_qos(stream) == 0 or p not in publishers:
                    continue
                owed = [n for n in publishers[p].accepted(stream)
                        if n not in again.get((p, stream), ())]
                order = orders.get((p, stream)) or sorted({*owed, *numbers})
                found = gaps(order, owed, numbers)
                if found > deaths:
                    yield Violation("lost", m.name, f"publisher {p} stream {stream}: {found} gaps "
                                    f"from {start} to {end} ms, with {deaths} deaths of the broker")


def check_publisher(published, finished):
    for kind, text in published.wrong:
        yield Violation(kind, published.name, text)
    for stream in (1, 2, 3):
        codes = published.acked[stream]
        nobody = [n for n, code in codes.items() if code == NO_MATCH]
        if nobody:
            yield Violation("unmatched", published.name,
                            f"stream {stream}: {some(nobody)} answered 0x10, with subscribers there")
        refused = {code for code in codes.values() if code >= 0x80} - {QUOTA}
        if refused:
            yield Violation("refused", published.name, f"stream {stream}: reason codes "
                            f"{sorted(map(hex, refused))}")
        left = published.unanswered(stream) if finished else []
        if left:
            yield Violation("unanswered", published.name, f"stream {stream}: {some(left)}")


def published_again(publishers):
    """{(publisher, stream): numbers}."""
    return {(p, stream): published.again[stream]
            for p, published in publishers.items() for stream in range(4)}


def check(publishers, targets, broker_deaths_ms=(), finished=True, unordered=(), refuses=False):
    """All violations. publishers: {number: ledger.Published}; finished: every
    publisher had the time to end; unordered: publishers for whom somebody publishes again
    what a full disk has refused, so that it comes later; refuses: the disk may be full, so
    that what a publisher itself sends again may come later, too."""
    orders = orders_of_acceptance(targets, unordered)
    again = published_again(publishers) if refuses else {}
    out = []
    for published in publishers.values():
        out += check_publisher(published, finished)
    for target in targets:
        for m in target.members:
            out += [Violation(kind, m.name, text) for kind, text in m.wrong]
        if target.transient:
            out += check_transient(publishers, target, broker_deaths_ms, orders, again)
        elif finished:
            out += check_lost(publishers, target)
        out += check_copies(publishers, target, broker_deaths_ms)
        out += check_order(target, broker_deaths_ms, unordered, again)
        out += check_qos(target)
    return out

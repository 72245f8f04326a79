"""The checker of who subscribes and unsubscribes while messages are published.

Of each filter there are windows, from SUBSCRIBE to UNSUBSCRIBE:

  SUBSCRIBE written   SUBACK read         UNSUBSCRIBE written   UNSUBACK read
        | may              | must                 | may              |
        open              sure                   shut               gone

What was sent between 'sure' and 'shut' must come; what was answered before 'open' or sent after
'gone' must not; the rest may. A session that is not there any more is gone with the CONNACK
that says so. What the app itself has published is told by its place in the ledger, and the
order of one connection binds it: written, and answered, on the connection of the SUBSCRIBE or
the UNSUBSCRIBE it is before or behind it, answered or not. What others have published is
told by the clock of the machine, which all ledgers have; to be before an UNSUBSCRIBE it has
to be answered by then, as it came another way."""

import collections
import dataclasses

import checker
import ledger
from checker import Violation, some

@dataclasses.dataclass
class Place:
    """Where something stands: in the ledger, by the clock (ms), in which connection."""
    pos: float
    at: float
    connection: int


@dataclasses.dataclass
class Window:
    """From a SUBSCRIBE to an UNSUBSCRIBE of one filter."""
    open: Place
    sure: Place = None
    shut: Place = None
    gone: Place = None
    lost: Place = None  # its session, and what was queued


@dataclasses.dataclass
class Turner:
    """What one who turns has done. filters: whose messages each bit of its masks means."""
    name: str
    number: int          # as a publisher
    filters: list
    transient: bool = False
    held: bool = False   # what was refused is sent again without its knowing
    refuses: bool = False  # what the broker takes it may refuse at first: its disk may be full
    outbox: bool = False  # what it publishes is answered by a disk, and goes on from there
    published: ledger.Published = None
    received: ledger.Received = None
    windows: list = None  # of each filter
    sent: dict = dataclasses.field(default_factory=dict)      # (stream, number): Place
    answered: dict = dataclasses.field(default_factory=dict)  # (stream, number): Place
    # (publisher, stream): [(number, Place)], in the order of arrival
    came: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    connections: int = 0
    turns: int = 0
    rests: bool = False
    wrong: list = dataclasses.field(default_factory=list)


class Replay:
    """Reads the windows from a ledger."""

    def __init__(self, turner):
        self.turner = turner
        self.asked = {}  # packet id: (on, mask, the windows that it is about)

    def connected(self, words, place):
        self.turner.connections += 1
        if words[2] != "0":
            return
        self.asked.clear()
        for windows in self.turner.windows:
            for w in windows:
                w.shut = w.shut or place
                w.gone = w.gone or place
                w.lost = w.lost or place

    def ask(self, words, place):
        on, mask, about = words[3] == "1", int(words[4]), []
        self.turner.turns += 1
        for bit, windows in enumerate(self.turner.windows):
            if not mask >> bit & 1:
                continue
            if on and not (windows and windows[-1].shut is None):
                windows.append(Window(place))
            if on:
                about.append(windows[-1])
                continue
            about += [w for w in windows if w.gone is None]
            for w in about:
                w.shut = w.shut or place
        self.asked[words[2]] = on, about

    def answer(self, words, place):
        on, about = self.asked.pop(words[2], (None, ()))
        if int(words[3]) >= 0x80:
            self.turner.wrong.append(("subscribe", f"answered with {words[3]} at {words[1]} ms"))
        for w in about:
            if on:
                w.sure = w.sure or place
            else:
                w.gone = w.gone or place


def read(turner, path):
    """Fills what the ledger says."""
    turner.published = ledger.read_publisher(turner.name, path, turner.transient)
    turner.received = ledger.read_subscriber(turner.name, path, turner.transient)
    turner.windows = [[] for _ in turner.filters]
    replay = Replay(turner)
    for pos, w in enumerate(ledger.lines(path)):
        place = Place(pos, int(w[1]), turner.connections)
        if w[0] == "C":
            replay.connected(w, place)
        elif w[0] == "T":
            replay.ask(w, place)
        elif w[0] == "K":
            replay.answer(w, place)
        elif w[0] == "P":
            turner.sent[int(w[3]), int(w[4])] = place
        elif w[0] == "A":
            turner.answered[int(w[3]), int(w[4])] = place
        elif w[0] == "M":
            turner.came[int(w[4]), int(w[6])].append((int(w[7]), place))
        elif w[0] == "F":
            turner.rests = True
    return turner


class Judge:
    """Says of a message of 'publisher' and a window of 'to' what is owed."""

    def __init__(self, to, publisher, deaths_ms):
        self.to = to
        self.by = publisher
        self.own = to is publisher
        # a transient session's own order ends where its broker dies
        self.deaths_ms = deaths_ms if to.transient else ()

    def before(self, a, b):
        """Whether all of it that is at 'a' comes before what is at 'b'."""
        return a is not None and b is not None and (a.pos < b.pos if self.own else a.at < b.at)

    def keeps(self, sent, turn, answer):
        """Whether a message and a turn stay in their order. What an outbox on disk has answered
        may leave much later; it waits for the turn, or the turn for it, on the connection of
        both, if that has lived to see the turn's answer."""
        return not self.by.outbox or answer is not None and \
            sent.connection == turn.connection == answer.connection

    def died(self, since, until):
        """Whether the broker died in between, or soon enough after that a copy was sent again."""
        return any(since <= t <= until for t in self.deaths_ms)

    def in_order(self, key, turn, answer):
        """Whether the order of one connection tells the message from the turn: both are the
        app's own and were written on one connection, which has lived to see the answer."""
        sent, done = self.by.sent[key], self.by.answered.get(key)
        if not self.own or self.to.held or sent.connection != turn.connection or \
                not self.keeps(sent, turn, answer):
            return False
        if key[0] == 0:  # never sent again by the app
            return not self.died(sent.at, sent.at + checker.LATE_MS)
        return done is not None and done.connection == sent.connection and \
            not self.died(sent.at, done.at)

    def must_not(self, key, w):
        sent, done = self.by.sent[key], self.by.answered.get(key)
        if self.before(w.gone, sent) or key[0] > 0 and self.before(done, w.open) and \
                self.keeps(sent, w.open, w.sure):
            return True
        return self.before(sent, w.open) and self.in_order(key, w.open, w.sure) or \
            w.shut is not None and self.before(w.shut, sent) and \
            self.in_order(key, w.shut, w.gone)

    def must(self, key, w):
        """Of a message that was accepted."""
        if key[0] == 0 or w.sure is None or self.by.held:
            return False
        sent, done = self.by.sent[key], self.by.answered[key]
        if self.by.refuses and sent.connection != done.connection:
            return False
        since = w.sure
        if self.own and w.open.connection == w.sure.connection == sent.connection:
            since = w.open
        if not self.before(since, sent):
            return False
        return w.shut is None or self.before(sent if self.own else done, w.shut) and \
            self.keeps(sent, w.shut, w.gone)


def owed(judge, stream, windows):
    """The numbers of a stream that must come."""
    return [n for n in judge.by.published.accepted(stream)
            if any(judge.must((stream, n), w) for w in windows)]


def check_must_not(judge, windows):
    """What came, and was in no window; and what came before the SUBACK of its own."""
    to, by = judge.to, judge.by
    for stream in range(3):
        stray, early = [], []
        for n, place in to.came.get((by.number, stream), ()):
            if (stream, n) not in by.sent:
                continue  # invented: check_copies() says so
            may = [w for w in windows if w.open.pos < place.pos and
                   (w.lost is None or place.pos < w.lost.pos) and
                   not judge.must_not((stream, n), w)]
            if not may:
                stray.append(n)
            elif all(w.open.connection == place.connection and w.sure is not None and
                     w.sure.connection == place.connection and w.sure.pos > place.pos
                     for w in may):
                early.append(n)
        where = f"publisher {by.number} stream {stream}"
        if stray:
            yield Violation("stray", to.name, f"{where}: {some(stray)} came, and was published "
                            "when nobody had subscribed")
        if early:
            yield Violation("early", to.name, f"{where}: {some(early)} came before the SUBACK")


def missing(judge, windows):
    """{stream: numbers} that must have come to a session that is never lost."""
    out = {}
    for stream in (1, 2):
        got = {n for n, _ in judge.to.came.get((judge.by.number, stream), ())}
        if lost := set(owed(judge, stream, windows)) - got:
            out[stream] = lost
    return out


def check_transient(judge, windows, deaths_ms):
    """A connection of a transient session has one gap for each death of the broker."""
    to, by = judge.to, judge.by
    starts = [start for start, _, _ in to.received.connections]
    for stream in (1, 2):
        came = collections.defaultdict(list)
        for n, place in to.came.get((by.number, stream), ()):
            came[place.connection].append(n)
        for connection, numbers in came.items():
            due = owed(judge, stream, [w for w in windows if w.open.connection == connection])
            start, end, _ = to.received.connections[connection - 1]
            deaths = sum(start <= t <= (end or t) for t in deaths_ms)
            found = checker.gaps(sorted({*due, *numbers}), due, numbers)
            if found > deaths:
                yield Violation("lost", to.name, f"publisher {by.number} stream {stream}: {found} "
                                f"gaps from {starts[connection - 1]} ms on, with {deaths} deaths "
                                "of the broker")


def steady(target, turners):
    """Without what was sent again at QoS 1 over another connection: its first copy may have
    found no subscription."""
    again = {(t.number, n) for t in turners for (stream, n), sent in t.sent.items() if stream == 1
             and (done := t.answered.get((stream, n))) is not None and
             done.connection != sent.connection}

    def without(got):
        return {key: [n for n in numbers if key[1] != 1 or (key[0], n) not in again]
                for key, numbers in got.items()}
    member = target.members[0]
    out = ledger.Received(target.name, without(member.got))
    out.connections = [(start, end, without(got)) for start, end, got in member.connections]
    return dataclasses.replace(target, members=[out])


def pairs(turners, deaths_ms):
    """(judge, windows) of each filter."""
    numbers = {t.number: t for t in turners}
    for to in turners:
        for number, windows in zip(to.filters, to.windows):
            yield Judge(to, numbers[number], deaths_ms), windows


def complete(turners):
    return not any(missing(judge, windows) for judge, windows in pairs(turners, ())
                   if not judge.to.transient)


def check(turners, broker_deaths_ms=(), finished=True):
    """All violations; finished: they had the time to come to rest, and to get all."""
    out = []
    for judge, windows in pairs(turners, broker_deaths_ms):
        out += check_must_not(judge, windows)
        if judge.to.transient:
            out += check_transient(judge, windows, broker_deaths_ms)
        elif finished:
            out += [Violation("lost", judge.to.name, f"publisher {judge.by.number} stream {s}: "
                              f"{some(lost)} published between SUBACK and UNSUBSCRIBE, never came")
                    for s, lost in missing(judge, windows).items()]
    for t in turners:
        target = checker.Target(t.name, [t.received], 2, t.transient)
        published = {other.number: other.published for other in turners
                     if other.number in t.filters}
        out += [Violation(kind, t.name, text) for kind, text in
                dict.fromkeys([*t.published.wrong, *t.received.wrong, *t.wrong])]
        out += checker.check_copies(published, target, broker_deaths_ms)
        out += checker.check_order(steady(target, turners), broker_deaths_ms,
                                   [other.number for other in turners if other.held],
                                   checker.published_again(published) if t.refuses else {})
        out += checker.check_qos(target)
        if finished and not t.rests:
            out.append(Violation("unanswered", t.name, "it does not come to rest"))
    return out

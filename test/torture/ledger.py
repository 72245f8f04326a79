"""The ledgers that torture-app writes, one line per event:

  B t pid              a life of the app begins
  C t present          CONNACK: whether the session was there
  D t why              the connection has ended
  E t                  the app has ended by itself, all finished
  F t                  one who turns has come to rest: all that it asked for is answered
  publisher:
  P t id s n           about to send number n of stream s for the first time
  R t id code          PUBREC has come
  A t id s n code c    finished with this reason code; c is PUBCOMP's
  G t id s n           given up: the session is a new one
  subscriber:
  S t code             SUBACK
  M t id qos p dup s n [reason queue]
                       a message of publisher p for the app (QoS 2: a new packet id); with
                       why it died and where if it is a dead letter
  I t id p s n         a message with a packet id that is held: not for the app
  L t id               PUBREL: the id is not held any more
  X t qos id           a message that nobody published
  Q t code             DISCONNECT from the server
  Z t text             something that MQTT forbids
  who turns, a publisher and a subscriber that subscribes and unsubscribes as it publishes:
  T t id on mask       about to send SUBSCRIBE (on is 1) or UNSUBSCRIBE (0) of the filters in mask
  K t id code          SUBACK or UNSUBACK, with the worst of its codes

t is CLOCK_MONOTONIC in ms. Stream 0 to 2 is of that QoS; 3 is QoS 3. A line
that a kill has torn ends in " torn" and does not count."""

import collections
import dataclasses

STREAM_QOS = (0, 1, 2, 2)
FAILURE = 0x80


@dataclasses.dataclass
class Published:
    """What one publisher did."""
    name: str
    sent: list = dataclasses.field(default_factory=lambda: [0] * 4)    # last number
    acked: list = dataclasses.field(default_factory=lambda: [{} for _ in range(4)])  # n: code
    given_up: list = dataclasses.field(default_factory=lambda: [set() for _ in range(4)])
    wrong: list = dataclasses.field(default_factory=list)  # (kind, text)
    ended: bool = False
    begun: list = dataclasses.field(default_factory=lambda: [{} for _ in range(4)])     # n: ms
    finished: list = dataclasses.field(default_factory=lambda: [{} for _ in range(4)])  # n: ms
    connections: int = 0
    again: list = dataclasses.field(default_factory=lambda: [set() for _ in range(4)])

    def connected(self):
        """Messages that wait for their answer are published again. Of these an earlier one may
        have been refused and a later one taken before, without this publisher hearing of it:
        they come in no certain order."""
        self.connections += 1
        for stream in range(1, 4):
            self.again[stream].update(self.unanswered(stream))

    def accepted(self, stream):
        return [n for n, code in self.acked[stream].items() if code < FAILURE]

    def unanswered(self, stream):
        return [n for n in range(1, self.sent[stream] + 1)
                if n not in self.acked[stream] and n not in self.given_up[stream]]


@dataclasses.dataclass
class Letter:
    """A message that came as a dead letter."""
    publisher: int
    stream: int
    number: int
    reason: str
    queue: str

    @property
    def message(self):
        return self.publisher, self.stream, self.number


@dataclasses.dataclass
class Received:
    """What one subscriber got; 'got' is in the order of arrival."""
    name: str
    got: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    at: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))  # ms
    qos: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(set))
    # (from ms, to ms, {(publisher, stream): [n]}) of each connection
    connections: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)
    subscribed: bool = False
    again: int = 0  # messages under an id that was held
    letters: list = dataclasses.field(default_factory=list)  # those of 'got' that are dead
    ended: bool = False


def lines(path):
    """The words of each whole line; none of an app that never started."""
    if not path.exists():
        return
    with open(path, "rb") as f:
        for line in f:
            if line.endswith(b"\n") and not line.endswith(b" torn\n"):
                yield line.decode("ascii", "replace").split()


class Session:
    """What both kinds have: whether the server kept the session."""

    def __init__(self, wrong):
        self.used = False
        self.wrong = wrong

    def connected(self, words, transient):
        if words[2] == "0":
            if self.used and not transient:
                self.wrong.append(("session", f"the session was lost before {words[1]} ms"))
            self.used = False


def read_publisher(name, path, transient=False):
    out = Published(name)
    session = Session(out.wrong)
    for w in lines(path):
        kind = w[0]
        if kind == "P":
            out.sent[int(w[3])] = int(w[4])
            out.begun[int(w[3])][int(w[4])] = int(w[1])
        elif kind == "A":
            out.acked[int(w[3])][int(w[4])] = int(w[5])
            out.finished[int(w[3])][int(w[4])] = int(w[1])
            session.used = session.used or int(w[5]) < FAILURE
        elif kind == "R":
            session.used = True
        elif kind == "G":
            out.given_up[int(w[3])].add(int(w[4]))
        elif kind == "C":
            session.connected(w, transient)
            out.connected()
        elif kind == "Z":
            out.wrong.append(("protocol", " ".join(w[1:])))
        elif kind == "E":
            out.ended = True
    return out


def together(a, b):
    """Two publishers that say the same under the same keys."""
    out = Published(f"{a.name}, {b.name}", list(map(max, a.sent, b.sent)))
    for stream in range(4):
        out.acked[stream] = b.acked[stream] | a.acked[stream]
        # either has said it, so it is nothing that was given up
        out.acked[stream] |= {n: c for n, c in b.acked[stream].items() if c < FAILURE}
        out.given_up[stream] = (a.given_up[stream] | b.given_up[stream]) - set(out.acked[stream])
    out.wrong = a.wrong + b.wrong
    out.ended = a.ended and b.ended
    return out


class Inbound:
    """Replays the packet ids that a subscriber holds."""

    def __init__(self, out):
        self.out = out
        self.held = {}

    def message(self, w):
        packet_id, qos = w[2], w[3]
        key = (int(w[4]), int(w[6]))
        n = int(w[7])
        self.out.got[key].append(n)
        self.out.at[key].append(int(w[1]))
        self.out.qos[key].add(int(qos))
        if len(w) > 8:
            self.out.letters.append(Letter(*key, n, w[8], w[9]))
        if self.out.connections:
            self.out.connections[-1][2].setdefault(key, []).append(n)
        if qos == "2":
            self.held[packet_id] = (w[4], w[6], w[7])

    def repeated(self, w):
        self.out.again += 1
        if self.held.get(w[2]) != (w[3], w[4], w[5]):
            self.out.wrong.append(
                ("packet id", f"id {w[2]} stood for {self.held.get(w[2])} and came with "
                 f"{(w[3], w[4], w[5])} at {w[1]} ms"))


def read_subscriber(name, path, transient=False):
    out = Received(name)
    session = Session(out.wrong)
    inbound = Inbound(out)
    for w in lines(path):
        kind = w[0]
        if kind == "M":
            inbound.message(w)
            session.used = True
        elif kind == "L":
            inbound.held.pop(w[2], None)
        elif kind == "I":
            inbound.repeated(w)
        elif kind == "C":
            session.connected(w, transient)
            if w[2] == "0":
                inbound.held.clear()
            out.connections.append([int(w[1]), None, {}])
        elif kind in "DB" and out.connections and out.connections[-1][1] is None:
            out.connections[-1][1] = int(w[1])
        elif kind == "S":
            out.subscribed = session.used = True
            if int(w[2]) >= FAILURE:
                out.wrong.append(("subscribe", f"SUBACK with {w[2]}"))
        elif kind == "X":
            out.wrong.append(("damaged", f"a message that nobody published at {w[1]} ms"))
        elif kind == "Z":
            out.wrong.append(("protocol", " ".join(w[1:])))
        elif kind == "E":
            out.ended = True
    return out

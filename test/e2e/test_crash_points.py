"""QoS 2 is exactly once when the app, a sidecar or the broker is killed between any
two of its four packets, in either direction: one scenario for each point.

A program that is built with fault points (core/fault.h) ends itself with SIGKILL as
the first message after some finished ones passes the point; an app drops its
connection there. It comes back, dies there once more while it recovers, and comes
back again. Then every message must have come once, in order, and nothing be left."""

import asyncio
import contextlib
import dataclasses
import signal

from annotations import AnnotationsFile
from cluster import eventually, metric
from mqtt import PUBCOMP, PUBLISH, PUBREC, PUBREL, Client, Closed
from scenario import scenario

# Messages: finished one by one; with the one that dies; for the second time; later.
BEFORE, BURST, AGAIN, AFTER = 3, 4, 2, 3
DURABLE = {"session_expiry": 300}
BROKER = {"engine": "embedded",
          "session": {"grace": "60s", "recovery-time": "0s"}}
SIDECAR = {"pool": {"backoff-min": "20ms", "backoff-max": "100ms"}}

# How far the first message of the burst is at its client when that one's connection ends.
SENT, RECEIVED, COMPLETE = "PUBLISH sent", "PUBREC came", "PUBCOMP came"
NOTHING, HELD, RELEASED = "nothing came", "PUBLISH came", "PUBREL came"


@dataclasses.dataclass(frozen=True)
class Point:
    """who: whose process ends. at: how far the message is at its client by then, where
    that is sure. hit: which pass of the point is the first message's. alone: the rest
    of the burst follows once all is up again, so that 'hit' is sure."""
    name: str
    who: str
    at: str = None
    hit: int = BEFORE + 1
    alone: bool = False
    label: str = None


UP = [
    Point("app-publish-written", "app", SENT),
    Point("sidecar-publish-read", "sidecar", SENT),
    Point("sidecar-publish-posting", "sidecar", SENT),
    Point("sidecar-publish-posted", "sidecar", SENT),
    Point("broker-publish-admitted", "broker", SENT),
    Point("broker-publish-committed", "broker", SENT),
    Point("sidecar-publish-answered", "sidecar", SENT),
    Point("sidecar-pubrec-written", "sidecar", RECEIVED),
    Point("app-pubrec-read", "app", RECEIVED),
    Point("app-pubrel-written", "app", RECEIVED),
    Point("sidecar-pubrel-read", "sidecar", RECEIVED),
    Point("sidecar-release-posting", "sidecar", RECEIVED),
    Point("sidecar-release-posted", "sidecar", RECEIVED),
    Point("broker-release-admitted", "broker", RECEIVED),
    Point("broker-release-committed", "broker", RECEIVED),
    Point("sidecar-release-answered", "sidecar", RECEIVED),
    Point("sidecar-pubcomp-written", "sidecar", COMPLETE),
]

DOWN = [
    Point("broker-announce", "broker", NOTHING),
    Point("broker-announce-committed", "broker", NOTHING),
    Point("broker-deliver-sent", "broker"),
    Point("sidecar-deliver-read", "sidecar", NOTHING),
    Point("sidecar-publish-written", "sidecar", HELD),
    Point("app-publish-read", "app", HELD),
    Point("app-pubrec-written", "app", HELD),
    Point("sidecar-pubrec-read", "sidecar", HELD),
    Point("sidecar-received-posted", "sidecar", HELD),
    Point("broker-settlement-admitted", "broker", HELD, 2 * BEFORE + 1, True,
          "broker-received-admitted"),
    Point("broker-settlement-committed", "broker", HELD, 2 * BEFORE + 1, True,
          "broker-received-committed"),
    Point("sidecar-received-answered", "sidecar", HELD),
    Point("sidecar-pubrel-written", "sidecar", RELEASED),
    Point("app-pubrel-read", "app", RELEASED),
    Point("app-pubcomp-written", "app", RELEASED),
    Point("sidecar-pubcomp-read", "sidecar", RELEASED),
    Point("sidecar-complete-posted", "sidecar", RELEASED),
    Point("broker-settlement-admitted", "broker", RELEASED, 2 * BEFORE + 2, True,
          "broker-complete-admitted"),
    Point("broker-settlement-committed", "broker", RELEASED, 2 * BEFORE + 2, True,
          "broker-complete-committed"),
    Point("sidecar-complete-answered", "sidecar", RELEASED),
]

# With a disk outbox, which answers for itself and has only its numbers at the broker.
OUTBOX = [
    Point("sidecar-publish-read", "sidecar", SENT),
    Point("sidecar-pubrec-written", "sidecar", RECEIVED),
    Point("sidecar-pubrel-read", "sidecar", RECEIVED),
    Point("sidecar-outbox-posting", "sidecar"),
    Point("sidecar-outbox-posted", "sidecar"),
    Point("broker-publish-admitted", "broker"),
    Point("broker-publish-committed", "broker"),
    Point("sidecar-outbox-answered", "sidecar"),
]

APP_POINTS = {  # name: (before or after which packet of its own it dies)
    "app-publish-written": ("after", PUBLISH),
    "app-pubrec-read": ("before", PUBREL),
    "app-pubrel-written": ("after", PUBREL),
    "app-publish-read": ("before", PUBREC),
    "app-pubrec-written": ("after", PUBREC),
    "app-pubrel-read": ("before", PUBCOMP),
    "app-pubcomp-written": ("after", PUBCOMP),
}


class App(Client):
    """A client that dies at a point, and comes back with what it had written down."""

    def __init__(self, client_id, transient=False, props=None):
        super().__init__(client_id)
        self.props = (props or {}) | ({} if transient else DURABLE)
        self.transient = transient
        self.point = None
        self.passes = 0      # of the point, until it dies
        self.dead = False
        self.stray = []      # PUBRELs of ids that are not held
        self.got = []        # payloads
        self.ids = {}        # payload: the packet id that it came with
        self.on_message = self.take

    def take(self, m):
        assert m.qos == 2, m
        self.got.append(m.payload)
        self.ids[m.payload] = m.packet_id
        self.arrival.set()

    def die_at(self, point, hit):
        self.point, self.passes = APP_POINTS[point] if hit else None, hit

    def passes_by(self, when, kind):
        if self.point == (when, kind):
            self.passes -= 1
            if self.passes == 0:
                self.dead = True
                self.abort()
        return self.dead

    async def come(self, port):
        """Connects; goes on with the session."""
        self.dead = False
        return await self.connect(port, clean=self.transient, props=self.props)

    def send(self, data):
        if not self.dead:
            super().send(data)

    def publish_nowait(self, *args, **more):
        done = super().publish_nowait(*args, **more)
        self.passes_by("after", PUBLISH)
        return done

    def send_ack(self, kind, packet_id, reason=0):
        if self.passes_by("before", kind):
            return
        super().send_ack(kind, packet_id, reason)
        self.passes_by("after", kind)

    def on_packet(self, kind, flags, r):
        if self.dead:
            return
        if kind == PUBREL:
            packet_id = int.from_bytes(r.data[:2], "big")
            if packet_id not in self.held:
                self.stray.append(packet_id)
        super().on_packet(kind, flags, r)
        self.arrival.set()


def payload(n):
    return b"%d" % n


def arm(program, point, hit):
    program.environment["SQMQOS_FAULT"] = f"{point}:{hit}"


def disarm(program):
    del program.environment["SQMQOS_FAULT"]


def died_there(stack, program):
    """That it ended itself at its point, and by nothing else."""
    assert program.process.returncode == -signal.SIGKILL, program.process.returncode
    last = stack.log(program).splitlines()[-1]
    assert last == "fault point " + program.environment["SQMQOS_FAULT"], last


async def nothing_queued(stack):
    async def empty():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(empty, "the queues are empty")
    # It would have stored that somebody has a message, and not which.
    assert "is not there" not in stack.log(stack.broker)


async def come_once_more(ports):
    """To sessions with nothing unfinished: no PUBREL comes, and no message."""
    for client, port in ports.items():
        await client.disconnect()
        client.stray.clear()
        assert (await client.come(port)).session_present != client.transient
        await client.ping()
        assert not client.stray and not client.held, (client.stray, client.held)


async def end_sessions(stack, ports):
    for client, port in ports.items():
        await client.disconnect()
        await client.connect(port, clean=True, resend=False)
        await client.disconnect()

    async def ended():
        stay = sum(("annotations" in s.tree) + ("outbox" in s.tree) for s in stack.sidecars)
        return await metric(stack.broker, "sqmqos_sessions") == stay
    await eventually(ended, "the sessions have ended")


# ---- one publisher and one subscriber

class Crash:
    """A publisher at the first sidecar, a subscriber at the second one."""

    def __init__(self, env, point, up, transient, outbox):
        self.env = env
        self.point = point
        self.up = up
        self.outbox = outbox
        self.publisher = App("publisher", transient)
        self.subscriber = App("subscriber")
        env.clients += [self.publisher, self.subscriber]
        self.victim = self.publisher if self.up else self.subscriber
        self.program = None  # that dies
        self.sent = 0
        self.outcomes = []

    async def start(self):
        self.stack = stack = await self.env.stack(start=False, tls=False, broker=BROKER,
                                                  sidecar=SIDECAR)
        if self.outbox:
            stack.sidecars[0].tree["outbox"] = {"mode": "disk", "size": "8Mi",
                                                "dir": str(stack.folder / "outbox")}
        if self.point.who != "app":
            self.program = stack.broker if self.point.who == "broker" \
                else stack.sidecars[not self.up]
        self.arm(self.point.hit)
        await stack.start()
        self.ports = dict(zip((self.publisher, self.subscriber), stack.ports))
        for client, port in self.ports.items():
            await client.come(port)
        assert await self.subscriber.subscribe(("t", 2)) == [2]

    def arm(self, hit):
        if self.program is None:
            self.victim.die_at(self.point.name, hit)
        else:
            arm(self.program, self.point.name, hit)

    def disarm(self):
        if self.program is None:
            self.victim.point = None
        else:
            disarm(self.program)

    def publish(self):
        self.outcomes.append(self.publisher.publish_nowait("t", payload(self.sent), 2))
        self.sent += 1

    def publish_until(self, n):
        while self.sent < n and not self.publisher.dead:
            self.publish()

    async def finished(self):
        """Awaits that the broker has finished with all that was published."""
        await asyncio.wait_for(asyncio.gather(*self.outcomes), 30)
        await eventually(lambda: len(self.subscriber.got) >= self.sent and
                         not self.subscriber.held, "all has arrived", 30, 0.002)
        await self.subscriber.ping()  # its last PUBCOMP is on its way to the broker

    def progress(self):
        """How far the first message of the burst is."""
        n = BEFORE
        if self.up:
            out = [o for o in self.publisher.outgoing.values() if o.done is self.outcomes[n]]
            return COMPLETE if not out else RECEIVED if out[0].received else SENT
        if payload(n) not in self.subscriber.got:
            return NOTHING
        return HELD if self.subscriber.ids[payload(n)] in self.subscriber.held else RELEASED

    async def die(self):
        """Awaits the death of what dies, and checks that it was at the point."""
        if self.program is None:
            await eventually(lambda: self.victim.dead, "the app drops its connection", 20, 0.002)
        else:
            await asyncio.to_thread(self.program.process.wait, 20)
            died_there(self.stack, self.program)
        if self.point.who != "broker":
            await self.victim.wait_closed()

    async def come_back(self):
        if self.program is not None:
            self.program.start()
        if self.point.who == "broker":
            assert self.publisher.connected and self.subscriber.connected
            return
        if self.point.name.startswith("sidecar-outbox") and \
                "SQMQOS_FAULT" in self.program.environment:
            # It forwards without its app, and may be dead again at any time.
            with contextlib.suppress(AssertionError, OSError, Closed):
                await self.stack.ready(self.program)
                await self.victim.come(self.ports[self.victim])
            return
        if self.program is not None:
            await self.stack.ready(self.program)
        connack = await self.victim.come(self.ports[self.victim])
        assert connack.session_present

    async def run(self):
        await self.start()
        for _ in range(BEFORE):
            self.publish()
            await self.finished()
        self.publish_until(BEFORE + (1 if self.point.alone else BURST))
        await self.die()
        # What a process wrote is lost where it had not read all when it died.
        if not self.victim.was_reset:
            assert self.point.at in (None, self.progress()), self.progress()
        self.arm(1)
        await self.come_back()
        self.publish_until(BEFORE + BURST + AGAIN)
        await self.die()
        self.disarm()
        await self.come_back()
        self.publish_until(BEFORE + BURST + AGAIN + AFTER)
        await self.finished()
        self.check()

    def check(self):
        codes = [o.result() for o in self.outcomes]
        assert codes == [0] * len(codes), codes
        got = [int(p) for p in self.subscriber.got]
        assert got == list(range(self.sent)), got

    async def nothing_left(self):
        """All is as if nothing had happened: no message, no packet id, no session."""
        self.publisher.next_id = 1  # an id that was still held would swallow its message
        self.publish_until(2 * self.sent)
        await self.finished()
        await nothing_queued(self.stack)
        await come_once_more(self.ports)
        self.check()
        assert not self.publisher.ids_not_found
        await end_sessions(self.stack, self.ports)
        if self.point.who == "broker" and not self.outbox:  # nor in the store
            await self.stack.kill(self.stack.broker)
            read = len(self.stack.log(self.stack.broker))
            self.stack.broker.start()
            await self.stack.ready(self.stack.broker)
            assert "from before the start" not in self.stack.log(self.stack.broker)[read:]


def crash(point, kind, transient=False):
    @scenario(timeout_s=90)
    async def run(env):
        world = Crash(env, point, kind != "down", transient, kind == "outbox")
        await world.run()
        await world.nothing_left()
    name = (point.label or point.name).replace("-", "_")
    globals()[f"test_{kind}_{name}" + ("_transient" if transient else "")] = run


for p in UP:
    crash(p, "up")
    if p.who == "broker":  # its connection to the sidecar lives on
        crash(p, "up", True)
for p in DOWN:
    crash(p, "down")
for p in OUTBOX:
    crash(p, "outbox")


# ---- a group

class GroupCrash:
    """Two members of a group, each at a sidecar. While its first member takes part in
    a handshake, it ends, or its sidecar does, or the broker.

    MQTT-4.8.2-4 and -5: what is in a handshake stays with its session; the other
    member gets the rest at once."""
    HIT = 3      # which pass of the point
    OPEN = 2     # handshakes of the first member at a time
    AFTER = 10   # messages that follow

    def __init__(self, env, point, kind, transient):
        self.env = env
        self.point = point
        self.kind = kind
        self.members = [App("member-0", transient, {"receive_maximum": self.OPEN}),
                        App("member-1", transient)]
        self.publisher = App("publisher")
        env.clients += [*self.members, self.publisher]
        self.sent = 0
        self.outcomes = []

    def annotations(self):
        if self.kind != "declared":
            return None
        return [AnnotationsFile(self.env.folder / f"pod-{i}").write(
            '- filter: "t"\n  qos: 2\n  durable: true\n',
            **{"sqmqos.io/client-id": m.client_id}).path for i, m in enumerate(self.members)]

    async def start(self):
        self.stack = stack = await self.env.stack(
            start=False, tls=False, broker=BROKER, sidecar=SIDECAR,
            annotations=self.annotations())
        self.program = {"broker": stack.broker, "sidecar": stack.sidecars[0]}.get(
            self.point.split("-")[0])  # None: the app
        self.arm(self.HIT)
        await stack.start()
        self.ports = dict(zip(self.members, stack.ports)) | {self.publisher: stack.ports[1]}
        for client, port in self.ports.items():
            await client.come(port)
        for member in self.members:
            if self.kind == "share":
                assert await member.subscribe(("$share/crew/t", 2)) == [2]

    def arm(self, hit):
        """None: not any more."""
        if self.program is None:
            self.members[0].die_at(self.point, hit)
        elif hit:
            arm(self.program, self.point, hit)
        else:
            disarm(self.program)

    def publish(self):
        self.outcomes.append(self.publisher.publish_nowait("t", payload(self.sent), 2))
        self.sent += 1

    def missing(self):
        return set(map(payload, range(self.sent))) - {p for m in self.members for p in m.got}

    async def publish_until_it_dies(self):
        def lives():
            return self.program.running() if self.program else not self.members[0].dead
        while lives():
            assert self.sent < 1000, "the point is never passed"
            self.publish()
            await asyncio.wait([self.outcomes[-1]], timeout=0.02)
        if self.program:
            died_there(self.stack, self.program)

    async def the_other_goes_on(self):
        """Without the first member, which is expected back for a minute."""
        first, second = self.members
        await first.wait_closed()
        await asyncio.wait_for(asyncio.gather(*self.outcomes), 30)
        await eventually(lambda: len(self.missing()) <= self.OPEN,
                         "the other member gets what is in no handshake", 20)
        if self.point == "sidecar-deliver-read":
            assert self.missing(), "what was under way to the first member went to the other"

    async def come_back(self):
        if self.program:
            self.program.start()
        if self.program is self.stack.broker:
            assert all(client.connected for client in self.ports)
        else:
            await self.stack.ready()
            assert (await self.members[0].come(self.ports[self.members[0]])).session_present

    async def run(self):
        await self.start()
        for hit in (1, None):
            await self.publish_until_it_dies()
            for _ in range(self.AFTER):
                self.publish()
            if self.program is not self.stack.broker:
                await self.the_other_goes_on()
            self.arm(hit)
            await self.come_back()
        await asyncio.wait_for(asyncio.gather(*self.outcomes), 30)
        assert all(o.result() == 0 for o in self.outcomes)
        await eventually(lambda: not self.missing() and not any(m.held for m in self.members),
                         "all has arrived", 30)
        for member in self.members:
            await member.ping()

    def check(self):
        got = sorted(int(p) for m in self.members for p in m.got)
        assert got == list(range(self.sent)), got

    async def nothing_left(self):
        await nothing_queued(self.stack)
        await come_once_more(self.ports)
        self.check()
        await end_sessions(self.stack, self.ports)


@scenario(timeout_s=90)
async def test_share_a_handshake_ends_with_its_session(env):
    """MQTT-4.8.2-5: nobody else gets the message; it is a dead letter."""
    world = GroupCrash(env, "sidecar-publish-written", "share", False)
    first, second = world.members
    await world.start()
    await world.publish_until_it_dies()
    await world.the_other_goes_on()
    begun = {p for p, packet_id in first.ids.items() if packet_id in first.held}
    assert begun
    world.arm(None)
    world.program.start()
    await world.stack.ready(world.program)
    connack = await first.connect(world.ports[first], clean=True, props=first.props)
    assert not connack.session_present
    for _ in range(world.AFTER):
        world.publish()
    last = payload(world.sent - 1)
    await eventually(lambda: last in second.got and not second.held, "the last one has come")
    assert not begun & set(second.got), begun & set(second.got)
    # What the sidecar had and the broker no PUBREC of; what it had one of was delivered.
    letters = await env.connect(world.ports[second], "letters")
    letters.on_message = lambda m: found.add(m.payload)
    found = set()
    await letters.subscribe(("$dead/#", 2))
    await nothing_queued(world.stack)
    assert found and not found & set(second.got), (found, second.got)
    await letters.disconnect()
    await end_sessions(world.stack, world.ports)


@scenario(timeout_s=90)
async def test_share_qos_1_of_a_dead_app(env):
    """It goes to the other member at once: of QoS 1 nothing stays with a session."""
    stack = await env.stack(tls=False, broker=BROKER, sidecar=SIDECAR)
    first = env.client("member-0", ack="none")
    second, publisher = env.client("member-1"), env.client("publisher")
    ports = dict(zip((first, second), stack.ports)) | {publisher: stack.ports[1]}
    for client, port in ports.items():
        await client.connect(port, clean=False, props=DURABLE)
    for member in (first, second):
        await member.subscribe(("$share/crew/t", 1))
    for n in range(20):
        await publisher.publish("t", payload(n), 1)
    await eventually(lambda: len(first.inbox) + len(second.inbox) == 20, "all has come")
    assert first.inbox and second.inbox, "one of them got all"
    first.abort()
    await eventually(lambda: {m.payload for m in second.inbox} == set(map(payload, range(20))),
                     "the other gets what was not acknowledged")
    first.inbox.clear()
    await first.connect(ports[first], clean=False, props=DURABLE)
    await first.ping()
    assert not first.inbox and len(second.inbox) == 20
    for client, port in ports.items():
        await client.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=90)
async def test_share_what_no_handshake_has_begun_with(env):
    """A member that is busy with other messages has been handed some of the group's.
    When its link is lost, the other member gets them at once."""
    stack = await env.stack(tls=False, broker=BROKER, sidecar=SIDECAR)
    first = App("member-0", props={"receive_maximum": 2})
    second, publisher = App("member-1"), App("publisher")
    ports = dict(zip((first, second), stack.ports)) | {publisher: stack.ports[1]}
    env.clients += list(ports)
    for client, port in ports.items():
        await client.come(port)
    await first.subscribe(("$share/crew/t", 2), ("own", 2))
    await second.subscribe(("$share/crew/t", 2))
    first.ack = "none"
    for n in range(2):
        await publisher.publish("own", b"own", 2)
    await eventually(lambda: len(first.held) == 2, "its window is full")
    for n in range(20):
        await publisher.publish("t", payload(n), 2)
    await eventually(lambda: not second.held and len(second.got) >= 10, "the other gets its part")
    assert len(second.got) < 20, "the first member was handed none"
    await stack.kill(stack.sidecars[0])
    await eventually(lambda: len(second.got) == 20, "it gets the rest")
    await first.wait_closed()
    first.ack = "auto"
    await stack.restart(stack.sidecars[0])
    await first.come(ports[first])
    await eventually(lambda: not first.held, "the handshakes end")
    await first.ping()
    assert first.got == [b"own"] * 2, first.got
    assert sorted(int(p) for p in second.got) == list(range(20)), second.got
    await nothing_queued(stack)
    await end_sessions(stack, ports)


def group_crash(point, kind, transient=False):
    @scenario(timeout_s=90)
    async def run(env):
        world = GroupCrash(env, point, kind, transient)
        await world.run()
        await world.nothing_left()
    name = f"test_{kind}_{point.replace('-', '_')}"
    globals()[name + ("_transient" if transient else "")] = run


for kind in ("share", "declared"):
    for point in ("app-publish-read", "app-pubrec-written", "app-pubrel-read",
                  "sidecar-deliver-read", "sidecar-publish-written", "sidecar-pubrec-read",
                  "sidecar-received-answered", "sidecar-pubrel-written",
                  "broker-announce-committed", "broker-deliver-sent",
                  "broker-settlement-admitted", "broker-settlement-committed"):
        group_crash(point, kind)
for point in ("broker-announce-committed", "broker-deliver-sent", "broker-settlement-admitted",
              "broker-settlement-committed"):
    group_crash(point, "declared", True)

"""What a client sends, drawn from a seed: subscriptions with their options, publishes of
every QoS, retained ones too, all without waiting, now and then a while away. A model says
what must come, message by message; it knows the standard and not the product. The seed of
what failed is in its message: TEST_SEED=N draws it again, alone."""

import asyncio
import collections
import os
import random

from mqtt import V5, V311
from scenario import scenario

TOPICS = ["a", "b", "a/b", "a/c", "a/b/c", "/", "$x/y"]
FILTERS = [*TOPICS, "+", "#", "a/+", "a/#", "+/b", "+/+", "$x/#", "/+"]
OPTIONS = [0, 0, 0, 4, 8, 0x10, 0x20, 8 | 0x20]  # of MQTT 5: no local, as published, retain handling
DURABLE = {"session_expiry": 60}
PROGRAMS, AT_ONCE = 120, 6


def matches(topic_filter, topic):
    levels, names = topic_filter.split("/"), topic.split("/")
    for n, level in enumerate(levels):
        if level == "#":
            return True
        if n >= len(names) or level not in ("+", names[n]):
            return False
    return len(levels) == len(names)


class Program:
    """What one client does, and where."""

    def __init__(self, seed):
        r = random.Random(seed)
        self.seed = seed
        self.qos = {}  # of each payload, as it was published
        self.version = r.choice((V311, V5))
        self.durable = r.random() < 0.5
        self.steps = [self.step(r, n) for n in range(r.choice((5, 40, 150)))]

    def step(self, r, n):
        kind = r.random()
        if kind < 0.28:
            options = r.choice((0, 1, 2)) | (r.choice(OPTIONS) if self.version == V5 else 0)
            return "subscribe", self.name(r.choice(FILTERS)), options
        if kind < 0.42:
            return "unsubscribe", self.name(r.choice(FILTERS))
        if kind < 0.44:
            return ("away", *[self.message(r, f"{n}-{i}", (1, 2)) for i in range(5)]) \
                if self.durable else ("wait",)
        return ("publish", *self.message(r, n, (0, 1, 2)))

    def name(self, topic):
        """Below a level that no other program has."""
        return f"$x{self.seed}{topic[2:]}" if topic.startswith("$x") else f"{self.seed}/{topic}"

    def message(self, r, n, qos):
        payload = b"" if r.random() < 0.1 else f"{n}".encode()
        self.qos[payload] = r.choice(qos)
        return self.name(r.choice(TOPICS)), payload, self.qos[payload], r.random() < 0.25


class Model:
    """Counts what must come: (topic, payload, QoS, retain)."""

    def __init__(self):
        self.subscriptions, self.retained = {}, {}
        self.due, self.codes = collections.Counter(), []

    def subscribe(self, topic_filter, options):
        is_new = topic_filter not in self.subscriptions
        self.subscriptions[topic_filter] = options
        self.codes.append([options & 3])
        handling = options >> 4
        for topic, (payload, qos) in self.retained.items():
            if matches(topic_filter, topic) and (handling == 0 or (handling == 1 and is_new)):
                self.due[topic, payload, min(qos, options & 3), True] += 1

    def unsubscribe(self, topic_filter):
        self.codes.append([0x11 if self.subscriptions.pop(topic_filter, None) is None else 0])

    def publish(self, topic, payload, qos, retain, own=True):
        found = [o for f, o in self.subscriptions.items() if matches(f, topic) and not (own and o & 4)]
        qos_granted = min(qos, max((o & 3 for o in found), default=0))
        if found and (own or qos_granted > 0):  # QoS 0 does not wait for who is away
            self.due[topic, payload, qos_granted, retain and any(o & 8 for o in found)] += 1
        if retain and payload:
            self.retained[topic] = payload, qos
        elif retain:
            self.retained.pop(topic, None)

    def away(self, *messages):
        for message in messages:
            self.publish(*message, own=False)

    def wait(self):
        pass


class Run:
    """A program on the product."""

    def __init__(self, env, ports, program):
        self.ports, self.program = ports, program
        self.client = env.client(f"random-{program.seed}", program.version)
        self.other = env.client(f"other-{program.seed}", program.version)
        self.asked, self.sent = [], []
        self.got, self.newest, self.overtaken = collections.Counter(), {}, []

    def task(self, coroutine):
        self.asked.append(asyncio.ensure_future(coroutine))

    async def subscribe(self, topic_filter, options):
        self.task(self.client.subscribe((topic_filter, options)))
        await asyncio.sleep(0)  # sent

    async def unsubscribe(self, topic_filter):
        self.task(self.client.unsubscribe(topic_filter))
        await asyncio.sleep(0)

    async def publish(self, *message):
        self.sent.append(self.client.publish_nowait(*message))

    async def wait(self):
        await self.client.ping()

    async def connect(self, port):
        props = DURABLE if self.program.durable and self.program.version == V5 else None
        return await self.client.connect(port, clean=not self.program.durable, props=props)

    async def away(self, *messages):
        """Leaves when all is answered, and comes back through the other sidecar; through the
        same one before, so that what it has acknowledged is settled."""
        await self.settle()
        await self.client.disconnect()
        for message in messages:
            await self.other.publish(*message)
        self.ports.reverse()
        for port in (self.ports[1], self.ports[0]):
            assert (await self.connect(port)).session_present
            await self.settle()
            if port != self.ports[0]:
                await self.client.disconnect()

    async def settle(self):
        """All is answered, and what was on its way has come."""
        await asyncio.wait_for(asyncio.gather(*[a for a in self.sent if a], *self.asked), 30)
        end = f"end-{self.program.seed}"
        await self.client.subscribe((end, 2))
        for qos in (0, 1, 2):
            await self.client.publish(end, b"", qos)
        seen = 0
        while seen < 3:
            m = await self.client.receive()
            seen += m.topic == end
            if m.topic != end:
                self.count(m)
        await self.client.ping()

    def count(self, m):
        """Also sees that those of one topic and QoS come in their order (MQTT-4.6.0-5)."""
        self.got[m.topic, m.payload, m.qos, m.retain] += 1
        if m.payload and not m.retain:
            lane = m.topic, self.program.qos[m.payload], m.qos  # published, delivered
            place = [int(n) for n in m.payload.split(b"-")]
            if place < self.newest.get(lane, place):
                self.overtaken.append((m.topic, m.payload, self.newest[lane]))
            self.newest[lane] = place

    async def perform(self):
        await self.connect(self.ports[0])
        await self.other.connect(self.ports[1])
        for verb, *words in self.program.steps:
            await getattr(self, verb)(*words)
        await self.settle()
        for m in self.client.inbox:
            self.count(m)
        await asyncio.gather(*(self.other.publish(self.program.name(t), b"", 1, True) for t in TOPICS))
        await self.client.disconnect()
        await self.client.connect(self.ports[0], clean=True)
        await self.client.disconnect()
        await self.other.disconnect()

    def differs(self, model):
        """What differs from the model, or ""."""
        codes = [a.result() for a in self.asked]
        wanted = model.codes
        if self.program.version == V311:  # whose UNSUBACK has no codes
            wanted = [c if s[0] == "subscribe" else [] for c, s in zip(
                wanted, (s for s in self.program.steps if s[0] in ("subscribe", "unsubscribe")))]
        if codes != wanted:
            return f"codes {codes}, expected {wanted}"
        if self.got != model.due:
            return f"too many: {dict(self.got - model.due)}, missing: {dict(model.due - self.got)}"
        return f"overtaken: {self.overtaken}" if self.overtaken else ""


async def run_program(env, ports, seed, gate, wrong):
    program, model = Program(seed), Model()
    for verb, *words in program.steps:
        getattr(model, verb)(*words)
    async with gate:
        run = Run(env, list(ports), program)
        try:
            await asyncio.wait_for(run.perform(), 60)
            difference = run.differs(model)
        except Exception as e:
            difference = f"{type(e).__name__} {e}"
    if difference:
        wrong.append(f"TEST_SEED={seed}, MQTT {program.version}, durable {program.durable}, "
                     f"{len(program.steps)} steps: {difference}")


@scenario(timeout_s=240)
async def test_what_a_client_sends_without_waiting(env):
    stack = await env.stack()
    one = os.environ.get("TEST_SEED")
    first = random.SystemRandom().randrange(1 << 30)
    seeds = [int(one)] if one else range(first, first + PROGRAMS)
    gate, wrong = asyncio.Semaphore(AT_ONCE), []
    await asyncio.gather(*(run_program(env, stack.ports, seed, gate, wrong) for seed in seeds))
    assert not wrong, "\n".join(wrong)

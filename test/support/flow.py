"""Streams of numbered messages, and the ledger that finds what was lost,
doubled or reordered."""

import asyncio
import collections
import dataclasses

import mqtt
from cluster import eventually

DURABLE = {"session_expiry": 600}


def number(publisher, n, size=0):
    head = f"{publisher} {n} ".encode()
    return head + b"." * (size - len(head))


@dataclasses.dataclass
class Ledger:
    """What publishers had acknowledged, and what one subscriber got."""
    acked: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(set))
    got: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))

    def take(self, message):
        publisher, n, _ = message.payload.split(b" ", 2)
        self.got[publisher.decode()].append(int(n))

    def lost(self, publisher):
        return sorted(self.acked[publisher] - set(self.got[publisher]))

    def complete(self):
        return not any(self.lost(p) for p in list(self.acked))

    # A broker that keeps its state in memory starts without subscriptions: what
    # it acknowledges before the subscriber is back went to nobody.

    def mark(self):
        """What was acknowledged and received when the old broker had ended."""
        return {p: (set(numbers), len(self.got[p])) for p, numbers in self.acked.items()}

    def flows_since(self, mark):
        return all(len(self.got[p]) > received for p, (_, received) in mark.items())

    def problems(self, duplicates_allowed, any_order=False):
        """One line per problem; none when all is well. any_order: a queue refused some for a while,
        and they came later."""
        out = []
        for publisher in sorted(set(self.acked) | set(self.got)):
            got = self.got[publisher]
            if lost := self.lost(publisher):
                out.append(f"{publisher}: {len(lost)} acknowledged but lost, from {lost[0]} on")
            first = list(dict.fromkeys(got))
            for i, (a, b) in enumerate(zip(first, first[1:])):
                if b < a and not any_order:
                    out.append(f"{publisher}: {b} came after {a} ({first[max(i - 3, 0):i + 5]})")
                    break
            if not duplicates_allowed and len(first) != len(got):
                twice = [n for n, c in collections.Counter(got).items() if c > 1]
                out.append(f"{publisher}: {len(twice)} came twice, from {min(twice)} on")
        return out


class Publisher:
    """Publishes 0, 1, 2, … of one client to one topic, 'window' unacknowledged
    at a time, over as many connections as it takes."""

    def __init__(self, client, topic, qos, ledger, window=20, size=0):
        self.client = client
        self.topic = topic
        self.qos = qos
        self.ledger = ledger
        self.room = asyncio.Semaphore(window)
        self.size = size
        self.sent = 0
        self.refused = []
        self.stopped = False

    def answered(self, n, future):
        self.room.release()
        if future.cancelled():
            return
        if future.result() < 0x80:
            self.ledger.acked[self.client.client_id].add(n)
        else:
            self.refused.append((n, future.result()))

    async def run(self, count=None):
        """Sends 'count' messages, or until stop(); returns when all are answered."""
        while not self.stopped and (count is None or self.sent < count):
            await self.room.acquire()
            n = self.sent
            self.sent += 1
            done = self.client.publish_nowait(
                self.topic, number(self.client.client_id, n, self.size), self.qos)
            done.add_done_callback(lambda f, n=n: self.answered(n, f))
            await asyncio.sleep(0)
        while self.client.outgoing:
            await asyncio.sleep(0.01)

    def stop(self):
        self.stopped = True


async def keep_connected(client, port, props=None, after=None, **connect):
    """Connects again whenever the connection ends; for ever. Calls 'after'
    with the Connack each time."""
    while True:
        if not client.connected:
            try:
                connack = await client.connect(port, clean=False, props=props, **connect)
                if after:
                    await after(connack)
            except (OSError, mqtt.Closed, asyncio.TimeoutError):
                client.abort()
                await asyncio.sleep(0.05)
                continue
        await asyncio.wait([client.connection.closed])


class Traffic:
    """Publishers at QoS 1 and 2 on sidecar 1; a durable subscriber on sidecar 2."""

    async def start(self, env, stack):
        a, b = stack.ports
        self.ledger = Ledger()
        self.subscriber = env.client("subscriber")
        self.subscriber.on_message = self.ledger.take
        await self.subscriber.connect(b, clean=True, props=DURABLE)
        await self.subscriber.subscribe(("flow/#", 2))
        env.spawn(keep_connected(self.subscriber, b, DURABLE))
        self.publishers = []
        for kind, props in (("durable", DURABLE), ("transient", None)):
            for qos in (1, 2):
                client = env.client(f"{kind}-{qos}")
                await client.connect(a, clean=True, props=props)
                self.publishers.append(
                    Publisher(client, f"flow/{kind}-{qos}", qos, self.ledger, 10, 100))
        self.tasks = [env.spawn(p.run()) for p in self.publishers]
        return self

    async def more(self, n=50):
        goals = {p: len(self.ledger.acked[p.client.client_id]) + n for p in self.publishers}
        await eventually(lambda: all(len(self.ledger.acked[p.client.client_id]) >= goal
                                     for p, goal in goals.items()),
                         f"{n} more acknowledgements of each publisher", 60)

    async def finish(self, came_again=False):
        """came_again: publishers have connected again. Then a transient one may have published
        twice what had no answer, as its session was another one."""
        for p in self.publishers:
            p.stop()
        await asyncio.wait_for(asyncio.gather(*self.tasks), 60)
        await eventually(self.ledger.complete, "all that was acknowledged has arrived", 60)
        problems = self.ledger.problems(duplicates_allowed=True)
        for p in self.publishers:
            name = p.client.client_id
            if p.refused:
                problems.append(f"{name}: refused {p.refused[:3]}")
            if not p.client.connected:
                problems.append(f"{name}: disconnected")
            if p.qos == 2 and not (came_again and name.startswith("transient")):
                one = Ledger(got={name: self.ledger.got[name]})
                one.acked[name] = set()
                problems += one.problems(duplicates_allowed=False)
        assert problems == [], "\n".join(problems)

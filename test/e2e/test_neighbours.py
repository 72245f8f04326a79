"""Neighbours on one broker: nobody takes all of it."""

import asyncio
import collections
import random
import re
import struct

import mqtt
import stack as parts
from cluster import eventually, metrics
from link import Attached, LinkClient, attach, session_path, settlements, subscription
from scenario import scenario

# Shares: see docs/security.md.

MIB = 1 << 20

SPACES = "abcdefgh"
DURABLE = {"session_expiry": 600}
FLOOR = 16  # of all that is taken here, with these totals
TOTAL = 512
SHARED = {
    "limits": {"spaces": len(SPACES), "max-sessions": TOTAL, "max-groups": TOTAL,
               "total-subscriptions": 8 * TOTAL},
    "retained": {"max-messages": TOTAL},
    "delayed": {"max-messages": TOTAL},
    "idempotency": {"max-keys": TOTAL},
}


def in_spaces(stack, names):
    for sidecar, name in zip(stack.sidecars, names):
        sidecar.tree["identity"]["space"] = name


async def used(stack):
    """{(kind, space): what the space has}"""
    found = {}
    for name, value in (await metrics(stack.broker)).items():
        at = re.fullmatch(r'sqmqos_broker_share_used\{kind="(.*)",space="(.*)"\}', name)
        if at:
            found[at.group(1), at.group(2)] = value
    return found


async def until_refused(one, most=TOTAL, at_once=16):
    """How often `one(i)` was good, called side by side until it is not."""
    for start in range(0, most, at_once):
        good = await asyncio.gather(*(one(start + i) for i in range(at_once)))
        if not all(good):
            return start + sum(good)
    return most


class Tenant:
    """What clients of one space take, each kind until it is refused or as much as is wanted."""

    def __init__(self, env, stack, index):
        self.env, self.stack, self.name = env, stack, SPACES[index]
        self.port = stack.ports[index]
        self.clients = []
        self.has = {}

    async def connect(self, i):
        client = self.env.client(f"{self.name}-{i}")
        connack = await client.connect(self.port, clean=False, props=DURABLE)
        if connack.code == 0:
            self.clients.append(client)
        else:
            assert connack.code == 0x97, connack
        return connack.code == 0

    def client(self, i):
        return self.clients[i % min(FLOOR, len(self.clients))]

    async def publish(self, i, *args, **kwargs):
        code = await self.client(i).publish(*args, **kwargs)
        assert code in (0, 0x10, 0x97), code
        return code != 0x97

    async def retain(self, i):
        return await self.publish(i, f"r/{i}", b"x", 1, retain=True)

    async def delay(self, i):
        return await self.publish(i, "later", b"x", 1, props={"user": [("sqmqos-delay", "3600")]})

    async def key(self, i):
        user = [("sqmqos-qos", "3"), ("sqmqos-key", f"{self.name} {i}")]
        return await self.publish(i, "kept", b"x", 2, props={"user": user})

    async def group(self, i):
        codes = await self.client(i).subscribe(f"$share/g{i}/t")
        assert codes[0] in (1, 0x97), codes
        return codes[0] == 1

    async def take(self, most=TOTAL):
        """Each kind in turn, but for subscriptions."""
        self.has["sessions"] = await until_refused(self.connect, most)
        await self.clients[0].subscribe(("kept", 2))
        for kind, one in (("retained", self.retain), ("delayed", self.delay), ("keys", self.key),
                          ("groups", self.group)):
            self.has[kind] = await until_refused(one, most)

    async def leave(self):
        for i in range(0, self.has["retained"], FLOOR):
            await asyncio.gather(*(self.publish(n, f"r/{n}", b"", 1, retain=True)
                                   for n in range(i, i + FLOOR)))
        await asyncio.gather(*(c.disconnect(props={"session_expiry": 0}) for c in self.clients))


KINDS = ("sessions", "retained", "delayed", "keys", "groups")


@scenario(timeout_s=400)
async def test_one_space_takes_all_it_can_and_others_get_theirs(env):
    stack = await env.stack(sidecars=len(SPACES), broker=SHARED, start=False)
    in_spaces(stack, SPACES)
    await stack.start()
    tenants = [Tenant(env, stack, i) for i in range(len(SPACES))]
    for tenant in tenants[:2]:
        await tenant.take()
    for kind in KINDS:
        first, second = (t.has[kind] for t in tenants[:2])
        shared = TOTAL - (len(SPACES) - 1) * FLOOR
        assert first <= shared * 3 / 4 and first > shared * 3 / 4 - 17, (kind, first)
        assert FLOOR <= second < first, (kind, second)
    for tenant in tenants[2:]:
        await tenant.take(FLOOR)
        assert tenant.has == dict.fromkeys(KINDS, FLOOR), (tenant.name, tenant.has)
    found = await used(stack)
    for tenant in tenants:
        for kind in KINDS:
            assert found[kind, tenant.name] == tenant.has[kind], (kind, tenant.name)
    refused = await metrics(stack.broker)
    for kind in KINDS:
        assert refused[f'sqmqos_broker_share_refused_total{{kind="{kind}"}}'] > 0, kind
    assert "a has" in stack.log(stack.broker) and "which is its share of 512" in stack.log(stack.broker)
    # the first gives, and the second may have more
    before = tenants[1].has["sessions"]
    await asyncio.gather(*(c.disconnect(props={"session_expiry": 0})
                           for c in tenants[0].clients[FLOOR:]))
    del tenants[0].clients[FLOOR:]

    async def more():
        return await tenants[1].connect(before + len(tenants[1].clients))
    await eventually(more, "there is room again")
    for tenant in tenants:
        await tenant.leave()
    await eventually(lambda: nothing_but(
        stack, {"connections", "delayed", "delayed-bytes", "keys"}),
                     "all was given back")


async def nothing_but(stack, kinds):
    return {kind for kind, _ in await used(stack)} <= kinds


async def test_subscriptions_are_shared(env):
    limits = {"limits": {"spaces": 2, "total-subscriptions": 200}}
    stack = await env.stack(broker=limits, start=False)
    in_spaces(stack, "ab")
    await stack.start()
    a, b = [await env.connect(port, "app") for port in stack.ports]
    codes = await a.subscribe(*(f"a/{i}" for i in range(200)))
    taken = sum(code == 1 for code in codes)
    assert codes == [1] * taken + [0x97] * (200 - taken)
    assert 125 <= taken <= 135, taken  # floors are 25 each
    codes = await b.subscribe(*(f"b/{i}" for i in range(25)))
    assert codes == [1] * 25
    assert (await used(stack))["subscriptions", "a"] == taken
    await a.unsubscribe(*(f"a/{i}" for i in range(200)))
    assert ("subscriptions", "a") not in await used(stack)


async def test_hard_limits_of_a_space(env):
    few = {"sessions": 2, "retained": 1, "groups": 1, "subscriptions": 4}
    stack = await env.stack(sidecars=3, broker={"spaces": {
        "one": {"tenants": ["a", "b"], "limits": few}, "c": {"limits": few}}}, start=False)
    in_spaces(stack, "abc")
    await stack.start()
    for i in (0, 2):
        tenant = Tenant(env, stack, i)
        assert await until_refused(tenant.connect, 4, 1) == 2
        assert await until_refused(tenant.retain, 4, 1) == 1
        assert await until_refused(tenant.group, 4, 1) == 1
    other = Tenant(env, stack, 1)
    assert await until_refused(other.connect, 4, 1) == 2, "limits are each tenant's"
    assert await until_refused(other.group, 4, 1) == 1
    assert not await other.retain(7), "retained messages are the space's"
    assert await other.publish(0, "r/0", b"", 1, retain=True)
    assert await other.retain(7)
    found = await used(stack)
    assert found["retained", "one (shared)"] == found["retained", "c"] == 1
    for name in ("r/0", "r/7"):
        for i in (1, 2):
            client = await env.connect(stack.ports[i], f"{SPACES[i]}-0", clean=False, props=DURABLE)
            await client.publish(name, b"", 1, retain=True)
            await client.disconnect(props={"session_expiry": 0})


async def test_what_is_there_counts_after_a_restart(env):
    stack = await env.stack(sidecars=1, start=False)
    in_spaces(stack, "a")
    await stack.start()
    tenant = Tenant(env, stack, 0)
    for i in range(4):
        assert await tenant.connect(i)
    first = tenant.clients[0]
    await first.subscribe(("kept", 2), ("own", 1), ("$share/g/t", 1))
    assert await until_refused(tenant.retain, 5, 5) == 5
    assert await until_refused(tenant.delay, 3, 3) == 3
    assert await until_refused(tenant.key, 2, 2) == 2
    await first.disconnect()
    for i in range(6):
        assert await tenant.clients[1].publish("own", b"%d" % i, 1) == 0

    async def settled():
        before.update(await used(stack))
        return before["sessions", "a"] == 4 and before["stored-bytes", "a"] > 6 * 256
    before = {}
    await eventually(settled, "all is counted")
    assert before["retained", "a"] == 5 and before["delayed", "a"] == 3 and before["keys", "a"] == 2
    assert before["groups", "a"] == 1 and before["subscriptions", "a"] == 4
    before.pop(("connections", "a"), None)
    stack.broker.tree |= {"limits": {"max-sessions": 3}, "retained": {"max-messages": 2},
                          "delayed": {"max-messages": 1}, "idempotency": {"max-keys": 1}}
    await stack.end(stack.broker)
    await stack.restart(stack.broker)

    async def same():
        found = await used(stack)
        found.pop(("connections", "a"), None)
        return found == before
    await eventually(same, "everything is there, and counted")
    assert not await tenant.connect(5)
    assert await tenant.connect(0), "a session that is there goes on"
    assert [m.payload for m in await tenant.clients[-1].receive_all(6)]
    last = tenant.clients[2]
    assert await last.publish("r/new", b"x", 1, retain=True) == 0x97
    assert await last.publish("r/0", b"y", 1, retain=True) in (0, 0x10), "one takes its place"
    for i in range(5):
        assert await last.publish(f"r/{i}", b"", 1, retain=True) in (0, 0x10)
    assert await last.publish("r/new", b"x", 1, retain=True) in (0, 0x10)
    await last.publish("r/new", b"", 1, retain=True)
    await asyncio.gather(*(c.disconnect(props={"session_expiry": 0}) for c in tenant.clients[1:]))


async def test_all_is_given_back(env):
    stack = await env.stack(sidecars=1, start=False,
                            broker={"idempotency": {"window": "1s"}})
    in_spaces(stack, "a")
    await stack.start()
    tenant = Tenant(env, stack, 0)
    for i in range(3):
        assert await tenant.connect(i)
    first = tenant.clients[0]
    await first.subscribe(("kept", 2), ("own", 1), ("$share/g/t", 1), ("$dead/#", 2))
    assert await tenant.retain(0) and await tenant.key(0)
    assert await first.publish("own", b"x", 1, props={"user": [("sqmqos-delay", "1")]}) == 0
    assert {m.payload for m in await first.receive_all(2)} == {b"x"}
    found = await used(stack)
    assert found["sessions", "a"] == 3 and found["retained", "a"] == 1, found
    await tenant.publish(0, "r/0", b"", 1, retain=True)
    for client in tenant.clients:
        await client.disconnect(props={"session_expiry": 0})

    async def nothing():
        found.clear()
        found.update(await used(stack))
        found.pop(("connections", "a"), None)
        return not found
    await eventually(nothing, f"nothing is left: {found}", 30)


async def test_connections_are_shared(env):
    """Of a sidecar's two links one has room; the other is asked for again, and all works."""
    stack = await env.stack(sidecars=1, broker={"spaces": {"a": {"limits": {"connections": 1}}}},
                            start=False)
    parts.write_token(stack.folder / "token", "a")
    in_spaces(stack, "a")
    for program in stack.programs:
        program.start()
    await stack.ready()
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    assert await app.publish("t", b"x", 1) == 0
    assert (await app.receive()).payload == b"x"

    async def one():
        counts = await metrics(stack.broker)
        return (counts["sqmqos_links"] == (await used(stack))["connections", "a"] == 1 and
                counts['sqmqos_broker_share_refused_total{kind="connections"}'] > 0)
    await eventually(one, "one link is open, and another was refused")

    def told():
        status, body = stack.sidecars[0].get("/readyz")
        return (status == 200 and "links: 1 of 2 are up" in body and
                "HTTP 503, the space has its share of connections" in body)
    await eventually(told, "/readyz says whose limit that is")
    stack.descriptors = {p.name: 1 << 16 for p in stack.programs}  # it goes on trying
    await app.disconnect()
    await stack.end(stack.sidecars[0])

    async def none():
        return ("connections", "a") not in await used(stack)
    await eventually(none, "what is closed counts no more")
    stack.sidecars[0].start()
    await stack.ready()


async def test_connections_without_a_session_count_too(env):
    """Of who may name several spaces: as the first one's, until a session says whose they are."""
    stack = await env.stack(sidecars=0, tls=False, start=False,
                            broker={"spaces": {"a": {"limits": {"connections": 3}}}})
    parts.write_token(stack.folder / "token", ["a", "b"])
    stack.broker.start()
    await stack.ready(stack.broker)
    token = (stack.folder / "token").read_text().strip()
    links = [await LinkClient(stack.broker_port, token, "2").open() for _ in range(4)]
    assert [await link.open_link() for link in links] == [200, 200, 200, 503]
    assert await used(stack) == {("connections", "a"): 3}
    answer = await links[0].request("PUT", session_path("b~w~one~pod"), attach(links[0]))
    assert answer.status == 200, answer
    found = await used(stack)
    assert found["connections", "a"] == 2 and found["connections", "b"] == 1, found
    assert await links[3].open_link() == 200, "its place is free"
    for link in links:
        await link.close()

    async def none():
        return not [key for key in await used(stack) if key[0] == "connections"]
    await eventually(none, "what is closed counts no more")
    env.check_leftovers = False  # a session within its grace


class Mortal:
    """A tenant whose subscriber refuses what it is sent: all become dead letters."""

    def __init__(self, env, stack, index):
        self.env, self.port, self.name = env, stack.ports[index], SPACES[index]
        self.letters = []
        self.undertaker = None

    async def start(self):
        self.sub = await self.env.connect(self.port, "sub", ack="none", props=DURABLE)
        await self.sub.subscribe("t", qos=2)
        self.publisher = await self.env.connect(self.port, "publisher")
        return self

    async def refuse(self, qos, payload):
        props = {"user": [("sqmqos-qos", "3")]} if qos == 3 else {}
        code = await self.publisher.publish("t", payload, min(qos, 2), props=props)
        assert code in (0, 0x97), code
        if code == 0:
            m = await self.sub.receive()
            self.sub.send_ack(mqtt.PUBREC if qos == 3 else mqtt.PUBACK, m.packet_id, 0x83)
            self.sub.held.clear()
            self.letters.append(payload)
        return code == 0

    async def assured(self, i):
        return await self.refuse(3, b"%d" % i)

    async def one_by_one(self, stack, i):
        """The same, once all letters until now count: what came in before has one on its way."""
        async def counted():
            found = await used(stack)
            return found.get(("dead-letters", self.name), 0) == len(self.letters)
        await eventually(counted, "its letters are counted")
        return await self.assured(i)

    async def bury(self):
        """The payloads of all its letters since the last time; who takes them stays."""
        if self.undertaker is None:
            self.undertaker = await self.env.connect(self.port, "undertaker")
            assert await self.undertaker.subscribe("$dead/#", qos=2) == [2]
        found = [(await self.undertaker.receive()).payload]
        await self.undertaker.ping()
        found += [m.payload for m in self.undertaker.inbox]
        self.undertaker.inbox.clear()
        return found


@scenario(timeout_s=180)
async def test_dead_letters_are_shared(env):
    """One space makes all that it can; those of others are kept, of QoS 1 as of QoS 3."""
    stack = await env.stack(sidecars=3, start=False, broker={
        "limits": {"spaces": len(SPACES)}, "dead-letters": {"total-messages": TOTAL}})
    in_spaces(stack, SPACES)
    await stack.start()
    greedy, *others = [await Mortal(env, stack, i).start() for i in range(3)]
    most = (TOTAL - (len(SPACES) - 1) * FLOOR) * 3 / 4
    taken = await until_refused(greedy.assured, int(most) - 17, 1)
    assert taken == int(most) - 17, taken
    taken += await until_refused(lambda i: greedy.one_by_one(stack, taken + i), TOTAL, 1)
    assert most - 17 < taken <= most + 1, taken
    assert "a has" in greedy.publisher.words[-1] and \
        "its share of 512 (dead-letters.total-messages" in greedy.publisher.words[-1], \
        greedy.publisher.words
    for i in range(2 * FLOOR):
        assert await greedy.refuse(1, b"plain"), "the oldest plain ones leave"
    for other in others:
        for i in range(FLOOR):
            assert await other.refuse(1 + 2 * (i % 2), b"%d" % i), i

    async def shares():
        found = await used(stack)
        return {space: n for (kind, space), n in found.items() if kind == "dead-letters"}

    async def settled():
        found = await shares()
        return found["b"] == found["c"] == FLOOR and found["a"] <= taken + 1
    await eventually(settled, "each has its letters")
    refused = await metrics(stack.broker)
    assert refused['sqmqos_broker_share_refused_total{kind="dead-letters"}'] > 0
    for other in others:
        assert sorted(await other.bury()) == sorted(other.letters)
    await greedy.bury()

    async def none():
        return not await shares()
    await eventually(none, "what was taken counts no more")
    assert await greedy.assured(0), "there is room again"
    await greedy.bury()
    for mortal in (greedy, *others):
        await mortal.sub.disconnect(props={"session_expiry": 0})


async def test_what_waits_in_the_store_is_shared(env):
    """A client that takes nothing fills its tenant's share, and no other's."""
    stack = await env.stack(broker={"spaces": {"a": {"limits": {"stored-bytes": "1Mi"}}}},
                            start=False)
    in_spaces(stack, "ab")
    await stack.start()
    stuck = env.client("stuck")
    await stuck.connect(stack.ports[0], clean=False, props=DURABLE)
    await stuck.subscribe(("t", 1))
    stuck.stall()
    payload = b"x" * 16000
    publisher, other = [await env.connect(port, "publisher") for port in stack.ports]
    await other.subscribe("t")

    async def one(_):
        return await publisher.publish("t", payload, 1) == 0
    taken = await until_refused(one, 800, 1)
    assert 60 <= taken < 800, taken  # what the link and the sidecar hold is not given back yet
    assert 900 << 10 < (await used(stack))["stored-bytes", "a"] <= 1 << 20
    assert "there is no room in the broker's store (store.max-size): a has" in \
        stack.log(stack.broker)
    for _ in range(80):
        assert await other.publish("t", payload, 1) == 0
    await other.receive_all(80)
    stuck.unstall()
    await stuck.receive_all(taken)

    async def gone():
        return ("stored-bytes", "a") not in await used(stack)
    await eventually(gone, "what was taken counts no more")
    assert await one(0)
    await stuck.disconnect(props={"session_expiry": 0})


class Waiting:
    """What one tenant has waiting in the memory of a broker without a store."""

    def __init__(self, env, stack, index, topics):
        self.env, self.port = env, stack.ports[index]
        self.topics = [f"t/{n}" for n in range(topics)]
        self.subs = []

    async def start(self):
        for topic in self.topics:
            sub = await self.env.connect(self.port, f"sub-{topic[2:]}-{self.port}", ack="none",
                                         props={**DURABLE, "receive_maximum": 1})
            await sub.subscribe(topic, qos=1)
            self.subs.append(sub)
        self.publisher = await self.env.connect(self.port, f"pub-{self.port}")
        return self

    async def one(self, i):
        payload = random.randbytes(16000)
        return await self.publisher.publish(self.topics[i % len(self.topics)], payload, 1) == 0

    async def end(self):
        for client in [*self.subs, self.publisher]:
            await client.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=180)
async def test_what_waits_in_memory_is_shared(env):
    """Clients that take nothing fill their tenant's share of memory, and no other's."""
    broker = {"engine": "memory", "limits": {"memory": "32Mi", "spaces": 4}}
    stack = await env.stack(broker=broker, start=False)
    in_spaces(stack, "ab")
    await stack.start()
    first, second = [await Waiting(env, stack, i, 40).start() for i in range(2)]
    taken = await until_refused(first.one, 3000, 1)
    assert 300 <= taken < 3000, taken
    assert "there is no room in the broker's memory (limits.memory): a has" in \
        first.publisher.words[-1], first.publisher.words
    # Nothing is refused for a share while half of limits.memory is free, which it is about now.
    assert await until_refused(first.one, 40, 1) < 40
    assert (await metrics(stack.broker))["sqmqos_memory_level"] == 0, "there is some for others"
    assert await until_refused(second.one, 120, 1) == 120
    found = await used(stack)
    assert 4 * MIB < found["memory", "a"] <= 12 * MIB, found
    assert MIB < found["memory", "b"] < 3 * MIB, found
    await first.end()
    assert await until_refused(second.one, 120, 1) == 120
    await second.end()

    async def gone():
        return not [key for key in await used(stack) if key[0] == "memory"]
    await eventually(gone, "what went counts no more")


async def test_memory_of_a_tenant_has_a_hard_limit(env):
    broker = {"engine": "memory", "spaces": {"a": {"limits": {"memory": "256Ki"}}}}
    stack = await env.stack(broker=broker, start=False)
    in_spaces(stack, "ab")
    await stack.start()
    first, second = [await Waiting(env, stack, i, 1).start() for i in range(2)]
    taken = await until_refused(first.one, 100, 1)
    assert 12 <= taken <= 40, taken  # what was handed out waits elsewhere
    assert "of 262144 that spaces.*.limits.memory allows" in first.publisher.words[-1], \
        first.publisher.words
    assert (await used(stack))["memory", "a"] <= 256 << 10
    assert await until_refused(second.one, 100, 1) == 100
    await first.end()
    assert await until_refused(second.one, 20, 1) == 20
    await second.end()


class GreedyLink:
    """Durable sessions of one link with all the credit there is; what comes is acknowledged when
    the test says so."""

    def __init__(self, link, space, count):
        self.link, self.keys = link, [f"{space}~hand~greedy-{n}" for n in range(count)]
        self.epochs, self.got = {}, collections.Counter()
        self.numbers = collections.defaultdict(list)  # "<number N>" at the end of what has come

    async def post(self, key, what, body):
        path = session_path(key, what, self.epochs[key])
        return (await self.link.request("POST", path, body)).status

    async def start(self, credit=True):
        for n, key in enumerate(self.keys):
            answer = await self.link.request("PUT", session_path(key), attach(
                self.link, expiry=600, receive_max=1000))
            assert answer.status == 200, answer
            self.epochs[key] = Attached.parse(answer.body).epoch
            assert await self.post(key, "/subscriptions", subscription(f"t/{n}")) == 200
            if credit:
                await self.grant(key)
        return self

    async def grant(self, key):
        assert await self.post(key, "/settlements", settlements(1 << 40, 1 << 50)) == 204

    def waiting(self):
        """Messages that have come, by session."""
        keys = {epoch: key for key, epoch in self.epochs.items()}
        found = {}
        while not self.link.deliveries.empty():
            kind, contents = self.link.deliveries.get_nowait()
            if kind == 2:  # with one target
                epoch, delivery = struct.unpack(">QQ", contents[-28:-12])
                found.setdefault(keys[epoch], []).append((1, delivery))
                self.numbers[keys[epoch]] += re.findall(rb"<number (\d+)>", contents[-80:])
        return found

    async def acknowledge(self, found):
        for key, entries in found.items():
            self.got[key] += len(entries)
            assert await self.post(key, "/settlements",
                                   settlements(1 << 40, 1 << 50, entries)) == 204


async def greedy_link(env, limit, sessions, credit=True):
    """(stack, a greedy link of space a, a publisher to its sessions, a client of space b, which
    has subscribed to t/0)"""
    stack = await env.stack(tls=False, start=False, broker={"limits": {"memory": limit}})
    in_spaces(stack, "ab")
    await stack.start()
    token = (stack.folder / "token").read_text().strip()
    link = await LinkClient(stack.broker_port, token).open()
    assert await link.open_link() == 200
    greedy = await GreedyLink(link, "a", sessions).start(credit)
    publisher = await env.connect(stack.ports[0], "pub")
    good = await env.connect(stack.ports[1], "good")
    await good.subscribe("t/0", qos=1)
    return stack, greedy, publisher, good


async def published(good, count):
    """What it publishes is taken, and comes back to it."""
    for _ in range(count):
        assert await good.publish("t/0", random.randbytes(50000), 1) == 0
        await good.receive()


@scenario(timeout_s=180, build="release")
async def test_what_a_link_does_not_acknowledge_is_shared(env):
    """A sidecar that grants itself all credit holds its tenant's share of memory, and no more:
    the rest waits in the store."""
    sessions, each, limit = 16, 100, 64 * MIB
    stack, greedy, publisher, good = await greedy_link(env, limit, sessions)

    async def one(i):
        return await publisher.publish(f"t/{i % sessions}", random.randbytes(50000), 1) == 0
    assert await until_refused(one, sessions * each) == sessions * each
    found = greedy.waiting()
    out = sum(len(entries) for entries in found.values()) * 50000
    assert 4 * MIB < out < limit / 2, out / MIB
    assert all(found.get(key) for key in greedy.keys), "each has some"
    assert out / 2 < (await used(stack))["memory", "a"] < limit / 2
    assert (await metrics(stack.broker))["sqmqos_memory_level"] < 2, "nobody is slowed down"
    await published(good, 50)

    await greedy.acknowledge(found)

    async def all_came():
        await greedy.acknowledge(greedy.waiting())
        return all(greedy.got[key] == each for key in greedy.keys)
    await eventually(all_came, "what waited comes once the rest is acknowledged", 60, 0.05)

    async def gone():
        return ("memory", "a") not in await used(stack)
    await eventually(gone, "what was acknowledged counts no more")
    await greedy.link.close()
    env.check_leftovers = False  # durable sessions of the link


@scenario(timeout_s=300, build="release")
async def test_many_durable_queues_stay_within_the_memory(env):
    """A large message waits in each of many sessions; then all have credit, and acknowledge
    nothing.  What waits is in the store, and is read as far as the tenant has its share."""
    sessions, each, limit = 120, 3, 64 * MIB
    stack, greedy, publisher, good = await greedy_link(env, limit, sessions, credit=False)

    async def others_are_served():
        await published(good, 20)
        at = await metrics(stack.broker)
        assert at["sqmqos_memory_used_bytes"] < limit * 4 / 5, at["sqmqos_memory_used_bytes"] / MIB
        assert at["sqmqos_memory_level"] < 2, "nobody is slowed down"

    for i in range(sessions * each):
        body = random.randbytes(500000) + b"<number %d>" % (i // sessions)
        assert await publisher.publish(f"t/{i % sessions}", body, 1) == 0

    async def in_the_store():
        return (await metrics(stack.broker))["sqmqos_memory_used_bytes"] < limit / 2
    await eventually(in_the_store, "what waits leaves memory", 30)
    await others_are_served()
    for key in greedy.keys:
        await greedy.grant(key)
    await others_are_served()

    async def all_came():
        await greedy.acknowledge(greedy.waiting())
        return all(greedy.got[key] >= each for key in greedy.keys)
    await eventually(all_came, "what waits comes as the rest is acknowledged", 120, 0.05)
    await others_are_served()
    assert not greedy.waiting()
    want = [b"%d" % n for n in range(each)]
    others = {key: numbers for key, numbers in greedy.numbers.items() if numbers != want}
    assert not others and len(greedy.numbers) == sessions, others
    await greedy.link.close()
    env.check_leftovers = False  # durable sessions of the link


@scenario(timeout_s=300, build="release")
async def test_who_acknowledges_nothing_is_refused_before_others_are_slowed(env):
    """Messages come straight to many durable sessions with all the credit there is: what these hold
    is their tenant's share, and publishers to them are refused, nobody else."""
    sessions, limit = 200, 64 * MIB
    stack, greedy, publisher, good = await greedy_link(env, limit, sessions)
    codes = [await publisher.publish(f"t/{i}", random.randbytes(500000), 1) for i in range(sessions)]
    assert set(codes) == {0, 0x97}, collections.Counter(codes)
    assert "a has " in publisher.words[0] and "which is its share" in publisher.words[0]
    await published(good, 20)
    more = await env.connect(stack.ports[1], "more")
    await more.subscribe("t/1", qos=1)
    at = await metrics(stack.broker)
    assert at["sqmqos_memory_level"] == 0, at["sqmqos_memory_used_bytes"] / limit

    async def taken_again():
        await greedy.acknowledge(greedy.waiting())
        return await publisher.publish("t/0", random.randbytes(500000), 1) == 0
    await eventually(taken_again, "what is acknowledged makes room", 30, 0.1)
    await greedy.link.close()
    env.check_leftovers = False  # durable sessions of the link

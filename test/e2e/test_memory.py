"""Memory has a bound in total: greedy clients of a broker and of a sidecar, each in a control
group of 64 MiB, and a good client beside them."""

import asyncio
import contextlib
import random
import re
import tempfile

import mqtt
from cgroup import Group
from cluster import eventually, metric, metrics
from link import HEADERS, LinkClient, frame, literal, session_path
from scenario import scenario

MIB = 1 << 20
ROOM = 64 * MIB
GREEDY_S = 60
OVERHEAD = 4 * MIB  # libraries' data, stacks: what no allocation counts


class Watch:
    """Samples a program and its group."""

    def __init__(self, program, group):
        self.program = program
        self.group = group
        self.samples = []
        self.levels = set()

    async def look(self):
        found = await metrics(self.program)
        anonymous = self.group.anonymous()
        self.samples.append((found["sqmqos_memory_bytes"], found["sqmqos_memory_used_bytes"],
                             anonymous))
        self.levels.add(int(found["sqmqos_memory_level"]))

    def most(self):
        return max(self.samples, key=lambda s: s[2])


@contextlib.contextmanager
def groups(*programs):
    made = []
    try:
        for program in programs:
            made.append(Group(program.name, ROOM))
            made[-1].hold(program)
        yield made
    finally:
        for program in programs:
            program.stop()  # still there when something has failed
        for group in made:
            group.remove()


async def endless(work):
    """Does 'work' until it is cancelled; what goes wrong with a greedy client is its own."""
    while True:
        with contextlib.suppress(OSError, mqtt.Closed, asyncio.TimeoutError, AssertionError):
            await work()
        await asyncio.sleep(0.05)


class Greedy:
    """Clients that take what they can, on one sidecar."""

    def __init__(self, port):
        self.port = port
        self.n = 0
        self.kept = []

    async def client(self, name, **options):
        self.n += 1
        client = mqtt.Client(f"greedy-{name}-{self.n}", options.pop("version", 5),
                             options.pop("ack", "auto"))
        connack = await client.connect(self.port, **options)
        if connack.code != 0:
            client.abort()
            raise mqtt.Closed(connack.code)
        self.kept.append(client)
        return client

    async def stuck(self):
        """Subscribers that read nothing, of each QoS, while others flood them."""
        for qos in (0, 1, 2):
            client = await self.client("stuck", ack="none")
            await client.subscribe("flood/#", qos=qos, timeout_s=5)
            client.stall()
        await asyncio.sleep(0.5)

    async def flood(self, qos, size, version=5):
        client = await self.client("flood", version=version)
        payload = random.randbytes(size)
        while client.connected:
            for _ in range(16 if size < 500000 else 2):
                client.publish_nowait(f"flood/{random.randrange(100)}", payload, qos)
            await asyncio.wait_for(client.connection.writable.wait(), 30)
            if qos:
                for _ in range(500):
                    if len(client.outgoing) < 100:
                        break
                    await asyncio.sleep(0.01)

    async def wills(self):
        will = mqtt.Will("flood/will", random.randbytes(60000), 1)
        await self.client("will", will=will, props={"session_expiry": 60})

    async def filters(self):
        client = await self.client("filters")
        for n in range(100):
            names = [f"{random.randrange(1 << 40)}/" + "x/" * 20 + f"{n}/{i}" for i in range(100)]
            await client.subscribe(*names, timeout_s=10)

    async def retained(self):
        client = await self.client("retain")
        while client.connected:
            await client.publish(f"kept/{random.randrange(1 << 30)}", random.randbytes(2000), 1,
                                 retain=True, timeout_s=10)

    async def sessions(self):
        client = await self.client("many")
        await client.subscribe("many/x")

    def start(self, spawn):
        works = [self.stuck, self.stuck, self.wills, self.filters, self.retained, self.sessions]
        for qos, size, version in ((0, 200, 5), (0, 50000, 4), (1, 1000, 5), (1, 20000, 4),
                                   (2, 500, 5), (1, 1000000, 5), (0, 1000000, 4)):
            works.append(lambda q=qos, s=size, v=version: self.flood(q, s, v))
        return [spawn(endless(work)) for work in works]

    def end(self):
        for client in self.kept:
            client.abort()


async def good(env, port, sent):
    """A client that publishes and gets what it has published, all the time."""
    client = await env.connect(port, f"good-{port}")
    await client.subscribe("good/x", qos=1)
    n = 0
    while True:
        code = await client.publish("good/x", f"{n}", 1, timeout_s=20)
        if code == 0:
            message = await client.receive(timeout_s=20)
            assert message.payload == f"{n}".encode(), (message.payload, n)
            n += 1
        sent.append(code)
        await asyncio.sleep(0.05)


async def watch(watches, seconds):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        for w in watches:
            assert w.program.running(), f"{w.program.name}: {w.program.last_words()}"
            await w.look()
        await asyncio.sleep(0.5)


def close(w):
    """What is counted is what the group has, within a quarter of it."""
    _, used, anonymous = w.most()
    assert abs(used - anonymous) <= anonymous / 4 + OVERHEAD, \
        f"{w.program.name}: {used / MIB:.1f} MiB are counted, {anonymous / MIB:.1f} are there"


@scenario(timeout_s=300, alone=True, build="release")
async def test_greedy_clients_kill_nothing_and_starve_nobody(env):
    stack = await env.stack(start=False)
    broker, near, far = stack.programs
    with groups(broker, near) as held:
        await stack.start()
        assert await metric(broker, "sqmqos_memory_limit_bytes") == ROOM // 4 * 3
        assert await metric(near, "sqmqos_memory_limit_bytes") == ROOM // 2
        watches = [Watch(p, g) for p, g in zip((broker, near), held)]
        sent = []
        served = env.spawn(good(env, stack.ports[1], sent))
        greedy = Greedy(stack.ports[0])
        tasks = greedy.start(env.spawn)
        await watch(watches, GREEDY_S)
        for task in tasks:
            task.cancel()
        served.cancel()
        greedy.end()
        for w in watches:
            print(w.program.name, *(f"{n / MIB:.1f}" for n in w.most()), w.levels)
            assert w.group.kills() == 0, f"{w.program.name} was killed by the kernel"
        print(len(sent), sent.count(0), set(sent))
        for w in watches:
            close(w)
        assert sent.count(0) > 0.9 * len(sent) and len(sent) > GREEDY_S, \
            (len(sent), sent.count(0))

        async def free():
            return await metric(broker, "sqmqos_memory_level") == 0 \
                and await metric(near, "sqmqos_memory_level") == 0
        await eventually(free, "memory is free again", 60, 0.5)
        env.check_leftovers = False
        await stack.stop()


# --- in small, on one broker

WILL = mqtt.Will("w", b"x" * 3000, 1)
EXPIRY = {"session_expiry": 60}


async def test_a_will_above_its_limit_is_refused(env):
    stack = await env.stack(sidecars=1, broker={"limits": {"will": "2Ki"}})
    port = stack.ports[0]
    for version, code in ((5, 0x95), (4, 3)):
        client = env.client(f"big-{version}", version)
        connack = await client.connect(port, will=WILL, clean=version == 5,
                                       props=EXPIRY if version == 5 else None)
        assert connack.code == code, hex(connack.code)
    small = mqtt.Will("w", b"x" * 1500, 1)
    await env.connect(port, "small", will=small, props=EXPIRY)
    assert await metric(stack.broker, 'sqmqos_refused_total{reason="quota"}') == 2


async def test_filters_have_a_bound_in_bytes(env):
    stack = await env.stack(sidecars=1, broker={"limits": {"subscription-bytes": "4Ki"}})
    client = await env.connect(stack.ports[0], "filters")
    names = [f"{n:03d}" + "x" * 97 for n in range(50)]
    codes = await client.subscribe(*names)
    assert codes == [1] * 40 + [0x97] * 10, codes
    assert "limits.subscription-bytes" in client.words[-1], client.words
    await client.unsubscribe(*names[:10])
    assert await client.subscribe(*names[:5], *names[40:]) == [1] * 10 + [0x97] * 5
    other = await env.connect(stack.ports[0], "other")
    assert await other.subscribe(*names[:40]) == [1] * 40, "each session has its own"


async def fill(pub, topics, payload):
    """Publishes to one after the other until there is no memory for it."""
    for n in range(2000):
        code = await pub.publish(topics[n % len(topics)], payload, 1)
        if code == 0x97 and "nearly used up" in pub.words[-1]:  # more than a queue that is full
            return
    raise AssertionError("it takes everything")


@scenario(timeout_s=180)
async def test_without_memory_what_makes_some_free_is_taken(env):
    """Clients that finish nothing fill a broker; until they do it refuses what needs memory."""
    limits = {"memory": "24Mi", "spaces": 1}
    stack = await env.stack(broker={"limits": limits, "engine": "memory"})
    near, far = stack.ports
    before = await metric(stack.broker, "sqmqos_memory_bytes")
    topics = [f"t/{n}" for n in range(160)]  # each may always have some unacknowledged
    subs = []
    for topic in topics:
        subs.append(await env.connect(far, f"sub-{topic[2:]}", ack="none", props=EXPIRY))
        await subs[-1].subscribe(topic, qos=1)
    old = await env.connect(near, "old", 4)
    pub = await env.connect(near, "pub")
    await fill(pub, topics, random.randbytes(60000))
    assert "limits.memory" in pub.words[-1], pub.words
    assert await metric(stack.broker, "sqmqos_memory_level") >= 2  # what was refused is gone
    assert await metric(stack.broker, 'sqmqos_refused_total{reason="memory"}') > 0
    assert (await env.client("new").connect(near, props=EXPIRY)).code == 0x97
    transient = await env.connect(near, "transient")  # which is answered at once
    assert await transient.wait_closed() == 0x97
    assert (await env.client("new-311", 4).connect(near, clean=False)).code == 3
    assert await pub.subscribe("other") == [0x97]
    assert await old.subscribe("other") == [0x80]
    assert await pub.unsubscribe("other") == [0x11]
    await pub.ping()
    again = subs.pop()
    again.abort()
    again.ack = "auto"
    connack = await again.connect(far, clean=False, props=EXPIRY)
    assert connack.code == 0 and connack.session_present, "a session that is there"
    for sub in subs:
        sub.ack = "auto"
        for message in sub.inbox:
            sub.send_ack(mqtt.PUBACK, message.packet_id)

    async def taken():
        return await pub.publish("t/1", "x", 1) == 0
    await eventually(taken, "messages are taken again", 60, 0.2)
    for client in [*subs, again, old, pub]:
        await client.disconnect(props={"session_expiry": 0} if client.version == 5 else None)

    async def back():
        return await metric(stack.broker, "sqmqos_memory_bytes") < before + MIB
    await eventually(back, "what was counted is counted no more", 60, 0.5)


# --- a sidecar at its limit

NO_ROOM = "the sidecar's memory is nearly used up (limits.memory)"
ENDED = 'sqmqos_clients_closed_total{reason="memory"}'


class Half:
    """A client that has sent a PUBLISH but for its end."""

    def __init__(self, client, size):
        self.client = client
        self.topic, self.payload = "half", random.randbytes(size)

    def begin(self):
        sent, send = [], self.client.send
        self.client.send = sent.append
        self.client.publish_nowait(self.topic, self.payload, 1)
        self.client.send = send
        send(sent[0][:-10])


class Fillers:
    """Clients of a sidecar that subscribe and read nothing, beyond what the kernel takes for
    them: little, on a unix socket."""

    def __init__(self, env, sidecar, flood):
        self.env, self.sidecar, self.flood = env, sidecar, flood
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/mqtt"
        sidecar.tree["listen"]["unix"] = self.path
        self.clients, self.used, self.enough = [], [], False

    async def start(self, count):
        for n in range(count):
            self.clients.append(await self.env.connect(None, f"filler-{n}", path=self.path))
            await self.clients[-1].subscribe("flood", qos=0)
            self.clients[-1].stall()

    async def fill(self):
        payload = random.randbytes(7000)  # each has a copy of it
        while not self.enough:
            await self.flood.publish("flood", payload, 1)
            self.used.append(await metric(self.sidecar, "sqmqos_memory_bytes"))

    def ended(self):
        return sum(not client.connected for client in self.clients)

    def end(self):
        for client in self.clients:
            client.abort()
        self.folder.cleanup()


async def echo(client):
    """The code of a publish of the client's to itself, which it gets where it is taken."""
    code = await client.publish(client.client_id, b"x", 1)
    if code == 0:
        await client.receive()
    return code


@scenario(timeout_s=180, build="release")
async def test_a_sidecar_ends_who_reads_nothing_and_serves_the_others(env):
    limit = 8 * MIB
    stack = await env.stack(tls=False, start=False)
    near, far = stack.sidecars
    near.tree["limits"] = {"memory": "8Mi"}
    fillers = Fillers(env, near, env.client("flood"))
    await stack.start()
    before = await metric(near, "sqmqos_memory_bytes")
    await fillers.start(250)  # with what each may be sent ahead they are far above the limit
    good, old = [await env.connect(stack.ports[0], f"app-{v}", v) for v in (5, 4)]
    for client in (good, old):
        await client.subscribe(client.client_id, qos=1)
        assert await echo(client) == 0
    half = Half(await env.connect(stack.ports[0], "half", 4), 40000)  # it holds 64 KiB
    half.begin()
    await fillers.flood.connect(stack.ports[1])
    filling = env.spawn(fillers.fill())

    async def some_are_ended():
        code = await echo(good)
        assert code in (0, 0x97), hex(code)
        assert await echo(old) == 0
        return await metric(near, ENDED) > 20
    await eventually(some_are_ended, "who holds most is ended", 90, 0.02)

    async def served():
        return await echo(good) == 0
    for _ in range(50):
        await eventually(served, "it is served while they go on", 60, 0.02)
        assert await echo(old) == 0
    fillers.enough = True
    await filling
    assert max(fillers.used) < limit / 4 * 5, max(fillers.used) / MIB
    for client in fillers.clients:
        client.unstall()

    await eventually(lambda: fillers.ended() > 20, "it is these that were ended", 30, 0.1)
    said = re.findall(r"client (\S+): closed, it holds most of the memory", stack.log(near))
    assert said and "half" not in said[:10], "who reads nothing goes before who has sent as much"
    fillers.end()

    async def back():
        found = await metrics(near)
        return found["sqmqos_memory_bytes"] < before + MIB and found["sqmqos_memory_level"] == 0
    await eventually(back, "memory is free again", 30, 0.1)


@scenario(timeout_s=180, build="release")
async def test_a_sidecar_near_its_limit_refuses_publishers_of_mqtt_5(env):
    stack = await env.stack(sidecars=1, tls=False, start=False)
    sidecar = stack.sidecars[0]
    sidecar.tree["limits"] = {"memory": "8Mi"}
    await stack.start()
    halves = [Half(await env.connect(stack.ports[0], f"half-{n}", 4), 60000) for n in range(150)]
    good, old = [await env.connect(stack.ports[0], f"app-{v}", v) for v in (5, 4)]
    for client in (good, old):
        await client.subscribe(client.client_id, qos=1)
    begun, code = 0, 0
    while code == 0:
        halves[begun].begin()  # some at a time: at the limit itself they are ended
        begun += 1
        code = await echo(good)
    assert code == 0x97 and good.words[-1] == NO_ROOM, (hex(code), good.words)
    assert await echo(old) == 0, "3.1.1 has no refusal: the little that it publishes is taken"
    for half in halves:
        half.client.abort()

    async def served():
        return await echo(good) == 0
    await eventually(served, "it is taken again", 30, 0.02)


# --- bodies of links

async def linked(stack):
    token = (stack.folder / "token").read_text().strip()
    link = await LinkClient(stack.broker_port, token, "2").open()
    assert await link.open_link() == 200
    return link


def half_a_body(link, size):
    """A POST whose body does not end."""
    whole = link.writer
    taken = bytearray()

    class Cut:
        def write(self, data):
            taken.extend(data)
    link.writer = Cut()
    link.request_nowait("POST", session_path("default~hand~c", "/messages", 1),
                        b"x" * (size // 16384 * 16384 + 1))
    link.writer = whole
    link.writer.write(bytes(taken[:-10]))  # without the last frame


async def upload(client, count):
    """Large messages one by one; how many were taken, where the others were refused."""
    taken = 0
    for _ in range(count):
        code = await client.publish("t", random.randbytes(200000), 1)
        assert code in (0, 0x97), code
        taken += code == 0
    return taken


@scenario(timeout_s=180, build="release")
async def test_bodies_of_a_link_have_a_bound_while_memory_is_short(env):
    limit, large = 64 * MIB, 20
    stack = await env.stack(sidecars=1, tls=False, broker={"limits": {"memory": "64Mi"}})
    sidecar, ended = stack.sidecars[0], 'sqmqos_connections_ended_total{reason="bodies"}'
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t", qos=1)
    quiet = await linked(stack)
    greedy = [await linked(stack) for _ in range(3)]
    for link in greedy:
        for _ in range(60):
            half_a_body(link, 900000)
    used = []

    async def short():
        found = await metrics(stack.broker)
        used.append(found["sqmqos_memory_used_bytes"])
        return found["sqmqos_memory_level"] > 0
    await eventually(short, "memory is short", 30, 0.05)
    uploads = asyncio.create_task(upload(app, large))

    async def over():
        await short()
        return await metric(stack.broker, ended) == len(greedy)
    await eventually(over, "who holds bodies is ended", 90, 0.1)
    assert limit / 2 < max(used) < limit, max(used) / MIB
    for link in greedy:
        await asyncio.wait_for(link.task, 15)
        assert link.goaway
        link.writer.close()

    async def free():
        return await metric(stack.broker, "sqmqos_memory_level") == 0
    await eventually(free, "memory is free again", 30, 0.1)
    taken = await asyncio.wait_for(uploads, 60)
    assert taken > 0
    assert await upload(app, large) == large
    # A session that is not durable does without what finds no memory, which is counted.
    lost = await metric(stack.broker, 'sqmqos_messages_dropped_total{reason="queue-full"}')
    assert lost < taken
    await app.receive_all(taken + large - int(lost), 60)
    assert (await quiet.request("GET", "/v1/nothing")).status == 404, "a link that holds nothing"
    await quiet.close()
    assert await metric(sidecar, "sqmqos_links_lost_total") == 0


async def heads(stack):
    """A connection of the HTTP API with 90 requests, of each of which a large head has come."""
    token = (stack.folder / "token").read_text().strip()
    link = await LinkClient(stack.broker_port, token).open()
    assert (await link.request("GET", "/v1")).status == 200
    fields = ((":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/v1/publish/a"),
              ("authorization", f"bearer {token}"), ("x", "x" * 11500))
    head = b"".join(literal(*field) for field in fields)
    for _ in range(90):
        link.writer.write(frame(HEADERS, 4, link.next_stream, head))
        link.next_stream += 2
        await link.writer.drain()
    return link


async def test_heads_of_requests_have_a_bound_while_memory_is_short(env):
    limit = 64 * MIB
    stack = await env.stack(sidecars=1, tls=False, broker={"limits": {"memory": "64Mi"}})
    greedy = [await heads(stack) for _ in range(40)]

    async def short():
        return await metric(stack.broker, "sqmqos_memory_level") == 3
    await eventually(short, "memory is short", 30, 0.1)
    greedy += [await heads(stack) for _ in range(60)]

    async def ended():
        return await metric(stack.broker, 'sqmqos_connections_ended_total{reason="bodies"}') > 0
    await eventually(ended, "who holds heads is ended", 60, 0.1)
    used = await metric(stack.broker, "sqmqos_memory_used_bytes")
    assert used < limit * 3 / 2, used / MIB
    for link in greedy:
        link.writer.transport.abort()

    async def free():
        return await metric(stack.broker, "sqmqos_memory_level") == 0
    await eventually(free, "memory is free again", 30, 0.1)

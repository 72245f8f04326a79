"""What the conformance scenarios (test/e2e/test_mqtt_*.py) share: a client of raw
bytes, and cases that run side by side in one stack.

A case is an `async def name(w)` with the mark @case. Which of the standards' statements it
proves stands in test/conformance/, and nowhere else."""

import asyncio
import inspect
import struct
import traceback

import mqtt
from mqtt import CONNACK, CONNECT, DISCONNECT, V5, Reader, binary, packet, properties, text

AT_ONCE = 8


class Raw:
    """A connection that sends what it is told and reads packet by packet."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, *parts):
        try:
            self.writer.write(b"".join(parts))
        except OSError:
            pass

    async def packet(self, timeout_s=15):
        """(type, flags, Reader), or None at the end of the connection."""
        try:
            return await asyncio.wait_for(self.read_packet(), timeout_s)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def read_packet(self):
        head = (await self.reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await self.reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = await self.reader.readexactly(length)
        return head >> 4, head & 15, Reader(body)

    async def expect(self, kind, timeout_s=15):
        """The next packet's Reader; it must be of this type."""
        got = await self.packet(timeout_s)
        assert got is not None, f"the connection ended where a packet of type {kind} is due"
        assert got[0] == kind, f"packet of type {got[0]} where {kind} is due: {got[2].data.hex()}"
        return got[2]

    async def ended(self, timeout_s=15):
        """Awaits the end of the connection; the reason of a DISCONNECT or of a
        refusing CONNACK before it, or None."""
        reason = None
        while (got := await self.packet(timeout_s)) is not None:
            if got[0] == DISCONNECT:
                reason = got[2].u8() if got[2].left() else 0
            elif got[0] == CONNACK:
                present = got[2].u8()
                reason = got[2].u8() or None
                assert reason is None or present == 0, "refused, and session present"
        return reason

    def abort(self):
        self.writer.transport.abort()


def connect_packet(client_id, version=V5, flags=2, keep_alive=0, props=None, name="MQTT",
                   payload=b"", first=CONNECT << 4):
    body = text(name) + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == V5:
        body += properties(props)
    return bytes([first]) + packet(CONNECT, body + text(client_id) + payload)[1:]


def will_payload(topic, payload=b"", version=V5, props=None):
    return (properties(props) if version == V5 else b"") + text(topic) + binary(payload)


class World:
    """What a case gets: two ports (they may be one) and names of its own."""

    def __init__(self, env, stack, ports, name):
        self.env = env
        self.stack = stack
        self.a, self.b = ports
        self.name = name
        self.raws = []
        self.clients = []

    def id(self, suffix=""):
        return f"{self.name}-{suffix}" if suffix else self.name

    def topic(self, suffix=""):
        return f"{self.name}/{suffix}" if suffix else self.name

    async def raw(self, port=None):
        raw = await Raw.open(port or self.a)
        self.raws.append(raw)
        return raw

    async def raw_connected(self, suffix="raw", version=V5, port=None, **options):
        raw = await self.raw(port)
        raw.send(connect_packet(self.id(suffix), version, **options))
        r = await raw.expect(CONNACK)
        assert r.data[1] == 0, f"CONNACK 0x{r.data[1]:02x}"
        return raw

    def client(self, suffix, version=V5, ack="auto"):
        made = self.env.client(self.id(suffix), version, ack)
        self.clients.append(made)
        return made

    async def connect(self, suffix, version=V5, port=None, ack="auto", **options):
        made = self.client(suffix, version, ack)
        connack = await made.connect(port or self.a, **options)
        assert connack.code == 0, f"{made.client_id}: CONNACK 0x{connack.code:02x}"
        return made

    async def subscriber(self, *filters, suffix="sub", version=V5, port=None, **options):
        """A client at the second port, subscribed to 'filters' at QoS 2."""
        sub = await self.connect(suffix, version, port or self.b, **options)
        codes = await sub.subscribe(*filters, qos=2)
        assert all(code < 0x80 for code in codes), codes
        return sub

    async def nothing_comes(self, sub, topic):
        """Proves that nothing waits for 'sub': the next message is one that is
        published now, to 'topic', which it must be subscribed to."""
        marker = await self.connect("marker")
        await marker.publish(topic, b"marker", 1)
        m = await sub.receive()
        assert m.payload == b"marker", f"unexpected message {m}"
        await marker.disconnect()

    async def end(self):
        for raw in self.raws:
            raw.abort()
        for client in self.clients:
            client.abort()
            if client.connection is not None:
                await client.wait_closed()
            self.env.clients.remove(client)
        return [f"{c.client_id}: {e}" for c in self.clients for e in c.errors]


def case(function=None, *, one_sidecar=False):
    """Marks a case. one_sidecar: it doesn't matter where messages go."""
    if function is None:
        return lambda marked: case(marked, one_sidecar=one_sidecar)
    function.one_sidecar = one_sidecar
    return function


def cases(module_globals):
    return [f for f in module_globals.values()
            if inspect.iscoroutinefunction(f) and hasattr(f, "one_sidecar")]


async def run_case(env, stack, function, ports, place, gate, failures):
    name = f"{function.__name__}-{place}"
    w = World(env, stack, ports, name)
    async with gate:
        try:
            await asyncio.wait_for(function(w), 60)
        except asyncio.TimeoutError:
            failures.append(f"{name}: not done in time")
        except Exception:
            failures.append(f"{name}:\n{traceback.format_exc(limit=-3)}")
        failures += [f"{name}: {e}" for e in await w.end()]


async def check(env, stack, found):
    """Runs all cases, at one sidecar and across two."""
    gate = asyncio.Semaphore(AT_ONCE)
    failures = []
    a, b = stack.ports
    runs = []
    for function in found:
        runs.append(run_case(env, stack, function, (a, a), "one", gate, failures))
        if not function.one_sidecar:
            runs.append(run_case(env, stack, function, (a, b), "two", gate, failures))
    await asyncio.gather(*runs)
    assert not failures, f"{len(failures)} of {len(runs)} cases failed:\n" + "\n".join(failures)

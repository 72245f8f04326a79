"""A connection that sends several packets in one segment, and keeps what comes back in its
order: acknowledgements and messages alike."""

import asyncio
import dataclasses
import struct

import mqtt
from conformance import Raw, connect_packet
from mqtt import CONNACK, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, \
    UNSUBACK, UNSUBSCRIBE, V5, packet, properties, text


PAD = b"."  # behind a payload, to make it large


@dataclasses.dataclass(frozen=True)
class Came:
    """A packet: of SUBACK, UNSUBACK and the acknowledgements with 'packet_id' and the first of
    its codes; of PUBLISH with the rest, the payload without its padding."""
    kind: int
    packet_id: int = 0
    code: int = 0
    topic: str = ""
    payload: bytes = b""
    retain: bool = False


class Line:
    """One connection after the other of one client id."""

    def __init__(self, client_id, version=V5, durable=False):
        self.client_id = client_id
        self.version = version
        self.durable = durable
        self.raw = None
        self.last_id = 0
        self.came = []         # what has come on this connection, in order
        self.waiting = []      # what has come and was not asked for yet
        self.acknowledges = True

    async def open(self, port, clean=True):
        """Connects; True: the session was present."""
        self.raw = await Raw.open(port)
        self.came, self.waiting = [], []
        props = {"session_expiry": 3600} if self.durable and self.version == V5 else None
        clean = clean and not (self.durable and self.version != V5)
        self.raw.send(connect_packet(self.client_id, self.version, flags=2 if clean else 0, props=props))
        r = await self.raw.expect(CONNACK)
        assert r.data[1] == 0, f"CONNACK 0x{r.data[1]:02x}"
        return bool(r.data[0])

    def close(self):
        if self.raw:
            self.raw.abort()

    async def end(self):
        """DISCONNECT, and what the server has to say until it closes."""
        self.raw.send(packet(DISCONNECT))
        await self.raw.ended()
        self.raw.abort()

    # -- packets

    def id(self):
        self.last_id = self.last_id % 60000 + 1
        return self.last_id

    def no_props(self):
        return properties(None) if self.version == V5 else b""

    def publish(self, topic, payload=b"", qos=0, retain=False):
        return mqtt.publish_packet(topic, payload, qos, retain, False, self.id() if qos else 0,
                                   self.version, None)

    def subscribe(self, *filters, qos=2, options=0):
        body = b"".join(text(f) + bytes([qos | options]) for f in filters)
        return packet(SUBSCRIBE, struct.pack(">H", self.id()) + self.no_props() + body, 2)

    def unsubscribe(self, *filters):
        body = b"".join(text(f) for f in filters)
        return packet(UNSUBSCRIBE, struct.pack(">H", self.id()) + self.no_props() + body, 2)

    def disconnect(self):
        return packet(DISCONNECT)

    def send(self, *packets):
        """All of them in one segment."""
        self.raw.send(*packets)

    # -- what comes

    def acknowledge(self, kind, packet_id):
        self.raw.send(packet(kind, struct.pack(">H", packet_id), 2 if kind == PUBREL else 0))

    def take(self, kind, flags, r):
        """The packet as Came, or None for a step of a handshake; answers what is to be."""
        if kind == PUBLISH:
            topic, qos = r.str(), flags >> 1 & 3
            packet_id = r.u16() if qos else 0
            if self.version == V5:
                r.properties()
            if qos and self.acknowledges:
                self.acknowledge(PUBACK if qos == 1 else PUBREC, packet_id)
            return Came(PUBLISH, packet_id, 0, topic, bytes(r.take(r.left())).rstrip(PAD),
                        bool(flags & 1))
        if kind in (SUBACK, UNSUBACK):
            packet_id = r.u16()
            if self.version == V5:
                r.properties()
            return Came(kind, packet_id, r.u8() if r.left() else 0)
        if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            packet_id, code = r.u16(), r.u8() if r.left() else 0
            if kind == PUBREC and code < 0x80:
                self.acknowledge(PUBREL, packet_id)
                return None
            if kind == PUBREL:
                self.acknowledge(PUBCOMP, packet_id)
                return None
            return Came(kind, packet_id, code)
        return Came(kind)

    async def next(self, timeout_s=15):
        """What comes next; ConnectionError at the end of the connection."""
        while True:
            got = await self.raw.packet(timeout_s)
            if got is None:
                raise ConnectionError(f"{self.client_id}: the connection has ended")
            came = self.take(*got)
            if came is not None:
                self.came.append(came)
                return came

    async def until(self, done, timeout_s=15):
        """Reads until done(what came) is true of one; returns that one and those before it,
        which came since the last call."""
        async def read():
            got = []
            while not got or not done(got[-1]):
                got.append(await self.next(timeout_s))
            return got
        return await asyncio.wait_for(read(), timeout_s)

    async def until_kind(self, kind, timeout_s=15):
        return await self.until(lambda c: c.kind == kind, timeout_s)

    async def until_message(self, payload, timeout_s=15):
        return await self.until(lambda c: c.kind == PUBLISH and c.payload == payload, timeout_s)

    def ping(self):
        return packet(PINGREQ)


def messages(came):
    return [c for c in came if c.kind == PUBLISH]


def payloads(came):
    return [c.payload for c in messages(came)]

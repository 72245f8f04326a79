"""An MQTT 3.1.1 and 5 client that does what a test wants, and not more: it can
withhold acknowledgements, stop reading, send half a packet, and go on with its
session state over another connection.

Written from the standard, not from our codec, so that both do not share one
mistake."""

import asyncio
import collections
import dataclasses
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, \
    UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(1, 16)
V311, V5 = 4, 5

# MQTT 5.0 §2.2.2.2: identifier, name, type
PROPERTIES = {
    0x01: ("payload_format", "u8"), 0x02: ("message_expiry", "u32"), 0x03: ("content_type", "str"),
    0x08: ("response_topic", "str"), 0x09: ("correlation_data", "bin"),
    0x0B: ("subscription_id", "var"), 0x11: ("session_expiry", "u32"),
    0x12: ("assigned_client_id", "str"), 0x13: ("server_keep_alive", "u16"),
    0x15: ("auth_method", "str"), 0x16: ("auth_data", "bin"), 0x17: ("request_problem", "u8"),
    0x18: ("will_delay", "u32"), 0x19: ("request_response", "u8"),
    0x1A: ("response_information", "str"), 0x1C: ("server_reference", "str"),
    0x1F: ("reason_string", "str"), 0x21: ("receive_maximum", "u16"),
    0x22: ("topic_alias_maximum", "u16"), 0x23: ("topic_alias", "u16"),
    0x24: ("maximum_qos", "u8"), 0x25: ("retain_available", "u8"), 0x26: ("user", "pair"),
    0x27: ("maximum_packet_size", "u32"), 0x28: ("wildcard_available", "u8"),
    0x29: ("subscription_ids_available", "u8"), 0x2A: ("shared_available", "u8"),
}
PROPERTY_IDS = {name: (number, kind) for number, (name, kind) in PROPERTIES.items()}
REPEATED = ("user", "subscription_id")

# The reason codes that a server may put into its packets: MQTT 5.0 §3.2.2.2 and others.
SUBSCRIBED = {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}
ACKNOWLEDGED = {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
REASONS = {
    CONNACK: {0, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: ACKNOWLEDGED, PUBREC: ACKNOWLEDGED, PUBREL: {0, 0x92}, PUBCOMP: {0, 0x92},
    SUBACK: SUBSCRIBED, UNSUBACK: {0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0, *range(0x80, 0x84), 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90,
                 *range(0x93, 0xA3)},
}
RETURN_CODES = {CONNACK: set(range(6)), SUBACK: {0, 1, 2, 0x80}}  # of MQTT 3.1.1


class Closed(Exception):
    """The connection ended; 'reason' is DISCONNECT's code, or None."""

    def __init__(self, reason=None):
        super().__init__("connection closed" + ("" if reason is None else f" (0x{reason:02x})"))
        self.reason = reason


# ---- wire format

def varint(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def binary(b):
    return struct.pack(">H", len(b)) + b


def text(s):
    return binary(s.encode() if isinstance(s, str) else s)


def properties(props):
    out = b""
    for name, value in (props or {}).items():
        number, kind = PROPERTY_IDS[name]
        for v in value if name in REPEATED and isinstance(value, list) else [value]:
            out += bytes([number])
            if kind == "u8":
                out += bytes([v])
            elif kind == "u16":
                out += struct.pack(">H", v)
            elif kind == "u32":
                out += struct.pack(">I", v)
            elif kind == "var":
                out += varint(v)
            elif kind == "pair":
                out += text(v[0]) + text(v[1])
            else:
                out += text(v)
    return varint(len(out)) + out


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("packet too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def left(self):
        return len(self.data) - self.at

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def var(self):
        value = shift = 0
        while True:
            b = self.u8()
            value |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return value

    def bin(self):
        return bytes(self.take(self.u16()))

    def str(self):
        return self.bin().decode()

    def pair(self):
        return self.str(), self.str()

    def properties(self):
        end = self.var() + self.at
        out = {}
        while self.at < end:
            name, kind = PROPERTIES[self.u8()]
            value = getattr(self, kind)()
            if name in REPEATED:
                out.setdefault(name, []).append(value)
            elif name in out:
                raise ValueError(f"property {name} twice")
            else:
                out[name] = value
        return out


@dataclasses.dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int
    props: dict


@dataclasses.dataclass
class Connack:
    session_present: bool
    code: int
    props: dict


@dataclasses.dataclass
class Will:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    props: dict = None


@dataclasses.dataclass
class Outgoing:
    """A publish of ours that is not finished."""
    body: bytes
    qos: int
    retain: bool
    done: asyncio.Future
    sent: bool = False      # on some connection
    received: bool = False  # PUBREC has come: PUBREL is due
    reason: int = 0         # PUBREC's


def publish_packet(topic, payload, qos, retain, dup, packet_id, version, props):
    body = text(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    if version == V5:
        body += properties(props)
    return packet(PUBLISH, body + payload, dup << 3 | qos << 1 | retain)


def check_reasons(kind, codes, version):
    """ValueError where a server may not say one of 'codes' in a packet of this type."""
    wrong = set(codes) - (REASONS if version == V5 else RETURN_CODES).get(kind, {0})
    if wrong:
        raise ValueError(f"packet of type {kind} with the reason {min(wrong):#x}")


# ---- one connection

class Connection(asyncio.Protocol):
    """Bytes to packets, given to 'owner'."""

    def __init__(self, owner):
        self.owner = owner
        self.buffer = bytearray()
        self.transport = None
        self.closed = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def data_received(self, data):
        self.buffer += data
        try:
            while self.take_packet():
                pass
        except (ValueError, KeyError, IndexError) as e:
            self.owner.errors.append(f"bad packet from the server: {e}")
            self.transport.abort()

    def take_packet(self):
        length = shift = 0
        for i in range(1, 5):
            if len(self.buffer) <= i:
                return False
            length |= (self.buffer[i] & 0x7F) << shift
            shift += 7
            if self.buffer[i] < 0x80:
                break
        else:
            raise ValueError("remaining length longer than four bytes")
        end = 1 + i + length
        if len(self.buffer) < end:
            return False
        head, body = self.buffer[0], bytes(self.buffer[i + 1:end])
        del self.buffer[:end]
        self.owner.on_packet(head >> 4, head & 15, Reader(body))
        return True

    def connection_lost(self, error):
        self.owner.was_reset = isinstance(error, ConnectionError)
        self.writable.set()
        if not self.closed.done():
            self.closed.set_result(None)
        self.owner.on_closed(self)


# ---- the client

class Client:
    """One MQTT client and its session state.

    ack: "auto" acknowledges what arrives; "none" leaves QoS 1 and 2 unfinished."""

    def __init__(self, client_id, version=V5, ack="auto"):
        self.client_id = client_id
        self.version = version
        self.ack = ack
        self.connection = None
        self.resumed = True       # what was unfinished has been sent on this connection
        self.connack = None
        self.disconnect_reason = None
        self.disconnect_props = {}
        self.was_reset = False    # the last connection; what was on its way may be lost
        self.errors = []          # what the server did wrong
        self.words = []           # reason strings of its acknowledgements
        self.ids_not_found = 0    # PUBRELs that it answered so
        self.inbox = collections.deque()
        self.arrival = asyncio.Event()
        self.outgoing = {}        # packet id: Outgoing
        self.held = set()         # inbound QoS 2 ids between PUBREC and PUBREL
        self.unanswered = {}      # packet id: future of SUBACK or UNSUBACK
        self.pings = collections.deque()
        self.next_id = 1
        self.connack_waiter = None
        self.on_message = None    # called instead of filling the inbox

    # -- connecting

    async def open(self, port, host="127.0.0.1", path=None):
        loop = asyncio.get_running_loop()
        if path is None:
            made = loop.create_connection(lambda: Connection(self), host, port)
        else:
            made = loop.create_unix_connection(lambda: Connection(self), path)
        _, self.connection = await made
        self.disconnect_reason = None
        return self

    async def connect(self, port, *, clean=True, keep_alive=0, will=None, props=None,
                      timeout_s=30, host="127.0.0.1", path=None, resend=True):
        """Opens 'port' of 'host', or the unix socket 'path', sends CONNECT, awaits
        CONNACK; goes on with the session when it is present. Returns the
        Connack; Closed when there is none."""
        self.resumed = False
        await self.open(port, host, path)
        self.connack_waiter = asyncio.get_running_loop().create_future()
        self.send(self.connect_packet(clean, keep_alive, will, props))
        self.connack = await asyncio.wait_for(self.connack_waiter, timeout_s)
        if self.connack.code == 0:
            if not self.connack.session_present:
                self.held.clear()
            if resend:
                self.resend()
            self.resumed = True
        return self.connack

    def connect_packet(self, clean=True, keep_alive=0, will=None, props=None):
        flags = clean << 1
        if will:
            flags |= 4 | will.qos << 3 | will.retain << 5
        body = text("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keep_alive)
        if self.version == V5:
            body += properties(props)
        body += text(self.client_id)
        if will:
            if self.version == V5:
                body += properties(will.props)
            body += text(will.topic) + binary(will.payload)
        return packet(CONNECT, body)

    def resend(self):
        """MQTT-4.4.0-1: what is unfinished again, in its first order; and what was published
        while the CONNACK was awaited, behind it."""
        for packet_id, out in self.outgoing.items():
            if out.received:
                self.send_ack(PUBREL, packet_id)
            else:
                self.send(packet(PUBLISH, out.body, out.sent << 3 | out.qos << 1 | out.retain))
                out.sent = True

    @property
    def connected(self):
        return self.connection is not None and not self.connection.closed.done()

    def send(self, data):
        if self.connected:
            self.connection.transport.write(data)

    def send_ack(self, kind, packet_id, reason=0):
        body = struct.pack(">H", packet_id)
        if self.version == V5 and reason:
            body += bytes([reason])
        self.send(packet(kind, body, 2 if kind == PUBREL else 0))

    async def disconnect(self, reason=0, props=None):
        if not self.connected:
            return
        body = bytes([reason]) + properties(props) \
            if self.version == V5 and (reason or props) else b""
        self.send(packet(DISCONNECT, body))
        self.connection.transport.close()
        await self.connection.closed

    def abort(self):
        """Ends the connection without DISCONNECT."""
        if self.connected:
            self.connection.transport.abort()

    async def wait_closed(self, timeout_s=10):
        await asyncio.wait_for(asyncio.shield(self.connection.closed), timeout_s)
        return self.disconnect_reason

    def stall(self):
        self.connection.transport.pause_reading()

    def unstall(self):
        self.connection.transport.resume_reading()

    # -- requests

    def take_id(self):
        while self.next_id in self.outgoing or self.next_id in self.unanswered:
            self.next_id = self.next_id % 65535 + 1
        packet_id, self.next_id = self.next_id, self.next_id % 65535 + 1
        return packet_id

    def publish_nowait(self, topic, payload=b"", qos=0, retain=False, props=None):
        """Sends; returns a future of the reason code (QoS 0: None)."""
        if isinstance(payload, str):
            payload = payload.encode()
        if qos == 0:
            self.send(publish_packet(topic, payload, 0, retain, False, 0, self.version, props))
            return None
        packet_id = self.take_id()
        data = publish_packet(topic, payload, qos, retain, False, packet_id, self.version, props)
        header = 1 + len(varint(len(text(topic)) + 2 + len(payload) +
                                (len(properties(props)) if self.version == V5 else 0)))
        done = asyncio.get_running_loop().create_future()
        now = self.connected and self.resumed
        self.outgoing[packet_id] = Outgoing(data[header:], qos, retain, done, now)
        if now:
            self.send(data)
        return done

    async def publish(self, topic, payload=b"", qos=0, retain=False, props=None, timeout_s=30):
        done = self.publish_nowait(topic, payload, qos, retain, props)
        await self.connection.writable.wait()
        return None if done is None else await asyncio.wait_for(done, timeout_s)

    async def request(self, kind, packet_id, body, timeout_s):
        waiter = asyncio.get_running_loop().create_future()
        self.unanswered[packet_id] = waiter
        self.send(packet(kind, struct.pack(">H", packet_id) + body, 2))
        try:
            return await asyncio.wait_for(waiter, timeout_s)
        finally:
            self.unanswered.pop(packet_id, None)

    async def subscribe(self, *filters, qos=1, options=0, props=None, timeout_s=30):
        """Filters are strings or (string, options); returns the reason codes."""
        body = properties(props) if self.version == V5 else b""
        for f in filters:
            name, opts = f if isinstance(f, tuple) else (f, qos | options)
            body += text(name) + bytes([opts])
        return await self.request(SUBSCRIBE, self.take_id(), body, timeout_s)

    async def unsubscribe(self, *filters, timeout_s=30):
        body = properties(None) if self.version == V5 else b""
        body += b"".join(text(f) for f in filters)
        return await self.request(UNSUBSCRIBE, self.take_id(), body, timeout_s)

    async def ping(self, timeout_s=10):
        waiter = asyncio.get_running_loop().create_future()
        self.pings.append(waiter)
        self.send(packet(PINGREQ))
        await asyncio.wait_for(waiter, timeout_s)

    async def receive(self, timeout_s=15):
        """The next message."""
        async def wait():
            while not self.inbox:
                if not self.connected:
                    raise Closed(self.disconnect_reason)
                self.arrival.clear()
                await self.arrival.wait()
            return self.inbox.popleft()
        return await asyncio.wait_for(wait(), timeout_s)

    async def receive_all(self, n, timeout_s=30):
        return [await self.receive(timeout_s) for _ in range(n)]

    # -- what comes in

    def on_packet(self, kind, flags, r):
        if kind == PUBLISH:
            self.on_publish(flags, r)
        elif kind == CONNACK:
            present, code = r.u8() & 1, r.u8()
            props = r.properties() if self.version == V5 else {}
            check_reasons(kind, [code], self.version)
            if self.connack_waiter is None or self.connack_waiter.done():
                raise ValueError("unexpected CONNACK")
            self.connack_waiter.set_result(Connack(bool(present), code, props))
        elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            packet_id, reason = r.u16(), r.u8() if r.left() else 0
            check_reasons(kind, [reason], self.version)
            self.hear(r.properties() if r.left() else {})
            self.on_ack(kind, packet_id, reason)
        elif kind in (SUBACK, UNSUBACK):
            packet_id = r.u16()
            if self.version == V5:
                self.hear(r.properties())
            if packet_id not in self.unanswered:
                raise ValueError(f"SUBACK or UNSUBACK for id {packet_id} that was not asked")
            codes = list(r.take(r.left()))
            check_reasons(kind, codes, self.version)
            self.unanswered[packet_id].set_result(codes)
        elif kind == PINGRESP:
            self.pings.popleft().set_result(None)
        elif kind == DISCONNECT and self.version == V5:
            self.disconnect_reason = r.u8() if r.left() else 0
            check_reasons(kind, [self.disconnect_reason], V5)
            self.disconnect_props = r.properties() if r.left() else {}
        else:
            raise ValueError(f"unexpected packet type {kind}")

    def hear(self, props):
        if "reason_string" in props:
            self.words.append(props["reason_string"])

    def on_publish(self, flags, r):
        qos = flags >> 1 & 3
        topic = r.str()
        packet_id = r.u16() if qos else 0
        props = r.properties() if self.version == V5 else {}
        if qos and packet_id == 0:
            raise ValueError("packet id 0")
        m = Message(topic, bytes(r.take(r.left())), qos, bool(flags & 1), bool(flags & 8),
                    packet_id, props)
        if qos < 2 or packet_id not in self.held:
            if self.on_message:
                self.on_message(m)
            else:
                self.inbox.append(m)
                self.arrival.set()
        if qos == 2:
            self.held.add(packet_id)
        if self.ack == "auto" and qos:
            self.send_ack(PUBACK if qos == 1 else PUBREC, packet_id)

    def on_ack(self, kind, packet_id, reason):
        if kind == PUBREL:
            self.held.discard(packet_id)
            if self.ack == "auto":
                self.send_ack(PUBCOMP, packet_id)
            return
        out = self.outgoing.get(packet_id)
        if out is None:
            raise ValueError(f"acknowledgement {kind} of id {packet_id} that is not in flight")
        if kind == PUBREC and reason < 0x80:
            out.received, out.reason = True, reason
            self.send_ack(PUBREL, packet_id)
            return
        expected = PUBACK if out.qos == 1 else PUBREC if reason >= 0x80 and not out.received \
            else PUBCOMP
        if kind != expected:
            raise ValueError(f"packet {kind} where {expected} is due")
        del self.outgoing[packet_id]
        if kind == PUBCOMP:  # 0x92 speaks of the id, not of the message
            self.ids_not_found += reason == 0x92
            reason = out.reason
        if not out.done.done():
            out.done.set_result(reason)

    def on_closed(self, connection):
        if connection is not self.connection:
            return
        closed = Closed(self.disconnect_reason)
        for waiter in [self.connack_waiter, *self.unanswered.values(), *self.pings]:
            if waiter is not None and not waiter.done():
                waiter.set_exception(closed)
                waiter.exception()  # taken, also when nobody awaits it
        self.pings.clear()
        self.arrival.set()

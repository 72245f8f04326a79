"""The sidecar's end of a link, byte by byte (docs/link.md), over a small HTTP/2
client, in the clear or by TLS: to send what no sidecar would, and to break off where no
sidecar could. Written from the specification, not from our codec."""

import asyncio
import dataclasses
import secrets
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 2, 3, 4, 6, 7, 8, 9
DIGITS = {0: "0", 1: "1", 2: "2"} | {25 + i: str(3 + i) for i in range(7)}  # Huffman, RFC 7541
STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
LIVE, RETAINED = 0, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def literal(name, value):
    """A header without indexing and without Huffman."""
    def string(s):
        n = len(s)
        if n < 127:
            return bytes([n]) + s
        out, n = b"\x7f", n - 127
        while n >= 128:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n]) + s
    return b"\0" + string(name.encode()) + string(value.encode())


def status_of(block):
    """:status is the first header of an answer; this client allows no dynamic table."""
    while block[0] & 0xE0 == 0x20:  # a table size update
        block = block[1:]
    if block[0] & 0x80:
        return STATIC_STATUS[block[0] & 0x7F]
    n, value = block[1] & 0x7F, block[2:2 + (block[1] & 0x7F)]
    if not block[1] & 0x80:
        return int(value)
    bits = "".join(f"{b:08b}" for b in value[:n])
    out = ""
    while len(out) < 3:
        width = 5 if int(bits[:5], 2) <= 2 else 6
        out, bits = out + DIGITS[int(bits[:width], 2)], bits[width:]
    return int(out)


@dataclasses.dataclass
class Answer:
    status: int = 0
    body: bytes = b""
    done: asyncio.Future = None
    stream: int = 0


class Broken(Exception):
    """The connection ended."""


class LinkClient:
    """One HTTP/2 connection; with open_link() a link."""

    def __init__(self, port, token, version=None, host="127.0.0.1", tls=None, name=None,
                 source=None):
        """tls: an SSLContext, by which the server must be 'name'; None: in the clear.
        source: the address that it comes from."""
        self.port = port
        self.source = (source, 0) if source else None
        self.host = host
        self.tls = tls
        self.name = name
        self.version = version  # what the link is asked for in; None: nothing is said
        self.token = token
        self.instance = secrets.randbits(64)
        self.id = secrets.randbits(64)
        self.answers = {}
        self.next_stream = 1
        self.deliveries = asyncio.Queue()  # (type, contents)
        self.stream_bytes = b""
        self.link_stream = None
        self.goaway = False

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.tls, server_hostname=self.name, local_addr=self.source)
        self.writer.write(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HIHI", 1, 0, 4, 1 << 30)) +
                          frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            while True:
                head = await self.reader.readexactly(9)
                length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                payload = await self.reader.readexactly(length)
                self.on_frame(kind, flags, int.from_bytes(head[5:], "big"), payload)
        except (OSError, asyncio.IncompleteReadError):
            pass
        for answer in self.answers.values():
            if not answer.done.done():
                answer.done.set_exception(Broken())
                answer.done.exception()
        self.deliveries.put_nowait((None, b""))

    def on_frame(self, kind, flags, stream, payload):
        answer = self.answers.get(stream)
        if kind == SETTINGS and not flags & 1:
            self.writer.write(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.writer.write(frame(PING, 1, 0, payload))
        elif kind == GOAWAY:
            self.goaway = True
        elif kind == HEADERS and answer:
            answer.status = status_of(payload)
        elif kind == DATA and stream == self.link_stream:
            self.on_deliveries(payload)
        elif kind == DATA and answer:
            answer.body += payload
        if kind == RST_STREAM and answer and not answer.done.done():
            answer.done.set_exception(Broken())
            answer.done.exception()
        elif kind in (HEADERS, DATA) and answer and not answer.done.done() and \
                (flags & 1 or stream == self.link_stream):
            answer.done.set_result(answer)

    def on_deliveries(self, data):
        self.stream_bytes += data
        while len(self.stream_bytes) >= 5:
            length = int.from_bytes(self.stream_bytes[:4], "big")
            if len(self.stream_bytes) < 4 + length:
                break
            self.deliveries.put_nowait((self.stream_bytes[4], self.stream_bytes[5:4 + length]))
            self.stream_bytes = self.stream_bytes[4 + length:]

    def request_nowait(self, method, path, body=b"", headers=()):
        if self.task.done():
            raise Broken  # nobody would notice the answer, or its end
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        answer = self.answers[stream] = Answer(
            done=asyncio.get_running_loop().create_future(), stream=stream)
        fields = [(":method", method), (":scheme", "https" if self.tls else "http"), (":path", path),
                  (":authority", "localhost")]
        if self.token:
            fields.append(("authorization", f"Bearer {self.token}"))
        block = b"".join(literal(k, v) for k, v in [*fields, *headers])
        data = frame(HEADERS, 4 | (not body), stream, block)
        for at in range(0, len(body), 16384):
            piece = body[at:at + 16384]
            data += frame(DATA, at + len(piece) == len(body), stream, piece)
        self.writer.write(data)
        return answer

    async def request(self, method, path, body=b"", timeout_s=15, headers=()):
        return await asyncio.wait_for(
            self.request_nowait(method, path, body, headers).done, timeout_s)

    def reset(self, answer, code=8):
        self.writer.write(frame(RST_STREAM, 0, answer.stream, struct.pack(">I", code)))

    async def open_link(self):
        """The deliveries response; returns its status."""
        self.link_stream = self.next_stream
        headers = [("sqmqos-link", self.version)] if self.version else []
        return (await self.request("GET", f"/v1/links/{self.id:016x}/deliveries",
                                   headers=headers)).status

    async def delivery(self, timeout_s=15):
        """The next frame but heartbeats: (type, contents)."""
        while True:
            kind, contents = await asyncio.wait_for(self.deliveries.get(), timeout_s)
            if kind != 1:
                return kind, contents

    async def close(self):
        self.writer.transport.abort()
        await self.task


# ---- bodies

def image(topic, payload, qos=1, retain=False):
    topic = topic.encode()
    size = 16 + len(topic) + len(payload)
    return struct.pack(">IBBHII", size, qos | retain << 2, 0, len(topic), 0, 0xFFFFFFFF) + \
        topic + payload


def attach(link, ordinal=1, attempt=1, clean=True, expiry=0, incarnation=0, instance=None,
           receive_max=100):
    return struct.pack(">QQIQBIHQH", link.instance if instance is None else instance, ordinal,
                       attempt, link.id, 4 | clean, expiry, receive_max, incarnation, 0)


@dataclasses.dataclass
class Attached:
    epoch: int
    incarnation: int
    present: bool
    last: tuple
    held: list

    @classmethod
    def parse(cls, body):
        epoch, incarnation, _, flags, _, _, last0, last1, n = struct.unpack(">QQQBIIQQH", body[:51])
        return cls(epoch, incarnation, bool(flags & 1), (last0, last1),
                   list(struct.unpack(f">{n}H", body[51:51 + 2 * n])))


def batch(run, first, entries, lane=1, upto=0, mark=None):
    """entries: (packet id or 0, image), or (packet id, None) for a release; with 'mark' as in
    version 2."""
    out = struct.pack(">BBHQQQ", lane, 0, len(entries), run, first, upto)
    if mark is not None:
        out += struct.pack(">I", mark)
    for packet_id, img in entries:
        out += struct.pack(">BBH", 1 if img is not None else 2, 0, packet_id) + (img or b"")
    return out


def outcomes(body):
    first, n = struct.unpack(">QH", body[:10])
    return first, list(body[10:10 + n])


def settlements(messages, size, entries=()):
    out = struct.pack(">QQ", messages, size)
    for kind, delivery_id in entries:
        out += struct.pack(">BBHQ", kind, 0, 1, delivery_id)
    return out


def subscription(topic_filter, options=1, since=None, pod=None, group=None, max_length=0,
                 mark=0, after=(0, 0)):
    """One entry; with 'since' and 'pod' as in version 2, then with a mark; with 'group' a declared
    one, which is consumed."""
    name, group_name = topic_filter.encode(), (group or "").encode()
    flags = 0 if group is None else 3
    out = struct.pack(">H", 1)
    if since is not None:
        out += struct.pack(">IQQ", mark, *after)
    out += struct.pack(">BBBBIIIII", 1, options, flags, 0, 0, 0, max_length, 0, 0)
    if since is not None:
        out += struct.pack(">Q", since)
    out += b"\0\0" + struct.pack(">H", len(group_name)) + group_name
    out += struct.pack(">H", len(name)) + name
    if pod is not None:
        out += struct.pack(">H", len(pod)) + pod.encode()
    return out


def session_path(key, what="", epoch=None):
    query = "" if epoch is None else f"?epoch={epoch:016x}"
    return f"/v1/sessions/{key}{what}{query}"

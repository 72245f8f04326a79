"""Who has shown neither a good token nor a link: what he may hold, how long, how many he may
be; and frames that carry no work, whoever sends them. By raw sockets and hand-made frames,
with a good client beside."""

import asyncio
import contextlib
import socket
import ssl
import struct

from cluster import eventually, metric
from link import CONTINUATION, DATA, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, \
    SETTINGS, WINDOW_UPDATE, Attached, LinkClient, attach, frame, literal, session_path, \
    settlements, subscription
from scenario import scenario

ENHANCE_YOUR_CALM = 11
MIB = 1 << 20


class Raw:
    """A connection on which anything can be sent."""

    def __init__(self, stack, tls=None, source="127.0.0.1"):
        self.stack, self.tls, self.source = stack, tls, source
        self.got = b""
        self.ended = False
        self.heard = asyncio.Event()  # something came, or the end

    async def open(self, first=b"", receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.bind((self.source, 0))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.stack.broker_port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=sock, ssl=self.tls, server_hostname="localhost" if self.tls else None)
        self.task = asyncio.create_task(self.read())
        self.writer.write(first)
        return self

    async def read(self):
        with contextlib.suppress(OSError, ssl.SSLError):
            while more := await self.reader.read(65536):
                self.got += more
                self.heard.set()
        self.ended = True
        self.heard.set()

    async def send(self, data):
        """False once the peer has closed."""
        if self.ended:
            return False
        with contextlib.suppress(OSError, ssl.SSLError):
            self.writer.write(data)
            await self.writer.drain()
        await asyncio.sleep(0)  # drain() may go on at once: what comes in is read, too
        return not self.ended

    async def over(self, timeout_s=20):
        """Awaits the end; what was read."""
        await asyncio.wait_for(asyncio.shield(self.task), timeout_s)
        return self.got

    def frames(self):
        out, at = [], 0
        while at + 9 <= len(self.got):
            n = int.from_bytes(self.got[at:at + 3], "big")
            out.append((self.got[at + 3], self.got[at + 4], self.got[at + 9:at + 9 + n]))
            at += 9 + n
        return out

    def goaway(self):
        """The error of the last GOAWAY, or None."""
        codes = [struct.unpack(">I", body[4:8])[0] for kind, _, body in self.frames()
                 if kind == GOAWAY]
        return codes[-1] if codes else None

    def close(self):
        self.writer.transport.abort()


def head(stream, method="GET", path="/v1/trust/bundle", end=True, token=None, more=()):
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x")]
    if token:
        fields.append(("authorization", f"Bearer {token}"))
    block = b"".join(literal(k, v) for k, v in [*fields, *more])
    return frame(HEADERS, 4 | end, stream, block)


def memory(program):
    """Bytes of the process that are in memory."""
    for line in open(f"/proc/{program.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


async def ended(stack, reason):
    return await metric(stack.broker, f'sqmqos_connections_ended_total{{reason="{reason}"}}')


class Good:
    """A client that must not notice anything."""

    async def start(self, env, stack):
        self.sub = await env.connect(stack.ports[0], "good-sub")
        await self.sub.subscribe(("good", 1))
        self.pub = await env.connect(stack.ports[0], "good-pub")
        self.n = 0
        return self

    async def check(self):
        self.n += 1
        await self.pub.publish("good", b"%d" % self.n, 1)
        assert (await self.sub.receive()).payload == b"%d" % self.n
        assert self.pub.connected and self.sub.connected


async def served(env, **broker):
    tls = broker.pop("with_tls", False)
    stack = await env.stack(sidecars=1, tls=tls, broker=broker)
    env.check_leftovers = False
    return stack, await Good().start(env, stack)


def token_of(stack):
    return (stack.folder / "token").read_text().strip()


# ---- 1. bodies before a token

async def test_bodies_without_a_token_are_bounded(env):
    """Each a megabyte on each of a hundred streams, from ten connections."""
    stack, good = await served(env, link={"strangers-per-address": 0})
    before = memory(stack.broker)
    most = 0

    async def attack():
        raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
        for stream in range(1, 200, 2):
            if not await raw.send(head(stream, "POST", end=False) +
                                  frame(DATA, 0, stream, b"x" * 16384) * 64):
                break
        await raw.over()
        return raw.goaway()
    tasks = [asyncio.create_task(attack()) for _ in range(10)]
    while not all(t.done() for t in tasks):
        most = max(most, memory(stack.broker))
        await good.check()
        await asyncio.sleep(0.02)
    assert {t.result() for t in tasks} <= {ENHANCE_YOUR_CALM, None}
    assert await ended(stack, "body") + await ended(stack, "requests") + \
        await ended(stack, "memory") == 10
    assert most - before < 100 * MIB, (before, most)
    await eventually(lambda: none_left(stack), "what they held is given back")


async def none_left(stack):
    return await metric(stack.broker, "sqmqos_strangers") == 0 and \
        await metric(stack.broker, "sqmqos_stranger_bytes") == 0


async def test_one_body_of_the_limit_is_taken_and_judged(env):
    stack, good = await served(env, http={"unauthenticated-body": "8Ki"})
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    await raw.send(head(1, "POST", end=False) + frame(DATA, 1, 1, b"x" * 8000))
    await eventually(lambda: any(k == HEADERS for k, _, _ in raw.frames()), "401")
    assert not raw.ended
    await raw.send(head(3, "POST", end=False) + frame(DATA, 0, 3, b"x" * 5000))
    await raw.send(head(5, "POST", end=False) + frame(DATA, 0, 5, b"x" * 5000))
    await raw.over()
    assert raw.goaway() == ENHANCE_YOUR_CALM
    assert await ended(stack, "body") == 1
    await good.check()


async def test_two_requests_of_a_stranger_may_be_open(env):
    stack, good = await served(env)
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    await raw.send(head(1, "POST", end=False) + head(3, "POST", end=False))
    await raw.send(b"".join(head(n) for n in range(5, 25, 2)))  # these are answered at once
    await eventually(lambda: sum(k == HEADERS for k, _, _ in raw.frames()) == 10, "401s")
    assert not raw.ended
    await raw.send(head(25, "POST", end=False))
    await raw.over()
    assert raw.goaway() == ENHANCE_YOUR_CALM and await ended(stack, "requests") == 1
    await good.check()


async def test_strangers_together_hold_the_total_and_who_holds_most_goes(env):
    stack, good = await served(env, link={"strangers-per-address": 0},
                               http={"unauthenticated-body": "256Ki",
                                     "unauthenticated-total": "1Mi"})
    small = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    await small.send(head(1, "POST", end=False) + frame(DATA, 0, 1, b"x" * 16384))
    held = []
    for _ in range(12):
        raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
        await raw.send(head(1, "POST", end=False) + frame(DATA, 0, 1, b"x" * 16384) * 12)
        held.append(raw)
    await eventually(lambda: sum(r.ended for r in held) >= 6, "those that hold most have gone")
    assert not small.ended
    async def all_counted():
        return await ended(stack, "memory") == sum(r.ended for r in held)
    await eventually(all_counted, "each of them is counted")
    assert await metric(stack.broker, "sqmqos_stranger_bytes") <= MIB
    # a request that ends gives back what it held
    for raw in [small, *held]:
        await raw.send(frame(DATA, 1, 1, b"x"))
    await eventually(lambda: little_held(stack), "answered requests hold nothing")
    await good.check()


async def little_held(stack):
    return await metric(stack.broker, "sqmqos_stranger_bytes") < 200_000


async def test_a_sidecars_first_requests_pass(env):
    """GET, then PUTs at once, as soon as there is a good token."""
    stack, good = await served(env)
    link = await LinkClient(stack.broker_port, token_of(stack)).open()
    opening = asyncio.create_task(link.open_link())
    await asyncio.sleep(0)
    puts = [link.request_nowait("PUT", f"/v1/sessions/default~demo~c{n}~pod-9", b"x" * 100_000)
            for n in range(20)]
    assert await opening == 200
    for answer in puts:
        assert (await asyncio.wait_for(answer.done, 15)).status == 400
    await link.close()
    await good.check()


# ---- 2. places

async def end_in_time(raw, began, most_s=25):
    await raw.over(most_s)
    return asyncio.get_running_loop().time() - began


SLOW = [b"", PREFACE[:5], PREFACE, PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)) + head(1),
        b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx: "]


@scenario(timeout_s=120)
async def test_a_stranger_ends_in_ten_seconds_whatever_it_does(env):
    stack, good = await served(env)
    loop = asyncio.get_running_loop()
    began = loop.time()
    raws = [await Raw(stack).open(data) for data in SLOW]
    busy = [await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0)),
            await Raw(stack).open(b"GET / HTTP/1.1\r\nx: ")]
    deaf = [await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0), receive_buffer=4096)]
    for raw in deaf:
        raw.task.cancel()  # never reads

    async def keep_busy():
        n = 1
        while not all(r.ended for r in busy):
            await busy[0].send(frame(PING, 0, 0, b"12345678") + head(n))
            await busy[1].send(b"x")
            n += 2
            await asyncio.sleep(0.2)
    task = asyncio.create_task(keep_busy())
    times = await asyncio.gather(*(end_in_time(r, began) for r in raws + busy))
    await task
    assert max(times) < 20 and sum(t < 7 for t in times) == 0, times
    await eventually(lambda: none_left(stack), "none is left")
    await good.check()
    # link and good token stay
    link = await LinkClient(stack.broker_port, token_of(stack)).open()
    assert await link.open_link() == 200
    known = await LinkClient(stack.broker_port, token_of(stack)).open()
    assert (await known.request("GET", "/v1/nothing")).status == 404
    await asyncio.sleep(12)
    assert (await link.request("GET", "/v1/nothing")).status == 404
    assert (await known.request("GET", "/v1/nothing")).status == 404
    await link.close()
    await known.close()


@scenario(timeout_s=120)
async def test_a_handshake_that_never_ends(env):
    stack, good = await served(env, with_tls=True)
    raws = [await Raw(stack).open(b""), await Raw(stack).open(b"\x16\x03\x01\x02\x00\x01\x00\x01")]
    await asyncio.gather(*(r.over(25) for r in raws))
    assert await ended(stack, "time") == 2
    await good.check()


async def test_a_full_broker_takes_links_and_lets_the_oldest_stranger_go(env):
    """58 that are silent held a broker of 60."""
    await full_broker(env, 1)


async def test_a_full_broker_of_two_workers(env):
    """Who goes is of the one, who comes of the other."""
    await full_broker(env, 2)


async def full_broker(env, workers):
    stack, good = await served(env, workers=workers,
                               link={"max-connections": 60, "strangers-per-address": 0})
    raws = []
    for _ in range(100):
        raws.append(await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0)))
        # The oldest is who was accepted first, and one worker may be behind the other: the next
        # one comes when this one is accepted.
        await asyncio.wait_for(raws[-1].heard.wait(), 20)
    await eventually(lambda: all(r.ended for r in raws[:30]) and
                     sum(r.ended for r in raws) >= 55, "the first have gone", 8)
    assert not raws[-1].ended
    links = [await LinkClient(stack.broker_port, token_of(stack)).open() for _ in range(20)]
    for link in links:
        assert await link.open_link() == 200
    await good.check()
    for link in links:
        assert (await link.request("GET", "/v1/nothing")).status == 404
        await link.close()


async def test_an_address_has_a_limit_of_strangers(env):
    stack, good = await served(env, link={"strangers-per-address": 8})
    raws = [await Raw(stack).open(b"") for _ in range(12)]
    await eventually(lambda: sum(r.ended for r in raws) == 4, "four have gone")
    await eventually(lambda: metric_is(stack, "sqmqos_strangers", 8), "eight are there")
    assert all(r.ended for r in raws[:4])
    other = await Raw(stack, source="127.0.0.2").open(PREFACE)
    link = await LinkClient(stack.broker_port, token_of(stack)).open()
    assert await link.open_link() == 200
    await eventually(lambda: sum(r.ended for r in raws) == 5, "one went for the link")
    assert raws[4].ended and not other.ended and await ended(stack, "address") == 5
    await good.check()
    await link.close()


async def metric_is(stack, name, value):
    return await metric(stack.broker, name) == value


# ---- 3. frames that carry no work

FLOODS = {
    "PING": frame(PING, 0, 0, b"12345678"),
    "SETTINGS": frame(SETTINGS, 0, 0),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "PRIORITY": frame(PRIORITY, 0, 1, b"\0\0\0\0\1"),
    "unknown": frame(77, 0, 0, b"x"),
    "PING answers": frame(PING, 1, 0, b"12345678"),
}


async def flooded(raw, data, times=200):
    """Sends until the end; the error of the GOAWAY."""
    for _ in range(times):
        if not await raw.send(data):
            break
    await raw.over()
    return raw.goaway()


@scenario(timeout_s=120)
async def test_floods_end_with_calm(env):
    stack, good = await served(env)
    for name, piece in FLOODS.items():
        raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
        assert await flooded(raw, piece * 500) == ENHANCE_YOUR_CALM, name
    # resets, of good requests and bad ones
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    for n in range(1, 20000, 2):
        if not await raw.send(head(n, token=token_of(stack)) +
                              frame(RST_STREAM, 0, n, b"\0\0\0\x08") * 9):
            break
    await raw.over()
    assert raw.goaway() == ENHANCE_YOUR_CALM
    # pieces of a body, and of a head, that are empty
    for piece in (frame(DATA, 0, 1), frame(CONTINUATION, 0, 1)):
        raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
        first = head(1, "POST", end=False)
        if piece[3] == CONTINUATION:
            first = first[:4] + b"\0" + first[5:]
        await raw.send(first)
        assert await flooded(raw, piece * 500) == ENHANCE_YOUR_CALM
    # a body for a stream that is over: h2o answers each piece with a reset
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0) + head(1))
    assert await flooded(raw, frame(DATA, 0, 1, b"x" * 100) * 100) == ENHANCE_YOUR_CALM
    # requests without a token
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    for n in range(1, 20000, 2):
        if not await raw.send(head(n)):
            break
    await raw.over()
    assert raw.goaway() == ENHANCE_YOUR_CALM
    assert await ended(stack, "flood") == len(FLOODS) + 5
    assert await metric(stack.broker, 'sqmqos_auth_refused_total{reason="missing"}') > 80
    assert stack.log(stack.broker).count("refused with 401") < 80
    await good.check()


async def test_a_link_that_floods_ends_too(env):
    stack, good = await served(env)
    link = await LinkClient(stack.broker_port, token_of(stack)).open()
    assert await link.open_link() == 200
    for _ in range(200):
        link.writer.write(FLOODS["PING"] * 500)
        with contextlib.suppress(OSError):
            await link.writer.drain()
        if link.task.done():
            break
    await asyncio.wait_for(link.task, 15)
    assert link.goaway
    assert await ended(stack, "flood") == 1
    await good.check()


async def test_a_head_without_end_is_bounded(env):
    stack, good = await served(env)
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    first = head(1)
    await raw.send(first[:4] + b"\1" + first[5:])
    assert await flooded(raw, frame(CONTINUATION, 0, 1, literal("x", "y" * 8000))) == \
        ENHANCE_YOUR_CALM
    raw = await Raw(stack).open(b"GET / HTTP/1.1\r\n")
    await flooded(raw, b"x: " + b"y" * 8000 + b"\r\n")
    assert await ended(stack, "head") == 2
    await good.check()


async def test_heads_that_grow_are_bounded(env):
    """A byte of HPACK is a field of h2o's, of 32 bytes and more; with a window of nothing its
    answer stays, and so do the fields."""
    stack, good = await served(env, link={"strangers-per-address": 0})
    before = memory(stack.broker)
    raws = [await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
            for _ in range(8)]
    bomb = head(1)[9:] + b"\x90" * 15000  # accept-encoding: gzip, deflate
    for raw in raws:
        await raw.send(b"".join(frame(HEADERS, 5, n, bomb) for n in range(1, 200, 2)))
    most = 0
    while not all(r.ended for r in raws):
        most = max(most, memory(stack.broker))
        await good.check()
    assert most - before < 100 * MIB, (before, most)
    await good.check()


async def test_fields_of_a_head_are_bounded(env):
    """Also of one who has shown a good token: of 100 requests at once."""
    stack, good = await served(env)
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    await raw.send(head(1, token=token_of(stack), more=[(f"x-{n}", "y") for n in range(90)]))
    await eventually(lambda: any(kind == HEADERS for kind, _, _ in raw.frames()), "an answer")
    before = memory(stack.broker)
    bomb = head(1, token=token_of(stack))[9:] + b"\x90" * 15000
    await raw.send(b"".join(frame(HEADERS, 5, n, bomb) for n in range(3, 200, 2)))
    await raw.over()
    assert raw.goaway() == ENHANCE_YOUR_CALM and await ended(stack, "head") == 1
    assert memory(stack.broker) - before < 20 * MIB
    await good.check()


# ---- 5. HTTP/1.1

async def say(raw, data, answers):
    """Sends and awaits so many answers in all."""
    await raw.send(data)
    await eventually(lambda: raw.ended or raw.got.count(b"HTTP/1.1 ") >= answers, "an answer")
    return [int(part[:3]) for part in raw.got.split(b"HTTP/1.1 ")[1:]]


DOUBTFUL = [b"content-length: 3\r\ncontent-length: 4\r\n",
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            b"transfer-encoding: chunked\r\nx: y\r\ncontent-length: 3\r\n",
            b"transfer-encoding: chunked\r\ntransfer-encoding: x\r\n",
            b"content-length:\r\n 3\r\n"]


async def test_a_length_that_is_in_doubt_is_refused(env):
    stack, good = await served(env)
    for doubt in DOUBTFUL:
        request = b"POST /v1/trust/bundle HTTP/1.1\r\nhost: x\r\n" + doubt + b"\r\n"
        raw = await Raw(stack).open(b"")
        assert await say(raw, request + b"0\r\n\r\n", 1) == [400], doubt
        await raw.over(5)
        # byte by byte
        raw = await Raw(stack).open(b"")
        for n in range(len(request)):
            await raw.send(request[n:n + 1])
        await raw.over(5)
        assert raw.got.startswith(b"HTTP/1.1 400"), doubt
    assert await ended(stack, "framing") == 2 * len(DOUBTFUL)
    await good.check()


async def test_each_request_of_a_connection_is_looked_at(env):
    """h2o sets its callback anew for each request, and after 100 Continue."""
    stack, good = await served(env)
    fine = b"GET /v1/trust/bundle HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + \
        token_of(stack).encode() + b"\r\n\r\n"
    plain = b"POST /v1/trust/bundle HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
    bad = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 9\r\n\r\nabc"
    for before in range(1, 5):
        raw = await Raw(stack).open(b"")
        for n in range(before):
            answers = await say(raw, fine if n % 2 == 0 else plain, n + 1)
        # a good token is of its own request alone
        assert answers == ([505, 401] * 2)[:before], answers
        answers = await say(raw, bad, before + 1)
        assert answers[-1] == 400, (before, answers)
        await raw.over(5)
    assert await ended(stack, "framing") == 4
    # a body after 100 Continue is counted as any
    raw = await Raw(stack).open(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
                                b"content-length: 1000000\r\n\r\n")
    await eventually(lambda: b"100 Continue" in raw.got, "100")
    for _ in range(100):
        if not await raw.send(b"x" * 10000):
            break
    await raw.over(5)
    assert await ended(stack, "body") == 1
    await good.check()


async def test_requests_that_come_at_once_end_after_the_first(env):
    """The second would not pass by us: h2o has it already."""
    stack, good = await served(env)
    bad = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 9\r\n\r\nabc"
    for first in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
                  b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
                  b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
        raw = await Raw(stack).open(b"")
        await raw.send(first + bad)
        await raw.over(5)
        assert raw.got.count(b"HTTP/1.1 ") == 1 and raw.got.startswith(b"HTTP/1.1 401"), raw.got
    await good.check()


async def test_there_is_no_upgrade_to_http2(env):
    stack, good = await served(env)
    raw = await Raw(stack).open(b"")
    answers = await say(raw, b"GET /v1/trust/bundle HTTP/1.1\r\nhost: x\r\nconnection: upgrade, "
                        b"http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
                        b"authorization: Bearer " + token_of(stack).encode() + b"\r\n\r\n", 1)
    assert answers == [505]
    await good.check()


async def test_tls_has_http1_and_http2_alone(env):
    stack, good = await served(env, with_tls=True)
    context = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    for protocols in ([], ["http/1.1"]):
        if protocols:
            context.set_alpn_protocols(protocols)
        raw = await Raw(stack, tls=context).open(b"")
        assert await say(raw, b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n", 1) == [401]
    context.set_alpn_protocols(["http/1.0", "x"])
    with contextlib.suppress(ssl.SSLError, OSError):
        raw = await Raw(stack, tls=context).open(b"GET / HTTP/1.1\r\n\r\n")
        await raw.over(5)
        assert not raw.got
    context.set_alpn_protocols(["h2", "http/1.1"])
    raw = await Raw(stack, tls=context).open(PREFACE + frame(SETTINGS, 0, 0))
    assert await flooded(raw, FLOODS["PING"] * 500) == ENHANCE_YOUR_CALM
    raw = await Raw(stack, tls=context).open(PREFACE + frame(SETTINGS, 0, 0))
    await raw.send(head(1, "POST", end=False))
    assert await flooded(raw, frame(DATA, 0, 1, b"x" * 16384)) == ENHANCE_YOUR_CALM
    assert await ended(stack, "flood") == 1 and await ended(stack, "body") == 1
    await good.check()


# ---- who works meets none of it

class Eager(LinkClient):
    """Says WINDOW_UPDATE twice for each piece of its deliveries, as some clients do."""

    def on_frame(self, kind, flags, stream, payload):
        super().on_frame(kind, flags, stream, payload)
        if kind == DATA and payload:
            for which in (0, stream):
                self.writer.write(frame(WINDOW_UPDATE, 0, which, struct.pack(">I", len(payload))))


@scenario(timeout_s=120)
async def test_a_busy_consumer_never_meets_the_budget(env):
    """Each delivery alone, each settled by a request of its own."""
    stack, good = await served(env)
    link = await Eager(stack.broker_port, token_of(stack)).open()
    assert await link.open_link() == 200
    key = "default~demo~busy~pod-9"
    answer = await link.request("PUT", session_path(key), attach(link))
    epoch = Attached.parse(answer.body).epoch
    await link.request("POST", session_path(key, "/subscriptions", epoch), subscription("busy", 0))
    await link.request("POST", session_path(key, "/settlements", epoch),
                       settlements(100, 1 << 30))
    for n in range(2000):
        await good.pub.publish("busy", b"x" * (n % 300), 0)
        await asyncio.wait_for(link.delivery(), 15)
        link.request_nowait("POST", session_path(key, "/settlements", epoch),
                            settlements(100 + n, 1 << 30))
    assert (await link.request("GET", "/v1/nothing")).status == 404
    assert await ended(stack, "flood") == 0
    await link.close()
    await good.check()


@scenario(timeout_s=120)
async def test_a_known_connection_that_takes_nothing_ends(env):
    """A good token, a window of nothing, and answers that wait."""
    stack, good = await served(env, link={"idle-timeout": "1s"})
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
    await raw.send(b"".join(head(n, path="/v1/links/nothing", token=token_of(stack))
                            for n in range(1, 100, 2)))
    ping = frame(PING, 0, 0, b"12345678")
    while not raw.ended:
        await raw.send(ping)
        await asyncio.sleep(0.1)
    assert raw.goaway() == ENHANCE_YOUR_CALM and await ended(stack, "idle") == 1
    await good.check()


# ---- where nobody is asked for a token

@scenario(timeout_s=120)
async def test_without_tokens_a_link_makes_one_known(env):
    """Or a request that is answered with 2xx, as that for the bundle is."""
    stack = await env.stack(start=False, sidecars=0, tls=False,
                            broker={"auth": {"tokens-file": None, "token-file": None}})
    env.check_leftovers = False
    await stack.start()
    link = await LinkClient(stack.broker_port, None).open()
    assert await link.open_link() == 200
    other = await LinkClient(stack.broker_port, None).open()
    assert (await other.request("GET", "/v1/trust/bundle")).status == 404
    await asyncio.wait_for(other.task, 25)
    assert await ended(stack, "time") == 1
    assert (await link.request("GET", "/v1/nothing")).status == 404
    await link.close()

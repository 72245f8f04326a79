"""A target of pushes that misbehaves: it answers well, late, not at all, or what is no answer, and now and
then it dies. What it does is drawn for each request; while there is a file beside its ledger, NAME.calm, it
answers well.

Lines of its ledger (times are CLOCK_MONOTONIC in ms):

  B t pid                     a life begins
  T t req id attempt p s n    a message has come with a request, in its order
  A t req kind verdicts       about to be answered; of each message + if it says that it was taken, else -
  X t words                   what may never come
  E t                         ended"""

import argparse
import asyncio
import base64
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import struct
import sys
import time

HEAD_MAX = 64 << 10
HANG_S = 6             # longer than any time-out of a push
DRIP_S = 0.1
SHORT = 4096
HUGE = 256 << 10       # bytes of an answer that is more than is read of one
MODE_GAP_S, MODE_MOST_S = 6, 2
MODES = ("e500", "hang", "closed", "slow", "busy", "reset")

# Kinds of answers and their weights; those of batches, and those that no reply may have.
KINDS = {"well": 160, "hints": 4, "slow": 5, "drip": 1, "hang": 1, "e500": 6, "e4xx": 4, "busy": 1, "redirect": 2,
         "cut_head": 4, "cut_body": 4, "garbage": 3, "reset": 2, "extra": 3, "die": 1, "die_after": 1}
BATCH_KINDS = {"partly": 12, "nonsense": 5, "huge": 1}
NO_REPLY_KINDS = {"longer": 3}
WELL = ("well", "hints", "slow", "extra", "longer", "die_after")  # kinds that say that all was taken


class Dead(Exception):
    """The connection is over."""


class Message:
    def __init__(self, event_id, attempt, payload):
        self.id, self.attempt, self.payload = event_id, attempt, payload
        self.lane = self.number = None

    def read(self):
        p, s, n = map(int, self.payload.split(b" ", 3)[:3])
        self.lane, self.number = (p, s), n


class Sink:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(f"{args.seed} {args.name} {os.getpid()} {now_ms()}")
        self.calm_file = pathlib.Path(args.ledger).with_suffix(".calm")
        self.mode, self.mode_until = None, 0
        self.requests = 0
        self.writers = set()
        self.server = None
        self.kinds = dict(KINDS)
        if args.batch > 1:
            self.kinds |= BATCH_KINDS
        if not args.reply:
            self.kinds |= NO_REPLY_KINDS
        self.ledger = self.open(pathlib.Path(args.ledger))

    @staticmethod
    def open(path):
        whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
        ledger = open(path, "a", buffering=1)
        if not whole:
            ledger.write(" torn\n")
        return ledger

    def write(self, kind, *words):
        self.ledger.write(" ".join(map(str, (kind, now_ms(), *words))) + "\n")

    def wrong(self, text):
        self.write("X", *text.split())

    # -- requests

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while True:
                await self.one(reader, writer)
        except (Dead, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    async def one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        messages = self.messages(head[0], headers, body)
        self.requests += 1
        request = self.requests
        for m in messages:
            self.write("T", request, m.id, m.attempt, *m.lane, m.number)
        kind = self.draw()
        await Answer(self, writer, request, messages).give(kind)

    def messages(self, line, headers, body):
        method, path, _ = line.split(" ", 2)
        if method != "POST" or path != f"/{self.args.name}" or headers.get("sqmqos-queue") != self.args.name:
            self.wrong(f"a request {line} of {headers.get('sqmqos-queue')}")
            raise Dead
        attempt = int(headers["sqmqos-attempt"])
        if self.args.batch > 1:
            events = json.loads(body)
            out = [Message(e["id"], attempt, base64.b64decode(e["data_base64"])) for e in events]
            if len(out) > self.args.batch or len({m.id for m in out}) != len(out):
                self.wrong(f"a batch of {len(out)}, or one message twice in it")
        else:
            out = [Message(headers["webhook-id"], attempt, body)]
            if headers["idempotency-key"].strip('"') != out[0].id or headers.get("ce-id", out[0].id) != out[0].id:
                self.wrong(f"ids that are not the same: {headers['idempotency-key']} {headers.get('ce-id')}")
        for m in out:
            m.read()
        return out

    @property
    def calm(self):
        return self.calm_file.exists()

    def draw(self):
        if self.calm:
            return "well"
        if self.mode and time.monotonic() < self.mode_until and self.rng.random() < 0.9:
            return self.mode
        return self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]

    # -- life

    async def listen(self):
        context = None
        if self.args.cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.args.cert, self.args.key)
        while True:
            try:
                self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.args.port, limit=HEAD_MAX,
                                                         ssl=context, backlog=200)
                return
            except OSError:
                await asyncio.sleep(0.02)

    async def close(self):
        """The port, and what is connected."""
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def moods(self):
        """Times of one fault."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / MODE_GAP_S))
            if self.calm:
                return
            span = self.rng.uniform(0.2, MODE_MOST_S)
            kind = self.rng.choice(MODES)
            if kind == "closed":
                await self.close()
                await asyncio.sleep(span)
                await self.listen()
            else:
                self.mode, self.mode_until = kind, time.monotonic() + span

    def die(self):
        """As by a kill, but that it starts again at once; its descriptors are closed by that."""
        self.ledger.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv])

    async def run(self):
        self.write("B", os.getpid())
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await self.listen()
        moods = asyncio.create_task(self.moods())
        await ended.wait()
        moods.cancel()
        await self.close()
        self.write("E")


class Answer:
    """To one request, of a kind."""

    def __init__(self, sink, writer, request, messages):
        self.sink, self.writer, self.request, self.messages = sink, writer, request, messages
        self.rng = sink.rng
        self.verdicts = "-" * len(messages)

    async def give(self, kind):
        self.kind = kind
        if kind in WELL:
            self.verdicts = "+" * len(self.messages)
        if kind != "partly":
            self.tell()
        await getattr(self, kind)()

    def tell(self):
        """Before a byte of it is written: whoever acts upon it does so later."""
        self.sink.write("A", self.request, self.kind, self.verdicts)

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def end(self, reset=True):
        """Of the connection."""
        sock = self.writer.get_extra_info("socket")
        if reset and sock is not None and not self.sink.args.cert:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
        raise Dead

    @staticmethod
    def made(status, body=b"", more=""):
        length = "" if status == 204 else f"content-length: {len(body)}\r\n"
        return f"HTTP/1.1 {status} Said\r\n{length}{more}\r\n".encode() + body

    def good(self):
        """An answer that is good."""
        if self.sink.args.reply:
            body, kind = self.messages[0].payload, "content-type: application/octet-stream\r\n"
            if self.rng.random() < 0.3:
                at = self.rng.randrange(1, len(body))
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:at], body[at:], b""))
                return f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{kind}\r\n".encode() + chunks
            return self.made(200, body, kind)
        bodies = [b"", b"ok", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}', b"[]", b"{"]
        return self.made(*self.rng.choice([(204, b"")] + [(s, b) for s in (200, 201, 202) for b in bodies]))

    async def well(self):
        await self.send(self.good())
        if self.rng.random() < 0.05:
            self.end(reset=False)

    async def hints(self):
        await self.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * self.rng.randint(1, 5))
        await self.send(self.good())

    async def slow(self):
        data = self.good()
        cuts = sorted(self.rng.randrange(len(data)) for _ in range(self.rng.randint(1, 5)))
        for a, b in zip([0, *cuts], [*cuts, len(data)]):
            await self.send(data[a:b])
            await asyncio.sleep(self.rng.uniform(0.01, 0.15))

    async def drip(self):
        """Never at its end while anybody waits."""
        data = self.made(200, b"x" * 1000)
        for i in range(int(HANG_S / DRIP_S)):
            await self.send(data[i:i + 1])
            await asyncio.sleep(DRIP_S)
        self.end()

    async def hang(self):
        end = time.monotonic() + HANG_S
        while time.monotonic() < end and not self.writer.transport.is_closing():
            await asyncio.sleep(0.1)
        self.end()

    async def e500(self):
        await self.send(self.made(self.rng.choice((500, 502, 504, 599, 408, 425)), b"no"))

    async def e4xx(self):
        await self.send(self.made(self.rng.choice((400, 404, 409, 413, 422)), b"no"))

    async def busy(self):
        await self.send(self.made(self.rng.choice((429, 503)), b"",
                                  f"retry-after: {self.rng.choice((0, 0, 1))}\r\n"))

    async def redirect(self):
        await self.send(self.made(self.rng.choice((301, 302, 307, 308)), b"", "location: /elsewhere\r\n"))

    async def cut_head(self):
        data = self.good()
        await self.send(data[:self.rng.randrange(1, data.index(b"\r\n\r\n") + 3)])
        self.end(self.rng.random() < 0.5)

    async def cut_body(self):
        said = self.rng.randint(50, 5000)
        await self.send(self.made(200, b"{" + b"x" * said)[:-self.rng.randint(1, said)])
        self.end(self.rng.random() < 0.5)

    async def garbage(self):
        await self.send(self.rng.choice((b"\r\n\r\n", b"OK\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02",
                                         b"HTTP/1.1 2OO fine\r\n\r\n", b"SSH-2.0-x\r\n", self.rng.randbytes(300))))
        self.end(reset=False)

    async def reset(self):
        self.end()

    async def extra(self):
        """With a second answer, which nobody has asked for. It is short, so that it comes in one piece: what comes
        when the next request is on its way is that one's to any client."""
        good = self.good()
        await self.send(good + self.made(200, b"not asked for") if len(good) < SHORT else good)

    async def longer(self):
        """Than it says."""
        await self.send(self.made(200, b"ok") + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 3)

    async def die(self):
        self.sink.die()

    async def die_after(self):
        await self.send(self.good())
        self.sink.die()

    # -- to batches

    async def partly(self):
        """Some have failed; those behind them in their lane are tried again, whatever this says of them."""
        failed = set(self.rng.sample(range(len(self.messages)), self.rng.randint(1, min(3, len(self.messages)))))
        held, verdicts = set(), []
        for i, m in enumerate(self.messages):
            if i in failed and self.sink.args.order != "none":
                held.add(m.lane)
            verdicts.append("-" if i in failed or m.lane in held else "+")
        self.verdicts = "".join(verdicts)
        self.tell()
        body = {"batchItemFailures": [{"itemIdentifier": self.messages[i].id} for i in sorted(failed)]}
        await self.send(self.made(200, json.dumps(body).encode(), "content-type: application/json\r\n"))

    async def nonsense(self):
        """Of failures, which are then all."""
        known, unknown = {"itemIdentifier": self.messages[0].id}, {"itemIdentifier": "none-such"}
        body = json.dumps({"batchItemFailures": self.rng.choice(
            (5, "x", {}, [unknown], [known, unknown], [{}], [known] * (len(self.messages) + 1), [5]))}).encode()
        if self.rng.random() < 0.2:
            body = body[:-self.rng.randint(1, 3)]
        await self.send(self.made(200, body))

    async def huge(self):
        await self.send(self.made(200, b'{"x":"' + b"x" * HUGE + b'"}'))


def now_ms():
    return int(time.monotonic() * 1000)


def main():
    parser = argparse.ArgumentParser()
    for name in ("name", "seed", "ledger", "order"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--reply", action="store_true")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    asyncio.run(Sink(parser.parse_args()).run())


if __name__ == "__main__":
    main()

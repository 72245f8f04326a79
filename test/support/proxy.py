"""A TCP proxy that misbehaves on purpose, between a sidecar and its broker.

Everything random comes from one seed, which the scenario prints."""

import asyncio
import random
import socket
import struct

UP, DOWN = "up", "down"  # to the broker, to the sidecar


class Cut(Exception):
    """Raised by a filter: forward 'rest', then cut the connection."""

    def __init__(self, rest=b""):
        super().__init__()
        self.rest = rest


class Pair:
    """One connection through the proxy."""

    def __init__(self, proxy, client_writer, server_writer):
        self.proxy = proxy
        self.writers = {UP: server_writer, DOWN: client_writer}
        self.passed = {UP: 0, DOWN: 0}
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.state = {}  # a filter's own

    def cut(self):
        """A reset to both sides."""
        for writer in self.writers.values():
            sock = writer.get_extra_info("socket")
            if sock is not None:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            writer.transport.abort()

    async def pump(self, direction, reader):
        writer = self.writers[direction]
        try:
            while data := await reader.read(65536):
                if self.proxy.delay_s:
                    await asyncio.sleep(self.proxy.delay_s)
                await self.flowing.wait()
                try:
                    for f in self.proxy.filters:
                        data = f(self, direction, data)
                except Cut as cut:
                    writer.write(cut.rest)
                    await writer.drain()
                    await asyncio.sleep(0.02)  # let the rest leave before the reset
                    self.proxy.cuts += 1
                    self.cut()
                    return
                self.passed[direction] += len(data)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            self.cut()


class Proxy:
    """Listens on 'port', forwards to 'upstream' on 127.0.0.1.

    filters: functions (pair, direction, data) -> data that may raise Cut."""

    def __init__(self, port, upstream):
        self.port = port
        self.upstream = upstream
        self.pairs = set()
        self.filters = []
        self.cuts = 0
        self.taken = 0  # connections
        self.delay_s = 0  # of every piece that passes
        self.server = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        return self

    async def serve(self, reader, writer):
        self.taken += 1
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(self, writer, upstream[1])
        self.pairs.add(pair)
        try:
            await asyncio.gather(pair.pump(UP, reader), pair.pump(DOWN, upstream[0]))
        except asyncio.CancelledError:
            pass  # the scenario is over
        finally:
            pair.cut()
            self.pairs.discard(pair)

    def cut_all(self):
        for pair in list(self.pairs):
            self.cuts += 1
            pair.cut()

    def freeze(self):
        """Half-open: what is connected now stays so, but nothing gets through."""
        for pair in self.pairs:
            pair.flowing.clear()

    def thaw(self):
        for pair in self.pairs:
            pair.flowing.set()

    async def stop(self):
        self.server.close()
        self.thaw()
        for pair in list(self.pairs):
            pair.cut()
        await self.server.wait_closed()


def random_cuts(seed, least, most):
    """A filter: each connection is cut, in either direction, after a random
    number of bytes between 'least' and 'most'."""
    rng = random.Random(seed)

    def cut(pair, direction, data):
        if "limit" not in pair.state:
            pair.state["limit"] = {UP: rng.randint(least, most), DOWN: rng.randint(least, most)}
        room = pair.state["limit"][direction] - pair.passed[direction]
        if len(data) >= room:
            raise Cut(data[:max(room, 0)])
        return data
    return cut


def cut_inside_data_frame(least_bytes, times=1):
    """A filter for clear HTTP/2: cuts in the middle of a DATA frame to the
    sidecar of at least 'least_bytes', 'times' times."""
    left = [times]

    def cut(pair, direction, data):
        if direction != DOWN:
            return data
        frame = pair.state.setdefault("frame", {"head": b"", "skip": 0})
        at = 0
        while at < len(data):
            if frame["skip"]:
                n = min(frame["skip"], len(data) - at)
                frame["skip"] -= n
                at += n
                continue
            n = 9 - len(frame["head"])
            frame["head"] += data[at:at + n]
            at = min(at + n, len(data))
            if len(frame["head"]) < 9:
                break
            length, kind = int.from_bytes(frame["head"][:3], "big"), frame["head"][3]
            frame["head"], frame["skip"] = b"", length
            if kind == 0 and length >= least_bytes and left[0] > 0:
                left[0] -= 1
                raise Cut(data[:at + min(length, len(data) - at) // 2])
        return data
    return cut

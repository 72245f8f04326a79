"""What the apps of a case (apps/app.py) tell the test, over TCP to the node's address: it
outlives pods, their logs and their names."""

import asyncio
import collections
import contextlib
import json

from cluster import eventually  # test/support
from harness import paths

END_OF_LINE = 1 << 20


class Recorder:
    """Lines of JSON from all apps, in the order of arrival."""

    def __init__(self, path):
        self.events = []
        self.path = path  # of a copy, for people
        self.server = None
        self.address = None

    async def start(self):
        self.server = await asyncio.start_server(self._read, paths.NODE_ADDRESS, 0,
                                                 limit=END_OF_LINE)
        host, port = self.server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        return self

    async def _read(self, reader, writer):
        # Cancelled where the case ends before its apps do.
        with contextlib.suppress(asyncio.CancelledError, ConnectionError), \
                contextlib.closing(writer), open(self.path, "ab", buffering=0) as copy:
            while line := await reader.readline():
                self.events.append(json.loads(line))
                copy.write(line)

    def of(self, event, who=None):
        return [e for e in self.events if e["event"] == event and who in (None, e["who"])]

    def acked(self, who):
        """Numbers of a publisher's messages that were acknowledged."""
        return {e["n"] for e in self.of("acked", who)}

    def got(self, who=None):
        """{text: how many times} of what consumers received."""
        return collections.Counter(e["text"] for e in self.of("got", who))

    async def until(self, check, what, timeout_s=60):
        return await eventually(check, what, timeout_s, 0.05)

    async def connected(self, *names, timeout_s=60):
        await self.until(lambda: all(self.of("connected", n) for n in names),
                         f"{names} are connected", timeout_s)

    async def all_acked(self, who, count, timeout_s=90):
        await self.until(lambda: len(self.acked(who)) >= count,
                         f"{count} messages of {who} are acknowledged", timeout_s)

    async def all_got(self, publisher, count, consumer=None, timeout_s=90):
        """Awaits that each message of the publisher has reached a consumer."""
        def complete():
            return not self.missing(publisher, count, consumer)
        try:
            await self.until(complete, f"{count} messages of {publisher} have arrived", timeout_s)
        except AssertionError as e:
            lost = self.missing(publisher, count, consumer)
            raise AssertionError(f"{e}: {len(lost)} are missing, such as {lost[:5]}") from None

    def missing(self, publisher, count, consumer=None):
        got = self.got(consumer)
        return [n for n in range(1, count + 1) if got[f"{publisher}:{n}"] == 0]

    def doubled(self, consumer=None):
        return {text: n for text, n in self.got(consumer).items() if n > 1}

    def out_of_order(self, publisher, consumer):
        """Numbers of the publisher that one consumer got behind a greater one, when it got them
        for the first time."""
        seen, last, late = set(), 0, []
        for e in self.of("got", consumer):
            name, _, text = e["text"].partition(":")
            if name != publisher or text in seen:
                continue
            seen.add(text)
            n = int(text)
            late += [n] if n < last else []
            last = max(last, n)
        return late

    def sent(self, publisher):
        """How many messages a publisher that has ended had sent, all of them acknowledged."""
        return sum(e["sent"] for e in self.of("done", publisher))

    def position(self):
        """For since(): what has happened until now."""
        return len(self.events)

    def since(self, position, *events):
        return [e for e in self.events[position:] if e["event"] in events]

"""A collector of spans for scenarios: takes OTLP over HTTP as JSON, and may be slow, refuse or be gone."""

import asyncio
import json

import stack as parts


class Span:
    """One span, its attributes as a dict."""

    def __init__(self, raw, service):
        self.raw, self.service = raw, service
        self.name, self.trace, self.id = raw["name"], raw["traceId"], raw["spanId"]
        self.parent = raw.get("parentSpanId")
        self.start, self.end = int(raw["startTimeUnixNano"]), int(raw["endTimeUnixNano"])
        self.attributes = attributes(raw["attributes"])
        self.failed = raw.get("status", {}).get("code") == 2

    def __repr__(self):
        return f"{self.service}:{self.name} {self.id} of {self.parent} {self.attributes}"


def attributes(listed):
    return {a["key"]: next(iter(a["value"].values())) for a in listed}


def spans_of(request):
    """The spans of an ExportTraceServiceRequest."""
    out = []
    for resource in request["resourceSpans"]:
        who = attributes(resource["resource"]["attributes"])
        for scope in resource["scopeSpans"]:
            out += [Span(raw, who["service.name"]) for raw in scope["spans"]]
    return out


class Collector:
    """status, headers: of each answer; stalled: none comes; endless: one that never ends."""

    def __init__(self, port=None):
        self.port = port or parts.free_port()
        self.requests = []  # of each the headers and the body, as JSON
        self.status, self.answer_headers, self.stalled = 200, [], False
        self.answer, self.endless, self.ended = b"{}", False, 0
        self.server = None
        self.tasks = set()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self):
        return [s for _, body, status in self.requests if status == 200 for s in spans_of(body)]

    async def start(self, ssl=None):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, ssl=ssl)
        return self

    async def stop(self):
        if self.server is not None:
            self.server.close()
            for task in self.tasks:
                task.cancel()
            self.server = None

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            while await self.exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def exchange(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert head[0] == "POST /v1/traces HTTP/1.1", head[0]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:-2])}
        assert headers["content-type"] == "application/json"
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        while self.stalled:
            await asyncio.sleep(0.05)
        status = self.status
        self.requests.append((headers, body, status))
        if self.endless:
            await self.answer_for_ever(writer, status)
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(self.answer)}",
                 "Content-Type: application/json", *self.answer_headers, "", ""]
        writer.write("\r\n".join(lines).encode() + self.answer)
        await writer.drain()
        return True

    async def answer_for_ever(self, writer, status):
        """Until the program goes, which is counted."""
        writer.write(f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            while True:
                writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            self.ended += 1
            raise

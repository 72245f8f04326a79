"""The HTTP API of a stack's broker, asked by curl."""

import asyncio
import dataclasses
import json

from mqtt import Client

VERSIONS = ("1.1", "2")
DURABLE = {"session_expiry": 600}
HTTP = {"1.1": "--http1.1", "2": "--http2"}


@dataclasses.dataclass
class Answer:
    status: int
    version: str
    headers: dict  # of names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The last part of its type; it must be one that is whole."""
        assert self.headers["content-type"] == "application/problem+json", self
        told = self.json
        assert told["type"].startswith("https://sqmqos.io/problems/"), told
        assert told["status"] == self.status and told["title"] and told["detail"], told
        assert told["request-id"] == self.headers["sqmqos-request-id"], self
        if self.status == 429 or self.status >= 500:
            assert int(self.headers["retry-after"]) == told["retry-after"] >= 1, self
        return told["type"].rpartition("/")[2]


class Api:
    """version: "1.1" or "2". token: another than the stack's, or "" for none. space: that of requests
    that name none, as the stack's token has several."""

    def __init__(self, stack, version="2", token=None, tls=True, space="default", port=None):
        self.folder, self.version, self.space = stack.folder, version, space
        self.token = (stack.folder / "token").read_text().strip() if token is None else token
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port or stack.broker_port}"
        self.tls = tls
        self.asked = 0

    def argv(self, method, path, headers, more):
        argv = ["curl", "-sS", "-m", "60", "--path-as-is", HTTP[self.version], "-X", method]
        if self.tls:
            argv += ["--cacert", str(self.folder / "ca.pem")]
        if self.token:
            argv += ["-H", f"authorization: bearer {self.token}"]
        if self.space and method in ("PATCH", "POST", "PUT"):
            headers = {"sqmqos-space": self.space} | headers
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                argv += ["-H", f"{name}: {value}" if value != "" else f"{name};"]
        return [*argv, *more, self.url + path]

    async def ask(self, method, path, body=None, headers=None, more=()):
        """'headers': {name: value or list of values}; 'more': of curl's own."""
        self.asked += 1
        head = self.folder / f"head-{id(self)}-{self.asked}"
        more = [*more, "-D", str(head), "-w", "\\n%{http_code} %{http_version}"]
        if method == "HEAD":
            more += ["--head"]
        if body is not None:
            more += ["--data-binary", "@-"]
            headers = {"content-type": ""} | (headers or {})
        process = await asyncio.create_subprocess_exec(
            *self.argv(method, path, headers or {}, more), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, error = await process.communicate(body or b"")
        assert process.returncode == 0, (method, path, error.decode(), out[-200:])
        out, _, tail = out.rpartition(b"\n")
        status, version = tail.decode().split()
        answer = Answer(int(status), version, parse(head.read_text()),
                        b"" if method == "HEAD" else out)
        head.unlink()
        assert answer.headers["cache-control"] == "no-store", answer
        assert answer.headers["sqmqos-request-id"], answer
        assert method == "HEAD" or answer.status == 204 or int(answer.headers["content-length"]) == len(out), answer
        return answer

    async def publish(self, topic, body=b"", headers=None, status=200, method="POST", more=()):
        answer = await self.ask(method, f"/v1/publish/{topic}", body, headers, more)
        assert answer.status == status, answer
        return answer


def parse(text):
    """The headers of the last response in what curl -D writes."""
    block = [b for b in text.replace("\r", "").split("\n\n") if b.strip()][-1]
    pairs = [line.split(":", 1) for line in block.strip().splitlines()[1:]]
    return {name.lower(): value.strip() for name, value in pairs}


async def api_stack(env, version="2", **broker):
    """A stack with one sidecar, and its API."""
    stack = await env.stack(sidecars=1, broker=broker)
    return stack, Api(stack, version)


async def subscriber(stack, *filters, client_id="sub", qos=2):
    client = Client(client_id)
    await client.connect(stack.ports[0], clean=False, props=DURABLE)
    await client.subscribe(*filters, qos=qos)
    return client


async def leave(client):
    await client.disconnect(props={"session_expiry": 0})


def users(message):
    return message.props.get("user", [])

"""Real client libraries that do what a test tells them, all in the same words.

An agent (test/clients/agents/) is a process that reads lines and answers each:

    connect PORT ID CLEAN EXPIRY WILL_TOPIC WILL_TEXT    connected 0|1|-
    subscribe FILTER QOS                                 subscribed
    publish TOPIC QOS RETAIN TEXT SIZE                   published
    disconnect                                           disconnected

or `failed …`. connected tells whether the session was there, where the client knows. EXPIRY is MQTT 5's, in seconds; without a will its topic is `-` (a will has
QoS 1); a payload is TEXT over and over, SIZE bytes of it. What arrives is told at once, as
`message TOPIC QOS RETAIN SIZE SUM`, SUM being the sum of n times the n-th byte. mosquitto's
tools, which know no such lines, are spoken to by MosquittoAgent."""

import asyncio
import collections
import dataclasses
import os

import clients

PATIENCE_S = 40


@dataclasses.dataclass(frozen=True)
class Got:
    topic: str
    qos: int
    retain: bool
    size: int
    total: int


def payload(text, size):
    return (text.encode() * (size // len(text) + 1))[:size]


def checksum(data):
    return sum(n * byte for n, byte in enumerate(data, 1)) % 2**32


def expected(topic, qos, retain, text, size):
    return Got(topic, qos, retain, size, checksum(payload(text, size)))


class Agent:
    """An agent that is a process of ours."""

    def __init__(self, process):
        self.process = process
        self.answers = asyncio.Queue()
        self.messages = asyncio.Queue()
        self.output = collections.deque(maxlen=30)
        self.reader = asyncio.create_task(self.read())

    @classmethod
    async def start(cls, env, argv, version, environment=None):
        process = await clients.start(env, *argv, version, stdin=asyncio.subprocess.PIPE,
                                      environment=os.environ | (environment or {}))
        return cls(process)

    async def read(self):
        async for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.output.append(line[:200])
            words = line.split(" ")
            if words[0] == "message":
                topic, qos, retain, size, total = words[1:]
                self.messages.put_nowait(Got(topic, int(qos), retain == "1", int(size), int(total)))
            elif words[0] in ("connected", "subscribed", "published", "disconnected", "failed"):
                self.answers.put_nowait(words)
        self.answers.put_nowait(["ended"])

    async def tell(self, expected_word, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        answer = await asyncio.wait_for(self.answers.get(), PATIENCE_S)
        assert answer[0] == expected_word, \
            f"{words[0]}: {' '.join(answer)}\n" + "\n".join(self.output)
        return answer[1:]

    async def connect(self, port, name, clean=True, expiry=0, will=None):
        """Whether the session was there; None where the library does not tell."""
        topic, text = will or ("-", "-")
        answer = await self.tell("connected", "connect", port, name, int(clean), expiry, topic, text)
        return {"0": False, "1": True}.get(answer[0])

    async def subscribe(self, topic, qos):
        await self.tell("subscribed", "subscribe", topic, qos)

    async def publish(self, topic, qos, text="x", size=None, retain=False):
        await self.tell("published", "publish", topic, qos, int(retain), text,
                        len(text) if size is None else size)

    async def disconnect(self):
        await self.tell("disconnected", "disconnect")

    async def message(self):
        return await asyncio.wait_for(self.messages.get(), PATIENCE_S)

    async def kill(self):
        """Ends it without DISCONNECT."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reader


class MosquittoAgent:
    """The same by mosquitto_sub and mosquitto_pub, one of them for each request."""

    def __init__(self, env, version):
        self.env = env
        self.version = {"3.1.1": 4, "5": 5}[version]
        self.sub = None
        self.options = []
        self.expiry = 0

    async def connect(self, port, name, clean=True, expiry=0, will=None):
        """The tools connect when they subscribe or publish, and don't tell of the session."""
        self.port, self.name = port, name
        self.options = [] if clean else ["-c"]
        if not clean and self.version == 5:
            self.options += ["-x", expiry]
        if will:
            self.options += ["--will-topic", will[0], "--will-payload", will[1], "--will-qos", 1]

    async def subscribe(self, topic, qos):
        self.sub = await clients.mosquitto_sub(self.env, self.port, topic, *self.options, qos=qos,
                                               version=self.version, client_id=self.name)

    async def publish(self, topic, qos, text="x", size=None, retain=False):
        data = payload(text, len(text) if size is None else size)
        if not data:
            await clients.run(self.env, "mosquitto_pub", "-h", "localhost", "-p", self.port, "-t", topic,
                              "-q", qos, "-V", clients.VERSION[self.version], "-n",
                              *(["-r"] if retain else []))
            return
        await clients.mosquitto_pub(self.env, self.port, topic, data, *(["-r"] if retain else []),
                                    version=self.version, qos=qos)

    async def disconnect(self):
        if self.sub is not None:
            await self.sub.end()
            self.sub = None

    async def message(self):
        topic, data, qos, retain = await self.sub.next(PATIENCE_S)
        return Got(topic, qos, retain, len(data), checksum(data))

    async def kill(self):
        if self.sub is not None:
            self.sub.process.kill()
            await self.sub.end()
            self.sub = None

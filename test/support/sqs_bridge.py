"""A bridge to SQS for scenarios: a server behind a proxy that verifies signatures and fails as it is told, boto3
beside it, and a stack whose broker has the bridge."""

import asyncio
import json

import stack as parts
from cluster import eventually, metric
from elasticmq import ElasticMQ
from signed_proxy import Proxy
from sqs_tools import client

SPACE = "default"
BROKER = {"engine": "embedded", "session": {"grace": "1s", "recovery-time": "0s"}, "workers": 2}
KEY = ("AKIATEST", "secret")


async def started(env, what):
    """Starts it; the scenario's end stops it."""
    await asyncio.to_thread(what.start)

    async def end():
        try:
            await asyncio.Event().wait()
        finally:
            what.stop()
    env.spawn(end())
    return what


class Sqs:
    """A server, its proxy, and boto3 at the server itself."""

    def __init__(self, env, server, proxy):
        self.env, self.server, self.proxy = env, server, proxy
        self.boto = client(server.url, *KEY)
        self.taken = []  # all that was received

    async def call(self, name, **arguments):
        return await asyncio.to_thread(getattr(self.boto, name), **arguments)

    async def create(self, name, **attributes):
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        return (await self.call("create_queue", QueueName=name, Attributes=attributes))["QueueUrl"]

    async def receive(self, url, n, timeout_s=30):
        """Takes messages until there are n; all of them."""
        out = []

        async def enough():
            got = await self.call("receive_message", QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                                  AttributeNames=["All"], MessageAttributeNames=["All"])
            for m in got.get("Messages", []):
                out.append(m)
                await self.call("delete_message", QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
            return len(out) >= n
        await eventually(enough, f"{n} messages are in the queue, of {len(out)}", timeout_s)
        return out

    async def left(self, url):
        found = (await self.call("get_queue_attributes", QueueUrl=url, AttributeNames=["All"]))["Attributes"]
        return sum(int(v) for k, v in found.items() if k.startswith("ApproximateNumberOfMessages"))

    async def empty(self, url):
        async def none():
            return await self.left(url) == 0
        await eventually(none, "the queue is empty", 30)


async def sqs(env, kind=ElasticMQ, name="server"):
    folder = env.folder / name
    folder.mkdir(exist_ok=True)
    server = await started(env, kind(str(folder)))
    return Sqs(env, server, await started(env, Proxy(server.url, {KEY[0]: KEY[1]})))


def declare(env, s, folder="bridges", keys=KEY, **bridges):
    """Has the folder's one file declare these bridges, with credentials by files."""
    folder = env.folder / folder
    folder.mkdir(exist_ok=True)
    for name, text in zip(("id", "secret"), keys):
        fresh = folder / f"{name}.fresh"
        parts.write_private(fresh, text)
        fresh.rename(folder / name)
    common = {"space": SPACE, "kind": "sqs", "endpoint": s.proxy.url, "region": "eu-central-1", "wait": "2s",
              "credentials": {"access-key-file": str(folder / "id"), "secret-key-file": str(folder / "secret")}}
    fresh = folder / "fresh"
    fresh.write_text(parts.yaml({"bridges": {name: parts.merge(common, more) for name, more in bridges.items()}}))
    fresh.rename(folder / "sqs.yaml")
    return folder


async def bridged(env, s, broker=None, folder="bridges", **bridges):
    """A stack whose broker has the bridges, and a client."""
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=BROKER | (broker or {}))
    stack.broker.tree["bridges"] = {"dir": str(declare(env, s, folder, **bridges))}
    await stack.start()
    return stack, await env.connect(stack.ports[0], f"client-{folder}")


def out(queue, filter="orders/#", **to):
    return {"out": [{"filter": filter, "to": {"queue": queue} | to}]}


def into(queue, to="in/{topic|other}", **more):
    return {"in": [{"queue": queue, "to": to} | more]}


async def is_up(stack, bridge, direction, up=True):
    name = f'sqmqos_bridge_up{{bridge="{bridge}",direction="{direction}"}}'

    async def so():
        return await metric(stack.broker, name) == (1 if up else 0)
    await eventually(so, f"{bridge} is {'up' if up else 'down'}", 30)


def attribute(message, name):
    found = message.get("MessageAttributes", {}).get(name)
    return found and (found.get("StringValue") or found.get("BinaryValue"))


def properties(message):
    return json.loads(attribute(message, "sqmqos-properties") or "{}")

"""Brokers that push, and the queues of theirs."""

import subprocess

import stack as parts
from cluster import eventually, metric

SPACE = "default"
LOCAL = {"allow": [{"host": "127.0.0.1", "cidr": "127.0.0.0/8"}], "trusted": ["127.0.0.1"]}
RULES = [{"allow": ["consume", "manage", "push"], "queues": ["*"]}]
BROKER = {"engine": "embedded", "session": {"grace": "1s", "recovery-time": "0s"}, "workers": 2}
QUICK = {"first": "50ms", "max": "200ms", "jitter": False}


def declare(env, **queues):
    """Has the folder's one file declare these queues."""
    folder = env.folder / "subscribers"
    folder.mkdir(exist_ok=True)
    fresh = env.folder / "fresh.yaml"
    fresh.write_text(parts.yaml({SPACE: queues}))
    fresh.rename(folder / "q.yaml")
    return folder


def pushed(sink, path="/", binding="jobs/#", queue=None, **push):
    return {"bindings": [{"filter": binding, "qos": 2}]} | (queue or {}) | \
        {"push": {"url": sink.url + path, "retry": QUICK} | push}


async def begin(env, broker=None, **queues):
    """A stack whose broker pushes, and a client that publishes."""
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=BROKER | {"push": LOCAL, "acl": RULES} | (broker or {}))
    stack.broker.tree["subscribers"] = {"dir": str(declare(env, **queues))}
    await stack.start()
    return stack, await env.connect(stack.ports[0], "publisher")


async def settled(stack):
    """No queue has a message, nor is one out."""
    async def empty():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(empty, "nothing waits, and nothing is unsettled")


async def letters_of(env, stack):
    client = await env.connect(stack.ports[0], "undertaker")
    await client.subscribe(("$dead/#", 1))
    return client


def resolver(folder):
    """What a broker has in LD_PRELOAD whose names are those of the variable NAMES; not beside sanitizers."""
    made = folder / "names.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(made),
                    str(parts.ROOT / "test" / "support" / "names.c")], check=True)
    return str(made)

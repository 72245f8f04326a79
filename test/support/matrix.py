"""The matrix of real clients: which there are, what each must do, and in which version.
Scenarios run it (test/e2e/test_compatibility.py, test/compat/), and tools/compatibility.py
writes docs/compatibility.md from it.

A case gets make(), an agent of the client in question, the ports of two sidecars, and a name
of its own; it raises where the client does not do as it should."""

import asyncio
import dataclasses

import agents
from agents import expected

VERSIONS = ("3.1.1", "5")
LARGE = 1 << 20  # bytes


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    title: str
    library: str  # of which version, where it is from
    where: str    # `./dev test` or `./dev compat`


CLIENTS = [
    Client("mosquitto", "mosquitto_pub, mosquitto_sub", "2.0, Debian's `mosquitto-clients`", "./dev test"),
    Client("libpaho", "libpaho, C", "1.3, Debian's `libpaho-mqtt-dev`", "./dev test"),
    Client("paho_python", "Paho Python", "{paho-mqtt}, PyPI's `paho-mqtt`", "./dev test"),
    Client("mqttjs", "MQTT.js", "4.3, Debian's `node-mqtt`", "./dev test"),
    Client("hivemq", "HiveMQ MQTT Client, Java", "{hivemq-mqtt-client}, Maven's `com.hivemq:hivemq-mqtt-client`",
           "./dev compat"),
    Client("rumqttc", "rumqttc, Rust", "{rumqttc}, crates.io's `rumqttc`", "./dev compat"),
    Client("paho_go", "Paho Go", "3.1.1: `paho.mqtt.golang` {github.com/eclipse/paho.mqtt.golang}; "
           "5: `paho.golang` {github.com/eclipse/paho.golang}", "./dev compat"),
]

CASES = {}


def case(words):
    """words: what the page says of it."""
    def mark(function):
        CASES[function.__name__] = (function, words)
        return function
    return mark


@case("connects and disconnects; no session was there")
async def connect(w):
    agent = await w.make()
    for port in w.ports:
        assert not await agent.connect(port, w.id("c"))
        await agent.subscribe(w.topic(), 0)
        await agent.disconnect()


async def exchange(w, qos):
    sub, pub = await w.make(), await w.make()
    await sub.connect(w.ports[1], w.id("sub"))
    await sub.subscribe(w.topic("#"), 2)
    await pub.connect(w.ports[0], w.id("pub"))
    for n in range(3):
        await pub.publish(w.topic(f"{n}/ü"), qos, f"hello-{n}")
        assert await sub.message() == expected(w.topic(f"{n}/ü"), qos, False, f"hello-{n}", 7)
    await pub.publish(w.topic("empty"), qos, "x", 0)
    assert await sub.message() == expected(w.topic("empty"), qos, False, "x", 0)
    await pub.disconnect()
    await sub.disconnect()


@case("publishes at QoS 0 at one sidecar, receives at another")
async def qos_0(w):
    await exchange(w, 0)


@case("the same at QoS 1")
async def qos_1(w):
    await exchange(w, 1)


@case("the same at QoS 2")
async def qos_2(w):
    await exchange(w, 2)


@case("publishes a retained message, gets it with a later subscription, and removes it")
async def retained(w):
    pub = await w.make()
    await pub.connect(w.ports[0], w.id("pub"))
    await pub.publish(w.topic(), 1, "kept", retain=True)
    sub = await w.make()
    await sub.connect(w.ports[1], w.id("sub"))
    await sub.subscribe(w.topic(), 1)
    assert await sub.message() == expected(w.topic(), 1, True, "kept", 4)
    await pub.publish(w.topic(), 1, "x", 0, retain=True)
    assert await sub.message() == expected(w.topic(), 1, False, "x", 0)
    await pub.disconnect()
    await sub.disconnect()


@case("is killed, and its will arrives")
async def will(w):
    watcher = await w.env.connect(w.ports[1], w.id("watcher"))
    await watcher.subscribe((w.topic(), 2))
    agent = await w.make()
    await agent.connect(w.ports[0], w.id("c"), will=(w.topic(), "gone"))
    await agent.subscribe(w.topic("other"), 0)  # which mosquitto's tools need to connect
    await agent.kill()
    m = await watcher.receive()
    assert (m.topic, m.payload, m.qos) == (w.topic(), b"gone", 1)


@case("comes back through another sidecar, and gets what has waited for it")
async def resume(w):
    """At QoS 1: a library of which nothing is left but the identifier can't go on at QoS 2."""
    publisher = await w.env.connect(w.ports[0], w.id("publisher"))
    agent = await w.make()
    for n, port in enumerate((*w.ports, *w.ports)):
        present = await agent.connect(port, w.id("c"), clean=False, expiry=300)
        assert present in (None, n > 0), f"session present: {present}, connection number {n}"
        await agent.subscribe(w.topic(), 2)
        if n > 0:
            m = await agent.message()
            assert m == expected(w.topic(), 1, False, f"waited-{n}", 8), f"{n}: {m}"
        await agent.disconnect()
        assert await publisher.publish(w.topic(), f"waited-{n + 1}", 1) == 0
    await agent.connect(w.ports[0], w.id("c"), clean=True)
    await agent.subscribe(w.topic("other"), 0)
    await agent.disconnect()


@case("two share a subscription: each message comes to one of them, and both get some")
async def shared(w):
    members = [await w.make() for _ in range(2)]
    for n, (member, port) in enumerate(zip(members, w.ports)):
        await member.connect(port, w.id(f"member-{n}"))
        await member.subscribe(f"$share/g/{w.topic()}", 1)
    publisher = await w.env.connect(w.ports[0], w.id("publisher"))
    for n in range(40):
        assert await publisher.publish(w.topic(), f"{n:02}", 1) == 0
    got = {0: [], 1: []}

    async def take(n):
        while True:
            got[n].append(await members[n].message())
            if len(got[0]) + len(got[1]) == 40:
                return
    takers = [asyncio.create_task(take(n)) for n in got]
    await asyncio.wait(takers, return_when=asyncio.FIRST_COMPLETED, timeout=agents.PATIENCE_S)
    for taker in takers:
        taker.cancel()
    await asyncio.gather(*takers, return_exceptions=True)
    assert sorted(m.total for m in got[0] + got[1]) == sorted(
        expected(w.topic(), 1, False, f"{n:02}", 2).total for n in range(40))
    assert got[0] and got[1], "one member got all"
    for member in members:
        await member.disconnect()


@case("sends and receives a payload of 1 MiB")
async def large(w):
    sub, pub = await w.make(), await w.make()
    await sub.connect(w.ports[1], w.id("sub"))
    await sub.subscribe(w.topic(), 2)
    await pub.connect(w.ports[0], w.id("pub"))
    for qos in (0, 1, 2):
        await pub.publish(w.topic(), qos, "0123456789abcdef-", LARGE)
        assert await sub.message() == expected(w.topic(), qos, False, "0123456789abcdef-", LARGE)
    await pub.disconnect()
    await sub.disconnect()


class World:
    """What a case gets."""

    def __init__(self, env, stack, name, make):
        self.env = env
        self.ports = stack.ports
        self.name = name
        self.agents = []
        self.make_agent = make

    async def make(self):
        agent = await self.make_agent()
        self.agents.append(agent)
        return agent

    def id(self, suffix):
        return f"{self.name}-{suffix}"

    def topic(self, suffix=""):
        return f"{self.name}/{suffix}" if suffix else self.name


async def run(env, version, make):
    """Every case in 'version', with agents that make(version) starts."""
    stack = await env.stack()
    wrong = []
    for name, (function, _) in CASES.items():
        w = World(env, stack, name, lambda: make(version))
        try:
            await asyncio.wait_for(function(w), 120)
        except Exception as e:
            wrong.append(f"{name}: {type(e).__name__} {e}")
        for agent in w.agents:
            await agent.kill()
    assert not wrong, "\n".join(wrong)

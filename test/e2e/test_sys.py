"""$SYS/broker and $SYS/sidecar: what broker and sidecar say of themselves to clients that
subscribe."""

import asyncio
import re

import clients
from cluster import eventually, metric
from mqtt import PUBLISH, SUBACK, V5, V311
from scenario import scenario

FAST = {"sys": {"interval": "300ms"}}
BROKER = {
    "version", "uptime", "clients/connected", "clients/active", "clients/disconnected",
    "clients/inactive", "clients/expired", "clients/maximum", "clients/total",
    "subscriptions/count", "shared_subscriptions/count", "retained messages/count",
    "messages/received", "messages/sent", "messages/stored", "store/messages/count",
    "store/messages/bytes", "publish/messages/received", "publish/messages/sent",
    "publish/messages/dropped", "publish/bytes/received", "publish/bytes/sent",
    "bytes/received", "bytes/sent"}


async def values(client, prefix, n):
    """{name: text} of the next n messages."""
    return {m.topic.removeprefix(prefix): m.payload.decode() for m in await client.receive_all(n)}


async def awaited(client, topic, text):
    """Takes messages until one says so."""
    while True:
        m = await client.receive()
        if (m.topic, m.payload.decode()) == (topic, text):
            return m


async def test_the_brokers_values_come_at_once(env):
    stack = await env.stack()
    for version in (V5, V311):
        c = await env.connect(stack.ports[0], f"c-{version}", version)
        assert await c.subscribe("$SYS/broker/#", qos=2) == [2]
        seen = await c.receive_all(len(BROKER))
        assert {m.topic.removeprefix("$SYS/broker/") for m in seen} == BROKER
        assert all(m.retain and m.qos == 0 for m in seen)
        await c.disconnect()


async def test_mosquitto_sub_reads_the_brokers_state(env):
    stack = await env.stack(broker=FAST)
    other = await env.connect(stack.ports[1], "other")
    await other.publish("kept", "x", 1, retain=True)
    sub = await clients.mosquitto_sub(env, stack.ports[0], "$SYS/#", qos=0)
    got = {}

    while not {"$SYS/broker/uptime", "$SYS/broker/version",
               "$SYS/broker/retained messages/count"} <= set(got):
        topic, payload = (await sub.next())[:2]
        got[topic] = payload.decode()
    assert got["$SYS/broker/retained messages/count"] == "1"
    assert re.fullmatch(r"\d+ seconds", got["$SYS/broker/uptime"])
    assert re.fullmatch(r"sqmqos version \d+\.\d+\.\d+", got["$SYS/broker/version"])
    await sub.end()
    await other.publish("kept", "", 1, retain=True)


async def test_the_brokers_values_follow(env):
    stack = await env.stack(broker=FAST)
    watcher = await env.connect(stack.ports[0], "watcher", V311)
    all_ = await env.connect(stack.ports[1], "all")
    await all_.subscribe("#", "+/#", "+/broker/uptime")
    assert await watcher.subscribe("$SYS/broker/#", qos=1) == [1]
    first = await values(watcher, "$SYS/broker/", len(BROKER))
    assert first["clients/connected"] == "2" and first["clients/total"] == "2"
    assert first["subscriptions/count"] == "4"
    kept = await env.connect(stack.ports[1], "kept", props={"session_expiry": 3600})
    await awaited(watcher, "$SYS/broker/clients/connected", "3")
    await kept.subscribe("t", "$share/g/u", qos=1)
    await awaited(watcher, "$SYS/broker/subscriptions/count", "5")
    await kept.disconnect()
    await awaited(watcher, "$SYS/broker/clients/disconnected", "1")
    for n in range(5):
        await all_.publish("t", "x", 1, retain=n == 0)
    await awaited(watcher, "$SYS/broker/messages/stored", "6")
    await all_.receive_all(5)
    await all_.ping()
    assert not all_.inbox, "wildcards select nothing of it"
    assert await metric(stack.broker, "sqmqos_retained_messages") == 1
    late = await env.connect(stack.ports[1], "late")
    await late.subscribe("$SYS/broker/+")
    now = await values(late, "$SYS/broker/", 2)
    assert set(now) == {"version", "uptime"}
    back = await env.connect(stack.ports[1], "kept", clean=False)
    await back.receive_all(5)
    await back.disconnect(0, {"session_expiry": 0})
    await all_.publish("t", "", 1, retain=True)


@scenario(timeout_s=180)
async def test_spaces_hear_of_themselves_alone(env):
    stack = await env.stack(broker=FAST, start=False)
    for sidecar, space in zip(stack.sidecars, ("one", "two")):
        sidecar.tree["identity"]["space"] = space
    await stack.start()
    one = await env.connect(stack.ports[0], "one")
    two = await env.connect(stack.ports[1], "two")
    for n in range(3):
        await one.publish("t", "x", 1, retain=True)
    await one.publish("t", "", 1)
    await two.subscribe("$SYS/broker/#")
    got = await values(two, "$SYS/broker/", len(BROKER))
    assert got["clients/total"] == "1" and got["messages/received"] == "0"
    assert got["retained messages/count"] == "0"
    await one.subscribe("$SYS/broker/messages/received")
    assert (await one.receive()).payload == b"4"
    await one.publish("t", "", 1, retain=True)


SIDECAR = {
    "version", "uptime", "clients/connected", "sessions/count", "sessions/attached",
    "links/connected", "links/lost", "declared/count", "declared/in-place", "lanes/bytes",
    "outbox/bytes", "messages/received", "messages/sent", "publish/messages/received",
    "publish/messages/sent", "publish/messages/dropped", "publish/messages/refused",
    "bytes/received", "bytes/sent"}
OFTEN = {"broker": FAST, "sidecar": FAST}


async def test_the_sidecars_values_come_at_once_and_behind_the_suback(env):
    stack = await env.stack()
    for version in (V5, V311):
        c = await env.connect(stack.ports[0], f"c-{version}", version)
        order = []
        plain = c.on_packet

        def noted(kind, flags, r, order=order, plain=plain):
            order.append(kind)
            plain(kind, flags, r)
        c.on_packet = noted
        assert await c.subscribe("$SYS/sidecar/#", qos=2) == [2]
        seen = await c.receive_all(len(SIDECAR))
        assert order == [SUBACK] + [PUBLISH] * len(SIDECAR)
        assert {m.topic.removeprefix("$SYS/sidecar/") for m in seen} == SIDECAR
        assert all(m.retain and m.qos == 0 for m in seen)
        got = {m.topic.removeprefix("$SYS/sidecar/"): m.payload.decode() for m in seen}
        assert re.fullmatch(r"sqmqos version \d+\.\d+\.\d+", got["version"])
        assert re.fullmatch(r"\d+ seconds", got["uptime"])
        assert got["links/connected"] == "2"
        assert got["clients/connected"] == "1"
        if version == V5:  # retain handling
            assert await c.subscribe("$SYS/sidecar/uptime", options=2 << 4) == [1]
            assert await c.subscribe("$SYS/sidecar/uptime", options=1 << 4) == [1]
            assert await c.subscribe("$SYS/sidecar/links/+", options=1 << 4) == [1]
            got = await c.receive_all(2)
            assert [m.topic.rpartition("/")[2] for m in got] == ["connected", "lost"]
        await c.ping()
        assert not c.inbox
        await c.disconnect()


async def test_each_pod_hears_of_its_own_sidecar(env):
    stack = await env.stack(**OFTEN)
    here = await env.connect(stack.ports[0], "here")
    there = await env.connect(stack.ports[1], "there")
    for c in (here, there):
        await c.subscribe("#", "+/#")
        await c.subscribe("$SYS/sidecar/clients/+", "$SYS/sidecar/publish/messages/+")
        assert len(await c.receive_all(5)) == 5
    more = [await env.connect(stack.ports[0], f"more-{n}") for n in range(3)]
    await awaited(here, "$SYS/sidecar/clients/connected", "4")
    await more[0].publish("a/b", "x", 1)
    await awaited(here, "$SYS/sidecar/publish/messages/received", "1")
    assert await more[0].publish("$SYS/x", "x", 1) == 0x90
    await awaited(here, "$SYS/sidecar/publish/messages/refused", "1")
    await more[1].disconnect()
    await awaited(here, "$SYS/sidecar/clients/connected", "3")
    await there.ping()
    seen = [m for m in there.inbox if m.topic != "a/b"]
    assert all(m.topic == "$SYS/sidecar/publish/messages/sent" for m in seen), seen
    assert await metric(stack.broker, 'sqmqos_messages_received_total{qos="0"}') == 0
    assert not [m for m in here.inbox if m.topic.startswith("$SYS/broker")]


async def test_the_sidecar_speaks_while_no_broker_is_there(env):
    stack = await env.stack(**OFTEN)
    c = await env.connect(stack.ports[0], "c", V311)
    await c.subscribe("$SYS/sidecar/links/connected")
    assert (await c.receive()).payload == b"2"
    await stack.kill(stack.broker)
    await awaited(c, "$SYS/sidecar/links/connected", "0")
    await stack.restart(stack.broker)
    await awaited(c, "$SYS/sidecar/links/connected", "2")


async def test_overlapping_subscriptions_get_one_copy(env):
    stack = await env.stack(**OFTEN)
    c = await env.connect(stack.ports[0], "c")
    for n, f in enumerate(("$SYS/sidecar/uptime", "$SYS/sidecar/+", "$SYS/#")):
        await c.subscribe(f, options=2 << 4 | 8, props={"subscription_id": n + 1})
    while (m := await c.receive()).topic != "$SYS/sidecar/uptime":
        pass
    assert sorted(m.props["subscription_id"]) == [1, 2, 3], m
    assert m.retain, "as published"
    await c.unsubscribe("$SYS/sidecar/uptime", "$SYS/sidecar/+", "$SYS/#")
    c.inbox.clear()
    other = await env.connect(stack.ports[0], "other")
    await other.subscribe("$SYS/sidecar/uptime")
    first = (await other.receive()).payload
    while (await other.receive()).payload == first:
        pass
    await c.ping()
    assert not c.inbox, "nobody subscribes here"


async def test_a_client_that_comes_again_goes_on_hearing(env):
    stack = await env.stack(**OFTEN)
    c = await env.connect(stack.ports[0], "c", props={"session_expiry": 600})
    await c.subscribe("$SYS/sidecar/uptime", "$SYS/broker/uptime")
    await c.receive_all(2)
    c.abort()
    back = await env.connect(stack.ports[0], "c", clean=False, props={"session_expiry": 600})
    assert back.connack.session_present
    got = {(await back.receive()).topic for _ in range(6)}
    assert got == {"$SYS/sidecar/uptime", "$SYS/broker/uptime"}
    await back.disconnect(0, {"session_expiry": 0})


async def test_off_is_off(env):
    off = {"sys": {"interval": "0s"}}
    stack = await env.stack(broker=off, sidecar=off)
    c = await env.connect(stack.ports[0], "c")
    assert await c.subscribe("$SYS/#", qos=1) == [1]
    await c.publish("$aws/x", "x", 1)
    await c.ping()
    assert not c.inbox


async def test_a_client_that_comes_back_by_another_pod_hears_of_that_one(env):
    stack = await env.stack(**OFTEN)
    expiry = {"session_expiry": 600}
    c = await env.connect(stack.ports[0], "c", props=expiry)
    await c.subscribe("$SYS/sidecar/clients/connected")
    await awaited(c, "$SYS/sidecar/clients/connected", "1")
    await c.disconnect(0, expiry)
    others = [await env.connect(stack.ports[1], f"o-{n}") for n in range(2)]
    back = await env.connect(stack.ports[1], "c", clean=False, props=expiry)
    assert back.connack.session_present
    await awaited(back, "$SYS/sidecar/clients/connected", "3")
    await others[0].disconnect()
    m = await awaited(back, "$SYS/sidecar/clients/connected", "2")
    assert not m.retain
    await back.disconnect(0, {"session_expiry": 0})

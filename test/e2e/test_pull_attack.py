"""Clients of named queues that leave, trickle, ask for too much, or come with leases that are not
theirs: nothing is leased to nobody, and others are served."""

import asyncio
import base64
import json
import os
import socket
import ssl
import struct
import sys

import stack as parts
from api import Api
from cluster import eventually, metric
from scenario import scenario

sys.path.insert(0, os.path.dirname(__file__))
from test_strangers import (DATA, HEADERS, PREFACE, RST_STREAM, SETTINGS, Raw, ended,  # noqa: E402
                            frame, head, token_of)

CANCEL = 8
WAIT = "/v1/queues/{}/receive?wait=50s"
RULES = [{"allow": ["manage"], "identity": "token:local"}]
QUEUE = {"bindings": [{"filter": "q/#", "qos": 1}], "lease": "30s", "maxAttempts": 65535}


def as_json(what):
    return json.dumps(what).encode()


async def api_of(stack, name):
    """Of an identity of its own."""
    parts.add_token(stack.folder / name, ["default"], name)
    api = Api(stack, token=(stack.folder / name).read_text().strip(), space=None)

    async def known():
        return (await api.ask("GET", "/v1")).status == 200
    await eventually(known, "the broker has read the tokens again")
    return api


async def declare(api, name="q", **settings):
    answer = await api.ask("PUT", f"/v1/queues/{name}", as_json(QUEUE | settings))
    assert answer.status == 201, answer


async def info(api, name="q"):
    answer = await api.ask("GET", f"/v1/queues/{name}", headers={"sqmqos-space": "default"})
    assert answer.status == 200, answer
    return answer.json


async def receive(api, name="q", query="max=10&wait=5s"):
    answer = await api.ask("POST", f"/v1/queues/{name}/receive?{query}")
    assert answer.status in (200, 204), answer
    return answer.json["messages"] if answer.status == 200 else []


async def settle(api, what, name="q"):
    return await api.ask("POST", f"/v1/queues/{name}/settle", as_json(what))


def line(token, path, more=""):
    return (f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
            f"sqmqos-space: default\r\n{more}").encode()


# ---- those who leave

def reset(raw):
    raw.writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.writer.transport.abort()


async def leave_closed(raw):
    """As curl does: close_notify, and TCP's end behind it. asyncio alone would wait for the answer."""
    raw.writer.close()
    await leave_half(raw)


async def leave_half(raw):
    """TCP's own half close; TLS has said nothing."""
    raw.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)


async def leave_reset(raw):
    reset(raw)


async def leave_stream(raw):
    await raw.send(b"".join(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
                            for stream in raw.streams))


LEAVING = (("1.1", leave_closed), ("1.1", leave_half), ("1.1", leave_reset),
           ("2", leave_stream), ("2", leave_closed), ("2", leave_reset))


def context_of(stack, version):
    context = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    context.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
    return context


async def polls(stack, version, name, n):
    """So many requests that wait; those of HTTP/2 on one connection."""
    token, path = token_of(stack), WAIT.format(name)
    if version == "1.1":
        return [await Raw(stack, context_of(stack, version)).open(
            line(token, path, "content-length: 0\r\n\r\n")) for _ in range(n)]
    raw = await Raw(stack, context_of(stack, version)).open(PREFACE + frame(SETTINGS, 0, 0))
    raw.streams = [2 * i + 1 for i in range(n)]
    await raw.send(b"".join(head(stream, "POST", path, token=token,
                                 more=[("sqmqos-space", "default")]) for stream in raw.streams))
    return [raw]


@scenario(timeout_s=120)
async def test_who_has_left_is_leased_nothing(env):
    """The message goes to the one who is there, at once and for the first time."""
    stack = await env.stack(sidecars=1, broker={"acl": RULES})
    api = Api(stack)
    for i, (version, leave) in enumerate(LEAVING):
        name = f"left-{i}"
        await declare(api, name, bindings=[{"filter": f"left/{i}", "qos": 1}])
        raws = await polls(stack, version, name, 5)

        async def waiting(name=name):
            return (await info(api, name))["consumers"]["pollers"] == 5
        await eventually(waiting, f"five wait: {leave.__name__}")
        for raw in raws:
            await leave(raw)
        await asyncio.sleep(0.05)  # until it has arrived: of HTTP/1.1 nothing else shows it
        await api.publish(f"left/{i}", b"x", {"content-type": "text/plain"})
        said = await info(api, name)
        assert said["counts"]["leased"] == 0 and said["counts"]["ready"] == 1, (leave, said)
        found = await receive(api, name)
        assert [(m["text"], m["attempt"]) for m in found] == [("x", 1)], (leave, found)
        assert (await settle(api, {"ack": [found[0]["lease"]]}, name)).status == 200
        for raw in raws:
            raw.writer.close()
    env.check_leftovers = False


# ---- those who trickle

@scenario(timeout_s=120)
async def test_settlements_that_trickle(env):
    """They end in time; who has the leases settles meanwhile."""
    stack = await env.stack(sidecars=1, broker={"acl": RULES, "http": {"read-timeout": "2s"}})
    api = Api(stack)
    await declare(api)
    raws = []
    for _ in range(40):
        raws.append(await Raw(stack, context_of(stack, "1.1")).open(
            line(token_of(stack), "/v1/queues/q/settle", "content-length: 60000\r\n\r\n") + b'{"ack":["'))
    two = await Raw(stack, context_of(stack, "2")).open(PREFACE + frame(SETTINGS, 0, 0))
    await two.send(b"".join(head(stream, "POST", "/v1/queues/q/settle", end=False, token=token_of(stack))
                            for stream in range(1, 81, 2)))
    raws.append(two)

    async def trickle():
        while not all(raw.ended for raw in raws):
            for raw in raws:
                await raw.send(b"a" if raw is not two else frame(DATA, 0, 1, b"a"))
            await asyncio.sleep(0.1)
    task = asyncio.create_task(trickle())
    for n in range(10):
        await api.publish("q/a", b"%d" % n)
        found = await receive(api)
        assert [m["attempt"] for m in found] == [1], found
        assert (await settle(api, {"ack": [found[0]["lease"]]})).status == 200
    await asyncio.wait_for(task, 60)
    assert await ended(stack, "slow") >= 41
    assert (await info(api))["counts"]["leased"] == 0
    env.check_leftovers = False


# ---- those who ask for too much

@scenario(timeout_s=120)
async def test_polls_of_a_hundred_queues_beyond_the_limits(env):
    """Each above a limit has its 429; another identity is served."""
    stack = await env.stack(sidecars=1, broker={"acl": RULES, "http": {"max-identity-requests": 300}})
    api = Api(stack)
    for n in range(100):
        await declare(api, f"many-{n}", bindings=[{"filter": f"many/{n}", "qos": 1}])
    other = await api_of(stack, "other")
    raws = []
    for n in range(10):  # of 80 streams: 64 may wait of a connection, 300 of who asks
        raw = await Raw(stack, context_of(stack, "2")).open(PREFACE + frame(SETTINGS, 0, 0))
        await raw.send(b"".join(
            head(2 * i + 1, "POST", WAIT.format(f"many-{(80 * n + i) % 100}"), token=token_of(stack),
                 more=[("sqmqos-space", "default")]) for i in range(80)))
        raws.append(raw)

    def answers():
        return sum(kind == HEADERS for raw in raws for kind, *_ in raw.frames())
    await eventually(lambda: answers() == 800 - 300, "all but 300 are refused")
    assert await metric(stack.broker, "sqmqos_http_waiting") == 300
    assert all(sum(kind == HEADERS for kind, *_ in raw.frames()) >= 80 - 64 for raw in raws)
    assert b"too-many-waiting" in raws[0].got
    answer = await api.ask("POST", "/v1/queues/many-0/receive?wait=1s")
    assert (answer.status, answer.problem) == (429, "rate"), answer
    await other.publish("many/99", b"x")
    for raw in raws:
        reset(raw)
    await other.publish("many/1", b"y")
    found = await receive(other, "many-1")
    assert [m["attempt"] for m in found] == [1], found
    env.check_leftovers = False


# ---- leases that are not theirs

def forgeries(lease):
    """Each byte of it changed, and texts of other lengths."""
    raw = base64.urlsafe_b64decode(lease + "=" * (-len(lease) % 4))
    for i in range(len(raw)):
        yield base64.urlsafe_b64encode(
            raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:]).decode().rstrip("=")
    yield from (lease[:-4], lease + "AAAA", lease[::-1], "A" * len(lease), "x", "A" * 500)


async def test_leases_that_are_forged_or_not_theirs(env):
    stack = await env.stack(sidecars=1, broker={"acl": RULES})
    api, other = Api(stack), await api_of(stack, "other")
    for once in (False, True):
        name = f"q-{once}".lower()
        await declare(api, name, bindings=[{"filter": name, "qos": 1}], exactlyOnce=once)
        await declare(api, name + "-2", bindings=[{"filter": "nothing", "qos": 1}])
        await api.publish(name, b"x")
        lease = (await receive(api, name))[0]["lease"]
        for how in ("ack", "reject"):
            for forged in forgeries(lease):
                answer = await settle(api, {how: [forged]}, name)
                assert answer.status in (207, 410), (forged, answer)
            for who, queue in ((other, name), (api, name + "-2")):
                answer = await settle(who, {how: [lease]}, queue)
                assert answer.status in (207, 410), (queue, answer)
        answer = await settle(other, {"extend": [{"lease": lease, "by": "60s"}]}, name)
        assert answer.status in (207, 410), answer
        answer = await settle(other, {"ack": [lease], "publish": [{"topic": "stolen", "text": "x"}]}, name)
        assert (answer.status, answer.problem) == (409, "lease-lost"), answer
        assert (await info(api, name))["counts"]["leased"] == 1
        # Given back it is worth nothing any more, also once the message is out again.
        assert (await settle(api, {"nack": [{"lease": lease, "delay": "0s"}]}, name)).status == 200
        again = (await receive(api, name))[0]
        assert again["attempt"] == 2 and again["lease"] != lease
        assert (await settle(api, {"ack": [lease]}, name)).status in (207, 410)
        assert (await info(api, name))["counts"]["leased"] == 1
        assert (await settle(api, {"ack": [again["lease"]]}, name)).status == 200
        assert (await settle(api, {"ack": [again["lease"]]}, name)).status == 200, "it is gone"
        assert lease not in stack.log(stack.broker) and again["lease"] not in stack.log(stack.broker)

"""The door of the HTTP API: large first bodies, slow peers, an address of its own."""

import asyncio
import os
import struct
import sys

import stack as parts
from api import Api
from cluster import eventually
from scenario import scenario

sys.path.insert(0, os.path.dirname(__file__))
from test_strangers import (DATA, PREFACE, SETTINGS, Raw, ended, frame, head, served,  # noqa: E402
                            token_of)

MIB = 1 << 20


async def test_large_bodies_on_new_connections(env):
    """Twenty at a time, which together are far above what strangers may hold."""
    stack = await env.stack(sidecars=1, broker={"http": {"unauthenticated-total": "1Mi"}})
    sub = await env.connect(stack.ports[0], "sub")
    await sub.subscribe(("big/#", 1))
    for version in ("1.1", "2"):
        api = Api(stack, version)
        await asyncio.gather(*(api.publish(f"big/{n}", b"%02d" % n * (MIB // 2))
                               for n in range(20)))
        got = {(m.topic, m.payload[:2], len(m.payload))
               for m in [await sub.receive() for _ in range(20)]}
        assert got == {(f"big/{n}", b"%02d" % n, MIB) for n in range(20)}, got
    assert await ended(stack, "memory") == 0 and await ended(stack, "body") == 0


async def test_a_burst_of_new_connections_of_one_address(env):
    """As Node's fetch and a Service with translated addresses make it: none goes for another."""
    stack, good = await served(env)
    raws = [await Raw(stack).open(b"") for _ in range(300)]
    for raw in raws:
        await raw.send(b"POST /v1/publish/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " +
                       token_of(stack).encode() +
                       b"\r\nsqmqos-space: default\r\ncontent-length: 1\r\n\r\nx")
    await eventually(lambda: all(raw.got.startswith(b"HTTP/1.1 200 ") for raw in raws),
                     "each is answered", 60)
    assert await ended(stack, "address") == 0
    await good.check()


async def trickle(raw, piece):
    """A piece at a time, until the connection ends."""
    while not raw.ended:
        await raw.send(piece)
        await asyncio.sleep(0.05)


@scenario(timeout_s=120)
async def test_slow_peers_end_in_time(env):
    """A body that trickles, whoever sends it, and an answer that is not taken."""
    stack, good = await served(env, http={"read-timeout": "2s", "write-timeout": "2s"})
    token = token_of(stack)
    raw = await Raw(stack).open(
        b"POST /v1/publish/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + token.encode() +
        b"\r\ncontent-length: 100000\r\n\r\n")
    await asyncio.wait_for(trickle(raw, b"x"), 30)
    assert not raw.got and await ended(stack, "slow") == 1
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0))
    await raw.send(head(1, "POST", "/v1/publish/a", end=False, token=token))
    await asyncio.wait_for(trickle(raw, frame(DATA, 0, 1, b"x" * 64)), 30)
    assert await ended(stack, "slow") == 2
    raw = await Raw(stack).open(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
    await raw.send(head(1, path="/v1/openapi.json", token=token))
    await raw.over(30)
    assert await ended(stack, "slow") == 3
    await good.check()


async def status_of(api, path):
    process = await asyncio.create_subprocess_exec(
        *api.argv("POST", path, {}, ["-o", "/dev/null", "-w", "%{http_code}", "-d", "x"]),
        stdout=asyncio.subprocess.PIPE)
    return int((await process.communicate())[0])


async def test_the_api_at_an_address_of_its_own(env):
    port = parts.free_port()
    stack = await env.stack(sidecars=1, broker={"http": {"listen": f"127.0.0.1:{port}"}})
    sub = await env.connect(stack.ports[0], "sub")
    await sub.subscribe(("a", 1))
    for version in ("1.1", "2"):
        api = Api(stack, version)
        assert await status_of(api, "/v1/publish/a") == 404, "sidecars alone are served there"
        api.url = f"https://127.0.0.1:{port}"
        await api.publish("a", version.encode())
        assert (await sub.receive()).payload == version.encode()
        answer = await api.ask("GET", "/v1/links/00000000000000aa/deliveries")
        assert answer.status == 404, answer

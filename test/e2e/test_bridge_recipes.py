"""The recipes of docs/bridges.md: each block that starts with ```sh run rabbitmq or ```sh run sqs, in the order of
the page, beside two ./dev run, and a RabbitMQ or an ElasticMQ behind a proxy that verifies signatures."""

import asyncio
import json
import os
import re
import shlex

import clients
import peers
import rabbit_node
import sqs_tools
import stack as parts
from devrun import dev_run, free_ports
from rabbit import Rabbit
from scenario import scenario
from sqs_bridge import sqs

PAGE = parts.ROOT / "docs" / "bridges.md"


def blocks(kind):
    return re.findall(rf"^```sh run {kind}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def program(folder, name, text):
    """A program for the blocks, before those of the machine."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


async def run_blocks(env, kind, peer_port, number):
    """Runs them with the ports that this test has for those of the page."""
    first = free_ports(4)
    # One after the other: both would build.
    runs = []
    for name, port in (("data", first), ("other", first + 2)):
        runs.append(await dev_run(env, "--port", port, "--data", env.folder / name))
        await runs[-1].ready()
    ports = {str(1883 + i): str(first + i) for i in range(4)} | {str(peer_port): str(number)}
    environment = os.environ | {"DATA": str(env.folder / "data"), "OTHER": str(env.folder / "other"),
                                "PATH": f"{env.folder / 'bin'}:{os.environ['PATH']}"}
    found = blocks(kind)
    assert len(found) >= 2, "no runnable block found"
    for i, block in enumerate(found):
        script = re.sub(rf"\b({'|'.join(ports)})\b", lambda m: ports[m[1]], block)
        path = env.folder / f"{kind}-{i}.sh"
        path.write_text("set -euo pipefail\n" + script)
        await clients.run(env, "bash", path, timeout_s=90, environment=environment)
    for run in runs:
        assert await run.end() == 0


@scenario(timeout_s=400)
async def test_recipes_with_rabbitmq(env):
    rabbit = Rabbit(env.folder)
    program(env.folder / "bin", "python3", f"exec {shlex.quote(peers.venv())}/bin/python3 \"$@\"")
    try:
        await asyncio.to_thread(rabbit.start)
        node = rabbit.nodes[0]
        own = {k: v for k, v in node.environment().items() if k.startswith(("RABBITMQ_", "ERL_")) or k == "HOME"}
        program(env.folder / "bin", "rabbitmqctl", "".join(f"export {k}={shlex.quote(v)}\n" for k, v in own.items()) +
                f"exec {rabbit_node.CTL} -n {node.name}@localhost \"$@\"")
        await run_blocks(env, "rabbitmq", 5672, node.amqp)
    finally:
        await asyncio.to_thread(rabbit.close)


@scenario(timeout_s=400)
async def test_recipes_with_sqs(env):
    s = await sqs(env)
    program(env.folder / "bin", "python3", f"exec {shlex.quote(sqs_tools.folder())}/bin/python3 \"$@\"")
    await run_blocks(env, "sqs", 9324, s.proxy.port)
    assert s.proxy.refused == []


# Which permission each call wants: that of a batch is that of the single one.
async def test_the_policy_of_the_recipe_is_what_the_bridge_calls(_env):
    text = PAGE.read_text()
    policy = next(json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S) if '"Statement"' in block)
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    source = "".join(f.read_text() for f in sorted((parts.ROOT / "broker" / "bridge" / "sqs").glob("*.c")))
    called = set(re.findall(r"\"(?:AmazonSQS\.)?((?:Get|Send|Receive|Delete|Change)[A-Z]\w+)\"", source))
    assert allowed == {f"sqs:{c.removesuffix('Batch')}" for c in called}, called

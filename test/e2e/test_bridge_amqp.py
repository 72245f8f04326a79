"""Bridges to RabbitMQ (docs/bridges.md, "amqp")."""

import asyncio
import os
import subprocess

import stack as parts
from rabbit import Rabbit
from scenario import scenario


async def rabbit_of(env, **options):
    """A RabbitMQ, which the scenario leaves by 'with'."""
    return await asyncio.to_thread(Rabbit(env.folder / "peer", **options).start)


@scenario(timeout_s=240)
async def test_the_contract_of_bridges_holds_on_rabbitmq(env):
    """The suite of test/contract/test_bridge.c, on classic and on quorum queues."""
    rabbit = await rabbit_of(env)
    try:
        user, password = rabbit.credentials()
        address = f"{rabbit.nodes[0].amqp} {user} {password} {rabbit.control()}"
        suite = parts.ROOT / "build" / env.settings.build / "test" / "test_bridge"
        done = await asyncio.to_thread(
            subprocess.run, [suite, "-j1"], env=os.environ | {"SQMQOS_TEST_AMQP": address},
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "with amqp, classic queues" in done.stderr and "with amqp, quorum queues" in done.stderr
    finally:
        rabbit.close()

"""A broker with its durable engine that is killed at each point of a QoS 2
handshake and started again, while durable and transient sessions publish to a
durable one. The ledger says what was lost, doubled or reordered."""

from cluster import eventually
from flow import Traffic
from scenario import scenario

UP = ["broker-publish-admitted", "broker-publish-committed",
      "broker-release-admitted", "broker-release-committed"]
DOWN = ["broker-announce", "broker-announce-committed", "broker-deliver-sent",
        "broker-settlement-admitted", "broker-settlement-committed"]


async def dies_at(env, points):
    stack = await env.stack()
    traffic = await Traffic().start(env, stack)
    await traffic.more()
    for point in points:
        await stack.kill(stack.broker)
        stack.broker.environment["SQMQOS_FAULT"] = f"{point}:20"
        stack.broker.start()
        await eventually(lambda: not stack.broker.running(), f"the broker dies at {point}", 60)
        assert f"fault point {point}" in stack.log(stack.broker)
        del stack.broker.environment["SQMQOS_FAULT"]
        await stack.restart(stack.broker)
        await traffic.more()
    await traffic.finish()


@scenario(timeout_s=300)
async def test_the_broker_dies_at_each_point_of_a_publish(env):
    await dies_at(env, UP)


@scenario(timeout_s=300)
async def test_the_broker_dies_at_each_point_of_a_delivery(env):
    await dies_at(env, DOWN)

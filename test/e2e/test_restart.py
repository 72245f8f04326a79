"""A broker with its durable engine that is killed at each point of a QoS 2
handshake and started again, while durable and transient sessions publish to a
durable one. The ledger says what was lost, doubled or reordered."""

import asyncio

from cluster import eventually
from flow import Ledger, Publisher, keep_connected
from scenario import scenario

DURABLE = {"session_expiry": 600}
UP = ["broker-publish-admitted", "broker-publish-committed",
      "broker-release-admitted", "broker-release-committed"]
DOWN = ["broker-announce", "broker-announce-committed", "broker-deliver-sent",
        "broker-settlement-admitted", "broker-settlement-committed"]


class Traffic:
    """Publishers at QoS 1 and 2 on sidecar 1; a durable subscriber on sidecar 2."""

    async def start(self, env, stack):
        a, b = stack.ports
        self.ledger = Ledger()
        self.subscriber = env.client("subscriber")
        self.subscriber.on_message = self.ledger.take
        await self.subscriber.connect(b, clean=True, props=DURABLE)
        await self.subscriber.subscribe(("flow/#", 2))
        env.spawn(keep_connected(self.subscriber, b, DURABLE))
        self.publishers = []
        for kind, props in (("durable", DURABLE), ("transient", None)):
            for qos in (1, 2):
                client = env.client(f"{kind}-{qos}")
                await client.connect(a, clean=True, props=props)
                self.publishers.append(
                    Publisher(client, f"flow/{kind}-{qos}", qos, self.ledger, 10, 100))
        self.tasks = [env.spawn(p.run()) for p in self.publishers]
        return self

    async def more(self, n=50):
        goals = {p: len(self.ledger.acked[p.client.client_id]) + n for p in self.publishers}
        await eventually(lambda: all(len(self.ledger.acked[p.client.client_id]) >= goal
                                     for p, goal in goals.items()),
                         f"{n} more acknowledgements of each publisher", 60)

    async def finish(self):
        for p in self.publishers:
            p.stop()
        await asyncio.wait_for(asyncio.gather(*self.tasks), 60)
        await eventually(self.ledger.complete, "all that was acknowledged has arrived", 60)
        problems = self.ledger.problems(duplicates_allowed=True)
        for p in self.publishers:
            name = p.client.client_id
            if p.refused:
                problems.append(f"{name}: refused {p.refused[:3]}")
            if not p.client.connected:
                problems.append(f"{name}: disconnected")
            if p.qos == 2:
                one = Ledger(got={name: self.ledger.got[name]})
                one.acked[name] = set()
                problems += one.problems(duplicates_allowed=False)
        assert problems == [], "\n".join(problems)


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

"""Queues that nobody takes from, and dead letters that nobody takes: publishers go on,
and every message is in a queue, a letter or a counter."""

import asyncio
import re

import mqtt
from annotations import AnnotationsFile
from cluster import eventually, metric, metrics

BOUND = 50
LETTERS = 40  # dead letters of a space: 20 of what is not QoS 3
DURABLE = {"session_expiry": 3600}
QOS_3 = {"user": [("sqmqos-qos", "3")]}


async def begin(env, **broker):
    """A workload whose app is away, and a publisher beside it."""
    file = AnnotationsFile(env.folder / "pod").write("- {filter: jobs, group: crew}")
    limits = {"queue": {"max-messages": BOUND, "lonely-after": "1s"},
              "dead-letters": {"max-messages": LETTERS}}
    stack = await env.stack(annotations=[file.path, None], broker=limits | broker)
    return stack, await env.connect(stack.ports[1], "publisher")


async def publish(client, numbers):
    answers = [client.publish_nowait("jobs", b"%d" % n, 1) for n in numbers]
    return set(await asyncio.wait_for(asyncio.gather(*answers), 60))


async def by_queue(broker, name):
    """{first part of the queue's name: value}."""
    rows = [(re.fullmatch(name + r'\{queue="(\w[^~]*)~.*"\}', key), value)
            for key, value in (await metrics(broker)).items()]
    return {m[1]: value for m, value in rows if m}


async def depths_become(broker, **wanted):
    async def are():
        depth = await by_queue(broker, "sqmqos_queue_depth")
        return all(depth.get(q.replace("_", "-"), 0) == n for q, n in wanted.items())
    await eventually(are, f"the depths are {wanted}")


def reason(m):
    return dict(m.props["user"])["sqmqos-dead-reason"]


async def take(env, stack, numbers_queue, numbers_letters):
    """What is left arrives in its order, the letters by their reason."""
    app = await env.connect(stack.ports[0], "app")
    assert [int(m.payload) for m in await app.receive_all(len(numbers_queue))] == \
        list(numbers_queue)
    undertaker = await env.connect(stack.ports[1], "undertaker")
    assert await undertaker.subscribe("$dead/#", qos=1) == [1]
    letters = await undertaker.receive_all(len(numbers_letters))
    assert [int(m.payload) for m in letters] == list(numbers_letters)
    assert {reason(m) for m in letters} == {"abandoned"}
    for client in (app, undertaker):
        await client.ping()
        assert not client.inbox


async def test_an_abandoned_queue_takes_three_times_its_bound_and_qos_3_goes_on(env):
    stack, publisher = await begin(env)
    broker = stack.broker
    other = await env.connect(stack.ports[1], "other", props=DURABLE)
    assert await other.subscribe("other", qos=2) == [2]

    assert await publish(publisher, range(3 * BOUND)) == {0}
    await depths_become(broker, declared=BOUND, dead_others=LETTERS / 2)
    dropped = await metric(broker, "sqmqos_dead_letters_dropped_total")
    assert await metric(broker, "sqmqos_messages_refused_total") == 0
    moved = await metric(broker, 'sqmqos_messages_dropped_total{reason="abandoned"}')
    assert moved == await metric(broker, "sqmqos_dead_letters_total") == 2 * BOUND
    assert dropped == moved - LETTERS / 2

    for n in range(2 * LETTERS):
        assert await publisher.publish("other", b"%d" % n, 2, props=QOS_3) == 0
    assert len(await other.receive_all(2 * LETTERS)) == 2 * LETTERS
    assert await publisher.publish("jobs", b"", 2, props=QOS_3) == 0x97

    async def lonely():
        return await metric(broker, "sqmqos_queues_lonely") == 1
    await eventually(lonely, "the queue is counted as one that nobody takes from")
    assert (await by_queue(broker, "sqmqos_queue_members"))["declared"] == 0
    assert re.search(r"queue declared~\S+~crew: for \d+ s nobody", stack.log(broker))
    assert "oldest dead letters left" in stack.log(broker)

    await take(env, stack, range(2 * BOUND, 3 * BOUND), range(int(dropped), 2 * BOUND))
    assert (await metric(broker, "sqmqos_queues_lonely")) <= 1
    await depths_become(broker, declared=0, dead_others=0)
    await other.disconnect(0, {"session_expiry": 0})


async def test_an_abandoned_queue_over_a_kill_of_the_broker(env):
    """While the app may be on its way back, publishers are refused."""
    stack, publisher = await begin(env, session={"recovery-time": "1s"})
    assert await publish(publisher, range(BOUND + 10)) == {0}
    await depths_become(stack.broker, declared=BOUND, dead_others=10)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await stack.linked()
    await depths_become(stack.broker, declared=BOUND, dead_others=10)

    async def taken():
        return await publisher.publish("jobs", b"%d" % (BOUND + 10), 1) == 0
    await eventually(taken, "nobody has come back")
    await depths_become(stack.broker, declared=BOUND, dead_others=11)
    await take(env, stack, range(11, BOUND + 11), range(11))


async def test_a_full_queue_with_a_consumer_refuses(env):
    stack, publisher = await begin(env)
    app = env.client("app", ack="none")
    await app.connect(stack.ports[0], props={"receive_maximum": 1})
    assert await publisher.publish("jobs", b"0", 1) == 0
    await app.receive()
    assert 0x97 in await publish(publisher, range(1, 2 * BOUND))
    assert await metric(stack.broker, "sqmqos_dead_letters_total") == 0
    app.abort()
    env.check_leftovers = False  # what nobody has taken


async def test_an_old_app_publishes_to_an_abandoned_queue(env):
    stack, _ = await begin(env)
    old = await env.connect(stack.ports[1], "old", mqtt.V311)
    await publish(old, range(2 * BOUND))
    await depths_become(stack.broker, declared=BOUND, dead_others=LETTERS / 2)
    await take(env, stack, range(BOUND, 2 * BOUND), range(BOUND - LETTERS // 2, BOUND))

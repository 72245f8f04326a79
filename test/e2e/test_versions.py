"""Programs of older commits beside those of today: a rollout meets both orders. ./dev test has
built them: in $TEST_OLD_PROGRAMS those from before the link had versions, in
$TEST_PREVIOUS_PROGRAMS newer ones, which have the link and the store of today."""

import os
import pathlib

import mqtt
import stack as parts
from annotations import AnnotationsFile
from flow import Traffic
from scenario import Skip, scenario

GROUP = "crew/#"
OLD, PREVIOUS = "TEST_OLD_PROGRAMS", "TEST_PREVIOUS_PROGRAMS"
DURABLE = {"session_expiry": 600}


def programs_of(variable):
    folder = os.environ.get(variable)
    if not folder:
        raise Skip(f"{variable} is not set: ./dev test builds these programs")
    return pathlib.Path(folder)


def use(program, folder):
    program.argv[0] = str(folder / f"sqmqos-{program.kind}")
    parts.fit_tokens(program)


async def mixed(env, broker_old=False, sidecars_old=(False, False), programs=OLD):
    """A stack of old and new programs; the first sidecar has a declared subscription."""
    old = programs_of(programs)
    file = AnnotationsFile(env.folder / "pod").write(GROUP)
    stack = await env.stack(start=False, annotations=[file.path, None],
                            broker={"log": {"level": "debug"}})
    for program, is_old in zip(stack.programs, (broker_old, *sidecars_old)):
        if is_old:
            use(program, old)
    return await stack.start()


async def declared_flows(stack, worker, publisher, n):
    """What is published to the group arrives at the worker, in order."""
    for i in range(n):
        assert await publisher.publish("crew/job", b"%d" % i, 1) == 0
    for i in range(n):
        assert (await worker.receive()).payload == b"%d" % i


async def flows(env, stack):
    worker = await env.connect(stack.ports[0], "worker")
    publisher = await env.connect(stack.ports[1], "publisher")
    traffic = await Traffic().start(env, stack)
    await traffic.more()
    await declared_flows(stack, worker, publisher, 20)
    return traffic, worker, publisher


def versions(stack):
    """Versions of the links that a new broker has opened."""
    return {line.split("version ")[1][0] for line in stack.log(stack.broker).splitlines()
            if " open, version " in line}


@scenario(timeout_s=240)
async def test_old_sidecars_at_a_new_broker(env):
    stack = await mixed(env, sidecars_old=(True, True))
    traffic, *_ = await flows(env, stack)
    await traffic.finish()
    assert versions(stack) == {"1"}


@scenario(timeout_s=240)
async def test_new_sidecars_at_an_old_broker(env):
    stack = await mixed(env, broker_old=True)
    traffic, *_ = await flows(env, stack)
    await traffic.finish()


@scenario(timeout_s=240)
async def test_an_old_and_a_new_sidecar_at_a_new_broker(env):
    stack = await mixed(env, sidecars_old=(True, False))
    traffic, *_ = await flows(env, stack)
    await traffic.finish()
    assert versions(stack) == {"1", "2"}


@scenario(timeout_s=240)
async def test_an_old_broker_is_replaced_under_old_and_new_sidecars(env):
    stack = await mixed(env, broker_old=True, sidecars_old=(True, False))
    traffic, worker, publisher = await flows(env, stack)
    await stack.end(stack.broker)
    use(stack.broker, stack.build)
    await stack.restart(stack.broker)
    await traffic.more()
    await declared_flows(stack, worker, publisher, 20)
    await traffic.finish()
    assert versions(stack) == {"1", "2"}
    assert worker.connected and publisher.connected


async def refused(app, publisher, payload):
    """The app refuses a message, which so becomes a dead letter."""
    assert await publisher.publish("t", payload, 1) == 0
    app.send_ack(mqtt.PUBACK, (await app.receive()).packet_id, 0x83)


@scenario(timeout_s=240)
async def test_who_took_dead_letters_of_an_old_broker_takes_both_kinds_of_a_new_one(env):
    """An old store has one queue of them."""
    stack = await mixed(env, broker_old=True)
    app = await env.connect(stack.ports[0], "app", ack="none", props=DURABLE)
    undertaker = await env.connect(stack.ports[1], "undertaker", clean=False, props=DURABLE)
    publisher = await env.connect(stack.ports[1], "publisher")
    assert await app.subscribe("t", qos=1) == [1]
    assert await undertaker.subscribe("$dead/#", qos=1) == [1]
    await undertaker.disconnect(0)
    await refused(app, publisher, b"of the old one")
    await app.ping()
    await stack.end(stack.broker)
    use(stack.broker, stack.build)
    for _ in range(2):  # the second start has what the first has made
        await stack.restart(stack.broker)
        await stack.linked()
        await refused(app, publisher, b"of the new one")
        await app.ping()
        await stack.end(stack.broker)
    await stack.restart(stack.broker)
    await undertaker.connect(stack.ports[1], clean=False, props=DURABLE)
    letters = [m.payload for m in await undertaker.receive_all(3)]
    assert sorted(letters) == [b"of the new one", b"of the new one", b"of the old one"]
    for client in (app, undertaker):
        await client.disconnect(0, {"session_expiry": 0})


@scenario(timeout_s=240)
async def test_previous_sidecars_at_a_new_broker(env):
    stack = await mixed(env, sidecars_old=(True, True), programs=PREVIOUS)
    traffic, *_ = await flows(env, stack)
    await traffic.finish()
    assert versions(stack) == {"2"}


@scenario(timeout_s=240)
async def test_a_previous_and_a_new_sidecar_at_a_previous_broker_that_is_replaced(env):
    """What the store of the previous one has reaches its clients by the new one."""
    stack = await mixed(env, broker_old=True, sidecars_old=(True, False), programs=PREVIOUS)
    traffic, worker, publisher = await flows(env, stack)
    absent = await env.connect(stack.ports[1], "absent", ack="none", clean=False, props=DURABLE)
    assert await absent.subscribe("t", qos=2) == [2]
    assert await publisher.publish("t", b"open", 1) == 0
    assert (await absent.receive()).payload == b"open"
    absent.abort()
    later = {"user": [("sqmqos-delay", "8")]}
    assert await publisher.publish("t", b"later", 1, props=later) == 0
    for i in range(20):
        assert await publisher.publish("t", b"%d" % i, 1 + i % 2) == 0
    assert await publisher.publish("kept", b"retained", 1, retain=True) == 0
    await stack.end(stack.broker)
    use(stack.broker, stack.build)
    await stack.restart(stack.broker)
    await stack.linked()
    await absent.connect(stack.ports[1], clean=False, props=DURABLE)
    waited = [m.payload for m in await absent.receive_all(21)]
    assert waited == [b"open", *(b"%d" % i for i in range(20))]
    assert (await absent.receive(30)).payload == b"later"
    assert await worker.subscribe("kept") == [1]
    assert (await worker.receive()).payload == b"retained"
    assert await worker.unsubscribe("kept") == [0]
    assert await publisher.publish("kept", b"", 1, retain=True) == 0
    await traffic.more()
    await declared_flows(stack, worker, publisher, 20)
    await traffic.finish()
    assert versions(stack) == {"2"}
    await absent.disconnect(0, {"session_expiry": 0})

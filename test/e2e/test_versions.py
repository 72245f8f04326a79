"""Programs from before the link had versions beside those of today: a rollout
meets both orders. $SQMQOS_OLD_PROGRAMS is where ./dev test has built the old ones."""

import os
import pathlib

from annotations import AnnotationsFile
from flow import Traffic
from scenario import Skip, scenario

GROUP = "crew/#"


def old_programs():
    folder = os.environ.get("SQMQOS_OLD_PROGRAMS")
    if not folder:
        raise Skip("SQMQOS_OLD_PROGRAMS is not set: ./dev test builds the old programs")
    return pathlib.Path(folder)


def use(program, folder):
    program.argv[0] = str(folder / f"sqmqos-{program.kind}")


async def mixed(env, broker_old=False, sidecars_old=(False, False)):
    """A stack of old and new programs; the first sidecar has a declared subscription."""
    old = old_programs()
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

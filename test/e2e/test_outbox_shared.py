"""Disk outboxes of many pods in one place, as on one claim of a Deployment."""

import asyncio
import os

from cluster import eventually, metric
from flow import Ledger, Publisher
from scenario import scenario

TAKEN_UP = "sqmqos_outbox_taken_up_total"


async def shared(env, sidecars):
    place = env.folder / "claim"
    place.mkdir()
    stack = await env.stack(sidecars=sidecars, start=False, sidecar={"outbox": {
        "mode": "disk", "size": "16Mi", "dir": str(place), "shared": True, "take-up": "1s"}})
    await stack.start()
    for s in stack.sidecars:
        stack.descriptors[s.name] += 40  # segments of the journals, as they grow
    return stack, place / "demo"


async def send(env, port, name, qos, count, ledger):
    client = await env.connect(port, name)
    publisher = Publisher(client, f"flow/{name}", qos, ledger, window=100, size=200)
    await asyncio.wait_for(publisher.run(count), 60)
    assert publisher.refused == []


async def taken_up(sidecars):
    return sum([await metric(s, TAKEN_UP) for s in sidecars])


async def folders(place, want):
    await eventually(lambda: sorted(p.name for p in place.iterdir()) == want,
                     f"the folders are {want}", 30)


@scenario(timeout_s=180)
async def test_what_a_pod_left_behind_is_delivered_once_by_another(env):
    env.check_leftovers = False
    stack, place = await shared(env, 3)
    lost, *others = stack.sidecars
    await folders(place, ["pod-1", "pod-2", "pod-3"])
    ledger = Ledger()
    subscriber = await env.connect(stack.ports[2], "subscriber", clean=False,
                                   props={"session_expiry": 600})
    subscriber.on_message = ledger.take
    await subscriber.subscribe(("flow/#", 2))
    await stack.kill(stack.broker)
    for qos in (1, 2):
        await send(env, stack.ports[0], f"p-{qos}", qos, 500, ledger)
    await stack.kill(lost)  # with its node
    stack.broker.start()
    await stack.ready(stack.broker)

    async def one_has_it():
        return await taken_up(others) == 1
    await eventually(one_has_it, "one of the others has taken the folder up", 30)
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    assert ledger.problems(duplicates_allowed=False) == []
    await folders(place, ["pod-2", "pod-3"])
    assert await taken_up(others) == 1


@scenario(timeout_s=180)
async def test_a_pod_whose_folder_is_being_emptied_takes_another_one(env):
    env.check_leftovers = False
    stack, place = await shared(env, 2)
    first, second = stack.sidecars
    ledger = Ledger()
    subscriber = await env.connect(stack.ports[1], "subscriber", clean=False,
                                   props={"session_expiry": 600})
    subscriber.on_message = ledger.take
    await subscriber.subscribe(("flow/#", 2))
    await stack.kill(stack.broker)
    await send(env, stack.ports[0], "before", 2, 200, ledger)
    await stack.kill(first)

    async def held():
        return await taken_up([second]) == 1
    await eventually(held, "the folder has been taken up", 30)
    first.start()  # a pod of the same name, as of a StatefulSet; brokers are still away
    await eventually(lambda: first.get("/livez")[0] == 200, "it listens")
    await send(env, stack.ports[0], "after", 2, 200, ledger)
    assert sorted(p.name for p in place.iterdir()) == ["pod-1", "pod-1.1", "pod-2"]
    stack.broker.start()
    await stack.ready(stack.broker)
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    assert ledger.problems(duplicates_allowed=False) == []
    await folders(place, ["pod-1.1", "pod-2"])


@scenario(timeout_s=120)
async def test_nothing_is_left_in_the_place_by_pods_that_ended(env):
    env.check_leftovers = False
    stack, place = await shared(env, 2)
    ledger = Ledger()
    subscriber = await env.connect(stack.ports[1], "subscriber")
    subscriber.on_message = ledger.take
    await subscriber.subscribe(("flow/#", 2))
    await send(env, stack.ports[0], "p", 2, 100, ledger)
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    for s in stack.sidecars:
        await stack.end(s)
    await folders(place, [])


@scenario(timeout_s=120)
async def test_a_folder_that_does_not_verify_is_said_once_and_left_alone(env):
    env.check_leftovers = False
    stack, place = await shared(env, 1)
    broken = place / "pod-9"
    broken.mkdir()
    (broken / "id").write_text("no id\n")
    (place / "pod-7").mkdir()
    os.mkfifo(place / "pod-7" / "id")  # who opens it must not wait for a writer
    sidecar = stack.sidecars[0]
    for name in ("pod-7", "pod-9"):
        await eventually(lambda: f"{name}/id: not an id" in stack.log(sidecar), "it is said", 30)
    (place / "pod-8").mkdir()  # empty: nothing was ever in it
    await folders(place, ["pod-1", "pod-7", "pod-9"])
    assert stack.log(sidecar).count("not an id") == 2

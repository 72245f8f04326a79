"""A sidecar at its pod's end: the kubelet sends SIGTERM when the apps have gone.  It sends
what it has, leaves its sessions, ends with 0, and waits for nothing else."""

import asyncio

from annotations import AnnotationsDir
from cluster import eventually, metric


async def pod(env, timeout):
    """A stack of one sidecar with a declared subscription, which may wait so long."""
    volume = AnnotationsDir(env.folder / "pod").write(subscribe="a/#")
    stack = await env.stack(start=False, sidecars=1, sidecar={
        "annotations": {"dir": str(volume.path)}, "shutdown": {"timeout": timeout}})
    await stack.start()

    async def there():
        return await metric(stack.sidecars[0],
                            'sqmqos_declared_subscriptions{state="in-place"}') == 1
    await eventually(there, "the declared subscription is in place")
    return stack


async def without_brokers(env, stack):
    env.check_leftovers = False
    await stack.kill(stack.broker)

    async def no_links():
        return await metric(stack.sidecars[0], "sqmqos_links") == 0
    await eventually(no_links, "the links are gone")


async def test_with_nothing_to_send_it_ends(env):
    stack = await pod(env, "10m")
    client = await env.connect(stack.ports[0], "app")
    await client.subscribe("x", "b/#")
    assert await client.publish("b/1", b"", 1) == 0
    await client.receive()
    await client.disconnect()
    await stack.end(stack.sidecars[0])
    assert not stack.exits

    async def none():
        return await metric(stack.broker, "sqmqos_sessions_attached") == 0
    await eventually(none, "the broker was told")
    await stack.restart(stack.sidecars[0])


async def test_with_brokers_away_and_nothing_to_send_it_ends(env):
    stack = await pod(env, "10m")
    sidecar = stack.sidecars[0]
    client = await env.connect(stack.ports[0], "app")
    await client.subscribe("b/#", qos=0)  # nothing to acknowledge
    assert await client.publish("b/1", b"", 1) == 0
    await client.receive()
    await without_brokers(env, stack)
    await stack.end(sidecar)  # its app, which is still there, is told, too
    assert not stack.exits
    sidecar.start()  # and one that never had a broker
    await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
    client = await env.connect(stack.ports[0], "app")
    await stack.end(sidecar)
    assert not stack.exits
    assert "not everything could be sent" not in stack.log(sidecar)


async def test_with_brokers_away_it_waits_no_longer_than_it_may(env):
    stack = await pod(env, "500ms")
    sidecar = stack.sidecars[0]
    client = await env.connect(stack.ports[0], "app")
    await without_brokers(env, stack)
    pending = client.publish_nowait("a/1", b"x", 1)
    await client.ping()
    await stack.end(sidecar)
    assert not stack.exits
    assert "not everything could be sent" in stack.log(sidecar)
    pending.cancel()


async def test_what_was_published_goes_out_when_a_broker_comes(env):
    stack = await pod(env, "10m")
    sidecar = stack.sidecars[0]
    client = await env.connect(stack.ports[0], "app", props={"session_expiry": 600})
    await without_brokers(env, stack)
    pending = [client.publish_nowait("b/%d" % n, b"%d" % n, qos) for n, qos in enumerate((0, 1, 2))]
    await client.ping()
    ending = asyncio.create_task(stack.end(sidecar))
    await eventually(lambda: "stopping" in stack.log(sidecar), "it was told to end")
    assert not ending.done()
    stack.broker.start()
    await ending
    assert not stack.exits
    assert "not everything could be sent" not in stack.log(sidecar)

    async def taken():
        return await metric(stack.broker, 'sqmqos_messages_received_total{qos="1"}') == 1
    await eventually(taken, "the broker has it")
    for task in pending[1:]:
        task.cancel()

"""What an app had and did not settle when it left: the next one gets it, and only a
connection that broke counts as an attempt."""

from annotations import AnnotationsFile
from cluster import eventually, metric

ONE_ATTEMPT = "- filter: jobs\n  max-attempts: 1\n"
GIVEN_UP = 'sqmqos_messages_dropped_total{reason="attempts"}'
UNFINISHED = 'sqmqos_messages_dropped_total{reason="unfinished"}'


async def one_job(env, qos=1, **more):
    """A stack, and an app that has one job in its hands and acknowledges nothing."""
    file = AnnotationsFile(env.folder / "pod").write(
        ONE_ATTEMPT + (f"  qos: {qos}\n" if qos != 1 else ""))
    stack = await env.stack(annotations=[file.path, None], **more)
    publisher = await env.connect(stack.ports[1], "publisher")
    app = await env.connect(stack.ports[0], "app", ack="none")
    await publisher.publish("jobs", "1", qos)
    assert (await app.receive()).payload == b"1"
    return stack, app, publisher


async def gets_it_again(env, stack, qos=1):
    app = await env.connect(stack.ports[0], "app")
    m = await app.receive()
    assert m.payload == b"1"
    assert await metric(stack.broker, GIVEN_UP) == 0


async def test_a_disconnect_counts_no_attempt(env):
    stack, app, _ = await one_job(env)
    await app.disconnect()
    await gets_it_again(env, stack)


async def test_a_disconnect_with_will_counts_no_attempt(env):
    stack, app, _ = await one_job(env)
    await app.disconnect(reason=4)
    await gets_it_again(env, stack)


async def test_a_connection_that_breaks_counts_one(env):
    stack, app, publisher = await one_job(env)
    letters = await env.connect(stack.ports[1], "letters")
    await letters.subscribe(("$dead/#", 1))
    app.abort()
    assert (await letters.receive()).topic == "$dead/jobs"
    assert await metric(stack.broker, GIVEN_UP) == 1


async def test_the_end_of_a_sidecar_counts_no_attempt(env):
    stack, app, _ = await one_job(env)
    await stack.end(stack.sidecars[0])
    await stack.restart(stack.sidecars[0])
    await gets_it_again(env, stack)


async def test_a_killed_sidecar_counts_no_attempt(env):
    stack, app, _ = await one_job(env)
    await stack.kill(stack.sidecars[0])
    await stack.restart(stack.sidecars[0])
    await gets_it_again(env, stack)


async def test_a_killed_broker_counts_no_attempt(env):
    stack, app, _ = await one_job(env)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await app.disconnect()
    await gets_it_again(env, stack)


async def test_an_unfinished_qos_2_delivery_of_an_app_that_leaves_is_a_dead_letter(env):
    stack, app, _ = await one_job(env, qos=2)
    letters = await env.connect(stack.ports[1], "letters")
    await letters.subscribe(("$dead/#", 2))
    await app.disconnect()
    m = await letters.receive()
    assert m.topic == "$dead/jobs" and ("sqmqos-dead-reason", "unfinished") in m.props["user"]
    await eventually(lambda: metric(stack.broker, UNFINISHED), "it is counted")

"""Many sessions over few connections, and a stuck one among them."""

import asyncio
import resource

from cluster import eventually, metric, metrics, tcp_connections
from scenario import scenario

MANY = 1000


@scenario(timeout_s=240, alone=True)
async def test_a_thousand_sessions_share_two_connections(env):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    stack = await env.stack()
    a, b = stack.ports
    subscribers = []
    for start in range(0, MANY, 50):
        subscribers += await asyncio.gather(
            *[subscribed(env, b, n) for n in range(start, start + 50)])
    assert await metric(stack.sidecars[1], "sqmqos_clients") == MANY
    await eventually(lambda: attached(stack, MANY), "all sessions are attached")
    for sidecar in stack.sidecars:
        assert tcp_connections(sidecar, stack.broker_port) == 2, sidecar.name
    publisher = await env.connect(a, "publisher")
    for start in range(0, MANY, 50):
        await asyncio.gather(*[publisher.publish(f"to/{n}", b"%d" % n, 1 + n % 2)
                               for n in range(start, start + 50)])
    await publisher.publish("all", b"everybody", 1)
    for n, subscriber in enumerate(subscribers):
        own, common = await subscriber.receive_all(2)
        assert (own.payload, common.payload) == (b"%d" % n, b"everybody")
    for sidecar in stack.sidecars:
        assert tcp_connections(sidecar, stack.broker_port) == 2, sidecar.name


async def subscribed(env, port, n):
    client = await env.connect(port, f"many-{n}", 4 + n % 2)
    await client.subscribe(f"to/{n}", "all", qos=2)
    return client


async def attached(stack, n):
    return await metric(stack.broker, "sqmqos_sessions_attached") >= n


@scenario(timeout_s=180)
async def test_a_stalled_subscriber_stops_alone(env):
    limit = 500
    stack = await env.stack(broker={"queue": {"max-messages": limit}})
    a, b = stack.ports
    count, size = 4 * limit, 4000
    stalled = await env.connect(b, "stalled", ack="none")
    others = [await env.connect(b, f"other{n}", 4 + n % 2) for n in range(3)]
    for client in (stalled, *others):
        await client.subscribe(("t", 1))
    stalled.stall()
    publisher = await env.connect(a, "publisher")
    answers = []
    for start in range(0, count, 50):
        answers += await asyncio.gather(*[publisher.publish("t", b"%d " % n + b"." * size, 1)
                                          for n in range(start, start + 50)])
        for other in others:
            await eventually(lambda o=other: len(o.inbox) >= start + 50, "the others get all", 30)
    for other in others:
        got = [int(m.payload.split()[0]) for m in other.inbox]
        assert got == list(range(count))
    # the stalled one's queue is at its limit, and what did not fit is counted
    found = await metrics(stack.broker)
    lost = found['sqmqos_messages_dropped_total{reason="queue-full"}'] + \
        found["sqmqos_messages_refused_total"]
    assert lost > 0 or any(code >= 0x80 for code in answers), found
    in_flight = 1000  # limits.max-inflight
    assert found["sqmqos_queued_messages"] <= limit + in_flight, found["sqmqos_queued_messages"]
    stalled.unstall()
    await stalled.disconnect()


@scenario(timeout_s=180)
async def test_a_client_that_never_acknowledges_stops_alone(env):
    stack = await env.stack()
    a, b = stack.ports
    silent = await env.connect(b, "silent", ack="none")
    lively = await env.connect(b, "lively")
    for client in (silent, lively):
        await client.subscribe(("t", 2))
    publisher = await env.connect(a, "publisher")
    for start in range(0, 2000, 50):
        await asyncio.gather(*[publisher.publish("t", b"%d" % n, 1 + n % 2)
                               for n in range(start, start + 50)])
    got = [int(m.payload) for m in await lively.receive_all(2000)]
    assert got == list(range(2000))
    assert len(silent.inbox) < 2000
    await silent.disconnect()


async def test_a_silence_below_the_heartbeats_is_warned_of(env):
    for silence, warned in (("2s", 1), ("5999ms", 1), ("6s", 0)):
        stack = await env.stack(sidecars=1, sidecar={"pool": {"silence": silence}})
        [sidecar] = stack.sidecars
        if silence == "2s":  # what the warning says is so
            await eventually(lambda: has_lost(sidecar, 3), "idle links are dropped")
        log = sidecar.log_path.read_text(encoding="utf-8")
        assert log.count("pool.silence is") == warned, (silence, log)


async def has_lost(sidecar, least):
    return await metric(sidecar, "sqmqos_links_lost_total") >= least

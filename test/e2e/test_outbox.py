"""The outbox of a sidecar, in memory and on disk: brokers that are away, a
sidecar that is killed, and bounds that are reached."""

import asyncio

import mqtt
from cluster import eventually, metric
from flow import Ledger, Publisher, number
from scenario import scenario

BYTES = "sqmqos_outbox_bytes"
REFUSED = "sqmqos_messages_refused_total"
PAUSES = "sqmqos_outbox_pauses_total"
DURABLE = {"session_expiry": 600}


def on_disk(stack, size="64Mi"):
    """Gives the first sidecar an outbox on disk."""
    publisher = stack.sidecars[0]
    publisher.tree["outbox"] = {"mode": "disk", "size": size,
                                "dir": str(stack.folder / "outbox")}
    return publisher


async def disk_stack(env, size="64Mi", **options):
    stack = await env.stack(start=False, **options)
    on_disk(stack, size)
    await stack.start()
    stack.descriptors["sidecar-1"] += 40  # segments of the journal, as it grows
    return stack


async def subscribed(env, stack, ledger, topics="flow/#"):
    subscriber = await env.connect(stack.ports[1], "subscriber")
    subscriber.on_message = ledger.take
    await subscriber.subscribe((topics, 2))
    return subscriber


async def send(env, port, name, qos, count, ledger, size=100, version=5):
    """All 'count' are acknowledged when this returns."""
    client = await env.connect(port, name, version)
    publisher = Publisher(client, f"flow/{name}", qos, ledger, window=200, size=size)
    await asyncio.wait_for(publisher.run(count), 60)
    assert publisher.refused == []
    return client


async def arrived(ledger, timeout_s=60):
    await eventually(ledger.complete, "all that was acknowledged has arrived", timeout_s)
    assert ledger.problems(duplicates_allowed=False) == []


async def empty(sidecar):
    async def none():
        return await metric(sidecar, BYTES) == 0
    await eventually(none, "the outbox is empty", 30)


@scenario(timeout_s=180)
async def test_disk_acknowledges_and_forwards(env):
    stack = await disk_stack(env)
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    for version in (4, 5):
        for qos in (1, 2):
            await send(env, stack.ports[0], f"p-{qos}-{version}", qos, 500, ledger,
                       version=version)
    await arrived(ledger)
    await empty(stack.sidecars[0])


@scenario(timeout_s=180)
async def test_disk_while_no_broker_was_ever_there(env):
    stack = await env.stack(start=False)
    sidecar = on_disk(stack)
    sidecar.start()
    await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
    ledger = Ledger()
    for qos in (1, 2):
        await send(env, stack.ports[0], f"p-{qos}", qos, 300, ledger)
    assert await metric(sidecar, BYTES) > 600 * 100
    stack.broker.start()
    stack.sidecars[1].start()
    await stack.ready(stack.broker, stack.sidecars[1])
    await empty(sidecar)  # a broker took them: nobody has subscribed
    await stack.ready()
    await stack.linked()
    env.check_leftovers = False  # there was no start to compare with


@scenario(timeout_s=240)
async def test_disk_goes_on_exactly_once_after_the_sidecar_was_killed(env):
    """Killed at any point, also while it forwards; with the broker away and there."""
    stack = await disk_stack(env, proxy=True)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    for turn in range(4):
        if turn % 2 == 0:
            sidecar.tree["brokers"] = ["127.0.0.1:1"]
        else:
            sidecar.tree["brokers"] = [f"127.0.0.1:{stack.link_port}"]
        await stack.kill(sidecar)
        sidecar.start()
        await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
        for qos in (1, 2):
            await send(env, stack.ports[0], f"p-{turn}-{qos}", qos, 1500, ledger, size=200)
    for _ in range(4):  # while it forwards
        got = sum(len(g) for g in ledger.got.values())
        await stack.kill(sidecar)
        sidecar.start()
        await eventually(lambda got=got: ledger.complete() or
                         sum(len(g) for g in ledger.got.values()) > got,
                         "it forwards", 30)
    await stack.ready()
    await arrived(ledger)
    await empty(sidecar)
    await stack.linked()


@scenario(timeout_s=240)
async def test_disk_keeps_what_was_refused_over_kills(env):
    """A queue that is full refuses now and then, of one batch some: a sidecar that is killed
    then gives no message the number of another, nor takes a refused one for accepted."""
    stack = await disk_stack(env, broker={"queue": {"max-messages": 20}})
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    subscriber = env.client("subscriber", ack="none")
    subscriber.on_message = ledger.take
    props = DURABLE | {"receive_maximum": 5}
    await subscriber.connect(stack.ports[1], clean=False, props=props)
    await subscriber.subscribe(("flow/#", 2))
    for turn in range(6):
        refused = await metric(stack.broker, REFUSED)

        async def refuses(refused=refused):
            return await metric(stack.broker, REFUSED) > refused
        await send(env, stack.ports[0], f"p-{turn}", 2, 300, ledger)
        await eventually(refuses, "the queue is full", 30)
        await stack.kill(sidecar)
        sidecar.start()
        await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
        # Taken over, as a queue without a taker makes room by its oldest.
        last, subscriber = subscriber, env.client("subscriber", ack="auto" if turn % 2 else "none")
        subscriber.on_message, subscriber.held = ledger.take, last.held
        await subscriber.connect(stack.ports[1], clean=False, props=props)
        last.abort()
    await stack.ready()
    await eventually(ledger.complete, "all that was acknowledged has arrived", 120)
    assert await metric(stack.broker, "sqmqos_dead_letters_total") == 0
    assert ledger.problems(duplicates_allowed=False, any_order=True) == []
    await empty(sidecar)


@scenario(timeout_s=180)
async def test_disk_keeps_the_order_while_links_are_cut(env):
    stack = await disk_stack(env, proxy=True)
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    clients = [await env.connect(stack.ports[0], f"p-{qos}") for qos in (1, 2)]
    publishers = [Publisher(c, f"flow/{c.client_id}", qos, ledger, 50, 100)
                  for c, qos in zip(clients, (1, 2))]
    tasks = [env.spawn(p.run()) for p in publishers]
    for _ in range(8):
        before = sum(map(len, ledger.got.values()))
        stack.proxy.cut_all()
        await eventually(lambda before=before:
                         sum(map(len, ledger.got.values())) > before + 100, "it goes on", 30)
    for p in publishers:
        p.stop()
    await asyncio.gather(*tasks)
    await arrived(ledger)
    await empty(stack.sidecars[0])


@scenario(timeout_s=180)
async def test_disk_at_its_bound_blocks_the_app_and_loses_nothing(env):
    stack = await disk_stack(env, size="1Mi", proxy=True)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    stack.proxy.freeze()
    client = await env.connect(stack.ports[0], "p")
    publisher = Publisher(client, "flow/p", 1, ledger, window=60000, size=10000)
    running = env.spawn(publisher.run(1000))  # 10 MB

    async def full():
        return await metric(sidecar, BYTES) > (1 << 20) - 10200
    await eventually(full, "the outbox is full", 30)
    assert await metric(sidecar, BYTES) <= 1 << 20
    assert await metric(sidecar, PAUSES) > 0
    assert (await asyncio.to_thread(sidecar.ready))[0], "a full outbox is no failure"
    stack.proxy.thaw()
    await asyncio.wait_for(running, 90)
    assert len(ledger.acked["p"]) == 1000
    await arrived(ledger)
    await empty(sidecar)


@scenario(timeout_s=180)
async def test_disk_reads_back_what_memory_does_not_hold(env):
    stack = await disk_stack(env, proxy=True)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    stack.proxy.freeze()
    await send(env, stack.ports[0], "p", 1, 3000, ledger, size=5000)  # 15 MB
    stack.proxy.thaw()
    await arrived(ledger)
    await empty(sidecar)


@scenario(timeout_s=180)
async def test_disk_remembers_qos_2_ids_over_a_restart(env):
    """PUBREC came, the sidecar was killed: the same id again is the same message,
    until its PUBREL."""
    stack = await disk_stack(env)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    acks = []

    async def connect():
        client = env.client("p")
        client.on_ack = lambda kind, packet_id, reason: acks.append((kind, packet_id, reason))
        connack = await client.connect(stack.ports[0], clean=False, props=DURABLE)
        return client, connack

    def publish(client, n, dup):
        client.send(mqtt.publish_packet("flow/p", number("p", n), 2, False, dup, 77, 5, None))

    client, _ = await connect()
    publish(client, 0, False)
    await eventually(lambda: acks == [(mqtt.PUBREC, 77, 0)], "PUBREC")
    await eventually(lambda: ledger.got["p"] == [0], "it arrives")
    await stack.kill(sidecar)
    await stack.restart(sidecar)
    client, connack = await connect()
    assert connack.session_present
    publish(client, 0, True)
    client.send_ack(mqtt.PUBREL, 77)
    publish(client, 1, False)
    client.send_ack(mqtt.PUBREL, 77)
    await eventually(lambda: len(acks) == 5, "all is acknowledged")
    assert acks[1:] == [(mqtt.PUBREC, 77, 0), (mqtt.PUBCOMP, 77, 0)] * 2
    await eventually(lambda: len(ledger.got["p"]) > 1, "the next message arrives")
    await empty(sidecar)
    assert ledger.got["p"] == [0, 1]


@scenario(timeout_s=180)
async def test_disk_takes_no_qos_3(env):
    stack = await disk_stack(env, proxy=True)
    sidecar = stack.sidecars[0]
    stack.proxy.freeze()
    client = await env.connect(stack.ports[0], "p")
    waits = client.publish_nowait("t", b"x", 2, props={"user": [("sqmqos-qos", "3")]})
    assert await client.publish("t", b"y", 2) == 0
    assert not waits.done()
    stack.proxy.thaw()
    assert await asyncio.wait_for(waits, 60) in (0, 0x10)
    await empty(sidecar)


@scenario(timeout_s=120)
async def test_a_disk_that_is_not_configured_is_not_ready(env):
    path = env.folder / "annotations"
    path.write_text('sqmqos.io/outbox="disk: 1Gi"\n')
    stack = await env.stack(start=False, sidecars=1, annotations=[path])
    for program in stack.programs:
        program.start()
    sidecar = stack.sidecars[0]

    async def says():
        ok, why = await asyncio.to_thread(sidecar.ready)
        return not ok and "outbox.dir is not configured" in why
    await eventually(says, "it says why it is not ready")
    client = await env.connect(stack.ports[0], "p")
    assert await client.publish("t", b"x", 1) == 0x10, "a broker's outcome, as in memory"
    env.check_leftovers = False


@scenario(timeout_s=120)
async def test_a_disk_that_never_answers_makes_the_pod_not_ready(env):
    stack = await env.stack(start=False, sidecars=1)
    sidecar = on_disk(stack)
    sidecar.environment["SQMQOS_FAULT"] = "journal-before-write:20:hang"
    await stack.start()
    env.check_leftovers = False  # of what waits there will be no end
    app = await env.connect(stack.ports[0], "app")
    while "fault point" not in stack.log(sidecar):  # where the journal's writer stays
        app.publish_nowait("flow/app", b"x", 1)
        await asyncio.sleep(0.01)
    app.publish_nowait("flow/app", b"x", 1)

    async def says():
        ok, why = await asyncio.to_thread(sidecar.ready)
        return not ok and "outbox: the disk does not answer" in why
    await eventually(says, "it says why it is not ready", 60)
    await eventually(lambda: stack.log(sidecar).count("nothing more is acknowledged") == 1, "so does the log")
    assert await metric(sidecar, "sqmqos_outbox_stalled") == 1
    assert sidecar.get("/livez")[0] == 200
    await stack.kill(sidecar)


@scenario(timeout_s=120)
async def test_the_annotation_sets_mode_and_size(env):
    path = env.folder / "annotations"
    path.write_text('sqmqos.io/outbox="disk: 2Mi"\n')
    stack = await env.stack(start=False, sidecars=1, annotations=[path])
    stack.sidecars[0].tree["outbox"] = {"dir": str(stack.folder / "outbox")}
    await stack.start()
    await stack.kill(stack.broker)
    client = await env.connect(stack.ports[0], "p")
    assert await client.publish("t", b"x" * 1000, 1) == 0
    await stack.restart(stack.broker)
    await empty(stack.sidecars[0])


@scenario(timeout_s=180)
async def test_memory_at_its_bound_is_shared(env):
    """One greedy app fills the outbox; another one still gets some of it."""
    stack = await env.stack(sidecar={"outbox": {"size": "2Mi"}}, proxy=True)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    stack.proxy.freeze()
    greedy = await env.connect(stack.ports[0], "greedy")
    modest = await env.connect(stack.ports[0], "modest")
    much = Publisher(greedy, "flow/greedy", 1, ledger, window=60000, size=10000)
    running = [env.spawn(much.run(600))]

    async def held():
        return await metric(sidecar, BYTES)

    async def paused():
        return await metric(sidecar, PAUSES) > 0
    await eventually(paused, "the greedy one is not read", 30)
    before = await held()
    little = Publisher(modest, "flow/modest", 2, ledger, window=10, size=1000)
    running.append(env.spawn(little.run(10)))

    async def more():
        return await held() >= before + 10 * 1000
    await eventually(more, "the modest one has its share", 30)
    assert await held() <= 2 << 20
    assert not ledger.acked["greedy"] and not ledger.acked["modest"]
    stack.proxy.thaw()
    await asyncio.wait_for(asyncio.gather(*running), 90)
    await arrived(ledger)
    assert (len(ledger.acked["greedy"]), len(ledger.acked["modest"])) == (600, 10)
    await empty(sidecar)


@scenario(timeout_s=120)
async def test_sigterm_leaves_the_rest_on_disk(env):
    stack = await disk_stack(env)
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    sidecar.tree["brokers"] = ["127.0.0.1:1"]
    sidecar.tree["shutdown"] = {"timeout": "200ms"}
    await stack.kill(sidecar)
    sidecar.start()
    await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
    await send(env, stack.ports[0], "p", 2, 200, ledger)
    await stack.end(sidecar)
    assert ledger.got["p"] == []
    sidecar.tree["brokers"] = [f"127.0.0.1:{stack.link_port}"]
    await stack.restart(sidecar)
    await arrived(ledger)
    await empty(sidecar)


@scenario(timeout_s=180)
async def test_disk_bridges_a_broker_that_was_killed(env):
    """The broker forgets the outbox's session; what was acknowledged meanwhile arrives."""
    stack = await disk_stack(env, broker={"engine": "memory"})
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    await subscribed(env, stack, ledger)
    for turn in range(3):
        await stack.kill(stack.broker)
        for qos in (1, 2):
            await send(env, stack.ports[0], f"p-{turn}-{qos}", qos, 300, ledger)
        await stack.restart(stack.broker)
        await arrived(ledger)
        await empty(sidecar)


@scenario(timeout_s=240)
async def test_disk_goes_on_exactly_once_after_the_broker_was_killed(env):
    stack = await env.stack(start=False, broker={"engine": "embedded",
                                                 "store": {"dir": str(env.folder / "store")}})
    on_disk(stack)
    await stack.start()
    sidecar = stack.sidecars[0]
    ledger = Ledger()
    subscriber = await env.connect(stack.ports[1], "subscriber", clean=False, props=DURABLE)
    subscriber.on_message = ledger.take
    await subscriber.subscribe(("flow/#", 2))
    clients = [await env.connect(stack.ports[0], f"p-{qos}") for qos in (1, 2)]
    publishers = [Publisher(c, f"flow/{c.client_id}", qos, ledger, 50, 100)
                  for c, qos in zip(clients, (1, 2))]
    tasks = [env.spawn(p.run()) for p in publishers]
    for _ in range(4):
        before = sum(map(len, ledger.got.values()))
        await eventually(lambda before=before:
                         sum(map(len, ledger.got.values())) > before + 200, "it flows", 30)
        await stack.kill(stack.broker)
        await stack.restart(stack.broker)
    for p in publishers:
        p.stop()
    await asyncio.gather(*tasks)
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    # QoS 1 may come twice from the broker to the subscriber; QoS 2 may not
    once = Ledger(got={"p-2": ledger.got["p-2"]})
    assert ledger.problems(duplicates_allowed=True) + once.problems(False) == []
    await empty(sidecar)
    env.check_leftovers = False

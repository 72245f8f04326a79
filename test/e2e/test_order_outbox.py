"""The order of a connection through a disk outbox: its SUBSCRIBEs and UNSUBSCRIBEs keep
their place among what it publishes, and nobody stands still for it."""

import asyncio
import contextlib
import struct
import subprocess

import mqtt
from annotations import AnnotationsFile
from cluster import eventually, metric
from flow import DURABLE, Ledger, Publisher
from scenario import scenario

BYTES = "sqmqos_outbox_bytes"
PASSED = "sqmqos_outbox_order_passed_total"
TIMES = 8
LARGE = 200 << 10  # bytes: above anything else on a link


async def disk_stack(env, wait="60s", size="64Mi", **options):
    """The first sidecar has an outbox on disk; a wait that is not to pass is long."""
    stack = await env.stack(start=False, **options)
    stack.sidecars[0].tree["outbox"] = {"mode": "disk", "size": size, "order-wait": wait,
                                        "dir": str(stack.folder / "outbox")}
    await stack.start()
    stack.descriptors["sidecar-1"] += 40  # segments of the journal, as it grows
    return stack


async def passed(stack):
    return await metric(stack.sidecars[0], PASSED)


async def empty(stack):
    async def none():
        return await metric(stack.sidecars[0], BYTES) == 0
    await eventually(none, "the outbox is empty", 60)


@contextlib.contextmanager
def one_segment(client):
    """What the client sends inside leaves in one piece."""
    pieces = []
    client.send = pieces.append
    try:
        yield
    finally:
        del client.send
        client.send(b"".join(pieces))


def ask(client, kind, topic, options=2):
    """SUBSCRIBE or UNSUBSCRIBE; a future of the reason codes."""
    packet_id = client.take_id()
    waiter = asyncio.get_running_loop().create_future()
    client.unanswered[packet_id] = waiter
    waiter.add_done_callback(lambda _: client.unanswered.pop(packet_id, None))
    body = mqtt.properties(None) if client.version == mqtt.V5 else b""
    body += mqtt.text(topic) + (bytes([options]) if kind == mqtt.SUBSCRIBE else b"")
    client.send(mqtt.packet(kind, struct.pack(">H", packet_id) + body, 2))
    return waiter


async def answered(*waiters, timeout_s=30):
    """The codes of all."""
    return await asyncio.wait_for(asyncio.gather(*waiters), timeout_s)


async def kinds_of_clients(env, stack, name):
    """3.1.1 and 5, transient and durable: one client at a time."""
    for version in (mqtt.V311, mqtt.V5):
        for durable in (False, True):
            props = DURABLE if durable and version == mqtt.V5 else None
            client = await env.connect(stack.ports[0], f"{name}-{version}-{durable:d}", version,
                                       clean=not durable, props=props)
            yield client
            await client.disconnect(props={"session_expiry": 0} if props else None)
            if durable and not props:
                await client.connect(stack.ports[0])  # ends its session
                await client.disconnect()


async def only(client, payload):
    """The next message is this one, and there is none behind it."""
    assert (await client.receive()).payload == payload
    await client.ping()
    assert not client.inbox


# ---- the rows of the table in docs/link.md, at QoS 1 and 2

@scenario(timeout_s=180)
async def test_what_was_published_before_does_not_come_as_live(env):
    stack = await disk_stack(env)
    for qos in (1, 2):
        async for client in kinds_of_clients(env, stack, f"c-{qos}"):
            for n in range(TIMES):
                topic = f"{client.client_id}/{n}"
                with one_segment(client):
                    older = client.publish_nowait(topic, b"older", qos)
                    suback = ask(client, mqtt.SUBSCRIBE, topic)
                await answered(older, suback)
                await client.publish(topic, b"newer", qos)
                await only(client, b"newer")
    assert await passed(stack) == 0


@scenario(timeout_s=180)
async def test_what_is_published_between_subscribe_and_unsubscribe_comes(env):
    stack = await disk_stack(env)
    for qos in (1, 2):
        async for client in kinds_of_clients(env, stack, f"c-{qos}"):
            for n in range(TIMES):
                topic = f"{client.client_id}/{n}"
                with one_segment(client):
                    suback = ask(client, mqtt.SUBSCRIBE, topic)
                    between = client.publish_nowait(topic, b"between", qos)
                    unsuback = ask(client, mqtt.UNSUBSCRIBE, topic)
                    behind = client.publish_nowait(topic, b"behind", qos)
                await answered(suback, between, unsuback, behind)
                await client.publish("other", b"", qos)
                await only(client, b"between")
    assert await passed(stack) == 0


@scenario(timeout_s=180)
async def test_what_is_published_right_behind_a_subscribe_comes(env):
    """Also when another SUBSCRIBE is on its way."""
    stack = await disk_stack(env)
    for qos in (1, 2):
        async for client in kinds_of_clients(env, stack, f"c-{qos}"):
            for n in range(TIMES):
                a, b = (f"{client.client_id}/{n}/{x}" for x in "ab")
                first = ask(client, mqtt.SUBSCRIBE, a)
                await asyncio.sleep(0.0002)
                with one_segment(client):
                    second = ask(client, mqtt.SUBSCRIBE, b)
                    done = client.publish_nowait(b, b"behind", qos)
                await answered(first, second, done)
                await only(client, b"behind")
    assert await passed(stack) == 0


@scenario(timeout_s=180)
async def test_a_retained_message_that_was_cleared_before_does_not_come(env):
    stack = await disk_stack(env)
    for qos in (1, 2):
        async for client in kinds_of_clients(env, stack, f"c-{qos}"):
            for n in range(TIMES):
                topic = f"{client.client_id}/{n}"
                await client.publish(topic, b"retained", qos, retain=True)
                await empty(stack)
                with one_segment(client):
                    cleared = client.publish_nowait(topic, b"", qos, retain=True)
                    suback = ask(client, mqtt.SUBSCRIBE, topic)
                await answered(cleared, suback)
                await client.publish(topic, b"live", qos)
                await only(client, b"live")
    assert await passed(stack) == 0


@scenario(timeout_s=180)
async def test_the_suback_comes_before_a_retained_message(env):
    stack = await disk_stack(env)
    publisher = await env.connect(stack.ports[0], "publisher")
    for n in range(TIMES):
        await publisher.publish(f"t/{n}", b"retained", 1, retain=True)
    await empty(stack)
    for qos in (1, 2):
        async for client in kinds_of_clients(env, stack, f"c-{qos}"):
            for n in range(TIMES):
                suback = ask(client, mqtt.SUBSCRIBE, f"t/{n}")
                client.on_message = lambda m, s=suback: client.inbox.append((m, s.done()))
                done = client.publish_nowait("elsewhere", b"", qos)
                await answered(suback, done)
                await eventually(lambda: client.inbox, "the retained message")
                message, after_suback = client.inbox.popleft()
                assert message.retain and after_suback
    for n in range(TIMES):
        await publisher.publish(f"t/{n}", b"", 1, retain=True)


@scenario(timeout_s=180)
async def test_the_order_is_kept_over_a_broker_that_was_away(env):
    """Not only what waits in the outbox keeps its order, but the subscriptions, too."""
    stack = await disk_stack(env, broker={"engine": "memory"})
    for qos in (1, 2):
        client = await env.connect(stack.ports[0], f"c-{qos}")
        await stack.kill(stack.broker)
        waiters = []
        for n in range(TIMES):
            waiters += [client.publish_nowait(f"t/{n}", b"older", qos),
                        ask(client, mqtt.SUBSCRIBE, f"t/{n}"),
                        client.publish_nowait(f"t/{n}", b"between", qos),
                        ask(client, mqtt.UNSUBSCRIBE, f"t/{n}"),
                        client.publish_nowait(f"t/{n}", b"behind", qos)]
        await stack.restart(stack.broker)
        await answered(*waiters)
        await empty(stack)
        got = await client.receive_all(TIMES)
        assert [(m.topic, m.payload) for m in got] == [
            (f"t/{n}", b"between") for n in range(TIMES)]
        await client.ping()
        assert not client.inbox
        await client.disconnect()
    assert await passed(stack) == 0


@scenario(timeout_s=120)
async def test_a_durable_client_that_leaves_at_once_keeps_its_order(env):
    stack = await disk_stack(env)
    for qos in (1, 2):
        for version in (mqtt.V311, mqtt.V5):
            props = DURABLE if version == mqtt.V5 else None
            client = env.client(f"c-{qos}-{version}", version)
            for n in range(TIMES):
                await client.connect(stack.ports[0], clean=False, props=props)
                with one_segment(client):
                    client.publish_nowait(f"t/{n}", b"older", qos)
                    ask(client, mqtt.SUBSCRIBE, f"t/{n}")
                    client.publish_nowait(f"t/{n}", b"behind", qos)
                await client.disconnect()
                client.outgoing.clear()
                await client.connect(stack.ports[0], clean=False, props=props)
                await only(client, b"behind")
                await client.unsubscribe(f"t/{n}")
                await client.disconnect()
            await client.connect(stack.ports[0])
            await client.disconnect()
    assert await passed(stack) == 0


# ---- an outbox that stands still: a queue refuses the message at its head

async def refusing_stack(env, wait, size="64Mi"):
    """The second message to 'work' is refused until the client 'consumer' of the second
    sidecar takes the first."""
    file = AnnotationsFile(env.folder / "pod").write(
        "- {filter: work, group: crew, max-length: 1, overflow: reject-publish}",
        **{"sqmqos.io/client-id": "consumer"})
    return await disk_stack(env, wait, size, annotations=[None, file.path])


async def stand_still(env, stack):
    """From here on nothing leaves the outbox.  Returns the client that saw to it."""
    client = await env.connect(stack.ports[0], "filler")
    await client.publish("work", b"1", 1)
    await empty(stack)
    await client.publish("work", b"2", 1)

    async def refused():
        return await metric(stack.sidecars[0], 'sqmqos_refused_total{reason="queue-full"}') > 0
    await eventually(refused, "the queue refuses", 30)
    return client


async def go_on(env, stack):
    consumer = await env.connect(stack.ports[1], "consumer")
    assert [m.payload for m in await consumer.receive_all(2)] == [b"1", b"2"]
    await empty(stack)
    await consumer.ping()


@scenario(timeout_s=180)
async def test_a_subscribe_is_answered_when_the_wait_has_passed(env):
    stack = await refusing_stack(env, "500ms")
    filler = await stand_still(env, stack)
    assert await filler.publish("mine", b"older", 1) == 0
    assert await filler.subscribe("mine") == [1]
    assert await passed(stack) == 1
    assert "client filler: a subscription lost its place" in stack.log(stack.sidecars[0])
    assert await filler.publish("mine", b"newer", 2) == 0
    assert await filler.unsubscribe("other") is not None
    assert await passed(stack) == 2
    await go_on(env, stack)
    assert [m.payload for m in await filler.receive_all(2)] == [b"older", b"newer"]


@scenario(timeout_s=180)
async def test_who_has_nothing_in_the_outbox_waits_for_nothing(env):
    stack = await refusing_stack(env, "10m")
    await stand_still(env, stack)
    other = await env.connect(stack.ports[0], "other")
    assert await other.subscribe("a", "b") == [1, 1]
    assert await other.publish("a", b"", 0) is None
    await other.receive()
    assert await other.unsubscribe("a") is not None
    assert await passed(stack) == 0
    await go_on(env, stack)


@scenario(timeout_s=180)
async def test_without_a_wait_nothing_waits(env):
    stack = await refusing_stack(env, "0s")
    filler = await stand_still(env, stack)
    assert await filler.subscribe("mine") == [1]
    assert await filler.publish("mine", b"x", 1) == 0
    assert await filler.unsubscribe("mine") is not None
    assert await passed(stack) == 0
    await go_on(env, stack)


@scenario(timeout_s=180)
async def test_what_is_older_than_the_sidecar_holds_nothing(env):
    """The same client comes again after a restart of the sidecar."""
    stack = await refusing_stack(env, "10m")
    await stand_still(env, stack)
    await stack.kill(stack.sidecars[0])
    await stack.restart(stack.sidecars[0])
    assert await metric(stack.sidecars[0], BYTES) > 0
    client = await env.connect(stack.ports[0], "filler")
    assert await client.subscribe("mine") == [1]
    assert await client.unsubscribe("mine") is not None
    assert await passed(stack) == 0
    await go_on(env, stack)


@scenario(timeout_s=240)
async def test_64_mib_behind_a_refused_entry_do_not_stand_still(env):
    stack = await refusing_stack(env, "2s", "256Mi")
    filler = await stand_still(env, stack)
    ledger = Ledger()
    taker = await env.connect(stack.ports[1], "taker")
    taker.on_message = ledger.take
    await taker.subscribe(("flow/#", 2))
    await asyncio.wait_for(
        Publisher(filler, "flow/filler", 1, ledger, window=64, size=64 << 10).run(1024), 90)
    assert await metric(stack.sidecars[0], BYTES) > 64 << 20
    assert await filler.subscribe("mine", timeout_s=20) == [1]
    assert await passed(stack) == 1
    await go_on(env, stack)
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    assert ledger.problems(duplicates_allowed=False) == []


@scenario(timeout_s=240)
async def test_64_mib_behind_a_broker_that_was_away_do_not_stand_still(env):
    stack = await disk_stack(env, "5s", "256Mi", broker={"engine": "memory"})
    client = await env.connect(stack.ports[0], "p")
    await stack.kill(stack.broker)
    ledger = Ledger()
    await asyncio.wait_for(
        Publisher(client, "flow/p", 1, ledger, window=64, size=64 << 10).run(1024), 90)
    suback = ask(client, mqtt.SUBSCRIBE, "mine")
    behind = client.publish_nowait("mine", b"behind", 1)
    await stack.restart(stack.broker)
    await answered(suback, behind, timeout_s=40)
    assert (await client.receive(60)).payload == b"behind"
    await empty(stack)


# ---- a subscription without an answer: its session's link is frozen, the outbox's is not

def links(stack, sidecar):
    """The proxy's connections from that sidecar."""
    shown = subprocess.run(
        ["ss", "-Htnp", "state", "established", f"( dport = :{stack.link_port} )"],
        capture_output=True, text=True, check=True).stdout
    ports = {int(line.split()[2].rsplit(":", 1)[1]) for line in shown.splitlines()
             if f"pid={sidecar.pid}," in line}
    return [p for p in stack.proxy.pairs
            if p.writers["down"].get_extra_info("peername")[1] in ports]


async def link_of(stack, send):
    """The connection that carries what 'send' sends, which is large."""
    before = {p: p.passed["up"] for p in links(stack, stack.sidecars[0])}
    await send()
    grown = {p: p.passed["up"] - n for p, n in before.items()}
    found = max(grown, key=grown.get)
    assert grown[found] > LARGE, grown
    return found


async def unanswered_stack(env, wait):
    """The stack; a client whose session's link is frozen, while that of the outbox is not;
    another client; and a subscriber to 'seen' elsewhere."""
    stack = await disk_stack(env, wait, proxy=True)
    witness = await env.connect(stack.ports[1], "witness")
    await witness.subscribe("seen")
    large = b"." * (LARGE + 1)

    async def seen(client, qos):
        await client.publish("seen", large, qos)
        assert (await witness.receive()).payload == large

    clients = [await env.connect(stack.ports[0], f"c-{n}") for n in range(4)]
    outbox = await link_of(stack, lambda: seen(clients[0], 1))
    for client in clients:
        link = await link_of(stack, lambda client=client: seen(client, 0))
        if link is not outbox:
            link.flowing.clear()
            clients.remove(client)
            return stack, link, client, clients[0], witness
    raise AssertionError("all sessions are on the outbox's link")


@scenario(timeout_s=120)
async def test_what_is_behind_an_unanswered_subscribe_waits_for_a_while(env):
    stack, link, client, other, witness = await unanswered_stack(env, "1s")
    suback = ask(client, mqtt.SUBSCRIBE, "mine")
    held = [client.publish_nowait("seen", b"held %d" % qos, qos) for qos in (1, 2)]
    await answered(*held)  # by the disk
    await other.publish("seen", b"other", 1)
    got = await witness.receive_all(3)
    assert [m.payload for m in got] == [b"held 1", b"held 2", b"other"]
    assert await passed(stack) == 1
    assert not suback.done()
    link.flowing.set()
    assert await answered(suback) == [[2]]


@scenario(timeout_s=120)
async def test_a_client_that_leaves_holds_nothing_any_more(env):
    stack, link, client, other, witness = await unanswered_stack(env, "10m")
    suback = ask(client, mqtt.SUBSCRIBE, "mine")
    assert await client.publish("seen", b"held", 1) == 0
    assert await other.publish("seen", b"other", 1) == 0
    await witness.ping()
    assert not witness.inbox and not suback.done()
    await client.disconnect()
    got = await witness.receive_all(2)
    assert [m.payload for m in got] == [b"held", b"other"]
    assert await passed(stack) == 0
    assert await metric(stack.sidecars[0], "sqmqos_links_lost_total") == 0, "not by that"
    link.flowing.set()

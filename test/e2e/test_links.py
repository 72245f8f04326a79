"""Links that are cut, drained, frozen, and programs that are killed, while
clients publish at QoS 1 and 2. The ledger says what was lost, doubled or
reordered."""

import asyncio
import contextlib
import random
import signal

import flow
from cluster import POOL, eventually, metric
from flow import Ledger, Publisher
from proxy import cut_inside_data_frame, random_cuts
from scenario import scenario

DURABLE = {"session_expiry": 600}


class Traffic:
    """Publishers at QoS 1 and 2, of both versions, on sidecar 1; a subscriber
    on sidecar 2. None of their connections may end."""

    def __init__(self, env, stack):
        self.env = env
        self.stack = stack
        self.ledger = Ledger()
        self.publishers = []
        self.clients = []
        self.tasks = []
        self.ids_may_be_gone = False  # 0x92 is no error after a recovery (MQTT 5.0 §3.7.2.1)

    async def start(self, size=100, window=20, rate=None):
        a, b = self.stack.ports
        subscriber = await self.env.connect(b, "subscriber")
        await subscriber.subscribe(("flow/#", 2))
        subscriber.on_message = self.ledger.take
        self.clients.append(subscriber)
        for qos in (1, 2):
            for version in (4, 5):
                name = f"publisher-{qos}-{version}"
                client = await self.env.connect(a, name, version)
                self.clients.append(client)
                self.publishers.append(
                    Publisher(client, f"flow/{name}", qos, self.ledger, window, size))
        self.tasks = [self.env.spawn(p.run()) for p in self.publishers]
        return self

    def acknowledged(self):
        return sum(len(numbers) for numbers in self.ledger.acked.values())

    async def more(self, n=200, timeout_s=60):
        """Awaits 'n' further acknowledgements of each publisher."""
        goals = {p.client.client_id: len(self.ledger.acked[p.client.client_id]) + n
                 for p in self.publishers}
        await eventually(lambda: all(len(self.ledger.acked[name]) >= goal
                                     for name, goal in goals.items()),
                         f"{n} more acknowledgements of each publisher", timeout_s)

    async def finish(self, duplicates_at_qos1=True):
        for p in self.publishers:
            p.stop()
        await asyncio.wait_for(asyncio.gather(*self.tasks), 60)
        await eventually(self.ledger.complete, "all that was acknowledged has arrived", 60)
        assert [c.client_id for c in self.clients if not c.connected] == [], "disconnected"
        self.check(duplicates_at_qos1)

    def check(self, duplicates_at_qos1=True):
        problems = self.ledger.problems(duplicates_allowed=True)
        for p in self.publishers:
            if p.qos == 2 or not duplicates_at_qos1:
                one = Ledger(got={p.client.client_id: self.ledger.got[p.client.client_id]})
                one.acked[p.client.client_id] = set()
                problems += one.problems(duplicates_allowed=False)
            if p.refused:
                problems.append(f"{p.client.client_id}: refused {p.refused[:3]}")
            if p.client.ids_not_found and not self.ids_may_be_gone:
                problems.append(f"{p.client.client_id}: {p.client.ids_not_found} ids not found")
        assert problems == [], "\n".join(problems)


async def cutting(env, seed, least, most, tls):
    print(f"seed {seed}")
    stack = await env.stack(tls=tls, proxy=True)
    traffic = await Traffic(env, stack).start()
    stack.proxy.filters.append(random_cuts(seed, least, most))
    loop = asyncio.get_running_loop()
    ends = loop.time() + 60
    while stack.proxy.cuts < 25 and loop.time() < ends:
        await asyncio.sleep(0.05)
    assert stack.proxy.cuts >= 10, f"only {stack.proxy.cuts} cuts"
    stack.proxy.filters.clear()
    await traffic.more(50)
    # our links are at least once below QoS 1, and exactly once at both by numbers
    await traffic.finish(duplicates_at_qos1=False)


@scenario(timeout_s=240)
async def test_links_cut_at_random_points_with_tls(env):
    await cutting(env, 20260131, 3000, 150000, tls=True)


@scenario(timeout_s=240)
async def test_links_cut_at_random_points_in_the_clear(env):
    await cutting(env, 77, 200, 60000, tls=False)


@scenario(timeout_s=180)
async def test_links_cut_all_at_once(env):
    stack = await env.stack(proxy=True)
    traffic = await Traffic(env, stack).start()
    rng = random.Random(5)
    for _ in range(8):
        await traffic.more(rng.randint(1, 60))
        stack.proxy.cut_all()
    await traffic.more(20)
    await traffic.finish(duplicates_at_qos1=False)


@scenario(timeout_s=180)
async def test_a_delivery_stream_cut_inside_a_frame(env):
    stack = await env.stack(tls=False, proxy=True)
    traffic = await Traffic(env, stack).start(size=6000, window=5)
    await traffic.more(5)
    for _ in range(5):
        stack.proxy.filters[:] = [cut_inside_data_frame(2000)]
        cuts = stack.proxy.cuts
        await eventually(lambda: stack.proxy.cuts > cuts, "a frame is cut", 30)
        await traffic.more(20)
    stack.proxy.filters.clear()
    await traffic.finish(duplicates_at_qos1=False)


@scenario(timeout_s=180)
async def test_a_half_open_link(env):
    stack = await env.stack(proxy=True)
    traffic = await Traffic(env, stack).start()
    await traffic.more(50)
    lost = [await metric(s, "sqmqos_links_lost_total") for s in stack.sidecars]
    stack.proxy.freeze()  # nothing says that these connections are dead
    await traffic.more(50, timeout_s=60)
    for sidecar, before in zip(stack.sidecars, lost):
        assert await metric(sidecar, "sqmqos_links_lost_total") > before
    stack.proxy.thaw()  # what was held back arrives late, at both ends
    await traffic.finish(duplicates_at_qos1=False)


@scenario(timeout_s=120)
async def test_what_was_ended_over_another_sidecar_stays_so(env):
    """The client comes back to a sidecar whose links stood still, and which has not heard yet
    that the client was elsewhere, and has unsubscribed there."""
    stack = await env.stack(proxy=True)
    a, b = stack.ports
    await stack.kill(stack.sidecars[1])
    await eventually(lambda: len(stack.proxy.pairs) == POOL, "the links of one sidecar")
    links = set(stack.proxy.pairs)
    await stack.restart(stack.sidecars[1])
    client = env.client("mover")
    await client.connect(a, clean=False, props=DURABLE)
    await client.subscribe("stays", "ends")
    for link in links:
        link.flowing.clear()
    await leave(client)
    assert (await client.connect(b, clean=False, props=DURABLE)).session_present
    assert await client.unsubscribe("ends") == [0]
    await leave(client)
    before = await metric(stack.sidecars[0], "sqmqos_sessions")
    back = env.spawn(client.connect(a, clean=False, props=DURABLE))
    await eventually(lambda: sessions_above(stack.sidecars[0], before), "the client is back")
    for link in links:
        link.flowing.set()
    assert (await back).session_present
    await client.subscribe("comes")  # behind whatever its sidecar asks for by itself
    publisher = await env.connect(b, "publisher")
    for topic in ("ends", "stays", "comes"):
        await publisher.publish(topic, b"", 1)
    assert [m.topic for m in await client.receive_all(2)] == ["stays", "comes"]
    await client.connect(a, clean=True, resend=False)
    await client.disconnect()


async def leave(client):
    client.abort()
    await client.wait_closed()


async def sessions_above(sidecar, n):
    return await metric(sidecar, "sqmqos_sessions") > n


@scenario(timeout_s=180)
async def test_links_are_drained(env):
    """SIGUSR1: every link is asked to move, and the broker goes on serving."""
    stack = await env.stack()
    traffic = await Traffic(env, stack).start()
    for _ in range(5):
        dials = [await metric(s, "sqmqos_link_dials_total") for s in stack.sidecars]
        stack.broker.signal(signal.SIGUSR1)
        await eventually(lambda: dialled_again(stack, dials), "new links")
        await traffic.more(50)
    await traffic.finish(duplicates_at_qos1=False)


async def dialled_again(stack, before):
    return all([await metric(s, "sqmqos_link_dials_total") >= n + 2
                for s, n in zip(stack.sidecars, before)])


@scenario(timeout_s=180)
async def test_links_grow_old(env):
    stack = await env.stack(broker={"link": {"max-age": "500ms"}})
    traffic = await Traffic(env, stack).start()
    dials = [await metric(s, "sqmqos_link_dials_total") for s in stack.sidecars]
    await eventually(lambda: dialled_again(stack, [n + 8 for n in dials]), "many links", 60)
    await traffic.more(50)
    await traffic.finish(duplicates_at_qos1=False)


@scenario(timeout_s=180)
async def test_the_broker_drains(env):
    """SIGTERM: what it has acknowledged is delivered before it ends, and its next
    life takes nothing before the subscribers are back."""
    stack = await env.stack()
    traffic = await Traffic(env, stack).start()
    traffic.ids_may_be_gone = True
    await traffic.more(100)
    for _ in range(3):
        await stack.end(stack.broker, 60)  # must end with code 0
        assert not stack.exits, stack.exits
        mark = traffic.ledger.mark()
        await eventually(traffic.ledger.complete, "all that was acknowledged has arrived")
        await stack.restart(stack.broker)
        await traffic.more(100)
        await eventually(lambda: traffic.ledger.flows_since(mark), "messages flow again")
    await traffic.finish(duplicates_at_qos1=False)


class DurableTraffic(Traffic):
    """As Traffic, but everybody has a durable session and connects again."""

    async def start(self, size=100, window=20, rate=None):
        a, b = self.stack.ports
        subscriber = self.env.client("subscriber")
        subscriber.on_message = self.ledger.take
        await subscriber.connect(b, clean=True, props=DURABLE)
        await subscriber.subscribe(("flow/#", 2))
        self.present = []
        self.ids_may_be_gone = True

        async def still_present(connack):
            self.present.append(connack.session_present)
        self.env.spawn(flow.keep_connected(subscriber, b, DURABLE, still_present))
        self.clients.append(subscriber)
        for qos in (1, 2):
            client = self.env.client(f"publisher-{qos}")
            await client.connect(a, clean=True, props=DURABLE)
            self.env.spawn(flow.keep_connected(client, a, DURABLE, still_present))
            self.clients.append(client)
            self.publishers.append(
                Publisher(client, f"flow/{client.client_id}", qos, self.ledger, window, size))
        self.tasks = [self.env.spawn(p.run()) for p in self.publishers]
        return self

    async def end_sessions(self):
        for task in self.env.tasks:
            task.cancel()
        for client in self.clients:
            client.abort()
            with contextlib.suppress(Exception):
                await client.wait_closed()
        for client, port in zip(self.clients, [self.stack.ports[1]] + [self.stack.ports[0]] * 2):
            await client.connect(port, clean=True, resend=False)
            client.outgoing.clear()
            await client.disconnect()


@scenario(timeout_s=240)
async def test_sidecars_are_killed_and_started_again(env):
    stack = await env.stack()
    traffic = await DurableTraffic(env, stack).start()
    for round_ in range(6):
        await traffic.more(60)
        sidecar = stack.sidecars[round_ % 2]
        await stack.kill(sidecar)
        await stack.restart(sidecar)
    await traffic.more(60)
    for p in traffic.publishers:
        p.stop()
    await asyncio.wait_for(asyncio.gather(*traffic.tasks), 60)
    await eventually(traffic.ledger.complete, "all that was acknowledged has arrived", 60)
    traffic.check()
    assert len(traffic.present) >= 6 and all(traffic.present), traffic.present
    await traffic.end_sessions()


@scenario(timeout_s=180)
async def test_a_sidecar_ends_while_its_clients_publish(env):
    """SIGTERM: the session goes on in the next process, nothing is lost."""
    stack = await env.stack()
    traffic = await DurableTraffic(env, stack).start()
    for sidecar in stack.sidecars:
        await traffic.more(60)
        await stack.end(sidecar)
        assert not stack.exits, stack.exits
        await stack.restart(sidecar)
    await traffic.more(60)
    for p in traffic.publishers:
        p.stop()
    await asyncio.wait_for(asyncio.gather(*traffic.tasks), 60)
    await eventually(traffic.ledger.complete, "all that was acknowledged has arrived", 60)
    traffic.check()
    await traffic.end_sessions()


@scenario(timeout_s=240)
async def test_the_broker_is_killed_while_clients_publish(env):
    """Durable sessions go on: nothing acknowledged is lost, QoS 2 comes once."""
    stack = await env.stack()
    traffic = await DurableTraffic(env, stack).start()
    for _ in range(5):
        await traffic.more(60)
        await stack.kill(stack.broker)
        await stack.restart(stack.broker)
    await traffic.more(60)
    for p in traffic.publishers:
        p.stop()
    await asyncio.wait_for(asyncio.gather(*traffic.tasks), 60)
    await eventually(traffic.ledger.complete, "all that was acknowledged has arrived", 60)
    traffic.check()
    await traffic.end_sessions()


@scenario(timeout_s=180)
async def test_a_broker_that_forgets_is_killed_and_started_again(env):
    """What its memory held is lost, and it says so; then all flows by itself."""
    stack = await env.stack(broker={"engine": "memory"})
    a, b = stack.ports
    subscriber = await env.connect(b, "subscriber")
    await subscriber.subscribe(("flow/#", 2))
    publisher = await env.connect(a, "publisher")
    clients = [subscriber, publisher]
    assert await publisher.publish("flow/a", b"before", 1) == 0
    assert (await subscriber.receive()).payload == b"before"
    for round_ in range(3):
        await stack.kill(stack.broker)
        await eventually(lambda: unlinked(stack), "the sidecars have noticed")
        waiting = [publisher.publish_nowait("flow/a", b"%d %d" % (round_, qos), qos)
                   for qos in (1, 2)]
        await asyncio.sleep(0.3)
        assert not any(f.done() for f in waiting), "acknowledged without a broker"
        assert all(c.connected for c in clients)
        await stack.restart(stack.broker)
        codes = await asyncio.wait_for(asyncio.gather(*waiting), 30)
        # 0x10 where the publisher is back before the subscriber
        assert all(code in (0, 0x10) for code in codes), codes

        async def flows():
            await publisher.publish("flow/a", b"after %d" % round_, 1)
            await subscriber.ping()
            return any(m.payload == b"after %d" % round_ for m in subscriber.inbox)
        await eventually(flows, "messages flow again by themselves", 30, 0.1)
        subscriber.inbox.clear()
    assert all(c.connected for c in clients)
    log = stack.log(stack.broker)
    assert "memory" in log, "the broker does not say that its state was only in memory"
    lost = [line for line in stack.log(stack.sidecars[1]).splitlines()
            if "subscriber" in line and "lost" in line]
    assert lost, "the sidecar does not say that the session was lost"


async def unlinked(stack):
    return all([await metric(s, "sqmqos_links") == 0 for s in stack.sidecars])


async def test_a_sidecar_without_a_broker(env):
    """The socket stays open, transient clients stay connected, a durable one waits."""
    stack = await env.stack(sidecars=1)
    port = stack.ports[0]
    await stack.kill(stack.broker)
    await eventually(lambda: unlinked(stack), "the link is gone")
    transient = await env.connect(port, "transient")
    done = transient.publish_nowait("t", b"waits", 1)
    await transient.ping()
    durable = env.client("durable")
    connecting = asyncio.create_task(durable.connect(port, props=DURABLE))
    subscribing = asyncio.create_task(transient.subscribe("t"))
    await asyncio.sleep(0.5)
    assert not done.done() and not connecting.done() and not subscribing.done()
    await stack.restart(stack.broker)
    assert await asyncio.wait_for(done, 20) in (0, 0x10)
    assert (await connecting).code == 0
    assert await subscribing == [1]
    await durable.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=120)
async def test_what_is_left_of_a_client_takes_no_session(env):
    """A durable client has left a sidecar that lost its broker, and may have moved:
    what it has not got acknowledged there is not published for it later. A
    transient client cannot move, and one that was never attached has no session:
    their last publishes arrive."""
    stack = await env.stack(sidecars=1, broker={"engine": "memory"})
    port = stack.ports[0]
    durable = await env.connect(port, "durable", props=DURABLE)
    transient = await env.connect(port, "transient")
    for client in (durable, transient):
        assert await client.publish(f"before/{client.client_id}", b"x", 1) in (0, 0x10)
    await stack.kill(stack.broker)
    await eventually(lambda: unlinked(stack), "the link is gone")
    early = await env.connect(port, "early")
    for client in (durable, transient, early):
        client.publish_nowait(f"last/{client.client_id}", b"x", 1, retain=True)
        await client.ping()
        await client.disconnect()
    await stack.restart(stack.broker)

    async def ended():
        return await metric(stack.sidecars[0], "sqmqos_sessions") == 0
    await eventually(ended, "all that was left has ended", 30)
    subscriber = await env.connect(port, "subscriber")
    await subscriber.subscribe(("last/#", 1))
    await subscriber.ping()
    got = {m.topic for m in await subscriber.receive_all(2)}
    assert got == {"last/transient", "last/early"}, got
    log = stack.log(stack.sidecars[0])
    assert "client durable: the broker ended the attachment" in log
    connack = await durable.connect(port, clean=False, props=DURABLE, resend=False)
    assert not connack.session_present
    await subscriber.ping()
    assert not subscriber.inbox, subscriber.inbox
    for topic in got:
        await subscriber.publish(topic, b"", 1, retain=True)
    await durable.disconnect(props={"session_expiry": 0})


@scenario(timeout_s=90)
async def test_a_durable_client_is_told_when_no_broker_comes(env):
    stack = await env.stack(sidecars=1)
    await stack.kill(stack.broker)
    five, four = env.client("five"), env.client("four", 4)
    answers = await asyncio.gather(five.connect(stack.ports[0], props=DURABLE, timeout_s=40),
                                   four.connect(stack.ports[0], clean=False, timeout_s=40))
    assert [a.code for a in answers] == [0x88, 3]
    await stack.restart(stack.broker)


async def test_a_client_whose_name_is_made_up_waits_for_no_broker(env):
    """Without clean start, too: there is no session of that name to go on with."""
    stack = await env.stack(sidecars=1)
    await stack.kill(stack.broker)
    client = env.client("")
    connack = await client.connect(stack.ports[0], clean=False, timeout_s=40)
    assert connack.code == 0 and not connack.session_present
    await stack.restart(stack.broker)
    await client.publish("a/b", b"1", 2)
    await client.disconnect()


@scenario(timeout_s=120)
async def test_back_pressure_without_a_broker(env):
    """Publishes at QoS 1 wait within bounds; then TCP holds the publisher."""
    stack = await env.stack()
    a, b = stack.ports
    subscriber = await env.connect(b, "subscriber")
    publisher = await env.connect(a, "publisher")
    await stack.kill(stack.broker)
    await eventually(lambda: unlinked(stack), "the links are gone")
    ledger = Ledger()
    subscriber.on_message = ledger.take
    sender = Publisher(publisher, "t", 1, ledger, window=60000, size=10000)
    running = env.spawn(sender.run(6000))  # 60 MB
    await eventually(lambda: not publisher.connection.writable.is_set(), "TCP holds it")
    backlog = await metric(stack.sidecars[0], "sqmqos_publish_backlog_bytes")
    assert 0 < backlog < 40 << 20, backlog
    assert publisher.connected and not ledger.acked["publisher"]
    await stack.restart(stack.broker)
    await subscriber.subscribe("t")
    await asyncio.wait_for(running, 90)
    assert len(ledger.acked["publisher"]) == 6000
    assert subscriber.connected

"""Programs of older commits beside those of today: a rollout meets both orders. ./dev test has
built them: in $TEST_OLD_PROGRAMS those from before the link had versions, in
$TEST_PREVIOUS_PROGRAMS newer ones, which have the link and the store of today."""

import asyncio
import json
import os
import pathlib

import brokers
import mqtt
import stack as parts
from annotations import AnnotationsFile
from api import Api
from cluster import eventually, metric
from flow import Ledger, Publisher, Traffic
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
    assert versions(stack) == {"1", "3"}


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
    assert versions(stack) == {"1", "3"}
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
    assert versions(stack) == {"2", "3"}
    await absent.disconnect(0, {"session_expiry": 0})


# ---- going back: what programs of today have written is read by previous ones

KIB = 1024


def asks(**properties):
    return {"user": [(f"sqmqos-{name}", str(value)) for name, value in properties.items()]}


class Store:
    """A client of each kind of record, which leave something for the next broker. 'n' makes what one
    broker left differ from the next one's."""

    def __init__(self, env, stack):
        self.env, self.stack = env, stack

    async def start(self):
        env, (one, two) = self.env, self.stack.ports
        self.worker = await env.connect(one, "worker")
        self.publisher = await env.connect(two, "publisher")
        self.absent = await env.connect(two, "absent", ack="none", clean=False, props=DURABLE)
        assert await self.absent.subscribe("t", qos=2) == [2]
        assert await self.absent.subscribe("$share/shared/s", qos=1) == [1]
        self.refuser = await env.connect(two, "refuser", ack="none", props=DURABLE)
        assert await self.refuser.subscribe("bad", qos=2) == [2]
        self.undertaker = await env.connect(two, "undertaker", clean=False, props=DURABLE)
        assert await self.undertaker.subscribe("$dead/#", qos=2) == [2]
        await self.undertaker.disconnect()
        return self

    async def say(self, topic, payload, qos=1, **more):
        code = await self.publisher.publish(topic, payload, qos, **more)
        assert code in (0, 0x10), (topic, payload, code)

    async def leave(self, n):
        """Fills the store: sessions, an open QoS 2 id, groups, what waits, retained, delayed, both kinds
        of dead letters, keys; part of it in the tables, part in the journal alone."""
        await self.say("t", b"open %d" % n, 2)
        assert (await self.absent.receive()).payload == b"open %d" % n
        assert self.absent.held
        self.absent.abort()
        await self.worker.disconnect(0)
        for i in range(60):
            await self.say("t", b"%d large %d " % (n, i) + b"." * 64 * KIB)
        for i in range(10):
            await self.say("t", b"%d small %d " % (n, i), 1 + i % 2)
            await self.say("s", b"%d shared %d " % (n, i))
            await self.say("crew/job", b"%d job %d " % (n, i))
        await self.say("t", b"keyed %d" % n, 2, props=asks(qos=3, key=f"key {n}"))
        if n == 0:  # previous brokers have no HTTP, and read its keys
            await Api(self.stack).publish("t", b"by http", {"idempotency-key": "http"})
        await self.say("kept", b"retained %d" % n, retain=True)
        await self.say("t", b"later %d" % n, props=asks(delay=15))
        for qos, props in ((1, None), (2, asks(qos=3))):
            await self.say("bad", b"letter %d %d" % (n, qos), qos, props=props)
            m = await self.refuser.receive()
            self.refuser.send_ack(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, m.packet_id, 0x83)
            self.refuser.held.clear()
        await self.refuser.ping()
        await eventually(lambda: metric(self.stack.broker, "sqmqos_store_checkpoints_total"), "a checkpoint")

    async def find(self, n):
        """All of it is there with the broker that runs now, once and in order."""
        self.absent.ack = "auto"
        await self.absent.connect(self.stack.ports[1], clean=False, props=DURABLE)
        got = [m.payload.split(b" .")[0].strip() for m in await self.absent.receive_all(81 + (n == 0), 60)]
        queue = [p for p in got if b"shared" not in p]
        assert queue == [*(b"%d large %d" % (n, i) for i in range(60)),
                         *(b"%d small %d" % (n, i) for i in range(10)), b"keyed %d" % n,
                         *([b"by http"] if n == 0 else [])], queue
        assert [p for p in got if b"shared" in p] == [b"%d shared %d" % (n, i) for i in range(10)]
        await self.worker.connect(self.stack.ports[0])
        jobs = [m.payload.strip() for m in await self.worker.receive_all(10)]
        assert jobs == [b"%d job %d" % (n, i) for i in range(10)]
        await self.say("t", b"again", 2, props=asks(qos=3, key=f"key {n}"))
        await self.say("t", b"again", 2, props=asks(qos=3, key="http"))
        if n == 1:  # the previous broker has written that key again, without what it is compared by
            answer = await Api(self.stack).publish("t", b"again", {"idempotency-key": "http"})
            assert answer.json["outcome"] == "replayed", answer
        await self.say("t", b"fence %d" % n)
        last = {(await self.absent.receive(30)).payload for _ in range(2)}
        assert last == {b"later %d" % n, b"fence %d" % n}, "a known key is stored once"
        assert await self.worker.subscribe("kept") == [1]
        assert (await self.worker.receive()).payload == b"retained %d" % n
        assert await self.worker.unsubscribe("kept") == [0]
        await self.undertaker.connect(self.stack.ports[1], clean=False, props=DURABLE)
        letters = sorted([m.payload for m in await self.undertaker.receive_all(2)])
        assert letters == [b"letter %d 1" % n, b"letter %d 2" % n]
        await self.undertaker.ping()
        await self.undertaker.disconnect()
        await self.absent.ping()
        assert not self.absent.held, "what was open was sent again, under its id, and is done"
        self.absent.ack = "none"

    async def end(self):
        await self.say("kept", b"", retain=True)
        await self.undertaker.connect(self.stack.ports[1], clean=False, props=DURABLE)
        for client in (self.absent, self.undertaker, self.refuser):
            await client.disconnect(0, {"session_expiry": 0})


async def back_and_forth(env, end):
    """A broker of today, a previous one on its store, and one of today again; 'end' ends each."""
    previous = programs_of(PREVIOUS)
    stack = await mixed(env, programs=PREVIOUS)
    store = await Store(env, stack).start()
    for n, programs in enumerate((previous, stack.build)):
        await store.leave(n)
        await end(stack.broker, stack)
        use(stack.broker, programs)
        await stack.restart(stack.broker)
        await store.find(n)
    await store.end()


@scenario(timeout_s=300)
async def test_a_store_of_today_is_opened_by_a_previous_broker_and_back(env):
    async def ended(broker, stack):
        await stack.end(broker)
    await back_and_forth(env, ended)


@scenario(timeout_s=300)
async def test_a_store_that_was_killed_is_opened_by_a_previous_broker_and_back(env):
    async def killed(broker, stack):
        await stack.kill(broker)
    await back_and_forth(env, killed)


@scenario(timeout_s=240)
async def test_a_previous_broker_refuses_a_store_with_named_queues(env):
    """It would end them: they are nothing to it. The store is as it was when it goes back."""
    previous = programs_of(PREVIOUS)
    stack = await env.stack(broker={"acl": [{"allow": ["manage"]}]})
    broker = stack.broker
    jobs = json.dumps({"bindings": [{"filter": "jobs/#"}]}).encode()
    assert (await Api(stack).ask("PUT", "/v1/queues/jobs", jobs)).status == 201
    await eventually(lambda: metric(broker, "sqmqos_store_checkpoints_total"), "the format is durable")
    await Api(stack).publish("jobs/1", b"one")
    await stack.kill(broker)
    use(broker, previous)
    acl = broker.tree.pop("acl")  # which it does not know, either
    broker.start()
    await eventually(lambda: not broker.running(), "the previous broker has ended")
    assert broker.process.returncode == 1
    broker.process = None  # it need not end well
    last = stack.log(broker).splitlines()[-1]
    assert "format 2 is of a newer version; this one knows 1" in last, last
    use(broker, stack.build)
    broker.tree["acl"] = acl
    await stack.restart(broker)
    told = (await Api(stack).ask("GET", "/v1/queues/jobs", headers={"sqmqos-space": "default"})).json
    assert told["counts"]["ready"] == 1, told
    env.check_leftovers = False


@scenario(timeout_s=240)
async def test_a_disk_outbox_of_today_is_opened_by_a_previous_sidecar_and_back(env):
    """No broker is there while they change."""
    previous = programs_of(PREVIOUS)
    stack = await mixed(env, programs=PREVIOUS)
    sidecar = stack.sidecars[1]
    await stack.end(sidecar)
    sidecar.tree["outbox"] = {"mode": "disk", "size": "64Mi", "dir": str(stack.folder / "outbox")}
    await stack.restart(sidecar)
    stack.descriptors[sidecar.name] += 40
    ledger = Ledger()
    taker = await env.connect(stack.ports[0], "taker", props=DURABLE)  # what is transient ends with the broker
    taker.on_message = ledger.take
    assert await taker.subscribe("flow/#", qos=2) == [2]
    for n, programs in enumerate((previous, stack.build)):
        await stack.end(stack.broker)
        client = await env.connect(stack.ports[1], f"p{n}")
        publisher = Publisher(client, f"flow/p{n}", 1 + n, ledger, 50, 20 * KIB)
        await asyncio.wait_for(publisher.run(100), 60)
        await stack.kill(sidecar)
        use(sidecar, programs)
        sidecar.start()
        await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
        await stack.restart(stack.broker)
        await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    assert ledger.problems(duplicates_allowed=False) == []
    await taker.disconnect(0, {"session_expiry": 0})


@scenario(timeout_s=120)
async def test_sidecars_of_before_find_the_owner_of_several_brokers(env):
    """One from before versions, one of a previous version: they are not told where it is, and try."""
    stack = await brokers.on_postgres(env, start=False, tls=False)
    for sidecar, programs in zip(stack.sidecars, (OLD, PREVIOUS)):
        use(sidecar, programs_of(programs))
    await stack.start()
    traffic = await Traffic().start(env, stack)
    connection = traffic.subscriber.connection
    await traffic.more(20)
    was = await stack.kill_owner()
    await stack.owner(was)
    await traffic.more(20)
    was.start()
    await stack.ready()
    await traffic.finish()
    assert traffic.subscriber.connection is connection, "the subscriber was disconnected"

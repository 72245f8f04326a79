"""A store goes from files into the log of several brokers, and back; a log that a back-up was restored of
is refused until a person says otherwise; brokers of two versions share a log."""

import asyncio
import os
import shutil
import types

import brokers
import cluster
import view
from annotations import AnnotationsFile
from api import Api
from cluster import eventually, metric
from flow import DURABLE, Traffic
from log_broker import asks, becomes, broker, database, log_at, running
from log_broker import metric as metric_of
from scenario import scenario

RUNS = {"tls": False, "sidecar": {"pool": {"backoff-min": "20ms", "backoff-max": "200ms"}}}
LOCAL = {"kind": "local"}
SOON = {"session": {"recovery-time": "500ms"}}
MORE = 8  # descriptors that a log in a database and the links of its brokers take
KILLED = -9


async def moves(program, flag, *more):
    """What it says of why it does not; None: it does."""
    code, out, said = await asks(program, flag, *more, timeout_s=60)
    assert code in (0, 1), (code, out, said)
    return said[-1] if code else None


async def dies(program, flag, point):
    """At a point on its way, as by a power cut."""
    program.environment["SQMQOS_FAULT"] = point
    try:
        code, _, said = await asks(program, flag)
        assert code == KILLED and said[-1] == f"fault point {point}", (code, said)
    finally:
        del program.environment["SQMQOS_FAULT"]


async def keeps(env, program, *names):
    """Retained messages of those names."""
    port = int(program.tree["listen"]["address"].rsplit(":", 1)[1])
    api = Api(types.SimpleNamespace(folder=env.folder, broker_port=port), tls=False)
    for name in names:
        await api.publish(f"kept/{name}", name.encode(), {"sqmqos-retain": "true"})


async def serves(program, *lines):
    """Awaits that it does, and that /readyz says so."""
    await becomes(program, *(lines or ("ok",)))

    async def answers():
        return (await asyncio.to_thread(view.ask, program, "/retained")).status == 200
    await eventually(answers, f"{program.name} has started")


async def kept(program):
    """The names of retained messages that it has."""
    rows = await asyncio.to_thread(view.rows, program, "retained")
    return sorted(row["topic"].rpartition("/")[2] for row in rows)


@scenario(timeout_s=90)
async def test_back_into_files_and_into_the_log_again(env):
    """Sessions go on at QoS 1 and 2 over both ways, with nobody disconnected."""
    stack = await brokers.on_postgres(env, brokers=1, broker=SOON, **RUNS)
    traffic = await Traffic().start(env, stack)
    await traffic.more(20)
    connection = traffic.subscriber.connection
    one, log = stack.brokers[0], stack.brokers[0].tree["log"]
    epoch = await metric(one, "sqmqos_log_epoch")
    assert "broker-0 owns it: all brokers have to be stopped" in await moves(one, "--log-export")
    await stack.yields(one)
    assert await moves(one, "--log-export") is None
    one.tree["log"] = LOCAL
    one.start()
    await stack.ready()
    await traffic.more(20)
    await stack.end(one)
    one.tree["log"] = log
    assert await moves(one, "--log-import") is None
    one.start()
    await stack.owner()
    await traffic.more(20)
    assert await metric(one, "sqmqos_log_epoch") > epoch + 1  # that of the files is between
    await traffic.finish()
    assert traffic.subscriber.connection is connection, "the subscriber was disconnected"


JOBS = "- filter: jobs\n  max-attempts: 1\n"
KEYED = {"user": [("sqmqos-qos", "3"), ("sqmqos-key", "once")]}


async def start_local(stack):
    """Of one broker and its sidecars, before any database."""
    for program in stack.programs:
        program.start()
    await stack.ready()
    await stack.linked()
    stack.descriptors = {p.name: cluster.descriptors(p) + MORE for p in stack.programs}


@scenario(timeout_s=90)
async def test_all_that_files_have_is_in_the_log(env):
    """By log.import: the broker finds its files, and a log that is new."""
    file = AnnotationsFile(env.folder / "pod").write(JOBS)
    stack = await brokers.on_postgres(env, start=False, brokers=1, annotations=[file.path, None],
                                      broker=SOON, **RUNS)
    one, log = stack.brokers[0], stack.brokers[0].tree["log"]
    one.tree["log"] = LOCAL
    await start_local(stack)
    a, b = stack.ports
    publisher = await env.connect(b, "publisher", props=DURABLE)
    asleep = [await env.connect(b, f"asleep-{i}", props=DURABLE) for i in range(2)]
    await asleep[0].subscribe(("mail/#", 2), ("later", 2))
    await asleep[1].subscribe(("$share/crew/mail/#", 2))
    for client in asleep:
        await client.disconnect()
    app = await env.connect(a, "app", ack="none")
    await publisher.publish("jobs", b"dies", 1)
    await app.receive()
    app.abort()
    await publisher.publish("state", b"kept", 1, retain=True)
    for i in range(3):
        assert await publisher.publish(f"mail/{i}", b"%d" % i, 2) == 0
    assert await publisher.publish("mail/k", b"once", 2, props=KEYED) == 0
    assert await publisher.publish("later", b"late", 1, props={"user": [("sqmqos-delay", "4")]}) == 0

    await stack.end(one)
    one.tree["log"] = log | {"import": True}
    one.start()
    await stack.owner()
    await stack.ready()
    assert await publisher.publish("mail/k", b"once", 2, props=KEYED) == 0
    assert (await asleep[0].connect(b, clean=False, props=DURABLE)).session_present
    got = [m.payload for m in await asleep[0].receive_all(5)]
    assert got == [b"0", b"1", b"2", b"once", b"late"], got
    assert (await asleep[1].connect(b, clean=False, props=DURABLE)).session_present
    got = [m.payload for m in await asleep[1].receive_all(4)]
    assert sorted(got) == [b"0", b"1", b"2", b"once"], got
    late = await env.connect(b, "late")
    await late.subscribe(("state", 1), ("$dead/#", 1))
    found = {m.topic: m.payload for m in await late.receive_all(2)}
    assert found == {"state": b"kept", "$dead/jobs": b"dies"}, found
    assert not asleep[0].inbox and not asleep[1].inbox
    await publisher.publish("state", b"", 1, retain=True)


@scenario(timeout_s=90)
async def test_what_is_killed_on_its_way_leaves_one_of_them_that_serves(env):
    async with database(env) as pg:
        one = broker(env, LOCAL)
        log = log_at(pg)

        async def goes_on(kind, has, and_then):
            one.tree["log"] = kind
            with running(one):
                await serves(one, "ok" if kind is LOCAL else "owns the log")
                assert await kept(one) == sorted(has)
                await keeps(env, one, *and_then)
            return [*has, *and_then]
        has = await goes_on(LOCAL, [], ["a"])
        one.tree["log"] = log
        for point in ("import-settled", "import-row", "import-before-log", "import-after-log"):
            await dies(one, "--log-import", point)
            has = await goes_on(LOCAL, has, [point])  # nobody has owned the log: it is as it was
            one.tree["log"] = log
        await dies(one, "--log-import", "import-before-journal")
        has = await goes_on(log, has, ["b"])
        assert "it is a log's" in await moves(one, "--log-import")
        await dies(one, "--log-export", "export-before-move")
        has = await goes_on(log, has, ["c"])
        for point in ("export-after-move", "export-before-tables"):
            await dies(one, "--log-export", point)
            with running(one):  # nobody owns the log any more, and goes on by the same command
                await becomes(one, "the log has moved to the files of broker", ready=False)
        other = broker(env, log, "other")
        assert "has moved to the files of broker" in await moves(other, "--log-export")
        assert await moves(one, "--log-export") is None
        has = await goes_on(LOCAL, has, ["d"])
        one.tree["log"] = log
        assert await moves(one, "--log-import") is None  # into the log that it was in
        has = await goes_on(log, has, ["e"])
        # another store's files
        other.tree["log"] = LOCAL
        with running(other):
            await becomes(other, "ok")
        other.tree["log"] = log
        assert "it is not new" in await moves(other, "--log-import")
        code, out, said = await asks(one, "--check-log")
        assert code == 0 and "sound" in out, (out, said)


def copy_data(source, to, ids):
    """Of a server that does not run."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)
    for path in [to, *to.rglob("*")]:
        os.chown(path, *ids)
        if path.is_dir():
            path.chmod(0o700)


@scenario(timeout_s=90)
async def test_a_log_of_a_back_up_is_refused_until_a_person_accepts_it(env):
    async with database(env) as pg:
        one, two = (broker(env, log_at(pg), name) for name in ("one", "two"))
        data = pg.primary.data

        async def copy(source, to):
            await asyncio.to_thread(pg.primary.shut_down)
            await asyncio.to_thread(copy_data, source, to, pg.ids)
            await asyncio.to_thread(pg.primary.start)
        with running(one):
            await serves(one, "owns the log")
            await keeps(env, one, "a")
        await copy(data, data.parent / "saved")
        with running(one):
            await serves(one, "owns the log")
            with running(two):
                await becomes(two, "follows one")
                await keeps(env, one, "b", "c")
                last = metric_of(one, "sqmqos_log_lsn")
                await eventually(lambda: metric_of(two, "sqmqos_log_lsn") == last, "two has all")
                epoch = metric_of(one, "sqmqos_log_epoch")
        await copy(data.parent / "saved", data)
        for program in (one, two):
            with running(program):
                await becomes(program, f"and records up to {last} were applied", ready=False)
                assert "the log has diverged: " in program.log_path.read_text()
                assert program.get("/livez")[0] == 200
        code, out, said = await asks(one, "--accept-loss")
        assert code == 0 and "it is cleared" in out and "epoch above" in out, (out, said)
        with running(one):
            await serves(one, "owns the log")
            assert metric_of(one, "sqmqos_log_epoch") > epoch
            assert await kept(one) == ["a"]
            await keeps(env, one, "d", "e", "f")
            with running(two):  # now the log is longer again, and another
                await becomes(two, "does not follow what was applied", ready=False)
            code, out, said = await asks(two, "--accept-loss")
            assert code == 0 and "it is cleared" in out and "one owns the log" in out, (out, said)
            with running(two):
                await becomes(two, "follows one")
            code, out, said = await asks(two, "--accept-loss")
            assert code == 0 and "it stays" in out, (out, said)


@scenario(timeout_s=60)
async def test_brokers_of_two_versions_share_a_log(env):
    async with database(env) as pg:
        new, old = (broker(env, log_at(pg), name) for name in ("new", "old"))
        new.environment["SQMQOS_RECORDS"] = "2"

        def formats():
            rows = pg.primary.sql("SELECT get_byte(data, 2) FROM sqmqos.log_0_1 ORDER BY lsn")
            return [int(row[0]) for row in rows]
        with running(old):
            await serves(old, "owns the log")
            with running(new):
                await becomes(new, "follows old")
                await keeps(env, old, "a")
                old.stop()
                await serves(new, "owns the log")
                await keeps(env, new, "b")  # the old one was there a moment ago
                assert set(await asyncio.to_thread(formats)) == {1}
        with running(old):
            await serves(old, "owns the log")
            assert await kept(old) == ["a", "b"]
        await asyncio.to_thread(pg.primary.sql, "DELETE FROM sqmqos.broker")  # as if long ago
        with running(new):
            await serves(new, "owns the log")
            await keeps(env, new, "c")
            assert set(await asyncio.to_thread(formats)) == {1, 2}
            with running(old):
                await becomes(old, "is of format 2: needs a newer sqmqos-broker", ready=False)
                await eventually(lambda: metric_of(new, "sqmqos_log_peers") == 2, "new sees it")
                await keeps(env, new, "d")
                assert (await asyncio.to_thread(formats))[-1] == 1
                new.stop()
                await becomes(old, "is of format 2", ready=False)  # nor does it own the log
                assert old.get("/livez")[0] == 200


@scenario(timeout_s=60)
async def test_other_brokers_leave_a_new_log_to_the_one_that_has_files(env):
    """As a rolling update of a StatefulSet has it: the last pod comes first, and must be ready."""
    async with database(env) as pg:
        log = log_at(pg) | {"import": True}
        first, second = broker(env, LOCAL, "mq-0"), broker(env, log, "mq-1")
        with running(first):
            await serves(first)
            await keeps(env, first, "a", "b")
            with running(second):
                await becomes(second, "waits for the broker of number 0")
                first.stop()
                first.tree["log"] = log
                first.start()
                await serves(first, "owns the log")
                await becomes(second, "follows mq-0")
                await keeps(env, first, "c")
                first.stop()
                await serves(second, "owns the log")
                assert await kept(second) == ["a", "b", "c"]
        # to the files of either, but not of both
        assert await moves(first, "--log-export") is None
        assert "has moved to the files of mq-0" in await moves(second, "--log-export")
        shutil.rmtree(second.tree["store"]["dir"])  # it reads the snapshot, then the log
        assert await moves(second, "--log-export", "--accept-loss") is None
        for program in (first, second):
            program.tree["log"] = LOCAL
            with running(program):
                await serves(program)
                assert await kept(program) == ["a", "b", "c"]

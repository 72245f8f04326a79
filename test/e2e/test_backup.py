"""sqmqos-broker --backup: a copy of the store while the broker runs, which a broker opens as it is."""

import asyncio
import os
import pathlib
import signal
import subprocess

from cluster import eventually, metric
from flow import Ledger, Publisher
from scenario import scenario

KIB = 1024
DURABLE = {"session_expiry": 3600}
STORE = {"journal-size": "8Mi", "max-size": "256Mi"}
HELD = "sqmqos_store_backup"


def folder(stack):
    return pathlib.Path(stack.broker.tree["store"]["dir"])


def command(stack, to, *more):
    return [*stack.broker.argv, "--backup", str(to), *more]


def run(stack, to, *more):
    done = subprocess.run(command(stack, to, *more), capture_output=True, text=True, timeout=120,
                          env=stack.broker.environment)
    return done.returncode, done.stdout + done.stderr


async def backup(stack, to, *more):
    code, said = await asyncio.to_thread(run, stack, to, *more)
    assert code == 0 and said.startswith(f"{to}: a copy of "), said
    return said


async def begin(stack, to):
    return await asyncio.create_subprocess_exec(
        *command(stack, to), env=stack.broker.environment, stderr=asyncio.subprocess.PIPE)


async def copying(stack, to):
    """The tables are being copied."""
    await eventually((to.parent / f"{to.name}.partial" / "tables" / "data.mdb").exists,
                     "the tables are copied", every_s=0.002)
    assert await metric(stack.broker, HELD) == 1


async def refused(stack, to, text):
    code, said = await asyncio.to_thread(run, stack, to)
    assert code == 1 and text in said, (code, said)


async def stack_with(env, **store):
    return await env.stack(broker={"store": STORE | store, "queue": {"max-bytes": "1Gi"}})


async def absent(env, stack, *topics, client_id="absent"):
    """A durable session, whose client has left."""
    client = await env.connect(stack.ports[1], client_id, clean=False, props=DURABLE)
    for topic in topics:
        assert await client.subscribe(topic, qos=1) == [1]
    await client.disconnect()
    return client


async def restore(stack, copy):
    """The broker goes on with a copy of its store, as if what came since had never been."""
    await stack.end(stack.broker)
    stack.broker.tree["store"]["dir"] = str(copy)
    await stack.restart(stack.broker)


async def back(stack, client, n):
    await client.connect(stack.ports[1], clean=False, props=DURABLE)
    return [m.payload for m in await client.receive_all(n)] if n else []


async def leave(*clients):
    for client in clients:
        await client.disconnect(0, {"session_expiry": 0})


async def test_what_was_acknowledged_before_is_there_and_later_things_are_not(env):
    stack = await stack_with(env)
    client = await absent(env, stack, "t")
    publisher = await env.connect(stack.ports[0], "publisher")
    for i in range(50):  # in the tables and in the journal
        assert await publisher.publish("t", b"%d " % i + b"." * 100 * KIB, 1) == 0
    assert await publisher.publish("kept", b"first", 1, retain=True) in (0, 0x10)
    copy = stack.folder / "copy"
    await backup(stack, copy)
    assert await publisher.publish("t", b"later", 1) == 0
    assert await publisher.publish("kept", b"second", 1, retain=True) in (0, 0x10)
    assert (copy.stat().st_mode & 0o777, sorted(p.name for p in (copy / "tables").iterdir())) \
        == (0o700, ["data.mdb"])
    await restore(stack, copy)
    assert [p.split()[0] for p in await back(stack, client, 50)] == [b"%d" % i for i in range(50)]
    await client.ping()
    assert not client.inbox, "what came after the backup"
    assert await publisher.publish("t", b"on it goes", 1) == 0, "its sidecar has gone on"
    assert (await client.receive()).payload == b"on it goes"
    assert await client.subscribe("kept") == [1]
    assert (await client.receive()).payload == b"first"
    assert await publisher.publish("kept", b"", 1, retain=True) == 0
    await leave(client)


@scenario(timeout_s=180)
async def test_under_load_with_checkpoints_meanwhile(env):
    """Journal files come and go, and pages of the tables are freed, while they are copied."""
    stack = await stack_with(env, **{"max-size": "4Gi"})  # room to grow, on a slow disk too
    ledger = Ledger()
    client = await absent(env, stack, "flow/#")
    taker = await env.connect(stack.ports[1], "taker")
    taker.on_message = ledger.take
    assert await taker.subscribe("flow/#", qos=1) == [1]
    sender = await env.connect(stack.ports[0], "sender")
    publisher = Publisher(sender, "flow/sender", 1, ledger, 50, 20 * KIB)
    flow = env.spawn(publisher.run())
    copies = []
    for i in range(4):
        before = await metric(stack.broker, "sqmqos_store_checkpoints_total")

        async def more(before=before):
            return await metric(stack.broker, "sqmqos_store_checkpoints_total") > before + 2
        await eventually(more, "checkpoints go on", 60)
        acked = set(ledger.acked["sender"])
        await backup(stack, stack.folder / f"copy-{i}")
        copies.append((stack.folder / f"copy-{i}", acked))
        assert await metric(stack.broker, HELD) in (0, 1)

    async def free():
        return await metric(stack.broker, HELD) == 0
    await eventually(free, "nothing is held any more")
    publisher.stop()
    await flow
    await stack.end(stack.broker)
    for copy, acked in copies:
        stack.broker.tree["store"]["dir"] = str(copy)
        await stack.restart(stack.broker)
        await stack.end(stack.sidecars[1])  # which may have acknowledgements of the last copy's
        await stack.restart(stack.sidecars[1])
        await client.connect(stack.ports[1], clean=False, props=DURABLE)
        got = []
        try:
            while not acked <= set(got):
                got.append(int((await client.receive()).payload.split()[1]))
        except asyncio.TimeoutError:
            raise AssertionError(f"{copy.name}: {len(got)} came, {len(acked - set(got))} of "
                                 f"{len(acked)} did not, from {min(acked - set(got))} on") from None
        assert got == sorted(set(got)), f"in order, none twice: {got[:60]}"
        await client.disconnect()
        client.inbox.clear()
        await stack.end(stack.broker)
    await stack.restart(stack.broker)
    await client.connect(stack.ports[1], clean=False, props=DURABLE)
    await leave(client)


async def test_where_no_copy_may_go(env):
    stack = await stack_with(env)
    full = stack.folder / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    await refused(stack, full, "is not an empty folder")
    assert (full / "mine").read_text() == "x"
    await refused(stack, folder(stack), "is the store itself")
    await refused(stack, folder(stack) / "copy", "in it")
    await refused(stack, stack.folder / "no" / "copy", "No such file")
    await refused(stack, full / "mine", "is not an empty folder")
    empty = stack.folder / "empty"
    empty.mkdir()
    await backup(stack, empty)
    assert (empty / "tables" / "data.mdb").exists()
    await refused(stack, empty, "is not an empty folder")
    assert sorted(p.name for p in stack.folder.iterdir() if "partial" in p.name) == []


async def test_no_files_of_others_are_taken_for_a_killed_backup(env):
    stack = await stack_with(env)
    others = stack.folder / "others"
    others.mkdir()
    (others / "mine").write_text("x")
    (others / "journal-of-mine").write_text("x")
    link, plain = stack.folder / "link", stack.folder / "plain"
    pathlib.Path(f"{link}.partial").symlink_to(others)
    pathlib.Path(f"{plain}.partial").mkdir()
    (pathlib.Path(f"{plain}.partial") / "mine").write_text("x")
    for to in link, plain:
        await refused(stack, to, f"{to}.partial: is there and is not what a backup leaves behind")
        assert not to.exists()
    assert sorted(p.name for p in others.iterdir()) == ["journal-of-mine", "mine"]
    assert (pathlib.Path(f"{plain}.partial") / "mine").exists()


async def test_the_store_itself_is_not_where_the_copy_is_made(env):
    stack = await stack_with(env, dir=str(env.folder / "data.partial"))
    await backup(stack, env.folder / "other")
    await stack.end(stack.broker)
    before = sorted(p.name for p in folder(stack).iterdir())
    await refused(stack, env.folder / "data", "is the store itself")
    assert sorted(p.name for p in folder(stack).iterdir()) == before
    await stack.restart(stack.broker)


async def test_without_a_broker_the_files_are_copied_as_they_are(env):
    stack = await stack_with(env)
    client = await absent(env, stack, "t")
    publisher = await env.connect(stack.ports[0], "publisher")
    assert await publisher.publish("t", b"x", 1) == 0
    await stack.kill(stack.broker)
    await backup(stack, stack.folder / "copy")
    stack.broker.tree["store"]["dir"] = str(stack.folder / "copy")
    await stack.restart(stack.broker)
    assert await back(stack, client, 1) == [b"x"]
    await leave(client)
    await stack.end(stack.broker)
    stack.broker.tree["store"]["dir"] = str(stack.folder / "none")
    stack.broker.write_config()
    await refused(stack, stack.folder / "other", "No such file")
    assert not (stack.folder / "none").exists()
    stack.broker.tree["store"]["dir"] = str(stack.folder / "copy")
    await stack.restart(stack.broker)


async def fill(stack, publisher, mib):
    for _ in range(mib):
        assert await publisher.publish("t", os.urandom(1 << 20), 1) == 0

    async def written():
        return await metric(stack.broker, "sqmqos_store_table_bytes") > (mib - 8) << 20
    await eventually(written, "it is in the tables", 60)


@scenario(timeout_s=180)
async def test_a_backup_that_is_killed_leaves_nothing_and_holds_nothing(env):
    stack = await stack_with(env, **{"max-size": "512Mi"})
    client = await absent(env, stack, "t")
    publisher = await env.connect(stack.ports[0], "publisher")
    await fill(stack, publisher, 80)
    copy = stack.folder / "copy"
    process = await begin(stack, copy)

    await copying(stack, copy)
    second, said = await asyncio.to_thread(run, stack, stack.folder / "second")
    assert second == 1 and "another backup of this store" in said, said
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert not copy.exists() and (stack.folder / "copy.partial").exists()

    async def free():
        return await metric(stack.broker, HELD) == 0
    await eventually(free, "the kernel has let go")
    await backup(stack, copy)
    assert not (stack.folder / "copy.partial").exists()
    await restore(stack, copy)
    assert len(await back(stack, client, 80)) == 80
    await leave(client)


@scenario(timeout_s=180)
async def test_a_broker_that_is_started_again_meanwhile_is_noticed(env):
    stack = await stack_with(env, **{"max-size": "512Mi"})
    client = await absent(env, stack, "t")
    publisher = await env.connect(stack.ports[0], "publisher")
    await fill(stack, publisher, 80)
    copy = stack.folder / "copy"
    task = asyncio.create_task(asyncio.to_thread(run, stack, copy))

    await copying(stack, copy)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    code, said = await task
    assert code == 1 and "was started meanwhile" in said, said
    assert not copy.exists()
    assert len(await back(stack, client, 80)) == 80
    await leave(client)


@scenario(timeout_s=180)
async def test_a_backup_that_stands_still_is_not_waited_for(env):
    """The tables would grow: they are held within a bound, and the broker goes on."""
    stack = await stack_with(env, **{"max-size": "512Mi"})
    client = await absent(env, stack, "t")
    taker = await env.connect(stack.ports[1], "taker", clean=False, props=DURABLE)
    publisher = await env.connect(stack.ports[0], "publisher")
    await fill(stack, publisher, 80)
    copy = stack.folder / "copy"
    process = await begin(stack, copy)

    await copying(stack, copy)
    process.send_signal(signal.SIGSTOP)

    async def cut():
        for _ in range(8):
            assert await publisher.publish("t", os.urandom(1 << 20), 1) == 0
        return await metric(stack.broker, "sqmqos_store_backups_cut_total") == 1
    await eventually(cut, "it is cut", 120)
    assert await metric(stack.broker, HELD) == 0
    process.send_signal(signal.SIGCONT)
    _, said = await process.communicate()
    assert process.returncode == 1 and b"has not waited for the backup: ended: so much" in said, said
    assert not copy.exists()
    await backup(stack, stack.folder / "next")
    await client.connect(stack.ports[1], clean=False, props=DURABLE)
    await leave(client, taker)


async def test_an_argument_that_is_missing_and_an_engine_without_a_store(env):
    stack = await stack_with(env)
    code, said = await asyncio.to_thread(run, stack, "")
    assert code == 2 and "--backup: needs a value" in said, said
    code, said = await asyncio.to_thread(run, stack, stack.folder / "x", "--engine", "memory")
    assert code == 2 and "engine memory has no store" in said, said

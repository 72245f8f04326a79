"""A broker whose log is in a database, by itself: what its configuration must say, how it comes to its
log and its directory, and how it ends when it has lost the log."""

import asyncio
import re
import shutil
import subprocess

import stack as parts
from cluster import eventually
from log_broker import asks, becomes, broker, build, database, ends, keeps_something, log_at, metric, running
from postgres import USER
from scenario import scenario

LOST = 75
PG = {"kind": "postgres", "postgres": {"hosts": ["127.0.0.1:5432"]}}


async def refuses_a_backup(env, program):
    """Its directory is no more than a cache of the log."""
    code, _, said = await asks(program, "--backup", str(env.folder / "copy"))
    assert code == 1 and "back up the database" in said[-1], said
    assert not list(env.folder.glob("copy*"))


async def test_each_problem_is_named_with_its_key(env):
    shown = env.folder / "shown"
    shown.write_text("secret")
    shown.chmod(0o644)
    bad = [
        ({"log": {"postgres": {"hosts": []}}}, "log.postgres.hosts: needed with log.kind: postgres"),
        ({"log": {"postgres": {"hosts": ["a b"]}}}, "log.postgres.hosts: a b: not host:port"),
        ({"log": {"postgres": {"schema": "1x"}}}, "log.postgres.schema: 1x: not 1 to 47 of"),
        ({"log": {"postgres": {"schema": 'x"; drop'}}}, "log.postgres.schema: "),
        ({"log": {"postgres": {"user": ""}}}, "log.postgres.user: needed"),
        ({"log": {"postgres": {"cert-file": "/x"}}}, "log.postgres.key-file: needed with the other"),
        ({"log": {"postgres": {"ca-file": "/nowhere"}}}, "log.postgres.ca-file: /nowhere: No such file"),
        ({"log": {"postgres": {"password-file": "/nowhere"}}}, "log.postgres.password-file: /nowhere: No such"),
        ({"log": {"postgres": {"password-file": str(shown)}}}, f"log.postgres.password-file: {shown}: others may read"),
        ({"log": {"kind": "rabbitmq"}}, ""),
        ({"broker": {"id": "a/b"}}, "broker.id: a/b: not 1 to 63"),
        ({"listen": {"advertise": "here"}}, "listen.advertise: here: not host:port"),
        ({"listen": {"advertise": "*:1"}}, "listen.advertise: *:1: not host:port"),
        ({"admin": {"advertise": "here:0"}}, "admin.advertise: here:0: not host:port"),
        ({"engine": "memory"}, "log.kind: only the embedded engine"),
    ]
    good = broker(env, PG)
    assert (await asks(good, "--check-config"))[0] == 0
    for changes, line in bad:
        program = broker(env, PG)
        program.tree = parts.merge(program.tree, changes)
        code, _, said = await asks(program, "--check-config")
        assert code == 2 and len(said) == 1 and said[0].partition(f"sqmqos-broker: {line}")[1], (changes, said)


async def test_without_its_module_it_says_which_package_is_missing(env):
    alone = env.folder / "bin" / "sqmqos-broker"
    alone.parent.mkdir()
    shutil.copy(build(env) / "sqmqos-broker", alone)
    code, _, said = await asks(broker(env, PG), argv0=str(alone))
    assert code == 2 and said[-1].endswith("it comes with the package sqmqos-broker"), said
    code, _, said = await asks(broker(env, {"kind": "local"}), "--check-config", argv0=str(alone))
    assert code == 0, said  # who needs none misses none
    # where packages put it
    place = env.folder / "lib" / "sqmqos"
    place.mkdir(parents=True)
    shutil.copy(build(env) / "sqmqos-log-postgres.so", place)
    code, out, said = await asks(broker(env, PG), "--log-schema", argv0=str(alone))
    assert code == 0 and "CREATE TABLE" in out, said


async def test_the_program_has_no_library_of_the_database(env):
    def needs(name):
        done = subprocess.run(["readelf", "-d", str(build(env) / name)], capture_output=True, text=True, check=True)
        return re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout)
    assert any(lib.startswith("libpq") for lib in needs("sqmqos-log-postgres.so"))
    assert not any(lib.startswith("libpq") for lib in needs("sqmqos-broker")), needs("sqmqos-broker")


async def test_a_log_of_its_own_has_no_schema_and_no_figures(env):
    local = broker(env, {"kind": "local"})
    for flag in ("--log-schema", "--check-log"):
        code, out, said = await asks(local, flag)
        assert (code, out) == (2, "") and said == [f"sqmqos-broker: {flag}: log.kind is local, a log in store.dir"]
    with running(local):
        await becomes(local, "ok")
        assert "sqmqos_log_" not in local.get("/metrics")[1]


@scenario(timeout_s=60)
async def test_an_administrator_makes_the_schema_and_all_of_it_is_checked(env):
    async with database(env) as pg:
        program = broker(env, log_at(pg, schema="mq", create=False))
        with running(program):
            await becomes(program, "log: ", ready=False)  # nobody has made it
        code, out, said = await asks(program, "--check-log")
        assert code == 1 and out, (out, said)
        code, out, said = await asks(program, "--log-schema")
        assert code == 0, said
        await asyncio.to_thread(pg.primary.sql, f"SET ROLE {USER}; {out}")
        with running(program):
            await becomes(program, "owns the log, epoch 1")
            assert await asyncio.to_thread(metric, program, "sqmqos_log_role") == 1
            await keeps_something(env, program)
            assert await asyncio.to_thread(metric, program, "sqmqos_log_records_total") >= 1
            assert await asyncio.to_thread(metric, program, "sqmqos_log_record_bytes_total") > 32
            await refuses_a_backup(env, program)
            code, out, said = await asks(program, "--check-log")  # while it is in use
            assert code == 0 and "owned by broker" in out and out.endswith("sound\n"), (out, said)
        assert program.process.returncode == 0
        await refuses_a_backup(env, program)
        records = int(re.search(r"records 1 to (\d+): ", (await asks(program, "--check-log"))[1])[1])
        assert records >= 1
        await asyncio.to_thread(pg.primary.sql, "UPDATE mq.log_0_1 SET data = overlay(data placing "
                                r"'\x00000000' from length(data) - 3) WHERE lsn = 1")
        code, out, said = await asks(program, "--check-log")
        assert code == 1 and "\nrecord 1: " in "\n" + out, (out, said)


@scenario(timeout_s=60)
async def test_a_database_that_may_lose_what_it_confirms_is_refused(env):
    async with database(env) as pg:
        program = broker(env, log_at(pg) | {"unsafe": False})
        with running(program):
            await becomes(program, "synchronous_standby_names", ready=False)
            assert program.get("/livez")[0] == 200
        assert program.process.returncode == 0  # one that follows nothing ends at once
        program.tree["log"]["copies"] = "managed"
        with running(program):
            await becomes(program, "owns the log")


@scenario(timeout_s=60)
async def test_a_broker_waits_for_a_log_that_is_away(env):
    async with database(env) as pg:
        program = broker(env, log_at(pg))
        program.tree["drain-timeout"] = "0s"
        await asyncio.to_thread(pg.primary.shut_down)
        with running(program):
            await becomes(program, "log: ", ready=False)
            assert program.get("/livez")[0] == 200
            assert await asyncio.to_thread(metric, program, "sqmqos_log_up") == 0
            text = program.log_path.read_text()
            assert text.count("it is tried again until it is there") == 1, text
            await asyncio.to_thread(pg.primary.start)
            await becomes(program, "owns the log")
            # and one that owns it stays ready without it
            await asyncio.to_thread(pg.primary.shut_down)
            await eventually(lambda: metric(program, "sqmqos_log_up") == 0, "the log is away")
            await becomes(program, "log: ")
            await asyncio.to_thread(pg.primary.start)
            await eventually(lambda: metric(program, "sqmqos_log_up") == 1, "the log is back")
            # and without it ends in time, though there is nobody to let go of it
            await asyncio.to_thread(pg.primary.shut_down)
            await eventually(lambda: metric(program, "sqmqos_log_up") == 0, "the log is away again")
        assert program.process.returncode == 0


@scenario(timeout_s=60)
async def test_a_directory_of_another_log_is_refused_until_it_is_forgotten(env):
    async with database(env) as pg:
        program = broker(env, {"kind": "local"})
        with running(program):
            await becomes(program, "ok")
        program.tree["log"] = log_at(pg)
        code, _, said = await asks(program)
        assert code == 1 and "has a store of its own" in said[-1] and "--forget" in said[-1], said
        program.argv.append("--forget")
        with running(program):
            await becomes(program, "owns the log")
        program.argv.remove("--forget")
        with running(program):  # its own
            await becomes(program, "owns the log")
        program.tree["log"] = log_at(pg, schema="other")
        code, _, said = await asks(program)
        assert code == 1 and "is of another log" in said[-1], said
        program.tree["log"] = {"kind": "local"}  # nor is a cache a store
        code, _, said = await asks(program)
        assert code == 1 and "store.dir" in said[-1], said


@scenario(timeout_s=60)
async def test_who_has_lost_the_log_ends_at_once_to_be_started_again(env):
    async with database(env) as pg:
        program = broker(env, log_at(pg))
        with running(program):
            await becomes(program, "owns the log")
            await asyncio.to_thread(
                pg.primary.sql, "UPDATE sqmqos.head SET nonce = nonce + 1, epoch = epoch + 1, holder = 'other'")
            await ends(program, LOST)
            last = program.log_path.read_text().splitlines()[-1]  # says why
            assert re.search(r"has claimed the log after record \d+: ended at once", last), last
        with running(program):  # nobody beats: it owns the log again
            await becomes(program, "follows other")
            await becomes(program, "owns the log, epoch 3")


@scenario(timeout_s=60)
async def test_who_serves_without_an_answer_for_long_ends(env):
    async with database(env) as pg:
        program = broker(env, log_at(pg) | {"isolated-for": "3s"})
        with running(program):
            await becomes(program, "owns the log")
            await asyncio.to_thread(pg.primary.stop)
            await ends(program, LOST)
            await asyncio.to_thread(pg.primary.cont)

"""One broker whose log may be in a database, by itself: its configuration, what it says, how it ends."""

import asyncio
import contextlib
import re
import subprocess
import types

import stack as parts
from api import Api
from cluster import eventually
from postgres import DATABASE, USER, Postgres


def build(env):
    return parts.ROOT / "build" / env.settings.build


def broker(env, log, name="broker", **more):
    """One that has not been started."""
    parts.write_token(env.folder / "token")
    tree = parts.config("broker", env.folder, listen=parts.free_port(), admin=parts.free_port(), tls=False)
    tree["store"]["dir"] = str(env.folder / f"{name}-store")
    return parts.Program("broker", name, env.folder, build(env), parts.merge(tree, {
        "broker": {"id": name}, "log": log, **more}))


def log_at(pg, **more):
    return {"kind": "postgres", "unsafe": True,
            "postgres": {"hosts": pg.hosts.split(","), "database": DATABASE, "user": USER, **more}}


async def asks(program, *flags, argv0=None, timeout_s=30):
    """(code, stdout, the lines of stderr) of a program that ends by itself."""
    program.write_config()
    argv = [argv0 or program.argv[0], *program.argv[1:], *flags]
    done = await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, text=True, timeout=timeout_s,
        env=program.environment, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr.splitlines()


@contextlib.asynccontextmanager
async def database(env, **options):
    pg = Postgres(env.folder / "database", copies=1, **options)
    try:
        await asyncio.to_thread(pg.start)
        yield pg
    finally:
        await asyncio.to_thread(pg.close)


async def becomes(program, *lines, ready=True, timeout_s=20):
    """Awaits what /readyz says."""
    async def says():
        ok, text = await asyncio.to_thread(program.ready)
        return ok == ready and all(line in text for line in lines)
    await eventually(says, f"/readyz of {program.name}: {lines}", timeout_s)


async def ends(program, code, *lines, timeout_s=20):
    """Awaits its end by itself."""
    await eventually(lambda: not program.running(), f"{program.name} ends", timeout_s)
    assert program.process.returncode == code, program.last_words()
    text = program.log_path.read_text()
    assert all(line in text for line in lines), text


@contextlib.contextmanager
def running(program):
    program.start()
    try:
        yield program
    finally:
        program.stop()


async def keeps_something(env, program):
    """A record of the log: one is made by what is durable alone."""
    port = int(program.tree["listen"]["address"].rsplit(":", 1)[1])
    api = Api(types.SimpleNamespace(folder=env.folder, broker_port=port), tls=False)
    await api.publish("kept", b"x", {"sqmqos-retain": "true"})


def metric(program, name):
    found = re.search(rf"^{name} (\d+)", program.get("/metrics")[1], re.M)
    return int(found[1]) if found else None

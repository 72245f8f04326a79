"""The front door: ./dev run as a person meets it."""

import asyncio
import os
import pathlib
import re
import signal
import socket
import subprocess

import clients
from annotations import AnnotationsFile
from cluster import eventually
from devrun import DEV, children, dev_run, free_ports
from scenario import scenario


async def test_every_verb_has_help(_env):
    for argv in (["--help"], *([verb, "--help"] for verb in
                               ("build", "run", "test", "bench", "fuzz", "fmt", "lint"))):
        done = await asyncio.to_thread(subprocess.run, [DEV, *argv], capture_output=True, text=True)
        assert done.returncode == 0 and "usage:" in done.stdout, (argv, done.stderr)
    for argv in ([], ["nonsense"], ["build", "nonsense"], ["fuzz", "soon"]):
        done = await asyncio.to_thread(subprocess.run, [DEV, *argv], capture_output=True, text=True)
        assert done.returncode == 2, argv


@scenario(timeout_s=240)
async def test_run_serves_restarts_what_dies_and_leaves_only_its_folder(env):
    port, data = free_ports(2), env.folder / "data"
    run = await dev_run(env, "--port", port, "--data", data)
    ready = await run.ready()
    assert f":{port}" in ready and f":{port + 1}" in ready and "TLS 1.3" in ready
    sub = await clients.mosquitto_sub(env, port + 1, "hello/#")
    await clients.mosquitto_pub(env, port, "hello/world", b"hi")
    assert (await sub.next())[1] == b"hi"

    programs = {pid: args for pid, args in children(run.process.pid).items() if "sqmqos-" in args}
    assert len(programs) == 3, programs
    for kind in ("sidecar", "broker"):
        victim = next(pid for pid, args in programs.items() if f"sqmqos-{kind} " in args)
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: any("SIGKILL" in line and kind in line for line in run.lines),
                         f"a line that says so of the {kind}")
        await eventually(lambda: len([a for a in children(run.process.pid).values()
                                      if "sqmqos-" in a]) == 3, "it runs again")
    await sub.end()
    sub = await eventually(lambda: subscribe_again(env, port + 1), "a sidecar serves again", 30)
    await clients.mosquitto_pub(env, port, "hello/world", b"again")
    assert (await sub.next())[1] == b"again"
    await sub.end()

    processes = set(children(run.process.pid))
    assert await run.end() == 0, run.lines
    assert not [pid for pid in processes if pathlib.Path(f"/proc/{pid}").exists()]
    assert {p.name for p in env.folder.iterdir()} <= {"data", "output"}
    assert oct(data.stat().st_mode)[-3:] == "700"
    assert oct((data / "token").stat().st_mode)[-3:] == "600"
    # the same folder serves again
    run = await dev_run(env, "--port", port, "--data", data, "--clear", "--sidecars", 1)
    assert "in the clear" in await run.ready()
    assert await run.end(signal.SIGINT) == 0


async def subscribe_again(env, port):
    try:
        return await clients.mosquitto_sub(env, port, "hello/#")
    except AssertionError:
        return None


@scenario(timeout_s=180)
async def test_run_with_annotations(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#")
    port = free_ports(2)
    run = await dev_run(env, "--port", port, "--data", env.folder / "data", "--annotations",
                        file.path)
    await run.ready()
    app = await env.connect(port + 1, "app")
    publisher = await env.connect(port, "publisher")
    await publisher.publish("orders/1", b"x", 1)
    # one queue for the workload: the first client of either sidecar may get it
    await eventually(lambda: app.inbox or publisher.inbox, "it arrives without SUBSCRIBE")
    assert await run.end() == 0


@scenario(timeout_s=120)
async def test_run_refuses_in_one_sentence(env):
    file = env.folder / "file"
    file.write_text("x")
    full = env.folder / "full"
    full.mkdir()
    (full / "something").write_text("x")
    with socket.socket() as taken:
        port = free_ports(2) + 1
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        cases = [
            (["--port", port], 1, "in use"), (["--port", port - 1], 1, f"port {port} is in use"),
            (["--port", "0"], 2, "--port"), (["--port", "70000"], 2, "--port"),
            (["--port", "x"], 2, "--port"), (["--sidecars", "0"], 2, "--sidecars"),
            (["--nonsense"], 2, "--nonsense"), (["stray"], 2, "stray"),
            (["--data", file], 1, "not a folder"), (["--data", file / "below"], 1, "below"),
            (["--data", full], 1, "not empty"), (["--data", "/proc/x"], 1, "/proc/x"),
            (["--annotations", env.folder / "none"], 1, "none"),
        ]
        free = str(free_ports(2))
        for argv, code, word in cases:
            if "--port" not in argv:
                argv = [*argv, "--port", free]
            done = await asyncio.to_thread(
                subprocess.run, [DEV, "run", *map(str, argv)], capture_output=True, text=True,
                timeout=60)
            lines = done.stderr.strip().splitlines()
            assert done.returncode == code and len(lines) == 1 and word in lines[0], \
                (argv, done.returncode, done.stderr)


@scenario(timeout_s=180)
async def test_two_runs_do_not_share_a_folder(env):
    port, other = free_ports(1), free_ports(1)
    data = env.folder / "data"
    run = await dev_run(env, "--port", port, "--data", data, "--sidecars", 1)
    await run.ready()
    done = await asyncio.to_thread(
        subprocess.run, [DEV, "run", "--port", str(other), "--sidecars", "1", "--data", str(data)],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.search(r"another \./dev run", done.stderr), done.stderr
    assert await run.end() == 0

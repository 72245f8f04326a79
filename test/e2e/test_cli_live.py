"""The verbs that go on (docs/cli.md): top, on a terminal, as lines of JSON and once."""

import asyncio
import json
import os
import signal

from cluster import eventually
from command import Command
from terminal import Terminal


def admin(env, stack):
    return Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}")


async def waiting(env, stack, n, name="kept"):
    """A publisher, and an away session with 'n' messages."""
    kept = await env.connect(stack.ports[0], name, props={"session_expiry": 600})
    await kept.subscribe((f"{name}/#", 1))
    await kept.disconnect()
    publisher = await env.connect(stack.ports[0], f"to-{name}")
    for _ in range(n):
        await publisher.publish(f"{name}/1", b"x" * 100, 1)
    return publisher


async def forget(env, stack, *names):
    for name in names:
        client = await env.connect(stack.ports[0], name, clean=True)
        await client.disconnect()


async def test_top_once_where_there_is_no_terminal(env):
    stack = await env.stack(sidecars=1, broker={"queue": {"max-messages": 5}})
    top = admin(env, stack)
    only = await env.connect(stack.ports[0], "only", clean=True)
    out, _ = await top.run("top")
    assert " 1 queue, 0 messages wait, " in out, out
    await only.disconnect()
    await waiting(env, stack, 5)
    await waiting(env, stack, 2, "evil\x1b[2J\u202e")
    out, error = await top.run("top")
    lines = out.splitlines()
    assert not error and " messages wait" in lines[0] and "/s" not in lines[0], out
    assert lines[1].startswith("store: healthy, journal ") and lines[2] == "", lines
    assert lines[3].split() == ["QUEUE", "DEPTH", "CHANGE", "BYTES", "AGE", "TAKERS", "FULL", "REFUSED", "LEFT"]
    assert lines[4].split()[:3] == ["default~demo~kept", "5", "-"], lines
    assert lines[5].split()[:2] == ["default~demo~evil%1B%5B2J%E2%80%AE", "2"], lines
    assert " yes " in lines[4] and " no " in lines[5]
    out, _ = await top.run("top", "--limit", 1)
    assert len(out.splitlines()) == 5
    out, _ = await top.run("top", "--space", "nobody")
    assert " 0 queues, 0 messages wait, 0 B" in out and "store" not in out, out
    for argv, word in ((("--interval", 0), "--interval"), (("--by", "age"), "depth or change"),
                       (("--limit", "x"), "--limit"), (("--name", "x"), "--name is nothing for top")):
        _, error = await top.run("top", *argv, code=2)
        assert word in error, error
    _, error = await Command(env, "--admin", "127.0.0.1:1").run("top", code=1)
    assert "port 1 " in error, error
    env.check_leftovers = False


async def test_top_as_json_says_what_changes(env):
    stack = await env.stack(sidecars=1)
    top = admin(env, stack)
    await waiting(env, stack, 9, "full")
    publisher = await waiting(env, stack, 3)
    running = await top.start("top", "--json", "--interval", 1)
    first = json.loads(await running.stdout.readline())
    assert first["depth"] == 12 and first["change"] is None and first["store"]["healthy"]
    assert [(q["queue"], q["depth"], q["change"]) for q in first["first"][:2]] == [
        ("default~demo~full", 9, None), ("default~demo~kept", 3, None)]
    assert first["slow_links"] == [] and first["full_spaces"] == [], first
    for _ in range(4):
        await publisher.publish("kept/1", b"more", 1)
    while True:
        row = json.loads(await running.stdout.readline())
        queues = {q["queue"]: q for q in row["first"]}
        assert queues["default~demo~full"]["change"] == 0
        if row["change"] > 0:
            break
    assert queues["default~demo~kept"]["change"] > 0 and row["commits"] > 0
    # The broker goes and comes: lines say so, and go on.
    await stack.kill(stack.broker)
    while "error" not in row:
        row = json.loads(await running.stdout.readline())
    assert f":{stack.broker.admin_port}/v1/view/queues" in row["error"], row
    stack.broker.start()
    await stack.ready()
    while "error" in row:
        row = json.loads(await running.stdout.readline())
    assert row["depth"] == 16, row
    await top.interrupt(running)
    out, _ = await top.run("top", "--json", "--count", 2, "--interval", 1, "--by", "change")
    assert len(out.splitlines()) == 2
    await forget(env, stack, "kept", "full")
    env.check_leftovers = False


async def test_top_on_a_terminal(env):
    stack = await env.stack(sidecars=1)
    top = admin(env, stack)
    await waiting(env, stack, 2)
    await waiting(env, stack, 1, "evil\x1b[2J\u202e")

    async def start(terminal, *argv):
        running = await asyncio.create_subprocess_exec(
            str(top.program), "top", "--interval", "1", *argv, *top.options, stdin=terminal.slave,
            stdout=terminal.slave, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            env=os.environ | {"TERM": "xterm"})
        env.processes.append(running)
        await eventually(lambda: shows(terminal, "default~demo~kept"), "the first screen")
        assert terminal.second and terminal.hidden
        return running

    async def shows(terminal, *words):
        return all(word in terminal.screen() for word in words)

    async def ends(running, terminal, code=0):
        assert await asyncio.wait_for(running.wait(), 10) == code
        await eventually(lambda: given_back(terminal), "the terminal is as it was")

    async def given_back(terminal):
        return terminal.given_back()
    terminal = Terminal()
    running = await start(terminal)
    assert "evil%1B%5B2J%E2%80%AE" in terminal.screen(), terminal.screen()
    await eventually(lambda: shows(terminal, "(0/s)"), "a second screen, with changes")
    # Narrower and lower: nothing is wider, or moves up; what is asserted in Terminal.
    terminal.resize(40, 6)
    running.send_signal(signal.SIGWINCH)
    await eventually(lambda: fits(terminal), "it is drawn anew")
    terminal.resize(120, 30)
    running.send_signal(signal.SIGWINCH)
    await eventually(lambda: shows(terminal, "REFUSED", "evil"), "it is drawn anew")
    # A broker that goes is waited for, and what was there is still shown.
    await stack.kill(stack.broker)
    await eventually(lambda: shows(terminal, "\n! ", "default~demo~kept"), "it says so")
    running.send_signal(signal.SIGINT)
    await ends(running, terminal)
    stack.broker.start()
    await stack.ready()
    running = await start(terminal)
    terminal.type("q")
    await ends(running, terminal)
    running = await start(terminal)
    running.send_signal(signal.SIGTERM)
    await ends(running, terminal)
    # The second signal ends it where it does not end by itself.
    running = await start(terminal)
    running.send_signal(signal.SIGSTOP)
    for number in (signal.SIGINT, signal.SIGTERM):
        running.send_signal(number)
    running.send_signal(signal.SIGCONT)
    assert await asyncio.wait_for(running.wait(), 10) >= 0
    await eventually(lambda: first_screen(terminal), "the first screen is back")
    terminal.close()
    await forget(env, stack, "kept", "evil\x1b[2J\u202e")
    env.check_leftovers = False


async def first_screen(terminal):
    return not terminal.second and not terminal.hidden


async def fits(terminal):
    lines = terminal.screen().split("\n")
    return len(lines) <= 6 and max(map(len, lines)) <= 40

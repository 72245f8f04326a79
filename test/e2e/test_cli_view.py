"""The command line on a broker's view (docs/cli.md): tables, JSON, and what it says where the other
side is none, or a hostile one."""

import asyncio
import contextlib
import http.server
import json
import socket
import subprocess
import threading

import view
from cluster import eventually
from command import Command

DURABLE = {"session_expiry": 600}


def command_line(env, admin=None):
    """sqmqos, at that port of this machine."""
    return Command(env, *(("--admin", f"127.0.0.1:{admin}") if admin else ()))


async def away(stack):
    """Waits until the client is, whose session is kept."""
    def is_away():
        return view.row(stack.broker, "sessions", name="default~demo~kept")["state"] == "detached"
    await eventually(lambda: asyncio.to_thread(is_away), "the session is without its client")


async def test_tables_of_a_real_broker(env):
    stack = await env.stack()
    cli = command_line(env, stack.broker.admin_port)
    kept = await env.connect(stack.ports[0], "kept", props=DURABLE)
    await kept.subscribe(("a/#", 1))
    evil = await env.connect(stack.ports[1], "evil\x1b[31m\u202e")
    await evil.subscribe(("b\x07", 1))
    await kept.disconnect()
    await away(stack)
    publisher = await env.connect(stack.ports[1], "publisher")
    for _ in range(3):
        await publisher.publish("a/b", b"x" * 2000, 1)

    out, _ = await cli.run("messages", "ls", "default~demo~kept")
    assert len(out.splitlines()) == 4, out
    empty = next(row["queue"] for row in view.rows(stack.broker, "queues") if not row["depth"])
    out, _ = await cli.run("messages", "ls", empty)
    assert len(out.splitlines()) == 1, out
    for json_too in ((), ("--json",)):
        out, error = await cli.run("messages", "ls", "default~demo~nobody", *json_too, code=3)
        assert not out and error == "sqmqos: queues: nothing there with the name default~demo~nobody\n", error
    _, error = await cli.run("queues", "ls", "--name", "a", "--prefix", "a", code=2)
    assert "--prefix" in error
    out, error = await cli.run("queues", "ls", "--name", "default~demo~kept")
    assert not error
    titles, rows = out.splitlines()[0].split(), out.splitlines()[1:]
    assert titles[:9] == ["QUEUE", "KIND", "DEPTH", "BYTES", "LEASED", "PARKED", "PAUSED", "AGE", "MEMBERS"], titles
    assert len(rows) == 1 and rows[0].split()[:3] == ["default~demo~kept", "session", "3"], rows
    assert " KiB " in rows[0]
    wide, _ = await cli.run("queues", "ls", "--wide")
    for column in ("MAX MESSAGES", "OVERFLOW", "LONELY", "EXPIRY"):
        assert column in wide.splitlines()[0]
    # JSON is what the broker sends.
    out, _ = await cli.run("queues", "ls", "--json", "--space", "default")
    names = {row["queue"] for row in json.loads(out)}
    assert names == {row["queue"] for row in view.rows(stack.broker, "queues", space="default")}
    out, _ = await cli.run("queues", "ls", "--json", "--space", "nobody")
    assert json.loads(out) == []
    # All pages are followed, up to --limit.
    for n in range(30):
        await env.connect(stack.ports[0], f"many-{n}")
    out, _ = await cli.run("sessions", "ls", "--prefix", "default~demo~many-", "--limit", 7)
    assert len(out.splitlines()) == 8
    out, _ = await cli.run("sessions", "ls", "--prefix", "default~demo~many-")
    assert len(out.splitlines()) == 31
    # What is a name of others stays text; --json has the same name.
    out, _ = await cli.run("sessions", "ls", "--wide")
    assert "evil\\u001b[31m\\u202e" in out, out
    out, _ = await cli.run("sessions", "ls", "--json")
    assert "evil\x1b[31m\u202e" in {row["client"] for row in json.loads(out)}
    out, _ = await cli.run("subscriptions", "ls")
    assert "b\\u0007" in out and "a/#" in out
    # One of them, by its name or its client id.
    for name in ("default~demo~kept", "kept"):
        out, _ = await cli.run("sessions", "show", name)
        shown = dict(line.split(None, 1) for line in out.splitlines())
        assert shown["state"] == "detached" and shown["queued"] == "3" and shown["durable"] == "yes"
        assert shown["expiry"] == "10m" and shown["expires"].startswith("in "), shown
    out, _ = await cli.run("sessions", "show", "kept", "--json")
    assert [row["session"] for row in json.loads(out)] == ["default~demo~kept"]
    _, error = await cli.run("sessions", "show", "nobody", code=3)
    assert error == "sqmqos: sessions: nothing there with the name nobody\n"
    _, error = await cli.run("queues", "show", "default~demo~kep*", code=3)
    link = view.rows(stack.broker, "links")[0]
    out, _ = await cli.run("links", "show", link["link"])
    assert link["peer"] in out
    out, _ = await cli.run("links", "ls")
    assert len(out.splitlines()) == 1 + len(view.rows(stack.broker, "links"))
    out, _ = await cli.run("spaces", "ls")
    assert "\ndefault " in out
    out, _ = await cli.run("spaces", "show", "default")
    assert "\nmemory " in out
    out, _ = await cli.run("store", "show")
    assert "\nhealthy " in out
    out, _ = await command_line(env).run("queues", "ls", environment={
        "SQMQOS_ADMIN": f"http://127.0.0.1:{stack.broker.admin_port}/"})
    assert "default~demo~kept" in out
    await env.connect(stack.ports[0], "kept", clean=True)
    env.check_leftovers = False


TABLES = {"tables": [{"table": "queues", "help": "", "name": "queue", "columns": [
    {"column": "queue", "type": "text", "unit": "", "help": ""},
    {"column": "depth", "type": "number", "unit": "", "help": ""}]}]}


@contextlib.contextmanager
def server(answer):
    """The port of one that answers a path with (status, headers, body)."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield one.server_port
        one.shutdown()
        thread.join()


def page(rows, following=None):
    return 200, {}, json.dumps({"table": "queues", "rows": rows, "next": following}).encode()


async def test_errors_say_what_and_where(env):
    async def says(answer, *words, code=1, argv=("queues", "ls")):
        with server(lambda h: answer(h) if callable(answer) else answer) as port:
            out, error = await command_line(env, port).run(*argv, code=code)
            assert not out and error.count("\n") == 1, (out, error)
            for word in (f"127.0.0.1:{port}/v1/view", *words):
                assert word in error, (word, error)
    problem = json.dumps({"detail": "no \x1b[31mtoken"}).encode()
    await says((401, {}, problem), "401", "no \\u001b[31mtoken", "--token-file")
    await says((403, {}, b"{}"), "403", "allow: [operate]")
    await says((404, {}, b"not here"), "404", "is it a broker")
    with server(lambda h: (404, {}, json.dumps({"detail": "there is none"}).encode())) as port:
        _, error = await command_line(env, port).run("queues", "ls", code=1)
        assert error.endswith("status 404, there is none\n"), error
    await says((200, {}, b"<html>"), "no JSON")
    await says((200, {}, b""), "no JSON")
    await says((200, {}, b"[" * 100), "too deep")
    await says((200, {}, b" " * (9 << 20)), "larger than 8 MiB")
    await says((302, {"Location": "http://127.0.0.1:1/"}, b""), "302")
    _, error = await command_line(env, 1).run("queues", "ls", code=1)
    assert "port 1 " in error and "port-forward" in error and "--admin" in error
    for admin in ("ftp://x", "http://", "http://a:b@x/", "http://x/?q"):
        _, error = await command_line(env).run("queues", "ls", "--admin", admin, code=2)
        assert "not the address of an admin endpoint" in error, error
    file = env.folder / "token"
    file.write_text("two words\n")
    _, error = await command_line(env).run("queues", "ls", "--token-file", file, code=2)
    assert "does not hold one token" in error
    _, error = await command_line(env).run("queues", "ls", "--token-file", env.folder / "none", code=2)
    assert "No such file" in error


async def test_who_does_not_answer_is_not_waited_for_long(env):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel connects, nobody reads
        port = silent.getsockname()[1]
        said = await asyncio.gather(*(
            command_line(env, port).run(*argv, code=1)
            for argv in (("queues", "ls"), ("why", "--topic", "a"), ("why", "--message", "k"))))
    for out, error in said:
        assert not out and f"127.0.0.1:{port}/v1/view" in error, error
        assert error.endswith(": it did not answer within 5 s\n"), error


async def test_busy_is_asked_again_and_the_token_is_sent(env):
    asked = []

    def answer(handler):
        asked.append(handler.headers["Sqmqos-Authorization"])
        if len(asked) in (1, 3):
            return (429 if len(asked) == 1 else 503), {"Retry-After": "1"}, b"{}"
        if handler.path == "/base/v1/view":
            return 200, {}, json.dumps(TABLES).encode()
        return page([{"queue": "q", "depth": 5}])
    file = env.folder / "token"
    file.write_text("  secret\n")
    with server(answer) as port:
        out, _ = await command_line(env).run("queues", "ls", "--admin", f"http://127.0.0.1:{port}/base",
                                    "--token-file", file)
    assert out == "QUEUE  DEPTH\nq          5\n"
    assert asked == ["Bearer secret"] * 4


async def test_what_a_hostile_server_may_cost_is_bounded(env):
    pages = 0

    def endless(handler):
        nonlocal pages
        if handler.path == "/v1/view":
            return 200, {}, json.dumps(TABLES).encode()
        pages += 1
        return page([{"queue": "x" * 200000, "depth": n} for n in range(30)], f"again-{pages}")
    with server(endless) as port:
        out, error = await command_line(env, port).run("queues", "ls", "--wide", code=1)
    assert not out and "more than 64 MiB" in error, error
    for strange in ({"rows": 3}, {"rows": [3]}, {"rows": [], "next": "x" * 9000}, [], {}):
        with server(lambda h: (200, {}, json.dumps(strange).encode())) as port:
            _, error = await command_line(env, port).run("queues", "ls", "--json", code=1)
            assert "admin endpoint of a broker" in error, error


async def test_why_names_what_stands_in_the_way(env):
    stack = await env.stack(sidecars=1, broker={"queue": {"max-messages": 3}})
    cli = command_line(env, stack.broker.admin_port)

    async def why(*argv, code=0):
        out, error = await cli.run("why", *argv, code=code)
        assert not error, error
        return out
    publisher = await env.connect(stack.ports[0], "publisher")
    kept = await env.connect(stack.ports[0], "kept", props=DURABLE)
    await kept.subscribe(("orders/+", 1), ("$tag/red/paint", 1))
    # All is well.
    out = await why("--topic", "orders/1")
    assert "default~demo~kept takes it by orders/+, at QoS 1 at most, from queue default~demo~kept" in out
    assert "nothing waits in it" in out and "default~demo~kept is attached" in out
    assert "nothing that the view tells stands in the way" in out and "!" not in out, out
    # A missing binding, and what is nearly one.
    out = await why("--topic", "invoices/1", code=3)
    assert "! nothing takes it\n" in out and 'sqmqos.io/subscribe: "invoices/1"' in out
    out = await why("--topic", "Orders/1", code=3)
    assert "takes orders/+, which is nearly the topic" in out, out
    out = await why("--topic", "$SYS/x", code=3)
    assert "! no client may publish to $SYS/x: " in out, out
    out = await why("--topic", "paint", "--tag", "blue", code=3)
    assert "only messages with the tag red" in out, out
    assert "by $tag/red/paint" in await why("--topic", "paint", "--tag", "red")
    # A client that is not there, and one that does not take it.
    out = await why("--topic", "orders/1", "--client", "nobody", code=3)
    assert "! no session of client nobody is there" in out
    out = await why("--topic", "orders/1", "--client", "publisher", code=3)
    assert "! nothing of client publisher takes it" in out
    assert "kept takes it" in await why("--topic", "orders/1", "--client", "kept", "--space", "default")
    # A wrong space, by the topic and by the client.
    out = await why("--topic", "orders/1", "--space", "shop", code=3)
    assert "! nothing takes it in space shop" in out
    assert "! in space default, default~demo~kept takes it by orders/+" in out, out
    out = await why("--topic", "orders/1", "--space", "shop", "--client", "kept", code=3)
    assert "! a session of that client is in space default: default~demo~kept" in out, out
    # An away session, then a full queue.
    await kept.disconnect()
    await away(stack)
    out = await why("--topic", "orders/1")
    assert "! default~demo~kept is away: its client is not connected, since " in out, out
    assert "it ends in " in out and "-> connect client kept again" in out, out
    assert "is full" not in out
    for n in range(3):
        await publisher.publish("orders/1", b"12345", 1)
    out = await why("--topic", "orders/1")
    assert "3 messages wait in it" in out, out
    assert "! queue default~demo~kept is full, 3 of 3 messages" in out and "queue.max-messages" in out, out
    await env.connect(stack.ports[0], "kept", clean=True)
    # Shared queues have no trouble of their own while somebody is there.
    crew = await env.connect(stack.ports[0], "crew")
    await crew.subscribe(("$share/g/work/#", 1))
    out = await why("--topic", "work/1")
    assert "takes it by $share/g/work/#" in out and "1 take from it" in out and "!" not in out, out
    env.check_leftovers = False


async def test_manual_and_completion_have_every_command(env):
    cli = command_line(env)
    usage, _ = await cli.run("--help")
    commands = [line.split("  ")[1] for line in usage.split("\noptions")[0].splitlines()
                if line.startswith("  ") and line[2] != " "]
    assert {"inject", "why", "queues ls", "queues show QUEUE", "store show"} <= set(commands), commands
    manual, _ = await cli.run("man")
    options = {word for word in usage.replace(",", " ").split() if word.startswith("--")}
    assert {"--topic", "--space", "--json"} <= options
    for command in commands:
        words = [word for word in command.split() if word[0].islower()]
        assert f"\\fBsqmqos {' '.join(words)}\\fR" in manual, command
        shown, _ = await cli.run(*words, "--help")
        assert shown.startswith(f"usage: sqmqos {command}"), shown
    for option in options:
        assert option.replace("-", "\\-") in manual, option
    script, _ = await cli.run("completion", "bash")
    path = env.folder / "completion.sh"
    path.write_text(script)

    def completes(*words):
        """What bash offers for the last of the words."""
        done = subprocess.run(
            ["bash", "-c", f'. {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _sqmqos; '
             'printf "%s\\n" "${COMPREPLY[@]}"', "bash", "sqmqos", *words],
            capture_output=True, text=True, check=True)
        assert not done.stderr, done.stderr
        return done.stdout.split()
    assert set(completes("")) >= {command.split()[0] for command in commands}
    assert completes("que") == ["queues"]
    assert completes("queues", "") == ["ls", "show", "purge", "peek", "declare", "set", "delete", "bind",
                                       "unbind", "pause", "resume"]
    assert completes("queues", "ls", "--wi") == ["--wide", "--with-messages"]
    assert completes("why", "--to") == ["--token-file", "--topic"]
    assert completes("queues", "ls", "--space", "") == []

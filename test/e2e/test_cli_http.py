"""The command line over HTTP (docs/cli.md): pub at a broker; requests and their answers at a server
that notes them."""

import base64
import http.server
import json
import re
import shlex
import signal
import ssl
import threading
import urllib.parse

import stack as parts
from api import Api
from cluster import eventually
from command import Command
from mqtt import Client

DURABLE = {"session_expiry": 600}


def at_broker(env, stack):
    """The command with the broker's HTTP API."""
    return Command(env, "--url", Api(stack).url, "--token-file", stack.folder / "token",
                   "--ca", stack.folder / "ca.pem", "--space", "default")


async def test_pub_over_http_arrives_as_it_was_given(env):
    stack = await env.stack(sidecars=1)
    command = at_broker(env, stack)
    sub = Client("sub")
    await sub.connect(stack.ports[0], clean=False, props=DURABLE)
    await sub.subscribe("#", qos=2)
    for argv, stdin, want in (
            (["a/1", "-m", "hi"], None, ("a/1", b"hi", 1, [])),
            (["a//./../b c?d", "-m", "x", "-q", "0"], None, ("a//./../b c?d", b"x", 0, [])),
            (["ü/€", "--stdin", "-q", "2"], bytes(range(256)), ("ü/€", bytes(range(256)), 2, [])),
            (["a", "-m", "", "-D", "Na me=v,1", "--tag", "shop", "--tag", "e,u", "--order-key", "o"], None,
             ("a", b"", 1, [("Na me", "v,1"), ("tag", "shop"), ("tag", "e,u"), ("sqmqos-order-key", "o")]))):
        out, error = await command.run("pub", *argv, stdin=stdin)
        assert not out and not error, (out, error)
        m = await sub.receive()
        assert (m.topic, m.payload, m.qos) == want[:3], m
        assert sorted(m.props.get("user", [])) == sorted(want[3]), m
    await command.run("pub", "l", "-l", "--content-type", "application/json", "--ttl", "90s", stdin=b"1\n\n{}")
    got = [await sub.receive() for _ in range(3)]
    assert [m.payload for m in got] == [b"1", b"", b"{}"]
    assert got[0].props["content_type"] == "application/json" and 80 <= got[0].props["message_expiry"] <= 90
    # QoS 3: once, however often it is sent.
    for outcome in ("stored", "replayed"):
        out, _ = await command.run("pub", "k", "-m", "x", "--key", 'a "quoted" \\ key', "--json")
        assert json.loads(out)["outcome"] == outcome, out
    m = await sub.receive()
    assert ("sqmqos-key", 'a "quoted" \\ key') in m.props["user"], m
    out, _ = await command.run("pub", "later", "-m", "x", "--delay", "1s", "--json")
    assert json.loads(out)["outcome"] == "scheduled", out
    assert (await sub.receive()).topic == "later"
    await sub.disconnect(props={"session_expiry": 0})


async def test_pub_over_http_says_what_is_refused(env):
    stack = await env.stack(sidecars=1)
    command = at_broker(env, stack)
    _, error = await command.run("pub", "nobody", "-m", "x")
    assert "no subscription matches" in error and "sqmqos why --topic 'nobody'" in error, error
    for argv, said in (
            (["a/#", "-m", "x"], "status 422"), (["a", "-m", "x", "-q", "4"], "sqmqos-qos must be 0, 1, 2 or 3"),
            (["a", "-m", "x", "--ttl", "soon"], "sqmqos-ttl must be a duration"),
            
            (["a", "-m", "x", "--receipt", "r\n"], "sqmqos-receipt: a header can't have control characters"),
            (["a", "-m", "x", "--key", "k", "-q", "1"], "idempotency-key is for sqmqos-qos: 3")):
        _, error = await command.run("pub", *argv, code=1)
        assert said in error, (argv, error)
    _, error = await command.run("pub", "b/#", "-l", stdin=b"x\n", code=1)
    assert error.startswith("sqmqos: line 1: "), error
    url = Api(stack).url
    plain = Command(env)
    for argv, code, said in (
            (["--url", url], 1, "--ca FILE has the broker's authorities"),
            (["--url", url, "--ca", stack.folder / "ca.pem"], 1,
             "status 401"),
            (["--url", f"https://127.0.0.1:{parts.free_port()}"], 1, "127.0.0.1"),
            (["--url", "https://u:p@127.0.0.1"], 2, "not the address of an HTTP API"),
            (["--url", "https://127.0.0.1?x=y"], 2, "not the address of an HTTP API"),
            (["--url", "https://127.0.0.1", "--token-file", "/nowhere"], 2, "/nowhere: "),
            (["--url", "https://127.0.0.1", "--client", "x"], 2, "--client and --timeout are for MQTT"),
            (["--url", "mqtt://127.0.0.1", "--ttl", "5s"], 2, "--ttl is for a --url of https")):
        _, error = await plain.run("pub", "a", "-m", "x", *argv, code=code)
        assert said in error, (argv, error)
    # What has a secret in it is never said.
    token = Api(stack).token
    assert token not in error


# ---- a server that notes what is asked

class Server:
    """Answers by 'answers', a list of (status, headers, body) for each "METHOD path", the last of which
    stays; notes (method, path with query, body)."""

    def __init__(self, folder):
        server = self
        self.answers, self.asked, self.headers = {}, [], []
        parts.write_certificates(folder)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.partition("?")[0]
                server.asked.append((self.command, self.path, body))
                server.headers.append(dict(self.headers))
                rows = server.answers.get(f"{self.command} {path}", [(404, {}, b"")])
                status, headers, answer = rows[0] if len(rows) == 1 else rows.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def has(self, line, *rows):
        self.answers[line] = [row if isinstance(row, tuple) else (200, {}, row) for row in rows]

    def posted(self, path):
        return [body for method, p, body in self.asked if p == path and method == "POST"]


def at_server(env):
    server = Server(env.folder)
    (env.folder / "t").write_text("secret-token\n")
    return server, Command(env, "--url", server.url, "--token-file", env.folder / "t", "--ca", env.folder / "ca.pem")


def message(n, **more):
    return {"lease": f"L{n}-_", "id": f"I{n}", "topic": f"jobs/{n}", "qos": 1, "attempt": 1} | more


def messages(*rows):
    return json.dumps({"messages": rows}).encode()


EMPTY = (204, {}, b"")
RECEIVE = "POST /v1/queues/jobs/receive"


async def test_receive_prints_messages_as_they_are(env):
    server, command = at_server(env)
    number = b'{"price": 19.90,\n\t"big":123456789012345678901234567890}'
    body = messages(message(1, text="hi \x1b[2J \u202e"), message(2, base64=base64.b64encode(b"\xff\n").decode()),
                    message(3, json=0), message(4, json="s"), message(5, text=""))
    body = body.replace(b'"json": 0', b'"json": ' + number)
    server.has(RECEIVE, body)
    out, error = await command.run("receive", "jobs", "--max", 7, "--wait", "1m", "--lease", "45s")
    assert not error
    assert out.splitlines() == [
        "L1-_ jobs/1 hi \\u001b[2J \\u202e", "L2-_ jobs/2 \\xff\\u000a",
        'L3-_ jobs/3 {"price": 19.90,\\u000a\\u0009"big":123456789012345678901234567890}',
        'L4-_ jobs/4 "s"', "L5-_ jobs/5"], out
    assert server.asked == [("POST", "/v1/queues/jobs/receive?max=7&wait=60000ms&lease=45s", b"")]
    assert server.headers[0]["Authorization"] == "Bearer secret-token"
    out, _ = await command.run("receive", "jobs", "--json", "--ack", "receive")
    lines = out.splitlines()
    assert len(lines) == 5 and '"big":123456789012345678901234567890' in lines[2]
    assert [json.loads(line)["topic"] for line in lines] == [f"jobs/{n}" for n in range(1, 6)]
    assert server.asked[-1][1] == "/v1/queues/jobs/receive?max=10&wait=20000ms&ack=receive"
    server.has(RECEIVE, EMPTY)
    assert await command.run("receive", "jobs", "--wait", "0") == ("", "")
    for answer in (b"", b"[]", b'{"messages":1}', b'{"messages":[1]}', b'{"messages":[{"lease":1}', b"<html>"):
        server.has(RECEIVE, answer)
        _, error = await command.run("receive", "jobs", code=1)
        assert "no messages" in error, (answer, error)
    server.has(RECEIVE, (404, {}, b'{"detail":"queue jobs: there is none"}'))
    _, error = await command.run("receive", "jobs", code=3)
    assert "status 404, queue jobs: there is none" in error, error


async def test_a_command_settles_by_its_exit_code(env):
    server, command = at_server(env)
    took = env.folder / "took"
    rows = [messages(message(n, text=f"payload {n}", type="text/plain", key="k", orderKey="o")) for n in range(3)]
    rows.append(messages(message(3, base64=base64.b64encode(bytes(1 << 20)).decode())))
    server.has(RECEIVE, *rows, EMPTY)
    for n in range(4):
        for how in ("ack", "nack", "extend"):
            server.has(f"POST /v1/leases/L{n}-_/{how}", EMPTY)
    script = f"""{{ echo "$SQMQOS_TOPIC $SQMQOS_ID $SQMQOS_LEASE $SQMQOS_ATTEMPT $SQMQOS_TYPE $SQMQOS_KEY \
$SQMQOS_ORDER_KEY"; head -c 9; echo; }} >>{shlex.quote(str(took))}
case $SQMQOS_TOPIC in jobs/1) exit 7 ;; jobs/2) kill -9 $$ ;; esac"""
    out, error = await command.run("receive", "jobs", "--exec", script, "--count", 4)
    assert not out
    assert [p for m, p, _ in server.asked if "leases" in p] == [
        "/v1/leases/L0-_/ack", "/v1/leases/L1-_/nack", "/v1/leases/L2-_/nack", "/v1/leases/L3-_/ack"]
    assert error.splitlines() == ["sqmqos: jobs/1, lease L1-_...: the command ended with 7",
                                  "sqmqos: jobs/2, lease L2-_...: the command ended with 137"]
    assert took.read_bytes().splitlines()[:2] == [b"jobs/0 I0 L0-_ 1 text/plain k o", b"payload 0"]
    assert took.read_bytes().endswith(b"jobs/3 I3 L3-_ 1   \n" + bytes(9) + b"\n")
    assert all("max=1&" in p and "lease=30s" in p for _, p, _ in server.asked if "receive" in p)


async def test_a_lease_lives_as_long_as_its_command(env):
    server, command = at_server(env)
    server.has(RECEIVE, messages(message(1, text="x")), EMPTY)
    server.has("POST /v1/leases/L1-_/extend", EMPTY)
    server.has("POST /v1/leases/L1-_/ack", (410, {}, b'{"detail":"it has ended"}'))
    go = env.folder / "go"
    process = await command.start("receive", "jobs", "--lease", "300ms", "--exec",
                                  f"while ! [ -e {shlex.quote(str(go))} ]; do sleep 0.05; done")

    async def extended():
        return len(server.posted("/v1/leases/L1-_/extend")) >= 3
    await eventually(extended, "the lease is extended again and again")
    assert set(server.posted("/v1/leases/L1-_/extend")) == {b'{"by":"300ms"}'}
    # A signal lets the command end, and the message be settled.
    process.send_signal(signal.SIGTERM)
    go.touch()
    _, error = await command.end(process)
    assert "not settled: " in error and "status 410, it has ended" in error, error
    assert len(server.posted("/v1/leases/L1-_/ack")) == 1


async def test_a_worker_waits_for_a_broker_that_is_away(env):
    server, command = at_server(env)
    server.has("POST /v1/leases/L1-_/ack", EMPTY)
    server.has(RECEIVE, (504, {}, b""), (503, {"retry-after": "1"}, b""), messages(message(1, text="x")), EMPTY)
    _, error = await command.run("receive", "jobs", "--exec", "true", "--count", 1)
    assert error.count("\n") == 1 and "status 504" in error and "asking again" in error, error
    # While it waits, a signal ends it without a word.
    process = await command.start("receive", "jobs", "--exec", "true")

    async def asks():
        return len(server.asked) > 4
    await eventually(asks, "it asks again")
    assert await command.interrupt(process) == ("", "")
    server.has(RECEIVE, (403, {}, b'{"detail":"consume jobs"}'))
    _, error = await command.run("receive", "jobs", "--exec", "true", code=1)
    assert "status 403, consume jobs" in error, error


async def test_leases_are_settled_by_hand(env):
    server, command = at_server(env)
    for how in ("ack", "nack", "reject", "extend"):
        server.has(f"POST /v1/leases/Q7%2F/{how}", EMPTY)
    for argv in (["ack", "Q7/"], ["reject", "Q7/"], ["nack", "Q7/"], ["nack", "Q7/", "--delay", "1m"],
                 ["extend", "Q7/", "--lease", "90"]):
        assert await command.run(*argv) == ("", "")
    assert [(p.rsplit("/", 1)[1], body) for _, p, body in server.asked] == [
        ("ack", b""), ("reject", b""), ("nack", b""), ("nack", b'{"delay":"60000ms"}'),
        ("extend", b'{"by":"90000ms"}')]
    server.has("POST /v1/leases/Q7%2F/ack", (410, {}, b'{"detail":"it has ended"}'))
    _, error = await command.run("ack", "Q7/", code=1)
    assert "status 410, it has ended" in error, error


async def test_queues_are_declared_by_flags_and_files(env):
    server, command = at_server(env)
    place = "/v1/queues/billing"
    server.has(f"PUT {place}", (201, {}, b'{"name":"billing"}\n'), (200, {}, b'{"name":"billing"}\n'))
    out, _ = await command.run("queues", "declare", "billing", "--filter", "orders/#", "--filter", "a", "-q", 2,
                               "--set", "order=key", "--set", "max-attempts=3", "--set", "retry.first=1s",
                               "--set", "exactlyOnce=true", "--set", "ttl=7d", "--set", "push.on.retry=404",
                               "--set", "push.headers.x-version=1", "--set", "push.headers.x-old=null")
    assert out == "made queue billing\n"
    assert json.loads(server.asked[-1][2]) == {
        "bindings": [{"filter": "orders/#", "qos": 2}, {"filter": "a", "qos": 2}], "order": "key",
        "maxAttempts": 3, "retry": {"first": "1s"}, "exactlyOnce": True, "ttl": "7d",
        "push": {"on": {"retry": 404}, "headers": {"x-version": "1", "x-old": None}}}
    assert server.headers[-1]["Content-Type"] == "application/json"
    file = env.folder / "billing.yaml"
    file.write_text("bindings: [{tag: eu}]\nmax-attempts: 5\nretry: {first: 2s}\n")
    out, _ = await command.run("queues", "declare", "billing", "-f", file, "--set", "retry.max=9m")
    assert out == "queue is as declared: billing\n"
    assert json.loads(server.asked[-1][2]) == {
        "bindings": [{"tag": "eu"}], "maxAttempts": 5, "retry": {"first": "2s", "max": "9m"}}
    out, error = await command.run("queues", "declare", "billing", "-f", "-", "--json", stdin=b'{"order": "topic"}')
    assert out == '{"name":"billing"}\n' and json.loads(server.asked[-1][2]) == {"order": "topic"}
    assert "queue billing has no bindings now" in error
    file.write_text("push:\n  url: http://h/{topic.1}\n  retry: {attempts: 8}\n  reply: from-request\n"
                    "  headers: {x-tenant: \"{space}\"}\n  on: {dead-letter: [4xx, 404]}\n  http2: true\n")
    await command.run("queues", "declare", "billing", "-f", file, "--set", "push.on.retry=409,5xx",
                      "--set", "push.headers.x-sent-at=a=b", "--set", "push.retry.for=24h", "--set", "push.auth=null")
    assert json.loads(server.asked[-1][2]) == {"push": {
        "url": "http://h/{topic.1}", "retry": {"attempts": 8, "for": "24h"}, "reply": "from-request", "auth": None,
        "headers": {"x-tenant": "{space}", "x-sent-at": "a=b"}, "http2": True,
        "on": {"deadLetter": ["4xx", 404], "retry": "409,5xx"}}}
    server.has(f"PUT {place}", (409, {}, b'{"detail":"billing.yaml declares it"}'))
    _, error = await command.run("queues", "declare", "billing", code=1)
    assert "status 409, billing.yaml declares it" in error, error


async def test_queues_are_bound_paused_emptied_and_ended(env):
    server, command = at_server(env)
    place = "/v1/queues/billing"
    ids = {"a": "orders%2F%23", "b": "%24tag%2Feu", "c": "%24tag%2Feu%2Fa%2F%2B", "d": "my-id"}
    for name in ids.values():
        server.has(f"PUT {place}/bindings/{name}", (201, {}, b"{}\n"))
        server.has(f"DELETE {place}/bindings/{name}", EMPTY)
    for argv, name, body in ((["--filter", "orders/#"], "a", {"filter": "orders/#"}),
                             (["--tag", "eu"], "b", {"tag": "eu"}),
                             (["--tag", "eu", "--filter", "a/+"], "c", {"filter": "a/+", "tag": "eu"}),
                             (["--filter", "x", "--id", "my-id"], "d", {"filter": "x"})):
        out, _ = await command.run("queues", "bind", "billing", *argv, "-q", 1)
        assert out == "bound queue billing\n"
        assert server.asked[-1][:2] == ("PUT", f"{place}/bindings/{ids[name]}")
        assert json.loads(server.asked[-1][2]) == body | {"qos": 1}
        await command.run("queues", "unbind", "billing", *argv)
        assert server.asked[-1] == ("DELETE", f"{place}/bindings/{ids[name]}", b"")
    for verb, line, said in (("pause", "POST /pause", "paused queue billing\n"),
                             ("resume", "POST /resume", "resumed queue billing\n"),
                             ("delete", "DELETE ", "deleted queue billing\n")):
        method, rest = line.split(" ")
        server.has(f"{method} {place}{rest}", EMPTY)
        assert await command.run("queues", verb, "billing") == (said, "")
    await command.run("queues", "delete", "billing", "--with-messages")
    assert server.asked[-1][:2] == ("DELETE", f"{place}?with-messages=true")
    server.has(f"POST {place}/purge", b'{"purged":3}\n')
    assert (await command.run("queues", "purge", "billing", "--yes"))[0] == "purged 3 messages of queue billing\n"
    asked = len(server.asked)
    _, error = await command.run("queues", "purge", "billing", code=2)
    assert "say --yes" in error and len(server.asked) == asked, error
    server.has(f"GET {place}/messages", messages({"seq": 7, "id": "I", "topic": "a", "text": "hi"}))
    out, _ = await command.run("queues", "peek", "billing", "--max", 3)
    assert out == "a hi\n" and server.asked[-1][1] == f"{place}/messages?peek=3"


def queue(name, **counts):
    counts = {"ready": 0, "leased": 0, "parked": 0, "dead": 0, "oldestAge": None} | counts
    return {"name": name, "paused": False, "settings": {"order": "none", "retry": {"first": "1s"},
                                                        "bindings": [{"id": "a"}]},
            "counts": counts, "consumers": {"members": 1, "pollers": 2}}


async def test_subscribers_are_listed_over_all_pages(env):
    server, command = at_server(env)
    pages = [[queue("a", ready=12, oldestAge="90000ms"), queue("b\x1b[2J")], [queue("c")]]
    pages[1][0]["push"] = {"state": "open"}
    pages[1][0]["settings"]["push"] = {"url": "https://x.example/"}
    server.has("GET /v1/queues", *(json.dumps({"queues": rows, "next": after}).encode()
                                   for rows, after in zip(pages, ("b/", None))))
    out, _ = await command.run("subscribers", "ls")
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert lines[0] == ["NAME", "ORDER", "READY", "LEASED", "PARKED", "DEAD", "OLDEST", "MEMBERS", "POLLERS", "PAUSED",
                        "STATE", "PUSH"]
    assert lines[1] == ["a", "none", "12", "0", "0", "0", "1m 30s", "1", "2", "false", "-", "-"], lines
    assert lines[3][-2:] == ["open", "https://x.example/"], lines
    assert [line[0] for line in lines[2:]] == ["b\\u001b[2J", "c"]
    assert [p for _, p, _ in server.asked] == ["/v1/queues?after=", "/v1/queues?after=b%2F"]
    server.has("GET /v1/queues", json.dumps({"queues": pages[0], "next": None}).encode())
    out, _ = await command.run("subscribers", "ls", "--json", "--space", "shop")
    assert [row["name"] for row in json.loads(out)] == ["a", "b\x1b[2J"]
    assert server.headers[-1]["sqmqos-space"] == "shop"
    server.has("GET /v1/queues/a", json.dumps(queue("a")).encode() + b"\n")
    out, _ = await command.run("subscribers", "show", "a")
    rows = dict(re.split(r" +", line, maxsplit=1) for line in out.splitlines())
    assert rows["name"] == "a" and rows["settings.retry.first"] == "1s" and rows["counts.oldestAge"] == "-"
    assert rows["settings.bindings"] == '[{"id":"a"}]', rows
    out, _ = await command.run("subscribers", "show", "a", "--json")
    assert json.loads(out) == queue("a")
    _, error = await command.run("subscribers", "show", "b", code=3)
    assert "status 404" in error
    server.has("GET /v1/queues", b'{"queues": 1}')
    _, error = await command.run("subscribers", "ls", code=1)
    assert "no queues" in error, error


async def test_bridges_are_listed_shown_and_paused(env):
    server, command = at_server(env)
    down = {"name": "to-rabbit", "space": "shop", "kind": "amqp", "declaredAt": "r.yaml:3", "paused": False,
            "out": {"queue": "bridge.to-rabbit", "up": False, "inFlight": 2, "why": "refused\x1b[2J",
                    "messages": {"ok": 7, "failed": 1}}}
    server.has("GET /v1/bridges", json.dumps({"bridges": [down]}).encode())
    out, _ = await command.run("bridges", "ls")
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert lines[0] == ["NAME", "SPACE", "KIND", "PAUSED", "OUT", "IN FLIGHT", "SENT", "FAILED", "IN", "CAME", "OUT WHY",
                        "IN WHY"]
    assert lines[1] == ["to-rabbit", "shop", "amqp", "false", "false", "2", "7", "1", "-", "-", "refused\\u001b[2J", "-"]
    assert json.loads((await command.run("bridges", "ls", "--json"))[0]) == [down]
    server.has("GET /v1/bridges/to-rabbit", json.dumps(down).encode() + b"\n")
    out, _ = await command.run("bridges", "show", "to-rabbit")
    rows = dict(re.split(r" +", line, maxsplit=1) for line in out.splitlines())
    assert rows["out.queue"] == "bridge.to-rabbit" and rows["out.messages.ok"] == "7", rows
    assert json.loads((await command.run("bridges", "show", "to-rabbit", "--json"))[0]) == down
    for verb in ("pause", "resume"):
        server.has(f"POST /v1/bridges/to-rabbit/{verb}", EMPTY)
        assert (await command.run("bridges", verb, "to-rabbit"))[0] == f"{verb}d bridge to-rabbit\n"
    _, error = await command.run("bridges", "show", "other", code=3)
    assert "status 404" in error
    server.has("GET /v1/bridges", b'{"bridges": 1}')
    _, error = await command.run("bridges", "ls", code=1)
    assert "no bridges" in error, error


async def test_settings_change_and_pushes_are_tried(env):
    server, command = at_server(env)
    server.has("PATCH /v1/queues/billing", b'{"name":"billing"}\n')
    out, _ = await command.run("queues", "set", "billing", "max-attempts=5", "retry.first=1s", "retry.max=null",
                               "push.url=https://x.example/a=b")
    assert out == "changed queue billing\n", out
    assert server.asked[-1][0] == "PATCH" and json.loads(server.asked[-1][2]) == {
        "maxAttempts": 5, "retry": {"first": "1s", "max": None}, "push": {"url": "https://x.example/a=b"}}
    out, _ = await command.run("queues", "set", "billing", "order=key", "--json")
    assert json.loads(out) == {"name": "billing"}
    for verb in ("pause", "resume"):
        server.has(f"POST /v1/queues/billing/{verb}", EMPTY)
        assert (await command.run("subscribers", verb, "billing"))[0] == f"{verb}d queue billing\n"
    for answer, code, said in (
            ({"taken": True, "status": 204, "took": "3.200ms", "type": "", "why": ""}, 0, "taken: status 204, 3.200ms\n"),
            ({"taken": False, "status": 404, "took": "9.000ms", "type": "text/html", "why": "status 404"}, 1,
             "not taken: status 404, 9.000ms, text/html\n"),
            ({"taken": False, "status": None, "took": "30.000ms", "type": "", "why": "it does not resolve"}, 1,
             "no answer, 30.000ms: it does not resolve\n")):
        server.has("POST /v1/queues/billing/test", json.dumps(answer).encode())
        out, error = await command.run("push", "test", "billing", code=code)
        assert (out, error) == (said, ""), (out, error)
        out, _ = await command.run("push", "test", "billing", "--json", code=code)
        assert json.loads(out) == answer
    _, error = await command.run("push", "test", "none", code=3)
    assert "status 404" in error
    server.has("POST /v1/request/svc/a%20b", b"two\nlines")
    out, _ = await command.run("request", "svc/a b", "-m", "x", "--timeout", "7", "--ttl", "9s", "-q", "0", "-D", "a=b")
    assert out == "two\nlines" and server.asked[-1] == ("POST", "/v1/request/svc/a%20b?timeout=7s", b"x"), server.asked[-1]
    assert server.headers[-1]["sqmqos-qos"] == "0" and server.headers[-1]["sqmqos-ttl"] == "9s"


async def test_a_service_is_asked(env):
    stack = await env.stack(sidecars=1)
    command = at_broker(env, stack)
    _, error = await command.run("request", "svc/a", "-m", "x", code=1)
    assert "status 409, nothing matches" in error, error
    svc = await env.connect(stack.ports[0], "svc")
    await svc.subscribe("svc/#", qos=1)

    async def answer():
        m = await svc.receive()
        await svc.publish(m.props["response_topic"], b"re:" + m.payload, 1)
    env.spawn(answer())
    assert await command.run("request", "svc/a", "--stdin", stdin=b"two") == ("re:two", "")
    _, error = await command.run("request", "svc/a", "-m", "x", "--timeout", "1", code=1)
    assert "status 504" in error and "no reply has come" in error, error
    await svc.receive()


async def test_dead_letters_are_published_again_page_by_page(env):
    server, command = at_server(env)
    place = "/v1/dead-letters/shop/redrive"

    def page(done, stayed=0, after=None):
        return json.dumps({"done": done, "stayed": stayed, "more": after is not None, "next": after}).encode()
    server.has(f"POST {place}", page(1000, 3, "p1"), page(1000, 0, "p2"), page(7, 1))
    out, _ = await command.run("dead-letters", "redrive", "--space", "shop", "--filter", "a/#", "--reason", "rejected",
                               "--to", "again")
    assert out == "published 2007 dead letters again; 4 stay: nobody takes them, or a queue is full\n"
    ask = {"filter": "a/#", "reason": "rejected", "to": "again"}
    assert [json.loads(body) for body in server.posted(place)] == [ask, ask | {"after": "p1"}, ask | {"after": "p2"}]
    server.asked.clear()
    server.has(f"POST {place}", page(1000, 0, "p1"), page(200, 0, "p2"), (500, {}, b""))
    out, _ = await command.run("dead-letters", "redrive", "--space", "shop", "--max", "1200", "--json")
    assert json.loads(out) == {"done": 1200, "stayed": 0}
    assert [json.loads(body) for body in server.posted(place)] == [{}, {"after": "p1", "max": 200}]
    server.has(f"POST {place}", page(5, 0, "p1"), (403, {}, b'{"detail":"manage $dead"}'))
    _, error = await command.run("dead-letters", "redrive", "--space", "shop", code=1)
    assert "status 403, manage $dead" in error and "; 5 done before" in error, error


async def test_dead_letters_are_listed_page_by_page(env):
    server, command = at_server(env)
    place = "/v1/dead-letters/shop/messages"

    def page(numbers, after=None):
        return json.dumps({"messages": [{
            "queue": "dead~shop", "seq": n, "reason": "rejected", "detail": "status 415", "from": "queue~shop~q", "topic": "t\n/1", "qos": 3,
            "json": {"deep": [[[[[[[[[[[[[[[[[[[[n]]]]]]]]]]]]]]]]]]]]}} for n in numbers], "next": after}).encode()
    server.has(f"GET {place}", page(range(100), "0.100.0"), page([100]))
    out, _ = await command.run("dead-letters", "ls", "--space", "shop", "--json")
    assert [row["seq"] for row in json.loads(out)] == list(range(101)) and '"json"' not in out, out
    asked = [urllib.parse.urlsplit(a[1]).query for a in server.asked]
    assert asked == ["peek=100&after=", "peek=100&after=0.100.0"], asked
    server.asked.clear()
    server.has(f"GET {place}", page([7, 8], "0.9.0"), page([9], "0.10.0"))
    out, _ = await command.run("dead-letters", "ls", "--space", "shop", "--limit", "3")
    lines = out.splitlines()
    assert lines[0].split() == ["QUEUE", "LETTER", "TOPIC", "FROM", "CAUSE", "DETAIL", "DIED", "KEY", "QOS"], lines
    assert len(lines) == 4 and all("rejected  status 415" in line for line in lines[1:]), lines
    asked = [urllib.parse.urlsplit(a[1]).query for a in server.asked]
    assert asked == ["peek=3&after=", "peek=1&after=0.9.0"], asked
    server.has(f"GET {place}", b'{"queues":[]}')
    _, error = await command.run("dead-letters", "ls", "--space", "shop", code=1)
    assert "no dead letters" in error, error


async def test_what_can_t_be_asked_is_said_before_it_is(env):
    server, command = at_server(env)
    for argv, said in (
            (["receive"], "missing: QUEUE"), (["receive", "q", "--max", "1001"], "--max is a number from 1 to 1000"),
            (["receive", "q", "--wait", "1w"], "--wait is a duration as 250ms, 30s, 5m or 24h, not 1w"),
            (["receive", "q", "--lease", "-1s"], "--lease is a duration"),
            (["receive", "q", "--ack", "later"], "--ack is manual or receive, not later"),
            (["receive", "q", "--exec", "true", "--json"], "--exec takes one message after the other"),
            (["receive", "q", "--count", "1"], "--count is for --exec"),
            (["extend", "L"], "--lease DURATION is missing"), (["ack", "L", "--delay", "1s"], "--delay is nothing for ack"),
            (["queues", "declare", "q", "--set", "order"], "--set is SETTING=VALUE"),
            (["queues", "declare", "q", "--set", ".a=1"], "--set is SETTING=VALUE"),
            (["queues", "declare", "q", "--filter", "a", "-q", "0"], "--qos is a number from 1 to 2"),
            (["queues", "declare", "q", "-f", "/nowhere"], "/nowhere"),
            (["queues", "set", "q"], "missing: SETTING=VALUE"), (["queues", "set", "q", "order"], "SETTING=VALUE"),
            (["queues", "set"], "missing: QUEUE SETTING=VALUE..."), (["queues", "delete", "q", "r"], "what is this: r"),
            (["push", "test"], "missing: QUEUE"), (["request", "a"], "--message or --stdin is missing"),
            (["request", "a", "-m", "x", "--retain"], "--retain is nothing for request"),
            (["queues", "bind", "q"], "--filter or --tag is missing"),
            (["queues", "unbind", "q"], "--id, --filter or --tag is missing"),
            (["queues", "purge", "q", "--yes", "--max", "3"], "with --url, purge has no --max"),
            (["dead-letters", "ls"], "of a space: --space NAME"),
            (["dead-letters", "ls", "--space", "s", "--wide"], "with --url, ls has no --wide"),
            (["dead-letters", "redrive", "q", "--space", "s"], "--space NAME, and no queue"),
            (["dead-letters", "redrive"], "--space NAME, and no queue"),
            (["dead-letters", "redrive", "--space", "s", "--letter", "1"], "with --url, redrive has no --letter"),
            (["dead-letters", "redrive", "--space", "s", "--admin", "x"], "with --url, redrive has no --admin")):
        _, error = await command.run(*argv, code=2)
        assert said in error, (argv, error)
    _, error = await Command(env).run("dead-letters", "redrive", "--space", "s", "--reason", "x", code=2)
    assert "--reason is for the HTTP API" in error, error
    bad = env.folder / "bad.yaml"
    for text, said in (("a: [", "neither YAML nor JSON"), ("- a", "the settings of one queue are wanted"),
                       ("a: 1\n---\nb: 2\n", "the settings of one queue are wanted")):
        bad.write_text(text)
        _, error = await command.run("queues", "declare", "q", "-f", bad, code=2)
        assert said in error, error
    assert not server.asked
    plain = Command(env)
    for url in (None, "mqtt://localhost:1883"):
        _, error = await plain.run("receive", "q", code=2, environment={"SQMQOS_URL": url} if url else None)
        assert "receive asks a broker's HTTP API: --url or SQMQOS_URL" in error, error
    # All of it from the environment.
    server.has(RECEIVE, EMPTY)
    await plain.run("receive", "jobs", environment={
        "SQMQOS_URL": server.url, "SQMQOS_TOKEN_FILE": str(env.folder / "t"),
        "SQMQOS_CA_FILE": str(env.folder / "ca.pem")})
    assert server.headers[-1]["Authorization"] == "Bearer secret-token"
    assert urllib.parse.urlsplit(server.asked[-1][1]).path == "/v1/queues/jobs/receive"


async def test_a_queue_from_its_declaration_to_its_end(env):
    """All verbs at a broker."""
    stack = await env.stack(sidecars=1, broker={"acl": [{"allow": ["manage"]}]})
    command = at_broker(env, stack)
    assert (await command.run("queues", "declare", "jobs", "--filter", "jobs/#", "--set", "order=key",
                              "--set", "retry.first=0s", "--set", "max-attempts=2"))[0] == "made queue jobs\n"
    assert (await command.run("queues", "bind", "jobs", "--tag", "extra"))[0] == "bound queue jobs\n"
    for n, more in enumerate((["--order-key", "a"], ["--order-key", "a"], ["--order-key", "b"])):
        await command.run("pub", f"jobs/{n}", "-m", f'{{"n": {n}.0}}', "--content-type", "application/json", *more)
    await command.run("pub", "elsewhere", "-m", "x", "--tag", "extra")
    out, _ = await command.run("subscribers", "show", "jobs")
    rows = dict(re.split(r" +", line, maxsplit=1) for line in out.splitlines())
    assert rows["settings.order"] == "key" and rows["settings.maxAttempts"] == "2" and rows["counts.ready"] == "4", rows
    # In order of each key: the second one of "a" waits for the first.
    leases = {}
    for most, topics in ((1, {"jobs/0"}), (10, {"jobs/2", "elsewhere"})):
        out, _ = await command.run("receive", "jobs", "--wait", "5s", "--lease", "1m", "--max", most)
        took = {line.split()[1]: line.split()[0] for line in out.splitlines()}
        assert set(took) == topics, out
        assert "jobs/0" not in took or '{"n": 0.0}' in out, out
        leases |= took
    assert await command.run("nack", leases["jobs/0"], "--delay", "0") == ("", "")
    assert await command.run("extend", leases["jobs/2"], "--lease", "5m") == ("", "")
    for topic in ("jobs/2", "elsewhere"):
        assert await command.run("ack", leases[topic]) == ("", "")
    out, _ = await command.run("receive", "jobs", "--wait", "5s", "--max", "1", "--json")
    again, = (json.loads(line) for line in out.splitlines())
    assert again["topic"] == "jobs/0" and again["attempt"] == 2 and again["orderKey"] == "a", again
    _, error = await command.run("ack", leases["jobs/0"], code=1)
    assert "status 410" in error, error
    assert await command.run("reject", again["lease"]) == ("", "")
    await command.run("receive", "jobs", "--exec", "cat >/dev/null", "--count", "1", "--wait", "5s")
    row, = json.loads((await command.run("subscribers", "ls", "--json"))[0])
    assert {k: row["counts"][k] for k in ("ready", "leased", "dead")} == {"ready": 0, "leased": 0, "dead": 1}, row
    # Paused, emptied, unbound, and ended.
    await command.run("queues", "pause", "jobs")
    await command.run("pub", "jobs/9", "-m", "x")
    assert await command.run("receive", "jobs", "--wait", "0") == ("", "")
    await command.run("queues", "resume", "jobs")
    _, error = await command.run("queues", "delete", "jobs", code=1)
    assert "status 409" in error, error
    out, _ = await command.run("queues", "purge", "jobs", "--yes")
    assert out == "purged 1 messages of queue jobs\n", out
    assert (await command.run("queues", "unbind", "jobs", "--filter", "jobs/#"))[0] == "unbound queue jobs\n"
    assert (await command.run("queues", "delete", "jobs"))[0] == "deleted queue jobs\n"
    _, error = await command.run("receive", "jobs", code=3)
    assert "status 404" in error, error
    letter, = json.loads((await command.run("dead-letters", "ls", "--json"))[0])
    assert (letter["topic"], letter["reason"], letter["from"]) == ("jobs/0", "rejected", "queue~default~jobs"), letter
    redrive = ["dead-letters", "redrive", "--filter", "jobs/#", "--reason", "rejected", "--to", "again"]
    out, _ = await command.run(*redrive)
    assert out == "published 0 dead letters again; 1 stays: nobody takes it, or a queue is full\n", out
    sub = await env.connect(stack.ports[0], "sub")
    await sub.subscribe("again", qos=1)
    assert (await command.run(*redrive))[0] == "published 1 dead letter again\n"
    again = await sub.receive()
    assert (again.topic, again.payload) == ("again", b'{"n": 0.0}'), again

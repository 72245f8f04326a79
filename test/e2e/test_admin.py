"""The admin endpoint, signals, --help, and the reference that follows from the
programs' tables."""

import asyncio
import http.client
import re
import signal
import socket
import subprocess

import stack as parts
from cluster import eventually, metrics
from injector import Injector


async def test_livez_readyz_and_metrics(env):
    stack = await env.stack(sidecars=1)
    for program in stack.programs:
        assert program.get("/livez")[0] == 200
        assert program.get("/readyz")[0] == 200
        status, body = program.get("/nothing")
        assert status == 404
        status, body = program.get("/metrics")
        assert status == 200
        names = set()
        for line in body.strip().splitlines():
            if line.startswith("# "):
                assert re.match(r"^# (HELP|TYPE) [a-z0-9_]+ .+$", line), line
                names.add(line.split()[2])
            else:
                assert re.match(r'^[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? '
                                r"-?[0-9.eE+-]+$", line), line
                name = re.split(r"[{ ]", line)[0]
                assert {name, re.sub(r"_(bucket|sum|count)$", "", name)} & names, f"no HELP before {line}"
        assert "process_open_fds" in names


async def test_every_address_serves_both_families(env):
    """admin.listen "*:port", as a pod has it whose probes come by IPv4 or IPv6."""
    stack = await env.stack(sidecars=1, start=False)
    for program in stack.programs:
        program.tree["admin"]["listen"] = f"*:{program.admin_port}"
    await stack.start()
    for program in stack.programs:
        for host in hosts():
            assert await asyncio.to_thread(livez, host, program.admin_port) == 200, (program, host)


def hosts():
    """The loopback addresses that this machine has."""
    yield "127.0.0.1"
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        return
    yield "::1"


def livez(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/livez", headers={"connection": "close"})
        return connection.getresponse().status
    finally:
        connection.close()


async def test_livez_answers_under_load(env):
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c")
    for n in range(2000):
        client.publish_nowait("t", b"x" * 1000, 0)
    for program in stack.programs:
        assert (await asyncio.to_thread(program.get, "/livez"))[0] == 200


H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_WINDOW = b"\0\0\6\4\0\0\0\0\0" b"\0\4\0\0\0\0"
GET_METRICS = b"\0\0\x0f\1\5\0\0\0\1" b"\x82\x86\4\x08/metrics\x41\1x"
STRANGERS = (b"", b"GET /li", b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
             H2_PREFACE, H2_PREFACE + NO_WINDOW + GET_METRICS)


def besiege(port, polls):
    """64 connections that say nothing, or half, or don't take their answer; between them
    /livez is asked. Returns how many answers it gave; each connection must end by itself."""
    good = 0
    strangers = []
    try:
        for i in range(64):
            s = socket.create_connection(("127.0.0.1", port), timeout=20)
            strangers.append(s)
            if STRANGERS[i % len(STRANGERS)]:
                s.sendall(STRANGERS[i % len(STRANGERS)])
            if i % (64 // polls) == 0:
                good += livez("127.0.0.1", port) == 200
        for s in strangers:
            try:
                while s.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    finally:
        for s in strangers:
            s.close()
    return good


async def test_silent_and_slow_connections_keep_no_probe_out(env):
    stack = await env.stack(sidecars=1)
    injector = await Injector(env).start()
    for program in (*stack.programs, injector.program):
        assert await asyncio.to_thread(besiege, program.admin_port, 16) == 16, program
        assert (await asyncio.to_thread(program.get, "/metrics"))[0] == 200


async def test_a_loop_that_stands_still_silences_nothing(env):
    """A worker hangs in the middle of its work: all three resources go on answering."""
    stack = await env.stack(sidecars=1, start=False)
    stack.broker.environment["SQMQOS_FAULT"] = "broker-publish-admitted:1:hang"
    await stack.start()
    env.check_leftovers = False
    client = await env.connect(stack.ports[0], "c")
    await client.subscribe(("t", 1))
    client.publish_nowait("t", b"x", 1)

    def says_so():
        for path, status in (("/metrics", 200), ("/readyz", 200)):
            assert stack.broker.get(path)[0] == status
        status, body = stack.broker.get("/livez")
        return status == 503 and "its loop has not turned" in body
    await eventually(lambda: asyncio.to_thread(says_so), "/livez says that a loop hangs", 60)
    await stack.kill(stack.broker)


async def test_counters_count(env):
    stack = await env.stack()
    sub = await env.connect(stack.ports[1], "sub")
    await sub.subscribe(("t", 2))
    pub = await env.connect(stack.ports[0], "pub")
    for qos in (0, 1, 2):
        await pub.publish("t", b"x", qos)
        await sub.receive()

    async def counted():
        first, second, broker = [await metrics(p) for p in (*stack.sidecars, stack.broker)]
        return all(first[f'sqmqos_messages_received_total{{qos="{q}"}}'] == 1 and
                   broker[f'sqmqos_messages_received_total{{qos="{q}"}}'] == 1 and
                   broker[f'sqmqos_messages_sent_total{{qos="{q}"}}'] == 1 and
                   second[f'sqmqos_messages_sent_total{{qos="{q}"}}'] == 1 for q in (0, 1, 2))
    await eventually(counted, "one message at each QoS")


async def test_sigterm_ends_with_code_0_and_sigint_too(env):
    stack = await env.stack(sidecars=2)
    client = await env.connect(stack.ports[0], "c")
    stack.sidecars[0].signal(signal.SIGTERM)
    assert await client.wait_closed() == 0x8B  # server shutting down
    stack.sidecars[1].signal(signal.SIGINT)
    for sidecar in stack.sidecars:
        code = await asyncio.to_thread(sidecar.process.wait, 20)
        assert code == 0, (sidecar.name, code)
    stack.broker.signal(signal.SIGINT)
    assert await asyncio.to_thread(stack.broker.process.wait, 20) == 0
    env.check_leftovers = False


def output(env, kind, *argv):
    program = parts.ROOT / "build" / env.settings.build / f"sqmqos-{kind}"
    done = subprocess.run([str(program), *argv], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (kind, argv, done.returncode, done.stderr)
    return done.stdout


async def test_help_and_version(env):
    for kind in ("broker", "sidecar"):
        text = output(env, kind, "--help")
        assert "listen." in text and "--config" in text
        assert max(map(len, text.splitlines())) < 200
        assert re.match(rf"^sqmqos-{kind} \d+\.\d+\.\d+$", output(env, kind, "--version").strip())


async def test_the_configuration_reference_is_current(env):
    page = (parts.ROOT / "docs" / "configuration.md").read_text()
    for kind in ("broker", "sidecar", "injector"):
        table = output(env, kind, "--help-markdown").strip()
        assert table in page, f"docs/configuration.md: the table of {kind} is not what " \
            f"`sqmqos-{kind} --help-markdown` prints"
    table = output(env, "sidecar", "--help-annotations").strip()
    assert table in (parts.ROOT / "docs" / "annotations.md").read_text(), \
        "docs/annotations.md: the table is not what `sqmqos-sidecar --help-annotations` prints"


async def test_environment_and_flags_override_the_file(env):
    stack = await env.stack(sidecars=1)
    sidecar = stack.sidecars[0]
    await stack.end(sidecar)
    sidecar.environment |= {"SQMQOS_LOG_LEVEL": "debug", "SQMQOS_IDENTITY_POD": "from-env"}
    sidecar.argv += ["--identity.pod", "from-flag"]
    await stack.restart(sidecar)
    client = await env.connect(stack.ports[0], "c")
    await client.subscribe("t")
    await eventually(lambda: " debug " in stack.log(sidecar), "debug lines")


async def test_a_wrong_token_is_seen_at_the_broker(env):
    stack = await env.stack(sidecars=1)
    other = stack.folder / "other-token"
    other.write_text("another-token\n")
    stranger = parts.Program("sidecar", "stranger", stack.folder,
                             parts.ROOT / "build" / env.settings.build,
                             parts.merge(stack.sidecars[0].tree, {
                                 "listen": {"port": parts.free_port()},
                                 "admin": {"listen": f"127.0.0.1:{parts.free_port()}"},
                                 "auth": {"token-file": str(other)}})).start()
    try:
        line = ("127.0.0.1 refused with 401, static-unknown: "
                "the token is none of auth.tokens-file")
        await eventually(lambda: line in stack.log(stack.broker), "the broker's log says who")
        assert other.read_text().strip() not in stack.log(stack.broker)
    finally:
        assert await asyncio.to_thread(stranger.stop) == 0


async def test_a_token_file_is_read_again(env):
    """A renewed token, and links that come up later, without a restart."""
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c")
    await client.subscribe("t")
    parts.write_token(stack.folder / "token")
    await stack.end(stack.broker)
    await stack.restart(stack.broker)

    async def flows():
        await client.publish("t", b"", 1)
        await client.ping()
        return client.inbox
    await eventually(flows, "messages flow with the new token", 30)
    assert client.connected

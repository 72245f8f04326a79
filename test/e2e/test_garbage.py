"""Malformed input on every door: an answer, a log line, a counter, and never
the end of a process or of anybody else's connection."""

import asyncio
import contextlib
import pathlib
import random
import socket
import ssl
import struct
import subprocess

import clients
import mqtt
import stack as parts
from cluster import eventually, metric
from mqtt import packet, text
from scenario import scenario

V5_CONNECT = packet(1, text("MQTT") + b"\5\2\0\0\0" + text("c"))
V4_CONNECT = packet(1, text("MQTT") + b"\4\2\0\0" + text("c"))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def h2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


async def send_garbage(port, data, close=False, tls=None, timeout_s=10):
    """Sends 'data'; returns what comes back until the end of the connection."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None)
    answer = b""
    try:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
            return b""
        while more := await asyncio.wait_for(reader.read(65536), timeout_s):
            answer += more
    except OSError:
        pass
    finally:
        writer.transport.abort()
    return answer


class Bystander:
    """Somebody else's traffic, which nothing here may disturb."""

    def __init__(self, stack):
        self.stack = stack
        self.count = 0

    async def start(self, env):
        self.sub = await env.connect(self.stack.ports[-1], "bystander-sub")
        await self.sub.subscribe(("bystander", 2))
        self.pub = await env.connect(self.stack.ports[0], "bystander-pub")
        return self

    async def check(self):
        self.count += 1
        await self.pub.publish("bystander", b"%d" % self.count, 2)
        assert int((await self.sub.receive()).payload) == self.count
        for program in self.stack.programs:
            assert program.running(), f"{program.name} has ended"


BEFORE_CONNECT = [
    b"\0", b"\xff" * 100, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", PREFACE,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",             # TLS to a clear port
    packet(12), packet(3, text("t") + b"x"), packet(8, b"\0\1" + text("t") + b"\0", 2),
    b"\x10\xff\xff\xff\xff\x7f",                                  # length of five bytes
    b"\x10\xff\xff\xff\x7f" + b"\0" * 100,                        # 256 MiB announced
    packet(1, text("MQTT") + b"\6\2\0\0" + text("c")),            # protocol level
    packet(1, text("MQTX") + b"\4\2\0\0" + text("c")),
    packet(1, text("MQTT") + b"\4\3\0\0" + text("c")),            # reserved flag
    packet(1, text("MQTT") + b"\4\x1e\0\0" + text("c") + text("w") + text("")),  # will QoS 3
    packet(1, text("MQTT") + b"\4\2\0\0" + text(b"a\0b")),        # U+0000
    packet(1, text("MQTT") + b"\4\2\0\0" + text(b"\xc0\x80")),    # not UTF-8
    packet(1, text("MQTT") + b"\4\2\0\0"), packet(1, b""), packet(1, V4_CONNECT[2:], 1),
    packet(1, text("MQTT") + b"\5\2\0\0" + b"\2\x21\0" + text("c")),  # property cut short
    packet(1, text("MQTT") + b"\5\2\0\0" + b"\3\x21\0\0" + text("c")),  # receive maximum 0
]
AFTER_CONNECT = [
    packet(0), packet(15, b"\x18\0"), packet(1, V5_CONNECT[2:]), packet(2, b"\0\0"), packet(13),
    packet(3, text("t") + b"\0\0\0", 2),                          # packet id 0
    packet(3, text("t") + b"\0\1\0x", 6),                         # QoS 3
    packet(3, text("a/+") + b"\0x"), packet(3, text("") + b"\0x"),
    packet(3, text("t") + b"\2\x0b\1"),                           # subscription id from a client
    packet(3, b"\xff\xff"), packet(8, b"\0\1\0", 2), packet(8, b"\0\1\0" + text("a/#/b") + b"\0", 2),
    packet(8, b"\0\1\0" + text("t") + b"\3", 2), packet(8, b"\0\1\0" + text("t") + b"\0"),
    packet(10, b"\0\1\0", 2), packet(4, b"\0"), packet(6, b"\0\1"), packet(14, b"\xff"),
    packet(9, b"\0\1\0\0"), packet(11, b"\0\1\0\0"), packet(12, b"x"),
]


@scenario(timeout_s=180)
async def test_garbage_on_the_mqtt_port(env):
    stack = await env.stack()
    bystander = await Bystander(stack).start(env)
    port = stack.ports[0]
    for data in BEFORE_CONNECT:
        await send_garbage(port, data + b"\xff" * 16)
    await bystander.check()
    for data in AFTER_CONNECT:
        answer = await send_garbage(port, V5_CONNECT + data)
        assert answer[:1] == b"\x20", (data, answer)              # CONNACK
        if answer[2 + answer[1]:]:
            assert answer[2 + answer[1]] in (0xE0, 0x90, 0x60, 0x40, 0x50, 0x70, 0xB0), \
                (data, answer.hex())
    await bystander.check()
    for cut in range(1, len(V5_CONNECT)):
        await send_garbage(port, V5_CONNECT[:cut], close=True)
    rng = random.Random(3)
    for _ in range(150):
        head = rng.choice([b"", V4_CONNECT, V5_CONNECT])
        await send_garbage(port, head + rng.randbytes(rng.randint(1, 400)), close=True)
    await bystander.check()
    # a mutated conversation
    talk = V5_CONNECT + packet(8, b"\0\1\0" + text("t") + b"\1", 2) + \
        packet(3, text("t") + b"\0\2\0hello", 2)
    for _ in range(150):
        data = bytearray(talk)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        await send_garbage(port, bytes(data), close=True)
    await bystander.check()
    await eventually(lambda: only_two_clients(stack), "the others are gone")


WEBSOCKET = b"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: c2VjcmV0\r\n\r\n"
FOREIGNERS = [  # (what comes, its name in the metric, in the log, in the answer)
    (b"GET /secret HTTP/1.1\r\nhost: x\r\n\r\n", "http", "an HTTP request", b"400"),
    (b"POST /secret HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi", "http", "an HTTP request", b"400"),
    (PREFACE, "http", "an HTTP request", b"400"),
    (WEBSOCKET, "websocket", "a WebSocket handshake", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls", "a TLS handshake", b""),
]


async def foreigners(sidecar):
    """How many the sidecar has counted, by protocol."""
    name = 'sqmqos_foreign_connections_total{protocol="%s"}'
    return {p: await metric(sidecar, name % p) for p in ("http", "websocket", "tls")}


async def test_http_and_tls_on_the_mqtt_port_are_named(env):
    stack = await env.stack(sidecars=1, tls=False,
                            sidecar={"session": {"connect-timeout": "2s"}})
    sidecar, port = stack.sidecars[0], stack.ports[0]
    bystander = await Bystander(stack).start(env)
    expected = await foreigners(sidecar)
    assert set(expected.values()) == {0}
    for data, protocol, name, status in FOREIGNERS:
        at = len(stack.log(sidecar))
        answer = await send_garbage(port, data)
        assert answer.startswith(b"HTTP/1.1 " + status if status else b""), answer
        assert not status or b"MQTT" in answer.partition(b"\r\n\r\n")[2], answer
        assert status or not answer, answer
        expected[protocol] += 1
        assert await foreigners(sidecar) == expected, data
        log = stack.log(sidecar)[at:]
        assert name in log and "secret" not in log, log
    # in pieces, as a slow network brings it
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(len(WEBSOCKET)):
        writer.write(WEBSOCKET[i:i + 1])
        await writer.drain()
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    expected["websocket"] += 1
    assert await foreigners(sidecar) == expected
    # a request without end is judged when its time is over
    assert (await send_garbage(port, b"GET / HTTP/1.1\r\nhost: x\r\n")).startswith(b"HTTP/1.1 400")
    expected["http"] += 1
    assert await foreigners(sidecar) == expected
    # a crowd of them does not fill the log
    at = len(stack.log(sidecar))
    for _ in range(100):
        await send_garbage(port, PREFACE)
    expected["http"] += 100
    assert await foreigners(sidecar) == expected
    assert stack.log(sidecar)[at:].count("an HTTP request") <= 20
    # a client that believes the port to be TLS learns it at once
    with contextlib.suppress(ssl.SSLError, OSError):
        await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        raise AssertionError("TLS on the MQTT port")
    await bystander.check()


async def only_two_clients(stack):
    return await metric(stack.sidecars[0], "sqmqos_clients") == 1


async def test_a_client_that_sends_no_connect_is_let_go(env):
    stack = await env.stack(sidecars=1, sidecar={"session": {"connect-timeout": "300ms"}})
    _, writer = await asyncio.open_connection("127.0.0.1", stack.ports[0])
    writer.write(V4_CONNECT[:5])
    await send_garbage(stack.ports[0], b"\x10")
    writer.close()


async def http2_garbage(env, tls):
    stack = await env.stack(tls=tls)
    bystander = await Bystander(stack).start(env)
    context = None
    if tls:
        context = ssl.create_default_context(cafile=str(stack.folder / "ca.pem"))
        context.set_alpn_protocols(["h2"])
        await send_garbage(stack.broker_port, b"\0" * 50, close=True)  # no TLS at all
        await send_garbage(stack.broker_port, b"\x16\x03\x01\xff\xff" + b"\1" * 300, close=True)
    settings = h2_frame(4, 0, 0)
    headers = h2_frame(1, 4, 1, b"\x82\x84\x86\x41\x01\x78")
    samples = [
        b"\0" * 200, b"GET / HTTP/1.1\r\n\r\n", PREFACE[:10], PREFACE + b"\xff" * 100,
        PREFACE + settings + h2_frame(0, 0, 1, b"x"), PREFACE + settings + h2_frame(1, 4, 1, b"\xff" * 50),
        PREFACE + settings + h2_frame(1, 4, 2, b"\x82"), PREFACE + settings + h2_frame(9, 4, 1, b"\x82"),
        PREFACE + settings + headers + h2_frame(8, 0, 0, b"\0\0\0\0"),
        PREFACE + settings + headers + h2_frame(3, 0, 1, b"\0\0\0\x08"),
        PREFACE + h2_frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"), PREFACE + settings + h2_frame(6, 0, 0, b"x"),
        PREFACE + settings + h2_frame(7, 0, 0, b"\0" * 8), PREFACE + b"\xff\xff\xff" + b"\0" * 6,
    ]
    for data in samples:
        await send_garbage(stack.broker_port, data, close=True, tls=context)
    await bystander.check()
    rng = random.Random(9)
    for _ in range(150):
        frames = b"".join(h2_frame(rng.randrange(11), rng.randrange(256), rng.randrange(4),
                                   rng.randbytes(rng.randint(0, 60)))
                          for _ in range(rng.randint(1, 6)))
        await send_garbage(stack.broker_port, PREFACE + settings + frames, close=True, tls=context)
    await bystander.check()


@scenario(timeout_s=180)
async def test_garbage_on_the_http2_port_in_the_clear(env):
    await http2_garbage(env, tls=False)


@scenario(timeout_s=180)
async def test_garbage_on_the_http2_port_with_tls(env):
    await http2_garbage(env, tls=True)


async def curl(stack, method, path, body=b"", token=True):
    """(status, content type, body) of a request to the broker."""
    argv = ["curl", "-sS", "--http2-prior-knowledge", "-X", method, "-m", "10", "--data-binary",
            "@-", "-H", "content-type: application/octet-stream", "-w",
            "\n%{http_code} %{content_type}", f"http://127.0.0.1:{stack.broker_port}{path}"]
    if token:
        value = token if isinstance(token, str) else (stack.folder / "token").read_text().strip()
        argv += ["-H", f"authorization: Bearer {value}"]
    done = await asyncio.to_thread(subprocess.run, argv, input=body, capture_output=True)
    out, _, last = done.stdout.rpartition(b"\n")
    status, _, kind = last.decode().partition(" ")
    return int(status or 0), kind, out


KEY = "/v1/sessions/default~demo~c"
BAD_REQUESTS = [  # what stands behind the right path, test_link.py looks at
    ("GET", "/", b"", 404), ("GET", "/v1x", b"", 404), ("POST", "/v1/nothing", b"", 404),
    ("GET", "/v1/links/xyz/deliveries", b"", 400), ("GET", "/v1/links//deliveries", b"", 404),
    ("PUT", "/v1/sessions/", b"", 404), ("PUT", KEY, b"\0" * 30, 410), ("DELETE", KEY, b"", 405),
    ("POST", KEY + "/messages", b"", 400), ("POST", KEY + "/messages?epoch=zz", b"", 400),
    ("POST", KEY + "/messages?epoch=0000000000000001", b"\xff" * 100, 409),
    ("POST", KEY + "/detach?epoch=0000000000000001", b"\1\2\3", 409),
]


async def test_bad_requests_get_a_status_and_a_problem(env):
    stack = await env.stack(tls=False)
    bystander = await Bystander(stack).start(env)
    for method, path, body, expected in BAD_REQUESTS:
        status, kind, out = await curl(stack, method, path, body)
        assert status == expected, (method, path, body[:20], status, out[:200])
        assert kind.startswith("application/problem+json"), (method, path, kind, out[:200])
    for token in (False, "wrong", "x" * 5000, ""):
        status, kind, out = await curl(stack, "PUT", KEY, b"\0" * 30, token)
        assert status == 401, (token, status)
    await bystander.check()
    bad = await metric(stack.broker, "sqmqos_link_bad_requests_total")
    assert bad >= len([r for r in BAD_REQUESTS if r[3] == 400]) + 4, bad


async def test_a_sidecar_with_a_wrong_token_is_refused_and_says_so(env):
    stack = await env.stack(sidecars=1)
    other = env.folder / "wrong-token"
    other.write_text("another-token\n")
    sidecar = stack.sidecars[0]
    await stack.end(sidecar)
    sidecar.tree["auth"]["token-file"] = str(other)
    sidecar.start()
    await eventually(lambda: "401" in stack.log(sidecar) or "token" in stack.log(sidecar),
                     "a line about the token")
    status, why = await asyncio.to_thread(sidecar.get, "/readyz")
    assert status == 503, why
    secret = other.read_text().strip()
    for program in stack.programs:
        assert secret not in stack.log(program), "a token in a log"
    assert secret not in why
    client = env.client("c")
    connack = await client.connect(stack.ports[0], props={"session_expiry": 10}, timeout_s=40)
    assert connack.code in (0x87, 0x88)
    env.check_leftovers = False


async def test_a_sidecar_that_does_not_trust_the_broker_does_not_talk_to_it(env):
    stack = await env.stack(sidecars=1)
    other = env.folder / "other-ca"
    other.mkdir()
    parts.write_certificates(other)
    sidecar = stack.sidecars[0]
    for key, value in (("ca-file", str(other / "ca.pem")), ("server-name", "elsewhere.example")):
        await stack.end(sidecar)
        before = sidecar.tree["tls"][key]
        sidecar.tree["tls"][key] = value
        at = len(stack.log(sidecar))
        sidecar.start()
        await eventually(lambda: "certificate" in stack.log(sidecar)[at:].lower(),
                         "a line about the certificate")
        assert await metric(sidecar, "sqmqos_links") == 0
        sidecar.tree["tls"][key] = before
    await stack.end(sidecar)
    await stack.restart(sidecar)


# ---- configuration files

BAD_CONFIGS = [  # (text, what the error names)
    (b"\0\1\2\xff\xfe garbage", "bad.yaml"), (b"{", "bad.yaml"), (b"- a\n- b\n", "bad.yaml"),
    (b"just text\n", "bad.yaml"), (b"\t\n", "bad.yaml"), (b"log: {level: info\n", "bad.yaml"),
    (b"log:\n  level: info\n  lvel: x\n", ":3:"), (b"nonsense: 1\n", ":1:"),
    (b"log:\n  level: loud\n", ":2:"), (b"log:\n  level: info\nlog:\n  level: warn\n", ":3:"),
    (b"admin:\n  listen: [a, b]\n", ":2:"), (b"a: &x [*x]\n", "bad.yaml"),
    (b"log: &a\n  level: info\nother: *a\n", "bad.yaml"), (b"tls:\n  enabled: perhaps\n", ":2:"),
    (b"tls: {enabled: true}\n---\ntls: {enabled: false}\n", "bad.yaml"),
    (b"a:\n" * 200, "bad.yaml"), (b"[" * 5000, "bad.yaml"),
]


def refuses(kind, argv, env):
    """The one clear line with which a program refuses to start."""
    program = parts.ROOT / "build" / env.settings.build / f"sqmqos-{kind}"
    done = subprocess.run([str(program), *argv], capture_output=True, text=True, timeout=20,
                          errors="replace", env=parts.clean_environment(), stdin=subprocess.DEVNULL)
    assert done.returncode > 0, f"{kind} {argv}: ended with {done.returncode}\n{done.stderr[-2000:]}"
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 3, done.stderr
    return done.stderr


async def test_garbage_in_the_configuration_files(env):
    bad = env.folder / "bad.yaml"
    for kind in ("broker", "sidecar"):
        for content, named in BAD_CONFIGS:
            bad.write_bytes(content)
            error = refuses(kind, ["--config", str(bad)], env)
            assert named in error, (kind, content, error)
        rng = random.Random(1)
        for _ in range(30):
            bad.write_bytes(rng.randbytes(rng.randint(1, 300)))
            refuses(kind, ["--config", str(bad)], env)
        for argv, named in ((["--config", str(env.folder / "none.yaml")], "none.yaml"),
                            (["--config", str(env.folder)], str(env.folder)),
                            (["--nonsense"], "nonsense"), (["--log.level", "loud"], "log.level"),
                            (["--log.level"], "log.level"), (["stray"], "stray")):
            error = refuses(kind, argv, env)
            assert named in error, (kind, argv, error)


async def test_garbage_in_the_files_that_a_configuration_names(env):
    """Token, certificate, key and authority files: missing, empty, garbage."""
    folder = env.folder / "files"
    folder.mkdir()
    parts.write_token(folder / "token")
    parts.write_certificates(folder)
    garbage = {"missing": None, "empty": b"", "random": random.Random(2).randbytes(500),
               "cut": (folder / "broker.pem").read_bytes()[:200]}
    names = {"broker": ["tokens", "broker.pem", "broker.key"], "sidecar": ["token", "ca.pem"]}
    for kind, what in ((k, w) for k in names for w in garbage):
        for name in names[kind]:
            if name == "token" and what == "cut":
                continue  # any printable word may be a token
            good = (folder / name).read_bytes()
            (folder / name).unlink()
            if what != "missing":
                (folder / name).write_bytes(garbage[what])
            tree = parts.config(kind, folder, listen=parts.free_port(), admin=parts.free_port(),
                                tls=True, broker=1)
            path = env.folder / f"{kind}.yaml"
            path.write_text(parts.yaml(tree))
            error = refuses(kind, ["--config", str(path)], env)
            assert name in error, (kind, name, what, error)
            (folder / name).write_bytes(good)


async def test_ports_in_use_are_said_in_one_sentence(env):
    folder = env.folder / "files"
    folder.mkdir()
    parts.write_token(folder / "token")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        for kind in ("broker", "sidecar"):
            for listen, admin in ((port, parts.free_port()), (parts.free_port(), port)):
                tree = parts.config(kind, folder, listen=listen, admin=admin, tls=False, broker=1)
                path = env.folder / f"{kind}.yaml"
                path.write_text(parts.yaml(tree))
                error = refuses(kind, ["--config", str(path)], env)
                assert str(port) in error, error


async def test_garbage_is_not_kept_as_memory(env):
    """A connection that announces much and sends little costs little."""
    stack = await env.stack(sidecars=1)
    writers = []
    announce = b"\x30" + mqtt.varint(1000000)
    status = pathlib.Path(f"/proc/{stack.sidecars[0].pid}/status")

    def resident_kib():
        return int(next(line for line in status.read_text().splitlines()
                        if line.startswith("VmRSS")).split()[1])
    before = resident_kib()
    for n in range(200):
        _, writer = await asyncio.open_connection("127.0.0.1", stack.ports[0])
        writer.write(packet(1, text("MQTT") + b"\4\2\0\0" + text(f"c{n}")) + announce + b"x" * 10)
        writers.append(writer)
    await eventually(lambda: two_hundred(stack), "all are connected")
    assert resident_kib() - before < 100 * 1024
    for writer in writers:
        writer.transport.abort()
    await clients.mosquitto_pub(env, stack.ports[0], "t", b"x")


async def two_hundred(stack):
    return await metric(stack.sidecars[0], "sqmqos_clients") == 200

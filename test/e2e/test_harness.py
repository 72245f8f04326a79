"""The harness itself, against a plain mosquitto: its client speaks MQTT, its
ledger finds what is wrong, its proxy cuts where it says."""

import asyncio
import pathlib
import re
import signal
import subprocess

import clients
import flow
import mqtt
import stack as parts
from cluster import eventually
from proxy import DOWN, UP, Cut, Proxy, cut_inside_data_frame, random_cuts


async def mosquitto(env):
    port = parts.free_port()
    path = env.folder / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n"
                    "max_queued_messages 0\nmax_inflight_messages 100\n")
    await clients.start(env, "mosquitto", "-c", path)
    await eventually(lambda: parts.port_error(port) is not None, "mosquitto listens")
    return port


async def test_client_speaks_both_versions_at_every_qos(env):
    port = await mosquitto(env)
    for version in (4, 5):
        sub = await env.connect(port, f"sub{version}", version)
        pub = await env.connect(port, f"pub{version}", version)
        assert await sub.subscribe((f"t{version}/#", 2)) == [2]
        for qos in (0, 1, 2):
            code = await pub.publish(f"t{version}/a", b"x" * 70000, qos)
            assert code in (None, 0)
            m = await sub.receive()
            assert (m.qos, len(m.payload)) == (qos, 70000)
        await sub.ping()
        assert await sub.unsubscribe(f"t{version}/#") == ([0] if version == 5 else [])


async def test_client_goes_on_with_its_session(env):
    port = await mosquitto(env)
    sub = env.client("sub", 4, ack="none")
    await sub.connect(port, clean=False)
    await sub.subscribe(("t", 2))
    pub = await env.connect(port, "pub", 4)
    await pub.publish("t", b"1", 1)
    await pub.publish("t", b"2", 2)
    first = await sub.receive_all(2)
    sub.abort()
    await sub.wait_closed()
    sub.ack = "auto"
    sub.held.clear()
    assert (await sub.connect(port, clean=False)).session_present
    again = await sub.receive_all(2)
    assert [(m.packet_id, m.payload) for m in again] == [(m.packet_id, m.payload) for m in first]
    assert all(m.dup for m in again)


async def test_ledger_finds_loss_duplicates_and_disorder(_env):
    ledger = flow.Ledger()
    ledger.acked["p"] = {0, 1, 2, 3}
    for n in (0, 2, 1, 1):
        ledger.take(mqtt.Message("t", flow.number("p", n), 1, False, False, 1, {}))
    problems = ledger.problems(duplicates_allowed=False)
    assert len(problems) == 3, problems
    assert "1 acknowledged but lost, from 3" in problems[0]
    assert "1 came after 2" in problems[1]
    assert "1 came twice, from 1" in problems[2]
    assert not ledger.complete()
    assert len(ledger.problems(duplicates_allowed=True)) == 2


async def test_publisher_survives_a_cutting_proxy(env):
    port = await mosquitto(env)
    proxy = await Proxy(parts.free_port(), port).start()
    proxy.filters.append(random_cuts(7, 500, 4000))
    ledger = flow.Ledger()
    sub = await env.connect(port, "sub", 4)
    await sub.subscribe(("t", 2))
    sub.on_message = ledger.take
    pub = env.client("pub", 4)
    env.spawn(flow.keep_connected(pub, proxy.port))
    await eventually(lambda: pub.connected and pub.connack, "connected")
    publisher = flow.Publisher(pub, "t", 2, ledger, window=10, size=40)
    await asyncio.wait_for(publisher.run(500), 60)
    await eventually(ledger.complete, "all arrived")
    assert ledger.problems(duplicates_allowed=False) == []
    assert len(ledger.acked["pub"]) == 500
    assert proxy.cuts >= 5
    env.tasks[-1].cancel()
    await proxy.stop()


async def test_proxy_cuts_at_the_byte_and_freezes(env):
    received = bytearray()

    async def serve(reader, writer):
        try:
            while data := await reader.read(100):
                received.extend(data)
                writer.write(data)
        except OSError:
            pass
        writer.close()
    port = parts.free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    proxy = await Proxy(parts.free_port([port]), port).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"abc")
    assert await reader.readexactly(3) == b"abc"
    proxy.freeze()
    writer.write(b"def")
    try:
        await asyncio.wait_for(reader.read(1), 0.3)
        raise AssertionError("a frozen proxy let a byte through")
    except asyncio.TimeoutError:
        pass
    proxy.thaw()
    assert await reader.readexactly(3) == b"def"

    def at_eight(pair, direction, data):
        if direction == UP and pair.passed[UP] + len(data) > 8:
            raise Cut(data[:8 - pair.passed[UP]])
        return data
    proxy.filters.append(at_eight)
    writer.write(b"ghij")
    await eventually(lambda: proxy.cuts == 1 and not proxy.pairs, "cut")
    assert bytes(received) == b"abcdefgh"
    await proxy.stop()
    server.close()


async def test_proxy_finds_data_frames_in_any_split(_env):
    class Pair:
        def __init__(self):
            self.state = {}
    headers = b"\0\0\4\1\4\0\0\0\1head"
    data = b"\0\0\x64\0\0\0\0\0\1" + b"d" * 100
    stream = headers + data
    for step in range(1, len(stream)):
        pair, cut, passed = Pair(), cut_inside_data_frame(50), b""
        try:
            for at in range(0, len(stream), step):
                passed += cut(pair, DOWN, stream[at:at + step])
            raise AssertionError(f"not cut in steps of {step}")
        except Cut as c:
            passed += c.rest
        assert len(headers) + 9 <= len(passed) < len(stream), (step, len(passed))


async def test_every_thread_hears_of_its_own_faults(env):
    """One that is blocked ends a program in silence, and no sanitizer reports it."""
    stack = await env.stack(sidecars=1)
    faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
              signal.SIGSYS}
    for program in stack.programs:
        threads = list(pathlib.Path(f"/proc/{program.pid}/task").iterdir())
        assert len(threads) > 2, threads
        for thread in threads:
            blocked = int(re.search(r"^SigBlk:\s*(\w+)$", (thread / "status").read_text(), re.M)[1],
                          16)
            deaf = {f.name for f in faults if blocked >> (f - 1) & 1}
            assert not deaf, (program.name, (thread / "comm").read_text(), deaf)


async def test_a_sanitizers_allocator_is_the_only_one(_env):
    """glibc's sets itself up in its first call, without a lock: two workers of a broker that
    trimmed it at once ended one start in some hundreds."""
    for program in ("broker", "sidecar"):
        path = parts.ROOT / "build" / "debug" / f"sqmqos-{program}"
        wanted = subprocess.run(["nm", "--dynamic", "--undefined-only", path], check=True,
                                capture_output=True, text=True).stdout
        assert "__asan_init" in wanted
        assert not re.search(r"\b(malloc_trim|mallopt|mallinfo)", wanted), path

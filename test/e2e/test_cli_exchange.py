"""The verbs pub and sub (docs/cli.md): messages through real sidecars and a broker, refusals in
words, and other sides that are no sidecar."""

import asyncio
import json
import signal

import view
from cluster import eventually
from command import Command


def by(env, stack, which=0):
    return Command(env, "--url", f"mqtt://127.0.0.1:{stack.ports[which]}")


async def subscribed(stack, topic_filter, n=1):
    """Waits until the broker has that subscription."""
    def there():
        rows = view.rows(stack.broker, "subscriptions")
        return sum(row["filter"] == topic_filter for row in rows) == n
    await eventually(lambda: asyncio.to_thread(there), f"somebody subscribes to {topic_filter}")


async def test_a_message_goes_from_pub_to_sub(env):
    stack = await env.stack()
    pub, sub = by(env, stack), by(env, stack, 1)
    text = await sub.start("sub", "a/#", "--count", 3, "--timeout", 30, "--qos", 2)
    whole = await sub.start("sub", "a/#", "--count", 3, "--timeout", 30, "--json")
    await subscribed(stack, "a/#", 2)
    for argv in (("a/1", "-m", "hi there", "-q", 0), ("a/2", "-m", "one", "-D", "x=1", "--tag", "red"),
                 ("a/3\x1b[2J", "-m", "two \u202e lines\nof \x1b", "--qos", 2)):
        out, error = await pub.run("pub", *argv)
        assert not out and not error, (out, error)
    out, error = await sub.end(text)
    assert sorted(out.splitlines()) == [
        "a/1 hi there", "a/2 one", "a/3\\u001b[2J two \\u202e lines\\u000aof \\u001b"], out
    assert not error
    out, _ = await sub.end(whole)
    rows = sorted((json.loads(line) for line in out.splitlines()), key=lambda row: row["topic"])
    assert [row["payload"] for row in rows] == ["hi there", "one", "two \u202e lines\nof \x1b"]
    assert [row["qos"] for row in rows] == [0, 1, 1], "QoS 1 was asked for"
    assert rows[1]["properties"] == [["x", "1"], ["tag", "red"]] and rows[1]["bytes"] == 3
    assert rows[2]["topic"] == "a/3\x1b[2J" and not rows[2]["retain"]


async def test_payloads_of_standard_input(env):
    stack = await env.stack(sidecars=1)
    command = by(env, stack)
    peer = await env.connect(stack.ports[0], "peer")
    await peer.subscribe("in", qos=2)
    listener = await command.start("sub", "in", "--json", "-C", 5, "--timeout", 60)
    await subscribed(stack, "in", 2)
    await command.run("pub", "in", "--stdin", stdin=bytes(range(256)))
    await command.run("pub", "in", "-l", "-q", "2", stdin=b"one\n\ntwo")
    await command.run("pub", "in", "--stdin", stdin=b"")
    payloads = [bytes(range(256)), b"one", b"", b"two", b""]
    assert [m.payload for m in await peer.receive_all(5)] == payloads
    out, _ = await command.end(listener)
    rows = [json.loads(line) for line in out.splitlines()]
    assert "payload" not in rows[0] and rows[0]["payload_base64"].startswith("AAECAwQF")
    assert [row.get("payload") for row in rows[1:]] == ["one", "", "two", ""]
    _, error = await command.run("pub", "in", "--stdin", stdin=b"x" * ((16 << 20) + 1), code=1)
    assert "more than 16 MiB" in error, error


async def test_qos_3_has_a_key_and_receipts(env):
    stack = await env.stack()
    pub = by(env, stack)
    sub = await env.connect(stack.ports[1], "sub", props={"session_expiry": 60})
    await sub.subscribe("orders/#", qos=2)
    receipts = await env.connect(stack.ports[1], "receipts")
    await receipts.subscribe("receipts/#", qos=1)
    for payload in ("first", "copy"):
        await pub.run("pub", "orders/1", "-m", payload, "--key", "k1", "--receipt", "receipts/me")
    await pub.run("pub", "orders/1", "-m", "second", "--qos", 3)
    assert [m.payload for m in await sub.receive_all(2)] == [b"first", b"second"]
    assert ("sqmqos-key", "k1") in (await receipts.receive()).props["user"]
    # Nobody is there: at QoS 3 that refuses the message, else it is only said.
    _, error = await pub.run("pub", "nobody", "-m", "x", "--qos", 3, code=1)
    assert "refused: 0x10 No matching subscribers" in error, error
    _, error = await pub.run("pub", "nobody", "-m", "x", "--qos", 2)
    assert "no subscription matches" in error and "why --topic 'nobody'" in error, error
    await sub.disconnect(0, {"session_expiry": 0})


async def test_retained_messages(env):
    stack = await env.stack(sidecars=1)
    command = by(env, stack)
    await command.run("pub", "state", "-m", "on", "--retain")
    out, _ = await command.run("sub", "state", "-C", 1, "--json", "--timeout", 30)
    assert json.loads(out)["retain"] and json.loads(out)["payload"] == "on"
    await command.run("pub", "state", "-m", "", "--retain")
    out, error = await command.run("sub", "state", "-C", 1, "--timeout", 1, code=1)
    assert not out and "0 of 1 messages came in time" in error, error
    out, error = await command.run("sub", "state", "--timeout", 1)
    assert not out and not error


async def test_refusals_are_said_in_words(env):
    stack = await env.stack(sidecars=1, broker={"queue": {"max-messages": 2}})
    command = by(env, stack)
    kept = await env.connect(stack.ports[0], "kept", props={"session_expiry": 600})
    await kept.subscribe("full", qos=2)
    await kept.disconnect()
    _, error = await command.run("pub", "full", "--lines", "-q", 3, stdin=b"1\n2\n3\n4\n", code=1)
    assert "line 3: refused: 0x97 Quota exceeded: " in error and "queue default~demo~kept is full" in error, error
    _, error = await command.run("pub", "$dead/x", "-m", "1", code=1)
    assert "refused: 0x90 Topic Name invalid" in error, error
    _, error = await command.run("pub", "x", "-m", "1", "-D", "sqmqos-kye=1", code=1)
    assert "refused: 0x83" in error and "sqmqos-key" in error, error
    _, error = await command.run("sub", "$dead/x", "-q", 0, code=1)
    assert "refused: 0x8f Topic Filter invalid" in error, error
    # What can't be asked for at all.
    for argv, word in ((("pub", "a/#", "-m", "1"), "bad topic 'a/#': "), (("pub", "a"), "--message"),
                       (("pub", "a", "-m", "1", "--stdin"), "one of"),
                       (("pub", "a", "-m", "1", "-q", 4), "0 to 3, not 4"),
                       (("pub", "a", "-m", "1", "-q", 1, "--key", "k"), "--qos 3"),
                       (("pub", "a", "-m", "1", "-D", "x"), "NAME=VALUE"),
                       (("pub",), "TOPIC"), (("sub", "a/#/b"), "bad filter 'a/#/b': # must be the last"),
                       (("sub", "a", "-q", 3), "0 to 2"),
                       (("sub", "a", "-C", 0), "--count"), (("sub", "a", "-C", "9" * 30), "--count")):
        _, error = await command.run(*argv, code=2)
        assert word in error, (argv, error)
    kept = await env.connect(stack.ports[0], "kept", clean=False, props={"session_expiry": 600})
    assert [m.payload for m in await kept.receive_all(2)] == [b"1", b"2"]
    await kept.disconnect(0, {"session_expiry": 0})


def finished(stack):
    """Whether sub has acknowledged all it has, and the broker knows."""
    row = view.row(stack.broker, "sessions", name="default~demo~listener~pod-1")
    return row["inflight"] == row["queued"] == 0


async def test_a_signal_ends_sub_clean(env):
    stack = await env.stack(sidecars=1)
    command = by(env, stack)
    for number, qos in ((signal.SIGINT, 1), (signal.SIGTERM, 2)):
        running = await command.start("sub", "x", "--client", "listener", "--qos", qos)
        await subscribed(stack, "x")
        peer = await env.connect(stack.ports[0], "peer")
        await peer.publish("x", "seen", qos)
        assert (await running.stdout.readline()) == b"x seen\n"
        await eventually(lambda: asyncio.to_thread(finished, stack), "the message is acknowledged")
        out, error = await command.interrupt(running, number=number)
        assert not out and not error
        await subscribed(stack, "x", 0)
        assert "client/listener" not in stack.log(stack.sidecars[0]) or \
            "lost" not in stack.log(stack.sidecars[0]).split("client/listener")[-1].split("\n")[0]
        await peer.disconnect()


async def test_the_loss_of_the_sidecar_is_said(env):
    stack = await env.stack(sidecars=1)
    command = by(env, stack)
    running = await command.start("sub", "x")
    await subscribed(stack, "x")
    await stack.kill(stack.sidecars[0])
    out, error = await command.end(running, code=1)
    assert not out and "the connection is lost" in error, error
    _, error = await command.run("pub", "x", "-m", "1", code=1)
    assert "Connection refused" in error and "--url or SQMQOS_URL" in error, error
    env.check_leftovers = False


async def other_side(env, answers):
    """The port of one that answers the first bytes it gets by these, then reads on."""
    async def serve(reader, writer):
        await reader.read(1000)
        writer.write(answers)
        while await reader.read(65536):
            pass
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    env.spawn(server.serve_forever())
    return server.sockets[0].getsockname()[1]


async def test_other_sides_that_are_none(env):
    async def says(answers, *words, argv=("sub", "x"), code=1):
        port = await other_side(env, answers)
        out, error = await Command(env, "--url", f"127.0.0.1:{port}").run(*argv, code=code)
        assert not out and error.count("\n") == 1, (out, error)
        for word in words:
            assert word in error, (word, error)
    connack = b"\x20\x03\0\0\0"
    await says(b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not MQTT 5")
    await says(b"\x20\x02\0\0", "is not MQTT 5")
    await says(b"\x20\x11\0\x87\x0e\x1f\0\x0bno \x1b[2J way", "refuses the connection: 0x87 Not authorized: no \\u001b[2J way")
    await says(connack + b"\xe0\x01\x8e", "0x8e Session taken over")
    await says(connack + b"\x30\xff\xff\xff\x7f", "above the maximum packet size")
    await says(connack + b"\x20\x03\0\0\0", argv=("pub", "x", "-m", "1", "--timeout", "1"))
    await says(connack, "not acknowledged in time", argv=("pub", "x", "-m", "1", "--timeout", "1"))
    # A message of QoS 2 whose release never comes is printed, and not waited for without an end.
    suback, message = b"\x90\x04\0\x01\0\x02", b"\x34\x09\0\x01x\0\x07\0abc"
    port = await other_side(env, connack + suback + message)
    out, error = await Command(env, "--url", f"127.0.0.1:{port}").run("sub", "x", "-q", 2, "-C", 1)
    assert out == "x abc\n" and not error
    await says(b"\x20\x08\0\0\x05\x27\0\0\0\x20", "at most 32 there", argv=("pub", "x", "-m", "1" * 40))
    await says(b"\x20\x05\0\0\x02\x25\0", "takes no retained", argv=("pub", "x", "-m", "1", "-r"))
    for url in ("http://localhost", "mqtts://localhost", "mqtt://", "mqtt://h/path", "mqtt://user:secret@h:x"):
        _, error = await Command(env, "--url", url).run("sub", "x", code=2)
        assert "--url" in error and "secret" not in error, error
    out, error = await Command(env).run("sub", "x", code=1, environment={"SQMQOS_URL": "mqtt://127.0.0.1:1"})
    assert "mqtt://127.0.0.1:1: " in error, error

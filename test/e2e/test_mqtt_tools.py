"""mosquitto's clients with all the MQTT 5 options that they have."""

import asyncio
import json

import clients
from scenario import scenario


async def mosquitto(env, program, port, *args, stdin=b""):
    process = await clients.start(env, program, "-h", "localhost", "-p", port, "-V", "mqttv5", *args,
                                  stdin=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(stdin), 30)
    return process.returncode, out.decode()


async def listen(env, port, *args):
    """A mosquitto_sub that is subscribed, and ends by itself."""
    process = await clients.start(env, "stdbuf", "-oL", "mosquitto_sub", "-h", "localhost", "-p", port,
                                  "-V", "mqttv5", "-d", "-W", "20", *args)
    lines = []
    async for raw in process.stdout:
        lines.append(raw.decode())
        if lines[-1].startswith("Subscribed"):
            break
    assert lines and lines[-1].startswith("Subscribed"), lines

    async def rest():
        out = [raw.decode().rstrip("\n") async for raw in process.stdout]
        await process.wait()
        return process.returncode, [line for line in out if not line.startswith("Client ")]
    return asyncio.create_task(rest())


@scenario(timeout_s=90)
async def test_mosquitto_with_properties(env):
    stack = await env.stack()
    a, b = stack.ports
    user = [("first", "1"), ("second", "é"), ("first", "2")]
    for qos in "012":
        sub = await listen(
            env, b, "-t", "tools/#", "-q", "2", "-C", "1", "-F", "JSON %j", "-i", f"s{qos}",
            "-D", "connect", "receive-maximum", "3", "-D", "connect", "topic-alias-maximum", "4",
            "-D", "connect", "maximum-packet-size", "2000", "-D", "subscribe",
            "subscription-identifier", "77", "-D", "connect", "user-property", "a", "b",
            "-D", "subscribe", "user-property", "c", "d", "-D", "connect", "request-problem-information", "0")
        code, out = await mosquitto(
            env, "mosquitto_pub", a, "-t", "tools/t", "-m", "häh", "-q", qos, "-i", f"p{qos}",
            "-D", "publish", "payload-format-indicator", "1", "-D", "publish", "message-expiry-interval", "50",
            "-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "re/ply",
            "-D", "publish", "correlation-data", "corr", "-D", "publish", "topic-alias", "3",
            *[x for k, v in user for x in ("-D", "publish", "user-property", k, v)],
            "-D", "connect", "session-expiry-interval", "10", "-D", "disconnect",
            "session-expiry-interval", "0", "-D", "disconnect", "reason-string", "done")
        assert code == 0, out
        code, lines = await sub
        assert code == 0, lines
        text = next(line for line in lines if line.startswith("JSON "))[5:]
        m = dict(json.loads(text, object_pairs_hook=list))  # names may come twice
        assert m["topic"] == "tools/t" and m["payload"] == "häh" and m["qos"] == int(qos)
        assert m["retain"] == 0
        props = dict(m["properties"])
        assert props["user-properties"] == user
        assert props["payload-format-indicator"] == 1 and props["content-type"] == "text/plain"
        assert props["response-topic"] == "re/ply" and props["subscription-identifier"] == 77
        assert 45 <= props["message-expiry-interval"] <= 50


@scenario(timeout_s=90)
async def test_mosquitto_modes(env):
    stack = await env.stack()
    a, b = stack.ports
    # lines, a null message, a repeated one, retained and cleared
    sub = await listen(env, b, "-t", "modes/#", "-q", "1", "-C", "9", "-F", "MSG %t %r %l %p")
    assert (await mosquitto(env, "mosquitto_pub", a, "-t", "modes/l", "-l", "-q", "1",
                            stdin=b"one\ntwo\nthree\n"))[0] == 0
    assert (await mosquitto(env, "mosquitto_pub", a, "-t", "modes/n", "-n"))[0] == 0
    assert (await mosquitto(env, "mosquitto_pub", a, "-t", "modes/r", "-m", "again", "--repeat", "3",
                            "-q", "2"))[0] == 0
    assert (await mosquitto(env, "mosquitto_pub", a, "-t", "modes/k", "-m", "kept", "-r", "-q", "1"))[0] == 0
    code, out = await mosquitto(env, "mosquitto_sub", b, "-t", "modes/k", "-C", "1", "-W", "20",
                                "--retained-only", "-F", "%t %r %p")
    assert (code, out) == (0, "modes/k 1 kept\n")
    code, out = await mosquitto(env, "mosquitto_sub", b, "-t", "modes/k", "-W", "1", "-R",
                                "--retain-as-published")
    assert code == 27 and "kept" not in out, (code, out)  # timed out
    code, out = await mosquitto(env, "mosquitto_sub", b, "-t", "modes/#", "--remove-retained", "-W", "1")
    assert code == 27, out
    code, lines = await sub
    got = [line.rstrip() for line in lines if line.startswith("MSG ")]
    # The null message is of QoS 0: nothing says when it is with the broker.
    assert code == 0 and got.count("MSG modes/n 0 0") == 1, got
    got.remove("MSG modes/n 0 0")
    assert got == ["MSG modes/l 0 3 one", "MSG modes/l 0 3 two", "MSG modes/l 0 5 three",
                   *["MSG modes/r 0 5 again"] * 3, "MSG modes/k 0 4 kept", "MSG modes/k 0 0"], got


@scenario(timeout_s=90)
async def test_mosquitto_request_and_response(env):
    stack = await env.stack()
    a, b = stack.ports
    worker = await env.connect(b, "worker")
    await worker.subscribe(("request", 2))

    async def serve():
        m = await worker.receive()
        await worker.publish(m.props["response_topic"], b"answer to " + m.payload, 1, props={
            "correlation_data": m.props["correlation_data"]})
    task = env.spawn(serve())
    code, out = await mosquitto(env, "mosquitto_rr", a, "-t", "request", "-e", "reply/here", "-m", "question",
                                "-q", "1", "-W", "20", "-D", "publish", "correlation-data", "c1")
    assert (code, out) == (0, "answer to question\n"), out
    await task


@scenario(timeout_s=90)
async def test_mosquitto_sessions_and_wills(env):
    stack = await env.stack()
    a, b = stack.ports
    for version, more in (("mqttv311", ("-c",)), ("mqttv5", ("-c", "-x", "300"))):
        # a session that waits, taken up through the other sidecar
        code, out = await mosquitto(env, "mosquitto_sub", a, "-V", version, "-i", f"keeps-{version}",
                                    "-t", f"wait/{version}", "-q", "2", *more, "-E")
        assert code == 0, out
        for qos in "12":
            assert (await mosquitto(env, "mosquitto_pub", a, "-t", f"wait/{version}", "-m", qos, "-q", qos))[0] == 0
        code, out = await mosquitto(env, "mosquitto_sub", b, "-V", version, "-i", f"keeps-{version}", "-t",
                                    f"wait/{version}", "-q", "2", *more, "-C", "2", "-W", "20")
        assert (code, out) == (0, "1\n2\n"), out
        wiper = env.client(f"keeps-{version}")
        assert (await wiper.connect(b, clean=True)).code == 0
        await wiper.disconnect()
    # a will with everything
    sub = await listen(env, b, "-t", "will/#", "-q", "1", "-C", "1", "-F", "MSG %t %q %C %P %p")
    dying = await clients.mosquitto_sub(
        env, a, "x", "--will-topic", "will/t", "--will-payload", "gone", "--will-qos", "1", "-D", "will",
        "content-type", "text/x", "-D", "will", "user-property", "k", "v", "-D", "will",
        "will-delay-interval", "0", "-D", "will", "message-expiry-interval", "9")
    dying.process.kill()
    code, lines = await sub
    got = [line for line in lines if line.startswith("MSG ")]
    assert code == 0 and got == ["MSG will/t 1 text/x k:v gone"], lines

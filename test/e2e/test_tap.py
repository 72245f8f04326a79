"""Taps (docs/view.md, docs/cli.md): what passes in a broker, for those who may look on, and for
nobody else; never felt by those whose messages they are."""

import asyncio
import http.client
import json
import re
import signal

from cluster import eventually
from command import Command
from tokens import Issuer


def ask(program, method, path="", body=None, headers=None, kind="application/json"):
    """(status, the document) of a request to /v1/tap and 'path'."""
    connection = http.client.HTTPConnection("127.0.0.1", program.admin_port, timeout=10)
    try:
        text = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        connection.request(method, "/v1/tap" + path, text, (headers or {}) | (
            {"Content-Type": kind} if method == "POST" else {}))
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in answer.getheader("Content-Type", "") else text
    finally:
        connection.close()


def opened(program, topic_filter, headers=None, **members):
    status, document = ask(program, "POST", body={"filter": topic_filter} | members, headers=headers)
    assert status == 200, document
    assert re.fullmatch("[0-9a-f]{16}", document["tap"])
    return "/" + document["tap"]


def taken(program, tap, headers=None):
    status, document = ask(program, "GET", tap, headers=headers)
    assert status == 200, document
    return document


def bearer(token):
    return {"Authorization": f"Bearer {token.strip()}"}


def admin(env, stack):
    return Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}")


async def line(stream):
    return (await asyncio.wait_for(stream.readline(), 15)).decode()


async def is_open(stack, n=1):
    await eventually(lambda: counted(stack, n), f"{n} taps were opened")


async def counted(stack, n):
    return stack.log(stack.broker).count(" tap opened by ") == n


async def test_what_passes_is_printed(env):
    stack = await env.stack()
    command = admin(env, stack)
    plain = await command.start("tail", "a/#")
    rows = await command.start("tail", "a/#", "--json", "--payload")
    await is_open(stack, 2)
    sub = await env.connect(stack.ports[1], "sub", props={"session_expiry": 60})
    await sub.subscribe(("a/1", 2))
    pub = await env.connect(stack.ports[0], "pub")
    assert await pub.publish("b", "elsewhere", 1) == 0x10
    assert await pub.publish("a/2", "secret one", 1) == 0x10, "a tap is no match"
    assert await pub.publish("a/1", b"\xff\0 secret", 2, props={"user": [("sqmqos-key", "k1")]}) == 0
    assert await pub.publish("a/1", "copy", 2, props={"user": [("sqmqos-key", "k1")]}) == 0
    assert await pub.publish("a/\x1b[2J\u202e", "secret \x1b", 0, retain=True) is None
    assert await pub.publish("a/3", "no", 1, props={"user": [("sqmqos-qos", "9")]}) == 0x83
    from_pub = ", from default~demo~pub~pod-1, token:local"
    lines = [await line(plain.stdout) for _ in range(5)]
    for got, wanted in zip(lines, (
            f"default a/2  qos 1, 29 B{from_pub}, to 0 queues",
            f"default a/1  qos 3, 61 B{from_pub}, key k1, to 1 queue",
            f"default a/1  qos 3, 56 B{from_pub}, key k1, to 0 queues",
            f"default a/\\u001b[2J\\u202e  qos 0, 33 B, retained{from_pub}, to 0 queues",
            f"default a/3  qos 1, 37 B{from_pub}, REFUSED: Implementation specific error")):
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ", got[:13]) and got[13:] == wanted + "\n", (got, wanted)
    got = [json.loads(await line(rows.stdout)) for _ in range(5)]
    assert [row.get("payload") for row in got] == ["secret one", None, "copy", "secret \x1b", "no"]
    assert got[1]["payload_base64"] == "/wAgc2VjcmV0" and got[1]["payload_bytes"] == 9
    assert [row["reason"] for row in got] == [0x10, 0, 0, 0, 0x83]
    assert [row["queues"] for row in got] == [0, 1, 0, 0, 0] and got[3]["retain"]
    # The messages went as without taps: once, and the retained one stays.
    assert [m.payload for m in await sub.receive_all(1)] == [b"\xff\0 secret"]
    await command.interrupt(plain)
    await command.interrupt(rows, number=signal.SIGTERM)
    log = stack.log(stack.broker)
    assert "tap opened by loopback: a/#, of all spaces, with payloads" in log, log
    assert "tap opened by loopback: a/#, of all spaces, without payloads" in log
    assert log.count("tap of loopback ended, closed by its owner: 5 messages of a/# seen, 0 of them not shown") == 2
    assert "secret" not in log
    await pub.publish("a/\x1b[2J\u202e", "", 0, retain=True)
    await sub.disconnect(0, {"session_expiry": 0})


async def test_spaces_tags_and_counts(env):
    stack = await env.stack()
    command = admin(env, stack)
    pub = await env.connect(stack.ports[0], "pub")
    other = opened(stack.broker, "#", space="elsewhere")
    red = opened(stack.broker, "$tag/red/x/+", payload=True)
    counted_one = await command.start("tail", "x/+", "--space", "default", "--count", 2)
    await is_open(stack, 3)
    for tag in ("red", "blue", "red"):
        await pub.publish("x/1", tag * 30000, 1, props={"user": [("tag", tag)]})
    assert taken(stack.broker, other) == {"messages": [], "lost": 0}
    got = taken(stack.broker, red)["messages"]
    assert len(got) == 2 and all(m["cut"] and m["payload"] == ("red" * 30000)[:65536] for m in got)
    out, error = await command.end(counted_one)
    assert len(out.splitlines()) == 2 and "redred" not in out and not error
    # The broker goes: who looks on is told.
    running = await command.start("tail", "#")
    await is_open(stack, 4)
    await stack.kill(stack.broker)
    _, error = await command.end(running, code=1)
    assert f":{stack.broker.admin_port}/v1/tap/" in error, error
    stack.broker.start()
    await stack.ready()
    for argv, word in ((("a/#/b",), "bad filter 'a/#/b': "), (("$share/g/a",), "shares nothing"), ((), "FILTER"),
                       (("a", "--count", 0), "--count"), (("a", "--space", ""), "--space"),
                       (("a", "--name", "x"), "--name is nothing for tail")):
        _, error = await command.run("tail", *argv, code=2)
        assert word in error, (argv, error)


async def test_what_is_too_much_is_counted(env):
    stack = await env.stack(broker={"workers": 2})
    pub, other = await env.connect(stack.ports[0], "pub"), await env.connect(stack.ports[1], "other")
    many, big = opened(stack.broker, "x"), opened(stack.broker, "y", payload=True)
    await asyncio.gather(*(who.publish("x", "1", 1) for who in (pub, other) for _ in range(550)))
    for _ in range(20):
        await pub.publish("y", b"y" * 65536, 1)
    first = taken(stack.broker, many)
    assert len(first["messages"]) == 1000 and first["lost"] == 100
    assert taken(stack.broker, many) == {"messages": [], "lost": 0}
    got, lost = [], 0
    while answer := taken(stack.broker, big):
        assert sum(len(m["payload"]) for m in answer["messages"]) <= 5 * 65536
        got += answer["messages"]
        lost += answer["lost"]
        if not answer["messages"]:
            break
    assert len(got) == 15 and lost == 5, (len(got), lost)
    running = await admin(env, stack).start("tail", "x")
    await is_open(stack, 3)
    running.send_signal(signal.SIGSTOP)
    await asyncio.gather(*(who.publish("x", "1", 1) for who in (pub, other) for _ in range(1000)))
    running.send_signal(signal.SIGCONT)
    for _ in range(1000):
        assert " x  qos 1" in await line(running.stdout)
    assert "messages are not shown" in await line(running.stderr)
    await admin(env, stack).interrupt(running)


async def test_taps_are_few_and_end_by_themselves(env):
    stack = await env.stack(sidecars=1)
    taps = [opened(stack.broker, "#") for _ in range(4)]
    status, problem = ask(stack.broker, "POST", body={"filter": "#"})
    assert status == 429 and problem["detail"].startswith("4 taps are open"), problem
    assert ask(stack.broker, "DELETE", taps[0]) == (200, {"done": 1})
    assert ask(stack.broker, "DELETE", taps[0])[0] == 404
    taps[0] = opened(stack.broker, "#")
    await eventually(lambda: ended(stack, 4), "taps without a question end", timeout_s=30)
    for tap in taps:
        assert ask(stack.broker, "GET", tap)[0] == 404
    # No space has them all.
    opened(stack.broker, "#", space="shop")
    opened(stack.broker, "#", space="shop")
    status, problem = ask(stack.broker, "POST", body={"filter": "#", "space": "shop"})
    assert status == 429 and "2 of that space" in problem["detail"], problem
    opened(stack.broker, "#", space="billing")


async def ended(stack, n):
    return stack.log(stack.broker).count("nobody has asked for 10 s") == n


async def test_wrong_requests(env):
    stack = await env.stack(sidecars=1)

    def wrong(status, word, method="POST", path="", **more):
        got, problem = ask(stack.broker, method, path, **more)
        assert got == status and word in problem["detail"], (got, problem)
    for body, word in ((b"", "no JSON object"), (b"[]", "no JSON object"), (b"{", "no JSON object"),
                       (b"[" * 50, "no JSON object"), ({}, "filter is missing"), ({"filter": 3}, "is a text"),
                       ({"filter": "a/#/b"}, "#"), ({"filter": ""}, ""), ({"filter": "$share/g/a"}, "shares"),
                       ({"filter": "a", "payload": 1}, "payload"), ({"filter": "a", "space": ""}, "space"),
                       ({"filter": "a", "space": "x" * 257}, "space"), ({"filter": "a", "more": 1}, "members"),
                       (b'{"filter": "a", "filter": "b"}', "no JSON object"),
                       (b'{"filter": "\xff"}', "no JSON object"), ({"filter": "a\0b"}, "")):
        wrong(400, word, body=body)
    assert ask(stack.broker, "POST", body={"filter": "a"}, kind="text/plain")[0] == 415
    assert ask(stack.broker, "POST", body={"filter": "a" * 17000})[0] == 413
    assert ask(stack.broker, "PUT")[0] == 405
    wrong(405, "POST", method="GET")
    for path in ("/", "/1", "/" + "0" * 16, "/" + "x" * 16, "/" + "1" * 17, "s", "/1/2"):
        assert ask(stack.broker, "GET", path)[0] == 404, path
    wrong(400, "parameters", method="GET", path="?x=1")
    assert ask(stack.broker, "POST", body={"filter": "a"}, headers={"Origin": "http://evil.example"})[0] == 403
    assert ask(stack.broker, "POST", body={"filter": "a"}, headers={"Host": "evil.example"})[0] == 403
    assert stack.log(stack.broker).count("tap opened") == 0
    opened(stack.broker, "a", space="x" * 256)  # as long as a space's name may be


async def test_who_may_look_on(env):
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {
        "acl": [{"allow": ["operate"], "identity": "kube:shop/ops"},
                {"allow": ["operate"], "identity": "kube:shop/half", "queues": ["tap", "queues"]},
                {"deny": ["subscribe"], "identity": "kube:shop/half", "topics": ["a/secret"]},
                {"allow": ["operate"], "identity": "kube:shop/views", "queues": ["queues"]},
                {"allow": ["operate"], "identity": "token:local", "queues": ["tap"]}]})
    stack.sidecars[0].tree["identity"]["space"] = "shop"
    (stack.folder / "token").write_text(issuer.token("shop", "till"))
    await stack.start()
    shop = {name: bearer(issuer.token("shop", name)) for name in ("ops", "half", "views", "till")}

    def opens(name, **members):
        return ask(stack.broker, "POST", body={"filter": "#"} | members, headers=shop[name])
    assert opens("till", space="shop")[0] == 403 and opens("views", space="shop")[0] == 403
    assert opens("ops", space="billing")[0] == 403, "a token's spaces are its own"
    status, problem = opens("ops")
    assert status == 403 and "may not operate tap in all spaces" in problem["detail"], problem
    # Payloads are for who may subscribe to what brings them.
    status, problem = opens("half", space="shop", payload=True)
    assert status == 403 and "may not subscribe # in space shop: acl[2] (line" in problem["detail"], problem
    status, problem = opens("half", space="shop", payload=True, filter="$tag/x/a/#")
    assert status == 403 and "may not subscribe $tag/x/a/#" in problem["detail"], problem
    few = opened(stack.broker, "a/+/b", headers=shop["half"], space="shop", payload=True)
    assert ask(stack.broker, "DELETE", few, headers=shop["half"])[0] == 200
    tap = opened(stack.broker, "#", headers=shop["half"], space="shop")
    whole = opened(stack.broker, "#", headers=shop["ops"], space="shop", payload=True)
    pub = await env.connect(stack.ports[0], "pub")
    await pub.publish("a", "secret", 1)
    # A tap is its opener's alone.
    for name in ("ops", "views", "till"):
        for method in ("GET", "DELETE"):
            assert ask(stack.broker, method, tap, headers=shop[name])[0] == 404
    assert ask(stack.broker, "GET", whole)[0] == 404, "loopback is somebody else"
    assert ask(stack.broker, "GET", whole, headers=bearer("nonsense"))[0] == 401
    seen = taken(stack.broker, tap, headers=shop["half"])["messages"]
    assert [(m["topic"], m["identity"]) for m in seen] == [("a", "kube:shop/till")] and "payload" not in seen[0]
    assert taken(stack.broker, whole, headers=shop["ops"])["messages"][0]["payload"] == "secret"
    assert ask(stack.broker, "DELETE", whole, headers=shop["ops"])[0] == 200
    file = env.folder / "half"
    file.write_text(issuer.token("shop", "half"))
    command = Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}", "--token-file", file)
    running = await command.start("tail", "a", "--space", "shop", "--count", 1)
    await is_open(stack, 4)
    await pub.publish("a", "again", 1)
    assert "shop a  qos 1" in (await command.end(running))[0]
    _, error = await command.run("tail", "a/#", "--space", "shop", "--payload", code=1)
    assert "403" in error and "may not subscribe a/#" in error, error
    log = stack.log(stack.broker)
    assert "tap opened by kube:shop/ops: #, of space shop, with payloads" in log and "secret" not in log

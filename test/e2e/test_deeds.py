"""Deeds at the admin endpoint (docs/view.md): who may, what they do, and that it holds over a kill."""

import asyncio
import contextlib
import json
import signal

import view
from api import Api
from cluster import eventually, metric
from command import Command
from mqtt import Will
from scenario import scenario
from tokens import Issuer

DURABLE = {"session_expiry": 600}
OTHER = "127.0.0.2"  # of this machine, and no loopback by the rules
BROKER = {"engine": "embedded", "session": {"grace": "60s", "recovery-time": "0s"}}
KEPT = "default~demo~kept"
LETTERS = 60
MANY = 100_000


def bearer(token):
    return {"Authorization": f"Bearer {token.strip()}"}


async def do(stack, deed, body, **more):
    return await asyncio.to_thread(view.do_all, stack.broker, deed, body, **more)


async def depth(stack, queue):
    rows = await asyncio.to_thread(view.rows, stack.broker, "queues", name=queue)
    return rows[0]["depth"] if rows else None


async def away(env, stack, *filters, client_id="kept"):
    """A durable session whose client is away."""
    client = await env.connect(stack.ports[0], client_id, props=DURABLE)
    await client.subscribe(*filters)
    await client.disconnect()


async def publish(client, topic, count, qos=1, props=None, pad=0):
    """Messages 0 to count - 1, 500 on their way at a time; all are acknowledged."""
    for first in range(0, count, 500):
        part = range(first, min(first + 500, count))
        codes = await asyncio.gather(*(client.publish(
            topic, b"%d" % n + b" " * pad, qos, props=props(n) if props else None) for n in part))
        assert set(codes) == {0}, set(codes)


async def test_who_may(env):
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {"acl": [
        {"allow": ["operate"], "identity": "kube:default/watcher"},
        {"allow": ["operate", "manage"], "identity": "kube:default/ops"},
        {"deny": ["manage"], "identity": "kube:default/ops", "queues": ["session:*~other"]},
        {"allow": ["manage"], "identity": "kube:shop/ops"},
        {"allow": ["manage"], "identity": "kube:default/letters", "queues": ["$dead", "jobs"]},
        {"allow": ["manage"], "identity": "kube:default/purger", "queues": ["session:*~kept"]}]})
    stack.broker.tree["admin"]["listen"] = f"*:{stack.broker.admin_port}"
    await stack.start()
    await away(env, stack, ("t", 1))
    await away(env, stack, ("$share/jobs/t", 1), client_id="other")
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", 6)

    def purge(queue=KEPT, **more):
        return view.do(stack.broker, "queues/purge", {"queue": queue, "max": 1}, **more)

    def token(account, space="default"):
        return {"headers": bearer(issuer.token(space, account)), "source": OTHER}
    assert purge(source=OTHER).status == 401
    assert purge(source=OTHER, headers=bearer("nonsense")).status == 401

    def refused(answer, words):
        assert answer.status == 403 and words in answer.detail, answer.text
    for who in ("nobody", "watcher"):  # one of them may look
        for queue in (KEPT, "none"):
            refused(purge(queue, **token(who)), "may not manage anything in space default: no rule allows it")
    assert view.ask(stack.broker, "/queues", **token("watcher")).status == 200
    assert purge(**token("ops", "shop")).status == 404, "in its own space, where that is not"
    refused(view.do(stack.broker, "sessions/remove", {"session": KEPT}, **token("ops", "shop")),
            f"may not manage session:{KEPT} in space default: it is another's space")
    letters = {"space": "default"}
    refused(view.do(stack.broker, "dead-letters/redrive", letters, **token("ops", "shop")), "it is another's space")
    refused(view.do(stack.broker, "dead-letters/redrive", letters, **token("purger")),
            "may not manage $dead in space default: acl[5] (line")
    refused(view.do(stack.broker, "sessions/remove", {"session": "default~demo~other"}, **token("ops")),
            "may not manage session:default~demo~other in space default: acl[2] (line")
    refused(view.do(stack.broker, "sessions/remove", {"session": KEPT}, **token("letters")), f"session:{KEPT}")
    refused(purge(**token("letters")), f"may not manage session:{KEPT} in space default: acl[4] (line")
    refused(purge("share~default~$share/jobs/t", **token("purger")), "may not manage jobs in space default")
    refused(view.ask(stack.broker, "/queues", **token("purger")), "may not operate queues in space default")
    assert await depth(stack, KEPT) == 6, "nothing is done so far"
    for allowed in ({}, token("ops"), token("purger")):
        answer = purge(**allowed)
        assert answer.status == 200 and answer.body["done"] == 1 and answer.body["more"], answer.text
    assert await depth(stack, KEPT) == 3
    assert purge("share~default~$share/jobs/t", **token("letters")).body["done"] == 1
    assert view.do(stack.broker, "dead-letters/redrive", letters, **token("letters")).body["done"] == 0
    log = stack.log(stack.broker)
    for who in ("loopback", "kube:default/ops", "kube:default/purger"):
        assert f"deed queues/purge {KEPT}: 1 so far, by {who}" in log, log
    assert (await do(stack, "queues/purge", {"queue": KEPT}))[0] == 3
    assert (await do(stack, "queues/purge", {"queue": "share~default~$share/jobs/t"}))[0] == 5


async def test_no_web_page_of_others_has_it_done(env):
    stack = await env.stack(sidecars=1)
    await away(env, stack, ("t", 1))
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", 3)
    port = stack.broker.admin_port

    def purge(**more):
        answer = view.do(stack.broker, "queues/purge", {"queue": KEPT}, **more)
        assert not [h for h in answer.headers if h.startswith("access-control")]
        return answer.status
    # A form, or fetch() without a preflight.
    for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
        assert purge(content_type=content_type) == 415
    for origin in ("http://evil.example", f"http://evil.example:{port}", "http://localhost:1", "null"):
        assert purge(headers={"Origin": origin}) == 403, origin
    assert purge(headers={"Sec-Fetch-Site": "cross-site"}) == 403
    assert purge(host="evil.example") == 403, "a name that was made to point here"
    assert purge(headers={"Host": "localhost"}) == 400, "two"
    assert view.ask(stack.broker, "/../do/queues/purge").status == 405
    assert view.do(stack.broker, "queues/purge", text="{").status == 400
    assert view.do(stack.broker, "queues/purge", {"queue": KEPT, "what": 1}).status == 400
    assert view.do(stack.broker, "queues/purge", {"queue": "none"}).status == 404
    assert view.do(stack.broker, "queues", {"queue": KEPT}).status == 404
    assert await depth(stack, KEPT) == 3
    assert purge(headers={"Origin": f"http://localhost:{port}", "Sec-Fetch-Site": "same-origin"}) == 200
    assert await depth(stack, KEPT) == 0
    gone = await asyncio.to_thread(view.rows, stack.broker, "gone")
    assert [(r["queue"], r["topic"], r["why"]) for r in gone] == [(KEPT, "t", "purged")] * 3


async def test_an_attached_session_is_removed(env):
    stack = await env.stack(sidecars=1)
    heir = await env.connect(stack.ports[0], "heir")
    await heir.subscribe(("will/#", 1))
    client = await env.connect(stack.ports[0], "kept", props=DURABLE, will=Will("will/kept", b"gone", 1))
    await client.subscribe(("t", 1))
    assert (await do(stack, "sessions/remove", {"session": KEPT}))[0] == 1
    assert await client.wait_closed() == 0x98
    assert (await heir.receive()).payload == b"gone"
    assert not await asyncio.to_thread(view.rows, stack.broker, "sessions", name=KEPT)
    assert not await asyncio.to_thread(view.rows, stack.broker, "subscriptions", name=KEPT)
    await env.connect(stack.ports[0], "kept", clean=False, props=DURABLE)
    row = await asyncio.to_thread(view.row, stack.broker, "sessions", name=KEPT)
    assert row["subscriptions"] == 0, "it is another one"


async def test_a_detached_session_is_removed_for_good(env):
    stack = await env.stack(sidecars=1, broker=BROKER)
    await away(env, stack, ("t", 2))
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", 5)
    await publish(client, "t", 2, 2, lambda n: {"user": [("sqmqos-qos", "3")]})
    assert (await do(stack, "sessions/remove", {"session": KEPT}))[0] == 1
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert not await asyncio.to_thread(view.rows, stack.broker, "sessions", name=KEPT)
    letters = await eventually(lambda: asyncio.to_thread(
        lambda: len(v := view.rows(stack.broker, "dead-letters")) == 2 and v), "what was of QoS 3 is a letter")
    assert {r["cause"] for r in letters} == {"session-ended"}
    assert (await do(stack, "queues/purge", {"queue": "dead~default"}))[0] == 2


@scenario(timeout_s=300, alone=True)
async def test_a_purge_of_many_holds_over_a_kill(env):
    stack = await env.stack(sidecars=1, broker=BROKER | {
        "store": {"journal-size": "8Mi", "cache-size": "2Mi"},
        "queue": {"max-messages": 1000000, "max-bytes": "4Gi"}})
    await away(env, stack, ("t", 1))
    await away(env, stack, ("t", 1), client_id="beside")
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", MANY)
    assert await depth(stack, KEPT) == MANY
    first = await asyncio.to_thread(view.do, stack.broker, "queues/purge", {"queue": KEPT})
    assert first.status == 200 and 0 < first.body["done"], first.text
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    left = await depth(stack, KEPT)
    assert left == MANY - first.body["done"], (left, first.body)
    assert (await do(stack, "queues/purge", {"queue": KEPT}))[0] == left
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert await depth(stack, KEPT) == 0
    assert await depth(stack, "default~demo~beside") == MANY, "nobody else's"
    assert (await do(stack, "queues/purge", {"queue": "default~demo~beside"}))[0] == MANY


async def test_a_purge_leaves_what_a_client_has_in_its_hands(env):
    """A client that acknowledges nothing has some; the rest goes, and it goes on with what comes next."""
    stack = await env.stack(sidecars=1, broker=BROKER)
    slow = await env.connect(stack.ports[0], "kept", ack="none", props=DURABLE | {"receive_maximum": 10})
    await slow.subscribe(("t", 1))
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", 1000)
    held = [int(m.payload) for m in await slow.receive_all(10)]
    assert held == list(range(10))
    row = await asyncio.to_thread(view.row, stack.broker, "sessions", name=KEPT)
    done, _ = await do(stack, "queues/purge", {"queue": KEPT})
    assert row["inflight"] == 10 and done == 1000 - 10 - row["pending"], (row, done)
    assert await depth(stack, KEPT) == row["pending"]
    assert await client.publish("t", b"2000", 1) == 0
    slow.abort()
    again = await env.connect(stack.ports[0], "kept", clean=False, props=DURABLE)
    got = [int(m.payload) for m in await again.receive_all(10 + row["pending"] + 1)]
    assert got == [*range(10 + row["pending"]), 2000], got


async def bury(env, stack, pad=0):
    """LETTERS dead letters of QoS 3, then a session that takes them, whose client is away."""
    await away(env, stack, ("t", 2))
    client = await env.connect(stack.ports[0], "c")
    await publish(client, "t", LETTERS, 2, lambda n: {"user": [("sqmqos-qos", "3"), ("sqmqos-key", f"k{n}")]}, pad)
    await client.disconnect()
    await env.connect(stack.ports[0], "kept", clean=True)  # which ends the session with what waits

    async def buried():
        return await depth(stack, "dead~default") == LETTERS
    await eventually(buried, "they are letters")
    await away(env, stack, ("t", 2))


async def receives_all_once(env, stack):
    client = await env.connect(stack.ports[0], "kept", clean=False, props=DURABLE)
    got = [int(m.payload) for m in await client.receive_all(LETTERS)]
    assert sorted(got) == list(range(LETTERS)), sorted(got)
    await asyncio.sleep(0)
    assert await depth(stack, "dead~default") == 0
    assert await depth(stack, KEPT) == 0
    return client


@scenario(timeout_s=120)
async def test_a_redrive_is_exactly_once_over_kills(env):
    """The broker is killed before the commit of letters that are published again, and after it."""
    stack = await env.stack(sidecars=1, start=False, broker=BROKER)
    await stack.start()
    await bury(env, stack)
    for point in ("broker-redrive:1", "broker-redrive-committed:1", "broker-redrive:1"):
        await stack.end(stack.broker)
        stack.broker.environment["SQMQOS_FAULT"] = point
        await stack.restart(stack.broker)
        before = await depth(stack, "dead~default")
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(view.do, stack.broker, "dead-letters/redrive", {"space": "default"})
        await asyncio.to_thread(stack.broker.process.wait)
        assert stack.broker.process.returncode == -signal.SIGKILL
        del stack.broker.environment["SQMQOS_FAULT"]
        await stack.restart(stack.broker)
        letters, queued = await depth(stack, "dead~default"), await depth(stack, KEPT)
        assert letters + queued == LETTERS, (point, letters, queued)
        assert (letters < before) == (point != "broker-redrive:1"), (point, before, letters)
    done, stayed = await do(stack, "dead-letters/redrive", {"space": "default"})
    assert stayed == 0
    client = await receives_all_once(env, stack)
    await client.disconnect()
    await env.connect(stack.ports[0], "kept", clean=True)


async def test_letters_that_only_the_store_has_are_shown_and_redriven(env):
    stack = await env.stack(sidecars=1, broker=BROKER)
    await bury(env, stack)
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    letters = await asyncio.to_thread(view.rows, stack.broker, "dead-letters")
    assert len(letters) == LETTERS
    number = letters[7]["letter"]
    one = {"queue": "dead~default", "letters": [number]}
    assert await do(stack, "dead-letters/redrive", one) == (1, 0)
    assert view.do(stack.broker, "dead-letters/redrive", one).status in (404, 429)
    assert await do(stack, "dead-letters/redrive", {"queue": "dead~default"}) == (LETTERS - 1, 0)
    await receives_all_once(env, stack)


async def test_letters_that_do_not_fit_into_the_cache_are_not_passed_over(env):
    """What is wanted may be behind others, which fill it: that is said, and not that all is done."""
    stack = await env.stack(sidecars=1, broker=BROKER | {
        "store": {"cache-size": "1Mi"}, "acl": [{"allow": ["manage"]}]})
    await bury(env, stack, (8 << 20) // LETTERS)
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    answer = await Api(stack).ask("POST", "/v1/dead-letters/default/redrive", b'{"filter":"other/#"}')
    assert answer.status == 409 and "in the store alone" in answer.json["detail"], answer
    assert await do(stack, "dead-letters/redrive", {"queue": "dead~default"}) == (LETTERS, 0)
    await receives_all_once(env, stack)


async def test_a_letter_that_nobody_takes_stays(env):
    stack = await env.stack(sidecars=1, broker=BROKER)
    await bury(env, stack)
    await do(stack, "sessions/remove", {"session": KEPT})
    assert await do(stack, "dead-letters/redrive", {"space": "default"}) == (0, LETTERS)
    assert await depth(stack, "dead~default") == LETTERS
    await away(env, stack, ("t", 2))
    assert await do(stack, "dead-letters/redrive", {"space": "default"}) == (LETTERS, 0)
    await receives_all_once(env, stack)
    assert await metric(stack.broker, "sqmqos_dead_letters_redriven_total") == LETTERS


async def test_the_command_line_does_it(env):
    stack = await env.stack(sidecars=1, broker=BROKER)
    await bury(env, stack)
    run = Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}").run
    listed = (await run("dead-letters", "ls"))[0].splitlines()
    assert len(listed) == LETTERS + 1 and "session-ended" in listed[1], listed
    letters = json.loads((await run("dead-letters", "ls", "--json"))[0])
    number = letters[3]["letter"]
    shown = (await run("dead-letters", "show", "dead~default", "--letter", number))[0]
    assert f"k{int(letters[3]['key'][1:])}" in shown and shown.count("session-ended") == 1, shown
    await run("dead-letters", "show", "dead~default", "--letter", 1 << 40, code=3)
    # Letters.
    assert "published 1 dead letter again" in (
        await run("dead-letters", "redrive", "dead~default", "--letter", number))[0]
    await run("dead-letters", "redrive", "dead~default", "--letter", number, code=3)
    assert json.loads((await run("dead-letters", "redrive", "--space", "default", "--max", 9, "--json"))[0]) == \
        {"done": 9, "stayed": 0}
    assert f"published {LETTERS - 10} dead letters again" in (
        await run("dead-letters", "redrive", "--space", "default"))[0]
    await run("dead-letters", "redrive", code=2)
    await run("dead-letters", "redrive", "declared~default~x~y", code=1)
    # A queue.
    assert await depth(stack, KEPT) == LETTERS
    error = (await run("queues", "purge", KEPT, code=2))[1]
    assert f"would purge {LETTERS} messages" in error and "--yes" in error, error
    await run("queues", "purge", "nothing", code=3)
    await run("queues", "purge", "nothing", "--yes", code=3)
    assert await depth(stack, KEPT) == LETTERS, "nothing is gone"
    assert "purged 5 messages of queue" in (await run("queues", "purge", KEPT, "--yes", "--max", 5))[0]
    await run("queues", "purge", KEPT, "--yes", "--dead-letters")
    assert await depth(stack, KEPT) == 0
    assert await depth(stack, "dead~default") == LETTERS - 5
    await run("queues", "purge", "dead~default", "--yes")
    # A session.
    assert f"removed session {KEPT}" in (await run("sessions", "rm", KEPT))[0]
    await run("sessions", "rm", KEPT, code=3)
    await run("sessions", "rm", code=2)

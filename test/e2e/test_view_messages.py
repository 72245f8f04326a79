"""The broker's view (docs/view.md) of single messages: those that wait, that a client has, that were
refused, that are gone; and of idempotency keys."""

import asyncio
import time

import mqtt
import stack as parts
import view
from api import Api
from cluster import eventually

DURABLE = {"session_expiry": 600}
ACL = [{"deny": ["publish"], "topics": ["secret/#"]}, {"deny": ["subscribe"], "topics": ["mine"]}]


def near(ms, seconds=60):
    return abs(ms / 1000 - time.time()) < seconds


def keyed(key, **more):
    return {"user": [("sqmqos-qos", "3"), ("sqmqos-key", key)]} | more


async def found(stack, table, n=1, **query):
    """The rows of a table, once they are 'n'."""
    def rows():
        got = view.rows(stack.broker, table, **query)
        return len(got) == n and (got or True)
    return await eventually(lambda: asyncio.to_thread(rows), f"{n} rows of {table} {query}")


async def test_refusals_say_who_what_and_why(env):
    stack = await env.stack(sidecars=1, broker={
        "workers": 3, "acl": ACL, "acl-default": "allow", "queue": {"max-messages": 2}})
    app = await env.connect(stack.ports[0], "app")
    kept = await env.connect(stack.ports[0], "kept", ack="none", props=DURABLE | {"receive_maximum": 1})
    await kept.subscribe(("full", 1))
    for _ in range(3):
        assert await app.publish("secret/a", b"private", 1) == 0x87
    assert await app.publish("nobody", b"private", 1) == 0x10
    assert await app.publish("lost", b"private", 2, props=keyed("k")) == 0x10
    assert await app.subscribe(("mine", 1)) == [0x87]

    async def refused():
        return await app.publish("full", b"private", 1) == 0x97
    await eventually(refused, "the queue is full")
    rows = view.rows(stack.broker, "refusals")
    assert "private" not in view.ask(stack.broker, "/refusals").text
    for row in rows:
        assert row["space"] == "default" and row["who"].startswith("default~demo~app"), row
        assert row["identity"] == "token:local" and near(row["first"]) and row["first"] <= row["last"]
    by = {(row["kind"], row["topic"]): row for row in rows}
    assert len(by) == len(rows) == 5, rows
    denied = by["publish", "secret/a"]
    assert (denied["count"], denied["code"], denied["reason"]) == (3, 0x87, "denied"), denied
    assert "acl[0]" in denied["text"] and denied["queue"] is None, denied
    mine = by["subscription", "mine"]
    assert (mine["code"], mine["reason"]) == (0x87, "denied") and "acl[1]" in mine["text"], mine
    for topic in ("nobody", "lost"):
        assert (by["publish", topic]["code"], by["publish", topic]["reason"]) == (0x10, "unmatched")
    full = by["publish", "full"]
    assert (full["code"], full["reason"], full["queue"]) == (0x97, "queue-full", "default~demo~kept"), full
    assert "2 messages" in full["text"]
    assert not view.rows(stack.broker, "refusals", space="other")
    assert len(view.rows(stack.broker, "refusals", name=full["who"])) == 5
    await env.connect(stack.ports[0], "kept", clean=True)
    env.check_leftovers = False


async def test_a_link_that_is_refused_is_told(env):
    stack = await env.stack(start=False, sidecars=1)
    (stack.folder / "token").write_text("another-token-than-the-broker-knows\n")
    for program in stack.programs:
        program.start()

    def refused():
        return [row for row in view.rows(stack.broker, "refusals") if row["kind"] == "link"]

    def quiet():
        try:
            return refused()
        except (OSError, AssertionError):  # it is starting
            return None
    rows = await eventually(lambda: asyncio.to_thread(quiet), "a refused link", 30)
    assert rows[0]["reason"] == "static-unknown" and rows[0]["code"] == 401, rows
    assert rows[0]["who"] == "127.0.0.1" and rows[0]["space"] is None and rows[0]["topic"] is None, rows
    assert "another-token" not in view.ask(stack.broker, "/refusals").text
    env.check_leftovers = False


async def test_refusals_of_the_http_api_are_told(env):
    stack = await env.stack(sidecars=0, broker={"acl": ACL, "acl-default": "allow"})
    api = Api(stack)
    await api.publish("secret/a", b"private", status=403)
    await api.publish("a", b"private", {"sqmqos-space": "foreign"}, status=403)
    await Api(stack, token="wrong-token").publish("a", b"private", status=401)
    by = {(row["kind"], row["who"]): row for row in view.rows(stack.broker, "refusals")}
    assert set(by) == {("publish", "default"), ("publish", "foreign"), ("http", "127.0.0.1")}, by
    rule, space, token = by["publish", "default"], by["publish", "foreign"], by["http", "127.0.0.1"]
    assert (rule["code"], rule["topic"], rule["identity"]) == (0x87, "secret/a", "token:local"), rule
    assert (space["code"], space["space"], space["identity"]) == (0x87, "foreign", "token:local"), space
    assert (token["code"], token["reason"], token["identity"]) == (401, "static-unknown", None), token
    text = view.ask(stack.broker, "/refusals").text
    assert "private" not in text and "wrong-token" not in text


async def test_a_message_is_followed_by_its_key_and_its_origin(env):
    stack = await env.stack(sidecars=1, broker={"workers": 3})
    app = await env.connect(stack.ports[0], "app", props=DURABLE)
    kept = await env.connect(stack.ports[0], "kept", props=DURABLE, ack="none")
    await kept.subscribe(("orders/#", 2))
    await kept.disconnect()
    queue = "default~demo~kept"
    await eventually(lambda: asyncio.to_thread(
        lambda: view.row(stack.broker, "sessions", name=queue)["state"] == "detached"), "nobody takes them")
    for n in range(40):
        assert await app.publish(f"orders/{n}", b"private", 2, props=keyed(f"k-{n}")) == 0
    assert await app.publish("orders/star", b"private", 2, props=keyed("k-*")) == 0
    await app.publish("orders/plain", b"private", 1)
    rows = view.rows(stack.broker, "messages", queue=queue)
    assert [row["topic"] for row in rows] == [f"orders/{n}" for n in range(40)] + ["orders/star", "orders/plain"], rows
    assert rows[-1]["key"] is None and not rows[-1]["assured"]
    assert "private" not in view.ask(stack.broker, "/messages").text
    assert not view.rows(stack.broker, "messages", queue="other")
    assert len(view.rows(stack.broker, "messages", limit=7)) == 42
    # A name is that name alone; a prefix is said as one.
    assert view.row(stack.broker, "messages", name="k-*")["topic"] == "orders/star"
    assert view.row(stack.broker, "keys", name="k-*")["key"] == "k-*"
    assert {row["key"] for row in view.rows(stack.broker, "messages", prefix="k-3")} == {
        "k-3", *(f"k-{n}" for n in range(30, 40))}
    one = view.row(stack.broker, "messages", name="k-17")
    assert (one["topic"], one["queue"], one["qos"], one["assured"]) == ("orders/17", queue, 2, True)
    assert one["age"] >= 0 and one["expires"] is None and one["attempts"] == 0 and one["bytes"] > 7
    assert view.row(stack.broker, "messages", name=one["origin"])["key"] == "k-17"
    incarnation = one["origin"].split(".")[0]
    publisher = [row for row in view.rows(stack.broker, "sessions") if row["incarnation"] == incarnation]
    assert [row["client"] for row in publisher] == ["app"], publisher
    # The key is known, from its first message on.
    key = view.row(stack.broker, "keys", name="k-17")
    assert key["space"] == "default" and near(key["since"]) and near(key["expires"] - 24 * 3600 * 1000), key
    for query in ({}, {"prefix": "k-"}, {"name": "k-"}, {"name": "k-99"}, {"name": "k-17", "space": "other"}):
        assert not view.rows(stack.broker, "keys", **query), query
    # Its client has it, and has not finished it.
    kept = await env.connect(stack.ports[0], "kept", clean=False, props=DURABLE | {"receive_maximum": 2},
                             ack="none")
    first = await kept.receive()
    await kept.receive()
    sent = view.rows(stack.broker, "deliveries", queue=queue)
    assert [(row["key"], row["state"], row["session"]) for row in sent] == [
        ("k-0", "sent", queue), ("k-1", "sent", queue)], sent
    assert view.row(stack.broker, "queues", name=queue)["unacknowledged"] == 2
    kept.send_ack(mqtt.PUBREC, first.packet_id)
    await eventually(lambda: asyncio.to_thread(
        lambda: view.row(stack.broker, "deliveries", name=sent[0]["origin"])["state"] == "received"), "received")
    assert not view.rows(stack.broker, "deliveries", name="k-0"), "the message is the client's now"
    await kept.disconnect()
    await env.connect(stack.ports[0], "kept", clean=True)
    await env.connect(stack.ports[0], "app", clean=True)
    env.check_leftovers = False


async def test_rows_of_no_space_are_for_who_may_name_any(env):
    stack = await env.stack(start=False, sidecars=1, broker={
        "acl": [{"allow": ["operate"], "identity": "*"}], "acl-default": "allow"})
    tokens = stack.folder / "tokens"
    tokens.write_text(tokens.read_text() + parts.token_line("few", "t" * 40, ["default"]))
    await stack.start()
    (stack.folder / "token").write_text("another-token-than-the-broker-knows\n")
    await stack.end(stack.sidecars[0])
    stack.sidecars[0].start()

    def kinds(**headers):
        return {row["kind"] for row in view.rows(stack.broker, "refusals", headers=headers)}
    await eventually(lambda: asyncio.to_thread(lambda: "link" in kinds()), "a refused link")
    assert not kinds(Authorization="Bearer " + "t" * 40)
    env.check_leftovers = False


async def test_what_is_gone_is_named(env):
    stack = await env.stack(sidecars=1)
    app = await env.connect(stack.ports[0], "app")
    kept = await env.connect(stack.ports[0], "kept", props=DURABLE)
    await kept.subscribe(("t/#", 1))
    await kept.disconnect()
    assert await app.publish("t/short", b"private", 1, props={"message_expiry": 1}) == 0
    origin = view.row(stack.broker, "messages", queue="default~demo~kept")["origin"]

    def over():
        return view.row(stack.broker, "messages", queue="default~demo~kept")["expires"] < 1000 * time.time()
    await eventually(lambda: asyncio.to_thread(over), "its time is over")
    kept = await env.connect(stack.ports[0], "kept", clean=False, props=DURABLE)
    gone = (await found(stack, "gone"))[0]
    assert (gone["queue"], gone["topic"], gone["why"]) == ("default~demo~kept", "t/short", "expired"), gone
    assert gone["key"] is None and gone["origin"] == origin and near(gone["at"]), gone
    assert view.row(stack.broker, "gone", name=origin) == gone
    await env.connect(stack.ports[0], "kept", clean=True)
    env.check_leftovers = False

"""The broker's view (docs/view.md): what its tables say after real traffic, its pages, and who may
see them."""

import asyncio
import base64
import concurrent.futures
import json
import socket
import time

import stack as parts
import view
from annotations import AnnotationsFile
from api import Api
from cluster import eventually
from tokens import Issuer

DURABLE = {"session_expiry": 600}
SILENT_ISSUER = "https://issuer.test"
OTHER = "127.0.0.2"  # of this machine, and no loopback by the rules


def near(ms, seconds=60):
    """Whether a time is about now."""
    return abs(ms / 1000 - time.time()) < seconds


async def test_sessions_say_who_is_there(env):
    stack = await env.stack()
    client = await env.connect(stack.ports[0], "kept", props=DURABLE)
    await client.subscribe(("a/#", 1), ("b", 1))
    await env.connect(stack.ports[1], "passing")

    kept = view.row(stack.broker, "sessions", name="default~demo~kept")
    assert (kept["space"], kept["workload"], kept["client"], kept["pod"]) == ("default", "demo", "kept", None)
    assert kept["state"] == "attached" and kept["durable"] and not kept["internal"]
    assert kept["subscriptions"] == 2 and kept["queued"] == 0 and kept["inflight"] == 0
    assert kept["identity"] == "token:local" and kept["link"] and kept["epoch"]
    assert kept["expiry"] == 600 and kept["expires"] is None and near(kept["since"])
    passing = view.row(stack.broker, "sessions", prefix="default~demo~passing")
    assert not passing["durable"] and passing["pod"] and passing["link"] != kept["link"]

    await client.disconnect()

    def away():
        row = view.row(stack.broker, "sessions", name="default~demo~kept")
        return row["state"] == "detached" and row
    kept = await eventually(lambda: asyncio.to_thread(away), "the session is without its client")
    assert kept["link"] is None and kept["epoch"] is None
    assert near(kept["expires"] - 600 * 1000)
    publisher = await env.connect(stack.ports[1], "publisher")
    for n in range(3):
        await publisher.publish("a/b", b"12345", 1)
    kept = view.row(stack.broker, "sessions", name="default~demo~kept")
    assert kept["queued"] == 3 and kept["queued_bytes"] >= 15
    client = await env.connect(stack.ports[0], "kept", clean=True)
    env.check_leftovers = False


async def test_unfinished_deliveries_are_inflight(env):
    stack = await env.stack(sidecars=1)
    client = env.client("slow", ack="never")
    await client.connect(stack.ports[0])
    await client.subscribe(("t", 1))
    publisher = await env.connect(stack.ports[0], "publisher")
    for n in range(2):
        await publisher.publish("t", b"x", 1)
        await client.receive()
    slow = [r for r in view.rows(stack.broker, "sessions") if r["client"] == "slow"]
    assert len(slow) == 1 and slow[0]["inflight"] == 2, slow
    client.abort()


async def test_queues_say_what_waits(env):
    file = AnnotationsFile(env.folder / "pod").write(
        "- filter: jobs\n  qos: 1\n  group: crew\n  durable: true\n  expiry: 1h\n"
        "  max-length: 3\n  overflow: drop-oldest\n  max-attempts: 5\n")
    stack = await env.stack(annotations=[file.path, None])
    app = await env.connect(stack.ports[0], "app")
    sharer = await env.connect(stack.ports[1], "sharer")
    await sharer.subscribe(("$share/g/work", 1))
    kept = await env.connect(stack.ports[1], "kept", props=DURABLE)
    await kept.subscribe(("t", 1))

    def queue(name):
        return view.row(stack.broker, "queues", name=name)
    def crews():
        return [r for r in view.rows(stack.broker, "queues") if r["kind"] == "declared" and r["members"]]
    crew = await eventually(lambda: asyncio.to_thread(crews), "the app takes from the group")
    assert [r["queue"] for r in crew] == ["declared~default~demo~crew"]
    assert crew[0]["max_messages"] == 3 and crew[0]["overflow"] == "drop-oldest"
    assert crew[0]["max_attempts"] == 5 and crew[0]["expiry"] == 3600 and crew[0]["expires"] is None
    assert crew[0]["members"] == 1 and crew[0]["lonely"] is None and crew[0]["durable"]
    share = view.row(stack.broker, "queues", prefix="share~")
    assert share["kind"] == "share" and share["members"] == 1 and share["max_attempts"] is None
    own = queue("default~demo~kept")
    assert own["kind"] == "session" and own["space"] == "default" and own["durable"]
    assert own["depth"] == 0 and own["age"] == 0 and not own["full"]

    await app.disconnect()
    await kept.disconnect()
    publisher = await env.connect(stack.ports[1], "publisher")
    for n in range(4):
        await publisher.publish("jobs", b"x", 1)
    await publisher.publish("t", b"12345", 1)

    def waits():
        crew, own = queue("declared~default~demo~crew"), queue("default~demo~kept")
        return crew["depth"] == 3 and own["depth"] == 1 and own["age"] and own
    own = await eventually(lambda: asyncio.to_thread(waits), "messages wait, and get older")
    assert own["bytes"] >= 5 and own["members"] == 0 and own["lonely"] is not None
    app = await env.connect(stack.ports[0], "app")
    await env.connect(stack.ports[1], "kept", clean=True)
    env.check_leftovers = False


async def test_a_declared_queue_s_backlog_is_one_number(env):
    """What waits and what is being worked on, for what scales the workload."""
    file = AnnotationsFile(env.folder / "pod").write("- {filter: jobs, qos: 1, group: crew, concurrency: 2}\n")
    stack = await env.stack(annotations=[file.path, None])

    def backlog(**query):
        return view.ask(stack.broker, below="/v1/backlog", **query)
    asked = {"space": "default", "workload": "demo", "group": "crew"}
    app = env.client("app", ack="never")
    await app.connect(stack.ports[0])
    publisher = await env.connect(stack.ports[1], "publisher")
    await eventually(lambda: asyncio.to_thread(lambda: backlog(**asked).body["known"]), "the queue is there")
    for _ in range(5):
        await publisher.publish("jobs", b"x", 1)
    await app.receive()
    await app.receive()
    assert backlog(**asked).body == {"backlog": 5, "known": True}
    # The group's name is that of the workload, unless it is said.
    assert backlog(space="default", workload="demo").body == {"backlog": 0, "known": False}
    for query, why in (({"space": "default"}, "workload: it is missing"),
                       (asked | {"queue": "x"}, "queue: a named queue has no workload and no group"),
                       ({"queue": "x"}, "space: it is missing"),
                       (asked | {"q": "x"}, '"q" is no parameter; there are space, workload, group and queue'),
                       (asked | {"group": "x" * 5000}, "group: its value is no text")):
        answer = backlog(**query)
        assert answer.status == 400 and why in answer.detail, answer.text
    app.abort()
    again = await env.connect(stack.ports[0], "app")
    for _ in range(5):
        await again.receive()

    def done():
        return backlog(**asked).body == {"backlog": 0, "known": True}
    await eventually(lambda: asyncio.to_thread(done), "nothing is left of it")


async def test_a_named_queue_s_backlog_is_one_number(env):
    stack = await env.stack(sidecars=1, broker={"acl": [{"allow": ["manage"]}]})
    api = Api(stack)

    def backlog(queue):
        return view.ask(stack.broker, below="/v1/backlog", space="default", queue=queue).body
    assert backlog("jobs") == {"backlog": 0, "known": False}
    answer = await api.ask("PUT", "/v1/queues/jobs", b'{"bindings":[{"filter":"jobs"}]}')
    assert answer.status == 201, answer
    for _ in range(5):
        await api.publish("jobs", b"x")
    assert backlog("jobs") == {"backlog": 5, "known": True}
    # What pullers have leased is work that is not done.
    leased = (await api.ask("POST", "/v1/queues/jobs/receive?max=2&wait=5s")).json["messages"]
    assert len(leased) == 2 and backlog("jobs") == {"backlog": 5, "known": True}, backlog("jobs")
    for message in leased:
        assert (await api.ask("POST", f"/v1/leases/{message['lease']}/ack")).status == 204
    answer = await api.ask("POST", "/v1/queues/jobs/receive?wait=5s&ack=receive")
    assert len(answer.json["messages"]) == 3
    assert backlog("jobs") == {"backlog": 0, "known": True}


async def test_a_named_queue_says_what_is_leased_parked_and_paused(env):
    stack = await env.stack(sidecars=1, broker={"acl": [{"allow": ["manage"]}]})
    api, name = Api(stack), "queue~default~jobs"

    async def becomes(why, **want):
        def is_so():
            row = view.row(stack.broker, "queues", name=name)
            return {k: row[k] for k in want} == want
        await eventually(lambda: asyncio.to_thread(is_so), why)
    jobs = b'{"bindings":[{"filter":"jobs"}],"retry":{"first":"10m","jitter":false}}'
    assert (await api.ask("PUT", "/v1/queues/jobs", jobs)).status == 201
    for _ in range(3):
        await api.publish("jobs", b"x")
    await becomes("all wait", kind="queue", depth=3, leased=0, parked=0, paused=False)
    leased = (await api.ask("POST", "/v1/queues/jobs/receive?max=2&wait=5s")).json["messages"]
    await becomes("two are leased", depth=1, leased=2, parked=0)
    assert (await api.ask("POST", f"/v1/leases/{leased[0]['lease']}/nack")).status == 204
    await becomes("one waits for its retry", depth=1, leased=1, parked=1)
    assert (await api.ask("POST", "/v1/queues/jobs/pause")).status == 204
    await becomes("it is paused", paused=True)
    for row in view.rows(stack.broker, "queues"):
        assert (row["kind"] == "queue") == all(row[k] is not None for k in ("leased", "parked", "paused")), row
    env.check_leftovers = False


async def test_a_walk_meets_everything_once(env):
    """Pages of any size, with a filter or without, while sessions come and go."""
    stack = await env.stack(sidecars=1, broker={"workers": 2})
    for n in range(60):
        await env.connect(stack.ports[0], f"c-{n}")
    want = {f"c-{n}" for n in range(60)}

    def all_there():  # the sidecar may answer a client before the broker has its session
        return len(view.rows(stack.broker, "sessions", prefix="default~demo~c-")) == 60
    await eventually(lambda: asyncio.to_thread(all_there), "the sessions of all")
    for limit in (1, 7, 1000):
        found = [r["client"] for r in view.rows(stack.broker, "sessions", limit=limit, columns="client")]
        assert len(found) == len(set(found)), "a session twice"
        assert want <= set(found), want - set(found)
    assert {r["client"] for r in view.rows(stack.broker, "sessions", limit=3, prefix="default~demo~c-1")} == \
        {c for c in want if c.startswith("c-1")}
    assert not view.rows(stack.broker, "sessions", space="nobody")
    loop = asyncio.get_running_loop()
    churned = []

    def churn():
        """Half of the others go, and new ones come."""
        n = len(churned)
        churned.append(n)
        asyncio.run_coroutine_threadsafe(env.connect(stack.ports[0], f"new-{n}"), loop).result(20)
        asyncio.run_coroutine_threadsafe(env.clients[n].disconnect(), loop).result(20)
    found = [r["client"] for page in await asyncio.to_thread(
        lambda: list(view.pages(stack.broker, "sessions", limit=4, between=churn))) for r in page]
    assert len(churned) > 10
    assert len(found) == len(set(found)), "a session twice"
    stay = {f"c-{n}" for n in range(len(churned), 60)}
    assert stay <= set(found), stay - set(found)


async def test_wrong_requests_are_told_what_is_wrong(env):
    stack = await env.stack(sidecars=1)
    for name in "ab":
        await env.connect(stack.ports[0], name)

    def wrong(status, says, path="/sessions", **query):
        answer = view.ask(stack.broker, path, **query)
        assert answer.status == status, answer.text
        assert says in answer.detail, answer.detail
        assert answer.headers["content-type"] == "application/problem+json"
    wrong(404, "no /v1/view/nothing", "/nothing")
    wrong(404, "no /v1/view/", "/")
    for limit in ("0", "1001", "x", "", "-1", "1e3"):
        wrong(400, "limit", limit=limit)
    wrong(400, '"colour" is no parameter', colour="red")
    wrong(400, '"sessio" is no column', columns="client,sessio")
    wrong(400, "after", after="00")
    wrong(400, "list of tables has no parameters", "", limit=1)
    wrong(400, "twice", "/sessions?limit=1&limit=2")
    wrong(400, "an escape", "/sessions?name=%zz")
    answer = view.ask(stack.broker, "/sessions", limit=1)
    after = answer.body["next"]
    assert after
    view.ask(stack.broker, "/sessions", after=after).body["rows"]
    wrong(400, "after", "/queues", after=after)
    wrong(400, "after", after=after, prefix="x")
    wrong(400, "after", after=after[:-1] + ("0" if after[-1] != "0" else "1"))
    answer = view.ask(stack.broker, "/sessions", method="POST")
    assert answer.status == 405
    answer = view.ask(stack.broker, "/sessions", method="HEAD")
    assert answer.status == 200 and int(answer.headers["content-length"]) > 0 and not answer.text
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    wrong(400, "before the broker's start", after=after)


def bearer(token):
    return {"Authorization": f"Bearer {token.strip()}"}


async def test_who_may_see_it(env):
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {
        "acl": [{"allow": ["operate", "manage"], "identity": "kube:shop/ops"},
                {"allow": ["operate"], "identity": "token:local", "space": "default"},
                {"allow": ["operate"], "identity": "kube:shop/half", "queues": ["queues"]}]})
    stack.broker.tree["admin"]["listen"] = f"*:{stack.broker.admin_port}"
    await stack.start()
    await env.connect(stack.ports[0], "c")

    def status(**more):
        return view.ask(stack.broker, more.pop("path", "/sessions"), **more).status
    # Loopback, by the names that loopback has.
    port = stack.broker.admin_port
    for host in (None, "localhost", f"127.0.0.1:{port}", "[::1]:1", "LOCALHOST"):
        assert status(host=host) == 200, host
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io",
                 "localhost:", "localhost:x", "localhost:1:1", "[::1]x"):
        assert status(host=host) == 403, host
    # From elsewhere, by a token.
    answer = view.ask(stack.broker, "/sessions", source=OTHER)
    assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert status(source=OTHER, headers=bearer("nonsense")) == 401
    assert status(headers=bearer("nonsense")) == 401, "a wrong token counts from loopback, too"
    ops, other = issuer.token("shop", "ops"), issuer.token("shop", "till")
    assert status(source=OTHER, headers=bearer(ops)) == 200
    assert status(source=OTHER, headers=bearer(ops), host="broker.example") == 200
    assert status(source=OTHER, headers={"Sqmqos-Authorization": f"Bearer {ops}"}) == 200
    assert status(source=OTHER, headers=bearer(other)) == 403
    assert status(headers=bearer(other)) == 403
    assert status(source=OTHER, headers=bearer(other), path="") == 403
    assert status(source=OTHER, headers=bearer(issuer.token("shop", "ops", life_s=-60))) == 401
    # What a token may name is what it sees.
    assert not view.rows(stack.broker, "sessions", headers=bearer(ops))
    local = (stack.folder / "token").read_text()
    seen = view.rows(stack.broker, "sessions", headers=bearer(local))
    assert any(r["client"] == "c" for r in seen) and {r["space"] for r in seen} == {"default"}
    assert status(headers=bearer(local), space="shop") == 403
    assert status(headers=bearer(ops), space="default") == 403
    half = issuer.token("shop", "half")
    assert status(headers=bearer(half), path="/queues") == 200
    assert status(headers=bearer(half)) == 403
    listed = view.ask(stack.broker, headers=bearer(half)).body["tables"]
    assert [t["table"] for t in listed] == ["queues"]
    answer = view.ask(stack.broker, "/sessions", headers=bearer(half))
    assert "may not operate sessions in space shop: acl[2] (line" in answer.detail, answer.text
    # Deeds are another right.
    managers = {half: False, ops: True, local: False}
    for who, manages in managers.items():
        assert view.ask(stack.broker, headers=bearer(who)).body["manage"] == manages, who
    assert view.ask(stack.broker).body["manage"]
    # The other three ask for nothing.
    assert stack.broker.get("/livez")[0] == stack.broker.get("/metrics")[0] == 200
    for secret in (ops, other, local.strip(), "nonsense"):
        assert secret not in stack.log(stack.broker)


def unknown_key_token():
    """Of an issuer that the broker knows, by a key that it has to ask for."""
    def part(tree):
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=").decode()
    return ".".join((part({"alg": "ES256", "kid": "unknown"}),
                     part({"iss": SILENT_ISSUER, "sub": "x", "aud": "sqmqos",
                           "exp": int(time.time()) + 999}), "A" * 86))


async def test_tokens_of_strangers_keep_no_operator_out(env):
    """The issuer's server says nothing, so the broker waits for its keys."""
    stack = await env.stack(sidecars=1, start=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stack.broker.tree.setdefault("auth", {})["issuers"] = [
            {"issuer": SILENT_ISSUER, "keys-url": f"https://127.0.0.1:{silent.getsockname()[1]}/"}]
        stack.broker.tree["admin"]["listen"] = f"*:{stack.broker.admin_port}"
        await stack.start()
        token = bearer(unknown_key_token())
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            strangers = [asyncio.get_running_loop().run_in_executor(pool, lambda: view.ask(
                stack.broker, "/spaces", source=OTHER, headers=token)) for _ in range(60)]
            refused = (await next(asyncio.as_completed(strangers))).body["detail"]
            assert "other requests' tokens" in refused, refused
            assert view.ask(stack.broker, "/spaces").status == 200
            await asyncio.gather(*strangers)
    env.check_leftovers = False


async def test_a_broker_that_asks_nobody_shows_it_to_loopback_alone(env):
    stack = await env.stack(sidecars=1, tls=False, start=False)
    for program in stack.programs:
        program.tree.pop("auth", None)
    stack.broker.tree["auth"] = {"insecure": True}
    stack.broker.tree["admin"]["listen"] = f"*:{stack.broker.admin_port}"
    await stack.start()
    assert view.ask(stack.broker, "/sessions").status == 200
    assert view.ask(stack.broker, "/sessions", source=OTHER).status == 401
    assert view.ask(stack.broker, "/sessions", source=OTHER, headers=bearer("x")).status == 401
    # A sidecar has no view.
    assert stack.sidecars[0].get("/v1/view")[0] == 404


async def test_a_broker_without_an_admin_address_has_no_view(env):
    stack = await env.stack(sidecars=1, start=False)
    admin = stack.broker.tree.pop("admin")
    stack.broker.start()
    await eventually(lambda: " serves " in stack.log(stack.broker), "the broker serves")
    stack.broker.tree["admin"] = admin
    assert (await asyncio.to_thread(stack.broker.get, "/v1/view"))[0] == 0
    assert await asyncio.to_thread(stack.broker.stop) == 0
    env.check_leftovers = False


async def test_a_worker_that_stands_still_blocks_no_probe(env):
    stack = await env.stack(sidecars=1, start=False, broker={"workers": 1})
    stack.broker.environment["SQMQOS_FAULT"] = "broker-publish-admitted:1:hang"
    await stack.start()
    env.check_leftovers = False
    client = await env.connect(stack.ports[0], "c")
    client.publish_nowait("t", b"x", 1)

    def late():
        return view.ask(stack.broker, "/sessions").status == 503
    await eventually(lambda: asyncio.to_thread(late), "a page does not come", 30)
    asked = [asyncio.create_task(asyncio.to_thread(view.ask, stack.broker, "/sessions")) for _ in range(6)]
    assert stack.broker.get("/readyz")[0] == 200
    answers = await asyncio.gather(*asked)
    assert {a.status for a in answers} == {429, 503}, [a.text for a in answers]
    assert all(a.headers["retry-after"] for a in answers)
    await stack.kill(stack.broker)


async def test_the_page_has_the_columns(env):
    import view_page
    stack = await env.stack(sidecars=1)
    tables = view.ask(stack.broker).body["tables"]
    page = (parts.ROOT / "docs" / "view.md").read_text()
    assert view_page.rendered(tables) in page, "python3 tools/view_page.py writes docs/view.md"
    for table in tables:
        names = [c["column"] for c in table["columns"]]
        assert table["name"] in names and len(set(names)) == len(names)
        for row in view.rows(stack.broker, table["table"]):
            assert list(row) == names


async def test_subscriptions_say_what_goes_where(env):
    file = AnnotationsFile(env.folder / "pod").write("- filter: jobs/#\n  qos: 1\n  group: crew\n")
    stack = await env.stack(annotations=[file.path, None])
    await env.connect(stack.ports[0], "app")
    client = await env.connect(stack.ports[1], "c")
    await client.subscribe(("a/+", 2), ("$share/g/work", 1), ("$dead/#", 1))

    def of(client_id):
        return {r["filter"]: r for r in view.rows(stack.broker, "subscriptions", prefix=f"default~demo~{client_id}")}
    mine = of("c")
    assert sorted(mine) == ["$dead/#", "$share/g/work", "a/+"]
    assert mine["a/+"]["kind"] == "own" and mine["a/+"]["qos"] == 2 and not mine["a/+"]["scanning"]
    assert mine["$share/g/work"]["kind"] == "share" and mine["$share/g/work"]["queue"].startswith("share~default~")
    assert mine["$dead/#"]["kind"] == "dead" and mine["$dead/#"]["queue"] == "dead~default"

    def declared():
        return [r for r in view.rows(stack.broker, "subscriptions") if r["kind"] == "declared"]
    found = await eventually(lambda: asyncio.to_thread(declared), "what the annotation declares")
    assert {(r["filter"], r["tag"], r["queue"]) for r in found} == {("jobs/#", None, "declared~default~demo~crew")}
    for n in range(50):
        await client.subscribe((f"many/{n}", 1))
    for limit in (1, 7, 1000):
        rows = view.rows(stack.broker, "subscriptions", limit=limit)
        assert len(rows) == len({(r["session"], r["filter"]) for r in rows})
        assert {f"many/{n}" for n in range(50)} <= {r["filter"] for r in rows}


async def test_spaces_say_what_each_has(env):
    stack = await env.stack(sidecars=1, broker={"retained": {"max-messages": 3}})
    client = await env.connect(stack.ports[0], "c")
    await client.subscribe(("a", 1), ("b", 1), ("$dead/#", 1))
    await client.publish("kept", b"x", 1, retain=True)
    space = view.row(stack.broker, "spaces", name="default")
    assert space["sessions"] >= 1 and space["subscriptions"] >= 2 and space["retained"] == 1
    assert space["retained_bytes"] > 0 and space["full"] == []
    await client.publish("later", b"x", 1, props={"user": [("sqmqos-delay", "600")]})
    delayed = view.row(stack.broker, "queues", name="delayed~default")
    assert delayed["kind"] == "delayed" and delayed["depth"] == 1 and delayed["bytes"] > 0
    assert view.row(stack.broker, "spaces", name="default")["delayed"] == 1
    assert {r["kind"] for r in view.rows(stack.broker, "queues", prefix="dead")} == {"dead", "dead-others"}
    env.check_leftovers = False


async def test_the_store_has_a_row(env):
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c", props=DURABLE)
    await client.subscribe(("t", 1))
    await client.publish("t", b"x", 1)
    await client.receive()
    store = view.row(stack.broker, "store")
    assert store["healthy"] and store["why"] is None and not store["stalled"] and not store["full"]
    if store["durable"]:
        assert store["commits"] > 0 and store["journal_max"] > store["journal_bytes"] >= 0
    await env.connect(stack.ports[0], "c", clean=True)
    env.check_leftovers = False


async def test_links_say_whose_they_are(env):
    stack = await env.stack(broker={"workers": 2})
    client = await env.connect(stack.ports[0], "c")
    await client.subscribe(("t", 1))
    for n in range(5):
        await client.publish("t", b"12345", 1)
        await client.receive()
    links = view.rows(stack.broker, "links")
    assert len(links) == 4 and len({link["link"] for link in links}) == 4, links
    for link in links:
        assert link["peer"].startswith("127.0.0.1:") and link["identity"] == "token:local"
        assert "default" in link["spaces"] and near(link["since"])
        assert link["worker"] in (0, 1) and not link["slow"] and not link["leaving"] and link["bytes"] > 0
    sessions = view.rows(stack.broker, "sessions")
    for link in links:
        assert link["sessions"] == sum(s["link"] == link["link"] for s in sessions)
    mine = next(s for s in sessions if s["client"] == "c")
    assert next(link for link in links if link["link"] == mine["link"])["delivered"] >= 5
    assert view.row(stack.broker, "links", name=links[0]["peer"])["link"] == links[0]["link"]
    # They are of the whole broker: not for an identity of some spaces.
    assert view.ask(stack.broker, "/links", headers=bearer((stack.folder / "token").read_text())).status == 403


async def test_queues_say_what_they_refused_and_lost(env):
    stack = await env.stack(sidecars=1, broker={"queue": {"max-messages": 2}})

    def queue(name):
        return view.row(stack.broker, "queues", name=name)
    kept = env.client("kept", ack="never")
    await kept.connect(stack.ports[0], props=DURABLE | {"receive_maximum": 1})
    await kept.subscribe(("t", 1))
    passing = env.client("passing", ack="never")
    await passing.connect(stack.ports[0], props={"receive_maximum": 1})
    await passing.subscribe(("u", 1))
    publisher = await env.connect(stack.ports[0], "publisher")
    codes = [await publisher.publish("t", b"x", 1) for _ in range(9)]
    refused = sum(code >= 0x80 for code in codes)
    assert refused > 0, codes
    assert queue("default~demo~kept")["refused"] == {"queue-full": refused}
    for n in range(9):
        await publisher.publish("u", b"x", 1)
    lost = view.row(stack.broker, "queues", prefix="default~demo~passing")["left"]
    assert lost["no-room"] > 0, lost
    passing.abort()
    kept.abort()
    await env.connect(stack.ports[0], "kept", clean=True)
    env.check_leftovers = False


async def test_what_several_spaces_share_is_nobodys_of_its_name(env):
    """A namespace that is named like a shared space has no part in it."""
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {
        "acl": [{"allow": ["operate"], "identity": "kube:*/ops"}],
        "spaces": {"trade": {"tenants": ["shop", "billing"]}}})
    stack.sidecars[0].tree["identity"]["space"] = "shop"
    (stack.folder / "token").write_text(issuer.token("shop", "till"))
    await stack.start()
    client = await env.connect(stack.ports[0], "c")
    await client.publish("secret/of-shop", b"x", 1, retain=True)
    assert view.row(stack.broker, "retained", name="secret/of-shop")["space"] == "trade (shared)"
    for space in ("trade", "other"):
        assert view.rows(stack.broker, "retained", headers=bearer(issuer.token(space, "ops"))) == []
    env.check_leftovers = False


async def test_a_page_ends_at_its_text(env):
    """Topics are their clients' to choose: 64 kB each."""
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c")
    topics = [f"{n:03}" + "\u0101" * 32000 for n in range(100)]
    for topic in topics:
        await client.publish(topic, b"x", 1, retain=True)
    first = view.ask(stack.broker, "/retained", limit=1000)
    assert 1 <= len(first.body["rows"]) <= 6 and first.body["next"]
    rows = view.rows(stack.broker, "retained", limit=1000)
    assert sorted(r["topic"] for r in rows) == topics
    env.check_leftovers = False


async def test_retained_messages_are_there_without_their_payloads(env):
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c")
    for n in range(20):
        await client.publish(f"kept/{n}", b"secret" * n or b"secret", 1, retain=True)
    await client.publish("short", b"secret", 1, retain=True, props={"message_expiry": 600})
    for limit in (1, 7, 1000):
        rows = view.rows(stack.broker, "retained", limit=limit)
        assert sorted(r["topic"] for r in rows) == sorted([f"kept/{n}" for n in range(20)] + ["short"])
    row = view.row(stack.broker, "retained", name="kept/3")
    assert row["space"] == "default" and row["payload"] == 18 and row["bytes"] > 18 and row["qos"] == 1
    assert near(row["since"]) and row["expires"] is None
    assert near(view.row(stack.broker, "retained", name="short")["expires"] - 600 * 1000)
    assert "secret" not in view.ask(stack.broker, "/retained").text
    await client.publish("kept/3", b"", 1, retain=True)
    assert not view.rows(stack.broker, "retained", name="kept/3")
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    if view.row(stack.broker, "store")["durable"]:
        rows = view.rows(stack.broker, "retained")
        assert len(rows) == 20 and all(r["since"] is None for r in rows)
    env.check_leftovers = False


async def test_dead_letters_say_why_and_from_where(env):
    stack = await env.stack(sidecars=1)
    client = await env.connect(stack.ports[0], "c")
    kept = await env.connect(stack.ports[0], "kept", props=DURABLE)
    await kept.subscribe(("t/#", 2))
    await kept.disconnect()
    for n in range(5):
        props = {"user": [("sqmqos-qos", "3"), ("sqmqos-key", f"k-{n}")]}
        assert await client.publish(f"t/{n}", b"secret", 2, props=props) == 0
    await env.connect(stack.ports[0], "kept", clean=True)  # which ends the session with what waits

    def letters(limit=100):
        return view.rows(stack.broker, "dead-letters", limit=limit)
    found = await eventually(lambda: asyncio.to_thread(lambda: len(letters()) == 5 and letters()), "five letters")
    assert sorted((r["topic"], r["key"]) for r in found) == [(f"t/{n}", f"k-{n}") for n in range(5)]
    for letter in found:
        assert letter["from"] == "default~demo~kept" and letter["cause"] == "session-ended"
        assert letter["queue"] == "dead~default" and letter["space"] == "default"
        assert letter["payload"] == 6 and letter["died"].endswith("Z") and letter["letter"] > 0
    assert letters(1) == letters(2) == found
    assert "secret" not in view.ask(stack.broker, "/dead-letters").text
    assert view.row(stack.broker, "queues", name="dead~default")["depth"] == 5
    assert not view.rows(stack.broker, "dead-letters", prefix="dead-others")
    env.check_leftovers = False

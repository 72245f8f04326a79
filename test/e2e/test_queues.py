"""Named queues: declared by files, joined by MQTT clients, kept over restarts and kills."""

import asyncio
import subprocess

import stack as parts
import view
from annotations import AnnotationsFile, Volume
from api import Api
from cluster import eventually
from command import Command
from libcurl import Curl, Unanswered
from mqtt import V311
from scenario import scenario

BROKER = {"engine": "embedded", "session": {"grace": "1s", "recovery-time": "0s"}, "workers": 2}
NO = 0x8F
SPACE = "default"
DURABLE = {"session_expiry": 600}


def files(env, queues):
    """The folder of subscribers.dir, with one file."""
    folder = env.folder / "subscribers"
    folder.mkdir(exist_ok=True)
    declare(env, {SPACE: queues})
    return folder


def declare(env, tree, name="q.yaml"):
    fresh = env.folder / "fresh.yaml"
    fresh.write_text(parts.yaml(tree))
    fresh.rename(env.folder / "subscribers" / name)


async def begin(env, broker=None, sidecars=2, annotations=None, **queues):
    """A stack whose broker has the queues, that files declare."""
    stack = await env.stack(start=False, tls=False, sidecars=sidecars, annotations=annotations or [None] * sidecars,
                            broker=BROKER | (broker or {}))
    stack.broker.tree["subscribers"] = {"dir": str(files(env, queues))}
    await stack.start()
    return stack


def queue(stack, name):
    return next((row for row in view.rows(stack.broker, "queues") if row["queue"] == f"queue~{SPACE}~{name}"), None)


async def waits(stack, name, n):
    await eventually(lambda: (queue(stack, name) or {}).get("depth") == n, f"{n} messages wait in {name}")


async def test_the_view_says_what_comes_into_queues(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs/#", "qos": 2}, {"tag": "eu", "id": "europe"}]},
                        many={"bindings": [{"filter": f"many/{i}"} for i in range(40)]})
    for limit in (1, 7, 1000):
        rows = view.rows(stack.broker, "bindings", limit=limit)
        assert len(rows) == 42 and {r["filter"] for r in rows if r["queue"] == "queue~default~many"} == \
            {f"many/{i}" for i in range(40)}
    jobs = view.rows(stack.broker, "bindings", name="queue~default~jobs")
    assert [{k: r[k] for k in ("space", "filter", "tag", "qos")} for r in jobs] == [
        {"space": SPACE, "filter": "jobs/#", "tag": None, "qos": 2}, {"space": SPACE, "filter": None, "tag": "eu", "qos": 1}]
    assert jobs[1]["id"] == "europe"

    said, _ = await Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}").run("why", "--topic", "jobs/1")
    assert "named queue queue~default~jobs takes it by its binding jobs/#, at QoS 2 at most" in said
    assert "! nobody pulls from queue queue~default~jobs" in said


async def test_whoever_pulls_is_a_taker(env):
    """queue.lonely-after is of queues that nobody takes from."""
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs/#"}]})
    assert queue(stack, "jobs")["members"] == 0 and queue(stack, "jobs")["lonely"] is not None
    waiting = asyncio.ensure_future(Api(stack, tls=False).ask(
        "POST", "/v1/queues/jobs/receive?wait=30s&ack=receive", None, {"sqmqos-space": SPACE}))
    await eventually(lambda: queue(stack, "jobs")["members"] == 1, "who waits is a taker")
    assert queue(stack, "jobs")["lonely"] is None
    publisher = await env.connect(stack.ports[0], "publisher")
    assert await publisher.publish("jobs/1", b"x", qos=1) == 0
    assert (await waiting).status == 200
    await eventually(lambda: queue(stack, "jobs")["members"] == 0, "and is none when it has not asked for a while", 30)


async def test_clients_of_both_versions_share_a_queue(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs/#", "qos": 2}]})
    publisher = await env.connect(stack.ports[1], "publisher")
    for i in range(4):
        assert await publisher.publish(f"jobs/{i}", b"before", qos=1) == 0
    await waits(stack, "jobs", 4)
    new = await env.connect(stack.ports[0], "new")
    old = await env.connect(stack.ports[1], "old", version=V311)
    assert await new.subscribe("$queue/jobs", qos=2) == [2]
    assert {m.topic for m in await new.receive_all(4)} == {f"jobs/{i}" for i in range(4)}
    assert await old.subscribe("$queue/jobs", qos=1) == [1]
    for i in range(20):
        assert await publisher.publish("jobs/x", b"%d" % i, qos=2) == 0
    await eventually(lambda: len(new.inbox) + len(old.inbox) == 20, "each message came to one of them")
    assert new.inbox and old.inbox
    assert {m.payload for m in new.inbox + old.inbox} == {b"%d" % i for i in range(20)}
    assert await old.unsubscribe("$queue/jobs") in ([0], [])
    await new.ping()


async def test_what_nobody_takes_stays_over_a_restart_and_a_kill(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs/#"}, {"tag": "job"}]})
    publisher = await env.connect(stack.ports[1], "publisher")
    publisher.publish_nowait("jobs/0", b"0", qos=0)
    await waits(stack, "jobs", 1)  # stored, though of QoS 0
    assert await publisher.publish("other", b"1", qos=1, props={"user": [("tag", "job")]}) == 0
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    await waits(stack, "jobs", 2)
    assert await publisher.publish("jobs/2", b"2", qos=2) == 0
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    taker = await env.connect(stack.ports[0], "taker")
    assert await taker.subscribe("$queue/jobs", qos=1) == [1]
    assert sorted(m.payload for m in await taker.receive_all(3)) == [b"0", b"1", b"2"]
    await waits(stack, "jobs", 0)


async def test_a_durable_member_is_back_after_a_kill(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs/#"}]})
    publisher = await env.connect(stack.ports[1], "publisher")
    member = env.client("member")
    await member.connect(stack.ports[0], clean=False, props=DURABLE)
    assert await member.subscribe("$queue/jobs", qos=1) == [1]
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    assert await publisher.publish("jobs/1", b"1", qos=1) == 0
    assert (await member.receive()).payload == b"1"
    await waits(stack, "jobs", 0)


async def test_who_can_not_join_hears_why(env):
    stack = await begin(
        env, broker={"acl": [{"deny": ["consume"], "queues": ["secret"]}]},
        lanes={"order": "topic"}, secret={}, jobs={})
    app = await env.connect(stack.ports[0], "app")
    assert await app.subscribe("$queue/none", qos=1) == [NO]
    assert await app.subscribe("$queue/lanes", qos=1) == [NO]
    assert await app.subscribe("$queue/secret", qos=1) == [0x87]
    assert await app.subscribe("$queue/jobs", qos=1) == [1]
    for why, word in zip(("there is no queue of that name", "the queue has an order", "not authorized to consume secret"),
                         app.words, strict=True):
        assert why in word, (why, word)
    old = await env.connect(stack.ports[0], "old", version=V311)
    assert await old.subscribe("$queue/none", qos=1) == [0x80]


async def test_a_pod_joins_by_its_annotation(env):
    file = AnnotationsFile(env.folder / "pod").write("[{queue: jobs}]")
    stack = await begin(env, annotations=[file.path, None], jobs={"bindings": [{"filter": "jobs/#"}]})
    app = await env.connect(stack.ports[0], "app")
    publisher = await env.connect(stack.ports[1], "publisher")
    assert await publisher.publish("jobs/1", b"1", qos=1) == 0
    assert (await app.receive()).payload == b"1"


async def test_files_are_read_again(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "a"}]})
    app = await env.connect(stack.ports[0], "app")
    declare(env, {SPACE: {"jobs": {"bindings": [{"filter": "b"}]}, "more": {"bindings": [{"filter": "a"}]}}})
    await eventually(lambda: queue(stack, "more"), "the new queue is there")
    assert await app.publish("a", b"", qos=1) == 0
    assert await app.publish("b", b"", qos=1) == 0
    await waits(stack, "jobs", 1)
    await waits(stack, "more", 1)
    declare(env, {SPACE: {"jobs": {"leese": "1m"}, "third": {}}})
    await eventually(lambda: "jobs.leese: unknown setting, did you mean lease?" in stack.log(stack.broker),
                     "the log says what is wrong, and where")
    checked = subprocess.run([*stack.broker.argv, "--check-config"], capture_output=True, text=True, timeout=20,
                             env=parts.clean_environment())
    assert checked.returncode == 2 and "q.yaml:3: default.jobs.leese: unknown setting" in checked.stderr, checked
    declare(env, {SPACE: {"third": {}}}, "third.yml")
    await eventually(lambda: queue(stack, "third"), "another file is taken all the same")
    assert queue(stack, "jobs") and queue(stack, "more"), "the bad file changes nothing"
    taker = await env.connect(stack.ports[0], "taker")
    for name in ("jobs", "more"):
        assert await taker.subscribe(f"$queue/{name}", qos=1) == [1]
    await taker.receive_all(2)
    await taker.ping()


async def test_a_volume_that_kubelet_swaps(env):
    volume = Volume(env.folder / "volume")
    volume.put({"q.yaml": parts.yaml({SPACE: {}})})
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=BROKER)
    stack.broker.tree["subscribers"] = {"dir": str(volume.path)}
    await stack.start()
    for name in ("one", "two"):
        volume.put({"q.yaml": parts.yaml({SPACE: {name: {"bindings": [{"filter": name}]}}})})
        await eventually(lambda name=name: queue(stack, name), f"{name} is declared")
    assert queue(stack, "one"), "what is no longer declared stays"


async def test_what_files_declare_is_there_before_anybody_publishes(env):
    """Also at the first start of a store, which has none of it yet."""
    names = [f"first-{i}" for i in range(400)]
    stack = await env.stack(start=False, tls=False, sidecars=0, broker=BROKER)
    stack.broker.tree["subscribers"] = {"dir": str(files(
        env, {name: {"bindings": [{"filter": "first"}]} for name in names}))}
    starting = asyncio.ensure_future(stack.start())
    curl = Curl(f"http://127.0.0.1:{stack.broker_port}", "1.1",
                (stack.folder / "token").read_text().strip(), SPACE)

    def publish():
        try:
            return curl.ask("POST", "/v1/publish/first", b"at once")
        except Unanswered:  # it does not listen yet
            return None
    answer = await eventually(publish, "a publish is answered")
    await starting
    assert answer.status == 200 and answer.json["matched"] == len(names), answer
    for name in names:
        assert curl.ask("POST", f"/v1/queues/{name}/receive?ack=receive").status == 200


async def test_an_operator_purges_it(env):
    stack = await begin(env, jobs={"bindings": [{"filter": "jobs"}]})
    app = await env.connect(stack.ports[0], "app")
    for _ in range(3):
        assert await app.publish("jobs", b"", qos=1) == 0
    await waits(stack, "jobs", 3)
    answer = view.do(stack.broker, "queues/purge", {"queue": "queue~default~jobs"})
    assert answer.status == 200 and answer.body["done"] == 3, answer.text
    await waits(stack, "jobs", 0)


@scenario(timeout_s=180)
async def test_what_is_declared_by_http_is_there_after_a_kill(env):
    """The broker is killed while queues are declared, bound and deleted; what was answered counts."""
    stack = await begin(env, broker={"acl": [{"allow": ["manage"], "queues": ["*"]}]})
    env.check_leftovers = False
    api = Api(stack, tls=False)
    there, unsure = set(), set()

    async def change(name, method, status):
        unsure.add(name)
        answer = await api.ask(method, f"/v1/queues/{name}", b'{"bindings":[{"filter":"a/#"}]}' if method == "PUT" else None,
                               {"sqmqos-space": SPACE} | ({"content-type": "application/json"} if method == "PUT" else {}))
        assert answer.status == status, answer
        unsure.discard(name)
        there.add(name) if method == "PUT" else there.discard(name)

    async def changes(k):
        try:
            for i in range(1000):
                await change(f"q-{k}-{i}", "PUT", 201)
                if i % 3 == 2:
                    await change(f"q-{k}-{i - 1}", "DELETE", 204)
        except (AssertionError, ConnectionError):
            assert not stack.broker.running() or killing

    for life in range(3):
        killing = False
        workers = [asyncio.ensure_future(changes(f"{life}-{k}")) for k in range(3)]
        await eventually(lambda: len(there) > 12 * (life + 1), "some are declared", 60)
        killing = True
        await stack.kill(stack.broker)
        await asyncio.gather(*workers)
        await stack.restart(stack.broker)
        now = {row["queue"].rpartition("~")[2] for row in view.rows(stack.broker, "queues") if row["kind"] == "queue"}
        assert there - unsure <= now and now <= there | unsure, (there - now, now - there - unsure)
        there, unsure = now, set()

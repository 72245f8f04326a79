"""Bridges to RabbitMQ (docs/bridges.md, "amqp"), with pika at the other end."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys

import stack as parts
from api import Api
from client_ca import ClientCa
from cluster import descriptors, eventually
from mqtt import Client
from proxy import Proxy
from rabbit import PASSWORD, USER, Rabbit
from scenario import scenario

BROKER = {"engine": "embedded", "acl": [{"allow": ["manage", "consume"], "identity": "token:local"}]}
SPACE = "default"


class World:
    """A RabbitMQ, and a stack with bridges to it."""

    def __init__(self, env, **options):
        self.env, self.rabbit = env, Rabbit(env.folder, **options)
        self.pika, self.stack = self.rabbit.pika, None

    async def __aenter__(self):
        try:
            await asyncio.to_thread(self.rabbit.start)
            self.channel = self.rabbit.channel()
        except BaseException:
            self.rabbit.close()
            raise
        return self

    async def __aexit__(self, *_):
        self.rabbit.close()

    def bridge(self, **more):
        user, password = self.rabbit.credentials()
        return {"space": SPACE, "kind": "amqp", "url": self.rabbit.urls,
                "credentials": {"user-file": str(user), "password-file": str(password)}} | more

    def queue(self, name, kind="classic"):
        self.channel.queue_declare(name, durable=True, arguments={"x-queue-type": kind})

    async def start(self, up=True, **bridges):
        folder = self.env.folder / "bridges"
        folder.mkdir()
        (folder / "b.yaml").write_text(json.dumps({"bridges": bridges}))
        self.stack = await self.env.stack(sidecars=1, broker=BROKER | {"bridges": {"dir": str(folder)}})
        self.api = Api(self.stack)
        for name in bridges if up else ():
            await self.until(name, lambda b: all(b[half]["up"] for half in ("out", "in") if half in b))
        lines = sum(b.get("connections", 1) * (("out" in b) + ("in" in b)) for b in bridges.values())
        self.stack.descriptors[self.stack.broker.name] = descriptors(self.stack.broker) + 3 * lines  # as they dial

    async def seen(self, name):
        answer = await self.api.ask("GET", f"/v1/bridges/{name}")
        assert answer.status == 200, answer
        return answer.json

    async def until(self, name, condition, what="the bridge is so", seconds=60):
        async def so():
            self.last = await self.seen(name)
            return condition(self.last)
        try:
            await eventually(so, f"{what}: {name}", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.last}") from None

    async def client(self, *filters):
        made = Client(f"c{len(self.env.clients)}")
        self.env.clients.append(made)
        await made.connect(self.stack.ports[0], clean=False, props={"session_expiry": 300})
        if filters:
            await made.subscribe(*filters, qos=1)
        return made

    async def get(self, queue):
        """The next message of a queue of the peer: method, properties, body."""
        async def there():
            self.last = self.channel.basic_get(queue, auto_ack=True)
            return self.last[0] is not None
        await eventually(there, f"{queue} has a message")
        return self.last

    def lines(self, name):
        return [line for line in self.stack.log(self.stack.broker).splitlines() if f"bridge/{name}" in line]


def in_order(channel, queue, n, lanes):
    """The queue has all numbers below n, of which the first copies are in the order of their lanes."""
    got = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        got.append(int(body))
    first = list(dict.fromkeys(got))  # copies may follow
    assert sorted(first) == list(range(n)), set(range(n)) - set(first)
    for lane in range(lanes):
        assert [k for k in first if k % lanes == lane] == list(range(lane, n, lanes)), lane


@contextlib.contextmanager
def recursion(limit):
    was = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(was)


@scenario(timeout_s=240)
async def test_the_contract_of_bridges_holds_on_rabbitmq(env):
    """The suite of test/contract/test_bridge.c, on classic and on quorum queues."""
    async with World(env) as w:
        user, password = w.rabbit.credentials()
        address = f"{w.rabbit.nodes[0].amqp} {user} {password} {w.rabbit.control()}"
        suite = parts.ROOT / "build" / env.settings.build / "test" / "test_bridge"
        told = env.folder / "suite.log"  # what a suite that hangs has said by then is of use, too
        with open(told, "wb") as log:
            done = await asyncio.to_thread(
                subprocess.run, [suite, "-j1", "--verbose"], env=os.environ | {"SQMQOS_TEST_AMQP": address},
                stdout=log, stderr=log, timeout=220)
        assert done.returncode == 0, told.read_text()
        assert "with amqp, classic queues" in told.read_text() and "with amqp, quorum queues" in told.read_text()


async def test_what_goes_out_is_what_others_expect(env):
    """Each row of the page's table, on both types of queues."""
    async with World(env) as w:
        w.channel.exchange_declare("orders", "topic", durable=True)
        for kind in ("classic", "quorum"):
            w.queue(kind, kind)
            w.channel.queue_bind(kind, "orders", "orders.#")
        await w.start(b=w.bridge(out=[{"filter": "orders/#", "to": {"exchange": "orders"}}]))
        c = await w.client()
        await c.publish("orders/eu/1", b"\x00body", qos=1, retain=True, props={
            "content_type": "text/plain", "response_topic": "r/1", "correlation_data": b"c1",
            "message_expiry": 100, "user": [("a", "1"), ("a", "2"), ("b", "3"), ("tag", "red")]})
        origins = set()
        for queue in ("classic", "quorum"):
            method, p, body = await w.get(queue)
            assert (method.exchange, method.routing_key, body) == ("orders", "orders.eu.1", b"\x00body")
            assert (p.content_type, p.reply_to, p.correlation_id) == ("text/plain", "r/1", "c1")
            assert p.delivery_mode == 2 and p.timestamp and 90000 < int(p.expiration) <= 100000, p
            h = p.headers
            assert h["a"] == ["1", "2"] and h["b"] == "3" and h["tags"] == ["red"], h
            assert h["sqmqos-topic"] == "orders/eu/1" and h["sqmqos-retain"] == "1", h
            assert h["sqmqos-hops"].endswith("/b") and p.message_id == h["sqmqos-origin"], h
            origins.add(p.message_id)
        assert len(origins) == 1
        await w.until("b", lambda b: b["out"]["messages"]["ok"] == 1)
        env.check_leftovers = False  # a retained message


async def test_what_comes_in_is_what_ours_expect(env):
    async with World(env) as w:
        rows = [{"queue": kind, "to": kind + "/{key:/}", "prefetch": 10} for kind in ("classic", "quorum")]
        for row in rows:
            w.queue(row["queue"], row["queue"])
            w.channel.exchange_declare("x", "topic", durable=True)
            w.channel.queue_bind(row["queue"], "x", "#")
        await w.start(b=w.bridge(**{"in": rows}))
        c = await w.client("classic/#", "quorum/#")
        w.channel.basic_publish("x", "a.b", b"body", w.pika.BasicProperties(
            content_type="text/plain", reply_to="r/1", correlation_id="c1", expiration="60000", priority=4,
            message_id="m1", timestamp=1, type="t", app_id="app", delivery_mode=2, headers={
                "text": "x", "n": 7, "yes": True, "many": ["p", "q"], "tags": ["red", "blue"],
                "deep": {"k": [1, {"z": None}]}, "sqmqos-delay": "60"}))
        got = {m.topic: m for m in await c.receive_all(2)}
        assert set(got) == {"classic/a/b", "quorum/a/b"}
        for topic, m in got.items():
            assert m.payload == b"body" and m.qos == 1
            assert m.props["content_type"] == "text/plain" and m.props["response_topic"] == "r/1", m.props
            assert m.props["correlation_data"] == b"c1" and 50 < m.props["message_expiry"] <= 60, m.props
            user = m.props["user"]
            for pair in (("text", "x"), ("n", "7"), ("yes", "true"), ("many", "p"), ("many", "q"), ("tag", "red"),
                         ("tag", "blue"), ("deep", '{"k":[1,{"z":null}]}'), ("amqp-message-id", "m1"),
                         ("amqp-type", "t"), ("amqp-app-id", "app"), ("amqp-priority", "4"),
                         ("amqp-timestamp", "1970-01-01T00:00:01.000Z")):
                assert pair in user, (topic, pair, user)
            assert not [name for name, _ in user if name == "sqmqos-delay"], user

        def told():
            return w.rabbit.messages("classic") == w.rabbit.messages("quorum") == 0
        await eventually(lambda: asyncio.to_thread(told), "the peer was told")


async def test_what_nobody_wants_is_a_dead_letter(env):
    async with World(env) as w:
        await w.start(b=w.bridge(out=[{"filter": "a/#", "to": {"key": "{topic.2}"}}]))
        c = await w.client()
        w.queue("there")
        await c.publish("a/nowhere", b"1", qos=1)
        await c.publish("a/there", b"2", qos=1)
        assert (await w.get("there"))[2] == b"2"
        await w.until("b", lambda b: b["out"]["messages"]["dead"] == 1 and b["out"]["messages"]["ok"] == 1)
        assert "NO_ROUTE" in (await w.seen("b"))["out"]["lastError"], await w.seen("b")
        env.check_leftovers = False  # a dead letter


async def test_a_peer_that_blocks_gets_all_once_it_takes_it(env):
    async with World(env) as w:
        w.queue("q", "quorum")
        await w.start(b=w.bridge(out=[{"filter": "a/#", "to": {"key": "q"}}], window=50))
        c = await w.client()
        await asyncio.to_thread(w.rabbit.ctl, "set_vm_memory_high_watermark", "0.0000001")
        for n in range(200):
            await c.publish(f"a/{n % 5}", str(n).encode(), qos=1)
        await w.until("b", lambda b: b["out"].get("blocked"), "the peer blocks")
        seen = await w.seen("b")
        assert seen["out"]["up"] and seen["out"]["messages"]["ok"] == 0, seen
        await asyncio.to_thread(w.rabbit.ctl, "set_vm_memory_high_watermark", "0.8")
        await w.until("b", lambda b: b["out"]["messages"]["ok"] == 200 and not b["out"]["blocked"], "all is there")
        assert await asyncio.to_thread(w.rabbit.messages, "q") == 200


async def test_a_queue_that_is_deleted_is_told_and_waited_for(env):
    async with World(env) as w:
        w.queue("q")
        await w.start(b=w.bridge(**{"in": [{"queue": "q", "to": "in"}]}))
        c = await w.client("in")
        w.channel.queue_delete("q")
        await w.until("b", lambda b: not b["in"]["up"], "its end is seen")
        w.queue("q")
        w.channel.basic_publish("", "q", b"again")
        assert (await c.receive()).payload == b"again"
        down = [line for line in w.lines("b") if "queue q" in line]
        assert 1 <= len(down) <= 2 and "was deleted" in down[0], w.lines("b")


async def test_queues_go_on_beside_one_that_is_not_there(env):
    """One of three is missing at the start, another one is deleted: by one connection, the others go on, and
    each flows again by itself once it is made."""
    async with World(env) as w:
        proxy = await Proxy(w.rabbit.port(), w.rabbit.nodes[0].amqp).start()
        for name in ("a", "b"):
            w.queue(name)
        await w.start(b=w.bridge(url=[f"amqp://127.0.0.1:{proxy.port}"],
                                 **{"in": [{"queue": name, "to": "in/" + name} for name in ("late", "a", "b")]}))
        c = await w.client("in/#")

        async def flows(*names):
            for name in names:
                w.channel.basic_publish("", name, name.encode())
                got = await c.receive()
                assert (got.topic, got.payload) == ("in/" + name, name.encode()), got

        async def lacks(*names):
            def so(b):
                words = b["in"].get("lacks", "")
                return b["in"]["up"] and [n for n in ("late", "a", "b") if f"queue {n}:" in words] == list(names)
            await w.until("b", so, f"it is up, but for {names}")
            assert (", but: queue" in w.last["in"]["why"]) == bool(names), w.last
        await lacks("late")
        await flows("a", "b")
        w.channel.queue_delete("a")
        await lacks("late", "a")
        await flows("b")
        w.queue("late", "quorum")
        await lacks("a")
        await flows("late", "b")
        w.queue("a")
        await lacks()
        await flows("a", "late", "b")
        assert proxy.taken == 1, "by one connection"
        for name, words in (("late", "NOT_FOUND"), ("a", "was deleted")):
            assert [line for line in w.lines("b") if f"but: queue {name}: " in line and words in line], w.lines("b")
        assert len([line for line in w.lines("b") if "the peer is there" in line]) == 4, w.lines("b")
        await proxy.stop()


@scenario(timeout_s=180)
async def test_what_is_wrong_is_told_in_one_line(env):
    ca, other = ClientCa(env.folder / "ca"), ClientCa(env.folder / "other")
    async with World(env, authority=ca, names=("DNS:localhost",)) as w:
        wrong = env.folder / "wrong"
        parts.write_private(wrong, "not the password\n")
        node, proxies = w.rabbit.nodes[0], {}

        async def via(name, port, address):
            """The address of the peer for this bridge alone: its dials are counted."""
            proxies[name] = await Proxy(w.rabbit.port(), port).start()
            return [address.replace("PORT", str(proxies[name].port))]
        plain = {name: await via(name, node.amqp, "amqp://127.0.0.1:PORT")
                 for name in ("password", "queue", "exchange")}
        good, bad = ({"ca-file": str(a.pem)} for a in (ca, other))
        user = w.bridge()["credentials"]["user-file"]
        out, into = [{"filter": "a/#", "to": {"key": "q"}}], [{"queue": "none", "to": "in"}]
        cases = {
            "password": (dict(url=plain["password"], credentials={"user-file": user, "password-file": str(wrong)},
                              out=out), "ACCESS_REFUSED"),
            "vhost": (dict(url=await via("vhost", node.amqp, "amqp://127.0.0.1:PORT/none"), out=out),
                      "vhost none not found"),
            "authority": (dict(url=await via("authority", node.amqps, "amqps://localhost:PORT"), tls=bad, out=out),
                          "its certificate: self-signed"),
            "name": (dict(url=await via("name", node.amqps, "amqps://127.0.0.1:PORT"), tls=good, out=out),
                     "IP address mismatch"),
            "queue": (dict(url=plain["queue"], **{"in": into}), "queue none: NOT_FOUND"),
            "exchange": (dict(url=plain["exchange"], out=[{"filter": "a/#", "to": {"exchange": "none"}}]),
                         "exchange none: NOT_FOUND"),
            "port": (dict(url=["amqp://127.0.0.1:1"], out=out), "refused"),
            "tls": (dict(url=await via("tls", node.amqps, "amqp://localhost:PORT"), out=out), "a port for amqps"),
        }
        await w.start(up=False, good=w.bridge(url=[node.tls_url], tls=good, out=out),
                      **{name: w.bridge(**more) for name, (more, _) in cases.items()})
        await w.until("good", lambda b: b["out"]["up"])
        for name, (_, words) in cases.items():
            await eventually(lambda: any(words in line for line in w.lines(name)), f"{name}: {words}", 20)
        for name, proxy in proxies.items():  # the third one begins when the second one's end was told
            await eventually(lambda: proxy.taken >= 3, f"{name} dials again", 30)
        log = w.stack.log(w.stack.broker)
        assert PASSWORD not in log and "not the password" not in log and USER + "\n" not in log
        for name, (_, words) in cases.items():
            assert len([line for line in w.lines(name) if words in line]) == 1, w.lines(name)
        for proxy in proxies.values():
            await proxy.stop()


async def test_what_is_not_there_is_made_where_that_is_asked_for(env):
    """declare: true, with an exchange of "out", and a queue and its binding of "in"."""
    async with World(env) as w:
        w.channel.exchange_declare("there", "topic", durable=True)
        await w.start(
            there=w.bridge(declare=True, out=[{"filter": "a/#", "to": {"exchange": "made", "type": "direct", "key": "k"}}]),
            back=w.bridge(declare=True, **{"in": [
                {"queue": "q", "type": "classic", "exchange": "there", "bind": "b.*", "to": "in/{key}"}]}))
        w.channel.exchange_declare("made", "direct", durable=True, passive=True)
        w.queue("got")
        w.channel.queue_bind("got", "made", "k")
        w.queue("q", "classic")  # the peer would refuse another type
        c = await w.client("in/#")
        await c.publish("a/1", b"out", qos=1)
        assert (await w.get("got"))[2] == b"out"
        for key in ("c.1", "b.1"):
            w.channel.basic_publish("there", key, key.encode())
        got = await c.receive()
        assert (got.topic, got.payload) == ("in/b.1", b"b.1"), got


async def test_lanes_keep_their_order_over_several_connections(env):
    """Four of them, all of which are cut in between."""
    async with World(env) as w:
        w.queue("q", "quorum")
        await w.start(b=w.bridge(out=[{"filter": "a/#", "to": {"key": "q"}}], connections=4, window=40))
        await w.until("b", lambda b: b["out"].get("connected") == 4, "all of them are up")
        c = await w.client()
        for n in range(200):
            await c.publish(f"a/{n % 8}", str(n).encode(), qos=1)
            if n == 100:
                await asyncio.to_thread(w.rabbit.away)
                await w.until("b", lambda b: not b["out"]["up"], "it is away")
                await asyncio.to_thread(w.rabbit.away, False)
        await w.until("b", lambda b: b["out"]["messages"]["ok"] == 200, "all is accepted")
        in_order(w.rabbit.channel(), "q", 200, 8)


@scenario(timeout_s=180)
async def test_another_node_is_taken_when_one_is_killed(env):
    async with World(env, nodes=3) as w:
        w.queue("q", "quorum")
        await w.start(b=w.bridge(out=[{"filter": "a/#", "to": {"key": "q"}}], heartbeat="2s"))
        c = await w.client()
        sent = 0
        for n in range(300):
            await c.publish(f"a/{n % 3}", str(n).encode(), qos=1)
            sent += 1
            if n == 150:
                await asyncio.to_thread(w.rabbit.nodes[0].kill)
        await w.until("b", lambda b: b["out"]["messages"]["ok"] == sent, "all is accepted", 60)
        in_order(w.rabbit.channel(1), "q", 300, 3)


async def test_two_installations_through_one_queue_are_once(env):
    """The same message twice at the peer, as after a confirm that was lost: once at the other installation."""
    async with World(env) as w:
        w.queue("q", "quorum")
        w.queue("copies", "quorum")
        await w.start(there=w.bridge(out=[{"filter": "a/#", "to": {"key": "copies"}}]))
        folder = env.folder / "bridges2"
        folder.mkdir()
        (folder / "b.yaml").write_text(json.dumps({"bridges": {"back": w.bridge(
            **{"in": [{"queue": "q", "to": "{topic}"}]})}}))
        far = await env.stack(sidecars=1, broker=BROKER | {"bridges": {"dir": str(folder)}})
        sub = Client("far")
        env.clients.append(sub)
        await sub.connect(far.ports[0], clean=False, props={"session_expiry": 300})
        await sub.subscribe("a/#", qos=2)
        c = await w.client()
        for n in range(20):
            await c.publish(f"a/{n % 2}", str(n).encode(), qos=2)
        for n in range(20):
            _, p, body = await w.get("copies")
            for _ in range(2):
                w.channel.basic_publish("", "q", body, p)
        got = [(m.topic, int(m.payload)) for m in await sub.receive_all(20)]
        assert sorted(n for _, n in got) == list(range(20)) and all(t == f"a/{n % 2}" for t, n in got), got
        api = Api(far)

        async def copies_known():
            seen = (await api.ask("GET", "/v1/bridges/back")).json
            return seen["in"]["messages"]["duplicate"] == 20
        await eventually(copies_known, "the copies were known")
        far.descriptors[far.broker.name] = descriptors(far.broker)


async def test_what_can_not_be_published_is_a_dead_letter(env):
    """A name that a template has nothing for, content above limits.max-packet, headers that are too much: none
    of it ends the broker, nor stops what is behind it."""
    async with World(env) as w:
        w.queue("q")
        await w.start(b=w.bridge(**{"in": [{"queue": "q", "to": "in/{header:where}"}]}))
        c, letters = await w.client("in/#"), await w.client("$dead/#")

        def put(body, **headers):
            w.channel.basic_publish("", "q", body, w.pika.BasicProperties(headers=headers))
        put(b"nowhere")
        put(b"x" * (3 << 20), where="large")
        put(b"y" * ((1088 << 10) - 100), where="large", more="z" * 1000)
        put(b"too long", where="a", more="z" * 70000)
        deep = []
        for _ in range(24000):
            deep = [deep]
        with recursion(100000):
            put(b"too deep", where="a", deep=deep)
        put(b"good", where="good")
        assert (await c.receive()).topic == "in/good"
        got = [(m.props["user"], m.payload) for m in await letters.receive_all(5)]
        reasons = [(dict(user)["sqmqos-dead-reason"], payload) for user, payload in got]
        assert reasons == [("unmappable", b"nowhere"), ("too-large", b""), ("too-large", b""),
                           ("unmappable", b"too long"), ("unmappable", b"too deep")], reasons
        assert all(dict(user)["sqmqos-dead-queue"] == f"queue~{SPACE}~bridge.b" for user, _ in got), got
        await w.until("b", lambda b: b["in"]["messages"]["dead"] == 5 and b["in"]["messages"]["ok"] == 1)
        env.check_leftovers = False  # dead letters

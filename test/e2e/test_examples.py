"""The programs of examples/ in each language, as they stand there but for the port, in pods that
have the annotations of examples/kubernetes/: orders arrive, receipts and refusals are seen, what
a consumer can't do becomes a dead letter, delayed orders come in time, replies match."""

import asyncio
import datetime
import subprocess

import example_apps
import pods
import stack as parts
import yaml
from cluster import eventually, metric
from example_apps import App, Kept, run
from scenario import scenario

DELAY_S = 2
LINES = 80


def user(m, name):
    return next((v for n, v in m.props.get("user") or [] if n == name), None)


class World:
    """A broker, a sidecar for each pod of the manifests, and the language's programs."""

    @classmethod
    async def make(cls, env, language):
        world = cls()
        world.env = env
        files, names = [], list(example_apps.PODS)
        annotations = example_apps.annotations()
        for name in names:
            files.append(env.folder / f"{name}.annotations")
            files[-1].write_text(pods.render(annotations[name]))
        stack = await env.stack(sidecars=len(names) + 1, annotations=[*files, None], start=False)
        for sidecar, name in zip(stack.sidecars, names):
            sidecar.tree["identity"]["workload"] = name
        await stack.start()
        world.broker = stack.broker
        world.ports = dict(zip([*example_apps.PODS.values(), "tests"], stack.ports))
        world.programs = await example_apps.built(
            env, language, {p: world.ports[p] for p in example_apps.PROGRAMS})
        world.client = await env.connect(world.ports["tests"], "client")
        return world

    async def run(self, program, *arguments):
        return await run(self.env, self.programs[program], *arguments)

    async def start(self, program, kind=App):
        return await kind.start(self.env, self.programs[program])

    async def is_empty(self):
        return await metric(self.broker, "sqmqos_queued_messages") == 0

    async def receipt(self):
        """The next one: (key, outcome, the broker's time)."""
        m = await self.client.receive()
        assert m.topic == "receipts/orders", m
        time = datetime.datetime.fromisoformat(user(m, "sqmqos-time").replace("Z", "+00:00"))
        return user(m, "sqmqos-key"), user(m, "sqmqos-outcome"), time.timestamp()


def stored_and(said, order, outcome):
    """The receipt may come before the answer that it is stored, and end the program."""
    assert set(said.splitlines()) | {f"{order}: stored"} == \
        {f"{order}: stored", f"{order}: {outcome}"}, said


async def an_order(world, consumer):
    """Is stored, taken and receipted. Returns when, by the broker's clock."""
    code, said = await world.run("publisher", "orders/1", "9.90")
    assert code == 0, said
    stored_and(said, "orders/1", "acknowledged")
    await consumer.says("orders/1: 9.90")
    key, outcome, time = await world.receipt()
    assert (key, outcome) == ("orders/1", "acknowledged")
    return time


async def a_refusal(world):
    code, said = await world.run("publisher", "stock/1", "1")
    assert code == 1, said
    assert "stock/1: refused: 0x87 no rule of sqmqos.io/publish allows the topic stock/1" in said, said


async def a_delay(world, consumer, before):
    """The order is taken no sooner than it may, by the broker's clock."""
    code, said = await world.run("delayed", "orders/2", "5.00", str(DELAY_S))
    assert (code, said) == (0, f"orders/2: comes in {DELAY_S} s")
    await consumer.says("orders/2: 5.00")
    _, outcome, time = await world.receipt()
    assert outcome == "acknowledged"
    assert time - before >= DELAY_S, f"it came {time - before} s after an older one"
    code, said = await world.run("delayed", "orders/2", "5.00", "soon")
    assert code == 1 and "orders/2: refused: 0x83 " in said, said


async def a_dead_letter(world, consumer):
    """An order with which the consumer ends twice. It is sent once more, and then given up."""
    worker = await world.start("dead_letters")
    code, said = await world.run("publisher", "orders/3", "much")
    assert code == 0, said
    stored_and(said, "orders/3", "dead-lettered")
    await worker.says(r"orders/3: attempts in declared~default~orders-worker~orders-worker, sent again")
    await worker.says(r"orders/3: attempts in declared~default~orders-worker~orders-worker, given up")
    assert (await world.receipt())[:2] == ("orders/3", "dead-lettered")
    await consumer.says(".*'?much'? is no amount.*")
    code, said = await world.run("publisher", "orders/4", "1.00")
    assert code == 0, said
    await consumer.says("orders/4: 1.00")
    await world.receipt()
    return worker


async def a_reply(world):
    """What answers another request is not taken for the reply."""
    await world.client.subscribe("prices/get")
    asking = await App.start(world.env, [*world.programs["requester"], "coat"])
    request = await world.client.receive()
    assert (request.topic, request.payload) == ("prices/get", b"coat")
    assert 0 < request.props["message_expiry"] <= 10
    to, known_by = request.props["response_topic"], request.props["correlation_data"]
    for correlation, price in ((b"other", "1.00"), (known_by, "7.00")):
        await world.client.publish(to, price, 1, props={"correlation_data": correlation})
    assert await asking.ends() == (0, "coat: 7.00")
    await world.client.unsubscribe("prices/get")
    responder = await world.start("responder")
    assert await world.run("requester", "shirt") == (0, "shirt: 5.00")
    return responder


async def language(env, name):
    world = await World.make(env, name)
    await world.client.subscribe("receipts/orders")
    consumer = await world.start("consumer", Kept)
    time = await an_order(world, consumer)
    await a_refusal(world)
    await a_delay(world, consumer, time)
    running = [consumer, await a_dead_letter(world, consumer), await a_reply(world)]
    # The publisher's session waits for its next run, and has the other programs' receipts.
    shop = await env.connect(world.ports["publisher"], "shop")
    await shop.disconnect()
    # What they have printed they may not have acknowledged yet.
    await eventually(lambda: world.is_empty(), "all is acknowledged")
    for app in running:
        await app.end()


@scenario(timeout_s=180)
async def test_c(env):
    await language(env, "c")


@scenario(timeout_s=180)
async def test_node(env):
    await language(env, "node")


@scenario(timeout_s=180)
async def test_python(env):
    await language(env, "python")


@scenario(timeout_s=180)
async def test_go(env):
    await language(env, "go")


@scenario(timeout_s=180)
async def test_java(env):
    await language(env, "java")


async def test_they_are_short_and_all_there(_env):
    page = (example_apps.EXAMPLES / "README.md").read_text()
    for name in example_apps.LANGUAGES:
        for program in example_apps.PROGRAMS:
            found = example_apps.source(name, program)
            assert len(found.read_text().splitlines()) <= LINES, found
            assert f"`{program}`" in page, program
        assert f"cd examples/{name}" in page, name


async def test_the_manifests_are_as_the_injector_wants_them(env):
    program = parts.ROOT / "build" / env.settings.build / "sqmqos"
    for verb in ("lint", "inject"):
        done = await asyncio.to_thread(
            subprocess.run, [program, verb, "-f", example_apps.MANIFESTS], capture_output=True,
            text=True, timeout=60, env=parts.clean_environment())
        assert done.returncode == 0, done.stdout + done.stderr
        if verb == "lint":
            assert not done.stdout + done.stderr, done.stdout + done.stderr
    for path in example_apps.MANIFESTS.glob("*.yaml"):
        assert pods.annotations_of(path.read_text()), f"{path}: ./dev run does not take it"
    made = [d for d in yaml.safe_load_all(done.stdout) if d]
    assert {d["metadata"]["name"] for d in made} == set(example_apps.PODS)
    for document in made:
        spec = document["spec"].get("jobTemplate", document)["spec"]["template"]["spec"]
        assert spec["initContainers"][0]["name"] == "sqmqos-sidecar", document


async def test_one_pod_has_what_two_manifests_declare(_env):
    """pod.yaml, for trying, is not another example."""
    both = example_apps.annotations()
    both = both["orders-worker"] | both["shop"]
    one = yaml.safe_load((example_apps.EXAMPLES / "pod.yaml").read_text())
    assert {k: yaml.safe_load(v) for k, v in one.items()} == \
        {k: yaml.safe_load(v) for k, v in both.items()}

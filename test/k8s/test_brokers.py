"""Two brokers on a log in a PostgreSQL of two pods, through all that may happen to them: nothing
is lost, at QoS 2 nothing comes twice, and no app is disconnected."""

import asyncio
import contextlib
import subprocess
import time

import release
from cluster import eventually
from sql_pods import database
from page import Page
from scenario import scenario
from test_rollouts import flowing, publisher
from workloads import apps

NAME = release.unique("crew")
LABELS = {"sqmqos.io/inject": "true", release.APART: NAME}
BROKERS = [f"{NAME}-broker-{i}" for i in range(2)]
FLOW = {"p1": "crew", "p2": "all"}


class Crew:
    """The brokers of the case, and the apps that go on."""

    def __init__(self, k8s, system, made):
        self.k8s, self.system, self.made, self.recorder = k8s, system, made, made.recorder
        self.db = None
        self.ready_since = {}

    def values(self, **more):
        return release.apart(self.k8s, NAME, brokers=2, log=self.db.values(), **more)

    async def role(self, name):
        """1: it owns the log, 0: it follows, None: it does not answer."""
        pod = await self.k8s.get("pods", name, self.system)
        with contextlib.suppress(OSError, AssertionError, KeyError, TypeError, ValueError):
            return int((await release.scrape(self.k8s, pod, 9090))["sqmqos_log_role"])
        return None

    async def owner(self, other_than=None):
        """(owner, follower), once one owns and the other one is ready."""
        async def one():
            roles = {name: await self.role(name) for name in BROKERS if name != other_than}
            return [name for name, role in roles.items() if role == 1]
        owner = (await eventually(one, "one broker owns the log", 60, 0.1))[0]
        return owner, BROKERS[1 - BROKERS.index(owner)]

    async def all_ready(self):
        async def both():
            pods = await self.k8s.pods("app.kubernetes.io/component=broker", self.system)
            return len(pods) == 2 and all(is_ready(p) for p in pods)
        await eventually(both, "both brokers are ready", 90, 0.1)

    async def apps_ready(self):
        """Since when each app's pod is ready."""
        pods = await self.k8s.pods("app")
        assert len(pods) == 5 and all(is_ready(p) for p in pods)
        return {p["metadata"]["name"]: condition(p)["lastTransitionTime"] for p in pods}

    def longest_gap(self, position):
        """How long no publisher's message was acknowledged since then, in seconds."""
        at = [e["at"] for e in self.recorder.since(position, "acked")]
        return max(b - a for a, b in zip(at, at[1:]))

    @contextlib.asynccontextmanager
    async def through(self, what):
        """What happens within is nothing to the apps; it ends with both brokers ready."""
        since, began, before = self.recorder.position(), time.monotonic(), await self.apps_ready()
        yield
        await flowing(self.recorder, FLOW)
        await self.all_ready()
        await flowing(self.recorder, FLOW)
        assert self.recorder.since(since, "disconnected", "connected", "refused") == [], what
        assert await self.apps_ready() == before, what
        print(f"{what}: {time.monotonic() - began:.1f} s, publishers waited {self.longest_gap(since):.1f} s")


def condition(pod):
    return next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


async def prepared(env):
    """A database that starts, and no brokers yet."""
    k8s = await env.cluster(labels=LABELS)
    system = await k8s.make_namespace("crew-system")
    crew = Crew(k8s, system, await apps(k8s))
    await k8s.load_programs()
    crew.db = await database(k8s)
    await crew.db.secret(system)
    return crew


async def started(env):
    """The brokers of docs/high-availability.md, by its commands, and apps whose messages flow."""
    crew = await prepared(env)
    alone = release.apart(crew.k8s, NAME, broker={"replicas": 0})
    await release.install(crew.k8s, NAME, crew.system, alone)
    await crew.db.copied()
    await move(env, crew, alone, "epoch 1")
    await flow(crew)
    return crew


async def flow(crew):
    """Apps, whose messages flow."""
    k8s, made = crew.k8s, crew.made
    await k8s.apply([
        made.deployment("all", "consume", "all", "--client-id", "all", "--expiry", 600, "--qos", 2,
                        "--subscribe", "one/#", "two/#"),
        made.deployment("crew", "consume", "crew", replicas=2, annotations={"subscribe": "one/#"})])
    await k8s.rolled_out("deployments", "all")
    await k8s.rolled_out("deployments", "crew")
    await crew.recorder.until(lambda: crew.recorder.of("subscribed", "all"), "all has subscribed")
    await k8s.apply([publisher(made, "p1", "one/1", 1), publisher(made, "p2", "two/1", 2)])
    await flowing(crew.recorder, FLOW)
    for name in FLOW:
        await k8s.ready(name)


async def move(env, crew, values, epoch):
    """From the log of one broker to one that several share, and a look at it."""
    page = Page(env, "high-availability.md", values, [
        (r"\bsqmqos-system\b", crew.system), (r"^(helm \w+) sqmqos\b", rf"\1 {NAME}"),
        (r"\bsqmqos-broker-", f"{NAME}-broker-"), (r"\.db\.data:", f".db.{crew.db.namespace}:")])
    upgrade, look, check = page.blocks()
    await page.run(upgrade)
    said = await page.run(look)
    assert f"owns the log, {epoch}" in said and f"follows {NAME}-broker-" in said, said
    said = await page.run(check)
    assert "CREATE TABLE" in said and "sound\n" in said, said


# ---- what happens

async def deleted(crew):
    """In order: it hands over."""
    owner, follower = await crew.owner()
    await crew.k8s.delete("pods", owner, crew.system, wait=False)
    assert (await crew.owner(other_than=owner))[0] == follower


async def killed(crew):
    owner, follower = await crew.owner()
    await crew.k8s.kill(owner, "broker", namespace=crew.system)
    assert (await crew.owner(other_than=owner))[0] == follower


async def cut_off(crew):
    """Nothing reaches the owner's pod nor leaves it, until the other one owns."""
    owner, follower = await crew.owner()
    pid = (await crew.k8s.pids(owner, "broker", crew.system))[0]

    def both(how):
        for chain in ("INPUT", "OUTPUT"):
            subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "iptables", "-w", how, chain, "-j", "DROP"],
                           check=True)
    both("-A")
    try:
        assert (await crew.owner(other_than=owner))[0] == follower
        await flowing(crew.recorder, FLOW)
    finally:
        both("-D")

    async def follows():
        return await crew.role(owner) == 0
    await eventually(follows, f"{owner} follows", 60, 0.2)


async def drained(crew):
    """As kubectl drain does it: the budget lets one go at a time."""
    owner, follower = await crew.owner()
    assert await evict(crew, owner) < 300
    assert (await crew.owner(other_than=owner))[0] == follower
    if not is_ready(await crew.k8s.get("pods", owner, crew.system) or {"status": {}}):
        assert await evict(crew, follower) == 429


async def evict(crew, pod):
    """The answer's status."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": crew.system}}
    path = f"/api/v1/namespaces/{crew.system}/pods/{pod}/eviction"
    try:
        await asyncio.to_thread(crew.k8s.api.request, "POST", path, eviction)
        return 201
    except Exception as e:  # api.Refused, whichever module has it
        return e.status


async def database_lost(crew):
    """Nobody changes roles for it."""
    owner, _ = await crew.owner()
    await crew.db.primary_lost()
    await crew.db.copied()
    await flowing(crew.recorder, FLOW)
    assert (await crew.owner())[0] == owner


async def upgraded(crew):
    """The follower's pod is replaced first, so where broker-0 owns there is one change."""
    owner, _ = await crew.owner()
    if owner != BROKERS[0]:
        await crew.k8s.delete("pods", owner, crew.system)
        await crew.all_ready()
    assert (await crew.owner())[0] == BROKERS[0]
    seen = [BROKERS[0]]

    async def watch():
        while True:
            for name in BROKERS:
                if await crew.role(name) == 1 and seen[-1] != name:
                    seen.append(name)
            await asyncio.sleep(0.1)
    watcher = asyncio.create_task(watch())
    try:
        await release.install(crew.k8s, NAME, crew.system, crew.values(broker={"drainSeconds": 3}))
        await crew.k8s.rolled_out("statefulsets", f"{NAME}-broker", namespace=crew.system)
        await flowing(crew.recorder, FLOW)
    finally:
        watcher.cancel()
    assert seen == BROKERS, seen


@scenario(timeout_s=300)
async def test_nothing_is_lost_or_doubled_whatever_happens_to_brokers_and_database(env):
    crew = await started(env)
    for happens in (deleted, killed, cut_off, drained, database_lost, upgraded):
        async with crew.through(happens.__name__):
            await happens(crew)
    await finish(crew, "all")


async def finish(crew, *names):
    """These have got all, p2's once, and the crew what is theirs."""
    recorder = crew.recorder
    for name in FLOW:
        await crew.k8s.delete("pods", name)
    for name in FLOW:
        sent = recorder.sent(name)
        assert len(recorder.acked(name)) == sent > 100
        await recorder.all_got(name, sent, "all")
        await recorder.all_got(name, sent, FLOW[name])
        assert not recorder.out_of_order(name, "all")
        print(f"{name}: {sent} messages")
    for name in names:
        assert not [text for text in recorder.doubled(name) if text.startswith("p2:")]
    print(f"twice at QoS 1: {len(recorder.doubled('all'))}, {len(recorder.doubled('crew'))}")


@scenario(timeout_s=300, alone=True)
async def test_one_broker_becomes_several_and_keeps_what_it_had(env):
    """By the page's command: what is in its volume comes into the log. Alone: the node has no CPU to promise to
    another release of brokers beside those of other cases."""
    crew = await prepared(env)
    k8s, recorder = crew.k8s, crew.recorder
    alone = release.apart(k8s, NAME)
    await release.install(k8s, NAME, crew.system, alone)
    # One who has come before all others, and is away now.
    await k8s.apply(crew.made.deployment("away", "consume", "away", "--client-id", "away", "--expiry", 600, "--qos", 2,
                                         "--subscribe", "two/#"))
    await k8s.rolled_out("deployments", "away")
    await recorder.until(lambda: recorder.of("subscribed", "away"), "away has subscribed")
    await k8s.kubectl("scale", "deployment/away", "--replicas=0", namespace=k8s.namespace)

    async def gone():
        return not [p for p in await k8s.pods("app") if p["metadata"]["name"].startswith("away")]
    await eventually(gone, "away is away", 60, 0.2)
    await flow(crew)
    await crew.db.copied()
    async with crew.through("from one broker to two"):
        await move(env, crew, alone, "epoch ")
    await k8s.kubectl("scale", "deployment/away", "--replicas=1", namespace=k8s.namespace)
    await finish(crew, "all", "away")
    await recorder.all_got("p2", recorder.sent("p2"), "away")
    assert not recorder.out_of_order("p2", "away")

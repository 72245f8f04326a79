"""Certificates that live for seconds, in a release apart: its authority (CA) is renewed three
times, the third time while no broker is there, beside a pod that is older than all of that."""

import asyncio
import base64
import contextlib

import release
from cluster import eventually
from scenario import scenario
from workloads import apps
from x509 import certificates, lives, verifies

# What is left of an authority when it is renewed, a third, is time for kubelet to bring the
# broker what the next one signs.
LIVES = {"caLifetime": "60s", "leafLifetime": "45s", "overlap": "4s"}
RATE = 10


class Seen:
    """The certificates of a release as time passes."""

    def __init__(self, env, k8s, name, namespace):
        self.env = env
        self.k8s = k8s
        self.name = name
        self.namespace = namespace
        self.authorities = []  # the oldest first
        self.leaves = set()

    async def secret(self, name):
        tree = await self.k8s.get("secrets", f"{self.name}-{name}", self.namespace)
        return {k: base64.b64decode(v).decode() for k, v in tree["data"].items()}

    async def look(self):
        """The broker's Secret; notes what is new in it."""
        found = await self.secret("broker-tls")
        newest = certificates(found["ca.crt"])[0]
        if newest not in self.authorities:
            self.authorities.append(newest)
        self.leaves.add(certificates(found["tls.crt"])[0])
        return found

    async def renewals(self, wanted):
        async def enough():
            await self.look()
            return len(self.authorities) > wanted
        await eventually(enough, f"{wanted} renewals of the authority", 90, 0.2)

    async def nearly_due(self, seconds):
        """Awaits that the newest authority has less than that to live."""
        async def soon():
            return not await lives(self.env, self.authorities[-1], seconds)
        await eventually(soon, "the next renewal is near", 60, 0.2)

    async def signed_by_newest(self):
        """Awaits a certificate of the broker's that the newest authority alone vouches for."""
        async def signed():
            found = await self.look()
            leaf = certificates(found["tls.crt"])[0]
            return await verifies(self.env, leaf, self.authorities[-1])
        await eventually(signed, "the new authority signs", 30, 0.2)


async def come_and_go(k8s, made, came):
    """Pods are made again and again, each of which is ready only with a link of its own."""
    for n in range(1, 1000):
        name = f"new-{n}"
        tree = made.pod(name, "consume", name, annotations={"subscribe": f"new/{n}"})
        await k8s.create(tree)  # raises where it is refused
        await k8s.ready(name, 60)
        came.append(name)
        await k8s.delete("pods", name, wait=False, grace_s=0)


async def scale_broker(k8s, mine, system, count):
    await k8s.kubectl("scale", "statefulset", f"{mine}-broker", f"--replicas={count}",
                      namespace=system)


async def sidecar_metrics(k8s, *pods):
    return [await release.scrape(k8s, await k8s.get("pods", p), 7481) for p in pods]


@scenario(timeout_s=240)
async def test_three_authorities_pass_and_nobody_notices(env):
    mine = release.unique("short")
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true", release.APART: mine})
    system = await k8s.make_namespace("short-system")
    await k8s.load_programs()
    # Links move all the time, so that old pods dial by each of the certificates.
    await release.install(k8s, mine, system, release.apart(
        k8s, mine, certificates=LIVES, broker={"config": {"link": {"max-age": "5s"}}}))
    made = await apps(k8s)
    recorder = made.recorder
    seen = Seen(env, k8s, mine, system)
    await seen.look()
    old = ("taker", "giver")
    await k8s.apply([
        made.pod("taker", "consume", "taker", annotations={"subscribe": "t"}),
        made.pod("giver", "publish", "giver", "--topic", "t", "--rate", RATE, "--count", 10**6)])
    await recorder.connected(*old)
    uids = [(await k8s.get("pods", p))["metadata"]["uid"] for p in old]

    came = []
    new_pods = env.spawn(come_and_go(k8s, made, came))
    await seen.renewals(2)
    await seen.signed_by_newest()
    new_pods.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await new_pods
    assert len(came) >= 5, came

    async def told():  # of both new authorities, and that the first one is to be forgotten
        return all(v["sqmqos_trust_changes_total"] >= 3 for v in await sidecar_metrics(k8s, *old))
    await eventually(told, "the bundles came over the link", 20, 0.2)
    for values in await sidecar_metrics(k8s, *old):
        assert values["sqmqos_link_dials_total"] >= 10, "they have dialled meanwhile"

    # No broker from before the third renewal until after its overlap.
    known = certificates((await seen.look())["ca.crt"])[0]
    await seen.nearly_due(26)
    assert len(seen.authorities) == 3, "it is not too late"
    await scale_broker(k8s, mine, system, 0)
    await k8s.gone("pods", f"{mine}-broker-0", system)
    await seen.renewals(3)
    await seen.signed_by_newest()
    chain = (await seen.look())["tls.crt"]
    assert await verifies(env, chain, known), "who knows the one before alone takes the chain"
    await k8s.create(made.pod("late", "consume", "late", annotations={"subscribe": "late"}))
    await scale_broker(k8s, mine, system, 1)

    async def all_linked():
        return all(v["sqmqos_links"] >= 1 for v in await sidecar_metrics(k8s, *old))
    await eventually(all_linked, "the old pods are linked again", 40, 0.2)
    await k8s.ready("late")
    assert await lives(env, known, 0), "by the authority before, which still lived"
    await delivered_all(recorder)
    assert [(await k8s.get("pods", p))["metadata"]["uid"] for p in old] == uids
    for pod in old:
        status = (await k8s.get("pods", pod))["status"]
        assert all(c["restartCount"] == 0 for c in
                   status["containerStatuses"] + status["initContainerStatuses"]), status
    assert not recorder.of("disconnected") and not recorder.of("refused")
    assert len(seen.leaves) >= 4, len(seen.leaves)


async def delivered_all(recorder):
    """What the old pod had acknowledged by now reaches the other one, once and in order."""
    count = len(recorder.acked("giver")) + RATE
    await recorder.all_acked("giver", count)
    await recorder.all_got("giver", count, "taker")
    assert not recorder.out_of_order("giver", "taker")

"""What apps notice while no broker is there: pods start, publish, and are replaced."""

import asyncio
import datetime
import pathlib

import release
from cluster import eventually
from scenario import scenario
from workloads import apps

READY_AGAIN_S = 5
FOREVER = ("--count", 100000, "--stay")


def labels(name):
    return {"sqmqos.io/inject": "true", release.APART: name}


async def installed(k8s, name):
    """A release of the case's own; returns its namespace."""
    system = await k8s.make_namespace(f"{name}-system")
    await k8s.load_programs()
    await release.install(k8s, name, system, release.apart(k8s, name))
    return system


async def brokers(k8s, system, name, count):
    """Scales the broker; returns when it is away, or ready."""
    await k8s.kubectl("scale", f"statefulset/{name}-broker", f"--replicas={count}",
                      namespace=system)
    if count:
        await k8s.ready(f"{name}-broker-0", namespace=system)
    else:
        await k8s.gone("pods", f"{name}-broker-0", system)


def sidecar_of(pod):
    return next(s for s in pod["status"]["initContainerStatuses"] if s["name"] == "sqmqos-sidecar")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def is_ready(pod):
    return all(c["ready"] for c in pod["status"]["containerStatuses"]) and \
        sidecar_of(pod)["ready"] and ready_condition(pod)["status"] == "True"


def ready_condition(pod):
    return next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")


async def killed(k8s, pod):
    """Kills a pod's sidecar; returns how long after it the pod was ready again, in seconds."""
    before = sidecar_of(await k8s.get("pods", pod))["restartCount"]
    await k8s.kill(pod, "sqmqos-sidecar")
    tree = await k8s.until("pods", pod,
                           lambda p: sidecar_of(p)["restartCount"] > before and is_ready(p),
                           "is ready again")
    end = moment(sidecar_of(tree)["lastState"]["terminated"]["finishedAt"])
    since = moment(ready_condition(tree)["lastTransitionTime"])
    return max(0, (since - end).total_seconds())


@scenario(timeout_s=240)
async def test_pods_whose_sidecars_are_killed_stay_ready_without_a_broker(env):
    mine = release.unique("away")
    k8s = await env.cluster(labels=labels(mine))
    system = await installed(k8s, mine)
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.apply([
        made.pod("watch", "consume", "watch", annotations={"subscribe": "away/#"}),
        made.pod("old", "publish", "old", "--topic", "away/1", "--rate", 20, *FOREVER)])
    for name in ("watch", "old"):
        await k8s.ready(name)
    await recorder.all_acked("old", 20)
    await brokers(k8s, system, mine, 0)

    took = await asyncio.gather(*(killed(k8s, name) for name in ("watch", "old")))
    assert max(took) <= READY_AGAIN_S, took
    await k8s.apply(made.pod("late", "publish", "late", "--topic", "away/2", "--count", 50,
                             "--stay"))
    await recorder.connected("late")

    async def waiting():
        late = await release.scrape(k8s, await k8s.get("pods", "late"), 7481)
        return late['sqmqos_messages_received_total{qos="1"}'] == 50
    await eventually(waiting, "the new pod's messages wait in its sidecar", 30, 0.2)
    assert not recorder.acked("late")
    assert not await k8s.pods("app.kubernetes.io/component=broker", system)
    for name in ("watch", "old"):
        assert is_ready(await k8s.get("pods", name))

    await brokers(k8s, system, mine, 1)
    await recorder.all_acked("late", 50)
    await k8s.ready("late")
    await k8s.delete("pods", "old")
    assert len(recorder.acked("old")) == recorder.sent("old") > 20
    for name in ("old", "late"):
        await recorder.all_got(name, recorder.sent(name) or 50, "watch")
    print(f"ready again after {took} s, {recorder.sent('old')} messages")


def on_claim(made):
    """Two replicas that share a claim; each publishes at QoS 1 and, from another container, 2."""
    containers = [made.container("publish", f"{{pod}}-{qos}", "--topic", f"box/{qos}", "--qos", qos,
                                 "--rate", 10, *FOREVER) | {"name": f"qos-{qos}"} for qos in (1, 2)]
    # New pods aren't ready without a broker: nothing waits for them here.
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 2}}
    return made.deployment("box", replicas=2, strategy=strategy, containers=containers,
                           annotations={"outbox": "disk: 16Mi", "outbox-claim": "box"})


def publishers(pods):
    return [f"{p['metadata']['name']}-{qos}" for p in pods for qos in (1, 2)]


async def acked_more(recorder, names, n=10):
    """Awaits so many more acknowledgements at each."""
    for name in names:
        await recorder.all_acked(name, len(recorder.acked(name)) + n)


async def folder_of_claim(k8s, name):
    claim = await k8s.get("persistentvolumeclaims", name)
    volume = await k8s.get("persistentvolumes", claim["spec"]["volumeName"])
    return pathlib.Path(volume["spec"]["local"]["path"])


@scenario(timeout_s=300)
async def test_replicas_on_one_claim_lose_nothing_in_a_rollout_without_a_broker(env):
    mine = release.unique("claim")
    k8s = await env.cluster(labels=labels(mine))
    system = await installed(k8s, mine)
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.apply([
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "box"},
         "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        made.deployment("sink", "consume", "sink", "--client-id", "sink", "--expiry", 600,
                        "--qos", 2, "--receive-max", 20, "--subscribe", "box/#")])
    await recorder.until(lambda: recorder.of("subscribed", "sink"), "sink has subscribed")
    await k8s.apply([on_claim(made)])
    await k8s.rolled_out("deployments", "box")
    old = await k8s.pods("app=box")
    await acked_more(recorder, publishers(old))

    await brokers(k8s, system, mine, 0)
    await acked_more(recorder, publishers(old))
    await k8s.kubectl("rollout", "restart", "deployment/box")
    for pod in old:
        await k8s.gone("pods", pod["metadata"]["name"])
    # These two look for what was left from their start on; the others' first look may have
    # been while the old ones still lived.
    await k8s.kubectl("scale", "deployment/box", "--replicas=4")

    async def all_there():
        return len(await k8s.pods("app=box")) == 4
    await eventually(all_there, "there are four pods")
    pods = await k8s.pods("app=box")
    await acked_more(recorder, publishers(pods))
    place = await folder_of_claim(k8s, "box") / "box"
    names = {p["metadata"]["name"] for p in old + pods}
    assert {p.name for p in place.iterdir()} == names
    ended = {name: recorder.sent(name) for name in publishers(old)}
    assert all(len(recorder.missing(name, sent, "sink")) >= 10 for name, sent in ended.items())

    await brokers(k8s, system, mine, 1)
    for name, sent in ended.items():
        assert len(recorder.acked(name)) == sent
        await recorder.all_got(name, sent, "sink", timeout_s=150)
    await k8s.kubectl("scale", "deployment/box", "--replicas=0")
    for pod in pods:
        await k8s.gone("pods", pod["metadata"]["name"])
    for name in publishers(pods):
        assert len(recorder.acked(name)) == recorder.sent(name)
        await recorder.all_got(name, recorder.sent(name), "sink")
    for name in publishers(old + pods):
        assert not recorder.out_of_order(name, "sink")
    assert not [text for text in recorder.doubled("sink") if text.split(":")[0].endswith("-2")]
    assert not list(place.iterdir())
    print(f"{len(recorder.got('sink'))} messages of {len(names)} pods")

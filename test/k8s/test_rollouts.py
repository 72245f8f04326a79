"""What apps notice of rollouts, theirs and the broker's, and of killed sidecars: nothing is
lost, and at QoS 2 nothing comes twice."""

import asyncio

import release
from scenario import scenario
from workloads import apps

NAME = release.unique("roll")
LABELS = {"sqmqos.io/inject": "true", release.APART: NAME}
ONE_AT_A_TIME = {"type": "Recreate"}


def publisher(made, name, topic, qos):
    """It publishes until it is ended."""
    return made.pod(name, "publish", name, "--topic", topic, "--qos", qos, "--count", 100000,
                    "--rate", 25, "--stay", "--client-id", name, "--expiry", 600)


async def flowing(recorder, publishers):
    """Awaits that messages which are published from now on arrive."""
    for name, consumer in publishers.items():
        wanted = max(recorder.acked(name), default=0) + 20
        await recorder.until(lambda c=consumer, text=f"{name}:{wanted}": recorder.got(c)[text],
                             f"{name}'s message {wanted} arrives at {consumer}", 60)


async def sidecar_killed(k8s, pod):
    """Kills a pod's sidecar; returns when it runs again."""
    def restarts(tree):
        statuses = tree["status"].get("initContainerStatuses", [])
        return next(s["restartCount"] for s in statuses
                    if s["name"] == "sqmqos-sidecar" and "running" in s["state"])

    def again(tree):
        try:
            return restarts(tree) > before
        except StopIteration:
            return False
    before = restarts(await k8s.get("pods", pod))
    await k8s.kill(pod, "sqmqos-sidecar")
    await k8s.until("pods", pod, again, "its sidecar is back")


async def broker_replaced(k8s, system, change):
    """Awaits change() and a new broker pod that is ready."""
    name = f"{NAME}-broker-0"
    old = (await k8s.get("pods", name, system))["metadata"]["uid"]
    await change()
    await k8s.until("pods", name, lambda tree: tree["metadata"]["uid"] != old,
                    "is another one", namespace=system)
    await k8s.ready(name, namespace=system)


async def rolled(k8s, *names):
    for name in names:
        await k8s.kubectl("rollout", "restart", f"deployment/{name}")
    for name in names:
        await k8s.rolled_out("deployments", name)
        pods = await k8s.list("pods", f"app={name}")
        for old in [p for p in pods if "deletionTimestamp" in p["metadata"]]:
            await k8s.gone("pods", old["metadata"]["name"])


@scenario(timeout_s=300)
async def test_nothing_is_lost_or_doubled_through_rollouts_of_everything(env):
    k8s = await env.cluster(labels=LABELS)
    system = await k8s.make_namespace("roll-system")
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.load_programs()
    await release.install(k8s, NAME, system, release.apart(k8s, NAME))
    await k8s.apply([
        # One who gets all, at both qualities; the next pod goes on with its session.
        made.deployment("all", "consume", "all", "--client-id", "all", "--expiry", 600, "--qos", 2,
                        "--subscribe", "one/#", "two/#", strategy=ONE_AT_A_TIME),
        made.deployment("crew", "consume", "crew", replicas=2, annotations={"subscribe": "one/#"})])
    await k8s.rolled_out("deployments", "all")
    await k8s.rolled_out("deployments", "crew")
    await recorder.until(lambda: recorder.of("subscribed", "all"), "all has subscribed")
    await k8s.apply([publisher(made, "p1", "one/1", 1), publisher(made, "p2", "two/1", 2)])
    flow = {"p1": "crew", "p2": "all"}
    await flowing(recorder, flow)

    await rolled(k8s, "all", "crew")
    await recorder.until(lambda: len(recorder.of("connected", "all")) == 2, "the next pod is there")
    assert recorder.of("connected", "all")[1]["present"]
    await flowing(recorder, flow)

    since = recorder.position()
    await broker_replaced(k8s, system, lambda: k8s.delete(
        "pods", f"{NAME}-broker-0", system, wait=False))
    await flowing(recorder, flow)
    assert recorder.since(since, "disconnected", "connected", "refused") == []

    pods = [p["metadata"]["name"] for p in await k8s.pods("app")]
    await asyncio.gather(*(sidecar_killed(k8s, pod) for pod in pods))
    await flowing(recorder, flow)

    since = recorder.position()
    await broker_replaced(k8s, system, lambda: release.install(
        k8s, NAME, system, release.apart(k8s, NAME, broker={"drainSeconds": 3})))
    await flowing(recorder, flow)
    assert recorder.since(since, "disconnected", "connected", "refused") == []

    # As of a node that is lost: nobody says goodbye.
    lost = (await k8s.pods("app=crew"))[0]["metadata"]["name"]
    await k8s.kubectl("delete", "pod", lost, "--force", "--grace-period=0")
    await k8s.rolled_out("deployments", "crew")
    await flowing(recorder, flow)

    for name in flow:
        await k8s.delete("pods", name)
    for name in flow:
        sent = recorder.sent(name)
        assert len(recorder.acked(name)) == sent
        await recorder.all_got(name, sent, "all")
        await recorder.all_got(name, sent, flow[name])
        assert not recorder.out_of_order(name, "all")
        print(f"{name}: {sent} messages")
    assert not [text for text in recorder.doubled("all") if text.startswith("p2:")]
    print(f"twice at QoS 1: {len(recorder.doubled('all'))}, {len(recorder.doubled('crew'))}")


@scenario(timeout_s=180)
async def test_what_clean_sessions_leave_unfinished_at_qos_2_is_dead_letters(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    # Slower than the publisher, with several messages on their way to each at any time.
    await k8s.apply([
        made.deployment("work", "consume", "work", "--clean", "--work", 60, "--receive-max", 4,
                        replicas=2, annotations={"subscribe": "- filter: jobs/#\n  qos: 2\n"}),
        made.deployment("letters", "consume", "letters", "--qos", 2, "--client-id", "letters",
                        "--expiry", 600, "--subscribe", "$dead/#")])
    await k8s.rolled_out("deployments", "work")
    await recorder.until(lambda: recorder.of("subscribed", "letters"), "letters has subscribed")
    await k8s.apply(made.pod("jobs", "publish", "jobs", "--topic", "jobs/1", "--qos", 2,
                             "--count", 100000, "--rate", 40, "--stay"))
    await flowing(recorder, {"jobs": "work"})
    await rolled(k8s, "work")
    await k8s.delete("pods", "jobs")
    sent = recorder.sent("jobs")

    def settled():
        return len(recorder.got()) == sent
    await recorder.until(settled, f"each of {sent} jobs is done or a letter", 60)
    assert not recorder.doubled()
    letters = recorder.of("got", "letters")
    assert letters, "none was in the middle"
    assert {e["dead"] for e in letters} == {"unfinished"}
    assert recorder.missing("jobs", sent, "work") == sorted(
        int(e["text"].partition(":")[2]) for e in letters)
    print(f"{sent} jobs, {len(letters)} letters")

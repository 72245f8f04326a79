"""Declared subscriptions and the pod's life: edits, rollouts, rollbacks, scale to zero."""

import json

import release
from scenario import scenario
from workloads import apps

LABELLED = {"sqmqos.io/inject": "true"}


def subscribe(filter_, **options):
    return json.dumps([{"filter": filter_} | options])


async def test_an_edited_annotation_of_a_running_pod_changes_its_bindings(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.apply(made.pod("watch", "consume", "watch", annotations={"subscribe": "a/#"}))
    await k8s.ready("watch")
    await k8s.apply(made.pod("both", "publish", "both", "--topic", "a/1", "--count", 20,
                             "--rate", 20, "--stay"))
    await recorder.connected("watch", "both")
    await k8s.kubectl("annotate", "--overwrite", "pod", "watch", "sqmqos.io/subscribe=a/#, b/#")
    await release.sidecar_metric(k8s, "watch",
                                 'sqmqos_declared_subscriptions{state="in-place"}', 2)
    await k8s.apply(made.job("b", "publish", "b", "--topic", "b/1", "--count", 5))
    # What matched before and after: nothing lost, nothing doubled.
    await recorder.all_got("b", 5, "watch")
    await recorder.all_got("both", 20, "watch")
    assert not recorder.doubled("watch")

    # A filter that is taken away: what matched it goes elsewhere, the other goes on.
    await k8s.kubectl("annotate", "--overwrite", "pod", "watch", "sqmqos.io/subscribe=b/#")
    await release.sidecar_metric(k8s, "watch",
                                 'sqmqos_declared_subscriptions{state="in-place"}', 1)
    await k8s.apply(made.job("gone", "publish", "gone", "--topic", "a/1", "--count", 3))
    await recorder.all_acked("gone", 3)
    await k8s.apply(made.job("kept", "publish", "kept", "--topic", "b/1", "--count", 3))
    await recorder.all_got("kept", 3, "watch")
    assert recorder.missing("gone", 3, "watch") == [1, 2, 3]


@scenario(timeout_s=180)
async def test_a_rollout_with_other_options_and_its_rollback(env):
    k8s = await env.cluster(labels=LABELLED | {release.APART: "roll"})
    system = await k8s.make_namespace("roll-system")
    await k8s.load_programs()
    await release.install(k8s, "roll", system, release.apart(k8s, "roll"))
    made = await apps(k8s)
    recorder = made.recorder

    def version(limit):
        return made.deployment("shop", "consume", "shop", replicas=2, annotations={
            "subscribe": subscribe("orders/#", qos=2, overflow="drop-oldest",
                                   **{"max-length": limit})})

    async def scale(n):
        await k8s.kubectl("scale", "deployment", "shop", f"--replicas={n}")
        if n:
            await k8s.rolled_out("deployments", "shop")
        else:
            await recorder.until(nobody, "it is scaled to zero", 60)

    async def nobody():
        return not await k8s.list("pods", "app=shop")

    async def keeps(limit, name):
        """More than the limit is published while nobody is there; then they come back."""
        await scale(0)
        await k8s.apply(made.job(name, "publish", name, "--topic", "orders/x", "--count", 500))
        await k8s.condition("jobs", name, "Complete")
        key = f'sqmqos_queue_depth{{queue="declared~{k8s.namespace}~shop~shop"}}'
        depth = (await release.metrics(k8s, system, "roll"))[key]
        assert depth == limit, (depth, limit)
        await scale(2)
    await k8s.apply(version(300))
    await k8s.rolled_out("deployments", "shop")
    await k8s.apply(made.pod("web", "publish", "web", "--topic", "orders/1", "--qos", 2,
                             "--count", 150, "--rate", 10, "--stay"))
    await k8s.ready("web")
    await k8s.apply(made.pod("letters", "consume", "letters", "--subscribe", "$dead/#"))
    await k8s.ready("letters")
    await k8s.apply(version(400))
    await k8s.kubectl("delete", "pod", "roll-broker-0", "--wait=false", namespace=system)
    await k8s.rolled_out("deployments", "shop")
    await k8s.ready("roll-broker-0", namespace=system)
    await recorder.all_acked("web", 150)
    # What a clean session had half received when its pod ended is a dead letter.
    await recorder.all_got("web", 150)
    assert not recorder.of("disconnected", "web")
    assert not recorder.doubled("shop")
    await keeps(400, "after-rollout")
    await k8s.kubectl("rollout", "undo", "deployment/shop")
    await k8s.rolled_out("deployments", "shop")
    await keeps(300, "after-rollback")
    assert not recorder.doubled("shop")


@scenario(timeout_s=180)
async def test_scaled_to_zero_and_back_everything_is_delivered(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.apply(made.deployment("shop", "consume", "shop", annotations={
        "subscribe": subscribe("orders/#", **{"max-attempts": 1})}))
    await k8s.rolled_out("deployments", "shop")
    await k8s.kubectl("scale", "deployment", "shop", "--replicas=0")

    async def nobody():
        return not await k8s.list("pods", "app=shop")
    await recorder.until(nobody, "it is scaled to zero", 60)
    await k8s.apply(made.job("web", "publish", "web", "--topic", "orders/1", "--qos", 2,
                             "--count", 100))
    await k8s.condition("jobs", "web", "Complete")
    await k8s.kubectl("scale", "deployment", "shop", "--replicas=2")
    await recorder.all_got("web", 100, "shop")
    # With one attempt, a rollout of an app that behaves makes no dead letter.
    await k8s.apply(made.pod("more", "publish", "more", "--topic", "orders/2", "--count", 200,
                             "--rate", 40, "--stay"))
    await recorder.connected("more")
    await k8s.kubectl("rollout", "restart", "deployment/shop")
    await k8s.rolled_out("deployments", "shop")
    await recorder.all_got("more", 200, "shop")
    await k8s.apply(made.pod("letters", "consume", "letters", "--subscribe", "$dead/#"))
    await recorder.connected("letters")
    await k8s.apply(made.job("last", "publish", "last", "--topic", "orders/3", "--count", 1))
    await recorder.all_got("last", 1, "shop")
    assert not recorder.got("letters")


async def test_each_pod_its_own_queue_and_it_vanishes_with_the_pod(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.apply(made.deployment("cache", "consume", "cache", replicas=2, annotations={
        "subscribe": subscribe("flush/#", delivery="pod")}))
    await k8s.rolled_out("deployments", "cache")
    await recorder.until(lambda: len(recorder.of("connected", "cache")) == 2, "both are there")
    await k8s.apply(made.job("all", "publish", "all", "--topic", "flush/1", "--count", 5))
    await recorder.until(lambda: sum(recorder.got("cache").values()) == 10,
                         "each pod got each message")
    pods = {e["pod"] for e in recorder.of("got", "cache")}
    assert len(pods) == 2
    await k8s.kubectl("delete", "deployment", "cache")

    async def gone():
        found = await release.metrics(k8s)
        return not any(k8s.namespace in key and "pod:" in key for key in found)
    await recorder.until(gone, "the queues of the pods are gone", 60)

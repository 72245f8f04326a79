"""The three lines of the README on a real cluster."""

import release
from workloads import apps


async def test_a_labelled_pod_at_once_behind_helm_install_wait(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true", release.APART: "fresh"})
    system = await k8s.make_namespace("fresh-system")
    made = await apps(k8s)
    await k8s.load_programs()
    # What a user types one after the other, without a pause.
    await release.install(k8s, "fresh", system, release.apart(k8s, "fresh"), verb=("install",))
    pod = await k8s.create(made.pod("orders", "consume", "c", labels={},
                                    annotations={"subscribe": "orders/#"}))
    names = [c["name"] for c in pod["spec"]["initContainers"]]
    assert names[0] == "sqmqos-sidecar"
    assert pod["metadata"]["labels"]["sqmqos.io/sidecar"]
    await k8s.ready("orders")
    await made.recorder.connected("c")

    async def small():
        used = await k8s.memory("orders", "sqmqos-sidecar")
        return used["anonymous"] <= 1_600_000 and used["working_set"] <= 2_500_000
    await made.recorder.until(small, "the idle sidecar is as small as docs/benchmarks.md says", 30)


async def test_two_deployments_talk_and_declared_messages_need_no_subscribe(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    await release.installed(k8s)
    made = await apps(k8s)
    await k8s.apply([
        made.deployment("shop", "consume", "shop", annotations={"subscribe": "orders/#"}),
        made.deployment("web", "publish", "web", "--topic", "orders/1", "--count", 200, "--stay")])
    await k8s.rolled_out("deployments", "shop")
    await made.recorder.all_acked("web", 200)
    await made.recorder.all_got("web", 200)
    assert not made.recorder.doubled()
    assert not made.recorder.out_of_order("web", "shop")

"""No API server for a while: nobody notices but who wants something new of it."""

import os
import signal

import release
from cluster import eventually
from harness.handle import condition_true
from scenario import scenario
from workloads import apps

RATE = 20


class Watched:
    """What can be known of pods without an API server: their addresses and processes."""

    def __init__(self, k8s, trees):
        self.k8s = k8s
        self.trees = trees

    async def metrics(self, name):
        """A sidecar's; {} while it does not answer."""
        try:
            return await release.scrape(self.k8s, self.trees[name], 7481)
        except OSError:
            return {}

    async def linked(self, names, lost=None):
        """Awaits links of the sidecars; with 'lost' those of after so many have ended."""
        async def look():
            for name in names:
                values = await self.metrics(name)
                if values.get("sqmqos_links", 0) < 2:
                    return False
                if lost and values["sqmqos_links_lost_total"] < lost[name] + 2:
                    return False
            return True
        await eventually(look, f"{names} are linked", 60, 0.1)

    async def lost(self, names):
        return {n: (await self.metrics(n))["sqmqos_links_lost_total"] for n in names}


def restarts(tree):
    status = tree["status"]
    return {c["name"]: c["restartCount"] for c in
            status.get("initContainerStatuses", []) + status["containerStatuses"]}


async def flows(recorder, what):
    """Awaits that messages which are acknowledged from now on are delivered."""
    count = len(recorder.acked("giver")) + 2 * RATE
    await recorder.all_acked("giver", count)
    try:
        await recorder.all_got("giver", count, "taker")
    except AssertionError as e:
        raise AssertionError(f"{what}: {e}") from None


@scenario(alone=True, timeout_s=180)
async def test_links_and_restarts_need_no_api_server(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    pods = ("taker", "giver")
    await k8s.apply([
        made.pod("taker", "consume", "taker", annotations={"subscribe": "t"}),
        made.pod("giver", "publish", "giver", "--topic", "t", "--rate", RATE, "--count", 10**6)])
    await recorder.connected(*pods)
    watched = Watched(k8s, {p: await k8s.ready(p) for p in pods})
    await watched.linked(pods)
    broker_name = f"{release.NAME}-broker-0"
    broker, = await k8s.pids(broker_name, "broker", release.NAMESPACE)
    sidecar, = await k8s.pids("taker", "sqmqos-sidecar")
    lost = await watched.lost(pods)

    async with k8s.api_server_stopped():
        await flows(recorder, "links stay")
        assert await watched.lost(pods) == lost

        os.kill(broker, signal.SIGKILL)
        await watched.linked(pods, lost)
        await flows(recorder, "a restarted broker verifies")
        assert not recorder.of("disconnected"), "their apps notice nothing of that"

        lost = await watched.lost(["giver"])
        os.kill(sidecar, signal.SIGKILL)
        await recorder.until(lambda: len(recorder.of("connected", "taker")) == 2,
                             "the app connects to its new sidecar")
        await watched.linked(pods)
        await flows(recorder, "a restarted sidecar is verified")
        assert await watched.lost(["giver"]) == lost

    log = await k8s.logs(broker_name, namespace=release.NAMESPACE)
    assert "from the last run" in log, log
    for name, namespace, container in (("taker", None, "sqmqos-sidecar"),
                                       (broker_name, release.NAMESPACE, "broker")):
        def ready_again(tree, container=container):
            return restarts(tree)[container] >= 1 and condition_true(tree, "Ready")
        await k8s.until("pods", name, ready_again, "kubelet tells of the restart", 60, namespace)
    assert not recorder.of("disconnected", "giver")
    await flows(recorder, "all is as before")

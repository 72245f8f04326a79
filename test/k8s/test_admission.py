"""What people see of the webhook: pods that are refused, warned of, left alone."""

import json

import release
from cluster import eventually
from harness.handle import CommandFailed
from scenario import scenario
from workloads import apps

LABELLED = {"sqmqos.io/inject": "true"}
MALFORMED = "- filter: orders/#\n  qos: 7\n"


def plain(k8s, name, labels=None, annotations=None, **spec):
    """A pod that only sleeps."""
    metadata = {"name": name}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
        "terminationGracePeriodSeconds": 1, "containers": [
            {"name": "app", "image": k8s.client_image, "imagePullPolicy": "Never",
             "command": ["sleep", "infinity"]}]} | spec}


async def refused(coroutine):
    """What kubectl said."""
    try:
        await coroutine
    except CommandFailed as e:
        return e.done.stderr
    raise AssertionError("it was not refused")


def has_sidecar(pod):
    return any(c["name"] == "sqmqos-sidecar" for c in pod["spec"].get("initContainers", []))


async def test_a_malformed_value_is_refused_wherever_it_is_typed(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    bad = {"sqmqos.io/subscribe": MALFORMED}
    said = [await refused(k8s.create(plain(k8s, "bad", annotations=bad)))]
    said.append(await refused(k8s.apply(
        made.deployment("bad", "consume", "c", annotations={"subscribe": MALFORMED}))))
    await k8s.create(plain(k8s, "good", annotations={"sqmqos.io/subscribe": "orders/#"}))
    said.append(await refused(k8s.kubectl(
        "annotate", "--overwrite", "pod", "good", f"sqmqos.io/subscribe={MALFORMED}")))
    for text in said:
        assert "sqmqos.io/subscribe" in text and "line 2" in text and "qos" in text, text
    good = await k8s.get("pods", "good")
    assert good["metadata"]["annotations"]["sqmqos.io/subscribe"] == "orders/#"


async def test_all_that_is_wrong_is_said_at_once(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    text = await refused(k8s.create(plain(k8s, "bad", annotations={
        "sqmqos.io/subscribe": MALFORMED, "sqmqos.io/port": "high",
        "sqmqos.io/outbox": "disk"}, hostNetwork=True)))
    for word in ("sqmqos.io/subscribe", "sqmqos.io/port", "outbox-claim", "hostNetwork"):
        assert word in text, text


async def test_an_unknown_key_is_warned_of_with_the_nearest_name(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    done = await k8s.apply(plain(k8s, "typo", annotations={"sqmqos.io/subscribes": "a"}))
    assert "Warning" in done.stderr and "sqmqos.io/subscribe" in done.stderr, done.stderr
    assert has_sidecar(await k8s.get("pods", "typo"))


async def test_who_is_served_and_who_is_left_alone(env):
    k8s = await env.cluster(labels=LABELLED)
    quiet = await k8s.make_namespace("quiet")
    await release.installed(k8s)
    assert "sqmqos.io/inject" in await refused(
        k8s.create(plain(k8s, "odd", {"sqmqos.io/inject": "yes please"})))
    out = plain(k8s, "out", {"sqmqos.io/inject": "false"})
    made = await k8s.create(out)
    assert not has_sidecar(made) and "SQMQOS_URL" not in json.dumps(made)
    made = await k8s.create(plain(k8s, "unasked"), quiet)
    assert not has_sidecar(made) and "SQMQOS_URL" not in json.dumps(made)
    assert has_sidecar(await k8s.create(plain(k8s, "asked", LABELLED), quiet))
    for own in (release.NAMESPACE, "kube-system"):
        name = f"own-{k8s.namespace[-6:]}"
        assert not has_sidecar(await k8s.create(plain(k8s, name, LABELLED), own))
        await k8s.delete("pods", name, own, wait=False)
    done = await k8s.try_kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                                 stdin=json.dumps(plain(k8s, "dry-run")))
    assert done.code == 0 and has_sidecar(json.loads(done.stdout))


async def test_restricted_pod_security_takes_injected_pods(env):
    k8s = await env.cluster(
        labels=LABELLED | {"pod-security.kubernetes.io/enforce": "restricted"})
    await release.installed(k8s)
    strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
              "seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True,
              "runAsUser": 1000}
    tree = plain(k8s, "strict", annotations={"sqmqos.io/subscribe": "orders/#"})
    tree["spec"]["containers"][0]["securityContext"] = strict
    assert has_sidecar(await k8s.create(tree))
    await k8s.ready("strict")


@scenario(timeout_s=180)
async def test_without_an_injector_only_pods_that_ask_are_refused(env):
    mine = {release.APART: "away"}
    k8s = await env.cluster(labels=LABELLED | mine)
    quiet = await k8s.make_namespace("quiet", mine)
    system = await k8s.make_namespace("away-system")
    await k8s.load_programs()
    await release.install(k8s, "away", system, release.apart(k8s, "away"))
    await k8s.kubectl("scale", "deployment", "away-injector", "--replicas=0", namespace=system)

    async def nobody():
        found = await k8s.list("pods", namespace=system)
        return [p["metadata"]["name"] for p in found] == ["away-broker-0"]
    await eventually(nobody, "the injector is gone", 40)
    text = await refused(k8s.create(plain(k8s, "asks")))
    assert "away-injector" in text, text
    assert not has_sidecar(await k8s.create(plain(k8s, "starts"), quiet))
    assert not has_sidecar(await k8s.create(plain(k8s, "out", {"sqmqos.io/inject": "false"})))
    await k8s.ready("starts", namespace=quiet)

"""The command line and the webhook are one: what sqmqos inject prints of a pod is the pod that
the webhook makes of it."""

import asyncio
import base64
import json
import re
import subprocess

import release
import stack as parts
import yaml
from scenario import scenario

PLAIN = {"containers": [{"name": "app", "image": "app:1"}]}
FULL = {
    "terminationGracePeriodSeconds": 7,
    "initContainers": [{"name": "once", "image": "once:1"}],
    "containers": [
        {"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}],
         "env": [{"name": "URL", "value": "$(SQMQOS_URL)/x"}],
         "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
        {"name": "own", "image": "own:1", "env": [{"name": "SQMQOS_URL", "value": "mqtt://x"}],
         "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}],
    "volumes": [{"name": "scratch", "emptyDir": {}}]}
ANNOTATIONS = {
    "sqmqos.io/subscribe": "- filter: orders/#\n  max-length: 10\n", "sqmqos.io/port": "1900",
    "sqmqos.io/workload": "other", "sqmqos.io/outbox": "disk: 1Gi",
    "sqmqos.io/outbox-claim": "box", "sqmqos.io/sidecar-log-level": "debug",
    "config.linkerd.io/skip-outbound-ports": "3306", "example.com/note": "c"}
OWNER = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5f7d", "controller": True,
          "uid": "11111111-2222-3333-4444-555555555555"}]
PODS = {
    "plain": ({}, PLAIN),
    "full": ({"annotations": ANNOTATIONS}, FULL),
    "guaranteed": ({}, {"containers": FULL["containers"]}),
    "owned": ({"labels": {"pod-template-hash": "5f7d"}, "ownerReferences": OWNER}, PLAIN),
}


def pod(name, metadata, spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name} | metadata, "spec": spec}


async def admitted(k8s, tree, namespace):
    """The pod as the API server would keep it, of which nothing is made."""
    made = await k8s.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                             namespace=namespace, stdin=json.dumps(tree))
    return json.loads(made)


def comparable(tree):
    """Without what differs from pod to pod, and the order in which volumes came."""
    tree = json.loads(re.sub(r"kube-api-access-\w+", "kube-api-access", json.dumps(tree)))
    tree["spec"]["volumes"].sort(key=lambda v: v["name"])
    for container in tree["spec"]["containers"] + tree["spec"]["initContainers"]:
        container["volumeMounts"].sort(key=lambda m: m["mountPath"])
    kept = {k: tree["metadata"].get(k) for k in ("name", "labels", "annotations")}
    return {"metadata": kept, "spec": tree["spec"], "class": tree["status"]["qosClass"]}


async def installation(env, k8s):
    """Options of the command line for the release: its settings and its authorities."""
    settings = await k8s.get("configmaps", f"{release.NAME}-injector", release.NAMESPACE)
    secret = await k8s.get("secrets", f"{release.NAME}-broker-tls", release.NAMESPACE)
    (env.folder / "settings.yaml").write_text(settings["data"]["settings.yaml"])
    (env.folder / "bundle.pem").write_bytes(base64.b64decode(secret["data"]["ca.crt"]))
    return ["--values", env.folder / "settings.yaml", "--trust-bundle", env.folder / "bundle.pem"]


async def injected(env, tree, options):
    program = parts.ROOT / "build" / env.settings.build / "sqmqos"
    done = await asyncio.to_thread(
        subprocess.run, [program, "inject", "-f", "-", *options], capture_output=True, text=True,
        timeout=30, input=yaml.safe_dump(tree))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@scenario(timeout_s=240)
async def test_inject_prints_what_the_webhook_makes(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    quiet = await k8s.make_namespace("quiet")
    await release.installed(k8s)
    options = await installation(env, k8s)
    for name, (metadata, spec) in PODS.items():
        tree = pod(name, metadata, spec)
        made = await admitted(k8s, tree, k8s.namespace)
        printed = await admitted(k8s, await injected(env, tree, options), quiet)
        assert made["spec"]["initContainers"][0]["name"] == "sqmqos-sidecar"
        assert comparable(printed) == comparable(made), name
        # and the webhook has nothing to add to what is printed
        again = await admitted(k8s, await injected(env, tree, options), k8s.namespace)
        assert comparable(again) == comparable(made), name

"""The Helm chart, rendered, as tests look at it."""

import asyncio
import json
import os
import pathlib
import shutil
import subprocess

import yaml

import stack as parts
from scenario import Skip

CHART = parts.ROOT / "helm" / "sqmqos"
NAMESPACE = "sqmqos-system"


def helm():
    """The helm of this machine: of PATH, or of the cluster's cache."""
    if found := shutil.which("helm"):
        return found
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    built = sorted((cache / "sqmqos").glob("k8s-*/helm"), key=lambda p: p.stat().st_mtime)
    if not built:
        raise Skip("there is no helm; ./dev cluster up builds one")
    return str(built[-1])


def values():
    """The chart's own values."""
    return yaml.safe_load((CHART / "values.yaml").read_text())


def schema():
    return json.loads((CHART / "values.schema.json").read_text())


async def run_helm(*argv, stdin=""):
    """(exit code, stdout, stderr)"""
    done = await asyncio.to_thread(
        subprocess.run, [helm(), *map(str, argv)], input=stdin, capture_output=True, text=True,
        timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


async def template(given=None, release="sqmqos", namespace=NAMESPACE, version="1.34.0"):
    """(exit code, stdout, stderr) of `helm template` with the values 'given', a tree."""
    # A helm of `go install` takes every cluster for 1.20, so the version is told.
    return await run_helm("template", release, CHART, "--namespace", namespace,
                          "--kube-version", version, "--values", "-",
                          stdin=json.dumps(given or {}))


async def text(given=None, **how):
    code, out, err = await template(given, **how)
    assert code == 0, err
    return out


async def render(given=None, **how):
    """The objects that the chart makes of the values 'given'."""
    return [d for d in yaml.safe_load_all(await text(given, **how)) if d]


def only(objects, kind, name):
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
    return found[0]


def is_hook(o):
    return "helm.sh/hook" in o["metadata"].get("annotations", {})


def pod_of(o):
    """The pod, or the pod template, of an object; None if it has none."""
    if o["kind"] == "Pod":
        return o
    return o.get("spec", {}).get("template") if o["kind"] in ("Deployment", "StatefulSet") else None


def config_of(objects, name, key):
    """A file of a ConfigMap, read as YAML."""
    return yaml.safe_load(only(objects, "ConfigMap", name)["data"][key])


# ---- what Kubernetes makes of it

def selects(selector, labels):
    """Whether a label selector takes an object with these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for want in selector.get("matchExpressions") or []:
        has, among = want["key"] in labels, labels.get(want["key"]) in want.get("values", [])
        # NotIn takes objects without the label, too.
        good = {"Exists": has, "DoesNotExist": not has, "In": has and among,
                "NotIn": not among}[want["operator"]]
        if not good:
            return False
    return True


def restricted(pod):
    """What the Pod Security Standard "restricted" has against a pod's spec."""
    spec, bad = pod["spec"], []
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            bad.append(key)
    volumes = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
               "persistentVolumeClaim", "projected", "secret"}
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= volumes:
            bad.append(f"volume {volume['name']}")
    whole = spec.get("securityContext", {})
    for c in spec.get("initContainers", []) + spec["containers"]:
        own = c.get("securityContext", {})
        caps = own.get("capabilities", {})
        profile = own.get("seccompProfile", whole.get("seccompProfile", {})).get("type")
        tests = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": own.get("runAsNonRoot", whole.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", whole.get("runAsUser")) != 0,
            "seccompProfile": profile in ("RuntimeDefault", "Localhost"),
            "capabilities": caps.get("drop") == ["ALL"] and not caps.get("add"),
            "hostPort": not any("hostPort" in p for p in c.get("ports", [])),
        }
        bad += [f"{c['name']}: {what}" for what, good in tests.items() if not good]
    return bad

"""The chart of this tree, installed as a user would, once for all cases of a cluster.

Cases that need settings of their own install a release of their own beside it, with a
namespaceSelector that keeps the two apart."""

import asyncio
import hashlib
import json
import pathlib
import secrets
import urllib.error
import urllib.request

from cluster import eventually  # test/support

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "sqmqos"
NAME, NAMESPACE = "sqmqos", "sqmqos-system"
# Cases with a release of their own label their namespaces with its name.
APART = "sqmqos-test/release"


def merge(tree, more):
    out = dict(tree)
    for key, v in more.items():
        out[key] = merge(out[key], v) if isinstance(v, dict) and isinstance(out.get(key), dict) \
            else v
    return out


def values(k8s, **more):
    """The values of a test release: this tree's images, and volumes of the node's size."""
    image = {"tag": k8s.tag, "pullPolicy": "Never"}
    client = k8s.client_image
    repository, _, tag = client.rpartition(":")
    tree = {
        "broker": {"image": image, "store": {"size": "1Gi", "journalSize": "32Mi"},
                   "drainSeconds": 2},
        "injector": {"image": image, "webhook": {"namespaceSelector": {"matchExpressions": [
            {"key": APART, "operator": "DoesNotExist"}]}}},
        "sidecar": {"image": image},
        "test": {"image": {"repository": repository, "tag": tag, "pullPolicy": "Never"}},
    }
    return merge(tree, more)


def unique(hint):
    """A name for a release apart that no other case has, nor another run of this one."""
    return f"{hint}-{secrets.token_hex(2)}"


def apart(k8s, name, **more):
    """The values of a release that serves namespaces with the label APART: 'name' alone."""
    selector = {"matchLabels": {APART: name}}
    mine = values(k8s, injector={"replicas": 1, "webhook": {"namespaceSelector": selector}})
    mine["injector"]["webhook"]["namespaceSelector"] = selector
    mine["fullnameOverride"] = name
    return merge(mine, more)


async def install(k8s, name, namespace, tree, verb=("upgrade", "--install"), wait=True):
    """helm upgrade --install … --wait with these values."""
    words = [*verb, name, CHART, "--create-namespace", "--values", "-"]
    words += ["--wait", "--timeout", "100s"] if wait else []
    return await k8s.helm(*words, namespace=namespace, stdin=json.dumps(tree))


async def installed(k8s):
    """The release that cases share is there and ready."""
    async def make():
        await k8s.load_programs()
        await install(k8s, NAME, NAMESPACE, values(k8s))
    await k8s.once("release", make, version(values(k8s)))


def version(tree):
    """Changes with whatever an install is made of: the images' tag and other values, the chart."""
    text = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for path in sorted(p for p in CHART.rglob("*") if p.is_file()):
        text.update(str(path.relative_to(CHART)).encode() + b"\0" + path.read_bytes())
    return text.hexdigest()


async def broker_pod(k8s, namespace=NAMESPACE, name=NAME):
    return await k8s.ready(f"{name}-broker-0", namespace=namespace)


async def running(k8s, name, namespace):
    """What is another one when the broker has been started anew."""
    pod = await broker_pod(k8s, namespace, name)
    return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]


async def metrics(k8s, namespace=NAMESPACE, name=NAME):
    """{"name{labels}": value} of the broker."""
    tree = await k8s.get("pods", f"{name}-broker-0", namespace)
    return await scrape(k8s, tree, 9090)


async def scrape(k8s, pod, port):
    """/metrics of a pod that has an address."""
    text = await fetch(k8s, pod, port, "/metrics")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.rpartition(" ")
            found[key] = float(value)
    return found


async def fetch(k8s, pod, port, path, status=200):
    """The body of a GET from the test, which is in the node's network."""
    def get():
        url = f"http://{pod['status']['podIP']}:{port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    code, text = await asyncio.to_thread(get)
    assert code == status, f"{path}: {code} {text}"
    return text


async def sidecar_says(k8s, pod, what, path="/readyz", timeout_s=30):
    """Awaits that a sidecar's endpoint answers with a text that has 'what' in it."""
    async def look():
        tree = await k8s.get("pods", pod)
        return what in await fetch(k8s, tree, 7481, path)
    await eventually(look, f"{pod} says {what}", timeout_s)


async def sidecar_metric(k8s, pod, name, want, timeout_s=30):
    """Awaits that a metric of a pod's sidecar is 'want'."""
    async def look():
        return (await scrape(k8s, await k8s.get("pods", pod), 7481)).get(name) == want
    await eventually(look, f"{pod}: {name} is {want}", timeout_s)

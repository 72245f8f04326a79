"""A workload that scales by its backlog: from none to as many pods as there is work for, and back.
A scaler of some lines does what KEDA does with the ScaledObject that the command line prints."""

import asyncio
import json
import math
import subprocess
import urllib.parse
import urllib.request

import command
import release
import stack as parts
import yaml
from scenario import scenario
from workloads import apps

PER, MOST = 20, 3
# The broker's own rule for KEDA, as docs/kubernetes.md has it.
RULES = [{"allow": ["operate"], "identity": "token:keda", "queues": ["backlog"]}]


class Scaler:
    """Reads the triggers of a ScaledObject, and sets the number of pods, as KEDA does: none while
    nothing waits, else one for each PER messages, at least one."""

    def __init__(self, k8s, scaled, service, token):
        self.k8s, self.spec, self.token = k8s, scaled["spec"], token
        self.address = service["spec"]["clusterIP"]
        self.seen = []  # the numbers of pods, each once in a row

    def value(self, trigger):
        url = urllib.parse.urlsplit(trigger["metadata"]["url"])
        assert url.hostname.startswith("scale-broker.scale-"), url  # its Service's name
        url = url._replace(netloc=f"{self.address}:{url.port}").geturl()
        ask = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(ask, timeout=10) as answer:
            return json.load(answer)[trigger["metadata"]["valueLocation"]]

    async def step(self):
        wanted = 0
        for trigger in self.spec["triggers"]:
            backlog = await asyncio.to_thread(self.value, trigger)
            wanted = max(wanted, math.ceil(backlog / int(trigger["metadata"]["targetValue"])))
        wanted = min(max(wanted, self.spec["minReplicaCount"]), self.spec["maxReplicaCount"])
        if self.seen[-1:] != [wanted]:
            self.seen.append(wanted)
            target = self.spec["scaleTargetRef"]
            await self.k8s.kubectl("scale", target["kind"], target["name"], f"--replicas={wanted}")
        return wanted


async def scaled_object(env, k8s, system, tree):
    """What sqmqos scale prints, with the settings of the release."""
    settings = await k8s.get("configmaps", "scale-injector", system)
    path = env.folder / "settings.yaml"
    path.write_text(settings["data"]["settings.yaml"])
    done = await asyncio.to_thread(
        subprocess.run, [command.program(env), "scale", "-f", "-", "-n", k8s.namespace, "--values", path],
        capture_output=True, text=True, timeout=30, input=yaml.safe_dump(tree))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


async def token_for(env, k8s, system, name):
    """A token that may name the case's namespace, in the Secret of the release."""
    program = parts.ROOT / "build" / env.settings.build / "sqmqos-broker"
    made = await asyncio.to_thread(
        subprocess.check_output, [program, "--new-token", name, k8s.namespace], text=True)
    token, line = made.splitlines()
    await k8s.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokens"},
                     "stringData": {"tokens": line + "\n"}}, system)
    return token


@scenario(timeout_s=180)
async def test_from_none_to_many_and_back_without_loss(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true", release.APART: "scale"})
    system = await k8s.make_namespace("scale-system")
    await k8s.load_programs()
    token = await token_for(env, k8s, system, "keda")
    await release.install(k8s, "scale", system, release.apart(
        k8s, "scale", broker={"acl": RULES}, auth={"tokensSecret": "tokens"}))
    made = await apps(k8s)
    recorder = made.recorder
    tree = made.deployment("shop", "consume", "shop", "--qos", 2, "--work", 50, annotations={
        "subscribe": json.dumps([{"filter": "orders/#", "qos": 2, "concurrency": 5}]),
        "scale": f"{{min: 0, max: {MOST}, per: {PER}}}"})
    del tree["spec"]["replicas"]
    await k8s.apply(tree)
    await k8s.rolled_out("deployments", "shop")
    scaler = Scaler(k8s, await scaled_object(env, k8s, system, tree),
                    await k8s.get("services", "scale-broker", system), token)

    async def pods(n):
        async def there():
            await scaler.step()
            return len(await k8s.list("pods", "app=shop")) == n
        await recorder.until(there, f"{n} pods are there", 90)
    await pods(0)
    await k8s.apply(made.job("web", "publish", "web", "--topic", "orders/1", "--qos", 2,
                             "--count", PER * MOST))
    await k8s.condition("jobs", "web", "Complete")
    await pods(MOST)

    async def done():
        await scaler.step()
        return not recorder.missing("web", PER * MOST, "shop")
    await recorder.until(done, "all has arrived", 90)
    await pods(0)
    # Fewer when less was left is good, and more when one that ended gave its own back.
    assert scaler.seen[:2] == [0, MOST] and scaler.seen[-1] == 0, scaler.seen
    assert not recorder.missing("web", PER * MOST, "shop")
    assert not recorder.doubled("shop")

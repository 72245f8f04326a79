"""The manifests of examples/: the API server takes them, and the injector their pods, in a
namespace of the strictest Pod Security."""

import json

import example_apps
import release
import yaml
from scenario import scenario


def pod_of(tree):
    """The pod that a controller would make of a workload."""
    template = tree["spec"].get("jobTemplate", tree)["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
            "metadata": template["metadata"] | {"name": tree["metadata"]["name"]}}


@scenario(timeout_s=240)
async def test_the_manifests_are_taken(env):
    k8s = await env.cluster(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    await release.installed(k8s)
    seen = set()
    for path in sorted(example_apps.MANIFESTS.glob("*.yaml")):
        done = await k8s.try_kubectl("apply", "--dry-run=server", "-f", "-", stdin=path.read_text())
        assert done.code == 0, f"{path.name}: {done.stdout}{done.stderr}"
        for tree in yaml.safe_load_all(path.read_text()):
            made = await k8s.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                                     stdin=json.dumps(pod_of(tree)))
            first = json.loads(made)["spec"]["initContainers"][0]
            assert first["name"] == "sqmqos-sidecar", made
            seen.add(tree["metadata"]["name"])
    assert seen == set(example_apps.PODS)

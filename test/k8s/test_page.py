"""The commands of docs/kubernetes.md work as they stand there: each block that starts with
```sh cluster is run, in order, and in the end those of ```sh cluster-end.

Names are others, for cases share a cluster: the release is `page`, its namespace and that of
the apps are the case's.  helm gets the values of a test release besides."""

import asyncio
import json
import os
import pathlib
import re

import release
from harness import paths
from scenario import scenario

PAGE = release.ROOT / "docs" / "kubernetes.md"
BLOCK = re.compile(r"^```sh (cluster|cluster-end)\n(.*?)^```$", re.M | re.S)

# In front of PATH: helm as the page calls it, with values of the test.
HELM = """#!/bin/sh
case $1 in
install | upgrade) exec {helm} "$@" --values {values} --timeout 100s ;;
esac
exec {helm} "$@"
"""


def blocks(kind):
    found = [text for k, text in BLOCK.findall(PAGE.read_text()) if k == kind]
    assert found
    return found


class Page:
    """What runs blocks of the page."""

    def __init__(self, env, k8s, system, shop):
        self.env, self.k8s, self.system, self.shop = env, k8s, system, shop
        self.tools = env.folder / "tools"
        self.ran = 0

    def prepare(self):
        values = self.env.folder / "values.json"
        tree = release.apart(self.k8s, "page", fullnameOverride="page", injector={"replicas": 2})
        values.write_text(json.dumps(tree))
        self.tools.mkdir()
        (self.tools / "kubectl").symlink_to(paths.BINARIES / "kubectl")
        helm = self.tools / "helm"
        helm.write_text(HELM.format(helm=paths.BINARIES / "helm", values=values))
        helm.chmod(0o755)

    def with_our_names(self, text):
        text = re.sub(r"\bsqmqos-system\b", self.system, text)
        text = re.sub(r"^(helm \w+) sqmqos\b", r"\1 page", text, flags=re.M)
        text = re.sub(r"\bsqmqos-(injector|broker|ca)\b", r"page-\1", text)
        text = re.sub(r"^kubectl create namespace shop$", "true", text, flags=re.M)
        text = re.sub(r"(-n|namespace) shop\b", rf"\1 {self.shop}", text)
        return text.replace("image: eclipse-mosquitto:2",
                            f"image: {self.k8s.client_image}\n          imagePullPolicy: Never")

    async def run(self, text, timeout_s=200):
        script = self.env.folder / f"block-{self.ran}.sh"
        script.write_text("set -euo pipefail\n" + self.with_our_names(text))
        self.ran += 1
        env = os.environ | {"KUBECONFIG": str(paths.KUBECONFIG),
                            "KUBECACHEDIR": str(paths.HOME / "kubectl-cache"),
                            "PATH": f"{self.tools}:{os.environ['PATH']}"}
        child = await asyncio.create_subprocess_exec(
            "bash", "-x", script, cwd=release.ROOT, env=env, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        try:
            out, _ = await asyncio.wait_for(child.communicate(), timeout_s)
        except BaseException:
            child.kill()
            raise
        assert child.returncode == 0, f"{pathlib.Path(script).name}:\n{out.decode()[-4000:]}"
        return out.decode()


@scenario(timeout_s=420)
async def test_the_commands_of_the_page_work(env):
    k8s = await env.cluster(labels={release.APART: "page"})
    await k8s.load_programs()
    k8s.used_helm = True
    system = await k8s.make_namespace("page-system")
    page = Page(env, k8s, system, k8s.namespace)
    page.prepare()
    said = ""
    for text in blocks("cluster"):
        if "helm upgrade" in text:
            certificate = (await k8s.get("secrets", "page-broker-tls", system))["data"]
        said += await page.run(text)
    assert "orders/new hello" in said
    # The rotation: another certificate, of the same authority.
    rotated = (await k8s.get("secrets", "page-broker-tls", system))["data"]
    assert rotated["tls.key"] != certificate["tls.key"] and rotated["ca.crt"] == certificate["ca.crt"]
    for pod in await k8s.pods("app=billing"):
        assert pod["metadata"]["labels"]["sqmqos.io/sidecar"]
        await k8s.ready(pod["metadata"]["name"])
    for text in blocks("cluster-end"):
        await page.run(text)
    left = await k8s.try_kubectl("get", "mutatingwebhookconfiguration", "0-page-injector")
    assert left.code != 0 and "not found" in left.stderr

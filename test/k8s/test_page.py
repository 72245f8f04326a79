"""The commands of docs/kubernetes.md work as they stand there.  The release is `page`, its
namespace and that of the apps are the case's."""

import release
from page import Page
from scenario import scenario


def names(k8s, system, shop):
    return [(r"\bsqmqos-system\b", system),
            (r"^(helm \w+) sqmqos\b", r"\1 page"),
            (r"\bsqmqos-(injector|broker|ca)\b", r"page-\1"),
            (r"^kubectl create namespace shop$", "true"),
            (r"(-n|namespace) shop\b", rf"\1 {shop}"),
            (r"image: eclipse-mosquitto:2", f"image: {k8s.client_image}\n          imagePullPolicy: Never")]


@scenario(timeout_s=420)
async def test_the_commands_of_the_page_work(env):
    k8s = await env.cluster(labels={release.APART: "page"})
    await k8s.load_programs()
    k8s.used_helm = True
    system = await k8s.make_namespace("page-system")
    page = Page(env, "kubernetes.md", release.apart(k8s, "page", fullnameOverride="page", injector={"replicas": 2}),
                names(k8s, system, k8s.namespace))
    said = ""
    for text in page.blocks():
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
    for text in page.blocks("cluster-end"):
        await page.run(text)
    left = await k8s.try_kubectl("get", "mutatingwebhookconfiguration", "0-page-injector")
    assert left.code != 0 and "not found" in left.stderr

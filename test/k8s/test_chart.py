"""The chart on a cluster: what the injector writes survives whoever applies the chart again,
`helm test` passes, an uninstall leaves volumes alone.  e2e/test_chart.py has what it renders."""

import asyncio
import json
import subprocess

import release
from cluster import eventually
from scenario import scenario

CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


async def a_release(k8s, name, namespace=None, **more):
    """Installs a release of the case's own; returns its namespace and its values."""
    await k8s.load_programs()
    namespace = namespace or await k8s.make_namespace(f"{name}-release")
    tree = release.apart(k8s, name, fullnameOverride=name, **more)
    await release.install(k8s, name, namespace, tree)
    return namespace, tree


async def written(k8s, name, namespace):
    """What the injector has written: the data of both Secrets, and each caBundle."""
    secrets = [(await k8s.get("secrets", s, namespace))["data"]
               for s in (f"{name}-ca", f"{name}-broker-tls")]
    bundles = []
    for kind in CONFIGURATIONS:
        tree = json.loads(await k8s.kubectl("get", kind, f"0-{name}-injector", "-o", "json"))
        bundles += [w["clientConfig"]["caBundle"] for w in tree["webhooks"]]
    assert len(bundles) >= 4 and all(bundles) and all(secrets)
    return secrets, bundles


async def rendered(k8s, name, namespace, tree):
    return await k8s.helm("template", name, release.CHART, "--no-hooks", "--values", "-",
                          namespace=namespace, stdin=json.dumps(tree))


@scenario(timeout_s=300)
async def test_applying_the_chart_again_takes_nothing_away(env):
    k8s = await env.cluster()
    namespace, tree = await a_release(k8s, "again")
    before = await written(k8s, "again", namespace)
    # Another manager, as Argo CD and Flux are; without --force-conflicts.
    text = await rendered(k8s, "again", namespace, tree)
    for _ in range(2):
        done = await k8s.try_kubectl("apply", "--server-side", "--field-manager", "other",
                                     "-f", "-", namespace=namespace, stdin=text)
        assert done.code == 0 and "conflict" not in done.stderr, done.stderr
    assert await written(k8s, "again", namespace) == before
    # Helm, with a change that reaches both configurations, the broker and the injector.
    tree = release.merge(tree, {"broker": {"logLevel": "debug"}, "sidecar": {"logLevel": "debug"},
                                "commonAnnotations": {"example.com/changed": "yes"}})
    await release.install(k8s, "again", namespace, tree)
    assert await written(k8s, "again", namespace) == before
    done = await k8s.try_kubectl("diff", "--server-side", "--force-conflicts", "-f", "-",
                                 namespace=namespace,
                                 stdin=await rendered(k8s, "again", namespace, tree))
    assert done.code == 0, done.stdout


@scenario(timeout_s=300)
async def test_helm_test_passes_messages_and_an_uninstall_leaves_the_volume(env):
    k8s = await env.cluster()
    namespace, _ = await a_release(k8s, "whole")
    said = await k8s.helm("test", "whole", "--timeout", "100s", namespace=namespace)
    assert said.count("Phase:          Succeeded") == 3, said
    assert await k8s.get("namespaces", "whole-helm-test") is None

    kinds = await k8s.kubectl("api-resources", "--verbs", "list", "-o", "name")
    kinds = ",".join(k for k in kinds.split() if not k.startswith(("events", "componentstatuses")))
    ours = "app.kubernetes.io/instance=whole"
    await k8s.helm("uninstall", "whole", "--wait", namespace=namespace)

    async def left():
        found = await k8s.kubectl("get", kinds, "-A", "-l", ours, "-o", "name")
        return found.split() == ["persistentvolumeclaim/store-whole-broker-0"]
    await eventually(left, "only the volume's claim is left", 60, 0.5)
    secrets = await k8s.list("secrets", namespace=namespace)
    assert [s["metadata"]["name"] for s in secrets] == []


@scenario(timeout_s=200)
async def test_a_second_install_of_the_same_name_is_refused(env):
    k8s = await env.cluster()
    namespace, tree = await a_release(k8s, "twice")
    other = await k8s.make_namespace("second")
    done = await k8s.try_helm("install", "twice", release.CHART, "--values", "-",
                              namespace=other, stdin=json.dumps(tree))
    assert done.code != 0 and "invalid ownership metadata" in done.stderr, done.stderr
    assert await k8s.list("pods", namespace=other) == []
    for kind in CONFIGURATIONS:
        tree = json.loads(await k8s.kubectl("get", kind, "0-twice-injector", "-o", "json"))
        assert tree["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == namespace


REQUEST = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "30")


def certificate(folder, name, *more):
    subprocess.run([*REQUEST, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.crt", *more], check=True, capture_output=True)


def server_certificate(folder, name, host):
    certificate(folder, name, "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key",
                "-addext", f"subjectAltName=DNS:{host}", "-addext", "extendedKeyUsage=serverAuth",
                "-addext", "basicConstraints=critical,CA:FALSE")


@scenario(timeout_s=300)
async def test_with_certificates_of_one_s_own_messages_pass(env):
    """As cert-manager leaves them: Secrets with tls.crt, tls.key and ca.crt."""
    k8s = await env.cluster()
    namespace = await k8s.make_namespace("own-release")
    await asyncio.to_thread(certificate, env.folder, "ca", "-addext", "keyUsage=critical,keyCertSign")
    for name, host in (("broker", f"own-broker.{namespace}.svc.cluster.local"),
                       ("injector", f"own-injector.{namespace}.svc")):
        await asyncio.to_thread(server_certificate, env.folder, name, host)
        files = {"tls.crt": f"{name}.crt", "tls.key": f"{name}.key", "ca.crt": "ca.crt"}
        await k8s.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"my-{name}"},
                         "stringData": {k: (env.folder / f).read_text() for k, f in files.items()}},
                        namespace)
    await a_release(k8s, "own", namespace, certificates={
        "mode": "provided", "caSecret": "my-broker", "brokerSecret": "my-broker",
        "servingSecret": "my-injector"})
    said = await k8s.helm("test", "own", "--timeout", "100s", namespace=namespace)
    assert said.count("Phase:          Succeeded") == 3, said
    secrets = {s["metadata"]["name"] for s in await k8s.list("secrets", namespace=namespace)}
    assert secrets == {"my-broker", "my-injector", "sh.helm.release.v1.own.v1"}

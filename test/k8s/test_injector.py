"""What the injector does with the API server: its Secrets, its webhook configurations, its
rights; and that nobody is refused while certificates change."""

import asyncio
import base64
import json
import time

import release
from cluster import eventually, metrics
from harness import paths
from harness.api import path_of
from injector import make_pair, write_authority
from injector_node import Installation, sidecar
from scenario import scenario
from x509 import certificates, lives, verifies


async def installation(env, k8s, **values):
    return await Installation(env, k8s).install(**values)


async def test_two_injectors_at_once_on_an_empty_namespace_make_one_ca(env):
    k8s = await env.cluster()
    there = await installation(env, k8s)
    assert await there.secret("ca") == {} and await there.secret("broker-tls") == {}
    replicas = [there.replica() for _ in range(2)]
    await there.serve(*replicas)
    ca, broker = await there.secret("ca"), await there.secret("broker-tls")
    assert set(ca) == {"ca.crt", "ca.key"} and set(broker) == {"tls.crt", "tls.key", "ca.crt"}
    assert len(certificates(ca["ca.crt"])) == 1 and broker["ca.crt"] == ca["ca.crt"]
    await there.healed(ca["ca.crt"])
    made = [await metrics(p) for p in replicas]
    for thing in ("ca-secret", "broker-secret"):
        name = f'sqmqos_injector_writes_total{{object="{thing}"}}'
        assert sum(m[name] for m in made) == 1, (thing, [m[name] for m in made])
    # Both answer with a certificate of that CA.
    shop = await there.served_namespace()
    for p in replicas:
        for q in replicas:
            if q is not p:
                await k8s.kubectl("delete", "endpointslices", f"{there.fullname}-{q.name}")

        async def injected():
            done = await there.try_pod(shop)
            return done.code == 0 and sidecar(json.loads(done.stdout))
        found = await eventually(injected, f"{p.name} injects", 20, 0.2)
        environment = {e["name"]: e.get("value") for e in found[0]["env"]}
        assert environment["SQMQOS_TLS_CA"] == ca["ca.crt"]
        await there.serve(*replicas)


async def test_wiped_and_deleted_objects_get_back_what_was_there(env):
    k8s = await env.cluster()
    there = await installation(env, k8s)
    replicas = [there.replica() for _ in range(2)]
    await there.serve(*replicas)
    ca, broker = await there.secret("ca"), await there.secret("broker-tls")
    for text in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        if text:
            await there.set_bundles(ca["ca.crt"] + ca["ca.crt"])
        else:
            await there.set_bundles(text)
        await there.healed(ca["ca.crt"], 10)

    async def same(name, was):
        async def look():
            return await there.secret(name) == was
        await eventually(look, f"{name} is as it was", 15, 0.1)
    await there.wipe("ca")
    await same("ca", ca)
    await there.wipe("broker-tls")
    await same("broker-tls", broker)
    # A Secret that is gone is for the chart to make; injectors say so and go on.
    await k8s.kubectl("delete", "secret", f"{there.fullname}-ca", f"{there.fullname}-broker-tls")

    async def says():
        answers = [await asyncio.to_thread(p.get, "/readyz") for p in replicas]
        return all(status == 200 and f"{there.fullname}-ca is not there" in text and
                   f"{there.fullname}-broker-tls is not there" in text for status, text in answers)
    await eventually(says, "they say what is missing, and are ready", 15, 0.1)
    shop = await there.served_namespace()
    assert (await there.try_pod(shop)).code == 0
    await k8s.apply([{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                      "metadata": {"name": f"{there.fullname}-{n}"}} for n in ("ca", "broker-tls")])
    await same("ca", ca)
    await same("broker-tls", broker)
    # One that starts later finds the same.
    await there.serve(there.replica())
    assert await there.secret("ca") == ca


async def test_rights_are_for_its_own_objects_and_no_more(env):
    k8s = await env.cluster()
    there = await installation(env, k8s)
    await there.serve(there.replica())
    account = f"system:serviceaccount:{k8s.namespace}:{there.fullname}-injector"

    async def may(verb, what, namespace=None):
        done = await k8s.try_kubectl("auth", "can-i", verb, what, "--as", account,
                                     namespace=namespace)
        return done.stdout.strip() == "yes"
    for name in ("ca", "broker-tls"):
        for verb in ("get", "patch"):
            assert await may(verb, f"secrets/{there.fullname}-{name}"), (verb, name)
        for verb in ("list", "create", "delete"):
            assert not await may(verb, f"secrets/{there.fullname}-{name}"), (verb, name)
        assert not await may("get", f"secrets/{there.fullname}-{name}", "default")
    assert not await may("get", "secrets/other")
    assert not await may("get", "pods")
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        assert await may("patch", f"{kind}/{there.webhook}")
        assert not await may("patch", f"{kind}/other")
        assert not await may("delete", f"{kind}/{there.webhook}")


async def test_what_is_missing_stands_in_readyz(env):
    k8s = await env.cluster()
    there = await installation(env, k8s)
    await k8s.kubectl("delete", "validatingwebhookconfiguration", there.webhook)
    await k8s.kubectl("delete", "secret", f"{there.fullname}-broker-tls")
    replica = there.replica()

    async def says(*what, status=503):
        async def look():
            found, text = await asyncio.to_thread(replica.get, "/readyz")
            return found == status and all(w in text for w in what)
        await eventually(look, f"{status}: {what}", 20, 0.1)
    await says(f"Secret {k8s.namespace}/{there.fullname}-broker-tls is not there",
               f"ValidatingWebhookConfiguration {there.webhook} is not there")
    await there.install()
    await says("ok", status=200)
    await k8s.kubectl("delete", "mutatingwebhookconfiguration", there.webhook)
    await says(f"MutatingWebhookConfiguration {there.webhook} is not there")


async def test_people_see_denials_and_warnings(env):
    k8s = await env.cluster()
    there = await installation(env, k8s)
    await there.serve(there.replica())
    shop = await there.served_namespace()
    bad = {"sqmqos.io/subscribe": "- {filter: a/#/b}\n- {filter: a, qos: 9}\n"}
    done = await there.try_pod(shop, bad)
    assert done.code != 0 and "denied the request" in done.stderr, done.stderr
    assert "line 1" in done.stderr and "line 2" in done.stderr, done.stderr
    done = await there.try_pod(shop, {"sqmqos.io/subscibe": "a"})
    assert done.code == 0 and "sqmqos.io/subscribe" in done.stderr, done.stderr
    done = await there.try_pod(shop, labels={"sqmqos.io/inject": "false"})
    assert done.code == 0 and not sidecar(json.loads(done.stdout))
    plain = await k8s.make_namespace("plain", {release.APART: there.name})
    done = await there.try_pod(plain, bad)
    assert done.code == 0 and not sidecar(json.loads(done.stdout)), done.stderr
    assert (await there.try_pod(plain, hostNetwork=True)).code == 0
    template = {"metadata": {"labels": {"app": "a"}, "annotations": bad},
                "spec": {"containers": [{"name": "app", "image": "app"}]}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                  "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template}}

    async def try_deployment(namespace):
        return await k8s.try_kubectl("create", "--dry-run=server", "-f", "-", namespace=namespace,
                                     stdin=json.dumps(deployment))
    done = await try_deployment(shop)
    assert done.code != 0 and "line 2" in done.stderr, done.stderr
    template["metadata"]["annotations"] = {"sqmqos.io/subscribe": "a/#"}
    done = await try_deployment(shop)
    assert (done.code, done.stderr) == (0, ""), done.stderr
    exempt = await k8s.make_namespace("exempt", {release.APART: there.name,
                                                 "sqmqos.io/inject": "false"})
    for namespace in (plain, exempt):
        done = await try_deployment(namespace)
        assert done.code == 0 and "sqmqos.io/inject" in done.stderr, done.stderr
    # What can't have a sidecar is refused where it would get one, and nowhere else.
    template["spec"]["hostNetwork"] = True
    assert (await try_deployment(shop)).code != 0
    assert (await try_deployment(plain)).code == 0


@scenario(timeout_s=240)
async def test_nobody_is_refused_while_certificates_are_renewed(env):
    """The CA's three times over, with certificates that live for seconds; a client that has
    nothing but the CA before shakes hands with each chain of brokers."""
    k8s = await env.cluster()
    there = await installation(env, k8s, certificates={
        "caLifetime": "36s", "leafLifetime": "12s", "overlap": "6s"})
    replicas = [there.replica(kubernetes={"interval": "500ms"}) for _ in range(2)]
    await there.serve(*replicas)
    shop = await there.served_namespace()
    refused, asked, bundles, leaves = [], 0, [], set()
    born = None
    until = time.monotonic() + 200
    while len(bundles) < 4 and time.monotonic() < until:
        done = await there.try_pod(shop)
        asked += 1
        if done.code != 0 or not sidecar(json.loads(done.stdout)):
            refused.append(done.stderr)
        broker = await there.secret("broker-tls")
        newest = certificates(broker["ca.crt"])[0]
        if newest not in bundles:
            born = bundles[-1] if bundles else newest  # it knows the one before alone
            bundles.append(newest)
        leaves.add(certificates(broker["tls.crt"])[0])
        assert await verifies(env, broker["tls.crt"], broker["ca.crt"]), (len(bundles), broker)
        if await lives(env, born):
            assert await verifies(env, broker["tls.crt"], born), (len(bundles), born, broker)
    assert len(bundles) == 4 and not refused, (len(bundles), asked, refused[:3])
    assert len(leaves) >= 8, len(leaves)


async def test_certificates_of_others_are_taken_from_their_secrets(env):
    k8s = await env.cluster()
    there = Installation(env, k8s)
    service = f"{there.fullname}-injector.{k8s.namespace}.svc"
    write_authority(there.folder)
    ca = (there.folder / "ca.pem").read_text()

    async def put(name, days):
        cert, key = make_pair(there.folder, name, service, days)
        await k8s.apply([
            {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
             "metadata": {"name": "webhook-tls"},
             "data": {"tls.crt": base64.b64encode(cert).decode(),
                      "tls.key": base64.b64encode(key).decode()}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trust"},
             "data": {"ca.crt": ca}}])
    await put("first", 20)
    await there.install(certificates={"mode": "provided", "servingSecret": "webhook-tls",
                                      "caConfigMap": "trust", "brokerSecret": "broker-own"})
    replica = there.replica()
    await there.serve(replica)
    await there.healed(ca)
    shop = await there.served_namespace()
    done = await there.try_pod(shop)
    assert done.code == 0, done.stderr
    environment = {e["name"]: e.get("value") for e in
                   sidecar(json.loads(done.stdout))[0]["env"]}
    assert environment["SQMQOS_TLS_CA"] == ca
    seen = await metrics(replica)
    assert not any(v for k, v in seen.items() if "secret" in k), "it makes nothing"
    before = seen['sqmqos_injector_certificate_seconds{certificate="webhook"}']
    await put("second", 30)

    async def taken_up():
        name = 'sqmqos_injector_certificate_seconds{certificate="webhook"}'
        return (await metrics(replica))[name] > before
    await eventually(taken_up, "the new one serves")
    assert (await there.try_pod(shop)).code == 0

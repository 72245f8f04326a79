"""The HTTP API by the chart's Service: a pod with nothing but curl and its ServiceAccount's token."""

import base64
import json

import release
from cluster import eventually
from scenario import scenario

WHERE = "/var/run/sqmqos"


async def a_release(k8s, hint, **more):
    """A release with the API's Service; its name, namespace and values."""
    await k8s.load_programs()
    name = release.unique(hint)
    namespace = await k8s.make_namespace(f"{hint}-system")
    tree = release.apart(k8s, name, **release.merge({"httpApi": {"enabled": True}}, more))
    await release.install(k8s, name, namespace, tree)
    return name, namespace, tree


def curl_pod(k8s, audience="sqmqos"):
    volume = {"name": "api", "projected": {"sources": [
        {"serviceAccountToken": {"audience": audience, "path": "token"}},
        {"configMap": {"name": "sqmqos-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "script"},
            "spec": {"terminationGracePeriodSeconds": 0, "volumes": [volume], "containers": [
                {"name": "app", "image": k8s.client_image, "imagePullPolicy": "Never",
                 "command": ["sleep", "infinity"],
                 "volumeMounts": [{"name": "api", "mountPath": WHERE, "readOnly": True}]}]}}


class Script:
    """Sends requests from a pod of the case's namespace, by the Service's full name."""

    def __init__(self, k8s, name, namespace):
        self.k8s = k8s
        self.base = f"https://{name}-api.{namespace}.svc.cluster.local:8443"

    @classmethod
    async def start(cls, k8s, name, namespace):
        secret = await k8s.get("secrets", f"{name}-broker-tls", namespace)
        authority = base64.b64decode(secret["data"]["ca.crt"]).decode()
        await k8s.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sqmqos-ca"},
                         "data": {"ca.crt": authority}})
        await k8s.apply(curl_pod(k8s))
        await k8s.ready("script")
        return cls(k8s, name, namespace)

    async def curl(self, method, url, body=None, *more):
        """(status, answer): the answer as a tree where it is JSON."""
        words = f"curl -sS -m 30 --cacert {WHERE}/ca.crt -X {method} -w '\\n%{{http_code}}' " \
                f"-H \"authorization: bearer $(cat {WHERE}/token)\" \"$@\""
        data = ["-d", body] if body is not None else []
        out = await self.k8s.exec("script", "sh", "-c", words, "sh", *data, *more,
                                  url if "://" in url else self.base + url)
        text, _, status = out.rpartition("\n")
        try:
            return int(status), json.loads(text)
        except ValueError:
            return int(status), text


@scenario(timeout_s=240)
async def test_a_pod_publishes_by_the_service_of_the_api(env):
    k8s = await env.cluster()
    name, namespace, _ = await a_release(k8s, "api")
    script = await Script.start(k8s, name, namespace)
    status, answer = await script.curl("POST", "/v1/publish/orders/1", '{"id":1}')
    assert status == 200 and answer["outcome"] == "no-subscribers", (status, answer)
    # Its space is its namespace, whatever it asks for.
    status, answer = await script.curl("POST", "/v1/publish/orders/1", "x", "-H", "sqmqos-space: other")
    assert status == 403 and answer["type"].endswith("/forbidden"), (status, answer)
    # The link's address serves sidecars alone.
    link = f"https://{name}-broker.{namespace}.svc.cluster.local:7443/v1/publish/orders/1"
    status, _ = await script.curl("POST", link, "x")
    assert status == 404, status
    service = await k8s.get("services", f"{name}-api", namespace)
    assert service["spec"]["type"] == "ClusterIP" and "nodePort" not in service["spec"]["ports"][0]


@scenario(timeout_s=300)
async def test_a_release_gets_its_api_by_an_upgrade(env):
    """The certificate gets the Service's name while the broker runs on."""
    k8s = await env.cluster()
    name, namespace, tree = await a_release(k8s, "later", httpApi={"enabled": False})
    before = (await k8s.get("secrets", f"{name}-broker-tls", namespace))["data"]
    tree = release.merge(tree, {"httpApi": {"enabled": True, "names": ["mq.example"]}})
    await release.install(k8s, name, namespace, tree)
    script = await Script.start(k8s, name, namespace)
    after = (await k8s.get("secrets", f"{name}-broker-tls", namespace))["data"]
    assert after["ca.crt"] == before["ca.crt"] and after["tls.crt"] != before["tls.crt"]

    async def taken():
        status, _ = await script.curl("POST", "/v1/publish/a", "x")
        address = (await k8s.get("services", f"{name}-api", namespace))["spec"]["clusterIP"]
        other, _ = await script.curl("POST", "https://mq.example:8443/v1/publish/a", "x", "--resolve",
                                     f"mq.example:8443:{address}")
        return (status, other) == (200, 200)
    await eventually(taken, "both names are served", 60, 1)


@scenario(timeout_s=400)
async def test_queues_of_the_values_are_pulled_from_and_change_live(env):
    k8s = await env.cluster()
    space = k8s.namespace
    queues = {space: {"billing": {"bindings": [{"filter": "orders/#", "qos": 2}], "lease": "1m"}}}
    name, namespace, tree = await a_release(k8s, "queues", subscribers=queues)
    script = await Script.start(k8s, name, namespace)
    status, answer = await script.curl("POST", "/v1/publish/orders/1", '{"id":1}', "-H", "content-type: application/json")
    assert status == 200 and answer["outcome"] == "stored" and answer["matched"] == 1, (status, answer)
    status, answer = await script.curl("POST", "/v1/queues/billing/receive?wait=10s")
    message, = answer["messages"]
    assert status == 200 and message["topic"] == "orders/1" and message["json"] == {"id": 1}, answer
    status, _ = await script.curl("POST", f"/v1/leases/{message['lease']}/ack")
    assert status == 204, status
    # What a file declares is not the API's to change.
    status, answer = await script.curl("GET", "/v1/queues/billing")
    assert status == 200 and answer["declaredIn"] == "file" and answer["settings"]["lease"] == "1m", answer
    pod = (await k8s.get("pods", f"{name}-broker-0", namespace))["metadata"]["uid"]
    queues[space]["audit"] = {"bindings": [{"filter": "#"}]}
    queues[space]["billing"]["lease"] = "2m"
    await release.install(k8s, name, namespace, release.merge(tree, {"subscribers": queues}))

    async def there():
        status, _ = await script.curl("GET", "/v1/queues/audit")
        _, billing = await script.curl("GET", "/v1/queues/billing")
        return status == 200 and billing["settings"]["lease"] == "2m"
    await eventually(there, "the running broker has the new queue, and the new lease", 150, 1)
    await script.curl("POST", "/v1/publish/other", "x")
    status, answer = await script.curl("POST", "/v1/queues/audit/receive?wait=10s&ack=receive")
    assert [m["topic"] for m in answer["messages"]] == ["other"], answer
    broker = await k8s.get("pods", f"{name}-broker-0", namespace)
    assert broker["metadata"]["uid"] == pod, "the broker's pod is another"
    assert all(c["restartCount"] == 0 for c in broker["status"]["containerStatuses"])

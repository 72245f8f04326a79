"""Bridges of the chart's values to a RabbitMQ in a pod: its Secret, and what is changed, under the broker that runs."""

import json
import secrets

import release
from cluster import eventually
from scenario import scenario
from test_http_api import Script, a_release

KUBELET_S = 150  # until a ConfigMap, a Secret is in the broker's files
USER = "bridge"
RULES = [{"allow": ["publish", "subscribe", "consume", "manage"]}]

SCRIPT = """
set -eu
printf '%s\\n' "default_user = $RABBIT_USER" "default_pass = $RABBIT_PASSWORD" 'loopback_users = none' \\
    'log.console = true' 'log.file = false' 'disk_free_limit.absolute = 1MB' >/etc/rabbitmq/rabbitmq.conf
echo '[rabbitmq_management].' >/etc/rabbitmq/enabled_plugins
exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups -- /usr/lib/rabbitmq/bin/rabbitmq-server
"""


class Rabbit:
    """A RabbitMQ of one pod, and its Service; asked from the pod "script"."""

    def __init__(self, k8s, namespace):
        self.k8s, self.namespace = k8s, namespace
        self.password = secrets.token_hex(12)
        self.host = f"rabbit.{namespace}.svc.cluster.local"

    async def start(self):
        image = await self.k8s.load_image("rabbitmq")
        labels = {"app": "rabbit"}
        ports = [{"name": "amqp", "port": 5672}, {"name": "api", "port": 15672}]
        env = {"RABBIT_USER": USER, "RABBIT_PASSWORD": self.password, "HOME": "/var/lib/rabbitmq",
               "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none"}
        await self.k8s.apply([
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "rabbit"},
             "spec": {"selector": labels, "ports": ports}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rabbit", "labels": labels},
             "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                 {"name": "rabbit", "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", SCRIPT],
                  "env": [{"name": k, "value": v} for k, v in env.items()],
                  "readinessProbe": {"tcpSocket": {"port": 15672}, "periodSeconds": 1}}]}}], self.namespace)
        await self.k8s.ready("rabbit", namespace=self.namespace, timeout_s=120)
        return self

    async def ask(self, method, path, tree=None):
        """(status, answer) of its HTTP API."""
        body = ["-H", "content-type: application/json", "-d", json.dumps(tree)] if tree else []
        out = await self.k8s.exec("script", "curl", "-sS", "-m", "30", "-u", f"{USER}:{self.password}", "-X", method,
                                  "-w", "\n%{http_code}", *body, f"http://{self.host}:15672/api/{path}")
        text, _, status = out.rpartition("\n")
        return int(status), json.loads(text) if text else None

    async def publish(self, queue, text):
        status, answer = await self.ask("POST", "exchanges/%2F/amq.default/publish", {
            "routing_key": queue, "payload": text, "payload_encoding": "string", "properties": {"delivery_mode": 2}})
        assert status == 200 and answer["routed"], (status, answer)

    async def take(self, queue):
        """The messages of a queue."""
        status, answer = await self.ask("POST", f"queues/%2F/{queue}/get", {
            "count": 10, "ackmode": "ack_requeue_false", "encoding": "auto"})
        assert status == 200, (status, answer)
        return answer

    async def secret(self, namespace):
        await self.k8s.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rabbit"},
                              "stringData": {"username": USER, "password": self.password}}, namespace)


async def bridge_says(script, check, what, timeout_s):
    last = None

    async def look():
        nonlocal last
        last = await script.curl("GET", "/v1/bridges/shop")
        return last[0] == 200 and check(last[1])
    try:
        await eventually(look, f"the bridge {what}", timeout_s, 0.5)
    except AssertionError as e:
        raise AssertionError(f"{e}: {last}") from None


@scenario(timeout_s=500)
async def test_a_bridge_of_the_values_reaches_its_peer_and_changes_live(env):
    k8s = await env.cluster()
    space = k8s.namespace
    rabbit = await Rabbit(k8s, space).start()
    files = "/etc/sqmqos/bridge-secrets/rabbit/"
    shop = {"space": space, "kind": "amqp", "url": [f"amqp://{rabbit.host}/"],
            "credentials": {"user-file": files + "username", "password-file": files + "password"},
            "out": [{"filter": "orders/#", "to": {"exchange": "", "key": "orders"}}]}
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}}]
    name, system, tree = await a_release(
        k8s, "bridges", broker={"acl": RULES},
        networkPolicy={"egress": {"enabled": True, "bridgesTo": peers}},
        bridges={"declared": {"shop": shop}, "secrets": {"rabbit": "rabbit"}},
        subscribers={space: {"landed": {"bindings": [{"filter": "replies/#", "qos": 1}]}}})
    script = await Script.start(k8s, name, system)
    before = await release.running(k8s, name, system)
    policy = await k8s.get("networkpolicies", f"{name}-broker", system)
    assert {"to": peers} in policy["spec"]["egress"], policy["spec"]["egress"]
    for queue in ("orders", "replies"):
        status, answer = await rabbit.ask("PUT", f"queues/%2F/{queue}", {"durable": True})
        assert status in (201, 204), (status, answer)

    await bridge_says(script, lambda b: not b["out"]["up"] and files in b["out"].get("why", ""), "waits for its secret", 60)
    status, answer = await script.curl("POST", "/v1/publish/orders/1", "early")
    assert status == 200 and answer["outcome"] == "stored", (status, answer)
    await rabbit.secret(system)
    await bridge_says(script, lambda b: b["out"]["up"], "has its secret, and is connected", KUBELET_S)

    async def went():
        return [m["payload"] for m in await rabbit.take("orders")] == ["early"]
    await eventually(went, "what waited has gone out", 30, 0.5)

    await rabbit.publish("replies", "late")
    shop["in"] = [{"queue": "replies", "to": "replies/{key}"}]
    await release.install(k8s, name, system, release.merge(tree, {"bridges": {"declared": {"shop": shop}}}))
    await bridge_says(script, lambda b: b.get("in", {}).get("up"), "has its other half", KUBELET_S)
    status, answer = await script.curl("POST", "/v1/queues/landed/receive?wait=20s&ack=receive")
    assert [(m["topic"], m.get("text")) for m in answer["messages"]] == [("replies/replies", "late")], answer
    assert await release.running(k8s, name, system) == before, "no broker is started anew"
    log = await k8s.logs(f"{name}-broker-0", namespace=system)
    assert rabbit.password not in log

"""Queues of the chart's values that are pushed to functions by the names of their Services: another
target, secrets, and where pushes may go, all of it under the broker that runs."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import release
from cluster import eventually
from scenario import scenario
from test_http_api import Script, a_release

# A function: says on its output what it gets, a line each, and consents to pushes.
FUNCTION = """
import base64, http.server, json

class Function(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status):
        self.send_response(status)
        self.send_header("webhook-allowed-origin", "*")
        self.send_header("content-length", "0")
        self.end_headers()

    def do_OPTIONS(self):
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {k.lower(): v for k, v in self.headers.items()}
        got = {"path": self.path, "headers": headers, "body": base64.b64encode(body).decode()}
        print("got", json.dumps(got), flush=True)
        self.answer(200)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8080), Function).serve_forever()
"""
TOKENS = ["token-5e83b1c7", "token-2f60a9d4"]
KEYS = [bytes([n]) * 32 for n in (1, 2)]
RULES = [{"allow": ["publish", "subscribe", "consume", "manage", "push"]}]
DENIED = "http goes only to hosts that push.allow names"
NOT_ALLOWED = "address not allowed by push.allow"
KUBELET_S = 90  # until a ConfigMap, a Secret is in the broker's files


class Function:
    """A pod that is a function, and its Service."""

    def __init__(self, k8s, name, namespace):
        self.k8s, self.name, self.namespace = k8s, name, namespace
        self.host = f"{name}.{namespace}.svc.cluster.local"
        self.url = f"http://{self.host}"

    async def start(self):
        labels = {"app": self.name}
        await self.k8s.apply([
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name},
             "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": labels},
             "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                 {"name": "app", "image": self.k8s.client_image, "imagePullPolicy": "Never",
                  "command": ["python3", "-c", FUNCTION],
                  "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}]}}], self.namespace)
        await self.k8s.ready(self.name, namespace=self.namespace)
        return self

    async def got(self, body=None):
        """The requests it had, those with 'body' alone where that is given."""
        lines = (await self.k8s.logs(self.name, namespace=self.namespace)).splitlines()
        found = [json.loads(line.removeprefix("got ")) for line in lines]
        for request in found:
            request["body"] = base64.b64decode(request["body"]).decode()
        return [request for request in found if body in (None, request["body"])]

    async def gets(self, body, timeout_s=30):
        """The request with that body, awaited."""
        async def there():
            return len(await self.got(body)) > 0
        await eventually(there, f"{self.name} gets {body}", timeout_s, 0.2)
        request, = await self.got(body)
        return request


async def functions(k8s, *places):
    """Functions that are ready, of (name, namespace)."""
    return await asyncio.gather(*(Function(k8s, *place).start() for place in places))


async def put_secret(k8s, namespace, n):
    await k8s.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hooks"},
                     "stringData": {"token": TOKENS[n] + "\n",
                                    "key": f"whsec_{base64.b64encode(KEYS[n]).decode()}\n"}}, namespace)


def signed_by(request, key):
    headers = request["headers"]
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{request['body']}"
    wanted = base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()
    return headers["webhook-signature"] == f"v1,{wanted}" and abs(time.time() - int(headers["webhook-timestamp"])) < 300


def queue(filter_, url, **push):
    return {"bindings": [{"filter": filter_, "qos": 1}], "push": {"url": url} | push}


async def publish(script, topic, body):
    status, answer = await script.curl("POST", f"/v1/publish/{topic}", body)
    assert status == 200 and answer["outcome"] == "stored", (status, answer)


async def pushed(script, name):
    """What is said of a queue's push; None: there is no such queue."""
    status, answer = await script.curl("GET", f"/v1/subscribers/{name}")
    assert status in (200, 404), (status, answer)
    return answer["push"] if status == 200 else None


async def says(script, name, check, what, timeout_s=30):
    async def look():
        said = await pushed(script, name)
        return said is not None and check(said)
    await eventually(look, f"{name}: {what}", timeout_s, 0.5)


@scenario(timeout_s=300)
async def test_functions_are_pushed_to_by_their_services(env):
    """By name, with secrets of a Secret; other values redirect, another Secret counts, and nothing is started anew."""
    k8s = await env.cluster()
    space = k8s.namespace
    foreign = await k8s.make_namespace("push-foreign")
    one, two, theirs = await functions(k8s, ("one", space), ("two", space), ("one", foreign))
    secrets = {"auth": {"bearer": "hooks-token"}, "sign": {"secret": "hooks"}}
    of = {space: {"billing": queue("orders/#", one.url + "/of/{topic.2}", **secrets),
                  "stranger": queue("#", theirs.url),
                  "secure": queue("orders/#", f"https://{theirs.host}")}}
    system = await k8s.make_namespace("push-system")
    await put_secret(k8s, system, 0)
    name = release.unique("push")
    tree = release.apart(
        k8s, name, httpApi={"enabled": True}, broker={"acl": RULES}, subscribers=of,
        push={"secrets": {space: {"hooks-token": {"secret": "hooks", "key": "token"},
                                  "hooks": {"secret": "hooks", "key": "key"}}}})
    await k8s.load_programs()
    await release.install(k8s, name, system, tree)
    script = await Script.start(k8s, name, system)
    before = await release.running(k8s, name, system)

    await publish(script, "orders/17", "first")
    request = await one.gets("first")
    headers = request["headers"]
    assert request["path"] == "/of/17" and headers["host"] == one.host, request
    assert (headers["sqmqos-topic"], headers["sqmqos-queue"], headers["sqmqos-attempt"]) == ("orders/17", "billing", "1"), headers
    assert headers["authorization"] == f"Bearer {TOKENS[0]}", headers
    assert signed_by(request, KEYS[0]) and not signed_by(request, KEYS[1]), request

    # Another namespace's Service, by the values and by the API, in any spelling of its name.
    assert await pushed(script, "stranger") is None
    log = await k8s.logs(f"{name}-broker-0", namespace=system)
    line, = (line for line in log.splitlines() if f"{space}.stranger" in line)
    assert DENIED in line and theirs.host in line, line
    # By https anybody may be pushed to, but not at an address of the cluster.
    await says(script, "secure", lambda said: said.get("lastError") == NOT_ALLOWED, "is denied, and says so")
    for host in (theirs.host, theirs.host + ".", f"one.{foreign}.svc", f"one.{foreign}", theirs.host.upper(),
                 f"{name}-broker.{system}.svc.cluster.local"):
        status, answer = await script.curl("PUT", "/v1/subscribers/mine", json.dumps(queue("#", f"http://{host}/")),
                                           "-H", "content-type: application/json")
        assert status == 403 and DENIED in answer["detail"], (host, status, answer)
    # Its own it may, once the function has consented.
    status, answer = await script.curl("PUT", "/v1/subscribers/mine", json.dumps(queue("mine/#", f"http://two.{space}.svc/mine")),
                                       "-H", "content-type: application/json")
    assert status == 201, (status, answer)
    await publish(script, "mine/1", "by the API")
    assert (await two.gets("by the API"))["path"] == "/mine"

    # Other values, another Secret.
    of[space]["billing"] = queue("orders/#", two.url + "/moved", **secrets)
    await put_secret(k8s, system, 1)
    await release.install(k8s, name, system, release.merge(tree, {"subscribers": of}))
    sent = []

    async def moved():
        sent.append(f"again {len(sent)}")
        await publish(script, "orders/18", sent[-1])
        found = [r for r in await two.got() if r["path"] == "/moved"]
        return found and found[-1]["headers"]["authorization"] == f"Bearer {TOKENS[1]}" and signed_by(found[-1], KEYS[1])
    await eventually(moved, "the other function is pushed to, with the other secrets", KUBELET_S, 1)

    async def all_there():
        there = [r["body"] for r in await one.got() + await two.got() if r["body"].startswith("again")]
        return sorted(there) == sorted(sent)
    await eventually(all_there, "each is pushed once, to the one or to the other", 30, 0.5)
    await publish(script, "orders/19", "last")
    await two.gets("last")
    assert not await one.got("last") and not await theirs.got()
    assert await release.running(k8s, name, system) == before, "no broker is started anew"
    log = await k8s.logs(f"{name}-broker-0", namespace=system)
    assert not any(token in log for token in TOKENS)


@scenario(timeout_s=300)
async def test_where_pushes_may_go_changes_live(env):
    """push.allow opens another namespace's Service and closes it, for what is declared already, too; what it
    closes waits and says so, as does who waits for a Secret that is not there yet."""
    k8s = await env.cluster()
    space = k8s.namespace
    foreign = await k8s.make_namespace("push-foreign")
    own, theirs = await functions(k8s, ("own", space), ("theirs", foreign))
    allow = [{"host": theirs.host, "spaces": [space]}]
    egress = {"enabled": True, "pushTo": [{"namespaceSelector": {}}]}
    name, system, tree = await a_release(
        k8s, "allow", broker={"acl": RULES}, networkPolicy={"egress": egress},
        push={"allow": allow, "secrets": {space: {"late": {"secret": "hooks", "key": "token"}}}},
        subscribers={space: {"abroad": queue("abroad/#", theirs.url, retry={"attempts": 65535, "first": "100ms", "max": "1s"},
                                             breaker={"failures": 1000}),
                             "home": queue("home/#", own.url, auth={"header": "x-api-key", "value": "late"})}})
    script = await Script.start(k8s, name, system)
    before = await release.running(k8s, name, system)
    # This node's network knows no policies; that the API server has it is what can be shown.
    policy = await k8s.get("networkpolicies", f"{name}-broker", system)
    assert {"to": egress["pushTo"]} in policy["spec"]["egress"], policy["spec"]["egress"]

    await publish(script, "abroad/1", "open")
    await theirs.gets("open")
    await publish(script, "home/1", "waits")

    def waits(said):
        return said["state"] == "secret" and f"push.secrets-dir/{space}/late" in said.get("lastError", "")
    await says(script, "home", waits, "waits for its secret")
    assert not await own.got()

    async def allowed(rows):
        await release.install(k8s, name, system, release.merge(tree, {"push": {"allow": rows}}))
    await asyncio.gather(allowed([]), put_secret(k8s, system, 0))
    request = await own.gets("waits", KUBELET_S)
    assert request["headers"]["x-api-key"] == TOKENS[0] and request["headers"]["sqmqos-attempt"] == "1", request

    sent = []

    async def closed():
        sent.append(f"abroad {len(sent)}")
        await publish(script, "abroad/1", sent[-1])
        return (await pushed(script, "abroad")).get("lastError") == NOT_ALLOWED
    await eventually(closed, "it is denied, and says so", KUBELET_S, 1)
    await publish(script, "abroad/1", "closed")
    await publish(script, "home/1", "goes on")
    await own.gets("goes on")
    assert not await theirs.got("closed")
    await allowed(allow)
    await theirs.gets("closed", KUBELET_S)

    async def all_there():
        return {r["body"] for r in await theirs.got()} == {"open", "closed", *sent}
    await eventually(all_there, "what was closed waited", 30, 0.5)
    assert await release.running(k8s, name, system) == before, "no broker is started anew"

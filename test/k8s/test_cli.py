"""The command line and the webhook are one: what sqmqos inject prints of a pod is the pod that
the webhook makes of it."""

import asyncio
import base64
import json
import re
import subprocess

import release
import stack as parts
import yaml
from cluster import eventually
from command import Command
from harness import images, paths
from scenario import scenario
from tokens import Issuer

PLAIN = {"containers": [{"name": "app", "image": "app:1"}]}
FULL = {
    "terminationGracePeriodSeconds": 7,
    "initContainers": [{"name": "once", "image": "once:1"}],
    "containers": [
        {"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}],
         "env": [{"name": "URL", "value": "$(SQMQOS_URL)/x"}],
         "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
        {"name": "own", "image": "own:1", "env": [{"name": "SQMQOS_URL", "value": "mqtt://x"}],
         "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}],
    "volumes": [{"name": "scratch", "emptyDir": {}}]}
ANNOTATIONS = {
    "sqmqos.io/subscribe": "- filter: orders/#\n  max-length: 10\n", "sqmqos.io/port": "1900",
    "sqmqos.io/workload": "other", "sqmqos.io/outbox": "disk: 1Gi",
    "sqmqos.io/outbox-claim": "box", "sqmqos.io/sidecar-log-level": "debug",
    "config.linkerd.io/skip-outbound-ports": "3306", "example.com/note": "c"}
OWNER = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5f7d", "controller": True,
          "uid": "11111111-2222-3333-4444-555555555555"}]
PODS = {
    "plain": ({}, PLAIN),
    "full": ({"annotations": ANNOTATIONS}, FULL),
    "guaranteed": ({}, {"containers": FULL["containers"]}),
    "owned": ({"labels": {"pod-template-hash": "5f7d"}, "ownerReferences": OWNER}, PLAIN),
}


def pod(name, metadata, spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name} | metadata, "spec": spec}


async def admitted(k8s, tree, namespace):
    """The pod as the API server would keep it, of which nothing is made."""
    made = await k8s.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                             namespace=namespace, stdin=json.dumps(tree))
    return json.loads(made)


def comparable(tree):
    """Without what differs from pod to pod, and the order in which volumes came."""
    tree = json.loads(re.sub(r"kube-api-access-\w+", "kube-api-access", json.dumps(tree)))
    tree["spec"]["volumes"].sort(key=lambda v: v["name"])
    for container in tree["spec"]["containers"] + tree["spec"]["initContainers"]:
        container["volumeMounts"].sort(key=lambda m: m["mountPath"])
    kept = {k: tree["metadata"].get(k) for k in ("name", "labels", "annotations")}
    return {"metadata": kept, "spec": tree["spec"], "class": tree["status"]["qosClass"]}


async def installation(env, k8s):
    """Options of the command line for the release: its settings and its authorities."""
    settings = await k8s.get("configmaps", f"{release.NAME}-injector", release.NAMESPACE)
    secret = await k8s.get("secrets", f"{release.NAME}-broker-tls", release.NAMESPACE)
    (env.folder / "settings.yaml").write_text(settings["data"]["settings.yaml"])
    (env.folder / "bundle.pem").write_bytes(base64.b64decode(secret["data"]["ca.crt"]))
    return ["--values", env.folder / "settings.yaml", "--trust-bundle", env.folder / "bundle.pem"]


async def injected(env, tree, options):
    program = parts.ROOT / "build" / env.settings.build / "sqmqos"
    done = await asyncio.to_thread(
        subprocess.run, [program, "inject", "-f", "-", *options], capture_output=True, text=True,
        timeout=30, input=yaml.safe_dump(tree))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@scenario(timeout_s=240)
async def test_inject_prints_what_the_webhook_makes(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    quiet = await k8s.make_namespace("quiet")
    await release.installed(k8s)
    options = await installation(env, k8s)
    for name, (metadata, spec) in PODS.items():
        tree = pod(name, metadata, spec)
        made = await admitted(k8s, tree, k8s.namespace)
        printed = await admitted(k8s, await injected(env, tree, options), quiet)
        assert made["spec"]["initContainers"][0]["name"] == "sqmqos-sidecar"
        assert comparable(printed) == comparable(made), name
        # and the webhook has nothing to add to what is printed
        again = await admitted(k8s, await injected(env, tree, options), k8s.namespace)
        assert comparable(again) == comparable(made), name


# Nobody starts these pods: what is looked at is what was made.
NOBODY = {"schedulerName": "nobody"}
NOTES = {"annotations": {"example.com/note": "~1/c", "sqmqos.io/subscribe": "orders/#"},
         "labels": {"app": "x", "example.com/part": "web"}}
# Labels and names that controllers give, other ones in each namespace.
GIVEN = ("pod-template-hash", "controller-revision-hash", "controller-uid",
         "batch.kubernetes.io/controller-uid")


def template(spec, metadata=None):
    return {"metadata": metadata or NOTES, "spec": spec | NOBODY}


def workload(api, kind, spec):
    return {"apiVersion": api, "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}


def workloads():
    selector = {"selector": {"matchLabels": {"app": "x"}}}
    run = template(PLAIN | {"restartPolicy": "Never"})
    mounted = {"containers": [{"name": "app", "image": "app:1", "volumeMounts": [
        {"name": "data", "mountPath": "/data"}]}]}
    claim = {"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}
    annotated = {"annotations": ANNOTATIONS, "labels": {"app": "x"}}
    return [
        workload("apps/v1", "Deployment", selector | {"template": template(FULL, annotated)}),
        workload("apps/v1", "StatefulSet", selector | {
            "serviceName": "x", "template": template(mounted), "volumeClaimTemplates": [claim]}),
        workload("apps/v1", "DaemonSet", selector | {"template": template(PLAIN)}),
        workload("batch/v1", "Job", {"template": run}),
        workload("batch/v1", "CronJob", {
            "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": run}}}),
    ]


async def made_pods(k8s, trees, namespace):
    """{kind: pod} of what controllers make of the workloads."""
    await k8s.apply(trees, namespace)
    await k8s.kubectl("create", "job", "cronjob-28512480", "--from=cronjob/cronjob",
                      namespace=namespace)
    found = {}

    async def all_there():
        for p in await k8s.pods(namespace=namespace):
            owner = p["metadata"]["ownerReferences"][0]
            found[re.sub(r"-\w*\d\w*$", "", owner["name"])] = p
        return len(found) == len(trees)
    await eventually(all_there, f"each workload of {namespace} has a pod", 30, 0.1)
    return found


def nameless(tree):
    """Of a controller's pod what does not follow from its place."""
    same = comparable(tree)
    same["metadata"].pop("name")
    for name in GIVEN:
        same["metadata"]["labels"].pop(name, None)
    for name in ("hostname", "nodeName"):
        same["spec"].pop(name, None)
    return same


async def test_controllers_make_the_same_pods_of_what_is_printed(env):
    k8s = await env.cluster(labels={"sqmqos.io/inject": "true"})
    quiet = await k8s.make_namespace("quiet")
    await release.installed(k8s)
    options = await installation(env, k8s)
    trees = workloads()
    printed = await injected(env, {"apiVersion": "v1", "kind": "List", "items": trees}, options)
    by_webhook = await made_pods(k8s, trees, k8s.namespace)
    by_hand = await made_pods(k8s, printed["items"], quiet)
    assert set(by_webhook) == {t["kind"].lower() for t in trees}, list(by_webhook)
    for kind, tree in by_webhook.items():
        assert tree["spec"]["initContainers"][0]["name"] == "sqmqos-sidecar", kind
        assert nameless(by_hand[kind]) == nameless(tree), kind


async def token_of(env, k8s, account, *more):
    """A file with a token of the account."""
    path = env.folder / ("-".join((account, *more)).replace("/", "") or account)
    path.write_text(await k8s.kubectl("create", "token", account, *more))
    return path


def may(name, account, rules):
    """A role, and who has it."""
    group = "rbac.authorization.k8s.io"
    return [{"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules},
            {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": name},
             "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": account}]}]


async def kubeconfig_of(env, k8s, account):
    """A kubeconfig of the cluster for that account, and the name of its context."""
    tree = yaml.safe_load(paths.KUBECONFIG.read_text())
    context = tree["contexts"][0]
    path = env.folder / f"{account}.kubeconfig"
    user = {"name": account, "user": {"token": (await token_of(env, k8s, account)).read_text().strip()}}
    path.write_text(yaml.safe_dump(tree | {"users": [user], "contexts": [
        {"name": context["name"], "context": context["context"] | {"user": account}}]}))
    return path, context["name"]


async def asked_through(env, k8s, broker, port, token, log):
    """The broker in that pod is asked through the API server: by its admin, and by a guest whom RBAC
    lets in bit by bit."""
    await k8s.kubectl("create", "serviceaccount", "guest")
    guest, context = await kubeconfig_of(env, k8s, "guest")
    whole = ("--kube-context", context, "--kube-namespace", k8s.namespace)
    admin = Command(env, *whole, "--kubeconfig", paths.KUBECONFIG)
    as_guest = Command(env, *whole, "--kubeconfig", guest)
    one = ("--pod", f"{broker}:{port}")
    ops = ("--token-file", token, "--space", k8s.namespace)

    # The API server lets the caller through, but uses up Authorization: the broker asks for its own.
    _, error = await admin.run("queues", "ls", code=1)
    assert "status 401, wanted is a token" in error and "--token-file FILE" in error, error
    assert f"/api/v1/namespaces/{k8s.namespace}/pods/{broker}:{port}/proxy/v1/view" in error, error
    out, error = await admin.run("queues", "ls", *ops)
    assert out.startswith("QUEUE ") and not error
    out, _ = await admin.run("top", *ops)
    assert " messages wait" in out
    tail = await admin.start("tail", "#", *ops)

    async def logged(words):
        return words in await log()
    await eventually(lambda: logged(f"tap opened by kube:{k8s.namespace}/ops"), "a tap through the proxy", 30, 0.2)
    await admin.interrupt(tail)
    await eventually(lambda: logged("closed by its owner"), "the tap is ended through the proxy", 30, 0.2)

    # RBAC decides who comes through: nothing, then one pod's proxy alone.
    _, error = await as_guest.run("queues", "ls", *ops, code=1)
    assert "status 403, the API server says: pods is forbidden" in error and "get on pods/proxy" in error, error
    _, error = await as_guest.run("queues", "ls", *one, *ops, code=1)
    assert "status 403, the API server says: " in error and "pods/proxy" in error, error
    await k8s.apply(may("look", "guest", [{"apiGroups": [""], "resources": ["pods/proxy"],
                                           "resourceNames": [broker, f"{broker}:{port}"], "verbs": ["get"]}]))

    async def let_in():
        done = await as_guest.start("queues", "ls", *one, *ops)
        out, _ = await done.communicate()
        return done.returncode == 0 and out.startswith(b"QUEUE ")
    await eventually(let_in, "who may get the pod's proxy comes through", 30, 0.5)
    _, error = await as_guest.run("tail", "#", *one, *ops, code=1)
    assert "status 403, the API server says: " in error and "create" in error, error
    # A context that is not there, and a broker that is not.
    _, error = await Command(env, "--kube-context", "nobody", "--kubeconfig", paths.KUBECONFIG).run(
        "queues", "ls", code=2)
    assert f"there are: {context}" in error, error
    quiet = await k8s.make_namespace("quiet")
    _, error = await Command(env, "--kube-context", context, "--kube-namespace", quiet,
                             "--kubeconfig", paths.KUBECONFIG).run("queues", "ls", code=1)
    assert f"namespace {quiet} has no broker that is ready" in error, error


@scenario(timeout_s=300)
async def test_the_charts_broker_is_asked_through_the_api_server(env):
    name = release.unique("cli")
    k8s = await env.cluster(labels={release.APART: name})
    await k8s.load_programs()
    await release.install(k8s, name, k8s.namespace, release.apart(k8s, name, broker={"acl": [
        {"allow": ["operate"], "identity": f"kube:{k8s.namespace}/ops"}]}))
    await k8s.kubectl("create", "serviceaccount", "ops")
    token = await token_of(env, k8s, "ops", "--audience", "sqmqos")
    broker = f"{name}-broker-0"
    await asked_through(env, k8s, broker, 9090, token, lambda: k8s.logs(broker))


@scenario(timeout_s=300)
async def test_a_broker_on_the_node_is_asked_through_the_api_server(env):
    """The same without our images: a pod that is in the node's network, where a broker runs."""
    k8s = await env.cluster()
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {
        "acl": [{"allow": ["operate"], "identity": f"kube:{k8s.namespace}/ops"}]})
    port = stack.broker.admin_port
    stack.broker.tree["admin"]["listen"] = f"*:{port}"
    await stack.start()
    token = env.folder / "token-of-ops"
    token.write_text(issuer.token(k8s.namespace, "ops"))
    await k8s.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "on-the-node", "labels": {
        "app.kubernetes.io/name": "sqmqos", "app.kubernetes.io/component": "broker"}},
        "spec": {"hostNetwork": True, "containers": [{
            "name": "p", "image": images.reference("pause"), "imagePullPolicy": "Never",
            "ports": [{"name": "admin", "containerPort": port}]}]}})
    await k8s.ready("on-the-node")

    async def log():
        return stack.log(stack.broker)
    await asked_through(env, k8s, "on-the-node", port, token, log)

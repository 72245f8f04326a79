"""The cluster itself: pods, names, volumes and tokens are as on any other."""

import asyncio
import base64
import json
import urllib.request

from cluster import eventually
from harness import tokens

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
              "seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True}


def pod(name, image, *command, **spec):
    container = {"name": "app", "image": image, "imagePullPolicy": "Never"}
    if command:
        container["command"] = list(command)
    container |= spec.pop("container", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]} | spec}


async def test_a_pod_runs_and_is_spoken_to(env):
    k8s = await env.cluster()
    await k8s.apply(pod("a", k8s.client_image, "sh", "-c", "echo ready; exec sleep infinity"))
    await k8s.ready("a")
    assert await k8s.logs("a") == "ready\n"
    assert await k8s.exec("a", "cat", stdin="through") == "through"
    pids = await k8s.pids("a", "app")
    assert len(pids) == 1
    memory = await k8s.memory("a", "app")
    assert 0 < memory["anonymous"] <= memory["usage"] < 16 << 20
    assert memory["working_set"] <= memory["usage"]
    await k8s.kill("a", "app")
    await k8s.until("pods", "a", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1,
                    "its container starts anew")


async def test_a_pod_that_fails_leaves_an_explanation(env):
    k8s = await env.cluster()
    await k8s.apply(pod("bad", k8s.client_image, "sh", "-c", "echo alas; exit 3",
                        restartPolicy="Never"))
    try:
        await k8s.succeeded("bad")
        raise RuntimeError("it succeeded")
    except AssertionError as e:
        assert '"exitCode": 3' in str(e)
    await k8s.explain(k8s.namespace)
    folder = env.folder / k8s.namespace
    assert (folder / "bad.app.log").read_text() == "alas\n"
    assert "Started container app" in (folder / "events").read_text()
    assert "Exit Code:    3" in (folder / "describe").read_text()


async def test_names_and_services_reach_pods_also_the_caller_itself(env):
    k8s = await env.cluster()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "site"},
               "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}
    serve = "echo hello >/tmp/x; cd /tmp; exec python3 -m http.server 8080"
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    await k8s.apply([service, pod("web", k8s.client_image, "sh", "-c", serve, container=probe),
                     pod("caller", k8s.client_image)])
    await k8s.ready("web")
    await k8s.ready("caller")
    for caller in ("caller", "web"):
        for host in ("site", f"site.{k8s.namespace}.svc.cluster.local"):
            async def fetch():
                done = await k8s.try_kubectl("exec", caller, "--", "curl", "-sm", "2",
                                             f"http://{host}/x")
                return done.stdout == "hello\n"
            await eventually(fetch, f"{caller} reaches {host}", 20, 0.2)
    address = (await k8s.get("services", "site"))["spec"]["clusterIP"]
    with await asyncio.to_thread(urllib.request.urlopen, f"http://{address}/x", timeout=5) as answer:
        assert answer.read() == b"hello\n"


async def test_dns_answers_are_kept_for_thirty_seconds_as_clusters_do(env):
    k8s = await env.cluster()
    corefile = (await k8s.get("configmaps", "coredns", "kube-system"))["data"]["Corefile"]
    assert "ttl 30\n" in corefile and "cache 30\n" in corefile


async def test_a_stateful_set_keeps_what_a_user_without_rights_wrote(env):
    k8s = await env.cluster(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    container = {"name": "app", "image": k8s.client_image, "imagePullPolicy": "Never",
                 "command": ["sh", "-c", "id -u >>/data/users && exec sleep infinity"],
                 "securityContext": RESTRICTED,
                 "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    await k8s.apply({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "keeper"},
        "spec": {"selector": {"matchLabels": {"app": "keeper"}}, "serviceName": "keeper",
                 "template": {"metadata": {"labels": {"app": "keeper"}}, "spec": {
                     "securityContext": {"runAsUser": 65532, "fsGroup": 65532},
                     "terminationGracePeriodSeconds": 1, "containers": [container]}},
                 # The class of the claim is the cluster's default.
                 "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                     "accessModes": ["ReadWriteOnce"],
                     "resources": {"requests": {"storage": "1Gi"}}}}]}})
    await k8s.rolled_out("statefulsets", "keeper")
    before = (await k8s.get("pods", "keeper-0"))["metadata"]["uid"]
    await k8s.kubectl("delete", "pod", "keeper-0")
    await k8s.until("pods", "keeper-0", lambda p: p["metadata"]["uid"] != before, "made anew")
    await k8s.ready("keeper-0")
    assert await k8s.exec("keeper-0", "cat", "/data/users") == "65532\n65532\n"


async def test_volumes_come_back_when_their_claims_are_gone(env):
    k8s = await env.cluster()
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    used = pod("user", k8s.client_image, "sh", "-c", "test ! -e /data/x && touch /data/x",
               restartPolicy="Never",
               container={"volumeMounts": [{"name": "d", "mountPath": "/data"}]},
               volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}])
    seen = []
    for _ in range(2):
        await k8s.apply([claim, used])
        await k8s.succeeded("user")
        volume = (await k8s.get("persistentvolumeclaims", "c"))["spec"]["volumeName"]
        seen.append((await k8s.get("persistentvolumes", volume))["metadata"]["uid"])
        await k8s.delete("pods", "user")
        await k8s.delete("persistentvolumeclaims", "c")

        async def made_anew():
            found = await k8s.get("persistentvolumes", volume)
            return found is None or found["metadata"]["uid"] != seen[-1]
        await eventually(made_anew, "the volume is removed")
    assert seen[0] != seen[1]


async def review(k8s, token, audience="sqmqos"):
    tree = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]}}
    return (await k8s.create(tree))["status"]


async def test_a_projected_token_verifies_and_so_do_those_of_the_test(env):
    k8s = await env.cluster()
    projected = {"serviceAccountToken": {"audience": "sqmqos", "path": "token",
                                         "expirationSeconds": 3600}}
    await k8s.apply(pod("holder", k8s.client_image,
                        container={"volumeMounts": [{"name": "t", "mountPath": "/t"}]},
                        volumes=[{"name": "t", "projected": {"sources": [projected]}}]))
    await k8s.ready("holder")
    token = await k8s.exec("holder", "cat", "/t/token")
    status = await review(k8s, token)
    assert status["authenticated"] and status["audiences"] == ["sqmqos"]
    user = f"system:serviceaccount:{k8s.namespace}:default"
    assert status["user"]["username"] == user
    header, payload = tokens.parts_of(token)
    assert (header["alg"], header["kid"]) == ("RS256", tokens.key_id())
    assert payload["kubernetes.io"]["pod"]["name"] == "holder"

    uid = (await k8s.get("serviceaccounts", "default"))["metadata"]["uid"]
    good = tokens.claims(k8s.namespace, "default", uid, "sqmqos")
    assert (await review(k8s, tokens.mint(good)))["user"]["username"] == user
    old = tokens.claims(k8s.namespace, "default", uid, "sqmqos", lifetime_s=-600)
    bad = {"expired": tokens.mint(old),
           "a stranger's": tokens.mint(good, key=tokens.stranger(env.folder)),
           "HS256": tokens.mint(good, "HS256", tokens.PUBLIC_KEY),
           "unsigned": tokens.mint(good, "none")}
    for what, forged in bad.items():
        assert not (await review(k8s, forged)).get("authenticated"), what
    assert not (await review(k8s, token, "another")).get("authenticated")


async def test_the_api_server_gives_its_keys_to_who_verifies(env):
    k8s = await env.cluster()
    issuer = json.loads(await k8s.kubectl("get", "--raw", "/.well-known/openid-configuration"))
    keys = json.loads(await k8s.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]
    assert issuer["issuer"] == tokens.ISSUER
    assert [k["kid"] for k in keys] == [tokens.key_id()]
    assert len(base64.urlsafe_b64decode(keys[0]["n"] + "==")) == 256


async def test_an_edited_annotation_reaches_its_file_within_seconds(env):
    k8s = await env.cluster()
    item = {"path": "a", "fieldRef": {"fieldPath": "metadata.annotations['example.org/a']"}}
    tree = pod("live", k8s.client_image,
               container={"volumeMounts": [{"name": "p", "mountPath": "/p"}]},
               volumes=[{"name": "p", "downwardAPI": {"items": [item]}}])
    tree["metadata"]["annotations"] = {"example.org/a": "one"}
    await k8s.apply(tree)
    await k8s.ready("live")
    assert await k8s.exec("live", "cat", "/p/a") == "one"
    await k8s.kubectl("annotate", "--overwrite", "pod", "live", "example.org/a=two")

    async def arrived():
        return await k8s.exec("live", "cat", "/p/a") == "two"
    await eventually(arrived, "the edit is in the file", 20, 0.2)


async def test_a_job_with_a_native_sidecar_completes(env):
    k8s = await env.cluster()
    side = {"name": "side", "image": k8s.client_image, "imagePullPolicy": "Never",
            "restartPolicy": "Always", "command": ["sh", "-c", "trap exit TERM; sleep infinity & wait"]}
    template = {"spec": {"restartPolicy": "Never", "initContainers": [side], "containers": [
        {"name": "app", "image": k8s.client_image, "imagePullPolicy": "Never",
         "command": ["true"]}]}}
    await k8s.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
                     "spec": {"template": template}})
    await k8s.condition("jobs", "j", "Complete")


async def test_helm_installs_waits_and_leaves_nothing(env):
    k8s = await env.cluster()
    chart = env.folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: 1.0.0\n"
                                      "kubeVersion: '>=1.33'\n")
    (chart / "templates" / "pod.json").write_text(json.dumps(pod("from-helm", k8s.client_image)))
    rendered = await k8s.helm("template", "p", chart)  # needs no --kube-version
    assert "from-helm" in rendered
    await k8s.helm("install", "p", chart, "--wait")
    assert (await k8s.get("pods", "from-helm"))["status"]["phase"] == "Running"
    await k8s.helm("uninstall", "p", "--wait")
    assert await k8s.get("pods", "from-helm") is None

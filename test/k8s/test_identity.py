"""Who may do what, asked of the broker that all cases share: forged tokens, pods that reach for
another namespace, and another account's session.  Some speak the link themselves.  What changes
under a running broker, rules and client certificates, is of releases of their own."""

import asyncio
import base64
import json
import ssl

import release
from client_ca import ClientCa
from cluster import eventually
from harness import tokens
from link import LinkClient, attach, session_path
from scenario import scenario
from workloads import ON, apps

LABELLED = {"sqmqos.io/inject": "true"}
SPACE = "SQMQOS_IDENTITY_SPACE"
DURABLE = {"clean": False, "expiry": 600}
FOREIGN_SPACE = "the token is of another space (namespace) than identity.space"


async def link(k8s, token, name=release.NAME, namespace=release.NAMESPACE, pair=None):
    """A connection to the broker of a release by its Service's address; trusts its CA alone, and
    shows the certificate of 'pair'."""
    secret = await k8s.get("secrets", f"{name}-ca", namespace)
    tls = ssl.create_default_context(
        cadata=base64.b64decode(secret["data"]["ca.crt"]).decode())
    tls.set_alpn_protocols(["h2"])
    if pair:
        tls.load_cert_chain(*pair)
    service = await k8s.get("services", f"{name}-broker", namespace)
    host = f"{name}-broker.{namespace}.svc.cluster.local"

    async def reached():
        try:
            return await LinkClient(7443, token, "2", service["spec"]["clusterIP"], tls,
                                    host).open()
        except ConnectionRefusedError:  # the node's rules follow the Service a moment later
            return None
    return await eventually(reached, "the Service leads to the broker")


async def linked(k8s, token):
    made = await link(k8s, token)
    assert await made.open_link() == 200
    return made


async def refusals(k8s, reason):
    name = f'sqmqos_auth_refused_total{{reason="{reason}"}}'
    return (await release.metrics(k8s)).get(name, 0)


async def broker_log(k8s):
    return await k8s.logs(f"{release.NAME}-broker-0", namespace=release.NAMESPACE)


async def token_of(k8s, account="default", namespace=None):
    """One of the API server's own."""
    said = await k8s.kubectl("create", "token", account, "--audience", "sqmqos",
                             namespace=namespace)
    return said.strip()


async def test_forged_tokens_are_refused_counted_and_logged_without_them(env):
    k8s = await env.cluster()
    await release.installed(k8s)
    uid = (await k8s.get("serviceaccounts", "default"))["metadata"]["uid"]

    def claims(audience="sqmqos", **more):
        return tokens.claims(k8s.namespace, "default", uid, audience, **more)
    stranger = tokens.stranger(env.folder)
    forged = [
        ("audience", tokens.mint(claims("https://kubernetes.default.svc"))),
        ("expired", tokens.mint(claims(lifetime_s=-61))),
        ("signature", tokens.mint(claims(), key=stranger)),
        ("unknown-key", tokens.mint(claims(), key=stranger, kid="stranger")),
        ("algorithm", tokens.mint(claims(), "HS256", tokens.PUBLIC_KEY)),
        ("malformed", tokens.mint(claims(), "none")),  # there is no signature
    ]
    for good in (tokens.mint(claims()), tokens.mint(claims(lifetime_s=-5)),
                 await token_of(k8s)):
        client = await linked(k8s, good)
        await client.close()
    for reason, token in forged:
        before = await refusals(k8s, reason)
        client = await link(k8s, token)
        assert await client.open_link() == 401, reason
        answer = await client.request("PUT", session_path(f"{k8s.namespace}~w~c"), attach(client))
        assert answer.status == 401, (reason, answer)
        assert await refusals(k8s, reason) == before + 2, reason
        await client.close()
    log = await broker_log(k8s)
    for reason in ("audience", "expired"):  # signed by the cluster: it says whose they are
        assert any(f"refused with 401, {reason}" in line and k8s.namespace in line
                   for line in log.splitlines()), (reason, log)
    for _, token in forged:
        assert not any(part in log for part in token.split(".") if part)


async def test_sessions_are_their_accounts_own(env):
    """Spoken by hand, where no sidecar would, and by pods of two accounts."""
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    for account in ("till", "robot"):
        await k8s.kubectl("create", "serviceaccount", account)
    other = await k8s.make_namespace("other")
    key = f"{k8s.namespace}~w~c"

    owner = await linked(k8s, await token_of(k8s, "till"))
    robot = await linked(k8s, await token_of(k8s, "robot"))
    foreign = await linked(k8s, await token_of(k8s, namespace=other))
    answer = await owner.request("PUT", session_path(key), attach(owner, **DURABLE))
    assert answer.status == 200, answer
    for client, words in ((robot, b"another account"), (foreign, b"another namespace")):
        for more in (DURABLE, {"clean": True}):
            answer = await client.request("PUT", session_path(key), attach(client, **more))
            assert answer.status == 403 and words in answer.body, answer
    for client in (owner, robot, foreign):
        await client.close()

    def consumer(account):
        return made.pod(account, "consume", account, "--client-id", "c", "--expiry", 600,
                        "--subscribe", "t", annotations={"workload": "shared"},
                        serviceAccountName=account)
    await k8s.apply(consumer("till"))
    await recorder.connected("till")
    await k8s.apply(consumer("robot"))
    await recorder.until(lambda: recorder.of("refused", "robot"), "the other account is refused")
    assert not recorder.of("connected", "robot") and not recorder.of("disconnected", "till")


async def with_space(k8s, tree, namespace, space):
    """The pod as the webhook makes it there, but for the space that its sidecar says; it is to
    be created past the webhook."""
    text = await k8s.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                             namespace=namespace, stdin=json.dumps(tree))
    pod = json.loads(text)
    pod.pop("status")
    pod["metadata"]["labels"]["sqmqos.io/inject"] = "false"
    sidecar = next(c for c in pod["spec"]["initContainers"] if c["name"] == "sqmqos-sidecar")
    assert any(e["name"] == SPACE for e in sidecar["env"])
    sidecar["env"] = [e for e in sidecar["env"] if e["name"] != SPACE]
    sidecar["env"].append({"name": SPACE, "value": space})
    return pod


async def test_pods_of_one_namespace_see_nothing_of_another(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    foreign = await k8s.make_namespace("foreign")
    await made.config_map(foreign)
    await k8s.apply(made.pod("a", "consume", "a", "--subscribe", "#"))
    pods = [made.pod("b", "consume", "b", "--subscribe", "#", labels=ON)]
    # A client of that id may have a session, so its CONNECT waits for the broker's answer.
    liar = made.pod("liar", "consume", "liar", "--client-id", "liar", "--subscribe", "#",
                    labels=ON, annotations={"subscribe": "t"})
    pods.append(await with_space(k8s, liar, foreign, k8s.namespace))
    before = await refusals(k8s, "space")
    for pod in pods:
        await k8s.create(pod, foreign)
    await recorder.connected("a", "b")
    await recorder.until(lambda: recorder.of("refused", "liar"), "who says A's space is refused")

    await k8s.apply(made.pod("from-a", "publish", "from-a", "--topic", "t", "--count", 20,
                             restartPolicy="Never"))
    await recorder.all_got("from-a", 20, "a")
    await k8s.apply(made.pod("from-b", "publish", "from-b", "--topic", "t", "--count", 20,
                             labels=ON, restartPolicy="Never"), foreign)
    await recorder.all_got("from-b", 20, "b")
    assert set(recorder.got("a")) == {f"from-a:{n}" for n in range(1, 21)}
    assert set(recorder.got("b")) == {f"from-b:{n}" for n in range(1, 21)}

    assert not recorder.of("connected", "liar") and not recorder.of("got", "liar")
    assert await refusals(k8s, "space") > before
    pod = await k8s.get("pods", "liar", foreign)

    async def told():
        return FOREIGN_SPACE in await release.fetch(k8s, pod, 7481, "/readyz", 503)
    await eventually(told, "its sidecar says why")
    log = await broker_log(k8s)
    line = f"it may name {foreign}, pod liar"
    assert f"asks for {k8s.namespace}~" in log and line in log, log[-2000:]


# ---- what changes under a running broker

@scenario(timeout_s=300)
async def test_rules_reach_the_running_broker(env):
    """By `helm upgrade`, also for what is subscribed already."""
    name = release.unique("rules")
    k8s = await env.cluster(labels=LABELLED | {release.APART: name})
    system = await k8s.make_namespace("rules-system")
    made = await apps(k8s)
    recorder = made.recorder
    await k8s.load_programs()

    async def ruled(*topics):
        rules = [{"deny": ["subscribe"], "identity": f"kube:{k8s.namespace}/*", "topics": [t]}
                 for t in topics]
        await release.install(k8s, name, system, release.apart(k8s, name, broker={"acl": rules}))

    async def said(who, topic):
        await k8s.apply(made.pod(who, "publish", who, "--topic", topic, "--count", 1,
                                 restartPolicy="Never"))
        await recorder.all_acked(who, 1)
    await ruled("closed")
    before = await release.running(k8s, name, system)
    await k8s.apply(made.pod("reader", "consume", "reader", "--subscribe", "open", "secret", "closed"))
    await recorder.until(lambda: len(recorder.of("subscribed", "reader")) == 3, "the reader subscribes")
    answers = [e["reasons"] for e in recorder.of("subscribed", "reader")]
    assert answers.count(["Not authorized"]) == 1, answers
    await said("early", "secret")
    await recorder.all_got("early", 1, "reader")

    await ruled("closed", "secret")

    async def ended():
        return (await release.metrics(k8s, system, name))["sqmqos_acl_ended_total"] == 1
    await eventually(ended, "the subscription to secret ends", 60)
    await said("late", "secret")
    await said("after", "open")
    await recorder.all_got("after", 1, "reader")
    assert not recorder.got("reader")["late:1"]
    assert await release.running(k8s, name, system) == before, "no broker is started anew"


@scenario(timeout_s=300)
async def test_client_certificates_are_taken_and_taken_back(env):
    """Authorities of a ConfigMap, what is revoked of a Secret: both reach the running broker."""
    name = release.unique("certs")
    k8s = await env.cluster()
    system = await k8s.make_namespace("certs-system")
    ca, other = [await asyncio.to_thread(ClientCa, env.folder / n) for n in ("ca", "other")]

    async def put(kind, **files):
        await k8s.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "clients"}} | files,
                        system)

    async def trust(authority):
        await put("ConfigMap", data={"ca.crt": authority.pem.read_text()})

    async def revoke(*certificates):
        file = await asyncio.to_thread(ca.revoke, *certificates)
        await put("Secret", stringData={"ca.crl": file.read_text()})
    await trust(ca)
    await revoke()
    await k8s.load_programs()
    await release.install(k8s, name, system, release.apart(k8s, name, auth={"clientCertificates": {
        "caConfigMap": "clients", "crlSecret": "clients",
        "names": [{"name": "*.example", "spaces": ["shop"]}]}}))
    before = await release.running(k8s, name, system)
    pairs = {n: await asyncio.to_thread(ca.issue, n, f"DNS:{n}.example") for n in ("web", "till")}

    async def shown(who):
        return await link(k8s, None, name, system, pairs[who])

    async def gone(client):
        while (await client.delivery(timeout_s=60))[0] is not None:
            pass
        await client.close()
    links = {who: await shown(who) for who in pairs}
    for client in links.values():
        assert await client.open_link() == 200
    answer = await links["web"].request("PUT", session_path("shop~w~c"), attach(links["web"]))
    assert answer.status == 200, answer

    await revoke(pairs["web"][0])
    await gone(links["web"])
    client = await shown("web")
    assert await client.open_link() == 401
    await client.close()
    client = await shown("till")
    assert await client.open_link() == 200, "the other is as good as before"
    await client.close()

    await trust(other)
    await gone(links["till"])
    assert await release.running(k8s, name, system) == before, "no broker is started anew"

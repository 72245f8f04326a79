"""The Helm chart as text: what it renders, what it refuses, and that its values, their schema
and their page say the same.  test/k8s/ installs it."""

import asyncio
import copy
import json
import re
import shutil
import subprocess

import yaml

import chart
import stack as parts
from client_ca import ClientCa
from scenario import scenario

import chart_values

DIGEST = "sha256:" + "5" * 64
# Values that only show where these are on.
ALL_ON = {"networkPolicy": {"egress": {"enabled": True}}, "podMonitor": {"enabled": True},
          "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True},
          "keda": {"enabled": True},
          "httpApi": {"enabled": True, "ingress": {"enabled": True, "host": "mq.example"}}}


def tree(path, value):
    """{"a": {"b": value}} of "a.b"."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def merged(*trees):
    out = {}
    for t in trees:
        for key, value in t.items():
            both = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out


def leaves(values, path=""):
    """(path, value) of each value that has none below it."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


async def all_of(function, items):
    """function(item) of each item, two at a time."""
    gate = asyncio.Semaphore(2)

    async def one(item):
        async with gate:
            return await function(item)
    return await asyncio.gather(*map(one, items))


# ---- lint, and the same text each time

async def test_lint_has_nothing_to_say(_env):
    code, out, err = await chart.run_helm("lint", "--strict", chart.CHART, "--kube-version", "1.34.0")
    assert code == 0 and "1 chart(s) linted, 0 chart(s) failed" in out, out + err
    assert not re.search(r"\[(INFO|WARNING|ERROR)\]", out + err), out + err


async def test_two_renderings_are_the_same_text(_env):
    given = merged(ALL_ON, {"commonLabels": {"b": "1", "a": "2", "c": "3"}})
    first = await chart.text(given)
    assert first == await chart.text(given)
    # The version of the cluster is none of its business either.
    assert first == await chart.text(given, version="1.29.0")


async def test_no_template_asks_the_cluster_or_chance(_env):
    drift = re.compile(r"\b(lookup|Capabilities|IsInstall|IsUpgrade|Revision|now|date\w*|"
                       r"rand\w+|uuidv4|gen[A-Z]\w+|htpasswd|bcrypt|getHostByName)\b")
    for path in (chart.CHART / "templates").rglob("*"):
        if path.is_file():
            for code in re.findall(r"\{\{-?\s*(?!/\*)(.*?)\}\}", path.read_text(), re.S):
                assert not drift.search(code), f"{path.name}: {code}"


async def test_nothing_rendered_is_written_by_anybody_else(_env):
    objects = await chart.render(ALL_ON)
    secrets = [o for o in objects if o["kind"] == "Secret"]
    assert {s["metadata"]["name"] for s in secrets} == {"sqmqos-ca", "sqmqos-broker-tls"}
    for s in secrets:
        assert not {"data", "stringData", "immutable"} & set(s) and s["type"] == "Opaque"
    assert "caBundle" not in await chart.text(ALL_ON)
    assert not any("status" in o for o in objects)


async def test_clusters_before_1_29_are_refused(_env):
    code, _, err = await chart.template(version="1.28.9")
    assert code != 0 and ">=1.29.0-0" in err, err
    # Managed clusters have suffixes.
    assert (await chart.template(version="1.29.1-gke.100"))[0] == 0


async def test_the_chart_is_of_the_project_s_version(_env):
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    project = re.search(r"project\(sqmqos VERSION ([\d.]+)",
                        (parts.ROOT / "CMakeLists.txt").read_text())[1]
    assert about["version"] == about["appVersion"] == project


# ---- values, schema and page

SAMPLES = {
    "nameOverride": "other", "fullnameOverride": "other", "imageRegistry": "r.example",
    "clusterDomain": "other.local", "audience": "other", "owner": "namespace",
    "engine": "memory", "registry": "r.example", "repository": "other/x", "tag": "9",
    "digest": DIGEST, "pullPolicy": "Always", "logLevel": "debug", "logFormat": "json",
    "size": "20Gi", "storageClass": "fast", "existingClaim": "mine", "journalSize": "64Mi",
    "maxSize": "1Gi", "cpu": "77m", "memory": "77Mi", "ipFamilyPolicy": "PreferDualStack",
    "fsGroupChangePolicy": "Always", "type": "Localhost", "priorityClassName": "high",
    "interval": "15s", "runbookUrl": "https://docs.example/runbook", "grafana_dashboard": "2",
    "imagePullSecrets": [{"name": "pull"}],
    "config": {"queue": {"max-bytes": "1Gi"}}, "drop": ["NET_RAW"], "apiPorts": [6444],
    "tolerations": [{"operator": "Exists"}],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
                                   "whenUnsatisfiable": "ScheduleAnyway"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}},
    "namespaceSelector": {"matchLabels": {"team": "a"}},
    "broker.replicas": 0, "workers": 2, "mode": "provided", "caLifetime": "48h", "leafLifetime": "48h",
    "overlap": "1h", "caSecret": "other", "caConfigMap": "other", "brokerSecret": "other",
    "servingSecret": "other", "tokensSecret": "other", "tokenSecret": "other", "crlSecret": "other", "crlConfigMap": "other",
    "names": [{"name": "web.example", "spaces": ["shop"]}], "spaces": {"x": {"tenants": ["a", "b"]}},
    "acl": [{"deny": ["publish"], "topics": ["a/#"]}], "aclDefault": "deny",
    "endpoint": "http://collector:4318", "sample": "0.5", "traceparent": "all",
    "issuers": [{"issuer": "https://other.example", "keysUrl": "https://other.example/jwks"}],
    "httpApi.names": ["mq.example"], "httpApi.service.type": "LoadBalancer", "sourceRanges": ["10.0.0.0/8"],
    "subscribers": {"shop": {"billing": {"bindings": [{"filter": "orders/#"}]}}},
    "declared": {"jobs": {"space": "shop", "kind": "sqs", "in": [{"queue": "q", "to": "t"}]}},
    "bridges.secrets": {"rabbit": "other"}, "environment": {"AWS_REGION": "eu-central-1"}, "environmentSecret": "other",
    "allow": [{"host": "hooks.example"}], "secrets": {"shop": {"token": {"secret": "other", "key": "t"}}},
    "className": "nginx", "host": "other.example", "tlsSecret": "other",
    "brokers": 0, "kind": "postgres", "hosts": ["other:5433"], "database": "other", "user": "other", "schema": "other",
    "existingSecret": "other", "passwordKey": "other", "clientSecret": "other", "copies": "managed",
}
SHARED = {"log": {"kind": "postgres", "postgres": {"hosts": ["db-rw.data:5432"], "existingSecret": "sqmqos-log"}}}
PROVIDED = {"certificates": {"mode": "provided", "caSecret": "my-ca", "brokerSecret": "my-broker",
                             "servingSecret": "my-webhook"}}
# What must come with a value, in both renderings that are compared.
TOGETHER = {"injector.hostNetwork": {"injector": {"webhookPort": 10260}},
            "httpApi.enabled": {"httpApi": {"ingress": {"enabled": False}}},
            "certificates.caConfigMap": merged(PROVIDED, {"certificates": {"caSecret": ""}})}
TOGETHER |= {f"auth.clientCertificates.{key}": {"auth": {"clientCertificates": {"caSecret": "ca"}}}
             for key in ("crlSecret", "crlConfigMap", "names")}
TOGETHER |= {path: SHARED for path, _ in leaves({"log": chart.values()["log"]}) if path != "log.kind"}
TOGETHER |= {"log.kind": {"log": {"postgres": SHARED["log"]["postgres"]}}, "broker.store.persistent": SHARED,
             "networkPolicy.egress.logTo": SHARED}
TOGETHER |= {f"certificates.{key}": PROVIDED
             for key in ("caSecret", "brokerSecret", "servingSecret", "caBundle")}
SAMPLES |= {key: {"own": "value"} for key in (
    "commonLabels", "commonAnnotations", "labels", "annotations", "podLabels", "podAnnotations",
    "nodeSelector")}
SAMPLES |= {key: [{"ipBlock": {"cidr": "10.9.0.0/16"}}] for key in (
    "linkFrom", "httpApiFrom", "adminFrom", "dnsTo", "apiTo", "brokerTo", "logTo", "pushTo", "bridgesTo")}


def another(path, value):
    """A good value other than the default."""
    for key in (path, path.rsplit(".", 1)[-1]):
        if key in SAMPLES:
            return SAMPLES[key]
    if isinstance(value, bool):
        return not value
    assert isinstance(value, int), f"no sample for {path}"
    return value + 1


@scenario(timeout_s=300)
async def test_every_value_reaches_the_rendering(_env):
    plain = await chart.text(ALL_ON)

    async def unseen(leaf):
        path, value = leaf
        # The change of mode is one with its Secrets; a ConfigMap takes a Secret's place.
        more = merged(ALL_ON, TOGETHER.get(path, {}))
        given = merged(more, tree(path, another(path, value)))
        if path == "certificates.caConfigMap":
            more = merged(ALL_ON, PROVIDED)
        if path == "certificates.mode":
            given = merged(ALL_ON, PROVIDED)
        before = await chart.text(more) if path in TOGETHER else plain
        return path if await chart.text(given) == before else None

    found = list(leaves(merged(chart.values(), ALL_ON)))
    assert len(found) > 120
    missing = [p for p in await all_of(unseen, found) if p]
    assert not missing, missing


async def test_the_page_and_the_schema_are_as_they_would_be_written(_env):
    assert chart_values.PAGE.read_text() == chart_values.page_text()
    assert chart_values.SCHEMA.read_text() == chart_values.schema_text()


async def test_every_value_has_its_comment(_env):
    rows = [".".join(path) for path, _ in chart_values.commented()]
    assert len(rows) == len(set(rows))
    for path, _ in leaves(chart.values()):
        assert any(path == row or path.startswith(row + ".") for row in rows), path


async def test_the_values_that_the_page_advises_are_taken(_env):
    pages = "".join((parts.ROOT / "docs" / page).read_text() for page in ("kubernetes.md", "bridges.md"))
    blocks = re.findall(r"^```yaml\n(.*?)^```$", pages, re.M | re.S)
    advised = [b for b in map(yaml.safe_load, blocks)
               if set(b) <= set(chart.values()) and (list(b) != ["bridges"] or "declared" in b["bridges"])]
    assert len(advised) >= 5
    plain = await chart.text()
    for values in advised:
        assert await chart.text(values) != plain, values


async def test_no_part_of_the_schema_takes_unknown_keys(_env):
    def walk(node, where):
        if isinstance(node, list):
            for i, below in enumerate(node):
                walk(below, f"{where}/{i}")
        elif isinstance(node, dict):
            if node.get("type") == "object" and where != "/properties/global":
                extra = node.get("additionalProperties")
                assert extra is False or (isinstance(extra, dict) and "properties" not in node), where
            for key, below in node.items():
                walk(below, f"{where}/{key}")
    walk(chart.schema(), "")


async def test_the_schema_and_the_values_have_the_same_keys(_env):
    def walk(at, values, path):
        if "properties" not in at or path.endswith("ontext"):
            return  # what Kubernetes itself defines
        assert set(at["properties"]) - {"global"} == set(values), path
        for key, value in values.items():
            if isinstance(value, dict) and value:
                walk(chart_values.schema_at(chart.schema(), [*path.split(".")[1:], key]), value,
                     f"{path}.{key}")
    values = chart.values()
    # Maps of Kubernetes' own types: which of their keys the defaults have is no matter.
    for component in ("broker", "injector", "sidecar", "test"):
        del values[component]["resources"]
    top = chart.schema()
    for component in ("broker", "injector", "sidecar", "test"):
        del top["properties"][component]["properties"]["resources"]
    assert set(top["properties"]) - {"global"} == set(values)
    for key, value in values.items():
        if isinstance(value, dict) and value:
            at = top["properties"][key]
            assert set(at["properties"]) == set(value), key
            for below, inner in value.items():
                if isinstance(inner, dict) and inner:
                    walk(chart_values.schema_at(top, [key, below]), inner, f".{key}.{below}")


REFUSED = [
    ("broker", {"brokers": 1}, "additional properties 'brokers' not allowed"),
    ("brokers", 17, "maximum: got 17, want 16"),
    ("brokers", "2", "got string, want null or integer"),
    ("log.kind", "mysql", "at '/log/kind'"),
    ("log.postgres.schema", "a-b", "at '/log/postgres/schema'"),
    ("log.postgres.password", "x", "additional properties 'password' not allowed"),
    ("broker.config", {"log": {"kind": "postgres"}}, "additional properties 'kind' not allowed"),
    ("broker.replica", 1, "additional properties 'replica' not allowed"),
    ("broker.store.sise", "1Gi", "additional properties 'sise' not allowed"),
    ("broker.replicas", 2, "at '/broker/replicas': maximum: got 2, want 1"),
    ("broker.replicas", "1", "at '/broker/replicas': got string, want integer"),
    ("broker.replicas", -1, "minimum: got -1, want 0"),
    ("broker.port", 70000, "maximum: got 70,000, want 65,535"),
    ("broker.port", None, "missing property 'port'"),
    ("broker.engine", "postgres", "at '/broker/engine'"),
    ("broker.workers", 0, "minimum: got 0, want 1"),
    ("broker.workers", "many", "at '/broker/workers'"),
    ("broker.store.size", "10G", "at '/broker/store/size'"),
    ("broker.store.size", 10, "got number, want string"),
    ("broker.config", {"queue": {"max-bites": 1}}, "additional properties 'max-bites' not allowed"),
    ("broker.config", {"queue": {"max-bytes": "1GB"}}, "at '/broker/config/queue/max-bytes'"),
    ("broker.config", {"session": {"grace": 30}}, "got number, want string"),
    ("broker.config", {"listen": {"address": "x"}}, "additional properties 'listen' not allowed"),
    ("broker.config", "queue:", "got string, want object"),
    ("broker.image.digest", "sha256:12", "at '/broker/image/digest'"),
    ("broker.image.tag", "a b", "at '/broker/image/tag'"),
    ("broker.image.pullPolicy", "Sometimes", "at '/broker/image/pullPolicy'"),
    ("broker.logLevel", "loud", "at '/broker/logLevel'"),
    ("broker.resources", {"limits": {"memory": "1GiB"}}, "at '/broker/resources/limits/memory'"),
    ("broker.resources", {"limit": {}}, "additional properties 'limit' not allowed"),
    ("broker.nodeSelector", {"a": 1}, "got number, want string"),
    ("broker.nodeSelector", ["a"], "got array, want object"),
    ("broker.tolerations", {"key": "a"}, "got object, want array"),
    ("broker.tolerations", [{"keys": "a"}], "additional properties 'keys' not allowed"),
    ("broker.affinity", {"nodeAfinity": {}}, "additional properties 'nodeAfinity' not allowed"),
    ("broker.securityContext", {"readonlyRootFilesystem": True}, "additional properties"),
    ("broker.podSecurityContext", {"runAsUser": "me"}, "got string, want null or integer"),
    ("injector.hostNetwork", "yes", "got string, want boolean"),
    ("injector.webhook.timeoutSeconds", 31, "maximum: got 31, want 30"),
    ("injector.webhook.failurePolicy", "Ignore", "additional properties 'failurePolicy'"),
    ("sidecar.runAsUser", 0, "minimum: got 0, want 1"),
    ("sidecar.security.seccomp", "no", "got string, want boolean"),
    ("sidecar.resources", {"limits": {"gpu": 1}}, "additional properties 'gpu' not allowed"),
    ("auth.owner", "pod", "at '/auth/owner'"),
    ("auth.tokenExpirySeconds", 60, "minimum: got 60, want 600"),
    ("auth.issuers", [{"issuer": "x"}], "at '/auth/issuers/0': 'oneOf' failed"),
    ("auth.issuers", [{"issuer": "x", "keys": "{}", "keysUrl": "https://x"}], "'oneOf' failed"),
    ("auth.issuers", [{"issuer": "x", "keysUrl": "http://x"}], "at '/auth/issuers/0/keysUrl'"),
    ("auth.clientCertificates", {"caSecret": "a", "caConfigMap": "b"}, "'anyOf' failed"),
    ("auth.clientCertificates", {"caSecret": "a", "crlSecret": "b", "crlConfigMap": "c"}, "'anyOf' failed"),
    ("auth.clientCertificates", {"crlSecret": "a"}, "at '/auth/clientCertificates/crlSecret': maxLength"),
    ("auth.clientCertificates", {"names": [{"name": "a", "spaces": ["b"]}]},
     "at '/auth/clientCertificates/names': maxItems"),
    ("auth.clientCertificates", {"caSecret": "a", "names": [{"name": "a"}]}, "missing property 'spaces'"),
    ("broker.spaces", {"x": ["a"]}, "got array, want object"),
    ("broker.spaces", {"x": {"limits": {"session": 1}}}, "additional properties 'session' not allowed"),
    ("broker.spaces", {"x": {"reads": [{"space": "y"}]}}, "missing property 'filter'"),
    ("broker.acl", [{"allow": ["read"]}], "at '/broker/acl/0/allow/0'"),
    ("broker.acl", [{"topics": ["a"]}], "at '/broker/acl/0': 'oneOf' failed"),
    ("broker.acl", [{"deny": ["publish"], "user": "a"}], "additional properties 'user' not allowed"),
    ("certificates.mode", "provided", "at '/certificates/brokerSecret': minLength"),
    ("certificates.brokerSecret", "mine", "at '/certificates/brokerSecret': maxLength"),
    ("certificates.overlap", "1d", "at '/certificates/overlap'"),
    ("bridges.declared", {"b": {"space": "shop", "kind": "kafka"}}, "at '/bridges/declared/b/kind'"),
    ("bridges.declared", {"b": {"kind": "amqp"}}, "at '/bridges/declared/b': missing property 'space'"),
    ("bridges.declared", {"b": {"space": "s", "kind": "amqp", "otu": []}}, "additional properties 'otu' not allowed"),
    ("bridges.declared", {"b": {"space": "s", "kind": "amqp", "in": [{"queue": "q"}]}}, "missing property 'to'"),
    ("bridges.declared", {"b": {"space": "s", "kind": "amqp", "heartbeat": "soon"}}, "at '/bridges/declared/b/heartbeat'"),
    ("bridges.declared", {"a.b": {"space": "s", "kind": "amqp"}}, "invalid propertyName 'a.b'"),
    ("bridges.secrets", {"A": "s"}, "invalid propertyName 'A'"),
    ("subscribers", {"shop": ["a"]}, "got array, want object"),
    ("subscribers", {"shop": {"a/b": {}}}, "invalid propertyName 'a/b'"),
    ("subscribers", {"shop": {"a": {"max-atempts": 1}}}, "additional properties 'max-atempts' not allowed"),
    ("subscribers", {"shop": {"a": {"bindings": [{"qos": 1}]}}}, "at '/subscribers/shop/a/bindings/0': 'anyOf' failed"),
    ("subscribers", {"shop": {"a": {"bindings": [{"filter": "a", "qos": 0}]}}}, "at '/subscribers/shop/a/bindings/0/qos'"),
    ("subscribers", {"shop": {"a": {"lease": "soon"}}}, "at '/subscribers/shop/a/lease'"),
    ("subscribers", {"shop": {"a": {"max-attempts": 0}}}, "at '/subscribers/shop/a/max-attempts'"),
    ("subscribers", {"shop": {"a": {"push": {"timeout": "1s"}}}}, "at '/subscribers/shop/a/push': missing property 'url'"),
    ("subscribers", {"shop": {"a": {"push": {"url": "ftp://x/"}}}}, "at '/subscribers/shop/a/push/url'"),
    ("subscribers", {"shop": {"a": {"push": {"url": "https://u@x/"}}}}, "at '/subscribers/shop/a/push/url'"),
    ("subscribers", {"shop": {"a": {"push": {"url": "https://x", "auth": {"bearer": "a/b"}}}}},
     "at '/subscribers/shop/a/push/auth/bearer'"),
    ("subscribers", {"shop": {"a": {"push": {"url": "https://x", "retry": {"first": "soon"}}}}},
     "at '/subscribers/shop/a/push/retry/first'"),
    ("subscribers", {"shop": {"a": {"push": {"url": "https://x", "on": {"pause": ["6xx"]}}}}},
     "at '/subscribers/shop/a/push/on/pause/0'"),
    ("push.allow", [{"spaces": ["a"]}], "at '/push/allow/0': 'anyOf' failed"),
    ("push.allow", [{"host": "https://x"}], "at '/push/allow/0/host'"),
    ("push.allow", [{"cidr": "all"}], "at '/push/allow/0/cidr'"),
    ("push.secrets", {"shop": {"../x": {"secret": "s", "key": "k"}}}, "invalid propertyName '../x'"),
    ("push.secrets", {"..": {"x": {"secret": "s", "key": "k"}}}, "invalid propertyName '..'"),
    ("push.secrets", {"shop": {"x": {"secret": "s"}}}, "missing property 'key'"),
    ("broker.config", {"push": {"allow": []}}, "additional properties 'allow' not allowed"),
    ("httpApi.port", 0, "minimum: got 0, want 1"),
    ("httpApi.service.type", "ExternalName", "at '/httpApi/service/type'"),
    ("httpApi.service.sourceRanges", ["10.0.0.1"], "at '/httpApi/service/sourceRanges/0'"),
    ("httpApi.names", ["Mq.example"], "at '/httpApi/names/0'"),
    ("httpApi.names", ["10.0.0.1"], "at '/httpApi/names/0': 'not' failed"),
    ("httpApi.names", ["a"] * 13, "maxItems: got 13, want 12"),
    ("httpApi.ingress.enabled", True, "at '/httpApi/ingress/host': minLength"),
    ("httpApi.ingress", {"enabled": False, "class": "nginx"}, "additional properties 'class' not allowed"),
    ("imagePullSecrets", ["pull"], "got string, want object"),
    ("commonLabels", {"a": "b c"}, "at '/commonLabels/a'"),
    ("commonLabels", {"a/b/c": "d"}, "invalid propertyName 'a/b/c'"),
    ("networkPolicy.linkFrom", [{}], "minProperties: got 0, want 1"),
    ("networkPolicy.egress.apiPorts", [], "minItems: got 0, want 1"),
    ("prometheusRule.runbookUrl", "a#b", "at '/prometheusRule/runbookUrl'"),
    ("tracing.endpoint", "collector:4318", "at '/tracing/endpoint'"),
    ("tracing.sample", 0.01, "got number, want string"),
    ("tracing.sample", "1.5", "at '/tracing/sample'"),
    ("tracing.traceparent", "none", "at '/tracing/traceparent'"),
    ("podMonitor.interval", "often", "at '/podMonitor/interval'"),
]


@scenario(timeout_s=200)
async def test_values_that_are_wrong_are_refused_with_the_reason(_env):
    async def try_one(case):
        path, value, reason = case
        code, _, err = await chart.template(tree(path, value))
        assert code != 0, f"{path}={value!r} is taken"
        assert "values don't meet the specifications" in err and reason in err, f"{path}: {err}"
    await all_of(try_one, REFUSED)


async def test_a_volume_too_small_for_the_journal_is_refused(_env):
    code, _, err = await chart.template(tree("broker.store.size", "256Mi"))
    assert code != 0 and "leaves no room beside broker.store.journalSize 256Mi" in err, err


async def test_a_namespace_in_two_spaces_is_refused(_env):
    spaces = {"trade": {"tenants": ["shop", "billing"]}, "work": {"tenants": ["depot", "shop"]}}
    code, _, err = await chart.template(tree("broker.spaces", spaces))
    assert code != 0 and "broker.spaces.work.tenants: shop is in broker.spaces.trade already" in err, err


async def test_brokers_without_a_log_that_they_share_are_refused(_env):
    for given, reason in (
            ({"brokers": 2}, "brokers 2: more than one need log.kind postgres"),
            ({"log": {"kind": "postgres"}}, "log.postgres.hosts: log.kind postgres needs the database's servers"),
            (merged(SHARED, {"broker": {"engine": "memory"}}), "log.kind postgres: broker.engine memory keeps nothing"),
            (merged(SHARED, {"brokers": 2, "broker": {"store": {"existingClaim": "mine"}}}), "several brokers can't share one claim"),
            ({"broker": {"store": {"persistent": False}}}, "broker.store.persistent: false needs log.kind postgres")):
        code, _, err = await chart.template(given)
        assert code != 0 and reason in err, err


async def test_an_api_that_could_not_be_reached_is_refused(_env):
    for given, reason in (
            ({"ingress": {"enabled": True, "host": "mq.example"}}, "httpApi.ingress.enabled needs httpApi.enabled"),
            ({"enabled": True, "port": 7443}, "httpApi.port 7443 is broker.port or broker.adminPort"),
            ({"enabled": True, "port": 9090}, "httpApi.port 9090 is broker.port or broker.adminPort")):
        code, _, err = await chart.template({"httpApi": given})
        assert code != 0 and reason in err, err
    code, _, err = await chart.template({"httpApi": {"enabled": True},
                                         "broker": {"config": {"http": {"enabled": False}}}})
    assert code != 0 and "httpApi.enabled: broker.config.http.enabled is false" in err, err


async def test_other_rules_start_no_broker_anew(_env):
    def checksum(objects):
        pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]
        return pod["metadata"]["annotations"]["checksum/config"]
    without = await chart.render({})
    ruled = await chart.render({"broker": {"acl": [{"deny": ["publish"]}], "aclDefault": "deny"}})
    assert checksum(ruled) == checksum(without)
    assert checksum(ruled) != checksum(await chart.render({"broker": {"config": {"sys": {"interval": "1s"}}}}))
    file = chart.only(ruled, "ConfigMap", "sqmqos-broker")["data"]["broker.yaml"]
    assert "acl-default: deny" in file and "- deny:" in file, file


async def test_kubelet_s_port_is_refused_on_the_node_s_network(_env):
    code, _, err = await chart.template(tree("injector.hostNetwork", True))
    assert code != 0 and "injector.webhookPort 10250 is kubelet's" in err, err


async def test_a_parent_chart_may_hand_down_its_globals(_env):
    assert (await chart.template({"global": {"anything": {"at": "all"}}}))[0] == 0


# ---- names and labels

async def test_names_are_short_enough_whatever_the_release_is_called(_env):
    for given in ({}, {"nameOverride": "n" * 60}, {"fullnameOverride": "f" * 60}):
        release = "r" * 53  # the longest that helm takes
        objects = await chart.render(merged(ALL_ON, given), release=release)
        for o in objects:
            assert len(o["metadata"]["name"]) <= 63, o["metadata"]["name"]
            for value in o["metadata"]["labels"].values():
                assert len(value) <= 63, value
            if o["kind"] == "StatefulSet":  # its pods' label of the revision: a hash more
                assert len(o["metadata"]["name"]) + 11 <= 63


async def test_names_follow_the_release_and_the_overrides(_env):
    async def of_broker(given, release):
        return next(o["metadata"]["name"] for o in await chart.render(given, release=release)
                    if o["kind"] == "StatefulSet")
    assert await of_broker({}, "sqmqos") == "sqmqos-broker"
    assert await of_broker({}, "my-sqmqos") == "my-sqmqos-broker"
    assert await of_broker({}, "shop") == "shop-sqmqos-broker"
    assert await of_broker({"nameOverride": "mq"}, "shop") == "shop-mq-broker"
    assert await of_broker({"fullnameOverride": "mq"}, "shop") == "mq-broker"


NAMED = ("name", "namespace", "secretName", "priorityClassName", "app.kubernetes.io/instance")


def unlike_text(tree, path=""):
    """Paths of names that YAML reads as something else than text."""
    found = []
    for key, v in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(v, (dict, list)):
            found += unlike_text(v, f"{path}/{key}")
        elif key in NAMED and not isinstance(v, str):
            found.append(f"{path}/{key}")
    return found


async def test_names_that_look_like_numbers_stay_text(_env):
    given = {"certificates": {"mode": "provided", "servingSecret": "1", "caSecret": "2",
                              "brokerSecret": "3"},
             "broker": {"priorityClassName": "4"}}
    for values in ({}, given):
        objects = await chart.render(values, release="123", namespace="456")
        assert not unlike_text(objects)
        for role in (o for o in objects if o["kind"] in ("Role", "ClusterRole")):
            names = [n for rule in role["rules"] for n in rule.get("resourceNames", [])]
            assert names and all(isinstance(n, str) for n in names)


async def test_two_releases_have_no_object_of_the_cluster_in_common(_env):
    """Of the same name they have: helm refuses the second, for it owns none of them."""
    async def wide(release):
        return {(o["kind"], o["metadata"]["name"]) for o in await chart.render(release=release)
                if o["kind"].startswith(("Cluster", "Mutating", "Validating", "Namespace"))}
    a, b = await wide("sqmqos"), await wide("other")
    assert len(a) == len(b) == 5 and not a & b


async def test_labels_and_annotations_are_on_everything(_env):
    common = {"commonLabels": {"team": "mq"}, "commonAnnotations": {"note": "n"}}
    for o in await chart.render(merged(ALL_ON, common)):
        pod = pod_meta = chart.pod_of(o)
        for meta in (o["metadata"], pod and pod_meta["metadata"]):
            if not meta:
                continue
            labels = meta["labels"]
            assert labels["team"] == "mq" and meta["annotations"]["note"] == "n", o
            assert labels["app.kubernetes.io/name"] == "sqmqos"
            assert labels["app.kubernetes.io/instance"] == "sqmqos"
            assert labels["app.kubernetes.io/version"] == "0.1.0"
            assert labels["app.kubernetes.io/managed-by"] == "Helm"
            assert labels["helm.sh/chart"] == "sqmqos-0.1.0"
            assert "app.kubernetes.io/component" in labels


async def test_what_an_upgrade_can_t_change_depends_on_no_value_that_it_may(_env):
    """Selectors and volume claim templates are immutable."""
    def fixed(objects):
        return [(o["metadata"]["name"], o["spec"]["selector"], o["spec"].get("volumeClaimTemplates"))
                for o in objects if o["kind"] in ("StatefulSet", "Deployment") and not chart.is_hook(o)]
    given = {"commonLabels": {"team": "mq"}, "commonAnnotations": {"a": "b"},
             "broker": {"podLabels": {"x": "y"}, "image": {"tag": "9"}},
             "injector": {"podLabels": {"x": "y"}}}
    before, after = fixed(await chart.render()), fixed(await chart.render(given))
    assert len(before) == 2 and before == after
    assert "0.1.0" not in str(before)


async def test_a_label_of_one_s_own_never_breaks_a_selector(_env):
    mine = {"app.kubernetes.io/component": "mine", "app.kubernetes.io/name": "mine"}
    objects = await chart.render({"commonLabels": mine, "broker": {"podLabels": mine},
                                  "injector": {"podLabels": mine}})
    for o in objects:
        if o["kind"] in ("StatefulSet", "Deployment"):
            labels = o["spec"]["template"]["metadata"]["labels"]
            assert chart.selects(o["spec"]["selector"], labels), o["metadata"]["name"]


# ---- pods

async def test_all_pods_are_within_restricted_pod_security(_env):
    pods = [chart.pod_of(o) for o in await chart.render(ALL_ON)]
    pods = [p for p in pods if p]
    assert len(pods) == 4
    for pod in pods:
        assert chart.restricted(pod) == []
        for c in pod["spec"]["containers"]:
            assert c["securityContext"]["readOnlyRootFilesystem"] is True
            assert c["resources"]["requests"] and c["resources"]["limits"]["memory"]
        assert pod["spec"]["securityContext"]["runAsUser"] == 65532


async def test_users_may_be_left_to_the_platform(_env):
    left = {"runAsUser": None, "runAsGroup": None}
    given = {"broker": {"podSecurityContext": left | {"fsGroup": None}},
             "injector": {"podSecurityContext": left}, "sidecar": {"runAsUser": None},
             "test": {"podSecurityContext": left}}
    objects = await chart.render(given)
    for o in objects:
        if pod := chart.pod_of(o):
            assert chart.restricted(pod) == []
            assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["spec"]["securityContext"])
    settings = chart.config_of(objects, "sqmqos-injector", "settings.yaml")
    assert settings["sidecar"]["runAsUser"] is None


async def test_images_by_tag_and_by_digest(_env):
    def images(objects):
        return {c["image"] for o in objects if chart.pod_of(o)
                for c in chart.pod_of(o)["spec"]["containers"]}
    assert images(await chart.render()) == {
        "sqmqos/broker:0.1.0", "sqmqos/injector:0.1.0", "eclipse-mosquitto:2"}
    given = {"imageRegistry": "mirror.example:5000",
             "broker": {"image": {"digest": DIGEST, "tag": "x"}},
             "injector": {"image": {"registry": "own.example", "tag": "7"}},
             "test": {"image": {"digest": DIGEST}}}
    objects = await chart.render(given)
    assert images(objects) == {
        f"mirror.example:5000/sqmqos/broker@{DIGEST}", "own.example/sqmqos/injector:7",
        f"mirror.example:5000/eclipse-mosquitto@{DIGEST}"}
    settings = chart.config_of(objects, "sqmqos-injector", "settings.yaml")
    assert settings["sidecar"]["image"]["registry"] == "mirror.example:5000"


async def test_tokens_are_mounted_where_they_are_used(_env):
    objects = await chart.render()
    for o in objects:
        if o["kind"] == "ServiceAccount":
            assert o["automountServiceAccountToken"] is False
        if pod := chart.pod_of(o):
            wanted = not chart.is_hook(o)
            assert pod["spec"]["automountServiceAccountToken"] is wanted, o["metadata"]["name"]


async def test_a_changed_configuration_makes_pods_anew(_env):
    async def sums(given):
        return {o["kind"]: o["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
                for o in await chart.render(given)
                if o["kind"] in ("StatefulSet", "Deployment") and not chart.is_hook(o)}
    plain = await sums({})
    broker = await sums(tree("broker.config", {"queue": {"max-bytes": "1Gi"}}))
    injector = await sums(tree("sidecar.logLevel", "debug"))
    other = await sums(tree("podMonitor.enabled", True))
    assert broker["StatefulSet"] != plain["StatefulSet"]
    assert broker["Deployment"] == plain["Deployment"]
    assert injector["Deployment"] != plain["Deployment"]
    assert injector["StatefulSet"] == plain["StatefulSet"]
    assert other == plain


# ---- broker

async def test_sidecars_dial_an_address_that_stays(_env):
    objects = await chart.render()
    dialled = chart.only(objects, "Service", "sqmqos-broker")["spec"]
    headless = chart.only(objects, "Service", "sqmqos-broker-headless")["spec"]
    assert dialled["type"] == "ClusterIP" and "clusterIP" not in dialled
    assert not dialled.get("publishNotReadyAddresses")
    assert headless["clusterIP"] == "None" and headless["publishNotReadyAddresses"] is True
    link = {"name": "link", "port": 7443, "targetPort": "link"}
    assert headless["ports"] == [link]
    assert dialled["ports"] == [link, {"name": "admin", "port": 9090, "targetPort": "admin"}]
    broker = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]
    assert broker["serviceName"] == "sqmqos-broker-headless"
    assert chart.selects({"matchLabels": dialled["selector"]},
                         broker["template"]["metadata"]["labels"])
    settings = chart.config_of(objects, "sqmqos-injector", "settings.yaml")
    assert (settings["fullname"], settings["namespace"]) == ("sqmqos", chart.NAMESPACE)
    assert settings["broker"]["port"] == 7443


QUEUES = {"shop": {"billing": {
    "bindings": [{"filter": "orders/#", "qos": 2}, {"tag": "eu", "id": "eu"}], "order": "key", "lease": "1m",
    "exactly-once": True, "max-attempts": "unlimited", "retry": {"first": "250ms", "factor": 3, "max": 600, "jitter": False},
    "on-give-up": "block", "max-messages": 1000000, "max-bytes": "64Mi", "overflow": "drop-oldest", "ttl": "7d",
    "expiry": "never"}, "all": {}}, "123": {"456": {"bindings": [{"filter": "#"}], "max-bytes": 123456789}}}


async def test_named_queues_change_without_another_pod(_env):
    plain = await chart.render()
    objects = await chart.render({"subscribers": QUEUES})
    for rendered, want in ((plain, {}), (objects, QUEUES)):
        found = chart.config_of(rendered, "sqmqos-broker-subscribers", "subscribers.yaml")
        assert found == want
        config = chart.config_of(rendered, "sqmqos-broker", "broker.yaml")
        assert config["subscribers"] == {"dir": "/etc/sqmqos/subscribers"}
    sets = [chart.only(o, "StatefulSet", "sqmqos-broker") for o in (plain, objects)]
    assert sets[0] == sets[1]
    pod = sets[0]["spec"]["template"]["spec"]
    volume, = (v for v in pod["volumes"] if v["name"] == "subscribers")
    assert volume["configMap"] == {"name": "sqmqos-broker-subscribers"}
    # A mount of a file alone would never change.
    mount, = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "subscribers")
    assert mount == {"name": "subscribers", "mountPath": "/etc/sqmqos/subscribers", "readOnly": True}


BRIDGES = {
    "to-rabbit": {
        "space": "shop", "kind": "amqp", "url": ["amqps://rabbit:5671/shop"], "declare": True, "heartbeat": "20s",
        "credentials": {"user-file": "/etc/sqmqos/bridge-secrets/rabbit/username",
                        "password-file": "/etc/sqmqos/bridge-secrets/rabbit/password"},
        "out": [{"filter": "orders/#", "qos": 2, "to": {"exchange": "orders", "key": "{topic.*:.}"}}, {"tag": "a", "to": {"key": "q"}}],
        "in": [{"queue": "replies", "to": "replies/{key:/}", "prefetch": 7}],
        "limits": {"max-messages": 1000000, "max-bytes": "1Gi", "max-attempts": "unlimited"}, "dedup": {"for": "1h"}},
    "jobs": {"space": "shop", "kind": "sqs", "region": "eu-central-1", "max-size": "256Ki", "in": [{"queue": "jobs", "to": "jobs"}]}}


async def test_bridges_change_without_another_pod(env):
    plain = await chart.render()
    objects = await chart.render({"bridges": {"declared": BRIDGES}})
    for rendered, want in ((plain, {}), (objects, BRIDGES)):
        assert chart.config_of(rendered, "sqmqos-broker-bridges", "bridges.yaml") == {"bridges": want}
        assert chart.config_of(rendered, "sqmqos-broker", "broker.yaml")["bridges"] == {"dir": "/etc/sqmqos/bridges"}
    sets = [chart.only(o, "StatefulSet", "sqmqos-broker") for o in (plain, objects)]
    assert sets[0] == sets[1]
    pod = sets[0]["spec"]["template"]["spec"]
    volume, = (v for v in pod["volumes"] if v["name"] == "bridges")
    assert volume["configMap"] == {"name": "sqmqos-broker-bridges"}
    mount, = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "bridges")
    assert mount == {"name": "bridges", "mountPath": "/etc/sqmqos/bridges", "readOnly": True}
    path = env.folder / "bridges.yaml"
    path.write_text(chart.only(objects, "ConfigMap", "sqmqos-broker-bridges")["data"]["bridges.yaml"])
    program = parts.ROOT / "build" / env.settings.build / "sqmqos"
    done = await asyncio.to_thread(subprocess.run, [str(program), "lint", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{path}: good, with 2 bridges\n"), done


async def test_bridges_have_files_and_environment(_env):
    given = {"bridges": {"secrets": {"rabbit": "rabbit-user"}, "environment": {"AWS_REGION": "eu-central-1"}, "environmentSecret": "aws"},
             "broker": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/mq"}}}}
    for more in ({}, SHARED):
        objects = await chart.render(merged(given, more))
        pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
        container, = pod["containers"]
        volume, = (v for v in pod["volumes"] if v["name"] == "bridge-rabbit")
        assert volume["secret"] == {"secretName": "rabbit-user", "defaultMode": 0o440, "optional": True}
        mount, = (m for m in container["volumeMounts"] if m["name"] == "bridge-rabbit")
        assert mount == {"name": "bridge-rabbit", "mountPath": "/etc/sqmqos/bridge-secrets/rabbit", "readOnly": True}
        assert container["envFrom"] == [{"secretRef": {"name": "aws"}}]
        assert container["env"][0] == {"name": "AWS_REGION", "value": "eu-central-1"}
        assert len(container["env"]) == (4 if more else 1)
        account = chart.only(objects, "ServiceAccount", "sqmqos-broker")
        assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/mq"}


async def test_a_namespace_is_pushed_to_its_own_services(_env):
    config = chart.config_of(await chart.render(), "sqmqos-broker", "broker.yaml")
    assert config["push"] == {"allow": [{"host": "*.{space}.svc"}, {"host": "*.{space}.svc.cluster.local"}]}
    more = [{"cidr": "10.0.0.0/8", "spaces": ["shop"]}]
    given = {"push": {"allow": more}, "clusterDomain": "c.example", "broker": {"config": {"push": {"origin": "mq"}}}}
    config = chart.config_of(await chart.render(given), "sqmqos-broker", "broker.yaml")
    assert config["push"] == {"origin": "mq", "allow": [
        {"host": "*.{space}.svc"}, {"host": "*.{space}.svc.c.example"}, *more]}
    none = await chart.render({"push": {"ownServices": False}})
    assert "push" not in chart.config_of(none, "sqmqos-broker", "broker.yaml")
    # The running broker takes them up.
    assert chart.only(none, "StatefulSet", "sqmqos-broker") == \
        chart.only(await chart.render(), "StatefulSet", "sqmqos-broker")


async def test_secrets_of_pushes_are_closed_files_by_namespace_and_name(_env):
    plain = chart.only(await chart.render(), "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
    assert "secrets" not in [v["name"] for v in plain["volumes"]]
    objects = await chart.render({"push": {"secrets": {
        "shop": {"token": {"secret": "shop-hooks", "key": "t"}, "whsec": {"secret": "shop-hooks", "key": "w"}},
        "bank": {"token": {"secret": "007", "key": "1"}}}}})
    config = chart.config_of(objects, "sqmqos-broker", "broker.yaml")
    assert config["push"]["secrets-dir"] == "/etc/sqmqos/secrets"
    pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
    mount, = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "secrets")
    assert mount == {"name": "secrets", "mountPath": "/etc/sqmqos/secrets", "readOnly": True}
    volume, = (v for v in pod["volumes"] if v["name"] == "secrets")
    assert volume["projected"]["defaultMode"] == 0o440 and pod["securityContext"]["fsGroup"] == 65532
    # One that is not there must not hold the broker up.
    assert volume["projected"]["sources"] == [
        {"secret": {"name": name, "optional": True, "items": [{"key": key, "path": path}]}}
        for name, key, path in (("007", "1", "bank/token"), ("shop-hooks", "t", "shop/token"),
                                ("shop-hooks", "w", "shop/whsec"))]


async def test_the_api_has_a_service_where_it_is_wanted(_env):
    plain = await chart.render()
    assert not any(o["metadata"]["name"] == "sqmqos-api" for o in plain)
    assert "http" not in chart.config_of(plain, "sqmqos-broker", "broker.yaml")
    given = {"httpApi": {"enabled": True, "port": 8444, "names": ["mq.example"],
                         "service": {"annotations": {"lb": "internal"}}},
             "broker": {"config": {"http": {"rate": 7}}}}
    objects = await chart.render(given)
    service = chart.only(objects, "Service", "sqmqos-api")
    assert service["metadata"]["annotations"] == {"lb": "internal"}
    assert service["spec"]["type"] == "ClusterIP" and "loadBalancerSourceRanges" not in service["spec"]
    assert service["spec"]["ports"] == [{"name": "https", "port": 8444, "targetPort": "api"}]
    pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]
    assert chart.selects({"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"])
    ports = {p["name"]: p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}
    assert ports == {"link": 7443, "admin": 9090, "api": 8444}
    config = chart.config_of(objects, "sqmqos-broker", "broker.yaml")
    assert config["http"] == {"listen": "*:8444", "rate": 7} and config["listen"] == {"address": "*:7443"}
    # Of what a client in the cluster may call it, the full one first.
    space = f"sqmqos-api.{chart.NAMESPACE}"
    assert chart.config_of(objects, "sqmqos-injector", "injector.yaml")["certificates"]["broker-names"] == \
        [f"{space}.svc.cluster.local", f"{space}.svc", space, "sqmqos-api", "mq.example"]
    assert not any(o["kind"] == "Ingress" for o in objects)
    provided = await chart.render(merged(PROVIDED, given))
    assert "broker-names" not in chart.config_of(provided, "sqmqos-injector", "injector.yaml")["certificates"]
    balanced = await chart.render({"httpApi": {"enabled": True, "service": {
        "type": "LoadBalancer", "sourceRanges": ["10.0.0.0/8"]}}})
    spec = chart.only(balanced, "Service", "sqmqos-api")["spec"]
    assert spec["type"] == "LoadBalancer" and spec["loadBalancerSourceRanges"] == ["10.0.0.0/8"]


async def test_an_ingress_leads_to_the_api(_env):
    ingress = {"enabled": True, "host": "mq.example", "className": "nginx", "tlsSecret": "mq-tls",
               "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}}
    objects = await chart.render({"httpApi": {"enabled": True, "ingress": ingress}})
    made = chart.only(objects, "Ingress", "sqmqos-api")
    assert made["metadata"]["annotations"] == ingress["annotations"]
    assert made["spec"]["ingressClassName"] == "nginx"
    assert made["spec"]["tls"] == [{"hosts": ["mq.example"], "secretName": "mq-tls"}]
    rule, = made["spec"]["rules"]
    path, = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("mq.example", "/v1", "Prefix")
    service = chart.only(objects, "Service", path["backend"]["service"]["name"])
    assert path["backend"]["service"]["port"]["name"] in {p["name"] for p in service["spec"]["ports"]}


async def test_who_reaches_the_api(_env):
    peers = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]

    async def peers_of(**given):
        objects = await chart.render(merged({"httpApi": {"enabled": True}}, given))
        return rules(chart.only(objects, "NetworkPolicy", "sqmqos-broker"), "api")
    assert await peers_of() == [[{"namespaceSelector": {}}]]
    # From outside the cluster nobody is a pod.
    assert await peers_of(httpApi={"service": {"type": "LoadBalancer"}}) == [None]
    for kind in ("ClusterIP", "LoadBalancer"):
        assert await peers_of(httpApi={"service": {"type": kind}}, networkPolicy={"httpApiFrom": peers}) == [peers]
    plain = chart.only(await chart.render(), "NetworkPolicy", "sqmqos-broker")
    assert rules(plain, "api") == []


async def test_the_broker_has_the_time_that_it_needs(_env):
    given = {"broker": {"drainSeconds": 45, "startupSeconds": 1200}}
    objects = await chart.render(given)
    pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
    config = chart.config_of(objects, "sqmqos-broker", "broker.yaml")
    assert config["drain-timeout"] == "45s" and pod["terminationGracePeriodSeconds"] == 65
    container = pod["containers"][0]
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 1200
    assert startup["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports == {"link": 7443, "admin": 9090}
    assert config["admin"]["listen"] == "*:9090" and config["listen"]["address"] == "*:7443"


async def test_the_store_is_on_a_volume(_env):
    def store(objects):
        spec = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]
        volumes = {v["name"]: v for v in spec["template"]["spec"]["volumes"]}
        return spec.get("volumeClaimTemplates"), volumes.get("store")
    claims, volume = store(await chart.render())
    assert volume is None and len(claims) == 1
    assert claims[0]["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert "storageClassName" not in claims[0]["spec"]
    # What the API server would fill in; test/k8s/ shows why.
    assert (claims[0]["apiVersion"], claims[0]["kind"]) == ("v1", "PersistentVolumeClaim")
    assert claims[0]["spec"]["volumeMode"] == "Filesystem"
    assert claims[0]["status"] == {"phase": "Pending"}
    claims, _ = store(await chart.render(tree("broker.store.storageClass", "-")))
    assert claims[0]["spec"]["storageClassName"] == ""
    claims, volume = store(await chart.render(tree("broker.store.existingClaim", "mine")))
    assert claims is None and volume["persistentVolumeClaim"]["claimName"] == "mine"
    claims, volume = store(await chart.render(tree("broker.engine", "memory")))
    assert claims is None and volume["emptyDir"] == {}


async def test_several_brokers_share_a_log(_env):
    given = merged(SHARED, {"brokers": 2, "log": {"postgres": {"caSecret": "db-ca", "clientSecret": "role"}},
                            "networkPolicy": {"egress": {"enabled": True}}})
    objects = await chart.render(given)
    stateful = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]
    pod = stateful["template"]["spec"]
    broker = pod["containers"][0]
    env = {e["name"]: e.get("value") for e in broker["env"]}
    assert stateful["replicas"] == 2 and len(stateful["volumeClaimTemplates"]) == 1
    assert env["SQMQOS_LISTEN_ADVERTISE"].startswith("$(POD_NAME).sqmqos-broker-headless.") and env["SQMQOS_BROKER_ID"] == "$(POD_NAME)"
    apart = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart[0]["podAffinityTerm"]["labelSelector"]["matchLabels"] == stateful["selector"]["matchLabels"]
    log = chart.config_of(objects, "sqmqos-broker", "broker.yaml")["log"]
    assert log["kind"] == "postgres" and log["postgres"]["hosts"] == ["db-rw.data:5432"]
    files = {item["path"] for source in {v["name"]: v for v in pod["volumes"]}["log"]["projected"]["sources"]
             for item in source["secret"]["items"]}
    named = {log["postgres"][key].rsplit("/", 1)[1] for key in ("password-file", "ca-file", "cert-file", "key-file")}
    assert files == named == {"password", "ca.crt", "tls.crt", "tls.key"}
    assert chart.only(objects, "PodDisruptionBudget", "sqmqos-broker")["spec"]["maxUnavailable"] == 1
    egress = chart.only(objects, "NetworkPolicy", "sqmqos-broker")["spec"]["egress"]
    assert {"ports": [{"port": 5432, "protocol": "TCP"}]} in egress
    # those that follow pass the API's connections, and the admin endpoint's requests, on to the one that owns
    from_apps = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]
    objects = await chart.render(merged(given, {"httpApi": {"enabled": True}, "networkPolicy": {
        "httpApiFrom": from_apps, "adminFrom": from_apps}}))
    policy = chart.only(objects, "NetworkPolicy", "sqmqos-broker")
    them = [{"podSelector": {"matchLabels": policy["spec"]["podSelector"]["matchLabels"]}}]
    assert rules(policy, "api") == rules(policy, "admin") == [from_apps, them]
    assert {"ports": [{"port": port, "protocol": "TCP"} for port in (9090, 8443)], "to": them} in policy["spec"]["egress"]
    one = await chart.render(merged(SHARED, {"broker": {"store": {"persistent": False}}}))
    stateful = chart.only(one, "StatefulSet", "sqmqos-broker")["spec"]
    assert "volumeClaimTemplates" not in stateful and stateful["replicas"] == 1
    assert {"name": "store", "emptyDir": {}} in stateful["template"]["spec"]["volumes"]
    assert not [o for o in one if o["kind"] == "PodDisruptionBudget" and o["metadata"]["name"] == "sqmqos-broker"]


async def test_the_store_fits_its_volume(_env):
    async def sizes(size, **more):
        given = {"broker": {"store": {"size": size, **more}}}
        store = chart.config_of(await chart.render(given), "sqmqos-broker", "broker.yaml")["store"]
        return store["journal-size"], store["max-size"]
    assert await sizes("10Gi") == ("256Mi", "8985Mi")
    assert await sizes("1Ti") == ("256Mi", "943488Mi")
    assert await sizes("2Gi", journalSize="64Mi") == ("64Mi", "1785Mi")
    assert await sizes("10Gi", maxSize="4Gi") == ("256Mi", "4Gi")


async def test_broker_and_chart_set_each_key_once(_env):
    """What the chart sets is not in `broker.config`; everything else is."""
    config = chart.config_of(await chart.render(), "sqmqos-broker", "broker.yaml")
    ours = {path for path, _ in leaves(config)}
    free = chart.schema()["definitions"]["brokerConfig"]

    def keys(node, path=""):
        for key, below in node["properties"].items():
            if "properties" in below:
                yield from keys(below, f"{path}{key}.")
            else:
                yield f"{path}{key}"
    known = {key for key, _ in chart_values.broker_keys()}
    assert not ours & set(keys(free))
    assert set(keys(free)) == {k for k in known if not chart_values.CHART_SETS.match(k)}
    assert all(chart_values.CHART_SETS.match(key) for key in ours)


# ---- injector

WORKLOADS = {("apps", r) for r in ("deployments", "statefulsets", "daemonsets")} | \
    {("batch", r) for r in ("jobs", "cronjobs")}


def called(config, namespace, labels, pod):
    """Names of the entries that are asked about an object with labels 'pod'."""
    labels = labels | {"kubernetes.io/metadata.name": namespace}
    return [w["name"] for w in config["webhooks"]
            if chart.selects(w["namespaceSelector"], labels)
            and chart.selects(w["objectSelector"], pod)]


async def test_only_pods_that_asked_are_asked_about(_env):
    config = chart.only(await chart.render(), "MutatingWebhookConfiguration", "0-sqmqos-injector")
    by_pod, by_namespace = ["pod.inject.sqmqos.io"], ["namespace.inject.sqmqos.io"]
    inject = "sqmqos.io/inject"
    cases = [
        ("shop", {}, {}, []),
        ("shop", {}, {"app": "x"}, []),
        ("shop", {}, {inject: "true"}, by_pod),
        ("shop", {}, {inject: "yes"}, by_pod),       # to be denied, with the reason
        ("shop", {}, {inject: "false"}, []),
        ("shop", {inject: "true"}, {}, by_namespace),
        ("shop", {inject: "on"}, {}, by_namespace),
        ("shop", {inject: "true"}, {inject: "true"}, by_pod),
        ("shop", {inject: "true"}, {inject: "false"}, []),
        ("shop", {inject: "false"}, {}, []),
        ("shop", {inject: "false"}, {inject: "true"}, by_pod),
        ("kube-system", {inject: "true"}, {}, []),
        ("kube-system", {}, {inject: "true"}, []),
        (chart.NAMESPACE, {inject: "true"}, {}, []),
        (chart.NAMESPACE, {}, {inject: "true"}, []),
    ]
    for namespace, labels, pod, wanted in cases:
        assert called(config, namespace, labels, pod) == wanted, (namespace, labels, pod)


async def test_each_namespace_condition_of_one_s_own_narrows_all_entries(_env):
    given = tree("injector.webhook.namespaceSelector", {
        "matchLabels": {"team": "a"},
        "matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["old"]}]})
    objects = await chart.render(given)
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        config = chart.only(objects, kind, "0-sqmqos-injector")
        pod = {"sqmqos.io/inject": "true", "sqmqos.io/sidecar": "0.1.0"}
        assert called(config, "shop", {"team": "a"}, pod)
        assert not called(config, "shop", {"team": "b"}, pod)
        assert not called(config, "shop", {"team": "a", "stage": "old"}, pod)
        assert not called(config, "kube-system", {"team": "a"}, pod)
    # helm test must find its sidecars there, too.
    namespace = next(o for o in objects if o["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["team"] == "a"


async def test_webhook_entries_are_as_safe_as_they_can_be(_env):
    objects = await chart.render()
    mutating = chart.only(objects, "MutatingWebhookConfiguration", "0-sqmqos-injector")["webhooks"]
    validating = chart.only(objects, "ValidatingWebhookConfiguration", "0-sqmqos-injector")["webhooks"]
    assert "0-sqmqos-injector" < "istio-" < "linkerd-"
    for w in mutating + validating:
        assert w["sideEffects"] == "None" and w["matchPolicy"] == "Equivalent"
        assert w["admissionReviewVersions"] == ["v1"] and w["timeoutSeconds"] == 5
        assert all(r["scope"] == "Namespaced" for r in w["rules"])
    for w in mutating:
        assert w["failurePolicy"] == "Fail" and w["reinvocationPolicy"] == "IfNeeded"
        assert w["clientConfig"]["service"] == {"name": "sqmqos-injector", "port": 443,
                                                "namespace": chart.NAMESPACE, "path": "/mutate"}
        assert [(r["apiGroups"], r["resources"], r["operations"]) for r in w["rules"]] == \
            [([""], ["pods"], ["CREATE"])]
    pods, *workloads = validating
    for w in validating:
        assert w["failurePolicy"] == "Ignore"
        assert w["clientConfig"]["service"]["path"].split("/")[1] == "validate"
    assert [(r["resources"], r["operations"]) for r in pods["rules"]] == [(["pods"], ["UPDATE"])]
    assert chart.selects(pods["objectSelector"], {"sqmqos.io/sidecar": "0.1.0"})
    assert not chart.selects(pods["objectSelector"], {"sqmqos.io/inject": "true"})
    for w in workloads:
        assert {(g, r) for rule in w["rules"] for g in rule["apiGroups"]
                for r in rule["resources"]} == WORKLOADS
        assert all(r["operations"] == ["CREATE", "UPDATE"] for r in w["rules"])


async def test_a_workload_is_asked_about_once_with_what_its_namespace_says(_env):
    config = chart.only(await chart.render(), "ValidatingWebhookConfiguration", "0-sqmqos-injector")
    paths = {w["name"]: w["clientConfig"]["service"]["path"] for w in config["webhooks"]}
    inject, asked, unasked = "sqmqos.io/inject", ["/validate/asked"], ["/validate/unasked"]
    for namespace, labels, wanted in (
            ("shop", {}, unasked), ("shop", {inject: "true"}, asked), ("shop", {inject: "on"}, asked),
            ("shop", {inject: "false"}, unasked), ("kube-system", {inject: "true"}, []),
            (chart.NAMESPACE, {}, [])):
        got = [paths[name] for name in called(config, namespace, labels, {})]
        assert got == wanted, (namespace, labels, got)


async def test_the_injector_may_touch_four_objects_by_name(_env):
    objects = await chart.render()
    rules = {o["kind"]: o["rules"] for o in objects if o["kind"] in ("Role", "ClusterRole")}
    assert rules == {
        "Role": [{"apiGroups": [""], "resources": ["secrets"],
                  "resourceNames": ["sqmqos-ca", "sqmqos-broker-tls"],
                  "verbs": ["get", "update", "patch"]}],
        "ClusterRole": [{"apiGroups": ["admissionregistration.k8s.io"],
                         "resources": ["mutatingwebhookconfigurations",
                                       "validatingwebhookconfigurations"],
                         "resourceNames": ["0-sqmqos-injector"], "verbs": ["get", "patch"]}]}
    bindings = [o for o in objects if o["kind"].endswith("Binding")]
    assert {b["kind"] for b in bindings} == {"RoleBinding", "ClusterRoleBinding"}
    for b in bindings:
        assert b["subjects"] == [{"kind": "ServiceAccount", "name": "sqmqos-injector",
                                  "namespace": chart.NAMESPACE}]
        assert b["roleRef"]["kind"] + "Binding" == b["kind"]
        assert b["roleRef"]["name"] == "sqmqos-injector"
    pod = chart.only(objects, "Deployment", "sqmqos-injector")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "sqmqos-injector"


async def test_with_secrets_of_one_s_own_the_injector_reads_two(_env):
    objects = await chart.render(PROVIDED)
    assert not any(o["kind"] == "Secret" for o in objects)
    rules = next(o["rules"] for o in objects if o["kind"] == "Role")
    assert rules == [{"apiGroups": [""], "resources": ["secrets"],
                      "resourceNames": ["my-ca", "my-webhook"], "verbs": ["get"]}]
    volumes = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]["volumes"]
    assert next(v for v in volumes if v["name"] == "tls")["secret"]["secretName"] == "my-broker"
    config = chart.config_of(objects, "sqmqos-injector", "injector.yaml")
    assert config["certificates"] == {"mode": "provided", "ca-secret": "my-ca",
                                      "serving-secret": "my-webhook"}

    # Where cert-manager's cainjector writes caBundle, the injector need not.
    def roles(objects):
        return {o["kind"] for o in objects if o["apiVersion"].startswith("rbac.")}
    assert roles(objects) == {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    alone = merged(PROVIDED, {"certificates": {"caBundle": False}})
    assert roles(await chart.render(alone)) == {"Role", "RoleBinding"}

    by_map = merged(PROVIDED, {"certificates": {"caSecret": "", "caConfigMap": "bundle"}})
    rules = next(o["rules"] for o in await chart.render(by_map) if o["kind"] == "Role")
    assert [(r["resources"], r["resourceNames"], r["verbs"]) for r in rules] == [
        (["secrets"], ["my-webhook"], ["get"]), (["configmaps"], ["bundle"], ["get"])]


async def test_other_issuers_keys_and_authorities_are_files_of_the_broker(_env):
    pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
    given = {"auth": {"tokensSecret": "static", "issuers": [
        {"issuer": "https://ci.example", "keysUrl": "https://ci.example/jwks", "ca": pem,
         "space": "ci"},
        {"issuer": "edge", "audience": "mq", "keys": '{"keys": []}'}]}}
    objects = await chart.render(given)
    files = chart.only(objects, "ConfigMap", "sqmqos-broker")["data"]
    assert set(files) == {"broker.yaml", "issuer-0.pem", "issuer-1.json"}
    assert files["issuer-0.pem"] == pem and files["issuer-1.json"] == '{"keys": []}'
    auth = yaml.safe_load(files["broker.yaml"])["auth"]
    folder = "/etc/sqmqos/config"
    assert auth["issuers"] == [
        {"issuer": "https://ci.example", "keys-url": "https://ci.example/jwks", "space": "ci",
         "ca-file": f"{folder}/issuer-0.pem"},
        {"issuer": "edge", "audience": "mq", "keys-file": f"{folder}/issuer-1.json"}]
    assert auth["kubernetes"] is True and auth["tokens-file"] == "/etc/sqmqos/tokens/tokens"
    broker = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in broker["containers"][0]["volumeMounts"]}
    assert mounts["config"] == folder and mounts["tokens"] == "/etc/sqmqos/tokens"


def item(name, key):
    return {"name": name, "items": [{"key": key, "path": key}]}


async def test_client_certificates_are_of_secrets_or_config_maps(_env):
    names = [{"name": "web.example", "spaces": ["shop"]}]
    here = "/etc/sqmqos/clients"

    async def rendered(given):
        objects = await chart.render(tree("auth.clientCertificates", given))
        pod = chart.only(objects, "StatefulSet", "sqmqos-broker")["spec"]["template"]["spec"]
        auth = chart.config_of(objects, "sqmqos-broker", "broker.yaml")["auth"]
        mount = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "clients"]
        volume = [v["projected"]["sources"] for v in pod["volumes"] if v["name"] == "clients"]
        keys = ("client-ca-file", "client-crl-file", "certificates")
        return [auth.get(key) for key in keys], mount, volume
    assert await rendered({}) == ([None] * 3, [], [])
    # A folder, no subPath: kubelet brings what changes.
    mounted = [{"name": "clients", "mountPath": here, "readOnly": True}]
    assert await rendered({"caConfigMap": "ca"}) == (
        [f"{here}/ca.crt", None, None], mounted, [[{"configMap": item("ca", "ca.crt")}]])
    assert await rendered({"caSecret": "ca", "crlConfigMap": "crl", "names": names}) == (
        [f"{here}/ca.crt", f"{here}/ca.crl", names], mounted,
        [[{"secret": item("ca", "ca.crt")}, {"configMap": item("crl", "ca.crl")}]])
    assert (await rendered({"caSecret": "both", "crlSecret": "both"}))[2] == [
        [{"secret": item("both", "ca.crt")}, {"secret": item("both", "ca.crl")}]]


async def test_an_injector_is_always_there(_env):
    objects = await chart.render()
    injector = chart.only(objects, "Deployment", "sqmqos-injector")["spec"]
    assert injector["replicas"] == 2
    assert injector["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    terms = injector["template"]["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"]
    labels = injector["template"]["metadata"]["labels"]
    assert terms[0]["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert all(chart.selects(t["podAffinityTerm"]["labelSelector"], labels) for t in terms)
    budgets = [o for o in objects if o["kind"] == "PodDisruptionBudget"]
    assert [b["metadata"]["name"] for b in budgets] == ["sqmqos-injector"]
    assert budgets[0]["spec"]["maxUnavailable"] == 1
    assert chart.selects(budgets[0]["spec"]["selector"], labels)
    # A budget for one pod would hold up every drain of its node.
    one = await chart.render(tree("injector.replicas", 1))
    assert not any(o["kind"] == "PodDisruptionBudget" for o in one)


async def test_the_injector_on_the_node_s_network(_env):
    given = {"injector": {"hostNetwork": True, "webhookPort": 10260, "adminPort": 9091}}
    objects = await chart.render(given)
    spec = chart.only(objects, "Deployment", "sqmqos-injector")["spec"]
    pod = spec["template"]["spec"]
    assert pod["hostNetwork"] is True and pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert {p["containerPort"] for p in pod["containers"][0]["ports"]} == {10260, 9091}
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    service = chart.only(objects, "Service", "sqmqos-injector")["spec"]
    assert service["ports"] == [{"name": "webhook", "port": 443, "targetPort": "webhook"}]


# ---- around them

def rules(policy, port):
    """Peers that a policy lets in to a port; None: anybody."""
    return [r.get("from") for r in policy["spec"]["ingress"] if r["ports"][0]["port"] == port]


async def test_network_policies_let_in_what_must_come_in(_env):
    objects = await chart.render()
    broker = chart.only(objects, "NetworkPolicy", "sqmqos-broker")
    injector = chart.only(objects, "NetworkPolicy", "sqmqos-injector")
    everywhere = [{"namespaceSelector": {}}]
    assert rules(broker, "link") == [everywhere] and rules(broker, "admin") == [everywhere]
    assert rules(injector, "webhook") == [None] and rules(injector, "admin") == [everywhere]
    for policy, kind in ((broker, "StatefulSet"), (injector, "Deployment")):
        assert policy["spec"]["policyTypes"] == ["Ingress"] and "egress" not in policy["spec"]
        pods = chart.only(objects, kind, policy["metadata"]["name"])["spec"]["template"]
        assert chart.selects(policy["spec"]["podSelector"], pods["metadata"]["labels"])
        assert len(policy["spec"]["ingress"]) == 2
    assert not any(o["kind"] == "NetworkPolicy"
                   for o in await chart.render(tree("networkPolicy.enabled", False)))


async def test_network_policies_narrow_by_value(_env):
    peers = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]
    api = [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    given = {"networkPolicy": {"linkFrom": peers, "egress": {"enabled": True, "apiTo": api}}}
    objects = await chart.render(given)
    assert rules(chart.only(objects, "NetworkPolicy", "sqmqos-broker"), "link") == [peers]
    for name in ("sqmqos-broker", "sqmqos-injector"):
        spec = chart.only(objects, "NetworkPolicy", name)["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        dns, server = spec["egress"]
        assert {(p["port"], p["protocol"]) for p in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
        assert server["to"] == api and [p["port"] for p in server["ports"]] == [443, 6443]


async def test_network_policies_let_the_broker_alone_push(_env):
    to = [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]
    other = [{"ipBlock": {"cidr": "10.0.0.9/32"}}]
    objects = await chart.render({"networkPolicy": {"egress": {"enabled": True, "pushTo": to, "brokerTo": other}}})
    egress = {name: chart.only(objects, "NetworkPolicy", f"sqmqos-{name}")["spec"]["egress"]
              for name in ("broker", "injector")}
    assert egress["broker"][2:] == [{"to": other}, {"to": to}] and len(egress["injector"]) == 2


async def test_pod_monitors_find_the_admin_ports(_env):
    objects = await chart.render(tree("podMonitor", {"enabled": True, "labels": {"release": "p"}}))
    own = chart.only(objects, "PodMonitor", "sqmqos")
    assert own["metadata"]["labels"]["release"] == "p"
    for o in objects:
        if (pod := chart.pod_of(o)) and not chart.is_hook(o):
            assert chart.selects(own["spec"]["selector"], pod["metadata"]["labels"])
            assert any(p["name"] == "admin" for p in pod["spec"]["containers"][0]["ports"])
    sidecars = chart.only(objects, "PodMonitor", "sqmqos-sidecars")["spec"]
    assert sidecars["namespaceSelector"] == {"any": True}
    assert chart.selects(sidecars["selector"], {"sqmqos.io/sidecar": "0.1.0"})
    without = await chart.render(tree("podMonitor", {"enabled": True, "sidecars": False}))
    assert len([o for o in without if o["kind"] == "PodMonitor"]) == 1
    assert not any(o["kind"] == "PodMonitor" for o in await chart.render())


async def test_alerts_and_dashboard_are_there_where_they_are_wanted(_env):
    url = "https://docs.example/runbook"
    objects = await chart.render({"prometheusRule": {"enabled": True, "runbookUrl": url},
                                  "dashboard": {"enabled": True}})
    rule = chart.only(objects, "PrometheusRule", "sqmqos")
    alerts = rule["spec"]["groups"][0]["rules"]
    assert {a["annotations"]["runbook_url"] for a in alerts} == \
        {f"{url}#{a['alert'].lower()}" for a in alerts}
    assert any("{{ $labels.pod }}" in a["annotations"]["summary"] for a in alerts)
    board = chart.only(objects, "ConfigMap", "sqmqos-dashboard")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["sqmqos.json"]) == \
        json.loads((chart.CHART / "files" / "dashboard.json").read_text())
    assert not any(o["kind"] == "PrometheusRule" or o["metadata"]["name"] == "sqmqos-dashboard"
                   for o in await chart.render())


async def test_keda_is_given_its_token_where_it_is_wanted(_env):
    objects = await chart.render({"keda": {"enabled": True, "tokenSecret": "read"}})
    auth = chart.only(objects, "ClusterTriggerAuthentication", "sqmqos")
    assert auth["spec"]["secretTargetRef"] == [{"parameter": "token", "name": "read", "key": "token"}]
    service = chart.only(objects, "Service", "sqmqos-broker")
    assert {p["name"]: p["port"] for p in service["spec"]["ports"]} == {"link": 7443, "admin": 9090}
    assert not any(o["kind"] == "ClusterTriggerAuthentication" for o in await chart.render())


async def test_helm_test_leaves_what_it_did_not_make(_env):
    hooks = [o for o in await chart.render() if chart.is_hook(o)]
    assert [o["kind"] for o in hooks] == ["Namespace", "Pod", "Deployment"]
    for o in hooks:
        about = o["metadata"]["annotations"]
        # A policy that deletes before it makes would delete a namespace of other people's.
        assert about["helm.sh/hook"] == "test" and about["helm.sh/hook-delete-policy"] == "hook-succeeded"
        assert o["metadata"].get("namespace", "sqmqos-helm-test") == "sqmqos-helm-test"
        if pod := chart.pod_of(o):
            assert pod["metadata"]["labels"]["sqmqos.io/inject"] == "true"


NOTES = """apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: |
    {{- tpl (.Files.Get "NOTES.txt") . | nindent 4 }}
"""


async def test_the_notes_say_what_to_type_next(env):
    # helm shows them after an install alone; so they are rendered as an object of a copy.
    copied = shutil.copytree(chart.CHART, env.folder / "chart")
    (copied / "templates" / "NOTES.txt").rename(copied / "NOTES.txt")
    (copied / "templates" / "notes.yaml").write_text(NOTES)
    code, out, err = await chart.run_helm("template", "mq", copied, "--namespace", "messaging",
                                          "--kube-version", "1.34.0", "--show-only",
                                          "templates/notes.yaml")
    assert code == 0, err
    notes = yaml.safe_load(out)["data"]["notes"]
    for command in ("kubectl label namespace SHOP sqmqos.io/inject=true", "helm test mq -n messaging",
                    "helm uninstall mq -n messaging", "0-mq-sqmqos-injector"):
        assert command in notes, notes


# ---- what the programs make of it

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop",
                                                       "labels": {"sqmqos.io/inject": "true"}},
       "spec": {"containers": [{"name": "app", "image": "x"}]}}


async def injected(env, given):
    """The pod that the injector would make of POD, installed with the values 'given'."""
    objects = await chart.render(given)
    settings = env.folder / "settings.yaml"
    settings.write_text(chart.only(objects, "ConfigMap", "sqmqos-injector")["data"]["settings.yaml"])
    program = parts.ROOT / "build" / env.settings.build / "sqmqos"
    done = await asyncio.to_thread(
        subprocess.run, [program, "inject", "--values", settings, "-f", "-"], input=json.dumps(POD),
        capture_output=True, text=True, timeout=30, env=parts.clean_environment(), check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout), objects


async def test_sidecars_are_as_the_values_say(env):
    given = {
        "tracing": {"endpoint": "http://collector:4318", "sample": "1", "traceparent": "all"},
        "clusterDomain": "example.local", "imagePullSecrets": [{"name": "pull"}],
        "imageRegistry": "mirror.example", "broker": {"port": 7444},
        "auth": {"audience": "mq", "tokenExpirySeconds": 900},
        "sidecar": {"adminPort": 7999, "logLevel": "warn", "logFormat": "json", "runAsUser": None,
                    "security": {"seccomp": False, "coreDumps": True},
                    "image": {"digest": DIGEST, "pullPolicy": "Always"},
                    "resources": {"requests": {"cpu": 1, "memory": None},
                                  "limits": {"memory": None, "cpu": "2"}}}}
    pod, objects = await injected(env, given)
    sidecar = pod["spec"]["initContainers"][0]
    assert sidecar["image"] == f"mirror.example/sqmqos/sidecar@{DIGEST}"
    assert sidecar["imagePullPolicy"] == "Always"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert sidecar["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    assert "runAsUser" not in sidecar["securityContext"]
    assert sidecar["ports"][0] == {"name": "sqmqos-admin", "containerPort": 7999, "protocol": "TCP"}
    told = {e["name"]: e.get("value") for e in sidecar["env"]}
    service = chart.only(objects, "Service", "sqmqos-broker")
    port = service["spec"]["ports"][0]["port"]
    assert told["SQMQOS_BROKERS"] == f"sqmqos-broker.{chart.NAMESPACE}.svc.example.local:{port}"
    assert (told["SQMQOS_LOG_LEVEL"], told["SQMQOS_LOG_FORMAT"]) == ("warn", "json")
    tracing = (told["SQMQOS_TRACING_ENDPOINT"], told["SQMQOS_TRACING_SAMPLE"])
    assert tracing == ("http://collector:4318", "1")
    assert told["SQMQOS_TRACING_TRACEPARENT"] == "all"
    assert chart.config_of(objects, "sqmqos-broker", "broker.yaml")["tracing"] == \
        {"endpoint": "http://collector:4318"}
    security = (told["SQMQOS_SECURITY_SECCOMP"], told["SQMQOS_SECURITY_CORE_DUMPS"])
    assert security == ("false", "true")
    token = next(s["serviceAccountToken"] for v in pod["spec"]["volumes"] if "projected" in v
                 for s in v["projected"]["sources"] if "serviceAccountToken" in s)
    assert (token["audience"], token["expirationSeconds"]) == ("mq", 900)
    monitor = chart.only(await chart.render(ALL_ON), "PodMonitor", "sqmqos-sidecars")["spec"]
    assert monitor["podMetricsEndpoints"][0]["port"] == sidecar["ports"][0]["name"]


async def test_sidecars_of_the_defaults_are_within_restricted_pod_security(env):
    pod, _ = await injected(env, {})
    sidecar = pod["spec"]["initContainers"][0]
    assert sidecar["image"] == "sqmqos/sidecar:0.1.0"
    assert pod["metadata"]["labels"]["sqmqos.io/sidecar"] == "0.1.0"
    assert [b for b in chart.restricted(pod) if not b.startswith("app: ")] == []


SPACES = {"all": {"tenants": ["a", "b"], "limits": {"sessions": 100, "stored-bytes": "64Mi"},
                  "reads": [{"space": "prices", "filter": "eu/#"}]}}


async def test_the_programs_take_the_configurations_that_are_rendered(env):
    """With a value for every key that `broker.config` may have."""
    free = {}
    for key, words, default in chart_values.broker_rows():
        if not chart_values.CHART_SETS.match(key) and default != "none":
            value = json.loads(default) if re.match("number|true", words) else default
            free = merged(free, tree(key, value))
    given = {"broker": {"config": free, "spaces": SPACES,
                        "acl": [{"allow": ["publish"], "identity": "kube:a/*", "topics": ["{client}/#"]},
                                {"deny": ["consume"], "queues": ["q"]}], "aclDefault": "deny"},
             "httpApi": {"enabled": True, "names": ["mq.example", "*.mq.example"]}, "subscribers": QUEUES,
             "push": {"allow": [{"host": "h", "cidr": "10.0.0.0/8", "spaces": ["s-*"]}],
                      "secrets": {"shop": {"token": {"secret": "s", "key": "k"}}}},
             "auth": {"owner": "namespace", "adopt": False, "tokensSecret": "t",
                      "clientCertificates": {"caSecret": "a", "crlConfigMap": "r",
                                             "names": [{"name": "*.example", "spaces": ["s"]}]},
                      "issuers": [
                          {"issuer": "https://i.example", "keysUrl": "https://i.example/k", "space": "s"},
                          {"issuer": "file", "audience": "x", "keys": KEYS}]}}
    given = merged(given, merged(SHARED, {"brokers": 2, "log": {"postgres": {"caSecret": "db-ca"}}}))
    files = in_a_pod(env, await chart.render(given))
    for program in ("broker", "injector"):
        path = parts.ROOT / "build" / env.settings.build / f"sqmqos-{program}"
        done = await asyncio.to_thread(
            subprocess.run, [path, "--config", files / f"{program}.yaml", "--check-config"],
            capture_output=True, text=True, timeout=30, check=False,
            env=parts.clean_environment() | {"KUBERNETES_SERVICE_HOST": "127.0.0.1",
                                             "KUBERNETES_SERVICE_PORT": "443"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"sqmqos-{program}: the configuration is good"), done.stdout


KEYS = json.dumps({"keys": [{
    "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig",
    "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}]})


def in_a_pod(env, objects):
    """Puts the rendered configurations, and what is mounted beside them, below a folder."""
    root = env.folder
    for folder in ("config", "tls", "tokens", "account", "lib", "log", "subscribers", "secrets", "bridges"):
        (root / folder).mkdir()
    parts.write_certificates(root / "tls")
    certificate, key = (root / "tls" / n for n in ("broker.pem", "broker.key"))
    parts.write_token(root / "tokens" / "token")
    parts.write_token(root / "account" / "token")
    (root / "log" / "password").write_text("secret\n")
    (root / "log" / "password").chmod(0o440)
    shutil.copy(root / "tls" / "ca.pem", root / "log" / "ca.crt")
    clients = ClientCa(root / "clients")
    clients.write_crl().rename(root / "clients" / "ca.crl")
    clients.pem.rename(root / "clients" / "ca.crt")
    places = [("/etc/sqmqos/tls/tls.crt", certificate), ("/etc/sqmqos/tls/tls.key", key),
              ("/etc/sqmqos/tls/ca.crt", root / "tls" / "ca.pem"),
              ("/etc/sqmqos", root), ("/var/lib/sqmqos", root / "lib")]
    queues = chart.only(objects, "ConfigMap", "sqmqos-broker-subscribers")["data"]
    (root / "subscribers" / "subscribers.yaml").write_text(queues["subscribers.yaml"])
    for name in ("sqmqos-broker", "sqmqos-injector"):
        for file, text in chart.only(objects, "ConfigMap", name)["data"].items():
            for place, here in places:
                text = text.replace(place, str(here))
            text = re.sub(r"'\*:\d+'", lambda _: f"'*:{parts.free_port()}'", text)
            if file in ("broker.yaml", "injector.yaml"):
                text = account_here(yaml.safe_load(text), file, root / "account", root / "tls" / "ca.pem")
            (root / "config" / file).write_text(text)
    return root / "config"


def account_here(config, file, folder, authority):
    """The account's files are where kubelet puts them; they are none of the chart's keys."""
    if file == "broker.yaml":
        config["auth"] |= {"api-token-file": str(folder / "token"), "api-ca-file": str(authority)}
    else:
        config["kubernetes"] = {"token-file": str(folder / "token"), "ca-file": str(authority)}
    return yaml.safe_dump(config)

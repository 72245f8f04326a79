"""Injectors as processes of the node, against the real API server: with the chart's roles,
Secrets and webhook configurations, under names of their own, beside whatever release there
is. They start in a moment and are built with sanitizers; the chart's cases have the pods."""

import asyncio
import base64
import contextlib
import json
import secrets

import yaml

import release
import stack as parts
from cluster import eventually  # test/support
from harness import paths
from harness.api import path_of

KINDS = {"Secret", "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "ClusterRole",
         "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
CLUSTER_WIDE = ["clusterroles", "clusterrolebindings", "mutatingwebhookconfigurations",
                "validatingwebhookconfigurations"]


class Installation:
    """What the chart makes for injectors, in the case's namespace."""

    def __init__(self, env, k8s):
        self.env = env
        self.k8s = k8s
        self.name = f"t{secrets.token_hex(4)}"
        self.folder = env.folder / self.name
        self.folder.mkdir()
        self.replicas = []
        self.webhook = f"0-{self.name}-injector"
        self.fullname = self.name  # as release.apart() has it
        env.stacks.append(self)

    # What a scenario's end asks of a stack.
    @property
    def programs(self):
        return self.replicas

    def log(self, program):
        return program.log_path.read_text(errors="replace")

    async def nothing_left(self):
        pass

    async def stop(self):
        codes = await asyncio.gather(*[asyncio.to_thread(p.stop, 30) for p in self.replicas])
        for kind in CLUSTER_WIDE:
            name = self.webhook if "webhook" in kind else f"{self.fullname}-injector"
            await asyncio.to_thread(self.k8s.api.delete, kind, name)
        assert all(c in (0, None) for c in codes), codes

    async def install(self, **values):
        """Applies the chart's objects; the pods to be served have APART's label."""
        k8s = self.k8s
        tree = release.apart(k8s, self.name, **values)
        text = await k8s.helm("template", self.name, release.CHART, "--no-hooks", "--values", "-",
                              stdin=json.dumps(tree))
        await k8s.apply([t for t in yaml.safe_load_all(text) if t and self.wanted(t)])
        await k8s.apply({"apiVersion": "v1", "kind": "Service",
                         "metadata": {"name": f"{self.fullname}-injector"},
                         "spec": {"ports": [{"name": "webhook", "port": 443}]}})
        config = (await k8s.get("configmaps", f"{self.fullname}-injector"))["data"]
        (self.folder / "settings.yaml").write_text(config["settings.yaml"])
        self.tree = yaml.safe_load(config["injector.yaml"])
        await self.write_token()
        return self

    def wanted(self, tree):
        """Whether it is an object that injectors work with; none of their pods."""
        return tree["kind"] in KINDS and (tree["kind"] == "Secret" or
                                          "injector" in tree["metadata"]["name"])

    async def write_token(self):
        token = await self.k8s.kubectl("create", "token", f"{self.fullname}-injector")
        parts.write_private(self.folder / "token", token.strip())

    def replica(self, start=True, **changes):
        """A process beside those that are there; the Service has it as an endpoint."""
        n, port = len(self.replicas), parts.free_port()
        tree = parts.merge(parts.merge(self.tree, {
            "listen": {"address": f"*:{port}"},
            "admin": {"listen": f"127.0.0.1:{parts.free_port()}"},
            "settings": {"file": str(self.folder / "settings.yaml")},
            "kubernetes": {"server": f"https://{paths.API_SERVICE}:443", "interval": "1s",
                           "token-file": str(self.folder / "token"),
                           "ca-file": str(paths.PKI / "ca.crt")},
            "shutdown": {"lame-duck": "0s"},
        }), changes)
        program = parts.Program("injector", f"injector-{n}", self.folder,
                                parts.ROOT / "build" / self.env.settings.build, tree)
        program.port = port
        self.replicas.append(program)
        return program.start() if start else program

    async def serve(self, *programs):
        """Awaits that they are ready, and lets the Service lead to them."""
        for p in programs:
            async def ready():
                return (await asyncio.to_thread(p.ready))[0]
            try:
                await eventually(ready, f"{p.name} is ready", 30)
            except AssertionError as e:
                raise AssertionError(f"{e}: {await asyncio.to_thread(p.get, '/readyz')}") from None
        await self.k8s.apply([{
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": f"{self.fullname}-{p.name}",
                         "labels": {"kubernetes.io/service-name": f"{self.fullname}-injector"}},
            "addressType": "IPv4", "ports": [{"name": "webhook", "port": p.port}],
            "endpoints": [{"addresses": [paths.NODE_ADDRESS], "conditions": {"ready": True}}],
        } for p in programs])
        address = (await self.k8s.get("services", f"{self.fullname}-injector"))["spec"]["clusterIP"]

        async def leads():  # kube-proxy takes a moment
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address, 443)
                writer.close()
                return True
        await eventually(leads, "the Service leads to them", 20, 0.1)

    # ---- Secrets

    async def secret(self, name):
        """{"ca.crt": text} of <fullname>-name."""
        tree = await self.k8s.get("secrets", f"{self.fullname}-{name}")
        return {k: base64.b64decode(v).decode() for k, v in (tree.get("data") or {}).items()}

    async def wipe(self, name):
        await asyncio.to_thread(
            self.k8s.api.request, "PATCH",
            path_of("secrets", f"{self.fullname}-{name}", self.k8s.namespace), {"data": None},
            "application/merge-patch+json")

    async def bundles(self):
        """The caBundle of every entry of both configurations."""
        found = []
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            tree = await self.k8s.get(kind, self.webhook)
            found += [base64.b64decode(w["clientConfig"].get("caBundle", "")).decode()
                      for w in tree["webhooks"]]
        return found

    async def set_bundles(self, text):
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            tree = await self.k8s.get(kind, self.webhook)
            change = [{"op": "replace", "path": f"/webhooks/{i}/clientConfig/caBundle",
                       "value": base64.b64encode(text.encode()).decode()}
                      for i in range(len(tree["webhooks"]))]
            await asyncio.to_thread(self.k8s.api.request, "PATCH", path_of(kind, self.webhook),
                                    change, "application/json-patch+json")

    async def healed(self, bundle, timeout_s=10):
        async def look():
            return set(await self.bundles()) == {bundle}
        await eventually(look, "every caBundle is that of the Secret", timeout_s, 0.1)

    # ---- pods, that are not kept

    async def try_pod(self, namespace, annotations=None, labels=None, **spec):
        """kubectl create --dry-run=server of a pod: all webhooks are asked, nothing is kept."""
        tree = {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": f"p-{secrets.token_hex(4)}", "labels": labels or {},
                             "annotations": annotations or {}},
                "spec": {"containers": [{"name": "app", "image": "app"}]} | spec}
        return await self.k8s.try_kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                                          namespace=namespace, stdin=json.dumps(tree))

    async def served_namespace(self, **labels):
        return await self.k8s.make_namespace(
            "served", {release.APART: self.name, "sqmqos.io/inject": "true"} | labels)


def sidecar(pod):
    return [c for c in pod["spec"].get("initContainers", []) if c["name"] == "sqmqos-sidecar"]

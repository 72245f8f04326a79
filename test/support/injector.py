"""An injector with certificates of files, as it runs without an API server, and what an
API server would send it."""

import asyncio
import base64
import copy
import http.client
import json
import os
import pathlib
import ssl
import subprocess

import stack as parts
from cluster import eventually

SERVICE = "sqmqos-injector.sqmqos-system.svc"
SETTINGS = {"version": "0.1.0", "namespace": "sqmqos-system", "fullname": "sqmqos",
            "clusterDomain": "cluster.local"}


def write_authority(folder):
    run_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "30", "-subj", "/CN=test CA", "-keyout", folder / "ca.key",
                "-out", folder / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def make_pair(folder, name, service=SERVICE, days=30):
    """A certificate of the authority in 'folder' for the webhook: (certificate, key)."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    run_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", days, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                "-subj", f"/CN={name}", "-keyout", key, "-out", cert,
                "-addext", f"subjectAltName=DNS:{service}",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=serverAuth")
    return cert.read_bytes(), key.read_bytes()


def run_openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          umask=0o077)
    assert done.returncode == 0, done.stderr


def replace(path, data):
    """As kubelet does: another file under the same name, at once."""
    beside = pathlib.Path(f"{path}.new")
    beside.write_bytes(data)
    os.replace(beside, path)


class Injector:
    def __init__(self, env, **changes):
        self.folder = env.folder / f"injector-{len(env.stacks)}"
        self.folder.mkdir(parents=True)
        write_authority(self.folder)
        self.use_pair(make_pair(self.folder, "first"))
        self.write_settings(SETTINGS)
        self.port = parts.free_port()
        tree = parts.merge({
            "listen": {"address": f"127.0.0.1:{self.port}"},
            "admin": {"listen": f"127.0.0.1:{parts.free_port()}"},
            "settings": {"file": str(self.folder / "settings.yaml")},
            "certificates": {"mode": "files", "cert-file": str(self.folder / "tls.crt"),
                             "key-file": str(self.folder / "tls.key"),
                             "ca-file": str(self.folder / "ca.pem")},
            "kubernetes": {"interval": "100ms"},
            "shutdown": {"lame-duck": "0s"},
            "log": {"level": "debug"},
        }, changes)
        self.program = parts.Program("injector", "injector", self.folder,
                                     parts.ROOT / "build" / env.settings.build, tree)
        env.stacks.append(self)

    # What a scenario's end asks of a stack.
    @property
    def programs(self):
        return [self.program]

    def log(self, program):
        return program.log_path.read_text(errors="replace")

    async def nothing_left(self):
        pass

    async def stop(self):
        code = await asyncio.to_thread(self.program.stop, 20)
        assert code in (0, None), f"the injector {parts.describe_exit(code)}"

    async def start(self):
        self.program.start()
        await eventually(self.ready, "the injector is ready")
        return self

    async def ready(self):
        return (await asyncio.to_thread(self.program.ready))[0]

    def use_pair(self, pair):
        replace(self.folder / "tls.crt", pair[0])
        replace(self.folder / "tls.key", pair[1])

    def write_settings(self, tree):
        replace(self.folder / "settings.yaml", parts.yaml(tree).encode())

    # ---- as the API server

    def context(self, alpn=("http/1.1",)):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, timeout_s=20, **options):
        """A TLS connection to the webhook, by the name that the API server asks for."""
        raw = parts.socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        try:
            return self.context(**options).wrap_socket(raw, server_hostname=SERVICE)
        except BaseException:
            raw.close()
            raise

    def request(self, method, path, body=b"", headers=None, sock=None):
        """(status, headers, body), over a connection of its own or one that is open."""
        own = sock is None
        connection = http.client.HTTPConnection(SERVICE)
        connection.sock = self.connect() if own else sock
        try:
            connection.request(method, path, body, {"content-type": "application/json"}
                               if headers is None else headers)
            answer = connection.getresponse()
            headers = {k.lower(): v for k, v in answer.getheaders()}
            return answer.status, headers, answer.read()
        finally:
            if own:
                connection.close()

    async def ask(self, path, review, sock=None):
        """The response to a review."""
        status, headers, body = await asyncio.to_thread(
            self.request, "POST", path, json.dumps(review).encode(), None, sock)
        assert (status, headers["content-type"]) == (200, "application/json"), (status, body)
        answer = json.loads(body)
        assert (answer["apiVersion"], answer["kind"]) == (review["apiVersion"], review["kind"])
        assert answer["response"]["uid"] == review["request"]["uid"]
        return answer["response"]


def pod(annotations=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": "app-", "labels": {"sqmqos.io/inject": "true"},
                         "annotations": annotations or {}},
            "spec": {"containers": [{"name": "app", "image": "app"}], **spec}}


def deployment(annotations=None, labels=None, **spec):
    template = pod(annotations, **spec)
    template["metadata"]["labels"] = labels or {}
    del template["metadata"]["generateName"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
            "spec": {"replicas": 1, "template": {k: template[k] for k in ("metadata", "spec")}}}


def review(obj, operation="CREATE", old=None, uid="705ab4f5-6393-11e8-b7cc-42010a800002"):
    group, _, version = obj["apiVersion"].rpartition("/")
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": uid, "kind": {"group": group, "version": version, "kind": obj["kind"]},
        "resource": {"group": group, "version": version, "resource": obj["kind"].lower() + "s"},
        "namespace": "shop", "operation": operation, "userInfo": {"username": "test"},
        "object": copy.deepcopy(obj), "oldObject": copy.deepcopy(old), "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"}}}


def patch_of(response):
    assert response["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(response["patch"], validate=True))

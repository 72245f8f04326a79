"""Requests to the cluster's API server as its administrator, and the way into the
node's network.  Blocking; one connection, kept."""

import ctypes
import http.client
import json
import os
import ssl
import threading
import urllib.parse

from . import paths

CLONE_NEWNET = 0x40000000
TIMEOUT_S = 20

# Kind (as kubectl's plural) to the API's path; which of them belong to no namespace.
GROUPS = {
    "/api/v1": "pods services endpoints configmaps secrets serviceaccounts events namespaces nodes"
               " persistentvolumes persistentvolumeclaims limitranges resourcequotas",
    "/apis/apps/v1": "deployments statefulsets daemonsets replicasets controllerrevisions",
    "/apis/batch/v1": "jobs cronjobs",
    "/apis/rbac.authorization.k8s.io/v1": "roles rolebindings clusterroles clusterrolebindings",
    "/apis/networking.k8s.io/v1": "networkpolicies ingresses",
    "/apis/policy/v1": "poddisruptionbudgets",
    "/apis/discovery.k8s.io/v1": "endpointslices",
    "/apis/storage.k8s.io/v1": "storageclasses",
    "/apis/autoscaling/v2": "horizontalpodautoscalers",
    "/apis/admissionregistration.k8s.io/v1":
        "mutatingwebhookconfigurations validatingwebhookconfigurations",
}
ROOTS = {kind: root for root, kinds in GROUPS.items() for kind in kinds.split()}
CLUSTER_WIDE = frozenset(
    "namespaces nodes persistentvolumes clusterroles clusterrolebindings storageclasses"
    " mutatingwebhookconfigurations validatingwebhookconfigurations".split())


def enter_network():
    """The calling thread, and whatever it starts, is in the node's network from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(paths.NETNS) as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {paths.NETNS}: "
                          + os.strerror(ctypes.get_errno()))


def plural(kind):
    kind = kind.lower()
    for name in (kind, kind + "s", kind + "es", kind[:-1] + "ies"):
        if name in ROOTS:
            return name
    raise KeyError(f"the harness knows no kind '{kind}'; see GROUPS in {__file__}")


def path_of(kind, name=None, namespace=None):
    kind = plural(kind)
    middle = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_WIDE else ""
    return f"{ROOTS[kind]}{middle}/{kind}" + (f"/{name}" if name else "")


class Refused(Exception):
    """The API server's answer was an error."""

    def __init__(self, status, body):
        self.status = status
        self.body = body
        message = body.get("message") if isinstance(body, dict) else body
        super().__init__(f"{status}: {message}")


class Api:
    """Thread: its functions may be called by any."""

    def __init__(self):
        self.tls = ssl.create_default_context(cafile=paths.PKI / "ca.crt")
        self.tls.load_cert_chain(paths.PKI / "admin.crt", paths.PKI / "admin.key")
        self.lock = threading.Lock()
        self.connection = None

    def exchange(self, method, path, data, headers):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(
                paths.NODE_ADDRESS, paths.API_PORT, timeout=TIMEOUT_S, context=self.tls)
        try:
            self.connection.request(method, path, data, headers)
            response = self.connection.getresponse()
            return response.status, response.read().decode()
        except BaseException:
            self.connection.close()
            self.connection = None
            raise

    def request(self, method, path, body=None, content_type="application/json", query=None):
        """The answer's tree, or its text where it isn't JSON; raises Refused."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if data else {}
        with self.lock:
            kept = self.connection is not None
            try:
                status, text = self.exchange(method, path, data, headers)
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                if not kept:
                    raise
                status, text = self.exchange(method, path, data, headers)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        if status >= 300:
            raise Refused(status, answer)
        return answer

    def get(self, kind, name, namespace=None):
        """The object, or None."""
        try:
            return self.request("GET", path_of(kind, name, namespace))
        except Refused as e:
            if e.status == 404:
                return None
            raise

    def list(self, kind, namespace=None, selector=None):
        """Objects of a kind; of all namespaces where none is named."""
        query = {"labelSelector": selector} if selector else None
        return self.request("GET", path_of(kind, None, namespace), query=query)["items"]

    def delete(self, kind, name, namespace=None, grace_s=None):
        """Whether there was one."""
        query = None if grace_s is None else {"gracePeriodSeconds": grace_s}
        try:
            self.request("DELETE", path_of(kind, name, namespace), query=query)
            return True
        except Refused as e:
            if e.status == 404:
                return False
            raise

    def create(self, kind, tree, namespace=None):
        return self.request("POST", path_of(kind, None, namespace), tree)

"""The cluster's authority, its certificates and kubeconfigs, and the key that signs
the tokens of service accounts.  All by openssl, all in paths.PKI."""

import concurrent.futures
import json
import subprocess

from . import paths

DAYS = "365"
NODE = "node"

# Client certificates: name, common name, organization.
CLIENTS = (
    ("admin", "admin", "system:masters"),
    ("apiserver-kubelet", "kube-apiserver", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kube-proxy", "system:kube-proxy", None),
    ("kubelet", f"system:node:{NODE}", "system:nodes"),
)
API_NAMES = ("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
             f"DNS:kubernetes.default.svc.{paths.DOMAIN}", "DNS:localhost", "IP:127.0.0.1",
             f"IP:{paths.API_SERVICE}", f"IP:{paths.NODE_ADDRESS}")


def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def certificate(name, subject, *extensions, issuer=None):
    """Writes NAME.key and NAME.crt; signed by itself where no issuer is named."""
    signing = ("-CA", paths.PKI / f"{issuer}.crt", "-CAkey", paths.PKI / f"{issuer}.key") \
        if issuer else ()
    added = [word for e in extensions for word in ("-addext", e)]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", DAYS, "-subj", subject, *added, *signing,
            "-keyout", paths.PKI / f"{name}.key", "-out", paths.PKI / f"{name}.crt")


def client_certificate(name, common_name, organization):
    subject = (f"/O={organization}" if organization else "") + f"/CN={common_name}"
    certificate(name, subject, "basicConstraints=critical,CA:FALSE",
                "extendedKeyUsage=clientAuth", issuer="ca")


def server_certificate():
    certificate("apiserver", "/CN=kube-apiserver", "basicConstraints=critical,CA:FALSE",
                "extendedKeyUsage=serverAuth", "subjectAltName=" + ",".join(API_NAMES),
                issuer="ca")


def signing_key():
    openssl("genrsa", "-out", paths.PKI / "sa.key", "2048")
    openssl("rsa", "-in", paths.PKI / "sa.key", "-pubout", "-out", paths.PKI / "sa.pub")


def kubeconfig(path, client):
    """A kubeconfig (JSON is YAML, too) for the client certificate of that name."""
    tree = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": f"https://{paths.NODE_ADDRESS}:{paths.API_PORT}",
            "certificate-authority": str(paths.PKI / "ca.crt")}}],
        "users": [{"name": client, "user": {
            "client-certificate": str(paths.PKI / f"{client}.crt"),
            "client-key": str(paths.PKI / f"{client}.key")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": client}}],
    }
    path.write_text(json.dumps(tree, indent=1))
    path.chmod(0o600)


def write_all():
    paths.PKI.mkdir(parents=True, mode=0o700)
    certificate("ca", "/CN=sqmqos test cluster", "basicConstraints=critical,CA:TRUE",
                "keyUsage=critical,keyCertSign,cRLSign")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        work = [pool.submit(signing_key), pool.submit(server_certificate)]
        work += [pool.submit(client_certificate, *c) for c in CLIENTS]
        for w in work:
            w.result()
    for name, *_ in CLIENTS:
        if name != "apiserver-kubelet":
            kubeconfig(paths.CONFIG / f"{name}.kubeconfig", name)
    kubeconfig(paths.KUBECONFIG, "admin")

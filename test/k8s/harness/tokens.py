"""Tokens of service accounts, made by the cluster's own key: good ones, and each kind of
bad one.  Only the test has that key; nobody else can expire a token."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import time

from . import paths

ISSUER = "https://kubernetes.default.svc"
KEY = paths.PKI / "sa.key"
PUBLIC_KEY = paths.PKI / "sa.pub"


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_url64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_id(public_key=PUBLIC_KEY):
    """The kid that the API server gives a public key (a PEM file)."""
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", public_key, "-outform", "DER"],
                         check=True, capture_output=True).stdout
    return url64(hashlib.sha256(der).digest())


def claims(namespace, account, uid, audience, lifetime_s=3600, pod=None, pod_uid=None):
    """What the API server writes into a token of that account; lifetime_s may be negative."""
    now = int(time.time())
    bound = {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}}
    if pod:
        bound["pod"] = {"name": pod, "uid": pod_uid}
    return {"aud": [audience], "exp": now + lifetime_s, "iat": min(now, now + lifetime_s) - 10,
            "nbf": min(now, now + lifetime_s) - 10, "iss": ISSUER, "kubernetes.io": bound,
            "sub": f"system:serviceaccount:{namespace}:{account}"}


def sign(algorithm, text, key):
    if algorithm == "none":
        return b""
    if algorithm == "HS256":  # with the bytes of any file as the secret
        return hmac.new(pathlib.Path(key).read_bytes(), text, hashlib.sha256).digest()
    if algorithm == "RS256":
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text,
                              check=True, capture_output=True).stdout
    raise ValueError(f"the harness does not sign by {algorithm}")


def mint(payload, algorithm="RS256", key=KEY, kid=None):
    """A token with that payload: RS256 with a private key, HS256 with a file, or none."""
    header = {"alg": algorithm, "kid": kid if kid is not None else key_id()}
    text = ".".join(url64(json.dumps(part).encode()) for part in (header, payload)).encode()
    return f"{text.decode()}.{url64(sign(algorithm, text, key))}"


def parts_of(token):
    """(header, payload), unverified."""
    header, payload, _ = token.split(".")
    return json.loads(from_url64(header)), json.loads(from_url64(payload))


def stranger(folder):
    """A private key that no cluster knows."""
    path = pathlib.Path(folder) / "stranger.key"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path

"""Keys and signed tokens for scenarios, by openssl(1): as a cluster makes them, and as
attackers do."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import time

ISSUER = "https://cluster.test"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, stdin=b""):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout


class Key:
    """An RSA key by the name 'kid' in 'folder'."""

    def __init__(self, folder, kid):
        self.kid = kid
        self.path = pathlib.Path(folder) / f"{kid}-{os.urandom(4).hex()}.key"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                str(self.path))

    def pem(self):
        return openssl("pkey", "-in", str(self.path), "-pubout")

    def jwk(self):
        modulus = openssl("rsa", "-in", str(self.path), "-noout", "-modulus")
        n = bytes.fromhex(modulus.decode().strip().removeprefix("Modulus="))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                "n": base64url(n), "e": "AQAB"}

    def sign(self, claims, header=None):
        text = signing_input(header or {"alg": "RS256", "kid": self.kid}, claims)
        signature = openssl("dgst", "-sha256", "-sign", str(self.path), stdin=text.encode())
        return f"{text}.{base64url(signature)}"


def signing_input(header, claims):
    return ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))


def hashed(secret, header, claims):
    """A token by HMAC, whose secret may be a public key."""
    text = signing_input(header, claims)
    return f"{text}.{base64url(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def key_set(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


def pod_claims(namespace="shop", account="web", pod="web-1", **more):
    """What a projected ServiceAccount token says; an empty pod: it is bound to none."""
    now = int(time.time())
    names = {"namespace": namespace, "serviceaccount": {"name": account, "uid": "u"}}
    if pod:
        names["pod"] = {"name": pod, "uid": "v"}
    return {"iss": ISSUER, "aud": ["sqmqos"], "iat": now, "nbf": now, "exp": now + 3600,
            "sub": f"system:serviceaccount:{namespace}:{account}", "kubernetes.io": names} | more


def replace(path, text):
    """As a mounted volume changes: in one step."""
    fresh = pathlib.Path(f"{path}.new")
    fresh.write_text(text)
    fresh.rename(path)

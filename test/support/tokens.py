"""Signed tokens as an API server makes them for pods (RS256), and the file of keys by
which a broker verifies them. By openssl, so that no code of ours signs and verifies."""

import base64
import json
import subprocess
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*argv, stdin=None):
    return subprocess.run(["openssl", *argv], input=stdin, capture_output=True, check=True).stdout


class Issuer:
    """Who signs tokens; its keys are in 'folder'."""

    def __init__(self, folder, name="https://issuer.test"):
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.key = folder / "issuer.key"
        self.keys_file = folder / "issuer-keys.json"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip()
        n = b64(bytes.fromhex(modulus.split("=")[1]))
        self.keys_file.write_text(json.dumps({"keys": [
            {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": n, "e": "AQAB"}]}))

    def config(self):
        """What a broker is told of it."""
        return {"auth": {"issuers": [{"issuer": self.name, "keys-file": str(self.keys_file)}]}}

    def token(self, namespace, account="default", pod=None, life_s=3600):
        now = int(time.time())
        names = {"namespace": namespace, "serviceaccount": {"name": account, "uid": "u-" + account}}
        if pod is not None:
            names["pod"] = {"name": pod, "uid": "u-" + pod}
        claims = {"iss": self.name, "aud": ["sqmqos"], "iat": now, "nbf": now, "exp": now + life_s,
                  "sub": f"system:serviceaccount:{namespace}:{account}", "kubernetes.io": names}
        text = ".".join(b64(json.dumps(part).encode())
                        for part in ({"alg": "RS256", "kid": "one"}, claims))
        return text + "." + b64(openssl("dgst", "-sha256", "-sign", self.key, stdin=text.encode()))

"""An issuer of pods' tokens, as an API server is one, and the file of keys by which a broker
verifies them. By openssl, so that no code of ours signs and verifies."""

import time

import jwt


class Issuer:
    """Who signs tokens; its keys are in 'folder'."""

    def __init__(self, folder, name="https://issuer.test"):
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.key = jwt.Key(folder, "one")
        self.keys_file = folder / "issuer-keys.json"
        self.keys_file.write_text(jwt.key_set(self.key))

    def config(self):
        """What a broker is told of it."""
        return {"auth": {"issuers": [{"issuer": self.name, "keys-file": str(self.keys_file)}]}}

    def token(self, namespace, account="default", pod=None, life_s=3600):
        return self.key.sign(jwt.pod_claims(namespace, account, pod, iss=self.name,
                                            exp=int(time.time()) + life_s))

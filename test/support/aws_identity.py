"""Who gives credentials for AWS: STS, a container's agent, an instance's metadata (version 2 alone), all on one
port; and whoever asks with them is asked for a signature that is good."""

import dataclasses
import datetime
import hashlib
import hmac
import itertools
import json
import re
import urllib.parse

from sink import Sink

TOKEN = "/latest/api/token"
KEYS = "/latest/meta-data/iam/security-credentials/"
AGENT = "/agent"
ROLE = "sqmqos-test"


@dataclasses.dataclass
class Keys:
    id: str
    secret: str
    token: str
    source: str  # "identity", "role", "agent", "instance", "fixed"
    ends: datetime.datetime

    @property
    def alive(self):
        return now() < self.ends


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class AwsIdentity(Sink):
    """'life_s': of what it gives. 'fails': sources that answer 500. 'identity' and 'auth': the tokens that are
    asked for. 'given': Keys, in order."""

    def __init__(self, life_s=3600):
        self.life_s, self.fails, self.given = life_s, set(), []
        self.identity, self.auth, self.metadata = "an-identity", None, "metadata-token"
        self.numbers = itertools.count(1)
        super().__init__(self.respond)

    def give(self, source):
        n = next(self.numbers)
        keys = Keys(f"ASIA{source.upper()}{n}", f"secret/{source}+{n}", f"token/{source}={n}", source,
                    now() + datetime.timedelta(seconds=self.life_s))
        self.given.append(keys)
        return keys

    def fixed(self, key_id, secret):
        """Keys without an end, as those of files."""
        self.given.append(Keys(key_id, secret, None, "fixed", now() + datetime.timedelta(days=1)))

    def of(self, source):
        return [k for k in self.given if k.source == source]

    # ---- the services

    def respond(self, got):
        if "x-amz-target" in got.headers:  # a service, which asks for no more than a good signature
            why = self.refuses(got, "sqs")
            return self.refused(why, 403) if why else self.json({})
        if got.method == "POST":
            return self.sts(got)
        if got.path == TOKEN:
            good = got.method == "PUT" and "x-aws-ec2-metadata-token-ttl-seconds" in got.headers
            return self.or_fails("instance", lambda: (200, {}, self.metadata.encode()) if good else 400)
        if got.path.startswith(KEYS):
            if got.headers.get("x-aws-ec2-metadata-token") != self.metadata:
                return 401  # version 1
            return self.or_fails("instance", lambda: self.agent("instance") if got.path == KEYS + ROLE
                                 else (200, {}, ROLE.encode()))
        if got.path == AGENT:
            if got.headers.get("authorization") != self.auth:
                return 403
            return self.or_fails("agent", lambda: self.agent("agent"))
        return 404

    def or_fails(self, source, answer):
        return 500 if source in self.fails else answer()

    def agent(self, source):
        keys = self.give(source)
        return self.json({"Code": "Success", "AccessKeyId": keys.id, "SecretAccessKey": keys.secret,
                          "Token": keys.token, "Expiration": keys.ends.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def sts(self, got):
        form = dict(urllib.parse.parse_qsl(got.body.decode(), strict_parsing=True))
        action = form.get("Action")
        if form.get("Version") != "2011-06-15" or got.headers.get("accept") != "application/json":
            return self.refused("InvalidParameterValue")
        if action == "AssumeRoleWithWebIdentity":
            if form["WebIdentityToken"] != self.identity:
                return self.refused("InvalidIdentityToken")
            return self.or_fails("identity", lambda: self.assumed(action, "identity"))
        if action == "AssumeRole":
            if (why := self.refuses(got, "sts")):
                return self.refused(why, 403)
            return self.or_fails("role", lambda: self.assumed(action, "role"))
        return self.refused("InvalidAction")

    def assumed(self, action, source):
        keys = self.give(source)
        return self.json({f"{action}Response": {f"{action}Result": {"Credentials": {
            "AccessKeyId": keys.id, "SecretAccessKey": keys.secret, "SessionToken": keys.token,
            "Expiration": keys.ends.timestamp()}}}})

    def refused(self, code, status=400):
        return self.json({"Error": {"Code": code, "Message": "no", "Type": "Sender"}}, status)

    @staticmethod
    def json(what, status=200):
        return status, {"content-type": "application/json"}, json.dumps(what).encode()

    # ---- signatures

    def refuses(self, got, service):
        """Why a request is not signed with keys that were given (AWS Signature Version 4); None: it is."""
        parts = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                             r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
                             got.headers.get("authorization", ""))
        if not parts:
            return "MissingAuthenticationToken"
        key_id, day, region, signed_for, names, signature = parts.groups()
        keys = next((k for k in self.given if k.id == key_id), None)
        if keys is None or got.headers.get("x-amz-security-token") != keys.token:
            return "UnrecognizedClientException"
        if not keys.alive:
            return "ExpiredTokenException"
        canonical = "\n".join([got.method, got.path, "", *(f"{n}:{got.headers[n].strip()}" for n in names.split(";")),
                               "", names, hashlib.sha256(got.body).hexdigest()])
        scope, key = f"{day}/{region}/{service}/aws4_request", b"AWS4" + keys.secret.encode()
        for word in scope.split("/"):
            key = digest(key, word)
        text = "\n".join(["AWS4-HMAC-SHA256", got.headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        good = signed_for == service and hmac.compare_digest(digest(key, text).hex(), signature) and \
            {"host", "x-amz-date"} <= set(names.split(";"))
        return None if good else "SignatureDoesNotMatch"

"""Signed tokens: sidecars that show them, those that are refused, and where the broker has its
keys from: a file, or an API server that may be away."""

import asyncio
import http.server
import json
import pathlib
import ssl
import threading
import time

import jwt
import stack as parts
from cluster import eventually, metric
from link import Attached, LinkClient, attach, session_path

SECRET_PARTS = ("eyJ",)  # how each signed token begins


async def signed_stack(env, sidecars=1, tls=False, auth=None):
    """A broker that knows one issuer by a file of keys; sidecars of pods of "shop"."""
    folder = env.folder / "signed"
    folder.mkdir()
    key = jwt.Key(folder, "k")
    keys = folder / "keys.json"
    keys.write_text(jwt.key_set(key))
    tokens = []
    stack = await env.stack(
        start=False, sidecars=sidecars, tls=tls,
        broker={"auth": {"tokens-file": None, "issuers": [
            {"issuer": jwt.ISSUER, "keys-file": str(keys)}]} | (auth or {})})
    for i, sidecar in enumerate(stack.sidecars):
        tokens.append(folder / f"token-{i + 1}")
        tokens[-1].write_text(key.sign(jwt.pod_claims(pod=f"pod-{i + 1}")))
        sidecar.tree = parts.merge(sidecar.tree, {
            "auth": {"token-file": str(tokens[-1])}, "identity": {"space": "shop"}})
    return stack, key, keys, tokens


async def open_link(stack, token):
    """(client, status)"""
    link = await LinkClient(stack.broker_port, token).open()
    return link, await link.open_link()


def has_libcurl(program):
    return "libcurl" in pathlib.Path(f"/proc/{program.pid}/maps").read_text()


async def test_sidecars_with_signed_tokens(env):
    """Messages flow; a key that is taken away ends its links, and comes back."""
    stack, key, keys, tokens = await signed_stack(env, sidecars=2, tls=True)
    await stack.start()
    taker = await env.connect(stack.ports[0], "taker")
    await taker.subscribe("t", qos=1)
    giver = await env.connect(stack.ports[1], "giver")
    await giver.publish("t", b"one", 1)
    await eventually(lambda: [m.payload for m in taker.inbox] == [b"one"], "it is delivered")

    other = jwt.Key(env.folder, "other")
    jwt.replace(keys, jwt.key_set(other))

    async def links():
        return await metric(stack.broker, "sqmqos_links")
    await eventually(lambda: is_equal(links(), 0), "no link rests on a key that is gone")
    assert "what proved it is gone" in stack.log(stack.broker)
    reason = 'sqmqos_auth_refused_total{reason="unknown-key"}'
    await eventually(lambda: metric(stack.broker, reason), "they come again, in vain")
    await eventually(lambda: "HTTP 401" in stack.log(stack.sidecars[0]), "and say why")

    for i, path in enumerate(tokens):  # renewed, as kubelet does
        jwt.replace(path, other.sign(jwt.pod_claims(pod=f"pod-{i + 1}")))
    await stack.linked()
    await giver.publish("t", b"two", 1)
    await eventually(lambda: [m.payload for m in taker.inbox] == [b"one", b"two"], "it goes on")
    for program in stack.programs:
        assert not any(part in stack.log(program) for part in SECRET_PARTS)
        assert not has_libcurl(program), "nobody is asked for anything"


async def is_equal(coroutine, wanted):
    return await coroutine == wanted


async def test_tokens_that_are_refused(env):
    """Each with 401, a reason in the metrics, and a line that does not have the token."""
    stack, key, _, _ = await signed_stack(env)
    await stack.start()
    stranger = jwt.Key(env.folder, "k")
    now = int(time.time())
    good = jwt.pod_claims()
    cases = [
        ("audience", key.sign(jwt.pod_claims(aud=["https://kubernetes.default.svc"]))),
        ("expired", key.sign(jwt.pod_claims(exp=now - 61))),
        ("not-yet", key.sign(jwt.pod_claims(nbf=now + 300))),
        ("issuer", key.sign(jwt.pod_claims(iss="https://other.test"))),
        ("signature", stranger.sign(good)),
        ("unknown-key", stranger.sign(good, {"alg": "RS256", "kid": "s"})),
        ("algorithm", jwt.hashed(key.pem(), {"alg": "HS256", "kid": "k"}, good)),
        ("algorithm", key.sign(good, {"alg": "none", "kid": "k"})),
        ("malformed", jwt.signing_input({"alg": "none"}, good) + "."),
        ("claims", key.sign({k: v for k, v in good.items() if k != "kubernetes.io"})),
        ("missing", None),
    ]
    for reason, token in cases:
        name = f'sqmqos_auth_refused_total{{reason="{reason}"}}'
        before = await metric(stack.broker, name)
        link, status = await open_link(stack, token)
        assert status == 401, (reason, status)
        assert await metric(stack.broker, name) == before + 1, reason
        await link.close()
    log = stack.log(stack.broker)
    line = ("refused with 401, audience: the token is for another audience (signed: issuer "
            f"{jwt.ISSUER}, namespace shop, service account web, pod web-1)")
    assert line in log, log
    assert "refused with 401, signature" in log and "(not verified: issuer" in log
    assert not any(part in log for part in SECRET_PARTS)
    link, status = await open_link(stack, key.sign(good))
    assert status == 200
    await link.close()


class ApiServer:
    """The two documents of an API server, over TLS on 127.0.0.1."""

    def __init__(self, folder, text):
        self.port = parts.free_port()
        self.folder = folder
        self.text = text  # of the key set
        self.asked = []
        self.server = None

    def start(self):
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                me.asked.append((self.path, self.headers.get("authorization")))
                body = {"/openid/v1/jwks": me.text,
                        "/.well-known/openid-configuration": json.dumps(
                            {"issuer": jwt.ISSUER, "jwks_uri": "https://10.0.0.1/keys"})}
                known = self.path in body
                text = body.get(self.path, "").encode()
                self.send_response(200 if known else 404)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.folder / "broker.pem", self.folder / "broker.key")
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


async def test_keys_of_an_api_server(env):
    """Not ready without keys, and it says so; an API server that is away later, or while the
    broker starts again, changes nothing; a session's owner comes back with the store."""
    folder = env.folder / "api"
    folder.mkdir()
    parts.write_certificates(folder)
    (folder / "token").write_text("the-brokers-own\n")
    key = jwt.Key(folder, "k")
    api = ApiServer(folder, jwt.key_set(key))
    env.check_leftovers = False  # a durable session stays
    stack = await env.stack(start=False, sidecars=0, tls=False, broker={"auth": {
        "tokens-file": None, "kubernetes": True, "api-server": f"https://127.0.0.1:{api.port}",
        "api-token-file": str(folder / "token"), "api-ca-file": str(folder / "ca.pem")}})
    stack.broker.start()

    async def refuses():
        status, text = await asyncio.to_thread(stack.broker.get, "/readyz")
        return status == 503 and "no keys to verify tokens with: auth.kubernetes: GET " in text
    await eventually(refuses, "/readyz says that there are no keys, and why")
    web, other = key.sign(jwt.pod_claims()), key.sign(jwt.pod_claims(account="other", pod="o-1"))
    link, status = await open_link(stack, web)
    assert status == 503
    await link.close()

    api.start()
    await stack.ready(stack.broker)
    assert has_libcurl(stack.broker)
    assert ("/openid/v1/jwks", "Bearer the-brokers-own") in api.asked
    assert {path for path, _ in api.asked} == {"/openid/v1/jwks",
                                               "/.well-known/openid-configuration"}
    link, status = await open_link(stack, web)
    assert status == 200
    path = session_path("shop~work~app")
    answer = await link.request("PUT", path, attach(link, clean=True, expiry=3600))
    assert answer.status == 200, answer
    incarnation = Attached.parse(answer.body).incarnation
    api.stop()
    assert (await link.request("PUT", path, attach(link, ordinal=2, clean=False, expiry=3600))
            ).status == 200
    await link.close()

    await stack.end(stack.broker)
    stack.broker.start()
    await stack.ready(stack.broker)
    assert "keys of https://cluster.test from the last run" in stack.log(stack.broker)
    link, status = await open_link(stack, other)
    assert status == 200
    answer = await link.request("PUT", path, attach(link, clean=False, expiry=3600))
    assert answer.status == 403, answer
    await link.close()
    link, status = await open_link(stack, web)
    answer = await link.request("PUT", path, attach(link, clean=False, expiry=3600))
    assert answer.status == 200 and Attached.parse(answer.body).incarnation == incarnation
    await link.close()
    await eventually(lambda: metric(stack.broker, "sqmqos_auth_keys"), "keys are counted")
    assert not any(part in stack.log(stack.broker) for part in SECRET_PARTS)
    assert "the-brokers-own" not in stack.log(stack.broker)

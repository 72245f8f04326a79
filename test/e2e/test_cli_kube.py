"""sqmqos --kube-context (docs/cli.md): a kubeconfig, and a broker behind the pod proxy of an API
server.  Here a small one stands in; test/k8s/test_cli.py asks a real one."""

import base64
import contextlib
import http.client
import http.server
import json
import ssl
import stat
import sys
import threading

import yaml
from client_ca import ClientCa
from cluster import eventually
from command import Command
from tokens import Issuer

OTHER = "127.0.0.2"  # from where the proxy asks, which is no loopback by the broker's rules
PODS = "/api/v1/namespaces/sqmqos-system/pods"
LABELS = "labelSelector=app.kubernetes.io%2Fname%3Dsqmqos%2Capp.kubernetes.io%2Fcomponent%3Dbroker"


def pod(name, ready=True, port=9090, **metadata):
    return {"metadata": {"name": name} | metadata, "spec": {"containers": [
        {"name": "broker", "ports": [{"name": "link", "containerPort": 7443},
                                     {"name": "admin", "containerPort": port}]}]},
            "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def status(code, message):
    return code, {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


class ApiServer:
    """An HTTPS server that wants a client's certificate or the token, and passes on what is for the
    proxy, without Authorization."""

    def __init__(self, env, broker=None, host="localhost"):
        self.ca = ClientCa(env.folder / "server-ca")
        self.users = ClientCa(env.folder / "user-ca")
        self.cert = self.users.issue("admin")
        self.token = "secret-of-the-user"
        self.pods = [pod("sqmqos-broker-0")]
        self.denied = None  # the message of a 403
        self.asked = []
        self.hosts = set()
        pair = self.ca.issue("server", *(f"DNS:{host}", *(["IP:127.0.0.1"] if host == "localhost" else [])),
                             usage="serverAuth")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.load_verify_locations(self.users.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                api.asked.append(f"{self.command} {self.path}")
                api.hosts.add(self.headers["Host"])
                code, document = api.answer(self, body, broker)
                text = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(text)
            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, body, broker):
        if not handler.connection.getpeercert() and \
                handler.headers["Authorization"] != f"Bearer {self.token}":
            return status(401, "Unauthorized")
        if self.denied:
            return status(403, self.denied)
        path = handler.path
        if path == f"{PODS}?{LABELS}&limit=50":
            return 200, {"kind": "PodList", "items": self.pods}
        for one in self.pods:
            name = one["metadata"]["name"]
            port = one["spec"]["containers"][0]["ports"][1]["containerPort"]
            if path == f"{PODS}/{name}":
                return 200, one
            if path.startswith(f"{PODS}/{name}:{port}/proxy/") and broker:
                return self.proxied(handler, path.split("/proxy", 1)[1], body, broker)
        return status(404, f'pods "{path}" not found')

    def proxied(self, handler, path, body, broker):
        connection = http.client.HTTPConnection("127.0.0.1", broker.admin_port, timeout=10,
                                                source_address=(OTHER, 0))
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("authorization", "content-length")}
        connection.request(handler.command, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def config(self, user, server=None, **cluster):
        """A kubeconfig of this server."""
        return {"apiVersion": "v1", "kind": "Config", "current-context": "dev", "preferences": {},
                "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {
                    "server": server or f"https://localhost:{self.port}"} | cluster}],
                "users": [{"name": "u", "user": user}]}

    def close(self):
        self.server.shutdown()


def data(path):
    return base64.b64encode(path.read_bytes()).decode()


@contextlib.contextmanager
def api_server(env, *args, **options):
    api = ApiServer(env, *args, **options)
    try:
        yield api
    finally:
        api.close()


def command(env, tree, name="kubeconfig", context="dev", more=()):
    path = env.folder / name
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return Command(env, "--kube-context", context, "--kubeconfig", path, *more)


def plugin(env, text):
    path = env.folder / "plugin"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


GIVES_TOKEN = """
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["kind"] == "ExecCredential" and info["spec"]["cluster"]["server"].startswith("https://")
assert sys.argv[1:] == ["a b", "$x"] and os.environ["MINE"] == "1" and sys.stdin.read() == ""
json.dump({"apiVersion": info["apiVersion"], "kind": "ExecCredential",
           "status": {"token": "secret-of-the-user"}}, sys.stdout)
"""


async def test_a_broker_behind_the_proxy(env):
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(sidecars=1, start=False, broker=issuer.config() | {
        "acl": [{"allow": ["operate", "manage"], "identity": "kube:shop/ops"}]})
    stack.broker.tree["admin"]["listen"] = f"*:{stack.broker.admin_port}"
    await stack.start()
    token = env.folder / "broker-token"
    token.write_text(issuer.token("shop", "ops"))
    with api_server(env, stack.broker) as api:
        cert, key = api.cert
        (env.folder / "folder").mkdir()
        (env.folder / "folder" / "user-token").write_text(api.token + "\n")
        relative = {"client-certificate": str(cert.relative_to(env.folder)),
                    "client-key": str(key.relative_to(env.folder))}
        execs = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin",
                          "args": ["a b", "$x"], "env": [{"name": "MINE", "value": "1"}],
                          "interactiveMode": "IfAvailable", "provideClusterInfo": True}}
        plugin(env, GIVES_TOKEN)
        for user, cluster in (
                ({"client-certificate-data": data(cert), "client-key-data": data(key)},
                 {"certificate-authority-data": data(api.ca.pem)}),
                (relative, {"certificate-authority": str(api.ca.pem.relative_to(env.folder))}),
                ({"token": api.token}, {"insecure-skip-tls-verify": True}),
                ({"token": "an old one", "tokenFile": "folder/user-token"},
                 {"certificate-authority": str(api.ca.pem)}),
                (execs, {"certificate-authority": str(api.ca.pem)})):
            sqmqos = command(env, api.config(user, **cluster), more=("--token-file", token))
            out, error = await sqmqos.run("queues", "ls", "--space", "shop")
            assert out.startswith("QUEUE ") and not error, (user, error)
        # Without a token of the broker's: it is the broker that says so, and what to do.
        config = api.config({"token": api.token}, **{"certificate-authority": str(api.ca.pem)})
        bare = command(env, config)
        _, error = await bare.run("queues", "ls", code=1)
        assert f"context dev of {env.folder}/kubeconfig: https://localhost:{api.port}{PODS}/sqmqos-broker-0:9090" in error
        assert "status 401, wanted is a token" in error and "--token-file FILE" in error, error
        assert api.token not in error
        # What changes something goes by POST and DELETE.
        sqmqos = command(env, config, more=("--token-file", token))
        tail = await sqmqos.start("tail", "a/#", "--space", "shop")

        async def asked(what):
            return any(line.startswith(f"{what} {PODS}/sqmqos-broker-0:9090/proxy/v1/tap") for line in api.asked)
        for what in ("POST", "GET"):
            await eventually(lambda what=what: asked(what), f"{what} to the tap")
        await sqmqos.interrupt(tail)
        assert await asked("DELETE"), api.asked
        _, error = await sqmqos.run("queues", "purge", "shop~web~nobody", "--yes", code=3)
        assert f"POST {PODS}/sqmqos-broker-0:9090/proxy/v1/do/queues/purge" in api.asked, api.asked
        assert "context dev of " in error and "API server says" not in error, error
        # RBAC denies: the API server says so, and what is needed.
        api.denied = 'pods is forbidden: User "x\x1b" cannot list resource "pods"'
        _, error = await sqmqos.run("queues", "ls", code=1)
        assert 'status 403, the API server says: pods is forbidden: User "x\\u001b"' in error, error
        assert "get on pods/proxy" in error and "--pod NAME:PORT" in error
        api.denied = None
        api.token = "another"
        _, error = await sqmqos.run("queues", "ls", code=1)
        assert "status 401, the API server says: Unauthorized; it does not take this context's" in error, error
    env.check_leftovers = False


async def test_the_pod_is_found(env):
    with api_server(env) as api:
        config = api.config({"token": api.token}, **{"certificate-authority": str(api.ca.pem)})
        sqmqos = command(env, config)

        async def says(*words, argv=(), code=1):
            _, error = await sqmqos.run("queues", "ls", *argv, code=code)
            assert error.count("\n") == 1 and all(word in error for word in words), error
        api.pods = [pod("old", ready=False), pod("going", deletionTimestamp="now"), pod("new", port=9999)]
        await says(f"{PODS}/new:9999/proxy/v1/view", "status 404")
        api.pods = [pod("a"), pod("b")]
        await says("namespace sqmqos-system has several brokers: a, b; --pod names one")
        of = {name: {"labels": {"app.kubernetes.io/instance": name}} for name in ("one", "two")}
        api.pods = [pod("a", **of["one"]), pod("b", **of["one"])]  # any of them answers
        await says(f"{PODS}/a:9090/proxy/v1/view", "status 404")
        api.pods = [pod("a", **of["one"]), pod("b", **of["one"]), pod("c", **of["two"])]
        await says("has several brokers: a, c; --pod")
        await says(f"{PODS}/b:9090/proxy/v1/view", argv=("--pod", "b"))
        api.asked.clear()
        await says(f"{PODS}/c:1234/proxy/v1/view", argv=("--pod", "c:1234"))
        assert all("/c:1234/proxy/" in line for line in api.asked), "the pod itself need not be seen"
        api.pods = []
        await says("has no broker that is ready", "--kube-namespace")
        await says("/api/v1/namespaces/elsewhere/pods", "404", argv=("--kube-namespace", "elsewhere"))
        await says("--kube-namespace is no name", argv=("--kube-namespace", "a/../b"), code=2)
        for wrong in ("a/b", "A", "", "a:", "a:0", "a:70000", "a:x", "x" * 254):
            await says("--pod is NAME or NAME:PORT", argv=("--pod", wrong), code=2)
        await says("two places", argv=("--admin", "x"), code=2)
        _, error = await Command(env).run("queues", "ls", "--pod", "x", code=2)
        assert "--pod says nothing without --kube-context" in error


async def test_the_server_is_who_it_should_be(env):
    with api_server(env, host="api.example") as api:
        user = {"token": api.token}

        async def says(word, server=None, **cluster):
            _, error = await command(env, api.config(user, server, **cluster)).run("queues", "ls", code=1)
            assert word in error, error
        trusted = {"certificate-authority": str(api.ca.pem)}
        await says("certificate", **trusted)  # of another name
        await says("certificate", **{"certificate-authority": str(api.users.pem), "tls-server-name": "api.example"})
        await says("certificate", **{"tls-server-name": "api.example"})
        assert not api.asked, "nobody asked, no token was sent"
        await says("status 404", **trusted | {"tls-server-name": "api.example"})
        assert api.hosts == {f"localhost:{api.port}"}, api.hosts
        await says("status 404", f"https://127.0.0.1:{api.port}", **trusted | {"tls-server-name": "api.example"})
        await says("status 404", **{"insecure-skip-tls-verify": True})


async def test_kubeconfigs_that_are_none(env):
    with api_server(env) as api:
        good = api.config({"token": api.token}, **{"insecure-skip-tls-verify": True})

        async def says(tree, *words, context="dev", code=2):
            out, error = await command(env, tree, context=context).run("queues", "ls", code=code)
            assert not out and error.count("\n") == 1, error
            for word in (f"{env.folder}/kubeconfig", *words):
                assert word in error, (word, error)
            assert "secret" not in error, error
        await says("a: [b", ":1:", "")
        await says("- a\n", "no kubeconfig")
        await says("x" * ((1 << 20) + 1), "")
        await says(good, "context pro", "is not there; there are: dev", context="pro")
        for kind, member in (("clusters", "cluster"), ("users", "user")):
            await says(good | {kind: []}, f"context dev: {member} {'c' if member == 'cluster' else 'u'}: "
                       "is in none of the files; there are: none")

        async def cluster(word, **more):
            await says(api.config({"token": api.token}, **more), "context dev: cluster c: " + word)

        async def user(word, **more):
            await says(api.config(more, **{"insecure-skip-tls-verify": True}), "context dev: user u: " + word)
        await cluster("server is no https:// address", server="ftp://x")
        await cluster("server is no text", server=3)
        await cluster("certificate-authority-data is no base64", **{"certificate-authority-data": "%%"})
        await cluster("certificate-authority-data has no PEM", **{"certificate-authority-data": "aGk="})
        await cluster(f"certificate-authority: {env.folder}/none: No such file", **{"certificate-authority": "none"})
        await cluster("insecure-skip-tls-verify is true or false", **{"insecure-skip-tls-verify": "yes please"})
        await user("client-certificate and client-key are there together",
                   **{"client-certificate-data": data(api.cert[0])})
        await user("token does not hold one token", token="secret one and secret two")
        await user("tokenFile: ", tokenFile="none")
        await user("username is not spoken here", username="x", password="secret")
        await user("as is not spoken here", token=api.token, **{"as": "root"})
        plain = api.config({"token": api.token}, f"http://localhost:{api.port}")
        await says(plain, "token is not sent in clear text")

        async def runs(word, text=None, **more):
            if text is not None:
                plugin(env, text)
            await user("exec: ./plugin: " + word if text is not None else "exec: " + word, exec={
                "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin"} | more)
        await runs("command is missing", command="")
        await runs("apiVersion is neither", apiVersion="client.authentication.k8s.io/v1alpha1")
        await runs("it wants a terminal", interactiveMode="Always")
        await runs("it has ended with code 3", "raise SystemExit(3)")
        await runs("it was ended by signal 9", "import os; os.kill(os.getpid(), 9)")
        await runs("what it prints is no ExecCredential", "print('secret')")
        await runs("what it prints is no ExecCredential", "print('[' * 1000)")
        await runs("it prints more than 1 MiB", "import sys, time\nsys.stdout.write('x' * (2 << 20))\ntime.sleep(60)")
        kind = '"apiVersion": "client.authentication.k8s.io/v1"'
        await runs("what it prints has no token and no certificate", f"print('{{{kind}, \"status\": {{}}}}')")
        await runs("it gives a certificate without its key",
                   f"print('{{{kind}, \"status\": {{\"clientCertificateData\": \"secret\"}}}}')")
        await runs("args are texts", "", args=[1])
        await user("exec: /none/at/all: No such file", exec={
            "apiVersion": "client.authentication.k8s.io/v1", "command": "/none/at/all"})
        _, error = await Command(env, "--kube-context", "x", "--kubeconfig", "/none").run("queues", "ls", code=2)
        assert "/none: no such file" in error and "KUBECONFIG" in error, error
        _, error = await Command(env, "--kube-context", "in-cluster", "--kubeconfig", "/none").run(
            "queues", "ls", code=2)
        assert "KUBERNETES_SERVICE_HOST is not set: this is no pod" in error, error


async def test_several_files_are_one(env):
    with api_server(env) as api:
        whole = api.config({"token": api.token}, **{"certificate-authority": "server-ca/ca.pem"})
        (env.folder / "one").write_text(yaml.safe_dump({"contexts": whole["contexts"], "users": [
            {"name": "u", "user": {"token": api.token}}]}))
        (env.folder / "two").write_text(yaml.safe_dump(
            {"clusters": whole["clusters"], "users": [{"name": "u", "user": {"token": "wrong"}}]}))
        (env.folder / "empty").write_text("")
        files = ":".join(str(env.folder / name) for name in ("none", "empty", "one", "two"))
        _, error = await Command(env, "--kube-context", "dev").run(
            "queues", "ls", code=1, environment={"KUBECONFIG": files})
        assert f"context dev of {env.folder}/one: " in error and "status 404" in error, error
        # One that stands alone in its usual place.
        (env.folder / ".kube").mkdir()
        (env.folder / ".kube" / "config").write_text(yaml.safe_dump(
            api.config({"token": api.token}, **{"insecure-skip-tls-verify": True})))
        _, error = await Command(env, "--kube-context", "dev").run(
            "queues", "ls", code=1, environment={"HOME": str(env.folder), "KUBECONFIG": ""})
        assert f"context dev of {env.folder}/.kube/config: " in error and "status 404" in error, error

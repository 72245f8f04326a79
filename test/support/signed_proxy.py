"""A proxy before a server of SQS that verifies each signature, as no emulator does: it works it out again with
botocore, and answers 403 where it is another. It also fails as it is told."""

import hmac
import http.client
import http.server
import json
import re
import socket
import struct
import threading

import stack as parts
from sqs_tools import REGION, imported

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([^/]+)/sqs/aws4_request), "
                           r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


class Refused(Exception):
    pass


def error(code, message=""):
    return json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode()


class Proxy:
    """'keys': the secret, or the secret and the token, of each key id.

    'fault': a function of the action ("SendMessageBatch") and the request, as JSON; on a thread. None: it passes.
    (status, body): that is the answer, bytes or JSON. "cut": the connection is reset, "cut-after": when the server has
    done it. "hang": no answer until release(). "endless", "slow": an answer without an end. A function: it changes the
    server's answer, JSON."""

    def __init__(self, upstream, keys=None, port=None, fault=lambda action, request: None):
        self.upstream, self.keys, self.fault = upstream, keys or {"AKIATEST": "secret"}, fault
        self.port = port or parts.free_port()
        self.calls = []  # action and request of each that was signed well
        self.refused = []  # why
        self.released = threading.Event()
        self.server, self.connections, self.lock = None, set(), threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def count(self, action):
        return sum(1 for a, _ in self.calls if a == action)

    def verify(self, method, path, headers, body):
        """Raises Refused unless the request is signed by one of the keys, as botocore would."""
        auth, awsrequest = imported("botocore.auth"), imported("botocore.awsrequest")
        credentials = imported("botocore.credentials")
        if (method, path) != ("POST", "/"):
            raise Refused(f"{method} {path}")
        said = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if said is None or said[3] != REGION:
            raise Refused("no signature of this region")
        if said[1] not in self.keys:
            raise Refused("an unknown key")
        known = self.keys[said[1]]
        secret, token = known if isinstance(known, tuple) else (known, None)
        names = said[4].split(";")
        if not {"host", "x-amz-date", "x-amz-target", "content-type"} <= set(names):
            raise Refused(f"signed are {names}")
        if token != headers.get("x-amz-security-token") or (token and "x-amz-security-token" not in names):
            raise Refused("another token, or one that is not signed")
        request = awsrequest.AWSRequest("POST", f"http://{headers['host']}/", {n: headers[n] for n in names}, body)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = auth.SigV4Auth(credentials.Credentials(said[1], secret), "sqs", REGION)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if not hmac.compare_digest(signer.signature(text, request), said[5]):
            raise Refused(f"a wrong signature over {names}")

    def forward(self, headers, body):
        host, port = self.upstream.removeprefix("http://").split(":")
        up = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            up.request("POST", "/", body, {n: headers[n] for n in ("content-type", "x-amz-target", "authorization",
                                                                  "x-amz-date") if n in headers})
            answer = up.getresponse()
            return answer.status, answer.read()
        finally:
            up.close()

    def handle(self, handler):
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {k.lower(): v for k, v in handler.headers.items()}
        try:
            self.verify(handler.command, handler.path, headers, body)
        except Refused as why:
            self.refused.append(str(why))
            return 403, error("InvalidSignatureException", str(why))
        action, request = headers["x-amz-target"].removeprefix("AmazonSQS."), json.loads(body)
        fault = self.fault(action, request)
        self.calls.append((action, request))
        if isinstance(fault, tuple):
            return fault[0], fault[1] if isinstance(fault[1], bytes) else json.dumps(fault[1]).encode()
        if fault == "hang":
            self.released.wait()
            return None
        if fault in ("cut", "endless", "slow"):
            return fault
        try:
            status, answer = self.forward(headers, body)
        except OSError:
            return "cut"
        if fault == "cut-after":
            return "cut"
        if fault is not None:
            answer = json.dumps(fault(json.loads(answer))).encode()
        return status, answer

    def answer(self, handler):
        said = self.handle(handler)
        if said is None:
            handler.close_connection = True
        elif said == "cut":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
        elif said in ("endless", "slow"):
            handler.send_response(200)
            handler.send_header("content-type", "application/x-amz-json-1.0")
            handler.send_header("content-length", str(10 << 30))
            handler.end_headers()
            while not self.released.wait(0.05 if said == "slow" else 0):
                handler.wfile.write(b" " * (1 if said == "slow" else 65536))
        else:
            handler.send_response(said[0])
            handler.send_header("content-type", "application/x-amz-json-1.0")
            handler.send_header("content-length", str(len(said[1])))
            handler.end_headers()
            handler.wfile.write(said[1])

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with outer.lock:
                    outer.connections.add(self.connection)

            def finish(self):
                with outer.lock:
                    outer.connections.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def do_POST(self):
                try:
                    outer.answer(self)
                except OSError:
                    self.close_connection = True

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 256

        imported("botocore.auth")
        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def away(self, away):
        """Closes it, with all connections; or opens it again."""
        if not away:
            return self.start()
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            open_now = list(self.connections)
        for connection in open_now:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return self

    def release(self):
        """Lets what hangs go, and what hangs from then on."""
        self.released.set()
        self.released = threading.Event()

    def stop(self):
        self.released.set()
        if self.server is not None:
            self.away(True)


class Control:
    """Takes a proxy away, and back, for a test that is a program of its own: POST /away, POST /back."""

    def __init__(self, proxy):
        outer = self
        self.port = parts.free_port()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                away = self.path == "/away"
                if away == (proxy.server is not None):
                    proxy.away(away)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=outer.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

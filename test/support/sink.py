"""A target of pushes: an HTTP server that keeps what it got, and answers as it is told."""

import dataclasses
import http.server
import json
import threading
import time


@dataclasses.dataclass
class Got:
    method: str
    path: str
    headers: dict  # of names in lower case
    body: bytes
    at: float

    @property
    def id(self):
        return self.headers.get("webhook-id")

    @property
    def attempt(self):
        return int(self.headers["sqmqos-attempt"])

    @property
    def json(self):
        return json.loads(self.body)


class Sink:
    """'answer': a function of what it got to a status, or to (status, headers, body). It runs on a thread of its
    own for each connection, and may wait there."""

    def __init__(self, answer=lambda got: 200):
        self.answer = answer
        self.got = []  # POSTs
        self.asked = []  # all else
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one segment
            disable_nagle_algorithm = True

            def handle_any(self):
                outer.handle(self)

            do_POST = do_PUT = do_OPTIONS = do_GET = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_):  # a client that is gone
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        got = Got(request.command, request.path, {k.lower(): v for k, v in request.headers.items()}, body,
                  time.monotonic())
        with self.lock:
            (self.got if got.method == "POST" else self.asked).append(got)
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        try:
            answer = self.answer(got)
        finally:
            with self.lock:
                self.busy -= 1
        status, headers, body = (answer, {}, b"") if isinstance(answer, int) else answer
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 204:
            request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def hang(self, got):
        """An answer that does not come while the sink lives."""
        self.ended.wait()
        return 503

    @property
    def ids(self):
        return [got.id for got in self.got]

    @property
    def bodies(self):
        return [got.body for got in self.got]

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

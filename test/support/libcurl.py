"""Requests by libcurl itself, for a client that asks often and keeps its connection."""

import ctypes
import ctypes.util
import dataclasses
import json

# Of curl/curl.h.
LONG, OBJECT, FUNCTION = 0, 10000, 20000
OPTIONS = {"URL": OBJECT + 2, "POSTFIELDS": OBJECT + 15, "HTTPHEADER": OBJECT + 23,
           "CUSTOMREQUEST": OBJECT + 36, "CAINFO": OBJECT + 65, "POSTFIELDSIZE": LONG + 60,
           "FRESH_CONNECT": LONG + 74, "FORBID_REUSE": LONG + 75, "HTTP_VERSION": LONG + 84,
           "NOSIGNAL": LONG + 99, "TIMEOUT_MS": LONG + 155, "WRITEFUNCTION": FUNCTION + 11,
           "HEADERFUNCTION": FUNCTION + 79}
RESPONSE_CODE = 0x200000 + 2
GLOBAL_ALL = 3
VERSIONS = {"1.1": 2, "2": 4, "2-clear": 5}  # 2TLS; with prior knowledge in the clear
SINK = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
                        ctypes.c_void_p)


class Unanswered(Exception):
    """There was no whole answer: what became of the request is not known."""


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict  # of names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The last part of its type; "" of none."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return self.json["type"].rpartition("/")[2]


class Curl:
    """version: "1.1" or "2"; of 'url' only https is HTTP/2 by ALPN, http has it by prior knowledge."""

    def __init__(self, url, version, token, space=None, ca=None):
        self.lib = ctypes.CDLL(ctypes.util.find_library("curl") or "libcurl.so.4")
        self.lib.curl_easy_init.restype = ctypes.c_void_p
        self.lib.curl_slist_append.restype = ctypes.c_void_p
        self.lib.curl_global_init(ctypes.c_long(GLOBAL_ALL))
        self.easy = ctypes.c_void_p(self.lib.curl_easy_init())
        self.url = url
        self.headers = [f"authorization: bearer {token}", "content-type: application/json",
                        "expect:"] + ([f"sqmqos-space: {space}"] if space else [])
        self.status, self.lines, self.body = 0, [], bytearray()
        self.sinks = SINK(self.on_body), SINK(self.on_header)
        clear = version == "2" and url.startswith("http:")
        self.set("HTTP_VERSION", VERSIONS["2-clear" if clear else version])
        # libcurl 7.88 fails at the second request of a connection with prior knowledge.
        self.set("FORBID_REUSE", int(clear))
        self.set("FRESH_CONNECT", int(clear))
        self.set("NOSIGNAL", 1)
        self.set("WRITEFUNCTION", self.sinks[0])
        self.set("HEADERFUNCTION", self.sinks[1])
        if ca:
            self.set("CAINFO", str(ca))

    def set(self, name, value):
        if isinstance(value, int):
            value = ctypes.c_long(value)
        elif isinstance(value, str):
            value = ctypes.c_char_p(value.encode())
        code = self.lib.curl_easy_setopt(self.easy, OPTIONS[name], value)
        assert code == 0, (name, code)

    def on_body(self, at, size, n, _arg):
        self.body += ctypes.string_at(at, size * n)
        return size * n

    def on_header(self, at, size, n, _arg):
        self.lines.append(ctypes.string_at(at, size * n).decode("latin-1"))
        return size * n

    def ask(self, method, path, what=None, timeout_s=10):
        """'what': bytes, or what becomes JSON."""
        body = b"" if what is None else what if isinstance(what, bytes) else json.dumps(what).encode()
        names = ctypes.c_void_p(None)
        for line in self.headers:
            names = ctypes.c_void_p(self.lib.curl_slist_append(names, line.encode()))
        self.lines, self.body = [], bytearray()
        self.set("URL", self.url + path)
        self.set("TIMEOUT_MS", int(timeout_s * 1000))
        self.set("POSTFIELDSIZE", len(body))
        self.set("POSTFIELDS", ctypes.c_char_p(body))  # outlives the request, as 'body'
        self.set("CUSTOMREQUEST", method)
        self.set("HTTPHEADER", names)
        code = self.lib.curl_easy_perform(self.easy)
        status = ctypes.c_long()
        self.lib.curl_easy_getinfo(self.easy, RESPONSE_CODE, ctypes.byref(status))
        self.set("HTTPHEADER", ctypes.c_void_p(None))
        self.lib.curl_slist_free_all(names)
        if code != 0:
            raise Unanswered(f"{method} {path}: libcurl says {code}")
        pairs = [line.split(":", 1) for line in self.lines if ":" in line]
        return Answer(status.value, {k.strip().lower(): v.strip() for k, v in pairs},
                      bytes(self.body))

    def close(self):
        self.lib.curl_easy_cleanup(self.easy)
        self.easy = None

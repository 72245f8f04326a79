"""Requests that wait for messages by the thousand: what one takes of a server's memory."""

import re
import resource
import select
import socket
import ssl
import struct
import time

from chains import ChainError

WAIT = "60s"
STREAMS = 64  # of an HTTP/2 connection
QUEUES = 10
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, END_BOTH = 4, 1, 5  # END_STREAM and END_HEADERS


def raise_limit(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(n, hard), hard))


def anon_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M)[1]) * 1024


def path_of(n):
    return f"/v1/queues/bench-poll-{n % QUEUES}/receive?wait={WAIT}"


def one_line(token, n):
    """A request of HTTP/1.1."""
    return (f"POST {path_of(n)} HTTP/1.1\r\nhost: localhost\r\nauthorization: bearer {token}\r\n"
            "content-length: 0\r\n\r\n").encode()


def frame(kind, flags, stream, body):
    return struct.pack("!I", len(body))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + body


def literal(name, value):
    """A header that no table gets, RFC 7541, section 6.2.2; lengths in an integer of 7 bits."""
    def text(t):
        n = len(t)
        return (bytes([n]) if n < 127 else bytes([127, (n - 127) & 127 | 128, (n - 127) >> 7])) + t
    return b"\0" + text(name.encode()) + text(value.encode())


def streams(token, n, first):
    """So many requests of an HTTP/2 connection, from its start on."""
    out = PREFACE + frame(SETTINGS, 0, 0, b"")
    for i in range(n):
        block = b"".join(literal(k, v) for k, v in (
            (":method", "POST"), (":scheme", "https"), (":authority", "localhost"),
            (":path", path_of(first + i)), ("authorization", f"bearer {token}")))
        out += frame(HEADERS, END_BOTH, 2 * i + 1, block)
    return out


class Polls:
    """Connections over TLS with requests that wait; ended by close()."""

    def __init__(self, port, token, n, version):
        raise_limit(n + 1000)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
        self.version, self.socks = version, []
        each = STREAMS if version == "2" else 1
        for first in range(0, n, each):
            sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30))
            self.socks.append(sock)
            sock.sendall(one_line(token, first) if version == "1.1"
                         else streams(token, min(each, n - first), first))

    def answered(self):
        """Connections with an answer, or with an end. What HTTP/2 says besides is read away."""
        poll = select.poll()
        by_fd = {s.fileno(): s for s in self.socks}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        found = []
        for fd, _ in poll.poll(0):
            data = by_fd[fd].recv(65536)
            if self.version == "1.1" or not data or has_headers(data):
                found.append(data)
        return found

    def close(self):
        for sock in self.socks:
            sock.close()


def has_headers(data):
    while len(data) >= 9:
        if data[3] == HEADERS:
            return True
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return False


def measure(chain, pid, port, n, version, cpu_s):
    """{"bytes" of memory of one, "cpu" of a second while all wait}"""
    before = anon_bytes(pid)
    polls = Polls(port, chain.token, n, version)
    try:
        time.sleep(2)
        if found := polls.answered():
            raise ChainError(f"{chain.title}: {len(found)} of {n} polls do not wait: {found[0][:200]}")
        began = cpu_s(pid)
        time.sleep(2)
        return {"bytes": (anon_bytes(pid) - before) / n, "cpu": (cpu_s(pid) - began) / 2}
    finally:
        polls.close()

"""./dev bench --view: the broker's view with many sessions: how long a page takes, and what a walk
over everything does to the latency of messages.

The walk is that of sqmqos: pages of 1000, one at a time, without a pause. A round has three runs of
the same messages: alone, beside a walk over another broker that serves nobody, on the same cores, and
beside a walk over their own broker. The second is what the cores' sharing costs by itself, where the
broker, both sidecars, the generator and the walking client have few of them. p99 is judged by the
median of the rounds' ratios, at 10 %, as in bench/pairs.py."""

import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import socket
import tempfile
import threading
import time

import generator
import packets
import pairs
from chains import ChainError, OursClear
from measures import median
from report import say

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLICE_ROWS = 4  # SQ_VIEW_SLICE_ROWS
WORKERS = 4  # of our own, which make sessions
WALK_ROWS = 1000  # of a page of a walk, as sqmqos has them
ALONE, ELSEWHERE, WALKING = "alone", "beside a walk over another broker", "beside a walk over its own"


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --view", description="Makes many sessions, each with a queue, and measures "
        "pages of the broker's view, then messages with and without somebody who walks over all "
        "tables, in turns.")
    p.add_argument("--view", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--sessions", type=int, default=100000, metavar="N", help="(100000)")
    p.add_argument("--pages", type=int, default=200, metavar="N", help="pages of each table (200)")
    p.add_argument("--rounds", type=int, default=8, metavar="N",
                   help="each of three runs; from 6 on a figure may be decided (8)")
    p.add_argument("--seconds", type=float, default=3, metavar="S", help="measured per run (3)")
    p.add_argument("--rate", type=int, default=1000, metavar="N", help="messages a second (1000)")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build" / "release"),
                   help="where the programs are (build/release)")
    return p.parse_args(argv)


class Chain(OursClear):
    """A broker with room for the sessions."""

    def configs(self):
        trees = super().configs()
        trees["central"][1]["limits"] = {"max-sessions": 1000000}
        return trees


def make_session(address, client_id):
    with socket.create_connection(address, timeout=30) as s:
        s.sendall(packets.connect(client_id))
        answer = s.recv(256)
        if len(answer) < 4 or answer[0] != 0x20 or answer[3] != 0:
            raise ChainError(f"CONNACK of {client_id}: {answer.hex()}")
        s.sendall(packets.DISCONNECT)


def make_sessions(chain, n):
    """Durable sessions whose clients have gone."""
    host, port = chain.pub.rsplit(":", 1)
    failed = []

    def some(first):
        try:
            for i in range(first, n, WORKERS):
                make_session((host, int(port)), f"s-{i}")
        except (OSError, ChainError) as e:
            failed.append(e)
    threads = [threading.Thread(target=some, args=(k,)) for k in range(WORKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise ChainError(f"sessions: {failed[0]}")


class View:
    """Asks for pages."""

    def __init__(self, port):
        self.port = port

    def page(self, table, limit, after=None):
        """(seconds, rows, next)"""
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/v1/view/{table}?limit={limit}" + (f"&after={after}" if after else ""))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        seconds = time.perf_counter() - started
        if answer.status != 200:
            raise ChainError(f"{table}: {answer.status} {body[:200]}")
        page = json.loads(body)
        return seconds, len(page["rows"]), page["next"]

    def walk(self, table, limit):
        """(seconds, rows, cursors) of all pages."""
        started, rows, after, cursors = time.perf_counter(), 0, None, []
        while True:
            _, n, after = self.page(table, limit, after)
            rows += n
            if after is None:
                return time.perf_counter() - started, rows, cursors
            cursors.append(after)


def tail_next(body):
    """The cursor at the end of a page's text, which costs less than to read all of it."""
    end = body.rsplit(b'"next":', 1)[1].strip(b"}\n")
    return None if end == b"null" else end.strip(b'"').decode()


def walk_for_ever(port):
    """In a process of its own, until it is killed: what a console or a script does. Its session is
    its own, too, so that where the kernel groups by these (autogroup) it has no part of ours."""
    os.setsid()
    os.nice(10)
    while True:
        for table in ("sessions", "queues"):
            after = ""
            while after is not None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", f"/v1/view/{table}?limit={WALK_ROWS}" + (f"&after={after}" if after else ""))
                after = tail_next(connection.getresponse().read())
                connection.close()


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def thread_seconds(pid):
    """CPU time of the admin endpoint's thread, and of all others."""
    admin = others = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        ns = int((task / "schedstat").read_text().split()[0])
        if (task / "comm").read_text().strip() == "admin":
            admin += ns
        else:
            others += ns
    return admin / 1e9, others / 1e9


def measure_slices(chain, view):
    """What a walk takes of the workers, which serve nothing else meanwhile."""
    pid = chain.programs["central"].process.pid
    for table in ("sessions", "queues"):
        before = thread_seconds(pid)
        _, rows, _ = view.walk(table, 100)
        admin, workers = (after - b for after, b in zip(thread_seconds(pid), before))
        print(f"{table}: workers {workers / rows * 1e6:.2f} µs a row, so about "
              f"{workers / rows * SLICE_ROWS * 1e6:.0f} µs a slice of {SLICE_ROWS}; the endpoint's thread "
              f"{admin / rows * 1e6:.2f} µs a row")


def measure_pages(view, args):
    for table in ("sessions", "queues"):
        seconds, rows, cursors = view.walk(table, 1000)
        if rows < args.sessions:
            raise ChainError(f"{table}: {rows} rows of {args.sessions}")
        print(f"{table}: {rows} rows in {len(cursors) + 1} pages of 1000: {seconds:.2f} s, "
              f"{seconds / (len(cursors) + 1) * 1e3:.1f} ms a page")
        for limit in (100, 1000):
            took = [view.page(table, limit, random.choice(cursors))[0] * 1e3 for _ in range(args.pages)]
            print(f"{table}: a page of {limit:4}: median {median(took):.1f} ms, "
                  f"p99 {quantile(took, 0.99):.1f} ms, longest {max(took):.1f} ms")


def latency_beside(chain, load, args, port):
    """p99 of messages, in µs, while somebody walks over the broker of that port; None: nobody."""
    walker = multiprocessing.Process(target=walk_for_ever, args=(port,), daemon=True)
    if port is not None:
        walker.start()
    result, words = load.run(chain, "-q", 1, "-r", args.rate, "-d", args.seconds)
    if port is not None:
        if not walker.is_alive():
            raise ChainError("the walk has failed")
        walker.kill()
        walker.join()
    if result is None or not result["ok"]:
        raise ChainError(f"messages: {words}")
    return result["latency_us"]["p99"]


def measure_disturbance(chain, other, args):
    load = generator.Generator(pathlib.Path(args.build) / "sqmqos-bench")
    ports = {ALONE: None, ELSEWHERE: other.programs["central"].admin_port,
             WALKING: chain.programs["central"].admin_port}
    p99 = {kind: [] for kind in ports}
    for n in range(args.rounds):
        for kind in list(ports)[::-1 if n % 2 else 1]:
            p99[kind].append(latency_beside(chain, load, args, ports[kind]))
        say(f"round {n + 1}: p99 " + ", ".join(f"{v[-1]:.0f} µs {kind}" for kind, v in p99.items()))
    print(f"messages, {args.rate}/s at QoS 1: p99 {median(p99[ALONE]):.0f} µs alone")
    figure = pairs.Figure("p99", 10, True, None)
    for kind, base in ((WALKING, ALONE), (ELSEWHERE, ALONE), (WALKING, ELSEWHERE)):
        ratios = [a / b for a, b in zip(p99[kind], p99[base])]
        print(f"{kind} {median(p99[kind]):.0f} µs, against {base}: {(median(ratios) - 1) * 100:+.1f} % "
              f"± {pairs.spread(ratios):.1f}, {pairs.verdict(figure, ratios)}")


def prepare(chain, args):
    why = chain.missing()
    if why:
        raise ChainError(why)
    chain.start()
    started = time.monotonic()
    make_sessions(chain, args.sessions)
    say(f"{args.sessions} sessions in {time.monotonic() - started:.0f} s")


def main(argv):
    args = parse(argv)
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="sqmqos-bench-") as folder:
        chain, other = (Chain(pathlib.Path(folder) / name, pathlib.Path(args.build))
                        for name in ("one", "other"))
        try:
            prepare(chain, args)
            view = View(chain.programs["central"].admin_port)
            measure_pages(view, args)
            measure_slices(chain, view)
            prepare(other, args)
            measure_disturbance(chain, other, args)
        except ChainError as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
        finally:
            chain.stop()
            other.stop()
    return 0

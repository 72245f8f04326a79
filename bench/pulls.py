"""What ./dev bench --http measures of named queues: pull and settle, a poll that waits for its
message, batches, and polls by the thousand."""

import json
import re
import subprocess
import sys
import threading
import time

import durable
import durable_chains
import polls
from chains import ROOT, ChainError, stack
from measures import median

sys.path.append(str(ROOT / "test" / "support"))
from libcurl import Curl  # noqa: E402

TOPIC = "bench/pull"
BATCH, PULLERS, MESSAGES = 100, 4, 100000
PAYLOAD = "x" * 64
LEASE = re.compile(rb'"lease":"([^"]+)"')
LATENCY_S = 3
POLLS = 10000
SETTINGS = {"maxMessages": 4000000, "maxBytes": "16Gi", "maxAttempts": 65535}
# What a poll costs is asked here, not how many there may be.
RULES = [{"allow": ["manage", "push"], "identity": "token:local"}]
MANY = {"http": {"max-identity-requests": 100000, "max-identity-connections": 100000},
        "link": {"max-connections": 400000}}  # a quarter is for one identity


class Ours(durable_chains.TLS):
    """With TLS, for polls: what waits is of an idle connection over it."""

    def configs(self):
        trees = super().configs()
        kind, tree = trees["central"]
        trees["central"] = kind, stack.merge(tree, MANY | {"acl": RULES})
        return trees

    def launch(self):
        super().launch()
        self.http = int(self.programs["central"].tree["listen"]["address"].rsplit(":", 1)[1])
        self.token = (self.folder / "token").read_text().strip()


def curl(chain, version="1.1"):
    scheme, ca = ("https", chain.folder / "ca.pem") if chain.name == "tls" else ("http", None)
    return Curl(f"{scheme}://127.0.0.1:{chain.http}", version, chain.token, None, ca)


def asked(c, method, path, what=None, status=(200,)):
    answer = c.ask(method, path, what, timeout_s=60)
    if answer.status not in status:
        raise ChainError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
    return answer


def declare(chain, name, filters, **settings):
    asked(curl(chain), "PUT", f"/v1/queues/{name}", SETTINGS | settings | {
        "bindings": [{"filter": f, "qos": 1} for f in filters]}, status=(200, 201))


def together(n, work):
    """work() in so many threads; the first of their errors."""
    errors = []

    def one():
        try:
            work()
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)
    threads = [threading.Thread(target=one) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def fill(chain, topic, n, payload=PAYLOAD):
    line = '{"topic":"%s","text":"%s"}\n' % (topic, payload)
    body, c = line.encode() * 1000, curl(chain)
    c.headers = [h.replace("application/json", "application/x-ndjson") for h in c.headers]
    for _ in range(n // 1000):
        asked(c, "POST", "/v1/publish", body)


def drain(chain, queue, n, pid, cpu_s):
    """{"rate" of messages, "cpu" µs of the server each}: a RECEIVE of 100, then a SETTLE of these."""
    left, lock = [n], threading.Lock()

    def work():
        c = curl(chain)
        while True:
            with lock:
                if left[0] <= 0:
                    return
                left[0] -= BATCH
            got = asked(c, "POST", f"/v1/queues/{queue}/receive?max={BATCH}", status=(200, 204))
            leases = LEASE.findall(got.body) or [b"none"] * (BATCH if chain.name == "bare" else 0)
            if len(leases) != BATCH:
                raise ChainError(f"{chain.title}: a receive brought {len(leases)} of {BATCH}")
            asked(c, "POST", f"/v1/queues/{queue}/settle",
                  b'{"ack":["%s"]}' % b'","'.join(leases))
    began, cpu = time.monotonic(), cpu_s(pid)
    together(PULLERS, work)
    took = time.monotonic() - began
    return {"rate": n / took, "cpu": (cpu_s(pid) - cpu) / n * 1e6}


def latency(chain, queue, topic, build):
    """{"p50", "p99"} µs from a POST's start to the answer of the poll that waits for it."""
    argv = [build / "bench" / "bench_await", chain.http, chain.token, queue, topic, LATENCY_S]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise ChainError(f"{chain.title}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


class Rounds:
    """Figures of all rounds: {name: [dictionary]}. 'ours' and 'bare' are in the clear."""

    def __init__(self, ours, bare, load, cpu_s, build):
        self.build = build
        self.ours, self.bare, self.load, self.cpu_s = ours, bare, load, cpu_s
        self.found = {}
        declare(ours, "bench-pull", [f"{TOPIC}/plain"])
        declare(ours, "bench-once", [f"{TOPIC}/once"], exactlyOnce=True)
        declare(ours, "bench-wait", [f"{TOPIC}/wait"])
        self.lines = load.body.with_name("lines")
        self.lines.write_text('{"topic":"bench/http","text":"%s"}\n' % PAYLOAD * BATCH)

    def add(self, name, figures):
        self.found.setdefault(name, []).append(figures)

    def one(self, seconds, chain):
        """'chain': what durable_runs.pair() has found at a window of 1, and of 1000."""
        pid, bare_pid = self.ours.pids()["central"], self.bare.pids()["bare"]
        for queue, topic in (("bench-pull", "plain"), ("bench-once", "once")):
            fill(self.ours, f"{TOPIC}/{topic}", MESSAGES)
            self.add(queue, drain(self.ours, queue, MESSAGES, pid, self.cpu_s))
        self.add("bench-bare", drain(self.bare, "bench-pull", MESSAGES, bare_pid, self.cpu_s))
        self.add("wait", latency(self.ours, "bench-wait", f"{TOPIC}/wait", self.build))
        for server, name in ((self.ours, "lines"), (self.bare, "lines-bare")):
            self.add(name, self.load.run(server, seconds, 8, 1, "--h1", path="publish", body=self.lines,
                                         kind="application/x-ndjson"))
        self.add("delivered", {"p50": chain[0]["latency_us"]["p50"], "p99": chain[0]["latency_us"]["p99"]})
        self.add("link", {"rate": chain[1]["acked_per_s"]})

    def polls(self, ours):
        """'ours' is with TLS. Each starts anew: what one has given back is not there for the next."""
        for version in ("1.1", "2"):
            ours.start()
            for n in range(polls.QUEUES):
                declare(ours, f"bench-poll-{n}", [f"bench/poll/{n}"])
            self.add(f"polls-tls-{version}", polls.measure(
                ours, ours.pids()["central"], ours.http, POLLS, version, self.cpu_s))
            ours.stop()
            self.bare.start()
            self.add(f"polls-bare-{version}", polls.measure(
                self.bare, self.bare.pids()["bare"], self.bare.https, POLLS, version, self.cpu_s))

    def of(self, name, figure):
        return median([r[figure] for r in self.found[name]])

    def ratio(self, a, b, figure, other=None):
        """The median of the rounds' ratios."""
        return median([x[figure] / y[other or figure] for x, y in zip(self.found[a], self.found[b])])


HEAD = ("", "## Pull", "",
        f"A RECEIVE of {BATCH} messages of 64 bytes, then a SETTLE of these, by {PULLERS} clients; beside it the same requests to a bare h2o, "
        "which answers with as many bytes. A poll that waits is measured from the start of the POST that publishes to the answer of the "
        f"poll. NDJSON has {BATCH} messages in each POST, synced before its answer, by 8 connections. Polls wait over TLS 1.3; what each "
        "takes is anonymous memory of the process.", "",
        "| measure | figure | beside it | goal | met |", "|---|---:|---:|---:|---|")


def line(title, figure, beside, goal, met):
    return f"| {title} | {figure} | {beside} | {goal} | {durable.verdict(met)} |"


def page(r):
    out = [*HEAD]
    for name, title, goal in (("bench-pull", "pull and settle by 100", 60000),
                              ("bench-once", "the same with `exactlyOnce`", 25000)):
        rate = r.of(name, "rate")
        out.append(line(title, f"{rate:,.0f} messages/s, {r.of(name, 'cpu'):.1f} µs of CPU each",
                        f"bare h2o {r.of('bench-bare', 'rate'):,.0f}, {r.of('bench-bare', 'cpu'):.1f} µs",
                        f"≥ {goal:,}/s", rate >= goal))
    wait = r.ratio("wait", "delivered", "p50")
    out.append(line("publish until its poll is answered, p50", f"{r.of('wait', 'p50'):.0f} µs (p99 {r.of('wait', 'p99'):.0f})",
                    f"MQTT delivery {r.of('delivered', 'p50'):.0f} µs (p99 {r.of('delivered', 'p99'):.0f})",
                    f"{wait:.2f} ×, ≤ 1.3 ×", wait <= 1.3))
    lines = r.ratio("lines", "link", "rate") * BATCH
    out.append(line("NDJSON of 100", f"{r.of('lines', 'rate') * BATCH:,.0f} messages/s",
                    f"link, QoS 1 {r.of('link', 'rate'):,.0f}; bare h2o {r.of('lines-bare', 'rate') * BATCH:,.0f}",
                    f"{lines:.2f} ×, ≥ 0.7 ×", lines >= 0.7))
    for version, how in (("1.1", "HTTP/1.1"), ("2", f"{polls.STREAMS} of each HTTP/2 connection")):
        ours, bare = f"polls-tls-{version}", f"polls-bare-{version}"
        more = r.of(ours, "bytes") - r.of(bare, "bytes")
        out.append(line(f"{POLLS:,} waiting polls, {how}",
                        f"{r.of(ours, 'bytes') / 1024:.1f} KiB each, {100 * r.of(ours, 'cpu'):.1f} % of a core",
                        f"bare h2o {r.of(bare, 'bytes') / 1024:.1f} KiB", f"{more / 1024:.1f} KiB more, ≤ 3",
                        more <= 3 * 1024))
    return "\n".join([*out, ""])

"""What ./dev bench --http measures of push: events a second beside bare libcurl, and the time from a
publish to the URL that has it."""

import contextlib
import json
import pathlib
import socket
import subprocess
import threading
import time

import durable_runs
from chains import ChainError
from pulls import asked, curl, fill, line
from measures import median

TOPIC = "bench/push"
EVENTS, BATCHED, BATCH, AT_A_TIME = 60000, 200000, 100, 64
RATE = 1000
SPACE = "default"
BODY, BATCH_BODY = 64, 30000  # bytes of a floor's requests
GOOD, SIDE_RATE = 17, 50  # subscribers that are well beside three that are not, each with so many a second
HANGS = "hangs.example"


LOCAL = ["127.0.0.1", "localhost", HANGS]


def config(folder):
    """A broker's: the sink is on this machine, and files declare who is pushed to."""
    (folder / "subscribers").mkdir(exist_ok=True)
    return {"subscribers": {"dir": str(folder / "subscribers")},
            "push": {"allow": [{"host": name, "cidr": "127.0.0.0/8"} for name in LOCAL], "trusted": LOCAL}}


def environment(build):
    """A broker's for which the lookup of a name hangs."""
    return {"LD_PRELOAD": str(pathlib.Path(build).resolve() / "bench" / "libbench_names.so"), "NAMES": f"{HANGS}=hang"}


def declare(chain, name, url, topic=None, **settings):
    """A file declares the queue, and the broker reads it."""
    push = {"url": url, "concurrency": AT_A_TIME} | settings
    queue = {"max-messages": 4000000, "max-bytes": "16Gi", "max-attempts": 65535,
             "bindings": [{"filter": f"{TOPIC}/{topic or name}", "qos": 1}], "push": push}
    path = chain.folder / "subscribers" / f"{name}.yaml"
    path.write_text(json.dumps({SPACE: {name: queue}}))  # which is YAML
    until, c = time.monotonic() + 10, curl(chain)
    while c.ask("GET", f"/v1/queues/{name}", None, timeout_s=10).status != 200:
        if time.monotonic() > until:
            raise ChainError(f"{chain.title}: {path} declares nothing: {chain.last_words('central')}")
        time.sleep(0.05)


def waiting(c, name):
    info = asked(c, "GET", f"/v1/queues/{name}").json
    return sum(info["counts"][k] for k in ("ready", "leased", "parked"))


def drain(chain, name, n, cpu_s):
    """{"rate", "cpu" µs of the broker each} of so many messages that wait until the queue goes on."""
    c, pid = curl(chain), chain.pids()["central"]
    asked(c, "POST", f"/v1/queues/{name}/pause", status=(200, 204))
    fill(chain, f"{TOPIC}/{name}", n)
    if waiting(c, name) != n:
        raise ChainError(f"{chain.title}: {waiting(c, name)} of {n} messages wait")
    began, cpu = time.monotonic(), cpu_s(pid)
    asked(c, "POST", f"/v1/queues/{name}/resume", status=(200, 204))
    while waiting(c, name) > 0:
        if time.monotonic() - began > 120:
            raise ChainError(f"{chain.title}: {waiting(c, name)} messages of {name} stay: "
                             f"{asked(c, 'GET', f'/v1/queues/{name}').body[:800]!r}")
        time.sleep(0.01)
    took = time.monotonic() - began
    return {"rate": n / took, "cpu": (cpu_s(pid) - cpu) / n * 1e6}


def run(argv, what):
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise ChainError(f"{what}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def served(answer):
    """The port of a server that gives each request this answer, or none: it only takes connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)
        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def neighbours(chain):
    """Three more subscribers, each of what a good one has: one hangs, one's name does, one answers 500."""
    c = curl(chain)
    with served(None) as hangs, served(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n") as fails:
        bad = {"hangs": f"http://127.0.0.1:{hangs}/", "name-hangs": f"http://{HANGS}:{hangs}/",
               "fails": f"http://127.0.0.1:{fails}/"}
        for i, (name, url) in enumerate(bad.items()):
            asked(c, "PUT", f"/v1/queues/{name}", {"bindings": [{"filter": f"{TOPIC}/side/{i}", "qos": 1}],
                                                   "push": {"url": url}}, status=(200, 201))
        yield
        for name in bad:
            asked(c, "DELETE", f"/v1/queues/{name}?with-messages=true", status=(200, 202, 204))
        while any(c.ask("GET", f"/v1/queues/{name}", None, timeout_s=10).status != 404 for name in bad):
            time.sleep(0.05)


class Rounds:
    """Figures of all rounds: {name: [dictionary]}."""

    def __init__(self, ours, bare, cpu_s, build, seconds):
        self.ours, self.bare, self.cpu_s, self.build, self.seconds = ours, bare, cpu_s, build, seconds
        self.found = {}
        sink, secret = f"http://127.0.0.1:{bare.http}/", f"https://localhost:{bare.https}/"
        self.floors = (("bare", sink, AT_A_TIME, BODY), ("bare-tls", secret, AT_A_TIME, BODY),
                       ("bare-batch", sink, 8, BATCH_BODY))
        self.measure_port = ours.port()
        declare(ours, "single", sink)
        declare(ours, "secret", secret, **{"ca-file": str(bare.folder / "ca.pem")})
        declare(ours, "batched", sink, format="structured", batch={"max": BATCH})
        declare(ours, "timed", f"http://127.0.0.1:{self.measure_port}/")
        for n in range(GOOD):
            declare(ours, f"side-{n}", f"http://127.0.0.1:{self.measure_port}/", topic=f"side/{n}", concurrency=20)

    def add(self, name, figures):
        self.found.setdefault(name, []).append(figures)

    def timed(self, name, topic, rate, *topics):
        figures = run([self.build / "bench" / "bench_pushed", self.ours.pub.rsplit(":", 1)[1], f"{TOPIC}/{topic}",
                       self.measure_port, rate, self.seconds, *topics], name)
        if figures["lost"]:
            raise ChainError(f"{self.ours.title}: {name}: {figures}")
        self.add(name, figures)

    def one(self, g):
        for name, n in (("single", EVENTS), ("secret", EVENTS), ("batched", BATCHED)):
            self.add(name, drain(self.ours, name, n, self.cpu_s))
        for name, url, n, size in self.floors:
            self.add(name, run([self.build / "bench" / "bench_bare_curl", url, n, self.seconds, size,
                                self.bare.folder / "ca.pem"], "bare libcurl"))
        self.timed("timed", "timed", RATE)
        self.timed("alone", "side", GOOD * SIDE_RATE, GOOD)
        with neighbours(self.ours):
            for _ in range(2):
                self.timed("beside", "side", GOOD * SIDE_RATE, GOOD)
        self.timed("alone", "side", GOOD * SIDE_RATE, GOOD)
        result = durable_runs.run(g, self.ours, *durable_runs.flags(
            mqtt=3, rate=RATE, size=256, duration=self.seconds, warmup=0.5))
        self.add("delivered", {f: result["latency_us"][f] for f in ("p50", "p99")})

    def of(self, name, figure):
        return median([r[figure] for r in self.found[name]])

    def ratio(self, a, b):
        return median([x["rate"] / y["rate"] for x, y in zip(self.found[a], self.found[b])])


HEAD = ("", "## Push", "",
        f"Durable messages of 64 bytes that wait are posted as CloudEvents, {AT_A_TIME} at a time, to a bare h2o, and settled durably, by one "
        "worker and one thread of libcurl; beside it libcurl alone, on one thread, with as many requests at a time of as many bytes. "
        f"From a publish at {RATE:,} a second, QoS 1 through a sidecar, to the URL that has it: beside MQTT delivery through two sidecars at "
        "the same rate.", "", "| measure | figure | beside it | goal | met |", "|---|---:|---:|---:|---|")


def page(r):
    out = [*HEAD]
    for name, floor, title, least in (("single", "bare", "single events, clear", 15000),
                                      ("secret", "bare-tls", "single events, TLS 1.3", 0)):
        part = r.ratio(name, floor)
        goal = "≥ 0.5 ×" + (f", ≥ {least:,}/s" if least else "")
        out.append(line(title, f"{r.of(name, 'rate'):,.0f} events/s, {r.of(name, 'cpu'):.1f} µs of CPU each",
                        f"bare libcurl {r.of(floor, 'rate'):,.0f}, {r.of(floor, 'cpu'):.1f} µs",
                        f"{part:.2f} ×, {goal}", part >= 0.5 and r.of(name, "rate") >= least))
    rate = r.of("batched", "rate")
    out.append(line(f"batches of {BATCH}", f"{rate:,.0f} events/s, {r.of('batched', 'cpu'):.1f} µs of CPU each",
                    f"bare libcurl {r.of('bare-batch', 'rate'):,.0f} POSTs of {BATCH_BODY // 1000} kB",
                    "≥ 100,000/s", rate >= 100000))
    p50, p99, mqtt = r.of("timed", "p50"), r.of("timed", "p99"), r.of("delivered", "p50")
    out.append(line("publish until the URL has it", f"{p50:.0f} µs (p99 {p99:.0f})",
                    f"MQTT delivery {mqtt:.0f} µs (p99 {r.of('delivered', 'p99'):.0f})",
                    "p50 ≤ MQTT + 400 µs, p99 ≤ 5 × p50", p50 <= mqtt + 400 and p99 <= 5 * p50))
    parts = sorted(b["p99"] / a["p99"] for a, b in zip(r.found["alone"], r.found["beside"]))
    part = median(parts)
    out.append(line(f"{GOOD} subscribers at {SIDE_RATE} a second, p99, beside one that hangs, one whose name hangs, one that answers 500",
                    f"{r.of('beside', 'p99'):.0f} µs", f"without these {r.of('alone', 'p99'):.0f} µs",
                    f"{part:.2f} × ({parts[0]:.2f} to {parts[-1]:.2f}), ≤ 1.2 ×", part <= 1.2))
    return "\n".join([*out, ""])

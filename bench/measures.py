"""What the benchmark measures: which runs of the generator, and which rows of
the table come from them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of sqmqos-bench. 'floor': three TCP proxies can do it, too."""

    key: str
    title: str
    args: tuple
    floor: bool
    latency: bool = False
    subscribes: bool = False  # it takes as long as its SUBSCRIBEs do

    def timing(self, seconds, warmup):
        """The flags that say how long it is measured, 'seconds' for a throughput run."""
        if self.subscribes:
            return ()
        return flags(duration=seconds * (2 if self.latency else 1), warmup=warmup, drain=5)


def flags(**options):
    out = []
    for name, value in options.items():
        out += ["--" + name.replace("_", "-"), str(value)]
    return tuple(out)


WINDOW = 100
FILTERS = 10000
# Messages in flight per publisher: undelivered at QoS 0, else unacknowledged.
# The backlog bounds what a chain that acknowledges early may pile up inside.
SHAPES = (  # key, title, flags, window at QoS 0, above, backlog
    ("1-1", "1→1", flags(publishers=1, subscribers=1, topology="pairs"), 1000, WINDOW, 2000),
    ("10-10", "10→10", flags(publishers=10, subscribers=10, topology="pairs"), 100, WINDOW, 200),
    ("1-100", "fan-out 1→100", flags(publishers=1, subscribers=100, topology="fanout"),
     100, WINDOW, 200),
    ("100-1", "fan-in 100→1", flags(publishers=100, subscribers=1, topology="fanin"), 20, 20, 40),
)


def runs():
    """All runs, in the order of the table."""
    out = [Run(f"latency-q{q}", f"latency at 1,000 msg/s, 64 B, QoS {q}",
               flags(rate=1000, qos=q, size=64), q == 0, True) for q in (0, 1, 2)]
    for key, title, args, window0, window12, backlog in SHAPES:
        for q in (0, 1, 2):
            window = flags(window=window0) if q == 0 else flags(window=window12, backlog=backlog)
            out.append(Run(f"{key}-q{q}", f"throughput {title}, 64 B, QoS {q}",
                           args + window + flags(qos=q, size=64),
                           q == 0 and key in ("1-1", "10-10", "100-1")))
    for q in (0, 1):
        window = flags(window=1000) if q == 0 else flags(window=WINDOW, backlog=2000)
        out.append(Run(f"1k-q{q}", f"throughput 1→1, 1 KiB, QoS {q}",
                       flags(qos=q, size=1024) + window, q == 0))
    for key, title, window in (("subscribe-1", "one by one", 1),
                               (f"subscribe-{WINDOW}", f"{WINDOW} unanswered", WINDOW)):
        out.append(Run(key, f"subscribing to {FILTERS:,} filters {title}",
                       flags(filters=FILTERS, window=window, qos=1), False, subscribes=True))
    return out


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    lower_is_better: bool
    values: dict  # chain name -> median, or None
    marks: dict = dataclasses.field(default_factory=dict)  # chain name -> "*" where it failed


def median(values):
    values = sorted(v for v in values if v is not None)
    if not values:
        return None
    mid = len(values) // 2
    return values[mid] if len(values) % 2 else (values[mid - 1] + values[mid]) / 2


def cpu_per_million(result):
    if not result["pids"] or result["delivered"] < 1000:
        return None
    return sum(p["cpu_s"] for p in result["pids"]) * 1e6 / result["delivered"]


def run_rows(run, results, chains):
    """The rows of one kind of run; results: chain name -> list of JSON objects."""
    def row(title, unit, lower, value):
        marks = {c: "*" for c in chains if any(r is None or not r["ok"] for r in results.get(c, ()))}
        return Row(title, unit, lower, {
            c: median([value(r) for r in results.get(c, ()) if r is not None]) for c in chains},
            marks)

    def percentile(name):
        return lambda r: r["latency_us"][name] if r["latency_us"] else None

    if run.latency:
        return [row(f"{run.title}, {p}", "µs", True, percentile(p)) for p in ("p50", "p99")] + [
            row(f"CPU per message, three processes, {run.title[len('latency '):]}", "µs", True,
                cpu_per_million)]
    if run.subscribes:
        return [row(run.title, "s", True, lambda r: r["seconds"])]
    return [row(run.title, "k msg/s", False, lambda r: r["delivered_per_s"] / 1e3)]


def cpu_rows(results, chains):
    """results: run key -> chain name -> list of JSON objects."""
    out = []
    for q in (0, 1, 2):
        of_run = results.get(f"1-1-q{q}")
        if of_run:
            out.append(Row(f"CPU per million messages, three processes, 1→1, QoS {q}", "s", True, {
                c: median([cpu_per_million(r) for r in of_run.get(c, ()) if r]) for c in chains}))
    return out


def memory_rows(memory, chains):
    """memory: chain name -> the figures that run.py's memory pass collects."""
    titles = (
        ("idle_local_anon", "idle local program, anonymous", "KiB"),
        ("idle_local_pss", "idle local program, PSS", "KiB"),
        ("idle_central_anon", "idle central program, anonymous", "KiB"),
        ("client_local", "an idle MQTT connection, at the local program", "KiB"),
        ("client_central", "an idle MQTT connection, at the central program", "KiB"),
        ("after_local", "local program 10 s after a load run, times before", "×"),
        ("after_central", "central program 10 s after a load run, times before", "×"),
    )
    return [Row(title, unit, True, {c: memory.get(c, {}).get(key) for c in chains})
            for key, title, unit in titles]


def syscall_rows(syscalls, chains):
    return [Row(f"system calls per message, three processes, 1→1, QoS {q}, window {WINDOW}", "",
                True, {c: syscalls[q].get(c) for c in chains}) for q in sorted(syscalls)]

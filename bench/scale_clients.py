"""Many MQTT clients of one sidecar: what each costs there and at the broker, and a broker that is killed
under them."""

import signal
import time

import generator
import shared_fail
from chains import ChainError
from durable import markdown_table
from durable_runs import flags

GOAL_SIDECAR_KIB, GOAL_BROKER_KIB, GOAL_BACK_S = 1.5, 4, 10


class OneSidecar:
    """The chain as it is where publishers and subscribers are clients of the same sidecar."""

    title, raw = "one sidecar", False

    def __init__(self, chain):
        self.chain = chain
        self.pub = self.sub = chain.pub
        self.pubs = self.subs = [chain.pub]

    def pids(self):
        found = self.chain.pids()
        return {"broker": found["central"], "sidecar": found["local-1"]}


def generate(bench, chain, *words):
    result, why = bench.generator.run(chain, *words, timeout_s=300)
    if result is None:
        raise ChainError(why)
    return result, {p["name"]: p for p in result["pids"]}


def idle(bench, chain):
    n = bench.args.clients
    result, pids = generate(bench, chain, *flags(idle=n, subscribe=True, hold=0))
    if result["ready"] != n:
        raise ChainError(f"{result['ready']} of {n} clients are connected")
    return {"connect_s": result["seconds"]} | {
        f"{name}_kib": (p["anon_kib_after"] - p["anon_kib_before"]) / n for name, p in pids.items()}


def trickle(bench, chain):
    half, seconds = bench.args.clients // 2, bench.args.seconds
    result, pids = generate(bench, chain, *flags(
        publishers=half, subscribers=half, qos=1, rate=bench.args.client_rate, duration=seconds, settle=1,
        warmup=1, drain=20))
    if not result["ok"]:
        raise ChainError(generator.describe(result))
    return {"latency_us": result["latency_us"], "ack_us": result["ack_us"]} | {
        f"{name}_cpu": p["cpu_s"] / (seconds + 1) for name, p in pids.items()}


def killed(bench, chain):
    """Durable sessions and a trickle while the broker is killed and started again."""
    load = shared_fail.Load(bench.build / "sqmqos-bench", chain, bench.args.clients, bench.args.client_rate)
    try:
        since = time.monotonic()
        while not load.ticks:
            load.check()
            if time.monotonic() - since > shared_fail.LATE_S:
                raise ChainError("clients do not come up")
            time.sleep(0.1)
        load.settle(time.monotonic())
        began = time.monotonic()
        bench.chain.restart_broker(signal.SIGKILL)
        ready = time.monotonic()
        load.settle(began, 2 * shared_fail.QUIET_S)
        took = load.longest(began, 0)
        result = load.end()
    finally:
        load.stop()
    return {"ready_s": ready - began, "back_s": took, "sent": result["sent_total"], "lost": result["lost"],
            "duplicates": result["duplicates"]}


def run(bench):
    bench.start("clients")
    chain = OneSidecar(bench.chain)
    found = idle(bench, chain)
    found |= trickle(bench, chain)
    return found | killed(bench, chain)


# ---- the table

TEXT = (
    "{0.clients:,} MQTT clients of one sidecar, each of half of them with a topic of a subscriber of its own, "
    "{0.client_rate:,} messages a second in all, 64 B at QoS 1, from sidecar to broker and back. Memory: clients with "
    "a subscription that do nothing. Killed: their sessions are durable, the broker is killed by `kill -9` "
    "and started again at once; until every publisher had its acknowledgement again. No client was disconnected, and nothing was lost.")


def lines(_args, f):
    def ms(key):
        return f"{f[key]['p50'] / 1e3:.2f} / {f[key]['p99'] / 1e3:.2f}"

    rows = [("all connected and subscribed, s", f"{f['connect_s']:.1f}", None, 0),
            ("memory of a client at the sidecar, KiB", f"{f['sidecar_kib']:.2f}", GOAL_SIDECAR_KIB, f["sidecar_kib"]),
            ("memory of a client at the broker, KiB", f"{f['broker_kib']:.2f}", GOAL_BROKER_KIB, f["broker_kib"]),
            ("CPU of the sidecar, % of a core", f"{f['sidecar_cpu'] * 100:.0f}", None, 0),
            ("CPU of the broker, % of a core", f"{f['broker_cpu'] * 100:.0f}", None, 0),
            ("acknowledged after, p50 / p99, ms", ms("ack_us"), None, 0),
            ("arrived after, p50 / p99, ms", ms("latency_us"), None, 0),
            ("killed: the broker is ready after, s", f"{f['ready_s']:.2f}", None, 0),
            ("killed: all publishers acknowledged again after, s", f"{f['back_s']:.1f}", GOAL_BACK_S, f["back_s"])]
    return markdown_table(["measure", "figure", "goal", "met"], [
        [title, figure, f"≤ {goal}" if goal else "", ("yes" if value <= goal else "no") if goal else ""]
        for title, figure, goal, value in rows])

"""Many sessions on many links: what each costs, and how they come back when the broker is killed."""

import time

from chains import ChainError
from durable import markdown_table
from scale_chain import Links, anon_kib, cpu_s, kill_and_start, peak_kib

INTO_ROUND_S = 0.3  # the broker is killed with messages in flight
GOAL_BACK_S, GOAL_KIB = 10, 4


def settled_kib(bench, pid):
    """Anonymous memory, once the broker has given back what it needed for a while."""
    time.sleep(bench.args.settle)
    return anon_kib(pid)


def check(what, answer, lossless):
    wrong = [f"{answer[k]} {text}" for k, text in (
        ("told", "times a client would have been told of it"), ("late", "out of order")) if answer[k]]
    if answer["acked"] != answer["sent"]:
        wrong.append(f"{answer['sent'] - answer['acked']} not acknowledged")
    if lossless and answer["arrived"] != answer["sent"]:
        wrong.append(f"{answer['sent'] - answer['arrived']} lost")
    if wrong:
        raise ChainError(f"{what}: {', '.join(wrong)}")


def memory(bench, pid, found, *flags):
    idle = settled_kib(bench, pid)
    links = bench.links = Links(bench.chain, bench.args.links, bench.args.sessions, *flags)
    found["links_s"] = links.answer()["seconds"]
    linked = settled_kib(bench, pid)
    before = cpu_s(pid)
    answer = links.do("attach")
    check("attach", answer, True)
    found |= {"attach_s": answer["seconds"], "attach_cpu_s": cpu_s(pid) - before, "waits": answer["waits"],
              "peak_kib": peak_kib(pid), "link_kib": (linked - idle) / bench.args.links,
              "session_kib": (settled_kib(bench, pid) - linked) / bench.args.sessions}
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(bench.args.settle)
    found["idle_cpu"] = (cpu_s(pid) - before) / (time.monotonic() - began)


def steady(bench, pid, found):
    before = cpu_s(pid)
    answer = bench.links.do("load", bench.args.rate, bench.args.seconds)
    used = cpu_s(pid) - before
    check("load", answer, True)
    found |= {"sent": answer["sent"], "duplicates": answer["duplicates"],
              "rate": answer["sent"] / (answer["acked_at"] - answer["began_at"]),
              "cpu_us": used * 1e6 / answer["sent"], "ack_us": answer["ack_us"],
              "latency_us": answer["latency_us"]}


def outage(bench, found, durable):
    """The broker is killed while each session has a message on its way."""
    links = bench.links
    links.ask("outage")
    time.sleep(INTO_ROUND_S)
    killed, ready_s = kill_and_start(bench.chain)
    answer = links.answer()
    check("after the kill", answer, durable)
    found |= {"ready_s": ready_s, "attached_s": answer["attached_at"] - killed,
              "back_s": max(answer["attached_at"], answer["acked_at"]) - killed,
              "refused_attaches": answer["waits"], "unlinked": answer["unlinked"],
              "lost": answer["sent"] - answer["arrived"], "repeated": answer["duplicates"],
              "told": answer["told"], "storm_kib": peak_kib(bench.chain.programs["central"].pid)}
    answer = links.do("round")
    check("the round after", answer, True)
    found["round_s"] = answer["seconds"]


def run(bench, kind):
    durable = kind == "durable"
    found = {}
    pid = bench.start(kind).programs["central"].pid
    memory(bench, pid, found, *(["--durable"] if durable else []))
    steady(bench, pid, found)
    outage(bench, found, durable)
    return found


# ---- the table

TEXT = (
    "{0.sessions:,} sessions on {0.links:,} links of one process (`bench_links`), which are the holds and the pools of a "
    "sidecar without its clients: they attach, publish, settle, wait and come back as a sidecar's do. Each session is subscribed to "
    "a topic of its own and publishes to another's, 64 B at QoS 1, one message at a time. Memory is the broker's "
    "anonymous memory, of sessions with their subscription and nothing queued. Back: from `kill -9` of the broker, with a message of "
    "each session on its way, until each was attached and had its acknowledgement; the broker is started again at once. No client "
    "was told of anything, and of durable sessions nothing was lost; a transient one may lose what its broker had taken for it.")


def verdict(value, most):
    return "yes" if value <= most else "no"


def percentiles(key):
    return lambda f, _args: f"{f[key]['p50'] / 1e3:.1f} / {f[key]['p99'] / 1e3:.1f}"


ROWS = (  # title, figure, goal
    ("all links open, s", lambda f, a: f"{f['links_s']:.2f}", None),
    ("all sessions attached and subscribed, s", lambda f, a: f"{f['attach_s']:.1f}", None),
    ("sessions attached and subscribed a second", lambda f, a: f"{a.sessions / f['attach_s']:,.0f}", None),
    ("CPU of the broker for each of them, µs", lambda f, a: f"{f['attach_cpu_s'] * 1e6 / a.sessions:.0f}", None),
    ("memory of a link, KiB", lambda f, a: f"{f['link_kib']:.1f}", None),
    ("memory of a session, KiB", lambda f, a: f"{f['session_kib']:.2f}", ("session_kib", GOAL_KIB)),
    ("CPU of the broker while they do nothing, % of a core", lambda f, a: f"{f['idle_cpu'] * 100:.1f}", None),
    ("the broker's peak while they attach, MiB", lambda f, a: f"{f['peak_kib'] / 1024:.0f}", None),
    ("messages a second", lambda f, a: f"{f['rate']:,.0f}", None),
    ("CPU of the broker for each, µs", lambda f, a: f"{f['cpu_us']:.0f}", None),
    ("acknowledged after, p50 / p99, ms", percentiles("ack_us"), None),
    ("arrived after, p50 / p99, ms", percentiles("latency_us"), None),
    ("killed: the broker is ready after, s", lambda f, a: f"{f['ready_s']:.2f}", None),
    ("killed: all sessions attached after, s", lambda f, a: f"{f['attached_s']:.1f}", None),
    ("killed: all back and publishing after, s", lambda f, a: f"{f['back_s']:.1f}", ("back_s", GOAL_BACK_S)),
    ("killed: the broker's peak after its start, MiB", lambda f, a: f"{f['storm_kib'] / 1024:.0f}", None),
    ("killed: messages that came twice", lambda f, a: f"{f['repeated']:,}", None),
    ("killed: messages that were lost", lambda f, a: f"{f['lost']:,}", None),
    ("then a message from each session, s", lambda f, a: f"{f['round_s']:.1f}", None),
)


def lines(args, found):
    rows = []
    for title, figure, goal in ROWS:
        cells = [figure(f, args) for f in found.values()]
        met = ", ".join(verdict(f[goal[0]], goal[1]) for f in found.values()) if goal else ""
        rows.append([title, *cells, f"≤ {goal[1]}" if goal else "", met])
    return markdown_table(["measure", *found, "goal", "met"], rows)

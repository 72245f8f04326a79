"""The benchmark's table: for a terminal, and as docs/benchmarks.md."""

import collections
import dataclasses
import os
import platform
import re

OURS = ("clear", "tls")


@dataclasses.dataclass
class About:
    command: str
    rounds: int
    seconds: float
    minutes: float
    mosquitto: str
    failures: list


def number(v):
    if v is None:
        return "–"
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    if abs(v) >= 100:
        return f"{v:.0f}"
    return f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}"


def ratio(a, b):
    if a is None or not b:
        return "–"
    r = a / b
    return f"{r:.1f} ×" if r >= 10 else f"{r:.2f} ×"


def comparisons(names):
    """(heading, ours, theirs) for each ratio that can be shown."""
    short = {"clear": "clear", "tls": "TLS"}
    out = [(f"{short[o]} / {peer}", o, peer) for peer in ("mosquitto", "floor")
           for o in OURS if o in names and peer in names]
    if "tls" in names and "floor-tls" in names:
        out.append(("TLS / TLS floor", "tls", "floor-tls"))
    return out


def cells(rows, titles):
    compare = comparisons(titles)
    head = ["measure", *titles.values(), *[c[0] for c in compare]]
    body = []
    for row in rows:
        unit = f", {row.unit}" if row.unit else ""
        body.append([row.title + unit + ("" if row.lower_is_better else " (more is better)"),
                     *[number(row.values.get(n)) + row.marks.get(n, "") for n in titles],
                     *[ratio(row.values.get(o), row.values.get(p)) for _, o, p in compare]])
    return head, body


def machine(loopback=True):
    cpu = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = " ".join(platform.release().split("-")[:1])
    return (f"{len(os.sched_getaffinity(0))} cores{f' ({cpu})' if cpu else ''}, {memory:.0f} GiB, "
            f"Linux {system}{', loopback, generator on the same cores' if loopback else ''}")


def failure_lines(about):
    """Each kind of failure once, with how often and the last one's figures."""
    kinds = collections.OrderedDict()
    for text in about.failures:
        chain, run, words = text.split(": ", 2)
        times, _ = kinds.get((chain, run), (0, ""))
        kinds[chain, run] = (times + 1, words)
    return [f"{chain}: {run}: failed {times} of {about.rounds} times, at last: {words}"
            for (chain, run), (times, words) in kinds.items()]


def about_lines(about):
    return [f"{about.rounds} rounds in turns over all chains, medians; {about.seconds:g} s a "
            f"throughput run, {2 * about.seconds:g} s a latency run; {about.minutes:.1f} minutes.",
            f"Machine: {machine()}. mosquitto {about.mosquitto}."]


def text(rows, titles, about):
    head, body = cells(rows, titles)
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    out = []
    for line in [head, *body]:
        out.append("  ".join([line[0].ljust(widths[0])] + [
            c.rjust(w) for c, w in zip(line[1:], widths[1:])]).rstrip())
    out += ["", *about_lines(about)]
    if about.failures:
        out += ["* not every run delivered what it promised:", *failure_lines(about)]
    return "\n".join(out)


def markdown(rows, titles, about):
    head, body = cells(rows, titles)
    out = ["# Benchmarks", "",
           "Written by the benchmark itself:", "", f"    {about.command}", "",
           *about_lines(about), "",
           "A chain is publisher → local program → central program → local program → subscriber. "
           "mosquitto's is in the clear and keeps nothing on disk; ours is measured in the clear "
           "and with TLS 1.3 between sidecars and broker, which is how it ships. The floor is three "
           "TCP proxies that only copy bytes, without and with TLS 1.3 between them. Publishers and subscribers are `sqmqos-bench`, MQTT 5. "
           "Latency counts from the time a message was due to the time it was read; throughput "
           "counts deliveries, with at most 100 messages in flight per publisher (1→1 at QoS 0: "
           "1,000; fan-in: 20). Who subscribes is one client of the last local program, with a "
           "SUBSCRIBE for each filter: mosquitto's local one answers by itself, ours by the "
           "broker. Absolute figures move from machine to machine and from run to "
           "run; the ratios are what counts, and differences under 15 % are noise.", "",
           "| " + " | ".join(head) + " |",
           "|---|" + "---:|" * (len(head) - 1)]
    out += ["| " + " | ".join(line) + " |" for line in body]
    if about.failures:
        out += ["", "\\* Not every run delivered what it promised:", ""]
        out += [f"- {line}" for line in failure_lines(about)]
    return "\n".join(out) + "\n"


def parts(text):
    """(what stands before the first "## …", {its line: text of that part})."""
    head, *others = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return head, {part.splitlines()[0]: part for part in others}


def joined(*texts):
    return "\n".join(text.rstrip("\n") + "\n" for text in texts)


def write_head(path, text):
    """Puts it in place of what stands before the file's first part, which others write."""
    others = parts(path.read_text())[1] if path.exists() else {}
    path.write_text(joined(text, *others.values()))


def write_part(path, title, text):
    """Puts the part of that title into the file, in place of the one that is there."""
    head, others = parts(path.read_text() if path.exists() else "")
    others[title] = text
    path.write_text(joined(head, *others.values()))

"""What ./dev bench --durable measures, each part a function that fills a
dictionary of figures."""

import mmap
import os
import re
import shutil
import signal
import subprocess
import time

import generator
from chains import ChainError

SHAPES = [(window, size) for size in (64, 1024) for window in (1, 100)]
DURABLE = ("--durable", "--expiry", 3600, "--qos", 1)
QUEUES, EACH = 1000, 1000  # of the part with a million waiting
MIB = 1 << 20


def flags(**options):
    out = []
    for name, value in options.items():
        out += ["--" + name.replace("_", "-")] + ([] if value is True else [value])
    return out


class Failed(Exception):
    """A part could not be measured; the text says why."""


def run(g, chain, *words, timeout_s=300):
    """A run that must be in order."""
    result, why = g.run(chain, *DURABLE, *words, timeout_s=timeout_s)
    if result is None:
        raise Failed(f"{chain.title}: {why}")
    if not result["ok"]:
        raise Failed(f"{chain.title}: {generator.describe(result)}")
    return result


def start(g, chain):
    """Starts a chain and waits until a message comes through."""
    chain.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            return run(g, chain, *flags(count=1, drain=1, mqtt=3), timeout_s=30)
        except Failed as e:
            chain.check()
            if time.monotonic() > deadline:
                raise ChainError(str(e)) from None
            time.sleep(0.1)


# ---- the disk

def fdatasync_us(folder, n=200):
    """Microseconds of each fdatasync after 4 KiB written over a file's old bytes."""
    page = mmap.mmap(-1, 4096)
    page.write(os.urandom(4096))
    path = folder / "fdatasync"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    took = []
    try:
        for _ in range(256):
            os.write(fd, page)
        os.fsync(fd)
        for i in range(n):
            os.pwrite(fd, page, i % 256 * 4096)
            began = time.monotonic_ns()
            os.fdatasync(fd)
            took.append((time.monotonic_ns() - began) / 1e3)
    finally:
        os.close(fd)
        path.unlink()
    return took


# ---- one publisher, one subscriber

def pair(g, chain, window, size, seconds):
    return run(g, chain, *flags(mqtt=3, window=window, size=size, duration=seconds, warmup=0.5,
                                backlog=window + 2000))


def syncs_per_ack(g, chain):
    """Syncs of the central program for each acknowledgement at window 1; None
    where there is no strace."""
    if not shutil.which("strace"):
        return None
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,msync", "-e", "signal=none",
         "-o", chain.folder / "strace", "-p", str(chain.pids()["central"])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        result = run(g, chain, *flags(mqtt=3, window=1, count=1000))
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    text = (chain.folder / "strace").read_text(errors="replace")
    return len(re.findall(r"(?:fsync|fdatasync|msync)\(", text)) / result["acked"]


# ---- many waiting

def fill(g, chain, queues, each, prefix):
    """Durable sessions that are offline with 'each' messages of 1 KiB; acked/s."""
    shape = flags(prefix=prefix, keep=True, size=1024, publishers=queues)
    run(g, chain, *shape, *flags(subscribers=queues, count=1))
    return run(g, chain, *shape, *flags(subscribers=0, first=1, count=each,
                                        window=max(1, 1000 // queues)))["acked_per_s"]


def drain(g, chain, queues, each, prefix, receive_max=1000):
    """Takes all of it, proving that it is complete and in order; messages/s."""
    result = run(g, chain, *flags(
        prefix=prefix, resume=True, size=1024, publishers=queues, subscribers=queues, expect=1,
        take=each, drain=600, receive_max=receive_max), timeout_s=700)
    if result["duplicates"]:
        raise Failed(f"{chain.title}: {result['duplicates']} duplicates without any loss")
    return result["delivered_per_s"]


def queues(g, chain, seconds):
    """A million wait in 1,000 queues, and as many wait all along."""
    start(g, chain)
    figures = {"fill": fill(g, chain, QUEUES, EACH, "queues")}
    figures["waiting"] = chain.broker_metric("sqmqos_queued_messages")
    result = run(g, chain, *flags(
        prefix="queues", keep=True, resume=True, pace=True, size=1024, publishers=QUEUES,
        subscribers=QUEUES, first=EACH + 1, expect=1, window=1, receive_max=4, warmup=2,
        duration=seconds, drain=20))
    figures |= {"acked": result["acked_per_s"], "taken": result["delivered_per_s"],
                "p50": result["ack_us"]["p50"], "p99": result["ack_us"]["p99"],
                "gap": result["longest_gap_us"], "anon": chain.broker_anon_kib()}
    figures["waiting_after"] = chain.broker_metric("sqmqos_queued_messages")
    chain.stop()
    return figures


ENGINE_LINE = re.compile(
    r"^(.+?) +(\d+) msg/s(?:  p50 +([\d.]+) ms  p99 +([\d.]+) ms  longest gap +(\d+) ms)?"
    r"  anonymous (\d+) MiB$")


def engine(program, folder, seconds):
    """The engine alone; a list of rows."""
    done = subprocess.run([program, "--dir", folder, "--seconds", str(int(seconds))],
                          capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Failed("bench_engine: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    rows = []
    for line in done.stdout.splitlines():
        if m := ENGINE_LINE.match(line):
            rows.append(m.groups())
        elif m := re.match(r"ready again after +(\d+) ms", line):
            rows.append(("ready again after, ms", m[1], None, None, None, None))
    return rows


# ---- restarts

def restarts(g, chain, n):
    """One queue of 'n' messages of 1 KiB over a broker that is killed, and ended."""
    start(g, chain)
    figures = {"n": n, "idle": chain.broker_anon_kib()}
    figures["fill"] = fill(g, chain, 1, n, "restart")
    figures["backlog"] = chain.broker_anon_kib()
    for number, key in ((signal.SIGKILL, "kill"), (signal.SIGTERM, "term")):
        figures[f"ready_{key}"] = chain.restart_broker(number)
        figures[f"anon_{key}"] = chain.broker_anon_kib()
        waiting = chain.broker_metric("sqmqos_queued_messages")
        if waiting != n:
            raise Failed(f"{waiting:.0f} of {n} messages after {number.name}")
    figures["drain"] = drain(g, chain, 1, n, "restart")
    figures["live"] = run(g, chain, *flags(size=1024, window=1000, backlog=4000, duration=3,
                                           warmup=1))["delivered_per_s"]
    chain.stop()
    return figures

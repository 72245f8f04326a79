"""What ./dev bench --scale loads: a broker with two sidecars, and bench_links, whose sessions and links
have no sidecar."""

import json
import os
import selectors
import signal
import subprocess
import time

from chains import ChainError, OursClear, OursTLS, stack
from durable_chains import Durable

ANSWER_S = 300  # in which any answer comes, or something is wrong


class Clear(Durable, OursClear):
    pass


class TLS(Durable, OursTLS):
    pass


def cpu_s(pid):
    """Seconds of user and system time of a process."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_kib(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(f"{name}:"))


def anon_kib(pid):
    return status_kib(pid, "RssAnon")


def peak_kib(pid):
    """The most that it has had so far, with what it maps."""
    return status_kib(pid, "VmHWM")


class Links:
    """bench_links, which does one thing after the other."""

    def __init__(self, chain, links, sessions, *flags):
        tree = chain.programs["local-1"].tree
        tree = {k: tree[k] for k in ("brokers", "tls", "auth", "identity")} | {"log": {"level": "error"}}
        config = chain.folder / "links.yaml"
        stack.write_private(config, stack.yaml(tree))
        self.chain = chain
        self.words = open(chain.folder / "links.log", "ab")
        self.process = subprocess.Popen(
            [str(chain.build / "bench" / "bench_links"), "--links", str(links), "--sessions", str(sessions),
             *flags, "--", "--config", str(config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words, bufsize=0,
            env=stack.clean_environment(), start_new_session=True, preexec_fn=stack.in_child)
        self.text = b""
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def ask(self, *words):
        """Has it begin with something."""
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())

    def answer(self, timeout_s=ANSWER_S):
        """What came of it."""
        until = time.monotonic() + timeout_s
        while b"\n" not in self.text:
            if not self.selector.select(max(0, until - time.monotonic())):
                raise ChainError(f"links: no answer in {timeout_s} s; {self.last_words()}")
            more = self.process.stdout.read(65536)
            if not more:
                raise ChainError(f"links: {stack.describe_exit(self.process.wait())}: {self.last_words()}")
            self.text += more
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line)

    def do(self, *words, timeout_s=ANSWER_S):
        self.ask(*words)
        return self.answer(timeout_s)

    def last_words(self):
        lines = (self.chain.folder / "links.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "no words in its log"

    def stop(self):
        """Its input ends; its exit code."""
        self.process.stdin.close()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.words.close()
        self.selector.close()
        return code


def kill_and_start(chain):
    """(when, seconds until it was ready again): kill -9 of the broker, and its start."""
    killed = time.monotonic()
    chain.restart_broker(signal.SIGKILL)
    return killed, time.monotonic() - killed

"""./dev run: one broker and some sidecars on this machine, kept alive until
Ctrl-C or SIGTERM."""

import argparse
import errno
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time

import stack

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
MARK = "made-by-dev-run"
BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 5.0
STEADY_S = 10.0  # who lived that long starts again with the first backoff
START_TRIES = 5
END_S = 15.0


class Stopped(Exception):
    """SIGINT, SIGTERM or SIGHUP has come."""


def say(text):
    print(text, flush=True)


def fail(sentence, code=1):
    print(f"dev run: {sentence}", file=sys.stderr, flush=True)
    sys.exit(code)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(f"{message}; see ./dev run --help", 2)


def arguments():
    parser = Parser(
        prog="./dev run", allow_abbrev=False,
        description="Builds, then runs one broker and N sidecars with TLS 1.3 between them, "
        "restarts what dies, and ends everything on Ctrl-C or SIGTERM. A line that starts "
        "with 'ready' says that all of them serve.")
    parser.add_argument("--sidecars", type=int, default=2, metavar="N",
                        help="how many sidecars, 1 to 100 (2)")
    parser.add_argument("--port", type=int, default=1883, metavar="P",
                        help="MQTT port of the first sidecar; the next ones follow it (1883)")
    parser.add_argument("--data", metavar="DIR", default=str(stack.ROOT / "build" / "run"),
                        help="where certificates, configuration files and logs are kept (build/run)")
    parser.add_argument("--clear", action="store_true",
                        help="no TLS between sidecars and broker")
    parser.add_argument("--annotations", metavar="FILE",
                        help="pod annotations in the downward API's format, for every sidecar; "
                        "may be edited while it runs")
    args = parser.parse_args()
    if not 1 <= args.sidecars <= 100:
        parser.error(f"--sidecars must be from 1 to 100, not {args.sidecars}")
    if not 1 <= args.port <= 65536 - args.sidecars:
        parser.error(f"--port must be from 1 to {65536 - args.sidecars}, not {args.port}")
    return args


def wait_signal(seconds):
    """Sleeps up to 'seconds', less when a child ends; raises Stopped."""
    info = signal.sigtimedwait(SIGNALS, max(seconds, 0))
    if info is not None and info.si_signo != signal.SIGCHLD:
        raise Stopped


def check_ports(first, n):
    for port in range(first, first + n):
        error = stack.port_error(port)
        if error is None:
            continue
        if error.errno == errno.EADDRINUSE:
            fail(f"port {port} is in use; choose others with --port")
        if error.errno in (errno.EACCES, errno.EPERM):
            fail(f"port {port} needs rights that you do not have; choose --port from 1024 up")
        fail(f"cannot listen on port {port}: {error.strerror}")


def open_data(name):
    """The state folder, made and locked; its lock file stays open."""
    folder = pathlib.Path(name).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARK).exists() and any(folder.iterdir()):
            fail(f"{folder} is not empty and was not made by ./dev run; choose another --data")
        lock = open(folder / MARK, "a")
        os.chmod(folder, 0o700)
    except FileExistsError:
        fail(f"{folder} is not a folder; choose another --data")
    except OSError as e:
        fail(f"cannot use {folder}: {e.strerror}")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        fail(f"another ./dev run uses {folder}; choose another --data")
    return folder, lock


def build():
    child = subprocess.Popen([str(stack.ROOT / "dev"), "build", "release"],
                             stdin=subprocess.DEVNULL, start_new_session=True,
                             preexec_fn=stack.in_child)
    try:
        while child.poll() is None:
            wait_signal(0.5)
    except Stopped:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        raise
    if child.returncode != 0:
        sys.exit(1)


class Kept:
    """A program that is started again when it ends."""

    def __init__(self, program):
        self.program = program
        self.backoff_s = BACKOFF_FIRST_S
        self.started = 0.0
        self.due = 0.0
        self.ends = 0

    def start(self):
        self.started = time.monotonic()
        self.program.start()

    def look_after(self, now):
        """Notices an end, and starts again when the backoff is over."""
        if self.program.process is None:
            if now >= self.due:
                self.start()
            return
        code = self.program.process.poll()
        if code is None:
            return
        self.ends += 1
        if now - self.started > STEADY_S:
            self.backoff_s = BACKOFF_FIRST_S
        say(f"{self.program.name} {stack.describe_exit(code)}; "
            f"starting it again in {self.backoff_s:g} s (log: {self.program.log_path})")
        self.program.process = None
        self.due = now + self.backoff_s
        self.backoff_s = min(self.backoff_s * 2, BACKOFF_LAST_S)


def make_programs(args, folder):
    tls = not args.clear
    release = stack.ROOT / "build" / "release"
    taken = set(range(args.port, args.port + args.sidecars))
    ports = []
    for _ in range(args.sidecars + 2):
        ports.append(stack.free_port(taken | set(ports)))
    broker_port, *admin = ports
    programs = [stack.Program("broker", "broker", folder, release, stack.config(
        "broker", folder, listen=broker_port, admin=admin[0], tls=tls))]
    for i in range(args.sidecars):
        tree = stack.config("sidecar", folder, listen=args.port + i, admin=admin[1 + i], tls=tls,
                            broker=broker_port, pod=i + 1, annotations=args.annotations)
        programs.append(stack.Program("sidecar", f"sidecar-{args.port + i}", folder, release, tree))
    for p in programs:
        p.log_path.unlink(missing_ok=True)
    return programs


def announce(args, programs):
    ports = range(args.port, args.port + args.sidecars)
    broker = programs[0]
    how = "in the clear" if args.clear else "TLS 1.3"
    say("ready: MQTT on " + ", ".join(f"localhost:{p}" for p in ports) +
        f"; broker at {broker.tree['listen']['address']} ({how})")
    say("\nTry, in two other terminals:\n"
        f"  mosquitto_sub -p {ports[-1]} -t 'hello/#' -v\n"
        f"  mosquitto_pub -p {ports[0]} -t hello/world -m 'hi there' -q 1\n\n"
        "What goes on inside:")
    for p in programs:
        say(f"  curl http://127.0.0.1:{p.admin_port}/metrics   # {p.name}")
    say(f"\nLogs are in {broker.log_path.parent}. Ctrl-C ends everything.")


def supervise(args, kept):
    """Starts all, says when they are ready, and keeps them running."""
    programs = [k.program for k in kept]
    waiting = set(programs)
    reasons_due = time.monotonic() + 5
    for k in kept:
        k.start()
    while True:
        now = time.monotonic()
        for k in kept:
            k.look_after(now)
            if waiting and k.ends >= START_TRIES:
                fail(f"{k.program.name} does not start: {k.program.last_words()}")
        if waiting:
            reasons = {p: p.ready() for p in waiting if p.process is not None}
            waiting -= {p for p, (ok, _) in reasons.items() if ok}
            if not waiting:
                announce(args, programs)
            elif now >= reasons_due:
                reasons_due = now + 30
                for p in waiting:
                    say(f"{p.name} is not ready yet: {reasons.get(p, (0, 'starting'))[1]}")
        wait_signal(0.05 if waiting else 0.5)


def stop_all(programs):
    """Sidecars first, so that the broker has nothing left to wait for. A second
    Ctrl-C, or END_S, ends them at once."""
    for kind in ("sidecar", "broker"):
        group = [p for p in programs if p.kind == kind and p.running()]
        for p in group:
            p.signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        try:
            while any(p.running() for p in group) and time.monotonic() < deadline:
                wait_signal(0.1)
        except Stopped:
            pass
        for p in group:
            p.signal(signal.SIGKILL)
            p.process.wait()


def main():
    args = arguments()
    if args.annotations is not None:
        try:
            with open(args.annotations, "rb"):
                args.annotations = os.path.abspath(args.annotations)
        except OSError as e:
            fail(f"cannot read {args.annotations}: {e.strerror}")
    check_ports(args.port, args.sidecars)
    folder, lock = open_data(args.data)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    programs = []
    try:
        build()
        if not (folder / "token").exists():
            stack.write_token(folder / "token")
        if not args.clear and not (folder / "broker.pem").exists():
            stack.write_certificates(folder)
        programs = make_programs(args, folder)
        supervise(args, [Kept(p) for p in programs])
    except Stopped:
        say("ending")
    except RuntimeError as e:
        fail(str(e))
    finally:
        stop_all(programs)
        lock.close()


main()

"""./dev run: one broker and some sidecars on this machine, kept alive until
Ctrl-C or SIGTERM."""

import argparse
import errno
import fcntl
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import pods
import stack

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
MARK = "made-by-dev-run"
BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 5.0
STEADY_S = 10.0  # who lived that long starts again with the first backoff
START_TRIES = 5
END_S = 15.0
SETTLE_S = 0.3  # a file written this lately may not be whole
SETTING = re.compile(r"(broker|sidecar)\.([a-z0-9-]+(?:\.[a-z0-9-]+)*)=(.*)", re.S)
CHOSEN = {  # settings that ./dev run makes itself, and what says them instead
    "broker.listen.address": "it keeps one, see DIR/env", "broker.admin.listen": "see DIR/env",
    "sidecar.listen.port": "see --port", "sidecar.admin.listen": "see DIR/env",
    "sidecar.outbox.dir": "each sidecar has its own, DIR/outbox-PORT",
    "sidecar.brokers": "there is one", "sidecar.annotations.file": "see --annotations",
}


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
        "with 'ready' says that all of them serve. What they keep is there at the next run: "
        "sessions, messages, ports. DIR/env has ports, addresses and process ids for scripts.")
    parser.add_argument("--sidecars", type=int, default=2, metavar="N",
                        help="how many sidecars, 1 to 100 (2)")
    parser.add_argument("--port", type=int, default=1883, metavar="P",
                        help="MQTT port of the first sidecar; the next ones follow it (1883)")
    parser.add_argument("--data", metavar="DIR", default=str(stack.ROOT / "build" / "run"),
                        help="where the store, certificates, configuration files and logs are "
                        "kept (build/run); remove it to start anew")
    parser.add_argument("--clear", action="store_true",
                        help="no TLS between sidecars and broker")
    parser.add_argument("--annotations", metavar="[PORT=]FILE", action="append", default=[],
                        help="pod annotations of the sidecar with that MQTT port, or of every "
                        "one: a YAML map, a manifest of a pod or of what makes pods, or the "
                        "downward API's format; may be edited while it runs")
    parser.add_argument("--set", metavar="PROGRAM.KEY=VALUE", action="append", default=[],
                        help="a setting of the broker or of every sidecar, as in "
                        "broker.queue.max-bytes=1Mi; may be given several times")
    args = parser.parse_args()
    if not 1 <= args.sidecars <= 100:
        parser.error(f"--sidecars must be from 1 to 100, not {args.sidecars}")
    if not 1 <= args.port <= 65536 - args.sidecars:
        parser.error(f"--port must be from 1 to {65536 - args.sidecars}, not {args.port}")
    args.ports = range(args.port, args.port + args.sidecars)
    args.settings = settings(parser, args.set)
    args.annotations = annotation_files(parser, args)
    return args


def settings(parser, given):
    """{"broker": tree, "sidecar": tree} of what --set says; later wins."""
    trees = {"broker": {}, "sidecar": {}}
    for text in given:
        match = SETTING.fullmatch(text)
        if match is None:
            parser.error(f"--set {text} is not like broker.queue.max-bytes=1Mi "
                         "or sidecar.session.linger=5s")
        program, name, value = match.groups()
        if f"{program}.{name}" in CHOSEN:
            parser.error(f"--set {program}.{name}: ./dev run chooses that itself; "
                         + CHOSEN[f"{program}.{name}"])
        *groups, key = name.split(".")
        tree = trees[program]
        for group in groups:
            tree = tree.setdefault(group, {})
            if not isinstance(tree, dict):
                parser.error(f"--set {program}.{name}: another --set gives {group} a value")
        if isinstance(tree.get(key), dict):
            parser.error(f"--set {program}.{name}: another --set gives a key below it a value")
        tree[key] = value
    return trees


def annotation_files(parser, args):
    """{MQTT port: file} of what --annotations says; a port's own goes before all's."""
    files, general = {}, None
    for text in args.annotations:
        port, _, name = text.partition("=") if re.match(r"\d+=", text) else ("", "", text)
        if port and int(port) not in args.ports:
            parser.error(f"--annotations {text}: no sidecar has port {port}")
        if int(port) in files if port else general is not None:
            parser.error(f"--annotations {text}: given twice for the same sidecar")
        if port:
            files[int(port)] = os.path.abspath(name)
        else:
            general = os.path.abspath(name)
    if general is not None:
        files = {port: general for port in args.ports} | files
    return files


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


class Annotations:
    """A file of a person's, kept as the downward API's in the state folder. It is
    written when its content changes, with the time of the person's file."""

    def __init__(self, source):
        self.source = pathlib.Path(source)
        self.seen = None
        self.text = ""
        self.problem = None
        self.path = None

    def read(self):
        """Takes the file in if it has changed; OSError, UnicodeError or Malformed."""
        stat = self.source.stat()
        seen = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if seen == self.seen or self.seen and 0 <= time.time() - stat.st_mtime < SETTLE_S:
            return
        self.text = pods.downward(self.source.read_text(encoding="utf-8"))
        self.seen = seen

    def keep(self):
        if self.path.exists() and self.path.read_text(encoding="utf-8") == self.text:
            return
        new = self.path.with_name(self.path.name + ".new")
        stack.write_private(new, self.text)
        os.utime(new, ns=(self.seen[3], self.seen[3]))
        new.replace(self.path)

    def look_after(self):
        """While running: a problem is said once, and the last good set stays."""
        try:
            self.read()
            self.keep()
            problem = None
        except (OSError, UnicodeError, pods.Malformed) as e:
            problem = getattr(e, "strerror", None) or str(e)
        if problem not in (None, self.problem):
            say(f"{self.source}: {problem}; the annotations stay as they were")
        self.problem = problem


def read_annotations(args):
    """{MQTT port: Annotations}, all of them read."""
    made = {}
    for port, source in args.annotations.items():
        made[port] = Annotations(source)
        try:
            made[port].read()
        except OSError as e:
            fail(f"cannot read {source}: {e.strerror}")
        except (UnicodeError, pods.Malformed) as e:
            fail(f"{source}: {e}")
    return made


def keep_ports(folder, names, taken):
    """{name: port}: those of the last run where they are free, else new ones."""
    path = folder / "ports"
    try:
        kept = {n: p for n, p in json.loads(path.read_text()).items() if type(p) is int}
    except (OSError, ValueError, AttributeError):
        kept = {}
    for name in names:
        port = kept.get(name)
        if port is not None and port not in taken and stack.port_error(port) is None:
            continue
        kept[name] = stack.free_port(taken | set(kept.values()))
        if port is not None:
            say(f"port {port} ({name}) is in use by now; it is {kept[name]} from here on")
    stack.write_private(path, json.dumps(kept, indent=1) + "\n")
    return kept


def make_programs(args, folder, annotations):
    tls = not args.clear
    release = stack.ROOT / "build" / "release"
    for port, a in annotations.items():
        a.path = folder / f"sidecar-{port}.annotations"
        a.keep()
    names = ["broker", "broker-admin", *(f"sidecar-{p}-admin" for p in args.ports)]
    kept = keep_ports(folder, names, set(args.ports))
    tree = stack.config("broker", folder, listen=kept["broker"], admin=kept["broker-admin"],
                        tls=tls, store="store")
    # who has the API's token tries queues out, and manages them
    tree["acl"] = [{"allow": ["manage", "push"], "identity": "token:api", "queues": ["*"]}]
    (folder / "subscribers").mkdir(exist_ok=True)
    tree["subscribers"] = {"dir": str(folder / "subscribers")}
    (folder / "bridges").mkdir(exist_ok=True)
    tree["bridges"] = {"dir": str(folder / "bridges")}
    (folder / "secrets").mkdir(exist_ok=True)
    # What is tried here is posted to this machine.
    tree["push"] = {"allow": [{"host": "127.0.0.1", "cidr": "127.0.0.1"}], "trusted": ["127.0.0.1"],
                    "secrets-dir": str(folder / "secrets")}
    programs = [stack.Program("broker", "broker", folder, release,
                              stack.merge(tree, args.settings["broker"]))]
    for i, port in enumerate(args.ports):
        file = annotations[port].path if port in annotations else None
        tree = stack.config("sidecar", folder, listen=port, admin=kept[f"sidecar-{port}-admin"],
                            tls=tls, broker=kept["broker"], pod=i + 1, annotations=file)
        tree["outbox"] = {"dir": str(folder / f"outbox-{port}")}  # for who asks for disk
        programs.append(stack.Program("sidecar", f"sidecar-{port}", folder, release,
                                      stack.merge(tree, args.settings["sidecar"])))
    for p in programs:
        if p.log_path.exists():
            p.log_path.replace(p.log_path.with_name(p.log_path.name + ".1"))
    return programs


def check(programs):
    for p in programs:
        problems = p.check()
        if problems:
            fail("\ndev run: ".join(problems.splitlines()))


def write_environment(folder, programs):
    """DIR/env, for a shell to read: what runs where. Without process ids at the end."""
    broker, sidecars = programs[0], programs[1:]
    running = any(p.running() for p in programs)
    values = {
        "DATA": folder, "RUN_PID": os.getpid() if running else "",
        "MQTT_PORTS": " ".join(str(s.tree["listen"]["port"]) for s in sidecars),
        "BROKER_ADDRESS": broker.tree["listen"]["address"],
        "BROKER_ADMIN": broker.tree["admin"]["listen"],
        "API": (api(folder, broker) or ("", ""))[0],
        "BROKER_PID": broker.pid if broker.running() else "",
    }
    for i, s in enumerate(sidecars, 1):
        values |= {f"SIDECAR_{i}_PORT": s.tree["listen"]["port"],
                   f"SIDECAR_{i}_ADMIN": s.tree["admin"]["listen"],
                   f"SIDECAR_{i}_PID": s.pid if s.running() else ""}
    text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    path = folder / "env"
    if path.exists() and path.read_text() == text:
        return
    stack.write_private(folder / "env.new", text)
    (folder / "env.new").replace(path)


def api(folder, broker):
    """The address of the HTTP API, and curl with what it needs; None: it is off."""
    off = (broker.tree.get("http") or {}).get("enabled") in (False, "false")
    if off:
        return None
    tls = broker.tree["tls"]["enabled"] not in (False, "false")
    address = (broker.tree.get("http") or {}).get("listen") or broker.tree["listen"]["address"]
    url = f"http{'s' if tls else ''}://{address}"
    ca = f"--cacert {shlex.quote(str(folder / 'ca.pem'))} " if tls else ""
    token = f'"authorization: bearer $(cat {shlex.quote(str(folder / "api-token"))})"'
    return url, f"curl -sS --fail-with-body {ca}-H {token}"


def announce_api(folder, broker):
    found = api(folder, broker)
    if found is None:
        return
    url, curl = found
    say(f"\nThe HTTP API is at {url}; its token is in {folder / 'api-token'}:\n"
        f"  {curl} -d 'hi there' {url}/v1/publish/hello/world\n"
        f"  {curl} -H 'idempotency-key: \"hello-1\"' -d 'once' {url}/v1/publish/hello/once\n"
        f"  {curl} {url}/v1")


def announce(args, programs):
    ports = args.ports
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
    admin = f"http://127.0.0.1:{broker.admin_port}"
    tool = os.path.relpath(stack.ROOT / "build" / "release" / "sqmqos")
    say(f"  {tool} top --admin {admin}")
    if (broker.tree.get("admin") or {}).get("console"):
        say(f"  {admin}/console/   # in a browser")
    folder = broker.log_path.parent
    announce_api(folder, broker)
    say(f"\nLogs are in {folder}; scripts find ports and process ids in {folder / 'env'}.\n"
        "Ctrl-C ends everything; sessions and messages are there at the next run.")


def supervise(args, folder, kept, annotations):
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
        write_environment(folder, programs)
        for a in annotations.values():
            a.look_after()
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
    annotations = read_annotations(args)
    check_ports(args.port, args.sidecars)
    folder, lock = open_data(args.data)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    programs = []
    try:
        build()
        if not (folder / "tokens").exists():
            stack.write_token(folder / "token")
        if not (folder / "api-token").exists():
            stack.add_token(folder / "api-token", name="api")
        if not args.clear and not (folder / "broker.pem").exists():
            stack.write_certificates(folder)
        programs = make_programs(args, folder, annotations)
        check(programs)
        supervise(args, folder, [Kept(p) for p in programs], annotations)
    except Stopped:
        say("ending")
    except RuntimeError as e:
        fail(str(e))
    finally:
        stop_all(programs)
        if programs:
            write_environment(folder, programs)
        lock.close()


main()

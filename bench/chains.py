"""The chains that the benchmark compares: publisher, a local program, a central
one, another local one, subscriber; and the floor, three bare TCP proxies,
without and with TLS between them.

A chain is started in a folder of its own on free ports of 127.0.0.1, and ended
by the processes that it started, whatever happens in between."""

import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import stack  # noqa: E402

START_S = 15


class ChainError(Exception):
    """The chain can't be measured; the text says why."""


class Chain:
    """One of the compared ones. 'pub' and 'sub' are where publishers and
    subscribers connect; 'processes' maps a role to what runs it."""

    name = title = None
    raw = False
    roles = ("local-1", "central", "local-2")

    def __init__(self, folder, build):
        self.base = pathlib.Path(folder) / self.name
        self.build = pathlib.Path(build)
        self.processes = {}
        self.pub = self.sub = None
        self.starts = 0
        self.taken = set()

    def missing(self):
        """What must be there and isn't, or None."""
        return None

    def port(self):
        port = stack.free_port(self.taken)
        self.taken.add(port)
        return port

    def spawn(self, role, argv):
        with open(self.folder / f"{role}.log", "ab") as log:
            self.processes[role] = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=stack.clean_environment(), start_new_session=True,
                preexec_fn=stack.in_child)

    def start(self):
        self.stop()
        self.starts += 1
        self.folder = self.base / str(self.starts)
        self.folder.mkdir(parents=True, mode=0o700)
        self.launch()

    def launch(self):
        raise NotImplementedError

    def listening(self, role, port, timeout_s=START_S):
        """Waits until 'role' takes connections on 'port'."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise ChainError(f"{self.name}: {role} does not listen on port {port}")

    def check(self):
        """Raises when one of the processes has ended."""
        for role, p in self.processes.items():
            if p.poll() is not None:
                raise ChainError(f"{self.name}: {role} {stack.describe_exit(p.returncode)}: "
                                 f"{self.last_words(role)}")

    def last_words(self, role):
        try:
            lines = (self.folder / f"{role}.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else "no words in its log"

    def pids(self):
        return {role: p.pid for role, p in self.processes.items()}

    def stop(self):
        for p in self.processes.values():
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        for p in self.processes.values():
            try:
                p.wait(3)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = {}
        self.taken = set()


class Floor(Chain):
    """Three TCP proxies; the generator is both ends of the pipe."""

    name = "floor"
    title = "floor: 3 TCP proxies"
    raw = True

    def options(self, role):
        return []

    def launch(self):
        ports = [self.port() for _ in range(4)]
        for i in (2, 1, 0):
            self.spawn(self.roles[i], [self.build / "sqmqos-bench-proxy",
                                       *self.options(self.roles[i]),
                                       f"127.0.0.1:{ports[i]}", f"127.0.0.1:{ports[i + 1]}"])
        # No connection to try: it would be the generator's first.
        time.sleep(0.2)
        self.check()
        self.pub, self.sub = f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[3]}"


class FloorTLS(Floor):
    """As above, with TLS between them."""

    name = "floor-tls"
    title = "floor: 3 TLS proxies"

    def options(self, role):
        server = ["--tls-in", self.folder / "broker.pem", self.folder / "broker.key"]
        return {"local-1": ["--tls-out"], "central": server + ["--tls-out"], "local-2": server}[role]

    def launch(self):
        stack.write_certificates(self.folder)
        super().launch()


MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest stderr
log_type error
log_type warning
set_tcp_nodelay true
# No limits: nothing is dropped, as nothing of ours is, and a bridge with any
# smaller window gets stuck at QoS 2.
max_queued_messages 0
max_inflight_messages 0
"""

MOSQUITTO_BRIDGE = """
connection {role}
address 127.0.0.1:{central}
topic # {direction} 2
cleansession true
notifications false
restart_timeout 1
"""


class Mosquitto(Chain):
    """A local mosquitto that bridges out to a central one, and one that
    bridges in from it; in the clear, nothing on disk."""

    name = "mosquitto"
    title = "mosquitto chain"

    @staticmethod
    def program():
        for path in ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"):
            if pathlib.Path(path).exists():
                return path
        return None

    def missing(self):
        return None if self.program() else "mosquitto is not installed (Debian: mosquitto)"

    @classmethod
    def version(cls):
        if not cls.program():
            return "none"
        out = subprocess.run([cls.program(), "-h"], capture_output=True, text=True).stdout
        return out.splitlines()[0].split()[-1] if out else "?"

    def run_one(self, role, port, bridge=""):
        path = self.folder / f"{role}.conf"
        path.write_text(MOSQUITTO.format(port=port) + bridge)
        self.spawn(role, [self.program(), "-c", path])
        self.listening(role, port)

    def launch(self):
        local1, central, local2 = (self.port() for _ in range(3))
        self.run_one("central", central)
        self.run_one("local-1", local1, MOSQUITTO_BRIDGE.format(
            role="local-1", central=central, direction="out"))
        self.run_one("local-2", local2, MOSQUITTO_BRIDGE.format(
            role="local-2", central=central, direction="in"))
        self.pub, self.sub = f"127.0.0.1:{local1}", f"127.0.0.1:{local2}"


class Ours(Chain):
    """Two sidecars and a broker."""

    tls = False
    tracing = None  # {"sample": share, "endpoint": URL}: sidecars and broker trace
    environment = {}  # {role: {name: value}}: more of it

    def missing(self):
        for program in ("sqmqos-broker", "sqmqos-sidecar"):
            if not (self.build / program).exists():
                return f"{self.build / program} is not built"
        return None

    def configs(self):
        """The configurations: role -> (program, tree), in the order to start."""
        listen = {role: self.port() for role in self.roles}
        admin = {role: self.port() for role in self.roles}
        trees = {"central": ("broker", stack.config(
            "broker", self.folder, listen=listen["central"], admin=admin["central"],
            tls=self.tls))}
        for n, role in ((1, "local-1"), (2, "local-2")):
            trees[role] = ("sidecar", stack.config(
                "sidecar", self.folder, listen=listen[role], admin=admin[role], tls=self.tls,
                broker=listen["central"], pod=n))
        for kind, tree in trees.values():
            tree["log"] = {"level": "warn"}
            if self.tracing:
                tree["tracing"] = {k: v for k, v in self.tracing.items()
                                   if kind == "sidecar" or k != "sample"}
        return trees

    def launch(self):
        stack.write_token(self.folder / "token")
        if self.tls:
            stack.write_certificates(self.folder)
        self.programs = {}
        for role, (kind, tree) in self.configs().items():
            program = stack.Program(kind, role, self.folder, self.build, tree)
            stack.fit_tokens(program)
            program.environment |= self.environment.get(role, {})
            program.start()
            self.processes[role] = program.process
            self.programs[role] = program
        late = stack.wait_ready(self.programs.values(), START_S)
        self.check()
        if late:
            raise ChainError(f"{self.name}: " + "; ".join(
                f"{role} is not ready: {why}" for role, why in late.items()))
        ports = {r: p.tree["listen"].get("port") for r, p in self.programs.items()}
        self.pub, self.sub = (f"127.0.0.1:{ports[r]}" for r in ("local-1", "local-2"))


class OursClear(Ours):
    name = "clear"
    title = "SQMQOS, clear"


class OursTLS(Ours):
    name = "tls"
    title = "SQMQOS, TLS 1.3"
    tls = True


ALL = (Floor, FloorTLS, Mosquitto, OursClear, OursTLS)

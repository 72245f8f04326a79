"""What a broker and its sidecars need to start: free ports, certificates, a
token, configuration files; and a program that runs with them.

Used by ./dev run (tools/run.py) and by the scenarios (test/support/)."""

import ctypes
import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import random
import secrets
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


# ---- ports

def port_error(port):
    """None when 127.0.0.1 and ::1 are free at 'port', else the OSError."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, port))
                s.listen(1)
        except OSError as e:
            if family == socket.AF_INET6 and e.errno in (97, 99):  # no IPv6 here
                continue
            return e
    return None


reserved = []  # open files whose locks say to other processes of ours which ports we have


def reserve(port):
    """Whether no other process has got this port from free_port() and still lives: it may
    not listen on it just now."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"sqmqos-ports-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = open(folder / str(port), "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    except OSError:
        return True  # without a place for locks there is only chance
    reserved.append(lock)
    return True


def free_port(taken=()):
    """A port that is free now and that no outgoing connection gets."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        ephemeral_from = int(f.read().split()[0])
    for _ in range(1000):
        port = random.SystemRandom().randrange(min(10000, ephemeral_from - 2000), ephemeral_from)
        # Looked at last: what a program of another process is about to take again is let alone.
        if port not in taken and reserve(port) and port_error(port) is None:
            return port
    raise RuntimeError("no free port")


# ---- files

def write_private(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write(text)


def token_line(name, token, spaces):
    """The line of auth.tokens-file that lets it in, as sqmqos-broker --new-token makes it."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f"{name} {','.join(spaces)} SHA256:{digest}\n"


def write_token(path, spaces=("default",), name="local"):
    """A token for sidecars, and beside it, for the broker, the file "tokens" with its line."""
    path = pathlib.Path(path)
    token = secrets.token_urlsafe(32)
    write_private(path.with_name("tokens"), token_line(name, token, spaces))
    write_private(path, token + "\n")


def add_token(path, spaces=("default",), name="api"):
    """Another token, and its line at the end of the file "tokens" beside it."""
    path = pathlib.Path(path)
    token = secrets.token_urlsafe(32)
    with open(path.with_name("tokens"), "a") as f:
        f.write(token_line(name, token, spaces))
    write_private(path, token + "\n")


def write_certificates(folder, names="DNS:localhost,IP:127.0.0.1"):
    """ca.pem, and broker.pem with broker.key for these names, signed by it."""
    folder = pathlib.Path(folder)
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    ca = request + [
        "-subj", "/CN=sqmqos local CA", "-keyout", str(folder / "ca.key"),
        "-out", str(folder / "ca.pem"), "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    broker = request + [
        "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"),
        "-subj", "/CN=localhost", "-keyout", str(folder / "broker.key"),
        "-out", str(folder / "broker.pem"),
        "-addext", f"subjectAltName={names}",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "extendedKeyUsage=serverAuth"]
    for command in (ca, broker):
        done = subprocess.run(command, capture_output=True, text=True, umask=0o077)
        if done.returncode != 0:
            raise RuntimeError("openssl: " + done.stderr.strip().splitlines()[-1])


def yaml_scalar(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, dict):  # in a list
        return json.dumps(v)
    return json.dumps(str(v))  # which YAML reads as the same text


def yaml(tree, indent=0):
    out = ""
    for key, v in tree.items():
        pad = " " * indent
        if isinstance(v, dict):
            out += f"{pad}{key}:\n{yaml(v, indent + 2)}"
        elif isinstance(v, (list, tuple)):
            out += f"{pad}{key}: [{', '.join(yaml_scalar(x) for x in v)}]\n"
        else:
            out += f"{pad}{key}: {yaml_scalar(v)}\n"
    return out


def merge(tree, more):
    """'tree' with the keys of 'more' laid over it; None takes a key away."""
    out = dict(tree)
    for key, v in more.items():
        if v is None:
            out.pop(key, None)
        elif isinstance(v, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], v)
        else:
            out[key] = v
    return out


def config(program, folder, *, listen, admin, tls, broker=None, pod=1, annotations=None,
           store=None):
    """The configuration of 'program' ("broker" or "sidecar") as a tree.

    'folder' holds the token and the certificates, and 'store' in it, a name; 'listen',
    'admin' and 'broker' are ports on 127.0.0.1."""
    folder = pathlib.Path(folder)
    tree = {
        "auth": {"tokens-file": str(folder / "tokens")} if program == "broker"
                else {"token-file": str(folder / "token")},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "log": {"level": "info"},
    }
    if program == "broker":
        tree["listen"] = {"address": f"127.0.0.1:{listen}"}
        tree["store"] = {"dir": str(folder / (store or f"store-{listen}")), "journal-size": "8Mi"}
        tree["tls"] = {"enabled": tls}
        if tls:
            tree["tls"] |= {"cert-file": str(folder / "broker.pem"),
                            "key-file": str(folder / "broker.key")}
        return tree
    tree["listen"] = {"port": listen}
    tree["brokers"] = [f"127.0.0.1:{broker}"]
    tree["tls"] = {"enabled": tls}
    if tls:
        tree["tls"] |= {"ca-file": str(folder / "ca.pem"), "server-name": "localhost"}
    tree["identity"] = {"space": "default", "workload": "demo", "pod": f"pod-{pod}"}
    if annotations is not None:
        tree["annotations"] = {"file": str(annotations)}
    return tree


def fit_tokens(program):
    """Names a broker's tokens as its program wants: before auth.tokens-file there was one."""
    auth = program.tree.get("auth", {})
    named = auth.get("tokens-file") or auth.get("token-file")
    if program.kind != "broker" or not named:
        return
    known = subprocess.run([program.argv[0], "--help"], capture_output=True, text=True).stdout
    key, other = "tokens-file", "token-file"
    if f"auth.{key}" not in known:
        key, other = other, key
    auth.pop(other, None)
    auth[key] = str(pathlib.Path(named).with_name(key.removesuffix("-file")))


# ---- programs

def in_child():
    """Before exec: die with the parent, and take every signal again."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def clean_environment():
    """The environment without what would configure the programs."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SQMQOS_")}


class Program:
    """One program with its configuration file and its log; can be started
    again after it has ended, with the same ports."""

    def __init__(self, kind, name, folder, build, tree):
        self.kind = kind
        self.name = name
        self.tree = tree
        self.config_path = pathlib.Path(folder) / f"{name}.yaml"
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.argv = [str(pathlib.Path(build) / f"sqmqos-{kind}"), "--config",
                     str(self.config_path)]
        self.environment = clean_environment()
        self.process = None
        self.killed = None  # the process whose end kill() has brought

    @property
    def admin_port(self):
        return int(self.tree["admin"]["listen"].rsplit(":", 1)[1])

    @property
    def pid(self):
        return self.process.pid

    def write_config(self):
        """At once: another program may read it meanwhile, as one that makes a backup does."""
        whole = self.config_path.with_suffix(".new")
        write_private(whole, yaml(self.tree))
        whole.replace(self.config_path)

    def check(self):
        """What --check-config has to say against the configuration, or ""."""
        self.write_config()
        done = subprocess.run([*self.argv, "--check-config"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace",
                              env=self.environment)
        if done.returncode == 0:
            return ""
        return done.stderr.strip() or f"{self.name} {describe_exit(done.returncode)}"

    def start(self):
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True, preexec_fn=in_child)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL; its end is then expected."""
        self.killed = self.process
        self.process.kill()

    def stop(self, timeout_s=10):
        """SIGTERM, then SIGKILL; returns the exit code, or None if not running."""
        if self.process is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode

    def get(self, path, timeout_s=2):
        """(status, body) of the admin endpoint; status 0 when nothing answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout_s)
        try:
            connection.request("GET", path, headers={"connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as e:
            return 0, str(e)
        finally:
            connection.close()

    def ready(self):
        """(True, "") or (False, why)."""
        status, body = self.get("/readyz")
        return status == 200, body.strip()

    def last_words(self):
        try:
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def describe_exit(code):
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def wait_ready(programs, timeout_s):
    """The names of those that are not ready in time, with the reasons."""
    deadline = time.monotonic() + timeout_s
    waiting = {p.name: (p, "") for p in programs}
    while waiting and time.monotonic() < deadline:
        for name, (p, _) in list(waiting.items()):
            ok, why = p.ready()
            if ok:
                del waiting[name]
            else:
                waiting[name] = (p, why)
        if waiting:
            time.sleep(0.02)
    return {name: why for name, (_, why) in waiting.items()}

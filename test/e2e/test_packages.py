"""The Debian packages: what is in them, that they come and go, and that their units start what
serves."""

import asyncio
import os
import re
import shlex
import shutil
import socket
import subprocess

import debian
import stack as parts
from cluster import serves
from image import version
from scenario import Skip, scenario

UNITS = ("broker", "sidecar")
FIRST_S = 400  # with the root of Debian, which is made once, and fetched
EXPOSURE_MAX = 1.5  # of 10, by systemd-analyze security


def members(package):
    """{path: mode} of the files in a package."""
    lines = debian.run("dpkg-deb", "-c", package).splitlines()
    return {line.split()[5].lstrip("."): line.split()[0] for line in lines if line[0] == "-"}


@scenario(timeout_s=FIRST_S)
async def test_packages_are_as_debian_wants_them(_env):
    files = await debian.packages()
    assert set(files) == set(debian.NAMES), files
    for name, package in files.items():
        inside = members(package)
        doc = f"/usr/share/doc/{name}"
        wanted = {f"/usr/bin/{name}", f"/usr/share/man/man1/{name}.1.gz", f"{doc}/copyright",
                  f"{doc}/NOTICE", f"{doc}/changelog.gz", f"{doc}/changelog.Debian.gz"}
        short = name.removeprefix("sqmqos-")
        if short in UNITS:
            wanted |= {f"/lib/systemd/system/{name}.service", f"/etc/sqmqos/{short}.yaml",
                       f"/usr/lib/sysusers.d/{name}.conf", f"{doc}/examples/tls.conf"}
        else:
            wanted.add("/usr/share/bash-completion/completions/sqmqos")
        if short == "broker":
            wanted.add("/usr/lib/sqmqos/sqmqos-log-postgres.so")
            assert "libpq" not in debian.field(package, "Depends"), "a broker with its own files needs none"
        assert set(inside) == wanted, (name, set(inside) ^ wanted)
        assert debian.field(package, "Version") == f"{version()}-1"
        assert "libc6 (>=" in debian.field(package, "Depends")
    if not shutil.which("lintian"):
        raise Skip("lintian is not installed; the rest is good")
    said = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0",
                           "--fail-on", "error", *files.values()],
                          capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


@scenario(timeout_s=FIRST_S)
async def test_manual_pages_name_each_option_and_key(_env):
    for name, package in (await debian.packages()).items():
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                              stdout=subprocess.PIPE) as tar:
            packed = subprocess.run(["tar", "-xO", f"./usr/share/man/man1/{name}.1.gz"],
                                    stdin=tar.stdout, stdout=subprocess.PIPE, check=True).stdout
        text = subprocess.run(["gunzip"], input=packed, stdout=subprocess.PIPE,
                              check=True).stdout.decode().replace("\\", "")
        usage = debian.run(debian.RELEASE / name, "--help")
        for word in set(re.findall(r"(?m)^ +(--[a-z.*\[\]-]+)", usage)):
            assert word in text, (name, word)


def edit(path):
    path.write_text(path.read_text() + "\n# mine\n")


@scenario(timeout_s=FIRST_S)
async def test_packages_come_and_go(env):
    """A configuration that was edited stays; purged, nothing is left but the user and the store."""
    files = await debian.packages()
    newer = {name: debian.repack(file, env.folder, f"{version()}-2")
             for name, file in files.items()}
    root = await debian.root(env, files)
    before = root.files()
    root.install(*files.values())
    for name in debian.NAMES:
        assert root.run(f"/usr/bin/{name}", "--version") == f"{name} {version()}\n"
    wanted = "etc/systemd/system/multi-user.target.wants"
    for short in UNITS:
        user = root.run("getent", "passwd", f"sqmqos-{short}")
        assert re.fullmatch(rf"sqmqos-{short}:x:\d+:\d+:SQMQOS {short}:.*:/usr/sbin/nologin\n",
                            user), user
        assert int(user.split(":")[2]) < 1000, user
        assert (root.path(wanted) / f"sqmqos-{short}.service").is_symlink()
    store = root.path("var/lib/sqmqos-broker")
    store.mkdir()
    (store / "message").touch()

    edit(root.path("etc/sqmqos/broker.yaml"))
    mine = root.path("etc/sqmqos/broker.yaml").read_text()
    root.install(*newer.values())
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "sqmqos-broker") == f"{version()}-2"
    assert root.path("etc/sqmqos/broker.yaml").read_text() == mine

    root.run("dpkg", "-r", *debian.NAMES)
    assert not root.path("usr/bin/sqmqos-broker").exists()
    assert root.path("etc/sqmqos/broker.yaml").read_text() == mine
    root.run("dpkg", "-P", *debian.NAMES)
    assert root.files() - before == {"var/lib/sqmqos-broker", "var/lib/sqmqos-broker/message"}
    assert root.run("getent", "passwd", "sqmqos-broker"), "its store is still its own"


@scenario(timeout_s=FIRST_S)
async def test_units_are_good_and_narrow(env):
    root = await debian.root(env, files := await debian.packages())
    root.install(*files.values())
    for short in UNITS:
        name = f"sqmqos-{short}.service"
        assert root.run("systemd-analyze", "verify", "--man=no", name) == ""
        said = root.run("systemd-analyze", "security", "--offline=yes", "--no-pager", name)
        exposure = re.search(r"Overall exposure level for \S+ ([0-9.]+)", said)
        assert float(exposure[1]) <= EXPOSURE_MAX, said
        text = root.path(f"lib/systemd/system/{name}").read_text()
        keys = debian.unit(text)
        assert (keys["Type"], keys["User"]) == (["notify"], [f"sqmqos-{short}"])
        assert keys["WatchdogSec"] and keys["Restart"] == ["on-failure"]
        assert "\nStartLimitIntervalSec=0\n" in text, "or it is given up after some failures"


class Unit:
    """Starts what a unit says, as systemd would, but for its sandbox: user, environment,
    folders, credentials and the socket for what it tells."""

    def __init__(self, env, root, short, drop_in=""):
        self.root = root
        self.name = f"sqmqos-{short}"
        text = root.path(f"lib/systemd/system/{self.name}.service").read_text()
        self.keys = debian.unit(text)
        for key, values in debian.unit(drop_in).items():
            self.keys.setdefault(key, []).extend(values)
        self.log = env.folder / f"{self.name}.log"
        self.credentials = f"/run/credentials/{self.name}.service"
        self.environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                            "NOTIFY_SOCKET": f"/run/{self.name}.notify",
                            "WATCHDOG_USEC": "3000000"}
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bind(root.path(self.environment["NOTIFY_SOCKET"]))
        self.manager.settimeout(20)
        self.ids = [int(n) for n in root.run("getent", "passwd", self.name).split(":")[2:4]]
        self.process = None

    def bind(self, path):
        """Through its folder: a socket's address has room for 107 bytes, and a root's path has
        as many as where the tree stands."""
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.manager.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        path.chmod(0o666)

    def give(self, path, mode):
        os.chown(path, *self.ids)
        path.chmod(mode)

    def prepare(self):
        for key, place in (("StateDirectory", "var/lib"), ("RuntimeDirectory", "run")):
            for name in self.keys.get(key, []):
                folder = self.root.path(place) / name
                folder.mkdir(exist_ok=True)
                self.give(folder, int(self.keys[key + "Mode"][0], 8))
        for item in self.keys.get("LoadCredential", []):
            name, path = item.split(":")
            copy = self.root.path(self.credentials) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self.root.path(path).read_bytes())
            self.give(copy, 0o400)
        for item in self.keys.get("Environment", []):
            name, value = item.split("=", 1)
            self.environment[name] = value.replace("%d", self.credentials)

    def start(self, *more):
        self.prepare()
        argv = [*shlex.split(self.keys["ExecStart"][0]), *more]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c",
                 'root=$1 user=$2; shift 2; mount --bind /proc "$root/proc" && '
                 'exec /usr/sbin/chroot --userspec="$user" "$root" "$@"', "sh",
                 str(self.root.folder),
                 "{}:{}".format(*self.ids), *argv],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=parts.in_child)

    def hear(self):
        try:
            return self.manager.recv(4096).decode()
        except TimeoutError:
            raise AssertionError(f"{self.name} says nothing: {self.log.read_text()}") from None

    async def hears(self, text):
        """Awaits a message, and returns those before it."""
        before = []
        while (said := await asyncio.to_thread(self.hear)) != text:
            before.append(said)
        return before

    def reload(self):
        command = self.keys["ExecReload"][0].replace("${MAINPID}", str(self.process.pid))
        debian.run(*shlex.split(command))

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


async def exchange(env, port):
    receiver = await env.connect(port, "receiver")
    await receiver.subscribe(("packages", 1))
    sender = await env.connect(port, "sender")
    await sender.publish("packages", b"hello", 1)
    assert (await receiver.receive()).payload == b"hello"
    await sender.disconnect()
    await receiver.disconnect()


@scenario(timeout_s=FIRST_S)
async def test_units_as_installed_serve(env):
    """READY comes when it serves, and not before; then signs of life, and STOPPING."""
    root = await debian.root(env, files := await debian.packages())
    root.install(*files.values())
    for short in UNITS:  # other ports than those of what may run on this machine
        path = root.path(f"etc/sqmqos/{short}.yaml")
        assert "127.0.0.1" in path.read_text() and "0.0.0.0" not in path.read_text()
    ports = [parts.free_port() for _ in range(4)]
    units = [Unit(env, root, short) for short in UNITS]
    broker, sidecar = units
    try:
        broker.start("--listen.address", f"127.0.0.1:{ports[0]}",
                     "--admin.listen", f"127.0.0.1:{ports[1]}")
        assert await broker.hears("READY=1\n") == []
        assert await serves(ports[0])
        await broker.hears(f"STATUS=serves 127.0.0.1:{ports[0]}\n")
        sidecar.start("--brokers", f"127.0.0.1:{ports[0]}", "--listen.port", str(ports[2]),
                      "--admin.listen", f"127.0.0.1:{ports[3]}")
        assert await sidecar.hears("READY=1\n") == []
        assert await serves(ports[2])
        await exchange(env, ports[2])
        for unit in units:
            await unit.hears("WATCHDOG=1\n")
            unit.reload()
            assert "RELOADING=1\n" in "".join(await unit.hears("READY=1\n"))
            os.kill(unit.process.pid, 15)
            await unit.hears("STOPPING=1\n")
            assert await asyncio.to_thread(unit.process.wait, 20) == 0
        made = {p.name for p in root.path("var/lib/sqmqos-broker").iterdir()}
        assert {"tables", "lock"} <= made, made
    finally:
        for unit in units:
            unit.stop()


async def ends_unready(unit, *more):
    """The exit code of a program that said nothing."""
    unit.start(*more)
    code = await asyncio.to_thread(unit.process.wait, 20)
    unit.manager.setblocking(False)
    try:
        said = unit.hear()
    except BlockingIOError:
        return code
    raise AssertionError(said)


@scenario(timeout_s=FIRST_S)
async def test_a_unit_that_cannot_serve_is_never_ready(env):
    root = await debian.root(env, files := await debian.packages())
    root.install(*files.values())
    unit = Unit(env, root, "broker")
    no_restart = unit.keys["RestartPreventExitStatus"][0].split()
    address = f"127.0.0.1:{parts.free_port()}"
    store = root.path("var/lib/sqmqos-broker/tables")
    unit.prepare()
    store.write_text("no folder")
    code = await ends_unready(unit, "--listen.address", address, "--admin.listen", "")
    assert code != 0 and "store.dir" in unit.log.read_text(), (code, unit.log.read_text())
    code = await ends_unready(unit, "--listen.addres", address)
    assert str(code) in no_restart, (code, unit.log.read_text())


@scenario(timeout_s=FIRST_S)
async def test_drop_ins_with_tls_and_credentials_serve(env):
    """The key and the token are root's: the programs have what systemd loads for them."""
    root = await debian.root(env, files := await debian.packages())
    root.install(*files.values())
    etc = root.path("etc/sqmqos")
    parts.write_certificates(etc)
    parts.write_token(etc / "token")
    ports = [parts.free_port() for _ in range(3)]
    units = [Unit(env, root, short, root.path(
        f"usr/share/doc/sqmqos-{short}/examples/tls.conf").read_text()) for short in UNITS]
    broker, sidecar = units
    sidecar.keys["Environment"] = [e.replace("broker.example:7443", f"localhost:{ports[0]}")
                                   for e in sidecar.keys["Environment"]]
    for name in ("broker.key", "token", "tokens"):
        assert (etc / name).stat().st_mode & 0o077 == 0 and (etc / name).stat().st_uid == 0
    try:
        broker.start("--listen.address", f"127.0.0.1:{ports[0]}", "--admin.listen", "")
        await broker.hears("READY=1\n")
        sidecar.start("--listen.port", str(ports[1]), "--admin.listen", f"127.0.0.1:{ports[2]}")
        await sidecar.hears("READY=1\n")
        await exchange(env, ports[1])
        log = broker.log.read_text()
        assert "TLS" in log and "auth.tokens-file" in log, log
    finally:
        for unit in units:
            unit.stop()


def group(name):
    """The system calls of a group of systemd's, those of its groups included."""
    calls = set()
    for word in debian.run("systemd-analyze", "syscall-filter", name).split("\n"):
        word = word.strip()
        if word.startswith("@") and word != name:
            calls |= group(word)
        elif re.fullmatch(r"[a-z0-9_]+", word):
            calls.add(word)
    return calls


def allowed(unit):
    calls = set()
    for line in debian.unit(unit.read_text())["SystemCallFilter"]:
        names = line.lstrip("~").split()
        these = set().union(*(group(n) if n[0] == "@" else {n} for n in names))
        calls = calls - these if line[0] == "~" else calls | these
    return calls


@scenario(build="release")
async def test_units_allow_the_system_calls_that_are_made(env):
    """Those of a start, an exchange over TLS with the store, and an end."""
    if not shutil.which("systemd-analyze") or not shutil.which("strace"):
        raise Skip("needs systemd-analyze and strace")
    stack = await env.stack(start=False, sidecars=1)
    for program in stack.programs:
        calls = str(env.folder / f"{program.kind}.calls")
        program.argv = ["strace", "-D", "-f", "-qq", "-o", calls, *program.argv]
    await stack.start()
    await exchange(env, stack.ports[0])
    env.check_leftovers = False  # there is nobody left to ask
    for program in reversed(stack.programs):
        await stack.end(program)
    for program in stack.programs:
        text = (env.folder / f"{program.kind}.calls").read_text()
        made = set(re.findall(r"(?m)^\d+ +([a-z0-9_]+)\(", text))
        assert {"write", "execve", "fdatasync" if program.kind == "broker" else "seccomp"} <= made
        unit = parts.ROOT / f"packaging/debian/sqmqos-{program.kind}.service"
        assert made <= allowed(unit), (program.kind, made - allowed(unit))
        families = set(re.findall(r"socket\((AF_\w+)", text))
        known = debian.unit(unit.read_text())["RestrictAddressFamilies"][0].split()
        assert families <= set(known), (program.kind, families)
        assert not re.search(r"m(map|protect)\([^)]*PROT_WRITE\|PROT_EXEC", text), \
            "MemoryDenyWriteExecute"

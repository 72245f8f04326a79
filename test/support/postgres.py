"""PostgreSQL for scenarios: a primary and a standby that confirms its commits, Debian's programs in folders
of the test's own.  Nothing is shared with a server of this machine, and nothing is left of it.

    with Postgres(folder) as pg:             # 2 seconds; a single server: copies=1
        pg.primary.sql("SELECT 1")           # as superuser, by the server's Unix socket
        pg.hosts                             # for the program: "127.0.0.1:PORT,127.0.0.1:PORT"
        pg.primary.kill(); pg.promote()      # then pg.primary is what was the standby
        pg.rejoin(pg.standby)                # the old one comes back as a copy of the new one

All calls block: from asyncio by asyncio.to_thread() where that matters.  Programs connect as USER to
DATABASE, which USER owns."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import stack as parts
from scenario import Skip

USER, DATABASE = "sqmqos", "sqmqos"
IN_MEMORY = 2 << 30  # bytes that are free there

CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 60
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
max_wal_size = 256MB
min_wal_size = 32MB
max_wal_senders = 6
max_replication_slots = 6
wal_level = replica
hot_standby = on
wal_retrieve_retry_interval = 100ms
fsync = on
full_page_writes = on
synchronous_commit = on
cluster_name = '{name}'
jit = off
log_min_messages = warning
log_line_prefix = '%m [%p] %a '
"""


def program(name):
    """The path of one of PostgreSQL's own programs, which Debian keeps out of PATH."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"),
                   key=lambda path: int(path.split("/")[4])) or [shutil.which(name)]
    if not found[-1]:
        raise Skip(f"{name} is missing: PostgreSQL is not installed")
    return found[-1]


def user():
    """(uid, gid) that servers run as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            pass
    raise Skip("no user to run PostgreSQL as")


def may_enter(folder):
    """Whether others than its owner come into the folder."""
    return all(p.stat().st_mode & 0o001 for p in [folder, *folder.parents])


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_gone(pid):
    """Whether it has ended; who should take note of that may be late."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def signal_pid(pid, sign):
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        pass


class Session:
    """A psql that stays: for transactions that are held open."""

    def __init__(self, server, database=DATABASE):
        self.child = subprocess.Popen(server.psql(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, preexec_fn=parts.in_child)
        self.marks = 0

    def send(self, text):
        """Does not wait for an answer: of something that may be held up."""
        self.marks += 1
        self.child.stdin.write(f"{text};\n\\echo -- {self.marks}\n")
        self.child.stdin.flush()

    def answer(self):
        """The lines up to the answer of all that was sent."""
        lines = []
        for line in self.child.stdout:
            line = line.rstrip("\n")
            if line == f"-- {self.marks}":
                return lines
            if not line.startswith("-- "):
                lines.append(line)
        raise AssertionError(f"psql ended: {lines}")

    def sql(self, text):
        self.send(text)
        return self.answer()

    def close(self):
        """Ends it at once; what it held open is rolled back."""
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Server:
    """One server; made by Postgres."""

    def __init__(self, pg, name):
        self.pg, self.name = pg, name
        self.data = pg.place / name
        self.sockets = pg.sockets
        self.port = parts.free_port()
        self.log = pg.folder / f"postgres-{name}.log"
        self.child = None
        self.stopped = False

    @property
    def host(self):
        return f"{self.pg.address}:{self.port}"

    @property
    def socket(self):
        """As a host for the program: the folder of the server's Unix socket, and the port."""
        return f"{self.sockets}:{self.port}"

    # ---- its life

    def run(self, name, *args):
        """One of PostgreSQL's programs, as the user of the servers."""
        done = subprocess.run([*self.pg.as_user, program(name), *map(str, args)], capture_output=True,
                              text=True, cwd=self.pg.place)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def make(self):
        self.run("initdb", "-D", self.data, "-N", "-A", "trust", "-U", "postgres", "--wal-segsize=4",
                 "-E", "UTF8", "--locale=C.UTF-8")
        self.configure()

    def copy(self, primary):
        """Becomes a standby of that one, which waits for it from then on if it waits for one."""
        shutil.rmtree(self.data, ignore_errors=True)
        primary.sql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    f"WHERE slot_name = '{self.name}' AND NOT active")
        self.run("pg_basebackup", "-D", self.data, "-h", primary.sockets, "-p", primary.port, "-U", "postgres",
                 "-N", "-X", "stream", "-c", "fast", "-C", "-S", self.name)
        (self.data / "standby.signal").touch()
        self.configure(f"primary_conninfo = 'host={primary.sockets} port={primary.port} user=postgres "
                       f"application_name={self.name}'\nprimary_slot_name = '{self.name}'\n")

    def follow(self, primary):
        """A standby that runs follows that one from now on, which may be one itself."""
        self.set("primary_slot_name", "")
        self.set("primary_conninfo", f"host={primary.sockets} port={primary.port} user=postgres "
                 f"application_name={self.name}")

    def configure(self, more=""):
        """Writes its configuration; what ALTER SYSTEM has said is forgotten."""
        tls = self.pg.tls
        if tls:
            more += f"ssl = on\nssl_cert_file = '{tls.cert}'\nssl_key_file = '{tls.key}'\nssl_ca_file = '{tls.ca}'\n"
        (self.data / "postgresql.auto.conf").write_text("")
        (self.data / "postgresql.conf").write_text(
            CONFIG.format(port=self.port, sockets=self.sockets, name=self.name) + more)
        kind, how = ("hostssl" if tls else "host"), ("scram-sha-256" if self.pg.password else "trust")
        if tls and tls.clients:
            how += " clientcert=verify-full" if self.pg.password else ""
            how = how if self.pg.password else "cert"
        (self.data / "pg_hba.conf").write_text(
            f"local all postgres trust\nlocal replication postgres trust\nlocal all {USER} trust\n"
            f"{kind} all {USER} 127.0.0.1/32 {how}\n")
        if os.getuid() == 0:
            for path in self.data.iterdir():
                os.chown(path, *self.pg.ids)

    def start(self, wait=True):
        assert self.child is None, f"{self.name} runs"
        argv = [program("postgres"), "-D", str(self.data)]
        if self.pg.as_user:
            argv = [self.pg.as_user[0], "--pdeathsig", "KILL", *self.pg.as_user[1:], *argv]
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=self.pg.place, preexec_fn=parts.in_child, start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        """Until it answers, as what it is: primary or standby."""
        until = time.monotonic() + seconds
        while not self.answers():
            assert self.child.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < until, f"{self.name} does not answer: {self.log.read_text()[-2000:]}"
            time.sleep(0.02)

    def answers(self):
        done = subprocess.run([program("pg_isready"), "-q", "-h", self.sockets, "-p", str(self.port)])
        return done.returncode == 0

    def pids(self):
        """The postmaster's and those of its children, which are sessions of their own."""
        return [self.child.pid, *children(self.child.pid)] if self.child else []

    def signal(self, sign):
        for pid in self.pids():
            signal_pid(pid, sign)

    def stop(self):
        """Freezes it: connections stay, and nothing answers."""
        self.stopped = True
        signal_pid(self.child.pid, signal.SIGSTOP)  # first: then there are no new children
        self.signal(signal.SIGSTOP)

    def cont(self):
        self.stopped = False
        self.signal(signal.SIGCONT)

    def kill(self):
        """As the machine's power fails, but for what its kernel has."""
        if self.child is None:
            return
        signal_pid(self.child.pid, signal.SIGSTOP)
        pids = self.pids()
        for pid in pids:
            signal_pid(pid, signal.SIGKILL)
        self.child.wait()
        self.child, self.stopped = None, False
        until = time.monotonic() + 10
        while not all(is_gone(pid) for pid in pids):
            assert time.monotonic() < until, pids
            time.sleep(0.005)
        self.forget_memory()

    def shut_down(self):
        """In good order; a standby has all that was committed."""
        if self.child is None:
            return
        self.cont()
        signal_pid(self.child.pid, signal.SIGINT)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self.child = None

    def restart(self):
        self.shut_down()
        return self.start()

    def end(self):
        """At once, and without leaving its shared memory behind."""
        if self.child is not None:
            self.cont()
            signal_pid(self.child.pid, signal.SIGQUIT)
            try:
                self.child.wait(5)
                self.child = None
            except subprocess.TimeoutExpired:
                self.kill()
        self.forget_memory()

    def forget_memory(self):
        """Of a server that was killed a few bytes of shared memory remain."""
        try:
            _, shm = (self.data / "postmaster.pid").read_text().splitlines()[6].split()
            subprocess.run(["ipcrm", "-m", shm], capture_output=True)
        except (OSError, IndexError, ValueError):
            pass  # it has tidied up itself

    # ---- what it is asked

    def psql(self, database):
        return [program("psql"), "-XAtq", "-F", "\t", "-h", str(self.sockets), "-p", str(self.port), "-U",
                "postgres", "-d", database]

    def sql(self, text, database=DATABASE, timeout_s=20):
        """Its rows, as lists of text; fails where the server says so, or nothing in that time."""
        done = subprocess.run([*self.psql(database), "-v", "ON_ERROR_STOP=1", "-c", text],
                              capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, f"{self.name}: {text}: {done.stderr}"
        return [line.split("\t") for line in done.stdout.splitlines()]

    def value(self, text, **options):
        return self.sql(text, **options)[0][0]

    def session(self):
        made = Session(self)
        self.pg.sessions.append(made)
        return made

    def set(self, name, value):
        """A setting, from now on and for running sessions."""
        self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")
        self.until(f"SELECT current_setting('{name}') = '{value}'")

    def until(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while (said := self.value(condition)) != "t":
            assert time.monotonic() < until, f"{self.name}: {condition}: {said}"
            time.sleep(0.02)

    def sync(self, on=True):
        """Whether its commits wait for a standby, whichever it is."""
        # By their names: "*" would also take a pg_basebackup that is under way for a copy.
        names = ", ".join(server.name for server in self.pg.servers)
        self.set("synchronous_standby_names", f"ANY 1 ({names})" if on else "")
        if on and self.value("SELECT count(*) > 0 FROM pg_stat_replication") == "t":
            self.until("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state <> 'async'")


class Tls:
    """What a server shows: a certificate for 127.0.0.1 and localhost of an authority of
    client_ca.ClientCa, and whether it wants one of that authority (CN = USER) from clients."""

    def __init__(self, authority, names=("IP:127.0.0.1", "DNS:localhost"), clients=False):
        self.authority, self.names, self.clients = authority, names, clients
        self.ca = self.cert = self.key = None

    def place(self, folder, ids):
        """Copies for the server, which wants its key to be its user's alone."""
        cert, key = self.authority.issue("postgres", *self.names, usage="serverAuth")
        self.ca, self.cert, self.key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
        for source, to in ((self.authority.pem, self.ca), (cert, self.cert), (key, self.key)):
            shutil.copyfile(source, to)
            os.chmod(to, 0o600)
            os.chown(to, *ids)


class Postgres:
    """Servers n1, n2 ...; the first is the primary, and 'sync' makes its commits wait for a standby.
    'disk': their data are on it, for what is measured."""

    def __init__(self, folder, copies=2, sync=True, password=None, tls=None, address="127.0.0.1", disk=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.password, self.tls, self.address = password, tls, address
        self.ids = user()
        self.as_user = ["setpriv", f"--reuid={self.ids[0]}", f"--regid={self.ids[1]}", "--clear-groups",
                        "--"] if os.getuid() == 0 else []
        self.place = None
        self.sessions, self.servers, self.temporary = [], [], []
        self.sockets = self.temporary_folder()  # a socket's path is 107 characters at most
        self.want, self.disk = (copies, sync), disk

    def temporary_folder(self, parent=None):
        parent = pathlib.Path(parent or tempfile.gettempdir())
        for left in parent.glob("sqpg-*"):  # of one that was killed
            if not pathlib.Path(f"/proc/{left.name.split('-')[1]}").exists():
                shutil.rmtree(left, ignore_errors=True)
        made = pathlib.Path(tempfile.mkdtemp(prefix=f"sqpg-{os.getpid()}-", dir=parent))
        self.temporary.append(made)
        os.chown(made, *self.ids)
        return made

    def place_for_data(self):
        """In memory where there is room: what these tests kill are processes, not the machine.  Else in
        the test's folder, if the servers' user may come there."""
        shm = pathlib.Path("/dev/shm")
        if not self.disk and shm.is_dir() and shutil.disk_usage(shm).free > IN_MEMORY:
            return self.temporary_folder(shm)
        folder = self.folder.resolve() / "postgres"
        if self.as_user and not may_enter(folder.parent):
            return self.temporary_folder()
        folder.mkdir()
        os.chown(folder, *self.ids)
        return folder

    def start(self):
        copies, sync = self.want
        self.place = self.place_for_data()
        if self.tls:
            self.tls.place(self.place, self.ids)
        self.servers = [Server(self, f"n{n}") for n in range(1, copies + 1)]
        first = self.servers[0]
        first.make()
        first.start()
        secret = f" PASSWORD '{self.password}'" if self.password else ""
        first.sql(f"CREATE ROLE {USER} LOGIN{secret}", "postgres")
        first.sql(f"CREATE DATABASE {DATABASE} OWNER {USER}", "postgres")
        for standby in self.servers[1:]:
            standby.copy(first)
            standby.start()
        if copies > 1 and sync:
            first.until("SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'")
            first.sync()
        return self

    @property
    def hosts(self):
        return ",".join(s.host for s in self.servers)

    @property
    def primary(self):
        return self.servers[0]

    @property
    def standby(self):
        return self.servers[1]

    def promote(self, standby=None, alone=False):
        """A standby becomes the primary, servers[0]; 'alone': its commits wait for nobody.  Else they
        wait as the old one's did, for what will rejoin()."""
        standby = standby or self.standby
        waits = self.want[1] and not alone
        standby.run("pg_ctl", "promote", "-D", standby.data, "-W")
        standby.until("SELECT NOT pg_is_in_recovery()")
        self.servers.remove(standby)
        self.servers.insert(0, standby)
        standby.sync(waits)
        return standby

    def rejoin(self, server):
        """What is left of a server is thrown away, and it becomes a standby of the primary."""
        server.kill()
        server.copy(self.primary)
        server.start()
        self.primary.until(f"SELECT count(*) = 1 FROM pg_stat_replication "
                           f"WHERE state = 'streaming' AND application_name = '{server.name}'")
        return server

    def close(self):
        for session in self.sessions:
            session.close()
        self.sessions = []
        for server in self.servers:
            server.end()
            shutil.rmtree(server.data, ignore_errors=True)
        for folder in self.temporary:
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

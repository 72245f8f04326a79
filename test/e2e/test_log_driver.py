"""The driver of a log in PostgreSQL, on real servers: what it makes of kills, of waits that are cancelled,
of servers that freeze, restart or are two at once, of settings that are no good, and of strangers."""

import asyncio
import os
import re
import socket
import subprocess
import threading

import stack as parts
from client_ca import ClientCa
from postgres import USER, Postgres, Tls, user
from pushing import resolver
from scenario import Skip

WAITS_FOR_COPY = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
GREETS = re.compile(rb"(?<=K\0\0\0\x0c).{4}(?=.{4}Z)", re.S)  # number of a session, secret, ready
WAITS_FOR_LOCK = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Driver:
    """log_driver (test/support/log_driver.c), and what its last answer told of the head."""

    def __init__(self, env, hosts, deadline_ms=5000, broken=None, environment=None, **cfg):
        build = parts.ROOT / "build" / env.settings.build
        options = [f"{key}={value}" for key, value in {"hosts": hosts, **cfg}.items()]
        self.child = subprocess.Popen(
            [build / "test" / "log_driver", build / "sqmqos-log-postgres.so", str(deadline_ms), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=parts.in_child,
            env={**parts.clean_environment(), **({"SQMQOS_BROKEN": broken} if broken else {}),
                 **(environment or {})})
        self.line, self.head = "", {}

    def send(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()

    def answer(self):
        """The first word."""
        self.line = self.child.stdout.readline().rstrip("\n")
        assert self.line or self.child.poll() is None, f"the driver ended: {self.child.wait()}"
        self.head = dict(re.findall(r"(\w+)=(\S*)", self.line))
        return self.line.strip().partition(" ")[0]

    def ask(self, *words):
        self.send(*words)
        return self.answer()

    def dial(self):
        assert self.ask("dial") == "OK", self.line
        return self

    def claim(self, expected, nonce, roll=0):
        assert self.ask("claim", expected, nonce, "me", roll) == "DONE", self.line
        return int(self.head["last"])

    def records(self, after=0):
        """Those that a read gives, LSN: TEXT."""
        self.ask("read", after, 1 << 20)
        assert " DONE " in self.line, self.line
        return dict(re.findall(r"(\d+):\d+:\d+:(\S*)", self.line.partition(" DONE ")[0]))

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pooler:
    """Passes sessions on to a server, but for what poolers do: it greets with a number of its own."""

    def __init__(self, port):
        self.listener, self.server = socket.create_server(("127.0.0.1", 0)), port
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                ends = [self.listener.accept()[0]]
            except OSError:
                return
            ends.append(socket.create_connection(("127.0.0.1", self.server)))
            for a, b in (ends, ends[::-1]):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(GREETS.sub(lambda _: b"\0\0\0\1", data))
        except OSError:
            pass
        finally:
            sink.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


async def test_the_contract(env):
    """Each promise of test/contract/test_shared_driver.c, on a primary and its standby."""
    program = parts.ROOT / "build" / env.settings.build / "test" / "test_shared_driver"
    if not program.exists():
        raise Skip("test_shared_driver is not built: criterion is missing")
    with Postgres(env.folder / "pg") as pg:
        done = await asyncio.to_thread(
            subprocess.run, [program], capture_output=True, text=True,
            env={**os.environ, "SQMQOS_TEST_POSTGRES": pg.hosts})
        assert done.returncode == 0, done.stdout + done.stderr
        made = pg.primary.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'")
        assert int(made) >= 15, f"{made} cases ran on PostgreSQL"


async def test_a_name_that_is_never_found_holds_nothing_up(env):
    """libpq's own lookup has no deadline. A host whose name is not found in time is tried last from then on, and
    asked for once."""
    names = {"LD_PRELOAD": resolver(env.folder), "NAMES": "never.example=hang also.example=hang"}
    options = parts.clean_environment().get("ASAN_OPTIONS")
    names["ASAN_OPTIONS"] = ":".join(filter(None, (options, "verify_asan_link_order=0")))

    def threads(d):
        return len(os.listdir(f"/proc/{d.child.pid}/task"))
    with Postgres(env.folder / "pg") as pg:
        port = pg.primary.port
        with Driver(env, f"never.example:{port}", deadline_ms=300, environment=names) as d:
            for _ in range(5):
                assert d.ask("dial") == "EIO" and "not found in time" in d.line, d.line
            assert threads(d) == 2
        with Driver(env, f"never.example:{port},also.example:{port},localhost:{port}", environment=names,
                    deadline_ms=3000) as d:
            assert d.dial().claim(0, 11) == 0
            for _ in range(5):
                d.ask("hang_up")
                d.dial()
            assert threads(d) == 3
        with Driver(env, f"none.invalid:{port}") as d:
            assert d.ask("dial") == "EIO" and "none.invalid" in d.line, d.line


async def test_a_wait_that_is_cancelled_is_no_success(env):
    """Trap 1: the server's answer is good, but for a warning.  The role's own settings hide none."""
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts) as d, \
            Driver(env, pg.hosts, broken="tell_early") as broken:
        for setting in ("client_min_messages = 'error'", "synchronous_commit = 'off'"):
            pg.primary.sql(f"ALTER ROLE {USER} SET {setting}")
        assert d.dial().claim(0, 11) == 0
        broken.dial()
        assert d.ask("append", 11, 1, 1, 0, "one") == "DONE"

        def cancelled(driver, *call):
            driver.send(*call)
            pg.primary.until(WAITS_FOR_COPY)
            pg.primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            return driver.answer()

        pg.standby.stop()
        assert cancelled(d, "append", 11, 1, 2, 1, "two") == "UNKNOWN", d.line
        assert "(01000)" in d.line and "synchronous replication" in d.line, d.line
        assert cancelled(broken, "append", 11, 1, 3, 2, "three") == "DONE", "what the test is there for"
        d.ask("hang_up")
        d.dial()
        assert cancelled(d, "claim", 11, 12, "me", 0) == "UNKNOWN" and "(01000)" in d.line, d.line
        d.ask("hang_up")
        pg.standby.cont()
        # The same claim settles what became of it.
        assert d.dial().claim(11, 12) == 3
        assert d.records() == {"1": "one", "2": "two", "3": "three"}


async def test_claims_without_an_answer_do_not_pile_up(env):
    """While no standby confirms, each attempt leaves a session behind: those that wait in vain end."""
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sqmqos-broker/test'"
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts, 300) as d:
        d.dial().claim(0, 11)
        assert d.ask("append", 11, 1, 1, 0, "one") == "DONE"
        pg.standby.stop()
        assert d.ask("append", 11, 1, 2, 1, "two") == "UNKNOWN", d.line
        for _ in range(6):
            d.ask("hang_up")
            while d.ask("dial") != "OK":  # 300 ms are few on a machine that is busy
                pass
            assert d.ask("claim", 11, 12, "me", 0) == "UNKNOWN", d.line
        d.ask("hang_up")
        pg.primary.until(f"SELECT ({ours}) <= 2")
        pg.standby.cont()
        while d.ask("dial") != "OK":
            pass
        assert d.claim(11, 12) == 2


async def test_what_a_restarted_primary_shows_is_not_sure(env):
    """Trap 2: a record that the standby has not got shows once the primary was restarted."""
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts, 1000) as owner, \
            Driver(env, pg.hosts) as other:
        owner.dial().claim(0, 11)
        assert owner.ask("append", 11, 1, 1, 0, "one") == "DONE"
        pg.standby.stop()
        assert owner.ask("append", 11, 1, 2, 1, "two") == "UNKNOWN" and "no answer" in owner.line, owner.line
        assert other.dial().records() == {} and other.head["last"] == "1", other.line
        other.ask("hang_up")
        pg.primary.kill()
        pg.primary.start()
        assert other.dial().records() == {"1": "one"}, "of the second nobody has said that it is sure"
        assert other.head["last"] == "2" and other.head["sure"] == "1", other.line
        owner.ask("hang_up")
        owner.dial()
        assert owner.ask("claim", 11, 12, "me", 0) == "UNKNOWN", "nothing confirms a claim, either"
        owner.ask("hang_up")
        pg.standby.cont()
        assert owner.dial().claim(11, 12) == 2
        assert owner.records() == {"1": "one", "2": "two"}


async def test_a_log_that_no_standby_has_is_none_yet(env):
    """One that was made while nothing confirmed it shows after a restart, and a fail-over undoes it."""
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts, 1000, managed="true") as d:
        pg.standby.stop()
        assert d.ask("dial") == "EIO" and "no answer" in d.line, d.line
        pg.primary.kill()
        pg.primary.start()
        pg.primary.until("SELECT to_regclass('sqmqos.head') IS NOT NULL")
        assert d.ask("dial") == "EIO" and "no answer" in d.line, "its store may be gone tomorrow"
        pg.standby.cont()
        d.dial().records()
        store = d.head["store"]
        pg.primary.kill()
        pg.promote(alone=True)
        d.ask("hang_up")
        d.dial().records()
        assert d.head["store"] == store


async def test_a_fail_over_keeps_what_was_confirmed(env):
    """The primary is killed; what was in flight is there or is not, and the claim says which."""
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts) as d:
        d.dial().claim(0, 11)
        for lsn in range(1, 11):
            assert d.ask("append", 11, 1, lsn, lsn - 1, f"r{lsn}") == "DONE"
        old = pg.primary
        old.stop()
        d.send("append", 11, 1, 11, 10, "late")
        old.kill()
        assert d.answer() == "UNKNOWN", d.line
        d.ask("hang_up")
        assert d.ask("dial") == "EIO" and "no log" not in d.line, d.line
        assert all(host in d.line for host in pg.hosts.split(",")), d.line
        pg.promote(alone=False)
        # Its commits wait for a copy: there is none yet.
        pg.rejoin(old)
        assert d.dial().claim(11, 12) in (10, 11)
        records = d.records()
        assert [records[str(n)] for n in range(1, 11)] == [f"r{n}" for n in range(1, 11)]
        last = int(d.head["last"])
        assert d.ask("append", 12, 2, last + 1, last, "on") == "DONE", d.line


async def test_of_two_primaries_the_silent_one_comes_last(env):
    """Split brain: both say that they can be written to, and only the new one confirms."""
    here = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sqmqos-broker/test'"
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts, 1000, managed="true") as d, \
            Driver(env, pg.hosts, 1000, managed="true") as fresh:
        d.dial().claim(0, 11)
        assert d.ask("append", 11, 1, 1, 0, "one") == "DONE"
        old = pg.primary
        old.stop()
        assert d.ask("append", 11, 1, 2, 1, "lost") == "UNKNOWN" and "no answer" in d.line, d.line
        d.ask("hang_up")
        pg.promote(alone=True)
        old.cont()
        assert old.value("SHOW transaction_read_only") == "off", "it would still do"
        d.dial()  # the old one is the first of its hosts
        pg.primary.until(f"SELECT ({here}) = 1")
        d.close()
        # One that comes to the old one can't claim there, and has learnt from that.
        fresh.dial()
        old.until(f"SELECT ({here} AND state = 'idle') = 1")
        assert fresh.ask("claim", 11, 12, "me", 0) == "UNKNOWN", fresh.line
        fresh.ask("hang_up")
        assert fresh.dial().claim(11, 12) == 1
        assert fresh.ask("append", 12, 2, 2, 1, "kept") == "DONE"
        assert fresh.records() == {"1": "one", "2": "kept"}
        assert pg.primary.value("SELECT count(*) FROM sqmqos.log_0_1") == "2"


async def test_appends_and_claims_wait_for_each_other(env):
    """Whoever locks the head first: an append never passes a claim by, as it would FOR KEY SHARE."""
    claim = "UPDATE sqmqos.head SET epoch = epoch + 1, nonce = {} WHERE p = 0 AND nonce = {}"
    with Postgres(env.folder / "pg", copies=1) as pg, Driver(env, pg.hosts, unsafe="true") as d, \
            Driver(env, pg.hosts, unsafe="true", broken="key_share") as broken:
        d.dial().claim(0, 11)
        assert d.ask("append", 11, 1, 1, 0, "one") == "DONE"
        session = pg.primary.session()
        session.sql("BEGIN; " + claim.format(22, 11))
        d.send("append", 11, 1, 2, 1, "late")
        pg.primary.until(WAITS_FOR_LOCK)
        session.sql("COMMIT")
        assert d.answer() == "REFUSED", d.line
        # The other way round: the claim waits, and sees the record.
        session.sql("BEGIN; SELECT FROM sqmqos.head WHERE p = 0 AND nonce = 22 FOR SHARE;"
                    "INSERT INTO sqmqos.log_0_1 VALUES (2, 2, 1, 'two')")
        d.send("claim", 22, 33, "me", 0)
        pg.primary.until(WAITS_FOR_LOCK)
        session.sql("COMMIT")
        assert d.answer() == "DONE" and d.head["last"] == "2", d.line
        # With the weaker lock the first one fails: the record is in the log of another owner.
        broken.dial()
        session.sql("BEGIN; " + claim.format(44, 33))
        assert broken.ask("append", 33, 3, 3, 2, "late") == "DONE", broken.line
        session.sql("COMMIT")


async def test_a_held_snapshot_rots_nothing(env):
    """Trap 3: appends change no row, so an old snapshot keeps no dead versions of one."""
    with Postgres(env.folder / "pg", copies=1) as pg, Driver(env, pg.hosts, unsafe="true") as d:
        d.dial().claim(0, 11)
        held = pg.primary.session()
        held.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sqmqos.head")
        row = pg.primary.sql("SELECT ctid, xmin FROM sqmqos.head")
        pg.primary.sql("CREATE EXTENSION pgstattuple")
        for lsn in range(1, 301):
            assert d.ask("append", 11, 1, lsn, lsn - 1, "x") == "DONE", d.line
        assert pg.primary.sql("SELECT ctid, xmin FROM sqmqos.head") == row
        dead = pg.primary.sql("SELECT dead_tuple_count FROM pgstattuple('sqmqos.head')")
        assert int(dead[0][0]) <= 2, dead  # of the claim
        assert d.ask("beat", 11, 300, 0) == "DONE"
        assert pg.primary.sql("SELECT ctid, xmin FROM sqmqos.head") != row


async def test_the_largest_record_takes_its_time(env):
    """More than its deadline, as long as it is under way; and what was exported is nobody's any more."""
    size = (64 << 20) + 32
    with Postgres(env.folder / "pg", copies=1) as pg, Driver(env, pg.hosts, unsafe="true") as d, \
            Driver(env, pg.hosts, 300, unsafe="true") as hasty:
        d.dial().claim(0, 11)
        while hasty.ask("dial") != "OK":
            pass
        assert hasty.ask("append", 11, 1, 1, 0, f"*{size}") == "DONE", hasty.line
        assert d.ask("read", 0, 1000) == f"1:1:0:*{size}", d.line
        pg.primary.sql("UPDATE sqmqos.head SET moved = true")
        for call in (("append", 11, 1, 2, 1, "two"), ("claim", 11, 12, "me", 0), ("beat", 11, 1, 0)):
            assert d.ask(*call) == "REFUSED", (call, d.line)


async def test_servers_that_may_lose_what_they_confirm_are_refused(env):
    with Postgres(env.folder / "pg", copies=1) as pg, Driver(env, pg.hosts, make="false") as d, \
            Driver(env, pg.hosts, managed="true") as managed, Driver(env, pg.hosts, unsafe="true") as unsafe:
        assert d.ask("dial") == "EINVAL" and "synchronous_standby_names" in d.line, d.line
        managed.dial().claim(0, 11)
        assert managed.ask("append", 11, 1, 1, 0, "one") == "DONE"
        assert d.ask("dial") == "EINVAL", d.line
        pg.primary.set("synchronous_standby_names", "n2")
        d.dial().ask("hang_up")
        pg.primary.set("full_page_writes", "off")
        assert d.ask("dial") == "EINVAL" and "full_page_writes" in d.line, d.line
        pg.primary.set("full_page_writes", "on")
        pg.primary.set("fsync", "off")
        assert d.ask("dial") == "EINVAL" and "fsync" in d.line, d.line
        managed.ask("hang_up")
        assert managed.ask("dial") == "EINVAL" and "fsync" in managed.line, managed.line
        unsafe.dial()
        pg.primary.set("fsync", "on")
        pg.primary.set("synchronous_standby_names", "")
        # Nothing can be written for now: it says so, and does it later.
        unsafe.claim(11, 12)
        pg.primary.set("default_transaction_read_only", "on")
        assert unsafe.ask("append", 12, 2, 2, 1, "two") == "NOT_DONE" and "(25006)" in unsafe.line, unsafe.line
        assert unsafe.ask("beat", 12, 1, 0) == "NOT_DONE", unsafe.line
        pg.primary.set("default_transaction_read_only", "off")
        assert unsafe.ask("append", 12, 2, 2, 1, "two") == "DONE", unsafe.line
        # A schema that is not there, is no name, or is of another version.
        for schema, says in (("other", "--log-schema"), ("no;name", "no plain name"), ("pg_x", "no plain name")):
            with Driver(env, pg.hosts, unsafe="true", make="false", schema=schema) as other:
                assert other.ask("dial") == "EINVAL" and says in other.line, other.line
        pg.primary.sql("UPDATE sqmqos.head SET format = 2")
        assert unsafe.ask("hang_up") == "" and unsafe.ask("dial") == "EINVAL", unsafe.line
        assert "another version" in unsafe.line, unsafe.line


async def test_no_room(env):
    """A full disk is NOT_DONE: the same record goes in once there is room."""
    if os.getuid() != 0:
        raise Skip("a small file system is root's to mount")
    small = env.folder / "small"
    small.mkdir()
    with Postgres(env.folder / "pg", copies=1) as pg:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0777", "tmpfs", small],
                          capture_output=True).returncode != 0:
            raise Skip("nothing can be mounted here")
        try:
            (small / "space").mkdir()
            os.chown(small / "space", *user())
            pg.primary.sql(f"CREATE TABLESPACE small LOCATION '{small}/space'")
            pg.primary.sql(f"GRANT CREATE ON TABLESPACE small TO {USER}")
            pg.primary.sql(f"ALTER ROLE {USER} SET default_tablespace = 'small'")
            with Driver(env, pg.hosts, unsafe="true") as d:
                d.dial().claim(0, 11)
                lsn = 1
                while d.ask("append", 11, 1, lsn, lsn - 1, "*200000") == "DONE":
                    lsn += 1
                    assert lsn < 50
                assert d.line.startswith("NOT_DONE") and "(53100)" in d.line, d.line
                assert d.ask("append", 11, 1, lsn, lsn - 1, "*200000") == "NOT_DONE", d.line
                subprocess.run(["mount", "-o", "remount,size=30m", small], check=True)
                assert d.ask("append", 11, 1, lsn, lsn - 1, "*200000") == "DONE", d.line
                assert d.ask("append", 11, 1, lsn + 1, lsn, "*200000") == "DONE", d.line
        finally:
            pg.close()
            subprocess.run(["umount", "-l", small], check=True)


async def test_who_is_who(env):
    """Passwords, certificates of both sides, the Unix socket."""
    ca, wrong = ClientCa(env.folder / "ca"), ClientCa(env.folder / "wrong")
    secret = env.folder / "password"

    def write(text):
        secret.write_text(text + "\n")
        secret.chmod(0o600)

    write("not yet")
    options = {"password_file": secret, "ca_file": ca.pem, "unsafe": "true"}
    with Postgres(env.folder / "pg", copies=1, password="hush-hush", tls=Tls(ca, ["IP:127.0.0.1"])) as pg:
        with Driver(env, pg.hosts, **options) as d:
            assert d.ask("dial") == "EIO" and "password" in d.line and "not yet" not in d.line, d.line
            write("hush-hush")
            d.dial()
            assert pg.primary.value("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                    "WHERE application_name = 'sqmqos-broker/test'") == "t"
            pg.primary.sql(f"ALTER ROLE {USER} PASSWORD 'changed'")
            d.ask("hang_up")
            assert d.ask("dial") == "EIO" and "hush-hush" not in d.line, d.line
            write("changed")
            d.dial()
            secret.chmod(0o644)
            d.ask("hang_up")
            assert d.ask("dial") == "EIO" and str(secret) in d.line and "changed" not in d.line, d.line
            secret.chmod(0o600)
        with Driver(env, pg.hosts, **{**options, "ca_file": wrong.pem}) as d:
            assert d.ask("dial") == "EIO" and "certificate" in d.line, d.line
        with Driver(env, f"localhost:{pg.primary.port}", **options) as d:  # its certificate has the address
            assert d.ask("dial") == "EIO" and "localhost" in d.line and "certificate" in d.line, d.line
        with Driver(env, pg.primary.socket, **options) as d:
            d.dial()
            assert d.claim(0, 11) == 0
    with Postgres(env.folder / "pg2", copies=1, tls=Tls(ca, clients=True)) as pg:
        cert, key = ca.issue(USER)
        with Driver(env, pg.hosts, ca_file=ca.pem, unsafe="true", cert_file=cert, key_file=key) as d:
            d.dial()
        cert, key = ca.issue("somebody")
        with Driver(env, pg.hosts, ca_file=ca.pem, unsafe="true", cert_file=cert, key_file=key) as d:
            assert d.ask("dial") == "EIO" and "somebody" not in d.line, d.line


async def test_what_a_database_may_be_like(env):
    """A warning that greets each session, rights that are missing, rows that are hidden, a pooler."""
    with Postgres(env.folder / "pg") as pg, Driver(env, pg.hosts) as d:
        pg.primary.sql(f"UPDATE pg_database SET datcollversion = '0' WHERE datname = '{USER}'")
        assert d.dial().claim(0, 11) == 0
        assert d.ask("append", 11, 1, 1, 0, "one") == "DONE", d.line
        # A segment that can't be made is no reason to own nothing any more.
        pg.primary.sql(f"ALTER SCHEMA sqmqos OWNER TO postgres; GRANT USAGE ON SCHEMA sqmqos TO {USER}")
        assert d.ask("claim", 11, 12, "me", 1) == "NOT_DONE" and "(42501)" in d.line, d.line
        assert d.claim(11, 12) == 1
        assert d.ask("append", 12, 2, 2, 1, "two") == "DONE", d.line
        pg.primary.sql(f"ALTER SCHEMA sqmqos OWNER TO {USER}")
        d.claim(12, 13, roll=1)
        assert d.ask("append", 13, 3, 3, 2, "three") == "DONE", d.line
        # Hidden rows would look like a log that ends earlier.
        pg.primary.sql("ALTER TABLE sqmqos.log_0_2 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        d.ask("hang_up")
        assert d.ask("dial") == "EIO" and "(42501)" in d.line, d.line
        pg.primary.sql("ALTER TABLE sqmqos.log_0_2 DISABLE ROW LEVEL SECURITY")
        d.dial().claim(13, 14)
        assert d.records(2) == {"3": "three"}
        # A pooler that goes by transactions would leave the role's own settings to the next one.
        with Pooler(pg.primary.port) as pooler, Driver(env, pooler.host) as through, \
                Driver(env, pooler.host, unsafe="true") as unsafe:
            assert through.ask("dial") == "EINVAL" and "pooler" in through.line, through.line
            unsafe.dial()


async def test_a_warning_that_is_of_no_commit(env):
    """A database whose numbers of transactions run out says so with each: that puts nothing in doubt."""
    aged = 2_110_000_000  # of 2^31 less 40 million: it warns from there on
    with Postgres(env.folder / "pg", copies=1) as pg, Driver(env, pg.hosts, unsafe="true") as d:
        pg.primary.sql("ALTER SYSTEM SET autovacuum = off")
        d.dial().claim(0, 11)
        pg.primary.shut_down()
        states = pg.primary.data / "pg_xact" / f"{aged >> 20:04X}"  # of 2^20 transactions
        states.write_bytes(bytes(1 << 18))
        os.chown(states, *user())
        pg.primary.run("pg_resetwal", "-x", aged, "-D", pg.primary.data)
        pg.primary.start()
        d.ask("hang_up")
        d.dial().claim(11, 12)
        assert d.ask("append", 12, 2, 1, 0, "one") == "DONE", d.line
        assert d.ask("append", 12, 2, 2, 1, "two") == "DONE", d.line
        assert "must be vacuumed" in pg.primary.log.read_text()

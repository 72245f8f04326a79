"""The database below several brokers: a primary and a standby that confirms its commits, each of
three servers in turn. After each fault there is such a pair again."""

import random
import shutil
import time

import disk as disks
import postgres

SERVERS = 3
SMALL_MIB = 256
NAMES = ", ".join(f"n{i + 1}" for i in range(SERVERS))
CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
CANCEL_EVERY_S = 0.02
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class"


class Database:
    """small: each server has a small disk, which can be full; OSError where that can't be."""

    def __init__(self, folder, small=False):
        self.pg = postgres.Postgres(folder, copies=2, sync=False)
        self.small = small
        self.disks = {}
        self.snapshot = None   # a session that holds one, on the primary
        self.cancelled = 0     # waits

    @property
    def primary(self):
        return self.pg.servers[0]

    @property
    def standby(self):
        return self.pg.servers[1]

    @property
    def spare(self):
        return self.pg.servers[2]

    @property
    def ports(self):
        """Of all three; of those that do not run, too."""
        return sorted(s.port for s in self.pg.servers)

    # -- its life

    def start(self):
        self.pg.start()
        self.pg.servers.append(postgres.Server(self.pg, f"n{SERVERS}"))
        for server in self.pg.servers[:2]:
            self.waits(server)
        self.whole()
        self.hold_snapshot()
        return self

    def close(self):
        self.pg.close()
        for disk in self.disks.values():
            disk.close()

    def waits(self, server):
        """Its commits wait for one of the others, when it is the primary: by name, for a copy
        that is being made is no standby yet."""
        with open(server.data / "postgresql.conf", "a") as f:
            f.write(f"synchronous_standby_names = 'ANY 1 ({NAMES})'\n")
        server.sql("SELECT pg_reload_conf()", "postgres")

    def whole(self, seconds=30):
        """Awaits that the standby confirms what the primary commits."""
        self.primary.until("SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming' AND "
                           f"application_name = '{self.standby.name}' AND sync_state = 'quorum'", seconds)

    def hold_snapshot(self):
        """An old snapshot, of which the primary may clean up nothing that is newer."""
        if self.snapshot:
            self.snapshot.close()
            self.pg.sessions.remove(self.snapshot)
        self.snapshot = self.primary.session()
        self.snapshot.sql(SNAPSHOT)

    def put_on_small_disk(self, server):
        """What was there is lost."""
        if server.name in self.disks:
            return
        server.data.mkdir(exist_ok=True)
        self.disks[server.name] = disks.Small(server.data, SMALL_MIB)
        shutil.chown(server.data, *self.pg.ids)
        server.data.chmod(0o700)

    def new_standby(self):
        """In the place of a server that is dead."""
        dead = self.standby
        dead.kill()
        if self.small:
            self.put_on_small_disk(dead)
        dead.copy(self.primary)
        dead.start()
        self.waits(dead)
        self.whole()

    def promote(self):
        """The standby becomes the primary; the server that was that takes the last place, the
        one from there becomes the standby's."""
        server = self.standby
        server.run("pg_ctl", "promote", "-D", server.data, "-W")
        server.until("SELECT NOT pg_is_in_recovery()")
        old, new, spare = self.pg.servers
        self.pg.servers[:] = [new, spare, old]
        return old

    # -- what happens to it

    def fail_over(self, seconds, rng):
        """The primary dies, and the standby is promoted a while later."""
        self.primary.kill()
        time.sleep(seconds)
        self.promote()
        self.new_standby()
        self.hold_snapshot()

    def switch(self, seconds, rng):
        """The same in good order."""
        self.primary.shut_down()
        self.promote()
        self.new_standby()
        self.hold_snapshot()

    def split(self, seconds, rng):
        """The standby is promoted while the primary lives, and both can be written to."""
        old = self.promote()
        if rng.random() < 0.5:
            time.sleep(seconds / 2)
        self.new_standby()
        self.hold_snapshot()
        time.sleep(seconds)
        old.kill()

    def restart(self, seconds, rng):
        self.primary.kill()
        time.sleep(seconds)
        self.primary.start()
        self.whole()
        self.hold_snapshot()

    def lose_tail(self, seconds, rng):
        """The standby is away, so that nothing is confirmed; waits are cancelled, or the primary
        is started again in place, or both: what it shows then is on no other copy. It dies, and
        the standby is promoted without that."""
        cancels, restarts = rng.choice(((True, False), (False, True), (True, True)))
        self.standby.kill()
        if cancels:
            self.cancel(seconds)
        else:
            time.sleep(seconds)
        if restarts:
            self.primary.kill()
            self.primary.start()
            time.sleep(seconds)
        self.primary.kill()
        self.standby.start()
        self.promote()
        self.new_standby()
        self.hold_snapshot()

    def cancel_waits(self, seconds, rng):
        """Of commits, while the standby stands still; it goes on."""
        self.standby.stop()
        self.cancel(seconds)
        self.standby.cont()
        self.whole()

    def cancel(self, seconds):
        session = self.primary.session()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cancelled += len(session.sql(CANCEL))
            time.sleep(CANCEL_EVERY_S)
        session.close()
        self.pg.sessions.remove(session)

    def stop_primary(self, seconds, rng):
        self.primary.stop()
        time.sleep(seconds)
        self.primary.cont()
        self.whole()

    def stop_standby(self, seconds, rng):
        """Nothing is confirmed, and all can be read."""
        self.standby.stop()
        time.sleep(seconds)
        self.standby.cont()
        self.whole()

    def kill_standby(self, seconds, rng):
        self.standby.kill()
        time.sleep(seconds)
        self.standby.start()
        self.whole()

    def away(self, seconds, rng):
        """Both are, dead or still."""
        if rng.random() < 0.5:
            for server in self.pg.servers[:2]:
                server.stop()
            time.sleep(seconds)
            for server in self.pg.servers[:2]:
                server.cont()
        else:
            for server in self.pg.servers[:2]:
                server.kill()
            time.sleep(seconds)
            for server in self.pg.servers[:2]:
                server.start()
            self.hold_snapshot()
        self.whole()

    def end_sessions(self, seconds, rng):
        """Those of brokers, by the DBA."""
        self.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         f"WHERE usename = '{postgres.USER}'")

    def full(self, seconds, rng):
        """The primary's disk, which may end it: then it is started when there is room."""
        disk = self.disks.get(self.primary.name)
        if not disk:
            return self.fail_over(min(seconds, 1), rng)  # onto one that is small
        disk.fill(rng)
        time.sleep(seconds)
        disk.empty()
        primary = self.primary
        if primary.child.poll() is not None:
            primary.child = None
            primary.start()
            self.hold_snapshot()
        primary.wait_ready()
        self.whole()

    def do(self, name, seconds, seed):
        getattr(self, name.replace("-", "_"))(seconds, random.Random(seed))

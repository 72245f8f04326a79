"""Several brokers on one log, and their sidecars, for one scenario: a broker that ends with
code 75 is started again, as a kubelet would."""

import asyncio
import pathlib
import re
import shutil

import cluster
import stack as parts
from cluster import eventually
from postgres import DATABASE, USER, Postgres
from proxy import Proxy

FENCED = 75  # exit code: another broker has the log
ROLE = re.compile(r"^sqmqos_log_role (\d)$", re.M)
EPOCH = re.compile(r"^sqmqos_log_epoch (\d+)$", re.M)
OWNER, FOLLOWER = "owner", "follower"
EVERY_S = 0.02
POSTGRES = {"database": DATABASE, "user": USER, "create": True}


class Broker(parts.Program):
    """One of several: its id, its ports, a directory of its own; behind proxies where asked for."""

    def __init__(self, number, folder, build, tree, log):
        """tree: as parts.config() has it, with the port that sidecars know as 'advertise' of
        'listen'; log: what the key 'log' has of the log."""
        self.id = f"broker-{number}"
        super().__init__("broker", self.id, folder, build, parts.merge(tree, {
            "broker": {"id": self.id}, "log": log}))
        self.number = number
        self.down = True    # on purpose: it is not started again
        self.restarts = 0   # after code 75
        self.link = None    # proxy.Proxy before its link port
        self.sql = []       # and those between it and each server of the database

    @property
    def store(self):
        return pathlib.Path(self.tree["store"]["dir"])

    def start(self):
        self.down = False
        return super().start()

    def kill(self):
        self.down = True
        super().kill()

    def stop(self, timeout_s=10):
        self.down = True
        return super().stop(timeout_s)

    def says(self, timeout_s=1):
        """(role, epoch) as it says itself; ("", 0) without an answer."""
        status, body = self.get("/metrics", timeout_s) if self.running() else (0, "")
        role, epoch = ROLE.search(body), EPOCH.search(body)
        if status != 200 or not role:
            return "", 0
        return (OWNER if role[1] == "1" else FOLLOWER), int(epoch[1]) if epoch else 0

    def remove_store(self):
        shutil.rmtree(self.store, ignore_errors=True)

    def supervise(self):
        """Starts it again if it has ended with code 75; whether it did."""
        if self.down or self.process is None or self.process.poll() != FENCED:
            return False
        self.restarts += 1
        self.start()
        return True

    async def cut(self):
        """From all: what is open is reset, and what is dialled ends at once."""
        for p in [self.link, *self.sql]:
            await p.stop()

    async def mend(self):
        for p in [self.link, *self.sql]:
            await p.start()


def log_config(postgres, ports):
    """What the key "log" says of a log in a database at these ports."""
    return {"kind": "postgres", "postgres": postgres | {
        "hosts": [f"127.0.0.1:{port}" for port in ports]}}


async def supervise(brokers, every_s=0.05):
    while True:
        for b in brokers:
            b.supervise()
        await asyncio.sleep(every_s)


def owner_of(brokers, timeout_s=1):
    """The one that says that it owns the log; of several, which may be for a while, the one with
    the highest epoch. None: nobody does."""
    said = [(b.says(timeout_s), b) for b in brokers]
    owners = [(epoch, b) for (role, epoch), b in said if role == OWNER]
    return max(owners, key=lambda pair: pair[0])[1] if owners else None


class Brokers(cluster.Stack):
    """N brokers on 'database' (a postgres.Postgres that has started; its end is the stack's), N
    sidecars that know them all.

    proxies: a proxy before the link port of each broker, and between it and each server.
    broker, sidecar: settings laid over the configuration, as a tree."""

    def __init__(self, folder, build, database, *, brokers=3, sidecars=2, tls=True, proxies=False,
                 annotations=None, broker=None, sidecar=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.build = pathlib.Path(build)
        self.database = database
        self.taken = []
        self.proxy = None
        parts.write_token(self.folder / "token", cluster.SPACES)
        if tls:
            parts.write_certificates(self.folder)
        self.brokers = [self.make_broker(i, tls, proxies, broker or {}) for i in range(brokers)]
        self.sidecars = [
            self.make_sidecar(i, tls, annotations[i] if annotations else None, sidecar or {})
            for i in range(sidecars)]
        self.supervisor = None
        self.last_owner = self.brokers[0]
        self.descriptors = {}
        self.exits = []
        self.refused_calls = 0

    def port(self):
        self.taken.append(parts.free_port(self.taken))
        return self.taken[-1]

    def make_broker(self, number, tls, proxies, more):
        listen = self.port()
        advertised = self.port() if proxies else listen
        servers = [s.port for s in self.database.servers]
        sql = [self.port() for _ in servers] if proxies else servers
        tree = parts.config("broker", self.folder, listen=listen, admin=self.port(), tls=tls)
        tree["listen"]["advertise"] = f"127.0.0.1:{advertised}"
        tree = parts.merge(tree, more)
        made = Broker(number, self.folder, self.build, tree, log_config(POSTGRES, sql))
        if proxies:
            made.link = Proxy(advertised, listen)
            made.sql = [Proxy(a, b) for a, b in zip(sql, servers)]
        return made

    def make_sidecar(self, i, tls, annotations, more):
        tree = parts.config("sidecar", self.folder, listen=self.port(), admin=self.port(), tls=tls,
                            broker=0, pod=i + 1, annotations=annotations)
        tree["brokers"] = [b.tree["listen"]["advertise"] for b in self.brokers]
        return parts.Program("sidecar", f"sidecar-{i + 1}", self.folder, self.build,
                             parts.merge(tree, more))

    @property
    def programs(self):
        return [*self.brokers, *self.sidecars]

    @property
    def proxies(self):
        return [p for b in self.brokers for p in [b.link, *b.sql] if p]

    @property
    def broker(self):
        """The owner, where one is: for what looks at one broker."""
        self.last_owner = owner_of(self.brokers) or self.last_owner
        return self.last_owner

    async def start(self):
        for p in self.proxies:
            await p.start()
        for program in self.programs:
            program.start()
        self.supervisor = asyncio.create_task(supervise(self.brokers))
        await self.owner()
        await self.ready()
        await self.linked()
        for program in self.programs:
            self.descriptors[program.name] = cluster.descriptors(program)
        # Any of them may be the owner at the end, which has links of both seats of each sidecar, and
        # now and then one more connection to the database; a sidecar one to the standby, too.
        seats = 2 * cluster.POOL
        most = max(self.descriptors[b.name] for b in self.brokers)
        self.descriptors |= {b.name: most + 2 + seats * len(self.sidecars) for b in self.brokers}
        self.descriptors |= {s.name: self.descriptors[s.name] + 1 + seats for s in self.sidecars}
        return self

    async def owner(self, other_than=None, timeout_s=20):
        """Awaits that one owns the log, and if asked for that it is another one, which is not
        asked: it may stand still."""
        among = [b for b in self.brokers if b is not other_than]

        async def owns():
            return await asyncio.to_thread(owner_of, among)
        what = f"another than {other_than.id} owns the log" if other_than else "one owns the log"
        return await eventually(owns, what, timeout_s, EVERY_S)

    async def role(self, broker, role, timeout_s=20):
        """Awaits that a broker has that role."""
        async def has():
            return (await asyncio.to_thread(broker.says))[0] == role
        await eventually(has, f"{broker.id} is {role}", timeout_s, EVERY_S)

    async def followers(self):
        owner = await self.owner()
        return [b for b in self.brokers if b is not owner]

    async def kill_owner(self):
        """Returns the one that was."""
        was = await self.owner()
        await self.kill(was)
        return was

    async def yields(self, broker, timeout_s=30):
        """SIGTERM, by which an owner lets go of the log."""
        await self.end(broker, timeout_s)

    async def fenced(self, broker, restarts, timeout_s=20):
        """Awaits that a broker has ended with code 75 and was started again."""
        await eventually(lambda: broker.restarts > restarts, f"{broker.id} ends with {FENCED}",
                         timeout_s)

    async def stop(self):
        if self.supervisor:
            self.supervisor.cancel()
        owner = await asyncio.to_thread(owner_of, self.brokers)
        await self.note_exits()
        # The owner last: nobody takes the log over for a moment.
        rest = [b for b in self.brokers if b is not owner]
        for program in [*self.sidecars, *rest, *([owner] if owner else [])]:
            if program.running():
                await self.end(program)
        for p in self.proxies:
            if p.server:
                await p.stop()
        await asyncio.to_thread(self.database.close)
        assert not self.exits, "; ".join(self.exits)


async def on_postgres(env, start=True, database=None, **options):
    """Brokers on servers of their own for a scenario. database: options of postgres.Postgres."""
    servers = Postgres(env.folder / "database", **(database or {}))
    try:
        await asyncio.to_thread(servers.start)
        made = Brokers(env.folder / "stack", parts.ROOT / "build" / env.settings.build, servers, **options)
    except BaseException:
        servers.close()
        raise
    env.stacks.append(made)
    return await made.start() if start else made

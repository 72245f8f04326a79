"""A broker and its sidecars for one scenario, in the scenario's folder."""

import asyncio
import os
import pathlib
import re
import subprocess

import stack as parts
from proxy import Proxy

POOL = 2  # connections of a sidecar to its broker
METRIC = re.compile(r"^(\w+(?:\{[^}]*\})?) (-?[0-9.eE+]+)$")


async def eventually(check, what, timeout_s=15, every_s=0.02):
    """Awaits that check() (plain or async) returns something true; returns it."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        result = check()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"did not come true in {timeout_s:g} s: {what}")
        await asyncio.sleep(every_s)


async def serves(port):
    """Whether a connection to the port is taken."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def metrics(program):
    """{"name{labels}": value} of a program's /metrics."""
    status, body = await asyncio.to_thread(program.get, "/metrics", 10)
    assert status == 200, f"{program.name}: /metrics answered {status} {body}"
    return {m[1]: float(m[2]) for m in map(METRIC.match, body.splitlines()) if m}


async def metric(program, name):
    return (await metrics(program)).get(name, 0)


def anonymous(program):
    """Bytes of anonymous memory."""
    with open(f"/proc/{program.pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))


def descriptors(program):
    """Open descriptors but those of a store, whose files come and go."""
    store = (program.tree.get("store") or program.tree.get("outbox") or {}).get("dir")
    n = 0
    for fd in pathlib.Path(f"/proc/{program.pid}/fd").iterdir():
        try:
            n += not (store and os.readlink(fd).startswith(store))
        except OSError:
            pass
    return n


def outbound(program, found):
    """Descriptors of what leaves: of halves of bridges, which dial as they please, three each (how its thread
    is woken, a connection, a lookup); those that a thread of libcurl's has, and its pooled connections."""
    bridges = 3 * sum(name.startswith("sqmqos_bridge_up{") for name in found)
    if "libcurl" not in pathlib.Path(f"/proc/{program.pid}/maps").read_text():
        return bridges
    return bridges + 2 + int(found.get("sqmqos_out_connections", 0))


def listening_ports(program):
    """Where 'program' listens, by ss."""
    shown = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[3].rsplit(":", 1)[1]) for line in shown.splitlines()
            if f"pid={program.pid}," in line}


def tcp_connections(program, peer_port):
    """How many established TCP connections 'program' has to 'peer_port', by ss."""
    shown = subprocess.run(["ss", "-Htnp", "state", "established", f"( dport = :{peer_port} )"],
                           capture_output=True, text=True, check=True).stdout
    return sum(f"pid={program.pid}," in line for line in shown.splitlines())


# What the token of a stack may name.
SPACES = ("default", "shop", "bank", "one", "two", *"abcdefgh")


class Stack:
    """One broker, N sidecars, and a proxy before the broker where asked for.

    annotations: a file for each sidecar, or None. broker, sidecar: settings laid
    over the configuration, as a tree."""

    def __init__(self, folder, build, *, sidecars=2, tls=True, proxy=False, annotations=None,
                 broker=None, sidecar=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.build = pathlib.Path(build)
        ports = []
        for _ in range(2 * sidecars + 3):
            ports.append(parts.free_port(ports))
        self.broker_port, broker_admin, self.link_port, *ports = ports
        if not proxy:
            self.link_port = self.broker_port
        self.proxy = Proxy(self.link_port, self.broker_port) if proxy else None
        parts.write_token(self.folder / "token", SPACES)
        if tls:
            parts.write_certificates(self.folder)
        tree = parts.config("broker", self.folder, listen=self.broker_port, admin=broker_admin,
                            tls=tls)
        self.broker = parts.Program("broker", "broker", self.folder, build,
                                    parts.merge(tree, broker or {}))
        self.sidecars = []
        for i in range(sidecars):
            tree = parts.config("sidecar", self.folder, listen=ports[2 * i],
                                admin=ports[2 * i + 1], tls=tls, broker=self.link_port,
                                pod=i + 1, annotations=annotations[i] if annotations else None)
            self.sidecars.append(parts.Program("sidecar", f"sidecar-{i + 1}", self.folder, build,
                                               parts.merge(tree, sidecar or {})))
        self.descriptors = {}
        self.exits = []  # what went wrong when programs ended
        self.refused_calls = 0  # by a sidecar's filter, which a scenario has provoked

    @property
    def programs(self):
        return [self.broker, *self.sidecars]

    @property
    def ports(self):
        """The sidecars' MQTT ports."""
        return [s.tree["listen"]["port"] for s in self.sidecars]

    async def start(self):
        if self.proxy:
            await self.proxy.start()
        for program in self.programs:
            program.start()
        await self.ready()
        await self.linked()
        for program in self.programs:
            self.descriptors[program.name] = descriptors(program)
        return self

    async def linked(self):
        """Awaits that every sidecar's pool is complete."""
        async def complete():
            return all([await metric(s, "sqmqos_links") >= POOL for s in self.sidecars])
        await eventually(complete, "all links are up")

    async def ready(self, *programs, timeout_s=20):
        """Awaits /readyz of all, or of those given."""
        for program in programs or self.programs:
            def check(program=program):
                assert program.running(), \
                    f"{program.name} has ended: {program.last_words()}"
                return asyncio.to_thread(program.ready)

            async def is_ready(check=check, program=program):
                ok, why = await check()
                program.why = why
                return ok
            try:
                await eventually(is_ready, f"{program.name} is ready", timeout_s)
            except AssertionError as e:
                raise AssertionError(f"{e}: {getattr(program, 'why', '')}") from None

    async def kill(self, program):
        """kill -9."""
        program.kill()
        await asyncio.to_thread(program.process.wait)

    async def end(self, program, timeout_s=30):
        """SIGTERM; a program must then end with code 0."""
        code = await asyncio.to_thread(program.stop, timeout_s)
        if code not in (0, None):
            self.exits.append(f"{program.name} {parts.describe_exit(code)} after SIGTERM")

    async def restart(self, program):
        program.start()
        await self.ready(program)
        await self.linked()
        self.descriptors[program.name] = max(self.descriptors.get(program.name, 0),
                                             descriptors(program))

    def log(self, program):
        return program.log_path.read_text(errors="replace")

    async def nothing_left(self, timeout_s=20):
        """No session, message or descriptor of the clients is left."""
        async def left():
            out = []
            names = ["sqmqos_queued_messages", "sqmqos_queued_bytes", "sqmqos_retained_messages"]
            broker = await metrics(self.broker)
            out += [f"broker: {n} is {broker[n]:g}" for n in names if broker.get(n)]
            for s in self.sidecars:
                found = await metrics(s)
                out += [f"{s.name}: {n} is {found[n]:g}"
                        for n in ("sqmqos_clients", "sqmqos_publish_backlog_bytes") if found.get(n)]
            for p in self.programs:
                if descriptors(p) > self.descriptors[p.name] + (outbound(p, broker) if p is self.broker else 0):
                    out.append(f"{p.name}: {descriptors(p)} descriptors, "
                               f"{self.descriptors[p.name]} at the start")
            return out
        found = []

        async def none():
            found[:] = await left()
            return not found
        try:
            await eventually(none, "nothing is left over", timeout_s, 0.1)
        except AssertionError:
            raise AssertionError("left over: " + "; ".join(found)) from None

    async def calls_refused(self, sidecar):
        """What a sidecar does is allowed: a problem where its filter has refused a call."""
        said = re.findall(r"security.seccomp: refused .*", self.log(sidecar)) \
            if sidecar.log_path.exists() else []
        if sidecar.running():
            status, body = await asyncio.to_thread(sidecar.get, "/metrics", 10)
            found = re.search(r"^sqmqos_system_calls_refused_total (\d+)$", body, re.M)
            if status == 200 and found and int(found[1]) != self.refused_calls:
                said.append(f"{found[1]} system calls refused")
        return [] if self.refused_calls and len(said) <= 2 else \
            [f"{sidecar.name}: {line}" for line in said]

    async def note_exits(self):
        """What has ended badly by itself, and what sidecars were refused, before they are ended."""
        died = [(p, p.process.returncode) for p in self.programs
                if p.process is not None and not p.running()]
        self.exits += [f"{p.name} {parts.describe_exit(code)} by itself" for p, code in died
                       if code != 0 and p.killed is not p.process]
        for sidecar in self.sidecars:
            self.exits += await self.calls_refused(sidecar)

    async def stop(self):
        """Ends all, sidecars first; AssertionError if one ended badly."""
        await self.note_exits()
        for program in [*self.sidecars, self.broker]:
            if program.running():
                await self.end(program)
        if self.proxy and self.proxy.server:
            await self.proxy.stop()
        assert not self.exits, "; ".join(self.exits)

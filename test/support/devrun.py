"""A ./dev run, as a process of a scenario."""

import asyncio
import pathlib
import signal

import clients
import stack as parts
from cluster import eventually

DEV = str(parts.ROOT / "dev")


def free_ports(n):
    """The first of 'n' free ports in a row."""
    while True:
        first = parts.free_port()
        if all(parts.reserve(first + i) and parts.port_error(first + i) is None
               for i in range(1, n)):
            return first


def children(pid):
    """The processes below 'pid': {pid: command line}."""
    parent, command = {}, {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
            args = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        parent[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        command[int(entry.name)] = args
    found, above = {}, {pid}
    while above:
        above = {p for p, pp in parent.items() if pp in above and p not in found}
        found |= {p: command[p] for p in above}
    return found


class Run:
    """A ./dev run and what it prints."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    async def ready(self):
        """Awaits the line that says so, and returns it."""
        def look():
            assert self.process.returncode is None, "\n".join(self.lines)
            return [line for line in self.lines if line.startswith("ready")]
        return (await eventually(look, "a line that starts with ready", 120))[0]

    async def end(self, number=signal.SIGTERM):
        """Returns the exit code."""
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 30)
        await self.reader
        return code


async def dev_run(env, *argv):
    return Run(await clients.start(env, DEV, "run", *argv))

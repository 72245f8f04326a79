"""Control groups that bound the memory of a scenario's programs, of version 1 or 2."""

import os
import pathlib

from scenario import Skip

ROOT = pathlib.Path("/sys/fs/cgroup")


def memory_root():
    """(the folder of the hierarchy that limits memory, its version)."""
    if (ROOT / "memory" / "memory.limit_in_bytes").exists():
        return ROOT / "memory", 1
    if "memory" in (ROOT / "cgroup.controllers").read_text().split():
        return ROOT, 2
    raise Skip("no control group limits memory here")


class Group:
    """Programs in it get no more than so many bytes; the kernel kills them when they want more."""

    def __init__(self, name, limit):
        try:
            self.root, self.version = memory_root()
            self.folder = self.root / f"sqmqos-{name}-{os.getpid()}"
            if self.version == 2:
                (self.root / "cgroup.subtree_control").write_text("+memory")
            self.folder.mkdir()
            limit_file = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
            (self.folder / limit_file).write_text(str(limit))
        except OSError as e:
            raise Skip(f"no control group can be made: {e}") from None

    def hold(self, program):
        """The program starts in it from now on."""
        program.argv = ["/bin/sh", "-c", f'echo $$ >{self.folder}/cgroup.procs && exec "$@"',
                        "sh", *program.argv]

    def stat(self, name):
        for line in (self.folder / "memory.stat").read_text().splitlines():
            key, value = line.split()
            if key == name:
                return int(value)
        raise AssertionError(f"memory.stat has no {name}")

    def anonymous(self):
        return self.stat("anon" if self.version == 2 else "rss")

    def kills(self):
        """How many processes the kernel has killed in it."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for line in (self.folder / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def remove(self):
        """When its programs have ended."""
        try:
            self.folder.rmdir()
        except OSError:
            pass

"""A small disk for the store, that can be full."""

import os
import pathlib
import subprocess

SIZE_MIB = 512
PIECE = 1 << 20


class Small:
    """A tmpfs of its own on 'folder'; OSError where that is not allowed."""

    def __init__(self, folder, size_mib=SIZE_MIB):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            raise PermissionError("only root can mount a disk")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "sqmqos-torture",
                               str(self.folder)], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(done.stderr.strip())
        self.filler = self.folder / "filler"

    def fill(self, rng, leave=None):
        """Leaves some pages at most."""
        if leave is None:
            leave = rng.choice((0, 0, 4096, 65536, 1 << 20))
        with open(self.filler, "ab", buffering=0) as f:
            for piece in (PIECE, 4096):
                try:
                    while f.write(b"\1" * piece) == piece:
                        pass
                except OSError:
                    pass
            f.truncate(max(f.tell() - leave, 0))

    def empty(self):
        self.filler.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

"""A loss of power, after the fact: takes the undo logs that powerfail.c has
written for a process that was killed, and keeps, drops or tears what the store
had not synced."""

import collections
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

SECTOR = 512
WRITE, SIZE, SYNCED, CREATE, RENAME, UNLINK = range(1, 7)
ENTRY = struct.Struct("<IIQQQQ")
Entry = collections.namedtuple("Entry", "kind offset length old_size new_size data")
MOODS = ("keep", "drop", "some", "prefix", "torn")


def read_log(path):
    """The entries of one log; one that a kill has torn is not there yet."""
    data, at = path.read_bytes(), 0
    while at + ENTRY.size <= len(data):
        kind, n, offset, length, old_size, new_size = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        if at + n > len(data):
            return
        yield Entry(kind, offset, length, old_size, new_size, data[at:at + n])
        at += n


class Choice:
    """Which unsynced sectors reach the disk; asked from the last write to the first."""

    def __init__(self, rng, mood, writes):
        self.rng = rng
        self.mood = mood
        self.left = writes
        self.kept = rng.randint(0, writes) if mood == "prefix" else writes
        self.share = rng.choice((0.1, 0.5, 0.9))

    def next_write(self):
        """A function: sector -> whether it is kept of this write."""
        self.left -= 1
        if self.mood in ("keep", "drop"):
            return lambda _: self.mood == "keep"
        if self.mood == "prefix" and self.left != self.kept:
            return lambda _: self.left < self.kept
        kind = "torn" if self.mood == "prefix" else self.rng.choice(
            ("keep", "drop") if self.mood == "some" else ("keep", "drop", "torn"))
        if kind == "torn":
            return lambda _: self.rng.random() < self.share
        return lambda _: kind == "keep"


def final_size(entries, rng, mood, now):
    """Sizes change in order: those up to some point hold."""
    changes = [e for e in entries if e.kind == SIZE or
               e.kind == WRITE and e.new_size > e.old_size]
    floor = min(max((e.new_size for e in entries if e.kind == SYNCED), default=0), now)
    kept = {"keep": len(changes), "drop": 0}.get(mood, rng.randint(0, len(changes)))
    return max(changes[kept].old_size if kept < len(changes) else now, floor)


def restore(fd, e, sectors):
    """Puts back what write 'e' has replaced in these sectors (ascending)."""
    runs = []
    for s in sectors:
        if runs and runs[-1][1] == s:
            runs[-1][1] = s + 1
        else:
            runs.append([s, s + 1])
    for first, end in runs:
        at = max(first * SECTOR, e.offset)
        end = min(end * SECTOR, e.offset + e.length)
        old = e.data[at - e.offset:end - e.offset]
        os.pwrite(fd, old + bytes(end - at - len(old)), at)


def cut_file(path, entries, rng, mood):
    """Returns (writes, sectors kept, sectors dropped)."""
    choice = Choice(rng, mood, sum(e.kind == WRITE for e in entries))
    frozen, kept, dropped = set(), 0, 0
    fd = os.open(path, os.O_RDWR)
    try:
        size = final_size(entries, rng, mood, os.fstat(fd).st_size)
        for e in reversed(entries):
            sectors = range(e.offset // SECTOR, -(-(e.offset + e.length) // SECTOR))
            if e.kind == SYNCED:
                frozen.update(sectors)
            elif e.kind == SIZE and e.data:
                os.pwrite(fd, e.data, e.offset)
            elif e.kind == WRITE:
                keep = choice.next_write()
                open_ = [s for s in sectors if s not in frozen]
                gone = [s for s in open_ if not keep(s)]
                frozen.update(set(open_).difference(gone))
                kept += len(open_) - len(gone)
                dropped += len(gone)
                restore(fd, e, gone)
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
    return sum(e.kind == WRITE for e in entries), kept, dropped


def undo_name(e, held):
    names = [os.fsdecode(n) for n in e.data.split(b"\0") if n]
    link = held / f"{e.new_size:016x}"
    if e.kind == CREATE:
        pathlib.Path(names[0]).unlink(missing_ok=True)
    elif e.kind == RENAME and os.path.exists(names[1]):
        os.rename(names[1], names[0])
        if e.offset and link.exists():
            os.link(link, names[1])
    elif e.kind == UNLINK and link.exists() and not os.path.exists(names[0]):
        os.link(link, names[0])


class Layer:
    """The layer for one store. Its logs are on a tmpfs of their own."""

    def __init__(self, library, store, scratch="/dev/shm"):
        self.library = pathlib.Path(library).resolve()
        self.store = pathlib.Path(store).resolve()
        self.logs = pathlib.Path(tempfile.mkdtemp(prefix="powerfail-", dir=scratch))
        self.held = self.store.parent / f"{self.store.name}.held"
        self.held.mkdir(parents=True, exist_ok=True)

    def environment(self, program=None):
        """For a process that uses the store. A sanitizer's library must come first."""
        preload = str(self.library)
        if program:
            shown = subprocess.run(["ldd", str(program)], capture_output=True, text=True,
                                   check=True).stdout
            first = [line.split()[2] for line in shown.splitlines() if "libasan" in line]
            preload = " ".join([*first, preload])
        return {"LD_PRELOAD": preload, "POWERFAIL_DIR": str(self.store),
                "POWERFAIL_LOG": str(self.logs), "POWERFAIL_HELD": str(self.held)}

    def log_files(self, kind):
        """{what: [log in order]}; what is an inode, or None for names."""
        out = collections.defaultdict(list)
        for path in sorted(self.logs.glob(f"{kind}-*"), key=lambda p: p.name.rsplit("-", 1)[1]):
            words = path.name.split("-")
            out[int(words[1]) if kind == "f" else None].append(path)
        return out

    def fail_sync(self):
        """The next sync of the journal fails."""
        (self.logs / "fail-sync").touch()

    def sync_has_failed(self):
        return not (self.logs / "fail-sync").exists()

    def mapped(self):
        """Files of the store that were written through a mapping, unseen."""
        mark = self.logs / "mapped"
        return mark.read_text().split("\n") if mark.exists() else []

    def cut(self, rng, mood=None):
        """Call with no process on the store. Returns a line of what was done."""
        mood = mood or rng.choice(MOODS)
        paths = {p.stat().st_ino: p for folder in (self.store, self.held)
                 for p in sorted(folder.rglob("*")) if p.is_file()}
        total = collections.Counter()
        for inode, logs in sorted(self.log_files("f").items()):
            entries = [e for log in logs for e in read_log(log)]
            if inode in paths and entries:
                writes, kept, dropped = cut_file(paths[inode], entries, rng, mood)
                total.update(files=1, writes=writes, kept=kept, dropped=dropped)
        names = [e for log in self.log_files("d").get(None, ()) for e in read_log(log)]
        keep = {"keep": len(names), "drop": 0}.get(mood, rng.randint(0, len(names)))
        for e in reversed(names[keep:]):
            undo_name(e, self.held)
        self.forget()
        return (f"mood {mood}; {total['files']} files with {total['writes']} unsynced writes: "
                f"{total['kept']} sectors kept, {total['dropped']} dropped; {len(names)} names, "
                f"{len(names) - keep} undone")

    def forget(self):
        """What is on disk now is on disk."""
        for path in [*self.logs.glob("[fd]-*"), *self.held.iterdir()]:
            path.unlink()

    def close(self):
        shutil.rmtree(self.logs, ignore_errors=True)
        shutil.rmtree(self.held, ignore_errors=True)

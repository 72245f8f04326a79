"""What a program has in its memory, to look for secrets that should be gone."""


def memory(pid):
    """What a process has in memory that it may write, bytes after bytes."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            place, rights = line.split()[:2]
            start, end = (int(n, 16) for n in place.split("-"))
            if not rights.startswith("rw") or end - start > 1 << 32:
                continue  # the last: shadows of sanitizers
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                pass


def holds(pid, words):
    """Those of the byte strings that are there."""
    found = set()
    for part in memory(pid):
        found |= {word for word in words if word in part}
    return found

"""What it costs a broker to begin with an empty directory: python3 bench/reseed.py [--mib N] [--build DIR].

Two brokers on one log in PostgreSQL (primary and synchronous standby), messages that wait for a session,
one snapshot of them; then the follower's directory is removed, and the follower starts."""

import argparse
import asyncio
import json
import pathlib
import re
import sys
import tempfile
import time

import durable_chains
from chains import ROOT, stack as parts

sys.path.insert(0, str(ROOT / "test" / "support"))
import brokers  # noqa: E402
import mqtt  # noqa: E402
import postgres  # noqa: E402

MIB = 1 << 20
PAYLOAD = 64 << 10
WINDOW = 32
LATE_S = 600
DURABLE = {"session_expiry": 0xFFFFFFFF}
SAID = re.compile(r" snapshot \d+ of record \d+, (\d+) bytes, is in .*: reading took (\d+) ms, writing (\d+) ms")
WROTE = re.compile(r" snapshot \d+ of record \d+, (\d+) bytes, is done after (\d+) ms: reading took (\d+) ms, writing (\d+) ms")


async def fill(port_in, port_out, mib):
    """Has that much wait for a session; the seconds it took."""
    away, client = mqtt.Client("away"), mqtt.Client("filler")
    await away.connect(port_out, clean=True, props=DURABLE)
    await away.subscribe(("fill", 1))
    await away.disconnect()
    await client.connect(port_in, clean=True)
    room, begun = asyncio.Semaphore(WINDOW), time.monotonic()

    def answered(done):
        room.release()
        assert done.result() < 0x80, done.result()
    for n in range(mib * MIB // PAYLOAD):
        await room.acquire()
        client.publish_nowait("fill", n.to_bytes(8, "big") * (PAYLOAD // 8), 1).add_done_callback(answered)
    for _ in range(WINDOW):
        await room.acquire()
    await client.disconnect()
    return time.monotonic() - begun


def wait(what, condition):
    until = time.monotonic() + LATE_S
    while not condition():
        if time.monotonic() > until:
            sys.exit(f"not in {LATE_S} s: {what}")
        time.sleep(0.05)


def last(pattern, program):
    found = pattern.findall(program.log_path.read_text(errors="replace"))
    return [int(v) for v in found[-1]] if found else None


def measure(stack, mib):
    ports = [s.tree["listen"]["port"] for s in stack.sidecars]
    wait("all are ready", lambda: not parts.wait_ready(stack.programs, 1) and brokers.owner_of(stack.brokers))
    filled_s = asyncio.run(fill(ports[0], ports[1], mib))
    wait("a snapshot is written", lambda: any(last(WROTE, b) for b in stack.brokers))
    wrote = max(filter(None, (last(WROTE, b) for b in stack.brokers)))
    owner = brokers.owner_of(stack.brokers)
    follower = next(b for b in stack.brokers if b is not owner)
    follower.kill()
    follower.process.wait()
    follower.remove_store()
    begun = time.monotonic()
    follower.start()
    wait("the follower reads the snapshot", lambda: last(SAID, follower))
    wait("it is ready", lambda: follower.get("/readyz")[0] == 200)
    ready_s = time.monotonic() - begun
    size, read_ms, write_ms = last(SAID, follower)
    return {"waiting_mib": mib, "filled_s": round(filled_s, 1), "snapshot_mib": size // MIB,
            "snapshot_s": wrote[1] / 1e3, "snapshot_read_s": wrote[2] / 1e3,
            "snapshot_written_s": wrote[3] / 1e3, "read_s": read_ms / 1e3, "tables_s": write_ms / 1e3,
            "ready_s": round(ready_s, 1)}


def run(build, folder, mib):
    """The figures; 'folder' is made."""
    folder.mkdir(mode=0o755)
    servers = postgres.Postgres(folder / "database", disk=True)
    log = {"snapshot-size": f"{mib - mib // 8}Mi"}
    more = parts.merge(durable_chains.LIMITS, {"log": log, "store": {"max-size": "16Gi"}})
    stack = None
    try:
        servers.start()
        stack = brokers.Brokers(folder / "stack", build, servers, brokers=2, tls=False, broker=more)
        for program in stack.programs:
            program.start()
        return measure(stack, mib)
    finally:
        for program in stack.programs if stack else []:
            program.kill()
        servers.close()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mib", type=int, default=1024, help="that wait (1024)")
    p.add_argument("--build", default=str(ROOT / "build" / "release"), help="where the programs are")
    p.add_argument("--dir", default=str(ROOT / "build"), help="a disk, not tmpfs")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="reseed-") as folder:
        pathlib.Path(folder).chmod(0o755)
        print(json.dumps(run(pathlib.Path(args.build), pathlib.Path(folder) / "run", args.mib)))


if __name__ == "__main__":
    main()

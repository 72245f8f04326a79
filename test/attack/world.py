"""What is attacked: a broker as it is installed, a good client behind two sidecars, and the
sidecar of a neighbour in a space of its own."""

import asyncio
import contextlib
import json
import pathlib
import ssl
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

import stack as parts
from cluster import Stack, eventually
from link import Broken, LinkClient
from tokens import Issuer

RATE = 500  # messages a second of the good client, at QoS 1
GOOD, BAD = "shop", "mallory"
NEWCOMER_S = 5
BEGUN = "begun"  # what attacker.py says first
WORKLOAD = "demo"


def anonymous(pid):
    """Bytes of a process's own memory."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


class World:
    def __init__(self, folder, build, tls=True, broker=None):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build)
        self.folder.mkdir(parents=True, exist_ok=True)
        issuer = Issuer(self.folder / "issuer")
        # One stuck client may have a queue full, which is 64 MiB unless the operator says less.
        tree = parts.merge({"link": {"max-connections": 100}, "queue": {"max-bytes": "32Mi"}},
                           issuer.config())
        # What a neighbour may keep is soon used up, and as much on a fast machine as on a slow one.
        tree = parts.merge(tree, {"spaces": {BAD: {"limits": {
            "sessions": 300, "retained": 2500, "delayed": 2500, "keys": 10000}}}})
        self.stack = Stack(self.folder / "stack", build, sidecars=3, tls=tls,
                           broker=parts.merge(tree, broker or {}))
        for sidecar, space in zip(self.stack.sidecars, (GOOD, GOOD, BAD)):
            token = self.folder / f"{sidecar.name}.token"
            pod = sidecar.tree["identity"]["pod"]
            parts.write_private(token, issuer.token(space, pod=pod) + "\n")
            sidecar.tree = parts.merge(sidecar.tree, {
                "auth": {"token-file": str(token)}, "identity": {"space": space}})
        self.good_token = issuer.token(GOOD)
        self.target = self.folder / "target.json"
        self.attacker = None

    async def start(self):
        await self.stack.start()
        bad = self.stack.sidecars[2].tree
        victims = [f"{GOOD}~{WORKLOAD}~sqmqos-bench-{n}~pod-{p}" for n in range(2) for p in (1, 2)]
        self.target.write_text(json.dumps({
            "port": self.stack.broker_port, "admin": self.stack.broker.admin_port,
            "ca": bad["tls"].get("ca-file"), "mqtt": bad["listen"]["port"],
            "token": bad["auth"]["token-file"], "victims": victims}))
        return self

    async def good(self, seconds):
        """A run of the good client: what sqmqos-bench says of it."""
        a, b, _ = self.stack.ports
        child = await asyncio.create_subprocess_exec(
            self.build / "sqmqos-bench", "--json", "--pub", f"127.0.0.1:{a}", "--sub",
            f"127.0.0.1:{b}", "--rate", str(RATE), "--qos", "1", "--size", "64",
            "--duration", str(seconds), "--warmup", "1", "--drain", "10",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=parts.in_child)
        try:
            out, err = await asyncio.wait_for(child.communicate(), seconds + 50)
        except TimeoutError:
            child.kill()
            raise AssertionError("the good client does not end: it waits for an answer") from None
        assert out, f"the good client: {err.decode()}"
        return json.loads(out)

    def memory(self):
        return anonymous(self.stack.broker.pid)

    async def newcomer(self):
        """Whether a new sidecar of the good space, on a node of its own, gets a link within
        some seconds.  Like every sidecar it dials again when it is cut off: while more come than
        there are places, who has not said who it is in some milliseconds has to make room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEWCOMER_S):
                while not await self.dial():
                    await asyncio.sleep(0.1)
                return True
        return False

    async def dial(self):
        """Whether one connection of such a sidecar becomes a link."""
        ca = self.stack.sidecars[0].tree["tls"].get("ca-file")
        tls = ssl.create_default_context(cafile=ca) if ca else None
        if tls:
            tls.set_alpn_protocols(["h2"])
        link = LinkClient(self.stack.broker_port, self.good_token, "2", tls=tls,
                          name="localhost" if tls else None, source="127.0.0.2")
        try:
            await link.open()
            try:
                return await link.open_link() == 200
            finally:
                await link.close()
        except (OSError, Broken):
            return False

    async def rested(self, at_most, timeout_s=30):
        """Whether the broker's memory comes down to that."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self.memory() <= at_most, "memory returns", timeout_s, 0.5)
            return True
        return False

    async def begin(self, attack):
        self.attacker = await asyncio.create_subprocess_exec(
            sys.executable, HERE / "attacker.py", attack, self.target,
            stdout=subprocess.PIPE, preexec_fn=parts.in_child)
        # Until then SIGTERM would end it without a word, and nothing would be attacked.
        said = await asyncio.wait_for(self.attacker.stdout.readline(), 60)
        assert said.decode().strip() == BEGUN, f"the attacker: {said}"

    async def end(self):
        """Ends the attack; what it said: how often it was thrown out, or what it got."""
        if self.attacker.returncode is None:
            self.attacker.terminate()
        try:
            out, _ = await asyncio.wait_for(self.attacker.communicate(), 20)
        except TimeoutError:
            self.attacker.kill()
            out, _ = await self.attacker.communicate()
        status, self.attacker = self.attacker.returncode, None
        return out.decode().strip() or f"nothing, and ended with status {status}"

    async def stop(self):
        if self.attacker is not None:
            await self.end()
        await self.stack.stop()

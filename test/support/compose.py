"""Runs services of a compose file without an engine: each in a mount namespace of its own, with the
root that its image would have (ours) or this machine's (others), the file's user, environment,
volumes and command; services of one network_mode share a network namespace, and a bridge in one
more joins those. Health checks and depends_on are followed as compose does. Needs root."""

import asyncio
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import stack as parts
from example_apps import App
from scenario import Skip

OURS = re.compile(r"sqmqos/([a-z]+):")
NET = "10.89.0"
SCRATCH = "/srv"  # where services with this machine's root have their volumes
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNITS = {"s": 1, "m": 60}


def run(*argv, **options):
    done = subprocess.run([*map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    assert done.returncode == 0, (argv, done.stdout[-2000:])
    return done.stdout


class Network:
    """A network namespace, kept by a process that sleeps in it."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"],
                                       preexec_fn=parts.in_child)
        while os.readlink(f"/proc/{self.keeper.pid}/ns/net") == os.readlink("/proc/self/ns/net") \
                or pathlib.Path(f"/proc/{self.keeper.pid}/comm").read_text() != "sleep\n":
            assert self.keeper.poll() is None, "unshare has ended"
        self.enter = ["nsenter", "-t", str(self.keeper.pid), "-n"]
        run(*self.enter, "ip", "link", "set", "lo", "up")

    def end(self):
        self.keeper.kill()
        self.keeper.wait()


class Compose:
    def __init__(self, env, tree, base, path=""):
        """'tree' is the file's content in the folder 'base'; 'path' comes before PATH in services
        that have this machine's root."""
        if os.geteuid() != 0:
            raise Skip("needs root, for namespaces")
        if subprocess.run(["unshare", "--net", "--mount", "true"], check=False).returncode != 0:
            raise Skip("no namespaces can be made here")
        self.env, self.base, self.path = env, pathlib.Path(base), path
        self.services = tree["services"]
        self.folder = env.folder / "compose"
        for name in tree["volumes"]:
            (self.folder / "volumes" / name).mkdir(parents=True)
        programs = self.folder / "programs"
        programs.mkdir()
        for ours in {m[1] for s in self.services.values() if (m := OURS.match(s["image"]))}:
            (programs / f"sqmqos-{ours}").symlink_to(parts.ROOT / f"build/release/sqmqos-{ours}")
        run("sh", parts.ROOT / "tools/image_root.sh", programs, self.folder / "images",
            cwd=parts.ROOT)
        self.bridge = None
        self.networks = {}
        self.addresses = {}
        self.running = {}

    # ---- networks

    def pod(self, name):
        """The service whose network it has; None: no network."""
        mode = self.services[name].get("network_mode", f"service:{name}")
        return mode.removeprefix("service:") if mode != "none" else None

    def connect(self):
        """A network for each service that has one of its own; names are known by hosts files."""
        self.bridge = Network()
        here = self.bridge.enter
        run(*here, "ip", "link", "add", "br0", "type", "bridge")
        run(*here, "ip", "link", "set", "br0", "up")
        for name in self.services:
            if self.pod(name) != name:
                continue
            self.networks[name] = network = Network()
            n = len(self.networks) + 1
            self.addresses[name] = f"{NET}.{n}"
            run(*here, "ip", "link", "add", f"v{n}", "type", "veth", "peer", "name", "eth0",
                "netns", network.keeper.pid)
            run(*here, "ip", "link", "set", f"v{n}", "master", "br0", "up")
            run(*network.enter, "ip", "address", "add", f"{NET}.{n}/24", "dev", "eth0")
            run(*network.enter, "ip", "link", "set", "eth0", "up")

    # ---- one service

    def mounts(self, name):
        """(source, target, read-only) of each volume."""
        for volume in self.services[name].get("volumes", []):
            source, target, *options = volume.split(":")
            path = self.base / source if source.startswith(".") else \
                self.folder / "volumes" / source
            assert path.exists(), f"{name}: {source} is not there"
            yield path.resolve(), target, options == ["ro"]

    def script(self, name):
        """What makes the service's root, in a mount namespace; and the root."""
        ours = OURS.match(self.services[name]["image"])
        lines, root = ["set -e"], ""
        if ours:
            root = self.folder / "roots" / name
            shutil.copytree(self.folder / "images" / ours[1], root, symlinks=True)
            (root / "proc").mkdir()
            hosts = [f"{a} {n}\n" for n, a in self.addresses.items()]
            (root / "etc/hosts").write_text("".join(["127.0.0.1 localhost\n", *hosts]))
            lines.append(f"mount --bind /proc {root}/proc")
        else:
            lines.append(f"mount -t tmpfs none {SCRATCH}")
        for source, target, read_only in self.mounts(name):
            at = shlex.quote(f"{root}{target}")
            make = "mkdir -p" if source.is_dir() else "install -D -m 644 /dev/null"
            lines += [f"{make} {at}", f"mount --bind {shlex.quote(str(source))} {at}"]
            if read_only:
                lines.append(f"mount -o remount,bind,ro {at}")
        return lines, root or "/"

    def argv(self, name, command):
        """'command' in the service's network and root, as its user."""
        service = self.services[name]
        lines, root = self.script(name)
        ours = OURS.match(service["image"])
        user = service.get("user", "65532:65532" if ours else "0:0")
        environment = {"PATH": PATH if ours else f"{self.path}:{PATH}", "HOME": "/",
                       **service.get("environment", {})}
        words = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), "/usr/sbin/chroot",
                 f"--userspec={user}", str(root), *command]
        pod = self.pod(name)
        where = self.networks[pod].enter if pod else ["unshare", "--net"]
        return [*where, "unshare", "--mount", "sh", "-c",
                "\n".join([*lines, f"exec {shlex.join(words)}"])]

    def command(self, name):
        service = self.services[name]
        ours = OURS.match(service["image"])
        entry = [f"/usr/bin/sqmqos-{ours[1]}"] if ours else []
        return entry + [str(word) for word in service["command"]]

    async def healthy(self, name):
        """Asks as compose does, for as long as it would."""
        check = self.services[name]["healthcheck"]
        assert check["test"][0] == "CMD", check
        pid = str(self.running[name].process.pid)
        for _ in range(int(check["retries"])):
            done = await asyncio.to_thread(
                subprocess.run,
                ["nsenter", "-t", pid, "-n", "-m", "-r", "-w", *check["test"][1:]],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode == 0:
                return
            await asyncio.sleep(1)
        raise AssertionError(f"{name} is not healthy: {done.stdout.decode()}"
                             + "\n".join(self.running[name].lines[-20:]))

    async def up(self, *names):
        """Starts these and what they depend on."""
        for name in names:
            if name in self.running:
                continue
            after = self.services[name].get("depends_on", {})
            await self.up(*after)
            self.running[name] = await App.start(self.env, self.argv(name, self.command(name)))
            for before, how in after.items():
                assert how["condition"] in ("service_healthy", "service_completed_successfully")
            needed = {s["depends_on"][name]["condition"] for s in self.services.values()
                      if name in s.get("depends_on", {})}
            if "service_completed_successfully" in needed:
                code, said = await self.running[name].ends()
                assert code == 0, (name, said)
            elif "service_healthy" in needed:
                await self.healthy(name)

    async def down(self):
        for name, app in reversed(self.running.items()):
            if app.process.returncode is None:
                await app.end()
        for network in [*self.networks.values(), self.bridge]:
            if network is not None:
                network.end()

"""The node: its namespaces and its processes.

Nothing is remembered but what the kernel knows: the processes of the node are those in
the PID namespace of its first process, so an end works after any crash.  It knows
nothing of what runs on Kubernetes."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from . import parts, paths

INIT = paths.HERE / "init.sh"
INIT_COPY = paths.HOME / "init.sh"
PROBE = f"{paths.NAME}-probe"
CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Broken(Exception):
    """The node did not come up or is in no state to be used; says why."""


# ---- can it be here

def missing_rights():
    """Why no cluster can run on this machine, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("ip", "nsenter", "unshare", "iptables", "openssl", "etcd", "containerd", "runc",
                 "buildah"):
        if not shutil.which(tool):
            return f"{tool} is missing"
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        return "the kernel has no overlayfs"
    if shutil.disk_usage("/var/lib").free < 4 << 30:
        return "less than 4 GiB are free in /var/lib"
    return no_namespaces() or no_cgroups()


def no_namespaces():
    script = f"ip netns add {PROBE} && nsenter --net=/run/netns/{PROBE} " \
             "unshare --mount --pid --fork --kill-child --mount-proc " \
             "sh -c 'ip link set lo up && ip link add probe0 type veth peer name probe1 " \
             "&& iptables -t nat -L -n && mount -t tmpfs none /mnt'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", PROBE], capture_output=True, check=False)
    if done.returncode:
        return "no namespaces of its own: " + (done.stderr.strip().splitlines() or ["?"])[-1]
    return None


def no_cgroups():
    try:
        make_cgroups(PROBE)
        remove_cgroups(PROBE)
    except OSError as e:
        return f"no control groups of its own: {e}"
    return None


# ---- control groups

def hierarchies():
    """The folders in which control groups are made: one for cgroup v2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [p for p in sorted(CGROUPS.iterdir()) if p.is_dir() and not p.is_symlink() and
            (p / "cgroup.procs").exists()]


def make_cgroups(name=paths.NAME):
    for root in hierarchies():
        if (root / "cgroup.subtree_control").exists() and root.name != "unified":
            wanted = (root / "cgroup.controllers").read_text().split()
            (root / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))
        group = root / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # version 1: empty in a new group
            if (group / setting).exists() and not (group / setting).read_text().strip():
                (group / setting).write_text((root / setting).read_text())


def remove_cgroups(name=paths.NAME):
    """Removes the folders bottom up, once their last process is gone."""
    deadline = time.monotonic() + 10
    for root in hierarchies():
        for folder, _, _ in os.walk(root / name, topdown=False):
            while True:
                try:
                    os.rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)


# ---- processes

def init_pid():
    """The node's first process as the machine numbers it, or None."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                # What it forks is called the same for a moment, but isn't number 1 there.
                if words[1:3] == [str(INIT_COPY).encode(), str(paths.HOME).encode()] and \
                        re.search(r"^NSpid:.*\s1$", (entry / "status").read_text(), re.M):
                    return int(entry.name)
            except OSError:
                pass
    return None


def processes():
    """{pid: name} of the node's processes, as the machine numbers them."""
    first = init_pid()
    return members(namespace_of(first)) if first else {}


def namespace_of(pid):
    return os.readlink(f"/proc/{pid}/ns/pid")


def members(namespace):
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "ns/pid") == namespace:
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                pass
    return found


def pid_of(name):
    """The process of a part of the node, or None."""
    # The kernel keeps 15 characters of a name.
    return next((pid for pid, comm in processes().items() if comm == name[:15]), None)


def enter_argv():
    """What runs a program on the node, in all of its namespaces."""
    pid = init_pid()
    if pid is None:
        raise Broken("the node is not running")
    return ["nsenter", f"--net={paths.NETNS}", "--target", str(pid), "--mount", "--pid"]


def run(*argv, check=True, **options):
    """Runs a program on the node and awaits its end."""
    done = subprocess.run([*enter_argv(), *map(str, argv)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                          **options)
    if check and done.returncode:
        raise Broken(f"{argv[0]}: {done.stdout.strip()[-2000:]}")
    return done.stdout


def start_process(name, argv):
    """Starts a program that stays; its output goes to LOGS/NAME.log."""
    with open(paths.LOGS / f"{name}.log", "ab") as log:
        subprocess.Popen([*enter_argv(), *map(str, argv)], stdin=subprocess.DEVNULL, stdout=log,
                         stderr=log, start_new_session=True, cwd="/")


def start_part(name):
    start_process(name, parts.ALL[name]())


def kill_part(name):
    """Kills a part and awaits that it is gone."""
    pid = pid_of(name)
    if pid is None:
        return
    os.kill(pid, signal.SIGKILL)
    await_true(lambda: pid not in processes(), f"{name} ends", 10)


def await_true(check, what, timeout_s, every_s=0.05):
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Broken(f"did not come true in {timeout_s:g} s: {what}")
        time.sleep(every_s)


# ---- the whole

def boot():
    """Makes the node's namespaces; the folders in HOME are there."""
    for folder in ("log", "kubelet", "cni", "containerd", "etcd"):
        (paths.HOME / folder).mkdir(mode=0o700 if folder == "etcd" else 0o755)
    for mount_point in ("/var/lib/kubelet", "/var/lib/cni"):
        pathlib.Path(mount_point).mkdir(parents=True, exist_ok=True)
    shutil.copy(INIT, INIT_COPY)  # the clone may go while the cluster stays
    make_cgroups()
    subprocess.run(["ip", "netns", "add", paths.NAME], check=True)
    with open(paths.LOGS / "init.log", "ab") as log:
        child = subprocess.Popen(
            ["nsenter", f"--net={paths.NETNS}", "unshare", "--mount", "--pid", "--fork",
             "--kill-child", "--mount-proc", "bash", INIT_COPY, paths.HOME, paths.NODE_ADDRESS],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")

    def booted():
        if child.poll() is not None:
            raise Broken("the node does not boot: " + (paths.LOGS / "init.log").read_text())
        return (paths.HOME / "ready").exists()
    await_true(booted, "the node boots", 30)


def ruin_processes():
    """Whatever runs on the node, also where its first process can't be told."""
    first = init_pid()
    found = set(members(namespace_of(first))) if first else set()
    return found | in_cgroups()


def in_cgroups():
    """The processes of pods, which have PID namespaces of their own."""
    found = set()
    for root in hierarchies():
        for folder, _, _ in os.walk(root / paths.NAME):
            try:
                text = (pathlib.Path(folder) / "cgroup.procs").read_text()
            except OSError:  # it went meanwhile
                continue
            found |= {int(pid) for pid in text.split()}
    return found - {0}  # one that this process's own namespace can't see


def end_processes():
    """Kills the node: with its first process the kernel ends all others."""
    deadline = time.monotonic() + 30
    while left := ruin_processes():
        if time.monotonic() > deadline:
            raise Broken(f"these processes of the node do not end: {sorted(left)}")
        first = init_pid()
        for pid in [first] if first else left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def mounts_left():
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    return sorted((p for p in points if p.startswith(f"{paths.HOME}/")), reverse=True)


def destroy():
    """Ends the node and removes all of it, from whatever state it is in."""
    end_processes()
    for point in mounts_left():
        subprocess.run(["umount", "--lazy", point], check=False)
    remove_cgroups()
    if paths.NETNS.exists():
        subprocess.run(["ip", "netns", "del", paths.NAME], check=True)
    for mount_point in ("/var/lib/kubelet", "/var/lib/cni"):
        try:
            os.rmdir(mount_point)  # stays where somebody else's files are in it
        except OSError:
            pass
    remove_home()


def remove_home():
    paths.STATE.unlink(missing_ok=True)
    if mounts_left():
        raise Broken(f"still mounted: {mounts_left()}")
    for attempt in range(20):
        try:
            if paths.HOME.exists():
                shutil.rmtree(paths.HOME)
            return
        except OSError:  # a file that came meanwhile
            if attempt == 19:
                raise
            time.sleep(0.1)

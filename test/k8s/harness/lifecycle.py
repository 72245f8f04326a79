"""Starts and ends the cluster of this machine, and says who has it.

There is one cluster at a time: kept (`./dev cluster up`), until somebody says down, or
owned by a process (a run of the tests), and a ruin once that process is gone.  A ruin is
removed by whoever starts next."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import time

from . import addons, api, binaries, images, node, parts, paths, pki, volumes

WAIT_S = 1800  # for the cluster of another run of the tests
NODE_IMAGES = ("pause", "coredns")
CASE_IMAGES = ("client",)
SOME_CASES_IMAGES = ("postgres", "rabbitmq")  # brought in by those cases


class Unable(Exception):
    """There can be no cluster on this machine; says why."""


class Busy(Exception):
    """The machine's cluster is somebody else's; says whose."""


@contextlib.contextmanager
def machine():
    """Holds the machine's lock: one at a time starts or ends clusters."""
    with open(paths.LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            binaries.say("waiting: another process starts or ends the machine's cluster")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- what is there

def state():
    """What start() wrote, or None where nothing or a ruin is there."""
    try:
        found = json.loads(paths.STATE.read_text())
    except (OSError, ValueError):
        return None
    return found if node.init_pid() else None


def started(pid):
    """When the process was started, in the kernel's ticks; None where there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def owner_of(found):
    """The process that has the cluster, None where it is kept; raises LookupError of a dead one."""
    owner = found["owner"]
    if owner is None:
        return None
    if started(owner["pid"]) != owner["started"]:
        raise LookupError
    return owner["pid"]


def current():
    """(state, owner) of a cluster that can be used, or None."""
    found = state()
    try:
        return (found, owner_of(found)) if found else None
    except LookupError:
        return None


def api_ready():
    try:
        return api.Api().request("GET", "/readyz") == "ok"
    except (OSError, api.Refused):
        return False


def missing_parts():
    there = {name[:15] for name in node.processes().values()}
    return [name for name in parts.ALL if name[:15] not in there]


# ---- start and end

def write_home():
    for folder in (paths.HOME, paths.LOGS, paths.CONFIG, paths.VOLUMES):
        folder.mkdir(parents=True)
    paths.HOME.chmod(0o755)
    paths.BINARIES.symlink_to(binaries.ensure())
    # The clone may change or go while the cluster stays.
    shutil.copytree(paths.HERE, paths.HOME / "harness",
                    ignore=shutil.ignore_patterns("__pycache__"))
    pki.write_all()
    parts.write_configuration(images.reference("pause"))


def start_volumes():
    node.start_process("volumes", ["env", f"PYTHONPATH={paths.HOME}", "PYTHONDONTWRITEBYTECODE=1",
                                   "python3", "-m", volumes.__name__])


def start_all(archives):
    for name in ("etcd", "containerd", "kube-apiserver"):
        node.start_part(name)
    node.await_true(containerd_answers, "containerd answers", 30, 0.1)
    for archive in archives[:len(NODE_IMAGES)]:
        images.load_archive(archive)
    api.enter_network()
    node.await_true(api_ready, "the API server is ready", 90, 0.1)
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"):
        node.start_part(name)
    start_volumes()
    addons.apply()
    for archive in archives[len(NODE_IMAGES):]:
        images.load_archive(archive)
    node.await_true(cluster_ready, "the node, its DNS and its volumes are ready", 120, 0.1)


def containerd_answers():
    try:
        return images.ctr("version")
    except node.Broken:
        return False


def cluster_ready():
    server = api.Api()
    dns = server.get("deployments", "coredns", "kube-system")
    free = [v for v in server.list("persistentvolumes") if v["status"].get("phase") == "Available"]
    return (dns or {}).get("status", {}).get("readyReplicas") and len(free) >= volumes.AVAILABLE \
        and server.get("serviceaccounts", "default", "default")


def start(owner):
    """Starts a cluster where there is none; leaves nothing where that fails."""
    made = [images.ensure(name) for name in NODE_IMAGES + CASE_IMAGES + SOME_CASES_IMAGES]
    archives = made[:len(NODE_IMAGES + CASE_IMAGES)]
    began = time.monotonic()
    try:
        write_home()
        node.boot()
        start_all(archives)
        seconds = time.monotonic() - began
        paths.STATE.write_text(json.dumps({
            "key": binaries.key(), "clone": str(paths.ROOT), "seconds": round(seconds, 1),
            "owner": owner and {"pid": owner, "started": started(owner)}}))
    except BaseException:
        keep_logs()
        node.destroy()
        raise
    return seconds


def keep_logs():
    """What a start that failed has said stays readable until the next."""
    if paths.LOGS.exists():
        shutil.rmtree(paths.FAILED_LOGS, ignore_errors=True)
        shutil.copytree(paths.LOGS, paths.FAILED_LOGS)
        binaries.say(f"the logs of the start that failed are in {paths.FAILED_LOGS}")


def prepare():
    """What takes long and needs no lock; raises Unable."""
    reason = node.missing_rights()
    if reason:
        raise Unable(reason)
    binaries.ensure()


def up():
    """Starts a cluster that stays, or mends the one that is up; returns what it did."""
    with machine():
        found = current()
        if found and found[1]:
            raise Busy(f"a run of the tests (process {found[1]}) has the machine's cluster")
        if found:
            return mend(found[0])
    prepare()
    with machine():
        if current():
            return "another process started it meanwhile"
        node.destroy()
        return f"up after {start(None):.1f} s"


def mend(found):
    if found["key"] != binaries.key():
        raise Busy(f"the cluster that is up has other versions (of {found['clone']}): "
                   "./dev cluster down ends it")
    missing = missing_parts()
    for name in missing:
        node.start_part(name)
    if not missing:
        return "it was up"
    api.enter_network()
    node.await_true(api_ready, "the API server is ready", 90, 0.1)
    return f"started again: {' '.join(missing)}"


def down():
    """Ends the cluster, whoever has it but a living run of the tests."""
    with machine():
        found = current()
        if found and found[1]:
            raise Busy(f"a run of the tests (process {found[1]}) has the machine's cluster; "
                       "it ends it itself")
        there = paths.HOME.exists() or paths.NETNS.exists()
        node.destroy()
        return "ended" if there else "there was none"


# ---- for a run of the tests

def acquire(pid):
    """A cluster for the run of process 'pid': one that is kept, or one of its own; with
    the images of our programs.  Returns whether it is its own."""
    ours = images.DOCKERFILE.exists()
    if ours:
        # From here on it may be in the node's network, with no way to a mirror.
        for name in SOME_CASES_IMAGES:
            images.ensure(name)
        images.programs()
    own = take(pid)
    if ours:
        images.load_programs()
    return own


def take(pid):
    deadline = time.monotonic() + WAIT_S
    told = False
    while True:
        with machine():
            found = current()
            if found and not found[1]:
                mend(found[0])
                return False
        if not found or found[1] == pid:
            break
        if not told:
            binaries.say(f"waiting for the cluster of another run of the tests ({found[1]})")
            told = True
        if time.monotonic() > deadline:
            raise Busy(f"the run of the tests in process {found[1]} does not end")
        time.sleep(1)
    prepare()
    with machine():
        if not current():
            node.destroy()
            start(pid)
    return True


def release(pid):
    """Ends the cluster if it is that of process 'pid', dead or alive."""
    with machine():
        found = state()
        if found and (found["owner"] or {}).get("pid") == pid or not found:
            node.destroy()

"""The end of a cluster leaves nothing, whatever happened before; on a cluster of the run's own."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys

from cluster import eventually
from harness import lifecycle, node, paths
from scenario import Skip, scenario

K8S = pathlib.Path(__file__).resolve().parent


# Where a node keeps things; a machine may have its own there, from before the cluster.
OF_NODES = ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd")


def of_nodes():
    """{folder: when it was last changed} of those that are there."""
    return {p: os.stat(p).st_ctime for p in OF_NODES if pathlib.Path(p).exists()}


def left_over(since):
    """What the machine still has of a cluster that was started at 'since', as it shows to
    anybody."""
    found = [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"*/{paths.NAME}")]
    found += [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(paths.NAME)]
    found += [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
              if "sqmqos-cluster" in line]
    namespaces = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    found += [line for line in namespaces.splitlines() if paths.NAME in line or "cni-" in line]
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    found += [line for line in listed.stdout.splitlines()[1:]
              if "/var/lib/sqmqos-cluster" in line or "containerd-shim" in line]
    found += [str(paths.HOME)] if paths.HOME.exists() else []
    return found + [p for p, changed in of_nodes().items() if changed >= since]


def harness(verb, pid):
    """Starts what the runner of the tests starts for itself, for the process 'pid'."""
    env = os.environ | {"PYTHONPATH": str(K8S), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([sys.executable, "-m", "harness", verb, str(pid)], env=env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            start_new_session=True)


async def finished(child):
    return await asyncio.to_thread(child.wait, 120)


async def own_cluster():
    """The process that has the cluster; skips where it is kept for people."""
    found = lifecycle.current()
    if not found or found[1] is None:
        raise Skip("the cluster is kept for people; this ends clusters")
    return found[1]


async def kubelet_runs():
    await eventually(lambda: node.pid_of("kubelet"), "the start came as far as kubelet", 90, 0.1)


@scenario(last=True, timeout_s=300)
async def test_an_end_leaves_nothing_and_a_start_removes_any_ruin(_env):
    owner = await own_cluster()
    since = paths.PKI.stat().st_mtime  # made before any part is started
    pods = node.in_cgroups()
    assert pods, "pods run"
    assert await finished(harness("release", owner)) == 0
    assert left_over(since) == []
    assert not [pid for pid in pods if pathlib.Path(f"/proc/{pid}").exists()]

    interrupted = harness("acquire", owner)
    await kubelet_runs()
    interrupted.send_signal(signal.SIGTERM)
    assert await finished(interrupted) == 130
    assert left_over(since) == []

    crashed = harness("acquire", owner)
    await kubelet_runs()
    crashed.kill()
    await finished(crashed)
    assert left_over(since) != []
    assert lifecycle.current() is None
    assert await finished(harness("acquire", owner)) == 0
    assert lifecycle.current()[1] == owner

"""./dev cluster: what people type, on the cluster that is up."""

import asyncio
import os
import shutil

from harness import images, lifecycle, paths
from scenario import scenario


async def dev(*words):
    """(exit code, stdout, stderr) of ./dev cluster."""
    child = await asyncio.create_subprocess_exec(
        str(paths.ROOT / "dev"), "cluster", *map(str, words), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await child.communicate()
    return child.returncode, out.decode(), err.decode()


async def test_its_verbs_reach_the_cluster(env):
    k8s = await env.cluster()
    code, out, _ = await dev("status")
    assert code == 0 and out.startswith("up, v1.34.4") and "API server: ready" in out, out
    code, out, _ = await dev("kubectl", "get", "namespace", k8s.namespace, "-o", "name")
    assert (code, out) == (0, f"namespace/{k8s.namespace}\n")
    code, out, _ = await dev("helm", "list", "-n", k8s.namespace, "-o", "json")
    assert (code, out.strip()) == (0, "[]")
    code, out, _ = await dev("run", "curl", "-sk",
                             f"https://{paths.NODE_ADDRESS}:{paths.API_PORT}/readyz")
    assert (code, out) == (0, "ok")
    code, _, err = await dev("kubectl", "get", "pod", "nobody", "-n", k8s.namespace)
    assert code == 1 and "not found" in err


async def test_it_refuses_what_makes_no_sense(env):
    await env.cluster()
    for words, said in ((["sideways"], "there is no verb 'sideways'"),
                        (["up", "now"], "takes no arguments"),
                        (["load", env.folder], "there is no *.tar"),
                        (["load", "--tag", "x y", env.folder], "not a tag")):
        code, _, err = await dev(*words)
        assert code not in (0, 77) and said in err, (words, code, err)


async def test_an_archive_is_loaded_under_its_names(env):
    k8s = await env.cluster()
    folder = env.folder / "archives"
    folder.mkdir()
    shutil.copy(images.ensure("pause"), folder)
    name = images.reference("pause")
    tag = k8s.namespace[-6:]
    tagged = f"{name.rpartition(':')[0]}:{tag}"
    code, out, err = await dev("load", "--tag", tag, folder)
    assert code == 0 and out.split() == [name, tagged], (out, err)
    await k8s.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "p", "image": tagged, "imagePullPolicy": "Never"}]}})
    await k8s.ready("p")
    await k8s.delete("pods", "p", grace_s=0)
    await asyncio.to_thread(images.ctr, "images", "rm", tagged)


async def test_up_and_down_leave_a_running_cluster_to_who_has_it(env):
    await env.cluster()
    owner = lifecycle.current()[1]
    code, _, err = await dev("up")
    if owner is None:
        assert code == 0 and "it was up" in err, err
        return
    assert code == 1 and f"process {owner}" in err, err
    code, _, err = await dev("down")
    assert code == 1 and f"process {owner}" in err, err
    assert lifecycle.api_ready()


@scenario(alone=True, timeout_s=180)
async def test_pods_run_on_while_the_api_server_is_stopped(env):
    k8s = await env.cluster()
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "p", "image": k8s.client_image, "imagePullPolicy": "Never",
                        "command": ["sleep", "infinity"]}]}}
    await k8s.apply(tree)
    await k8s.ready("p")
    pids = await k8s.pids("p", "p")
    async with k8s.api_server_stopped():
        assert not lifecycle.api_ready()
        code, out, _ = await dev("status")
        assert code == 1 and "not running: kube-apiserver" in out, out
        os.kill(pids[0], 0)
    assert await k8s.pids("p", "p") == pids
    assert (await k8s.get("pods", "p"))["status"]["containerStatuses"][0]["restartCount"] == 0
    tree["metadata"]["name"] = "q"
    await k8s.apply(tree)
    await k8s.ready("q")

"""What a test case of test/k8s/ gets: the cluster, and a namespace of its own.

The process of a case is in the node's network, so it reaches pods and Services by
their addresses.  Waiting is by looking at the API server; kubectl and helm are for what
people do with them."""

import asyncio
import contextlib
import fcntl
import json
import os
import pathlib
import re
import secrets
import signal

import yaml

from cluster import eventually  # test/support

from . import api, images, lifecycle, node, paths, tokens

COMMAND_TIMEOUT_S = 110


class CommandFailed(Exception):
    """kubectl or helm ended with another code than 0."""

    def __init__(self, done):
        self.done = done
        super().__init__(f"{' '.join(done.argv)}: exit code {done.code}\n{done.stderr}{done.stdout}")


class Done:
    """How a command ended. stdout, stderr: text."""

    def __init__(self, argv, code, stdout, stderr):
        self.argv, self.code, self.stdout, self.stderr = argv, code, stdout, stderr


def manifest_text(what):
    """JSON or YAML for kubectl -f -: of a tree, a list of trees, a file or a text."""
    if isinstance(what, pathlib.Path):
        return what.read_text()
    if isinstance(what, str):
        return what
    if isinstance(what, dict):
        return json.dumps(what)
    return yaml.safe_dump_all(what)


def condition_true(tree, name):
    conditions = (tree or {}).get("status", {}).get("conditions") or []
    return any(c["type"] == name and c["status"] == "True" for c in conditions)


def rolled_out(tree):
    """Whether a Deployment or StatefulSet is all new and all available."""
    spec, status = tree["spec"], tree.get("status", {})
    wanted = spec.get("replicas", 1)
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "readyReplicas",
                                          "availableReplicas")]
    return status.get("observedGeneration", 0) >= tree["metadata"]["generation"] and \
        all(c == wanted for c in counts)


class Cluster:
    """One case's view of the cluster; see env.cluster() of scenario.py."""

    def __init__(self, folder, case):
        self.folder = pathlib.Path(folder)
        self.case = case
        self.namespace = None   # of its own, where everything goes that names no other
        self.namespaces = []
        self.touched = set()    # others that the case looked into, as that of a release
        self.used_helm = False
        self.api = api.Api()
        self.tag = images.programs_tag()  # of the images of our programs, of this tree
        self.client_image = images.reference("client")
        self.signing_key = tokens.KEY

    async def open(self, labels=None):
        self.namespace = await self.make_namespace(labels=labels)
        return self

    def within(self, namespace):
        """The namespace that is meant: the case's own where none is named."""
        if namespace and namespace not in self.namespaces:
            self.touched.add(namespace)
        return namespace or self.namespace

    # ---- commands

    async def command(self, tool, *argv, stdin=None, timeout_s=COMMAND_TIMEOUT_S):
        """Runs kubectl or helm; returns Done, whatever the exit code."""
        argv = [str(word) for word in argv]
        env = os.environ | {"KUBECONFIG": str(paths.KUBECONFIG),
                            "KUBECACHEDIR": str(paths.HOME / "kubectl-cache")}
        child = await asyncio.create_subprocess_exec(
            str(paths.BINARIES / tool), *argv, env=env, stdout=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            out, err = await asyncio.wait_for(child.communicate(data), timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            raise
        return Done([tool, *argv], child.returncode, out.decode("utf-8", "replace"),
                    err.decode("utf-8", "replace"))

    async def try_kubectl(self, *argv, namespace=None, **options):
        return await self.command("kubectl", "-n", self.within(namespace), *argv, **options)

    async def kubectl(self, *argv, namespace=None, **options):
        """kubectl's stdout; raises CommandFailed."""
        return good(await self.try_kubectl(*argv, namespace=namespace, **options)).stdout

    async def try_helm(self, *argv, namespace=None, **options):
        self.used_helm = True
        return await self.command("helm", "-n", self.within(namespace), *argv, **options)

    async def helm(self, *argv, namespace=None, **options):
        """helm's stdout; raises CommandFailed."""
        return good(await self.try_helm(*argv, namespace=namespace, **options)).stdout

    async def apply(self, what, namespace=None, verb="apply"):
        """kubectl apply of a tree, trees, a Path or a text; returns Done, with warnings in
        stderr; raises CommandFailed."""
        return good(await self.try_apply(what, namespace, verb))

    async def try_apply(self, what, namespace=None, verb="apply"):
        return await self.try_kubectl(verb, "-f", "-", namespace=namespace,
                                      stdin=manifest_text(what))

    async def create(self, what, namespace=None):
        """The object as it was made, defaults and patches of webhooks included."""
        done = good(await self.try_kubectl("create", "-o", "json", "-f", "-",
                                           namespace=namespace, stdin=manifest_text(what)))
        return json.loads(done.stdout)

    async def exec(self, pod, *argv, container=None, namespace=None, stdin=None):
        """Runs a command in a container; returns its stdout; raises CommandFailed."""
        where = ["-c", container] if container else []
        how = ["-i"] if stdin is not None else []
        return await self.kubectl("exec", *how, pod, *where, "--", *argv, namespace=namespace,
                                  stdin=stdin)

    # ---- objects

    async def get(self, kind, name, namespace=None):
        """The object's tree, or None."""
        return await asyncio.to_thread(self.api.get, kind, name, self.within(namespace))

    async def list(self, kind, selector=None, namespace=None):
        return await asyncio.to_thread(self.api.list, kind, self.within(namespace), selector)

    async def pods(self, selector=None, namespace=None):
        """Pods that are not being deleted, the newest last."""
        found = await self.list("pods", selector, namespace)
        return sorted((p for p in found if "deletionTimestamp" not in p["metadata"]),
                      key=lambda p: p["metadata"]["creationTimestamp"])

    async def delete(self, kind, name, namespace=None, wait=True, grace_s=None):
        there = self.within(namespace)
        await asyncio.to_thread(self.api.delete, kind, name, there, grace_s)
        if wait:
            await self.gone(kind, name, there)

    async def logs(self, pod, container=None, namespace=None, previous=False):
        query = {k: v for k, v in (("container", container),
                                   ("previous", "true" if previous else None)) if v}
        path = api.path_of("pods", pod, self.within(namespace)) + "/log"
        return str(await asyncio.to_thread(self.api.request, "GET", path, query=query))

    # ---- waiting

    async def until(self, kind, name, check, what, timeout_s=60, namespace=None):
        """Awaits that check(tree) returns something true; returns the tree."""
        seen = None

        async def look():
            nonlocal seen
            seen = await self.get(kind, name, namespace)
            return seen is not None and check(seen)
        try:
            await eventually(look, f"{kind}/{name}: {what}", timeout_s, 0.1)
        except AssertionError as e:
            status = json.dumps((seen or {}).get("status", "there is none"), indent=1)
            raise AssertionError(f"{e}\n{status[:4000]}") from None
        return seen

    async def condition(self, kind, name, condition="Ready", timeout_s=60, namespace=None):
        return await self.until(kind, name, lambda tree: condition_true(tree, condition),
                                condition, timeout_s, namespace)

    async def ready(self, pod, timeout_s=60, namespace=None):
        return await self.condition("pods", pod, "Ready", timeout_s, namespace)

    async def succeeded(self, pod, timeout_s=60, namespace=None):
        """Awaits a pod's end with exit code 0."""
        tree = await self.until("pods", pod,
                                lambda p: p["status"]["phase"] in ("Succeeded", "Failed"),
                                "ends", timeout_s, namespace)
        assert tree["status"]["phase"] == "Succeeded", \
            f"{pod}: {json.dumps(tree['status'], indent=1)[:3000]}"
        return tree

    async def rolled_out(self, kind, name, timeout_s=90, namespace=None):
        return await self.until(kind, name, rolled_out, "rolled out", timeout_s, namespace)

    async def gone(self, kind, name, namespace=None, timeout_s=90):
        async def look():
            return await self.get(kind, name, namespace) is None
        await eventually(look, f"{kind}/{name} is gone", timeout_s, 0.1)

    # ---- namespaces and images

    async def make_namespace(self, hint=None, labels=None):
        """Another namespace of the case's own; removed at its end."""
        slug = re.sub(r"[^a-z0-9]+", "-", (hint or self.case).lower()).strip("-")[:40].strip("-")
        name = f"{slug}-{secrets.token_hex(3)}"
        await self.adopt_namespace(name, labels)
        return name

    async def adopt_namespace(self, name, labels=None):
        """Makes a namespace of that very name; removed at the case's end."""
        self.namespaces.append(name)
        labels = {"sqmqos-test": "case"} | (labels or {})
        await asyncio.to_thread(self.api.create, "namespaces",
                                {"metadata": {"name": name, "labels": labels}})

        async def look():  # without it, pods are refused
            return await self.get("serviceaccounts", "default", name)
        await eventually(look, f"namespace {name} has its account", 30, 0.05)

    async def load(self, folder, tag=None):
        """Imports the docker archives of a folder; returns the names of the images."""
        return await asyncio.to_thread(images.load_folder, folder, tag)

    async def load_programs(self):
        """The images of our programs, of this tree, as sqmqos/NAME:<version> and :<self.tag>."""
        return await asyncio.to_thread(images.load_programs)

    async def load_image(self, name):
        """One of test/k8s/images that not each case has; returns what pods call it."""
        return await asyncio.to_thread(images.load_once, name)

    @contextlib.asynccontextmanager
    async def holding(self, what):
        """Holds a lock of the whole cluster against cases that run meanwhile."""
        (paths.HOME / "locks").mkdir(exist_ok=True)
        with open(paths.HOME / "locks" / what, "w") as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            yield

    async def once(self, what, make, version=""):
        """Awaits make() unless the last case of this cluster that did so made 'version'."""
        done = paths.HOME / "locks" / f"{what}.done"
        async with self.holding(what):
            if not done.exists() or done.read_text() != version:
                await make()
                done.write_text(version)

    # ---- below the API

    async def container_id(self, pod, container, namespace=None):
        status = (await self.get("pods", pod, namespace))["status"]
        for found in status.get("initContainerStatuses", []) + status["containerStatuses"]:
            if found["name"] == container:
                return found.get("containerID", "").rpartition("/")[2]
        raise KeyError(f"{pod} has no container {container}")

    async def cgroup(self, pod, container, controller="memory", namespace=None):
        """The folder of a container's control group, for its memory or its processes."""
        wanted = await self.container_id(pod, container, namespace)
        for root in node.hierarchies():
            if root == node.CGROUPS or controller in root.name.split(","):
                for folder, names, _ in os.walk(root / paths.NAME):
                    if wanted in names:
                        return pathlib.Path(folder) / wanted
        raise KeyError(f"no control group of {pod}/{container}")

    async def memory(self, pod, container, namespace=None):
        """Bytes of a container's control group: "usage"; "working_set", as kubelet counts
        it, without file pages that can go; "anonymous"."""
        folder = await self.cgroup(pod, container, namespace=namespace)
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        usage = folder / "memory.current"  # version 2; else the names of version 1
        old = not usage.exists()
        used = int((folder / "memory.usage_in_bytes" if old else usage).read_text())
        inactive = int(stat["total_inactive_file" if old else "inactive_file"])
        return {"usage": used, "working_set": max(0, used - inactive),
                "anonymous": int(stat["total_rss" if old else "anon"])}

    async def pids(self, pod, container, namespace=None):
        """Its processes as this machine numbers them, the first one first."""
        folder = await self.cgroup(pod, container, namespace=namespace)
        return sorted(map(int, (folder / "cgroup.procs").read_text().split()))

    async def kill(self, pod, container, number=signal.SIGKILL, namespace=None):
        """Sends a container's first process a signal."""
        os.kill((await self.pids(pod, container, namespace))[0], number)

    @contextlib.asynccontextmanager
    async def api_server_stopped(self):
        """No API server inside; for cases that run alone."""
        await asyncio.to_thread(node.kill_part, "kube-apiserver")
        try:
            yield
        finally:
            await asyncio.to_thread(node.start_part, "kube-apiserver")
            await eventually(lambda: asyncio.to_thread(lifecycle.api_ready),
                             "the API server is ready", 90, 0.1)
            await self.caught_up()

    async def caught_up(self):
        """Awaits that those who follow the API server do so again: each tries more and more
        seldom the longer it is away. Whoever starts anew need not wait for that."""
        for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
            await asyncio.to_thread(node.kill_part, name)
            await asyncio.to_thread(node.start_part, name)
        name = f"probe-{secrets.token_hex(3)}"
        namespace = await self.make_namespace("caught-up")
        await self.create({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                {"name": "p", "image": images.reference("pause"), "imagePullPolicy": "Never"}]},
        }, namespace)
        await self.ready(name, 90, namespace)

    # ---- the end

    async def finish(self, failed):
        """Keeps what explains a failure, and removes what the case made."""
        if failed:
            for namespace in {*self.namespaces, *self.touched} - {"kube-system"}:
                await self.explain(namespace)
        for namespace in self.namespaces if self.used_helm else []:
            listed = await self.command("helm", "-n", namespace, "list", "-aq")
            for release in listed.stdout.split():
                await self.command("helm", "-n", namespace, "uninstall", release)
        for namespace in self.namespaces:
            await asyncio.to_thread(self.api.delete, "namespaces", namespace)

    async def explain(self, namespace):
        """Writes events, descriptions and logs of a namespace into the case's folder."""
        folder = self.folder / namespace
        folder.mkdir(exist_ok=True)
        for name, argv in (("all", ["get", "all,pvc,configmaps", "-o", "wide"]),
                           ("events", ["get", "events", "--sort-by=.lastTimestamp"]),
                           ("describe", ["describe", "pods"]),
                           ("pods.yaml", ["get", "pods", "-o", "yaml"])):
            done = await self.try_kubectl(*argv, namespace=namespace, timeout_s=30)
            (folder / name).write_text(done.stdout + done.stderr)
        for pod in await self.list("pods", namespace=namespace):
            spec = pod["spec"]
            for c in spec.get("initContainers", []) + spec["containers"]:
                await self.keep_logs(folder, namespace, pod["metadata"]["name"], c["name"])

    async def keep_logs(self, folder, namespace, pod, container):
        for previous, ending in ((False, ".log"), (True, ".previous.log")):
            with contextlib.suppress(api.Refused, OSError):
                text = await self.logs(pod, container, namespace, previous)
                (folder / f"{pod}.{container}{ending}").write_text(text)


def good(done):
    if done.code:
        raise CommandFailed(done)
    return done


async def attach(folder, case, labels=None):
    """A Cluster for a case; the process enters the node's network."""
    if not lifecycle.current():
        raise LookupError("no cluster is up; ./dev cluster up starts one")
    api.enter_network()
    return await Cluster(folder, case).open(labels)

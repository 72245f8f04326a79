"""One scenario of test/e2e/ or test/k8s/: an `async def test_…(env)` in a process of its own.

The runner calls this file; by hand:
  python3 test/support/scenario.py test/e2e/test_x.py test_y --folder /tmp/y
Those of test/k8s/ want a cluster that is up: ./dev cluster up."""

import argparse
import asyncio
import dataclasses
import importlib.util
import os
import pathlib
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for place in (HERE, ROOT / "tools", ROOT / "test" / "k8s"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
# Scenarios import this file as "scenario", however it was started.
sys.modules.setdefault("scenario", sys.modules[__name__])


K8S = ROOT / "test" / "k8s"
LEAVE_S = 60


@dataclasses.dataclass
class Settings:
    timeout_s: float = 120
    alone: bool = False
    last: bool = False  # of all, and alone: it leaves another cluster behind
    # SQMQOS_TEST_BUILD=release runs what needs no fault points on hardened programs.
    build: str = os.environ.get("SQMQOS_TEST_BUILD", "debug")


class Skip(Exception):
    """Raised where a scenario cannot run here; says why."""


def scenario(**settings):
    """Decorates a scenario that needs other settings than the defaults."""
    def mark(function):
        function.settings = Settings(**settings)
        return function
    return mark


def load(path):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scenarios(path):
    """{name: Settings} of the scenarios in a file."""
    return {name[5:]: getattr(function, "settings", Settings())
            for name, function in vars(load(path)).items()
            if name.startswith("test_") and callable(function)}


def sanitizer_environment(folder):
    """Makes every program report into folder/san.PID, also where stderr is lost."""
    log = f"log_path={folder}/san"
    return {
        "ASAN_OPTIONS": f"{log}:detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1",
        "UBSAN_OPTIONS": f"{log}:print_stacktrace=1",
        "TSAN_OPTIONS": f"{log}:halt_on_error=1",
    }


def sanitizer_reports(folder):
    """The text of each report below 'folder'."""
    reports = []
    for p in sorted(pathlib.Path(folder).rglob("san.*")):
        text = p.read_text(errors="replace")
        if "ERROR:" in text or "runtime error:" in text or "SUMMARY:" in text:
            reports.append(text)  # else it is a remark, as on a missing symbolizer
    for p in sorted(pathlib.Path(folder).rglob("*.log")):
        text = p.read_text(errors="replace")
        if any(mark in text for mark in ("Sanitizer:", "runtime error:", "assertion failed",
                                         "Assertion `")):
            reports.append(f"{p.name}:\n{text[-4000:]}")
    return reports


class Env:
    """What a scenario gets: makes stacks and clients, and ends them."""

    def __init__(self, folder, settings, name="scenario"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.settings = settings
        self.stacks = []
        self.clusters = []
        self.clients = []
        self.tasks = []
        self.processes = []
        self.check_leftovers = True

    async def stack(self, start=True, **options):
        """A broker and sidecars, started and ready; see cluster.Stack."""
        import cluster
        name = "stack" + (f"-{len(self.stacks) + 1}" if self.stacks else "")
        made = cluster.Stack(self.folder / name, ROOT / "build" / self.settings.build, **options)
        self.stacks.append(made)
        return await made.start() if start else made

    async def cluster(self, labels=None):
        """The Kubernetes cluster, with a namespace of the scenario's own that has these
        labels; see harness.handle.Cluster.  From here on the process is in its network."""
        from harness import handle
        made = await handle.attach(self.folder, self.name, labels)
        self.clusters.append(made)
        return made

    def client(self, client_id, version=5, ack="auto"):
        """A client that is not connected yet."""
        import mqtt
        made = mqtt.Client(client_id, version, ack)
        self.clients.append(made)
        return made

    async def connect(self, port, client_id, version=5, ack="auto", **options):
        made = self.client(client_id, version, ack)
        connack = await made.connect(port, **options)
        assert connack.code == 0, f"{client_id}: CONNACK 0x{connack.code:02x}"
        return made

    def spawn(self, coroutine):
        """A task that ends with the scenario; if it fails, so does the scenario."""
        task = asyncio.create_task(coroutine)
        self.tasks.append(task)
        return task

    async def finish(self, failed):
        problems = []
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception():
                problems.append(f"task: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        for client in self.clients:
            problems += [f"{client.client_id}: {e}" for e in client.errors]
            try:
                await asyncio.wait_for(client.disconnect(), 5)
            except (OSError, asyncio.TimeoutError):
                client.abort()
        for stack in self.stacks:
            try:
                if not failed and self.check_leftovers:
                    await stack.nothing_left()
            except AssertionError as e:
                problems.append(str(e))
            try:
                await stack.stop()
            except AssertionError as e:
                problems.append(str(e))
        for made in self.clusters:
            try:
                await made.finish(failed or bool(problems))
            except Exception as e:
                problems.append(f"the cluster's handle: {e!r}")
        return problems


async def perform(function, folder):
    env = Env(folder, getattr(function, "settings", Settings()), function.__name__[5:])
    failure = None
    try:
        # What has a cluster to tidy and logs of pods to keep ends by itself in time; the
        # runner grants LEAVE_S more.
        limit = env.settings.timeout_s if K8S in pathlib.Path(function.__code__.co_filename).parents \
            else None
        await asyncio.wait_for(function(env), limit)
    except Skip as e:
        print(e)
        failure = e
    except BaseException as e:
        failure = e
        traceback.print_exc()
    problems = await env.finish(failure is not None)
    problems += sanitizer_reports(folder)
    for problem in problems:
        print(problem)
    if isinstance(failure, Skip) and not problems:
        return 77
    if failure or problems:
        for made in env.clusters:
            print(f"--- of the pods: {', '.join(str(made.folder / n) for n in made.namespaces)}")
        for stack in env.stacks:
            for program in stack.programs:
                tail = "\n".join(stack.log(program).splitlines()[-12:]) \
                    if program.log_path.exists() else ""
                print(f"--- end of {program.log_path}\n{tail}")
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("name")
    parser.add_argument("--folder", required=True)
    args = parser.parse_args()
    folder = pathlib.Path(args.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(sanitizer_environment(folder))
    module = load(args.file)
    name = args.name if args.name.startswith("test_") else f"test_{args.name}"
    sys.exit(asyncio.run(perform(getattr(module, name), folder)))


if __name__ == "__main__":
    main()

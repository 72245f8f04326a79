"""./dev bench --k8s: what a sidecar costs a pod, and how long things take on a real cluster.

On the machine's cluster (./dev cluster up), with the images of this tree, in a release
apart that is removed at the end.  Each figure is the median of its rounds."""

import argparse
import asyncio
import json
import pathlib
import signal
import statistics
import sys
import tempfile
import time

import table
from report import command_line, interrupt, say

ROOT = pathlib.Path(__file__).resolve().parent.parent
for place in ("test/support", "test/k8s"):
    sys.path.insert(0, str(ROOT / place))
import release  # noqa: E402
from cluster import eventually  # noqa: E402
from harness import handle, images, lifecycle  # noqa: E402
from harness.api import path_of  # noqa: E402

TITLE = "## On Kubernetes"
EVERY_S = 0.02
SETTLE_S = 10
# Name, title, unit, goal or what it was when sidecars were first tried on this cluster.
ROWS = (
    ("anonymous", "idle injected sidecar, anonymous, MB", "at most 1.6"),
    ("working_set", "idle injected sidecar, working set, MB", "at most 2.5"),
    ("ready_with", "pod created to Ready, with a sidecar, s", "first tried: 3.0"),
    ("ready_without", "pod created to Ready, without, s", "first tried: 1.0"),
    ("edit", "annotation edited to binding in place, s", "first tried: 1.0"),
    ("relink", "broker's pod deleted to first link up again, s", "first tried: 3 to 5"),
)


def parse(argv):
    p = argparse.ArgumentParser(
        prog="./dev bench --k8s", description="Measures sidecars on the machine's Kubernetes "
        "cluster (./dev cluster up): memory by control group, and how long a pod, an edit of "
        "an annotation and a broker's restart take. Prints a table of medians.")
    p.add_argument("--k8s", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (5)")
    p.add_argument("--markdown", metavar="FILE",
                   help=f'put the table into FILE as its part "{TITLE[3:]}", as docs/benchmarks.md')
    p.add_argument("--json", metavar="FILE", help="write every single figure there")
    return p.parse_args(argv)


def pod(k8s, name, **labels):
    """A pod that only sleeps; with a sidecar it is ready when its subscription is in place."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels,
                         "annotations": {"sqmqos.io/subscribe": "orders/#"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                {"name": "app", "image": k8s.client_image, "imagePullPolicy": "Never",
                 "command": ["sleep", "infinity"]}]}}


class Bench:
    def __init__(self, k8s, name, system):
        self.k8s = k8s
        self.name = name
        self.system = system
        self.figures = {row[0]: [] for row in ROWS}

    def took(self, what, began):
        self.figures[what].append(time.monotonic() - began)

    async def sidecar(self, tree):
        """The metrics of a pod's sidecar; {} while it does not answer."""
        try:
            return await release.scrape(self.k8s, tree, 7481)
        except OSError:
            return {}

    async def when(self, tree, check, what):
        async def look():
            return check(await self.sidecar(tree))
        await eventually(look, what, 60, EVERY_S)

    async def until_ready(self, what, n, **labels):
        """Creates a pod and awaits that it is Ready; returns it."""
        name = f"{what.replace('_', '-')}-{n}"
        tree = pod(self.k8s, name, **labels)
        began = time.monotonic()
        await asyncio.to_thread(self.k8s.api.create, "pods", tree, self.k8s.namespace)

        async def ready():
            nonlocal tree
            tree = await self.k8s.get("pods", name)
            return handle.condition_true(tree, "Ready")
        await eventually(ready, f"{name} is ready", 60, EVERY_S)
        self.took(what, began)
        return tree

    async def memory(self, tree):
        """Of a sidecar that has linked and has had time to come to rest."""
        await self.when(tree, lambda m: m.get("sqmqos_links", 0) >= 2, "it is linked")
        await asyncio.sleep(SETTLE_S)
        found = await self.k8s.memory(tree["metadata"]["name"], "sqmqos-sidecar")
        for what in ("anonymous", "working_set"):
            self.figures[what].append(found[what] / 1e6)

    async def edit(self, tree):
        in_place = 'sqmqos_declared_subscriptions{state="in-place"}'
        change = {"metadata": {"annotations": {"sqmqos.io/subscribe": "orders/#, returns/#"}}}
        path = path_of("pods", tree["metadata"]["name"], self.k8s.namespace)
        began = time.monotonic()
        await asyncio.to_thread(self.k8s.api.request, "PATCH", path, change,
                                "application/merge-patch+json")
        await self.when(tree, lambda m: m.get(in_place) == 2, "the binding is in place")
        self.took("edit", began)

    async def relink(self, tree):
        lost = (await self.sidecar(tree))["sqmqos_links_lost_total"]
        began = time.monotonic()
        await asyncio.to_thread(self.k8s.api.delete, "pods", f"{self.name}-broker-0", self.system)

        def again(m):
            return m.get("sqmqos_links", 0) >= 1 and m["sqmqos_links_lost_total"] >= lost + 2
        await self.when(tree, again, "it is linked to the broker's next pod")
        self.took("relink", began)
        await self.k8s.ready(f"{self.name}-broker-0", namespace=self.system)
        await self.when(tree, lambda m: m.get("sqmqos_links", 0) >= 2, "both links are up")

    async def round(self, n):
        tree = await self.until_ready("ready_with", n)
        await self.memory(tree)
        await self.edit(tree)
        await self.relink(tree)
        await self.until_ready("ready_without", n, **{"sqmqos.io/inject": "false"})
        for what in ("ready-with", "ready-without"):
            await self.k8s.delete("pods", f"{what}-{n}")

    def median(self, what):
        return statistics.median(self.figures[what])


async def measure(args, folder):
    if not lifecycle.current():
        raise LookupError("no cluster is up; ./dev cluster up starts one")
    name = release.unique("bench")
    k8s = await handle.attach(folder, "bench", {"sqmqos.io/inject": "true", release.APART: name})
    try:
        system = await k8s.make_namespace("bench-system")
        await k8s.load_programs()
        # The broker as the chart has it, but for the size of its volume.
        await release.install(k8s, name, system, release.apart(
            k8s, name, broker={"drainSeconds": 10}))
        bench = Bench(k8s, name, system)
        await bench.until_ready("ready_with", "first")  # brings files into the page cache
        await k8s.delete("pods", "ready-with-first")
        bench.figures["ready_with"].clear()
        for n in range(args.rounds):
            say(f"round {n + 1} of {args.rounds}")
            await bench.round(n)
        return bench
    finally:
        await k8s.finish(False)


def lines(bench, args, command, minutes):
    rows = [["measure", "median", "least", "most", "to compare"]]
    for what, title, goal in ROWS:
        seen = bench.figures[what]
        rows.append([title, *map(table.number, (bench.median(what), min(seen), max(seen))), goal])
    about = [f"    {command}", "",
             f"{args.rounds} rounds, {minutes:.1f} minutes. Machine: {table.machine(False)}; the "
             "cluster of `./dev cluster`, one node, real kubelet and containerd.", "",
             "Memory is the sidecar's control group, ten seconds after its links are up: working "
             "set is what kubelet reports and counts against the limit. Kubelet looks at probes "
             "once a second, so a pod with a sidecar (init container, startup probe, readiness) "
             "takes steps of a second. A broker's pod that is deleted drains, ends, and is made "
             "anew by its StatefulSet before it can be dialled.", ""]
    return about, rows


def markdown(about, rows):
    out = [TITLE, "", *about, "| " + " | ".join(rows[0]) + " |",
           "|---|" + "---:|" * (len(rows[0]) - 2) + "---|"]
    return "\n".join(out + ["| " + " | ".join(row) + " |" for row in rows[1:]]) + "\n"


def text(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0])] + [
        c.rjust(w) for c, w in zip(row[1:], widths[1:])]) for row in rows)


def main(argv):
    args = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sqmqos-bench-") as folder:
        try:
            bench = asyncio.run(measure(args, folder))
        except LookupError as e:
            say(str(e))
            return 1
        except KeyboardInterrupt:
            say("interrupted: everything is ended")
            return 130
    command = command_line(argv)
    about, rows = lines(bench, args, command, (time.monotonic() - began) / 60)
    print(text(rows))
    if args.markdown:
        table.write_part(pathlib.Path(args.markdown), TITLE, markdown(about, rows))
        say(f"wrote {args.markdown}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(bench.figures, indent=1) + "\n")
    return 0

"""Runs the tests; ./dev test calls it after everything is built.

A job is one process: a Criterion program (many tests), a model script, a fuzz
target for some seconds, or one scenario of test/e2e/ or test/k8s/.  Those of k8s/ come
last, on one cluster that is started for all of them.  Whatever it runs with
sanitizers reports into the job's folder; a report there fails the job.

At least as many jobs run at a time as there are cores, and up to MOST times as many while a
good part of a core has nothing to do: most jobs of e2e/ and k8s/ wait for half of their time.

A few jobs that fail beside others are run a second time, alone, and listed as unsteady where
they then pass: the run passes, and somebody has a fault to find.  What a sanitizer reports, and
a program that ends by itself, is not looked at twice."""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build"
WORK = BUILD / "test"
sys.path[:0] = [str(ROOT / "tools"), str(HERE / "support")]

import scenario  # noqa: E402

FUZZ_SECONDS = 3  # ./dev fuzz takes longer
TIMEOUT_S = {"unit": 300, "contract": 300, "model": 900, "fuzz": FUZZ_SECONDS + 60}
SKIPPED = 77  # exit code of a job that could not run here
K8S_MORE = 1   # cases at a time beside one per worker: a case mostly waits
MOST = 2       # times as many jobs as workers, while the machine idles
LOOK_S = 0.4   # what a job that has just been started shows in
IDLE = 0.5     # of a core that has nothing to do takes another job
UNSTEADY = 3   # jobs of a run that are run a second time, at most
STEADY_KINDS = ("model", "fuzz", "torture")  # whose failures are never of the load beside them
ITSELF = r"(?<!SIGKILL) by itself"  # fault points end by SIGKILL
TAP = re.compile(r"^(ok|not ok) - (\S+)(.*)$")


@dataclasses.dataclass
class Job:
    name: str
    kind: str
    argv: list
    cwd: pathlib.Path = ROOT
    timeout_s: float = 120
    alone: bool = False  # takes the machine to itself
    last: bool = False   # comes after all others
    cases: list = None   # Criterion: the tests of this program

    def folder(self):
        return WORK / re.sub(r"[^A-Za-z0-9_.-]+", "-", self.name)


@dataclasses.dataclass
class Result:
    name: str
    outcome: str  # "passed", "failed", "skipped"
    seconds: float = 0.0
    detail: str = ""
    reported: bool = False  # by a sanitizer


# ---- what there is to run

def ctest_jobs(preset):
    """The programs that CMake declares as tests in build/PRESET."""
    shown = subprocess.run(["ctest", "--test-dir", str(BUILD / preset), "--show-only=json-v1"],
                           capture_output=True, text=True, check=True)
    for test in json.loads(shown.stdout)["tests"]:
        kind = test["name"].split("/")[0]
        if "command" in test:
            yield Job(test["name"], kind, test["command"], timeout_s=TIMEOUT_S[kind])


def criterion_cases(job):
    """Names of the tests in a Criterion program."""
    listing = subprocess.run([job.argv[0], "--list", "--ascii"], capture_output=True, text=True,
                             timeout=60)
    suite, cases = "", []
    for line in listing.stdout.splitlines():
        if head := re.match(r"^(\S+): \d+ tests?$", line):
            suite = head[1]
        elif case := re.match(r"^[|`]-- (\S+)", line):
            cases.append(f"{suite}::{case[1]}")
    return cases


def model_jobs():
    """One for all checks of a model, one after the other."""
    script = HERE / "model" / "run.sh"
    checks = subprocess.run([script, "--list"], capture_output=True, text=True, check=True)
    for model in dict.fromkeys(check.split("/")[0] for check in checks.stdout.split()):
        yield Job(f"model/{model}", "model", [str(script), "--jobs", "1", f"{model}/"],
                  timeout_s=TIMEOUT_S["model"])


def torture_jobs():
    """What the torture harness is made of, and a short run of it."""
    for path in sorted((HERE / "torture").glob("test_*.py")):
        yield Job(f"torture/{path.stem[5:]}", "torture", [sys.executable, str(path)])
    for name, more in (("short", []), ("log", ["--shared", "--log"]),
                       ("shared", ["--shared"]), ("bridges", ["--bridges"])):
        job = Job(f"torture/{name}", "torture", [], timeout_s=400)
        job.argv = [sys.executable, str(HERE / "torture" / "run.py"), "--preset", "debug",
                    "--folder", str(job.folder()), "--short", *more]
        yield job


def scenario_jobs(kind):
    for path in sorted((HERE / kind).glob("test_*.py")):
        for name, settings in scenario.scenarios(path).items():
            timeout_s = settings.timeout_s + (scenario.LEAVE_S if kind == "k8s" else 0)
            job = Job(f"{kind}/{path.stem[5:]}/{name}", kind, [], timeout_s=timeout_s,
                      alone=settings.alone or settings.last, last=settings.last)
            job.argv = [sys.executable, str(HERE / "support" / "scenario.py"), str(path), name,
                        "--folder", str(job.folder())]
            yield job


def compat_jobs():
    """The whole matrix of docs/compatibility.md."""
    yield from (job for job in scenario_jobs("e2e") if job.name.startswith("e2e/compatibility/"))
    for job in scenario_jobs("compat"):
        if os.geteuid() == 0 or not job.name.startswith("compat/arm64/"):  # images need root
            yield job


def criterion_jobs(pattern):
    """Programs of unit/ and contract/.  Each is asked for its cases: none, where the pattern
    begins with the name of another kind."""
    jobs = [j for j in ctest_jobs("debug") if j.kind in ("unit", "contract")]
    if not re.match(r"\^?(e2e|fuzz|k8s|model|torture)/[^|]*$", pattern.pattern):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for job, cases in zip(jobs, pool.map(criterion_cases, jobs)):
                job.cases = cases
        yield from jobs


def all_jobs(pattern):
    yield from criterion_jobs(pattern)
    yield from model_jobs()
    for job in ctest_jobs("fuzz"):
        if job.kind == "fuzz":
            # A crash ends with 77 by default, as what could not run does.
            job.argv[1:1] = [f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-verbosity=0",
                             "-error_exitcode=1",
                             "-print_final_stats=0", f"-artifact_prefix={job.folder()}/",
                             str(job.folder())]
            yield job
    yield from torture_jobs()
    yield from scenario_jobs("e2e")
    yield from scenario_jobs("k8s")


def case_name(job, case):
    return f"{job.name}::{case}"


def select(jobs, pattern):
    """The jobs that match; of Criterion programs, with the matching cases."""
    for job in jobs:
        if pattern.search(job.name):
            yield job
        elif job.cases:
            chosen = [c for c in job.cases if pattern.search(case_name(job, c))]
            if chosen:
                # Criterion's patterns are globs, and braces give alternatives.
                glob = chosen[0].replace("::", "/") if len(chosen) == 1 else \
                    "@(" + "|".join(c.replace("::", "/") for c in chosen) + ")"
                job.cases = chosen
                job.argv.append(f"--filter={glob}")
                yield job


# ---- running one

class Running:
    """Process groups that must end when the run is interrupted."""

    def __init__(self):
        self.lock = threading.Lock()
        self.groups = set()
        self.stopped = False

    def add(self, pid):
        with self.lock:
            self.groups.add(pid)
            if self.stopped:
                os.killpg(pid, signal.SIGKILL)

    def remove(self, pid):
        with self.lock:
            self.groups.discard(pid)

    def stop(self):
        with self.lock:
            self.stopped = True
            for pid in self.groups:
                os.killpg(pid, signal.SIGKILL)


running = Running()


def execute(job):
    """(exit code or None after a time-out, output) of the job's process."""
    folder = job.folder()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    env = os.environ | scenario.sanitizer_environment(folder)
    argv = job.argv + ["--tap=-", "--quiet"] if job.cases else job.argv
    with open(folder / "output", "w+b") as out:
        child = subprocess.Popen(argv, cwd=job.cwd, env=env, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        running.add(child.pid)
        try:
            code = child.wait(job.timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(child.pid, signal.SIGKILL)  # whoever outlived its parent
        except ProcessLookupError:
            pass
        child.wait()
        running.remove(child.pid)
        out.seek(0)
        return code, out.read().decode("utf-8", "replace")


def criterion_results(job, code, output):
    results, seen = [], set()
    lines = output.splitlines()
    for i, line in enumerate(lines):
        tap = TAP.match(line)
        if not tap or tap[2] not in job.cases:
            continue
        seen.add(tap[2])
        outcome = "failed" if tap[1] == "not ok" else "passed"
        if "# SKIP" in tap[3]:
            outcome = "skipped"
        detail = []
        for more in lines[i + 1:]:
            if TAP.match(more) or more.startswith("#"):
                break
            detail.append(more)
        results.append(Result(case_name(job, tap[2]), outcome,
                              detail="\n".join(detail) if outcome == "failed" else tap[3].strip()))
    for case in job.cases:
        if case not in seen:
            results.append(Result(case_name(job, case), "failed", detail="did not run\n" +
                                  output[-2000:]))
    if code != 0 and all(r.outcome != "failed" for r in results):
        results.append(Result(job.name, "failed", detail=ending(job, code) + output[-2000:]))
    return results


def cut_middle(text, head=3000, tail=3000):
    if len(text) <= head + tail:
        return text
    return f"{text[:head]}\n… {len(text) - head - tail} more …\n{text[-tail:]}"


def ending(job, code):
    if code is None:
        return f"not finished after {job.timeout_s:g} s\n"
    return f"ended by signal {-code}\n" if code < 0 else f"exit code {code}\n"


def run_job(job):
    started = time.monotonic()
    code, output = execute(job)
    if job.cases:
        results = criterion_results(job, code, output)
    elif code == 0:
        results = [Result(job.name, "passed")]
    elif code == SKIPPED:
        results = [Result(job.name, "skipped", detail=output.strip()[-300:])]
    else:
        results = [Result(job.name, "failed", detail=ending(job, code) + cut_middle(output))]
    for report in scenario.sanitizer_reports(job.folder()):
        if all(r.outcome != "failed" for r in results):
            results.append(Result(job.name, "failed"))
        first = next(r for r in results if r.outcome == "failed")
        first.detail += "\n" + report[:4000]
        first.reported = True
    results[0].seconds = time.monotonic() - started
    return results


# ---- the cluster of k8s/

def harness(*words):
    """Runs a verb of test/k8s/harness for this process, in a session of its own: Ctrl-C is
    for this process, which ends a cluster in any case."""
    env = os.environ | {"PYTHONPATH": str(HERE / "k8s"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([sys.executable, "-m", "harness", *words, str(os.getpid())], env=env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def build_binaries(jobs):
    """Builds Kubernetes and helm, once for this machine, where one of the jobs needs them."""
    wanted = any(j.kind == "k8s" or j.name.startswith("e2e/chart/") for j in jobs)
    if not wanted or os.geteuid() != 0:  # as nobody else there will be no cluster
        return
    child = harness("binaries")
    for line in child.stderr:
        print(line.rstrip(), flush=True)
    child.wait()  # without them, the cases say that they can't run, or fail


def start_cluster():
    """(outcome for all cases or None, why) once there is a cluster or there can be none."""
    child = harness("acquire")
    said = []
    try:
        for line in child.stderr:
            print(line.rstrip(), flush=True)
            said.append(line)
        child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if child.returncode == 0:
        return None, ""
    return "skipped" if child.returncode == SKIPPED else "failed", "".join(said[-20:]).strip()


def end_cluster():
    """Ends it where it is this run's own; one that is kept for people stays."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it takes a second, and must be done
    child = harness("release")
    _, said = child.communicate()
    if child.returncode:
        print(said.rstrip(), file=sys.stderr, flush=True)


# ---- the run

class Idle:
    """What the machine's cores have left, since somebody looked last."""

    def __init__(self):
        self.seen = self.read()

    def read(self):
        """(seconds, seconds of all cores without work); None where it can't be known."""
        try:
            words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
        except OSError:
            return None
        waits = int(words[4]) + int(words[5])  # for a disk, too
        return time.monotonic(), waits / os.sysconf("SC_CLK_TCK")

    def enough(self):
        """Whether one more job has room; it is known LOOK_S after the last look."""
        now = self.read()
        if now is None or now[0] - self.seen[0] < LOOK_S:
            return False
        took, cores = now[0] - self.seen[0], now[1] - self.seen[1]
        self.seen = now
        return took < 3 * LOOK_S and cores / took >= IDLE


class Progress:
    def __init__(self, total):
        self.total = total
        self.done = 0
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failed = []
        self.unsteady = []

    def take_again(self, job, results):
        """Whether a job that has failed is to be run a second time; its failure is shown."""
        failed = [r for r in results if r.outcome == "failed"]
        if not failed or job.alone or job.kind in STEADY_KINDS or \
                len(self.unsteady) == UNSTEADY or \
                any(r.reported or re.search(ITSELF, r.detail) for r in failed):
            return False
        self.unsteady.append(job.name)
        for r in failed:
            print(f"--- {r.name} failed, and is run again alone\n{r.detail.rstrip()}\n---",
                  flush=True)
        return True

    def take(self, job, results):
        self.done += 1
        outcomes = [r.outcome for r in results]
        for r in results:
            self.counts[r.outcome] += 1
        worst = next(o for o in ("failed", "passed", "skipped") if o in outcomes)
        tests = f", {len(results)} tests" if job.cases else ""
        print(f"[{self.done}/{self.total}] {worst:7} {job.name}"
              f" ({results[0].seconds:.1f} s{tests})", flush=True)
        for r in results:
            if r.outcome == "failed":
                self.failed.append(r.name)
                print(f"--- {r.name}\n{r.detail.rstrip()}\n---", flush=True)
            elif r.outcome == "skipped":
                print(f"    skipped {r.name}: {r.detail}", flush=True)


def run(jobs, workers, keep):
    progress = Progress(len(jobs))
    again = []

    def finish(job, results):
        if job not in again and progress.take_again(job, results):
            again.append(job)
            keep_first(job)
            return
        progress.take(job, results)
        if not keep and all(r.outcome != "failed" for r in results):
            shutil.rmtree(job.folder(), ignore_errors=True)

    def run_batch(batch, least, most):
        waiting, flying, idle = collections.deque(batch), {}, Idle()
        with concurrent.futures.ThreadPoolExecutor(most) as pool:
            try:
                while waiting or flying:
                    while waiting and (len(flying) < least or len(flying) < most and idle.enough()):
                        job = waiting.popleft()
                        flying[pool.submit(run_job, job)] = job
                    ended, _ = concurrent.futures.wait(
                        flying, LOOK_S if waiting else None, concurrent.futures.FIRST_COMPLETED)
                    for future in ended:
                        finish(flying.pop(future), future.result())
            except BaseException:
                running.stop()
                raise

    def run_all(jobs, workers):
        for batch, least, most in batches_of(jobs, workers):
            run_batch(batch, least, most)
        run_batch([job for job in again if job in jobs], 1, 1)

    # Cases on the cluster await what others' load would delay: they come last, by themselves,
    # those that may take long first.
    k8s = sorted((j for j in jobs if j.kind == "k8s"), key=lambda j: -j.timeout_s)
    run_all([j for j in jobs if j.kind != "k8s"], workers)
    if k8s:
        try:
            outcome, why = start_cluster()
            if outcome is None:
                run_all(k8s, workers + K8S_MORE)
            for job in k8s if outcome else []:
                progress.take(job, [Result(job.name, outcome, detail=why)])
        finally:
            end_cluster()
    return progress


def keep_first(job):
    """The folder of a job's first run stays, beside that of the second."""
    first = job.folder().with_name(job.folder().name + "-first")
    shutil.rmtree(first, ignore_errors=True)
    job.folder().rename(first)


def batches_of(jobs, workers):
    """(jobs, how many at a time at least, and at most): those that take the machine to
    themselves come after."""
    alone = sorted((j for j in jobs if j.alone), key=lambda j: j.last)
    return ([j for j in jobs if not j.alone], workers, workers * MOST), (alone, 1, 1)


def stop(_number, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--compat", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("pattern", nargs="?", default="")
    args = parser.parse_args()
    try:
        pattern = re.compile(args.pattern)
    except re.error as e:
        parser.error(f"PATTERN is not a regular expression: {e}")
    jobs = list(select(compat_jobs() if args.compat else all_jobs(pattern), pattern))
    if args.list:
        for job in jobs:
            for name in [case_name(job, c) for c in job.cases] if job.cases else [job.name]:
                print(name)
        return 0
    signal.signal(signal.SIGTERM, stop)
    try:
        build_binaries(jobs)
        progress = run(jobs, max(1, args.jobs), args.keep)
    except KeyboardInterrupt:
        print("dev test: interrupted", file=sys.stderr)
        return 130
    if not jobs:
        print(f"dev test: no test matches '{args.pattern}'", file=sys.stderr)
    for name in progress.failed:
        print(f"failed: {name}")
    for name in progress.unsteady:
        print(f"unsteady: {name} failed beside others and was run again alone")
    counts = progress.counts
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if args.all and counts["skipped"]:
        print("dev test: --all, and some were skipped", file=sys.stderr)
        return 1
    return 0 if jobs and counts["failed"] == 0 else 1


sys.exit(main())

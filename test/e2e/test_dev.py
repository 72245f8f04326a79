"""The front door: ./dev run as a person meets it."""

import asyncio
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import clients
import pods
import stack as parts
import structure
from annotations import AnnotationsFile
from cluster import eventually
from devrun import DEV, children, dev_run, free_ports
from scenario import ROOT, Skip, scenario


async def test_every_verb_has_help(_env):
    for argv in (["--help"], *([verb, "--help"] for verb in
                               ("build", "run", "image", "deb", "test", "compat", "bench", "cluster", "fuzz",
                                "torture", "attack", "fmt", "lint", "structure", "site"))):
        done = await asyncio.to_thread(subprocess.run, [DEV, *argv], capture_output=True, text=True)
        assert done.returncode == 0 and "usage:" in done.stdout, (argv, done.stderr)
    for argv in ([], ["nonsense"], ["build", "nonsense"], ["fuzz", "soon"],
                 ["image", "nonsense"], ["site", "nonsense"], ["site", "--serve", "--serve"]):
        done = await asyncio.to_thread(subprocess.run, [DEV, *argv], capture_output=True, text=True)
        assert done.returncode == 2, argv


async def test_images_are_built_with_the_packages_that_a_build_needs(_env):
    """The Dockerfile has its own list, or every change of ./dev would install them anew."""
    dev = re.search(r"^build_packages=\(([^)]*)\)", (parts.ROOT / "dev").read_text(), re.M)[1].split()
    text = (parts.ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    image = re.search(r"--no-install-recommends ([^&]*)&&", text)[1].split()
    assert sorted(image) == sorted(dev)


async def test_every_folder_of_sources_is_formatted_and_linted(_env):
    """The list of ./dev has the rooms of tools/structure.py, which the build is held against."""
    listed = re.search(r"^source_folders\(\).*?for folder in ([^;]*);", (parts.ROOT / "dev").read_text(),
                       re.M | re.S)[1].split()
    assert sorted(listed) == sorted(structure.ROOMS)


@scenario(timeout_s=240)
async def test_run_says_how_to_publish_by_http(env):
    """What it prints works when it is pasted."""
    port, data = free_ports(1), env.folder / "data"
    for more in ([], ["--clear"]):
        run = await dev_run(env, "--port", port, "--sidecars", 1, "--data", data, *more)
        await run.ready()
        await eventually(lambda: any("Ctrl-C ends" in line for line in run.lines), "all is printed")
        assert (data / "api-token").stat().st_mode & 0o777 == 0o600 and (data / "ca.pem").exists()
        sub = await clients.mosquitto_sub(env, port, "hello/#")
        pasted = [line.strip() for line in run.lines if "/v1" in line and line.startswith("  curl")]
        assert len(pasted) == 3, run.lines
        for line in pasted:
            await clients.run(env, "bash", "-c", line, timeout_s=30)
        assert await sub.next() == ("hello/world", b"hi there", 1, False)
        if not more:
            assert await sub.next() == ("hello/once", b"once", 1, False)
        await sub.end()
        token = (data / "api-token").read_text().strip()
        assert token not in "".join(run.lines)
        env_file = (data / "env").read_text()
        assert f"API=http{'' if more else 's'}://127.0.0.1:" in env_file
        assert await run.end() == 0


@scenario(timeout_s=240)
async def test_run_serves_restarts_what_dies_and_leaves_only_its_folder(env):
    port, data = free_ports(2), env.folder / "data"
    run = await dev_run(env, "--port", port, "--data", data)
    ready = await run.ready()
    assert f":{port}" in ready and f":{port + 1}" in ready and "TLS 1.3" in ready
    await eventually(lambda: any("sqmqos top --admin http://127.0.0.1:" in line for line in run.lines),
                     "what shows its inside")
    sub = await clients.mosquitto_sub(env, port + 1, "hello/#")
    await clients.mosquitto_pub(env, port, "hello/world", b"hi")
    assert (await sub.next())[1] == b"hi"

    programs = {pid: args for pid, args in children(run.process.pid).items() if "sqmqos-" in args}
    assert len(programs) == 3, programs
    for kind in ("sidecar", "broker"):
        victim = next(pid for pid, args in programs.items() if f"sqmqos-{kind} " in args)
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: any("SIGKILL" in line and kind in line for line in run.lines),
                         f"a line that says so of the {kind}")
        await eventually(lambda: len([a for a in children(run.process.pid).values()
                                      if "sqmqos-" in a]) == 3, "it runs again")
    await sub.end()
    sub = await eventually(lambda: subscribe_again(env, port + 1), "a sidecar serves again", 30)
    await clients.mosquitto_pub(env, port, "hello/world", b"again")
    assert (await sub.next())[1] == b"again"
    await sub.end()

    processes = set(children(run.process.pid))
    assert await run.end() == 0, run.lines
    assert not [pid for pid in processes if pathlib.Path(f"/proc/{pid}").exists()]
    assert {p.name for p in env.folder.iterdir()} <= {"data", "output"}
    assert oct(data.stat().st_mode)[-3:] == "700"
    assert oct((data / "token").stat().st_mode)[-3:] == "600"
    # the same folder serves again
    run = await dev_run(env, "--port", port, "--data", data, "--clear", "--sidecars", 1)
    assert "in the clear" in await run.ready()
    assert await run.end(signal.SIGINT) == 0


async def subscribe_again(env, port):
    try:
        return await clients.mosquitto_sub(env, port, "hello/#")
    except AssertionError:
        return None


@scenario(timeout_s=180)
async def test_run_with_annotations(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#")
    port = free_ports(2)
    run = await dev_run(env, "--port", port, "--data", env.folder / "data", "--annotations",
                        file.path)
    await run.ready()
    app = await env.connect(port + 1, "app")
    publisher = await env.connect(port, "publisher")
    await publisher.publish("orders/1", b"x", 1)
    # one queue for the workload: the first client of either sidecar may get it
    await eventually(lambda: app.inbox or publisher.inbox, "it arrives without SUBSCRIBE")
    assert await run.end() == 0


@scenario(timeout_s=120)
async def test_run_refuses_in_one_sentence(env):
    file = env.folder / "file"
    file.write_text("x")
    number, many = env.folder / "number.yaml", env.folder / "many.yaml"
    number.write_text("example.com/n: 7\n")
    many.write_text("kind: Pod\nmetadata: {name: a}\n---\n"
                    "{kind: Deployment, metadata: {name: b}, spec: {template: {spec: {}}}}\n")
    full = env.folder / "full"
    full.mkdir()
    (full / "something").write_text("x")
    with socket.socket() as taken:
        port = free_ports(2) + 1
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        cases = [
            (["--port", port], 1, "in use"), (["--port", port - 1], 1, f"port {port} is in use"),
            (["--port", "0"], 2, "--port"), (["--port", "70000"], 2, "--port"),
            (["--port", "x"], 2, "--port"), (["--sidecars", "0"], 2, "--sidecars"),
            (["--nonsense"], 2, "--nonsense"), (["stray"], 2, "stray"),
            (["--data", file], 1, "not a folder"), (["--data", file / "below"], 1, "below"),
            (["--data", full], 1, "not empty"), (["--data", "/proc/x"], 1, "/proc/x"),
            (["--annotations", env.folder / "none"], 1, "none"),
            (["--annotations", "1=x"], 2, "no sidecar has port 1"),
            (["--annotations", many], 1, "Pod a, Deployment b"),
            (["--annotations", number], 1, "example.com/n is not text"),
            (["--set", "nonsense"], 2, "broker.queue.max-bytes=1Mi"),
            (["--set", "broker.admin.listen=:1"], 2, "chooses that itself"),
            (["--set", "sidecar.outbox.dir=/tmp"], 2, "DIR/outbox-PORT"),
            (["--set", "broker.log=info", "--set", "broker.log.level=info"], 2, "another --set"),
        ]
        free = str(free_ports(2))
        for argv, code, word in cases:
            if "--port" not in argv:
                argv = [*argv, "--port", free]
            done = await asyncio.to_thread(
                subprocess.run, [DEV, "run", *map(str, argv)], capture_output=True, text=True,
                timeout=60)
            lines = done.stderr.strip().splitlines()
            assert done.returncode == code and len(lines) == 1 and word in lines[0], \
                (argv, done.returncode, done.stderr)


@scenario(timeout_s=180)
async def test_two_runs_do_not_share_a_folder(env):
    port, other = free_ports(1), free_ports(1)
    data = env.folder / "data"
    run = await dev_run(env, "--port", port, "--data", data, "--sidecars", 1)
    await run.ready()
    done = await asyncio.to_thread(
        subprocess.run, [DEV, "run", "--port", str(other), "--sidecars", "1", "--data", str(data)],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.search(r"another \./dev run", done.stderr), done.stderr
    assert await run.end() == 0


def shell(data, *names):
    """What a shell has in these variables after it has read DIR/env."""
    script = '. "$0"; printf "%s\\n" ' + " ".join(f'"${name}"' for name in names)
    done = subprocess.run(["sh", "-eu", "-c", script, str(data / "env")], capture_output=True,
                          text=True, check=True)
    return done.stdout.splitlines()


NAMES = ("MQTT_PORTS", "RUN_PID", "BROKER_ADDRESS", "BROKER_ADMIN", "SIDECAR_1_ADMIN")


@scenario(timeout_s=240)
async def test_run_keeps_its_state(env):
    """A retained message and a durable session survive Ctrl-C and a new ./dev run, on
    another MQTT port, too."""
    data = env.folder / "a folder's data"
    port, other = free_ports(2), free_ports(1)
    run = await dev_run(env, "--port", port, "--data", data)
    await run.ready()
    first = shell(data, *NAMES)
    assert first[:2] == [f"{port} {port + 1}", str(run.process.pid)], first
    programs = children(run.process.pid)
    pids = [int(p) for p in shell(data, "BROKER_PID", "SIDECAR_1_PID", "SIDECAR_2_PID")]
    assert [p for p in pids if "sqmqos-" in programs[p]] == pids and len(set(pids)) == 3, programs
    os.kill(pids[1], signal.SIGKILL)
    await eventually(lambda: shell(data, "SIDECAR_1_PID")[0] not in ("", str(pids[1])),
                     "env follows a program that was started again")

    worker = await env.connect(port + 1, "worker", clean=False,
                               props={"session_expiry": 3600})
    await worker.subscribe(("orders/#", 1))
    await worker.disconnect()
    publisher = await env.connect(port + 1, "publisher")
    await publisher.publish("state", b"on", 1, retain=True)
    await publisher.publish("orders/1", b"an order", 1)
    await publisher.disconnect()
    log = (data / "broker.log").read_text()
    assert await run.end(signal.SIGINT) == 0
    assert shell(data, *NAMES) == [first[0], "", *first[2:]], "nothing runs, and all is kept"

    run = await dev_run(env, "--port", other, "--data", data, "--sidecars", 1, "--set",
                        "broker.log.level=debug", "--set", "sidecar.session.linger=5s")
    await run.ready()
    assert shell(data, *NAMES)[2:4] == first[2:4], "the broker's ports are kept"
    worker = await env.connect(other, "worker", clean=False,
                               props={"session_expiry": 3600})
    assert (await worker.receive()).payload == b"an order"
    await worker.subscribe(("state", 1))
    assert (await worker.receive()).payload == b"on"
    await worker.disconnect()
    assert (data / "broker.log.1").read_text().startswith(log), "the last run's log is there"
    assert " debug " in (data / "broker.log").read_text(), "--set has reached the broker"
    assert "linger: \"5s\"" in (data / f"sidecar-{other}.yaml").read_text()
    assert await run.end(signal.SIGINT) == 0

    # a kept port that somebody has by now is left to him
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(first[4].split(":")[1])))
        taken.listen(1)
        run = await dev_run(env, "--port", port, "--data", data)
        await run.ready()
        again = shell(data, *NAMES)
        assert again[2:4] == first[2:4] and again[4] != first[4], (first, again)
        assert any("is in use by now" in line for line in run.lines), run.lines
        assert await run.end() == 0


POD = """
apiVersion: v1
kind: Service
metadata: {name: shop, annotations: {sqmqos.io/subscribe: "not/this"}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations: {sqmqos.io/subscribe: "nor/this"}
spec:
  template:
    metadata:
      annotations:
        example.com/note: 'a "quoted" text'
        sqmqos.io/subscribe: |
          - filter: %s  # as people write it
            delivery: pod
    spec: {containers: []}
"""
MAP = """
sqmqos.io/subscribe: |
  - {filter: %s, delivery: pod}
"""


ANNOTATED = "{metadata: {annotations: {sqmqos.io/subscribe: a}}}"
MANIFESTS = [  # (YAML, its annotations or what is said against it)
    ("sqmqos.io/subscribe: a", {"sqmqos.io/subscribe": "a"}),
    ("    sqmqos.io/subscribe: |\n      - a\n", {"sqmqos.io/subscribe": "- a\n"}),
    ("annotations: {sqmqos.io/subscribe: a}", {"sqmqos.io/subscribe": "a"}),
    ("metadata: {name: x, annotations: {sqmqos.io/subscribe: a}}", {"sqmqos.io/subscribe": "a"}),
    ("{kind: Pod, metadata: {annotations: {sqmqos.io/subscribe: a}}}",
     {"sqmqos.io/subscribe": "a"}),
    ("{kind: Pod, metadata: {name: x}}", {}),
    ("{kind: StatefulSet, spec: {template: %s}}" % ANNOTATED, {"sqmqos.io/subscribe": "a"}),
    ("{kind: CronJob, spec: {jobTemplate: {spec: {template: %s}}}}" % ANNOTATED,
     {"sqmqos.io/subscribe": "a"}),
    ("{kind: List, items: [{kind: Service}, {kind: Job, spec: {template: %s}}]}" % ANNOTATED,
     {"sqmqos.io/subscribe": "a"}),
    ("{kind: Pod, metadata: {name: other}}\n---\n{kind: Job, spec: {template: %s}}" % ANNOTATED,
     {"sqmqos.io/subscribe": "a"}),
    ("kind: Service", "no pod"), ("---\n", "no pod"), ("- a\n- b\n", "neither"),
    ("word", "neither"), ("a: [", "line "), ("a: &x [*x]", "is not text"),
    ("sqmqos.io/subscribe: [a]", "is not text"), ("\0", "no YAML"),
]


async def test_annotations_are_found_in_what_people_have(_env):
    for text, expected in MANIFESTS:
        try:
            found = pods.annotations_of(text)
        except pods.Malformed as e:
            assert isinstance(expected, str) and expected in str(e), (text, e)
        else:
            assert found == expected, (text, found)
    assert pods.downward('a="b"\n') == 'a="b"\n' and pods.downward("") == ""
    assert pods.downward('a: b"c') == 'a="b\\"c"'


@scenario(timeout_s=240)
async def test_run_takes_yaml_annotations_for_each_sidecar(env):
    port, data = free_ports(2), env.folder / "data"
    pod, plain = env.folder / "pod=1.yaml", env.folder / "map.yaml"
    pod.write_text(POD % "orders/#")
    plain.write_text(MAP % "stock/#")
    run = await dev_run(env, "--port", port, "--data", data, "--annotations",
                        f"{port}={pod}", "--annotations", plain)
    await run.ready()
    first, second = await env.connect(port, "first"), await env.connect(port + 1, "second")

    async def publish_all():
        publisher = await env.connect(port, "publisher")
        for topic in ("orders/1", "stock/1", "edited/1", "not/this", "nor/this"):
            await publisher.publish(topic, b"x", 1)
        await publisher.disconnect()
    await publish_all()
    assert (await first.receive()).topic == "orders/1"
    assert (await second.receive()).topic == "stock/1"

    # an edit that can't be used is said, and changes nothing
    pod.write_text("kind: Pod\nmetadata: [\n")
    await eventually(lambda: any("stay as they were" in line and "pod=1.yaml" in line
                                 for line in run.lines), "a line about it")
    # a good one is followed
    pod.write_text(POD % "edited/#")
    log = data / f"sidecar-{port}.log"
    await eventually(lambda: "'edited/#' to group" in log.read_text(), "the sidecar follows")
    await eventually(lambda: log.read_text().count("in place, consumed") >= 2, "for its client")
    await publish_all()
    assert (await first.receive()).topic == "edited/1"
    assert (await second.receive()).topic == "stock/1"
    assert not first.inbox and not second.inbox
    kept = data / f"sidecar-{port}.annotations"
    assert abs(kept.stat().st_mtime - pod.stat().st_mtime) < 0.001, "as old as its source"
    before = kept.stat()
    assert await run.end() == 0
    run = await dev_run(env, "--port", port, "--data", data, "--annotations", f"{port}={pod}",
                        "--sidecars", 1)
    await run.ready()
    assert kept.stat().st_ino == before.st_ino, "what has not changed is not written"
    assert await run.end() == 0


@scenario(timeout_s=180)
async def test_run_has_a_directory_for_each_outbox(env):
    port, data, pod = free_ports(2), env.folder / "data", env.folder / "pod.yaml"
    pod.write_text("sqmqos.io/outbox: disk\n")
    run = await dev_run(env, "--port", port, "--data", data, "--annotations", pod)
    await run.ready()
    for p in (port, port + 1):
        assert list((data / f"outbox-{p}").glob("journal-*")), p
    assert await run.end() == 0


@scenario(timeout_s=120)
async def test_run_lets_the_programs_say_what_is_wrong_with_a_setting(env):
    for setting, words in (
            ("broker.queue.max-byts=1Mi", ("queue.max-byts", "did you mean queue.max-bytes")),
            ("sidecar.session.linger=soon", ("session.linger",)),
            ("sidecar.tls.ca-file=/nonexistent", ("tls.ca-file: /nonexistent: No such file",))):
        done = await asyncio.to_thread(
            subprocess.run, [DEV, "run", "--port", str(free_ports(1)), "--sidecars", "1", "--data",
                             str(env.folder / "data"), "--set", setting],
            capture_output=True, text=True, timeout=100)
        lines = [line for line in done.stderr.strip().splitlines()
                 if line != "dev: waiting for another build"]  # of a case beside this one
        assert done.returncode == 1 and len(lines) == 1, (setting, done.stderr)
        assert all(word in lines[0] for word in words), (setting, lines)


async def test_where_no_cluster_can_run_its_tests_are_skipped_and_all_fails(env):
    """As a user without rights: the reason is said, and --all makes it a failure."""
    runner = ROOT / "test" / "run.py"
    argv = [sys.executable, str(runner), "k8s/cluster/a_pod_runs"]
    if os.geteuid() == 0:  # in a user namespace that maps nobody
        argv = ["unshare", "--user", *argv]
        probe = await asyncio.to_thread(subprocess.run, [*argv[:2], "true"], capture_output=True)
        if probe.returncode:
            raise Skip("no user namespaces here")
    quiet = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(env.folder)}
    for more, code in ((), 0), (["--all"], 1):
        done = await asyncio.to_thread(subprocess.run, [*argv, *more], capture_output=True,
                                       text=True, env=quiet)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "it can't run here: needs root" in done.stdout, done.stdout
        assert done.stdout.endswith("0 passed, 0 failed, 1 skipped\n"), done.stdout

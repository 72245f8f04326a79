"""The command line: what it prints of manifests, where it says that they are wrong,
and how it ends. What it injects must be what a sidecar starts with."""

import asyncio
import json
import re
import subprocess

import stack as parts
import yaml
from scenario import scenario

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec:
  template:
    metadata:
      labels: {app: orders}
      annotations:
        sqmqos.io/subscribe: |
          - orders/#
    spec:
      containers:
      - name: app
        image: app:1
        args: ["0644", "yes", '1', "a\\nb\\n"]
"""
SERVICE = """\
# written by hand
apiVersion: v1
kind: Service
metadata: {name: "web"}   # and kept
"""


class Cli:
    def __init__(self, env):
        self.program = parts.ROOT / "build" / env.settings.build / "sqmqos"
        self.folder = env.folder

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    async def run(self, *argv, code=0, stdin=b"", cwd=None):
        """(stdout, stderr) of the program, which ends with 'code'."""
        done = await asyncio.to_thread(
            subprocess.run, [str(self.program), *map(str, argv)], capture_output=True, timeout=60,
            env=parts.clean_environment(), input=stdin, cwd=cwd or self.folder)
        out, error = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, (argv, done.returncode, out[-2000:], error[-2000:])
        return out, error

    async def injected(self, text, *argv):
        """The documents that inject makes of a text."""
        out, _ = await self.run("inject", "-f", "-", *argv, stdin=text.encode())
        return list(yaml.safe_load_all(out))


def sidecar(pod):
    first = pod["spec"]["initContainers"][0]
    assert first["name"] == "sqmqos-sidecar" and first["restartPolicy"] == "Always", first
    return first


async def test_inject_changes_pods_and_nothing_else(env):
    cli = Cli(env)
    out, error = await cli.run("inject", "-f", "-",
                               stdin=f"{SERVICE}---\n{DEPLOYMENT}---\n# empty\n".encode())
    assert out.startswith(SERVICE + "---\n"), out
    assert out.endswith("---\n# empty\n"), out
    assert "without --trust-bundle" in error
    made = list(yaml.safe_load_all(out))[1]
    template = made["spec"]["template"]
    sidecar(template)
    assert template["metadata"]["labels"]["sqmqos.io/sidecar"]
    app = template["spec"]["containers"][0]
    assert app["env"][0] == {"name": "SQMQOS_URL", "value": "mqtt://localhost:1883"}
    # all else is as it was
    was = yaml.safe_load(DEPLOYMENT)
    assert app["args"] == was["spec"]["template"]["spec"]["containers"][0]["args"]
    assert template["metadata"]["annotations"]["sqmqos.io/subscribe"] == "- orders/#\n"
    # once more: nothing changes, not even the text
    again, _ = await cli.run("inject", "-f", "-", stdin=out.encode())
    assert again == out


async def test_inject_takes_files_folders_lists_and_json(env):
    cli = Cli(env)
    made = yaml.safe_load(DEPLOYMENT)
    cli.file("many/a.yaml", DEPLOYMENT)
    cli.file("many/deep/b.yml", SERVICE)
    cli.file("many/deep/notes.txt", "{{ not yaml")
    cli.file("many/.hidden/c.yaml", "{{ not yaml")
    path = cli.file("list.json", json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(SERVICE), made]}))
    out, _ = await cli.run("inject", "-f", path)
    items = json.loads(out)["items"]
    assert items[0] == yaml.safe_load(SERVICE)
    sidecar(items[1]["spec"]["template"])
    out, _ = await cli.run("inject", "-f", cli.folder / "many", "-f", path)
    documents = list(yaml.safe_load_all(out))
    assert [d["kind"] for d in documents] == ["Deployment", "Service", "List"]
    assert documents[0]["spec"] == documents[2]["items"][1]["spec"]
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": made["spec"]}}}
    pod, = await cli.injected(yaml.safe_dump(cron))
    container = sidecar(pod["spec"]["jobTemplate"]["spec"]["template"])
    assert {"name": "SQMQOS_IDENTITY_WORKLOAD", "value": "nightly"} in container["env"]


async def test_inject_with_the_settings_of_an_installation(env):
    cli = Cli(env)
    values = cli.file("settings.yaml", "fullname: mine\nnamespace: mq\n"
                      "sidecar: {image: {registry: r.example}}\n")
    parts.write_certificates(cli.folder)
    made, = await cli.injected(DEPLOYMENT, "--values", values, "--trust-bundle",
                               cli.folder / "ca.pem")
    container = sidecar(made["spec"]["template"])
    assert container["image"].startswith("r.example/sqmqos/sidecar:")
    values = {e["name"]: e.get("value") for e in container["env"]}
    assert values["SQMQOS_BROKERS"] == "mine-broker.mq.svc.cluster.local:7443"
    assert values["SQMQOS_TLS_CA"] == (cli.folder / "ca.pem").read_text()
    bad = cli.file("bad.yaml", "fullname: a\nsidecar:\n  adminport: 1\n")
    _, error = await cli.run("inject", "-f", "-", "--values", bad, code=2)
    assert error == (f"sqmqos: {bad}:3: sidecar.adminport is unknown, "
                     "did you mean sidecar.adminPort?\n")
    _, error = await cli.run("inject", "-f", "-", "--trust-bundle", bad, code=2)
    assert error == f"sqmqos: {bad}: no certificate in PEM format in it\n"


async def test_a_pod_that_would_be_refused_is_not_printed(env):
    cli = Cli(env)
    text = DEPLOYMENT.replace("containers:", "hostNetwork: true\n      containers:")
    out, error = await cli.run("inject", "-f", "-", stdin=f"{SERVICE}---\n{text}".encode(), code=1)
    assert out == ""
    assert "-:17:7: spec.hostNetwork: a pod on the host's network" in error
    off = text.replace("{app: orders}", '{sqmqos.io/inject: "false"}')
    out, _ = await cli.run("inject", "-f", "-", stdin=off.encode())
    assert out == off


async def test_scale_makes_scaled_objects(env):
    cli = Cli(env)
    scaled = DEPLOYMENT.replace("- orders/#\n", """\
- orders/#
          - {filter: bills/#, group: "b x"}
          - {filter: more/#, group: "b x"}
          - {filter: news/#, delivery: pod}
          - {queue: billing}
        sqmqos.io/scale: "{min: 0, max: 20, per: 50}"
""").replace("{name: orders}", "{name: orders, namespace: shop}").replace(
        "{app: orders}", '{sqmqos.io/inject: "true"}')
    out, error = await cli.run("scale", "-f", "-", stdin=f"{SERVICE}---\n{scaled}".encode())
    made, = yaml.safe_load_all(out)
    assert error == "", error
    assert made["apiVersion"] == "keda.sh/v1alpha1" and made["kind"] == "ScaledObject"
    assert made["metadata"] == {"name": "orders", "namespace": "shop"}
    spec = made["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 20)
    # A trigger for each queue that pods share, and one for it alone.
    base = "http://sqmqos-broker.sqmqos-system.svc.cluster.local:9090/v1/backlog?"
    assert [t["metadata"]["url"] for t in spec["triggers"]] == [
        f"{base}space=shop&workload=orders&group=orders", f"{base}space=shop&workload=orders&group=b%20x",
        f"{base}space=shop&queue=billing"]
    for trigger in spec["triggers"]:
        assert trigger["type"] == "metrics-api"
        assert trigger["metadata"] == trigger["metadata"] | {
            "valueLocation": "backlog", "targetValue": "50", "authMode": "bearer"}
        assert trigger["authenticationRef"] == {"kind": "ClusterTriggerAuthentication", "name": "sqmqos"}
    # inject prints it behind its workload.
    workload, behind = await cli.injected(scaled)
    sidecar(workload["spec"]["template"])
    assert behind == made
    out, _ = await cli.run("explain", "-f", "-", stdin=scaled.encode())
    assert "0 to 20 pods, one for each 50 messages" in out, out


async def test_scale_says_what_it_lacks(env):
    cli = Cli(env)
    scaled = DEPLOYMENT.replace("- orders/#\n", "- orders/#\n        sqmqos.io/scale: 'max: 3'\n")
    for command in ("scale", "inject"):
        out, error = await cli.run(command, "-f", "-", stdin=scaled.encode(), code=1)
        assert out == "" and "-:1:1: a ScaledObject reads the backlog of a namespace" in error, error
    out, _ = await cli.run("scale", "-f", "-", "-n", "shop", stdin=scaled.encode())
    assert yaml.safe_load(out)["metadata"]["namespace"] == "shop"
    _, error = await cli.run("scale", "-f", "-", stdin=DEPLOYMENT.encode())
    assert "nothing there with sqmqos.io/scale" in error
    out, _ = await cli.run("lint", "-f", "-", stdin=scaled.replace("spec:\n", "spec:\n  replicas: 2\n", 1).encode())
    assert "-:5:3: warning: each apply sets it again" in out, out
    out, _ = await cli.run("lint", "-f", "-", stdin=scaled.replace("Deployment", "DaemonSet").encode())
    assert "a DaemonSet has no number of pods to change" in out, out


async def test_lint_says_file_line_and_column(env):
    cli = Cli(env)
    path = cli.file("bad.yaml", DEPLOYMENT.replace(
        "- orders/#", "- filter: orders/#\n            qos: 9\n          - a/#/b").replace(
        "      containers:", "      dnsPolicy: Default\n      containers:"))
    out, error = await cli.run("lint", "-f", path, code=1)
    assert error == ""
    assert out.splitlines()[:2] == [
        f"{path}:11:18: sqmqos.io/subscribe: qos must be 0, 1 or 2",
        f"{path}:12:13: sqmqos.io/subscribe: bad filter 'a/#/b': # must be the last character"]
    for line in out.splitlines()[2:]:
        assert re.match(re.escape(f"{path}:") + r"(9:9|14:7): warning: ", line), line
    # warnings alone are no problem
    path = cli.file("warned.yaml", DEPLOYMENT.replace("sqmqos.io/subscribe", "sqmqos.io/subscribes"))
    out, _ = await cli.run("lint", "-f", path)
    assert f"{path}:10:11: warning: sqmqos.io/subscribes" in out, out
    assert "did you mean sqmqos.io/subscribe?" in out
    out, _ = await cli.run("lint", "-f", cli.file("service.yaml", SERVICE))
    assert out == ""


async def test_what_is_not_yaml_is_said_with_its_place(env):
    cli = Cli(env)
    deep = b"[" * 5000
    for name, text, place in (("a", b"a: [\n", "2:1"), ("b", b"a: b\n\xff\n", "2:1"),
                              ("c", b"a: 1\nb: 2\na: 3\n", "3:1"), ("d", b'{"a": }}', "1:8"),
                              ("e", deep, "1:101"), ("f", b"a: *x\n", "1:4"),
                              ("g", bytes(range(256)), "1:1")):
        path = cli.file(name, text)
        for command in ("lint", "inject", "explain", "scale"):
            out, error = await cli.run(command, "-f", path, code=1)
            assert re.search(re.escape(f"{path}:") + place + ": .", out + error), (name, out, error)
    path = cli.file("large", b"a" * (8 << 20) + b"b")
    _, error = await cli.run("lint", "-f", path, code=2)
    assert error == f"sqmqos: {path}: more than 8 MiB\n"


async def test_options_that_are_wrong(env):
    cli = Cli(env)
    for argv, why in (((), "a command is missing"), (("lint",), "missing: FILE of a broker, or -f FILE of manifests"),
                      (("lint", "-f"), "a value is missing for -f"),
                      (("lint", "-x"), "unknown option -x"),
                      (("link", "-f", "x"), "unknown command link"),
                      (("queues",), "a command is missing: queues has ls, show, "),
                      (("queues", "lst"), "unknown command lst: queues has ls, show, "),
                      (("subscribers",), "a command is missing: subscribers has ls, show, pause, resume"),
                      (("quues", "ls"), "unknown command quues, did you mean queues?"),
                      (("queues", "show"), "missing: QUEUE"),
                      (("queues", "ls", "more"), "what is this: more"),
                      (("queues", "ls", "-f", "x"), "--filename is nothing for queues"),
                      (("queues", "ls", "--limit", "0"), "--limit is a number from 1 to 1000000, not 0"),
                      (("queues", "ls", "--limit", "9x"), "--limit is a number"),
                      (("explain", "more", "-f", "x"), "files are given by -f; what is this: more"),
                      (("lint", "more", "-f", "x"), "manifests are given by -f, and alone; what is this: more"),
                      (("lint", "-f", "missing"), "missing: No such file or directory")):
        out, error = await cli.run(*argv, code=2)
        assert out == "" and error.startswith(f"sqmqos: {why}"), (argv, error)
        assert error.count("\n") == 1, error
    out, _ = await cli.run("--version")
    assert re.fullmatch(r"sqmqos \d+\.\d+\.\d+\n", out)
    out, _ = await cli.run("--help")
    assert out.startswith("usage: sqmqos COMMAND [OPTION...]\n")
    for command in ("inject", "lint", "explain", "scale"):
        assert f"\n  {command} " in out


async def test_the_page_has_what_the_program_prints(env):
    cli = Cli(env)
    page = (parts.ROOT / "docs" / "cli.md").read_text()
    out, _ = await cli.run("lint", "-f", "docs/examples/mistakes.yaml", code=1, cwd=parts.ROOT)
    assert f"```text\n{out}```" in page, out
    out, _ = await cli.run("explain", "-f", "docs/examples/orders.yaml", cwd=parts.ROOT)
    assert f"```text\n{out}```" in page, out


async def test_explain_says_what_there_would_be(env):
    cli = Cli(env)
    text = DEPLOYMENT.replace("- orders/#\n", """\
- {filter: a, durable: false, overflow: drop-new}
          - {tag: red, group: crew, expiry: 36h, max-attempts: 1}
          - {filter: b, delivery: pod}
          - {filter: c/#, group: crew, max-length: 7}
          - {queue: billing, concurrency: 3}
        sqmqos.io/publish: |
          strict: true
          rules: [x/#, {filter: y, retain: true, ttl: 90s, tags: [t, u], delay: 1h},
                  {filter: z, order-key: {property: cart}}]
        sqmqos.io/outbox: "disk: 1Gi"
        sqmqos.io/outbox-claim: box
        sqmqos.io/port: "1884"
""")
    out, _ = await cli.run("explain", "-f", "-", "-n", "shop", stdin=text.encode())
    for line in ("Deployment shop/orders (-)", "mqtt://localhost:1884", "  queue orders, shared",
                 "takes a, delivered at QoS 1", "is not kept: it ends when no pod is there",
                 "when it is full new ones are dropped", "  queue crew, shared",
                 "takes messages with the tag red of #", "takes c/#, ", "for 36 hours",
                 "at most 7 messages wait", "fails 1 time goes to the dead letters",
                 "  the named queue billing: ", "3 unfinished at a pod at once",
                 "  z: in order for each value of its property cart",
                 "  a queue of each pod's own", "takes b, ", "  x/#: allowed as it is",
                 "  y: retained, with the tags t u, expires after 90 seconds, "
                 "delivered after 1 hour", "nothing else: other topics are refused",
                 "on the claim box, acknowledged as soon as they are synced there, at most 1Gi"):
        assert line in out, (line, out)
    assert out.count("  queue ") == 2, out
    text = DEPLOYMENT.replace("- orders/#\n", """\
strict: true
          allow: [state/#, b/+]
          subscriptions: [orders/#]
""")
    out, _ = await cli.run("explain", "-f", "-", stdin=text.encode())
    for line in ("takes orders/#, ", "  state/#: the app may subscribe to it, or to a part of it, "
                 "itself\n  b/+: ", "  nothing else: other subscriptions of the app, but to these "
                 "filters, are refused\n"):
        assert line in out, (line, out)
    bare = DEPLOYMENT.replace("- orders/#\n", "strict: true\n")
    out, _ = await cli.run("explain", "-f", "-", stdin=bare.encode())
    assert "Receives:\n  nothing: all subscriptions of the app are refused\nPublishes:" in out, out
    out, _ = await cli.run("explain", "-f", "-",
                           stdin=text.replace("allow: [state/#, b/+]", "allow: [a+]").encode(),
                           code=1)
    assert ":11:19: sqmqos.io/subscribe: bad filter 'a+'" in out, out
    _, error = await cli.run("explain", "-f", cli.file("service.yaml", SERVICE))
    assert error == "sqmqos: nothing there that makes pods\n"


@scenario(timeout_s=60)
async def test_a_sidecar_starts_with_what_is_injected(env):
    cli = Cli(env)
    parts.write_certificates(cli.folder)
    parts.write_token(cli.folder / "token")
    text = DEPLOYMENT.replace("- orders/#\n", '- orders/#\n        sqmqos.io/outbox: "disk: 1Mi"\n'
                              "        sqmqos.io/outbox-claim: box\n"
                              "        sqmqos.io/sidecar-log-level: debug\n")
    made, = await cli.injected(text, "--trust-bundle", cli.folder / "ca.pem")
    environment = parts.clean_environment()
    fields = {"metadata.namespace": "shop", "metadata.name": "orders-1", "spec.nodeName": "node"}
    for entry in sidecar(made["spec"]["template"])["env"]:
        value = entry.get("value")
        if value is None:
            value = fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        # the mounts
        for path in ("/var/run/sqmqos/pod", "/var/run/sqmqos/state", "/var/lib/sqmqos/outbox"):
            if value.startswith(path):
                local = cli.folder / "mounts" / path.lstrip("/")
                local.mkdir(parents=True, exist_ok=True)
                value = value.replace(path, str(local))
        environment[entry["name"]] = value
    (cli.folder / "mounts/var/run/sqmqos/pod/token").write_text("token\n")
    for key in ("subscribe", "publish", "client-id"):
        (cli.folder / "mounts/var/run/sqmqos/pod" / key).write_text("")
    environment["SQMQOS_ADMIN_LISTEN"] = f"*:{parts.free_port()}"
    environment["SQMQOS_LISTEN_PORT"] = str(parts.free_port())
    done = await asyncio.to_thread(
        subprocess.run, [cli.program.with_name("sqmqos-sidecar"), "--check-config"], text=True,
        capture_output=True, timeout=30, env=environment)
    assert done.returncode == 0, done.stderr

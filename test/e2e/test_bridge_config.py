"""The configuration of bridges: sqmqos lint, --check-config, and files of bridges.dir as they change."""

import asyncio
import re
import subprocess

import stack as parts
import view
from annotations import Volume
from cluster import eventually
from libcurl import Curl, Unanswered

GOOD = """\
bridges:
  jobs:
    space: shop
    kind: amqp
    url: amqps://127.0.0.1:5671
    credentials: {user-file: user, password-file: password}
    in: [{queue: jobs, to: "jobs/{key:/}"}]
"""
BROKER = "tls: {enabled: false}\nlisten: {address: \"127.0.0.1:0\"}\nstore: {dir: STORE}\n"
QUEUES = "shop:\n  billing:\n    bindings: [{filter: \"orders/#\"}]\n"


class Files:
    """Files, and programs that check them."""

    def __init__(self, env):
        self.programs = parts.ROOT / "build" / env.settings.build
        self.folder = env.folder

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    async def run(self, program, *argv, code=0, cwd=None):
        """(stdout, stderr) of a program, which ends with 'code'."""
        done = await asyncio.to_thread(subprocess.run, [str(self.programs / program), *map(str, argv)], capture_output=True, text=True,
                                       timeout=60, env=parts.clean_environment(), cwd=cwd or self.folder, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    async def lint(self, *paths, code=0, cwd=None):
        out, error = await self.run("sqmqos", "lint", *paths, code=code, cwd=cwd)
        assert error == "", error
        return out


async def test_lint_checks_files_by_what_they_are(env):
    files = Files(env)
    bridges, queues = files.write("bridges.yaml", GOOD), files.write("queues.yaml", QUEUES)
    broker = files.write("broker.yaml", "tls: {enabled: false}\nlisten: {address: \"127.0.0.1:7000\"}\n")
    out = await files.lint(bridges, queues, broker)
    assert out == (f"{bridges}: good, with 1 bridge\n{queues}: good, with 1 queue\n"
                   f"{broker}: good, as the configuration of a broker\n")


async def test_lint_has_a_line_for_each_fault(env):
    files = Files(env)
    faults = {
        "otu.yaml": (GOOD.replace(" in:", " inn:"), "7: bridges.jobs.inn: unknown key, did you mean bridges.*.in?"),
        "kind.yaml": (GOOD.replace("amqp\n", "sqs\n"), "3: bridges.jobs.url: sqs has no such thing"),
        "template.yaml": (GOOD.replace("{key:/}", "{kye}"),
                          "7: bridges.jobs.in[0].to: at byte 5: {kye}: unknown name, did you mean key?"),
        "loop.yaml": (GOOD + "    out: [{filter: \"#\", to: {key: jobs}}]\n",
                      "7: bridges.jobs.in[0].to: all that comes in would go back to where it came from, by out[0] ("),
        "queues.yaml": (QUEUES.replace("filter", "fitler"),
                        "3: shop.billing.bindings[0].fitler: unknown key, did you mean filter?"),
        "bridge-queue.yaml": ("shop:\n  bridge.jobs: {}\n", "2: shop.bridge.jobs: names that begin with bridge. are"),
        "broker.yaml": ("tls: {enabled: false}\nstore: {dirr: x}\n", "2: store.dirr: unknown key, did you mean store.dir?"),
    }
    paths = [files.write(name, text) for name, (text, _) in faults.items()]
    out = await files.lint(*paths, code=1)
    lines = out.splitlines()
    assert len(lines) == len(faults), out
    for line, path, (_, says) in zip(lines, paths, faults.values(), strict=True):
        assert line.startswith(f"{path}:{says}"), line
    out = await files.lint(files.write("tls.yaml", "listen: {address: \"127.0.0.1:1\"}\n"), code=1)
    assert out.endswith("tls.yaml: tls.cert-file: needed, or tls.enabled: false for clear text\n"), out


async def test_a_name_of_two_files_is_a_fault(env):
    files = Files(env)
    one, two = files.write("one.yaml", GOOD), files.write("two.yaml", "# again\n" + GOOD)
    out = await files.lint(one, two, code=1)
    assert out == f"{one}: good, with 1 bridge\n{two}:4: bridges.jobs: is declared at {one}:3, too\n"


async def test_a_file_that_can_not_be_read(env):
    files = Files(env)
    good = files.write("good.yaml", GOOD)
    out = await files.lint("missing.yaml", good, code=2)
    assert out == f"missing.yaml: No such file or directory\n{good}: good, with 1 bridge\n"
    out = await files.lint(files.write("large.yaml", b"#" * ((1 << 20) + 1)), code=2)
    assert "large.yaml: " in out and out.count("\n") == 1


async def test_the_files_of_the_pages_are_good(env):
    files = Files(env)
    blocks = [(page.name, block) for page in sorted((parts.ROOT / "docs").glob("*.md"))
              for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.M | re.S)
              if re.search(r"^bridges:$", block, re.M) and "declared:" not in block]
    assert any(name == "bridges.md" for name, _ in blocks)
    for i, (name, block) in enumerate(blocks):
        out = await files.lint(files.write(f"{i}-{name}.yaml", block))
        assert re.search(r": good, with \d+ bridge", out), (name, out)
    out = await files.lint("docs/examples/bridges.yaml", cwd=parts.ROOT)
    assert out == "docs/examples/bridges.yaml: good, with 2 bridges\n"


async def test_check_config_reads_the_folder_and_what_it_names(env):
    files = Files(env)
    config = files.write("broker.yaml", BROKER.replace("STORE", str(env.folder / "store")))
    folder = env.folder / "bridges"
    folder.mkdir()
    good = GOOD.replace("user-file: user", f"user-file: {folder}/user")
    good = good.replace("password-file: password", f"password-file: {folder}/password")
    for name in ("user", "password", "open"):
        (folder / name).write_text("guest")
        (folder / name).chmod(0o604 if name == "open" else 0o640)
    (folder / "a.yaml").write_text(good)
    check = ("sqmqos-broker", "--config", config, "--bridges.dir", folder, "--check-config")
    out, error = await files.run(*check)
    assert out.startswith("sqmqos-broker: the configuration is good") and error == "", (out, error)
    (folder / "b.yaml").write_text(good.replace("jobs:", "more:").replace("/password}", "/open}") +
                                   "    tls: {ca-file: /missing/ca.pem}\n")
    (folder / "c.yaml").write_text("bridges:\n  bad: {space: shop}\n")
    out, error = await files.run(*check, code=2)
    assert out == "", out
    lines = [line.removeprefix(f"sqmqos-broker: {folder}/") for line in error.splitlines()]
    assert lines[0] == "c.yaml:2: bridges.bad: needs kind", error
    assert lines[1] == "b.yaml:3: bridges.more.tls.ca-file: /missing/ca.pem: No such file or directory", error
    assert re.fullmatch(r"b.yaml:3: bridges.more.credentials.password-file: .*/open: .*", lines[2]), error
    assert len(lines) == 3, error


# --- while the broker runs ---

RUNNING = {"engine": "embedded", "session": {"grace": "1s", "recovery-time": "0s"}, "workers": 2}
SPACE = "default"
NOBODY = 0x10


class Peer:
    """Takes connections, and never says a word."""

    async def start(self):
        self.opened = self.ended = 0
        self.server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        self.url = f"amqp://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def take(self, reader, writer):
        self.opened += 1
        while await reader.read(4096):
            pass
        self.ended += 1
        writer.close()


class Bridges:
    """A folder of bridges to peers that are silent."""

    def __init__(self, env):
        self.folder = env.folder
        self.volume = Volume(env.folder / "bridges")
        for name in ("user", "password"):
            (env.folder / name).write_text("guest")
            (env.folder / name).chmod(0o640)

    def file(self, name, url, **more):
        return parts.yaml({"bridges": {name: {
            "space": SPACE, "kind": "amqp", "url": url,
            "credentials": {"user-file": str(self.folder / "user"), "password-file": str(self.folder / "password")},
            "out": [{"filter": f"{name}/#", "to": {"exchange": "e"}}]} | more}})

    async def begin(self, env, **broker):
        env.check_leftovers = False  # what waits for peers that are silent
        stack = await env.stack(start=False, tls=False, sidecars=1, broker=RUNNING | broker)
        stack.broker.tree["bridges"] = {"dir": str(self.volume.path)}
        await stack.start()
        return stack


def depth(stack, name):
    """Of a bridge's queue; None: there is none."""
    row = next((row for row in view.rows(stack.broker, "queues") if row["queue"] == f"queue~{SPACE}~bridge.{name}"), None)
    return row and row["depth"]


async def log_has(stack, text):
    await eventually(lambda: text in stack.log(stack.broker), f"the log says {text!r}")


def untouched(stack, name, peer):
    """A bridge whose peer is silent has its first connection, for as long as it waits for a word."""
    log = stack.log(stack.broker)
    assert f"bridge/{name} it is another one" not in log and f"bridge/{name} no file" not in log
    assert peer.opened == 1 or f"bridge/{name} out: the peer is away" in log


async def test_a_change_restarts_that_bridge_alone(env):
    a, b = await Peer().start(), await Peer().start()
    bridges = Bridges(env)
    files = {"a.yaml": bridges.file("a", a.url), "b.yaml": bridges.file("b", b.url)}
    bridges.volume.put(files)
    stack = await bridges.begin(env)
    await eventually(lambda: a.opened == b.opened == 1, "both peers are spoken to")
    app = await env.connect(stack.ports[0], "app")
    assert await app.publish("a/1", b"", qos=1) == 0
    await eventually(lambda: depth(stack, "a") == 1, "it waits for the peer")

    bridges.volume.put(files | {"b.yaml": "# says the same\n" + files["b.yaml"], "a.yaml": bridges.file("a", a.url, window=7)})
    await eventually(lambda: a.opened == 2 and a.ended == 1, "it has connected anew")
    await log_has(stack, "bridge/a it is another one")
    untouched(stack, "b", b)
    assert depth(stack, "a") == 1, "the queue stays with what is in it"


async def test_a_bad_file_keeps_its_bridges(env):
    a, b = await Peer().start(), await Peer().start()
    bridges = Bridges(env)
    bridges.volume.put({"a.yaml": bridges.file("a", a.url)})
    stack = await bridges.begin(env)
    app = await env.connect(stack.ports[0], "app")
    bad = bridges.file("a", a.url, wimdow=7)
    bridges.volume.put({"a.yaml": bad, "b.yaml": bridges.file("b", b.url)})
    await log_has(stack, "bridges.a.wimdow: unknown key, did you mean bridges.*.window?")
    await eventually(lambda: b.opened == 1, "the other file counts all the same")
    for name in ("a", "b"):
        assert await app.publish(f"{name}/1", b"", qos=1) == 0
        await eventually(lambda name=name: depth(stack, name) == 1, "its queue takes what comes")
    untouched(stack, "a", a)

    bridges.volume.put({"a.yaml": bad, "b.yaml": bridges.file("b", b.url), "c.yaml": bridges.file("b", a.url)})
    await log_has(stack, "c.yaml:3: bridges.b: is declared at ")
    untouched(stack, "b", b)


async def test_a_bridge_that_is_gone_from_the_files(env):
    a, b = await Peer().start(), await Peer().start()
    bridges = Bridges(env)
    bridges.volume.put({"a.yaml": bridges.file("a", a.url), "b.yaml": bridges.file("b", b.url)})
    stack = await bridges.begin(env)
    app = await env.connect(stack.ports[0], "app")
    assert await app.publish("a/1", b"", qos=1) == 0
    await eventually(lambda: depth(stack, "a") == 1 and depth(stack, "b") == 0, "both queues are there")
    bridges.volume.put({"a.yaml": "bridges: {}\n", "b.yaml": "bridges: {}\n"})
    await eventually(lambda: depth(stack, "b") is None, "a queue without messages ends")
    assert depth(stack, "a") == 1, "one with messages keeps them"
    assert await app.publish("a/2", b"", qos=1) == NOBODY
    bridges.volume.put({"a.yaml": bridges.file("a", a.url), "b.yaml": "bridges: {}\n"})
    await eventually(lambda: a.opened == 2, "it is there again")
    assert await app.publish("a/3", b"", qos=1) == 0
    await eventually(lambda: depth(stack, "a") == 2, "and goes on with its queue")


async def test_queues_of_bridges_are_there_before_anybody_publishes(env):
    """Also at the first start of a store, and after one whose files have changed meanwhile."""
    env.check_leftovers = False  # what waits for peers that are silent
    names = [f"b-{i}" for i in range(40)]
    peer = await Peer().start()
    bridges = Bridges(env)
    bridges.volume.put({f"{name}.yaml": bridges.file(name, peer.url, out=[{"filter": "first", "to": {"exchange": "e"}}])
                        for name in names})
    stack = await env.stack(start=False, tls=False, sidecars=0, broker=RUNNING)
    stack.broker.tree["bridges"] = {"dir": str(bridges.volume.path)}
    curl = Curl(f"http://127.0.0.1:{stack.broker_port}", "1.1", (stack.folder / "token").read_text().strip(), SPACE)

    def publish():
        try:
            return curl.ask("POST", "/v1/publish/first", b"at once")
        except Unanswered:  # it does not listen yet
            return None

    starting = asyncio.ensure_future(stack.start())
    answer = await eventually(publish, "a publish is answered")
    await starting
    assert answer.status == 200 and answer.json["matched"] == len(names), answer
    await stack.kill(stack.broker)
    bridges.volume.put({f"{name}.yaml": "bridges: {}\n" for name in names[1:]} | {
        f"{names[0]}.yaml": bridges.file(names[0], peer.url, out=[{"filter": "first", "to": {"exchange": "e"}}])})
    restarting = asyncio.ensure_future(stack.restart(stack.broker))
    answer = await eventually(publish, "a publish is answered")
    await restarting
    assert answer.status == 200 and answer.json["matched"] == 1, answer


async def test_names_of_bridges_queues_are_theirs(env):
    folder = env.folder / "subscribers"
    folder.mkdir()
    (folder / "q.yaml").write_text(f"{SPACE}:\n  bridge.x: {{}}\n")
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=RUNNING)
    stack.broker.tree["subscribers"] = {"dir": str(folder)}
    await stack.start()
    await log_has(stack, "q.yaml:2: default.bridge.x: names that begin with bridge. are those of the queues of bridges")
    assert depth(stack, "x") is None

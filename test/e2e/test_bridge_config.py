"""The configuration of bridges: sqmqos lint, --check-config, and files of bridges.dir that are not good."""

import asyncio
import re
import subprocess

import stack as parts

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

"""The examples of docs/clients.md, as they stand on the page: each ends with code 0
when its order is stored, and with another one when the broker refuses it. And what the
page's table says of a refusal."""

import os
import pathlib
import re
import shutil

import clients
import stack as parts
from annotations import AnnotationsFile
from scenario import Skip, scenario

BLOCK = re.compile(r"^```(\w+) client\n(.*?)^```$", re.M | re.S)
RULE = re.compile(r"^```yaml rule\n\s*sqmqos.io/publish: \|\n(.*?)^```$", re.M | re.S)
FILES = {"sh": "client.sh", "python": "client.py", "js": "client.js", "go": "client.go",
         "java": "Client.java", "c": "client.c"}


def libraries():
    folder = os.environ.get("TEST_CLIENT_LIBRARIES")
    if not folder:
        raise Skip("TEST_CLIENT_LIBRARIES is not set: ./dev test fetches the libraries")
    return pathlib.Path(folder)


def page():
    return (parts.ROOT / "docs" / "clients.md").read_text()


async def command(env, language, folder):
    """What runs the example in 'folder', compiled where it must be."""
    source = folder / FILES[language]
    if language == "sh":
        return "bash", source
    if language == "python":
        return libraries() / "python" / "bin" / "python", source
    if language == "js":
        return "node", source
    if language == "c":
        await clients.run(env, "gcc", "-o", folder / "client", source, "-lpaho-mqtt3a")
        return (folder / "client",)
    if language == "java":
        jars = f"{libraries() / 'java'}/*"
        await clients.run(env, "javac", "-cp", jars, "-d", folder, source)
        return "java", "-cp", f"{jars}:{folder}", "Client"
    for name in ("go.mod", "go.sum"):
        shutil.copy(libraries() / "go" / name, folder)
    await clients.run(env, "sh", "-c", 'cd "$0" && go build -o client client.go', folder,
                      environment=os.environ | {"GOFLAGS": "-mod=mod -buildvcs=false"})
    return (folder / "client",)


async def ends_with(env, argv):
    """(exit code, output)"""
    process = await clients.start(env, *argv, environment=os.environ | {
        "NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"})
    out, _ = await process.communicate()
    return process.returncode, out.decode("utf-8", "replace")


async def example(env, language):
    source = dict(BLOCK.findall(page()))[language]
    rule = "\n".join(line[6:] for line in RULE.search(page())[1].splitlines()) + "\n"
    libraries()
    pod = AnnotationsFile(env.folder / "pod").write(None, **{"sqmqos.io/publish": rule})
    stack = await env.stack(annotations=[pod.path, None])
    reader = await env.connect(stack.ports[1], "reader")
    await reader.subscribe(("orders/#", 2))
    for topic, good in (("orders/1", True), ("$dead/1", False)):
        folder = env.folder / topic.strip("$").replace("/", "-")
        folder.mkdir()
        text = re.sub(r"\b1883\b", str(stack.ports[0]), source).replace("orders/1", topic)
        if language == "sh":
            text = text.replace("$dead", r"\$dead")
        (folder / FILES[language]).write_text(text)
        code, output = await ends_with(env, await command(env, language, folder))
        assert (code == 0) == good, f"{topic}: exit code {code}:\n{output}"
        if good:
            m = await reader.receive()
            assert (m.topic, m.payload, m.qos) == ("orders/1", b"paid", 2)


@scenario(timeout_s=120)
async def test_mosquitto_pub(env):
    await example(env, "sh")


@scenario(timeout_s=120)
async def test_python(env):
    await example(env, "python")


@scenario(timeout_s=120)
async def test_javascript(env):
    await example(env, "js")


@scenario(timeout_s=180)
async def test_go(env):
    await example(env, "go")


@scenario(timeout_s=120)
async def test_java(env):
    await example(env, "java")


@scenario(timeout_s=120)
async def test_c(env):
    await example(env, "c")

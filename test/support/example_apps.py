"""The programs of examples/, as an app developer runs them, each beside the sidecar of its pod."""

import asyncio
import os
import pathlib
import re
import shutil

import clients
import pods
import stack as parts
import yaml
from scenario import Skip

EXAMPLES = parts.ROOT / "examples"
MANIFESTS = EXAMPLES / "kubernetes"
PODS = {  # which program each pod of the manifests runs
    "orders-worker": "consumer", "shop": "publisher", "planner": "delayed",
    "dead-letters": "dead_letters", "prices": "responder", "buyer": "requester",
}
PROGRAMS = list(PODS.values())
LANGUAGES = ("c", "node", "python", "go", "java")
SHARED = ("example.h", "Callback.java", "go.mod", "go.sum")


def annotations():
    """{pod: its annotations}, of all manifests."""
    found = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            for name, values in pods.pods_of(document):
                found[name.split()[-1]] = values
    return found


def libraries():
    folder = os.environ.get("TEST_CLIENT_LIBRARIES")
    if not folder:
        raise Skip("TEST_CLIENT_LIBRARIES is not set: ./dev test fetches the libraries")
    return pathlib.Path(folder)


def stem(program, language):
    """What its file or folder is called."""
    return "".join(w.title() for w in program.split("_")) if language == "java" else program


def source(language, program):
    """The file of a program."""
    folder = EXAMPLES / language
    if language == "go":
        return folder / program / "main.go"
    found, = (f for f in folder.iterdir() if f.stem == stem(program, language))
    return found


def copy(language, folder, ports):
    """The language's examples with the port of a test in each program, where an app has 1883.
    What all programs share would have one port: C has a folder for each program."""
    stems = {stem(program, language): program for program in ports}
    for file in (f for f in (EXAMPLES / language).rglob("*") if f.is_file()):
        place = file.relative_to(EXAMPLES / language)
        own = stems.get(pathlib.Path(place.parts[0]).stem)
        if own is None and file.name not in SHARED:
            continue
        for program in [own] if own else ports:
            to = folder / (program if language == "c" else ".") / place
            to.parent.mkdir(exist_ok=True, parents=True)
            to.write_text(re.sub(r"\b1883\b", str(ports[program]), file.read_text()))
    return folder


async def built(env, language, ports):
    """{program: command line}; what is compiled is compiled once."""
    folder = copy(language, env.folder / language, ports)
    if language == "c":
        await asyncio.gather(*(clients.run(
            env, "gcc", "-Wall", "-Wextra", "-Werror", "-o", folder / p / p, folder / p / f"{p}.c",
            "-lpaho-mqtt3a", "-pthread") for p in ports))
        return {p: [folder / p / p] for p in ports}
    if language == "go":
        libraries()
        await clients.run(env, "sh", "-c", 'cd "$0" && go build -o bin/ ./...', folder,
                          environment=os.environ | {"GOFLAGS": "-buildvcs=false"}, timeout_s=300)
        return {p: [folder / "bin" / p] for p in ports}
    if language == "java":
        jars = f"{libraries() / 'java'}/*"
        await clients.run(env, "javac", "-cp", jars, "-d", folder,
                          *folder.glob("*.java"), timeout_s=300)
        return {p: ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp",
                    f"{jars}:{folder}", stem(p, language)] for p in ports}
    if language == "python":
        return {p: [libraries() / "python" / "bin" / "python", folder / f"{p}.py"] for p in ports}
    return {p: ["node", folder / f"{p}.js"] for p in ports}


class App:
    """A program that runs, and the lines that it has printed."""

    def __init__(self, env, argv, process):
        self.env = env
        self.argv = argv
        self.process = process
        self.lines = []
        self.more = asyncio.Event()
        self.reader = asyncio.create_task(self.read())

    @classmethod
    async def start(cls, env, argv):
        return cls(env, argv, await begin(env, argv))

    async def read(self):
        async for raw in self.process.stdout:
            self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
            self.more.set()

    async def says(self, line, timeout_s=40):
        """Awaits that it prints this line, a regular expression, after those awaited before."""
        async def look():
            while not any(re.fullmatch(line, said) for said in self.lines):
                self.more.clear()
                await self.more.wait()
            at = next(i for i, said in enumerate(self.lines) if re.fullmatch(line, said))
            del self.lines[:at + 1]
        try:
            await asyncio.wait_for(look(), timeout_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.argv[0]}: no line like {line} in\n"
                                 + "\n".join(self.lines[-20:])) from None

    async def ends(self, timeout_s=40):
        """(exit code, what it has printed)"""
        code = await asyncio.wait_for(self.process.wait(), timeout_s)
        await self.reader
        return code, "\n".join(self.lines)

    async def end(self):
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self.reader


class Kept(App):
    """One that is started again whenever it ends by itself, as Kubernetes does."""

    ending = False

    async def read(self):
        while True:
            await super().read()
            if self.ending:
                return
            await self.process.wait()
            self.process = await begin(self.env, self.argv)

    async def end(self):
        self.ending = True
        await super().end()


async def begin(env, argv):
    return await clients.start(env, *argv, environment=os.environ | {
        "NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"})


async def run(env, argv, *arguments):
    """(exit code, what it has printed) of a program that ends by itself."""
    return await (await App.start(env, [*argv, *arguments])).ends()

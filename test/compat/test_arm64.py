"""The images for arm64: compiled for it on this machine, say so, and their programs carry messages
under qemu's emulation. Compiling takes minutes, so this is for the night."""

import asyncio
import json
import os
import pathlib
import shutil
import subprocess

import stack as parts
from archive import Archive
from scenario import Skip, scenario

TARGETS = ("broker", "sidecar")
E_MACHINE = slice(18, 20)  # of an ELF header
AARCH64 = (183).to_bytes(2, "little")
QEMU = "qemu-aarch64-static"


def build(folder):
    done = subprocess.run(
        [parts.ROOT / "dev", "image", "--debootstrap", "--engine", "buildah", "--arch", "arm64",
         "--archive", folder, *TARGETS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def emulated(program, root):
    """Has a program of the stack be the one in an image's root."""
    name = pathlib.Path(program.argv[0]).name
    program.argv = [QEMU, "-L", str(root), str(root / "usr/bin" / name), *program.argv[1:]]


@scenario(build="release", timeout_s=1800)
async def test_images_for_arm64_are_made_and_carry_messages(env):
    if os.geteuid() != 0 or not shutil.which("buildah"):
        raise Skip("needs root and buildah")
    if os.uname().machine != "x86_64":
        raise Skip("this machine is none that needs to compile for another")
    if not shutil.which(QEMU):
        raise Skip(f"needs {QEMU}")
    await asyncio.to_thread(build, env.folder)
    roots = {}
    for target in TARGETS:
        archive = Archive(env.folder / f"{target}-arm64.tar")
        assert archive.architecture == "arm64"
        elf = [d for d in archive.contents.values() if d[:4] == b"\x7fELF"]
        assert len(elf) > 5 and all(data[E_MACHINE] == AARCH64 for data in elf), target
        document = json.loads((env.folder / f"{target}-arm64.spdx.json").read_text())
        links = [ref["referenceLocator"] for package in document["packages"]
                 for ref in package.get("externalRefs", [])]
        assert links and all("?arch=arm64&" in link for link in links), links
        roots[target] = env.folder / f"{target}.root"
        archive.unpack(roots[target])
    stack = await env.stack(sidecars=1, start=False)
    for program in stack.programs:
        emulated(program, roots[program.kind])
    await stack.start()
    client = await env.connect(stack.ports[0], "app")
    for qos in (0, 1, 2):
        await client.subscribe((f"t/{qos}", qos))
        await client.publish(f"t/{qos}", b"hello", qos)
        assert (await client.receive()).payload == b"hello"

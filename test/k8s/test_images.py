"""The programs' images: what is in them, and that it is enough on the cluster."""

import asyncio
import hashlib
import json
import pathlib
import re
import shutil
import subprocess

from archive import Archive
from harness import images, paths
from image import PROGRAMS, existing_targets, version
from scenario import Skip, scenario

USER = 65532
SPDX_TOOLS = "0.8.5"
LIMIT = 24e6
SHELLS = {"sh", "bash", "dash", "busybox", "toybox"}
LABELS = ("title", "description", "version", "licenses", "revision", "created", "source")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CHECKS = {  # what else a check of the address needs to be told
    "sidecar": (), "broker": ("--tls.enabled", "false", "--auth.insecure", "true"),
    "injector": ("--settings.file", "/etc/passwd"),
}


def spdx_tools():
    """The program pyspdxtools, installed once."""
    place = paths.CACHE / f"spdx-tools-{SPDX_TOOLS}"
    if not place.exists():
        try:
            subprocess.run(["python3", "-m", "venv", place], check=True)
            subprocess.run([place / "bin/pip", "install", "-q", f"spdx-tools=={SPDX_TOOLS}"],
                           check=True, timeout=60)
        except (subprocess.SubprocessError, OSError) as e:
            shutil.rmtree(place, ignore_errors=True)
            raise Skip(f"spdx-tools can't be had: {e}") from None
    return place / "bin/pyspdxtools"


async def archives():
    """{target: its docker archive} of this tree, and the folder where they are."""
    folder = await asyncio.to_thread(images.programs)
    return {target: Archive(folder / f"{target}.tar") for target in existing_targets()}, folder


async def test_image_sizes_are_bounded(_env):
    for target, archive in (await archives())[0].items():
        assert 1e6 < archive.size <= LIMIT, (target, archive.size)


async def test_images_hold_the_program_its_libraries_and_their_licences(_env):
    found, folder = await archives()
    for target, archive in found.items():
        program = f"usr/bin/{PROGRAMS[target]}"
        executables = [n for n in archive.files if n.startswith(("usr/bin/", "bin/", "sbin/"))]
        assert executables == [program], (target, executables)
        assert not [n for n in archive.files if pathlib.PurePath(n).name in SHELLS], target
        elf = {n for n, data in archive.contents.items() if data[:4] == b"\x7fELF"}
        assert b".debug_info" not in archive.contents[program], f"{target} is not stripped"
        libraries = elf - {program}
        assert any("/libc.so." in f"/{n}" for n in libraries) and \
            any("/ld-" in f"/{n}" for n in libraries), libraries
        packages = archive.packages()
        assert "libc6" in dict(packages)
        for name, _ in packages:
            assert archive.contents[f"usr/share/doc/{name}/copyright"], (target, name)
        assert "usr/share/doc/sqmqos/LICENSE" in archive.files
        assert (folder / f"{target}.packages").read_text() == \
            "".join(f"{name} {number}\n" for name, number in packages)


def programs_package(document):
    """The package that the document is about."""
    about, = (r["relatedSpdxElement"] for r in document["relationships"]
              if (r["spdxElementId"], r["relationshipType"]) == ("SPDXRef-DOCUMENT", "DESCRIBES"))
    return next(p for p in document["packages"] if p["SPDXID"] == about)


async def test_images_say_what_they_are_made_of(_env):
    """An SPDX document, and a NOTICE, in the image and beside its archive."""
    found, folder = await archives()
    for target, archive in found.items():
        raw = archive.contents["usr/share/doc/sqmqos/sbom.spdx.json"]
        notice = archive.contents["usr/share/doc/sqmqos/NOTICE"]
        assert (folder / f"{target}.spdx.json").read_bytes() == raw
        assert (folder / f"{target}.NOTICE").read_bytes() == notice
        document = json.loads(raw)
        program = programs_package(document)
        assert (program["name"], program["versionInfo"]) == (PROGRAMS[target], version())
        [checksum] = program["checksums"]
        assert checksum["checksumValue"] == hashlib.sha256(
            archive.contents[f"usr/bin/{PROGRAMS[target]}"]).hexdigest()
        others = [p for p in document["packages"] if p is not program]
        assert sorted((p["name"], p["versionInfo"]) for p in others) == archive.packages()
        needed = {r["relatedSpdxElement"] for r in document["relationships"]
                  if r["relationshipType"] == "DEPENDS_ON"}
        assert needed == {p["SPDXID"] for p in others}
        for name, number in archive.packages():
            assert f"\n{name} {number}\n  licence: /usr/share/doc/{name}/copyright\n" in \
                notice.decode(), (target, name)


@scenario(timeout_s=300)
async def test_the_spdx_documents_are_valid(_env):
    """By the SPDX project's own tools, of PyPI."""
    _, folder = await archives()
    tools = spdx_tools()
    for target in existing_targets():
        done = subprocess.run([tools, "-i", folder / f"{target}.spdx.json"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, (target, done.stderr[-2000:])


async def test_images_have_nothing_that_their_user_may_write(_env):
    for target, archive in (await archives())[0].items():
        assert archive.config["User"] == f"{USER}:{USER}", target
        assert f"sqmqos:x:{USER}:{USER}:".encode() in archive.contents["etc/passwd"]
        for name, member in archive.files.items():
            assert (member.uid, member.gid) == (0, 0), (target, name)
            assert member.issym() or not member.mode & 0o7022, (target, name, oct(member.mode))


async def test_image_names_and_labels(_env):
    for target, archive in (await archives())[0].items():
        assert f"docker.io/sqmqos/{target}:{version()}" in archive.tags, archive.tags
        assert archive.config["Entrypoint"] == [f"/usr/bin/{PROGRAMS[target]}"]
        labels = {name: archive.labels[f"org.opencontainers.image.{name}"] for name in LABELS}
        assert labels["version"] == version() and labels["title"] == PROGRAMS[target], labels
        assert labels["licenses"] == "Apache-2.0" and labels["description"], labels
        assert re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?", labels["created"]), labels


def pod(name, target, tag, *argv, command=None):
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"name": "app", "image": f"docker.io/sqmqos/{target}:{tag}",
                 "imagePullPolicy": "Never", "args": list(argv), "securityContext": security}
    if command:
        container["command"] = command
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                     "containers": [container]}}


def ended(tree):
    return tree["status"]["phase"] in ("Succeeded", "Failed")


async def test_images_start_under_restricted_pod_security_and_have_no_shell(env):
    k8s = await env.cluster(labels=RESTRICTED)
    tag = await k8s.load_programs()
    targets = existing_targets()
    await k8s.apply([pod(f"version-{t}", t, tag, "--version") for t in targets] +
                    [pod(f"shell-{t}", t, tag, command=["sh", "-c", "true"]) for t in targets])
    for target in targets:
        await k8s.succeeded(f"version-{target}")
        assert await k8s.logs(f"version-{target}") == f"{PROGRAMS[target]} {version()}\n"
        tree = await k8s.until("pods", f"shell-{target}", ended, "ends")
        why = tree["status"]["containerStatuses"][0]["state"]["terminated"]
        assert why["reason"] == "StartError" and "not found" in why["message"], why


async def test_a_program_runs_as_the_images_user(env):
    k8s = await env.cluster(labels=RESTRICTED)
    tag = await k8s.load_programs()
    await k8s.apply(pod("runs", "sidecar", tag, "--brokers", "127.0.0.1:1", "--tls.enabled",
                        "false", "--identity.space", "a", "--identity.workload", "b"))
    await k8s.until("pods", "runs", lambda p: p["status"]["phase"] == "Running", "runs")
    [pid] = await k8s.pids("runs", "app")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:\t{USER}\t", status, re.M), status
    assert re.search(rf"^Gid:\t{USER}\t", status, re.M), status
    assert re.search(r"^CapEff:\t0+$", status, re.M), status


async def test_names_are_resolved_without_a_libnss(env):
    """By DNS: the address of a Service is no address of the pod, but it is found."""
    k8s = await env.cluster(labels=RESTRICTED)
    tag = await k8s.load_programs()
    service = "kubernetes.default.svc:9090"
    targets = [t for t in existing_targets() if t in CHECKS]
    await k8s.apply([pod(t, t, tag, "--check-config", "--admin.listen", service, *CHECKS[t])
                     for t in targets])
    for target in targets:
        await k8s.until("pods", target, ended, "ends")
        said = await k8s.logs(target)
        assert f"admin.listen: {service}: Cannot assign requested address" in said, said

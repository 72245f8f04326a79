"""Builds the images that the cluster and its test cases use, and brings archives in.

An image is built once for a recipe, into an archive in the cache; its tag is the key
of the recipe.  Images of our programs come from `./dev image`."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import binaries, node, paths

RECIPES = paths.HERE.parent / "images"
STORE = paths.CACHE / "k8s-images"
BUILDAH = ("buildah", "--storage-driver", "vfs")
BASE = "docker.io/library/debian:bookworm-slim"
BASE_SCRIPT = paths.ROOT / "tools" / "base_image.sh"
DOCKERFILE = paths.ROOT / "Dockerfile"


def checked(*argv, what, **options):
    done = subprocess.run([*map(str, argv)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                          **options)
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stdout.strip()[-2000:]}")
    return done.stdout


# ---- the test's own

def recipe_key(name):
    text = hashlib.sha256()
    for path in sorted((RECIPES / name).iterdir()):
        text.update(path.name.encode() + b"\0" + path.read_bytes())
    if name == "coredns":
        text.update(binaries.COREDNS.encode())
    return text.hexdigest()[:12]


def reference(name):
    """The name under which the cluster has the test's own image 'name'."""
    return f"docker.io/sqmqos-test/{name}:{recipe_key(name)}"


def prepare_pause(work):
    checked("gcc", "-static", "-Os", "-s", "-o", work / "pause", work / "pause.c", what="pause")


def prepare_coredns(work):
    shutil.copy(binaries.ensure() / "coredns", work)


def prepare_debian(_work):
    checked(BASE_SCRIPT, *BUILDAH[1:], what="Debian's base image")


PREPARE = {"pause": prepare_pause, "coredns": prepare_coredns, "client": prepare_debian,
           "postgres": prepare_debian, "rabbitmq": prepare_debian}


def build(name, archive):
    work = pathlib.Path(tempfile.mkdtemp(prefix=f"{archive.name}.", dir=STORE))
    try:
        shutil.copytree(RECIPES / name, work, dirs_exist_ok=True)
        PREPARE[name](work)
        checked(*BUILDAH, "bud", "--isolation", "chroot", "--network", "host", "--pull-never",
                "-t", reference(name), "-f", work / "Containerfile", work, what=f"image {name}")
        made = work / "image.tar"
        checked(*BUILDAH, "push", reference(name), f"docker-archive:{made}:{reference(name)}",
                what=f"image {name}")
        made.rename(archive)
        subprocess.run([*BUILDAH, "rmi", reference(name)], capture_output=True, check=False)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def ensure(name):
    """The archive of the test's own image 'name', built where it is missing."""
    STORE.mkdir(parents=True, exist_ok=True)
    archive = STORE / f"{name}-{recipe_key(name)}.tar"
    with open(STORE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            binaries.say(f"building the image {name}, once for this machine")
            build(name, archive)
    return archive


# ---- our programs

def is_of_image(name):
    """Whether the build of our images gets this file, as .dockerignore says."""
    top = name.split("/")[0]
    return name in ("tools/image_root.sh", "tools/sbom.sh") or not (
        top in ("test", "docs", "bench", "deploy", "helm", "packaging", "dev", "tools")
        or top.startswith(".") or name.endswith(".md"))


def tree_key():
    """Changes with whatever an image of our programs is made of."""
    listed = subprocess.run(["git", "-C", paths.ROOT, "ls-files", "-z", "-co",
                             "--exclude-standard"], capture_output=True, check=True).stdout
    text = hashlib.sha256()
    for name in sorted(set(listed.decode().split("\0"))):
        path = paths.ROOT / name
        if name and is_of_image(name) and path.is_file():
            text.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return text.hexdigest()[:16]


def programs():
    """The folder with archives of our images, built where the tree has changed."""
    STORE.mkdir(parents=True, exist_ok=True)
    with open(STORE / "programs.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = STORE / f"programs-{tree_key()}"
        if not wanted.exists():
            binaries.say("building the images of our programs")
            work = pathlib.Path(tempfile.mkdtemp(prefix="new.", dir=STORE))
            try:
                checked(paths.ROOT / "dev", "image", "--debootstrap", "--engine", "buildah",
                        "--archive", work, what="./dev image")
                work.rename(wanted)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        os.utime(wanted)
        kept = sorted(STORE.glob("programs-*"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in kept[4:] if len(kept) > 4 else []:
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
    return wanted


def programs_tag():
    """The tag by which the cluster tells this tree's images from another's."""
    return f"tree-{tree_key()}"


def load_programs():
    """Brings them in where one of them is not there; returns the tag of this tree's."""
    wanted = programs_tag()
    folder = programs()
    with open(STORE / "load.lock", "w") as lock:  # cases that start together all ask
        fcntl.flock(lock, fcntl.LOCK_EX)
        have = set(ctr("images", "list", "--quiet").split())
        if not all(f"docker.io/sqmqos/{archive.stem}:{wanted}" in have
                   for archive in folder.glob("*.tar")):
            load_folder(folder, wanted)
    return wanted


# ---- into the cluster

def ctr(*argv):
    return node.run("ctr", "--address", paths.CONTAINERD_SOCKET, "--namespace", "k8s.io", *argv)


def load_archive(archive):
    """Imports a docker archive; returns the names of its images."""
    said = ctr("images", "import", "--snapshotter", "overlayfs", archive)
    return list(dict.fromkeys(line.split()[1] for line in said.splitlines()
                              if line.startswith("unpacking ")))


def second_name(name, wanted):
    ctr("images", "tag", "--force", name, wanted)
    return wanted


def load_once(name):
    """Brings the test's own image 'name' in where it is not there; returns its reference."""
    wanted = reference(name)
    archive = ensure(name)
    with open(STORE / "load.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted not in ctr("images", "list", "--quiet").split():
            load_archive(archive)
    return wanted


def load_folder(folder, new_tag=None):
    """Imports every *.tar of a folder; returns the names.  What an archive calls
    localhost/X is there as X, too, as a manifest would say it."""
    archives = sorted(pathlib.Path(folder).resolve().glob("*.tar"))
    if not archives:
        raise RuntimeError(f"there is no *.tar in {folder}")
    names = []
    for archive in archives:
        for name in load_archive(archive):
            plain = name.replace("localhost/", "docker.io/", 1)
            names.append(plain if plain == name else second_name(name, plain))
            if new_tag:
                names.append(second_name(name, f"{plain.rpartition(':')[0]}:{new_tag}"))
    return list(dict.fromkeys(names))

"""Our Debian packages, made once for what they are made of, and a root of Debian to install
them in, with what they depend on and nothing else."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import stack as parts
from scenario import Skip

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sqmqos"
RELEASE = parts.ROOT / "build" / "release"
MADE_OF = ("packaging", "tools/deb.py", "tools/image.py", "CHANGELOG.md",
           "CMakeLists.txt", "NOTICE")
NAMES = ("sqmqos", "sqmqos-broker", "sqmqos-sidecar")
ROOTS_KEPT = 2


def run(*argv, **options):
    done = subprocess.run([*map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          **options)
    assert done.returncode == 0, (argv, done.returncode, done.stdout[-3000:])
    return done.stdout


@contextlib.contextmanager
def locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def key():
    """Of what the packages are made of."""
    text = hashlib.sha256()
    files = [RELEASE / name for name in (*NAMES, "sqmqos-log-postgres.so")]
    for name in MADE_OF:
        path = parts.ROOT / name
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for path in files:
        text.update(str(path).encode() + b"\0" + path.read_bytes())
    return text.hexdigest()[:16]


def make():
    if not (RELEASE / "sqmqos-broker").exists():
        raise Skip("build/release is not built")
    if not shutil.which("dh"):
        raise Skip("debhelper is not installed")
    store = parts.ROOT / "build" / "test-deb"
    folder = store / f"{key()}"
    with locked(store.with_suffix(".lock")):
        if not folder.exists():
            shutil.rmtree(store, ignore_errors=True)
            store.mkdir()
            run(sys.executable, parts.ROOT / "tools/deb.py", "--out", store / "new")
            (store / "new").rename(folder)
    return {path.name.split("_")[0]: path for path in folder.glob("*.deb")}


async def packages():
    """{name: file} of the packages of this tree."""
    return await asyncio.to_thread(make)


def repack(package, folder, number):
    """The same with another version."""
    tree = folder / "repacked"
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {number}", control.read_text()))
    run("dpkg-deb", "-Znone", "-b", tree, folder / f"{package.stem}-newer.deb")
    shutil.rmtree(tree)
    return folder / f"{package.stem}-newer.deb"


def field(package, name):
    return run("dpkg-deb", "-f", package, name).strip()


def dependencies(files):
    """The Debian packages that ours ask for, the first of each choice."""
    names = set()
    for package in files.values():
        for item in field(package, "Depends").split(","):
            names.add(re.match(r"\s*([a-z0-9.+-]+)", item)[1])
    return sorted(names - set(NAMES))


def make_root(names):
    """The archive of a root with these packages and what they need, from the cache."""
    base = pathlib.Path(run(parts.ROOT / "tools/base_root.sh").splitlines()[-1])
    text = f"{base.stat().st_mtime_ns} {' '.join(names)}".encode()
    archive = CACHE / f"deb-root-{hashlib.sha256(text).hexdigest()[:16]}.tar"
    with locked(CACHE / "deb-root.lock"):
        if archive.exists():
            archive.touch()
            return archive
        work = archive.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            run("tar", "-C", work, "-xf", base)
            (work / "etc/dpkg/dpkg.cfg.d/slim").unlink(missing_ok=True)
            shutil.copy("/etc/resolv.conf", work / "etc/resolv.conf")
            apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run("chroot", work, "apt-get", "update", "-q", env=apt)
            run("chroot", work, "apt-get", "install", "-y", "-q", "--no-install-recommends",
                *names, env=apt)
            run("chroot", work, "apt-get", "clean")
            run("tar", "-C", work, "--one-file-system", "-cf", f"{work}.tar", ".")
            pathlib.Path(f"{work}.tar").rename(archive)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        kept = sorted(CACHE.glob("deb-root-*.tar"), key=lambda p: p.stat().st_mtime)
        for old in kept[:-ROOTS_KEPT]:
            old.unlink()
        return archive


class Root:
    """A root of Debian in a folder, without ours at first."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return self.folder / name.lstrip("/")

    def run(self, *argv):
        return run("chroot", self.folder, *argv)

    def install(self, *files):
        for file in files:
            shutil.copy(file, self.path("tmp"))
        return self.run("dpkg", "--force-confdef", "--force-confold", "-i",
                        *(f"/tmp/{file.name}" for file in files))

    def files(self):
        """What is there, but for what each dpkg changes of its own."""
        found = set()
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [f for f in folders if not os.path.islink(os.path.join(folder, f))]
            found.update(os.path.relpath(os.path.join(folder, n), self.folder)
                         for n in [*names, *folders])
        return {n for n in found if not re.match(
            r"(tmp|proc|run|var/lib/dpkg|var/log|var/cache)(/|$)|etc/\.pwd\.lock|.*-$", n)}


async def root(env, files):
    """Where the packages in 'files' can be installed."""
    if os.geteuid() != 0:
        raise Skip("needs root, for a root of its own")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        raise Skip("no namespaces can be made here")
    if not shutil.which("debootstrap"):
        raise Skip("debootstrap is not installed")
    archive = await asyncio.to_thread(make_root, dependencies(files))
    folder = env.folder / "root"
    folder.mkdir()
    await asyncio.to_thread(run, "tar", "-C", folder, "-xf", archive)
    folder.chmod(0o755)
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    return Root(folder)


def unit(text):
    """{key: [values]} of the section [Service] of a unit's or a drop-in's text, as they follow
    each other."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section == "Service" and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found

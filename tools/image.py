"""./dev image: the programs' images, by buildah, podman or docker."""

import argparse
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from archive import Archive

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = {  # by target of the Dockerfile
    "sidecar": "sqmqos-sidecar", "broker": "sqmqos-broker", "injector": "sqmqos-injector",
    "cli": "sqmqos",
}
BESIDE = {  # what an archive gets beside it: what of the image that is
    "spdx.json": "usr/share/doc/sqmqos/sbom.spdx.json", "NOTICE": "usr/share/doc/sqmqos/NOTICE",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's names, and the images'
MACHINE = ARCHITECTURES.get(os.uname().machine)
STAGE_TAG = "localhost/sqmqos/build:latest"  # keeps the layers that the next build can use
STAGE_LABEL = "io.sqmqos.stage=build"
TITLE = "org.opencontainers.image.title"


def say(text):
    print(f"dev: {text}", file=sys.stderr, flush=True)


def fail(sentence, code=1):
    say(sentence)
    sys.exit(code)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(f"{message}; see ./dev image --help", 2)


def output(argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


# ---- engines: each is there with what its command line differs in

class Engine:
    """What builds and keeps images.  self.why says what keeps it from that, or is None."""

    name = ""
    build_options = ()
    cross = False  # whether it compiles for another architecture, or emulates that

    def __init__(self):
        self.command = [self.name]
        self.why = self.trouble()

    def trouble(self):
        return reason([*self.command, "info"])

    def build(self, target, tag, build_args, options=()):
        argv = [*self.command, "build", *self.build_options, *options, "--target", target,
                "-t", tag]
        for name, value in build_args.items():
            argv += ["--build-arg", f"{name}={value}"]
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            done = subprocess.run([*argv, str(ROOT)], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT, check=False)
            if done.returncode != 0:
                log.seek(0)
                sys.stderr.write("".join(log.readlines()[-40:]))
                fail(f"{self.name} could not build the target '{target}'")

    def save(self, tag, file):
        output([*self.command, "save", "-o", str(file), tag])

    def drop_old(self, labels):
        """Removes the images with one of these labels whose name a newer one took, and with
        them the layers that were theirs alone."""
        for label in labels:
            ids = output([*self.command, "images", "-q", "--no-trunc", "--filter", "dangling=true",
                          "--filter", f"label={label}"]).split()
            for one in set(ids):  # one that a container uses stays
                subprocess.run([*self.command, "rmi", one], capture_output=True, check=False)


class Buildah(Engine):
    name = "buildah"
    cross = True
    # Works as root and as a user, within containers, too; BUILDAH_ISOLATION overrides.
    build_options = ("--layers", "--force-rm", "--network", "host", "--isolation",
                     os.environ.get("BUILDAH_ISOLATION") or "chroot")

    def trouble(self):
        why = self.storage_trouble()
        if why is None or not shutil.which(self.name):
            return why
        self.command = [self.name, "--storage-driver", "vfs"]
        return why if self.storage_trouble() else None

    def storage_trouble(self):
        """A driver may be there and yet mount nothing (overlay upon overlay)."""
        probe = f"sqmqos-probe-{os.getpid()}"
        why = reason([*self.command, "from", "--name", probe, "scratch"])
        if why is None and os.geteuid() == 0:
            why = reason([*self.command, "mount", probe])
        reason([*self.command, "rm", probe])
        return why

    def save(self, tag, file):
        output([*self.command, "push", "-q", tag, f"docker-archive:{file}:{tag}"])

    def call(self, tag, arch):
        """Has the image say of itself that it is of that architecture."""
        container = output([*self.command, "from", "--pull-never", tag]).strip()
        output([*self.command, "config", "--arch", arch, container])
        output([*self.command, "commit", "--quiet", "--rm", container, tag])


class Podman(Engine):
    name = "podman"
    build_options = ("--layers", "--force-rm")


class Docker(Engine):
    name = "docker"


ENGINES = {engine.name: engine for engine in (Buildah, Podman, Docker)}


def reason(argv):
    """None when the command succeeds, else why not, in a line."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def choose_engine(name):
    whys = []
    for kind in [ENGINES[name]] if name else ENGINES.values():
        engine = kind()
        if engine.why is None:
            return engine
        whys.append(f"{engine.name}: {engine.why}")
    return fail("nothing here builds images ({}); one of them is needed, such as the Debian "
                "package buildah".format("; ".join(whys)))


# ---- what is built

def existing_targets():
    """The targets whose program the sources have."""
    text = "\n".join(path.read_text() for folder in ROOT.iterdir()
                     if folder.name not in ("build", "test")
                     for path in folder.glob("**/CMakeLists.txt"))
    return [target for target, program in PROGRAMS.items()
            if re.search(rf"add_executable\({program}[\s)]", text)]


def version():
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"project\(sqmqos VERSION ([0-9.]+)", text)[1]


def git(*words):
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def label_arguments(source):
    """The build arguments behind the labels: of the commit, so that building it again
    gives the same."""
    revision = git("rev-parse", "HEAD")
    if revision and git("status", "--porcelain"):
        revision += "-dirty"
    created = git("-c", "log.showSignature=false", "log", "-1", "--format=%cd",
                  "--date=format-local:%Y-%m-%dT%H:%M:%SZ")
    return {"VERSION": version(), "REVISION": revision, "CREATED": created, "SOURCE": source}


def give_base(engine):
    """Makes Debian's base image here, where no registry is reached."""
    if engine.name != "buildah":
        fail("--debootstrap works with buildah alone", 2)
    done = subprocess.run([ROOT / "tools/base_image.sh", *engine.command[1:]],
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def report(tag, target, archive, folder):
    packages = archive.packages()
    print(f"{tag}: {archive.size / 1e6:.1f} MB, {archive.compressed / 1e6:.1f} MB compressed, "
          f"{archive.architecture}")
    for name, number in packages:
        print(f"  {name} {number}")
    if folder:
        lines = "".join(f"{name} {number}\n" for name, number in packages)
        (folder / f"{target}.packages").write_text(lines)
        for name, inside in BESIDE.items():
            (folder / f"{target}.{name}").write_bytes(archive.contents[inside])


def build_images(engine, options, folder):
    suffix = f"-{options.arch}" if options.arch != MACHINE else ""
    tags = {target: f"docker.io/sqmqos/{target}:{version()}{suffix}"
            for target in options.targets}
    stage, labels = {}, label_arguments(options.source)
    if suffix and engine.cross:
        stage = {"ARCH": options.arch}
    elif suffix:
        engine.build_options += ("--platform", f"linux/{options.arch}")
    say(f"building the programs by {engine.name}")
    pull = ["--pull-never"] if options.debootstrap else []
    fresh = ["--no-cache", *(pull or ["--pull"])] if options.fresh else pull
    engine.build("build", STAGE_TAG + suffix, stage, fresh)
    for target, tag in tags.items():
        engine.build(target, tag, {**stage, **labels}, pull)
        if stage:
            engine.call(tag, options.arch)
        file = folder / f"{target}{suffix}.tar"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".image-") as work:
            engine.save(tag, pathlib.Path(work) / "new")
            os.replace(pathlib.Path(work) / "new", file)
        report(tag.removeprefix("docker.io/"), target + suffix, Archive(file),
               folder if options.archive else None)
    engine.drop_old([STAGE_LABEL, *(f"{TITLE}={PROGRAMS[target]}" for target in tags)])


@contextlib.contextmanager
def alone():
    """One build on this machine at a time: another would drop this one's layers."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    (cache / "sqmqos").mkdir(parents=True, exist_ok=True)
    with open(cache / "sqmqos" / "image.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def arguments():
    there = existing_targets()
    parser = Parser(
        prog="./dev image", allow_abbrev=False,
        description="Builds the programs' images as sqmqos/TARGET:VERSION, with buildah, podman "
        "or docker, whichever works here, and lists their sizes and the Debian packages in them.")
    parser.add_argument("targets", nargs="*", metavar="TARGET",
                        help=f"of {', '.join(there)}; all by default")
    parser.add_argument("--archive", type=pathlib.Path, metavar="DIR",
                        help="leave a docker archive TARGET.tar there, the list TARGET.packages, "
                        "TARGET.spdx.json and TARGET.NOTICE")
    parser.add_argument("--arch", choices=sorted(ARCHITECTURES.values()), default=MACHINE,
                        help="for this architecture, as sqmqos/TARGET:VERSION-ARCH where it is "
                        "another than the machine's: compiled for it (buildah), or emulated, "
                        "where the machine can (podman, docker)")
    parser.add_argument("--engine", choices=ENGINES, help="take this one")
    parser.add_argument("--source", default="", metavar="URL",
                        help="where the sources are, for the label")
    parser.add_argument("--fresh", action="store_true",
                        help="take Debian's newest base image and packages, not those of the "
                        "build before")
    parser.add_argument("--debootstrap", action="store_true",
                        help="where no registry is reached: make Debian's base image here, by "
                        "debootstrap (buildah, as root)")
    options = parser.parse_args()
    for target in options.targets:
        if target not in there:
            parser.error(f"there is no target '{target}'")
    options.targets = options.targets or there
    return options


def main():
    os.umask(0o022)
    os.environ["TZ"] = "UTC"  # of the commit's date
    options = arguments()
    engine = choose_engine(options.engine)
    with alone(), tempfile.TemporaryDirectory(prefix="sqmqos-image-") as folder:
        if options.debootstrap:
            give_base(engine)
        if options.archive:
            options.archive.mkdir(parents=True, exist_ok=True)
        build_images(engine, options, options.archive or pathlib.Path(folder))


if __name__ == "__main__":
    main()

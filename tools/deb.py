"""./dev deb: the programs as Debian packages, made by debhelper from packaging/."""

import argparse
import email.utils
import os
import pathlib
import re
import shutil
import subprocess
import sys

from image import ROOT, fail, git, say, version

PACKAGES = ("sqmqos-broker", "sqmqos-sidecar", "sqmqos")  # each has the program of its name
MODULES = ("sqmqos-log-postgres.so",)  # of the broker; it runs without, if it has its own files
ABOUT = {
    "sqmqos-broker": "the broker that SQMQOS sidecars send to and receive from",
    "sqmqos-sidecar": "plain MQTT on localhost, HTTP/2 to SQMQOS brokers",
}
TIME = 1700000000  # of files, where the clone has no commit


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def roff(text):
    """Lines of plain text as roff shows them unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.splitlines())


def page(program):
    """The manual page of a program, of what it says to --help."""
    name = program.name
    usage, _, rest = output(program, "--help").partition("\n\n")
    return "\n".join([
        f'.TH {name.upper()} 1 "" "sqmqos {version()}" "User Commands"',
        ".SH NAME", f"{roff(name)} \\- {roff(ABOUT[name])}",
        ".SH SYNOPSIS", ".nf", roff(usage.removeprefix("usage: ")), ".fi",
        ".SH DESCRIPTION", ".nf", roff(rest), ".fi",
        ".SH FILES", ".TP", f"/etc/sqmqos/{name.removeprefix('sqmqos-')}.yaml",
        "The configuration of the unit.",
        ".SH SEE ALSO", "sqmqos(1)", ""])


def stage(build, folder, revision):
    """Fills 'folder' with what debian/rules packs."""
    seconds = int(git("log", "-1", "--format=%ct") or TIME)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("debian", "etc", "examples"):
        shutil.copytree(ROOT / "packaging" / name, folder / name)
    for name in ("programs", "man", "completion"):
        (folder / name).mkdir()
    for name in ("CHANGELOG.md", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        program = pathlib.Path(shutil.copy(build / name, folder / "programs"))
        text = page(program) if name in ABOUT else output(program, "man")
        (folder / "man" / f"{name}.1").write_text(text)
    for name in MODULES:
        shutil.copy(build / name, folder / "programs")
    (folder / "completion" / "sqmqos").write_text(
        output(folder / "programs" / "sqmqos", "completion", "bash"))
    who = re.search(r"^Maintainer: (.*)$", (folder / "debian/control").read_text(), re.M)[1]
    (folder / "debian/changelog").write_text(
        f"sqmqos ({version()}-{revision}) unstable; urgency=medium\n\n"
        "  * /usr/share/doc/sqmqos/changelog.gz says what has changed.\n\n"
        f" -- {who}  {email.utils.formatdate(seconds)}\n")
    return {**os.environ, "SOURCE_DATE_EPOCH": str(seconds)}


def make(build, out, revision):
    """Makes the packages, and returns their files."""
    work = out / "work"
    environment = stage(build, work / "sqmqos", revision)
    done = subprocess.run(["debian/rules", "binary"], cwd=work / "sqmqos", env=environment,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail("debian/rules: " + "\n".join((done.stdout + done.stderr).splitlines()[-15:]))
    for old in out.glob("*.deb"):
        old.unlink()
    files = [pathlib.Path(shutil.move(file, out)) for file in sorted(work.glob("*.deb"))]
    shutil.rmtree(work)
    return files


def main():
    os.umask(0o022)
    parser = argparse.ArgumentParser(
        prog="./dev deb", allow_abbrev=False,
        description="Makes the Debian packages sqmqos-broker, sqmqos-sidecar (each with a unit "
        "of systemd) and sqmqos (the command line) of this machine's architecture and release.")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/deb", metavar="DIR",
                        help="where they go (default: build/deb); older ones there are removed")
    parser.add_argument("--revision", default="1", metavar="N",
                        help="what follows the version (default: 1)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release",
                        metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not re.fullmatch(r"[0-9][A-Za-z0-9.+~]*", options.revision):
        parser.error(f"--revision: '{options.revision}' is none of Debian's")
    options.out.mkdir(parents=True, exist_ok=True)
    for file in make(options.build.resolve(), options.out.resolve(), options.revision):
        print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")
        depends = output("dpkg-deb", "-f", file, "Depends")
        print("".join(f"  {name}\n" for name in depends.strip().split(", ")), end="")
    say(f"they are in {options.out}")


if __name__ == "__main__":
    sys.exit(main())

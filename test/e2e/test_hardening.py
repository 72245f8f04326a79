"""What the release programs are made of: read back from the programs themselves, so a switch
that is dropped from the build is missed here."""

import os
import pathlib
import re
import subprocess

import stack as parts
from cluster import eventually
from scenario import Skip, scenario

PROGRAMS = ("sqmqos-broker", "sqmqos-sidecar", "sqmqos-injector", "sqmqos")
MACHINE = {"x86_64": "-fcf-protection=full", "aarch64": "-mbranch-protection=standard"}
SWITCHES = ["-O3", "-fstack-protector-strong", "-fstack-clash-protection",
            MACHINE.get(os.uname().machine, "")]


def readelf(program, *options):
    path = parts.ROOT / "build" / "release" / program
    if not path.exists():
        raise Skip(f"{path} is not built")
    return subprocess.run(["readelf", "-W", *options, str(path)], check=True, capture_output=True,
                          text=True).stdout


def strings(program, section):
    """The lines of a section of strings: one for each that differs among the objects."""
    return re.findall(r"^  \[ *[0-9a-f]+\]  (.*)$", readelf(program, "-p", section), re.M)


async def test_every_object_was_compiled_with_the_switches(_env):
    for program in PROGRAMS:
        found = strings(program, ".GCC.command.line")
        assert found, program
        for line in found:
            missing = [s for s in SWITCHES if s not in line.split()]
            assert not missing, (program, missing, line)
            assert {"-fPIE", "-fPIC"} & set(line.split()), (program, line)
        assert strings(program, ".sqmqos.switches") == ["_FORTIFY_SOURCE=3"], program


async def test_what_was_compiled_in_is_used(_env):
    for program in PROGRAMS:
        names = set(re.findall(r" UND (\w+)@", readelf(program, "--dyn-syms")))
        assert "__stack_chk_fail" in names, program
        assert {n for n in names if n.endswith("_chk")} - {"__stack_chk_fail"}, (program, names)


async def test_tables_are_read_only_and_the_stack_is_not_run(_env):
    for program in PROGRAMS:
        assert "Type:                              DYN" in readelf(program, "-h"), program
        segments, dynamic = readelf(program, "-l"), readelf(program, "-d")
        assert re.search(r"^  GNU_RELRO ", segments, re.M), program
        stack = re.search(r"^  GNU_STACK .*$", segments, re.M)
        assert stack and re.search(r" RW +0x", stack[0]), (program, stack)
        for load in re.findall(r"^  LOAD .*$", segments, re.M):
            assert not re.search(r" RWE +0x| R?WE ", load), (program, load)
        assert re.search(r"\(FLAGS\).*BIND_NOW", dynamic), program
        assert re.search(r"\(FLAGS_1\).*NOW.*PIE", dynamic), program
        assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic), (program, dynamic)

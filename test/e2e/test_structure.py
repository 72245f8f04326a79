"""The direction of the tree: nothing looks up, and the compiler lets no file do so.  A name has
one meaning in a program."""

import asyncio
import json
import os
import re
import shlex

import stack as parts
import structure
from scenario import Skip


def build_folder(env):
    folder = parts.ROOT / "build" / env.settings.build
    if not (folder / "compile_commands.json").exists():
        raise Skip(f"{folder} is not configured")
    return folder


# The folders that see h2o, and libcurl.
SPEAK_HTTP = ("web", "broker/front/door", "broker/front/http", "broker/front/link", "k8s/injector")
CALL_HTTP = ("net/curl",)


def every_command(folder):
    """(place, source, the compiler and its flags) of each source with a floor."""
    for entry in json.loads((folder / "compile_commands.json").read_text()):
        source = os.path.relpath(entry["file"], parts.ROOT)
        if (place := structure.place_of(source)) in structure.PLACES:
            words = shlex.split(re.sub(r" -o .*", "", entry["command"]))
            yield place, source, [word for word in words if not word.endswith("ccache")]


def commands(folder):
    """{place: (one of its sources, the compiler and its flags)}."""
    return {place: (source, flags) for place, source, flags in every_command(folder)}


def header_of(place):
    """One of its headers; None where it has none."""
    return min((str(p.relative_to(parts.ROOT)) for p in (parts.ROOT / place).glob("*.h")),
               default=None)


def not_below(place):
    """Headers for probes: of the floor above, of the highest one, and of each other tower."""
    tower, floor = structure.PLACES[place]
    with_headers = {p: header_of(p) for p in structure.PLACES if header_of(p)}
    higher = sorted((f, header) for p, header in with_headers.items()
                    for t, f in [structure.PLACES[p]] if t == tower and f > floor)
    others = {t: header for p, header in with_headers.items()
              for t, _ in [structure.PLACES[p]] if t not in (tower, structure.GROUND)}
    return {header for _, header in [*higher[:1], *higher[-1:]]} | set(others.values())


async def complaints(flags, include, folder):
    """What the compiler says of a file with that line; None where the file compiles."""
    probe = folder / "probe.c"
    probe.write_text(f"{include}\n")
    child = await asyncio.create_subprocess_exec(*flags, "-fsyntax-only", str(probe), cwd=folder,
                                                 stderr=asyncio.subprocess.PIPE)
    _, said = await child.communicate()
    return said.decode() if child.returncode else None


async def compiles(flags, header, folder):
    """Whether a file that includes the header compiles; if not, it is for that include alone."""
    said = await complaints(flags, f'#include "{header}"', folder)
    assert said is None or f"error: {header}: No such file" in said or \
        f"error: '{header}' file not found" in said, (header, said)
    return said is None


async def test_an_include_that_looks_up_does_not_compile(env):
    compiled, probes = [], 0
    included = structure.includes(structure.sources())
    for place, (source, flags) in sorted(commands(build_folder(env)).items()):
        header = min(included[source])
        assert await compiles(flags, header, env.folder), (place, header)
        for header in sorted(not_below(place)):
            probes += 1
            if await compiles(flags, header, env.folder):
                compiled.append(f"{place}: {header}")
    assert probes > len(structure.PLACES), probes
    assert not compiled, "\n".join(compiled)


async def seen_by(folder, header, mark, complaint, env):
    """The places whose sources are given the header of a library, which is the system's, so that
    cmake/fence stands in front of it; and those that it refuses."""
    sees, refused = set(), set()
    for place, source, flags in every_command(folder):
        if f"-D{mark}" in flags:
            sees.add(place)
            assert await complaints(flags, f"#include <{header}>", env.folder) is None, source
        elif place not in refused:
            said = await complaints(flags, f"#include <{header}>", env.folder)
            assert said is not None and complaint in said, (source, said)
            refused.add(place)
    return sees, refused


async def test_h2o_is_seen_where_http_is_spoken_and_nowhere_else(env):
    sees, refused = await seen_by(build_folder(env), "h2o.h", "SQ_SEES_H2O", "h2o is not seen here", env)
    assert sees == set(SPEAK_HTTP), sees
    assert {"broker", "broker/main.c", "broker/session", "broker/engine", "sidecar"} <= refused


async def test_libcurl_is_seen_by_its_clients_and_nowhere_else(env):
    sees, refused = await seen_by(build_folder(env), "curl/curl.h", "SQ_SEES_CURL",
                                  "libcurl is not seen here", env)
    assert sees == set(CALL_HTTP), sees
    assert {"net/kube_api", "telemetry", "cli/api", "cli/view", "cli/mqtt"} <= refused
    # Its headers of our own give it to nobody else.
    flags = commands(build_folder(env))["telemetry"][1]
    said = await complaints(flags, '#include "net/curl/library.h"', env.folder)
    assert said is not None and "libcurl is not seen here" in said, said


async def test_libpq_is_seen_by_the_driver_of_postgres_and_nowhere_else(env):
    sees, refused = await seen_by(build_folder(env), "libpq-fe.h", "SQ_SEES_LIBPQ",
                                  "libpq is not seen here", env)
    assert sees == {"store/postgres"}, sees
    assert {"broker", "store", "store/shared"} <= refused


async def test_nothing_looks_up_or_is_too_large_or_ambiguous(env):
    problems = structure.check(structure.Tree(build_folder(env)))
    assert not problems, "\n".join(problems)


async def test_a_name_with_two_definitions_in_a_program_is_found(env):
    one, other = env.folder / "one.c", env.folder / "other.h"
    one.write_text("struct sq_twice;\nstruct sq_once {\n};\nstruct sq_twice {\n};\nstruct own {\n};\n")
    other.write_text("enum sq_twice { A, B };\nstruct own {\n};\nvoid f(struct sq_once *);\n")
    names = {str(path): structure.tags(path) for path in (one, other)}
    assert structure.defined_twice(names) == [("sq_twice", [str(one), str(other)])]
    sources = dict(structure.programs(build_folder(env)))
    for program, (own, foreign) in {"sqmqos-broker": ("broker", "sidecar"),
                                    "sqmqos-sidecar": ("sidecar", "broker")}.items():
        assert f"{own}/main.c" in sources[program]
        assert not any(path.startswith(f"{foreign}/") for path in sources[program])


async def test_contributing_has_the_floors_and_the_figures(env):
    text = (parts.ROOT / "CONTRIBUTING.md").read_text()
    for table in (structure.floors(), structure.Tree(build_folder(env)).figures()):
        assert "\n".join(table) in text, "./dev structure --write puts the tables there"


async def test_the_maps_name_what_is_there(_env):
    """broker/README.md and sidecar/README.md: each file and folder, by its path from there or
    from the root, or by its name alone."""
    for room in ("broker", "sidecar"):
        top = parts.ROOT / room
        names = {p.name for p in top.rglob("*.[ch]")}
        text = (top / "README.md").read_text()
        for path in re.findall(r"`([\w/]+(?:\.[ch]|/))`", text):
            assert path in names or (top / path).exists() or (parts.ROOT / path).exists(), \
                f"{room}/README.md: {path}"
        for struct in re.findall(r"`struct (\w+)`", text):
            assert any(re.search(rf"^struct {struct} {{", p.read_text(), re.M)
                       for place in structure.ROOMS for p in (parts.ROOT / place).rglob("*.[ch]")), \
                f"{room}/README.md: struct {struct}"

"""The tree's structure, measured: ./dev structure, and a part of ./dev lint.

A file looks at another where it includes it, or where its object needs a symbol that the other's
object defines (nm says so: the objects of a build folder are the truth, not a guess over the
text).  A circle is a set of files in which each looks at each other, by whatever way round."""

import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("core", "proto", "store", "net", "web", "sidecar", "broker", "k8s")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
LINES_OF_FILE, LINES_OF_FUNCTION, MEMBERS = 700, 60, 25
LEFT = (5, 70)  # circles that are still to be cut, and files in them; only ever lowered


def sources():
    return sorted(p.relative_to(ROOT) for room in ROOMS for p in (ROOT / room).rglob("*.[ch]"))


def includes(paths):
    """{file: {file}} by #include."""
    known = {str(p) for p in paths}
    return {str(path): {name for name in INCLUDE.findall((ROOT / path).read_text()) if name in known}
            for path in paths}


def objects(build):
    """{source: object} of the build folder, for sources of the rooms."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"]).resolve()
        output = re.search(r" -o (\S+)", entry["command"])
        if source.is_relative_to(ROOT) and output:
            path = pathlib.Path(entry["directory"]) / output[1]
            if path.exists():
                yield source.relative_to(ROOT), path


def symbols(path):
    """(defined, needed) of an object."""
    shown = subprocess.run(["nm", "-P", "-g", str(path)], capture_output=True, text=True,
                           check=True).stdout
    defined, needed = set(), set()
    for line in shown.splitlines():
        name, kind = line.split()[:2]
        (needed if kind in "Uvw" else defined).add(name)
    return defined, needed


def calls(build, paths):
    """{file: {file}} by symbols."""
    wanted, by_symbol, needs = set(paths), {}, {}
    for source, path in objects(build):
        if source in wanted:
            defined, needs[str(source)] = symbols(path)
            by_symbol.update((name, str(source)) for name in defined if name != "main")
    return {m: {by_symbol[n] for n in names if n in by_symbol} for m, names in needs.items()}


def circles(looks):
    """The strongly connected sets of more than one file (Tarjan's algorithm)."""
    index, low, on, stack, found = {}, {}, set(), [], []

    def visit(m):
        index[m] = low[m] = len(index)
        stack.append(m)
        on.add(m)
        for other in sorted(looks.get(m, ())):
            if other not in index:
                visit(other)
                low[m] = min(low[m], low[other])
            elif other in on:
                low[m] = min(low[m], index[other])
        if low[m] == index[m]:
            circle = []
            while not circle or circle[-1] != m:
                circle.append(stack.pop())
                on.discard(circle[-1])
            if len(circle) > 1:
                found.append(sorted(circle))

    for m in sorted(looks):
        if m not in index:
            visit(m)
    return sorted(found)


def functions(path):
    """(name, lines) of each function: its body stands between braces in the first column."""
    name, start = "", 0
    for n, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        if head := re.match(r"^(\w+)\(", line):
            name = head[1]
        elif line == "{":
            start = n
        elif line == "}" and start:
            yield name, n - start + 1
            start = 0


def structs(path):
    """(name, members) of each struct; those of structs within it are its own."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(), flags=re.S)
    for head in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", text, re.M | re.S):
        members = 0
        for line in head[2].split(";"):
            if line.strip() and not line.strip().startswith("}"):
                members += 1 + len(re.findall(r",(?![^(]*\))", line))
        yield head[1], members


def too_large(paths):
    """Lines that name each file, function and struct above its bound."""
    for path in paths:
        lines = len((ROOT / path).read_text().splitlines())
        if lines > LINES_OF_FILE:
            yield f"{path}: {lines} lines"
        yield from (f"{path}: {name}(): {n} lines" for name, n in functions(path)
                    if n > LINES_OF_FUNCTION)
        yield from (f"{path}: struct {name}: {n} members" for name, n in structs(path)
                    if n > MEMBERS)


def main():
    sys.setrecursionlimit(10000)
    parser = argparse.ArgumentParser(prog="./dev structure")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    paths = sources()
    looks = includes(paths)
    for path, others in calls(args.build, paths).items():
        looks[path] |= others - {path}
    found = circles(looks)
    files = sum(len(circle) for circle in found)
    for circle in found:
        print(f"circle of {len(circle)}: {', '.join(circle)}")
    if not args.check:
        print("\n".join(too_large(paths)))
    print(f"{len(found)} circles, {files} files in them")
    if len(found) > LEFT[0] or files > LEFT[1]:
        sys.exit(f"structure: there were {LEFT[0]} circles, {LEFT[1]} files in them; "
                 "a new one has come, or one has grown")


main()

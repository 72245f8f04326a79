"""The tree's structure, measured: ./dev structure, and a part of ./dev lint and ./dev test.

A file looks at another where it includes it, or where its object needs a symbol that the other's
object defines (nm says so: the objects of a build folder are the truth, not a guess over the
text).  A circle is a set of files in which each looks at each other, by whatever way round.  A
file looks up where the other's folder is not below its own in FLOORS, the one table of that.  A
name has one meaning in a program: no symbol, and no tag of a struct or an enum, is defined twice."""

import argparse
import collections
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("core", "proto", "store", "net", "web", "console", "telemetry", "sidecar", "broker", "k8s", "cli")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
LINES_OF_FILE, LINES_OF_FUNCTION, MEMBERS = 700, 60, 25

# Folders from high to low: a folder sees those below its own floor.  The towers stand beside each
# other on the shared ground, and do not see each other.  A file that is named is a place of its own.
GROUND = "ground"
FLOORS = {
    "broker": [["broker/main.c"], ["broker/program"], ["broker/config"], ["broker/front/console", "broker/front/deeds", "broker/front/http", "broker/front/link", "broker/front/tap",
                "broker/front/view"],
               ["broker/front/access", "broker/front/door"], ["broker"], ["broker/bridge/kinds"], ["broker/bridge/amqp", "broker/bridge/sqs"],
               ["broker/bridge", "broker/push"], ["broker/deed", "broker/intake", "broker/subscriber"],
               ["broker/session"], ["broker/publish"], ["broker/group"], ["broker/shard"],
               ["broker/route"], ["broker/engine/engines"],
               ["broker/engine/embedded", "broker/engine/memory"],
               ["broker/engine/queue"], ["broker/engine"], ["broker/metrics"], ["broker/recent"],
               ["broker/auth", "broker/port", "broker/view"],
               ["broker/auth/acl", "broker/auth/jwt", "broker/auth/tokens", "broker/share"],
               ["broker/auth/identity"]],
    "sidecar": [["sidecar/main.c"], ["sidecar"], ["sidecar/mqtt"], ["sidecar/declared"],
                ["sidecar/outbox"], ["sidecar/hold"], ["sidecar/loop", "sidecar/seccomp"],
                ["sidecar/config", "sidecar/metrics"]],
    "k8s": [["cli"], ["cli/api", "cli/kube", "cli/live", "cli/mqtt"], ["cli/view", "k8s/cli", "k8s/injector"], ["cli/term", "k8s/patch"]],
    GROUND: [["net"], ["net/h2", "store/journal", "store/postgres"], ["store/shared"],
             ["net/conn", "net/cred", "net/kube_api", "store", "telemetry", "web"], ["proto/declaration"],
             ["proto/annotations", "proto/cloudevents", "proto/headers", "proto/link", "proto/mapping"],
             ["net/curl", "proto/dispatch", "proto/json", "proto/media", "proto/mqtt", "proto/props", "proto/reconnect", "proto/topic", "proto/webhook"],
             ["console", "core", "web/compat"]],
}
PLACES = {place: (tower, -floor) for tower, floors in FLOORS.items()
          for floor, places in enumerate(floors) for place in places}

PROGRAMS = ("sqmqos", "sqmqos-broker", "sqmqos-sidecar", "sqmqos-injector")

# Flat tables, whose members are as many as what they describe has.
TABLES = {
    "sq_broker_cfg": "configuration", "sq_broker_config": "configuration",
    "sq_bridge_cfg": "configuration", "sq_sidecar_cfg": "configuration", "sq_injector_config": "configuration",
    "sq_declared_push": "settings", "sq_mqtt_props": "decoded packet",
}


def sources():
    return sorted(str(p.relative_to(ROOT)) for room in ROOMS for p in (ROOT / room).rglob("*.[ch]"))


def place_of(path):
    return path if path in PLACES else os.path.dirname(path)


def is_below(low, high):
    """Whether the place 'high' may see the place 'low'."""
    if low == high:
        return True
    (tower, floor), (own_tower, own_floor) = PLACES[low], PLACES[high]
    if tower == own_tower:
        return floor < own_floor
    return tower == GROUND


def includes(paths):
    """{file: {file}} by #include."""
    known = set(paths)
    return {path: known & set(INCLUDE.findall((ROOT / path).read_text())) for path in paths}


def folders_given(command):
    """Our folders whose headers a compiler's command line gives."""
    given = re.findall(r" -I\S+/include/(\S+)", command)
    return {folder.replace(".", "/") for folder in given} & set(PLACES)


def compiled(build):
    """(source, object, folders whose headers it is given), of sources of the rooms that are built;
    a test that compiles one for itself, in a way of its own, is not asked."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"]).resolve()
        output = re.search(r" -o (\S+)", entry["command"])
        if output and not output[1].startswith("test/") and source.is_relative_to(ROOT) \
                and source.relative_to(ROOT).parts[0] in ROOMS:
            yield (str(source.relative_to(ROOT)), pathlib.Path(entry["directory"]) / output[1],
                   folders_given(entry["command"]))


def symbols(path):
    """(defined, needed) of an object."""
    shown = subprocess.run(["nm", "-P", "-g", str(path)], capture_output=True, text=True,
                           check=True).stdout
    defined, needed = set(), set()
    for line in shown.splitlines():
        name, kind = line.split()[:2]
        (needed if kind in "Uvw" else defined).add(name)
    return defined, needed


def definers(names):
    """{name: {file}} of {file: its names}."""
    found = collections.defaultdict(set)
    for path, defined in names.items():
        for name in defined:
            found[name].add(path)
    return found


def tower(path):
    return PLACES.get(place_of(path), (None,))[0]


def calls(defined, needed):
    """{file: {file}} by symbols: those of the file's own tower and the ground, or, where neither
    has it, of any other."""
    where = definers(defined)

    def of(source, name):
        near = {d for d in where[name] if tower(d) in (tower(source), GROUND)}
        return near or where[name]

    return {source: {d for name in names if name in where for d in of(source, name)} - {source}
            for source, names in needed.items()}


def tags(path):
    """Our tags that the file defines; structs, enums and unions share one name space in C."""
    return set(re.findall(r"^\s*(?:struct|enum|union) (sq_\w+)\s*\{", (ROOT / path).read_text(), re.M))


def programs(build):
    """{program: our sources that may end in it}: those of its libraries, whether or not the linker
    takes them, and without those that the build makes."""
    for name in PROGRAMS:
        said = subprocess.run(["ninja", "-C", str(build), "-t", "commands", name],
                              capture_output=True, text=True, check=True).stdout
        sources = (pathlib.Path(path).relative_to(ROOT) for path in re.findall(r" -c (\S+\.c)$", said, re.M))
        yield name, {str(path) for path in sources if path.parts[0] in ROOMS}


def with_headers(paths, included):
    """The files, and those that they include."""
    found, left = set(), set(paths)
    while left:
        found |= left
        left = {header for path in left for header in included[path]} - found
    return found


def defined_twice(names):
    """(name, its files) of each name of {file: its names} that several files define."""
    return sorted((name, sorted(paths)) for name, paths in definers(names).items()
                  if len(paths) > 1)


def circles(looks):
    """The strongly connected sets of more than one file (Tarjan's algorithm)."""
    index, low, on, stack, found = {}, {}, set(), [], []
    sys.setrecursionlimit(10000)

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


class Tree:
    """What the measures are taken of, and those that are too large."""

    def __init__(self, build):
        self.paths = sources()
        self.homeless = sorted({place_of(p) for p in self.paths} - set(PLACES))
        built = list(compiled(build))
        self.included = includes(self.paths)
        tables = {source: symbols(path) for source, path, _ in built if path.exists()}
        defined = {source: names - {"main"} for source, (names, _) in tables.items()}
        self.called = calls(defined, {source: names for source, (_, names) in tables.items()})
        self.defined_twice = self.ambiguous(build, defined)
        self.unbuilt = sorted({source for source, path, _ in built if not path.exists()})
        looks = {path: self.included[path] | self.called.get(path, set()) for path in self.paths}
        self.circles = circles(looks)
        self.includes_up = self.up(self.included)
        self.calls_up = self.up(self.called)
        self.seen_up = sorted({(place_of(source), folder) for source, _, folders in built
                               for folder in folders if place_of(source) in PLACES
                               and not is_below(folder, place_of(source))})
        self.long_files = [(path, n) for path in self.paths
                           if (n := len((ROOT / path).read_text().splitlines())) > LINES_OF_FILE]
        self.long_functions = [(path, name, n) for path in self.paths for name, n in functions(path)
                               if n > LINES_OF_FUNCTION]
        self.structs = sorted(((n, name, path) for path in self.paths for name, n in structs(path)
                               if name not in TABLES), reverse=True)

    def ambiguous(self, build, symbols_of):
        """(name, files) of each symbol and tag with two definitions in a program."""
        tags_of, found = {path: tags(path) for path in self.paths}, set()
        for _, linked in programs(build):
            for names, paths in ((symbols_of, linked),
                                 (tags_of, with_headers(linked, self.included))):
                twice = defined_twice({path: names.get(path, set()) for path in paths})
                found.update((name, *where) for name, where in twice)
        return sorted(found)

    @staticmethod
    def up(looks):
        return sorted((path, other) for path, others in looks.items() for other in others
                      if place_of(path) in PLACES and place_of(other) in PLACES
                      and not is_below(place_of(other), place_of(path)))

    def report(self):
        """Lines that name each thing that should not be."""
        for circle in self.circles:
            yield f"circle of {len(circle)}: {', '.join(circle)}"
        for path, other in self.includes_up:
            yield f"{path} includes {other}, which is not below it"
        for path, other in self.calls_up:
            yield f"{path} calls {other}, which is not below it"
        for place, folder in self.seen_up:
            yield f"{place} is given the headers of {folder}, which is not below it"
        for name, *paths in self.defined_twice:
            yield f"{name} is defined by {' and by '.join(paths)}"
        yield from self.too_large()

    def too_large(self):
        yield from (f"{path}: {n} lines" for path, n in self.long_files)
        yield from (f"{path}: {name}(): {n} lines" for path, name, n in self.long_functions)
        yield from (f"{path}: struct {name}: {n} members" for n, name, path in self.structs
                    if n > MEMBERS)

    def figures(self):
        """The figures of CONTRIBUTING.md."""
        n, name, _ = self.structs[0]
        rows = [("circles of files", len(self.circles)),
                ("includes that look up", len(self.includes_up)),
                ("calls that look up", len(self.calls_up)),
                ("names that one program defines twice", len(self.defined_twice)),
                (f"functions over {LINES_OF_FUNCTION} lines", len(self.long_functions)),
                (f"files over {LINES_OF_FILE} lines", len(self.long_files)),
                (f"members of the largest struct (`{name}`)", n)]
        return ["| measure | figure |", "|---|---|"] + [f"| {what} | {n} |" for what, n in rows]


def floors():
    """The table of floors of CONTRIBUTING.md."""
    yield "| | floors, from high to low |"
    yield "|---|---|"
    for tower, rows in FLOORS.items():
        names = (" ".join(f"`{place}`" for place in places) for places in rows)
        yield f"| {tower} | {' > '.join(names)} |"


def write(table):
    """Puts a table in the place of the one in CONTRIBUTING.md that has the same head."""
    path = ROOT / "CONTRIBUTING.md"
    old = re.search(rf"^{re.escape(table[0])}\n(\|.*\n)+", text := path.read_text(), re.M)[0]
    path.write_text(text.replace(old, "\n".join(table) + "\n"))


def check(tree):
    """Lines that say what is wrong with the tree; none where nothing is."""
    problems = [f"{place} has no floor in tools/structure.py" for place in tree.homeless]
    problems += [f"{source} is not built" for source in tree.unbuilt]
    return problems + list(tree.report())


def main():
    parser = argparse.ArgumentParser(prog="./dev structure")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--check", action="store_true",
                        help="fail if anything is not as it should be")
    parser.add_argument("--figures", action="store_true",
                        help="the tables of CONTRIBUTING.md alone")
    parser.add_argument("--write", action="store_true", help="write them there")
    args = parser.parse_args()
    tree = Tree(args.build)
    if args.figures:
        print("\n".join([*floors(), "", *tree.figures()]))
        return
    if args.write:
        write([*floors()])
        write(tree.figures())
        return
    problems = check(tree)
    for line in problems:
        print(line)
    if problems and args.check:
        sys.exit(f"structure: {len(problems)} faults")


if __name__ == "__main__":
    main()

"""Writes docs/compatibility.md from the table of clients and cases that the tests run
(test/support/matrix.py) and from where their versions are pinned:
python3 tools/compatibility.py"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "support"))

import matrix  # noqa: E402

PAGE = ROOT / "docs" / "compatibility.md"
CLIENTS = ROOT / "test" / "clients"

HEAD = """# Compatibility

What these clients do with SQMQOS, each in MQTT 3.1.1 and 5, at one sidecar and across two. `./dev test e2e/compatibility` runs the first ones,
`./dev compat` all of them; it fetches the others from their registries and builds them, once, into `~/.cache/sqmqos` (it needs Go, a JDK with
Maven, and Rust's cargo of 1.70 or newer). A ✓ is a case that these runs go through; one that failed would fail them. What each library shows of a refusal
is in [clients.md](clients.md), what the protocol itself demands in [conformance.md](conformance.md).
"""

TAIL = """
This page follows from `test/support/matrix.py`; `python3 tools/compatibility.py` writes it.
"""


def versions():
    """{name as in matrix.CLIENTS: version}, from the files that pin them."""
    pinned = {"paho-mqtt": re.search(r"^paho-mqtt==(\S+)",
                                     (ROOT / "examples/python/requirements.txt").read_text(), re.M)[1],
              "rumqttc": re.search(r'^rumqttc = \{ version = "=([^"]+)"',
                                   (CLIENTS / "agents/rust/Cargo.toml").read_text(), re.M)[1]}
    for name, version in re.findall(r"<artifactId>([\w-]+)</artifactId><version>([\d.]+)</version>\s*</dependency>",
                                    (CLIENTS / "agents/java/pom.xml").read_text()):
        pinned[name] = version
    for name, version in re.findall(r"^\t(github\.com/eclipse/\S+) v(\S+)$",
                                    (CLIENTS / "agents/go/go.mod").read_text(), re.M):
        pinned[name] = version
    return pinned


def page():
    pinned = versions()
    out = HEAD + "\n| client | version | run by |\n|---|---|---|\n"
    for c in matrix.CLIENTS:
        library = re.sub(r"\{([^}]+)\}", lambda m: pinned[m[1]], c.library)
        out += f"| {c.title} | {library} | `{c.where}` |\n"
    names = [name.replace("_", " ") for name in matrix.CASES]
    out += f"\n| client | MQTT | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}\n"
    for c in matrix.CLIENTS:
        for version in matrix.VERSIONS:
            out += f"| {c.title} | {version} | {' | '.join('✓' for _ in names)} |\n"
    out += "\n| case | the client |\n|---|---|\n"
    for name, (_, words) in matrix.CASES.items():
        out += f"| {name.replace('_', ' ')} | {words} |\n"
    return out + TAIL


if __name__ == "__main__":
    PAGE.write_text(page())

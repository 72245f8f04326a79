"""Writes docs/conformance.md: python3 tools/statements.py

It is made from test/conformance/mqtt-*.txt. A line there is

    number | the statement, in a few words | tests
    number | the statement, in a few words | - why it does not apply

A test is FILE::NAME below test/; FILE without a folder is e2e/test_FILE.py, where NAME is a
scenario, or a case that one of its scenarios runs (test/support/conformance.py). The line
`clients:` has the statements that bind clients alone. Numbers are those of the standards'
appendix B, all of them. test/e2e/test_conformance_table.py holds this to what is there."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "test" / "conformance"
PAGE = ROOT / "docs" / "conformance.md"
VERSIONS = {"3.1.1": 141, "5.0": 251}  # and how many statements appendix B has

HEAD = """# Conformance

What MQTT 3.1.1 and MQTT 5.0 demand of a server, statement by statement as their appendix B numbers them, and the test that proves it
(below `test/`; of `e2e/test_mqtt_*.py` and `e2e/test_conformance_*.py` a case of the file's scenario). Where a statement does not
apply, the reason stands in its place. `./dev test 'e2e/(mqtt|conformance)'` runs what most of them need; each case runs at one sidecar
and across two.

The words are ours; the standards' count:
[MQTT 3.1.1](https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html),
[MQTT 5.0](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html). What the standards leave open is in the
[user guide](user-guide.md#what-differs-from-a-plain-broker).

Where a limit of ours is below the standards' it answers with a reason code of theirs, which is no violation (MQTT 5.0 §4.13): of a SUBSCRIBE with
more than 2,048 filters each filter gets 0x97 in SUBACK (MQTT 3.1.1: 0x80), of such an UNSUBSCRIBE 0x83 (MQTT 3.1.1: UNSUBACK does not come), none of
them is made or ended, and the connection stays (`e2e/test_mqtt_subscribe.py::more_filters_than_a_packet_may_have`).

This page follows from `test/conformance/mqtt-*.txt`; `python3 tools/statements.py` writes it.
"""


@dataclasses.dataclass
class Statement:
    number: str
    words: str
    tests: list  # [(file below test/, name)]
    reason: str  # why it does not apply; "" where it does


def test_of(text):
    file, name = text.split("::")
    return (file if "/" in file else f"e2e/test_{file}.py"), name


def parse(text):
    """([Statement], [numbers of those that bind clients alone]); ValueError with the line."""
    statements, clients = [], []
    for n, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("clients: "):
            clients += line.split()[1:]
            continue
        fields = line.split(" | ")
        if len(fields) != 3 or not re.fullmatch(r"\d+\.\d+\.\d+-\d+", fields[0]):
            raise ValueError(f"line {n}: not `number | words | tests`: {line}")
        number, words, proof = fields
        reason = proof[2:] if proof.startswith("- ") else ""
        tests = [] if reason else [test_of(t) for t in proof.split()]
        if not reason and not tests:
            raise ValueError(f"line {n}: {number} has no test")
        statements.append(Statement(number, words, tests, reason))
    return statements, clients


def table(version):
    return parse((FOLDER / f"mqtt-{version}.txt").read_text())


def cell(text):
    return text.replace("|", "\\|")


def page():
    out = HEAD
    for version in VERSIONS:
        statements, clients = table(version)
        out += f"\n## MQTT {version}\n\n| MQTT- | in a few words | proved by |\n|---|---|---|\n"
        for s in statements:
            proof = s.reason or "<br>".join(f"`{file}::{name}`" for file, name in s.tests)
            out += f"| {s.number} | {cell(s.words)} | {cell(proof)} |\n"
        out += f"\nStatements that bind clients alone: {', '.join(clients)}.\n"
    return out


if __name__ == "__main__":
    PAGE.write_text(page())

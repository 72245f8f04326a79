"""docs/conformance.md is true: every statement of both standards is in its table, with
tests that there are and that are run, or with a reason."""

import re
import sys

import stack as parts
from conformance import cases
from scenario import load, scenarios

sys.path.insert(0, str(parts.ROOT / "tools"))
import statements as tables  # noqa: E402

TEST = parts.ROOT / "test"


def tests_of(path):
    """Names of the tests in a file: scenarios, with the cases that they run."""
    if path.suffix == ".c":
        return set(re.findall(r"^(?:Test\(\w+, |CONTRACT\()(\w+)", path.read_text(), re.M))
    names = set(scenarios(path))
    if "cases(globals())" in path.read_text():
        names |= {case.__name__ for case in cases(vars(load(path)))}
    return names


async def test_every_statement_has_a_test_or_a_reason(_env):
    known = {}
    wrong = []
    for version, count in tables.VERSIONS.items():
        statements, clients = tables.table(version)
        numbers = [s.number for s in statements] + clients
        assert len(set(numbers)) == len(numbers) == count, f"MQTT {version}: {len(set(numbers))}"
        for s in statements:
            for file, name in s.tests:
                path = TEST / file
                if path not in known:
                    known[path] = tests_of(path) if path.exists() else set()
                if name not in known[path]:
                    wrong.append(f"MQTT {version}, {s.number}: there is no {file}::{name}")
    assert not wrong, "\n".join(wrong)


async def test_a_statement_without_a_test_is_found(_env):
    for line in ("1.2.3-4 | words | ", "1.2.3-4 | words", "1.2.3 | words | a::b", "anything"):
        try:
            tables.parse(line)
        except ValueError:
            continue
        raise AssertionError(f"taken: {line}")


async def test_the_page_is_what_the_table_makes(_env):
    assert tables.PAGE.read_text() == tables.page(), "python3 tools/statements.py writes it"

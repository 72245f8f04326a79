"""The pages of the documentation, and what they name."""

import re

import stack as parts
from scenario import scenarios

TEST = re.compile(r"`((?:e2e|unit|contract|torture|fuzz|model|k8s)/[\w.]+\.(?:py|c|pml))(?:::(\w+))?`")


def pages():
    """Those in English."""
    docs = sorted((parts.ROOT / "docs").glob("*.md"))
    return [parts.ROOT / "README.md", parts.ROOT / "CONTRIBUTING.md", parts.ROOT / "CHANGELOG.md",
            parts.ROOT / "examples" / "README.md", *(p for p in docs if p not in translations())]


def translations():
    """The pages in another language, each with its original."""
    found = [*parts.ROOT.glob("*.zh-TW.md"), *(parts.ROOT / "docs").glob("*.zh-TW.md")]
    return {p: p.with_name(p.name.replace(".zh-TW", "")) for p in sorted(found)}


def tests_of(path):
    """Names of the tests in a file."""
    if path.suffix == ".py":
        return set(scenarios(path))
    return set(re.findall(r"^(?:Test\(\w+, |CONTRACT\()(\w+)", path.read_text(), re.M))


def assert_named(tests):
    """That there are these files and tests in them."""
    for file, name in tests:
        path = parts.ROOT / "test" / file
        assert path.exists(), f"there is no {file}"
        assert not name or name in tests_of(path), f"there is no {name} in {file}"

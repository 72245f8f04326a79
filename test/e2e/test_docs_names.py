"""What docs/versions.md names is there: tests, versions, pages."""

import re

import stack as parts
from pages import TEST, assert_named

VERSIONS = parts.ROOT / "docs" / "versions.md"


def found(path, pattern):
    """The only match of 'pattern' in a file of the repository."""
    return re.search(pattern, (parts.ROOT / path).read_text(), re.M)[1]


async def test_the_page_of_versions_names_tests_that_exist(_env):
    tests = TEST.findall(VERSIONS.read_text())
    assert len([name for _, name in tests if name]) >= 8
    assert_named(tests)


async def test_the_page_of_versions_names_those_that_are_tested(_env):
    text = VERSIONS.read_text()
    row = dict(re.findall(r"^\| ([\w ,']+?) \| ([^|]+?) \| ", text, re.M))
    harness = "test/k8s/harness/binaries.py"
    assert row["Kubernetes"] == found(harness, r'^KUBERNETES = "v([\d.]+)"') + ", one node"
    assert row["Helm"] == found(harness, r'^HELM = "v([\d.]+)"')
    chart = (parts.ROOT / "test" / "e2e" / "test_chart.py").read_text()
    for version in row["Kubernetes, the chart's text alone"].split(", "):
        assert f'"{version}"' in chart, version
    oldest, newest = (int(found("proto/link/frame.h", rf"^\s*{name} = (\d+),"))
                      for name in ("SQ_LINK_VERSION_MIN", "SQ_LINK_VERSION"))
    before = ", ".join(map(str, range(oldest, newest)))
    assert f"The link has versions {before} and {newest};" in text
    ours = found("CMakeLists.txt", r"^project\(sqmqos VERSION ([\d.]+)")
    assert ours == found("helm/sqmqos/Chart.yaml", r"^version: ([\d.]+)")
    for page in (VERSIONS, parts.ROOT / "CHANGELOG.md"):
        assert f"call themselves {ours}" in page.read_text(), page.name


async def test_the_changelog_begins_with_what_is_not_released(_env):
    parts_of = re.findall(r"^## (.+)$", (parts.ROOT / "CHANGELOG.md").read_text(), re.M)
    assert parts_of[0] == "[Unreleased]"
    for other in parts_of[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", other), other

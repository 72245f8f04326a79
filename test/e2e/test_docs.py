"""What the pages tell people to type works: each fenced block that starts with
```sh run is run against ./dev run (its ports 1883 and 1884 moved to free ones),
and ends with code 0. A block may use background jobs, as a second terminal."""

import os
import re

import clients
import stack as parts
from devrun import dev_run, free_ports
from pages import TEST, assert_named, pages
from scenario import scenario

BLOCK = re.compile(r"^```sh run\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


@scenario(timeout_s=300)
async def test_commands_in_the_pages_work(env):
    port = free_ports(2)
    run = await dev_run(env, "--port", port, "--data", env.folder / "data")
    await run.ready()
    ran = 0
    for page in pages():
        for block in BLOCK.findall(page.read_text()):
            script = re.sub(r"\b1883\b", str(port), block)
            script = re.sub(r"\b1884\b", str(port + 1), script)
            path = env.folder / f"{page.stem}-{ran}.sh"
            path.write_text("set -euo pipefail\n" + script)
            await clients.run(env, "bash", path, timeout_s=60,
                              environment=os.environ | {"DATA": str(env.folder / "data")})
            ran += 1
    assert ran >= 2, "no runnable block found"
    assert await run.end() == 0


async def test_links_between_the_pages_lead_somewhere(_env):
    for page in pages():
        for target, _ in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


async def test_the_readme_names_every_verb_that_dev_has(_env):
    verbs = re.findall(r"^verb_(\w+)\(\)", (parts.ROOT / "dev").read_text(), re.M)
    text = "".join(p.read_text() for p in pages())
    for verb in verbs:
        assert f"./dev {verb}" in text, f"no page speaks of ./dev {verb}"


async def test_every_promise_names_tests_that_exist(_env):
    text = (parts.ROOT / "docs" / "reliability.md").read_text()
    promises = text.split("## Promises")[1].split("\n## ")[0]
    named = re.split(r"^\*\*\d\. ", promises, flags=re.M)[1:]
    assert len(named) == 9
    for promise in named:
        assert TEST.search(promise), f"no test: {promise[:60]}"
    assert_named(TEST.findall(text))


async def test_every_attack_names_tests_that_exist(_env):
    """In each row; "…::name" is in the file that is named before."""
    text = (parts.ROOT / "docs" / "security.md").read_text()
    rows = [row for table in text.split("| attack | outcome | test |\n|---|---|---|\n")[1:]
            for row in table.split("\n\n")[0].splitlines()]
    assert len(rows) > 50
    file = None
    for row in rows:
        tests = re.findall(r"`(?:([\w/.]+)|…)::(\w+)`|`([\w/]+\.(?:py|c))`", row.split(" | ")[-1])
        assert tests, f"no test: {row[:60]}"
        for own, name, alone in tests:
            file = own or alone or file
            assert_named([(file, name)])

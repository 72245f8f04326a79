#!/usr/bin/env python3
"""Writes the tables of the broker's view into docs/view.md, from the list that a broker serves:
tools/view_page.py [URL], by default http://127.0.0.1:9090/v1/view."""

import json
import pathlib
import sys
import urllib.request

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "view.md"
HEADING = "## Tables\n"


def rendered(tables):
    """The section's text."""
    parts = []
    for table in tables:
        lines = [f"### `{table['table']}`", "", table["help"] + f" Its name is `{table['name']}`.", "",
                 "| column | type | |", "|---|---|---|"]
        for c in table["columns"]:
            kind = c["type"] + (f", {c['unit']}" if c["unit"] else "")
            lines.append(f"| `{c['column']}` | {kind} | {c['help']} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9090/v1/view"
    with urllib.request.urlopen(url, timeout=5) as answer:
        tables = json.load(answer)["tables"]
    before = PAGE.read_text().split(HEADING)[0]
    PAGE.write_text(before + HEADING + "\n" + rendered(tables))


if __name__ == "__main__":
    main()

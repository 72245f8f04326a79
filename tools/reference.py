"""Writes docs/configuration.md from what the programs print of themselves:
python3 tools/reference.py build/release"""

import pathlib
import subprocess
import sys

import stack

HEAD = """# Configuration

Each program takes a YAML file (`--config FILE`, or `SQMQOS_CONFIG`), then the environment, then flags; the later wins. The key
`tls.ca-file` is `ca-file:` below `tls:` in YAML, `SQMQOS_TLS_CA_FILE` in the environment, and `--tls.ca-file` as a flag. Sizes are
written as `4096`, `64Ki`, `8Mi` or `1Gi`, durations as `250ms`, `30s`, `5m` or `24h`. An unknown key is an error.

This page follows from the programs' own tables (`sqmqos-broker --help-markdown`); `python3 tools/reference.py build/release` writes it.
"""


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else stack.ROOT / "build" / "release")
    page = HEAD
    for program in ("sqmqos-sidecar", "sqmqos-broker", "sqmqos-injector"):
        table = subprocess.run([str(build / program), "--help-markdown"], check=True,
                               capture_output=True, text=True).stdout
        page += f"\n## {program}\n\n{table.strip()}\n"
    (stack.ROOT / "docs" / "configuration.md").write_text(page)


main()

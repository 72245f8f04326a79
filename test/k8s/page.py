"""Runs the commands of a page as they stand there: each block that starts with ```sh cluster,
and in the end those of ```sh cluster-end.  Names are others, for cases share a cluster, and helm
gets the values of a test release besides."""

import asyncio
import json
import os
import pathlib
import re

import release
from harness import paths

BLOCK = re.compile(r"^```sh (cluster|cluster-end)\n(.*?)^```$", re.M | re.S)

# In front of PATH: helm as a page calls it, with values of the test.
HELM = """#!/bin/sh
case $1 in
install | upgrade) exec {helm} "$@" --values {values} --timeout 100s ;;
esac
exec {helm} "$@"
"""


class Page:
    """What runs blocks of docs/'name'.  values: of the test's release; names: [(pattern, what
    stands there instead)], applied in order."""

    def __init__(self, env, name, values, names):
        self.env, self.names = env, names
        self.text = (release.ROOT / "docs" / name).read_text()
        self.tools = env.folder / "tools"
        self.ran = 0
        given = env.folder / "values.json"
        given.write_text(json.dumps(values))
        self.tools.mkdir()
        (self.tools / "kubectl").symlink_to(paths.BINARIES / "kubectl")
        helm = self.tools / "helm"
        helm.write_text(HELM.format(helm=paths.BINARIES / "helm", values=given))
        helm.chmod(0o755)

    def blocks(self, kind="cluster"):
        found = [text for k, text in BLOCK.findall(self.text) if k == kind]
        assert found
        return found

    async def run(self, text, timeout_s=200):
        for pattern, instead in self.names:
            text = re.sub(pattern, instead, text, flags=re.M)
        script = self.env.folder / f"block-{self.ran}.sh"
        script.write_text("set -euo pipefail\n" + text)
        self.ran += 1
        env = os.environ | {"KUBECONFIG": str(paths.KUBECONFIG),
                            "KUBECACHEDIR": str(paths.HOME / "kubectl-cache"),
                            "PATH": f"{self.tools}:{os.environ['PATH']}"}
        child = await asyncio.create_subprocess_exec(
            "bash", "-x", script, cwd=release.ROOT, env=env, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        try:
            out, _ = await asyncio.wait_for(child.communicate(), timeout_s)
        except BaseException:
            child.kill()
            raise
        assert child.returncode == 0, f"{pathlib.Path(script).name}:\n{out.decode()[-4000:]}"
        return out.decode()

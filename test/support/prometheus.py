"""A real Prometheus, which scrapes programs of a scenario."""

import asyncio
import http.client
import json
import shutil
import urllib.parse

import yaml

import stack as parts
from cluster import eventually
from scenario import Skip


class Prometheus:
    """Labels of the programs are those that a scrape on Kubernetes adds."""

    def __init__(self, env, programs, rules):
        if not shutil.which("prometheus"):
            raise Skip("there is no prometheus; ./dev test installs Debian's package")
        self.env, self.programs, self.rules = env, programs, rules
        self.port = parts.free_port()

    async def start(self):
        folder = self.env.folder / "prometheus"
        folder.mkdir()
        targets = [{"targets": [f"127.0.0.1:{p.admin_port}"], "labels": {"namespace": "test", "pod": f"p-{n}"}}
                   for n, p in enumerate(self.programs)]
        (folder / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self.rules)],
            "scrape_configs": [{"job_name": "sqmqos", "static_configs": targets}]}))
        with open(folder / "log", "wb") as log:
            process = await asyncio.create_subprocess_exec(
                "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}", stdout=log, stderr=log)
        self.env.processes.append(process)

        async def scrapes():
            try:
                found = (await self.get("targets"))["activeTargets"]
            except (OSError, http.client.HTTPException, ValueError):
                return False  # it does not serve yet
            return len(found) == len(targets) and all(t["health"] == "up" for t in found)
        await eventually(scrapes, "it scrapes each program", 30)
        return self

    async def get(self, path, **query):
        """What its API answers."""
        return await asyncio.to_thread(self._get, f"/api/v1/{path}?{urllib.parse.urlencode(query)}")

    def _get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", (path, answer)
        return answer["data"]

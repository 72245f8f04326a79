"""ElasticMQ, for ./dev bench --bridges: its JVM as it comes, with all that warms it."""

import json
import os
import pathlib
import shutil
import subprocess
import urllib.request

from chains import ROOT, Chain, stack

START_S = 90
ACCOUNT = "000000000000"
CONF = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
rest-stats.enabled = false
generate-node-address = false
aws {{ region = elasticmq, accountId = {account} }}
queues-storage.enabled = false
messages-storage.enabled = false
"""


def version():
    """That which test/sqs/setup.sh fetches."""
    for line in (ROOT / "test" / "sqs" / "elasticmq.sha256").read_text().splitlines():
        name = line.split()[1]
        if name.startswith("elasticmq-server_"):
            return name.rsplit("-", 1)[1].removesuffix(".jar")
    return "?"


class ElasticMQ(Chain):
    """One of them; 'url' is where it answers."""

    name, title = "elasticmq", "ElasticMQ"
    roles = ("central",)

    def missing(self):
        for program, package in (("java", "default-jre-headless"), ("mvn", "maven")):
            if not shutil.which(program):
                return f"{program} is not installed (Debian: {package})"
        return None

    def launch(self):
        """Its files were fetched before (test/sqs/setup.sh), or are now."""
        folder = os.environ.get("TEST_SQS") or subprocess.run(
            [ROOT / "test" / "sqs" / "setup.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        port = self.port()
        conf = self.folder / "elasticmq.conf"
        conf.write_text(CONF.format(port=port, account=ACCOUNT))
        self.spawn("central", [shutil.which("java"), "-Xmx1g", f"-Dconfig.file={conf}", "-cp",
                               f"{pathlib.Path(folder) / 'elasticmq'}/*", "org.elasticmq.server.Main"])
        self.listening("central", port, START_S)
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, action, **what):
        request = urllib.request.Request(self.url + "/", json.dumps(what).encode(), {
            "x-amz-target": f"AmazonSQS.{action}", "content-type": "application/x-amz-json-1.0"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def create(self, name):
        """A standard queue; its URL."""
        return self.ask("CreateQueue", QueueName=name)["QueueUrl"]

    def purge(self, queue):
        self.ask("PurgeQueue", QueueUrl=queue)

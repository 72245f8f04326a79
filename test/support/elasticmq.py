"""ElasticMQ, a server that speaks SQS and is strict about it, in a process of its own."""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import stack as parts
from scenario import Skip
from sqs_tools import folder

CONFIG = """
node-address {{ protocol = http, host = 127.0.0.1, port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
generate-node-address = false
aws {{ region = eu-central-1, accountId = 000000000000 }}
pekko.http.server.request-timeout = 40 s
queues-storage.enabled = false
messages-storage.enabled = false
"""


class ElasticMQ:
    """Its queues, and their messages, are gone when it ends."""

    def __init__(self, path, port=None):
        self.path, self.port, self.process = path, port or parts.free_port(), None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        if shutil.which("java") is None:
            raise Skip("there is no java")
        os.makedirs(self.path, exist_ok=True)
        with open(f"{self.path}/elasticmq.conf", "w") as f:
            f.write(CONFIG.format(port=self.port))
        log = open(f"{self.path}/elasticmq.log", "a")
        self.process = subprocess.Popen(
            ["java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dconfig.file={self.path}/elasticmq.conf",
             "-cp", f"{folder()}/elasticmq/*", "org.elasticmq.server.Main"],
            stdout=log, stderr=subprocess.STDOUT, cwd=self.path)
        log.close()
        self.wait()
        return self

    def wait(self):
        until = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None, f"ElasticMQ has ended: {self.path}/elasticmq.log"
            assert time.monotonic() < until, "ElasticMQ does not come up"
            time.sleep(0.1)

    def answers(self):
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=5).read()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    stop = kill

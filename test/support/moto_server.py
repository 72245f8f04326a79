"""moto's server of SQS, a second opinion beside ElasticMQ: it is lax."""

import subprocess
import time
import urllib.request

import stack as parts
from sqs_tools import folder


class Moto:
    def __init__(self, path, port=None):
        self.path, self.port, self.process = path, port or parts.free_port(), None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        with open(f"{self.path}/moto.log", "a") as log:
            self.process = subprocess.Popen([f"{folder()}/bin/moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
                                            stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).read()
                return self
            except OSError:
                assert self.process.poll() is None, f"moto has ended: {self.path}/moto.log"
                assert time.monotonic() < until, "moto does not come up"
                time.sleep(0.1)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

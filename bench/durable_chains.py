"""The chains of ./dev bench --durable: ours with durable sessions on disk, the
same with the memory engine (what a round trip takes without a disk), RabbitMQ."""

import signal
import time

import chains
from chains import stack
from rabbitmq import RabbitMQ

# Nothing is refused for want of room: what is measured is the store.
LIMITS = {"queue": {"max-messages": 4000000, "max-bytes": "16Gi"}}


class Durable:
    """Mixed into one of our chains."""

    engine = "embedded"

    def configs(self):
        trees = super().configs()
        kind, tree = trees["central"]
        tree = stack.merge(tree, LIMITS)
        tree["engine"] = self.engine
        tree["store"] = {"dir": str(self.folder / "store")}
        trees["central"] = (kind, tree)
        return trees

    def restart_broker(self, number):
        """Ends the broker by a signal and starts it; seconds from there to ready."""
        broker = self.programs["central"]
        broker.process.send_signal(number)
        broker.process.wait(60)
        if number == signal.SIGTERM and broker.process.returncode != 0:
            raise chains.ChainError(f"broker {stack.describe_exit(broker.process.returncode)}")
        began = time.monotonic()
        self.processes["central"] = broker.start().process
        while not broker.ready()[0]:
            if not broker.running() or time.monotonic() - began > 120:
                raise chains.ChainError(f"broker is not ready again: {broker.last_words()}")
            time.sleep(0.002)
        return time.monotonic() - began

    def broker_anon_kib(self):
        with open(f"/proc/{self.programs['central'].pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))

    def broker_metric(self, name):
        _, body = self.programs["central"].get("/metrics", 10)
        return next((float(line.split()[-1]) for line in body.splitlines()
                     if line.startswith(name + " ")), None)


class Clear(Durable, chains.OursClear):
    name = "clear"
    title = "SQMQOS, clear"


class TLS(Durable, chains.OursTLS):
    name = "tls"
    title = "SQMQOS, TLS 1.3"


class MemoryClear(Clear):
    name = "memory-clear"
    title = "memory engine, clear"
    engine = "memory"


class MemoryTLS(TLS):
    name = "memory-tls"
    title = "memory engine, TLS 1.3"
    engine = "memory"


DISK = (RabbitMQ, Clear, TLS)
MEMORY = {"clear": MemoryClear, "tls": MemoryTLS}

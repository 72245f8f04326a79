"""A RabbitMQ node, for ./dev bench --durable with its MQTT plugin, and for --bridges: its own epmd,
cookie, node name and data, all below the run's folder, all on loopback."""

import os
import subprocess

import chains
import rabbit_node
from chains import stack

START_S = 60

CONF = """\
# No limits, as nothing of ours is: no alarm that blocks publishers.
vm_memory_high_watermark.relative = 0.8
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = warning
log.file = false
"""
MQTT = """\
listeners.tcp = none
mqtt.listeners.tcp.default = 127.0.0.1:{port}
mqtt.allow_anonymous = true
mqtt.default_user = guest
mqtt.default_pass = guest
mqtt.prefetch = 1000
"""
AMQP = "listeners.tcp.default = 127.0.0.1:{port}\n"


class RabbitMQ(chains.Chain):
    """One node; publisher and subscriber connect to it directly, in the clear."""

    name = "rabbitmq"
    title = "RabbitMQ, one node"
    roles = ("epmd", "central")
    plugins, listener = "[rabbitmq_mqtt].\n", MQTT

    def missing(self):
        return rabbit_node.missing()

    @staticmethod
    def version():
        return rabbit_node.version()

    def spawn_in(self, role, argv, environment):
        with open(self.folder / f"{role}.log", "ab") as log:
            self.processes[role] = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=environment, start_new_session=True,
                preexec_fn=stack.in_child)

    def launch(self):
        epmd, dist, port = (self.port() for _ in range(3))
        (self.folder / "rabbitmq.conf").write_text(self.listener.format(port=port) + CONF)
        (self.folder / "enabled_plugins").write_text(self.plugins)
        environment = rabbit_node.environment(
            self.folder, f"sqmqos-bench-{os.getpid()}-{self.starts}", epmd, dist)
        self.spawn_in("epmd", ["epmd", "-port", epmd, "-address", "127.0.0.1"], environment)
        self.listening("epmd", epmd)
        self.spawn_in("central", [rabbit_node.SERVER], environment)
        self.listening("central", port, START_S)
        self.serving = port
        self.pub = self.sub = f"127.0.0.1:{port}"

    def pids(self):
        """The node itself is a child of its start script."""
        node = rabbit_node.beam(self.processes["central"]) if "central" in self.processes else None
        return {"central": node} if node else {}

    def stop(self):
        for role in ("central", "epmd"):
            if role in self.processes:
                rabbit_node.end(self.processes[role])
        self.processes = {}
        self.taken = set()


class Broker(RabbitMQ):
    """One node of AMQP alone, at the port 'serving'."""

    plugins, listener = "[].\n", AMQP

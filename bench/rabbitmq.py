"""A RabbitMQ node with its MQTT plugin, for ./dev bench --durable: its own epmd,
cookie, node name and data, all below the run's folder, all on loopback."""

import os
import pathlib
import signal
import subprocess
import time

import chains
from chains import stack

SERVER = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 60

CONF = """\
listeners.tcp = none
mqtt.listeners.tcp.default = 127.0.0.1:{mqtt}
mqtt.allow_anonymous = true
mqtt.default_user = guest
mqtt.default_pass = guest
mqtt.prefetch = 1000
# No limits, as nothing of ours is: no alarm that blocks publishers.
vm_memory_high_watermark.relative = 0.8
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = warning
log.file = false
"""


class RabbitMQ(chains.Chain):
    """One node; publisher and subscriber connect to it directly, in the clear."""

    name = "rabbitmq"
    title = "RabbitMQ, one node"
    roles = ("epmd", "central")

    def missing(self):
        return None if SERVER.exists() else "RabbitMQ is not installed (Debian: rabbitmq-server)"

    @staticmethod
    def version():
        found = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
        return found[-1].name.split("-", 1)[1] if found else "none"

    def environment(self, epmd, dist):
        """Nothing from /etc, nothing in /var, nobody reachable from outside."""
        folder = self.folder
        return stack.clean_environment() | {
            "HOME": str(folder),  # the cookie's place
            "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": f"sqmqos-bench-{os.getpid()}-{self.starts}@localhost",
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }

    def spawn_in(self, role, argv, environment):
        with open(self.folder / f"{role}.log", "ab") as log:
            self.processes[role] = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=environment, start_new_session=True,
                preexec_fn=stack.in_child)

    def launch(self):
        epmd, dist, mqtt = (self.port() for _ in range(3))
        (self.folder / "rabbitmq.conf").write_text(CONF.format(mqtt=mqtt))
        (self.folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        environment = self.environment(epmd, dist)
        self.spawn_in("epmd", ["epmd", "-port", epmd, "-address", "127.0.0.1"], environment)
        self.listening("epmd", epmd)
        self.spawn_in("central", [SERVER], environment)
        self.listening("central", mqtt, START_S)
        self.pub = self.sub = f"127.0.0.1:{mqtt}"

    def pids(self):
        """The node itself is a child of its start script."""
        pids = super().pids()
        found = subprocess.run(["pgrep", "-s", str(pids["central"]), "beam"],
                               capture_output=True, text=True).stdout.split()
        return {"central": int(found[0])} if found else {}

    def stop(self):
        """The node leaves helpers behind when only its script ends."""
        for role in ("central", "epmd"):
            process = self.processes.get(role)
            if process is None:
                continue
            self.end_group(process, signal.SIGTERM, 10)
            self.end_group(process, signal.SIGKILL, 10)
        self.processes = {}
        self.taken = set()

    @staticmethod
    def end_group(process, number, timeout_s):
        """Signals all of a session of ours and waits until none of it is left."""
        deadline = time.monotonic() + timeout_s
        try:
            os.killpg(process.pid, number)
            while time.monotonic() < deadline:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            pass

"""RabbitMQ for scenarios: one node, or three in a cluster, Debian's programs in folders of the test's own.
Nothing is shared with a server of this machine, and nothing is left of it.

    with Rabbit(folder) as rabbit:           # about 5 seconds; three nodes: nodes=3
        rabbit.urls                          # ["amqp://127.0.0.1:PORT"]
        channel = rabbit.channel()           # pika's, blocking
        rabbit.nodes[0].kill(); rabbit.nodes[0].start()
        rabbit.ctl("set_vm_memory_high_watermark", "0.0000001")

All calls block: from asyncio by asyncio.to_thread() where that matters."""

import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import time

import peers
import rabbit_node
import stack as parts
from scenario import Skip

USER, PASSWORD = "bridge", "secret of the bridge"
START_S = 90

CONF = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
default_user = {user}
default_pass = {password}
loopback_users = none
vm_memory_high_watermark.relative = 0.8
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = warning
log.file = false
cluster_partition_handling = ignore
"""

CONF_TLS = """\
listeners.ssl.1 = 127.0.0.1:{amqps}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {cert}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = {clients}
"""


# What list_queues says of a quorum queue is some seconds old.
MESSAGES = """\
{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)),
case amqqueue:get_type(Q) of
  rabbit_quorum_queue ->
    {{ok, {{_, N}}, _}} = ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), N;
  _ -> [{{messages, N}}] = rabbit_amqqueue:info(Q, [messages]), N
end."""

CONTROL = """\
#!/bin/sh
# For programs in C: away, back, left QUEUE.
{environment}
ctl() {{ {ctl} -q -n {name}@localhost "$@"; }}
case $1 in
away) ctl suspend_listeners >&2 && ctl close_all_connections away >&2 ;;
back) ctl resume_listeners >&2 ;;
left) ctl eval "$(sed "s/QUEUE/$2/" {expression})" ;;
esac
"""


class Node:
    """One node; made by Rabbit."""

    def __init__(self, rabbit, name):
        self.rabbit, self.name = rabbit, name
        self.folder = rabbit.folder / name
        self.dist, self.amqp, self.amqps = (rabbit.port() for _ in range(3))
        self.process = None

    @property
    def url(self):
        return f"amqp://127.0.0.1:{self.amqp}"

    @property
    def tls_url(self):
        return f"amqps://localhost:{self.amqps}"

    def environment(self):
        return rabbit_node.environment(
            self.folder, self.name, self.rabbit.epmd_port, self.dist, home=self.rabbit.folder, beam="+sbwt none")

    def write(self):
        self.folder.mkdir()
        conf = CONF.format(amqp=self.amqp, user=USER, password=PASSWORD) + self.rabbit.conf
        if self.rabbit.tls:
            conf += CONF_TLS.format(amqps=self.amqps, **self.rabbit.tls)
        if len(self.rabbit.nodes) > 1:
            conf += "cluster_formation.peer_discovery_backend = classic_config\n" + "".join(
                f"cluster_formation.classic_config.nodes.{i} = {node.name}@localhost\n"
                for i, node in enumerate(self.rabbit.nodes, 1))
        (self.folder / "rabbitmq.conf").write_text(conf)
        (self.folder / "enabled_plugins").write_text(
            "[" + ",".join(self.rabbit.plugins) + "].\n")

    def start(self, wait=True):
        self.process = self.rabbit.spawn(self.name, [rabbit_node.SERVER], self.environment())
        if wait:
            self.wait()
        return self

    def wait(self):
        self.rabbit.listening(self.process, self.name, self.amqp)

    def signal(self, number):
        beam = rabbit_node.beam(self.process)
        if beam:
            os.kill(beam, number)

    def stop(self):
        """Stands still: it neither reads nor ends."""
        self.signal(signal.SIGSTOP)

    def cont(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.process:
            rabbit_node.end_group(self.process, signal.SIGKILL, 10)
            self.process = None

    def end(self):
        if self.process:
            self.cont()
            self.kill()

    def ctl(self, *args, timeout_s=60):
        done = subprocess.run([str(rabbit_node.CTL), "-q", "-n", f"{self.name}@localhost", *map(str, args)],
                              env=self.environment(), capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, f"rabbitmqctl {args}: {done.stdout}{done.stderr}"
        return done.stdout


class Rabbit:
    """Nodes n1, n2, ...  'authority': of client_ca.ClientCa, for TLS; 'clients': certificates are wanted
    of clients, whose CN is who they are (EXTERNAL, too). Its processes end with the thread that starts it."""

    def __init__(self, folder, nodes=1, authority=None, clients=False, names=("IP:127.0.0.1", "DNS:localhost"), conf=""):
        if rabbit_node.missing():
            raise Skip(rabbit_node.missing())
        self.pika = peers.imported("pika")  # before anything runs: it may be what is not there
        self.folder = pathlib.Path(folder).resolve() / "rabbit"
        self.folder.mkdir(parents=True)
        self.taken, self.connections = set(), []
        self.epmd_port, self.epmd, self.conf = self.port(), None, conf
        self.plugins, self.tls, self.authority = [], None, authority
        if authority:
            cert, key = authority.issue("rabbit", *names, usage="serverAuth")
            self.tls = {"ca": authority.pem, "cert": cert, "key": key, "clients": str(clients).lower()}
            self.conf += "auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n"
            self.plugins.append("rabbitmq_auth_mechanism_ssl")
        self.nodes = [Node(self, f"n{n}-{self.epmd_port}") for n in range(1, nodes + 1)]

    def port(self):
        port = parts.free_port(self.taken)
        self.taken.add(port)
        return port

    def spawn(self, name, argv, environment):
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    cwd=self.folder, env=environment, start_new_session=True,
                                    preexec_fn=parts.in_child)

    def listening(self, process, name, port):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert process.poll() is None, f"{name} has ended: {(self.folder / f'{name}.log').read_text()[-2000:]}"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{name} does not listen on port {port}")

    def start(self):
        for node in self.nodes:
            node.write()
        self.epmd = self.spawn("epmd", ["epmd", "-port", self.epmd_port, "-address", "127.0.0.1"],
                               self.nodes[0].environment())
        self.listening(self.epmd, "epmd", self.epmd_port)
        self.nodes[0].start()
        for node in self.nodes[1:]:
            node.start(wait=False)
        for node in self.nodes[1:]:
            node.wait()
        return self

    @property
    def urls(self):
        return [node.url for node in self.nodes]

    @property
    def tls_urls(self):
        return [node.tls_url for node in self.nodes]

    def ctl(self, *args, **options):
        return self.nodes[0].ctl(*args, **options)

    def connection(self, node=0, **options):
        """pika's, blocking; it goes at the end."""
        pika = self.pika
        made = pika.BlockingConnection(pika.ConnectionParameters(
            host="127.0.0.1", port=self.nodes[node].amqp, heartbeat=0,
            credentials=pika.PlainCredentials(USER, PASSWORD), **options))
        self.connections.append(made)
        return made

    def channel(self, node=0, **options):
        return self.connection(node, **options).channel()

    def messages(self, queue):
        """Those that are ready, and those that are out and not acknowledged."""
        return int(self.ctl("eval", MESSAGES.format(queue=queue)))

    def away(self, away=True):
        """Its connections go, and nobody comes in; or does again."""
        for node in self.nodes:
            node.ctl("suspend_listeners" if away else "resume_listeners")
            if away:
                node.ctl("close_all_connections", "away")

    def control(self):
        """A program that does the same for one in C."""
        node, program, expression = self.nodes[0], self.folder / "control", self.folder / "messages.erl"
        expression.write_text(MESSAGES.format(queue="QUEUE"))
        own = {k: v for k, v in node.environment().items() if k.startswith(("RABBITMQ_", "ERL_")) or k == "HOME"}
        program.write_text(CONTROL.format(
            environment="\n".join(f"export {k}={shlex.quote(v)}" for k, v in own.items()),
            ctl=rabbit_node.CTL, name=node.name, expression=expression))
        program.chmod(0o700)
        return program

    def credentials(self):
        """Files of who the bridge is: user, password."""
        files = self.folder / "user", self.folder / "password"
        for file, text in zip(files, (USER, PASSWORD)):
            parts.write_private(file, text + "\n")
        return files

    def close(self):
        for connection in self.connections:
            try:
                connection.close()
            except Exception:  # its node may have ended before it
                pass
        for node in self.nodes:
            node.end()
        if self.epmd:
            rabbit_node.end(self.epmd)
        for node in self.nodes:
            shutil.rmtree(node.folder / "data", ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

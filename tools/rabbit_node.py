"""One RabbitMQ node, Debian's programs in a folder of its own: nothing from /etc, nothing in /var, nobody
reachable from outside.  Nodes of one cluster share a cookie, and an epmd of their own."""

import os
import pathlib
import signal
import subprocess
import time

import stack

SERVER = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CTL = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


def missing():
    """What must be there and isn't, or None."""
    return None if SERVER.exists() else "RabbitMQ is not installed (Debian: rabbitmq-server)"


def version():
    found = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return found[-1].name.split("-", 1)[1] if found else "none"


def environment(folder, name, epmd, dist, home=None, beam=""):
    """Of a node, and of rabbitmqctl that speaks to it; 'home' has the cookie, 'beam': more for erl."""
    folder = pathlib.Path(folder)
    return stack.clean_environment() | {
        "HOME": str(home or folder),
        "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_AFLAGS": "-start_epmd false",  # a node, or rabbitmqctl, that finds none would leave one behind
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {beam}".strip(),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }


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


def end(process):
    """A node leaves helpers behind when only its script ends."""
    end_group(process, signal.SIGTERM, 10)
    end_group(process, signal.SIGKILL, 10)


def beam(process):
    """The node itself, a child of its start script; None: there is none."""
    found = subprocess.run(["pgrep", "-s", str(process.pid), "beam"], capture_output=True, text=True).stdout.split()
    return int(found[0]) if found else None

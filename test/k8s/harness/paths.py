"""Where the cluster and its caches are.  Fixed places: any clone on this machine
finds the cluster that is up."""

import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
MODULE = HERE.parent / "node"

NAME = "sqmqos-k8s"  # the network namespace, the folder of control groups, the host's name
HOME = pathlib.Path("/var/lib/sqmqos-cluster")
LOCK = pathlib.Path("/run/sqmqos-cluster.lock")
NETNS = pathlib.Path("/run/netns") / NAME
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sqmqos"

PKI = HOME / "pki"
LOGS = HOME / "logs"
CONFIG = HOME / "config"
VOLUMES = HOME / "volumes"
FAILED_LOGS = pathlib.Path("/tmp/sqmqos-cluster-failed")
KUBECONFIG = HOME / "kubeconfig"
STATE = HOME / "state.json"  # written last: without it, what is there is a ruin
BINARIES = HOME / "bin"      # a link to the cache's folder

# As seen on the node, whose /run is its own.
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

NODE_ADDRESS = "10.77.0.1"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"
API_PORT = 6443

"""What the node runs: for each program its command line, and its configuration."""

import json

from . import paths, pki


def etcd():
    return ["etcd", "--name", "node", "--data-dir", paths.HOME / "etcd", "--unsafe-no-fsync",
            "--log-level", "warn", "--listen-client-urls", "http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379",
            "--listen-peer-urls", "http://127.0.0.1:2380",
            "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
            "--initial-cluster", "node=http://127.0.0.1:2380"]


def kube_apiserver():
    key = paths.PKI
    return [paths.BINARIES / "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={paths.NODE_ADDRESS}",
            f"--secure-port={paths.API_PORT}",
            f"--service-cluster-ip-range={paths.SERVICE_NETWORK}",
            f"--client-ca-file={key}/ca.crt",
            f"--tls-cert-file={key}/apiserver.crt",
            f"--tls-private-key-file={key}/apiserver.key",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={key}/sa.key",
            f"--service-account-key-file={key}/sa.pub",
            f"--kubelet-client-certificate={key}/apiserver-kubelet.crt",
            f"--kubelet-client-key={key}/apiserver-kubelet.key",
            "--kubelet-preferred-address-types=InternalIP",
            # It asks of etcd what 3.4 does not have.
            "--feature-gates=SizeBasedListCostEstimate=false",
            "--allow-privileged=true", "--profiling=false"]


def kube_controller_manager():
    config = paths.CONFIG / "kube-controller-manager.kubeconfig"
    return [paths.BINARIES / "kube-controller-manager",
            f"--kubeconfig={config}",
            f"--root-ca-file={paths.PKI}/ca.crt",
            f"--service-account-private-key-file={paths.PKI}/sa.key",
            "--use-service-account-credentials=true", "--leader-elect=false"]


def kube_scheduler():
    return [paths.BINARIES / "kube-scheduler", "--leader-elect=false",
            f"--kubeconfig={paths.CONFIG}/kube-scheduler.kubeconfig"]


def kube_proxy():
    return [paths.BINARIES / "kube-proxy", "--proxy-mode=iptables",
            f"--kubeconfig={paths.CONFIG}/kube-proxy.kubeconfig",
            f"--hostname-override={pki.NODE}", f"--cluster-cidr={paths.POD_NETWORK}",
            # A namespace of its own may not write these.
            "--conntrack-max-per-core=0", "--conntrack-min=0",
            "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s"]


def kubelet():
    return [paths.BINARIES / "kubelet", f"--config={paths.CONFIG}/kubelet.json",
            f"--kubeconfig={paths.CONFIG}/kubelet.kubeconfig",
            f"--hostname-override={pki.NODE}", f"--node-ip={paths.NODE_ADDRESS}",
            f"--root-dir={paths.HOME}/kubelet"]


def containerd():
    return ["containerd", "--config", paths.CONFIG / "containerd.toml"]


ALL = {"etcd": etcd, "containerd": containerd, "kube-apiserver": kube_apiserver,
       "kube-controller-manager": kube_controller_manager, "kube-scheduler": kube_scheduler,
       "kube-proxy": kube_proxy, "kubelet": kubelet}


# ---- configuration

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                       "x509": {"clientCAFile": str(paths.PKI / "ca.crt")}},
    "authorization": {"mode": "Webhook"},
    "containerRuntimeEndpoint": f"unix://{paths.CONTAINERD_SOCKET}",
    "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{paths.NAME}",
    # Rights over limits and the OOM killer may be missing here: then it only says so.
    "featureGates": {"KubeletInUserNamespace": True},
    "failSwapOn": False,
    "clusterDNS": [paths.DNS_SERVICE], "clusterDomain": paths.DOMAIN,
    "resolvConf": str(paths.CONFIG / "resolv.conf"),
    # The defaults look every minute; an edited annotation shall reach its file at once.
    "syncFrequency": "5s", "configMapAndSecretChangeDetectionStrategy": "Watch",
    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%",
                     "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
    "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
    "maxPods": 250, "serializeImagePulls": False,
}

CONTAINERD = """version = 2
root = "{home}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
	"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
disable_hugetlb_controller = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{config}/cni"
"""

# Each pod on a link of its own, so that all traffic is routed and kube-proxy's rules
# hold between pods of one node, too.
CNI = {"cniVersion": "0.4.0", "name": paths.NAME, "plugins": [
    {"type": "ptp", "ipMasq": False, "ipam": {
        "type": "host-local", "ranges": [[{"subnet": paths.POD_NETWORK}]],
        "dataDir": str(paths.HOME / "addresses"), "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}


def write_configuration(pause):
    """Writes every file that the command lines name. pause: the image of pods' first process."""
    (paths.CONFIG / "cni").mkdir(parents=True, exist_ok=True)
    (paths.CONFIG / "kubelet.json").write_text(json.dumps(KUBELET, indent=1))
    (paths.CONFIG / "containerd.toml").write_text(CONTAINERD.format(
        home=paths.HOME, config=paths.CONFIG, socket=paths.CONTAINERD_SOCKET, pause=pause))
    (paths.CONFIG / "cni" / "10-test.conflist").write_text(json.dumps(CNI, indent=1))
    (paths.CONFIG / "resolv.conf").write_text("# nothing outside is reached\n")

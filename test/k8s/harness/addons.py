"""What is applied to every new cluster: its StorageClass and its DNS."""

import subprocess

from . import images, node, paths

MANIFEST = paths.HERE.parent / "addons.yaml"


def text():
    return MANIFEST.read_text().replace("@DOMAIN@", paths.DOMAIN) \
        .replace("@DNS@", paths.DNS_SERVICE).replace("@IMAGE@", images.reference("coredns"))


def apply():
    done = subprocess.run(
        ["nsenter", f"--net={paths.NETNS}", paths.BINARIES / "kubectl", "apply", "-f", "-"],
        env={"KUBECONFIG": str(paths.KUBECONFIG), "HOME": str(paths.HOME), "PATH": "/usr/bin:/bin"},
        input=text(), text=True, capture_output=True, check=False)
    if done.returncode:
        raise node.Broken(f"the cluster's own parts: {done.stderr}")

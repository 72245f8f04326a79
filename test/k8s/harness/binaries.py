"""Builds the programs of the cluster once, into a cache outside the clone.

The cache's key is made of test/k8s/node and of this file, so a changed version
builds anew and an old clone still finds its own."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from . import paths

KUBERNETES = "v1.34.4"
HELM = "v3.19.0"
COREDNS = "v1.13.1"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy",
              "kubelet", "kubectl")


def key():
    text = hashlib.sha256()
    for path in (*sorted(paths.MODULE.iterdir()), pathlib.Path(__file__)):
        text.update(path.name.encode() + b"\0" + path.read_bytes())
    return text.hexdigest()[:16]


def folder():
    return paths.CACHE / f"k8s-{key()}"


def say(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def run_go(work, *argv, cwd=None, what):
    """Runs go for a build; raises with the end of what it said."""
    env = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(work), "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(["nice", "go", *argv], cwd=cwd, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} does not build:\n{done.stdout[-2000:]}")


def build_kubernetes(work):
    major, minor = KUBERNETES.lstrip("v").split(".")[:2]
    version = "k8s.io/component-base/version"
    flags = f"-s -w -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor={major}" \
            f" -X {version}.gitMinor={minor} -X {version}.gitTreeState=clean"
    run_go(work, "build", "-trimpath", "-ldflags", flags, "-o", str(work / "kubernetes"), ".",
           cwd=paths.MODULE, what=f"Kubernetes {KUBERNETES}")
    for name in COMPONENTS:
        (work / name).symlink_to("kubernetes")


def build_helm(work):
    # Without these, `helm template` takes every cluster for 1.20.
    major, minor = KUBERNETES.lstrip("v").split(".")[:2]
    module = "helm.sh/helm/v3/pkg/chartutil"
    flags = f"-s -w -X {module}.k8sVersionMajor={major} -X {module}.k8sVersionMinor={minor}"
    run_go(work, "install", "-trimpath", "-ldflags", flags, f"helm.sh/helm/v3/cmd/helm@{HELM}",
           what=f"helm {HELM}")


def build_coredns(work):
    run_go(work, "install", "-trimpath", "-ldflags", "-s -w",
           f"github.com/coredns/coredns@{COREDNS}", what=f"CoreDNS {COREDNS}")


def ensure():
    """The folder with all programs, built where it is missing (about 10 minutes)."""
    wanted = folder()
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    with open(paths.CACHE / "k8s.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at a time, one would do it for nothing
        if wanted.exists():
            return wanted
        work = pathlib.Path(tempfile.mkdtemp(prefix=f"{wanted.name}.", dir=paths.CACHE))
        work.chmod(0o755)
        try:
            for step, what in ((build_kubernetes, f"Kubernetes {KUBERNETES}"),
                               (build_helm, f"helm {HELM}"),
                               (build_coredns, f"CoreDNS {COREDNS}")):
                say(f"building {what}, once for this machine")
                step(work)
            work.rename(wanted)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return wanted

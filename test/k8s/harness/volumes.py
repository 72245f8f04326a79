"""Keeps local PersistentVolumes at hand: the provisioner of a cluster that has none.

A process on the node.  It keeps AVAILABLE volumes free for claims, and removes a
volume with its folder when its claim is gone."""

import http.client
import itertools
import shutil
import sys
import time

from . import api, paths, pki

AVAILABLE = 8
CLASS = "local"
EVERY_S = 1


def volume(name):
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "100Gi"}, "volumeMode": "Filesystem",
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": CLASS,
            "local": {"path": str(paths.VOLUMES / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [pki.NODE]}]}]}},
        }}


def keep(server):
    """One look: removes what was released, makes what is missing."""
    names = set()
    available = 0
    for found in server.list("persistentvolumes"):
        name = found["metadata"]["name"]
        phase = found.get("status", {}).get("phase")
        if found["spec"].get("storageClassName") != CLASS:
            continue
        names.add(name)
        if phase in ("Released", "Failed"):
            server.delete("persistentvolumes", name)
            shutil.rmtree(paths.VOLUMES / name, ignore_errors=True)
        elif phase in ("Available", "Pending", None):
            available += 1
    numbers = itertools.count(1)
    while available < AVAILABLE:
        name = f"volume-{next(numbers)}"
        if name not in names:
            (paths.VOLUMES / name).mkdir(parents=True, exist_ok=True)
            server.create("persistentvolumes", volume(name))
            available += 1


def main():
    server = api.Api()
    while True:
        try:
            keep(server)
        except (OSError, http.client.HTTPException, api.Refused) as e:
            print(f"volumes: {e}", file=sys.stderr, flush=True)  # it may be stopped by a test
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()

"""Trees of the workloads that the cases run, of the client image and apps/app.py."""

import pathlib

from recorder import Recorder

APP = pathlib.Path(__file__).parent / "apps" / "app.py"
ON = {"sqmqos.io/inject": "true"}


class Apps:
    """The apps of a case: their script, their recorder, and workloads of them."""

    def __init__(self, k8s, recorder):
        self.k8s = k8s
        self.recorder = recorder

    def container(self, *words, **more):
        """A container that runs app.py with these words."""
        return {"name": "app", "image": self.k8s.client_image, "imagePullPolicy": "Never",
                "command": ["python3", "/apps/app.py", *map(str, words)],
                "env": [{"name": "RECORDER", "value": self.recorder.address}],
                "volumeMounts": [{"name": "apps", "mountPath": "/apps"}]} | more

    def spec(self, *words, container=None, **more):
        return {"terminationGracePeriodSeconds": 10,
                "containers": [self.container(*words, **(container or {}))],
                "volumes": [{"name": "apps", "configMap": {"name": "apps"}}]} | more

    def template(self, name, *words, annotations=None, labels=ON, **more):
        metadata = {"labels": {"app": name} | labels}
        if annotations:
            metadata["annotations"] = {f"sqmqos.io/{k}": v for k, v in annotations.items()}
        return {"metadata": metadata, "spec": self.spec(*words, **more)}

    def pod(self, name, *words, **more):
        template = self.template(name, *words, **more)
        template["metadata"]["name"] = name
        return {"apiVersion": "v1", "kind": "Pod"} | template

    def deployment(self, name, *words, replicas=1, strategy=None, **more):
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": self.template(name, *words, **more)}
        if strategy:
            spec["strategy"] = strategy
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": spec}

    def job(self, name, *words, **more):
        template = self.template(name, *words, restartPolicy="Never", **more)
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                "spec": {"backoffLimit": 0, "template": template}}

    async def config_map(self, namespace=None):
        await self.k8s.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "apps"},
                              "data": {"app.py": APP.read_text()}}, namespace)


async def apps(k8s):
    """The case's apps; their recorder listens as long as its process lives."""
    made = Apps(k8s, await Recorder(k8s.folder / "events").start())
    await made.config_map()
    return made

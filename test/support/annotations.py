"""Annotations as the downward API writes them: one file of key="value" lines, the value
quoted as Go's strconv.Quote does, or a folder with a file for each."""

import os
import pathlib
import shutil

from pods import render


class AnnotationsFile:
    """A folder as the kubelet keeps it: 'annotations' is a link into ..data,
    which is a link that is swapped on every change."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.generation = 0

    @property
    def path(self):
        return self.folder / "annotations"

    def write(self, subscribe=None, **more):
        """sqmqos.io/subscribe, and other annotations of a pod around it."""
        annotations = {"kubernetes.io/config.seen": "2026-01-31T12:00:00.000000000Z",
                       "example.com/note": 'a "quoted" text\nof two lines, with ünïcode'} | more
        if subscribe is not None:
            annotations["sqmqos.io/subscribe"] = subscribe
        return self.write_raw(render(annotations))

    def write_raw(self, text):
        self.generation += 1
        data = self.folder / f"..{self.generation}"
        data.mkdir()
        (data / "annotations").write_text(text)
        os.symlink(data.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        if not self.path.is_symlink():
            os.symlink("..data/annotations", self.path)
        return self


class Volume:
    """A volume of a Secret, a ConfigMap or projected, as the kubelet keeps it: each file is a link
    into ..data, which is a link that is swapped on every change."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        self.path.mkdir(parents=True)
        self.generation = 0

    def put(self, files):
        """All its files from now on, {name: text}."""
        self.generation += 1
        data = self.path / f"..{self.generation}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        os.symlink(data.name, self.path / "..data_tmp")
        os.rename(self.path / "..data_tmp", self.path / "..data")
        for name in files:
            if not (self.path / name).is_symlink():
                os.symlink(f"..data/{name}", self.path / name)
        if self.generation > 1:
            shutil.rmtree(self.path / f"..{self.generation - 1}")
        return self


class AnnotationsDir(Volume):
    """A projected volume with a file for each live annotation, raw, and a token."""

    def __init__(self, folder):
        super().__init__(folder)
        self.files = {"subscribe": "", "publish": "", "client-id": ""}

    def write(self, **files):
        """Sets these ('client_id' is client-id); the others stay as they are."""
        self.files |= {name.replace("_", "-"): text for name, text in files.items()}
        return self.put(self.files | {"token": f"token {self.generation + 1}"})

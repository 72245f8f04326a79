"""Annotation files as the downward API writes them: key="value" lines, the
value quoted as Go's strconv.Quote does."""

import os
import pathlib

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

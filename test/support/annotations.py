"""Annotation files as the downward API writes them: key="value" lines, the
value quoted as Go's strconv.Quote does."""

import os
import pathlib


def go_quote(s):
    out = '"'
    for c in s:
        if c in '"\\':
            out += "\\" + c
        elif c in "\n\t\r\a\b\f\v":
            out += {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f",
                    "\v": "\\v"}[c]
        elif ord(c) < 0x20 or ord(c) == 0x7F:
            out += f"\\x{ord(c):02x}"
        elif c.isprintable():
            out += c
        else:
            out += f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
    return out + '"'


def render(annotations):
    return "\n".join(f"{key}={go_quote(value)}" for key, value in sorted(annotations.items()))


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

"""What is in a docker archive: one image's configuration, sizes, files and the Debian
packages that they come from.

Used by ./dev image (tools/image.py) and by the tests."""

import email.parser
import io
import json
import tarfile
import zlib

STATUS = "var/lib/dpkg/status.d/"  # a package's record each (tools/image_root.sh)
GZIP_LEVEL = 6
CHUNK = 1 << 20


class Archive:
    """The image in the archive at 'path', read once."""

    def __init__(self, path):
        self.size = 0  # bytes of the layers as they are unpacked
        self.compressed = 0  # and as a registry would hold them, by gzip
        self.files = {}  # path without a leading slash: tarfile.TarInfo
        self.contents = {}  # path of a regular file: its bytes
        with tarfile.open(path) as outer:
            [manifest] = json.load(outer.extractfile("manifest.json"))
            self.tags = manifest["RepoTags"] or []
            whole = json.load(outer.extractfile(manifest["Config"]))
            for layer in manifest["Layers"]:
                self._read_layer(plain(outer.extractfile(layer).read()))
        self.config = whole.get("config", {})
        self.architecture = whole["architecture"]
        self.labels = self.config.get("Labels") or {}

    def _read_layer(self, raw):
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        self.size += len(raw)
        self.compressed += len(packer.compress(raw)) + len(packer.flush())
        with tarfile.open(fileobj=io.BytesIO(raw)) as layer:
            for member in layer:
                name = member.name.removeprefix("./").rstrip("/")
                self.files[name] = member
                if member.isfile():
                    self.contents[name] = layer.extractfile(member).read()

    def packages(self):
        """[(name, version)] of the Debian packages, sorted."""
        records = [email.parser.Parser().parsestr(self.contents[name].decode())
                   for name in self.contents if name.startswith(STATUS)]
        return sorted((record["Package"], record["Version"]) for record in records)

    def unpack(self, folder):
        """Lays the image's files out below 'folder', a pathlib.Path."""
        for name, member in sorted(self.files.items()):
            place = folder / name
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(member.mode)
            elif member.isfile():
                place.write_bytes(self.contents[name])
                place.chmod(member.mode)
            elif member.issym():
                place.symlink_to(member.linkname)
            else:
                raise ValueError(f"{name} is neither a file nor a folder nor a link")


def plain(raw):
    """The bytes of a layer, which some engines leave compressed."""
    return zlib.decompress(raw, 31) if raw[:2] == b"\x1f\x8b" else raw

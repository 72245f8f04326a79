"""Pod annotations as people write them, and as the downward API writes them.

A person has a YAML map of annotations, a part of a manifest, or the manifest of a
pod or of what makes pods; a sidecar reads lines of key="value", the value quoted
as Go's strconv.Quote does."""

import re

OURS = "sqmqos.io/"
DOWNWARD = re.compile(r'[^\s"\':=]+="')


class Malformed(Exception):
    """The text holds no annotations of one pod; says why."""


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
    """The downward API's text of a dict."""
    return "\n".join(f"{key}={go_quote(value)}" for key, value in sorted(annotations.items()))


def below(tree, *path):
    """What stands there, or {} where anything on the way is no map."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def pods_of(document):
    """[(name, annotations)] of the pods that a document of YAML stands for."""
    if not isinstance(document, dict):
        raise Malformed("it is neither a map of annotations nor a manifest")
    if "kind" not in document:
        if isinstance(document.get("metadata"), dict):
            document = document["metadata"]
        if isinstance(document.get("annotations"), dict):
            document = document["annotations"]
        return [("the map", document)]
    kind = str(document["kind"])
    if kind.endswith("List") and isinstance(document.get("items"), list):
        return [pod for item in document["items"] for pod in pods_of(item)]
    path = {"Pod": (), "PodTemplate": ("template",),
            "CronJob": ("spec", "jobTemplate", "spec", "template")}.get(kind, ("spec", "template"))
    if path and not below(document, *path):
        return []  # it makes no pods: a Service, a ConfigMap
    name = below(document, "metadata").get("name", "without a name")
    return [(f"{kind} {name}", below(document, *path, "metadata", "annotations"))]


def annotations_of(text):
    """The annotations of the one pod that YAML stands for. Of several, it is the one
    with annotations of ours."""
    try:
        import yaml  # a Python that is not Debian's may lack it, and most need no YAML
    except ImportError:
        raise Malformed("YAML takes Python's module yaml (apt-get install python3-yaml, or pip "
                        "install pyyaml)") from None
    try:
        documents = [d for d in yaml.safe_load_all(text) if d is not None]
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise Malformed(f"{where}{getattr(e, 'problem', None) or 'it is no YAML'}") from None
    pods = [pod for d in documents for pod in pods_of(d)]
    if len(pods) > 1:
        ours = [pod for pod in pods if any(str(key).startswith(OURS) for key in pod[1])]
        pods = ours or pods
    if not pods:
        raise Malformed("it has no pod and no map of annotations")
    if len(pods) > 1:
        raise Malformed(f"it has {len(pods)} pods ({', '.join(name for name, _ in pods)}); "
                        "a sidecar is of one")
    for key, value in pods[0][1].items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise Malformed(f"annotation {key} is not text; put its value in quotes, or behind |")
    return pods[0][1]


def downward(text):
    """The text of a file in the downward API's form; what has it is taken as it is."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or DOWNWARD.match(lines[0]):
        return text
    return render(annotations_of(text))

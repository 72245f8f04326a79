"""Writes what follows from other pages of the Helm chart: python3 tools/chart_values.py

docs/kubernetes-values.md, from the comments of helm/sqmqos/values.yaml and the
schema beside it; and in that schema `broker.config` and the limits of `broker.spaces`,
from the broker's keys in docs/configuration.md, so that Helm refuses what the broker
would refuse.  With
--check it writes nothing and says with its exit code whether all is as it would
write it."""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "sqmqos"
VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
CONFIGURATION = ROOT / "docs" / "configuration.md"
BRIDGES = ROOT / "docs" / "bridges.md"
PAGE = ROOT / "docs" / "kubernetes-values.md"

HEAD = """# Values of the Helm chart

Every value of `helm/sqmqos`, as `--set broker.store.size=50Gi` or in a file (`helm install -f my-values.yaml`). Helm refuses an unknown or
mistyped one by the chart's `values.schema.json`. [kubernetes.md](kubernetes.md) says how to use them.

This page follows from the comments in [values.yaml](../helm/sqmqos/values.yaml); `python3 tools/chart_values.py` writes it.

| value | what it is | default | meaning |
|---|---|---|---|
"""

# Keys of the broker that the chart sets itself, from values of their own or because a pod has
# one answer to them.
CHART_SETS = re.compile(r"""^(listen\.address|http\.listen|tls\..*|auth\..*|spaces(\..*)?|acl|acl-default|workers|engine|store\.dir|
    store\.journal-size|store\.max-size|admin\..*|subscribers\.dir|bridges\.dir|push\.allow.*|push\.secrets-dir|drain-timeout|
    broker\.id|listen\.advertise|log\.(level|format|kind|copies|import|postgres\..*)|tracing\.endpoint)$""", re.X)


# ---- the broker's keys

def broker_rows():
    """(key, its value in words, default) of each key of the broker."""
    table = CONFIGURATION.read_text().split("## sqmqos-broker")[1].split("\n## ")[0]
    return re.findall(r"^\| `([\w.*-]+)` \| ([^|]+) \| `?([^|`]*)`? \|", table, re.M)


def broker_keys():
    return [(key, words) for key, words, _ in broker_rows()]


def key_schema(words):
    """The schema of a key whose value docs/configuration.md describes so."""
    if words.startswith("number"):
        numbers = [int(n) for n in re.findall(r"\d+", words)]
        return {"type": "integer"} | dict(zip(("minimum", "maximum"), numbers))
    if words == "true, false":
        return {"type": "boolean"}
    if words.startswith("size"):
        word = "auto|" if words.startswith("size or auto") else ""
        return {"type": ["string", "integer"], "pattern": f"^({word}[0-9]+(Ki|Mi|Gi)?)$"
                if word else "^[0-9]+(Ki|Mi|Gi)?$", "minimum": 0}
    if words.startswith("duration"):
        word = "auto|" if words.startswith("duration or auto") else ""
        return {"type": "string", "pattern": f"^({word}[0-9]+(ms|s|m|h))$" if word else "^[0-9]+(ms|s|m|h)$"}
    if words == "list":
        return {"type": "array", "items": {"type": "string"}}
    if words == "text":
        return {"type": "string"}
    choices = words.split(", ")
    if not all(re.fullmatch(r"[\w-]+", c) for c in choices):
        raise SystemExit(f"a key's value in words that this tool doesn't know: {words}")
    return {"enum": choices}


def broker_config_schema():
    top = {"type": "object", "additionalProperties": False, "properties": {}}
    for key, words in broker_keys():
        if CHART_SETS.match(key):
            continue
        at = top
        *groups, last = key.split(".")
        for group in groups:
            at = at["properties"].setdefault(
                group, {"type": "object", "additionalProperties": False, "properties": {}})
        at["properties"][last] = key_schema(words.strip())
    return top


def space_limits_schema():
    """Of spaces.NAME.limits."""
    head = "spaces.*.limits."
    return {"type": "object", "additionalProperties": False, "properties": {
        key.removeprefix(head): key_schema(words.strip())
        for key, words in broker_keys() if key.startswith(head)}}


def bridge_value(words):
    """The schema of a setting of docs/bridges.md whose value is described so."""
    if word := re.match(r"(number|size|duration) or (\w+)", words):
        more = {"number": "[0-9]+", "size": "[0-9]+(Ki|Mi|Gi)?", "duration": "[0-9]+(ms|s|m|h)"}[word[1]]
        return {"type": ["string", "integer"], "pattern": f"^({word[2]}|{more})$", "minimum": 1}
    return key_schema(words)


def bridge_schema():
    """Of a bridge, from the table of docs/bridges.md."""
    def group():
        return {"type": "object", "additionalProperties": False, "properties": {}}

    top = group() | {"required": ["space", "kind"]}
    for key, words in re.findall(r"^\| `([\w\[\].-]+)` \| ([^|]+) \|", BRIDGES.read_text().split("## Settings")[1].split("\n### ")[0], re.M):
        if key == "bridges":
            continue
        at = top
        *groups, last = key.split(".")
        for name in groups:
            if name.endswith("[]"):
                at = at["properties"][name[:-2]]["items"]
            else:
                at = at["properties"].setdefault(name, group())
        at["properties"][last] = {"type": "array", "items": group()} if words == "list of maps" else bridge_value(words.strip())
    top["properties"]["in"]["items"]["required"] = ["queue", "to"]
    top["properties"]["url"] = {"type": ["array", "string"], "items": {"type": "string"}}
    return top


def schema_text():
    schema = json.loads(SCHEMA.read_text())
    schema["definitions"]["bridge"] = bridge_schema()
    schema["definitions"]["brokerConfig"] = broker_config_schema()
    schema["definitions"]["spaceLimits"] = space_limits_schema()
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


# ---- the page

def commented():
    """(path, comment) of each key of values.yaml that has a comment above it."""
    path, comment = [], []
    for line in VALUES.read_text().splitlines():
        if said := re.match(r"\s*# (.*)", line):
            comment.append(said[1])
            continue
        if key := re.match(r"(\s*)(\w+):", line):
            path = path[:len(key[1]) // 2] + [key[2]]
            if comment:
                yield tuple(path), " ".join(comment)
        comment = []


def value_at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def schema_at(schema, path):
    """The schema of the value at that path, with its reference followed."""
    at = schema
    for key in (*path, None):
        if "$ref" in at:
            at = schema["definitions"][at["$ref"].rsplit("/", 1)[1]]
        if key is not None:
            at = at["properties"][key]
    return at


def in_words(schema):
    if "enum" in schema:
        return ", ".join(f"`{c}`" if c else "empty" for c in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {"string": "text", "integer": "number", "boolean": "true, false", "array": "list",
             "object": "map", "null": "null", "number": "number"}
    if word := re.fullmatch(r"\^(\w+)\$", schema.get("pattern", "")):
        words["string"] = f"`{word[1]}`"
    text = " or ".join(words[t] for t in types)
    if types[0] == "integer":
        least, most = schema.get("minimum"), schema.get("maximum")
        if most is not None:
            text += f", {least} to {most}"
        elif least:
            text += f", at least {least}"
    return text


def page_text():
    values = yaml.safe_load(VALUES.read_text())
    schema = json.loads(SCHEMA.read_text())
    page = HEAD
    for path, comment in commented():
        default = value_at(values, path)
        shown = "empty" if default == "" else f"`{json.dumps(default).strip(chr(34))}`"
        comment = comment.replace("|", r"\|")
        page += f"| `{'.'.join(path)}` | {in_words(schema_at(schema, path))} | {shown} | {comment} |\n"
    return page


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for path, text in ((SCHEMA, schema_text), (PAGE, page_text)):
        wanted = text()
        if not path.exists() or path.read_text() != wanted:
            stale.append(path.relative_to(ROOT))
            if not check:
                path.write_text(wanted)
    if check and stale:
        sys.exit("not as tools/chart_values.py writes it: " + ", ".join(map(str, stale)))


if __name__ == "__main__":
    main()

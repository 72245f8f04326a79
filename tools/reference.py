"""Writes docs/configuration.md and docs/annotations.md from what the programs print of
themselves: python3 tools/reference.py build/release"""

import pathlib
import subprocess
import sys

import stack

HEAD = """# Configuration

Each program takes a YAML file (`--config FILE`, or `SQMQOS_CONFIG`), then the environment, then flags; the later wins. The key
`tls.ca-file` is `ca-file:` below `tls:` in YAML, `SQMQOS_TLS_CA_FILE` in the environment, and `--tls.ca-file` as a flag. Sizes are
written as `4096`, `64Ki`, `8Mi` or `1Gi`, durations as `250ms`, `30s`, `5m` or `24h`. An unknown key is an error.

A key that is *live* counts while the program runs, once [the configuration is read again](operations.md#reading-the-configuration-again); the change of
any other waits for a restart. What a file says that a key names is another matter: those that are read again when they change say so.

This page follows from the programs' own tables (`sqmqos-broker --help-markdown`); `python3 tools/reference.py build/release` writes it.
"""

ANNOTATIONS_HEAD = """# Annotations

What a pod asks of SQMQOS stands in its annotations, in the pod template's `metadata.annotations`. They count in pods with the label
`sqmqos.io/inject: "true"`, or in namespaces that have it; `"false"` on the pod opts it out, and any other value on a pod is refused. On a
namespace any value but `"false"` counts as `"true"`.

"""

ANNOTATIONS_TAIL = """
An empty value counts as none. All of them are checked when the pod is made, and the live ones (*in the running pod*) when they are
edited; everything that is wrong is said at once, each with the key, the line and the column in the value, and the reason:

    sqmqos.io/subscribe: line 2, column 8: qos must be 0, 1 or 2
    sqmqos.io/outbox: line 1, column 1: disk needs sqmqos.io/outbox-claim, the name of a PersistentVolumeClaim

Lines and columns count from 1, and a column counts characters, not bytes. At most 64 problems are listed; how many more there are is said
at the end. An annotation `sqmqos.io/...` that is not in the table does nothing and is a warning, with the nearest name that there is.

Entries of one group share its queue. What one of them leaves out is what another one names (`expiry`, `max-length`, `overflow`,
`max-attempts`, `durable`); two that name different values contradict each other and are refused. Amounts of CPU and memory are
[Kubernetes quantities](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/), none finer than a thousandth, memory in
whole bytes; a request is not above its limit.

## In the running pod

The kubelet writes the live annotations into files of the sidecar, a file for each, and swaps all of them at once (`annotations.dir`; about
a minute after an edit at the most, usually at once). The sidecar reads them as one set, within a second, and changes bindings and rules without
touching a client's connection. Outside Kubernetes, `annotations.file` takes one file in the downward API's format instead.

A set that is malformed changes nothing: the last good one stays in force, also when the sidecar is started again (`state.dir`), and the pod stays
ready. The text of `/readyz` and the log name every problem, and `sqmqos_annotations_malformed` is 1 until a good set is there. A pod whose first
set is malformed, which the injector does not let happen, is not ready until it has a good one; its apps can connect, subscribe and publish
meanwhile, without rules. A sidecar that is started again declares with the time of the edit, not of the files: the kubelet writes them anew with
every token.

This page follows from the table that the programs check by (`sqmqos-sidecar --help-annotations`); `python3 tools/reference.py build/release`
writes it.
"""


def printed(build, program, flag):
    return subprocess.run([str(build / program), flag], check=True, capture_output=True, text=True).stdout


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else stack.ROOT / "build" / "release")
    page = HEAD
    for program in ("sqmqos-sidecar", "sqmqos-broker", "sqmqos-injector"):
        table = printed(build, program, "--help-markdown")
        page += f"\n## {program}\n\n{table.strip()}\n"
    (stack.ROOT / "docs" / "configuration.md").write_text(page)
    (stack.ROOT / "docs" / "annotations.md").write_text(
        ANNOTATIONS_HEAD + printed(build, "sqmqos-sidecar", "--help-annotations") + ANNOTATIONS_TAIL)


main()

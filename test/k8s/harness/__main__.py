"""./dev cluster VERB: the cluster for people.  Also what the runner of the tests calls."""

import argparse
import os
import re
import signal
import sys

from . import api, binaries, images, lifecycle, node, paths

HELP = """usage: ./dev cluster VERB

A real one-node Kubernetes on this machine, the one that ./dev test uses for k8s/. It lives
in network, mount and PID namespaces of its own, and stays until it is told to end. There is
one at a time on a machine; every clone here finds it.

  up               start it; does nothing where it is up
  down             end it, and remove all of it
  status           what is up, and who has it
  kubectl ARGS...  kubectl as its administrator
  helm ARGS...     helm, with that cluster
  load [--tag TAG] DIR
                   bring the docker archives (*.tar) of DIR into it, as ./dev image --archive
                   DIR leaves them; with TAG, also as repository:TAG
  run COMMAND...   a command in the node's network: it reaches pods and Services by address

The programs are built once (about 10 minutes on 2 cores) into ~/.cache/sqmqos. Pods must not
pull: imagePullPolicy IfNotPresent or Never. An MQTT client image is there:
  {client}
Logs of its parts are in {logs}.
"""


def stop(_number, _frame):
    raise KeyboardInterrupt


def require_up():
    found = lifecycle.current()
    if not found:
        raise node.Broken("no cluster is up; ./dev cluster up starts one")
    return found


def exec_tool(tool, words):
    require_up()
    os.environ["KUBECONFIG"] = str(paths.KUBECONFIG)
    os.execvp("nsenter", ["nsenter", f"--net={paths.NETNS}", str(paths.BINARIES / tool), *words])


def exec_command(words):
    require_up()
    os.environ["KUBECONFIG"] = str(paths.KUBECONFIG)
    os.environ["PATH"] = f"{paths.BINARIES}:{os.environ['PATH']}"
    os.execvp("nsenter", ["nsenter", f"--net={paths.NETNS}", *words])


def print_status():
    found = lifecycle.current()
    if not found:
        print("down" if not paths.HOME.exists() else "down; a ruin is left, which up or down removes")
        return 1
    state, owner = found
    print(f"up, {binaries.KUBERNETES}, " +
          (f"of a run of the tests (process {owner})" if owner else "kept") +
          f", started from {state['clone']}")
    missing = lifecycle.missing_parts()
    if missing:
        print(f"not running: {' '.join(missing)}; up starts them")
    else:
        api.enter_network()
        print(f"API server: {'ready' if lifecycle.api_ready() else 'not ready'}")
    print(f"kubeconfig: {paths.KUBECONFIG} (inside the network namespace {paths.NAME})")
    return 1 if missing else 0


def load(words):
    parser = argparse.ArgumentParser(prog="./dev cluster load")
    parser.add_argument("--tag")
    parser.add_argument("folder")
    args = parser.parse_args(words)
    if args.tag and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", args.tag):
        raise RuntimeError(f"'{args.tag}' is not a tag")
    require_up()
    for name in images.load_folder(args.folder, args.tag):
        print(name)


def act(verb, words):
    """The exit code."""
    if verb in ("kubectl", "helm"):
        exec_tool(verb, words)
    elif verb == "run" and words:
        exec_command(words)
    elif verb == "load":
        load(words)
    elif words and verb not in ("acquire", "release"):
        raise SystemExit(f"cluster: {verb} takes no arguments; see ./dev cluster --help")
    elif verb == "up":
        binaries.say(lifecycle.up())
    elif verb == "down":
        binaries.say(lifecycle.down())
    elif verb == "status":
        return print_status()
    elif verb == "acquire":
        print("own" if lifecycle.acquire(int(words[0])) else "shared")
    elif verb == "release":
        lifecycle.release(int(words[0]))
    else:
        raise SystemExit(f"cluster: there is no verb '{verb}'; see ./dev cluster --help")
    return 0


def main(argv):
    if not argv or argv[0] in ("-h", "--help", "help") or \
            argv[0] not in ("kubectl", "helm", "run") and {"-h", "--help"} & set(argv):
        print(HELP.format(client=images.reference("client"), logs=paths.LOGS), end="")
        return 0 if argv else 2
    signal.signal(signal.SIGTERM, stop)
    try:
        if argv[0] == "binaries":
            binaries.ensure()
            return 0
        if os.geteuid() != 0:
            if argv[0] == "release":
                return 0  # there can't be one
            raise lifecycle.Unable("needs root")
        return act(argv[0], argv[1:])
    except lifecycle.Unable as e:
        print(f"cluster: it can't run here: {e}", file=sys.stderr)
        return 77
    except (lifecycle.Busy, node.Broken, RuntimeError) as e:
        print(f"cluster: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted", file=sys.stderr)
        return 130


sys.exit(main(sys.argv[1:]))

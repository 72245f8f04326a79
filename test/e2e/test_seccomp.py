"""The sidecar's filter of system calls: what a sidecar does is allowed under the release build,
and what it never does is refused, counted and logged, and ends nothing."""

import asyncio
import dataclasses
import pathlib
import subprocess

from cluster import eventually, metric
from scenario import ROOT, Settings, load, scenario

REFUSED = "sqmqos_system_calls_refused_total"
NO_FILTER = 0
FILTER = 2


def mode(program):
    """What the kernel says of each thread: 0 none, 2 a filter."""
    modes = set()
    for task in pathlib.Path(f"/proc/{program.pid}/task").iterdir():
        status = (task / "status").read_text()
        modes.add(int(status.split("\nSeccomp:\t")[1].split("\n")[0]))
    return modes


def forbidden_calls(folder):
    """A library that makes calls from a thread of its own once 'folder'/go is there."""
    made = folder / "forbidden_calls.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made),
                    str(ROOT / "test" / "support" / "forbidden_calls.c")], check=True)
    return made


async def tried(env):
    """Has the calls made; {name: errno}."""
    (env.folder / "go").touch()
    out = env.folder / "out"
    await eventually(lambda: out.exists() and "end\n" in out.read_text(), "the calls were made")
    return {line.split()[0]: int(line.split()[1])
            for line in out.read_text().splitlines() if line != "end"}


def preloaded(env, sidecar):
    sidecar.environment |= {"LD_PRELOAD": str(forbidden_calls(env.folder)),
                            "FORBIDDEN_FOLDER": str(env.folder)}


@scenario(build="release")
async def test_what_no_sidecar_does_is_refused_counted_and_logged(env):
    stack = await env.stack(sidecars=1, start=False)
    sidecar = stack.sidecars[0]
    preloaded(env, sidecar)
    await stack.start()
    assert mode(sidecar) == {FILTER}, "every thread"
    client = await env.connect(stack.ports[0], "c")
    assert await metric(sidecar, REFUSED) == 0
    found = await tried(env)
    assert found.pop("clone3") == 38, "ENOSYS: glibc has another way"
    assert found.pop("thread") == 0, "which starts threads still"
    assert found and set(found.values()) == {1}, f"EPERM each: {found}"

    async def counted():
        return await metric(sidecar, REFUSED) == len(found)
    await eventually(counted, "each is counted")
    line = "security.seccomp: refused system calls that no sidecar makes: "
    await eventually(lambda: line in stack.log(sidecar), "it is said")
    said = stack.log(sidecar).split(line)[1].split("\n")[0]
    for name in ("socket", "ptrace", "execve", "mprotect"):
        assert name in said, said
    assert stack.log(sidecar).count(line) <= 2, "not once for each"
    await client.subscribe(("t", 1))
    await client.publish("t", b"alive", 1)
    assert (await client.receive()).payload == b"alive"
    stack.refused_calls = len(found)


@scenario(build="release")
async def test_the_filter_can_be_left_out(env):
    stack = await env.stack(sidecars=1, start=False, sidecar={"security": {"seccomp": False}})
    sidecar = stack.sidecars[0]
    preloaded(env, sidecar)
    await stack.start()
    assert mode(sidecar) == {NO_FILTER}
    found = await tried(env)
    assert found["mprotect"] == 0 and found["clone3"] != 38, found
    assert await metric(sidecar, REFUSED) == 0


@scenario(build="release")
async def test_a_client_that_is_anywhere_is_served(env):
    """A unix socket, a name that is resolved, no TLS: what other scenarios have not."""
    stack = await env.stack(sidecars=1, tls=False, start=False,
                            sidecar={"listen": {"unix": str(env.folder / "s")}})
    sidecar = stack.sidecars[0]
    sidecar.tree["brokers"] = [f"localhost:{stack.link_port}"]
    await stack.start()
    assert mode(sidecar) == {FILTER}
    reader, writer = await asyncio.open_unix_connection(str(env.folder / "s"))
    writer.write(b"\x10\x0d\0\4MQTT\4\2\0\0\0\1u")
    assert (await reader.readexactly(4)) == b"\x20\2\0\0"
    writer.close()


# Scenarios of other files, run with the filter; a stack's end asks for refused calls.
OTHERS = {
    "annotations_dir": ["each_live_annotation_is_read_and_followed"],
    "clients": ["payloads_from_nothing_to_one_mebibyte", "unix_socket", "ipv6_localhost",
                "a_session_goes_on_where_it_stopped", "shared_subscriptions"],
    "declared": ["editing_moves_them_without_touching_the_connection",
                 "a_group_gets_each_message_once_and_waits_for_its_members"],
    "links": ["links_cut_all_at_once", "links_are_drained", "a_sidecar_without_a_broker",
              "back_pressure_without_a_broker"],
    "outbox": ["disk_acknowledges_and_forwards", "disk_reads_back_what_memory_does_not_hold",
               "disk_goes_on_exactly_once_after_the_sidecar_was_killed",
               "sigterm_leaves_the_rest_on_disk", "memory_at_its_bound_is_shared"],
    "outbox_shared": ["what_a_pod_left_behind_is_delivered_once_by_another",
                      "nothing_is_left_in_the_place_by_pods_that_ended"],
    "passwords": ["who_may_connect", "the_file_is_read_again"],
    "pod_end": ["what_was_published_goes_out_when_a_broker_comes"],
    "pool": ["a_stalled_subscriber_stops_alone"],
    "ready": ["a_restart_while_brokers_are_away_leaves_it_ready"],
    "sys": None,
    "trust": ["an_authority_is_renewed_under_a_running_sidecar"],
}


def with_filter(function):
    async def run(env):
        await function(env)
    run.__name__ = function.__name__
    run.settings = dataclasses.replace(getattr(function, "settings", Settings()), build="release")
    return run


for _file, _names in OTHERS.items():
    _all = vars(load(pathlib.Path(__file__).with_name(f"test_{_file}.py")))
    for _name in _names or [n[5:] for n in _all if n.startswith("test_")]:
        globals()[f"test_{_file}__{_name}"] = with_filter(_all[f"test_{_name}"])

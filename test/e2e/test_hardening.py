"""What the release programs are made of: read back from the programs themselves, so a switch
that is dropped from the build is missed here."""

import asyncio
import os
import pathlib
import re
import resource
import subprocess

import stack as parts
from cluster import eventually, metric
from injector import Injector
from memory import holds
from scenario import Skip, scenario

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

PROGRAMS = ("sqmqos-broker", "sqmqos-sidecar", "sqmqos-injector", "sqmqos")
MODULES = ("sqmqos-log-postgres.so",)
# What the compiler says of itself (cmake/recorded.h); 3 is all that the switch can mean.
SWITCHES = {"_FORTIFY_SOURCE": "3", "__OPTIMIZE__": "1", "__PIC__": "2", "__SSP_STRONG__": "3"}
MACHINE_SWITCHES = {"x86_64": {"__CET__": "3"},
                    "aarch64": {"__ARM_FEATURE_BTI_DEFAULT": "1", "__ARM_FEATURE_PAC_DEFAULT": "1"}}


def release(program):
    path = parts.ROOT / "build" / "release" / program
    if not path.exists():
        raise Skip(f"{path} is not built")
    return path


def readelf(program, *options):
    return subprocess.run(["readelf", "-W", *options, release(program)], check=True,
                          capture_output=True, text=True).stdout


def strings(program, section):
    """The lines of a section of strings: one for each that differs among the objects."""
    return re.findall(r"^  \[ *[0-9a-f]+\]  (.*)$", readelf(program, "-p", section), re.M)


async def test_every_object_was_compiled_with_the_switches(_env):
    wanted = SWITCHES | MACHINE_SWITCHES.get(os.uname().machine, {})
    for program in PROGRAMS + MODULES:
        found = strings(program, ".sqmqos.switches")
        assert found, program
        for line in found:
            switches = dict(word.split("=") for word in line.split())
            assert wanted == {name: switches[name] for name in wanted}, (program, line)


async def test_no_frame_is_made_beyond_a_page_at_once(_env):
    """What -fstack-clash-protection does, of which the compiler says nothing."""
    if os.uname().machine != "x86_64":
        raise Skip("knows only the code for x86-64")
    touches = {}
    for program in PROGRAMS + MODULES:
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", release(program)], check=True,
                              capture_output=True, text=True).stdout
        steps = {int(n, 16) for n in re.findall(r"\ssub +\$0x([0-9a-f]{1,8}),%rsp$", code, re.M)}
        assert max(steps) <= 0x1000, (program, max(steps))
        touches[program] = len(re.findall(r"\sorq +\$0x0,\(%rsp\)$", code, re.M))
    assert touches["sqmqos-broker"] > 0 and touches["sqmqos-sidecar"] > 0, touches


async def test_what_was_compiled_in_is_used(_env):
    for program in PROGRAMS + MODULES:
        names = set(re.findall(r" UND (\w+)@", readelf(program, "--dyn-syms")))
        assert "__stack_chk_fail" in names, program
        assert {n for n in names if n.endswith("_chk")} - {"__stack_chk_fail"}, (program, names)


async def test_tables_are_read_only_and_the_stack_is_not_run(_env):
    for program in PROGRAMS + MODULES:
        assert "Type:                              DYN" in readelf(program, "-h"), program
        segments, dynamic = readelf(program, "-l"), readelf(program, "-d")
        assert re.search(r"^  GNU_RELRO ", segments, re.M), program
        stack = re.search(r"^  GNU_STACK .*$", segments, re.M)
        assert stack and re.search(r" RW +0x", stack[0]), (program, stack)
        for load in re.findall(r"^  LOAD .*$", segments, re.M):
            assert not re.search(r" RWE +0x| R?WE ", load), (program, load)
        assert re.search(r"\(FLAGS\).*BIND_NOW", dynamic), program
        assert re.search(r"\(FLAGS_1\).*NOW" + ("" if program in MODULES else ".*PIE"), dynamic), program
        assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic), (program, dynamic)


async def test_a_module_shows_one_name(_env):
    for module in MODULES:
        names = re.findall(r"\bGLOBAL +\w+ +\d+ (\S+)$", readelf(module, "--dyn-syms"), re.M)
        assert names == ["sq_shared_module"], (module, names)


def core_limit(program):
    limits = pathlib.Path(f"/proc/{program.pid}/limits").read_text()
    return re.search(r"^Max core file size +(\S+) +(\S+)", limits, re.M).groups()


def shown_to_nobody(program):
    """Whether another process of the same user may look into it."""
    return subprocess.run([*NOBODY, "cat", f"/proc/{program.pid}/environ"],
                          capture_output=True).returncode == 0


async def lives(program):
    return (await asyncio.to_thread(program.get, "/livez"))[0] == 200


@scenario(build="release")
async def test_a_process_leaves_no_core_and_shows_no_memory(env):
    """Unless it is told to: security.core-dumps."""
    if os.geteuid() != 0:
        raise Skip("needs root, to run programs as another user")
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    for allowed in (False, True):
        admin = parts.free_port()
        sidecar = parts.Program(
            "sidecar", f"sidecar-{allowed}", env.folder, parts.ROOT / "build" / "release",
            {"admin": {"listen": f"127.0.0.1:{admin}"}})
        sidecar.argv = [*NOBODY, sidecar.argv[0], "--listen.port", str(parts.free_port([admin])),
                        "--admin.listen", f"127.0.0.1:{admin}", "--tls.enabled", "false",
                        "--brokers", "127.0.0.1:1", "--security.core-dumps", str(allowed).lower()]
        sidecar.start()
        try:
            await eventually(lambda sidecar=sidecar: lives(sidecar), "it lives")
            assert core_limit(sidecar) == (("unlimited",) * 2 if allowed else ("0", "0"))
            assert shown_to_nobody(sidecar) == allowed
            assert await metric(sidecar, "process_open_fds") > 3, "its own it sees"
        finally:
            await asyncio.to_thread(sidecar.stop)


@scenario(build="release")
async def test_broker_and_injector_leave_none_either(env):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    stack = await env.stack()
    injector = await Injector(env).start()
    for program in (*stack.programs, injector.program):
        assert core_limit(program) == ("0", "0"), program.name


async def secrets_are_gone(env):
    """A token that was replaced is not in the sidecar's memory, nor the text of the broker's key
    in the broker's, once they are read."""
    stack = await env.stack(sidecars=1)
    sidecar, broker = stack.sidecars[0], stack.broker
    token = stack.folder / "token"
    old, old_line = token.read_text().strip(), (stack.folder / "tokens").read_text()
    parts.write_token(token, name="other")
    new = token.read_text().strip()
    (stack.folder / "tokens").write_text(old_line + (stack.folder / "tokens").read_text())
    await stack.end(broker)
    await stack.restart(broker)  # the links are dialled anew, with the new token
    client = await env.connect(stack.ports[0], "app")
    await client.subscribe(("t", 1))
    await client.publish("t", b"x", 1)
    await client.receive()
    found = holds(sidecar.pid, {old.encode(), new.encode()})
    assert found == {new.encode()}, "the old one is there still" if len(found) > 1 else found
    # The last line, which is short, stays behind in OpenSSL's own decoder of base64.
    lines = (stack.folder / "broker.key").read_text().splitlines()[1:-2]
    name = b"broker.key"  # the search finds what is there
    found = holds(broker.pid, {name, *(line.encode() for line in lines)})
    assert found == {name}, found


async def test_secrets_are_gone_from_memory(env):
    await secrets_are_gone(env)


@scenario(build="release")
async def test_secrets_are_gone_from_the_memory_of_hardened_programs(env):
    await secrets_are_gone(env)

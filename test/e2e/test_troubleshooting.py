"""docs/troubleshooting.md: each of its steps finds the fault that it is for, and the codes,
metrics and keys that it names are those of the programs.

A step is a block ```sh step SITUATION, and the block ```text behind it what it prints then:
a line of it is somewhere in the output, with anything in place of each … .  Steps that begin with
`sqmqos why` are those of test_why.py."""

import os
import pathlib
import random
import re
import sys

import clients
import mqtt
import stack as parts
from annotations import AnnotationsFile
from cluster import eventually
from scenario import ROOT, Skip, scenario

sys.path.insert(0, str(ROOT / "test" / "torture"))
import disk  # noqa: E402

PAGE = (parts.ROOT / "docs" / "troubleshooting.md").read_text()
STEP = re.compile(r"^```sh step ([\w-]+)\n(.*?)^```\n\n```text\n(.*?)^```$", re.M | re.S)
DURABLE = {"session_expiry": 600}


async def check(env, situation, stack):
    """Runs the page's steps for a situation; they show it, sooner or later."""
    steps = [(text, said) for name, text, said in STEP.findall(PAGE) if name == situation]
    assert steps, situation
    env.check_leftovers = False  # what was planted stays
    programs = parts.ROOT / "build" / env.settings.build
    ask = os.environ | {"BROKER": f"localhost:{stack.broker.admin_port}",
                        "SQMQOS_ADMIN": f"http://localhost:{stack.broker.admin_port}",
                        "SIDECAR": f"localhost:{stack.sidecars[0].admin_port}",
                        "PATH": f"{programs}:{os.environ['PATH']}"}
    for text, said in steps:
        async def shown(text=text, said=said):
            out = await clients.run(env, "bash", "-c", f"{text}true", environment=ask)
            last[:] = [out]
            return all(re.search(".*".join(map(re.escape, line.split("…"))), out)
                       for line in said.splitlines())
        last = []
        try:
            await eventually(shown, f"{text}shows {said}", 20)
        except BaseException:
            print(*last)
            raise


@scenario(timeout_s=60)
async def test_without_a_broker(env):
    stack = await env.stack(sidecars=1)
    app = await env.connect(stack.ports[0], "app")
    await stack.end(stack.broker)
    app.publish_nowait("orders/1", b"waits", 1)
    await check(env, "no-broker", stack)
    await stack.restart(stack.broker)


@scenario(timeout_s=60)
async def test_a_message_was_given_up(env):
    stack = await env.stack(sidecars=1)
    worker = await env.connect(stack.ports[0], "worker", ack="none", props=DURABLE)
    await worker.subscribe("orders/#", qos=1)
    app = await env.connect(stack.ports[0], "app")
    assert await app.publish("orders/1", b"x", 1) == 0
    worker.send_ack(mqtt.PUBACK, (await worker.receive()).packet_id, 0x83)
    await check(env, "given-up", stack)


@scenario(timeout_s=120)
async def test_a_full_disk(env):
    stack = await env.stack(start=False, sidecars=1, broker={
        "engine": "embedded", "store": {"journal-size": "8Mi", "max-size": "64Mi"}})
    try:
        small = disk.Small(pathlib.Path(stack.broker.tree["store"]["dir"]), 48)
    except OSError as e:
        raise Skip(f"no small disk: {e}") from None
    try:
        await stack.start()
        away = await env.connect(stack.ports[0], "worker", props=DURABLE)
        await away.subscribe("orders/#", qos=1)
        await away.disconnect()
        app = await env.connect(stack.ports[0], "app")
        small.fill(random.Random(0), 0)
        asked = [app.publish_nowait("orders/1", bytes(1 << 16), 1) for _ in range(200)]
        await check(env, "stalled", stack)
        small.empty()
        await stack.ready(stack.broker)
        for answer in asked:
            assert await answer in (0, 0x97)
    finally:
        small.close()


@scenario(timeout_s=60)
async def test_a_malformed_annotation(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#/late")
    stack = await env.stack(start=False, sidecars=1, annotations=[file.path])
    for program in stack.programs:
        program.start()
    await check(env, "malformed", stack)


@scenario(timeout_s=60)
async def test_a_token_that_the_broker_does_not_know(env):
    stack = await env.stack(start=False, sidecars=1)
    (stack.folder / "token").write_text("another-token-than-the-broker-knows\n")
    for program in stack.programs:
        program.start()
    await check(env, "no-token", stack)


def codes():
    """{value: name} of the standard's reason codes."""
    text = (parts.ROOT / "proto" / "mqtt" / "reason.h").read_text()
    return {int(value, 16): name
            for name, value in re.findall(r"^\tX\((\w+), (0x[0-9a-f]+),", text, re.M)}


def sent():
    """Names of the codes for failures that our programs give to clients."""
    paths = [path for folder in ("broker/publish", "broker/session", "sidecar/mqtt", "sidecar/hold")
             for path in (parts.ROOT / folder).glob("*.[ch]")]
    paths += (parts.ROOT / "proto" / "mqtt").glob("[de]*code*.c")
    return {name for path in paths for name in re.findall(r"\bSQ_MQTT_RC_(\w+)", path.read_text())}


async def test_codes_of_the_page_are_those_of_the_programs(_env):
    rows = re.findall(r"^\| (0x[0-9A-F]{2}) \| ", PAGE, re.M)
    assert len(rows) == len(set(rows))
    named = {codes()[int(row, 16)] for row in rows}
    ours = {name for value, name in codes().items() if value >= 0x80 and name in sent()}
    assert named == ours, (named - ours, ours - named)


async def test_metrics_and_keys_of_the_page_exist(_env):
    source = "".join(p.read_text() for folder in ("broker", "sidecar", "core", "proto", "k8s", "net")
                     for p in (parts.ROOT / folder).rglob("*.[ch]"))
    for name in set(re.findall(r"\bsqmqos_[a-z_]+[a-z](?![\w(])", PAGE)):
        assert f'"{name}' in source, name
    for reason in set(re.findall(r'reason="([\w-]+)"', PAGE)):
        assert f'"{reason}"' in source or f'\\"{reason}\\"' in source, reason
    known = (parts.ROOT / "docs" / "configuration.md").read_text()
    keys = set(re.findall(r"`((?:limits|session|mqtt|store|auth|queue|tls|admin)\.[\w-]+)`", PAGE))
    assert len(keys) > 10
    for key in keys:
        assert f"| `{key}` |" in known, key
    annotations = (parts.ROOT / "docs" / "annotations.md").read_text()
    for name in set(re.findall(r"`(sqmqos\.io/[\w-]+)`", PAGE)):
        assert name in annotations or name == "sqmqos.io/sidecar", name


async def test_each_step_of_the_page_is_run(_env):
    own = "".join(pathlib.Path(__file__).with_name(name).read_text()
                  for name in ("test_troubleshooting.py", "test_why.py"))
    steps = STEP.findall(PAGE)
    assert len(steps) == len(re.findall(r"^```sh step ", PAGE, re.M))
    for name, *_ in steps:
        assert f'"{name}"' in own, name

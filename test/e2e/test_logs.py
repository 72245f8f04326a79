"""What the programs write to their logs, as collectors read it."""

import asyncio
import datetime
import json

import stack as parts
from cluster import eventually

STRANGE = 'a "quoted" \\ name, gr\u00fc\u00df, \u65e5\u672c'


def objects(program):
    """The lines of a log, each an object of JSON."""
    lines = program.log_path.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for one in found:
        assert list(one) == ["time", "level", "scope", "message"], one
        assert one["level"] in ("debug", "info", "warn", "error"), one
        when = datetime.datetime.fromisoformat(one["time"])
        assert when.tzinfo == datetime.timezone.utc, one
        assert all(isinstance(value, str) for value in one.values()), one
    return found


async def test_json_is_an_object_in_every_line(env):
    log = {"log": {"format": "json", "level": "debug"}}
    stack = await env.stack(sidecars=1, broker=log, sidecar=log)
    client = await env.connect(stack.ports[0], STRANGE)
    await client.subscribe("t")
    await client.publish("t", b"x", 1)
    await client.receive()
    await client.disconnect()
    [sidecar] = stack.sidecars

    def said():
        return any(STRANGE in one["scope"] + one["message"] for one in objects(sidecar))
    await eventually(said, "the client's id, as it is")
    await stack.end(sidecar)
    await stack.end(stack.broker)
    for program in stack.programs:
        assert {one["level"] for one in objects(program)} >= {"debug", "info"}
    env.check_leftovers = False


async def test_json_says_why_a_program_does_not_start(env):
    """By the log; a check, which a person asks for, still in plain words."""
    stack = await env.stack(sidecars=1)
    twin = parts.Program("sidecar", "twin", stack.folder,
                         parts.ROOT / "build" / env.settings.build,
                         parts.merge(stack.sidecars[0].tree, {"log": {"format": "json"}})).start()
    assert await asyncio.to_thread(twin.process.wait, 20) == 1
    last = objects(twin)[-1]
    assert last["level"] == "error" and last["scope"] == "sqmqos-sidecar", last
    assert str(stack.ports[0]) in last["message"] and "in use" in last["message"], last
    twin.tree["tls"]["ca-file"] = str(stack.folder / "none.pem")
    assert (await asyncio.to_thread(twin.check)).startswith("sqmqos-sidecar: tls.ca-file: ")

"""A configuration that changes while the programs run: what is live counts, what is not waits for a
restart and is named, and what is malformed changes nothing."""

import signal
import time

from cluster import eventually, metrics
from injector import Injector
from mqtt import V5
from scenario import scenario

AT = "sqmqos_config_last_reload_success_timestamp_seconds"
GOOD = "sqmqos_config_last_reload_successful"
FAILURES = "sqmqos_config_reload_failures_total"
WAITING = "sqmqos_config_waiting_keys"
QUOTA = 0x97
DURABLE = {"session_expiry": 600}


async def read_again(stack, program, text="was read again"):
    """SIGHUP, and that it is done."""
    before = stack.log(program).count(text)
    program.signal(signal.SIGHUP)
    await eventually(lambda: stack.log(program).count(text) > before, "SIGHUP is taken up")


def waits(program):
    """The keys that /readyz names, and that it is ready."""
    status, body = program.get("/readyz")
    assert status == 200 and body.startswith("ok\n"), (status, body)
    lines = [line for line in body.splitlines() if line.startswith("waits for a restart: ")]
    assert len(lines) <= 1, body
    return lines[0].removeprefix("waits for a restart: ").split(", ") if lines else []


async def test_limits_of_the_broker_count_at_once(env):
    stack = await env.stack(broker={"limits": {"max-subscriptions": 2, "spaces": 1}})
    app = await env.connect(stack.ports[0], "app")
    assert await app.subscribe("a", "b", "c") == [1, 1, QUOTA]
    stack.broker.tree["limits"] |= {"max-subscriptions": 3, "max-sessions": 1}
    stack.broker.write_config()
    await read_again(stack, stack.broker)
    assert await app.subscribe("c") == [1], "the higher limit"
    assert await app.subscribe("d") == [QUOTA], "which is one"
    late = env.client("late")
    connack = await late.connect(stack.ports[0], props=DURABLE)
    assert connack.code == QUOTA, f"{connack.code:x}: the session that is there is all that is allowed"
    assert await app.publish("a", b"x", qos=1) == 0, "and goes on"
    assert waits(stack.broker) == []
    stack.broker.tree["limits"]["max-sessions"] = 2
    stack.broker.write_config()  # the file alone, without a signal
    await eventually(lambda: stack.log(stack.broker).count("was read again") == 2, "it is seen")
    await env.connect(stack.ports[0], "late", props=DURABLE)


async def test_the_limit_of_memory_counts_at_once(env):
    stack = await env.stack(broker={"limits": {"memory": "24Mi"}, "engine": "memory"})
    slow = await env.connect(stack.ports[0], "slow", ack="none",
                             props=DURABLE | {"receive_maximum": 1})
    await slow.subscribe("t", qos=1)
    app = await env.connect(stack.ports[0], "app", V5)

    async def limit(text, size):
        stack.broker.tree["limits"]["memory"] = text
        stack.broker.write_config()
        await read_again(stack, stack.broker)

        async def shown():
            return (await metrics(stack.broker))["sqmqos_memory_limit_bytes"] == size << 20
        await eventually(shown, "the metric follows")
        assert waits(stack.broker) == []

    async def taken(most):
        """How many messages of 64 KiB the queue takes."""
        for n in range(most):
            if await app.publish("t", bytes(64 << 10), qos=1) == QUOTA:
                return n
        return most
    assert 0 < await taken(400) < 400
    await limit("512Mi", 512)
    assert await taken(50) == 50, "there is room"
    await limit("24Mi", 24)
    assert await taken(1) == 0, "there is none"
    await slow.disconnect(0, {"session_expiry": 0})


async def test_limits_of_spaces_count_at_once(env):
    stack = await env.stack(broker={"spaces": {"default": {"limits": {"retained": 1}}, "shop": {
        "limits": {"sessions": 5}}}})
    limits = stack.broker.tree["spaces"]["default"]["limits"]
    app = await env.connect(stack.ports[0], "app")

    async def kept(topic):
        return await app.publish(topic, b"x", qos=1, retain=True) != QUOTA
    assert await kept("a") and not await kept("b")
    for most, also in ((2, {}), (1, {}), (3, {"keys": 7})):  # and a key that was not there
        limits |= {"retained": most} | also
        stack.broker.write_config()
        await read_again(stack, stack.broker)
        assert waits(stack.broker) == []
        assert await kept("b"), "what is there is replaced"
        assert await kept(f"c{most}") == (most == 3)
    del limits["retained"]
    stack.broker.write_config()
    await read_again(stack, stack.broker)
    assert await kept("d"), "no limit any more"
    for topic in ("a", "b", "c3", "d"):
        await app.publish(topic, b"", qos=1, retain=True)
    stack.broker.tree["spaces"]["more"] = {"limits": {"sessions": 1}}
    stack.broker.write_config()
    await read_again(stack, stack.broker)
    assert waits(stack.broker) == ["spaces"], "another space waits for a restart"


async def test_the_log_level_of_each_program(env):
    stack = await env.stack()
    injector = await Injector(env).start()
    for owner, program in ((stack, stack.broker), (stack, stack.sidecars[0]),
                           (injector, injector.program)):
        level = program.tree.setdefault("log", {})
        level["level"] = "error"
        program.write_config()
        program.signal(signal.SIGHUP)

        async def silent(program=program):
            return (await metrics(program))[AT] > 0 and not program.killed
        await eventually(silent, "it goes on")
        level["level"] = "debug"
        program.write_config()
        await read_again(owner, program)
        assert waits(program) == [], program.name
        level["format"] = "json"
        program.write_config()
        await read_again(owner, program)
        assert waits(program) == ["log.format"], program.name
        assert (await metrics(program))[WAITING] == 1
        assert "what has changed of log.format counts from the next start on" in owner.log(program)


async def test_what_is_malformed_changes_nothing(env):
    stack = await env.stack(broker={"limits": {"max-subscriptions": 2}})
    injector = await Injector(env).start()
    app = await env.connect(stack.ports[0], "app")
    start = time.time()
    for owner, program, line in ((stack, stack.broker, "limits:\n  max-subscriptions: many\n"),
                                 (stack, stack.sidecars[0], "limits:\n  clients: many\n"),
                                 (injector, injector.program, "listen:\n  max-connections: many\n")):
        good = program.config_path.read_text()
        at = (await metrics(program))[AT]
        assert abs(at - start) < 600 and (await metrics(program))[GOOD] == 1, program.name
        program.config_path.write_text(line)
        await read_again(owner, program, "as before")
        log = owner.log(program)
        assert f'{program.config_path}:2: ' in log and 'many' in log, log
        seen = await metrics(program)
        assert (seen[GOOD], seen[AT]) == (0, at) and seen[FAILURES] >= 1, program.name
        program.config_path.write_text(good)
        await read_again(owner, program)
        seen = await metrics(program)
        assert seen[GOOD] == 1 and seen[AT] >= at, program.name
    assert await app.subscribe("a", "b", "c") == [1, 1, QUOTA]


async def test_keys_that_are_not_live_wait_and_are_named(env):
    stack = await env.stack()
    broker = stack.broker
    was = broker.tree["store"]["dir"]
    broker.tree["store"]["dir"] = was + "-other"
    broker.tree["workers"] = 2
    broker.write_config()
    await read_again(stack, broker)
    assert waits(broker) == ["workers", "store.dir"]
    assert (await metrics(broker))[WAITING] == 2
    broker.tree["store"]["dir"] = was
    broker.write_config()
    await read_again(stack, broker)
    assert waits(broker) == ["workers"], "what was put back waits no more"
    app = await env.connect(stack.ports[0], "app", V5)
    assert await app.publish("a", b"x", qos=1) in (0, 0x10)
    await stack.end(broker)
    await stack.restart(broker)
    seen = await metrics(broker)
    assert waits(broker) == [] and seen[WAITING] == 0, seen[WAITING]


@scenario()
async def test_a_program_without_a_file_takes_the_signal(env):
    """There is nothing that could have changed, and nothing ends."""
    stack = await env.stack(start=False)
    sidecar = stack.sidecars[0]
    sidecar.write_config()
    sidecar.environment["SQMQOS_CONFIG"] = str(sidecar.config_path)
    sidecar.argv = sidecar.argv[:1]
    await stack.start()
    await read_again(stack, sidecar)
    assert waits(sidecar) == []

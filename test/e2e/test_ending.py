"""SIGTERM where a call to the disk never returns, and a second signal: a program ends
in its time whatever it waits for, and nothing acknowledged is lost."""

import asyncio
import pathlib
import signal
import sys

from cluster import eventually
from flow import Ledger, Publisher
from scenario import scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_restart import Traffic  # noqa: E402

CUT = 3  # the exit code of a program that was ended at once
AFTER_S = 5  # within so long behind its own time a program has ended
OVER = "the time for an orderly end is over"
SECOND = "a second signal"


async def cut(program, within_s, why):
    """Awaits that the program ends in time, with the exit code and the line that say so."""
    code = await asyncio.to_thread(program.process.wait, within_s)
    assert code == CUT, f"{program.name} ended with {code}"
    assert f"{why}: ended at once" in program.last_words(), program.last_words()


async def hangs(stack, program, point):
    """Starts a program one of whose threads stays at a point, and awaits that it does."""
    hit = 1 if point.startswith("checkpoint") else 20
    program.environment["SQMQOS_FAULT"] = f"{point}:{hit}:hang"
    program.start()
    await eventually(lambda: f"fault point {point}" in stack.log(program),
                     f"{program.name} hangs at {point}", 60)
    del program.environment["SQMQOS_FAULT"]


async def ends_at(env, points, drain_s=0.3, second=False):
    """A broker that hangs at each of the points and is told to end there."""
    stack = await env.stack(broker={"drain-timeout": f"{int(drain_s * 1000)}ms"})
    traffic = await Traffic().start(env, stack)
    await traffic.more()
    for point in points:
        await stack.kill(stack.broker)
        await hangs(stack, stack.broker, point)
        stack.broker.signal(signal.SIGTERM)
        if second:
            await eventually(lambda: "draining" in stack.broker.last_words(), "it drains")
            stack.broker.signal(signal.SIGINT)
        await cut(stack.broker, drain_s + AFTER_S, SECOND if second else OVER)
        await stack.restart(stack.broker)
        await traffic.more()
    await traffic.finish()


@scenario(timeout_s=300)
async def test_sigterm_while_a_call_of_the_journal_never_returns(env):
    await ends_at(env, ["journal-before-write", "journal-after-write", "journal-after-sync"])


@scenario(timeout_s=300)
async def test_sigterm_while_a_worker_is_stuck(env):
    await ends_at(env, ["broker-publish-admitted"])


@scenario(timeout_s=300)
async def test_sigterm_while_a_checkpoint_never_ends(env):
    await ends_at(env, ["checkpoint-before-commit"])


@scenario(timeout_s=300)
async def test_a_second_signal_ends_a_broker_at_once(env):
    """Whatever drain-timeout says."""
    await ends_at(env, ["journal-after-write"], drain_s=600, second=True)


async def outbox_that_hangs(env, point, shutdown_s):
    """A sidecar whose disk outbox hangs at 'point', with some messages acknowledged."""
    stack = await env.stack(start=False)
    sidecar = stack.sidecars[0]
    sidecar.tree["outbox"] = {"mode": "disk", "size": "16Mi", "dir": str(stack.folder / "outbox")}
    sidecar.tree["shutdown"] = {"timeout": f"{int(shutdown_s * 1000)}ms"}
    await stack.start()
    ledger = Ledger()
    sub = await env.connect(stack.ports[1], "sub")
    sub.on_message = ledger.take
    await sub.subscribe(("flow/#", 2))
    await stack.kill(sidecar)
    hanging = asyncio.ensure_future(hangs(stack, sidecar, point))
    await eventually(lambda: sidecar.get("/livez")[0] == 200, "the sidecar is up")
    client = await env.connect(stack.ports[0], "pub")
    env.spawn(Publisher(client, "flow/pub", 2, ledger, window=5).run())
    await hanging
    return stack, sidecar, ledger


async def goes_on(env, stack, sidecar, ledger):
    """In the next sidecar what was acknowledged is delivered."""
    await stack.restart(sidecar)
    stack.descriptors[sidecar.name] += 40  # segments of the journal, as it grows
    assert ledger.acked["pub"]
    await eventually(ledger.complete, "all that was acknowledged has arrived", 60)
    assert ledger.problems(duplicates_allowed=False) == []


@scenario(timeout_s=120)
async def test_sigterm_while_the_outbox_never_syncs(env):
    stack, sidecar, ledger = await outbox_that_hangs(env, "journal-after-write", 0.3)
    sidecar.signal(signal.SIGTERM)
    await cut(sidecar, 0.3 + AFTER_S, OVER)
    await goes_on(env, stack, sidecar, ledger)


@scenario(timeout_s=120)
async def test_a_second_signal_ends_a_sidecar_at_once(env):
    """Its loop is stuck, and shutdown.timeout is far."""
    stack, sidecar, ledger = await outbox_that_hangs(env, "sidecar-outbox-posting", 600)
    sidecar.signal(signal.SIGINT)
    sidecar.signal(signal.SIGTERM)
    await cut(sidecar, AFTER_S, SECOND)
    await goes_on(env, stack, sidecar, ledger)

"""A sidecar's readiness over its own restarts."""

import asyncio
import signal

from annotations import AnnotationsFile
from cluster import eventually, metric


def marked(env, sidecars=1, **more):
    """A stack whose sidecars keep their state in one directory each."""
    return env.stack(sidecars=sidecars,
                     sidecar={"state": {"dir": str(env.folder / "state")}} | more,
                     annotations=[AnnotationsFile(env.folder / "pod").write("orders/#").path])


async def answer(sidecar):
    return await asyncio.to_thread(sidecar.get, "/readyz")


async def without_brokers(env, stack):
    env.check_leftovers = False
    await stack.kill(stack.broker)

    async def no_links():
        return await metric(stack.sidecars[0], "sqmqos_links") == 0
    await eventually(no_links, "the links are gone")


async def started_again(stack, sidecar):
    """Its first answer."""
    await stack.end(sidecar)
    sidecar.start()

    async def says():
        status, body = await answer(sidecar)
        return status and (status, body)
    return await eventually(says, "it answers")


async def test_a_restart_while_brokers_are_away_leaves_it_ready(env):
    stack = await marked(env)
    sidecar = stack.sidecars[0]
    mark = env.folder / "state" / "ready"
    await eventually(mark.exists, "the mark is there")
    assert "pod pod-1" in mark.read_text()
    await without_brokers(env, stack)
    status, why = await started_again(stack, sidecar)
    assert status == 200 and why.startswith("ok\nlinks: 0 of "), why
    client = await env.connect(stack.ports[0], "app")  # it serves, too
    done = client.publish_nowait("orders/1", b"kept", 1)
    await stack.kill(sidecar)  # however it ends
    sidecar.start()

    async def ready():
        return (await answer(sidecar))[0] == 200
    await eventually(ready, "it is ready")
    stack.broker.start()
    await stack.ready()
    await stack.linked()
    done.cancel()


async def test_another_pod_s_or_boot_s_mark_does_not_count(env):
    stack = await marked(env)
    sidecar = stack.sidecars[0]
    mark = env.folder / "state" / "ready"
    await eventually(mark.exists, "the mark is there")
    good = mark.read_text()
    boot = next(row for row in good.splitlines() if row.startswith("boot "))
    await without_brokers(env, stack)
    for text in (good.replace("pod-1", "pod-2"),
                 good.replace(boot, "boot 00000000-0000-4000-8000-000000000000")):
        assert text != good
        mark.write_text(text)
        status, why = await started_again(stack, sidecar)
        assert status == 503 and "no broker has been reached yet" in why
        assert "warn sidecar state.dir" not in stack.log(sidecar)
    for text in ("", "garbage\n", good[:-5], good + "x", good.replace("ready 1", "ready 2"),
                 "x" * 100000):
        mark.write_text(text)
        at = len(stack.log(sidecar))
        status, why = await started_again(stack, sidecar)
        assert status == 503 and "no broker has been reached yet" in why
        assert "warn sidecar state.dir" in stack.log(sidecar)[at:]
    mark.write_text(good)
    assert (await started_again(stack, sidecar))[0] == 200
    mark.write_text("garbage\n")
    await stack.end(sidecar)
    stack.broker.start()
    sidecar.start()
    await stack.ready()
    await eventually(lambda: mark.read_text() == good, "a good mark is there again")


async def test_a_mark_that_cannot_be_written_is_a_warning(env):
    (env.folder / "state").write_text("a file in the place of the directory")
    stack = await marked(env)
    sidecar = stack.sidecars[0]

    def unwritten():
        return [row for row in stack.log(sidecar).splitlines()
                if "warn sidecar state.dir" in row and "can't be written" in row]
    rows = await eventually(unwritten, "a warning")
    assert len(rows) == 1, rows
    assert (await answer(sidecar))[0] == 200
    await without_brokers(env, stack)
    status, why = await started_again(stack, sidecar)
    assert status == 503 and "no broker has been reached yet" in why


async def test_without_a_directory_it_has_to_reach_a_broker_again(env):
    stack = await env.stack(sidecars=1)
    await without_brokers(env, stack)
    status, why = await started_again(stack, stack.sidecars[0])
    assert status == 503 and "no broker has been reached yet" in why


async def test_a_broker_that_stands_still_is_told_and_leaves_it_ready(env):
    """Its kernel takes bytes, and new connections, all the same: only silence shows it."""
    stack = await env.stack(sidecars=1, sidecar={"pool": {"silence": "6s", "dial-timeout": "1s"}})
    sidecar = stack.sidecars[0]
    stack.broker.signal(signal.SIGSTOP)
    try:
        async def told():
            status, body = await answer(sidecar)
            assert status == 200, body
            return body.startswith("ok\nlinks: 0 of ") and "no answer in time" in body
        await eventually(told, "it says why there is no link", 40)
        assert await metric(sidecar, "sqmqos_links") == 0
    finally:
        stack.broker.signal(signal.SIGCONT)
    await stack.linked()

"""Options of a declared queue, edited while it exists: those of the newest pod count,
through link moves, restarts, rollouts and rollbacks."""

import asyncio
import os
import signal
import time

from annotations import AnnotationsFile
from cluster import eventually, metric
from scenario import scenario

CHANGES = "sqmqos_group_options_changed_total"
DISAGREE = "sqmqos_groups_disagreeing"
WAITING = "sqmqos_groups_durable_waiting"


def entry(max_length):
    """The overflow is named, so that the queue refuses though nobody takes from it."""
    return f"- {{filter: work/#, overflow: reject-publish, max-length: {max_length}}}"


def revision(env, name, max_length, age_s):
    """A pod's annotations, written so long ago."""
    file = AnnotationsFile(env.folder / name).write(entry(max_length))
    written = time.time() - age_s
    os.utime(file.path, (written, written))
    return file


async def attached(stack, n):
    """So many sessions are attached: the keepers', and those of clients."""
    async def all_there():
        return await metric(stack.broker, "sqmqos_sessions_attached") == n
    await eventually(all_there, f"{n} sessions are attached", 40)


async def take(env, stack, port, n):
    """An app takes the numbers that wait."""
    app = await env.connect(port, "app")
    assert [int(m.payload) for m in await app.receive_all(n)] == list(range(n))

    async def settled():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(settled, "what was acknowledged has left the queue")
    await app.disconnect()


async def limit(env, stack, publisher, port):
    """How many messages may wait: the queue is filled, and emptied by an app."""
    n = 0
    while await publisher.publish("work/x", b"%d" % n, 1) == 0:
        n += 1
        assert n < 100
    await take(env, stack, port, n)
    return n


@scenario(timeout_s=240)
async def test_two_revisions_20_link_moves_and_a_broker_restart(env):
    files = [revision(env, "old", 5, 100), revision(env, "new", 3, 50)]
    stack = await env.stack(sidecars=3, proxy=True,
                            annotations=[files[0].path, files[1].path, None])
    old, new, _ = stack.sidecars
    publisher = await env.connect(stack.ports[2], "publisher")
    await attached(stack, 3)
    changes = await metric(stack.broker, CHANGES)
    assert changes <= 1
    assert await metric(stack.broker, DISAGREE) == 1
    # another of the old pod's annotations: what it declares stays as old as it is
    files[0].write(entry(5), **{"sqmqos.io/client-id": "app"})
    await eventually(lambda: stack.log(old).count("subscriptions and") == 2, "it is read again")
    for n in range(20):
        if n % 2 == 0:
            stack.proxy.cut_all()
        else:
            stack.broker.signal(signal.SIGUSR1)  # asks every link to move
        await stack.linked()
        await attached(stack, 3)
    assert await metric(stack.broker, CHANGES) == changes
    assert await limit(env, stack, publisher, stack.ports[0]) == 3
    disagreements = stack.log(stack.broker).count("declare different options")
    assert disagreements == 1, disagreements

    new.signal(signal.SIGSTOP)  # so that the older one is back first
    await stack.kill(stack.broker)
    stack.broker.start()
    await stack.ready(stack.broker)
    await attached(stack, 2)
    assert await limit(env, stack, publisher, stack.ports[0]) == 3
    new.signal(signal.SIGCONT)
    await attached(stack, 3)
    assert await metric(stack.broker, CHANGES) == 0
    env.check_leftovers = False  # this one has its end before
    await stack.end(old)
    await attached(stack, 2)
    assert await metric(stack.broker, DISAGREE) == 0
    assert await limit(env, stack, publisher, stack.ports[1]) == 3
    assert await metric(stack.broker, CHANGES) == 0


async def test_a_rollback_ends_on_the_rolled_back_revision(env):
    files = [revision(env, "one", 5, 100), revision(env, "two", 3, 50),
             revision(env, "one-again", 5, 10)]
    stack = await env.stack(sidecars=4, start=False,
                            annotations=[*(f.path for f in files), None])
    one, two, again, other = stack.sidecars
    for program in (stack.broker, one, two, other):
        program.start()
    await stack.ready(stack.broker, one, two, other)
    publisher = await env.connect(stack.ports[3], "publisher")
    env.check_leftovers = False  # pods come and go
    await stack.end(one)
    await attached(stack, 2)
    assert await limit(env, stack, publisher, stack.ports[1]) == 3
    again.start()
    await stack.ready(again)
    await stack.end(two)
    await attached(stack, 2)
    assert await limit(env, stack, publisher, stack.ports[2]) == 5


async def test_an_edit_in_place_counts_and_drops_nothing(env):
    file = revision(env, "pod", 5, 100)
    stack = await env.stack(annotations=[file.path, None])
    publisher = await env.connect(stack.ports[1], "publisher")
    for n in range(5):
        assert await publisher.publish("work/x", b"%d" % n, 1) == 0
    changes = await metric(stack.broker, CHANGES)
    file.write("- {filter: work/#, overflow: reject-publish, max-length: 2}\n"
               "- {filter: more/#}\n")

    async def changed():
        return await metric(stack.broker, CHANGES) == changes + 1
    await eventually(changed, "the options are others")
    assert await publisher.publish("work/x", b"x", 1) == 0x97
    await take(env, stack, stack.ports[0], 5)
    assert await metric(stack.broker, DISAGREE) == 0
    assert await limit(env, stack, publisher, stack.ports[0]) == 2


async def test_durable_waits_until_the_group_has_no_member(env):
    file = AnnotationsFile(env.folder / "pod").write("- {filter: work/#, durable: true}")
    stack = await env.stack(annotations=[file.path, None])
    sidecar = stack.sidecars[0]
    file.write("- {filter: work/#, durable: false}")

    async def said():
        status, body = await asyncio.to_thread(sidecar.get, "/readyz")
        return status == 200 and "stays so until it has no member" in body
    await eventually(said, "/readyz says so")
    assert await metric(stack.broker, WAITING) == 1
    assert "durable: false counts once it has no member" in stack.log(stack.broker)
    await stack.end(sidecar)

    async def ended():
        return await metric(stack.broker, "sqmqos_groups") == 0
    await eventually(ended, "the group has ended")
    assert await metric(stack.broker, WAITING) == 0
    await stack.restart(sidecar)
    body = (await asyncio.to_thread(sidecar.get, "/readyz"))[1]
    assert "until it has no member" not in body, body


async def test_an_expiry_that_is_cut_is_said(env):
    file = AnnotationsFile(env.folder / "pod").write("- {filter: work/#, expiry: 7d}")
    stack = await env.stack(annotations=[file.path, None], broker={"queue": {"max-expiry": "2h"}})
    sidecar = stack.sidecars[0]
    words = "expiry is cut from 604800s to 7200s, the broker's queue.max-expiry"

    async def says(*parts):
        status, body = await asyncio.to_thread(sidecar.get, "/readyz")
        return status == 200 and all(p in body for p in parts)
    await eventually(lambda: says(words, "'work/#'"), "/readyz says so")
    # with another set all are declared anew: what is said again is no line of its own
    file.write("- {filter: work/#, expiry: 7d}\n- {filter: more/#, group: other}")
    await eventually(lambda: "'more/#' to group other: in place" in stack.log(sidecar),
                     "the set is another one")
    assert await says(words)
    assert sum(words in line for line in stack.log(sidecar).splitlines()) == 1
    file.write("- {filter: work/#, expiry: 1h}")

    async def silent():
        return await asyncio.to_thread(sidecar.get, "/readyz") == (200, "ok\n")
    await eventually(silent, "there is nothing to say any more")

"""Annotations in a folder with a file for each (annotations.dir), as the injector has the
kubelet write them, and what outlives a malformed edit."""

import asyncio
import os
import shutil
import time

from annotations import AnnotationsDir
from cluster import eventually, metric
from scenario import scenario

IN_PLACE = 'sqmqos_declared_subscriptions{state="in-place"}'
MALFORMED = "sqmqos_annotations_malformed"
CHANGES = "sqmqos_group_options_changed_total"
DISAGREE = "sqmqos_groups_disagreeing"


async def pod(env, *volumes, **more):
    """A stack whose sidecars have these volumes, and a state.dir each."""
    stack = await env.stack(start=False, sidecars=len(volumes), **more)
    for sidecar, volume in zip(stack.sidecars, volumes):
        sidecar.tree["annotations"] = {"dir": str(volume.path)}
        sidecar.tree["state"] = {"dir": str(env.folder / f"state-{volume.path.name}")}
    await stack.start()
    return stack


async def readyz(sidecar):
    return await asyncio.to_thread(sidecar.get, "/readyz")


async def says(sidecar, *lines):
    """It is ready, and /readyz says this."""
    async def said():
        return await readyz(sidecar) == (200, "\n".join(["ok", *lines, ""]))
    await eventually(said, f"/readyz says {lines}")


async def in_place(sidecar, n):
    async def there():
        return await metric(sidecar, IN_PLACE) == n
    await eventually(there, f"{n} subscriptions are in place")


async def gets(app, publisher, *topics):
    for topic in topics:
        await publisher.publish(topic, topic, 1)
    assert [m.topic for m in await app.receive_all(len(topics))] == list(topics)


async def test_each_live_annotation_is_read_and_followed(env):
    volume = AnnotationsDir(env.folder / "pod").write(subscribe="a, b", client_id="app")
    stack = await pod(env, volume)
    sidecar = stack.sidecars[0]
    publisher = await env.connect(stack.ports[0], "publisher")
    app = await env.connect(stack.ports[0], "app")
    await in_place(sidecar, 2)
    await gets(app, publisher, "a", "b")
    # one swap changes all of them
    volume.write(subscribe="- filter: c\n- filter: d\n  tag: red\n",
                 publish="- {filter: d, tags: red}\n", client_id="")
    await eventually(lambda: "from " + str(volume.path) in stack.log(sidecar).split("'a'")[-1],
                     "it is read again")
    await in_place(sidecar, 2)
    await gets(app, publisher, "c", "d")
    # the token is written anew: nothing of it concerns the annotations
    read = stack.log(sidecar).count("publish rules")
    volume.write()
    volume.write(subscribe="c")
    await eventually(lambda: stack.log(sidecar).count("publish rules") > read, "it is read again")
    assert stack.log(sidecar).count("publish rules") == read + 1
    await in_place(sidecar, 1)
    await gets(app, publisher, "c")
    assert app.connected
    volume.write(subscribe="", publish="")
    await in_place(sidecar, 0)


async def test_a_malformed_edit_changes_nothing_and_all_of_it_is_said(env):
    volume = AnnotationsDir(env.folder / "pod").write(subscribe="good", client_id="app")
    stack = await pod(env, volume)
    sidecar = stack.sidecars[0]
    publisher = await env.connect(stack.ports[0], "publisher")
    app = await env.connect(stack.ports[0], "app")
    await in_place(sidecar, 1)
    assert await metric(sidecar, MALFORMED) == 0
    volume.write(subscribe="- {filter: a/#/b, qos: 4}\n- better", publish="- {filter: x, key: generated}")
    lines = [f"annotations.dir: {volume.path}: sqmqos.io/{line}" for line in (
        "subscribe: line 1, column 12: bad filter 'a/#/b': # must be the last character",
        "subscribe: line 1, column 24: qos must be 0, 1 or 2",
        "publish: line 1, column 20: key needs qos: 3")]
    kept = "the last good set of annotations stays in force"
    await says(sidecar, *lines, kept)
    assert await metric(sidecar, MALFORMED) == 1
    volume.write()  # another token
    await asyncio.to_thread(sidecar.get, "/readyz")
    assert all(stack.log(sidecar).count(line) == 1 for line in [*lines, kept])
    await gets(app, publisher, "good")

    async def settled():
        return await metric(stack.broker, "sqmqos_queued_messages") == 0
    await eventually(settled, "what was received is acknowledged")
    # the container is started again: the set that was in force still is
    at = len(stack.log(sidecar))
    await stack.kill(sidecar)
    sidecar.start()
    await says(sidecar, *lines, kept)
    await in_place(sidecar, 1)
    assert all(stack.log(sidecar)[at:].count(line) == 1 for line in [*lines, kept])
    publisher = await env.connect(stack.ports[0], "publisher")
    app = await env.connect(stack.ports[0], "app")
    await gets(app, publisher, "good")
    volume.write(subscribe="better", publish="")
    await says(sidecar)
    assert await metric(sidecar, MALFORMED) == 0
    await in_place(sidecar, 1)
    await gets(app, publisher, "better")


async def test_a_pod_that_starts_with_malformed_ones_waits_for_good_ones(env):
    volume = AnnotationsDir(env.folder / "pod").write()
    stack = await pod(env, volume)
    sidecar = stack.sidecars[0]
    await stack.end(sidecar)
    shutil.rmtree(env.folder / "state-pod")  # another pod, then
    volume.write(subscribe="a,,b")
    sidecar.start()
    line = f"annotations.dir: {volume.path}: sqmqos.io/subscribe: line 1, column 3: an empty filter"

    async def unready():
        status, text = await readyz(sidecar)
        return status == 503 and line in text and "last good" not in text
    await eventually(unready, "it is not ready, and says why")
    assert sidecar.get("/livez")[0] == 200
    publisher = await env.connect(stack.ports[0], "publisher")
    assert await publisher.publish("x", b"", 1) in (0, 0x10), "the app is served meanwhile"
    volume.write(subscribe="a,b")
    await says(sidecar)
    await in_place(sidecar, 2)


@scenario(timeout_s=120)
async def test_a_set_is_as_old_as_it_was_after_a_restart(env):
    """The kubelet writes all files anew with each token; that makes no revision newer."""
    def entry(n):
        return f"- {{filter: work/#, overflow: reject-publish, max-length: {n}}}"
    old, new = (AnnotationsDir(env.folder / name) for name in ("old", "new"))
    old.write(subscribe=entry(5))
    before = time.time() - 100
    for path in (old.path / "..data", *(old.path / name for name in old.files)):
        os.utime(path, (before, before))
    new.write(subscribe=entry(3))
    stack = await pod(env, old, new)

    async def disagree():
        return await metric(stack.broker, DISAGREE) == 1
    await eventually(disagree, "both are there")
    changes = await metric(stack.broker, CHANGES)
    old.write()  # a token, later than all
    await stack.kill(stack.sidecars[0])
    stack.sidecars[0].start()
    await stack.ready()
    await in_place(stack.sidecars[0], 1)
    await eventually(disagree, "both are there again")
    assert await metric(stack.broker, CHANGES) == changes, "the newer revision's options stay"
    # an edit is one, though it says what another revision said before
    old.write(subscribe=entry(4))

    async def changed():
        return await metric(stack.broker, CHANGES) == changes + 1
    await eventually(changed, "the newest counts")

"""What the pod's clients may subscribe to: strict and allow of sqmqos.io/subscribe."""

import asyncio

from annotations import AnnotationsFile
from cluster import eventually, metric
from mqtt import V5, V311

STRICT = 'sqmqos_subscriptions_refused_total{reason="strict"}'
DENIED = 'sqmqos_refused_total{reason="denied"}'
ENDED = 'sqmqos_subscriptions_ended_total{reason="strict"}'
RIGHTS = """\
strict: true
allow: [state/#, $SYS/sidecar/+]
subscriptions:
  - {filter: orders/#, group: crew}
"""


async def strict_stack(env, value=RIGHTS, **more):
    file = AnnotationsFile(env.folder / "pod").write(value, **more)
    return await env.stack(annotations=[file.path, None]), file


async def test_only_what_is_declared_or_allowed(env):
    stack, _ = await strict_stack(env)
    other = await env.connect(stack.ports[1], "other")
    for version, no in ((V5, 0x87), (V311, 0x80)):
        c = await env.connect(stack.ports[0], f"c-{version}", version)
        assert await c.subscribe("state/#", "secret", "state/+/x", "#", "orders/#", "orders/1",
                                 "$share/g/state/1", "$share/g/secret", "$tag/red/state/1",
                                 "$SYS/#", "$SYS/sidecar/version", qos=2) == \
            [2, no, 2, no, 2, no, 2, no, 2, no, 2]
        assert await c.unsubscribe("secret", "state/+/x", "$share/g/state/1") in \
            ([0x11, 0, 0], []), "whatever it is, it may be ended"
        if version == V5:
            assert "filter secret: sqmqos.io/subscribe is strict" in c.words[0], c.words
        assert (await c.receive()).topic == "$SYS/sidecar/version"
        await other.publish("secret", "x", 1)
        await other.publish("state/1", "seen", 1)
        m = await c.receive()
        assert (m.topic, m.payload) == ("state/1", b"seen")
        await c.ping()
        assert not c.inbox
        await c.disconnect()
    assert await other.subscribe("#", "secret") == [1, 1], "another pod's rights are its own"
    sidecar = stack.sidecars[0]
    assert await metric(sidecar, STRICT) == 10
    assert await metric(sidecar, DENIED) == 10
    assert "c-5: subscribe refused with 0x87" in stack.log(sidecar)
    assert "neither declares nor allows it" in stack.log(sidecar)


async def test_declared_messages_come_all_the_same(env):
    stack, _ = await strict_stack(env, **{"sqmqos.io/client-id": "app"})
    app = await env.connect(stack.ports[0], "app")
    await stack.ready()
    pub = await env.connect(stack.ports[1], "pub")
    assert await pub.publish("orders/1", "x", 1) == 0
    assert (await app.receive()).topic == "orders/1"


async def test_an_edit_counts_at_once(env):
    stack, file = await strict_stack(env, "- state/#")
    sidecar = stack.sidecars[0]
    pub = await env.connect(stack.ports[1], "pub")
    c = await env.connect(stack.ports[0], "c")
    held = await env.connect(stack.ports[0], "held", props={"session_expiry": 600})
    for client in (c, held):
        assert await client.subscribe("a/#", "b", "c/+", "$share/g/b") == [1] * 4

    async def is_strict():
        return await c.subscribe("probe") == [0x87]

    file.write("strict: true\nallow: [a/#, c/#]")
    await eventually(is_strict, "the edit is in force")

    async def b_is_gone():
        return await pub.publish("b", "nobody", 1) == 0x10
    await eventually(b_is_gone, "what is no longer allowed has ended")
    assert await pub.publish("a/1", "x", 1) == 0
    assert await pub.publish("c/1", "y", 1) == 0
    for client in (c, held):
        got = [m for m in await client.receive_all(2) if m.topic != "b"]
        while len(got) < 2:
            m = await client.receive()
            got += [m] if m.topic != "b" else []
        assert [m.topic for m in got] == ["a/1", "c/1"], "the others go on"
    assert await metric(sidecar, ENDED) >= 4
    assert "c: 'b' is ended" in stack.log(sidecar)

    at = len(stack.log(sidecar))
    file.write("strict: true\nallow:\n- d/#/e")
    await eventually(lambda: "line 3, column 3: bad filter 'd/#/e'" in stack.log(sidecar)[at:],
                     "a line in the log")
    assert await c.subscribe("d/1", "a/2") == [0x87, 1], "the last good set stays"

    file.write("- state/#")

    async def is_free():
        return await c.subscribe("b") == [1]
    await eventually(is_free, "the edit is in force")
    assert await pub.publish("b", "again", 1) == 0
    m = await c.receive()
    assert (m.topic, m.payload) == ("b", b"again")
    await held.disconnect(0, {"session_expiry": 0})


async def test_what_was_ended_is_not_made_again(env):
    stack, file = await strict_stack(env, "- state/#")
    c = await env.connect(stack.ports[0], "c")
    assert await c.subscribe("a", "b") == [1, 1]
    file.write("strict: true\nallow: a")

    async def is_strict():
        return await c.subscribe("probe") == [0x87]
    await eventually(is_strict, "the edit is in force")
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    pub = await env.connect(stack.ports[1], "pub")

    async def a_is_back():
        return await pub.publish("a", "x", 1) == 0
    await eventually(a_is_back, "it has subscribed again")
    assert await pub.publish("b", "x", 1) == 0x10
    assert (await asyncio.wait_for(c.receive(), 15)).topic == "a"


async def test_a_session_from_before_keeps_what_is_allowed_only(env):
    """A rollout brings the rights: its pods are new ones, and durable sessions come along."""
    stack, _ = await strict_stack(env, "strict: true\nallow: [a/#, ok]")
    expiry = {"session_expiry": 600}
    for version in (V5, V311):
        props = {"props": expiry} if version == V5 else {}
        c = await env.connect(stack.ports[1], f"c-{version}", version, clean=False, **props)
        names = ["a/1", "b/#", "ok", "secret", "$share/g/b/#", "$tag/red/a/x"]
        assert await c.subscribe(*names) == [1] * len(names)
        c.abort()
        back = await env.connect(stack.ports[0], f"c-{version}", version, clean=False, **props)
        assert back.connack.session_present
        pub = await env.connect(stack.ports[1], "pub")

        async def gone():
            return {await pub.publish(t, "no", 1) for t in ("b/1", "secret")} == {0x10}
        await eventually(gone, "what is not allowed has ended")
        for topic in ("a/1", "ok"):
            assert await pub.publish(topic, "yes", 1) == 0
        while (m := await back.receive()).payload != b"yes":
            assert m.topic in ("b/1", "secret")
        assert (m.topic, (await back.receive()).topic) == ("a/1", "ok")
        await back.disconnect()
        last = await env.connect(stack.ports[1], f"c-{version}", version)  # clean: it ends
        await last.disconnect()
    assert await metric(stack.sidecars[0], ENDED) == 6


async def test_what_a_session_had_is_made_again_by_another_pod(env):
    file = AnnotationsFile(env.folder / "pod").write("strict: true\nallow: [a/#, ok]")
    stack = await env.stack(annotations=[file.path, None], broker={"engine": "memory"})
    expiry = {"session_expiry": 600}
    c = await env.connect(stack.ports[1], "c", props=expiry)
    assert await c.subscribe("a/1", "secret") == [1, 1]
    await c.disconnect(0, expiry)
    back = await env.connect(stack.ports[0], "c", clean=False, props=expiry)
    pub = await env.connect(stack.ports[1], "pub")

    async def gone():
        return await pub.publish("secret", "no", 1) == 0x10
    await eventually(gone, "what is not allowed has ended")
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)

    async def there():
        return await pub.publish("a/1", "yes", 1) == 0
    await eventually(there, "it is subscribed to again")
    assert await pub.publish("secret", "no", 1) == 0x10
    while (m := await back.receive()).payload != b"yes":
        assert m.topic == "secret"
    await back.disconnect(0, {"session_expiry": 0})

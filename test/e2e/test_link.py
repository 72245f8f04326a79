"""The broker's side of the link, spoken to by a hand-made client: requests that
break off, come late, come twice, or make no sense."""

import asyncio
import os
import struct

from cluster import eventually, metric
from link import Attached, Broken, LinkClient, attach, batch, image, outcomes, session_path, \
    settlements, subscription
from scenario import scenario

KEY = "default~demo~hand~pod-9"


async def linked(env, stack, version=None, status=200):
    link = await LinkClient(stack.broker_port, (stack.folder / "token").read_text().strip(),
                            version).open()
    assert await link.open_link() == status
    return link


async def attached(link, key=KEY, **more):
    answer = await link.request("PUT", session_path(key), attach(link, **more))
    assert answer.status == 200, (answer.status, answer.body)
    return Attached.parse(answer.body)


async def publish(link, epoch, body, key=KEY):
    return await link.request("POST", session_path(key, "/messages", epoch), body)


async def subscriber(link, key, topic_filter, credit=1000):
    """A session with a subscription and credit; its epoch."""
    state = await attached(link, key)
    answer = await link.request("POST", session_path(key, "/subscriptions", state.epoch),
                                subscription(topic_filter))
    assert answer.status == 200 and answer.body == b"\0\1\1", answer
    answer = await link.request("POST", session_path(key, "/settlements", state.epoch),
                                settlements(credit, 1 << 30))
    assert answer.status == 204, answer
    return state.epoch


async def hand_stack(env):
    env.check_leftovers = False  # the sessions of this file end with the broker
    return await env.stack(sidecars=1, tls=False)


async def test_the_link_has_the_version_that_both_speak(env):
    stack = await hand_stack(env)
    for version, notes in ((None, b""), ("1", b""), ("2", b"\0\0"), ("900", b"\0\0")):
        link = await linked(env, stack, version)
        state = await attached(link)
        fields = {} if not notes else {"since": 0, "pod": ""}
        answer = await link.request("POST", session_path(KEY, "/subscriptions", state.epoch),
                                    subscription("t", **fields))
        assert (answer.status, answer.body) == (200, b"\0\1\1" + notes), (version, answer)
        body = batch(7, state.last[1] + 1, [(0, image("u", b""))], mark=0 if notes else None)
        answer = await publish(link, state.epoch, body)
        assert answer.status == 200 and answer.body[11:] == notes, (version, answer)
        await link.close()


async def test_what_is_no_version_of_the_link_is_refused(env):
    stack = await hand_stack(env)
    for version in ("0", "two", "-1", "2.0", " 2 2", "99999999999999999999"):
        link = await linked(env, stack, version, 400)
        await link.close()


async def test_a_batch_sent_again_is_answered_and_not_doubled(env):
    stack = await hand_stack(env)
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    link = await linked(env, stack)
    state = await attached(link)
    assert not state.present and state.last == (0, 0)
    body = batch(7, 1, [(0, image("t", b"%d" % n)) for n in range(5)])
    for _ in range(3):
        answer = await publish(link, state.epoch, body)
        assert answer.status == 200 and outcomes(answer.body) == (1, [0] * 5)
    answer = await publish(link, state.epoch, batch(8, 1, [(0, image("t", b"x"))]))
    assert answer.status == 409  # another run at numbers that are taken
    answer = await publish(link, state.epoch, batch(7, 6, [(0, image("t", b"end"))], upto=5))
    assert outcomes(answer.body) == (6, [0])
    assert [m.payload for m in await app.receive_all(6)] == [b"0", b"1", b"2", b"3", b"4", b"end"]
    await link.close()


async def test_early_batches_are_parked_and_a_gap_is_said(env):
    stack = await hand_stack(env)
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    link = await linked(env, stack)
    state = await attached(link)
    path = session_path(KEY, "/messages", state.epoch)
    early = [link.request_nowait("POST", path, batch(7, n, [(0, image("t", b"%d" % n))]))
             for n in (4, 3, 2)]
    await asyncio.sleep(0.2)
    assert not any(e.done.done() for e in early)
    first = await publish(link, state.epoch, batch(7, 1, [(0, image("t", b"1"))]))
    assert first.status == 200
    for answer, n in zip(early, (4, 3, 2)):
        assert outcomes((await asyncio.wait_for(answer.done, 10)).body) == (n, [0])
    assert [m.payload for m in await app.receive_all(4)] == [b"1", b"2", b"3", b"4"]
    early = [link.request_nowait("POST", path, batch(7, n, [(0, image("t", b"x"))]))
             for n in (6, 7, 8, 9, 10)]  # one more than is parked
    assert (await asyncio.wait_for(early[4].done, 10)).status == 409
    assert (await publish(link, state.epoch, batch(9, 20, [(0, image("t", b"x"))]))).status == 409
    await link.close()


async def test_subscriptions_keep_their_place_and_are_answered_first(env):
    """SUBSCRIBE, PUBLISH, UNSUBSCRIBE, whose requests come in the wrong order."""
    stack = await hand_stack(env)
    link = await linked(env, stack, "2")
    state = await attached(link)
    answer = await link.request("POST", session_path(KEY, "/settlements", state.epoch),
                                settlements(100, 1 << 30))
    assert answer.status == 204
    subscriptions = session_path(KEY, "/subscriptions", state.epoch)
    unsubscribe = bytearray(subscription("t", since=0, pod="", mark=2, after=(0, 2)))
    unsubscribe[22] = 2
    end = link.request_nowait("POST", subscriptions, bytes(unsubscribe))
    second = link.request_nowait("POST", session_path(KEY, "/messages", state.epoch),
                                 batch(7, 2, [(0, image("t", b"second"))], mark=1))
    begin = link.request_nowait("POST", subscriptions,
                                subscription("t", since=0, pod="", mark=1, after=(0, 1)))
    await asyncio.sleep(0.2)
    assert not any(r.done.done() for r in (end, second, begin))
    first = await publish(link, state.epoch, batch(7, 1, [(0, image("t", b"first"))], mark=0))
    assert first.status == 200 and outcomes(first.body) == (1, [0x10])  # nobody was subscribed
    for request, status in ((begin, 204), (second, 200), (end, 204)):
        assert (await asyncio.wait_for(request.done, 10)).status == status
    frames = [await link.delivery() for _ in range(3)]
    answers = [struct.pack(">QIHBH", state.epoch, mark, 1, code, 0) for mark, code in ((1, 1), (2, 0))]
    assert frames[0] == (6, answers[0]) and frames[2] == (6, answers[1]), frames
    assert frames[1][0] == 2 and b"second" in frames[1][1], frames
    again = await link.request("POST", subscriptions,
                               subscription("t", since=0, pod="", mark=1, after=(0, 1)))
    assert (again.status, again.body) == (204, b"")
    await link.close()


@scenario(timeout_s=180)
async def test_a_stream_reset_while_its_commit_runs(env):
    stack = await hand_stack(env)
    app = await env.connect(stack.ports[0], "app")
    received = []
    app.on_message = lambda m: received.append(int(m.payload))
    await app.subscribe("t")
    link = await linked(env, stack)
    state = await attached(link)
    path, n = session_path(KEY, "/messages", state.epoch), 0
    for round_ in range(200):
        # reset with the request, a moment after it, and while it waits parked
        late = link.request_nowait("POST", path, batch(7, n + 3, [(0, image("t", b"%d" % (n + 3)))]))
        body = batch(7, n + 1, [(0, image("t", b"%d" % (n + 1))), (0, image("t", b"%d" % (n + 2)))])
        first = link.request_nowait("POST", path, body)
        if round_ % 3 == 0:
            link.reset(late)
        link.reset(first)
        if round_ % 3 == 1:
            await link.writer.drain()
            await asyncio.sleep(0)
            link.reset(late)
        # sent again, as after a lost stream: skipped or taken, and answered
        answer = await publish(link, state.epoch, body)
        assert answer.status == 200 and outcomes(answer.body) == (n + 1, [0, 0]), answer
        answer = await publish(link, state.epoch,
                               batch(7, n + 3, [(0, image("t", b"%d" % (n + 3)))], upto=n + 2))
        assert answer.status == 200 and outcomes(answer.body) == (n + 3, [0]), answer
        n += 3
    await eventually(lambda: len(received) >= n, "all have arrived")
    assert received == list(range(1, n + 1))
    # the same with resets of attach, subscribe, settle and detach
    for ordinal in range(2, 60):
        link.reset(link.request_nowait("PUT", session_path(KEY), attach(link, ordinal=ordinal)))
        again = await attached(link, ordinal=ordinal, attempt=2)
        for what, body in (("/subscriptions", subscription("t")),
                           ("/settlements", settlements(10, 10000))):
            link.reset(link.request_nowait("POST", session_path(KEY, what, again.epoch), body))
    assert (await publish(link, again.epoch, batch(8, again.last[1] + 1,
                                                   [(0, image("t", b"0"))]))).status == 200
    await link.close()
    await app.ping()


async def test_a_newer_attach_fences_the_older(env):
    stack = await hand_stack(env)
    link = await linked(env, stack)
    first = await attached(link)
    answer = await publish(link, first.epoch, batch(7, 1, [(0, image("t", b"x"))]))
    assert answer.status == 200
    second = await attached(link, attempt=2, clean=False)
    assert second.epoch != first.epoch and second.present and second.last == (0, 1)
    answer = await publish(link, first.epoch, batch(7, 2, [(0, image("t", b"x"))]))
    assert answer.status == 409
    # a late copy of an older attach changes nothing
    late = await link.request("PUT", session_path(KEY), attach(link, attempt=1))
    assert late.status == 409
    answer = await publish(link, second.epoch, batch(7, 2, [(0, image("t", b"x"))]))
    assert answer.status == 200
    # another life of the sidecar takes over, and the older one is told
    other = await linked(env, stack)
    await attached(other, clean=False)
    kind, contents = await link.delivery()
    assert kind == 3 and struct.unpack(">QB", contents) == (second.epoch, 0x8E)
    answer = await publish(link, second.epoch, batch(7, 3, [(0, image("t", b"x"))]))
    assert answer.status == 409
    await link.close()
    await other.close()


async def test_a_put_over_a_link_that_is_not_open_is_refused(env):
    stack = await hand_stack(env)
    link = await linked(env, stack)
    other = await linked(env, stack)
    right, other.id = other.id, link.id  # somebody else's link
    assert (await other.request("PUT", session_path(KEY), attach(other))).status == 410
    other.id = right
    await attached(other)
    await link.close()
    await other.close()


async def test_qos2_ids_are_held_until_their_release(env):
    stack = await hand_stack(env)
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe(("t", 2))
    link = await linked(env, stack)
    state = await attached(link)
    send = image("t", b"once", qos=2)
    answer = await publish(link, state.epoch, batch(7, 1, [(5, send)]))
    assert outcomes(answer.body) == (1, [0])
    again = await attached(link, attempt=2, clean=False)
    assert again.held == [5] and again.last[1] == 1
    # a sidecar that has lost its memory: another run, the same packet id
    answer = await publish(link, again.epoch, batch(8, 2, [(5, send), (5, None), (9, None)]))
    assert outcomes(answer.body) == (2, [0, 0, 0x92])  # nobody holds 9
    answer = await publish(link, again.epoch, batch(8, 5, [(5, image("t", b"next", qos=2))], upto=4))
    assert outcomes(answer.body) == (5, [0])
    assert [m.payload for m in await app.receive_all(2)] == [b"once", b"next"]
    await link.close()


async def test_without_credit_nothing_is_sent(env):
    stack = await hand_stack(env)
    publisher = await env.connect(stack.ports[0], "publisher")
    link = await linked(env, stack)
    epoch = await subscriber(link, KEY, "t", credit=3)
    for n in range(6):
        await publisher.publish("t", b"%d" % n, 1)
    for _ in range(3):
        assert (await link.delivery())[0] == 2
    await asyncio.sleep(0.3)
    assert all(link.deliveries.get_nowait()[0] == 1 for _ in range(link.deliveries.qsize()))
    answer = await link.request("POST", session_path(KEY, "/settlements", epoch),
                                settlements(6, 1 << 30))
    assert answer.status == 204
    for _ in range(3):
        assert (await link.delivery())[0] == 2
    await link.close()


BAD_BODIES = [b"", b"\0", b"\xff" * 40, b"\0" * 33, os.urandom(200)]


async def test_malformed_bodies_are_refused_and_harm_nobody(env):
    stack = await hand_stack(env)
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    link = await linked(env, stack)
    state = await attached(link)
    good = {
        "": attach(link, attempt=9),
        "/messages": batch(7, 1, [(0, image("t", b"x"))]),
        "/settlements": settlements(1, 1, [(1, 1)]),
        "/subscriptions": subscription("t"),
        "/detach": struct.pack(">IB3xQQ", 0, 0, 0, 0),
    }
    before = await metric(stack.broker, "sqmqos_link_bad_requests_total")
    refused = 0
    for what, whole in good.items():
        for body in [*BAD_BODIES, *(whole[:n] for n in range(len(whole)))]:
            if what == "/settlements" and len(body) in (16, 28):
                continue  # a shorter one is a good one
            method = "POST" if what else "PUT"
            try:
                answer = await link.request(
                    method, session_path(KEY, what, state.epoch if what else None), body)
            except Broken:
                link = await linked(env, stack)  # its link is dropped: allowed (400)
                state = await attached(link, attempt=1, clean=False)
                continue
            assert answer.status == 400, (what, len(body), answer.status)
            refused += 1
    assert await metric(stack.broker, "sqmqos_link_bad_requests_total") - before == refused
    for key in ("a", "a~b", "a~b~c~d~e", "~~", "%zz~b~c~d", "a~b~c~%", "a/b~c~d", "%00~b~c"):
        answer = await link.request("PUT", session_path(key), attach(link, attempt=10))
        assert answer.status in (400, 403, 404), (key, answer.status)
    await app.publish("t", b"still here", 1)
    assert (await app.receive()).payload == b"still here"
    await link.close()


async def test_a_hundred_requests_at_once_are_all_answered(env):
    stack = await hand_stack(env)
    link = await linked(env, stack)
    state = await attached(link)
    path = session_path(KEY, "/settlements", state.epoch)
    for _ in range(10):
        waiting = [link.request_nowait("POST", path, settlements(n, n)) for n in range(60)]
        for w in waiting:
            assert (await asyncio.wait_for(w.done, 10)).status == 204
    await link.close()

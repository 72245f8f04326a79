"""Subscriptions that a pod's annotations declare: no SUBSCRIBE anywhere."""

import asyncio

import stack as parts
from api import Api
from annotations import AnnotationsFile, render
from cluster import eventually, metric

IN_PLACE = 'sqmqos_declared_subscriptions{state="in-place"}'


async def declared_stack(env, subscribe, **more):
    """A stack whose first sidecar has the annotation, and a publisher on the second."""
    file = AnnotationsFile(env.folder / "pod").write(subscribe)
    stack = await env.stack(annotations=[file.path, None], **more)
    publisher = await env.connect(stack.ports[1], "publisher")
    return stack, file, publisher


async def receives(client, publisher, topic, qos=1):
    await publisher.publish(topic, topic, qos)
    m = await client.receive()
    assert (m.topic, m.payload) == (topic, topic.encode())
    return m


async def does_not_receive(client, publisher, topic, other):
    """'topic' does not come, shown by 'other' coming after it."""
    await publisher.publish(topic, b"", 1)
    await receives(client, publisher, other)


async def test_one_filter(env):
    stack, _, publisher = await declared_stack(env, "orders/#")
    client = await env.connect(stack.ports[0], "app")
    await receives(client, publisher, "orders/1")
    await does_not_receive(client, publisher, "other", "orders/2")


async def test_a_comma_list(env):
    stack, _, publisher = await declared_stack(env, "orders/+, stock/#,done")
    client = await env.connect(stack.ports[0], "app", 4)
    for topic in ("orders/1", "stock/a/b", "done"):
        await receives(client, publisher, topic)
    await does_not_receive(client, publisher, "orders/1/2", "done")


async def test_a_yaml_list(env):
    stack, _, publisher = await declared_stack(
        env, "- filter: orders/#\n  qos: 2\n  delivery: pod\n- filter: 'stock/+'\n  qos: 0\n"
        "- filter: jobs\n  qos: 1\n  group: crew\n  durable: true\n  expiry: 1h\n"
        "  max-length: 100\n  overflow: drop-oldest\n  max-attempts: 3\n")
    client = await env.connect(stack.ports[0], "app")
    assert (await receives(client, publisher, "orders/x", 2)).qos == 2
    assert (await receives(client, publisher, "stock/x", 2)).qos == 0
    assert (await receives(client, publisher, "jobs", 2)).qos == 1


async def test_the_client_s_own_subscriptions_stand_beside_it(env):
    stack, _, publisher = await declared_stack(env, "declared")
    client = await env.connect(stack.ports[0], "app")
    await client.subscribe("own")
    await receives(client, publisher, "own")
    await receives(client, publisher, "declared")
    await client.unsubscribe("own", "declared")
    await does_not_receive(client, publisher, "own", "declared")


async def test_only_the_first_client_gets_them(env):
    stack, _, publisher = await declared_stack(env, "declared")
    first = await env.connect(stack.ports[0], "first")
    second = await env.connect(stack.ports[0], "second")
    await receives(first, publisher, "declared")
    await second.subscribe("own")
    await receives(second, publisher, "own")
    await receives(first, publisher, "declared")
    assert not second.inbox and not first.inbox


async def test_the_client_may_be_named(env):
    file = AnnotationsFile(env.folder / "pod").write(
        "declared", **{"sqmqos.io/client-id": "consumer"})
    stack = await env.stack(annotations=[file.path, None])
    publisher = await env.connect(stack.ports[1], "publisher")
    other = await env.connect(stack.ports[0], "other")
    consumer = await env.connect(stack.ports[0], "consumer")
    await receives(consumer, publisher, "declared")
    assert not other.inbox


async def test_editing_moves_them_without_touching_the_connection(env):
    stack, file, publisher = await declared_stack(env, "before")
    client = await env.connect(stack.ports[0], "app")
    await receives(client, publisher, "before")
    log_length = len(stack.log(stack.sidecars[0]))
    file.write("after/#, kept")
    changed = asyncio.get_running_loop().time()

    async def moved():
        await publisher.publish("after/x", b"", 1)
        await client.ping()
        return client.inbox
    await eventually(moved, "the new subscription receives", 5)
    assert asyncio.get_running_loop().time() - changed < 3, "a change takes about a second"
    client.inbox.clear()
    await eventually(lambda: in_place(stack, 2), "two are in place")
    # the same edit by rewriting the file in place, as a person at a shell does
    await does_not_receive(client, publisher, "before", "kept")
    (file.folder / "..data" / "annotations").write_text(
        render({"sqmqos.io/subscribe": "third"}))
    await eventually(lambda: in_place(stack, 1), "one is in place")
    client.inbox.clear()
    await receives(client, publisher, "third")
    assert client.connected
    assert stack.log(stack.sidecars[0])[log_length:]


async def in_place(stack, n):
    return await metric(stack.sidecars[0], IN_PLACE) == n


async def test_taking_the_annotation_away_ends_them(env):
    # what is published while they end may still find their queue
    stack, file, publisher = await declared_stack(env, "- {filter: gone, expiry: 1s}")
    client = await env.connect(stack.ports[0], "app")
    await receives(client, publisher, "gone")
    file.write(None)
    await eventually(lambda: in_place(stack, 0), "none is in place")
    await client.subscribe("end")
    client.inbox.clear()
    await does_not_receive(client, publisher, "gone", "end")


MALFORMED = [  # (annotation or whole file, line in the log, a word of the reason)
    ("orders/#/x", "sqmqos.io/subscribe", 1),
    ("a, b/#/c", "sqmqos.io/subscribe", 1),
    ("- filter: a\n- filtre: b\n", "filtre", 2),
    ("- filter: a\n  qos: 3\n", "qos", 2),
    ("- filter: a\n- filter: b\n  delivery: everyone\n", "delivery", 3),
    ("- filter: [a\n", "sqmqos.io/subscribe", 1),
    ("- filter: a\n  max-length: many\n", "max-length", 2),
    ("- filter: a\n  max-length: 7\n- filter: b\n  max-length: 8\n", "which has 7", 3),
]


async def readyz(sidecar):
    return await asyncio.to_thread(sidecar.get, "/readyz")


async def test_readyz_says_what_of_the_annotations_is_not_in_force(env):
    stack, file, _ = await declared_stack(env, "good")
    sidecar = stack.sidecars[0]
    for write, text in (
            (lambda: file.write("a/#/b, , b"),
             f"annotations.file: {file.path}: sqmqos.io/subscribe: line 1, column 1: bad filter "
             "'a/#/b': # must be the last character\n"
             f"annotations.file: {file.path}: sqmqos.io/subscribe: line 1, column 8: an empty filter\n"
             "the last good set of annotations stays in force"),
            (lambda: file.write_raw(render({"sqmqos.io/subscrbe": "a"})),
             f"annotations.file: {file.path}: sqmqos.io/subscrbe: line 1, column 1: is unknown and does "
             "nothing, did you mean sqmqos.io/subscribe?")):
        write()

        async def told():
            return await readyz(sidecar) == (200, f"ok\n{text}\n")
        await eventually(told, "it is a line of /readyz, and the pod stays ready")
        assert all(stack.log(sidecar).count(line) == 1 for line in text.splitlines())
        file.write("good")

        async def forgotten():
            return await readyz(sidecar) == (200, "ok\n")
        await eventually(forgotten, "a good file is nothing to say")


async def test_malformed_ones_are_reported_and_the_last_good_set_stays(env):
    stack, file, publisher = await declared_stack(env, "good")
    sidecar = stack.sidecars[0]
    client = await env.connect(stack.ports[0], "app")
    await receives(client, publisher, "good")
    for value, word, line in MALFORMED:
        errors = await metric(sidecar, "sqmqos_annotation_errors_total")
        at = len(stack.log(sidecar))
        file.write(value)

        async def reported():
            return await metric(sidecar, "sqmqos_annotation_errors_total") > errors
        await eventually(reported, f"{value!r} is counted as an error", 5)
        report = await eventually(lambda: [row for row in stack.log(sidecar)[at:].splitlines()
                                           if "sqmqos.io/subscribe" in row], "a line in the log")
        assert word in report[0], (value, report)
        assert f"line {line}" in report[0] or f":{line}:" in report[0], (value, report)
        await receives(client, publisher, "good")
    # a file that is no annotations file at all
    for text in ("no equals sign", 'sqmqos.io/subscribe="not ended', 'sqmqos.io/subscribe="\\q"',
                 "\x00\xff\x01"):
        errors = await metric(sidecar, "sqmqos_annotation_errors_total")
        file.write_raw(text)

        async def counted():
            return await metric(sidecar, "sqmqos_annotation_errors_total") > errors
        await eventually(counted, f"{text!r} is counted as an error", 5)
        await receives(client, publisher, "good")
    file.write("better")
    await eventually(lambda: in_place(stack, 1), "one is in place")

    async def works_again():
        await publisher.publish("better", b"", 1)
        await client.ping()
        return client.inbox
    await eventually(works_again, "a good file counts again")
    client.inbox.clear()
    assert client.connected


async def test_a_group_gets_each_message_once_and_waits_for_its_members(env):
    files = [AnnotationsFile(env.folder / f"pod{i}").write("work/#") for i in (1, 2)]
    stack = await env.stack(sidecars=3, annotations=[files[0].path, files[1].path, None])
    publisher = await env.connect(stack.ports[2], "publisher")
    for n in range(20):  # nobody is there yet: kept
        assert await publisher.publish("work/x", b"%d" % n, 1) == 0
    first = await env.connect(stack.ports[0], "app")
    assert [int(m.payload) for m in await first.receive_all(20)] == list(range(20))
    second = await env.connect(stack.ports[1], "app")
    await eventually(lambda: both_consume(stack), "both replicas are attached")
    for n in range(200):
        await publisher.publish("work/x", b"%d" % n, 1)
    await eventually(lambda: len(first.inbox) + len(second.inbox) >= 200, "all have arrived")
    got = [int(m.payload) for m in (*first.inbox, *second.inbox)]
    assert sorted(got) == list(range(200))
    # what a replica leaves undone, the other one does
    first.ack = second.ack = "none"
    first.inbox.clear()
    second.inbox.clear()
    for n in range(10):
        await publisher.publish("work/x", b"%d" % n, 1)
    await eventually(lambda: len(first.inbox) + len(second.inbox) >= 10, "all have arrived")
    left = {m.payload for m in first.inbox}
    for m in second.inbox:
        second.send_ack(4, m.packet_id)
    second.inbox.clear()
    second.ack = "auto"
    await first.disconnect()
    got = {m.payload for m in await second.receive_all(len(left))}
    assert got == left


async def both_consume(stack):
    values = [await metric(s, "sqmqos_sessions_attached") for s in stack.sidecars[:2]]
    return all(v >= 1 for v in values)


async def test_delivery_pod_gives_every_replica_a_copy(env):
    files = [AnnotationsFile(env.folder / f"pod{i}").write("- {filter: news, delivery: pod}")
             for i in (1, 2)]
    stack = await env.stack(annotations=[f.path for f in files])
    apps = [await env.connect(port, "app") for port in stack.ports]
    for n in range(10):
        await apps[0].publish("news", b"%d" % n, 1)
    for app in apps:
        assert [int(m.payload) for m in await app.receive_all(10)] == list(range(10))


async def test_readiness_waits_for_them_and_latches(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#")
    stack = await env.stack(start=False, sidecars=1, annotations=[file.path])
    sidecar = stack.sidecars[0].start()

    async def not_ready_because_of_it():
        status, body = await asyncio.to_thread(sidecar.get, "/readyz")
        return status == 503 and "orders/#" in body
    await eventually(not_ready_because_of_it, "/readyz names the subscription")
    stack.broker.start()
    await stack.ready()
    await stack.kill(stack.broker)
    await eventually(lambda: no_links(sidecar), "the link is gone")
    assert (await asyncio.to_thread(sidecar.get, "/readyz"))[0] == 200
    env.check_leftovers = False


async def no_links(program):
    return await metric(program, "sqmqos_links") == 0


async def test_the_file_may_come_later(env):
    folder = env.folder / "pod"
    stack = await env.stack(annotations=[folder / "annotations", None], start=False)
    for program in stack.programs:
        program.start()
    await eventually(lambda: parts.port_error(stack.ports[0]) is not None, "the sidecar listens")
    await stack.ready(stack.broker, stack.sidecars[1])
    file = AnnotationsFile(folder).write("late")
    await stack.ready()
    await eventually(lambda: in_place(stack, 1), "one is in place")
    client = await env.connect(stack.ports[0], "app")
    publisher = await env.connect(stack.ports[1], "publisher")
    await receives(client, publisher, "late")
    assert file.path.exists()
    env.check_leftovers = False


# ---- who gets them

OTHERS = "sqmqos_declared_other_clients"


async def does_take(stack, publisher, client, topic="work"):
    """'client' is the one that gets what is declared, from now on."""
    async def came():
        await publisher.publish(topic, b"probe", 1)
        await client.ping()
        return client.inbox
    await eventually(came, f"{client.client_id} gets the declared messages")
    client.inbox.clear()


def warnings(stack, word):
    return [row for row in stack.log(stack.sidecars[0]).splitlines()
            if " warn declared " in row and word in row]


async def settled(stack, others):
    async def has_settled():
        return await metric(stack.sidecars[0], OTHERS) == others
    await eventually(has_settled, f"{others} clients are told to stand beside the taker")


async def says(stack, text, all_of_it=None):
    """/readyz says it, and that the sidecar is ready."""
    status, body = await asyncio.to_thread(stack.sidecars[0].get, "/readyz")
    assert status == 200 and body.startswith("ok\n"), body
    return text in body and body == (all_of_it or body)


async def test_the_connection_that_consumes_gets_all_of_them(env):
    """An app with one connection to publish, opened first, and one to consume."""
    stack, _, publisher = await declared_stack(env, "work")
    out = await env.connect(stack.ports[0], "app-out")
    await out.publish("out", b"", 1)
    into = await env.connect(stack.ports[0], "app-in")
    for n in range(10):
        await publisher.publish("work", b"%d" % n, 1)
        await out.publish("out", b"", 1)
    assert [int(m.payload) for m in await into.receive_all(10)] == list(range(10))
    assert not out.inbox
    await settled(stack, 1)
    rows = warnings(stack, "sqmqos.io/client-id")
    assert len(rows) == 1 and "client app-in gets" in rows[0] and "not app-out" in rows[0], rows
    await eventually(lambda: says(stack, "app-in gets the declared messages, and not app-out;"),
                     "/readyz says it, too")
    await out.disconnect()
    await settled(stack, 0)
    await eventually(lambda: says(stack, "", "ok\n"), "/readyz has nothing to say any more")
    await does_take(stack, publisher, into)


async def test_a_publisher_that_comes_to_it_late_yields(env):
    """Both connections are idle at first, and the one to publish is the older."""
    stack, _, publisher = await declared_stack(env, "work")
    out = await env.connect(stack.ports[0], "app-out")
    into = await env.connect(stack.ports[0], "app-in")
    await settled(stack, 1)
    assert "client app-out gets" in warnings(stack, "sqmqos.io/client-id")[0]
    await out.publish("out", b"", 1)
    await does_take(stack, publisher, into)
    assert not out.inbox
    assert "client app-in gets" in warnings(stack, "sqmqos.io/client-id")[-1]


async def test_a_publisher_at_a_shell_takes_nothing(env):
    """mosquitto_pub beside a worker, and before it."""
    stack, _, publisher = await declared_stack(env, "work")

    async def at_a_shell(n):
        for i in range(n):
            process = await asyncio.create_subprocess_exec(
                "mosquitto_pub", "-p", str(stack.ports[0]), "-t", "done", "-m", str(i), "-q", "1")
            assert await process.wait() == 0
    for n in range(10):
        await publisher.publish("work", b"%d" % n, 1)
    await at_a_shell(3)
    worker = await env.connect(stack.ports[0], "worker")
    for n in range(10, 20):
        await publisher.publish("work", b"%d" % n, 1)
        await at_a_shell(1)
    assert [int(m.payload) for m in await worker.receive_all(20)] == list(range(20))
    assert not warnings(stack, "")


async def test_one_that_subscribes_comes_before_the_others(env):
    stack, _, publisher = await declared_stack(env, "work")
    quiet = await env.connect(stack.ports[0], "quiet")
    subscriber = await env.connect(stack.ports[0], "subscriber")
    await subscriber.subscribe("own")
    await does_take(stack, publisher, subscriber)
    await settled(stack, 1)
    assert not quiet.inbox
    await subscriber.disconnect()
    await does_take(stack, publisher, quiet)


async def test_publishers_alone_leave_them_in_their_queue(env):
    stack, _, publisher = await declared_stack(env, "work")
    clients = [await env.connect(stack.ports[0], f"out-{i}") for i in range(2)]
    for client in clients:
        await client.publish("out", b"", 1)
    await publisher.publish("work", b"waits", 1)
    await settled(stack, 2)
    row = warnings(stack, "sqmqos.io/client-id")[0]
    assert "no client gets the declared messages" in row and "out-0, out-1" in row, row
    assert not any(client.inbox for client in clients)
    await clients[1].disconnect()  # the other one is alone now
    assert (await clients[0].receive()).payload == b"waits"


async def test_what_a_publisher_took_is_told_at_its_end(env):
    stack, _, publisher = await declared_stack(env, "work")
    out = await env.connect(stack.ports[0], "out")
    for n in range(7):
        await publisher.publish("work", b"%d" % n, 1)
    await out.receive_all(7)
    await out.publish("out", b"", 1)
    await out.disconnect()
    rows = await eventually(lambda: warnings(stack, "took"), "a warning")
    assert len(rows) == 1 and "client out," in rows[0] and "took 7 declared messages" in rows[0]
    subscriber = await env.connect(stack.ports[0], "subscriber")  # of this one nothing is said
    await subscriber.subscribe("own")
    await does_take(stack, publisher, subscriber)
    await subscriber.publish("out", b"", 1)
    await subscriber.disconnect()

    async def gone():
        return await metric(stack.sidecars[0], "sqmqos_clients") == 0
    await eventually(gone, "all clients are gone")
    assert len(warnings(stack, "took")) == 1


async def test_a_glob_names_the_client(env):
    file = AnnotationsFile(env.folder / "pod").write(
        "work", **{"sqmqos.io/client-id": "- spare\n- app-con-?*\n"})
    stack = await env.stack(annotations=[file.path, None],
                            sidecar={"declared": {"settle": "10m"}})
    publisher = await env.connect(stack.ports[1], "publisher")
    other = await env.connect(stack.ports[0], "app-pub-1")
    await other.subscribe("own")
    nobody = ("ok\nno client gets the declared messages: there are 1, and the annotation "
              "sqmqos.io/client-id matches none\n")

    async def says(text):
        return await readyz(stack.sidecars[0]) == (200, text)
    await eventually(lambda: says(nobody), "/readyz says that the names match nobody")
    first = await env.connect(stack.ports[0], "app-con-1")
    await eventually(lambda: says("ok\n"), "and no more")
    await first.publish("out", b"", 1)  # whatever it does, it is named
    second = await env.connect(stack.ports[0], "spare")
    await receives(first, publisher, "work")
    await first.disconnect()
    await receives(second, publisher, "work")
    assert not other.inbox
    assert await metric(stack.sidecars[0], OTHERS) == 0
    file.write("work", **{"sqmqos.io/client-id": "app-pub-*, nobody"})
    await does_take(stack, publisher, other)
    assert second.connected
    second.inbox.clear()
    file.write("work", **{"sqmqos.io/client-id": "a, , b"})
    rows = await eventually(lambda: warnings(stack, "sqmqos.io/client-id"), "a warning")
    assert "an empty client identifier" in rows[0], rows
    await receives(other, publisher, "work")
    assert not second.inbox


MANAGE = [{"allow": ["manage"]}]


async def test_pods_share_a_named_queue_with_pullers(env):
    """queue: NAME joins what is declared elsewhere; it is no group of the workload."""
    files = [AnnotationsFile(env.folder / f"pod-{n}").write("- queue: jobs\n  concurrency: 1\n") for n in range(2)]
    stack = await env.stack(start=False, sidecars=3, annotations=[*(f.path for f in files), None],
                            broker={"acl": MANAGE})
    for program in stack.programs:
        program.start()
    await stack.ready(stack.broker, stack.sidecars[2])
    api = Api(stack)
    publisher = await env.connect(stack.ports[2], "publisher")

    async def not_ready():
        status, text = await asyncio.to_thread(stack.sidecars[0].get, "/readyz")
        return status == 503 and "'$queue/jobs' (group jobs) is not in place: the broker answered 0x8f" in text
    await eventually(not_ready, "/readyz names the queue that there is not")
    answer = await api.ask("PUT", "/v1/queues/jobs", b'{"bindings":[{"filter":"jobs/#","qos":2}]}')
    assert answer.status == 201, answer
    await stack.ready()
    workers = [await env.connect(stack.ports[n], f"worker-{n}") for n in range(2)]
    await eventually(lambda: both_consume(stack), "both replicas are attached")
    for n in range(8):
        assert await publisher.publish(f"jobs/{n}", b"", 2) == 0
    await eventually(lambda: sum(len(w.inbox) for w in workers) >= 8, "all have arrived")
    assert sorted(m.topic for w in workers for m in w.inbox) == [f"jobs/{n}" for n in range(8)]
    own = {"sqmqos-space": "default"}
    answer = await api.ask("DELETE", "/v1/queues/jobs", headers=own)
    assert answer.status == 409 and answer.problem == "conflict", answer
    # What comes when they are gone waits in the queue, for whoever takes from it.
    for worker in workers:
        await worker.disconnect()
    for n in range(3):
        assert await publisher.publish(f"jobs/late/{n}", b"", 1) == 0
    answer = await api.ask("POST", "/v1/queues/jobs/receive?wait=5s&ack=receive")
    assert {m["topic"] for m in answer.json["messages"]} == {f"jobs/late/{n}" for n in range(3)}, answer
    answer = await api.ask("DELETE", "/v1/queues/jobs", headers=own)
    assert answer.status == 204, answer
    env.check_leftovers = False

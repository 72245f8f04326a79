"""sqmqos why: ten faults, each planted on real programs. For each it names the fault, and what mends
it; and docs/troubleshooting.md has the step that leads there, which is run as the page has it."""

import asyncio
import os
import pathlib
import re
import subprocess
import sys
import time

import mqtt
import stack as parts
import view
from annotations import AnnotationsFile
from cluster import eventually
from command import Command, program
from scenario import scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_troubleshooting import PAGE, STEP, check  # noqa: E402

DURABLE = {"session_expiry": 600}
WORKER = "default~demo~worker"


async def why(env, stack, *argv):
    """(exit code, what it says)."""
    done = await asyncio.to_thread(
        subprocess.run, [program(env), "why", *argv], capture_output=True, text=True, timeout=60,
        env=os.environ | {"SQMQOS_ADMIN": f"http://127.0.0.1:{stack.broker.admin_port}"})
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


async def names(env, stack, fault, argv, *sentences, mend, code=0):
    """It says each of the sentences, sooner or later; a finding is followed by what mends it; and
    the page has the step, whose command is that one."""
    last = []

    async def said():
        last[:] = await why(env, stack, *argv)
        return last[0] == code and all(re.search(s, last[1], re.M) for s in sentences)
    try:
        await eventually(said, f"why {argv} says {sentences}", 20)
    except BaseException:
        print(*last)
        raise
    assert re.search(mend, last[1], re.M), last[1]
    steps = [text for name, text, _ in STEP.findall(PAGE) if name == fault]
    assert any(text.startswith("sqmqos why ") for text in steps), f"the page has no such step: {fault}"
    await check(env, fault, stack)
    env.check_leftovers = False


async def types(env, stack, *argv):
    """What mends it is typed."""
    await Command(env, "--admin", f"127.0.0.1:{stack.broker.admin_port}").run(*argv)


async def worker(env, stack, **more):
    """A durable consumer of orders/#."""
    client = await env.connect(stack.ports[0], "worker", props=DURABLE | more.pop("props", {}), **more)
    await client.subscribe(("orders/#", 2))
    return client


def keyed(key):
    return {"user": [("sqmqos-qos", "3"), ("sqmqos-key", key)]}


@scenario(timeout_s=60)
async def test_a_full_queue(env):
    stack = await env.stack(sidecars=1, broker={"queue": {"max-messages": 4}})
    await worker(env, stack, ack="none", props={"receive_maximum": 1})
    app = await env.connect(stack.ports[0], "app")

    async def refused():
        return await app.publish("orders/1", b"x", 1) == 0x97
    await eventually(refused, "the queue is full")
    await names(env, stack, "full-queue", ["--topic", "orders/1"],
                f"^! queue {WORKER} is full, 4 of 4 messages, .*: publishes to it are refused",
                f"^! default~demo~app~pod-1 was refused a publish to orders/1, because of queue {WORKER}, "
                "with 0x97, once, the last ",
                mend=f"^  -> to throw away what waits: sqmqos queues purge '{WORKER}' --yes")
    await types(env, stack, "queues", "purge", WORKER, "--yes")
    assert f"queue {WORKER} is full, 4 of" not in (await why(env, stack, "--topic", "orders/1"))[1]


@scenario(timeout_s=60)
async def test_an_away_session(env):
    stack = await env.stack(sidecars=1)
    await (await worker(env, stack)).disconnect()
    app = await env.connect(stack.ports[0], "app")
    for _ in range(3):
        assert await app.publish("orders/1", b"x", 1) == 0
    await names(env, stack, "away", ["--topic", "orders/1"],
                f"^! {WORKER} is away: its client is not connected, since .* ago; it ends in ",
                "^    3 messages wait in it",
                mend=f"^  -> if it never comes back: sqmqos sessions rm '{WORKER}'")
    await types(env, stack, "sessions", "rm", WORKER)

    async def over():
        return (await why(env, stack, "--topic", "orders/1"))[0] == 3
    await eventually(over, "nothing takes it any more")


@scenario(timeout_s=60)
async def test_a_missing_binding(env):
    stack = await env.stack(sidecars=1)
    await worker(env, stack)
    app = await env.connect(stack.ports[0], "app")
    assert await app.publish("order/1", b"x", 1) == 0x10
    await names(env, stack, "no-binding", ["--topic", "order/1"], "^! nothing takes it$",
                "^! default~demo~app~pod-1 published to order/1 in space default, and nothing took it",
                mend='sqmqos.io/subscribe: "order/1"', code=3)


@scenario(timeout_s=60)
async def test_a_wrong_rule(env):
    stack = await env.stack(sidecars=1, broker={"acl-default": "allow", "acl": [
        {"deny": ["publish"], "topics": ["orders/#"]}, {"deny": ["subscribe"], "topics": ["orders/+"]}]})
    app = await env.connect(stack.ports[0], "app")
    consumer = await env.connect(stack.ports[0], "worker", props=DURABLE)
    assert await consumer.subscribe(("orders/+", 1)) == [0x87]
    for _ in range(2):
        assert await app.publish("orders/1", b"x", 1) == 0x87
    await names(env, stack, "denied", ["--topic", "orders/1"],
                r"^! default~demo~app~pod-1 was refused a publish to orders/1 with 0x87, 2 times, .*acl\[0\]",
                rf"^! {WORKER} was refused a subscription to orders/\+ with 0x87, once, .*acl\[1\]",
                mend="^  -> let a rule of the broker's acl allow it: sqmqos-broker .* token:local", code=3)


@scenario(timeout_s=60)
async def test_a_declared_client_that_is_the_wrong_one(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#", **{"sqmqos.io/client-id": "worker"})
    stack = await env.stack(annotations=[file.path, None])
    await env.connect(stack.ports[0], "wrong")
    app = await env.connect(stack.ports[1], "app")

    async def taken():
        return await app.publish("orders/1", b"x", 1) == 0
    await eventually(taken, "it is declared")
    says = "^! pod pod-1 declares it, but none of its clients is the one that takes it: connected are wrong$"
    mend = "^  -> .*kubectl annotate pod -n default pod-1 --overwrite sqmqos.io/client-id"
    await names(env, stack, "declared-client", ["--topic", "orders/1"], says,
                "^! nobody is there to take from queue declared~default~demo~demo", mend=mend)
    await names(env, stack, "declared-client", ["--topic", "orders/1", "--client", "wrong"], says,
                "^! nothing of client wrong takes it", mend=mend, code=3)
    # The right one ends it.
    right = await env.connect(stack.ports[0], "worker")
    await right.receive()

    async def well():
        return "!" not in (await why(env, stack, "--topic", "orders/1"))[1]
    await eventually(well, "nothing stands in the way")


@scenario(timeout_s=60)
async def test_one_pod_of_two_whose_client_is_the_wrong_one(env):
    file = AnnotationsFile(env.folder / "pod").write("orders/#", **{"sqmqos.io/client-id": "worker"})
    stack = await env.stack(annotations=[file.path, file.path])
    await env.connect(stack.ports[0], "wrong", props=DURABLE)
    await env.connect(stack.ports[1], "worker")

    async def said():
        _, out = await why(env, stack, "--topic", "orders/1")
        return "! pod pod-1 declares it, but none of its clients is the one that takes it: connected are wrong" in out \
            and "pod pod-2 declares" not in out
    await eventually(said, "pod-1 is named, and pod-2 is not")
    env.check_leftovers = False


@scenario(timeout_s=60)
async def test_an_expired_message(env):
    stack = await env.stack(sidecars=1)
    await (await worker(env, stack)).disconnect()
    app = await env.connect(stack.ports[0], "app")
    assert await app.publish("orders/1", b"x", 1, props={"message_expiry": 1}) == 0

    def over():
        return view.row(stack.broker, "messages", queue=WORKER)["expires"] < 1000 * time.time()
    await eventually(lambda: asyncio.to_thread(over), "its time is over")
    again = await env.connect(stack.ports[0], "worker", clean=False, props=DURABLE)
    await again.ping()
    await names(env, stack, "expired", ["--topic", "orders/1"],
                f"^! a message to orders/1 expired in queue {WORKER}, .* ago",
                mend="^  -> publish with a longer Message Expiry Interval")


@scenario(timeout_s=60)
async def test_a_key_that_is_known(env):
    stack = await env.stack(sidecars=1)
    taker = await worker(env, stack)
    app = await env.connect(stack.ports[0], "app")
    for _ in range(2):
        assert await app.publish("orders/1", b"x", 2, props=keyed("order-17")) == 0
    await taker.receive()
    await names(env, stack, "known-key", ["--topic", "orders/1", "--key", "order-17"],
                "^! key order-17 is known in space default: a message with it was stored .* ago; .* not stored again; it is forgotten in ",
                mend="^  -> another message needs another key")
    code, out = await why(env, stack, "--topic", "orders/1", "--key", "order-18")
    assert code == 0 and "key order-18 is not known" in out and "!" not in out, out


@scenario(timeout_s=60)
async def test_a_stalled_store(env):
    stack = await env.stack(start=False, sidecars=1)
    stack.broker.environment["SQMQOS_FAULT"] = "journal-before-write:20:hang"
    await stack.start()
    await worker(env, stack)
    app = await env.connect(stack.ports[0], "app")
    while "fault point" not in stack.log(stack.broker):  # where the journal's writer stays
        app.publish_nowait("orders/1", b"x", 1)
        await asyncio.sleep(0.01)
    app.publish_nowait("orders/1", b"x", 1)
    await names(env, stack, "store-stalls", ["--topic", "orders/1"], "^! the store stalls: .* wait for their commit, and nothing was committed within a second",
                mend="^  -> see the broker's log and its volume: sqmqos store show")
    await stack.kill(stack.broker)


@scenario(timeout_s=60)
async def test_a_dead_link(env):
    stack = await env.stack(sidecars=2, broker={"session": {"grace": "10m"}})
    await worker(env, stack)
    await stack.kill(stack.sidecars[0])
    app = await env.connect(stack.ports[1], "app")
    await app.publish("orders/1", b"x", 1)
    await names(env, stack, "dead-link", ["--topic", "orders/1"],
                f"^! {WORKER} is away: its link was lost, since .* ago", mend="^  -> its sidecar comes back by itself")


@scenario(timeout_s=60)
async def test_a_wrong_space(env):
    stack = await env.stack(start=False)
    stack.sidecars[1].tree["identity"]["space"] = "shop"
    await stack.start()
    await worker(env, stack)
    app = await env.connect(stack.ports[1], "app")
    assert await app.publish("orders/1", b"x", 1) == 0x10
    await names(env, stack, "wrong-space", ["--topic", "orders/1", "--space", "shop"],
                "^! nothing takes it in space shop$",
                f"^! in space default, {WORKER} takes it by orders/#",
                "^! shop~demo~app~pod-2 published to orders/1 in space shop, and nothing took it",
                mend="^  -> publish and subscribe in one space", code=3)


@scenario(timeout_s=60)
async def test_a_session_in_a_space_that_its_token_may_not_name(env):
    stack = await env.stack(start=False)
    stack.sidecars[1].tree["identity"]["space"] = "nowhere"
    await stack.start()
    await worker(env, stack)
    connack = await env.client("app").connect(stack.ports[1], clean=False, props=DURABLE)
    assert connack.code == 0x87, connack
    _, out = await why(env, stack, "--topic", "orders/1", "--client", "app")
    assert re.search(r"^! nowhere~demo~app was refused its session with HTTP 403, .* ago: .*space", out, re.M), out
    assert "  -> run it in the space, and with the account, whose session it is" in out, out
    assert "was refused its session" not in (await why(env, stack, "--topic", "orders/1"))[1]
    env.check_leftovers = False


@scenario(timeout_s=60)
async def test_one_message_is_followed(env):
    """By its key and its origin: in its queue, with its client, as a dead letter, and nowhere."""
    stack = await env.stack(sidecars=1)
    await (await worker(env, stack)).disconnect()
    app = await env.connect(stack.ports[0], "app")
    for n in range(3):
        assert await app.publish(f"orders/{n}", b"x", 2, props=keyed(f"k-{n}")) == 0

    async def says(name, *sentences, code=0):
        last = []

        async def said():
            last[:] = await why(env, stack, "--message", name)
            return last[0] == code and all(re.search(s, last[1], re.M) for s in sentences)
        try:
            await eventually(said, f"why --message {name} says {sentences}", 20)
        except BaseException:
            print(*last)
            raise
    origin = view.row(stack.broker, "messages", name="k-2")["origin"]
    for name in ("k-2", origin):
        await says(name, f"^  it waits in queue {WORKER}: topic orders/2, QoS 2, .*, behind 2 others$",
                   f"^! {WORKER} is away", "^  default~demo~app~pod-1 published it, as number ")
    await says("k-2", "^  its key is known in space default: it was stored .* ago, and is forgotten in ")
    taker = await env.connect(stack.ports[0], "worker", clean=False, ack="none",
                              props=DURABLE | {"receive_maximum": 1})
    first = await taker.receive()
    await says("k-0", f"^! {WORKER} has it from queue {WORKER}, as packet {first.packet_id}, and has not")
    taker.send_ack(mqtt.PUBREC, first.packet_id, 0x83)
    await says("k-0", f"^! it is dead letter .* of dead~default, from queue {WORKER}, since .*: rejected$",
               "^  -> when the cause is gone: sqmqos dead-letters redrive 'dead~default' --letter [0-9]+$",
               f"^! a message to orders/0 left queue {WORKER} undelivered, .*: rejected")
    await taker.disconnect()
    done = await env.connect(stack.ports[0], "worker", clean=False, props=DURABLE)
    await done.receive_all(2)
    await done.ping()
    await says("k-1", "^  it waits in no queue, no client has it open, and it is no dead letter")
    await says("k-9", "^! no message with the key or origin k-9 waits", code=3)
    env.check_leftovers = False


async def test_what_is_asked_must_be_whole(env):
    for argv, what in (((), "--topic or --message is missing"),
                       (("--message", "k", "--key", "k"), "--message has the key itself"),
                       (("--topic", "a/#"), "topic")):
        done = subprocess.run([program(env), "why", *argv], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and what in done.stderr and not done.stdout, done


async def test_what_mends_can_be_typed(env):
    """Each command of sqmqos that a finding names is one."""
    text = "".join(path.read_text() for path in sorted((parts.ROOT / "cli" / "view").glob("why*.c")))
    text = re.sub(r'"\n?\s*"', "", text)
    commands = set(re.findall(r"sqmqos ([a-z-]+(?: [a-z]+)?)", text))
    assert {"why", "queues purge", "sessions rm", "dead-letters redrive", "store show"} <= commands, commands
    for command in commands:
        done = subprocess.run([program(env), *command.split(), "--help"], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: sqmqos {command}"), (command, done)

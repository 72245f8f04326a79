"""Rules of who may do what (acl): at the broker, with pods' tokens, and changed while it runs."""

import asyncio
import re
import shlex
import subprocess

import stack as parts
from annotations import AnnotationsFile, Volume
from cluster import eventually, metric, metrics
from mqtt import V5, V311, Will
from scenario import scenario
from tokens import Issuer

NO = 0x87
DURABLE = {"session_expiry": 600}


def acl(*rules, default="allow"):
    return {"acl": list(rules), "acl-default": default}


async def ruled(env, *rules, accounts=("till", "robot"), default="allow", sidecar=None, start=True, **more):
    """A broker with rules, and a sidecar for each account of namespace shop."""
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(start=False, sidecars=len(accounts), tls=False,
                            broker=issuer.config() | acl(*rules, default=default) | {"workers": 2},
                            sidecar=sidecar or {}, **more)
    for i, account in enumerate(accounts):
        path = stack.folder / f"token-{i}"
        path.write_text(issuer.token("shop", account, f"pod-{i}"))
        stack.sidecars[i].tree["identity"] = {"space": "shop", "workload": "demo", "pod": f"pod-{i}"}
        stack.sidecars[i].tree["auth"] = {"token-file": str(path)}
    if start:
        await stack.start()
    return stack


async def denied(stack, verb):
    return await metric(stack.broker, f'sqmqos_acl_denied_total{{verb="{verb}"}}')


async def change(stack, *rules, default="allow", good=True):
    """Other rules in the file, and in force."""
    before = stack.log(stack.broker).count(" of acl ")
    stack.broker.tree |= acl(*rules, default=default)
    stack.broker.write_config()
    await eventually(lambda: stack.log(stack.broker).count(" of acl ") > before, "the file is read")
    assert await metric(stack.broker, "sqmqos_acl_stale") == (0 if good else 1)
    assert ("configuration: the file can't be taken" in stack.broker.get("/readyz")[1]) == (not good)
    if good:
        assert await metric(stack.broker, "sqmqos_acl_rules") == len(rules)


async def nothing_came(client, other, topic):
    """Nothing but what 'other' publishes to 'topic' now."""
    await other.publish(topic, b"fence", qos=1)
    m = await client.receive()
    assert (m.topic, m.payload) == (topic, b"fence"), m


async def test_what_is_denied_is_refused_at_every_qos(env):
    stack = await ruled(env, {"deny": ["publish"], "identity": "kube:shop/till", "topics": ["secret/#"]})
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    old = await env.connect(stack.ports[0], "old", V311)
    assert await robot.subscribe("#", qos=2) == [2]
    assert await till.publish("secret/a", b"0", qos=0) is None
    for qos in (1, 2):
        assert await till.publish("secret/a", b"no", qos=qos) == NO
        assert await till.publish("open", b"yes", qos=qos) == 0
        assert (await robot.receive()).payload == b"yes"
        assert await old.publish("open/old", b"yes", qos=qos) == 0
        assert (await robot.receive()).payload == b"yes"
    assert "publish to secret/a: acl[0] (line" in till.words[0], till.words
    assert await robot.publish("secret/b", b"mine", qos=1) == 0, "the rule is of another account"
    assert (await robot.receive()).payload == b"mine"
    await old.publish("secret/a", b"no", qos=0)
    await old.ping()
    old.publish_nowait("secret/a", b"no", qos=1)  # which MQTT 3.1.1 can't say
    await old.wait_closed()
    await nothing_came(robot, till, "end")
    assert await denied(stack, "publish") == 5
    assert re.search(r"secret/a: acl\[0\] \(line \d+\) denies it, by kube:shop/till", stack.log(stack.broker))


async def test_a_batch_with_mixed_outcomes(env):
    stack = await ruled(env, {"allow": ["publish"], "identity": "*/till", "topics": ["a/{client}/#", "b"]})
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    await robot.subscribe("#", qos=1)
    waits = [(till.publish_nowait(t, b"%d" % n, qos=1), good) for n in range(60)
             for t, good in (("a/app/1", True), ("a/other/1", False), ("b", True), ("c", False))]
    assert [(await w) == 0 for w, _ in waits] == [good for _, good in waits]
    assert {await w for w, good in waits if not good} == {NO}
    got = await robot.receive_all(120)
    assert {m.topic for m in got} == {"a/app/1", "b"}
    assert [int(m.payload) for m in got if m.topic == "b"] == list(range(60))
    assert await denied(stack, "publish") == 120


async def test_subscriptions_are_covered_and_overlap_nothing_denied(env):
    stack = await ruled(
        env, {"allow": ["subscribe"], "identity": "kube:shop/till", "topics": ["a/#", "me/{identity}"]},
        {"deny": ["subscribe"], "topics": ["a/secret/#"]},
        {"deny": ["consume"], "queues": ["closed-*"]})
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    old = await env.connect(stack.ports[0], "old", V311)
    await robot.publish("a/secret/x", b"retained", qos=1, retain=True)
    await robot.publish("a/b/r", b"retained", qos=1, retain=True)
    asked = ["a/b/+", "a/+", "a/#", "a/secret/x", "b", "#", "me/shop.till", "me/shop.robot", "$share/g/a/b",
             "$share/closed-1/a/b", "$tag/t/a/b", "$tag/t", "$SYS/#", "$dead/#"]
    good = {"a/b/+", "me/shop.till", "$share/g/a/b", "$tag/t/a/b"}
    assert await till.subscribe(*asked, qos=1) == [1 if f in good else NO for f in asked]
    assert await old.subscribe("a/x", "b", qos=1) == [1, 0x80]
    assert (await till.receive()).topic == "a/b/r", "the one retained message that it may see"
    assert await robot.subscribe("#", "a/secret/+", "b/#", "$dead/#") == [NO, NO, 1, NO]
    await robot.publish("a/secret/x", b"", qos=1, retain=True)
    await robot.publish("a/b/r", b"", qos=1, retain=True)
    assert (await till.receive()).topic == "a/b/r"
    await nothing_came(till, robot, "a/b/c")
    assert await denied(stack, "consume") == 1
    assert any("filter b: not authorized, acl[0] (line" in w for w in till.words), till.words


async def test_wills_are_publishes(env):
    stack = await ruled(env, {"deny": ["publish"], "identity": "*/till", "topics": ["state/#"]})
    robot = await env.connect(stack.ports[1], "robot")
    await robot.subscribe("#")
    for version, code in ((V5, NO), (V311, 5)):
        c = env.client("till", version)
        connack = await c.connect(stack.ports[0], will=Will("state/till", b"gone"), clean=False, props=DURABLE)
        assert connack.code == code, connack
        c = env.client("brief", version)
        connack = await c.connect(stack.ports[0], will=Will("state/till", b"gone"))
        assert connack.code == code, connack
    good = await env.connect(stack.ports[0], "good", will=Will("bye", b"gone"))
    good.abort()
    assert (await robot.receive()).topic == "bye"
    late = await env.connect(stack.ports[0], "late", will=Will("later", b"gone"))
    await change(stack, {"deny": ["publish"], "identity": "*/till", "topics": ["later"]})
    late.abort()
    await eventually(lambda: "will refused with 0x87" in stack.log(stack.broker), "it is refused")
    await nothing_came(robot, robot, "end")
    assert await metric(stack.broker, 'sqmqos_auth_refused_total{reason="will"}') == 4


async def test_a_client_that_was_answered_at_once_is_told_by_disconnect(env):
    stack = await ruled(env, {"deny": ["publish"], "identity": "*/till", "topics": ["state/#"]})
    await env.connect(stack.ports[0], "first")
    c = env.client("brief")
    connack = await c.connect(stack.ports[0], will=Will("state/till", b"gone"))
    assert connack.code == 0
    assert await c.wait_closed() == NO
    why = "brief: closed, refused by the broker: not authorized: a rule of the broker denies the will"
    await eventually(lambda: why in stack.log(stack.sidecars[0]), "its sidecar says why")


async def test_the_receipt_of_a_will_is_judged_when_it_connects(env):
    stack = await ruled(env, {"deny": ["publish"], "identity": "*/till", "topics": ["state/#"]})

    async def code(topic, *user):
        will = Will("bye", b"gone", 2, props={"user": [*user, ("sqmqos-receipt", topic)]})
        connack = await env.client("till").connect(stack.ports[0], will=will, clean=False, props=DURABLE)
        return connack.code
    ask = ("sqmqos-qos", "3")
    assert await code("state/till", ask) == NO
    assert "state/till: acl[0]" in stack.log(stack.broker)
    assert await code("receipts/till", ask) == 0


async def test_receipts_and_delayed_messages_are_publishes(env):
    stack = await ruled(env, {"deny": ["publish"], "identity": "*/till", "topics": ["state/#"]})
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    await robot.subscribe("#", qos=2)
    ask = [("sqmqos-qos", "3"), ("sqmqos-receipt", "state/x")]
    assert await till.publish("t", b"x", qos=2, props={"user": ask}) == NO
    assert await till.publish("state/x", b"x", qos=1, props={"user": [("sqmqos-delay", "1")]}) == NO
    assert await till.publish("later", b"x", qos=1, props={"user": [("sqmqos-delay", "2")]}) in (0, 0x10)
    await change(stack, {"deny": ["publish"], "identity": "*/till"})
    assert await till.publish("t", b"x", qos=1) == NO
    assert (await robot.receive()).topic == "later", "it was acknowledged"


async def test_nothing_but_what_is_listed(env):
    stack = await ruled(env, {"allow": ["publish", "subscribe"], "identity": "*/till",
                              "topics": ["{space}/{client}/#"]},
                        {"allow": ["consume"], "queues": ["g"]}, default="deny")
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    assert await robot.subscribe("a", "#") == [NO, NO]
    assert await robot.publish("a", b"x", qos=1) == NO
    assert await till.subscribe("shop/app/+", "$share/g/shop/app/1", "$share/h/shop/app/1", "shop/#") == [1, 1, NO, NO]
    assert await till.publish("shop/app/1", b"x", qos=1) == 0
    assert await till.publish("shop/other/1", b"x", qos=1) == NO
    assert [m.topic for m in await till.receive_all(2)] == ["shop/app/1"] * 2
    wide = await env.connect(stack.ports[0], "+")
    assert await wide.subscribe("shop/+/1", "shop/app/1") == [NO, NO], "its name is no wildcard"
    assert await wide.publish("shop/app/1", b"x", qos=1) == NO
    deep = await env.connect(stack.ports[0], "app/1")
    assert await deep.subscribe("shop/app/1/#") == [NO], "nor is it two levels"


@scenario(timeout_s=120)
async def test_changes_are_for_what_is_there_already(env):
    stack = await ruled(env)
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    durable = await env.connect(stack.ports[0], "durable", props=DURABLE)
    filters = ["a/#", "b", "$share/g/a/x", "$dead/#", "$tag/t/a/y"]
    assert await till.subscribe(*filters, qos=1) == [1] * 5
    assert await durable.subscribe("a/#", "b", qos=1) == [1, 1]
    await durable.disconnect()
    await change(stack, {"deny": ["subscribe"], "identity": "*/till", "topics": ["a/#", "$dead/#"]})

    async def ended():
        return await metric(stack.broker, "sqmqos_acl_ended_total") == 5
    await eventually(ended, "what is denied has ended, also of who is away")
    await robot.publish("a/x", b"secret", qos=1)
    await nothing_came(till, robot, "b")
    assert await till.subscribe("a/#") == [NO]
    connack = await durable.connect(stack.ports[0], clean=False, props=DURABLE)
    assert connack.session_present
    assert (await durable.receive()).topic == "b"
    await nothing_came(durable, robot, "b")
    # and back
    await change(stack)
    assert await till.subscribe("a/#", qos=1) == [1]
    await robot.publish("a/x", b"open", qos=1)
    while (await till.receive()).payload != b"open":
        pass
    await durable.connect(stack.ports[0], clean=True)


@scenario(timeout_s=120)
async def test_rules_that_change_over_a_restart_are_for_what_is_stored(env):
    stack = await ruled(env)
    app = await env.connect(stack.ports[0], "app", props=DURABLE)
    robot = await env.connect(stack.ports[1], "robot")
    assert await app.subscribe("a", "b", "$share/g/a", qos=1) == [1] * 3
    await app.disconnect()
    await stack.end(stack.broker)
    stack.broker.tree |= acl({"deny": ["subscribe"], "identity": "*/till", "topics": ["a"]})
    await stack.restart(stack.broker)

    async def ended():
        return await metric(stack.broker, "sqmqos_acl_ended_total") == 2
    await eventually(ended, "before anybody comes")
    await robot.publish("a", b"secret", qos=1)
    connack = await app.connect(stack.ports[0], clean=False, props=DURABLE)
    assert connack.session_present
    await nothing_came(app, robot, "b")
    await stack.end(stack.broker)
    await stack.restart(stack.broker)
    await nothing_came(app, robot, "b")
    assert await metric(stack.broker, "sqmqos_acl_ended_total") == 0, "the store has lost them, too"
    await app.connect(stack.ports[0], clean=True)


async def test_tokens_of_a_file_by_their_names(env):
    stack = await env.stack(start=False, sidecars=2, tls=False, broker=acl(
        {"allow": ["publish"], "identity": "token:meter", "topics": ["{identity}/{client}"]},
        {"deny": ["subscribe"], "identity": "token:meter"}))
    lines = ""
    for i, name in enumerate(("meter", "reader")):
        path = stack.folder / f"token-{name}"
        path.write_text(name * 8)
        lines += parts.token_line(name, name * 8, ["default"])
        stack.sidecars[i].tree["auth"] = {"token-file": str(path)}
    (stack.folder / "tokens").write_text(lines)
    await stack.start()
    meter, reader = [await env.connect(port, "app") for port in stack.ports]
    assert await reader.subscribe("#") == [1] and await meter.subscribe("a") == [NO]
    assert await meter.publish("meter/other", b"x", qos=1) == NO
    assert await meter.publish("meter/app", b"x", qos=1) == 0
    assert (await reader.receive()).topic == "meter/app"
    await nothing_came(reader, reader, "end")


async def test_what_annotations_declare(env):
    file = AnnotationsFile(env.folder / "pod").write("[{filter: a/#, group: crew}, {filter: b, group: other}]")
    stack = await ruled(env, {"deny": ["consume"], "queues": ["other"]},
                        annotations=[file.path, None], start=False)
    env.check_leftovers = False
    for program in stack.programs:
        program.start()
    await stack.ready(stack.broker, stack.sidecars[1])
    sidecar = stack.sidecars[0]

    def told():
        status, body = sidecar.get("/readyz")
        return status == 503 and "declared subscription 'b' (group other) is not in place" in body
    await eventually(told, "/readyz says why")
    await eventually(lambda: "not authorized to consume other: acl[0] (line" in stack.log(stack.broker),
                     "the broker has refused it, and says why")  # it was not in place before, too
    till, robot = [await env.connect(port, "app") for port in stack.ports]
    await robot.publish("b", b"no", qos=1)
    await nothing_came(till, robot, "a/1")
    await change(stack)
    await stack.ready(sidecar, timeout_s=40)
    await nothing_came(till, robot, "b")
    await change(stack, {"deny": ["subscribe"], "topics": ["a/secret"]})

    async def ended():
        return await metric(stack.broker, "sqmqos_acl_ended_total") >= 1
    await eventually(ended, "a/# has ended")

    await eventually(lambda: "'a/#' to group crew refused with 0x87" in stack.log(sidecar),
                     "the sidecar hears of it", 30)
    await robot.publish("a/1", b"no", qos=1)
    await nothing_came(till, robot, "b")
    await change(stack)

    async def back():
        await robot.publish("a/2", b"back", qos=0)
        await asyncio.sleep(0.2)
        return till.inbox
    await eventually(back, "what is declared comes back by itself", 30)
    assert till.inbox[0].topic == "a/2"


async def test_rules_of_a_volume_that_kubelet_swaps(env):
    stack = await ruled(env, {"deny": ["publish"], "topics": ["a"]})
    app = await env.connect(stack.ports[0], "app")
    broker, volume = stack.broker, Volume(env.folder / "volume")
    volume.put({"broker.yaml": broker.config_path.read_text()})
    broker.config_path.unlink()
    broker.config_path.symlink_to(volume.path / "broker.yaml")
    assert await app.publish("a", b"x", qos=1) == NO
    for topic, other in (("b", "a"), ("a", "b")):  # the first comes with the link to the volume
        broker.tree |= acl({"deny": ["publish"], "topics": [topic]})
        volume.put({"broker.yaml": parts.yaml(broker.tree)})

        async def taken(topic=topic):
            return await app.publish(topic, b"x", qos=1) == NO
        await eventually(taken, f"{topic} is denied")
        assert await app.publish(other, b"x", qos=1) in (0, 0x10)


async def test_a_bad_file_changes_nothing(env):
    stack = await ruled(env, {"deny": ["publish"], "topics": ["a"]})
    app = await env.connect(stack.ports[0], "app")
    await change(stack, {"deny": ["publish"], "topics": ["a/#/b"]}, good=False)
    assert await app.publish("a", b"x", qos=1) == NO
    log = stack.log(stack.broker)
    assert f"{stack.broker.config_path}:" in log and "a/#/b" in log and ": # must be the last" in log, log
    stack.broker.config_path.write_text("acl: [")
    await eventually(lambda: "not YAML" in stack.log(stack.broker), "said again")
    assert await app.publish("a", b"x", qos=1) == NO
    await change(stack, {"deny": ["publish"], "topics": ["b"]})
    assert await app.publish("a", b"x", qos=1) in (0, 0x10)
    assert await app.publish("b", b"x", qos=1) == NO


async def test_other_keys_that_have_changed_are_named_once(env):
    """They count from the next start on; their values are in no log."""
    stack = await ruled(env, {"deny": ["publish"], "topics": ["a"]}, accounts=())
    tree, text = stack.broker.tree, f"{stack.broker.config_path}: what has changed of "

    def warnings():
        return [row.split(text)[1] for row in stack.log(stack.broker).splitlines() if text in row]
    await change(stack, {"deny": ["publish"], "topics": ["b"]})
    assert not warnings(), "nothing but the rules"
    tree["limits"] = tree.get("limits", {}) | {"matches": 99}
    tree["spaces"] = {"secret-name": {"limits": {"sessions": 3}}}
    await change(stack, {"deny": ["publish"], "topics": ["c"]})
    await eventually(warnings, "they are named")
    assert warnings() == ["spaces, limits.matches counts from the next start on"], warnings()
    await change(stack)
    await change(stack, {"deny": ["publish"], "topics": ["d"]})
    assert len(warnings()) == 1, "once"
    tree["drain-timeout"] = "7s"
    await change(stack)
    await eventually(lambda: len(warnings()) == 2, "and again for one more")
    assert "drain-timeout" in warnings()[1] and "secret-name" not in stack.log(stack.broker)
    assert "1 rule of acl in force" in stack.log(stack.broker)


async def test_without_rules_nothing_is_asked(env):
    stack = await ruled(env, accounts=("till",))
    app = await env.connect(stack.ports[0], "app")
    assert await app.subscribe("#", "$share/g/#") == [1, 1]
    assert await app.publish("a", b"x", qos=1) == 0
    await app.receive_all(2)
    found = await metrics(stack.broker)
    assert not any(v for n, v in found.items() if n.startswith("sqmqos_acl_")), found


def explain(env, stack, *argv):
    done = subprocess.run([*stack.broker.argv, "--explain-acl", *argv], capture_output=True, text=True,
                          env=stack.broker.environment, timeout=30, stdin=subprocess.DEVNULL)
    return done.returncode, (done.stdout + done.stderr).strip()


async def test_which_rule_decides(env):
    stack = await env.stack(start=False, sidecars=0, tls=False)
    env.check_leftovers = False
    issuer = Issuer(env.folder / "issuer", "https://ci.test").config()
    issuer["auth"]["issuers"][0]["space"] = "ci"
    stack.broker.tree = parts.merge(stack.broker.tree, issuer) | acl(
        {"allow": ["publish"], "identity": "kube:shop/*", "topics": ["a/{client}/#"]},
        {"deny": ["subscribe"], "topics": ["secret/#"]},
        {"allow": ["operate"], "identity": "kube:ops/*", "queues": ["queues"]})
    stack.broker.write_config()
    (stack.folder / "tokens").write_text(parts.token_line("local", "x", ["default"]))
    path = stack.broker.config_path
    line = 1 + path.read_text()[:path.read_text().index("acl:")].count("\n")
    for argv, code, said in (
            (("kube:shop/till", "publish", "a/c/1", "--client", "c"), 0,
             f"allowed: publish a/c/1, by kube:shop/till as c in space shop: acl[0] ({path}:{line}) allows it"),
            (("kube:shop/till", "publish", "a/d/1", "--client", "c"), 1,
             f"denied: publish a/d/1, by kube:shop/till as c in space shop: acl[0] ({path}:{line}) lists what it "
             "may publish, and that is not listed"),
            (("kube:shop/till", "subscribe", "#"), 1, f"acl[1] ({path}:{line}) denies it"),
            (("kube:shop/till", "subscribe", "$share/g/a"), 0, "no rule speaks of it, and acl-default is allow"),
            (("kube:shop/till", "consume", "g"), 0, "no rule speaks of it, and acl-default is allow"),
            (("kube:shop/till", "publish", "a/c", "--space", "bank"), 1, "it is another's space"),
            (("token:local", "publish", "b"), 0, "by token:local as client in space default: no rule speaks of it"),
            (("token:local", "publish", "b", "--space", "bank"), 1, "it is another's space"),
            (("token:x", "publish", "b"), 2, "it has no token:x"),
            (("jwt:https://ci.test#a", "publish", "b"), 0, "in space ci: no rule speaks of it"),
            (("jwt:https://ci.test#a", "publish", "b", "--space", "shop"), 1, "it is another's space"),
            (("cert:x", "publish", "b", "--space", "bank"), 0, "no rule speaks of it"),
            (("cert:x", "publish", "b"), 2, "needs --space NAME, of the spaces that cert:x may name"),
            (("local", "publish", "b"), 2, '"local" is no identity; they are token:NAME'),
            (("*", "publish", "b", "--space", "bank"), 2, '"*" is no identity; they are token:NAME'),
            (("kube:shop/*", "publish", "b"), 2, '"kube:shop/*" is no identity; they are token:NAME'),
            (("", "publish", "b"), 2, "needs --space NAME, that of the session"),
            (("kube:shop/till", "publish", "$SYS/x"), 1, "nobody publishes to topics below $SYS"),
            (("kube:shop/till", "publish", "$reply/0.1.ff"), 0, "no rule is asked for a reply"),
            (("kube:shop/till", "publish", "$reply/0.1.ff", "--space", "bank"), 1, "it is another's space"),
            (("kube:shop/till", "subscribe", "$reply/#"), 1, "nobody subscribes to $reply"),
            (("kube:shop/till", "publish", "a/#"), 2, "must not contain + or #"),
            (("cert:x", "publish", "b", "--space", "bank"), 0,
             "\nbut nobody can come as cert:x: auth.client-ca-file is not set"),
            (("jwt:https://other#a", "publish", "b", "--space", "ci"), 0,
             "\nbut nobody can come as jwt:https://other#a: no item of auth.issuers"),
            (("kube:shop/till", "publish", "a/c/1", "--client", "c"), 0,
             "\nbut nobody can come as kube:shop/till: auth.kubernetes is false"),
            (("", "publish", "b", "--space", "shop"), 0,
             "\nbut nobody can come as nobody: everybody is asked for a credential"),
            (("kube:shop/till", "operate", "queues"), 1, "no rule allows it, and nobody may operate without one"),
            (("token:ops", "operate", "queues", "--space", "default"), 2, "it has no token:ops"),
            (("kube:ops/ops", "operate", "queues"), 0, f"by kube:ops/ops as client in space ops: acl[2] ({path}:"),
            (("kube:ops/ops", "operate", "sessions"), 1, "lists what it may operate"),
            (("kube:shop/till", "read", "a"), 2, "verbs are publish, subscribe"),
            (("kube:shop/till", "publish"), 2, "needs IDENTITY VERB TOPIC")):
        got, text = await asyncio.to_thread(explain, env, stack, *argv)
        assert (got, said in text) == (code, True), (argv, got, text)


async def test_certificates_are_explained_by_what_they_may_name(env):
    stack = await env.stack(start=False, sidecars=0)
    env.check_leftovers = False
    stack.broker.tree = parts.merge(stack.broker.tree, {"auth": {
        "client-ca-file": "clients.pem", "certificates": [{"name": "web.*", "spaces": ["shop"]}]}})
    stack.broker.write_config()
    for argv, code, said in (
            (("cert:web.example", "publish", "b"), 0, "in space shop: no rule speaks of it"),
            (("cert:web.example", "publish", "b", "--space", "bank"), 1, "it is another's space"),
            (("cert:x", "publish", "b", "--space", "bank"), 2,
             "cert:x may name no space: no item of auth.certificates matches")):
        got, text = await asyncio.to_thread(explain, env, stack, *argv)
        assert (got, said in text) == (code, True), (argv, got, text)


async def test_the_rules_of_the_documentation(env):
    """Its list of rules, and what it says of them."""
    page = (parts.ROOT / "docs" / "security.md").read_text().split("## Rules")[1].split("\n## ")[0]
    rules = re.search(r"^```yaml\n(.*?)^```$", page, re.M | re.S)[1]
    stack = await env.stack(start=False, sidecars=0, tls=False)
    env.check_leftovers = False
    stack.broker.write_config()
    (stack.folder / "tokens").write_text(parts.token_line("ci", "x", ["plant"]))
    with stack.broker.config_path.open("a") as file:
        file.write(rules)
    lines = re.findall(r"--explain-acl (.*?) +# (\w+): (.*)", page)
    assert len(lines) >= 6
    for argv, outcome, by in lines:
        code, text = await asyncio.to_thread(explain, env, stack, *shlex.split(argv))
        assert code == (outcome == "denied") and text.startswith(outcome) and by in text, (argv, text)

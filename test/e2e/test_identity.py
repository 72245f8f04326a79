"""What verified tokens may do: names that are not their own, sessions of others, links
that outlive them; spoken by hand where no sidecar would, and by sidecars."""

import asyncio

import stack as parts
from cluster import eventually, metric
from link import Attached, Broken, LinkClient, attach, batch, image, outcomes, session_path, \
    settlements, subscription
from scenario import scenario
from tokens import Issuer

DRAINING = 4
DURABLE = {"session_expiry": 600}


async def verified_stack(env, sidecars=0, start=True, **broker):
    """A broker that takes tokens of an issuer, besides its static one."""
    env.check_leftovers = False
    issuer = Issuer(env.folder / "issuer")
    stack = await env.stack(start=False, sidecars=sidecars, tls=False,
                            broker=issuer.config() | broker)
    if start:
        await stack.start()
    return stack, issuer


async def linked(stack, token):
    link = await LinkClient(stack.broker_port, token, "2").open()
    assert await link.open_link() == 200
    return link


async def put(link, key, **more):
    return await link.request("PUT", session_path(key), attach(link, **more))


async def attached(link, key, **more):
    answer = await put(link, key, **more)
    assert answer.status == 200, (key, answer)
    state = Attached.parse(answer.body)
    answer = await link.request("POST", session_path(key, "/settlements", state.epoch),
                                settlements(1000, 1 << 30))
    assert answer.status == 204, answer
    return state


async def subscribe(link, key, epoch, *argv, **more):
    return await link.request("POST", session_path(key, "/subscriptions", epoch),
                              subscription(*argv, **({"since": 0, "pod": ""} | more)))


async def publish(link, key, state, topic, payload, number=1, run=7):
    answer = await link.request("POST", session_path(key, "/messages", state.epoch),
                                batch(run, number, [(0, image(topic, payload))], mark=0))
    assert answer.status == 200, answer
    return outcomes(answer.body)[1][0]


async def refused(stack, reason):
    return await metric(stack.broker, f'sqmqos_auth_refused_total{{reason="{reason}"}}')


def denied(answer, words):
    assert answer.status == 403 and words.encode() in answer.body, answer


async def test_names_are_the_tokens_own(env):
    stack, issuer = await verified_stack(env)
    link = await linked(stack, issuer.token("shop", pod="p1"))
    denied(await put(link, "bank~w~c"), "another namespace")
    denied(await put(link, "bank~w~c~p1"), "another namespace")
    denied(await put(link, "shop~w~c~p2"), "another pod")
    assert (await refused(stack, "space"), await refused(stack, "pod")) == (2, 1)
    state = await attached(link, "shop~w~c~p1")
    # options of a group, and a group, in the name of another pod
    for more in ({"group": "g", "pod": "p2", "since": 1}, {"group": "pod:p2", "pod": "p1", "since": 1}):
        denied(await subscribe(link, "shop~w~c~p1", state.epoch, "t", **more), "another pod")
    for group in ("g", "pod:p1"):
        answer = await subscribe(link, "shop~w~c~p1", state.epoch, "t", group=group, pod="p1", since=1)
        assert answer.status == 200 and answer.body[:3] == b"\0\1\1", answer
    # another token on an open link
    link.token = issuer.token("shop", pod="p2")
    denied(await put(link, "shop~w~c~p2"), "another pod")
    link.token = issuer.token("bank", pod="p1")
    denied(await put(link, "bank~w~c~p1"), "another namespace")
    link.token = issuer.token("shop", "robot", pod="p1")
    denied(await put(link, "shop~w~c~p1", attempt=2), "another account")
    log = stack.log(stack.broker)
    assert "kube:shop/default asks for" in log and "it may name shop, pod p1" in log and link.token not in log, log
    await link.close()


async def test_nobody_reaches_into_another_namespace_by_the_path(env):
    stack, issuer = await verified_stack(env)
    shop, bank = [await linked(stack, issuer.token(n)) for n in ("shop", "bank")]
    mine, theirs = await attached(shop, "shop~w~c"), await attached(bank, "bank~w~c")
    assert (await subscribe(bank, "bank~w~c", theirs.epoch, "$share/g/t")).status == 200
    # my epoch on their path, their epoch on mine, and on theirs
    denied(await subscribe(shop, "bank~w~c", mine.epoch, "$share/g/t"), "another namespace")
    assert (await subscribe(shop, "shop~w~c", theirs.epoch, "$share/g/t")).status == 409
    denied(await subscribe(shop, "bank~w~c", theirs.epoch, "#"), "another namespace")
    denied(await shop.request("POST", session_path("bank~w~c", "/detach", theirs.epoch), b"\0" * 30),
           "another namespace")
    assert (await subscribe(shop, "shop~w~c", mine.epoch, "#")).status == 200
    assert await publish(bank, "bank~w~c", theirs, "t", b"secret") == 0
    kind, contents = await bank.delivery()
    assert kind == 2 and b"secret" in contents
    assert await publish(shop, "shop~w~c", mine, "u", b"own") == 0
    kind, contents = await shop.delivery()
    assert kind == 2 and b"own" in contents, "nothing of the other came first"
    await shop.close()
    await bank.close()


async def test_a_static_token_joins_no_group_by_the_path_of_another_session(env):
    stack, _ = await verified_stack(env)
    link = await linked(stack, (stack.folder / "token").read_text().strip())
    one, two = await attached(link, "shop~w~c"), await attached(link, "bank~w~c")
    assert (await subscribe(link, "bank~w~c", one.epoch, "$share/g/t")).status == 409
    assert (await subscribe(link, "shop~x~c", one.epoch, "$share/g/t")).status == 409
    assert await metric(stack.broker, "sqmqos_groups") == 0
    assert (await subscribe(link, "bank~w~c", two.epoch, "$share/g/t")).status == 200
    await link.close()


@scenario(timeout_s=120)
async def test_a_session_is_its_accounts_over_a_restart(env):
    stack, issuer = await verified_stack(env)
    durable = {"expiry": 3600, "clean": False}
    for round_ in range(2):
        owner, other = [await linked(stack, issuer.token("shop", a)) for a in ("till", "robot")]
        state = await attached(owner, "shop~w~c", **durable)
        assert state.present == (round_ > 0)
        denied(await put(other, "shop~w~c", **durable), "another account")
        denied(await put(other, "shop~w~c"), "another account")  # a clean start
        # a transient CONNECT of its client id has a session beside it
        await attached(other, "shop~w~c~p2")
        assert await metric(stack.broker, "sqmqos_sessions_attached") == 2
        answer = await subscribe(owner, "shop~w~c", state.epoch, "t")
        assert answer.status == 200, "the owner has it still"
        assert await refused(stack, "owner") == 2
        await owner.close()
        await other.close()
        if round_ == 0:
            assert await asyncio.to_thread(stack.broker.stop) == 0
            stack.broker.start()
            await stack.ready(stack.broker)


@scenario(timeout_s=120)
async def test_owner_says_how_far_a_session_goes(env):
    stack, issuer = await verified_stack(env)
    durable = {"expiry": 3600, "clean": False}
    key = "shop~w~c"
    link = await linked(stack, issuer.token("shop", "old-name"))
    await attached(link, key, **durable)
    await link.close()
    # the account has another name; and back again, when it has had the session
    for owner, takes in (("account", False), ("namespace", True), ("account", True)):
        assert await asyncio.to_thread(stack.broker.stop) == 0
        stack.broker.tree["auth"]["owner"] = owner
        stack.broker.start()
        await stack.ready(stack.broker)
        link = await linked(stack, issuer.token("shop", "new-name"))
        if takes:
            assert (await attached(link, key, **durable)).present, owner
        else:
            denied(await put(link, key, **durable), "another account")
        await link.close()


# ---- tokens of a file

WHO = {"web": ("shop",), "till": ("shop",), "gateway": ("bank", "shop")}


def bearer(name):
    return f"token-of-{name}"


def write_tokens(path, who=None):
    """A file that lets each in by bearer(); written in place."""
    path.write_text("# who may come\n" + "".join(
        parts.token_line(name, bearer(name), spaces) for name, spaces in (who or WHO).items()))


async def token_stack(env, start=True, **broker):
    env.check_leftovers = False
    stack = await env.stack(start=False, sidecars=0, tls=False, broker=broker)
    write_tokens(stack.folder / "tokens")
    if start:
        await stack.start()
    return stack


async def restart_with(stack, **auth):
    """The broker, stopped and started with other keys of auth."""
    if stack.broker.running():
        assert await asyncio.to_thread(stack.broker.stop) == 0
    stack.broker.tree["auth"] = auth
    stack.broker.start()
    await stack.ready(stack.broker)


@scenario(timeout_s=120)
async def test_identities_are_switched_on_and_off_and_on(env):
    """Nobody is locked out of what was made without: it goes to the first who comes."""
    stack = await token_stack(env, start=False)
    on = {"tokens-file": str(stack.folder / "tokens")}
    durable = {"expiry": 3600, "clean": False}
    await restart_with(stack)
    link = await linked(stack, None)
    for key in ("shop~w~a", "shop~w~b", "bank~w~a"):
        state = await attached(link, key, **durable)
        assert (await subscribe(link, key, state.epoch, "t")).status == 200
    assert await publish(link, "shop~w~a", state=await attached(
        link, "shop~w~a", attempt=2, **durable), topic="t", payload=b"waits") == 0
    await link.close()

    await restart_with(stack, **on, adopt=False)
    web = await linked(stack, bearer("web"))
    denied(await put(web, "shop~w~a", **durable), "another account")
    await web.close()

    await restart_with(stack, **on)
    web, till = await linked(stack, bearer("web")), await linked(stack, bearer("till"))
    denied(await put(web, "bank~w~a", **durable), "another namespace")
    state = await attached(web, "shop~w~a", **durable)
    assert state.present
    kind, contents = await web.delivery()
    assert kind == 2 and b"waits" in contents, "what waits goes to the first who comes"
    denied(await put(till, "shop~w~a", **durable), "another account")
    assert await metric(stack.broker, "sqmqos_sessions_adopted_total") == 1
    assert "shop~w~a: was nobody's and is token:web's now" in stack.log(stack.broker)
    await web.close()
    await till.close()

    await restart_with(stack)  # off: owners are neither compared nor changed
    link = await linked(stack, None)
    assert (await attached(link, "shop~w~a", **durable)).present
    await link.close()
    await restart_with(stack, **on)
    till = await linked(stack, bearer("till"))
    denied(await put(till, "shop~w~a", **durable), "another account")
    assert (await attached(till, "shop~w~b", **durable)).present
    web = await linked(stack, bearer("web"))
    assert (await attached(web, "shop~w~a", **durable)).present
    await web.close()
    await till.close()


@scenario(timeout_s=120)
async def test_a_link_ends_with_its_token(env):
    stack, issuer = await verified_stack(env)
    link = await linked(stack, issuer.token("shop", life_s=4))
    state = await attached(link, "shop~w~c")
    longer = await linked(stack, issuer.token("shop"))
    assert (await link.delivery(timeout_s=30))[0] == DRAINING
    # it serves while it is asked to move
    assert await publish(link, "shop~w~c", state, "t", b"x") in (0, 0x10)
    while (await link.delivery(timeout_s=60))[0] is not None:
        pass
    try:
        await publish(link, "shop~w~c", state, "t", b"x", 2)
        raise AssertionError("it is closed")
    except (Broken, OSError):
        pass
    await attached(longer, "shop~w~other")
    await longer.close()
    await link.close()


def pod(stack, issuer, i, namespace, account="default", life_s=3600, named=None):
    """Makes a sidecar that of a pod of that namespace."""
    sidecar = stack.sidecars[i]
    sidecar.tree["identity"] = {"space": named or namespace, "workload": "demo", "pod": f"pod-{i}"}
    path = stack.folder / f"token-{i}"
    sidecar.tree["auth"] = {"token-file": str(path)}
    path.write_text(issuer.token(namespace, account, f"pod-{i}", life_s))
    return path


async def test_a_token_is_renewed_under_a_live_client(env):
    stack, issuer = await verified_stack(env, sidecars=1, start=False)
    path = pod(stack, issuer, 0, "shop", life_s=6)
    await stack.start()
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    path.write_text(issuer.token("shop", pod="pod-0"))
    lost = await metric(stack.sidecars[0], "sqmqos_links_lost_total")

    async def moved():
        return await metric(stack.sidecars[0], "sqmqos_links_lost_total") >= lost + 2
    await eventually(moved, "both links have moved", 60)
    await app.publish("t", b"still here", qos=1)
    assert (await app.receive()).payload == b"still here"
    assert await metric(stack.broker, 'sqmqos_auth_refused_total{reason="expired"}') == 0


async def test_a_token_that_is_refused_is_read_again(env):
    stack, issuer = await verified_stack(env, sidecars=1, start=False)
    path = pod(stack, issuer, 0, "shop", life_s=-120)
    sidecar = stack.sidecars[0]
    for program in stack.programs:
        program.start()
    await stack.ready(stack.broker)

    def told():
        status, body = sidecar.get("/readyz")
        return status == 503 and "HTTP 401, the token is not good" in body
    await eventually(told, "/readyz says why")
    path.write_text(issuer.token("shop", pod="pod-0"))
    await stack.ready(sidecar)
    assert issuer.token("shop")[:30] not in stack.log(sidecar) + stack.log(stack.broker)


async def test_sidecars_of_two_namespaces_see_nothing_of_each_other(env):
    stack, issuer = await verified_stack(env, sidecars=2, start=False)
    pod(stack, issuer, 0, "shop")
    pod(stack, issuer, 1, "bank")
    await stack.start()
    apps = [await env.connect(port, "app") for port in stack.ports]
    for app in apps:
        await app.subscribe("#")
    for what in (b"begin", b"end"):
        for i, app in enumerate(apps):
            await app.publish("t", b"%s %d" % (what, i), qos=1)
    for i, app in enumerate(apps):
        assert [m.payload for m in await app.receive_all(2)] == [b"begin %d" % i, b"end %d" % i]


async def test_namespaces_that_share_a_space(env):
    stack, issuer = await verified_stack(
        env, sidecars=3, start=False, spaces={"trade": {"tenants": ["shop", "bank"]}})
    for i, namespace in enumerate(("shop", "bank", "trade")):
        pod(stack, issuer, i, namespace)
    await stack.start()
    apps = [await env.connect(port, "app") for port in stack.ports]
    for app in apps:
        await app.subscribe("$share/g/t")
    await apps[0].publish("t", b"one", qos=1)
    await apps[2].publish("t", b"two", qos=1)
    # groups of one name are each namespace's own, and "trade" is not in the space
    assert [(await app.receive()).payload for app in apps] == [b"one", b"one", b"two"]


async def test_a_sidecar_that_says_another_namespace_is_told(env):
    annotations = env.folder / "annotations"
    annotations.write_text('sqmqos.io/subscribe="t"\n')
    stack, issuer = await verified_stack(env, sidecars=1, start=False)
    pod(stack, issuer, 0, "bank", named="shop")
    sidecar = stack.sidecars[0]
    sidecar.tree["annotations"] = {"file": str(annotations)}
    for program in stack.programs:
        program.start()
    await stack.ready(stack.broker)
    await eventually(lambda: sidecar.get("/livez")[0] == 200, "it listens")
    client = env.client("app")
    connack = await client.connect(stack.ports[0], props=DURABLE)
    assert connack.code == 0x87, connack

    def told():
        status, body = sidecar.get("/readyz")
        return status == 503 and "the pod's token is of another namespace than identity.space" in body
    await eventually(told, "/readyz says why")
    assert await refused(stack, "space") >= 2
    assert "another namespace than identity.space" in stack.log(sidecar)


@scenario(timeout_s=120)
async def test_a_disk_outbox_of_another_account_goes_on(env):
    stack, issuer = await verified_stack(env, sidecars=2, start=False)
    path = pod(stack, issuer, 0, "shop", "till")
    pod(stack, issuer, 1, "shop")
    publisher = stack.sidecars[0]
    publisher.tree["outbox"] = {"mode": "disk", "size": "8Mi", "dir": str(stack.folder / "outbox")}
    publisher.tree["shutdown"] = {"timeout": "1s"}  # no broker will be there
    await stack.start()
    reader = await env.connect(stack.ports[1], "reader", props=DURABLE)
    await reader.subscribe(("t", 1))
    app = await env.connect(stack.ports[0], "app")
    await app.publish("t", b"first", qos=1)
    assert (await reader.receive()).payload == b"first"

    async def empty():
        return await metric(publisher, "sqmqos_outbox_bytes") == 0
    await eventually(empty, "the outbox is empty")
    stack.broker.stop()
    for n in range(20):
        await app.publish("t", b"%d" % n, qos=1)
    await app.disconnect()
    assert await asyncio.to_thread(publisher.stop) == 0
    path.write_text(issuer.token("shop", "robot", "pod-0"))  # the volume went to another one
    publisher.start()
    stack.broker.start()
    got = [m.payload for m in await reader.receive_all(20)]
    assert got == [b"%d" % n for n in range(20)], got
    assert await metric(publisher, "sqmqos_outbox_sessions_renewed_total") == 1
    assert await refused(stack, "owner") == 1
    assert "belongs to another account: " in stack.log(publisher)

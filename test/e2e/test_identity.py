"""What verified tokens may do: names that are not their own, sessions of others, links
that outlive them; spoken by hand where no sidecar would, and by sidecars."""

import asyncio
import os
import time

import stack as parts
from annotations import Volume
from client_ca import ClientCa, context
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
    denied(await put(web, "shop~w~a", **durable), "another identity")
    await web.close()

    await restart_with(stack, **on)
    web, till = await linked(stack, bearer("web")), await linked(stack, bearer("till"))
    denied(await put(web, "bank~w~a", **durable), "the token may not name the space")
    state = await attached(web, "shop~w~a", **durable)
    assert state.present
    kind, contents = await web.delivery()
    assert kind == 2 and b"waits" in contents, "what waits goes to the first who comes"
    denied(await put(till, "shop~w~a", **durable), "another identity")
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
    denied(await put(till, "shop~w~a", **durable), "another identity")
    assert (await attached(till, "shop~w~b", **durable)).present
    web = await linked(stack, bearer("web"))
    assert (await attached(web, "shop~w~a", **durable)).present
    await web.close()
    await till.close()


async def test_what_is_adopted_keeps_to_the_rules(env):
    """What a session had subscribed to without identities, and its adopter may not have, ends."""
    stack = await token_stack(env, start=False, acl=[
        {"deny": ["subscribe"], "identity": "token:web", "topics": ["secret/#"]}])
    on = {"tokens-file": str(stack.folder / "tokens")}
    durable = {"expiry": 3600, "clean": False}
    await restart_with(stack)
    link = await linked(stack, None)
    state = await attached(link, "shop~w~a", **durable)
    for topic in ("secret/x", "t"):
        assert (await subscribe(link, "shop~w~a", state.epoch, topic)).status == 200
    await link.close()
    await restart_with(stack, **on)
    web, other = await linked(stack, bearer("web")), await linked(stack, bearer("gateway"))
    state = await attached(web, "shop~w~a", **durable)
    assert state.present
    publisher = await attached(other, "shop~w~b")
    assert await publish(other, "shop~w~b", publisher, "secret/x", b"secret") == 0x10
    assert await publish(other, "shop~w~b", publisher, "t", b"told", 2) == 0
    kind, contents = await web.delivery()
    assert kind == 2 and b"told" in contents, contents
    # and stays so, also where nobody is asked any more
    await web.close()
    await other.close()
    await restart_with(stack)
    link = await linked(stack, None)
    state = await attached(link, "shop~w~a", **durable)
    assert await publish(link, "shop~w~a", state, "secret/x", b"secret") == 0x10
    await link.close()


# ---- certificates

RULES = [{"name": "web.example", "spaces": ["shop"]}, {"name": "till.*", "spaces": ["shop"]},
         {"name": "urn:gateway", "spaces": ["bank", "shop"]}]


async def cert_stack(env, sidecars=0, start=True, crl=False, auth=None):
    """A broker that takes tokens of a file and certificates of an authority."""
    env.check_leftovers = False
    ca = ClientCa(env.folder / "client-ca")
    stack = await env.stack(start=False, sidecars=sidecars, broker={
        "auth": {"client-ca-file": str(ca.pem), "certificates": RULES} | (auth or {})})
    if crl:
        stack.broker.tree["auth"]["client-crl-file"] = str(ca.write_crl())
    write_tokens(stack.folder / "tokens")
    if start:
        await stack.start()
    return stack, ca


async def shown(stack, pair, token=None):
    """A connection that shows a certificate."""
    return await LinkClient(stack.broker_port, token, "2", tls=context(stack.folder / "ca.pem", pair),
                            name="localhost").open()


async def shown_link(stack, pair, token=None):
    link = await shown(stack, pair, token)
    assert await link.open_link() == 200
    return link


async def test_a_certificate_is_somebody(env):
    stack, ca = await cert_stack(env)
    web = await shown_link(stack, ca.issue("web", "DNS:web.example"))
    gateway = await shown_link(stack, ca.issue("gateway", "URI:urn:gateway", "DNS:other", "DNS:more"))
    await attached(web, "shop~w~c")
    denied(await put(web, "bank~w~c"), "the certificate may not name the space")
    denied(await put(gateway, "shop~w~c"), "another identity")
    await attached(gateway, "bank~w~c")
    await attached(gateway, "shop~w~d")
    log = stack.log(stack.broker)
    assert "cert:web.example asks for bank~w~c, pod none; it may name shop, pod any" in log, log
    # where there is a token, too, it is what counts
    both = await shown_link(stack, ca.issue("till", "DNS:till.example"), bearer("gateway"))
    await attached(both, "bank~w~e")
    bad = await shown(stack, ca.issue("till2", "DNS:till.2"), "no-such-token")
    assert await bad.open_link() == 401
    # a session by a certificate is its name's, whatever the certificate
    await web.close()
    web = await shown_link(stack, ca.issue("web-again", "DNS:web.example"))
    await attached(web, "shop~w~c", attempt=2)
    for link in (web, gateway, both, bad):
        await link.close()


async def test_certificates_that_are_nobodys(env):
    """Each is let into the handshake, gets 401, and a line that says why."""
    stack, ca = await cert_stack(env)
    stranger = ClientCa(env.folder / "stranger")
    lines = {
        "certificate: ": ca.issue("server", "DNS:web.example", usage="serverAuth"),
        "certificate-expired: ": ca.issue("old", "DNS:web.example", begins_s=-7200, life_s=-3600),
        "certificate-name: ": ca.issue("unknown", "DNS:unknown.example"),
    }
    others = {
        "not yet": (ca.issue("early", "DNS:web.example", begins_s=3600, life_s=7200), "not yet valid"),
        "other": (stranger.issue("web", "DNS:web.example"), "unable to get local issuer"),
        "two": (ca.issue("two", "DNS:web.example", "DNS:till.example"), "no one URI or DNS name"),
        "none": (ca.issue("none"), "no one URI or DNS name"),
    }
    for reason, pair in lines.items():
        link = await shown(stack, pair)
        assert await link.open_link() == 401, reason
        assert f"refused with 401, {reason}" in stack.log(stack.broker), stack.log(stack.broker)
        await link.close()
    for name, (pair, words) in others.items():
        link = await shown(stack, pair)
        assert await link.open_link() == 401, name
        assert words in stack.log(stack.broker).splitlines()[-1], name
        await link.close()
    assert await refused(stack, "certificate") == 3
    assert await refused(stack, "certificate-name") == 3
    link = await shown(stack, None)
    assert await link.open_link() == 401
    assert "401, missing" in stack.log(stack.broker).splitlines()[-1]
    link.token = bearer("web")
    assert await link.open_link() == 200, "tokens are taken as before"
    await link.close()


async def test_where_certificates_are_all_there_is_they_are_demanded(env):
    stack, ca = await cert_stack(env, start=False)
    stack.broker.tree["auth"] = {"client-ca-file": str(ca.pem)}
    await stack.start()
    try:
        link = await shown(stack, None)
        await link.open_link()
        raise AssertionError("it is let in without a certificate")
    except (Broken, OSError):
        pass
    # without rules SPIFFE names have their namespace, others none
    link = await shown_link(stack, ca.issue("spiffe", "URI:spiffe://x.org/ns/shop/sa/web"))
    await attached(link, "shop~w~c")
    denied(await put(link, "bank~w~c"), "the certificate may not name the space")
    await link.close()
    for name in ("URI:spiffe://x.org/ns/shop/sa/web/more", "URI:spiffe://x.org/shop", "DNS:shop",
                 "URI:spiffe://x.org/ns/shop/sa/"):
        link = await shown(stack, ca.issue("odd", name))
        assert await link.open_link() == 401, name
        await link.close()


async def ended(link, within_s=10):
    """The link is asked to move, and ends; seconds that it took."""
    begin = time.monotonic()
    kinds = []
    while (frame := await link.delivery(timeout_s=within_s))[0] is not None:
        kinds.append(frame[0])
    assert DRAINING in kinds, kinds
    return time.monotonic() - begin


GONE_S = 2 + 4  # the bound, and what a slow machine needs


@scenario(timeout_s=120)
async def test_a_certificate_that_is_revoked_ends_its_link(env):
    stack, ca = await cert_stack(env, crl=True)
    pairs = {n: ca.issue(n, f"DNS:{n}.example") for n in ("web", "till")}
    links = {n: await shown_link(stack, p) for n, p in pairs.items()}
    token = await shown_link(stack, None, bearer("web"))
    state = await attached(links["till"], "shop~w~c")
    ca.revoke(pairs["web"][0])
    assert await ended(links["web"]) < GONE_S
    assert "127.0.0.1: a link of cert:web.example ends: what proved it is gone" in stack.log(stack.broker)
    again = await shown(stack, pairs["web"])
    assert await again.open_link() == 401
    assert await refused(stack, "certificate-revoked") == 1
    assert await publish(links["till"], "shop~w~c", state, "t", b"x") in (0, 0x10)
    # another authority in the file's place: what the first has signed ends
    other = ClientCa(env.folder / "other")
    os.replace(other.pem, ca.pem)
    assert await ended(links["till"]) < GONE_S
    assert (await attached(token, "shop~w~d")).epoch, "who has a token stays"
    for link in (*links.values(), again, token):
        await link.close()


@scenario(timeout_s=120)
async def test_a_list_that_ends_is_said(env):
    """It locks its authority's clients out, and nobody has changed anything."""
    stack, ca = await cert_stack(env, crl=True)
    web = ca.issue("web", "DNS:web.example")
    end = 'sqmqos_certificate_seconds{certificate="client-crl"}'
    assert 80000 < await metric(stack.broker, end) <= 86400
    log = "auth.client-crl-file: a list in"
    assert log not in stack.log(stack.broker)
    ca.write_crl(life_s=3)
    await eventually(lambda: f"{log} {ca.crl} has ended" in stack.log(stack.broker), "it is said", 30)

    async def below_0():
        return await metric(stack.broker, end) <= 0
    await eventually(below_0, "it is measured")
    await eventually(lambda: "auth.client-crl-file: a list has ended" in stack.broker.get("/readyz")[1],
                     "/readyz says it, too")
    late = await shown(stack, web)
    assert await late.open_link() == 401
    ca.write_crl()
    await eventually(lambda: f"{ca.crl} read again" in stack.log(stack.broker), "the newer one")

    async def good():
        return await metric(stack.broker, end) > 80000
    await eventually(good, "it is measured")
    again = await shown(stack, web)
    assert await again.open_link() == 200
    assert stack.log(stack.broker).count(log) == 1
    for link in (late, again):
        await link.close()


@scenario(timeout_s=120)
async def test_an_authority_that_is_revoked_ends_what_it_has_signed(env):
    """By the root's list, which is not needed: only that of who signs clients is."""
    env.check_leftovers = False
    root = ClientCa(env.folder / "root")
    middle = ClientCa(env.folder / "middle", root)
    crl, both = env.folder / "lists.pem", env.folder / "both.pem"
    crl.write_text(middle.write_crl().read_text())
    stack = await env.stack(start=False, sidecars=0, broker={"auth": {
        "client-ca-file": str(root.pem), "client-crl-file": str(crl), "certificates": RULES}})
    write_tokens(stack.folder / "tokens")
    await stack.start()

    def issue(ca, name):
        pair = ca.issue(name, "DNS:web.example")
        pair[0].write_text(pair[0].read_text() + middle.pem.read_text())
        return pair
    pair = issue(middle, "web")
    link = await shown_link(stack, pair)
    await attached(link, "shop~w~c")
    # whom the root has signed itself needs its list
    other = await shown(stack, issue(root, "other"))
    assert await other.open_link() == 401
    assert "certificate: " in stack.log(stack.broker) and "CRL" in stack.log(stack.broker)
    crl.write_text(middle.crl.read_text() + root.write_crl().read_text())
    await eventually(lambda: f"{crl} read again" in stack.log(stack.broker), "the root's list is there")
    assert await other.open_link() == 200
    crl.write_text(middle.crl.read_text() + root.revoke(middle.pem).read_text())
    assert await ended(link) < GONE_S
    again = await shown(stack, pair)
    assert await again.open_link() == 401
    assert "an authority above it is revoked" in stack.log(stack.broker)
    assert await refused(stack, "certificate-revoked") == 1
    # also where it is trusted by itself, beside the root
    both.write_text(root.pem.read_text() + middle.pem.read_text())
    os.replace(both, root.pem)
    await eventually(lambda: f"{root.pem} read again" in stack.log(stack.broker), "both are taken")
    assert await again.open_link() == 401
    assert await refused(stack, "certificate-revoked") == 2
    for link in (link, other, again):
        await link.close()


async def test_certificates_of_a_volume_that_kubelet_swaps(env):
    """Authorities and what they revoked, as a pod has them of ConfigMaps and Secrets."""
    stack, ca = await cert_stack(env, start=False, crl=True)
    other = ClientCa(env.folder / "other")
    volume = Volume(env.folder / "volume")

    def put(authority):
        volume.put({"ca.crt": authority.pem.read_text(), "ca.crl": ca.crl.read_text()})
    put(ca)
    stack.broker.tree["auth"] |= {"client-ca-file": str(volume.path / "ca.crt"),
                                  "client-crl-file": str(volume.path / "ca.crl")}
    await stack.start()
    pairs = {n: ca.issue(n, f"DNS:{n}.example") for n in ("web", "till")}
    links = {n: await shown_link(stack, p) for n, p in pairs.items()}
    state = await attached(links["till"], "shop~w~c")
    ca.revoke(pairs["web"][0])
    put(ca)
    assert await ended(links["web"]) < GONE_S
    assert await publish(links["till"], "shop~w~c", state, "t", b"x") in (0, 0x10)
    put(other)
    assert await ended(links["till"]) < GONE_S
    for link in links.values():
        await link.close()


@scenario(timeout_s=120)
async def test_a_token_that_is_taken_back_ends_its_link(env):
    """At once, also of a link that was asked to move before; others stay."""
    stack = await token_stack(env)
    tokens = stack.folder / "tokens"
    links = {n: await linked(stack, bearer(n)) for n in WHO}
    states = {n: await attached(links[n], f"shop~w~{n}") for n in WHO}
    stack.broker.signal(10)  # SIGUSR1: every link is asked to move
    assert (await links["web"].delivery(timeout_s=10))[0] == DRAINING
    for n in ("till", "gateway"):
        await links[n].close()
        links[n] = await linked(stack, bearer(n))
        states[n] = await attached(links[n], f"shop~w~{n}", attempt=2)
    write_tokens(tokens, {n: WHO[n] for n in ("till", "gateway")})
    begin = time.monotonic()
    while (await links["web"].delivery(timeout_s=10))[0] is not None:
        pass
    assert time.monotonic() - begin < GONE_S
    again = await LinkClient(stack.broker_port, bearer("web"), "2").open()
    assert await again.open_link() == 401
    # other spaces are another identity
    write_tokens(tokens, {"till": WHO["till"], "gateway": ("shop",)})
    assert await ended(links["gateway"]) < GONE_S
    # what can't be taken takes nobody away
    with tokens.open("a") as file:
        file.write("a-token-itself\n")

    async def bad():
        return await metric(stack.broker, "sqmqos_auth_bad_files") == 1
    await eventually(bad, "the metric says that the file is bad")
    ready = stack.broker.get("/readyz")
    assert ready[0] == 200 and "auth: 1 file can't be taken as it is" in ready[1], ready
    log = stack.log(stack.broker)
    assert "tokens: line 4: one field: a token itself does not belong here" in log
    assert "a-token-itself" not in log
    assert await publish(links["till"], "shop~w~till", states["till"], "t", b"x") in (0, 0x10)
    for link in (*links.values(), again):
        await link.close()


@scenario(timeout_s=120)
async def test_a_link_ends_with_its_certificate(env):
    stack, ca = await cert_stack(env)
    link = await shown_link(stack, ca.issue("web", "DNS:web.example", life_s=4))
    state = await attached(link, "shop~w~c")
    assert (await link.delivery(timeout_s=30))[0] == DRAINING
    # it serves while it is asked to move
    assert await publish(link, "shop~w~c", state, "t", b"x") in (0, 0x10)
    await link.close()


@scenario(timeout_s=120)
async def test_a_sidecar_shows_its_certificate(env):
    """And the next one, when its files have changed, without its client's noticing."""
    stack, ca = await cert_stack(env, sidecars=1, start=False)
    sidecar = stack.sidecars[0]
    pair = [stack.folder / f"own.{kind}" for kind in ("pem", "key")]

    def renew(**more):
        for made, own in zip(ca.issue("web", "DNS:web.example", **more), pair):
            os.replace(made, own)
    renew(life_s=8)
    sidecar.tree["auth"].pop("token-file")
    sidecar.tree["tls"] |= {"cert-file": str(pair[0]), "key-file": str(pair[1])}
    sidecar.tree["identity"]["space"] = "shop"
    await stack.start()
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe("t")
    own = 'sqmqos_certificate_seconds{certificate="own"}'
    assert 0 < await metric(sidecar, own) <= 8
    renew()
    lost = await metric(sidecar, "sqmqos_links_lost_total")

    async def moved():
        return await metric(sidecar, "sqmqos_links_lost_total") >= lost + 2
    await eventually(moved, "both links have moved", 60)

    async def shown():
        return await metric(sidecar, own) > 3000
    await eventually(shown, "its metric says how long the next one is good")
    await app.publish("t", b"still here", qos=1)
    assert (await app.receive()).payload == b"still here"
    assert "tls.cert-file: " in stack.log(sidecar)
    await stack.end(sidecar)
    sidecar.tree["tls"].pop("key-file")
    assert "tls.cert-file and tls.key-file: both or none" in sidecar.check()
    sidecar.tree["tls"]["key-file"] = str(stack.folder / "broker.key")
    assert "tls.key-file: " in sidecar.check() and "not the key" in sidecar.check()
    sidecar.tree["tls"]["key-file"] = str(pair[1])
    sidecar.start()
    await stack.ready(sidecar)


@scenario(timeout_s=120)
async def test_a_ready_sidecar_says_why_its_links_are_refused(env):
    """It stays ready; the words are those of what it shows."""
    stack, ca = await cert_stack(env, sidecars=2, start=False, crl=True)
    tokens = stack.folder / "tokens"
    by_token, by_cert = stack.sidecars
    for sidecar in stack.sidecars:
        sidecar.tree["identity"]["space"] = "shop"
    own = stack.folder / "own-token"
    own.write_text(bearer("web"))
    by_token.tree["auth"]["token-file"] = str(own)
    pair = ca.issue("web", "DNS:web.example")
    by_cert.tree["auth"].pop("token-file")
    by_cert.tree["tls"] |= {"cert-file": str(pair[0]), "key-file": str(pair[1])}
    await stack.start()
    await stack.linked()
    write_tokens(tokens, {"till": WHO["till"]})
    ca.revoke(pair[0])
    count = 'sqmqos_links_refused_total{reason="credential"}'
    for sidecar, what in ((by_token, "token"), (by_cert, "certificate")):
        def told():
            status, body = sidecar.get("/readyz")
            assert status == 200 and body.startswith("ok\n"), (status, body)
            return "links: 0 of " in body and f"HTTP 401, the {what} is not good" in body
        await eventually(told, f"/readyz says that the {what} is refused", 30)
        assert await metric(sidecar, count) > 0
        connack = await env.client("app").connect(stack.ports[stack.sidecars.index(sidecar)],
                                                  clean=False, props=DURABLE)
        assert connack.code == 0x88, "nobody has judged the session"
    write_tokens(tokens)
    await eventually(lambda: by_token.get("/readyz") == (200, "ok\n"), "and no more", 30)


async def test_a_certificate_of_another_space_is_told_as_one(env):
    stack, ca = await cert_stack(env, sidecars=1, start=False)
    sidecar = stack.sidecars[0]
    pair = ca.issue("web", "DNS:web.example")
    sidecar.tree["auth"].pop("token-file")
    sidecar.tree["tls"] |= {"cert-file": str(pair[0]), "key-file": str(pair[1])}
    sidecar.tree["identity"]["space"] = "bank"
    await stack.start()
    connack = await env.client("app").connect(stack.ports[0], clean=False, props=DURABLE)
    assert connack.code == 0x87, connack
    assert "the certificate is of another space than identity.space" in connack.props["reason_string"]


# ---- the surface: what a link can name, by each kind of identity

MINE, THEIRS, OTHER_SPACE = "shop~w~mine~p1", "shop~w~theirs", "bank~w~c"

# What the problem of a 403 says, by the kind of identity.
KUBE = {"space": "the token is of another namespace", "pod": "the token is of another pod",
        "owner": "another account", "": ""}
FILE = KUBE | {"space": "the token may not name the space", "owner": "another identity"}
CERT = FILE | {"space": "the certificate may not name the space"}

# request, whose path, whose epoch -> status, reason
SURFACE = [
    # a session
    ("put", OTHER_SPACE, None, 403, "space"),
    ("put", "shop~w~c~p2", None, 403, "pod"),
    ("put", THEIRS, None, 403, "owner"),
    ("put-clean", THEIRS, None, 403, "owner"),
    ("put-other-link", MINE, None, 410, ""),
    # paths and epochs
    *[(verb, path, epoch, *outcome)
      for verb in ("subscriptions", "messages", "settlements", "detach")
      for path, epoch, outcome in (
          (OTHER_SPACE, "theirs", (403, "space")),
          (OTHER_SPACE, "mine", (403, "space")),
          ("shop~w~c~p2", "mine", (403, "pod")),
          (THEIRS, "mine", (409, "")),
          (THEIRS, "theirs", (409, "")),
          (MINE, "theirs", (409, "")),
          ("shop~w~nobody", "mine", (409, "")))],
    # groups: a share by the path of another's session, and another pod's own group
    ("share", OTHER_SPACE, "mine", 403, "space"),
    ("share", THEIRS, "mine", 409, ""),
    ("pod-group", MINE, "mine", 403, "pod"),
    ("pod-options", MINE, "mine", 403, "pod"),
]

# Where an identity names no pod, any may be said.
PODS = ("shop~w~c~p2", "pod-group", "pod-options")


def surface_request(link, verb, path, epoch):
    if verb.startswith("put"):
        body = attach(link, clean=verb == "put-clean", expiry=3600)
        if verb == "put-other-link":
            body = body.replace(link.id.to_bytes(8, "big"), (link.id ^ 1).to_bytes(8, "big"))
        return link.request("PUT", session_path(path), body)
    if verb == "messages":
        return link.request("POST", session_path(path, "/messages", epoch),
                            batch(99, 1, [(0, image("t", b"forged"))], mark=0))
    if verb == "settlements":
        return link.request("POST", session_path(path, "/settlements", epoch), settlements(1, 1))
    if verb == "detach":
        return link.request("POST", session_path(path, "/detach", epoch), b"\0" * 30)
    if verb == "share":
        return subscribe(link, path, epoch, "$share/g/t")
    if verb == "pod-group":
        return subscribe(link, path, epoch, "t", group="pod:p2", pod="p1", since=1)
    if verb == "pod-options":
        return subscribe(link, path, epoch, "t", group="g", pod="p2", since=1)
    return subscribe(link, path, epoch, "t")


async def surface(stack, me, other, words, has_pod=False):
    """All of the table by 'me', while 'other' has a session, durable and live."""
    mine = await attached(me, MINE)
    theirs = await attached(other, THEIRS, clean=False, expiry=3600)
    assert (await subscribe(other, THEIRS, theirs.epoch, "t")).status == 200
    epochs = {"mine": mine.epoch, "theirs": theirs.epoch, None: None}
    groups = await metric(stack.broker, "sqmqos_groups")
    for verb, path, whose, status, reason in SURFACE:
        if not has_pod and (path in PODS or verb in PODS):
            continue
        answer = await surface_request(me, verb, path, epochs[whose])
        assert answer.status == status, (verb, path, whose, answer)
        assert words[reason].encode() in answer.body, (verb, path, whose, answer)
    assert await metric(stack.broker, "sqmqos_groups") == groups
    # nothing of the other has changed, and nothing of mine
    assert await publish(me, MINE, mine, "t", b"real") == 0
    kind, contents = await other.delivery()
    assert kind == 2 and b"real" in contents and b"forged" not in contents
    await me.close()
    await other.close()


@scenario(timeout_s=120)
async def test_nobody_reaches_beyond_his_identity(env):
    """Service accounts, tokens of a file, certificates."""
    ca = ClientCa(env.folder / "client-ca")
    issuer = Issuer(env.folder / "issuer")
    env.check_leftovers = False
    stack = await env.stack(start=False, sidecars=0, broker=parts.merge(
        issuer.config(), {"auth": {"client-ca-file": str(ca.pem), "certificates": RULES}}))
    write_tokens(stack.folder / "tokens")
    await stack.start()

    async def by_token(token):
        return await shown_link(stack, None, token)
    await surface(stack, await by_token(issuer.token("shop", "web", pod="p1")),
                  await by_token(issuer.token("shop", "till")), KUBE, has_pod=True)
    await restart_fresh(stack)
    await surface(stack, await by_token(bearer("web")), await by_token(bearer("till")), FILE)
    await restart_fresh(stack)
    await surface(stack, await shown_link(stack, ca.issue("web", "DNS:web.example")),
                  await shown_link(stack, ca.issue("till", "DNS:till.example")), CERT)
    await restart_fresh(stack)
    # kinds are apart, whatever their names
    await surface(stack, await by_token(bearer("web")),
                  await shown_link(stack, ca.issue("web2", "DNS:web.example")), FILE)


async def restart_fresh(stack):
    """The broker again, with nothing stored."""
    assert await asyncio.to_thread(stack.broker.stop) == 0
    stack.broker.tree["store"]["dir"] += "+"
    stack.broker.start()
    await stack.ready(stack.broker)


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
    for version, code in ((5, 0x87), (4, 5)):  # of sessions that end with their connection
        connack = await env.client(f"passing-{version}", version).connect(stack.ports[0])
        assert connack.code == code, connack

    def told():
        status, body = sidecar.get("/readyz")
        return status == 503 and "the token is of another space (namespace) than identity.space" in body
    await eventually(told, "/readyz says why")
    assert await refused(stack, "space") >= 2
    assert "(namespace) than identity.space" in stack.log(sidecar)


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

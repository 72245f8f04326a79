"""Where pushes do not go: no spelling, no name, no redirect and no connection of others leads to what
push.allow has not opened; and of secrets and payloads nothing is said anywhere."""

import asyncio
import json
import signal

import stack as parts
from api import Api, users
from cluster import descriptors, eventually
from pushing import resolver
from scenario import scenario

SPACE = "default"
TOKEN, PAYLOAD = "token-5e83b1c7", b"payload-e07a44d1"
SPELLINGS = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]")
METADATA = "169.254.169.254"
OPEN = [{"host": "*", "cidr": cidr} for cidr in ("127.0.0.0/8", "0.0.0.0/8", "::1", METADATA)]
HTTP = [{"host": "*"}]  # http to any host, which opens private networks and nothing else
QUICK = {"first": "20ms", "factor": 1, "max": "20ms", "jitter": False, "attempts": 65535}
RULES = [{"allow": ["publish", "subscribe", "consume", "manage", "push"]}]


class Door:
    """What listens on the machine itself: counts connections, keeps what is posted, and answers."""

    def __init__(self):
        self.opened = self.left = 0
        self.got, self.keep, self.answer = [], False, "200 OK"

    async def open(self, env):
        """On the same port of each address."""
        first = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = first.sockets[0].getsockname()[1]
        others = [await asyncio.start_server(self.serve, host, self.port) for host in ("127.0.0.2", "::1")]

        async def end():
            try:
                await asyncio.Event().wait()
            finally:
                for server in (first, *others):
                    server.close()
        env.spawn(end())
        return self

    async def serve(self, reader, writer):
        self.opened += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.got.append((head[0].split()[1], headers, body))
                more = "" if self.keep else "connection: close\r\n"
                writer.write(f"HTTP/1.1 {self.answer}\r\n{more}content-length: 0\r\n\r\n".encode())
                await writer.drain()
                if not self.keep:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.left += 1
            writer.close()

    def paths(self):
        return {path for path, _, _ in self.got}


def name_of(spelling):
    return "q-" + "".join(c if c.isalnum() else "-" for c in spelling)


def queue(url, binding, **push):
    return {"bindings": [{"filter": binding, "qos": 1}], "push": {"url": url} | push}


def declare(env, queues, space=SPACE):
    folder = env.folder / "subscribers"
    folder.mkdir(exist_ok=True)
    (env.folder / "fresh").write_text(parts.yaml({space: queues}))
    (env.folder / "fresh").rename(folder / f"{space}.yaml")
    return folder


def write_secrets(env, *spaces):
    """A token that queues name, in each space, and as a file."""
    for space in spaces:
        folder = env.folder / "secrets" / space
        folder.mkdir(parents=True)
        parts.write_private(folder / "token", TOKEN + "\n")
    return env.folder / "secrets"


async def begin(env, door, allow, files, **environment):
    """A stack whose broker pushes, with queues of files by name, and its API."""
    secrets = write_secrets(env, SPACE, "shop")
    stack = await env.stack(start=False, tls=False, sidecars=1, broker={
        "acl": RULES, "session": {"grace": "1s", "recovery-time": "0s"},
        "subscribers": {"dir": str(declare(env, files))}, "log": {"level": "debug"},
        "push": {"allow": allow, "trusted": ["*"], "secrets-dir": str(secrets)}})
    stack.broker.environment |= environment
    parts.write_token(stack.folder / "token", [SPACE, "shop"])
    await stack.start()
    return stack, Api(stack, tls=False)


async def allow_now(stack, allow):
    stack.broker.tree["push"]["allow"] = allow
    stack.broker.write_config()
    before = stack.log(stack.broker).count("was read again")
    stack.broker.signal(signal.SIGHUP)
    await eventually(lambda: stack.log(stack.broker).count("was read again") > before, "SIGHUP is taken up")


async def told(api, name, space=SPACE):
    return await api.ask("GET", f"/v1/queues/{name}", None, {"sqmqos-space": space})


async def publish(api, topic, space=SPACE):
    answer = await api.ask("POST", f"/v1/publish/{topic}", PAYLOAD, {"sqmqos-space": space})
    assert answer.status in (200, 202) and answer.json["outcome"] == "stored", answer


async def denied(api, name, space=SPACE):
    async def said():
        answer = await told(api, name, space)
        return "address not allowed" in json.dumps(answer.json)
    await eventually(said, f"{name} says that its address is not allowed")


def settled_descriptors(stack):
    """What net/curl has from its first request on is no leak."""
    stack.descriptors[stack.broker.name] = descriptors(stack.broker)


async def nothing_is_said(stack, api, *more):
    """Neither the token nor the payload stands in a log, in what the API and metrics say, nor in 'more'."""
    said = {p.name: stack.log(p) for p in stack.programs}
    for space in (SPACE, "shop"):
        said[f"queues of {space}"] = (await api.ask("GET", "/v1/queues", None, {"sqmqos-space": space})).body.decode()
    said["metrics"] = (await asyncio.to_thread(stack.broker.get, "/metrics", 10))[1]
    said["more"] = repr(more)
    for where, text in said.items():
        assert len(text) > 0 or where == "more", where
        for secret in (TOKEN, PAYLOAD.decode()):
            assert secret not in text, (where, text[max(0, text.index(secret) - 200):][:400])


@scenario(timeout_s=120)
async def test_no_spelling_of_the_machine_itself_can_be_declared(env):
    door = await Door().open(env)
    urls = {name_of(s): f"http://{s}:{door.port}/{TOKEN}" for s in (*SPELLINGS, METADATA)}
    urls |= {f"s{name}": url.replace("http:", "https:") for name, url in urls.items()}
    stack, api = await begin(env, door, HTTP, {n: queue(u, "a/#") for n, u in urls.items()})
    said = []
    for name, url in urls.items():
        line, = (line for line in stack.log(stack.broker).splitlines() if f".{name}: " in line)
        assert "default.yaml:" in line and "push.allow doesn't open that" in line, line
        assert (await told(api, name)).status == 404
        answer = await api.ask("PUT", f"/v1/queues/{name}", json.dumps(queue(url, "a/#")).encode())
        assert answer.status == 403 and "push.allow doesn't open that" in answer.json["detail"], answer
        said.append(answer.body)
        assert (await told(api, name)).status == 404
    for name in ("f", "n"):
        key = {"f": "bearerFile", "n": "bearer"}[name]
        value = {"f": str(env.folder / "secrets" / SPACE / "token"), "n": "../default/token"}[name]
        answer = await api.ask("PUT", f"/v1/queues/{name}", json.dumps(
            queue("https://hooks.example/", "a/#", auth={key: value})).encode())
        assert answer.status == 422, answer
        said.append(answer.body)
    await publish_nothing(api)
    assert door.opened == 0
    await nothing_is_said(stack, api, *said)


async def publish_nothing(api):
    answer = await api.ask("POST", "/v1/publish/a/b", PAYLOAD)
    assert answer.json["outcome"] == "no-subscribers", answer


@scenario(timeout_s=180)
async def test_what_is_opened_is_reached_in_any_spelling_and_then_closed_in_all(env):
    door = await Door().open(env)
    spelled = {name_of(s): s for s in (*SPELLINGS, METADATA)}
    retry = QUICK | {"attempts": 3}
    files = {f"f{n}": queue(f"http://{s}:{door.port}/f{n}", f"f/{n}", timeout="2s", retry=retry, breaker={"failures": 1000},
                            auth={"bearer-file": str(env.folder / "secrets" / SPACE / "token")}) for n, s in spelled.items()}
    stack, api = await begin(env, door, OPEN, files)
    for n, s in spelled.items():
        made = queue(f"http://{s}:{door.port}/a{n}", f"a/{n}", timeout="2s", retry=retry, breaker={"failures": 1000},
                     auth={"bearer": "token"})
        answer = await api.ask("PUT", f"/v1/queues/a{n}", json.dumps(made).encode())
        assert answer.status == 201, answer
    reached = {f"/{how}{name_of(s)}" for how in "fa" for s in SPELLINGS}
    for n in spelled:
        if n != name_of(METADATA):
            await publish(api, f"f/{n}")
            await publish(api, f"a/{n}")
    await eventually(lambda: door.paths() == reached, "each is reached")
    assert {h["authorization"] for _, h, _ in door.got} == {f"bearer {TOKEN}"}
    assert {body for _, _, body in door.got} == {PAYLOAD}
    settled_descriptors(stack)

    client = await env.connect(stack.ports[0], "undertaker")
    await client.subscribe(("$dead/#", 1))
    await allow_now(stack, HTTP)
    opened, letters = door.opened, []
    for how in "fa":
        for n in spelled:
            await publish(api, f"{how}/{n}")
    for _ in range(2 * len(spelled)):
        letters.append(await client.receive())
    assert {m.topic for m in letters} == {f"$dead/{how}/{n}" for how in "fa" for n in spelled}
    for letter in letters:
        props = dict(users(letter))
        assert props["sqmqos-dead-reason"] == "attempts", props
        assert props["sqmqos-dead-detail"] == "address not allowed by push.allow", props
    for how in "fa":
        for n in spelled:
            await denied(api, how + n)
    assert door.opened == opened
    await nothing_is_said(stack, api, *(users(letter) for letter in letters))


@scenario(build="release", timeout_s=90)
async def test_a_name_is_where_it_leads(env):
    door = await Door().open(env)
    hosts = {"good": "good.example", "bad": "bad.example"}
    made = {n: queue(f"http://{host}:{door.port}/{n}", f"{n}/#", timeout="5s", retry=QUICK, auth={"bearer": "token"})
            for n, host in hosts.items()}
    stack, api = await begin(
        env, door, [{"host": "*.example", "cidr": "127.0.0.2"}], {n: made[n] for n in hosts},
        LD_PRELOAD=resolver(env.folder), NAMES="good.example=127.0.0.2 bad.example=127.0.0.1")
    for n in hosts:
        assert (await api.ask("PUT", f"/v1/queues/{n}-api", json.dumps(
            queue(f"http://{hosts[n]}:{door.port}/{n}-api", f"{n}/#", retry=QUICK)).encode())).status == 201
    await publish(api, "bad/x")
    await publish(api, "good/x")
    await eventually(lambda: door.paths() == {"/good", "/good-api"}, "the good name is reached")
    settled_descriptors(stack)
    for n in ("bad", "bad-api"):
        await denied(api, n)
    assert door.paths() == {"/good", "/good-api"} and door.opened == 2
    await allow_now(stack, [{"host": "*.example", "cidr": "127.0.0.0/8"}])
    await eventually(lambda: door.paths() == {f"/{n}{how}" for n in hosts for how in ("", "-api")}, "it waited for that")
    await nothing_is_said(stack, api)


@scenario(timeout_s=90)
async def test_a_secret_is_a_file_that_others_may_not_read(env):
    door = await Door().open(env)
    url = f"http://127.0.0.1:{door.port}/"
    names = {"named": {"bearer": "late"}, "pair": {"basic": "pair"}, "value": {"header": "x-api-key", "value": "late"}}
    stack, api = await begin(env, door, [{"host": "127.0.0.1", "cidr": "127.0.0.1"}], {
        n: queue(url + n, "q/#", retry=QUICK, auth=auth) for n, auth in names.items()})
    folder = env.folder / "secrets" / SPACE
    parts.write_private(folder / "pair", f"user:{TOKEN}")

    async def waits(name, why):
        async def said():
            push = (await told(api, name)).json["push"]
            return push.get("state") == "secret" and why in push.get("lastError", "") and str(folder) not in push["lastError"]
        await eventually(said, f"{name} waits for its secret and says why")

    await publish(api, "q/x")
    for name in ("named", "value"):
        await waits(name, 'push.secrets-dir/default/late: No such file or directory')
    await eventually(lambda: door.paths() == {"/pair"}, "the one that is there is used")
    parts.write_private(folder / "late", TOKEN + "\n")
    (folder / "late").chmod(0o644)
    await waits("named", "others may read or write it")
    assert door.paths() == {"/pair"}
    (folder / "late").chmod(0o640)
    await eventually(lambda: door.paths() == {"/named", "/value", "/pair"}, "it is a secret now")
    shown = {path: headers for path, headers, _ in door.got}
    assert {h["sqmqos-attempt"] for h in shown.values()} == {"1"}, "what waits for a secret is no attempt"
    assert shown["/named"]["authorization"] == f"bearer {TOKEN}" and shown["/value"]["x-api-key"] == TOKEN
    assert shown["/pair"]["authorization"].startswith("basic ")
    settled_descriptors(stack)
    (folder / "late").unlink()
    await eventually(lambda: stack.log(stack.broker).count(f"{folder}/late: No such file or directory") >= 4,
                     "that is seen")
    n = len(door.got)
    await publish(api, "q/x")
    await waits("named", "No such file")
    await waits("value", "No such file")
    await eventually(lambda: len(door.got) == n + 1, "the others wait")
    parts.write_private(folder / "late", TOKEN + "-2")
    await eventually(lambda: len(door.got) == n + 3, "for the next one")
    assert f"bearer {TOKEN}-2" in {h.get("authorization") for _, h, _ in door.got}
    await nothing_is_said(stack, api)


@scenario(timeout_s=90)
async def test_queues_of_files_that_were_denied_are_judged_again(env):
    door = await Door().open(env)
    stack, api = await begin(env, door, HTTP, {"q": queue(f"http://127.0.0.1:{door.port}/q", "q/#", retry=QUICK)})
    assert (await told(api, "q")).status == 404
    await allow_now(stack, OPEN)
    await eventually(lambda: "q is made by" in stack.log(stack.broker), "it is declared now")
    await publish(api, "q/x")
    await eventually(lambda: door.paths() == {"/q"}, "and pushed")
    settled_descriptors(stack)
    await nothing_is_said(stack, api)


@scenario(timeout_s=90)
async def test_a_redirect_is_not_followed(env):
    door, inner = await Door().open(env), await Door().open(env)
    allow = [{"host": "127.0.0.1", "cidr": "127.0.0.1"}, {"host": "127.0.0.2", "cidr": "127.0.0.2"}]
    files = {"q": queue(f"http://127.0.0.1:{door.port}/q", "q/#", retry=QUICK | {"attempts": 4}, auth={"bearer": "token"})}
    stack, api = await begin(env, door, allow, files)
    client = await env.connect(stack.ports[0], "undertaker")
    await client.subscribe(("$dead/#", 1))
    # Even to where it might go by itself.
    for status in ("301 Moved", "302 Found", "307 Again", "308 Moved"):
        for to in (f"http://127.0.0.2:{inner.port}/", f"http://169.254.169.254/", f"//127.0.0.2:{inner.port}/"):
            door.answer = f"{status}\r\nlocation: {to}"
            await publish(api, "q/x")
            letter = await client.receive()
            props = dict(users(letter))
            assert props["sqmqos-dead-detail"].startswith(f"status {status[:3]}"), props
    assert door.got and inner.opened == 0
    settled_descriptors(stack)
    await nothing_is_said(stack, api, users(letter))


@scenario(timeout_s=90)
async def test_a_connection_of_another_space_is_not_used(env):
    door = await Door().open(env)
    door.keep = True
    open_to_all = [{"host": "127.0.0.1", "cidr": "127.0.0.1"}]
    mine = [{"host": "127.0.0.1", "cidr": "127.0.0.1", "spaces": ["shop"]}, *HTTP]
    url = f"http://127.0.0.1:{door.port}/"
    stack, api = await begin(env, door, open_to_all, {
        "q": queue(url + "default", "q/#", retry=QUICK, auth={"bearer": "token"})})
    declare(env, {"q": queue(url + "shop", "q/#", retry=QUICK, auth={"bearer": "token"})}, space="shop")
    answer = await api.ask("PUT", "/v1/queues/api", json.dumps(queue(url + "api", "q/#", retry=QUICK)).encode())
    assert answer.status == 201, answer
    await eventually(lambda: "shop.q" in stack.log(stack.broker) or "shop~q" in stack.log(stack.broker), "it is declared")
    await publish(api, "q/x")
    await publish(api, "q/x", "shop")
    await eventually(lambda: door.paths() == {"/default", "/shop", "/api"}, "all are reached")
    assert door.opened <= 3 and door.left == 0, "by connections that are kept"
    await allow_now(stack, mine)
    opened, n = door.opened, len(door.got)
    await publish(api, "q/x")
    for name in ("q", "api"):
        await denied(api, name)
    assert (door.opened, len(door.got)) == (opened, n), "neither by a connection that is there nor by another"
    await publish(api, "q/x", "shop")
    await eventually(lambda: len(door.got) > n, "it goes on for the other")
    assert {path for path, _, _ in door.got[n:]} == {"/shop"}
    await allow_now(stack, open_to_all)
    await eventually(lambda: {path for path, _, _ in door.got[n:]} == {"/shop", "/default", "/api"}, "what was denied waited")
    settled_descriptors(stack)
    await nothing_is_said(stack, api)

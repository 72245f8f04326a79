"""--check-config tells what a start would: each problem by its key, and that all is
good. And what a start refuses that would let everybody in."""

import asyncio
import os
import pathlib
import socket
import subprocess

import jwt
import stack as parts
from annotations import AnnotationsDir, render
from cluster import eventually
from scenario import scenario


class Configured:
    """A program with a good configuration, to be spoilt."""

    def __init__(self, env, kind):
        self.env = env
        self.kind = kind
        self.folder = env.folder / kind
        self.folder.mkdir()
        parts.write_token(self.folder / "token")
        parts.write_certificates(self.folder)
        (self.folder / "annotations").write_text(render({"sqmqos.io/subscribe": "a/#"}))
        self.tree = parts.config(
            kind, self.folder, listen=parts.free_port(), admin=parts.free_port(), tls=True,
            broker=1, annotations=self.folder / "annotations" if kind == "sidecar" else None)

    def argv(self, changes, *more):
        path = self.folder / "config.yaml"
        path.write_text(parts.yaml(parts.merge(self.tree, changes)))
        program = parts.ROOT / "build" / self.env.settings.build / f"sqmqos-{self.kind}"
        return [str(program), "--config", str(path), *more]

    async def run(self, changes, *more):
        """(code, stdout, stderr) of a program that ends by itself."""
        done = await asyncio.to_thread(
            subprocess.run, self.argv(changes, *more), capture_output=True, text=True, timeout=30,
            env=parts.clean_environment(), stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    async def good(self, changes=None, note=""):
        code, out, error = await self.run(changes or {}, "--check-config")
        assert (code, error) == (0, ""), (changes, code, error)
        assert out.startswith(f"sqmqos-{self.kind}: the configuration is good"), out
        assert out.count("\n") == 1 and note in out, out

    async def bad(self, changes, *lines, start=2):
        """--check-config ends with 2 and these lines; a start with 'start', saying the
        same, or goes on where that is None."""
        code, out, error = await self.run(changes, "--check-config")
        assert (code, out) == (2, ""), (changes, code, out, error)
        found = error.splitlines()
        assert len(found) == len(lines), (changes, error)
        for line, wanted in zip(found, lines):
            assert line.startswith(f"sqmqos-{self.kind}: {wanted}"), (changes, line, wanted)
        if start is None:
            return
        code, _, error = await self.run(changes)
        assert code == start and error.splitlines() == found, (changes, code, error)


async def test_a_good_configuration_is_said_to_be_good(env):
    for kind in ("broker", "sidecar"):
        made = Configured(env, kind)
        await made.good()
        assert not list(made.folder.glob("store*")), "a check makes nothing"
        for admin in (f":{parts.free_port()}", f"localhost:{parts.free_port()}",
                      f"*:{parts.free_port()}", f"[::1]:{parts.free_port()}"):
            await made.good({"admin": {"listen": admin}})
        # what runs already has its ports
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", int(made.tree["admin"]["listen"].split(":")[1])))
            taken.listen(1)
            await made.good(note="admin.listen 127.0.0.1:")


async def test_each_problem_is_named_with_its_key(env):
    for kind in ("broker", "sidecar"):
        made = Configured(env, kind)
        folder = made.folder
        (folder / "empty").write_text("")
        missing, empty = folder / "missing", folder / "empty"
        key = "tokens-file" if kind == "broker" else "token-file"
        await made.bad({"auth": {key: str(missing)}},
                       f"auth.{key}: {missing}: No such file or directory")
        await made.bad({"auth": {key: str(empty)}}, f"auth.{key}: {empty}: ")
        await made.bad({"admin": {"listen": "9090"}}, "admin.listen: 9090: not of the form ")
        await made.bad({"admin": {"listen": "no.such.host.invalid:9090"}},
                       "admin.listen: no.such.host.invalid:9090: ")
        await made.bad({"admin": {"listen": "192.0.2.1:9090"}},
                       "admin.listen: 192.0.2.1:9090: Cannot assign requested address")
        await made.bad({"admin": {"listen": "9090"}, "auth": {key: str(missing)}},
                       f"auth.{key}: ", "admin.listen: ")


def odd_files(folder):
    """What is no file, by name: a pipe that nobody writes to, a folder, a device, a socket."""
    places = {name: folder / name for name in ("pipe", "folder", "socket")}
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(places["socket"]))
    return [*places.values(), pathlib.Path("/dev/zero")]


FILES = {"broker": ("tls.cert-file", "tls.key-file"),
         "sidecar": ("auth.token-file", "auth.password-file", "tls.ca-file", "annotations.file")}


async def test_what_is_no_file_is_named_and_holds_nobody_up(env):
    for kind, keys in FILES.items():
        made = Configured(env, kind)
        for place in odd_files(made.folder):
            for key in keys:
                group, name = key.split(".")
                await made.bad({group: {name: str(place)}}, f"{key}: {place}: not a regular file",
                               start=None)
            done = await asyncio.to_thread(
                subprocess.run, [made.argv({})[0], "--config", str(place)], capture_output=True,
                text=True, timeout=20, env=parts.clean_environment(), stdin=subprocess.DEVNULL)
            assert (done.returncode, done.stderr.strip()) == (
                2, f"sqmqos-{kind}: --config: {place}: not a regular file"), done


async def test_yaml_tags_are_refused_where_they_stand(env):
    for kind in ("broker", "sidecar", "injector"):
        path = env.folder / f"{kind}.yaml"
        path.write_text("# a comment\nlog: !!python/object {level: warn}\n")
        program = parts.ROOT / "build" / env.settings.build / f"sqmqos-{kind}"
        done = await asyncio.to_thread(
            subprocess.run, [str(program), "--config", str(path)], capture_output=True, text=True,
            timeout=20, env=parts.clean_environment(), stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stderr.strip()) == (
            2, f"sqmqos-{kind}: {path}:2:6: log: anchors and tags are not supported"), done


async def test_the_brokers_own_files_and_addresses(env):
    made = Configured(env, "broker")
    folder, missing = made.folder, made.folder / "missing"
    await made.bad({"tls": {"cert-file": str(missing)}},
                   f"tls.cert-file: {missing}: No such file or directory")
    await made.bad({"tls": {"key-file": str(missing)}},
                   f"tls.key-file: {missing}: No such file or directory")
    await made.bad({"tls": {"key-file": str(folder / "ca.key")}},
                   f"tls.key-file: {folder / 'ca.key'}: not the key of the certificate in "
                   "tls.cert-file")
    await made.bad({"tls": {"cert-file": str(folder / "token")}},
                   f"tls.cert-file: {folder / 'token'}: no certificate in PEM format in it")
    await made.bad({"listen": {"address": "127.0.0.1"}},
                   "listen.address: 127.0.0.1: not of the form ")
    await made.bad({"store": {"dir": str(folder / "token")}},
                   f"store.dir: {folder / 'token'}: Not a directory")
    await made.bad({"store": {"dir": str(missing / "store")}},
                   f"store.dir: {missing / 'store'}: No such file or directory")
    await made.good({"store": {"dir": str(missing)}})
    await made.good({"engine": "memory", "store": {"dir": str(missing / "store")}})
    if os.geteuid() != 0:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
        await made.bad({"store": {"dir": str(closed)}}, f"store.dir: {closed}: Permission denied")


async def test_the_sidecars_own_files_and_addresses(env):
    made = Configured(env, "sidecar")
    folder, missing = made.folder, made.folder / "missing"
    await made.bad({"tls": {"ca-file": str(missing)}},
                   f"tls.ca-file: {missing}: No such file or directory")
    await made.bad({"tls": {"ca-file": str(folder / "token")}},
                   f"tls.ca-file: {folder / 'token'}: ")
    await made.bad({"brokers": ["broker.example"]},
                   "brokers: broker.example: not host:port nor [v6]:port")
    await made.bad({"listen": {"addresses": ["nowhere.invalid"]}},
                   "listen.addresses: nowhere.invalid:")
    await made.bad({"listen": {"unix": str(missing / "socket")}},
                   f"listen.unix: {missing / 'socket'}: No such file or directory")
    await made.bad({"listen": {"unix": str(folder / "token")}},
                   f"listen.unix: {folder / 'token'}: File exists")
    await made.bad({"listen": {"unix": str(folder / ("x" * 200))}}, "listen.unix: ")
    await made.good({"listen": {"unix": str(folder / "socket")}})
    # what a start waits for is told by a check alone
    await made.bad({"annotations": {"file": str(missing)}},
                   f"annotations.file: {missing}: No such file or directory", start=None)
    (folder / "annotations").write_text(render({"sqmqos.io/subscribe": "- {filtr: a}"}))
    said = [f"annotations.file: {folder / 'annotations'}: sqmqos.io/subscribe: line 1, column {problem}"
            for problem in ("3: a filter, a tag or a queue is needed",
                            "4: unknown field 'filtr', did you mean filter?")]
    await made.bad({}, *said, start=None)
    sidecar = parts.Program("sidecar", "waits", folder,
                            parts.ROOT / "build" / env.settings.build, made.tree).start()
    try:
        await eventually(lambda: asyncio.to_thread(
            lambda: "\n".join(said) in sidecar.ready()[1]), "/readyz says the same")
        assert all(line in sidecar.log_path.read_text() for line in said)
    finally:
        assert await asyncio.to_thread(sidecar.stop) == 0
    (folder / "annotations").write_text(render({"sqmqos.io/subscribe": "- {filter: a, expiry: 1h}\n"
                                                "- {filter: b, expiry: 2h}\n"}))
    await made.bad({}, f"annotations.file: {folder / 'annotations'}: ", start=None)
    (folder / "annotations").write_text(render({"sqmqos.io/subscribes": "a"}))
    await made.good(note=f"; annotations.file: {folder / 'annotations'}: sqmqos.io/"
                    "subscribes: line 1, column 1: is unknown and does nothing, did you mean sqmqos.io/subscribe?")
    volume = AnnotationsDir(folder / "volume").write(subscribe="a/#/b", publish="- qos: 1\n- c")
    await made.bad({"annotations": {"dir": str(volume.path)}},
                   "annotations.file and annotations.dir are both set: one of them")
    of_dir = {"annotations": {"file": "", "dir": str(volume.path)}}
    await made.bad(of_dir, f"annotations.dir: {volume.path}: sqmqos.io/subscribe: line 1, column 1: "
                   "bad filter 'a/#/b': # must be the last character",
                   f"annotations.dir: {volume.path}: sqmqos.io/publish: line 1, column 3: "
                   "a filter is needed", start=None)
    volume.write(subscribe="a/#", publish="")
    await made.good(of_dir)
    await made.bad({"annotations": {"file": "", "dir": str(missing)}},
                   f"annotations.dir: {missing}: No such file or directory", start=None)
    (folder / "annotations").write_text(render({"sqmqos.io/outbox": "disk: 1Mi"}))
    await made.bad({}, f"annotations.file: {folder / 'annotations'}: sqmqos.io/outbox: disk needs "
                   "outbox.dir", start=None)
    await made.bad({"outbox": {"dir": str(folder / "token")}},
                   f"outbox.dir: {folder / 'token'}: Not a directory", start=None)
    (folder / "outbox").mkdir()
    await made.good({"outbox": {"dir": str(folder / "outbox")}})
    (folder / "annotations").write_text(render({"sqmqos.io/outbox": "memory"}))
    await made.good({"outbox": {"mode": "disk", "dir": str(folder / "token")}})
    (folder / "annotations").write_text("")
    await made.good()
    await made.bad({"outbox": {"mode": "disk", "dir": str(folder / "token")}},
                   f"outbox.dir: {folder / 'token'}: Not a directory", start=None)


@scenario(timeout_s=60)
async def test_a_broker_that_everybody_could_use_does_not_start_by_oversight(env):
    made = Configured(env, "broker")
    port = made.tree["listen"]["address"].split(":")[1]
    nothing = {"tls": {"enabled": False, "cert-file": None, "key-file": None},
               "auth": {"tokens-file": None}}
    for address in (f"0.0.0.0:{port}", f":{port}", f"*:{port}"):
        away = parts.merge(nothing, {"listen": {"address": address}})
        await made.bad(away, f"auth.insecure: other machines reach listen.address {address}")
        await made.good(parts.merge(away, {"auth": {"insecure": True}}))
        await made.good(parts.merge(away, {"auth": {"tokens-file": str(made.folder / "tokens")}}))
        await made.good({"listen": {"address": address}, "auth": {"tokens-file": None}})
    for address in (f"127.0.0.1:{port}", f"localhost:{port}"):
        await made.good(parts.merge(nothing, {"listen": {"address": address}}))

    # with the key it serves, and says what that means
    tree = parts.merge(made.tree, parts.merge(nothing, {
        "listen": {"address": f"0.0.0.0:{port}"}, "auth": {"insecure": True}}))
    broker = parts.Program("broker", "open", made.folder,
                           parts.ROOT / "build" / env.settings.build, tree).start()
    try:
        await eventually(lambda: asyncio.to_thread(lambda: broker.ready()[0]), "it serves")
        assert "auth.insecure" in broker.log_path.read_text()
    finally:
        assert await asyncio.to_thread(broker.stop) == 0


async def test_whose_signed_tokens_are_taken(env):
    broker = Configured(env, "broker")
    at = f"{broker.folder / 'config.yaml'}:"
    keys = broker.folder / "keys.json"
    keys.write_text(jwt.key_set(jwt.Key(broker.folder, "k")))
    one = {"issuer": "https://a.test", "keys-file": str(keys)}
    url = {"issuer": "https://b.test", "keys-url": "https://b.test/keys", "space": "ci"}
    api = {"kubernetes": True, "api-server": "https://127.0.0.1:1",
           "api-token-file": str(broker.folder / "token"),
           "api-ca-file": str(broker.folder / "ca.pem")}

    def issuers(*items, **more):
        return {"auth": {"tokens-file": None, "issuers": list(items)} | more}

    await broker.good(issuers(one, url, **api))
    for wrong, key, said in (
            (issuers(one, {"keys-file": "x"}), "auth.issuers[1]: ", "needs issuer"),
            (issuers(one | {"isuer": "x"}), "auth.issuers[0].isuer: ",
             "unknown key, did you mean auth.issuers[].issuer?"),
            (issuers(one, url | {"keys-file": "x"}), "auth.issuers[1]: ",
             "needs keys-file or keys-url, one of them"),
            (issuers({"issuer": "a"}), "auth.issuers[0]: ", "needs keys-file or keys-url"),
            (issuers(one | {"ca-file": "x"}), "auth.issuers[0]: ", "ca-file: is of keys-url"),
            (issuers(one, one), "auth.issuers[1]: ", "issuer: given twice")):
        code, _, error = await broker.run(wrong, "--check-config")
        assert code == 2 and error.startswith(f"sqmqos-broker: {at}"), error
        assert f" {key}{said}" in error, error
    missing = str(broker.folder / "missing")
    for wrong, said in (
            (issuers(one | {"keys-file": missing}), f"auth.issuers: keys-file: {missing}: No such"),
            (issuers(one | {"keys-file": str(broker.folder / "token")}), "not JSON"),
            (issuers(url | {"keys-url": "http://b.test/"}), "must begin with https://"),
            (issuers(one, audience=""), "auth.audience: needed to verify signed tokens"),
            (issuers(**api | {"api-token-file": missing}), "auth.api-token-file: "),
            (issuers(**api | {"api-ca-file": missing}), "auth.api-ca-file: "),
            (issuers(**api | {"api-server": None}), "KUBERNETES_SERVICE_HOST is not set")):
        code, _, error = await broker.run(wrong, "--check-config")
        assert code == 2 and said in error, (said, error)


async def test_whose_certificates_are_taken(env):
    broker = Configured(env, "broker")
    ca = {"client-ca-file": str(broker.folder / "ca.pem")}
    good = {"name": "web.*", "spaces": ["shop", "bank"]}
    await broker.good({"auth": ca})
    await broker.good({"auth": ca | {"certificates": [good]}})
    missing, long = str(broker.folder / "missing"), broker.folder / "long"
    long.write_text("x" * ((2 << 20) + 1))
    for auth, said in (
            ({"certificates": [good]}, "auth.client-ca-file: needed with auth.certificates"),
            ({"client-crl-file": missing}, "auth.client-ca-file: needed with auth.client-crl-file"),
            ({"client-ca-file": missing}, f"auth.client-ca-file: {missing}: No such file"),
            ({"client-ca-file": str(broker.folder / "tokens")}, "no certificate in PEM format"),
            (ca | {"client-crl-file": ca["client-ca-file"]}, "auth.client-crl-file: no CRL in PEM"),
            (ca | {"client-crl-file": str(long)}, f"auth.client-crl-file: {long}: longer than its limit"),
            (ca | {"certificates": [good | {"spaces": []}]}, "auth.certificates[0]: spaces: needs 1"),
            (ca | {"certificates": [good, good | {"spaces": ["a,b"]}]},
             "auth.certificates[1]: spaces: one is not"),
            (ca | {"certificates": [good | {"space": "shop"}]}, "unknown key, did you mean"),
            ({"token-file": str(broker.folder / "token")}, "auth.token-file: is auth.tokens-file now")):
        code, _, error = await broker.run({"auth": auth}, "--check-config")
        assert code == 2 and said in error, (auth, error)
    code, _, error = await broker.run({"auth": ca, "tls": {"enabled": False}}, "--check-config")
    assert code == 2 and "auth.client-ca-file: needs tls.enabled" in error, error


async def test_where_pushes_may_go(env):
    broker = Configured(env, "broker")
    at = f"{broker.folder / 'config.yaml'}:"
    (broker.folder / "secrets").mkdir()
    await broker.good({"push": {
        "allow": [{"host": "*.{space}.svc.cluster.local"}, {"cidr": "10.0.0.0/8", "spaces": ["shop", "team-*"]},
                  {"host": "localhost", "cidr": "127.0.0.0/8"}],
        "trusted": ["*.{space}.svc.cluster.local"], "origin": "sqmqos.example", "proxy": "http://proxy.example:3128",
        "connections-per-origin": 8, "secrets-dir": str(broker.folder / "secrets")}})
    good = {"host": "hooks.example"}
    for item, said in (
            ({}, "host, cidr, or both"),
            ({"host": ""}, "host, cidr, or both"),
            ({"hosts": "x"}, "unknown key, did you mean push.allow[].host?"),
            ({"host": "https://x"}, "https://x is no host"),
            ({"host": "127.0.0.1"}, "host: 127.0.0.1 is loopback, which needs cidr, too: cidr: 127.0.0.1"),
            ({"cidr": "10.0.0.0/33"}, "cidr: 10.0.0.0/33: 0 to 32 bits follow '/'"),
            ({"cidr": "10.0.0.1/8"}, "cidr: 10.0.0.1/8: has more bits than the 8 that count"),
            ({"cidr": "intern"}, "cidr: intern is neither an address nor a range")):
        code, _, error = await broker.run({"push": {"allow": [good, item]}}, "--check-config")
        assert code == 2 and error.startswith(f"sqmqos-broker: {at}"), (item, error)
        assert "push.allow[1]" in error and said in error, (item, error)
    for push, said in (
            ({"trusted": ["https://x"]}, "push.trusted: https://x is no host"),
            ({"origin": "a b"}, "push.origin: a b: a name as of a host"),
            ({"proxy": "proxy.example:3128"}, "push.proxy: a URL begins with"),
            ({"proxy": "http://u:secret@proxy.example"}, "push.proxy: a URL has no user information"),
            ({"proxy": "http://proxy.example/path"}, "push.proxy: a proxy's URL has no path"),
            ({"proxy": "https://proxy.example:3128"}, "push.proxy: a proxy is asked by http:// alone"),
            ({"connections-per-origin": 0}, "push.connections-per-origin"),
            ({"secrets-dir": str(broker.folder / "missing")}, "push.secrets-dir: ")):
        code, _, error = await broker.run({"push": push}, "--check-config")
        assert code == 2 and said in error and "secret@" not in error, (push, error)


async def test_urls_of_files_are_judged(env):
    broker = Configured(env, "broker")
    folder = broker.folder / "subscribers"
    folder.mkdir()
    file = folder / "q.yaml"
    urls = {"a": "https://hooks.example/x", "b": "http://sink.shop.svc.cluster.local/{topic.1}",
            "c": "http://hooks.example/tok-7c1f", "d": "https://127.0.0.1/", "e": "https://0x7f.1/",
            "f": "https://[::ffff:169.254.169.254]/latest", "g": "http://sink.bank.svc.cluster.local/"}
    file.write_text("shop:\n" + "".join(
        f"  {name}:\n    bindings: [{{filter: x}}]\n    push:\n      url: \"{url}\"\n" for name, url in urls.items()))
    config = {"subscribers": {"dir": str(folder)},
              "push": {"allow": [{"host": "*.{space}.svc.cluster.local"}]}}
    code, _, error = await broker.run(config, "--check-config")
    lines = error.splitlines()
    assert code == 2 and "tok-7c1f" not in error and len(lines) == 5, error
    for line, name, said in zip(lines, "cdefg", (
            "hooks.example: http goes only to hosts that push.allow names",
            "127.0.0.1 is loopback", "127.0.0.1 is loopback", "169.254.169.254 is link-local",
            "sink.bank.svc.cluster.local: http goes only to hosts")):
        place = 2 + 4 * "abcdefg".index(name)
        assert line.startswith(f"sqmqos-broker: {file}:{place}: shop.{name}.push.url: ") and said in line, line
    config["push"]["allow"] += [{"host": "*", "cidr": "127.0.0.0/8"}, {"cidr": "169.254.169.254"}]
    await broker.good(config)


async def test_rules(env):
    broker = Configured(env, "broker")
    at = f"{broker.folder / 'config.yaml'}:"
    await broker.good({"acl": [{"allow": ["publish"], "topics": ["a/{client}/#"], "identity": "kube:a/*"},
                               {"deny": ["consume", "manage"], "queues": ["q*"], "space": "b"},
                               {"deny": "publish, subscribe"}], "acl-default": "deny"})
    deny = {"deny": ["publish"]}
    for wrong, key, said in (
            ([deny, {}], "acl[1]: ", "needs allow or deny, one of them"),
            ([deny | {"allow": ["publish"]}], "acl[0]: ", "needs allow or deny, one of them"),
            ([{"deny": ["read"]}], "acl[0].deny: ", '"read" is no verb'),
            ([deny | {"topic": ["a"]}], "acl[0].topic: ", "unknown key, did you mean acl[].topics?"),
            ([deny | {"topics": ["a/#/b"]}], "acl[0].topics: ", '"a/#/b": # must be the last'),
            ([deny | {"topics": ["{user}"]}], "acl[0].topics: ", '"{user}": placeholders are'),
            ([deny | {"queues": ["a"]}], "acl[0].queues: ", "publish and subscribe have topics")):
        code, _, error = await broker.run({"acl": wrong}, "--check-config")
        assert code == 2 and error.startswith(f"sqmqos-broker: {at}"), error
        assert f" {key}{said}" in error, error


async def test_spaces_that_tenants_share(env):
    broker = Configured(env, "broker")
    at = f"{broker.folder / 'config.yaml'}:"

    def spaces(text):
        """The file with 'text' in it, which is a map of maps."""
        return {"spaces": text}

    await broker.good(spaces({"shared": {"tenants": ["a", "b"]}, "two": {"tenants": ["c"]}}))
    for wrong, key, said in (
            ({"one": {"tenants": ["a", "b"]}, "two": {"tenants": ["c", "a"]}}, "two.tenants",
             "a is in spaces.one already; a tenant is in one space"),
            ({"one": {"tenants": ["a", "a"]}}, "one.tenants", "a is in spaces.one already"),
            ({"one": {"tenants": []}}, "one.tenants", "it names no tenant"),
            ({"one": {"tenant": ["a"]}}, "one.tenant", "unknown key")):
        code, _, error = await broker.run(spaces(wrong), "--check-config")
        assert code == 2 and error.startswith(f"sqmqos-broker: {at}"), error
        assert f" spaces.{key}: {said}" in error, error


async def test_a_password_file_is_read_before_the_start(env):
    configured = Configured(env, "sidecar")
    path = env.folder / "passwords"
    changes = {"auth": {"password-file": str(path)}}
    await configured.bad(changes, f"auth.password-file: {path}: No such file or directory")
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True,
                            text=True).stdout
    mosquitto = env.folder / "mosquitto"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(mosquitto), "u", "secret"], check=True)
    path.write_text(f"# ours\na:{hashed}b:\n{mosquitto.read_text()}")
    await configured.bad(
        changes, f"auth.password-file: {path}: line 3: no hash behind the colon; line 4: a hash in "
        "the own format of mosquitto_passwd, which crypt(3) does not know; openssl passwd -6 makes "
        "one that it does")
    path.write_text(f"a:{hashed}")
    await configured.good(changes)

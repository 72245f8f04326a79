"""User name and password of local clients, checked against auth.password-file."""

import asyncio
import ctypes
import os
import subprocess

import clients
from cluster import eventually, metric
from conformance import Raw, connect_packet, will_payload
from memory import holds
from mqtt import CONNACK, PINGREQ, PINGRESP, PUBLISH, SUBACK, SUBSCRIBE, V5, V311, Reader, binary, \
    packet, properties, publish_packet, text
from scenario import scenario

V31 = 3
USER, PASSWORD = 0x80, 0x40
SLOW = 3_000_000  # rounds of SHA-512: a second or more

libcrypt = ctypes.CDLL("libcrypt.so.1")
libcrypt.crypt.restype = ctypes.c_char_p


def crypted(password, setting="$6$rounds=1000$salt"):
    return libcrypt.crypt(password.encode(), setting.encode()).decode()


def write(path, **users):
    """As an editor or the kubelet replaces it: another file of the same name."""
    new = path.with_suffix(".new")
    new.write_text("".join(f"{user}:{line}\n" for user, line in users.items()))
    os.replace(new, path)


async def stack_with(env, sidecars=1, **users):
    path = env.folder / "passwords"
    write(path, **users)
    stack = await env.stack(sidecars=sidecars, sidecar={"auth": {"password-file": str(path)}})
    return stack, path


def connect(client_id, user, password, version=V5, flags=2, payload=b"", **options):
    """A CONNECT; None: without that field."""
    if user is not None:
        flags, payload = flags | USER, payload + text(user)
    if password is not None:
        flags |= PASSWORD
        payload += binary(password.encode() if isinstance(password, str) else password)
    name = "MQIsdp" if version == V31 else "MQTT"
    return connect_packet(client_id, version, flags, payload=payload, name=name, **options)


async def answer(port, data):
    """(the connection, CONNACK's code and properties)."""
    raw = await Raw.open(port)
    raw.send(data)
    r = await raw.expect(CONNACK, 30)
    assert r.u8() in (0, 1)
    return raw, r.u8(), Reader(r.data[2:]).properties() if r.left() else {}


async def code(port, *args, **options):
    raw, got, _ = await answer(port, connect(*args, **options))
    if got == 0:
        raw.send(packet(PINGREQ))
        await raw.expect(PINGRESP)
        raw.abort()
    else:
        assert await raw.packet() is None, "refused and open"
    return got


def refused(reason):
    return f'sqmqos_clients_refused_total{{reason="{reason}"}}'


async def test_who_may_connect(env):
    methods = {"six": crypted("pass word", "$6$salt"), "five": crypted("pass word", "$5$salt"),
               "yes": crypted("pass word", "$y$j9T$saltsaltsalt"),
               "blow": crypted("pass word", "$2b$05$abcdefghijklmnopqrstuu"),
               "openssl": subprocess.run(["openssl", "passwd", "-6", "pass word"], check=True,
                                         capture_output=True, text=True).stdout.strip()}
    stack, _ = await stack_with(env, empty=crypted(""), **methods)
    port, sidecar = stack.ports[0], stack.sidecars[0]
    secrets = ["pass word", "wrong one"]
    raw, got, props = await answer(port, connect("c", "nob\nody", "wrong one"))
    said = "no such user, or another password, user nob?ody"
    assert (got, props["reason_string"]) == (0x86, said)
    assert await raw.packet() is None
    assert await code(port, "c", None, None) == 0x87
    assert f"CONNECT refused with 0x86, {said}" in stack.log(sidecar)
    assert "CONNECT refused with 0x87, a user name and password are needed" in stack.log(sidecar)
    for version, bad, unknown in ((V5, 0x86, 0x87), (V311, 4, 5), (V31, 4, 5)):
        for user in methods:
            assert await code(port, "c", user, "pass word", version=version) == 0, user
        assert await code(port, "c", "empty", "", version=version) == 0
        assert await code(port, "c", "empty", None, version=version) == 0
        assert await code(port, "c", "six", "wrong one", version=version) == bad
        assert await code(port, "c", "six", b"pass word\0", version=version) == bad
        assert await code(port, "c", "six", "x" * 60000, version=version) == bad
        assert await code(port, "c", "six", None, version=version) == bad
        assert await code(port, "c", "nobody", "pass word", version=version) == bad
        assert await code(port, "c", "", "pass word", version=version) == unknown
        assert await code(port, "c", None, None, version=version) == unknown
    assert await code(port, "c", None, "pass word") == 0x87
    assert await metric(sidecar, refused("password")) == 16
    assert await metric(sidecar, refused("anonymous")) == 8
    assert not [word for word in secrets if word in stack.log(sidecar)]
    await clients.mosquitto_pub(env, port, "t", b"x", "-u", "six", "-P", "pass word")


async def test_what_comes_with_and_behind_the_connect_waits_for_it(env):
    stack, _ = await stack_with(env, 2, a=crypted("p"), slow=crypted("p", f"$6$rounds={SLOW}$s"))
    a, b = stack.ports
    subscribe = packet(SUBSCRIBE, b"\0\1\0" + text("t") + b"\1", 2)
    publish = publish_packet("t", b"m", 0, False, False, 0, V5, None)
    for user in ("a", "slow"):
        raw = await Raw.open(a)
        raw.send(connect(f"x{user}", user, "p"), subscribe, publish)
        await raw.expect(CONNACK, 60)
        assert (await raw.expect(SUBACK)).data[-1] == 1
        assert (await raw.expect(PUBLISH)).str() == "t"
        raw.abort()
    # byte by byte
    raw = await Raw.open(a)
    for byte in connect("bytes", "a", "p") + subscribe + publish:
        raw.send(bytes([byte]))
        await asyncio.sleep(0)
    await raw.expect(CONNACK)
    await raw.expect(SUBACK)
    await raw.expect(PUBLISH)
    raw.abort()
    # will, properties and an assigned client id are those of the CONNECT
    sub, got, _ = await answer(b, connect("sub", "a", "p"))
    sub.send(packet(SUBSCRIBE, b"\0\1\0" + text("will/#") + b"\1", 2))
    await sub.expect(SUBACK)
    will = will_payload("will/x", b"gone", V5, {"content_type": "c"})
    raw, got, props = await answer(a, connect("", "a", "p", flags=0x0E, payload=will,
                                              props={"session_expiry": 60}))
    assert got == 0 and props["assigned_client_id"]
    raw.abort()
    r = await sub.expect(PUBLISH)
    assert r.str() == "will/x" and r.u16() and r.properties()["content_type"] == "c"
    assert r.take(r.left()) == b"gone"
    # a session goes on
    for present in (0, 1):
        raw = await Raw.open(a)
        raw.send(connect("durable", "a", "p", flags=0, props={"session_expiry": 60}))
        assert (await raw.expect(CONNACK)).data[:2] == bytes([present, 0])
        raw.abort()
    sub.abort()
    env.check_leftovers = False


async def test_a_check_blocks_nobody_and_a_client_may_leave(env):
    stack, _ = await stack_with(env, a=crypted("p"), slow=crypted("p", f"$6$rounds={SLOW}$s"))
    port, sidecar = stack.ports[0], stack.sidecars[0]
    raw, got, _ = await answer(port, connect("fast", "a", "p"))
    waits = asyncio.create_task(answer(port, connect("slow", "slow", "p")))
    while await metric(sidecar, "sqmqos_clients") != 2:
        await asyncio.sleep(0)
    for _ in range(50):
        raw.send(packet(PINGREQ))
        await raw.expect(PINGRESP)
    assert not waits.done(), "the slow one should still be under check"
    leavers = [await Raw.open(port) for _ in range(20)]
    for n, leaver in enumerate(leavers):
        leaver.send(connect(f"l{n}", "a", "p"))
        leaver.abort()
    slow, got, _ = await waits
    assert got == 0
    slow.abort()
    raw.abort()

    async def gone():
        return await metric(sidecar, "sqmqos_clients") == 0
    await eventually(gone, "all clients have gone")
    assert await code(port, "again", "a", "p") == 0
    # an end while one is under check: SIGTERM must end it with 0, which the stack checks
    leaver = await Raw.open(port)
    leaver.send(connect("last", "slow", "p"))
    while await metric(sidecar, "sqmqos_clients") != 1:
        await asyncio.sleep(0)
    await stack.end(sidecar)
    assert not stack.exits, stack.exits
    env.check_leftovers = False


@scenario(timeout_s=180)
async def test_how_many_wait_is_bounded(env):
    stack, _ = await stack_with(env, a=crypted("p", "ab"),
                                slow=crypted("p", f"$6$rounds={SLOW}$s"))
    port, sidecar = stack.ports[0], stack.sidecars[0]
    slow = await Raw.open(port)
    slow.send(connect("slow", "slow", "p"))
    while await metric(sidecar, "sqmqos_clients") != 1:
        await asyncio.sleep(0)
    many = [await Raw.open(port) for _ in range(300)]
    for n, raw in enumerate(many):
        raw.send(connect(f"c{n}", "a", "p"))
    codes = [(await raw.expect(CONNACK, 60)).data[1] for raw in many]
    assert set(codes) == {0, 0x89}, set(codes)
    assert codes.count(0) in (255, 256, 257), codes.count(0)  # the slow one waited or not
    assert await metric(sidecar, refused("passwords-waiting")) == codes.count(0x89)
    assert (await slow.expect(CONNACK, 60)).data[1] == 0
    for raw in [slow, *many]:
        raw.abort()


async def test_the_file_is_read_again(env):
    stack, path = await stack_with(env, a=crypted("p"))
    port, sidecar = stack.ports[0], stack.sidecars[0]
    assert await code(port, "c", "a", "p") == 0
    write(path, b=crypted("q"))
    assert await code(port, "c", "a", "p") == 0x86
    assert await code(port, "c", "b", "q") == 0
    write(path, b=crypted("q"), c="plain text")
    for _ in range(3):
        assert await code(port, "c", "b", "q") == 0
        assert await code(port, "c", "c", "plain text") == 0x86
    warned = [line for line in stack.log(sidecar).splitlines()
              if "line 2: not a hash of crypt(3)" in line]
    assert len(warned) == 1 and str(path) in warned[0] and "plain text" not in warned[0], warned
    path.unlink()
    assert await code(port, "c", "b", "q") == 0
    assert "No such file" in stack.log(sidecar)
    write(path, c=crypted("r"))
    assert await code(port, "c", "c", "r") == 0
    assert await code(port, "c", "b", "q") == 0x86


async def test_passwords_are_gone_from_memory_after_the_check(env):
    stack, _ = await stack_with(env, a=crypted("good-word" + 20 * "7"))
    port, sidecar = stack.ports[0], stack.sidecars[0]
    other, _, _ = await answer(port, connect("other", "a", "good-word" + 20 * "7"))
    words, raws = {"other"}, [other]  # the id of a live client: the search finds what is there
    for name, user, version in (("good", "a", V5), ("bad", "a", V311), ("none", "nobody", V5)):
        for cut in (0, 1, 10, 24):  # bytes that come apart from the rest
            word = "good-word" if name == "good" else f"{name}-{cut:02}-word"
            password = word + 20 * "7"
            data = connect("c", user, password, version)
            raw = await Raw.open(port)
            raw.send(data[:len(data) - cut])
            for _ in range(2):  # by then the first part has been read
                other.send(packet(PINGREQ))
                await other.expect(PINGRESP)
            raw.send(data[len(data) - cut:])
            assert ((await raw.expect(CONNACK)).data[1] == 0) == (name == "good"), name
            words.add(word)
            raws.append(raw)
    found = holds(sidecar.process.pid, {word.encode() for word in words})
    assert found == {b"other"}, found
    for raw in raws:
        raw.abort()


async def test_an_unknown_user_takes_as_long_as_a_known_one(env):
    """The only user's hash takes a second: so does a name that nobody has."""
    stack, _ = await stack_with(env, slow=crypted("p", f"$6$rounds={SLOW}$s"))
    port = stack.ports[0]
    waits = asyncio.create_task(answer(port, connect("c", "nobody", "p")))
    raw = await Raw.open(port)
    for _ in range(50):
        assert await metric(stack.sidecars[0], refused("password")) == 0
    raw.abort()
    assert not waits.done()
    assert (await waits)[1] == 0x86

"""Promises of docs/reliability.md that no other file tries to break."""

import asyncio
import http.client
import ssl

import stack as parts
from annotations import AnnotationsFile
from cluster import SPACES, eventually, metric
from mqtt import V311, Will
from scenario import scenario

DURABLE = {"session_expiry": 600}
SECRET = b"a-payload-that-no-log-may-have"
USER = "a-user-property-that-no-log-may-have"
PASSWORD = "a-password-that-no-log-may-have"


async def raw(port, data):
    """Sends bytes to a port and lets go."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    try:
        await asyncio.wait_for(reader.read(4096), 2)
    except (asyncio.TimeoutError, ConnectionError):
        pass
    writer.close()


def ask(stack, token):
    """A request to the broker with a bearer token."""
    context = ssl.create_default_context(cafile=stack.folder / "ca.pem")
    connection = http.client.HTTPSConnection("localhost", stack.broker_port, timeout=5,
                                             context=context)
    try:
        connection.request("POST", "/v1/nothing", SECRET, {"authorization": f"Bearer {token}"})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


@scenario(timeout_s=180)
async def test_payloads_and_secrets_stay_out_of_the_logs(env):
    """At level debug, with everything that a message can meet: accepted, refused, kept,
    a will, malformed, a wrong token, dead letters, kills and restarts."""
    rules = AnnotationsFile(env.folder / "rules")
    rules.write("flow/#")
    stack = await env.stack(start=False, annotations=[None, rules.path],
                            broker={"log": {"level": "debug"}, "queue": {"max-messages": 20}},
                            sidecar={"log": {"level": "debug"}})
    await stack.start()
    a, b = stack.ports
    props = {"user": [("secret", USER)], "correlation_data": USER.encode()}
    away = await env.connect(b, "away", clean=True, props=DURABLE)
    await away.subscribe(("kept/#", 2), ("$dead/#", 1))
    await away.disconnect()
    app = await env.connect(a, "app", will=Will("kept/will", SECRET, 1), props=DURABLE)
    old = await env.connect(a, "old", V311)
    for n in range(40):  # the queue takes half of them
        await app.publish(f"kept/{n}", SECRET, 1 + n % 2, props=props)
    await old.publish("flow/x", SECRET, 0)
    await app.publish("kept/r", SECRET, 1, retain=True, props=props)
    await app.publish("flow/q3", SECRET, 2,
                      props={"user": [("sqmqos-qos", "3"), ("sqmqos-key", "k"), ("x", USER)]})
    await app.publish("flow/bad", SECRET, 2,
                      props={"user": [("sqmqos-qos", "9"), ("x", USER)]})
    app.abort()
    await raw(a, bytes.fromhex("10") + bytes([12 + 2 + 1 + 4 + len(PASSWORD)]) +
              b"\0\4MQTT\4\xc2\0\0\0\1p" + b"\0\2me" + b"\0" + bytes([len(PASSWORD)]) +
              PASSWORD.encode())
    await raw(a, b"\x10\x7f\0\4MQTT" + SECRET)
    await raw(a, b"\xf0\x20" + SECRET)
    await raw(stack.broker_port, SECRET)
    token = (stack.folder / "token").read_text().strip()
    wrong = "b-token-that-no-log-may-have"
    for bearer in (token, wrong):
        await asyncio.to_thread(ask, stack, bearer)
    rules.write("{this: is not, " + USER)
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await stack.kill(stack.sidecars[0])
    await stack.restart(stack.sidecars[0])
    (stack.folder / "token").write_text(wrong + "\n")
    (stack.folder / "tokens").write_text(parts.token_line("local", wrong, SPACES))
    await stack.kill(stack.broker)
    await stack.restart(stack.broker)
    await away.connect(b, clean=False, props=DURABLE)
    await away.receive()
    key = (stack.folder / "broker.key").read_text().splitlines()[1]
    for program in stack.programs:
        log = stack.log(program)
        assert "debug" in log, f"{program.name} logs nothing at debug"
        for secret in (SECRET.decode(), PASSWORD, token, wrong, key, SECRET.hex()):
            assert secret not in log, f"{program.name}: {secret}"
    assert USER not in stack.log(stack.broker)
    env.check_leftovers = False


@scenario(timeout_s=180)
async def test_nothing_further_up_closes_the_local_socket(env):
    """Annotations, good and bad ones, a renewed token, a drained, a killed and a stopped
    broker: connections of both versions, transient and durable, stay."""
    file = AnnotationsFile(env.folder / "annotations")
    file.write("first/#")
    stack = await env.stack(annotations=[file.path, None])
    a, _ = stack.ports
    clients = [await env.connect(a, "declared"), await env.connect(a, "old", V311),
               await env.connect(a, "durable", clean=True, props=DURABLE),
               await env.connect(a, "old-durable", V311, clean=False)]
    for client in clients:
        await client.subscribe(("t", 1))

    async def all_well():
        for client in clients:
            client.inbox.clear()
        assert await asyncio.wait_for(clients[0].publish("t", b"x", 1), 30) == 0
        for client in clients:
            await client.receive()
            assert client.connected

    file.write("second/#")
    await all_well()
    file.write("- {filter: [nonsense")
    await all_well()
    parts.write_token(stack.folder / "token")
    await all_well()
    await stack.kill(stack.broker)
    for client in clients:
        await client.ping()
    await stack.restart(stack.broker)
    await all_well()
    await stack.end(stack.broker)
    for client in clients:
        await client.ping()
    await stack.restart(stack.broker)
    await all_well()
    for client in clients[2:]:
        await client.disconnect()
        await (await env.connect(a, client.client_id, clean=True)).disconnect()


@scenario(timeout_s=120)
async def test_what_is_transient_leaves_nothing_in_the_store(env):
    """Pods come and go with their subscriptions: the engine's journal hears nothing of it."""
    stack = await env.stack()
    a, b = stack.ports

    async def commits():
        return await metric(stack.broker, "sqmqos_store_commits_total")
    before = await commits()
    for port in (a, b):
        clients = [await env.connect(port, f"client-{n}") for n in range(50)]
        for n, client in enumerate(clients):
            await client.subscribe((f"own/{n}", 2), ("all/#", 1))
        assert await clients[0].publish("all/x", b"x", 2) == 0
        assert await clients[1].publish("own/1", b"x", 2) == 0
        for client in clients:
            await client.receive()
            await client.unsubscribe("all/#")
            await client.disconnect()

    async def gone():
        return await metric(stack.broker, "sqmqos_sessions") == 0
    await eventually(gone, "all sessions have ended")
    assert await commits() == before
    durable = await env.connect(a, "durable", clean=True, props=DURABLE)

    async def kept():  # counted behind the answer
        return await commits() > before
    await eventually(kept, "a durable one is in the store")
    await durable.disconnect()
    await (await env.connect(a, "durable", clean=True)).disconnect()

"""What a load took goes back to the system when it has gone, while other clients go on."""

import asyncio

import clients
from cluster import anonymous, eventually
from scenario import scenario

BACK_S = 10
MOST = 4  # times what a program had before a load of 80 MiB on their way


async def load(env, stack, *flags):
    """A run of the load generator that must be in order."""
    program = clients.ROOT / "build" / env.settings.build / "sqmqos-bench"
    process = await asyncio.create_subprocess_exec(
        str(program), "--json", "--pub", f"127.0.0.1:{stack.ports[0]}", "--sub",
        f"127.0.0.1:{stack.ports[1]}", "--prefix", "back", "--qos", "1", *map(str, flags),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    env.processes.append(process)
    out, err = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, (out.decode(), err.decode())


async def go_on(client):
    """A message to itself ten times a second, so that no program is ever idle."""
    while True:
        assert await client.publish(client.client_id, b"x", 1) == 0
        await client.receive()
        await asyncio.sleep(0.1)


async def gives_back(env, tls):
    stack = await env.stack(tls=tls)
    programs = (stack.broker, *stack.sidecars)
    others = [await env.connect(port, f"other-{n}") for n, port in enumerate(stack.ports)]
    for client in others:
        await client.subscribe(client.client_id, qos=1)
        assert await client.publish(client.client_id, b"x", 1) == 0
        await client.receive()
    before = [anonymous(p) for p in programs]
    for client in others:
        env.spawn(go_on(client))
    await load(env, stack, "--publishers", 200, "--subscribers", 200, "--size", 4096,
               "--window", 100, "--duration", 2, "--warmup", 0)
    most = [anonymous(p) for p in programs]
    assert most[0] > MOST * before[0], (most, before)

    def back():
        return all(anonymous(p) <= MOST * b for p, b in zip(programs, before))
    try:
        await eventually(back, "memory is back", BACK_S, 0.2)
    finally:
        print([f"{b >> 10} {m >> 10} {anonymous(p) >> 10}"
               for p, b, m in zip(programs, before, most)])


@scenario(timeout_s=120, alone=True, build="release")
async def test_memory_is_given_back_in_the_clear(env):
    await gives_back(env, tls=False)


@scenario(timeout_s=120, alone=True, build="release")
async def test_memory_is_given_back_with_tls(env):
    await gives_back(env, tls=True)

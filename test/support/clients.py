"""Ordinary MQTT clients: mosquitto's, MQTT.js and libpaho, as processes."""

import asyncio
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = {4: "mqttv311", 5: "mqttv5"}


class Subscriber:
    """A mosquitto_sub whose subscription is in place."""

    def __init__(self, process):
        self.process = process
        self.messages = asyncio.Queue()
        self.subscribed = asyncio.Event()
        self.output = []
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.output.append(line[:200])
            if line.startswith("MSG "):
                _, qos, retain, rest = line.split(" ", 3)
                topic, payload = rest.rsplit(" ", 1)
                self.messages.put_nowait((topic, bytes.fromhex(payload), int(qos), retain == "1"))
            elif line.startswith("Subscribed"):
                self.subscribed.set()
        self.subscribed.set()

    async def next(self, timeout_s=20):
        """(topic, payload, qos, retained)"""
        return await asyncio.wait_for(self.messages.get(), timeout_s)

    async def end(self):
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self.reader


async def start(env, *argv, stdin=asyncio.subprocess.DEVNULL, environment=None):
    process = await asyncio.create_subprocess_exec(
        *map(str, argv), stdin=stdin, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, limit=8 << 20, env=environment)
    env.processes.append(process)
    return process


async def mosquitto_sub(env, port, topic, *more, version=5, qos=1, client_id=None):
    argv = ["stdbuf", "-oL", "mosquitto_sub", "-h", "localhost", "-p", port, "-t", topic, "-q", qos,
            "-V", VERSION[version], "-d", "-F", "MSG %q %r %t %x", *more]
    if client_id:
        argv += ["-i", client_id]
    subscriber = Subscriber(await start(env, *argv))
    await asyncio.wait_for(subscriber.subscribed.wait(), 30)
    assert subscriber.process.returncode is None, "\n".join(subscriber.output)
    return subscriber


async def mosquitto_pub(env, port, topic, payload, *more, version=5, qos=1):
    """Publishes one message; returns when mosquitto_pub says that it is done."""
    process = await start(env, "mosquitto_pub", "-h", "localhost", "-p", port, "-t", topic, "-q",
                          qos, "-V", VERSION[version], "-s", *more, stdin=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(payload), 60)
    assert process.returncode == 0, \
        f"mosquitto_pub ended with {process.returncode}: {out.decode(errors='replace')}"


async def run(env, *argv, timeout_s=90, environment=None):
    """Runs a client program; it must end with code 0. Returns its output."""
    process = await start(env, *argv, environment=environment)
    out, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    out = out.decode("utf-8", "replace")
    name = re.sub(r".*/", "", str(argv[0]))
    assert process.returncode == 0, f"{name} ended with {process.returncode}:\n{out[-3000:]}"
    return out


async def mqttjs(env, *args, timeout_s=90):
    return await run(env, "node", ROOT / "test" / "e2e" / "mqttjs.js", *args, timeout_s=timeout_s,
                     environment=os.environ | {"NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"})


async def paho(env, *args, timeout_s=90):
    return await run(env, ROOT / "build" / "debug" / "test" / "paho_exchange", *args,
                     timeout_s=timeout_s)

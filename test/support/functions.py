"""Functions that are pushed to: programs of others, each in a process that tells what it has got."""

import asyncio
import json
import pathlib

import peers

HERE = pathlib.Path(__file__).resolve().parent


class Function:
    """'told': what its lines of JSON said, so far."""

    def __init__(self, process, port):
        self.process, self.port, self.told = process, port, []
        self.url = f"http://127.0.0.1:{port}"

    async def listen(self):
        async for line in self.process.stdout:
            self.told.append(json.loads(line))

    def of(self, path):
        return [one for one in self.told if one["path"] == path]


async def function(env, *argv):
    """A program that prints its port first."""
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    env.processes.append(process)
    made = Function(process, int(await asyncio.wait_for(process.stdout.readline(), 30)))
    env.spawn(made.listen())
    return made


async def flask_function(env, *keys):
    return await function(env, f"{peers.venv()}/bin/python", HERE / "flask_function.py", *keys)


async def node_function(env, key):
    return await function(env, "node", HERE / "node_function.js", key)

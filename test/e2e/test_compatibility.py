"""The part of docs/compatibility.md that ./dev test runs: clients that are quick to have.
The others are in test/compat/, which ./dev compat runs."""

import os
import pathlib
import sys

import clients
import matrix
import stack as parts
from agents import Agent, MosquittoAgent
from scenario import Skip, scenario, scenarios

sys.path.append(str(parts.ROOT / "tools"))
import compatibility as table  # noqa: E402

TEST = parts.ROOT / "test"
AGENTS = TEST / "clients" / "agents"


async def test_the_page_is_what_the_table_makes(_env):
    assert table.PAGE.read_text() == table.page(), "python3 tools/compatibility.py writes it"


async def test_every_client_of_the_page_has_its_scenarios(_env):
    """One for each version, where the page says that it is run."""
    for where, file in (("./dev test", TEST / "e2e" / "test_compatibility.py"),
                        ("./dev compat", TEST / "compat" / "test_compatibility.py")):
        named = {f"{c.name}_{version.replace('.', '_')}" for c in matrix.CLIENTS if c.where == where
                 for version in matrix.VERSIONS}
        there = {name for name in scenarios(file) if not name.startswith(("the_", "every_"))}
        assert named == there, f"{file.name}: {named ^ there}"


async def mosquitto(env, version):
    async def make(v):
        return MosquittoAgent(env, v)
    await matrix.run(env, version, make)


@scenario(timeout_s=180)
async def test_mosquitto_3_1_1(env):
    await mosquitto(env, "3.1.1")


@scenario(timeout_s=180)
async def test_mosquitto_5(env):
    await mosquitto(env, "5")


async def libpaho(env, version):
    program = env.folder / "agent"
    await clients.run(env, "gcc", "-O1", "-o", program, AGENTS / "agent.c", "-lpaho-mqtt3c")
    await matrix.run(env, version, lambda v: Agent.start(env, [program], v))


@scenario(timeout_s=180)
async def test_libpaho_3_1_1(env):
    await libpaho(env, "3.1.1")


@scenario(timeout_s=180)
async def test_libpaho_5(env):
    await libpaho(env, "5")


async def paho_python(env, version):
    folder = os.environ.get("TEST_CLIENT_LIBRARIES")
    if not folder:
        raise Skip("TEST_CLIENT_LIBRARIES is not set: ./dev test fetches the libraries")
    python = pathlib.Path(folder) / "python" / "bin" / "python"
    await matrix.run(env, version, lambda v: Agent.start(env, [python, AGENTS / "agent.py"], v))


@scenario(timeout_s=180)
async def test_paho_python_3_1_1(env):
    await paho_python(env, "3.1.1")


@scenario(timeout_s=180)
async def test_paho_python_5(env):
    await paho_python(env, "5")


async def mqttjs(env, version):
    node_path = {"NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"}
    await matrix.run(env, version,
                     lambda v: Agent.start(env, ["node", AGENTS / "agent.js"], v, node_path))


@scenario(timeout_s=180)
async def test_mqttjs_3_1_1(env):
    await mqttjs(env, "3.1.1")


@scenario(timeout_s=180)
async def test_mqttjs_5(env):
    await mqttjs(env, "5")

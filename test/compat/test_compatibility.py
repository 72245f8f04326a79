"""The part of docs/compatibility.md that ./dev compat runs: libraries whose toolchains are
heavy. Those of test/e2e/test_compatibility.py it runs as well."""

import os
import pathlib

import matrix
from agents import Agent
from scenario import Skip, scenario


def built():
    folder = os.environ.get("TEST_AGENTS")
    if not folder:
        raise Skip("TEST_AGENTS is not set: ./dev compat builds them")
    return pathlib.Path(folder)


async def paho_go(env, version):
    program = built() / "go" / "agent"
    await matrix.run(env, version, lambda v: Agent.start(env, [program], v))


@scenario(timeout_s=240)
async def test_paho_go_3_1_1(env):
    await paho_go(env, "3.1.1")


@scenario(timeout_s=240)
async def test_paho_go_5(env):
    await paho_go(env, "5")


async def hivemq(env, version):
    classes = built() / "java"
    java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}/*:{classes}",
            "Agent"]
    await matrix.run(env, version, lambda v: Agent.start(env, java, v))


@scenario(timeout_s=240)
async def test_hivemq_3_1_1(env):
    await hivemq(env, "3.1.1")


@scenario(timeout_s=240)
async def test_hivemq_5(env):
    await hivemq(env, "5")


async def rumqttc(env, version):
    program = built() / "rust" / "target" / "release" / "agent"
    await matrix.run(env, version, lambda v: Agent.start(env, [program], v))


@scenario(timeout_s=240)
async def test_rumqttc_3_1_1(env):
    await rumqttc(env, "3.1.1")


@scenario(timeout_s=240)
async def test_rumqttc_5(env):
    await rumqttc(env, "5")

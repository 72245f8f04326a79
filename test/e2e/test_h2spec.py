"""What h2spec has to say of the broker's HTTP/2: all of its cases, in the clear and by TLS."""

import asyncio
import os
import pathlib
import xml.etree.ElementTree

from cluster import metric
from scenario import scenario

CASES = 145
FAILING = {
    # h2o 2.2.5 takes it; the broker then answers 404, as to any path that it does not have
    "http2/8.1.2.3: Sends a HEADERS frame with empty \":path\" pseudo-header field",
}


async def program():
    """Where it is; ./dev test has built it."""
    path = os.environ.get("TEST_H2SPEC")
    if path:
        return path
    setup = pathlib.Path(__file__).parent.parent / "h2spec" / "setup.sh"
    process = await asyncio.create_subprocess_exec(str(setup), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, "h2spec can't be built"
    return out.decode().strip()


def judged(report):
    """(cases, those that failed)"""
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    failed = {f"{c.get('package')}: {c.get('classname')}" for c in cases
              if c.find("failure") is not None or c.find("error") is not None}
    assert not any(c.find("skipped") is not None for c in cases)
    return len(cases), failed


@scenario(timeout_s=300)
async def test_h2spec(env):
    env.check_leftovers = False  # each broker has ended by then
    h2spec = await program()
    for tls in (False, True):
        stack = await env.stack(start=False, sidecars=0, tls=tls,
                                broker={"auth": {"tokens-file": None, "token-file": None}})
        await stack.start()
        report = env.folder / f"h2spec-{tls}.xml"
        process = await asyncio.create_subprocess_exec(
            h2spec, "-h", "127.0.0.1", "-p", str(stack.broker_port), "-P", "/v1/trust/bundle",
            "-o", "10", "-j", str(report), *(["-t", "-k"] if tls else []),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        out, _ = await process.communicate()
        cases, failed = judged(report)
        assert cases == CASES, (cases, out.decode()[-2000:])
        assert failed == FAILING, (tls, failed ^ FAILING)
        assert stack.broker.running() and await metric(stack.broker, "sqmqos_links") == 0
        await stack.stop()

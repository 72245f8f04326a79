"""What the programs' /metrics say: formats, histograms, declared queues."""

import asyncio
import http.client
import re
import subprocess

from cluster import metrics
from injector import Injector


def families(text):
    """{family: (type, unit, [line])} of an exposition; no family comes twice, and each line
    stands below its family's head."""
    found, name = {}, None
    for line in text.splitlines():
        word = line.split(" ", 3)
        if word[:2] == ["#", "HELP"]:
            name = word[2]
            assert name not in found, f"{name} has two heads"
            found[name] = [None, None, []]
        elif word[0] == "#" and word[1] in ("TYPE", "UNIT"):
            assert word[2] == name, line
            found[name][0 if word[1] == "TYPE" else 1] = word[3]
        elif line != "# EOF":
            found[name][2].append(line)
    return found


def check_histogram(name, lines):
    """Bounds rise, counts do not fall, and the last is that of all."""
    bounds = [re.fullmatch(name + r'_bucket\{le="([^"]+)"\} (\d+)', line) for line in lines[:-2]]
    assert all(bounds) and bounds[-1][1] == "+Inf", lines
    for at in (lambda m: float(m[1]), lambda m: int(m[2])):
        assert sorted(bounds, key=at) == bounds, lines
    assert re.fullmatch(name + r"_sum \d+\.\d+", lines[-2]), lines
    assert lines[-1] == f"{name}_count {bounds[-1][2]}"


async def test_openmetrics_is_what_who_asks_for_it_gets(env):
    stack = await env.stack(sidecars=1)
    injector = Injector(env)
    await injector.start()
    prometheus = ("application/openmetrics-text;version=1.0.0,"
                  "application/openmetrics-text;version=0.0.1;q=0.75,"
                  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    for program in (*stack.programs, injector.program):
        kind, text = await asyncio.to_thread(scrape, program, None)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        plain = families(text)
        kind, text = await asyncio.to_thread(scrape, program, prometheus)
        assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
        assert len(families(text)) == len(plain) > 10, program.name
        for (name, (sort, unit, lines)), was in zip(families(text).items(), plain):
            assert was == name + ("_total" if sort == "counter" else ""), (was, name)
            ends = name.rsplit("_", 1)[-1]
            assert unit == (ends if ends in ("seconds", "bytes") else None), (name, unit)
            if sort == "histogram":
                check_histogram(name, lines)
            for line in lines if sort != "histogram" else []:
                assert re.split(r"[{ ]", line)[0] == was, line
        build = plain["sqmqos_build_info"]
        version = subprocess.run([program.argv[0], "--version"], capture_output=True, text=True,
                                 check=True).stdout.split()[-1]
        assert build[0] == "gauge" and f'version="{version}"' in build[2][0], build
        assert build[2][0].endswith("} 1") and f'program="{program.kind}"' in build[2][0]


def scrape(program, accept):
    """(content type, text)"""
    connection = http.client.HTTPConnection("127.0.0.1", program.admin_port, timeout=5)
    connection.request("GET", "/metrics", headers={"accept": accept} if accept else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.getheader("content-type"), text


def histogram(found, name):
    """[count of each bucket, upwards], of what metrics() has; not those of the buckets below."""
    rising = [v for k, v in found.items() if k.startswith(name + "_bucket{")]
    assert rising and rising[-1] == found[name + "_count"], name
    return [v - below for v, below in zip(rising, [0, *rising])]


async def test_commits_are_counted_with_their_time(env):
    broker = {"engine": "embedded", "store": {"journal-size": "8Mi", "max-size": "64Mi"}}
    stack = await env.stack(sidecars=1, broker=broker)
    away = await env.connect(stack.ports[0], "away", clean=False, props={"session_expiry": 3600})
    await away.subscribe(("kept/#", 1))
    for n in range(10):
        assert await away.publish("kept/x", b"%d" % n, 1) == 0
    found = await metrics(stack.broker)
    name, commits = "sqmqos_store_commit_seconds", found["sqmqos_store_commits_total"]
    assert commits >= 10, "each publish had one of its own"
    assert sum(histogram(found, name)) >= commits
    assert 0 < found[name + "_sum"] < 60

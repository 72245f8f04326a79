"""What the programs' /metrics say: formats, histograms, declared queues."""

import asyncio
import http.client
import json
import re
import shutil
import subprocess

import yaml

import chart
import promql
import pushing
import stack as parts
from annotations import AnnotationsFile
from cluster import eventually, metrics
from injector import Injector
from prometheus import Prometheus
from scenario import Skip, scenario

# A pod that has gone has left soon.
SOON = {"session": {"grace": "1s"}}
TO_END = "sqmqos_message_end_to_end_seconds"
QUEUED = "sqmqos_message_queue_seconds"


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


async def counted(stack, name, n):
    """The histogram once it has counted 'n', as metrics() has it."""
    async def has():
        found = await metrics(stack.broker)
        return found if found[name + "_count"] >= n else None
    found = await eventually(has, f"{name} counts {n}")
    assert found[name + "_count"] == n
    return found


async def test_times_of_messages_are_counted(env):
    """Of each delivery once: in its queue, and until it is acknowledged, where it is."""
    stack = await env.stack(sidecars=1)
    app = await env.connect(stack.ports[0], "app")
    await app.subscribe(("t/#", 2))
    for qos in (0, 1, 2):
        for n in range(5):
            await app.publish(f"t/{qos}", b"%d" % n, qos)
    await app.receive_all(15)
    found = await counted(stack, TO_END, 10)
    assert sum(histogram(found, TO_END)) == 10
    found = await counted(stack, QUEUED, 15)
    assert sum(histogram(found, QUEUED)) == 15


async def test_what_waits_is_counted_with_its_time(env):
    """In the queue until it is handed out, and to the end until it is acknowledged."""
    stack = await declared_stack(env, ["crew"])
    publisher = await env.connect(stack.ports[1], "publisher")
    assert await publisher.publish("crew/x", b"1", 1) == 0
    await old(stack, "crew")
    assert (await metrics(stack.broker))[TO_END + "_count"] == 0, "nobody has it"
    app = await env.connect(stack.ports[0], "app", ack="none")
    m = await app.receive()
    found = await counted(stack, QUEUED, 1)
    assert found[QUEUED + "_sum"] >= 1
    assert found[TO_END + "_count"] == 0, "it is not acknowledged"
    app.send_ack(4, m.packet_id)
    assert (await counted(stack, TO_END, 1))[TO_END + "_sum"] >= found[QUEUED + "_sum"]


async def declared_stack(env, groups, **broker):
    """A workload with a declared queue for each of the groups, and no app."""
    file = AnnotationsFile(env.folder / "pod").write(entries(groups))
    return await env.stack(annotations=[file.path, None], broker=SOON | broker)


def entries(groups):
    return "".join(f"- {{filter: {g}/#, qos: 1, group: {g}, expiry: 1s}}\n" for g in groups)


async def declared(stack, what):
    """{group: value} of sqmqos_declared_queue_..."""
    row = re.compile(rf'sqmqos_declared_queue_{what}\{{queue="(?:declared~.*~)?(\w+)"\}}')
    found = await metrics(stack.broker)
    return {m[1]: value for m, value in ((row.fullmatch(k), v) for k, v in found.items()) if m}


async def become(stack, what, wanted):
    async def are():
        return await declared(stack, what) == wanted
    await eventually(are, f"the declared queues' {what} is {wanted}")


async def old(stack, group):
    """Until the age of what waits is seen."""
    async def is_old():
        return (await declared(stack, "age_seconds")).get(group, 0) >= 1
    await eventually(is_old, f"what waits in {group} has an age")


async def leaves(env, stack):
    """The pod does not come back, so the usual check can't be made."""
    env.check_leftovers = False
    await stack.end(stack.sidecars[0])
    await become(stack, "depth", {})
    assert (await metrics(stack.broker))["sqmqos_queued_messages"] == 0


async def test_declared_queues_come_and_go(env):
    stack = await declared_stack(env, ["one", "two"])
    publisher = await env.connect(stack.ports[1], "publisher")
    await become(stack, "depth", {"one": 0, "two": 0})
    for n in range(3):
        assert await publisher.publish("one/x", b"%d" % n, 1) == 0
    await become(stack, "depth", {"one": 3, "two": 0})
    await old(stack, "one")
    assert (await declared(stack, "age_seconds"))["two"] == 0
    app = await env.connect(stack.ports[0], "app")
    await app.receive_all(3)
    await become(stack, "depth", {"one": 0, "two": 0})
    await become(stack, "age_seconds", {"one": 0, "two": 0})
    await become(stack, "members", {"one": 1, "two": 1})
    await app.disconnect()
    await leaves(env, stack)


async def test_declared_queues_by_name_are_bounded(env):
    """The others are one, whose depth is theirs together."""
    stack = await declared_stack(env, ["one", "two", "three", "four"], metrics={"queues": 2})
    publisher = await env.connect(stack.ports[1], "publisher")
    for group in ("one", "two", "three", "four"):
        assert await publisher.publish(group + "/x", b"", 1) == 0

    async def shown():
        found = await declared(stack, "depth")
        return found if len(found) == 3 and found.get("other") == 2 else None
    found = await eventually(shown, "two queues have names, and the others two messages")
    named = set(found) - {"other"}
    assert [found[g] for g in named] == [1, 1]
    app = await env.connect(stack.ports[0], "app")
    await app.receive_all(4)
    await become(stack, "depth", dict.fromkeys(found, 0))
    await app.disconnect()
    await leaves(env, stack)


async def test_no_queue_needs_a_name(env):
    stack = await declared_stack(env, ["one"], metrics={"queues": 0})
    await become(stack, "members", {"other": 0})


# ---- what the chart makes of them

FILES = chart.CHART / "files"
# Of the scrape, not of a program.
SCRAPED = {"namespace", "pod"}


def alerts():
    return [rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
            for rule in group["rules"]]


def panels():
    """(title, query, legend) of each target of the dashboard, Grafana's variables with a value."""
    board = json.loads((FILES / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", ".*")
            yield panel["title"], query, target["legendFormat"]


async def known(env):
    """{metric: its labels} of all programs."""
    folder = pushing.declare(env, q={"bindings": [{"filter": "q/#"}], "push": {"url": "http://127.0.0.1:9/"}})
    bridges = env.folder / "bridges"
    bridges.mkdir()
    for name in ("user", "password"):
        (env.folder / name).write_text("x")
        (env.folder / name).chmod(0o600)
    (bridges / "b.yaml").write_text(json.dumps({"bridges": {"b": {
        "space": "default", "kind": "amqp", "url": ["amqp://127.0.0.1:9/x"],
        "credentials": {"user-file": str(env.folder / "user"), "password-file": str(env.folder / "password")},
        "out": [{"filter": "b/#", "to": {"exchange": "x"}}], "in": [{"queue": "q", "to": "b2"}]}}}))
    stack = await declared_stack(env, ["one"], subscribers={"dir": str(folder)}, push=pushing.LOCAL,
                                 bridges={"dir": str(bridges)})
    await become(stack, "depth", {"one": 0})
    injector = Injector(env)
    await injector.start()
    # One of several brokers says it of a log that is not there, too.
    parts.write_token(env.folder / "token")
    tree = parts.config("broker", env.folder, listen=parts.free_port(), admin=parts.free_port(), tls=False)
    one = parts.Program("broker", "one-of-several", env.folder, stack.build, parts.merge(tree, {
        "log": {"kind": "postgres", "postgres": {"hosts": [f"127.0.0.1:{parts.free_port()}"]}}}))
    one.start()
    await eventually(lambda: one.get("/metrics")[0] == 200, "its metrics are there")
    found = {}
    for program in (*stack.programs, injector.program, one):
        for line in (await asyncio.to_thread(scrape, program, None))[1].splitlines():
            if not line.startswith("#"):
                labels = found.setdefault(re.match(r"\w+", line)[0], set())
                labels |= set(re.findall(r'[{,](\w+)="', line))
    assert one.stop() == 0
    return found


async def test_queries_that_cannot_be_read_are_found(_env):
    good = promql.Query('sum by (a, le) (rate(m{b="x",c!~"y"}[5m])) > 0.5 and on (d) n == 1')
    assert good.uses == {"m": {"b", "c"}, "n": set()} and good.labels == {"a", "le", "d"}
    for bad in ("sum(m", "m)", "m{a}", 'm{a="x}', "rate(m)", "m[5m]", "sum by a (m)", "m m", "m >", "",
                "histogram_quantile(m)", "'m'", "median(m)"):
        try:
            promql.Query(bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was read")


async def test_alerts_and_dashboard_ask_for_what_there_is(env):
    metrics_known = await known(env)
    rules, board = alerts(), list(panels())
    assert len(rules) > 15 and len(board) > 20
    for what, text in [(r["alert"], r["expr"]) for r in rules] + [b[:2] for b in board]:
        try:
            query = promql.Query(text)
        except ValueError as e:
            raise AssertionError(f"{what}: {text}: {e}") from e
        assert query.uses, f"{what} asks for nothing"
        for name, labels in query.uses.items():
            assert name in metrics_known, f"{what}: no program has {name}"
            assert labels <= metrics_known[name] | SCRAPED, f"{what}: {name} has no {labels}"
        some = SCRAPED.union(*(metrics_known[n] for n in query.uses))
        assert query.labels <= some, f"{what}: none has {query.labels - some}"
    for rule in rules:
        some = SCRAPED.union(*(metrics_known[n] for n in promql.Query(rule["expr"]).uses))
        asked = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert asked <= some, rule["alert"]
    for title, text, legend in board:
        some = SCRAPED.union(*(metrics_known[n] for n in promql.Query(text).uses))
        assert set(re.findall(r"{{(\w+)}}", legend)) <= some, title


async def test_each_alert_has_its_lines_in_the_runbook(_env):
    """Its meaning, a first command, and what to do then; and no other has."""
    page = (parts.ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert list(sections) == [r["alert"] for r in alerts()]
    for name, text in sections.items():
        assert re.fullmatch(r"\n\S.*\n\n```sh\n[^\n]+\n```\n\n\S.*\n\n?", text), name
    for rule in alerts():
        assert rule["annotations"]["runbook_url"] == f"RUNBOOK#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")


async def test_promtool_takes_the_rules(_env):
    if not shutil.which("promtool"):
        raise Skip("there is no promtool; ./dev test installs Debian's package prometheus, which has it")
    done = await asyncio.to_thread(subprocess.run, ["promtool", "check", "rules", FILES / "alerts.yaml"],
                                   capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@scenario(timeout_s=120)
async def test_a_real_prometheus_takes_all_that_the_chart_asks(env):
    """It scrapes the programs, evaluates each alert, and answers each query of the dashboard."""
    stack = await declared_stack(env, ["one"])
    await become(stack, "depth", {"one": 0})
    prometheus = await Prometheus(env, stack.programs, FILES / "alerts.yaml").start()

    async def evaluated():
        groups = (await prometheus.get("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None
    rules = await eventually(evaluated, "each alert is evaluated", 30)
    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in alerts()]
    assert not [rule for rule in rules if rule["health"] != "ok"], rules
    for title, text, _ in panels():
        answer = await prometheus.get("query", query=text)
        assert answer["resultType"] in ("vector", "scalar"), title
    builds = (await prometheus.get("query", query="sqmqos_build_info"))["result"]
    assert len(builds) == len(stack.programs)
    depth, = (await prometheus.get("query", query="sqmqos_declared_queue_depth"))["result"]
    assert depth["value"][1] == "0"

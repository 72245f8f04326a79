"""The load generator against a plain mosquitto: what it says about a broker
that does well, and that it notices one that doesn't."""

import asyncio
import json
import sys

import clients
import mqtt
import stack as parts
from cluster import eventually
from scenario import scenario


async def mosquitto(env, *lines):
    port = parts.free_port()
    path = env.folder / "mosquitto.conf"
    path.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true",
                               "set_tcp_nodelay true", *lines, ""]))
    await clients.start(env, "mosquitto", "-c", path)
    await eventually(lambda: parts.port_error(port) is not None, "mosquitto listens")
    return port


UNLIMITED = ("max_queued_messages 0", "max_inflight_messages 0")


async def generate(env, port, *flags):
    """(exit code, JSON object or None, standard error)"""
    program = clients.ROOT / "build" / env.settings.build / "sqmqos-bench"
    process = await asyncio.create_subprocess_exec(
        str(program), "--json", "--pub", f"127.0.0.1:{port}", *map(str, flags),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    env.processes.append(process)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, json.loads(out) if out else None, err.decode()


async def test_generator_counts_every_message_once(env):
    port = await mosquitto(env, *UNLIMITED)
    shapes = ((("-P", 3, "-S", 3), 3), (("-P", 1, "-S", 5, "-t", "fanout"), 5),
              (("-P", 5, "-S", 2, "-t", "fanin"), 10), (("-P", 4, "-S", 3, "--shared", "g"), 4))
    for qos in (0, 1, 2):
        for version in (3, 5):
            for flags, deliveries in shapes:
                code, result, _ = await generate(
                    env, port, *flags, "-q", qos, "--mqtt", version, "-n", 300, "-w", 20)
                assert code == 0, result
                assert result["delivered"] == result["received_total"] == 300 * deliveries
                assert result["latency_us"]["n"] == 300 * deliveries
                for wrong in ("lost", "duplicates", "reordered", "unacked", "foreign"):
                    assert result[wrong] == 0, (wrong, result)
                if qos > 0:
                    assert result["acked"] == result["ack_us"]["n"] == result["sent_total"]


async def test_generator_keeps_the_schedule_of_an_open_loop(env):
    port = await mosquitto(env, *UNLIMITED)
    code, result, _ = await generate(
        env, port, "-P", 2, "-S", 2, "-q", 1, "-r", 2000, "-n", 500, "-s", 1000)
    assert code == 0, result
    assert result["sent"] == 1000 and result["late_us"]["n"] == 1000
    assert 0.49 <= result["seconds"], result


async def test_generator_carries_payloads_larger_than_its_reads(env):
    port = await mosquitto(env, *UNLIMITED)
    code, result, _ = await generate(env, port, "-q", 2, "-n", 8, "-w", 4, "-s", 3 << 20)
    assert code == 0, result
    assert result["delivered"] == 8


async def test_generator_fails_when_a_broker_drops_messages(env):
    port = await mosquitto(env, "max_queued_messages 1", "max_inflight_messages 1")
    code, result, _ = await generate(
        env, port, "-P", 5, "-S", 1, "-t", "fanin", "-q", 1, "-n", 500, "-w", 100, "--drain", 3)
    assert code == 1, result
    assert not result["ok"] and result["lost"] > 0


async def test_generator_says_when_there_is_no_broker(env):
    port = parts.free_port()
    code, result, words = await generate(env, port, "-n", 1)
    assert (code, result) == (3, None)
    assert "Connection refused" in words


async def test_generator_holds_idle_clients(env):
    port = await mosquitto(env, *UNLIMITED)
    code, result, _ = await generate(env, port, "--idle", 300, "--hold", 0, "--subscribe")
    assert (code, result["ready"]) == (0, 300)


async def answer_subscribes(reader, writer, together, seen, code=1):
    """A broker that answers SUBSCRIBEs when so many are there; adds the ids of each lot."""
    unanswered, data = [], b""
    while chunk := await reader.read(65536):
        data += chunk
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            kind, body, data = data[0] >> 4, data[2:2 + data[1]], data[2 + data[1]:]
            if kind == 1:
                writer.write(mqtt.packet(2, b"\0\0\0"))
            elif kind == 8:
                unanswered.append(body[:2])
        if len(unanswered) >= together:
            seen.append(unanswered)
            for packet_id in reversed(unanswered):
                writer.write(mqtt.packet(9, packet_id + bytes([0, code])))
            unanswered = []
    writer.close()


async def test_generator_subscribes_with_as_many_unanswered_as_it_was_told(env):
    for window in (1, 3):
        seen = []
        server = await asyncio.start_server(
            lambda r, w: answer_subscribes(r, w, window, seen), "127.0.0.1", 0)
        async with server:
            code, result, words = await generate(
                env, server.sockets[0].getsockname()[1], "--filters", 12, "-q", 1, "-w", window)
        assert code == 0, words
        assert [len(lot) for lot in seen] == [window] * (12 // window)
        assert len({i for lot in seen for i in lot}) == 12
        assert result["filters"] == result["ack_us"]["n"] == 12 and result["seconds"] > 0


async def test_generator_subscribes_to_more_filters_than_there_are_packet_ids(env):
    port = await mosquitto(env, *UNLIMITED)
    code, result, words = await generate(env, port, "--filters", 66000, "-w", 65535)
    assert code == 0, words
    assert result["ack_us"]["n"] == 66000


async def test_generator_fails_when_a_subscription_is_refused(env):
    server = await asyncio.start_server(
        lambda r, w: answer_subscribes(r, w, 1, [], code=0x87), "127.0.0.1", 0)
    async with server:
        code, result, words = await generate(
            env, server.sockets[0].getsockname()[1], "--filters", 5)
    assert (code, result) == (3, None)
    assert "SUBACK 0x87" in words


async def test_pairs_are_judged_by_their_median_and_spread(_env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import pairs
    cpu = pairs.Figure("CPU", 3, True, None)
    speed = pairs.Figure("speed", 15, False, None)
    even = [0.99, 1.01] * 4 + [1.0]
    for figure, ratios, want in (
            (cpu, even, "within 3 %"),
            (cpu, [r * 1.04 for r in even], "worse"),
            (cpu, [r * 0.9 for r in even], "better"),
            (cpu, [0.9, 1.1] * 4 + [1.0], "not decided"),
            (cpu, even[:5], "not decided"),       # too few
            (cpu, even[:7] + [2.0, 0.1], "within 3 %"),  # one bad pair at either end
            (speed, [r * 0.8 for r in even], "worse"),
            (speed, [r * 1.2 for r in even], "better"),
            (speed, [r * 0.9 for r in even], "within 15 %")):
        assert pairs.verdict(figure, ratios) == want, (figure, ratios)


async def test_the_spread_is_that_of_the_median(_env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import pairs
    # Order statistics of the binomial distribution, as in tables of them.
    assert [pairs.rank(n) for n in (5, 6, 8, 9, 11, 12, 15, 17, 20, 25)] == [
        0, 1, 1, 2, 2, 3, 4, 5, 6, 8]
    ratios = [1 + n / 100 for n in range(9)]
    assert abs(pairs.spread(ratios) - 50 * 0.06 / 1.04) < 1e-9
    assert pairs.summary({"a": "better", "b": "within 3 %"}) == "None of the 2 figures is worse"
    assert pairs.summary({"a": "worse", "b": "within 3 %", "c": "not decided", "d": "worse"}) == (
        "worse: a, d. not decided: c")


async def test_what_is_compared_includes_subscribing(_env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import measures
    import pairs
    runs = {r.key: r for r in measures.runs()}
    assert set(pairs.RUNS) <= set(runs)
    figures = {f.title: f for key in pairs.RUNS for f in pairs.figures(runs[key])}
    one = figures["subscribing to 10,000 filters one by one"]
    assert one.lower_is_better and one.percent == 15 and one.value({"seconds": 2.5}) == 2.5
    assert runs["subscribe-1"].args[:4] == ("--filters", "10000", "--window", "1")
    assert {f.percent for t, f in figures.items() if "CPU per message" in t} == {3}


@scenario(timeout_s=120)
async def test_our_programs_are_measured_beside_others(env):
    build = clients.ROOT / "build" / "release"
    output = await clients.run(env, sys.executable, clients.ROOT / "bench" / "run.py", "--against",
                               build, "--pairs", 1, "--seconds", 0.1, "--runs",
                               "1-1-q1,subscribe-100")
    assert "CPU per message" in output and "subscribing to 10,000 filters" in output, output
    assert output.count("not decided") == 4, output


async def test_parts_of_a_page_stay_when_others_are_written(env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import table
    page = env.folder / "page.md"
    table.write_head(page, "# Page\n\nfirst\n")
    assert page.read_text() == "# Page\n\nfirst\n"
    for text in ("one", "two"):
        table.write_part(page, "## Part", f"## Part\n\n{text}\n")
        assert page.read_text() == f"# Page\n\nfirst\n\n## Part\n\n{text}\n"
    table.write_part(page, "## Other", "## Other\n")
    table.write_head(page, "# Page\n\nsecond\n")
    assert page.read_text() == "# Page\n\nsecond\n\n## Part\n\ntwo\n\n## Other\n"


async def test_the_bench_of_the_cluster_says_how_it_is_used(env):
    output = await clients.run(env, sys.executable, clients.ROOT / "bench" / "run.py", "--k8s",
                               "--help")
    assert "--rounds" in output and "./dev cluster up" in output, output


async def test_bridges_are_judged_beside_bare_loops_of_their_own_round(env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import bridges
    part = bridges.Amqp(None, None, env.folder)
    for bare, ours in ((1000, 900), (500, 300), (2000, 1700)):  # 0.9, 0.6, 0.85: the median is 0.85
        part.add("bare-out-quorum", {"rate": bare, "cpu": 5.0})
        part.add("out-quorum", {"rate": ours, "cpu": 9.0})
    row = part.row("out", "out-quorum", "bare-out-quorum", part=bridges.PART)
    assert row == ("| out | 900 msg/s, 9.0 µs of CPU each | 1,000 msg/s, 5.0 µs of CPU each; 0.85 × of it | ≥ 0.8 × | yes |")
    row = part.row("in", "out-quorum", "bare-out-quorum", least=bridges.LEAST_IN)
    assert row.endswith("| ≥ 25,000/s | no |"), row
    assert part.row("in", "out-quorum", None) == "| in | 900 msg/s, 9.0 µs of CPU each |  | | |"


async def test_the_bench_of_bridges_says_how_it_is_used(env):
    output = await clients.run(env, sys.executable, clients.ROOT / "bench" / "run.py", "--bridges", "--help")
    assert "--kinds" in output, output


async def scale(env, *words):
    """What the bench of scale has found, with few sessions."""
    found = env.folder / "found.json"
    output = await clients.run(
        env, sys.executable, clients.ROOT / "bench" / "run.py", "--scale", "--build",
        clients.ROOT / "build" / env.settings.build, "--dir", env.folder, "--json", found, "--settle", 0, *words)
    return json.loads(found.read_text()), output


@scenario(timeout_s=240)
async def test_many_sessions_on_many_links_come_back_when_the_broker_is_killed(env):
    found, output = await scale(env, "--parts", "transient,durable", "--tls", "--sessions", 200, "--links", 4,
                                "--rate", 200, "--seconds", 1)
    assert found["failures"] == []
    for kind in ("transient", "durable"):
        f = found[kind]
        assert (f["sent"], f["duplicates"]) == (200, 0) and f["ack_us"]["n"] == 200, f
        assert f["unlinked"] == 200 and f["told"] == 0, f
    assert found["durable"]["lost"] == 0
    assert "| killed: all back and publishing after, s |" in output


@scenario(timeout_s=240)
async def test_clients_of_one_sidecar_stay_when_the_broker_is_killed(env):
    found, output = await scale(env, "--parts", "router,clients", "--subscriptions", 1000, "--clients", 40,
                                "--client-rate", 80, "--seconds", 1)
    assert found["failures"] == []
    assert found["clients"]["lost"] == 0 and found["clients"]["sent"] > 0
    assert {r["levels"] for r in found["router"]} == {2, 4, 6, 8, 16, 32}
    assert all(r["matched"] >= 1 for r in found["router"] if not r["kind"].startswith("mix")), found["router"]
    assert "## Subscriptions" in output and "## Clients of one sidecar" in output


async def test_sessions_on_links_say_when_a_client_would_be_told(env):
    stack = await env.stack(sidecars=1, tls=False, broker={"limits": {"max-sessions": 30, "spaces": 1}})
    links = await asyncio.create_subprocess_exec(
        clients.ROOT / "build" / env.settings.build / "bench" / "bench_links", "--links", "2", "--sessions", "40", "--",
        "--config", stack.sidecars[0].config_path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=parts.clean_environment())
    env.processes.append(links)

    async def answer(command=b""):
        links.stdin.write(command)
        return json.loads(await asyncio.wait_for(links.stdout.readline(), 30))
    assert (await answer())["phase"] == "linked"
    attached = await answer(b"attach\n")
    assert (attached["attached"], attached["gone"], attached["told"]) == (30, 10, 10), attached
    round_ = await answer(b"round\n")
    assert (round_["sent"], round_["acked"], round_["told"]) == (30, 30, 0), round_
    assert round_["unmatched"] == 30 - round_["arrived"] > 0, round_
    links.stdin.close()
    assert await asyncio.wait_for(links.wait(), 30) == 0


async def test_commands_of_the_pages_on_scale_are_understood(_env):
    sys.path.insert(0, str(clients.ROOT / "bench"))
    import scale as bench
    commands = [line.split()[2:] for page in ("scaling", "benchmarks-scale")
                for line in (clients.ROOT / "docs" / f"{page}.md").read_text().splitlines()
                if line.startswith("    ./dev bench ")]
    assert len(commands) >= 2
    for words in commands:
        assert bench.parse(words).scale, words

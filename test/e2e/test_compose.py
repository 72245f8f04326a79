"""deploy/compose.yaml: that it is one, that all it names is there, and that its services, run here
as it says, bring messages from the one app to the other."""

import asyncio
import json
import os
import pathlib
import re
import shutil
import subprocess

import stack as parts
import yaml
from compose import OURS, Compose, run
from example_apps import libraries
from image import PROGRAMS, version
from scenario import Skip, scenario

DEPLOY = parts.ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
APPS = {"shop", "worker"}
THEIRS = {"prometheus", "grafana"}


def tree():
    return yaml.safe_load(FILE.read_text())


async def test_compose_takes_the_file(env):
    """docker compose, or docker-compose, which does not know the key 'name'."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True,
                      check=False).returncode == 0:
        argv, text = ["docker", "compose"], FILE.read_text()
    elif shutil.which("docker-compose"):
        argv, text = ["docker-compose"], re.sub(r"(?m)^name:.*\n", "", FILE.read_text())
    else:
        raise Skip("neither docker compose nor docker-compose is here")
    folder = env.folder / "deploy"
    folder.mkdir()
    (folder / "compose.yaml").write_text(text)
    said = run(*argv, "-f", folder / "compose.yaml", "config")
    assert set(yaml.safe_load(said)["services"]) == set(tree()["services"])


async def test_what_it_names_is_there(_env):
    whole = tree()
    used = set()
    for name, service in whole["services"].items():
        image = service["image"]
        ours = OURS.match(image)
        if ours:
            assert image == f"sqmqos/{ours[1]}:{version()}" and ours[1] in PROGRAMS, image
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        else:
            assert re.search(r":v?\d", image), f"{image} has no version"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is for other machines, too"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), (name, source)
            else:
                used.add(source)
        assert name == "prepare" or name in APPS or service["healthcheck"]["test"][0] == "CMD"
        for other in service.get("depends_on", {}):
            assert other in whole["services"], (name, other)
    assert used == set(whole["volumes"])


async def test_prometheus_and_grafana_find_what_they_are_told(_env):
    services = tree()["services"]
    folder = DEPLOY / "compose"
    scraped = {}
    for job in yaml.safe_load((folder / "prometheus.yaml").read_text())["scrape_configs"]:
        for group in job["static_configs"]:
            assert set(group["labels"]) == {"namespace", "pod"}, "as on Kubernetes"
            scraped |= {target.split(":")[0]: target.split(":")[1] for target in group["targets"]}
    assert set(scraped) == {n for n, s in services.items() if OURS.match(s["image"])}
    for name, port in scraped.items():
        config, = (v.split(":")[0] for v in services[name]["volumes"] if "/config/" in v)
        listen = yaml.safe_load((DEPLOY / config).read_text())["admin"]["listen"]
        assert listen == f"*:{port}", (name, listen)
    source, = yaml.safe_load((folder / "grafana/datasources.yaml").read_text())["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    provider, = yaml.safe_load((folder / "grafana/dashboards.yaml").read_text())["providers"]
    mounted = dict(v.split(":")[1::-1] for v in services["grafana"]["volumes"])
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert pathlib.PurePath(home).parent == pathlib.PurePath(provider["options"]["path"])
    dashboard = json.loads((DEPLOY / mounted[home]).read_text())
    variable, = (v for v in dashboard["templating"]["list"] if v["type"] == "datasource")
    assert variable["query"] == source["type"], "its only one is chosen"


def tools(folder):
    """A folder with pip, which has nothing to do, and the python that has the libraries."""
    python = libraries() / "python" / "bin" / "python"
    folder.mkdir()
    for name, text in (("pip", "exit 0"), ("python", f'exec "{python}" "$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


@scenario(build="release")
async def test_messages_come(env):
    """Certificates and tokens as it makes them, TLS between its services, its user and files."""
    if not shutil.which("nsenter") or not (parts.ROOT / "build/release/sqmqos-broker").exists():
        raise Skip("needs nsenter and build/release")
    whole = tree()
    for app in APPS:  # the libraries may be where only root looks
        whole["services"][app].pop("user", None)
    compose = Compose(env, whole, DEPLOY, str(tools(env.folder / "tools")))
    try:
        compose.connect()
        await compose.up("worker", "shop")
        shop, worker = compose.running["shop"], compose.running["worker"]
        await shop.says(r"orders/\d+-2: stored")
        await worker.says(r"orders/\d+-1: 1\.90")
        await worker.says(r"orders/\d+-2: 2\.90")
        await shop.says(r"orders/\d+-2: acknowledged")
        broker = "\n".join(compose.running["broker"].lines)
        assert "TLS" in broker and "auth.tokens-file" in broker, broker
        for name in ("broker", "shop-sidecar", "worker-sidecar"):  # as Prometheus asks
            said = await asyncio.to_thread(
                run, *compose.networks["prometheus"].enter, "curl", "-fsS",
                f"http://{compose.addresses[name]}:9090/metrics")
            assert "sqmqos_build_info{" in said, name
        secrets = compose.folder / "volumes"
        assert {p.name for p in (secrets / "broker-secrets").iterdir()} == \
            {"broker.key", "broker.pem", "tokens"}
        assert {p.name for p in (secrets / "shop-secrets").iterdir()} == {"ca.pem", "token"}
        for path in secrets.glob("*-secrets/*"):
            assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (65532, 0), path
    finally:
        await compose.down()


@scenario(timeout_s=600)
async def test_an_engine_runs_it(_env):
    """With an engine and images: all services come up healthy."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0 or \
            subprocess.run(["docker", "compose", "version"], capture_output=True,
                           check=False).returncode != 0:
        raise Skip("no docker engine with compose is here")
    if subprocess.run(["docker", "image", "inspect", f"sqmqos/broker:{version()}"],
                      capture_output=True, check=False).returncode != 0:
        raise Skip("the engine has no images: ./dev image --engine docker")
    argv = ["docker", "compose", "-p", f"sqmqos-test-{os.getpid()}", "-f", FILE]
    try:
        await asyncio.to_thread(run, *argv, "up", "-d", "--wait")
        for _ in range(60):
            said = await asyncio.to_thread(run, *argv, "logs", "worker")
            if re.search(r"orders/\d+-2: 2\.90", said):
                return
            await asyncio.sleep(1)
        raise AssertionError(said)
    finally:
        await asyncio.to_thread(run, *argv, "down", "-v", "--timeout", "5")

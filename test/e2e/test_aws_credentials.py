"""Credentials for AWS from who gives them there: STS, a container's agent, an instance's metadata; and requests
that are signed with them, by the rules of AWS as written down a second time."""

import asyncio
import subprocess

import stack as parts
from aws_identity import AGENT, KEYS, ROLE, TOKEN, AwsIdentity
from cluster import eventually

ARN = "arn:aws:iam::123456789012:role/other"


class Driver:
    """cred_driver (test/support/cred_driver.c), whose environment is that."""

    def __init__(self, env, identity, *words, **variables):
        build = parts.ROOT / "build" / env.settings.build
        self.log = env.folder / f"driver-{id(self)}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [build / "test" / "cred_driver", identity.url, *map(str, words)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=parts.in_child,
                env=parts.clean_environment() | {"AWS_ENDPOINT_URL_STS": identity.url} |
                {name: str(value) for name, value in variables.items()})

    def ask(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline().rstrip("\n")
        assert line, f"the driver ended: {self.child.wait()}"
        return line

    def key(self):
        said = self.ask("get").split(" ", 1)
        return said[1] if said[0] == "OK" else None

    async def has(self, key_id, timeout_s=30):
        await eventually(lambda: self.key() == (key_id() if callable(key_id) else key_id),
                         "the key is that one", timeout_s)

    def signs(self):
        assert self.ask("sign") == "200"

    def end(self):
        """Ends it; what it has logged, in which no secret is."""
        self.child.stdin.close()
        assert self.child.wait(30) == 0
        return self.log.read_text()


def started(env, **settings):
    made = AwsIdentity(**settings)

    async def end():
        try:
            await asyncio.Event().wait()
        finally:
            made.close()
    env.spawn(end())
    return made


def silent_about(log, identity):
    for keys in identity.given:
        assert keys.secret not in log and (keys.token or "-none-") not in log, log
    assert identity.identity not in log, log


async def test_a_web_identity_signs_and_is_renewed(env):
    identity = started(env, life_s=24)
    token = env.folder / "identity"
    token.write_text(identity.identity + "\n")
    driver = Driver(env, identity, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ARN)
    await driver.has("ASIAIDENTITY1")
    driver.signs()
    identity.identity = "another-identity"
    fresh = env.folder / "fresh"
    fresh.write_text(identity.identity)
    fresh.rename(token)
    await driver.has("ASIAIDENTITY2")  # with half of its time left
    assert identity.given[0].alive
    driver.signs()
    log = driver.end()
    silent_about(log, identity)
    assert log.count("\n") == 1, log  # they are there; renewed as it should be is nothing to say


async def test_who_gives_none_is_said_once_and_asked_again(env):
    identity = started(env)
    identity.fails = {"identity"}
    token = env.folder / "identity"
    token.write_text(identity.identity)
    driver = Driver(env, identity, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ARN)
    await eventually(lambda: len(identity.got) >= 3, "it is asked again")
    assert "STS: HTTP 500" in driver.ask("get")
    identity.fails = set()
    await driver.has("ASIAIDENTITY1")
    driver.signs()
    log = driver.end().splitlines()
    assert len(log) == 2 and "STS: HTTP 500" in log[0] and "are there" in log[1], log


async def test_a_role_is_assumed_with_keys_of_files(env):
    identity = started(env)
    identity.fixed("AKIAFIRST", "first/secret+")
    files = [env.folder / name for name in ("id", "secret")]

    def put(*texts):
        for path, text in zip(files, texts):
            path.write_text(text + "\n")
            path.chmod(0o640)
    put("AKIAFIRST", "first/secret+")
    driver = Driver(env, identity, ARN, *files)
    await driver.has("ASIAROLE1")
    driver.signs()
    put("AKIAFIRST", "not-its-secret")  # a second key of no use: what there is goes on
    await eventually(lambda: len(identity.got) >= 3, "it is tried")
    assert driver.key() == "ASIAROLE1"
    identity.fixed("AKIASECOND", "second=")
    put("AKIASECOND", "second=")
    await driver.has(lambda: identity.of("role")[-1].id if len(identity.of("role")) > 1 else None)
    driver.signs()
    log = driver.end()
    silent_about(log, identity)
    assert "SignatureDoesNotMatch" in log and "those that are there are used until" in log, log


async def test_a_container_asks_its_agent_and_assumes_a_role_with_what_it_gets(env):
    identity = started(env)
    identity.auth = "container-token"
    token = env.folder / "auth"
    token.write_text(identity.auth)
    variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": identity.url.replace("127.0.0.1", "localhost") + AGENT,
                 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token}
    driver = Driver(env, identity, **variables)
    await driver.has("ASIAAGENT1")
    driver.signs()
    silent_about(driver.end(), identity)
    driver = Driver(env, identity, ARN, **variables)
    await driver.has("ASIAROLE3")
    driver.signs()
    driver.end()


async def test_an_instance_is_asked_by_version_2_alone(env):
    identity = started(env)
    driver = Driver(env, identity, AWS_EC2_METADATA_SERVICE_ENDPOINT=identity.url + "/")
    await driver.has("ASIAINSTANCE1")
    assert [(g.method, g.path) for g in identity.asked] == [("PUT", TOKEN), ("GET", KEYS), ("GET", KEYS + ROLE)]
    driver.signs()
    silent_about(driver.end(), identity)
    identity.asked.clear()
    identity.fails = {"instance"}
    driver = Driver(env, identity, AWS_EC2_METADATA_SERVICE_ENDPOINT=identity.url)
    await eventually(lambda: len(identity.asked) >= 2, "it is asked again")
    assert {(g.method, g.path) for g in identity.asked} == {("PUT", TOKEN)}
    assert "NONE" in driver.ask("get")
    driver.end()

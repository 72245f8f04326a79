"""Push: subscribers that hang, whose name hangs, and that fail are at the cost of nobody else."""

import asyncio
import collections
import pathlib
import re
import sys
import threading
import types

import jwt
import stack as parts
from api import Api
from cluster import descriptors, eventually, metric
from pushing import BROKER, QUICK, RULES, SPACE, declare, pushed, resolver, settled
from scenario import scenario
from sink import Sink

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_signed_tokens import ApiServer, open_link  # noqa: E402

GOOD, NAMED = 17, 4  # subscribers that are well; so many of them have names of their own
AT_A_TIME, WELL = 20, 2  # requests of a bad one, and of a good one
FIRST, N = 40, 60  # messages that the bad ones alone have first, then of all, twice
GROWTH = 4 << 20
SLOW = "slow.example"
OUT = "sqmqos_out_connections"


def at(host, sink, path, **settings):
    return pushed(types.SimpleNamespace(url=f"http://{host}:{sink.port}"), path, **settings)


class Cast:
    """20 subscribers of "jobs/#": GOOD that are well, and one that hangs, one whose name does, and one that
    answers 500, all until 'go'."""

    def __init__(self):
        self.go = threading.Event()
        self.good, self.late = Sink(), Sink()
        self.stuck = Sink(lambda got: 200 if self.go.wait() else 0)
        self.failing = Sink(lambda got: 200 if self.go.is_set() else 500)

    def queues(self):
        both = {"bindings": [{"filter": f, "qos": 1} for f in ("first/#", "jobs/#")]}
        bad = {"queue": both, "timeout": "10m", "concurrency": AT_A_TIME, "retry": QUICK | {"attempts": 1000}}
        found = {f"good-{i}": at(f"good-{i}.example" if i < NAMED else "127.0.0.1", self.good, f"/{i}",
                                 concurrency=WELL) for i in range(GOOD)}
        return found | {
            "stuck": at("127.0.0.1", self.stuck, "/", **bad),
            "slow": at(SLOW, self.late, "/", **bad),
            "failing": at("127.0.0.1", self.failing, "/", **bad, breaker={"failures": 5, "probe": "1h", "max": "1d"})}

    @staticmethod
    def names(slow):
        return " ".join([f"{SLOW}={slow}", *(f"good-{i}.example=127.0.0.1" for i in range(NAMED))])

    def close(self):
        self.go.set()
        for sink in (self.good, self.late, self.stuck, self.failing):
            sink.close()


class Issuer:
    """An issuer of tokens whose server is looked up by a name, and is not there at first."""

    def __init__(self, env):
        folder = env.folder / "issuer"
        folder.mkdir()
        parts.write_certificates(folder)
        self.key = jwt.Key(folder, "k")
        self.server = ApiServer(folder, jwt.key_set(self.key))
        self.settings = {"issuer": jwt.ISSUER, "ca-file": str(folder / "ca.pem"),
                         "keys-url": f"https://localhost:{self.server.port}/openid/v1/jwks"}

    async def lets_in(self, stack):
        link, status = await open_link(stack, self.key.sign(jwt.pod_claims()))
        await link.close()
        return status == 200


async def publish(client, topic, n, first=0):
    for i in range(first, first + n):
        assert await client.publish(topic, b"%d" % i, qos=1) == 0


def bodies(first, n):
    return {b"%d" % i for i in range(first, first + n)}


def threads(program):
    return int(re.search(r"Threads:\s+(\d+)", pathlib.Path(f"/proc/{program.pid}/status").read_text())[1])


def anonymous(program):
    text = pathlib.Path(f"/proc/{program.pid}/smaps_rollup").read_text()
    return int(re.search(r"Anonymous:\s+(\d+) kB", text)[1]) * 1024


async def all_bad(cast, api):
    """Each of the three is as bad as it can be."""
    async def told(name):
        found = (await api.ask("GET", f"/v1/queues/{name}", None, {"sqmqos-space": SPACE})).json
        return found["counts"]["leased"], found["push"]["state"]

    async def bad():
        slow, failing = await told("slow"), await told("failing")
        return cast.stuck.busy == AT_A_TIME and failing[1] == "open" \
            and (slow[0] == AT_A_TIME or slow[1] != "ok")  # the latter where this has taken long
    await eventually(bad, "one hangs, one's name hangs, one has failed too often")


async def each_once(cast, n):
    """Each good one gets each message, once, at the first attempt."""
    await eventually(lambda: len(cast.good.got) >= GOOD * n, "the good ones get all", 60)
    found = collections.Counter((got.path, got.body, got.attempt) for got in cast.good.got)
    assert found == {(f"/{i}", body, 1): 1 for i in range(GOOD) for body in bodies(FIRST, n)}


@scenario(build="release", timeout_s=180)
async def test_three_bad_ones_are_at_nobody_elses_cost(env):
    cast, issuer = Cast(), Issuer(env)
    local = [{"host": host, "cidr": "127.0.0.0/8"} for host in ("127.0.0.1", "*.example")]
    stack = await env.stack(start=False, tls=False, sidecars=1, broker=BROKER | {
        "push": {"allow": local}, "acl": RULES, "auth": {"issuers": [issuer.settings]}})
    stack.broker.tree["subscribers"] = {"dir": str(declare(env, **cast.queues()))}
    stack.broker.environment |= {"LD_PRELOAD": resolver(env.folder), "NAMES": cast.names("hang")}
    await stack.start()
    api, client = Api(stack, tls=False), await env.connect(stack.ports[0], "publisher")
    await publish(client, "first/1", FIRST)
    await all_bad(cast, api)
    assert not cast.good.got

    await publish(client, "jobs/1", N, FIRST)
    await each_once(cast, N)
    at_first = threads(stack.broker), anonymous(stack.broker)
    issuer.server.start()
    await eventually(lambda: issuer.lets_in(stack), "keys are fetched by a name", 30, 0.1)
    issuer.server.stop()
    await publish(client, "jobs/1", N, FIRST + N)
    await each_once(cast, 2 * N)

    await all_bad(cast, api)
    assert cast.stuck.busiest == len(cast.stuck.got) == AT_A_TIME and not cast.late.got
    assert len(cast.failing.got) < 5 + AT_A_TIME
    most = 2 * AT_A_TIME + GOOD * WELL + 1  # the last: the keys' server
    assert await metric(stack.broker, OUT) <= most
    assert descriptors(stack.broker) <= stack.descriptors["broker"] + most + 2
    await eventually(lambda: threads(stack.broker) <= at_first[0], "threads are as many as before")
    assert anonymous(stack.broker) <= at_first[1] + GROWTH

    # Neither the requests nor the lookup come to an end; the broker does.
    assert await asyncio.to_thread(stack.broker.stop, 30) == 0
    cast.go.set()
    stack.broker.environment["NAMES"] = cast.names("127.0.0.1")
    await stack.restart(stack.broker)
    await settled(stack)
    for sink, times in ((cast.late, 1), (cast.stuck, 2), (cast.failing, 5 + AT_A_TIME)):
        found = collections.Counter(sink.bodies)
        assert found.keys() == bodies(0, FIRST + 2 * N) and max(found.values()) <= times, found
    await each_once(cast, 2 * N)
    cast.close()

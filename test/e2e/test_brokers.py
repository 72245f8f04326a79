"""Three brokers on one log in PostgreSQL: one of them owns it, and when that one is gone the next
goes on. What was acknowledged is there, and no app's connection ends."""

import asyncio
import http.client
import signal

import brokers
import stack as parts
import view
from annotations import AnnotationsFile
from api import VERSIONS, Api
from cluster import eventually, metric
from flow import DURABLE, Traffic, keep_connected
from scenario import scenario

RUNS = {"tls": False, "sidecar": {"pool": {"backoff-min": "20ms", "backoff-max": "200ms"}}}
AWAY_S = 5  # longer than it takes to believe that an owner is gone


async def with_traffic(env, **options):
    """Brokers, and traffic whose connections are the same at the end."""
    stack = await brokers.on_postgres(env, **RUNS | options)
    traffic = await Traffic().start(env, stack)
    await traffic.more(20)
    traffic.connection = traffic.subscriber.connection
    return stack, traffic


async def standby(stack):
    """The broker where each sidecar waits for it to own, over a connection that is kept."""
    followers = await stack.followers()

    async def waited_at():
        for b in followers:
            if await metric(b, "sqmqos_links_to_come") == len(stack.sidecars):
                return b
        return None
    return await eventually(waited_at, "the sidecars wait at the standby")


def came_by_it(stack):
    """Links of each sidecar that came up over the connection to the standby."""
    return [stack.log(s).count("#0 link up") for s in stack.sidecars]


async def goes_over(stack, traffic, ends):
    """The owner ends, and its standby goes on: the first links there need no dial. Who claims first
    is chance, to a small part."""
    was, then, before = await stack.owner(), await standby(stack), came_by_it(stack)
    await ends(was)
    now = await stack.owner(was)
    await traffic.more(20)
    assert now is not then or came_by_it(stack) == [n + 1 for n in before]
    return was, now, now is then


async def finish(traffic):
    """Nothing is lost, nothing of QoS 2 doubled, and nobody was disconnected."""
    await traffic.more(20)
    await traffic.finish()
    assert traffic.subscriber.connection is traffic.connection, "the subscriber was disconnected"


@scenario(timeout_s=90)
async def test_the_owner_is_killed_and_the_next_goes_on(env):
    stack, traffic = await with_traffic(env)
    expected = []
    for _ in range(2):
        was, now, by_standby = await goes_over(stack, traffic, stack.kill)
        expected.append(by_standby)
        was.start()
        await stack.ready()
        assert (await asyncio.to_thread(was.says))[0] == brokers.FOLLOWER
        assert await stack.owner() is now
    assert any(expected), "the standby was never the first to claim"
    await finish(traffic)


def publish_at(broker, token):
    """What a broker answers over HTTP/1.1: (status, owner, whether it ends the connection)."""
    client = http.client.HTTPConnection(broker.tree["listen"]["advertise"], timeout=5)
    try:
        client.request("POST", "/v1/publish/aside", b"it", {
            "authorization": f"bearer {token}", "sqmqos-space": "default"})
        answer = client.getresponse()
        return answer.status, answer.getheader("sqmqos-owner"), answer.getheader("connection") == "close"
    finally:
        client.close()


@scenario(timeout_s=90)
async def test_an_owner_that_ends_leaves_the_log_to_the_next(env):
    stack, traffic = await with_traffic(env)
    was, now, _ = await goes_over(stack, traffic, stack.yields)
    assert was.process.returncode == 0
    # nobody had to believe that it is gone: it said so
    assert await metric(now, "sqmqos_log_epoch") == 2
    was.start()
    await stack.ready()
    await stack.role(was, brokers.FOLLOWER)
    token = (stack.folder / "token").read_text().strip()
    said = await asyncio.to_thread(publish_at, was, token)
    assert said == (503, now.tree["listen"]["advertise"], True), said
    said = await asyncio.to_thread(publish_at, now, token)
    assert said[0] < 300 and not said[2], said
    await finish(traffic)


async def dies_at(stack, traffic, point):
    """The next owner ends itself at that point, and the one before it goes on."""
    next_one = (await stack.followers())[0]
    await stack.end(next_one)
    next_one.environment["SQMQOS_FAULT"] = point
    next_one.start()
    await stack.ready()
    was = await stack.kill_owner()
    await eventually(lambda: not next_one.running(), f"it ends at {point}", 20)
    assert next_one.process.returncode == -signal.SIGKILL
    assert stack.log(next_one).splitlines()[-1] == f"fault point {point}"
    next_one.down, next_one.process = True, None
    was.start()
    assert await stack.owner() is was
    await traffic.more(20)
    del next_one.environment["SQMQOS_FAULT"]
    next_one.start()
    await stack.ready()


@scenario(timeout_s=120)
async def test_an_owner_dies_around_a_claim_and_a_commit(env):
    """A record is in the log and nobody was told: the next owner has it, once."""
    stack, traffic = await with_traffic(env, brokers=2)
    for point in ("log-claimed:1", "log-after-append:10"):
        await dies_at(stack, traffic, point)
    await finish(traffic)


@scenario(timeout_s=90)
async def test_a_followed_address_must_have_a_certificate_of_its_name(env):
    """That of tls.server-name, else of the address's host: here the brokers name themselves by
    127.0.0.1, and have certificates of localhost, by which the sidecars have been given them."""
    stack = await brokers.on_postgres(env, start=False, sidecar={"log": {"level": "debug"}})
    parts.write_certificates(stack.folder, names="DNS:localhost")
    for sidecar in stack.sidecars:
        sidecar.tree["brokers"] = [b.tree["listen"]["advertise"].replace("127.0.0.1", "localhost")
                                   for b in stack.brokers]
        sidecar.tree["pool"] = {"brokers-allowed": ["127.0.0.1"]}
    by_name, by_host = stack.sidecars
    del by_host.tree["tls"]["server-name"]
    await stack.start()
    followers = await stack.followers()

    async def waited_at():
        return sum([await metric(b, "sqmqos_links_to_come") for b in followers]) == 1
    await eventually(waited_at, "the sidecar with a server-name waits at the standby")

    def refused():
        return any("#0 standby: " in line and "certificate" in line
                   for line in stack.log(by_host).splitlines())
    await eventually(refused, "the other one trusts no broker of that address")
    was = await stack.kill_owner()
    await stack.owner(was)

    async def back():
        return min([await metric(sidecar, "sqmqos_links") for sidecar in stack.sidecars]) >= 2
    await eventually(back, "the links of both are back, of one at an address that it was given")
    assert "#0 link up" not in stack.log(by_host)
    was.start()
    await stack.ready()


class ApiAt(Api):
    """The API of one broker, each at a host of its own and all at one port, by the name that their
    certificate has."""

    def __init__(self, stack, broker, version="2"):
        host, _, port = broker.tree["http"]["listen"].rpartition(":")
        super().__init__(stack, version, port=port)
        self.url, self.resolve = f"https://localhost:{port}", f"localhost:{port}:{host}"

    def argv(self, method, path, headers, more):
        return super().argv(method, path, headers, ["--resolve", self.resolve, *more])


async def publishes_and_pulls(api, text):
    """A long body, too."""
    for body in (text, text * 20000):
        await api.publish("jobs/it", body)
        answer = await api.ask("POST", "/v1/queues/jobs/receive?raw&wait=10s&ack=receive", b"")
        assert answer.status == 200 and answer.body == body, (answer.status, answer.headers)


@scenario(timeout_s=90)
async def test_the_api_at_a_broker_that_follows_is_the_owners(env):
    stack = await brokers.on_postgres(env, start=False, brokers=2, sidecars=0, broker={
        "acl": [{"allow": ["consume", "manage"], "queues": ["*"]}]})
    port = parts.free_port()
    for i, b in enumerate(stack.brokers):
        address = f"127.0.0.{i + 2}"
        link = b.tree["listen"]["address"].replace("127.0.0.1", address)
        b.tree["listen"] = {"address": link, "advertise": link}
        b.tree["http"] = {"listen": f"{address}:{port}"}
    await stack.start()
    was = await stack.owner()
    follower = (await stack.followers())[0]
    api = ApiAt(stack, follower)

    async def passes():
        answer = await api.ask("GET", "/v1/queues", headers={"sqmqos-space": "default"})
        return answer.status == 200
    await eventually(passes, "the follower passes on")
    answer = await api.ask("PUT", "/v1/queues/jobs", b'{"bindings": [{"filter": "jobs/#", "qos": 2}]}')
    assert answer.status == 201, answer
    for version in VERSIONS:
        await publishes_and_pulls(ApiAt(stack, follower, version), f"by {version} ".encode())
    await eventually(lambda: metric_is(follower, "sqmqos_http_passed_connections", 0), "none is left")
    # The next owner answers itself, and the one that was passes on when it is back.
    await stack.kill(was)
    assert await stack.owner(was) is follower
    await eventually(passes, "the next owner answers")
    await publishes_and_pulls(api, b"itself ")
    was.start()
    await stack.ready()
    await stack.role(was, brokers.FOLLOWER)
    api = ApiAt(stack, was)
    await eventually(passes, "the one that was passes on")
    await publishes_and_pulls(api, b"back ")


async def metric_is(program, name, value):
    return await metric(program, name) == value


@scenario(timeout_s=90)
async def test_the_view_at_a_broker_that_follows_is_the_owners(env):
    stack = await brokers.on_postgres(env, brokers=2, sidecars=1, broker={
        "acl": [{"allow": ["operate", "manage"]}]}, **RUNS)
    for name in ("seen", "gone"):
        await env.connect(stack.ports[0], name, props=DURABLE)
    was, (follower,) = await stack.owner(), await stack.followers()
    token = {"authorization": f"bearer {(stack.folder / 'token').read_text().strip()}"}

    def asks(headers=None, **how):
        return view.ask(follower, headers=headers, **how)
    answer = await asyncio.to_thread(asks, token, path="/sessions", name="default~demo~seen")
    assert answer.status == 200, answer.text
    assert [row["client"] for row in answer.body["rows"]] == ["seen"], answer.text
    answer = await asyncio.to_thread(asks, token, path="/backlog", space="default", name="a/b c")
    assert answer.status == 404, answer.text  # the owner's word
    for session, status in (("default~demo~nobody", 404), ("default~demo~gone", 200)):
        answer = await asyncio.to_thread(view.do, follower, "sessions/remove", {"session": session}, headers=token)
        assert answer.status == status, answer.text
    # What has no credential is not passed on: the owner would take it for this broker's.
    answer = await asyncio.to_thread(asks, path="/sessions")
    assert answer.status == 503 and f"127.0.0.1:{was.admin_port}" in answer.detail, answer.text
    answer = await asyncio.to_thread(asks, {"authorization": "bearer none"}, path="/sessions")
    assert answer.status == 401, answer.text
    answer = await asyncio.to_thread(asks, token | {"sqmqos-hop": "1"}, path="/sessions")
    assert answer.status == 503 and answer.headers["retry-after"] == "1", answer.text
    await stack.kill(was)
    await stack.owner(was)

    async def itself():
        answer = await asyncio.to_thread(asks, path="/sessions", name="default~demo~seen")
        return answer.status == 200 and answer.body["rows"]
    await eventually(itself, "the next owner answers")
    was.start()
    await stack.ready()


@scenario(timeout_s=90)
async def test_an_owner_is_ready_once_it_serves(env):
    stack, traffic = await with_traffic(env, brokers=2)
    (slow,) = await stack.followers()
    await stack.end(slow)
    slow.environment["SQMQOS_FAULT"] = "broker-owns:1:hang"
    slow.start()
    await stack.ready()
    was = await stack.kill_owner()
    await stack.role(slow, brokers.OWNER)
    ready, why = await asyncio.to_thread(slow.ready)
    assert not ready and "its sessions are being loaded" in why, why
    await stack.kill(slow)
    was.start()
    assert await stack.owner() is was
    del slow.environment["SQMQOS_FAULT"]
    slow.start()
    await stack.ready()
    await finish(traffic)


@scenario(timeout_s=90)
async def test_an_owner_that_wakes_behind_a_claim_is_fenced(env):
    stack, traffic = await with_traffic(env)
    was = await stack.owner()
    was.signal(signal.SIGSTOP)
    try:
        now = await stack.owner(was)
        await traffic.more(20)
    finally:
        was.signal(signal.SIGCONT)
    await stack.fenced(was, 0)
    await stack.ready()
    await stack.role(was, brokers.FOLLOWER)
    assert await stack.owner() is now
    await finish(traffic)


@scenario(timeout_s=90)
async def test_the_primary_is_killed_and_the_standby_promoted(env):
    stack, traffic = await with_traffic(env)
    was, pg = await stack.owner(), stack.database

    def fail_over():
        pg.primary.kill()
        pg.promote(alone=False)
        pg.rejoin(pg.standby)
    await asyncio.to_thread(fail_over)
    await traffic.more(20)
    assert await stack.owner() is was
    assert all(b.restarts == 0 for b in stack.brokers)
    await finish(traffic)


@scenario(timeout_s=90)
async def test_links_stay_where_the_owner_claims_again(env):
    """An owner whose call was not answered claims again, and followers name it under the same epoch: a
    higher one would be another owner's, and each link be given up."""
    stack, traffic = await with_traffic(env)
    owner = await stack.owner()

    async def claims():
        return await metric(owner, 'sqmqos_log_claims_total{outcome="again"}')

    async def claimed_again():
        return await claims() > claimed

    async def followed():
        return all([await metric(b, "sqmqos_log_lsn") >= lsn for b in await stack.followers()])
    await standby(stack)  # where a question waits for another owner
    claimed = await claims()
    await asyncio.to_thread(
        stack.database.primary.sql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE application_name = 'sqmqos-broker/{owner.id}'")
    await eventually(claimed_again, "it claims again")
    await traffic.more(20)
    lsn = await metric(owner, "sqmqos_log_lsn")
    await traffic.more(20)
    await eventually(followed, "the followers have seen what was written since")
    assert {(await asyncio.to_thread(b.says))[1] for b in stack.brokers} == {1}
    await finish(traffic)
    assert [await metric(s, "sqmqos_links_lost_total") for s in stack.sidecars] == [0, 0]
    assert await standby(stack) is not owner


async def all_wait(stack, traffic, servers, seconds):
    """Nothing is acknowledged while these of the database's stand still, and nobody changes roles."""
    was = await stack.owner()
    for server in servers:
        server.stop()
    try:
        async def said():
            return not await metric(was, "sqmqos_log_up")
        await eventually(said, "the owner says that the log is away")
        before = {p: set(n) for p, n in traffic.ledger.acked.items()}
        await asyncio.sleep(seconds)
        assert {p: set(n) for p, n in traffic.ledger.acked.items()} == before
        for b in stack.brokers:  # else the Service would have no broker
            assert (await asyncio.to_thread(b.ready))[0], b.id
    finally:
        for server in servers:
            server.cont()
    await traffic.more(20)
    assert await stack.owner() is was
    assert await metric(was, "sqmqos_log_epoch") == 1
    assert all(b.restarts == 0 for b in stack.brokers)


@scenario(timeout_s=90)
async def test_while_the_database_is_away_all_wait(env):
    stack, traffic = await with_traffic(env)
    await all_wait(stack, traffic, stack.database.servers, AWAY_S)
    await finish(traffic)


@scenario(timeout_s=90)
async def test_while_the_standby_stands_still_all_wait(env):
    """Reads are answered and show no sign of life, as no commit ends: a claim would have to, too."""
    stack, traffic = await with_traffic(env)
    await all_wait(stack, traffic, [stack.database.standby], 2 * AWAY_S)
    await finish(traffic)


@scenario(timeout_s=120)
async def test_a_directory_is_a_cache(env):
    stack, traffic = await with_traffic(env)
    for victim in await stack.followers():  # one behind the other, so that each owns without its own
        await stack.kill(victim)
        victim.remove_store()
        victim.start()
    await stack.ready()
    was = await stack.kill_owner()
    was.remove_store()
    await stack.owner(was)
    was.start()
    await traffic.more(20)
    await stack.ready()
    for b in stack.brokers:  # and all at once
        await stack.kill(b)
        b.remove_store()
    for b in stack.brokers:
        b.start()
    await stack.owner()
    await stack.ready()
    await finish(traffic)


@scenario(timeout_s=90)
async def test_apps_that_connect_again_at_that_moment(env):
    """QoS 2 is exactly once for the durable ones, too."""
    stack, traffic = await with_traffic(env)
    for p in traffic.publishers:
        env.spawn(keep_connected(p.client, stack.ports[0], DURABLE if "durable" in p.topic else None))
    was = await stack.owner()
    for p in traffic.publishers:
        p.client.abort()
    await stack.kill(was)
    for p in traffic.publishers:
        await eventually(lambda p=p: p.client.connected, "it is connected again")
        p.client.abort()
    traffic.subscriber.abort()
    await stack.owner(was)
    await traffic.more(20)
    was.start()
    await stack.ready()
    await traffic.more(20)
    await traffic.finish(came_again=True)


JOBS = "- filter: jobs\n  max-attempts: 1\n"
KEYED = {"user": [("sqmqos-qos", "3"), ("sqmqos-key", "once")]}


@scenario(timeout_s=90)
async def test_all_that_is_kept_is_at_the_next_owner(env):
    file = AnnotationsFile(env.folder / "pod").write(JOBS)
    stack = await brokers.on_postgres(env, annotations=[file.path, None], **RUNS)
    a, b = stack.ports
    publisher = await env.connect(b, "publisher", props=DURABLE)
    asleep = [await env.connect(b, f"asleep-{i}", props=DURABLE) for i in range(3)]
    await asleep[0].subscribe(("mail/#", 2), ("later", 2))
    for member in asleep[1:]:
        await member.subscribe(("$share/crew/mail/#", 2))
    for client in asleep:
        await client.disconnect()
    app = await env.connect(a, "app", ack="none")
    await publisher.publish("jobs", b"dies", 1)
    await app.receive()
    app.abort()
    assert await publisher.publish("state", b"kept", 1, retain=True) in (0, 0x10)
    for i in range(4):
        assert await publisher.publish(f"mail/{i}", b"%d" % i, 2) == 0
    assert await publisher.publish("mail/k", b"once", 2, props=KEYED) == 0
    assert await publisher.publish("later", b"late", 1, props={"user": [("sqmqos-delay", "5")]}) == 0

    was = await stack.kill_owner()
    await stack.owner(was)
    assert await publisher.publish("mail/k", b"once", 2, props=KEYED) == 0
    one = asleep[0]
    assert (await one.connect(b, clean=False, props=DURABLE)).session_present
    got = [m.payload for m in await one.receive_all(6)]
    assert got == [b"0", b"1", b"2", b"3", b"once", b"late"], got
    shared = []
    for member in asleep[1:]:
        member.on_message = lambda m: shared.append(m.payload)
        assert (await member.connect(b, clean=False, props=DURABLE)).session_present
    await eventually(lambda: len(shared) >= 5, "the group has all")
    assert sorted(shared) == [b"0", b"1", b"2", b"3", b"once"], shared
    late = await env.connect(b, "late")
    await late.subscribe(("state", 1), ("$dead/#", 1))
    found = {m.topic: m.payload for m in await late.receive_all(2)}
    assert found == {"state": b"kept", "$dead/jobs": b"dies"}, found
    assert not one.inbox and len(shared) == 5
    await publisher.publish("state", b"", 1, retain=True)
    was.start()
    await stack.ready()

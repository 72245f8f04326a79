"""Fail-overs of ./dev bench --shared: many publishers with one message in flight each, whose clients
stay connected all along, and what happens to owner and database meanwhile."""

import json
import signal
import subprocess
import threading
import time

import generator
from chains import ChainError, stack as parts
from durable_runs import DURABLE, Failed, flags
from report import say

TICK_MS = 50
WAITS_S = 0.3    # a message that is due for so long waits for the brokers
QUIET_S = 1.5    # nothing waits for so long: it is over
LATE_S = 60
PROMOTED_S = 1.0


class Load:
    """A run of the generator that tells what happens, until it is ended."""

    def __init__(self, program, chain, sessions, rate):
        half = sessions // 2
        words = flags(json=True, publishers=half, subscribers=half, rate=rate, window=1, warmup=0,
                      duration=100000, drain=30, ticks=TICK_MS, connect_rate=1500)
        for name, at in (("--pub", chain.pubs), ("--sub", chain.subs)):
            for address in at:
                words += [name, address]
        self.child = subprocess.Popen(
            [str(program), *map(str, (*DURABLE, *words))], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=parts.in_child)
        self.ticks, self.result = [], None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            found = json.loads(line)
            if "at" in found:
                self.ticks.append(found)
            else:
                self.result = found

    def check(self):
        if self.child.poll() is not None:
            self.reader.join()
            words = self.child.stderr.read().strip().splitlines()[-1:]
            raise Failed(f"the load ended: {words[0] if words else self.child.returncode}")

    def waits(self, since):
        """Whether something has waited lately."""
        lately = [t for t in self.ticks if t["at"] > max(since, time.monotonic() - QUIET_S)]
        return not lately or any(t["oldest"] > WAITS_S or t["longest"] > QUIET_S for t in lately)

    def settle(self, since, least_s=QUIET_S):
        until = time.monotonic() + LATE_S
        while time.monotonic() < since + least_s or self.waits(since):
            self.check()
            if time.monotonic() > until:
                raise Failed(f"messages still wait after {LATE_S} s: {self.ticks[-1:]}")
            time.sleep(TICK_MS / 1e3)

    def longest(self, since, before):
        """From 'since' to the moment at which everybody was acknowledged again, at least the longest
        time that one message was due, but for the 'before' seconds that it may have been due then."""
        after = [t for t in self.ticks if t["at"] > since]
        waited = [t["at"] - since for t in after if t["oldest"] > WAITS_S]
        return max([t["longest"] - before for t in after] + waited[-1:])

    def end(self):
        """Ends it in order; the generator's figures."""
        self.check()
        self.child.send_signal(signal.SIGINT)
        self.child.wait(LATE_S)
        self.reader.join()
        if not self.result or not self.result["ok"]:
            raise Failed(generator.describe(self.result) if self.result else "no result")
        return self.result

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


# Each returns when it began, and how long nothing had been acknowledged by then.

def killed(chain):
    owner = chain.owner()
    began = time.monotonic()
    owner.kill()
    return began, 0


def ended(chain):
    owner = chain.owner()
    began = time.monotonic()
    owner.stop(30)
    return began, 0


def received(server):
    return int(server.value("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"))


def promoted(chain):
    """The standby that has most; the other one follows it.  Counted from the promotion."""
    servers = chain.servers
    lost = time.monotonic()
    until = lost + PROMOTED_S
    servers.primary.kill()
    best, other = sorted(servers.servers[1:], key=received, reverse=True)
    follows = threading.Thread(target=other.follow, args=(best,))
    time.sleep(max(0, until - time.monotonic()))
    began = time.monotonic()
    follows.start()
    servers.promote(best)
    follows.join()
    return began, began - lost


KINDS = (
    # what happens, seconds that it may take, how
    ("the owner is killed", 8, killed),
    ("the owner ends (SIGTERM)", 1.5, ended),
    (f"the database's primary is killed, a standby promoted {PROMOTED_S:g} s later: from then", 1, promoted),
)


def wait_for_standbys(servers):
    """Of any of them, once it is the primary."""
    names = ", ".join(s.name for s in servers.servers)
    for standby in servers.servers[1:]:
        standby.set("synchronous_standby_names", f"ANY 1 ({names})")


def mend(chain):
    """All is as it was before."""
    chain.whole()
    for server in chain.servers.servers:
        if server.child is None:
            chain.servers.rejoin(server)
    wait_for_standbys(chain.servers)


def one(load, chain, happens):
    """Seconds of one of them, and those of the brokers' changes of roles that had no cause."""
    since = time.monotonic()
    load.settle(since)
    began, before = happens(chain)
    # What was killed is there again, as a kubelet has it.
    chain.whole()
    load.settle(began, 2 * QUIET_S)
    took = load.longest(began, before)
    mend(chain)
    return took


def run(program, chain, args):
    """{what: [seconds]}, and what was not in order."""
    times, failures = {}, []
    wait_for_standbys(chain.servers)
    load = Load(program, chain, args.sessions, args.rate)
    try:
        began = time.monotonic()
        while not load.ticks:
            load.check()
            if time.monotonic() - began > LATE_S:
                raise Failed("clients do not come up")
            time.sleep(0.1)
        for i in range(args.fail_overs):
            for name, _, happens in KINDS:
                took = one(load, chain, happens)
                times.setdefault(name, []).append(took)
                say(f"{name}: {took:.2f} s ({i + 1} of {args.fail_overs})")
        load.settle(time.monotonic())
        load.end()
    except (Failed, ChainError, AssertionError) as e:
        say(str(e))
        failures.append(f"fail-overs: {e}")
    finally:
        load.stop()
    return times, failures

"""What ./dev bench --shared measures of commits: beside the bare log, followers' lag, and segments that
begin and are dropped under load."""

import threading

import durable_runs
from durable_runs import Failed
from measures import median
from report import say
from shared_chain import Lag

SHAPES = ((1, 64), (100, 64), (100, 1024))
BARE = (256, 4096, 16384, 65536)  # bytes of a record; the first is about one message's
LARGE = 8192                      # and more: a record that has many
SEGMENT = "24Mi"                  # some seconds of load
ROLL_S, DROP_AT_S = 2.0, 1.2
QUIET, ROLLS, DROPS = "quiet", "rolls", "drops"


class Commits:
    def __init__(self, generator, chain, seconds):
        self.generator, self.chain, self.seconds = generator, chain, seconds
        self.pairs, self.bare = {}, {}  # (window, size) or size -> results
        self.means, self.lags, self.shares = [], [], []

    def round(self):
        # In a schema of its own, beside brokers that have nothing to do.
        for found in self.chain.bare("bench", self.seconds / len(BARE), *BARE):
            self.bare.setdefault(found["size"], []).append(found)
        for window, size in SHAPES:
            if (window, size) == (100, 64):
                result = self.watched(window, size)
            else:
                before = self.chain.commits()
                result = self.pair(window, size)
                after = self.chain.commits()
                if window == 1:
                    self.means.append((after["sum"] - before["sum"]) / (after["count"] - before["count"]))
            self.pairs.setdefault((window, size), []).append(result)

    def pair(self, window, size):
        return durable_runs.pair(self.generator, self.chain, window, size, self.seconds)

    def watched(self, window, size):
        before = self.chain.lsn(self.chain.owner())
        lag = Lag(self.chain)
        lag.start()
        try:
            result = self.pair(window, size)
        finally:
            self.lags += lag.lags()
        self.shares.append(self.chain.share_above(LARGE, before))
        return result

    def lag(self, q):
        return sorted(self.lags)[int(len(self.lags) * q)] if self.lags else None


class Rolls:
    """The same load again and again: in some of its runs a segment begins, in some one is dropped."""

    def __init__(self, generator, chain):
        self.generator, self.chain = generator, chain
        self.p99 = {QUIET: [], ROLLS: [], DROPS: []}
        self.gaps = {QUIET: [], ROLLS: [], DROPS: []}
        self.dropped = []  # seconds that one took

    def run(self, each):
        for _ in range(each * 10):
            if min(len(v) for v in self.p99.values()) >= each:
                return
            self.one(each)
        raise Failed("not enough segments begin")

    def one(self, each):
        before = self.chain.segments()
        old = before[1:2] and len(self.p99[DROPS]) < each  # a segment that is not the last one
        timer = threading.Timer(DROP_AT_S, self.drop, (before[1][1] - 1,)) if old else None
        if timer:
            timer.start()
        result = durable_runs.pair(self.generator, self.chain, 100, 64, ROLL_S)
        if timer:
            timer.join()
        rolled = self.chain.segments()[-1] != before[-1]
        # What is both proves nothing of either.
        kind = None if rolled and timer else ROLLS if rolled else DROPS if timer else QUIET
        say(f"{kind}: p99 {result['ack_us']['p99'] / 1e3:.1f} ms")
        if kind:
            self.p99[kind].append(result["ack_us"]["p99"])
            self.gaps[kind].append(result["longest_gap_us"])

    def drop(self, lsn):
        self.dropped.append(self.chain.drop(lsn))

    def middle(self, what, kind):
        return median(what[kind])

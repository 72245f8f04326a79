"""One client of a named queue over HTTP: it receives, and settles, and writes down what it knows. With
--to it settles each message together with a publish of the same payload: consume, transform, produce.

What it has asked for and not heard the answer of, it asks for again, word for word, also after it was
killed. Lines of its ledger (times are CLOCK_MONOTONIC in ms):

  B t pid                      a life begins
  T t from lease attempt p s n a message has come, to a request that was begun at 'from'
  W t lease p s n              about to acknowledge it
  K t lease p s n              acknowledged, and answered 200
  V t lease p s n              the lease was lost
  N t lease p s n              about to give it back
  X t words                    what may never come
  E t                          ended, with all of it answered"""

import argparse
import base64
import json
import os
import pathlib
import random
import signal
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "support")]

from libcurl import Curl, Unanswered  # noqa: E402

STREAM_QOS = (0, 1, 2, 2)
MOST = 20                # messages of a request
PAUSE_S = 0.05           # after what was not answered, or refused for now
NOT_NOW = (429, 503)
GIVEN_BACK, FORGOTTEN, REPEATED = 0.03, 0.003, 0.1  # shares


class Puller:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(f"{args.name} {os.getpid()}")
        self.curl = Curl(args.url, args.version, pathlib.Path(args.token).read_text().strip(),
                         "default", args.ca)
        self.pending = pathlib.Path(args.ledger).with_suffix(".pending")
        self.ended = False
        signal.signal(signal.SIGUSR1, self.end)
        signal.signal(signal.SIGTERM, self.end)
        self.ledger = self.open(pathlib.Path(args.ledger))

    def end(self, *_):
        self.ended = True

    @staticmethod
    def open(path):
        whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
        ledger = open(path, "a", buffering=1)
        if not whole:
            ledger.write(" torn\n")
        return ledger

    def write(self, kind, *words):
        self.ledger.write(" ".join(map(str, (kind, now_ms(), *words))) + "\n")

    def wrong(self, text):
        self.write("X", *text.split())

    def ask(self, action, what, timeout_s=10):
        return self.curl.ask("POST", f"/v1/queues/{self.args.queue}/{action}", what, timeout_s)

    # -- receive

    def receive(self):
        """[(lease, p, s, n, payload)]"""
        begun = now_ms()
        try:
            answer = self.ask("receive", {"max": self.rng.randint(1, MOST), "wait": "2s"})
        except Unanswered:
            time.sleep(PAUSE_S)
            return []
        if answer.status == 204:
            return []
        if answer.status in NOT_NOW:
            time.sleep(PAUSE_S)
            return []
        if answer.status != 200:
            self.wrong(f"receive: {answer.status} {answer.body[:300]!r}")
            time.sleep(PAUSE_S)
            return []
        return [self.taken(m, begun) for m in answer.json["messages"]]

    def taken(self, m, begun):
        payload = base64.b64decode(m["base64"]) if "base64" in m else (
            m["text"].encode() if "text" in m else json.dumps(m["json"]).encode())
        p, s, n = map(int, payload.split(b" ", 3)[:3])
        if m["topic"] != f"{self.args.root}/{p}/{s}":
            self.wrong(f"the message {p} {s} {n} has the topic {m['topic']}")
        self.write("T", begun, m["lease"], m["attempt"], p, s, n)
        return m["lease"], p, s, n, payload

    # -- settle

    def settle(self, request):
        """Asks until it is answered."""
        while True:
            try:
                answer = self.ask("settle", request)
                if answer.status not in NOT_NOW:
                    return answer
            except Unanswered:
                pass
            time.sleep(PAUSE_S)

    def request(self, messages):
        out = {"ack": [lease for lease, *_ in messages]}
        if self.args.to:
            out["publish"] = [
                {"topic": f"{self.args.to}/{p}/{s}", "qos": max(STREAM_QOS[s], 1),
                 "base64": base64.b64encode(payload).decode()} for _, p, s, _, payload in messages]
        return out

    def acknowledge(self, messages):
        request = self.request(messages)
        known = [list(m[:4]) for m in messages]
        for lease, p, s, n in known:
            self.write("W", lease, p, s, n)
        text = json.dumps([request, known])
        self.pending.with_suffix(".new").write_text(text)
        self.pending.with_suffix(".new").rename(self.pending)
        self.finish(request, known)

    def finish(self, request, known):
        answer = self.settle(request)
        lost = self.lost(answer, request)
        for lease, p, s, n in known:
            self.write("V" if lease in lost else "K", lease, p, s, n)
        if not lost and self.rng.random() < REPEATED:
            self.repeat(request)
        self.pending.unlink()

    def lost(self, answer, request):
        """The leases that it says are lost: with a publish all or none."""
        if answer.status == 200:
            return set()
        if "publish" in request:
            if answer.problem != "lease-lost" or answer.status != 409:
                self.wrong(f"settle: {answer.status} {answer.body[:300]!r}")
            return set(request["ack"])
        if answer.status == 410 and len(request["ack"]) == 1:
            return set(request["ack"])
        if answer.status != 207:
            self.wrong(f"settle: {answer.status} {answer.body[:300]!r}")
            return set(request["ack"])
        failed = answer.json["failed"]
        if any(f["type"].rpartition("/")[2] != "lease-lost" for f in failed):
            self.wrong(f"settle: {answer.body[:300]!r}")
        return {f["lease"] for f in failed}

    def repeat(self, request):
        """What is done is not done again, and answered as it was."""
        answer = self.settle(request)
        if answer.status != 200:
            self.wrong(f"repeated: {answer.status} {answer.body[:300]!r}")
        elif "publish" in request and answer.headers.get("idempotency-replayed") != "true":
            self.wrong("repeated: it was not known")

    def give_back(self, message):
        lease, p, s, n, _ = message
        self.write("N", lease, p, s, n)
        self.settle({"nack": [{"lease": lease, "untried": True}]})

    def sorted(self, messages):
        """Those to acknowledge. What is behind one of its lane that is not goes back, too: of a lane
        a request may bring several, and their order is kept by who has them."""
        kept, held = [], set()
        for m in messages:
            lane, draw = m[1:3], self.rng.random()
            if lane in held or draw < GIVEN_BACK:
                held.add(lane)
                self.give_back(m)
            elif draw < GIVEN_BACK + FORGOTTEN:
                held.add(lane)
            else:
                kept.append(m)
        return kept

    # -- life

    def run(self):
        self.write("B", os.getpid())
        if self.pending.exists():
            self.finish(*json.loads(self.pending.read_text()))
        while not self.ended:
            kept = self.sorted(self.receive())
            if kept:
                self.acknowledge(kept)
        self.write("E")


def now_ms():
    return int(time.monotonic() * 1000)


def main():
    parser = argparse.ArgumentParser()
    for name in ("name", "url", "version", "token", "queue", "ledger", "root"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--to", help="the root of the topics that it publishes to")
    Puller(parser.parse_args()).run()


if __name__ == "__main__":
    main()

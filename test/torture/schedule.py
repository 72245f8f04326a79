"""What goes wrong in a run, drawn from its seed alone."""

import dataclasses
import random

LONGEST_S = 4.0  # that anything stays stopped or frozen


@dataclasses.dataclass
class Action:
    at_s: float
    kind: str
    target: int      # index, taken modulo how many there are
    seconds: float   # until it is undone
    seed: int        # for what the action draws itself

    def __str__(self):
        return f"{self.kind} {self.target} for {self.seconds:.3f} s (seed {self.seed})"


@dataclasses.dataclass
class Kind:
    name: str
    weight: float
    least_s: float
    most_s: float
    durable: bool = False  # only where the broker keeps what it has
    layer: bool = False    # only with the write-recording layer
    disk: bool = False     # only where the store has a small disk


KINDS = (
    Kind("kill-app", 8, 0, 0.2),
    Kind("move-app", 3, 0, 0.2),  # kill, and start at the other sidecar
    Kind("stop-app", 3, 0.02, 2),
    Kind("kill-sidecar", 5, 0, 0.3),
    Kind("stop-sidecar", 2, 0.02, LONGEST_S),
    Kind("kill-broker", 4, 0, 0.3, durable=True),
    Kind("power-cut", 4, 0, 0.3, durable=True, layer=True),
    Kind("stop-broker", 2, 0.02, LONGEST_S),
    Kind("cut", 3, 0, 0),
    Kind("cut-in-frame", 2, 1, 3),
    Kind("freeze", 1, 0.05, LONGEST_S),
    Kind("delay", 1, 0.2, 3),
    Kind("disk-full", 1.5, 0.5, 8, durable=True, disk=True),
    Kind("fail-sync", 3, 0, 0, durable=True, layer=True),
)


# Of the pods that come and go, and of the queue that nobody takes from: drawn apart from the
# others, so that those stay what they were.
POD_KINDS = (
    Kind("rollout", 6, 0, LONGEST_S),
    Kind("kill-pod-app", 4, 0, 0.2),
    Kind("kill-pod-sidecar", 3, 0, 0.3),
    Kind("stop-pod-sidecar", 1, 0.02, LONGEST_S),
    Kind("cut-pods", 3, 0, 0),
    Kind("take-letters", 2, 0.1, 2),
)


# Of the apps that subscribe and unsubscribe: drawn apart, too.
TURNER_KINDS = (
    Kind("kill-turner", 4, 0, 0.2),
    Kind("move-turner", 2, 0, 0.2),
    Kind("stop-turner", 1, 0.02, 2),
)


# Of those who pull over HTTP: a cut in an answer leaves them without knowing what became of it.
PULLER_KINDS = (
    Kind("kill-puller", 4, 0, 0.2),
    Kind("stop-puller", 1, 0.02, LONGEST_S),
    Kind("cut-pulls", 2, 0, 0),
    Kind("cut-pulls-in-frame", 3, 0.5, 2),
)


# Of those who are pushed to. What a sink answers, and when it dies by itself, it draws itself.
SINK_KINDS = (
    Kind("kill-sink", 4, 0, 0.5),
    Kind("stop-sink", 2, 0.02, LONGEST_S),
    Kind("cut-pushes", 2, 0, 0),
    Kind("cut-pushes-in-frame", 3, 0.5, 2),
    Kind("declare-pushes", 1, 0, 0),
    Kind("pause-pushes", 1, 0, 2),
)


def draw_turners(seed, seconds, *, gap_s=0.25):
    return draw_apart("turners", TURNER_KINDS, seed, seconds, gap_s)


def draw_pullers(seed, seconds, *, gap_s=0.25):
    return draw_apart("pullers", PULLER_KINDS, seed, seconds, gap_s)


def draw_sinks(seed, seconds, *, gap_s=0.25):
    return draw_apart("sinks", SINK_KINDS, seed, seconds, gap_s)


def draw_apart(name, kinds, seed, seconds, gap_s):
    """Their actions, one in three times 'gap_s' on average."""
    rng = random.Random(f"{name} {seed}")
    out, at = [], rng.expovariate(1 / (3 * gap_s))
    while at < seconds:
        kind = rng.choices(kinds, [k.weight for k in kinds])[0]
        span = kind.least_s + (kind.most_s - kind.least_s) * rng.random() ** 3
        out.append(Action(at, kind.name, rng.randrange(1000), span, rng.randrange(1 << 32)))
        at += rng.expovariate(1 / (3 * gap_s))
    return out


def draw_pods(seed, seconds, *, gap_s=0.25):
    """Their actions: each kind once, and one of them in twice 'gap_s' on average."""
    rng = random.Random(f"pods {seed}")

    def one(kind, at_s):
        span = kind.least_s + (kind.most_s - kind.least_s) * rng.random() ** 3
        return Action(at_s, kind.name, rng.randrange(1000), span, rng.randrange(1 << 32))
    out = [one(kind, seconds * rng.uniform(0.1, 0.9)) for kind in POD_KINDS]
    at = rng.expovariate(1 / (2 * gap_s))
    while at < seconds:
        out.append(one(rng.choices(POD_KINDS, [k.weight for k in POD_KINDS])[0], at))
        at += rng.expovariate(1 / (2 * gap_s))
    return sorted(out, key=lambda action: action.at_s)


def draw_backups(seed, seconds):
    """Backups of the store while things go wrong; one in four is killed."""
    rng = random.Random(f"backups {seed}")
    n = max(2, round(seconds / 10))
    out = []
    for i in range(n):
        kind = "kill-backup" if rng.random() < 0.25 else "backup"
        at = seconds * (0.2 + 0.75 * (i + rng.random()) / n)
        out.append(Action(at, kind, 0, rng.random() ** 2, rng.randrange(1 << 32)))
    return out


def draw(seed, seconds, *, durable, layer, disk, gap_s=0.25):
    """The actions of 'seconds', one in 'gap_s' on average. Which kinds are possible
    does not change when something happens, nor what of the rest."""
    rng = random.Random(f"torture {seed}")
    out, at = [], 0.0
    while True:
        at += rng.expovariate(1 / gap_s)
        if at >= seconds:
            return out
        kind = rng.choices(KINDS, [k.weight for k in KINDS])[0]
        # most are short, some are long
        span = kind.least_s + (kind.most_s - kind.least_s) * rng.random() ** 3
        action = Action(at, kind.name, rng.randrange(1000), span, rng.randrange(1 << 32))
        if (durable or not kind.durable) and (layer or not kind.layer) and (disk or not kind.disk):
            out.append(action)

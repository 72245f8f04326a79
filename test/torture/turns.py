"""Apps that subscribe and unsubscribe while they publish, each to its own messages and some
to another's."""

import intervals
import world as worlds

ROOT = "turns"
OUTBOX = 2  # the sidecar with an outbox on disk
PER_S = 6  # SUBSCRIBEs and UNSUBSCRIBEs, about

# number, sidecar, MQTT version, transient, whose messages
APPS = (
    (31, 0, 5, False, (31, 32)),
    (32, 1, 4, False, (32, 31)),
    (33, 0, 5, True, (33, 31)),
    (34, 1, 4, True, (34,)),
    (35, OUTBOX, 5, False, (35,)),  # through the outbox on disk
)


class Turns:
    def __init__(self, world):
        self.world = world
        self.apps = [self.make(*row) for row in APPS]

    def make(self, number, sidecar, version, transient, filters):
        options = []
        for other in filters:
            options += ("--turn", f"{ROOT}/{other}/#")
        return worlds.App(self.world, f"turner-{number}", "pub", sidecar, "--number", number,
                          "--root", ROOT, "--rate", max(self.world.rate // 4, 1), "--qos", 2,
                          "--turns", PER_S, "--linger", number % 2 * 5,
                          "--max-size", self.world.max_size, *options,
                          version=version, transient=transient)

    def start(self):
        for app in self.apps:
            app.start()

    def signal(self, number):
        for app in self.apps:
            app.signal(number)

    def rest(self):
        """Whether all they have asked for is answered, after SIGUSR2."""
        return all(last_kind(app.ledger, "F") for app in self.apps)

    def read(self):
        return [intervals.read(
            intervals.Turner(app.name, number, list(filters), transient,
                             self.world.small_disk and (version == 4 or sidecar == OUTBOX),
                             self.world.small_disk, sidecar == OUTBOX), app.ledger)
                for app, (number, sidecar, version, transient, filters) in zip(self.apps, APPS)]

    def complete(self):
        return intervals.complete(self.read())

    def check(self, turners, finished):
        return intervals.check(turners, self.world.broker_deaths_ms, finished)


def last_kind(path, kind, most=65536):
    """Whether one of the last lines of a ledger is of that kind."""
    if not path.exists():
        return False
    with open(path, "rb") as f:
        f.seek(max(0, path.stat().st_size - most))
        return any(line.startswith(kind.encode()) for line in f.read().split(b"\n")[1:])

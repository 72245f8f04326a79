"""What a benchmark says while it runs, beside its table."""

import sys


def interrupt(number, _frame):
    """A handler of SIGTERM, which ends a benchmark as Ctrl-C does."""
    raise KeyboardInterrupt(number)


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)

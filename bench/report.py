"""What a benchmark says while it runs, beside its table."""

import sys


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)

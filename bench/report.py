"""What a benchmark says while it runs, beside its table."""

import sys


def interrupt(number, _frame):
    """A handler of SIGTERM, which ends a benchmark as Ctrl-C does."""
    raise KeyboardInterrupt(number)


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def command_line(argv):
    """The command of a page, as anybody would give it: without this machine's paths."""
    words, path = ["./dev", "bench"], None
    for word in argv:
        words.append(path or word)
        path = {"--against": "OLD", "--dir": "DIR", "--build": "DIR"}.get(word)
    return " ".join(words)

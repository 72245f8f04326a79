"""What a sidecar needs that does nothing, as there is one in each pod: pages of its own, which the
kernel counts for each process by itself."""

import collections
import pathlib
import re

from scenario import scenario

MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)")
# As Debian 12 with OpenSSL 3.0 has it; of this 392 kB are libcrypto's own relocations.
MOST_KB = {False: 864, True: 1368}
STACK_KB = 20       # what a start has touched of it stays for good
PROGRAM_KB = 28     # tables with pointers are written at the start


def anonymous(program):
    """What it has in pages of its own: kB by file, "[heap]", "[stack]", "" for the rest."""
    found = collections.Counter()
    for line in pathlib.Path(f"/proc/{program.pid}/smaps").read_text().splitlines():
        head = MAPPING.fullmatch(line)
        if head:
            name = pathlib.PurePath(head[1]).name
        elif line.startswith("Anonymous:"):
            found[name] += int(line.split()[1])
    return found


async def needs_no_more_than(env, tls):
    stack = await env.stack(sidecars=1, tls=tls)
    found = anonymous(stack.sidecars[0])
    assert found["[stack]"] <= STACK_KB, found
    assert found["sqmqos-sidecar"] <= PROGRAM_KB, found
    assert sum(found.values()) <= MOST_KB[tls], found


@scenario(build="release")
async def test_a_sidecar_in_the_clear(env):
    await needs_no_more_than(env, tls=False)


@scenario(build="release")
async def test_a_sidecar_with_tls(env):
    await needs_no_more_than(env, tls=True)

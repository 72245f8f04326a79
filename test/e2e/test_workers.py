"""How many workers a broker has: as its configuration says, or as its control group leaves CPUs."""

import re


def said(stack):
    """(workers that it serves with, their reason or None)"""
    log = stack.log(stack.broker)
    why = re.search(r"workers: auto is (\d+), (.*)", log)
    serves = re.search(r"version .* serves .*, (\d+) workers", log)
    assert why is None or why[1] == serves[1], log
    return int(serves[1]), why and why[2]


async def works(env, stack):
    subscriber = await env.connect(stack.ports[0], "subscriber")
    await subscriber.subscribe(("t", 1))
    publisher = await env.connect(stack.ports[1], "publisher")
    await publisher.publish("t", b"x", 1)
    assert (await subscriber.receive()).payload == b"x"


async def test_a_broker_says_why_it_has_so_many(env):
    stack = await env.stack(sidecars=2, broker={"workers": "auto"})
    workers, why = said(stack)
    if limit := re.fullmatch(r"by a control group's limit, which leaves (\d+) CPUs", why):
        assert workers == max(1, min(64, int(limit[1]) // 2)), why
    else:
        assert re.fullmatch(r"as no control group limits the \d+ CPUs", why), why
        assert workers == 1, "CPUs without a limit are others', too"
    await works(env, stack)


async def test_a_number_is_taken_as_it_is(env):
    stack = await env.stack(sidecars=2, broker={"workers": 3})
    assert said(stack) == (3, None)
    await works(env, stack)

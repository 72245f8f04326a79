"""proto/webhook beside the standard's library for Python: each takes what the other has signed, and
neither takes it once it was changed. The seed of what failed is in its message: TEST_SEED=N draws it
again."""

import base64
import datetime
import os
import random
import time

import asked
import peers

MESSAGES = 300


def drawn_key(r):
    """A key as a file has it; its library pads it, too."""
    text = base64.b64encode(r.randbytes(r.randrange(24, 65))).decode()
    return r.choice(["", "whsec_"]) + (text.rstrip("=") if r.random() < 0.3 else text)


def drawn(r):
    keys = [drawn_key(r) for _ in range(r.choice([1, 1, 2]))]
    body = "".join(r.choices(["{", "}", '"', "é", "\U0001f600", "a", " ", "\n", "0", "."], k=r.randrange(200)))
    return keys, f"m{r.randrange(1 << 64)}", body


def signing(keys, id, stamp, body):
    return "\n".join(["S", str(len(keys)), *keys, id, str(stamp), body]).encode()


def verifying(keys, id, stamp, now, signatures, body):
    return "\n".join(["V", str(len(keys)), *keys, id, str(stamp), str(now), signatures, body]).encode()


def takes(hook, error, id, stamp, signatures, body):
    try:
        hook.verify(body, {"webhook-id": id, "webhook-timestamp": str(stamp), "webhook-signature": signatures}, json_parse=False)
    except error:
        return False
    return True


async def test_the_library_takes_what_ours_signs(env):
    library = peers.imported("standardwebhooks")
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    r, now = random.Random(seed), int(time.time())
    messages = [drawn(r) for _ in range(MESSAGES)]
    signed = await asked.answers(env, "webhook_answer", [signing(keys, id, now, body) for keys, id, body in messages])
    for (keys, id, body), signatures in zip(messages, signed):
        signatures = signatures.decode()
        for key in keys:
            hook = library.Webhook(key)
            assert takes(hook, library.WebhookVerificationError, id, now, signatures, body), f"seed {seed}: {key} {body}: {signatures}"
            for wrong in ((id + "x", now, body), (id, now - 1, body), (id, now, body + "x"), (id, now - 1000, body)):
                assert not takes(hook, library.WebhookVerificationError, wrong[0], wrong[1], signatures, wrong[2]), f"seed {seed}: {wrong}"


async def test_ours_takes_what_the_library_signs(env):
    library = peers.imported("standardwebhooks")
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    r, now = random.Random(seed), int(time.time())
    asks, expected = [], []
    for _ in range(MESSAGES):
        keys, id, body = drawn(r)
        signatures = library.Webhook(r.choice(keys)).sign(id, datetime.datetime.fromtimestamp(now, tz=datetime.timezone.utc), body)
        signatures = r.choice(["", "v1a,x ", "v1,AAAA "]) + signatures
        for rows in ((keys, id, now, now + 300, signatures, body, b"good"), (keys, id, now, now + 301, signatures, body, b"bad"),
                     (keys, id + "x", now, now, signatures, body, b"bad"), (keys, id, now, now, signatures, body + "x", b"bad"),
                     ([drawn_key(r)], id, now, now, signatures, body, b"bad")):
            asks.append(verifying(*rows[:-1]))
            expected.append(rows[-1])
    found = await asked.answers(env, "webhook_answer", asks)
    for text, answer, wanted in zip(asks, found, expected):
        assert answer == wanted, f"seed {seed}: {text} is {answer}"

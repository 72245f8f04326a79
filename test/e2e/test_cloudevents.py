"""proto/cloudevents beside the standard's SDK for Python: an event that the one writes in either
form of HTTP, the other reads as the same, by way of a message. The seed of what failed is in its
message: TEST_SEED=N draws it again."""

import json
import os
import random

import asked
from cloud_events import drawn, said, sdk

EVENTS = 2000


def head(message):
    return "".join(f"{name.lower()}:{value}\n" for name, value in message.headers.items()).encode()


def message_of(http, answer):
    lines, _, body = answer.partition(b"\n\n")
    return http.HTTPMessage(dict(line.split(":", 1) for line in lines.decode("ascii").splitlines()), body)


async def test_the_sdk_reads_and_writes_the_same(env):
    http, form, make = sdk()
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    r = random.Random(seed)
    events = [make(*drawn(r)) for _ in range(EVENTS)]
    structured = [http.to_structured(e, form) for e in events]
    binary = [http.to_binary(e, form) for e in events]
    for event, sent, answer in zip(events, structured, await asked.answers(
            env, "cloudevents_convert", [b"S" + m.body for m in structured])):
        assert not answer.startswith(b"!"), f"seed {seed}: {sent.body}: {answer}"
        got = http.from_binary(message_of(http, answer), form)
        assert said(got) == said(event), f"seed {seed}: {sent.body} became {answer}"
    for event, sent, answer in zip(events, binary, await asked.answers(
            env, "cloudevents_convert", [b"H" + head(m) + b"\n" + m.body for m in binary])):
        assert not answer.startswith(b"!"), f"seed {seed}: {sent}: {answer}"
        got = http.from_structured(http.HTTPMessage({"content-type": "application/cloudevents+json"}, answer), form)
        assert said(got) == said(event), f"seed {seed}: {sent} became {answer}"


async def test_both_refuse_the_same_attributes(env):
    http, form, make = sdk()
    good = {"id": "1", "source": "/s", "type": "t", "specversion": "1.0", "time": "2018-04-05T17:31:00Z"}
    wrong = [{name: value} for name in ("id", "source", "type", "specversion") for value in ("", None, 5)]
    wrong += [{"specversion": "0.9"}, {"subject": ""}, {"datacontenttype": ""}, {"dataschema": ""}, {"time": "now"},
              {"A": "x"}, {"a_b": "x"}, {"": "x"}]
    texts = [json.dumps(good | change).encode() for change in wrong]
    for text, answer in zip(texts, await asked.answers(env, "cloudevents_convert", [b"S" + t for t in texts])):
        try:
            form.read(make, text)
        except Exception:
            assert answer.startswith(b"!"), f"{text} is taken: {answer}"
            continue
        raise AssertionError(f"the SDK takes {text}; ours says {answer}")

"""proto/cloudevents beside the standard's SDK for Python: an event that the one writes in either
form of HTTP, the other reads as the same, by way of a message. The seed of what failed is in its
message: TEST_SEED=N draws it again."""

import datetime
import glob
import json
import os
import random
import sys

import asked
from scenario import Skip

EVENTS = 2000
TEXTS = ["a", "x y", "50%", '"q"', "back\\slash", "%41", "é", "€ \U0001f600", "日本", "a/b?c#d", "~!*'();:@&=+$,[]", "-1"]
SOURCES = ["/mycontext", "https://example.com/a?b=c#d", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "1-555-123-4567",
           "mailto:a@example.com", "/a%20b"]
JSON_TYPES = ["application/json", "application/json; charset=utf-8", "application/geo+json", "text/json"]


def sdk():
    venv = os.environ.get("TEST_CLOUDEVENTS")
    if not venv:
        raise Skip("TEST_CLOUDEVENTS is not set: ./dev test fetches the SDK")
    sys.path.extend(glob.glob(f"{venv}/lib/python3*/site-packages"))
    from cloudevents.core.bindings import http
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent
    return http, JSONFormat(), CloudEvent


def drawn_data(r):
    """Data and its content type."""
    kind = r.randrange(6)
    if kind == 0:
        return None, r.choice([None, "application/json", "image/png"])
    if kind == 1:
        return {"n": r.randrange(1 << 60), "f": r.random(), "t": r.choice(TEXTS), "l": [None, True, {}]}, r.choice(JSON_TYPES)
    if kind == 2:
        return {r.choice(TEXTS): r.choice(TEXTS)}, "application/json"
    if kind == 3:
        return "\n".join(r.choices(TEXTS, k=3)), r.choice(["text/plain", "application/xml", "text/css; charset=utf-8"])
    return b"\xff" + r.randbytes(r.randrange(40)), r.choice(["application/octet-stream", "image/png"])


def drawn(r):
    data, content_type = drawn_data(r)
    time = datetime.datetime(2018, 4, 5, 17, 31, r.randrange(60), r.choice([0, 250000]),
                             datetime.timezone(datetime.timedelta(minutes=r.choice([0, 0, 120, -570]))))
    event = {"id": r.choice(TEXTS), "source": r.choice(SOURCES), "type": r.choice(TEXTS), "specversion": "1.0", "time": time}
    if content_type:
        event["datacontenttype"] = content_type
    if r.random() < 0.5:
        event["subject"] = r.choice(TEXTS)
    if r.random() < 0.3:
        event["dataschema"] = "https://example.com/schema"
    for name in r.sample(["comexampleextension1", "traceparent", "tag", "n2", "x"], r.randrange(4)):
        event[name] = r.choice([*TEXTS, 5, -2147483648])
    return event, data


def said(event):
    """What an event says, whatever form it came in."""
    attributes = {name: v if name == "time" else str(v) for name, v in event.get_attributes().items() if v is not None}
    data = event.get_data()
    return attributes, data.encode() if isinstance(data, str) else data


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

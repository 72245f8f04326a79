"""Events of the CloudEvents SDK for Python, drawn at random, and what they say."""

import datetime

import peers

TEXTS = ["a", "x y", "50%", '"q"', "back\\slash", "%41", "é", "€ \U0001f600", "日本", "a/b?c#d", "~!*'();:@&=+$,[]", "-1"]
SOURCES = ["/mycontext", "https://example.com/a?b=c#d", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "1-555-123-4567",
           "mailto:a@example.com", "/a%20b"]
JSON_TYPES = ["application/json", "application/json; charset=utf-8", "application/geo+json", "text/json"]


def sdk():
    http = peers.imported("cloudevents.core.bindings.http")
    form = peers.imported("cloudevents.core.formats.json").JSONFormat()
    return http, form, peers.imported("cloudevents.core.v1.event").CloudEvent


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

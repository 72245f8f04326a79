"""A function on Flask that reads events by the CloudEvents SDK, as its readme has it. Prints its port, then
a line of JSON for each event or body. Arguments: the keys by which /verified takes web hooks."""

import base64
import json
import logging
import sys
import threading

from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from flask import Flask, Response, request
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.serving import make_server

app = Flask(__name__)
form = JSONFormat()
failed = set()
lock = threading.Lock()


def tell(path, attributes, data, **more):
    data = data.encode() if isinstance(data, str) else data
    coded = {"base64": base64.b64encode(data).decode()} if isinstance(data, bytes) else data
    attributes = {name: value if isinstance(value, str) else getattr(value, "isoformat", lambda v=value: str(v))()
                  for name, value in attributes.items() if value is not None}
    with lock:
        print(json.dumps({"path": path, "attributes": attributes, "data": coded} | more), flush=True)


def read():
    return http.from_http(http.HTTPMessage(dict(request.headers), request.get_data()), form)


@app.post("/event/<name>")
def event(name):
    read_event = read()
    tell(name, read_event.get_attributes(), read_event.get_data(), type=request.content_type, id=request.headers["webhook-id"])
    return "", 204


@app.post("/batch")
def batch():
    """Takes all but what asks to fail, which fails once."""
    assert request.content_type == "application/cloudevents-batch+json", request.content_type
    failures = []
    for one in request.get_json(force=True):
        read_event = form.read(None, json.dumps(one).encode())
        id = read_event.get_id()
        tell("batch", read_event.get_attributes(), read_event.get_data(), id=request.headers["webhook-id"])
        if read_event.get_data() == {"fail": "once"} and id not in failed:
            failed.add(id)
            failures.append({"itemIdentifier": id})
    return {"batchItemFailures": failures}


@app.post("/reply/<how>")
def reply(how):
    """Answers the event with its data turned round, in the form that is asked for."""
    asked = read()
    answer = type(asked)({"type": "org.example.reply", "source": "/flask", "id": asked.get_id() + "-reply", "specversion": "1.0",
                          "datacontenttype": "application/json", "sqmqostopic": "elsewhere"}, {"re": asked.get_data()})
    message = (http.to_structured if how == "structured" else http.to_binary)(answer, form)
    return Response(message.body, 200, message.headers)


@app.post("/verified")
def verified():
    data, headers = request.get_data(), dict(request.headers)
    for key in sys.argv[1:]:
        try:
            Webhook(key).verify(data, headers, json_parse=False)
        except WebhookVerificationError:
            continue
        tell("verified", {}, data, id=headers["Webhook-Id"])
        return "", 204
    return "", 401


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()

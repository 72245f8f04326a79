"""The broker's view (docs/view.md), as scenarios read it."""

import http.client
import json
import time
import urllib.parse


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = dict((k.lower(), v) for k, v in answer.getheaders())
        self.text = answer.read().decode()
        self.body = json.loads(self.text) if self.text else None

    @property
    def detail(self):
        return self.body["detail"]


def ask(program, path="", *, below="/v1/view", method="GET", source=None, host=None, headers=None, address="127.0.0.1",
        **query):
    """The answer to a request from 'source', to 'below' and 'path'."""
    connection = http.client.HTTPConnection(address, program.admin_port, timeout=10,
                                            source_address=(source, 0) if source else None)
    try:
        url = below + path + ("?" + urllib.parse.urlencode(query) if query else "")
        connection.putrequest(method, url, skip_host=True)
        connection.putheader("Host", host or f"localhost:{program.admin_port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        return Answer(connection.getresponse())
    finally:
        connection.close()


def pages(program, table, *, headers=None, between=None, **query):
    """Each page's rows, until the last one; 'between' is called after each."""
    after = {}
    while True:
        answer = ask(program, f"/{table}", headers=headers, **query, **after)
        assert answer.status == 200, answer.text
        assert answer.body["table"] == table
        yield answer.body["rows"]
        if answer.body["next"] is None:
            return
        after = {"after": answer.body["next"]}
        if between:
            between()


def rows(program, table, **query):
    """All rows of a table."""
    return [row for page in pages(program, table, **query) for row in page]


def row(program, table, **query):
    """The only one."""
    found = rows(program, table, **query)
    assert len(found) == 1, found
    return found[0]


def do(program, deed, body=None, *, source=None, host=None, headers=None, text=None,
       content_type="application/json", address="127.0.0.1"):
    """The answer to a deed, POST /v1/do/DEED."""
    data = text if text is not None else json.dumps(body)
    connection = http.client.HTTPConnection(address, program.admin_port, timeout=10,
                                            source_address=(source, 0) if source else None)
    try:
        connection.putrequest("POST", f"/v1/do/{deed}", skip_host=True)
        connection.putheader("Host", host or f"localhost:{program.admin_port}")
        if content_type is not None:
            connection.putheader("Content-Type", content_type)
        connection.putheader("Content-Length", str(len(data.encode())))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(data.encode())
        return Answer(connection.getresponse())
    finally:
        connection.close()


def do_all(program, deed, body, **more):
    """Does it to its end; the sum of what was done, and of what stayed."""
    done = stayed = 0
    after = {}
    while True:
        answer = do(program, deed, body | after, **more)
        if answer.status == 429:
            time.sleep(float(answer.headers["retry-after"]))
            continue
        assert answer.status == 200, answer.text
        done += answer.body["done"]
        stayed += answer.body.get("stayed", 0)
        assert answer.body["more"] == (answer.body["next"] is not None)
        if not answer.body["more"]:
            return done, stayed
        after = {"after": answer.body["next"]}

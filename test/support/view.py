"""The broker's view (docs/view.md), as scenarios read it."""

import http.client
import json
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

"""Queries of Prometheus, as far as our alerts and dashboard use them: whether one can be read, and
which metrics and labels it asks for.  What this does not know is an error."""

import re

TOKEN = re.compile(r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[\d+(?:ms|s|m|h|d)\])
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)|(?P<op>=~|!~|==|!=|>=|<=|[-+*/<>=(){},]))""", re.X)
AGGREGATIONS = {"sum", "max", "min", "avg", "count", "topk"}
OVER_RANGE = {"rate", "increase", "max_over_time"}
FUNCTIONS = OVER_RANGE | {"absent", "histogram_quantile", "vector"}
ARGUMENTS = {"topk": 2, "histogram_quantile": 2}
OPERATORS = {"and", "or", "unless", "==", "!=", ">", "<", ">=", "<=", "+", "-", "*", "/"}
MATCHERS = {"=", "!=", "=~", "!~"}


class Query:
    """'uses': {metric: labels that are matched}; 'labels': those of by() and on().  ValueError: it
    can't be read."""

    def __init__(self, text):
        self.tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            m = TOKEN.match(text, at)
            if m is None:
                raise ValueError(f"at {text[at:]!r}")
            self.tokens.append((m.lastgroup, m[m.lastgroup]))
            at = m.end()
        self.uses, self.labels = {}, set()
        self.expression()
        if self.tokens:
            raise ValueError(f"more than an expression: {self.tokens}")

    def peek(self):
        return self.tokens[0][1] if self.tokens else None

    def take(self, want=None, kind=None):
        if not self.tokens:
            raise ValueError(f"ends before {want or kind}")
        got, value = self.tokens.pop(0)
        if (want or value) != value or (kind or got) != got:
            raise ValueError(f"{value!r} in place of {want or kind}")
        return value

    def expression(self):
        self.operand()
        while self.peek() in OPERATORS:
            self.take()
            if self.peek() in ("on", "ignoring"):
                self.take()
                self.label_list()
            self.operand()

    def operand(self):
        kind = self.tokens[0][0] if self.tokens else None
        if self.peek() == "(":
            self.take()
            self.expression()
            self.take(")")
        elif kind == "number":
            self.take()
        else:
            self.named(self.take(kind="name"))

    def named(self, name):
        if name in AGGREGATIONS and self.peek() in ("by", "without"):
            self.take()
            self.label_list()
        if name in AGGREGATIONS | FUNCTIONS:
            self.arguments(name)
        else:
            self.selector(name)

    def arguments(self, name):
        self.take("(")
        for i in range(ARGUMENTS.get(name, 1)):
            if i > 0:
                self.take(",")
            self.expression()
            if name in OVER_RANGE:
                self.take(kind="range")
        self.take(")")

    def selector(self, name):
        found = self.uses.setdefault(name, set())
        if self.peek() != "{":
            return
        self.take()
        while self.peek() != "}":
            found.add(self.take(kind="name"))
            if self.take(kind="op") not in MATCHERS:
                raise ValueError("no such matcher")
            self.take(kind="text")
            if self.peek() == ",":
                self.take()
        self.take("}")

    def label_list(self):
        self.take("(")
        while self.peek() != ")":
            self.labels.add(self.take(kind="name"))
            if self.peek() == ",":
                self.take()
        self.take(")")

"""proto/json beside Python's json: the same texts are taken, and they say the same. The seed of
what failed is in its message: TEST_SEED=N draws it again."""

import json
import os
import random

import asked

TEXTS, DEPTH_MAX = 20000, 64
SEEDS = [
    b'{"specversion":"1.0","type":"com.example.created","source":"/orders","id":"A234","time":"2018-04-05T17:31:00Z",'
    b'"datacontenttype":"application/json","data":{"id":9007199254740993,"price":19.90,"n":[1,-2.5e-3,0.1E+7,-0]}}',
    b'[[],{},[[[]]],{"a":{"b":{"c":null}}},true,false,null,"",0]',
    rb'["\"\\\/\b\f\n\r\t","\u0000\u00e9\uFFFF","\ud83d\ude00","\u0041bc","caf\u00E9"]',
    '{"ä":"é€\U0001f600","日本":"語","\u007f":"\uffff"} '.encode(),
    b' \t\r\n[ 1 , 2 , { "k" : [ "v" ] } ] \n',
    b'"x"', b"-1.5e10", b"true", b"null", b"{}", b"[0]",
]
PIECES = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"0", b"1", b"-", b"+", b".", b"e", b"E",
          b"true", b"nul", b"NaN", b"Infinity", b'"a"', b'"a":', b"\\u", rb"\ud800", rb"\udc00", rb"\u00", b"\x00",
          b"\x1f", b"\x7f", b"\x80", b"\xc3", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf",
          b"\xc2\xa0", b"/", b"'", b"01", b"1.", b"[[", b"]]", b"[" * 70 + b"]" * 70]


def drawn(r):
    """A text that is near one of the seeds."""
    text = r.choice(SEEDS)
    for _ in range(r.choice((0, 1, 1, 1, 2, 3))):
        at, end = sorted((r.randrange(len(text) + 1), r.randrange(len(text) + 1)))
        kind = r.random()
        if kind < 0.4:
            text = text[:at] + r.choice(PIECES) + text[at:]
        elif kind < 0.6:
            text = text[:at] + text[at + 1:]
        elif kind < 0.7:
            text = text[:at] + r.randbytes(1) + text[at + 1:]
        elif kind < 0.8:
            text = text[:at] + text[end:]
        elif kind < 0.9:
            text = text[:end] + text[at:end] + text[end:]
        else:
            text = b"[" + text + b"," + r.choice(SEEDS) + b"]"
    return text


def refuse(word):
    raise ValueError(f"no JSON: {word}")


def depth(value):
    if isinstance(value, Pairs):
        return 1 + max((depth(v) for _, v in value), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


class Pairs(list):
    """Of an object, whose names may be there twice."""


def read(text):
    """What a text says, as ours reads it: bytes of UTF-8, numbers as text, no halves of pairs."""
    text = text.decode("utf-8")
    value = json.loads(text, parse_constant=refuse, parse_int=lambda n: ("number", n),
                       parse_float=lambda n: ("number", n), object_pairs_hook=Pairs)
    repr_of_all = json.dumps(value, ensure_ascii=False)
    repr_of_all.encode("utf-8")  # UnicodeEncodeError is a ValueError, too
    if depth(value) > DEPTH_MAX:
        raise ValueError("too deep")
    return value


async def test_what_python_takes_and_refuses(env):
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    r = random.Random(seed)
    texts = [*SEEDS, *(drawn(r) for _ in range(TEXTS))]
    taken = 0
    for text, answer in zip(texts, await asked.answers(env, "json_rewrite", texts)):
        try:
            expected = read(text)
        except ValueError as e:
            assert answer.startswith(b"!"), f"seed {seed}: {text!r} is taken: {answer!r}; Python says {e}"
            at = int(answer[1:].split()[0])
            assert at <= len(text), f"seed {seed}: {text!r}: {answer!r}"
            continue
        taken += 1
        assert not answer.startswith(b"!"), f"seed {seed}: {text!r} is refused: {answer!r}"
        assert read(answer) == expected, f"seed {seed}: {text!r} became {answer!r}"
    assert TEXTS * 0.1 < taken < TEXTS * 0.9, f"{taken} of {len(texts)} were taken"

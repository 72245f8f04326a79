"""Deeds at the admin endpoint (docs/view.md, "Deeds"): who may, and that they hold over a kill."""

import asyncio
import json
import time

from support import view
from support.jwt import Issuer
from support.wait import eventually

OTHER = "127.0.0.2"
QUEUE = "declared~default~demo~jobs"


def post(program, deed, body, *, headers=None, **more):
    return view.do(program, deed, body, headers=headers, **more)

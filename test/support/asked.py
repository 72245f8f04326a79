"""Decoders of ours that a scenario asks by pipes; see test/support/asked.h."""

import asyncio
import struct

import clients


async def answers(env, program, texts, timeout_s=90):
    """What a program of build/…/test/ answers to each of the texts."""
    asked = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    path = clients.ROOT / "build" / env.settings.build / "test" / program
    process = await asyncio.create_subprocess_exec(
        path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    env.processes.append(process)
    out, _ = await asyncio.wait_for(process.communicate(asked), timeout_s)
    assert process.returncode == 0, f"{program} ended with {process.returncode}"
    found, at = [], 0
    while at < len(out):
        n, = struct.unpack_from(">I", out, at)
        found.append(out[at + 4:at + 4 + n])
        at += 4 + n
    assert len(found) == len(texts), f"{len(found)} answers to {len(texts)} texts"
    return found

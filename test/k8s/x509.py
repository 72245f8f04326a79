"""Certificates as openssl sees them; no code of ours judges."""

import asyncio
import re


def certificates(text):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S)


async def verifies(env, chain, trusted):
    """Whether openssl takes the chain's first certificate, trusting nothing else."""
    first, *rest = certificates(chain)
    for name, text in (("leaf", first), ("rest", "".join(rest)), ("roots", trusted)):
        (env.folder / name).write_text(text)
    more = ["-untrusted", str(env.folder / "rest")] if rest else []
    return await openssl("verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-CAfile",
                         str(env.folder / "roots"), *more, str(env.folder / "leaf"))


async def lives(env, cert, seconds=2):
    """Whether a certificate is good for that much longer."""
    (env.folder / "looked-at").write_text(cert)
    return await openssl("x509", "-noout", "-checkend", str(seconds), "-in",
                         str(env.folder / "looked-at"))


async def openssl(*words):
    child = await asyncio.create_subprocess_exec(
        "openssl", *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    return await child.wait() == 0

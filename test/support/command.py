"""The program sqmqos in scenarios: to its end, or as long as it runs."""

import asyncio
import contextlib
import signal

import stack as parts


def is_safe(text):
    """Whether nothing in it moves a terminal's cursor."""
    return all(c.isprintable() or c in "\n\t" for c in text)


def program(env):
    """Where it is."""
    return parts.ROOT / "build" / env.settings.build / "sqmqos"


class Command:
    def __init__(self, env, *options):
        self.env = env
        self.program = program(env)
        self.options = options

    async def start(self, *argv, environment=None, stdin=None, stdout=asyncio.subprocess.PIPE):
        process = await asyncio.create_subprocess_exec(
            str(self.program), *map(str, argv), *map(str, self.options), stdin=stdin,
            stdout=stdout, stderr=asyncio.subprocess.PIPE, limit=64 << 20,
            env=parts.clean_environment() | (environment or {}))
        self.env.processes.append(process)
        return process

    async def end(self, process, code=0, stdin=None, timeout_s=60):
        """(stdout, stderr) of a process, which ends with 'code'."""
        out, error = await asyncio.wait_for(process.communicate(stdin), timeout_s)
        out, error = (out or b"").decode(), error.decode()
        assert process.returncode == code, (process.returncode, out[-2000:], error[-2000:])
        assert is_safe(out) and is_safe(error), (out, error)
        return out, error

    async def run(self, *argv, code=0, stdin=None, **options):
        given = asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL
        return await self.end(await self.start(*argv, stdin=given, **options), code, stdin)

    async def interrupt(self, process, code=0, number=signal.SIGINT):
        """Ends one by a signal."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        return await self.end(process, code)

"""The process that looks: `python -m hms.actors.analysis.looking.child URL`, started and asked by `looker.py`.

A line of JSON is a question, a line its answer. It ends with its input, after a while without a question, or by the kernel
when a question takes twice the processor time that it may.
"""

import asyncio
import json
import os
import resource
import sys
from typing import Any, BinaryIO, Final

from ....core.errors import HmsError
from ....replay.sql.errors import QueryRefused, QueryStopped
from .looking import Looking

IDLE_S: Final = 1_800


async def serve(url: str, out: BinaryIO) -> None:
    """Answer until the input ends, or nobody has asked for a while."""
    looking: Looking | None = None
    while True:
        async with asyncio.timeout(IDLE_S):
            line = await asyncio.to_thread(sys.stdin.buffer.readline)
        if not line:
            return
        question = json.loads(line)
        _limit(question["cpu_ms"])
        try:
            looking = looking or await Looking.open(url)
            found = await looking.answer(question["op"], question["asked"])
            answer: dict[str, Any] = {"found": found.model_dump_json()}
        except Exception as error:  # noqa: BLE001 - whatever it is: who asked hears it
            answer = {"error": f"{type(error).__name__}: {error}", "retryable": _retryable(error)}
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def _retryable(error: Exception) -> bool:
    if isinstance(error, HmsError):
        return error.retryable
    return isinstance(error, OSError) and not isinstance(error, QueryRefused | QueryStopped)


def _limit(cpu_ms: int) -> None:
    """Let the kernel end this process when it has used twice as much processor time as it may."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + 2 * cpu_ms / 1_000) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Serve; what prints, prints to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        asyncio.run(_until_idle(sys.argv[1], out))
    finally:
        os._exit(0)  # a thread may be waiting for input


async def _until_idle(url: str, out: BinaryIO) -> None:
    try:
        await serve(url, out)
    except TimeoutError:
        return


if __name__ == "__main__":
    main()

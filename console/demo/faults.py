"""The faults: what really goes wrong in production, done to real processes."""

import asyncio
import os
import signal
from typing import Final

from .fleet import part
from .stage import Stage

MESSAGE: Final = b"x" * 1_000_000
MESSAGES: Final = 100
HELD_S: Final = 3.0
GRACE_S: Final = 12.0


async def kill_web(stage: Stage) -> None:
    """Kill the web service, as the kernel does when memory is short."""
    os.kill(stage.pid("web"), signal.SIGKILL)


async def stop_worker(stage: Stage) -> None:
    """Stop the worker: it is there, and does nothing."""
    os.kill(stage.pid("worker"), signal.SIGSTOP)


async def steal_port(stage: Stage) -> None:
    """Let a stranger take the web service's port for a while, in the moment in which that restarts."""
    thief = await asyncio.create_subprocess_exec(
        *part("port_thief", str(stage.ports.web), str(HELD_S)),
        cwd=stage.folder,
        env={**os.environ, "HMS_RUN": f"{stage.folder}/thief"},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    os.kill(stage.pid("web"), signal.SIGKILL)
    async with asyncio.timeout(GRACE_S):
        if thief.stdout is not None:
            await thief.stdout.readline()


async def fill_queue(stage: Stage) -> None:
    """Give the queue messages that it never forgets."""
    for _ in range(MESSAGES):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.ports.queue)
        writer.write(MESSAGE)
        writer.write_eof()
        await reader.read()
        writer.close()


async def break_cache(stage: Stage) -> None:
    """Break the cache's snapshot and kill it: from now on it ends whenever it starts."""
    (stage.folder / "cache.json").write_text('{"half": "a snapsh', encoding="utf-8")
    os.kill(stage.pid("cache"), signal.SIGKILL)


async def kill_supervisor(stage: Stage) -> None:
    """Kill `hms up` itself, and start it again."""
    await stage.end_supervisor(signal.SIGKILL)
    await stage.start_supervisor()

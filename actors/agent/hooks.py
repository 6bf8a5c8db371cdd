"""What is run when a component was given up: once, never supervised."""

import asyncio
import contextlib
import os
from pathlib import Path

import structlog

from ...core.private_folder import make_private
from ...schemas.component_reports import RunHook

logger = structlog.get_logger("hms.agent")
HOOK_S = 60.0


class Hooks:
    """Remembers in a folder which hooks were run; each writes its output into a file there."""

    def __init__(self, folder: Path) -> None:
        """Touch nothing yet."""
        self._folder = folder
        self._running: set[asyncio.Task[None]] = set()

    def run(self, hook: RunHook) -> None:
        """Run it, unless one of this id was run before; at most 60 s. Raises `OSError` when it cannot be journalled."""
        make_private(self._folder)
        output = self._folder / f"{hook.hook_id.replace('/', '_')}.log"
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        task = asyncio.create_task(_run(hook, descriptor), name=f"hook {hook.hook_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self, patience_s: float) -> None:
        """Wait briefly for what is under way; it is not killed."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_s)


async def _run(hook: RunHook, output: int) -> None:
    told = {"HMS_COMPONENT": hook.component, "HMS_REASON": hook.reason}
    try:
        process = await asyncio.create_subprocess_exec(
            *hook.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=hook.working_folder or None,
            env={**os.environ, **hook.environment, **told},
            start_new_session=True,
        )
        async with asyncio.timeout(HOOK_S):
            code = await process.wait()
        logger.info("hook_ran", component=hook.component, command=hook.command[0], code=code)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        logger.warning("hook_killed", component=hook.component, command=hook.command[0], after_s=HOOK_S)
    except OSError as error:
        logger.warning("hook_failed", component=hook.component, command=hook.command[0], error=str(error))
    finally:
        os.close(output)

"""The processes behind `hms node --workers N`: one Python process uses one core, so a node that shall use N is N of them.

Each worker is a node of its own, a member among the others: the shards are shared out among the workers of all nodes alike.
The process in front of them reads no log; it starts them, passes TERM on, and starts anew what was killed.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from .cli.exit_codes import Exit
from .cli.show import say

VARIABLE: Final = "HMS_WORKER"
"""Set in a worker's environment: its stdin ends when the process in front of it does, and so shall the worker."""
KILLS_MAX, WITHIN_S = 5, 60.0
PAUSE_S: Final = 0.5
"""Before a killed worker is started anew, doubled with each kill within the time: the machine may be out of memory."""
_HMS: Final = (sys.executable, "-c", "from hms.console.cli import main; raise SystemExit(main())")


def run_workers(name: str, count: int, words: Sequence[str]) -> int:
    """Run `hms node --name NAME.1 WORDS` to NAME.COUNT until TERM; return the exit code.

    A worker that ends by itself (a log that cannot be reached, an app that is missing) ends them all with its own code.
    """
    return asyncio.run(_Workers(name, count, words).run())


class _Workers:
    def __init__(self, name: str, count: int, words: Sequence[str]) -> None:
        self._names = [f"{name}.{number}" for number in range(1, count + 1)]
        self._words = tuple(words)
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._kills: deque[float] = deque(maxlen=KILLS_MAX)
        self._ending = asyncio.Event()
        self._code = int(Exit.OK)

    async def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._end)
        await asyncio.gather(*[self._keep(name) for name in self._names])
        return self._code

    async def _keep(self, name: str) -> None:
        """Keep one worker alive until the end."""
        while not self._ending.is_set():
            code = await self._live(name)
            if self._ending.is_set():
                self._code = self._code or max(0, code)
            elif code >= 0:
                self._end(code)
            else:
                await self._mourn(name, -code)

    async def _live(self, name: str) -> int:
        """Run a worker to its end; return its exit code, or the signal that killed it, negated."""
        command = (*_HMS, "node", "--name", name, *self._words)
        environment = {**os.environ, VARIABLE: name}
        worker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environment)
        self._running[name] = worker
        if self._ending.is_set():  # meanwhile
            worker.terminate()
        code = await worker.wait()
        del self._running[name]
        return code

    async def _mourn(self, name: str, number: int) -> None:
        """Say what killed a worker; wait a moment, or give up when too many were killed."""
        now = time.monotonic()
        recent = [at for at in self._kills if now - at < WITHIN_S]
        self._kills.append(now)
        told = f"hms: worker {name} was killed by {signal.Signals(number).name}"
        if len(recent) >= KILLS_MAX:
            say(f"{told}, the {KILLS_MAX + 1}th within {WITHIN_S:.0f} s: giving up")
            self._end(int(Exit.FAILED))
            return
        pause_s = PAUSE_S * 2 ** len(recent)
        say(f"{told}; starting it anew in {pause_s:g} s")
        try:
            async with asyncio.timeout(pause_s):
                await self._ending.wait()
        except TimeoutError:
            pass

    def _end(self, code: int = 0) -> None:
        """Let all workers drain."""
        self._code = self._code or code
        self._ending.set()
        for worker in self._running.values():
            worker.terminate()

"""The process that a candidate runs in: started with nothing of ours, shut in before any of its code is read."""

import asyncio
import inspect
import json
import marshal
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

from ...core.errors import HmsError
from . import sandbox

MEMORY_BYTES: Final = 4 << 30
STALL_S: Final = 60.0
"""A candidate that takes so long for one frame will not come to an end."""
ENDING_S: Final = 0.2
LINE_BYTES_MAX: Final = 64 << 20
COMPLAINT_CHARS: Final = 4_000

_BOOT: Final = """
import os, sys
out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
paths, memory = {paths!r}, {memory!r}
if memory:
    own = {{"__name__": "sandbox"}}
    exec(compile({source!r}, "sandbox.py", "exec"), own)
    own["enter"](memory)
sys.path[:0] = paths
from hms.replay.shadow.child import main
main(out)
"""


class CandidateFailed(HmsError):
    """The candidate's process ended, or stopped answering; its last words are in the message."""


class CandidateProcess:
    """Runs a candidate's code from a folder or a file that Python imports from; use as `async with`."""

    def __init__(self, paths: Sequence[str], *, trusted: bool = False, memory_bytes: int = MEMORY_BYTES) -> None:
        """Make it; a trusted one is not shut in. Raises `SandboxUnavailable` where one that is not cannot be."""
        if not trusted:
            sandbox.check_available()
        self._memory = 0 if trusted else memory_bytes
        self._paths = [*paths, *(path for path in sys.path if path)]
        self._process: asyncio.subprocess.Process
        self._complaints: asyncio.Task[bytes]

    async def __aenter__(self) -> Self:
        """Start it."""
        boot = _BOOT.format(paths=self._paths, memory=self._memory, source=inspect.getsource(sandbox))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-B", "-c", boot),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            cwd="/",
            limit=LINE_BYTES_MAX,
        )
        self._complaints = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End it."""
        await self._ended()
        self._complaints.cancel()
        await asyncio.gather(self._complaints, return_exceptions=True)

    async def _hear(self) -> bytes:
        """Keep the end of what it says on stderr."""
        heard = b""
        while more := await self._stream(self._process.stderr).read(65_536):
            heard = (heard + more)[-COMPLAINT_CHARS:]
        return heard

    async def send(self, kind: str, content: Any) -> None:
        """Give it one frame."""
        data = marshal.dumps((kind, content))
        pipe = self._process.stdin
        if pipe is None:
            raise CandidateFailed("the candidate's process has no pipe")
        pipe.write(len(data).to_bytes(4, "big") + data)
        try:
            await asyncio.wait_for(pipe.drain(), STALL_S)
        except TimeoutError as error:  # an OSError too
            raise await self._failed(f"took nothing for {STALL_S:.0f} s: a decision that comes to no end?") from error
        except OSError as error:
            raise await self._failed("closed its pipe") from error

    async def finish(self) -> None:
        """Tell it that there is no more."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def line(self) -> dict[str, Any] | None:
        """Return what it says next; None at its end. Raises `CandidateFailed`."""
        try:
            text = await asyncio.wait_for(self._stream(self._process.stdout).readline(), STALL_S)
            said = json.loads(text) if text else None
        except TimeoutError as error:
            raise await self._failed(f"said nothing for {STALL_S:.0f} s: a decision that comes to no end?") from error
        except (ValueError, RecursionError) as error:
            raise await self._failed(f"said what is no line of JSON: {error}") from error
        if said is None and await self._process.wait() != 0:
            raise await self._failed(f"ended with exit code {self._process.returncode}")
        if said is not None and not isinstance(said, dict):
            raise await self._failed(f"said {text[:200]!r}")
        return said

    async def _ended(self) -> None:
        """Wait until it has ended; kill it if it does not by itself."""
        # a kill that comes when it has just ended takes its exit code away
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), ENDING_S)
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _stream(self, stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
        if stream is None:
            raise CandidateFailed("the candidate's process has no pipe")
        return stream

    async def _failed(self, what: str) -> CandidateFailed:
        await self._ended()
        heard = (await self._complaints).decode(errors="replace").strip()
        return CandidateFailed(f"the candidate's process {what}{f'; its last words: {heard}' if heard else ''}")

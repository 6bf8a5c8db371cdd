"""The session's hold on its child: started when it is needed, ended at any sign of trouble, started anew by the next query."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .errors import QueryRefused, QueryStopped
from .frames import LINE_BYTES_MAX, line
from .limits import Limits
from .names import Names

if TYPE_CHECKING:
    import pyarrow as pa

START_S: Final = 30
_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "HMS_TRACEBACK")
"""All that the child is told of this process's environment: what is left out may be a password."""

_FRUGAL: Final = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system", "ARROW_IO_THREADS": "1"}
"""Else every thread reserves 64 MB of address space and Arrow a gigabyte, of what is meant for rows."""


class Process:
    """One child. A query that is cancelled, or runs out of time, takes its child with it."""

    def __init__(self, child: asyncio.subprocess.Process, limits: Limits) -> None:
        self._child = child
        self._limits = limits
        self._deadline = 0.0

    @classmethod
    async def start(cls, limits: Limits, folders: Sequence[str], readable: Sequence[str]) -> "Process":
        """Start a child that may read Parquet below `folders`, and beside it what is below `readable`."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "hms.replay.sql.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _FRUGAL,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the session, which ends the query
        )
        process = cls(child, limits)
        await process._order(op="start", **limits._asdict(), folders=list(folders), readable=[*folders, *readable])
        return process

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._child.returncode is None

    async def define(
        self, tables: Mapping[str, str], statements: Sequence[str], fresh: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Give it Arrow files as tables, small Parquet files (see `fresh`), then statements that make views."""
        await self._order(op="views", tables=dict(tables), statements=list(statements), fresh=dict(fresh or {}))

    async def names(self, sql: str) -> Names:
        """Return what a query reads; raises `QueryRefused`."""
        await self._send(op="names", sql=sql)
        views, everything = (await self._answer())["names"]
        return Names(tuple((schema, name) for schema, name in views), everything)

    async def query(self, sql: str, parameters: dict[str, Any]) -> AsyncIterator["pa.RecordBatch | pa.Schema"]:
        """Yield the answer's schema, then its rows as they come; raises `QueryRefused` and `QueryStopped`."""
        is_whole = False
        clock = asyncio.get_running_loop().time
        self._deadline = clock() + self._limits.timeout_ms / 1_000
        try:
            await self._send(op="query", sql=sql, parameters=parameters)
            async for part in self._parts():
                given_at = clock()
                yield part
                self._deadline += clock() - given_at  # whoever reads slowly takes no time from the query
            is_whole = True
        except TimeoutError:
            raise QueryStopped(
                f"the query took over {self._limits.timeout_ms / 1_000:g} s and was ended; ask for less (a shorter time, one "
                "actor), or allow more with --timeout-ms"
            ) from None
        except QueryRefused:
            is_whole = True
            raise
        finally:
            if not is_whole:
                await self.close()

    async def close(self) -> None:
        """End it, whatever it does."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        if self.alive:
            self._child.kill()
        await self._child.communicate()

    async def _parts(self) -> AsyncIterator["pa.RecordBatch | pa.Schema"]:
        import pyarrow as pa  # noqa: PLC0415 - not for those who only ask for help

        schema: pa.Schema | None = None
        while True:
            async with asyncio.timeout_at(self._deadline):
                answer = await self._answer()
                payload = pa.py_buffer(await self._output.readexactly(answer.get("bytes", 0)))
            if "end" in answer:
                return
            if schema is None:
                schema = pa.ipc.read_schema(payload)
                yield schema
            else:
                yield pa.ipc.read_record_batch(payload, schema)

    @property
    def _output(self) -> asyncio.StreamReader:
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        return self._child.stdout

    async def _order(self, **fields: Any) -> None:
        async with asyncio.timeout(START_S):
            await self._send(**fields)
            await self._answer()

    async def _send(self, **fields: Any) -> None:
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._child.stdin.write(line(**fields))
            await self._child.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._ended() from None

    async def _answer(self) -> dict[str, Any]:
        text = await self._output.readline()
        if not text.endswith(b"\n"):
            raise await self._ended()
        answer: dict[str, Any] = json.loads(text)
        if "refused" in answer:
            raise QueryRefused(answer["refused"])
        if "stopped" in answer:
            raise self._too_much()
        return answer

    async def _ended(self) -> QueryStopped:
        """Return why the child is gone: a limit, or a bug that it says something about."""
        assert self._child.stderr is not None  # noqa: S101 - it was asked for
        said = (await self._child.stderr.read()).decode(errors="replace").strip()
        code = await self._child.wait()
        if said and "MemoryError" not in said and "bad_alloc" not in said:
            return QueryStopped(f"the process of the queries ended with {code}; it said: {said[-2_000:]}")
        return self._too_much()

    def _too_much(self) -> QueryStopped:
        return QueryStopped(
            f"the query needed more than its {self._limits.memory_mb} MB of memory, or its time on the processor, and was "
            "ended; ask for less (fewer columns, a shorter time), or allow more with --memory-mb"
        )

"""Reading records, on the event loop's own thread: WAL readers block nobody and are blocked by nobody.

No read transaction outlives the call, or the WAL could not be checkpointed past it.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from ...errors import LogUnreachable, PositionBeyond, PositionTrimmed
from ..port import Slice, Stored
from .file import BUSY_PAUSE_S, is_busy
from .headers import decode_headers
from .heads import Heads
from .layout import OFFSET_MASK, Layout, Place

READ_BYTES_MAX: Final = 4 << 20
_FETCH: Final = 16
_SELECT: Final = """
SELECT position, at, key, value, headers FROM records WHERE position >= ? AND position < ? ORDER BY position LIMIT ?
"""
_SELECT_BARE: Final = _SELECT.replace("headers", "x'' AS headers")

T = TypeVar("T")
Row = tuple[int, int, bytes, bytes | None, bytes]


class Reader:
    """The read connection and what it is asked."""

    def __init__(
        self, path: Path, layout: Layout, heads: Heads, connection: sqlite3.Connection, deadline_ms: int
    ) -> None:
        self._path = path
        self._layout = layout
        self._heads = heads
        self._connection = connection
        self._deadline_s = deadline_ms / 1000

    async def ask(self, question: Callable[[], T]) -> T:
        """Put a question to the file, again while it is locked; raises `LogUnreachable` in the end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._deadline_s
        while True:
            try:
                return question()
            except sqlite3.Error as error:
                if not is_busy(error) or loop.time() > deadline:
                    raise LogUnreachable(f"cannot read the log {self._path}: {error}") from error
            await asyncio.sleep(BUSY_PAUSE_S)

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """Return all rows of a query."""
        return self._connection.execute(statement, parameters).fetchall()

    async def read(self, topic: str, partition: int, position: int, records_max: int, *, headers: bool) -> Slice:
        """Return the records from `position` to the end as known here; see the port."""
        place = self._layout.place(topic, partition)
        state = self._heads.state
        start, end = state.starts[place.head], state.nexts[place.head]
        if start <= position >= end:
            if position > end:
                end = (await self.ask(self._heads.refresh)).nexts[place.head]
            if position > end:
                raise PositionBeyond(topic, partition, position, end)
            return Slice([], position)
        if position >= start:
            rows, whole = await self.ask(lambda: self._range(place, position, end, records_max, headers=headers))
            if not rows or rows[0][0] != place.base | position:
                # A hole: compacted, or trimmed by another process a moment ago. What is asked now, after, knows.
                start = (await self.ask(self._heads.refresh)).starts[place.head]
        if position < start:
            raise PositionTrimmed(topic, partition, position, start)
        new = tuple.__new__  # a third of what the named tuple's own constructor takes
        records = [
            new(Stored, (topic, partition, position & OFFSET_MASK, at, key, value, decode_headers(data)))
            for position, at, key, value, data in rows
        ]
        return Slice(records, end if whole else records[-1].offset + 1)

    def _range(self, place: Place, start: int, end: int, records_max: int, *, headers: bool) -> tuple[list[Row], bool]:
        """Return rows, and whether these are all in the range: they are cut by number and by bytes."""
        rows: list[Row] = []
        size = 0
        parameters = (place.base | start, place.base | end, records_max)
        with contextlib.closing(self._connection.execute(_SELECT if headers else _SELECT_BARE, parameters)) as cursor:
            while some := cursor.fetchmany(_FETCH):
                rows += some
                size += sum([len(row[3] or b"") for row in some])
                if size > READ_BYTES_MAX:
                    return rows, False
        return rows, len(rows) < records_max

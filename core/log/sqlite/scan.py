"""Reading a long range of an embedded log at once, as bare rows: half of what records cost that are objects."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...errors import LogUnreachable
from .layout import OFFSET_MASK, Layout

ROWS: Final = 10_000
BUSY_MS: Final = 10_000
Row = tuple[int, bytes, bytes | None]
"""Offset, key, value."""
_SELECT: Final = (
    f"SELECT position & {OFFSET_MASK}, key, value FROM records "  # noqa: S608 - a number
    f"WHERE position >= ? AND position < ? ORDER BY position LIMIT {ROWS}"
)


def scan(path: Path, partitions: int, topic: str, partition: int, start: int, end: int) -> Iterator[list[Row]]:
    """Yield the rows from `start` to below `end`, in order; ends early where one is missing. Raises `LogUnreachable`.

    No read transaction lasts longer than one list, or the write-ahead log could not be cut.
    """
    base = Layout(partitions).place(topic, partition).base
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1_000)
        with contextlib.closing(connection):
            while start < end:
                rows = connection.execute(_SELECT, (base | start, base | end)).fetchall()
                if not rows or rows[0][0] != start or rows[-1][0] != start + len(rows) - 1:
                    return
                yield rows
                start += len(rows)
    except sqlite3.Error as error:
        raise LogUnreachable(f"cannot read the log {path}: {error}") from error

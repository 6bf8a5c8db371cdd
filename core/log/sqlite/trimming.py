"""Deleting: what is below a position, and what a newer value of the same key has replaced.

In slices of so many rows a transaction, so that nobody waits for long. The start moves first: a reader sees all of a
partition from its start, or is told that its position is gone. The file does not shrink; its free pages are used again.
"""

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path
from typing import Final

from ...errors import LogUnreachable
from .file import connect
from .layout import OFFSET_MASK, Place
from .transaction import Transaction
from .worker import Worker

ROWS: Final = 2_000

# Keys only: SQLite does not touch the overflow pages that large values fill.
_OVERWRITTEN: Final = """
SELECT position FROM (
  SELECT position, value IS NULL AS gone, row_number() OVER (PARTITION BY key ORDER BY position DESC) AS newest
  FROM records WHERE position BETWEEN ? AND ?
) WHERE position < ? AND (newest > 1 OR gone)
"""


async def trim(worker: Worker, place: Place, before: int) -> None:
    """Delete what is below `before` (or below the end, where that is less)."""
    if await worker.run(partial(_move_start, place=place, before=before)):
        while await worker.run(partial(_delete_below_start, place=place)):
            pass


def _move_start(transaction: Transaction, place: Place, before: int) -> bool:
    start = min(before, transaction.nexts[place.head])
    if start <= transaction.starts[place.head]:
        return False
    transaction.starts[place.head] = start
    transaction.changed = True
    return True


def _delete_below_start(transaction: Transaction, place: Place) -> bool:
    bounds = (place.base, place.base | transaction.starts[place.head], ROWS)
    positions = transaction.connection.execute(
        "SELECT position FROM records WHERE position >= ? AND position < ? ORDER BY position LIMIT ?", bounds
    ).fetchall()
    if positions:
        transaction.execute("DELETE FROM records WHERE position BETWEEN ? AND ?", positions[0][0], positions[-1][0])
    return len(positions) == ROWS


async def compact(path: Path, worker: Worker, place: Place, before: int) -> None:
    """Delete, below `before`, overwritten values and tombstones, the oldest first."""
    positions = await asyncio.to_thread(_overwritten, path, place, before)
    for at in range(0, len(positions), ROWS):
        await worker.run(partial(_delete, positions=positions[at : at + ROWS]))


def _overwritten(path: Path, place: Place, before: int) -> list[int]:
    parameters = (place.base, place.base | OFFSET_MASK, place.base | max(0, before))
    try:
        with contextlib.closing(connect(path)) as connection:
            return sorted(position for (position,) in connection.execute(_OVERWRITTEN, parameters).fetchall())
    except sqlite3.Error as error:
        raise LogUnreachable(f"cannot read the log {path}: {error}") from error


def _delete(transaction: Transaction, positions: list[int]) -> None:
    marks = ",".join("?" * len(positions))
    transaction.execute(f"DELETE FROM records WHERE position IN ({marks})", *positions)  # noqa: S608 question marks only

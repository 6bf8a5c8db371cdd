"""One transaction of the writing thread, into which the jobs of a group write.

Rows are collected and inserted in a few many-row statements: SQLite gives Python's lock back and takes it again at
every step, and beside a busy main thread each of these is a wait.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from .file import State, pack, read_state
from .rows import Encoded

_COLUMNS: Final = 5
_CHUNKS: Final = (1000, 250, 60, 15, 4, 1)
"""Rows a statement; 1000 x 5 parameters is far under SQLite's limit of 32,766."""
_INSERTS: Final = {rows: "INSERT INTO records VALUES " + ",".join(["(?,?,?,?,?)"] * rows) for rows in _CHUNKS}  # noqa: S608


class Transaction:
    """Begun by the worker; `flush` writes what the jobs left here, the worker commits."""

    def __init__(self, connection: sqlite3.Connection, at_us: int, monotonic_us: int) -> None:
        self.connection = connection
        self.at_us = at_us
        self.monotonic_us = monotonic_us
        state = self._before = read_state(connection)
        self.version = state.version
        self.generation = state.generation
        self.starts = list(state.starts)
        self.nexts = list(state.nexts)
        self.epochs = list(state.epochs)
        self.changed = False
        self._row_values: list[Any] = []

    def append(self, drafts: Sequence[Encoded]) -> list[int]:
        """Give the drafts the next offsets of their partitions and write them with the rest."""
        nexts, at_us, values = self.nexts, self.at_us, self._row_values
        offsets = []
        for head, base, key, value, headers in drafts:
            offset = nexts[head]
            nexts[head] = offset + 1
            offsets.append(offset)
            values += (base | offset, at_us, key, value, headers)
        self.changed = self.changed or bool(drafts)
        return offsets

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """Change something else than records."""
        self.changed = True
        return self.connection.execute(statement, parameters)

    def flush(self) -> State:
        """Write rows and the new state; return that state. A heartbeat changes none and writes one page less."""
        self._insert()
        state = State(self.version, self.generation, tuple(self.starts), tuple(self.nexts), tuple(self.epochs))
        if state == self._before:
            return state
        state = state._replace(version=self.version + 1)
        self.connection.execute(
            "UPDATE log SET version = ?, generation = ?, starts = ?, nexts = ?, epochs = ?",
            (state.version, state.generation, pack(state.starts), pack(state.nexts), pack(state.epochs)),
        )
        return state

    def _insert(self) -> None:
        values, at = self._row_values, 0
        for rows in _CHUNKS:
            size = rows * _COLUMNS
            while len(values) - at >= size:
                self.connection.execute(_INSERTS[rows], values[at : at + size])
                at += size


def put_setting(transaction: Transaction, name: str, value: str, expected: str | None) -> bool:
    """Set a setting if it is still `expected` (None: absent); return whether it was."""
    rows = transaction.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchall()
    if (rows[0][0] if rows else None) != expected:
        return False
    transaction.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value)
    return True

"""Copying the WAL back into the file, outside the path of a commit.

SQLite's automatic checkpoint would put two fsyncs and a thousand page writes into one unlucky commit. Here, whenever
the WAL is larger than 16 MB, a thread with a connection of its own makes a PASSIVE checkpoint, which blocks nobody; what
was written meanwhile is little, so the writer itself copies that between two transactions, and its next one starts the WAL over.
What the WAL holds is durable: nothing needs a checkpoint when idle, and the last process to close makes a whole one.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Final

from .file import WAL_BYTES, connect

LOOK_EVERY: Final = 64
"""Commits between two looks at the WAL's size."""


class Checkpointer:
    """Told by the writing thread of every commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._commits = 0
        self._thread: threading.Thread | None = None

    def written(self, connection: sqlite3.Connection) -> None:
        """Count a commit; begin or finish a checkpoint if it is time."""
        self._commits += 1
        if self._thread is not None:
            self._finish(self._thread, connection)
        elif self._commits % LOOK_EVERY == 0 and self._wal_bytes() > WAL_BYTES:
            self._thread = threading.Thread(
                target=self._copy, name=f"hms-log-checkpoint {self._path.name}", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Wait for a checkpoint under way."""
        if self._thread is not None:
            self._thread.join()

    def _finish(self, thread: threading.Thread, connection: sqlite3.Connection) -> None:
        if not thread.is_alive():
            self._thread = None
            _checkpoint(connection)

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _copy(self) -> None:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(self._path)) as connection:
            _checkpoint(connection)


def _checkpoint(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # another process is at it, or the disk is full: later
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

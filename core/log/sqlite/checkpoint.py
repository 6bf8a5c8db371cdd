"""Copying the WAL back into the file, outside the path of a commit.

SQLite's automatic checkpoint would put two fsyncs and a thousand page writes into one unlucky commit. Here a thread with a
connection of its own makes PASSIVE checkpoints, which block nobody: after every 16 MB or so of commits, and after a second
without any. The WAL starts over once one of them has caught up with its end.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Final

from .file import connect

WAL_BYTES: Final = 16 << 20


class Checkpointer:
    """Told by the writer of every commit; works in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._wanted = threading.Event()
        self._closing = False
        self._commits = 0
        self._thread = threading.Thread(target=self._run, name=f"hms-log-checkpoint {path.name}", daemon=True)
        self._thread.start()

    def written(self) -> None:
        """Count a commit; look at the WAL's size every now and then."""
        self._commits += 1
        if self._commits % 64 == 0 and self._wal_bytes() > WAL_BYTES:
            self._wanted.set()

    def idle(self) -> None:
        """Nothing happened for a second."""
        if self._commits:
            self._commits = 0
            self._wanted.set()

    def close(self) -> None:
        """End the thread; the last process that closes the log makes SQLite's own, whole checkpoint."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                return
            with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(self._path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

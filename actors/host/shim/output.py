"""A component's stdout and stderr: drained as fast as it comes, rotated by size, the last lines kept for the report."""

# ruff: noqa: PTH105, PTH107 - pathlib would cost each shim 5 ms and a megabyte

import contextlib
import os
from collections import deque

from .record import LINE_LENGTH, LINES_KEPT

CHUNK_BYTES = 65_536
TAIL_BYTES = LINES_KEPT * LINE_LENGTH


class Output:
    """Appends to `path`; at `max_bytes` renames it to `path.1`, the older ones on to `path.KEEP`."""

    def __init__(self, source: int, path: str, max_bytes: int, keep: int) -> None:
        """Take over the reading end of a pipe."""
        self.source = source
        self.dropped_bytes = 0
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._file = self._open()
        os.set_blocking(source, False)

    def drain(self) -> bool:
        """Take what is there, at most one chunk; False at the end of the stream."""
        try:
            chunk = os.read(self.source, CHUNK_BYTES)
        except BlockingIOError:
            return True
        if chunk:
            self._remember(chunk)
            self._write(chunk)
        return bool(chunk)

    def drain_all(self) -> None:
        """Take all that dead writers left in the pipe; a stranger that holds it open is not waited for."""
        while True:
            try:
                chunk = os.read(self.source, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                return
            self._remember(chunk)
            self._write(chunk)

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, each cut to a length fit for a report."""
        text = b"".join(self._tail)[-TAIL_BYTES:].decode(errors="replace")
        return tuple(line[:LINE_LENGTH] for line in text.splitlines()[-LINES_KEPT:])

    def _remember(self, chunk: bytes) -> None:
        self._tail.append(chunk[-TAIL_BYTES:])
        self._tail_bytes += len(self._tail[-1])
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    def _write(self, chunk: bytes) -> None:
        # A full disk must never stop the component: what cannot be kept is counted and let go.
        try:
            if self._file < 0:
                self._file = self._open()
            written = os.write(self._file, chunk)
            self.dropped_bytes += len(chunk) - written
            if os.fstat(self._file).st_size >= self._max_bytes:
                self._rotate()
        except OSError:
            self.dropped_bytes += len(chunk)

    def _rotate(self) -> None:
        os.close(self._file)
        self._file = -1
        for number in range(self._keep, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{self._path}.{number}")
        if not self._keep:
            os.remove(self._path)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            return -1

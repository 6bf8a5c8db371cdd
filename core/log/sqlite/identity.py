"""Whether the path still names the file that was opened.

SQLite goes on writing into a file that was deleted or replaced, and answers as if all were well; whoever opens the path
afterwards finds another log. So the writing thread looks before every transaction, and stops for good.
"""

import os
from pathlib import Path

from ...errors import LogUnreachable


class FileIdentity:
    """The file that a log was opened with; a backup put in its place is another log and needs another opening."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = _identity(path)

    def check(self) -> None:
        """Raise `LogUnreachable` if the path names nothing or something else now."""
        if _identity(self._path) != self._opened:
            raise LogUnreachable(
                f"the log {self._path} was removed or replaced while it was open; nothing was written. "
                "Put the file back, or end this process and start it again on what is there"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - before every transaction: Path.stat costs twice as much
    except OSError:
        return None
    return status.st_dev, status.st_ino

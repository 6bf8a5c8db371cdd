"""How far the agent has read its commands, on disk; reading some again does no harm."""

from pathlib import Path

from ...core.log.port import OUTBOX, Log
from ...schemas import partition_of
from ..host.shim import record


class Position:
    """The next offset of the outbox to read, remembered per log."""

    def __init__(self, path: Path, log_id: str) -> None:
        """Read what was reached; nothing if that was in another log."""
        stored = record.load(str(path)) or {}
        self._path = path
        self._log_id = log_id
        self._reached: int | None = stored.get("position") if stored.get("log") == log_id else None
        self._saved = self._reached

    async def start(self, log: Log, address: str) -> int:
        """Return where to begin: where the last agent stopped, else with everything that is kept.

        A place beyond the log's end is of a newer copy of it: an older one was restored, and what it says was not read.
        """
        bounds = await log.watermarks(OUTBOX, partition_of(address, log.partitions))
        if self._reached is None or self._reached > bounds.high:
            return bounds.start
        return max(self._reached, bounds.start)

    def reach(self, position: int) -> None:
        """Note that everything before it is done."""
        self._reached = position

    def save(self) -> None:
        """Write it down, if it has changed. Raises `OSError`."""
        if self._reached != self._saved:
            record.store(str(self._path.parent), self._path.name, {"log": self._log_id, "position": self._reached})
            self._saved = self._reached

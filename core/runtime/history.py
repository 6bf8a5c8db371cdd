"""The port to cold history: an actor's events from before the log's low-water mark, wherever they are kept.

The log itself is the default; when an archive lets the log be trimmed, the readers' layer brings one that reads both.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from ..log.port import EVENTS, Log, Stored


class History(Protocol):
    """A shard's events from the beginning."""

    def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield the records of `hms.events` of a shard below an offset, in order, in lists."""
        ...


class LogHistory:
    """History as far as the log still holds it; raises `PositionTrimmed` where it does not."""

    def __init__(self, log: Log, *, records: int = 2_000) -> None:
        self._log = log
        self._records = records

    async def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield what the log holds."""
        position = 0
        while position < before:
            read = await self._log.read(EVENTS, shard, position, records_max=self._records)
            yield [stored for stored in read.records if stored.offset < before]
            if read.position == position:
                return
            position = read.position

"""One stream of records over archive and log: whoever reads through it never cares which half answered.

What the log still holds is read from the log; only what it has deleted comes from the archive. A record that neither
holds is an error which names the gap, never silence.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from ..core.errors import PositionTrimmed
from ..core.log.port import CHECKPOINTS, EVENTS, SCHEMAS, TOPICS, Log, Stored
from ..core.runtime.history import records_between
from ..core.runtime.housekeeping import first_offset_since
from .archive.errors import HistoryGap

Place = tuple[str, int]
"""A topic and a partition of it."""

FOLLOWED: Final = tuple(topic for topic in TOPICS if topic != CHECKPOINTS)
"""The topics that have a history; checkpoints are made from it and can be made again."""


class AsOf(NamedTuple):
    """One moment of a history: `positions` are exclusive ends, what is below them is in it.

    `taken_at_us` is the instant that was asked for, else this machine's time when the positions were taken.
    """

    taken_at_us: int
    positions: Mapping[Place, int]


class Archive(Protocol):
    """What a history needs of an archive; `hms.replay.archive.reader.Archive` is one."""

    partitions: int

    async def refresh(self) -> None:
        """Learn what was archived since the last time."""
        ...

    def covered(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return the first position and the next one; None for a place of which nothing is archived."""
        ...

    def first_since(self, topic: str, partition: int, since_us: int) -> int | None:
        """Return the position of the first archived record that was appended at or after an instant, if there is one."""
        ...

    def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield the archived records of a range, in order; raises `HistoryGap` for what is not covered."""
        ...

    def read_left(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> Iterator[list[Stored]]:
        """Yield what is left of a range, whatever was deleted from it by policy, in order."""
        ...


class History:
    """The records of every topic but the checkpoints, from the first one that was ever kept.

    Give it a log, an archive, or both; a log alone is a history as long as nothing was deleted. It satisfies
    `hms.core.runtime.history.History` too, so a shard can be restored from it.
    """

    def __init__(self, log: Log | None, archive: Archive | None = None) -> None:
        if log is None and archive is None:
            raise ValueError("expected a log, an archive, or both")
        self.log = log
        self.archive = archive

    @property
    def partitions(self) -> int:
        """The number of shards."""
        return (self.log or self._archived()).partitions

    def places(self, topics: Iterable[str] = FOLLOWED) -> list[Place]:
        """Return every (topic, partition) of some topics."""
        return [(topic, shard) for topic in topics for shard in range(1 if topic == SCHEMAS else self.partitions)]

    async def as_of(self, topics: Iterable[str] = FOLLOWED, *, at_us: int | None = None) -> AsOf:
        """Return the positions of now (all that is committed), or of an instant by the log's append time.

        An open transaction hides what is behind it from now's positions, as it does from every reader.
        """
        await self._refresh()
        places = self.places(topics)
        if at_us is None:
            taken_us = time.time_ns() // 1_000
            ends = await asyncio.gather(*(self.bounds(*place) for place in places))
            return AsOf(taken_us, {place: end for place, (_, end) in zip(places, ends, strict=True)})
        positions = await asyncio.gather(*(self._position_at(*place, at_us) for place in places))
        return AsOf(at_us, dict(zip(places, positions, strict=True)))

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first position that is kept anywhere, and the next one to be written."""
        covered = self.archive.covered(topic, partition) if self.archive is not None else None
        if self.log is None:
            return covered or (0, 0)
        marks = await self.log.watermarks(topic, partition)
        if covered is None:
            return marks.start, marks.stable
        return min(marks.start, covered[0]), max(marks.stable, covered[1])

    async def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield every committed record from `start` to below `end`, in order, in lists; with or without headers.

        Raises `HistoryGap` for records that are kept nowhere, and what the log and the archive raise.
        """
        position = start
        while position < end:
            kept_from = end if self.log is None else (await self.log.watermarks(topic, partition)).start
            if position < kept_from:
                cold_end = min(end, kept_from)
                async for records in self._cold(topic, partition, position, cold_end, headers=headers):
                    yield records
                position = cold_end
                continue
            try:
                async for records in self._hot(topic, partition, position, end, headers=headers):
                    if records:
                        position = records[-1].offset + 1
                        yield records
            except PositionTrimmed as error:  # trimmed meanwhile: what is gone now has been archived before
                if error.start <= position:
                    raise
                continue
            return

    async def left(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[list[Stored]]:
        """Yield what is left of a range, whatever was deleted from it, in order, without headers."""
        kept_from = end if self.log is None else min(end, (await self.log.watermarks(topic, partition)).start)
        if self.archive is not None and start < kept_from:
            reading = self.archive.read_left(topic, partition, start, kept_from)
            while (found := await asyncio.to_thread(next, reading, None)) is not None:
                yield found
        if kept_from < end:
            async for records in self.records(topic, partition, max(start, kept_from), end):
                yield records

    async def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield a shard's events from the very first one: the port that a shard's restore reads through."""
        async for records in self.records(EVENTS, shard, 0, before):
            yield records

    # --- the halves ---------------------------------------------------------------------------------------------

    async def _hot(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool
    ) -> AsyncIterator[list[Stored]]:
        if self.log is not None:
            async for records in records_between(self.log, topic, partition, start, end, headers=headers):
                yield records

    async def _cold(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool
    ) -> AsyncIterator[list[Stored]]:
        if self.archive is None:
            raise HistoryGap(topic, partition, start, end, "there is no archive to look into: name it by --archive")
        covered = self.archive.covered(topic, partition)
        if covered is None or covered[1] < end:
            await self.archive.refresh()
        async for records in self.archive.records(topic, partition, start, end, headers=headers):
            yield records

    async def _position_at(self, topic: str, partition: int, at_us: int) -> int:
        """Return the position behind the last record that was appended at or before an instant."""
        if self.archive is not None:
            kept_from = None if self.log is None else (await self.log.watermarks(topic, partition)).start
            found = self.archive.first_since(topic, partition, at_us + 1)
            if found is not None and (kept_from is None or found < kept_from):
                return found
        if self.log is None:
            return (await self.bounds(topic, partition))[1]
        return await first_offset_since(self.log, topic, partition, at_us + 1)

    async def _refresh(self) -> None:
        if self.archive is not None:
            await self.archive.refresh()

    def _archived(self) -> Archive:
        if self.archive is None:
            raise ValueError("expected a log, an archive, or both")
        return self.archive

"""What one step takes out of the log: some topics' next records, bounded in number and in bytes."""

import asyncio
from typing import Final, NamedTuple

from ...core.errors import PositionBeyond, PositionTrimmed
from ...core.log.port import OUTBOX, SCHEMAS, Log, Stored, Watermarks
from ..history import FOLLOWED, Place
from .chain import anchor_of
from .errors import ArchiveMismatch, HistoryGap
from .manifest import Gap
from .shard_state import ShardState

READ_RECORDS: Final = 2_000
BATCH_RECORDS: Final = 200_000
BATCH_BYTES: Final = 96 << 20


class Taken(NamedTuple):
    """The records of one topic from `first` to below `next`; `is_all`: nothing more was visible when it was read.

    `complete_us`: every record that was appended before is taken; None where that is not known. It may go back, with the clock.
    """

    records: list[Stored]
    first: int
    next: int
    is_all: bool
    complete_us: int | None


def places_of(shard: int) -> list[Place]:
    """Return what the archive of a shard follows; the schemas, which have one partition, go with shard 0."""
    return [(topic, shard) for topic in FOLLOWED if topic != SCHEMAS or shard == 0]


class Reading:
    """Reads where an archive goes on."""

    def __init__(self, log: Log, shard: int, *, accept_gaps: bool = False, records_max: int = BATCH_RECORDS) -> None:
        self._log = log
        self._shard = shard
        self._accept_gaps = accept_gaps
        self._records_max = records_max
        self.gaps: list[Gap] = []

    async def take(self, state: ShardState) -> dict[str, Taken]:
        """Return the next records of each topic that has any; gaps that are accepted are noted in `gaps`."""
        self.gaps = []
        found: dict[str, Taken] = {}
        left, left_bytes = self._records_max, BATCH_BYTES
        now_us = await self._log.clock_us()
        for topic, partition in places_of(self._shard):
            marks = await self._log.watermarks(topic, partition)
            first = await self._first(topic, partition, marks, state)
            taken = await self._read(topic, partition, first, marks, left, left_bytes, now_us)
            found[topic] = taken
            left -= len(taken.records)
            left_bytes -= sum(len(stored.value or b"") for stored in taken.records)
        return found

    async def _first(self, topic: str, partition: int, marks: Watermarks, state: ShardState) -> int:
        """Return where to go on: behind what is archived, if the log still has that; a gap is an error, or noted."""
        position = state.next_of(topic)
        if position is not None and position > marks.high:
            raise ArchiveMismatch(str(PositionBeyond(topic, partition, position, marks.high)))
        await self._check_anchor(topic, partition, marks, state)
        start = position or 0
        if start >= marks.start:
            return start
        if topic == OUTBOX and position is None:
            why = "deleted by age before archiving began, as commands to participants are"
        elif self._accept_gaps:
            why = "deleted before it was archived; accepted by the operator"
        else:
            raise HistoryGap(
                topic,
                partition,
                start,
                marks.start,
                "the log deleted them before they were archived; `hms archive run --accept-gaps` notes that and goes on",
            )
        self.gaps.append(Gap(topic=topic, first=start, next=marks.start, why=why))
        return marks.start

    async def _check_anchor(self, topic: str, partition: int, marks: Watermarks, state: ShardState) -> None:
        """Hold the last archived record against the log's; one that is gone from the log says nothing."""
        anchor = state.anchors.get(topic)
        if anchor is None or anchor.position < marks.start or anchor.position >= marks.stable:
            return
        try:
            read = await self._log.read(topic, partition, anchor.position, records_max=1, headers=False)
        except PositionTrimmed:
            return
        there = next((stored for stored in read.records if stored.offset == anchor.position), None)
        if there is None and topic == SCHEMAS:
            return  # compacted: a newer record of the same schema stands for it
        if there is None or anchor_of(there).sha256 != anchor.sha256:
            raise ArchiveMismatch(
                f"{topic}/{partition}@{anchor.position}: expected the record that was archived last, got "
                f"{'none' if there is None else 'another'}: the topic was deleted and made again, or the log restored from a "
                "copy that went another way. Go on with another archive (hms archive run --anew), or restore the log from this "
                "one (hms archive restore)"
            )

    async def _read(
        self, topic: str, partition: int, first: int, marks: Watermarks, left: int, left_bytes: int, now_us: int
    ) -> Taken:
        records: list[Stored] = []
        position, size = first, 0
        while position < marks.stable and len(records) < left and size < left_bytes:
            count = min(READ_RECORDS, left - len(records))
            read = await self._log.read(topic, partition, position, records_max=count)
            records += read.records
            size += sum(len(stored.value or b"") for stored in read.records)
            if read.position == position:
                break
            position = read.position
            await asyncio.sleep(0)  # a shard of this node comes first
        is_all = position >= marks.stable
        return Taken(records, first, position, is_all, _complete_us(marks, now_us, is_all=is_all))


def _complete_us(marks: Watermarks, now_us: int, *, is_all: bool) -> int | None:
    """Return before which instant every record is taken: now, if nothing is left and no transaction is open; else unknown."""
    return now_us if is_all and marks.stable == marks.high else None

"""What a shard writes and deletes so that its next restore is short: checkpoints, answer segments, compaction, the outbox.

Dirty actors ride in ordinary commits, oldest first, as many as it takes to keep the tail bounded; an idle shard writes
them all.
"""

from itertools import islice
from typing import NamedTuple

import structlog

from ..clock import Clock
from ..errors import HmsError
from ..log.limits import check_draft
from ..log.port import CHECKPOINTS, OUTBOX, Draft, Log
from .answer_segment import encode_segment
from .archived import outbox_floor
from .checkpoint_record import encode_checkpoint
from .dedup import Remembered
from .records import Answers, Checkpoint, ShardCheckpoint
from .restore import ShardMemory
from .shard_options import ShardOptions
from .turn import Turn
from .wire import Pen

logger = structlog.get_logger("hms.housekeeping")
CLEAN_EVERY_US = 600 * 1_000_000


class Upkeep(NamedTuple):
    """What goes along with one commit."""

    drafts: list[Draft]
    checkpointed: list[str]


class Housekeeping:
    """Keeps one shard's tail short and its compacted topics small."""

    def __init__(self, shard: int, log: Log, memory: ShardMemory, options: ShardOptions, clock: Clock) -> None:
        self._shard = shard
        self._log = log
        self._memory = memory
        self._options = options
        self._clock = clock
        self._cleaned_us = clock.monotonic_us()
        self._active_us = clock.monotonic_us()
        self._idle = False
        self._written = 0
        self._not_possible: set[str] = set()
        """Actors whose last state was none that a record can hold; tried again when they change."""

    def is_due(self) -> bool:
        """Tell whether the shard has been idle for long enough to write what is dirty, and let the next commit write it."""
        quiet_us = self._clock.monotonic_us() - self._active_us
        self._idle = (
            bool(self._memory.actors.dirty.keys() - self._not_possible) and quiet_us >= self._options.idle_ms * 1_000
        )
        return self._idle

    def prepare(self, pen: Pen, sequence: int, turn: Turn) -> Upkeep:
        """Return the checkpoints and segments that ride in the commit `sequence`."""
        memory = self._memory
        drafts: list[Draft] = []
        if turn.inputs:
            self._active_us = self._clock.monotonic_us()
        sealed = memory.answers.seal(memory.head.sequence, all_of_it=self._idle or self._tail_is_long())
        drafts.extend(self._segment_draft(pen, number, segment, sequence) for number, segment in sealed)
        dead = memory.answers.forget(turn.now_us, turn.newest_at_us)
        drafts.extend(self._tombstone(number) for number in dead)
        checkpointed = self._write_checkpoints(pen, self._due(turn), sequence, drafts)
        if drafts:
            drafts.append(self._shard_checkpoint(pen, sequence, set(checkpointed)))
        self._written += len(drafts)
        self._idle = False
        return Upkeep(drafts, checkpointed)

    def _write_checkpoints(self, pen: Pen, addresses: list[str], sequence: int, drafts: list[Draft]) -> list[str]:
        """Add the checkpoints of actors, as many as one commit may hold; return of which."""
        written: list[str] = []
        size = 0
        for address in addresses:
            draft = self._checkpoint_draft(pen, address, sequence)
            if draft is not None:
                drafts.append(draft)
                written.append(address)
                size += len(draft.value or b"")
            if size >= self._options.commit_bytes_max:
                break
        return written

    def done(self, upkeep: Upkeep, turn: Turn, first: int) -> None:
        """Take the commit in: what is clean now, what has become dirty."""
        dirty = self._memory.actors.dirty
        for address in upkeep.checkpointed:
            dirty.pop(address, None)
        clean = set(upkeep.checkpointed)
        for address in turn.touched:
            if address not in clean:
                self._not_possible.discard(address)
                self._memory.actors.mark_dirty(address, first)
        self._memory.actors.passivate()

    async def clean(self) -> None:
        """Every ten minutes: compact the checkpoints, delete old commands to participants outside.

        A log that cannot do that now is no reason for the shard to end: the next time will do.
        """
        now_us = self._clock.monotonic_us()
        if now_us - self._cleaned_us < CLEAN_EVERY_US:
            return
        self._cleaned_us = now_us
        try:
            await self._clean()
        except HmsError as error:
            logger.warning("cleaning_failed", shard=self._shard, error=str(error))

    async def _clean(self) -> None:
        if self._written:
            end = (await self._log.watermarks(CHECKPOINTS, self._shard)).stable
            await self._log.compact(CHECKPOINTS, self._shard, end)
            self._written = 0
        newest_us = await newest_append_us(self._log, OUTBOX, self._shard)
        before = await first_offset_since(
            self._log, OUTBOX, self._shard, newest_us - self._options.outbox_kept_ms * 1_000
        )
        floor = await outbox_floor(self._log, self._shard)
        await self._log.trim(OUTBOX, self._shard, before if floor is None else min(before, floor))

    def _tail_is_long(self) -> bool:
        """Tell whether answers that are not sealed yet keep the low-water mark far back."""
        since = self._memory.answers.open_since
        return since is not None and self._memory.events_end - since[1] > self._options.tail_events_max

    def _due(self, turn: Turn) -> list[str]:
        memory = self._memory
        dirty = memory.actors.dirty
        if self._idle:
            possible = [address for address in dirty if address not in self._not_possible]
            return possible[: self._options.checkpoints_per_commit * 10]
        if not dirty or memory.events_end - next(iter(dirty.values())) < self._options.tail_events_max:
            return []
        count = max(self._options.checkpoints_per_commit, len(turn.touched))
        return list(islice((address for address in dirty if address not in self._not_possible), count))

    def _checkpoint_draft(self, pen: Pen, address: str, sequence: int) -> Draft | None:
        """Return an actor's checkpoint; None for a state that no record can hold: its events stay in the tail instead."""
        memory = self._memory
        try:
            cell = memory.actors.get(address)
            if cell is None:
                self._not_possible.add(address)
                return None
            contract = memory.behaviours.contract
            body = encode_checkpoint(cell, contract, sequence)
            id_parts = ("checkpoint", str(sequence))
            draft = pen.own_body(address, CHECKPOINTS, contract.of(Checkpoint), body, id_parts=id_parts)
            check_draft(draft)
        except Exception as error:  # noqa: BLE001 - a behaviour may make a state of anything: it concerns one actor
            logger.error("checkpoint_not_possible", actor=address, error=str(error)[:1_000])  # noqa: TRY400 - its text is enough
            self._not_possible.add(address)
            return None
        return draft

    def _segment_draft(self, pen: Pen, number: int, segment: list[Remembered], sequence: int) -> Draft:
        key = f"shard/{self._shard}/answers/{number}"
        record_type = self._memory.behaviours.contract.of(Answers)
        id_parts = ("answers", str(number), str(sequence))
        return pen.own_body(key, CHECKPOINTS, record_type, encode_segment(segment), id_parts=id_parts)

    def _tombstone(self, number: int) -> Draft:
        return Draft(CHECKPOINTS, self._shard, f"shard/{self._shard}/answers/{number}".encode(), None)

    def _shard_checkpoint(self, pen: Pen, sequence: int, checkpointed: set[str]) -> Draft:
        memory = self._memory
        marks = [memory.events_end]
        marks.extend(
            next(([offset] for address, offset in memory.actors.dirty.items() if address not in checkpointed), [])
        )
        if memory.answers.open_since is not None:
            marks.append(memory.answers.open_since[1])
        record = ShardCheckpoint(
            sequence=sequence,
            low_water=min(marks),
            answers_sequence=memory.answers.sealed_sequence,
            refused_before_us=tuple(memory.answers.refused_before_us),
            forgotten_at_us=memory.answers.forgotten_at_us,
            segments=memory.answers.segments,
        )
        return pen.own(f"shard/{self._shard}", CHECKPOINTS, record, id_parts=("shard", str(sequence)))


async def newest_append_us(log: Log, topic: str, partition: int) -> int:
    """Return when the last visible record was appended, by the log's own clock (a node's may be wrong); 0 without one."""
    marks = await log.watermarks(topic, partition)
    for back in (1, 100):  # markers and aborted records are not visible
        read = await log.read(topic, partition, max(marks.start, marks.stable - back), records_max=back)
        if read.records:
            return read.records[-1].at_us
    return 0


async def first_offset_since(log: Log, topic: str, partition: int, since_us: int) -> int:
    """Return the offset of the first record appended at or after an instant, by bisection."""
    marks = await log.watermarks(topic, partition)
    low, high = marks.start, marks.stable
    while low < high:
        middle = (low + high) // 2
        read = await log.read(topic, partition, middle, records_max=1)
        if read.records and read.records[0].at_us < since_us:
            low = read.records[0].offset + 1
        else:
            high = middle
    return low

"""A shard's commits one after another, with the messages that they consumed: what replay, verification and forks read.

Memory holds one transaction and a batch of each lane, however long the history is.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ...schemas import Contract
from ..errors import HistoryBroken, PositionTrimmed
from ..log.port import EVENTS, LANES, Log, Stored
from .commit_record import SHARD_KEY, commit_fields
from .history import records_between
from .records import TIMER_LANE


class Records(Protocol):
    """Whoever gives committed records of any topic: a log, or its history with the archive."""

    def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield every record from `start` to below `end`, in order, in lists."""
        ...


class CommitMissing(HistoryBroken):
    """The log ends with `events` that no commit record speaks of."""

    def __init__(self, shard: int, events: list[Stored]) -> None:
        super().__init__(
            f"hms.events/{shard}@{events[0].offset}: expected a commit record behind every event, found none"
        )
        self.events = events


class LogRecords:
    """What a log still holds, as `Records`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield them."""
        async for records in records_between(self._log, topic, partition, start, end, headers=headers):
            yield records


class Transaction(NamedTuple):
    """One commit as the log holds it: its events, its commit record's fields, value and place."""

    events: list[Stored]
    fields: dict[str, Any]
    record: Stored


async def commits(records: Records, shard: int, contract: Contract, start: int, end: int) -> AsyncIterator[Transaction]:
    """Yield a shard's commits between two offsets of `hms.events`. Raises `HistoryBroken` for events without a record."""
    async for events, record in transactions_of(records, shard, start, end):
        yield Transaction(events, commit_fields(contract, record.value or b""), record)


async def transactions_of(
    records: Records, shard: int, start: int, end: int
) -> AsyncIterator[tuple[list[Stored], Stored]]:
    """Yield each transaction's events and its commit record, undecoded."""
    events: list[Stored] = []
    async for batch in records.records(EVENTS, shard, start, end):
        for stored in batch:
            if stored.key.startswith(SHARD_KEY):
                yield events, stored
                events = []
            else:
                events.append(stored)
    if events:
        raise CommitMissing(shard, events)


class Inputs:
    """The messages that a shard's commits consumed, read along with them: each lane is consumed in the order it has."""

    def __init__(
        self, records: Records, shard: int, ends: Sequence[int], *, starts: Sequence[int] | None = None
    ) -> None:
        """Make it; `ends` are the next offsets of the four lanes, and with `starts` what is missing is None, no error."""
        firsts = (0,) * len(LANES) if starts is None else starts
        bounds = zip(LANES, firsts, ends, strict=True)
        self._lanes = [_Lane(records, topic, shard, *bound, lenient=starts is not None) for topic, *bound in bounds]

    async def of(self, fields: Mapping[str, Any]) -> list[Stored | None]:
        """Return what a commit consumed, in order; None for a timer. Raises `HistoryBroken` for what is not there (or None)."""
        wanted: tuple[list[int], ...] = ([], [], [], [])
        for given in fields["inputs"]:
            if given["lane"] != TIMER_LANE:
                wanted[given["lane"]].append(given["offset"])
        taken = [iter(await lane.take(offsets)) for lane, offsets in zip(self._lanes, wanted, strict=True)]
        return [None if given["lane"] == TIMER_LANE else next(taken[given["lane"]]) for given in fields["inputs"]]

    async def close(self) -> None:
        """Stop reading."""
        for lane in self._lanes:
            await lane.close()


class _Lane:
    def __init__(self, records: Records, topic: str, shard: int, start: int, end: int, *, lenient: bool) -> None:
        self._start = start
        self._lenient = lenient
        self._records = records
        self._topic = topic
        self._shard = shard
        self._end = end
        self._batches: Any = None
        self._buffer: deque[Stored] = deque()

    async def take(self, offsets: Sequence[int]) -> list[Stored | None]:
        """Return the records at these offsets, which never go back."""
        found: list[Stored | None] = []
        buffer = self._buffer
        for offset in offsets:
            if buffer and buffer[0][2] == offset:  # as nearly always: it saves the next call
                found.append(buffer.popleft())
                continue
            stored = await self._at(offset)
            if stored is None and not self._lenient:
                raise self._missing(offset)
            found.append(stored)
        return found

    async def _at(self, offset: int) -> Stored | None:
        buffer = self._buffer
        while offset >= self._start:
            if not buffer and not await self._fill(offset):
                return None
            if buffer[0].offset >= offset:
                return buffer.popleft() if buffer[0].offset == offset else None
            buffer.popleft()
        return None

    async def _fill(self, offset: int) -> bool:
        """Read on, from the first offset that anybody wants; return whether there was anything."""
        if self._batches is None:
            self._batches = self._records.records(self._topic, self._shard, offset, self._end, headers=True)
        try:
            async for batch in self._batches:
                if batch:
                    self._buffer.extend(batch)
                    return True
        except PositionTrimmed:  # meanwhile: what is gone is gone
            if not self._lenient:
                raise
        return False

    def _missing(self, offset: int) -> HistoryBroken:
        return HistoryBroken(
            f"{self._topic}/{self._shard}@{offset}: expected the message that a commit consumed, found none; "
            "run `hms log verify` and restore a backup"
        )

    async def close(self) -> None:
        if self._batches is not None:
            await self._batches.aclose()

"""Committed records out of the raw batches of a Fetch, decoded when they are asked for and in bounded portions.

A broker sends batches as they were written: markers, records of aborted transactions (it names these) and, where they are
compressed, records before the position are all in there. What is skipped here moves the position.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from struct import Struct
from typing import Any, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from ..port import Headers, Slice, Stored
from .fetch import Place
from .lenient import decode_batch

_HEAD: Final = Struct(">qi")
"""First offset and length of a batch."""
_LAST_DELTA: Final = Struct(">i")
_LAST_DELTA_AT: Final = 23
_LOG_APPEND_TIME: Final = 1


class Batches:
    """The batches of one answer; `position` is where to go on, `end` where the next answer has to begin."""

    def __init__(self, place: Place, position: int, data: bytes, aborted: Iterable[tuple[int, int]]) -> None:
        self.position = position
        self.size = len(data)
        self.end = max(position, end_of(data))
        self._place = place
        self._data = data
        self._raw = MemoryRecords(data)
        self._aborted = sorted(((first, producer) for producer, first in aborted), reverse=True)
        self._hidden: set[int] = set()
        self._batch: Any = None
        self._records: Iterator[Any] = iter(())

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.position >= self.end

    def take(self, records_max: int, *, headers: bool) -> list[Stored]:
        """Return the next committed records."""
        records: list[Stored] = []
        while len(records) < records_max and (self._batch is not None or self._next_batch()):
            records += self._decode(records_max - len(records), headers=headers)
        return records

    def _next_batch(self) -> bool:
        """Go to the next batch of committed records; return whether there is one."""
        while self._raw.has_next():
            batch = self._raw.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(
                    f"{self._place[0]}/{self._place[1]}: wrong checksum at {batch.base_offset}"
                )
            if not self._skips(batch):
                self._batch, self._records = batch, chain(batch)  # which, other than a batch, may be gone on with
                return True
            self.position = max(self.position, batch.next_offset)
        return False

    def _skips(self, batch: Any) -> bool:
        while self._aborted and self._aborted[-1][0] <= batch.base_offset:
            self._hidden.add(self._aborted.pop()[1])
        if batch.is_control_batch:
            if ControlRecord.parse(next(batch).key) == ABORT_MARKER:
                self._hidden.discard(batch.producer_id)
            return True
        return batch.is_transactional and batch.producer_id in self._hidden

    def _part(self, count: int) -> list[Any]:
        try:
            return list(islice(self._records, count))
        except UnicodeDecodeError:
            whole = next(self._data[start:end] for start, end in _spans(self._data) if self._is_current(start))
            self._records = (one for one in decode_batch(whole) if one.offset >= self.position)
            return list(islice(self._records, count))

    def _is_current(self, start: int) -> bool:
        first: int = _HEAD.unpack_from(self._data, start)[0]
        base: int = self._batch.base_offset
        return first == base

    def _decode(self, count: int, *, headers: bool) -> list[Stored]:
        """Return the next records of the batch, at most so many, and move on; those before the position are passed over."""
        batch, (topic, partition), new = self._batch, self._place, tuple.__new__
        at_us = batch.max_timestamp * 1_000 if batch.timestamp_type == _LOG_APPEND_TIME else None
        found: list[Stored] = []
        while not found:
            part = self._part(count)
            found = [
                new(
                    Stored,
                    (
                        topic,
                        partition,
                        one.offset,
                        one.timestamp * 1_000 if at_us is None else at_us,
                        one.key or b"",
                        one.value,
                        _headers(one.headers) if headers else (),
                    ),
                )
                for one in part
            ]
            if found and found[0].offset < self.position:
                found = [one for one in found if one.offset >= self.position]
            if len(part) < count:
                self.position, self._batch = max(self.position, batch.next_offset), None
                return found
        self.position = found[-1].offset + 1
        return found


class Buffer:
    """What was fetched of one place and not taken yet: from `position` on, up to `end`."""

    def __init__(self, place: Place, position: int) -> None:
        self.place = place
        self.position = position
        self.end = position
        self.size = 0
        self._parts: deque[Batches] = deque()

    def add(self, data: bytes, aborted: Iterable[tuple[int, int]]) -> None:
        """Put the answer to a Fetch at `end` behind the rest."""
        part = Batches(self.place, self.end, data, aborted)
        if part.end > self.end:
            self._parts.append(part)
            self.size += part.size
            self.end = part.end

    def take(self, records_max: int, *, headers: bool) -> Slice:
        """Return the next records and where to go on."""
        records: list[Stored] = []
        while self._parts and len(records) < records_max:
            part = self._parts[0]
            records += part.take(records_max - len(records), headers=headers)
            self.position = part.position
            if part.done:
                self.size -= self._parts.popleft().size
        return Slice(records, self.position)


def end_of(data: bytes) -> int:
    """Return the offset behind the last whole batch, 0 if there is none."""
    start = -1
    for start, _ in _spans(data):  # noqa: B007 the last one
        pass
    if start < 0:
        return 0
    first: int = _HEAD.unpack_from(data, start)[0]
    delta: int = _LAST_DELTA.unpack_from(data, start + _LAST_DELTA_AT)[0]
    return first + delta + 1


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each whole batch begins and ends."""
    start, size = 0, len(data)
    while start + _HEAD.size <= size:
        end = start + _HEAD.size + _HEAD.unpack_from(data, start)[1]
        if end > size:
            return
        yield start, end
        start = end


def _headers(headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    return tuple([(name, value or b"") for name, value in headers])

"""One partition as Kafka keeps it: records, markers that take offsets, open transactions that hide what is behind."""

from bisect import bisect_left

from ...errors import PositionBeyond, PositionTrimmed
from ..port import Draft, Slice, Stored, Watermarks


class SimulatedPartition:
    """Offsets of aborted records, of markers and of compacted records stay gaps for ever."""

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.start = 0
        self.high = 0
        self._records: list[Stored] = []
        self._offsets: list[int] = []
        self._open: dict[int, list[int]] = {}

    @property
    def stable(self) -> int:
        """The last stable offset: where committed readers stop."""
        return min(offsets[0] for offsets in self._open.values()) if self._open else self.high

    def watermarks(self) -> Watermarks:
        """Return the bounds."""
        return Watermarks(self.start, self.stable, self.high)

    def append(self, draft: Draft, at_us: int, transaction: int | None = None) -> int:
        """Write a record, as part of a transaction or not; return its offset."""
        offset = self.high
        self._records.append(Stored(draft.topic, draft.partition, offset, at_us, *draft[2:]))
        self._offsets.append(offset)
        self.high += 1
        if transaction is not None:
            self._open.setdefault(transaction, []).append(offset)
        return offset

    def end(self, transaction: int, *, committed: bool) -> None:
        """Write the marker that ends a transaction; what it wrote shows from now on, or never."""
        offsets = self._open.pop(transaction)
        self.high += 1
        if not committed:
            self._remove(offsets)

    def read(self, position: int, records_max: int) -> Slice:
        """Return committed records and where to go on."""
        if position < self.start:
            raise PositionTrimmed(self.topic, self.number, position, self.start)
        if position > self.high:
            raise PositionBeyond(self.topic, self.number, position, self.high)
        stable = self.stable
        first, last = bisect_left(self._offsets, position), bisect_left(self._offsets, stable)
        if last - first > records_max:
            records = self._records[first : first + records_max]
            return Slice(records, records[-1].offset + 1 if records else position)
        return Slice(self._records[first:last], max(position, stable))

    def trim(self, before: int) -> None:
        """Delete what is below `before`, at most to the last stable offset."""
        self.start = max(self.start, min(before, self.stable))
        count = bisect_left(self._offsets, self.start)
        del self._records[:count], self._offsets[:count]

    def compact(self, before: int) -> None:
        """Drop, below `before`, overwritten values and tombstones."""
        stable = bisect_left(self._offsets, self.stable)
        newest = {record.key: record.offset for record in self._records[:stable]}
        old = self._records[: bisect_left(self._offsets, min(before, self.stable))]
        self._remove([record.offset for record in old if record.value is None or newest[record.key] != record.offset])

    def _remove(self, offsets: list[int]) -> None:
        gone = set(offsets)  # asked for membership only, never iterated
        self._records = [record for record in self._records if record.offset not in gone]
        self._offsets = [record.offset for record in self._records]

"""Which messages from outside have been handled, and what they were answered: exactly once from outside.

(source, id, actor) is remembered for a horizon (24 h by append time) in a bounded table. Entries are sealed into segments,
each written once as a checkpoint record, so remembering costs one small record a commit and a segment now and then.
Forgetting is safe for UUIDv7 ids: the newest creation time forgotten is kept for each lane, and an id as old as that is
refused. A caller's own id has no age; after the horizon it counts as new.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ...schemas import uuid7_time_us
from ..log.port import LANES
from .shard_options import ShardOptions

SEGMENT_BYTES: Final = 400_000


class Remembered(NamedTuple):
    """What an outside input got: the verdict and the answer (frame and body; empty: none); `at_us` is its append time."""

    source: str
    id: str
    actor: str
    lane: int
    at_us: int
    verdict: str
    answer: bytes

    @property
    def size(self) -> int:
        """About how many bytes it takes on the log."""
        return len(self.source) + len(self.id) + len(self.actor) + len(self.answer) + 40


class AnswerTable:
    """The remembered answers of one shard."""

    def __init__(self, options: ShardOptions) -> None:
        self._options = options
        self._entries: dict[tuple[str, str, str], Remembered] = {}
        self._open: list[Remembered] = []
        self._open_bytes = 0
        self._bytes = 0
        self._segments: dict[int, int] = {}
        self._next_segment = 0
        self.refused_before_us = [0] * len(LANES)
        """For each lane the newest creation time of a UUIDv7 that was forgotten."""
        self.forgotten_at_us = 0
        """The newest append time known at the last forgetting: the log's clock, as all times here, never a node's."""
        self.newest_at_us = 0
        self._before_s = -1
        self._before = ""
        self.sealed_sequence = -1
        """The last commit whose answers are all in sealed segments."""
        self.open_since: tuple[int, int] | None = None
        """(sequence, first offset) of the first commit whose answers are not sealed yet."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: tuple[str, str, str]) -> Remembered | None:
        """Return what the input (source, id, actor) got, or None if it is new."""
        return self._entries.get(key)

    def too_old(self, id: str, lane: int, appended_us: int) -> bool:  # noqa: A002
        """Tell whether an id's creation lies before the horizon, so that it may have been handled and forgotten.

        What waited in another lane while a busy one made the table forget is not old: only what was appended after the
        forgetting, or comes behind the forgotten in the same lane, is.
        """
        if not self._perhaps_old(id, appended_us):
            return False
        created = uuid7_time_us(id)
        if created is None:
            return False
        late = appended_us > self.forgotten_at_us and created <= max(self.refused_before_us)
        beyond = created < appended_us - self._options.answers_horizon_ms * 1_000
        return late or beyond or created <= self.refused_before_us[lane]

    def _perhaps_old(self, id: str, appended_us: int) -> bool:  # noqa: A002
        """Tell by the beginning of a UUIDv7, which sorts as its time does, whether a closer look is needed."""
        before_us = max(appended_us - self._options.answers_horizon_ms * 1_000, *self.refused_before_us)
        before_s = before_us // 1_000_000 + 1
        if before_s != self._before_s:
            self._before_s = before_s
            stamp = f"{before_s * 1_000:012x}"
            self._before = f"{stamp[:8]}-{stamp[8:]}"
        return id < self._before

    def remember(self, given: Remembered, sequence: int, first_offset: int) -> None:
        """Add what an input of commit `sequence`, whose first event is at `first_offset`, got."""
        self._open_bytes += self._add(given)
        self._open.append(given)
        if self.open_since is None:
            self.open_since = (sequence, first_offset)

    def _add(self, given: Remembered) -> int:
        """Take it in; return its size."""
        size = given.size
        if given.at_us > self.newest_at_us:  # noqa: PLR1730 - twice as fast as `max`, for each command
            self.newest_at_us = given.at_us
        self._entries[given.source, given.id, given.actor] = given
        self._bytes += size
        return size

    def forget(self, now_us: int, read_us: int) -> list[int]:
        """Drop what is beyond the horizon or the bound; return the segments that hold nothing live any more.

        The horizon counts from the newest append time (of what is remembered, or read with `read_us`), or from now if that
        is earlier: neither a node's clock that is ahead nor a broker's makes forgotten what is new.
        """
        self.newest_at_us = max(self.newest_at_us, read_us)
        before = min(now_us, self.newest_at_us) - self._options.answers_horizon_ms * 1_000
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            if oldest.at_us >= before and not self._overflows():
                break
            del self._entries[key]
            self._bytes -= oldest.size
            # Not later than its append: one sender's clock in the future must not make everybody's ids too old.
            created = min(uuid7_time_us(key[1]) or 0, oldest.at_us)
            self.refused_before_us[oldest.lane] = max(self.refused_before_us[oldest.lane], created)
            self.forgotten_at_us = self.newest_at_us
        return self._dead_segments()

    def _overflows(self) -> bool:
        return len(self._entries) > self._options.answers_max or self._bytes > self._options.answers_bytes_max

    def _dead_segments(self) -> list[int]:
        sealed_live = len(self._entries) - len(self._open)
        kept = 0
        dead: list[int] = []
        for number, size in reversed(self._segments.items()):
            if kept >= sealed_live:
                dead.append(number)
            kept += size
        for number in dead:
            del self._segments[number]
        return dead

    def seal(self, sequence: int, *, all_of_it: bool = False) -> list[tuple[int, list[Remembered]]]:
        """Close the open segment if it is full: numbers and contents, each small enough for one record.

        Its answers must be committed up to `sequence`.
        """
        full = len(self._open) >= self._options.answers_segment or self._open_bytes >= SEGMENT_BYTES
        if not self._open or not (all_of_it or full):
            return []
        sealed: list[tuple[int, list[Remembered]]] = []
        for part in [self._open] if self._open_bytes <= SEGMENT_BYTES else _parts(self._open):
            self._segments[self._next_segment] = len(part)
            sealed.append((self._next_segment, part))
            self._next_segment += 1
        self._open, self._open_bytes = [], 0
        self.sealed_sequence = sequence
        self.open_since = None
        return sealed

    @property
    def segments(self) -> tuple[int, ...]:
        """The numbers of the sealed segments that are needed."""
        return tuple(self._segments)

    def restore_segment(self, number: int, segment: Sequence[Remembered]) -> None:
        """Take a sealed segment back; call in the order of numbers."""
        for given in segment:
            self._add(given)
        self._segments[number] = len(segment)
        self._next_segment = number + 1


def _parts(open_: list[Remembered]) -> Iterator[list[Remembered]]:
    """Cut answers into runs below the size of a segment; one that alone is larger makes a run of its own."""
    part: list[Remembered] = []
    size = 0
    for given in open_:
        if part and size + given.size > SEGMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(given)
        size += given.size
    yield part

"""Where reading a shard may begin: behind a checkpoint that is sound, and that says rightly where its commits end."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from ...core.log.port import EVENTS
from ...core.runtime.commit_record import GENESIS
from ...schemas import partition_of
from ..archive.errors import HistoryGap
from ..history import AsOf, History
from .commits import batches
from .note import Note, origin_of
from .reading import Range
from .trail import Recorded, Trail, newest, trail_address
from .tree import Frontier
from .trust import Standing, Trust


class Since(NamedTuple):
    """Begin at the newest checkpoint that is good and was signed before an instant.

    `trust` None: whoever signed it counts. `sizes_max`: of a shard, how many commits it may cover, so that what is known from
    outside is not skipped.
    """

    log: str
    trust: Trust | None
    at_us: int
    sizes_max: Mapping[int, int]

    def is_met(self, found: Recorded, shard: int) -> bool:
        """Say whether verifying may begin behind a checkpoint."""
        note = sound_note(found, origin_of(self.log, shard), self.trust or Trust(found.keys))
        if note is None or found.size > self.sizes_max.get(shard, found.size):
            return False
        return note.checkpoint.at <= datetime.fromtimestamp(self.at_us / 1_000_000, UTC)


class Beginning(NamedTuple):
    """What has to be read of a shard, and the checkpoint behind which it begins."""

    range: Range
    checkpoint: Recorded | None


async def beginning(history: History, shard: int, as_of: AsOf, since: Since | None) -> Beginning:
    """Return where verifying a shard begins."""
    end = as_of.positions[EVENTS, shard]
    if since is not None:
        before = as_of.positions[EVENTS, partition_of(trail_address(shard), history.partitions)]
        found = await newest_right(history, shard, end, lambda one: since.is_met(one, shard), before)
        if found is not None and found.note is not None:
            head = found.note.checkpoint.head
            return Beginning(Range(shard, found.position, end, found.size, found.frontier, head), found)
    return Beginning(Range(shard, 0, end, 0, (), GENESIS), None)


async def signed_before(history: History, shard: int, log: str) -> int:
    """Return below which position a shard's events are under a signed checkpoint, whoever signed it."""
    _, end = await history.bounds(EVENTS, shard)
    origin = origin_of(log, shard)
    found = await newest_right(history, shard, end, lambda one: sound_note(one, origin, Trust(one.keys)) is not None)
    return 0 if found is None else found.position


def sound_note(found: Recorded, origin: str, trust: Trust) -> Note | None:
    """Return the note of a checkpoint whose frontier is of the tree that somebody trusted has signed; None of another."""
    note = found.note
    if note is None or (note.checkpoint.origin, note.checkpoint.size) != (origin, found.size):
        return None
    try:
        root = Frontier(found.size, found.frontier).root()
    except ValueError:
        return None
    is_good = root == note.checkpoint.root and trust.standing(note, found.shard) is Standing.GOOD
    return note if is_good else None


async def newest_right(
    history: History, shard: int, end: int, wanted: Callable[[Recorded], bool], before: int | None = None
) -> Recorded | None:
    """Return a shard's newest checkpoint that is wanted and whose place, which nobody signs, is that of its last commit."""
    trail = Trail()
    while found := await newest(history, trail, shard, end=before, wanted=wanted):
        if 0 < found.position <= end and await _is_at_its_place(history, found):
            return found
        before = found.at
    return None


async def _is_at_its_place(history: History, found: Recorded) -> bool:
    last = found.position - 1
    try:
        records = [one async for some in batches(history, found.shard, last, last + 1) for one in some]
    except HistoryGap:
        return True  # deleted by policy: the commit behind it names it
    head = None if found.note is None else found.note.checkpoint.head
    return [sha256(one.value or b"").digest() for one in records] == [head]

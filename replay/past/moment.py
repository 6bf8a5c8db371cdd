"""Points of a shard's past as people name them: an instant, an offset, or now."""

from typing import NamedTuple

from ...core.errors import ValidationFailed
from ...core.log.port import EVENTS
from ...core.runtime.commit_record import SHARD_KEY
from ..history import History
from .cut import cut_at


class Moment(NamedTuple):
    """`end` is the next offset of `hms.events` after the last commit that is in it; of that one only up to `last_offset`."""

    end: int
    last_offset: int | None = None

    @property
    def limit(self) -> int:
        """The first offset that is not in it."""
        return self.end if self.last_offset is None else self.last_offset + 1


async def moment_of(history: History, shard: int, *, at_us: int | None = None, offset: int | None = None) -> Moment:
    """Return the point of an instant (as the closed cut has it), of an event's offset (that event is in it), or of now."""
    if offset is not None:
        return Moment(await _end_of_commit(history, shard, offset), offset)
    if at_us is not None:
        return Moment((await cut_at(history, at_us)).points[shard].end)
    return Moment((await history.bounds(EVENTS, shard))[1])


async def _end_of_commit(history: History, shard: int, offset: int) -> int:
    """Return the next offset after the commit that holds an offset."""
    first, end = await history.bounds(EVENTS, shard)
    if not first <= offset < end:
        raise ValidationFailed(
            f"expected an offset of hms.events/{shard} from {first} to {end - 1}, got {offset}; "
            "`hms event list --actor ACTOR -o json` shows them"
        )
    async for records in history.records(EVENTS, shard, offset, end):
        for stored in records:
            if stored.key.startswith(SHARD_KEY):
                return stored.offset + 1
    return end

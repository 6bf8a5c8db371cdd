"""The checkpoints that the log holds: of events of audit trails, and of messages that no node has handled yet."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...core.log.port import EVENTS, LOW, Stored
from ...schemas import FRAME_BYTES, Contract, MalformedRecord, partition_of
from ...schemas.audit import CheckpointRecorded, RecordCheckpoint
from ..history import AsOf, History
from .commits import TRAIL_KEY
from .errors import NotAProof
from .keys import PublicKey
from .note import Note, parse

AUDIT_LANE = LOW
"""The lane of checkpoints: nothing waits for them."""


BACK_RECORDS = 20_000
"""How far to look back at once."""


class Recorded(NamedTuple):
    """A checkpoint as the log holds it; `note` None: what stands there is none, and `text` is what stands there."""

    shard: int
    size: int
    position: int
    frontier: tuple[bytes, ...]
    keys: tuple[PublicKey, ...]
    note: Note | None
    text: str
    at: int = 0
    """The offset of this record itself."""


class Trail:
    """Makes checkpoints of records."""

    def __init__(self) -> None:
        self._contract = Contract()
        kinds = (self._contract.register(cls, f"hms.{cls.__name__}") for cls in (CheckpointRecorded, RecordCheckpoint))
        self._frames = {kind.frame for kind in kinds}

    def of(self, records: Iterable[Stored]) -> list[Recorded]:
        """Return the checkpoints among some records."""
        return [found for stored in records if (found := self.one(stored)) is not None]

    def one(self, stored: Stored) -> Recorded | None:
        """Return the checkpoint that a record holds, None if it holds another thing."""
        value = stored.value or b""
        if value[:FRAME_BYTES] not in self._frames:
            return None
        try:
            record = self._contract.decode_body(value)
        except MalformedRecord:
            return None
        assert isinstance(record, CheckpointRecorded | RecordCheckpoint)  # noqa: S101 - these two are registered
        note, keys = None, []
        try:
            note = parse(record.note)
            keys = [PublicKey.parse(key) for key in record.signers]
        except NotAProof:
            keys = []
        return Recorded(
            record.shard, record.size, record.position, record.frontier, tuple(keys), note, record.note, stored.offset
        )


async def pending(history: History, trail: Trail, as_of: AsOf, since: dict[int, int]) -> list[Recorded]:
    """Return the checkpoints that are still messages: from each shard's next position in their lane on, else all."""
    found = []
    for shard in sorted(
        {partition_of(trail_address(number), history.partitions) for number in range(history.partitions)}
    ):
        end = as_of.positions[AUDIT_LANE, shard]
        async for records in history.left(AUDIT_LANE, shard, since.get(shard, 0), end):
            found += trail.of(stored for stored in records if stored.key.startswith(TRAIL_KEY))
    return found


def _any(_one: Recorded) -> bool:
    return True


async def newest(
    history: History, trail: Trail, shard: int, *, end: int | None = None, wanted: Callable[[Recorded], bool] = _any
) -> Recorded | None:
    """Return a shard's newest checkpoint that is wanted, among the events of the shard that its trail lives on.

    `end`: among those below that offset.
    """
    home = partition_of(trail_address(shard), history.partitions)
    first, last = await history.bounds(EVENTS, home)
    end = last if end is None else end
    key = trail_address(shard).encode()
    while end > first:
        start = max(first, end - BACK_RECORDS)
        found = None
        async for records in history.left(EVENTS, home, start, end):
            for one in trail.of(stored for stored in records if stored.key == key):
                found = one if one.shard == shard and wanted(one) else found
        if found is not None:
            return found
        end = start
    return None


def trail_address(shard: int) -> str:
    """Return the actor that keeps a shard's checkpoints."""
    return f"{TRAIL_KEY.decode()}{shard}"

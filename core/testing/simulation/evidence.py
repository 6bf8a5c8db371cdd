"""What a world leaves behind: every record that a committed reader can see, and what the living believe."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ....schemas import Envelope
from ...log.port import CO_PARTITIONED, DEAD_LETTERS, EVENTS, LANES, Log, Slice, Stored, Watermarks
from ...runtime.cell import Cell
from ...runtime.commits import Transaction
from ...runtime.history import records_between
from ...runtime.restore import ShardMemory
from ...runtime.shard_options import ShardOptions
from ...runtime.verify import transactions
from .cast import behaviours
from .far_side import Begun, Call
from .operations import Operation


class SeenEvent(NamedTuple):
    """One event of an actor, and the commit that it is in."""

    shard: int
    sequence: int
    offset: int
    now_us: int
    envelope: Envelope
    record: Any


class Witnesses(NamedTuple):
    """What those outside the log know: what clients wanted and were told, and what reached the far side."""

    operations: Sequence[Operation]
    begun: Sequence[Begun]
    calls: Sequence[Call]
    written: Sequence[tuple[str, int, int, str]] = ()
    """(topic, partition, offset, kind) of what an intruder wrote."""
    clocks_right: bool = False
    """Whether every clock was right; then more can be checked of timers."""


class Evidence:
    """A settled log, read; what those outside know; and what the living owners of its shards believe."""

    def __init__(
        self, log: Log, options: ShardOptions, witnesses: Witnesses, living: Mapping[int, ShardMemory]
    ) -> None:
        self.log = log
        self.options = options
        self.witnesses = witnesses
        self.living = dict(sorted(living.items()))
        self.shards = range(log.partitions)
        self.commits: dict[int, list[Transaction]] = {}
        self.events: list[SeenEvent] = []
        self.lanes: dict[tuple[int, int], dict[int, Stored]] = {}
        """(shard, lane) -> offset -> message."""
        self.dead_letters: list[Any] = []

    async def gather(self) -> "Evidence":
        """Read everything."""
        for shard in self.shards:
            await self._read_events(shard)
            for lane, topic in enumerate(LANES):
                self.lanes[shard, lane] = {stored.offset: stored for stored in await self.records(topic, shard)}
            for stored in await self.records(DEAD_LETTERS, shard):
                self.dead_letters.append(behaviours().contract.decode(stored.value or b"").record)
        return self

    async def _read_events(self, shard: int) -> None:
        self.commits[shard] = await transactions(self.log, shard, behaviours())
        for commit in self.commits[shard]:
            fields = commit.fields
            for stored in commit.events:
                envelope, record = behaviours().contract.decode(stored.value or b"")
                seen = SeenEvent(shard, fields["sequence"], stored.offset, fields["now"], envelope, record)
                self.events.append(seen)

    async def records(self, topic: str, shard: int) -> list[Stored]:
        """Return all visible records of a partition."""
        marks = await self.log.watermarks(topic, shard)
        found: list[Stored] = []
        async for records in records_between(self.log, topic, shard, marks.start, marks.stable):
            found += records
        return found

    def inputs(self) -> list[tuple[int, int, dict[str, Any]]]:
        """Return every consumed input: (shard, sequence, input)."""
        return [
            (shard, commit.fields["sequence"], given)
            for shard in self.shards
            for commit in self.commits[shard]
            for given in commit.fields["inputs"]
        ]

    def cells(self) -> Iterator[Cell]:
        """Yield every living actor."""
        for memory in self.living.values():
            for address in sorted(memory.actors.addresses()):
                cell = memory.actors.get(address)
                if cell is not None:
                    yield cell

    async def ends(self) -> list[Watermarks]:
        """Return how long everything is: a replay must not change it."""
        return [await self.log.watermarks(topic, shard) for topic in CO_PARTITIONED for shard in self.shards]


class WithoutCheckpoints:
    """A log whose checkpoints are gone: what is restored from it is the fold from the first event on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.url = log.url
        self.partitions = log.partitions
        self.capabilities = log.capabilities

    async def read(
        self, topic: str, partition: int, position: int, *, records_max: int = 500, headers: bool = True
    ) -> Slice:
        """Read events."""
        return await self._log.read(topic, partition, position, records_max=records_max, headers=headers)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return bounds; nothing but events is there."""
        return await self._log.watermarks(topic, partition) if topic == EVENTS else Watermarks(0, 0, 0)

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Wait."""
        await self._log.wait(positions, timeout_ms)

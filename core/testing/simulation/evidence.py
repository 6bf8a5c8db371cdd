"""What a world leaves behind: every record that a committed reader can see, and what the living believe."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ....schemas import Envelope
from ...log.port import CO_PARTITIONED, DEAD_LETTERS, EVENTS, LANES, Log, Slice, Stored, Watermarks
from ...log.simulated import SimulatedLog
from ...runtime import verdict as verdicts
from ...runtime.cell import Cell
from ...runtime.verify import Transaction, transactions
from .cast import behaviours
from .plan import EXPIRED
from .world import World

EVERYTHING = 10**9


class SeenEvent(NamedTuple):
    """One event of an actor, and the commit that it is in."""

    shard: int
    sequence: int
    offset: int
    now_us: int
    envelope: Envelope
    record: Any


class Evidence:
    """A settled world, read."""

    def __init__(self, world: World, log: SimulatedLog) -> None:
        self.world = world
        self.log = log
        self.shards = range(world.plan.partitions)
        self.commits: dict[int, list[Transaction]] = {}
        self.events: list[SeenEvent] = []
        self.lanes: dict[tuple[int, int], dict[int, Stored]] = {}
        """(shard, lane) -> offset -> message."""
        self.dead_letters: list[Any] = []

    @classmethod
    async def gather(cls, world: World) -> "Evidence":
        """Read everything."""
        evidence = cls(world, world.broker.connect("observer"))
        for shard in evidence.shards:
            await evidence._read_shard(shard)
        return evidence

    async def _read_shard(self, shard: int) -> None:
        contract = behaviours().contract
        self.commits[shard] = await transactions(self.log, shard, behaviours())
        for commit in self.commits[shard]:
            for stored in commit.events:
                envelope, record = contract.decode(stored.value or b"")
                fields = commit.fields
                seen = SeenEvent(shard, fields["sequence"], stored.offset, fields["now"], envelope, record)
                self.events.append(seen)
            expired = sum(given["verdict"] == verdicts.EXPIRED for given in commit.fields["inputs"])
            self.world.struck[EXPIRED] += expired
        for lane, topic in enumerate(LANES):
            self.lanes[shard, lane] = {stored.offset: stored for stored in self.records(topic, shard)}
        for stored in self.records(DEAD_LETTERS, shard):
            self.dead_letters.append(contract.decode(stored.value or b"").record)

    def records(self, topic: str, shard: int) -> list[Stored]:
        """Return all visible records of a partition."""
        return self.world.broker.partition(topic, shard).read(0, EVERYTHING).records

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
        for _, owner in sorted(self.world.owners().items()):
            for address in sorted(owner.memory.actors.addresses()):
                cell = owner.memory.actors.get(address)
                if cell is not None:
                    yield cell

    def ends(self) -> dict[tuple[str, int], Watermarks]:
        """Return how long everything is: a replay must not change it."""
        broker = self.world.broker
        return {
            (topic, shard): broker.partition(topic, shard).watermarks()
            for topic in CO_PARTITIONED
            for shard in self.shards
        }


class WithoutCheckpoints:
    """A log whose checkpoints are gone: what is restored from it is the fold from the first event on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.url = log.url
        self.partitions = log.partitions
        self.capabilities = log.capabilities

    async def read(self, topic: str, partition: int, position: int, *, records_max: int = 500) -> Slice:
        """Read events."""
        return await self._log.read(topic, partition, position, records_max=records_max)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return bounds; nothing but events is there."""
        return await self._log.watermarks(topic, partition) if topic == EVENTS else Watermarks(0, 0, 0)

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Wait."""
        await self._log.wait(positions, timeout_ms)

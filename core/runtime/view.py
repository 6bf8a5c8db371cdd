"""Looking at actors without owning them: the fold of the log as it is now, by somebody who writes nothing."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ...schemas import UnknownSchema, partition_of
from ..app import App
from ..log.port import EVENTS, Log
from .cell import Cell
from .commit_record import Head
from .history import History, LogHistory
from .installed import Behaviours
from .restore import ShardMemory, restore
from .schema_store import SchemaStore
from .shard_options import ShardOptions

SETTLE_S = 1.5
SHARDS_AT_ONCE = 4
T = TypeVar("T")


class Seen(NamedTuple):
    """An actor as the log has it: `as_of_us` is the shard's last committed time, 0 where it has none."""

    address: str
    state: Any
    event_count: int
    as_of_us: int
    quarantine: str


class View:
    """Folds shards of a log read-only, with the given apps' code."""

    def __init__(self, log: Log, apps: Sequence[App], *, history: History | None = None) -> None:
        self.log = log
        self.behaviours = Behaviours(apps)
        self._schemas = SchemaStore(log, self.behaviours.contract)
        self._history = history or LogHistory(log)

    async def actor(self, address: str) -> Seen | None:
        """Return one actor, or None if it never had an event."""
        memory = await self._memory(partition_of(address, self.log.partitions))
        found = _seen(memory, address)
        return found if found is not None and found.event_count else None

    async def actors(self, wanted: Callable[[str], bool]) -> list[Seen]:
        """Return every actor whose address is wanted, by address."""

        def look(memory: ShardMemory) -> list[Seen]:
            addresses = [address for address in memory.actors.addresses() if wanted(address)]
            return [seen for address in addresses if (seen := _seen(memory, address)) is not None]

        found = [seen for shard in await self._every(look) for seen in shard]
        return sorted(found, key=lambda seen: seen.address)

    async def heads(self) -> list[Head]:
        """Return where each shard's chain of commits stands."""
        return await self._every(lambda memory: memory.head)

    async def _every(self, look: Callable[[ShardMemory], T]) -> list[T]:
        """Return what is seen in each shard; a few are folded at a time, and forgotten when they were looked at."""
        slots = asyncio.Semaphore(SHARDS_AT_ONCE)

        async def one(shard: int) -> T:
            async with slots:
                return look(await self._memory(shard))

        return await asyncio.gather(*[one(shard) for shard in range(self.log.partitions)])

    async def _memory(self, shard: int) -> ShardMemory:
        await self._schemas.refresh()
        await _settled(self.log, shard)
        try:
            return await restore(self.log, shard, self.behaviours, ShardOptions(), self._history)
        except UnknownSchema:  # it came with new code, after the look at the schemas
            await self._schemas.refresh()
            return await restore(self.log, shard, self.behaviours, ShardOptions(), self._history)


async def _settled(log: Log, shard: int) -> None:
    """Wait a moment for what is written and not visible yet: who was told that something happened looks for it at once."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    marks = await log.watermarks(EVENTS, shard)
    stable = marks.stable
    while stable < marks.high and (left_s := until - loop.time()) > 0:
        await log.wait({(EVENTS, shard): stable}, int(left_s * 1_000) + 1)
        stable = (await log.watermarks(EVENTS, shard)).stable


def _seen(memory: ShardMemory, address: str) -> Seen | None:
    cell: Cell | None = memory.actors.get(address)
    if cell is None:
        return None
    return Seen(address, cell.state, cell.count, memory.head.now_us, cell.quarantine)

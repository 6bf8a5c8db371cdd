"""A shard's actors folded from their very first event up to a point of the past, each commit checked against the chain."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from ...core.log.port import Stored
from ...core.runtime.cell import Cell
from ...core.runtime.commits import transactions_of
from ...core.runtime.installed import Behaviours
from ...core.runtime.restore import ShardMemory, fold_transaction
from ...core.runtime.shard_options import ShardOptions
from ...schemas import partition_of
from ..history import History

NO_ANSWERS: Final = 1 << 62
Wanted = Callable[[bytes], bool]
"""Whether the actor of this key is folded."""


class PastActor(NamedTuple):
    """An actor as it was; `sequence` and `now_us` are of the shard's last commit that is in it, -1 and 0 before the first.

    `timers` are name -> due instant (microseconds), `effects` the handlers under way.
    """

    address: str
    shard: int
    state: Any
    event_count: int
    sequence: int
    now_us: int
    quarantine: str
    timers: dict[str, int]
    effects: tuple[str, ...]


class Walk:
    """Goes forward through a shard's history; between two steps its actors are as they were then."""

    def __init__(self, history: History, behaviours: Behaviours, shard: int, wanted: Wanted) -> None:
        self.memory = ShardMemory(shard, behaviours, ShardOptions())
        self.memory.answers.sealed_sequence = NO_ANSWERS  # nobody asks a past shard for answers: do not read them
        self._history = history
        self._wanted = wanted
        self._position = 0

    async def to(self, end: int, *, last_offset: int | None = None) -> AsyncIterator[Stored]:
        """Fold on to the commit that ends at `end`, yielding each wanted event; those beyond `last_offset` are left out."""
        limit = end if last_offset is None else last_offset + 1
        if self._position >= end:
            return
        async for events, record in transactions_of(self._history, self.memory.shard, self._position, end):
            mine = [stored for stored in events if stored.offset < limit and self._wanted(stored.key)]
            fold_transaction(self.memory, [*mine, record])
            self._position = record.offset + 1
            for stored in mine:
                yield stored

    async def go(self, end: int, *, last_offset: int | None = None) -> None:
        """Fold on to the commit that ends at `end`."""
        async for _ in self.to(end, last_offset=last_offset):
            pass

    def actor(self, address: str) -> PastActor | None:
        """Return an actor as it is here; None if it has had no event, or nobody knows its behaviour."""
        cell = self.memory.actors.get(address)
        return None if cell is None or not cell.count else seen(cell, self.memory)


def seen(cell: Cell, memory: ShardMemory) -> PastActor:
    """Return what a cell shows."""
    return PastActor(
        cell.address,
        memory.shard,
        cell.state,
        cell.count,
        memory.head.sequence,
        memory.head.now_us,
        cell.quarantine,
        {timer.name: timer.due_us for timer in cell.timers.values()},
        tuple(effect.handler for effect in cell.effects.values()),
    )


def walk_of(history: History, behaviours: Behaviours, address: str) -> Walk:
    """Return a walk through one actor's history."""
    key = address.encode()
    return Walk(history, behaviours, partition_of(address, history.partitions), lambda other: other == key)

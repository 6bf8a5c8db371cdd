"""The fork's world: a log in memory, a node, and time that jumps; one seed gives one history.

Nothing gets out. Effects are begun and never end: what their handlers did in reality comes back as recorded input. Commands
to hosts lie in the fork's outbox, and no host reads it.
"""

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from random import Random
from typing import Any, Final

from ...core.app import App
from ...core.behaviour import Effect, Reaction
from ...core.errors import HmsError
from ...core.log.copied import LogCopy, PartitionCopy
from ...core.log.port import CO_PARTITIONED, LANES, SCHEMAS, Draft
from ...core.log.simulated import SimulatedBroker
from ...core.runtime.fitness import APPS_SETTING
from ...core.runtime.installed import Behaviours
from ...core.runtime.node import Node
from ...core.testing.virtual_clock import BEGINNING_US, VirtualClock
from ...core.testing.virtual_loop import Stuck, VirtualLoop
from ...schemas import Message
from .cutting import Taken
from .inject import Due

SETTLE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.01


class ForkFailed(HmsError):
    """The fork's shards could not be opened, or did not come to rest."""


class ForkWorld:
    """Made of a cut and somebody's code; `run` lets it go on."""

    def __init__(self, taken: Taken, apps: Sequence[App], *, seed: int = 0) -> None:
        self.behaviours = without_effects(Behaviours(apps))
        self._taken = taken
        self._loop = VirtualLoop(Random(f"fork {seed}"), steps_max=1 << 60)  # type: ignore[abstract]  # noqa: S311
        start_us = max([taken.cut.at_us, *(point.now_us for point in taken.cut.points.values())])
        self._clock = VirtualClock(self._loop, start_us - BEGINNING_US)
        self._start_us = start_us
        self._broker = SimulatedBroker(taken.partitions, clock=self._clock, random=Random(f"broker {seed}"))  # noqa: S311
        self._fill()

    def _fill(self) -> None:
        for place, piece in self._taken.pieces.items():
            partition = self._broker.partition(*place)
            for stored in piece.records:
                partition.high = stored.offset
                partition.append(Draft(stored.topic, stored.partition, *stored[4:]), stored.at_us)
            partition.high = max(partition.high, piece.high)
        if self._taken.apps is not None:
            self._broker.settings[APPS_SETTING] = self._taken.apps

    def run(self, inputs: Sequence[Due], until_us: int) -> None:
        """Go on from the cut to an instant, with what comes from outside on the way. Raises `ForkFailed`."""
        copy_context().run(self._run, sorted(inputs, key=lambda due: due.at_us), until_us)

    def _run(self, inputs: Sequence[Due], until_us: int) -> None:
        try:
            self._loop.run_until_complete(self._live(inputs, until_us))
        except Stuck as error:
            raise ForkFailed(f"the fork stands still: {error}") from error
        finally:
            self._loop.close()

    async def _live(self, inputs: Sequence[Due], until_us: int) -> None:
        log = self._broker.connect("fork")
        node = Node(log, self.behaviours, name="fork", clock=self._clock)
        await node.start()
        await self._opened(node)
        for due in inputs:
            await self._wait_until(due.at_us)
            await log.append([due.draft])
        await self._wait_until(until_us)
        await self._settled(node)
        await node.stop()

    async def _opened(self, node: Node) -> None:
        for _ in range(int(SETTLE_S / LOOK_EVERY_S)):
            statistics = node.statistics()
            if statistics.broken or statistics.unfit:
                raise ForkFailed("; ".join((*statistics.broken, statistics.unfit)))
            if len(node.open_shards()) == self._taken.partitions:
                return
            await asyncio.sleep(LOOK_EVERY_S)
        raise ForkFailed(f"expected all {self._taken.partitions} shards open, got {sorted(node.open_shards())}")

    async def _wait_until(self, instant_us: int) -> None:
        await asyncio.sleep(max(0, instant_us - self._clock.wall_us()) / 1_000_000)

    async def _settled(self, node: Node) -> None:
        """Let what was under way at the end be handled; timers go on setting themselves, so this is not for ever."""
        for _ in range(int(SETTLE_S / LOOK_EVERY_S)):
            if all(self._is_read(number, shard.memory.head.positions) for number, shard in node.open_shards().items()):
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _is_read(self, shard: int, positions: tuple[int, ...]) -> bool:
        """Tell whether nothing but markers is left of the lanes."""
        return all(
            not self._broker.partition(topic, shard).read(position, 1).records
            for topic, position in zip(LANES, positions, strict=True)
        )

    def copy(self) -> LogCopy:
        """Return the fork's log as it is now, to be written into a file."""
        keys = [(topic, shard) for topic in CO_PARTITIONED for shard in range(self._taken.partitions)] + [(SCHEMAS, 0)]
        places = {key: self._copied(*key) for key in keys}
        return LogCopy(self._taken.partitions, places, self._broker.epochs, self._broker.settings)

    def _copied(self, topic: str, partition: int) -> PartitionCopy:
        found = self._broker.partition(topic, partition)
        return PartitionCopy(found.start, found.high, found.read(found.start, 1 << 60).records)


def without_effects(behaviours: Behaviours) -> Behaviours:
    """Put something that never ends in the place of every effect's handler; the log goes on knowing them by name."""
    for installed in behaviours:
        for handlers in installed.reactions.values():
            for name, reaction in handlers.items():
                handlers[name] = Reaction(reaction.event, _never)
    return behaviours


async def _never(_event: Any, _effect: Effect) -> Message[Any] | None:
    await asyncio.get_running_loop().create_future()
    return None

"""All actors at an instant: every shard folded up to the closed cut, from nothing or from an archived snapshot of states.

Actors come back encoded, as checkpoints hold them: a hundred thousand take 20 MB, and each is decoded when it is looked at.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from multiprocessing import get_context
from typing import Final, NamedTuple

from ...core.runtime.checkpoint_record import cell_of, checkpoint_body, encode_checkpoint, fits, summary_of
from ...core.runtime.collector import relax
from ...core.runtime.commits import transactions_of
from ...core.runtime.installed import Behaviours
from ...core.runtime.restore import ShardMemory, fold_transaction
from ...core.runtime.shard_options import ShardOptions
from ..apps import behaviours_of
from ..history import Archive, History
from ..opened import opened
from ..schemas import learn_schemas
from .cut import Cut, Point, cut_at
from .folding import NO_ANSWERS, PastActor, seen
from .snapshots import snapshot_of

SMALL_EVENTS: Final = 50_000


class Packed(NamedTuple):
    """A shard's actors, encoded, by address; the sequence and time of its last commit that is in."""

    shard: int
    point: Point
    actors: dict[str, bytes]


class Everyone:
    """The actors of a cut."""

    def __init__(self, cut: Cut, shards: Sequence[Packed], behaviours: Behaviours) -> None:
        self.cut = cut
        self._shards = shards
        self._behaviours = behaviours

    def addresses(self, pattern: str = "*") -> list[str]:
        """Return the addresses that a pattern means, sorted."""
        return sorted(address for one in self._shards for address in one.actors if fnmatchcase(address, pattern))

    def actor(self, address: str) -> PastActor | None:
        """Return one actor; None if it had no event by then."""
        installed = self._behaviours.of(address)
        for one in self._shards:
            if installed is not None and (body := one.actors.get(address)) is not None:
                memory = ShardMemory(one.shard, self._behaviours, ShardOptions())
                memory.head = memory.head._replace(sequence=one.point.sequence, now_us=one.point.now_us)
                return seen(cell_of(address, installed, body, self._behaviours.contract), memory)
        return None

    def __len__(self) -> int:
        return sum(len(one.actors) for one in self._shards)


async def everyone_at(
    url: str, archive: str | None, apps: tuple[str, ...], at_us: int, *, processes: int = 2
) -> Everyone:
    """Return all actors as they were at an instant, by the code of these apps (`module:attribute`)."""
    behaviours = behaviours_of(apps)
    async with opened(url, archive) as history:
        await learn_schemas(history, behaviours.contract)
        cut = await cut_at(history, at_us)
        tasks = [(url, archive, apps, shard, point) for shard, point in cut.points.items()]
        if processes > 1 and sum(point.end for point in cut.points.values()) > SMALL_EVENTS:
            shards = await asyncio.to_thread(_in_processes, tasks, processes)
        else:
            shards = [
                packed(await fold_shard(history, behaviours, shard, point), point)
                for shard, point in cut.points.items()
            ]
    return Everyone(cut, shards, behaviours)


_Task = tuple[str, str | None, tuple[str, ...], int, Point]


def _in_processes(tasks: Sequence[_Task], processes: int) -> list[Packed]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=relax) as pool:
        return list(pool.map(_fold_one, tasks))


def _fold_one(task: _Task) -> Packed:
    return asyncio.run(_fold_alone(*task))


async def _fold_alone(url: str, archive: str | None, apps: tuple[str, ...], shard: int, point: Point) -> Packed:
    behaviours = behaviours_of(apps)
    async with opened(url, archive) as history:
        await learn_schemas(history, behaviours.contract)
        return packed(await fold_shard(history, behaviours, shard, point), point)


async def fold_shard(history: History, behaviours: Behaviours, shard: int, point: Point) -> ShardMemory:
    """Return a shard's memory at a point, its actors alone."""
    memory = ShardMemory(shard, behaviours, ShardOptions())
    memory.answers.sealed_sequence = NO_ANSWERS
    start = await _begin(history.archive, memory, point)
    async for events, record in transactions_of(history, shard, start, point.end):
        fold_transaction(memory, [*events, record])
    return memory


async def _begin(archive: Archive | None, memory: ShardMemory, point: Point) -> int:
    """Take the archived snapshot in, if it is one of this code's states and not later; return where the tail begins."""
    found = None if archive is None else await snapshot_of(archive, memory.shard, point.sequence)
    if found is None:
        return 0
    bodies: dict[str, bytes] = {}
    for key, value in found.checkpoints:
        address = key.decode()
        installed = memory.behaviours.of(address)
        if address.startswith("shard/") or installed is None:
            continue
        bodies[address] = checkpoint_body(memory.behaviours.contract, value)
        if not fits(summary_of(bodies[address]), installed):
            return 0
    for address, body in bodies.items():
        memory.actors.put_packed(address, body)
    memory.first_sequence_max = found.sequence
    return found.low_water


def packed(memory: ShardMemory, point: Point) -> Packed:
    """Return a shard's actors, encoded."""
    actors: dict[str, bytes] = {}
    for address in memory.actors.addresses():
        cell = memory.actors.get(address)
        if cell is not None and cell.count:
            actors[address] = encode_checkpoint(cell, memory.behaviours.contract, cell.sequence)
    return Packed(memory.shard, point, actors)

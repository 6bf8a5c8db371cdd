"""A whole log verified, a shard at a time, by as many processes as are given."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from operator import attrgetter
from typing import Final, NamedTuple

from ...core.log.port import EVENTS
from ...core.runtime.collector import relax
from ...core.runtime.divergence import Divergence
from ...core.runtime.installed import code_version_of
from ...core.runtime.shard_options import ShardOptions
from ..apps import behaviours_of
from ..opened import opened
from ..schemas import learn_schemas
from .sent import Settled, settle
from .shard import ShardVerification, verify_shard

SMALL_EVENTS: Final = 20_000
"""So few are verified before another process would be up."""


class Subject(NamedTuple):
    """Which log, and by whose code: URL, the archive's folder if any, `module:attribute` of each app; from when on."""

    url: str
    archive: str | None
    apps: tuple[str, ...]
    since_us: int = 0


@dataclass(frozen=True)
class Verification:
    """What a log's verification came to."""

    code_version: str
    shards: list[ShardVerification]
    settled: Settled

    def first(self) -> list[Divergence]:
        """Return the first divergence of each actor, by time."""
        found = [one for shard in self.shards for one in shard.divergences.values()] + self.settled.divergences
        found.sort(key=attrgetter("actor", "sequence"))
        firsts = [next(of_actor) for _, of_actor in groupby(found, attrgetter("actor"))]
        return sorted(firsts, key=attrgetter("now_us", "shard", "sequence"))

    @property
    def divergence_count(self) -> int:
        """How many inputs came out otherwise than recorded."""
        return sum(shard.divergence_count for shard in self.shards) + len(self.settled.divergences)

    @property
    def breaks_promise(self) -> bool:
        """Whether the code that recorded is the code that decides now, and decides otherwise."""
        versions = {one.code_version for one in self.settled.divergences}
        return self.code_version in versions.union(*(shard.diverged_versions for shard in self.shards))


async def verify(subject: Subject, shards: Sequence[int] | None = None, *, processes: int = 2) -> Verification:
    """Verify a log, or some of its shards. Raises what reading raises."""
    behaviours = behaviours_of(subject.apps)
    async with opened(subject.url, subject.archive) as history:
        await learn_schemas(history, behaviours.contract)
        numbers = list(range(history.partitions)) if shards is None else list(shards)
        sizes = {shard: (await history.bounds(EVENTS, shard))[1] for shard in numbers}
        order = sorted(numbers, key=lambda shard: -sizes[shard])
        if processes > 1 and sum(sizes.values()) > SMALL_EVENTS:
            found = await asyncio.to_thread(_in_processes, subject, order, processes)
        else:
            options = ShardOptions()
            found = [await verify_shard(history, behaviours, one, options, since_us=subject.since_us) for one in order]
        found.sort(key=attrgetter("shard"))
        doubts = [doubt for one in found for doubt in one.doubts]
        return Verification(code_version_of(behaviours), found, await settle(history, behaviours.contract, doubts))


def _in_processes(subject: Subject, order: Sequence[int], processes: int) -> list[ShardVerification]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=relax) as pool:
        return list(pool.map(_verify_one, [(subject, shard) for shard in order]))


def _verify_one(task: tuple[Subject, int]) -> ShardVerification:
    return asyncio.run(_verify_alone(*task))


async def _verify_alone(subject: Subject, shard: int) -> ShardVerification:
    behaviours = behaviours_of(subject.apps)
    async with opened(subject.url, subject.archive) as history:
        await learn_schemas(history, behaviours.contract)
        return await verify_shard(history, behaviours, shard, ShardOptions(), since_us=subject.since_us)

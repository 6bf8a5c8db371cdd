"""Reads the commits of all shards: one after another here, or shared out among processes, one a core."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final, NamedTuple

from ..history import History
from ..opened import opened
from .commits import Commits, read_commits
from .tree import Frontier

RECORDS_WORTH_A_PROCESS: Final = 500_000
"""Starting one takes as long as reading so many."""


class Range(NamedTuple):
    """A shard's events between two positions, behind `size` commits whose tree has this frontier, and their last hash."""

    shard: int
    start: int
    end: int
    size: int
    frontier: tuple[bytes, ...]
    head: bytes


class Place(NamedTuple):
    """Where a history is, for processes to open it themselves; `archive` None: the one that the log knows of."""

    url: str
    archive: str | None


class Reader:
    """Reads ranges of a history; `place` and more than one worker let processes share in it."""

    def __init__(self, history: History, place: Place | None = None, workers: int = 1) -> None:
        self._history = history
        self._place = place
        self._workers = workers

    async def read(self, ranges: Sequence[Range]) -> list[Commits]:
        """Return the commits of each range, in the order of the ranges."""
        many = sum(one.end - one.start for one in ranges) > RECORDS_WORTH_A_PROCESS
        if self._place is None or self._workers == 1 or not many:
            return [await _read(self._history, one) for one in ranges]
        shares: list[list[Range]] = [[] for _ in range(self._workers)]
        for one in sorted(ranges, key=lambda one: one.start - one.end):  # the longest first, each to who has least
            min(shares, key=_length).append(one)
        loop = asyncio.get_running_loop()
        mine, *others = [share for share in shares if share]
        with ProcessPoolExecutor(self._workers, get_context("spawn")) as pool:
            asked = [loop.run_in_executor(pool, _read_share, self._place, share) for share in others]
            found = [await _read(self._history, one) for one in mine]
            found += [commits for share in await asyncio.gather(*asked) for commits in share]
        return sorted(found, key=lambda commits: commits.shard)


def _length(share: list[Range]) -> int:
    return sum(one.end - one.start for one in share)


def _read_share(place: Place, ranges: list[Range]) -> list[Commits]:
    """Read in a process of its own."""
    return asyncio.run(_opened(place, ranges))


async def _opened(place: Place, ranges: list[Range]) -> list[Commits]:
    async with opened(place.url, place.archive) as history:
        return [await _read(history, one) for one in ranges]


async def _read(history: History, one: Range) -> Commits:
    commits = Commits(one.shard, Frontier(one.size, one.frontier), one.head)
    await read_commits(history, commits, one.start, one.end)
    return commits

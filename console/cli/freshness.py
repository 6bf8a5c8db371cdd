"""How fresh an answer is: when the log was last written, and whether somebody lives who goes on writing it."""

import asyncio
import time
from typing import NamedTuple

from ...core.log.port import EVENTS, Log, NodeInfo
from .plain_value import instant_of_us, seconds


class Freshness(NamedTuple):
    """`last_commit_us` is the append time of the newest commit, 0 on an empty log; `nodes` are the live ones."""

    last_commit_us: int
    nodes: tuple[NodeInfo, ...]
    partitions: int

    @property
    def owned(self) -> bool:
        """Whether any node runs."""
        return bool(self.nodes)

    def sentence(self, now_us: int) -> str:
        """Say it in one line."""
        last = f"last commit {seconds(instant_of_us(self.last_commit_us))}" if self.last_commit_us else "no commit yet"
        if not self.owned:
            return (
                f"no node runs: showing the log as of its {last}" if self.last_commit_us else "no node runs: empty log"
            )
        names = ", ".join(node.node for node in self.nodes)
        return f"as of {seconds(instant_of_us(now_us))} ({last}) · owned by {names}{self._orphans()}"

    def _orphans(self) -> str:
        owned = frozenset[int]().union(*(node.shards for node in self.nodes))
        orphans = self.partitions - len(owned)
        return f" · {orphans} of {self.partitions} shards without owner" if orphans else ""


async def freshness(log: Log) -> Freshness:
    """Ask the log."""
    newest = await asyncio.gather(*(_newest_us(log, partition) for partition in range(log.partitions)))
    nodes = tuple(node for node in await log.nodes() if node.alive)
    return Freshness(max(newest), nodes, log.partitions)


async def freshness_line(log: Log) -> str:
    """Return the sentence as of now."""
    return (await freshness(log)).sentence(time.time_ns() // 1_000)


async def _newest_us(log: Log, partition: int) -> int:
    """Return the append time of a shard's last event; a commit's markers may stand behind it, so look ever further back."""
    marks = await log.watermarks(EVENTS, partition)
    back = 1
    while (position := max(marks.start, marks.stable - back)) < marks.stable:
        read = await log.read(EVENTS, partition, position)
        if read.records:
            return read.records[-1].at_us
        if position == marks.start:
            break
        back *= 2
    return 0

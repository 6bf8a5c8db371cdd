"""One node's place among the nodes of an embedded log."""

import asyncio
import contextlib
from functools import partial
from typing import Final

from ..port import Assignment, NodeInfo
from . import leases
from .heads import Heads
from .reader import Reader
from .sessions import is_over, new_session
from .times import Times
from .worker import Worker

# One statement, so one snapshot: generation and shards belong together.
_MINE: Final = """
SELECT log.generation, group_concat(shards.shard), max(nodes.expires_us) FROM log
LEFT JOIN nodes ON nodes.node = ? AND nodes.session = ?
LEFT JOIN shards ON holder = nodes.node AND target = nodes.node
"""
_NODES: Final = """
SELECT nodes.node, group_concat(shards.shard), seen_us, boot = ? AND expires_us > ?, session FROM nodes
LEFT JOIN shards ON holder = nodes.node GROUP BY nodes.node ORDER BY nodes.node
"""


class SqliteMembership:
    """Heartbeats run on the writing thread; what the file says of this node is read again whenever a generation ends."""

    def __init__(self, node: str, times: Times, worker: Worker, reader: Reader, heads: Heads) -> None:
        self.node = node
        self._lease = leases.Lease(node, new_session(), times.lease_ms * 1_000)
        self._heartbeat_ms = times.heartbeat_ms
        self._worker = worker
        self._reader = reader
        self._heads = heads
        self._assignment = Assignment(-1, frozenset())
        self._changed = asyncio.Event()
        self._left = False

    async def start(self) -> None:
        """Join, and keep the lease alive from now on."""
        await self._worker.run(partial(leases.join, lease=self._lease))
        self._heads.on_generation = self._read_again
        self._worker.every(self._heartbeat_ms, partial(leases.heartbeat, lease=self._lease))
        await self._reader.ask(self._read)

    async def assignment(self) -> Assignment:
        """Return the newest assignment known."""
        return self._assignment

    async def wait_changed(self, generation: int, timeout_ms: int) -> Assignment:
        """Wait until the generation is another, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                while self._assignment.generation == generation:
                    self._changed.clear()
                    await self._changed.wait()
        return self._assignment

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the file: still alive, still that generation, still the owner."""
        expires_us = await self._reader.ask(self._read)
        alive = expires_us is not None and expires_us > self._worker.monotonic_us()
        return alive and self._assignment.generation == generation and shard in self._assignment.shards

    async def release(self, shard: int) -> None:
        """Let the next owner have a shard that was taken from this node."""
        await self._worker.run(partial(leases.release, lease=self._lease, shard=shard))

    async def leave(self) -> None:
        """End the lease; others take over at once. Doing it again does nothing."""
        if self._left:
            return
        self._left = True
        self._worker.every(self._heartbeat_ms, None)
        await self._worker.run(partial(leases.leave, lease=self._lease))

    def _read_again(self) -> None:
        with contextlib.suppress(Exception):  # locked: the next poll or `confirm` reads it
            self._read()

    def _read(self) -> int | None:
        generation, shards, expires_us = self._reader.rows(_MINE, self.node, self._lease.session)[0]
        if generation > self._assignment.generation:
            self._assignment = Assignment(generation, _shards(shards))
            self._changed.set()
        return None if expires_us is None else int(expires_us)


async def read_nodes(reader: Reader, monotonic_us: int) -> list[NodeInfo]:
    """Return all members of the last hour; one whose process is gone is dead, though its lease may still run."""
    rows = await reader.ask(lambda: reader.rows(_NODES, leases.boot_id(), monotonic_us))
    return [
        NodeInfo(node, _shards(shards), seen_us, bool(leased) and not is_over(session))
        for node, shards, seen_us, leased, session in rows
    ]


def _shards(joined: str | None) -> frozenset[int]:
    return frozenset(map(int, joined.split(","))) if joined else frozenset()

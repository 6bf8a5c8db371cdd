"""One node's place among the nodes of a simulated log; what it knows may be old."""

import asyncio
from typing import TYPE_CHECKING

from ..port import Assignment

if TYPE_CHECKING:
    from .log import SimulatedLog


class SimulatedMembership:
    """Heartbeats are taken for granted until the broker is told to `pause` or `crash` the node."""

    def __init__(self, log: "SimulatedLog", node: str) -> None:
        self.node = node
        self._log = log
        self._broker = log.broker
        self._session = self._broker.group.join(node, self._broker.clock.wall_us())
        self._known = self._broker.group.assignment(node, self._session)
        self._stale_until_us = 0

    async def assignment(self) -> Assignment:
        """Return the newest assignment known: not always the authority's."""
        self._log.check_alive()
        return self._look()

    async def wait_changed(self, generation: int, timeout_ms: int) -> Assignment:
        """Wait until the generation known is another, or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        self._log.check_alive()
        if self._broker.strike("offsets_expired"):
            self._broker.group.forget()
            self._broker.notify()
        while self._look().generation == generation and (left_s := deadline - loop.time()) > 0:
            await self._broker.wait_change(min(left_s, self._until_fresh_s()), self._is_due)
            self._log.check_alive()
        return self._known

    def _is_due(self) -> bool:
        gone = self._log.crashed or self._log.closed
        return gone or self._broker.group.generation != self._known.generation

    def believe_on(self, for_ms: int) -> None:
        """Go on seeing the assignment that is known, whatever changes."""
        self._stale_until_us = self._broker.clock.monotonic_us() + for_ms * 1_000

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the authority."""
        await self._log.travel()
        self._broker.settle()
        return self._broker.group.owns(self.node, self._session, shard, generation)

    async def release(self, shard: int) -> None:
        """Let the next owner have a shard that was taken from this node."""
        await self._log.travel()
        self._broker.settle()
        self._broker.group.release(self.node, self._session, shard)
        self._broker.notify()

    async def leave(self) -> None:
        """Go; others take over at once."""
        await self._log.travel()
        self.end()

    def end(self) -> None:
        """Leave without being able to fail."""
        if self._log.members.get(self.node) is self:
            del self._log.members[self.node]  # it has no heartbeats any more that could come again
        self._broker.group.leave(self.node, self._session)
        self._broker.notify()

    def _look(self) -> Assignment:
        self._broker.settle()
        now_us = self._broker.clock.monotonic_us()
        newest = self._broker.group.assignment(self.node, self._session)
        if now_us < self._stale_until_us or newest.generation == self._known.generation:
            return self._known
        if not self._stale_until_us and self._broker.strike("membership_stale"):
            self._stale_until_us = now_us + 1_000 * self._broker.random.randint(1, self._broker.faults.stale_ms_max)
            return self._known
        self._stale_until_us = 0
        self._known = newest
        return newest

    def _until_fresh_s(self) -> float:
        left_us = self._stale_until_us - self._broker.clock.monotonic_us()
        return max(left_us / 1_000_000, 0.001) if self._stale_until_us else 3600.0

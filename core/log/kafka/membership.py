"""One node's place among the nodes: the oracle, asked from a thread of its own.

A node whose event loop is busy for seconds must not lose its shards for that: its heartbeats go on in the thread. One whose
loop answers nothing for a minute hangs, and its shards are somebody else's: the thread leaves the group until it is answered.
What the thread learns is handed to the node's loop; what the node asks is asked there.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from ...errors import LogUnreachable, OutsideError
from ..port import NORMAL, Assignment
from .address import KafkaAddress
from .cluster import REQUEST_MS, Cluster
from .failures import describe, within
from .oracle import LEAVE_S, Oracle, Times

logger = structlog.get_logger("hms.node")
JOIN_S: Final = 20.0
"""A group that was empty waits 3 s for more members (a broker's setting); one with a dead member, until its session ends."""
END_S: Final = 5.0
"""For the thread to end: its goodbye has a deadline of its own."""
ANNOUNCE_S: Final = 10.0
LOOKS: Final = 12
"""So often, within the time that it may be away, the thread looks whether the node's loop answers."""
Announce = Callable[[frozenset[int]], Awaitable[None]]
T = TypeVar("T")


class KafkaMembership:
    """Kept alive by its thread until `leave`. `announce` records, now and then, which shards the node has."""

    def __init__(
        self, node: str, address: KafkaAddress, shards: int, announce: Announce, times: Times, deadline_s: float
    ) -> None:
        self.node = node
        self._address = address
        self._shards = shards
        self._announce = announce
        self._times = times
        self._deadline_s = deadline_s
        self._assignment = Assignment(-1, frozenset())
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._announcing: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._live, name=f"membership {node}", daemon=True)
        self._started = threading.Event()
        self._oracle: Oracle
        self._oracle_loop: asyncio.AbstractEventLoop
        self._left = False
        self._unanswered = 0

    async def start(self) -> None:
        """Join; returns with the first assignment. Raises `LogUnreachable`: then it is no member."""
        self._thread.start()
        await asyncio.to_thread(self._started.wait)
        if not hasattr(self, "_oracle"):
            raise LogUnreachable(f"join as {self.node}: its thread ended at once; its log says why")
        try:
            await within(JOIN_S, self._joined(), f"join as {self.node}")
        except BaseException as error:
            await self.leave()
            if isinstance(error, LogUnreachable) and self._oracle.failed_by is not None:
                raise LogUnreachable(f"{error} Last: {describe(self._oracle.failed_by)}") from error
            raise
        self._announcing = asyncio.create_task(self._keep_announcing(), name=f"announce {self.node}")

    async def assignment(self) -> Assignment:
        """Return the newest assignment known."""
        return self._assignment

    async def wait_changed(self, generation: int, timeout_ms: int) -> Assignment:
        """Wait until the generation is another, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1_000):
                while self._assignment.generation == generation:
                    self._changed.clear()
                    await self._changed.wait()
        return self._assignment

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the group, by a commit that it takes from a member of this generation only."""
        if self._left:
            return False
        return await self._ask(self._oracle.confirm(shard, generation), f"confirm shard {shard}")

    async def release(self, shard: int) -> None:
        """Let the next owner have a shard that was taken from this node."""
        if not self._left:
            self._oracle_loop.call_soon_threadsafe(self._oracle.release, shard)

    async def leave(self) -> None:
        """Leave the group at once; never raises. Doing it again does nothing."""
        if self._left:
            return
        self._left = True
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)
        self._oracle_loop.call_soon_threadsafe(self._over.set)
        await asyncio.to_thread(self._thread.join, END_S)
        with contextlib.suppress(OutsideError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._announce(frozenset())

    # --- the thread ---------------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            asyncio.run(self._live_async())
        finally:
            self._started.set()

    async def _live_async(self) -> None:
        self._oracle_loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        patience_ms = REQUEST_MS + self._times.session_ms  # for joining, which waits for the dead; the rest is bounded
        cluster = Cluster(self._address, (NORMAL,), self._deadline_s, client_id=self.node, request_ms=patience_ms)
        self._oracle = Oracle(cluster, self.node, self._shards, self._times, self._hand_over)
        self._started.set()
        running = asyncio.create_task(self._oracle.run())
        looking = asyncio.create_task(self._look())
        try:
            await self._over.wait()
            await self._oracle.leave()
            await asyncio.wait([running], timeout=1)
        finally:
            for task in (running, looking):
                task.cancel()
            await asyncio.gather(running, looking, return_exceptions=True)
            await cluster.close()

    async def _look(self) -> None:
        """Leave the group while the node's loop hangs. Looks are counted, not time: a process that was stopped hangs not."""
        while True:
            self._unanswered += 1
            with contextlib.suppress(RuntimeError):  # it is closed: that hangs, too
                self._loop.call_soon_threadsafe(self._answer)
            await asyncio.sleep(self._times.away_ms / 1_000 / LOOKS)
            if self._unanswered == LOOKS:
                logger.critical("node_hangs", node=self.node, silent_s=self._times.away_ms / 1_000, shards="let go")
                self._oracle.let_go()
            elif not self._unanswered:
                self._oracle.come_back()

    def _hand_over(self, assignment: Assignment) -> None:
        with contextlib.suppress(RuntimeError):  # the node's loop is closed: nobody is interested any more
            self._loop.call_soon_threadsafe(self._learn, assignment)

    async def _ask(self, question: Coroutine[Any, Any, T], what: str) -> T:
        asked = asyncio.run_coroutine_threadsafe(question, self._oracle_loop)
        return await within(self._deadline_s + 1, asyncio.wrap_future(asked), what)

    # --- the node's loop ----------------------------------------------------------------------------------------

    def _answer(self) -> None:
        self._unanswered = 0

    def _learn(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._changed.set()

    async def _joined(self) -> None:
        while self._assignment.generation < 0:
            self._changed.clear()
            await self._changed.wait()
        await self._announce(self._assignment.shards)

    async def _keep_announcing(self) -> None:
        announced = self._assignment
        while True:
            announced = await self.wait_changed(announced.generation, int(ANNOUNCE_S * 1_000))
            with contextlib.suppress(OutsideError):
                await self._announce(announced.shards)

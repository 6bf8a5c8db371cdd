"""The oracle that says which node owns which shard: joining its group, staying in it, and asking it.

A member is static (its instance id is the node's name), so a restarted node takes the place, and the shards, of its former
self without a rebalance, and the former self is refused from then on; but so is one whose own question, asked again because
the answer was late, is taken for a newer process. So who is refused looks who it is that has its place. Nothing is consumed:
members send heartbeats, and what they are told is an assignment.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from ...errors import HmsError, LogUnreachable
from ..assignment import Placement
from ..port import Assignment
from .answers import Attempts
from .assignor import Agreement, Claim
from .cluster import Cluster
from .failures import FAILURES, describe
from .group import Group, ReplacedError, owned

logger = structlog.get_logger("hms.node")

SETTLE_S: Final = 0.25
"""How long one waits for the other shards that are to be released, so that they go in one rebalance."""
LEAVE_S: Final = 3.0
LOOK_S, LOOKS_S = 0.2, 15.0
"""How often, and how long, one who was refused looks for who has its place: while the group shares out it does not say."""
NEWS_S: Final = 2.0


class Times(NamedTuple):
    """A member that sends nothing for a session is dead; others hear of a change with their next heartbeat."""

    session_ms: int = 6_000
    heartbeat_ms: int = 250
    away_ms: int = 60_000
    """So long may the node's own event loop answer nothing, before its thread of membership leaves without it."""
    release_ms: int = 20_000
    """After so long a shard that was taken from this node is released by itself: who hangs must not keep it from all."""


DEFAULT_TIMES: Final = Times()
FIRST_JOIN_S: Final = 5.0
"""A new cluster finds its coordinator of groups and loads what it knows before it lets anybody in: no reason to worry."""


class Oracle:
    """One member, on the event loop of its own thread; `changed` is called there with every new assignment."""

    def __init__(
        self, cluster: Cluster, node: str, shards: int, times: Times, changed: Callable[[Assignment], None]
    ) -> None:
        self.silent = False
        """For tests: send no heartbeats, as a process that is stopped sends none."""
        self.failed_by: Exception | None = None
        """Why it is not a member yet, if it is not."""
        self._cluster = cluster
        self._node = node
        self._times = times
        self._changed = changed
        self._group = Group(cluster, node, shards, times.session_ms)
        self._process = uuid.uuid4().hex
        self._known = Assignment(-1, frozenset())
        self._placements: tuple[Placement, ...] = ()
        self._held: set[int] = set()
        self._join_due = asyncio.Event()
        self._news = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._left = False
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._unheard = False
        """Whether the last heartbeat went unanswered: said once."""

    async def run(self) -> None:
        """Be a member until `leave`, or until a newer session of the same name is one; whatever fails is tried again."""
        attempts = Attempts()
        loop = asyncio.get_running_loop()
        speaks_from = loop.time() + FIRST_JOIN_S
        while not self._left:
            try:
                await self._keep_out()
                await self._cluster.find()
                await self._join()
                speaks_from = 0.0
                await self._stay()
                attempts = Attempts()
            except ReplacedError:
                await self._be_replaced()
            except (*FAILURES, HmsError) as error:
                if loop.time() >= speaks_from:
                    logger.warning("membership_interrupted", node=self._node, error=describe(error))
                self.failed_by = error
                await self._group.lose_sight()
                await attempts.pause(describe(error))
            except Exception as error:
                logger.exception("membership_failed", node=self._node)
                await attempts.pause(describe(error))
        await self._say_goodbye()  # a join that was under way when it was to leave has made it a member again

    async def _be_replaced(self) -> None:
        """Give way to a newer process of this name; but not to what this one has asked before."""
        self._group.forget()
        if not await self._is_replaced():
            logger.warning("node_was_refused_for_its_own_sake", node=self._node, what="it joins again")
            return
        logger.error("node_replaced", node=self._node, by="a newer process of that name", shards="none here")
        self._left = True
        self._own_nothing()

    async def _is_replaced(self) -> bool:
        """Look who has this node's place in the group; who cannot be seen is another."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_S):
                while not self._left:
                    with contextlib.suppress(*FAILURES, HmsError, ValueError):
                        there = await self._group.processes()
                        if None not in there:
                            return bool(there) and self._process not in there
                    await asyncio.sleep(LOOK_S)
        return True

    def _own_nothing(self) -> None:
        self._learn(Agreement(self._known.generation + 1, ()))

    # --- a node that does not answer ----------------------------------------------------------------------------

    def let_go(self) -> None:
        """Leave the group until `come_back`: nobody is at home who could run what this member is given."""
        self._wanted.clear()
        self._join_due.set()

    def come_back(self) -> None:
        """Be a member again."""
        self._wanted.set()

    async def _keep_out(self) -> None:
        while not (self._wanted.is_set() or self._left):
            await self._say_goodbye()
            self._held.clear()
            self._own_nothing()
            await self._wanted.wait()

    # --- what the node asks -------------------------------------------------------------------------------------

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the group. Raises `LogUnreachable`.

        When the group says that the generation is over, the answer waits for the next assignment, so that who asks then
        can ask about that one.
        """
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._cluster.deadline_s):
                while not self._left and self._owns(shard, generation):
                    if (answer := await self._confirmed(shard, attempts)) is None:
                        continue
                    if not answer:
                        await self._wait_news(generation)
                    return answer and self._owns(shard, generation)
        except TimeoutError as error:
            raise LogUnreachable(f"confirm shard {shard}: no answer (last: {attempts.failed_by})") from error
        return False

    async def _confirmed(self, shard: int, attempts: Attempts) -> bool | None:
        """Return the group's answer; None: ask again."""
        try:
            answer, why = await self._group.confirm(shard)
        except FAILURES as error:
            await self._group.lose_sight()
            answer, why = None, describe(error)
        if answer is None:
            await attempts.pause(why)
        return answer

    async def _wait_news(self, generation: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEWS_S):
                while self._known.generation == generation:
                    self._news.clear()
                    await self._news.wait()

    def release(self, shard: int) -> None:
        """Hand a shard that was taken from this node to its next owner: with the others that are on their way, if any."""
        if shard in self._known.shards or shard not in self._held:
            return
        self._held.discard(shard)
        if self._held <= self._known.shards:
            self._join_due.set()
        elif self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._join_due.set)

    async def leave(self) -> None:
        """Leave the group; it is told, if it can be, so that others take over at once."""
        self._left = True
        self._join_due.set()
        self._wanted.set()
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._group.leave()
        except (*FAILURES, HmsError) as error:
            logger.warning("leave_failed", node=self._node, error=describe(error), others="wait for the session's end")

    # --- joining ------------------------------------------------------------------------------------------------

    async def _join(self) -> None:
        """Take part in the next generation; returns when this node knows its assignment, or has to try again."""
        self._join_due.clear()
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        held = frozenset(self._held)
        claim = Claim(self._node, self._known.generation, held, self._placements, self._process)
        agreement = await self._group.join(claim)
        if agreement is None:
            self._join_due.set()
        else:
            self._learn(agreement, released=held - self._held)

    def _learn(self, agreement: Agreement, released: frozenset[int] = frozenset()) -> None:
        self._placements = agreement.placements
        self._held = {shard for shard, one in enumerate(self._placements) if one.holder == self._node}
        self._known = Assignment(agreement.round, frozenset(owned(self._placements, self._node)))
        for shard in released - self._known.shards:
            self.release(shard)
        for shard in self._held - self._known.shards:
            asyncio.get_running_loop().call_later(self._times.release_ms / 1_000, self.release, shard)
        self._news.set()
        self._changed(self._known)

    # --- staying ------------------------------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Send heartbeats until it is time to join again."""
        while not self._join_due.is_set() and self._wanted.is_set():
            try:
                async with asyncio.timeout(self._times.heartbeat_ms / 1_000):
                    await self._join_due.wait()
            except TimeoutError:
                if not self.silent and not await self._beat():
                    return

    async def _beat(self) -> bool:
        """Return whether all is well; a heartbeat that nobody answered is no reason to disturb the others by joining again."""
        try:
            well = await self._group.beat()
        except FAILURES as error:
            if not self._unheard:
                logger.warning("heartbeat_failed", node=self._node, error=describe(error))
            self._unheard = True
            await self._group.lose_sight()
            return True
        self._unheard = False
        return well

    def _owns(self, shard: int, generation: int) -> bool:
        return self._known.generation == generation and shard in self._known.shards

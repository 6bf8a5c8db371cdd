"""The consumer group that says which node owns which shard: joining it, staying in it, and asking it.

A member is static (its instance id is the node's name), so a restarted node takes the place, and the shards, of its former
self without a rebalance, and the former self is refused from then on. Nothing is consumed: members send heartbeats, and what
they are told is an assignment. The group's protocol is spoken directly, because a consumer of aiokafka forgets its member id
after a commit that comes too late: the former member then stays in the group, and keeps its shards, until its session ends.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import errors
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from ...errors import HmsError, LogUnreachable
from ..assignment import Placement
from ..port import NORMAL, Assignment
from .answers import Attempts, Meaning, meaning, name
from .assignor import PROTOCOL, Claim, agree, decode_claim, decode_placements, encode_claim, encode_placements
from .cluster import Cluster
from .failures import FAILURES, describe

logger = structlog.get_logger("hms.node")

SETTLE_S: Final = 0.25
"""How long one waits for the other shards that are to be released, so that they go in one rebalance."""
LEAVE_S: Final = 3.0
NEWS_S: Final = 2.0
_PROTOCOL_TYPE: Final = "consumer"
_NO_RETENTION: Final = -1
_OLD_GENERATION: Final = 22
_UNKNOWN_MEMBER: Final = 25
_REBALANCING: Final = 27
_ID_REQUIRED: Final = 79
_REPLACED: Final = 82
_REJOIN: Final = (_OLD_GENERATION, _UNKNOWN_MEMBER, _REBALANCING, _ID_REQUIRED)


class Times(NamedTuple):
    """A member that sends nothing for a session is dead; others hear of a change with their next heartbeat."""

    session_ms: int = 6_000
    heartbeat_ms: int = 250


DEFAULT_TIMES: Final = Times()
FIRST_JOIN_S: Final = 5.0
"""A new cluster finds its coordinator of groups and loads what it knows before it lets anybody in: no reason to worry."""


class ReplacedError(Exception):
    """A newer process has joined under this node's name."""


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
        self._shards = shards
        self._times = times
        self._changed = changed
        self._group = cluster.address.nodes_group
        self._member = ""
        self._coordinator: int | None = None
        self._known = Assignment(-1, frozenset())
        self._placements: tuple[Placement, ...] = ()
        self._held: set[int] = set()
        self._join_due = asyncio.Event()
        self._news = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._left = False
        self._unheard = False
        """Whether the last heartbeat went unanswered: said once."""

    async def run(self) -> None:
        """Be a member until `leave`, or until a newer session of the same name is one; whatever fails is tried again."""
        attempts = Attempts()
        loop = asyncio.get_running_loop()
        speaks_from = loop.time() + FIRST_JOIN_S
        while not self._left:
            try:
                await self._cluster.find()
                await self._join()
                speaks_from = 0.0
                await self._stay()
                attempts = Attempts()
            except ReplacedError:
                self._be_replaced()
            except (*FAILURES, HmsError) as error:
                if loop.time() >= speaks_from:
                    logger.warning("membership_interrupted", node=self._node, error=describe(error))
                self.failed_by = error
                self._coordinator = None
                await self._cluster.refresh()
                await attempts.pause(describe(error))
            except Exception as error:
                logger.exception("membership_failed", node=self._node)
                await attempts.pause(describe(error))
        await self._say_goodbye()  # a join that was under way when it was to leave has made it a member again

    def _be_replaced(self) -> None:
        logger.error("node_replaced", node=self._node, by="a newer process of that name", shards="none here")
        self._left = True
        self._member = ""
        self._learn(self._known.generation + 1, ())

    # --- what the node asks -------------------------------------------------------------------------------------

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the group: a commit that it takes only from a member of that very generation. Raises `LogUnreachable`.

        When the group says that the generation is over, the answer waits for the next assignment, so that who asks then
        can ask about that one.
        """
        place = (self._cluster.address.settings_topic, [(0, 0, f"{self._node} confirms shard {shard}")])
        request = OffsetCommitRequest(self._group, generation, self._member, _NO_RETENTION, [place])
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._cluster.deadline_s):
                while not self._left and self._owns(shard, generation):
                    if (answer := await self._confirmed(request, attempts)) is None:
                        continue
                    if not answer:
                        await self._wait_news(generation)
                    return answer and self._owns(shard, generation)
        except TimeoutError as error:
            raise LogUnreachable(f"confirm shard {shard}: no answer (last: {attempts.failed_by})") from error
        return False

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
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        member, self._member = self._member, ""
        if not member:
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._ask(LeaveGroupRequest(self._group, member), "membership-asked")
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
        answer = await self._ask(self._join_request(held), "membership")
        if answer.error_code in _REJOIN:
            self._member = answer.member_id if answer.error_code == _ID_REQUIRED else ""
            self._join_due.set()
            return
        self._check(answer.error_code)
        self._member = answer.member_id
        decided = self._decide(answer) if answer.leader_id == answer.member_id else []
        sync = SyncGroupRequest(self._group, answer.generation_id, self._member, self._node, decided)
        synced = await self._ask(sync, "membership")
        if synced.error_code in _REJOIN:
            self._join_due.set()
            return
        self._check(synced.error_code)
        told = ConsumerProtocolMemberAssignment.decode(synced.member_assignment)
        self._learn(answer.generation_id, decode_placements(told.user_data), released=held - self._held)

    def _join_request(self, held: frozenset[int]) -> JoinGroupRequest:
        claim = Claim(self._node, self._known.generation, held, self._placements)
        topics = [self._cluster.address.topic(NORMAL)]
        metadata = ConsumerProtocolMemberMetadata(0, topics, encode_claim(claim)).encode()
        session_ms = self._times.session_ms
        protocols = [(PROTOCOL, metadata)]
        return JoinGroupRequest(
            self._group, session_ms, session_ms, self._member, self._node, _PROTOCOL_TYPE, protocols
        )

    def _decide(self, answer: Any) -> list[tuple[str, bytes]]:
        """As the group's leader, work out who gets what."""
        claims = {
            member: decode_claim(ConsumerProtocolMemberMetadata.decode(data).user_data)
            for member, *_, data in answer.members
        }
        placements = agree([*claims.values()], self._shards)
        told = encode_placements(placements)
        topic = self._cluster.address.topic(NORMAL)
        return [
            (
                member,
                ConsumerProtocolMemberAssignment(0, [(topic, sorted(_owned(placements, claim.node)))], told).encode(),
            )
            for member, claim in claims.items()
        ]

    def _learn(
        self, generation: int, placements: tuple[Placement, ...], released: frozenset[int] = frozenset()
    ) -> None:
        self._placements = placements
        self._held = {shard for shard, one in enumerate(placements) if one.holder == self._node}
        self._known = Assignment(generation, frozenset(_owned(placements, self._node)))
        for shard in released - self._known.shards:
            self.release(shard)
        self._news.set()
        self._changed(self._known)

    # --- staying ------------------------------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Send heartbeats until it is time to join again."""
        while not self._join_due.is_set():
            try:
                async with asyncio.timeout(self._times.heartbeat_ms / 1_000):
                    await self._join_due.wait()
            except TimeoutError:
                if not self.silent and await self._beat() in _REJOIN:
                    return

    async def _beat(self) -> int:
        """Return the group's answer; one that did not come is no reason to disturb the others by joining again."""
        request = HeartbeatRequest(self._group, self._known.generation, self._member)
        try:
            code: int = (await self._ask(request, "membership")).error_code
            if code not in _REJOIN:
                self._check(code)
        except FAILURES as error:
            if not self._unheard:
                logger.warning("heartbeat_failed", node=self._node, error=describe(error))
            self._unheard = True
            self._coordinator = None
            await self._cluster.refresh()
            return 0
        self._unheard = False
        return code

    async def _confirmed(self, request: OffsetCommitRequest, attempts: Attempts) -> bool | None:
        """Return the group's answer; None: ask again."""
        try:
            answer = await self._ask(request, "membership-asked")
        except FAILURES as error:
            self._coordinator = None
            await self._cluster.refresh()
            await attempts.pause(describe(error))
            return None
        code = answer.topics[0][1][0][1]
        if code in _REJOIN or code == _REPLACED:
            return False
        if (found := meaning(code, f"confirm as {self._node}")) is Meaning.DONE:
            return True
        if found is Meaning.MOVED:
            self._coordinator = None
        await attempts.pause(name(code))
        return None

    async def _ask(self, request: Any, lane: str) -> Any:
        """Ask the group's coordinator. What blocks (joining) and what must not wait have connections apart."""
        if self._coordinator is None:
            lookup = self._cluster.client.coordinator_lookup(CoordinationType.GROUP, self._group)
            self._coordinator = await lookup
        return await self._cluster.ask(self._coordinator, request, lane)

    def _check(self, code: int) -> None:
        if code == _REPLACED:
            raise ReplacedError
        if code:
            raise errors.for_code(code)

    def _owns(self, shard: int, generation: int) -> bool:
        return self._known.generation == generation and shard in self._known.shards


def _owned(placements: Iterable[Placement], node: str) -> list[int]:
    return [shard for shard, one in enumerate(placements) if one.holder == one.target == node]

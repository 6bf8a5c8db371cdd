"""What one member asks its consumer group, in Kafka's own protocol, of the broker that coordinates the group.

Spoken directly, because a consumer of aiokafka forgets its member id after a commit that comes too late: the former member
then stays in the group, and keeps its shards, until its session ends.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import errors
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from ..assignment import Placement
from ..port import NORMAL
from .answers import Meaning, meaning, name
from .assignor import (
    PROTOCOL,
    Agreement,
    Claim,
    agree,
    decode_agreement,
    decode_claim,
    encode_agreement,
    encode_claim,
    next_round,
)
from .cluster import REQUEST_MS, Cluster

JOINING, ASKING = "membership", "membership-asked"
"""Connections apart: joining blocks its one until all have joined."""
_PROTOCOL_TYPE: Final = "consumer"
_NO_RETENTION: Final = -1
_OLD_GENERATION: Final = 22
_UNKNOWN_MEMBER: Final = 25
_REBALANCING: Final = 27
_ID_REQUIRED: Final = 79
_REPLACED: Final = 82
_REJOIN: Final = (_OLD_GENERATION, _UNKNOWN_MEMBER, _REBALANCING, _ID_REQUIRED)


class ReplacedError(Exception):
    """The group says that somebody else is this member now."""


class Group:
    """Of one member; every question raises one of `FAILURES` when nobody answers it."""

    def __init__(self, cluster: Cluster, node: str, shards: int, session_ms: int) -> None:
        self._cluster = cluster
        self._node = node
        self._shards = shards
        self._session_ms = session_ms
        self._name = cluster.address.nodes_group
        self._coordinator: int | None = None
        self._member = ""
        self._generation = -1

    def forget(self) -> None:
        """Be nobody until the next `join`."""
        self._member = ""

    async def lose_sight(self) -> None:
        """Look for the coordinator again before the next question."""
        self._coordinator = None
        await self._cluster.refresh()

    async def join(self, claim: Claim) -> Agreement | None:
        """Take part in the next generation; None: it was over before it began, join again. Raises `ReplacedError`."""
        joined = await self._ask(self._join_request(claim), JOINING, REQUEST_MS + self._session_ms)
        if joined.error_code in _REJOIN:
            self._member = joined.member_id if joined.error_code == _ID_REQUIRED else ""
            return None
        _check(joined.error_code)
        self._member = joined.member_id
        decided = self._decide(joined) if joined.leader_id == joined.member_id else []
        request = SyncGroupRequest(self._name, joined.generation_id, self._member, self._node, decided)
        synced = await self._ask(request, JOINING, REQUEST_MS + self._session_ms)
        if synced.error_code in _REJOIN:
            return None
        _check(synced.error_code)
        self._generation = joined.generation_id
        return decode_agreement(ConsumerProtocolMemberAssignment.decode(synced.member_assignment).user_data)

    async def beat(self) -> bool:
        """Send a heartbeat; return whether this is a member still, of the newest generation. Raises `ReplacedError`."""
        code = (await self._ask(HeartbeatRequest(self._name, self._generation, self._member), JOINING)).error_code
        if code in _REJOIN:
            return False
        _check(code)
        return True

    async def confirm(self, shard: int) -> tuple[bool | None, str]:
        """Commit something, which the group takes only from a member of its generation; with None, why to ask again."""
        place = (self._cluster.address.settings_topic, [(0, 0, f"{self._node} confirms shard {shard}")])
        request = OffsetCommitRequest(self._name, self._generation, self._member, _NO_RETENTION, [place])
        code = (await self._ask(request, ASKING)).topics[0][1][0][1]
        if code in _REJOIN or code == _REPLACED:
            return False, ""
        if (found := meaning(code, f"confirm as {self._node}")) is Meaning.DONE:
            return True, ""
        if found is Meaning.MOVED:
            self._coordinator = None
        return None, name(code)

    async def leave(self) -> None:
        """Be no member any more; does nothing if this is none."""
        member, self._member = self._member, ""
        if member:
            await self._ask(LeaveGroupRequest(self._name, member), ASKING)

    async def processes(self) -> list[str | None]:
        """Return which processes are in the group under this node's name; None: the group does not say now."""
        answer = await self._ask(DescribeGroupsRequest([self._name]), ASKING)
        code, _, _, _, _, members = answer.groups[0][:6]
        _check(code)
        return [
            decode_claim(ConsumerProtocolMemberMetadata.decode(metadata).user_data).process if metadata else None
            for _, client, _, metadata, _ in members
            if client == self._node
        ]

    def _join_request(self, claim: Claim) -> JoinGroupRequest:
        topics = [self._cluster.address.topic(NORMAL)]
        protocols = [(PROTOCOL, ConsumerProtocolMemberMetadata(0, topics, encode_claim(claim)).encode())]
        waits = (self._session_ms, self._session_ms)
        return JoinGroupRequest(self._name, *waits, self._member, self._node, _PROTOCOL_TYPE, protocols)

    def _decide(self, joined: Any) -> list[tuple[str, bytes]]:
        """As the group's leader, work out who gets what."""
        claims = {
            member: decode_claim(ConsumerProtocolMemberMetadata.decode(data).user_data)
            for member, *_, data in joined.members
        }
        placements = agree([*claims.values()], self._shards)
        told = encode_agreement(Agreement(next_round([*claims.values()]), tuple(placements)))
        topic = self._cluster.address.topic(NORMAL)
        return [
            (member, ConsumerProtocolMemberAssignment(0, [(topic, owned(placements, claim.node))], told).encode())
            for member, claim in claims.items()
        ]

    async def _ask(self, request: Any, lane: str, within_ms: int = REQUEST_MS) -> Any:
        """Ask the coordinator. A question that is given up and asked again may be answered twice, in any order."""
        async with asyncio.timeout(within_ms / 1_000):
            if self._coordinator is None:
                lookup = self._cluster.client.coordinator_lookup(CoordinationType.GROUP, self._name)
                self._coordinator = await lookup
            return await self._cluster.ask(self._coordinator, request, lane)


def owned(placements: Iterable[Placement], node: str) -> list[int]:
    """Return the shards that a node has and shall keep."""
    return [shard for shard, one in enumerate(placements) if one.holder == one.target == node]


def _check(code: int) -> None:
    if code == _REPLACED:
        raise ReplacedError
    if code:
        raise errors.for_code(code)

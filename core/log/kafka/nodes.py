"""Who is a member, as anybody sees it: the group says who lives, a record of each node who was there and when.

The record is `node/NAME` in the topic of the settings, written by the node itself: on joining, with every change, every ten
seconds, and when it leaves.
"""

import json
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import DescribeGroupsRequest

from ...clock import Clock
from ..port import Draft, NodeInfo
from .assignor import decode_agreement
from .cluster import Cluster
from .failures import check_code
from .outgoing import Outgoing
from .settings import Settings
from .topics import SETTINGS

KEY_PREFIX: Final = "node/"
FORGET_US: Final = 3_600_000_000


class _Seen(NamedTuple):
    shards: frozenset[int]
    at_us: int


async def announce(outgoing: Outgoing, clock: Clock, node: str, shards: frozenset[int]) -> None:
    """Record what the node has now. Raises `LogUnreachable` or `AppendUnknown`: the next one repairs it."""
    value = json.dumps({"shards": sorted(shards), "at_us": clock.wall_us()})
    await outgoing.write([Draft(SETTINGS, 0, f"{KEY_PREFIX}{node}".encode(), value.encode())])


async def read_nodes(cluster: Cluster, settings: Settings, clock: Clock) -> list[NodeInfo]:
    """Return the members by name, those dead that were seen within the last hour included."""
    alive = await cluster.insist(partial(_living, cluster), "list the nodes")
    now_us = clock.wall_us()
    recorded = {
        name.removeprefix(KEY_PREFIX): _parse(value)
        for name, value in (await settings.all()).items()
        if name.startswith(KEY_PREFIX)
    }
    nodes = [
        NodeInfo(node, shards if shards is not None else recorded.get(node, _Seen(frozenset(), 0)).shards, now_us, True)
        for node, shards in alive.items()
    ]
    nodes += [
        NodeInfo(node, frozenset(), seen.at_us, alive=False)
        for node, seen in recorded.items()
        if node not in alive and seen.at_us > now_us - FORGET_US
    ]
    return sorted(nodes)


async def _living(cluster: Cluster) -> dict[str, frozenset[int] | None]:
    """Return the group's members with the shards they hold; None while the group is sharing them out."""
    group = cluster.address.nodes_group
    coordinator = await cluster.client.coordinator_lookup(CoordinationType.GROUP, group)
    answer = await cluster.ask(coordinator, DescribeGroupsRequest([group]), "nodes")
    code, _, _, _, _, members = answer.groups[0][:6]
    check_code(code)
    return {client: _held(client, assignment) for _, client, _, _, assignment in members}


def _held(node: str, assignment: bytes) -> frozenset[int] | None:
    if not assignment:
        return None
    agreement = decode_agreement(ConsumerProtocolMemberAssignment.decode(assignment).user_data)
    return frozenset(shard for shard, one in enumerate(agreement.placements) if one.holder == node)


def _parse(value: str) -> _Seen:
    fields: dict[str, Any] = json.loads(value)
    return _Seen(frozenset(fields["shards"]), fields["at_us"])

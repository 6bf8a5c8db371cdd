"""Transactions that hang: their coordinator calls them done, but some of their partitions never got the marker.

Kafka 4.1 to 4.3 passes over a partition that has no leader just then (KAFKA-20734), as while a cluster comes back of which
all brokers were killed. Committed readers wait behind such records for ever; and the producer's next marker in the partition,
whatever it was meant for, decides about them as well. So whoever has the producer's id ends them first, as they had ended.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.offset import OffsetRequest

from .cluster import Cluster
from .failures import check_code
from .fetch import READ_COMMITTED, Place
from .requests import describe_producers

CARRIER: Final = b"hms.marker"
"""Key of a record without a value that is written only to get a marker into its partition. Readers pass over it."""
LATEST: Final = -1
UNCOMMITTED: Final = 0
NO_EPOCH: Final = -1


async def hung(
    cluster: Cluster, lane: str, producer_id: int, places: Iterable[Place], *, but: int = NO_EPOCH
) -> list[Place]:
    """Return in which of the places this producer has a transaction open, of any epoch `but` one; raises one of `FAILURES`.

    It must have none that its coordinator knows of, except in that epoch. Of a cluster that cannot tell (before Kafka 3.0) none.
    """
    by_leader: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        by_leader[cluster.leader(*place)].append(place)
    try:
        found = await asyncio.gather(*[_of_leader(cluster, lane, producer_id, but, *one) for one in by_leader.items()])
    except IncompatibleBrokerVersion:
        return []
    return sorted(place for part in found for place in part)


async def _of_leader(
    cluster: Cluster, lane: str, producer_id: int, but: int, leader: int, places: list[Place]
) -> list[Place]:
    stable = await _ends(cluster, lane, leader, places, READ_COMMITTED)
    high = await _ends(cluster, lane, leader, places, UNCOMMITTED)
    hidden = [place for place in places if stable[place] < high[place]]
    if not hidden:
        return []
    names = {cluster.address.topic(topic): topic for topic, _ in hidden}
    response = await cluster.ask(leader, describe_producers(_grouped(cluster, hidden)), lane)
    found: list[Place] = []
    for name, partitions, _ in response.topics:
        for number, error, _, producers, _ in partitions:
            check_code(error)
            if any(id_ == producer_id and epoch != but and since >= 0 for id_, epoch, _, _, _, since, _ in producers):
                found.append((names[name], number))
    return found


async def _ends(cluster: Cluster, lane: str, leader: int, places: list[Place], isolation: int) -> dict[Place, int]:
    names = {cluster.address.topic(topic): topic for topic, _ in places}
    topics = [(name, [(number, LATEST) for number in numbers]) for name, numbers in _grouped(cluster, places).items()]
    response = await cluster.ask(leader, OffsetRequest(-1, isolation, topics), lane)
    ends: dict[Place, int] = {}
    for name, partitions in response.topics:
        for number, error, _, offset in partitions:
            check_code(error)
            ends[names[name], number] = offset
    return ends


def _grouped(cluster: Cluster, places: Iterable[Place]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for topic, number in places:
        grouped[cluster.address.topic(topic)].append(number)
    return grouped

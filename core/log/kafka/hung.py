"""Transactions that hang: their coordinator calls them done, but some of their partitions never got the marker.

Kafka 4.1 to 4.3 passes over a partition that has no leader just then (KAFKA-20734), as while a cluster comes back of which
all brokers were killed. Committed readers wait behind such records for ever; and the producer's next marker in the partition,
whatever it was meant for, decides about them as well.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.offset import OffsetRequest

from ...errors import LogUnreachable
from .cluster import Cluster
from .failures import FAILURES, FORBIDDEN, check_code, failure
from .fetch import READ_COMMITTED, Place
from .reader import LATEST, UNCOMMITTED
from .requests import describe_producers

LANE: Final = "survey"


class Seen(NamedTuple):
    """Where producers have transactions open, with the epoch of each; and the places of which nobody said anything."""

    open: Mapping[int, list[tuple[Place, int]]]
    unseen: frozenset[Place]


class Survey:
    """A look at all partitions of a log. It is the same for all who ask at one time."""

    def __init__(self, cluster: Cluster, places: Iterable[Place]) -> None:
        self.places = frozenset(places)
        self._cluster = cluster
        self._names = {cluster.address.topic(topic): topic for topic, _ in self.places}
        self._closed = False
        self._running: asyncio.Task[Seen] | None = None
        self._next: asyncio.Task[Seen] | None = None

    async def look(self) -> Seen:
        """Return what a look finds that begins from now on. Raises `NotAuthorised`, `LogUnreachable` once it is closed."""
        self._check_open()
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running), name="survey")
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())  # who asked may be gone
        mine = self._next
        await asyncio.wait([mine])
        if mine.cancelled():
            self._check_open()
        return mine.result()

    async def close(self) -> None:
        """Stop looking."""
        self._closed = True
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnreachable("the log was closed while it was looked for transactions that hang; open it again")

    async def _after(self, earlier: asyncio.Task[Seen] | None) -> Seen:
        if earlier is not None:
            await asyncio.gather(earlier, return_exceptions=True)
        self._running, self._next = self._next, None
        return await self._look()

    async def _look(self) -> Seen:
        by_leader: dict[int, list[Place]] = defaultdict(list)
        unseen: set[Place] = set()
        for place in self.places:
            try:
                by_leader[self._cluster.leader(*place)].append(place)
            except FAILURES:
                unseen.add(place)
        found: dict[int, list[tuple[Place, int]]] = defaultdict(list)
        for some in await asyncio.gather(*[self._of_leader(*one, unseen) for one in by_leader.items()]):
            for producer, place, epoch in some:
                found[producer].append((place, epoch))
        if unseen:
            await self._cluster.refresh()
        return Seen(found, frozenset(unseen))

    async def _of_leader(self, leader: int, places: list[Place], unseen: set[Place]) -> list[tuple[int, Place, int]]:
        try:
            stable, high = (
                await self._ends(leader, places, READ_COMMITTED),
                await self._ends(leader, places, UNCOMMITTED),
            )
            unseen.update(place for place in places if place not in stable or place not in high)
            hidden = [place for place in places if place not in unseen and stable[place] < high[place]]
            return await self._producers(leader, hidden, unseen) if hidden else []
        except IncompatibleBrokerVersion:  # before Kafka 3.0, which cannot tell and need not
            return []
        except FORBIDDEN as error:
            raise failure(error, "look for transactions that hang") from error
        except FAILURES:
            unseen.update(places)
            return []

    async def _producers(self, leader: int, places: list[Place], unseen: set[Place]) -> list[tuple[int, Place, int]]:
        response = await self._cluster.ask(leader, describe_producers(self._grouped(places)), LANE)
        found: list[tuple[int, Place, int]] = []
        for name, partitions, _ in response.topics:
            for number, error, _, producers, _ in partitions:
                place = (self._names[name], number)
                if _failed(error):
                    unseen.add(place)
                found += [(id_, place, epoch) for id_, epoch, _, _, _, since, _ in producers if since >= 0]
        return found

    async def _ends(self, leader: int, places: list[Place], isolation: int) -> dict[Place, int]:
        grouped = self._grouped(places)
        topics = [(name, [(number, LATEST) for number in numbers]) for name, numbers in grouped.items()]
        response = await self._cluster.ask(leader, OffsetRequest(-1, isolation, topics), LANE)
        return {
            (self._names[name], number): offset
            for name, partitions in response.topics
            for number, error, _, offset in partitions
            if not _failed(error)
        }

    def _grouped(self, places: Iterable[Place]) -> dict[str, list[int]]:
        grouped: dict[str, list[int]] = defaultdict(list)
        for topic, number in places:
            grouped[self._cluster.address.topic(topic)].append(number)
        return grouped


def _failed(code: int) -> bool:
    """Tell whether a partition's answer says nothing; raises one of `FORBIDDEN`."""
    try:
        check_code(code)
    except FORBIDDEN:
        raise
    except FAILURES:
        return True
    return False

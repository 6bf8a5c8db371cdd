"""Reading at any place: records, watermarks, and what the tails already hold."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from aiokafka import errors
from aiokafka.protocol.offset import OffsetRequest

from ...errors import PositionBeyond, PositionTrimmed
from ..port import LANES, OUTBOX, Slice, Watermarks
from .cluster import Cluster
from .committed import Buffer
from .failures import check_code
from .fetch import FETCH_BYTES, READ_COMMITTED, Answer, Ask, FetchRequest, Place, answers
from .tail import Tails

LANE: Final = "read"
READ_BYTES: Final = 2 * FETCH_BYTES
PEEK_BYTES: Final = 1 << 16
"""For who asks for a few records only."""
PEEK_RECORDS: Final = 16
LEFT_OVER_BYTES: Final = 32 << 20
"""What is kept of fetched and not yet read records of all places together."""
BEYOND_MAX: Final = 3
"""So often a position beyond the end is asked again: a new leader may not know its end yet."""
INBOXES: Final = frozenset((*LANES, OUTBOX))
"""Read again and again where nothing is: there, what the long poll said last is believed. Elsewhere an empty slice must mean that
nothing was there when it was asked for: who restores stops at it.
"""
OUT_OF_RANGE: Final = 1
EARLIEST, LATEST = -2, -1
UNCOMMITTED: Final = 0


class Reader:
    """Random access to every place, and the tails of those that are waited for."""

    def __init__(self, cluster: Cluster, topics: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._address = cluster.address
        self._names = {cluster.address.topic(topic): topic for topic in topics}
        self._tails = Tails(cluster, self._names)
        self._left: OrderedDict[tuple[Place, int], Buffer] = OrderedDict()
        self._left_bytes = 0
        self._least: dict[Place, int] = {}

    async def read(self, topic: str, partition: int, position: int, records_max: int, *, headers: bool) -> Slice:
        """Return committed records from `position` on; see the port."""
        self._cluster.check_open()
        place = (topic, partition)
        buffer = self._tails.buffer(place, position)
        if buffer is not None:
            return buffer.take(records_max, headers=headers)
        if topic in INBOXES and self._tails.knows_nothing_new(place, position):
            return Slice([], position)
        what = f"read {topic}/{partition} at {position}"
        beyond = 0

        async def attempt() -> Slice:
            nonlocal beyond
            buffer = self._take_left(place, position) or await self._fetch(place, position, records_max)
            if buffer is not None:
                found = buffer.take(records_max, headers=headers)
                self._leave(buffer)
                return found
            beyond += 1
            await self._explain(place, position, final=beyond >= BEYOND_MAX)
            raise errors.OffsetOutOfRangeError

        return await self._cluster.insist(attempt, what)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the partition's start, last stable offset and high watermark, asked now."""
        place = (topic, partition)

        async def attempt() -> Watermarks:
            marks = await self._list(place)
            if marks.high < self._least.get(place, 0):  # a leader that does not know yet that it is none
                raise errors.NotLeaderForPartitionError
            return marks

        marks = await self._cluster.insist(attempt, f"watermarks of {topic}/{partition}")
        self._tails.written(place, marks.stable - 1)
        return marks

    async def wait(self, positions: Mapping[Place, int], timeout_ms: int) -> None:
        """Return when there is something to read at one of the positions, or after the timeout."""
        self._cluster.check_open()
        for place, position in positions.items():
            if (place, position) in self._left:
                return
        await self._tails.wait(positions, timeout_ms / 1000)

    def written(self, place: Place, offset: int) -> None:
        """Take note that there is a record: a tail that has not seen it yet is not believed to be empty."""
        self._tails.written(place, offset)

    def ends_behind(self, ends: Mapping[Place, int]) -> None:
        """Believe no leader that says that one of these partitions ends before the position given for it."""
        self._least.update(ends)

    async def close(self) -> None:
        """Stop polling; who waits is woken up."""
        await self._tails.close()

    async def _fetch(self, place: Place, position: int, records_max: int) -> Buffer | None:
        """Return what is at the position, or None when it is outside the partition; raises one of `FAILURES`."""
        size = PEEK_BYTES if records_max <= PEEK_RECORDS else READ_BYTES
        answer = await self._ask(place, Ask({place: position}, bytes_max=size, total_bytes_max=size))
        if answer.error == OUT_OF_RANGE:
            return None
        check_code(answer.error)
        buffer = Buffer(place, position)
        buffer.add(answer.data, answer.aborted)
        if buffer.size:
            self._tails.rest(place)
        return buffer

    async def _explain(self, place: Place, position: int, *, final: bool) -> None:
        """Raise why a position is outside the partition."""
        marks = await self._list(place)
        if position < marks.start:
            raise PositionTrimmed(*place, position, marks.start)
        if position > marks.high and final:
            raise PositionBeyond(*place, position, marks.high)

    async def _list(self, place: Place) -> Watermarks:
        """Ask for the three marks in growing order, so that they enclose each other; one connection keeps the order.

        A Fetch would say all three in one answer; but a new leader answers it with a high watermark that is behind what is
        committed, until its followers have asked once, whereas it refuses this question for as long.
        """
        kinds = ((UNCOMMITTED, EARLIEST), (READ_COMMITTED, LATEST), (UNCOMMITTED, LATEST))
        start, stable, high = await asyncio.gather(*[self._offset(place, *kind) for kind in kinds])
        return Watermarks(start, stable, high)

    async def _offset(self, place: Place, isolation: int, which: int) -> int:
        request = OffsetRequest(-1, isolation, [(self._address.topic(place[0]), [(place[1], which)])])
        response = await self._cluster.ask(self._cluster.leader(*place), request, LANE)
        ((_, ((_, error, _, offset),)),) = response.topics
        check_code(error)
        found: int = offset
        return found

    async def _ask(self, place: Place, ask: Ask) -> Answer:
        response = await self._cluster.ask(self._cluster.leader(*place), FetchRequest(self._address, ask), LANE)
        check_code(response.error_code)
        (answer,) = answers(response, self._names)
        return answer

    def _take_left(self, place: Place, position: int) -> Buffer | None:
        buffer = self._left.pop((place, position), None)
        if buffer is not None:
            self._left_bytes -= buffer.size
        return buffer

    def _leave(self, buffer: Buffer) -> None:
        """Keep what was fetched and not taken, for who reads on there."""
        if not buffer.size:
            return
        self._take_left(buffer.place, buffer.position)
        self._left[buffer.place, buffer.position] = buffer
        self._left_bytes += buffer.size
        while self._left_bytes > LEFT_OVER_BYTES:
            self._left_bytes -= self._left.popitem(last=False)[1].size

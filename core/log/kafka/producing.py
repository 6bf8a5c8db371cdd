"""Batches to the leaders of their partitions, asked again until every one is in the log.

What is asked again is the same bytes under the same sequence number: a broker that has them already answers with the offset
that they got. The end is a deadline of the caller's: Kafka's clients would try for ever.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.produce import ProduceRequest

from .answers import UNKNOWN, Attempts, Meaning, meaning, name
from .cluster import Cluster
from .encoding import Batch
from .failures import FAILURES, describe
from .requests import implicit_produce

REQUEST_BYTES_MAX: Final = 16_000_000
ACKNOWLEDGED_MS: Final = 3_000
"""How long a leader waits for its followers before it says that they do not follow."""
WRITTEN_UNSAFELY: Final = (UNKNOWN, 7, 20)
"""Answers that say: in the leader's log, but not (known to be) in its followers'; or nobody knows."""
_ALL: Final = -1


class Producing:
    """Of one producer; `lane` is its connections' name, `what` its own in messages.

    `implicit`: producing adds the partitions to the transaction; see `Transactions`.
    """

    def __init__(
        self, cluster: Cluster, lane: str, transactional_id: str | None, what: str, *, implicit: bool = False
    ) -> None:
        self._cluster = cluster
        self._lane = lane
        self._transactional_id = transactional_id
        self._what = what
        self._implicit = implicit
        self.appended_ms: dict[tuple[str, int], int] = {}
        """When each partition's leader last appended something of this producer's, by the leader's clock."""

    async def produce(
        self,
        batches: Sequence[Batch],
        attempts: Attempts,
        landed: Callable[[], None] = lambda: None,
        again: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Return when all are in the log; raises what `meaning` raises. Has no end of its own.

        `landed` is called whenever some of them are, so that those need not wait for the others; `again` before leaders are asked
        once more.
        """
        left = list(batches)
        while left:
            self._cluster.check_open()
            failed_by = await self._ask_leaders(_firsts(left), landed)
            left = [batch for batch in left if batch.offset < 0]
            if failed_by:
                await attempts.pause(failed_by)
                if again is not None:
                    await again()

    async def _ask_leaders(self, batches: list[Batch], landed: Callable[[], None]) -> str:
        """Ask each leader once; return what failed, and will be tried again. What has no leader holds up nothing else."""
        by_leader: dict[int, list[Batch]] = defaultdict(list)
        leaderless = ""
        for batch in batches:
            try:
                by_leader[self._cluster.leader(batch.topic, batch.partition)].append(batch)
            except FAILURES as error:
                leaderless = describe(error)
        asking = [self._ask(leader, mine, landed) for leader, mine in by_leader.items()]
        if len(asking) == 1 and not leaderless:
            return await asking[0]
        results = await asyncio.gather(*asking, return_exceptions=True)
        if leaderless:
            await self._cluster.refresh()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return leaderless or next((result for result in results if isinstance(result, str) and result), "")

    async def _ask(self, leader: int, batches: list[Batch], landed: Callable[[], None]) -> str:
        before = {batch: batch.uncertain for batch in batches}
        for batch in batches:
            batch.uncertain = True
        try:
            answer = await self._cluster.ask(leader, self._request(batches), self._lane)
        except FAILURES as error:
            if isinstance(error, errors.NodeNotReadyError):  # it was not even sent
                for batch, uncertain in before.items():
                    batch.uncertain = uncertain
            await self._cluster.refresh()
            return describe(error)
        failed_by = await self._take(answer, before)
        landed()
        return failed_by

    def _request(self, batches: list[Batch]) -> Any:
        topics: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for batch in batches:
            topics[self._cluster.address.topic(batch.topic)].append((batch.partition, batch.data))
        if self._implicit and self._transactional_id is not None:
            return implicit_produce(self._transactional_id, _ALL, ACKNOWLEDGED_MS, topics.items())
        return ProduceRequest(self._transactional_id, _ALL, ACKNOWLEDGED_MS, [*topics.items()])

    async def _take(self, answer: Any, before: Mapping[Batch, bool]) -> str:
        waiting = {(self._cluster.address.topic(batch.topic), batch.partition): batch for batch in before}
        failed_by, moved = "", False
        for topic, partitions, *_tags in answer.topics:
            for partition, code, offset, appended_ms, *_ in partitions:
                batch = waiting[topic, partition]
                batch.uncertain = code in WRITTEN_UNSAFELY or before[batch]
                found = meaning(code, f"{self._what}, {batch.topic}/{partition}")
                if found is Meaning.DONE:
                    batch.offset = offset
                    self.appended_ms[batch.topic, batch.partition] = appended_ms
                else:
                    failed_by = f"{batch.topic}/{partition}: {name(code)}"
                    moved = moved or found is Meaning.MOVED
        if moved:
            await self._cluster.refresh()
        return failed_by


def _firsts(batches: Iterable[Batch]) -> list[Batch]:
    """Return the first batch of each partition, as many as one request takes."""
    firsts: dict[tuple[str, int], Batch] = {}
    size = 0
    for batch in batches:
        if (batch.topic, batch.partition) not in firsts and (not firsts or size + len(batch.data) <= REQUEST_BYTES_MAX):
            firsts[batch.topic, batch.partition] = batch
            size += len(batch.data)
    return list(firsts.values())

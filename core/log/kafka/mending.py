"""Ending what hangs of the transactions of one id, as they had ended; see `hung`.

A transaction that has these partitions and no records gets a marker into each, which closes what is open there. Who may
write may do that; to write markers oneself takes the right to act as a broker.
"""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final

import structlog

from .answers import Attempts
from .cluster import Cluster
from .fetch import Place
from .hung import Survey
from .transactions import Transactions

logger = structlog.get_logger("hms.log")
LOOK_S: Final = 3.0
"""So long a new owner waits for partitions that do not answer, and are not its own."""
END_S: Final = 8.0
"""Less than after what the broker ends a transaction by itself."""


class Mender:
    """Of one producer; nothing of it may be called while a transaction of its is under way, but `look_back` and `finish`."""

    def __init__(self, cluster: Cluster, survey: Survey, transactions: Transactions, what: str) -> None:
        self.committed = False
        """Whether the producer's last transaction was to be committed."""
        self.broken = 0
        """How many connections broke so far."""
        self.late: dict[Place, bool] = {}
        """How what may hang in partitions that have not answered yet had ended."""
        self._looked = 0
        """How many had when all was last looked at."""
        self._end: asyncio.Task[None] | None = None
        self._cluster = cluster
        self._survey = survey
        self._transactions = transactions
        self._what = what

    @property
    def is_due(self) -> bool:
        """Whether a connection broke since the last look: then before anything else."""
        return self._looked != self.broken

    @property
    def is_done(self) -> bool:
        """Whether all partitions have been looked at since the last connection broke."""
        return not self.is_due and not self.late

    async def learn(self, attempts: Attempts, own: AbstractSet[Place]) -> None:
        """Learn how the id's last transaction ended, before the fence makes its coordinator forget it.

        Before that, wait for the partitions, so that what hangs can be ended right after the fence.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + LOOK_S
        while unseen := (await self._survey.look()).unseen:
            if loop.time() > until and not unseen & own:
                break
            await attempts.pause("partitions without a leader")
        self.committed = bool(await self._transactions.outcome(attempts))

    async def settle(self, attempts: Attempts, own: AbstractSet[Place], look_s: float | None = None) -> None:
        """End what hangs, where partitions answer, and wait for those that are `own`; the others are for the next time.

        Raises `TimeoutError` after `look_s` in vain, or where an end takes too long: then it has to be done again.
        """
        while True:
            broken = self.broken
            async with asyncio.timeout(look_s):
                await self._transactions.wait_complete(attempts)
                places, unseen = await self._look()
            for committed in (True, False):
                if some := [place for place in places if self.late.get(place, self.committed) is committed]:
                    await self._end_them(some, committed=committed)
            seen = self.late.keys() - unseen - set(places)
            self.late = {place: self.late.get(place, self.committed) for place in {*self.late, *unseen} - seen}
            self._looked = broken
            if not unseen & own and not self.is_due:
                return
            await attempts.pause("partitions without a leader")

    async def look_back(self, attempts: Attempts, own: AbstractSet[Place]) -> bool:
        """Tell whether anything hangs, while a transaction may be under way: only what was before it can.

        Returns once all that are `own` have answered.
        """
        while not await self._transactions.is_open(attempts):
            places, unseen = await self._look()
            if places or not unseen & own:
                return bool(places)
            await attempts.pause("partitions without a leader")
        return False

    async def finish(self) -> None:
        """Return when no end is under way any more: one that is cut off would be aborted, and with it what hangs."""
        if self._end is not None:
            await asyncio.wait([self._end])

    async def _look(self) -> tuple[list[Place], frozenset[Place]]:
        mine = self._transactions
        found, unseen = await self._survey.look()
        # Where each end begins a new epoch, what is open in this one is no transaction of the past.
        open_ = found.get(mine.producer_id, ())
        return sorted(place for place, epoch in open_ if not mine.implicit or epoch < mine.producer_epoch), unseen

    async def _end_them(self, places: list[Place], *, committed: bool) -> None:
        """End a transaction in these places, whatever becomes of who waits for it."""
        where = [f"{topic}/{partition}" for topic, partition in places]
        logger.warning("transaction_hung", writer=self._what, places=where, committed=committed)
        names = [(self._cluster.address.topic(topic), partition) for topic, partition in places]
        self._end = asyncio.create_task(self._ended(names, committed=committed), name=f"end what hangs of {self._what}")
        self._end.add_done_callback(lambda task: task.cancelled() or task.exception())  # who waited may be gone
        await asyncio.shield(self._end)

    async def _ended(self, names: list[Place], *, committed: bool) -> None:
        attempts = Attempts()
        async with asyncio.timeout(END_S):
            await self._transactions.add(names, attempts, always=True)
            await self._transactions.end(attempts, committed=committed)

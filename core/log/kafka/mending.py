"""Ending what hangs of the transactions of one id, as they had ended; see `hung`.

A transaction that has these partitions and no records gets a marker into each, which closes what is open there. Who may
write may do that; to write markers oneself takes the right to act as a broker.
"""

import asyncio
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
PAUSE_S: Final = 0.1


class Mender:
    """Of one producer; nothing of it may be called while a transaction of its is under way, but `break_off` and `hangs`."""

    def __init__(self, cluster: Cluster, survey: Survey, transactions: Transactions, what: str) -> None:
        self.committed = False
        """Whether the producer's last transaction was to be committed."""
        self.ending = False
        """Whether it was cut off while it ended something: nobody knows how that ends."""
        self.broken = 0
        """How many connections broke so far."""
        self._tried = self._settled = 0
        self._late: dict[Place, bool] = {}
        """How what hangs in partitions that have not answered yet had ended."""
        self._cluster = cluster
        self._survey = survey
        self._transactions = transactions
        self._what = what

    @property
    def is_due(self) -> bool:
        """Whether a connection broke, and nobody has looked since: then before anything else."""
        return self._tried != self.broken

    @property
    def is_done(self) -> bool:
        """Whether all partitions have been looked at since the last connection broke."""
        return self._settled == self.broken and not self._late

    async def learn(self, attempts: Attempts) -> None:
        """Learn how the id's last transaction ended, before the fence makes its coordinator forget it.

        Before that, wait for the partitions, so that what hangs can be ended right after the fence.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + LOOK_S
        while (await self._survey.look()).unseen and loop.time() < until:  # noqa: ASYNC110 - brokers come back
            await asyncio.sleep(PAUSE_S)
        self.committed = bool(await self._transactions.outcome(attempts))

    async def begin(self, attempts: Attempts, own: frozenset[Place]) -> None:
        """End what hangs, right after the fence; of its own partitions none may be left out."""
        while True:
            unseen = await self._settle(attempts)
            if not unseen & own:
                break
            await attempts.pause("partitions without a leader")
        self._late = dict.fromkeys(unseen, self.committed)

    async def settle(self, attempts: Attempts) -> None:
        """End what hangs, where partitions answer; those that do not are for the next time."""
        self._tried = broken = self.broken
        await self._transactions.wait_complete(attempts)
        unseen = await self._settle(attempts)
        for place in [place for place in self._late if place not in unseen]:
            del self._late[place]
        if not unseen:
            self._settled = broken

    async def hangs(self) -> bool:
        """Tell whether anything hangs; there must be no transaction that the coordinator knows of."""
        places, _ = await self._look()
        return bool(places)

    async def _settle(self, attempts: Attempts) -> frozenset[Place]:
        places, unseen = await self._look()
        for committed in (True, False):
            if some := [place for place in places if self._late.get(place, self.committed) is committed]:
                await self._end(some, attempts, committed=committed)
        return unseen

    async def _look(self) -> tuple[list[Place], frozenset[Place]]:
        mine = self._transactions
        found, unseen = await self._survey.look()
        # Where each end begins a new epoch, what is open in this one is no transaction of the past.
        open_ = found.get(mine.producer_id, ())
        return sorted(place for place, epoch in open_ if not mine.implicit or epoch < mine.producer_epoch), unseen

    async def _end(self, places: list[Place], attempts: Attempts, *, committed: bool) -> None:
        where = [f"{topic}/{partition}" for topic, partition in places]
        logger.warning("transaction_hung", writer=self._what, places=where, committed=committed)
        self.ending = True
        names = [(self._cluster.address.topic(topic), partition) for topic, partition in places]
        await self._transactions.add(names, attempts, always=True)
        await self._transactions.end(attempts, committed=committed)
        self.ending = False

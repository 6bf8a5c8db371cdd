"""The fenced writer of a shard: one transactional id a shard, whose epoch the broker checks with every step of a commit."""

import asyncio
from collections.abc import Iterable, MutableMapping, Sequence
from enum import Enum, auto
from functools import partial
from typing import Final

import structlog

from ...errors import CommitUnknown, HmsError, LogUnreachable, WriterFenced
from ..port import CHECKPOINTS, EVENTS, Draft
from .answers import Attempts
from .cluster import Cluster
from .encoding import Encoder, Places, offsets
from .failures import DEADLINE_S, FAILURES, FORBIDDEN, describe, failure
from .fetch import Place
from .hung import CARRIER, NO_EPOCH, hung
from .producing import Producing
from .transactions import Transactions

logger = structlog.get_logger("hms.log")
CODEC: Final = "zstd"
RESTORED: Final = (EVENTS, CHECKPOINTS)
ABORT_S: Final = 2.0
"""For telling the broker of an end that the next owner, or the broker itself, would bring about as well."""
MEND_S: Final = 2.0
MEND_PAUSE_S: Final = 0.5
"""An idle writer's look for what hangs takes so long at most, lest a commit wait for it; then the next look."""


class _Stage(Enum):
    IDLE = auto()
    OPEN = auto()
    ENDING = auto()


class _Behind(Exception):
    """The transaction before hangs in these places, and must be ended first."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places


class KafkaWriter:
    """Valid until somebody else opens the shard, or until a commit fails. Made by `open`."""

    def __init__(
        self, shard: int, cluster: Cluster, places: Places, transactions: Transactions, *, codec: str, deadline_s: float
    ) -> None:
        self.shard = shard
        self._cluster = cluster
        self.epoch = transactions.producer_id << 16 | transactions.producer_epoch
        self._places = places
        self._transactions = transactions
        self._deadline_s = deadline_s
        identifier = self._lane = cluster.address.transactional_id(shard)
        self._names = places.names
        implicit = transactions.implicit
        self._producing = Producing(cluster, identifier, identifier, f"shard {shard}", implicit=implicit)
        self._codec = codec
        self._encoder = self._new_encoder()
        self._stage = _Stage.IDLE
        self._dead = ""
        self.ends: dict[tuple[str, int], int] = {}
        """Where the partitions that a restore reads end at least."""
        self._turn = asyncio.Lock()
        self._committed = False
        """Whether the last transaction was to be committed."""
        self._doubtful = False
        """Whether a broker may have ended since the last look at what hangs."""
        self._mending: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        shard: int,
        cluster: Cluster,
        places: Places,
        *,
        codec: str = CODEC,
        deadline_s: float = DEADLINE_S,
        modern: bool = True,
        outcomes: MutableMapping[int, bool] | None = None,
    ) -> "KafkaWriter":
        """Fence the shard's previous writer and resolve its open transaction. Raises `LogUnreachable`.

        With `modern`, transactions are implicit where the cluster knows them; see `Transactions`. `outcomes` keeps for the next
        attempt whether the shard's last transaction was committed: once the writer is fenced the cluster does not know any more.
        """
        outcomes = {} if outcomes is None else outcomes
        identifier = cluster.address.transactional_id(shard)
        transactions = Transactions(cluster, identifier, identifier, f"shard {shard}")
        attempts = Attempts()
        try:
            async with asyncio.timeout(deadline_s):
                committed = await transactions.outcome(attempts)
                if committed is not None:
                    outcomes[shard] = committed
                await transactions.begin_epoch(attempts, modern=modern)
                writer = cls(shard, cluster, places, transactions, codec=codec, deadline_s=deadline_s)
                places_hung = await writer._look_for_hung(attempts)
                await writer._end_hung(places_hung, attempts, committed=outcomes.get(shard, False))
                await writer._prove(attempts)
        except TimeoutError as error:
            raise late(f"open a writer of shard {shard}", deadline_s, attempts) from error
        outcomes.pop(shard, None)
        cluster.client.on_lost.add(writer._doubt)
        return writer

    async def _end_hung(self, places: Sequence[Place], attempts: Attempts, *, committed: bool) -> None:
        """End what hangs of this id's last transaction as that one ended; see `hung`."""
        if not places:
            return
        where = [f"{topic}/{partition}" for topic, partition in places]
        logger.warning("transaction_hung", shard=self.shard, places=where, committed=committed)
        await self._transact(_carriers(places), attempts, committed=committed)

    async def _look_for_hung(self, attempts: Attempts) -> list[Place]:
        mine = self._transactions
        now = mine.producer_epoch if mine.implicit else NO_EPOCH  # else all transactions are of one epoch
        while True:
            self._cluster.check_open()
            try:
                return await hung(self._cluster, self._lane, mine.producer_id, self._places.known, but=now)
            except FORBIDDEN as error:
                raise failure(error, f"shard {self.shard}: look for transactions that hang") from error
            except FAILURES as error:
                await self._cluster.refresh()
                await attempts.pause(describe(error))

    async def _prove(self, attempts: Attempts) -> None:
        """Write where a restore will read, and abort that: whoever took it is the leader now, and the end is behind it.

        Fencing went through the coordinator and says nothing about these leaders. One that was paused while others were
        elected believes in itself for a moment, and would end the partition where it ended then; but it cannot get what it
        writes acknowledged by the others.
        """
        places = [(topic, self.shard) for topic in RESTORED]
        offsets = await self._transact(_carriers(places), attempts, committed=False)
        self.ends = {place: offset + 1 for place, offset in zip(places, offsets, strict=True)}

    async def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Write all drafts as one transaction; see the port."""
        async with self._turn:
            if self._dead:
                raise WriterFenced(f"this writer of shard {self.shard} is dead ({self._dead}): open a new one")
            self._places.check(drafts)
            return await self._commit(drafts) if drafts else []

    async def _commit(self, drafts: Sequence[Draft]) -> list[int]:
        self._dead = "its last commit was cut off"
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._deadline_s):
                if self._doubtful:
                    await self._settle(attempts)
                found = await self._transact(drafts, attempts)
        except TimeoutError as error:
            failed = self._failed(late(f"commit of shard {self.shard}", self._deadline_s, attempts))
            raise failed from error
        except HmsError as error:
            raise self._failed(error) from error
        self._dead = ""
        return found

    def _doubt(self) -> None:
        """Look soon whether the last commit hangs, commit or no commit: readers of other shards may wait behind it."""
        self._doubtful = True
        if self._mending is None or self._mending.done():
            self._mending = asyncio.ensure_future(self._mend())

    async def _mend(self) -> None:
        while self._doubtful:
            async with self._turn:
                if self._dead:
                    return
                try:
                    await self._settle(Attempts(), MEND_S)
                except (HmsError, TimeoutError) as error:
                    if self._stage is not _Stage.IDLE:
                        self._dead = f"it could not end what hung: {error}"
            await asyncio.sleep(MEND_PAUSE_S)

    async def _settle(self, attempts: Attempts, look_s: float | None = None) -> None:
        """End what hangs of this writer's last transaction, which was answered."""
        self._doubtful = False  # before it is looked at: what breaks meanwhile is a doubt of its own
        try:
            async with asyncio.timeout(look_s):
                places = await self._look_for_hung(attempts)
            async with asyncio.timeout(self._deadline_s):  # cut off it would be aborted, and with it what hangs
                await self._end_hung(places, attempts, committed=self._committed)
        except BaseException:
            self._doubtful = True
            raise

    async def close(self) -> None:
        """Give the shard up; an open transaction is aborted, unless its commit was asked for. Never raises."""
        self._cluster.client.on_lost.discard(self._doubt)
        self._dead = self._dead or "it was closed"
        if self._mending is not None:
            await asyncio.wait([self._mending], timeout=ABORT_S)
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        stage, self._stage = self._stage, _Stage.IDLE
        if stage is not _Stage.OPEN:
            return
        try:
            async with asyncio.timeout(ABORT_S):
                await self._transactions.end(Attempts(), committed=False)
        except (HmsError, TimeoutError):
            pass  # fenced, or out of reach: the next owner's opening resolves it, or the broker after the time-out

    async def _transact(self, drafts: Sequence[Draft], attempts: Attempts, *, committed: bool = True) -> list[int]:
        while True:
            try:
                return await self._try(drafts, attempts, committed=committed)
            except _Behind as behind:
                self._encoder, self._stage = self._new_encoder(), _Stage.IDLE
                await self._end_hung(behind.places, attempts, committed=self._committed)

    async def _try(self, drafts: Sequence[Draft], attempts: Attempts, *, committed: bool) -> list[int]:
        batches = self._encoder.encode(drafts)
        self._stage = _Stage.OPEN
        await self._transactions.add({(self._names[batch.topic], batch.partition) for batch in batches}, attempts)
        look_back = partial(self._look_back, attempts) if self._transactions.implicit else None
        await self._producing.produce(batches, attempts, again=look_back)
        self._stage = _Stage.ENDING
        await self._transactions.end(attempts, committed=committed)
        self._committed = committed
        self._stage = _Stage.IDLE
        if self._transactions.implicit:  # another epoch, whose sequence numbers begin again
            self._encoder = self._new_encoder()
        return offsets(batches, len(drafts))

    async def _look_back(self, attempts: Attempts) -> None:
        """Before anything is asked again after a broker may have ended: raises `_Behind` if the transaction before hangs.

        Of this one the broker that ended had nothing then: it would not have taken it before the one before was complete.
        """
        if not self._doubtful:
            return
        self._doubtful = False
        places = await self._look_for_hung(attempts)
        if places and not await self._transactions.is_open(attempts):
            raise _Behind(places)
        self._doubtful = self._doubtful or bool(places)

    def _new_encoder(self) -> Encoder:
        producer = (self._transactions.producer_id, self._transactions.producer_epoch)
        return Encoder(*producer, transactional=True, codec=self._codec)

    def _failed(self, error: HmsError) -> HmsError:
        """Return what the failure means for the commit; the writer is dead.

        A refusal of the end as of an old epoch is certain only if the end was asked for once: of a question whose
        answer was lost the broker may have done what it was asked before somebody else opened the shard.
        """
        ending = self._stage is _Stage.ENDING
        certain = isinstance(error, WriterFenced) and not self._transactions.unanswered
        if ending and not certain:
            error = CommitUnknown(
                f"shard {self.shard}: no answer to the end of the transaction ({error}); re-open and look"
            )
        self._dead = str(error)
        return error


def _carriers(places: Iterable[Place]) -> list[Draft]:
    return [Draft(topic, partition, CARRIER, None) for topic, partition in places]


def late(what: str, deadline_s: float, attempts: Attempts) -> LogUnreachable:
    """Return the error for a deadline that passed, with what the last attempt failed by."""
    return LogUnreachable(
        f"{what}: not done within {deadline_s:g} s (last: {attempts.failed_by}); is the cluster healthy? `hms doctor` looks"
    )

"""The fenced writer of a shard: one transactional id a shard, whose epoch the broker checks with every step of a commit."""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from ...errors import CommitUnknown, HmsError, LogUnreachable, WriterFenced
from ..port import CHECKPOINTS, EVENTS, Draft
from .answers import Attempts
from .cluster import Cluster
from .encoding import Encoder, Places, offsets
from .failures import DEADLINE_S
from .producing import Producing
from .transactions import Transactions

CODEC: Final = "zstd"
RESTORED: Final = (EVENTS, CHECKPOINTS)
ABORT_S: Final = 2.0
"""For telling the broker of an end that the next owner, or the broker itself, would bring about as well."""


class _Stage(Enum):
    IDLE = auto()
    OPEN = auto()
    ENDING = auto()


class KafkaWriter:
    """Valid until somebody else opens the shard, or until a commit fails. Made by `open`."""

    def __init__(
        self, shard: int, cluster: Cluster, places: Places, transactions: Transactions, *, codec: str, deadline_s: float
    ) -> None:
        self.shard = shard
        self.epoch = transactions.producer_id << 16 | transactions.producer_epoch
        self._places = places
        self._transactions = transactions
        self._deadline_s = deadline_s
        identifier = cluster.address.transactional_id(shard)
        self._names = places.names
        implicit = transactions.implicit
        self._producing = Producing(cluster, identifier, identifier, f"shard {shard}", implicit=implicit)
        self._codec = codec
        self._encoder = self._new_encoder()
        self._stage = _Stage.IDLE
        self._dead = ""
        self.ends: dict[tuple[str, int], int] = {}
        """Where the partitions that a restore reads end at least."""

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
    ) -> "KafkaWriter":
        """Fence the shard's previous writer and resolve its open transaction. Raises `LogUnreachable`.

        With `modern`, transactions are implicit where the cluster knows them; see `Transactions`.
        """
        identifier = cluster.address.transactional_id(shard)
        transactions = Transactions(cluster, identifier, identifier, f"shard {shard}")
        attempts = Attempts()
        try:
            async with asyncio.timeout(deadline_s):
                await transactions.begin_epoch(attempts, modern=modern)
                writer = cls(shard, cluster, places, transactions, codec=codec, deadline_s=deadline_s)
                await writer._prove(attempts)
        except TimeoutError as error:
            raise late(f"open a writer of shard {shard}", deadline_s, attempts) from error
        return writer

    async def _prove(self, attempts: Attempts) -> None:
        """Write where a restore will read, and abort that: whoever took it is the leader now, and the end is behind it.

        Fencing went through the coordinator and says nothing about these leaders. One that was paused while others were
        elected believes in itself for a moment, and would end the partition where it ended then; but it cannot get what it
        writes acknowledged by the others.
        """
        drafts = [Draft(topic, self.shard, b"", b"") for topic in RESTORED]
        offsets = await self._transact(drafts, attempts, committed=False)
        self.ends = {(topic, self.shard): offset + 1 for topic, offset in zip(RESTORED, offsets, strict=True)}

    async def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Write all drafts as one transaction; see the port."""
        if self._dead:
            raise WriterFenced(f"this writer of shard {self.shard} is dead ({self._dead}): open a new one")
        self._places.check(drafts)
        if not drafts:
            return []
        self._dead = "its last commit was cut off"
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._transact(drafts, attempts)
        except TimeoutError as error:
            failed = self._failed(late(f"commit of shard {self.shard}", self._deadline_s, attempts))
            raise failed from error
        except HmsError as error:
            raise self._failed(error) from error
        self._dead = ""
        return found

    async def close(self) -> None:
        """Give the shard up; an open transaction is aborted, unless its commit was asked for. Never raises."""
        self._dead = self._dead or "it was closed"
        stage, self._stage = self._stage, _Stage.IDLE
        if stage is not _Stage.OPEN:
            return
        try:
            async with asyncio.timeout(ABORT_S):
                await self._transactions.end(Attempts(), committed=False)
        except (HmsError, TimeoutError):
            pass  # fenced, or out of reach: the next owner's opening resolves it, or the broker after the time-out

    async def _transact(self, drafts: Sequence[Draft], attempts: Attempts, *, committed: bool = True) -> list[int]:
        batches = self._encoder.encode(drafts)
        self._stage = _Stage.OPEN
        await self._transactions.add({(self._names[batch.topic], batch.partition) for batch in batches}, attempts)
        await self._producing.produce(batches, attempts)
        self._stage = _Stage.ENDING
        await self._transactions.end(attempts, committed=committed)
        self._stage = _Stage.IDLE
        if self._transactions.implicit:  # another epoch, whose sequence numbers begin again
            self._encoder = self._new_encoder()
        return offsets(batches, len(drafts))

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


def late(what: str, deadline_s: float, attempts: Attempts) -> LogUnreachable:
    """Return the error for a deadline that passed, with what the last attempt failed by."""
    return LogUnreachable(
        f"{what}: not done within {deadline_s:g} s (last: {attempts.failed_by}); is the cluster healthy? `hms doctor` looks"
    )

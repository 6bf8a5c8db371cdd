"""The fenced writer of a shard: one transactional id a shard, whose epoch the broker checks with every step of a commit."""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto
from functools import partial
from typing import Final

from ...errors import CommitUnknown, HmsError, LogUnreachable, WriterFenced
from ..port import CHECKPOINTS, EVENTS, Draft
from .answers import Attempts
from .cluster import Cluster
from .encoding import Encoder, Places, offsets
from .failures import DEADLINE_S
from .fetch import Place
from .hung import Survey
from .mending import Mender
from .producing import Producing
from .transactions import Transactions

CODEC: Final = "zstd"
RESTORED: Final = (EVENTS, CHECKPOINTS)
ABORT_S: Final = 2.0
"""For telling the broker of an end that the next owner, or the broker itself, would bring about as well."""
MEND_S: Final = 2.0
"""An idle writer's look for what hangs takes so long at most, lest a commit wait for it."""
MEND_PAUSE_S: Final = 0.5
MEND_PAUSE_MAX_S: Final = 10.0


class _Stage(Enum):
    IDLE = auto()
    OPEN = auto()
    ENDING = auto()


class KafkaWriter:
    """Valid until somebody else opens the shard, or until a commit fails. Made by `open`."""

    def __init__(
        self,
        shard: int,
        cluster: Cluster,
        places: Places,
        mender: Mender,
        transactions: Transactions,
        *,
        codec: str,
        deadline_s: float,
    ) -> None:
        self.shard = shard
        self._cluster = cluster
        self._mender = mender
        self._mending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._broken_before = 0
        """How many connections had broken when the commit under way began."""
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
        self._looked_back = 0
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
        survey: Survey | None = None,
    ) -> "KafkaWriter":
        """Fence the shard's previous writer and resolve its open transaction. Raises `LogUnreachable`.

        With `modern`, transactions are implicit where the cluster knows them; see `Transactions`.
        """
        identifier = cluster.address.transactional_id(shard)
        transactions = Transactions(cluster, identifier, identifier, f"shard {shard}")
        mender = Mender(cluster, survey or Survey(cluster, places.known), transactions, f"shard {shard}")
        attempts = Attempts()
        try:
            async with asyncio.timeout(deadline_s):
                await mender.learn(attempts, _own(shard))
                await transactions.begin_epoch(attempts, modern=modern)
                writer = cls(shard, cluster, places, mender, transactions, codec=codec, deadline_s=deadline_s)
                await writer._begin(attempts)
        except TimeoutError as error:
            raise late(f"open a writer of shard {shard}", deadline_s, attempts) from error
        return writer

    async def _begin(self, attempts: Attempts) -> None:
        self._cluster.client.on_lost.add(self._doubt)
        try:
            async with self._turn:
                await self._mender.settle(attempts, _own(self.shard))
                await self._prove(attempts)
        except BaseException:
            await self.close()
            raise
        if not self._mender.is_done:
            self._begin_mending()

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
        async with self._turn:
            if self._dead:
                raise WriterFenced(f"this writer of shard {self.shard} is dead ({self._dead}): open a new one")
            self._places.check(drafts)
            return await self._commit(drafts) if drafts else []

    async def _commit(self, drafts: Sequence[Draft]) -> list[int]:
        self._dead = "its last commit was cut off"
        attempts = Attempts()
        try:
            if not self._mender.is_done:
                await self._settle(drafts, attempts)
            async with asyncio.timeout(self._deadline_s):
                found = await self._transact(drafts, attempts)
        except TimeoutError as error:
            failed = self._failed(late(f"commit of shard {self.shard}", self._deadline_s, attempts))
            raise failed from error
        except HmsError as error:
            raise self._failed(error) from error
        self._dead = ""
        return found

    async def _settle(self, drafts: Sequence[Draft], attempts: Attempts) -> None:
        """End what hangs where a commit is to be written: its end would decide about that, too."""
        own = _places(drafts)
        if self._mender.is_due or not own.isdisjoint(self._mender.late):
            await self._mender.settle(attempts, own, self._deadline_s)

    def _doubt(self) -> None:
        """Look soon whether the last commit hangs, commit or no commit: readers of other shards may wait behind it."""
        self._mender.broken += 1
        self._begin_mending()

    def _begin_mending(self) -> None:
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend(), name=f"mend shard {self.shard}")

    async def _mend(self) -> None:
        pause_s = MEND_PAUSE_S
        while not self._mender.is_done and not self._cluster.closed:
            async with self._turn:
                if self._dead:
                    return
                try:
                    await self._mender.settle(Attempts(), frozenset(), MEND_S)
                except WriterFenced as error:
                    self._dead = str(error)
                except (HmsError, TimeoutError):
                    pass  # the next look tries again
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MEND_PAUSE_MAX_S)

    async def close(self) -> None:
        """Give the shard up; an open transaction is aborted, unless its commit was asked for. Never raises."""
        self._cluster.client.on_lost.discard(self._doubt)
        self._dead = self._dead or "it was closed"
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        await self._mender.finish()
        stage, self._stage = self._stage, _Stage.IDLE
        if stage is not _Stage.OPEN or self._mender.broken != self._broken_before:
            return  # where a broker may have ended, to abort would make it forget how the commit before this one ended
        try:
            async with asyncio.timeout(ABORT_S):
                await self._transactions.end(Attempts(), committed=False)
        except (HmsError, TimeoutError):
            pass  # fenced, or out of reach: the next owner's opening resolves it, or the broker after the time-out

    async def _transact(self, drafts: Sequence[Draft], attempts: Attempts, *, committed: bool = True) -> list[int]:
        if self._transactions.implicit:  # each is of an epoch of its own, whose sequence numbers begin again
            self._encoder = self._new_encoder()
        batches = self._encoder.encode(drafts)
        self._stage = _Stage.OPEN
        self._broken_before = self._looked_back = self._mender.broken
        await self._transactions.add({(self._names[batch.topic], batch.partition) for batch in batches}, attempts)
        look_back = partial(self._look_back, drafts, attempts) if self._transactions.implicit else None
        await self._producing.produce(batches, attempts, again=look_back)
        self._stage = _Stage.ENDING
        await self._transactions.end(attempts, committed=committed)
        self._mender.committed = committed
        self._stage = _Stage.IDLE
        return offsets(batches, len(drafts))

    async def _look_back(self, drafts: Sequence[Draft], attempts: Attempts) -> None:
        """Before anything is asked again after a connection broke: raise `LogUnreachable` if the commit before this one hangs.

        If it does, this one is not begun yet, and its end would decide about that one. The next opening ends both.
        """
        broken = self._mender.broken
        if self._looked_back == broken:
            return
        if await self._mender.look_back(attempts, _places(drafts)):
            raise LogUnreachable(
                f"commit of shard {self.shard}: a broker ended, and left the commit before this one hanging; open a new writer"
            )
        self._looked_back = broken

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


def _places(drafts: Sequence[Draft]) -> set[Place]:
    return {(draft.topic, draft.partition) for draft in drafts}


def _own(shard: int) -> frozenset[Place]:
    return frozenset((topic, shard) for topic in RESTORED)


def late(what: str, deadline_s: float, attempts: Attempts) -> LogUnreachable:
    """Return the error for a deadline that passed, with what the last attempt failed by."""
    return LogUnreachable(
        f"{what}: not done within {deadline_s:g} s (last: {attempts.failed_by}); is the cluster healthy? `hms doctor` looks"
    )

"""The fenced writer of a shard: a transaction that is produced in the open, then decided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import CommitUnknown, LogUnreachable, WriterFenced
from ..port import Draft
from .broker import OpenTransaction

if TYPE_CHECKING:
    from .log import SimulatedLog


class SimulatedWriter:
    """Between any two steps others may run: open the shard, take it away, crash this node."""

    def __init__(self, log: "SimulatedLog", shard: int, epoch: int, owner: str) -> None:
        self.shard = shard
        self.epoch = epoch
        self.owner = owner
        self._log = log
        self._broker = log.broker
        self._dead = ""
        self._transaction: OpenTransaction | None = None

    async def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Write all drafts as one transaction; see the port."""
        if self._dead:
            raise WriterFenced(f"this writer of shard {self.shard} is dead ({self._dead}): open a new one")
        self._log.check(drafts)
        self._dead = "its last commit was cut off"
        try:
            offsets = await self._commit(drafts)
        except Exception as error:
            self._dead = str(error)
            raise
        self._dead = ""
        self._transaction = None
        return offsets

    async def close(self) -> None:
        """Give it up; an open transaction of this epoch is aborted, unless the node crashed."""
        self._dead = self._dead or "it was closed"
        transaction = self._transaction
        if (
            transaction
            and not self._log.crashed
            and self._broker.is_open(transaction)
            and transaction.commit_at_us is None
        ):
            self._broker.end(transaction, committed=False)

    async def _commit(self, drafts: Sequence[Draft]) -> list[int]:
        await self._log.travel()
        self._check_epoch()
        if not drafts:
            return []
        transaction = self._transaction = self._broker.begin(self.shard)
        half = len(drafts) // 2
        offsets = self._broker.produce(drafts[:half], transaction)
        await self._step(transaction)
        offsets += self._broker.produce(drafts[half:], transaction)
        await self._step(transaction)
        self._decide(transaction)
        await self._log.answer()
        return offsets

    async def _step(self, transaction: OpenTransaction) -> None:
        await self._log.answer()
        self._broker.let_a_stranger_hang()
        if self._broker.strike("rebalance_in_commit"):
            self._broker.group.take_away(self.shard)
            self._broker.notify()
        if not self._broker.is_open(transaction):
            self._check_epoch()
            raise WriterFenced(f"shard {self.shard}: the transaction was aborted on the broker's side")

    def _decide(self, transaction: OpenTransaction) -> None:
        broker = self._broker
        if broker.strike("commit_aborted"):
            broker.end(transaction, committed=False)
            raise LogUnreachable("the transaction was aborted (simulated); nothing was written")
        if broker.strike("commit_lost"):
            raise CommitUnknown("the connection broke before the answer to the commit (simulated)")
        broker.commit(transaction)
        if broker.strike("commit_ack_lost"):
            raise CommitUnknown("the connection broke after the commit (simulated)")

    def _check_epoch(self) -> None:
        self._broker.settle()
        newest = self._broker.epochs[self.shard]
        if newest != self.epoch:
            raise WriterFenced(
                f"shard {self.shard} is in epoch {newest}, this writer's was {self.epoch}: another owner has opened it"
            )

"""The fenced writer of a shard: its epoch is checked inside the transaction that writes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import CommitUnknown, WriterFenced
from ..port import Draft
from .rows import Encoded
from .transaction import Transaction

if TYPE_CHECKING:
    from .worker import Worker

Encoder = Callable[[Sequence[Draft]], list[Encoded]]


class SqliteWriter:
    """Valid until somebody else opens the shard, or until a commit fails."""

    def __init__(self, shard: int, epoch: int, worker: "Worker", encode: Encoder) -> None:
        self.shard = shard
        self.epoch = epoch
        self._worker = worker
        self._encode = encode
        self._dead = ""

    async def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Write all drafts as one transaction; see the port."""
        if self._dead:
            raise WriterFenced(f"this writer of shard {self.shard} is dead ({self._dead}): open a new one")
        encoded = self._encode(drafts)
        self._dead = "its last commit was cut off"
        try:
            offsets: list[int] = await self._worker.run(
                lambda transaction: self._write(transaction, encoded), CommitUnknown
            )
        except Exception as error:
            self._dead = str(error)
            raise
        self._dead = ""
        return offsets

    async def close(self) -> None:
        """Give it up; there is nothing to abort."""
        self._dead = "it was closed"

    def _write(self, transaction: Transaction, encoded: list[Encoded]) -> list[int]:
        newest = transaction.epochs[self.shard]
        if newest != self.epoch:
            raise WriterFenced(
                f"shard {self.shard} is in epoch {newest}, this writer's was {self.epoch}: another owner has opened it"
            )
        return transaction.append(encoded)


def open_shard(transaction: Transaction, shard: int, owner: str) -> int:
    """Fence whoever wrote before; return the new epoch."""
    transaction.epochs[shard] += 1
    transaction.execute("UPDATE shards SET owner = ? WHERE shard = ?", owner, shard)
    return transaction.epochs[shard]

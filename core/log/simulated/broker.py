"""The far side: what all handles of a simulated log share, and where the faults are drawn.

Modelled on Kafka 4. A commit writes a marker into every partition it touched; a transaction stays open, hiding what is
behind it, until its shard is opened again or its time is over; its owner is then fenced. Nothing runs by itself: whoever calls
first settles what is due by the clock, so that one seed gives one history.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from ...clock import Clock, SystemClock
from ...errors import ValidationFailed
from ..port import CO_PARTITIONED, DEFAULT_PARTITIONS, SCHEMAS, Draft
from .faults import Faults
from .group import SimulatedGroup
from .partition import SimulatedPartition

if TYPE_CHECKING:
    from .log import SimulatedLog

TRANSACTION_MS: Final = 10_000
LEASE_MS: Final = 5_000
STRANGER: Final = -1
"""The shard of a transaction that is none of ours."""


@dataclass(slots=True)
class OpenTransaction:
    """Of a shard's epoch; ends in an abort at `deadline_us`, or, once decided, in a commit at `commit_at_us`."""

    number: int
    shard: int
    deadline_us: int
    commit_at_us: int | None = None
    partitions: dict[tuple[str, int], SimulatedPartition] = field(default_factory=dict)

    @property
    def due_us(self) -> int:
        """When it ends by itself."""
        return self.deadline_us if self.commit_at_us is None else self.commit_at_us


class SimulatedBroker:
    """Connect several handles ("nodes") to one broker; `strikes` counts the faults that struck, by name."""

    def __init__(
        self,
        partitions: int = DEFAULT_PARTITIONS,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        faults: Faults | None = None,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self.partition_count = partitions
        self.clock = clock or SystemClock()
        self.random = random or Random(0)  # noqa: S311 faults, not secrets
        self.faults = faults or Faults()
        self.strikes: Counter[str] = Counter()
        self.group = SimulatedGroup(partitions, lease_ms * 1_000)
        self.settings: dict[str, str] = {}
        self.epochs = [0] * partitions
        keys = [(topic, number) for topic in CO_PARTITIONED for number in range(partitions)] + [(SCHEMAS, 0)]
        self._partitions = {key: SimulatedPartition(*key) for key in keys}
        self._open: dict[int, OpenTransaction] = {}
        self._begun = 0
        self._handles: dict[str, SimulatedLog] = {}
        self._waiting: list[tuple[asyncio.Future[None], Callable[[], bool]]] = []
        self._settled_us = -1
        self._alarm_us: int | None = None

    def connect(self, node: str) -> "SimulatedLog":
        """Return a handle for a node, a new one after a crash too."""
        from .log import SimulatedLog  # noqa: PLC0415 the handle needs the broker

        handle = self._handles[node] = SimulatedLog(self, node)
        return handle

    def crash(self, node: str) -> None:
        """End the node's handle as SIGKILL would: its transaction stays open, its lease runs out."""
        self._handles[node].crashed = True
        self.pause(node)
        self.notify()

    def pause(self, node: str) -> None:
        """Stop the node's heartbeats while its handle still works: a zombie, once its lease is over."""
        for name in self._handles[node].members:
            self.group.silence(name, self.clock.monotonic_us())

    def resume(self, node: str) -> None:
        """Let the heartbeats come again."""
        for name in self._handles[node].members:
            self.group.revive(name, self.clock.wall_us())
        self.notify()

    def strike(self, fault: str) -> bool:
        """Draw whether a fault strikes now; count it."""
        probability: float = getattr(self.faults, fault)
        if not probability or self.random.random() >= probability:
            return False
        self.strikes[fault] += 1
        return True

    def partition(self, topic: str, number: int) -> SimulatedPartition:
        """Return a partition, settled; raises `ValidationFailed` for one that does not exist."""
        found = self._partitions.get((topic, number))
        if found is None:
            raise ValidationFailed(
                f"{topic}/{number}: no such partition; this log has {self.partition_count} of each topic"
            )
        self.settle()
        return found

    def stable(self, topic: str, number: int) -> int:
        """Return a partition's last stable offset, as it was last settled."""
        return self._partitions[topic, number].stable

    def produce(self, drafts: Sequence[Draft], transaction: OpenTransaction | None = None) -> list[int]:
        """Write the drafts, as part of a transaction or not; return their offsets."""
        offsets = []
        for draft in drafts:
            # Not settled here: that might end the very transaction that is being written.
            partition = self._partitions[draft.topic, draft.partition]
            offsets.append(partition.append(draft, self._append_time_us(), transaction.number if transaction else None))
            if transaction:
                transaction.partitions[draft.topic, draft.partition] = partition
        self.notify()
        return offsets

    def begin(self, shard: int, timeout_ms: int = TRANSACTION_MS) -> OpenTransaction:
        """Open a transaction for a shard; an earlier one that is decided ends first."""
        if shard != STRANGER:
            self.resolve(shard)
        self._begun += 1
        deadline_us = self.clock.monotonic_us() + timeout_ms * 1_000
        transaction = self._open[self._begun] = OpenTransaction(self._begun, shard, deadline_us)
        return transaction

    def is_open(self, transaction: OpenTransaction) -> bool:
        """Say whether it is neither aborted nor committed."""
        self.settle()
        return transaction.number in self._open

    def commit(self, transaction: OpenTransaction) -> None:
        """Decide a transaction; its markers come at once, or a little later."""
        transaction.commit_at_us = self.clock.monotonic_us()
        if self.strike("marker_late"):
            transaction.commit_at_us += 1_000 * self.random.randint(1, self.faults.marker_late_ms_max)
        self._settled_us = -1
        self.settle()

    def resolve(self, shard: int) -> None:
        """End the shard's transactions: the decided ones in a commit, the others in an abort."""
        for transaction in [found for found in self._open.values() if found.shard == shard]:
            self.end(transaction, committed=transaction.commit_at_us is not None)

    def end(self, transaction: OpenTransaction, *, committed: bool) -> None:
        """Write the markers."""
        del self._open[transaction.number]
        for partition in transaction.partitions.values():
            partition.end(transaction.number, committed=committed)
        self.notify()

    def settle(self) -> None:
        """Do what is due by now: late markers, timed-out transactions, ended leases."""
        now_us = self.clock.monotonic_us()
        if now_us == self._settled_us:
            return
        self._settled_us = now_us
        for transaction in [found for found in self._open.values() if found.due_us <= now_us]:
            if transaction.commit_at_us is None and transaction.shard != STRANGER:
                self.epochs[transaction.shard] += 1
            self.end(transaction, committed=transaction.commit_at_us is not None)
        generation = self.group.generation
        self.group.settle(now_us, self.clock.wall_us())
        if self.group.generation != generation:
            self.notify()

    def let_a_stranger_hang(self) -> None:
        """Perhaps begin somebody else's transaction, somewhere, that nobody will end."""
        if self.strike("stranger_hangs"):
            topic, number = self.random.choice(list(self._partitions))
            transaction = self.begin(STRANGER, self.random.randint(1, self.faults.stranger_ms_max))
            self.produce([Draft(topic, number, b"stranger/1", b"never committed")], transaction)

    def notify(self) -> None:
        """Wake those whose change has come, and set the alarm for what is due next."""
        for future, wanted in self._waiting:
            if not future.done() and wanted():
                future.set_result(None)
        if self._waiting:
            self._set_alarm()

    async def wait_change(self, timeout_s: float, wanted: Callable[[], bool]) -> None:
        """Wait until a change makes `wanted` true, or for the time to be over."""
        loop = asyncio.get_running_loop()
        waiting = (loop.create_future(), wanted)
        self._waiting.append(waiting)
        self._set_alarm()
        timer = loop.call_later(max(timeout_s, 0.001), _wake, waiting[0])
        try:
            await waiting[0]
        finally:
            timer.cancel()
            self._waiting.remove(waiting)
        self.settle()

    def _set_alarm(self) -> None:
        """Let what is due by the clock happen, as long as somebody waits for it."""
        expiry_us = self.group.next_expiry_us()
        due = [transaction.due_us for transaction in self._open.values()] + ([expiry_us] if expiry_us else [])
        due_us = min(due, default=None)
        if due_us is None or (self._alarm_us is not None and self._alarm_us <= due_us):
            return
        self._alarm_us = due_us
        left_us = max(due_us - self.clock.monotonic_us(), 1_000)
        # In a context of its own: the alarm is the broker's, not that of whoever made it necessary.
        asyncio.get_running_loop().call_later(left_us / 1_000_000, self._ring, context=Context())

    def _ring(self) -> None:
        self._alarm_us = None
        self.settle()
        if self._waiting:
            self._set_alarm()

    def _append_time_us(self) -> int:
        skew_us = 0
        if self.strike("clock_skewed"):
            skew_us = 1_000 * self.random.randint(-self.faults.skew_ms_max, self.faults.skew_ms_max)
        return self.clock.wall_us() + skew_us


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

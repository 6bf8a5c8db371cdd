"""One node's handle on a simulated broker: the port, with the faults between."""

import asyncio
from collections.abc import Mapping, Sequence

from ...errors import AppendUnknown, LogUnreachable, ValidationFailed
from ..limits import check_draft
from ..port import Capabilities, Draft, NodeInfo, Slice, Watermarks
from .broker import SimulatedBroker
from .membership import SimulatedMembership
from .writer import SimulatedWriter


class SimulatedLog:
    """Made by `SimulatedBroker.connect`; after `SimulatedBroker.crash` nothing works any more."""

    capabilities = Capabilities(markers=True, open_transactions=True, durable=False, shared=False, headers=True)

    def __init__(self, broker: SimulatedBroker, node: str) -> None:
        self.url = "simulated:"
        self.partitions = broker.partition_count
        self.broker = broker
        self.node = node
        self.crashed = False
        self.closed = False
        self.members: dict[str, SimulatedMembership] = {}

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Write the drafts, unfenced; torn, lost or doubled where a fault strikes."""
        self.check(drafts)
        await self.travel()
        self.broker.let_a_stranger_hang()
        if self.broker.strike("append_lost"):
            raise AppendUnknown("the connection broke before the answer (simulated)")
        if self.broker.strike("append_torn"):
            self.broker.produce(drafts[: self.broker.random.randint(0, len(drafts))])
            raise AppendUnknown("the connection broke in the middle (simulated)")
        offsets = self.broker.produce(drafts)
        if self.broker.strike("append_duplicated"):
            self.broker.produce(drafts)
        if self.broker.strike("append_ack_lost"):
            raise AppendUnknown("the connection broke after the write (simulated)")
        await self.answer()
        return offsets

    async def read(
        self,
        topic: str,
        partition: int,
        position: int,
        *,
        records_max: int = 500,
        headers: bool = True,
    ) -> Slice:
        """Return committed records; perhaps fewer than there are, and without headers if they are not asked for."""
        self.check_alive()
        if self.broker.strike("unreachable"):
            raise LogUnreachable("no answer in time (simulated)")
        if self.broker.strike("read_short"):
            records_max = self.broker.random.randint(1, records_max)
        read = self.broker.partition(topic, partition).read(position, records_max)
        return read if headers else read._replace(records=[one._replace(headers=()) for one in read.records])

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the partition's bounds."""
        await self.travel()
        return self.broker.partition(topic, partition).watermarks()

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Return when a last stable offset is past one of the positions, or after the timeout."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        while not any(self.broker.partition(*key).stable > position for key, position in positions.items()):
            self.check_alive()
            left_s = deadline - loop.time()
            if left_s <= 0:
                return
            await self.broker.wait_change(left_s, lambda: self._is_due(positions))

    def _is_due(self, positions: Mapping[tuple[str, int], int]) -> bool:
        gone = self.crashed or self.closed
        return gone or any(self.broker.stable(*key) > position for key, position in positions.items())

    async def open_writer(self, shard: int, owner: str) -> SimulatedWriter:
        """Fence the shard's previous writer, end its transaction, and return the new one."""
        if not 0 <= shard < self.partitions:
            raise ValidationFailed(f"shard {shard}: this log has the shards 0 to {self.partitions - 1}")
        await self.travel()
        self.broker.settle()
        self.broker.resolve(shard)
        self.broker.epochs[shard] += 1
        writer = SimulatedWriter(self, shard, self.broker.epochs[shard], owner)
        if self.broker.strike("open_ack_lost"):
            raise LogUnreachable("the connection broke after the shard was opened (simulated)")
        await self.answer()
        return writer

    async def join(self, node: str) -> SimulatedMembership:
        """Become a member under a name."""
        await self.travel()
        self.broker.settle()
        membership = SimulatedMembership(self, node)
        self.members[node] = membership
        self.broker.notify()
        return membership

    async def nodes(self) -> list[NodeInfo]:
        """Return the members, dead ones of the last hour included."""
        await self.travel()
        self.broker.settle()
        return self.broker.group.nodes()

    def mirror(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Do nothing: nobody else reads a position here."""

    async def clock_us(self) -> int:
        """Return the broker's time."""
        await self.travel()
        now_us = self.broker.clock.wall_us()
        await self.answer()
        return now_us

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """Delete records below `before`, at most to the last stable offset."""
        await self.travel()
        self.broker.partition(topic, partition).trim(before)

    async def compact(self, topic: str, partition: int, before: int) -> None:
        """Drop, below `before`, overwritten values and tombstones."""
        await self.travel()
        self.broker.partition(topic, partition).compact(before)

    async def get_setting(self, name: str) -> str | None:
        """Read a fact that the log carries about itself."""
        await self.travel()
        return self.broker.settings.get(name)

    async def put_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        """Set it if it is still `expected`; return whether it was."""
        await self.travel()
        if self.broker.settings.get(name) != expected:
            return False
        self.broker.settings[name] = value
        return True

    async def close(self) -> None:
        """Leave and go. Doing it again does nothing."""
        if not self.crashed:
            for membership in list(self.members.values()):
                membership.end()
        self.closed = True
        self.broker.notify()

    async def travel(self) -> None:
        """Be the way to the broker: other tasks run meanwhile, and the call may never arrive."""
        await self.answer()
        if self.broker.strike("unreachable"):
            raise LogUnreachable("no answer in time (simulated)")

    async def answer(self) -> None:
        """Be the way back."""
        self.check_alive()
        late = self.broker.strike("delay")
        await asyncio.sleep(self.broker.random.randint(1, self.broker.faults.delay_ms_max) / 1000 if late else 0)
        self.check_alive()

    def check(self, drafts: Sequence[Draft]) -> None:
        """Refuse, before anything is produced, what the log cannot take."""
        for draft in drafts:
            check_draft(draft)
            self.broker.partition(draft.topic, draft.partition)

    def check_alive(self) -> None:
        """Raise `LogUnreachable` if this handle has crashed or was closed."""
        if self.crashed or self.closed:
            raise LogUnreachable(
                f"the handle of {self.node} is {'crashed' if self.crashed else 'closed'}; connect again"
            )

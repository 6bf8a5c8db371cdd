"""A new log on Kafka made of records that have their offsets and times already: a copy of another log.

Kafka gives offsets by itself, but what it gives is known: a record takes one, a transaction's marker takes one, and what is
aborted takes its own. So a run of records before a gap of one is a transaction of its own, and longer gaps are filled with
records that are aborted. Every offset that comes back is compared with the one that was wanted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ...errors import HistoryBroken, ValidationFailed
from ..copied import LogCopy, PartitionCopy
from ..port import CHECKPOINTS, Stored
from .address import KafkaAddress
from .creation import MAKING_S, Plan, _await_topics, _create_topics, _settings, look
from .failures import DEADLINE_S, within
from .topics import PARTITIONS_SETTING, in_sync

RUN_RECORDS: Final = 20_000
FILL_RECORDS: Final = 10_000
FILL_MIN: Final = 2
BATCH_BYTES: Final = 1_040_000
FILLER: Final = b"\0"
"""The value of what is aborted, or deleted at once: nobody reads it."""
MARKER_PAUSE_S: Final = 0.002
TOGETHER: Final = 16
"""Partitions that are written at the same time."""


async def write_log(address: KafkaAddress, copy: LogCopy) -> None:
    """Write a log under a prefix that has none yet. Raises `ValidationFailed` if it has, `LogUnreachable`, `HistoryBroken`.

    A log that could not be written to its end is not made: nothing opens it, and its topics may be deleted.
    """
    plan = await look(address, copy.partitions)
    if len(plan.missing) != len(plan.wanted):
        raise ValidationFailed(
            f"{address.url}: there are topics of a log already; name a new prefix, kafka://HOST/PREFIX"
        )
    await _create_topics(address, _topics(address, plan, by_sender=True))
    await _await_topics(address, list(plan.wanted))
    limit = asyncio.Semaphore(TOGETHER)
    async with asyncio.TaskGroup() as group:
        for (topic, partition), one in copy.places.items():
            group.create_task(_within(limit, _Partition(address, topic, partition).write(one)))
    await _take_time_of_the_log(address, plan)
    async with _settings(address, MAKING_S) as settings:
        for name, value in copy.settings.items():
            await settings.put(name, value, None)
        await settings.put(PARTITIONS_SETTING, str(copy.partitions), None)
    await _delete_heads(address, copy)


async def _within(limit: asyncio.Semaphore, work: Awaitable[None]) -> None:
    async with limit:
        await work


def _topics(address: KafkaAddress, plan: Plan, *, by_sender: bool) -> list[NewTopic]:
    """Return the topics; `by_sender` lets the records have the times that they come with."""
    kind = {"message.timestamp.type": "CreateTime"} if by_sender else {}
    return [
        NewTopic(
            name,
            want.partitions,
            want.replication,
            topic_configs={
                **want.settings,
                **in_sync(want.replication),
                **({} if name == address.settings_topic else kind),
            },
        )
        for name, want in plan.wanted.items()
    ]


async def _take_time_of_the_log(address: KafkaAddress, plan: Plan) -> None:
    """Give the topics the settings of every log: from now on the brokers' clocks count."""
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=topic.topic_configs)
        for topic in _topics(address, plan, by_sender=False)
    ]
    async with _admin(address) as client:
        await within(MAKING_S, client.alter_configs(resources), "set the topics")


async def _delete_heads(address: KafkaAddress, copy: LogCopy) -> None:
    """Delete what stands for records before a partition's start; compacted topics keep it."""
    from .log import KafkaLog  # noqa: PLC0415 - it needs the settings that were just written

    log = await KafkaLog.open(address.url)
    try:
        for (topic, partition), one in copy.places.items():
            await log.trim(topic, partition, one.start)
    finally:
        await log.close()


class _Partition:
    """Writes one partition, by a producer without transactions and one with them."""

    def __init__(self, address: KafkaAddress, topic: str, partition: int) -> None:
        self._address = address
        self._topic = topic
        self._name = address.topic(topic)
        self._number = partition
        self._position = 0
        self._plain: Any = None
        self._transactional: Any = None
        self._ends: Any = None

    async def write(self, copy: PartitionCopy) -> None:
        """Write the records at their offsets, and fill what lies between; of checkpoints the order alone counts."""
        async with AsyncExitStack() as stack:
            self._plain = await self._open(stack, enable_idempotence=True)
            transactional_id = f"{self._address.prefix}-copy-{self._topic}-{self._number}"
            self._transactional = await self._open(stack, transactional_id=transactional_id)
            self._ends = AIOKafkaConsumer(**self._address.client_kwargs())
            await within(MAKING_S, self._ends.start(), f"connect to look at {self._name}/{self._number}")
            stack.push_async_callback(self._ends.stop)
            if self._topic == CHECKPOINTS:
                await self._in_order(copy.records, fill=copy.high > 0)
            else:
                await self._at_offsets(copy)

    async def _open(self, stack: AsyncExitStack, **how: Any) -> Any:
        producer = AIOKafkaProducer(
            acks="all", max_batch_size=BATCH_BYTES, retry_backoff_ms=5, **how, **self._address.client_kwargs()
        )
        await within(MAKING_S, producer.start(), f"connect to write {self._name}/{self._number}")
        stack.push_async_callback(producer.stop)
        return producer

    async def _in_order(self, records: Iterable[Stored], *, fill: bool) -> None:
        """Write records one behind the other; where there are none but were some, leave a gap that says so."""
        written = False
        for run in _runs(records):
            await self._send(self._plain, run)
            self._position += len(run)
            written = True
        if fill and not written:
            await self._gap(FILL_MIN)

    async def _at_offsets(self, copy: PartitionCopy) -> None:
        waiting: list[Stored] = []
        for run in _runs(copy.records):
            await self._put(waiting, run[0].offset)
            waiting = run
        await self._put(waiting, copy.high)

    async def _put(self, run: list[Stored], after: int) -> None:
        """Write a run of records, and what fills the gap behind it up to the next one."""
        if not run:  # before the first record: what stands there is deleted, or a gap
            await self._head(after)
            return
        gap = after - run[-1].offset - 1
        if gap == 1:
            async with self._transactional.transaction():
                await self._send(self._transactional, run)
            self._position += len(run) + 1
            await self._await_marker()
            return
        await self._send(self._plain, run)
        self._position += len(run)
        await self._gap(gap)

    async def _head(self, size: int) -> None:
        """Fill the beginning: a gap where it can be one, else one record of nobody's."""
        if size == 1:
            await self._send(self._plain, [self._filler()])
            self._position += 1
        else:
            await self._gap(size)

    async def _gap(self, size: int) -> None:
        """Take so many offsets by transactions that are aborted: their records, and a marker each; 0, or at least two."""
        while size > 0:
            part = min(size, FILL_RECORDS)
            part -= int(size - part == 1)  # one that is left over could not be filled
            await self._transactional.begin_transaction()
            await self._send(self._transactional, [self._filler()] * (part - 1), check=False)
            await self._transactional.abort_transaction()
            self._position += part
            size -= part
            await self._await_marker()

    async def _await_marker(self) -> None:
        """Wait for the marker of the transaction that was ended: the answer comes before it, and a record could take its place."""
        place = TopicPartition(self._name, self._number)

        async def arrived() -> None:
            while (await self._ends.end_offsets([place]))[place] < self._position:  # noqa: ASYNC110 the broker tells nobody
                await asyncio.sleep(MARKER_PAUSE_S)

        await within(MAKING_S, arrived(), f"wait for the end of a transaction in {self._name}/{self._number}")

    def _filler(self) -> Stored:
        return Stored(self._topic, self._number, self._position, 0, b"", FILLER, ())

    async def _send(self, producer: Any, records: list[Stored], *, check: bool = True) -> None:
        """Write records in batches. Raises `HistoryBroken` for an offset that is not the one it was to get."""
        at = 0
        while at < len(records):
            batch = producer.create_batch()
            first = at
            while at < len(records) and self._append(batch, records[at]):
                at += 1
            future = await producer.send_batch(batch, self._name, partition=self._number)
            metadata = await within(MAKING_S, future, f"write {self._name}/{self._number}")
            wanted = self._position + first
            if check and metadata.offset != wanted:
                raise HistoryBroken(
                    f"{self._name}/{self._number}: expected a record at offset {wanted}, it got {metadata.offset}: somebody else "
                    "writes there; delete the topics and copy again"
                )

    @staticmethod
    def _append(batch: Any, stored: Stored) -> bool:
        at_ms = stored.at_us // 1_000
        appended = batch.append(key=stored.key, value=stored.value, timestamp=at_ms, headers=list(stored.headers))
        return appended is not None


def _runs(records: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Yield records whose offsets follow each other, in lists of a bounded length."""
    run: list[Stored] = []
    for stored in records:
        if run and (stored.offset != run[-1].offset + 1 or len(run) >= RUN_RECORDS):
            yield run
            run = []
        run.append(stored)
    if run:
        yield run


@asynccontextmanager
async def _admin(address: KafkaAddress) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(
        request_timeout_ms=int(MAKING_S * 1_000), client_id="hms-copying", **address.client_kwargs()
    )
    await within(DEADLINE_S, client.start(), "connect")
    try:
        yield client
    finally:
        await client.close()

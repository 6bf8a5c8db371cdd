"""The peer without a framework: aiokafka alone, a consumer and a transactional producer a shard."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from work import Task, begins, handle

SHARDS, BATCH, BATCH_BYTES = 4, 500, 1_000_000


async def shard(task: Task, number: int) -> None:
    """Consume, fold, and write events, answers and offsets in one transaction a batch."""
    place, group = TopicPartition(f"{task.prefix}.commands", number), f"{task.prefix}-raw"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=task.bootstrap, enable_auto_commit=False, isolation_level="read_committed"
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=task.bootstrap,
        transactional_id=f"{group}-{number}",
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
        retry_backoff_ms=2,
    )
    await producer.start()
    await consumer.start()
    consumer.assign([place])
    consumer.seek(place, 0)
    totals: dict[bytes, tuple[int, int]] = {}
    while True:
        got = await consumer.getmany(place, timeout_ms=100, max_records=BATCH)
        if records := got.get(place):
            events, replies = producer.create_batch(), producer.create_batch()
            for record in records:
                done = handle(record.value, *totals.get(record.key, (0, 0)))
                totals[record.key] = done.times, done.total
                events.append(key=record.key, value=done.event, timestamp=None)
                replies.append(key=done.reply_to, value=done.reply, timestamp=None)
            await producer.begin_transaction()
            sent = [
                await producer.send_batch(events, f"{task.prefix}.events", partition=number),
                await producer.send_batch(replies, f"{task.prefix}.replies", partition=number),
            ]
            await asyncio.gather(*sent)
            await producer.send_offsets_to_transaction({place: records[-1].offset + 1}, group)
            await producer.commit_transaction()


async def main() -> None:
    task = Task.given()
    begins()
    await asyncio.gather(*(shard(task, number) for number in range(SHARDS)))


if __name__ == "__main__":
    asyncio.run(main())

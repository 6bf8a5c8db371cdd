"""Reading from a real Kafka: what is hidden, gone, beyond the end, not there, or a stranger's."""

import asyncio
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from hms.core.errors import HistoryBroken, LogUnreachable, PositionTrimmed, ValidationFailed
from hms.core.log import EVENTS, NORMAL, SCHEMAS, Draft, Stored, open_log
from hms.core.log.kafka import KafkaAddress, KafkaLog
from hms.core.log.kafka.log import RECORDS_MAX
from hms.core.log.kafka.topics import ALL
from hms.core.testing.log_conformance.harness import eventually

from .logs import make_log, opened

HERE = (NORMAL, 1)


def draft(value: str, topic: str = NORMAL) -> Draft:
    return Draft(topic, 1, b"k", value.encode())


def values(records: list[Stored]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


async def arrives(log: KafkaLog, position: int, seconds: float = 60) -> tuple[list[Stored], int]:
    """Wait at a place until records are there; return them and the next position."""
    async with asyncio.timeout(seconds):
        while True:
            await log.wait({HERE: position}, 1_000)
            found = await log.read(*HERE, position)
            position = found.position
            if found.records:
                return found.records, position


def test_a_hundred_thousand_records_come_back_in_order_whatever_the_step(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            writer = await log.open_writer(1, "one")
            for first in range(0, 100_000, 5_000):
                await writer.commit([draft(f"{n}", EVENTS) for n in range(first, first + 5_000)])

            async def nothing_hides() -> bool:
                marks = await log.watermarks(EVENTS, 1)
                return marks.stable == marks.high

            await eventually(nothing_hides, "the marker of the last commit")
            for step in (333, 1_000_000):
                position, seen = 0, []
                while (found := await log.read(EVENTS, 1, position, records_max=step)).position > position:
                    assert len(found.records) <= min(step, RECORDS_MAX)
                    seen += values(found.records)
                    position = found.position
                assert seen == [f"{n}" for n in range(100_000)]
                assert position == (await log.watermarks(EVENTS, 1)).high

    asyncio.run(main())


def test_decoding_a_long_slice_holds_the_event_loop_up_for_no_longer_than_a_few_milliseconds(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await log.append([draft("x" * 200) for _ in range(RECORDS_MAX)])
            worked_s = []
            for _ in range(5):
                before_s = time.thread_time()
                found = await log.read(*HERE, 0, records_max=1_000_000)
                assert len(found.records) > 1_000
                worked_s.append(time.thread_time() - before_s)
            assert min(worked_s) < 0.1, "what is slow each time is the reader, not the machine"

    asyncio.run(main())


def test_what_a_strangers_open_transaction_hides_is_read_when_it_ends(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)

    def stranger() -> Producer:
        one = Producer({"bootstrap.servers": ",".join(address.bootstrap), "transactional.id": f"{address.prefix}-x"})
        one.init_transactions(20)
        return one

    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            hanging = stranger()
            hanging.begin_transaction()
            hanging.produce(address.topic(NORMAL), b"hidden", partition=1)
            hanging.flush(20)
            await log.append([draft("behind")])
            marks = await log.watermarks(*HERE)
            assert (marks.start, marks.stable, marks.high) == (0, 0, 2)
            assert await log.read(*HERE, 0) == ([], 0)
            waiting = asyncio.create_task(arrives(log, 0))
            await log.wait({HERE: 0}, 50)
            assert not waiting.done()
            await asyncio.to_thread(hanging.abort_transaction, 20)
            records, position = await waiting
            assert values(records) == ["behind"]
            assert position == (await log.watermarks(*HERE)).high == 3

    asyncio.run(main())


def test_a_position_below_the_start_is_trimmed_also_for_who_waits_there(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log, opened(kafka_url) as reader:
            await log.append([draft(f"{n}") for n in range(10)])
            await log.trim(*HERE, 10)
            async with asyncio.timeout(30):
                await reader.wait({HERE: 4}, 60_000)
            with pytest.raises(PositionTrimmed, match="first record kept is 10"):
                await reader.read(*HERE, 4)
            await log.append([draft("next")])
            assert values((await arrives(reader, 10))[0]) == ["next"]

    asyncio.run(main())


def test_a_position_beyond_the_end_is_an_error_and_never_silence(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await log.append([draft("a"), draft("b")])
            assert await log.read(*HERE, 2) == ([], 2)
            with pytest.raises(HistoryBroken, match="position 3 was asked for, but the log ends at 2"):
                await log.read(*HERE, 3)
            async with asyncio.timeout(30):
                await log.wait({HERE: 3}, 60_000)

    asyncio.run(main())


def test_a_topic_that_is_deleted_and_one_that_is_made_again_are_told_from_an_empty_one(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)

    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await log.append([draft(f"{n}") for n in range(5)])
            log._cluster.deadline_s = 4.0
            admin = AdminClient({"bootstrap.servers": ",".join(address.bootstrap)})
            admin.delete_topics([address.topic(NORMAL)])[address.topic(NORMAL)].result(20)

            async def is_gone() -> bool:
                """Brokers delete by and by."""
                try:
                    return not await log.read(*HERE, 5)
                except LogUnreachable:
                    return True

            await eventually(is_gone, "the end of the topic")
            with pytest.raises(LogUnreachable, match="is not there"):
                await log.read(*HERE, 5)
            with pytest.raises(LogUnreachable, match="is not there"):
                await log.watermarks(*HERE)
            await make_log(kafka_url)
            log._cluster.deadline_s = 30.0
            with pytest.raises(HistoryBroken, match="made again"):
                await log.read(*HERE, 5)

    asyncio.run(main())


def test_records_that_hms_would_never_write_are_read_as_they_are(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)

    async def main() -> None:
        await make_log(kafka_url)
        stranger = Producer({"bootstrap.servers": ",".join(address.bootstrap), "message.max.bytes": 2_000_000})
        topic = address.topic(NORMAL)
        stranger.produce(topic, None, partition=1)
        stranger.produce(
            topic, b"\xff\x00", b"\xff", partition=1, headers=[("none", None), ("twice", b"1"), ("twice", b"")]
        )
        stranger.produce(topic, bytes(1_000_000), partition=1)
        stranger.flush(20)
        squeezing = Producer({"bootstrap.servers": ",".join(address.bootstrap), "compression.type": "gzip"})
        squeezing.produce(topic, b"z" * 5_000, partition=1)
        squeezing.flush(20)
        async with opened(kafka_url) as log:
            assert (await log.read(*HERE, 3)).records[0].value == b"z" * 5_000
            first, second, third, _ = (await arrives(log, 0))[0]
            assert (first.key, first.value, first.headers) == (b"", None, ())
            assert (second.key, second.value) == (b"\xff", b"\xff\x00")
            assert second.headers == (("none", b""), ("twice", b"1"), ("twice", b""))
            assert third.value == bytes(1_000_000)

    asyncio.run(main())


def test_a_log_that_was_never_made_is_refused_with_the_line_that_makes_it(kafka_url: str) -> None:
    with pytest.raises(ValidationFailed, match=f"hms log init --log {kafka_url}"):
        asyncio.run(open_log(kafka_url))


def test_a_topic_with_another_number_of_partitions_is_refused(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)
    asyncio.run(make_log(kafka_url))
    admin = AdminClient({"bootstrap.servers": ",".join(address.bootstrap)})
    topic = address.topic(SCHEMAS)
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(20)
    while len(admin.list_topics(topic, timeout=20).topics[topic].partitions) < 3:
        pass
    with pytest.raises(ValidationFailed, match=f"{topic} has 3 partitions, expected 1"):
        asyncio.run(open_log(kafka_url))


def test_every_topic_is_made_as_the_log_needs_it(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)
    asyncio.run(make_log(kafka_url, 3))
    topics = AdminClient({"bootstrap.servers": ",".join(address.bootstrap)}).list_topics(timeout=20).topics
    counts = {name: len(topics[address.topic(name)].partitions) for name in ALL}
    assert {name for name, count in counts.items() if count != 3} == {SCHEMAS, "hms.settings"}


def test_only_one_of_many_that_set_a_setting_at_once_does(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as one, opened(kafka_url) as two:
            for turn in range(5):
                current = await one.get_setting("leader")
                handles = [one, two] * 3
                calls = [log.put_setting("leader", f"{turn}-{n}", expected=current) for n, log in enumerate(handles)]
                won = await asyncio.gather(*calls)
                assert sum(won) == 1
                assert await two.get_setting("leader") == f"{turn}-{won.index(True)}"

    asyncio.run(main())

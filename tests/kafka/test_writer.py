"""The fenced writer on a real Kafka: what is lost on the way is asked again, and what nobody can know is said so."""

import asyncio
import time
from collections.abc import Callable

import pytest

from hms.core.errors import CommitUnknown, LogUnreachable, WriterFenced
from hms.core.log.kafka import transactions
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.kafka.writer import KafkaWriter
from hms.core.log.port import EVENTS, NORMAL, OUTBOX

from .broker import Broker, Cluster
from .fixtures import Server
from .handles import draft, make, opened, values
from .proxy import Api, Proxy

STEPS = (
    (True, Api.PRODUCE),
    (True, Api.END_TXN),
    (False, Api.ADD_PARTITIONS_TO_TXN),
    (False, Api.PRODUCE),
    (False, Api.END_TXN),
)
"""Of a commit: with implicit transactions, which the brokers here know, and as with those that do not."""
pytestmark = pytest.mark.timeout(400)  # a broker of its own takes its time to start, and three to move a leader


TIMEOUT_MS = 60_000
"""Of a transaction that no broker ends while a test has patience."""


async def open_writer(log: KafkaLog, shard: int, *, modern: bool) -> KafkaWriter:
    return await KafkaWriter.open(shard, log._cluster, log._places, deadline_s=log._cluster.deadline_s, modern=modern)


@pytest.mark.parametrize("at", ["request", "answer"])
@pytest.mark.parametrize(("modern", "step"), STEPS)
def test_a_connection_cut_at_any_step_of_a_commit_changes_nothing(
    broker: Broker, proxy: Proxy, step: Api, at: str, *, modern: bool
) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [reader]:
            writer = await open_writer(log, 3, modern=modern)
            await writer.commit([draft(EVENTS, 3, "before")])
            proxy.expect(step, at, "cut")  # type: ignore[arg-type]
            offsets = await writer.commit([draft(EVENTS, 3, "a"), draft(OUTBOX, 1, "b"), draft(EVENTS, 3, "c")])
            assert len(proxy.done) == 1
            assert offsets[2] == offsets[0] + 1
            await writer.commit([draft(EVENTS, 3, "after")])
            assert await values(reader, EVENTS, 3) == ["before", "a", "c", "after"]
            assert await values(reader, OUTBOX, 1) == ["b"]

    asyncio.run(main())


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(("at", "written"), [("answer", True), ("request", False)])
def test_an_end_that_nobody_answers_is_unknown_and_opening_again_tells(
    broker: Broker, proxy: Proxy, at: str, *, written: bool, modern: bool
) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [other]:
            writer = await open_writer(log, 3, modern=modern)
            await writer.commit([draft(NORMAL, 3, "before")])
            writer._deadline_s = 4  # before the question itself is given up, and asked again
            proxy.expect(Api.END_TXN, at, "drop")  # type: ignore[arg-type]
            with pytest.raises(CommitUnknown):
                await writer.commit([draft(NORMAL, 3, "unknown")])
            with pytest.raises(WriterFenced):
                await writer.commit([])
            await other.open_writer(3, "two")
            assert await values(other, NORMAL, 3) == ["before"] + ["unknown"] * written

    asyncio.run(main())


@pytest.mark.parametrize("modern", [True, False])
def test_a_fenced_end_whose_first_answer_was_lost_is_unknown(broker: Broker, proxy: Proxy, *, modern: bool) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [other]:
            writer = await open_writer(log, 3, modern=modern)
            await writer.commit([draft(EVENTS, 3, "before")])
            proxy.expect(Api.END_TXN, "answer", "cut")
            proxy.refuse_next()
            commit = asyncio.create_task(writer.commit([draft(EVENTS, 3, "unknown to its writer")]))
            await asyncio.to_thread(proxy.wait_done, 1)
            new = await other.open_writer(3, "two")
            proxy.accept()
            with pytest.raises(CommitUnknown):
                await commit
            await new.commit([draft(EVENTS, 3, "after")])
            assert await values(other, EVENTS, 3) == ["before", "unknown to its writer", "after"]

    asyncio.run(main())


def test_a_commit_that_is_not_ended_by_the_deadline_wrote_nothing(broker: Broker, proxy: Proxy) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [other]:
            writer = await log.open_writer(3, "one")
            await writer.commit([draft(EVENTS, 3, "before")])
            writer._deadline_s = log._cluster.deadline_s = 1
            proxy.silence()
            began = time.monotonic()
            with pytest.raises(LogUnreachable, match="not done within 1 s"):
                await writer.commit([draft(EVENTS, 3, "lost")])
            with pytest.raises(LogUnreachable):
                await log.open_writer(2, "one")
            assert time.monotonic() - began < 9  # of two deadlines, not of two questions that are given up
            await writer.close()
            new = await other.open_writer(3, "two")
            proxy.speak()
            await new.commit([draft(EVENTS, 3, "after")])
            assert await values(other, EVENTS, 3) == ["before", "after"]

    asyncio.run(main())


def test_closing_a_writer_whose_commit_was_cut_off_frees_the_readers_at_once(
    broker: Broker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "TRANSACTION_TIMEOUT_MS", TIMEOUT_MS)

    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [reader]:
            writer = await log.open_writer(3, "one")
            await writer.commit([draft(NORMAL, 3, "before")])
            proxy.expect(Api.PRODUCE, "answer", "drop")
            commit = asyncio.create_task(writer.commit([draft(NORMAL, 3, "cut off")]))
            await asyncio.to_thread(proxy.wait_done, 1)
            commit.cancel()
            await asyncio.gather(commit, return_exceptions=True)
            await reader.append([draft(NORMAL, 3, "behind")])
            marks = await reader.watermarks(NORMAL, 3)
            assert marks.stable < marks.high
            began = time.monotonic()
            await writer.close()
            assert await values(reader, NORMAL, 3) == ["before", "behind"]
            assert time.monotonic() - began < TIMEOUT_MS / 2_000

    asyncio.run(main())


@pytest.mark.parametrize("modern", [True, False])
def test_a_commit_in_haste_after_the_last_one_waits_for_its_markers_and_no_longer(
    kafka: Server, *, modern: bool
) -> None:
    """The broker refuses a transaction while the markers of the last one are being written: that is asked again, soon."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap)
        async with opened(kafka.bootstrap, prefix) as [log]:
            writers = [await open_writer(log, shard, modern=modern) for shard in range(4)]

            async def run(shard: int) -> list[int]:
                return [
                    (await writers[shard].commit([draft(EVENTS, shard, f"{n}"), draft(OUTBOX, n % 4, "x")]))[0]
                    for n in range(60)
                ]

            offsets = await asyncio.gather(*(run(shard) for shard in range(4)))
            for shard in range(4):
                assert offsets[shard] == sorted(set(offsets[shard]))
                assert await values(log, EVENTS, shard) == [f"{n}" for n in range(60)]

    asyncio.run(main())


def test_a_commit_larger_than_a_batch_is_written_in_order_and_whole(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 6)
        async with opened(kafka.bootstrap, prefix) as [log]:
            writer = await log.open_writer(2, "one")
            drafts = [draft(EVENTS, 2 if n % 3 else 5, f"{n}" + "x" * 150_000) for n in range(40)]
            offsets = await writer.commit(drafts)
            for partition in (2, 5):
                mine = [(at, one) for at, one in zip(offsets, drafts, strict=True) if one.partition == partition]
                first = mine[0][0]  # the opening has proved its leaders with a record before it
                assert [at for at, _ in mine] == list(range(first, first + len(mine)))
                assert await values(log, EVENTS, partition) == [(one.value or b"").decode() for _, one in mine]

    asyncio.run(main())


def test_a_writer_outlives_its_broker_killed_and_started_again(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker({})

    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(broker.bootstrap, prefix, deadline_s=120) as [log]:
            writer = await log.open_writer(3, "one")
            await writer.commit([draft(EVENTS, 3, "before")])
            assert await values(log, EVENTS, 3) == ["before"]  # its markers are written, so it cannot hang
            broker.kill()
            commit = asyncio.create_task(writer.commit([draft(EVENTS, 3, "meanwhile")]))
            await asyncio.to_thread(broker.start)
            await commit
            await writer.commit([draft(EVENTS, 3, "after")])
            assert await values(log, EVENTS, 3) == ["before", "meanwhile", "after"]

    asyncio.run(main())


def test_a_commit_whose_broker_is_killed_at_once_is_there_in_all_its_partitions(
    make_broker: Callable[..., Broker],
) -> None:
    """A broker that comes back then mostly forgets its markers, if it is a Kafka of those that do; see ADR 0016."""
    broker = make_broker({})

    async def main() -> None:
        prefix = await make(broker.bootstrap)
        async with opened(broker.bootstrap, prefix, deadline_s=120) as [log]:
            writer = await log.open_writer(3, "one")
            await writer.commit([draft(EVENTS, 3, "before"), draft(NORMAL, 1, "before"), draft(OUTBOX, 2, "before")])
            broker.kill()
            await asyncio.to_thread(broker.start)
            try:
                await writer.commit([draft(EVENTS, 3, "after"), draft(NORMAL, 1, "after")])
            except LogUnreachable:  # nothing of it is written
                await writer.close()
                writer = await log.open_writer(3, "one")
                await writer.commit([draft(EVENTS, 3, "after"), draft(NORMAL, 1, "after")])
            assert await values(log, EVENTS, 3) == ["before", "after"]
            assert await values(log, NORMAL, 1) == ["before", "after"]
            assert await values(log, OUTBOX, 2) == ["before"]

    asyncio.run(main())


def test_a_broker_that_cannot_reach_itself_ends_a_commit_at_its_deadline_by_that_name(
    make_broker: Callable[..., Broker],
) -> None:
    """It asks its own transaction coordinator over its inter-broker listener; aiokafka would try for ever, without a word."""
    broker = make_broker({"inter.broker.listener.name": "PROXIED"})

    async def main() -> None:
        with Proxy(listen=broker.proxy_port, to=broker.proxied_port) as itself:
            prefix = await make(broker.bootstrap, 2)
            async with opened(broker.bootstrap, prefix, deadline_s=30) as [log]:
                writer = await log.open_writer(1, "one")
                await writer.commit([draft(EVENTS, 1, "before")])
                await values(log, EVENTS, 1)
                itself.refuse()
                writer._deadline_s = 5
                with pytest.raises(LogUnreachable, match=r"NotEnoughReplicas.*cannot reach each other"):
                    await writer.commit([draft(EVENTS, 1, "lost")])
                itself.accept()
                await writer.close()
                again = await log.open_writer(1, "one")
                await again.commit([draft(EVENTS, 1, "after")])
                assert await values(log, EVENTS, 1) == ["before", "after"]

    asyncio.run(main())


def test_old_and_new_transactions_follow_each_other_and_fence_each_other(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 2)
        async with opened(kafka.bootstrap, prefix) as [log]:
            expected, epochs = [], []
            for n in range(6):
                writer = await open_writer(log, 1, modern=n % 2 == 0)
                for part in range(3):
                    await writer.commit([draft(EVENTS, 1, f"{n}.{part}")])
                    expected.append(f"{n}.{part}")
                epochs.append(writer.epoch)
                await open_writer(log, 1, modern=n % 3 == 0)
                with pytest.raises(WriterFenced):
                    await writer.commit([draft(EVENTS, 1, "fenced")])
            assert epochs == sorted(set(epochs))
            assert await values(log, EVENTS, 1) == expected

    asyncio.run(main())


def test_what_waits_for_another_writers_connection_is_nobody(kafka: Server) -> None:
    """A fenced writer, a slow one, many at once: each has connections of its own, and an idle one sends nothing."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 16)
        async with opened(kafka.bootstrap, prefix, 2) as [one, two]:
            writers = [await one.open_writer(shard, "one") for shard in range(16)]
            thieves = [await two.open_writer(shard, "two") for shard in range(8)]
            results = await asyncio.gather(
                *(writer.commit([draft(EVENTS, writer.shard, "old")]) for writer in writers), return_exceptions=True
            )
            assert [isinstance(result, WriterFenced) for result in results] == [True] * 8 + [False] * 8
            await asyncio.gather(*(writer.commit([draft(EVENTS, writer.shard, "new")]) for writer in thieves))
            for shard in range(16):
                assert await values(one, EVENTS, shard) == ["new" if shard < 8 else "old"]

    asyncio.run(main())


def test_a_writer_follows_the_leader_of_a_partition_that_moves(cluster: Cluster) -> None:
    async def main() -> None:
        prefix = await make(cluster.bootstrap, partitions=4)
        async with opened(cluster.bootstrap, prefix, deadline_s=30) as [log]:
            writer = await log.open_writer(1, "one")
            for n in range(3):
                await writer.commit([draft(EVENTS, 1, f"{n}a"), draft(OUTBOX, 3, f"{n}b")])
                await asyncio.to_thread(cluster.move_leader, f"{prefix}.events", 1)
                await writer.commit([draft(EVENTS, 1, f"{n}c")])
            assert await values(log, EVENTS, 1) == ["0a", "0c", "1a", "1c", "2a", "2c"]
            assert await values(log, OUTBOX, 3) == ["0b", "1b", "2b"]

    asyncio.run(main())

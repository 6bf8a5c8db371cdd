"""The archive of a log on a real Kafka: markers, aborted records, headers, open transactions, several nodes."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hms import connect
from hms.core.address import Address
from hms.core.errors import ValidationFailed
from hms.core.log import EVENTS, Draft, Stored
from hms.core.log.copied import LogCopy, PartitionCopy
from hms.core.log.kafka import KafkaAddress
from hms.core.log.kafka.copying import write_log
from hms.core.log.open import open_log
from hms.core.runtime.node import Node
from hms.core.runtime.view import View
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.duty import ArchiveDuty
from hms.replay.archive.policy import Policy
from hms.replay.archive.reader import Archive
from hms.replay.archive.restore import restore
from hms.replay.archive.upkeep import Upkeep

from ..replay.archived import Add, archived, count, counters, everything, run_archive
from .logs import make_log, opened


def test_what_is_archived_from_kafka_is_what_committed_readers_see_with_their_headers(
    kafka_url: str, tmp_path: Path
) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await count(log, 40)
            archive = await run_archive(tmp_path / "archive", log)
            await count(log, 40)
            archive = await run_archive(tmp_path / "archive", log)
            found, there = await archived(archive), await everything(log)
            assert found == there
            assert any(stored.headers for stored in found[EVENTS, 0] + found[EVENTS, 1])
            for place, after in archive.positions().items():
                assert after == (await log.watermarks(*place)).stable  # behind the last marker

    asyncio.run(main())


def test_a_log_on_kafka_is_restored_into_an_embedded_one_with_its_positions_and_goes_on(
    kafka_url: str, tmp_path: Path
) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await count(log, 60)
            archive = await run_archive(tmp_path / "archive", log)
            there = await everything(log)
            states = {seen.address: seen.state for seen in await View(log, [counters]).actors(lambda _: True)}
        restored = await restore(archive, tmp_path / "again.db")
        assert (restored.left_out, restored.goes_on) == (0, True)
        again = await open_log(f"sqlite:{tmp_path / 'again.db'}")
        assert await everything(again) == there
        assert {seen.address: seen.state for seen in await View(again, [counters]).actors(lambda _: True)} == states
        await count(again, 10)
        await again.close()

    asyncio.run(main())


@pytest.mark.timeout(300)
def test_a_log_on_kafka_is_restored_into_kafka_offset_by_offset_with_its_times_and_goes_on(
    kafka_url: str, tmp_path: Path
) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await count(log, 30)
            writer = await log.open_writer(0, "a writer that dies in its transaction")
            await writer.close()
            await count(log, 30)
            archive = await run_archive(tmp_path / "archive", log)
            there = await everything(log)
        target = f"{kafka_url}x"
        restored = await restore(archive, target)
        assert (restored.left_out, restored.goes_on) == (0, True)
        async with opened(target) as again:
            assert await everything(again) == there
            await count(again, 10)
            archive = await run_archive(tmp_path / "archive", again)
            assert await archived(archive) == await everything(again)
        with pytest.raises(ValidationFailed, match="there are topics of a log already"):
            await restore(archive, target)

    asyncio.run(main())


def test_an_embedded_log_moves_to_kafka_behind_deleted_heads_and_gaps(kafka_url: str) -> None:
    async def main() -> None:
        place = (EVENTS, 0)
        records = [Stored(EVENTS, 0, offset, 1_000_000 * offset, b"k", b"%d" % offset, (("h", b"1"),))
                   for offset in (5, 6, 8, 11, 12, 16, 20_050)]  # fmt: skip
        high = 20_053
        copy = LogCopy(1, {place: PartitionCopy(5, high, records)}, [1], {"name": "value"})
        await write_log(KafkaAddress.parse(kafka_url), copy)
        async with opened(kafka_url) as log:
            marks = await log.watermarks(*place)
            assert (marks.start, marks.stable, marks.high) == (5, high, high)
            assert (await everything(log))[place] == records
            assert await log.get_setting("name") == "value"
            (offset,) = await log.append([Draft(EVENTS, 0, b"k", b"new")])
            assert offset == high
            (new,) = (await log.read(*place, high)).records
            assert new.at_us > 1_700_000_000_000_000  # the brokers' clock again

    asyncio.run(main())


def test_the_log_is_trimmed_when_two_nodes_see_the_archive_and_not_before(kafka_url: str, tmp_path: Path) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(opened(kafka_url))
            two = await stack.enter_async_context(opened(kafka_url))
            root = tmp_path / "archive"
            duties = [ArchiveDuty(str(root), log, name, interval_s=0.2, upkeep_every=2) for log, name in
                      ((one, "one"), (two, "two"))]  # fmt: skip
            node = await stack.enter_async_context(Node(one, [counters], name="one", duties=(duties[0],)))
            await node.wait_owning(2)
            client = await stack.enter_async_context(connect(one, name="test"))
            await asyncio.gather(*(client.ask(Address[Add](f"counter/{n % 5}"), Add(amount=n)) for n in range(40)))
            archiver = await Archiver.open(str(root), one, owner="one")
            policy = Policy(log_kept="0s")
            alone = await Upkeep(archiver, archiver.writer(0, 1 << 20), policy=policy).run()
            assert "only 1 node lives" in alone.doubt
            (root / "policy.json").write_text('{"log_kept": "0s"}')
            other = await stack.enter_async_context(Node(two, [counters], name="two", duties=(duties[1],)))
            await other.wait_owning(1)
            async with asyncio.timeout(60):
                while not [1 for shard in range(2) if (await one.watermarks(EVENTS, shard)).start > 0]:
                    await one.wait({(EVENTS, 0): (await one.watermarks(EVENTS, 0)).stable}, 200)
            found = await archived(await Archive.open(root))
            kept = await everything(one)
            for place, records in found.items():
                after = {stored.offset: stored for stored in kept[place]}
                assert all(after.get(stored.offset, stored) == stored for stored in records)

    asyncio.run(main())

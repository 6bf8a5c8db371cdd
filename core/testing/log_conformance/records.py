"""Appending, reading, waiting: what a log does with records."""
# ruff: noqa: S101, PLR2004 a test suite asserts, and counts

import asyncio
import time
from pathlib import Path

from ...errors import LogUnreachable, RecordTooLarge, ValidationFailed
from ...log.port import CHECKPOINTS, CO_PARTITIONED, EVENTS, NORMAL, OUTBOX, RECORD_BYTES_MAX, SCHEMAS, Draft, Log
from .harness import PATIENCE_S, Connect, LogHarness, draft, raised, read_all, values


class RecordsConformance(LogHarness):
    """Everybody may append; readers see what is committed, in order."""

    def test_appended_records_come_back_in_order_at_their_offsets(self, tmp_path: Path) -> None:
        """Offsets grow; one read gives them all."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            first = await log.append([draft(NORMAL, 3, f"v{n}") for n in range(5)])
            second = await log.append([draft(NORMAL, 3, f"v{n}") for n in range(5, 9)])
            records = await read_all(log, NORMAL, 3)
            assert [record.offset for record in records] == first + second == sorted(set(first + second))
            assert values(records) == [f"v{n}" for n in range(9)]

        self.play(tmp_path, scenario)

    def test_a_record_comes_back_whole(self, tmp_path: Path) -> None:
        """Unicode and empty keys, empty values, bytes that are no text, headers in order, twice and empty."""
        headers = (("ce_id", b"1"), ("naïve-é", b"\xff\x00"), ("ce_id", b""))
        drafts = [
            Draft(NORMAL, 0, "compte/zoë-漢字".encode(), b"\x00\xff\x00", headers),
            Draft(NORMAL, 0, b"", b"", ()),
            Draft(NORMAL, 0, b"\xff", b"v", (("", b"v"),)),
        ]

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append(drafts)
            records = await read_all(log, NORMAL, 0)
            assert [Draft(r.topic, r.partition, r.key, r.value, r.headers) for r in records] == drafts

        self.play(tmp_path, scenario)

    def test_the_append_time_is_the_logs_own(self, tmp_path: Path) -> None:
        """In microseconds since the epoch, about now."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            before_us = time.time_ns() // 1_000
            await log.append([draft(NORMAL, 0)])
            (record,) = await read_all(log, NORMAL, 0)
            assert abs(record.at_us - before_us) < 60_000_000

        self.play(tmp_path, scenario)

    def test_the_clock_of_the_log_is_that_of_its_append_times(self, tmp_path: Path) -> None:
        """As exact as a broker tells them: in milliseconds."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            before_us = await one.clock_us()
            await one.append([draft(NORMAL, 0)])
            (record,) = await read_all(two, NORMAL, 0)
            after_us = await two.clock_us()
            assert before_us - 1_000 <= record.at_us <= after_us + 1_000

        self.play(tmp_path, scenario)

    def test_partitions_are_independent(self, tmp_path: Path) -> None:
        """Every partition of every topic has offsets and records of its own."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            keys = [(topic, number) for topic in CO_PARTITIONED for number in range(log.partitions)] + [(SCHEMAS, 0)]
            assert set(await log.append([draft(*key, value=f"{key}") for key in keys])) == {0}
            for key in keys:
                assert values(await read_all(log, *key)) == [f"{key}"]

        self.play(tmp_path, scenario)

    def test_a_partition_or_topic_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        """Nothing of such a call is written."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            for bad in (draft(NORMAL, log.partitions), draft(NORMAL, -1), draft("no.such", 0), draft(SCHEMAS, 1)):
                await raised(log.append([draft(NORMAL, 0), bad]), ValidationFailed)
                await raised(log.read(bad.topic, bad.partition, 0), ValidationFailed)
            assert await read_all(log, NORMAL, 0) == []

        self.play(tmp_path, scenario)

    def test_a_record_that_is_too_large_is_refused_before_anything_is_produced(self, tmp_path: Path) -> None:
        """The limit counts key, value and headers; one byte less is taken."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            fits = Draft(EVENTS, 0, b"key", b"x" * (RECORD_BYTES_MAX - 3 - 8), (("name", b"four"),))
            too_large = fits._replace(key=b"key+")
            await raised(log.append([draft(EVENTS, 0), too_large]), RecordTooLarge)
            writer = await log.open_writer(0, "one")
            await raised(writer.commit([draft(EVENTS, 0), too_large]), RecordTooLarge)
            await writer.commit([fits])
            assert [record.value for record in await read_all(log, EVENTS, 0)] == [fits.value]

        self.play(tmp_path, scenario)

    def test_a_tombstone_is_for_compacted_topics_only(self, tmp_path: Path) -> None:
        """Elsewhere it would be a record without a meaning."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await raised(log.append([Draft(EVENTS, 0, b"k", None)]), ValidationFailed)
            await log.append([Draft(CHECKPOINTS, 0, b"k", None)])
            assert [record.value for record in await read_all(log, CHECKPOINTS, 0)] == [None]

        self.play(tmp_path, scenario)

    def test_reading_stops_at_records_max_and_goes_on_at_the_position(self, tmp_path: Path) -> None:
        """Small steps give the same records as one large step."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append([draft(NORMAL, 1, f"v{n}") for n in range(100)])
            first = await log.read(NORMAL, 1, 0, records_max=7)
            assert 1 <= len(first.records) <= 7
            assert first.position == first.records[-1].offset + 1
            assert await read_all(log, NORMAL, 1, records_max=7) == await read_all(log, NORMAL, 1)
            assert values(await read_all(log, NORMAL, 1, 95)) == ["v95", "v96", "v97", "v98", "v99"]

        self.play(tmp_path, scenario)

    def test_large_records_are_all_read_however_many_fit_one_read(self, tmp_path: Path) -> None:
        """A read is bounded by bytes too."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            for n in range(12):
                await log.append([Draft(NORMAL, 1, b"k", bytes([n]) * 900_000)])
            sizes = [(record.value or b"")[:1] for record in await read_all(log, NORMAL, 1)]
            assert sizes == [bytes([n]) for n in range(12)]

        self.play(tmp_path, scenario)

    def test_reading_at_the_end_gives_nothing_and_stays(self, tmp_path: Path) -> None:
        """An empty partition too."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            assert await log.read(NORMAL, 1, 0) == ([], 0)
            await log.append([draft(NORMAL, 1)])
            end = (await log.watermarks(NORMAL, 1)).high
            assert await log.read(NORMAL, 1, end) == ([], end)

        self.play(tmp_path, scenario)

    def test_wait_returns_at_once_when_there_is_something_to_read(self, tmp_path: Path) -> None:
        """Whichever of the partitions it is in."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append([draft(NORMAL, 1)])
            async with asyncio.timeout(PATIENCE_S):
                await log.wait({(OUTBOX, 0): 0, (NORMAL, 1): 0}, 60_000)

        self.play(tmp_path, scenario)

    def test_wait_is_over_after_its_timeout(self, tmp_path: Path) -> None:
        """Another partition's records do not end it for long."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append([draft(NORMAL, 2)])
            started = time.monotonic()
            await log.wait({(NORMAL, 1): 0}, 60)
            assert 0.05 <= time.monotonic() - started < PATIENCE_S

        self.play(tmp_path, scenario)

    def test_a_record_of_another_handle_ends_the_wait(self, tmp_path: Path) -> None:
        """And is then there to be read."""

        async def scenario(connect: Connect) -> None:
            reader, writer = await connect("reader"), await connect("writer")
            waiting = asyncio.create_task(reader.wait({(NORMAL, 1): 0, (NORMAL, 2): 0}, 60_000))
            await asyncio.sleep(0)
            await writer.append([draft(NORMAL, 2, "wake up")])
            async with asyncio.timeout(PATIENCE_S):
                await waiting
            assert values((await reader.read(NORMAL, 2, 0)).records) == ["wake up"]

        self.play(tmp_path, scenario)

    def test_two_handles_that_append_at_once_lose_nothing_and_keep_their_order(self, tmp_path: Path) -> None:
        """Offsets are given once."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first, second = await asyncio.gather(_append_fifty(one, "a"), _append_fifty(two, "b"))
            found = await read_all(one, NORMAL, 0)
            assert sorted(first + second) == [record.offset for record in found]
            for name in "ab":
                mine = [value for value in values(found) if value.startswith(name)]
                assert mine == sorted(mine)
                assert len(mine) == 50

        self.play(tmp_path, scenario)

    def test_settings_are_set_by_compare_and_swap(self, tmp_path: Path) -> None:
        """None means absent; of two at once one wins."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            assert await one.get_setting("fleet") is None
            assert not await one.put_setting("fleet", "shop", expected="bank")
            each = ((one, "first"), (two, "second"), (one, "third"))
            won = await asyncio.gather(*[log.put_setting("fleet", value, expected=None) for log, value in each])
            assert sorted(won) == [False, False, True]
            assert await two.get_setting("fleet") == each[won.index(True)][1]
            assert await two.put_setting("fleet", "größer", expected=each[won.index(True)][1])
            assert await one.get_setting("fleet") == "größer"

        self.play(tmp_path, scenario)

    def test_a_closed_handle_says_so(self, tmp_path: Path) -> None:
        """Closing twice is nothing special; others go on."""

        async def scenario(connect: Connect) -> None:
            closed, other = await connect("closed"), await connect("other")
            await closed.close()
            await closed.close()
            await raised(closed.append([draft(NORMAL, 0)]), LogUnreachable)
            await raised(closed.watermarks(NORMAL, 0), LogUnreachable)
            await other.append([draft(NORMAL, 0)])

        self.play(tmp_path, scenario)


async def _append_fifty(log: Log, name: str) -> list[int]:
    return [offset for n in range(50) for offset in await log.append([draft(NORMAL, 0, f"{name}{n:02}")])]

"""Trimming and compaction: what goes, what stays, and what a reader is told."""
# ruff: noqa: S101, PLR2004 a test suite asserts, and counts

import asyncio
from pathlib import Path

from ...errors import HistoryBroken, PositionTrimmed
from ...log.port import CHECKPOINTS, EVENTS, NORMAL, SCHEMAS, Draft, Log
from .harness import PATIENCE_S, Connect, LogHarness, draft, eventually, raised, read_all, values


class RetentionConformance(LogHarness):
    """Only HMS deletes, and silence about it would be a loss."""

    def test_reading_below_the_start_is_an_error(self, tmp_path: Path) -> None:
        """It names the start, from which reading goes on, on every handle."""

        async def scenario(connect: Connect) -> None:
            log, other = await connect("one"), await connect("two")
            offsets = await log.append([draft(NORMAL, 1, f"v{n}") for n in range(10)])
            assert len(await read_all(other, NORMAL, 1)) == len(offsets)
            await log.trim(NORMAL, 1, offsets[6])
            start = (await log.watermarks(NORMAL, 1)).start
            assert start == offsets[6]
            for handle in (log, other):
                error = await raised(handle.read(NORMAL, 1, 0), PositionTrimmed)
                assert isinstance(error, PositionTrimmed)
                assert error.start == start
                assert not error.retryable
                assert values(await read_all(handle, NORMAL, 1, start)) == ["v6", "v7", "v8", "v9"]

        self.play(tmp_path, scenario)

    def test_reading_beyond_the_end_is_an_error(self, tmp_path: Path) -> None:
        """No reader can have come there: the log is not the one that the position is of. The end itself is fine."""

        async def scenario(connect: Connect) -> None:
            log, other = await connect("one"), await connect("two")
            await log.append([draft(NORMAL, 1), draft(NORMAL, 1)])
            end = (await log.watermarks(NORMAL, 1)).high
            for handle in (log, other):
                assert await handle.read(NORMAL, 1, end) == ([], end)
                error = await raised(handle.read(NORMAL, 1, end + 1), HistoryBroken)
                assert f"position {end + 1} was asked for, but the log ends at {end}" in str(error)
                async with asyncio.timeout(PATIENCE_S):
                    await handle.wait({(NORMAL, 1): end + 1}, 100)

        self.play(tmp_path, scenario)

    def test_offsets_are_never_used_again(self, tmp_path: Path) -> None:
        """Not after everything was trimmed; trimming beyond the end, or twice, takes no more than there is."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append([draft(NORMAL, 1) for _ in range(3)])
            end = (await log.watermarks(NORMAL, 1)).high
            await log.trim(NORMAL, 1, end + 1_000)
            await log.trim(NORMAL, 1, 1)
            assert await log.watermarks(NORMAL, 1) == (end, end, end)
            assert await log.read(NORMAL, 1, end) == ([], end)
            (offset,) = await log.append([draft(NORMAL, 1, "next")])
            assert offset == end
            assert values(await read_all(log, NORMAL, 1, end)) == ["next"]

        self.play(tmp_path, scenario)

    def test_trimming_one_partition_leaves_the_others(self, tmp_path: Path) -> None:
        """Its neighbours in topic and number keep all."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            neighbours = [(NORMAL, 0), (NORMAL, 2), (EVENTS, 1)]
            await log.append([draft(*key) for key in [*neighbours, (NORMAL, 1)] for _ in range(3)])
            await log.trim(NORMAL, 1, 3)
            for key in neighbours:
                assert [record.offset for record in await read_all(log, *key)] == [0, 1, 2]

        self.play(tmp_path, scenario)

    def test_a_reader_that_races_with_trimming_misses_nothing_unsaid(self, tmp_path: Path) -> None:
        """Either it gets the records at its position or it is told that they are gone."""

        async def scenario(connect: Connect) -> None:
            log, reader = await connect("one"), await connect("two")
            await log.append([draft(NORMAL, 1, f"{n}") for n in range(3_000)])
            trimming = asyncio.create_task(_trim_all(log))
            position, seen, told = 0, 0, 0
            while position < 3_000:
                try:
                    found = await reader.read(NORMAL, 1, position, records_max=10)
                except PositionTrimmed as error:
                    told += 1
                    position = error.start
                    continue
                expected = [f"{position + n}" for n in range(len(found.records))]
                assert values(found.records) == expected
                seen += len(expected)
                position = found.position
                await asyncio.sleep(0)
            await trimming
            assert seen or told

        self.play(tmp_path, scenario)

    def test_compaction_keeps_the_newest_value_of_each_key(self, tmp_path: Path) -> None:
        """At its offset; above `before` everything stays."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            keys = "ababcaba"
            offsets = await log.append([draft(CHECKPOINTS, 4, f"{key}{n}", key) for n, key in enumerate(keys)])
            await log.compact(CHECKPOINTS, 4, offsets[5])
            found = await read_all(log, CHECKPOINTS, 4)
            newest = {record.key: record.value for record in found}
            assert newest == {b"a": b"a7", b"b": b"b6", b"c": b"c4"}
            assert [record.offset for record in found if record.offset >= offsets[5]] == offsets[5:]
            assert all(record.value == f"{record.key.decode()}{record.offset}".encode() for record in found)

        self.play(tmp_path, scenario)

    def test_compaction_drops_old_tombstones_and_what_they_deleted(self, tmp_path: Path) -> None:
        """A key that came back stays; reading passes what is gone, even at the end of the partition."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            await log.append([draft(SCHEMAS, 0, "1", "gone"), draft(SCHEMAS, 0, "2", "back")])
            await log.append([Draft(SCHEMAS, 0, b"back", None), draft(SCHEMAS, 0, "3", "back")])
            await log.append([Draft(SCHEMAS, 0, b"gone", None)])
            end = (await log.watermarks(SCHEMAS, 0)).high
            await log.compact(SCHEMAS, 0, end)
            await log.compact(SCHEMAS, 0, end)
            found = await read_all(log, SCHEMAS, 0)
            newest = {record.key: record.value for record in found}
            assert newest.pop(b"gone", None) is None
            assert newest == {b"back": b"3"}

            async def passes_the_gap() -> bool:
                return (await log.read(SCHEMAS, 0, end - 1)).position >= end

            await eventually(passes_the_gap, "a position at the end")

        self.play(tmp_path, scenario)


async def _trim_all(log: Log) -> None:
    for before in range(0, 3_001, 50):
        await log.trim(NORMAL, 1, before)

"""Reading over archive and log: one stream, or an error that says what is missing."""

import asyncio
from pathlib import Path

import pytest

from hms.core.log import EVENTS
from hms.replay.archive.errors import ArchiveDamaged, HistoryGap
from hms.replay.archive.reader import Archive
from hms.replay.history import History

from .archived import archived, count, everything, filled, run_archive


def test_history_goes_on_in_the_log_where_the_archive_ends(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        before = await everything(log)
        archive = await run_archive(tmp_path / "archive", log)
        history = History(log, archive)
        await count(log, 20)
        await log.trim(EVENTS, 0, archive.positions()[EVENTS, 0] - 4)
        first, end = await history.bounds(EVENTS, 0)
        assert (first, end) == (0, (await log.watermarks(EVENTS, 0)).stable)
        found = [one async for some in history.records(EVENTS, 0, 0, end, headers=True) for one in some]
        assert found[: len(before[EVENTS, 0])] == before[EVENTS, 0]
        assert found[-len((await everything(log))[EVENTS, 0]) :] == (await everything(log))[EVENTS, 0]
        assert [one.offset for one in found] == list(range(end))
        with pytest.raises(HistoryGap, match="there is no archive to look into"):
            _ = [some async for some in History(log).records(EVENTS, 0, 0, end)]
        await log.close()

    asyncio.run(main())


def test_the_positions_of_an_instant_are_the_same_from_archive_and_log(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30, partitions=1)
        records = (await everything(log))[EVENTS, 0]
        instants = [records[index].at_us for index in (0, len(records) // 2, -1)]
        from_log = [(await History(log).as_of([EVENTS], at_us=at_us)).positions for at_us in instants]
        archive = await run_archive(tmp_path / "archive", log)
        alone = [(await History(None, archive).as_of([EVENTS], at_us=at_us)).positions for at_us in instants]
        await log.trim(EVENTS, 0, archive.positions()[EVENTS, 0] - 3)
        both = [(await History(log, archive).as_of([EVENTS], at_us=at_us)).positions for at_us in instants]
        assert from_log == alone == both
        await log.close()

    asyncio.run(main())


def test_a_file_that_is_missing_or_a_manifest_that_was_changed_is_said_not_read_over(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        archive = await run_archive(tmp_path / "archive", log)
        file = archive.files(EVENTS)[0]
        archive.path(file).unlink()
        with pytest.raises(ArchiveDamaged, match="expected a file of the archive"):
            await archived(archive)
        await count(log, 5)
        await run_archive(tmp_path / "archive", log)
        manifest = tmp_path / "archive" / "manifests" / "shard=0000" / "000000000000.json"
        manifest.write_bytes(manifest.read_bytes() + b" ")
        with pytest.raises(ArchiveDamaged, match="expected manifest 1 after"):
            await Archive.open(tmp_path / "archive")
        await log.close()

    asyncio.run(main())

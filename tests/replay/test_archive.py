import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from hms.core.errors import ValidationFailed
from hms.core.log import EVENTS, NORMAL, OUTBOX, SCHEMAS, Draft
from hms.core.log.open import open_log
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.binding import SETTING, bound_archive
from hms.replay.archive.errors import ArchiveFenced, ArchiveMismatch, HistoryGap
from hms.replay.archive.manifests import ArchiveMoved
from hms.replay.archive.parallel import archive_once
from hms.replay.archive.reader import Archive
from hms.replay.columns import UNREADABLE
from hms.schemas import Contract, Envelope
from hms.schemas.foreign import ForeignType

from .archived import Added, archived, count, everything, filled, make_log, run_archive


def test_what_is_archived_is_the_log_record_by_record_and_byte_by_byte(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db")
        archive = await run_archive(tmp_path / "archive", log)
        assert await archived(archive) == await everything(log)
        for place, after in archive.positions().items():
            assert after == (await log.watermarks(*place)).stable
        await log.close()

    asyncio.run(main())


def test_archiving_goes_on_where_it_ended_and_nothing_new_writes_no_file(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20)
        await run_archive(tmp_path / "archive", log)
        await count(log, 20)
        archive = await run_archive(tmp_path / "archive", log)
        files = archive.files()
        assert await archived(archive) == await everything(log)
        assert (await run_archive(tmp_path / "archive", log)).files() == files
        await log.close()

    asyncio.run(main())


def test_small_steps_give_the_same_archive_as_one_large_one(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 40)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        for shard in range(log.partitions):
            await archiver.catch_up(archiver.writer(shard, 1, records_max=7))
        archive = await Archive.open(tmp_path / "archive")
        assert max(archive.state(shard).number for shard in range(log.partitions)) > 5
        assert await archived(archive) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_many_manifests_are_folded_from_the_last_that_holds_everything(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 60, partitions=1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        writer = archiver.writer(0, 1, records_max=3)
        await archiver.catch_up(writer)
        assert writer.manifests.state.number > 64
        needless = writer.manifests.forget()
        before = (await Archive.open(tmp_path / "archive")).state(0)
        for path in needless:
            path.unlink()
        archive = await Archive.open(tmp_path / "archive")
        assert archive.state(0) == before
        assert await archived(archive) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_what_cannot_be_read_is_archived_with_its_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        log = await make_log(tmp_path / "log.db", 1)
        drafts = [Draft(NORMAL, 0, b"counter/1", value) for value in (b"", b"{}", b"\0\0\0\0\x09rest", b"\0")]
        await log.append(drafts)
        archive = await run_archive(tmp_path / "archive", log)
        assert {file.type for file in archive.files(NORMAL)} == {UNREADABLE}
        assert [stored.value for stored in (await archived(archive))[NORMAL, 0]] == [draft.value for draft in drafts]
        await log.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["../../../../evil/X", "a/b.C", "x" * 400, "with\nline.X"])
def test_a_type_that_somebody_called_like_a_path_stays_in_the_archive(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        (tmp_path / "deep").mkdir()
        log = await make_log(tmp_path / "deep" / "log.db", 1)
        contract = Contract()
        known = contract.register(Added, "counters.Added")
        schema = ForeignType(json.dumps({**json.loads(known.schema_json), "name": name}))
        stranger = schema.encode(
            {"amount": 1, "note": None}, Envelope("1", "client/x", "counter/1", schema.name, 1, "1")
        )
        await log.append([Draft(SCHEMAS, 0, str(schema.schema_id).encode(), schema.schema_json.encode())])
        await log.append([Draft(NORMAL, 0, b"counter/1", stranger)])
        archive = await run_archive(tmp_path / "deep" / "archive", log)
        (file,) = archive.files(NORMAL)
        assert file.type in {name, name.strip()}
        inside = archive.path(file).resolve().relative_to(archive.folder.data.resolve())
        assert len(inside.parts) == 3
        assert (await archived(archive))[NORMAL, 0] == (await everything(log))[NORMAL, 0]
        await log.close()

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_headers_are_archived_as_they_came(tmp_path: Path) -> None:
    async def main() -> None:
        log = await make_log(tmp_path / "log.db", 1)
        headers = (("a", b"\xff"), ("a", b""), ("ü", b"2"))
        await log.append([Draft(NORMAL, 0, b"counter/1", b"x", headers), Draft(NORMAL, 0, b"counter/1", b"y")])
        archive = await run_archive(tmp_path / "archive", log)
        assert [stored.headers for stored in (await archived(archive))[NORMAL, 0]] == [headers, ()]
        await log.close()

    asyncio.run(main())


# --- two owners ---------------------------------------------------------------------------------------------------


def test_a_paused_owner_that_wakes_up_is_told_that_there_is_a_newer_one(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="old")
        old, new = archiver.writer(0, 4), archiver.writer(0, 5)
        await old.flush()
        await count(log, 10)
        await new.flush()
        await count(log, 10)
        with pytest.raises(ArchiveFenced, match="epoch 4 wanted to write, but epoch 5 has"):
            await old.flush()
        await new.flush()
        assert await archived(await Archive.open(tmp_path / "archive")) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_an_owner_that_was_paused_before_it_published_publishes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="old")
        old, new = archiver.writer(0, 4), archiver.writer(0, 5)
        publish = old.manifests.publish
        newer = asyncio.get_running_loop()

        def paused(*arguments: object, **changes: object) -> object:
            asyncio.run_coroutine_threadsafe(new.flush(), newer).result(30)
            return publish(*arguments, **changes)  # type: ignore[arg-type]

        old.manifests.publish = paused  # type: ignore[method-assign, assignment]
        with pytest.raises(ArchiveFenced):
            await old.flush()
        archive = await Archive.open(tmp_path / "archive")
        assert archive.state(0).number == 0
        assert await archived(archive) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_of_two_that_archive_under_one_epoch_one_begins_anew_and_nothing_is_twice(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 40, partitions=1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="both")
        one, two = archiver.writer(0, 1, records_max=20), archiver.writer(0, 1, records_max=20)
        outcomes = await asyncio.gather(one.flush(), two.flush(), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ArchiveMoved", "Flushed"]
        assert isinstance(next(one for one in outcomes if isinstance(one, BaseException)), ArchiveMoved)
        await asyncio.gather(archiver.catch_up(one), archiver.catch_up(two))
        assert await archived(await Archive.open(tmp_path / "archive")) == await everything(log)
        await log.close()

    asyncio.run(main())


# --- logs that are not what they were -----------------------------------------------------------------------------


def test_records_that_were_deleted_before_they_were_archived_are_named(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        await log.trim(EVENTS, 0, 7)
        with pytest.raises(HistoryGap, match=r"hms.events/0: the records from position 0 to below 7 .*--accept-gaps"):
            await run_archive(tmp_path / "archive", log)
        await log.close()

    asyncio.run(main())


def test_retention_that_overtakes_the_archive_is_named_and_going_on_needs_a_word(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        await run_archive(tmp_path / "archive", log)
        before = (await log.watermarks(EVENTS, 0)).stable
        await count(log, 20)
        await log.trim(EVENTS, 0, before + 5)
        with pytest.raises(HistoryGap, match=f"from position {before} to below {before + 5}"):
            await run_archive(tmp_path / "archive", log)
        archive = await run_archive(tmp_path / "archive", log, accept_gaps=True)
        (gap,) = archive.gaps()
        assert (gap.topic, gap.first, gap.next) == (EVENTS, before, before + 5)
        end = archive.positions()[EVENTS, 0]
        found = [one async for some in archive.records(EVENTS, 0, before + 5, end) for one in some]
        assert found == [one._replace(headers=()) for one in (await everything(log))[EVENTS, 0]]
        with pytest.raises(HistoryGap, match="accepted by the operator"):
            _ = [some async for some in archive.records(EVENTS, 0, before - 1, end)]
        await log.close()

    asyncio.run(main())


def test_the_outbox_that_hms_itself_trims_by_age_is_no_error_but_noted(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        await log.trim(OUTBOX, 0, 3)
        archive = await run_archive(tmp_path / "archive", log)
        (gap,) = archive.gaps()
        assert (gap.topic, gap.first, gap.next) == (OUTBOX, 0, 3)
        await log.close()

    asyncio.run(main())


def rebind(path: Path, setting: str) -> None:
    """Give another log the same binding, as somebody who copies settings would."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (SETTING, setting))
    connection.close()


def test_a_log_that_ends_before_the_archive_does_is_another_one_or_an_older_copy(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "log.db"
        log = await filled(path, 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        await log.close()
        shutil.copy(path, tmp_path / "copy.db")
        log = await open_log(f"sqlite:{path}")
        await count(log, 10)
        await run_archive(tmp_path / "archive", log)
        await log.close()
        copy = await open_log(f"sqlite:{tmp_path / 'copy.db'}")
        with pytest.raises(ArchiveMismatch, match="but the log ends at"):
            await run_archive(tmp_path / "archive", copy)
        await count(copy, 40)  # it grows past the archive's end with records of its own
        with pytest.raises(ArchiveMismatch, match="deleted and made again"):
            await run_archive(tmp_path / "archive", copy)
        await copy.close()

    asyncio.run(main())


def test_a_log_that_went_another_way_is_given_another_archive_on_request(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        with pytest.raises(ArchiveMismatch, match="mount that folder here"):
            await archive_once(str(tmp_path / "new"), log, owner="test")
        with pytest.raises(ValidationFailed, match="is an archive already"):
            await archive_once(str(tmp_path / "archive"), log, owner="test", anew=True)
        await archive_once(str(tmp_path / "new"), log, owner="test", anew=True)
        assert await archived(await Archive.open(tmp_path / "new")) == await everything(log)
        with pytest.raises(ArchiveMismatch, match="name that folder"):
            await run_archive(tmp_path / "archive", log)
        await log.close()

    asyncio.run(main())


def test_a_topic_that_was_made_again_and_grew_past_its_old_end_is_found_by_the_chain(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        archive = await run_archive(tmp_path / "archive", log)
        bound = await log.get_setting(SETTING)
        await log.close()
        other = await filled(tmp_path / "other.db", 40, partitions=1)
        # The lanes' and outbox's last archived records are gone from it: what is left to tell is the chain.
        for topic, after in [(topic, after) for (topic, _), after in archive.positions().items()]:
            marks = await other.watermarks(topic, 0)
            await other.trim(topic, 0, min(after, marks.stable))
        await other.close()
        rebind(tmp_path / "other.db", bound or "")
        other = await open_log(f"sqlite:{tmp_path / 'other.db'}")
        with pytest.raises(ArchiveMismatch):
            await run_archive(tmp_path / "archive", other)
        await other.close()

    asyncio.run(main())


def test_a_log_made_again_does_not_go_on_in_the_old_archive(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        await log.close()
        other = await filled(tmp_path / "other.db", 10, partitions=1)
        with pytest.raises(ArchiveMismatch, match="holds the history of another log"):
            await run_archive(tmp_path / "archive", other)
        await other.close()

    asyncio.run(main())


def test_a_folder_whose_mount_is_gone_is_not_taken_for_a_new_archive(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        (tmp_path / "archive").rename(tmp_path / "unmounted")
        (tmp_path / "archive").mkdir()
        with pytest.raises(ArchiveMismatch, match="is the folder still mounted"):
            await archiver.writer(0, 9).flush()
        with pytest.raises(ArchiveMismatch, match="mount that folder here"):
            await run_archive(tmp_path / "archive", log)
        assert list((tmp_path / "archive").iterdir()) == []
        await log.close()

    asyncio.run(main())


def test_a_log_is_bound_to_one_archive(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        await Archiver.open(str(tmp_path / "archive"), log, owner="again")
        bound = await bound_archive(log)
        assert bound is not None
        assert bound.url == str(tmp_path / "archive")
        second = await filled(tmp_path / "second.db", 10, partitions=1)
        await run_archive(tmp_path / "elsewhere", second)
        with pytest.raises(ArchiveMismatch, match="name that folder"):
            await run_archive(tmp_path / "elsewhere", log)
        with pytest.raises(ValidationFailed, match="not the URL of an archive"):
            await Archiver.open("s3://bucket/archive", log, owner="test")
        await second.close()
        await log.close()

    asyncio.run(main())


def test_an_older_copy_of_the_archive_under_a_trimmed_log_is_a_gap_that_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        await run_archive(tmp_path / "archive", log)
        shutil.copytree(tmp_path / "archive", tmp_path / "backup")
        await count(log, 10)
        archive = await run_archive(tmp_path / "archive", log)
        await log.trim(EVENTS, 0, archive.positions()[EVENTS, 0])
        shutil.rmtree(tmp_path / "archive")
        shutil.move(tmp_path / "backup", tmp_path / "archive")
        with pytest.raises(HistoryGap, match="neither in the log nor in the archive"):
            await run_archive(tmp_path / "archive", log)
        await log.close()

    asyncio.run(main())

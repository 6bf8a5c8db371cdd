import asyncio
import json
import shutil
from pathlib import Path

import duckdb
import pytest

from hms import connect
from hms.console.cli.doctor.archive import archive_checks
from hms.console.cli.whole_history import whole_history
from hms.core.address import Address
from hms.core.errors import ValidationFailed
from hms.core.log import EVENTS, LANES, Log
from hms.core.log.open import open_log
from hms.core.runtime.node import Node
from hms.core.runtime.view import View
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.errors import ArchiveDamaged, ArchiveMismatch, HistoryGap
from hms.replay.archive.expiry import expire
from hms.replay.archive.policy import Policy
from hms.replay.archive.read_me import SQL
from hms.replay.archive.reader import Archive
from hms.replay.archive.restore import restore
from hms.replay.archive.signing import sign_with, wrong_signature
from hms.replay.archive.upkeep import Upkeep
from hms.replay.archive.verify import verify
from hms.replay.audit.keys import KeyFolder
from hms.replay.audit.trust import Trust
from hms.replay.history import History
from hms.replay.opened import opened

from .archived import Add, archived, count, counters, everything, filled, run_archive
from .test_archive_upkeep import checkpointed


async def totals(log: Log) -> dict[str, int]:
    return {seen.address: seen.state.total for seen in await View(log, [counters]).actors(lambda _: True)}


def test_a_lost_log_is_restored_record_by_record_and_goes_on_in_its_archive(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 60)
        before, states = await everything(log), await totals(log)
        archive = await run_archive(tmp_path / "archive", log)
        await log.close()
        restored = await restore(archive, tmp_path / "again.db")
        assert (restored.left_out, restored.goes_on) == (0, True)
        again = await open_log(f"sqlite:{tmp_path / 'again.db'}")
        assert await everything(again) == before
        assert await totals(again) == states
        await count(again, 20)
        archive = await run_archive(tmp_path / "archive", again)
        assert await archived(archive) == await everything(again)
        await again.close()

    asyncio.run(main())


def test_what_was_archived_of_one_shard_only_is_left_out_and_no_message_is_lost_or_doubled(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 40)
        await run_archive(tmp_path / "archive", log)
        await count(log, 40)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        await archiver.run([1])
        await log.close()
        archive = await Archive.open(tmp_path / "archive")
        restored = await restore(archive, tmp_path / "again.db")
        assert restored.left_out > 0
        assert not restored.goes_on
        again = await open_log(f"sqlite:{tmp_path / 'again.db'}")
        assert sum((await totals(again)).values()) <= 2 * sum(range(40))
        await count(again, 5)
        with pytest.raises(ArchiveMismatch):
            await run_archive(tmp_path / "archive", again)
        fresh = await run_archive(tmp_path / "fresh", again)
        assert await archived(fresh) == await everything(again)
        await again.close()

    asyncio.run(main())


def test_a_log_whose_first_events_have_expired_is_restored_from_the_snapshot(tmp_path: Path) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        states = await totals(log)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        writer = archiver.writer(0, 1, records_max=40)
        await archiver.catch_up(writer)
        assert (await Upkeep(archiver, writer, policy=Policy(keep={"*": "0s"})).run()).expired > 0
        await archiver.run()
        await log.close()
        await restore(await Archive.open(tmp_path / "archive"), tmp_path / "again.db")
        again = await open_log(f"sqlite:{tmp_path / 'again.db'}")
        assert await totals(again) == states
        async with Node(again, [counters], name="after") as running, connect(again, name="after") as client:
            await running.wait_owning(1)
            await client.ask(Address[Add]("counter/1"), Add(amount=1_000))
        assert (await totals(again))["counter/1"] == states["counter/1"] + 1_000
        await again.close()

    asyncio.run(main())


def test_an_archive_that_is_not_whole_is_not_restored(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        await log.close()
        path = archive.path(archive.files(EVENTS)[0])
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(ArchiveDamaged, match="it was changed"):
            await restore(archive, tmp_path / "again.db")
        assert not (tmp_path / "again.db").exists()

    asyncio.run(main())


def test_a_restore_never_writes_over_a_log(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        with pytest.raises(ValidationFailed, match="is there already"):
            await restore(archive, tmp_path / "log.db")
        await log.close()

    asyncio.run(main())


def test_what_sqlite_left_of_a_lost_log_does_not_become_part_of_the_restored_one(tmp_path: Path) -> None:
    """Somebody deleted the file, and not its write-ahead log."""

    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        await log.close()
        (tmp_path / "again.db-wal").write_bytes(b"of another")
        with pytest.raises(ValidationFailed, match=r"again\.db-wal is left of another log"):
            await restore(archive, tmp_path / "again.db")

    asyncio.run(main())


def test_messages_that_nobody_has_handled_yet_do_not_expire(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        states = await totals(log)
        async with connect(log, name="late") as client:
            await client.tell(Address[Add]("counter/1"), Add(amount=1_000))
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        await archiver.run()
        assert await expire(archiver.writer(0, 9), log, Policy(keep={"counters.Add": "0s"}), ()) == 0
        await log.close()
        await restore(await Archive.open(tmp_path / "archive"), tmp_path / "again.db")
        again = await open_log(f"sqlite:{tmp_path / 'again.db'}")
        async with Node(again, [counters], name="after"), connect(again, name="after") as client:
            await client.ask(Address[Add]("counter/1"), Add(amount=0))
        assert (await totals(again))["counter/1"] == states["counter/1"] + 1_000
        await again.close()

    asyncio.run(main())


def test_a_log_is_not_restored_to_a_moment_whose_messages_have_expired(tmp_path: Path) -> None:
    """They were handled later, but what handled them is left out, because another shard is not archived as far."""

    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20)
        await run_archive(tmp_path / "archive", log)
        await count(log, 20)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        await archiver.run([1])
        assert await expire(archiver.writer(1, 9), log, Policy(keep={"counters.Add": "0s"}), ()) > 0
        await log.close()
        with pytest.raises(ArchiveMismatch, match=r"messages in hms\.inbox\.normal from position .* not handled yet"):
            await restore(await Archive.open(tmp_path / "archive"), tmp_path / "again.db")

    asyncio.run(main())


def test_an_archive_of_another_log_is_not_read_as_this_one_s(tmp_path: Path) -> None:
    """Somebody put another archive where this log's was, or named the wrong one."""

    async def main() -> None:
        one, two = await filled(tmp_path / "one.db", 5), await filled(tmp_path / "two.db", 5)
        await run_archive(tmp_path / "archive-one", one)
        await run_archive(tmp_path / "archive-two", two)
        for given in (None, str(tmp_path / "archive-one")):
            if given is None:
                (tmp_path / "archive-one").rename(tmp_path / "kept")
                (tmp_path / "archive-two").rename(tmp_path / "archive-one")
            with pytest.raises(ArchiveMismatch, match="name that folder"):
                async with whole_history(one.url, given):
                    pass
        (check,) = await archive_checks(one)
        assert (check.outcome, "name that folder" in check.seen) == ("warn", True)
        await one.close()
        await two.close()

    asyncio.run(main())


def test_verify_finds_a_whole_archive_whole_and_names_each_damage(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30, partitions=1)
        archive = await run_archive(tmp_path / "archive", log)
        report = verify(archive, 0)
        assert report.findings == ()
        assert report.records == sum(len(records) for records in (await everything(log)).values())
        assert report.commits == (report.last_sequence or 0) + 1
        commits = next(file for file in archive.files(type="hms.Commit"))
        lanes = next(file for file in archive.files() if file.topic in LANES)
        shutil.copy(archive.path(commits), tmp_path / "kept")
        archive.path(commits).write_bytes(archive.path(lanes).read_bytes())
        archive.path(lanes).unlink()
        found = verify(archive, 0).findings
        assert any("it was changed" in finding and commits.path in finding for finding in found)
        assert any("No such file" in finding and lanes.path in finding for finding in found)
        await log.close()

    asyncio.run(main())


def test_verify_misses_commit_records_that_no_manifest_names_any_more(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30, partitions=1)
        for _ in range(3):
            await run_archive(tmp_path / "archive", log)
            await count(log, 10)
        archive = await run_archive(tmp_path / "archive", log)
        commits = sorted(archive.files(type="hms.Commit"), key=lambda file: file.first)
        assert len(commits) > 2
        del archive.state(0).files[commits[1].path]
        assert any("expected commit" in finding for finding in verify(archive, 0).findings)
        archive.state(0).files[commits[1].path] = commits[1]
        assert verify(archive, 0).findings == ()
        del archive.state(0).files[commits[-1].path]
        assert any("missing at its end" in finding for finding in verify(archive, 0).findings)
        await log.close()

    asyncio.run(main())


def test_history_over_the_archive_alone_reads_everything(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30)
        archive = await run_archive(tmp_path / "archive", log)
        before = await everything(log)
        await log.close()
        history = History(None, archive)
        as_of = await history.as_of()
        for place, records in before.items():
            found = [one async for some in history.records(*place, 0, as_of.positions[place]) for one in some]
            assert [one.value for one in found] == [one.value for one in records]

    asyncio.run(main())


def test_a_tombstone_is_signed_and_a_changed_one_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10, partitions=1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        writer = archiver.writer(0, 1)
        await archiver.catch_up(writer)
        keys = KeyFolder(tmp_path / "keys", "node-1")
        policy = Policy(keep={"counters.Add": "0s"})
        await Upkeep(archiver, writer, policy=policy, sign=sign_with(keys.signers)).run()
        archive = await Archive.open(tmp_path / "archive")
        assert verify(archive, 0, wrong_signature).findings == ()
        (stone,) = archive.tombstones()
        archive.state(0).tombstones[0] = stone.model_copy(update={"rows": stone.rows - 1})
        assert "not signed by node-1" in verify(archive, 0, wrong_signature).findings[0]
        archive.state(0).tombstones[0] = stone.model_copy(update={"signature": None})
        assert "expected a signature, got none" in verify(archive, 0, wrong_signature).findings[0]
        trust = Trust(tuple(one.public for one in keys.signers()))
        assert (wrong_signature(stone, trust), "nobody who is trusted" in wrong_signature(stone, Trust())) == ("", True)
        await log.close()

    asyncio.run(main())


def test_a_history_finds_the_archive_that_its_log_knows_of(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archive = await run_archive(tmp_path / "archive", log)
        before = (await everything(log))[EVENTS, 0]
        await log.trim(EVENTS, 0, 5)
        await log.close()
        async with opened(f"sqlite:{tmp_path / 'log.db'}") as history:
            found = [one async for some in history.records(EVENTS, 0, 0, len(before)) for one in some]
            assert found == before
        archive.folder.root.rename(tmp_path / "away")
        async with opened(f"sqlite:{tmp_path / 'log.db'}") as history:
            with pytest.raises(HistoryGap, match="from position 0 to below 5"):
                _ = [some async for some in history.records(EVENTS, 0, 0, len(before))]

    asyncio.run(main())


def test_the_readme_in_an_archive_says_how_anybody_reads_it_and_the_page_says_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30)
        await run_archive(tmp_path / "archive", log)
        await count(log, 30)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        for shard in range(log.partitions):
            writer = archiver.writer(shard, 9)
            await archiver.catch_up(writer)
            await Upkeep(archiver, writer, policy=Policy(small_files=2)).run()
        archive = await Archive.open(tmp_path / "archive")
        database = duckdb.connect()
        database.execute(SQL)
        rows = database.execute("SELECT path, type FROM archived(?)", [str(tmp_path / "archive")]).fetchall()
        assert sorted(rows) == sorted((str(archive.path(file)), file.type) for file in archive.files())
        await log.close()

    asyncio.run(main())
    assert SQL in (Path(__file__).parents[2] / "docs" / "how-to" / "archive.md").read_text(encoding="utf-8")
    readme = (tmp_path / "archive" / "README.md").read_text(encoding="utf-8")
    assert all(line.strip() in readme for line in SQL.splitlines())


def test_the_page_s_sql_reads_manifests_of_any_size(tmp_path: Path) -> None:
    """DuckDB takes 16 MB of JSON at once unless told; a manifest with everything in years of files is larger."""
    folder = tmp_path / "manifests" / "shard=0000"
    folder.mkdir(parents=True)
    files = [{"path": f"{number}{'x' * 1_000_000}", "type": "t"} for number in range(40)]
    manifest = {"shard": 0, "number": 0, "whole": {"files": files}, "add": [], "remove": []}
    (folder / "000000000000.json").write_text(json.dumps(manifest))
    with duckdb.connect() as db:
        db.execute(SQL)
        assert db.execute("SELECT count(*) FROM archived(?)", [str(tmp_path)]).fetchone() == (40,)

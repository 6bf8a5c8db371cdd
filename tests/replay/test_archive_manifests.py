"""Manifests by themselves: one chain, whoever writes, however long somebody was away."""

import asyncio
from pathlib import Path

import pytest

from hms.core.log import EVENTS
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.disk import Disk
from hms.replay.archive.errors import ArchiveDamaged, ArchiveFenced
from hms.replay.archive.folder import Folder
from hms.replay.archive.manifests import WHOLE_EVERY, ArchiveMoved, Manifests
from hms.replay.archive.reader import Archive
from hms.replay.archive.verify import verify

from .archived import archived, count, everything, filled, run_archive

LONG = 3 * WHOLE_EVERY


def manifests(root: Path) -> Manifests:
    found = Manifests(Folder(root), "archive", 0)
    found.refresh()
    return found


def publish(writer: Manifests, count: int, epoch: int = 1) -> None:
    for _ in range(count):
        writer.publish(epoch, "test", "append", covered={EVENTS: (0, writer.state.number + 2)})


def forget(writer: Manifests) -> None:
    for path in writer.forget():
        path.unlink()


def test_who_was_away_for_so_long_that_the_next_manifests_are_gone_begins_anew(tmp_path: Path) -> None:
    writer, reader = manifests(tmp_path), manifests(tmp_path)
    publish(writer, 3)
    reader.refresh()
    publish(writer, LONG)
    forget(writer)
    assert reader.refresh() == writer.state == manifests(tmp_path).state
    assert reader.state.covered == {EVENTS: (0, LONG + 3)}


@pytest.mark.parametrize(("epoch", "error"), [(1, ArchiveFenced), (2, ArchiveMoved)])
def test_an_owner_that_slept_before_it_published_does_not_take_a_number_that_became_free(
    tmp_path: Path, epoch: int, error: type[Exception]
) -> None:
    sleeper, writer, reader = manifests(tmp_path), manifests(tmp_path), manifests(tmp_path)
    publish(writer, 3)
    sleeper.refresh()
    reader.refresh()
    publish(writer, LONG, epoch=2)
    forget(writer)
    with pytest.raises(error):
        publish(sleeper, 1, epoch=epoch)
    assert sleeper.state == reader.refresh() == manifests(tmp_path).state == writer.refresh()
    publish(writer, 1, epoch=2)
    assert reader.refresh() == writer.state


def test_a_number_that_became_free_under_a_manifest_that_is_still_there_counts_for_nobody(tmp_path: Path) -> None:
    sleeper, writer, reader = manifests(tmp_path), manifests(tmp_path), manifests(tmp_path)
    publish(writer, 3)
    sleeper.refresh()
    reader.refresh()
    publish(writer, LONG)
    (tmp_path / "manifests" / "shard=0000" / f"{3:012d}.json").unlink()  # a sweep that was killed after its first step
    with pytest.raises(ArchiveMoved):
        publish(sleeper, 1)
    assert reader.refresh() == writer.state


def test_a_manifest_that_was_put_counts_even_if_the_next_one_came_before_its_writer_looked(tmp_path: Path) -> None:
    other = manifests(tmp_path)

    class Slow(Disk):
        def put(self, path: Path, data: bytes | memoryview) -> bool:
            made = super().put(path, data)
            other.refresh()
            publish(other, 1)
            return made

    writer = Manifests(Folder(tmp_path), "archive", 0, Slow())
    writer.refresh()
    publish(writer, 1)
    assert writer.state == other.state
    assert writer.state.number == 1


def test_an_archive_that_becomes_older_is_not_read_on(tmp_path: Path) -> None:
    writer, reader = manifests(tmp_path), manifests(tmp_path)
    publish(writer, 5)
    reader.refresh()
    for number in (3, 4):
        (tmp_path / "manifests" / "shard=0000" / f"{number:012d}.json").unlink()
    with pytest.raises(ArchiveDamaged, match="replaced by an older copy"):
        reader.refresh()


class FullDisk(Disk):
    """Has room for so many files."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, path: Path, data: bytes | memoryview) -> None:
        self.room -= 1
        if self.room < 0:
            path.write_bytes(bytes(data[:10]))
            raise OSError(28, "No space left on device")
        super().write(path, data)


def test_a_full_disk_keeps_no_rubbish_of_each_try_and_the_archive_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        disk = FullDisk(4)
        archiver = await Archiver.open(str(root), log, owner="test", disk=disk)
        for _ in range(5):
            with pytest.raises(OSError, match=r"No space left on device: .*/archive/"):
                await archiver.writer(0, 1).flush()
            assert [path for path in root.glob("**/*") if path.is_file() and path.parent != root] == []
        disk.room = 1_000
        await archiver.run()
        assert await archived(await Archive.open(root)) == await everything(log)
        await log.close()

    asyncio.run(main())


# --- what others did to the folder ----------------------------------------------------------------------------------


def test_files_of_others_among_the_manifests_are_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        for name in ("notes.json", "000000000000 (copy).json", "._000000000000.json", ".DS_Store"):
            (archive.folder.manifests(0) / name).write_text("{}")
        await count(log, 5)
        assert await archived(await run_archive(tmp_path / "archive", log)) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_manifests_that_cannot_be_listed_are_said_and_not_taken_for_none(tmp_path: Path) -> None:
    """Also without the right to look into the folder; as root one has it, so a file stands there instead."""

    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        archive.folder.manifests(1).rename(tmp_path / "away")
        archive.folder.manifests(1).touch()
        with pytest.raises(ArchiveDamaged, match="expected the manifests of shard 1, got Not a directory"):
            await Archive.open(tmp_path / "archive")
        await log.close()

    asyncio.run(main())


def test_a_shard_without_any_manifest_is_a_finding(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        archive.folder.manifests(1).rename(tmp_path / "away")
        found = await Archive.open(tmp_path / "archive")
        assert verify(found, 0).findings == ()
        (finding,) = verify(found, 1).findings
        assert "expected manifests, as of 1 other shards, got none" in finding
        await log.close()

    asyncio.run(main())

"""Exactly once, whatever moment it dies at: killed, or with the power cut under it."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hms.core.log import Log
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.errors import ArchiveDamaged
from hms.replay.archive.policy import Policy
from hms.replay.archive.reader import Archive
from hms.replay.archive.upkeep import Upkeep
from hms.replay.history import History

from .archived import archived, everything, filled
from .disks import CarelessDisk, LossyDisk, PowerCut

LIVES = 2_000 if os.environ.get("HMS_LONG") else 200


@pytest.mark.timeout(400)
def test_an_archiver_killed_at_two_hundred_points_archives_every_record_exactly_once(tmp_path: Path) -> None:
    async def fill() -> None:
        await (await filled(tmp_path / "log.db", 1_500)).close()

    async def compare() -> None:
        log = await filled(tmp_path / "log.db", 1)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="last")
        await archiver.run()
        assert await archived(await Archive.open(tmp_path / "archive")) == await everything(log)
        await log.close()

    asyncio.run(fill())
    child = str(Path(__file__).parent / "crash_child.py")
    command = [sys.executable, child, f"sqlite:{tmp_path / 'log.db'}", str(tmp_path / "archive"), str(LIVES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= LIVES * 0.9  # a life may be over before its end comes
    asyncio.run(compare())


async def archive_through_power_cuts(log: Log, root: Path, disk: LossyDisk, cuts: int) -> None:
    chance = random.Random(7)  # noqa: S311
    for _ in range(cuts):
        disk.left = chance.randint(0, 150)
        try:
            archiver = await Archiver.open(str(root), log, owner="dark", disk=disk)
            for shard in range(log.partitions):
                await archiver.catch_up(archiver.writer(shard, 1, records_max=30))
        except PowerCut:
            disk.cut()


def test_what_a_power_cut_leaves_is_whole_and_the_archive_goes_on_exactly_once(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "disk").mkdir()
        root = tmp_path / "disk" / "archive"
        log = await filled(tmp_path / "log.db", 400)
        disk = LossyDisk(root, tmp_path / "kept")
        disk.sync_folder(tmp_path / "disk")
        await archive_through_power_cuts(log, root, disk, 60)
        archiver = await Archiver.open(str(root), log, owner="last", disk=disk)
        await archiver.run()
        disk.cut()
        assert await archived(await Archive.open(root)) == await everything(log)
        await log.close()

    asyncio.run(main())


async def keep_up_through_power_cuts(log: Log, root: Path, disk: LossyDisk, cuts: int) -> int:
    """Archive a bit, merge, sweep and trim, until the power is cut, over and over; return how often it came to the end."""
    chance = random.Random(11)  # noqa: S311
    policy = Policy(small_files=2, grace="0s", log_kept="0s", snapshot_every="0s")
    survived = 0
    for _ in range(cuts):
        disk.left = chance.randint(0, 250)
        try:
            archiver = await Archiver.open(str(root), log, owner="dark", disk=disk)
            for shard in range(log.partitions):
                writer = archiver.writer(shard, 1, records_max=40)
                await writer.flush()
                await Upkeep(archiver, writer, policy=policy).run()
            survived += 1
        except PowerCut:
            disk.cut()
    return survived


def test_merging_sweeping_and_trimming_through_power_cuts_lose_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hms.replay.archive.sweeping.RUBBISH_AFTER_S", 0.0)

    async def main() -> None:
        (tmp_path / "disk").mkdir()
        root = tmp_path / "disk" / "archive"
        log = await filled(tmp_path / "log.db", 400)
        before = await everything(log)
        disk = LossyDisk(root, tmp_path / "kept")
        disk.sync_folder(tmp_path / "disk")
        await keep_up_through_power_cuts(log, root, disk, 60)
        trimmed = [(await log.watermarks(*place)).start for place in before]
        assert any(trimmed), "expected some trimming"
        history = History(log, await Archive.open(root))
        for (topic, shard), records in before.items():
            end = (await log.watermarks(topic, shard)).stable
            found = [one async for some in history.records(topic, shard, 0, end, headers=True) for one in some]
            assert found == records
        await log.close()

    asyncio.run(main())


def test_the_test_sees_it_when_files_are_not_synced(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "disk").mkdir()
        root = tmp_path / "disk" / "archive"
        log = await filled(tmp_path / "log.db", 20)
        disk = CarelessDisk(root, tmp_path / "kept")
        archiver = await Archiver.open(str(root), log, owner="test", disk=disk)
        await archiver.run()
        disk.sync_folder(tmp_path / "disk")
        disk.cut()
        with pytest.raises(ArchiveDamaged):
            await archived(await Archive.open(root))
        await log.close()

    asyncio.run(main())

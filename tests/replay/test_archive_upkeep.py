import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from hms import connect
from hms.core.address import Address
from hms.core.log import EVENTS, LANES, NORMAL, OUTBOX, SCHEMAS, Log
from hms.core.runtime.archived import outbox_floor
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.replay.archive import compaction, sweeping
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.errors import ArchiveDamaged, RangeExpired
from hms.replay.archive.manifest import Signature
from hms.replay.archive.manifests import ArchiveMoved
from hms.replay.archive.policy import Policy
from hms.replay.archive.reader import Archive
from hms.replay.archive.snapshot import low_water
from hms.replay.archive.upkeep import Kept, Upkeep
from hms.replay.archive.verify import verify
from hms.replay.archive.writer import ShardWriter
from hms.replay.history import History
from hms.replay.past.snapshots import snapshot_of

from .archived import Add, archived, counters, everything, filled

NOW = Policy(grace="0s")


async def checkpointed(path: Path, commands: int = 60) -> Log:
    """A log of one shard whose events are all below the low-water mark of its checkpoints."""
    log = await filled(path, 1, partitions=1)
    options = ShardOptions(idle_ms=10)
    async with Node(log, [counters], name="test", options=options) as running, connect(log, name="idle") as client:
        await running.wait_owning(1)
        asked = [client.ask(Address[Add](f"counter/{n % 5}"), Add(amount=n)) for n in range(commands)]
        await asyncio.gather(*asked)
        end = max(one.offset for one in (await everything(log))[EVENTS, 0] if one.key.startswith(b"counter/")) + 1
        async with asyncio.timeout(60):
            while await low_water(log, 0) < end:
                await log.wait({(EVENTS, 0): (await log.watermarks(EVENTS, 0)).stable}, 20)
    return log


async def in_steps(log: Log, root: Path, records_max: int) -> tuple[Archiver, ShardWriter]:
    archiver = await Archiver.open(str(root), log, owner="test")
    writer = archiver.writer(0, 1, records_max=records_max)
    await archiver.catch_up(writer)
    return archiver, writer


def files_on_disk(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.glob("data/**/*") if path.is_file()}


def sweep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "RUBBISH_AFTER_S", -60.0)


# --- merging and sweeping -----------------------------------------------------------------------------------------


def test_small_files_become_one_sorted_by_key_and_position_and_lose_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 60, partitions=1)
        archiver, writer = await in_steps(log, root, 10)
        before = len(writer.manifests.state.files)
        kept = await Upkeep(archiver, writer, policy=Policy(grace="0s", small_files=2)).run()
        archive = await Archive.open(root)
        assert kept.merged == before - len(archive.files()) > 10
        assert await archived(archive) == await everything(log)
        (merged,) = archive.files(type="counters.Added")
        table = _table(archive, merged.path)
        keys = list(zip(table["record_key"], table["position"], strict=True))
        assert keys == sorted(keys)
        await log.close()

    asyncio.run(main())


def _table(archive: Archive, path: str) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    found: dict[str, list[Any]] = pq.ParquetFile(archive.folder.root / path).read().to_pydict()
    return found


def test_files_that_were_merged_are_deleted_when_the_grace_is_over_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_at_once(monkeypatch)

    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 40, partitions=1)
        archiver, writer = await in_steps(log, root, 10)
        before = files_on_disk(root)
        await Upkeep(archiver, writer, policy=Policy(grace="1h", small_files=2)).run()
        assert before <= files_on_disk(root)
        await Upkeep(archiver, writer, policy=NOW).run()
        archive = await Archive.open(root)
        assert files_on_disk(root) == {file.path for file in archive.files()}
        assert await archived(archive) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_what_a_crash_left_is_swept_but_nothing_of_another_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_at_once(monkeypatch)

    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver, writer = await in_steps(log, root, 1_000)
        day = root / Path(writer.manifests.state.files.copy().popitem()[0]).parent
        mine = [day / "hms.events-0-7-9-abcd.parquet", day / ".hms.events-0-7-9-abcd.parquet.12.tmp"]
        others = [day / "hms.events-11-0-9-abcd.parquet", day / "hms.dead-letters-1-0-9-abcd.parquet"]
        for path in (*mine, *others):
            path.write_bytes(b"rubbish")
        assert (await Upkeep(archiver, writer, policy=NOW).run()).swept == 2
        assert [path.exists() for path in (*mine, *others)] == [False, False, True, True]
        assert await archived(await Archive.open(root)) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_files_that_were_prepared_before_a_sweep_are_never_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_at_once(monkeypatch)

    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver = await Archiver.open(str(root), log, owner="test")
        slow, other = archiver.writer(0, 1), archiver.writer(0, 1)
        publish = slow.manifests.publish

        def after_a_sweep(*arguments: Any, **changes: Any) -> Any:
            assert sweeping._sweep(other, 0) > 0  # takes what the slow one has just written for rubbish
            return publish(*arguments, **changes)

        slow.manifests.publish = after_a_sweep  # type: ignore[method-assign]
        with pytest.raises(ArchiveMoved):
            await slow.flush()
        slow.manifests.publish = publish  # type: ignore[method-assign]
        await archiver.catch_up(slow)
        assert await archived(await Archive.open(root)) == await everything(log)
        await log.close()

    asyncio.run(main())


# --- expiry -------------------------------------------------------------------------------------------------------


def test_a_type_that_is_kept_for_a_time_leaves_a_signed_tombstone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_at_once(monkeypatch)
    signed: list[bytes] = []

    def sign(data: bytes) -> Signature:
        signed.append(data)
        return Signature(key_id="node-1", algorithm="test", value="ok")

    async def main() -> None:
        root = tmp_path / "archive"
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver, writer = await in_steps(log, root, 1_000)
        rows = sum(file.rows for file in writer.manifests.state.files.values() if file.type == "counters.Add")
        policy = Policy(keep={"counters.Add": "0s"}, grace="0s")
        assert (await Upkeep(archiver, writer, policy=policy, sign=sign).run()).expired == 1
        archive = await Archive.open(root)
        assert archive.files(type="counters.Add") == []
        (stone,) = archive.tombstones()
        assert (stone.type, stone.rows, stone.signature) == ("counters.Add", rows, sign(b""))
        assert signed[0] == stone.signed_part()
        first, after = archive.covered(NORMAL, 0) or (0, 0)
        with pytest.raises(RangeExpired, match="older than its type is kept"):
            _ = [some async for some in archive.records(NORMAL, 0, first, after)]
        await Upkeep(archiver, writer, policy=NOW).run()
        assert files_on_disk(root) == {file.path for file in archive.files()}
        await log.close()

    asyncio.run(main())


def test_events_expire_only_below_a_snapshot_of_the_states(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20, partitions=1)
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        everything_goes = Policy(keep={"*": "0s"})
        await Upkeep(archiver, writer, policy=everything_goes).run()
        archive = await Archive.open(tmp_path / "archive")
        water = await low_water(log, 0)
        assert all(file.next > water for file in archive.files(EVENTS))
        assert archive.files(EVENTS)
        assert {file.topic for file in archive.files()} == {EVENTS, SCHEMAS}
        await log.close()

    asyncio.run(main())


def test_events_below_the_snapshot_expire_and_the_snapshot_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_at_once(monkeypatch)

    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        archiver, writer = await in_steps(log, tmp_path / "archive", 40)
        kept = await Upkeep(archiver, writer, policy=Policy(keep={"*": "0s"}, grace="0s")).run()
        assert kept.expired > 0
        archive = await Archive.open(tmp_path / "archive")
        snapshot = archive.state(0).snapshot
        stones = [stone for stone in archive.tombstones() if stone.topic == EVENTS]
        assert snapshot is not None
        assert stones
        assert all(stone.next <= snapshot.low_water and stone.snapshot == snapshot.path for stone in stones)
        assert next(stone.commits for stone in stones if stone.type == "hms.Commit") is not None
        assert (archive.folder.root / snapshot.path).exists()
        await log.close()

    asyncio.run(main())


def test_beyond_the_disk_budget_the_oldest_files_go(tmp_path: Path) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        archiver, writer = await in_steps(log, tmp_path / "archive", 20)
        sizes = sum(file.bytes for file in writer.manifests.state.files.values() if file.topic != SCHEMAS)
        budget = sizes // 2
        await Upkeep(archiver, writer, policy=Policy(disk_max=str(budget), small_files=10_000)).run()
        archive = await Archive.open(tmp_path / "archive")
        left = [file for file in archive.files() if file.topic != SCHEMAS]
        stones = [stone for stone in archive.tombstones() if stone.why == "the archive was larger than its budget"]
        assert stones
        assert sum(file.bytes for file in left) <= budget
        assert max(stone.appended_us_max for stone in stones) <= max(file.appended_us_max for file in left)
        await log.close()

    asyncio.run(main())


# --- trimming -----------------------------------------------------------------------------------------------------


def test_the_log_is_trimmed_below_what_is_handled_checkpointed_and_archived_and_history_stays_whole(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        before = await everything(log)
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        water = await low_water(log, 0)
        kept: Kept = await Upkeep(archiver, writer, policy=Policy(log_kept="0s")).run()
        assert kept.trimmed > 0
        assert (await log.watermarks(EVENTS, 0)).start == min(water, writer.manifests.state.covered[EVENTS][1])
        assert [(await log.watermarks(lane, 0)).start for lane in LANES] != [0, 0, 0, 0]
        history = History(log, await Archive.open(tmp_path / "archive"))
        for place, records in before.items():
            _, end = await history.bounds(*place)
            found = [one async for some in history.records(*place, 0, end, headers=True) for one in some]
            assert found == records
        async with Node(log, [counters], name="after", history=history) as running:
            await running.wait_owning(1)  # the trimmed log still opens
        await log.close()

    asyncio.run(main())


def test_nothing_is_trimmed_by_default_nor_for_an_archive_that_lacks_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        assert (await Upkeep(archiver, writer, policy=Policy()).run()).trimmed == 0
        archive = await Archive.open(tmp_path / "archive")
        path = archive.path(archive.files(EVENTS)[0])
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ArchiveDamaged, match="nothing is trimmed"):
            await Upkeep(archiver, writer, policy=Policy(log_kept="0s")).run()
        assert (await log.watermarks(EVENTS, 0)).start == 0
        await log.close()

    asyncio.run(main())


def test_the_outbox_waits_for_the_archive_once_the_log_has_one(tmp_path: Path) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        assert await outbox_floor(log, 0) is None
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        assert await outbox_floor(log, 0) == 0
        await Upkeep(archiver, writer).run()
        assert await outbox_floor(log, 0) == (await log.watermarks(OUTBOX, 0)).stable
        await log.close()

    asyncio.run(main())


def test_a_file_younger_than_a_while_is_no_rubbish(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 5, partitions=1)
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        day = tmp_path / "archive" / Path(next(iter(writer.manifests.state.files))).parent
        young, old = day / "hms.events-0-1-2-young.parquet", day / "hms.events-0-1-2-old.parquet"
        for path in (young, old):
            path.write_bytes(b"")
        hours_ago = time.time() - 2 * 3_600
        os.utime(old, (hours_ago, hours_ago))
        await Upkeep(archiver, writer).run()
        assert (young.exists(), old.exists()) == (True, False)
        await log.close()

    asyncio.run(main())


def test_files_are_merged_only_as_far_as_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 60, partitions=1)
        archiver, writer = await in_steps(log, tmp_path / "archive", 10)
        added = [file for file in writer.manifests.state.files.values() if file.type == "counters.Added"]
        small = max(file.raw_bytes for file in added)
        monkeypatch.setattr(compaction, "RAW_BYTES_MAX", 3 * small)
        await Upkeep(archiver, writer, policy=Policy(small_files=2)).run()
        archive = await Archive.open(tmp_path / "archive")
        assert len([file for file in archive.files(type="counters.Added") if file.compacted]) > 1
        assert await archived(archive) == await everything(log)
        await log.close()

    asyncio.run(main())


def test_snapshots_are_taken_now_and_then_and_the_one_before_a_moment_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        await Upkeep(archiver, writer, policy=Policy(snapshot_every="never")).run()
        assert writer.manifests.state.snapshots == []
        await Upkeep(archiver, writer).run()
        await Upkeep(archiver, writer).run()
        await log.close()
        log = await checkpointed(tmp_path / "log.db")
        archiver, writer = await in_steps(log, tmp_path / "archive", 1_000)
        for _ in range(2):  # the second time nothing is new
            await Upkeep(archiver, writer, policy=Policy(snapshot_every="0s", grace="0s")).run()
        archive = await Archive.open(tmp_path / "archive")
        first, second = archive.state(0).snapshots
        assert first.sequence < second.sequence
        assert await snapshot_of(archive, 0, first.sequence - 1) is None
        for one in (first, second):
            found = await snapshot_of(archive, 0, one.sequence)
            assert found is not None
            assert found.sequence == one.sequence
        assert verify(archive, 0).findings == ()
        await log.close()

    asyncio.run(main())

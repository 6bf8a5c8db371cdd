"""Archiving beside a node's shards; and what the command line says and does."""

import asyncio
import json
import subprocess
from pathlib import Path
from random import Random

import pytest

from hms import connect
from hms.console.cli.archive_status import archive_item, shard_items
from hms.core.address import Address
from hms.core.clock import SystemClock
from hms.core.log import EVENTS, Log
from hms.core.log.open import open_log
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.node import Node
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.cold import ColdHistory
from hms.replay.archive.disk import Disk
from hms.replay.archive.duty import ArchiveDuty
from hms.replay.archive.folder import Folder
from hms.replay.archive.reader import Archive
from hms.replay.archive.trust import Trust

from ..command import HMS
from .archived import Add, archived, count, counters, everything, filled, make_log, run_archive


async def wait_archived(log: Log, root: Path) -> Archive:
    """Wait until everything that is in the log is in the archive."""
    async with asyncio.timeout(60):
        while True:
            if (root / "archive.json").exists():
                archive = await Archive.open(root)
                ends = {place: (await log.watermarks(*place)).stable for place in archive.positions()}
                if ends == archive.positions() and len(ends) > log.partitions * 6:
                    return archive
            await log.wait({(EVENTS, 0): (await log.watermarks(EVENTS, 0)).stable}, 20)


def duty(root: Path, log: Log, name: str, upkeep_every: int = 3) -> ArchiveDuty:
    return ArchiveDuty(str(root), log, name, interval_s=0.02, upkeep_every=upkeep_every)


def test_a_node_archives_its_shards_while_it_runs_and_another_goes_on_where_it_ended(tmp_path: Path) -> None:
    async def main() -> None:
        log = await make_log(tmp_path / "log.db")
        root = tmp_path / "archive"
        for name in ("one", "two"):
            duties = (duty(root, log, name),)
            async with Node(log, [counters], name=name, duties=duties) as node, connect(log, name=name) as client:
                await node.wait_owning(log.partitions)
                asked = [client.ask(Address[Add](f"counter/{n % 5}"), Add(amount=n)) for n in range(50)]
                await asyncio.gather(*asked)
                await wait_archived(log, root)
                assert node.statistics().failing_duties == ()
        archive = await Archive.open(root)
        found, there = await archived(archive), await everything(log)
        assert all(records == there[place][: len(records)] for place, records in found.items())
        assert {archive.state(shard).epoch for shard in range(log.partitions)} == {2}
        await log.close()

    asyncio.run(main())


def test_an_archive_that_cannot_be_written_stops_no_shard_and_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        log = await make_log(tmp_path / "log.db", 1)
        (tmp_path / "archive").write_text("no folder")
        duties = (duty(tmp_path / "archive", log, "one"),)
        async with Node(log, [counters], name="one", duties=duties) as node, connect(log, name="one") as client:
            await client.ask(Address[Add]("counter/1"), Add(amount=1))
            async with asyncio.timeout(60):
                while not node.statistics().failing_duties:
                    await client.ask(Address[Add]("counter/1"), Add(amount=1))
            assert "archive of shard 0: " in node.statistics().failing_duties[0]
        await log.close()

    asyncio.run(main())


def test_an_actor_whose_code_changed_is_folded_again_from_the_archive(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 30, partitions=1)
        before = (await everything(log))[EVENTS, 0]
        cold = ColdHistory(log, str(tmp_path / "archive"))
        found = [one async for some in cold.events(0, len(before)) for one in some]
        assert found == before  # there is no archive yet
        async with Node(log, [counters], name="two", duties=(duty(tmp_path / "archive", log, "two"),)):
            await wait_archived(log, tmp_path / "archive")
        await log.trim(EVENTS, 0, len(before) - 1)
        found = [one async for some in cold.events(0, len(before)) for one in some]
        assert [one.value for one in found] == [one.value for one in before]
        await log.close()

    asyncio.run(main())


def test_two_nodes_prove_to_each_other_that_they_see_one_folder_and_a_third_elsewhere_does_not(tmp_path: Path) -> None:
    async def main() -> None:
        broker = SimulatedBroker(1, clock=SystemClock(), random=Random(1), lease_ms=600_000)  # noqa: S311
        logs = {name: broker.connect(name) for name in ("one", "two", "three")}
        trusts = {
            name: Trust(log, Folder(tmp_path / ("elsewhere" if name == "three" else "shared")), "a", name, Disk())
            for name, log in logs.items()
        }
        await logs["one"].join("one")
        assert "only 1 node lives" in await trusts["one"].doubt()
        await logs["two"].join("two")
        assert "node two does not archive there" in await trusts["one"].doubt()
        assert "node one does not see what node two wrote there" in await trusts["two"].doubt()
        assert await trusts["one"].doubt() == ""
        assert await trusts["two"].doubt() == ""
        command = Trust(logs["one"], Folder(tmp_path / "shared"), "a", "archive-here-1", Disk())
        assert "several nodes share this log: they trim it" in await command.doubt()
        await logs["three"].join("three")
        assert "node three does not archive there" in await trusts["one"].doubt()
        assert "does not see what node" in await trusts["three"].doubt()
        assert "node one does not see what node three wrote there" in await trusts["one"].doubt()

    asyncio.run(main())


def test_the_age_of_an_archive_is_that_of_the_shard_that_waits(tmp_path: Path) -> None:
    """One shard's owner cannot write; the others' manifests are as new as ever."""

    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        first_us = archive.state(0).written_us
        await count(log, 10)
        await (await Archiver.open(str(tmp_path / "archive"), log, owner="test")).run([1])
        await archive.refresh()
        items = await shard_items(log, archive)
        assert items[0]["lag"] > 0 == items[1]["lag"]
        assert archive_item(archive, items, first_us + 7_000_000)["age_s"] == 7.0
        (archive.folder.manifests(0)).rename(tmp_path / "away")
        never = await Archive.open(tmp_path / "archive")
        made_us = never.identity.made_us
        assert archive_item(never, await shard_items(log, never), made_us + 9_000_000)["age_s"] == 9.0
        await log.close()

    asyncio.run(main())


# --- the command line ---------------------------------------------------------------------------------------------


def hms(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HMS, *arguments], capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture
def log_file(tmp_path: Path) -> str:
    async def main() -> None:
        await (await filled(tmp_path / "log.db", 30)).close()

    asyncio.run(main())
    return f"sqlite:{tmp_path / 'log.db'}"


@pytest.mark.timeout(400)
def test_the_commands_archive_show_verify_merge_and_restore(log_file: str, tmp_path: Path) -> None:
    log = ("--log", log_file)
    refused = hms("archive", "run", *log)
    assert refused.returncode == 1
    assert "has no archive yet" in refused.stderr
    ran = hms("archive", "run", *log, "--archive", str(tmp_path / "archive"), "--workers", "2", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    records = sum(one["records"] for one in json.loads(ran.stdout))
    status = json.loads(hms("archive", "status", *log, "-o", "json").stdout)
    assert (sum(one["records"] for one in status["shards"]), status["lag"]) == (records, 0)
    doctor = hms("doctor", *log, "-o", "json")
    assert {"archive", "archive disk"} <= {one["name"] for one in json.loads(doctor.stdout)}
    compacted = hms("archive", "compact", *log, "--keep", "counters.Add=0s", "-o", "json")
    assert sum(one["expired"] for one in json.loads(compacted.stdout)) > 0
    assert "nothing of that type" not in compacted.stderr
    mistyped = hms("archive", "compact", *log, "--keep", "counters.Ad=0s")
    assert "counters.Ad: nothing of that type is archived" in mistyped.stderr
    assert hms("archive", "compact", *log, "--keep", "counters.Add").returncode != 0
    assert hms("archive", "verify", *log).returncode == 0
    victim = next((tmp_path / "archive" / "data").glob("type=hms.Commit/*/*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])
    damaged = hms("archive", "verify", "--archive", str(tmp_path / "archive"))
    assert damaged.returncode == 1
    assert "it was changed" in damaged.stderr
    assert hms("archive", "restore", str(tmp_path / "again.db"), "--archive", str(tmp_path / "archive")).returncode == 1


def test_a_restored_log_is_named_with_what_was_left_out(log_file: str, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    assert hms("archive", "run", "--log", log_file, "--archive", archive).returncode == 0
    assert hms("archive", "restore", str(tmp_path / "new" / "again.db")).returncode != 0
    restored = hms("archive", "restore", str(tmp_path / "new" / "again.db"), "--archive", archive, "-o", "json")
    assert restored.returncode == 0, restored.stderr
    found = json.loads(restored.stdout)
    assert (found["left_out"], found["goes_on"]) == (0, True)

    async def main() -> None:
        log, again = await open_log(log_file), await open_log(found["log"])
        assert await everything(log) == await everything(again)
        await count(again, 3)
        await log.close()
        await again.close()

    asyncio.run(main())

"""Audits of a log whose head is in its archive, or deleted by policy."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hms import connect
from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.log import EVENTS, Log
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.errors import HistoryGap, RangeExpired
from hms.replay.archive.policy import Policy
from hms.replay.archive.reader import Archive
from hms.replay.archive.snapshot import low_water
from hms.replay.archive.upkeep import Upkeep
from hms.replay.audit.export import export
from hms.replay.audit.identity import log_id
from hms.replay.audit.keys import KeyFolder, Signer
from hms.replay.audit.reading import Reader
from hms.replay.audit.signing import sign_all
from hms.replay.audit.trust import Trust
from hms.replay.audit.verify import Anchors, Result, verify
from hms.replay.history import History

from .archived import Add, counters, filled, run_archive
from .test_archive_upkeep import checkpointed

NOW_US = 4_000_000_000_000_000


async def signed(log: Log, signer: Signer) -> None:
    """Sign a log of one shard, and let the checkpoint become an event below the low-water mark."""
    await sign_all(log, History(log), [signer])
    await checkpoint(log, (await log.watermarks(EVENTS, 0)).stable + 1)


async def checkpoint(log: Log, end: int) -> None:
    """Let a node run until the low-water mark is behind a position."""
    async with Node(log, [hms_app, counters], name="signed", options=ShardOptions(idle_ms=10)) as node:
        await node.wait_owning(1)
        async with asyncio.timeout(60):
            while await low_water(log, 0) <= end:
                await log.wait({(EVENTS, 0): (await log.watermarks(EVENTS, 0)).stable}, 20)


async def expired(log: Log, root: Path) -> History:
    """Archive a log, and delete its first commits and events, but the checkpoints, from both."""
    archiver = await Archiver.open(str(root), log, owner="test")
    writer = archiver.writer(0, 9, records_max=50)
    await archiver.catch_up(writer)
    policy = Policy(keep={"hms.Commit": "0s", "counters.Added": "0s"}, log_kept="0s")
    kept = await Upkeep(archiver, writer, policy=policy).run()
    assert kept.expired > 0
    assert kept.trimmed > 0
    return History(log, await Archive.open(root))


async def judged(history: History, signer: Signer, since_us: int | None = None) -> Result:
    assert history.log is not None
    name = str(await log_id(history.log))
    return await verify(history, name, Anchors(Trust((signer.public,))), Reader(history), since_us=since_us)


def test_behind_what_was_deleted_by_policy_history_is_still_verified_and_signed(tmp_path: Path) -> None:
    (one,) = KeyFolder(tmp_path / "one", "one").signers()
    (two,) = KeyFolder(tmp_path / "two", "two").signers()

    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        await signed(log, one)
        history = await expired(log, tmp_path / "archive")
        with pytest.raises(RangeExpired, match=r"deleted by policy"):
            await judged(history, one)
        result = await judged(history, one, NOW_US)
        assert (result.findings, result.anchors, result.shards[0].first > 0) == ([], ["trusted keys"], True)
        assert len(await sign_all(log, history, [one])) == 1
        assert len(await sign_all(log, history, [two])) == 1  # a new host, who has to believe the one before
        await log.close()

    asyncio.run(main())


async def trail(history: History, since_us: int = 0) -> list[dict[str, Any]]:
    return [item async for item in export(history, since_us=since_us)]


def test_the_trail_says_what_commits_know_of_messages_that_were_deleted_by_policy(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 20)
        before = await trail(History(log))
        await run_archive(tmp_path / "archive", log)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        for shard in range(log.partitions):
            policy = Policy(keep={"counters.Add": "0s"}, log_kept="0s")
            await Upkeep(archiver, archiver.writer(shard, 9), policy=policy).run()
        after = await trail(History(log, await Archive.open(tmp_path / "archive")))
        assert [item["what"] for item in before] == ["counters.Add"] * 20
        assert [_without_message(item) for item in before] == [_without_message(item) for item in after] != []
        assert all(item["what"] is None and item["events"] for item in after)
        await log.close()

    asyncio.run(main())


def _without_message(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "what": None, "where": {**item["where"], "actor": None}}


def test_the_trail_begins_behind_commits_that_were_deleted_by_policy_or_names_them(tmp_path: Path) -> None:
    (one,) = KeyFolder(tmp_path / "one", "one").signers()

    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        await signed(log, one)
        history = await expired(log, tmp_path / "archive")
        with pytest.raises(RangeExpired, match="deleted by policy"):
            await trail(history)
        assert await trail(history, NOW_US) == []
        await log.close()

    asyncio.run(main())


def test_events_that_nobody_has_signed_yet_do_not_expire(tmp_path: Path) -> None:
    (one,) = KeyFolder(tmp_path / "one", "one").signers()

    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        await signed(log, one)
        async with Node(log, [hms_app, counters], name="more"), connect(log, name="more") as client:
            await asyncio.gather(*(client.ask(Address[Add](f"counter/{n}"), Add(amount=n)) for n in range(30)))
        await checkpoint(log, (await log.watermarks(EVENTS, 0)).stable)
        history = await expired(log, tmp_path / "archive")
        result = await judged(history, one, NOW_US)
        assert (result.findings, result.shards[0].first > 0) == ([], True)
        assert len(await sign_all(log, history, [one])) == 1
        await log.close()

    asyncio.run(main())


def test_a_head_that_is_in_an_archive_that_is_not_seen_is_a_gap_and_no_forgery(tmp_path: Path) -> None:
    (one,) = KeyFolder(tmp_path / "one", "one").signers()

    async def main() -> None:
        log = await checkpointed(tmp_path / "log.db")
        await signed(log, one)
        archiver = await Archiver.open(str(tmp_path / "archive"), log, owner="test")
        writer = archiver.writer(0, 9)
        await archiver.catch_up(writer)
        assert (await Upkeep(archiver, writer, policy=Policy(log_kept="0s")).run()).trimmed > 0
        with pytest.raises(HistoryGap, match="there is no archive to look into"):
            await judged(History(log), one)
        assert (await judged(History(log, await Archive.open(tmp_path / "archive")), one)).findings == []
        await log.close()

    asyncio.run(main())

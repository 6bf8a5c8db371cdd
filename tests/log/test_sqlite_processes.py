"""Several processes on one embedded log: at once, killed, stopped, woken up, out of space."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hms.core.errors import LogUnreachable
from hms.core.log import CHECKPOINTS, EVENTS, NORMAL, OUTBOX, Draft, Stored
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.times import Times

CHILD = str(Path(__file__).parent / "sqlite_child.py")
PATIENT = Times(heartbeat_ms=50, lease_ms=4_000)
"""A lease that no slow disk outlasts."""


@contextmanager
def child(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start one; kill it in the end."""
    command = [sys.executable, CHILD, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def everything(log: SqliteLog, topic: str, partition: int) -> list[Stored]:
    records: list[Stored] = []
    end = (await log.watermarks(topic, partition)).high
    while not records or records[-1].offset + 1 < end:
        found = await log.read(topic, partition, records[-1].offset + 1 if records else 0)
        if not found.records:
            break
        records += found.records
    return records


def test_processes_that_open_and_close_the_log_again_and_again_never_find_it_locked(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with child("reopen", path, 60) as one, child("reopen", path, 60) as two, child("reopen", path, 60) as three:
        assert [process.wait(100) for process in (one, two, three)] == [0, 0, 0]


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def look() -> list[Stored]:
        log = await SqliteLog.open(path)
        records = await everything(log, NORMAL, 0)
        await log.close()
        return records

    with child("append", path, 200) as one, child("append", path, 200) as two:
        assert (one.wait(100), two.wait(100)) == (0, 0)
    records = asyncio.run(look())
    assert [record.offset for record in records] == list(range(400))
    for key in {record.key for record in records}:
        mine = [int(record.value or b"") for record in records if record.key == key]
        assert mine == list(range(200))


def test_a_process_killed_in_a_commit_loses_whole_unacknowledged_transactions_only(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    choice = random.Random(3)  # noqa: S311 a moment to kill at
    for _ in range(12):
        with child("commit", path, 1) as process:
            acknowledged = int(heard(process))
            deadline = time.monotonic() + choice.uniform(0, 0.03)
            while time.monotonic() < deadline:
                acknowledged = int(heard(process))
            process.kill()
            assert process.stdout is not None
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split("\n")[:-1])])
        _check_whole(path, acknowledged)


def _check_whole(path: Path, acknowledged: int) -> None:
    async def look() -> None:
        log = await SqliteLog.open(path)
        events, outbox, checkpoints = [
            [int(record.value or b"") for record in await everything(log, topic, partition)]
            for topic, partition in ((EVENTS, 1), (OUTBOX, 0), (CHECKPOINTS, 1))
        ]
        assert events == outbox == checkpoints == list(range(len(events)))
        assert len(events) > acknowledged
        await log.close()

    asyncio.run(look())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_process_stopped_inside_a_transaction_makes_the_log_unreachable_within_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        log = await SqliteLog.open(path, times=Times(deadline_ms=300))
        writer = await log.open_writer(0, "me")
        await writer.commit([Draft(EVENTS, 0, b"key", b"before")])
        with child("hold", path) as process:
            assert await asyncio.to_thread(heard, process) == "locked"
            started = time.monotonic()
            with pytest.raises(LogUnreachable, match="locked for over"):
                await writer.commit([Draft(EVENTS, 0, b"key", b"refused")])
            assert 0.25 < time.monotonic() - started < 8  # and not the 10 s of most logs
            assert [record.value for record in (await log.read(EVENTS, 0, 0)).records] == [b"before"]
            process.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(heard, process) == "released"
            writer = await log.open_writer(0, "me")
            await writer.commit([Draft(EVENTS, 0, b"key", b"after")])
        assert [record.value for record in (await log.read(EVENTS, 0, 0)).records] == [b"before", b"after"]
        await log.close()

    asyncio.run(main())


def test_a_stopped_node_is_replaced_and_writes_nothing_when_it_wakes_up(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        log = await SqliteLog.open(path, times=PATIENT)
        with child("pausable", path, 4) as process:
            assert await asyncio.to_thread(heard, process) == "ready"
            process.send_signal(signal.SIGSTOP)
            member = await log.join("me")
            assignment = await member.assignment()
            async with asyncio.timeout(20):
                while len(assignment.shards) < log.partitions:
                    assignment = await member.wait_changed(assignment.generation, 1_000)
            assert {info.node: info.alive for info in await log.nodes()} == {"child": False, "me": True}
            writer = await log.open_writer(4, "me")
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert await asyncio.to_thread(heard, process) == "WriterFenced"
        await writer.commit([Draft(EVENTS, 4, b"key", b"mine")])
        assert [record.value for record in (await log.read(EVENTS, 4, 0)).records] == [b"mine"]
        await log.close()

    asyncio.run(main())


def test_a_busy_event_loop_does_not_lose_its_lease(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        log = await SqliteLog.open(path, times=PATIENT)
        await log.join("busy")
        other = await SqliteLog.open(path, times=PATIENT)
        busy_until = time.monotonic() + 1.5 * PATIENT.lease_ms / 1000
        while time.monotonic() < busy_until:
            pass
        assert [info.alive for info in await other.nodes()] == [True]
        await log.close()
        await other.close()

    asyncio.run(main())


def test_a_limit_on_the_size_of_files_stops_writing_until_it_is_lifted(tmp_path: Path) -> None:
    with child("limited", tmp_path / "log.db") as process:
        said = process.communicate(timeout=60)[0].splitlines()
    assert said == ["disk I/O error"] * 3 + ["[6, 5]"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounting a small file system needs root")
def test_a_full_disk_stops_writing_until_there_is_room_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode:
        pytest.skip("no right to mount a small file system here")  # as in many containers; CI has it
    try:
        asyncio.run(_fill(disk))
    finally:
        subprocess.run(["umount", disk], check=True)


async def _fill(disk: Path) -> None:
    log = await SqliteLog.open(disk / "log.db")
    writer = await log.open_writer(0, "me")
    await writer.commit([Draft(EVENTS, 0, b"key", b"before")])
    room = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(bytes(room - 16_384))
    large = Draft(EVENTS, 0, b"key", bytes(100_000))
    with pytest.raises(LogUnreachable, match="full"):
        await writer.commit([large])
    with pytest.raises(LogUnreachable, match="full"):
        await log.append([large])
    assert [record.value for record in (await log.read(EVENTS, 0, 0)).records] == [b"before"]
    (disk / "ballast").unlink()
    writer = await log.open_writer(0, "me")
    assert await writer.commit([large]) == [1]
    await log.close()

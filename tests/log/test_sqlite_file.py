"""The file of an embedded log: made private, refused when it is not ours, bounded beside constant writing."""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from hms.core.errors import LogUnreachable, ValidationFailed
from hms.core.log import CHECKPOINTS, EVENTS, NORMAL, Draft, open_log
from hms.core.log.port import DEFAULT_PARTITIONS
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.file import PATH_BYTES_MAX, SCHEMA_VERSION, WAL_BYTES, _check_version, connect, open_file


def opened(path: Path, partitions: int | None = None) -> int:
    async def main() -> int:
        log = await SqliteLog.open(path, partitions=partitions)
        await log.close()
        return log.partitions

    return asyncio.run(main())


def test_the_file_and_its_folder_are_made_for_the_user_alone(tmp_path: Path) -> None:
    async def main() -> None:
        log = await open_log(f"sqlite:{tmp_path}/new/folder/log.db")
        await log.append([Draft(NORMAL, 0, b"key", b"value")])
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new" / "folder").iterdir()}
        files = dict.fromkeys(("log.db", "log.db-wal", "log.db-shm"), 0o600)
        assert modes == {**files, "log.db-bells": 0o700}
        await log.close()

    asyncio.run(main())
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o077 == 0


def test_what_was_written_is_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    async def main(value: bytes) -> list[bytes | None]:
        log = await SqliteLog.open(tmp_path / "log.db")
        await (await log.open_writer(0, "me")).commit([Draft(EVENTS, 0, b"key", value)])
        found = await log.read(EVENTS, 0, 0)
        await log.close()
        return [record.value for record in found.records]

    assert asyncio.run(main(b"1")) == [b"1"]
    assert asyncio.run(main(b"2")) == [b"1", b"2"]


def test_the_partition_count_is_recorded_and_another_is_refused(tmp_path: Path) -> None:
    assert opened(tmp_path / "log.db", 4) == 4
    assert opened(tmp_path / "log.db") == 4
    with pytest.raises(ValidationFailed, match="has 4 partitions, not 16; the count cannot change: use a new log"):
        opened(tmp_path / "log.db", 16)
    with pytest.raises(ValidationFailed, match="expected 1 to 4096 partitions, got 0"):
        opened(tmp_path / "none.db", 0)


def test_the_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "log.db")
    connection = connect(tmp_path / "log.db")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(ValidationFailed, match="is of version 2, this HMS knows 1: use the newer HMS"):
        opened(tmp_path / "log.db")


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, not a database\n" * 50)
    with pytest.raises(ValidationFailed, match="not an SQLite file"):
        opened(tmp_path / "notes.txt")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(ValidationFailed, match="a database of something else"):
        opened(tmp_path / "other.db")
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_path_that_cannot_be_opened_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "log.db"):
        with pytest.raises(LogUnreachable, match="cannot open the log"):
            opened(path)


def test_a_path_longer_than_sqlite_takes_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200) / ("y" * 200) / ("z" * 200)
    with pytest.raises(LogUnreachable, match=r"at most 504 bytes .* got \d+; name a shorter one"):
        opened(path)
    assert list(tmp_path.iterdir()) == []
    whole = tmp_path / ("x" * 200)
    longest = whole / ("y" * 150) / ("z" * (PATH_BYTES_MAX - len(str(whole)) - 152))
    assert len(str(longest)) == PATH_BYTES_MAX
    assert opened(longest) == DEFAULT_PARTITIONS


AS_NOBODY = """
import asyncio, os, sys
from pathlib import Path
from hms.core.errors import LogUnreachable
from hms.core.log.sqlite.file import open_file
if os.geteuid() == 0:
    os.setuid(65534)  # root may do everything
try:
    open_file(Path(sys.argv[1]), None, 0)
except LogUnreachable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "says"),
    [
        (0o555, 0o444, "may not read and write it; let it"),
        (0o555, 0o000, "may not read and write it; let it"),
        (0o555, 0o666, "may not write its folder; let it"),
        (0o555, None, "Permission denied; let it"),
    ],
)
def test_a_log_that_this_user_may_not_write_says_so_and_what_to_do(
    folder_mode: int, file_mode: int | None, says: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        path = state / "log.db"
        opened(path)
        for file in state.glob("log.db-*"):
            file.rmdir() if file.is_dir() else file.unlink()
        path.unlink() if file_mode is None else path.chmod(file_mode)
        Path(folder).chmod(0o755)
        state.chmod(folder_mode)
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, check=True, timeout=90
        )
        state.chmod(0o700)
    assert ran.stdout.startswith(f"cannot open the log {path}: ")
    assert says in ran.stdout
    assert "name another log (--log, HMS_LOG)" in ran.stdout


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka:localhost", "is not the URL of a log on Kafka"),
        ("redis:x", "is not the URL of a log; expected sqlite:PATH"),
        ("sqlite:", "expected sqlite:PATH"),
        ("simulated:x", "expected sqlite:PATH"),
        ("log.db", "expected sqlite:PATH"),
    ],
)
def test_another_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValidationFailed, match=says):
        asyncio.run(open_log(url))


def test_the_write_ahead_log_stays_bounded_under_constant_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> int:
        log = await SqliteLog.open(path)
        writer = await log.open_writer(0, "me")
        drafts = [Draft(EVENTS, 0, b"key", bytes(10_000)) for _ in range(20)]
        largest = 0
        for _ in range(700):
            await writer.commit(drafts)
            size = path.with_name("log.db-wal").stat().st_size
            largest = max(largest, size)
            if size > 3 * WAL_BYTES and (copying := log._worker._checkpointer._thread):
                await asyncio.to_thread(copying.join)  # a disk so slow is not waited for by who writes
        await log.close()
        return largest

    assert WAL_BYTES < asyncio.run(main()) < 5 * WAL_BYTES  # of 140 MB written


def test_compaction_deletes_overwritten_records_and_old_tombstones_from_the_file(tmp_path: Path) -> None:
    async def main() -> list[tuple[bytes, bytes | None]]:
        log = await SqliteLog.open(tmp_path / "log.db")
        await log.append([Draft(CHECKPOINTS, 0, key, value) for key in (b"a", b"b") for value in (b"1", b"2", None)])
        await log.append([Draft(CHECKPOINTS, 0, b"a", b"3"), Draft(CHECKPOINTS, 0, b"c", None)])
        await log.compact(CHECKPOINTS, 0, 7)
        found = await log.read(CHECKPOINTS, 0, 0)
        await log.close()
        return [(record.key, record.value) for record in found.records]

    assert asyncio.run(main()) == [(b"a", b"3"), (b"c", None)]


def test_a_log_that_another_process_makes_meanwhile_is_not_taken_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch(mode=0o600)
    connection = connect(path)

    def made_meanwhile(statement: str) -> None:
        if "user_version" in statement:
            connection.set_trace_callback(None)
            with suppress(LogUnreachable):  # or it has to wait
                open_file(path, 2, 0)[2].close()

    connection.set_trace_callback(made_meanwhile)
    _check_version(path, connection)
    connection.close()

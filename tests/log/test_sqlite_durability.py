"""Acknowledged means on the disk: a shim drops all that was written and not synced, as a power cut may.

A SIGKILL proves nothing here, because the page cache survives it. The shim is C, compiled by the test.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hms.core.log import CHECKPOINTS, EVENTS, OUTBOX
from hms.core.log.sqlite import SqliteLog

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="the shim that drops unsynced writes needs Linux and gcc"
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "power_loss.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "power_loss.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


def environment(shim: Path, folder: Path) -> dict[str, str]:
    (folder / "disk").mkdir()
    names = {
        "LD_PRELOAD": shim,
        "HMS_SHIM_FROM": folder / "live",
        "HMS_SHIM_TO": folder / "disk",
        "HMS_SHIM_FAIL": folder / "fail",
    }
    return {**os.environ, **{name: str(value) for name, value in names.items()}}


def acknowledged_before_a_power_cut(what: str, shim: Path, folder: Path, commits: int) -> list[int]:
    """Run the child until so many commits were answered, then cut the power."""
    command = [sys.executable, str(HERE / "sqlite_child.py"), what, str(folder / "live" / "log.db"), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(shim, folder)) as process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(commits)]
        process.kill()
    return answered


def left_on_disk(folder: Path) -> list[list[int]]:
    async def look() -> list[list[int]]:
        log = await SqliteLog.open(folder / "disk" / "log.db")
        found = [await log.read(topic, partition, 0, records_max=10_000) for topic, partition in places]
        await log.close()
        return [[int(record.value or b"") for record in part.records] for part in found]

    places = ((EVENTS, 1), (OUTBOX, 0), (CHECKPOINTS, 1))
    return asyncio.run(look())


def test_what_was_acknowledged_survives_a_power_cut(shim: Path, tmp_path: Path) -> None:
    answered = acknowledged_before_a_power_cut("commit", shim, tmp_path, 150)
    events, outbox, checkpoints = left_on_disk(tmp_path)
    assert events == outbox == checkpoints == list(range(len(events)))
    assert len(events) > answered[-1]


def test_the_test_sees_it_when_commits_do_not_wait_for_the_disk(shim: Path, tmp_path: Path) -> None:
    answered = acknowledged_before_a_power_cut("relaxed", shim, tmp_path, 50)
    assert len(left_on_disk(tmp_path)[0]) <= answered[-1]


def test_a_failed_sync_is_an_unknown_outcome_and_opening_the_shard_settles_it(shim: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(HERE / "sqlite_child.py"),
        "unknown",
        str(tmp_path / "live" / "log.db"),
        str(tmp_path / "fail"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(shim, tmp_path), timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["CommitUnknown", "AppendUnknown", "[b'before', b'after']"]

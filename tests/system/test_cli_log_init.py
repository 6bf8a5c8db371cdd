"""`hms log init` on the embedded log: the file is made, and said; what only Kafka has is refused."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ..command import HMS


def init(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = [*HMS, "log", "init", *words]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )


def test_the_file_is_planned_made_and_then_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.db"
    planned = init(tmp_path, "--log", f"sqlite:{path}", "--plan")
    assert (planned.returncode, path.exists()) == (0, False)
    assert f"would be made: {path}, 16 partitions" in planned.stderr
    made = init(tmp_path, "--log", f"sqlite:{path}", "-o", "json")
    assert (made.returncode, path.exists()) == (0, True)
    assert json.loads(made.stdout) == {
        "url": f"sqlite:{path}",
        "made": True,
        "partitions": 16,
        "topics": [],
        "deviations": [],
        "acls": {},
    }
    again = init(tmp_path, "--log", f"sqlite:{path}")
    assert f"there already: {path}, 16 partitions" in again.stderr
    assert "made        no" in again.stdout


def test_the_default_log_can_have_another_number_of_partitions_once(tmp_path: Path) -> None:
    assert init(tmp_path, "--partitions", "3").returncode == 0
    assert (tmp_path / "hms" / "log.db").exists()
    other = init(tmp_path, "--partitions", "4")
    assert (other.returncode, other.stdout) == (1, "")
    assert "3" in other.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replication", "3"], "--replication and --acls are for logs on Kafka"),
        (["--acls"], "--replication and --acls are for logs on Kafka"),
        (["--log", "simulated:"], "is gone when its process ends"),
        (["--log", "kafka:nowhere"], "expected kafka://HOST:PORT"),
    ],
)
def test_what_a_log_cannot_have_is_refused_and_nothing_is_made(tmp_path: Path, words: list[str], said: str) -> None:
    done = init(tmp_path, *words)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []

"""`hms demo`: every incident ends as declared, in time, and nothing is left behind."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ..command import HMS

INCIDENTS = 6


def run(temporary: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TMPDIR": str(temporary), "XDG_STATE_HOME": str(temporary / "unused")}
    return subprocess.run(
        [*HMS, *words], env=environment, cwd=temporary, capture_output=True, text=True, timeout=90, check=False
    )


def left_of(temporary: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(temporary) in word for word in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_every_incident_of_the_demo_ends_as_declared_and_the_log_equals_the_operating_system(tmp_path: Path) -> None:
    begun = time.monotonic()
    ended = run(tmp_path, "demo", "--keep", "--seed", "7")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert time.monotonic() - begun < 45
    assert f"{INCIDENTS} of {INCIDENTS} incidents as declared, 4 of 4 components as the log says" in ended.stdout
    assert "(!)" not in ended.stdout
    assert "DIFFERENT" not in ended.stdout
    assert "hms up ended with 10, expected 10" in ended.stdout
    assert not left_of(tmp_path)
    kept = re.search(r"export HMS_LOG=(sqlite:\S+)", ended.stdout)
    assert kept is not None
    counted = run(tmp_path, "event", "count", "--type", "ComponentGivenUp", "--log", kept[1])
    assert counted.returncode == 0, counted.stderr
    assert not (tmp_path / "unused").exists()


def test_a_demo_without_keep_leaves_nothing_when_it_is_interrupted(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([*HMS, "demo"], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "started: pid" in line:
            break
    demo.send_signal(2)
    demo.communicate(timeout=30)
    assert demo.returncode != 0
    assert not left_of(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["web_service", "worker", "leaking_queue", "flapping_cache", "port_thief"])
def test_the_parts_of_the_demo_need_the_standard_library_only(part: str) -> None:
    source = Path(__file__).parents[2] / "console" / "demo" / "parts" / f"{part}.py"
    imported = re.findall(r"^(?:import|from) (\w+)", source.read_text(), re.MULTILINE)
    assert imported
    assert set(imported) <= sys.stdlib_module_names

"""`hms node --workers N`: processes that share the shards, started anew when they are killed, gone when nobody leads them."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from run_docs import wait_until

from ..command import HMS
from .counting import COUNTING

PATIENCE_S = 60.0


def until(true: Callable[[], bool], what: str) -> None:
    assert wait_until(true, PATIENCE_S), f"waited in vain for: {what}"


class Crew:
    """One `hms node --workers 2`, and what it says."""

    def __init__(self, folder: Path, *, app: str = "counting:app", log: str = "sqlite:log.db") -> None:
        (folder / "counting.py").write_text(COUNTING)
        self._out = folder / "out.jsonl"
        self._errors = folder / "errors.txt"
        command = [*HMS, "node", "--log", log, "-o", "jsonl", "--app", app, "--name", "crew", "--workers", "2"]
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=errors)

    def owned(self) -> dict[str, int]:
        """How many shards each worker said last that it has."""
        lines = [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return {line["node"]: len(line["shards"]) for line in lines}

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def wait_shared(self) -> None:
        until(lambda: sorted(self.owned().items()) == [("crew.1", 8), ("crew.2", 8)], f"8 shards each: {self.said()}")

    def said(self) -> str:
        return self._errors.read_text()


@contextmanager
def crew(folder: Path) -> Iterator[Crew]:
    found = Crew(folder)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.terminate()
            assert found.process.wait(PATIENCE_S) == 0, found.said()


def test_workers_share_the_shards_and_drain_together_on_term(tmp_path: Path) -> None:
    with crew(tmp_path) as one:
        one.wait_shared()
        workers = one.workers()
        one.process.terminate()
        assert one.process.wait(PATIENCE_S) == 0
        assert not any(worker.is_running() for worker in workers)
    assert one.said().count("drains") == 2


def test_a_worker_that_is_killed_is_started_anew(tmp_path: Path) -> None:
    with crew(tmp_path) as one:
        one.wait_shared()
        before = {worker.pid for worker in one.workers()}
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        until(lambda: "was killed by SIGKILL; starting it anew in 0.5 s" in one.said(), "the word of its end")
        until(lambda: len({worker.pid for worker in one.workers()} - before) == 1, "its successor")
        one.wait_shared()


def test_workers_end_when_the_process_in_front_of_them_is_killed(tmp_path: Path) -> None:
    one = Crew(tmp_path)
    one.wait_shared()
    workers = one.workers()
    one.process.kill()
    one.process.wait()
    gone, alive = psutil.wait_procs(workers, PATIENCE_S)
    assert (len(gone), alive) == (2, [])


def test_a_worker_that_is_killed_again_and_again_gives_the_node_up(tmp_path: Path) -> None:
    one = Crew(tmp_path)
    killed: set[int] = set()

    def killing() -> bool:
        if one.process.poll() is not None:
            return True
        for worker in one.workers():
            if worker.pid not in killed:
                killed.add(worker.pid)
                with suppress(psutil.NoSuchProcess):  # ended, as the node is given up
                    worker.kill()
        return False

    until(killing, "the end")
    assert one.process.returncode == 1
    assert "the 6th within 60 s: giving up" in one.said()


def test_a_mistake_is_told_once_and_ends_the_node_with_its_code(tmp_path: Path) -> None:
    one = Crew(tmp_path, app="counting:nothing")
    assert one.process.wait(PATIENCE_S) == 2
    assert one.said().count("counting:nothing") == 1


def test_a_log_that_nobody_can_reach_ends_the_node_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    one = Crew(tmp_path, log="sqlite:folder.db")
    assert one.process.wait(PATIENCE_S) == 5

"""A process of `member_child.py`, told what to do and heard by lines."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from hms.core.log.kafka.oracle import Times

from .handles import PATIENT

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


class Child:
    """A node in a process of its own; use it in a `with`: it leaves none behind."""

    def __init__(self, url: str, name: str, times: Times = PATIENT) -> None:
        command = [sys.executable, "-m", "tests.kafka.member_child", url, name, str(times.session_ms)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._came = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ask(self, line: str) -> str:
        seen = self._answers()
        self.tell(line)
        self._until(lambda: len(self._answers()) > len(seen))
        return self._answers()[-1].removeprefix("answer ")

    def ask_until(self, line: str, answer: str) -> None:
        """Ask until the answer is that: a generation may end while it is asked for."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.ask(line)) != answer:
            assert time.monotonic() < deadline, found

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def wait_shards(self, holds: Callable[[set[int]], bool]) -> set[int]:
        self._until(lambda: any(line.startswith("now") for line in self._lines) and holds(self.shards))
        return self.shards

    @property
    def shards(self) -> set[int]:
        newest = [line for line in self._lines if line.startswith("now")][-1]
        return set(json.loads(f"[{newest.split(' ')[2]}]"))

    def _answers(self) -> list[str]:
        return [line for line in self._lines if line.startswith("answer")]

    def _until(self, condition: Callable[[], bool]) -> None:
        with self._came:
            assert self._came.wait_for(condition, PATIENCE_S), self._lines

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._came:
                    self._lines.append(line.rstrip("\n"))
                    self._came.notify_all()

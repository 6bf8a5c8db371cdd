"""`hms node` as an operator runs it: in a process of its own, told to end by TERM."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from session import HERE, Unavailable

DRAIN_S = 60


class HmsNode:
    """Runs the counters of `counter.py` from when it is made until `drain`."""

    def __init__(self, url: str, name: str) -> None:
        hms = Path(sys.executable).with_name("hms")
        if not hms.exists():
            raise Unavailable(f"there is no hms command beside {hms.parent.name}/python")
        command = [str(hms), "node", "--app", "counter:app", "--name", name, "--log", url]
        self.name = name
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(HERE)}
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.drain()

    def drain(self) -> None:
        """TERM, and wait for its end."""
        self._process.terminate()
        try:
            self._process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise TimeoutError(f"node {self.name} did not drain within {DRAIN_S} s of TERM") from None

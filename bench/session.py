"""One run of the bench: where its files are, how often it measures, and the fresh process of each measurement."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Measured = dict[str, Any]


@dataclass
class Session:
    """`scale` is 1, or a tenth for `--quick`; `loads` collects the load average beside each measurement."""

    folder: Path
    runs: int
    scale: float
    loads: list[float] = field(default_factory=list)
    _built: dict[str, Path] = field(default_factory=dict)

    def scaled(self, count: int) -> int:
        return max(1, int(count * self.scale))

    def measure(self, function: Callable[..., Any], **arguments: Any) -> Measured:
        """Run a function of a bench module in a fresh process and return the dict that it returns."""
        self.loads.append(os.getloadavg()[0])
        answer: Measured = json.loads(self._spawn(function, arguments, "--measure"))
        return answer

    def profile(self, function: Callable[..., Any], **arguments: Any) -> str:
        """Run it once more with a sampling profiler and return the top as text."""
        return str(json.loads(self._spawn(function, arguments, "--profile")))

    def repeat(self, *measures: Callable[[], Measured]) -> list[list[Measured]]:
        """Take turns: A B A B, so that a disturbance hits all; return the results by measure."""
        results: list[list[Measured]] = [[] for _ in measures]
        for _ in range(self.runs):
            for measure, collected in zip(measures, results, strict=True):
                collected.append(measure())
        return results

    def path(self, name: str) -> str:
        """A path for a new file; an old one of that name is removed."""
        path = self.folder / name
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return str(path)

    def built(self, name: str, build: Callable[..., Any], **arguments: Any) -> Path:
        """A log that is built once a session, in a process of its own."""
        if name not in self._built:
            path = self.path(name)
            self.measure(build, path=path, **arguments)
            self._built[name] = Path(path)
        return self._built[name]

    def copy(self, built: Path) -> str:
        """A copy to measure on, written out to the disk before anything is measured."""
        path = self.path("copy.db")
        shutil.copyfile(built, path)
        os.sync()
        return path

    def _spawn(self, function: Callable[..., Any], arguments: dict[str, Any], how: str) -> str:
        name = f"{function.__module__}:{function.__name__}"
        command = [sys.executable, str(HERE / "measure.py"), how, name, json.dumps(arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the measurement {name} failed with exit code {done.returncode}; its error is above")
        return done.stdout.splitlines()[-1]


class Unavailable(Exception):
    """What a bench needs is not there."""

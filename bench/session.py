"""One run of the bench: where its files are, how often it measures, and the fresh process of each measurement."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EMBEDDED = "sqlite:"
Measured = dict[str, Any]


@dataclass
class Session:
    """`scale` is 1, or a tenth for `--quick`; `loads` collects the load average beside each measurement.

    What is started for several benches is kept in `kept`, and ended with `ending`.
    """

    folder: Path
    runs: int
    scale: float
    loads: list[float] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    ending: ExitStack = field(default_factory=ExitStack)
    _built: dict[str, str] = field(default_factory=dict)

    def scaled(self, count: int) -> int:
        return max(1, int(count * self.scale))

    def measure(self, function: Callable[..., Any], **arguments: Any) -> Measured:
        """Run a function of a bench module in a fresh process and return the dict that it returns."""
        self.note_load()
        answer: Measured = json.loads(self._spawn(function, arguments, "--measure"))
        return answer

    def note_load(self) -> None:
        """Take down how busy the machine is."""
        self.loads.append(os.getloadavg()[0])

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

    def fresh(self, name: str) -> str:
        """The URL of a new embedded log; an old one of that name is removed."""
        return f"{EMBEDDED}{self.path(name)}"

    def path(self, name: str) -> str:
        """A path for a new file; an old one of that name is removed."""
        path = self.folder / name
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return str(path)

    def built(self, name: str, build: Callable[..., Any], **arguments: Any) -> str:
        """The URL of an embedded log that is built once a session, in a process of its own."""
        if name not in self._built:
            url = self.fresh(name)
            self.measure(build, url=url, **arguments)
            self._built[name] = url
        return self._built[name]

    def copy(self, built: str) -> str:
        """The URL of a copy to measure on, written out to the disk before anything is measured."""
        url = self.fresh("copy.db")
        shutil.copyfile(file_of(built), file_of(url))
        os.sync()
        return url

    def _spawn(self, function: Callable[..., Any], arguments: dict[str, Any], how: str) -> str:
        name = f"{function.__module__}:{function.__name__}"
        command = [sys.executable, str(HERE / "measure.py"), how, name, json.dumps(arguments)]
        started = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise MeasurementFailed(f"{name} ended with exit code {done.returncode}; its error is above")
        print(f"  {name} took {time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        return done.stdout.splitlines()[-1]


def file_of(url: str) -> str:
    """The path of an embedded log."""
    return url.removeprefix(EMBEDDED)


class Unavailable(Exception):
    """What a bench needs is not there."""


class MeasurementFailed(Exception):
    """A measurement ended with an error: there is no figure, and the others go on."""

"""Nodes as users run them: `hms node` processes on one log, killed, stopped, continued, and told to end."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from ...command import HMS

APP = "hms.core.testing.simulation.cast:app"


class Nodes:
    """Processes by name; what each says, and what it complains of, goes to files. Use it in a `with`: it leaves none behind."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def start(self, *names: str) -> None:
        """Start the nodes of these names, or their successors."""
        for name in names:
            command = [*HMS, "node", "--log", self.url, "-o", "jsonl", "--app", APP, "--name", name]
            with self._file(name).open("wb") as out, (self.folder / f"{name}.err").open("ab") as errors:
                self.running[name] = subprocess.Popen(
                    command, cwd=self.folder, env={**os.environ}, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
                )

    def kill(self, name: str) -> None:
        """End it with SIGKILL."""
        process = self.running.pop(name)
        process.kill()
        process.wait()
        self.kills += 1

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send it a signal."""
        self.running[name].send_signal(number)

    def check(self) -> None:
        """Fail if a node ended by itself."""
        for name, process in self.running.items():
            assert process.poll() is None, f"node {name} ended by itself:\n{self.complaints(name)[-3_000:]}"

    def drain(self, seconds: float = 60) -> None:
        """Tell all to end, and wait until they have, well."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in list(self.running.items()):
            code = process.wait(seconds)
            assert code == 0, f"node {name} ended with {code}:\n{self.complaints(name)[-3_000:]}"
            del self.running[name]

    def owned(self, name: str) -> list[int]:
        """Return the shards that the node said last that it has."""
        lines = self._file(name).read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        return list(json.loads(whole[-1])["shards"]) if whole else []

    def up(self) -> list[str]:
        """Return those that own shards."""
        return [name for name in self.running if self.owned(name)]

    def complaints(self, name: str) -> str:
        """Return what the processes of that name complained of."""
        return (self.folder / f"{name}.err").read_text()

    def said(self, name: str, event: str) -> list[str]:
        """Return the lines of a node's log about an event."""
        return [line for line in self.complaints(name).splitlines() if event in line]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.out"

"""Three `hms node` under load, restarted one after the other."""

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hms.core.client import Client, connect

from ..command import HMS
from .counting import COUNTING

NAMES = ("one", "two", "three")
ASKS_PER_S = 200
IN_FLIGHT_MAX = 60
"""More than that wait for each other, not for a node: on a busy machine fewer are asked."""
COUNTERS = 50
PATIENCE_S = 60
ASKS_BETWEEN = 100


class Nodes:
    """Processes by name; what each says goes to a file, one object a line."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "counting.py").write_text(COUNTING)

    def start(self, name: str) -> None:
        """Start the node of that name, or its successor."""
        command = [*HMS, "node", "--log", self.url, "-o", "jsonl", "--app", "counting:app", "--name", name]
        with self._file(name).open("wb") as out, (self.folder / f"{name}.err").open("ab") as errors:
            self.running[name] = subprocess.Popen(command, cwd=self.folder, env=os.environ, stdout=out, stderr=errors)

    def owned(self, name: str) -> int:
        """Return how many shards the node said that it has."""
        lines = self._file(name).read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        return len(json.loads(whole[-1])["shards"]) if whole else 0

    def errors(self, name: str) -> str:
        """Return what the nodes of that name complained of."""
        return (self.folder / f"{name}.err").read_text()

    async def wait_shared(self) -> None:
        """Wait until the running nodes have all shards between them."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(map(self.owned, self.running)) != 16 or not all(map(self.owned, self.running)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            process.kill()
            process.wait()

    async def drain(self, name: str) -> None:
        """Send TERM and wait for the end."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0, self.errors(name)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.out"


class Load:
    """Asks at a steady rate, while not too many are unanswered; `failed` says why, `took` how long."""

    def __init__(self, client: Client, module: Any) -> None:
        self.asked = [0] * COUNTERS
        self.failed: list[str] = []
        self.took: list[float] = []
        self._client = client
        self._module = module
        self._asks: set[asyncio.Task[None]] = set()

    async def run(self, ending: asyncio.Event) -> None:
        """Ask until the ending, then wait for what is in flight."""
        begun = time.monotonic()
        count = 0
        while not ending.is_set():
            if len(self._asks) < IN_FLIGHT_MAX:
                self._asks.add(task := asyncio.create_task(self._ask(count % COUNTERS)))
                task.add_done_callback(self._asks.discard)
            count += 1
            await asyncio.sleep(max(0.0, begun + count / ASKS_PER_S - time.monotonic()))
        await asyncio.gather(*self._asks)

    async def _ask(self, number: int) -> None:
        self.asked[number] += 1
        begun = time.monotonic()
        try:
            await self._client.ask(self._module.counter(str(number)), self._module.Add(amount=1))
        except Exception as error:  # noqa: BLE001 - whatever a user would see counts
            self.failed.append(repr(error))
        self.took.append(time.monotonic() - begun)

    async def wait_answered(self, count: int) -> None:
        """Wait until so many more asks have ended."""
        enough = len(self.took) + count
        async with asyncio.timeout(PATIENCE_S):
            while len(self.took) < enough:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def totals(self) -> list[int]:
        """Return what the counters hold."""
        asks = [self._client.ask(self._module.counter(str(n)), self._module.Add(amount=0)) for n in range(COUNTERS)]
        return [answer.total for answer in await asyncio.gather(*asks)]


def module_of(folder: Path) -> Any:
    """Import the app's own module."""
    spec = importlib.util.spec_from_file_location("counting", folder / "counting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["counting"] = module  # pydantic looks it up
    spec.loader.exec_module(module)
    return module


async def roll(nodes: Nodes, load: Load) -> None:
    """Restart each node in turn, under load."""
    ending = asyncio.Event()
    loading = asyncio.create_task(load.run(ending))
    try:
        for name in NAMES:
            await load.wait_answered(ASKS_BETWEEN)
            await nodes.drain(name)
            await nodes.wait_shared()
            nodes.start(name)
            await nodes.wait_shared()
        await load.wait_answered(ASKS_BETWEEN)
    finally:
        ending.set()
        await loading


def restart_in_turn(nodes: Nodes) -> Load:
    """Start three nodes, restart each under load, and return what the client saw; every ask counted once."""
    for name in NAMES:
        nodes.start(name)

    async def main() -> Load:
        await nodes.wait_shared()
        async with connect(nodes.url, name="load") as client:
            load = Load(client, module_of(nodes.folder))
            await roll(nodes, load)
            assert await load.totals() == load.asked, "expected every ask to count once"
            return load

    return asyncio.run(main())

"""A node to measure: inside the measuring process, or in one of its own that reports as JSON lines."""

import asyncio
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import structlog
from measure import profiled

from hms.core.app import App
from hms.core.errors import LogUnreachable
from hms.core.log import open_log
from hms.core.runtime.collector import relax
from hms.core.runtime.node import Node
from hms.core.runtime.restore import ShardMemory as Memory

__all__ = ["Memory", "NodeProcess", "inputs", "node_command", "relax", "rss_bytes", "wait_clean", "wait_inputs"]
REPORT_EVERY_S = 0.02
DEADLINE_S = 900.0


def inputs(node: Node) -> int:
    return sum(shard.input_count for shard in node.statistics().shards)


async def wait_inputs(node: Node, count: int) -> None:
    """Wait until so many inputs are committed."""
    deadline = time.monotonic() + DEADLINE_S
    while inputs(node) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{inputs(node)} of {count} inputs after {DEADLINE_S} s: {node.statistics()}")
        await asyncio.sleep(0.005)


async def wait_clean(node: Node) -> None:
    """Wait until idle shards have written the checkpoints of all their actors, and nobody consumes anything any more."""
    before = -1
    while before != inputs(node) or any(shard._memory.actors.dirty for shard in node._shards.values()):
        before = inputs(node)
        await asyncio.sleep(1.0)


def rss_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


class NodeProcess:
    """A node in a process of its own, ended by `stop` or `kill`; `reports` is what it has said, newest last."""

    def __init__(self, url: str, app: str, *, name: str = "", profiled: bool = False) -> None:
        command = node_command(url, app, name=name, profiled=profiled)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.reports: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def inputs(self) -> int:
        return int(self.reports[-1]["inputs"]) if self.reports else 0

    @property
    def shards(self) -> list[int]:
        """The shards that it has open."""
        return list(self.reports[-1]["shards"]) if self.reports else []

    def wait_begun(self) -> None:
        """Wait until it says anything."""
        self._wait(lambda: True, "its first report")

    def wait(self, count: int) -> None:
        """Wait until every shard is owned and so many inputs are committed."""
        self._wait(lambda: self.inputs >= count and len(self.shards) == self.reports[-1]["of"], f"{count} inputs")

    def wait_shards(self, count: int) -> None:
        """Wait until it has that many shards open, no more and no fewer."""
        self._wait(lambda: len(self.shards) == count, f"{count} shards")

    def _wait(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not self.reports or not true():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the node did not come to {what}; its last report: {self.reports[-1:]}")
            time.sleep(0.005)  # its reports come from another process, by a thread that only collects them

    def cpu_s(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()

    def profile(self) -> str:
        """Stop it; return where its time went. Only of one that was started as `profiled`."""
        self.stop()
        return str(self.reports[-1]["profile"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                self.reports.append(json.loads(line))


def node_command(url: str, app: str, *, name: str = "", profiled: bool = False) -> list[str]:
    """What starts a node that tells on stdout how far it is, and ends when stdin is closed."""
    return [sys.executable, str(Path(__file__)), url, app, name, "profiled" if profiled else ""]


async def run(url: str, app: App, name: str) -> None:
    """Run a node until stdin is closed; `started` is the instant of `Node.start` on the clock of all processes."""
    relax()
    log = await open_log(url)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    started, last = time.monotonic(), ""
    async with Node(log, [app], name=name or f"bench-{os.getpid()}") as node:
        while not ended.done():
            report = {"inputs": inputs(node), "shards": sorted(node.open_shards()), "of": log.partitions}
            line = json.dumps(report | {"started": started})
            if line != last:
                print(line, flush=True)
                last = line
            await asyncio.sleep(REPORT_EVERY_S)
    await log.close()


def loaded(name: str) -> App:
    module, _, attribute = name.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    assert isinstance(app, App)
    return app


def main(url: str, app: str, name: str, how: str) -> None:
    """The process: what `node_command` says. Its log goes to stderr."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found = loaded(app)
    if how == "profiled":
        print(json.dumps({"profile": profiled(lambda: asyncio.run(run(url, found, name)))}), flush=True)
    else:
        asyncio.run(run(url, found, name))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LogUnreachable as error:
        sys.exit(str(error))

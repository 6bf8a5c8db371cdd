"""A node of the simulation's cast on an embedded log, as a process of its own; what its effects do goes to a file.

Run as `python cast_node.py FOLDER NAME`; it runs until it is killed.
"""

import asyncio
import fcntl
import os
import sys
from pathlib import Path

import structlog

from hms.core.behaviour import Effect
from hms.core.log.port import EVENTS
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.times import Times
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import behaviours, far_side
from hms.schemas import partition_of

PARTITIONS = 2
TIMES = Times(heartbeat_ms=100, lease_ms=500)
OPTIONS = ShardOptions(
    idle_ms=300,
    tail_events_max=60,
    checkpoints_per_commit=3,
    live_actors_max=4,
    answers_segment=25,
    effect_attempts=3,
    effect_backoff_ms=20,
)


class FileFarSide:
    """The far side as a file: every call is a line, whole, whoever dies; it refuses tokens lower than it has seen."""

    def __init__(self, folder: Path, log: SqliteLog) -> None:
        self._calls = folder / "calls"
        self._log = log

    async def deliver(self, effect: Effect, parcel: str, troubles: int) -> None:
        ends = (await self._log.watermarks(EVENTS, partition_of(effect.actor, PARTITIONS))).high
        descriptor = os.open(self._calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # nobody's newer token comes between the look and the line
            if effect.token < self._newest_token(effect.actor):
                raise PermissionError(f"token {effect.token} is old")
            line = f"{effect.actor} {effect.token} {effect.id} {effect.attempt} {parcel} {ends}\n"
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
        if troubles < 0:
            raise ValueError("no such place")
        if effect.attempt <= troubles:
            raise ConnectionError("in trouble")

    def _newest_token(self, actor: str) -> int:
        text = self._calls.read_text() if self._calls.exists() else ""
        return max((int(line.split()[1]) for line in text.splitlines() if line.split()[0] == actor), default=0)


async def run(folder: Path, name: str) -> None:
    log = await SqliteLog.open(folder / "log.db", partitions=PARTITIONS, times=TIMES)
    far_side.set(FileFarSide(folder, log))  # type: ignore[arg-type]
    async with Node(log, behaviours(), name=name, options=OPTIONS) as node:
        await node.wait_owning(1)
        (folder / f"{name}.up").touch()
        await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))

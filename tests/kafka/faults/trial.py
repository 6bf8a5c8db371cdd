"""One trial: a log of its own, nodes, twenty clients, a fault in the midst; then everything ends and the log is judged."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from hms.core.log.kafka import KafkaLog
from hms.core.log.port import EVENTS, LANES, Log
from hms.core.runtime.history import LogHistory
from hms.core.runtime.restore import restore
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import behaviours
from hms.core.testing.simulation.evidence import Evidence

from ..handles import make
from .judgement import broken, gathered
from .nodes import Nodes
from .standstill import standstill
from .workload import Workload

PARTITIONS = 4
SETTLE_S = 90


class Trial:
    """What a fault gets to act upon: the nodes, the clients and their log, and a place for what it wrote itself."""

    def __init__(self, url: str, nodes: Nodes, load: Workload, log: KafkaLog) -> None:
        self.url, self.nodes, self.load, self.log = url, nodes, load, log
        self.written: list[tuple[str, int, int, str]] = []
        """(topic, partition, offset, kind) of what a stranger wrote into the lanes: each must get a verdict."""

    @property
    def prefix(self) -> str:
        return self.url.rpartition("/")[2]

    async def until(self, condition: Callable[[], Any], seconds: float, what: Callable[[], object]) -> None:
        """Return once the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.nodes.check()
            assert time.monotonic() < deadline, f"within {seconds:g} s never came: {what()}"
            await asyncio.sleep(0.02)

    async def shared(self, seconds: float = 60) -> None:
        """Return once the running nodes have all shards between them, each at least one."""

        def whole() -> bool:
            owned = [self.nodes.owned(name) for name in self.nodes.running]
            return all(owned) and sorted(chain.from_iterable(owned)) == list(range(PARTITIONS))

        await self.until(whole, seconds, lambda: {name: self.nodes.owned(name) for name in self.nodes.running})


Fault = Callable[[Trial], Awaitable[None]]


async def trial(
    folder: Path,
    bootstrap: str,
    seed: int,
    fault: Fault,
    *,
    names: tuple[str, ...] = ("one", "two"),
    pause_s: float = 0.1,
    nodes_at: str = "",
    look: Callable[[Evidence], None] = lambda _: None,
) -> str:
    """Run it and return what it saw, in one line.

    `pause_s` is how long a client rests on average; `nodes_at` is where the nodes find the cluster, if not where clients do;
    `look` may assert more of what is found.

    Raises `AssertionError` with what is broken.
    """
    prefix = await make(bootstrap, PARTITIONS)
    url = f"kafka://{bootstrap}/{prefix}"
    log = await KafkaLog.open(url)
    try:
        with Nodes(folder, f"kafka://{nodes_at or bootstrap}/{prefix}") as nodes:
            run = Trial(url, nodes, Workload(log, seed, pause_s), log)
            await _live(run, names, fault)
            await asyncio.to_thread(nodes.drain)
        evidence = await gathered(log, run.load.operations, run.written)
        found = await broken(evidence)
        assert not found, f"{len(found)} times:\n" + "\n".join(line[:1_000] for line in found[:8])
        look(evidence)
        return summary(run, evidence)
    finally:
        await log.close()


async def _live(run: Trial, names: tuple[str, ...], fault: Fault) -> None:
    run.nodes.start(*names)
    await run.shared()
    load = asyncio.create_task(run.load.run())
    acting = asyncio.ensure_future(fault(run))
    try:
        await asyncio.wait([load, acting], return_when=asyncio.FIRST_COMPLETED)
        await acting
        run.load.stop()
        settling = asyncio.create_task(_settle(run.log, load))
        if not (await asyncio.wait([settling], timeout=SETTLE_S))[0]:
            raise AssertionError(f"not settled in {SETTLE_S} s:\n{await standstill(run.log, run.load)}")
        await settling
    finally:
        for task in (load, acting):
            task.cancel()
        await asyncio.gather(load, acting, return_exceptions=True)


async def _settle(log: Log, load: asyncio.Task[None]) -> None:
    """Return when each client knows that its last wish arrived, and everything is consumed."""
    await load
    while not await settled(log):  # noqa: ASYNC110 - other processes settle it
        await asyncio.sleep(0.2)


async def settled(log: Log) -> bool:
    """Tell whether everything in the lanes is consumed."""
    for shard in range(log.partitions):
        marks = [await log.watermarks(topic, shard) for topic in LANES]
        memory = await restore(log, shard, behaviours(), ShardOptions(), LogHistory(log))
        if any(position < mark.high for position, mark in zip(memory.head.positions, marks, strict=True)):
            return False
    return True


def summary(run: Trial, evidence: Evidence) -> str:
    """Say how much was done, in one line."""
    load = run.load
    commits = sum(map(len, evidence.commits.values()))
    epochs = sum(len({commit.fields["epoch"] for commit in shard}) for shard in evidence.commits.values())
    again = sum(wish.tries > 1 for wish in load.operations)
    cut_off = invisible(run)
    return (
        f"{load.answered} operations of 20 clients, {again} of them tried again, longest wait {load.longest_s:.1f} s; "
        f"{len(evidence.events)} events in {commits} commits of {epochs} epochs, {cut_off} records cut off and seen by nobody"
    )


def invisible(run: Trial) -> int:
    """Return how many records of aborted transactions are among the events: written by those who died on the way."""
    bootstrap, _, prefix = run.url.removeprefix("kafka://").partition("/")
    return _count(bootstrap, f"{prefix}.{EVENTS.removeprefix('hms.')}", "read_uncommitted") - _count(
        bootstrap, f"{prefix}.{EVENTS.removeprefix('hms.')}", "read_committed"
    )


def _count(bootstrap: str, topic: str, isolation: str) -> int:
    """Return how many records a plain consumer sees, to the end of now."""
    options = {"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({**options, "isolation.level": isolation, "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        found, ends = 0, 0
        deadline = time.monotonic() + 30
        while ends < PARTITIONS:
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for message in consumer.consume(1_000, 0.5):
                ends += message.error() is not None
                found += message.error() is None
        return found
    finally:
        consumer.close()

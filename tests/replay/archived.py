"""Logs with something in them, for tests of their readers: counters on an embedded log, and its archive."""

import asyncio
from pathlib import Path

from hms import App, Behaviour, Context, Decision, Event, Message, State, accept, connect
from hms.core.address import Address
from hms.core.log import CHECKPOINTS, SCHEMAS, TOPICS, Log, Stored
from hms.core.log.open import open_log
from hms.core.log.sqlite import SqliteLog
from hms.core.runtime.node import Node
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.disk import Disk
from hms.replay.archive.reader import Archive
from hms.replay.history import History

FOLLOWED = [topic for topic in TOPICS if topic != CHECKPOINTS]


class Count(Message):
    count: int


class Add(Message[Count]):
    amount: int


class Added(Event):
    amount: int
    note: str | None = None


class Total(State):
    total: int = 0


def decide(_state: Total, message: Add, _context: Context) -> Decision[Added]:
    note = None if message.amount % 3 else "a third"
    return accept(Added(amount=message.amount, note=note), reply=Count(count=message.amount))


def evolve(state: Total, event: Added) -> Total:
    return Total(total=state.total + event.amount)


counters = App("counters", Behaviour("counter", initial=Total, decide=decide, evolve=evolve))


async def make_log(path: Path, partitions: int = 2) -> SqliteLog:
    return await SqliteLog.open(path, partitions=partitions)


async def count(log: Log, commands: int, actors: int = 5, *, history: History | None = None) -> None:
    """Let a node decide so many commands on a log."""
    async with Node(log, [counters], name="test", history=history) as running, connect(log, name="test") as client:
        await running.wait_owning(log.partitions)
        asked = [client.ask(Address[Add](f"counter/{n % actors}"), Add(amount=n)) for n in range(commands)]
        await asyncio.gather(*asked)


async def filled(path: Path, commands: int = 60, partitions: int = 2) -> Log:
    await (await make_log(path, partitions)).close()
    log = await open_log(f"sqlite:{path}")
    await count(log, commands)
    return log


async def everything(log: Log) -> dict[tuple[str, int], list[Stored]]:
    """All records of a log by place, checkpoints left out."""
    found: dict[tuple[str, int], list[Stored]] = {}
    for topic in FOLLOWED:
        for partition in range(1 if topic == SCHEMAS else log.partitions):
            marks = await log.watermarks(topic, partition)
            position, records = marks.start, []
            while position < marks.stable:
                read = await log.read(topic, partition, position, records_max=10_000)
                records += read.records
                position = read.position
            found[topic, partition] = records
    return found


async def archived(archive: Archive) -> dict[tuple[str, int], list[Stored]]:
    """All records of an archive by place."""
    await archive.refresh()
    found: dict[tuple[str, int], list[Stored]] = {}
    for topic, partition in archive.places():
        first, after = archive.covered(topic, partition) or (0, 0)
        records = [one async for some in archive.records(topic, partition, first, after, headers=True) for one in some]
        found[topic, partition] = records
    return found


async def run_archive(root: Path, log: Log, *, disk: Disk | None = None, accept_gaps: bool = False) -> Archive:
    archiver = await Archiver.open(str(root), log, owner="test", disk=disk, accept_gaps=accept_gaps)
    await archiver.run()
    return await Archive.open(root)

"""A signed history, made once; written anew with changes, and verified."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.port import CHECKPOINTS, EVENTS, TOPICS, Draft, Log, Stored
from hms.core.log.sqlite.log import SqliteLog
from hms.core.runtime.commit_record import SHARD_KEY
from hms.core.runtime.node import Node
from hms.replay.audit.identity import SETTING, log_id
from hms.replay.audit.keys import KeyFolder, Signer
from hms.replay.audit.note import Note, parse
from hms.replay.audit.reading import Reader
from hms.replay.audit.signing import sign_all
from hms.replay.audit.trust import Trust
from hms.replay.audit.verify import Anchors, Result, verify
from hms.replay.history import History
from hms.schemas.task import CancelTask

PARTITIONS = 2
META: Address[Any] = Address("meta_supervisor/main")
Change = Callable[[list[Stored]], list[Stored]]


class Made(NamedTuple):
    """A signed history: every record by place, the log's id, the key that signed, and all notes."""

    records: dict[tuple[str, int], list[Stored]]
    log: str
    signer: Signer
    notes: tuple[Note, ...]


async def work(log: Log, ids: list[str], after: Callable[[], Awaitable[Any]] | None = None) -> None:
    async with Node(log, [hms_app], name="node") as node, connect(log, name="tester") as client:
        await node.wait_owning(PARTITIONS)
        for one in ids:
            await client.ask(META, CancelTask(task_id=one))
        if after is not None:
            await after()


async def checkpoint_count(log: Log) -> int:
    """Return how many checkpoints are events."""
    found = 0
    for shard in range(PARTITIONS):
        records = (await log.read(EVENTS, shard, 0, records_max=10_000)).records
        found += sum(stored.key.startswith(b"audit/") for stored in records)
    return found


async def wait_recorded(log: Log, count: int) -> None:
    while await checkpoint_count(log) < count:  # noqa: ASYNC110 - of a log, not of this process
        await asyncio.sleep(0.01)


async def make(path: Path, signer: Signer) -> Made:
    log = await SqliteLog.open(path, partitions=PARTITIONS)
    notes: list[str] = []

    async def sign() -> None:
        notes.extend(await sign_all(log, History(log), [signer]))
        await asyncio.wait_for(wait_recorded(log, len(notes)), 60)

    await work(log, [f"a{number}" for number in range(10)], sign)
    await work(log, [f"b{number}" for number in range(10)], sign)
    history = History(log)
    records: dict[tuple[str, int], list[Stored]] = {}
    for topic in TOPICS:
        for shard in range(1 if topic == TOPICS[-1] else PARTITIONS):
            marks = await log.watermarks(topic, shard)
            if topic != CHECKPOINTS:
                found = [one async for some in history.records(topic, shard, 0, marks.stable) for one in some]
                records[topic, shard] = found
    name = str(await log_id(log))
    await log.close()
    return Made(records, name, signer, tuple(map(parse, notes)))


def made_by(folder: Path) -> Made:
    """Return a signed history, made in a folder by a key of its own."""
    (signer,) = KeyFolder(folder / "keys", "node-a").signers()
    return asyncio.run(make(folder / "log.db", signer))


async def copied(made: Made, path: Path, shard: int, change: Change, name: str | None = None) -> Log:
    """Write the history anew, one shard's events changed."""
    log = await SqliteLog.open(path, partitions=PARTITIONS)
    for (topic, partition), records in made.records.items():
        kept = change(records) if (topic, partition) == (EVENTS, shard) else records
        await log.append([Draft(topic, partition, one.key, one.value, one.headers) for one in kept])
    await log.put_setting(SETTING, name or made.log, expected=None)
    return log


def same(records: list[Stored]) -> list[Stored]:
    return records


def verified(made: Made, path: Path, change: Change = same, anchors: Anchors | None = None, shard: int = 0) -> Result:
    async def main() -> Result:
        log = await copied(made, path / "copy.db", shard, change)
        try:
            history = History(log)
            given = anchors or Anchors(Trust((made.signer.public,)))
            return await verify(history, made.log, given, Reader(history))
        finally:
            await log.close()

    return asyncio.run(main())


def said(result: Result) -> str:
    return "\n".join(map(str, result.findings))


def busy(made: Made) -> int:
    """Return the shard that did the work."""
    return max(range(PARTITIONS), key=lambda shard: len(made.records[EVENTS, shard]))


def commits_at(records: list[Stored]) -> list[int]:
    return [index for index, stored in enumerate(records) if stored.key.startswith(SHARD_KEY)]


def flipped(stored: Stored, at: int = -20) -> Stored:
    value = bytearray(stored.value or b"")
    value[at] ^= 1
    return stored._replace(value=bytes(value))

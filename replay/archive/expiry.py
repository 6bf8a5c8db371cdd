"""Deleting by policy: whole files, oldest first, each under a tombstone that says what went.

Events go only when a snapshot of the states stands for them and a checkpoint has signed them, messages only when they were
handled: what a restore, or an audit of the rest, needs is never deleted.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from ...core.log.port import EVENTS, SCHEMAS, Log
from .manifest import ArchivedFile, Removed, Signature, Snapshot, Tombstone
from .parquet import read_table
from .policy import Policy
from .snapshot import take_snapshot
from .trimming import handled_in
from .writer import ShardWriter

Sign = Callable[[bytes], Signature]
COMMIT: Final = "hms.Commit"
MAX: Final = 1 << 62
BY_AGE: Final = "older than its type is kept"
BY_SIZE: Final = "the archive was larger than its budget"


def due(files: Iterable[ArchivedFile], policy: Policy, now_us: int, shard: int) -> dict[str, list[ArchivedFile]]:
    """Return which files of a shard have to go, and why; the schemas, without which nothing can be read, never do.

    `files`: those of all shards, where there is a budget, which is for all of them together.
    """
    budget = policy.disk_bytes_max()
    candidates = sorted((file for file in files if file.topic != SCHEMAS), key=lambda file: file.appended_us_max)
    old = [file for file in candidates if policy.is_expired(file, now_us)]
    left = sum(file.bytes for file in candidates) - sum(file.bytes for file in old)
    large: list[ArchivedFile] = []
    gone = {file.path for file in old}
    for file in candidates:
        if budget is None or left <= budget:
            break
        if file.path not in gone:
            large.append(file)
            left -= file.bytes
    found = ((why, [file for file in some if file.shard == shard]) for why, some in ((BY_AGE, old), (BY_SIZE, large)))
    return {why: some for why, some in found if some}


async def expire(
    writer: ShardWriter,
    log: Log,
    policy: Policy,
    others: Iterable[ArchivedFile],
    sign: Sign | None = None,
    signed: int | None = None,
) -> int:
    """Delete what a shard's archive keeps no longer, by a manifest; return how many files. `sweep` deletes them for real.

    `others`: the files of all shards, if there is a budget. `signed`: below which position events are under a signed checkpoint
    (None: nobody signs); without the others whoever signs could not go on.
    """
    state = await asyncio.to_thread(writer.manifests.refresh)
    now_us = time.time_ns() // 1_000
    files = [*state.files.values(), *(file for file in others if file.shard != writer.shard)]
    going = due(files, policy, now_us, writer.shard)
    snapshot = state.snapshot
    last_event = max((file.next for some in going.values() for file in some if file.topic == EVENTS), default=0)
    if last_event and (snapshot is None or snapshot.low_water < last_event):
        snapshot = await take_snapshot(writer, log) or snapshot
        while (await writer.flush()).is_behind:
            pass  # what the snapshot knows has to be archived too, or it would be of another history
    bounds = await handled_in(log, writer.shard, state)
    bounds[EVENTS] = min(0 if snapshot is None else snapshot.low_water, MAX if signed is None else signed)
    going = {why: [file for file in some if file.next <= bounds.get(file.topic, MAX)] for why, some in going.items()}
    files = [file for some in going.values() for file in some]
    if files:
        await asyncio.to_thread(_publish, writer, going, snapshot, now_us, sign)
    return len(files)


def _publish(
    writer: ShardWriter,
    going: dict[str, list[ArchivedFile]],
    snapshot: Snapshot | None,
    now_us: int,
    sign: Sign | None,
) -> None:
    stones = [
        _tombstone(writer, group, why, snapshot, now_us, sign) for why, some in going.items() for group in _groups(some)
    ]
    removed = [Removed(path=file.path, removed_us=now_us) for some in going.values() for file in some]
    writer.manifests.publish(
        writer.epoch,
        writer.owner,
        "expire",
        remove=tuple(removed),
        tombstones=tuple(stones),
        snapshot=snapshot,
    )


def _groups(files: list[ArchivedFile]) -> list[list[ArchivedFile]]:
    found: dict[tuple[str, str, str], list[ArchivedFile]] = {}
    for file in files:
        found.setdefault((file.topic, file.type, file.date), []).append(file)
    return list(found.values())


def _tombstone(
    writer: ShardWriter,
    files: list[ArchivedFile],
    why: str,
    snapshot: Snapshot | None,
    now_us: int,
    sign: Sign | None,
) -> Tombstone:
    stone = Tombstone(
        topic=files[0].topic,
        type=files[0].type,
        shard=writer.shard,
        first=min(file.first for file in files),
        next=max(file.next for file in files),
        rows=sum(file.rows for file in files),
        appended_us_min=min(file.appended_us_min for file in files),
        appended_us_max=max(file.appended_us_max for file in files),
        sha256=tuple(file.sha256 for file in files),
        why=why,
        expired_us=now_us,
        snapshot=snapshot.path if snapshot is not None and files[0].topic == EVENTS else "",
        commits=_commits(writer, files) if files[0].type == COMMIT else None,
    )
    return stone if sign is None else stone.model_copy(update={"signature": sign(stone.signed_part())})


def _commits(writer: ShardWriter, files: list[ArchivedFile]) -> tuple[int, int]:
    """Return the first and the last sequence of the commit records in some files."""
    sequences = [
        sequence
        for file in files
        for sequence in read_table(writer.folder.root / file.path, ("sequence",)).column("sequence").to_pylist()
    ]
    return min(sequences), max(sequences)

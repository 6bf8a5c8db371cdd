"""A shard's states in one file: its checkpoints, from which a restore begins instead of from the first event.

A checkpoint is an actor at the end of a commit that it names; with the events from the shard's low-water mark on they
give every state from then on. So events below that mark may be deleted by policy.
"""

import asyncio
import secrets
import time

import pyarrow as pa

from ...core.log.port import CHECKPOINTS, Log, Stored
from ...core.runtime.history import records_between
from ...core.runtime.records import ShardCheckpoint
from ...schemas import Contract
from ..columns.arrow_types import INSTANT
from ..columns.columns import headers_array
from .last_commit import last_commit
from .manifest import Snapshot, sha256
from .parquet import encoded
from .writer import ShardWriter


async def newest_checkpoints(log: Log, shard: int) -> dict[bytes, Stored]:
    """Return the newest checkpoint of every key of a shard.

    It reads to the end twice: what the log's own compaction took away below the first end has a newer value below the
    second.
    """
    found: dict[bytes, Stored] = {}
    position = (await log.watermarks(CHECKPOINTS, shard)).start
    for _ in range(2):
        end = (await log.watermarks(CHECKPOINTS, shard)).stable
        async for records in records_between(log, CHECKPOINTS, shard, position, end, headers=True):
            for stored in records:
                if stored.value is None:
                    found.pop(stored.key, None)
                else:
                    found[stored.key] = stored
        position = end
    return found


def shard_checkpoint(checkpoints: dict[bytes, Stored], shard: int) -> ShardCheckpoint | None:
    """Return where a restore of the shard begins; None before its first checkpoint."""
    stored = checkpoints.get(f"shard/{shard}".encode())
    if stored is None:
        return None
    contract = Contract()
    contract.register(ShardCheckpoint, str(ShardCheckpoint.explicit_type))
    record = contract.decode(stored.value or b"").record
    return record if isinstance(record, ShardCheckpoint) else None


async def low_water(log: Log, shard: int) -> int:
    """Return below which position no event of a shard is needed to restore it."""
    found = shard_checkpoint(await newest_checkpoints(log, shard), shard)
    return 0 if found is None else found.low_water


async def take_snapshot(writer: ShardWriter, log: Log) -> Snapshot | None:
    """Write a shard's checkpoints into a file that nobody names yet; None before its first checkpoint."""
    checkpoints = await newest_checkpoints(log, writer.shard)
    begins = shard_checkpoint(checkpoints, writer.shard)
    through = await last_commit(log, writer.shard)
    return None if begins is None else await asyncio.to_thread(_write, writer, checkpoints, begins, through.sequence)


async def keep_snapshot(writer: ShardWriter, log: Log, every_us: int | None) -> bool:
    """Take a snapshot under a manifest of its own if the last one is old, and anything was checkpointed since."""
    last = (await asyncio.to_thread(writer.manifests.refresh)).snapshot
    if every_us is None or (last is not None and last.taken_us > time.time_ns() // 1_000 - every_us):
        return False
    snapshot = await take_snapshot(writer, log)
    if snapshot is None or (last is not None and last.sequence == snapshot.sequence):
        if snapshot is not None:
            await asyncio.to_thread(writer.disk.remove, writer.folder.root / snapshot.path)
        return False
    await asyncio.to_thread(writer.manifests.publish, writer.epoch, writer.owner, "snapshot", snapshot=snapshot)
    return True


def _write(writer: ShardWriter, checkpoints: dict[bytes, Stored], begins: ShardCheckpoint, through: int) -> Snapshot:
    records = list(checkpoints.values())
    table = pa.table(
        {
            "position": pa.array([one.offset for one in records], pa.int64()),
            "appended_at": pa.array([one.at_us for one in records], pa.int64()).view(INSTANT),
            "record_key": pa.array([one.key for one in records], pa.binary()),
            "headers": headers_array([one.headers for one in records]),
            "bytes": pa.array([one.value for one in records], pa.binary()),
        }
    )
    data = encoded(table.sort_by("record_key"))
    path = writer.folder.snapshots(writer.shard) / f"{begins.sequence}-{secrets.token_hex(4)}.parquet"
    writer.disk.put(path, data)
    return Snapshot(
        path=str(path.relative_to(writer.folder.root)),
        low_water=begins.low_water,
        sequence=begins.sequence,
        through=through,
        taken_us=time.time_ns() // 1_000,
        sha256=sha256(data),
        bytes=len(data),
    )

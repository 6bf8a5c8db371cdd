"""Deleting what counts no more: files that were replaced, after a grace, and what crashes left behind.

A file that no manifest names may be one that its writer is about to name. So the sweep lists such files first, publishes
a manifest, and only then may delete them: whoever prepared them finds the number taken, and names them never.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from .disk import TEMPORARY
from .writer import ShardWriter

RUBBISH_AFTER_S: Final = 3_600.0
"""Files younger than that, which nobody names, are left for the next sweep: most are just being written."""


async def sweep(writer: ShardWriter, grace_us: int) -> int:
    """Delete a shard's files that count no more and that no query can be reading; return how many."""
    return await asyncio.to_thread(_sweep, writer, grace_us)


def _sweep(writer: ShardWriter, grace_us: int) -> int:
    state = writer.manifests.refresh()
    now_us = time.time_ns() // 1_000
    due = [one.path for one in state.removed.values() if one.removed_us < now_us - grace_us]
    rubbish = _rubbish(writer, now_us)
    if due or rubbish:
        gone = tuple(sorted({*due, *(str(path.relative_to(writer.folder.root)) for path in rubbish)}))
        writer.manifests.publish(writer.epoch, writer.owner, "sweep", deleted=gone)
        for name in gone:
            writer.disk.remove(writer.folder.root / name)
    for path in writer.manifests.forget():
        writer.disk.remove(path)
    return len(due) + len(rubbish)


def _rubbish(writer: ShardWriter, now_us: int) -> list[Path]:
    """Return this shard's files that no manifest names and nobody has touched for a while."""
    state = writer.manifests.state
    snapshots = (one.path for one in state.snapshots)
    named = {*state.files, *state.removed, *snapshots, *(stone.snapshot for stone in state.tombstones)}
    before_s = now_us / 1e6 - RUBBISH_AFTER_S
    return [
        path
        for path in _own_files(writer)
        if str(path.relative_to(writer.folder.root)) not in named and _age_mark(path) < before_s
    ]


def _own_files(writer: ShardWriter) -> list[Path]:
    """Return all files of this shard but its manifests: data, snapshots, and what was never finished."""
    folder = writer.folder
    data = [path for path in folder.data.glob("type=*/date=*/*") if shard_of(path) == writer.shard]
    hidden = folder.manifests(writer.shard).glob(f".*{TEMPORARY}")
    return [*data, *folder.snapshots(writer.shard).glob("*.parquet*"), *hidden]


def shard_of(path: Path) -> int | None:
    """Return whose data a file's name says it is; None for a name that is not ours."""
    parts = path.name.removeprefix(".").partition(".parquet")[0].rsplit("-", 4)
    return int(parts[1]) if len(parts) == 5 and parts[1].isdigit() else None  # noqa: PLR2004 - topic, shard, first, next, token


def _age_mark(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")

"""Merging small files: those of one type, topic and day become one, sorted by key and position.

What was merged counts no more from the same manifest on that names the merged file, so a reader sees either.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

from .errors import ArchiveDamaged
from .manifest import ArchivedFile, Removed
from .parquet import read_table
from .writer import ShardWriter

ROWS_MAX: Final = 500_000
RAW_BYTES_MAX: Final = 512 << 20
"""In memory, of the files that are merged into one; an Arrow array holds 2 GB."""

Group = list[ArchivedFile]


def groups(files: Iterable[ArchivedFile], small_files: int, *, today: str) -> list[Group]:
    """Return which files are worth merging: enough fresh ones of today, and all of a day that is over.

    Of today only fresh files are merged, or the day so far would be written again and again.
    """
    found: dict[tuple[str, str, str, int], Group] = {}
    for file in sorted(files, key=lambda file: file.first):
        if file.date < today or not file.compacted:
            found.setdefault((file.type, file.topic, file.date, file.schema_id), []).append(file)
    return [
        part
        for (_, _, date, _), group in found.items()
        for part in _bounded(group)
        if _is_worth_it(part, small_files, is_over=date < today)
    ]


def _is_worth_it(group: Group, small_files: int, *, is_over: bool) -> bool:
    if is_over:
        return len(group) > 1 or not group[0].compacted
    return len(group) >= small_files


def _bounded(group: Group) -> list[Group]:
    """Cut a group into parts that fit into memory, in the order of positions; what is large already stays as it is."""
    parts: list[Group] = [[]]
    rows = size = 0
    for file in group:
        if parts[-1] and (rows + file.rows > ROWS_MAX or size + file.raw_bytes > RAW_BYTES_MAX):
            parts.append([])
            rows = size = 0
        parts[-1].append(file)
        rows, size = rows + file.rows, size + file.raw_bytes
    return parts


async def compact(writer: ShardWriter, small_files: int) -> int:
    """Merge a shard's small files, a manifest a merged file; return how many files became fewer."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    state = await asyncio.to_thread(writer.manifests.refresh)
    fewer = 0
    for group in groups(state.files.values(), small_files, today=today):
        await asyncio.to_thread(_merge, writer, group)
        fewer += len(group) - 1
    return fewer


def _merge(writer: ShardWriter, group: Group) -> None:
    merged = merged_table(writer, group)
    first = group[0]
    file = writer.write_file(first.topic, first.type, first.schema_id, first.date, merged, compacted=True)
    now_us = time.time_ns() // 1_000
    removed = tuple(Removed(path=one.path, removed_us=now_us) for one in group)
    writer.manifests.publish(writer.epoch, writer.owner, "compact", add=(file,), remove=removed)


def merged_table(writer: ShardWriter, group: Group) -> pa.Table:
    """Return the records of some files, sorted by key and position. Raises `ArchiveDamaged` unless all are there, once."""
    tables = [read_table(writer.folder.root / file.path) for file in group]
    table = pa.concat_tables(tables, promote_options="permissive")
    positions = np.sort(table.column("position").to_numpy())
    if table.num_rows != sum(file.rows for file in group) or bool(np.any(positions[1:] == positions[:-1])):
        raise ArchiveDamaged(
            f"{group[0].path} and {len(group) - 1} more: expected {sum(file.rows for file in group)} records, each once, got "
            f"{table.num_rows}; nothing was merged (hms archive verify)"
        )
    return table.sort_by([("record_key", "ascending"), ("position", "ascending")])

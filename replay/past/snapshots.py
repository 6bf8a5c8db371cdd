"""A shard's archived snapshot of states, if its archive has one: where a fold may begin."""

import asyncio
from typing import NamedTuple

from ..history import Archive


class Snapshot(NamedTuple):
    """The newest checkpoints (key, value) at commit `sequence`; the events from `low_water` on complete them."""

    sequence: int
    low_water: int
    checkpoints: list[tuple[bytes, bytes]]


async def snapshot_of(archive: Archive | None, shard: int, sequence: int) -> Snapshot | None:
    """Return the newest snapshot of a shard that knows no later commit than this one, None without one."""
    from ..archive.reader import Archive as Folder  # noqa: PLC0415 - it needs pyarrow

    if not isinstance(archive, Folder):
        return None
    fitting = [one for one in archive.state(shard).snapshots if one.sequence <= sequence]
    if not fitting:
        return None
    named = fitting[-1]
    rows = await asyncio.to_thread(_rows, str(archive.folder.root / named.path))
    return Snapshot(named.sequence, named.low_water, rows)


def _rows(path: str) -> list[tuple[bytes, bytes]]:
    from pyarrow import parquet  # noqa: PLC0415 - as above

    table = parquet.read_table(path, columns=["record_key", "bytes"])
    keys, values = (table.column(name).to_pylist() for name in ("record_key", "bytes"))
    return [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]

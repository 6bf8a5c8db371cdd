"""Tables as Parquet files of an archive: how they are written, and their records read back byte for byte."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.log.port import Headers, Stored
from .errors import ArchiveDamaged

ROW_GROUP: Final = 20_000
FRESH_ROW_GROUP: Final = 100_000
RECORD_COLUMNS: Final = ("position", "appended_at", "record_key", "bytes")
_PLAIN: Final = frozenset(("position", "bytes", "envelope.id", "envelope.causation_id"))
"""Different in nearly every row: a dictionary of these would be made and thrown away."""


def encoded(table: pa.Table, *, compacted: bool = False) -> memoryview:
    """Return a table as the bytes of a Parquet file."""
    sink = io.BytesIO()
    more: dict[str, Any] = {"row_group_size": FRESH_ROW_GROUP}
    if compacted:
        more = {"row_group_size": ROW_GROUP, "write_page_index": True}
        if "envelope" in table.column_names:
            more["bloom_filter_options"] = {"envelope.id": {"ndv": ROW_GROUP, "fpp": 0.01}}
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=3 if compacted else 1,
        use_dictionary=[name for name in _leaves(table.schema) if name not in _PLAIN],
        **more,
    )
    return sink.getbuffer()


def _leaves(fields: Any, prefix: str = "") -> list[str]:
    """Return the paths of the plain columns; what is inside lists and maps is left as it is."""
    found: list[str] = []
    for field in fields:
        if pa.types.is_struct(field.type):
            found += _leaves(list(field.type), f"{prefix}{field.name}.")
        else:
            found.append(prefix + field.name)
    return found


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a file's table; raises `ArchiveDamaged` when it is missing or no Parquet."""
    try:
        return pq.ParquetFile(path).read(columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise ArchiveDamaged(
            f"{path}: expected a file of the archive, got {type(error).__name__}: {error}; `hms archive verify` names all "
            "that is wrong; restore the file from a backup"
        ) from error


def by_position(table: pa.Table) -> pa.Table:
    """Return a table in the order of the log."""
    positions = table.column("position").to_numpy()
    if bool(np.all(positions[1:] > positions[:-1])):
        return table
    return table.take(pa.array(np.argsort(positions, kind="stable")))


def records_of(table: pa.Table, topic: str, shard: int) -> list[Stored]:
    """Return the records of a table of `RECORD_COLUMNS`, and of `headers` if it has these."""
    positions = table.column("position").to_pylist()
    times = table.column("appended_at").cast(pa.int64()).to_pylist()
    keys = table.column("record_key").cast(pa.binary()).to_pylist()
    values = table.column("bytes").to_pylist()
    headers: Sequence[Headers] = [()] * len(positions)
    if "headers" in table.column_names:
        headers = [
            tuple((one["name"], one["value"]) for one in some) if some else ()
            for some in table.column("headers").to_pylist()
        ]
    return [
        Stored(topic, shard, position, at_us, key, value, some)
        for position, at_us, key, value, some in zip(positions, times, keys, values, headers, strict=True)
    ]

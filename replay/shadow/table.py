"""Differences as a table: Parquet or JSON lines, written as they come, with the columns that the log's records have in SQL.

Join it with `messages` on (`message_topic` = topic, shard, `message_position` = position), or with `events` on shard and
`commit_position`.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from ...core.errors import ValidationFailed
from ...core.log.port import LANES
from ...core.runtime.divergence import Divergence

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
GROUP_ROWS: Final = 20_000
SUFFIXES: Final = (".parquet", ".jsonl")


def row_of(one: Divergence) -> dict[str, Any]:
    """Return a difference as a row; what names no message has no topic and position."""
    message = 0 <= one.lane < len(LANES)
    return {
        "decided_at": EPOCH + timedelta(microseconds=one.now_us),
        "shard": one.shard,
        "sequence": one.sequence,
        "commit_position": one.offset,
        "code_version": one.code_version,
        "actor": one.actor,
        "behaviour": one.actor.partition("/")[0],
        "message_topic": LANES[one.lane] if message else None,
        "message_position": one.position if message else None,
        "message_id": one.message_id or None,
        "message_type": one.message_type or None,
        "field": one.field,
        "expected": one.expected,
        "got": one.got,
    }


class DifferenceTable:
    """Write rows into a new file; it gets its name when it is whole. Use as `with`."""

    def __init__(self, path: Path) -> None:
        """Make it. Raises `ValidationFailed` for a name that says no format."""
        if path.suffix not in SUFFIXES:
            raise ValidationFailed(f"expected a table named *{' or *'.join(SUFFIXES)}, got {path}")
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._rows: list[dict[str, Any]] = []
        self._lines: IO[str] | None = None
        self._parquet: Any = None

    def __enter__(self) -> Self:
        """Open it."""
        if self._path.suffix == ".jsonl":
            self._lines = self._part.open("w", encoding="utf-8")
        else:
            from pyarrow import parquet  # noqa: PLC0415 - a quarter of a second that most commands do without

            self._parquet = parquet.ParquetWriter(self._part, _arrow_schema(), compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish it, or leave nothing behind."""
        if kind is None:
            self._flush()
        for file in (self._lines, self._parquet):
            if file is not None:
                file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def add(self, one: Divergence) -> None:
        """Write one difference."""
        self._rows.append(row_of(one))
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._lines is not None:
            for row in self._rows:
                self._lines.write(json.dumps({**row, "decided_at": row["decided_at"].isoformat()}) + "\n")
        elif self._parquet is not None:
            from pyarrow import Table  # noqa: PLC0415 - as above

            self._parquet.write_table(Table.from_pylist(self._rows, schema=_arrow_schema()))
        self._rows = []


def _arrow_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as above

    whole = {"shard": pa.int32(), "sequence": pa.int64(), "commit_position": pa.int64(), "message_position": pa.int64()}
    types = {"decided_at": pa.timestamp("us", "UTC"), **whole}
    names = row_of(Divergence(0, 0, 0, 0, "", "", 0, 0, "", "", "", "", ""))
    return pa.schema([(name, types.get(name, pa.string())) for name in names])

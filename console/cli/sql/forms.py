"""How answers leave: as a table, as JSON in two ways, as CSV, as Parquet; one writer an answer."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..exit_codes import Exit, Stop
from ..show import GAP, one_line, show_list, text, write, write_line
from .options import SqlForm
from .rows import Row, rows_of, unique

if TYPE_CHECKING:
    import pyarrow as pa


ALIGNED_ROWS_MAX: Final = 5_000
"""More rows than these are written as they come, and kept nowhere."""


class Form(Protocol):
    """Takes an answer's rows as they come."""

    def take(self, batch: "pa.RecordBatch") -> None:
        """Write some rows, or keep them."""
        ...

    def end(self) -> None:
        """Write what is left."""
        ...


def form_of(name: SqlForm, schema: "pa.Schema", *, at_once: bool = False) -> Form:
    """Return the writer of an answer; `at_once` writes every row as it comes. Raises `Stop` (usage)."""
    match name:
        case "text":
            return _Lines(unique(schema.names), at_once=True) if at_once else _Table(schema)
        case "json" if not at_once:
            return _Array()
        case "json" | "jsonl":
            return _JsonLines()
        case "csv":
            return _Csv(schema)
    if at_once:
        raise Stop(Exit.USAGE, "-o parquet is written when an answer is whole; --follow has no end: take jsonl or csv")
    return _Parquet(schema)


class _Table:
    """Columns as wide as their widest value; of an answer of very many rows, as the widest of the first ones."""

    def __init__(self, schema: "pa.Schema") -> None:
        self._names = unique(schema.names)
        self._rows: list[Row] = []
        self._lines: _Lines | None = None

    def take(self, batch: "pa.RecordBatch") -> None:
        if self._lines is None:
            self._rows.extend(rows_of(batch))
            if len(self._rows) > ALIGNED_ROWS_MAX:
                self._lines = _Lines(self._names)
                self._lines.write(self._rows)
        else:
            self._lines.write(rows_of(batch))

    def end(self) -> None:
        if self._lines is not None:
            return
        if not self._rows:
            write(GAP.join(self._names))
            return
        show_list(self._rows, "text", {name: name for name in self._names}, cut_last=True)


class _Lines:
    """A row a line; how wide the columns are follows from the first rows."""

    def __init__(self, names: list[str], *, at_once: bool = False) -> None:
        self._names = names
        self._at_once = at_once
        self._widths: list[int] = []

    def take(self, batch: "pa.RecordBatch") -> None:
        self.write(rows_of(batch))

    def write(self, items: Iterable[Row]) -> None:
        rows = [[one_line(text(value)) for value in row.values()] for row in items]
        if not self._widths:
            lines = [self._names, *rows]
            self._widths = [max(len(line[column]) for line in lines) for column in range(len(self._names))]
            self._line(self._names)
        for row in rows:
            self._line(row)

    def _line(self, cells: list[str]) -> None:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, self._widths, strict=True))
        write(GAP.join(padded).rstrip(), at_once=self._at_once)

    def end(self) -> None:
        if not self._widths:
            write(GAP.join(self._names))


class _JsonLines:
    def take(self, batch: "pa.RecordBatch") -> None:
        for row in rows_of(batch):
            write_line(row, at_once=True)

    def end(self) -> None:
        sys.stdout.flush()


class _Array:
    def __init__(self) -> None:
        self._before = "["

    def take(self, batch: "pa.RecordBatch") -> None:
        for row in rows_of(batch):
            sys.stdout.write(f"{self._before}\n  {json.dumps(row, ensure_ascii=False)}")
            self._before = ","

    def end(self) -> None:
        write("[]" if self._before == "[" else "\n]")


class _Csv:
    def __init__(self, schema: "pa.Schema") -> None:
        self._out: Final = csv.writer(sys.stdout, lineterminator="\n")
        self._out.writerow(unique(schema.names))

    def take(self, batch: "pa.RecordBatch") -> None:
        self._out.writerows([_cell(value) for value in row.values()] for row in rows_of(batch))
        sys.stdout.flush()

    def end(self) -> None:
        sys.stdout.flush()


def _cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return value


class _Parquet:
    def __init__(self, schema: "pa.Schema") -> None:
        if sys.stdout.isatty():
            raise Stop(
                Exit.USAGE, "-o parquet is no text: send it to a file, as in `hms sql ... -o parquet > rows.parquet`"
            )
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        names = unique(schema.names)
        self._schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
        self._pa = pa
        self._writer: Any = pq.ParquetWriter(sys.stdout.buffer, self._schema)

    def take(self, batch: "pa.RecordBatch") -> None:
        self._writer.write_batch(self._pa.RecordBatch.from_arrays(batch.columns, schema=self._schema))

    def end(self) -> None:
        self._writer.close()
        sys.stdout.flush()

"""A type as one schema in the log has it: how its values become columns, many at once or one by one."""

import json
from io import BytesIO
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from fastavro import parse_schema, schemaless_reader

from ...schemas import FRAME_BYTES
from ...schemas.envelope import AT_US_MAX
from ...schemas.foreign import ForeignType
from .arrow_types import Named, arrow_type, shape_of
from .cursor import PADDING, Cursor, Numbers
from .names import column_names
from .vector import readers_of

SENT_AT: Final = "sent_at"
"""The envelope's `at`, which SQL wants in quotes."""


class Read(NamedTuple):
    """What became of some values: a column a field, the last one the envelope; and which values are not in there."""

    columns: list[pa.Array]
    bad: list[int]


class Unreadable(ValueError):
    """One value is not what its schema says."""


class WireType:
    """Made of a schema's text; raises `SchemaError` (a `ValueError`) for what is no wire schema of ours."""

    def __init__(self, schema_json: str) -> None:
        verified = ForeignType(schema_json)  # closed list, depth, no record inside itself
        self.name = verified.name
        self.schema_id = verified.schema_id
        self.schema_json = verified.schema_json
        schema = _renamed(json.loads(verified.schema_json))
        fields = schema["fields"]
        self.names = column_names(field["name"] for field in fields[:-1])
        named: Named = {}
        self.types = [arrow_type(field["type"], named) for field in fields]
        named = {}
        self._shapes = [shape_of(field["type"], named) for field in fields]
        self._readers = readers_of(fields, {})
        self._fields = [field["name"] for field in fields]
        self._row_schema: Any = parse_schema(_without_logical_types(schema))

    def read(self, values: list[bytes]) -> Read:
        """Return the columns of framed values; those that are not what the schema says are named, and left out."""
        if self._readers is not None:
            found = self._read_columns(values)
            if found is not None:
                return found
        return self._read_rows(values)

    # --- many at once -------------------------------------------------------------------------------------------

    def _read_columns(self, values: list[bytes]) -> Read | None:
        """Read field by field; None where any value is not as expected, or a text no UTF-8."""
        ends: Numbers = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) + FRAME_BYTES
        data = np.frombuffer(b"".join((*values, PADDING)), np.uint8)
        cursor = Cursor(data, starts, ends)
        columns = [read(cursor) for read in self._readers or ()]
        if cursor.finish().any() or not all(_is_valid(column) for column in columns):
            return None
        return Read(columns, []) if self._is_ours(columns[-1]) else None

    def _is_ours(self, envelopes: pa.StructArray) -> bool:
        """Tell whether the envelopes are of this type and their numbers possible."""
        import pyarrow.compute as pc  # noqa: PLC0415 - takes longer to import than most commands may

        if envelopes.type.get_field_index("ttl_ms") < 0:
            return False  # another version's envelope: look at each
        if not pc.all(pc.equal(envelopes.field("type"), self.name)).as_py():
            return False
        instants = envelopes.field(SENT_AT).view(pa.int64())
        bounds = pc.min_max(instants).as_py()
        ttl = pc.min(envelopes.field("ttl_ms")).as_py()
        return bounds["min"] >= 0 and bounds["max"] <= AT_US_MAX and (ttl is None or ttl >= 0)

    # --- one by one ---------------------------------------------------------------------------------------------

    def _read_rows(self, values: list[bytes]) -> Read:
        rows: list[dict[str, Any]] = []
        bad: list[int] = []
        for index, value in enumerate(values):
            try:
                rows.append(self._row(value))
            except Unreadable:
                bad.append(index)
        columns = [
            pa.array([row[field] for row in rows], kind) for field, kind in zip(self._fields, self.types, strict=True)
        ]
        return Read(columns, bad)

    def why_bad(self, value: bytes) -> str:
        """Say what is wrong with a value that could not be read."""
        try:
            self._row(value)
        except Unreadable as error:
            return str(error)
        return "the value could not be brought into columns"

    def _row(self, value: bytes) -> dict[str, Any]:
        stream = BytesIO(value)
        stream.seek(FRAME_BYTES)
        try:
            row: Any = schemaless_reader(stream, self._row_schema, None, return_record_name=True)
        except Exception as error:  # the reader raises whatever its C code comes upon
            raise Unreadable(f"expected {self.name}, got {type(error).__name__}: {error}") from error
        _check(row["envelope"], self.name, len(value) - stream.tell())
        for field, shape in zip(self._fields, self._shapes, strict=True):
            if shape is not None:
                row[field] = shape(row[field])
        return dict(row)


def _check(envelope: dict[str, Any], name: str, left: int) -> None:
    if left:
        raise Unreadable(f"expected the end after the envelope, got {left} bytes more")
    if envelope["type"] != name:
        raise Unreadable(f"expected an envelope of {name}, got one of {envelope['type']!r}")
    ttl_ms = envelope.get("ttl_ms")
    if not 0 <= envelope[SENT_AT] <= AT_US_MAX or (ttl_ms is not None and ttl_ms < 0):
        raise Unreadable(f"expected an instant between 1970 and 9999, got {envelope[SENT_AT]} (ttl {ttl_ms})")


def _is_valid(column: pa.Array) -> bool:
    """Tell whether all texts are UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _renamed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a wire schema whose envelope's `at` is called `sent_at`."""
    *fields, last = schema["fields"]
    inner = [{**field, "name": SENT_AT} if field["name"] == "at" else field for field in last["type"]["fields"]]
    return {**schema, "fields": [*fields, {**last, "type": {**last["type"], "fields": inner}}]}


def _without_logical_types(schema: Any) -> Any:
    """Return the schema as numbers: an instant is read as the integer that it is, whatever year it means."""
    if isinstance(schema, list):
        return [_without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("logicalType"):
        return schema["type"]
    changed = {key: _without_logical_types(schema[key]) for key in ("items", "values", "type") if key in schema}
    if "fields" in schema:
        changed["fields"] = [_without_logical_types(field) for field in schema["fields"]]
    return {**{key: value for key, value in schema.items() if key != "default"}, **changed}

"""Records of any types in, a table a type out; what cannot be read is in a table of its own, with its bytes."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from ...core.log.port import SCHEMAS, Headers, Stored
from ...schemas import FRAME_BYTES
from .arrow_types import INSTANT
from .names import AFTER, BEFORE
from .wire_type import WireType

UNREADABLE: Final = "hms.Unreadable"
SCHEMA: Final = "hms.Schema"
HEADERS: Final = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.binary())]))
TOPIC: Final = pa.dictionary(pa.int32(), pa.string())
UNKNOWN_SCHEMA: Final = "unknown schema"


class Part(NamedTuple):
    """The records of one type under one schema; `schema_id` is 0 where no schema applies."""

    type: str
    schema_id: int
    table: pa.Table


class Columns:
    """Collects records and makes tables of them. `schemas` is shared and may learn while this collects."""

    def __init__(self, schemas: "Schemas") -> None:
        self._schemas = schemas
        self._groups: dict[bytes, list[Stored]] = {}

    def add(self, stored: Stored) -> None:
        """Take one record."""
        self.add_many((stored,))

    def add_many(self, records: Iterable[Stored]) -> None:
        """Take records, those of several places too."""
        groups = self._groups
        for stored in records:
            frame = b"" if stored[0] == SCHEMAS or stored[5] is None else stored[5][:FRAME_BYTES]
            try:
                groups[frame].append(stored)
            except KeyError:
                groups[frame] = [stored]

    def unknown_schemas(self) -> set[int]:
        """Return the ids of schemas that records here have and nobody has learned: look into the log for them."""
        ids = {int.from_bytes(frame[1:], "big") for frame in self._groups if _is_frame(frame)}
        return {schema_id for schema_id in ids if self._schemas.get(schema_id) is None}

    def take(self) -> list[Part]:
        """Return what was collected, and begin anew. Every record is in exactly one part."""
        groups, self._groups = self._groups, {}
        parts: list[Part] = []
        unreadable: list[tuple[Stored, str]] = []
        for frame, records in groups.items():
            kind = self._schemas.get(int.from_bytes(frame[1:], "big")) if _is_frame(frame) else None
            if kind is not None:
                parts += _typed(kind, records, unreadable)
            elif frame == b"":
                parts += _schemas(records, unreadable)
            else:
                unreadable += [(stored, _unframed(frame)) for stored in records]
        if unreadable:
            parts.append(Part(UNREADABLE, 0, _unreadable_table(unreadable)))
        return parts

    def tables(self) -> dict[str, pa.Table]:
        """Return a table a type of what was collected, and begin anew; versions of a type become one table.

        A field that a version lacks is null in its rows. Where versions cannot be brought together (a field changed its
        type), raises `pyarrow.ArrowTypeError`: take the parts instead.
        """
        found: dict[str, list[pa.Table]] = {}
        for part in self.take():
            found.setdefault(part.type, []).append(part.table)
        return {name: _together(tables) for name, tables in found.items()}


class Schemas:
    """The writers' schemas by id, as the log's topic of schemas has them."""

    def __init__(self) -> None:
        self._by_id: dict[int, WireType] = {}

    def learn(self, stored: Stored) -> bool:
        """Take a record of the topic of schemas; return whether it is one that can be used."""
        try:
            kind = WireType((stored.value or b"").decode())
        except ValueError:
            return False
        if kind.schema_id != int(stored.key if stored.key.isdigit() else b"-1"):
            return False
        self._by_id.setdefault(kind.schema_id, kind)
        return True

    def add(self, schema_json: str) -> WireType:
        """Take a schema's text; raises `SchemaError`."""
        kind = WireType(schema_json)
        return self._by_id.setdefault(kind.schema_id, kind)

    def get(self, schema_id: int) -> WireType | None:
        """Return the type of a schema id, None for one that is not known."""
        return self._by_id.get(schema_id)

    def types(self) -> list[WireType]:
        """Return all that are known."""
        return list(self._by_id.values())


def _typed(kind: WireType, records: list[Stored], unreadable: list[tuple[Stored, str]]) -> list[Part]:
    keys = _keys(records)
    if keys is None:
        unreadable += [(stored, "the key is no UTF-8") for stored in records if not _is_text(stored.key)]
        records = [stored for stored in records if _is_text(stored.key)]
        keys = _keys(records)
    if not records:
        return []
    read = kind.read([stored.value or b"" for stored in records])
    if read.bad:
        bad = set(read.bad)
        unreadable += [(records[index], kind.why_bad(records[index].value or b"")) for index in read.bad]
        records = [stored for index, stored in enumerate(records) if index not in bad]
        keys = _keys(records)
    if not records:
        return []
    *own, envelope = read.columns
    columns = [*_places(records), keys, envelope, *own, *_originals(records)]
    return [Part(kind.name, kind.schema_id, pa.Table.from_arrays(columns, [*BEFORE, *kind.names, *AFTER]))]


def _schemas(records: list[Stored], unreadable: list[tuple[Stored, str]]) -> list[Part]:
    """Make the table of the topic of schemas; a record without a value elsewhere is nothing that HMS writes."""
    good = [one for one in records if one.topic == SCHEMAS and _is_text(one.key) and _is_text(one.value or b"")]
    known = {(one.topic, one.partition, one.offset) for one in good}
    unreadable += [
        (stored, "no text" if stored.topic == SCHEMAS else "no value, or one without a schema id")
        for stored in records
        if (stored.topic, stored.partition, stored.offset) not in known
    ]
    if not good:
        return []
    texts = pa.array([None if one.value is None else one.value.decode() for one in good], pa.string())
    columns = [*_places(good), _keys(good), texts, *_originals(good)]
    names = [*BEFORE[:-1], "schema_json", *AFTER]
    return [Part(SCHEMA, 0, pa.Table.from_arrays(columns, names))]


def _unreadable_table(found: Sequence[tuple[Stored, str]]) -> pa.Table:
    records = [stored for stored, _ in found]
    keys = pa.array([stored.key for stored in records], pa.binary())
    reasons = pa.array([reason for _, reason in found], pa.string())
    columns = [*_places(records), keys, reasons, *_originals(records)]
    return pa.Table.from_arrays(columns, [*BEFORE[:-1], "reason", *AFTER])


def _places(records: list[Stored]) -> list[pa.Array]:
    """Return topic, shard, position and append time."""
    topics = pa.array([stored[0] for stored in records]).dictionary_encode().cast(TOPIC)
    shards = pa.array(np.fromiter((stored[1] for stored in records), np.int32, len(records)))
    positions = pa.array(np.fromiter((stored[2] for stored in records), np.int64, len(records)))
    times = pa.array(np.fromiter((stored[3] for stored in records), np.int64, len(records)))
    return [topics, shards, positions, times.view(INSTANT)]


def _keys(records: list[Stored]) -> pa.Array | None:
    """Return the keys as texts; None if any is none."""
    keys = pa.array([stored[4] for stored in records], pa.binary())
    try:
        return keys.cast(pa.string())
    except pa.ArrowInvalid:
        return None


def _originals(records: list[Stored]) -> list[pa.Array]:
    """Return the headers and the values, byte for byte."""
    return [headers_array([stored[6] for stored in records]), pa.array([stored[5] for stored in records], pa.binary())]


def headers_array(headers: Sequence[Headers]) -> pa.Array:
    """Return headers as Arrow has them."""
    sizes = np.fromiter(map(len, headers), np.int32, len(headers))
    offsets = np.concatenate((np.zeros(1, np.int32), np.cumsum(sizes, dtype=np.int32)))
    names = pa.array([name for some in headers for name, _ in some], pa.string())
    values = pa.array([value for some in headers for _, value in some], pa.binary())
    inner = pa.StructArray.from_arrays([names, values], fields=list(HEADERS.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), inner, type=HEADERS)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_frame(frame: bytes) -> bool:
    return len(frame) == FRAME_BYTES and frame[0] == 0


def _unframed(frame: bytes) -> str:
    if _is_frame(frame):
        return f"{UNKNOWN_SCHEMA} {int.from_bytes(frame[1:], 'big')}"
    return f"expected 00 and four bytes of schema id, got {frame.hex(' ') or 'nothing'}"


def _together(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    return pa.concat_tables(tables, promote_options="permissive")

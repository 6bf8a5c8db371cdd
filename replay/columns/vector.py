"""Readers of columns: an Avro schema made into what reads one field of many records at once.

Records of scalars, optional values and records inside are read so, which is nearly every type on a hot path. Arrays,
maps and wider unions have no fixed place for what follows; types with these are read row by row (`rows`).
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from .arrow_types import INSTANT, SCALARS, Named, arrow_type, optional_of, resolved
from .cursor import Cursor, Flags

Reader = Callable[[Cursor], pa.Array]
_INT32: Final = (-(2**31), 2**31 - 1)


def reader_of(schema: Any, named: Named) -> Reader | None:
    """Return what reads a column of this schema; None where records must be read one by one."""
    match resolved(schema, named):
        case str(scalar):
            return _SCALAR_READERS.get(scalar)
        case list(branches):
            return _optional_reader(branches, named)
        case {"type": "record", "fields": fields}:
            return _record_reader(fields, named)
        case {"logicalType": "timestamp-micros"}:
            return _instants
    return None


def readers_of(fields: list[Any], named: Named) -> list[Reader] | None:
    """Return the readers of a record's fields, if all have one."""
    found = [reader_of(field["type"], named) for field in fields]
    known = [reader for reader in found if reader is not None]
    return known if len(known) == len(found) else None


def _longs(cursor: Cursor) -> pa.Array:
    return pa.array(cursor.longs())


def _ints(cursor: Cursor) -> pa.Array:
    values = cursor.longs()
    cursor.bad |= (values < _INT32[0]) | (values > _INT32[1])
    return pa.array(values.astype(np.int32))


def _instants(cursor: Cursor) -> pa.Array:
    return pa.array(cursor.longs()).view(INSTANT)


def _booleans(cursor: Cursor) -> pa.Array:
    found = cursor.fixed(1)[:, 0]
    cursor.bad |= found > 1
    return pa.array(found == 1)


def _floats(cursor: Cursor) -> pa.Array:
    return pa.array(np.ascontiguousarray(cursor.fixed(4)).view("<f4")[:, 0])


def _doubles(cursor: Cursor) -> pa.Array:
    return pa.array(np.ascontiguousarray(cursor.fixed(8)).view("<f8")[:, 0])


_SCALAR_READERS: Final[dict[str, Reader]] = {
    "string": lambda cursor: cursor.strings(SCALARS["string"]),
    "bytes": lambda cursor: cursor.strings(SCALARS["bytes"]),
    "boolean": _booleans,
    "int": _ints,
    "long": _longs,
    "float": _floats,
    "double": _doubles,
}


def _record_reader(fields: list[Any], named: Named) -> Reader | None:
    readers = readers_of(fields, named)
    names = [field["name"] for field in fields]
    if readers is None:
        return None
    if not readers:
        return lambda cursor: pa.array(np.ones(len(cursor), np.bool_))
    return lambda cursor: pa.StructArray.from_arrays([read(cursor) for read in readers], names)


def _optional_reader(branches: list[Any], named: Named) -> Reader | None:
    inner = optional_of(branches)
    known = dict(named)
    reader = None if inner is None else reader_of(inner, named)
    if reader is None:
        return None
    kind = arrow_type(inner, known)
    set_branch = next(index for index, branch in enumerate(branches) if branch != "null")
    two = len(branches) == 2  # noqa: PLR2004 - null and the other; a union of one has no null

    def read(cursor: Cursor) -> pa.Array:
        branch = cursor.longs()
        is_set = branch == set_branch
        if two:
            cursor.bad |= (branch != 0) & (branch != 1)
        else:
            cursor.bad |= ~is_set
        return _where(cursor, is_set, reader, kind)

    return read


def _where(cursor: Cursor, is_set: Flags, reader: Reader, kind: pa.DataType) -> pa.Array:
    """Read a value where there is one."""
    count = int(np.count_nonzero(is_set))
    if count == 0:
        return pa.nulls(len(cursor), kind)
    if count == len(cursor):
        return reader(cursor)
    which = np.flatnonzero(is_set)
    part = cursor.some(which)
    values = reader(part)
    cursor.put_back(part, which)
    return values.take(pa.array(np.cumsum(is_set) - 1, mask=~is_set))

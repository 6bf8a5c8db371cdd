"""From an Avro schema to Arrow types, and Avro's values in the shape that Arrow takes.

| Avro | Arrow |
| --- | --- |
| string, bytes, boolean, int, long, float, double | string, binary, bool, int32, int64, float, double |
| long, `timestamp-micros` | timestamp[us, UTC] |
| array, map | list, map |
| record | struct; bool (true) for one without fields, because Parquet has no empty struct |
| union of null and one other | that one, nullable |
| any other union | struct of `branch` (its name) and one nullable field a branch |
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

INSTANT: Final = pa.timestamp("us", tz="UTC")
SCALARS: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "null": pa.null(),
}
Shape = Callable[[Any], Any]
Named = dict[str, dict[str, Any]]
"""The records defined so far, by full name: a schema names them when they come again."""


def resolved(schema: Any, named: Named) -> Any:
    """Return a schema with a name replaced by what it stands for; new records are added to `named`."""
    if isinstance(schema, str) and schema in named:
        return named[schema]
    if isinstance(schema, dict) and schema["type"] == "record":
        named[schema["name"]] = schema
    return schema


def arrow_type(schema: Any, named: Named) -> pa.DataType:
    """Return the Arrow type of an Avro schema's values."""
    schema = resolved(schema, named)
    if isinstance(schema, str):
        return SCALARS[schema]
    return _union_type(schema, named) if isinstance(schema, list) else _composite_type(schema, named)


def _composite_type(schema: dict[str, Any], named: Named) -> pa.DataType:
    match schema:
        case {"type": "record", "fields": fields}:
            inner = [pa.field(field["name"], arrow_type(field["type"], named)) for field in fields]
            return pa.struct(inner) if inner else pa.bool_()
        case {"type": "array", "items": items}:
            return pa.list_(arrow_type(items, named))
        case {"type": "map", "values": values}:
            return pa.map_(pa.string(), arrow_type(values, named))
        case {"logicalType": "timestamp-micros"}:
            return INSTANT
    return SCALARS[schema["type"]]


def optional_of(branches: list[Any]) -> Any:
    """Return the one branch besides null; None for any other union."""
    others = [branch for branch in branches if branch != "null"]
    return others[0] if len(others) == 1 else None


def branch_names(branches: list[Any]) -> list[str]:
    """Return what the branches of a union are called as fields: record types by their last word."""
    full = [
        branch["name"] if isinstance(branch, dict) and "name" in branch else _plain_name(branch) for branch in branches
    ]
    short = [name.rpartition(".")[2] for name in full]
    return short if len(set(short)) == len(short) else [name.replace(".", "_") for name in full]


def _plain_name(branch: Any) -> str:
    return str(branch["type"] if isinstance(branch, dict) else branch)


def _union_type(branches: list[Any], named: Named) -> pa.DataType:
    only = optional_of(branches)
    if only is not None:
        return arrow_type(only, named)
    others = [branch for branch in branches if branch != "null"]
    fields = [
        pa.field(name, arrow_type(branch, named)) for name, branch in zip(branch_names(others), others, strict=True)
    ]
    return pa.struct([pa.field("branch", pa.string()), *fields])


@lru_cache(1)
def _same() -> Shape:
    return lambda value: value


def shape_of(schema: Any, named: Named) -> Shape | None:
    """Return what brings a value that Avro's reader gives into Arrow's shape; None where it has it already.

    A branch of a union that is a record comes as a pair of its full name and its fields.
    """
    match resolved(schema, named):
        case list(branches):
            return _union_shape(branches, named)
        case {"type": "record", "fields": fields}:
            return _record_shape(fields, named)
        case {"type": "array", "items": items}:
            inner = shape_of(items, named)
            return None if inner is None else lambda value: [inner(item) for item in value]
        case {"type": "map", "values": values}:
            each = shape_of(values, named) or _same()
            return lambda value: [(key, each(item)) for key, item in value.items()]
    return None


def _record_shape(fields: list[Any], named: Named) -> Shape | None:
    shapes = {field["name"]: shape_of(field["type"], named) for field in fields}
    if not shapes:
        return lambda _: True
    changing = {name: shape for name, shape in shapes.items() if shape is not None}
    if not changing:
        return None
    return lambda value: {**value, **{name: shape(value[name]) for name, shape in changing.items()}}


def _union_shape(branches: list[Any], named: Named) -> Shape | None:
    only = optional_of(branches)
    if only is not None:
        return _optional_shape(only, named)
    others = [resolved(branch, named) for branch in branches if branch != "null"]
    inner = {
        _reader_name(branch): (name, shape_of(branch, named) or _same())
        for name, branch in zip(branch_names(others), others, strict=True)
    }
    return lambda value: None if value is None else _chosen(value, inner)


def _optional_shape(branch: Any, named: Named) -> Shape | None:
    resolved_branch = resolved(branch, named)
    shape = shape_of(branch, named)
    if isinstance(resolved_branch, dict) and resolved_branch["type"] == "record":
        each = shape or _same()
        return lambda value: None if value is None else each(value[1] if isinstance(value, tuple) else value)
    return None if shape is None else lambda value: None if value is None else shape(value)


def _reader_name(branch: Any) -> str:
    return str(branch["name"]) if isinstance(branch, dict) and "name" in branch else _plain_name(branch)


_OF_PYTHON: Final = {str: "string", bytes: "bytes", bool: "boolean", dict: "map", list: "array"}


def _chosen(value: Any, inner: dict[str, tuple[str, Shape]]) -> dict[str, Any]:
    """Return a value of a union as a struct of its branches."""
    if isinstance(value, tuple):
        known, inside = value
    else:
        known, inside = _branch_of(value, inner), value
    name, shape = inner[known]
    return {"branch": name, name: shape(inside)}


def _branch_of(value: Any, inner: dict[str, tuple[str, Shape]]) -> str:
    if type(value) in _OF_PYTHON:
        return _OF_PYTHON[type(value)]
    return next(kind for kind in ("long", "int", "double", "float") if kind in inner)

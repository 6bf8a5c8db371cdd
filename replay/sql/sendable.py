"""Columns of types that a stream of Arrow or a Parquet file cannot hold, or not whole: they leave as DuckDB writes them."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation
    from duckdb.sqltypes import DuckDBPyType

_TEXT: Final = frozenset(
    {
        *("enum", "union", "interval", "time with time zone", "time_ns", "timestamp_ns", "timestamptz_ns"),
        *("uhugeint", "bignum", "bit", "geometry", "variant"),
    }
)
"""An enum needs a dictionary beside the rows; an `uhugeint` loses its upper half, a time its zone, an instant its nanos."""


def sendable(relation: "DuckDBPyRelation") -> "DuckDBPyRelation":
    """Return the relation with every such column, or such part of one, as text; names may get numbers."""
    kinds = [_sendable(kind) for kind in relation.types]
    if kinds == [str(kind) for kind in relation.types]:
        return relation
    columns = (
        f"#{place}::{kind} AS {_name(name)}" if kind != str(was) else f"#{place}"
        for place, (name, was, kind) in enumerate(zip(relation.columns, relation.types, kinds, strict=True), 1)
    )
    return relation.project(", ".join(columns))


def _sendable(kind: "DuckDBPyType") -> str:
    """Return a type of the same form that can be sent, as SQL writes it."""
    if kind.id in _TEXT:
        return "VARCHAR"
    parts: list[tuple[str, Any]] = list(kind.children) if kind.id in {"list", "array", "struct", "map"} else []
    match kind.id, parts:
        case "list", [(_, inner)]:
            return f"{_sendable(inner)}[]"
        case "array", [(_, inner), (_, size)]:
            return f"{_sendable(inner)}[{size}]"
        case "map", [(_, key), (_, value)]:
            return f"MAP({_sendable(key)}, {_sendable(value)})"
        case "struct", [*fields] if any(_sendable(inner) != str(inner) for _, inner in fields):
            return f"STRUCT({', '.join(f'{_name(name)} {_sendable(inner)}' for name, inner in fields)})"
    return str(kind)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

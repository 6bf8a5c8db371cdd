"""The statements that make the views: a record type's columns over Arrow tables and Parquet files, whatever schema wrote them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..columns.names import column_names
from .catalog import BARE, UNREADABLE, Catalog, Kind
from .composed import COMPOSED, branch, everything
from .fresh import parquet, quoted

if TYPE_CHECKING:
    import pyarrow as pa

ENTIRE = ("events", "messages")
"""The views of all records of some topics."""


class Part(NamedTuple):
    """Where the records of a type are that one of `catalog.SOURCES` holds: tables, and files by the schema that wrote them.

    `fresh` are small files under names of `fresh.Fresh`.
    """

    tables: tuple[str, ...] = ()
    files: tuple[tuple[str, ...], ...] = ()
    fresh: tuple[tuple[str, tuple[str, ...]], ...] = ()


Parts = Mapping[tuple[str, str], Part]
"""By source and type."""


class Column(NamedTuple):
    """A column of a type's own: its field, its name, the names it had before, and what stands in where it is missing."""

    field: str
    name: str
    former: tuple[str, ...]
    default: Any


def columns_of(kind: Kind) -> list[Column]:
    """Return the columns that a type's view shows beside those that every view has."""
    fields = list(kind.fields)
    names = dict(zip(fields, column_names(fields), strict=True))
    aliases, defaults = kind.aliases, kind.defaults
    replaced = {alias for former in aliases.values() for alias in former}
    return [
        Column(field, names[field], tuple(names.get(one, one) for one in aliases.get(field, ())), defaults.get(field))
        for field in fields
        if field not in replaced
    ]


def shape_of(kind: Kind) -> "pa.Schema":
    """Return every column that a type's view may ask for, with the newest schema's Arrow types."""
    import pyarrow as pa  # noqa: PLC0415 - takes a tenth of a second, which a mistyped option need not pay

    from ..columns import WireType  # noqa: PLC0415
    from ..columns.arrow_types import INSTANT  # noqa: PLC0415
    from ..columns.columns import HEADERS, TOPIC  # noqa: PLC0415

    if kind.type in BARE:
        own = {column.name: pa.string() for column in columns_of(kind)}
        key = pa.binary() if kind.type == UNREADABLE else pa.string()
        envelope = {}
    else:
        key = pa.string()
        wire_types = [WireType(json.dumps(schema)) for schema in reversed(kind.schemas)]
        envelope = {"envelope": wire_types[0].types[-1]}
        own = {}
        for wire_type in wire_types:
            own = {**dict(zip(wire_type.names, wire_type.types, strict=False)), **own}
        for column in columns_of(kind):
            own = {**dict.fromkeys(column.former, own[column.name]), **own}
    before = {"topic": TOPIC, "shard": pa.int32(), "position": pa.int64(), "appended_at": INSTANT, "record_key": key}
    return pa.schema({**before, **envelope, **own, "headers": HEADERS, "bytes": pa.binary()})


class Views:
    """Makes statements of a catalog; `shape` is the empty table of a type, `parts` say where its records are."""

    def __init__(self, catalog: Catalog, shapes: Mapping[str, str], parts: Parts) -> None:
        self._catalog = catalog
        self._shapes = shapes
        self._parts = parts

    def of_type(self, kind: Kind) -> Iterator[str]:
        """Yield what makes a type's view, under its full name, and the short one where it is nobody else's."""
        names = [kind.type, *(former.type for former in self._catalog.former(kind))]
        parts = [part for (_, name), part in sorted(self._parts.items()) if name in names]
        body = self._body(kind, parts)
        yield f"CREATE SCHEMA IF NOT EXISTS {_name(kind.view.schema)}"
        yield f"CREATE OR REPLACE VIEW {_name(kind.view.schema)}.{_name(kind.view.name)} AS {body}"
        if self._catalog.is_unqualified(kind) and kind.view.schema != "main":
            yield (
                f"CREATE OR REPLACE VIEW main.{_name(kind.view.name)} AS "  # noqa: S608
                f"SELECT * FROM {_name(kind.view.schema)}.{_name(kind.view.name)}"
            )

    def entire(self, source: str) -> str:
        """Return what makes `events` or `messages`."""
        branches = []
        for (held, name), part in sorted(self._parts.items()):
            if held == source and name not in BARE:
                kind = self._catalog.kinds[name]
                columns = {column.field: column.name for column in columns_of(kind)}
                branches.append(branch(f"({self._body(kind, [part])})", name, columns))
        return everything(source, branches or [self._nothing()])

    @staticmethod
    def composed(name: str) -> str:
        """Return what makes one of the other views; those that it is made of are there."""
        return f"CREATE OR REPLACE VIEW {name} AS {COMPOSED[name].sql}"

    def _nothing(self) -> str:
        kind = self._catalog.kinds["hms.Commit"]
        return branch(f"({self._body(kind, [])})", "", {}) + " WHERE false"

    def _body(self, kind: Kind, parts: Sequence[Part]) -> str:
        sources = [_name(self._shapes[kind.type]), *(_name(table) for part in parts for table in part.tables)]
        for part in parts:
            sources.extend(parquet(alike) for alike in part.files)
            sources.extend(quoted(name) for name, _ in part.fresh)
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {source}" for source in sources)  # noqa: S608
        own = "".join(f"{_value(column)} AS {_name(column.name)}, " for column in columns_of(kind))
        envelope = "" if kind.type in BARE else "envelope, "
        return f"SELECT topic, shard, position, appended_at, record_key, {envelope}{own}headers, bytes FROM ({union})"  # noqa: S608


def _value(column: Column) -> str:
    values = [_name(name) for name in (column.name, *column.former)]
    if column.default is not None:
        values.append(_constant(column.default))
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _constant(value: Any) -> str:
    """Return a default of an Avro schema as SQL; what is no scalar goes through JSON."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case []:
            return "[]"
    return f"{_text(json.dumps(value))}::JSON"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

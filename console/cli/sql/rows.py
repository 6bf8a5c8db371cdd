"""Values of an answer as JSON and tables have them."""

import base64
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..plain_value import instant

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
_ENDLESS = {sign * (2**bits - 1): text for sign, text in ((1, "infinity"), (-1, "-infinity")) for bits in (31, 63)}
"""DuckDB's dates (31 bits) and instants (63) that lie beyond all others."""


def rows_of(batch: "pa.RecordBatch") -> Iterator[Row]:
    """Yield the rows, made of what JSON knows; of columns that have one name, each but the first gets a number."""
    names = unique(batch.schema.names)
    columns = [_column(column) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def unique(names: list[str]) -> list[str]:
    """Return names of which no two are the same."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}_{number}"
        found.append(one)
    return found


def _column(column: "pa.Array") -> list[Any]:
    try:
        return [plain(value) for value in column.to_pylist(maps_as_pydicts="lossy")]
    except (OverflowError, ValueError):
        return [_beyond(value) for value in column]


def _beyond(value: "pa.Scalar") -> Any:
    """Return a value of a column in which some dates are none that Python knows: those as text."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return plain(value.as_py(maps_as_pydicts="lossy"))
    except (OverflowError, ValueError):
        pass
    match value:
        case pa.StructScalar():
            return {name: _beyond(inner) for name, inner in value.items()}
        case pa.MapScalar():
            return {str(plain(pair["key"].as_py())): _beyond(pair["value"]) for pair in value.values}
        case pa.ListScalar() | pa.FixedSizeListScalar():
            return [_beyond(inner) for inner in value.values]
    return _ENDLESS.get(value.value) or str(value.cast(pa.string()))


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows: numbers that are none are null, durations seconds."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case datetime():
            return instant(value) if value.tzinfo is not None else value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return _number(value)
        case bytes():
            return base64.b64encode(value).decode()
    return str(value)


def _number(value: Decimal) -> int | float | str:
    """Return a decimal as the number that it is; as text, where a float has not all of its digits."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)

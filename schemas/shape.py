"""From a record to what fastavro takes, and back: compiled once per class, None where there is nothing to do.

fastavro takes dicts; records keep theirs in `__dict__`. What is left to do: name the branch of a union of records, so
that nobody guesses it (a `(name, dict)` tuple, four times as fast as a dict); keep an optional tuple from being taken
for such a pair; refuse datetimes without a zone, which fastavro would read in the machine's own.
"""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, get_args, get_origin

from pydantic import AwareDatetime

from .avro import branches, is_record, plain, type_name
from .errors import InvalidBody, Unencodable
from .record import Record

Convert = Callable[[Any], Any]

_own_values: Convert = attrgetter("__dict__")


def record_to_wire(cls: type[Record], namespace: str) -> Convert:
    """Return the function from a record of exactly this class to its dict."""
    steps = _steps(cls, namespace, _to_wire)
    if not steps:
        return _own_values

    def convert(record: Record) -> dict[str, Any]:
        values = record.__dict__.copy()
        for name, step in steps:
            values[name] = step(values[name])
        return values

    return convert


def record_from_wire(cls: type[Record], namespace: str) -> Convert | None:
    """Return the function from a dict as fastavro reads it to one that the model validates; None: it does at once."""
    steps = _steps(cls, namespace, _from_wire)
    if not steps:
        return None

    def convert(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, **{name: step(values[name]) for name, step in steps if name in values}}

    return convert


def _steps(
    cls: type[Record], namespace: str, compiled: Callable[[Any, str], Convert | None]
) -> list[tuple[str, Convert]]:
    found = [(name, compiled(info.annotation, namespace)) for name, info in cls.model_fields.items()]
    return [(name, step) for name, step in found if step is not None]


def _to_wire(annotation: Any, namespace: str) -> Convert | None:
    annotation = plain(annotation)
    if annotation in {datetime, AwareDatetime}:
        return _aware
    if is_record(annotation):
        return record_to_wire(annotation, namespace)
    if members := branches(annotation):
        return _union_to_wire(members, namespace)
    return _collection(annotation, namespace, _to_wire)


def _from_wire(annotation: Any, namespace: str) -> Convert | None:
    annotation = plain(annotation)
    if is_record(annotation):
        return record_from_wire(annotation, namespace)
    if members := branches(annotation):
        return _union_from_wire(members, namespace)
    return _collection(annotation, namespace, _from_wire)


def _collection(annotation: Any, namespace: str, compiled: Callable[[Any, str], Convert | None]) -> Convert | None:
    origin = get_origin(annotation)
    if origin is tuple:
        return _each(compiled(get_args(annotation)[0], namespace))
    if origin is dict:
        return _each_value(compiled(get_args(annotation)[1], namespace))
    return None


def _each(item: Convert | None) -> Convert | None:
    return item and (lambda values: [item(value) for value in values])


def _each_value(item: Convert | None) -> Convert | None:
    return item and (lambda values: {key: item(value) for key, value in values.items()})


def _or_none(inner: Convert | None) -> Convert | None:
    return inner and (lambda value: None if value is None else inner(value))


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise Unencodable(
            f"expected a datetime with a time zone, got {instant!r}; add tzinfo=UTC if that is what it is"
        )
    return instant


def _union_to_wire(members: tuple[Any, ...], namespace: str) -> Convert | None:
    if not is_record(members[0]):
        inner = _to_wire(members[0], namespace)
        return _or_none(list if inner is None and get_origin(members[0]) is tuple else inner)
    table = {cls: (type_name(cls, namespace), record_to_wire(cls, namespace)) for cls in members}

    def convert(record: Record | None) -> tuple[str, dict[str, Any]] | None:
        if record is None:
            return None
        branch = table.get(type(record))
        if branch is None:
            raise Unencodable(f"expected one of {[cls.__name__ for cls in table]}, got a {type(record).__name__}")
        return branch[0], branch[1](record)

    return convert


def _union_from_wire(members: tuple[Any, ...], namespace: str) -> Convert | None:
    if not is_record(members[0]):
        return _or_none(_from_wire(members[0], namespace))
    table: dict[str, tuple[type[Record], Convert | None]] = {
        type_name(cls, namespace): (cls, record_from_wire(cls, namespace)) for cls in members
    }

    def convert(branch: tuple[str, dict[str, Any]] | None) -> Record | None:
        if branch is None:
            return None
        name, values = branch
        if name not in table:
            raise InvalidBody(f"expected one of {list(table)}, got {name}")
        cls, inner = table[name]
        return cls.model_validate(values if inner is None else inner(values), extra="ignore")

    return convert

r"""From a record's class to its Avro schema.

The list of types that a field may have is closed, and anything else is refused when the class is registered:

| Python | Avro |
| --- | --- |
| `str`, `Literal["a", "b"]`, a `StrEnum` | string (closed sets may grow, so they are no Avro enums) |
| `int` (64 bits) | long |
| `float` | double |
| `bool`, `bytes` | boolean, bytes |
| `datetime` with a time zone, `AwareDatetime` | long, `timestamp-micros` |
| `X \| None` | union with null |
| `A \| B` of records | union of records |
| `tuple[X, ...]`, `dict[str, X]` | array, map |
| a `Record` | record |

Constraints (`Annotated`, `Field`) stay with the model. Defaults become Avro defaults.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from inspect import cleandoc
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .envelope import EPOCH
from .errors import UnsupportedType
from .record import Record

Schema = str | dict[str, Any] | list[Any]

INSTANT: Final = {"type": "long", "logicalType": "timestamp-micros"}
_SCALARS: Final[dict[Any, Schema]] = {
    str: "string",
    int: "long",
    float: "double",
    bool: "boolean",
    bytes: "bytes",
    datetime: INSTANT,
    AwareDatetime: INSTANT,
}
_MICROSECOND: Final = timedelta(microseconds=1)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_ALLOWED: Final = (
    "str, int, float, bool, bytes, datetime, Literal of strings, StrEnum, X | None, tuple[X, ...], dict[str, X], "
    "a Record, or a union of Records"
)


def avro_schema(cls: type[Record], type_name: str) -> dict[str, Any]:
    """Return the schema of a record's body under a full type name; raises `UnsupportedType`.

    Every name in it is a full one; records inside take the namespace of `type_name`, or their own `explicit_type`.
    """
    if "envelope" in cls.model_fields:
        raise UnsupportedType(f"{cls.__name__}.envelope: the wire record has a field of that name; rename it")
    return _Generator(namespace_of(type_name)).define(cls, type_name)


def type_name(cls: type[Record], app: str) -> str:
    """Return a class's name on the wire: its `explicit_type`, else `<app>.<Class>`; never the module's path."""
    return cls.explicit_type or (f"{app}.{cls.__name__}" if app else cls.__name__)


def namespace_of(name: str) -> str:
    """Return what stands before the last dot of a type name, which is the app's name."""
    return name.rpartition(".")[0]


def plain(annotation: Any) -> Any:
    """Return an annotation without `Annotated`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def is_record(annotation: Any) -> bool:
    """Say whether an annotation is a record's class."""
    return isinstance(annotation, type) and issubclass(annotation, Record)


def branches(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union without None, flat; nothing if it is no union."""
    if get_origin(annotation) not in {Union, UnionType}:
        return ()
    members = (plain(member) for member in get_args(annotation))
    return tuple(inner for member in members if member is not NoneType for inner in (branches(member) or (member,)))


def is_optional(annotation: Any) -> bool:
    """Say whether a union has None among its members, at any depth."""
    return get_origin(annotation) in {Union, UnionType} and any(
        member is NoneType or is_optional(plain(member)) for member in get_args(annotation)
    )


def _is_empty(annotation: Any) -> bool:
    annotation = plain(annotation)
    return is_record(annotation) and all(_is_empty(info.annotation) for info in annotation.model_fields.values())


class _Generator:
    """One schema in the making; a record is defined where it comes first and named where it comes again."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._defined: dict[str, type[Record]] = {}
        self._open: list[type[Record]] = []

    def define(self, cls: type[Record], name: str) -> dict[str, Any]:
        if _NAME.fullmatch(name) is None or name == "hms.Envelope":
            raise UnsupportedType(
                f"{cls.__name__}: expected a name of letters, digits, _ and dots, got {name!r}; set explicit_type"
            )
        self._defined[name] = cls
        self._open.append(cls)
        fields = [self._field(cls, key, info) for key, info in cls.model_fields.items()]
        self._open.pop()
        return {"type": "record", "name": name, **_doc(cls), "fields": fields}

    def _field(self, cls: type[Record], name: str, info: FieldInfo) -> dict[str, Any]:
        where = f"{cls.__name__}.{name}"
        if _NAME.fullmatch(name) is None or "." in name or info.alias or info.validation_alias:
            raise UnsupportedType(
                f"{where}: expected a name of ASCII letters, digits and _, without aliases; rename it"
            )
        default = _default(info, where)
        field = {"name": name, "type": self._schema(info.annotation, where, default)}
        return field if default is PydanticUndefined else {**field, "default": _json(default, where)}

    def _schema(self, annotation: Any, where: str, default: Any = PydanticUndefined) -> Schema:
        annotation = plain(annotation)
        if (scalar := _scalar(annotation)) is not None:
            return scalar
        if is_record(annotation):
            return self._record(annotation, where)
        if members := branches(annotation):
            return self._union(members, where, optional=is_optional(annotation), default=default)
        return self._collection(annotation, where)

    def _record(self, cls: type[Record], where: str) -> Schema:
        if cls in self._open:
            raise UnsupportedType(
                f"{where}: {cls.__name__} contains itself; flatten it (a hostile record could nest without end)"
            )
        name = type_name(cls, self._namespace)
        known = self._defined.get(name)
        if known is None:
            return self.define(cls, name)
        if known is not cls:
            raise UnsupportedType(f"{where}: two classes are called {name}; set explicit_type on one of them")
        return name

    def _union(self, members: tuple[Any, ...], where: str, *, optional: bool, default: Any) -> Schema:
        if len(members) > 1 and not all(is_record(member) for member in members):
            raise UnsupportedType(f"{where}: expected a union of records, or of one type and None; got {members!r}")
        null_first = optional and (default is None or default is PydanticUndefined)
        ordered = sorted(members, key=lambda member: isinstance(default, Record) and type(default) is not member)
        schemas = [self._schema(member, where) for member in ordered]
        if not optional:
            return schemas
        return ["null", *schemas] if null_first else [*schemas, "null"]

    def _collection(self, annotation: Any, where: str) -> Schema:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
            if _is_empty(arguments[0]):
                raise UnsupportedType(f"{where}: a tuple of records without fields takes no bytes; store their count")
            return {"type": "array", "items": self._schema(arguments[0], where)}
        if origin is dict and arguments[0] is str:
            return {"type": "map", "values": self._schema(arguments[1], where)}
        raise UnsupportedType(f"{where}: expected {_ALLOWED}; got {annotation!r}")


def _scalar(annotation: Any) -> Schema | None:
    if get_origin(annotation) is Literal:
        return "string" if all(isinstance(word, str) for word in get_args(annotation)) else None
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return "string"
    return _SCALARS.get(annotation) if isinstance(annotation, type) else None


def _doc(cls: type[Record]) -> dict[str, str]:
    text = cls.__dict__.get("__doc__")
    return {"doc": cleandoc(text)} if text else {}


def _default(info: FieldInfo, where: str) -> Any:
    """Return a field's default; a factory must be a constant, since a schema that varies gets a new id each time."""
    if info.default_factory is None:
        return info.default
    factory: Any = info.default_factory
    if factory in {dict, tuple} or is_record(factory):
        return factory()
    raise UnsupportedType(f"{where}: expected a default, or dict, tuple or a Record as its factory; got {factory!r}")


def _json(default: Any, where: str) -> Any:
    """Return a default as Avro writes it in a schema."""
    match default:
        case Record():
            return {name: _json(value, where) for name, value in default.__dict__.items()}
        case dict():
            return {key: _json(value, where) for key, value in default.items()}
        case tuple() | list():
            return [_json(item, where) for item in default]
        case _:
            return _json_scalar(default, where)


def _json_scalar(default: Any, where: str) -> Any:
    match default:
        case bytes():
            return default.decode("latin-1")
        case datetime():
            return instant_us(default, where)
        case float() if not isfinite(default):
            raise UnsupportedType(f"{where}: JSON has no {default}; use None for no value")
        case str():
            return str(default)  # a member of a StrEnum too
        case None | int() | float():
            return default
        case _:
            raise UnsupportedType(f"{where}: expected a default of the field's own type, got {default!r}")


def instant_us(instant: datetime, where: str) -> int:
    """Return microseconds since the epoch, exactly; raises `UnsupportedType` for a datetime without a zone."""
    if instant.tzinfo is None:
        raise UnsupportedType(f"{where}: expected a datetime with a time zone, got {instant!r}")
    return (instant - EPOCH) // _MICROSECOND

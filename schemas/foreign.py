"""Types that this process has no class for: older versions of its own, and strangers' altogether, read by their schemas.

Schemas come from the log, so they are not trusted: only the closed list is taken. A schema that contains itself, or an
array of nothing, would let a few bytes eat the stack or the memory.
"""

import json
from io import BytesIO
from typing import Any, Final, NamedTuple, cast

from fastavro import parse_schema, schemaless_reader

from .avro import instant_us
from .envelope import ENVELOPE_SCHEMA, Envelope, decode_envelope, encode_envelope
from .errors import InvalidEnvelope, SchemaError, TrailingBytes, WrongType
from .fingerprint import normalised, schema_id
from .wire import FRAME_BYTES, UNREADABLE, unreadable

_DEPTH_MAX: Final = 32
_SCALARS: Final = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
_OUR_ENVELOPE: Final = normalised(ENVELOPE_SCHEMA)


class Unknown(NamedTuple):
    """A record whose class is not registered: its type and its fields; a branch of a union is a `(name, fields)` pair."""

    type: str
    data: dict[str, Any]


class ForeignType:
    """A wire schema read from the log."""

    __slots__ = ("_body", "_envelope", "name", "schema_id", "schema_json", "version")

    def __init__(self, schema_json: str) -> None:
        try:
            schema = json.loads(schema_json)
            verify(schema)
            self.schema_json = normalised(schema)
            self._body, self._envelope = _halves(schema)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise SchemaError(f"expected a wire schema, got {schema_json[:200]!r}: {error}") from error
        self.schema_id = schema_id(self.schema_json)
        self.name: str = schema["name"]
        self.version: int = schema.get("version", 1)

    def body(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a framed value; raises `TruncatedRecord`."""
        return self._read(BytesIO(value))

    def decode(self, value: bytes) -> tuple[Envelope, dict[str, Any]]:
        """Return both halves of a framed value; raises `MalformedRecord`."""
        stream = BytesIO(value)
        data = self._read(stream)
        envelope = self._read_envelope(value, stream)
        if envelope.type != self.name:
            raise WrongType(self.name, envelope.type)
        return envelope, data

    def _read(self, stream: BytesIO) -> dict[str, Any]:
        stream.seek(FRAME_BYTES)
        try:
            return cast("dict[str, Any]", schemaless_reader(stream, self._body, None, return_record_name=True))
        except UNREADABLE as error:
            raise unreadable(self.name, error) from error

    def _read_envelope(self, value: bytes, stream: BytesIO) -> Envelope:
        if self._envelope is None:
            return decode_envelope(value, stream.tell())
        return _evolved_envelope(self._envelope, stream)


def _halves(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the parsed schemas of the body and of the envelope; None for the envelope as this version has it."""
    *fields, last = schema["fields"]
    if schema["type"] != "record" or last["name"] != "envelope" or last["type"]["name"] != ENVELOPE_SCHEMA["name"]:
        raise SchemaError("the last field of a wire record is `envelope`, an hms.Envelope")
    body = parse_schema({"type": "record", "name": schema["name"], "fields": fields})
    envelope = None if normalised(last["type"]) == _OUR_ENVELOPE else parse_schema(last["type"])
    return cast("dict[str, Any]", body), cast("dict[str, Any] | None", envelope)


def _evolved_envelope(schema: dict[str, Any], stream: BytesIO) -> Envelope:
    """Read another version's envelope: fields unknown here are dropped, missing ones take their defaults."""
    try:
        values = cast("dict[str, Any]", schemaless_reader(stream, schema, None))
        at = values.pop("at")
        known = {name: value for name, value in values.items() if name in Envelope._fields}
        envelope = Envelope(at_us=instant_us(at, "envelope.at"), **known)
        checked = decode_envelope(encode_envelope(envelope))
    except UNREADABLE as error:
        raise InvalidEnvelope(f"expected an envelope of its own schema, got {type(error).__name__}: {error}") from error
    if rest := stream.read():
        raise TrailingBytes(f"expected the end after the envelope, got {len(rest)} bytes")
    return checked


def verify(schema: Any, opened: tuple[str, ...] = (), sizes: dict[str, bool] | None = None) -> bool:
    """Check that a schema is of the closed list and nests at most 32 deep; return whether its values take bytes.

    `opened` names the records around it, `sizes` those met so far. Raises `SchemaError`.
    """
    sizes = {} if sizes is None else sizes
    if len(opened) > _DEPTH_MAX:
        raise SchemaError(f"expected at most {_DEPTH_MAX} levels")
    match schema:
        case "null":
            return False
        case str() if schema in _SCALARS:
            return True
        case str() if schema in sizes and schema not in opened:
            return sizes[schema]
        case list():
            return all([verify(branch, (*opened, ""), sizes) for branch in schema]) or True
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            sizes[name] = False
            sizes[name] = any([verify(field["type"], (*opened, name), sizes) for field in fields])
            return sizes[name]
        case {"type": "array", "items": items} if verify(items, (*opened, ""), sizes):
            return True
        case {"type": "map", "values": values}:
            return verify(values, (*opened, ""), sizes) or True
        case {"type": "long", "logicalType": "timestamp-micros"}:
            return True
        case _:
            raise SchemaError(f"expected a type that this contract writes, got {str(schema)[:100]}")

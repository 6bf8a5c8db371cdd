"""Types that this process has no class for, read by their schemas: strangers', and its own as other versions have them.

Schemas come from the log, so they are not trusted: only the closed list is taken. A schema that contains itself, or an
array of nothing, would let a few bytes eat the stack or the memory.
"""

import json
from io import BytesIO
from typing import Any, Final, NamedTuple, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import SchemaParseException

from .avro import instant_us
from .envelope import ENVELOPE_SCHEMA, Envelope, decode_envelope, encode_envelope
from .errors import InvalidEnvelope, SchemaError, TrailingBytes, Unencodable, WrongType
from .fingerprint import normalised, schema_id
from .wire import FRAME_BYTES, UNREADABLE, frame_of, unreadable

_DEPTH_MAX: Final = 32
_SCALARS: Final = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
_OUR_ENVELOPE: Final = normalised(ENVELOPE_SCHEMA)


class Unknown(NamedTuple):
    """A record whose class is not registered: type and fields; a branch of a union is a `(name, fields)` pair."""

    type: str
    data: dict[str, Any]


class ForeignType:
    """A wire schema read from the log."""

    __slots__ = ("_body", "_envelope", "name", "schema_id", "schema_json", "version")

    def __init__(self, schema_json: str) -> None:
        try:
            schema = json.loads(schema_json)
            _Verifier().check(schema)
            self.schema_json = normalised(schema)
            self._body, self._envelope = _halves(schema)
            self.name: str = schema["name"]
            self.version: int = _version(schema)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, SchemaParseException) as error:
            raise SchemaError(f"expected a wire schema, got {schema_json[:200]!r}: {error}") from error
        self.schema_id = schema_id(self.schema_json)

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

    def encode(self, values: dict[str, Any], envelope: Envelope) -> bytes:
        """Return the framed value that a writer with this schema gives these fields; those it does not know are left out.

        Raises `Unencodable`, also for an envelope that is not as this version has it.
        """
        if self._envelope is not None:
            raise Unencodable(f"{self.name}: its writer's envelope had other fields than this version's")
        out = BytesIO()
        try:
            schemaless_writer(out, self._body, values)
        except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
            raise Unencodable(f"{self.name}: expected fields that fit the recorded schema, got {error}") from error
        return b"".join((frame_of(self.schema_id), out.getvalue(), encode_envelope(envelope)))

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


def _version(schema: dict[str, Any]) -> int:
    version = schema.get("version", 1)
    if type(version) is not int or version < 1:
        raise SchemaError(f"expected a version of 1 or more, got {version!r}")
    return version


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


class _Verifier:
    """One pass over a schema from the log. Each method says whether the values take bytes, and raises `SchemaError`."""

    def __init__(self) -> None:
        self._take_bytes: dict[str, bool] = {}
        self._depth = 0

    def check(self, schema: Any) -> bool:
        if self._depth == _DEPTH_MAX:
            raise SchemaError(f"expected at most {_DEPTH_MAX} levels")
        self._depth += 1
        takes_bytes = self._composite(schema) if isinstance(schema, (dict, list)) else self._named(schema)
        self._depth -= 1
        return takes_bytes

    def _named(self, schema: Any) -> bool:
        """Take a scalar, or a record that is complete; one that is still open would contain itself."""
        if schema in _SCALARS or schema == "null":
            return bool(schema != "null")
        if schema not in self._take_bytes:
            raise SchemaError(f"expected a scalar or a record defined before, got {schema!r}")
        return self._take_bytes[schema]

    def _composite(self, schema: Any) -> bool:
        match schema:
            case list():
                return len([self.check(branch) for branch in schema]) > 0
            case {"type": "record", "name": str(name), "fields": list(fields)}:
                takes_bytes = [self.check(field["type"]) for field in fields]
                self._take_bytes[name] = any(takes_bytes)
                return any(takes_bytes)
            case {"type": "array", "items": items} if self.check(items):
                return True
            case {"type": "map", "values": values}:
                return self.check(values) or True
            case {"type": "long", "logicalType": "timestamp-micros"}:
                return True
        raise SchemaError(f"expected a type that this contract writes, got {str(schema)[:100]}")

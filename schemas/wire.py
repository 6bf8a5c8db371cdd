"""One type of record on the wire: Confluent's frame, the body, the envelope.

    00 | schema id, 4 bytes | the body's fields | the envelope's fields

An Avro record's bytes are its fields' bytes one after another, so the body and the envelope are written and read apart,
the envelope last: a fold decodes the body alone. Only generic readers and registries meet the two as one schema.

What it costs for two fields and an envelope, in microseconds (Python 3.11, one core of two): encode 3.4, of it the
body 1.6; decode both 6.2, the body alone 2.1; validating a message's constraints adds 0.4.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final, Generic, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from pydantic import ValidationError
from typing_extensions import TypeVar

from .avro import avro_schema, namespace_of
from .build import needs_no_check, unchecked
from .envelope import Envelope, decode_envelope, encode_envelope
from .errors import InvalidBody, MalformedRecord, TruncatedRecord, Unencodable, WrongType
from .fingerprint import normalised, schema_id, wire_schema
from .record import Record
from .shape import record_from_wire, record_to_wire

T = TypeVar("T", bound=Record)
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

FRAME_BYTES: Final = 5
UNREADABLE: Final = (EOFError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError, RecursionError)
"""What fastavro raises at bytes that its schema does not fit."""


def frame_of(id_: int) -> bytes:
    """Return the five bytes that stand before a record with this schema id."""
    return b"\x00" + id_.to_bytes(4, "big")


class RecordType(Generic[T]):
    """A registered class: its name, its schemas, and how its records become bytes and come back.

    Scalar records are rebuilt without validation where it could find nothing: the Avro types say all that an
    unconstrained model does, and states and events were validated by the fenced writer. Messages with constraints, and
    whatever has records inside, are validated.
    """

    __slots__ = (
        "_body",
        "_build",
        "_from_wire",
        "_to_wire",
        "body_schema",
        "cls",
        "frame",
        "name",
        "schema",
        "schema_id",
        "schema_json",
        "upcasters",
    )

    def __init__(self, cls: type[T], name: str, upcasters: Sequence[Upcaster] = ()) -> None:
        self.cls = cls
        self.name = name
        self.upcasters = tuple(upcasters)
        self.body_schema = avro_schema(cls, name)
        self.schema = wire_schema(self.body_schema, self.version)
        self.schema_json = normalised(self.schema)
        self.schema_id = schema_id(self.schema_json)
        self.frame = frame_of(self.schema_id)
        self._body = cast("dict[str, Any]", parse_schema(self.body_schema))
        self._to_wire = record_to_wire(cls, namespace_of(name))
        self._from_wire = record_from_wire(cls, namespace_of(name))
        self._build: Callable[[dict[str, Any]], T] = unchecked(cls) if needs_no_check(cls) else self._checked

    @property
    def version(self) -> int:
        """Return the version of what the fields mean: one more than there are upcasters."""
        return len(self.upcasters) + 1

    def encode_body(self, record: T) -> bytes:
        """Return the body's bytes, without frame and envelope; raises `Unencodable`."""
        out = BytesIO()
        try:
            schemaless_writer(out, self._body, self._to_wire(record))
        except Unencodable as error:
            raise Unencodable(f"{self.name}: {error}") from error
        except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
            raise Unencodable(f"{self.name}: expected values that fit the schema, got {record!r}: {error}") from error
        return out.getvalue()

    def fields(self, record: T) -> dict[str, Any]:
        """Return a record's fields as a schema takes them."""
        return cast("dict[str, Any]", self._to_wire(record))

    def wire(self, body: bytes, envelope: Envelope) -> bytes:
        """Return the value for the log from a body's bytes; raises `Unencodable`."""
        if envelope[3] != self.name:
            raise Unencodable(f"expected an envelope of type {self.name}, got one of type {envelope[3]}")
        return b"".join((self.frame, body, encode_envelope(envelope)))

    def encode(self, record: T, envelope: Envelope) -> bytes:
        """Return the value for the log; raises `Unencodable`."""
        return self.wire(self.encode_body(record), envelope)

    def decode_body(self, data: bytes, start: int = 0) -> T:
        """Return the record whose body begins at `start` (`FRAME_BYTES` in a framed value), whatever follows it."""
        return self._build(self._read(BytesIO(data), start))

    def decode(self, value: bytes) -> tuple[Envelope, T]:
        """Return both halves of a value with this type's frame; raises `MalformedRecord`."""
        stream = BytesIO(value)
        values = self._read(stream, FRAME_BYTES)
        envelope = self._read_envelope(value, stream.tell())
        return envelope, self._build(values)

    def envelope_of(self, value: bytes) -> Envelope:
        """Return the envelope of a value with this type's frame, even if the model would refuse its body."""
        stream = BytesIO(value)
        self._read(stream, FRAME_BYTES)
        return self._read_envelope(value, stream.tell())

    def adopt(self, values: dict[str, Any], version: int) -> T:
        """Return the record that another writer's fields stand for: upcast from its version, extra fields dropped.

        Missing fields get the model's defaults. `values` may be altered. Raises `InvalidBody`.
        """
        if version > self.version:
            raise InvalidBody(
                f"{self.name}: expected version {self.version} at most, got {version}; upgrade this reader"
            )
        for step, upcaster in enumerate(self.upcasters[version - 1 :], version):
            values = _upcast(self.name, step, upcaster, values)
        return self._checked(values)

    def _read(self, stream: BytesIO, start: int) -> dict[str, Any]:
        stream.seek(start)
        try:
            return cast("dict[str, Any]", schemaless_reader(stream, self._body, None, return_record_name=True))
        except UNREADABLE as error:
            raise unreadable(self.name, error) from error

    def _read_envelope(self, value: bytes, start: int) -> Envelope:
        envelope = decode_envelope(value, start)
        if envelope[3] != self.name:
            raise WrongType(self.name, envelope[3])
        return envelope

    def _checked(self, values: dict[str, Any]) -> T:
        try:
            return self.cls.model_validate(
                values if self._from_wire is None else self._from_wire(values), extra="ignore"
            )
        except MalformedRecord:
            raise
        except (ValidationError, TypeError) as error:
            raise InvalidBody(f"{self.name}: {error}") from error


def unreadable(name: str, error: BaseException) -> TruncatedRecord:
    """Return the error for a body that ends too early or means nothing."""
    return TruncatedRecord(
        f"expected the body of a {name}, got bytes that end or break: {type(error).__name__}: {error}"
    )


def _upcast(name: str, step: int, upcaster: Upcaster, values: dict[str, Any]) -> dict[str, Any]:
    where = f"{name}: upcaster from version {step}"
    try:
        values = upcaster(values)
    except Exception as error:  # an upcaster is the user's code: whatever it raises, this record cannot be read
        raise InvalidBody(f"{where}: expected fields of version {step}, got {type(error).__name__}: {error}") from error
    if not isinstance(values, dict):
        raise InvalidBody(f"{where}: expected a dict back, got a {type(values).__name__}; return the fields")
    return values

"""The contract of one process: the types that it has classes for, and the schemas that it has read from the log."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .envelope import Envelope
from .errors import BadFrame, MalformedRecord, SchemaCollision, SchemaError, TypeNameTaken, UnknownSchema
from .foreign import ForeignType, Unknown
from .record import Record
from .wire import FRAME_BYTES, RecordType, T, Upcaster, frame_of


class Decoded(NamedTuple):
    """A value's two halves; `record` is an instance of the registered class, or `Unknown`."""

    envelope: Envelope
    record: Record | Unknown


class Contract:
    """The registered types of some apps, and how any value on the log is read.

    Register everything first, publish `schemas()` before the first record that uses them, and `learn` what
    `hms.schemas` holds.
    """

    def __init__(self) -> None:
        self._by_class: dict[type[Record], RecordType[Any]] = {}
        self._by_name: dict[str, RecordType[Any]] = {}
        self._by_frame: dict[bytes, RecordType[Any]] = {}
        self._foreign: dict[bytes, ForeignType] = {}

    def register(self, cls: type[T], name: str, upcasters: Sequence[Upcaster] = ()) -> RecordType[T]:
        """Make a class known under a type name; doing so again with the same name changes nothing.

        An upcaster takes the fields of version n (the first: of version 1) and returns those of n + 1; it is pure.
        Raises `UnsupportedType`, `TypeNameTaken`, `SchemaCollision`.
        """
        known = self._by_class.get(cls)
        if known is not None and known.name == name and known.upcasters == tuple(upcasters):
            return known
        if known is not None:
            raise TypeNameTaken(
                f"{cls.__name__} is registered as {known.name}, version {known.version}; asked for {name}"
            )
        if name in self._by_name:
            raise TypeNameTaken(f"{name} is {self._by_name[name].cls!r}; set explicit_type on {cls!r}")
        return self._add(RecordType(cls, name, upcasters))

    def _add(self, added: RecordType[T]) -> RecordType[T]:
        self._check_collision(added.schema_id, added.schema_json, added.name)
        self._by_class[added.cls] = self._by_name[added.name] = self._by_frame[added.frame] = added
        return added

    def learn(self, schema_id: int, schema_json: str) -> None:
        """Take a writer's schema from the log; one that is known already changes nothing.

        Raises `SchemaError` (no wire schema, or not the one of that id) and `SchemaCollision`.
        """
        learned = ForeignType(schema_json)
        if learned.schema_id != schema_id:
            raise SchemaError(
                f"expected the schema of id {schema_id}, got {learned.name}, whose id is {learned.schema_id}"
            )
        self._check_collision(schema_id, learned.schema_json, learned.name)
        self._foreign[frame_of(schema_id)] = learned

    def _check_collision(self, schema_id: int, schema_json: str, name: str) -> None:
        frame = frame_of(schema_id)
        known = self._by_frame.get(frame) or self._foreign.get(frame)
        if known is not None and known.schema_json != schema_json:
            raise SchemaCollision(schema_id, known.name, name)

    def schemas(self) -> Iterator[tuple[int, str]]:
        """Give id and normalised text of every registered type, for `hms.schemas` to hold before they are used."""
        return ((known.schema_id, known.schema_json) for known in self._by_name.values())

    def types(self) -> Iterator[RecordType[Any]]:
        """Give the registered types."""
        return iter(self._by_name.values())

    def of(self, cls: type[T]) -> RecordType[T]:
        """Return the type of a registered class; raises `KeyError`."""
        return self._by_class[cls]

    def named(self, name: str) -> RecordType[Any]:
        """Return the registered type of a name; raises `KeyError`."""
        return self._by_name[name]

    def by_id(self, schema_id: int) -> RecordType[Any] | None:
        """Return the registered type whose current schema has this id."""
        return self._by_frame.get(frame_of(schema_id))

    def knows(self, schema_id: int) -> bool:
        """Say whether records with this id can be read, as an instance or as `Unknown`."""
        frame = frame_of(schema_id)
        return frame in self._by_frame or frame in self._foreign

    def decode(self, value: bytes) -> Decoded:
        """Return both halves of a value from the log; raises `MalformedRecord`, of which `UnknownSchema` may pass."""
        known = self._by_frame.get(value[:FRAME_BYTES])
        if known is not None:
            return Decoded(*known.decode(value))
        foreign = self._foreign_of(value)
        envelope, data = foreign.decode(value)
        return Decoded(envelope, self._adopted(foreign, data))

    def decode_body(self, value: bytes) -> Record | Unknown:
        """Return the record alone, without a look at what follows the body; raises `MalformedRecord`."""
        known = self._by_frame.get(value[:FRAME_BYTES])
        if known is not None:
            record: Record = known.decode_body(value, FRAME_BYTES)
            return record
        foreign = self._foreign_of(value)
        return self._adopted(foreign, foreign.body(value))

    def envelope_of(self, value: bytes) -> Envelope:
        """Return the envelope alone, of a body that its model may refuse; raises `MalformedRecord`."""
        known = self._by_frame.get(value[:FRAME_BYTES])
        return self._foreign_of(value).decode(value)[0] if known is None else known.envelope_of(value)

    def as_recorded(self, value: bytes, recorded: bytes) -> bytes:
        """Return a value of one of our types as it is when written with the schema of another value of that type.

        That schema may be an older release's: what it does not know is left out. Raises `MalformedRecord`, `Unencodable`.
        """
        foreign = self._foreign.get(recorded[:FRAME_BYTES])
        known = self._by_frame.get(value[:FRAME_BYTES])
        if foreign is None or known is None or known.name != foreign.name or known.version != foreign.version:
            return value
        envelope, record = known.decode(value)
        return foreign.encode(known.fields(record), envelope)

    def version_of(self, value: bytes) -> int:
        """Return the version of what a value's fields mean; raises `MalformedRecord`."""
        known = self._by_frame.get(value[:FRAME_BYTES])
        return self._foreign_of(value).version if known is None else known.version

    def _adopted(self, foreign: ForeignType, data: dict[str, Any]) -> Record | Unknown:
        known = self._by_name.get(foreign.name)
        if known is None:
            return Unknown(foreign.name, data)
        record: Record = known.adopt(data, foreign.version)
        return record

    def _foreign_of(self, value: bytes) -> ForeignType:
        frame = value[:FRAME_BYTES]
        foreign = self._foreign.get(frame)
        if foreign is None:
            raise _unframed(frame)
        return foreign


def _unframed(frame: bytes) -> MalformedRecord:
    if len(frame) < FRAME_BYTES or frame[0] != 0:
        return BadFrame(f"expected 00 and four bytes of schema id, got {frame.hex(' ') or 'nothing'}")
    return UnknownSchema(int.from_bytes(frame[1:], "big"))

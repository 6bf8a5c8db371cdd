"""What can be wrong with a record, a type or a schema, cut by who must act.

ContractError
├── UnsupportedType        the author of a model: the type of a field has no Avro schema here (a TypeError)
├── TypeNameTaken          the author of an app: two classes want one name, or one class two (a ValueError)
├── Unencodable            the writer: a value that its schema cannot carry (a ValueError)
├── SchemaError            the keeper of the log: a schema in it cannot be used (a ValueError)
│   └── SchemaCollision        two schemas, one id
└── MalformedRecord        the sender: these bytes are no record; dead-letter them, never retry (a ValueError)
    ├── UnknownSchema          the id in the frame is not in the log's `hms.schemas` (yet): learn it, then try again
    ├── BadFrame               no Confluent frame: wrong magic byte, or shorter than a frame
    ├── TruncatedRecord        the bytes end too early, or what they say cannot be read
    ├── TrailingBytes          the bytes go on after the envelope
    ├── InvalidBody            readable, but not what the model allows
    ├── InvalidEnvelope        readable, but no envelope
    ├── WrongType              envelope and schema name different types
    └── HeaderMismatch         a `ce_*` header contradicts the envelope
"""

from typing import ClassVar


class ContractError(Exception):
    """The root of the tree."""

    code: ClassVar[str] = "validation_error"
    """The communication protocol's error code (its section 5.2)."""


class UnsupportedType(ContractError, TypeError):
    """A field's type is outside the closed list of `hms.schemas.avro`."""


class TypeNameTaken(ContractError, ValueError):
    """A type name or a class is registered already, and differently."""


class Unencodable(ContractError, ValueError):
    """A value does not fit its Avro type: an integer over 64 bits, a lone surrogate, a datetime without a zone."""


class SchemaError(ContractError, ValueError):
    """A schema text is not a wire schema of this contract."""


class SchemaCollision(SchemaError):
    """Two different schemas have the same id; rename the type of one of them."""

    def __init__(self, schema_id: int, known: str, other: str) -> None:
        super().__init__(
            f"schema id {schema_id} belongs to {known}, and {other} gets the same one; give one of them another name"
        )
        self.schema_id = schema_id


class MalformedRecord(ContractError, ValueError):
    """Bytes that are not a record of this contract, and why; trying again gives the same."""

    code = "message_format_error"


class UnknownSchema(MalformedRecord):
    """No schema is known for the id in the frame."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(
            f"schema id {schema_id} is unknown; a writer puts its schema into hms.schemas before its first record"
        )
        self.schema_id = schema_id


class BadFrame(MalformedRecord):
    """The value does not begin with 00 and a schema id of four bytes."""


class TruncatedRecord(MalformedRecord):
    """The value ends before the record does, or holds what its schema cannot mean."""


class TrailingBytes(MalformedRecord):
    """There are bytes behind the envelope."""


class InvalidBody(MalformedRecord):
    """The body can be read, but the model refuses it."""


class InvalidEnvelope(MalformedRecord):
    """The envelope cannot be read, or holds an impossible value."""


class WrongType(MalformedRecord):
    """The envelope names another type than the schema."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected an envelope of type {expected}, as the schema says; the envelope says {got}")


class HeaderMismatch(MalformedRecord):
    """A header and the envelope differ; the value is the truth, so one of the two was forged or mixed up."""

    def __init__(self, header: str, expected: str, got: str) -> None:
        super().__init__(
            f"header {header}: expected {expected!r}, as the envelope says, got {got!r}; leave it out or copy it"
        )

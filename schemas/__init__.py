"""The contract: every record as a frozen model, its Avro schema, the wire format, and what may change.

    contract = Contract()
    deposited = contract.register(Deposited, "bank.Deposited")
    value = deposited.encode(Deposited(cents=100), envelope)
    envelope, record = contract.decode(value)

Nothing here does I/O or knows a log; the vocabulary of HMS itself is in `hms.schemas.vocabulary`.
"""

from .avro import avro_schema as avro_schema
from .avro import namespace_of as namespace_of
from .avro import type_name as type_name
from .binary import encode_bytes as encode_bytes
from .binary import encode_long as encode_long
from .binary import encode_text as encode_text
from .binary import word as word
from .contract import Contract as Contract
from .contract import Decoded as Decoded
from .envelope import ENVELOPE_SCHEMA as ENVELOPE_SCHEMA
from .envelope import Envelope as Envelope
from .envelope import decode_envelope as decode_envelope
from .envelope import encode_envelope as encode_envelope
from .errors import BadFrame as BadFrame
from .errors import ContractError as ContractError
from .errors import HeaderMismatch as HeaderMismatch
from .errors import InvalidBody as InvalidBody
from .errors import InvalidEnvelope as InvalidEnvelope
from .errors import MalformedRecord as MalformedRecord
from .errors import SchemaCollision as SchemaCollision
from .errors import SchemaError as SchemaError
from .errors import TrailingBytes as TrailingBytes
from .errors import TruncatedRecord as TruncatedRecord
from .errors import TypeNameTaken as TypeNameTaken
from .errors import Unencodable as Unencodable
from .errors import UnknownSchema as UnknownSchema
from .errors import UnsupportedType as UnsupportedType
from .errors import WrongType as WrongType
from .fingerprint import normalised as normalised
from .fingerprint import schema_id as schema_id
from .foreign import Unknown as Unknown
from .headers import check_headers as check_headers
from .headers import headers_for as headers_for
from .ids import derived_id as derived_id
from .ids import new_id as new_id
from .ids import uuid7_time_us as uuid7_time_us
from .partition import partition_of as partition_of
from .record import Event as Event
from .record import Message as Message
from .record import Record as Record
from .record import State as State
from .wire import FRAME_BYTES as FRAME_BYTES
from .wire import RecordType as RecordType
from .wire import Upcaster as Upcaster

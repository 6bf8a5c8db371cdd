"""The commit record: what one transaction consumed and wrote, chained to the one before it by hash.

It is the last record of the transaction. Deduplication, lane positions, replay, fork and audit all read it; consumer
group offsets are never the truth, because they expire.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from io import BytesIO
from typing import Any, Final, NamedTuple, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from ...schemas import FRAME_BYTES, Contract, MalformedRecord, avro_schema
from ..errors import HistoryBroken
from ..log.port import EVENTS, Draft
from .input_record import encode_array
from .records import Commit
from .wire import EPOCH, Pen

MICROSECOND = timedelta(microseconds=1)


def without_last_field(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a record's beginning: what reads it stops before the last field."""
    return {**schema, "fields": schema["fields"][:-1]}


GENESIS = b"\0" * 32
SHARD_KEY = b"shard/"

_BODY: Final[Any] = parse_schema(avro_schema(Commit, str(Commit.explicit_type)))
"""Commit records are written and read as plain dicts: a model an input would double the runtime's own cost."""
_SEQUENCE: Final[Any] = parse_schema({"type": "long"})
_SUMMARY: Final[Any] = parse_schema(without_last_field(avro_schema(Commit, str(Commit.explicit_type))))


class Head(NamedTuple):
    """Where a shard's chain stands: the last commit's sequence, the hash of its value, its time, the lane positions."""

    sequence: int
    previous: bytes
    now_us: int
    positions: tuple[int, ...]


START = Head(-1, GENESIS, 0, (0, 0, 0, 0))


def digest(parts: Iterable[bytes]) -> bytes:
    """Return the SHA-256 over parts that delimit themselves (Avro values, addresses)."""
    return hashlib.sha256(b"".join(parts)).digest()


def commit_draft(
    contract: Contract,
    pen: Pen,
    head: Head,
    *,
    shard: int,
    epoch: int,
    code_version: str,
    now_us: int,
    inputs: list[bytes],
    positions: tuple[int, ...],
    read: list[bytes],
    sent: list[Draft],
    attempting: tuple[int, ...] = (),
    begun: Sequence[dict[str, str]] = (),
) -> Draft:
    """Return the commit record that follows `head`."""
    fields = {
        "sequence": head.sequence + 1,
        "epoch": epoch,
        "code_version": code_version,
        "now": now_us,
        "positions": positions,
        "digest_read": digest(read),
        "digest_sent": digest([part or b"" for draft in sent for part in draft[2:4]]),
        "previous": head.previous,
        "attempting": attempting,
        "begun": begun,
    }
    record_type = contract.of(Commit)
    body = BytesIO()
    schemaless_writer(body, _SUMMARY, fields)
    body.write(encode_array(inputs))
    return pen.own_body(
        f"shard/{shard}", EVENTS, record_type, body.getvalue(), id_parts=("commit", str(head.sequence + 1))
    )


def following(head: Head, fields: dict[str, Any], value: bytes, place: str) -> Head:
    """Check that a commit record (its fields and its value) is the next link, and return the new head.

    Raises `HistoryBroken` when the sequence is not dense or the hash does not fit.
    """
    if head.sequence >= 0 and (fields["sequence"] != head.sequence + 1 or fields["previous"] != head.previous):
        raise HistoryBroken(
            f"{place}: expected commit {head.sequence + 1} after {head.previous.hex()[:16]}, got commit "
            f"{fields['sequence']} after {fields['previous'].hex()[:16]}; run `hms log verify` and restore a backup"
        )
    return Head(fields["sequence"], hashlib.sha256(value).digest(), fields["now"], tuple(fields["positions"]))


def commit_sequence(value: bytes) -> int:
    """Decode a commit record's sequence alone: its first field."""
    stream = BytesIO(value)
    stream.seek(FRAME_BYTES)
    return cast("int", schemaless_reader(stream, _SEQUENCE, None))


def commit_fields(contract: Contract, value: bytes) -> dict[str, Any]:
    """Decode a commit record's fields; `now` as microseconds. Raises `MalformedRecord`."""
    return _fields(contract, value, _BODY)


def commit_summary(contract: Contract, value: bytes) -> dict[str, Any]:
    """Decode a commit record's fields but the inputs, which are most of it. Raises `MalformedRecord`."""
    return _fields(contract, value, _SUMMARY)


def _fields(contract: Contract, value: bytes, schema: Any) -> dict[str, Any]:
    record_type = contract.of(Commit)
    if value[:5] != record_type.frame:
        raise MalformedRecord(f"expected a commit record of schema {record_type.schema_id}, got {value[:5].hex()}")
    stream = BytesIO(value)
    stream.seek(len(record_type.frame))
    fields = cast("dict[str, Any]", schemaless_reader(stream, schema, None))
    fields["now"] = (fields["now"] - EPOCH) // MICROSECOND
    return fields

"""Bad input: each a clear error, and never any other."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hms.schemas import (
    BadFrame,
    Contract,
    ContractError,
    Envelope,
    Event,
    InvalidEnvelope,
    MalformedRecord,
    Record,
    RecordType,
    State,
    TrailingBytes,
    TruncatedRecord,
    UnknownSchema,
    WrongType,
    encode_envelope,
    headers_for,
)

HUGE = b"\x80\x80\x80\x80\x80\x80\x80\x80\x20"  # the length 2 ** 60


class Said(Event):
    words: str
    count: int = 0


class Running(Record):
    since: datetime


class Stopped(Record):
    since: datetime


class Machine(State):
    phase: Running | Stopped
    raw: bytes = b""
    names: tuple[str, ...] = ()
    past: tuple[Running | Stopped, ...] = ()
    loads: dict[str, float] = {}
    spare: Running | None = None


class Empty(Event):
    pass


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MACHINE = Machine(
    phase=Stopped(since=NOON), raw=b"raw", names=("a", "b"), past=(Running(since=NOON),), loads={"cpu": 0.5}
)
CONTRACT = Contract()
SAID = CONTRACT.register(Said, "app.Said")
KINDS: list[RecordType[Any]] = [SAID, CONTRACT.register(Machine, "app.Machine"), CONTRACT.register(Empty, "app.Empty")]
STRANGER = Contract()
for known_id, known_text in CONTRACT.schemas():
    STRANGER.learn(known_id, known_text)


def envelope_of_type(name: str) -> Envelope:
    return Envelope("id-1", "client/anna", "account/anna", name, 1_767_268_800_000_001, "order-4711", ttl_ms=5)


ENVELOPE = encode_envelope(envelope_of_type("app.Said"))
VALUES = [
    kind.encode(record, envelope_of_type(kind.name))
    for kind, record in zip(KINDS, (Said(words="hello"), MACHINE, Empty()), strict=True)
]


@pytest.mark.parametrize("contract", [CONTRACT, STRANGER])
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (b"", BadFrame, "got nothing"),
        (b"\x00\x01", BadFrame, "got 00 01"),
        (b"\x01" + VALUES[0][1:], BadFrame, "got 01"),
        (b'{"words": "hello"}', BadFrame, "got 7b 22"),
        (b"\x00\x00\x00\x00\x07" + VALUES[0][5:], UnknownSchema, "schema id 7 is unknown"),
        (SAID.frame, TruncatedRecord, "app.Said"),
        (VALUES[0][:8], TruncatedRecord, "app.Said"),
        (VALUES[0][:12], InvalidEnvelope, "expected an envelope at bytes 12"),
        (VALUES[0][:-1], InvalidEnvelope, "the envelope is cut off"),
        (VALUES[0][:-4], InvalidEnvelope, "expected an envelope at bytes 12"),
        (VALUES[0] + b"\x00", TrailingBytes, "something follows"),
        (SAID.frame + b"\x02\xff\x00" + ENVELOPE, TruncatedRecord, "UnicodeDecodeError"),
        (SAID.frame + HUGE + b"x", TruncatedRecord, "Expected 1152921504606846976 bytes"),
        (SAID.frame + b"\x01" + ENVELOPE, TruncatedRecord, "app.Said"),
        (SAID.frame + b"\x00\x00" + HUGE + b"x", InvalidEnvelope, "one of 1152921504606846976 bytes"),
        (SAID.frame + b"\x00\x00\x01", InvalidEnvelope, "one of -1 bytes"),
        (SAID.frame + b"\x00\x00" + b"\xff" * 11, InvalidEnvelope, "more than ten bytes"),
        (SAID.frame + b"\x00\x00" + ENVELOPE.replace(b"anna", b"\xffnna"), InvalidEnvelope, "utf-8"),
        (SAID.frame + b"\x00\x00" + encode_envelope(envelope_of_type("app.Sung")), WrongType, r"says app\.Sung"),
        (SAID.frame + b"\x00\x00" + ENVELOPE.replace(b"order-4711\x00", b"order-4711\x04"), InvalidEnvelope, "branch"),
        (SAID.frame + b"\x00\x00" + ENVELOPE.replace(b"\x02\x0a", b"\x02\x09"), InvalidEnvelope, "ttl_ms"),
    ],
)
def test_bad_bytes_are_refused_with_what_was_expected(
    contract: Contract, value: bytes, error: type[MalformedRecord], words: str
) -> None:
    with pytest.raises(error, match=words):
        contract.decode(value)
    with pytest.raises(error, match=words):
        contract.envelope_of(value)


@pytest.mark.parametrize("at_us", [-1, 253_402_300_800_000_000, -(2**63)])
def test_an_instant_outside_the_calendar_is_no_envelope(at_us: int) -> None:
    zigzag = (at_us << 1) ^ (at_us >> 63)
    forged = bytearray()
    while zigzag > 0x7F:
        forged.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    forged.append(zigzag)
    good = encode_envelope(envelope_of_type("app.Said")._replace(at_us=64))
    with pytest.raises(InvalidEnvelope, match="between 1970 and 9999"):
        CONTRACT.decode(SAID.frame + b"\x00\x00" + good.replace(b"\x80\x01", bytes(forged)))


def test_an_unknown_schema_tells_its_id_so_that_it_can_be_looked_up() -> None:
    with pytest.raises(UnknownSchema) as caught:
        CONTRACT.decode_body(b"\x00\x7f\xff\xff\xff")
    assert caught.value.schema_id == 0x7FFFFFFF


def decode_or_refuse(value: bytes) -> None:
    for contract in (CONTRACT, STRANGER):
        try:
            headers_for(contract.decode(value).envelope)
        except MalformedRecord as error:
            assert str(error)  # noqa: PT017 - both outcomes are right, an error without words is not
    for contract in (CONTRACT, STRANGER):
        try:
            contract.decode_body(value)
            contract.envelope_of(value)
        except MalformedRecord:
            pass


@given(st.binary(max_size=200))
@example(b"\x00" * 5)
def test_random_bytes_are_malformed_and_nothing_worse(value: bytes) -> None:
    decode_or_refuse(value)


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_random_bodies_behind_a_good_frame_are_malformed_and_nothing_worse(kind: RecordType[Any], body: bytes) -> None:
    decode_or_refuse(kind.frame + body)


edits = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "cut"]), st.integers(0, 2**16), st.binary(min_size=1, max_size=9)
)


def edited(value: bytes, edit: tuple[str, int, bytes]) -> bytes:
    kind, place, data = edit
    at = place % (len(value) + 1)
    match kind:
        case "flip":
            return value[:at] + data + value[at + len(data) :]
        case "insert":
            return value[:at] + data + value[at:]
        case "delete":
            return value[:at] + value[at + len(data) :]
        case _:
            return value[:at]


@settings(max_examples=500)
@given(st.sampled_from(VALUES), st.lists(edits, min_size=1, max_size=4))
def test_a_damaged_record_is_malformed_and_nothing_worse(value: bytes, damage: list[tuple[str, int, bytes]]) -> None:
    for edit in damage:
        value = edited(value, edit)
    decode_or_refuse(value)


def test_an_array_that_says_it_is_huge_ends_with_its_bytes() -> None:
    machine = KINDS[1]
    body = machine.encode_body(Machine(phase=Running(since=NOON)))
    names_at = len(body) - 4  # four empty ones: names, past, loads, spare
    with pytest.raises(TruncatedRecord):
        CONTRACT.decode(machine.frame + body[:names_at] + HUGE + b"\x02a" * 100)


def test_every_error_of_a_sender_maps_to_the_protocols_code() -> None:
    for error in (BadFrame, UnknownSchema, TruncatedRecord, InvalidEnvelope, WrongType, TrailingBytes):
        assert issubclass(error, ContractError)
        assert error.code == "message_format_error"

"""Records to bytes and back: the frame, the body, the envelope, and readers that know none of our code."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, Literal

import avro.io
import avro.schema
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model, field_validator

from hms.schemas import (
    ENVELOPE_SCHEMA,
    FRAME_BYTES,
    Contract,
    Envelope,
    Event,
    InvalidBody,
    Message,
    Record,
    RecordType,
    State,
    Unencodable,
    Unknown,
    decode_envelope,
    encode_envelope,
)
from hms.schemas.build import needs_no_check
from hms.schemas.envelope import AT_US_MAX


class Deposited(Event):
    cents: int
    to: str


class Deposit(Message):
    cents: Annotated[int, Field(gt=0)]


class Running(Record):
    since: datetime


class Stopped(Record):
    since: datetime


class Wheel(Record):
    spokes: int = 32


class Machine(State):
    phase: Running | Stopped
    spare: Wheel | None = None
    wheels: tuple[Wheel, ...] = ()
    past: tuple[Running | Stopped, ...] = ()
    named: dict[str, Running | Stopped | None] = {}
    counts: dict[str, int] = {}
    raw: bytes = b""


def envelope_of_type(name: str) -> Envelope:
    return Envelope("id-1", "client/anna", "account/anna", name, 1_767_268_800_000_001, "order-4711")


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MACHINE = Machine(
    phase=Stopped(since=NOON),
    spare=Wheel(spokes=3),
    wheels=(Wheel(), Wheel(spokes=2)),
    past=(Running(since=NOON), Stopped(since=NOON)),
    named={"a": Stopped(since=NOON), "b": None},
    counts={"x": 1, "y": -1},
    raw=b"\x00\xff",
)

text = st.text(max_size=100)
long = st.integers(-(2**63), 2**63 - 1)
envelopes = st.builds(
    Envelope,
    text,
    text,
    text,
    text,
    st.integers(0, AT_US_MAX),
    text,
    st.none() | text,
    st.none() | text,
    text,
    st.none() | st.integers(0, 2**63 - 1),
    text,
)


def by_fastavro(envelope: Envelope) -> bytes:
    out = io.BytesIO()
    values = envelope._asdict()
    values["at"] = values.pop("at_us")
    schemaless_writer(out, ENVELOPE_SCHEMA, values)
    return out.getvalue()


@given(envelopes)
def test_an_envelope_is_the_avro_that_its_schema_says(envelope: Envelope) -> None:
    assert encode_envelope(envelope) == by_fastavro(envelope)
    assert decode_envelope(b"before" + by_fastavro(envelope), 6) == envelope


@given(envelopes)
def test_an_envelope_tells_its_instant_in_utc(envelope: Envelope) -> None:
    assert envelope.at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=envelope.at_us)


@pytest.mark.parametrize(
    "changed", [{"at_us": -1}, {"at_us": AT_US_MAX + 1}, {"ttl_ms": -1}, {"ttl_ms": 2**63}, {"id": "\ud800"}, {"id": 1}]
)
def test_an_envelope_that_nobody_could_read_is_not_written(changed: dict[str, Any]) -> None:
    with pytest.raises(Unencodable):
        encode_envelope(envelope_of_type("a")._replace(**changed))


def test_a_value_is_frame_body_envelope() -> None:
    deposited = RecordType(Deposited, "bank.Deposited")
    envelope = envelope_of_type("bank.Deposited")
    value = deposited.encode(Deposited(cents=-1, to="ben"), envelope)
    assert value[:1] == b"\x00"
    assert int.from_bytes(value[1:5], "big") == deposited.schema_id
    assert value[FRAME_BYTES:] == b"\x01\x06ben" + encode_envelope(envelope)
    assert deposited.wire(deposited.encode_body(Deposited(cents=-1, to="ben")), envelope) == value


def test_an_id_is_what_it_always_was() -> None:
    """Logs are full of it: a change of the normalisation or of the envelope gives every record a new schema."""
    assert RecordType(Deposited, "bank.Deposited").schema_id == 2146370228


def contract_of(*classes: type[Record]) -> Contract:
    contract = Contract()
    for cls in classes:
        contract.register(cls, f"bank.{cls.__name__}")
    return contract


@pytest.mark.parametrize(
    "record", [Deposited(cents=2**63 - 1, to="\N{SNOWMAN}"), Deposit(cents=1), MACHINE, Running(since=NOON)]
)
def test_a_record_comes_back_whole_or_without_its_envelope(record: Record) -> None:
    contract = contract_of(type(record))
    kind = contract.of(type(record))
    envelope = envelope_of_type(kind.name)
    value = kind.encode(record, envelope)
    assert contract.decode(value) == (envelope, record)
    assert contract.decode_body(value) == record
    assert contract.envelope_of(value) == envelope
    assert kind.decode_body(kind.encode_body(record)) == record
    assert repr(contract.decode_body(value)) == repr(record)


def test_two_phases_with_the_same_fields_are_told_apart() -> None:
    kind = RecordType(Machine, "bank.Machine")
    assert type(kind.decode_body(kind.encode_body(MACHINE)).phase) is Stopped
    assert [type(phase) for phase in kind.decode_body(kind.encode_body(MACHINE)).past] == [Running, Stopped]


def test_a_record_made_without_validation_is_like_any_other() -> None:
    kind = RecordType(Deposited, "bank.Deposited")
    assert needs_no_check(Deposited)
    record = kind.decode_body(kind.encode_body(Deposited(cents=1, to="ben")))
    assert record.model_copy(update={"cents": 2}) == Deposited(cents=2, to="ben")
    assert record.model_dump() == {"cents": 1, "to": "ben"}
    assert hash(record) == hash(Deposited(cents=1, to="ben"))
    assert record.model_fields_set == {"cents", "to"}
    with pytest.raises(ValueError, match="frozen"):
        record.cents = 2  # type: ignore[misc]


def test_a_message_is_validated_when_read_since_anybody_may_have_written_it() -> None:
    class Deposit(Message):
        cents: int

    forged = RecordType(Deposit, "bank.Deposit").encode(Deposit(cents=-5), envelope_of_type("bank.Deposit"))
    contract = Contract()
    contract.register(globals()["Deposit"], "bank.Deposit")
    with pytest.raises(InvalidBody, match="greater than 0"):
        contract.decode(forged)
    assert contract.envelope_of(forged).source == "client/anna", "a refusal needs to know whom to answer"


def test_models_that_run_code_or_hold_other_words_than_avro_are_validated() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Shouting(Event):
        word: str

        @field_validator("word")
        @classmethod
        def shout(cls, word: str) -> str:
            return word.upper()

    class Painted(Event):
        colour: Colour

    class Ordered(Message):
        kind: Literal["a", "b"] | None

    assert not any(needs_no_check(cls) for cls in (Shouting, Painted, Ordered, Machine, Deposit))
    kind = RecordType(Painted, "x.Painted")
    assert kind.decode_body(kind.encode_body(Painted(colour=Colour.RED))).colour is Colour.RED


def test_an_instant_of_any_zone_comes_back_to_the_microsecond() -> None:
    kind = RecordType(Running, "bank.Running")
    for since in (datetime.max.replace(tzinfo=UTC), datetime(1, 1, 1, 14, 0, 0, 1, timezone(timedelta(hours=14)))):
        assert kind.decode_body(kind.encode_body(Running(since=since))).since == since


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Deposited(cents=2**63, to=""), "fit the schema"),
        (Deposited(cents=1, to="\ud800"), "fit the schema"),
        (Deposited.model_construct(cents="1", to=""), "fit the schema"),
        (Deposited.model_construct(cents=None, to=""), "fit the schema"),
        (Deposited.model_construct(to=""), "fit the schema"),
        (Running(since=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 - a datetime without a zone is what is refused
        (Machine.model_construct(**{**MACHINE.__dict__, "phase": Wheel()}), "expected one of"),
    ],
)
def test_a_value_that_its_schema_cannot_carry_is_not_written(record: Record, words: str) -> None:
    contract = contract_of(type(record))
    with pytest.raises(Unencodable, match=words):
        contract.of(type(record)).encode_body(record)


def test_a_writer_cannot_mix_up_types() -> None:
    kind = RecordType(Deposited, "bank.Deposited")
    with pytest.raises(Unencodable, match=r"expected an envelope of type bank\.Deposited"):
        kind.encode(Deposited(cents=1, to=""), envelope_of_type("bank.Withdrawn"))


def test_generic_readers_read_the_whole_value_with_the_published_schema() -> None:
    """Fastavro and Apache Avro, with nothing but the JSON that is in the log."""
    kind = RecordType(Machine, "bank.Machine")
    envelope = envelope_of_type("bank.Machine")._replace(ttl_ms=5, reply_to="client/anna")
    payload = kind.encode(MACHINE, envelope)[FRAME_BYTES:]
    stream = io.BytesIO(payload)
    by_apache = avro.io.DatumReader(avro.schema.parse(kind.schema_json)).read(avro.io.BinaryDecoder(stream))
    assert stream.read() == b""
    by_fast = schemaless_reader(io.BytesIO(payload), parse_schema(json.loads(kind.schema_json)), None)
    assert by_apache == by_fast
    assert isinstance(by_fast, dict)
    assert by_fast["phase"] == {"since": NOON}
    assert by_fast["envelope"]["at"] == envelope.at
    assert list(by_fast)[-1] == "envelope"


# Generated models: an annotation with a strategy for its values.
Typed = tuple[Any, st.SearchStrategy[Any]]
instants = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by their API
SCALARS: list[Typed] = [
    (str, st.text()),
    (int, long),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (bytes, st.binary()),
    (datetime, instants),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Running | Stopped, st.builds(Running, since=instants) | st.builds(Stopped, since=instants)),
    (Wheel, st.builds(Wheel, spokes=long)),
]


def wrapped(typed: Typed) -> st.SearchStrategy[Typed]:
    annotation, values = typed
    shapes: list[Typed] = [
        (annotation | None, st.none() | values),
        (tuple[annotation, ...], st.lists(values, max_size=3).map(tuple)),
        (dict[str, annotation], st.dictionaries(st.text(), values, max_size=3)),
    ]
    return st.sampled_from(shapes)


typed = st.recursive(st.sampled_from(SCALARS), lambda inner: inner.flatmap(wrapped), max_leaves=3)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([Event, Message, State, Record]), st.lists(typed, max_size=4))
def test_any_record_of_any_model_comes_back(data: st.DataObject, base: type[Record], fields: list[Typed]) -> None:
    annotations: dict[str, Any] = {f"f{index}": (annotation, ...) for index, (annotation, _) in enumerate(fields)}
    model = create_model("Model", __base__=base, **annotations)
    record = model(**{f"f{index}": data.draw(values) for index, (_, values) in enumerate(fields)})
    contract, stranger = Contract(), Contract()
    kind = contract.register(model, "app.Model")
    stranger.learn(kind.schema_id, kind.schema_json)
    envelope = envelope_of_type("app.Model")
    value = kind.encode(record, envelope)
    assert contract.decode(value) == (envelope, record)
    read = stranger.decode(value)
    assert read.envelope == envelope
    assert isinstance(read.record, Unknown)
    assert kind.adopt(read.record.data, 1) == record


@pytest.mark.parametrize("words", [None, (), ("hms.Wheel", "b"), ("a", "b", "c")])
def test_an_optional_tuple_is_not_taken_for_the_branch_of_a_union(words: tuple[str, ...] | None) -> None:
    """Fastavro takes a pair inside a union for (name of the branch, value)."""
    model = create_model("Model", __base__=Event, words=(tuple[str, ...] | None, ...))
    kind = RecordType(model, "app.Model")
    assert kind.decode_body(kind.encode_body(model(words=words))) == model(words=words)

"""Records that other versions wrote: read by their own schemas, brought to today's classes, or given as they are."""

import io
import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from pydantic import Field, create_model

from hms.schemas import (
    ENVELOPE_SCHEMA,
    Contract,
    Envelope,
    Event,
    InvalidBody,
    InvalidEnvelope,
    MalformedRecord,
    Record,
    RecordType,
    SchemaCollision,
    SchemaError,
    State,
    TrailingBytes,
    TypeNameTaken,
    Unknown,
    Upcaster,
    encode_envelope,
    normalised,
    schema_id,
)
from hms.schemas.wire import frame_of

ENVELOPE = Envelope("id-1", "client/anna", "account/anna", "bank.Deposited", 1_767_268_800_000_001, "order-4711")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def model(base: type[Record] = Event, name: str = "Deposited", **fields: Any) -> type[Record]:
    made: type[Record] = create_model(name, __base__=base, **fields)
    return made


def written(cls: type[Record], upcasters: tuple[Upcaster, ...] = (), **values: Any) -> tuple[bytes, int, str]:
    """Return a value as some writer's class made it, with the schema that it put into the log."""
    kind = RecordType(cls, "bank.Deposited", upcasters)
    return kind.encode(cls(**values), ENVELOPE), kind.schema_id, kind.schema_json


def read(cls: type[Record], old: tuple[bytes, int, str], upcasters: tuple[Upcaster, ...] = ()) -> Record | Unknown:
    """Return what a reader with this class gets from that value, body alone and whole alike."""
    value, old_id, old_json = old
    contract = Contract()
    contract.register(cls, "bank.Deposited", upcasters)
    contract.learn(old_id, old_json)
    decoded = contract.decode(value)
    assert decoded.envelope == ENVELOPE
    assert contract.decode_body(value) == decoded.record
    return decoded.record


def test_a_field_that_an_older_writer_did_not_have_gets_the_models_default() -> None:
    now = model(cents=(int, ...), at=(datetime, NOON), raw=(bytes, b"\xff"), tags=(tuple[str, ...], ("a",)))
    assert read(now, written(model(cents=(int, ...)), cents=5)) == now(cents=5)


def test_a_field_that_a_newer_writer_added_is_dropped() -> None:
    inner_now = model(Record, "Inner", a=(int, ...))
    inner_later = model(Record, "Inner", a=(int, ...), b=(str, ""))
    now = model(cents=(int, ...), inner=(inner_now, ...))
    later = model(note=(str, ""), cents=(int, ...), inner=(inner_later, ...))
    old = written(later, note="n", cents=5, inner=inner_later(a=1, b="b"))
    assert read(now, old) == now(cents=5, inner=inner_now(a=1))


def test_fields_are_matched_by_name_whatever_their_order() -> None:
    now = model(to=(str, ...), cents=(int, ...))
    assert read(now, written(model(cents=(int, ...), to=(str, ...)), cents=5, to="ben")) == now(cents=5, to="ben")


def test_branches_of_a_union_are_matched_by_name() -> None:
    running, stopped = model(Record, "Running", n=(int, ...)), model(Record, "Stopped", n=(int, ...))
    before = model(State, "Deposited", phase=(running | stopped, ...))
    now = model(State, "Deposited", phase=(stopped | running, ...), note=(str, ""))
    assert read(now, written(before, phase=stopped(n=1))) == now(phase=stopped(n=1))


def test_a_branch_that_no_longer_exists_is_named() -> None:
    running, stopped, failed = (model(Record, name, n=(int, ...)) for name in ("Running", "Stopped", "Failed"))
    before = model(State, "Deposited", phase=(running | failed, ...))
    with pytest.raises(InvalidBody, match=r"got bank\.Failed"):
        read(model(State, "Deposited", phase=(running | stopped, ...)), written(before, phase=failed(n=1)))


def test_a_field_that_is_missing_and_has_no_default_is_named() -> None:
    with pytest.raises(InvalidBody, match=r"bank\.Deposited.*\n.*cents"):
        read(model(cents=(int, ...)), written(model(euros=(int, ...)), euros=5))


def to_cents(fields: dict[str, Any]) -> dict[str, Any]:
    return {"amount": fields["amount"] * 100}


def named(fields: dict[str, Any]) -> dict[str, Any]:
    return {"cents": fields["amount"]}


def test_a_change_of_meaning_alone_gets_an_id_of_its_own() -> None:
    cls = model(amount=(int, ...))
    assert RecordType(cls, "bank.Deposited").schema_id != RecordType(cls, "bank.Deposited", (to_cents,)).schema_id


def test_upcasters_are_applied_from_the_version_that_wrote() -> None:
    first, second, third = model(amount=(int, ...)), model(amount=(int, ...)), model(cents=(int, ...))
    steps = (to_cents, named)
    assert read(third, written(first, amount=5), steps) == third(cents=500)
    assert read(third, written(second, (to_cents,), amount=500), steps) == third(cents=500)
    assert read(third, written(third, steps, cents=500), steps) == third(cents=500)


def test_what_a_newer_version_wrote_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidBody, match="version 1 at most, got 2; upgrade this reader"):
        read(model(amount=(int, ...)), written(model(amount=(int, ...)), (to_cents,), amount=5))


@pytest.mark.parametrize(
    ("upcaster", "words"),
    [
        (
            lambda fields: {"cents": fields["absent"]},
            "upcaster from version 1: expected fields of version 1, got KeyError",
        ),
        (lambda _: None, "expected a dict back, got a NoneType"),
        (lambda _: {"cents": "many"}, "valid integer"),
    ],
)
def test_an_upcaster_that_fails_makes_the_record_malformed(upcaster: Upcaster, words: str) -> None:
    with pytest.raises(InvalidBody, match=words):
        read(model(cents=(int, ...)), written(model(amount=(int, ...)), amount=5), (upcaster,))


def test_evolved_records_are_validated() -> None:
    with pytest.raises(InvalidBody, match="greater than 0"):
        read(model(cents=(int, Field(gt=0)), to=(str, "")), written(model(cents=(int, ...)), cents=-5))


def test_a_reader_without_the_class_gets_type_and_fields() -> None:
    running = model(Record, "Running", since=(datetime, ...))
    cls = model(phase=(running, ...), maybe=(running | None, None), raw=(bytes, b""))
    value, old_id, old_json = written(cls, phase=running(since=NOON), maybe=running(since=NOON))
    contract = Contract()
    contract.learn(old_id, old_json)
    assert contract.knows(old_id)
    assert contract.by_id(old_id) is None
    assert contract.decode(value) == (
        ENVELOPE,
        Unknown(
            "bank.Deposited",
            {"phase": {"since": NOON}, "maybe": ("bank.Running", {"since": NOON}), "raw": b""},
        ),
    )


def test_a_class_registered_after_its_schema_was_learned_is_used() -> None:
    cls = model(cents=(int, ...))
    value, old_id, old_json = written(model(cents=(int, ...), more=(str, "")), cents=5)
    contract = Contract()
    contract.learn(old_id, old_json)
    assert isinstance(contract.decode(value).record, Unknown)
    contract.register(cls, "bank.Deposited")
    assert contract.decode(value).record == cls(cents=5)


def other_envelope(*, leave: str = "", more: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    fields = [field for field in ENVELOPE_SCHEMA["fields"] if field["name"] != leave]
    return {**ENVELOPE_SCHEMA, "fields": [*fields, *more]}


def in_other_envelope(envelope_schema: dict[str, Any], **values: Any) -> tuple[Contract, bytes]:
    wire = {"type": "record", "name": "bank.Deposited", "fields": [{"name": "envelope", "type": envelope_schema}]}
    contract = Contract()
    contract.learn(schema_id(normalised(wire)), json.dumps(wire))
    out = io.BytesIO()
    fields = {**ENVELOPE._asdict(), "at": ENVELOPE.at_us, **values}
    schemaless_writer(out, parse_schema(envelope_schema), fields)
    return contract, frame_of(schema_id(normalised(wire))) + out.getvalue()


def test_another_versions_envelope_is_read_by_its_own_schema() -> None:
    tenant = {"name": "tenant", "type": "string"}
    contract, value = in_other_envelope(other_envelope(leave="reply_to", more=(tenant,)), tenant="t")
    assert contract.decode(value).envelope == ENVELOPE
    with pytest.raises(TrailingBytes):
        contract.decode(value + b"x")
    with pytest.raises(InvalidEnvelope):
        contract.decode(value[:-2])


def test_another_versions_envelope_without_what_is_needed_is_refused() -> None:
    contract, value = in_other_envelope(other_envelope(leave="source"))
    with pytest.raises(InvalidEnvelope, match="source"):
        contract.decode(value)


def wire_of(*fields: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "x.A",
        **more,
        "fields": [
            *({"name": f"f{i}", "type": f} for i, f in enumerate(fields)),
            {"name": "envelope", "type": ENVELOPE_SCHEMA},
        ],
    }


def deep(levels: int) -> Any:
    schema: Any = "string"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


EMPTY = {"type": "record", "name": "x.Empty", "fields": []}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "3",
        '"string"',
        "[]",
        "{}",
        '{"type": "record"}',
        "[" * 100_000,
        json.dumps({"type": "record", "name": "x.A", "fields": []}),
        json.dumps({"type": "record", "name": "x.A", "fields": [{"name": "envelope", "type": "string"}]}),
        json.dumps(wire_of("x.A")),
        json.dumps(wire_of(["null", "x.A"])),
        json.dumps(wire_of("x.Absent")),
        json.dumps(wire_of({"type": "array", "items": "null"})),
        json.dumps(wire_of({"type": "array", "items": EMPTY})),
        json.dumps(wire_of(EMPTY, {"type": "array", "items": "x.Empty"})),
        json.dumps(wire_of({"type": "fixed", "name": "x.F", "size": 2**40})),
        json.dumps(wire_of({"type": "bytes", "logicalType": "decimal", "precision": 4})),
        json.dumps(wire_of(deep(40))),
        json.dumps(wire_of(version="2")),
        json.dumps(wire_of(version=0)),
        json.dumps(wire_of(name="not a name")),
        json.dumps(wire_of({"type": ["null"]})),
        json.dumps(wire_of([["null"]])),
    ],
)
def test_a_schema_that_could_harm_or_is_none_is_not_learned(text: str) -> None:
    with pytest.raises(SchemaError):
        Contract().learn(7, text)


def test_a_schema_under_a_wrong_id_is_not_learned() -> None:
    _, old_id, old_json = written(model(cents=(int, ...)), cents=5)
    with pytest.raises(SchemaError, match=f"whose id is {old_id}"):
        Contract().learn(old_id + 1, old_json)


def test_learning_what_is_known_changes_nothing() -> None:
    contract = Contract()
    kind = contract.register(model(cents=(int, ...)), "bank.Deposited")
    contract.learn(kind.schema_id, json.dumps(json.loads(kind.schema_json), indent=2))
    assert contract.by_id(kind.schema_id) is kind
    assert list(contract.schemas()) == [(kind.schema_id, kind.schema_json)]


def two_names_of_one_id(template: str) -> tuple[str, str]:
    """Return two schema texts that collide; among 31-bit ids that takes about 60,000."""
    seen: dict[int, str] = {}
    for number in count():
        text = template.replace("x.A", f"x.A{number}")
        other = seen.setdefault(schema_id(text), text)
        if other is not text:
            return other, text
    raise AssertionError


def test_two_schemas_of_one_id_are_refused() -> None:
    one, other = two_names_of_one_id(normalised(wire_of("long")))
    contract = Contract()
    contract.learn(schema_id(one), one)
    with pytest.raises(SchemaCollision, match=f"schema id {schema_id(one)} belongs to x.A"):
        contract.learn(schema_id(other), other)
    cls = model(f0=(int, ...))
    with pytest.raises(SchemaCollision):
        contract.register(cls, json.loads(other)["name"])
    with pytest.raises(KeyError):
        contract.of(cls)


def test_a_name_has_one_class_and_a_class_one_name() -> None:
    contract, cls = Contract(), model(cents=(int, ...))
    kind = contract.register(cls, "bank.Deposited")
    assert contract.register(cls, "bank.Deposited") is kind
    assert (contract.of(cls), contract.named("bank.Deposited"), contract.by_id(kind.schema_id)) == (kind, kind, kind)
    with pytest.raises(TypeNameTaken, match="set explicit_type"):
        contract.register(model(cents=(int, ...)), "bank.Deposited")
    with pytest.raises(TypeNameTaken, match=r"registered as bank\.Deposited"):
        contract.register(cls, "shop.Deposited")
    with pytest.raises(TypeNameTaken, match="version 1"):
        contract.register(cls, "bank.Deposited", (named,))


def test_the_forged_rest_of_an_evolved_record_is_malformed() -> None:
    value, old_id, old_json = written(model(cents=(int, ...), more=(str, "")), cents=5)
    contract = Contract()
    contract.register(model(cents=(int, ...)), "bank.Deposited")
    contract.learn(old_id, old_json)
    for end in range(5, len(value)):
        with pytest.raises(MalformedRecord):
            contract.decode(value[:end])
    forged = value.replace(encode_envelope(ENVELOPE), encode_envelope(ENVELOPE._replace(type="bank.Withdrawn")))
    with pytest.raises(MalformedRecord, match=r"bank\.Withdrawn"):
        contract.decode(forged)

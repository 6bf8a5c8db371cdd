from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from hms.core.log import EVENTS, SCHEMAS, Stored
from hms.replay.columns import AFTER, BEFORE, RESERVED, SCHEMA, UNREADABLE, Columns, Schemas, column_names
from hms.schemas import Contract, Envelope, Event, Record, headers_for

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Limit(Record):
    explicit_type = "bank.Limit"
    cents: int
    note: str | None = None


class Nothing(Record):
    explicit_type = "bank.Nothing"


class Paid(Event):
    cents: int
    rate: float
    final: bool
    seal: bytes
    booked_at: datetime
    bound: Limit
    reason: str | None
    ceiling: Limit | None
    empty: Nothing = Nothing()


class Listed(Event):
    names: tuple[str, ...]
    limits: tuple[Limit, ...]
    rates: dict[str, float]
    either: Limit | Nothing
    perhaps: Limit | Nothing | None


class Colliding(Event):
    position: int
    end: str
    Order: int
    order: int
    type: str
    bytes: str


class World:
    def __init__(self) -> None:
        self.contract = Contract()
        self.schemas = Schemas()
        self.count = 0

    def stored(self, event: Event, *, name: str = "", known: bool = True, headers: bool = False) -> Stored:
        record_type = self.contract.register(type(event), name or f"bank.{type(event).__name__}")
        if known:
            self.schemas.add(record_type.schema_json)
        self.count += 1
        envelope = Envelope(
            f"id-{self.count}",
            "client/ada",
            f"account/{self.count}",
            record_type.name,
            1_700_000_000_000_000 + self.count,
            "all",
            "cause" if self.count % 2 else None,
            None,
            "high",
            self.count if self.count % 3 else None,
        )
        value = record_type.wire(record_type.encode_body(event), envelope)
        return Stored(
            EVENTS,
            3,
            self.count,
            1_800_000_000_000_000 + self.count,
            envelope.destination.encode(),
            value,
            headers_for(envelope) if headers else (),
        )

    def table(self, *records: Stored) -> dict[str, pa.Table]:
        columns = Columns(self.schemas)
        columns.add_many(records)
        return columns.tables()


def paid(number: int) -> Paid:
    return Paid(
        cents=(-1) ** number * 7**number,
        rate=number / 3,
        final=number % 2 == 0,
        seal=bytes(range(number)),
        booked_at=EPOCH + timedelta(microseconds=10**number),
        bound=Limit(cents=number, note=None if number % 3 else "é" * number),
        reason=None if number % 2 else "why " * number,
        ceiling=None if number % 4 else Limit(cents=-number),
    )


def plain(event: Record) -> dict[str, Any]:
    fields = event.model_dump()
    fields["empty"] = True
    return fields


def test_the_fields_of_many_records_are_read_side_by_side() -> None:
    world = World()
    events = [paid(number) for number in range(16)]
    table = world.table(*[world.stored(event) for event in events])["bank.Paid"]
    assert table.column_names == [*BEFORE, *Paid.model_fields, *AFTER]
    assert table.select(list(Paid.model_fields)).to_pylist() == [plain(event) for event in events]


def test_both_ways_of_reading_give_the_same_columns() -> None:
    world = World()
    records = [world.stored(paid(number)) for number in range(16)]
    kind = world.schemas.types()[0]
    values = [stored.value or b"" for stored in records]
    together = kind._read_columns(values)
    assert together is not None
    assert together.columns == kind._read_rows(values).columns


def test_the_envelope_the_place_the_headers_and_the_bytes_are_columns_of_every_table() -> None:
    world = World()
    stored = world.stored(paid(1), headers=True)
    (row,) = world.table(stored)["bank.Paid"].select([*BEFORE, *AFTER]).to_pylist()
    assert (row["topic"], row["shard"], row["position"]) == (EVENTS, 3, 1)
    assert row["appended_at"] == EPOCH + timedelta(microseconds=stored.at_us)
    assert row["record_key"] == "account/1"
    assert row["bytes"] == stored.value
    assert [(one["name"], one["value"]) for one in row["headers"]] == list(stored.headers)
    assert row["envelope"] == {
        "id": "id-1",
        "source": "client/ada",
        "destination": "account/1",
        "type": "bank.Paid",
        "sent_at": EPOCH + timedelta(microseconds=1_700_000_000_000_001),
        "correlation_id": "all",
        "causation_id": "cause",
        "reply_to": None,
        "priority": "high",
        "ttl_ms": 1,
        "version": "1.0",
    }


def test_arrays_maps_and_unions_of_records_become_lists_maps_and_structs() -> None:
    world = World()
    limit = Limit(cents=5)
    events = [
        Listed(names=("a", "b"), limits=(limit,), rates={"x": 0.5}, either=limit, perhaps=None),
        Listed(names=(), limits=(), rates={}, either=Nothing(), perhaps=limit),
    ]
    table = world.table(*[world.stored(event) for event in events])["bank.Listed"]
    first, second = table.select(list(Listed.model_fields)).to_pylist()
    assert first["names"] == ["a", "b"]
    assert first["limits"] == [{"cents": 5, "note": None}]
    assert first["rates"] == [("x", 0.5)]
    assert first["either"] == {"branch": "Limit", "Limit": {"cents": 5, "note": None}, "Nothing": None}
    assert first["perhaps"] is None
    assert second["either"] == {"branch": "Nothing", "Limit": None, "Nothing": True}
    assert second["perhaps"] == {"branch": "Limit", "Limit": {"cents": 5, "note": None}, "Nothing": None}


def test_no_column_needs_quotes_in_duckdb() -> None:
    world = World()
    table = world.table(world.stored(Colliding(position=1, end="2", Order=3, order=4, type="5", bytes="6")))
    found = table["bank.Colliding"]
    assert found.column_names[6:-2] == ["position_", "end_", "Order_", "order__", "type_", "bytes_"]
    statement = f"create table copied as select {', '.join(found.column_names)} from found"  # noqa: S608 - that is what is tested
    connection = duckdb.connect()
    connection.register("found", found)
    connection.execute(statement)
    assert connection.execute("select count(*) from copied").fetchall() == [(1,)]


def test_every_reserved_word_of_this_duckdb_is_known() -> None:
    words = duckdb.sql("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'").fetchall()
    assert {word for (word,) in words} <= RESERVED


def test_names_that_differ_in_case_alone_stay_apart() -> None:
    assert column_names(["a", "A", "a_"]) == ["a", "A_", "a__"]


def damaged(stored: Stored, how: str) -> Stored:
    value = stored.value or b""
    kind = {
        "cut": value[:-3],
        "longer": value + b"!",
        "length": value.replace(b"\x14client/ada", b"\x7fclient/ada"),
        "text": value.replace(b"client/ada", b"client/\xff\xff\xff"),
        "branch": value.replace(b"\x06all\x00\x00", b"\x06all\x00\x06"),
        "type": value.replace(b"bank.Paid", b"bank.Pain"),
    }
    assert kind[how] != value
    return stored._replace(value=kind[how])


@pytest.mark.parametrize("how", ["cut", "longer", "length", "text", "branch", "type"])
def test_a_malformed_value_is_kept_with_its_bytes_beside_the_good_ones(how: str) -> None:
    world = World()
    good, bad, last = (world.stored(paid(number)) for number in (2, 3, 4))
    bad = damaged(bad, how)
    tables = world.table(good, bad, last)
    assert tables["bank.Paid"].column("position").to_pylist() == [1, 3]
    (row,) = tables[UNREADABLE].to_pylist()
    assert (row["position"], row["bytes"], row["record_key"]) == (2, bad.value, bad.key)
    assert row["reason"]


def test_an_unknown_schema_a_foreign_value_a_tombstone_and_a_key_that_is_no_text_are_kept_with_their_bytes() -> None:
    world = World()
    unknown = world.stored(paid(1), known=False)._replace(value=b"\0\0\0\0\x07rest")
    foreign = world.stored(paid(1))._replace(value=b"{}")
    short = world.stored(paid(1))._replace(value=b"\0\x01")
    nothing = world.stored(paid(1))._replace(value=None)
    empty = world.stored(paid(1))._replace(value=b"")
    key = world.stored(paid(1))._replace(key=b"\xff")
    records = (unknown, foreign, short, nothing, empty, key)
    tables = world.table(*records)
    assert list(tables) == [UNREADABLE]
    rows = sorted(tables[UNREADABLE].to_pylist(), key=lambda row: row["position"])
    assert [row["bytes"] for row in rows] == [stored.value for stored in records]
    assert [row["record_key"] for row in rows] == [stored.key for stored in records]
    assert rows[0]["reason"] == "unknown schema 7"


def test_whoever_collects_is_told_which_schemas_to_look_for() -> None:
    world = World()
    columns = Columns(world.schemas)
    columns.add(world.stored(paid(1), known=False))
    assert columns.unknown_schemas() == {world.contract.of(Paid).schema_id}


def test_two_versions_of_a_type_make_one_table_where_the_absent_field_is_null() -> None:
    class Older(Event):
        cents: int

    class Newer(Event):
        cents: int
        tip: int = 0

    world = World()
    older = world.stored(Older(cents=1), name="bank.Tip")
    later = World()
    later.schemas, later.count = world.schemas, 1
    newer = later.stored(Newer(cents=2, tip=3), name="bank.Tip")
    table = world.table(older, newer)["bank.Tip"]
    assert table.select(["cents", "tip"]).to_pylist() == [{"cents": 1, "tip": None}, {"cents": 2, "tip": 3}]


def test_the_schemas_of_the_log_are_a_table_too_and_teach() -> None:
    world = World()
    record_type = world.contract.register(Paid, "bank.Paid")
    good = Stored(SCHEMAS, 0, 0, 5, str(record_type.schema_id).encode(), record_type.schema_json.encode(), ())
    wrong = good._replace(offset=1, value=b"no schema")
    assert world.schemas.learn(good)
    assert not world.schemas.learn(wrong)
    assert not world.schemas.learn(good._replace(key=b"12"))
    table = world.table(good, wrong)[SCHEMA]
    assert table.column("schema_json").to_pylist() == [record_type.schema_json, "no schema"]

"""The generator of Avro schemas: what it takes, and what it refuses with which words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from fastavro import parse_schema
from pydantic import AwareDatetime, Field, create_model

from hms.schemas import Event, Message, Record, State, UnsupportedType, avro_schema, normalised, schema_id
from hms.schemas.fingerprint import wire_schema


class Colour(StrEnum):
    RED = "red"


class Wheel(Record):
    spokes: int = 32


class Running(Record):
    since: datetime


class Stopped(Record):
    since: datetime
    why: str = ""


class Nothing(Record):
    pass


def schema_of(annotation: Any, default: Any = ...) -> Any:
    """Return the Avro field that a model's field of this type gets."""
    model: type[Record] = create_model("Model", __base__=Event, field=(annotation, default))
    schema = avro_schema(model, "app.Model")
    parse_schema(schema)
    field = schema["fields"][0]
    return (field["type"], field["default"]) if "default" in field else field["type"]


INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
WHEEL = {"type": "record", "name": "app.Wheel", "fields": [{"name": "spokes", "type": "long", "default": 32}]}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("annotation", "avro"),
    [
        (str, "string"),
        (int, "long"),
        (float, "double"),
        (bool, "boolean"),
        (bytes, "bytes"),
        (datetime, INSTANT),
        (AwareDatetime, INSTANT),
        (Literal["up", "down"], "string"),
        (Colour, "string"),
        (Annotated[int, Field(ge=0)], "long"),
        (str | None, ["null", "string"]),
        (Annotated[int, Field(ge=0)] | None, ["null", "long"]),
        (tuple[int, ...], {"type": "array", "items": "long"}),
        (dict[str, float], {"type": "map", "values": "double"}),
        (tuple[dict[str, bytes], ...] | None, ["null", {"type": "array", "items": {"type": "map", "values": "bytes"}}]),
        (Wheel, WHEEL),
        (tuple[Wheel, ...], {"type": "array", "items": WHEEL}),
    ],
)
def test_every_type_of_the_closed_list_has_its_schema(annotation: Any, avro: Any) -> None:
    assert schema_of(annotation) == avro


@pytest.mark.parametrize(
    ("annotation", "default", "avro", "written"),
    [
        (int, 3, "long", 3),
        (str | None, None, ["null", "string"], None),
        (str | None, "x", ["string", "null"], "x"),
        (bytes, b"\xff\x00", "bytes", "\xff\x00"),
        (datetime, NOON, INSTANT, 1_767_268_800_000_000),
        (datetime, NOON.astimezone(tz=None) + timedelta(microseconds=1), INSTANT, 1_767_268_800_000_001),
        (Colour, Colour.RED, "string", "red"),
        (tuple[int, ...], (), {"type": "array", "items": "long"}, []),
        (dict[str, int], {"a": 1}, {"type": "map", "values": "long"}, {"a": 1}),
        (dict[str, int], Field(default_factory=dict), {"type": "map", "values": "long"}, {}),
        (Wheel, Wheel(spokes=3), WHEEL, {"spokes": 3}),
        (Wheel, Field(default_factory=Wheel), WHEEL, {"spokes": 32}),
        (Wheel | None, None, ["null", WHEEL], None),
    ],
)
def test_a_default_of_the_model_is_the_default_of_the_schema(
    annotation: Any, default: Any, avro: Any, written: Any
) -> None:
    assert schema_of(annotation, default) == (avro, written)


def test_a_union_of_records_begins_with_the_branch_of_its_default() -> None:
    branches, default = schema_of(Running | Stopped | None, Stopped(since=NOON))
    assert [branch if isinstance(branch, str) else branch["name"] for branch in branches] == [
        "app.Stopped",
        "app.Running",
        "null",
    ]
    assert default == {"since": 1_767_268_800_000_000, "why": ""}


def test_a_record_is_defined_where_it_comes_first_and_named_where_it_comes_again() -> None:
    model = create_model("Bike", __base__=State, front=(Wheel, ...), rear=(Wheel, ...))
    front, rear = avro_schema(model, "app.Bike")["fields"]
    assert front["type"] == WHEEL
    assert rear["type"] == "app.Wheel"


def test_an_explicit_type_names_a_record_inside_too() -> None:
    class Renamed(Record):
        explicit_type = "old.Name"

    assert schema_of(Renamed)["name"] == "old.Name"


@pytest.mark.parametrize(
    "annotation",
    [
        Decimal,
        Any,
        list[int],
        set[str],
        tuple[int, str],
        tuple[int],
        dict[int, str],
        int | str,
        int | Wheel,
        Literal[1, 2],
        timedelta,
        object,
        dict,
        tuple,
    ],
)
def test_a_type_outside_the_closed_list_is_refused_by_name_and_field(annotation: Any) -> None:
    with pytest.raises(UnsupportedType, match=r"Model\.field: expected"):
        schema_of(annotation)


@pytest.mark.parametrize(
    ("annotation", "default", "words"),
    [
        (datetime, datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001 - a datetime without a zone is what is refused
        (float, float("nan"), "JSON has no nan"),
        (float, float("-inf"), "JSON has no -inf"),
        (str, Field(default_factory=lambda: "x"), "as its factory"),
        (str, Field(alias="other"), "without aliases"),
        (tuple[Nothing, ...], (), "takes no bytes"),
    ],
)
def test_a_field_that_would_vary_or_cannot_be_written_is_refused(annotation: Any, default: Any, words: str) -> None:
    with pytest.raises(UnsupportedType, match=words):
        schema_of(annotation, default)


def test_a_record_that_contains_itself_is_refused() -> None:
    class Node(Event):
        next: "Node | None" = None

    Node.model_rebuild(_types_namespace={"Node": Node})
    with pytest.raises(UnsupportedType, match="contains itself"):
        avro_schema(Node, "app.Node")


def test_two_classes_of_one_name_in_one_schema_are_refused() -> None:
    other = create_model("Wheel", __base__=Record, teeth=(int, ...))
    model = create_model("Bike", __base__=Event, wheel=(Wheel, ...), cog=(other, ...))
    with pytest.raises(UnsupportedType, match=r"two classes are called app\.Wheel"):
        avro_schema(model, "app.Bike")


def test_a_field_called_envelope_is_refused() -> None:
    model = create_model("Letter", __base__=Message, envelope=(str, ...))
    with pytest.raises(UnsupportedType, match="rename it"):
        avro_schema(model, "app.Letter")


@pytest.mark.parametrize("name", ["my-app.Wheel", "", "app..Wheel", "1.Wheel", "app.Rad\u00fc", "hms.Envelope"])
def test_a_name_that_avro_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedType, match="set explicit_type"):
        avro_schema(Wheel, name)


def test_the_normalised_text_has_full_names_and_no_docs_but_keeps_defaults_and_logical_types() -> None:
    spelled = {
        "namespace": "app",
        "type": "record",
        "name": "A",
        "doc": "gone",
        "fields": [
            {
                "name": "b",
                "doc": "gone",
                "type": {"type": "record", "name": "B", "fields": []},
                "default": {"doc": "1"},
            },
            {"name": "at", "type": {"logicalType": "timestamp-micros", "type": "long"}},
            {"name": "again", "type": ["null", "B"]},
        ],
    }
    assert normalised(spelled) == (
        '{"fields":[{"default":{"doc":"1"},"name":"b","type":{"fields":[],"name":"app.B","type":"record"}},'
        '{"name":"at","type":{"logicalType":"timestamp-micros","type":"long"}},'
        '{"name":"again","type":["null","app.B"]}],"name":"app.A","type":"record"}'
    )


def test_an_id_is_the_first_31_bits_of_the_sha_256_of_the_text() -> None:
    assert schema_id("abc") == 0xBA7816BF & 0x7FFFFFFF


def test_the_doc_of_a_class_is_in_its_schema_and_changes_no_id() -> None:
    class Wheel(Record):
        """Round."""

        spokes: int = 32

    documented = avro_schema(Wheel, "app.Wheel")
    assert documented["doc"] == "Round."
    assert normalised(wire_schema(documented)) == normalised(wire_schema(WHEEL))

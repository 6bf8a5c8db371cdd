"""FULL_TRANSITIVE, held against Apache Avro's own checker."""

import json
from pathlib import Path
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given, settings
from hypothesis import strategies as st

from hms.schemas.compatibility import check, differences
from hms.schemas.golden import AVSC, RELEASED, body_schemas, export, read_avsc
from hms.schemas.vocabulary import MODULES, VOCABULARY


def record(*fields: Any, name: str = "x.A") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, avro: Any, *default: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, **({"default": default[0]} if default else {})}


INNER = record(field("n", "long"), name="x.Inner")
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (record(field("a", "long")), record(field("a", "long"), field("b", "string", ""))),
        (record(field("a", "long"), field("b", "long", 0)), record(field("a", "long"))),
        (record(field("a", "long"), field("b", "long")), record(field("b", "long"), field("a", "long"))),
        (record(field("a", "long", 1)), record(field("a", "long", 2))),
        (record(field("a", ["null", "long"])), record(field("a", ["long", "null"], 3))),
        (record(field("a", INNER), field("b", INNER)), record(field("b", INNER), field("a", "x.Inner"))),
    ],
)
def test_what_both_sides_can_read_is_compatible(old: Any, new: Any) -> None:
    assert list(differences(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        (record(), record(field("b", "long")), ".b", "is new and has no default; give it one"),
        (record(field("b", "long")), record(), ".b", "is gone and had no default; keep it"),
        (record(field("a", "long")), record(field("a", "double")), ".a", "expected long, as released, got double"),
        (record(field("a", "string")), record(field("a", "bytes")), ".a", "expected string"),
        (record(field("a", "long")), record(field("a", INSTANT)), ".a", "got long/timestamp-micros"),
        (record(field("a", "long")), record(field("a", ["null", "long"])), ".a", "got union"),
        (record(field("a", ["null", "long"])), record(field("a", ["null", "string"])), ".a", "branch long is gone"),
        (
            record(field("a", [INNER])),
            record(field("a", [INNER, record(name="x.New")])),
            ".a",
            "branch record/x.New is new",
        ),
        (
            record(field("a", {"type": "array", "items": INNER})),
            record(field("a", {"type": "array", "items": record(field("n", "string"), name="x.Inner")})),
            ".a[].n",
            "expected long",
        ),
        (
            record(field("a", {"type": "map", "values": "long"})),
            record(field("a", {"type": "map", "values": "string"})),
            ".a[]",
            "expected long",
        ),
        (record(), record(name="x.B"), "", "expected record/x.A"),
    ],
)
def test_what_one_side_cannot_read_is_named_with_its_path(old: Any, new: Any, path: str, words: str) -> None:
    assert any(words in reason for where, reason in differences(old, new) if where == path)


scalars = st.sampled_from(["long", "double", "string", "bytes", "boolean", INSTANT])
DEFAULTS: dict[str, Any] = {"long": 0, "double": 0.0, "string": "", "bytes": "", "boolean": False}


@st.composite
def records(draw: st.DrawFn, name: str = "x.R") -> dict[str, Any]:
    fields = []
    for key in draw(st.lists(st.sampled_from("abc"), unique=True)):
        scalar = draw(scalars)
        inner = records(f"x.R{key}") if name == "x.R" else scalars
        shapes = [scalar, ["null", scalar], {"type": "array", "items": scalar}, {"type": "map", "values": draw(inner)}]
        kind = draw(st.sampled_from(shapes))
        plain = kind["type"] if kind == INSTANT else kind
        default = [DEFAULTS[plain]] if isinstance(plain, str) and draw(st.booleans()) else []
        fields.append(field(key, kind, *default))
    return record(*fields, name=name)


def apache_accepts(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    parsed = [avro.schema.parse(json.dumps(schema)) for schema in (reader, writer)]
    found = ReaderWriterCompatibilityChecker().get_compatibility(*parsed)
    return bool(found.compatibility == SchemaCompatibilityType.compatible)


def without_bytes_and_instants(schema: Any) -> Any:
    """Return a schema where strings and bytes, and longs and instants, are the same: Avro reads one as the other."""
    return json.loads(json.dumps(schema).replace(json.dumps(INSTANT), '"long"').replace('"bytes"', '"string"'))


@settings(max_examples=300, deadline=None)
@given(records(), records())
def test_apache_avro_agrees_in_both_directions(old: dict[str, Any], new: dict[str, Any]) -> None:
    both = apache_accepts(old, new) and apache_accepts(new, old)
    strict = not list(differences(old, new))
    assert both or not strict, "we never pass what Avro's own checker refuses"
    loose = not list(differences(without_bytes_and_instants(old), without_bytes_and_instants(new)))
    assert loose == both, "and refuse more only where bytes or instants are concerned"


def test_every_release_is_compared_and_a_type_that_is_gone_is_told(tmp_path: Path) -> None:
    export(tmp_path / "0.1.0", {"x.A": record(field("a", "long")), "x.B": record(name="x.B")})
    export(tmp_path / "0.2.0", {"x.A": record(field("a", "long"), field("b", "long", 0))})
    export(tmp_path / "1.0.0", {"x.A": record(field("z", "string"))})
    current = {"x.A": record(field("a", "long"), field("b", "string", ""))}
    assert [str(found) for found in check(tmp_path, current, major=0)] == [
        "x.B: was released and is gone; keep the class, history is replayed for ever (release 0.1.0)",
        "x.A.b: expected long, as released, got string; add another field instead (release 0.2.0)",
    ]
    assert len({found.release for found in check(tmp_path, current)}) == 3
    assert check(tmp_path / "absent", current) == []


def test_a_folder_that_is_no_release_is_named(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    with pytest.raises(ValueError, match=r"expected a folder named like 0\.1\.0"):
        check(tmp_path, {})


def test_an_export_deletes_what_is_gone(tmp_path: Path) -> None:
    export(tmp_path, {"x.A": record(), "x.B": record(name="x.B")})
    export(tmp_path, {"x.B": record(name="x.B")})
    assert read_avsc(tmp_path) == {"x.B": record(name="x.B")}


def test_the_golden_schemas_are_those_of_the_vocabulary() -> None:
    current, golden = body_schemas(VOCABULARY), read_avsc(AVSC)
    assert current.keys() == golden.keys(), "run tools/export_schemas.py and review what changes"
    differing = [name for name in current if current[name] != golden[name]]
    assert not differing, "run tools/export_schemas.py and review what changes"


def test_the_vocabulary_can_read_and_be_read_by_every_release() -> None:
    assert check(RELEASED, body_schemas(VOCABULARY)) == []


def test_no_module_of_records_is_forgotten_in_the_vocabulary() -> None:
    listed = {module.__name__.rpartition(".")[2] for module in MODULES}
    defining = {
        file.stem
        for file in AVSC.parent.glob("*.py")
        if "(Message" in (text := file.read_text(encoding="utf-8")) or "(Event)" in text or "(Record)" in text
    }
    assert defining - listed - {"record"} == set()

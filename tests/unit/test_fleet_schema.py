"""The JSON Schema for editors says what a fleet file may hold; what it refuses is in test_fleet_mistakes.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hms.actors.fleet import file_schema, read_fleet, schema_text
from hms.schemas.fleet import ComponentSpec, FleetSpec, GroupSpec, Probe

REFERENCE = Path(__file__).parents[2] / "docs/reference"
EXAMPLES = sorted((REFERENCE / "fleets").glob("*.yaml"))
WRITE = "from pathlib import Path; from hms.actors.fleet import schema_text; Path('{}').write_text(schema_text())"


class Editor(yaml.SafeLoader):
    """Reads as editors do, who speak YAML 1.2: no dates."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def test_the_schema_in_the_reference_is_the_one_that_the_code_gives() -> None:
    golden = REFERENCE / "fleet.schema.json"
    write = WRITE.format("docs/reference/fleet.schema.json")
    assert golden.read_text() == schema_text(), f'run: python -c "{write}"'


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_right_for_hms_and_for_editors(file: Path) -> None:
    assert read_fleet(file).components
    jsonschema = pytest.importorskip(
        "jsonschema", reason="jsonschema checks what editors accept: pip install jsonschema"
    )
    jsonschema.validate(yaml.load(file.read_text(), Editor), file_schema())  # noqa: S506 - a SafeLoader


def test_there_are_examples() -> None:
    assert [file.stem for file in EXAMPLES] == ["minimal", "pipeline", "shop"]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    for inner in schema if isinstance(schema, list) else ():
        yield from objects(inner)


def test_every_mapping_refuses_unknown_keys_and_every_key_is_described() -> None:
    found = list(objects(file_schema()))
    assert len(found) == 9
    for mapping in found:
        assert mapping["additionalProperties"] is False
        assert mapping["description"]
        assert all(value.get("description") for value in mapping["properties"].values()), mapping["properties"].keys()


@pytest.mark.parametrize("model", [ComponentSpec, GroupSpec, Probe])
def test_the_schema_has_every_key_of_the_records(model: type[ComponentSpec | GroupSpec | Probe]) -> None:
    assert file_schema()["$defs"][model.__name__]["properties"].keys() == model.model_fields.keys()


def test_no_key_may_be_null() -> None:
    assert "null" not in schema_text()


def test_only_what_has_no_default_is_required() -> None:
    schema = file_schema()
    assert schema["required"] == ["fleet", "components"]
    assert schema["$defs"]["ComponentSpec"]["required"] == ["id", "command"]
    assert schema["$defs"]["GroupSpec"]["required"] == ["id"]
    assert json.loads(schema_text()) == schema
    assert schema["properties"].keys() == FleetSpec.model_fields.keys()

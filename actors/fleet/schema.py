"""JSON Schema of the fleet file, for editors: the records' own schema, with the shorthands that a file may use.

What JSON Schema cannot say (circles, unknown names, first_ms above max_ms) only `hms up --plan` finds.
"""

import json
from typing import Any

from ...schemas.fleet import FleetSpec
from .checks import KINDS, ONCE, SIGNALS, UMASK, VARIABLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """Return the schema of a fleet file as a JSON-able value."""
    schema: dict[str, Any] = _without_null(FleetSpec.model_json_schema())
    kinds = schema["$defs"]
    schema["required"] = ["fleet", "components"]
    _allow_shorthands(kinds["ComponentSpec"]["properties"])
    _demand_one_kind(kinds["Probe"])
    for name in ONCE:
        _demand_one_success(kinds["Probes"]["properties"][name])
    signals = [*SIGNALS, *(f"SIG{name}" for name in SIGNALS)]
    kinds["Stop"]["properties"]["signal"]["enum"] = signals
    return {"$schema": DIALECT, **schema, "title": "HMS fleet file"}


def schema_text() -> str:
    """Return the schema as the text that `docs/reference/fleet.schema.json` holds."""
    return json.dumps(file_schema(), indent=2, sort_keys=True) + "\n"


def _without_null(schema: Any) -> Any:
    """Drop null, which a file may not say, and what repeats other lines: titles, defaults of nested mappings."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {key: value for key, value in schema.items() if key != "default"}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default", "title"}}
        return _without_null(options[0] | rest)
    return {
        key: _without_null(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))
    }


def _allow_shorthands(component: dict[str, Any]) -> None:
    component["group"].pop("default")
    component["environment"]["additionalProperties"] = {"type": ["string", "number"]}
    component["environment"]["propertyNames"] = {"pattern": VARIABLE}
    component["user"]["type"] = ["string", "integer"]
    component["user"]["minLength"] = 1
    component["umask"] |= {"type": ["string", "integer"], "pattern": UMASK}
    component["working_folder"]["pattern"] = "^[^~]"
    listed = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    conditions = component["depends_on"]
    mapped = {key: conditions.pop(key) for key in ("type", "additionalProperties")}
    component["depends_on"] = conditions | {"anyOf": [listed, mapped]}


def _demand_one_kind(probe: dict[str, Any]) -> None:
    probe["properties"]["process"] |= {"const": True}
    probe["properties"]["process"].pop("default")
    probe["oneOf"] = [{"required": [kind]} for kind in KINDS]


def _demand_one_success(probe: dict[str, Any]) -> None:
    probe["properties"] = {"success_threshold": {"const": 1}}

"""The fleet file, key by key, from the JSON Schema that editors use."""

from collections.abc import Iterator
from typing import Any

from hms.actors.fleet import file_schema
from hms.actors.fleet.file import BYTES_MAX
from hms.actors.fleet.plan import RESTART_FIELDS

from . import markdown

ORDER = ("FleetSpec", "GroupSpec", "ComponentSpec", "Probes", "Probe", "Limits", "Stop", "Backoff", "Output")
INTRODUCTION = """YAML 1.2 of at most {bytes:,} bytes, anchors and merge keys included. Unknown keys are mistakes;
every mistake is named with line and column, and nothing is started (exit 2). `hms up -f FILE --plan` reads the file
and shows the difference, without doing anything. Editors read [fleet.schema.json](fleet.schema.json); examples are
in [fleets/](fleets/). `*` marks what must be there."""
CHANGES = """## What a change does

A changed {fields} restarts the component; anything else takes effect while it runs."""


def page() -> str:
    """Return docs/reference/fleet-file.md."""
    schema = file_schema()
    kinds: dict[str, Any] = {"FleetSpec": schema, **schema["$defs"]}
    parts = [part for name in ORDER for part in _section(name, kinds[name])]
    words = [f"`{field}`" for field in RESTART_FIELDS]
    changes = CHANGES.format(fields=f"{', '.join(words[:-1])} or {words[-1]}")
    return markdown.page("The fleet file", INTRODUCTION.format(bytes=BYTES_MAX), *parts, changes)


def _section(name: str, kind: dict[str, Any]) -> Iterator[str]:
    yield f"## {name.removesuffix('Spec')}"
    yield kind["description"]
    required = kind.get("required", ())
    rows = [(f"`{key}`{'*' * (key in required)}", _about(value), value.get("description", ""), _default(value))
            for key, value in kind["properties"].items()]  # fmt: skip
    yield markdown.table(("key", "value", "what", "default"), rows)


def _about(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return _link(value["$ref"])
    if "anyOf" in value:
        return " or ".join(_about(option) for option in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    kinds = value.get("type", "")
    text = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if kinds == "array":
        text = f"list of {_about(value['items'])}"
    return " ".join([text, *_bounds(value)]).strip()


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2].removesuffix("Spec")
    return f"[{name}](#{name.lower()})"


def _bounds(value: dict[str, Any]) -> Iterator[str]:
    low, high = value.get("minimum"), value.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"


def _default(value: dict[str, Any]) -> str:
    return f"`{value['default']}`" if value.get("default") not in (None, "", {}, []) else ""

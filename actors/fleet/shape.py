"""Whether a document has the shape of a fleet: the records judge, their errors become mistakes with places.

Before, the shorthands of the file are written out: a list of dependencies, numbers where text is meant.
"""

import json
import shlex
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...schemas.fleet import FleetSpec
from .document import Document
from .mistakes import Path, likely

TEXTS = ("user", "umask")
"""Keys of a component whose value is text that people write as a number."""
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "too_short": "at least one word",
    "string_pattern_mismatch": "1 to 100 letters, digits, `_`, `.`, `-`, the first a letter or digit",
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def components_of(document: Document) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield path and value of each component that is a mapping, right or wrong."""
    return mappings_in(document, "components")


def mappings_in(document: Document, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield path and value of each mapping in the list under `key`, right or wrong."""
    items = document.data.get(key) if isinstance(document.data, dict) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield (key, index), item


def read_shape(document: Document) -> FleetSpec | None:
    """Return the fleet as written, or None after noting what does not fit."""
    for path, component in components_of(document):
        _numbers_as_text(document, path, component)
        _dependencies_as_mapping(document, path, component)
    if isinstance(document.data, dict) and "components" not in document.data:
        _note_missing(document, ("components",))
    try:
        return FleetSpec.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(document, detail)
        return None


def _numbers_as_text(document: Document, path: Path, component: dict[str, Any]) -> None:
    """Take numbers as they are written (as compose does in the environment); `true` and `yes` must be quoted."""
    _write_out(document, path, component, TEXTS)
    environment = component.get("environment")
    if isinstance(environment, dict):
        _write_out(document, (*path, "environment"), environment, tuple(environment))


def _write_out(document: Document, path: Path, values: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if isinstance(values.get(key), int | float) and not isinstance(values[key], bool):
            values[key] = document.written[*path, key]


def _dependencies_as_mapping(document: Document, path: Path, component: dict[str, Any]) -> None:
    """Write a list of dependencies out as compose does: each must be started."""
    listed = component.get("depends_on")
    if not isinstance(listed, list):
        return
    component["depends_on"] = {}
    for index, name in enumerate(listed):
        at = (*path, "depends_on", index)
        if not isinstance(name, str):
            document.wrong(at, "a component's id", document.shown(at, name), "write `depends_on: [ID, ...]`")
        elif name in component["depends_on"]:
            document.wrong(at, "each dependency once", f"`{name}` again", "remove one of the two")
        else:
            component["depends_on"][name] = "started"
            document.keys[*path, "depends_on", name] = document.value_place(at)


def _note(document: Document, detail: ErrorDetails) -> None:
    path: Path = detail["loc"]
    if detail["type"] == "extra_forbidden":
        _note_unknown(document, path)
    elif detail["type"] == "missing":
        _note_missing(document, path)
    else:
        got = document.shown(path, detail["input"])
        document.wrong(path, _expected(detail), got, _advice(path, detail))


def _note_unknown(document: Document, path: Path) -> None:
    key = str(path[-1])
    known = [name for name in fields_at(path[:-1]) if name not in fields_in(document, path[:-1])]
    otherwise = f"remove it; the keys here are {', '.join(fields_at(path[:-1]))}"
    document.wrong_key(path, "a known key", f"unknown key `{key}`", likely(key, known, otherwise))


def _note_missing(document: Document, path: Path) -> None:
    examples = {"id": "id: NAME", "command": "command: [PROGRAM, ARGUMENT]", "fleet": "fleet: NAME"}
    example = examples.get(str(path[-1]), f"{path[-1]}: []")
    document.wrong(path, f"the key `{path[-1]}`", "nothing", f"add `{example}`")


def fields_in(document: Document, path: Path) -> tuple[str, ...]:
    """Return the keys that the mapping at `path` has in the file."""
    value = document.data
    for part in path:
        value = value[part]
    return tuple(value)


def fields_at(path: Path) -> tuple[str, ...]:
    """Return the keys that a fleet file knows at `path`, in the order of the reference."""
    model: type[BaseModel] = FleetSpec
    for part in path:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType, tuple}:
        return next((model for model in map(_model_in, get_args(annotation)) if model), None)
    return None


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {context[bound]}"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "`")
    if detail["loc"] and detail["loc"][-1] == "depends_on":
        return "a list of ids, or a mapping of ids to started, ready or completed"
    return _EXPECTED.get(kind, detail["msg"])


def _advice(path: Path, detail: ErrorDetails) -> str:
    value, key = detail["input"], str(path[-1]) if path else ""
    match detail["type"]:
        case "literal_error":
            words = str(detail["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
            advice = likely(str(value), words, "write one of them")
        case "tuple_type" if isinstance(value, str):
            advice = f"write `{key}: {_as_list(value)}`; no shell reads it"
        case "string_type":
            advice = f'write for example "127.0.0.1:{value}"' if key == "tcp" else "put it in quotes"
        case "int_type" | "float_type":
            advice = "write a plain decimal number, without quotes"
            advice += ", in milliseconds" if key.endswith("_ms") else ""
        case "model_type" if not path:
            advice = "begin with `fleet: NAME` and `components:`"
        case _:
            advice = "correct it"
    return advice


def _as_list(command: str) -> str:
    try:
        return json.dumps(shlex.split(command))
    except ValueError:
        return json.dumps(command.split())

"""A schema's identity: its normalised text, and the id that follows from it.

Normalised is: sorted keys, no whitespace, full names, no docs. Avro's parsing canonical form drops logical types and
defaults, so two schemas that mean different things would get one id. The id is the first 4 bytes, big-endian,
& 0x7fffffff, of the text's SHA-256: Confluent's registries number with positive 32-bit integers.
"""

import json
from hashlib import sha256
from typing import Any, Final

from .envelope import ENVELOPE_SCHEMA

_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


def normalised(schema: Any) -> str:
    """Return the text by which schemas are compared, identified and published."""
    return json.dumps(_plain(schema, ""), sort_keys=True, separators=(",", ":"), allow_nan=False)


def schema_id(text: str) -> int:
    """Return the id (31 bits, not negative) of a normalised text."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def wire_schema(body: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """Return the schema of the whole record: the body's fields, then `envelope`.

    A version above 1 (it counts the upcasters) is an attribute of the record, which Avro's readers skip: it gives a
    change of meaning an id of its own, even where no field has changed.
    """
    marked = {} if version == 1 else {"version": version}
    return {**body, **marked, "fields": [*body["fields"], {"name": "envelope", "type": ENVELOPE_SCHEMA}]}


def _plain(schema: Any, namespace: str) -> Any:
    if isinstance(schema, str):
        return schema if schema in _PRIMITIVES else _full(schema, namespace)
    if isinstance(schema, list):
        return [_plain(branch, namespace) for branch in schema]
    if schema["type"] in _NAMED:
        return _named(schema, namespace)
    inner = {key: _plain(schema[key], namespace) for key in ("items", "values") if key in schema}
    return {**_without_doc(schema), **inner}


def _named(schema: dict[str, Any], namespace: str) -> dict[str, Any]:
    name = _full(schema["name"], schema.get("namespace", namespace))
    inside = name.rpartition(".")[0]
    plain = {key: value for key, value in _without_doc(schema).items() if key != "namespace"}
    if "fields" in schema:
        plain["fields"] = [{**_without_doc(field), "type": _plain(field["type"], inside)} for field in schema["fields"]]
    return {**plain, "name": name}


def _without_doc(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "doc"}


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"

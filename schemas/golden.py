"""The published schemas: one `.avsc` a type, in git, so that a review sees what a new field does to the wire."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from .avro import avro_schema, type_name
from .record import Record

AVSC: Final = Path(__file__).parent / "avsc"
"""The schemas of HMS's own vocabulary as they are now."""
RELEASED: Final = Path(__file__).parent / "released"
"""A folder for each release, as they were."""


def body_schemas(classes: Iterable[type[Record]], app: str = "hms") -> dict[str, dict[str, Any]]:
    """Return the body schemas of some classes by type name."""
    return {type_name(cls, app): avro_schema(cls, type_name(cls, app)) for cls in classes}


def export(folder: Path, schemas: Mapping[str, dict[str, Any]]) -> None:
    """Write a `.avsc` for each type, and delete those of types that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        (folder / f"{name}.avsc").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    for stale in folder.glob("*.avsc"):
        if stale.stem not in schemas:
            stale.unlink()


def read_avsc(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the schemas of a folder by type name, in the order of the names."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.avsc"))}

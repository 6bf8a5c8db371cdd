"""The fleet file: read it, say what is wrong with it, describe it to editors, plan what a change of it does."""

from .file import parse_fleet, read_fleet
from .mistakes import FleetFileInvalid, Mistake
from .plan import (
    RESTART_FIELDS,
    ComponentChange,
    FleetMismatch,
    GroupChange,
    Plan,
    apply,
    plan,
    spec_hash,
    waves,
)
from .schema import file_schema, schema_text

__all__ = [
    "RESTART_FIELDS",
    "ComponentChange",
    "FleetFileInvalid",
    "FleetMismatch",
    "GroupChange",
    "Mistake",
    "Plan",
    "apply",
    "file_schema",
    "parse_fleet",
    "plan",
    "read_fleet",
    "schema_text",
    "spec_hash",
    "waves",
]

"""FULL_TRANSITIVE: what every release has written is read now, and what is written now is read by every release.

For schemas of this contract (no enums, no aliases, no promotions that go both ways but string and bytes, which a change
of meaning should not hide behind) full compatibility is symmetrical and small: same type; of a record, same name, and a
field that only one side has needs a default there; of a union, the same branches. A test holds it against Apache Avro's
checker: whatever passes here passes there in both directions.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .golden import read_avsc

Schemas = Mapping[str, dict[str, Any]]
"""Body schemas by type name."""


class Incompatibility(NamedTuple):
    """One reason why a release and the current schemas cannot read each other."""

    release: str
    type: str
    path: str
    reason: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.type}{self.path}: {self.reason} (release {self.release})"


def check(released: Path, current: Schemas, *, major: int | None = None) -> list[Incompatibility]:
    """Compare the current schemas with every release in a folder (`<version>/<type>.avsc`); `major` None means all.

    A released type that is gone is incompatible too: history is replayed for ever.
    """
    return [
        Incompatibility(release.name, name, path, reason)
        for release in releases(released, major)
        for name, schema in read_avsc(release).items()
        for path, reason in _compare_type(schema, current.get(name))
    ]


def releases(released: Path, major: int | None = None) -> list[Path]:
    """Return the folders of the releases, oldest first."""
    if not released.is_dir():
        return []
    folders = [folder for folder in released.iterdir() if folder.is_dir()]
    wanted = [folder for folder in folders if major is None or _version(folder)[0] == major]
    return sorted(wanted, key=_version)


def _version(folder: Path) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in folder.name.split("."))
    except ValueError as error:
        raise ValueError(f"expected a folder named like 0.1.0, got {folder}; move it out of the releases") from error


def _compare_type(old: dict[str, Any], new: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if new is None:
        yield "", "was released and is gone; keep the class, history is replayed for ever"
    else:
        yield from differences(old, new)


def differences(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Give path and reason of everything that keeps two schemas from reading each other's records."""
    return _compare(_inlined(old, {}), _inlined(new, {}), "")


def _inlined(schema: Any, defined: dict[str, Any]) -> Any:
    """Return a schema with every named record written out where it is used (none contains itself)."""
    match schema:
        case str():
            return defined.get(schema, schema)
        case list():
            return [_inlined(branch, defined) for branch in schema]
        case {"type": "record"}:
            fields = [{**field, "type": _inlined(field["type"], defined)} for field in schema["fields"]]
            defined[schema["name"]] = {**schema, "fields": fields}
            return defined[schema["name"]]
    return {key: _inlined(value, defined) if key in {"items", "values"} else value for key, value in schema.items()}


def _kind(schema: Any) -> str:
    """Return what two schemas must have in common to be compared further."""
    if isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return "union"
    return "/".join(str(schema[key]) for key in ("type", "logicalType", "name") if key in schema)


def _compare(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    if _kind(old) != _kind(new):
        yield path, f"expected {_kind(old)}, as released, got {_kind(new)}; add another field instead"
    elif isinstance(old, list):
        yield from _compare_unions(old, new, path)
    elif isinstance(old, dict) and "fields" in old:
        yield from _compare_records(old, new, path)
    elif isinstance(old, dict):
        for key in sorted({"items", "values"} & old.keys()):
            yield from _compare(old[key], new[key], f"{path}[]")


def _compare_unions(old: list[Any], new: list[Any], path: str) -> Iterator[tuple[str, str]]:
    before = {_kind(branch): branch for branch in old}
    after = {_kind(branch): branch for branch in new}
    for kind in sorted(before.keys() ^ after.keys()):
        what = "is gone; history may hold it" if kind in before else "is new; a release cannot read it"
        yield path, f"branch {kind} {what}: make another field, or another type"
    for kind in sorted(before.keys() & after.keys()):
        yield from _compare(before[kind], after[kind], path)


def _compare_records(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    before = {field["name"]: field for field in old["fields"]}
    after = {field["name"]: field for field in new["fields"]}
    for name in sorted(before.keys() ^ after.keys()):
        if "default" not in (before.get(name) or after[name]):
            what = "is gone and had no default" if name in before else "is new and has no default"
            yield f"{path}.{name}", f"{what}; " + ("keep it" if name in before else "give it one")
    for name in sorted(before.keys() & after.keys()):
        yield from _compare(before[name]["type"], after[name]["type"], f"{path}.{name}")

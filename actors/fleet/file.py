"""A fleet file to a `FleetSpec`, or to every mistake in it."""

import os.path
from pathlib import Path

from ...schemas.fleet import ComponentSpec, FleetSpec, GroupSpec
from .checks import check_values
from .document import START, Document
from .mistakes import FleetFileInvalid, Mistake
from .placement import check_placement
from .references import check_references
from .shape import read_shape
from .syntax import place_of_index, read_document

BYTES_MAX = 1_048_576


def read_fleet(path: str | Path) -> FleetSpec:
    """Read a fleet file (YAML in UTF-8, at most 1 MiB); raises `FleetFileInvalid` with every mistake in it."""
    return parse_fleet(_decoded(_content(path), str(path)), str(path))


def parse_fleet(text: str, name: str) -> FleetSpec:
    """Parse a fleet file's text; `name` is its path, shown in mistakes, and its folder is where paths begin.

    Raises `FleetFileInvalid` with every mistake. In the result the shorthands are resolved: every component has a
    group, working folders are absolute, signals go without SIG.
    """
    document = read_document(text, name)
    spec = read_shape(document)
    check_values(document)
    check_references(document)
    check_placement(document)
    document.mistakes.raise_any()
    if spec is None:  # pragma: no cover - a document without a shape has a mistake
        raise AssertionError(name)
    return _resolved(spec, Path(name).absolute().parent)


def _content(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(str(path), "a file that can be read", error.strerror or str(error)) from error
    if len(content) > BYTES_MAX:
        raise _unreadable(str(path), f"at most {BYTES_MAX} bytes", "more")
    return content


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        place = place_of_index(before, len(before))
        document = Document(name)
        got = f"the byte 0x{content[error.start]:02X}"
        document.mistakes.add(
            place, (), "text in UTF-8", got, "save the file as UTF-8; name a fleet file, not a program"
        )
        document.mistakes.raise_any()
        raise


def _unreadable(name: str, expected: str, got: str) -> FleetFileInvalid:
    return FleetFileInvalid([Mistake(name, *START, "", expected, got, "name a fleet file with -f PATH")])


def _resolved(spec: FleetSpec, folder: Path) -> FleetSpec:
    declared = {group.id: group for group in spec.groups}
    components = tuple(_component(each, declared.get(each.group), folder) for each in spec.components)
    own = tuple(GroupSpec(id=component.group) for component in components if component.group not in declared)
    return spec.model_copy(update={"components": components, "groups": spec.groups + own})


def _component(spec: ComponentSpec, group: GroupSpec | None, folder: Path) -> ComponentSpec:
    signal = spec.stop.signal.removeprefix("SIG")
    update = {
        **_placement(spec, group or GroupSpec(id=spec.id)),
        "group": spec.group or spec.id,
        "working_folder": os.path.normpath(folder / spec.working_folder),
        "stop": spec.stop.model_copy(update={"signal": signal}),
    }
    return spec.model_copy(update=update)


def _placement(spec: ComponentSpec, group: GroupSpec) -> dict[str, object]:
    """Return where it runs, with what its group says for what it leaves out."""
    said = spec.model_fields_set
    host, failover, listed = (
        getattr(spec if name in said else group, name) for name in ("host", "failover", "candidates")
    )
    candidates = tuple(name for name in listed if name != host) if failover else ()
    return {"host": host, "failover": failover, "candidates": candidates}

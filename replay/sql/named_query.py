"""Queries that have a name: `.sql` files whose first lines say what they are for, and what they take.

    -- What the query answers
    -- param since instant -7d  what it means
    SELECT ... WHERE opened_at >= $since::TIMESTAMPTZ

A parameter is an `instant`, a `number` or a `text`; what stands one space behind that is its default (without one it has to
be given), what stands behind two spaces says what it means.
"""

import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from .errors import QueryRefused

_PARAMETER: Final = re.compile(
    r"--\s*param\s+(?P<name>\w+)\s+(?P<kind>instant|number|text)(?: (?P<default>\S+))?(?:\s{2,}(?P<what>.*))?"
)
_FOLDER: Final = "named"


class Parameter(NamedTuple):
    """What a named query takes; `default` None: it has to be given."""

    name: str
    kind: str
    default: str | None
    what: str


class NamedQuery(NamedTuple):
    """A query with its name, what it answers, and what it takes."""

    name: str
    what: str
    parameters: tuple[Parameter, ...]
    sql: str

    def values(self, given: Mapping[str, str], instant: Callable[[str], str]) -> dict[str, Any]:
        """Return the parameters' values; `instant` makes ISO 8601 of `-7d`. Raises `QueryRefused`."""
        known = {parameter.name: parameter for parameter in self.parameters}
        if strange := given.keys() - known.keys():
            takes = ", ".join(known) or "none"
            raise QueryRefused(f"{self.name} has no parameter {', '.join(sorted(strange))}; it takes {takes}")
        return {name: _value(self.name, parameter, given.get(name), instant) for name, parameter in known.items()}


def _value(query: str, parameter: Parameter, given: str | None, instant: Callable[[str], str]) -> Any:
    text = parameter.default if given is None else given
    if text is None:
        raise QueryRefused(f"{query} needs --param {parameter.name}=... ({parameter.what or parameter.kind})")
    if parameter.kind == "instant":
        return instant(text)
    if parameter.kind == "text":
        return text
    try:
        return float(text)
    except ValueError:
        raise QueryRefused(f"{query}: expected a number for {parameter.name}, got {text!r}") from None


def parse(name: str, text: str) -> NamedQuery:
    """Return what a file says."""
    what: list[str] = []
    parameters = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _PARAMETER.fullmatch(line.rstrip()):
            parameters.append(Parameter(match["name"], match["kind"], match["default"], match["what"] or ""))
        else:
            what.append(line.removeprefix("--").strip())
    return NamedQuery(name, " ".join(what), tuple(parameters), text)


def shipped() -> list[NamedQuery]:
    """Return the queries that come with HMS, by name."""
    folder = files(__package__).joinpath(_FOLDER)
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return sorted(parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in found)


def named(name: str) -> NamedQuery:
    """Return a shipped query by its name, or one's own by its file. Raises `QueryRefused`."""
    if name.endswith(".sql"):
        return from_file(Path(name))
    known = {query.name: query for query in shipped()}
    if name not in known:
        raise QueryRefused(f"no query {name!r}; there are {', '.join(known)}, or name a file that ends with .sql")
    return known[name]


def from_file(path: Path) -> NamedQuery:
    """Return the query of a file. Raises `OSError`, `QueryRefused`."""
    try:
        return parse(path.stem, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise QueryRefused(f"expected {path} to be SQL as UTF-8 text") from None

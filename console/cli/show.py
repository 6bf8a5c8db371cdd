"""How answers look: tables and details for people, arrays and lines of JSON for programs. Only this writes to stdout."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from .options import Form

Item = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Item], str]]
"""Heading -> the field's name, or what makes the cell of an item."""

GAP: Final = "  "
CUT_CHARS: Final = 300
"""So much of a long last column where stdout is no terminal; on one, what fits its width."""
ROOM_MIN: Final = 20
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but a line's end and a tab, other ends of lines, and marks of direction."""


def show_list(items: Sequence[Item], form: Form, columns: Columns, *, cut_last: bool = False) -> None:
    """Show items: a table (of whose last column only the beginning is shown, if asked), an array, or an item a line."""
    if form == "json":
        write(json.dumps(list(items), ensure_ascii=False, indent=2))
    elif form == "jsonl":
        for item in items:
            write_line(item)
    elif items:
        rows = [[one_line(cell(item, of)) for of in columns.values()] for item in items]
        _table(list(columns), _cut_last(rows) if cut_last else rows)


def show_one(item: Item, form: Form, *, leave_out: Iterable[str] = ()) -> None:
    """Show one item: a field a line, or an object."""
    if form == "text":
        hidden = set(leave_out)
        shown = {name: printable(text(value)) for name, value in item.items() if name not in hidden}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            write(f"{name:<{width}}{GAP}{value}")
    else:
        write(json.dumps(item, ensure_ascii=False, indent=2 if form == "json" else None))


def write_line(item: Item, *, at_once: bool = False) -> None:
    """Write an item as one line of JSON."""
    write(json.dumps(item, ensure_ascii=False, separators=(",", ":")), at_once=at_once)


def write(line: str, *, at_once: bool = False) -> None:
    """Write a line of data; `at_once` for what is followed live, through a pipe too."""
    print(line, flush=at_once)  # noqa: T201 - the one place


def say(line: str) -> None:
    """Write a line that is no data."""
    print(line, file=sys.stderr)  # noqa: T201 - the other


def cell(item: Item, of: str | Callable[[Item], str]) -> str:
    """Return a cell's text."""
    return text(item.get(of)) if isinstance(of, str) else of(item)


def printable(value: str) -> str:
    """Return a text without what moves a cursor, colours or turns around: a component's output is no terminal's command."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), value)


def one_line(value: str) -> str:
    """Return a text for one line of a table."""
    return printable(value).replace("\n", "\\n").replace("\t", " ")


def text(value: Any) -> str:
    """Return a value for people."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple() if all(isinstance(inner, str) for inner in value):
            return ", ".join(value) or "-"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def show_line(item: Item, columns: Columns) -> None:
    """Show one item in one line, at once, with as much of the last column as `show_list` shows."""
    ((*cells, last),) = _cut_last([[one_line(cell(item, of)) for of in columns.values()]])
    write(GAP.join((*cells, last)), at_once=True)


def _cut_last(rows: list[list[str]]) -> list[list[str]]:
    room = CUT_CHARS
    if sys.stdout.isatty():
        taken = sum(max(map(len, column)) + len(GAP) for column in list(zip(*rows, strict=True))[:-1])
        room = max(shutil.get_terminal_size().columns - taken, ROOM_MIN)
    return [[*cells, last if len(last) <= room else last[: room - 1] + "…"] for *cells, last in rows]


def _table(headings: list[str], rows: list[list[str]]) -> None:
    if sys.stdout.isatty():
        _rich_table(headings, rows)
        return
    widths = [max(len(line[column]) for line in [headings, *rows]) for column in range(len(headings))]
    for line in [headings, *rows]:
        write(GAP.join(f"{value:<{width}}" for value, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(headings: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - on a terminal only
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(value, style=_STYLES.get(value, "")) for value in row))
    Console().print(table)


_STYLES: Final = {
    "healthy": "green",
    "completed": "green",
    "ok": "green",
    "available": "green",
    "degraded": "yellow",
    "warn": "yellow",
    "unhealthy": "red",
    "critical": "bold red",
    "given_up": "bold red",
    "failed": "red",
    "fail": "bold red",
    "unavailable": "red",
}

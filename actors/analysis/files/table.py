"""A CSV file by the names of its columns, whose bad lines are named and never stop the rest."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from ....core.errors import ValidationFailed

STDIN: Final = "-"
MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-nan"})
"""Values that say: there was no measurement."""


class TableInvalid(ValidationFailed):
    """The file as a whole is none of those that can be read; the message says what was expected."""


class BadLine(NamedTuple):
    """A line that says nothing that can be used: where, and why."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


class Table:
    """The lines of a CSV file, each as the fields of the columns asked for.

    The first line names the columns, in any order and among others; where it is data already (its first field is no name of
    a column), the columns are taken to be the first ones in the order asked for.
    """

    def __init__(self, path: str, columns: Sequence[str]) -> None:
        """Read `path`, `-` for standard input; raises OSError, or TableInvalid while it is read."""
        self.path = path
        self.columns = columns
        self.bad: list[BadLine] = []

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and fields; a line with too few fields or of no text goes to `bad`."""
        with _opened(self.path) as file:
            reader = csv.reader(_without_nul(file))
            places: list[int] | None = None
            for fields in self._lines(reader):
                if not any(map(str.strip, fields)):
                    continue
                if places is None:
                    places, named = self._places(fields)
                    if named:
                        continue
                if len(fields) <= max(places):
                    self.refuse(reader.line_num, f"expected {len(self.columns)} fields, got {len(fields)}")
                else:
                    yield reader.line_num, [fields[place].strip() for place in places]

    def refuse(self, line: int, why: str) -> None:
        """Take down a line that could not be used."""
        self.bad.append(BadLine(self.path, line, why))

    def _lines(self, reader: Iterator[list[str]]) -> Iterator[list[str]]:
        try:
            yield from reader
        except csv.Error as error:
            raise TableInvalid(f"{self.path}: expected CSV, got what is none: {error}") from error
        except UnicodeDecodeError as error:
            raise TableInvalid(
                f"{self.path}: expected text in UTF-8, got {error.reason} at byte {error.start}"
            ) from error

    def _places(self, first: list[str]) -> tuple[list[int], bool]:
        names = [name.strip().strip("\ufeff").lower() for name in first]
        if set(self.columns) <= set(names):
            return [names.index(column) for column in self.columns], True
        if set(self.columns) & set(names) or not any(character.isdigit() for character in first[0]):
            missing = ", ".join(column for column in self.columns if column not in names)
            raise TableInvalid(
                f"{self.path}: expected the columns {', '.join(self.columns)}; missing in line 1: {missing}"
            )
        return list(range(len(self.columns))), False


def number(text: str) -> float:
    """Return a field's number, NaN for what stands for none; raises ValueError for text."""
    if text.lower() in MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None


def _without_nul(file: TextIO) -> Iterator[str]:
    return (line.replace("\0", "") for line in file)


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == STDIN:
        yield sys.stdin
        return
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        yield file

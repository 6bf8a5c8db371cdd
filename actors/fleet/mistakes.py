"""What is wrong with a fleet file, and where: line and column, path, expected, got, what to do."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from ...core.errors import ValidationFailed

Path = tuple[str | int, ...]
"""Where a value is in the file: `("components", 0, "command")`."""


class Place(NamedTuple):
    """A position in a text, as editors count: both begin at 1."""

    line: int
    column: int


class Mistake(NamedTuple):
    """One thing to correct; its text is one line that editors and terminals can jump to."""

    file: str
    line: int
    column: int
    path: str
    expected: str
    got: str
    advice: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        subject = f"{self.path}: " if self.path else ""
        return f"{where}{subject}expected {self.expected}, got {self.got}; {self.advice}"


class FleetFileInvalid(ValidationFailed):
    """A fleet file with at least one mistake; nothing may be started from it. `mistakes` are in the file's order."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column)))
        super().__init__("\n".join(map(str, self.mistakes)))


def dotted(path: Path) -> str:
    """Write a path as people do: `components[0].command`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def likely(word: str, words: Iterable[str], otherwise: str) -> str:
    """Advise the word that was probably meant, or say `otherwise`."""
    near = difflib.get_close_matches(word, tuple(words), n=1)
    return f"did you mean `{near[0]}`?" if near else otherwise


class Mistakes:
    """The mistakes found so far; each is kept once, however many checks (or aliases of one anchor) come upon it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Mistake] = []
        self._seen: set[tuple[object, ...]] = set()

    def add(self, place: Place, path: Path, expected: str, got: str, advice: str) -> None:
        """Note a mistake, unless this value or this very text of the file has been complained of like that before."""
        mistake = Mistake(self._file, *place, dotted(path), expected, got, advice)
        marks = {(place, path), (place, expected, got)}
        if not marks & self._seen:
            self._found.append(mistake)
        self._seen |= marks

    def raise_any(self) -> None:
        """Raise `FleetFileInvalid` if there is at least one."""
        if self._found:
            raise FleetFileInvalid(self._found)

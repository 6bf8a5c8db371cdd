"""What a file says, as plain values, and the line and column of each of them."""

from typing import Any

from .mistakes import Mistakes, Path, Place

START = Place(1, 1)
SHOWN_MAX = 60


class Document:
    """A file's `data` of dicts, lists and scalars; for each path the place of its value and of its key."""

    def __init__(self, file: str) -> None:
        self.mistakes = Mistakes(file)
        self.data: Any = None
        self.values: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.written: dict[Path, str] = {}
        """The text of scalars as it stands in the file: `010`, `1.10`, `yes`."""

    def value_place(self, path: Path) -> Place:
        """Return where the value is; of what is not in the file, where the nearest value around it is."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, START)

    def wrong(self, path: Path, expected: str, got: str, advice: str) -> None:
        """Note a mistake in the value at `path`."""
        self.mistakes.add(self.value_place(path), path, expected, got, advice)

    def wrong_key(self, path: Path, expected: str, got: str, advice: str) -> None:
        """Note a mistake in the key at `path`."""
        place = self.keys.get(path) or self.value_place(path)
        self.mistakes.add(place, path, expected, got, advice)

    def shown(self, path: Path, value: object) -> str:
        """Describe a value as what somebody got, as it is written in the file."""
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, list):
            return f"a list of {len(value)}"
        written = self.written.get(path, str(value))
        kind = {str: "", bool: "true or false: ", int: "the number ", float: "the number "}.get(type(value), "")
        short = written if len(written) <= SHOWN_MAX else f"{written[:SHOWN_MAX]}..."
        return "nothing" if value is None else f"{kind}`{short}`"

"""What differs between two values made of what JSON knows, field by field."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple


class _Absent:
    """Where there is no value; not the same as null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()


class Change(NamedTuple):
    """A field (`members.web.phase`, `queue[2]`) and its two values; `ABSENT` where there is none."""

    field: str
    before: Any
    after: Any


def changes(before: Any, after: Any, field: str = "") -> Iterator[Change]:
    """Yield every field that differs, innermost, in the order of the first value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{field}.{name}" if field else str(name)
            yield from changes(before.get(name, ABSENT), after.get(name, ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from changes(_item(before, index), _item(after, index), f"{field}[{index}]")
    elif before is ABSENT or after is ABSENT or before != after or type(before) is not type(after):
        yield Change(field, before, after)


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT

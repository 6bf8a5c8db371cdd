"""What columns are called: the same first ones in every table, and no name that SQL would want in quotes."""

from collections.abc import Iterable
from typing import Final

BEFORE: Final = ("topic", "shard", "position", "appended_at", "record_key", "envelope")
AFTER: Final = ("headers", "bytes")
PARTITIONS: Final = ("type", "date")
"""What the folders of an archive are named after; a reader that takes these for columns would hide a field's own."""

RESERVED: Final = frozenset(
    (  # noqa: SIM905 - seventy words read better in lines than one a line
        "all analyse analyze and any array as asc asymmetric at both case cast check collate column constraint create default "
        "deferrable desc describe distinct do else end except false fetch for foreign from group having in initially "
        "intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider "
        "placing primary qualify references returning select show some summarize symmetric table then to trailing true "
        "union unique unpivot using variadic when where window with"
    ).split()
)
"""DuckDB 2.0's reserved words (and `at`, which it reads as one)."""


def column_names(fields: Iterable[str]) -> list[str]:
    """Return the columns' names of a record's own fields: a field that collides gets a trailing `_`.

    Names that differ in case alone collide too, because SQL does not tell them apart.
    """
    taken = {*BEFORE, *AFTER, *PARTITIONS, *RESERVED}
    names: list[str] = []
    for field in fields:
        name = field
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names.append(name)
    return names

"""A log that is copied record by record, each with its offset and time: what the backends' `copying` write."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .port import Stored


class PartitionCopy(NamedTuple):
    """What a partition is to hold: its first offset, its next one, and the records between, with or without gaps."""

    start: int
    high: int
    records: Iterable[Stored]


class LogCopy(NamedTuple):
    """A whole log; partitions that are left out are empty."""

    partitions: int
    places: Mapping[tuple[str, int], PartitionCopy]
    epochs: Sequence[int]
    settings: Mapping[str, str]

"""Where a record lives in the file: one integer, topic and partition above, offset below.

`position = topic number << 56 | partition << 40 | offset`, so each partition is one ascending range of the table's
primary key and a read is one range scan. Topic numbers are on disk for ever: add to them, never change one.
"""

from typing import Final, NamedTuple

from ...errors import ValidationFailed
from ..port import CHECKPOINTS, CO_PARTITIONED, CRITICAL, DEAD_LETTERS, EVENTS, HIGH, LOW, NORMAL, OUTBOX, SCHEMAS

OFFSET_BITS: Final = 40
OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1
PARTITION_BITS: Final = 16
PARTITIONS_MAX: Final = 1 << 12

TOPIC_NUMBERS: Final = {
    OUTBOX: 1,
    CRITICAL: 2,
    HIGH: 3,
    NORMAL: 4,
    LOW: 5,
    EVENTS: 6,
    CHECKPOINTS: 7,
    DEAD_LETTERS: 8,
    SCHEMAS: 9,
}


class Place(NamedTuple):
    """A partition: its index in the table of heads, and the position of its offset 0."""

    head: int
    base: int


class Layout:
    """Every (topic, partition) of a log with so many partitions."""

    def __init__(self, partitions: int) -> None:
        if not 1 <= partitions <= PARTITIONS_MAX:
            raise ValidationFailed(f"expected 1 to {PARTITIONS_MAX} partitions, got {partitions}")
        self.partitions = partitions
        self.keys = [(topic, number) for topic in CO_PARTITIONED for number in range(partitions)] + [(SCHEMAS, 0)]
        self.places = {key: Place(index, _base(*key)) for index, key in enumerate(self.keys)}

    def place(self, topic: str, partition: int) -> Place:
        """Return where that partition is; raises `ValidationFailed` for one that does not exist."""
        place = self.places.get((topic, partition))
        if place is None:
            raise ValidationFailed(
                f"{topic}/{partition}: no such partition; this log has {self.partitions} of each, one of {SCHEMAS}"
            )
        return place


def _base(topic: str, partition: int) -> int:
    return TOPIC_NUMBERS[topic] << (PARTITION_BITS + OFFSET_BITS) | partition << OFFSET_BITS

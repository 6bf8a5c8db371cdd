"""How a shard that opened in vain again and again finds the input that kills it: one at a time, each announced."""

from typing import NamedTuple
from zlib import crc32

DEATHS_MAX = 2
"""An input in whose handling the shard ended so often is buried unhandled."""

KILLED = "the shard died each time it handled this message"
"""What its dead letter says."""


class Care(NamedTuple):
    """Up to where a shard that opened in vain before handles one input at a time: lane positions, and timers due then."""

    positions: tuple[int, ...]
    opened_us: int

    def is_over(self, positions: tuple[int, ...], due_us: int | None) -> bool:
        """Tell whether nothing from before the opening is left, by where the lanes stand and when the next timer is due."""
        behind = any(position < end for position, end in zip(positions, self.positions, strict=True))
        return not behind and (due_us is None or due_us > self.opened_us)


def timer_code(actor: str, name: str) -> int:
    """Return what stands for a timer in a commit record's `attempting`."""
    return crc32(f"{actor}\0{name}".encode())

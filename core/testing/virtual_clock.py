"""Clocks of simulated processes: one monotonic time for all, a wall clock each, which may be wrong and may jump."""

from typing import Final

from .virtual_loop import VirtualLoop

BEGINNING_US: Final = 1_767_225_600_000_000
"""2026-01-01: when virtual time begins."""


class VirtualClock:
    """Implements `hms.core.clock.Clock` on a virtual loop; `offset_us` is how far the wall clock is off."""

    def __init__(self, loop: VirtualLoop, offset_us: int = 0) -> None:
        self._loop = loop
        self.offset_us = offset_us

    def wall_us(self) -> int:
        """Return microseconds since the epoch as this process believes them to be."""
        return BEGINNING_US + self._loop.now_ms * 1_000 + self.offset_us

    def monotonic_us(self) -> int:
        """Return virtual microseconds."""
        return self._loop.now_ms * 1_000

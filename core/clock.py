"""Where time comes from: passed in, so that a simulation can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: the wall's, which may jump, and the monotonic one, which may not. Sleeping is asyncio's."""

    def wall_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        ...

    def monotonic_us(self) -> int:
        """Return microseconds since some fixed instant; the same instant for every process since this boot."""
        ...


_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks; the monotonic one goes on during suspend where the system can (Linux)."""

    def wall_us(self) -> int:
        """Return the system's wall clock."""
        return time.time_ns() // 1_000

    def monotonic_us(self) -> int:
        """Return the time since boot."""
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000

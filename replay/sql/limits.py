"""What a query may use."""

import os
from typing import Final, NamedTuple

MB: Final = 1 << 20
MEMORY_MB_MAX: Final = 4_096
TIMEOUT_MS: Final = 60_000


class Limits(NamedTuple):
    """`memory_mb` for the rows and all that is made of them, `timeout_ms` of wall time, threads to work with."""

    memory_mb: int
    timeout_ms: int = TIMEOUT_MS
    threads: int = 2


def default_limits(timeout_ms: int = TIMEOUT_MS, memory_mb: int | None = None) -> Limits:
    """Return half of this machine's memory (4 GB at most) and all of its cores."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // MB
    return Limits(memory_mb or min(half, MEMORY_MB_MAX), timeout_ms, len(os.sched_getaffinity(0)) if _knows() else 2)


def _knows() -> bool:
    return hasattr(os, "sched_getaffinity")

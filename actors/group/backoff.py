"""How long to wait before a restart: exponential, with a jitter that is the same at every replay."""

import hashlib
from typing import Final

from ...schemas.fleet import Backoff, GroupSpec

_DOUBLINGS_MAX: Final = 40
FAILED_STARTS_MIN: Final = 10


def delay_ms(backoff: Backoff, failures: int, component: str, incarnation: int) -> int:
    """Return the delay before restart number `failures` (from 1) in a row: first_ms, doubled each time, at most max_ms.

    The jitter is drawn from (component, incarnation), so that components that died together do not come back together.
    """
    plain = min(backoff.max_ms, backoff.first_ms << min(max(failures - 1, 0), _DOUBLINGS_MAX))
    return max(0, round(plain * (1 + backoff.jitter * (2 * _fraction(component, incarnation) - 1))))


def failed_starts_max(spec: GroupSpec) -> int:
    """Return how many starts in a row may fail to reach `stable_ms` of health, however slowly, before giving up."""
    return max(FAILED_STARTS_MIN, 2 * spec.max_restarts)


def _fraction(component: str, incarnation: int) -> float:
    digest = hashlib.sha256(f"{component}\0{incarnation}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64

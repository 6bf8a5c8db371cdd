"""Until when a component may run: an instant on the boot clock, which all processes of a machine share and nobody sets.

The clock goes on while the machine is suspended, as the time of everybody else does. It is an instant of this boot
only: whoever starts after another boot has no lease.
"""

import time
from typing import Any, NamedTuple

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LEASE_OVER = "its lease was over: its host had heard nothing from the supervisors"
LOOK_S = 0.5
"""How often a lease is looked at: a wait does not end earlier because the machine was suspended meanwhile."""


def boot_seconds() -> float:
    """Return the time since boot, suspension included (macOS: the monotonic clock, which counts that too)."""
    return time.clock_gettime(_CLOCK)


class Lease(NamedTuple):
    """It is asked to stop at `stop`, and nothing of it is left at `end`, both in seconds since boot."""

    stop: float
    end: float

    @property
    def over(self) -> bool:
        """Whether it may not be started any more."""
        return boot_seconds() >= self.stop


def lease_from(data: Any) -> Lease | None:
    """Return the lease of a decoded message; None if there is none."""
    return Lease(*map(float, data)) if isinstance(data, list | tuple) else None

"""Restarts by the host itself, while the log is away: whether it may, and after which delay."""

import random

from ...schemas.fleet import Backoff, Restart
from .command import RestartBudget
from .shim.record import Exit


def still_counted(restarted_at: tuple[int, ...], budget: RestartBudget, now: int) -> tuple[int, ...]:
    """Return the restarts (micros UTC) that lie within the window; one of the future counts too (a clock was set)."""
    return tuple(at for at in restarted_at if at > now - budget.window_ms * 1000)


def wants_restart(policy: Restart, ending: Exit) -> bool:
    """Tell by OTP's rule whether a component that ended so is to be started again; unknown is abnormal."""
    if policy == "transient":
        return ending.code != 0
    return policy == "permanent"


def delay_ms(backoff: Backoff, restarts: int) -> float:
    """Return the delay before the next restart after so many within the window."""
    plain = min(backoff.max_ms, backoff.first_ms * (1 << min(restarts, 40)))
    return plain * (1 + random.uniform(-backoff.jitter, backoff.jitter))  # noqa: S311 - spreads load, guards nothing

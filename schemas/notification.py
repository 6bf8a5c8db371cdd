"""What supervisors tell each other about components: a health change, a recovery asked for, its outcome.

Protocol section 3.4, name by name: `health_notification` -> `HealthNotification`, `recovery_notification` ->
`RecoveryNotification`. `RecoverComponent` and `RecoveryOutcome` are the request behind a recovery and its result.
Closed sets that may grow are plain strings on the wire.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from .record import Message

HealthStatus = Literal["healthy", "degraded", "unhealthy", "critical", "unknown"]
SICK: Final = ("unhealthy", "critical")
"""The statuses that ask for a recovery (core components, section 4.1), in any case."""

RecoveryResult = Literal[
    "recovered",
    "failed",
    "given_up",
    "stale_incarnation",
    "desired_down",
    "paused",
    "component_not_found",
    "restarting",
    "unanswered",
]


class HealthNotification(Message):
    """`health_notification`: a component's health changed, as its own actor saw it in one incarnation.

    The component says what it knows when it speaks (desired, paused, given up), so that the decision and its reason
    stand in one place of the log. It is sent on a change of status only.
    """

    component_id: str
    group_id: str
    incarnation: int
    status: str
    previous_status: str = "unknown"
    reason: str = ""
    """For programs: `liveness_failed`, `limit_exceeded`, `hung`, ..."""
    message: str = ""
    """For people: what was seen, with numbers."""
    desired: str = "up"
    paused: bool = False
    given_up: bool = False
    metrics: dict[str, float] = {}


class RecoveryNotification(Message):
    """`recovery_notification`: an exit that a group healed by itself, without an order.

    `result` is a `RecoveryResult`; `phase` is `initiated` or `completed`; `to_incarnation` is 0 until it is known.
    """

    component_id: str
    group_id: str
    phase: str
    result: str = ""
    from_incarnation: int = 0
    to_incarnation: int = 0
    strategy: str = "one_for_one"
    reason: str = ""
    duration_ms: Annotated[int, Field(ge=0)] = 0


class RecoverComponent(Message):
    """Recover a component through its group; answered by a `RecoveryOutcome` with the same `recovery_id`.

    Sent to `group/GROUP` where the group is known, else to `component/ID`, which passes it on to its group, or answers
    `component_not_found` when nobody configured it. `incarnation` 0 means: whichever runs now. `reply_to` is who gets the
    outcome.
    """

    recovery_id: str
    component_id: str
    incarnation: int = 0
    reason: str = ""
    reply_to: str = "runtime_supervisor/main"


class RecoveryOutcome(Message):
    """How a recovery ended; `result` is a `RecoveryResult`, `incarnation` the one that runs now (0: none)."""

    recovery_id: str
    component_id: str
    result: str
    incarnation: int = 0
    reason: str = ""

"""Illness and recovery: component -> runtime_supervisor -> group and back.

Protocol section 3.4, name by name: `health_notification` -> `HealthNotification`, `recovery_notification` ->
`RecoveryNotification`. Statuses are the protocol's words.
"""

from .record import Message


class HealthNotification(Message):
    """To `runtime_supervisor/main`: a component's health changed, or it is still ill (said every 30 s).

    `status` is Healthy, Degraded, Unhealthy or Critical; Critical has a process that should be replaced.
    """

    component_id: str
    group: str
    status: str
    message: str
    incarnation: int


class RecoverComponent(Message):
    """To `group/ID`: restart this live incarnation (None: whichever), counted, by the group's strategy.

    Also taken by `component/ID`, which passes it on to its group. Answered by one `RecoveryOutcome` with the same
    `task_id` to `runtime_supervisor/main`, when it is settled.
    """

    component: str
    incarnation: int | None
    reason: str
    task_id: str | None = None


class RecoveryOutcome(Message):
    """From a group to `runtime_supervisor/main`: `healed`, `given_up` or `ignored`, and why.

    The reason of an ignored one begins with: paused, desired down, stale incarnation, component not found, already
    recovering, halted.
    """

    component: str
    incarnation: int
    outcome: str
    reason: str
    task_id: str | None = None


class RecoveryNotification(Message):
    """From a group to `runtime_supervisor/main`: what it decided by itself about a failure, and how that ended.

    `recovery_id` is the same for both stages and unique in the log. `stage`: initiated, completed. `decision`: restart,
    give_up, hold (paused). `outcome` (completed only): healed, given_up, superseded, ignored. `duration_ms` runs from
    the failure. `cause` tells the exit in words.
    """

    recovery_id: str
    component_id: str
    group: str
    incarnation: int
    stage: str
    decision: str
    strategy: str
    cause: str
    outcome: str = ""
    duration_ms: int = 0
    task_id: str | None = None

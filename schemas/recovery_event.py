"""What the runtime supervisor saw and decided: the answer to `why was it restarted at 03:12?`.

A recovery belongs to a component and either to its incident (`task_id` None) or to a task. It begins with
`RecoveryInitiated` and ends with `RecoveryCompleted`, `RecoveryHeld` or `RecoveryTaskCancelled`.
"""

from datetime import datetime

from .record import Event


class SupervisionStarted(Event):
    """The supervisor registered and beats."""

    supervisor_id: str


class SupervisionStopped(Event):
    """The supervisor deregistered."""

    reason: str


class SupervisorSettingsChanged(Event):
    """The supervisor uses these settings from now on."""

    settings: dict[str, str]


class IncidentOpened(Event):
    """A component is ill."""

    incident_id: str
    component_id: str
    group_id: str
    incarnation: int
    status: str
    message: str
    at: datetime


class IncidentClosed(Event):
    """The end of an incident: `healed`, `healthy` (by itself), `given_up` or `superseded` (by a newer incarnation's)."""

    incident_id: str
    component_id: str
    result: str
    duration_ms: int


class StaleHealthIgnored(Event):
    """A notification about an incarnation that is over."""

    component_id: str
    incarnation: int
    current_incarnation: int
    status: str


class RecoveryInitiated(Event):
    """The decision: recover. `because` says which sight or task led to it; `incarnation` 0 means whichever runs."""

    recovery_id: str
    component_id: str
    group_id: str
    incarnation: int
    attempt: int
    because: str
    task_id: str | None
    at: datetime


class RecoveryRetryPlanned(Event):
    """A try failed; the next one, `attempt`, comes after so long."""

    component_id: str
    task_id: str | None
    attempt: int
    after_ms: int
    reason: str


class RecoveryHeld(Event):
    """The decision: leave it alone. `why`: paused, desired down, stale incarnation, already recovering, ..."""

    recovery_id: str
    component_id: str
    incarnation: int
    task_id: str | None
    why: str
    reason: str


class RecoveryCompleted(Event):
    """The end of a recovery: `healed`, `given_up` or `unanswered`; `duration_ms` since the first try."""

    recovery_id: str
    component_id: str
    task_id: str | None
    outcome: str
    incarnation: int
    attempts: int
    duration_ms: int
    reason: str


class GroupRecoverySeen(Event):
    """A group met an exit by itself, as its restart policy says; `stage` is initiated or completed."""

    recovery_id: str
    component_id: str
    group_id: str
    incarnation: int
    stage: str
    decision: str
    outcome: str
    cause: str
    duration_ms: int


class RecoveryTaskAccepted(Event):
    """A recovery task was taken on."""

    task_id: str
    attempt: int
    component_id: str
    max_retries: int
    backoff_strategy: str
    failure_reason: str


class RecoveryTaskAssignedAgain(Event):
    """The same task came with a greater attempt: the work goes on under it."""

    task_id: str
    attempt: int


class RecoveryTaskRejected(Event):
    """A task was not taken on."""

    task_id: str
    error_code: str
    reason: str


class RecoveryTaskEnded(Event):
    """A task was reported: `error_code` empty means done, with `text` the result (JSON), else `text` is the error."""

    task_id: str
    error_code: str
    text: str


class RecoveryTaskCancelled(Event):
    """A task is not wanted any more, up to this attempt; `early` means that it had not come yet."""

    task_id: str
    attempt: int
    reason: str
    early: bool

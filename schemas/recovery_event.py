"""What the runtime supervisor saw and decided: the answer to `why was it restarted at 03:12?`."""

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
    """A component is sick."""

    incident_id: str
    component_id: str
    group_id: str
    incarnation: int
    status: str
    reason: str
    message: str
    at: datetime


class RecoveryHeld(Event):
    """The decision: leave the sick component alone; `why`: paused, desired_down, given_up, stale_incarnation."""

    component_id: str
    incarnation: int
    status: str
    why: str
    reason: str


class RecoveryInitiated(Event):
    """The decision: recover. `because` says which sight or task led to it, in one sentence."""

    recovery_id: str
    component_id: str
    group_id: str
    incarnation: int
    attempt: int
    because: str
    task_id: str | None
    at: datetime


class RecoveryRetryPlanned(Event):
    """A try failed; the next one comes after so long."""

    recovery_id: str
    attempt: int
    after_ms: int
    reason: str


class RecoveryCompleted(Event):
    """The end of a recovery; `result` as in `RecoveryResult`, `duration_ms` since the first try."""

    recovery_id: str
    component_id: str
    result: str
    incarnation: int
    attempts: int
    duration_ms: int
    reason: str
    task_id: str | None


class IncidentClosed(Event):
    """The component is healthy again, or the incident has no meaning any more (`result`)."""

    incident_id: str
    component_id: str
    result: str
    duration_ms: int


class GroupRecoverySeen(Event):
    """A group healed an exit by itself, as its restart policy says."""

    recovery_id: str
    component_id: str
    group_id: str
    stage: str
    decision: str
    outcome: str
    incarnation: int
    reason: str
    duration_ms: int


class RecoveryTaskAccepted(Event):
    """A recovery task was taken on."""

    task_id: str
    attempt: int
    component_id: str
    max_retries: int
    backoff_strategy: str
    reason: str


class RecoveryTaskAssignedAgain(Event):
    """The same task came with a greater attempt: the work goes on under it."""

    task_id: str
    attempt: int


class RecoveryTaskRejected(Event):
    """A task was not taken on."""

    task_id: str
    error_code: str
    reason: str


class RecoveryTaskCancelled(Event):
    """A task is not wanted any more; `early` means that it had not come yet."""

    task_id: str
    reason: str
    early: bool

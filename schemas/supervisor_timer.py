"""What the supervisors' own durable timers say when they fire."""

from .record import Message


class TaskDeadlineReached(Message):
    """From the meta supervisor's timer: a task's time is up."""

    task_id: str


class TaskDue(Message):
    """From the meta supervisor's timer: a schedule's time has come."""

    task_id: str


class SupervisorSilent(Message):
    """From the meta supervisor's timer: nothing was heard for three intervals."""

    supervisor_id: str


class HeartbeatDue(Message):
    """From the runtime supervisor's timer: beat."""


class RecoveryRetryDue(Message):
    """From the runtime supervisor's timer: try again."""

    component_id: str
    task_id: str | None


class RecoveryUnanswered(Message):
    """From the runtime supervisor's timer: the group has not answered in time."""

    component_id: str
    task_id: str | None

"""What happened to tasks at the meta supervisor. A task's own record is in `task_record`."""

from datetime import datetime

from .record import Event
from .task import TaskSchedule


class TaskSubmitted(Event):
    """A task was accepted into the queue; `run_of` names the schedule it is a run of."""

    task_id: str
    task_type: str
    priority: str
    parameters_json: str
    dependencies: tuple[str, ...]
    waiting_for: tuple[str, ...]
    timeout_ms: int
    schedule: TaskSchedule | None
    run_of: str | None = None
    fingerprint: str
    submitted_at: datetime
    submitted_by: str


class TaskRecorded(Event):
    """The task's own actor has the record: it may be assigned."""

    task_id: str


class TaskFoundEnded(Event):
    """A task of that id ended long ago (the queue had forgotten it): it does not run again."""

    task_id: str
    status: str
    error: str | None
    at: datetime


class TaskReady(Event):
    """Dependencies are met and its time has come; the timeout runs from here."""

    task_id: str


class TaskAssigned(Event):
    """The task went to a supervisor."""

    task_id: str
    supervisor_id: str
    attempt: int


class TaskAccepted(Event):
    """The supervisor has it: running."""

    task_id: str
    supervisor_id: str
    attempt: int


class TaskProgressed(Event):
    """The supervisor reported progress, from 0 to 1."""

    task_id: str
    progress: float
    message: str


class TaskReleased(Event):
    """The task went back to the queue: its supervisor is away, or rejected it (then it is not asked again)."""

    task_id: str
    supervisor_id: str
    reason: str
    rejected: bool


class TaskCompleted(Event):
    """The end: done."""

    task_id: str
    supervisor_id: str
    result_json: str
    at: datetime


class TaskFailed(Event):
    """The end: not done, with a code and a reason."""

    task_id: str
    error_code: str
    error: str
    at: datetime


class TaskCancelled(Event):
    """The end: not wanted any more. Also the end of a schedule."""

    task_id: str
    reason: str
    by: str
    at: datetime


class TaskTimedOut(Event):
    """The end: not done in time."""

    task_id: str
    timeout_ms: int
    at: datetime


class CancellationKept(Event):
    """A cancellation came before its task."""

    task_id: str
    reason: str
    at: datetime


class ScheduleRan(Event):
    """A schedule was due: its run `number` was submitted, or skipped because the one before still runs.

    `missed` counts the times that passed while nobody was there; they are not made up for. `next_at` is the next time.
    """

    task_id: str
    number: int
    skipped: bool
    missed: int
    next_at: datetime

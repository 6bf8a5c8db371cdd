"""A task: what a caller submits, asks for and gets back. Core components, section 3.1.2 and 6.

Free-form values (`parameters`, `result`) travel as canonical JSON text in fields named `*_json`.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from .fleet import Identifier
from .record import Message, Record

TaskState = Literal["pending", "blocked", "assigned", "running", "completed", "failed", "cancelled", "timed_out"]
"""blocked: waits for a dependency; pending: waits for its time or a supervisor; the last four are ends."""

ENDED: Final = ("completed", "failed", "cancelled", "timed_out")
TASK_PRIORITIES: Final = ("critical", "high", "normal", "low")
DEFAULT_TIMEOUT_MS: Final = 300_000


class TaskSchedule(Record):
    """When: `at` is the first time (None: now), `every_ms` repeats it; each repetition is a task `ID@N`, N from 1."""

    at: datetime | None = None
    every_ms: Annotated[int, Field(ge=1_000)] | None = None


class TaskStatus(Record):
    """A task as of now.

    `type` is the task's type, `status` a `TaskState`; `assigned_to` the supervisor's id; `result_json` what a completed
    task returned; `error` why it did not complete, a code and a reason; `progress` from 0 to 1.
    """

    id: str
    type: str
    status: str
    priority: str
    assigned_to: str | None = None
    attempt: int = 0
    parameters_json: str = "{}"
    dependencies: tuple[str, ...] = ()
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    schedule: TaskSchedule | None = None
    progress: float = 0.0
    message: str = ""
    result_json: str | None = None
    error: str | None = None
    submitted_at: datetime
    submitted_by: str = ""
    finished_at: datetime | None = None


class SubmitTask(Message[TaskStatus]):
    """Ask the meta supervisor to run a task; the same id and content again is the same task.

    `priority` is critical, high, medium (= normal), normal or low, in any case; `timeout_ms` runs from when the task is
    ready (dependencies met, its time come) to its end. Refused with `validation_error`, `task_exists`,
    `unknown_dependency`, `no_supervisor` or `queue_full`.
    """

    id: Identifier
    type: str
    priority: str = "normal"
    parameters_json: str = "{}"
    dependencies: tuple[str, ...] = ()
    timeout_ms: Annotated[int, Field(ge=1, le=31_536_000_000)] = DEFAULT_TIMEOUT_MS
    schedule: TaskSchedule | None = None


class GetTask(Message[TaskStatus]):
    """Ask `task/ID` for the task; refused with `task_not_found`."""


class CancelTask(Message[TaskStatus]):
    """Ask the meta supervisor to cancel a task; its status afterwards is the answer.

    An ended task stays as it ended. A cancellation that comes before its task is kept for a minute and ends the task
    when it comes; the answer's status is then `unknown`.
    """

    task_id: str
    reason: Annotated[str, Field(max_length=1_000)] = ""


class FinishedTask(Record):
    """One line of the meta supervisor's short memory; the whole is in `task/ID`."""

    id: str
    type: str
    status: str
    priority: str
    fingerprint: str
    error: str | None = None
    submitted_at: datetime
    finished_at: datetime
    assigned_to: str | None = None


class TaskList(Record):
    """What waits or runs, by order of submission, and what ended last, newest first."""

    active: tuple[TaskStatus, ...]
    finished: tuple[FinishedTask, ...]


class ListTasks(Message[TaskList]):
    """Ask the meta supervisor for its tasks."""

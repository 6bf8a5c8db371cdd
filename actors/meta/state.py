"""What the meta supervisor knows: supervisors, unfinished tasks, and a short memory of finished ones.

It stays bounded: an ended task leaves for its own record (`task/ID`) and only its last line is kept, for a while.
"""

from datetime import datetime
from typing import Final

from ...schemas.record import Record, State
from ...schemas.task import FinishedTask, TaskSchedule

ACTIVE_MAX: Final = 1_000
"""Unfinished tasks; one more is refused with `queue_full`."""
PARAMETERS_TOTAL_MAX: Final = 262_144
"""Characters of parameters of all of them together: the state must fit into one record of the log."""
FINISHED_MAX: Final = 256
ERROR_MAX: Final = 300
"""Characters of an error in the short memory; `task/ID` keeps all of it."""
CANCELLATIONS_MAX: Final = 64
CANCELLATION_KEPT_MS: Final = 60_000
SILENT_INTERVALS: Final = 3
"""Heartbeat intervals of silence after which a supervisor is unavailable."""


class ActiveTask(Record):
    """A task that has not ended; `status` is pending (also while it waits for others), assigned or running."""

    id: str
    type: str
    priority: str
    parameters_json: str
    dependencies: tuple[str, ...]
    waiting_for: tuple[str, ...]
    timeout_ms: int
    schedule: TaskSchedule | None
    run_of: str | None
    fingerprint: str
    submitted_at: datetime
    submitted_by: str
    sequence: int
    status: str = "pending"
    recorded: bool = False
    """Its own actor has confirmed that the id is new: before that it is not assigned, so it cannot run twice."""
    ready: bool = False
    ready_at: int = 0
    """How many assignments had been made when it became ready: the measure of how often it was passed over."""
    attempt: int = 0
    assigned_to: str | None = None
    assignees: tuple[str, ...] = ()
    rejected_by: tuple[str, ...] = ()
    progress: float = 0.0
    message: str = ""
    runs: int = 0
    next_at: datetime | None = None
    revision: int = 0

    @property
    def repeats(self) -> bool:
        """Whether it is a schedule whose runs are tasks of their own; it is never assigned itself."""
        return self.schedule is not None and self.schedule.every_ms is not None

    @property
    def assignable(self) -> bool:
        """Whether it waits for a supervisor and for nothing else."""
        return self.ready and self.recorded and self.status == "pending"

    @property
    def last_assignee(self) -> str | None:
        """Who has it, or may still be at it although it was released: the supervisor that was silent."""
        former = self.assignees[-1] if self.assignees else None
        return self.assigned_to or (None if former in self.rejected_by else former)


class Supervisor(Record):
    """One entry of the registry."""

    id: str
    type: str
    address: str
    capabilities: tuple[str, ...]
    max_tasks: int
    heartbeat_interval_ms: int
    version: str
    registered_at: datetime
    heard_at: datetime
    watched_since: datetime
    """The silence is counted from the later of this and `heard_at`."""
    available: bool = True
    status: str = "healthy"
    metrics: dict[str, float] = {}

    @property
    def silence_ms(self) -> int:
        """The silence that makes it unavailable."""
        return self.heartbeat_interval_ms * SILENT_INTERVALS

    def takes(self, task_type: str) -> bool:
        """Tell whether it does tasks of that type (in any case)."""
        return task_type.casefold() in (capability.casefold() for capability in self.capabilities)


class KeptCancellation(Record):
    """A cancellation that came before its task."""

    reason: str
    at: datetime


class MetaState(State):
    """The fold: `tasks` by order of submission, `finished` oldest first, `assignments` counts all ever made."""

    supervisors: dict[str, Supervisor] = {}
    tasks: dict[str, ActiveTask] = {}
    finished: tuple[FinishedTask, ...] = ()
    cancellations: dict[str, KeptCancellation] = {}
    submissions: int = 0
    assignments: int = 0
    ended: dict[str, int] = {}

    def finished_task(self, task_id: str) -> FinishedTask | None:
        """Return what is remembered of an ended task."""
        return next((task for task in reversed(self.finished) if task.id == task_id), None)

    def speaker(self, address: str) -> Supervisor | None:
        """Return the supervisor that speaks from that address."""
        return next((each for each in self.supervisors.values() if each.address == address), None)

    def tasks_of(self, supervisor_id: str) -> tuple[ActiveTask, ...]:
        """Return what is assigned to a supervisor."""
        return tuple(task for task in self.tasks.values() if task.assigned_to == supervisor_id)

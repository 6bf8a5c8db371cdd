"""What the runtime supervisor knows: open incidents, recoveries under way, tasks taken on, and counters."""

from datetime import datetime
from typing import Final

from ...schemas.record import Record, State

RUNTIME_ID: Final = "runtime_supervisor"
MAX_TASKS: Final = 8
INCIDENTS_MAX: Final = 2_000
"""Open incidents; beyond it the oldest is forgotten (its recovery goes on, and the log still tells)."""
REMEMBERED_MAX: Final = 64
"""Ended tasks and early cancellations that are remembered."""
DEFAULTS: Final = {"heartbeat_interval_ms": "10000", "answer_timeout_ms": "120000"}


class Incident(Record):
    """A component that is ill, in one incarnation."""

    id: str
    component_id: str
    group_id: str
    incarnation: int
    status: str
    message: str
    at: datetime


class Recovery(Record):
    """A recovery that was asked for: for an incident (`task_id` None) or for a task; `waiting` until the next try."""

    id: str
    component_id: str
    group_id: str
    incarnation: int
    attempt: int
    because: str
    task_id: str | None
    at: datetime
    waiting: bool = False

    @property
    def key(self) -> str:
        """Its place among the recoveries."""
        return recovery_key(self.component_id, self.task_id)


class RecoveryTask(Record):
    """A task taken on; `attempt` is the assignment's, not the recovery's."""

    id: str
    attempt: int
    component_id: str
    max_retries: int
    backoff_strategy: str
    failure_reason: str


class EndedTask(Record):
    """How a task ended, in case it is assigned again because the report had not been heard yet."""

    id: str
    error_code: str
    text: str


class EarlyCancellation(Record):
    """A cancellation that came before its assignment."""

    id: str
    attempt: int


class RuntimeState(State):
    """The fold; recoveries are keyed by `recovery_key`, incidents by component, tasks by id."""

    started: bool = False
    settings: dict[str, str] = DEFAULTS
    incidents: dict[str, Incident] = {}
    recoveries: dict[str, Recovery] = {}
    tasks: dict[str, RecoveryTask] = {}
    ended: tuple[EndedTask, ...] = ()
    cancelled: tuple[EarlyCancellation, ...] = ()
    counters: dict[str, int] = {}

    def recovery(self, component_id: str, task_id: str | None) -> Recovery | None:
        """Return the recovery under way for that incident or task."""
        return self.recoveries.get(recovery_key(component_id, task_id))

    def setting(self, name: str) -> int:
        """Return a setting, in milliseconds."""
        return int(self.settings[name])


def recovery_key(component_id: str, task_id: str | None) -> str:
    """Return the place of a recovery: one an incident, one a task."""
    return f"incident/{component_id}" if task_id is None else f"task/{task_id}"

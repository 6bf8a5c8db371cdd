"""Which task goes to which supervisor, now.

The highest priority first, then the one submitted first; a task that has been passed over `PATIENCE` times goes before
everything, so that low ones are late and never lost. Of the supervisors that can take it, the one with most room.
"""

from typing import Final, get_args

from ...core.decision import Priority
from ...schemas.task import TASK_PRIORITIES
from ...schemas.task_event import TaskAssigned
from ...schemas.task_protocol import TaskAssignment, TaskCancellation
from .state import ActiveTask, MetaState, Supervisor
from .turn import Turn

PATIENCE: Final = 64
_RANK: Final = {name: rank for rank, name in enumerate(TASK_PRIORITIES)}
_LANES: Final[dict[str, Priority]] = {name: name for name in get_args(Priority)}


def urgency(state: MetaState, task: ActiveTask) -> tuple[int, int]:
    """Return the place of a task in the queue; the smaller goes first."""
    passed_over = state.assignments - task.ready_at
    return (-1 if passed_over >= PATIENCE else _RANK[task.priority], task.sequence)


def dispatch(turn: Turn) -> None:
    """Assign whatever can be assigned."""
    room = {each.id: each.max_tasks for each in turn.state.supervisors.values() if each.available}
    for task in turn.state.tasks.values():
        if task.assigned_to in room:
            room[task.assigned_to] -= 1
    while sum(max(0, free) for free in room.values()):
        choice = _next(turn.state, room)
        if choice is None:
            return
        task, supervisor = choice
        room[supervisor.id] -= 1
        _assign(turn, task, supervisor)


def _next(state: MetaState, room: dict[str, int]) -> tuple[ActiveTask, Supervisor] | None:
    waiting = (task for task in state.tasks.values() if task.assignable)
    for task in sorted(waiting, key=lambda each: urgency(state, each)):
        supervisor = _roomiest(state, task, room)
        if supervisor is not None:
            return task, supervisor
    return None


def _roomiest(state: MetaState, task: ActiveTask, room: dict[str, int]) -> Supervisor | None:
    able = (state.supervisors[name] for name, free in room.items() if free > 0 and name not in task.rejected_by)
    return max((each for each in able if each.takes(task.type)), key=lambda each: room[each.id], default=None)


def _assign(turn: Turn, task: ActiveTask, supervisor: Supervisor) -> None:
    for former in task.assignees:
        if former != supervisor.id:
            withdraw(turn, task, former, f"it was given to {supervisor.id}")
    turn.record(TaskAssigned(task_id=task.id, supervisor_id=supervisor.id, attempt=task.attempt + 1))
    assignment = TaskAssignment(
        task_id=task.id,
        task_type=task.type,
        priority=task.priority,
        parameters_json=task.parameters_json,
        dependencies=task.dependencies,
        timeout_ms=task.timeout_ms,
        attempt=task.attempt + 1,
    )
    turn.tell(supervisor, assignment, _LANES[task.priority])


def withdraw(turn: Turn, task: ActiveTask, supervisor_id: str | None, reason: str) -> None:
    """Tell a supervisor that a task of its is not wanted any more; one that has left cannot be told."""
    supervisor = turn.state.supervisors.get(supervisor_id or "")
    if supervisor is not None:
        turn.tell(supervisor, TaskCancellation(task_id=task.id, attempt=task.attempt, reason=reason), "high")

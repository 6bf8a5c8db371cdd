"""How a task ends, once, and what that means for those that depend on it."""

from ...core.decision import Decision
from ...schemas.supervisor_timer import TaskDeadlineReached
from ...schemas.task import CancelTask, FinishedTask, TaskStatus
from ...schemas.task_event import CancellationKept, TaskCancelled, TaskFailed, TaskTimedOut
from .answers import status_of_finished
from .dispatch import dispatch, withdraw
from .fold import MetaEvent, TaskEnd
from .readiness import make_ready
from .turn import Turn


def finish(turn: Turn, event: TaskEnd, result_json: str | None = None) -> FinishedTask:
    """End a task and draw the consequences: who depends on it becomes ready, or fails with the reason."""
    line = turn.end(event, result_json)
    if line.status == "completed":
        for task_id in turn.state.tasks:
            make_ready(turn, task_id)
        return line
    ended = [line]
    while ended:
        ended += _fail_dependants(turn, ended.pop(), line)
    return line


def _fail_dependants(turn: Turn, ended: FinishedTask, root: FinishedTask) -> list[FinishedTask]:
    reason = (
        why_hopeless(root) if ended is root else f"dependency {ended.id} failed; it began when {why_hopeless(root)}"
    )
    dependants = [task.id for task in turn.state.tasks.values() if ended.id in task.waiting_for]
    return [turn.end(dependency_failed(turn, task_id, reason)) for task_id in dependants]


def why_hopeless(dependency: FinishedTask) -> str:
    """Say why nobody can wait for that dependency."""
    return f"dependency {dependency.id} ended {dependency.status}: {dependency.error}"


def dependency_failed(turn: Turn, task_id: str, reason: str) -> TaskFailed:
    """Return the end of a task whose dependency did not complete."""
    return TaskFailed(task_id=task_id, error_code="dependency_failed", error=reason, at=turn.context.now)


def cancel_task(turn: Turn, message: CancelTask) -> Decision[MetaEvent]:
    """Cancel a task; keep the cancellation for a while if there is no such task (yet)."""
    task = turn.state.tasks.get(message.task_id)
    if task is None:
        return _cancel_unknown(turn, message)
    withdraw(turn, task, task.last_assignee, message.reason)
    by, now = turn.context.sender, turn.context.now
    line = finish(turn, TaskCancelled(task_id=task.id, reason=message.reason, by=by, at=now))
    dispatch(turn)
    return turn.decision(reply=status_of_finished(line))


def _cancel_unknown(turn: Turn, message: CancelTask) -> Decision[MetaEvent]:
    line = turn.state.finished_task(message.task_id)
    if line is not None:
        return turn.decision(reply=status_of_finished(line))
    now = turn.context.now
    turn.record(CancellationKept(task_id=message.task_id, reason=message.reason, at=now))
    unknown = TaskStatus(id=message.task_id, type="", status="unknown", priority="normal", submitted_at=now)
    return turn.decision(reply=unknown)


def deadline_reached(turn: Turn, message: TaskDeadlineReached) -> Decision[MetaEvent]:
    """End a task whose time is up, and tell the supervisor that has it."""
    task = turn.state.tasks.get(message.task_id)
    if task is not None:
        withdraw(turn, task, task.last_assignee, f"its time of {task.timeout_ms} ms is up")
        finish(turn, TaskTimedOut(task_id=task.id, timeout_ms=task.timeout_ms, at=turn.context.now))
        dispatch(turn)
    return turn.decision()

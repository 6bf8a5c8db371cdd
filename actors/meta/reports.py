"""What supervisors report about their tasks; a report that is late, or of somebody who was not asked, changes nothing.

A completion counts from whoever ever had the task, for what is done is done; the rest only from who has it now.
"""

from ...core.decision import Decision
from ...schemas.task_event import TaskAccepted, TaskCompleted, TaskFailed, TaskProgressed, TaskReleased
from ...schemas.task_protocol import TaskAcceptance, TaskCompletion, TaskFailure, TaskProgress, TaskRejection
from .dispatch import dispatch, withdraw
from .ending import finish
from .fold import MetaEvent
from .state import ActiveTask, Supervisor
from .turn import Turn


def accepted(turn: Turn, message: TaskAcceptance) -> Decision[MetaEvent]:
    """Note that the supervisor has it."""
    task, supervisor = _current(turn, message)
    if task is not None and supervisor is not None and task.status == "assigned":
        turn.record(TaskAccepted(task_id=task.id, supervisor_id=supervisor.id, attempt=task.attempt))
    return turn.decision()


def progressed(turn: Turn, message: TaskProgress) -> Decision[MetaEvent]:
    """Note how far the supervisor is."""
    task, _ = _current(turn, message)
    if task is not None:
        turn.record(TaskProgressed(task_id=task.id, progress=message.progress, message=message.message))
    return turn.decision()


def rejected(turn: Turn, message: TaskRejection) -> Decision[MetaEvent]:
    """Offer it to another supervisor; when all have rejected it, it fails."""
    task, supervisor = _current(turn, message)
    if task is None or supervisor is None:
        return turn.decision()
    reason = f"{message.error_code}: {message.reason}"
    turn.record(TaskReleased(task_id=task.id, supervisor_id=supervisor.id, reason=reason, rejected=True))
    able = {each.id for each in turn.state.supervisors.values() if each.takes(task.type)}
    if able <= set(turn.state.tasks[task.id].rejected_by):
        error = f"rejected by {supervisor.id}: {message.reason}"
        finish(turn, TaskFailed(task_id=task.id, error_code=message.error_code, error=error, at=turn.context.now))
    dispatch(turn)
    return turn.decision()


def completed(turn: Turn, message: TaskCompletion) -> Decision[MetaEvent]:
    """End the task: done."""
    task = turn.state.tasks.get(message.task_id)
    supervisor = turn.state.speaker(turn.context.sender)
    if task is None or supervisor is None or supervisor.id not in task.assignees:
        return turn.decision()
    if task.assigned_to != supervisor.id:
        withdraw(turn, task, task.assigned_to, f"{supervisor.id} completed it")
    end = TaskCompleted(
        task_id=task.id, supervisor_id=supervisor.id, result_json=message.result_json, at=turn.context.now
    )
    finish(turn, end, message.result_json)
    dispatch(turn)
    return turn.decision()


def failed(turn: Turn, message: TaskFailure) -> Decision[MetaEvent]:
    """End the task: not done, and its supervisor is at the end of its means."""
    task, _ = _current(turn, message)
    if task is not None:
        now = turn.context.now
        finish(turn, TaskFailed(task_id=task.id, error_code=message.error_code, error=message.error, at=now))
        dispatch(turn)
    return turn.decision()


def _current(
    turn: Turn, message: TaskAcceptance | TaskProgress | TaskRejection | TaskFailure
) -> tuple[ActiveTask | None, Supervisor | None]:
    task = turn.state.tasks.get(message.task_id)
    supervisor = turn.state.speaker(turn.context.sender)
    if task is None or supervisor is None:
        return None, None
    current = task.assigned_to == supervisor.id and task.attempt == message.attempt
    return (task, supervisor) if current else (None, None)

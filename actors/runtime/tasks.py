"""Recovery tasks: taken on, reported, cancelled. The rest of a task's life is the meta supervisor's."""

import json
from typing import Final

from pydantic import ValidationError

from ...core.decision import Decision
from ...schemas.recovery_event import (
    RecoveryCompleted,
    RecoveryTaskAccepted,
    RecoveryTaskAssignedAgain,
    RecoveryTaskCancelled,
    RecoveryTaskEnded,
    RecoveryTaskRejected,
)
from ...schemas.task_parameters import RecoveryParameters
from ...schemas.task_protocol import (
    TaskAcceptance,
    TaskAssignment,
    TaskCancellation,
    TaskCompletion,
    TaskFailure,
    TaskProgress,
    TaskRejection,
)
from .fold import RuntimeEvent
from .order import initiate, stop_waiting
from .state import EndedTask, RecoveryTask
from .turn import Turn

TASK_TYPE: Final = "Recovery"
ASKED: Final = 0.1
"""The progress of a task whose component's group has been asked."""
WORDS_MAX: Final = 2_000


def assigned(turn: Turn, message: TaskAssignment) -> Decision[RuntimeEvent]:
    """Take a task on; one that is known goes on, or is reported again; one that was cancelled before is rejected."""
    known = turn.state.tasks.get(message.task_id)
    ended = next((each for each in turn.state.ended if each.id == message.task_id), None)
    if known is not None:
        turn.record(RecoveryTaskAssignedAgain(task_id=known.id, attempt=max(known.attempt, message.attempt)))
        turn.report(TaskAcceptance(task_id=known.id, attempt=message.attempt))
    elif ended is not None:
        _report(turn, ended, message.attempt)
    elif _was_cancelled(turn, message):
        _reject(turn, message, "cancelled", "its cancellation came before it")
    else:
        _take_on(turn, message)
    return turn.decision()


def _was_cancelled(turn: Turn, message: TaskAssignment) -> bool:
    return any(each.id == message.task_id and each.attempt >= message.attempt for each in turn.state.cancelled)


def _take_on(turn: Turn, message: TaskAssignment) -> None:
    if message.task_type.casefold() != TASK_TYPE.casefold():
        reason = (
            f"runtime_supervisor takes tasks of type {TASK_TYPE}, got {message.task_type!r}; its supervisor is missing"
        )
        _reject(turn, message, "validation_error", reason)
        return
    try:
        parameters = RecoveryParameters.model_validate_json(message.parameters_json)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        _reject(turn, message, "validation_error", f"expected the parameters of a recovery, got mistakes: {mistakes}")
        return
    _begin(turn, message, parameters)


def _begin(turn: Turn, message: TaskAssignment, parameters: RecoveryParameters) -> None:
    accepted = RecoveryTaskAccepted(
        task_id=message.task_id,
        attempt=message.attempt,
        component_id=parameters.component_id,
        max_retries=parameters.max_retries,
        backoff_strategy=parameters.backoff_strategy,
        failure_reason=parameters.failure_reason or parameters.message,
    )
    turn.record(accepted)
    turn.report(TaskAcceptance(task_id=message.task_id, attempt=message.attempt))
    because = f"task {message.task_id}: {accepted.failure_reason or 'no failure reason given'}"
    initiate(turn, parameters.component_id, "", 0, because, message.task_id)
    progress(turn, turn.state.tasks[message.task_id], f"asked component {parameters.component_id} to be recovered")


def _reject(turn: Turn, message: TaskAssignment, code: str, reason: str) -> None:
    turn.record(RecoveryTaskRejected(task_id=message.task_id, error_code=code, reason=reason))
    rejection = TaskRejection(
        task_id=message.task_id, attempt=message.attempt, error_code=code, reason=reason[:WORDS_MAX]
    )
    turn.report(rejection)


def progress(turn: Turn, task: RecoveryTask, message: str) -> None:
    """Report how a task goes."""
    turn.report(TaskProgress(task_id=task.id, attempt=task.attempt, progress=ASKED, message=message[:WORDS_MAX]))


def report_end(turn: Turn, task: RecoveryTask, completed: RecoveryCompleted) -> None:
    """End a task as its recovery ended."""
    if completed.outcome == "healed":
        shown = completed.model_dump(include={"component_id", "incarnation", "outcome", "attempts", "duration_ms"})
        end(turn, task, "", json.dumps(shown, sort_keys=True))
    elif completed.outcome == "unanswered":
        end(turn, task, "message_timeout", f"{completed.reason}, {completed.attempts} times")
    else:
        end(turn, task, completed.outcome, completed.reason or f"the recovery ended {completed.outcome}")


def end(turn: Turn, task: RecoveryTask, error_code: str, text: str) -> None:
    """End a task: done if there is no code (then the text is the result, as JSON), else failed."""
    ended = EndedTask(id=task.id, error_code=error_code, text=text[:WORDS_MAX])
    turn.record(RecoveryTaskEnded(task_id=task.id, error_code=error_code, text=ended.text))
    _report(turn, ended, task.attempt)


def _report(turn: Turn, ended: EndedTask, attempt: int) -> None:
    if ended.error_code:
        failure = TaskFailure(task_id=ended.id, attempt=attempt, error=ended.text, error_code=ended.error_code)
        turn.report(failure)
    else:
        turn.report(TaskCompletion(task_id=ended.id, attempt=attempt, result_json=ended.text))


def cancelled(turn: Turn, message: TaskCancellation) -> Decision[RuntimeEvent]:
    """Drop a task; what its group has begun goes on. One that has not come yet is remembered."""
    known = turn.state.tasks.get(message.task_id)
    if known is not None and known.attempt > message.attempt:
        return turn.decision()
    if known is None and any(each.id == message.task_id for each in turn.state.ended):
        return turn.decision()
    early = known is None
    event = RecoveryTaskCancelled(task_id=message.task_id, attempt=message.attempt, reason=message.reason, early=early)
    turn.record(event)
    if not early:
        stop_waiting(turn, message.task_id)
    return turn.decision()

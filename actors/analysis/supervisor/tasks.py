"""Analysis tasks: taken on, done by an effect, reported, cancelled. The rest of a task's life is the meta supervisor's."""

from typing import Final

from pydantic import ValidationError

from ....core.decision import Decision
from ....schemas.analysis import AnalysisResult
from ....schemas.analysis_event import (
    AnalysisTaskAccepted,
    AnalysisTaskAssignedAgain,
    AnalysisTaskCancelled,
    AnalysisTaskEnded,
    AnalysisTaskRejected,
)
from ....schemas.analysis_look import AnalysisFound
from ....schemas.task_parameters import AnalysisParameters
from ....schemas.task_protocol import (
    TaskAcceptance,
    TaskAssignment,
    TaskCancellation,
    TaskCompletion,
    TaskFailure,
    TaskProgress,
    TaskRejection,
)
from .fold import AnalysisEvent
from .life import TASK_TYPE
from .state import ANALYSIS_ID, AnalysisTask, EndedTask
from .turn import Turn

ASKED: Final = 0.1
"""The progress of a task whose analysis was asked for."""
WORDS_MAX: Final = 2_000


def assigned(turn: Turn, message: TaskAssignment) -> Decision[AnalysisEvent]:
    """Take a task on; one that is known goes on, or is reported again; one that was cancelled before is rejected."""
    known = turn.state.tasks.get(message.task_id)
    ended = next((each for each in turn.state.ended if each.id == message.task_id), None)
    if known is not None:
        turn.record(AnalysisTaskAssignedAgain(task_id=known.id, attempt=max(known.attempt, message.attempt)))
        turn.report(TaskAcceptance(task_id=known.id, attempt=message.attempt))
    elif ended is not None:
        _report(turn, ended, message.attempt)
    elif any(each.id == message.task_id and each.attempt >= message.attempt for each in turn.state.cancelled):
        _reject(turn, message, "cancelled", "its cancellation came before it")
    else:
        _take_on(turn, message)
    return turn.decision()


def _take_on(turn: Turn, message: TaskAssignment) -> None:
    if message.task_type.casefold() != TASK_TYPE.casefold():
        reason = f"{ANALYSIS_ID} takes tasks of type {TASK_TYPE}, got {message.task_type!r}; its supervisor is missing"
        _reject(turn, message, "validation_error", reason)
        return
    try:
        parameters = AnalysisParameters.model_validate_json(message.parameters_json)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        _reject(turn, message, "validation_error", f"expected the parameters of an analysis, got mistakes: {mistakes}")
        return
    accepted = AnalysisTaskAccepted(
        task_id=message.task_id, attempt=message.attempt, **parameters.model_dump(), as_of=turn.context.now
    )
    turn.record(accepted)
    turn.report(TaskAcceptance(task_id=message.task_id, attempt=message.attempt))
    words = f"looking at the last {parameters.time_range_minutes} minutes"
    turn.report(TaskProgress(task_id=message.task_id, attempt=message.attempt, progress=ASKED, message=words))


def _reject(turn: Turn, message: TaskAssignment, code: str, reason: str) -> None:
    turn.record(AnalysisTaskRejected(task_id=message.task_id, error_code=code, reason=reason))
    rejection = TaskRejection(
        task_id=message.task_id, attempt=message.attempt, error_code=code, reason=reason[:WORDS_MAX]
    )
    turn.report(rejection)


def found(turn: Turn, message: AnalysisFound) -> Decision[AnalysisEvent]:
    """Report what an analysis has found, to the meta supervisor and to who subscribed; or that it failed."""
    task = turn.state.tasks.get(message.task_id)
    if task is None:
        return turn.decision()
    if message.error:
        _end(turn, task, "internal_error", message.error[:WORDS_MAX])
        return turn.decision()
    _end(turn, task, "", message.result_json)
    result = AnalysisResult(
        task_id=task.id, as_of=message.as_of, summary=message.summary, result_json=message.result_json
    )
    turn.publish(result)
    return turn.decision()


def _end(turn: Turn, task: AnalysisTask, error_code: str, text: str) -> None:
    turn.record(AnalysisTaskEnded(task_id=task.id, error_code=error_code, text=text))
    _report(turn, EndedTask(id=task.id, error_code=error_code, text=text), task.attempt)


def _report(turn: Turn, ended: EndedTask, attempt: int) -> None:
    if ended.error_code:
        failure = TaskFailure(task_id=ended.id, attempt=attempt, error=ended.text, error_code=ended.error_code)
        turn.report(failure)
    else:
        turn.report(TaskCompletion(task_id=ended.id, attempt=attempt, result_json=ended.text))


def cancelled(turn: Turn, message: TaskCancellation) -> Decision[AnalysisEvent]:
    """Drop a task; what its effect finds is forgotten. One that has not come yet is remembered."""
    known = turn.state.tasks.get(message.task_id)
    if known is not None and known.attempt > message.attempt:
        return turn.decision()
    if known is None and any(each.id == message.task_id for each in turn.state.ended):
        return turn.decision()
    event = AnalysisTaskCancelled(
        task_id=message.task_id, attempt=message.attempt, reason=message.reason, early=known is None
    )
    turn.record(event)
    return turn.decision()

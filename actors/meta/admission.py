"""How a task comes into the queue: once an id, with dependencies that exist, for a supervisor that exists."""

from datetime import timedelta
from typing import Final

from ...core.decision import Decision, refuse
from ...core.errors import ValidationFailed
from ...schemas.task import ENDED, SubmitTask, TaskStatus
from ...schemas.task_event import TaskCancelled, TaskFailed, TaskFoundEnded, TaskRecorded, TaskSubmitted
from ...schemas.task_record import TaskExists, TaskOpened
from ..task.content import CanonicalTask, canonical_task
from .answers import status_of, status_of_finished
from .dispatch import dispatch
from .ending import dependency_failed, finish, why_hopeless
from .fold import MetaEvent
from .readiness import make_ready, set_alarm
from .state import ACTIVE_MAX, CANCELLATION_KEPT_MS, PARAMETERS_TOTAL_MAX, KeptCancellation, MetaState
from .turn import Turn

ALWAYS_TAKEN: Final = ("Recovery", "Analysis")
"""Types whose supervisor ships with HMS: their tasks wait for it when it has not registered yet."""
COMES_LATER: Final = {"Optimization": "ga", "Governance": "gov"}


def submit(turn: Turn, message: SubmitTask) -> Decision[MetaEvent]:
    """Take a task in, or say why not; the same id and content again is the same task."""
    try:
        content = canonical_task(message)
    except ValidationFailed as error:
        return refuse(error.code, str(error))
    known = _known(turn, content) or _objection(turn.state, content)
    if known is not None:
        return known
    kept = turn.state.cancellations.get(content.id)
    enqueue(turn, content)
    if kept is not None and content.id in turn.state.tasks:
        _cancel_if_fresh(turn, content.id, kept)
    return turn.decision(reply=_status(turn, content.id))


def _cancel_if_fresh(turn: Turn, task_id: str, kept: KeptCancellation) -> None:
    now = turn.context.now
    if now - kept.at <= timedelta(milliseconds=CANCELLATION_KEPT_MS):
        finish(turn, TaskCancelled(task_id=task_id, reason=kept.reason, by=turn.context.sender, at=now))


def enqueue(turn: Turn, content: CanonicalTask, run_of: str | None = None) -> None:
    """Put a task into the queue; it is assigned once its own record has confirmed that the id is new."""
    waiting = tuple(name for name in content.dependencies if name in turn.state.tasks)
    submitted = TaskSubmitted(
        task_id=content.id,
        task_type=content.type,
        priority=content.priority,
        parameters_json=content.parameters_json,
        dependencies=content.dependencies,
        waiting_for=waiting,
        timeout_ms=content.timeout_ms,
        schedule=content.schedule,
        run_of=run_of,
        fingerprint=content.fingerprint,
        submitted_at=turn.context.now,
        submitted_by=turn.context.sender,
    )
    turn.record(submitted)
    task = turn.state.tasks[content.id]
    turn.open(task)
    _fail_if_hopeless(turn, content)
    if content.id in turn.state.tasks:
        make_ready(turn, content.id)
        if not task.repeats and not turn.state.tasks[content.id].ready:
            set_alarm(turn, task)


def _fail_if_hopeless(turn: Turn, content: CanonicalTask) -> None:
    gone = [name for name in content.dependencies if name not in turn.state.tasks]
    lines = (turn.state.finished_task(name) for name in gone)
    hopeless = next((line for line in lines if line is not None and line.status != "completed"), None)
    if hopeless is not None:
        finish(turn, dependency_failed(turn, content.id, why_hopeless(hopeless)))


def _known(turn: Turn, content: CanonicalTask) -> Decision[MetaEvent] | None:
    known = turn.state.tasks.get(content.id) or turn.state.finished_task(content.id)
    if known is None:
        return None
    if known.fingerprint != content.fingerprint:
        reason = (
            f"task {content.id!r} exists with another content and is {known.status}; submit this one under a new id"
        )
        return refuse("task_exists", reason)
    return turn.decision(reply=_status(turn, content.id))


def _status(turn: Turn, task_id: str) -> TaskStatus | None:
    task = turn.state.tasks.get(task_id)
    line = turn.state.finished_task(task_id)
    if task is None:
        return None if line is None else status_of_finished(line)
    return status_of(task)


def _objection(state: MetaState, content: CanonicalTask) -> Decision[MetaEvent] | None:
    characters = sum(len(task.parameters_json) for task in state.tasks.values()) + len(content.parameters_json)
    if len(state.tasks) >= ACTIVE_MAX or characters > PARAMETERS_TOTAL_MAX:
        limits = f"{ACTIVE_MAX} tasks, {PARAMETERS_TOTAL_MAX} characters of parameters"
        return refuse("queue_full", f"the queue holds at most {limits}; submit again when `hms task list` shows fewer")
    if content.type not in ALWAYS_TAKEN and not any(each.takes(content.type) for each in state.supervisors.values()):
        return refuse("no_supervisor", _missing_supervisor(state, content.type))
    return _objection_to_dependencies(state, content)


def _missing_supervisor(state: MetaState, task_type: str) -> str:
    registered = (
        ", ".join(f"{each.id} ({', '.join(each.capabilities)})" for each in state.supervisors.values()) or "none"
    )
    kind = COMES_LATER.get(task_type)
    if kind is None:
        return f"no registered supervisor takes tasks of type {task_type!r}; registered: {registered}"
    return (
        f"a task of type {task_type} needs a supervisor of type {kind}, and none is registered: it comes with the "
        f"{kind} supervisor, in a later release of HMS; registered: {registered}"
    )


def _objection_to_dependencies(state: MetaState, content: CanonicalTask) -> Decision[MetaEvent] | None:
    for name in content.dependencies:
        task = state.tasks.get(name)
        if task is not None and task.repeats:
            reason = (
                f"dependency {name!r} is a schedule and never completes; depend on one of its runs, such as {name}@1"
            )
            return refuse("unknown_dependency", reason)
        if task is None and state.finished_task(name) is None:
            reason = (
                f"dependency {name!r} neither waits nor runs, nor is it among the {len(state.finished)} tasks that "
                "ended last; submit it first, or drop it if it ended long ago"
            )
            return refuse("unknown_dependency", reason)
    return None


def opened(turn: Turn, message: TaskOpened) -> Decision[MetaEvent]:
    """Let a task go on whose id is new indeed."""
    task = turn.state.tasks.get(message.task_id)
    if task is not None and not task.recorded:
        turn.record(TaskRecorded(task_id=task.id))
        if task.repeats:
            set_alarm(turn, task)
        dispatch(turn)
    return turn.decision()


def exists(turn: Turn, message: TaskExists) -> Decision[MetaEvent]:
    """Take a task out again whose id was used long ago: the same content has ended, another one is an error."""
    known = message.task
    task = turn.state.tasks.get(known.id)
    if task is None or task.recorded:
        return turn.decision()
    now = turn.context.now
    if known.status in ENDED and message.fingerprint == task.fingerprint:
        end = TaskFoundEnded(task_id=task.id, status=known.status, error=known.error, at=known.finished_at or now)
        finish(turn, end)
    else:
        reason = (
            f"a task of this id with another content was submitted at {known.submitted_at.isoformat()}; use a new id"
        )
        finish(turn, TaskFailed(task_id=task.id, error_code="task_exists", error=reason, at=now))
    dispatch(turn)
    return turn.decision()

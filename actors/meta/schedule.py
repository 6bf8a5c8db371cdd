"""Tasks with a time: one that waits for it, and schedules whose runs are tasks `ID@1`, `ID@2`, ..."""

from datetime import datetime, timedelta

from ...core.decision import Decision
from ...schemas.supervisor_timer import TaskDue
from ...schemas.task_event import ScheduleRan
from ..task.content import CanonicalTask
from .admission import enqueue
from .dispatch import dispatch
from .fold import MetaEvent
from .readiness import make_ready, set_alarm
from .state import ACTIVE_MAX, ActiveTask
from .turn import Turn


def due(turn: Turn, message: TaskDue) -> Decision[MetaEvent]:
    """Let a task whose time has come be ready, or a schedule run."""
    task = turn.state.tasks.get(message.task_id)
    if task is not None and task.repeats:
        _run(turn, task)
    elif task is not None:
        make_ready(turn, task.id)
        dispatch(turn)
    return turn.decision()


def _run(turn: Turn, task: ActiveTask) -> None:
    """Submit a run, unless the one before is not over; times that passed while nobody was there are not made up for."""
    skipped = f"{task.id}@{task.runs}" in turn.state.tasks or len(turn.state.tasks) >= ACTIVE_MAX
    number = task.runs if skipped else task.runs + 1
    missed, next_at = _next(task, turn.context.now)
    turn.record(ScheduleRan(task_id=task.id, number=number, skipped=skipped, missed=missed, next_at=next_at))
    set_alarm(turn, turn.state.tasks[task.id])
    if not skipped:
        enqueue(turn, _content(task, number), run_of=task.id)


def _next(task: ActiveTask, now: datetime) -> tuple[int, datetime]:
    every = timedelta(milliseconds=task.schedule.every_ms or 1) if task.schedule else timedelta(milliseconds=1)
    planned = task.next_at or now
    missed = max(0, (now - planned) // every)
    return missed, planned + (missed + 1) * every


def _content(task: ActiveTask, number: int) -> CanonicalTask:
    return CanonicalTask(
        id=f"{task.id}@{number}",
        type=task.type,
        priority=task.priority,
        parameters_json=task.parameters_json,
        dependencies=(),
        timeout_ms=task.timeout_ms,
        schedule=None,
        fingerprint=task.fingerprint,
    )

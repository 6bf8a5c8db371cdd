"""The behaviour `task`: one actor a task, whose state is the task as the meta supervisor last told it."""

from typing import assert_never

from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision, accept, refuse, send
from ...schemas.record import State
from ...schemas.task import ENDED, GetTask, TaskStatus
from ...schemas.task_record import OpenTask, RecordTask, TaskExists, TaskOpened, TaskRecordChanged, TaskRecordOpened
from ..well_known import META_SUPERVISOR

TaskMessage = OpenTask | RecordTask | GetTask
TaskRecordEvent = TaskRecordOpened | TaskRecordChanged


class TaskRecord(State):
    """What is known of a task; `task` is None until it is submitted."""

    task: TaskStatus | None = None
    fingerprint: str = ""
    revision: int = 0


def decide(state: TaskRecord, message: TaskMessage, context: Context) -> Decision[TaskRecordEvent]:
    """Keep the record; an ended task never changes, and an id is never used for another content."""
    match message:
        case OpenTask():
            return _open(state, message)
        case RecordTask():
            return _record(state, message)
        case GetTask():
            return _get(state, context)
        case _:
            assert_never(message)


def evolve(state: TaskRecord, event: TaskRecordEvent) -> TaskRecord:
    """Fold one event."""
    match event:
        case TaskRecordOpened():
            return TaskRecord(task=event.task, fingerprint=event.fingerprint)
        case TaskRecordChanged():
            return state.model_copy(update={"task": event.task, "revision": event.revision})
        case _:
            assert_never(event)


def _open(state: TaskRecord, message: OpenTask) -> Decision[TaskRecordEvent]:
    known = state.task
    if known is None:
        opened = send(META_SUPERVISOR, TaskOpened(task_id=message.task.id), priority="normal")
        return accept(TaskRecordOpened(task=message.task, fingerprint=message.fingerprint), send=[opened])
    if known.status not in ENDED and state.fingerprint == message.fingerprint:
        return accept(send=[send(META_SUPERVISOR, TaskOpened(task_id=known.id), priority="normal")])
    exists = TaskExists(task=known, fingerprint=state.fingerprint)
    return accept(send=[send(META_SUPERVISOR, exists, priority="normal")])


def _record(state: TaskRecord, message: RecordTask) -> Decision[TaskRecordEvent]:
    known = state.task
    stale = message.revision <= state.revision or message.fingerprint != state.fingerprint
    if known is None or stale or known.status in ENDED:
        return accept()
    return accept(TaskRecordChanged(task=message.task, revision=message.revision))


def _get(state: TaskRecord, context: Context) -> Decision[TaskRecordEvent]:
    if state.task is None:
        name = context.actor.partition("/")[2]
        return refuse(
            "task_not_found", f"no task {name!r} was ever submitted; `hms task list` shows the ones there are"
        )
    return accept(reply=state.task)


task = Behaviour("task", initial=TaskRecord, decide=decide, evolve=evolve)

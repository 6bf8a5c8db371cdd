"""How the meta supervisor's state follows from its events."""

from typing import Any, assert_never

from ...schemas.registry_event import (
    SupervisorConfigured,
    SupervisorDeregistered,
    SupervisorHeard,
    SupervisorLost,
    SupervisorRegistered,
    SupervisorWatchExtended,
)
from ...schemas.task import FinishedTask
from ...schemas.task_event import (
    CancellationKept,
    ScheduleRan,
    TaskAccepted,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskFoundEnded,
    TaskProgressed,
    TaskReady,
    TaskRecorded,
    TaskReleased,
    TaskSubmitted,
    TaskTimedOut,
)
from .state import (
    CANCELLATION_KEPT_MS,
    CANCELLATIONS_MAX,
    ERROR_MAX,
    FINISHED_MAX,
    ActiveTask,
    KeptCancellation,
    MetaState,
    Supervisor,
)

RegistryEvent = (
    SupervisorRegistered
    | SupervisorHeard
    | SupervisorWatchExtended
    | SupervisorLost
    | SupervisorDeregistered
    | SupervisorConfigured
)
TaskEnd = TaskCompleted | TaskFailed | TaskCancelled | TaskTimedOut | TaskFoundEnded
MetaEvent = (
    SupervisorRegistered
    | SupervisorHeard
    | SupervisorWatchExtended
    | SupervisorLost
    | SupervisorDeregistered
    | SupervisorConfigured
    | TaskSubmitted
    | TaskRecorded
    | TaskReady
    | TaskAssigned
    | TaskAccepted
    | TaskProgressed
    | TaskReleased
    | ScheduleRan
    | CancellationKept
    | TaskCompleted
    | TaskFailed
    | TaskCancelled
    | TaskTimedOut
    | TaskFoundEnded
)


def evolve(state: MetaState, event: MetaEvent) -> MetaState:
    """Fold one event."""
    match event:
        case (
            SupervisorRegistered()
            | SupervisorHeard()
            | SupervisorWatchExtended()
            | SupervisorLost()
            | SupervisorDeregistered()
            | SupervisorConfigured()
        ):
            return _evolve_registry(state, event)
        case TaskCompleted() | TaskFailed() | TaskCancelled() | TaskTimedOut() | TaskFoundEnded():
            return _evolve_end(state, event)
        case TaskSubmitted():
            return _submitted(state, event)
        case CancellationKept():
            return _cancellation_kept(state, event)
        case TaskAssigned():
            return _evolve_task(state, event).model_copy(update={"assignments": state.assignments + 1})
        case TaskRecorded() | TaskReady() | TaskAccepted() | TaskProgressed() | TaskReleased() | ScheduleRan():
            return _evolve_task(state, event)
        case _:
            assert_never(event)


def _evolve_registry(state: MetaState, event: RegistryEvent) -> MetaState:
    match event:
        case SupervisorRegistered():
            return _with_supervisor(state, _entry(event))
        case SupervisorHeard():
            heard = {"heard_at": event.at, "available": True, "status": event.status, "metrics": event.metrics}
            return _change_supervisor(state, event.supervisor_id, heard)
        case SupervisorWatchExtended():
            return _change_supervisor(state, event.supervisor_id, {"watched_since": event.at})
        case SupervisorLost():
            return _change_supervisor(state, event.supervisor_id, {"available": False, "status": "unavailable"})
        case SupervisorDeregistered():
            left = {name: entry for name, entry in state.supervisors.items() if name != event.supervisor_id}
            return state.model_copy(update={"supervisors": left})
        case SupervisorConfigured():
            return state
        case _:
            assert_never(event)


def _entry(event: SupervisorRegistered) -> Supervisor:
    return Supervisor(
        id=event.supervisor_id,
        type=event.supervisor_type,
        address=event.address,
        capabilities=event.capabilities,
        max_tasks=event.max_tasks,
        heartbeat_interval_ms=event.heartbeat_interval_ms,
        version=event.version,
        registered_at=event.at,
        heard_at=event.at,
        watched_since=event.at,
    )


def _with_supervisor(state: MetaState, entry: Supervisor) -> MetaState:
    return state.model_copy(update={"supervisors": {**state.supervisors, entry.id: entry}})


def _change_supervisor(state: MetaState, supervisor_id: str, changes: dict[str, Any]) -> MetaState:
    return _with_supervisor(state, state.supervisors[supervisor_id].model_copy(update=changes))


def _submitted(state: MetaState, event: TaskSubmitted) -> MetaState:
    task = ActiveTask(
        id=event.task_id,
        type=event.task_type,
        priority=event.priority,
        parameters_json=event.parameters_json,
        dependencies=event.dependencies,
        waiting_for=event.waiting_for,
        timeout_ms=event.timeout_ms,
        schedule=event.schedule,
        run_of=event.run_of,
        fingerprint=event.fingerprint,
        submitted_at=event.submitted_at,
        submitted_by=event.submitted_by,
        sequence=state.submissions,
        next_at=(event.schedule.at or event.submitted_at) if event.schedule else None,
    )
    kept = {task_id: each for task_id, each in state.cancellations.items() if task_id != event.task_id}
    tasks = {**state.tasks, task.id: task}
    return state.model_copy(update={"tasks": tasks, "submissions": state.submissions + 1, "cancellations": kept})


TaskChange = TaskRecorded | TaskReady | TaskAssigned | TaskAccepted | TaskProgressed | TaskReleased | ScheduleRan


def _evolve_task(state: MetaState, event: TaskChange) -> MetaState:
    task = state.tasks[event.task_id]
    changes = {**_task_changes(state, task, event), "revision": task.revision + 1}
    return state.model_copy(update={"tasks": {**state.tasks, task.id: task.model_copy(update=changes)}})


def _task_changes(state: MetaState, task: ActiveTask, event: TaskChange) -> dict[str, Any]:  # noqa: PLR0911 - one event, one return
    match event:
        case TaskRecorded():
            return {"recorded": True}
        case TaskReady():
            return {"ready": True, "ready_at": state.assignments}
        case TaskAssigned():
            assignees = tuple(dict.fromkeys((*task.assignees, event.supervisor_id)))
            given = {"assigned_to": event.supervisor_id, "attempt": event.attempt, "assignees": assignees}
            return {"status": "assigned", **given}
        case TaskAccepted():
            return {"status": "running"}
        case TaskProgressed():
            return {"status": "running", "progress": event.progress, "message": event.message}
        case TaskReleased():
            rejected = (*task.rejected_by, event.supervisor_id) if event.rejected else task.rejected_by
            return {"status": "pending", "assigned_to": None, "rejected_by": rejected, "message": event.reason}
        case ScheduleRan():
            return {"runs": event.number, "next_at": event.next_at, "message": _schedule_line(event)}
        case _:
            assert_never(event)


def _schedule_line(event: ScheduleRan) -> str:
    what = "was skipped, it still runs" if event.skipped else "was submitted"
    return f"run {event.task_id}@{event.number} {what}; next at {event.next_at.isoformat()}"


def _evolve_end(state: MetaState, event: TaskEnd) -> MetaState:
    task = state.tasks[event.task_id]
    status, error = outcome_of(event)
    line = FinishedTask(
        id=task.id,
        type=task.type,
        status=status,
        priority=task.priority,
        fingerprint=task.fingerprint,
        error=None if error is None else error[:ERROR_MAX],
        submitted_at=task.submitted_at,
        finished_at=event.at,
        assigned_to=task.assigned_to,
    )
    finished = (*state.finished, line)[-FINISHED_MAX:]
    ended = {**state.ended, status: state.ended.get(status, 0) + 1}
    tasks = _without(state.tasks, task.id, completed=status == "completed")
    return state.model_copy(update={"tasks": tasks, "finished": finished, "ended": ended})


def _without(tasks: dict[str, ActiveTask], task_id: str, *, completed: bool) -> dict[str, ActiveTask]:
    left = {name: task for name, task in tasks.items() if name != task_id}
    if completed:
        for name, task in left.items():
            if task_id in task.waiting_for:
                waiting = tuple(each for each in task.waiting_for if each != task_id)
                left[name] = task.model_copy(update={"waiting_for": waiting, "revision": task.revision + 1})
    return left


def outcome_of(event: TaskEnd) -> tuple[str, str | None]:
    """Return how a task ended: its status, and the error or None."""
    match event:
        case TaskCompleted():
            return "completed", None
        case TaskFailed():
            return "failed", f"{event.error_code}: {event.error}"
        case TaskCancelled():
            return "cancelled", event.reason or "cancelled"
        case TaskTimedOut():
            return "timed_out", f"not done within {event.timeout_ms} ms"
        case TaskFoundEnded():
            return event.status, event.error
        case _:
            assert_never(event)


def _cancellation_kept(state: MetaState, event: CancellationKept) -> MetaState:
    fresh = {
        task_id: each
        for task_id, each in state.cancellations.items()
        if (event.at - each.at).total_seconds() * 1_000 <= CANCELLATION_KEPT_MS and task_id != event.task_id
    }
    kept = {**fresh, event.task_id: KeptCancellation(reason=event.reason, at=event.at)}
    newest = dict(list(kept.items())[-CANCELLATIONS_MAX:])
    return state.model_copy(update={"cancellations": newest})

"""How the runtime supervisor's state follows from its events."""

from typing import Any, assert_never

from ...schemas.recovery_event import (
    GroupRecoverySeen,
    IncidentClosed,
    IncidentOpened,
    RecoveryCompleted,
    RecoveryHeld,
    RecoveryInitiated,
    RecoveryRetryPlanned,
    RecoveryTaskAccepted,
    RecoveryTaskAssignedAgain,
    RecoveryTaskCancelled,
    RecoveryTaskEnded,
    RecoveryTaskRejected,
    StaleHealthIgnored,
    SupervisionStarted,
    SupervisionStopped,
    SupervisorSettingsChanged,
)
from .state import (
    INCIDENTS_MAX,
    REMEMBERED_MAX,
    EarlyCancellation,
    EndedTask,
    Incident,
    Recovery,
    RecoveryTask,
    RuntimeState,
    recovery_key,
)

TaskEvent = (
    RecoveryTaskAccepted | RecoveryTaskAssignedAgain | RecoveryTaskRejected | RecoveryTaskEnded | RecoveryTaskCancelled
)
RecoveryEvent = RecoveryInitiated | RecoveryRetryPlanned | RecoveryHeld | RecoveryCompleted
SightEvent = IncidentOpened | IncidentClosed | StaleHealthIgnored | GroupRecoverySeen
LifeEvent = SupervisionStarted | SupervisionStopped | SupervisorSettingsChanged
RuntimeEvent = TaskEvent | RecoveryEvent | SightEvent | LifeEvent


def evolve(state: RuntimeState, event: RuntimeEvent) -> RuntimeState:
    """Fold one event, and count it."""
    counted = {**state.counters, _counter(event): state.counters.get(_counter(event), 0) + 1}
    return state.model_copy(update={**_changes(state, event), "counters": counted})


def _counter(event: RuntimeEvent) -> str:
    match event:
        case RecoveryCompleted():
            return f"recoveries_{event.outcome}"
        case GroupRecoverySeen():
            return f"group_recoveries_{event.outcome or event.stage}"
        case RecoveryTaskEnded():
            return "tasks_failed" if event.error_code else "tasks_completed"
        case _:
            return _COUNTERS[type(event).__name__]


_COUNTERS = {
    "SupervisionStarted": "starts",
    "SupervisionStopped": "stops",
    "SupervisorSettingsChanged": "configurations",
    "IncidentOpened": "incidents_opened",
    "IncidentClosed": "incidents_closed",
    "StaleHealthIgnored": "notifications_stale",
    "RecoveryInitiated": "recoveries_initiated",
    "RecoveryRetryPlanned": "recoveries_retried",
    "RecoveryHeld": "recoveries_held",
    "RecoveryTaskAccepted": "tasks_accepted",
    "RecoveryTaskAssignedAgain": "tasks_assigned_again",
    "RecoveryTaskRejected": "tasks_rejected",
    "RecoveryTaskCancelled": "tasks_cancelled",
}


def _changes(state: RuntimeState, event: RuntimeEvent) -> dict[str, Any]:
    match event:
        case RecoveryInitiated() | RecoveryRetryPlanned() | RecoveryHeld() | RecoveryCompleted():
            return {"recoveries": _recoveries(state, event)}
        case IncidentOpened() | IncidentClosed() | StaleHealthIgnored() | GroupRecoverySeen():
            return {"incidents": _incidents(state, event)}
        case SupervisionStarted() | SupervisionStopped():
            return {"started": isinstance(event, SupervisionStarted)}
        case SupervisorSettingsChanged():
            return {"settings": {**state.settings, **event.settings}}
        case _:
            return _task_changes(state, event)


def _incidents(state: RuntimeState, event: SightEvent) -> dict[str, Incident]:
    match event:
        case IncidentOpened():
            incident = Incident(
                id=event.incident_id,
                component_id=event.component_id,
                group_id=event.group_id,
                incarnation=event.incarnation,
                status=event.status,
                message=event.message,
                at=event.at,
            )
            kept = {**_without(state.incidents, event.component_id), event.component_id: incident}
            return dict(list(kept.items())[-INCIDENTS_MAX:]) if len(kept) > INCIDENTS_MAX else kept
        case IncidentClosed():
            return _without(state.incidents, event.component_id)
        case StaleHealthIgnored() | GroupRecoverySeen():
            return state.incidents
        case _:
            assert_never(event)


def _recoveries(state: RuntimeState, event: RecoveryEvent) -> dict[str, Recovery]:
    key = recovery_key(event.component_id, event.task_id)
    match event:
        case RecoveryInitiated():
            return {**state.recoveries, key: _recovery(state.recoveries.get(key), event)}
        case RecoveryRetryPlanned():
            return {**state.recoveries, key: state.recoveries[key].model_copy(update={"waiting": True})}
        case RecoveryHeld() | RecoveryCompleted():
            return _without(state.recoveries, key)
        case _:
            assert_never(event)


def _recovery(before: Recovery | None, event: RecoveryInitiated) -> Recovery:
    return Recovery(
        id=event.recovery_id,
        component_id=event.component_id,
        group_id=event.group_id,
        incarnation=event.incarnation,
        attempt=event.attempt,
        because=event.because,
        task_id=event.task_id,
        at=event.at if before is None else before.at,
    )


def _task_changes(state: RuntimeState, event: TaskEvent) -> dict[str, Any]:
    match event:
        case RecoveryTaskAccepted():
            return {"tasks": {**state.tasks, event.task_id: _task(event)}}
        case RecoveryTaskAssignedAgain():
            again = state.tasks[event.task_id].model_copy(update={"attempt": event.attempt})
            return {"tasks": {**state.tasks, event.task_id: again}}
        case RecoveryTaskRejected():
            return {"cancelled": tuple(each for each in state.cancelled if each.id != event.task_id)}
        case RecoveryTaskEnded():
            line = EndedTask(id=event.task_id, error_code=event.error_code, text=event.text)
            ended = (*state.ended, line)[-REMEMBERED_MAX:]
            return {"tasks": _without(state.tasks, event.task_id), "ended": ended}
        case RecoveryTaskCancelled():
            return _cancelled(state, event)
        case _:
            assert_never(event)


def _task(event: RecoveryTaskAccepted) -> RecoveryTask:
    return RecoveryTask(
        id=event.task_id,
        attempt=event.attempt,
        component_id=event.component_id,
        max_retries=event.max_retries,
        backoff_strategy=event.backoff_strategy,
        failure_reason=event.failure_reason,
    )


def _cancelled(state: RuntimeState, event: RecoveryTaskCancelled) -> dict[str, Any]:
    if event.early:
        kept = (*state.cancelled, EarlyCancellation(id=event.task_id, attempt=event.attempt))[-REMEMBERED_MAX:]
        return {"cancelled": kept}
    recoveries = _without(state.recoveries, recovery_key("", event.task_id))
    return {"tasks": _without(state.tasks, event.task_id), "recoveries": recoveries}


def _without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}

"""How the analysis supervisor's state follows from its events."""

import re
from typing import Any, TypeAlias

from ....schemas.analysis_event import (
    AlertAcknowledged,
    AlertEnded,
    AlertRaised,
    AlertRepeated,
    AlertsSilenced,
    AnalysisTaskAccepted,
    AnalysisTaskAssignedAgain,
    AnalysisTaskCancelled,
    AnalysisTaskEnded,
    AnalysisTaskRejected,
    CausesAsked,
    CausesNotRanked,
    CausesRanked,
    LookAsked,
    LookEnded,
    LookFailed,
    MetricsAnswered,
    MetricsAsked,
    OpportunityFound,
    PatternDetected,
    SilenceEnded,
    TrendDetected,
    TrendEnded,
)
from ....schemas.recovery_event import SupervisionStarted, SupervisionStopped, SupervisorSettingsChanged
from .fold_alerts import fold_alert
from .state import (
    REMEMBERED_MAX,
    SERIES_MAX,
    AnalysisState,
    AnalysisTask,
    Asked,
    EarlyCancellation,
    EndedTask,
    LastLook,
    Look,
    Told,
    series_key,
)

LookEvent: TypeAlias = LookAsked | LookEnded | LookFailed
AlertEvent: TypeAlias = AlertRaised | AlertRepeated | AlertEnded | AlertAcknowledged | AlertsSilenced | SilenceEnded
ToldEvent: TypeAlias = TrendDetected | TrendEnded | PatternDetected | OpportunityFound
AskedEvent: TypeAlias = MetricsAsked | MetricsAnswered | CausesAsked | CausesRanked | CausesNotRanked
TaskEvent: TypeAlias = (
    AnalysisTaskAccepted | AnalysisTaskAssignedAgain | AnalysisTaskRejected | AnalysisTaskEnded | AnalysisTaskCancelled
)
LifeEvent: TypeAlias = SupervisionStarted | SupervisionStopped | SupervisorSettingsChanged
AnalysisEvent: TypeAlias = LookEvent | AlertEvent | ToldEvent | AskedEvent | TaskEvent | LifeEvent

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def evolve(state: AnalysisState, event: AnalysisEvent) -> AnalysisState:
    """Fold one event, and count it."""
    counter = _WORDS.sub("_", type(event).__name__).lower()
    counted = {**state.counters, counter: state.counters.get(counter, 0) + 1}
    return state.model_copy(update={**_changes(state, event), "counters": counted})


def _changes(state: AnalysisState, event: AnalysisEvent) -> dict[str, Any]:
    match event:
        case LookAsked() | LookEnded() | LookFailed():
            return _look(state, event)
        case TrendDetected() | TrendEnded() | PatternDetected() | OpportunityFound():
            return {"told": _told(state, event)}
        case MetricsAsked() | MetricsAnswered() | CausesAsked() | CausesRanked() | CausesNotRanked():
            return _asked(state, event)
        case SupervisionStarted() | SupervisionStopped() | SupervisorSettingsChanged():
            return _life(state, event)
        case AlertRaised() | AlertRepeated() | AlertEnded() | AlertAcknowledged() | AlertsSilenced() | SilenceEnded():
            return fold_alert(state, event)
        case _:
            return _task(state, event)


def _life(state: AnalysisState, event: LifeEvent) -> dict[str, Any]:
    if isinstance(event, SupervisorSettingsChanged):
        return {"settings": {**state.settings, **event.settings}}
    return {"started": isinstance(event, SupervisionStarted)}


def _look(state: AnalysisState, event: LookEvent) -> dict[str, Any]:
    match event:
        case LookAsked():
            return {"look": Look(number=event.look, as_of=event.as_of)}
        case LookFailed():
            error = {"number": event.look, "error": event.reason}
            return {"look": None, "last_look": state.last_look.model_copy(update=error)}
        case LookEnded():
            last = LastLook(
                number=event.look,
                at=event.as_of,
                samples=event.samples,
                series=event.series,
                left_out=event.left_out,
                behind=event.behind,
                cpu_ms=event.cpu_ms,
            )
            sought = {"sought_at": event.as_of} if event.sought else {}
            return {"look": None, "last_look": last, "positions": event.positions, **sought}


def _told(state: AnalysisState, event: ToldEvent) -> dict[str, Told]:
    match event:
        case TrendDetected():
            kind, metric, what, at = "trend", event.metric, event.direction, event.as_of
        case TrendEnded():
            return _without(state.told, series_key("trend", event.component, event.metric))
        case PatternDetected():
            kind, metric, what, at = event.pattern, event.metric, event.pattern, event.at or event.as_of
        case OpportunityFound():
            kind, metric, what, at = "opportunity", event.name, event.name, event.as_of
    key = series_key(kind, event.component, metric)
    kept = {**_without(state.told, key), key: Told(component=event.component, metric=metric, what=what, at=at)}
    return dict(list(kept.items())[-SERIES_MAX:]) if len(kept) > SERIES_MAX else kept


def _asked(state: AnalysisState, event: AskedEvent) -> dict[str, Any]:
    match event:
        case MetricsAsked():
            asked = Asked(id=event.query_id, asker=event.asker, subject="", as_of=event.as_of)
            return {"queries": (*state.queries, asked)}
        case MetricsAnswered():
            return {"queries": tuple(one for one in state.queries if one.id != event.query_id)}
        case CausesAsked():
            asked = Asked(id=event.request_id, asker=event.asker, subject=event.incident_id, as_of=event.as_of)
            return {"causes": (*state.causes, asked)}
        case CausesRanked() | CausesNotRanked():
            return {"causes": tuple(one for one in state.causes if one.id != event.request_id)}


def _task(state: AnalysisState, event: TaskEvent) -> dict[str, Any]:
    match event:
        case AnalysisTaskAccepted() | AnalysisTaskAssignedAgain():
            return {"tasks": {**state.tasks, event.task_id: AnalysisTask(id=event.task_id, attempt=event.attempt)}}
        case AnalysisTaskRejected():
            return {"cancelled": tuple(each for each in state.cancelled if each.id != event.task_id)}
        case AnalysisTaskEnded():
            ended = (*state.ended, EndedTask(id=event.task_id, error_code=event.error_code, text=event.text))
            return {"tasks": _without(state.tasks, event.task_id), "ended": ended[-REMEMBERED_MAX:]}
        case AnalysisTaskCancelled():
            if event.early:
                early = EarlyCancellation(id=event.task_id, attempt=event.attempt)
                return {"cancelled": (*state.cancelled, early)[-REMEMBERED_MAX:]}
            return {"tasks": _without(state.tasks, event.task_id)}


def _without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}

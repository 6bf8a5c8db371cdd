"""How alerts and silences follow from their events."""

from typing import Any, assert_never

from ....schemas.analysis import AlertStatus, Silence
from ....schemas.analysis_event import (
    AlertAcknowledged,
    AlertEnded,
    AlertRaised,
    AlertRepeated,
    AlertsSilenced,
    SilenceEnded,
)
from .state import ALERTS_MAX, AnalysisState

AlertEvent = AlertRaised | AlertRepeated | AlertEnded | AlertAcknowledged | AlertsSilenced | SilenceEnded


def fold_alert(state: AnalysisState, event: AlertEvent) -> dict[str, Any]:
    """Return what an event changes."""
    match event:
        case AlertRaised():
            return {"alerts": _bounded({**state.alerts, event.alert_id: _raised(event)})}
        case AlertRepeated():
            known = state.alerts[event.alert_id]
            again = {"times": known.times + 1, "value": event.value, "score": event.score}
            return _changed(state, event.alert_id, again)
        case AlertEnded():
            return _changed(state, event.alert_id, {"status": "ended", "ended_at": event.as_of})
        case AlertAcknowledged():
            return _changed(state, event.alert_id, {"acknowledged_by": event.by, "note": event.note})
        case AlertsSilenced():
            silence = Silence(id=event.silence_id, **event.model_dump(exclude={"silence_id"}))
            return {"silences": {**state.silences, silence.id: silence}}
        case SilenceEnded():
            left = {name: one for name, one in state.silences.items() if name != event.silence_id}
            told = {name: state.alerts[name].model_copy(update={"silenced": False}) for name in event.told}
            return {"silences": left, "alerts": {**state.alerts, **told}}
        case _:
            assert_never(event)


def _raised(event: AlertRaised) -> AlertStatus:
    return AlertStatus(
        id=event.alert_id,
        component=event.component,
        metric=event.metric,
        status="open",
        at=event.at,
        value=event.value,
        score=event.score,
        times=1,
        silenced=event.silenced,
    )


def _changed(state: AnalysisState, alert_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {"alerts": {**state.alerts, alert_id: state.alerts[alert_id].model_copy(update=changes)}}


def _bounded(alerts: dict[str, AlertStatus]) -> dict[str, AlertStatus]:
    if len(alerts) <= ALERTS_MAX:
        return alerts
    goes = next((name for name, one in alerts.items() if one.status == "ended"), next(iter(alerts)))
    return {name: one for name, one in alerts.items() if name != goes}

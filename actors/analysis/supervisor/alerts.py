"""Alerts: raised at an onset, ended with the anomaly; acknowledged and silenced by people."""

from datetime import timedelta

from ....core.decision import Decision, refuse
from ....schemas.analysis import AcknowledgeAlert, AlertStatus, AnomalyDetection, SilenceAlerts, SilenceOver
from ....schemas.analysis_event import (
    AlertAcknowledged,
    AlertEnded,
    AlertRaised,
    AlertRepeated,
    AlertsSilenced,
    SilenceEnded,
)
from ....schemas.analysis_look import LookTaken, Onset
from .fold import AnalysisEvent
from .state import REMEMBERED_MAX
from .turn import Turn


def judge(turn: Turn, message: LookTaken) -> int:
    """Raise, repeat and end alerts as a look says; return how many were told."""
    told = 0
    for onset in message.onsets:
        known = turn.state.open_alert(onset.component, onset.metric)
        told += _raise(turn, onset, message) if known is None else _repeat(turn, known, onset, message)
    if not message.behind:
        lasting = {(one.component, one.metric) for one in message.lasting}
        for alert in turn.state.open_alerts():
            if (alert.component, alert.metric) not in lasting:
                turn.record(AlertEnded(alert_id=alert.id, as_of=message.as_of))
    return told


def _raise(turn: Turn, onset: Onset, message: LookTaken) -> bool:
    silenced = turn.state.is_silenced(onset.component, onset.metric, turn.context.now)
    raised = AlertRaised(
        alert_id=turn.context.new_id(f"alert {onset.component} {onset.metric} {onset.at.isoformat()}"),
        **dict(onset),
        silenced=silenced,
        look=message.look,
        as_of=message.as_of,
    )
    turn.record(raised)
    if not silenced:
        turn.publish(AnomalyDetection(alert_id=raised.alert_id, **dict(onset), as_of=message.as_of))
    return not silenced


def _repeat(turn: Turn, known: AlertStatus, onset: Onset, message: LookTaken) -> bool:
    values = onset.model_dump(include={"at", "value", "score"})
    turn.record(AlertRepeated(alert_id=known.id, **values, as_of=message.as_of))
    quiet = known.acknowledged_by is not None or turn.state.is_silenced(onset.component, onset.metric, turn.context.now)
    if not quiet:
        turn.publish(AnomalyDetection(alert_id=known.id, **dict(onset), as_of=message.as_of))
    return not quiet


def acknowledge(turn: Turn, message: AcknowledgeAlert) -> Decision[AnalysisEvent]:
    """Note who has seen it; the answer is the alert."""
    alert = turn.state.alerts.get(message.alert_id)
    if alert is None:
        known = len(turn.state.alerts)
        return refuse("alert_not_found", f"no alert {message.alert_id!r} among the {known} that are remembered")
    if alert.acknowledged_by is None:
        by, now = turn.context.sender, turn.context.now
        turn.record(AlertAcknowledged(alert_id=alert.id, by=by, note=message.note, at=now))
    return turn.decision(reply=turn.state.alerts[alert.id])


def silence(turn: Turn, message: SilenceAlerts) -> Decision[AnalysisEvent]:
    """Tell nothing of these series until the time is over; the answer is the silence."""
    if len(turn.state.silences) >= REMEMBERED_MAX:
        return refuse("validation_error", f"expected at most {REMEMBERED_MAX} silences at a time")
    silence_id = turn.context.new_id("silence")
    silenced = AlertsSilenced(
        silence_id=silence_id,
        component=message.component,
        metric=message.metric,
        until=turn.context.now + timedelta(milliseconds=message.for_ms),
        by=turn.context.sender,
        reason=message.reason,
    )
    turn.record(silenced)
    turn.set_timer(f"silence {silence_id}", SilenceOver(silence_id=silence_id), message.for_ms)
    return turn.decision(reply=turn.state.silences[silence_id])


def silence_over(turn: Turn, message: SilenceOver) -> Decision[AnalysisEvent]:
    """End a silence, and tell what was raised under it, lasts, and is under no other."""
    if message.silence_id not in turn.state.silences:
        return turn.decision()
    others = turn.state.model_copy(
        update={"silences": {name: one for name, one in turn.state.silences.items() if name != message.silence_id}}
    )
    due = [
        one
        for one in turn.state.open_alerts()
        if one.silenced and not others.is_silenced(one.component, one.metric, turn.context.now)
    ]
    turn.record(SilenceEnded(silence_id=message.silence_id, told=tuple(one.id for one in due)))
    for alert in due:
        values = alert.model_dump(include={"component", "metric", "at", "value", "score"})
        turn.publish(AnomalyDetection(alert_id=alert.id, **values, as_of=turn.context.now))
    return turn.decision()

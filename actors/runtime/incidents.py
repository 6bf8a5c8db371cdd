"""Ill components: what is seen, and whether to recover."""

from datetime import timedelta

from ...core.decision import Decision
from ...schemas.recovery import HealthNotification, RecoveryNotification
from ...schemas.recovery_event import GroupRecoverySeen, IncidentClosed, IncidentOpened, StaleHealthIgnored
from .fold import RuntimeEvent
from .order import initiate
from .state import Incident
from .turn import Turn

ILL = ("unhealthy", "critical")
"""The statuses that ask for a recovery (core components, section 4.1)."""


def milliseconds(duration: timedelta) -> int:
    """Return a duration in whole milliseconds, not below 0."""
    return max(0, duration // timedelta(milliseconds=1))


def health_changed(turn: Turn, message: HealthNotification) -> Decision[RuntimeEvent]:
    """Open an incident and recover when a component falls ill; close it when the component is well again."""
    incident = turn.state.incidents.get(message.component_id)
    if incident is not None and message.incarnation < incident.incarnation:
        _ignore_stale(turn, message, incident)
    elif message.status.casefold() not in ILL:
        close(turn, message.component_id, "healthy")
    else:
        _ill(turn, message, incident)
    return turn.decision()


def _ignore_stale(turn: Turn, message: HealthNotification, incident: Incident) -> None:
    ignored = StaleHealthIgnored(
        component_id=message.component_id,
        incarnation=message.incarnation,
        current_incarnation=incident.incarnation,
        status=message.status,
    )
    turn.record(ignored)


# One order a component is under way: its outcome is known by the component alone. A newer illness waits for it.
def _ill(turn: Turn, message: HealthNotification, incident: Incident | None) -> None:
    newer = incident is not None and message.incarnation > incident.incarnation
    if newer:
        close(turn, message.component_id, "superseded")
    if incident is None or newer:
        _open(turn, message)
    if turn.state.recovery(message.component_id, None) is None:
        because = f"{message.status}: {message.message}"
        initiate(turn, message.component_id, message.group, message.incarnation, because)


def _open(turn: Turn, message: HealthNotification) -> None:
    opened = IncidentOpened(
        incident_id=turn.context.new_id("incident"),
        component_id=message.component_id,
        group_id=message.group,
        incarnation=message.incarnation,
        status=message.status,
        message=message.message,
        at=turn.context.now,
    )
    turn.record(opened)


def close(turn: Turn, component_id: str, result: str) -> None:
    """Close a component's incident, if one is open."""
    incident = turn.state.incidents.get(component_id)
    if incident is not None:
        duration_ms = milliseconds(turn.context.now - incident.at)
        closed = IncidentClosed(
            incident_id=incident.id, component_id=component_id, result=result, duration_ms=duration_ms
        )
        turn.record(closed)


def group_recovered(turn: Turn, message: RecoveryNotification) -> Decision[RuntimeEvent]:
    """Note what a group did by itself; it ends an incident of an incarnation that is over now."""
    seen = GroupRecoverySeen(
        recovery_id=message.recovery_id,
        component_id=message.component_id,
        group_id=message.group,
        incarnation=message.incarnation,
        stage=message.stage,
        decision=message.decision,
        outcome=message.outcome,
        cause=message.cause,
        duration_ms=message.duration_ms,
    )
    turn.record(seen)
    if message.outcome in ("healed", "given_up"):
        close(turn, message.component_id, message.outcome)
    return turn.decision()

"""The registry: who is there, who has fallen silent, who has left."""

from datetime import timedelta

from ...core.decision import Decision, refuse
from ...schemas.administrative import (
    ConfigureSupervisor,
    DescribeSupervisor,
    SupervisorConfiguration,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
)
from ...schemas.registry_event import (
    SupervisorConfigured,
    SupervisorDeregistered,
    SupervisorHeard,
    SupervisorLost,
    SupervisorRegistered,
    SupervisorWatchExtended,
)
from ...schemas.supervisor_timer import SupervisorSilent
from ...schemas.task_event import TaskReleased
from .answers import META_ID, describe, describe_meta
from .dispatch import dispatch
from .fold import MetaEvent
from .readiness import MILLISECOND
from .state import Supervisor
from .turn import Turn

SUPERVISORS_MAX = 256


def register(turn: Turn, message: SupervisorRegistration) -> Decision[MetaEvent]:
    """Enter a supervisor, or hear one that is entered already; an id belongs to one address while that one lives."""
    entry = turn.state.supervisors.get(message.supervisor_id)
    sender = turn.context.sender
    if entry is not None and entry.available and entry.address != sender:
        reason = f"supervisor {entry.id!r} is registered from {entry.address} and alive; register under another id"
        return refuse("supervisor_exists", reason)
    if message.supervisor_id == META_ID or (entry is None and len(turn.state.supervisors) >= SUPERVISORS_MAX):
        return refuse(
            "validation_error", f"expected an id other than {META_ID}, and at most {SUPERVISORS_MAX} supervisors"
        )
    turn.record(_heard(turn, entry) if entry is not None and _same(entry, message, sender) else _entered(turn, message))
    return _watch_and_dispatch(turn, message.supervisor_id)


def _same(entry: Supervisor, message: SupervisorRegistration, sender: str) -> bool:
    ours = (entry.type, entry.capabilities, entry.max_tasks, entry.heartbeat_interval_ms, entry.version, entry.address)
    limits = (message.max_tasks, message.heartbeat_interval_ms, message.version, sender)
    return ours == (message.supervisor_type, message.capabilities, *limits)


def _entered(turn: Turn, message: SupervisorRegistration) -> SupervisorRegistered:
    return SupervisorRegistered(**message.model_dump(), address=turn.context.sender, at=turn.context.now)


def _heard(turn: Turn, entry: Supervisor) -> SupervisorHeard:
    status = entry.status if entry.available else "healthy"
    return SupervisorHeard(supervisor_id=entry.id, status=status, metrics=entry.metrics, at=turn.context.now)


def heartbeat(turn: Turn, message: SupervisorHeartbeat) -> Decision[MetaEvent]:
    """Hear a supervisor; one that is not registered must register first."""
    entry = turn.state.supervisors.get(message.supervisor_id)
    if entry is None or entry.address != turn.context.sender:
        reason = (
            f"{message.supervisor_id!r} is not registered from {turn.context.sender}; send a SupervisorRegistration"
        )
        return refuse("supervisor_not_found", reason)
    now = turn.context.now
    turn.record(SupervisorHeard(supervisor_id=entry.id, status=message.status, metrics=message.metrics, at=now))
    return _watch_and_dispatch(turn, entry.id)


def _watch_and_dispatch(turn: Turn, supervisor_id: str) -> Decision[MetaEvent]:
    _watch(turn, turn.state.supervisors[supervisor_id])
    dispatch(turn)
    return turn.decision()


def _watch(turn: Turn, entry: Supervisor) -> None:
    turn.set_timer(f"silence:{entry.id}", SupervisorSilent(supervisor_id=entry.id), entry.silence_ms)


def silent(turn: Turn, message: SupervisorSilent) -> Decision[MetaEvent]:
    """Judge a silence: the supervisor's, unless this watcher was away itself, then one more period."""
    entry = turn.state.supervisors.get(message.supervisor_id)
    if entry is None or not entry.available:
        return turn.decision()
    now = turn.context.now
    silence = now - max(entry.heard_at, entry.watched_since)
    if silence > timedelta(milliseconds=entry.silence_ms + entry.heartbeat_interval_ms):
        turn.record(SupervisorWatchExtended(supervisor_id=entry.id, at=now))
        _watch(turn, entry)
        return turn.decision()
    turn.record(SupervisorLost(supervisor_id=entry.id, silent_ms=(now - entry.heard_at) // MILLISECOND))
    _release(turn, entry.id, f"{entry.id} is silent")
    return turn.decision()


def deregister(turn: Turn, message: SupervisorDeregistration) -> Decision[MetaEvent]:
    """Let a supervisor go; only itself may ask for it."""
    entry = turn.state.supervisors.get(message.supervisor_id)
    if entry is None or entry.address != turn.context.sender:
        return turn.decision()
    turn.record(SupervisorDeregistered(supervisor_id=entry.id, reason=message.reason))
    turn.set_timer(f"silence:{entry.id}", None)
    _release(turn, entry.id, f"{entry.id} has left")
    return turn.decision()


def _release(turn: Turn, supervisor_id: str, reason: str) -> None:
    for task in turn.state.tasks_of(supervisor_id):
        turn.record(TaskReleased(task_id=task.id, supervisor_id=supervisor_id, reason=reason, rejected=False))
    dispatch(turn)


def configure(turn: Turn, message: ConfigureSupervisor) -> Decision[MetaEvent]:
    """Send settings to a supervisor."""
    entry = turn.state.supervisors.get(message.supervisor_id)
    if entry is None:
        return _not_found(turn, message.supervisor_id)
    turn.record(SupervisorConfigured(supervisor_id=entry.id, settings=message.settings))
    turn.tell(entry, SupervisorConfiguration(settings=message.settings), "normal")
    return turn.decision()


def describe_one(turn: Turn, message: DescribeSupervisor) -> Decision[MetaEvent]:
    """Answer with one entry of the registry."""
    if message.supervisor_id == META_ID:
        return turn.decision(reply=describe_meta(turn.state))
    entry = turn.state.supervisors.get(message.supervisor_id)
    return (
        _not_found(turn, message.supervisor_id) if entry is None else turn.decision(reply=describe(turn.state, entry))
    )


def _not_found(turn: Turn, supervisor_id: str) -> Decision[MetaEvent]:
    known = ", ".join((META_ID, *turn.state.supervisors))
    return refuse("supervisor_not_found", f"no supervisor {supervisor_id!r} is registered; there are {known}")

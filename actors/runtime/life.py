"""The supervisor's own life: it registers, beats, is configured, and leaves."""

from typing import Final

from ...core.decision import Decision, refuse
from ...core.runtime.records import MessageRefused
from ...schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
    SupervisorStatusResponse,
)
from ...schemas.recovery_event import SupervisionStarted, SupervisionStopped, SupervisorSettingsChanged
from ...schemas.supervisor_timer import HeartbeatDue
from .fold import RuntimeEvent
from .state import DEFAULTS, MAX_TASKS, RUNTIME_ID, RuntimeState
from .tasks import TASK_TYPE
from .turn import Turn

HEARTBEAT: Final = "heartbeat"
SETTING_MS: Final = (1_000, 3_600_000)


def start(turn: Turn, _: StartSupervision) -> Decision[RuntimeEvent]:
    """Register and beat; a second start registers again, which changes nothing."""
    if not turn.state.started:
        turn.record(SupervisionStarted(supervisor_id=RUNTIME_ID))
    _register(turn)
    return turn.decision()


def _register(turn: Turn) -> None:
    interval_ms = turn.state.setting("heartbeat_interval_ms")
    registration = SupervisorRegistration(
        supervisor_id=RUNTIME_ID,
        supervisor_type="runtime",
        capabilities=(TASK_TYPE,),
        max_tasks=MAX_TASKS,
        heartbeat_interval_ms=interval_ms,
    )
    turn.report(registration)
    turn.set_timer(HEARTBEAT, HeartbeatDue(), interval_ms)


def beat(turn: Turn, _: HeartbeatDue) -> Decision[RuntimeEvent]:
    """Send a heartbeat, and wind the clock."""
    if turn.state.started:
        active = len(turn.state.tasks)
        turn.report(SupervisorHeartbeat(supervisor_id=RUNTIME_ID, active_tasks=active, metrics=metrics(turn.state)))
        turn.set_timer(HEARTBEAT, HeartbeatDue(), turn.state.setting("heartbeat_interval_ms"))
    return turn.decision()


def stop(turn: Turn, message: StopSupervision) -> Decision[RuntimeEvent]:
    """Deregister; incidents and tasks stay as they are, and notifications are still acted on."""
    if turn.state.started:
        turn.record(SupervisionStopped(reason=message.reason))
        turn.report(SupervisorDeregistration(supervisor_id=RUNTIME_ID, reason=message.reason))
        turn.set_timer(HEARTBEAT, None)
    return turn.decision()


def refused(turn: Turn, message: MessageRefused) -> Decision[RuntimeEvent]:
    """Register again if the meta supervisor does not know this one (any more)."""
    if message.code == "supervisor_not_found" and turn.state.started:
        _register(turn)
    return turn.decision()


def configure(turn: Turn, message: SupervisorConfiguration) -> Decision[RuntimeEvent]:
    """Take new settings; all of them or none."""
    low, high = SETTING_MS
    for name, value in message.settings.items():
        if name not in DEFAULTS:
            return refuse("validation_error", f"expected settings among {', '.join(DEFAULTS)}, got {name!r}")
        if not (value.isascii() and value.isdigit() and len(value) <= len(str(high)) and low <= int(value) <= high):
            return refuse("validation_error", f"expected {name} to be {low} to {high} (milliseconds), got {value!r}")
    turn.record(SupervisorSettingsChanged(settings=message.settings))
    if turn.state.started:
        _register(turn)
    return turn.decision()


def status(state: RuntimeState) -> SupervisorStatusResponse:
    """Return the supervisor about itself."""
    return SupervisorStatusResponse(
        supervisor_id=RUNTIME_ID,
        supervisor_type="runtime",
        status="healthy" if state.started else "stopped",
        active_tasks=tuple(state.tasks),
        settings=state.settings,
        metrics=metrics(state),
    )


def metrics(state: RuntimeState) -> dict[str, float]:
    """Return the counters, and the gauges of what is open."""
    gauges = {"incidents_open": float(len(state.incidents)), "recoveries_open": float(len(state.recoveries))}
    return {**{name: float(count) for name, count in state.counters.items()}, **gauges}

"""The supervisor's own life: it registers, beats, is configured, and leaves."""

from typing import Final

from ....core.decision import Decision, refuse
from ....core.runtime.records import MessageRefused
from ....schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
    SupervisorStatusResponse,
)
from ....schemas.analysis import AnalysisHeartbeatDue, LookDue
from ....schemas.recovery_event import SupervisionStarted, SupervisionStopped, SupervisorSettingsChanged
from .fold import AnalysisEvent
from .state import ANALYSIS_ID, BOUNDS, MAX_TASKS, AnalysisState
from .turn import Turn

HEARTBEAT: Final = "heartbeat"
LOOK: Final = "look"
TASK_TYPE: Final = "Analysis"


def start(turn: Turn, _: StartSupervision) -> Decision[AnalysisEvent]:
    """Register and beat; a second start registers again, which changes nothing."""
    if not turn.state.started:
        turn.record(SupervisionStarted(supervisor_id=ANALYSIS_ID))
    _register(turn)
    wind(turn)
    return turn.decision()


def _register(turn: Turn) -> None:
    interval_ms = turn.state.setting("heartbeat_interval_ms")
    registration = SupervisorRegistration(
        supervisor_id=ANALYSIS_ID,
        supervisor_type="analysis",
        capabilities=(TASK_TYPE,),
        max_tasks=MAX_TASKS,
        heartbeat_interval_ms=interval_ms,
    )
    turn.report(registration)
    turn.set_timer(HEARTBEAT, AnalysisHeartbeatDue(), interval_ms)


def wind(turn: Turn, after_ms: int | None = None) -> None:
    """Set the timer of the next look, as the settings say; without a period there is none."""
    every_ms = turn.state.setting("look_every_ms")
    turn.set_timer(LOOK, LookDue() if every_ms else None, every_ms if after_ms is None else after_ms)


def beat(turn: Turn, _: AnalysisHeartbeatDue) -> Decision[AnalysisEvent]:
    """Send a heartbeat, and wind the clock."""
    if turn.state.started:
        state = turn.state
        status = "degraded" if state.last_look.error else "healthy"
        active = len(state.tasks)
        turn.report(
            SupervisorHeartbeat(supervisor_id=ANALYSIS_ID, status=status, active_tasks=active, metrics=metrics(state))
        )
        turn.set_timer(HEARTBEAT, AnalysisHeartbeatDue(), state.setting("heartbeat_interval_ms"))
    return turn.decision()


def stop(turn: Turn, message: StopSupervision) -> Decision[AnalysisEvent]:
    """Deregister and look no more; alerts and tasks stay as they are."""
    if turn.state.started:
        turn.record(SupervisionStopped(reason=message.reason))
        turn.report(SupervisorDeregistration(supervisor_id=ANALYSIS_ID, reason=message.reason))
        turn.set_timer(HEARTBEAT, None)
        turn.set_timer(LOOK, None)
    return turn.decision()


def refused(turn: Turn, message: MessageRefused) -> Decision[AnalysisEvent]:
    """Register again if the meta supervisor does not know this one (any more)."""
    if message.code == "supervisor_not_found" and turn.state.started:
        _register(turn)
    return turn.decision()


def configure(turn: Turn, message: SupervisorConfiguration) -> Decision[AnalysisEvent]:
    """Take new settings, all of them or none; a period begins with a look at once."""
    for name, value in message.settings.items():
        if name not in BOUNDS:
            return refuse("validation_error", f"expected settings among {', '.join(BOUNDS)}, got {name!r}")
        low, high = BOUNDS[name]
        if not (value.isascii() and value.isdigit() and len(value) <= len(str(high)) and low <= int(value) <= high):
            return refuse("validation_error", f"expected {name} to be {low} to {high}, got {value!r}")
    turn.record(SupervisorSettingsChanged(settings=message.settings))
    if turn.state.started and "heartbeat_interval_ms" in message.settings:
        _register(turn)
    if "look_every_ms" in message.settings:
        wind(turn, after_ms=0)
    return turn.decision()


def status(state: AnalysisState) -> SupervisorStatusResponse:
    """Return the supervisor about itself."""
    condition = "degraded" if state.last_look.error else "healthy"
    return SupervisorStatusResponse(
        supervisor_id=ANALYSIS_ID,
        supervisor_type="analysis",
        status=condition if state.started else "stopped",
        active_tasks=tuple(state.tasks),
        settings=state.settings,
        metrics=metrics(state),
    )


def metrics(state: AnalysisState) -> dict[str, float]:
    """Return the counters, and the gauges of what is open."""
    gauges = {
        "alerts_open": float(len(state.open_alerts())),
        "series": float(state.last_look.series),
        "look_cpu_ms": float(state.last_look.cpu_ms),
    }
    return {**{name: float(count) for name, count in state.counters.items()}, **gauges}

"""A component in words: what the command line shows and what its group is told."""

from ...schemas.component import ComponentStatus
from ...schemas.member import MemberReported
from .state import ComponentState, Exited, Running, Starting, Stopped, Stopping


def status(state: ComponentState, component: str) -> ComponentStatus:
    """Return the answer to every question about a component."""
    phase = state.phase
    return ComponentStatus(
        id=component,
        group=state.group,
        desired=state.desired.state,
        health=health(state),
        phase=phase_word(state),
        pid=phase.pid if isinstance(phase, Running | Stopping) else None,
        incarnation=state.incarnation,
        restart_count=state.restart_count,
        since=state.since,
        desired_by=state.desired.by,
        desired_who=state.desired.who,
        desired_why=state.desired.why,
        paused=state.paused,
        given_up=state.given_up,
        host=state.host,
        ready=state.ready,
        message=message(state),
        exits=state.exits,
        spec=state.spec,
        spec_hash=state.spec_hash,
    )


def phase_word(state: ComponentState) -> str:
    """Return the phase as people see it: the silence of a host and a giving up come before what was last known."""
    if state.spec is None:
        return "unconfigured"
    if state.unknown:
        return "unknown"
    if state.given_up and not state.live:
        return "given_up"
    if state.completed:
        return "completed"
    if state.ended:
        return "stopped"
    waits = isinstance(state.phase, Stopped) and state.wished_up
    return "waiting" if waits else state.phase.kind


def health(state: ComponentState) -> str:
    """Return healthy, degraded, unhealthy, critical, unknown or stopped."""
    if state.unknown:
        return "unknown"
    if state.given_up or state.sick:
        return "critical"
    if state.completed or state.ended or not (state.wished_up or state.live):
        return "stopped"
    match state.phase:
        case Running():
            return "healthy" if state.ready else "degraded"
        case Starting() | Stopped() | Stopping():
            return "degraded"
        case Exited():
            return "unhealthy"


def message(state: ComponentState) -> str:
    """Return the one thing to say about it, or nothing."""
    if state.given_up or state.sick:
        return state.given_up or state.sick
    if isinstance(state.phase, Starting) and state.hold_ms:
        return f"starts on {state.host} after {state.hold_ms} ms, when its copy elsewhere has surely ended"
    end = state.last_exit
    return end_in_words(state) if end is not None and isinstance(state.phase, Exited) else ""


def end_in_words(state: ComponentState) -> str:
    """Say how the last incarnation ended: `exited with code 1 after 20 ms`, `killed by KILL (out of memory) ...`."""
    end = state.exits[-1]
    if end.cause == "start_failed":
        return f"could not be started: {end.reason}"
    if end.cause == "unknown":
        return end.reason or "ended, nobody saw how"
    how = f"killed by {end.signal}" if end.signal else f"exited with code {end.code}"
    memory = " (out of memory)" if end.oom else ""
    return f"{how}{memory} after {end.ran_ms} ms"


def member_report(state: ComponentState, component: str) -> MemberReported:
    """Return what the group has to know; output lines stay here."""
    end = state.last_exit
    return MemberReported(
        component=component,
        group=state.group,
        incarnation=state.incarnation,
        attempt=state.attempt,
        phase="removed" if state.spec is None else state.phase.kind,
        ready=state.ready,
        desired_up=state.wished_up,
        paused=state.paused,
        completed=state.completed,
        exit=None if end is None else end.model_copy(update={"last_lines": ()}),
    )

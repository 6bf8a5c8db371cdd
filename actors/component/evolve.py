"""The fold of a component's events."""

from typing import Any, TypeAlias, assert_never

from ...schemas.component import Desired
from ...schemas.component_events import (
    CandidateReturned,
    CandidateWentSilent,
    ComponentBecameKnown,
    ComponentBecameUnknown,
    ComponentConfigured,
    ComponentExited,
    ComponentFenced,
    ComponentGivenUp,
    ComponentHalted,
    ComponentMissed,
    ComponentPaused,
    ComponentRemoved,
    ComponentReset,
    ComponentResumed,
    ComponentStarted,
    ComponentStartRequested,
    ComponentStopRequested,
    DesiredChanged,
    FencingBegan,
    LimitExceeded,
    ProbeChanged,
    StaleReportIgnored,
    StrayFound,
    WatcherAdded,
    WatcherRemoved,
)
from ...schemas.fleet import ComponentSpec
from .state import EXITS_KEPT, ComponentState, Exited, Phase, Running, Starting, Stopped, Stopping

ComponentEvent: TypeAlias = (
    ComponentConfigured
    | ComponentRemoved
    | DesiredChanged
    | ComponentStartRequested
    | ComponentStopRequested
    | ComponentHalted
    | ComponentStarted
    | ComponentExited
    | ComponentMissed
    | ProbeChanged
    | LimitExceeded
    | ComponentPaused
    | ComponentResumed
    | ComponentGivenUp
    | ComponentReset
    | ComponentBecameUnknown
    | ComponentBecameKnown
    | CandidateWentSilent
    | CandidateReturned
    | FencingBegan
    | ComponentFenced
    | StaleReportIgnored
    | StrayFound
    | WatcherAdded
    | WatcherRemoved
)


def evolve(state: ComponentState, event: ComponentEvent) -> ComponentState:
    """Fold one event; an event that cannot follow the state is a bug and raises."""
    return _with_illness(_fold(state, event))


def _fold(state: ComponentState, event: ComponentEvent) -> ComponentState:  # noqa: C901, PLR0911, PLR0912 - one arm an event
    match event:
        case ComponentConfigured():
            return _configured(state, event)
        case ComponentRemoved():
            return _removed(state, event)
        case DesiredChanged():
            return _with(state, desired=event.desired)
        case ComponentStartRequested():
            return _start_requested(state, event)
        case ComponentStopRequested():
            return _stop_requested(state, event)
        case ComponentHalted():
            return _with(state, halted=True)
        case ComponentStarted():
            return _started(state, event)
        case ComponentExited():
            return _exited(state, event)
        case ComponentMissed():
            phase = _running(state).model_copy(update={"missed": True})
            return _with(state, phase=phase, session=event.session, sequence=event.sequence)
        case ProbeChanged():
            return _probed(state, event)
        case LimitExceeded():
            return _with(state, sick=event.message, session=event.session, sequence=event.sequence)
        case ComponentPaused():
            return _with(state, paused=True)
        case ComponentResumed():
            return _with(state, paused=False)
        case ComponentGivenUp():
            return _with(state, given_up=event.reason, since=event.at)
        case ComponentReset():
            return _with(state, given_up="", since=event.at)
        case ComponentBecameUnknown():
            return _with(_gone_silent(state, state.host), unknown=True)
        case ComponentBecameKnown():
            return _with(_heard_again(state, state.host), unknown=False)
        case CandidateWentSilent():
            return _gone_silent(state, event.host)
        case CandidateReturned():
            return _heard_again(state, event.host)
        case FencingBegan():
            return _with(state, fencing=True)
        case ComponentFenced():
            fences = {**state.fences, event.host: event.hold_ms}
            return _with(state, fencing=False, leased=False, fences=fences)
        case StaleReportIgnored():
            return state
        case StrayFound():
            found = _at(state, event.host or state.host)
            return _with(found, incarnation=event.incarnation, leased=False, phase=Stopped(), since=event.at)
        case WatcherAdded():
            return _with(state, watchers=(*state.watchers, event.watcher))
        case WatcherRemoved():
            return _with(state, watchers=tuple(name for name in state.watchers if name != event.watcher))
        case _:
            assert_never(event)


def _with(state: ComponentState, **changes: Any) -> ComponentState:
    return state.model_copy(update=changes)


def _running(state: ComponentState) -> Running:
    if not isinstance(state.phase, Running):
        raise TypeError(f"expected a running component, got one that is {state.phase.kind}: the log is out of order")
    return state.phase


def _with_illness(state: ComponentState) -> ComponentState:
    """Fold whether the world holds it for ill: from the first sign until a process is ready, or nobody wants one."""
    ill = bool(state.sick) or (state.ill and not state.ready and state.wished_up)
    return state if ill == state.ill else _with(state, ill=ill)


def _gone_silent(state: ComponentState, host: str) -> ComponentState:
    return _with(state, silent=(*(name for name in state.silent if name != host), host))


def _heard_again(state: ComponentState, host: str) -> ComponentState:
    return _with(state, silent=tuple(name for name in state.silent if name != host))


def _at(state: ComponentState, host: str) -> ComponentState:
    """Move to a host; each one numbers its words by itself."""
    if host == state.host:
        return state
    return _with(state, host=host, unknown=host in state.silent, session=0, sequence=0)


def _configured(state: ComponentState, event: ComponentConfigured) -> ComponentState:
    now = _as_configured(state, event)
    # What lives stays where it is until it is stopped there; the next start goes where it now belongs.
    now = now if now.live else _at(now, now.host if now.host in now.placement else now.home)
    return _with(now, silent=tuple(name for name in now.silent if name in {*now.placement, now.host}))


def _as_configured(state: ComponentState, event: ComponentConfigured) -> ComponentState:
    # A change that needs a new process comes to the agent with the next incarnation; any other one now.
    tell = state.commanded_up and state.spec_hash == event.spec_hash
    return _with(
        state,
        spec=event.spec,
        spec_hash=event.spec_hash,
        group=event.group,
        home=event.host,
        budget_count=event.budget_count,
        budget_window_ms=event.budget_window_ms,
        revision=state.revision + tell,
        since=state.since or event.at,
        halted=False,
    )


def _removed(state: ComponentState, event: ComponentRemoved) -> ComponentState:
    return ComponentState(
        incarnation=state.incarnation,
        revision=state.revision,
        watchers=state.watchers,
        session=state.session,
        sequence=state.sequence,
        since=event.at,
        desired=Desired(),
    )


def _start_requested(state: ComponentState, event: ComponentStartRequested) -> ComponentState:
    return _with(
        _at(state, event.host or state.home),
        phase=Starting(),
        leased=event.leased,
        fencing=False,
        hold_ms=event.hold_ms,
        incarnation=event.incarnation,
        revision=state.revision + 1,
        restart_count=state.restart_count + event.healing,
        given_up="",
        halted=False,
        since=event.at,
    )


def _stop_requested(state: ComponentState, event: ComponentStopRequested) -> ComponentState:
    phase = state.phase
    pid = phase.pid if isinstance(phase, Running | Stopping) else None
    stopping = Stopping(attempt=state.attempt, pid=pid, requester=event.requester, kill=event.kill)
    since = state.since if isinstance(phase, Stopping) else event.at
    return _with(state, phase=stopping, revision=state.revision + 1, since=since)


def _started(state: ComponentState, event: ComponentStarted) -> ComponentState:
    before = state.phase
    same = isinstance(before, Running) and before.attempt == event.attempt
    ready = before.ready if same and isinstance(before, Running) else not _has_readiness(state.spec)
    phase = Running(
        attempt=event.attempt,
        pid=event.pid,
        start_ticks=event.start_ticks,
        boot_id=event.boot_id,
        ready=ready,
    )
    since = state.since if same else event.at
    heard = {"session": event.session, "sequence": event.sequence}
    # That it runs says that what had to be waited for was waited for.
    return _with(state, phase=phase, since=since, fences={}, **heard)


def _has_readiness(spec: ComponentSpec | None) -> bool:
    return spec is not None and (spec.probes.readiness is not None or spec.probes.startup is not None)


def _exited(state: ComponentState, event: ComponentExited) -> ComponentState:
    end = event.exit
    return _with(
        state,
        phase=_phase_after(state, event),
        since=end.at,
        exits=(*state.exits, end)[-EXITS_KEPT:],
        restart_count=state.restart_count + end.restarting,
        fencing=state.fencing and end.restarting,
        sick="",
        session=event.session,
        sequence=event.sequence,
    )


def _phase_after(state: ComponentState, event: ComponentExited) -> Phase:
    if event.exit.restarting:
        still_stopping = isinstance(state.phase, Stopping)
        return state.phase if still_stopping else Starting(attempt=event.exit.attempt + 1)
    return Stopped() if event.exit.expected else Exited()


def _probed(state: ComponentState, event: ProbeChanged) -> ComponentState:
    heard = {"session": event.session, "sequence": event.sequence}
    if event.probe != "readiness":
        return _with(state, sick="" if event.passed else event.message or f"{event.probe} probe failed", **heard)
    phase = _running(state).model_copy(update={"ready": event.passed})
    return _with(state, phase=phase, **heard)

"""What the host says about a component. Reports of another incarnation are recorded and change nothing."""

from typing import TypeAlias, assert_never

from ...core.behaviour import Context
from ...core.decision import Decision, Send, accept, timer
from ...schemas.component import Exit
from ...schemas.component_events import (
    CandidateReturned,
    CandidateWentSilent,
    ComponentBecameKnown,
    ComponentBecameUnknown,
    ComponentExited,
    ComponentMissed,
    ComponentStarted,
    ComponentStopRequested,
    LimitExceeded,
    ProbeChanged,
    StaleReportIgnored,
    StrayFound,
)
from ...schemas.component_reports import (
    STOPPED_HERE,
    ComponentCommand,
    ReportExit,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
)
from ...schemas.host import ReportDifference, ReportLeaseWithdrawn, ReportSilence
from ...schemas.member import RepeatHealthNotification, ResendCommand
from .evolve import ComponentEvent
from .fencing import fenced
from .settle import ILLNESS_REPEAT_MS, RESEND_MS, key, level, notification, settle, to_agent
from .state import ComponentState, Exited, Running, Starting, Stopped, Stopping

Report: TypeAlias = ReportStarted | ReportStartFailed | ReportExit | ReportProbe | ReportLimit
Watch: TypeAlias = ReportDifference | ReportSilence | ReportLeaseWithdrawn | ResendCommand | RepeatHealthNotification


def decide_report(  # noqa: PLR0911 - one arm a report
    state: ComponentState, report: Report, context: Context
) -> Decision[ComponentEvent]:
    """Decide about a fact of one incarnation."""
    if report.incarnation > state.incarnation:
        live = not isinstance(report, ReportExit | ReportStartFailed)
        return _stray(state, report.incarnation, report.host, context, live=live)
    if report.incarnation < state.incarnation or not state.live:
        return _ignore(state, report, context)
    match report:
        case ReportStarted():
            return settle(state, context, *_started(state, report, context))
        case ReportStartFailed() if report.newest_incarnation > state.incarnation:
            return _stray(state, report.newest_incarnation, report.host, context, live=True)
        case ReportStartFailed() | ReportExit():
            return settle(state, context, *_ended(state, report, context))
        case ReportProbe():
            return settle(state, context, *_probed(state, report, context))
        case ReportLimit():
            return settle(state, context, *_exceeded(state, report, context))
        case _:
            assert_never(report)


def decide_watch(state: ComponentState, message: Watch, context: Context) -> Decision[ComponentEvent]:
    """Decide about what the host's actor compares, and about the component's own timers."""
    match message:
        case ReportDifference():
            return _differs(state, message, context)
        case ReportSilence():
            return _silence(state, message, context)
        case ReportLeaseWithdrawn():
            return settle(state, context, *fenced(state, message, context))
        case ResendCommand():
            return _resend(state, message, context)
        case RepeatHealthNotification():
            return _repeat(state, message, context)
        case _:
            assert_never(message)


def _ignore(state: ComponentState, report: Report, context: Context) -> Decision[ComponentEvent]:
    """Record a report that comes too late; a repeated end of the last incarnation is no news at all."""
    end = state.last_exit
    repeated = isinstance(report, ReportExit | ReportStartFailed) and end is not None and report.attempt <= end.attempt
    if repeated and report.incarnation == state.incarnation:
        return accept()
    event = StaleReportIgnored(report=type(report).__name__, incarnation=report.incarnation, current=state.incarnation)
    return settle(state, context, event)


def _stray(
    state: ComponentState, incarnation: int, host: str, context: Context, *, live: bool
) -> Decision[ComponentEvent]:
    """Catch up with a host that knows newer incarnations than this log: an older log's, under the same name."""
    found = StrayFound(incarnation=incarnation, at=context.now, host=host)
    events: list[ComponentEvent] = [found]
    if state.live:
        why = f"the host has incarnation {incarnation}, newer than all of this log"
        end = Exit(incarnation=state.incarnation, at=context.now, cause="start_failed", counted=False, reason=why)
        events = [ComponentExited(exit=end, session=state.session, sequence=state.sequence), found]
    if live:
        events.append(_stop(incarnation, "not of this log", context))
    return settle(state, context, *events)


def _stop(incarnation: int, reason: str, context: Context) -> ComponentStopRequested:
    return ComponentStopRequested(incarnation=incarnation, reason=reason, requester="", kill=False, at=context.now)


def _started(state: ComponentState, report: ReportStarted, context: Context) -> tuple[ComponentEvent, ...]:
    phase = state.phase
    if isinstance(phase, Stopping) or report.attempt < state.attempt:
        return ()
    if isinstance(phase, Running) and report.attempt == phase.attempt and phase.pid == report.pid and not phase.missed:
        return ()
    event = ComponentStarted(
        incarnation=report.incarnation,
        attempt=report.attempt,
        pid=report.pid,
        start_ticks=report.start_ticks,
        boot_id=report.boot_id,
        session=report.session,
        sequence=report.sequence,
        at=context.now,
    )
    return (event,)


def _ended(
    state: ComponentState, report: ReportExit | ReportStartFailed, context: Context
) -> tuple[ComponentEvent, ...]:
    if report.attempt < state.attempt:
        return ()
    end = _exit(report, context) if isinstance(report, ReportExit) else _failure(report, context)
    if isinstance(state.phase, Stopping):
        end = end.model_copy(update={"expected": True})
    return (ComponentExited(exit=end, session=report.session, sequence=report.sequence),)


def _exit(report: ReportExit, context: Context) -> Exit:
    left = f"left behind: {', '.join(report.left)}" if report.left else ""
    return Exit(
        incarnation=report.incarnation,
        attempt=report.attempt,
        at=context.now,
        cause="unknown" if report.unknown else "exited",
        code=report.code,
        signal=report.signal,
        oom=report.oom,
        ran_ms=report.ran_ms,
        last_lines=report.last_output,
        expected=report.seen == STOPPED_HERE,
        counted=report.seen == "live",
        restarting=report.restarting,
        reason="; ".join(part for part in (report.why, left) if part),
    )


def _failure(report: ReportStartFailed, context: Context) -> Exit:
    return Exit(
        incarnation=report.incarnation,
        attempt=report.attempt,
        at=context.now,
        cause="start_failed",
        restarting=report.restarting,
        reason=report.reason,
    )


def _probed(state: ComponentState, report: ReportProbe, context: Context) -> tuple[ComponentEvent, ...]:
    known = state.ready if report.probe == "readiness" else not state.sick
    if not _is_news(state, report) or known == report.passed:
        return ()
    event = ProbeChanged(
        incarnation=report.incarnation,
        probe=report.probe,
        passed=report.passed,
        message=report.message,
        session=report.session,
        sequence=report.sequence,
        at=context.now,
    )
    return (event,)


def _exceeded(state: ComponentState, report: ReportLimit, context: Context) -> tuple[ComponentEvent, ...]:
    if not _is_news(state, report) or state.sick:
        return ()
    event = LimitExceeded(
        incarnation=report.incarnation,
        limit=report.limit,
        value=report.value,
        bound=report.bound,
        message=f"{report.limit} is {report.value:g}, more than {report.bound:g}",
        session=report.session,
        sequence=report.sequence,
        at=context.now,
    )
    return (event,)


def _is_news(state: ComponentState, report: ReportProbe | ReportLimit) -> bool:
    phase = state.phase
    same = isinstance(phase, Running) and phase.attempt == report.attempt
    return same and not state.heard_before(report.session, report.sequence)


def _differs(  # noqa: PLR0911 - one arm a phase
    state: ComponentState, report: ReportDifference, context: Context
) -> Decision[ComponentEvent]:
    if state.spec is None or report.host != state.host:
        return accept(send=_unwanted(state, report, context))
    if state.heard_before(report.session, report.sequence):
        return accept()
    if report.running > state.incarnation:
        return _stray(state, report.running, report.host, context, live=True)
    match state.phase:
        case Running() as running if report.running != state.incarnation:
            return _missing(state, running, report, context)
        case Stopped() | Exited() if report.running == state.incarnation:
            return settle(state, context, _stop(state.incarnation, "it should be down", context))
        case Running():
            return accept()
        case Starting() | Stopping() | Stopped() | Exited():
            return settle(state, context, command=True)


def _unwanted(state: ComponentState, report: ReportDifference, context: Context) -> list[Send]:
    """Command a process down that belongs to no component of this host."""
    if not report.running:
        return []
    command = ComponentCommand(
        component=key(context),
        incarnation=report.running,
        revision=state.revision,
        desired="down",
        spec_hash="",
        spec=None,
        reason="not of this fleet",
    )
    return [to_agent(report.host, command)]


def _missing(
    state: ComponentState, running: Running, report: ReportDifference, context: Context
) -> Decision[ComponentEvent]:
    """Ask once more, because the exit's own report (with the code) may be on its way; then believe the inventory."""
    rebooted = report.boot_id != running.boot_id
    if not rebooted and not running.missed:
        missed = ComponentMissed(
            incarnation=state.incarnation, session=report.session, sequence=report.sequence, at=context.now
        )
        return settle(state, context, missed, command=True)
    end = Exit(
        incarnation=state.incarnation,
        attempt=running.attempt,
        at=context.now,
        cause="unknown",
        counted=not rebooted,
        reason="the machine was started anew" if rebooted else "the host does not have it any more",
    )
    return settle(state, context, ComponentExited(exit=end, session=report.session, sequence=report.sequence))


def _silence(state: ComponentState, report: ReportSilence, context: Context) -> Decision[ComponentEvent]:
    concerned = state.spec is not None and report.host in {*state.placement, state.host}
    if not concerned or report.silent == (report.host in state.silent):
        return accept()
    if report.host != state.host:
        change = CandidateWentSilent if report.silent else CandidateReturned
        return settle(state, context, change(host=report.host, at=context.now))
    if report.silent:
        return settle(state, context, ComponentBecameUnknown(at=context.now))
    waits = isinstance(state.phase, Starting | Stopping)
    return settle(state, context, ComponentBecameKnown(at=context.now), command=waits)


def _resend(state: ComponentState, message: ResendCommand, context: Context) -> Decision[ComponentEvent]:
    waits = isinstance(state.phase, Starting | Stopping) and state.incarnation == message.incarnation
    if not waits:
        return accept()
    again = [] if state.unknown else [to_agent(state.host, level(state, key(context)))]
    return accept(send=again, timers=[timer("answer", RESEND_MS, message)])


def _repeat(state: ComponentState, message: RepeatHealthNotification, context: Context) -> Decision[ComponentEvent]:
    if not state.sick or state.incarnation != message.incarnation:
        return accept()
    heal = state.wished_up and not state.paused and not state.given_up and not state.unknown
    again = [notification(state, key(context), "Critical", state.sick)] if heal else []
    return accept(send=again, timers=[timer("illness", ILLNESS_REPEAT_MS, message)])

"""From what the host knows to what the component's actor is told."""

from typing import Any, NamedTuple

from ...schemas import Message, derived_id
from ...schemas.component_reports import (
    STOPPED_HERE,
    ComponentCommand,
    ReportExit,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
)
from ..host.facts import (
    BecameReady,
    BecameUnready,
    Exited,
    Fact,
    LimitExceeded,
    LivenessFailed,
    Started,
    StartFailed,
    StartupFailed,
)
from ..host.inventory import ComponentState


class Stamp(NamedTuple):
    """Who says it, and in which order."""

    host: str
    session: int
    sequence: int


def report_id(fact: Fact) -> str:
    """Return the id of a fact's report: an end is told once for ever, a start once by each agent that sees it."""
    return derived_id(fact.id, str(fact.session)) if isinstance(fact, Started) else fact.id


def was_commanded(fact: Fact) -> bool:
    """Tell whether the newest command brought the fact about."""
    if isinstance(fact, Exited):
        return fact.expected
    return isinstance(fact, Started | StartFailed | BecameReady) and fact.attempt == 0


def report(fact: Fact) -> Message[Any]:  # noqa: PLR0911 - one arm a fact
    """Return the message that tells a fact to its component."""
    about = {name: getattr(fact, name) for name in ("host", "incarnation", "attempt", "session", "sequence")}
    match fact:
        case Started():
            return ReportStarted(**about, boot_id=fact.boot_id, pid=fact.pid, start_ticks=fact.start_ticks)
        case StartFailed():
            return ReportStartFailed(**about, reason=fact.reason, restarting=fact.restarting)
        case Exited():
            return _exit(about, fact)
        case BecameReady():
            return ReportProbe(**about, probe="readiness", passed=True)
        case BecameUnready():
            return ReportProbe(**about, probe="readiness", passed=False, message=fact.reason)
        case LivenessFailed():
            return ReportProbe(**about, probe="liveness", passed=False, message=fact.reason)
        case StartupFailed():
            return ReportProbe(**about, probe="startup", passed=False, message=fact.reason)
        case LimitExceeded():
            return ReportLimit(**about, limit=fact.what, value=fact.value, bound=fact.limit)
        case _:
            raise TypeError(f"expected a fact of actors/host/facts.py, got {type(fact).__name__}")


def _exit(about: dict[str, Any], fact: Exited) -> ReportExit:
    same = ("code", "signal", "unknown", "oom", "restarting", "why", "ran_ms", "last_output", "left")
    stopped = fact.expected and (fact.seen == "live" or fact.fenced)
    seen = STOPPED_HERE if stopped else fact.seen
    return ReportExit(**about, **{name: getattr(fact, name) for name in same}, seen=seen)


def answers(command: ComponentCommand, state: ComponentState | None, stamp: Stamp) -> tuple[Message[Any], ...]:
    """Return the newest facts of a command's incarnation, told again; none while the next one is on its way anyway."""
    about: dict[str, Any] = {"incarnation": command.incarnation, **stamp._asdict()}
    if state is not None and state.running_incarnation == command.incarnation:
        return _again(command, state, about)
    if command.desired == "down":
        return (ReportExit(**about, unknown=True),)
    if state is not None and command.incarnation < state.incarnation:
        reason = f"the host has seen incarnation {state.incarnation}, got a command for {command.incarnation}"
        return (ReportStartFailed(**about, reason=reason, newest_incarnation=state.incarnation),)
    return ()


def _again(command: ComponentCommand, state: ComponentState, about: dict[str, Any]) -> tuple[Message[Any], ...]:
    about = {**about, "attempt": state.attempt}
    if state.phase == "running" and command.desired == "up":
        identity = {"boot_id": state.boot_id, "pid": state.pid, "start_ticks": state.start_ticks}
        # Not being ready is told by the probe itself, once it is sure.
        ready = (ReportProbe(**about, probe="readiness", passed=True),) if state.ready else ()
        return (ReportStarted(**about, **identity), *ready)
    if state.phase == "start_failed":
        return (ReportStartFailed(**about, reason=state.reason),)
    return (_exit_again(state, about),) if state.phase == "exited" else ()


def _exit_again(state: ComponentState, about: dict[str, Any]) -> ReportExit:
    same = ("code", "signal", "unknown", "oom", "why", "last_output")
    ran_ms = max(0, state.ended_at - state.started_at) // 1000
    stopped = state.expected and (state.seen == "live" or state.fenced)
    seen = STOPPED_HERE if stopped else state.seen
    return ReportExit(**about, **{name: getattr(state, name) for name in same}, ran_ms=ran_ms, seen=seen)


def live(state: ComponentState) -> int | None:
    """Return the incarnation that has, or is about to have, a process here; None if there is none."""
    if state.phase in {"starting", "running", "stopping", "restarting"}:
        return state.running_incarnation
    never_begun = state.desired == "up" and state.running_incarnation != state.incarnation
    return state.incarnation if never_begun else None

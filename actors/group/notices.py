"""What the runtime supervisor hears of a group's restarts: how they begin, and exactly one outcome for each."""

from ...schemas.component import Exit
from ...schemas.group import Member, Plan
from ...schemas.recovery import RecoveryNotification
from .draft import Draft
from .state import finished


def in_words(end: Exit) -> str:
    """Say how an incarnation ended."""
    if end.cause == "start_failed":
        return f"could not be started: {end.reason}"
    if end.cause == "unknown":
        return end.reason or "ended, nobody saw how"
    how = f"killed by {end.signal}" if end.signal else f"exited with code {end.code}"
    return f"{how} (out of memory)" if end.oom else how


def announce(draft: Draft, member: Member, stage: str, decision: str, cause: str, outcome: str = "") -> None:
    """Tell of a failure that leads to no plan (hold, give up)."""
    recovery = f"{draft.group}/{member.spec.id}/{member.incarnation}.{member.attempt}"
    _notify(draft, recovery, member, stage, decision, cause, outcome, 0)


def announce_plan(draft: Draft, plan: Plan, stage: str, outcome: str = "") -> None:
    """Tell of a restart that the group decided on by itself."""
    member = draft.state.member(plan.trigger)
    if plan.own and member is not None:
        lasted = (draft.context.now - plan.begun_at).total_seconds() * 1_000
        _notify(draft, f"{draft.group}/{plan.id}", member, stage, "restart", plan.reason, outcome, round(lasted))


def conclude(draft: Draft, plan: Plan) -> None:
    """End a plan that is through, and say how."""
    member = draft.state.member(plan.trigger)
    draft.end(plan, "done")
    if member is not None and (member.ready or finished(member)):
        _finish(draft, plan, "healed", plan.reason)
    else:
        _finish(draft, plan, "ignored", _why_not(member))


def _why_not(member: Member | None) -> str:
    if member is None or member.leaving:
        return "component not found"
    return "paused: it ended again" if member.held else "desired down"


def drop(draft: Draft, plan: Plan, outcome: str, reason: str) -> None:
    """End a plan that is not wanted any more, and say why."""
    draft.end(plan, "dropped")
    _finish(draft, plan, outcome, reason)


def _finish(draft: Draft, plan: Plan, outcome: str, reason: str) -> None:
    announce_plan(draft, plan, "completed", outcome)
    draft.settle_requesters(plan.requesters, outcome, reason)


def _notify(
    draft: Draft, recovery: str, member: Member, stage: str, decision: str, cause: str, outcome: str, duration_ms: int
) -> None:
    spec = draft.state.spec
    draft.tell_runtime(
        RecoveryNotification(
            recovery_id=recovery,
            component_id=member.spec.id,
            group=draft.group,
            incarnation=member.incarnation,
            stage=stage,
            decision=decision,
            strategy=spec.strategy if spec else "one_for_one",
            cause=cause,
            outcome=outcome,
            duration_ms=duration_ms,
        )
    )

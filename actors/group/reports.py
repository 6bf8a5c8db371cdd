"""Members, and components that members depend on, say how they are."""

from ...schemas.group import Member, MemberStable
from ...schemas.group_events import DependencyChanged, MemberChanged, MemberStabilised
from ...schemas.member import MemberReported
from .advance import pursue
from .draft import Draft
from .failure import judge_exit, judge_resume


def hear(draft: Draft, report: MemberReported) -> None:
    """Fold a report that is news, and judge what it tells."""
    member = draft.state.member(report.component)
    if member is not None:
        _hear_member(draft, member, report)
    known = draft.state.dependency(report.component)
    if known is None:
        return
    event = DependencyChanged(
        component=report.component, phase=report.phase, ready=report.ready, completed=report.completed
    )
    if event.model_dump() != known.model_dump():
        draft.record(event)


def stable(draft: Draft, message: MemberStable) -> None:
    """Forget a member's failures: it has been healthy for long enough."""
    member = draft.state.member(message.component)
    if member is not None and member.failures and member.ready and member.incarnation == message.incarnation:
        draft.record(MemberStabilised(component=message.component, incarnation=message.incarnation))


def _hear_member(draft: Draft, before: Member, report: MemberReported) -> None:
    name = report.component
    if report.group not in ("", draft.group):
        # Another group has taken it over before this one was told to let go.
        report = report.model_copy(update={"phase": "removed"})
    event = MemberChanged(**report.model_dump(exclude={"group", "exit"}), exit=report.exit)
    if not _is_news(before, event):
        return
    draft.record(event)
    if report.exit is not None and _is_later(before, report):
        judge_exit(draft, name, report.exit)
    if before.paused and not report.paused:
        judge_resume(draft, name)
    if before.leaving and report.phase not in {before.phase, "removed"}:
        pursue(draft, name)
    _time_health(draft, before, name)


def _is_news(before: Member, event: MemberChanged) -> bool:
    fields = event.model_dump(exclude={"component"})
    return fields != before.model_dump(include=set(fields))


def _is_later(before: Member, report: MemberReported) -> bool:
    """Whether the report tells of an end that is not known yet."""
    end, known = report.exit, before.exit
    return end is not None and (known is None or (end.incarnation, end.attempt) > (known.incarnation, known.attempt))


def _time_health(draft: Draft, before: Member, name: str) -> None:
    """Set or cancel the timer after which a member counts as healthy again."""
    member = draft.state.member(name)
    if member is None:
        return
    same = before.ready and member.ready and before.incarnation == member.incarnation
    if member.ready and member.failures and not same:
        stable_ms = member.spec.backoff.stable_ms
        draft.set_timer(f"stable:{name}", stable_ms, MemberStable(component=name, incarnation=member.incarnation))
    elif before.ready and not member.ready and before.failures:
        draft.cancel_timer(f"stable:{name}")

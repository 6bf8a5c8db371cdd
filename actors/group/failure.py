"""A member failed: restart by the strategy, hold, leave it, or give up. Nobody else decides that."""

from ...schemas.component import Exit
from ...schemas.group import Member, Requester
from ...schemas.group_events import GroupGaveUp, MemberHeld, RestartCounted
from ...schemas.member import GiveUpMember
from .backoff import delay_ms, failed_starts_max
from .draft import Draft
from .notices import announce, announce_plan, drop, in_words
from .plans import begin_restart, begin_stop_all
from .state import GroupState, finished, wanted


def judge_exit(draft: Draft, component: str, end: Exit) -> None:
    """Decide about an exit that is news."""
    member = draft.state.member(component)
    if member is None or end.expected or draft.state.halted or draft.state.given_up or not wanted(member):
        return
    if end.restarting:
        _count_only(draft, member, end)
    elif _is_expected(draft.state, component, end.incarnation) or finished(member):
        return
    elif member.paused:
        draft.record(MemberHeld(component=component, incarnation=end.incarnation))
        announce(draft, member, "completed", "hold", in_words(end), "ignored")
    else:
        fail(draft, member, in_words(end), counted=end.counted)


def judge_resume(draft: Draft, component: str) -> None:
    """Heal what died while it was paused."""
    member = draft.state.member(component)
    if member is None or not member.held or member.exit is None or not _heals(draft.state, member):
        return
    fail(draft, member, in_words(member.exit), counted=member.exit.counted)


def fail(draft: Draft, member: Member, reason: str, *, counted: bool, requester: Requester | None = None) -> None:
    """Restart because of this member, or give up if that is once too often."""
    requesters = () if requester is None else (requester,)
    if counted and _count(draft, member):
        draft.settle_requesters(requesters, "given_up", draft.state.given_up)
        return
    member = _newest(draft, member)
    # Uncounted ones wait too: what was found dead when a session begins may not be in its file any more.
    delay = delay_ms(member.spec.backoff, member.failures, member.spec.id, member.incarnation)
    begin_restart(draft, member, reason, delay, requesters, own=requester is None)
    announce_plan(draft, draft.state.plans[-1], "initiated")


def _heals(state: GroupState, member: Member) -> bool:
    return wanted(member) and not state.halted and not state.given_up


def _newest(draft: Draft, member: Member) -> Member:
    return draft.state.member(member.spec.id) or member


def _is_expected(state: GroupState, component: str, incarnation: int) -> bool:
    return any(plan.expected.get(component) == incarnation for plan in state.plans)


def _count_only(draft: Draft, member: Member, end: Exit) -> None:
    """Count a restart that the host did by itself while the log was away."""
    if end.counted:
        _count(draft, member)


def _count(draft: Draft, member: Member) -> bool:
    """Count a restart; True if it was one too many and the group gave up."""
    now = draft.context.now
    draft.record(RestartCounted(component=member.spec.id, incarnation=member.incarnation, at=now))
    reason = _excess(draft.state, _newest(draft, member))
    if reason:
        _give_up(draft, member, reason)
    return bool(reason)


def _excess(state: GroupState, member: Member) -> str:
    spec = state.spec
    if spec is None:
        return ""
    if len(state.restarts) > spec.max_restarts:
        return f"{len(state.restarts)} restarts within {spec.max_seconds} s, more than {spec.max_restarts}"
    most = failed_starts_max(spec)
    if member.failures > most:
        stable = member.spec.backoff.stable_ms
        return f"{member.failures} starts in a row without {stable} ms of health, more than {most}"
    return ""


def _give_up(draft: Draft, member: Member, reason: str) -> None:
    """Stop everything that lives, in reverse order, and say so loudly: event, hooks, runtime supervisor."""
    name = member.spec.id
    draft.record(GroupGaveUp(component=name, incarnation=member.incarnation, reason=reason, at=draft.context.now))
    for plan in draft.state.plans:
        if plan.kind != "remove":
            drop(draft, plan, "given_up", reason)
    for other in draft.state.members:
        if wanted(other) and not finished(other) and not other.retired:
            told = reason if other.spec.id == name else f"{name}: {reason}"
            draft.tell(other.spec.id, GiveUpMember(group=draft.group, reason=told))
    announce(draft, member, "completed", "give_up", reason, "given_up")
    begin_stop_all(draft, member, reason)

"""The plans that a group can make; who is in them and in which order is OTP's."""

from collections.abc import Iterable, Sequence

from ...schemas.group import Member, Plan, Requester, Step
from ...schemas.group_events import GroupRestarting, GroupStarting
from .draft import Draft
from .notices import announce_plan
from .state import GroupState, finished, involved, live, steps_left, wanted


def begin_start(draft: Draft, member: Member) -> None:
    """Plan to run a member as soon as its conditions are met."""
    steps = (_start(member), Step(action="ready", component=member.spec.id))
    _begin(draft, "start", member, "wished up", steps)


def begin_replace(draft: Draft, member: Member, reason: str) -> None:
    """Plan to run a newer incarnation of one member, alone and uncounted; takes the place of its own plan, if any."""
    name = member.spec.id
    before = [plan for plan in draft.state.plans if plan.kind != "remove" and name in involved(plan)]
    requesters = _supersede(draft, before)
    stops = _stops([member])
    steps = (*stops, _start(member), Step(action="ready", component=name))
    _begin(draft, "replace", member, reason, steps, requesters)


def begin_restart(
    draft: Draft, trigger: Member, reason: str, delay_ms: int, requesters: Sequence[Requester], *, own: bool
) -> None:
    """Plan the restart that the group's strategy asks for: stop in reverse order, wait, start in order.

    Plans that share a component with it end, and what they had still to start is started by this one.
    """
    scope = _scope(draft.state, trigger)
    names = {member.spec.id for member in scope}
    before = [plan for plan in draft.state.plans if plan.kind != "remove" and names & involved(plan)]
    owed = {step.component for plan in before for step in steps_left(plan) if step.action == "start"}
    carried = _supersede(draft, before)
    starts = tuple(
        _start(member)
        for member in draft.state.members
        if member.spec.id == trigger.spec.id or _comes_back(member, names, owed)
    )
    delay = (Step(action="wait", component=trigger.spec.id, delay_ms=delay_ms),) if delay_ms else ()
    steps = (*_stops(scope), *delay, *starts, Step(action="ready", component=trigger.spec.id))
    _begin(draft, "restart", trigger, reason, steps, (*carried, *requesters), own=own)


def begin_stop_all(draft: Draft, trigger: Member, reason: str) -> None:
    """Plan to stop every member that lives, in reverse order; paused ones are left alone."""
    steps = _stops([member for member in draft.state.members if not member.paused])
    if steps:
        _begin(draft, "give_up", trigger, reason, steps)


def begin_remove(draft: Draft, leaving: Sequence[Member]) -> None:
    """Plan to stop members, in reverse order, and to forget them."""
    stops = tuple(_stop(member) for member in reversed(leaving))
    removes = tuple(Step(action="remove", component=member.spec.id) for member in leaving)
    _begin(draft, "remove", leaving[0], "not in the fleet any more", (*stops, *removes))


def split_off(draft: Draft, member: Member) -> None:
    """Let a member whose conditions are not met wait on its own, so that the others of its plan need not."""
    _begin(draft, "start", member, "waits for its conditions", (_start(member),))


def _begin(
    draft: Draft,
    kind: str,
    trigger: Member,
    reason: str,
    steps: tuple[Step, ...],
    requesters: tuple[Requester, ...] = (),
    *,
    own: bool = False,
) -> None:
    plan = Plan(
        id=draft.state.next_plan,
        kind=kind,
        trigger=trigger.spec.id,
        incarnation=trigger.incarnation,
        reason=reason,
        steps=steps,
        expected={step.component: step.incarnation for step in steps if step.action == "stop"},
        requesters=requesters,
        own=own,
        begun_at=draft.context.now,
    )
    draft.record(GroupRestarting(plan=plan) if kind == "restart" else GroupStarting(plan=plan))


def _scope(state: GroupState, trigger: Member) -> list[Member]:
    """Return whom the strategy concerns, in start order: the trigger, and others that are neither paused nor leaving."""
    strategy = state.spec.strategy if state.spec else "one_for_one"
    members = list(state.members)
    if strategy == "one_for_one":
        members = [trigger]
    elif strategy == "rest_for_one":
        members = members[[member.spec.id for member in members].index(trigger.spec.id) :]
    others = (member for member in members if not member.leaving)
    return [member for member in others if member.spec.id == trigger.spec.id or not member.paused]


def _comes_back(member: Member, names: Iterable[str], owed: Iterable[str]) -> bool:
    """Whether a restart that the member did not cause starts it again."""
    name = member.spec.id
    if not wanted(member) or finished(member) or member.retired:
        return False
    if name in owed:
        return True
    return name in names and live(member) and member.spec.restart != "temporary"


def _supersede(draft: Draft, plans: Sequence[Plan]) -> tuple[Requester, ...]:
    """End plans in favour of the one that comes now; those who wait for their outcome wait for its."""
    for plan in plans:
        draft.end(plan, "superseded")
        announce_plan(draft, plan, "completed", "superseded")
    return tuple(requester for plan in plans for requester in plan.requesters)


def _stops(members: Sequence[Member]) -> tuple[Step, ...]:
    return tuple(_stop(member) for member in reversed(members) if live(member))


def _stop(member: Member) -> Step:
    return Step(action="stop", component=member.spec.id, incarnation=member.incarnation)


def _start(member: Member) -> Step:
    return Step(action="start", component=member.spec.id, incarnation=member.incarnation)

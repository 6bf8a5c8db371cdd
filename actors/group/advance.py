"""Carrying plans out: one acknowledged step at a time, from whatever the members reported last.

Commands are levels and idempotent. What was commanded is folded (`asked`), so whoever restores the group goes on at the
cursor; what nobody acknowledges is said again by a timer.
"""

from ...schemas.group import Member, Plan, Step
from ...schemas.group_events import PlanAdvanced
from ...schemas.member import RemoveComponent, StartMember, StopMember
from .draft import Draft
from .notices import conclude
from .plans import begin_start, begin_stop_all, split_off
from .state import DOWN, GroupState, conditions_missing, finished, live, wanted


def advance(draft: Draft) -> None:
    """Take every step that can be taken, and plan what is wished up and in nobody's plan."""
    while any(_step(draft, plan.id) for plan in draft.state.plans) or _plan_level(draft):
        pass


def resend(draft: Draft) -> None:
    """Say again what was commanded and is not acknowledged."""
    draft.say_again_later()
    for plan in draft.state.plans:
        if plan.asked and plan.cursor < len(plan.steps):
            _command(draft, plan, plan.steps[plan.cursor])


def pursue(draft: Draft, component: str) -> None:
    """Go on at once with removing a member of which the start was in the mail: the removal was said too early for it."""
    for plan in draft.state.plans:
        if plan.asked and plan.cursor < len(plan.steps):
            step = plan.steps[plan.cursor]
            if step.action == "remove" and step.component == component:
                _command(draft, plan, step)


def elapsed(draft: Draft, number: int) -> None:
    """Acknowledge a plan's `wait`."""
    plan = draft.state.plan(number)
    if plan is not None and plan.asked and plan.steps[plan.cursor].action == "wait":
        _pass(draft, plan)


def _step(draft: Draft, number: int) -> bool:
    """Take one step of one plan, if it can be taken."""
    plan = draft.state.plan(number)
    if plan is None:
        return False
    if plan.cursor == len(plan.steps):
        conclude(draft, plan)
        return True
    step = plan.steps[plan.cursor]
    if _acknowledged(draft.state, plan, step):
        _pass(draft, plan)
        return True
    return not plan.asked and _ask(draft, plan, step)


def _pass(draft: Draft, plan: Plan) -> None:
    draft.record(PlanAdvanced(plan=plan.id, cursor=plan.cursor + 1, asked=False))


def _acknowledged(state: GroupState, plan: Plan, step: Step) -> bool:
    """Whether the step is done, or has no purpose any more."""
    member = state.member(step.component)
    if member is None:
        return True
    match step.action:
        case "stop":
            stays = plan.kind == "remove" and not member.leaving
            return stays or (member.phase != "unknown" and (not live(member) or _is_newer(plan, member, step)))
        case "remove":
            return member.phase == "removed" or not member.leaving
        case "start":
            ended_well = plan.kind == "restart" and finished(member)
            came_up = member.incarnation > step.incarnation and member.phase != "starting"
            return came_up or ended_well or member.held or not wanted(member)
        case "ready":
            is_ready = member.phase == "running" and member.ready
            return is_ready or member.held or finished(member) or not wanted(member)
        case _:
            # Nobody needs to wait for the restart of something that is not wished up.
            return not wanted(member) and len(plan.steps) <= plan.cursor + _TAIL


_TAIL = 3
"""A wait, the trigger's start and its readiness: the end of a plan that concerns one component."""


def _is_newer(plan: Plan, member: Member, step: Step) -> bool:
    return plan.kind in ("restart", "replace") and member.incarnation > step.incarnation


def _ask(draft: Draft, plan: Plan, step: Step) -> bool:
    """Command the step at the cursor if it can be commanded now; True if something changed."""
    member = draft.state.member(step.component)
    if step.action == "ready" or member is None:
        return False
    if step.action == "start":
        return _ask_start(draft, plan, step, member)
    draft.ask(plan, step)
    _command(draft, plan, step)
    return True


def _ask_start(draft: Draft, plan: Plan, step: Step, member: Member) -> bool:
    if member.phase not in DOWN:
        return False
    if conditions_missing(draft.state, member):
        if not any(later.action == "start" for later in plan.steps[plan.cursor + 1 :]):
            return False
        _pass(draft, plan)
        split_off(draft, member)
        return True
    draft.ask(plan, step)
    _command(draft, plan, step)
    return True


def _command(draft: Draft, plan: Plan, step: Step) -> None:
    group = draft.group
    match step.action:
        case "stop":
            wholly = plan.kind in ("remove", "give_up")
            stop = StopMember(incarnation=None if wholly else step.incarnation, reason=plan.reason)
            draft.tell(step.component, stop)
        case "remove":
            member = draft.state.member(step.component)
            alive = member is not None and live(member)
            draft.tell(
                step.component,
                StopMember(incarnation=None, reason=plan.reason) if alive else RemoveComponent(group=group),
            )
        case "start":
            healing = plan.kind == "restart"
            start = StartMember(group=group, after=step.incarnation, reason=plan.reason, healing=healing)
            draft.tell(step.component, start)
        case _:
            pass


def _plan_level(draft: Draft) -> bool:
    """Plan a start for a member that is wished up, down, and in no plan; after a giving up, a stop for what lives."""
    state = draft.state
    if state.halted:
        return False
    if state.given_up:
        alive = (m for m in state.members if live(m) and not m.paused and m.phase != "stopping" and not m.leaving)
        stray = next((member for member in alive if state.plan_of(member.spec.id) is None), None)
        if stray is not None:
            begin_stop_all(draft, stray, state.given_up)
        return stray is not None
    idle = next((member for member in state.members if _is_idle(state, member)), None)
    if idle is not None:
        begin_start(draft, idle)
    return idle is not None


def _is_idle(state: GroupState, member: Member) -> bool:
    stays_down = member.held or member.retired or finished(member)
    return wanted(member) and member.phase in DOWN and not stays_down and state.plan_of(member.spec.id) is None

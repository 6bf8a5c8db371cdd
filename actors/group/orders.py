"""What a group is asked to do by operators and by the runtime supervisor."""

from ...schemas.group import Member, Requester, ResetGroup, RestartMember
from ...schemas.group_events import GroupReset
from ...schemas.member import ResetMember
from ...schemas.recovery import RecoverComponent
from .draft import Draft
from .failure import fail
from .plans import begin_replace
from .state import GroupState, live, pending


def restart_member(draft: Draft, order: RestartMember) -> None:
    """Bring up a newer incarnation than the operator saw, unless that is being done already."""
    state = draft.state
    member = state.member(order.component)
    if member is None or member.leaving or state.halted or state.given_up or member.incarnation > order.incarnation:
        return
    plan = state.plan_of(order.component)
    if plan is not None and len(pending(plan)) > 1:
        return
    by = f" by {order.who}" if order.who else ""
    begin_replace(draft, member, order.why or f"restarted{by}")


def reset_group(draft: Draft, order: ResetGroup) -> None:
    """Forget the giving up and the counts; what is wished up is started by what follows."""
    if draft.state.spec is None:
        return
    draft.record(GroupReset(component=order.component, who=order.who, why=order.why))
    for plan in draft.state.plans:
        if plan.kind == "give_up":
            draft.end(plan, "dropped")
    for member in draft.state.members:
        if member.spec.id != order.component:
            draft.tell(member.spec.id, ResetMember(group=draft.group, who=order.who, why=order.why))


def recover(draft: Draft, order: RecoverComponent) -> None:
    """Restart a member that lives but is ill: counted, by the strategy."""
    member = draft.state.member(order.component)
    requester = Requester(component=order.component, task_id=order.task_id)
    if draft.state.given_up and member is not None:
        draft.settle_requesters([requester], "given_up", draft.state.given_up)
        return
    against = "component not found" if member is None else _against(draft.state, member, order)
    if against or member is None:
        draft.settle_requesters([requester], "ignored", against)
        return
    fail(draft, member, order.reason, counted=True, requester=requester)


def _against(state: GroupState, member: Member, order: RecoverComponent) -> str:  # noqa: PLR0911 - a reason a line
    """Return why the member is not to be recovered, or nothing."""
    if member.leaving:
        return "component not found: it is being removed"
    if state.halted:
        return "halted: the fleet is stopped"
    if not member.desired_up:
        return "desired down"
    if member.paused:
        return "paused"
    if order.incarnation is not None and order.incarnation != member.incarnation:
        return f"stale incarnation: {order.incarnation} is not {member.incarnation}"
    if state.plan_of(order.component) is not None:
        return "already recovering"
    if member.spec.restart == "temporary":
        return "temporary components are never restarted"
    return "" if live(member) else "finished: nothing runs that could be recovered"

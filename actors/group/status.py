"""A group in words."""

from ...schemas.fleet import GroupSpec
from ...schemas.group import GroupStatus, Member, MemberStatus
from .state import GroupState, conditions_missing


def status(state: GroupState, spec: GroupSpec) -> GroupStatus:
    """Return the answer to `DescribeGroup`."""
    return GroupStatus(
        id=spec.id,
        strategy=spec.strategy,
        max_restarts=spec.max_restarts,
        max_seconds=spec.max_seconds,
        given_up=state.given_up,
        halted=state.halted,
        restarts=state.restarts,
        members=tuple(
            MemberStatus(
                id=member.spec.id,
                phase=member.phase,
                incarnation=member.incarnation,
                failures=member.failures,
                activity=activity(state, member),
            )
            for member in state.members
        ),
    )


def activity(state: GroupState, member: Member) -> str:
    """Say what the group does with the member: `restart: wait 400 ms`, `start: waits for cache: ready`, or nothing."""
    if member.held:
        return "held: paused"
    plan = state.plan_of(member.spec.id)
    if plan is None:
        return ""
    step = plan.steps[plan.cursor]
    if step.action == "wait":
        return f"{plan.kind}: wait {step.delay_ms} ms"
    missing = conditions_missing(state, member) if step.action == "start" else ()
    if missing and step.component == member.spec.id:
        return f"{plan.kind}: waits for {', '.join(missing)}"
    return f"{plan.kind}: {step.action} {step.component}"

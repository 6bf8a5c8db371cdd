"""The fold of a group's events."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias, assert_never

from ...schemas.fleet import GroupSpec
from ...schemas.group import Dependency, Member, Plan
from ...schemas.group_events import (
    DependencyChanged,
    GroupConfigured,
    GroupGaveUp,
    GroupHalted,
    GroupRemoved,
    GroupReset,
    GroupRestarting,
    GroupResumed,
    GroupStarting,
    MemberChanged,
    MemberHeld,
    MemberStabilised,
    PlanAdvanced,
    PlanEnded,
    RestartCounted,
)
from .state import GroupState

GroupEvent: TypeAlias = (
    GroupConfigured
    | GroupHalted
    | GroupResumed
    | GroupRemoved
    | MemberChanged
    | DependencyChanged
    | MemberHeld
    | MemberStabilised
    | RestartCounted
    | GroupStarting
    | GroupRestarting
    | PlanAdvanced
    | PlanEnded
    | GroupGaveUp
    | GroupReset
)


def evolve(state: GroupState, event: GroupEvent) -> GroupState:  # noqa: C901, PLR0911, PLR0912 - one arm an event
    """Fold one event; an event that cannot follow the state is a bug and raises."""
    match event:
        case GroupConfigured():
            return _configured(state, event)
        case GroupHalted():
            return _with(state, halted=True)
        case GroupResumed():
            return _with(_forgiven(state), halted=False)
        case GroupRemoved():
            return GroupState(next_plan=state.next_plan)
        case MemberChanged():
            return _with_member(
                state, event.component, **event.model_dump(exclude={"component", "exit"}), exit=event.exit
            )
        case DependencyChanged():
            return _with_dependency(state, Dependency(**event.model_dump()))
        case MemberHeld():
            return _with_member(state, event.component, held=True)
        case MemberStabilised():
            return _with_member(state, event.component, failures=0)
        case RestartCounted():
            return _counted(state, event)
        case GroupStarting() | GroupRestarting():
            return _begun(state, event.plan)
        case PlanAdvanced():
            return _advanced(state, event)
        case PlanEnded():
            return _with(state, plans=tuple(plan for plan in state.plans if plan.id != event.plan))
        case GroupGaveUp():
            return _with(state, given_up=event.reason)
        case GroupReset():
            return _forgiven(state)
        case _:
            assert_never(event)


def in_window(restarts: tuple[datetime, ...], now: datetime, spec: GroupSpec) -> tuple[datetime, ...]:
    """Return the restarts that still count at `now`, the one at the window's very edge included (as in OTP)."""
    edge = now - timedelta(seconds=spec.max_seconds)
    return tuple(at for at in restarts if at >= edge)


def _with(state: GroupState, **changes: Any) -> GroupState:
    return state.model_copy(update=changes)


def _with_member(state: GroupState, component: str, **changes: Any) -> GroupState:
    return _with(
        state,
        members=tuple(
            member.model_copy(update=changes) if member.spec.id == component else member for member in state.members
        ),
    )


def _with_dependency(state: GroupState, now: Dependency) -> GroupState:
    known = state.dependencies
    return _with(state, dependencies=tuple(now if each.component == now.component else each for each in known))


def _configured(state: GroupState, event: GroupConfigured) -> GroupState:
    known = {member.spec.id: member for member in state.members}
    stay = {spec.id for spec in event.members}
    members = tuple(
        known[spec.id].model_copy(update={"spec": spec, "leaving": False}) if spec.id in known else Member(spec=spec)
        for spec in event.members
    )
    gone = (member for name, member in known.items() if name not in stay and name not in event.released)
    leaving = tuple(member.model_copy(update={"leaving": True}) for member in gone)
    elsewhere = {name: None for spec in event.members for name in spec.depends_on if name not in stay}
    dependencies = tuple(state.dependency(name) or Dependency(component=name) for name in elsewhere)
    return _with(
        state,
        fleet=event.fleet,
        host=event.host,
        spec=event.spec,
        members=(*members, *leaving),
        dependencies=dependencies,
    )


def _forgiven(state: GroupState) -> GroupState:
    fresh = {"failures": 0, "retired": False}
    members = tuple(member.model_copy(update=fresh) for member in state.members)
    return _with(state, given_up="", restarts=(), members=members)


def _counted(state: GroupState, event: RestartCounted) -> GroupState:
    if state.spec is None:
        raise TypeError("expected a configured group to count a restart: the log is out of order")
    member = state.member(event.component)
    failed = _with_member(state, event.component, failures=member.failures + 1 if member else 0)
    return _with(failed, restarts=(*in_window(state.restarts, event.at, state.spec), event.at))


def _begun(state: GroupState, plan: Plan) -> GroupState:
    starts = {step.component for step in plan.steps if step.action == "start"}
    stops = {step.component for step in plan.steps if step.action == "stop"}
    retires = plan.kind == "restart"
    members = tuple(
        member.model_copy(update={"held": False, "retired": False})
        if member.spec.id in starts
        else member.model_copy(update={"retired": True})
        if retires and member.spec.id in stops
        else member
        for member in state.members
    )
    return _with(state, members=members, plans=(*state.plans, plan), next_plan=plan.id + 1)


def _advanced(state: GroupState, event: PlanAdvanced) -> GroupState:
    plan = state.plan(event.plan)
    if plan is None:
        raise TypeError(f"expected plan {event.plan} to be under way: the log is out of order")
    gone = {step.component for step in plan.steps[plan.cursor : event.cursor] if step.action == "remove"}
    now = plan.model_copy(update={"cursor": event.cursor, "asked": event.asked})
    return _with(
        state,
        plans=tuple(now if each.id == now.id else each for each in state.plans),
        members=tuple(member for member in state.members if not (member.leaving and member.spec.id in gone)),
    )

"""What a group knows: its members as they reported themselves, its budget, and the plans under way."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from ...schemas import State
from ...schemas.fleet import GroupSpec
from ...schemas.group import Dependency, Member, Plan, Step

LIVE: Final = ("starting", "running", "stopping")
DOWN: Final = ("stopped", "exited")


class GroupState(State):
    """`members` are in start order; `restarts` are the counted instants within the window; `plans` share no component."""

    spec: GroupSpec | None = None
    fleet: str = ""
    host: str = ""
    members: tuple[Member, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    restarts: tuple[datetime, ...] = ()
    plans: tuple[Plan, ...] = ()
    next_plan: int = 1
    given_up: str = ""
    halted: bool = False

    def member(self, component: str) -> Member | None:
        """Return the member with that id, a leaving one included."""
        return next((member for member in self.members if member.spec.id == component), None)

    def dependency(self, component: str) -> Dependency | None:
        """Return what is known of a component of another group."""
        return next((known for known in self.dependencies if known.component == component), None)

    def plan(self, number: int) -> Plan | None:
        """Return the plan with that number, if it is under way."""
        return next((plan for plan in self.plans if plan.id == number), None)

    def plan_of(self, component: str) -> Plan | None:
        """Return the plan that has still something to do to this component."""
        return next((plan for plan in self.plans if component in pending(plan)), None)


def pending(plan: Plan) -> dict[str, None]:
    """Return the components that the plan's steps from the cursor on stop, start or remove, in order."""
    return {step.component: None for step in steps_left(plan) if step.action in ("stop", "start", "remove")}


def involved(plan: Plan) -> set[str]:
    """Return the components that the plan's steps from the cursor on are about, waiting included."""
    return {step.component for step in steps_left(plan)}


def steps_left(plan: Plan) -> Iterator[Step]:
    """Return the steps that are not acknowledged."""
    return iter(plan.steps[plan.cursor :])


def live(member: Member) -> bool:
    """Whether there may be a process."""
    return member.phase in LIVE


def finished(member: Member) -> bool:
    """Whether it ended in a way that its restart type leaves alone."""
    end = member.exit
    if member.phase != "exited" or end is None:
        return False
    return member.spec.restart == "temporary" or (member.spec.restart == "transient" and end.normal)


def wanted(member: Member) -> bool:
    """Whether the group shall have it run: wished up, and still of this group."""
    return member.desired_up and not member.leaving


def conditions_missing(state: GroupState, member: Member) -> tuple[str, ...]:
    """Return what the member's start waits for, as `cache: ready`."""
    wishes = member.spec.depends_on.items()
    return tuple(f"{name}: {condition}" for name, condition in wishes if not _met(state, name, condition))


def _met(state: GroupState, name: str, condition: str) -> bool:
    seen = state.member(name) or state.dependency(name)
    if seen is None:
        return False
    if condition == "ready":
        return seen.phase == "running" and seen.ready
    return seen.completed or (condition == "started" and seen.phase == "running")

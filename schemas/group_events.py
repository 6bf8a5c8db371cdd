"""What happened in a group; the fold of these is all that a restored group needs to go on with its plans."""

from datetime import datetime

from .component import Exit
from .fleet import ComponentSpec, GroupSpec
from .group import Plan
from .record import Event


class GroupConfigured(Event):
    """The group got (or changed) its specification and members, in start order."""

    fleet: str
    host: str
    spec: GroupSpec
    members: tuple[ComponentSpec, ...]
    released: tuple[str, ...] = ()


class GroupHalted(Event):
    """The session ends: plans are dropped, nothing is healed."""

    reason: str


class GroupResumed(Event):
    """A new session begins: what is wished up is run, with a new budget; a giving up is forgotten."""


class GroupRemoved(Event):
    """The group is no longer part of the fleet."""


class MemberChanged(Event):
    """A member's report that differs from the one before."""

    component: str
    phase: str
    incarnation: int
    attempt: int
    ready: bool
    desired_up: bool
    paused: bool
    completed: bool
    exit: Exit | None


class DependencyChanged(Event):
    """A component of another group, on which a member depends, changed."""

    component: str
    phase: str
    ready: bool
    completed: bool


class MemberHeld(Event):
    """A paused member died: healed when it is resumed."""

    component: str
    incarnation: int


class MemberStabilised(Event):
    """A member has been healthy for `stable_ms`: its backoff starts again from `first_ms`."""

    component: str
    incarnation: int


class RestartCounted(Event):
    """A restart counts against the group's intensity, and as a failed start of that component."""

    component: str
    incarnation: int
    at: datetime


class GroupStarting(Event):
    """A plan that is no healing begins (start, replace, remove); plans that share a component with it end."""

    plan: Plan


class GroupRestarting(Event):
    """A restart by the group's strategy begins: plan, cursor and expected exits; one acknowledged step at a time."""

    plan: Plan


class PlanAdvanced(Event):
    """Steps before `cursor` are acknowledged; `asked`: the one there was commanded."""

    plan: int
    cursor: int
    asked: bool


class PlanEnded(Event):
    """The plan is done, or has no purpose any more (`outcome`: done, superseded, dropped, failed)."""

    plan: int
    outcome: str


class GroupGaveUp(Event):
    """Too many restarts: every member is stopped, in reverse order, until somebody resets."""

    component: str
    incarnation: int
    reason: str
    at: datetime


class GroupReset(Event):
    """The giving up, the window and the backoffs were cleared."""

    component: str
    who: str
    why: str

"""What a group is told and what it knows: its members, its restart budget, its plans. Addressed to `group/ID`."""

from datetime import datetime

from .component import Exit
from .fleet import ComponentSpec, GroupSpec
from .record import Message, Record


class Step(Record):
    """One acknowledged step of a plan.

    `stop` (until `incarnation` is gone), `wait` (`delay_ms` from when the step begins), `start` (until an incarnation
    greater than `incarnation` runs), `ready` (until the component is ready), `remove` (forget the component).
    """

    action: str
    component: str
    incarnation: int = 0
    delay_ms: int = 0


class Requester(Record):
    """Who wants to hear how a recovery ends."""

    component: str
    task_id: str | None


class Plan(Record):
    """Steps that a group takes one after the other; plans of one group never share a component.

    `kind`: start, restart (healing), replace (asked for, or a changed specification), give_up, remove. `expected` maps
    components to the incarnations that the plan ends: their exits never count. `asked`: the step at the cursor was
    commanded. `own`: the group began it by itself, because of a failure.
    """

    id: int
    kind: str
    trigger: str
    incarnation: int
    reason: str
    steps: tuple[Step, ...]
    cursor: int = 0
    asked: bool = False
    own: bool = False
    expected: dict[str, int] = {}
    requesters: tuple[Requester, ...] = ()
    begun_at: datetime


class Member(Record):
    """A component as its group knows it; `phase` and below are the member's own last report.

    `failures` counts starts in a row without `stable_ms` of health. `held`: it died while paused. `retired`: temporary and
    stopped by a restart of its group, so never started by it again. `leaving`: no longer of this group.
    """

    spec: ComponentSpec
    failures: int = 0
    held: bool = False
    retired: bool = False
    leaving: bool = False
    phase: str = "unknown"
    incarnation: int = 0
    attempt: int = 0
    ready: bool = False
    desired_up: bool = True
    paused: bool = False
    completed: bool = False
    exit: Exit | None = None


class Dependency(Record):
    """A component of another group that a member depends on."""

    component: str
    phase: str = "unknown"
    ready: bool = False
    completed: bool = False


class MemberStatus(Record):
    """One member in a group's status; `activity` is what the group does with it now, in words."""

    id: str
    phase: str
    incarnation: int
    failures: int
    activity: str


class GroupStatus(Record):
    """A group as its actor knows it; `restarts` are the instants that count within the window."""

    id: str
    strategy: str
    max_restarts: int
    max_seconds: int
    given_up: str
    halted: bool
    restarts: tuple[datetime, ...]
    members: tuple[MemberStatus, ...]


class ConfigureGroup(Message):
    """Fleet to group: be this, and run what is wished up; idempotent.

    `members` are in start order. `released` now belong to other groups: they are let go, not stopped. Members in
    neither list are stopped and forgotten.
    """

    fleet: str
    host: str
    spec: GroupSpec
    members: tuple[ComponentSpec, ...]
    released: tuple[str, ...] = ()


class HaltGroup(Message):
    """Fleet to group: the session ends; heal and start nothing until the next `ConfigureGroup`; answer `GroupStill`."""

    reason: str


class GroupStill(Message):
    """Group to fleet, the answer to `HaltGroup`: nothing is started any more."""

    group: str


class RemoveGroup(Message):
    """Fleet to group: stop and forget every member (but the released ones), then yourself."""

    released: tuple[str, ...] = ()


class RestartMember(Message):
    """Component to its group: an operator wants a newer incarnation than this one up, alone and uncounted."""

    component: str
    incarnation: int
    who: str
    why: str


class ResetGroup(Message):
    """Component to its group: an operator clears `given_up` and the budget's window."""

    component: str
    who: str
    why: str


class DescribeGroup(Message[GroupStatus]):
    """Ask for the status. Refused `not_found`."""


class DelayElapsed(Message):
    """A group's timer: the plan's `wait` step is over."""

    plan: int


class ResendSteps(Message):
    """A group's timer: some step is not acknowledged yet, say it again."""


class MemberStable(Message):
    """A group's timer: this incarnation has been healthy for `stable_ms`."""

    component: str
    incarnation: int

"""Between a group and its members: the group says start and stop, the member says how it is. Exactly once, in order."""

from .component import Exit
from .fleet import ComponentSpec
from .record import Message


class ConfigureComponent(Message):
    """Group to component: this is what you are; answered by `MemberReported`."""

    spec: ComponentSpec
    spec_hash: str
    group: str
    host: str
    budget_count: int = 0
    budget_window_ms: int = 60_000


class RemoveComponent(Message):
    """Group to component: forget what you are; sent once you are down."""

    group: str


class StartMember(Message):
    """Group to component: run an incarnation greater than `after`; answered by `MemberReported`, idempotent."""

    group: str
    after: int
    reason: str
    healing: bool


class StopMember(Message):
    """Group or fleet to component: bring `incarnation` (None: whichever) down.

    Answered by `MemberReported` to the sender, at once and when it is down; idempotent.
    """

    incarnation: int | None
    reason: str
    kill: bool = False


class GiveUpMember(Message):
    """Group to component: you are given up; run your hook."""

    group: str
    reason: str


class ResetMember(Message):
    """Group to component: you are no longer given up."""

    group: str
    who: str
    why: str


class WatchComponent(Message):
    """Group to a component elsewhere: report your changes to me; answered by `MemberReported`."""

    watcher: str


class UnwatchComponent(Message):
    """Group to a component elsewhere: stop reporting to me."""

    watcher: str


class ResendCommand(Message):
    """A component's timer: the agent has not answered this incarnation's command yet."""

    incarnation: int


class RepeatHealthNotification(Message):
    """A component's timer: this incarnation is still ill and nobody has acted on it."""

    incarnation: int
    message: str


class MemberReported(Message):
    """A component to its group, to watching groups, and to whoever asked it to stop: the state now.

    `phase` is one of stopped, starting, running, stopping, exited, removed. `exit` is the last one of this incarnation.
    `completed`: ended normally and stays so (transient, temporary).
    """

    component: str
    group: str
    incarnation: int
    attempt: int
    phase: str
    ready: bool
    desired_up: bool
    paused: bool
    completed: bool
    exit: Exit | None

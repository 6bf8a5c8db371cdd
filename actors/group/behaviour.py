"""The behaviour `group`."""

from typing import TypeAlias, assert_never

from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision, accept, refuse
from ...schemas.group import (
    ConfigureGroup,
    DelayElapsed,
    DescribeGroup,
    HaltGroup,
    MemberStable,
    RemoveGroup,
    ResendSteps,
    ResetGroup,
    RestartMember,
)
from ...schemas.member import MemberReported
from ...schemas.recovery import RecoverComponent
from .advance import advance, elapsed, resend
from .configure import configure, forget_if_empty, halt, remove
from .draft import Draft
from .evolve import GroupEvent, evolve
from .orders import recover, reset_group, restart_member
from .reports import hear, stable
from .state import GroupState
from .status import status

GroupMessage: TypeAlias = (
    ConfigureGroup
    | HaltGroup
    | RemoveGroup
    | MemberReported
    | RestartMember
    | ResetGroup
    | RecoverComponent
    | DelayElapsed
    | ResendSteps
    | MemberStable
    | DescribeGroup
)


def decide(state: GroupState, message: GroupMessage, context: Context) -> Decision[GroupEvent]:
    """Decide about any message: take it in, then carry every plan as far as it goes."""
    if isinstance(message, DescribeGroup):
        return _describe(state, context)
    draft = Draft(state, context)
    had_members = bool(state.members)
    _take(draft, message)
    advance(draft)
    if had_members:
        forget_if_empty(draft)
    return draft.decision()


def _take(draft: Draft, message: GroupMessage) -> None:  # noqa: C901 - one arm a message
    match message:
        case ConfigureGroup():
            configure(draft, message)
        case HaltGroup():
            halt(draft, message)
        case RemoveGroup():
            remove(draft, message)
        case MemberReported():
            hear(draft, message)
        case RestartMember():
            restart_member(draft, message)
        case ResetGroup():
            reset_group(draft, message)
        case RecoverComponent():
            recover(draft, message)
        case DelayElapsed():
            elapsed(draft, message.plan)
        case ResendSteps():
            resend(draft)
        case MemberStable():
            stable(draft, message)
        case DescribeGroup():
            pass
        case _:
            assert_never(message)


def _describe(state: GroupState, context: Context) -> Decision[GroupEvent]:
    if state.spec is None:
        return refuse("not_found", f"expected a group of the fleet, got {context.actor.partition('/')[2]!r}")
    return accept(reply=status(state, state.spec))


group = Behaviour("group", initial=GroupState, decide=decide, evolve=evolve)

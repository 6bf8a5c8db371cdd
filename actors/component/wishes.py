"""What people ask of a component: every answer is its status, or a refusal that says what to do."""

from typing import TypeAlias, assert_never

from ...core.address import Address
from ...core.behaviour import Context
from ...core.decision import Decision, Send, refuse, send
from ...schemas import Message
from ...schemas.component import (
    DescribeComponent,
    Desired,
    PauseComponent,
    ResetComponent,
    RestartComponent,
    ResumeComponent,
    StartComponent,
    StopComponent,
)
from ...schemas.component_events import (
    ComponentPaused,
    ComponentReset,
    ComponentResumed,
    ComponentStopRequested,
    DesiredChanged,
)
from ...schemas.group import ResetGroup, RestartMember
from .evolve import ComponentEvent
from .settle import LANE, key, settle
from .state import ComponentState

Wish: TypeAlias = (
    StartComponent
    | StopComponent
    | RestartComponent
    | PauseComponent
    | ResumeComponent
    | ResetComponent
    | DescribeComponent
)


def decide_wish(state: ComponentState, wish: Wish, context: Context) -> Decision[ComponentEvent]:  # noqa: PLR0911
    """Decide about what somebody asked."""
    if state.spec is None:
        return refuse("not_found", f"expected a component of the fleet, got {key(context)!r}; see `hms component list`")
    match wish:
        case StartComponent():
            return _start(state, wish, context)
        case StopComponent():
            return _stop(state, wish, context)
        case RestartComponent():
            return _restart(state, wish, context)
        case PauseComponent():
            events = () if state.paused else (ComponentPaused(who=wish.who, why=wish.why),)
            return settle(state, context, *events, answer=True)
        case ResumeComponent():
            resumed = (ComponentResumed(who=wish.who, why=wish.why),) if state.paused else ()
            return settle(state, context, *resumed, answer=True)
        case ResetComponent():
            return _reset(state, wish, context)
        case DescribeComponent():
            return settle(state, context, answer=True)
        case _:
            assert_never(wish)


def _start(state: ComponentState, wish: StartComponent, context: Context) -> Decision[ComponentEvent]:
    if state.given_up:
        return _refuse_given_up(state, context)
    events = _wished(state, "up", wish.who, wish.why, context)
    extra = () if state.commanded_up else (_replace(state, wish.who, wish.why, context),)
    return settle(state, context, *events, answer=True, extra=extra)


def _stop(state: ComponentState, wish: StopComponent, context: Context) -> Decision[ComponentEvent]:
    events = [*_wished(state, "down", wish.who, wish.why, context)]
    if state.commanded_up:
        reason = wish.why or "stopped by an operator"
        stop = ComponentStopRequested(
            incarnation=state.incarnation, reason=reason, requester="", kill=False, at=context.now
        )
        events.append(stop)
    return settle(state, context, *events, answer=True)


def _restart(state: ComponentState, wish: RestartComponent, context: Context) -> Decision[ComponentEvent]:
    if state.given_up:
        return _refuse_given_up(state, context)
    events = _wished(state, "up", wish.who, wish.why, context)
    return settle(state, context, *events, answer=True, extra=[_replace(state, wish.who, wish.why, context)])


def _reset(state: ComponentState, wish: ResetComponent, context: Context) -> Decision[ComponentEvent]:
    events = (ComponentReset(who=wish.who, why=wish.why, at=context.now),) if state.given_up else ()
    reset = ResetGroup(component=key(context), who=wish.who, why=wish.why)
    return settle(state, context, *events, answer=True, extra=[_to_group(state, reset)])


def _wished(state: ComponentState, wish: str, who: str, why: str, context: Context) -> tuple[ComponentEvent, ...]:
    """Record whose wish it is now, if that is news."""
    if state.desired.state == wish:
        return ()
    return (DesiredChanged(desired=Desired(state=wish, by="operator", who=who, why=why), at=context.now),)


def _replace(state: ComponentState, who: str, why: str, context: Context) -> Send:
    newer = RestartMember(component=key(context), incarnation=state.incarnation, who=who, why=why)
    return _to_group(state, newer)


def _to_group(state: ComponentState, message: Message) -> Send:
    return send(Address(f"group/{state.group}"), message, priority=LANE)


def _refuse_given_up(state: ComponentState, context: Context) -> Decision[ComponentEvent]:
    name = key(context)
    return refuse("given_up", f"{name} was given up: {state.given_up}; mend it, then `hms component reset {name}`")

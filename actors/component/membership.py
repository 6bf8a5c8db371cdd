"""What a component's group, or its fleet at the end of a session, tells it."""

from typing import TypeAlias, assert_never

from ...core.address import Address, participant
from ...core.behaviour import Context
from ...core.decision import Decision, Send, send
from ...schemas.component_events import (
    ComponentConfigured,
    ComponentGivenUp,
    ComponentHalted,
    ComponentRemoved,
    ComponentReset,
    ComponentStartRequested,
    ComponentStopRequested,
    WatcherAdded,
    WatcherRemoved,
)
from ...schemas.component_reports import RunHook
from ...schemas.member import (
    ConfigureComponent,
    GiveUpMember,
    RemoveComponent,
    ResetMember,
    StartMember,
    StopMember,
    UnwatchComponent,
    WatchComponent,
)
from ...schemas.recovery import RecoverComponent, RecoveryOutcome
from ..well_known import RUNTIME_SUPERVISOR
from .evolve import ComponentEvent
from .fencing import hold_ms, host_for
from .settle import LANE, key, settle
from .state import ComponentState, Stopping

Membership: TypeAlias = (
    ConfigureComponent
    | RemoveComponent
    | StartMember
    | StopMember
    | GiveUpMember
    | ResetMember
    | WatchComponent
    | UnwatchComponent
    | RecoverComponent
)


def decide_membership(  # noqa: PLR0911 - one arm a message
    state: ComponentState, message: Membership, context: Context
) -> Decision[ComponentEvent]:
    """Decide about what the group says."""
    match message:
        case ConfigureComponent():
            return _configure(state, message, context)
        case RemoveComponent():
            return _remove(state, message, context)
        case StartMember():
            return _start(state, message, context)
        case StopMember():
            return _stop(state, message, context)
        case GiveUpMember():
            return _give_up(state, message, context)
        case ResetMember():
            news = bool(state.given_up) and message.group == state.group
            reset = (ComponentReset(who=message.who, why=message.why, at=context.now),) if news else ()
            return settle(state, context, *reset, tell=context.sender)
        case WatchComponent():
            added = () if message.watcher in state.watchers else (WatcherAdded(watcher=message.watcher),)
            return settle(state, context, *added, tell=message.watcher)
        case UnwatchComponent():
            gone = (WatcherRemoved(watcher=message.watcher),) if message.watcher in state.watchers else ()
            return settle(state, context, *gone)
        case RecoverComponent():
            return settle(state, context, extra=[_forward(state, message, context)])
        case _:
            assert_never(message)


def _configure(state: ComponentState, message: ConfigureComponent, context: Context) -> Decision[ComponentEvent]:
    new = message.model_dump(exclude={"spec"}), message.spec
    old = {**{name: getattr(state, name) for name in new[0]}, "host": state.home}, state.spec
    if new == old and not state.halted:
        return settle(state, context, tell=context.sender)
    event = ComponentConfigured(**new[0], spec=message.spec, at=context.now)
    return settle(state, context, event, tell=context.sender)


def _remove(state: ComponentState, message: RemoveComponent, context: Context) -> Decision[ComponentEvent]:
    mine = state.spec is not None and message.group == state.group
    if not mine or state.live:
        return settle(state, context, tell=context.sender)
    return settle(state, context, ComponentRemoved(at=context.now), tell=context.sender)


def _start(state: ComponentState, message: StartMember, context: Context) -> Decision[ComponentEvent]:
    fits = message.group == state.group and state.wished_up and not state.live
    if not fits or state.incarnation > message.after:
        return settle(state, context, tell=context.sender)
    host = host_for(state, healing=message.healing)
    event = ComponentStartRequested(
        incarnation=state.incarnation + 1,
        reason=message.reason,
        healing=message.healing,
        at=context.now,
        host=host,
        leased=state.spec is not None and state.spec.failover,
        hold_ms=hold_ms(state, host),
    )
    return settle(state, context, event, tell=context.sender)


def _stop(state: ComponentState, message: StopMember, context: Context) -> Decision[ComponentEvent]:
    halt = _halt(state, message, context)
    if not state.live or message.incarnation not in (None, state.incarnation):
        return settle(state, context, *halt, tell=context.sender)
    before = state.phase if isinstance(state.phase, Stopping) else None
    # The own group hears of everything anyway.
    stranger = "" if context.sender == f"group/{state.group}" else context.sender
    kill = message.kill or (before is not None and before.kill)
    if before is not None and before.kill == kill and stranger in ("", before.requester):
        return settle(state, context, *halt, tell=context.sender)
    event = ComponentStopRequested(
        incarnation=state.incarnation,
        reason=message.reason,
        requester=stranger or (before.requester if before else ""),
        kill=kill,
        at=context.now,
    )
    return settle(state, context, *halt, event, tell=context.sender)


def _halt(state: ComponentState, message: StopMember, context: Context) -> tuple[ComponentEvent, ...]:
    """Record the end of a session, which comes from the fleet itself: a wish would not say why nothing runs."""
    news = context.sender.startswith("fleet/") and state.spec is not None and not state.halted
    return (ComponentHalted(reason=message.reason, at=context.now),) if news else ()


def _give_up(state: ComponentState, message: GiveUpMember, context: Context) -> Decision[ComponentEvent]:
    if state.given_up or message.group != state.group or not state.wished_up:
        return settle(state, context, tell=context.sender)
    event = ComponentGivenUp(reason=message.reason, at=context.now)
    return settle(state, context, event, tell=context.sender, extra=_hook(state, message.reason, context))


def _hook(state: ComponentState, reason: str, context: Context) -> tuple[Send, ...]:
    if state.spec is None or not state.spec.on_give_up:
        return ()
    component = key(context)
    hook = RunHook(
        component=component,
        hook_id=context.new_id("hook"),
        command=state.spec.on_give_up,
        environment={**state.spec.environment, "HMS_COMPONENT": component, "HMS_REASON": reason},
        working_folder=state.spec.working_folder,
        reason=reason,
    )
    return (send(participant(f"agent/{state.host}"), hook, priority=LANE),)


def _forward(state: ComponentState, message: RecoverComponent, context: Context) -> Send:
    if state.spec is not None:
        return send(Address(f"group/{state.group}"), message, priority=LANE)
    outcome = RecoveryOutcome(
        component=key(context), incarnation=0, outcome="ignored", reason="component not found", task_id=message.task_id
    )
    return send(RUNTIME_SUPERVISOR, outcome, priority=LANE)

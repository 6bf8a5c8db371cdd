"""The behaviour `fleet`: it tells the groups what they are, and ends a session wave by wave.

Ending a session leaves every wish as it is: the next `ApplyFleet` runs again what is wished up.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, TypeAlias, assert_never

from ...core.address import Address
from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision, Send, Timer, accept, cancel, refuse, send, timer
from ...schemas import Message, Record, State
from ...schemas.fleet import ComponentSpec, FleetSpec
from ...schemas.fleet_messages import (
    ApplyFleet,
    DescribeFleet,
    FleetApplied,
    FleetStatus,
    FleetStopped,
    FleetStopping,
    GroupHeldStill,
    MemberDown,
    ResendWave,
    StopFleet,
    WaveStopped,
)
from ...schemas.group import ConfigureGroup, GroupStill, HaltGroup, RemoveGroup
from ...schemas.member import MemberReported, StopMember
from .order import mistake, start_order
from .plan import waves

RESEND_MS: Final = 5_000
_LANE: Final = "high"
_LIVE: Final = ("starting", "running", "stopping")

FleetMessage: TypeAlias = ApplyFleet | StopFleet | DescribeFleet | MemberReported | GroupStill | ResendWave
FleetEvent: TypeAlias = FleetApplied | FleetStopping | GroupHeldStill | MemberDown | WaveStopped | FleetStopped


class Active(Record):
    """A session runs."""

    kind: Literal["active"] = "active"


class Stopping(Record):
    """The session ends: first every group of `groups` holds still, then `waves` go down, the first one first."""

    kind: Literal["stopping"] = "stopping"
    reason: str
    kill: bool
    groups: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]


class Ended(Record):
    """No session runs, or none has begun."""

    kind: Literal["stopped"] = "stopped"


class FleetState(State):
    """`spec` is None until a fleet is applied; it is bound to its host for ever."""

    spec: FleetSpec | None = None
    host: str = ""
    phase: Active | Stopping | Ended = Ended()
    since: datetime | None = None


def decide(state: FleetState, message: FleetMessage, context: Context) -> Decision[FleetEvent]:
    """Decide about a file applied, a session ended, or an answer on the way there."""
    match message:
        case ApplyFleet():
            return _apply(state, message, context)
        case StopFleet():
            return _stop(state, message, context)
        case DescribeFleet():
            return _not_found(context) if state.spec is None else accept(reply=status(state, context))
        case MemberReported():
            down = message.phase not in _LIVE
            return _heard(state, MemberDown(component=message.component), context) if down else accept()
        case GroupStill():
            return _heard(state, GroupHeldStill(group=message.group), context)
        case ResendWave():
            return accept(send=_commands(state), timers=_again(state))
        case _:
            assert_never(message)


def evolve(state: FleetState, event: FleetEvent) -> FleetState:
    """Fold one event; one that cannot follow the state is a bug and raises."""
    match event:
        case FleetApplied():
            return FleetState(spec=event.spec, host=event.host, phase=Active(), since=event.at)
        case FleetStopping():
            return _with(state, _stopping(state, event), event.at)
        case GroupHeldStill():
            phase = _ending(state)
            return _with(state, _but(phase, groups=tuple(name for name in phase.groups if name != event.group)))
        case MemberDown():
            phase = _ending(state)
            first = tuple(name for name in phase.waves[0] if name != event.component)
            return _with(state, _but(phase, waves=(first, *phase.waves[1:])))
        case WaveStopped():
            phase = _ending(state)
            return _with(state, _but(phase, waves=phase.waves[1:]))
        case FleetStopped():
            return _with(state, Ended(), event.at)
        case _:
            assert_never(event)


def status(state: FleetState, context: Context, *, applied: bool = False) -> FleetStatus:
    """Return the answer to every question about a fleet."""
    spec = state.spec
    return FleetStatus(
        fleet=_key(context),
        phase=state.phase.kind,
        host=state.host,
        spec=spec,
        groups=tuple(group.id for group in spec.groups) if spec else (),
        components=tuple(component.id for component in spec.components) if spec else (),
        waves_left=state.phase.waves if isinstance(state.phase, Stopping) else (),
        since=state.since,
        applied=applied,
    )


def _apply(state: FleetState, message: ApplyFleet, context: Context) -> Decision[FleetEvent]:
    refusal = _against(state, message, context)
    if refusal is not None:
        return refuse(*refusal)
    news = state.spec != message.spec or not isinstance(state.phase, Active)
    applied = FleetApplied(spec=message.spec, host=message.host, who=message.who, at=context.now)
    events = (applied,) if news else ()
    after = evolve(state, applied) if news else state
    ended = [cancel("wave")] if isinstance(state.phase, Stopping) else []
    reply = status(after, context, applied=news)
    return accept(*events, send=_configure(state.spec, message), timers=ended, reply=reply)


def _against(state: FleetState, message: ApplyFleet, context: Context) -> tuple[str, str] | None:
    name = _key(context)
    if message.spec.fleet != name:
        return (
            "fleet_mismatch",
            f"expected the fleet {name!r}, got {message.spec.fleet!r}; ask fleet/{message.spec.fleet}",
        )
    if state.host and state.host != message.host:
        return "host_mismatch", (
            f"the fleet {name!r} is bound to host {state.host}, got {message.host}; run it there, or use another log"
        )
    wrong = mistake(message.spec)
    return ("validation_error", wrong) if wrong else None


def _configure(before: FleetSpec | None, message: ApplyFleet) -> list[Send]:
    """Tell every group what it is, changed or not: groups act on the difference and a lost word is made good."""
    spec = message.spec
    home = {component.id: component.group for component in spec.components}
    known = before.components if before else ()
    released = _ids_by_group(
        component for component in known if home.get(component.id, component.group) != component.group
    )
    members: dict[str, list[ComponentSpec]] = {group.id: [] for group in spec.groups}
    for component in start_order(spec.components):
        members[component.group].append(component)
    configured = [
        _to_group(
            group.id,
            ConfigureGroup(
                fleet=spec.fleet,
                host=message.host,
                spec=group,
                members=tuple(members[group.id]),
                released=released.get(group.id, ()),
            ),
        )
        for group in spec.groups
    ]
    gone = [group.id for group in (before.groups if before else ()) if group.id not in members]
    return [*(_to_group(name, RemoveGroup(released=released.get(name, ()))) for name in gone), *configured]


def _ids_by_group(components: Iterable[ComponentSpec]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for component in components:
        found.setdefault(component.group, []).append(component.id)
    return {group: tuple(ids) for group, ids in found.items()}


def _stop(state: FleetState, message: StopFleet, context: Context) -> Decision[FleetEvent]:
    if state.spec is None:
        return _not_found(context)
    phase = state.phase
    harder = isinstance(phase, Stopping) and message.kill and not phase.kill
    if not isinstance(phase, Active) and not harder:
        return accept(reply=status(state, context))
    order = phase.waves if isinstance(phase, Stopping) else waves(state.spec.components)[::-1]
    event = FleetStopping(reason=message.reason, waves=order, kill=message.kill, at=context.now)
    return _go_on(state, [event], context, answer=True)


def _heard(state: FleetState, event: MemberDown | GroupHeldStill, context: Context) -> Decision[FleetEvent]:
    """Take an answer in, if it is one that the current step of a stop waits for."""
    phase = state.phase
    if not isinstance(phase, Stopping):
        return accept()
    if isinstance(event, GroupHeldStill):
        return _go_on(state, [event], context) if event.group in phase.groups else accept()
    awaited = not phase.groups and phase.waves and event.component in phase.waves[0]
    return _go_on(state, [event], context) if awaited else accept()


def _go_on(
    state: FleetState, events: list[FleetEvent], context: Context, *, answer: bool = False
) -> Decision[FleetEvent]:
    """Record the events, and every step of the stop that they make possible."""
    after = state
    for event in events:
        after = evolve(after, event)
    while isinstance(after.phase, Stopping) and not after.phase.groups and not any(after.phase.waves[:1]):
        over = not after.phase.waves
        event = FleetStopped(reason=after.phase.reason, at=context.now) if over else WaveStopped()
        events.append(event)
        after = evolve(after, event)
    sends = _commands(after) if _asks(state) != _asks(after) else []
    timers = _again(after) if isinstance(after.phase, Stopping) else [cancel("wave")]
    reply = status(after, context) if answer else None
    return accept(*events, send=sends, timers=timers, reply=reply)


def _asks(state: FleetState) -> tuple[bool, int, bool] | None:
    """Return what the step at hand is; a new one is said at once, the same one only after a while."""
    phase = state.phase
    return (bool(phase.groups), len(phase.waves), phase.kill) if isinstance(phase, Stopping) else None


def _commands(state: FleetState) -> list[Send]:
    phase = state.phase
    if not isinstance(phase, Stopping):
        return []
    if phase.groups:
        return [_to_group(name, HaltGroup(reason=phase.reason)) for name in phase.groups]
    stop = StopMember(incarnation=None, reason=phase.reason or "the fleet stops", kill=phase.kill)
    return [_to(f"component/{name}", stop) for name in phase.waves[0]]


def _again(state: FleetState) -> list[Timer]:
    return [timer("wave", RESEND_MS, ResendWave())] if isinstance(state.phase, Stopping) else []


def _with(state: FleetState, phase: Active | Stopping | Ended, since: datetime | None = None) -> FleetState:
    return state.model_copy(update={"phase": phase, "since": since or state.since})


def _stopping(state: FleetState, event: FleetStopping) -> Stopping:
    known: Iterable[str] = (group.id for group in state.spec.groups) if state.spec else ()
    groups = state.phase.groups if isinstance(state.phase, Stopping) else tuple(known)
    return Stopping(reason=event.reason, kill=event.kill, groups=groups, waves=event.waves)


def _ending(state: FleetState) -> Stopping:
    if not isinstance(state.phase, Stopping):
        raise TypeError(
            f"expected a fleet that is stopping, got one that is {state.phase.kind}: the log is out of order"
        )
    return state.phase


def _but(phase: Stopping, **changes: object) -> Stopping:
    return phase.model_copy(update=changes)


def _to_group(name: str, message: Message) -> Send:
    return _to(f"group/{name}", message)


def _to(address: str, message: Message) -> Send:
    return send(Address(address), message, priority=_LANE)


def _key(context: Context) -> str:
    return context.actor.partition("/")[2]


def _not_found(context: Context) -> Decision[FleetEvent]:
    return refuse("not_found", f"no fleet {_key(context)!r} was ever applied to this log; see `hms up`")


fleet = Behaviour("fleet", initial=FleetState, decide=decide, evolve=evolve)

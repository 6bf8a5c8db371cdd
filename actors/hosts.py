"""The behaviour `host`: it compares inventories with what should be there, and notices silence. Its processes: `host/`.

An inventory that shows nothing new changes nothing: no event, one timer set again. Each difference is told to the
component that it concerns, again with every inventory until it is gone.
"""

from datetime import datetime
from typing import Final, TypeAlias, assert_never

from ..core.address import Address
from ..core.behaviour import Behaviour, Context
from ..core.decision import Decision, Send, Timer, accept, refuse, send, timer
from ..schemas import Message, State
from ..schemas.host import (
    BindComponent,
    ComponentBound,
    ComponentUnbound,
    DescribeHost,
    HostConnected,
    HostReturned,
    HostStatus,
    HostWentSilent,
    JudgeSilence,
    ReportDifference,
    ReportInventory,
    ReportSilence,
    UnbindComponent,
)

PERIODS_OF_SILENCE: Final = 3
PERIOD_MS: Final = 5_000
_LANE: Final = "high"

HostMessage: TypeAlias = ReportInventory | BindComponent | UnbindComponent | JudgeSilence | DescribeHost
HostEvent: TypeAlias = ComponentBound | ComponentUnbound | HostConnected | HostWentSilent | HostReturned


class HostState(State):
    """`components` maps each component to the incarnation that should be up, 0 when none should."""

    fleet: str = ""
    boot_id: str = ""
    session: int = 0
    silent: bool = False
    since: datetime | None = None
    components: dict[str, int] = {}


def decide(state: HostState, message: HostMessage, context: Context) -> Decision[HostEvent]:
    """Decide about an inventory, a binding, or three periods of silence."""
    match message:
        case ReportInventory():
            return _inventory(state, message, context)
        case BindComponent():
            return _bind(state, message, context)
        case UnbindComponent():
            gone = message.component in state.components
            return accept(*((ComponentUnbound(component=message.component),) if gone else ()))
        case JudgeSilence():
            return _judge(state, message, context)
        case DescribeHost():
            return _describe(state, context)
        case _:
            assert_never(message)


def evolve(state: HostState, event: HostEvent) -> HostState:
    """Fold one event."""
    match event:
        case ComponentBound():
            up = event.incarnation if event.up else 0
            return state.model_copy(update={"components": {**state.components, event.component: up}})
        case ComponentUnbound():
            rest = {name: up for name, up in state.components.items() if name != event.component}
            return state.model_copy(update={"components": rest})
        case HostConnected():
            now = {"fleet": event.fleet, "boot_id": event.boot_id, "session": event.session}
            return state.model_copy(update={**now, "silent": False, "since": event.at})
        case HostWentSilent():
            return state.model_copy(update={"silent": True, "since": event.at})
        case HostReturned():
            return state.model_copy(update={"silent": False, "since": event.at})
        case _:
            assert_never(event)


def _inventory(state: HostState, message: ReportInventory, context: Context) -> Decision[HostEvent]:
    if message.session < state.session:
        return accept()
    events: tuple[HostEvent, ...] = ()
    if (message.session, message.boot_id) != (state.session, state.boot_id):
        connected = HostConnected(fleet=message.fleet, session=message.session, boot_id=message.boot_id, at=context.now)
        events = (connected,)
    elif state.silent:
        events = (HostReturned(session=message.session, at=context.now),)
    heard = _tell_all(state, context, silent=False) if state.silent else []
    watch = _watch(message.session, PERIODS_OF_SILENCE * message.period_ms, context)
    return accept(*events, send=[*heard, *_differences(state, message, context)], timers=[watch])


def _differences(state: HostState, message: ReportInventory, context: Context) -> list[Send]:
    running = message.running
    concerned = {name: running.get(name, 0) for name, up in state.components.items() if running.get(name, 0) != up}
    concerned |= {name: running[name] for name in running if name not in state.components}
    return [
        _tell(
            name,
            ReportDifference(
                host=_key(context),
                session=message.session,
                sequence=message.sequence,
                boot_id=message.boot_id,
                running=incarnation,
            ),
        )
        for name, incarnation in concerned.items()
    ]


def _bind(state: HostState, message: BindComponent, context: Context) -> Decision[HostEvent]:
    up = message.incarnation if message.up else 0
    name = message.component
    if state.components.get(name) == up:
        return accept()
    event = ComponentBound(component=name, incarnation=message.incarnation, up=message.up)
    # A host that was never heard must be missed, too.
    never_heard = not state.session and not state.components
    timers = [_watch(0, PERIODS_OF_SILENCE * PERIOD_MS, context)] if never_heard else []
    news = state.silent and name not in state.components
    return accept(event, send=[_tell(name, _silence(context, silent=True))] if news else [], timers=timers)


def _judge(state: HostState, message: JudgeSilence, context: Context) -> Decision[HostEvent]:
    """Judge only if the watcher was there: one that looks a period too late has not listened, and listens once more."""
    if state.silent or message.session != state.session:
        return accept()
    late_us = _micros(context.now) - message.due_us
    if late_us * PERIODS_OF_SILENCE > message.span_ms * 1_000:
        return accept(timers=[_watch(message.session, message.span_ms, context)])
    event = HostWentSilent(session=state.session, at=context.now)
    return accept(event, send=_tell_all(state, context, silent=True))


def _describe(state: HostState, context: Context) -> Decision[HostEvent]:
    if not state.session and not state.components:
        return refuse("not_found", f"expected a host of the fleet, got {_key(context)!r}")
    heard = "alive" if state.session else "unknown"
    return accept(
        reply=HostStatus(
            id=_key(context),
            state="silent" if state.silent else heard,
            fleet=state.fleet,
            boot_id=state.boot_id,
            session=state.session,
            since=state.since,
            components=len(state.components),
        )
    )


def _watch(session: int, span_ms: int, context: Context) -> Timer:
    due_us = _micros(context.now) + span_ms * 1_000
    return timer("silence", span_ms, JudgeSilence(session=session, span_ms=span_ms, due_us=due_us))


def _tell_all(state: HostState, context: Context, *, silent: bool) -> list[Send]:
    return [_tell(name, _silence(context, silent=silent)) for name in state.components]


def _silence(context: Context, *, silent: bool) -> ReportSilence:
    return ReportSilence(host=_key(context), silent=silent)


def _tell(component: str, message: Message) -> Send:
    return send(Address(f"component/{component}"), message, priority=_LANE)


def _key(context: Context) -> str:
    return context.actor.partition("/")[2]


def _micros(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000_000)


host = Behaviour("host", initial=HostState, decide=decide, evolve=evolve)

"""The behaviour `host`: it compares inventories with what should be there, and notices silence. Its processes: `host/`.

An inventory that shows nothing new changes nothing: no event, one timer set again. Each difference is told to the
component that it concerns, again with every inventory until it is gone.

Components that may fail over run under leases, which this actor alone renews and withdraws, one after the other: what
it has withdrawn it never renews. Nothing here depends on a clock: the agent counts a lease from when it asked, and the
next host waits the same span from when it was told, each on its own monotonic clock.
"""

from datetime import datetime
from typing import Final, TypeAlias, assert_never

from ..core.address import Address, participant
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
    LeaseWithdrawn,
    RenewLease,
    ReportDifference,
    ReportInventory,
    ReportLeaseWithdrawn,
    ReportSilence,
    UnbindComponent,
    WithdrawLease,
)

PERIODS_OF_SILENCE: Final = 3
PERIOD_MS: Final = 5_000
PERIODS_OF_LEASE: Final = 6
"""Longer than silence: a node that takes over needs some seconds, in which no component shall be stopped."""
_LANE: Final = "high"

HostMessage: TypeAlias = ReportInventory | BindComponent | UnbindComponent | WithdrawLease | JudgeSilence | DescribeHost
HostEvent: TypeAlias = (
    ComponentBound | ComponentUnbound | LeaseWithdrawn | HostConnected | HostWentSilent | HostReturned
)


class HostState(State):
    """`components` maps each component to the incarnation that should be up, 0 when none should.

    `leases` maps components to the incarnation whose lease is renewed; `period_ms` is the longest of this boot.
    """

    fleet: str = ""
    boot_id: str = ""
    session: int = 0
    silent: bool = False
    since: datetime | None = None
    components: dict[str, int] = {}
    leases: dict[str, int] = {}
    period_ms: int = PERIOD_MS


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
        case WithdrawLease():
            return _withdraw(state, message, context)
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
            leases = _without(state.leases, event.component)
            leases |= {event.component: event.incarnation} if event.leased else {}
            return state.model_copy(update={"components": {**state.components, event.component: up}, "leases": leases})
        case ComponentUnbound():
            name = event.component
            rest = {"components": _without(state.components, name), "leases": _without(state.leases, name)}
            return state.model_copy(update=rest)
        case LeaseWithdrawn():
            return state.model_copy(update={"leases": _without(state.leases, event.component)})
        case HostConnected():
            return _connected(state, event)
        case HostWentSilent():
            return state.model_copy(update={"silent": True, "since": event.at})
        case HostReturned():
            return state.model_copy(update={"silent": False, "since": event.at})
        case _:
            assert_never(event)


def _connected(state: HostState, event: HostConnected) -> HostState:
    # Leases of the same boot may have been granted with the longer period; another boot has ended them all.
    longest = max(state.period_ms, event.period_ms) if event.boot_id == state.boot_id else event.period_ms
    now = {"fleet": event.fleet, "boot_id": event.boot_id, "session": event.session, "period_ms": longest}
    return state.model_copy(update={**now, "silent": False, "since": event.at})


def _without(known: dict[str, int], name: str) -> dict[str, int]:
    return {other: value for other, value in known.items() if other != name}


def _inventory(state: HostState, message: ReportInventory, context: Context) -> Decision[HostEvent]:
    if message.session < state.session:
        return accept()
    events: tuple[HostEvent, ...] = ()
    if (message.session, message.boot_id) != (state.session, state.boot_id):
        connected = HostConnected(
            fleet=message.fleet,
            session=message.session,
            boot_id=message.boot_id,
            period_ms=message.period_ms,
            at=context.now,
        )
        events = (connected,)
    elif state.silent:
        events = (HostReturned(session=message.session, at=context.now),)
    heard = _tell_all(state, context, silent=False) if state.silent else []
    watch = _watch(message.session, PERIODS_OF_SILENCE * message.period_ms, context)
    told = [*heard, *_differences(state, message, context), *_renewed(state, message, context)]
    return accept(*events, send=told, timers=[watch])


def _renewed(state: HostState, message: ReportInventory, context: Context) -> list[Send]:
    if not state.leases:
        return []
    renewal = RenewLease(
        session=message.session,
        sequence=message.sequence,
        lease_ms=PERIODS_OF_LEASE * message.period_ms,
        components=state.leases,
    )
    return [send(participant(f"agent/{_key(context)}"), renewal, priority=_LANE)]


def _withdraw(state: HostState, message: WithdrawLease, context: Context) -> Decision[HostEvent]:
    """Renew no more, and say from when on the last lease is over: whoever hears that, hears it later."""
    name = message.component
    held = state.leases.get(name) == message.incarnation
    events = (LeaseWithdrawn(component=name, incarnation=message.incarnation, at=context.now),) if held else ()
    answer = ReportLeaseWithdrawn(
        host=_key(context), incarnation=message.incarnation, lease_ms=PERIODS_OF_LEASE * state.period_ms
    )
    return accept(*events, send=[_tell(name, answer)])


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
    leased = state.leases.get(name) == message.incarnation
    if state.components.get(name) == up and leased == message.leased:
        return accept()
    event = ComponentBound(component=name, incarnation=message.incarnation, up=message.up, leased=message.leased)
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
    return accept(reply=status(state, _key(context)))


def status(state: HostState, host: str) -> HostStatus:
    """Return the answer to every question about a host."""
    heard = "alive" if state.session else "unknown"
    return HostStatus(
        id=host,
        state="silent" if state.silent else heard,
        fleet=state.fleet,
        boot_id=state.boot_id,
        session=state.session,
        since=state.since,
        components=sum(incarnation > 0 for incarnation in state.components.values()),
        leases=state.leases,
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

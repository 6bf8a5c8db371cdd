"""What follows from a change of state, whatever caused it: commands, reports, notifications and timers.

Derived from the difference between the states before and after, so that no way to a state can forget its consequences.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ...core.address import Address, participant
from ...core.behaviour import Context
from ...core.decision import Decision, Send, Timer, accept, cancel, send, timer
from ...schemas.component_reports import ComponentCommand
from ...schemas.host import BindComponent, UnbindComponent
from ...schemas.member import RepeatHealthNotification, ResendCommand
from ...schemas.recovery import HealthNotification
from ..well_known import RUNTIME_SUPERVISOR
from .evolve import ComponentEvent, evolve
from .fencing import begin_fencing, withdrawal
from .state import ComponentState, Starting, Stopping
from .status import member_report, status

LANE: Final = "high"
RESEND_MS: Final = 5_000
ILLNESS_REPEAT_MS: Final = 30_000


def key(context: Context) -> str:
    """Return the component's id: the key of its address."""
    return context.actor.partition("/")[2]


def settle(
    state: ComponentState,
    context: Context,
    *events: ComponentEvent,
    answer: bool = False,
    tell: str = "",
    extra: Sequence[Send] = (),
    command: bool = False,
) -> Decision[ComponentEvent]:
    """Accept the events with all that follows.

    `answer`: reply with the status. `tell`: report to this address even if nothing changed. `command`: say the newest
    command again.
    """
    after = _folded(state, events)
    events = (*events, *(fencing := begin_fencing(after, context)))
    after = _folded(after, fencing)
    component = key(context)
    sends = [
        *_commands(state, after, component, again=command),
        *_bindings(state, after, component),
        *((withdrawal(after, component),) if fencing else ()),
        *_reports(state, after, component, tell),
        *_illness(state, after, component),
        *extra,
    ]
    reply = status(after, component) if answer else None
    return accept(*events, send=sends, timers=list(_timers(state, after)), reply=reply)


def _folded(state: ComponentState, events: Iterable[ComponentEvent]) -> ComponentState:
    for event in events:
        state = evolve(state, event)
    return state


def level(state: ComponentState, component: str, reason: str = "") -> ComponentCommand:
    """Return the command that states what shall be: this incarnation, up or down."""
    stopping = state.phase if isinstance(state.phase, Stopping) else None
    return ComponentCommand(
        component=component,
        incarnation=state.incarnation,
        revision=state.revision,
        desired="up" if state.commanded_up else "down",
        spec_hash=state.spec_hash,
        spec=state.spec,
        kill=stopping is not None and stopping.kill,
        budget_count=state.budget_count if state.commanded_up else 0,
        budget_window_ms=state.budget_window_ms,
        reason=reason,
        leased=state.leased,
        hold_ms=state.hold_ms,
    )


def to_agent(host: str, command: ComponentCommand) -> Send:
    """Send a command to a host's agent."""
    return send(participant(f"agent/{host}"), command, priority=LANE)


def _commands(before: ComponentState, after: ComponentState, component: str, *, again: bool) -> Iterator[Send]:
    wanted = after.revision != before.revision or (again and after.incarnation > 0)
    if wanted and after.host:
        yield to_agent(after.host, level(after, component))


def _bindings(before: ComponentState, after: ComponentState, component: str) -> Iterator[Send]:
    old, new = _bound(before), _bound(after)
    for host in [name for name in old if name not in new]:
        yield send(Address(f"host/{host}"), UnbindComponent(component=component), priority=LANE)
    for host, (incarnation, up, leased) in new.items():
        if old.get(host) != new[host]:
            bind = BindComponent(component=component, incarnation=incarnation, up=up, leased=leased)
            yield send(Address(f"host/{host}"), bind, priority=LANE)


def _bound(state: ComponentState) -> dict[str, tuple[int, bool, bool]]:
    """Return what should be there on each host that concerns it: nothing, on all but one."""
    if not state.host:
        return {}
    leased = state.leased and state.live and not state.fencing
    here = (state.incarnation, state.commanded_up, leased)
    return {**dict.fromkeys(state.placement, (0, False, False)), state.host: here}


def _reports(before: ComponentState, after: ComponentState, component: str, tell: str) -> Iterator[Send]:
    report = member_report(after, component)
    changed = report != member_report(before, component)
    told = {tell: None} if tell else {}
    for address in ({**told, **dict.fromkeys(_listeners(before, after))}) if changed else told:
        yield send(Address(address), report, priority=LANE)


def _listeners(before: ComponentState, after: ComponentState) -> Iterable[str]:
    group = after.group or before.group
    if group:
        yield f"group/{group}"
    yield from after.watchers
    for state in (before, after):
        if isinstance(state.phase, Stopping) and state.phase.requester:
            yield state.phase.requester


def _illness(before: ComponentState, after: ComponentState, component: str) -> Iterator[Send]:
    begins = after.sick and (not before.sick or (before.paused and not after.paused))
    if begins and after.wished_up and not after.paused:
        yield notification(after, component, "Critical", after.sick)
    if before.ill and not after.ill and after.spec is not None:
        words = ("Healthy", "ready") if after.ready else ("Degraded", "not wanted any more")
        yield notification(after, component, *words)


def notification(state: ComponentState, component: str, word: str, message: str) -> Send:
    """Tell the runtime supervisor how the component is."""
    note = HealthNotification(
        component_id=component,
        group=state.group,
        status=word,
        message=message,
        incarnation=state.incarnation,
    )
    return send(RUNTIME_SUPERVISOR, note, priority=LANE)


def _timers(before: ComponentState, after: ComponentState) -> Iterator[Timer]:
    asked, asks = _unanswered(before), _unanswered(after)
    if asks and asks != asked:
        yield timer("answer", RESEND_MS, ResendCommand(incarnation=after.incarnation))
    elif asked and not asks:
        yield cancel("answer")
    if after.sick and not before.sick:
        repeat = RepeatHealthNotification(incarnation=after.incarnation, message=after.sick)
        yield timer("illness", ILLNESS_REPEAT_MS, repeat)
    elif before.sick and not after.sick:
        yield cancel("illness")


def _unanswered(state: ComponentState) -> tuple[int, str] | None:
    waits = isinstance(state.phase, Starting | Stopping)
    return (state.incarnation, state.phase.kind) if waits else None

"""Incidents: a fault, the outcome that is right for it, and what the log says of what came."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ...schemas.component_events import (
    ComponentExited,
    ComponentGivenUp,
    ComponentStarted,
    LimitExceeded,
    ProbeChanged,
)
from ...schemas.group_events import GroupGaveUp, GroupRestarting
from ...schemas.host import HostConnected
from ...schemas.recovery_event import RecoveryInitiated
from ..session.news import describe_exit
from . import faults
from .chronicle import Chronicle, Told
from .fleet import shortly
from .stage import Stage

HEALED: Final = "healed"
GIVEN_UP: Final = "given up"
ADOPTED: Final = "adopted"
PATIENCE_S: Final = 14.0
SEEN_CHARS: Final = 54
UNTOUCHED_S: Final = 1.5
"""After it was taken over, nothing may be started or ended for so long."""


class Incident(NamedTuple):
    """`declared` is the outcome that is right for the fault; `component` is empty for HMS itself."""

    name: str
    component: str
    declared: str
    inject: Callable[[Stage], Awaitable[None]]
    has_readiness: bool = True


class Outcome(NamedTuple):
    """What came of an incident, all of it from the log; times in ms since just before the fault, None: never."""

    incident: Incident
    came: str
    seen: str
    detected_ms: int | None
    settled_ms: int | None
    decision: str

    @property
    def right(self) -> bool:
        """Whether it came as declared, and was decided by somebody."""
        return self.came == self.incident.declared and self.detected_ms is not None and bool(self.decision)


INCIDENTS: Final = (
    Incident("web service killed (SIGKILL)", "web", HEALED, faults.kill_web),
    Incident("worker hangs (SIGSTOP)", "worker", HEALED, faults.stop_worker, has_readiness=False),
    Incident("port stolen for a while", "web", HEALED, faults.steal_port),
    Incident("queue leaks memory", "queue", HEALED, faults.fill_queue),
    Incident("cache crashes in a loop", "cache", GIVEN_UP, faults.break_cache),
    Incident("hms up itself killed (SIGKILL)", "", ADOPTED, faults.kill_supervisor),
)


async def play(incident: Incident, stage: Stage) -> Outcome:
    """Inject the fault, wait for what comes of it, and read it from the log."""
    since, begun_us = len(stage.chronicle.told), time.time_ns() // 1_000
    await incident.inject(stage)
    look = _Look(incident, stage.chronicle, since)
    await stage.chronicle.until(lambda: look.settled() is not None, PATIENCE_S)
    if incident.declared == ADOPTED:
        await stage.chronicle.until(look.touched, UNTOUCHED_S)
    settled, detected = look.settled(), look.detected()
    return Outcome(
        incident,
        came=look.came(),
        seen=look.seen(),
        detected_ms=_ms(detected, begun_us),
        settled_ms=_ms(settled, begun_us),
        decision=look.decision(),
    )


class _Look:
    """The events of one incident."""

    def __init__(self, incident: Incident, chronicle: Chronicle, since: int) -> None:
        self._incident = incident
        self._chronicle = chronicle
        self._since = since
        self._who = f"component/{incident.component}"

    def detected(self) -> Told | None:
        """Return the first sign of it."""
        if not self._incident.component:
            return self._chronicle.find(HostConnected, lambda _: True, since=self._since)
        signs = (
            next(iter(self._exits()), None),
            self._find(ProbeChanged, lambda event: event.probe != "readiness" and not event.passed),
            self._find(LimitExceeded, lambda _: True),
        )
        return min((told for told in signs if told is not None), key=lambda told: told.at_us, default=None)

    def seen(self) -> str:
        """Return what the sign was that tells most: a probe's or a limit's words, else how the process ended last."""
        if not self._incident.component:
            return "the agent came back" if self.detected() else "nothing"
        probe = self._find(ProbeChanged, lambda event: event.probe != "readiness" and not event.passed)
        limit = self._find(LimitExceeded, lambda _: True)
        ends = [told.event.exit for told in self._exits()]
        words = probe.event.message if probe else limit.event.message if limit else ""
        return shortly(words or (describe_exit(ends[-1]) if ends else "nothing"))[:SEEN_CHARS]

    def settled(self) -> Told | None:
        """Return the event with which it is over."""
        match self._incident.declared:
            case "adopted":
                return self.detected()  # its host's actor compares the inventory in that very decision
            case "given up":
                return self._given_up()
            case _:
                return self._healed() or self._given_up()

    def came(self) -> str:
        """Return the outcome, in the words of those that are declared."""
        if not self._incident.component:
            return "restarted" if self.touched() else ADOPTED if self.settled() else "nothing"
        if self._given_up() is not None:
            return GIVEN_UP
        return HEALED if self.detected() and self._healed() else "nothing"

    def touched(self) -> bool:
        """Tell whether any component was started or ended since."""
        return any(self._chronicle.count(kind, self._since) for kind in (ComponentStarted, ComponentExited))

    def decision(self) -> str:
        """Return who decided what about it."""
        if not self._incident.component:
            settled = self.settled()
            return "" if settled is None else f"{settled.who.partition('/')[0]}: nothing to do"
        name, find = self._incident.component, self._chronicle.find
        given_up = find(GroupGaveUp, lambda event: event.component == name, since=self._since)
        recovery = find(RecoveryInitiated, lambda event: event.component_id == name, since=self._since)
        restart = find(GroupRestarting, lambda event: event.plan.trigger == name, since=self._since)
        if given_up is not None:
            return f"{given_up.who}: give up"
        if recovery is not None:
            return "runtime_supervisor: recover"
        return "" if restart is None else f"{restart.who}: restart"

    def _healed(self) -> Told | None:
        """Return the first event that shows a newer process at work: ready, or started where nothing asks."""
        detected = self.detected()
        if detected is None:
            return None
        after = self._chronicle.told.index(detected)
        if not self._incident.has_readiness:
            return self._chronicle.find(ComponentStarted, lambda _: True, since=after, who=self._who)
        return self._chronicle.find(
            ProbeChanged, lambda event: event.probe == "readiness" and event.passed, since=after, who=self._who
        )

    def _exits(self) -> list[Told]:
        told = self._chronicle.told[self._since :]
        return [each for each in told if each.who == self._who and _unexpected(each.event)]

    def _given_up(self) -> Told | None:
        return self._find(ComponentGivenUp, lambda _: True)

    def _find(self, kind: type, fits: Callable[..., bool]) -> Told | None:
        return self._chronicle.find(kind, fits, since=self._since, who=self._who)


def _unexpected(event: object) -> bool:
    return isinstance(event, ComponentExited) and not event.exit.expected


def _ms(told: Told | None, begun_us: int) -> int | None:
    return None if told is None else round((told.at_us - begun_us) / 1_000)

"""Events as lines for people, and the stream of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

from ...actors.host import Exited, StartFailed
from ...core.client import Client, Recorded
from ...core.errors import OutsideError
from ...core.log.port import EVENTS, Log
from ...schemas import Event, host
from ...schemas import component_events as component
from ...schemas import fleet_messages as fleet
from ...schemas import group_events as group
from ...schemas import recovery_event as recovery
from ...schemas.component import Exit

RETRY_S: Final = 0.2
_DONE: Final = ("stop", "start")
"""The steps of a plan that are told; between them it waits."""


class Line(NamedTuple):
    """Something that a person wants to know; `tone` is plain, good, warn or bad."""

    at: datetime
    who: str
    text: str
    tone: str = "plain"

    def plain(self) -> str:
        """Return it as one line without colour."""
        return f"{self.at.astimezone():%H:%M:%S}.{self.at.microsecond // 1000:03d}  {self.who:<18}  {self.text}"


async def cursor_now(log: Log) -> str:
    """Return the cursor behind which only what is yet to happen comes."""
    return ".".join([str((await log.watermarks(EVENTS, shard)).stable) for shard in range(log.partitions)])


async def follow_events(client: Client, cursor: str) -> AsyncIterator[Recorded[Event]]:
    """Yield every event after the cursor, for ever; a log that is away is waited for."""
    while True:
        try:
            async for recorded in client.subscribe(Event, after=cursor):
                yield recorded
                cursor = recorded.cursor
        except OutsideError:
            await asyncio.sleep(RETRY_S)


def line_of(recorded: Recorded[Event]) -> Line | None:
    """Return the event as a line, None for one that is nobody's news."""
    told = _told(recorded.data)
    if told is None:
        return None
    who = recorded.envelope.source.partition("/")[2]
    text, tone = told
    return Line(recorded.envelope.at, _WHO.get(type(recorded.data), who) if who == "main" else who, text, tone)


def _told(event: Event) -> tuple[str, str] | None:
    return _of_component(event) or _of_group(event) or _of_recovery(event) or _of_the_rest(event)


def _of_component(event: Event) -> tuple[str, str] | None:  # noqa: PLR0911 - one arm an event
    match event:
        case component.ComponentStartRequested():
            where = f" on {event.host}" if event.leased else ""
            held = f", held for {event.hold_ms} ms" if event.hold_ms else ""
            return f"start: incarnation {event.incarnation} ({event.reason}){where}{held}", "plain"
        case component.ComponentStarted():
            again = f", restarted by the host ({event.attempt})" if event.attempt else ""
            return f"started: pid {event.pid}, incarnation {event.incarnation}{again}", "good"
        case component.ComponentStopRequested():
            return f"{'kill' if event.kill else 'stop'}: {event.reason}", "plain"
        case component.ComponentExited():
            return f"ended: {describe_exit(event.exit)}", "plain" if event.exit.expected else "bad"
        case component.ProbeChanged() if event.probe == "readiness":
            return ("ready", "good") if event.passed else (f"not ready: {event.message}", "warn")
        case component.ProbeChanged():
            verdict = "passed" if event.passed else f"failed: {event.message}"
            return f"{event.probe} probe {verdict}", "good" if event.passed else "bad"
        case component.LimitExceeded():
            return f"beyond its limit: {event.message}", "bad"
        case _:
            return _of_wishes(event)


def _of_wishes(event: Event) -> tuple[str, str] | None:  # noqa: PLR0911 - one arm an event
    match event:
        case component.ComponentGivenUp():
            return f"given up: {event.reason}", "bad"
        case component.ComponentReset():
            return "reset: no longer given up", "good"
        case component.ComponentPaused():
            return f"paused by {event.who or 'somebody'}: what dies stays dead", "warn"
        case component.ComponentResumed():
            return "resumed", "good"
        case component.DesiredChanged() if event.desired.by == "operator":
            return f"wished {event.desired.state} by {event.desired.who or 'an operator'}", "plain"
        case component.ComponentRemoved():
            return "left the fleet", "plain"
        case _:
            return _of_silence(event)


def _of_silence(event: Event) -> tuple[str, str] | None:
    match event:
        case component.ComponentBecameUnknown():
            return "unknown: its host is silent", "warn"
        case component.ComponentBecameKnown():
            return "known again: its host speaks", "good"
        case component.FencingBegan():
            return f"takes the lease from the silent host {event.host}", "warn"
        case component.ComponentFenced():
            return f"counted as ended: {event.host} stops it within {event.hold_ms} ms, heard or not", "warn"
        case _:
            return None


def _of_group(event: Event) -> tuple[str, str] | None:
    match event:
        case group.GroupRestarting():
            steps = ", ".join(f"{step.action} {step.component}" for step in event.plan.steps if step.action in _DONE)
            return f"decides: restart, because {event.plan.reason}: {steps}", "warn"
        case group.GroupGaveUp():
            return f"decides: give up, because {event.reason}", "bad"
        case group.MemberHeld():
            return f"{event.component} died while paused: left alone", "warn"
        case _:
            return None


def _of_recovery(event: Event) -> tuple[str, str] | None:
    match event:
        case recovery.RecoveryInitiated():
            return f"decides: recover {event.component_id}, {event.because}", "warn"
        case recovery.RecoveryHeld():
            return f"decides: leave {event.component_id} alone ({event.why})", "warn"
        case recovery.RecoveryCompleted():
            tone = "good" if event.outcome == "healed" else "bad"
            return f"recovery of {event.component_id}: {event.outcome} after {event.duration_ms} ms", tone
        case _:
            return None


def _of_the_rest(event: Event) -> tuple[str, str] | None:
    match event:
        case fleet.FleetApplied():
            return f"applied: {len(event.spec.components)} components", "plain"
        case fleet.FleetStopping():
            return f"stopping: {', then '.join(' '.join(wave) for wave in event.waves) or 'nothing runs'}", "plain"
        case fleet.FleetStopped():
            return "stopped", "plain"
        case host.HostWentSilent():
            return "silent: nothing of it is restarted, but what may fail over", "warn"
        case host.HostReturned():
            return "speaks again", "good"
        case _:
            return None


def describe_exit(end: Exit) -> str:
    """Say how a process ended: code or signal, out of memory, its last line."""
    if end.cause == "start_failed":
        return f"could not start: {end.reason}"
    seen = f"signal {end.signal}" if end.signal else f"code {end.code}"
    how = seen if end.cause != "unknown" else end.reason or "nobody saw how"
    more = [end.reason] if end.reason and end.cause != "unknown" else []
    asked = ["as asked"] if end.expected and not more else []
    parts = [how, *(["out of memory"] if end.oom else []), *asked, *more]
    last = f" | {end.last_lines[-1][:120]}" if end.last_lines and not end.expected else ""
    return f"{', '.join(parts)}{last}"


def own_restart(end: Exited | StartFailed) -> str:
    """Say that the host restarts something by itself."""
    if isinstance(end, StartFailed):
        how = f"could not start: {end.reason}"
    else:
        seen = f"signal {end.signal}" if end.signal else f"code {end.code}"
        how = f"ended: {end.why or 'nobody saw how' if end.unknown else seen}"
    return f"{end.component} {how}; the log is away, so this host restarts it by itself"


_WHO: Final[dict[type[Event], str]] = dict.fromkeys(
    (recovery.RecoveryInitiated, recovery.RecoveryHeld, recovery.RecoveryCompleted), "runtime_supervisor"
)

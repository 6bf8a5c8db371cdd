"""What is known of every component at a glance, folded from the events as they come."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...core.client import Recorded
from ...schemas import Event
from ...schemas import component_events as component
from ...schemas.component import ComponentStatus
from ...schemas.fleet import ComponentSpec


@dataclass(slots=True)
class Row:
    """One component; `pid` is 0 when nothing runs."""

    phase: str = "stopped"
    pid: int = 0
    incarnation: int = 0
    ready: bool = False
    restarts: int = 0
    note: str = ""
    asked: bool = False
    """Whether a probe says when it is ready; otherwise it is when it has started."""


@dataclass(slots=True)
class Board:
    """Rows by component, in the fleet's order."""

    rows: dict[str, Row] = field(default_factory=dict)

    def keep_only(self, components: Iterable[ComponentSpec]) -> None:
        """Show these, in this order."""
        self.rows = {spec.id: self.rows.get(spec.id, Row()) for spec in components}
        for spec in components:
            self.rows[spec.id].asked = spec.probes.readiness is not None or spec.probes.startup is not None

    @property
    def given_up(self) -> tuple[str, ...]:
        """The components that were given up and not reset."""
        return tuple(name for name, row in self.rows.items() if row.phase == "given_up")

    def take(self, status: ComponentStatus) -> None:
        """Begin with what a component's actor says."""
        row = self.rows.setdefault(status.id, Row())
        row.phase, row.pid, row.incarnation = status.phase, status.pid or 0, status.incarnation
        row.ready, row.restarts = status.ready, status.restart_count
        row.note = status.given_up or status.message

    def note(self, recorded: Recorded[Event]) -> None:
        """Fold an event; those that are not of a component of this board change nothing."""
        kind, _, name = recorded.envelope.source.partition("/")
        row = self.rows.get(name)
        if kind == "component" and row is not None:
            _fold(row, recorded.data)


def _fold(row: Row, event: Event) -> None:
    match event:
        case component.ComponentStartRequested():
            row.phase, row.incarnation, row.ready = "starting", event.incarnation, False
            row.restarts += event.healing
        case component.ComponentStarted():
            row.phase, row.pid, row.note, row.ready = "running", event.pid, "", not row.asked
        case component.ComponentStopRequested():
            row.phase = "stopping"
        case component.ComponentExited():
            ended = "stopped" if event.exit.expected else "exited"
            row.phase = row.phase if row.phase == "given_up" else ended
            row.pid, row.ready = 0, False
            row.note = "" if event.exit.expected else event.exit.reason or _cause(event)
        case component.ProbeChanged() if event.probe == "readiness":
            row.ready, row.note = event.passed, event.message
        case component.ProbeChanged() | component.LimitExceeded():
            row.note = event.message
        case component.ComponentGivenUp():
            row.phase, row.note = "given_up", event.reason
        case component.ComponentReset():
            row.phase, row.note = "stopped", ""
        case _:
            pass


def _cause(event: component.ComponentExited) -> str:
    return f"signal {event.exit.signal}" if event.exit.signal else f"code {event.exit.code}"

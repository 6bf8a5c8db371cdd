"""What a fleet is told and what happened to it. Addressed to `fleet/NAME`."""

from datetime import datetime

from .fleet import FleetSpec
from .record import Event, Message, Record


class FleetStatus(Record):
    """A fleet as its actor knows it. `phase`: unknown, active, stopping, stopped.

    `waves_left` are the waves of a stop that are not down yet; `applied`: the message that asked changed something.
    """

    fleet: str
    phase: str
    host: str
    spec: FleetSpec | None
    groups: tuple[str, ...]
    components: tuple[str, ...]
    waves_left: tuple[tuple[str, ...], ...]
    since: datetime | None
    applied: bool = False


class ApplyFleet(Message[FleetStatus]):
    """Be this fleet on this host, and begin a session: what is wished up is run.

    Refused `host_mismatch`, `fleet_mismatch`. Idempotent; only the difference to the fleet before is acted upon.
    """

    spec: FleetSpec
    host: str
    who: str = ""


class StopFleet(Message[FleetStatus]):
    """End the session: stop everything in reverse order of dependency, in parallel waves; wishes stay as they are.

    Said again with `kill`, what is left is killed at once. Refused `not_found`.
    """

    reason: str = ""
    kill: bool = False


class DescribeFleet(Message[FleetStatus]):
    """Ask for the status. Refused `not_found`."""


class ResendWave(Message):
    """A fleet's timer: some group or component has not answered yet, say it again."""


class FleetApplied(Event):
    """The fleet is this from now on, and its session runs."""

    spec: FleetSpec
    host: str
    who: str
    at: datetime


class FleetStopping(Event):
    """The session ends, wave by wave."""

    reason: str
    waves: tuple[tuple[str, ...], ...]
    kill: bool
    at: datetime


class GroupHeldStill(Event):
    """A group heals and starts nothing any more; the first wave waits for all of them."""

    group: str


class MemberDown(Event):
    """A component of the current wave is down."""

    component: str


class WaveStopped(Event):
    """The current wave is down; the next one begins."""


class FleetStopped(Event):
    """Everything is down; the session has ended."""

    reason: str
    at: datetime

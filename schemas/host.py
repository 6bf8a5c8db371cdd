"""A host: what its agent says is there, against what should be. Addressed to `host/HOSTID`."""

from datetime import datetime

from .record import Event, Message, Record


class Expectation(Record):
    """What should be on the host for one component."""

    incarnation: int
    up: bool


class HostStatus(Record):
    """A host as its actor knows it. `state`: unknown (never heard), alive, silent."""

    id: str
    state: str
    fleet: str
    boot_id: str
    session: int
    since: datetime | None
    components: int


class ReportInventory(Message):
    """The agent to its host, on connect and every `period_ms`: the live incarnation of every component it runs."""

    fleet: str
    session: int
    sequence: int
    boot_id: str
    period_ms: int = 5_000
    connected: bool = False
    running: dict[str, int] = {}


class BindComponent(Message):
    """Component to host: this is what should be there for me."""

    component: str
    incarnation: int
    up: bool


class UnbindComponent(Message):
    """Component to host: I am no longer here."""

    component: str


class JudgeSilence(Message):
    """A host's timer: three periods without an inventory. `due_us`: when it should have rung (micros UTC)."""

    session: int
    span_ms: int
    due_us: int


class DescribeHost(Message[HostStatus]):
    """Ask for the status. Refused `not_found`."""


class ReportDifference(Message):
    """Host to component: an inventory differs from what should be there; `running` is the live incarnation or 0."""

    host: str
    session: int
    sequence: int
    boot_id: str
    running: int


class ReportSilence(Message):
    """Host to component: the agent is silent, or speaks again."""

    host: str
    silent: bool


class ComponentBound(Event):
    """What should be there for a component changed."""

    component: str
    incarnation: int
    up: bool


class ComponentUnbound(Event):
    """Nothing should be there for that component any more."""

    component: str


class HostConnected(Event):
    """An agent connected, or connected anew; a changed boot id means that the machine was started anew."""

    fleet: str
    session: int
    boot_id: str
    at: datetime


class HostWentSilent(Event):
    """Three periods without a word: its components are unknown, none is restarted."""

    session: int
    at: datetime


class HostReturned(Event):
    """The agent speaks again."""

    session: int
    at: datetime
